//! Blocks of counts as numbers, their sums, and the terms `x ln p` of their log probabilities.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_core::BLOCK;
use elbo_linalg::{Kernel, Level, Simd};

/// The counts as `f64`.
pub(crate) fn to_f64<'s>(data: &[u64], scratch: &'s mut [f64; BLOCK]) -> &'s [f64] {
    let counts = &mut scratch[..data.len()];
    Level::detect().dispatch(ToF64 { data, counts });
    counts
}

struct ToF64<'a> {
    data: &'a [u64],
    counts: &'a mut [f64],
}

impl Kernel for ToF64<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        for (count, x) in self.counts.iter_mut().zip(self.data) {
            *count = *x as f64;
        }
    }
}

/// Independent partial sums, so that loops run on vectors of numbers.
const LANES: usize = 8;

/// `Σw`, and `Σwx` of each column.
pub(crate) fn weighted_sums<const M: usize>(
    columns: [&[f64]; M],
    weights: &[f64],
) -> (f64, [f64; M]) {
    Level::detect().dispatch(WeightedSums { columns, weights })
}

struct WeightedSums<'a, const M: usize> {
    columns: [&'a [f64]; M],
    weights: &'a [f64],
}

impl<const M: usize> Kernel for WeightedSums<'_, M> {
    type Output = (f64, [f64; M]);

    #[inline(always)]
    fn run<S: Simd>(self) -> (f64, [f64; M]) {
        let (mut total, mut sums) = ([0.0; LANES], [[0.0; LANES]; M]);
        let whole = self.weights.len() / LANES * LANES;
        for start in (0..whole).step_by(LANES) {
            let weights = &self.weights[start..start + LANES];
            for lane in 0..LANES {
                total[lane] += weights[lane];
            }
            for (sums, column) in sums.iter_mut().zip(self.columns) {
                let x = &column[start..start + LANES];
                for lane in 0..LANES {
                    sums[lane] += weights[lane] * x[lane];
                }
            }
        }
        for (lane, i) in (whole..self.weights.len()).enumerate() {
            total[lane] += self.weights[i];
            for (sums, column) in sums.iter_mut().zip(self.columns) {
                sums[lane] += self.weights[i] * column[i];
            }
        }
        (total.iter().sum(), sums.map(|lanes| lanes.iter().sum()))
    }
}

/// `out[i] = Σₘ xₘ[i] · logs[m] + constant + base[i]`, where zero times minus infinity is zero: what did not happen costs
/// nothing.
pub(crate) struct LogPowers<'a, const M: usize> {
    pub(crate) columns: [&'a [f64]; M],
    pub(crate) logs: [f64; M],
    pub(crate) constant: f64,
    pub(crate) base: Option<&'a [f64]>,
    pub(crate) out: &'a mut [f64],
}

impl<const M: usize> LogPowers<'_, M> {
    pub(crate) fn write(self) {
        Level::detect().dispatch(self);
    }
}

impl<const M: usize> Kernel for LogPowers<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let (zero, constant) = (S::splat(0.0), S::splat(self.constant));
        for (i, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let at = i * S::LANES;
            let mut sum = zero;
            for (column, log) in self.columns.iter().zip(self.logs) {
                let x = S::load_or(&column[at..], 0.0);
                sum += S::select(zero.lt(x), x * S::splat(log), zero);
            }
            let score = sum + constant;
            match self.base {
                None => score.store_head(out),
                Some(base) => (score + S::load_or(&base[at..], 0.0)).store_head(out),
            }
        }
    }
}
