//! The Wishart distribution and its inverse obey the laws of their traits; oracles are their one-dimensional cases in
//! statrs, scipy, averages over draws, and the normal-inverse-Wishart prior.

use elbo_core::{
    ConjugatePrior, DataError, Draw, EstimateError, Family, FlatParameters, Rows, Statistics,
};
use elbo_dist::CovarianceStructure::{EEE, EEI, VII, VVI, VVV};
use elbo_dist::{InverseWishart, MultivariateGaussian, NormalInverseWishart, Wishart};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::Continuous;

use crate::multivariate_gaussian::covariance;
use crate::rng;
use crate::rows::{RowsOf, weighted};

/// Traces of matrices over scales that are nearly singular reach some 10⁴.
const TERMS: f64 = 1e5;

/// Degrees of freedom near their bound and far from it, and a scale.
fn parameters(d: usize) -> impl Strategy<Value = (f64, Vec<f64>)> {
    let above = (-3.0..4.0_f64).prop_map(f64::exp);
    (above, covariance(VVV, d)).prop_map(move |(above, scale)| ((d - 1) as f64 + above, scale))
}

fn wishart(d: usize) -> impl Strategy<Value = Wishart> {
    parameters(d).prop_map(move |(nu, scale)| Wishart::new(nu, d, &scale).unwrap())
}

fn inverse_wishart(d: usize) -> impl Strategy<Value = InverseWishart> {
    parameters(d).prop_map(move |(nu, scale)| InverseWishart::new(nu, d, &scale).unwrap())
}

fn rows_of<F: Draw<Drawn = elbo_core::OwnedRows> + for<'a> Family<Batch<'a> = Rows<'a>>>(
    family: &F,
    n: usize,
    seed: u64,
) -> Vec<Vec<f64>> {
    let drawn = family.draw(n, &mut rng(seed));
    let rows = F::batch_of(&drawn);
    (0..n).map(|i| (0..rows.d()).map(|j| rows.get(i, j)).collect()).collect()
}

/// Both families obey the same laws.
macro_rules! laws_of {
    ($name:ident, $family:ident, $strategy:ident, $d:expr) => {
        mod $name {
            use super::*;

            fn sample() -> impl Strategy<Value = WeightedSample<RowsOf<$family>>> {
                // boxed, since a strategy of rows is cloned for every row
                let row = std::rc::Rc::new(covariance(VVV, $d));
                weighted(row)
            }

            fn estimable() -> impl Strategy<Value = WeightedSample<RowsOf<$family>>> {
                vec((covariance(VVV, $d), 0.1..2.0), 3..20).prop_map(|rows| {
                    let (rows, weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
                    WeightedSample::new(RowsOf::new(&rows), weights)
                })
            }

            mod statistics {
                use super::*;

                elbo_laws::statistics_laws!(
                    ($strategy($d), sample()).prop_map(|(p, s)| s.stats(&p))
                );
            }

            elbo_laws::family_laws!(
                $strategy($d),
                sample(),
                Just(RowsOf::new(&[vec![0.0; $d * $d], vec![f64::MAX; $d * $d]])),
                TERMS
            );

            proptest! {
                #[test]
                fn coordinates_give_the_distribution_back(
                    p in $strategy($d), sample in sample(), flat in vec(-5.0..5.0_f64, 1 + $d * ($d + 1) / 2)
                ) {
                    elbo_laws::parameters::coordinates_give_the_distribution_back(&p, &sample.data, TERMS);
                    elbo_laws::parameters::every_point_is_a_distribution(&p, &flat);
                }

                #[test]
                fn the_gradient_vanishes_at_the_maximum(start in $strategy($d), sample in estimable()) {
                    let at = |best: &$family, step: &[f64]| {
                        // scores have a standard deviation of about √(νd) in the logarithm of the scale
                        let unit = (best.degrees_of_freedom() * best.d() as f64).sqrt();
                        let step: Vec<f64> = step.iter().map(|step| step / unit).collect();
                        let mut flat = Vec::new();
                        best.write_unconstrained(&mut flat);
                        flat[0] += step[0];
                        multiply_factor(&mut flat[1..], &step[1..], $d);
                        best.with_unconstrained(&mut &flat[..])
                    };
                    let dimensions = start.free_parameters(1);
                    elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, dimensions, at);
                }

                #[test]
                fn fitting_draws_recovers_the_distribution(truth in $strategy($d), seed in any::<u64>()) {
                    let data = RowsOf::new(&rows_of(&truth, 100, seed));
                    prop_assume!(truth.check(data.batch()).is_ok()); // near ν = d − 1 draws may be singular in floating point
                    elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &data);
                }

                #[test]
                fn divergences_are_not_negative(p in $strategy($d), q in $strategy($d)) {
                    prop_assert!(p.kl_divergence(&q) >= 0.0);
                    prop_assert!(p.kl_divergence(&p).abs() <= 1e-10);
                }
            }
        }
    };
}
laws_of!(wishart_1, Wishart, wishart, 1);
laws_of!(wishart_3, Wishart, wishart, 3);
laws_of!(inverse_wishart_1, InverseWishart, inverse_wishart, 1);
laws_of!(inverse_wishart_3, InverseWishart, inverse_wishart, 3);

