//! The beta-binomial obeys the laws of its traits; its oracles are the textbook formula, `ψ` summed count by count, and
//! the binomial and uniform distributions that it contains.

use elbo_core::{DataError, EstimateError, Family, Statistics, fit_single};
use elbo_dist::{
    BetaBinomial, Binomial,
    special::{digamma, ln_gamma},
};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

type Data = Of<BetaBinomial, u64>;

/// Trials of all samples: beyond the table of small counts.
const TRIALS: u64 = 1000;

fn of(trials: u64, a: f64, b: f64) -> BetaBinomial {
    BetaBinomial::new(trials, a, b).unwrap()
}

fn beta_binomial() -> impl Strategy<Value = BetaBinomial> {
    (-3.0..5.0_f64, -3.0..5.0_f64).prop_map(|(a, b)| of(TRIALS, a.exp(), b.exp()))
}

/// More varied than a binomial, not all at the ends; at times more than one block.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let count = prop_oneof![1 => 0..5_u64, 2 => 0..=TRIALS, 1 => TRIALS - 3..=TRIALS];
    let size = prop_oneof![9 => 3..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((count.clone(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (mut data, mut weights): (Vec<u64>, Vec<f64>) = rows.into_iter().unzip();
            data[..3].copy_from_slice(&[20, 300, 800]);
            weights[..3].fill(first);
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!(sample().prop_map(|s| s.stats(&of(TRIALS, 1.0, 1.0))));
}

mod family {
    use super::*;

    // a and b are known within 10⁴ ε of themselves, and 1000 trials depend on them.
    const TERMS: f64 = 1e6;

    elbo_laws::family_laws!(
        beta_binomial(),
        sample(),
        Just(Data::new(vec![u64::MAX, 0, TRIALS])),
        TERMS
    );
}

mod univariate {
    use elbo_dist::Univariate;

    use super::*;

    fn small() -> impl Strategy<Value = BetaBinomial> {
        (1..60_u64, -3.0..5.0_f64, -3.0..5.0_f64).prop_map(|(n, a, b)| of(n, a.exp(), b.exp()))
    }

    elbo_laws::discrete_laws!(small(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(a in beta_binomial(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&a, &sample.data, 1e6);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        elbo_laws::parameters::every_point_is_a_distribution(&of(9, 1.0, 1.0), &flat);
    }

    #[test]
    fn probabilities_agree_with_the_formula(family in beta_binomial(), x in 0..=TRIALS) {
        let (a, b, n, x_) = (family.a(), family.b(), TRIALS as f64, x as f64);
        let terms = [
            ln_gamma(n + 1.0), -ln_gamma(x_ + 1.0), -ln_gamma(n - x_ + 1.0),
            ln_gamma(a + x_), ln_gamma(b + n - x_), -ln_gamma(a + b + n),
            ln_gamma(a + b), -ln_gamma(a), -ln_gamma(b),
        ];
        let size: f64 = terms.iter().map(|t| t.abs()).sum();
        assert_close(family.log_probability(x), terms.iter().sum(), 1.0 + size);
        let mut score = [0.0];
        family.log_density_into(&[x], &mut score);
        prop_assert_eq!(score[0], family.log_probability(x));
    }

    #[test]
    fn the_score_vanishes_count_by_count(start in beta_binomial(), sample in sample()) {
        let mut best = start;
        start.maximize(&sample.stats(&start), &mut best).unwrap();
        let (a, b, n) = (best.a(), best.b(), TRIALS as f64);
        let rows = || sample.data.rows().iter().map(|x| *x as f64).zip(&sample.weights);
        let of_a: f64 = rows().map(|(x, w)| w * a * (digamma(a + x) - digamma(a))).sum();
        let of_b: f64 = rows().map(|(x, w)| w * b * (digamma(b + n - x) - digamma(b))).sum();
        let all = sample.total_weight() * (digamma(a + b + n) - digamma(a + b));
        // Newton's steps end where the value rises no more: a slope of √ε.
        prop_assert!((of_a - a * all).abs() <= 1e-7 * (of_a + a * all), "{of_a} {}", a * all);
        prop_assert!((of_b - b * all).abs() <= 1e-7 * (of_b + b * all), "{of_b} {}", b * all);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in beta_binomial(), sample in sample()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, |best| {
            let mut neighbors = Vec::new();
            for step in [1e-6, 1e-3, 0.1, 1.0_f64] {
                for (s, m) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0)] {
                    let factor = |sign: f64| (sign * step).exp();
                    neighbors.push(of(TRIALS, best.a() * factor(s), best.b() * factor(m)));
                }
            }
            neighbors
        });
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in beta_binomial(), sample in sample()) {
        let at = |best: &BetaBinomial, step: &[f64]| {
            of(TRIALS, best.a() * step[0].exp(), best.b() * step[1].exp())
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(
        a in -2.0..3.0_f64, b in -2.0..3.0_f64, seed in any::<u64>()
    ) {
        let truth = of(TRIALS, a.exp(), b.exp());
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn divergences_agree_with_the_sum(
        a in prop::array::uniform2(-2.0..4.0_f64), b in prop::array::uniform2(-2.0..4.0_f64)
    ) {
        let (p, q) = (of(50, a[0].exp(), a[1].exp()), of(50, b[0].exp(), b[1].exp()));
        let gap = |x| p.log_probability(x) - q.log_probability(x);
        let sum: f64 = (0..=50).map(|x| p.log_probability(x).exp() * gap(x)).sum();
        assert_close(p.kl_divergence(&q), sum, 1e2);
        prop_assert!(p.kl_divergence(&q) >= 0.0);
        prop_assert_eq!(p.kl_divergence(&p), 0.0);
    }
}

#[test]
fn shapes_of_one_are_uniform() {
    for trials in [5, 300, 1_000_000_000_000] {
        let flat = of(trials, 1.0, 1.0);
        let n = trials as f64 + 1.0;
        for x in [0, 1, trials / 3, trials / 2, trials - 1] {
            assert!((flat.log_probability(x) + n.ln()).abs() < 1e-12, "{trials} {x}");
            assert!((flat.cdf(x) - (x as f64 + 1.0) / n).abs() < 1e-12, "{trials} {x}");
        }
        assert!((flat.entropy() - n.ln()).abs() < 1e-11, "{trials}: {}", flat.entropy());
    }
}

#[test]
fn large_shapes_are_a_binomial() {
    let (near, binomial) = (of(100_000, 3e14, 7e14), Binomial::new(100_000, 0.3).unwrap());
    for x in [29_000, 30_000, 30_100] {
        let gap = near.log_probability(x) - binomial.log_probability(x);
        assert!(gap.abs() < 1e-8, "{x}: {gap}");
        assert!((near.cdf(x) - binomial.cdf(x)).abs() < 1e-9, "{x}");
    }
    assert!((near.entropy() - binomial.entropy()).abs() < 1e-9);
}

#[test]
fn one_pass_is_the_whole_fit() {
    let mut rng = rng(5);
    let truth = of(3000, 0.7, 300.0);
    let draws: Vec<u64> = (0..2000).map(|_| truth.sample(&mut rng)).collect();
    let fit = fit_single(of(3000, 1e6, 1.0), &draws[..]).unwrap();
    let mut once = truth;
    truth.maximize(&fit.stats, &mut once).unwrap();
    assert_eq!(once, fit.params);
    assert!(fit.report.iterations <= 3, "{:?}", fit.report);
}

#[test]
fn data_without_a_maximum_are_told() {
    let start = of(10, 1.0, 1.0);
    let estimate = |counts: &[u64]| {
        let sample = WeightedSample::new(Data::new(counts.to_vec()), vec![1.0; counts.len()]);
        start.maximize(&sample.stats(&start), &mut start.clone())
    };
    for (counts, cure) in [
        (&[4, 5, 6][..], "use a binomial"),
        (&[5, 5], "use a binomial"),
        (&[0, 0], "use a binomial"),
        (&[10, 10], "use a binomial"),
        (&[0, 10, 10], "Bernoulli"),
    ] {
        let error = estimate(counts).unwrap_err();
        assert!(matches!(error, EstimateError::Boundary { .. }), "{counts:?}: {error}");
        assert!(error.to_string().contains(cure), "{counts:?}: {error}");
    }
    let nothing = start.maximize(&start.new_stats(), &mut start.clone());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { .. })));
    let sample = WeightedSample::new(Data::new(vec![0, 9]), vec![1.0; 2]);
    for factor in [-1.0, f64::NAN, f64::INFINITY] {
        let mut bad = sample.stats(&start);
        bad.scale(factor);
        let result = start.maximize(&bad, &mut start.clone());
        assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{factor}: {result:?}");
    }
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(BetaBinomial::new(3, 1.0, bad).is_err() && BetaBinomial::new(3, bad, 1.0).is_err());
    }
    assert!(BetaBinomial::new(0, 1.0, 1.0).is_err());
    let family = of(3, 1.0, 1.0);
    assert_eq!(family.check(&[0, 3, 1]), Ok(()));
    let error = family.check(&[0, 3, 4]).unwrap_err();
    assert!(matches!(error, DataError::Support { row: 2, column: 0, value: 4.0, .. }), "{error}");
    assert_eq!(family.moved_to(&[3], 0).unwrap(), of(3, 1.5, 0.5));
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let family = of(3, 0.1, 3.5);
    let text = serde_json::to_string(&family).unwrap();
    assert_eq!(serde_json::from_str::<BetaBinomial>(&text).unwrap(), family);
    let error =
        serde_json::from_str::<BetaBinomial>(r#"{"trials": 3, "a": -1.0, "b": 1.0}"#).unwrap_err();
    assert!(error.to_string().contains("a is -1"), "{error}");
}
