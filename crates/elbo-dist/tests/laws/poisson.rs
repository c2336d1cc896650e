//! The Poisson distribution obeys the laws of its traits, and agrees with the textbook sum and with statrs.

use elbo_core::{EstimateError, Family, Statistics};
use elbo_dist::{Poisson, PoissonStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Discrete, DiscreteCDF};

use crate::rng;

type Data = Of<Poisson, u64>;

/// Rates from 10⁻³ to 10⁴, and zero.
fn poisson() -> impl Strategy<Value = Poisson> {
    let rate = prop_oneof![9 => (-7.0..9.0_f64).prop_map(f64::exp), 1 => Just(0.0)];
    rate.prop_map(|rate| Poisson::new(rate).unwrap())
}

/// Counts below and above the table of factorials; at times more than one block.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let count = prop_oneof![2 => 0..5_u64, 2 => 0..100_u64, 1 => 200..3000_u64];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((count.clone(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<u64>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((poisson(), sample()).prop_map(|(p, s)| s.stats(&p)));
}

mod family {
    use super::*;

    // x ln λ and ln x! nearly cancel, at x = 3000 from 2·10⁴ to 5.
    const TERMS: f64 = 3e4;

    elbo_laws::family_laws!(
        poisson(),
        sample(),
        Just(Data::new(vec![u64::MAX, 0, 1 << 60])),
        TERMS
    );
}

proptest! {
    #[test]
    fn no_neighbor_is_more_likely(start in poisson(), sample in sample()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in poisson(), sample in sample()) {
        prop_assume!(sample.stats(&start).events() > 0.0); // a rate of zero has no two sides
        let at = |best: &Poisson, step: &[f64]| {
            Poisson::new(best.rate() * (step[0] / best.rate().sqrt().max(1.0)).exp()).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 1, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in poisson(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn the_estimate_is_the_weighted_mean(start in poisson(), sample in sample()) {
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let mean = rows.map(|(x, w)| w * *x as f64).sum::<f64>() / sample.total_weight();
        let mut fitted = start;
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        assert_close(fitted.rate(), mean, mean);
    }

    #[test]
    fn probabilities_agree_with_statrs(poisson in poisson(), x in 0..3000_u64) {
        prop_assume!(poisson.rate() > 0.0);
        let other = statrs::distribution::Poisson::new(poisson.rate()).unwrap();
        let terms = poisson.rate() + x as f64 * (poisson.rate().ln().abs() + (x as f64 + 2.0).ln());
        // statrs takes ln Γ by a Lanczos sum, good to 1e-13 of its size.
        assert_close(poisson.log_probability(x), other.ln_pmf(x), 10.0 * terms);
        prop_assert!((poisson.cdf(x) - other.cdf(x)).abs() < 1e-8);
    }

    #[test]
    fn probabilities_below_a_count_add_up_to_the_cdf(poisson in poisson(), x in 0..400_u64) {
        let sum: f64 = (0..=x).map(|x| poisson.log_probability(x).exp()).sum();
        // e^ℓ has the absolute rounding of ℓ, some 10⁴ ulps of terms of size λ, relative to itself.
        prop_assert!((poisson.cdf(x) - sum).abs() <= 1e-9, "{} {sum}", poisson.cdf(x));
    }
}

#[test]
fn a_rate_of_zero_is_a_point_mass_at_zero() {
    let never = Poisson::new(0.0).unwrap();
    assert_eq!(never.log_probability(0), 0.0);
    assert_eq!(never.log_probability(1), f64::NEG_INFINITY);
    assert_eq!((never.sample(&mut rng(0)), never.cdf(0)), (0, 1.0));
    let sample = WeightedSample::new(Data::new(vec![0; 5]), vec![1.0; 5]);
    let start = Poisson::new(1.0).unwrap();
    let mut fitted = start;
    start.maximize(&sample.stats(&start), &mut fitted).unwrap();
    assert_eq!(fitted, never);
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let start = Poisson::new(1.0).unwrap();
    let estimate = |sums: [f64; 2]| {
        let mut stats = PoissonStats::default();
        stats.read_from(&sums);
        start.maximize(&stats, &mut start.clone())
    };
    assert!(matches!(estimate([0.0, 0.0]), Err(EstimateError::NoWeight { .. })));
    for bad in [[0.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn parameters_are_checked() {
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Poisson::new(rate).is_err());
    }
}

/// Rates at relative distances from 10⁻⁶ to 1 on both sides, and some near zero.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
pub(crate) fn neighbors(best: &Poisson) -> Vec<Poisson> {
    let rates = [1e-6, 1e-3, 0.1, 1.0]
        .map(|step| [best.rate() * (1.0 - step), best.rate() * (1.0 + step), step]);
    rates.as_flattened().iter().map(|rate| Poisson::new(*rate).unwrap()).collect()
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let poisson = Poisson::new(0.1).unwrap();
    let text = serde_json::to_string(&poisson).unwrap();
    assert_eq!(serde_json::from_str::<Poisson>(&text).unwrap(), poisson);
    let error = serde_json::from_str::<Poisson>(r#"{"rate": -1.0}"#).unwrap_err();
    assert!(error.to_string().contains("rate is -1"), "{error}");
}
