//! MAP-EM: shares of topics in documents and of words in topics are points.

use elbo_core::{Batch, EStepError, EstimateError};
use elbo_dist::special::ln_gamma;
use elbo_linalg::{Level, ln_in_place, ln_into};

use crate::{
    Documents, LdaParams, LdaPrior,
    kernels::{ShareStep, weighted_log},
    model::Algorithm,
};

/// Expectation-Maximization for the mode of all shares at once: probabilistic latent semantic analysis with priors, and without
/// them where `α = η = 0`.
///
/// The objective is the log-posterior of `θ` and `φ` under `θ_d ~ Dirichlet(1 + α)` and `φ_k ~ Dirichlet(1 + η)`; the ones make
/// every mode an interior one. A step costs one pass over the pairs of documents and words, and starts from the shares that the
/// last pass left. Good values are `α ≈ 0.1` and `η ≈ 0.05`.
///
/// Source: Hofmann (1999); Asuncion, Welling, Smyth & Teh (2009), who found that with pseudo-counts of its own it predicts as
/// well as samplers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEm {
    /// Steps for a document that nothing is known of yet; later it makes one step a pass.
    pub first_steps: usize,
}

impl Default for MapEm {
    fn default() -> Self {
        Self { first_steps: 8 }
    }
}

/// What one worker needs for MAP-EM, and remembers of its documents.
#[derive(Clone, Debug, Default)]
pub struct MapScratch {
    /// Shares of topics, document by document; empty where nothing is remembered.
    shares: Vec<f64>,
    /// `θ/n_k`, the shares divided by the totals of topics.
    scaled: Vec<f64>,
    logs: Vec<f64>,
    gamma: Vec<f64>,
    mixture: Vec<f64>,
}

impl Algorithm for MapEm {
    const REMEMBERS: bool = true;
    const ASCENDS: bool = true;

    type Scratch = MapScratch;

    fn new_scratch(&self, params: &LdaParams) -> MapScratch {
        let row = || vec![0.0; params.stride];
        MapScratch { scaled: row(), logs: row(), gamma: row(), ..MapScratch::default() }
    }

    fn check(&self, _: &LdaPrior) -> Result<(), EstimateError> {
        Ok(())
    }

    /// The penalty is `Σ_k ln Dirichlet(φ_k ∣ 1 + η_k)`.
    fn derive(&self, params: &mut LdaParams) {
        let (k, stride) = (params.k(), params.stride);
        let normalizers = log_normalizers(&params.prior, params.words);
        if params.prior.same_eta() == Some(0.0) {
            params.penalty = normalizers;
            return;
        }
        let mut log_totals = params.totals.clone();
        ln_in_place(&mut log_totals);
        let mut sum = 0.0;
        params.weights.resize(stride * ROWS, 0.0);
        let LdaParams { prior, counts, weights: logs, .. } = params;
        for (chunk, rows) in counts.chunks(stride * ROWS).enumerate() {
            let logs = &mut logs[..rows.len()];
            ln_into(rows, logs);
            for (at, row) in logs.chunks_exact(stride).enumerate() {
                let differences = row[..k].iter().zip(&log_totals).map(|(log, total)| log - total);
                sum += match prior.same_eta() {
                    Some(eta) => eta * differences.sum::<f64>(),
                    None => {
                        let eta = |topic| prior.word(chunk * ROWS + at, topic);
                        let known = differences.enumerate().filter(|(topic, _)| eta(*topic) > 0.0);
                        known.map(|(topic, difference)| eta(topic) * difference).sum()
                    }
                };
            }
        }
        params.penalty = sum + normalizers;
    }

    fn e_step(
        &self,
        params: &LdaParams,
        documents: Documents<'_>,
        stats: &mut [f64],
        scratch: &mut MapScratch,
    ) -> Result<f64, EStepError> {
        let (k, stride) = (params.k(), params.stride);
        let alpha = params.prior.alpha();
        let knows = scratch.shares.len() == documents.len() * stride && !scratch.shares.is_empty();
        scratch.shares.resize(documents.len() * stride, 0.0);
        scratch.mixture.resize(documents.longest(), 0.0);
        let normalizer = log_dirichlet_normalizer(alpha);
        let is_informed = alpha.iter().any(|a| *a > 0.0);
        let level = Level::detect();
        let mut data_term = 0.0;
        let MapScratch { shares, scaled, logs, gamma, mixture } = scratch;
        for (d, (words, counts)) in documents.iter().enumerate() {
            let theta = &mut shares[d * stride..][..stride];
            let steps = if knows { 1 } else { 1 + self.first_steps };
            if !knows {
                theta[..k].fill(1.0 / k as f64);
            }
            let mixture = &mut mixture[..words.len()];
            for step in 1..=steps {
                if step == steps {
                    data_term += normalizer;
                    if is_informed {
                        data_term += log_prior(alpha, theta, logs);
                    }
                }
                for ((scaled, theta), total) in scaled.iter_mut().zip(&*theta).zip(&params.totals) {
                    *scaled = theta / total;
                }
                gamma.fill(0.0);
                let to: &mut [f64] = if step == steps { stats } else { &mut [] };
                let table = &params.counts;
                level.dispatch(ShareStep {
                    words,
                    counts,
                    table,
                    scaled,
                    gamma,
                    mixture,
                    stats: to,
                });
                normalize(alpha, gamma, theta);
            }
            ln_in_place(mixture);
            let sum = weighted_log(counts, mixture);
            if !sum.is_finite() {
                return Err(EStepError::Impossible { row: d });
            }
            data_term += sum;
        }
        Ok(data_term)
    }
}

/// Words whose logarithms are taken at once.
const ROWS: usize = 64;

/// `θ_k ∝ α_k + γ_k`; uniform where there is neither.
pub(crate) fn normalize(alpha: &[f64], gamma: &mut [f64], theta: &mut [f64]) {
    let k = alpha.len();
    gamma[..k].iter_mut().zip(alpha).for_each(|(gamma, alpha)| *gamma += alpha);
    let sum: f64 = gamma[..k].iter().sum();
    if sum > 0.0 {
        theta[..k].iter_mut().zip(&*gamma).for_each(|(theta, gamma)| *theta = gamma / sum);
    } else {
        theta[..k].fill(1.0 / k as f64);
    }
}

/// `Σ_k α_k ln θ_k`.
pub(crate) fn log_prior(alpha: &[f64], theta: &[f64], logs: &mut [f64]) -> f64 {
    ln_into(&theta[..alpha.len()], &mut logs[..alpha.len()]);
    alpha.iter().zip(&*logs).filter(|(alpha, _)| **alpha > 0.0).map(|(a, log)| a * log).sum()
}

/// `ln Γ(Σ(1 + α)) − Σ ln Γ(1 + α)`.
pub(crate) fn log_dirichlet_normalizer(alpha: &[f64]) -> f64 {
    let total: f64 = alpha.iter().map(|a| 1.0 + a).sum();
    ln_gamma(total) - alpha.iter().map(|a| ln_gamma(1.0 + a)).sum::<f64>()
}

/// The same of the words of each topic, summed over topics.
fn log_normalizers(prior: &LdaPrior, words: usize) -> f64 {
    let k = prior.k() as f64;
    if let Some(eta) = prior.same_eta() {
        let v = words as f64;
        return k * (ln_gamma(v * (1.0 + eta)) - v * ln_gamma(1.0 + eta));
    }
    (0..prior.k())
        .map(|topic| {
            let column: Vec<f64> = (0..words).map(|word| prior.word(word, topic)).collect();
            log_dirichlet_normalizer(&column)
        })
        .sum()
}
