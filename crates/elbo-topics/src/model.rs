//! Latent Dirichlet allocation as a latent-variable model: documents are the units, words in topics are counted.

use elbo_core::{
    DataError, EStepError, EstimateError, Inference, LatentModel, Repairs, Statistics, mix,
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{Documents, LdaParams, LdaPrior, prior::stride};

/// How the topics of a document are inferred, and so what is maximized: [`MapEm`](crate::MapEm), [`Cvb0`](crate::Cvb0) or
/// [`Variational`](crate::Variational).
pub trait Algorithm: Copy + std::fmt::Debug + Send + Sync {
    /// Does an E-step go on from where the last one left each document?
    const REMEMBERS: bool;
    /// Does every step raise the objective?
    const ASCENDS: bool;
    /// What one worker needs, and remembers.
    type Scratch: Send;

    /// Scratch for topics of this shape, which remembers nothing.
    fn new_scratch(&self, params: &LdaParams) -> Self::Scratch;

    /// Can the algorithm use this prior?
    ///
    /// # Errors
    ///
    /// [`EstimateError::Unsupported`].
    fn check(&self, prior: &LdaPrior) -> Result<(), EstimateError>;

    /// Fills in what is derived from counts that are summed up, the penalty included.
    fn derive(&self, params: &mut LdaParams);

    /// Adds the expected tokens of each word in each topic and returns the data term.
    ///
    /// # Errors
    ///
    /// If no topic explains a word of a document.
    fn e_step(
        &self,
        params: &LdaParams,
        documents: Documents<'_>,
        stats: &mut [f64],
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError>;
}

/// Latent Dirichlet allocation under one of three algorithms, for the drivers of `elbo-core`.
///
/// [`Topics`](crate::Topics) is the way in for most; this is for those who want to drive it otherwise. Latent variables are
/// filled in softly whatever is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LdaModel<A> {
    algorithm: A,
}

impl<A: Algorithm> LdaModel<A> {
    /// The model under this algorithm.
    pub fn new(algorithm: A) -> Self {
        Self { algorithm }
    }

    /// The algorithm.
    pub fn algorithm(&self) -> &A {
        &self.algorithm
    }

    /// Topics with these counts of words: `counts[word · k + topic]` expected tokens, to which the pseudo-counts are added.
    ///
    /// # Errors
    ///
    /// If the prior cannot be used, a topic has no weight, or a count is negative or not finite.
    ///
    /// # Panics
    ///
    /// If `counts` is no whole number of rows of `k`.
    pub fn start_at(&self, prior: LdaPrior, counts: &[f64]) -> Result<LdaParams, EstimateError> {
        let k = prior.k();
        assert!(counts.len().is_multiple_of(k), "{} counts are no rows of {k}", counts.len());
        let mut padded = vec![0.0; counts.len() / k * stride(k)];
        for (row, from) in padded.chunks_exact_mut(stride(k)).zip(counts.chunks_exact(k)) {
            row[..k].copy_from_slice(from);
        }
        self.estimate(prior, padded)
    }

    /// Random topics near the word frequencies `frequencies`: each count is `1 + frequency` times a number from ½ to 1½, so that
    /// topics differ, and none is far from the corpus.
    ///
    /// # Errors
    ///
    /// If the prior cannot be used.
    pub fn random_start(
        &self,
        prior: LdaPrior,
        frequencies: &[f64],
        seed: u64,
    ) -> Result<LdaParams, EstimateError> {
        let k = prior.k();
        let mut rng = ChaCha8Rng::seed_from_u64(mix(seed, 0));
        let mut counts = vec![0.0; frequencies.len() * stride(k)];
        for (row, frequency) in counts.chunks_exact_mut(stride(k)).zip(frequencies) {
            for x in &mut row[..k] {
                let factor: f64 = rng.random_range(0.5..1.5);
                *x = factor * (1.0 + frequency) / k as f64;
            }
        }
        self.estimate(prior, counts)
    }

    /// The same topics for this algorithm, from the expected tokens that another one has found.
    ///
    /// # Errors
    ///
    /// If the prior cannot be used.
    pub fn start_from_stats(
        &self,
        prior: LdaPrior,
        stats: &LdaStats,
    ) -> Result<LdaParams, EstimateError> {
        self.estimate(prior, stats.counts.clone())
    }

    fn estimate(&self, prior: LdaPrior, counts: Vec<f64>) -> Result<LdaParams, EstimateError> {
        self.algorithm.check(&prior)?;
        let words = counts.len() / stride(prior.k());
        if prior.words().is_some_and(|given| given != words) {
            return Err(EstimateError::Unsupported {
                what: "a prior of words",
                structure: "a vocabulary of another size",
            });
        }
        let mut params = LdaParams::empty(prior.clone(), words);
        params.counts = counts;
        prior.add_words(&mut params.counts);
        params.sum_up()?;
        self.algorithm.derive(&mut params);
        Ok(params)
    }
}

/// Expected tokens of each word in each topic.
#[derive(Clone, Debug, PartialEq)]
pub struct LdaStats {
    k: usize,
    pub(crate) counts: Vec<f64>,
}

impl LdaStats {
    /// Nothing counted of `words` words in `k` topics.
    pub fn new(words: usize, k: usize) -> Self {
        Self { k, counts: vec![0.0; words * stride(k)] }
    }

    /// Expected tokens of `word`, one for each topic.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    pub fn counts(&self, word: usize) -> &[f64] {
        &self.counts[word * stride(self.k)..][..self.k]
    }

    /// Expected tokens of each topic.
    pub fn totals(&self) -> Vec<f64> {
        let mut totals = vec![0.0; self.k];
        for row in self.counts.chunks_exact(stride(self.k)) {
            totals.iter_mut().zip(row).for_each(|(total, x)| *total += x);
        }
        totals
    }
}

impl Statistics for LdaStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.counts);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.counts);
    }
}

impl<A: Algorithm> LatentModel for LdaModel<A> {
    type Data<'a> = Documents<'a>;
    type Params = LdaParams;
    type Stats = LdaStats;
    type Scratch = A::Scratch;

    const REMEMBERS: bool = A::REMEMBERS;
    const ASCENDS: bool = A::ASCENDS;

    fn check(&self, params: &LdaParams, data: Documents<'_>) -> Result<(), DataError> {
        if data.words() != params.words {
            return Err(DataError::Dimension { expected: params.words, found: data.words() });
        }
        Ok(())
    }

    fn new_stats(&self, params: &LdaParams) -> LdaStats {
        LdaStats::new(params.words, params.k())
    }

    fn new_scratch(&self, params: &LdaParams) -> A::Scratch {
        self.algorithm.new_scratch(params)
    }

    fn e_step(
        &self,
        params: &LdaParams,
        data: Documents<'_>,
        _: &mut Inference<'_>,
        stats: &mut LdaStats,
        scratch: &mut A::Scratch,
    ) -> Result<f64, EStepError> {
        self.algorithm.e_step(params, data, &mut stats.counts, scratch)
    }

    fn m_step(
        &self,
        _: &LdaParams,
        stats: &LdaStats,
        next: &mut LdaParams,
    ) -> Result<Repairs, EstimateError> {
        next.counts.copy_from_slice(&stats.counts);
        let LdaParams { prior, counts, .. } = next;
        prior.add_words(counts);
        next.sum_up()?;
        self.algorithm.derive(next);
        Ok(Repairs::default())
    }

    fn penalty(&self, params: &LdaParams) -> f64 {
        params.penalty
    }

    fn free_parameters(&self, params: &LdaParams) -> usize {
        params.k() * (params.words - 1)
    }
}
