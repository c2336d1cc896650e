//! Regressions: distributions of a response given covariates.

mod canonical;
mod irls;
mod linear;
mod logistic;
pub(crate) mod plane;
mod poisson;
mod ridge;
mod softmax;

use elbo_core::{Batch, DataError, Rows};

use self::plane::Columns;

pub use canonical::{CanonicalLink, CanonicalRegression, RegressionPacked, RegressionScratch};
pub use irls::RegressionStats;
pub(crate) use linear::parse_covariance;
pub use linear::{
    LinearGaussian, LinearGaussianPacked, LinearGaussianScratch, LinearGaussianStats,
};
pub use logistic::{Logistic, LogisticRegression};
pub use poisson::{LogLinear, PoissonRegression};
pub use ridge::Ridge;
pub use softmax::{
    SoftmaxRegression, SoftmaxRegressionPacked, SoftmaxRegressionScratch, SoftmaxRegressionStats,
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

/// Fills `z` with the covariates `x` about a center, behind ones where there is an intercept; zeros where a weight is zero.
fn center_columns(
    z: &mut Columns,
    x: &Columns,
    center: &[f64],
    has_intercept: bool,
    weights: &[f64],
) {
    let n = weights.len();
    let lead = usize::from(has_intercept);
    if has_intercept {
        let ones = z.column_mut(0, n);
        ones.iter_mut().zip(weights).for_each(|(one, w)| *one = if *w == 0.0 { 0.0 } else { 1.0 });
    }
    for (a, c) in center.iter().enumerate() {
        let rows = x.column(a, n).iter().zip(weights);
        for (z, (x, w)) in z.column_mut(a + lead, n).iter_mut().zip(rows) {
            *z = if *w == 0.0 { 0.0 } else { x - c };
        }
    }
}
