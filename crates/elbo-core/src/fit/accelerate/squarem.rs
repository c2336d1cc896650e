//! Squared extrapolation from two steps.

use super::copy;
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
pub(in crate::fit) struct Squarem<S> {
    first: S,
    second: S,
    proposal: S,
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
        let (first, second, proposal) = (shape.clone(), shape.clone(), shape.clone());
        Self { first, second, proposal, gains: Vec::with_capacity(2), cap: GROWTH, last: 1.0 }
    }

    /// Takes note of a plain step that left `from` and gained `gain`.
    pub(super) fn note(&mut self, from: &S, gain: f64) {
        let slot = if self.gains.is_empty() { &mut self.first } else { &mut self.second };
        copy(from, slot);
        self.gains.push(gain);
    }

    /// Extrapolates after every second step, which led to `here`; false if a leap is not due or would not pay. After one
    /// the next two steps start afresh.
    pub(super) fn propose(&mut self, here: &S) -> bool {
        if self.gains.len() < 2 {
            return false;
        }
        let lambda = (self.gains[1] / self.gains[0]).sqrt();
        self.gains.clear();
        self.last = if lambda < 1.0 { (1.0 / (1.0 - lambda)).min(self.cap) } else { self.cap };
        if self.last.is_nan() || self.last < LEAST {
            return false;
        }
        let (alpha, out) = (self.last, &mut self.proposal);
        out.set_zero();
        out.align(here);
        out.axpy(alpha * alpha, here);
        out.axpy(2.0 * alpha * (1.0 - alpha), &self.second);
        out.axpy((1.0 - alpha) * (1.0 - alpha), &self.first);
        true
    }

    /// The statistics proposed.
    pub(super) fn proposal(&self) -> &S {
        &self.proposal
    }

    /// The next two steps start afresh.
    pub(super) fn forget(&mut self) {
        self.gains.clear();
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