proptest! {
    /// `p(X) = p(X⁻¹) |X|^{−(d + 1)}`.
    #[test]
    fn the_inverse_is_a_change_of_variable(p in inverse_wishart(3), matrix in covariance(VVV, 3)) {
        let whole = Wishart::new(3.0, 3, &matrix).unwrap(); // for its inverse and determinant
        let inverse = whole.inverse().scale();
        let log_det = whole.expected_log_det() - Wishart::new(3.0, 3, &unit()).unwrap().expected_log_det();
        let expected = p.inverse().log_density(&inverse) - 4.0 * log_det;
        assert_close(p.log_density(&matrix), expected, TERMS);
        let back = p.inverse().inverse();
        for (a, b) in back.scale().iter().zip(p.scale()) {
            prop_assert!((a - b).abs() <= 1e-10);
        }
        assert_close(p.expected_log_det(), -p.inverse().expected_log_det(), 1e3);
        let gap = p.entropy() - p.inverse().entropy();
        assert_close(gap, 4.0 * p.expected_log_det(), 1e4); // of the Jacobian
    }

    /// `ln p(μ, Σ) − ln p(μ ∣ Σ)`.
    #[test]
    fn it_is_the_covariance_of_a_normal_inverse_wishart(
        (nu, scale) in parameters(3), matrix in covariance(VVV, 3), mean in vec(-1.0..1.0_f64, 3)
    ) {
        for structure in [VVV, EEE] {
            let prior = NormalInverseWishart::new(structure, vec![0.0; 3], 2.0, nu, &scale).unwrap();
            let point = MultivariateGaussian::new(structure, mean.clone(), &matrix).unwrap();
            let halved: Vec<f64> = matrix.iter().map(|x| 0.5 * x).collect();
            let of_mean = MultivariateGaussian::new(structure, vec![0.0; 3], &halved).unwrap();
            let expected = prior.log_prior(&point) - of_mean.log_density(&mean);
            let ours = prior.covariance_prior().unwrap();
            assert_close(ours.log_density(&matrix), expected, TERMS);
            assert_close(ours.mode()[0], scale[0] / (nu + 4.0), 1.0);
        }
    }

    #[test]
    fn of_one_dimension_it_is_a_gamma_distribution(nu in 0.1..30.0_f64, v in 0.1..10.0_f64, x in 0.1..50.0_f64) {
        let gamma = statrs::distribution::Gamma::new(0.5 * nu, 0.5 / v).unwrap();
        let p = Wishart::new(nu, 1, &[v]).unwrap();
        assert_close(p.log_density(&[x]), gamma.ln_pdf(x), TERMS);
        let inverse = statrs::distribution::InverseGamma::new(0.5 * nu, 0.5 * v).unwrap();
        let q = InverseWishart::new(nu, 1, &[v]).unwrap();
        assert_close(q.log_density(&[x]), inverse.ln_pdf(x), TERMS);
    }
}

/// Replaces the factor `L`, its diagonal in logarithms, by `L (I + E)`, whose diagonal is taken in exponentials.
fn multiply_factor(flat: &mut [f64], step: &[f64], d: usize) {
    let place = |i: usize, j: usize| i * (i + 1) / 2 + j;
    let of = |numbers: &[f64], i: usize, j: usize| {
        let x = numbers[place(i, j)];
        if i == j { x.exp() } else { x }
    };
    let old = flat.to_vec();
    for i in 0..d {
        for j in 0..=i {
            let sum: f64 = (j..=i).map(|r| of(&old, i, r) * of(step, r, j)).sum();
            flat[place(i, j)] = if i == j { sum.ln() } else { sum };
        }
    }
}

fn unit() -> Vec<f64> {
    vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
}

const SCALE: [f64; 9] = [2.0, 0.5, -0.3, 0.5, 1.0, 0.2, -0.3, 0.2, 1.5];

