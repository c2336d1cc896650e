//! The uniform distribution obeys the laws of its traits.

use elbo_core::{EstimateError, Family, FlatParameters};
use elbo_dist::Uniform;
use elbo_laws::{Of, WeightedSample};
use proptest::{collection::vec, prelude::*};

use crate::rng;

type Data = Of<Uniform, f64>;

fn uniform() -> impl Strategy<Value = Uniform> {
    (-10.0..10.0_f64, -5.0..5.0_f64)
        .prop_map(|(low, log_width)| Uniform::new(low, low + log_width.exp()).unwrap())
}

/// Some inside of the range, some outside, some missing.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let value = prop_oneof![8 => -20.0..20.0_f64, 1 => Just(f64::NAN)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        vec((value.clone(), weight.clone()), n).prop_map(|rows| {
            let (data, weights) = rows.into_iter().unzip();
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod family {
    use super::*;

    // All laws but one: statistics that only count do not give a range back.
    proptest! {
        #[test]
        fn weight_two_is_seeing_twice(uniform in uniform(), sample in sample()) {
            elbo_laws::family::weight_two_is_seeing_twice(&uniform, &sample);
        }

        #[test]
        fn weight_zero_changes_nothing(uniform in uniform(), sample in sample()) {
            let extreme = Data::new(vec![f64::MAX, f64::MIN, f64::INFINITY, f64::NAN]);
            elbo_laws::family::weight_zero_changes_nothing(&uniform, &sample, &extreme);
        }

        #[test]
        fn order_and_parts_are_irrelevant(uniform in uniform(), sample in sample(), at in 0..100_usize) {
            elbo_laws::family::order_is_irrelevant(&uniform, &sample, at);
            elbo_laws::family::merging_parts_is_observing_the_whole(&uniform, &sample, at);
        }

        #[test]
        fn all_at_once_is_one_at_a_time(components in vec(uniform(), 1..5), sample in sample()) {
            elbo_laws::family::all_at_once_is_one_at_a_time(&components, &sample);
        }
    }
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(uniform(), rng);
}

proptest! {
    #[test]
    fn scores_are_those_of_the_range(uniform in uniform(), sample in sample()) {
        for (x, score) in sample.data.rows().iter().zip(sample.log_densities(&uniform)) {
            let inside = uniform.low() <= *x && *x <= uniform.high();
            let expected = if inside { -uniform.width().ln() } else { f64::NEG_INFINITY };
            prop_assert_eq!(score, if x.is_nan() { 0.0 } else { expected });
        }
        let given = sample.data.rows().iter().zip(&sample.weights).filter(|(x, _)| !x.is_nan());
        let weight: f64 = given.map(|(_, w)| w).sum();
        prop_assert!((sample.stats(&uniform)[0] - weight).abs() <= 1e-12 * (1.0 + weight));
    }

    #[test]
    fn the_estimate_is_the_narrowest_range_that_holds_the_data(data in vec(-5.0..5.0_f64, 2..30), at in 0..30_usize) {
        let mut holey = data.clone();
        holey.insert(at.min(data.len()), f64::NAN);
        let fitted = Uniform::estimate(&holey).unwrap();
        prop_assert!(data.iter().all(|x| fitted.log_density(*x).is_finite()));
        prop_assert!(data.contains(&fitted.low()) && data.contains(&fitted.high()));
    }

    #[test]
    fn divergence_is_the_mean_difference(p in uniform(), q in uniform()) {
        let divergence = p.kl_divergence(&q);
        let gap = |x: f64| p.log_density(x) - q.log_density(x);
        let expected = if gap(p.low()).is_finite() && gap(p.high()).is_finite() { gap(p.mean()) } else { f64::INFINITY };
        prop_assert!(divergence == expected || (divergence - expected).abs() <= 1e-12 * (1.0 + expected));
        prop_assert_eq!(p.kl_divergence(&p), 0.0);
        let wider = Uniform::new(p.low() - 1.0, p.high() + 2.0).unwrap();
        prop_assert!(p.kl_divergence(&wider) > 0.0 && wider.kl_divergence(&p) == f64::INFINITY);
    }
}

#[test]
fn nothing_is_estimated() {
    let uniform = Uniform::new(-1.0, 3.0).unwrap();
    let mut next = Uniform::new(0.0, 1.0).unwrap();
    uniform.maximize(&[0.0], &mut next).unwrap();
    assert_eq!((next, uniform.free_parameters(3), uniform.unconstrained_len()), (uniform, 0, 0));
    assert_eq!(uniform.moved_to(&[2.0], 0), Ok(uniform));
    let result = uniform.maximize(&[-1.0], &mut next);
    assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{result:?}");
}

#[test]
fn parameters_and_data_are_checked() {
    for (low, high) in
        [(0.0, 0.0), (1.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)]
    {
        assert!(Uniform::new(low, high).is_err(), "{low} {high}");
    }
    let estimate = |data: &[f64]| Uniform::estimate(data);
    assert!(matches!(estimate(&[]), Err(EstimateError::NoWeight { .. })));
    assert!(matches!(estimate(&[f64::NAN]), Err(EstimateError::NoWeight { .. })));
    assert!(matches!(estimate(&[1.0, 1.0]), Err(EstimateError::Singular { .. })));
    assert!(matches!(estimate(&[1.0, f64::INFINITY]), Err(EstimateError::Infeasible { .. })));
    let uniform = Uniform::new(0.0, 1.0).unwrap();
    assert!(uniform.check(&[7.0, f64::NAN]).is_ok() && uniform.check(&[f64::INFINITY]).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let uniform = Uniform::new(0.25, 0.5).unwrap();
    let text = serde_json::to_string(&uniform).unwrap();
    assert_eq!(serde_json::from_str::<Uniform>(&text).unwrap(), uniform);
    let error = serde_json::from_str::<Uniform>(&text.replace("0.5", "0.25")).unwrap_err();
    assert!(error.to_string().contains("width is 0"), "{error}");
}
