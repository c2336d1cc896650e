//! The gamma prior of an exponential rate obeys the laws of conjugate priors; its oracle is quadrature.

use elbo_core::{ConjugatePrior, EstimateError, Evidence};
use elbo_dist::{Exponential, Gamma};
use elbo_laws::{Of, WeightedSample, assert_close, univariate::integrate_line};
use proptest::{collection::vec, prelude::*};

use super::gamma::{other_priors, prior};
use crate::rng;

type Data = Of<Exponential, f64>;

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((prop_oneof![9 => 0.0..20.0_f64, 1 => Just(f64::NAN)], weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

fn point() -> impl Strategy<Value = Exponential> {
    (-3.0..5.0_f64).prop_map(|log_rate| Exponential::new(log_rate.exp()).unwrap())
}

fn log_base(data: &Data) -> Vec<f64> {
    vec![0.0; data.rows().len()]
}

/// Rates at relative distances from 10⁻⁶ to 1 on both sides.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
fn neighbors(best: &Exponential) -> Vec<Exponential> {
    let factors = [1.0 - 1e-6, 1.0 + 1e-6, 0.999, 1.001, 0.5, 2.0];
    factors.map(|f| Exponential::new(f * best.rate()).unwrap()).to_vec()
}

/// `n ln n` of the weight in the largest sample, and the logarithm of its sum.
const TERMS: f64 = 1e3;

elbo_laws::prior_laws!(prior(), sample(), point());
elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);
elbo_laws::learning_laws!(prior(), sample(), point(), other_priors, TERMS);

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(
        shape in 1.001..20.0_f64, rate in 0.1..10.0_f64, start in point(), sample in sample()
    ) {
        let prior = Gamma::new(shape, rate).unwrap();
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
    }

    #[test]
    fn predictions_integrate_to_one(shape in 0.3..20.0_f64, rate in 0.1..10.0_f64) {
        let prior = Gamma::new(shape, rate).unwrap();
        let any = Exponential::new(1.0).unwrap();
        let density = |log: f64| {
            let mut out = [f64::NAN];
            prior.log_predictive_into(&any, &[log.exp()], &mut out);
            (out[0] + log).exp()
        };
        // In ln x both tails are exponential.
        prop_assert!((integrate_line(density, rate.ln(), 1.0) - 1.0).abs() < 1e-8);
    }

    #[test]
    fn pseudo_counts_are_what_they_say(prior in prior(), start in point(), sample in sample()) {
        let mut posterior = prior;
        let stats = sample.stats(&start);
        ConjugatePrior::<Exponential>::posterior(&prior, &stats, &mut posterior).unwrap();
        let seen = sample.data.rows().iter().zip(&sample.weights).filter(|(x, _)| !x.is_nan());
        let (n, sum) = seen.fold((0.0, 0.0), |(n, sum), (x, w)| (n + w, sum + w * x));
        assert_close(posterior.shape(), prior.shape() + n, 1e2);
        assert_close(posterior.rate(), prior.rate() + sum, 1e3);
    }
}

#[test]
fn expectations_are_averages_over_draws() {
    let (q, p) = (Gamma::new(3.0, 2.0).unwrap(), Gamma::new(1.5, 0.5).unwrap());
    let mut rng = rng(3);
    let draws: Vec<_> = (0..4000).map(|_| Exponential::new(q.sample(&mut rng)).unwrap()).collect();
    let data = Data::new(vec![0.0, 1.0, 9.0]);
    elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
}

#[test]
fn outside_of_the_support_nothing_is_predicted() {
    let mut out = [f64::NAN; 2];
    let prior = Gamma::new(2.0, 3.0).unwrap();
    prior.log_predictive_into(&Exponential::new(1.0).unwrap(), &[-1.0, f64::NAN], &mut out);
    assert_eq!(out, [f64::NEG_INFINITY, 0.0]); // the second is missing
}

/// The density is largest at the rate 0, which is none.
#[test]
fn at_one_there_is_no_mode() {
    let mut point = Exponential::new(1.0).unwrap();
    for shape in [0.5, 1.0] {
        let result = Gamma::new(shape, 1.0).unwrap().mode_into(&mut point);
        assert!(matches!(result, Err(EstimateError::NoMode { .. })), "{result:?}");
    }
    Gamma::new(3.0, 4.0).unwrap().mode_into(&mut point).unwrap();
    assert_eq!(point.rate(), 0.5);
}