#[test]
fn densities_and_moments_agree_with_scipy() {
    // scipy 1.17.1: w = stats.wishart(4.5, V); w.logpdf(X); w.entropy(); w.var(), and stats.invwishart(7.5, V)
    let x = [5.0, 1.0, 0.5, 1.0, 3.0, -0.4, 0.5, -0.4, 6.0];
    let w = Wishart::new(4.5, 3, &SCALE).unwrap();
    assert_close(w.log_density(&x), -12.577_100_001_063_371, 30.0);
    assert_close(w.entropy(), 14.166_801_784_611_046, 30.0);
    let expected = [36.0, 10.125, 13.905, 10.125, 9.0, 6.93, 13.905, 6.93, 20.25];
    w.variance().iter().zip(expected).for_each(|(a, b)| assert_close(*a, b, 36.0));
    let iw = InverseWishart::new(7.5, 3, &SCALE).unwrap();
    assert_close(iw.log_density(&x), -34.981_736_402_256_57, 60.0);
    // scipy's entropy of this one, −1.1305695107715437, takes off (d + 1)/2 · ln 2 where it is d(d + 1)/2 · ln 2; draws agree.
    let difference = 4.0 * std::f64::consts::LN_2;
    assert_close(iw.entropy(), -1.130_569_510_771_543_7 - difference, 60.0);
    let variance = iw.variance().unwrap();
    for (place, b) in [(0, 0.435_374_15), (1, 0.101_284_96), (5, 0.066_152_68), (8, 0.244_897_96)] {
        assert!((variance[place] - b).abs() < 1e-8);
    }
}

/// Within six standard errors.
fn assert_is_mean_of(claimed: f64, values: impl Iterator<Item = f64>) {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = 6.0 * (variance / n).sqrt();
    assert!((claimed - mean).abs() <= error, "{claimed} is not {mean} ± {error}");
}

#[test]
fn expectations_are_averages_over_draws() {
    const N: usize = 4000;
    let (p, q) = (Wishart::new(5.5, 3, &SCALE).unwrap(), Wishart::new(4.0, 3, &unit()).unwrap());
    let rows = rows_of(&p, N, 7);
    let (mean, variance) = (p.mean(), p.variance());
    for place in 0..9 {
        assert_is_mean_of(mean[place], rows.iter().map(|x| x[place]));
        let square = |x: &Vec<f64>| (x[place] - mean[place]).powi(2);
        assert_is_mean_of(variance[place], rows.iter().map(square));
    }
    assert_is_mean_of(p.entropy(), rows.iter().map(|x| -p.log_density(x)));
    let gap = |x: &Vec<f64>| p.log_density(x) - q.log_density(x);
    assert_is_mean_of(p.kl_divergence(&q), rows.iter().map(gap));
}

#[test]
fn expectations_are_averages_over_draws_of_the_inverse() {
    const N: usize = 4000;
    let p = InverseWishart::new(20.0, 3, &SCALE).unwrap();
    let q = InverseWishart::new(15.0, 3, &unit()).unwrap();
    let rows = rows_of(&p, N, 8);
    let (mean, variance) = (p.mean().unwrap(), p.variance().unwrap());
    for place in 0..9 {
        assert_is_mean_of(mean[place], rows.iter().map(|x| x[place]));
        let square = |x: &Vec<f64>| (x[place] - mean[place]).powi(2);
        assert_is_mean_of(variance[place], rows.iter().map(square));
    }
    assert_is_mean_of(p.entropy(), rows.iter().map(|x| -p.log_density(x)));
    let gap = |x: &Vec<f64>| p.log_density(x) - q.log_density(x);
    assert_is_mean_of(p.kl_divergence(&q), rows.iter().map(gap));
}

#[test]
fn an_estimate_is_itself_at_any_degrees_of_freedom() {
    for above in [1e-6, 1e-2, 1.0, 1e3, 1e6, 1e9] {
        let truth = Wishart::new(2.0 + above, 3, &SCALE).unwrap();
        let mut fitted = Wishart::new(5.0, 3, &unit()).unwrap();
        fitted.clone().maximize(&truth.expected_stats(2.0), &mut fitted).unwrap();
        // The mean of ln |X| is rounded to some 2⁻⁵², and tells about ν by 6/ν.
        let tolerance = 1e-13 * (1.0 + truth.degrees_of_freedom());
        let ratio = fitted.degrees_of_freedom() / truth.degrees_of_freedom();
        assert!((ratio - 1.0).abs() <= tolerance, "ν = {above:e}: {ratio}");
        for (a, b) in fitted.mean().iter().zip(truth.mean()) {
            assert_close(*a, b, 2.0 * truth.degrees_of_freedom());
        }
    }
}

