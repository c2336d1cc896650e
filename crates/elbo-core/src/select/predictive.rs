//! Predictive scores from draws of a posterior.

use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::{map_in_order, mix};

/// How well a posterior predicts new data, judged from the data it was made from.
///
/// With `θₛ` drawn from the posterior, or from what stands for it under variational Bayes,
///
/// - `log_predictive` is `Σᵢ wᵢ ln (1/S Σₛ p(xᵢ ∣ θₛ))`,
/// - `effective_parameters` is `Σᵢ wᵢ Varₛ ln p(xᵢ ∣ θₛ)`,
///
/// and their difference estimates the expected log density of as many new observations: the widely applicable information
/// criterion. Sources: Watanabe (2010); Gelman, Hwang & Vehtari (2014), who call the second `p_WAIC2`.
///
/// A factorized `q` is narrower than the posterior, so that under variational Bayes the effective parameters are, as a
/// rule, too few.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PredictiveScore {
    /// Log predictive density of the data, in nats.
    pub log_predictive: f64,
    /// What it is too large by, in expectation.
    pub effective_parameters: f64,
    /// Standard error of [`expected`](Self::expected) from its spread over the units.
    pub standard_error: f64,
    /// Units whose log density varies by more than 0.4 over the posterior: with some, the score is not to be trusted, and
    /// cross-validation is the remedy. Source of the number: Vehtari, Gelman & Gabry (2017).
    pub unstable: usize,
    /// Draws of the posterior.
    pub draws: usize,
}

impl PredictiveScore {
    /// Expected log predictive density of as many new observations, in nats; larger is better.
    pub fn expected(&self) -> f64 {
        self.log_predictive - self.effective_parameters
    }

    /// `−2 ×` the expected log predictive density, on the scale of information criteria; smaller is better.
    pub fn waic(&self) -> f64 {
        -2.0 * self.expected()
    }
}

/// Draws that one task makes; sums over them are merged in order, so that threads change no bit.
const CHUNK: usize = 64;

/// The score of `n` units from `draws` of a posterior.
///
/// `draw(rng, out)` draws parameters and writes `ln p(xᵢ ∣ θ)` of every unit, in nats; `weights` count units as often as
/// they say. The error of simulation falls as `1/√draws`; some thousand are usual.
///
/// Cost: `draws` passes over the data, side by side in chunks of 64; `4 n` numbers for each chunk.
///
/// # Errors
///
/// That of the first chunk with a draw that fails.
///
/// # Panics
///
/// If there are fewer than two draws, or not one weight per unit.
///
/// ```
/// use elbo_core::predictive_score;
/// use rand::RngExt;
///
/// // A posterior of a mean that is known exactly: nothing varies, nothing is effective.
/// let x = [1.0_f64, 2.0, 3.0];
/// let score = predictive_score(3, None, 100, 1, |_, out| {
///     out.iter_mut().zip(x).for_each(|(out, x)| *out = -0.5 * (x - 2.0).powi(2));
///     Ok::<_, ()>(())
/// })
/// .unwrap();
/// assert_eq!((score.effective_parameters, score.waic()), (0.0, 2.0));
/// ```
pub fn predictive_score<E: Send>(
    n: usize,
    weights: Option<&[f64]>,
    draws: usize,
    seed: u64,
    draw: impl Fn(&mut ChaCha8Rng, &mut [f64]) -> Result<(), E> + Sync,
) -> Result<PredictiveScore, E> {
    assert!(draws > 1, "a variance needs two draws");
    assert!(weights.is_none_or(|weights| weights.len() == n), "one weight per unit");
    let chunks = map_in_order(draws.div_ceil(CHUNK), |chunk| {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(seed, chunk as u64));
        let mut units = vec![Unit::EMPTY; n];
        let mut out = vec![0.0; n];
        for s in 0..CHUNK.min(draws - chunk * CHUNK) {
            draw(&mut rng, &mut out)?;
            units.iter_mut().zip(&out).for_each(|(unit, x)| unit.observe(*x, s as f64));
        }
        Ok(units)
    });
    let (mut all, mut seen) = (vec![Unit::EMPTY; n], 0.0);
    for (chunk, units) in chunks.into_iter().enumerate() {
        let count = CHUNK.min(draws - chunk * CHUNK) as f64;
        all.iter_mut().zip(units?).for_each(|(unit, other)| unit.merge(&other, seen, count));
        seen += count;
    }
    Ok(sum(&all, weights, draws))
}

/// What is known of the log densities of one unit.
#[derive(Clone, Copy)]
struct Unit {
    max: f64,
    /// `Σ exp(x − max)`.
    sum: f64,
    mean: f64,
    /// `Σ (x − mean)²`.
    scatter: f64,
}

impl Unit {
    const EMPTY: Self = Self { max: f64::NEG_INFINITY, sum: 0.0, mean: 0.0, scatter: 0.0 };

    /// Adds one log density to `seen` others.
    fn observe(&mut self, x: f64, seen: f64) {
        self.merge(&Self { max: x, sum: 1.0, mean: x, scatter: 0.0 }, seen, 1.0);
    }

    /// Adds `count` log densities to `seen` others.
    fn merge(&mut self, other: &Self, seen: f64, count: f64) {
        let max = self.max.max(other.max);
        if max > f64::NEG_INFINITY {
            self.sum = self.sum * (self.max - max).exp() + other.sum * (other.max - max).exp();
        }
        self.max = max;
        if seen == 0.0 {
            (self.mean, self.scatter) = (other.mean, other.scatter);
            return;
        }
        let (all, shift) = (seen + count, other.mean - self.mean);
        self.mean += shift * (count / all);
        self.scatter += other.scatter + shift * shift * (seen * count / all);
    }
}

fn sum(units: &[Unit], weights: Option<&[f64]>, draws: usize) -> PredictiveScore {
    let s = draws as f64;
    let mut score = PredictiveScore {
        log_predictive: 0.0,
        effective_parameters: 0.0,
        standard_error: 0.0,
        unstable: 0,
        draws,
    };
    let (mut total, mut mean, mut scatter) = (0.0, 0.0, 0.0);
    for (i, unit) in units.iter().enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[i]);
        if weight == 0.0 {
            continue;
        }
        let (predictive, variance) = (unit.max + (unit.sum / s).ln(), unit.scatter / (s - 1.0));
        score.log_predictive += weight * predictive;
        score.effective_parameters += weight * variance;
        score.unstable += usize::from(variance > 0.4);
        total += weight;
        let shift = predictive - variance - mean;
        mean += shift * (weight / total);
        scatter += weight * shift * (predictive - variance - mean);
    }
    score.standard_error = (total * scatter / (total - 1.0)).sqrt();
    score
}
