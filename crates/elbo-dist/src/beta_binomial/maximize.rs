//! Maximum likelihood of the shapes, from two tallies.

use elbo_core::EstimateError;

use crate::{
    special::{digamma, ln_gamma_ratio, trigamma},
    tally::{Nodes, TABLE, total_weight},
};

/// Overdispersion below this share of a squared mean is rounding.
const RESOLUTION: f64 = 1e-12;

/// `a` and `b` of greatest likelihood, from the tallies of successes and failures in `n` trials.
///
/// Newton's method in `ln a` and `ln b` from the estimate by moments, the Hessian made definite where it is not, each step
/// halved until the likelihood does not fall by more than rounding. Cost: some 10 steps, each of a thousand divisions and two dozen logarithms
/// and polygammas for every cell in use.
pub(super) fn shapes(n: f64, tallies: &[Vec<f64>; 2]) -> Result<[f64; 2], EstimateError> {
    let weight = total_weight(&tallies[0]);
    if !(weight >= 0.0 && tallies.iter().flatten().all(|w| w.is_finite())) {
        return Err(EstimateError::Infeasible { component: 0, what: "beta-binomial distribution" });
    }
    if weight == 0.0 || !(1.0 / weight).is_finite() {
        return Err(EstimateError::NoWeight { component: 0, weight });
    }
    let likelihood = Likelihood {
        n,
        sides: [Side::new(1.0 / weight, &tallies[0]), Side::new(1.0 / weight, &tallies[1])],
    };
    let mut at = likelihood.by_moments()?;
    let mut value = likelihood.value(at);
    let rounding = 64.0 * f64::EPSILON * (1.0 + value.abs() + n.ln_1p());
    for _ in 0..100 {
        let step = likelihood.step(at);
        let mut length = 1.0;
        let (next, next_value) = loop {
            let next = [0, 1].map(|i| at[i] * (length * step[i]).exp());
            let next_value = likelihood.value(next);
            if next_value >= value - rounding {
                break (next, next_value);
            }
            length *= 0.5;
            if length < 1e-12 {
                return Ok(at); // nothing is left but rounding
            }
        };
        (at, value) = (next, next_value);
        if step.iter().all(|s| s.abs() <= 1e-9) {
            break; // the error of the next is the square of this one
        }
    }
    Ok(at)
}

struct Likelihood {
    n: f64,
    sides: [Side; 2],
}

impl Likelihood {
    /// The shapes that match the mean and the variance, whose excess over a binomial's is the correlation of two trials of
    /// an observation, `ρ = 1/(a + b + 1)`.
    fn by_moments(&self) -> Result<[f64; 2], EstimateError> {
        let boundary = |parameter, limit, cure| {
            Err(EstimateError::Boundary { component: 0, parameter, limit, cure })
        };
        let means = [0, 1].map(|i| self.sides[i].sum(|x| x));
        if !means.iter().all(|m| *m > 0.0) {
            return boundary(
                "mean",
                "an end of its range",
                "all trials end alike: use a binomial distribution",
            );
        }
        let share = [0, 1].map(|i| means[i] / (means[0] + means[1]));
        let pairs = [0, 1].map(|i| self.sides[i].sum(|x| x * (x - 1.0)) / share[i]);
        let correlation = (pairs[0] + pairs[1]) / (self.n * (self.n - 1.0)) - 1.0;
        if correlation.is_nan() || correlation <= RESOLUTION {
            return boundary(
                "a + b",
                "infinity",
                "its counts vary no more than a binomial's: use a binomial distribution",
            );
        }
        if correlation >= 1.0 - RESOLUTION {
            return boundary(
                "a + b",
                "zero",
                "the trials of an observation all end alike: count observations by a Bernoulli distribution",
            );
        }
        let total = 1.0 / correlation - 1.0;
        Ok(share.map(|share| share * total))
    }

    /// The mean log-likelihood, a constant left out.
    fn value(&self, at: [f64; 2]) -> f64 {
        let sides = [0, 1].map(|i| self.sides[i].value(at[i]));
        sides[0] + sides[1] - ln_gamma_ratio(at[0] + at[1], self.n)
    }

    /// Newton's step in `ln a`, `ln b`, no longer than 2.
    fn step(&self, at: [f64; 2]) -> [f64; 2] {
        let (n, total) = (self.n, at[0] + at[1]);
        let shared = digamma(total + n) - digamma(total);
        let bend = trigamma(total + n) - trigamma(total);
        let gradient = [0, 1].map(|i| at[i] * (self.sides[i].slope(at[i]) - shared));
        let own = [0, 1].map(|i| {
            -at[i] * at[i] * (self.sides[i].curvature(at[i]) - bend) - gradient[i] // of minus the Hessian
        });
        let cross = at[0] * at[1] * bend;
        let middle = 0.5 * (own[0] + own[1]);
        let least = middle - (0.5 * (own[0] - own[1])).hypot(cross);
        let size = own[0].abs() + own[1].abs() + cross.abs();
        let shift = if least > 1e-13 * size { 0.0 } else { 0.1 * size - least };
        let [first, second] = own.map(|o| o + shift);
        let determinant = first * second - cross * cross;
        let step = [
            (second * gradient[0] - cross * gradient[1]) / determinant,
            (first * gradient[1] - cross * gradient[0]) / determinant,
        ];
        let longest = step[0].abs().max(step[1].abs()).max(2.0) / 2.0;
        step.map(|s| if s.is_finite() { s / longest } else { 0.0 })
    }
}

/// `E[ln Γ(r + x) − ln Γ(r)]` over tallied counts, and its derivatives.
struct Side {
    /// The share of counts above `j`, below 256.
    above: [f64; TABLE],
    /// Weighted points that stand for the counts from 256 on.
    nodes: Nodes,
    scale: f64,
}

impl Side {
    fn new(scale: f64, tally: &[f64]) -> Self {
        let mut above = [0.0; TABLE];
        for j in (1..TABLE).rev() {
            above[j - 1] = above[j] + scale * tally[j];
        }
        Self { above, nodes: Nodes::of(tally), scale }
    }

    fn of(&self, below: impl Fn(f64) -> f64, beyond: impl Fn(f64) -> f64) -> f64 {
        let table = self.above.iter().zip(0_u32..).filter(|(w, _)| **w != 0.0);
        let table: f64 = table.map(|(w, j)| w * below(f64::from(j))).sum();
        table + self.scale * self.nodes.iter().map(|(x, w)| w * beyond(x)).sum::<f64>()
    }

    /// `E[f(x)]` for `f(0) = 0`.
    fn sum(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.of(|j| f(j + 1.0) - f(j), &f)
    }

    fn value(&self, r: f64) -> f64 {
        self.of(|j| (r + j).ln(), |x| ln_gamma_ratio(r, x))
    }

    fn slope(&self, r: f64) -> f64 {
        self.of(|j| 1.0 / (r + j), |x| digamma(r + x) - digamma(r))
    }

    fn curvature(&self, r: f64) -> f64 {
        self.of(|j| -1.0 / ((r + j) * (r + j)), |x| trigamma(r + x) - trigamma(r))
    }
}
