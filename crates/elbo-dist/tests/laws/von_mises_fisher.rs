//! The von Mises–Fisher distribution obeys the laws of its traits, and agrees with closed forms of the sphere, with the von Mises
//! and with 40-digit references.

use elbo_core::{
    Batch, DataError, Draw, EstimateError, Family, FlatParameters, Rows, Statistics, fit_single,
};
use elbo_dist::{VonMises, VonMisesFisher, VonMisesFisherStats};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

/// Rows that a test owns.
#[derive(Clone, Debug)]
pub(crate) struct Directions {
    pub(crate) d: usize,
    pub(crate) values: Vec<f64>,
}

impl Sample for Directions {
    type Family = VonMisesFisher;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.values, self.values.len() / self.d, self.d)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| self.values[i * self.d..][..self.d].to_vec();
        Self { d: self.d, values: rows.iter().flat_map(row).collect() }
    }
}

fn unit(mut x: Vec<f64>) -> Vec<f64> {
    x[0] += 1e-3; // never zero
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter().map(|x| x / norm).collect()
}

pub(crate) fn direction(d: usize) -> impl Strategy<Value = Vec<f64>> {
    vec(-1.0..1.0_f64, d).prop_map(unit)
}

pub(crate) fn von_mises_fisher(d: usize) -> impl Strategy<Value = VonMisesFisher> {
    let kappa = prop_oneof![8 => (-4.0..6.0_f64).prop_map(f64::exp), 1 => Just(0.0)];
    (direction(d), kappa).prop_map(|(at, kappa)| VonMisesFisher::new(at, kappa).unwrap())
}

/// Rows about a common direction, by more or less.
pub(crate) fn sample(d: usize) -> impl Strategy<Value = WeightedSample<Directions>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..30_usize, 1 => 260..300_usize];
    (direction(d), 0.01..3.0_f64, size).prop_flat_map(move |(at, width, n)| {
        let at = at.clone();
        (vec((direction(d), weight.clone()), n), 0.1..2.0).prop_map(move |(rows, first)| {
            let near = |x: Vec<f64>| unit(at.iter().zip(x).map(|(m, x)| m + width * x).collect());
            let (rows, mut weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            let values = rows.into_iter().flat_map(near).collect();
            WeightedSample::new(Directions { d, values }, weights)
        })
    })
}

fn estimable(d: usize) -> impl Strategy<Value = WeightedSample<Directions>> {
    sample(d).prop_filter("ten rows", |s| s.weights.iter().filter(|w| **w > 0.0).count() >= 10)
}

fn extreme(d: usize) -> Directions {
    let mut values = vec![f64::MAX; d];
    values.extend(vec![f64::INFINITY; d]);
    values.extend(vec![f64::NAN; d]);
    Directions { d, values }
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((von_mises_fisher(3), sample(3)).prop_map(|(v, s)| s.stats(&v)));
}

mod family {
    use super::*;

