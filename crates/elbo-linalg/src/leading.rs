//! The leading eigenvectors of a symmetric matrix, from a guess of the space they span.

use crate::dense::{View, multiply_into};
use crate::eigen::{EigenError, symmetric_eigen};
use crate::triangular::{add_scaled, assert_square, dot};

/// Orders up to which all eigenvectors are found and the leading ones kept.
const SMALL: usize = 48;

/// Blocks of products after which the method gives way to the decomposition of the whole matrix.
const PATIENCE: usize = 40;

/// The leading eigenvalues and eigenvectors of a symmetric matrix.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeadingEigen {
    /// Eigenvalues, largest first.
    pub values: Vec<f64>,
    /// Row `a` is the unit eigenvector of `values[a]`, its element of largest magnitude positive.
    pub vectors: Vec<f64>,
}

/// The `q` largest eigenvalues of the symmetric `a`, and their eigenvectors, from a guess.
///
/// `a` is `d × d`, row-major, both triangles; `guess` holds rows of `d` numbers that span about the space sought: those of
/// a matrix nearby, say, or nothing. Block Krylov spaces are grown from it until every residual `‖A v − λ v‖` is at most
/// `10⁻¹⁰ λ₁`, which leaves errors of some `10⁻²⁰ λ₁²` over the gap in eigenvalues, and `10⁻¹⁰ λ₁` over the gap in vectors.
///
/// Cost: `2d²` flops per row of a block, some `q + 4` rows, for as many blocks as it takes: one from the answer itself, a
/// few where the eigenvalues sought stand out. Where they do not, or `d` is below 50 or less than thrice the block, all
/// eigenvectors are found, at `9 d³`. Allocates.
///
/// ```
/// let a = [2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0];
/// let leading = elbo_linalg::leading_eigen(&a, 3, 1, &[])?;
/// assert!((leading.values[0] - 3.0).abs() < 1e-15);
/// # Ok::<(), elbo_linalg::EigenError>(())
/// ```
///
/// # Errors
///
/// As [`symmetric_eigen`](crate::symmetric_eigen).
///
/// # Panics
///
/// If `a` is not `d × d`, `guess` has no whole rows, or `q > d`.
///
/// # Source
///
/// Golub & Van Loan (2013), *Matrix Computations*, 4th ed., §10.3 (block Lanczos); thick restarts: Wu & Simon (2000), SIAM
/// J. Matrix Anal. Appl. 22(2).
pub fn leading_eigen(
    a: &[f64],
    d: usize,
    q: usize,
    guess: &[f64],
) -> Result<LeadingEigen, EigenError> {
    assert_square(a, d);
    assert!(q <= d, "{q} eigenvectors of a {d} × {d} matrix");
    assert!(guess.len().is_multiple_of(d.max(1)), "a guess is rows of {d} numbers");
    let block = q + 4;
    if d <= SMALL || d < 3 * block {
        return of_all(a, d, q);
    }
    if let Some(place) = a.iter().position(|value| !value.is_finite()) {
        let (row, column) = (place / d, place % d);
        return Err(EigenError::NotFinite { row, column, value: a[place] });
    }
    match Space::new(a, d, block, guess).grow(q)? {
        Some(found) => Ok(found),
        None => of_all(a, d, q),
    }
}

fn of_all(a: &[f64], d: usize, q: usize) -> Result<LeadingEigen, EigenError> {
    let eigen = symmetric_eigen(a, d)?;
    Ok(LeadingEigen {
        values: eigen.values.iter().rev().take(q).copied().collect(),
        vectors: eigen.vectors.chunks_exact(d.max(1)).rev().take(q).flatten().copied().collect(),
    })
}

/// An orthonormal basis in rows, and its product with the matrix.
struct Space<'a> {
    a: &'a [f64],
    d: usize,
    block: usize,
    basis: Vec<f64>,
    images: Vec<f64>,
}

