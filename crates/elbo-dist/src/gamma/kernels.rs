//! Scores and sums of gamma variables, for all components of a block.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_core::{Matrix, MatrixMut, add_scaled};
use elbo_linalg::{Kernel, Level, Simd};

use super::GammaStats;
use crate::{deviance::{deviance, deviances}, special::gamma_log_peak};

/// `k` gamma distributions, or inverse gammas, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct GammaPacked {
    pub(crate) components: Vec<Component>,
}

impl GammaPacked {
    /// Room for `k` components.
    pub(crate) fn new(k: usize) -> Self {
        Self { components: vec![Component::default(); k] }
    }
}

/// One component: `ln y + ln p(y) = peak − shape · (u − 1 − ln u)`, `u = y / mean`. Nothing cancels, whatever the shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Component {
    shape: f64,
    pub(crate) mean: f64,
    log_mean: f64,
    peak: f64,
}

impl Component {
    /// Shape and mean of `y`.
    pub(crate) fn new(shape: f64, mean: f64) -> Self {
        Self { shape, mean, log_mean: mean.ln(), peak: gamma_log_peak(shape) }
    }

    /// The log density of `ln y` at one point; −∞ outside the support, 0 for NaN.
    pub(crate) fn score_of_log(&self, y: f64) -> f64 {
        if y.is_nan() {
            return 0.0;
        }
        if !(y > 0.0 && y < f64::INFINITY) {
            return f64::NEG_INFINITY;
        }
        self.peak - self.shape * deviance((y - self.mean) / self.mean)
    }
}

/// `out[j, i] = ln p(yᵢ) + ln yᵢ − log_x[i]`: the log density of `x`, where `y` is `x` or `1/x`. Missing rows score 0, those
/// outside the support −∞.
pub(crate) fn score_all(
    packed: &GammaPacked,
    [y, log_y, log_x]: [&[f64]; 3],
    mut out: MatrixMut<'_>,
) {
    for (j, component) in packed.components.iter().enumerate() {
        Level::detect().dispatch(Score { component, y, log_y, log_x, out: out.row_mut(j) });
    }
}

struct Score<'a> {
    component: &'a Component,
    y: &'a [f64],
    log_y: &'a [f64],
    log_x: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Component { shape, mean, log_mean, peak } = *self.component;
        let (mean, log_mean) = (S::splat(mean), S::splat(log_mean));
        let (minus_shape, peak) = (S::splat(-shape), S::splat(peak));
        let impossible = S::splat(f64::NEG_INFINITY);
        for (i, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let at = i * S::LANES;
            let y = S::load_or(&self.y[at..], f64::NAN);
            let log_y = S::load_or(&self.log_y[at..], f64::NAN);
            let log_x = S::load_or(&self.log_x[at..], f64::NAN);
            let unit = deviances((y - mean) / mean, log_y - log_mean);
            let score = minus_shape.mul_add(unit, peak) - log_x;
            let score = S::select(S::splat(0.0).lt(y), score, impossible);
            let score = S::select(y.lt(S::splat(f64::INFINITY)), score, impossible);
            // what is missing says nothing
            S::select(y.ge(impossible), score, S::splat(0.0)).store_head(out);
        }
    }
}

/// `stats[j] += Σᵢ weights[j, i] · t(yᵢ)` of what is not missing.
pub(crate) fn observe_all(
    stats: &mut [GammaStats],
    [y, log_y]: [&[f64]; 2],
    weights: Matrix<'_>,
) {
    for (j, stats) in stats.iter_mut().enumerate() {
        let weights = weights.row(j);
        let sums = Level::detect().dispatch(Observe { origin: stats.origin, y, log_y, weights });
        add_scaled(&mut stats.sums, 1.0, &sums);
    }
}

struct Observe<'a> {
    origin: f64,
    y: &'a [f64],
    log_y: &'a [f64],
    weights: &'a [f64],
}

impl Kernel for Observe<'_> {
    type Output = [f64; 3];

    /// `Σw`, `Σwu` and `Σw(u − 1 − ln u)`, `u = y / origin`. A row of weight zero counts for nothing, whatever it holds.
    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; 3] {
        let (origin, log_origin) = (S::splat(self.origin), S::splat(self.origin.ln()));
        let (zero, infinite) = (S::splat(0.0), S::splat(f64::NEG_INFINITY));
        let mut sums = [zero; 3];
        for (i, weights) in self.weights.chunks(S::LANES).enumerate() {
            let at = i * S::LANES;
            let y = S::load_or(&self.y[at..], f64::NAN);
            let log_y = S::load_or(&self.log_y[at..], f64::NAN);
            let w = S::select(y.ge(infinite), S::load_or(weights, 0.0), zero);
            let unit = deviances((y - origin) / origin, log_y - log_origin);
            let counts = zero.lt(w);
            sums[0] += w;
            sums[1] = w.mul_add(S::select(counts, y / origin, zero), sums[1]);
            sums[2] = w.mul_add(S::select(counts, unit, zero), sums[2]);
        }
        sums.map(S::sum)
    }
}
