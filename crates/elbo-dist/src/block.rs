//! What kernels ask of the blocks they are given.

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
