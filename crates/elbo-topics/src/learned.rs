//! Pseudo-counts of topics from documents.

use elbo_core::{Batch, EStepError, FitError, Rows, fit_single};
use elbo_dist::DirichletMultinomial;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{Documents, TopicModel, TopicsError};

/// Sweeps after which a document has forgotten that it began at its best shares.
const SWEEPS: usize = 5;

impl TopicModel {
    /// How many tokens of each document each topic has in one draw of the topics of all tokens, `k` a document: from their
    /// posterior given the topics and `α`, by sweeps of the collapsed Gibbs sampler from a draw at the best shares.
    ///
    /// Weighted counts are rounded to whole tokens.
    ///
    /// # Errors
    ///
    /// As [`shares`](Self::shares).
    pub fn draw_counts(&self, documents: Documents<'_>, seed: u64) -> Result<Vec<f64>, EStepError> {
        let k = self.k();
        let shares = self.shares(documents, 1e-4)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = vec![0.0; documents.len() * k];
        let mut sums = vec![0.0; k];
        let mut tokens: Vec<(u32, usize)> = Vec::new();
        let each = documents.iter().zip(shares.chunks_exact(k)).zip(counts.chunks_exact_mut(k));
        for ((document, theta), drawn) in each {
            let mut draw = |word: u32, weights: &mut dyn Iterator<Item = f64>| {
                let mut sum = 0.0;
                for ((to, weight), p) in sums.iter_mut().zip(weights).zip(self.word(word as usize))
                {
                    sum += weight * p;
                    *to = sum;
                }
                let u = rng.random::<f64>() * sum;
                sums.partition_point(|s| *s <= u).min(k - 1)
            };
            tokens.clear();
            for (word, count) in document.0.iter().zip(document.1) {
                let mut left = count.round();
                while left > 0.0 {
                    let topic = draw(*word, &mut theta.iter().copied());
                    drawn[topic] += 1.0;
                    tokens.push((*word, topic));
                    left -= 1.0;
                }
            }
            for _ in 0..SWEEPS {
                for (word, topic) in &mut tokens {
                    drawn[*topic] -= 1.0;
                    let weights = drawn.iter().zip(self.alpha()).map(|(n, alpha)| n + alpha);
                    *topic = draw(*word, &mut { weights });
                    drawn[*topic] += 1.0;
                }
            }
        }
        Ok(counts)
    }

    /// The `α` under which such shares are most probable, one for each topic: the Dirichlet-multinomial maximum likelihood
    /// estimate from one [draw](Self::draw_counts) of the topics of all tokens: a step of stochastic EM. Repeat it from what it
    /// gives ([`with_alpha`](Self::with_alpha)) until it only fluctuates.
    ///
    /// Expected counts would not do: they vary less than drawn ones, and give an `α` that is several times too large.
    ///
    /// # Errors
    ///
    /// [`TopicsError`] where a document has a word that no topic has, or a topic was never drawn.
    pub fn learned_alpha(
        &self,
        documents: Documents<'_>,
        seed: u64,
    ) -> Result<Vec<f64>, TopicsError> {
        let drawn = self.draw_counts(documents, seed).map_err(FitError::from)?;
        let start = self.alpha().iter().map(|a| a.max(1e-3)).collect();
        let start = DirichletMultinomial::new(start).map_err(|_| FitError::NotRun)?;
        let fit = fit_single(start, Rows::new(&drawn, documents.len(), self.k()))?;
        Ok(fit.params.concentration().to_vec())
    }

    /// The `n` documents whose shares of topics are most similar to those of document `like`, nearest first, with the Hellinger
    /// distances of their shares, from 0 to 1.
    ///
    /// # Panics
    ///
    /// If `shares` are not `k` for each of some documents, or `like` is none of them.
    pub fn similar(&self, shares: &[f64], like: usize, n: usize) -> Vec<(usize, f64)> {
        let k = self.k();
        assert!(shares.len().is_multiple_of(k), "{k} shares for each document");
        let own = &shares[like * k..][..k];
        let distance = |other: &[f64]| {
            let overlap: f64 = own.iter().zip(other).map(|(a, b)| (a * b).sqrt()).sum();
            (1.0 - overlap).max(0.0).sqrt()
        };
        let mut all: Vec<(usize, f64)> =
            shares.chunks_exact(k).map(distance).enumerate().filter(|(d, _)| *d != like).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }
}
