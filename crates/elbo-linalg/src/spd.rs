//! Symmetric positive definite matrices through their Cholesky factor.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, MatMut, MatRef, Par};

use crate::triangular::{
    BLOCK, add_scaled, assert_square, assert_system, dot, forward_substitute, invert_lower_in_place,
};

/// Factors a symmetric positive definite matrix as `Σ = L Lᵀ`, in place.
///
/// `a` is `d × d`, row-major. On entry its lower triangle holds `Σ` (the upper one is not read);
/// on exit the lower triangle holds `L`, the upper one zeros.
///
/// Every positive pivot is accepted, however small: use [`cholesky_relative`] to reject matrices
/// that are singular to working precision.
///
/// Cost: `d³ / 3` flops; up to order 64 plain loops without allocation, above it blocks by faer.
///
/// ```
/// use elbo_linalg::cholesky_in_place;
///
/// let mut a = [4.0, 2.0, 2.0, 2.0];
/// cholesky_in_place(&mut a, 2)?;
/// assert_eq!(a, [2.0, 0.0, 1.0, 1.0]);
/// # Ok::<(), elbo_linalg::NotPositiveDefinite>(())
/// ```
///
/// # Errors
///
/// [`NotPositiveDefinite`] at the first column whose pivot is zero, negative, infinite or NaN; NaN
/// and infinite entries end there, too. The matrix is then unspecified.
///
/// # Panics
///
/// If `a` is not `d × d`.
///
/// # Source
///
/// Golub & Van Loan (2013), *Matrix Computations*, 4th ed., §4.2.
pub fn cholesky_in_place(a: &mut [f64], d: usize) -> Result<(), NotPositiveDefinite> {
    cholesky_relative(a, d, 0.0)
}

/// Factors `Σ = L Lᵀ` in place and rejects columns that the ones before them nearly explain.
///
/// The pivot of column `j` is the variance that is left after regressing variable `j` on the
/// variables before it, so `pivot / Σⱼⱼ = 1 − R²`. Column `j` is rejected when that ratio is
/// `≤ tolerance`: the test does not change when a variable is given in another unit.
/// A tolerance around `1e-10` keeps six digits in a solve; below `d · ε` rounding alone decides.
/// Layout, cost and panics as for [`cholesky_in_place`].
///
/// # Errors
///
/// [`NotPositiveDefinite`] with the column, its pivot and its diagonal element. The matrix is then
/// unspecified.
///
/// # Panics
///
/// If `a` is not `d × d`, or `tolerance` is not in `[0, 1)`.
pub fn cholesky_relative(
    a: &mut [f64],
    d: usize,
    tolerance: f64,
) -> Result<(), NotPositiveDefinite> {
    assert_square(a, d);
    assert!((0.0..1.0).contains(&tolerance), "tolerance must be in [0, 1), got {tolerance}");
    factor_block(a, d, 0, d, tolerance)?;
    zero_upper(a, d);
    Ok(())
}

/// Factors `Σ + jitter · diag(Σ)` in place, with the smallest jitter on a ladder that works.
///
/// The ladder is `0`, then `10 d ε`, ten times more at each attempt, up to `1e-4`. The jitter is
/// relative to each diagonal element, which makes it the same in every unit. A factor counts as
/// working when every pivot exceeds `d ε` times its diagonal element, since smaller ones are
/// rounding noise. `scratch` has length `d` and is unspecified on exit.
/// Layout and cost (per attempt) as for [`cholesky_in_place`].
///
/// # Errors
///
/// [`NotPositiveDefinite`] of the last attempt: the matrix is indefinite by more than `1e-4`, has a
/// diagonal element that is not positive, or is not finite. The matrix is then unspecified.
///
/// # Panics
///
/// If `a` is not `d × d` or `scratch` is not of length `d`.
pub fn cholesky_with_jitter(
    a: &mut [f64],
    d: usize,
    scratch: &mut [f64],
) -> Result<Jitter, NotPositiveDefinite> {
    const LARGEST: f64 = 1e-4;
    assert_system(a, d, scratch);
    mirror_lower(a, d); // the factorization leaves the upper triangle alone, so it keeps Σ
    for (j, diagonal) in scratch.iter_mut().enumerate() {
        *diagonal = a[j * d + j];
    }
    let noise = d as f64 * f64::EPSILON;
    let mut jitter = Jitter { amount: 0.0, attempts: 1 };
    loop {
        let error = match factor_block(a, d, 0, d, noise) {
            Ok(()) => {
                zero_upper(a, d);
                return Ok(jitter);
            }
            Err(error) => error,
        };
        let amount = if jitter.attempts == 1 { 10.0 * noise } else { 10.0 * jitter.amount };
        if amount > LARGEST {
            return Err(error);
        }
        jitter = Jitter { amount, attempts: jitter.attempts + 1 };
        mirror_upper(a, d);
        for (j, diagonal) in scratch.iter().enumerate() {
            a[j * d + j] = diagonal * (1.0 + amount);
        }
    }
}

