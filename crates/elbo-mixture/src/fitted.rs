//! From a start strategy to a fitted, comparable mixture.

use elbo_core::{
    Batch, ChunkSource, DataError, Estimator, Family, FitError, Observer, Report, Restarts, Runs,
    Scored, Scores, Settings, Shown, Weighted, criteria, fit_restarts, fit_restarts_source,
    fit_search, for_each_piece, spurious_components,
};
use elbo_dist::Categorical;

use crate::{
    Mixture, MixtureError, MixtureModel, MixtureParams, MixtureStats, groups::Groups, start::Starts,
};

/// A fitted mixture and how it was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fitted<F> {
    /// The best mixture; under variational Bayes the points that stand for the posteriors.
    pub mixture: Mixture<F>,
    /// The report of the run that found it.
    pub report: Report,
    /// How every run ended.
    pub runs: Runs,
    /// `ℓ = Σᵢ wᵢ ln p(xᵢ)` of all rows at `mixture`, jointly with their labels, in nats, without any prior.
    pub log_likelihood: f64,
    /// `Σᵢ wᵢ ln maxⱼ γᵢⱼ ≤ 0`, in nats: 0 where every row surely belongs to one component.
    pub log_certainty: f64,
    /// Components that look like artifacts of an unbounded likelihood.
    pub spurious: Vec<usize>,
}

/// The best run of a mixture with its parameters and statistics, and how all runs ended.
pub type MixtureRestarts<F, E, W> = Restarts<MixtureParams<F, E, W>, MixtureStats<F>>;

/// Where the runs of a fit begin.
#[derive(Clone, Debug)]
pub enum Start<F> {
    /// `runs` starts with `k` components shaped like `template`, put at rows that k-means++ picks.
    Spread {
        /// Number of components.
        k: usize,
        /// Number of runs.
        runs: usize,
        /// Gives the shape (dimension, structure, number of categories); its values do not matter.
        template: F,
    },
    /// The same, with further components that start as they are: noise, or components of another family.
    Beside {
        /// Number of components shaped like `template`.
        k: usize,
        /// Number of runs.
        runs: usize,
        /// Gives their shape, as in `Spread`.
        template: F,
        /// The components after them.
        others: Vec<F>,
    },
    /// `runs` starts with `k` components, each estimated from a few random rows: for regressions and other components that
    /// one row says too little about.
    Groups {
        /// Number of components.
        k: usize,
        /// Number of runs.
        runs: usize,
        /// Gives the shape, as in `Spread`.
        template: F,
    },
    /// One run from this mixture.
    At(Mixture<F>),
    /// One run from a partition of the rows.
    Labels {
        /// The component of each row, from 0, each with at least one row.
        labels: Vec<usize>,
        /// Gives the shape, as in `Spread`.
        template: F,
    },
}

impl<F> Scored for Fitted<F> {
    fn scores(&self) -> Scores {
        Scores {
            log_likelihood: self.log_likelihood,
            free_parameters: self.report.free_parameters,
            observations: self.report.observations,
            log_certainty: Some(self.log_certainty),
            standing: self.report.standing(),
        }
    }
}

impl<F: Family> Fitted<F> {
    /// Akaike's criterion; smaller is better.
    pub fn aic(&self) -> f64 {
        self.scores().aic()
    }

    /// The Bayesian criterion; smaller is better.
    pub fn bic(&self) -> f64 {
        self.scores().bic()
    }

    /// The integrated completed likelihood; smaller is better.
    pub fn icl(&self) -> f64 {
        criteria::icl(self.bic(), self.log_certainty)
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> MixtureModel<F, E, W> {
    /// Fits the mixture from every start and keeps the best sound end.
    ///
    /// Runs go side by side on the current rayon pool where the `rayon` feature is on; the same seed gives the same
    /// bits on any number of threads.
    ///
    /// # Errors
    ///
    /// If the data cannot be used, there are fewer rows (or distinct rows) than components, or no start has a finite
    /// density. Not converging is no error: see [`Fitted::report`].
    ///
    /// # Panics
    ///
    /// If zero components or zero runs are asked for, or there is not one label per row.
    pub fn fit<'d>(
        &self,
        data: Weighted<'d, F::Batch<'d>>,
        start: &Start<F>,
        settings: &Settings,
        observer: &impl Observer<MixtureParams<F, E, W>>,
    ) -> Result<Fitted<F>, FitError> {
        let restarts = self.fit_restarts(data, start, settings, observer)?;
        Self::finish(&Shown::<Self>(data), restarts, settings)
    }

    /// The same fits, ending in the parameters and statistics of the best run: posteriors under variational Bayes.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    ///
    /// # Panics
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_restarts<'d>(
        &self,
        data: Weighted<'d, F::Batch<'d>>,
        start: &Start<F>,
        settings: &Settings,
        observer: &impl Observer<MixtureParams<F, E, W>>,
    ) -> Result<MixtureRestarts<F, E, W>, FitError> {
        if data.is_empty() {
            return Err(DataError::Empty.into());
        }
        match start {
            Start::At(mixture) => {
                let start = |_| Ok(self.start(mixture.clone(), data.observations())?);
                fit_restarts(self, data, 1, start, settings, observer)
            }
            Start::Labels { labels, template } => {
                assert_eq!(labels.len(), data.len(), "one label per row");
                let k = labels.iter().max().map_or(1, |largest| largest + 1);
                let start = |_| {
                    let mixture = self.components_from_labels(template, data, labels, k)?;
                    Ok(self.start(mixture, data.observations())?)
                };
                fit_restarts(self, data, 1, start, settings, observer)
            }
            Start::Spread { k, runs, template } => {
                self.fit_spread(data, (*k, &[]), *runs, template, settings, observer)
            }
            Start::Groups { k, runs, template } => {
                assert!(*k > 0, "a mixture needs a component");
                let groups = Groups::new(self, template, data, *k, settings.seed)?;
                let start = |run| Ok(self.start(groups.make(run)?, data.observations())?);
                fit_restarts(self, data, *runs, start, settings, observer)
            }
            Start::Beside { k, runs, template, others } => {
                self.fit_spread(data, (*k, others), *runs, template, settings, observer)
            }
        }
    }

