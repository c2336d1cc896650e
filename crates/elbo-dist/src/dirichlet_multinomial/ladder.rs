//! Rising factorials `a (a + 1) … (a + x − 1)` of a block of counts: their logarithms and derivatives.

use crate::special::{digamma, ln_gamma_ratio, trigamma};

/// Counts below this go through a table.
pub(super) const RUNGS: usize = 64;

/// `ln Γ(a + x) − ln Γ(a)` and its derivatives for all counts of a block; a table with as many rungs as are needed.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    rungs: [f64; RUNGS],
}

impl Ladder {
    pub(super) fn new() -> Self {
        Self { rungs: [0.0; RUNGS] }
    }

    /// `out[i] += sign · [ln Γ(a + xᵢ) − ln Γ(a)]`. Cost: `min(max x, 63)` logarithms and a look-up for each row, three
    /// logarithms where a count is above 63.
    pub(super) fn add_logs(&mut self, sign: f64, a: f64, counts: &[f64], out: &mut [f64]) {
        let rungs = &mut self.rungs[..needed(counts)];
        let mut log = 0.0;
        for (r, rung) in rungs.iter_mut().enumerate() {
            *rung = log;
            log += (a + r as f64).ln();
        }
        if rungs.len() == 1 && counts.iter().all(|x| *x == 0.0) {
            return;
        }
        for (out, x) in out.iter_mut().zip(counts) {
            *out += sign * rung(*x).map_or_else(|| ln_gamma_ratio(a, *x), |x| rungs[x]);
        }
    }

    /// `Σ w [ψ(a + x) − ψ(a)]` and `Σ w [ψ′(a) − ψ′(a + x)]`: of `Σ w Σ_{r<x} ln(a + r)` the slope and minus the second
    /// derivative. Counts below 64 are sorted into weights first, so that each of their terms is a reciprocal.
    pub(super) fn slope_and_curvature(
        &mut self,
        a: f64,
        counts: &[f64],
        weights: &[f64],
    ) -> (f64, f64) {
        let rungs = &mut self.rungs[..needed(counts)];
        rungs.fill(0.0);
        let (mut slope, mut curvature) = (0.0, 0.0);
        for (x, w) in counts.iter().zip(weights) {
            if let Some(x) = rung(*x) {
                rungs[x] += w;
            } else if *w != 0.0 {
                let (first, second) = digamma_and_trigamma_differences(a, *x);
                slope += w * first;
                curvature += w * second;
            }
        }
        let mut reaching = 0.0; // weight of the rows with x > r
        for (r, weight) in rungs.iter().skip(1).enumerate().rev() {
            reaching += weight;
            let reciprocal = (a + r as f64).recip();
            slope += reaching * reciprocal;
            curvature += reaching * reciprocal * reciprocal;
        }
        (slope, curvature)
    }
}

/// The rung of a small count.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number below 64"
)]
fn rung(x: f64) -> Option<usize> {
    (x < RUNGS as f64).then_some(x as usize)
}

/// One more than the largest small count.
fn needed(counts: &[f64]) -> usize {
    counts.iter().filter_map(|x| rung(*x)).max().unwrap_or(0) + 1
}

/// `ψ(a + x) − ψ(a)` and `ψ′(a) − ψ′(a + x)`; from 64 on by the differences of their asymptotic series (NIST DLMF
/// 5.11.2 and 5.15.8), whose leading terms do not cancel.
fn digamma_and_trigamma_differences(a: f64, x: f64) -> (f64, f64) {
    if a < 64.0 {
        return (digamma(a + x) - digamma(a), trigamma(a) - trigamma(a + x));
    }
    let (u, v) = (a.recip(), (a + x).recip());
    let (u2, v2) = (u * u, v * v);
    let slope_series =
        |u: f64, u2: f64| u * (0.5 + u * (1.0 / 12.0 - u2 * (1.0 / 120.0 - u2 / 252.0)));
    let curvature_series =
        |u2: f64, u: f64| u2 * (0.5 + u * (1.0 / 6.0 - u2 * (1.0 / 30.0 - u2 / 42.0)));
    let slope = (x * u).ln_1p() + slope_series(u, u2) - slope_series(v, v2);
    let curvature = x * u * v + curvature_series(u2, u) - curvature_series(v2, v);
    (slope, curvature)
}
