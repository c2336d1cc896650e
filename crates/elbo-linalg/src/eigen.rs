//! Eigenvalues of symmetric matrices, alone and relative to a positive definite one.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{MatMut, MatRef, Par, Spec};

use crate::spd::{NotPositiveDefinite, cholesky_in_place, mirror_lower};
use crate::triangular::assert_square;

/// Eigenvalues and eigenvectors of a symmetric matrix.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SymmetricEigen {
    /// The `d` eigenvalues, ascending.
    pub values: Vec<f64>,
    /// `d × d`, row-major: row `j` is the unit eigenvector of `values[j]`, its element of largest
    /// magnitude positive. So `A = Vᵀ diag(values) V` with `V` this matrix.
    pub vectors: Vec<f64>,
}

/// Eigenvalues, ascending, and eigenvectors of the symmetric `a`.
///
/// `a` is `d × d`, row-major; only its lower triangle is read. The largest eigenvalues are accurate
/// to a few `d ε` relative, small ones to that much of the largest.
/// Cost: about `9 d³` flops by faer; allocates its result and scratch.
///
/// ```
/// let eigen = elbo_linalg::symmetric_eigen(&[2.0, 0.0, 1.0, 2.0], 2)?;
/// assert!((eigen.values[0] - 1.0).abs() < 1e-15 && (eigen.values[1] - 3.0).abs() < 1e-15);
/// assert!((eigen.vectors[2] - eigen.vectors[3]).abs() < 1e-15); // (1, 1) / √2
/// # Ok::<(), elbo_linalg::EigenError>(())
/// ```
///
/// # Errors
///
/// [`EigenError::NotFinite`] for NaN or infinite entries, [`EigenError::NoConvergence`] if the
/// iteration gives up.
///
/// # Panics
///
/// If `a` is not `d × d`.
///
/// # Source
///
/// Golub & Van Loan (2013), *Matrix Computations*, 4th ed., §8.3 (tridiagonal QR) and §8.4.
pub fn symmetric_eigen(a: &[f64], d: usize) -> Result<SymmetricEigen, EigenError> {
    let mut vectors = vec![0.0; d * d];
    let values = decompose(a, d, Some(&mut vectors))?;
    for vector in vectors.chunks_exact_mut(d.max(1)) {
        let largest =
            vector.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        if largest < 0.0 {
            for element in vector {
                *element = -*element;
            }
        }
    }
    Ok(SymmetricEigen { values, vectors })
}

/// Smallest and largest eigenvalue of the symmetric `a`, read from its lower triangle.
///
/// `largest / smallest` is the condition number of a positive definite matrix. Compare eigenvalues
/// only between variables in the same unit: scale to correlations first.
/// Cost: about `4d³ / 3` flops by faer; allocates scratch.
///
/// # Errors
///
/// As for [`symmetric_eigen`].
///
/// # Panics
///
/// If `a` is not `d × d` or `d` is zero.
pub fn extreme_eigenvalues(a: &[f64], d: usize) -> Result<(f64, f64), EigenError> {
    assert!(d > 0, "a 0 × 0 matrix has no eigenvalues");
    let values = decompose(a, d, None)?;
    Ok((values[0], values[d - 1]))
}

/// Smallest eigenvalue of `A v = λ B v`, that is the minimum over `v` of `vᵀAv / vᵀBv`.
///
/// `a` is symmetric, `b` symmetric positive definite, both `d × d`, row-major, read from their lower
/// triangles. Invariant under a change of units: with `B` the covariance of all rows and `A` that of
/// one component, it tells how flat the component is in its flattest direction.
/// Cost: about `4d³` flops; allocates two `d × d` matrices and scratch.
///
/// # Errors
///
/// [`EigenError::NotPositiveDefinite`] if `B` has no Cholesky factor, otherwise as for
/// [`symmetric_eigen`].
///
/// # Panics
///
/// If a matrix is not `d × d` or `d` is zero.
///
/// # Source
///
/// Golub & Van Loan (2013), *Matrix Computations*, 4th ed., §8.7.
pub fn smallest_generalized_eigenvalue(a: &[f64], b: &[f64], d: usize) -> Result<f64, EigenError> {
    assert_square(a, d);
    let mut factor = b.to_vec();
    cholesky_in_place(&mut factor, d)?;
    let mut whitened = a.to_vec();
    mirror_lower(&mut whitened, d);
    let l = MatRef::from_row_major_slice(&factor, d, d);
    let mut w = MatMut::from_row_major_slice_mut(&mut whitened, d, d);
    solve_lower_triangular_in_place(l, w.as_mut(), Par::Seq); // L⁻¹ A
    solve_lower_triangular_in_place(l, w.transpose_mut(), Par::Seq); // L⁻¹ (L⁻¹ A)ᵀ
    Ok(extreme_eigenvalues(&whitened, d)?.0)
}

/// Why a matrix has no eigenvalues to offer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EigenError {
    /// An entry is NaN or infinite.
    #[error("entry ({row}, {column}) of the matrix is {value}; remove or impute such values first")]
    NotFinite {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// The iteration did not converge.
    #[error(
        "the eigenvalue iteration of a {order} × {order} matrix did not converge; rescale its columns"
    )]
    NoConvergence {
        /// Order of the matrix.
        order: usize,
    },
    /// The matrix that sets the scale is not positive definite.
    #[error(transparent)]
    NotPositiveDefinite(#[from] NotPositiveDefinite),
}

/// Ascending eigenvalues; eigenvectors into the rows of `vectors` if asked for.
///
/// Works on `a` times a power of two, so that squares of its entries stay in range.
fn decompose(a: &[f64], d: usize, vectors: Option<&mut [f64]>) -> Result<Vec<f64>, EigenError> {
    assert_square(a, d);
    if d == 0 {
        return Ok(Vec::new());
    }
    let mut largest = 0.0_f64;
    for row in 0..d {
        for column in 0..=row {
            let value = a[row * d + column];
            if !value.is_finite() {
                return Err(EigenError::NotFinite { row, column, value });
            }
            largest = largest.max(value.abs());
        }
    }
    let scale = power_of_two_below(largest);
    let scaled: Vec<f64> = a.iter().map(|value| value / scale).collect();
    let mut values = vec![0.0; d];
    let wanted = if vectors.is_some() { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let need = self_adjoint_evd_scratch::<f64>(d, wanted, Par::Seq, Spec::default());
    self_adjoint_evd(
        MatRef::from_row_major_slice(&scaled, d, d),
        DiagMut::from_slice_mut(&mut values),
        vectors.map(|v| MatMut::from_column_major_slice_mut(v, d, d)),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(need)),
        Spec::default(),
    )
    .map_err(|_| EigenError::NoConvergence { order: d })?;
    for value in &mut values {
        *value *= scale;
    }
    Ok(values)
}

/// The power of two at or below a positive `x`; one for zero and subnormal numbers.
fn power_of_two_below(x: f64) -> f64 {
    let exponent_bits = x.to_bits() & 0x7ff0_0000_0000_0000;
    if exponent_bits == 0 { 1.0 } else { f64::from_bits(exponent_bits) }
}
