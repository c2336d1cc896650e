//! The Bernoulli distribution obeys the laws of its traits; its oracle is counting.

use elbo_core::{EstimateError, Family, Statistics};
use elbo_dist::{Bernoulli, BernoulliStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

type Data = Of<Bernoulli, bool>;

/// Probabilities from 10⁻⁶ to 1 − 10⁻⁶, and the two ends.
fn bernoulli() -> impl Strategy<Value = Bernoulli> {
    let inside = (-14.0..14.0_f64).prop_map(|log_odds| 1.0 / (1.0 + (-log_odds).exp()));
    prop_oneof![8 => inside, 1 => Just(0.0), 1 => Just(1.0)]
        .prop_map(|probability| Bernoulli::new(probability).unwrap())
}

fn interior() -> impl Strategy<Value = Bernoulli> {
    (0.01..0.99_f64).prop_map(|probability| Bernoulli::new(probability).unwrap())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 2..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((any::<bool>(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (mut data, mut weights): (Vec<bool>, Vec<f64>) = rows.into_iter().unzip();
            (weights[0], weights[1]) = (first, first);
            (data[0], data[1]) = (false, true);
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((bernoulli(), sample()).prop_map(|(b, s)| s.stats(&b)));
}

mod family {
    use super::*;

    // ln(1 − p) of a p that is known within ε.
    const TERMS: f64 = 1e6;

    elbo_laws::family_laws!(bernoulli(), sample(), Just(Data::new(vec![true, false])), TERMS);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(bernoulli in interior(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&bernoulli, &sample.data, 1e2);
    }

    #[test]
    fn every_point_is_a_distribution(log_odds in -50.0..14.0_f64) {
        let shape = Bernoulli::new(0.5).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &[log_odds]);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in bernoulli(), sample in sample()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, |best| {
            let p = best.probability();
            [1e-6, 1e-3, 0.1, 1.0]
                .iter()
                .flat_map(|share| [p - share * p, p + share * (1.0 - p)])
                .map(|p| Bernoulli::new(p).unwrap())
                .collect()
        });
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in bernoulli(), sample in sample()) {
        let at = |best: &Bernoulli, step: &[f64]| {
            let (yes, no) = (best.probability() * step[0].exp(), 1.0 - best.probability());
            Bernoulli::new(yes / (yes + no)).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 1, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in bernoulli(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn estimates_are_relative_frequencies(start in bernoulli(), sample in sample()) {
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let successes: f64 = rows.filter(|(x, _)| **x).map(|(_, w)| w).sum();
        let stats = sample.stats(&start);
        let mut fitted = start;
        start.maximize(&stats, &mut fitted).unwrap();
        assert_close(stats.successes(), successes, sample.total_weight());
        assert_close(stats.failures(), sample.total_weight() - successes, sample.total_weight());
        assert_close(fitted.probability(), successes / sample.total_weight(), 1.0);
    }

    #[test]
    fn the_two_probabilities_tell_everything(b in bernoulli(), other in bernoulli(), u in 0.0..=1.0_f64) {
        let p = b.log_probability(true).exp();
        let q = b.log_probability(false).exp();
        assert_close(p, b.probability(), 1.0);
        assert_close(p + q, 1.0, 1.0);
        assert_close(b.cdf(false), q, 1.0);
        prop_assert_eq!(b.cdf(true), 1.0);
        let x = b.quantile(u);
        prop_assert!(b.cdf(x) >= u && (!x || b.cdf(false) < u));
        assert_close(b.mean(), p, 1.0);
        assert_close(b.variance(), p * q, 1.0);
        let sum = |f: &dyn Fn(bool) -> f64| {
            [true, false].iter().map(|x| {
                let p = b.log_probability(*x).exp();
                if p == 0.0 { 0.0 } else { p * f(*x) }
            }).sum::<f64>()
        };
        assert_close(b.entropy(), sum(&|x| -b.log_probability(x)), 1.0);
        let kl = sum(&|x| b.log_probability(x) - other.log_probability(x));
        assert_close(b.kl_divergence(&other), kl, 1e2); // logs of 10⁻⁶, whose ε is that of 1 − p
        prop_assert!(b.kl_divergence(&other) >= 0.0);
        prop_assert_eq!(b.kl_divergence(&b), 0.0);
    }
}

#[test]
fn draws_are_true_as_often_as_they_should_be() {
    let mut rng = rng(1);
    for p in [0.0, 0.3, 1.0] {
        let coin = Bernoulli::new(p).unwrap();
        let n = 10_000_u32;
        let count: u32 = (0..n).map(|_| u32::from(coin.sample(&mut rng))).sum();
        // Six standard deviations.
        let bound = 6.0 * (coin.variance() / f64::from(n)).sqrt();
        assert!((f64::from(count) / f64::from(n) - p).abs() <= bound, "{count} of {n} at {p}");
    }
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let start = Bernoulli::new(0.5).unwrap();
    let estimate = |sums: [f64; 2]| {
        let mut stats = BernoulliStats::default();
        stats.read_from(&sums);
        start.maximize(&stats, &mut start.clone())
    };
    assert!(matches!(estimate([0.0, 0.0]), Err(EstimateError::NoWeight { .. })));
    for bad in [[-1.0, 2.0], [2.0, -1.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn parameters_are_checked() {
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(Bernoulli::new(bad).is_err());
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let coin = Bernoulli::new(0.1).unwrap();
    let text = serde_json::to_string(&coin).unwrap();
    assert_eq!(serde_json::from_str::<Bernoulli>(&text).unwrap(), coin);
    let error = serde_json::from_str::<Bernoulli>(r#"{"probability": 2.0}"#).unwrap_err();
    assert!(error.to_string().contains("probability is 2"), "{error}");
}
