//! The Weibull distribution obeys the laws of its traits; its steps never lower the likelihood and reach the maximum.

use elbo_core::{EstimateError, Family, fit_single};
use elbo_dist::{Weibull, WeibullStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::{positive, rng};

type Data = Of<Weibull, f64>;

/// Within what [`positive::sample`] draws no power overflows.
fn weibull() -> impl Strategy<Value = Weibull> {
    (-2.0..2.0_f64, -7.0..7.0_f64)
        .prop_map(|(log_shape, log_scale)| Weibull::new(log_shape.exp(), log_scale.exp()).unwrap())
}

fn smooth() -> impl Strategy<Value = Weibull> {
    (0.0..5.0_f64, -5.0..5.0_f64)
        .prop_map(|(log_shape, log_scale)| Weibull::new(log_shape.exp(), log_scale.exp()).unwrap())
}

/// Statistics add up where they were taken at the same parameters.
fn stats() -> impl Strategy<Value = WeibullStats> {
    let here = Weibull::new(1.5, 2.0).unwrap();
    positive::sample().prop_map(move |sample| sample.stats(&here))
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!(stats());
}

mod family {
    use super::*;

    // z up to e² · 16, and e^z beside it.
    const TERMS: f64 = 1e3;

    elbo_laws::family_laws!(
        weibull(),
        positive::sample::<Weibull>(),
        Just(Data::new(positive::EXTREME.to_vec())),
        TERMS
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(smooth(), rng);
}

/// Ten to forty rows, more or less spread, one of them at times far off; weights over some decades.
fn estimable() -> impl Strategy<Value = WeightedSample<Data>> {
    let spread = prop_oneof![Just(3.0), Just(0.3), Just(0.01)];
    let rows = vec((-1.0..1.0_f64, -3.0..1.0_f64), 2..40);
    (-7.0..7.0_f64, spread, rows, prop_oneof![3 => Just(0.0), 1 => -9.0..9.0]).prop_map(
        |(at, spread, rows, far)| {
            let (mut data, weights): (Vec<f64>, Vec<f64>) = rows
                .into_iter()
                .map(|(x, w)| ((at + spread * x).exp(), w.exp()))
                .unzip();
            data[0] *= f64::exp(spread * far);
            WeightedSample::new(Data::new(data), weights)
        },
    )
}

fn log_likelihood(weibull: &Weibull, sample: &WeightedSample<Data>) -> f64 {
    sample.log_likelihood(weibull).0
}

fn moments(sample: &WeightedSample<Data>) -> (f64, f64) {
    let (xs, weights, total) = (sample.data.rows(), &sample.weights, sample.total_weight());
    let mean = xs.iter().zip(weights).map(|(x, w)| w * x).sum::<f64>() / total;
    let scatter: f64 = xs.iter().zip(weights).map(|(x, w)| w * (x - mean).powi(2)).sum();
    (mean, scatter / total)
}

/// The maximum by bisection of the profile equation `1/k + mean(ln x) = Σw x^k ln x / Σw x^k`.
fn optimum(sample: &WeightedSample<Data>) -> Weibull {
    let rows = || sample.data.rows().iter().zip(&sample.weights);
    let total = sample.total_weight();
    let top = sample.data.rows().iter().copied().fold(0.0, f64::max);
    let mean_log = rows().map(|(x, w)| w * (x / top).ln()).sum::<f64>() / total;
    let power = |k: f64| rows().map(|(x, w)| w * (x / top).powf(k)).sum::<f64>();
    let slope = |k: f64| {
        let tilted: f64 = rows().map(|(x, w)| w * (x / top).powf(k) * (x / top).ln()).sum();
        k.recip() + mean_log - tilted / power(k)
    };
    let (mut low, mut high) = (1e-4_f64, 1e6_f64);
    for _ in 0..200 {
        let middle = (low * high).sqrt();
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    Weibull::new(low, top * (power(low) / total).powf(low.recip())).unwrap()
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(g in weibull(), sample in positive::sample()) {
        let size = 1e3 * sample.log_densities(&g).into_iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        elbo_laws::parameters::coordinates_give_the_distribution_back(&g, &sample.data, 1e3 + size);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        let shape = Weibull::new(1.0, 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn missing_values_are_skipped(g in weibull(), sample in positive::sample(), at in 0..40_usize) {
        positive::missing_values_are_skipped(&g, &sample, at);
    }

    #[test]
    fn steps_never_lower_the_likelihood(
        log_shape in -3.0..4.0_f64, log_scale in -2.0..2.0_f64, sample in estimable()
    ) {
        let mut at = Weibull::new(log_shape.exp(), moments(&sample).0 * log_scale.exp()).unwrap();
        let mut before = log_likelihood(&at, &sample);
        prop_assume!(before > -1e100); // beyond that squares of powers overflow
        for _ in 0..30 {
            at.clone().maximize(&sample.stats(&at), &mut at).unwrap();
            let (after, size) = sample.log_likelihood(&at);
            prop_assert!(after >= before - elbo_laws::TOLERANCE * size, "{before} falls to {after} at {at:?}");
            before = after;
        }
        let best = optimum(&sample);
        let (highest, size) = sample.log_likelihood(&best);
        prop_assert!(before >= highest - 1e-9 * size, "{before} is below {highest} at {at:?}, {best:?}");
    }

    #[test]
    fn ten_steps_from_moments_reach_the_maximum(sample in estimable()) {
        let (mean, variance) = moments(&sample);
        prop_assume!(variance > 1e-9 * mean * mean);
        let best = optimum(&sample);
        let mut at = Weibull::from_moments(mean, variance).unwrap();
        for _ in 0..10 {
            at.clone().maximize(&sample.stats(&at), &mut at).unwrap();
        }
        let (highest, size) = sample.log_likelihood(&best);
        let reached = log_likelihood(&at, &sample);
        prop_assert!(reached >= highest - 1e-10 * size, "{reached} is below {highest}");
        // The optimum is flat: what is within ε of the top is within √ε of its place.
        prop_assert!((at.shape() / best.shape() - 1.0).abs() < 1e-6, "{at:?} {best:?}");
        prop_assert!((at.scale() / best.scale() - 1.0).abs() < 1e-6, "{at:?} {best:?}");
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(sample in positive::estimable()) {
        let start = optimum(&sample);
        let at = |best: &Weibull, step: &[f64]| {
            let scale = best.scale() * (step[0] / best.shape()).exp();
            Weibull::new(best.shape() * step[1].exp(), scale).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in smooth(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws: Vec<f64> = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn densities_agree_with_statrs(g in smooth(), p in 0.001..0.999_f64) {
        let x = g.quantile(p);
        let other = statrs::distribution::Weibull::new(g.shape(), g.scale()).unwrap();
        // z is k times a logarithm, with the rounding of ln x and ln λ.
        assert_close(g.log_density(x), other.ln_pdf(x), 20.0 * g.shape());
        assert_close(g.cdf(x), other.cdf(x), g.shape());
    }

    #[test]
    fn the_kernel_agrees_with_the_density_at_a_point(g in weibull(), sample in positive::sample()) {
        for (x, score) in sample.data.rows().iter().zip(sample.log_densities(&g)) {
            let z = 1.0 + g.shape() * (x.ln().abs() + g.scale().ln().abs());
            assert_close(g.log_density(*x), score, z * (1.0 + score.abs()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn divergence_agrees_with_quadrature(q in smooth(), other in (-0.7..0.7_f64, -1.0..1.0_f64)) {
        let scale = q.scale() * (other.1 / q.shape()).exp();
        let p = Weibull::new(q.shape() * other.0.exp(), scale).unwrap();
        positive::divergence_agrees_with_quadrature(q.kl_divergence(&p), &q, &p);
        prop_assert_eq!(q.kl_divergence(&q), 0.0);
    }

    #[test]
    fn moments_give_the_distribution_back(log_shape in -2.0..14.0_f64, log_scale in -5.0..5.0_f64) {
        let g = Weibull::new(log_shape.exp(), log_scale.exp()).unwrap();
        let back = Weibull::from_moments(g.mean(), g.variance()).unwrap();
        // The variance of a large shape is a difference of logarithms of size 1/k: half its digits at 10⁶.
        let size = g.shape().max(1.0);
        prop_assert!((back.shape() / g.shape() - 1.0).abs() <= 1e-12 * size, "{g:?} {back:?}");
        assert_close(back.scale(), g.scale(), 100.0 * g.scale());
    }
}

#[test]
fn the_driver_fits_a_sample_that_is_known() {
    // Nelson (1982), Applied Life Data Analysis, breakdown of insulating fluid at 34 kV, minutes: k = 0.771, λ = 12.2.
    let minutes = [
        0.19, 0.78, 0.96, 1.31, 2.78, 3.16, 4.15, 4.67, 4.85, 6.50, 7.35, 8.01, 8.27, 12.06, 31.75,
        32.52, 33.91, 36.71, 72.89,
    ];
    let best = optimum(&WeightedSample::new(Data::new(minutes.to_vec()), vec![1.0; 19]));
    for start in [Weibull::from_moments(14.0, 300.0), Weibull::new(1.0, 1.0), Weibull::new(0.05, 50.0)] {
        let fit = fit_single(start.unwrap(), &minutes[..]).unwrap();
        assert!((fit.params.shape() - best.shape()).abs() < 1e-5, "{:?} {best:?}", fit.params);
        assert!((fit.params.scale() - best.scale()).abs() < 1e-4, "{:?} {best:?}", fit.params);
    }
    assert!((best.shape() - 0.771).abs() < 5e-4 && (best.scale() - 12.2).abs() < 0.05, "{best:?}");
}

#[test]
fn statistics_without_a_distribution_are_rejected() {
    let start = Weibull::new(2.0, 0.5).unwrap();
    let estimate = |stats: &WeibullStats| start.maximize(stats, &mut start.clone());
    let observe = |xs: &[f64], ws: &[f64]| {
        WeightedSample::new(Data::new(xs.to_vec()), ws.to_vec()).stats(&start)
    };
    let nothing = estimate(&start.new_stats());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { weight: 0.0, .. })), "{nothing:?}");
    for constant in [0.1, 0.5, 1.3] {
        let result = estimate(&observe(&[constant; 37], &[0.1; 37]));
        assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{constant}: {result:?}");
    }
    let mut negative = observe(&[1.0, 2.0], &[1.0, 1.0]);
    elbo_core::Statistics::scale(&mut negative, -1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    // One observation far above outweighs all others; it is not all there is.
    assert!(estimate(&observe(&[1e-9, 9.0], &[1.0, 1.0])).is_ok());
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Weibull::new(bad, 1.0).is_err() && Weibull::new(1.0, bad).is_err());
        assert!(Weibull::from_moments(bad, 1.0).is_err() && Weibull::from_moments(1.0, bad).is_err());
    }
    let g = Weibull::new(2.0, 1.0).unwrap();
    positive::data_are_checked(&g);
    assert!(g.check(&[0.0]).is_err());
    assert_eq!((g.cdf(-1.0), g.quantile(0.0), g.quantile(1.0)), (0.0, 0.0, f64::INFINITY));
    assert_eq!(g.moved_to(&[3.0], 0).unwrap().scale(), 3.0);
    let narrow = Weibull::new(8.0, 7.0).unwrap();
    assert!((narrow.relative_spread(&g.expected_stats(5.0)) - 1.0 / 16.0).abs() < 1e-12);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let g = Weibull::new(0.1, 0.3).unwrap();
    let text = serde_json::to_string(&g).unwrap();
    assert_eq!(serde_json::from_str::<Weibull>(&text).unwrap(), g);
    let error = serde_json::from_str::<Weibull>(r#"{"shape": 1.0, "scale": -1.0}"#).unwrap_err();
    assert!(error.to_string().contains("scale is -1"), "{error}");
}
