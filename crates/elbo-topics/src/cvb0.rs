//! CVB0: responsibilities of every pair of a document and a word, shares integrated out.

use elbo_core::{Batch, EStepError, EstimateError};
use elbo_linalg::{Level, ln_in_place};

use crate::{
    Documents, LdaParams, LdaPrior,
    collapsed::{BLOCK, Sweep},
    kernels::{ShareStep, weighted_log},
    map_em::normalize,
    model::Algorithm,
};

/// Collapsed variational Bayes to zeroth order.
///
/// With the shares integrated out, the topic of a token given those of all others is the ratio of counts that a collapsed Gibbs
/// sampler draws from. Here the counts are expected ones, and the responsibilities are kept instead of a draw:
/// `γ_dwk ∝ (n_dk − γ_dwk + α_k)(n_wk − γ_dwk + η_wk)/(n_k − γ_dwk + Σ_w η_wk)`. Within a piece of the data every document sees
/// the counts that those before it have left; pieces meet in the M-step.
///
/// No bound is known that every step raises. The objective is the leave-one-out log-likelihood `Σ_dw n_dw ln p(w ∣ all other
/// tokens)` that the responsibilities are normalized by; it may fall, and the run ends when it changes little.
///
/// Responsibilities are kept in single precision, `4 k` bytes a pair; counts are sums in double precision. Good values are
/// `α ≈ 0.1` (0.02 for a hundred topics) and `η ≈ 0.05` to `0.1`; both must be positive.
///
/// Source: Asuncion, Welling, Smyth & Teh (2009), *On smoothing and inference for topic models*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cvb0 {
    /// Steps of [`MapEm`](crate::MapEm) for a document that nothing is known of yet.
    pub first_steps: usize,
}

impl Default for Cvb0 {
    fn default() -> Self {
        Self { first_steps: 5 }
    }
}

/// What one worker needs for CVB0, and remembers of its documents.
#[derive(Clone, Debug, Default)]
pub struct Cvb0Scratch {
    /// `γ`, pair by pair; empty where nothing is remembered.
    responsibilities: Vec<f32>,
    /// `n_dk + α_k`, document by document.
    in_document: Vec<f64>,
    /// `n_wk + η_wk` as the documents of the piece change them.
    table: Vec<f64>,
    /// `n_k + Σ_w η_wk` likewise; 1 in the padding.
    totals: Vec<f64>,
    /// Weights of topics for a few words.
    block: Vec<f64>,
    mixture: Vec<f64>,
    scaled: Vec<f64>,
    theta: Vec<f64>,
    gamma: Vec<f64>,
}

impl Algorithm for Cvb0 {
    const REMEMBERS: bool = true;
    const ASCENDS: bool = false;

    type Scratch = Cvb0Scratch;

    fn new_scratch(&self, params: &LdaParams) -> Cvb0Scratch {
        let row = || vec![0.0; params.stride];
        Cvb0Scratch { scaled: row(), theta: row(), gamma: row(), ..Cvb0Scratch::default() }
    }

    fn check(&self, prior: &LdaPrior) -> Result<(), EstimateError> {
        positive(prior)
    }

    fn derive(&self, params: &mut LdaParams) {
        params.penalty = 0.0;
    }

    fn e_step(
        &self,
        params: &LdaParams,
        documents: Documents<'_>,
        stats: &mut [f64],
        scratch: &mut Cvb0Scratch,
    ) -> Result<f64, EStepError> {
        let numbers = documents.pairs() * params.stride;
        let knows = scratch.responsibilities.len() == numbers
            && scratch.in_document.len() == documents.len() * params.stride;
        scratch.mixture.resize(documents.longest(), 0.0);
        if knows {
            return scratch.sweep(params, documents, stats);
        }
        scratch.responsibilities.clear();
        scratch.responsibilities.resize(numbers, 0.0);
        scratch.in_document.clear();
        scratch.in_document.resize(documents.len() * params.stride, 0.0);
        scratch.begin(params, documents, self.first_steps, stats)
    }
}

