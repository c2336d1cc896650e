//! The normal-gamma prior obeys the laws of conjugate priors; it is a normal-inverse-gamma one in other coordinates.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};
use elbo_dist::{Gaussian, NormalGamma, NormalInverseGamma};
use elbo_laws::assert_close;
use proptest::prelude::*;
use statrs::distribution::{Continuous, Normal};

use super::normal_inverse_gamma::{Data, TERMS, log_base, point, prior as inverse, sample};
use crate::{gaussian::neighbors, rng};

fn prior() -> impl Strategy<Value = NormalGamma> {
    inverse().prop_map(NormalGamma::from)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
fn other_priors(p: &NormalGamma) -> Vec<NormalGamma> {
    let others = super::normal_inverse_gamma::other_priors(&(*p).into());
    others.into_iter().map(NormalGamma::from).collect()
}

elbo_laws::prior_laws!(prior(), sample(), point());
elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);
elbo_laws::learning_laws!(prior(), sample(), point(), other_priors, TERMS);

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(
        prior in prior(), above in 0.0..3.0_f64, start in point(), sample in sample()
    ) {
        let shape = 0.5001 + above;
        let (m, count, rate) = (prior.expected_mean(), prior.mean_pseudo_count(), prior.rate());
        let prior = NormalGamma::new(m, count, shape, rate).unwrap();
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
    }

    #[test]
    fn the_density_agrees_with_statrs(prior in prior(), point in point()) {
        let precision = 1.0 / point.variance();
        let of_precision = statrs::distribution::Gamma::new(prior.shape(), prior.rate()).unwrap();
        let spread = (point.variance() / prior.mean_pseudo_count()).sqrt();
        let of_mean = Normal::new(prior.expected_mean(), spread).unwrap();
        let expected = of_precision.ln_pdf(precision) + of_mean.ln_pdf(point.mean());
        assert_close(prior.log_prior(&point), expected, 1e3 + expected.abs());
    }

    #[test]
    fn it_has_the_probabilities_of_a_normal_inverse_gamma(
        prior in prior(), other in prior(), start in point(), sample in sample()
    ) {
        let stats = sample.stats(&start);
        let (mut here, mut there) = (prior, NormalInverseGamma::from(prior));
        let a = prior.log_evidence(&stats).unwrap();
        prop_assert_eq!(a, Evidence::<Gaussian>::log_evidence(&there, &stats).unwrap());
        prior.posterior(&stats, &mut here).unwrap();
        ConjugatePrior::<Gaussian>::posterior(&there.clone(), &stats, &mut there).unwrap();
        prop_assert_eq!(here, NormalGamma::from(there));
        prop_assert_eq!(here.kl_divergence(&other), there.kl_divergence(&other.into()));
        let (mut mean_here, mut mean_there) = (start, start);
        here.mean_into(&mut mean_here);
        there.mean_into(&mut mean_there);
        prop_assert_eq!(mean_here, mean_there);
        let learned = prior.learned_from(&[prior, other]).unwrap();
        let there = NormalInverseGamma::from(prior).learned_from(&[prior.into(), other.into()]).unwrap();
        prop_assert_eq!(learned, NormalGamma::from(there));
    }
}

#[test]
fn expectations_are_averages_over_draws() {
    let q = NormalGamma::new(1.0, 2.0, 3.0, 4.0).unwrap();
    let p = NormalGamma::new(-0.5, 0.7, 2.0, 5.0).unwrap();
    let mut rng = rng(4);
    let draws: Vec<_> = (0..4000).map(|_| q.sample(&mut rng).unwrap()).collect();
    let data = Data::new(vec![-3.0, 0.0, 1.0, 8.0]);
    elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
}

#[test]
fn modes_differ_by_two_observations_on_either_side() {
    let (a, b) = (2.5, 8.0);
    let inverse = NormalInverseGamma::new(1.0, 2.0, a, b).unwrap();
    let mut point = Gaussian::new(0.0, 1.0).unwrap();
    inverse.mode_into(&mut point).unwrap();
    assert_eq!((point.mean(), point.variance()), (1.0, b / (a + 1.5)));
    NormalGamma::from(inverse).mode_into(&mut point).unwrap();
    assert_eq!((point.mean(), point.variance()), (1.0, b / (a - 0.5)));
}

#[test]
fn half_an_observation_has_no_mode() {
    let mut point = Gaussian::new(0.0, 1.0).unwrap();
    for shape in [0.5, 0.3] {
        let result = NormalGamma::new(0.0, 1.0, shape, 1.0).unwrap().mode_into(&mut point);
        let Err(EstimateError::NoMode { parameter: "precision", value, .. }) = result else {
            panic!("{result:?}");
        };
        assert_close(value, shape, 1.0);
    }
}

#[test]
fn parameters_are_checked() {
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(NormalGamma::new(0.0, bad, 1.0, 1.0).is_err());
        assert!(NormalGamma::new(0.0, 1.0, bad, 1.0).is_err());
        assert!(NormalGamma::new(0.0, 1.0, 1.0, bad).is_err());
    }
    assert!(NormalGamma::new(f64::NAN, 1.0, 1.0, 1.0).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let prior = NormalGamma::new(0.1, 0.3, 0.7, 0.9).unwrap();
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<NormalGamma>(&text).unwrap(), prior);
    assert!(serde_json::from_str::<NormalGamma>(&text.replace("0.3", "-0.3")).is_err());
}