#[test]
fn what_the_data_do_not_tell_is_an_error() {
    let p = Wishart::new(5.0, 2, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let same = WeightedSample::new(RowsOf::new(&vec![vec![2.0, 0.5, 0.5, 1.0]; 3]), vec![1.0; 3]);
    let result = p.maximize(&same.stats(&p), &mut p.clone());
    assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{result:?}");
    let estimate = |flat: [f64; 5]| {
        let mut stats = p.new_stats();
        stats.read_from(&flat);
        p.maximize(&stats, &mut p.clone())
    };
    estimate([1.0, 1.0, 0.0, 1.0, -1.0]).unwrap();
    assert!(matches!(estimate([0.0; 5]), Err(EstimateError::NoWeight { .. })));
    assert!(matches!(estimate([1.0, 1.0, 2.0, 1.0, -9.0]), Err(EstimateError::Singular { .. })));
    for bad in [
        [1.0, 1.0, 0.0, 1.0, 1.0], // the log determinant of a mean is not below the mean of them
        [-1.0, 1.0, 0.0, 1.0, -1.0],
        [1.0, 1.0, 0.0, 1.0, f64::NAN],
        [0.0, 1.0, 0.0, 1.0, -1.0],
    ] {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn moments_that_diverge_are_none() {
    let of = |nu: f64| InverseWishart::new(nu, 2, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    assert!(of(3.0).mean().is_none() && of(3.1).mean().is_some());
    assert!(of(5.0).variance().is_none() && of(5.1).variance().is_some());
    let whole = |nu: f64| Wishart::new(nu, 2, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    assert!(whole(2.9).mode().is_none());
    assert_eq!(whole(5.0).mode().unwrap(), [2.0, 0.0, 0.0, 2.0]);
}

#[test]
fn other_structures_have_no_inverse_wishart() {
    for structure in [VVI, EEI, VII] {
        let prior =
            NormalInverseWishart::new(structure, vec![0.0; 2], 1.0, 3.0, &[1.0, 0.0, 0.0, 1.0]);
        assert!(prior.unwrap().covariance_prior().is_none());
    }
}

#[test]
fn parameters_and_data_are_checked() {
    for nu in [1.0, f64::NAN, f64::INFINITY] {
        assert!(Wishart::new(nu, 2, &[1.0, 0.0, 0.0, 1.0]).is_err());
    }
    for scale in [[1.0, 2.0, 2.0, 1.0], [1.0, 0.0, 0.5, 1.0]] {
        assert!(InverseWishart::new(5.0, 2, &scale).is_err());
    }
    assert!(Wishart::new(5.0, 2, &[1.0]).is_err());
    let p = Wishart::new(5.0, 2, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let check = |row: &[f64]| p.check(Rows::new(row, 1, row.len()));
    check(&[2.0, 1.0, 1.0, 2.0]).unwrap();
    assert_eq!(check(&[1.0]).unwrap_err(), DataError::Dimension { expected: 4, found: 1 });
    assert!(matches!(
        check(&[1.0, f64::NAN, 0.0, 1.0]),
        Err(DataError::NotFinite { column: 1, .. })
    ));
    let asymmetric = check(&[1.0, 0.5, 0.0, 1.0]).unwrap_err();
    assert!(matches!(
        asymmetric,
        DataError::Support { column: 1, needed: "a symmetric matrix", .. }
    ));
    let indefinite = check(&[1.0, 2.0, 2.0, 1.0]).unwrap_err();
    assert!(matches!(
        indefinite,
        DataError::Support { column: 3, needed: "a positive definite matrix", .. }
    ));
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let p = Wishart::new(5.0, 2, &[2.0, 0.5, 0.5, 1.0]).unwrap();
    let text = serde_json::to_string(&p).unwrap();
    assert_eq!(text, r#"{"degrees_of_freedom":5.0,"scale":[[2.0,0.5],[0.5,1.0]]}"#);
    assert_eq!(serde_json::from_str::<Wishart>(&text).unwrap(), p);
    let q = InverseWishart::new(5.0, 2, &[2.0, 0.5, 0.5, 1.0]).unwrap();
    assert_eq!(serde_json::to_string(&q).unwrap(), text);
    assert_eq!(serde_json::from_str::<InverseWishart>(&text).unwrap(), q);
    let bad = r#"{"degrees_of_freedom": 0.5, "scale": [[2.0, 0.5], [0.5, 1.0]]}"#;
    assert!(serde_json::from_str::<Wishart>(bad).is_err());
    assert!(serde_json::from_str::<InverseWishart>(bad).is_err());
}
