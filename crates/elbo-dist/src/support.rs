//! Which numbers a distribution is about.

use elbo_core::DataError;

use crate::block::first;

/// Refuses what is infinite or outside the support; NaN stands for a missing observation.
fn check(
    data: &[f64],
    needed: &'static str,
    inside: impl Fn(f64) -> bool,
) -> Result<(), DataError> {
    let Some(row) = first(data, |x| !(x.is_nan() | (x.is_finite() & inside(x)))) else {
        return Ok(());
    };
    let value = data[row];
    if value.is_infinite() {
        return Err(DataError::NotFinite { row, column: 0, value });
    }
    Err(DataError::Support { row, column: 0, value, needed })
}

/// Missing, or above 0.
pub(crate) fn check_positive(data: &[f64]) -> Result<(), DataError> {
    check(data, "a number above 0", |x| x > 0.0)
}

/// Missing, or from 0 on.
pub(crate) fn check_not_negative(data: &[f64]) -> Result<(), DataError> {
    check(data, "a number from 0 on", |x| x >= 0.0)
}

/// Missing, or strictly between 0 and 1.
pub(crate) fn check_open_unit(data: &[f64]) -> Result<(), DataError> {
    check(data, "a number strictly between 0 and 1", |x| x > 0.0 && x < 1.0)
}