    // Scores are κ times a square.
    elbo_laws::family_laws!(von_mises_fisher(4), sample(4), Just(extreme(4)), 1e3);
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(v in von_mises_fisher(5), sample in sample(5)) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&v, &sample.data, 1e3);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform3(-50.0..50.0_f64)) {
        let shape = VonMisesFisher::new(vec![1.0, 0.0, 0.0], 1.0).unwrap();
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn statistics_agree_with_plain_sums(v in von_mises_fisher(4), sample in sample(4)) {
        let stats = sample.stats(&v);
        let total = sample.total_weight();
        assert_close(stats.total_weight(), total, total);
        for (j, sum) in stats.sum().into_iter().enumerate() {
            let rows = (0..sample.len()).map(|i| sample.weights[i] * sample.data.batch().get(i, j));
            assert_close(sum, rows.sum(), 2.0 * total);
        }
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in von_mises_fisher(3), sample in estimable(3)) {
        let at = |best: &VonMisesFisher, step: &[f64]| {
            // Along and across the direction, in units of the spread.
            let kappa = best.concentration();
            let spread = kappa.max(1.0).sqrt().recip();
            let m = best.direction();
            let axis = |i: usize| { let mut e = vec![0.0; 3]; e[i] = 1.0; e };
            let across = |i: usize| { let e = axis(i); (0..3).map(|j| e[j] - m[i] * m[j]).collect::<Vec<f64>>() };
            let moved = (0..3).map(|j| m[j] + spread * (step[0] * across(0)[j] + step[1] * across(1)[j])).collect();
            VonMisesFisher::new(moved, kappa * step[2].exp()).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 3, at);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(
        truth in prop_oneof![von_mises_fisher(2), von_mises_fisher(3), von_mises_fisher(10)], seed in any::<u64>()
    ) {
        let drawn = truth.draw(300, &mut rng(seed));
        let draws = Directions { d: truth.d(), values: drawn.values().to_vec() };
        assert!(truth.check(draws.batch()).is_ok());
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &draws);
    }

    #[test]
    fn distances_of_draws_follow_their_law(log_kappa in -3.0..20.0_f64, seed in any::<u64>()) {
        // On the sphere P(1 − μᵀx ≤ t) = (1 − e^−κt)/(1 − e^−2κ).
        let kappa = log_kappa.exp();
        let truth = VonMisesFisher::new(vec![1.0, 2.0, -2.0], kappa).unwrap();
        let drawn = truth.draw(500, &mut rng(seed));
        let distance = |x: &[f64]| 0.5 * x.iter().zip(truth.direction()).map(|(x, m)| (x - m).powi(2)).sum::<f64>();
        let distances: Vec<f64> = drawn.values().chunks_exact(3).map(distance).collect();
        let cdf = |t: f64| (-kappa * t).exp_m1() / (-2.0 * kappa).exp_m1();
        elbo_laws::univariate::draws_follow_the_cdf(distances, cdf, cdf);
    }

    #[test]
    fn on_the_circle_it_is_the_von_mises(mean in -3.0..3.0_f64, log_kappa in -3.0..8.0_f64, x in -3.0..3.0_f64, other in -3.0..3.0_f64) {
        let at = |angle: f64| vec![angle.cos(), angle.sin()];
        let (v, f) = (VonMises::new(mean, log_kappa.exp()).unwrap(), VonMisesFisher::new(at(mean), log_kappa.exp()).unwrap());
        let size = 10.0 + log_kappa.exp();
        assert_close(v.log_density(x), f.log_density(&at(x)), size);
        assert_close(v.entropy(), f.entropy(), size);
        let (v2, f2) = (VonMises::new(other, 2.0).unwrap(), VonMisesFisher::new(at(other), 2.0).unwrap());
        assert_close(v.kl_divergence(&v2), f.kl_divergence(&f2), size);
        assert_close(v2.kl_divergence(&v), f2.kl_divergence(&f), size);
    }

    #[test]
    fn on_the_sphere_it_has_closed_forms(v in von_mises_fisher(3), x in direction(3), q in von_mises_fisher(3)) {
        let kappa = v.concentration();
        prop_assume!(kappa > 0.0);
        // C₃ = κ/(4π sinh κ), and A₃ = coth κ − 1/κ, whose two terms of size 1/κ cancel where κ is small.
        let log_c = |kappa: f64| (kappa / (-2.0 * kappa).exp_m1().abs() / std::f64::consts::TAU).ln() - kappa;
        let cosine: f64 = v.direction().iter().zip(&x).map(|(m, x)| m * x).sum();
        assert_close(v.log_density(&x), log_c(kappa) + kappa * cosine, 10.0 + kappa);
        let length = kappa.tanh().recip() - kappa.recip();
        assert_close(v.mean_resultant_length(), length, 1.0 + kappa.recip());
        assert_close(v.entropy(), -log_c(kappa) - kappa * length, 20.0 + 2.0 * kappa);
        if q.concentration() > 0.0 {
            let between: f64 = v.direction().iter().zip(q.direction()).map(|(m, x)| m * x).sum();
            let cross = log_c(q.concentration()) + q.concentration() * length * between;
            assert_close(v.kl_divergence(&q), -v.entropy() - cross, 20.0 + 2.0 * kappa + 2.0 * q.concentration());
        }
        prop_assert!(v.kl_divergence(&v) <= 1e-12);
    }
}

#[test]
fn normalizers_agree_with_references() {
    // ln C_d(κ) + κ, by mpmath 1.3 with 40 digits.
    for (d, kappa, expected) in [
        (2, 0.1, -1.740_375_505_643_221_8),
        (3, 1.0, -1.692_463_608_540_486_4),
        (3, 1e-6, -2.531_023_246_969_457),
        (5, 70.0, 4.835_625_088_732_127),
        (10, 1000.0, 22.822_330_887_653_997),
        (100, 10.0, 96.138_522_577_463_65),
        (200, 500.0, 445.263_471_707_834_2),
    ] {
        let mut mean = vec![0.0; d];
        mean[d - 1] = 1.0;
        let v = VonMisesFisher::new(mean.clone(), kappa).unwrap();
        // ln Γ(d/2) and (d/2) ln π are of this size.
        let size = (d as f64) * (d as f64).ln() + kappa.min(64.0);
        assert!(
            (v.log_density(&mean) - expected).abs() < 8.0 * f64::EPSILON * (size + expected.abs()),
            "{d} {kappa}: {}",
            v.log_density(&mean)
        );
    }
}

