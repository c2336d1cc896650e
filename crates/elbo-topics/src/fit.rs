//! From a corpus to topics: pseudo-counts, a start, a run.

use elbo_core::{
    Batch, DataError, EstimateError, FitError, Observer, Report, Runs, Settings, Tolerance,
    Variant, fit, fit_restarts, mix,
};

use crate::{
    Algorithm, Cvb0, Documents, LdaModel, LdaParams, LdaPrior, LdaStats, MapEm, PriorError,
    TopicModel, Variational,
};

/// The algorithm of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Collapsed variational Bayes to zeroth order: the best topics where `4 k` bytes a pair fit into memory.
    Cvb0(Cvb0),
    /// Points: the fastest, and hardly worse.
    MapEm(MapEm),
    /// Variational Bayes: a bound on the evidence.
    Variational(Variational),
}

/// Fits topics to documents.
///
/// ```
/// use elbo_topics::{Corpus, Topics};
///
/// let animals = [(0, 3.0), (1, 2.0), (2, 1.0)];
/// let ships = [(3, 2.0), (4, 2.0), (5, 1.0)];
/// let corpus = Corpus::from_documents(6, (0..20).map(|d| if d % 2 == 0 { animals } else { ships }))?;
/// let fitted = Topics::new(2).fit(corpus.documents())?;
/// let mut words = fitted.model.top_words(0, 3);
/// words.sort_unstable();
/// assert!(words == [0, 1, 2] || words == [3, 4, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A run begins with one pass of online [`MapEm`] from random topics, since batch methods spend their first passes near the
/// unigram, and goes on with the [`Method`]. Pseudo-counts that are not given are those that were found good for the method:
///
/// | method | `α` | `η` |
/// |---|---|---|
/// | [`Cvb0`] | 0.1, from 50 topics on `2/k` | 0.05 |
/// | [`MapEm`] | 0.1 | 0.05 |
/// | [`Variational`] | 0.6 | 0.05 |
#[derive(Clone, Debug)]
pub struct Topics {
    k: usize,
    method: Method,
    alpha: Option<f64>,
    eta: Option<f64>,
    prior: Option<LdaPrior>,
    runs: usize,
    settings: Settings,
}

/// Why there are no topics.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicsError {
    /// The pseudo-counts.
    #[error(transparent)]
    Prior(#[from] PriorError),
    /// The documents, or the start.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Topics and how they were found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FittedTopics {
    /// The topics.
    pub model: TopicModel,
    /// The parameters of the run, to go on from.
    pub params: LdaParams,
    /// Expected tokens of each word in each topic.
    pub stats: LdaStats,
    /// The report of the best run.
    pub report: Report,
    /// How every run ended.
    pub runs: Runs,
}

