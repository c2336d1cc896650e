//! Elementary functions over slices, and the two normalizations that every E-step needs.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use crate::simd::{Kernel, Level, Simd};

/// Replaces every number by `eˣ`, within 2 units in the last place.
///
/// `−∞` gives 0, numbers above 709.78 give `∞`, NaN stays NaN.
/// About 25 vector instructions per vector of numbers, no branches, no allocation.
pub fn exp_in_place(x: &mut [f64]) {
    Level::detect().dispatch(ExpInPlace(x));
}

/// Writes `eˣ` of every number into `out`; otherwise like [`exp_in_place`].
///
/// # Panics
///
/// If the lengths differ.
pub fn exp_into(x: &[f64], out: &mut [f64]) {
    assert_eq!(x.len(), out.len(), "x has {} numbers, out {}", x.len(), out.len());
    out.copy_from_slice(x);
    exp_in_place(out);
}

/// Replaces every number by `ln x`, within 2 units in the last place.
///
/// ±0 gives `−∞`, negative numbers and NaN give NaN, `∞` gives `∞`; subnormal numbers are exact inputs
/// like any other. About 40 vector instructions and a division per vector of numbers, no allocation.
pub fn ln_in_place(x: &mut [f64]) {
    Level::detect().dispatch(LnInPlace(x));
}

/// Writes `ln x` of every number into `out`; otherwise like [`ln_in_place`].
///
/// # Panics
///
/// If the lengths differ.
pub fn ln_into(x: &[f64], out: &mut [f64]) {
    assert_eq!(x.len(), out.len(), "x has {} numbers, out {}", x.len(), out.len());
    out.copy_from_slice(x);
    ln_in_place(out);
}

/// `ln Σᵢ eˣⁱ`, without overflow.
///
/// Shifted by the largest number. An empty slice, and one that is all `−∞`, give `−∞`; `∞` gives `∞`;
/// NaN anywhere gives NaN. Cost: one exponential per number, two passes, no allocation.
///
/// ```
/// let log_joint = [-1000.0, -1000.0];
/// assert!((elbo_linalg::log_sum_exp(&log_joint) - (-1000.0 + 2_f64.ln())).abs() < 1e-12);
/// ```
///
/// # Source
///
/// Blanchard, Higham & Higham (2021), IMA J. Numer. Anal. 41(4).
pub fn log_sum_exp(x: &[f64]) -> f64 {
    Level::detect().dispatch(LogSumExp(x))
}

/// Turns log joint densities into responsibilities, in place; returns the log-likelihood.
///
/// | argument | shape | layout | on entry | on exit |
/// |---|---|---|---|---|
/// | `block` | `k × n` | one component per row, rows `stride` apart | `ln p(xᵢ ∣ θⱼ)`, nats | `γᵢⱼ` |
/// | `log_weights` | `k` | | `ln πⱼ`, added to row `j`; `−∞` is allowed | unchanged |
/// | `thresholds` | `k` | | smallest share kept, per component | unchanged |
/// | `log_normalizers` | `n` | | anything | `ln Σⱼ exp(log_weights[j] + block[j, i])`, nats |
///
/// A responsibility below its component's threshold becomes exactly 0; a threshold of 0 keeps all down to `e⁻⁷⁰⁰` of the
/// largest.
/// With thresholds of `2⁻⁵³` and less what is dropped vanishes in the sum of the column, which is 1
/// within `k` units in the last place; the normalizers never depend on thresholds.
///
/// Returns `Σᵢ log_normalizers[i]`. Numbers of a row beyond its first `n` are neither read nor written.
/// Cost: `k·n` exponentials and `n` logarithms, three passes over each column, no allocation.
/// A stride that is a power of two slows this down, as all rows then share a few cache sets:
/// for blocks of 256 columns a stride of 264 is good.
///
/// # Errors
///
/// The first column in question is reported; `block` and `log_normalizers` are then unspecified.
///
/// - [`SoftmaxError::Impossible`]: the column is all `−∞`.
/// - [`SoftmaxError::NotFinite`]: a number of the column, or a weight, is NaN or `+∞`.
///
/// # Panics
///
/// If `k` is 0, `stride < n`, `block` is shorter than `(k − 1) · stride + n`, or `thresholds` has not
/// `k` numbers.
///
/// # Source
///
/// Responsibilities: Bishop (2006) eq. 9.23. Shifted log-sum-exp: Blanchard, Higham & Higham (2021),
/// IMA J. Numer. Anal. 41(4).
pub fn softmax_columns(
    block: &mut [f64],
    stride: usize,
    log_weights: &[f64],
    thresholds: &[f64],
    log_normalizers: &mut [f64],
) -> Result<f64, SoftmaxError> {
    softmax_columns_at(Level::detect(), block, stride, log_weights, thresholds, log_normalizers)
}

