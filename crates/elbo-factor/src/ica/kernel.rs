//! Scores of sources, several rows side by side.

#![allow(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched entry point is compiled without its target features"
)]

use elbo_linalg::{Kernel, Simd};

/// Factors of a product of numbers between 1 and 2 before it may overflow.
const PRODUCT: usize = 512;

/// Sums over the values of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// `Σw (1 − tanh² y)`.
    pub(crate) slope: f64,
    /// `Σw y²`.
    pub(crate) square: f64,
    /// `Σw ln cosh y`.
    pub(crate) log_cosh: f64,
}

/// `y ← y − offset`, `w tanh y` beside it, and the sums.
pub(crate) struct Score<'a> {
    pub(crate) values: &'a mut [f64],
    pub(crate) tanh: &'a mut [f64],
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) offset: f64,
}

impl Kernel for Score<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run<S: Simd>(self) -> Sums {
        let Self { values, tanh, weights, offset } = self;
        let (zero, one) = (S::splat(0.0), S::splat(1.0));
        let [mut slope, mut square, mut size, mut logs] = [zero; 4];
        let (mut product, mut factors) = (one, 0);
        let n = values.len();
        for start in (0..n).step_by(S::LANES) {
            // lanes beyond the end are at the offset, with weight zero
            let y = S::load_or(&values[start..], offset) - S::splat(offset);
            let w = match weights {
                Some(weights) => S::load_or(&weights[start..], 0.0),
                None => one,
            };
            let w = if start + S::LANES > n {
                // what lies beyond the end
                let mut inside = [0.0; elbo_linalg::MAX_LANES];
                inside[..n - start].fill(1.0);
                w * S::load(&inside)
            } else {
                w
            };
            let absolute = y.max(zero - y);
            let e = (absolute * S::splat(-2.0)).exp();
            let sum = one + e;
            let t = (one - e) / sum;
            slope = (w - w * t * t) + slope;
            square = (w * y).mul_add(y, square);
            size = w.mul_add(absolute, size);
            if weights.is_some() {
                logs = w.mul_add(sum.ln(), logs);
            } else {
                // lanes beyond the end are at y = 0, where this is 2
                product = product * sum;
                factors += 1;
                if factors == PRODUCT || start + S::LANES >= n {
                    logs += product.ln();
                    (product, factors) = (one, 0);
                }
            }
            let signed = S::select(y.lt(zero), zero - t, t) * w;
            y.store_head(&mut values[start..]);
            signed.store_head(&mut tanh[start..]);
        }
        let beyond = if weights.is_some() { 0 } else { n.next_multiple_of(S::LANES) - n };
        let total: f64 = match weights {
            Some(weights) => weights.iter().sum(),
            None => n as f64,
        };
        let log_cosh = size.sum() + logs.sum() - std::f64::consts::LN_2 * (total + beyond as f64);
        Sums { slope: slope.sum(), square: square.sum(), log_cosh }
    }
}
