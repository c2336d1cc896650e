//! The negative binomial obeys the laws of its traits; its oracles are the textbook formulas, `ψ` summed count by count,
//! and optima of 40 digits.

use elbo_core::{EstimateError, Family, Statistics, fit_single};
use elbo_dist::{
    NegativeBinomial,
    special::{digamma, ln_gamma},
};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::DiscreteCDF;

use crate::rng;

type Data = Of<NegativeBinomial, u64>;

/// Sizes from 0.05 to 3000, means from 0.02 to 1000.
fn negative_binomial() -> impl Strategy<Value = NegativeBinomial> {
    (-3.0..8.0_f64, -4.0..7.0_f64).prop_map(|(size, mean)| of(size.exp(), mean.exp()))
}

fn of(size: f64, mean: f64) -> NegativeBinomial {
    NegativeBinomial::new(size, mean).unwrap()
}

/// Counts below and above the table; at times more than one block. A zero and a large count of equal weights at the start,
/// so that they vary more than a Poisson.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let count = prop_oneof![2 => 0..5_u64, 2 => 0..100_u64, 1 => 200..3000_u64];
    let size = prop_oneof![9 => 2..40_usize, 1 => 260..300_usize];
    (size, 50..1_000_000_u64).prop_flat_map(move |(n, large)| {
        (vec((count.clone(), weight.clone()), n), 0.1..2.0).prop_map(move |(rows, first)| {
            let (mut data, mut weights): (Vec<u64>, Vec<f64>) = rows.into_iter().unzip();
            (data[0], data[1], weights[0], weights[1]) = (0, large, first, first);
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

fn overdispersed() -> impl Strategy<Value = WeightedSample<Data>> {
    sample().prop_filter("no more varied than a Poisson", |sample| {
        let rows = || sample.data.rows().iter().map(|x| *x as f64).zip(&sample.weights);
        let mean = rows().map(|(x, w)| w * x).sum::<f64>() / sample.total_weight();
        rows().map(|(x, w)| w * (x - mean).powi(2)).sum::<f64>()
            > 1.01 * mean * sample.total_weight()
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!(sample().prop_map(|s| s.stats(&of(1.0, 1.0))));
}

mod family {
    use super::*;

    // 1/r is known within ε, r within r·ε of itself; it weighs as much as the counts: 3000 times 3000.
    const TERMS: f64 = 1e7;

    fn small() -> impl Strategy<Value = WeightedSample<Data>> {
        sample().prop_map(|sample| {
            let rows = sample.data.rows().iter().map(|x| x % 3000).collect();
            WeightedSample::new(Of::new(rows), sample.weights)
        })
    }

    elbo_laws::family_laws!(
        negative_binomial(),
        small(),
        Just(Data::new(vec![u64::MAX, 0, 1 << 60])),
        TERMS
    );
}

mod univariate {
    use elbo_dist::Univariate;

    use super::*;

    fn moderate() -> impl Strategy<Value = NegativeBinomial> {
        (-1.0..8.0_f64, -4.0..5.0_f64).prop_map(|(size, mean)| of(size.exp(), mean.exp()))
    }

    elbo_laws::discrete_laws!(moderate(), rng);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn divergences_agree_with_the_sum(a in moderate(), b in moderate()) {
            let (f, c) = (|x| a.log_probability(x), |x| a.cdf(x));
            let q = |p| a.quantile(p);
            let law = elbo_laws::univariate::Discrete { log_probability: &f, cdf: &c, quantile: &q };
            let gap = |x| a.log_probability(x) - b.log_probability(x);
            elbo_laws::univariate::expectation_agrees_with_the_sum(&law, a.kl_divergence(&b), &gap);
            prop_assert!(a.kl_divergence(&b) >= 0.0);
            prop_assert_eq!(a.kl_divergence(&a), 0.0);
        }
    }
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(a in negative_binomial(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&a, &sample.data, 1e6);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        elbo_laws::parameters::every_point_is_a_distribution(&of(1.0, 1.0), &flat);
    }

    #[test]
    fn probabilities_agree_with_the_formula(a in negative_binomial(), x in 0..3000_u64) {
        let (r, m, y) = (a.size(), a.mean(), x as f64);
        let gammas = [ln_gamma(r + y), -ln_gamma(r), -ln_gamma(y + 1.0)];
        let powers = [r * (r / (r + m)).ln(), y * (m / (r + m)).ln()];
        let terms = gammas.iter().chain(&powers);
        let size: f64 = terms.clone().map(|t| t.abs()).sum();
        assert_close(a.log_probability(x), terms.sum(), 1.0 + size);
        let mut score = [0.0];
        a.log_density_into(&[x], &mut score);
        prop_assert_eq!(score[0], a.log_probability(x));
    }

    #[test]
    fn the_cdf_agrees_with_statrs(a in negative_binomial(), x in 0..3000_u64) {
        let other = statrs::distribution::NegativeBinomial::new(a.size(), a.probability()).unwrap();
        prop_assert!((a.cdf(x) - other.cdf(x)).abs() < 1e-8);
    }

    #[test]
    fn the_score_vanishes_count_by_count(start in negative_binomial(), sample in overdispersed()) {
        let mut best = start;
        start.maximize(&sample.stats(&start), &mut best).unwrap();
        let rows = || sample.data.rows().iter().map(|x| *x as f64).zip(&sample.weights);
        let (r, weight) = (best.size(), sample.total_weight());
        let mean = rows().map(|(x, w)| w * x).sum::<f64>() / weight;
        assert_close(best.mean(), mean, mean);
        let sum: f64 = rows().map(|(x, w)| w * (digamma(r + x) - digamma(r))).sum();
        let expected = weight * (mean / r).ln_1p();
        let size = weight * (digamma(r).abs() + digamma(r + mean).abs() + 15.0);
        assert_close(sum, expected, size);
    }

    #[test]
    fn the_start_does_not_matter(a in negative_binomial(), sample in overdispersed()) {
        let (mut from_a, mut from_b) = (a, a);
        a.maximize(&sample.stats(&a), &mut from_a).unwrap();
        let far = of(a.size() * 1e6, a.mean() * 1e-6);
        far.maximize(&sample.stats(&far), &mut from_b).unwrap();
        prop_assert_eq!(from_a, from_b);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in negative_binomial(), sample in overdispersed()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, |best| {
            let mut neighbors = Vec::new();
            for step in [1e-6, 1e-3, 0.1, 1.0_f64] {
                for (s, m) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, -1.0)] {
                    let factor = |sign: f64| (sign * step).exp();
                    neighbors.push(of(best.size() * factor(s), best.mean() * factor(m)));
                }
            }
            neighbors
        });
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in negative_binomial(), sample in overdispersed()) {
        let at = |best: &NegativeBinomial, step: &[f64]| {
            let unit = best.mean() / best.variance().sqrt();
            of(best.size() * step[0].exp(), best.mean() * (step[1] / unit.max(1.0)).exp())
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(
        size in -2.0..2.0_f64, mean in 1.0..9.0_f64, seed in any::<u64>()
    ) {
        let truth = of(size.exp(), mean.exp());
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }
}

#[test]
fn fits_agree_with_optima_of_forty_digits() {
    // mpmath 1.3: findroot of Σw[ψ(r + x) − ψ(r)] − Σw ln(1 + m/r).
    let cases: [(&[u64], &[f64], f64); 4] = [
        (&[0, 0, 1, 2, 7, 0, 3, 1, 12, 0], &[1.0; 10], 0.485_237_862_315_298_5),
        (
            &[3, 1000, 250, 256, 70_000, 12],
            &[1.0, 2.0, 0.5, 1.0, 1.5, 1.0],
            0.204_136_953_253_050_4,
        ),
        (
            &[1_000_000_000, 1_000_300_000, 999_800_000, 1_000_100_000],
            &[1.0; 4],
            31_749_256.043_683_22,
        ),
        (&[0, 1, 1, 2, 0, 1, 1, 4], &[1.0; 8], 9.657_195_903_754_806),
    ];
    for (counts, weights, size) in cases {
        let sample = WeightedSample::new(Data::new(counts.to_vec()), weights.to_vec());
        for start in [of(1e-6, 1.0), of(1.0, 5.0), of(1e6, 100.0)] {
            let mut best = start;
            start.maximize(&sample.stats(&start), &mut best).unwrap();
            // 1/r is known within some 10⁻¹³.
            assert!((best.size() / size - 1.0).abs() < 1e-13 * (1.0 + size), "{best:?} {size}");
        }
    }
}

#[test]
fn one_pass_is_the_whole_fit() {
    let mut rng = rng(5);
    let truth = of(0.7, 300.0);
    let draws: Vec<u64> = (0..2000).map(|_| truth.sample(&mut rng)).collect();
    let fit = fit_single(of(1e6, 1.0), &draws[..]).unwrap();
    let mut once = truth;
    truth.maximize(&fit.stats, &mut once).unwrap();
    assert_eq!(once, fit.params);
    assert!(fit.report.iterations <= 3, "{:?}", fit.report);
}

#[test]
fn large_counts_have_the_entropy_of_their_rates() {
    // Counts near 10⁹ vary as their gamma distributed rates do: r + ln(μ/r) + ln Γ(r) + (1 − r) ψ(r), up to 1/μ.
    for r in [3.0, 40.0, 1e4] {
        let of_rates = r + (1e9_f64 / r).ln() + ln_gamma(r) + (1.0 - r) * digamma(r);
        let entropy = of(r, 1e9).entropy();
        // the variance exceeds that of the rates by a share of r/μ
        assert!((entropy - of_rates).abs() < r / 1e9 + 1e-10 * r, "{r}: {entropy} {of_rates}");
    }
}

#[test]
fn a_mean_of_zero_is_a_point_mass_at_zero() {
    let never = of(2.0, 0.0);
    assert_eq!((never.log_probability(0), never.log_probability(1)), (0.0, f64::NEG_INFINITY));
    assert_eq!((never.cdf(0), never.quantile(1.0), never.entropy()), (1.0, 0, 0.0));
    assert_eq!(never.sample(&mut rng(0)), 0);
}

#[test]
fn data_without_a_maximum_are_told() {
    let start = of(1.0, 1.0);
    let estimate = |counts: &[u64]| {
        let sample = WeightedSample::new(Data::new(counts.to_vec()), vec![1.0; counts.len()]);
        start.maximize(&sample.stats(&start), &mut start.clone())
    };
    // Variance below the mean; equal to it; nothing but zeros.
    let million = 1_000_000;
    for counts in [&[2, 3, 2][..], &[0, 0, 2, 2, 1, 1, 1, 1], &[0, 2], &[0, 0], &[million; 5]] {
        let error = estimate(counts).unwrap_err();
        assert!(matches!(error, EstimateError::Boundary { .. }), "{counts:?}: {error}");
        assert!(error.to_string().contains("use a Poisson"), "{error}");
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
fn a_start_moves_halfway_to_an_observation() {
    assert_eq!(of(2.0, 4.0).moved_to(&[1, 10], 1).unwrap(), of(2.0, 7.0));
}

#[test]
fn parameters_are_checked() {
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(NegativeBinomial::new(1.0, bad).is_err());
        assert!(NegativeBinomial::new(bad, 1.0).is_err());
    }
    assert!(NegativeBinomial::new(0.0, 1.0).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let a = of(0.1, 3.5);
    let text = serde_json::to_string(&a).unwrap();
    assert_eq!(serde_json::from_str::<NegativeBinomial>(&text).unwrap(), a);
    let error =
        serde_json::from_str::<NegativeBinomial>(r#"{"size": -1.0, "mean": 1.0}"#).unwrap_err();
    assert!(error.to_string().contains("size is -1"), "{error}");
}
