//! Weighted moments of a table, the two-pass way.

use crate::spd::{mirror_lower, rank_one_update_lower};
use crate::triangular::add_scaled;

/// Weighted mean and scatter matrix of rows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WeightedMoments {
    /// `w = Σᵢ wᵢ`.
    pub total_weight: f64,
    /// `m = Σᵢ wᵢ xᵢ / w`, of length `d`, in units of the data.
    pub mean: Vec<f64>,
    /// `Σᵢ wᵢ (xᵢ − m)(xᵢ − m)ᵀ`, `d × d`, row-major, both triangles; divide by `w` for a covariance.
    pub scatter: Vec<f64>,
}

/// A read-only `n × d` table with any strides; element `(i, j)` is
/// `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The numbers.
    pub data: &'a [f64],
    /// Rows.
    pub n: usize,
    /// Columns.
    pub d: usize,
    /// Distance between rows in `data`.
    pub row_stride: usize,
    /// Distance between columns in `data`.
    pub column_stride: usize,
}

impl<'a> Rows<'a> {
    /// A row-major table without gaps.
    ///
    /// # Panics
    ///
    /// If `data` is not a whole number of rows of `d > 0` columns.
    pub fn row_major(data: &'a [f64], d: usize) -> Self {
        assert!(
            d > 0 && data.len().is_multiple_of(d),
            "a table of {d} columns has a multiple of {d} numbers, got {}",
            data.len()
        );
        Self { data, n: data.len() / d, d, row_stride: d, column_stride: 1 }
    }

    fn copy_row(&self, i: usize, out: &mut [f64]) {
        for (j, value) in out.iter_mut().enumerate() {
            *value = self.data[i * self.row_stride + j * self.column_stride];
        }
    }
}

/// Weighted mean and scatter of a table in two passes.
///
/// The first pass takes the mean, the second the scatter about it and what the mean was off by, so
/// that a common offset of the data costs no digits beyond those it costs the data.
/// Rows of weight zero are not looked at. Cost: `n d²` flops; allocates its result.
///
/// # Errors
///
/// - [`MomentsError::Weight`]: a weight is negative, infinite or NaN.
/// - [`MomentsError::Value`]: a value in a row of positive weight is infinite or NaN.
/// - [`MomentsError::NoWeight`]: the weights sum to zero, or there are no rows.
///
/// # Panics
///
/// If there are not `n` weights, or `data` ends before the last element of the table.
///
/// # Source
///
/// Chan, Golub & LeVeque (1983), Amer. Statist. 37(3) p. 242: the corrected two-pass algorithm.
pub fn weighted_mean_and_scatter(
    rows: Rows<'_>,
    weights: &[f64],
) -> Result<WeightedMoments, MomentsError> {
    let Rows { n, d, .. } = rows;
    assert!(weights.len() == n, "{n} rows need {n} weights, got {}", weights.len());
    let mut row = vec![0.0; d];
    let mut mean = vec![0.0; d];
    let mut total_weight = 0.0;
    for (i, &weight) in weights.iter().enumerate() {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(MomentsError::Weight { row: i, weight });
        }
        if weight > 0.0 {
            rows.copy_row(i, &mut row);
            if let Some(column) = row.iter().position(|value| !value.is_finite()) {
                return Err(MomentsError::Value { row: i, column, value: row[column] });
            }
            total_weight += weight;
            // running mean: large weights times large values are never summed
            for (mean, value) in mean.iter_mut().zip(&row) {
                *mean += (value - *mean) * (weight / total_weight);
            }
        }
    }
    if total_weight == 0.0 {
        return Err(MomentsError::NoWeight { rows: n });
    }
    let mut scatter = vec![0.0; d * d];
    let mut off = vec![0.0; d];
    for (i, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        rows.copy_row(i, &mut row);
        add_scaled(&mut row, -1.0, &mean);
        add_scaled(&mut off, weight / total_weight, &row);
        rank_one_update_lower(&mut scatter, d, weight, &row);
    }
    add_scaled(&mut mean, 1.0, &off);
    rank_one_update_lower(&mut scatter, d, -total_weight, &off);
    mirror_lower(&mut scatter, d);
    Ok(WeightedMoments { total_weight, mean, scatter })
}

/// Why a weighted table has no moments.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MomentsError {
    /// A weight is negative, infinite or NaN.
    #[error("the weight of row {row} is {weight}; weights must be finite and not negative")]
    Weight {
        /// Index of the row.
        row: usize,
        /// Its weight.
        weight: f64,
    },
    /// A value is infinite or NaN.
    #[error(
        "row {row}, column {column} is {value}; remove or impute it, or give the row weight zero"
    )]
    Value {
        /// Index of the row.
        row: usize,
        /// Index of the column.
        column: usize,
        /// The value.
        value: f64,
    },
    /// The weights sum to zero.
    #[error("all {rows} rows have weight zero; at least one must count")]
    NoWeight {
        /// Number of rows.
        rows: usize,
    },
}
