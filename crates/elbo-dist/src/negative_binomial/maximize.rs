//! Maximum likelihood of the size, from a tally.

use elbo_core::EstimateError;

use crate::{
    special::{digamma, log1p_minus},
    tally::{Nodes, TABLE, total_weight},
};

/// Overdispersion below this share of `Σw x(x − 1)` is rounding.
const RESOLUTION: f64 = 1e-13;

/// The size and the mean of greatest likelihood.
///
/// The derivative of the mean log-likelihood in `r`, the mean at its optimum `m`, is
/// `g(r) = E[ψ(r + x) − ψ(r)] − ln(1 + m/r)`: positive at small `r`, and like `(m − v)/2r²` at large ones, `v` the variance.
/// Its only zero is found by bracketing and secants in `ln r`. Cost: some 20 evaluations, each of 256 divisions and two
/// dozen digammas for every cell in use.
pub(super) fn size_and_mean(events: f64, tally: &[f64]) -> Result<(f64, f64), EstimateError> {
    let infeasible =
        EstimateError::Infeasible { component: 0, what: "negative binomial distribution" };
    let weight = total_weight(tally);
    let finite = events.is_finite() && tally.iter().all(|w| w.is_finite());
    if !finite || weight < 0.0 || events < 0.0 || (weight == 0.0 && events > 0.0) {
        return Err(infeasible);
    }
    if weight == 0.0 || !(events / weight).is_finite() {
        return Err(EstimateError::NoWeight { component: 0, weight });
    }
    let profile = Profile::new(weight, events, tally);
    let (mean, excess) = (profile.mean, profile.excess);
    if excess.is_nan() || excess <= RESOLUTION * (excess + mean * mean) {
        return Err(EstimateError::Boundary {
            component: 0,
            parameter: "size",
            limit: "infinity",
            cure: "its counts vary no more than a Poisson's: use a Poisson distribution",
        });
    }
    let size = profile.root(mean * (mean / excess)).ok_or(infeasible)?;
    Ok((size, mean))
}

/// What the likelihood of the size needs of the data, per unit of weight.
struct Profile {
    mean: f64,
    /// `v − m`: what the variance exceeds the mean by.
    excess: f64,
    /// The weight of counts above `j`, below 256.
    above: [f64; TABLE],
    /// Weighted points that stand for the counts from 256 on.
    nodes: Nodes,
    scale: f64,
}

impl Profile {
    fn new(weight: f64, events: f64, tally: &[f64]) -> Self {
        let mut above = [0.0; TABLE];
        for j in (1..TABLE).rev() {
            above[j - 1] = above[j] + tally[j];
        }
        let nodes = Nodes::of(tally);
        // Σw x(x − 1) = 2 Σⱼ j · (weight above j)
        let pairs = 2.0 * above.iter().zip(0_u32..).map(|(w, j)| w * f64::from(j)).sum::<f64>()
            + nodes.iter().map(|(x, w)| w * x * (x - 1.0)).sum::<f64>();
        let mean = events / weight;
        Self { mean, excess: pairs / weight - mean * mean, above, nodes, scale: 1.0 / weight }
    }

    /// `r (1 + r/m) g(r)`, which goes from `P(x > 0)` at `r = 0` to `−(v − m)/2m` at `r = ∞`.
    fn slope(&self, r: f64) -> f64 {
        let far = r >= self.mean;
        let table = self.above.iter().zip(0_u32..).map(|(w, j)| {
            let j = f64::from(j);
            // Far from zero both parts of g are m/r and little else: it is taken out of either.
            if far { -w * (j / r) / (r + j) } else { w / (r + j) }
        });
        let mut sum = table.sum::<f64>();
        for (x, w) in self.nodes.iter() {
            sum +=
                w * if far { digamma_gap_beyond_first(r, x) } else { digamma(r + x) - digamma(r) };
        }
        let ratio = self.mean / r;
        let g = self.scale * sum - if far { log1p_minus(ratio) } else { ratio.ln_1p() };
        g * r * (1.0 + r / self.mean)
    }

    /// The zero of [`slope`](Self::slope): doubling steps of `ln r` from `start` until the sign changes, then the method of
    /// false position as mended by Anderson & Björck (1973), BIT 13(3), with bisection whenever it dawdles.
    fn root(&self, start: f64) -> Option<f64> {
        let (mut low, mut high) = (start.ln(), start.ln());
        let (mut at_low, mut at_high) = (self.slope(start), self.slope(start));
        let mut step = 1.0;
        while at_low <= 0.0 || at_high > 0.0 {
            if at_low <= 0.0 {
                (high, at_high) = (low, at_low);
                low -= step;
                at_low = self.slope(low.exp());
            } else {
                (low, at_low) = (high, at_high);
                high += step;
                at_high = self.slope(high.exp());
            }
            step *= 2.0;
            if !(low.abs() < 300.0 && high.abs() < 300.0) || at_low.is_nan() || at_high.is_nan() {
                return None;
            }
        }
        for round in 0..200 {
            let secant = high - at_high * (high - low) / (at_high - at_low);
            let inside = low < secant && secant < high && round % 8 != 7;
            let x = if inside { secant } else { low.midpoint(high) };
            if high - low <= 4.0 * f64::EPSILON * (1.0 + x.abs()) {
                return Some(x.exp());
            }
            let value = self.slope(x.exp());
            if value > 0.0 {
                let shrink = 1.0 - value / at_low;
                at_high *= if shrink > 0.0 { shrink } else { 0.5 };
                (low, at_low) = (x, value);
            } else if value < 0.0 {
                let shrink = 1.0 - value / at_high;
                at_low *= if shrink > 0.0 { shrink } else { 0.5 };
                (high, at_high) = (x, value);
            } else {
                return (value == 0.0).then(|| x.exp());
            }
        }
        Some(low.midpoint(high).exp())
    }
}

/// `ψ(r + x) − ψ(r) − x/r` for `x ≥ 256`.
fn digamma_gap_beyond_first(r: f64, x: f64) -> f64 {
    if r < 16.0 {
        return digamma(r + x) - digamma(r) - x / r;
    }
    // ψ(y) = ln y − 1/2y − s(y)
    let s = |y: f64| {
        let square = 1.0 / (y * y);
        let series = 1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0));
        square * series
    };
    log1p_minus(x / r) + 0.5 * (x / r) / (r + x) + (s(r) - s(r + x))
}