impl Topics {
    /// `k` topics by [`Cvb0`], with the pseudo-counts of the table above.
    ///
    /// # Panics
    ///
    /// If `k = 0`.
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "at least one topic is needed");
        let settings = Settings {
            tolerance: Tolerance::Change(1e-5),
            max_iterations: 200,
            ..Settings::default()
        };
        let method = Method::Cvb0(Cvb0::default());
        Self { k, method, alpha: None, eta: None, prior: None, runs: 1, settings }
    }

    /// By this method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// The same `α` for all topics.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha: Some(alpha), ..self }
    }

    /// The same `η` for all words.
    #[must_use]
    pub fn eta(self, eta: f64) -> Self {
        Self { eta: Some(eta), ..self }
    }

    /// Pseudo-counts that differ between topics or words: seeds, for instance. They decide the number of topics.
    #[must_use]
    pub fn prior(self, prior: LdaPrior) -> Self {
        Self { k: prior.k(), prior: Some(prior), ..self }
    }

    /// Runs from so many random starts, of which the one with the highest objective is kept.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn runs(self, runs: usize) -> Self {
        assert!(runs > 0, "at least one run is needed");
        Self { runs, ..self }
    }

    /// Stopping, seed, threads' pieces and the variant of the run after the start. The default is at most 200 passes, until
    /// the objective changes by less than 10⁻⁵ nats a token.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// The pseudo-counts that a fit has.
    ///
    /// # Errors
    ///
    /// [`PriorError`] if one that was given is negative or not finite.
    pub fn pseudo_counts(&self) -> Result<LdaPrior, PriorError> {
        if let Some(prior) = &self.prior {
            return Ok(prior.clone());
        }
        let alpha = match self.method {
            Method::Variational(_) => 0.6,
            Method::Cvb0(_) if self.k >= 50 => 2.0 / self.k as f64,
            Method::Cvb0(_) | Method::MapEm(_) => 0.1,
        };
        LdaPrior::symmetric(self.k, self.alpha.unwrap_or(alpha), self.eta.unwrap_or(0.05))
    }

    /// Fits topics to these documents.
    ///
    /// # Errors
    ///
    /// [`TopicsError`] if there are no tokens, or the pseudo-counts cannot be used. Not converging is no error: see the report.
    pub fn fit(&self, documents: Documents<'_>) -> Result<FittedTopics, TopicsError> {
        self.fit_observed(documents, &())
    }

    /// The same with an observer of the runs, the first pass apart.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_observed(
        &self,
        documents: Documents<'_>,
        observer: &impl Observer<LdaParams>,
    ) -> Result<FittedTopics, TopicsError> {
        let prior = self.pseudo_counts()?;
        if documents.pairs() == 0 {
            return Err(FitError::from(DataError::Empty).into());
        }
        Ok(match self.method {
            Method::Cvb0(method) => self.run(method, &prior, documents, observer),
            Method::MapEm(method) => self.run(method, &prior, documents, observer),
            Method::Variational(method) => self.run(method, &prior, documents, observer),
        }?)
    }

    fn run<A: Algorithm>(
        &self,
        algorithm: A,
        prior: &LdaPrior,
        documents: Documents<'_>,
        observer: &impl Observer<LdaParams>,
    ) -> Result<FittedTopics, FitError> {
        let model = LdaModel::new(algorithm);
        let frequencies = word_counts(documents);
        let start = |run: usize| {
            let seed = mix(self.settings.seed, run as u64);
            match self.first_pass(prior, documents, &frequencies, seed)? {
                Some(stats) => Ok(model.start_from_stats(prior.clone(), &stats)?),
                None => Ok(model.random_start(prior.clone(), &frequencies, seed)?),
            }
        };
        let best = fit_restarts(&model, documents, self.runs, start, &self.settings, observer)?;
        let (runs, best) = (best.runs, best.best);
        let model = TopicModel::from_params(&best.params);
        Ok(FittedTopics {
            model,
            params: best.params,
            stats: best.stats,
            report: best.report,
            runs,
        })
    }

    /// What a pass of online MAP-EM finds from random topics; nothing for a corpus of a few documents.
    fn first_pass(
        &self,
        prior: &LdaPrior,
        documents: Documents<'_>,
        frequencies: &[f64],
        seed: u64,
    ) -> Result<Option<LdaStats>, FitError> {
        if documents.len() < 2 * LEAST_BATCH {
            return Ok(None);
        }
        let model = LdaModel::new(MapEm { first_steps: 4 });
        // Online EM meets words before they were counted: they must have some probability.
        let prior = if prior.is_positive() {
            prior.clone()
        } else {
            LdaPrior::symmetric(self.k, 0.1, 0.05).map_err(|_| unusable())?
        };
        let start = model.random_start(prior, frequencies, seed)?;
        let batch = (documents.len() / BATCHES).max(LEAST_BATCH);
        let settings = Settings {
            variant: Variant::Online { batch, epochs: 1, decay: 0.7, delay: 0.0 },
            seed,
            ..self.settings.clone()
        };
        Ok(Some(fit(&model, documents, start, &settings, &())?.stats))
    }
}

/// Batches of the first pass, unless they would be smaller than [`LEAST_BATCH`].
const BATCHES: usize = 80;
const LEAST_BATCH: usize = 25;

fn unusable() -> FitError {
    EstimateError::Unsupported { what: "topics", structure: "such pseudo-counts" }.into()
}

fn word_counts(documents: Documents<'_>) -> Vec<f64> {
    let mut totals = vec![0.0; documents.words()];
    for (words, counts) in documents.iter() {
        for (word, count) in words.iter().zip(counts) {
            totals[*word as usize] += f64::from(*count);
        }
    }
    totals
}
