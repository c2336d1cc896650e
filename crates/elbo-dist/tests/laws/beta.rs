//! The beta distribution as a family obeys the laws of its traits, and agrees with statrs and with quadrature.

use elbo_core::{DataError, EstimateError, Family, Statistics};
use elbo_dist::{Beta, BetaStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, ContinuousCDF};

use crate::{positive, rng};

type Data = Of<Beta, f64>;

/// Concentrations from 0.1 to 10⁵, means up to 10⁻³ from either end.
fn beta() -> impl Strategy<Value = Beta> {
    (-7.0..7.0_f64, -2.0..12.0_f64).prop_map(|(logit, concentration)| of(logit, concentration.exp()))
}

fn of(logit: f64, concentration: f64) -> Beta {
    let (a, b) = (1.0 / (1.0 + (-logit).exp()), 1.0 / (1.0 + logit.exp()));
    Beta::new(concentration * a, concentration * b).unwrap()
}

/// Both parameters above one half, so that doubles hold both tails.
fn smooth() -> impl Strategy<Value = Beta> {
    (-0.7..6.0_f64, -0.7..6.0_f64).prop_map(|(a, b)| Beta::new(a.exp(), b.exp()).unwrap())
}

fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// Rows about a common logit, some of weight zero, never all; at times more than one block.
fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    (-5.0..5.0_f64, size).prop_flat_map(move |(at, n)| {
        (vec((at - 2.0..at + 2.0, weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<f64>, Vec<f64>) =
                rows.into_iter().map(|(logit, w)| (logistic(logit), w)).unzip();
            weights[0] = first;
            WeightedSample::new(Data::new(data), weights)
        })
    })
}

