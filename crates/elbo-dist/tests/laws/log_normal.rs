//! The log-normal distribution obeys the laws of its traits, and agrees with statrs and with the Gaussian of logarithms.

use elbo_core::{EstimateError, Family};
use elbo_dist::{Gaussian, LogNormal};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::prelude::*;
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::{positive, rng};

type Data = Of<LogNormal, f64>;

fn log_normal() -> impl Strategy<Value = LogNormal> {
    (-12.0..12.0, -12.0..3.0_f64)
        .prop_map(|(mean, log_variance)| LogNormal::new(mean, log_variance.exp()).unwrap())
}

/// Spreads whose squares have light tails.
fn smooth() -> impl Strategy<Value = LogNormal> {
    (-5.0..5.0, -8.0..-1.5_f64)
        .prop_map(|(mean, log_variance)| LogNormal::new(mean, log_variance.exp()).unwrap())
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((log_normal(), positive::sample()).prop_map(|(g, s)| s.stats(&g)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        log_normal(),
        positive::sample::<LogNormal>(),
        Just(Data::new(positive::EXTREME.to_vec()))
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(smooth(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(g in log_normal(), sample in positive::sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&g, &sample.data, 1.0);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        let shape = LogNormal::new(0.0, 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn missing_values_are_skipped(g in log_normal(), sample in positive::sample(), at in 0..40_usize) {
        positive::missing_values_are_skipped(&g, &sample, at);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in log_normal(), sample in positive::estimable()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in log_normal(), sample in positive::estimable()) {
        let at = |best: &LogNormal, step: &[f64]| {
            let variance = best.log_variance() * (2.0 * step[1]).exp();
            LogNormal::new(best.log_mean() + step[0] * best.log_variance().sqrt(), variance).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in log_normal(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn the_estimate_is_that_of_a_gaussian_of_logarithms(sample in positive::estimable()) {
        let start = LogNormal::new(0.0, 1.0).unwrap();
        let logs = sample.data.rows().iter().map(|x: &f64| x.ln()).collect();
        let logs = WeightedSample::new(Of::<Gaussian, f64>::new(logs), sample.weights.clone());
        let (mut fitted, mut gaussian) = (start, Gaussian::new(0.0, 1.0).unwrap());
        for _ in 0..2 {
            fitted.clone().maximize(&sample.stats(&fitted), &mut fitted).unwrap();
            gaussian.clone().maximize(&logs.stats(&gaussian), &mut gaussian).unwrap();
        }
        assert_close(fitted.log_mean(), gaussian.mean(), 10.0);
        assert_close(fitted.log_variance(), gaussian.variance(), 1.0);
    }

    #[test]
    fn densities_agree_with_statrs(g in log_normal(), p in 0.001..0.999_f64) {
        let x = g.quantile(p);
        let other = statrs::distribution::LogNormal::new(g.log_mean(), g.log_variance().sqrt()).unwrap();
        // ln x is known to ε|ln x|, which is divided by a standard deviation of 1/400.
        assert_close(g.log_density(x), other.ln_pdf(x), 1e5);
        // statrs' error function is good to 1e-10.
        prop_assert!((g.cdf(x) - other.cdf(x)).abs() < 1e-9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn divergence_agrees_with_quadrature(q in smooth(), other in (-1.0..1.0_f64, -0.3..0.3_f64)) {
        let variance = q.log_variance() * other.0.exp();
        let p = LogNormal::new(q.log_mean() + other.1, variance).unwrap();
        positive::divergence_agrees_with_quadrature(q.kl_divergence(&p), &q, &p);
        prop_assert_eq!(q.kl_divergence(&q), 0.0);
    }

    #[test]
    fn moments_give_the_distribution_back(g in log_normal()) {
        let back = LogNormal::from_moments(g.mean(), g.variance()).unwrap();
        // An exponential of size 20 and its logarithm.
        assert_close(back.log_mean(), g.log_mean(), 20.0);
        assert_close(back.log_variance(), g.log_variance(), 20.0 * g.log_variance());
    }
}

#[test]
fn equal_observations_have_no_estimate() {
    let start = LogNormal::new(0.0, 1.0).unwrap();
    let sample = WeightedSample::new(Data::new(vec![0.3; 9]), vec![0.1; 9]);
    let result = start.maximize(&sample.stats(&start), &mut start.clone());
    assert!(matches!(result, Err(EstimateError::Singular { .. })), "{result:?}");
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(LogNormal::new(f64::NAN, 1.0).is_err());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(LogNormal::new(0.0, bad).is_err());
        assert!(LogNormal::from_moments(bad, 1.0).is_err() && LogNormal::from_moments(1.0, bad).is_err());
    }
    let g = LogNormal::new(2.0, 1.0).unwrap();
    positive::data_are_checked(&g);
    assert!(g.check(&[0.0]).is_err());
    assert_eq!((g.cdf(-1.0), g.quantile(0.0), g.quantile(1.0)), (0.0, 0.0, f64::INFINITY));
    assert_eq!(g.moved_to(&[1.0], 0).unwrap().median(), 1.0);
}

/// Steps from 10⁻⁶ to 1 standard deviations to every side.
fn neighbors(best: &LogNormal) -> Vec<LogNormal> {
    positive::steps()
        .map(|(m, v)| {
            let log_mean = best.log_mean() + m * best.log_variance().sqrt();
            LogNormal::new(log_mean, best.log_variance() * f64::exp(v)).unwrap()
        })
        .collect()
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let g = LogNormal::new(0.1, 0.3).unwrap();
    let text = serde_json::to_string(&g).unwrap();
    assert_eq!(serde_json::from_str::<LogNormal>(&text).unwrap(), g);
    let text = r#"{"log_mean": 1.0, "log_variance": -1.0}"#;
    let error = serde_json::from_str::<LogNormal>(text).unwrap_err();
    assert!(error.to_string().contains("log variance is -1"), "{error}");
}