/// Adds `Σᵢ block[j, i]` to each `sums[j]`; `block` is `k × n`, rows `stride` apart, with one sum for each of the `k` rows.
///
/// Each row is summed in lanes, so that the last bits depend on the instruction set.
///
/// # Panics
///
/// If `stride < n`, or `block` is shorter than `(k − 1) · stride + n`.
pub fn add_row_sums(block: &[f64], stride: usize, n: usize, sums: &mut [f64]) {
    assert!(
        stride >= n && (sums.is_empty() || block.len() >= (sums.len() - 1) * stride + n),
        "{} numbers are no {} × {n} block with stride {stride}",
        block.len(),
        sums.len()
    );
    if n > 0 {
        Level::detect().dispatch(AddRowSums { block, stride, n, sums });
    }
}

struct AddRowSums<'a> {
    block: &'a [f64],
    stride: usize,
    n: usize,
    sums: &'a mut [f64],
}

impl Kernel for AddRowSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let wide = 4 * S::LANES;
        for (row, sum) in self.block.chunks(self.stride).zip(self.sums) {
            let mut sums = [S::splat(0.0); 4];
            let mut chunks = row[..self.n].chunks_exact(wide);
            for chunk in &mut chunks {
                for (sum, lanes) in sums.iter_mut().zip(chunk.chunks_exact(S::LANES)) {
                    *sum += S::load(lanes);
                }
            }
            for lanes in chunks.remainder().chunks(S::LANES) {
                sums[0] += S::load_or(lanes, 0.0);
            }
            *sum += ((sums[0] + sums[1]) + (sums[2] + sums[3])).sum();
        }
    }
}

/// Why a column has no responsibilities.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SoftmaxError {
    /// Every component gives the observation density zero.
    #[error("column {column} is −∞ in every component: the observation is impossible")]
    Impossible {
        /// Index of the observation within the block.
        column: usize,
    },
    /// A log joint density is NaN or `+∞`.
    #[error("component {component} gives column {column} a log density of {value}")]
    NotFinite {
        /// Index of the observation within the block.
        column: usize,
        /// The first component in question.
        component: usize,
        /// What it gives.
        value: f64,
    },
}

struct ExpInPlace<'a>(&'a mut [f64]);

impl Kernel for ExpInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut chunks = self.0.chunks_exact_mut(S::LANES);
        for lanes in &mut chunks {
            S::load(lanes).exp().store(lanes);
        }
        let rest = chunks.into_remainder();
        S::load_or(rest, 0.0).exp().store_head(rest);
    }
}

struct LnInPlace<'a>(&'a mut [f64]);

impl Kernel for LnInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut chunks = self.0.chunks_exact_mut(S::LANES);
        for lanes in &mut chunks {
            S::load(lanes).ln().store(lanes);
        }
        let rest = chunks.into_remainder();
        S::load_or(rest, 1.0).ln().store_head(rest);
    }
}

struct LogSumExp<'a>(&'a [f64]);

impl Kernel for LogSumExp<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        let mut largest = S::splat(f64::NEG_INFINITY);
        for lanes in self.0.chunks(S::LANES) {
            largest = S::load_or(lanes, f64::NEG_INFINITY).max(largest); // skips NaN
        }
        let mut lanes = [f64::NEG_INFINITY; crate::simd::MAX_LANES];
        largest.store(&mut lanes);
        let largest = lanes.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let shift = if largest.is_finite() { largest } else { 0.0 };

        let mut sum = S::splat(0.0);
        for lanes in self.0.chunks(S::LANES) {
            sum += (S::load_or(lanes, f64::NEG_INFINITY) - S::splat(shift)).exp();
        }
        S::splat(sum.sum()).ln().store(&mut lanes);
        shift + lanes[0]
    }
}

