//! The normal-inverse-gamma prior of a log-normal distribution obeys the laws of conjugate priors; its oracle is that of a
//! Gaussian of logarithms.

use elbo_core::{ConjugatePrior, EstimateError, Evidence, Family};
use elbo_dist::{Gaussian, LogNormal, NormalInverseGamma};
use elbo_laws::{Of, WeightedSample, assert_close, univariate::integrate_line};
use proptest::{collection::vec, prelude::*};

use super::normal_inverse_gamma::prior;

type Data = Of<LogNormal, f64>;

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((-10.0..10.0_f64, weight), 0..30).prop_map(|rows| {
        let (logs, weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(logs.iter().map(|log| log.exp()).collect()), weights)
    })
}

fn point() -> impl Strategy<Value = LogNormal> {
    (-10.0..10.0, -2.0..4.0_f64).prop_map(|(m, v)| LogNormal::new(m, v.exp()).unwrap())
}

fn log_base(data: &Data) -> Vec<f64> {
    vec![0.0; data.rows().len()]
}

/// Logarithms of scales, some 10, times half of the weight; and `n ln n`.
const TERMS: f64 = 1e4;

elbo_laws::prior_laws!(prior(), sample(), point());
elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
fn neighbors(best: &LogNormal) -> Vec<LogNormal> {
    let (mean, variance) = (best.log_mean(), best.log_variance());
    let spread = variance.sqrt();
    [-1.0, -1e-3, -1e-6, 1e-6, 1e-3, 1.0]
        .map(|step| {
            [
                LogNormal::new(mean + step * spread, variance).unwrap(),
                LogNormal::new(mean, variance * f64::exp(step)).unwrap(),
            ]
        })
        .as_flattened()
        .to_vec()
}

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(prior in prior(), start in point(), sample in sample()) {
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
    }

    /// A change of variables: the posterior is that of the logarithms, the evidence has the Jacobian.
    #[test]
    fn it_is_the_prior_of_the_logarithms(prior in prior(), sample in sample(), point in point()) {
        let logs: Vec<f64> = sample.data.rows().iter().map(|x| x.ln()).collect();
        let gaussian = Gaussian::new(point.log_mean(), point.log_variance()).unwrap();
        let of_logs = WeightedSample::new(Of::<Gaussian, f64>::new(logs.clone()), sample.weights.clone());
        let (stats, log_stats) = (sample.stats(&point), of_logs.stats(&gaussian));
        let evidence = Evidence::<LogNormal>::log_evidence(&prior, &stats).unwrap();
        let of_gaussian = Evidence::<Gaussian>::log_evidence(&prior, &log_stats).unwrap();
        let jacobian: f64 = logs.iter().zip(&sample.weights).map(|(log, w)| log * w).sum();
        assert_close(evidence, of_gaussian - jacobian, TERMS);
        prop_assert_eq!(prior.log_prior(&point), prior.log_prior(&gaussian));
        let (mut a, mut b) = (point, gaussian);
        prior.mode_into(&mut a).unwrap();
        prior.mode_into(&mut b).unwrap();
        prop_assert_eq!((a.log_mean(), a.log_variance()), (b.mean(), b.variance()));
        prior.mean_into(&mut a);
        prior.mean_into(&mut b);
        prop_assert_eq!((a.log_mean(), a.log_variance()), (b.mean(), b.variance()));
    }

    #[test]
    fn predictions_integrate_to_one(m in -3.0..3.0_f64, shape in 3.0..9.0_f64) {
        let prior = NormalInverseGamma::new(m, 2.0, shape, 1.5).unwrap();
        let any = LogNormal::new(0.0, 1.0).unwrap();
        let density = |log: f64| {
            let mut out = [f64::NAN];
            prior.log_predictive_into(&any, &[log.exp()], &mut out);
            // Beyond the range of doubles, 700 scales away, a t of six degrees of freedom has 10⁻¹⁷ left.
            if out[0].is_finite() { (out[0] + log).exp() } else { 0.0 }
        };
        let total = integrate_line(density, m, (1.5 / shape).sqrt());
        prop_assert!((total - 1.0).abs() < 1e-9, "{}", total);
    }
}

#[test]
fn what_cannot_be_is_impossible_and_what_is_missing_says_nothing() {
    let prior = NormalInverseGamma::new(0.0, 1.0, 2.0, 1.0).unwrap();
    let any = LogNormal::new(0.0, 1.0).unwrap();
    let mut out = [0.5; 3];
    prior.log_predictive_into(&any, &[-1.0, 0.0, f64::NAN], &mut out);
    assert_eq!(out, [f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0]);
    let mut posterior = prior;
    let stats = LogNormal::new(f64::MAX, 1.0).unwrap().expected_stats(1.0);
    let error = ConjugatePrior::<LogNormal>::posterior(&prior, &stats, &mut posterior).unwrap_err();
    assert!(matches!(error, EstimateError::Infeasible { .. }), "{error:?}");
}
