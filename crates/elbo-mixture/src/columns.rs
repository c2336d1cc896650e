//! What the columns of a table tell before anything is fitted.

use elbo_core::{Batch, DataError, EstimateError, Rows, Weighted};
use elbo_dist::{CovarianceStructure, MultivariateGaussian};

/// Mean and variance of what is observed in each column, weighted.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    means: Vec<f64>,
    variances: Vec<f64>,
}

impl Columns {
    /// Means and variances of the columns where values are missing, `None` where none is: then nobody needs them.
    ///
    /// # Errors
    ///
    /// If no row counts, or a column has no observed value, or a single one over and over, among the rows that count.
    pub(crate) fn of(data: Weighted<'_, Rows<'_>>) -> Result<Option<Self>, DataError> {
        let rows = data.units();
        let weight = |i: usize| data.weights().map_or(1.0, |weights| weights[i]);
        if !(0..rows.len()).any(|i| weight(i) > 0.0) {
            return Err(DataError::Empty);
        }
        let seen = |column: usize| {
            (0..rows.len()).map(move |i| (weight(i), rows.get(i, column))).filter(counts)
        };
        for column in 0..rows.d() {
            let Some((_, value)) = seen(column).next() else {
                return Err(DataError::EmptyColumn { column });
            };
            if !seen(column).any(|(_, x)| x.to_bits() != value.to_bits()) {
                return Err(DataError::ConstantColumn { column, value });
            }
        }
        if rows.all(|x| !x.is_nan()) {
            return Ok(None);
        }
        let moments = |column: usize| {
            let total: f64 = seen(column).map(|(w, _)| w).sum();
            // shares of the weight first, so that no sum overflows
            let mean: f64 = seen(column).map(|(w, x)| w / total * x).sum();
            let squares = seen(column).map(|(w, x)| w / total * (x - mean) * (x - mean));
            (mean, squares.sum::<f64>())
        };
        let (means, variances) = (0..rows.d()).map(moments).unzip();
        Ok(Some(Self { means, variances }))
    }

    /// The Gaussian with these means and variances that a structure allows: one variance for all columns, their mean, where it
    /// must be one.
    ///
    /// # Errors
    ///
    /// [`EstimateError::Singular`] where a variance is too small or too large for a number.
    pub(crate) fn gaussian(
        &self,
        structure: CovarianceStructure,
    ) -> Result<MultivariateGaussian, EstimateError> {
        let d = self.means.len();
        let common = self.variances.iter().map(|v| v / d as f64).sum();
        let variance = |c: usize| if structure.is_spherical() { common } else { self.variances[c] };
        let is_positive = |variance: f64| variance.is_finite() && variance > 0.0;
        if let Some(column) = (0..d).find(|c| !is_positive(variance(*c))) {
            let variance = variance(column);
            return Err(EstimateError::Singular { component: 0, column, variance });
        }
        let covariance: Vec<f64> =
            (0..d * d).map(|at| if at / d == at % d { variance(at / d) } else { 0.0 }).collect();
        Ok(MultivariateGaussian::new(structure, self.means.clone(), &covariance)
            .expect("a positive diagonal is a covariance of every structure"))
    }
}

/// Does a value count: observed, in a row of positive weight?
fn counts(&(weight, x): &(f64, f64)) -> bool {
    weight > 0.0 && !x.is_nan()
}