fn softmax_columns_at(
    level: Level,
    block: &mut [f64],
    stride: usize,
    log_weights: &[f64],
    thresholds: &[f64],
    log_normalizers: &mut [f64],
) -> Result<f64, SoftmaxError> {
    let (k, n) = (log_weights.len(), log_normalizers.len());
    assert!(
        k > 0 && stride >= n && block.len() >= (k - 1) * stride + n,
        "{} numbers are no {k} × {n} block with stride {stride}",
        block.len()
    );
    assert_eq!(thresholds.len(), k, "{} thresholds for k = {k}", thresholds.len());
    if n == 0 {
        return Ok(0.0);
    }
    let block = &mut block[..(k - 1) * stride + n];
    level.dispatch(SoftmaxColumns { block, stride, log_weights, thresholds, log_normalizers })
}

/// Works through strips of a few vectors of columns, whose maxima and sums stay in registers.
struct SoftmaxColumns<'a> {
    block: &'a mut [f64],
    stride: usize,
    log_weights: &'a [f64],
    thresholds: &'a [f64],
    log_normalizers: &'a mut [f64],
}

impl Kernel for SoftmaxColumns<'_> {
    type Output = Result<f64, SoftmaxError>;

    #[inline(always)]
    fn run<S: Simd>(mut self) -> Result<f64, SoftmaxError> {
        let n = self.log_normalizers.len();
        let wide = STRIP * S::LANES;
        let mut column = 0;
        while column < n {
            let width = if column + wide <= n { wide } else { S::LANES.min(n - column) };
            let proper = if width == wide {
                self.strip::<S, STRIP>(column, wide)
            } else {
                self.strip::<S, 1>(column, width)
            };
            if !proper {
                return Err(self.reason(column, width));
            }
            column += width;
        }
        let mut total = S::splat(0.0);
        for lanes in self.log_normalizers.chunks(S::LANES) {
            total += S::load_or(lanes, 0.0);
        }
        Ok(total.sum())
    }
}

/// Vectors of columns side by side in [`SoftmaxColumns`].
const STRIP: usize = 2;

/// Shares below `e` to this are 0.
const LEAST: f64 = -700.0;

impl SoftmaxColumns<'_> {
    /// Normalizes `W` vectors of columns from `column` on, of which `width` columns exist.
    ///
    /// Returns false, with the numbers still telling why, if a column cannot be normalized.
    #[inline(always)]
    fn strip<S: Simd, const W: usize>(&mut self, column: usize, width: usize) -> bool {
        let zero = S::splat(0.0);
        let mut largest = [S::splat(f64::NEG_INFINITY); W];
        for (row, log_weight) in self.block.chunks(self.stride).zip(self.log_weights) {
            let (cells, log_weight) = (&row[column..column + width], S::splat(*log_weight));
            for v in 0..W {
                let joint = S::load_or(&cells[v * S::LANES..], 0.0) + log_weight;
                largest[v] = joint.max(largest[v]); // skips NaN
            }
        }
        let mut proper = true;
        for largest in largest {
            proper &= holds_in_all::<S>(S::splat(f64::NEG_INFINITY).lt(largest));
            proper &= holds_in_all::<S>(largest.lt(S::splat(f64::INFINITY)));
        }
        if !proper {
            return false;
        }

        let mut sum = [zero; W];
        for (row, log_weight) in self.block.chunks_mut(self.stride).zip(self.log_weights) {
            let (cells, log_weight) = (&mut row[column..column + width], S::splat(*log_weight));
            for v in 0..W {
                let cells = &mut cells[v * S::LANES..];
                let joint = S::load_or(cells, 0.0) + log_weight;
                let below = joint - largest[v];
                // ≤ 1, and once = 1; never subnormal, which is slow on some CPUs; NaN passes
                let share = S::splat(LEAST).max(below).exp();
                let share = S::select(below.lt(S::splat(LEAST)), zero, share);
                sum[v] += share;
                share.store_head(cells);
            }
        }
        for sum in sum {
            proper &= holds_in_all::<S>(sum.ge(zero)); // false where a share is NaN
        }
        if !proper {
            return false;
        }

        let mut scale = [zero; W];
        let normalizers = &mut self.log_normalizers[column..column + width];
        for v in 0..W {
            (largest[v] + sum[v].ln()).store_head(&mut normalizers[v * S::LANES..]);
            scale[v] = S::splat(1.0) / sum[v];
        }
        for (row, threshold) in self.block.chunks_mut(self.stride).zip(self.thresholds) {
            let cells = &mut row[column..column + width];
            for v in 0..W {
                let cells = &mut cells[v * S::LANES..];
                let share = S::load_or(cells, 0.0) * scale[v];
                S::select(share.lt(S::splat(*threshold)), zero, share).store_head(cells);
            }
        }
        true
    }

    /// What is wrong with the first bad column of a strip.
    #[cold]
    fn reason(&self, first: usize, width: usize) -> SoftmaxError {
        for column in first..first + width {
            let joint = |(row, log_weight): (&[f64], &f64)| row[column] + log_weight;
            let mut cells =
                self.block.chunks(self.stride).zip(self.log_weights).map(joint).enumerate();
            if let Some((component, value)) =
                cells.clone().find(|(_, value)| value.is_nan() || *value == f64::INFINITY)
            {
                return SoftmaxError::NotFinite { column, component, value };
            }
            if cells.all(|(_, value)| value == f64::NEG_INFINITY) {
                return SoftmaxError::Impossible { column };
            }
        }
        unreachable!("every column from {first} to {} can be normalized", first + width - 1)
    }
}

