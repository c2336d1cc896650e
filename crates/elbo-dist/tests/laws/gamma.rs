//! The gamma distribution as a family obeys the laws of its traits, and agrees with statrs and with 50-digit values.

use elbo_core::{DataError, EstimateError, Family, Statistics};
use elbo_dist::{Gamma, GammaStats};
use elbo_laws::{Of, TOLERANCE, WeightedSample, assert_close};
use proptest::prelude::*;
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::{positive, rng};

type Data = Of<Gamma, f64>;

/// Shapes from 0.05 to 10⁵, means over ten decades.
fn gamma() -> impl Strategy<Value = Gamma> {
    (-3.0..12.0_f64, -12.0..12.0_f64).prop_map(|(log_shape, log_mean)| {
        Gamma::new(log_shape.exp(), (log_shape - log_mean).exp()).unwrap()
    })
}

/// Shapes whose lower tail a double can hold, for quadratures.
fn smooth() -> impl Strategy<Value = Gamma> {
    (-0.5..8.0_f64, -5.0..5.0_f64)
        .prop_map(|(log_shape, log_rate)| Gamma::new(log_shape.exp(), log_rate.exp()).unwrap())
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((gamma(), positive::sample()).prop_map(|(g, s)| s.stats(&g)));
}

mod family {
    use super::*;

    // Shapes of 10⁵ times deviances of 10⁵.
    const TERMS: f64 = 1e10;

