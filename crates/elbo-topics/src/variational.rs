//! Variational Bayes: posteriors of the shares, of documents and of words.

use elbo_core::{EStepError, EstimateError};
use elbo_dist::special::{digamma, digamma_in_place, ln_gamma, ln_gamma_in_place};
use elbo_linalg::{Level, exp_in_place, ln_in_place};

use crate::{
    Documents, LdaParams, LdaPrior,
    cvb0::positive,
    kernels::{ShareStep, weighted_log},
    model::Algorithm,
};

/// Mean-field variational Bayes: `θ_d ~ Dirichlet(γ_d)` and `φ_k ~ Dirichlet(λ_k)` under `q`, tokens apart.
///
/// The objective is the evidence lower bound, with `Dirichlet(α)` and `Dirichlet(η)` as priors. Every document is inferred from
/// `γ_dk = 1` anew: posteriors that went on from where they were would keep each document in the topics it met first, and end far
/// worse. As the iteration for a document ends at one of several optima, the bound may fall a little from pass to pass.
///
/// As a predictor it is behind [`Cvb0`](crate::Cvb0) and [`MapEm`](crate::MapEm); take it for the bound. Good values are
/// `α ≈ 0.6`, `η ≈ 0.05`; both must be positive.
///
/// Source: Blei, Ng & Jordan (2003); the smoothed model as in Hoffman, Blei & Bach (2010).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variational {
    /// A document is done when the mean change of `γ_dk` is below this many tokens.
    pub tolerance: f64,
    /// The most steps for a document in a pass.
    pub steps: usize,
}

impl Default for Variational {
    fn default() -> Self {
        Self { tolerance: 1e-3, steps: 100 }
    }
}

/// What one worker needs for variational Bayes.
#[derive(Clone, Debug, Default)]
pub struct VariationalScratch {
    /// `exp ψ(γ_k) / exp ψ(Σ_w λ_wk)`.
    scaled: Vec<f64>,
    /// `exp −ψ(Σ_w λ_wk)`.
    inverse_totals: Vec<f64>,
    gamma: Vec<f64>,
    next: Vec<f64>,
    logs: Vec<f64>,
    mixture: Vec<f64>,
    /// Rows of the table of one document, side by side.
    rows: Vec<f64>,
    /// `0, 1, 2, …`: its words within them.
    numbers: Vec<u32>,
}

impl Algorithm for Variational {
    const REMEMBERS: bool = false;
    const ASCENDS: bool = false;

    type Scratch = VariationalScratch;

    fn new_scratch(&self, params: &LdaParams) -> VariationalScratch {
        let row = || vec![0.0; params.stride];
        VariationalScratch {
            scaled: row(),
            inverse_totals: row(),
            gamma: row(),
            next: row(),
            logs: row(),
            ..VariationalScratch::default()
        }
    }

    fn check(&self, prior: &LdaPrior) -> Result<(), EstimateError> {
        positive(prior)
    }

    /// Weights are `exp ψ(λ_wk)`; the penalty is `−Σ_k KL(Dirichlet(λ_k) ‖ Dirichlet(η_k))`.
    fn derive(&self, params: &mut LdaParams) {
        let k = params.k();
        params.weights.resize(params.counts.len(), 0.0);
        params.weights.copy_from_slice(&params.counts);
        let logs_of_totals: Vec<f64> =
            params.totals[..k].iter().map(|total| digamma(*total)).collect();
        let mut buffer = vec![0.0; params.stride];
        let mut penalty = 0.0;
        let same = params.prior.same_eta();
        let mut prior_totals = vec![0.0; k];
        let rows = params.weights.chunks_exact_mut(params.stride);
        for ((word, row), lambda) in rows.enumerate().zip(params.counts.chunks_exact(params.stride))
        {
            let (row, lambda) = (&mut row[..k], &lambda[..k]);
            digamma_in_place(row);
            buffer[..k].copy_from_slice(lambda);
            ln_gamma_in_place(&mut buffer[..k]);
            for topic in 0..k {
                let eta = same.unwrap_or_else(|| params.prior.word(word, topic));
                prior_totals[topic] += eta;
                penalty +=
                    buffer[topic] + (eta - lambda[topic]) * (row[topic] - logs_of_totals[topic]);
                if same.is_none() {
                    penalty -= ln_gamma(eta);
                }
            }
            exp_in_place(row);
        }
        if let Some(eta) = same {
            penalty -= (params.words * k) as f64 * ln_gamma(eta);
        }
        for (prior, total) in prior_totals.iter().zip(&params.totals) {
            penalty += ln_gamma(*prior) - ln_gamma(*total);
        }
        params.penalty = penalty;
    }

