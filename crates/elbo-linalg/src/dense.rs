//! Products of dense matrices, on one thread.

use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, MatMut, MatRef, Par};

/// A read-only matrix, row-major, or the transpose of one.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f64],
    rows: usize,
    columns: usize,
    is_transposed: bool,
}

impl<'a> View<'a> {
    /// A row-major matrix without gaps.
    ///
    /// # Panics
    ///
    /// If `data` is not `rows × columns`.
    pub fn new(data: &'a [f64], rows: usize, columns: usize) -> Self {
        assert!(data.len() == rows * columns, "{} numbers are not {rows} × {columns}", data.len());
        Self { data, rows, columns, is_transposed: false }
    }

    /// Its transpose, sharing the same memory.
    #[must_use]
    pub fn t(self) -> Self {
        let (rows, columns) = (self.columns, self.rows);
        Self { data: self.data, rows, columns, is_transposed: !self.is_transposed }
    }

    fn faer(&self) -> MatRef<'a, f64> {
        if self.is_transposed {
            MatRef::from_row_major_slice(self.data, self.columns, self.rows).transpose()
        } else {
            MatRef::from_row_major_slice(self.data, self.rows, self.columns)
        }
    }
}

/// `out ← a b`, row-major without gaps.
///
/// Cost: `2 m k n` flops by faer, which packs blocks into memory of its own.
///
/// ```
/// use elbo_linalg::{View, multiply_into};
///
/// let (a, mut out) = ([1.0, 2.0, 3.0, 4.0], [0.0; 4]);
/// multiply_into(View::new(&a, 2, 2), View::new(&a, 2, 2).t(), &mut out);
/// assert_eq!(out, [5.0, 11.0, 11.0, 25.0]);
/// ```
///
/// # Panics
///
/// If the shapes do not fit.
pub fn multiply_into(a: View<'_>, b: View<'_>, out: &mut [f64]) {
    assert!(
        a.columns == b.rows && out.len() == a.rows * b.columns,
        "{} × {} by {} × {} into {} numbers",
        a.rows,
        a.columns,
        b.rows,
        b.columns,
        out.len()
    );
    let out = MatMut::from_row_major_slice_mut(out, a.rows, b.columns);
    matmul(out, Accum::Replace, a.faer(), b.faer(), 1.0, Par::Seq);
}

/// `out ← out + xᵀ x` in the lower triangle of the `d × d` `out`, for `x` of `n` rows of `d` columns, row-major.
///
/// The upper triangle is unspecified afterwards. Cost: `n d²` flops by faer.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn add_cross_product_lower(x: &[f64], d: usize, out: &mut [f64]) {
    assert!(d > 0 && x.len().is_multiple_of(d), "{} numbers are no rows of {d}", x.len());
    assert!(out.len() == d * d, "the product is {d} × {d}, got {} numbers", out.len());
    let x = MatRef::from_row_major_slice(x, x.len() / d, d);
    triangular::matmul(
        MatMut::from_row_major_slice_mut(out, d, d),
        triangular::BlockStructure::TriangularLower,
        Accum::Add,
        x.transpose(),
        triangular::BlockStructure::Rectangular,
        x,
        triangular::BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
}
