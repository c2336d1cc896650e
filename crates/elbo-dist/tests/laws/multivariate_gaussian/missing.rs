//! Rows with missing numbers: marginal densities, moments completed by conditionals, and EM that never falls.

use elbo_core::{
    BLOCK, ConjugatePrior, Family, Matrix, MatrixMut, Rows, Settings, SingleModel, Statistics,
    Tolerance, VariationalBayes, fit,
};
use elbo_dist::CovarianceStructure::{EEE, EVE, VII, VVI, VVV};
use elbo_dist::{CovarianceStructure, MultivariateGaussian, NormalInverseWishart};
use elbo_laws::{WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use super::{Table, extreme, gaussian, sample};
use crate::rng;

/// Takes numbers out of a table, the more the larger `share`; at times all of a row.
fn with_holes(mut table: Table, seed: u64, share: f64) -> Table {
    use rand::RngExt;
    let mut rng = rng(seed);
    let d = table.d;
    for row in table.data.chunks_exact_mut(d) {
        let share = if rng.random::<f64>() < 0.5 { 0.0 } else { share };
        for x in row.iter_mut() {
            if rng.random::<f64>() < share {
                *x = f64::NAN;
            }
        }
        if rng.random::<f64>() < 0.05 {
            row.fill(f64::NAN);
        }
    }
    table
}

fn holed(d: usize, range: f64) -> impl Strategy<Value = WeightedSample<Table>> {
    (sample(d, range), any::<u64>(), 0.0..1.0_f64).prop_map(|(mut sample, seed, share)| {
        sample.data = with_holes(sample.data, seed, share);
        sample
    })
}

/// Rows whose squares overflow, complete and not.
fn extreme_and_missing(d: usize) -> impl Strategy<Value = Table> {
    extreme(d).prop_map(move |mut table| {
        table.data[1] = f64::NAN;
        table.data.extend(vec![f64::NAN; d]);
        table
    })
}

/// The laws of families hold with missing numbers, for the kernels of few and many columns, full and diagonal.
macro_rules! laws_of {
    ($name:ident, $structure:expr, $d:expr) => {
        mod $name {
            use super::*;

            elbo_laws::family_laws!(
                gaussian($structure, $d, 100.0),
                holed($d, 100.0),
                extreme_and_missing($d)
            );
        }
    };
}
laws_of!(full_3, VVV, 3);
laws_of!(full_11, VVV, 11);
laws_of!(diagonal_3, VVI, 3);
laws_of!(spherical_9, VII, 9);
laws_of!(single_column, EEE, 1);

/// Which columns of a row are there, and their values.
fn observed(row: &[f64]) -> (Vec<usize>, Vec<f64>) {
    (0..row.len()).filter(|c| !row[*c].is_nan()).map(|c| (c, row[c])).unzip()
}

/// `Σw`, the completed mean about `origin` and the completed second moments about it, by conditionals of each row.
fn completed(
    gaussian: &MultivariateGaussian,
    sample: &WeightedSample<Table>,
    origin: &[f64],
) -> (f64, Vec<f64>, Vec<f64>) {
    let d = gaussian.d();
    let (mut total, mut first, mut second) = (0.0, vec![0.0; d], vec![0.0; d * d]);
    for (row, w) in sample.data.data.chunks_exact(d).zip(&sample.weights) {
        let (columns, values) = observed(row);
        if columns.is_empty() || *w == 0.0 {
            continue;
        }
        let mut z: Vec<f64> = row.iter().zip(origin).map(|(x, c)| x - c).collect();
        if columns.len() < d {
            let conditional = gaussian.conditional(&columns, &values).unwrap();
            let covariance = conditional.covariance();
            let left: Vec<usize> = (0..d).filter(|c| row[*c].is_nan()).collect();
            for (i, a) in left.iter().enumerate() {
                z[*a] = conditional.mean()[i] - origin[*a];
                for (j, b) in left.iter().enumerate() {
                    second[a * d + b] += w * covariance[i * left.len() + j];
                }
            }
        }
        total += w;
        for a in 0..d {
            first[a] += w * z[a];
            for b in 0..d {
                second[a * d + b] += w * z[a] * z[b];
            }
        }
    }
    (total, first, second)
}

fn any_structure(d: usize) -> impl Strategy<Value = MultivariateGaussian> {
    prop_oneof![gaussian(VVV, d, 10.0), gaussian(VVI, d, 10.0), gaussian(VII, d, 10.0)]
}

proptest! {
    #[test]
    fn rows_score_the_marginal_density_of_what_they_have(
        gaussian in prop_oneof![any_structure(3), any_structure(10)],
        sample in holed(30, 10.0),
    ) {
        let d = gaussian.d();
        let data = sample.data.data;
        let mut scores = vec![f64::NAN; data.len() / d];
        gaussian.log_density_into(Rows::new(&data, data.len() / d, d), &mut scores);
        for (row, score) in data.chunks_exact(d).zip(scores) {
            let (columns, values) = observed(row);
            if columns.is_empty() {
                prop_assert_eq!(score, 0.0);
            } else {
                let expected = gaussian.marginal(&columns).unwrap().log_density(&values);
                // condition numbers of some hundred
                assert_close(score, expected, 1e3 * (1.0 + expected.abs()));
            }
        }
    }

    #[test]
    fn rows_are_observed_as_completed_by_conditionals(
        gaussian in any_structure(4), sample in holed(4, 10.0)
    ) {
        let stats = sample.stats(&gaussian);
        let (total, first, second) = completed(&gaussian, &sample, gaussian.mean());
        assert_close(stats.total_weight(), total, sample.total_weight());
        for (a, b) in stats.first().iter().zip(&first) {
            assert_close(*a, *b, 1e4 * sample.total_weight());
        }
        let diagonal = gaussian.structure().is_diagonal();
        let mut place = stats.second().iter();
        for i in 0..4 {
            for j in if diagonal { i } else { 0 }..=i {
                assert_close(*place.next().unwrap(), second[i * 4 + j], 1e5 * sample.total_weight());
            }
        }
    }

    #[test]
    fn an_em_step_never_lowers_the_likelihood(
        start in prop_oneof![any_structure(3), gaussian(EVE, 3, 10.0)],
        rows in vec(-1.0..1.0_f64, 90), at in -10.0..10.0_f64, seed in any::<u64>(), share in 0.1..0.6_f64,
    ) {
        let mut data: Vec<f64> = rows.iter().map(|x| x + at).collect();
        for i in 0..30 {
            data[i * 3 + 1] += 0.9 * data[i * 3]; // correlated
        }
        let table = with_holes(Table { data, d: 3 }, seed, share);
        let sample = WeightedSample::new(table, vec![1.0; 30]);
        let mut current = start;
        let (mut before, _) = sample.log_likelihood(&current);
        for _ in 0..20 {
            let mut next = current.clone();
            if current.maximize(&sample.stats(&current), &mut next).is_err() {
                break; // next to nothing may be left of a column
            }
            let (after, size) = sample.log_likelihood(&next);
            prop_assert!(after >= before - 1e-10 * (1.0 + size), "{after} < {before}");
            (current, before) = (next, after);
        }
    }

    #[test]
    fn what_is_missing_changes_no_complete_row(
        components in vec(gaussian(VVV, 9, 10.0), 3), sample in holed(9, 10.0)
    ) {
        // the same rows without those that miss something
        let complete: Vec<usize> = (0..sample.len())
            .filter(|i| sample.data.data[i * 9..][..9].iter().all(|x| !x.is_nan()))
            .collect();
        for component in &components {
            let all = sample.log_densities(component);
            if complete.is_empty() { continue; }
            let alone = sample.pick(&complete).log_densities(component);
            for (i, score) in complete.iter().zip(alone) {
                prop_assert_eq!(all[*i], score);
            }
        }
    }

    #[test]
    fn a_posterior_integrates_what_is_missing(
        structure in prop_oneof![Just(VVV), Just(VVI), Just(VII)],
        mean in vec(-2.0..2.0_f64, 2), count in 0.5..5.0_f64, above in 0.5..5.0_f64,
        correlation in -0.8..0.8_f64, x in -3.0..3.0_f64,
    ) {
        let off = if structure == VVV { correlation } else { 0.0 };
        let scale = [1.0, off, off, 1.0];
        let prior = NormalInverseWishart::new(structure, mean, count, 1.0 + above, &scale).unwrap();
        let point = MultivariateGaussian::standard(structure, vec![0.0; 2]);
        let mut score = [f64::NAN; 2];
        let rows = [x, f64::NAN, f64::NAN, f64::NAN];
        prior.expected_log_density_into(&point, Rows::new(&rows, 2, 2), &mut score);
        // the trapezoidal rule is exact to rounding for analytic functions that vanish at both ends
        let (n, width) = (4000, 60.0);
        let step = 2.0 * width / f64::from(n);
        let data: Vec<f64> = (0..=n).flat_map(|i| [x, -width + f64::from(i) * step]).collect();
        let mut grid = vec![f64::NAN; data.len() / 2];
        prior.expected_log_density_into(&point, Rows::new(&data, grid.len(), 2), &mut grid);
        let integral: f64 = grid.iter().map(|s| s.exp() * step).sum();
        prop_assert!((score[0] - integral.ln()).abs() < 1e-9, "{} ≠ {}", score[0], integral.ln());
        prop_assert_eq!(score[1], 0.0);
    }
}

/// Completed rows of correlated draws.
fn incomplete_draws(n: usize, seed: u64) -> Vec<f64> {
    let covariance = [2.0, 1.2, -0.5, 1.2, 1.0, -0.2, -0.5, -0.2, 3.0];
    let truth = MultivariateGaussian::new(VVV, vec![1.0, -2.0, 0.5], &covariance).unwrap();
    let mut rng = rng(seed);
    let data = (0..n).flat_map(|_| truth.sample(&mut rng)).collect();
    with_holes(Table { data, d: 3 }, seed, 0.6).data
}

#[test]
fn the_evidence_bound_never_falls() {
    let data = incomplete_draws(300, 5);
    let settings =
        Settings { tolerance: Tolerance::Change(0.0), max_iterations: 40, ..Default::default() };
    for structure in [VVV, VVI, VII] {
        let covariance = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let prior =
            NormalInverseWishart::new(structure, vec![0.0; 3], 0.1, 4.0, &covariance).unwrap();
        let model = SingleModel::new(VariationalBayes::new(prior));
        let point = MultivariateGaussian::standard(structure, vec![0.0; 3]);
        let start = model.start(point, 300.0).unwrap();
        let rows = Rows::new(&data, 300, 3);
        let fit = fit(&model, rows.into(), start, &settings, &()).unwrap();
        assert_eq!(fit.report.trace.len(), 41);
        for pair in fit.report.trace.windows(2) {
            assert!(pair[1] >= pair[0] - 1e-10 * pair[0].abs(), "{} < {}", pair[1], pair[0]);
        }
        assert!(fit.report.trace[40] > fit.report.trace[0]);
    }
}

#[test]
fn blocks_may_be_observed_long_after_they_were_scored() {
    // scored in one order and observed in another, with one scratch
    let data = incomplete_draws(3 * BLOCK, 11);
    let gaussian = MultivariateGaussian::new(
        VVV,
        vec![1.0, -2.0, 0.5],
        &[2.0, 1.2, -0.5, 1.2, 1.0, -0.2, -0.5, -0.2, 3.0],
    )
    .unwrap();
    let mut packed = gaussian.new_packed(1);
    gaussian.pack(0, &mut packed);
    let mut scratch = MultivariateGaussian::new_scratch(&packed);
    let mut stats = vec![gaussian.new_stats()];
    let block = |b: usize| Rows::new(&data[b * 3 * BLOCK..][..3 * BLOCK], BLOCK, 3);
    let mut scores = vec![0.0; BLOCK];
    for b in [2, 0, 1] {
        let out = MatrixMut::new(&mut scores, 1, BLOCK, BLOCK);
        MultivariateGaussian::score_all(&packed, block(b), out, &mut scratch);
    }
    let ones = vec![1.0; BLOCK];
    for b in 0..3 {
        let weights = Matrix::new(&ones, 1, BLOCK, BLOCK);
        MultivariateGaussian::observe_all(&packed, &mut stats, block(b), weights, &mut scratch);
    }
    MultivariateGaussian::finish(&packed, &mut stats, &mut scratch);
    let sample = WeightedSample::new(Table { data: data.clone(), d: 3 }, vec![1.0; 3 * BLOCK]);
    let expected = sample.stats(&gaussian);
    elbo_laws::statistics::assert_same(&stats[0], &expected, &[&stats[0], &expected]);
}

#[test]
fn columns_beyond_a_word_of_bits_are_told_apart() {
    let d = 70;
    let mean: Vec<f64> = (0..d).map(|c| c as f64).collect();
    for structure in [VVV, VVI] {
        let gaussian = MultivariateGaussian::standard(structure, mean.clone());
        let mut data = mean.repeat(3);
        data[3] = f64::NAN;
        data[d + 67] = f64::NAN;
        data[2 * d + 3] = f64::NAN;
        data[2 * d + 67] = f64::NAN;
        let mut scores = [f64::NAN; 3];
        gaussian.log_density_into(Rows::new(&data, 3, d), &mut scores);
        for (score, there) in scores.iter().zip([69.0, 69.0, 68.0]) {
            let expected = -0.5 * there * std::f64::consts::TAU.ln();
            assert_close(*score, expected, 1e2);
        }
    }
}

#[test]
fn missing_numbers_lie_anywhere_in_memory() {
    // column-major, and rows of a wider table
    let data = incomplete_draws(20, 3);
    let gaussian = MultivariateGaussian::standard(VVV, vec![0.5; 3]);
    let mut columns = vec![0.0; 60];
    let mut wide = vec![f64::INFINITY; 20 * 5];
    for i in 0..20 {
        for c in 0..3 {
            columns[c * 20 + i] = data[i * 3 + c];
            wide[i * 5 + c] = data[i * 3 + c];
        }
    }
    let weights = vec![0.7; 20];
    let stats = |rows: Rows<'_>| {
        let mut stats = gaussian.new_stats();
        gaussian.observe(&mut stats, rows, &weights);
        let mut flat = Vec::new();
        stats.write_to(&mut flat);
        flat
    };
    let expected = stats(Rows::new(&data, 20, 3));
    assert_eq!(stats(Rows::column_major(&columns, 20, 3)), expected);
    assert_eq!(stats(Rows::with_strides(&wide, 20, 3, 5, 1)), expected);
    assert!(expected.iter().all(|x| x.is_finite()));
}

