//! The beta prior obeys the laws of conjugate priors for all families of trials; its oracles are quadrature and statrs.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence, Family};
use elbo_dist::{Bernoulli, Beta, Binomial, Geometric, special::ln_gamma};
use elbo_laws::{Of, WeightedSample, assert_close, univariate::integrate};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::Continuous;

use super::FACTORS;
use crate::rng;

fn prior() -> impl Strategy<Value = Beta> {
    let positive = || prop_oneof![4 => (-3.0..3.0_f64).prop_map(f64::exp), 1 => Just(1.0)];
    (positive(), positive()).prop_map(|(a, b)| Beta::new(a, b).unwrap())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
fn other_priors(p: &Beta) -> Vec<Beta> {
    let (a, b) = (p.a(), p.b());
    let moved = FACTORS.map(|f| [(f * a, b), (a, f * b), (f * a, f * b)]);
    moved.as_flattened().iter().map(|(a, b)| Beta::new(*a, *b).unwrap()).collect()
}

fn rows<X: Copy + std::fmt::Debug, F>(
    row: impl Strategy<Value = X>,
) -> impl Strategy<Value = WeightedSample<Of<F, X>>>
where
    Of<F, X>: elbo_laws::Sample,
{
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((row, weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

/// Probabilities beside the best one, and at relative distances from either end.
fn moved(p: f64) -> Vec<f64> {
    let to = |f: f64| [p * f, 1.0 - (1.0 - p) * f];
    [1.0 - 1e-6, 0.999, 0.9, 0.3].map(to).as_flattened().to_vec()
}

/// `n ln n` of the largest sample.
const TERMS: f64 = 1e5;

macro_rules! laws_of {
    ($name:ident, $family:ty, $row:ty, $rows:expr, $at:expr, $log_base:expr, $some:expr) => {
        mod $name {
            use super::*;

            type Data = Of<$family, $row>;

            fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
                rows($rows)
            }

            fn point() -> impl Strategy<Value = $family> {
                (0.001..0.999_f64).prop_map($at)
            }

            fn log_base(data: &Data) -> Vec<f64> {
                data.rows().iter().map($log_base).collect()
            }

            elbo_laws::prior_laws!(prior(), sample(), point());
            elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);
            elbo_laws::learning_laws!(prior(), sample(), point(), other_priors, TERMS);

            proptest! {
                #[test]
                fn no_neighbor_beats_the_mode(
                    a in 1.001..20.0_f64, b in 1.0..20.0_f64, start in point(), sample in sample()
                ) {
                    let prior = Beta::new(a, b).unwrap();
                    let neighbors = |mode: &$family| -> Vec<$family> {
                        moved(mode.probability()).into_iter().map($at).collect()
                    };
                    elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
                }

                #[test]
                fn the_density_agrees_with_statrs(prior in prior(), point in point()) {
                    let other = statrs::distribution::Beta::new(prior.a(), prior.b()).unwrap();
                    let claimed = ConjugatePrior::<$family>::log_prior(&prior, &point);
                    assert_close(claimed, other.ln_pdf(point.probability()), 1e4);
                }

                #[test]
                fn a_posterior_is_its_own_best_prior(prior in prior(), q in prior(), point in point()) {
                    elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
                }
            }

            #[test]
            fn expectations_are_averages_over_draws() {
                let (q, p) = (Beta::new(3.0, 2.0).unwrap(), Beta::new(1.5, 0.5).unwrap());
                let mut rng = rng(8);
                let draws: Vec<$family> = (0..4000).map(|_| $at(q.sample(&mut rng))).collect();
                let data = Data::new($some.to_vec());
                elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
            }
        }
    };
}
fn ln_choose(n: u64, x: u64) -> f64 {
    let ln_factorial = |n: u64| ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(x) - ln_factorial(n - x)
}

laws_of!(
    of_bernoulli,
    Bernoulli,
    bool,
    any::<bool>(),
    |p| Bernoulli::new(p).unwrap(),
    |_| 0.0,
    [false, true]
);
laws_of!(
    of_binomial,
    Binomial,
    u64,
    0..=9_u64,
    |p| Binomial::new(9, p).unwrap(),
    |x| ln_choose(9, *x),
    [0, 4, 9]
);
laws_of!(
    of_geometric,
    Geometric,
    u64,
    prop_oneof![0..5_u64, 0..100_u64],
    |p| Geometric::new(p).unwrap(),
    |_| 0.0,
    [0, 1, 30]
);

proptest! {
    #[test]
    fn predictions_add_up_to_one(a in 0.1..20.0_f64, b in 0.1..20.0_f64) {
        let prior = Beta::new(a, b).unwrap();
        let mut predicted = vec![f64::NAN; 2];
        prior.log_predictive_into(&Bernoulli::new(0.5).unwrap(), &[false, true], &mut predicted);
        assert_close(predicted.iter().map(|l| l.exp()).sum(), 1.0, 10.0);

        let successes: Vec<u64> = (0..=51).collect();
        let mut predicted = vec![f64::NAN; 52];
        prior.log_predictive_into(&Binomial::new(50, 0.5).unwrap(), &successes, &mut predicted);
        prop_assert_eq!(predicted[51], f64::NEG_INFINITY);
        assert_close(predicted.iter().map(|l| l.exp()).sum(), 1.0, 1e3);

        // The tail beyond n is the evidence of n + 1 failures.
        let failures: Vec<u64> = (0..100).collect();
        let mut predicted = vec![f64::NAN; 100];
        prior.log_predictive_into(&Geometric::new(0.5).unwrap(), &failures, &mut predicted);
        let tail = (ln_gamma(a + b) + ln_gamma(b + 100.0) - ln_gamma(b) - ln_gamma(a + b + 100.0)).exp();
        assert_close(predicted.iter().map(|l| l.exp()).sum::<f64>() + tail, 1.0, 1e3);
    }

    #[test]
    fn expectations_agree_with_quadrature(a in 0.6..8.0_f64, b in 0.6..8.0_f64, p in prior()) {
        let q = Beta::new(a, b).unwrap();
        // In p = sin²t the density is bounded: what rounding of t does beside the ends does not count.
        let expectation = |f: &dyn Fn(f64, f64) -> f64| {
            let integrand = |t: f64| {
                let (sin, cos) = t.sin_cos();
                let density = (2.0 * a - 1.0) * sin.ln() + (2.0 * b - 1.0) * cos.ln() - ln_beta(&q);
                f(sin * sin, cos * cos) * 2.0 * density.exp()
            };
            integrate(integrand, 0.0, std::f64::consts::FRAC_PI_2)
        };
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-8 * (1.0 + a.abs());
        prop_assert!(close(expectation(&|_, _| 1.0), 1.0));
        prop_assert!(close(expectation(&|p, _| p.ln()), q.expected_logs().0));
        prop_assert!(close(expectation(&|_, rest| rest.ln()), q.expected_logs().1));
        let gap = |x: f64, rest: f64| {
            (a - p.a()) * x.ln() + (b - p.b()) * rest.ln() - ln_beta(&q) + ln_beta(&p)
        };
        prop_assert!(close(expectation(&gap), q.kl_divergence(&p)));
        let stats = Bernoulli::new(0.25).unwrap().expected_stats(8.0);
        let claimed = Evidence::<Bernoulli>::log_evidence(&q, &stats).unwrap();
        let evidence = expectation(&|x, rest| x.powi(2) * rest.powi(6));
        prop_assert!(close(evidence / claimed.exp(), 1.0));
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as its callers have it")]
fn ln_beta(p: &Beta) -> f64 {
    ln_gamma(p.a()) + ln_gamma(p.b()) - ln_gamma(p.a() + p.b())
}

#[test]
fn where_there_is_no_mode_it_is_said() {
    let mut coin = Bernoulli::new(0.5).unwrap();
    for (a, b) in [(0.5, 2.0), (2.0, 0.5), (1.0, 1.0)] {
        let result = Beta::new(a, b).unwrap().mode_into(&mut coin);
        assert!(matches!(result, Err(EstimateError::NoMode { .. })), "({a}, {b}): {result:?}");
    }
    Beta::new(1.0, 3.0).unwrap().mode_into(&mut coin).unwrap();
    assert_eq!(coin.probability(), 0.0);
    // A geometric distribution that never succeeds is none.
    let mut wait = Geometric::new(0.5).unwrap();
    let result = Beta::new(1.0, 3.0).unwrap().mode_into(&mut wait);
    assert!(matches!(result, Err(EstimateError::NoMode { .. })), "{result:?}");
    Beta::new(3.0, 1.0).unwrap().mode_into(&mut wait).unwrap();
    assert_eq!(wait.probability(), 1.0);
}

#[test]
fn the_density_at_the_boundary_is_its_limit() {
    let never = Bernoulli::new(0.0).unwrap();
    let density = |a: f64| Beta::new(a, 1.0).unwrap().log_prior(&never);
    assert_eq!([density(0.5), density(1.0), density(2.0)], [f64::INFINITY, 0.0, f64::NEG_INFINITY]);
}

#[test]
fn learning_fails_where_nothing_can_be_told_from_rounding() {
    let result = Beta::new(1.0, 1.0).unwrap().learned_from(&[Beta::new(1e17, 1e17).unwrap()]);
    assert!(matches!(result, Err(EstimateError::NoPrior { .. })), "{result:?}");
}
