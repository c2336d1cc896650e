//! Rising factorials `a (a + 1) … (a + x − 1)` of a block of counts: their logarithms, and moments of their
//! derivatives.

use crate::special::{digamma, ln_gamma_ratio, trigamma};

/// Counts below this go through a table.
pub(super) const RUNGS: usize = 64;

/// `ln Γ(a + x) − ln Γ(a) = Σ_{r<x} ln(a + r)` for all counts of a block; a table with as many rungs as are needed.
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

    /// `Σ w Σ_{r<x} rᵏ/(a + r)²`, `k = 0, 1, 2`. Counts below 64 are sorted into weights first, and their terms added one
    /// by one.
    pub(super) fn moments(&mut self, a: f64, counts: &[f64], weights: &[f64]) -> [f64; 3] {
        let rungs = &mut self.rungs[..needed(counts)];
        rungs.fill(0.0);
        let mut moments = [0.0; 3];
        for (x, w) in counts.iter().zip(weights) {
            if let Some(x) = rung(*x) {
                rungs[x] += w;
            } else if *w != 0.0 {
                let of_row = moments_of_large_count(a, *x);
                moments.iter_mut().zip(of_row).for_each(|(sum, m)| *sum += w * m);
            }
        }
        let mut reaching = 0.0; // weight of the rows with x > r
        for (r, weight) in rungs.iter().skip(1).enumerate().rev() {
            reaching += weight;
            let r = r as f64;
            let term = reaching / ((a + r) * (a + r));
            [term, r * term, r * (r * term)]
                .iter()
                .zip(&mut moments)
                .for_each(|(m, sum)| *sum += m);
        }
        moments
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

/// `Σ_{r<x} rᵏ/(a + r)²` from digammas and trigammas; for `a` above `10⁴x`, where they cancel, by powers of `x/a`. The first
/// two are good to some `10⁻¹¹`, the last, which only shapes the bound, to some `10⁻⁷`.
fn moments_of_large_count(a: f64, x: f64) -> [f64; 3] {
    let (first, second) = digamma_and_trigamma_differences(a, x);
    if a <= 1e4 * x {
        return [second, first - a * second, x - a * (2.0 * first - a * second)];
    }
    let sums = [0.5 * x * (x - 1.0), x * (x - 1.0) * (2.0 * x - 1.0) / 6.0];
    let cubes = sums[0] * sums[0];
    let u = a.recip();
    let low = (sums[0] - u * (2.0 * sums[1] - 3.0 * u * cubes)) * u * u;
    [second, low, (sums[1] - 2.0 * u * cubes) * u * u]
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