#[inline(always)]
fn holds_in_all<S: Simd>(mask: S::Mask) -> bool {
    S::mask_bits(mask).count_ones() as usize == S::LANES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number in `[-1, 1)` for each index, spread evenly.
    fn spread(index: usize) -> f64 {
        let bits = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        bits as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// `ln Σ eˣ` in the plain order, shifted by the maximum.
    fn plain_log_sum_exp(x: &[f64]) -> f64 {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
    }

    #[test]
    fn slices_of_every_length_are_covered() {
        for level in Level::available() {
            for length in 0..40 {
                let x: Vec<f64> = (0..length).map(|i| 20.0 * spread(i)).collect();
                let mut y = x.clone();
                level.dispatch(ExpInPlace(&mut y));
                for (y, x) in y.iter().zip(&x) {
                    assert!((y - x.exp()).abs() <= 4.0 * f64::EPSILON * y, "{level}, {length}");
                }
                level.dispatch(LnInPlace(&mut y));
                for (y, x) in y.iter().zip(&x) {
                    // A relative error of 2 ulp of exp is an absolute one of its logarithm.
                    let bound = f64::EPSILON * (2.0 + 2.0 * x.abs());
                    assert!((y - x).abs() <= bound, "{level}, {length}: {y} {x}");
                }
            }
        }
    }

    #[test]
    fn row_sums_agree_with_plain_sums() {
        for level in Level::available() {
            for n in [0, 1, 3, 8, 31, 32, 33, 100] {
                let (k, stride) = (3, n + 5);
                let block: Vec<f64> = (0..k * stride).map(spread).collect();
                let mut sums = vec![0.5; k];
                level.dispatch(AddRowSums { block: &block, stride, n, sums: &mut sums });
                for (row, sum) in block.chunks(stride).zip(sums) {
                    let plain = 0.5 + row[..n].iter().sum::<f64>();
                    // two orders of n + 1 numbers below 1
                    assert!(
                        (sum - plain).abs() <= (n * n + 1) as f64 * f64::EPSILON,
                        "{level} {n}"
                    );
                }
            }
        }
    }

    #[test]
    fn log_sum_exp_agrees_with_the_plain_sum() {
        for level in Level::available() {
            for length in [1, 2, 3, 7, 8, 9, 64, 1001] {
                for offset in [0.0, -1e5, 700.0] {
                    let x: Vec<f64> = (0..length).map(|i| offset + 30.0 * spread(i)).collect();
                    let (fast, plain) = (level.dispatch(LogSumExp(&x)), plain_log_sum_exp(&x));
                    // Terms 2 ulp, their sum `length` roundings, then the shift is added back.
                    let terms = length as f64;
                    let bound = f64::EPSILON * (3.0 + terms + 2.0 * plain.abs());
                    assert!((fast - plain).abs() <= bound, "{level}, {length}: {fast} {plain}");
                }
            }
        }
    }

    #[test]
    fn log_sum_exp_of_infinities_and_nan() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for level in Level::available() {
            let lse = |x: &[f64]| level.dispatch(LogSumExp(x)).to_bits();
            assert_eq!(lse(&[]), (-inf).to_bits());
            assert_eq!(lse(&[-inf; 11]), (-inf).to_bits());
            assert_eq!(lse(&[0.0, inf, -inf]), inf.to_bits());
            assert_eq!(lse(&[-inf, 0.5, -inf]), 0.5_f64.to_bits());
            for length in 1..12 {
                let mut x = vec![-1.0; length];
                for position in 0..length {
                    x[position] = nan;
                    x[length - 1 - position] += inf;
                    assert!(level.dispatch(LogSumExp(&x)).is_nan());
                    x.fill(-1.0);
                }
            }
        }
    }

    #[test]
    fn columns_agree_with_the_scalar_softmax() {
        const STRAY: f64 = 7e77; // whatever lies between rows stays there
        for level in Level::available() {
            for (k, n, stride) in
                [(1, 1, 1), (2, 7, 7), (3, 8, 11), (5, 33, 40), (7, 71, 73), (16, 256, 264)]
            {
                let scores: Vec<f64> = (0..k * n).map(|i| 60.0 * spread(i) - 1e4).collect();
                let thresholds: Vec<f64> = (0..k).map(|j| [0.0, 1e-9, 0.3][j % 3]).collect();
                let mut block = vec![STRAY; k * stride];
                for j in 0..k {
                    block[j * stride..j * stride + n].copy_from_slice(&scores[j * n..(j + 1) * n]);
                }
                let mut normalizers = vec![0.0; n];
                let log_weights: Vec<f64> = (0..k).map(|j| -0.25 * j as f64).collect();
                let total = softmax_columns_at(
                    level,
                    &mut block,
                    stride,
                    &log_weights,
                    &thresholds,
                    &mut normalizers,
                )
                .unwrap();
                let roundings = 8.0 + k as f64;
                for i in 0..n {
                    let column: Vec<f64> =
                        (0..k).map(|j| scores[j * n + i] + log_weights[j]).collect();
                    let expected = plain_log_sum_exp(&column);
                    let bound = f64::EPSILON * (roundings + expected.abs());
                    assert!((normalizers[i] - expected).abs() <= bound, "{level}, {k} × {n}");
                    for j in 0..k {
                        let share = (column[j] - expected).exp();
                        let kept = block[j * stride + i];
                        // The scalar oracle rounds `expected` once at its size of 1e4.
                        let bound = f64::EPSILON * (roundings + expected.abs()) * share;
                        if kept == 0.0 {
                            assert!(share < thresholds[j] + bound, "{level}: {share} was dropped");
                        } else {
                            assert!(kept >= thresholds[j], "{level}: {kept} was kept");
                            assert!((kept - share).abs() <= bound, "{level}: {kept} not {share}");
                        }
                    }
                }
                let sum: f64 = normalizers.iter().sum();
                assert!((total - sum).abs() <= f64::EPSILON * n as f64 * sum.abs());
                for j in 0..k {
                    let between = &block[j * stride + n..(j + 1) * stride];
                    assert!(between.iter().all(|x| x.to_bits() == STRAY.to_bits()));
                }
            }
        }
    }

    #[test]
    fn bad_columns_are_reported() {
        let (inf, k, stride) = (f64::INFINITY, 3, 80);
        for level in Level::available() {
            for n in [1, 5, 33, 75] {
                for bad in [0, n / 2, n - 1] {
                    let run = |fill: &dyn Fn(&mut [f64])| {
                        let mut block = vec![-3.0; k * stride];
                        fill(&mut block);
                        let mut normalizers = vec![0.0; n];
                        let thresholds = [0.0; 3];
                        softmax_columns_at(
                            level,
                            &mut block,
                            stride,
                            &[0.0; 3],
                            &thresholds,
                            &mut normalizers,
                        )
                    };
                    let impossible = run(&|block| {
                        for j in 0..k {
                            block[j * stride + bad] = -inf;
                        }
                    });
                    assert_eq!(impossible, Err(SoftmaxError::Impossible { column: bad }));
                    let infinite = run(&|block| block[stride + bad] = inf);
                    let expected =
                        SoftmaxError::NotFinite { column: bad, component: 1, value: inf };
                    assert_eq!(infinite, Err(expected));
                    // NaN is also found in front of an impossible column.
                    for later in bad..n {
                        let missing = run(&|block| {
                            for j in 0..k {
                                block[j * stride + later] = -inf;
                            }
                            block[2 * stride + bad] = f64::NAN;
                        });
                        assert!(matches!(
                            missing,
                            Err(SoftmaxError::NotFinite { column, component: 2, value })
                                if column == bad && value.is_nan()
                        ));
                    }
                    assert!(run(&|block| block[stride + bad] = -inf).is_ok());
                }
            }
        }
    }
}
