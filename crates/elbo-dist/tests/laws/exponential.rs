//! The exponential distribution obeys the laws of its traits, and agrees with statrs.

use elbo_core::{EstimateError, Family, Statistics};
use elbo_dist::{Exponential, ExponentialStats};
use elbo_laws::{Of, assert_close};
use proptest::prelude::*;
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::{positive, rng};

type Data = Of<Exponential, f64>;

fn exponential() -> impl Strategy<Value = Exponential> {
    (-12.0..12.0_f64).prop_map(|log_rate| Exponential::new(log_rate.exp()).unwrap())
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((exponential(), positive::sample()).prop_map(|(e, s)| s.stats(&e)));
}

mod family {
    use super::*;

    // Rates of e¹² times observations of e⁹.
    const TERMS: f64 = 2e9;

    elbo_laws::family_laws!(
        exponential(),
        positive::sample::<Exponential>(),
        Just(Data::new(positive::EXTREME.to_vec())),
        TERMS
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(exponential(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(e in exponential(), sample in positive::sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&e, &sample.data, 2e9);
    }

    #[test]
    fn every_point_is_a_distribution(flat in -50.0..50.0_f64) {
        let shape = Exponential::new(1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &[flat]);
    }

    #[test]
    fn missing_values_are_skipped(e in exponential(), sample in positive::sample(), at in 0..40_usize) {
        positive::missing_values_are_skipped(&e, &sample, at);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in exponential(), sample in positive::estimable()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, |best: &Exponential| {
            positive::steps().map(|(s, _)| Exponential::new(best.rate() * s.exp()).unwrap()).collect()
        });
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in exponential(), sample in positive::estimable()) {
        let at = |best: &Exponential, step: &[f64]| {
            Exponential::new(best.rate() * step[0].exp()).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 1, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in exponential(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn the_estimate_is_the_inverse_mean(start in exponential(), sample in positive::estimable()) {
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let mean = rows.map(|(x, w)| w * x).sum::<f64>() / sample.total_weight();
        let mut fitted = start;
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        assert_close(fitted.mean(), mean, mean);
        assert_close(Exponential::from_mean(mean).unwrap().rate(), fitted.rate(), fitted.rate());
    }

    #[test]
    fn densities_agree_with_statrs(e in exponential(), p in 0.0..0.999_f64) {
        let x = e.quantile(p);
        let other = statrs::distribution::Exp::new(e.rate()).unwrap();
        assert_close(e.log_density(x), other.ln_pdf(x), 30.0);
        assert_close(e.cdf(x), other.cdf(x), 1.0);
        assert_close(e.cdf(x), p, 1.0);
    }

    #[test]
    fn divergence_agrees_with_quadrature(q in exponential(), ratio in -1.0..1.0_f64) {
        let p = Exponential::new(q.rate() * ratio.exp()).unwrap();
        positive::divergence_agrees_with_quadrature(q.kl_divergence(&p), &q, &p);
        prop_assert_eq!(q.kl_divergence(&q), 0.0);
    }
}

#[test]
fn sums_without_a_distribution_are_rejected() {
    let start = Exponential::new(1.0).unwrap();
    let estimate = |sums: [f64; 2]| {
        let mut stats = ExponentialStats::default();
        stats.read_from(&sums);
        start.maximize(&stats, &mut start.clone())
    };
    assert!(matches!(estimate([0.0, 0.0]), Err(EstimateError::NoWeight { .. })));
    assert!(matches!(estimate([1.0, 0.0]), Err(EstimateError::Boundary { parameter: "rate", .. })));
    for bad in [[0.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Exponential::new(bad).is_err() && Exponential::from_mean(bad).is_err());
    }
    let exponential = Exponential::new(2.0).unwrap();
    positive::data_are_checked(&exponential);
    assert_eq!(exponential.check(&[0.0]), Ok(()));
    assert_eq!(exponential.log_density(0.0), 2.0_f64.ln());
    assert_eq!((exponential.cdf(-1.0), exponential.quantile(1.0)), (0.0, f64::INFINITY));
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let exponential = Exponential::new(0.1).unwrap();
    let text = serde_json::to_string(&exponential).unwrap();
    assert_eq!(serde_json::from_str::<Exponential>(&text).unwrap(), exponential);
    let error = serde_json::from_str::<Exponential>(r#"{"rate": 0.0}"#).unwrap_err();
    assert!(error.to_string().contains("rate is 0"), "{error}");
}