impl Cvb0Scratch {
    /// Responsibilities of documents that nothing is known of: those of points, `γ_dwk ∝ θ_dk φ_wk`.
    fn begin(
        &mut self,
        params: &LdaParams,
        documents: Documents<'_>,
        steps: usize,
        stats: &mut [f64],
    ) -> Result<f64, EStepError> {
        let (k, stride) = (params.k(), params.stride);
        let alpha = params.prior.alpha();
        let level = Level::detect();
        let mut data_term = 0.0;
        let mut responsibilities = self.responsibilities.as_mut_slice();
        for (d, (words, counts)) in documents.iter().enumerate() {
            let (theta, mixture) = (&mut self.theta, &mut self.mixture[..words.len()]);
            theta[..k].fill(1.0 / k as f64);
            for step in 0..=steps {
                for ((scaled, theta), total) in
                    self.scaled.iter_mut().zip(&*theta).zip(&params.totals)
                {
                    *scaled = theta / total;
                }
                self.gamma.fill(0.0);
                let (table, scaled, gamma) = (&params.counts, &self.scaled, &mut self.gamma);
                let stats: &mut [f64] = if step == steps { stats } else { &mut [] };
                level.dispatch(ShareStep { words, counts, table, scaled, gamma, mixture, stats });
                normalize(alpha, gamma, theta);
            }
            let (own, rest) = responsibilities.split_at_mut(words.len() * stride);
            responsibilities = rest;
            for ((row, word), mixture) in own.chunks_exact_mut(stride).zip(words).zip(&*mixture) {
                let table = &params.counts[*word as usize * stride..][..stride];
                for ((to, scaled), weight) in row.iter_mut().zip(&self.scaled).zip(table) {
                    *to = single(scaled * weight / mixture);
                }
            }
            let in_document = &mut self.in_document[d * stride..][..stride];
            in_document[..k].copy_from_slice(alpha);
            for (row, count) in own.chunks_exact(stride).zip(counts) {
                for (sum, gamma) in in_document.iter_mut().zip(row) {
                    *sum += f64::from(*count) * f64::from(*gamma);
                }
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

    /// One pass over documents that are known.
    fn sweep(
        &mut self,
        params: &LdaParams,
        documents: Documents<'_>,
        stats: &mut [f64],
    ) -> Result<f64, EStepError> {
        let stride = params.stride;
        self.table.clear();
        self.table.extend_from_slice(&params.counts);
        self.totals.clear();
        self.totals.extend_from_slice(&params.totals);
        self.block.resize(BLOCK * stride, 0.0);
        let concentration: f64 = params.prior.alpha().iter().sum();
        let level = Level::detect();
        let mut data_term = 0.0;
        let mut responsibilities = self.responsibilities.as_mut_slice();
        for (d, (words, counts)) in documents.iter().enumerate() {
            let (own, rest) = responsibilities.split_at_mut(words.len() * stride);
            responsibilities = rest;
            let mixture = &mut self.mixture[..words.len()];
            level.dispatch(Sweep {
                words,
                counts,
                responsibilities: own,
                in_document: &mut self.in_document[d * stride..][..stride],
                table: &mut self.table,
                totals: &mut self.totals,
                block: &mut self.block,
                stats: &mut *stats,
                mixture,
            });
            ln_in_place(mixture);
            let tokens: f64 = counts.iter().map(|count| f64::from(*count)).sum();
            // all other tokens of the document and the pseudo-counts are what its weights are shares of
            let others = (tokens - 1.0 + concentration).max(concentration).ln();
            let sum = weighted_log(counts, mixture) - tokens * others;
            if !sum.is_finite() {
                return Err(EStepError::Impossible { row: d });
            }
            data_term += sum;
        }
        Ok(data_term)
    }
}

/// Fails unless all pseudo-counts are positive.
pub(crate) fn positive(prior: &LdaPrior) -> Result<(), EstimateError> {
    if prior.is_positive() {
        return Ok(());
    }
    Err(EstimateError::Unsupported {
        what: "pseudo-counts of zero",
        structure: "shares that are integrated out; use MapEm, or positive ones",
    })
}

#[allow(clippy::cast_possible_truncation, reason = "responsibilities are kept in single precision")]
pub(crate) fn single(x: f64) -> f32 {
    x as f32
}
