//! Zero-inflated counts obey the laws of their traits; their oracles are the mixture written out, and the equations of
//! the optimum.

use elbo_core::{EstimateError, Family, FlatParameters, Statistics, fit_single};
use elbo_dist::{
    BetaBinomial, Binomial, Counts, Geometric, NegativeBinomial, Poisson, ZeroInflated,
};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

type Inflated = ZeroInflated<Poisson>;
type Data = Of<Inflated, u64>;

fn inflated() -> impl Strategy<Value = Inflated> {
    let share = prop_oneof![8 => 0.01..0.99_f64, 1 => Just(0.0)];
    (share, -3.0..5.0_f64).prop_map(|(share, rate)| of(share, rate.exp()))
}

fn of(structural: f64, rate: f64) -> Inflated {
    ZeroInflated::new(structural, Poisson::new(rate).unwrap()).unwrap()
}

/// Zeros and counts, one of each at least; at times more than one block.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let count = prop_oneof![2 => Just(0_u64), 2 => 0..20_u64, 1 => 200..300_u64];
    let size = prop_oneof![9 => 2..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((count.clone(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (mut data, mut weights): (Vec<u64>, Vec<f64>) = rows.into_iter().unzip();
            (data[0], data[1], weights[0], weights[1]) = (0, 7, first, first);
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((inflated(), sample()).prop_map(|(f, s)| s.stats(&f)));
}

mod family {
    use super::*;

    // x ln λ and ln x! nearly cancel, and e^−λ may hide in 1 − ζ.
    const TERMS: f64 = 3e4;

    elbo_laws::family_laws!(
        inflated(),
        sample(),
        Just(Data::new(vec![u64::MAX, 0, 1 << 60])),
        TERMS
    );
}

mod negative_binomial {
    use super::*;

    type Data = Of<ZeroInflated<NegativeBinomial>, u64>;

    fn inflated() -> impl Strategy<Value = ZeroInflated<NegativeBinomial>> {
        (0.01..0.99_f64, -2.0..4.0_f64, 0.0..4.0_f64).prop_map(|(share, size, mean)| {
            let counts = NegativeBinomial::new(size.exp(), mean.exp()).unwrap();
            ZeroInflated::new(share, counts).unwrap()
        })
    }

    fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
        super::sample()
            .prop_map(|s| WeightedSample::new(Of::new(s.data.rows().to_vec()), s.weights))
    }

    // As for the family without zeros: r is known within r·ε.
    elbo_laws::family_laws!(inflated(), sample(), Just(Data::new(vec![u64::MAX, 0])), 1e6);
}

/// `Σ p ln(p/q)` over the counts up to `last`.
fn summed_divergence<F: Counts>(p: &ZeroInflated<F>, q: &ZeroInflated<F>, last: u64) -> f64 {
    let term = |x: u64| {
        let log = p.log_probability(x);
        if log == f64::NEG_INFINITY { 0.0 } else { log.exp() * (log - q.log_probability(x)) }
    };
    (0..=last).map(term).sum()
}

#[test]
fn divergences_at_the_boundary() {
    let binomial = |zeta, n, p| ZeroInflated::new(zeta, Binomial::new(n, p).unwrap()).unwrap();
    // All zeros: the other gives them ½ + ½ · ¼.
    let divergence = binomial(1.0, 2, 0.5).kl_divergence(&binomial(0.5, 2, 0.5));
    assert!((divergence + 0.625_f64.ln()).abs() < 1e-15);
    // A sure success excludes zeros of its own, not structural ones; and all numbers of successes between.
    let coin = binomial(0.5, 1, 0.5).kl_divergence(&binomial(0.5, 1, 1.0));
    let expected = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
    assert!((coin - expected).abs() < 1e-15, "{coin} is not {expected}");
    assert_eq!(binomial(0.5, 2, 0.5).kl_divergence(&binomial(0.5, 2, 1.0)), f64::INFINITY);
    assert_eq!(of(0.5, 1.0).kl_divergence(&of(0.5, 0.0)), f64::INFINITY);
    assert_eq!(of(0.5, 1.0).kl_divergence(&of(1.0, 2.0)), f64::INFINITY);
    assert_eq!(of(0.5, 0.0).kl_divergence(&of(0.5, 0.0)), 0.0);
    // Few events: their shares are 10⁻¹² and twice that, and the divergence ½ · 10⁻¹² (2 ln 2 − 1)/2 … term by term.
    let (few, more) = (of(0.0, 1e-12), of(0.0, 2e-12));
    let expected = 1e-12 * (1.0 - 2.0_f64.ln());
    assert!((few.kl_divergence(&more) - expected).abs() < 1e-9 * expected);
}

mod univariate {
    use elbo_dist::Univariate;

    use super::*;

    elbo_laws::discrete_laws!(inflated(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(
        share in 0.01..0.99_f64, rate in 0.1..100.0_f64, sample in sample()
    ) {
        let family = of(share, rate);
        elbo_laws::parameters::coordinates_give_the_distribution_back(&family, &sample.data, 3e4);
    }

    #[test]
    fn every_point_is_a_distribution(share in -30.0..14.0_f64, rate in -30.0..30.0_f64) {
        elbo_laws::parameters::every_point_is_a_distribution(&of(0.5, 1.0), &[share, rate]);
    }

    #[test]
    fn scores_are_those_of_the_mixture(family in inflated(), x in 0..300_u64) {
        let f = family.counts().log_probability(x).exp();
        let zero = if x == 0 { family.structural() } else { 0.0 };
        let expected = (zero + (1.0 - family.structural()) * f).ln();
        let mut score = [0.0];
        family.log_density_into(&[x], &mut score);
        assert_close(score[0], family.log_probability(x), 1e4);
        prop_assert!((score[0] - expected).abs() <= 1e-10 || f < 1e-290);
    }

    #[test]
    fn divergences_agree_with_the_sum(p in inflated(), q in inflated()) {
        let sum = summed_divergence(&p, &q, 400);
        let claimed = p.kl_divergence(&q);
        // Log probabilities of size 10³ are summed, of which the largest part cancels.
        prop_assert!((claimed - sum).abs() <= 1e-12 * (1e3 + sum), "{} is not {}", claimed, sum);
        prop_assert!(claimed >= 0.0 && p.kl_divergence(&p) <= 1e-12);
    }

    #[test]
    fn divergences_of_all_counts_agree_with_the_sum(share in 0.0..1.0_f64, other in 0.01..1.0_f64) {
        let binomial = |zeta, p| ZeroInflated::new(zeta, Binomial::new(12, p).unwrap()).unwrap();
        let beta = |zeta, a| ZeroInflated::new(zeta, BetaBinomial::new(12, a, 2.0).unwrap()).unwrap();
        let geometric = |zeta, p| ZeroInflated::new(zeta, Geometric::new(p).unwrap()).unwrap();
        let negative =
            |zeta, size| ZeroInflated::new(zeta, NegativeBinomial::new(size, 3.0).unwrap()).unwrap();
        let close = |claimed: f64, sum: f64| (claimed - sum).abs() <= 1e-10 * (1.0 + sum);
        let (a, b) = (binomial(share, 0.3), binomial(other, 0.6));
        prop_assert!(close(a.kl_divergence(&b), summed_divergence(&a, &b, 12)));
        let (a, b) = (beta(share, 0.3), beta(other, 1.7));
        prop_assert!(close(a.kl_divergence(&b), summed_divergence(&a, &b, 12)));
        let (a, b) = (geometric(share, 0.3), geometric(other, 0.4));
        prop_assert!(close(a.kl_divergence(&b), summed_divergence(&a, &b, 500)));
        let (a, b) = (negative(share, 2.0), negative(other, 0.7));
        prop_assert!(close(a.kl_divergence(&b), summed_divergence(&a, &b, 500)));
    }

    #[test]
    fn statistics_are_expectations_over_the_label(family in inflated(), sample in sample()) {
        let share = family.structural() / family.log_probability(0).exp();
        let stats = sample.stats(&family);
        let rows = || sample.data.rows().iter().zip(&sample.weights);
        let zeros: f64 = rows().filter(|(x, _)| **x == 0).map(|(_, w)| w).sum();
        let size = sample.total_weight();
        assert_close(stats.structural(), zeros * share, 10.0 * size);
        assert_close(stats.total_weight(), size, size);
        assert_close(stats.counts().total_weight(), size - zeros * share, 10.0 * size);
        let events: f64 = rows().map(|(x, w)| w * *x as f64).sum();
        assert_close(stats.counts().events(), events, events);
    }

    #[test]
    fn the_likelihood_never_falls(start in inflated(), sample in sample()) {
        rises(start, &sample, 30);
    }

    #[test]
    fn negative_binomial_likelihoods_never_fall(
        share in 0.01..0.99_f64, size in 0.1..10.0_f64, sample in sample()
    ) {
        let counts = NegativeBinomial::new(size, 3.0).unwrap();
        let rows = sample.data.rows().to_vec();
        let start = ZeroInflated::new(share, counts).unwrap();
        rises(start, &WeightedSample::new(Of::new(rows), sample.weights), 10);
    }
}

/// EM steps, as long as there is a maximum.
fn rises<F: Counts + std::fmt::Debug>(
    start: ZeroInflated<F>,
    sample: &WeightedSample<Of<ZeroInflated<F>, u64>>,
    steps: usize,
) where
    ZeroInflated<F>: for<'a> Family<Batch<'a> = &'a [u64]>,
{
    let mut at = start;
    let (mut before, _) = sample.log_likelihood(&at);
    for _ in 0..steps {
        let mut next = at.clone();
        match at.maximize(&sample.stats(&at), &mut next) {
            Ok(_) => {}
            Err(EstimateError::Boundary { .. }) => return,
            Err(error) => panic!("{error}"),
        }
        at = next;
        let (after, size) = sample.log_likelihood(&at);
        assert!(after >= before - 1e-12 * size, "fell from {before} to {after}");
        before = after;
    }
}

#[test]
fn the_optimum_matches_the_zeros_and_the_mean() {
    // Lambert (1992): the score equations of ζ and λ where both are interior.
    let counts: Vec<u64> = (0..400_u64).map(|i| if i % 5 < 3 { 0 } else { i % 7 }).collect();
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<u64>() as f64 / n;
    let zeros = counts.iter().filter(|x| **x == 0).count() as f64 / n;
    for start in [of(0.5, 1.0), of(0.01, 100.0), of(0.99, 0.01)] {
        let fit = fit_single(start, &counts[..]).unwrap();
        let (zeta, rate) = (fit.params.structural(), fit.params.counts().rate());
        assert!((zeta + (1.0 - zeta) * (-rate).exp() - zeros).abs() < 1e-5, "{:?}", fit.params);
        assert!(((1.0 - zeta) * rate - mean).abs() < 1e-5, "{:?}", fit.params);
    }
}

/// Fits draws from `truth`; the gain over it is that of Wilks' theorem, and the gradient is zero.
fn recovers<F>(truth: &ZeroInflated<F>, start: ZeroInflated<F>)
where
    F: Counts + FlatParameters + std::fmt::Debug,
{
    let mut rng = rng(11);
    let draws: Vec<u64> = (0..2000).map(|_| truth.sample(&mut rng)).collect();
    let log_likelihood =
        |family: &ZeroInflated<F>| draws.iter().map(|x| family.log_probability(*x)).sum::<f64>();
    let fit = fit_single(start, &draws[..]).unwrap();
    let gain = 2.0 * (log_likelihood(&fit.params) - log_likelihood(truth));
    assert!((0.0..30.0).contains(&gain), "{gain} {:?}", fit.params);
    let mut flat = Vec::new();
    fit.params.write_unconstrained(&mut flat);
    for i in 0..flat.len() {
        let at = |step: f64| {
            let mut there = flat.clone();
            there[i] += step;
            log_likelihood(&fit.params.with_unconstrained(&mut &there[..]))
        };
        let slope = (at(1e-4) - at(-1e-4)) / 2e-4 / draws.len() as f64;
        // The driver stops at a gain of 10⁻⁸ per observation or less: a slope of its root.
        assert!(slope.abs() < 3e-4, "slope {slope} along {i} at {:?}", fit.params);
    }
}

#[test]
fn every_family_of_counts_can_be_inflated() {
    recovers(&of(0.3, 2.5), of(0.5, 1.0));
    let geometric = |share, p| ZeroInflated::new(share, Geometric::new(p).unwrap()).unwrap();
    recovers(&geometric(0.4, 0.2), geometric(0.5, 0.5));
    let binomial = |share, p| ZeroInflated::new(share, Binomial::new(12, p).unwrap()).unwrap();
    recovers(&binomial(0.25, 0.2), binomial(0.5, 0.5));
    let negative = |share, size, mean| {
        ZeroInflated::new(share, NegativeBinomial::new(size, mean).unwrap()).unwrap()
    };
    recovers(&negative(0.4, 3.0, 20.0), negative(0.5, 1.0, 5.0));
}

#[test]
fn a_share_of_zero_is_no_inflation() {
    let (plain, poisson) = (of(0.0, 2.0), Poisson::new(2.0).unwrap());
    assert_eq!(plain.log_probability(0), poisson.log_probability(0));
    assert_close(plain.entropy(), poisson.entropy(), 1.0);
    let sample = WeightedSample::new(Data::new(vec![0, 0, 0, 5]), vec![1.0; 4]);
    let mut next = plain;
    plain.maximize(&sample.stats(&plain), &mut next).unwrap();
    assert_eq!(next, of(0.0, 1.25));
}

#[test]
fn nothing_but_structural_zeros_is_a_point_mass() {
    let never = of(1.0, 2.0);
    assert_eq!((never.log_probability(0), never.log_probability(1)), (0.0, f64::NEG_INFINITY));
    assert_eq!((never.cdf(0), never.quantile(1.0), never.entropy()), (1.0, 0, 0.0));
    let sample = WeightedSample::new(Data::new(vec![0, 0]), vec![1.0; 2]);
    let result = never.maximize(&sample.stats(&never), &mut never.clone());
    assert!(matches!(result, Err(EstimateError::NoWeight { .. })), "{result:?}");
}

#[test]
fn statistics_without_a_distribution_are_rejected() {
    let start = of(0.5, 1.0);
    let nothing = start.maximize(&start.new_stats(), &mut start.clone());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { .. })), "{nothing:?}");
    let sample = WeightedSample::new(Data::new(vec![0, 3]), vec![1.0; 2]);
    let mut bad = sample.stats(&start);
    bad.scale(-1.0);
    let result = start.maximize(&bad, &mut start.clone());
    assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{result:?}");
}

#[test]
fn parameters_and_data_are_checked() {
    let poisson = Poisson::new(1.0).unwrap();
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(ZeroInflated::new(bad, poisson).is_err());
    }
    let binomial = ZeroInflated::new(0.5, Binomial::new(3, 0.5).unwrap()).unwrap();
    assert!(binomial.check(&[0, 4]).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let family = of(0.25, 3.5);
    let text = serde_json::to_string(&family).unwrap();
    assert_eq!(serde_json::from_str::<Inflated>(&text).unwrap(), family);
    for bad in [
        r#"{"structural": 2.0, "counts": {"rate": 1.0}}"#,
        r#"{"structural": 0.5, "counts": {"rate": -1.0}}"#,
    ] {
        assert!(serde_json::from_str::<Inflated>(bad).is_err());
    }
}
