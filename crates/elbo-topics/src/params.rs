//! What is estimated: words in topics.

use elbo_core::EstimateError;
use elbo_linalg::MAX_LANES;

use crate::{LdaPrior, prior::stride};

/// Counts of words in topics, expected tokens and pseudo-counts together, and what algorithms derive from them.
///
/// Words are rows whose `k` topics lie side by side, padded to a whole number of vectors: a token reads one row.
#[derive(Clone, Debug, PartialEq)]
pub struct LdaParams {
    pub(crate) prior: LdaPrior,
    pub(crate) words: usize,
    pub(crate) stride: usize,
    /// `n_wk + η_wk`; 0 in the padding.
    pub(crate) counts: Vec<f64>,
    /// `Σ_w` of the same; 1 in the padding, which is divided by.
    pub(crate) totals: Vec<f64>,
    /// What scores words, where it is not the counts: `exp ψ(n_wk + η_wk)` under variational Bayes; scratch under MAP.
    pub(crate) weights: Vec<f64>,
    /// What the objective adds to the data term.
    pub(crate) penalty: f64,
}

impl LdaParams {
    /// Nothing counted.
    pub(crate) fn empty(prior: LdaPrior, words: usize) -> Self {
        let stride = stride(prior.k());
        Self {
            prior,
            words,
            stride,
            counts: vec![0.0; words * stride],
            totals: vec![1.0; stride],
            weights: Vec::new(),
            penalty: 0.0,
        }
    }

    /// Number of topics.
    pub fn k(&self) -> usize {
        self.prior.k()
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The pseudo-counts.
    pub fn prior(&self) -> &LdaPrior {
        &self.prior
    }

    /// Expected tokens and pseudo-counts of `word`, one for each topic.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    pub fn counts(&self, word: usize) -> &[f64] {
        &self.counts[word * self.stride..][..self.k()]
    }

    /// `Σ_w` of the counts, one for each topic.
    pub fn totals(&self) -> &[f64] {
        &self.totals[..self.k()]
    }

    /// `p(word ∣ topic)`: the mode under MAP, the posterior mean under all other algorithms.
    ///
    /// # Panics
    ///
    /// If there is no such word or topic.
    pub fn probability(&self, word: usize, topic: usize) -> f64 {
        self.counts(word)[topic] / self.totals()[topic]
    }

    /// Sums the counts of all words anew.
    ///
    /// # Errors
    ///
    /// [`EstimateError::NoWeight`] for a topic that has none, [`EstimateError::Infeasible`] where one is negative or not finite.
    pub(crate) fn sum_up(&mut self) -> Result<(), EstimateError> {
        let k = self.k();
        self.totals.fill(0.0);
        let mut least = [0.0_f64; MAX_LANES];
        for row in self.counts.chunks_exact(self.stride) {
            let lanes = row.as_chunks::<MAX_LANES>().0;
            for (total, x) in self.totals.as_chunks_mut::<MAX_LANES>().0.iter_mut().zip(lanes) {
                for l in 0..MAX_LANES {
                    total[l] += x[l];
                    least[l] = if x[l] < least[l] { x[l] } else { least[l] };
                }
            }
        }
        let is_negative = least.iter().any(|x| *x < 0.0);
        for (topic, total) in self.totals[..k].iter().enumerate() {
            if is_negative || !total.is_finite() {
                return Err(EstimateError::Infeasible { component: topic, what: "counts" });
            }
            if *total <= 0.0 {
                return Err(EstimateError::NoWeight { component: topic, weight: *total });
            }
        }
        self.totals[k..].fill(1.0);
        Ok(())
    }
}
