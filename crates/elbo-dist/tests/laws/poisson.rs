//! The Poisson distribution obeys the laws of its traits, and agrees with the textbook sum and with statrs.

use elbo_core::{EstimateError, Family, Statistics};
use elbo_dist::{Poisson, PoissonStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Discrete, DiscreteCDF};

use crate::rng;

type Data = Of<Poisson, u64>;

/// `ln p(λ + √λ)` at `λ = 10¹²`.
const LN_P: f64 = -15.234_449_424_502_197;

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

mod univariate {
    use elbo_dist::Univariate;

    use super::*;

    // Sums of some hundred probabilities stay within the law's 10⁻¹¹.
    fn moderate() -> impl Strategy<Value = Poisson> {
        (-7.0..6.0_f64).prop_map(|log_rate| Poisson::new(log_rate.exp()).unwrap())
    }

    elbo_laws::discrete_laws!(moderate(), rng);

    proptest! {
        #[test]
        fn divergences_agree_with_the_sum(a in moderate(), b in moderate()) {
            let (f, c) = (|x| a.log_probability(x), |x| a.cdf(x));
            let q = |p| a.quantile(p);
            let of = elbo_laws::univariate::Discrete { log_probability: &f, cdf: &c, quantile: &q };
            let gap = |x| a.log_probability(x) - b.log_probability(x);
            elbo_laws::univariate::expectation_agrees_with_the_sum(&of, a.kl_divergence(&b), &gap);
            prop_assert!(a.kl_divergence(&b) >= 0.0);
            prop_assert_eq!(a.kl_divergence(&a), 0.0);
        }
    }
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(log_rate in -7.0..9.0_f64, sample in sample()) {
        let poisson = Poisson::new(log_rate.exp()).unwrap();
        elbo_laws::parameters::coordinates_give_the_distribution_back(&poisson, &sample.data, 3e4);
    }

    #[test]
    fn every_point_is_a_distribution(log_rate in -50.0..50.0_f64) {
        let shape = Poisson::new(1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &[log_rate]);
    }

    #[test]
    fn scores_are_log_probabilities(poisson in poisson(), x in 0..3000_u64) {
        let mut score = [0.0];
        poisson.log_density_into(&[x], &mut score);
        let log_probability = poisson.log_probability(x);
        let terms = poisson.rate() + x as f64 * 10.0; // |x ln λ| and ln x!
        assert_close(score[0], log_probability, terms + 1.0);
    }

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
fn large_rates_keep_their_digits() {
    // mpmath 1.3, 60 digits: x·log(λ) − λ − loggamma(x + 1) at λ = 10¹², x = λ + 10⁶.
    let poisson = Poisson::new(1e12).unwrap();
    let at_one_sigma = poisson.log_probability(1_000_001_000_000);
    assert!((at_one_sigma - LN_P).abs() < 1e-11, "{at_one_sigma} {LN_P}");
    // Entropy: ½ ln 2πeλ − 1/12λ − …; the median is ⌊λ + 1/3⌋ or one less (Choi 1994).
    for rate in [100.5, 3e4, 1e12, 1e18] {
        let poisson = Poisson::new(rate).unwrap();
        let entropy = 0.5 * (std::f64::consts::TAU * std::f64::consts::E * rate).ln()
            - 1.0 / (12.0 * rate)
            - 1.0 / (24.0 * rate * rate)
            - 19.0 / (360.0 * rate * rate * rate);
        assert!((poisson.entropy() - entropy).abs() < rate.powi(-4) + 1e-12 * entropy);
    }
    for rate in [1e8, 1e12, 1e15] {
        let poisson = Poisson::new(rate).unwrap();
        assert_eq!(poisson.quantile(0.5) as f64, rate);
        for p in [1e-300, 1e-9, 0.1, 0.9, 1.0 - 1e-12] {
            let x = poisson.quantile(p);
            assert!(poisson.cdf(x) >= p && poisson.cdf(x - 1) < p, "{rate} {p}");
        }
    }
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
