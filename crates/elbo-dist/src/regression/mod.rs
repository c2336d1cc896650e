//! Regressions: distributions of a response given covariates.

mod canonical;
mod irls;
mod linear;
mod logistic;
pub(crate) mod plane;
mod poisson;

use elbo_core::{Batch, DataError, Rows};

pub use canonical::{CanonicalLink, CanonicalRegression, RegressionPacked, RegressionScratch};
pub use irls::RegressionStats;
pub(crate) use linear::parse_covariance;
pub use linear::{
    LinearGaussian, LinearGaussianPacked, LinearGaussianScratch, LinearGaussianStats,
};
pub use logistic::{Logistic, LogisticRegression};
pub use poisson::{LogLinear, PoissonRegression};

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