/// What [`cholesky_with_jitter`] had to add.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Jitter {
    /// `Σ + amount · diag(Σ)` was factored; zero if nothing was added. No unit.
    pub amount: f64,
    /// Factorizations tried, the one that worked included.
    pub attempts: usize,
}

/// `ln det Σ = 2 Σⱼ ln Lⱼⱼ`, from the factor of [`cholesky_in_place`].
///
/// Sums logarithms, so it neither overflows nor underflows when the determinant would.
/// Cost: `d` logarithms.
///
/// # Panics
///
/// If `l` is not `d × d`.
pub fn log_det_from_cholesky(l: &[f64], d: usize) -> f64 {
    assert_square(l, d);
    2.0 * (0..d).map(|j| l[j * d + j].ln()).sum::<f64>()
}

/// Writes `Σ⁻¹` into `inverse`, both triangles and exactly symmetric, from the factor `L` of `Σ`.
///
/// Prefer a solve where one will do: it costs less and loses fewer digits.
/// Both arguments are `d × d`, row-major; `inverse` need not be initialized.
/// Cost: `2d³ / 3` flops up to order 64, no allocation; `4d³ / 3` by faer above.
///
/// # Panics
///
/// If `l` or `inverse` is not `d × d`.
pub fn spd_inverse_from_cholesky(l: &[f64], d: usize, inverse: &mut [f64]) {
    assert_square(l, d);
    assert_square(inverse, d);
    inverse.copy_from_slice(l);
    invert_lower_in_place(inverse, d);
    if d <= BLOCK {
        gram_of_lower(inverse, d);
    } else {
        zero_upper(inverse, d);
        let upper = MatRef::from_row_major_slice(l, d, d).transpose();
        let right = MatMut::from_row_major_slice_mut(inverse, d, d);
        solve_upper_triangular_in_place(upper, right, Par::Seq);
    }
    mirror_lower(inverse, d);
}

/// Squared Mahalanobis distance `δᵀ Σ⁻¹ δ = ‖L⁻¹ δ‖²`, from the factor `L` of `Σ`.
///
/// `l` is `d × d`, row-major, `difference` is `δ = x − μ`; `scratch`, of length `d`, holds `L⁻¹ δ`
/// on exit. Cost: `d²` flops, no allocation.
///
/// # Panics
///
/// If `l` is not `d × d`, or `difference` or `scratch` is not of length `d`.
pub fn mahalanobis_squared(l: &[f64], d: usize, difference: &[f64], scratch: &mut [f64]) -> f64 {
    assert_system(l, d, difference);
    assert_system(l, d, scratch);
    scratch.copy_from_slice(difference);
    forward_substitute(l, d, scratch);
    dot(scratch, scratch)
}

/// Adds `weight · x xᵀ` to the lower triangle of the `d × d`, row-major `a`.
///
/// The strict upper triangle is neither read nor written; see [`mirror_lower`].
/// Cost: `d²` flops, no allocation.
///
/// # Panics
///
/// If `a` is not `d × d` or `x` is not of length `d`.
pub fn rank_one_update_lower(a: &mut [f64], d: usize, weight: f64, x: &[f64]) {
    assert_system(a, d, x);
    for (i, scale) in x.iter().enumerate() {
        add_scaled(&mut a[i * d..=i * d + i], weight * scale, x);
    }
}

/// Adds `weight · x yᵀ` to the row-major `a` of shape `x.len() × y.len()`.
///
/// Cost: `2 · x.len() · y.len()` flops, no allocation.
///
/// # Panics
///
/// If `a` has not that shape.
pub fn add_outer(a: &mut [f64], weight: f64, x: &[f64], y: &[f64]) {
    let (rows, columns) = (x.len(), y.len());
    assert!(a.len() == rows * columns, "x yᵀ is {rows} × {columns}, got {} numbers", a.len());
    for (i, scale) in x.iter().enumerate() {
        add_scaled(&mut a[i * columns..][..columns], weight * scale, y);
    }
}

