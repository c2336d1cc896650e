//! What kernels ask of the blocks they are given.

use elbo_core::{BLOCK, DataError};

/// Refuses what is infinite; NaN stands for a missing observation, which scores 0 and is not observed.
pub(crate) fn check_finite_or_missing(data: &[f64]) -> Result<(), DataError> {
    match first(data, f64::is_infinite) {
        None => Ok(()),
        Some(row) => Err(DataError::NotFinite { row, column: 0, value: data[row] }),
    }
}

/// The first number that is so. Where there is none, which is the rule, whole blocks are passed without a branch.
pub(crate) fn first(data: &[f64], is: impl Fn(f64) -> bool) -> Option<usize> {
    let any = |block: &[f64]| block.iter().fold(false, |any, x| any | is(*x));
    let block = data.chunks(BLOCK).position(any)?;
    let start = block * BLOCK;
    data[start..].iter().position(|x| is(*x)).map(|row| start + row)
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
