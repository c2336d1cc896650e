//! The gamma prior obeys the laws of conjugate priors; its oracles are quadrature and statrs.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence, Family, Statistics};
use elbo_dist::{Gamma, Poisson, special::ln_factorial};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::Continuous;

use super::FACTORS;
use crate::{poisson::neighbors, rng};

type Data = Of<Poisson, u64>;

pub(crate) fn prior() -> impl Strategy<Value = Gamma> {
    let positive = || (-3.0..3.0_f64).prop_map(f64::exp);
    (positive(), positive()).prop_map(|(shape, rate)| Gamma::new(shape, rate).unwrap())
}

/// Priors whose mass lies within the nodes of [`expectation`].
fn gentle() -> impl Strategy<Value = Gamma> {
    ((-2.0..3.0_f64), (-3.0..3.0_f64))
        .prop_map(|(shape, rate)| Gamma::new(shape.exp(), rate.exp()).unwrap())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((prop_oneof![0..5_u64, 0..100_u64], weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

fn point() -> impl Strategy<Value = Poisson> {
    (-3.0..5.0_f64).prop_map(|log_rate| Poisson::new(log_rate.exp()).unwrap())
}

/// `E[f(λ)]`: the trapezoidal rule in `ln λ`, whose error falls exponentially with the number of nodes.
fn expectation(gamma: &Gamma, f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 0.02;
    let middle = gamma.expected_rate().ln();
    (-20_000..=5_000)
        .map(|i| {
            let log_rate = middle + STEP * f64::from(i);
            let rate = log_rate.exp();
            let log_density = gamma.log_prior(&Poisson::new(rate).unwrap());
            f(rate) * (log_density + log_rate).exp() * STEP
        })
        .filter(|x| !x.is_nan()) // 0 · ∞ where λ or its density underflows
        .sum()
}

fn log_base(data: &Data) -> Vec<f64> {
    data.rows().iter().map(|x| -ln_factorial(*x)).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
pub(crate) fn other_priors(p: &Gamma) -> Vec<Gamma> {
    let (shape, rate) = (p.shape(), p.rate());
    let moved = FACTORS.map(|f| [(f * shape, rate), (shape, f * rate), (f * shape, f * rate)]);
    moved.as_flattened().iter().map(|(a, b)| Gamma::new(*a, *b).unwrap()).collect()
}

/// `n ln n` of the events in the largest sample.
const TERMS: f64 = 1e5;

elbo_laws::prior_laws!(prior(), sample(), point());
elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);
elbo_laws::learning_laws!(prior(), sample(), point(), other_priors, TERMS);

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(
        shape in 1.0..20.0_f64, rate in 0.1..10.0_f64, start in point(), sample in sample()
    ) {
        let prior = Gamma::new(shape, rate).unwrap();
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
    }

    #[test]
    fn the_density_agrees_with_statrs(prior in prior(), point in point()) {
        let other = statrs::distribution::Gamma::new(prior.shape(), prior.rate()).unwrap();
        let expected = other.ln_pdf(point.rate());
        assert_close(prior.log_prior(&point), expected, 1e4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn expectations_agree_with_quadrature(q in gentle(), p in prior(), x in 0..20_u64) {
        let rounding = 1e-9; // 10⁴ nodes, each with the rounding of an exponential of size 10²
        let close = |a: f64, b: f64| (a - b).abs() <= rounding * (1.0 + a.abs());
        prop_assert!(close(expectation(&q, |_| 1.0), 1.0));
        prop_assert!(close(expectation(&q, |rate| rate), q.expected_rate()));
        prop_assert!(close(expectation(&q, f64::ln), q.expected_log_rate()));
        let spread = |rate: f64| (rate - q.expected_rate()).powi(2);
        prop_assert!(close(expectation(&q, spread), q.variance_of_rate()));
        let poisson = |rate: f64| Poisson::new(rate).unwrap();
        let mut score = [0.0];
        q.expected_log_density_into(&poisson(1.0), &[x], &mut score);
        prop_assert!(close(expectation(&q, |rate| poisson(rate).log_probability(x)), score[0]));
        let gap = |rate: f64| q.log_prior(&poisson(rate)) - p.log_prior(&poisson(rate));
        prop_assert!(close(expectation(&q, gap), q.kl_divergence(&p)));
    }
}

#[test]
fn expectations_are_averages_over_draws() {
    let (q, p) = (Gamma::new(3.0, 2.0).unwrap(), Gamma::new(1.5, 0.5).unwrap());
    let mut rng = rng(3);
    let draws: Vec<_> = (0..4000).map(|_| Poisson::new(q.sample(&mut rng)).unwrap()).collect();
    elbo_laws::prior::expectations_are_averages_over_draws(
        &q,
        &p,
        &draws,
        &Data::new(vec![0, 1, 9]),
    );
}

proptest! {
    #[test]
    fn a_posterior_is_its_own_best_prior(prior in prior(), q in prior(), point in point(), size in 0..15) {
        elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
        // As many pseudo-counts as one likes.
        let times = 10_f64.powi(size);
        let sharp = Gamma::new(times * q.shape(), times * q.rate()).unwrap();
        let learned = prior.learned_from(&[sharp]).unwrap();
        prop_assert!((learned.shape() / sharp.shape() - 1.0).abs() < 1e-12, "{learned:?} {sharp:?}");
        prop_assert!((learned.rate() / sharp.rate() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn predictions_are_negative_binomial(a in 0.1..20.0_f64, b in 0.1..20.0_f64, x in 0..50_u64) {
        let prior = Gamma::new(a, b).unwrap();
        let counts: Vec<u64> = (0..2000).collect();
        let mut predicted = vec![f64::NAN; counts.len()];
        prior.log_predictive_into(&Poisson::new(1.0).unwrap(), &counts, &mut predicted);
        let sum: f64 = predicted.iter().map(|l| l.exp()).sum();
        // Beyond 2000 there is (1.1)^-2000 at most; each term has the rounding of x ln x.
        prop_assert!((sum - 1.0).abs() < 1e-10, "{sum}");
        let other = statrs::distribution::NegativeBinomial::new(a, b / (b + 1.0)).unwrap();
        let expected = statrs::distribution::Discrete::ln_pmf(&other, x);
        assert_close(predicted[usize::try_from(x).unwrap()], expected, 1e4);
    }

    #[test]
    fn the_evidence_agrees_with_quadrature(prior in gentle(), weight in 0.0..5.0_f64, events in 0.0..20.0_f64) {
        let mut stats = Poisson::new(1.0).unwrap().new_stats();
        stats.read_from(&[weight, if weight > 0.0 { events } else { 0.0 }]);
        let claimed = Evidence::<Poisson>::log_evidence(&prior, &stats).unwrap();
        let likelihood = |rate: f64| (stats.events() * rate.ln() - weight * rate - claimed).exp();
        let likelihood = |rate: f64| if stats.events() == 0.0 { (-weight * rate - claimed).exp() } else { likelihood(rate) };
        prop_assert!((expectation(&prior, likelihood) - 1.0).abs() < 1e-8);
    }
}

#[test]
fn learning_fails_where_nothing_can_be_told_from_rounding() {
    let prior = Gamma::new(1.0, 1.0).unwrap();
    let endless = Gamma::new(1e308, 1e-10).unwrap();
    let result = prior.learned_from(&[endless]);
    assert!(matches!(result, Err(EstimateError::NoPrior { .. })), "{result:?}");
}

/// Learning from data that one rate explains asks for ever larger pseudo-counts, but keeps the mean.
#[test]
fn learning_in_turn_with_posteriors_narrows_the_prior_to_what_differs() {
    let alike: Vec<_> = (0..4).map(|_| Poisson::new(3.0).unwrap().expected_stats(10.0)).collect();
    let apart: Vec<_> =
        [1.0, 2.0, 4.0, 8.0].map(|rate| Poisson::new(rate).unwrap().expected_stats(10.0)).into();
    let learn = |stats: &[elbo_dist::PoissonStats]| {
        let mut prior = Gamma::new(1.0, 1.0).unwrap();
        for _ in 0..1000 {
            let posteriors: Vec<Gamma> = stats
                .iter()
                .map(|stats| {
                    let mut posterior = prior;
                    ConjugatePrior::<Poisson>::posterior(&prior, stats, &mut posterior).unwrap();
                    posterior
                })
                .collect();
            prior = prior.learned_from(&posteriors).unwrap();
        }
        prior
    };
    assert!(learn(&alike).shape() > 500.0);
    assert!((learn(&alike).expected_rate() - 3.0).abs() < 0.01);
    // The variance of the rates, 7.2 or a little less.
    assert!((4.0..9.0).contains(&learn(&apart).variance_of_rate()));
}

#[test]
fn below_one_there_is_no_mode() {
    let mut point = Poisson::new(1.0).unwrap();
    let result = Gamma::new(0.5, 1.0).unwrap().mode_into(&mut point);
    assert!(matches!(result, Err(EstimateError::NoMode { .. })), "{result:?}");
    Gamma::new(1.0, 1.0).unwrap().mode_into(&mut point).unwrap();
    assert_eq!(point.rate(), 0.0);
}

#[test]
fn the_density_at_the_boundary_is_its_limit() {
    let zero = Poisson::new(0.0).unwrap();
    let density = |shape: f64| Gamma::new(shape, 1.0).unwrap().log_prior(&zero);
    assert_eq!([density(0.5), density(1.0), density(2.0)], [f64::INFINITY, 0.0, f64::NEG_INFINITY]);
}

#[test]
fn no_data_leave_the_prior() {
    let prior = Gamma::new(0.3, 0.7).unwrap();
    let mut posterior = Gamma::new(1.0, 1.0).unwrap();
    ConjugatePrior::<Poisson>::posterior(
        &prior,
        &Poisson::new(1.0).unwrap().new_stats(),
        &mut posterior,
    )
    .unwrap();
    assert_eq!(posterior, prior);
}

#[test]
fn parameters_are_checked() {
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(Gamma::new(bad, 1.0).is_err() && Gamma::new(1.0, bad).is_err());
    }
}
