//! Samples: moments by the two-pass formula, in whatever pieces and units.

use elbo_core::Batch;
use elbo_factor::{Rows, Sample, Weighted, Whole};
use proptest::prelude::*;
use rand::RngExt;

use crate::rng;
use crate::support::assert_close;

/// Weighted mean and covariance in two passes.
fn two_passes(data: &[f64], weights: &[f64], d: usize) -> (Vec<f64>, Vec<f64>) {
    let total: f64 = weights.iter().sum();
    let rows = || data.chunks_exact(d).zip(weights);
    let mean: Vec<f64> =
        (0..d).map(|j| rows().map(|(row, w)| w * row[j]).sum::<f64>() / total).collect();
    let entry = |i: usize, j: usize| {
        rows().map(|(row, w)| w * (row[i] - mean[i]) * (row[j] - mean[j])).sum::<f64>() / total
    };
    let covariance = (0..d * d).map(|p| entry(p / d, p % d)).collect();
    (mean, covariance)
}

proptest! {
    #[test]
    fn reading_agrees_with_the_two_pass_formula(
        seed in 0_u64..1000, n in 1_usize..1500, d in 1_usize..7, offset in -1e3..1e3_f64,
    ) {
        let mut rng = rng(seed);
        let data: Vec<f64> = (0..n * d).map(|_| offset + rng.random_range(-1.0..1.0)).collect();
        let weights: Vec<f64> = (0..n).map(|i| [1.0, 0.0, 2.5][(i + 2) % 3] + 0.25).collect();
        let rows = Rows::new(&data, n, d);
        let sample = Sample::of_rows(Weighted::new(rows, &weights).unwrap()).unwrap();
        let (mean, covariance) = two_passes(&data, &weights, d);
        // sums of n terms of size 1 after centering, each rounded at the size of the offset
        let rounding = 8.0 * f64::EPSILON * (n as f64).sqrt() * (1.0 + offset.abs());
        assert_close(sample.mean(), &mean, rounding);
        assert_close(sample.covariance(), &covariance, 4.0 * rounding);
    }
}

#[test]
fn strides_do_not_matter() {
    let data: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 23)).collect();
    let turned: Vec<f64> = (0..60).map(|p| data[p % 20 * 3 + p / 20]).collect();
    let by_row = Sample::of_rows(Rows::new(&data, 20, 3).into()).unwrap();
    let by_column = Sample::of_rows(Rows::column_major(&turned, 20, 3).into()).unwrap();
    assert_eq!(by_row, by_column);
}

#[test]
fn a_standardized_sample_has_unit_variances() {
    let sample = Sample::of_covariance(&[4.0, 1.0, 1.0, 9.0], 2, 10.0).unwrap();
    let standardized = sample.standardized().unwrap();
    assert_close(standardized.covariance(), &[1.0, 1.0 / 6.0, 1.0 / 6.0, 1.0], f64::EPSILON);
}

#[test]
fn a_sample_is_one_unit_of_n_observations() {
    let sample = Sample::of_covariance(&[4.0], 1, 10.0).unwrap();
    let whole = Whole::new(&sample);
    assert_eq!((whole.len(), whole.observations()), (1, 10.0));
    assert_eq!((whole.slice(1..1).len(), whole.slice(0..1).len()), (0, 1));
}
