//! The multivariate Gaussian obeys the laws of its traits, and agrees with explicit formulas.

mod golden;
mod m_step;
mod missing;
mod relations;
mod structure;

use elbo_core::{DataError, EstimateError, Family, Rows, Statistics};
use elbo_dist::CovarianceStructure::{EEE, VII, VVI, VVV};
use elbo_dist::{CovarianceStructure, MultivariateGaussian, MultivariateGaussianStats};
use elbo_laws::{Sample, TOLERANCE, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

/// Largest distance from zero.
const RANGE: f64 = 1e4;

/// Rows that a test owns.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) data: Vec<f64>,
    pub(crate) d: usize,
}

impl Sample for Table {
    type Family = MultivariateGaussian;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.data, self.data.len() / self.d, self.d)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| &self.data[i * self.d..][..self.d];
        Self { data: rows.iter().flat_map(row).copied().collect(), d: self.d }
    }
}

/// `B Bᵀ` and some diagonal, or that diagonal alone.
pub(crate) fn covariance(
    structure: CovarianceStructure,
    d: usize,
) -> impl Strategy<Value = Vec<f64>> {
    (vec(-1.0..1.0_f64, d * d), vec(0.1..2.0_f64, d)).prop_map(move |(b, diagonal)| {
        let mut covariance = vec![0.0; d * d];
        for i in 0..d {
            covariance[i * d + i] = diagonal[if structure.is_spherical() { 0 } else { i }];
        }
        if !structure.is_diagonal() {
            for row in b.chunks_exact(d) {
                elbo_linalg::add_outer(&mut covariance, 1.0, row, row);
            }
        }
        covariance
    })
}

pub(crate) fn gaussian(
    structure: CovarianceStructure,
    d: usize,
    range: f64,
) -> impl Strategy<Value = MultivariateGaussian> {
    (vec(prop_oneof![-range..range, -1.0..1.0], d), covariance(structure, d)).prop_map(
        move |(mean, covariance)| MultivariateGaussian::new(structure, mean, &covariance).unwrap(),
    )
}

/// Rows of unit spread about a common offset, some of weight zero, never all; at times more than one block.
fn sample(d: usize, range: f64) -> impl Strategy<Value = WeightedSample<Table>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    (-range..range, size).prop_flat_map(move |(at, n)| {
        let rows = vec(at - 1.0..at + 1.0, n * d);
        (rows, vec(weight.clone(), n), 0.1..2.0).prop_map(move |(data, mut weights, first)| {
            weights[0] = first;
            WeightedSample::new(Table { data, d }, weights)
        })
    })
}

/// Enough rows of positive weight for an estimate.
fn estimable(d: usize) -> impl Strategy<Value = WeightedSample<Table>> {
    (-RANGE..RANGE, 10 * d..20 * d).prop_flat_map(move |(at, n)| {
        (vec(at - 1.0..at + 1.0, n * d), vec(0.1..2.0, n))
            .prop_map(move |(data, weights)| WeightedSample::new(Table { data, d }, weights))
    })
}

/// Rows whose squares overflow, for weight zero.
fn extreme(d: usize) -> Just<Table> {
    Just(Table { data: [f64::MAX, f64::MIN, 0.0].repeat(d), d })
}

/// The laws hold for the kernels of few and many columns, full and diagonal.
macro_rules! laws_of {
    ($name:ident, $structure:expr, $d:expr) => {
        mod $name {
            use super::*;

            mod statistics {
                use super::*;

                elbo_laws::statistics_laws!(
                    (gaussian($structure, $d, 10.0), sample($d, 10.0))
                        .prop_map(|(g, s)| s.stats(&g))
                );
            }

            elbo_laws::family_laws!(
                gaussian($structure, $d, RANGE),
                sample($d, RANGE),
                extreme($d)
            );
        }
    };
}
laws_of!(full_3, VVV, 3);
laws_of!(full_11, VVV, 11);
laws_of!(diagonal_3, VVI, 3);
laws_of!(spherical_9, VII, 9);
laws_of!(single_column, EEE, 1);

/// Weighted mean and covariance in two passes.
fn two_passes(sample: &WeightedSample<Table>) -> (Vec<f64>, Vec<f64>) {
    let d = sample.data.d;
    let rows = || sample.data.data.chunks_exact(d).zip(&sample.weights);
    let total = sample.total_weight();
    let mut mean = vec![0.0; d];
    for (row, w) in rows() {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += w * x / total);
    }
    let mut covariance = vec![0.0; d * d];
    for (row, w) in rows() {
        let centered: Vec<f64> = row.iter().zip(&mean).map(|(x, m)| x - m).collect();
        elbo_linalg::add_outer(&mut covariance, w / total, &centered, &centered);
    }
    (mean, covariance)
}

