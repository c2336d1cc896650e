//! Regressions: distributions of a response given covariates.

mod linear;
pub(crate) mod plane;

use elbo_core::{Batch, DataError, Rows};

pub(crate) use linear::parse_covariance;
pub use linear::{
    LinearGaussian, LinearGaussianPacked, LinearGaussianScratch, LinearGaussianStats,
};

/// Refuses covariates of another width, not as many as responses, or not finite.
pub(crate) fn check_covariates(
    x: Rows<'_>,
    expected: usize,
    responses: usize,
) -> Result<(), DataError> {
    if x.len() != responses {
        return Err(DataError::Unpaired {
            of: "covariates",
            left: x.len(),
            with: "responses",
            right: responses,
        });
    }
    if x.d() != expected {
        return Err(DataError::Dimension { expected, found: x.d() });
    }
    x.check_finite()
}

/// One row for each component, one column for each pair of observations.
///
/// # Panics
///
/// Otherwise.
#[track_caller]
pub(crate) fn check_block(k: usize, (x, y): (usize, usize), rows: usize, columns: usize) {
    assert_eq!(x, y, "as many covariates as responses");
    crate::block::check_shape(k, x, rows, columns);
}
