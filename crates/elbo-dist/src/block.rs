//! What kernels ask of the blocks they are given.

use elbo_core::DataError;

/// Refuses what is infinite; NaN stands for a missing observation, which scores 0 and is not observed.
pub(crate) fn check_finite_or_missing(data: &[f64]) -> Result<(), DataError> {
    match data.iter().position(|x| x.is_infinite()) {
        None => Ok(()),
        Some(row) => Err(DataError::NotFinite { row, column: 0, value: data[row] }),
    }
}

/// One row for each component, one column for each observation.
///
/// # Panics
///
/// Otherwise.
#[track_caller]
pub(crate) fn check_shape(k: usize, n: usize, rows: usize, columns: usize) {
    assert!(
        rows == k && columns == n,
        "a {rows} × {columns} block does not fit {k} components and {n} observations"
    );
}
