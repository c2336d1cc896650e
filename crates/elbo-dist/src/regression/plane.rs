//! Affine functions of covariates, and blocks of rows by columns.

use elbo_core::{BLOCK_STRIDE, Batch, Rows};

use crate::ParameterError;

/// Rows that loops treat side by side, so that they run on vectors of numbers.
pub(crate) const LANES: usize = 8;

/// The affine function `x ↦ v + B (x − c)` from `ℝᵖ` to `ℝ^q`: the value `v` at the center `c`, and the slopes `B`.
///
/// With the center among the data, values there neither cancel nor round more than the data themselves do, however far
/// from zero they are. A function without an intercept has `c = 0` and `v = 0`.
#[derive(Debug, PartialEq)]
pub(crate) struct Plane {
    pub(crate) center: Vec<f64>,
    pub(crate) value: Vec<f64>,
    /// `q × p`, row-major.
    pub(crate) slopes: Vec<f64>,
}

impl Clone for Plane {
    fn clone(&self) -> Self {
        let (center, value) = (self.center.clone(), self.value.clone());
        Self { center, value, slopes: self.slopes.clone() }
    }

    /// Without allocation where the shapes agree.
    fn clone_from(&mut self, other: &Self) {
        self.center.clone_from(&other.center);
        self.value.clone_from(&other.value);
        self.slopes.clone_from(&other.slopes);
    }
}

impl Plane {
    /// The function with these parts, if their shapes fit and all numbers are finite.
    pub(crate) fn new(
        center: Vec<f64>,
        value: Vec<f64>,
        slopes: Vec<f64>,
    ) -> Result<Self, ParameterError> {
        for (parameter, numbers) in [("center", &center), ("intercept", &value)] {
            if numbers.is_empty() {
                return Err(ParameterError::Length { parameter, expected: 1, found: 0 });
            }
        }
        let expected = center.len() * value.len();
        if slopes.len() != expected {
            let (parameter, found) = ("coefficients", slopes.len());
            return Err(ParameterError::Length { parameter, expected, found });
        }
        for (parameter, numbers) in
            [("center", &center), ("intercept", &value), ("coefficients", &slopes)]
        {
            if let Some(index) = numbers.iter().position(|x| !x.is_finite()) {
                return Err(ParameterError::Entry { parameter, index, value: numbers[index] });
            }
        }
        Ok(Self { center, value, slopes })
    }

    /// `p`.
    pub(crate) fn covariates(&self) -> usize {
        self.center.len()
    }

    /// `q`.
    pub(crate) fn outputs(&self) -> usize {
        self.value.len()
    }

    /// The slopes of output `o`.
    pub(crate) fn row(&self, o: usize) -> &[f64] {
        &self.slopes[o * self.covariates()..][..self.covariates()]
    }

    /// Output `o` at `x`.
    pub(crate) fn at(&self, o: usize, x: &[f64]) -> f64 {
        let terms = self.row(o).iter().zip(x.iter().zip(&self.center));
        self.value[o] + terms.map(|(b, (x, c))| b * (x - c)).sum::<f64>()
    }

    /// All outputs at `x`.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers.
    pub(crate) fn evaluate(&self, x: &[f64]) -> Vec<f64> {
        assert_eq!(x.len(), self.covariates(), "a point has one number per covariate");
        (0..self.outputs()).map(|o| self.at(o, x)).collect()
    }

    /// The values at `x = 0`.
    pub(crate) fn intercept(&self) -> Vec<f64> {
        self.evaluate(&vec![0.0; self.covariates()])
    }
}

/// The rows of a block, one column after the other, each padded to whole [`LANES`].
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    data: Vec<f64>,
}

impl Columns {
    /// Room for `d` columns.
    pub(crate) fn new(d: usize) -> Self {
        Self { data: vec![0.0; d * BLOCK_STRIDE] }
    }

    /// Takes over the rows; the padding counts as zero.
    pub(crate) fn load(&mut self, rows: Rows<'_>) {
        let (n, padded) = (rows.len(), rows.len().next_multiple_of(LANES));
        let (data, row_stride, column_stride) = rows.raw();
        for (j, column) in self.data.chunks_exact_mut(BLOCK_STRIDE).enumerate().take(rows.d()) {
            for (i, to) in column[..n].iter_mut().enumerate() {
                *to = data[i * row_stride + j * column_stride];
            }
            column[n..padded].fill(0.0);
        }
    }

    /// The first `n` numbers of column `j`.
    pub(crate) fn column(&self, j: usize, n: usize) -> &[f64] {
        &self.data[j * BLOCK_STRIDE..][..n]
    }

    /// The same for change.
    pub(crate) fn column_mut(&mut self, j: usize, n: usize) -> &mut [f64] {
        &mut self.data[j * BLOCK_STRIDE..][..n]
    }

    /// Columns before `before`, and the first `n` numbers of column `j` behind them for change.
    pub(crate) fn split_mut(
        &mut self,
        before: usize,
        j: usize,
        n: usize,
    ) -> (ColumnsRef<'_>, &mut [f64]) {
        let (head, tail) = self.data.split_at_mut(before * BLOCK_STRIDE);
        (ColumnsRef { data: head }, &mut tail[(j - before) * BLOCK_STRIDE..][..n])
    }

    /// The first `n` numbers of some columns, all different.
    pub(crate) fn disjoint_mut<const N: usize>(
        &mut self,
        places: [usize; N],
        n: usize,
    ) -> [&mut [f64]; N] {
        let (columns, _) = self.data.as_chunks_mut::<BLOCK_STRIDE>();
        let columns = columns.get_disjoint_mut(places).expect("different columns");
        columns.map(|column| &mut column[..n])
    }

    /// The rows `start .. start + LANES` of column `j`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of kernels compiled for an instruction set")]
    pub(crate) fn lanes(&self, j: usize, start: usize) -> &[f64] {
        &self.data[j * BLOCK_STRIDE + start..][..LANES]
    }
}

/// Some columns of a block, read-only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnsRef<'a> {
    data: &'a [f64],
}

impl ColumnsRef<'_> {
    /// The first `n` numbers of column `j`.
    pub(crate) fn column(&self, j: usize, n: usize) -> &[f64] {
        &self.data[j * BLOCK_STRIDE..][..n]
    }
}

/// `Σx`, in eight running sums.
#[inline(always)]
#[allow(clippy::inline_always, reason = "part of kernels compiled for an instruction set")]
pub(crate) fn total(x: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for x in chunks {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += x;
    }
    sums.iter().sum()
}

/// `Σxy`, in eight running sums.
#[inline(always)]
#[allow(clippy::inline_always, reason = "part of kernels compiled for an instruction set")]
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    for (sum, (x, y)) in sums.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *sum += x * y;
    }
    sums.iter().sum()
}