/// What a Gaussian at `start` becomes on the sample.
fn fitted(start: &MultivariateGaussian, sample: &WeightedSample<Table>) -> MultivariateGaussian {
    let mut next = start.clone();
    start.maximize(&sample.stats(start), &mut next).unwrap();
    next
}

proptest! {
    #[test]
    fn estimates_agree_with_the_two_pass_formulas(
        d in prop_oneof![Just(1_usize), Just(3), Just(10)],
        sample in estimable(30),
    ) {
        // the same numbers as rows of d columns; 30 is a multiple of all d
        let n = sample.data.data.len() / d;
        let weights = (0..n).map(|i| sample.weights[i % sample.len()]).collect();
        let sample = WeightedSample::new(Table { data: sample.data.data, d }, weights);
        let (mean, covariance) = two_passes(&sample);
        for structure in [VVV, VVI, VII] {
            let near = MultivariateGaussian::standard(structure, mean.clone());
            let fit = fitted(&near, &sample);
            let variance = covariance.iter().step_by(d + 1).sum::<f64>() / d as f64;
            for i in 0..d {
                assert_close(fit.mean()[i], mean[i], RANGE);
                for j in 0..d {
                    let expected = match (structure, i == j) {
                        (VII, true) => variance,
                        (VVI, true) | (VVV, _) => covariance[i * d + j],
                        _ => 0.0,
                    };
                    assert_close(fit.covariance()[i * d + j], expected, 10.0);
                }
            }
        }
    }

    #[test]
    fn statistics_show_the_two_pass_moments(start in gaussian(VVV, 3, 10.0), sample in sample(3, 10.0)) {
        let stats = sample.stats(&start);
        let (mean, covariance) = two_passes(&sample);
        assert_close(stats.total_weight(), sample.total_weight(), sample.total_weight());
        for (a, b) in stats.mean().iter().zip(&mean) {
            assert_close(*a, *b, 100.0);
        }
        for (a, b) in stats.covariance().iter().zip(&covariance) {
            assert_close(*a, *b, 1e4);
        }
    }

    #[test]
    fn origins_do_not_matter(
        a in gaussian(VVV, 3, 10.0), b in gaussian(VVV, 3, 10.0),
        sample in sample(3, 10.0), cut in 0..40_usize
    ) {
        let (left, right): (Vec<usize>, Vec<usize>) = (0..sample.len()).partition(|i| *i < cut);
        let (left, right) = (sample.pick(&left).stats(&a), sample.pick(&right).stats(&b));
        let mut merged = left.clone();
        merged.merge(&right);
        let whole = sample.stats(&a);
        let inputs = [&left, &right, &whole, &sample.stats(&b)];
        elbo_laws::statistics::assert_same(&merged, &whole, &inputs);
    }

    #[test]
    fn observing_onto_another_origin_is_merging(
        a in gaussian(VVV, 3, 10.0), b in gaussian(VVV, 3, 10.0), sample in sample(3, 10.0)
    ) {
        let mut stats = b.expected_stats(3.0);
        a.observe(&mut stats, sample.data.batch(), &sample.weights);
        let mut merged = b.expected_stats(3.0);
        merged.merge(&sample.stats(&a));
        elbo_laws::statistics::assert_same(&stats, &merged, &[&stats, &merged, &sample.stats(&a)]);
    }

    #[test]
    fn the_density_of_two_columns_is_the_textbook_one(
        gaussian in gaussian(VVV, 2, 10.0), z in vec(-5.0..5.0_f64, 2)
    ) {
        let (m, s) = (gaussian.mean(), gaussian.covariance());
        let (dx, dy) = (z[0] * s[0].sqrt(), z[1] * s[3].sqrt());
        let det = s[0] * s[3] - s[1] * s[1];
        let distance = (s[3] * dx * dx - 2.0 * s[1] * dx * dy + s[0] * dy * dy) / det;
        let expected = -std::f64::consts::TAU.ln() - 0.5 * det.ln() - 0.5 * distance;
        let x = [m[0] + dx, m[1] + dy];
        // the determinant cancels, and x is rounded
        let condition = s[0] * s[3] / det;
        assert_close(gaussian.log_density(&x), expected, 100.0 * condition * (1.0 + distance));
        let mut out = [f64::NAN];
        gaussian.log_density_into(Rows::new(&x, 1, 2), &mut out);
        assert_close(out[0], expected, 100.0 * condition * (1.0 + distance));
    }

    #[test]
    fn a_diagonal_gaussian_is_a_product(
        gaussian in gaussian(VVI, 3, 10.0), z in vec(-5.0..5.0_f64, 3)
    ) {
        let x: Vec<f64> = gaussian.mean().iter().zip(&z).map(|(m, z)| m + z).collect();
        let product: f64 = (0..3)
            .map(|j| {
                elbo_dist::Gaussian::new(gaussian.mean()[j], gaussian.variances()[j])
                    .unwrap()
                    .log_density(x[j])
            })
            .sum();
        assert_close(gaussian.log_density(&x), product, 1e3);
        let full = MultivariateGaussian::new(VVV, gaussian.mean().to_vec(), &gaussian.covariance()).unwrap();
        assert_close(full.log_density(&x), product, 1e3);
        assert_close(full.entropy(), gaussian.entropy(), 10.0);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(
        truth in prop_oneof![gaussian(VVV, 3, RANGE), gaussian(VVI, 3, RANGE), gaussian(VII, 3, RANGE)],
        seed in any::<u64>()
    ) {
        let mut rng = rng(seed);
        let data = (0..1000).flat_map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Table { data, d: 3 });
    }

    #[test]
    fn no_neighbor_is_more_likely(sample in estimable(2)) {
        let near = MultivariateGaussian::standard(VVV, sample.data.data[..2].to_vec());
        elbo_laws::family::no_neighbor_is_more_likely(&near, &sample, neighbors);
    }

    #[test]
    fn correlations_are_free_of_units(gaussian in gaussian(VVV, 3, 10.0), units in vec(-100..100_i32, 3)) {
        let unit: Vec<f64> = units.iter().map(|u| 2.0_f64.powi(*u)).collect();
        let covariance = gaussian.covariance();
        let rescaled: Vec<f64> = (0..9).map(|p| covariance[p] * unit[p / 3] * unit[p % 3]).collect();
        let rescaled = MultivariateGaussian::new(VVV, vec![0.0; 3], &rescaled).unwrap();
        for (a, b) in rescaled.correlation().iter().zip(gaussian.correlation()) {
            assert_close(*a, b, 1.0);
            prop_assert!(a.abs() <= 1.0 + TOLERANCE);
        }
    }
}

