//! The inverse gamma distribution obeys the laws of its traits, and agrees with statrs and with the gamma distribution.

use elbo_core::{EstimateError, Family};
use elbo_dist::{Gamma, InverseGamma};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::prelude::*;
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::{positive, rng};

type Data = Of<InverseGamma, f64>;

fn inverse_gamma() -> impl Strategy<Value = InverseGamma> {
    (-3.0..12.0_f64, -12.0..12.0_f64).prop_map(|(log_shape, log_center)| {
        InverseGamma::new(log_shape.exp(), (log_shape + log_center).exp()).unwrap()
    })
}

/// Tails light enough for quadratures of squares: `x² ~ u^(−2/a)`.
fn smooth() -> impl Strategy<Value = InverseGamma> {
    (2.1..8.0_f64, -5.0..5.0_f64).prop_map(|(log_shape, log_scale)| {
        InverseGamma::new(log_shape.exp(), log_scale.exp()).unwrap()
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!(
        (inverse_gamma(), positive::sample()).prop_map(|(g, s)| s.stats(&g))
    );
}

mod family {
    use super::*;

    // Shapes of 10⁵ times deviances of 10⁵.
    const TERMS: f64 = 1e10;

    elbo_laws::family_laws!(
        inverse_gamma(),
        positive::sample::<InverseGamma>(),
        Just(Data::new(positive::EXTREME.to_vec())),
        TERMS
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(smooth(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(g in smooth(), sample in positive::sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&g, &sample.data, 1e8);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        let shape = InverseGamma::new(1.0, 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn missing_values_are_skipped(g in inverse_gamma(), sample in positive::sample(), at in 0..40_usize) {
        positive::missing_values_are_skipped(&g, &sample, at);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in inverse_gamma(), sample in positive::estimable()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in inverse_gamma(), sample in positive::estimable()) {
        let at = |best: &InverseGamma, step: &[f64]| {
            let shape = best.shape() * step[1].exp();
            let center = best.scale() / best.shape() * (step[0] / best.shape().max(1.0).sqrt()).exp();
            InverseGamma::new(shape, shape * center).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in smooth(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn the_estimate_is_that_of_a_gamma_of_reciprocals(sample in positive::estimable()) {
        let start = InverseGamma::new(3.0, 3.0).unwrap();
        let reciprocals = sample.data.rows().iter().map(|x: &f64| x.recip()).collect();
        let reciprocals = WeightedSample::new(Of::<Gamma, f64>::new(reciprocals), sample.weights.clone());
        let (mut fitted, mut of_reciprocals) = (start, Gamma::new(3.0, 3.0).unwrap());
        for _ in 0..2 {
            fitted.clone().maximize(&sample.stats(&fitted), &mut fitted).unwrap();
            let gamma = of_reciprocals;
            gamma.maximize(&reciprocals.stats(&gamma), &mut of_reciprocals).unwrap();
        }
        assert_close(fitted.shape(), of_reciprocals.shape(), 10.0 * fitted.shape());
        assert_close(fitted.scale(), of_reciprocals.rate(), 10.0 * fitted.scale());
    }

    #[test]
    fn densities_agree_with_statrs(g in smooth(), p in 0.001..0.999_f64) {
        let x = g.quantile(p);
        // statrs multiplies xᵃ and bᵃ, which overflow.
        prop_assume!(g.shape() * (x.ln().abs() + g.scale().ln().abs()) < 600.0);
        let other = statrs::distribution::InverseGamma::new(g.shape(), g.scale()).unwrap();
        let terms = g.shape() * (2.0 + g.shape().ln().abs() + x.ln().abs() + g.scale().ln().abs());
        // statrs takes ln Γ by a Lanczos sum, good to 1e-13 of its size, and Q(a, x) to 2e-9.
        assert_close(g.log_density(x), other.ln_pdf(x), 10.0 * (1.0 + terms));
        prop_assert!((g.cdf(x) - other.cdf(x)).abs() < 1e-8);
    }

    #[test]
    fn the_kernel_agrees_with_the_density_at_a_point(g in inverse_gamma(), sample in positive::sample()) {
        for (x, score) in sample.data.rows().iter().zip(sample.log_densities(&g)) {
            let center = (g.scale() / g.shape()).ln().abs();
            let terms = 1.0 + score.abs() + g.shape() * (x.ln().abs() + center);
            assert_close(g.log_density(*x), score, terms);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn divergence_agrees_with_quadrature(q in smooth(), other in (-1.0..1.0_f64, -0.3..0.3_f64)) {
        let shape = q.shape() * other.0.exp();
        let p = InverseGamma::new(shape, q.scale() * (other.0 + other.1).exp()).unwrap();
        positive::divergence_agrees_with_quadrature(q.kl_divergence(&p), &q, &p);
        prop_assert_eq!(q.kl_divergence(&q), 0.0);
    }

    #[test]
    fn moments_give_the_distribution_back(g in smooth()) {
        let back = InverseGamma::from_moments(g.mean(), g.variance()).unwrap();
        assert_close(back.shape(), g.shape(), g.shape());
        assert_close(back.scale(), g.scale(), g.scale());
    }
}

#[test]
fn moments_that_diverge_are_infinite() {
    let moments = |shape| {
        let g = InverseGamma::new(shape, 2.0).unwrap();
        (g.mean(), g.variance())
    };
    assert_eq!(moments(1.0), (f64::INFINITY, f64::INFINITY));
    assert_eq!(moments(2.0), (2.0, f64::INFINITY));
    assert_eq!(moments(3.0), (1.0, 1.0));
}

#[test]
fn equal_observations_have_no_estimate() {
    let start = InverseGamma::new(2.0, 1.0).unwrap();
    let sample = WeightedSample::new(Data::new(vec![0.3; 9]), vec![0.1; 9]);
    let result = start.maximize(&sample.stats(&start), &mut start.clone());
    assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{result:?}");
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(InverseGamma::new(bad, 1.0).is_err() && InverseGamma::new(1.0, bad).is_err());
        assert!(InverseGamma::from_moments(bad, 1.0).is_err());
    }
    let g = InverseGamma::new(2.0, 1.0).unwrap();
    positive::data_are_checked(&g);
    assert!(g.check(&[0.0]).is_err());
    assert_eq!((g.cdf(-1.0), g.quantile(0.0), g.quantile(1.0)), (0.0, 0.0, f64::INFINITY));
    assert_eq!(g.moved_to(&[f64::NAN], 0), Ok(g));
}

/// Steps from 10⁻⁶ to 1 to every side.
fn neighbors(best: &InverseGamma) -> Vec<InverseGamma> {
    positive::steps()
        .map(|(m, a)| {
            let shape = best.shape() * f64::exp(a);
            let center = best.scale() / best.shape() * f64::exp(m / best.shape().sqrt());
            InverseGamma::new(shape, shape * center).unwrap()
        })
        .collect()
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let g = InverseGamma::new(0.1, 0.3).unwrap();
    let text = serde_json::to_string(&g).unwrap();
    assert_eq!(serde_json::from_str::<InverseGamma>(&text).unwrap(), g);
    let error =
        serde_json::from_str::<InverseGamma>(r#"{"shape": 1.0, "scale": -1.0}"#).unwrap_err();
    assert!(error.to_string().contains("scale is -1"), "{error}");
}