    /// Goes on from the components in descending order of weight, as long as that raises the objective: sticks know an
    /// order. Where labels name components they stay as they are.
    pub(crate) fn sort_components<'d>(
        &self,
        data: Weighted<'d, F::Batch<'d>>,
        mut fitted: Fitted<F>,
        settings: &Settings,
        observer: &impl Observer<MixtureParams<F, E, W>>,
    ) -> Result<Fitted<F>, FitError> {
        if data.labels().is_some() {
            return Ok(fitted);
        }
        for _ in 0..fitted.mixture.k() {
            if fitted.mixture.weights().is_sorted_by(|a, b| a >= b) {
                break;
            }
            let sorted = Start::At(fitted.mixture.sorted_by_weight());
            let again = self.fit(data, &sorted, settings, observer)?;
            if again.report.objective <= fitted.report.objective {
                break;
            }
            fitted = Fitted { runs: fitted.runs, ..again };
        }
        Ok(fitted)
    }

    /// From starts of `k` components at rows, beside others.
    fn fit_spread<'d>(
        &self,
        data: Weighted<'d, F::Batch<'d>>,
        (k, others): (usize, &[F]),
        runs: usize,
        template: &F,
        settings: &Settings,
        observer: &impl Observer<MixtureParams<F, E, W>>,
    ) -> Result<MixtureRestarts<F, E, W>, FitError> {
        assert!(k > 0, "a mixture needs a component");
        let n = data
            .weights()
            .map_or(data.len(), |weights| weights.iter().filter(|weight| **weight > 0.0).count());
        if n < k {
            return Err(DataError::TooFew { n, needed: k }.into());
        }
        let starts = Starts::new(self, template, data, (k, others), settings)?;
        fit_search(self, &Shown::<Self>(data), runs, &starts, settings, observer)
    }

    /// Fits the mixture to data that may be larger than memory, from each of these starts, and keeps the best sound end.
    ///
    /// Gives the bits of [`fit`](Self::fit) from one [`Start::At`] where there is one start. Good starts are fits of a part of
    /// the rows that does fit into memory.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit), and where the data cannot be read at first; if that happens later, the report says so.
    ///
    /// # Panics
    ///
    /// If there is no start.
    pub fn fit_source<D>(
        &self,
        source: &D,
        starts: &[Mixture<F>],
        settings: &Settings,
        observer: &impl Observer<MixtureParams<F, E, W>>,
    ) -> Result<Fitted<F>, FitError>
    where
        D: for<'a> ChunkSource<Chunk<'a> = Weighted<'a, F::Batch<'a>>>,
    {
        let start = |run: usize| Ok(self.start(starts[run].clone(), source.observations())?);
        let restarts = fit_restarts_source(self, source, starts.len(), start, settings, observer)?;
        Self::finish(source, restarts, settings)
    }

    /// Scores the data at the best end.
    fn finish<D>(
        source: &D,
        restarts: Restarts<MixtureParams<F, E, W>, MixtureStats<F>>,
        settings: &Settings,
    ) -> Result<Fitted<F>, FitError>
    where
        D: for<'a> ChunkSource<Chunk<'a> = Weighted<'a, F::Batch<'a>>>,
    {
        let mixture = restarts.best.params.to_mixture();
        let mut sums = (0.0, 0.0);
        for_each_piece(source, settings.pieces, |start, data| {
            mixture.add_fit_and_certainty(data, &mut sums).map_err(|error| at_row(error, start))
        })?;
        let (log_likelihood, log_certainty) = sums;
        let (counts, stats) = &restarts.best.stats;
        let spurious = spurious_components::<F, E>(mixture.components(), stats, counts[0].counts());
        Ok(Fitted {
            mixture,
            report: restarts.best.report,
            runs: restarts.runs,
            log_likelihood,
            log_certainty,
            spurious,
        })
    }
}

/// What is wrong with data of which the first row is number `start`.
fn at_row(error: MixtureError, start: usize) -> FitError {
    match error.of_scoring() {
        FitError::Data(error) => error.placed(|row| row + start, |column| column).into(),
        FitError::EStep(error) => error.offset(start).into(),
        other => other,
    }
}