impl<'a> Space<'a> {
    fn new(a: &'a [f64], d: usize, block: usize, guess: &[f64]) -> Self {
        let mut space = Self { a, d, block, basis: Vec::new(), images: Vec::new() };
        let mut start = guess[..guess.len().min(block * d)].to_vec();
        // what the guess leaves out: fixed rows without a pattern
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        while start.len() < block * d {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            start.push((state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0);
        }
        space.append(start);
        space
    }

    fn order(&self) -> usize {
        self.basis.len() / self.d
    }

    /// Adds rows, made orthonormal, unless they are in the space already; false if none is left.
    fn append(&mut self, mut rows: Vec<f64>) -> bool {
        let (d, m) = (self.d, self.order());
        let p = rows.len() / d;
        let before: Vec<f64> = rows.chunks_exact(d).map(norm).collect();
        let (mut overlap, mut inside) = (vec![0.0; p * m], vec![0.0; p * d]);
        for _ in 0..2 {
            // twice is enough: Giraud, Langou & Rozložník (2005)
            let (basis, view) = (View::new(&self.basis, m, d), View::new(&rows, p, d));
            multiply_into(view, basis.t(), &mut overlap);
            multiply_into(View::new(&overlap, p, m), basis, &mut inside);
            add_scaled(&mut rows, -1.0, &inside);
        }
        let mut added: Vec<f64> = Vec::with_capacity(p * d);
        for (row, before) in rows.chunks_exact_mut(d).zip(before) {
            for _ in 0..2 {
                for other in added.chunks_exact(d) {
                    add_scaled(row, -dot(row, other), other);
                }
            }
            let after = norm(row);
            if after > 1e-8 * before && after > 0.0 {
                row.iter_mut().for_each(|x| *x /= after);
                added.extend(&*row);
            }
        }
        if added.is_empty() {
            return false;
        }
        let p = added.len() / d;
        let start = self.images.len();
        self.images.resize(start + p * d, 0.0);
        let a = View::new(self.a, d, d);
        multiply_into(View::new(&added, p, d), a, &mut self.images[start..]);
        self.basis.extend(added);
        true
    }

    /// Grows the space by residuals until its `q` leading Ritz vectors are eigenvectors; `None` if that takes too long.
    fn grow(mut self, q: usize) -> Result<Option<LeadingEigen>, EigenError> {
        for _ in 0..PATIENCE {
            let (values, residuals) = self.rotate_to_ritz()?;
            let tolerance = 1e-10 * values[0].abs();
            let d = self.d;
            if residuals.chunks_exact(d).take(q).all(|row| norm(row) <= tolerance) {
                return Ok(Some(self.finish(q, values)));
            }
            let open = residuals.chunks_exact(d).filter(|row| norm(row) > tolerance);
            let open = open.flatten().copied().collect();
            if self.order() + self.block > 5 * self.block || self.order() + self.block > d {
                self.basis.truncate(self.block * d);
                self.images.truncate(self.block * d);
            }
            if !self.append(open) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Turns the basis to Ritz vectors, largest first; returns all their values and the residuals of the first block.
    fn rotate_to_ritz(&mut self) -> Result<(Vec<f64>, Vec<f64>), EigenError> {
        let (d, m) = (self.d, self.order());
        let mut small = vec![0.0; m * m];
        let (basis, images) = (View::new(&self.basis, m, d), View::new(&self.images, m, d));
        multiply_into(basis, images.t(), &mut small);
        let eigen = symmetric_eigen(&small, m)?;
        let values: Vec<f64> = eigen.values.iter().rev().copied().collect();
        let turn: Vec<f64> = eigen.vectors.chunks_exact(m).rev().flatten().copied().collect();
        let mut turned = vec![0.0; m * d];
        multiply_into(View::new(&turn, m, m), images, &mut turned);
        let mut rotated = vec![0.0; m * d];
        multiply_into(View::new(&turn, m, m), basis, &mut rotated);
        self.images = turned;
        self.basis = rotated;
        let mut residuals = self.images[..m.min(self.block) * d].to_vec();
        for (a, row) in residuals.chunks_exact_mut(d).enumerate() {
            add_scaled(row, -values[a], &self.basis[a * d..][..d]);
        }
        Ok((values, residuals))
    }

    fn finish(self, q: usize, mut values: Vec<f64>) -> LeadingEigen {
        let mut vectors = self.basis;
        vectors.truncate(q * self.d);
        values.truncate(q);
        for vector in vectors.chunks_exact_mut(self.d) {
            let largest = |a: f64, b: &f64| if b.abs() > a.abs() { *b } else { a };
            if vector.iter().fold(0.0, largest) < 0.0 {
                vector.iter_mut().for_each(|x| *x = -*x);
            }
        }
        LeadingEigen { values, vectors }
    }
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}