/// Steps from 10⁻⁶ to 0.1 standard deviations in mean, scale and correlation.
pub(crate) fn neighbors(best: &MultivariateGaussian) -> Vec<MultivariateGaussian> {
    let d = best.d();
    let mut neighbors = Vec::new();
    for step in [1e-6, -1e-6, 1e-3, -1e-3, 0.1, -0.1] {
        for a in 0..d {
            let mut mean = best.mean().to_vec();
            mean[a] += step * best.variances()[a].sqrt();
            let structure = best.structure();
            neighbors.push(MultivariateGaussian::new(structure, mean, &best.covariance()).unwrap());
            for b in 0..=a {
                // Σ → T Σ Tᵀ with T = I + step · eₐ e_bᵀ
                if structure.is_diagonal() && a != b {
                    continue;
                }
                let mut transform: Vec<f64> =
                    (0..d * d).map(|p| f64::from(p / d == p % d)).collect();
                if structure.is_spherical() {
                    for t in &mut transform {
                        *t *= 1.0 + step;
                    }
                } else {
                    transform[a * d + b] += step;
                }
                let covariance = congruent(&transform, &best.covariance(), d);
                let mean = best.mean().to_vec();
                neighbors.push(MultivariateGaussian::new(structure, mean, &covariance).unwrap());
            }
        }
    }
    neighbors
}

/// `T S Tᵀ`.
pub(crate) fn congruent(t: &[f64], s: &[f64], d: usize) -> Vec<f64> {
    let entry = |i: usize, j: usize| -> f64 {
        (0..d * d).map(|p| t[i * d + p / d] * s[p] * t[j * d + p % d]).sum()
    };
    (0..d * d).map(|p| entry((p / d).max(p % d), (p / d).min(p % d))).collect()
}

#[test]
fn two_hundred_columns_do_not_underflow() {
    let d = 200;
    let covariance: Vec<f64> =
        (0..d * d).map(|p| if p / d == p % d { 0.01 } else { 0.0 }).collect();
    let expected = -0.5 * d as f64 * (std::f64::consts::TAU * 0.01).ln();
    for structure in [VVV, VVI, VII] {
        let gaussian = MultivariateGaussian::new(structure, vec![3.0; d], &covariance).unwrap();
        assert_close(gaussian.log_density(&[3.0; 200]), expected, 1.0 + expected);
        let mut out = [f64::NAN];
        gaussian.log_density_into(Rows::new(&[3.0; 200], 1, d), &mut out);
        assert_close(out[0], expected, 1.0 + expected);
        assert!((out[0] - 276.729_311_957_87).abs() < 1e-10);
    }
}

