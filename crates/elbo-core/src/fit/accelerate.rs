//! Extrapolation along the path of the statistics.

use crate::Statistics;

/// The squared extrapolation of Varadhan & Roland, in the space of statistics.
///
/// Two EM steps `s₀ → s₁ → s₂` with gains `δ₁, δ₂` of the objective tell the slowest rate of convergence: near the
/// optimum gains shrink by `λ²` per step, so `λ = √(δ₂/δ₁)`. If only that mode were left,
/// `s₀ + 2α(s₁ − s₀) + α²(s₂ − 2s₁ + s₀)` with `α = 1/(1 − λ)` would be the optimum itself. A gain measures a step in the
/// natural metric of the model, so that `α` depends on no unit of the data, unlike a ratio of norms.
///
/// The driver takes a leap only if the M-step accepts the extrapolated statistics and the objective does not fall. `α` is
/// capped; the cap grows when a capped leap succeeds and shrinks when a leap fails.
///
/// Source: Varadhan & Roland (2008), scheme S3 with another step length.
#[derive(Debug)]
pub(super) struct Squarem<S> {
    first: S,
    second: S,
    gains: Vec<f64>,
    cap: f64,
    last: f64,
}

const GROWTH: f64 = 4.0;
/// A leap of less than this is what the next plain step does anyway.
const LEAST: f64 = 2.0;

impl<S: Statistics> Squarem<S> {
    /// Statistics of the model's shape give the room.
    pub(super) fn new(shape: &S) -> Self {
        let (first, second) = (shape.clone(), shape.clone());
        Self { first, second, gains: Vec::with_capacity(2), cap: GROWTH, last: 1.0 }
    }

    /// Takes note of a plain step that left `from` and gained `gain`; true when a leap is due.
    pub(super) fn note(&mut self, from: &S, gain: f64) -> bool {
        let slot = if self.gains.is_empty() { &mut self.first } else { &mut self.second };
        copy(from, slot);
        self.gains.push(gain);
        self.gains.len() == 2
    }

    /// Writes the extrapolated statistics to `out`, where `here` are those after both steps; false if a leap would not
    /// pay. Either way the next two steps start afresh.
    pub(super) fn extrapolate(&mut self, here: &S, out: &mut S) -> bool {
        let lambda = (self.gains[1] / self.gains[0]).sqrt();
        self.gains.clear();
        self.last = if lambda < 1.0 { (1.0 / (1.0 - lambda)).min(self.cap) } else { self.cap };
        if self.last.is_nan() || self.last < LEAST {
            return false;
        }
        let alpha = self.last;
        out.set_zero();
        out.align(here);
        out.axpy(alpha * alpha, here);
        out.axpy(2.0 * alpha * (1.0 - alpha), &self.second);
        out.axpy((1.0 - alpha) * (1.0 - alpha), &self.first);
        true
    }

    /// Learns how the leap went.
    pub(super) fn learn(&mut self, taken: bool) {
        if !taken {
            self.cap = (self.cap / GROWTH).max(GROWTH);
        } else if self.last >= self.cap {
            self.cap *= GROWTH;
        }
    }
}

/// `to = from`, in the coordinates of `from`, without allocation.
fn copy<S: Statistics>(from: &S, to: &mut S) {
    to.set_zero();
    to.align(from);
    to.merge(from);
}