#[test]
fn huge_concentrations_are_recovered() {
    for (d, kappa) in [(3, 1e10), (20, 1e14), (2, 1e6)] {
        let mut rng = rng(5);
        let truth = VonMisesFisher::new((0..d).map(|i| 1.0 + i as f64).collect(), kappa).unwrap();
        let drawn = truth.draw(2000, &mut rng);
        let start = VonMisesFisher::new(drawn.values()[..d].to_vec(), 1.0).unwrap();
        let fit = fit_single(start, VonMisesFisher::batch_of(&drawn)).unwrap().params;
        // κ̂/κ has a standard error of √(2/((d − 1) n)).
        let error = 5.0 * (2.0 / ((d - 1) as f64 * 2000.0)).sqrt();
        assert!(
            (fit.concentration() / kappa - 1.0).abs() < error,
            "{d}: {:e}",
            fit.concentration()
        );
        let gap = 0.5 * (fit.kl_divergence(&truth) + truth.kl_divergence(&fit));
        assert!(gap < 0.01 * d as f64, "{gap}");
    }
}

#[test]
fn opposite_rows_cancel_and_equal_ones_have_no_estimate() {
    let start = VonMisesFisher::new(vec![0.6, 0.8], 3.0).unwrap();
    let stats = |values: &[f64]| {
        let data = Directions { d: 2, values: values.to_vec() };
        let n = values.len() / 2;
        WeightedSample::new(data, vec![1.0; n]).stats(&start)
    };
    let mut fitted = start.clone();
    start.maximize(&stats(&[1.0, 0.0, -1.0, 0.0]), &mut fitted).unwrap();
    assert!(fitted.concentration() < 1e-14, "{fitted:?}");
    let estimate = |stats: &VonMisesFisherStats| start.maximize(stats, &mut start.clone());
    for row in [[0.6, 0.8], [1.0, 0.0], [-0.8, 0.6]] {
        let result = estimate(&stats(&row.repeat(7)));
        assert!(matches!(result, Err(EstimateError::Boundary { .. })), "{row:?}: {result:?}");
    }
    assert!(matches!(estimate(&start.new_stats()), Err(EstimateError::NoWeight { .. })));
    let mut negative = stats(&[1.0, 0.0, 0.0, 1.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [vec![1.0], vec![0.0, 0.0], vec![f64::NAN, 1.0], vec![f64::INFINITY, 0.0]] {
        assert!(VonMisesFisher::new(bad.clone(), 1.0).is_err(), "{bad:?}");
    }
    for bad in [-1.0, f64::INFINITY, f64::NAN] {
        assert!(VonMisesFisher::new(vec![1.0, 0.0], bad).is_err());
    }
    let v = VonMisesFisher::new(vec![3e200, 4e200], 1.0).unwrap();
    assert_close(v.direction()[0], 0.6, 1.0);
    let check = |values: &[f64]| v.check(Rows::new(values, values.len() / 2, 2));
    assert_eq!(check(&[0.6, 0.8, 1.0, 9e-7]), Ok(()));
    assert_eq!(check(&[0.6, 0.8, 0.0, 2.0]), Err(DataError::Norm { row: 1, norm: 2.0 }));
    assert!(matches!(check(&[f64::NAN, 1.0]), Err(DataError::NotFinite { .. })));
    let wide = v.check(Rows::new(&[1.0, 0.0, 0.0], 1, 3));
    assert_eq!(wide, Err(DataError::Dimension { expected: 2, found: 3 }));
    let none = VonMisesFisher::new(vec![0.0, 1.0], 0.0).unwrap();
    let mut flat = Vec::new();
    none.write_unconstrained(&mut flat);
    assert_eq!(none.with_unconstrained(&mut &flat[..]), none);
    let drawn = none.draw(3, &mut rng(1));
    assert_eq!(VonMisesFisher::batch_of(&drawn).len(), 3);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let v = VonMisesFisher::new(vec![1.0, 2.0, 2.5], 0.3).unwrap();
    let text = serde_json::to_string(&v).unwrap();
    assert_eq!(serde_json::from_str::<VonMisesFisher>(&text).unwrap(), v);
    let error = serde_json::from_str::<VonMisesFisher>(&text.replace("0.3}", "-0.3}")).unwrap_err();
    assert!(error.to_string().contains("concentration is -0.3"), "{error}");
}

/// Six standard errors of many draws, for concentrations on both sides of one.
#[test]
fn the_mean_cosine_of_draws_is_the_mean_resultant_length() {
    for (d, kappa) in [(2, 0.5), (3, 0.5), (3, 8.0), (5, 3.0), (5, 60.0)] {
        let mut direction = vec![0.0; d];
        direction[1] = 1.0;
        let of = VonMisesFisher::new(direction, kappa).unwrap();
        let n = 50_000;
        let drawn = of.draw(n, &mut rng(12));
        let cosines = drawn.values().chunks_exact(d).map(|x| x[1]);
        let (sum, squares) =
            cosines.fold((0.0, 0.0), |(sum, squares), c| (sum + c, squares + c * c));
        let mean = sum / n as f64;
        let error = ((squares / n as f64 - mean * mean) / n as f64).sqrt();
        let expected = of.mean_resultant_length();
        assert!(
            (mean - expected).abs() < 6.0 * error,
            "d = {d}, κ = {kappa}: {mean} is not {expected}"
        );
    }
}