#[test]
fn far_data_keep_their_covariance() {
    for structure in [VVV, VVI, VII] {
        let near = Table { data: vec![-1.0, 2.0, 0.0, -3.0, 1.0, 1.0, 5.0, 2.5], d: 2 };
        let mut far = near.clone();
        far.data.iter_mut().for_each(|x| *x += 1e8); // exact
        let start = MultivariateGaussian::standard(structure, vec![0.0; 2]);
        let far_start = MultivariateGaussian::standard(structure, vec![1e8; 2]);
        let weights = vec![1.0; 4];
        let near = fitted(&start, &WeightedSample::new(near, weights.clone()));
        let far = fitted(&far_start, &WeightedSample::new(far, weights));
        assert_eq!(near.covariance(), far.covariance());
        assert_close(far.mean()[0] - 1e8, near.mean()[0], 1e3);
    }
}

#[test]
fn extreme_units_neither_overflow_nor_vanish() {
    let data = [-1.0, 2.0, 0.0, -3.0, 1.0, 1.0, 5.0, 2.5];
    for units in [[1e100, 1e-100], [1e-100, 1e-100], [1e100, 1e100]] {
        for structure in [VVV, VVI] {
            let sample = |unit: [f64; 2]| {
                let data = data.iter().enumerate().map(|(p, x)| x * unit[p % 2]).collect();
                WeightedSample::new(Table { data, d: 2 }, vec![1.0; 4])
            };
            let start = |unit: [f64; 2]| {
                let covariance = [unit[0] * unit[0], 0.0, 0.0, unit[1] * unit[1]];
                MultivariateGaussian::new(structure, vec![0.0; 2], &covariance).unwrap()
            };
            let plain = fitted(&start([1.0; 2]), &sample([1.0; 2]));
            let scaled = fitted(&start(units), &sample(units));
            let jacobian = units[0].ln() + units[1].ln();
            let (a, b) = (
                plain.log_density(&[3.0, 1.0]),
                scaled.log_density(&[3.0 * units[0], units[1]]) + jacobian,
            );
            assert_close(a, b, 1e3);
            assert_close(plain.correlation()[1], scaled.correlation()[1], 1.0);
        }
    }
}

#[test]
fn statistics_without_a_gaussian_are_rejected() {
    let start = MultivariateGaussian::standard(VVV, vec![3.0; 3]);
    let estimate = |stats: &MultivariateGaussianStats| start.maximize(stats, &mut start.clone());
    let observe = |data: Vec<f64>| {
        let n = data.len() / 3;
        WeightedSample::new(Table { data, d: 3 }, vec![1.0; n]).stats(&start)
    };

    let nothing = estimate(&start.new_stats());
    assert!(matches!(nothing, Err(EstimateError::NoWeight { weight: 0.0, .. })), "{nothing:?}");

    let duplicates = estimate(&observe([0.1, 0.2, 0.3].repeat(7)));
    assert!(matches!(duplicates, Err(EstimateError::Singular { column: 0, .. })), "{duplicates:?}");

    let (u, v) = ([0.3, -1.0, 0.7, 2.0, 1.1], [1.0, 0.2, -0.4, 0.9, 0.0]);
    for offset in [0.0, 1e8] {
        let start = MultivariateGaussian::standard(VVV, vec![offset; 3]);
        let columns = |third: &dyn Fn(f64, f64) -> f64| {
            let row = |i: usize| [u[i], v[i], third(u[i], v[i])].map(|x: f64| x + offset);
            let data = (0..5).flat_map(row).collect();
            WeightedSample::new(Table { data, d: 3 }, vec![1.0; 5]).stats(&start)
        };
        let constant = start.maximize(&columns(&|_, _| 0.1), &mut start.clone());
        assert!(matches!(constant, Err(EstimateError::Singular { column: 2, .. })), "{constant:?}");
        if offset == 0.0 {
            let follows = start.maximize(&columns(&|u, v| 2.0 * u - v), &mut start.clone());
            assert!(
                matches!(follows, Err(EstimateError::Singular { column: 2, .. })),
                "{follows:?}"
            );
        }
    }
    let too_few = estimate(&observe(vec![1.0, 2.0, 3.0, 3.0, 2.0, 2.0]));
    assert!(matches!(too_few, Err(EstimateError::Singular { column: 1, .. })), "{too_few:?}");

    let mut negative = observe(vec![1.0, 2.0, 3.0, 3.0, 2.0, 2.0]);
    negative.scale(-1.0);
    assert!(matches!(estimate(&negative), Err(EstimateError::Infeasible { .. })));
    let mut outside = observe(vec![1.0, 2.0, 3.0, 3.0, 2.0, 2.0]);
    outside.axpy(-0.1, &observe(vec![9.0, 2.0, 2.0]));
    assert!(matches!(estimate(&outside), Err(EstimateError::Infeasible { .. })));
}

