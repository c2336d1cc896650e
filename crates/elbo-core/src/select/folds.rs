//! Folds of units, and what held-out data say.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::DataError;

/// A partition of `n` units into folds that are held out in turn.
///
/// A unit is what a model takes as independent of the others: a row, a sequence, a document. Repeated measurements of one
/// subject belong into one fold: [`from_labels`](Self::from_labels).
///
/// ```
/// let folds = elbo_core::Folds::new(10, 3, 1)?;
/// let (training, held_out) = folds.weights(0, None);
/// assert_eq!(training.iter().sum::<f64>() + held_out.iter().sum::<f64>(), 10.0);
/// # Ok::<(), elbo_core::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    k: usize,
    fold_of: Vec<usize>,
}

impl Folds {
    /// `k` folds of `n` units at random, their sizes equal within one.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFew`] if there are fewer units than folds: a single long sequence cannot be held out in parts.
    ///
    /// # Panics
    ///
    /// If `k < 2`.
    pub fn new(n: usize, k: usize, seed: u64) -> Result<Self, DataError> {
        assert!(k > 1, "at least two folds are needed");
        if n < k {
            return Err(DataError::TooFew { n, needed: k });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut fold_of: Vec<usize> = (0..n).map(|i| i % k).collect();
        for i in (1..n).rev() {
            fold_of.swap(i, rng.random_range(0..=i));
        }
        Ok(Self { k, fold_of })
    }

    /// The folds that `labels` tell, from 0: groups that must not be torn, or a partition made elsewhere.
    ///
    /// # Panics
    ///
    /// If there are fewer than two folds, or one of `0..k` has no unit.
    pub fn from_labels(labels: Vec<usize>) -> Self {
        let k = labels.iter().max().map_or(0, |most| most + 1);
        assert!(k > 1, "at least two folds are needed");
        let mut filled = vec![false; k];
        for fold in &labels {
            filled[*fold] = true;
        }
        assert!(filled.into_iter().all(|x| x), "every fold from 0 to {} needs a unit", k - 1);
        Self { k, fold_of: labels }
    }

    /// Number of folds.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The fold of each unit.
    pub fn labels(&self) -> &[usize] {
        &self.fold_of
    }

    /// Weights of all units while `fold` is held out: those of training, zero within the fold, and those of the held-out
    /// units, zero elsewhere. `own` are the units' own weights, if they have any.
    ///
    /// # Panics
    ///
    /// If there is no such fold, or not one weight per unit.
    pub fn weights(&self, fold: usize, own: Option<&[f64]>) -> (Vec<f64>, Vec<f64>) {
        assert!(fold < self.k, "there are {} folds, none is number {fold}", self.k);
        let n = self.fold_of.len();
        assert!(own.is_none_or(|own| own.len() == n), "one weight per unit");
        let weight = |i: usize| own.map_or(1.0, |own| own[i]);
        let pick = |held_out: bool| {
            let counts = |i: usize| (self.fold_of[i] == fold) == held_out;
            (0..n).map(|i| if counts(i) { weight(i) } else { 0.0 }).collect()
        };
        (pick(false), pick(true))
    }
}

/// What data say that a fit has not seen, by K-fold cross-validation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HeldOut {
    /// `Σ` of held-out log-likelihoods over the folds, in nats: every unit is held out once.
    pub log_likelihood: f64,
    /// Observations held out in all, or their total weight.
    pub observations: f64,
    /// Standard error of [`mean`](Self::mean) from its spread over the folds, in nats per observation. Folds share most of
    /// their training data, so it is somewhat too small, and no estimator of it is unbiased (Bengio & Grandvalet 2004).
    pub standard_error: f64,
    /// Folds that held data out.
    pub folds: usize,
    /// Folds whose fit was spurious or broke down.
    pub unsound: usize,
}

impl HeldOut {
    /// From each fold's log-likelihood and number of observations.
    pub(super) fn of(folds: &[(f64, f64)], unsound: usize) -> Self {
        let k = folds.len() as f64;
        let log_likelihood: f64 = folds.iter().map(|fold| fold.0).sum();
        let observations: f64 = folds.iter().map(|fold| fold.1).sum();
        let mean = log_likelihood / observations;
        // A ratio of sums: the spread of ℓ_f − mean · n_f, per mean size of a fold.
        let spread: f64 = folds.iter().map(|(l, n)| (l - mean * n).powi(2)).sum();
        let standard_error = (spread / (k * (k - 1.0))).sqrt() / (observations / k);
        Self { log_likelihood, observations, standard_error, folds: folds.len(), unsound }
    }

    /// Mean held-out log-likelihood, in nats per observation; larger is better.
    pub fn mean(&self) -> f64 {
        self.log_likelihood / self.observations
    }

    /// `−2 ×` the held-out log-likelihood, on the scale of information criteria; smaller is better.
    pub fn deviance(&self) -> f64 {
        -2.0 * self.log_likelihood
    }

    /// Standard error of [`deviance`](Self::deviance).
    pub fn deviance_error(&self) -> f64 {
        2.0 * self.observations * self.standard_error
    }
}

/// Why a candidate has no held-out likelihood.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("fold {fold}: {source}")]
pub struct FoldError<E> {
    /// The first fold that failed, from 0.
    pub fold: usize,
    /// Why: no fit without it, or it is impossible under that fit.
    pub source: E,
}
