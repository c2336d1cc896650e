//! The von Mises distribution obeys the laws of its traits, and agrees with quadrature and with 40-digit references.

use std::f64::consts::{PI, TAU};

use elbo_core::{EstimateError, Family, FlatParameters, Statistics, fit_single};
use elbo_dist::{VonMises, VonMisesStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

type Data = Of<VonMises, f64>;

fn von_mises() -> impl Strategy<Value = VonMises> {
    let kappa =
        prop_oneof![8 => (-4.0..6.0_f64).prop_map(f64::exp), 1 => Just(0.0), 1 => Just(1e4)];
    (-PI..PI, kappa).prop_map(|(mean, kappa)| VonMises::new(mean, kappa).unwrap())
}

const TAILS: [(f64, f64, f64); 5] = [
    (0.5, -1.0, 0.271_522_659_125_179_3),
    (3.0, -2.5, 0.001_295_521_403_127_555),
    (50.0, -0.5, 0.000_241_772_240_120_527),
    (1e4, -0.05, 2.875_200_900_846_050_8e-7),
    (1e10, -5e-5, 2.866_515_727_464_466e-7),
];

/// Angles on any turn, about a common direction.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    (-PI..PI, 0.01..3.0_f64, size).prop_flat_map(move |(at, width, n)| {
        let row = (-1.0..1.0_f64, -3..3_i32, weight.clone());
        (vec(row, n), 0.1..2.0).prop_map(move |(rows, first)| {
            let angle = |x: f64, turns: i32| at + width * x + TAU * f64::from(turns);
            let (data, mut weights): (Vec<f64>, Vec<f64>) =
                rows.into_iter().map(|(x, turns, w)| (angle(x, turns), w)).unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

/// At least ten rows, so that the concentration is finite.
fn estimable() -> impl Strategy<Value = WeightedSample<Data>> {
    sample().prop_filter("ten rows", |s| s.weights.iter().filter(|w| **w > 0.0).count() >= 10)
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((von_mises(), sample()).prop_map(|(v, s)| s.stats(&v)));
}

mod family {
    use super::*;

    // Scores are κ times a square whose roundings are those of angles of size 20.
    elbo_laws::family_laws!(
        von_mises(),
        sample(),
        Just(Data::new(vec![f64::MAX, f64::MIN, f64::INFINITY, f64::NAN])),
        1e4
    );
}

mod univariate {
    use elbo_laws::univariate::{
        Continuous, density_integrates_to_the_cdf, draws_follow_the_cdf, quantile_inverts_the_cdf,
    };

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn density_cdf_and_quantile_agree(v in von_mises(), p in 0.001..0.999_f64, q in 1e-6..0.999_999_f64) {
            let (f, c, inverse) = (|x| v.log_density(x), |x| v.cdf(x), |p| v.quantile(p));
            let of = Continuous { log_density: &f, cdf: &c, quantile: &inverse };
            density_integrates_to_the_cdf(&of, [p, q]);
            quantile_inverts_the_cdf(&of, q);
        }

        #[test]
        fn draws_follow_it(v in von_mises(), seed in any::<u64>()) {
            let mut rng = rng(seed);
            let draws = (0..300).map(|_| v.sample(&mut rng)).collect();
            draws_follow_the_cdf(draws, |x| v.cdf(x), |x| v.cdf(x));
        }

        #[test]
        fn moments_agree_with_quadrature(v in von_mises()) {
            // The integrands are smooth within half a turn; Simpson's rule with 4000 intervals resolves κ ≤ 10⁴.
            let h = PI / 2000.0;
            let mean = |g: &dyn Fn(f64) -> f64| (-2000..=2000_i32).map(|i| {
                let weight = if i.abs() == 2000 { 1.0 } else if i % 2 == 0 { 2.0 } else { 4.0 };
                let x = v.mean() + h * f64::from(i);
                weight * h / 3.0 * v.log_density(x).exp() * g(x)
            }).sum::<f64>();
            prop_assert!((mean(&|x| x - v.mean())).abs() < 1e-9);
            let (square, surprise) = (mean(&|x| (x - v.mean()).powi(2)), mean(&|x| -v.log_density(x)));
            prop_assert!((v.variance() - square).abs() < 1e-9, "{} {square}", v.variance());
            prop_assert!((v.entropy() - surprise).abs() < 1e-9, "{} {surprise}", v.entropy());
            let cosine = mean(&|x| 1.0 - (x - v.mean()).cos());
            prop_assert!((v.circular_variance() - cosine).abs() < 1e-9);
            prop_assert!((v.mean_resultant_length() + v.circular_variance() - 1.0).abs() < 1e-14);
        }
    }
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(v in von_mises(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&v, &sample.data, 1e4);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        elbo_laws::parameters::every_point_is_a_distribution(&VonMises::new(0.0, 1.0).unwrap(), &flat);
    }

    #[test]
    fn missing_values_are_skipped(v in von_mises(), sample in sample(), at in 0..40_usize) {
        let at = at.min(sample.len());
        let (mut data, mut weights) = (sample.data.rows().to_vec(), sample.weights.clone());
        data.insert(at, f64::NAN);
        weights.insert(at, 1.5);
        let holey = WeightedSample::new(Data::new(data), weights);
        let (with, without) = (holey.stats(&v), sample.stats(&v));
        elbo_laws::statistics::assert_same(&with, &without, &[&with, &without]);
        prop_assert_eq!(holey.log_densities(&v)[at], 0.0);
    }

    #[test]
    fn statistics_agree_with_plain_sums(v in von_mises(), sample in sample()) {
        let rows = || sample.data.rows().iter().zip(&sample.weights);
        let sine: f64 = rows().map(|(x, w)| w * x.sin()).sum();
        let cosine: f64 = rows().map(|(x, w)| w * x.cos()).sum();
        let total = sample.total_weight();
        let stats = sample.stats(&v);
        assert_close(stats.total_weight(), total, total);
        assert_close(stats.mean_resultant_length(), sine.hypot(cosine) / total, 1.0);
        // The angle of a vector has the rounding of its coordinates over its length.
        let apart = (stats.mean() - sine.atan2(cosine)).sin();
        assert_close(apart, 0.0, 1.0 + total / sine.hypot(cosine));
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in von_mises(), sample in estimable()) {
        let at = |best: &VonMises, step: &[f64]| {
            let unit = best.concentration().max(1.0).sqrt().recip();
            VonMises::new(best.mean() + step[0] * unit, best.concentration() * (step[1]).exp()).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 2, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in von_mises(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn whole_turns_do_not_count(v in von_mises(), x in -PI..PI, turns in -5..5_i32) {
        let later = x + TAU * f64::from(turns);
        // The angle is rounded to some 10⁻¹⁵, which moves κ cos by κ·10⁻¹⁵.
        let size = 1.0 + v.concentration();
        assert_close(v.log_density(x), v.log_density(later), 10.0 * size);
        let (a, b) = (v.cdf(x), v.cdf(later));
        let at_the_cut = ((x - v.mean()).abs() - PI).abs() < 1e-9;
        prop_assert!(at_the_cut || (a - b).abs() <= 1e-13 * size);
    }

    #[test]
    fn divergence_agrees_with_quadrature(p in von_mises(), q in von_mises()) {
        // The trapezoidal rule converges exponentially for periodic functions: 4000 nodes resolve κ ≤ 10⁴.
        let h = TAU / 4000.0;
        let expected: f64 = (0..4000).map(|i| {
            let x = h * f64::from(i);
            h * p.log_density(x).exp() * (p.log_density(x) - q.log_density(x))
        }).sum();
        let divergence = p.kl_divergence(&q);
        assert_close(divergence, expected, 10.0 * (10.0 + p.concentration() + q.concentration()));
        prop_assert!(p.kl_divergence(&p) <= 1e-12);
    }
}

#[test]
fn tails_agree_with_references() {
    // ∫ exp(κ cos t − κ) dt / [2π I₀(κ) e^−κ] from |x| to π, by mpmath 1.3 with 40 digits.
    for (kappa, x, expected) in TAILS {
        let v = VonMises::new(0.0, kappa).unwrap();
        // The exponent κ(1 − cos x) up to some 20 is rounded to 20ε, and so is the quadrature's sum.
        assert!((v.cdf(x) / expected - 1.0).abs() < 1e-13, "{kappa} {x}: {:e}", v.cdf(x));
        assert!((v.quantile(expected) / x - 1.0).abs() < 1e-12, "{kappa} {x}");
        assert!((v.cdf(-x) - (1.0 - expected)).abs() < 1e-15);
    }
}

#[test]
fn huge_concentrations_are_recovered() {
    for kappa in [1e6, 1e10, 1e14] {
        let truth = VonMises::new(2.0, kappa).unwrap();
        let mut rng = rng(11);
        let data: Vec<f64> = (0..2000).map(|_| truth.sample(&mut rng)).collect();
        let mean = data.iter().sum::<f64>() / 2000.0;
        let variance = data.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2000.0;
        let fit = fit_single(VonMises::new(1.9, 1.0).unwrap(), &data[..]).unwrap().params;
        // Angles of size 2 are rounded to 4·10⁻¹⁶, against a standard deviation of κ^−½; and sin x = x − x³/6.
        let tolerance = 10.0 / kappa + 1e-14 * kappa.sqrt();
        assert!(
            (fit.concentration() * variance - 1.0).abs() < tolerance.max(1e-9),
            "{kappa:e}: {fit:?}"
        );
        assert!((fit.mean() - mean).abs() < 1e-9);
        assert!((fit.concentration() / kappa - 1.0).abs() < 0.2);
    }
}

#[test]
fn opposite_angles_cancel_and_equal_ones_have_no_estimate() {
    let start = VonMises::new(0.5, 3.0).unwrap();
    let stats =
        |xs: &[f64]| WeightedSample::new(Data::new(xs.to_vec()), vec![1.0; xs.len()]).stats(&start);
    let mut fitted = start;
    start.maximize(&stats(&[0.5, 0.5 + PI]), &mut fitted).unwrap();
    assert!(fitted.concentration() < 1e-14, "{fitted:?}");
    let estimate = |stats: &VonMisesStats| start.maximize(stats, &mut start.clone());
    for x in [0.5, 2.0, -1e3] {
        let result = estimate(&stats(&[x; 7]));
        assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{x}: {result:?}");
    }
    assert!(matches!(estimate(&start.new_stats()), Err(EstimateError::NoWeight { .. })));
    let mut negative = stats(&[0.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let mut outside = stats(&[0.0, 1.0]);
    outside.axpy(-1.0, &stats(&[0.2, 3.0, 3.0]));
    assert!(estimate(&outside).is_err());
}

#[test]
fn without_concentration_all_angles_are_alike() {
    let v = VonMises::new(1.0, 0.0).unwrap();
    assert_close(v.log_density(123.0), -TAU.ln(), 2.0);
    assert_close(v.entropy(), TAU.ln(), 2.0);
    assert_close(v.cdf(1.0 + 0.25 * PI), 0.625, 1.0);
    assert_close(v.variance(), PI * PI / 3.0, 4.0);
    assert_eq!((v.mean_resultant_length(), v.circular_variance()), (0.0, 1.0));
    let mut flat = Vec::new();
    v.write_unconstrained(&mut flat);
    assert_eq!(v.with_unconstrained(&mut &flat[..]), v);
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(VonMises::new(f64::INFINITY, 1.0).is_err());
    for bad in [-1.0, f64::INFINITY, f64::NAN] {
        assert!(VonMises::new(0.0, bad).is_err());
    }
    let v = VonMises::new(0.0, 1.0).unwrap();
    assert!(v.check(&[1e6, f64::NAN]).is_ok() && v.check(&[f64::INFINITY]).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let v = VonMises::new(0.1, 0.3).unwrap();
    let text = serde_json::to_string(&v).unwrap();
    assert_eq!(serde_json::from_str::<VonMises>(&text).unwrap(), v);
    let error = serde_json::from_str::<VonMises>(&text.replace("0.3", "-0.3")).unwrap_err();
    assert!(error.to_string().contains("concentration is -0.3"), "{error}");
}

/// The Kolmogorov–Smirnov bound of a thousand draws leaves room for a concentration that is off by a twentieth; the mean
/// cosine of many does not. Six standard errors.
#[test]
fn the_mean_cosine_of_draws_is_the_mean_resultant_length() {
    for kappa in [0.3, 0.99, 1.0, 4.0, 50.0] {
        let of = VonMises::new(2.0, kappa).unwrap();
        let n = 100_000;
        let draws = elbo_core::Draw::draw(&of, n, &mut rng(11));
        let cosines = draws.iter().map(|x| (x - 2.0).cos());
        let (sum, squares) =
            cosines.fold((0.0, 0.0), |(sum, squares), c| (sum + c, squares + c * c));
        let mean = sum / n as f64;
        let error = ((squares / n as f64 - mean * mean) / n as f64).sqrt();
        let expected = of.mean_resultant_length();
        assert!((mean - expected).abs() < 6.0 * error, "κ = {kappa}: {mean} is not {expected}");
    }
}
