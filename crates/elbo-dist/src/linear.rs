//! Scores that are linear in features of a row: what exponential families of vectors have in common.

use elbo_core::{BLOCK, Batch, DataError, MatrixMut, Rows};

/// `k` components that score a row by `constantⱼ + Σ_f coefficient[f, j] · t_f(x)`.
///
/// Features come one at a time, each for a whole block of rows, so that the loops run over rows and no scratch grows
/// with the number of features.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Linear {
    constants: Vec<f64>,
    /// Feature after feature, `k` numbers each.
    coefficients: Vec<f64>,
}

impl Linear {
    /// Room for `k` components with this many features.
    pub(crate) fn new(k: usize, features: usize) -> Self {
        assert!(k > 0, "at least one component is needed");
        Self { constants: vec![0.0; k], coefficients: vec![0.0; k * features] }
    }

    pub(crate) fn k(&self) -> usize {
        self.constants.len()
    }

    pub(crate) fn features(&self) -> usize {
        self.coefficients.len() / self.k()
    }

    /// Overwrites component `j`.
    pub(crate) fn set(&mut self, j: usize, constant: f64, coefficients: impl Iterator<Item = f64>) {
        let k = self.k();
        let mut set = 0;
        self.constants[j] = constant;
        for (cells, coefficient) in self.coefficients.chunks_exact_mut(k).zip(coefficients) {
            cells[j] = coefficient;
            set += 1;
        }
        assert_eq!(set, self.features(), "another number of features");
    }

    /// Begins a block: every row has the constants.
    pub(crate) fn start(&self, out: &mut MatrixMut<'_>) {
        for (j, constant) in self.constants.iter().enumerate() {
            out.row_mut(j).fill(*constant);
        }
    }

    /// Adds a feature's part. A coefficient of `−∞` (a category that cannot be) makes rows impossible in which the
    /// feature is not zero, and touches no others.
    pub(crate) fn add(&self, feature: usize, values: &[f64], out: &mut MatrixMut<'_>) {
        let k = self.k();
        for (j, coefficient) in self.coefficients[feature * k..][..k].iter().enumerate() {
            let row = out.row_mut(j).iter_mut().zip(values);
            if *coefficient == f64::NEG_INFINITY {
                row.filter(|(_, x)| **x != 0.0).for_each(|(out, _)| *out = f64::NEG_INFINITY);
            } else {
                row.for_each(|(out, x)| *out += coefficient * x);
            }
        }
    }
}

/// Adds the same numbers to the scores of all components: what no parameter touches.
pub(crate) fn add_base(base: &[f64], out: &mut MatrixMut<'_>) {
    for j in 0..out.rows() {
        out.row_mut(j).iter_mut().zip(base).for_each(|(out, base)| *out += base);
    }
}

/// A column of a block, one number after the other.
pub(crate) fn gather<'s>(data: Rows<'_>, column: usize, to: &'s mut [f64; BLOCK]) -> &'s mut [f64] {
    let (numbers, row_stride, column_stride) = data.raw();
    let to = &mut to[..data.len()];
    let column = numbers.get(column * column_stride..).unwrap_or_default(); // no rows, no numbers
    for (to, from) in to.iter_mut().zip(column.iter().step_by(row_stride.max(1))) {
        *to = *from;
    }
    to
}

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// `Σwx`. A weight of zero counts for nothing, whatever the `x`.
pub(crate) fn weighted_sum(values: &[f64], weights: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let product = |x: f64, w: f64| if w == 0.0 { 0.0 } else { w * x };
    let (rows, weight_rows) = (values.chunks_exact(LANES), weights.chunks_exact(LANES));
    for (lane, (x, w)) in rows.remainder().iter().zip(weight_rows.remainder()).enumerate() {
        sums[lane] += product(*x, *w);
    }
    for (x, w) in rows.zip(weight_rows) {
        for lane in 0..LANES {
            sums[lane] += product(x[lane], w[lane]);
        }
    }
    sums.iter().sum()
}

/// Refuses rows of another width.
pub(crate) fn check_width(data: Rows<'_>, expected: usize) -> Result<(), DataError> {
    if data.d() == expected {
        Ok(())
    } else {
        Err(DataError::Dimension { expected, found: data.d() })
    }
}

/// Refuses the first number for which `fits` is false.
pub(crate) fn check_entries(
    data: Rows<'_>,
    needed: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Result<(), DataError> {
    if data.all(|x| x.is_finite() & fits(x)) {
        return Ok(());
    }
    for row in 0..data.len() {
        for column in 0..data.d() {
            let value = data.get(row, column);
            if !value.is_finite() {
                return Err(DataError::NotFinite { row, column, value });
            }
            if !fits(value) {
                return Err(DataError::Support { row, column, value, needed });
            }
        }
    }
    Ok(())
}