#[test]
fn parameters_and_data_are_checked() {
    let new = |structure, mean: &[f64], covariance: &[f64]| {
        MultivariateGaussian::new(structure, mean.to_vec(), covariance).map_err(|e| e.to_string())
    };
    assert!(new(VVV, &[], &[]).is_err());
    assert!(new(VVV, &[0.0], &[1.0, 2.0]).unwrap_err().contains("2 numbers where 1"));
    assert!(new(VVV, &[f64::NAN], &[1.0]).is_err());
    assert!(new(VVV, &[0.0; 2], &[1.0, 1.0, 1.0, 1.0]).unwrap_err().contains("column 1"));
    assert!(new(VVV, &[0.0; 2], &[1.0, 0.5, 0.4, 1.0]).unwrap_err().contains("number 1"));
    assert!(new(VVI, &[0.0; 2], &[1.0, 0.5, 0.5, 1.0]).is_err());
    assert!(new(VII, &[0.0; 2], &[1.0, 0.0, 0.0, 2.0]).unwrap_err().contains("number 3"));
    assert!(new(VVI, &[0.0; 2], &[1.0, 0.0, 0.0, 2.0]).is_ok());

    let gaussian = MultivariateGaussian::standard(VVV, vec![0.0; 2]);
    assert_eq!(gaussian.check(Rows::new(&[0.0; 4], 2, 2)), Ok(()));
    let error = gaussian.check(Rows::new(&[0.0; 3], 1, 3)).unwrap_err();
    assert_eq!(error, DataError::Dimension { expected: 2, found: 3 });
    assert_eq!(gaussian.check(Rows::new(&[0.0, f64::NAN, f64::NAN, f64::NAN], 2, 2)), Ok(()));
    let error = gaussian.check(Rows::new(&[f64::NAN, 1.0, 2.0, f64::INFINITY], 2, 2)).unwrap_err();
    assert_eq!(error, DataError::NotFinite { row: 1, column: 1, value: f64::INFINITY });
}

#[test]
fn spread_is_judged_against_all_data() {
    let correlated = [4.0, 1.8, 1.8, 1.0];
    let whole = MultivariateGaussian::new(VVV, vec![0.0; 2], &correlated).unwrap();
    let quarter =
        MultivariateGaussian::new(VVV, vec![5.0; 2], &correlated.map(|x| x / 4.0)).unwrap();
    let all = whole.expected_stats(10.0);
    assert_close(quarter.relative_spread(&all), 0.25, 1.0);
    // the second column nearly follows from the first
    let thin = [4.0, 1.8, 1.8, 1.8 * 1.8 / 4.0 * (1.0 + 1e-12)];
    let thin = MultivariateGaussian::new(VVV, vec![0.0; 2], &thin).unwrap();
    let oracle =
        elbo_linalg::smallest_generalized_eigenvalue(&thin.covariance(), &correlated, 2).unwrap();
    assert!((thin.relative_spread(&all) - oracle).abs() < 1e-15 && oracle < 1e-10);

    let all = MultivariateGaussian::new(VVI, vec![0.0; 2], &[9.0, 0.0, 0.0, 1.0]).unwrap();
    let part = MultivariateGaussian::new(VVI, vec![0.0; 2], &[3.0, 0.0, 0.0, 0.5]).unwrap();
    assert_close(part.relative_spread(&all.expected_stats(2.0)), 1.0 / 3.0, 1.0);
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let sample = Table { data: vec![-1.0, 2.1, 0.3, -3.0, 1.7, 1.0, 5.0, 2.5], d: 2 };
    let start = MultivariateGaussian::standard(VVV, vec![0.1; 2]);
    let gaussian = fitted(&start, &WeightedSample::new(sample, vec![0.3, 0.1, 1.7, 1.0]));
    let text = serde_json::to_string(&gaussian).unwrap();
    assert_eq!(serde_json::from_str::<MultivariateGaussian>(&text).unwrap(), gaussian);
    let text = r#"{"structure": "full", "mean": [0.0], "covariance": [[-1.0]]}"#;
    let error = serde_json::from_str::<MultivariateGaussian>(text).unwrap_err();
    assert!(error.to_string().contains("not positive definite"), "{error}");
}
