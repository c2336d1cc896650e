//! The Dirichlet distribution as a family obeys the laws of its traits; its oracles are quadrature over the simplex,
//! scipy, and the zero of a gradient that has only one.

use std::f64::consts::LN_2;

use elbo_core::{DataError, Draw, EstimateError, Family, Rows, Statistics};
use elbo_dist::Dirichlet;
use elbo_dist::special::digamma;
use elbo_laws::{WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;
use crate::rows::{RowsOf, weighted};

type Data = RowsOf<Dirichlet>;

/// `A ln A` and the log densities of rows with shares of 10⁻⁴.
const TERMS: f64 = 1e4;

/// Concentrations from 0.02 to 150.
fn dirichlet() -> impl Strategy<Value = Dirichlet> {
    vec((-4.0..5.0_f64).prop_map(f64::exp), 3).prop_map(|alpha| Dirichlet::new(alpha).unwrap())
}

fn row() -> impl Strategy<Value = Vec<f64>> + Clone {
    vec((-8.0..0.0_f64).prop_map(f64::exp), 3).prop_map(|x| {
        let sum: f64 = x.iter().sum();
        x.iter().map(|x| x / sum).collect()
    })
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    weighted(row())
}

/// At least some rows of positive weight that are not the same.
fn estimable() -> impl Strategy<Value = WeightedSample<Data>> {
    vec((row(), 0.1..2.0), 3..30).prop_map(|rows| {
        let (rows, weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
        WeightedSample::new(Data::new(&rows), weights)
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((dirichlet(), sample()).prop_map(|(p, s)| s.stats(&p)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        dirichlet(),
        sample(),
        Just(Data::new(&[vec![0.0, 1.0, 0.0], vec![1e300, 0.0, -1.0]])),
        TERMS
    );
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(p in dirichlet(), sample in sample(), flat in vec(-50.0..50.0_f64, 3)) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&p, &sample.data, TERMS);
        elbo_laws::parameters::every_point_is_a_distribution(&p, &flat);
    }

    /// The log-likelihood is concave, so that a zero of its gradient is the maximum.
    #[test]
    fn the_gradient_vanishes_at_the_estimate_from_any_start(
        sample in estimable(), start in vec((-18.0..18.0_f64).prop_map(f64::exp), 3)
    ) {
        let start = Dirichlet::new(start).unwrap();
        let mut fitted = start.clone();
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        let rows = || sample.data.rows().zip(&sample.weights);
        for (j, a) in fitted.concentration().iter().enumerate() {
            let mean: f64 = rows().map(|(x, w)| w * x[j].ln()).sum::<f64>() / sample.total_weight();
            let expected = digamma(*a) - digamma(fitted.total_concentration());
            assert_close(expected, mean, 1.0 + digamma(*a).abs() + mean.abs());
        }
    }

    #[test]
    fn no_neighbor_is_more_likely(start in dirichlet(), sample in estimable()) {
        let neighbors = |best: &Dirichlet| {
            let scaled = |factors: &[f64]| {
                let pairs = best.concentration().iter().zip(factors);
                Dirichlet::new(pairs.map(|(a, factor)| a * factor).collect()).unwrap()
            };
            [1e-6, 1e-3, 0.1, 0.9]
                .map(|h| [[1.0 + h, 1.0, 1.0], [1.0, 1.0 - h, 1.0], [1.0 + h; 3], [1.0 - h; 3]])
                .as_flattened()
                .iter()
                .map(|factors| scaled(factors))
                .collect()
        };
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in dirichlet(), seed in any::<u64>()) {
        let drawn = truth.draw(300, &mut rng(seed));
        truth.check(drawn.rows()).unwrap();
        let rows: Vec<Vec<f64>> = (0..300)
            .map(|i| (0..3).map(|j| drawn.rows().get(i, j)).collect())
            .collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(&rows));
    }

    #[test]
    fn scores_are_log_densities(p in dirichlet(), sample in sample()) {
        for (score, row) in sample.log_densities(&p).into_iter().zip(sample.data.rows()) {
            assert_close(score, p.log_density(row), TERMS);
        }
    }

    /// Shares that are off by rounding, or by what the check allows, score as their proportions.
    #[test]
    fn rows_are_read_as_proportions(p in dirichlet(), row in row(), off in -1e-9..1e-9_f64) {
        let scaled: Vec<f64> = row.iter().map(|x| x * (1.0 + off)).collect();
        let (mut a, mut b) = ([0.0], [0.0]);
        p.log_density_into(Rows::new(&row, 1, 3), &mut a);
        p.log_density_into(Rows::new(&scaled, 1, 3), &mut b);
        assert_close(a[0], b[0], TERMS);
    }
}

/// Nodes and weights of the trapezoidal rule in the log ratios of the shares, whose error falls exponentially with the
/// step.
fn quadrature(p: &Dirichlet) -> Vec<([f64; 3], f64)> {
    const STEP: f64 = 1.0 / 3.0;
    let grid = || (-105..=105).map(|i| STEP * f64::from(i));
    let mut nodes = Vec::new();
    for s in grid() {
        for t in grid() {
            let weights = [s.exp(), t.exp(), 1.0];
            let total: f64 = weights.iter().sum();
            let x = weights.map(|w| w / total);
            let density = (p.log_density(&x) + x.map(f64::ln).iter().sum::<f64>()).exp();
            if density > 0.0 {
                nodes.push((x, density * STEP * STEP));
            }
        }
    }
    nodes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn expectations_agree_with_quadrature(
        alpha in vec(1.2..8.0_f64, 3), beta in vec(0.5..8.0_f64, 3)
    ) {
        let (p, q) = (Dirichlet::new(alpha).unwrap(), Dirichlet::new(beta).unwrap());
        let nodes = quadrature(&p);
        // Poles at a distance of π: an error of e^{−2π · 3π} times some power of A; beyond the grid there is e^{−1.2 · 35}.
        let check = |claimed: f64, g: &dyn Fn(&[f64]) -> f64| {
            let mean: f64 = nodes.iter().map(|(x, w)| w * g(x)).sum();
            assert!((claimed - mean).abs() <= 1e-11 * (1.0 + claimed.abs()), "{claimed} {mean}");
        };
        check(1.0, &|_| 1.0);
        let (mean, variance, covariance) = (p.mean(), p.variance(), p.covariance());
        for i in 0..3 {
            check(mean[i], &|x| x[i]);
            check(variance[i], &|x| (x[i] - mean[i]).powi(2));
            for j in 0..3 {
                check(covariance[3 * i + j], &|x| (x[i] - mean[i]) * (x[j] - mean[j]));
            }
        }
        check(p.entropy(), &|x| -p.log_density(x));
        check(p.kl_divergence(&q), &|x| p.log_density(x) - q.log_density(x));
    }
}

#[test]
fn density_and_entropy_agree_with_scipy() {
    // scipy 1.17.1: d = stats.dirichlet([0.7, 2.5, 4.0]); d.logpdf([0.1, 0.3, 0.6]); d.entropy()
    let p = Dirichlet::new(vec![0.7, 2.5, 4.0]).unwrap();
    assert_close(p.log_density(&[0.1, 0.3, 0.6]), 1.971_877_943_767_037, 10.0);
    assert_close(p.entropy(), -1.815_898_520_093_609_7, 10.0);
    assert_eq!(Dirichlet::symmetric(3, 1.0).unwrap().entropy(), -LN_2);
}

#[test]
fn an_estimate_is_itself_at_any_concentration() {
    for total in [1e-3, 1.0, 1e3, 1e6, 1e9] {
        let truth = Dirichlet::new([0.2, 0.3, 0.5].map(|p| p * total).to_vec()).unwrap();
        let start = Dirichlet::symmetric(3, 1.0).unwrap();
        let mut fitted = start.clone();
        start.maximize(&truth.expected_stats(2.0), &mut fitted).unwrap();
        // Mean logarithms are rounded, and tell about A by 1/A only.
        let tolerance = 1e-13 * (1.0 + total);
        for (a, b) in fitted.concentration().iter().zip(truth.concentration()) {
            assert!((a / b - 1.0).abs() <= tolerance, "{a} is not {b}");
        }
    }
}

#[test]
fn equal_rows_have_no_most_likely_concentration() {
    let start = Dirichlet::symmetric(3, 1.0).unwrap();
    let rows = vec![vec![0.2, 0.3, 0.5]; 5];
    let sample = WeightedSample::new(Data::new(&rows), vec![1.0; 5]);
    let result = start.maximize(&sample.stats(&start), &mut start.clone());
    assert!(matches!(result, Err(EstimateError::Boundary { limit: "infinity", .. })), "{result:?}");
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let start = Dirichlet::symmetric(2, 1.0).unwrap();
    let estimate = |flat: [f64; 3]| {
        let mut stats = start.new_stats();
        stats.read_from(&flat);
        start.maximize(&stats, &mut start.clone())
    };
    assert!(matches!(estimate([0.0; 3]), Err(EstimateError::NoWeight { .. })));
    // ln ½ twice is the most that mean logarithms of two shares can be; −0.1 twice is more.
    for bad in [[1.0, -0.1, -0.1], [-1.0, -1.0, -1.0], [1.0, f64::NAN, -1.0], [0.0, -1.0, -1.0]] {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
    estimate([1.0, -1.0, -1.0]).unwrap();
}

#[test]
fn data_are_checked() {
    let p = Dirichlet::symmetric(2, 1.0).unwrap();
    let check = |row: &[f64]| Family::check(&p, Rows::new(row, 1, row.len()));
    check(&[0.25, 0.75]).unwrap();
    assert_eq!(check(&[1.0]).unwrap_err(), DataError::Dimension { expected: 2, found: 1 });
    assert_eq!(check(&[0.5, 0.75]).unwrap_err(), DataError::Sum { row: 0, sum: 1.25 });
    assert!(matches!(check(&[f64::NAN, 1.0]), Err(DataError::NotFinite { column: 0, .. })));
    let error = check(&[1.0, 0.0]).unwrap_err();
    assert!(matches!(error, DataError::Support { row: 0, column: 1, .. }));
    assert!(error.to_string().contains("a share above 0"), "{error}");
}

#[test]
fn no_drawn_share_is_zero() {
    let p = Dirichlet::symmetric(3, 1e-3).unwrap();
    let drawn = p.draw(200, &mut rng(5));
    Family::check(&p, drawn.rows()).unwrap();
    let column: Vec<f64> = (0..200).map(|i| drawn.rows().get(i, 0)).collect();
    assert!(column.contains(&f64::MIN_POSITIVE) && column.iter().any(|x| *x > 0.9));
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let p = Dirichlet::new(vec![0.5, 2.0]).unwrap();
    let text = serde_json::to_string(&p).unwrap();
    assert_eq!(serde_json::from_str::<Dirichlet>(&text).unwrap(), p);
    let error = serde_json::from_str::<Dirichlet>(r#"{"concentration": [0.0]}"#).unwrap_err();
    assert!(error.to_string().contains("number 0 of the concentration"), "{error}");
}
