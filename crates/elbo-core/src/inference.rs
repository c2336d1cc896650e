//! How latent variables are filled in.

use rand::{RngExt, rngs::ChaCha8Rng};

/// How the E-step fills in a discrete latent variable, given log joint densities `lⱼ = ln p(x, z = j)`.
///
/// | variant | responsibilities | data term of a unit |
/// |---|---|---|
/// | `Soft` | `γⱼ ∝ exp lⱼ` | `ln Σⱼ exp lⱼ` |
/// | `Hard` | 1 for the largest `lⱼ` (the first of equals) | `maxⱼ lⱼ` |
/// | `Tempered(β)` | `γⱼ ∝ exp β lⱼ` | `(1/β) ln Σⱼ exp β lⱼ` |
/// | `Sampled` | 1 for a draw from `γ` | `ln Σⱼ exp lⱼ` |
#[derive(Debug)]
pub enum Inference<'r> {
    /// The posterior itself: EM.
    Soft,
    /// The most probable value: classification EM; k-means and Viterbi training are cases of it.
    Hard,
    /// The posterior at inverse temperature `β` in `(0, 1]`: deterministic annealing.
    Tempered(f64),
    /// A draw from the posterior: stochastic EM.
    Sampled(&'r mut ChaCha8Rng),
}

/// Why a row of log joint densities has no responsibilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowError {
    /// All are −∞: density zero under every component.
    Impossible,
    /// One is NaN or +∞.
    NotFinite,
}

impl Inference<'_> {
    /// Turns the log joint densities of one unit into responsibilities, in place; returns the unit's data term.
    ///
    /// Cost: `k` exponentials and one logarithm (`Hard`: none). The sum is shifted by the maximum, so it neither
    /// overflows nor loses the largest term.
    ///
    /// # Errors
    ///
    /// If no entry is finite, or one is NaN or +∞.
    ///
    /// ```
    /// use elbo_core::Inference;
    ///
    /// let mut row = [0.5_f64.ln(), 0.25_f64.ln(), f64::NEG_INFINITY];
    /// let data_term = Inference::Soft.assign(&mut row).unwrap();
    /// assert!((data_term - 0.75_f64.ln()).abs() < 1e-15);
    /// assert!((row[0] - 2.0 / 3.0).abs() < 1e-15 && row[2] == 0.0);
    /// ```
    pub fn assign(&mut self, row: &mut [f64]) -> Result<f64, RowError> {
        let best = largest(row)?;
        let max = row[best];
        match self {
            Self::Hard => {
                one_hot(row, best);
                Ok(max)
            }
            Self::Tempered(beta) => Ok(max + normalize(row, max, *beta).ln() / *beta),
            Self::Soft => Ok(max + normalize(row, max, 1.0).ln()),
            Self::Sampled(rng) => {
                let sum = normalize(row, max, 1.0);
                let drawn = draw(row, rng.random(), best);
                one_hot(row, drawn);
                Ok(max + sum.ln())
            }
        }
    }
}

/// Index of the first largest entry; finite by construction.
fn largest(row: &[f64]) -> Result<usize, RowError> {
    let mut best = 0;
    for (j, &x) in row.iter().enumerate() {
        if x.is_nan() || x == f64::INFINITY {
            return Err(RowError::NotFinite);
        }
        if x > row[best] {
            best = j;
        }
    }
    if row.get(best).is_none_or(|&x| x == f64::NEG_INFINITY) {
        Err(RowError::Impossible)
    } else {
        Ok(best)
    }
}

/// `xⱼ ← exp(β (xⱼ − max)) / sum`; returns the sum, which lies in `[1, k]`.
fn normalize(row: &mut [f64], max: f64, beta: f64) -> f64 {
    let mut sum = 0.0;
    for x in &mut *row {
        *x = (beta * (*x - max)).exp();
        sum += *x;
    }
    for x in row {
        *x /= sum;
    }
    sum
}

/// Inverse-cdf draw; rounding in the last sum falls to `fallback`, which has positive probability.
fn draw(probabilities: &[f64], mut u: f64, fallback: usize) -> usize {
    for (j, p) in probabilities.iter().enumerate() {
        u -= p;
        if u < 0.0 {
            return j;
        }
    }
    fallback
}

fn one_hot(row: &mut [f64], index: usize) {
    row.fill(0.0);
    row[index] = 1.0;
}