/// At least ten rows of positive weight, so that there is an estimate.
fn estimable() -> impl Strategy<Value = WeightedSample<Data>> {
    let spread = prop_oneof![Just(2.0), Just(0.1)];
    (-5.0..5.0_f64, spread, vec((-1.0..1.0_f64, 0.1..2.0), 10..40)).prop_map(|(at, spread, rows)| {
        let (data, weights) = rows.into_iter().map(|(x, w)| (logistic(at + spread * x), w)).unzip();
        WeightedSample::new(Data::new(data), weights)
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((beta(), sample()).prop_map(|(g, s)| s.stats(&g)));
}

mod family {
    use super::*;

    // Concentrations of 10⁵ times divergences of 10.
    const TERMS: f64 = 1e6;

    elbo_laws::family_laws!(
        beta(),
        sample(),
        Just(Data::new([&positive::EXTREME[..], &[1.0, 2.0]].concat())),
        TERMS
    );
}

mod univariate {
    use super::*;

    elbo_laws::continuous_laws!(smooth(), rng);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(g in beta(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&g, &sample.data, 1e6);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform2(-50.0..50.0_f64)) {
        let shape = Beta::new(1.0, 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn missing_values_are_skipped(g in beta(), sample in sample(), at in 0..40_usize) {
        positive::missing_values_are_skipped(&g, &sample, at);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in beta(), sample in estimable()) {
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in beta(), sample in estimable()) {
        let at = |best: &Beta, step: &[f64]| {
            let concentration = best.a() + best.b();
            let deviation = (best.a().min(best.b()) + 1.0).sqrt();
            let logit = best.a().ln() - best.b().ln() + step[0] / deviation;
            of(logit, concentration * step[1].exp())
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
    fn origins_do_not_matter(a in beta(), b in beta(), sample in sample(), cut in 0..40_usize) {
        let (left, right): (Vec<usize>, Vec<usize>) = (0..sample.len()).partition(|i| *i < cut);
        let (left, right) = (sample.pick(&left).stats(&a), sample.pick(&right).stats(&b));
        let mut merged = left;
        merged.merge(&right);
        let whole = sample.stats(&a);
        elbo_laws::statistics::assert_same(&merged, &whole, &[&left, &right, &whole, &sample.stats(&b)]);
    }

    #[test]
    fn the_estimate_has_the_moments_of_the_data(start in beta(), sample in estimable()) {
        let total = sample.total_weight();
        let mean = |f: fn(f64) -> f64| {
            sample.data.rows().iter().zip(&sample.weights).map(|(x, w)| w * f(*x)).sum::<f64>() / total
        };
        let mut fitted = start;
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        fitted.clone().maximize(&sample.stats(&fitted), &mut fitted).unwrap();
        let (log, log_complement) = fitted.expected_logs();
        // The textbook's digammas cancel: at a concentration n they leave ε of numbers of size 1 + ln n.
        assert_close(log, mean(f64::ln), 10.0);
        assert_close(log_complement, mean(|x| (-x).ln_1p()), 10.0);
    }

    #[test]
    fn densities_agree_with_statrs(g in smooth(), p in 0.001..0.999_f64) {
        let x = g.quantile(p);
        let other = statrs::distribution::Beta::new(g.a(), g.b()).unwrap();
        // statrs takes ln Γ by a Lanczos sum, good to 1e-13 of its size.
        assert_close(g.log_density(x), other.ln_pdf(x), 100.0 * (g.a() + g.b()) * (g.a() + g.b() + 1.0).ln());
        prop_assert!((g.cdf(x) - other.cdf(x)).abs() < 1e-8);
    }

    #[test]
    fn the_kernel_agrees_with_the_density_at_a_point(g in beta(), sample in sample()) {
        for (x, score) in sample.data.rows().iter().zip(sample.log_densities(&g)) {
            let logs = 20.0 * (g.a() + g.b()); // logarithms of both sides, up to 7
            assert_close(g.log_density(*x), score, 1.0 + score.abs() + logs);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn divergence_agrees_with_quadrature(q in smooth(), other in (-0.5..0.5_f64, -0.5..0.5_f64)) {
        let p = Beta::new(q.a() * other.0.exp(), q.b() * other.1.exp()).unwrap();
        positive::divergence_agrees_with_quadrature(q.kl_divergence(&p), &q, &p);
        prop_assert_eq!(q.kl_divergence(&q), 0.0);
    }

    #[test]
    fn moments_give_the_distribution_back(g in beta()) {
        let back = Beta::from_moments(g.mean(), g.variance()).unwrap();
        // mean (1 − mean) − variance cancels at small concentrations, 1 − mean near 1.
        let size = 1e4 * (1.0 + (g.a() + g.b()).recip());
        assert_close(back.a(), g.a(), size * g.a());
        assert_close(back.b(), g.b(), size * g.b());
    }
}

#[test]
fn all_parameters_solve_their_equations() {
    let start = Beta::new(1.0, 1.0).unwrap();
    for i in -8..=18_i32 {
        for j in -8..=18_i32 {
            let (a, b) = (10.0_f64.powf(f64::from(i) / 2.0), 10.0_f64.powf(f64::from(j) / 2.0));
            let mut back = start;
            start.maximize(&Beta::new(a, b).unwrap().expected_stats(3.0), &mut back).unwrap();
            // Where one side outweighs the other r-fold, the equations determine it only to r ε.
            let tolerance = 1e-12 + 1e-15 * (a / b).max(b / a);
            assert!((back.a() / a - 1.0).abs() < tolerance, "({a}, {b}): {back:?}");
            assert!((back.b() / b - 1.0).abs() < tolerance, "({a}, {b}): {back:?}");
        }
    }
}

#[test]
fn concentrated_observations_keep_their_digits() {
    // Two points m ± d: the mean divergence is d²/(2m(1 − m)) and 1/(2n) for a concentration n, both up to O(d²).
    let (m, d) = (0.25, 1e-5);
    let sample = WeightedSample::new(Data::new(vec![m - d, m + d]), vec![0.7; 2]);
    let mut fitted = Beta::new(1.0, 3.0).unwrap();
    for _ in 0..3 {
        fitted.clone().maximize(&sample.stats(&fitted), &mut fitted).unwrap();
    }
    let n = m * (1.0 - m) / (d * d);
    assert!(((fitted.a() + fitted.b()) / n - 1.0).abs() < 1e-9, "{fitted:?} {n}");
    assert!((fitted.mean() - m).abs() < 1e-10);
    // mpmath, 50 digits: a = 25e7, b = 75e7, x = 0.25001: loggamma(a+b) - loggamma(a) - loggamma(b)
    // + (a-1)*log(x) + (b-1)*log(1-x).
    let far = Beta::new(25e7, 75e7).unwrap();
    assert_close(far.log_density(0.250_01), LOG_DENSITY, 10.0);
}

const LOG_DENSITY: f64 = 10.012994009823078;

#[test]
fn statistics_without_a_distribution_are_rejected() {
    let start = Beta::new(2.0, 0.5).unwrap();
    let estimate = |stats: &BetaStats| start.maximize(stats, &mut start.clone());
    let observe = |xs: &[f64], ws: &[f64]| {
        WeightedSample::new(Data::new(xs.to_vec()), ws.to_vec()).stats(&start)
    };
    let nothing = estimate(&start.new_stats());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { weight: 0.0, .. })), "{nothing:?}");
    for constant in [0.1, 0.8, 0.9999, 1e-200] {
        let result = estimate(&observe(&[constant; 37], &[0.1; 37]));
        assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{constant}: {result:?}");
    }
    let mut negative = observe(&[0.1, 0.2], &[1.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let mut outside = observe(&[0.4, 0.5], &[1.0, 1.0]);
    outside.axpy(-1.0, &observe(&[0.1, 0.9], &[0.2, 0.2]));
    assert!(matches!(estimate(&outside), Err(EstimateError::Infeasible { .. })));
}

#[test]
fn parameters_and_data_are_checked() {
    for (mean, variance) in [(-1.0, 1.0), (1.0, 0.1), (0.5, 0.25), (0.5, 0.0), (0.5, f64::NAN)] {
        assert!(Beta::from_moments(mean, variance).is_err(), "{mean} {variance}");
    }
    let beta = Beta::new(2.0, 1.0).unwrap();
    positive::data_are_checked(&beta);
    for value in [0.0, 1.0, 1.5] {
        let needed = "a number strictly between 0 and 1";
        let expected = DataError::Support { row: 0, column: 0, value, needed };
        assert_eq!(beta.check(&[value]), Err(expected));
        let mut score = [0.0];
        beta.log_density_into(&[value], &mut score);
        assert_eq!((score[0], beta.log_density(value)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    }
    assert_eq!((beta.cdf(-1.0), beta.cdf(2.0)), (0.0, 1.0));
    assert_eq!((beta.quantile(0.0), beta.quantile(1.0)), (0.0, 1.0));
    assert_eq!(beta.moved_to(&[0.5], 0).unwrap(), Beta::new(1.5, 1.5).unwrap());
}

/// Steps from 10⁻⁶ to 1 to every side.
fn neighbors(best: &Beta) -> Vec<Beta> {
    positive::steps()
        .map(|(m, c)| {
            let concentration = best.a() + best.b();
            of(best.a().ln() - best.b().ln() + m / concentration.sqrt(), concentration * f64::exp(c))
        })
        .collect()
}