    elbo_laws::family_laws!(
        gamma(),
        positive::sample::<Gamma>(),
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
    fn coordinates_give_the_distribution_back(gamma in smooth(), sample in positive::sample()) {
        // A shape of 3000 times deviances of 10⁵.
        elbo_laws::parameters::coordinates_give_the_distribution_back(&gamma, &sample.data, 1e8);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        let shape = Gamma::new(1.0, 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn missing_values_are_skipped(gamma in gamma(), sample in positive::sample(), at in 0..40_usize) {
        positive::missing_values_are_skipped(&gamma, &sample, at);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in gamma(), sample in positive::estimable()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in gamma(), sample in positive::estimable()) {
        let at = |best: &Gamma, step: &[f64]| {
            let shape = best.shape() * step[1].exp();
            let mean = best.mean() * (step[0] / best.shape().max(1.0).sqrt()).exp();
            Gamma::new(shape, shape / mean).unwrap()
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
    fn origins_do_not_matter(a in gamma(), b in gamma(), sample in positive::sample(), cut in 0..40_usize) {
        let (left, right): (Vec<usize>, Vec<usize>) = (0..sample.len()).partition(|i| *i < cut);
        let (left, right) = (sample.pick(&left).stats(&a), sample.pick(&right).stats(&b));
        let mut merged = left;
        merged.merge(&right);
        let whole = sample.stats(&a);
        elbo_laws::statistics::assert_same(&merged, &whole, &[&left, &right, &whole, &sample.stats(&b)]);
    }

    #[test]
    fn statistics_agree_with_the_two_pass_formulas(sample in positive::estimable()) {
        let (xs, weights) = (sample.data.rows(), &sample.weights);
        let total: f64 = weights.iter().sum();
        let mean = xs.iter().zip(weights).map(|(x, w)| w * x).sum::<f64>() / total;
        let spread = xs.iter().zip(weights).map(|(x, w)| w * (mean / x).ln()).sum::<f64>() / total;
        let stats = sample.stats(&Gamma::new(2.0, 2.0 / mean).unwrap());
        assert_close(stats.mean(), mean, mean);
        // The textbook's difference has the rounding of logarithms of size 1.
        assert_close(stats.log_spread(), spread, 1.0);
    }

    #[test]
    fn densities_agree_with_statrs(gamma in smooth(), p in 0.001..0.999_f64) {
        let x = gamma.quantile(p);
        let other = statrs::distribution::Gamma::new(gamma.shape(), gamma.rate()).unwrap();
        let terms = gamma.shape() * (2.0 + gamma.shape().ln().abs() + x.ln().abs() + gamma.rate().ln().abs());
        // statrs takes ln Γ by a Lanczos sum, good to 1e-13 of its size, and P(a, x) to 2e-9.
        assert_close(gamma.log_density(x), other.ln_pdf(x), 10.0 * (1.0 + terms));
        prop_assert!((gamma.cdf(x) - other.cdf(x)).abs() < 1e-8);
    }

    #[test]
    fn the_kernel_agrees_with_the_density_at_a_point(gamma in gamma(), sample in positive::sample()) {
        for (x, score) in sample.data.rows().iter().zip(sample.log_densities(&gamma)) {
            // Both take logarithms of x where it is far from the mean.
            let terms = 1.0 + score.abs() + gamma.shape() * (x.ln().abs() + gamma.mean().ln().abs());
            assert_close(gamma.log_density(*x), score, terms);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn divergence_agrees_with_quadrature(q in smooth(), other in (-1.0..1.0_f64, -0.3..0.3_f64)) {
        let shape = q.shape() * other.0.exp();
        let p = Gamma::new(shape, shape / q.mean() * other.1.exp()).unwrap();
        positive::divergence_agrees_with_quadrature(q.kl_divergence(&p), &q, &p);
        prop_assert_eq!(q.kl_divergence(&q), 0.0);
    }

    #[test]
    fn moments_give_the_distribution_back(gamma in gamma()) {
        let back = Gamma::from_moments(gamma.mean(), gamma.variance()).unwrap();
        assert_close(back.shape(), gamma.shape(), gamma.shape());
        assert_close(back.rate(), gamma.rate(), gamma.rate());
    }
}

#[test]
fn large_shapes_keep_their_digits() {
    // mpmath, 50 digits: shape 1e8, rate 1e8, x = 1.0001:
    // a*log(b) - loggamma(a) + (a-1)*log(x) - b*x.
    let gamma = Gamma::new(1e8, 1e8).unwrap();
    assert_close(gamma.log_density(1.0001), LOG_DENSITY_1E8, 10.0);
    let entropy = 0.5 * (std::f64::consts::TAU.ln() + 1.0 - 1e8_f64.ln()); // that of N(1, 1e-8), up to 1e-8
    assert!((gamma.entropy() - entropy).abs() < 1e-8);
    let wider = Gamma::new(0.5e8, 0.5e8).unwrap();
    // h(a) - h(a/2) - a/2 g(a) = ½ ln 2 - ¼ + O(1/a)
    let expected = 0.5 * 2.0_f64.ln() - 0.25;
    assert!((gamma.kl_divergence(&wider) - expected).abs() < 1e-8);
}

const LOG_DENSITY_1E8: f64 = 7.791335173771487;

#[test]
fn nearly_equal_observations_have_large_shapes() {
    // Two points m(1 ± d): ln mean − mean ln = −½ ln(1 − d²), and ln a − ψ(a) = 1/(2a) + 1/(12a²) − …
    for (m, d) in [(1.0, 1e-4), (3e100, 1e-4), (2e-100, 1e-5)] {
        let sample = WeightedSample::new(Data::new(vec![m * (1.0 - d), m * (1.0 + d)]), vec![0.7; 2]);
        let mut fitted = Gamma::new(1.0, 1.0 / m).unwrap();
        for _ in 0..2 {
            fitted.clone().maximize(&sample.stats(&fitted), &mut fitted).unwrap();
        }
        let spread = -0.5 * f64::ln_1p(-d * d);
        let shape = 0.5 / spread + 1.0 / 6.0;
        // 1 ± d is rounded: d is known to ε/d.
        assert!((fitted.shape() / shape - 1.0).abs() < 4.0 * f64::EPSILON / d, "{fitted:?} {shape}");
        assert_close(fitted.mean(), m, m);
    }
}

#[test]
fn all_shapes_solve_their_equation() {
    for i in -120..=300 {
        let shape = 10.0_f64.powf(f64::from(i) / 20.0);
        let truth = Gamma::new(shape, shape).unwrap();
        let start = Gamma::new(1.0, 1.0).unwrap();
        let mut back = start;
        start.maximize(&truth.expected_stats(3.0), &mut back).unwrap();
        assert!((back.shape() / shape - 1.0).abs() < 100.0 * f64::EPSILON, "{shape}: {back:?}");
    }
}

#[test]
fn statistics_without_a_distribution_are_rejected() {
    let start = Gamma::new(2.0, 0.5).unwrap();
    let estimate = |stats: &GammaStats| start.maximize(stats, &mut start.clone());
    let observe = |xs: &[f64], ws: &[f64]| {
        WeightedSample::new(Data::new(xs.to_vec()), ws.to_vec()).stats(&start)
    };
    let nothing = estimate(&start.new_stats());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { weight: 0.0, .. })), "{nothing:?}");
    for constant in [0.1, 4.0, 1e8 + 0.1, 1e-200] {
        let result = estimate(&observe(&[constant; 37], &[0.1; 37]));
        assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{constant}: {result:?}");
    }
    let mut negative = observe(&[1.0, 2.0], &[1.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let mut outside = observe(&[1.0, 2.0], &[1.0, 1.0]);
    outside.axpy(-1.0, &observe(&[0.1, 8.0], &[0.2, 0.2]));
    assert!(matches!(estimate(&outside), Err(EstimateError::Infeasible { .. })));
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(Gamma::from_moments(-1.0, 1.0).is_err() && Gamma::from_moments(1.0, 0.0).is_err());
    let gamma = Gamma::new(2.0, 1.0).unwrap();
    positive::data_are_checked(&gamma);
    assert_eq!(gamma.check(&[0.0]), Err(DataError::Support {
        row: 0, column: 0, value: 0.0, needed: "a number above 0",
    }));
    assert_eq!(gamma.log_density(-1.0), f64::NEG_INFINITY);
    assert_eq!(gamma.log_density(f64::NAN), 0.0);
    assert_eq!((gamma.cdf(-1.0), gamma.quantile(0.0), gamma.quantile(1.0)), (0.0, 0.0, f64::INFINITY));
}

#[test]
fn spread_is_judged_on_the_logarithmic_scale() {
    let (whole, narrow) = (Gamma::new(100.0, 1.0).unwrap(), Gamma::new(400.0, 9.0).unwrap());
    // 1/(2a) + 1/(12a²)
    let expected = (1.0 / 800.0 + 1.0 / 1_920_000.0) / (1.0 / 200.0 + 1.0 / 120_000.0);
    assert!((narrow.relative_spread(&whole.expected_stats(10.0)) - expected).abs() < 1e-9);
    let moved = narrow.moved_to(&[5.0], 0).unwrap();
    assert!((moved.mean() - 5.0).abs() < TOLERANCE && moved.shape() == 400.0);
}

/// Steps from 10⁻⁶ to 1 to every side, of the shape and of the mean in standard deviations.
fn neighbors(best: &Gamma) -> Vec<Gamma> {
    positive::steps()
        .map(|(m, a)| {
            let shape = best.shape() * f64::exp(a);
            let mean = best.mean() * f64::exp(m / best.shape().sqrt());
            Gamma::new(shape, shape / mean).unwrap()
        })
        .collect()
}
