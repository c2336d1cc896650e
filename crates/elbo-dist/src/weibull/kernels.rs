//! Scores and sums of Weibull variables, for all components of a block.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_core::{Matrix, MatrixMut, add_scaled};
use elbo_linalg::{Kernel, Level, Simd};

use super::WeibullStats;
use crate::deviance::{deviances, logs};

/// `k` Weibull distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct WeibullPacked {
    pub(super) components: Vec<Component>,
}

/// One component: `log_shape − ln x + z − e^z`, `z = shape · ln(x / scale)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Component {
    pub(super) shape: f64,
    pub(super) scale: f64,
    log_shape: f64,
}

impl Component {
    pub(super) fn new(shape: f64, scale: f64) -> Self {
        Self { shape, scale, log_shape: shape.ln() }
    }

    /// `ln p(x)` at one point; −∞ outside the support, 0 for NaN.
    pub(super) fn score(&self, x: f64) -> f64 {
        if x.is_nan() {
            return 0.0;
        }
        if !(x > 0.0 && x < f64::INFINITY) {
            return f64::NEG_INFINITY;
        }
        let v = (x - self.scale) / self.scale;
        let log_ratio = if v.abs() < 0.25 { v.ln_1p() } else { x.ln() - self.scale.ln() };
        let z = self.shape * log_ratio;
        self.log_shape - x.ln() + z - z.exp()
    }
}

/// The point `z = k ln(x/λ)`, in every lane.
#[derive(Clone, Copy)]
struct Place<S> {
    shape: S,
    scale: S,
    log_scale: S,
}

impl<S: Simd> Place<S> {
    #[inline(always)]
    fn new(shape: f64, scale: f64) -> Self {
        Self {
            shape: S::splat(shape),
            scale: S::splat(scale),
            log_scale: S::splat(scale.ln()),
        }
    }

    #[inline(always)]
    fn z(&self, x: S, log_x: S) -> S {
        let (v, log) = ((x - self.scale) / self.scale, log_x - self.log_scale);
        self.shape * logs(v, deviances(v, log), log)
    }
}

/// `out[j, i] = ln p(xᵢ)`. Missing rows score 0, those outside the support −∞.
pub(super) fn score_all(packed: &WeibullPacked, x: &[f64], log_x: &[f64], mut out: MatrixMut<'_>) {
    for (j, component) in packed.components.iter().enumerate() {
        Level::detect().dispatch(Score { component, x, log_x, out: out.row_mut(j) });
    }
}

struct Score<'a> {
    component: &'a Component,
    x: &'a [f64],
    log_x: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let place = Place::<S>::new(self.component.shape, self.component.scale);
        let log_shape = S::splat(self.component.log_shape);
        let impossible = S::splat(f64::NEG_INFINITY);
        for (i, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let at = i * S::LANES;
            let x = S::load_or(&self.x[at..], f64::NAN);
            let log_x = S::load_or(&self.log_x[at..], f64::NAN);
            let z = place.z(x, log_x);
            let score = (log_shape - log_x) + z - z.exp();
            let score = S::select(S::splat(0.0).lt(x), score, impossible);
            let score = S::select(x.lt(S::splat(f64::INFINITY)), score, impossible);
            // what is missing says nothing
            S::select(x.ge(impossible), score, S::splat(0.0)).store_head(out);
        }
    }
}

/// `stats[j] += Σᵢ weights[j, i] · t(xᵢ)` of what is not missing.
pub(super) fn observe_all(
    stats: &mut [WeibullStats],
    x: &[f64],
    log_x: &[f64],
    weights: Matrix<'_>,
) {
    for (j, stats) in stats.iter_mut().enumerate() {
        let origin = stats.origin();
        let sums = Level::detect().dispatch(Observe { origin, x, log_x, weights: weights.row(j) });
        add_scaled(&mut stats.sums, 1.0, &sums);
    }
}

struct Observe<'a> {
    origin: (f64, f64),
    x: &'a [f64],
    log_x: &'a [f64],
    weights: &'a [f64],
}

impl Kernel for Observe<'_> {
    type Output = [f64; 6];

    /// `Σw` times 1, `z`, `e^z`, `z e^z`, `z² e^z` and `e^2z`. A row of weight zero counts for nothing, whatever it holds.
    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; 6] {
        let place = Place::<S>::new(self.origin.0, self.origin.1);
        let (zero, infinite) = (S::splat(0.0), S::splat(f64::NEG_INFINITY));
        let mut sums = [zero; 6];
        for (i, weights) in self.weights.chunks(S::LANES).enumerate() {
            let at = i * S::LANES;
            let x = S::load_or(&self.x[at..], f64::NAN);
            let z = place.z(x, S::load_or(&self.log_x[at..], f64::NAN));
            let w = S::select(x.ge(infinite), S::load_or(weights, 0.0), zero);
            let z = S::select(zero.lt(w), z, zero);
            let power = z.exp();
            let weighted = w * power;
            sums[0] += w;
            sums[1] = w.mul_add(z, sums[1]);
            sums[2] += weighted;
            sums[3] = weighted.mul_add(z, sums[3]);
            sums[4] = weighted.mul_add(z * z, sums[4]);
            sums[5] = weighted.mul_add(power, sums[5]);
        }
        sums.map(S::sum)
    }
}
