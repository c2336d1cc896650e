//! The binomial distribution obeys the laws of its traits; its oracles are Pascal's triangle and statrs.

use elbo_core::{DataError, EstimateError, Family, Statistics};
use elbo_dist::{Binomial, BinomialStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::DiscreteCDF;

use crate::rng;

type Data = Of<Binomial, u64>;

/// Trials of all samples.
const TRIALS: u64 = 300;

fn probability() -> impl Strategy<Value = f64> {
    (-10.0..10.0_f64).prop_map(|log_odds| 1.0 / (1.0 + (-log_odds).exp()))
}

/// Probabilities from 10⁻⁴ to 1 − 10⁻⁴, and the two ends.
fn binomial() -> impl Strategy<Value = Binomial> {
    prop_oneof![8 => probability(), 1 => Just(0.0), 1 => Just(1.0)]
        .prop_map(|p| Binomial::new(TRIALS, p).unwrap())
}

fn interior() -> impl Strategy<Value = Binomial> {
    (prop_oneof![1..20_u64, 1..2000_u64], probability())
        .prop_map(|(trials, p)| Binomial::new(trials, p).unwrap())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let count = prop_oneof![0..5_u64, 0..=TRIALS];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((count.clone(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<u64>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

/// At least one success and one failure.
fn mixed() -> impl Strategy<Value = WeightedSample<Data>> {
    sample().prop_map(|sample| {
        let mut rows = sample.data.rows().to_vec();
        rows[0] = rows[0].clamp(1, TRIALS - 1);
        WeightedSample::new(Of::new(rows), sample.weights)
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((binomial(), sample()).prop_map(|(b, s)| s.stats(&b)));
}

mod family {
    use super::*;

    // 300 logs of probabilities that are known within 10⁴ ε of themselves.
    const TERMS: f64 = 3e6;

    elbo_laws::family_laws!(
        binomial(),
        sample(),
        Just(Data::new(vec![u64::MAX, 0, 1 << 60])),
        TERMS
    );
}

mod univariate {
    use elbo_dist::Univariate;

    use super::*;

    elbo_laws::discrete_laws!(interior(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(p in probability(), sample in sample()) {
        let binomial = Binomial::new(TRIALS, p).unwrap();
        elbo_laws::parameters::coordinates_give_the_distribution_back(&binomial, &sample.data, 3e6);
    }

    #[test]
    fn every_point_is_a_distribution(log_odds in -50.0..14.0_f64) {
        let shape = Binomial::new(TRIALS, 0.5).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &[log_odds]);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in binomial(), sample in sample()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, |best| {
            let p = best.probability();
            [1e-6, 1e-3, 0.1, 1.0]
                .iter()
                .flat_map(|share| [p - share * p, p + share * (1.0 - p)])
                .map(|p| Binomial::new(TRIALS, p).unwrap())
                .collect()
        });
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in binomial(), sample in mixed()) {
        let at = |best: &Binomial, step: &[f64]| {
            let (yes, no) = (best.probability(), 1.0 - best.probability());
            let unit = (TRIALS as f64 * yes * no).sqrt().max(1.0);
            let yes = yes * (step[0] / unit).exp();
            Binomial::new(TRIALS, yes / (yes + no)).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 1, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in binomial(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn estimates_are_shares_of_trials(start in binomial(), sample in sample()) {
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let successes = rows.map(|(x, w)| w * *x as f64).sum::<f64>();
        let (weight, trials) = (sample.total_weight(), sample.total_weight() * TRIALS as f64);
        let stats = sample.stats(&start);
        assert_close(stats.total_weight(), weight, weight);
        assert_close(stats.successes(), successes, trials);
        assert_close(stats.failures(), trials - successes, trials);
        let mut fitted = start;
        start.maximize(&stats, &mut fitted).unwrap();
        assert_close(fitted.probability(), successes / trials, 1.0);
    }

    #[test]
    fn probabilities_come_from_the_triangle_of_pascal(trials in 1..60_u64, p in probability()) {
        let binomial = Binomial::new(trials, p).unwrap();
        // Every convolution with one more trial adds positive numbers.
        let mut row = vec![1.0_f64];
        row.resize(usize::try_from(trials).unwrap() + 1, 0.0);
        for _ in 0..trials {
            for x in (0..row.len()).rev() {
                row[x] = row[x] * (1.0 - p) + if x > 0 { row[x - 1] * p } else { 0.0 };
            }
        }
        for (x, expected) in (0..).zip(&row) {
            // 1 − p is known within ε of 1, which its power multiplies.
            let size = 1.0 + trials as f64 / (p * (1.0 - p)) * 1e-2;
            prop_assert!((binomial.log_probability(x) - expected.ln()).abs() <= 1e-12 * size);
        }
        let mut scores = vec![0.0; row.len()];
        binomial.log_density_into(&(0..=trials).collect::<Vec<_>>(), &mut scores);
        for (x, score) in (0..).zip(scores) {
            assert_close(score, binomial.log_probability(x), 1e3 + trials as f64 * 10.0);
        }
    }

    #[test]
    fn the_cdf_agrees_with_statrs(binomial in interior(), share in 0.0..=1.0_f64) {
        let other =
            statrs::distribution::Binomial::new(binomial.probability(), binomial.trials()).unwrap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the trials")]
        let x = (share * binomial.trials() as f64) as u64;
        prop_assert!((binomial.cdf(x) - other.cdf(x)).abs() < 1e-9);
    }

    #[test]
    fn divergences_agree_with_the_sum(a in interior(), p in probability()) {
        let b = Binomial::new(a.trials(), p).unwrap();
        let (f, c) = (|x| a.log_probability(x), |x| a.cdf(x));
        let q = |p| a.quantile(p);
        let of = elbo_laws::univariate::Discrete { log_probability: &f, cdf: &c, quantile: &q };
        let gap = |x: u64| if x > a.trials() { 0.0 } else { a.log_probability(x) - b.log_probability(x) };
        elbo_laws::univariate::expectation_agrees_with_the_sum(&of, a.kl_divergence(&b), &gap);
        prop_assert!(a.kl_divergence(&b) >= 0.0);
        prop_assert_eq!(a.kl_divergence(&a), 0.0);
    }
}

#[test]
fn many_trials_keep_their_digits() {
    // mpmath 1.3, 60 digits: binom.pmf by loggamma; entropy by its expansion ½ ln 2πeσ² + (4σ² − n)/(12 nσ²) …
    let fair = Binomial::new(1_000_000_000_000, 0.5).unwrap();
    let middle = fair.log_probability(500_000_000_000);
    let expected = 0.5 * (2.0 / (std::f64::consts::PI * 1e12)).ln(); // − 1/4n
    assert!((middle - expected).abs() < 1e-12, "{middle} {expected}");
    let entropy = 0.5 * (std::f64::consts::TAU * std::f64::consts::E * 0.25e12).ln();
    assert!((fair.entropy() - entropy).abs() < 1e-11, "{} {entropy}", fair.entropy());
    assert_eq!(fair.quantile(0.5), 500_000_000_000);
    // So rare that it is a Poisson of rate 1, up to 1/n.
    let rare = Binomial::new(10_u64.pow(18), 1e-18).unwrap();
    assert!((rare.cdf(0) - (-1.0_f64).exp()).abs() < 1e-15);
    assert!((rare.cdf(2) - 2.5 * (-1.0_f64).exp()).abs() < 1e-15);
}

#[test]
fn certainty_is_a_point_mass() {
    let (never, always) = (Binomial::new(7, 0.0).unwrap(), Binomial::new(7, 1.0).unwrap());
    assert_eq!((never.log_probability(0), never.log_probability(1)), (0.0, f64::NEG_INFINITY));
    assert_eq!((always.log_probability(7), always.log_probability(6)), (0.0, f64::NEG_INFINITY));
    assert_eq!((never.cdf(0), always.cdf(6), always.cdf(7)), (1.0, 0.0, 1.0));
    assert_eq!((never.quantile(1.0), always.quantile(0.5), always.quantile(1.0)), (0, 7, 7));
    assert_eq!((never.entropy(), always.entropy()), (0.0, 0.0));
    assert_eq!(never.kl_divergence(&always), f64::INFINITY);
    assert_eq!((never.sample(&mut rng(0)), always.sample(&mut rng(0))), (0, 7));
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let start = Binomial::new(7, 0.5).unwrap();
    let estimate = |sums: [f64; 3]| {
        let mut stats = BinomialStats::default();
        stats.read_from(&sums);
        start.maximize(&stats, &mut start.clone())
    };
    assert!(matches!(estimate([0.0; 3]), Err(EstimateError::NoWeight { .. })));
    let infinite = [1.0, f64::INFINITY, 0.0];
    for bad in
        [[0.0, 1.0, 6.0], [-1.0, -3.0, -4.0], [1.0, -1.0, 8.0], [1.0, f64::NAN, 1.0], infinite]
    {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(Binomial::new(3, bad).is_err());
    }
    assert!(Binomial::new(0, 0.5).is_err());
    let binomial = Binomial::new(3, 0.5).unwrap();
    assert_eq!(binomial.check(&[0, 3, 1]), Ok(()));
    let error = binomial.check(&[0, 3, 4]).unwrap_err();
    assert!(matches!(error, DataError::Support { row: 2, column: 0, value: 4.0, .. }), "{error}");
    assert_eq!(binomial.log_probability(4), f64::NEG_INFINITY);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let binomial = Binomial::new(3, 0.1).unwrap();
    let text = serde_json::to_string(&binomial).unwrap();
    assert_eq!(serde_json::from_str::<Binomial>(&text).unwrap(), binomial);
    let error =
        serde_json::from_str::<Binomial>(r#"{"trials": 3, "probability": 2.0}"#).unwrap_err();
    assert!(error.to_string().contains("probability is 2"), "{error}");
}