#[test]
fn a_component_moves_to_what_a_row_has() {
    let gaussian = MultivariateGaussian::standard(VVV, vec![3.0, 4.0]);
    let moved = gaussian.moved_to(Rows::new(&[f64::NAN, 7.0], 1, 2), 0).unwrap();
    assert_eq!(moved.mean(), [3.0, 7.0]);
}

#[test]
fn a_diagonal_estimate_is_that_of_each_column_alone() {
    let data = incomplete_draws(200, 9);
    let structure: CovarianceStructure = VVI;
    let mut gaussian = MultivariateGaussian::standard(structure, vec![0.0; 3]);
    let sample = WeightedSample::new(Table { data: data.clone(), d: 3 }, vec![1.0; 200]);
    for _ in 0..200 {
        let mut next = gaussian.clone();
        gaussian.maximize(&sample.stats(&gaussian), &mut next).unwrap();
        gaussian = next;
    }
    for c in 0..3 {
        let column: Vec<f64> =
            data.iter().skip(c).step_by(3).copied().filter(|x| !x.is_nan()).collect();
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        // the rate of convergence is the share that is missing, about 0.35: 0.35²⁰⁰ is nothing
        assert_close(gaussian.mean()[c], mean, 10.0);
        assert_close(gaussian.variances()[c], variance, 10.0);
    }
}
