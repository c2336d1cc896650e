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
/// | `block` | `k × n` | one component per row, rows `stride` apart | `ln πⱼ + ln p(xᵢ ∣ θⱼ)`, nats | `γᵢⱼ` |
/// | `thresholds` | `k` | | smallest share kept, per component | unchanged |
/// | `log_normalizers` | `n` | | anything | `ln Σⱼ exp block[j, i]`, nats |
///
/// A responsibility below its component's threshold becomes exactly 0; a threshold of 0 keeps all.
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
/// - [`SoftmaxError::NotFinite`]: a number of the column is NaN or `+∞`.
///
/// # Panics
///
/// If `k` is 0, `stride < n`, `block` is shorter than `(k − 1) · stride + n`, `thresholds` has not
/// `k` numbers or `log_normalizers` not `n`.
///
/// # Source
///
/// Responsibilities: Bishop (2006) eq. 9.23. Shifted log-sum-exp: Blanchard, Higham & Higham (2021),
/// IMA J. Numer. Anal. 41(4).
pub fn softmax_columns(
    block: &mut [f64],
    k: usize,
    n: usize,
    stride: usize,
    thresholds: &[f64],
    log_normalizers: &mut [f64],
) -> Result<f64, SoftmaxError> {
    softmax_columns_at(Level::detect(), block, k, n, stride, thresholds, log_normalizers)
}

/// Why a column has no responsibilities.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
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
    k: usize,
    n: usize,
    stride: usize,
    thresholds: &[f64],
    log_normalizers: &mut [f64],
) -> Result<f64, SoftmaxError> {
    assert!(
        k > 0 && stride >= n && block.len() >= (k - 1) * stride + n,
        "{} numbers are no {k} × {n} block with stride {stride}",
        block.len()
    );
    assert_eq!(thresholds.len(), k, "{} thresholds for k = {k}", thresholds.len());
    assert_eq!(log_normalizers.len(), n, "{} normalizers for n = {n}", log_normalizers.len());
    if n == 0 {
        return Ok(0.0);
    }
    level.dispatch(SoftmaxColumns { block, stride, thresholds, log_normalizers })
}

/// Works through strips of a few vectors of columns, whose maxima and sums stay in registers.
struct SoftmaxColumns<'a> {
    block: &'a mut [f64],
    stride: usize,
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
            let (finite, width) = if column + wide <= n {
                (self.strip::<S, STRIP>(column, wide), wide)
            } else {
                let width = S::LANES.min(n - column);
                (self.strip::<S, 1>(column, width), width)
            };
            if !finite {
                return Err(self.reason(column));
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
const STRIP: usize = 4;

impl SoftmaxColumns<'_> {
    /// `W` vectors of columns from `column` on, of which `width` columns exist; whether all
    /// normalizers are finite.
    #[inline(always)]
    fn strip<S: Simd, const W: usize>(&mut self, column: usize, width: usize) -> bool {
        let zero = S::splat(0.0);
        let mut largest = [S::splat(f64::NEG_INFINITY); W];
        for row in self.block.chunks(self.stride) {
            let cells = &row[column..column + width];
            for v in 0..W {
                largest[v] = S::load_or(&cells[v * S::LANES..], 0.0).max(largest[v]);
            }
        }
        let mut sum = [zero; W];
        for row in self.block.chunks_mut(self.stride) {
            let cells = &mut row[column..column + width];
            for v in 0..W {
                let cells = &mut cells[v * S::LANES..];
                let share = (S::load_or(cells, 0.0) - largest[v]).exp(); // ≤ 1, once = 1
                sum[v] += share;
                share.store_head(cells);
            }
        }
        let mut scale = [zero; W];
        let mut finite = 0;
        let normalizers = &mut self.log_normalizers[column..column + width];
        for v in 0..W {
            let normalizer = largest[v] + sum[v].ln();
            normalizer.store_head(&mut normalizers[v * S::LANES..]);
            scale[v] = S::splat(1.0) / sum[v];
            // ∞ − ∞ is NaN, and NaN is not ≥ 0.
            finite += S::mask_bits((normalizer - normalizer).ge(zero)).count_ones() as usize;
        }
        for (row, threshold) in self.block.chunks_mut(self.stride).zip(self.thresholds) {
            let cells = &mut row[column..column + width];
            for v in 0..W {
                let cells = &mut cells[v * S::LANES..];
                let share = S::load_or(cells, 0.0) * scale[v];
                S::select(share.lt(S::splat(*threshold)), zero, share).store_head(cells);
            }
        }
        finite == W * S::LANES
    }
}
