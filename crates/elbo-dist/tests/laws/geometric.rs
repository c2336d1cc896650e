//! The geometric distribution obeys the laws of its traits; its oracle is the textbook sum.

use elbo_core::{EstimateError, Family, Statistics};
use elbo_dist::{Geometric, GeometricStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

type Data = Of<Geometric, u64>;

/// Probabilities from 10⁻⁴ on, and 1.
fn geometric() -> impl Strategy<Value = Geometric> {
    let p = prop_oneof![9 => (-9.0..-1e-3_f64).prop_map(f64::exp), 1 => Just(1.0)];
    p.prop_map(|p| Geometric::new(p).unwrap())
}

/// Means up to some thousand.
fn moderate() -> impl Strategy<Value = Geometric> {
    (-7.0..-0.01_f64).prop_map(|ln_p| Geometric::new(ln_p.exp()).unwrap())
}

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

    elbo_laws::statistics_laws!((geometric(), sample()).prop_map(|(g, s)| s.stats(&g)));
}

mod family {
    use super::*;

    // Up to 3000 failures, each costing ln(1 − p), whose p near 1 is known within ε.
    const TERMS: f64 = 3e6;

    elbo_laws::family_laws!(
        geometric(),
        sample(),
        Just(Data::new(vec![u64::MAX, 0, 1 << 60])),
        TERMS
    );
}

mod univariate {
    use elbo_dist::Univariate;

    use super::*;

    elbo_laws::discrete_laws!(moderate(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(geometric in moderate(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&geometric, &sample.data, 1e5);
    }

    #[test]
    fn every_point_is_a_distribution(log_odds in -50.0..14.0_f64) {
        let shape = Geometric::new(0.5).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &[log_odds]);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in geometric(), sample in sample()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, |best| {
            let p = best.probability();
            [1e-6, 1e-3, 0.1, 0.9]
                .iter()
                .flat_map(|share| [p - share * p, p + share * (1.0 - p)])
                .map(|p| Geometric::new(p).unwrap())
                .collect()
        });
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in geometric(), sample in sample()) {
        prop_assume!(sample.stats(&start).failures() > 0.0); // a probability of one has no two sides
        let at = |best: &Geometric, step: &[f64]| {
            let (yes, no) = (best.probability() * step[0].exp(), 1.0 - best.probability());
            Geometric::new(yes / (yes + no)).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 1, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in geometric(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn the_estimate_has_the_weighted_mean(start in geometric(), sample in sample()) {
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let mean = rows.map(|(x, w)| w * *x as f64).sum::<f64>() / sample.total_weight();
        let mut fitted = start;
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        assert_close(fitted.mean(), mean, 1.0 + mean);
    }

    #[test]
    fn probabilities_are_those_of_trials(geometric in geometric(), x in 0..3000_u64) {
        let (p, q) = (geometric.probability(), 1.0 - geometric.probability());
        let expected = p * q.powi(i32::try_from(x).unwrap());
        // q is rounded, x times.
        prop_assert!((geometric.log_probability(x).exp() - expected).abs() <= 1e-12 * p);
    }

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

#[test]
fn tiny_probabilities_keep_their_digits() {
    let rare = Geometric::new(1e-18).unwrap();
    // P(X ≤ x) = 1 − e^−(x+1)p up to p
    let x = 1_u64 << 60;
    let expected = -(-(x as f64) * 1e-18).exp_m1();
    assert_close(rare.cdf(x), expected, expected);
    let median = rare.quantile(0.5) as f64;
    assert_close(median, 1e18 * std::f64::consts::LN_2, 1e18);
}

#[test]
fn sure_success_is_a_point_mass_at_zero() {
    let sure = Geometric::new(1.0).unwrap();
    assert_eq!((sure.log_probability(0), sure.log_probability(1)), (0.0, f64::NEG_INFINITY));
    assert_eq!((sure.sample(&mut rng(0)), sure.cdf(0), sure.entropy()), (0, 1.0, 0.0));
    assert_eq!((sure.quantile(0.0), sure.quantile(0.7), sure.quantile(1.0)), (0, 0, 0));
    let sample = WeightedSample::new(Data::new(vec![0; 5]), vec![1.0; 5]);
    let start = Geometric::new(0.5).unwrap();
    let mut fitted = start;
    start.maximize(&sample.stats(&start), &mut fitted).unwrap();
    assert_eq!(fitted, sure);
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let start = Geometric::new(0.5).unwrap();
    let estimate = |sums: [f64; 2]| {
        let mut stats = GeometricStats::default();
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
    for bad in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(Geometric::new(bad).is_err());
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let geometric = Geometric::new(0.1).unwrap();
    let text = serde_json::to_string(&geometric).unwrap();
    assert_eq!(serde_json::from_str::<Geometric>(&text).unwrap(), geometric);
    let error = serde_json::from_str::<Geometric>(r#"{"probability": 0.0}"#).unwrap_err();
    assert!(error.to_string().contains("probability is 0"), "{error}");
}