    fn e_step(
        &self,
        params: &LdaParams,
        documents: Documents<'_>,
        stats: &mut [f64],
        scratch: &mut VariationalScratch,
    ) -> Result<f64, EStepError> {
        let k = params.k();
        scratch.mixture.resize(documents.longest(), 0.0);
        scratch.rows.resize(documents.longest() * params.stride, 0.0);
        scratch.numbers.extend((0_u32..).take(documents.longest()).skip(scratch.numbers.len()));
        scratch.inverse_totals.copy_from_slice(&params.totals);
        digamma_in_place(&mut scratch.inverse_totals[..k]);
        scratch.inverse_totals[..k].iter_mut().for_each(|x| *x = (-*x).exp());
        let mut data_term = 0.0;
        for (d, document) in documents.iter().enumerate() {
            let bound = scratch.document(self, params, document, stats);
            if !bound.is_finite() {
                return Err(EStepError::Impossible { row: d });
            }
            data_term += bound;
        }
        Ok(data_term)
    }
}

impl VariationalScratch {
    /// Infers one document from the start; returns its part of the bound.
    fn document(
        &mut self,
        how: &Variational,
        params: &LdaParams,
        (words, counts): (&[u32], &[f32]),
        stats: &mut [f64],
    ) -> f64 {
        let (k, stride) = (params.k(), params.stride);
        let alpha = params.prior.alpha();
        let rows = &mut self.rows[..words.len() * stride];
        for (row, word) in rows.chunks_exact_mut(stride).zip(words) {
            let from = &params.weights[*word as usize * stride..][..stride];
            for ((row, from), inverse) in row.iter_mut().zip(from).zip(&self.inverse_totals) {
                *row = from * inverse;
            }
        }
        let level = Level::detect();
        let (numbers, mixture) = (&self.numbers[..words.len()], &mut self.mixture[..words.len()]);
        let (gamma, next) = (&mut self.gamma[..k], &mut self.next);
        gamma.fill(1.0);
        for _ in 0..how.steps {
            self.scaled[..k].copy_from_slice(gamma);
            digamma_in_place(&mut self.scaled[..k]);
            exp_in_place(&mut self.scaled[..k]);
            next.fill(0.0);
            next[..k].copy_from_slice(alpha);
            level.dispatch(ShareStep {
                words: numbers,
                counts,
                table: rows,
                scaled: &self.scaled,
                gamma: next,
                mixture,
                stats: &mut [],
            });
            let moved: f64 = gamma.iter().zip(&*next).map(|(a, b)| (a - b).abs()).sum();
            gamma.copy_from_slice(&next[..k]);
            if moved < how.tolerance * k as f64 {
                break;
            }
        }
        // Tokens and the bound are those of the same posterior of the shares.
        let logs = &mut self.logs[..k];
        logs.copy_from_slice(gamma);
        digamma_in_place(logs);
        self.scaled[..k].copy_from_slice(logs);
        exp_in_place(&mut self.scaled[..k]);
        for (scaled, inverse) in self.scaled[..k].iter_mut().zip(&self.inverse_totals) {
            *scaled *= inverse;
        }
        next.fill(0.0);
        level.dispatch(ShareStep {
            words,
            counts,
            table: &params.weights,
            scaled: &self.scaled,
            gamma: next,
            mixture,
            stats,
        });
        ln_in_place(mixture);
        let total: f64 = gamma.iter().sum();
        let log_total = digamma(total);
        let tokens: f64 = counts.iter().map(|count| f64::from(*count)).sum();
        weighted_log(counts, mixture)
            - tokens * log_total
            - divergence(alpha, gamma, logs, total, log_total)
    }
}

/// `KL(Dirichlet(γ) ‖ Dirichlet(α))`, given `ψ(γ_k)`, `Σγ` and `ψ(Σγ)`.
fn divergence(alpha: &[f64], gamma: &[f64], logs: &[f64], total: f64, log_total: f64) -> f64 {
    let mut sum = ln_gamma(total) - ln_gamma(alpha.iter().sum());
    for ((alpha, gamma), log) in alpha.iter().zip(gamma).zip(logs) {
        sum += ln_gamma(*alpha) - ln_gamma(*gamma) + (gamma - alpha) * (log - log_total);
    }
    sum
}