/// Copies the strict lower triangle of the `d × d`, row-major `a` onto the upper one.
///
/// # Panics
///
/// If `a` is not `d × d`.
pub fn mirror_lower(a: &mut [f64], d: usize) {
    assert_square(a, d);
    for i in 0..d {
        for j in 0..i {
            a[j * d + i] = a[i * d + j];
        }
    }
}

/// A matrix that has no Cholesky factor, or none that can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "the matrix is not positive definite: in column {column} the pivot is {pivot:e} and the diagonal \
     element {diagonal:e}; remove the variable (it is constant or follows from the ones before it), \
     use more rows or add a prior"
)]
#[non_exhaustive]
pub struct NotPositiveDefinite {
    /// The first column that failed.
    pub column: usize,
    /// What is left of the diagonal element after regression on the columns before.
    pub pivot: f64,
    /// The diagonal element before elimination, in the same unit.
    pub diagonal: f64,
}

/// Factors the block of rows and columns `start .. start + order` of the `d × d` `a`, from which the
/// columns before `start` have been eliminated; writes to its lower triangle only.
fn factor_block(
    a: &mut [f64],
    d: usize,
    start: usize,
    order: usize,
    tolerance: f64,
) -> Result<(), NotPositiveDefinite> {
    if order <= BLOCK {
        return factor_small_block(a, d, start, order, tolerance);
    }
    let half = order / 2;
    factor_block(a, d, start, half, tolerance)?;
    let block = MatMut::from_row_major_slice_mut(a, d, d).submatrix_mut(start, start, order, order);
    let (top, _, mut corner, bottom) = block.split_at_mut(half, half);
    solve_lower_triangular_in_place(top.as_ref(), corner.as_mut().transpose_mut(), Par::Seq);
    matmul(
        bottom,
        BlockStructure::TriangularLower,
        Accum::Add,
        corner.as_ref(),
        BlockStructure::Rectangular,
        corner.as_ref().transpose(),
        BlockStructure::Rectangular,
        -1.0,
        Par::Seq,
    );
    factor_block(a, d, start + half, order - half, tolerance)
}

/// Row `i` of `L` solves `L₍ᵢ₎ lᵢ = aᵢ` with the rows above; its pivot is `aᵢᵢ − ‖lᵢ‖²`.
fn factor_small_block(
    a: &mut [f64],
    d: usize,
    start: usize,
    order: usize,
    tolerance: f64,
) -> Result<(), NotPositiveDefinite> {
    for column in start..start + order {
        let (above, row) = a.split_at_mut(column * d);
        let (before, row) = row[..=column].split_at_mut(start);
        let (row, diagonal) = row.split_at_mut(column - start);
        let factor = above.get(start * d + start..).unwrap_or_default(); // empty in the first row
        forward_substitute(factor, d, row);
        let pivot = diagonal[0] - dot(row, row);
        let original = diagonal[0] + dot(before, before);
        if !(pivot.is_finite() && pivot > tolerance * original) {
            return Err(NotPositiveDefinite { column, pivot, diagonal: original });
        }
        diagonal[0] = pivot.sqrt();
    }
    Ok(())
}

/// The lower triangle of `UᵀU` in place of the lower triangular `U`: row `i` needs rows `≥ i` only.
fn gram_of_lower(u: &mut [f64], d: usize) {
    for i in 0..d {
        let (row, below) = u[i * d..].split_at_mut(d);
        let diagonal = row[i];
        row[..=i].iter_mut().for_each(|value| *value *= diagonal);
        for lower_row in below.chunks_exact(d) {
            add_scaled(&mut row[..=i], lower_row[i], lower_row);
        }
    }
}

fn zero_upper(a: &mut [f64], d: usize) {
    for i in 0..d {
        a[i * d + i + 1..(i + 1) * d].fill(0.0);
    }
}

/// Copies the strict upper triangle onto the lower one.
fn mirror_upper(a: &mut [f64], d: usize) {
    for i in 0..d {
        for j in 0..i {
            a[i * d + j] = a[j * d + i];
        }
    }
}
