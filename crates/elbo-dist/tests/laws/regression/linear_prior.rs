//! The matrix-normal-inverse-Wishart prior of a linear regression.

use elbo_core::{ConjugatePrior, EstimateError, Evidence, Family, Rows};
use elbo_dist::{LinearGaussian, MatrixNormalInverseWishart};
use elbo_laws::{WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use super::{
    Pairs,
    linear::{DIAGONAL, FULL, HOMOGENEOUS, SIMPLE, Shape, covariance, line, neighbors, rows},
};

/// Priors worth up to some observations, about functions near those of the data.
fn prior(shape: Shape) -> impl Strategy<Value = MatrixNormalInverseWishart> {
    let Shape { p, q, diagonal, intercept } = shape;
    let numbers = (vec(-1.0..1.0_f64, p), vec(-1.0..1.0_f64, q));
    let counts = (-3.0..2.0_f64, 0.1..5.0_f64);
    (line(shape, 2.0), numbers, counts).prop_map(move |(line, (k, psi), (log_count, excess))| {
        let (k, psi) = (covariance(p, false, &k), covariance(q, diagonal, &psi));
        let nu = excess + if diagonal { 0.0 } else { q as f64 - 1.0 };
        let slopes = line.coefficients().to_vec();
        if intercept {
            let (center, value) = (line.center().to_vec(), line.value_at_center().to_vec());
            MatrixNormalInverseWishart::new(center, value, slopes, log_count.exp(), &k, nu, &psi)
        } else {
            MatrixNormalInverseWishart::without_intercept(q, slopes, &k, nu, &psi)
        }
        .unwrap()
    })
}

fn sample(shape: Shape) -> impl Strategy<Value = WeightedSample<Pairs>> {
    rows(shape, 2.0, 1..20_usize, true)
}

fn posterior(
    prior: &MatrixNormalInverseWishart,
    start: &LinearGaussian,
    sample: &WeightedSample<Pairs>,
) -> MatrixNormalInverseWishart {
    let mut posterior = prior.clone();
    prior.posterior(&sample.stats(start), &mut posterior).unwrap();
    posterior
}

/// Scatters grow by squared distances of up to 10², whatever Ψ is.
const TERMS: f64 = 1e5;

/// Every number of the prior a little less and a little more; matrices stay symmetric.
fn priors_nearby(prior: &MatrixNormalInverseWishart) -> Vec<MatrixNormalInverseWishart> {
    let (p, q) = (prior.covariates(), prior.outputs());
    let dense = prior.scale();
    let is_diagonal = q > 1 && (0..q * q).all(|at| at / q == at % q || dense[at] == 0.0);
    let scale = if is_diagonal { dense.iter().step_by(q + 1).copied().collect() } else { dense };
    let count = prior.value_pseudo_count();
    let parts = [
        prior.center().to_vec(),
        prior.expected_value().to_vec(),
        prior.expected_coefficients().to_vec(),
        vec![count.unwrap_or(1.0)],
        prior.precision(),
        vec![prior.degrees_of_freedom()],
        scale,
    ];
    let build = |parts: &[Vec<f64>; 7]| {
        let [center, value, slopes, count_there, precision, nu, scale] = parts;
        if count.is_some() {
            let (center, value) = (center.clone(), value.clone());
            let (slopes, count) = (slopes.clone(), count_there[0]);
            MatrixNormalInverseWishart::new(center, value, slopes, count, precision, nu[0], scale)
        } else {
            MatrixNormalInverseWishart::without_intercept(
                q,
                slopes.clone(),
                precision,
                nu[0],
                scale,
            )
        }
    };
    let mut nearby = Vec::new();
    for part in 0..parts.len() {
        if count.is_none() && [0, 1, 3].contains(&part) {
            continue; // a function through the origin
        }
        for at in 0..parts[part].len() {
            for change in [-1e-3, 1e-3] {
                let mut moved = parts.clone();
                let d = if part == 4 { p } else { q };
                let is_matrix = part == 4 || (part == 6 && !is_diagonal);
                let mirrored = if is_matrix { at % d * d + at / d } else { at };
                let size = match part {
                    4 | 6 if is_matrix => {
                        (parts[part][at / d * (d + 1)] * parts[part][at % d * (d + 1)]).sqrt()
                    }
                    3..=6 => parts[part][at],
                    _ => 1.0,
                };
                moved[part][at] = parts[part][at] + change * size;
                moved[part][mirrored] = moved[part][at];
                nearby.extend(build(&moved).ok()); // beyond the border of what is positive definite
            }
        }
    }
    nearby
}

macro_rules! laws {
    ($name:ident, $shape:expr) => {
        mod $name {
            use super::*;

            elbo_laws::prior_laws!(prior($shape), sample($shape), line($shape, 2.0));
            elbo_laws::learning_laws!(
                prior($shape), sample($shape), line($shape, 2.0), priors_nearby, TERMS
            );

            proptest! {
                #[test]
                fn no_neighbor_beats_the_mode(
                    prior in prior($shape), start in line($shape, 2.0), sample in sample($shape)
                ) {
                    elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
                }

                #[test]
                fn evidence_is_likelihood_times_prior_over_posterior(
                    prior in prior($shape), point in line($shape, 2.0), sample in sample($shape)
                ) {
                    let evidence = prior.log_evidence(&sample.stats(&point)).unwrap();
                    let after = posterior(&prior, &point, &sample);
                    let (log_likelihood, size) = sample.log_likelihood(&point);
                    let (a, b) = (prior.log_prior(&point), after.log_prior(&point));
                    let n = 2.0 + sample.total_weight();
                    // Normalizers inside of the densities are of size n ln n.
                    let size = size + a.abs() + b.abs() + 10.0 * n * n.ln();
                    assert_close(evidence, log_likelihood + a - b, 10.0 * size);
                }

                #[test]
                fn a_prediction_is_the_evidence_of_one_row(
                    prior in prior($shape), point in line($shape, 2.0), sample in sample($shape)
                ) {
                    let mut predicted = vec![f64::NAN; sample.len()];
                    let data = elbo_laws::Sample::batch(&sample.data);
                    prior.log_predictive_into(&point, data, &mut predicted);
                    for (i, predicted) in predicted.iter().enumerate() {
                        let row = elbo_laws::Sample::pick(&sample.data, &[i]);
                        let one = WeightedSample::new(row, vec![1.0]);
                        let evidence = prior.log_evidence(&one.stats(&point)).unwrap();
                        assert_close(*predicted, evidence, TERMS);
                    }
                }

                #[test]
                fn one_posterior_is_its_own_best_prior(
                    prior in prior($shape), q in prior($shape), point in line($shape, 2.0)
                ) {
                    elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
                }

                #[test]
                fn the_mean_has_the_expected_natural_parameters(prior in prior($shape)) {
                    let p = $shape.p;
                    let mut mean = LinearGaussian::standard(p, $shape.q);
                    prior.mean_into(&mut mean);
                    let scale = prior.scale();
                    for (a, b) in mean.covariance().iter().zip(&scale) {
                        assert_close(a * prior.degrees_of_freedom(), *b, b.abs());
                    }
                    prop_assert_eq!(mean.coefficients(), prior.expected_coefficients());
                }
            }
        }
    };
}
laws!(simple, SIMPLE);
laws!(full, FULL);
laws!(diagonal, DIAGONAL);
laws!(homogeneous, HOMOGENEOUS);

#[test]
fn the_evidence_is_the_integral_over_slope_and_variance() {
    let prior =
        MatrixNormalInverseWishart::without_intercept(1, vec![0.5], &[2.0], 3.0, &[1.5]).unwrap();
    let data = Pairs::new(vec![0.5, -1.0, 2.0, 1.5], 1, vec![0.2, -1.1, 1.4, 2.0], 1);
    let sample = WeightedSample::new(data, vec![1.0, 2.0, 0.5, 1.0]);
    let shape = LinearGaussian::without_intercept(1, vec![0.0], &[1.0]).unwrap();
    // The trapezoidal rule in slope and ln σ²: analytic integrands that vanish at the ends.
    let (h, g) = (0.02, 0.1);
    let mut integral = 0.0;
    for i in -200..=400 {
        for j in -60..=100 {
            let (slope, log_variance) = (h * f64::from(i), g * f64::from(j));
            let point =
                LinearGaussian::without_intercept(1, vec![slope], &[log_variance.exp()]).unwrap();
            let height = sample.log_likelihood(&point).0 + prior.log_prior(&point) + log_variance;
            integral += height.exp() * h * g;
        }
    }
    let evidence = prior.log_evidence(&sample.stats(&shape)).unwrap();
    // What is beyond the ends: slopes 3 off, and variances of e¹⁰, a tail of (e¹⁰)^(−ν/2) in all.
    assert!((integral.ln() - evidence).abs() < 1e-6, "{} {evidence}", integral.ln());
}

#[test]
fn the_mode_of_a_ridge_prior_is_ridge_regression() {
    let x = [0.3, 1.0, -0.4, 0.2, 0.8, -1.0, -0.7, 0.5, 0.0, -0.7];
    let y = [1.0, 0.4, 2.0, 0.1, -0.5];
    let (x_mean, y_mean) = ([0.0, 0.0], 0.6);
    let sample = WeightedSample::new(Pairs::new(x.to_vec(), 2, y.to_vec(), 1), vec![1.0; 5]);
    let lambda = 0.7;
    let prior =
        MatrixNormalInverseWishart::ridge(x_mean.to_vec(), vec![y_mean], lambda, 0.5, 1.0, &[1.0]);
    let mut mode = LinearGaussian::standard(2, 1);
    posterior(&prior.unwrap(), &mode, &sample).mode_into(&mut mode).unwrap();
    // (XᵀX + λI) β = Xᵀ(y − ȳ), by Cramer's rule.
    let sum = |f: &dyn Fn(usize) -> f64| (0..5).map(f).sum::<f64>();
    let xx = |a: usize, b: usize| sum(&|i| x[2 * i + a] * x[2 * i + b]);
    let xy = |a: usize| sum(&|i| x[2 * i + a] * (y[i] - y_mean));
    let (a, b, d) = (xx(0, 0) + lambda, xx(0, 1), xx(1, 1) + lambda);
    let det = a * d - b * b;
    assert_close(mode.coefficients()[0], (d * xy(0) - b * xy(1)) / det, 10.0);
    assert_close(mode.coefficients()[1], (a * xy(1) - b * xy(0)) / det, 10.0);
    assert_close(mode.predict(&x_mean)[0], y_mean, 10.0);
}

#[test]
fn more_covariates_than_rows_have_a_posterior() {
    let prior =
        MatrixNormalInverseWishart::ridge(vec![0.0; 3], vec![0.0], 1.0, 1.0, 1.0, &[1.0]).unwrap();
    let sample = WeightedSample::new(Pairs::new(vec![1.0, 2.0, 3.0], 3, vec![2.0], 1), vec![1.0]);
    let start = LinearGaussian::standard(3, 1);
    let after = posterior(&prior, &start, &sample);
    assert_eq!(after.degrees_of_freedom(), 2.0);
    assert_eq!(posterior(&prior, &start, &WeightedSample::new(sample.data, vec![0.0])), prior);
}

#[test]
fn data_far_from_zero_lose_nothing() {
    let shift = 2.0_f64.powi(30);
    let slopes = |shift: f64| {
        let x: Vec<f64> = (0..8).map(|i| f64::from((i * 3) % 8) / 8.0 + shift).collect();
        let y: Vec<f64> = (0..8).map(|i| f64::from((i * 5) % 7) / 4.0 + shift).collect();
        let start = LinearGaussian::standard(1, 1)
            .moved_to((Rows::new(&x, 8, 1), Rows::new(&y, 8, 1)), 2)
            .unwrap();
        let sample = WeightedSample::new(Pairs::new(x, 1, y, 1), vec![1.0; 8]);
        let prior =
            MatrixNormalInverseWishart::ridge(vec![shift], vec![shift], 0.5, 0.1, 2.0, &[0.3]);
        let after = posterior(&prior.unwrap(), &start, &sample);
        (after.expected_coefficients()[0], after.scale()[0])
    };
    let (near, far) = (slopes(0.0), slopes(shift));
    assert!((near.0 - far.0).abs() < 1e-12 && (near.1 - far.1).abs() < 1e-12, "{near:?} {far:?}");
}

#[test]
fn priors_are_checked() {
    let new = |kappa: f64, k: f64, nu: f64, psi: f64| {
        MatrixNormalInverseWishart::new(vec![0.0], vec![0.0], vec![0.0], kappa, &[k], nu, &[psi])
    };
    assert!(new(1.0, 1.0, 1.0, 1.0).is_ok());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(new(bad, 1.0, 1.0, 1.0).is_err());
        assert!(new(1.0, bad, 1.0, 1.0).is_err());
        assert!(new(1.0, 1.0, bad, 1.0).is_err());
        assert!(new(1.0, 1.0, 1.0, bad).is_err());
    }
    let identity = [1.0, 0.0, 0.0, 1.0];
    let two =
        |nu| MatrixNormalInverseWishart::without_intercept(2, vec![0.0; 2], &[1.0], nu, &identity);
    assert!(two(1.0).is_err() && two(1.1).is_ok());

    let prior = new(1.0, 1.0, 1.0, 1.0).unwrap();
    assert_eq!(prior.check(&LinearGaussian::standard(1, 1)), Ok(()));
    let homogeneous = LinearGaussian::without_intercept(1, vec![0.0], &[1.0]).unwrap();
    for other in [LinearGaussian::standard(2, 1), LinearGaussian::standard(1, 2), homogeneous] {
        assert!(matches!(prior.check(&other), Err(EstimateError::Unsupported { .. })));
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let prior = MatrixNormalInverseWishart::ridge(vec![1.0, 2.0], vec![0.1], 3.0, 0.5, 2.0, &[1.0])
        .unwrap();
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<MatrixNormalInverseWishart>(&text).unwrap(), prior);
    for (good, bad) in [("[3.0,0.0]", "[-3.0,0.0]"), ("\"scale\":[1.0]", "\"scale\":[0.0]")] {
        assert!(text.contains(good));
        let text = text.replace(good, bad);
        assert!(serde_json::from_str::<MatrixNormalInverseWishart>(&text).is_err());
    }
}
