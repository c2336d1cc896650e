//! The normal-inverse-gamma prior obeys the laws of conjugate priors, and agrees with statrs' densities.

use elbo_core::{ConjugatePrior, EstimateError, Family, Statistics};
use elbo_dist::{Gaussian, NormalInverseGamma};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, InverseGamma, Normal};

use crate::{gaussian::neighbors, rng};

type Data = Of<Gaussian, f64>;

fn prior() -> impl Strategy<Value = NormalInverseGamma> {
    let positive = || (-3.0..3.0_f64).prop_map(f64::exp);
    (-10.0..10.0, positive(), positive(), positive()).prop_map(|(m, count, shape, scale)| {
        NormalInverseGamma::new(m, count, shape, scale).unwrap()
    })
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((-10.0..10.0, weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

fn point() -> impl Strategy<Value = Gaussian> {
    (-10.0..10.0, -2.0..4.0_f64).prop_map(|(m, v)| Gaussian::new(m, v.exp()).unwrap())
}

elbo_laws::prior_laws!(prior(), sample(), point());

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(prior in prior(), start in point(), sample in sample()) {
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
    }

    #[test]
    fn the_density_agrees_with_statrs(prior in prior(), point in point()) {
        let variance = InverseGamma::new(prior.shape(), prior.scale()).unwrap();
        let spread = (point.variance() / prior.mean_pseudo_count()).sqrt();
        let mean = Normal::new(prior.expected_mean(), spread).unwrap();
        let expected = variance.ln_pdf(point.variance()) + mean.ln_pdf(point.mean());
        assert_close(prior.log_prior(&point), expected, 1e3 + expected.abs());
    }

    #[test]
    fn no_data_leave_the_prior(prior in prior(), point in point()) {
        let mut posterior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0).unwrap();
        prior.posterior(&point.new_stats(), &mut posterior).unwrap();
        prop_assert_eq!(posterior, prior);
    }

    #[test]
    fn pseudo_counts_are_what_they_say(prior in prior(), start in point(), sample in sample()) {
        let mut posterior = prior;
        prior.posterior(&sample.stats(&start), &mut posterior).unwrap();
        let n = sample.total_weight();
        assert_close(posterior.mean_pseudo_count(), prior.mean_pseudo_count() + n, 1e2);
        assert_close(2.0 * posterior.shape(), 2.0 * prior.shape() + n, 1e2);
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let sum = rows.map(|(x, w)| w * x).sum::<f64>() + prior.mean_pseudo_count() * prior.expected_mean();
        assert_close(posterior.expected_mean(), sum / posterior.mean_pseudo_count(), 10.0);
    }
}

#[test]
fn expectations_are_averages_over_draws() {
    let q = NormalInverseGamma::new(1.0, 2.0, 3.0, 4.0).unwrap();
    let p = NormalInverseGamma::new(-0.5, 0.7, 2.0, 5.0).unwrap();
    let mut rng = rng(1);
    let draws: Vec<_> = (0..4000).map(|_| q.sample(&mut rng).unwrap()).collect();
    let data = Data::new(vec![-3.0, 0.0, 1.0, 8.0]);
    elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
}

#[test]
fn mode_and_mean_are_where_they_say() {
    let prior = NormalInverseGamma::new(1.0, 2.0, 2.5, 8.0).unwrap();
    let mut point = Gaussian::new(0.0, 1.0).unwrap();
    prior.mode_into(&mut point).unwrap();
    assert_eq!((point.mean(), point.variance()), (1.0, 2.0));
    prior.mean_into(&mut point);
    assert_eq!((point.mean(), point.variance()), (1.0, 3.2));
    assert_close(1.0 / point.variance(), prior.expected_precision(), 1.0);
}

#[test]
fn a_point_mass_of_data_has_a_mode_under_the_prior() {
    let prior = NormalInverseGamma::new(0.0, 0.01, 1.0, 0.1).unwrap();
    let mut point = Gaussian::new(5.0, 1.0).unwrap();
    let stats = WeightedSample::new(Data::new(vec![5.0; 9]), vec![1.0; 9]).stats(&point);
    let mut posterior = prior;
    prior.posterior(&stats, &mut posterior).unwrap();
    posterior.mode_into(&mut point).unwrap();
    assert!(point.variance() > 0.01, "{point:?}");
}

#[test]
fn statistics_of_no_data_are_rejected() {
    let prior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0).unwrap();
    let mut stats = Gaussian::new(0.0, 1.0).unwrap().expected_stats(3.0);
    stats.scale(-1.0);
    let result = prior.posterior(&stats, &mut prior.clone());
    assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{result:?}");
}

#[test]
fn parameters_are_checked() {
    assert!(NormalInverseGamma::new(f64::NAN, 1.0, 1.0, 1.0).is_err());
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(NormalInverseGamma::new(0.0, bad, 1.0, 1.0).is_err());
        assert!(NormalInverseGamma::new(0.0, 1.0, bad, 1.0).is_err());
        assert!(NormalInverseGamma::new(0.0, 1.0, 1.0, bad).is_err());
    }
}
