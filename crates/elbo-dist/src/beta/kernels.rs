//! Scores and sums of beta variables, for all components of a block.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_core::{Matrix, MatrixMut, add_scaled};
use elbo_linalg::{Kernel, Level, Simd};

use super::BetaStats;
use crate::{
    deviance::{deviance, deviances, logs},
    special::gamma_log_peak,
};

/// `k` beta distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct BetaPacked {
    pub(super) components: Vec<Component>,
}

impl BetaPacked {
    /// Room for `k` components.
    pub(super) fn new(k: usize) -> Self {
        Self { components: vec![Component::new(1.0, 1.0); k] }
    }
}

/// A probability and its complement, each with all its digits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Share {
    pub(super) of_a: f64,
    pub(super) of_b: f64,
}

impl Share {
    pub(super) fn new(a: f64, b: f64) -> Self {
        Self { of_a: a / (a + b), of_b: b / (a + b) }
    }

    /// `(x − m) / m` and `(m − x) / (1 − m)`, for this `m` and that `x`.
    pub(super) fn relative(self, to: Self) -> (f64, f64) {
        let low = self.of_a < self.of_b;
        let d = if low { to.of_a - self.of_a } else { self.of_b - to.of_b };
        (d / self.of_a, -d / self.of_b)
    }

    /// `KL(m ‖ x) = m ln m/x + (1 − m) ln (1 − m)/(1 − x)`, as a sum of two terms that are not negative.
    pub(super) fn divergence(self, to: Self) -> f64 {
        let (u, v) = self.relative(to);
        self.of_a * deviance(u) + self.of_b * deviance(v)
    }
}

/// One component: `ln x + ln(1 − x) + ln p(x) = peak − (a + b) KL(m ‖ x)`, `m = a/(a + b)`. Nothing cancels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Component {
    a: f64,
    b: f64,
    pub(super) mean: Share,
    peak: f64,
}

impl Component {
    pub(super) fn new(a: f64, b: f64) -> Self {
        Self { a, b, mean: Share::new(a, b), peak: peak(a, b) }
    }

    /// `ln p(x)` at one point; −∞ outside the support, 0 for NaN.
    pub(super) fn score(&self, x: f64) -> f64 {
        if x.is_nan() {
            return 0.0;
        }
        if !(x > 0.0 && x < 1.0) {
            return f64::NEG_INFINITY;
        }
        let (u, v) = self.mean.relative(Share { of_a: x, of_b: 1.0 - x });
        self.peak - self.a * deviance(u) - self.b * deviance(v) - x.ln() - (-x).ln_1p()
    }
}

/// The log density of `ln x/(1 − x)` at `x = a/(a + b)`.
pub(super) fn peak(a: f64, b: f64) -> f64 {
    gamma_log_peak(a) + gamma_log_peak(b) - gamma_log_peak(a + b)
}

/// A block of observations: `x`, `1 − x`, and their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) x: &'a [f64],
    pub(super) y: &'a [f64],
    pub(super) log_x: &'a [f64],
    pub(super) log_y: &'a [f64],
}

/// Where a component or an origin lies, in every lane.
#[derive(Clone, Copy)]
struct Place<S> {
    low: bool,
    of_a: S,
    of_b: S,
    log_a: S,
    log_b: S,
}

impl<S: Simd> Place<S> {
    #[inline(always)]
    fn new(at: Share) -> Self {
        Self {
            low: at.of_a < at.of_b,
            of_a: S::splat(at.of_a),
            of_b: S::splat(at.of_b),
            log_a: S::splat(at.of_a.ln()),
            log_b: S::splat(at.of_b.ln()),
        }
    }

    /// `x`, the relative distances `u` and `v`, and `ln(1 + u)` and `ln(1 + v)` where they are not small.
    #[inline(always)]
    fn relative(&self, rows: Rows<'_>, at: usize) -> [S; 5] {
        let (x, y) = (S::load_or(&rows.x[at..], f64::NAN), S::load_or(&rows.y[at..], f64::NAN));
        let d = if self.low { x - self.of_a } else { self.of_b - y };
        let log_u = S::load_or(&rows.log_x[at..], f64::NAN) - self.log_a;
        let log_v = S::load_or(&rows.log_y[at..], f64::NAN) - self.log_b;
        [x, d / self.of_a, (S::splat(0.0) - d) / self.of_b, log_u, log_v]
    }
}

/// `out[j, i] = ln p(xᵢ)`. Missing rows score 0, those outside the support −∞.
pub(super) fn score_all(packed: &BetaPacked, rows: Rows<'_>, mut out: MatrixMut<'_>) {
    for (j, component) in packed.components.iter().enumerate() {
        Level::detect().dispatch(Score { component, rows, out: out.row_mut(j) });
    }
}

struct Score<'a> {
    component: &'a Component,
    rows: Rows<'a>,
    out: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let place = Place::<S>::new(self.component.mean);
        let (minus_a, minus_b) = (S::splat(-self.component.a), S::splat(-self.component.b));
        let peak = S::splat(self.component.peak);
        let impossible = S::splat(f64::NEG_INFINITY);
        for (i, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let at = i * S::LANES;
            let [x, u, v, log_u, log_v] = place.relative(self.rows, at);
            let logs = S::load_or(&self.rows.log_x[at..], 0.0) + S::load_or(&self.rows.log_y[at..], 0.0);
            let score = minus_a.mul_add(deviances(u, log_u), peak - logs);
            let score = minus_b.mul_add(deviances(v, log_v), score);
            let score = S::select(S::splat(0.0).lt(x), score, impossible);
            let score = S::select(x.lt(S::splat(1.0)), score, impossible);
            // what is missing says nothing
            S::select(x.ge(impossible), score, S::splat(0.0)).store_head(out);
        }
    }
}

/// `stats[j] += Σᵢ weights[j, i] · t(xᵢ)` of what is not missing.
pub(super) fn observe_all(stats: &mut [BetaStats], rows: Rows<'_>, weights: Matrix<'_>) {
    for (j, stats) in stats.iter_mut().enumerate() {
        let weights = weights.row(j);
        let sums = Level::detect().dispatch(Observe { origin: stats.origin, rows, weights });
        add_scaled(&mut stats.sums, 1.0, &sums);
    }
}

struct Observe<'a> {
    origin: Share,
    rows: Rows<'a>,
    weights: &'a [f64],
}

impl Kernel for Observe<'_> {
    type Output = [f64; 3];

    /// `Σw`, `Σw(logit x − logit c)` and `Σw KL(c ‖ x)`. A row of weight zero counts for nothing, whatever it holds.
    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; 3] {
        let place = Place::<S>::new(self.origin);
        let (zero, infinite) = (S::splat(0.0), S::splat(f64::NEG_INFINITY));
        let mut sums = [zero; 3];
        for (i, weights) in self.weights.chunks(S::LANES).enumerate() {
            let [x, u, v, log_u, log_v] = place.relative(self.rows, i * S::LANES);
            let w = S::select(x.ge(infinite), S::load_or(weights, 0.0), zero);
            let (du, dv) = (deviances(u, log_u), deviances(v, log_v));
            let logit = logs(u, du, log_u) - logs(v, dv, log_v);
            let divergence = place.of_a.mul_add(du, place.of_b * dv);
            let counts = zero.lt(w);
            sums[0] += w;
            sums[1] = w.mul_add(S::select(counts, logit, zero), sums[1]);
            sums[2] = w.mul_add(S::select(counts, divergence, zero), sums[2]);
        }
        sums.map(S::sum)
    }
}
