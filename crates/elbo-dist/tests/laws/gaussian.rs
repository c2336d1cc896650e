//! The univariate Gaussian obeys the laws of its traits, and agrees with the two-pass formulas and with statrs.

use elbo_core::{DataError, EstimateError, Family, Statistics};
use elbo_dist::{Gaussian, GaussianStats};
use elbo_laws::{Of, TOLERANCE, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use crate::rng;

type Data = Of<Gaussian, f64>;

/// Largest distance from zero, in spreads of the data: from twice as far away a variance still keeps four digits.
const RANGE: f64 = 1e5;

fn gaussian() -> impl Strategy<Value = Gaussian> {
    (prop_oneof![-RANGE..RANGE, -1.0..1.0], -12.0..12.0_f64)
        .prop_map(|(mean, log_variance)| Gaussian::new(mean, log_variance.exp()).unwrap())
}

/// Rows of unit spread about a common offset, some of weight zero, never all; at times more than one block.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    (-RANGE..RANGE, size).prop_flat_map(move |(at, n)| {
        (vec((at - 1.0..at + 1.0, weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

/// At least ten rows of positive weight, so that there is an estimate.
fn estimable() -> impl Strategy<Value = WeightedSample<Data>> {
    (-RANGE..RANGE, vec((-1.0..1.0, 0.1..2.0), 10..40)).prop_map(|(at, rows)| {
        let (data, weights) = rows.into_iter().map(|(x, w): (f64, f64)| (at + x, w)).unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((gaussian(), sample()).prop_map(|(g, s)| s.stats(&g)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        gaussian(),
        sample(),
        Just(Data::new(vec![f64::MAX, f64::MIN, f64::INFINITY, f64::NAN]))
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(gaussian(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(gaussian in gaussian(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&gaussian, &sample.data, 1.0);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        let shape = Gaussian::new(0.0, 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn missing_values_are_skipped(gaussian in gaussian(), sample in sample(), at in 0..40_usize) {
        let at = at.min(sample.len());
        let mut holey = (sample.data.rows().to_vec(), sample.weights.clone());
        holey.0.insert(at, f64::NAN);
        holey.1.insert(at, 1.5);
        let holey = WeightedSample::new(Data::new(holey.0), holey.1);
        let (with, without) = (holey.stats(&gaussian), sample.stats(&gaussian));
        elbo_laws::statistics::assert_same(&with, &without, &[&with, &without]);
        prop_assert_eq!(holey.log_densities(&gaussian)[at], 0.0);
    }

    #[test]
    fn origins_are_irrelevant(
        one in gaussian(), other in gaussian(), sample in sample(), cut in 0..100_usize
    ) {
        prop_assume!(sample.weights[0] > 0.0); // statistics of nothing take over the other's origin
        elbo_laws::family::origins_are_irrelevant(&one, &other, &sample, cut);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in gaussian(), sample in estimable()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in gaussian(), sample in estimable()) {
        let at = |best: &Gaussian, step: &[f64]| {
            let variance = best.variance() * (2.0 * step[1]).exp();
            Gaussian::new(best.mean() + step[0] * best.std_dev(), variance).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in gaussian(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn estimates_agree_with_the_two_pass_formulas(start in gaussian(), sample in estimable()) {
        let (xs, weights) = (sample.data.rows(), &sample.weights);
        let total: f64 = weights.iter().sum();
        let mean = xs.iter().zip(weights).map(|(x, w)| w * x).sum::<f64>() / total;
        let scatter: f64 = xs.iter().zip(weights).map(|(x, w)| w * (x - mean).powi(2)).sum();
        let stats = sample.stats(&start);
        // Squares about the start's mean are summed; what lies between the two means cancels.
        let about_start: f64 = xs.iter().zip(weights).map(|(x, w)| w * (x - start.mean()).powi(2)).sum();
        assert_close(stats.total_weight(), total, total);
        assert_close(stats.mean(), mean, RANGE);
        assert_close(stats.scatter(), scatter, about_start + scatter);
        let near = Gaussian::new(mean, 1.0).unwrap();
        let mut fitted = near;
        near.maximize(&sample.stats(&near), &mut fitted).unwrap();
        assert_close(fitted.mean(), mean, RANGE);
        assert_close(fitted.variance(), scatter / total, 10.0 * scatter / total);
    }

    #[test]
    fn origins_do_not_matter(a in gaussian(), b in gaussian(), sample in sample(), cut in 0..40_usize) {
        let (left, right): (Vec<usize>, Vec<usize>) = (0..sample.len()).partition(|i| *i < cut);
        let (left, right) = (sample.pick(&left).stats(&a), sample.pick(&right).stats(&b));
        let mut merged = left;
        merged.merge(&right);
        let whole = sample.stats(&a);
        elbo_laws::statistics::assert_same(&merged, &whole, &[&left, &right, &whole, &sample.stats(&b)]);
    }

    #[test]
    fn density_and_cdf_agree_with_statrs(gaussian in gaussian(), z in -8.0..8.0_f64) {
        let x = gaussian.mean() + z * gaussian.std_dev();
        let other = Normal::new(gaussian.mean(), gaussian.std_dev()).unwrap();
        assert_close(gaussian.log_density(x), other.ln_pdf(x), 100.0);
        // statrs' error function is good to 1e-10.
        prop_assert!((gaussian.cdf(x) - other.cdf(x)).abs() < 1e-9);
    }

    #[test]
    fn entropy_is_minus_the_expected_log_density(gaussian in gaussian()) {
        // The trapezoidal rule over ±12σ is exact to rounding for a Gaussian times a polynomial.
        let entropy: f64 = (-1200..=1200)
            .map(|i| {
                let x = gaussian.mean() + 0.01 * f64::from(i) * gaussian.std_dev();
                let log_density = gaussian.log_density(x);
                -log_density * log_density.exp() * 0.01 * gaussian.std_dev()
            })
            .sum();
        // x is rounded to RANGE·ε, the smallest standard deviation is e⁻⁶: both enter squared.
        prop_assert!((gaussian.entropy() - entropy).abs() < 1e-6, "{entropy}");
    }
}

#[test]
fn far_data_keep_their_variance() {
    let mut gaussian = Gaussian::new(1e8, 1.0).unwrap();
    let sample = WeightedSample::new(Data::new(vec![1e8 - 1.0, 1e8, 1e8 + 1.0]), vec![1.0; 3]);
    let stats = sample.stats(&gaussian);
    gaussian.clone().maximize(&stats, &mut gaussian).unwrap();
    assert_close(gaussian.variance(), 2.0 / 3.0, 1.0);
}

#[test]
fn extreme_units_neither_overflow_nor_vanish() {
    for unit in [1e-150, 1e150] {
        let start = Gaussian::new(0.0, unit * unit).unwrap();
        let sample = WeightedSample::new(Data::new(vec![-unit, unit]), vec![1.0; 2]);
        let mut fitted = start;
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        assert_close(fitted.variance(), unit * unit, unit * unit);
        let expected = -0.5 * (std::f64::consts::TAU.ln() + 1.0) - unit.ln();
        assert_close(fitted.log_density(unit), expected, 1e3);
    }
}

#[test]
fn statistics_without_a_gaussian_are_rejected() {
    let start = Gaussian::new(3.0, 1.0).unwrap();
    let estimate = |stats: &GaussianStats| start.maximize(stats, &mut start.clone());
    let observe = |xs: &[f64], ws: &[f64]| {
        WeightedSample::new(Data::new(xs.to_vec()), ws.to_vec()).stats(&start)
    };

    let nothing = estimate(&start.new_stats());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { weight: 0.0, .. })), "{nothing:?}");
    for constant in [0.1, 3.0, 1e8 + 0.1] {
        let result = estimate(&observe(&[constant; 37], &[0.1; 37]));
        assert!(matches!(result, Err(EstimateError::Singular { .. })), "{constant}: {result:?}");
    }
    let mut negative = observe(&[1.0, 2.0], &[1.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let mut outside = observe(&[1.0, 2.0], &[1.0, 1.0]);
    outside.axpy(-1.0, &observe(&[1.0, 8.0], &[0.2, 0.2]));
    assert!(matches!(estimate(&outside), Err(EstimateError::Infeasible { .. })));
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(Gaussian::new(f64::NAN, 1.0).is_err());
    for variance in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(Gaussian::new(0.0, variance).is_err());
    }
    let gaussian = Gaussian::new(0.0, 1.0).unwrap();
    assert_eq!(gaussian.check(&[0.0, 1.0]), Ok(()));
    let error = gaussian.check(&[0.0, f64::INFINITY]).unwrap_err();
    assert_eq!(error, DataError::NotFinite { row: 1, column: 0, value: f64::INFINITY });
}

#[test]
fn spread_is_judged_against_all_data() {
    let whole = Gaussian::new(0.0, 4.0).unwrap();
    let narrow = Gaussian::new(1.0, 1.0).unwrap();
    assert!((narrow.relative_spread(&whole.expected_stats(10.0)) - 0.25).abs() < TOLERANCE);
}

/// Steps from 10⁻⁶ to 1 standard deviations to every side.
pub(crate) fn neighbors(best: &Gaussian) -> Vec<Gaussian> {
    let mut neighbors = Vec::new();
    for step in [1e-6, 1e-3, 0.1, 1.0] {
        for (m, v) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (-1.0, -1.0)] {
            let variance = best.variance() * f64::exp(v * step);
            neighbors
                .push(Gaussian::new(best.mean() + m * step * best.std_dev(), variance).unwrap());
        }
    }
    neighbors
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let gaussian = Gaussian::new(0.1, 0.3).unwrap();
    let text = serde_json::to_string(&gaussian).unwrap();
    assert_eq!(serde_json::from_str::<Gaussian>(&text).unwrap(), gaussian);
    let error = serde_json::from_str::<Gaussian>(r#"{"mean": 0.0, "variance": -1.0}"#).unwrap_err();
    assert!(error.to_string().contains("variance is -1"), "{error}");
}
