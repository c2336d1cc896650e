//! Fits every candidate: each number of components with each structure, from many starts, within
//! the time there is.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use elbo::{
    core::{
        self, CancelToken, Criterion, Event, Family, FitError, Folds, Observer, Report, Runs,
        Scored, Scores, Settings, Weighted,
    },
    dist::{CovarianceStructure, Dirichlet, Gamma, Poisson},
    mixture::{Estimation, Fitted, GaussianMixture, Hierarchy, Mixture, MixtureModel, Rows, Start},
};
use indicatif::ProgressBar;

use crate::{
    model::{Model, counts},
    progress,
    table::Table,
};

/// What to fit and how.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    /// The data: complete, and whole numbers for counts.
    pub(crate) table: &'a Table,
    /// Numbers of components.
    pub(crate) components: Vec<usize>,
    /// Structures; one `None` for components without covariance.
    pub(crate) structures: Vec<Option<CovarianceStructure>>,
    /// ML, MAP or VB.
    pub(crate) estimation: Estimation,
    /// Starts of each candidate.
    pub(crate) starts: usize,
    /// One start of each candidate instead, from a hierarchy of the rows.
    pub(crate) hierarchical: bool,
    /// The start instead, for a single candidate.
    pub(crate) start: Option<Model>,
    /// All but the time budget, which is for the whole search.
    pub(crate) settings: Settings,
    /// Time for all candidates together.
    pub(crate) time_budget: Option<Duration>,
    /// Ends the search.
    pub(crate) cancel: CancelToken,
    /// What chooses.
    pub(crate) criterion: Criterion,
    /// Rows that are held out in turn, where held-out rows choose.
    pub(crate) folds: Option<Folds>,
    /// No progress bar.
    pub(crate) quiet: bool,
}

/// What a candidate is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Label {
    /// Number of components.
    pub(crate) k: usize,
    /// Structure of the covariances; `None` for components without.
    pub(crate) structure: Option<CovarianceStructure>,
}

/// A number of components with a structure, and what came of it.
pub(crate) type Candidate = core::Candidate<Label, Fit, FitError>;

/// All candidates, ranked.
pub(crate) type Selection = core::Selection<Label, Fit, FitError>;

/// A fitted candidate: what the library says of it, for any kind of component.
#[derive(Debug)]
pub(crate) struct Fit {
    /// The best mixture, its components from the heaviest to the lightest unless a start was given.
    pub(crate) model: Model,
    /// The run that found it.
    pub(crate) report: Report,
    /// How every run ended.
    pub(crate) runs: Runs,
    /// What criteria need to know of it.
    pub(crate) scores: Scores,
    /// Components that look like artifacts.
    pub(crate) spurious: Vec<usize>,
    /// Seconds on the wall clock for one iteration of the best run, if it made two.
    pub(crate) seconds_per_iteration: Option<f64>,
}

impl Scored for Fit {
    fn scores(&self) -> Scores {
        self.scores
    }
}

impl Search<'_> {
    /// Fits all candidates, the structures within each number of components, on the current pool, and ranks them.
    ///
    /// Every candidate has the same seed, so that fitting it alone gives the same result.
    pub(crate) fn run(&self) -> Selection {
        let begun = Instant::now();
        let deadline = self.time_budget.map(|budget| begun + budget);
        let labels: Vec<_> = self
            .components
            .iter()
            .flat_map(|&k| self.structures.iter().map(move |&structure| Label { k, structure }))
            .collect();
        let fits_each = 1 + self.folds.as_ref().map_or(0, Folds::k);
        let bar = if self.quiet {
            progress::hidden()
        } else {
            progress::fits((labels.len() * fits_each * self.starts) as u64)
        };
        let (first, own) = (labels[0], self.table.weights.as_deref());
        let shared = self.hierarchical.then(|| self.hierarchy(own));
        let is_whole =
            |weights: Option<&[f64]>| weights.map(<[f64]>::as_ptr) == own.map(<[f64]>::as_ptr);
        let fit = |label: &Label, weights: Option<&[f64]>| {
            let must = *label == first && is_whole(weights);
            let hierarchy = match &shared {
                Some(shared) if is_whole(weights) => Some(shared.clone()?),
                Some(_) => Some(self.hierarchy(weights)?),
                None => None,
            };
            self.candidate(*label, weights, hierarchy, must, deadline, &bar)
        };
        let selection = match &self.folds {
            None => core::select(labels, self.criterion, |label| fit(label, own)),
            Some(folds) => core::cross_validate(labels, folds, own, fit, |_, fit, weights| {
                self.score(&fit.model, weights)
            }),
        };
        bar.finish_and_clear();
        selection
    }

    /// The hierarchy of the rows that have weight.
    fn hierarchy(&self, weights: Option<&[f64]>) -> Result<Arc<Hierarchy>, FitError> {
        let rows = Rows::new(&self.table.values, self.table.n(), self.table.d());
        Ok(Arc::new(Hierarchy::of(Weighted::of(rows, weights)?)?))
    }

    /// Log-likelihood and total weight of rows.
    fn score(&self, model: &Model, weights: &[f64]) -> Result<(f64, f64), FitError> {
        let values = &self.table.values;
        match model {
            Model::Gaussian(mixture) => {
                let rows = Rows::new(values, self.table.n(), self.table.d());
                mixture.score(Weighted::new(rows, weights)?)
            }
            Model::Poisson(mixture) => mixture.score(Weighted::new(&counts(values)[..], weights)?),
        }
    }

    /// Fits one candidate to the rows with these weights. What `must` be fitted is begun in any case, so that there is a
    /// result.
    fn candidate(
        &self,
        label: Label,
        weights: Option<&[f64]>,
        hierarchy: Option<Arc<Hierarchy>>,
        must: bool,
        deadline: Option<Instant>,
        bar: &ProgressBar,
    ) -> Result<Fit, FitError> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let watch = Watch::new(bar, self.starts);
        if !must && (self.cancel.is_cancelled() || left == Some(Duration::ZERO)) {
            watch.finish();
            return Err(FitError::NotRun);
        }
        let k = label.k;
        bar.set_message(match label.structure {
            Some(structure) => format!("{k} × {structure}"),
            None => format!("{k} components"),
        });
        let settings = Settings {
            time_budget: left,
            cancel: Some(self.cancel.clone()),
            ..self.settings.clone()
        };
        let fit = match label.structure {
            Some(structure) => self.gaussian((k, structure), weights, hierarchy, settings, &watch),
            None => self.poisson(k, weights, &settings, &watch),
        };
        watch.finish();
        let mut fit = fit?;
        fit.seconds_per_iteration =
            watch.seconds_per_iteration(fit.runs.best, fit.report.iterations);
        Ok(fit)
    }

    fn gaussian(
        &self,
        (k, structure): (usize, CovarianceStructure),
        weights: Option<&[f64]>,
        hierarchy: Option<Arc<Hierarchy>>,
        settings: Settings,
        watch: &Watch<'_>,
    ) -> Result<Fit, FitError> {
        let (n, d) = (self.table.n(), self.table.d());
        let rows = Rows::new(&self.table.values, n, d);
        let mut builder = GaussianMixture::new(k)
            .structure(structure)
            .estimation(self.estimation)
            .starts(self.starts)
            .settings(settings);
        if let Some(hierarchy) = hierarchy {
            builder = builder.hierarchical(hierarchy);
        }
        if let Some(Model::Gaussian(start)) = &self.start {
            builder = builder.start_at(start.clone());
        }
        let fitted = builder.fit_observed(Weighted::of(rows, weights)?, watch);
        fitted.map(|fitted| self.fit_of(fitted, Model::Gaussian))
    }

    fn poisson(
        &self,
        k: usize,
        weights: Option<&[f64]>,
        settings: &Settings,
        watch: &Watch<'_>,
    ) -> Result<Fit, FitError> {
        let counts = counts(&self.table.values);
        let data = Weighted::of(&counts[..], weights)?;
        let start = match &self.start {
            Some(Model::Poisson(start)) => Start::At(start.clone()),
            _ => Start::Spread {
                k,
                runs: self.starts,
                template: Poisson::new(1.0).expect("1 is a rate"),
            },
        };
        let prior = || rate_prior(&self.table.values, weights);
        let shares =
            |alpha| Dirichlet::symmetric(k, alpha).expect("k and the concentration are positive");
        let fitted = match self.estimation {
            Estimation::MaximumLikelihood => MixtureModel::ml().fit(data, &start, settings, watch),
            Estimation::MaximumAPosteriori => {
                MixtureModel::map(prior(), shares(1.0)).fit(data, &start, settings, watch)
            }
            Estimation::VariationalBayes => {
                MixtureModel::vb(prior(), shares(1.0 / k as f64)).fit(data, &start, settings, watch)
            }
        };
        fitted.map(|fitted| self.fit_of(fitted, Model::Poisson))
    }

    /// The same fit for any kind of component.
    fn fit_of<F: Family>(&self, fitted: Fitted<F>, model: impl Fn(Mixture<F>) -> Model) -> Fit {
        let scores = fitted.scores();
        let model = model(fitted.mixture);
        let mut order: Vec<_> = (0..model.k()).collect();
        if self.start.is_none() {
            order.sort_by(|&a, &b| model.weights()[b].total_cmp(&model.weights()[a]));
        }
        let place = |component: &usize| order.iter().position(|at| at == component);
        Fit {
            spurious: fitted.spurious.iter().filter_map(place).collect(),
            model: model.reordered(&order),
            report: fitted.report,
            runs: fitted.runs,
            scores,
            seconds_per_iteration: None,
        }
    }
}

/// A weak prior on the scale of the counts: exponential with their mean, as if one row had been
/// seen already. Where all are zero, with mean one.
fn rate_prior(values: &[f64], weights: Option<&[f64]>) -> Gamma {
    let mean = match weights {
        None => values.iter().sum::<f64>() / values.len() as f64,
        Some(weights) => {
            let sum: f64 = values.iter().zip(weights).map(|(x, w)| x * w).sum();
            sum / weights.iter().sum::<f64>()
        }
    };
    Gamma::new(1.0, if mean > 0.0 { 1.0 / mean } else { 1.0 })
        .expect("the mean of counts is finite")
}

/// Moves the bar at the end of every run, and looks at the clock at every iteration.
pub(crate) struct Watch<'a> {
    bar: &'a ProgressBar,
    begun: Instant,
    ended: AtomicUsize,
    /// Nanoseconds from `begun` to the first and to the last iteration of each run.
    clocks: Vec<[AtomicU64; 2]>,
}

impl<'a> Watch<'a> {
    /// Of so many runs.
    pub(crate) fn new(bar: &'a ProgressBar, runs: usize) -> Self {
        let clocks = (0..runs).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect();
        Self { bar, begun: Instant::now(), ended: AtomicUsize::new(0), clocks }
    }

    /// Moves the bar over the runs that never began.
    pub(crate) fn finish(&self) {
        self.bar.inc((self.clocks.len() - self.ended.load(Ordering::Relaxed)) as u64);
    }

    /// Seconds on the wall clock for one iteration of a run, if it made two.
    pub(crate) fn seconds_per_iteration(&self, run: usize, iterations: usize) -> Option<f64> {
        let [first, last] = self.clocks[run].each_ref().map(|clock| clock.load(Ordering::Relaxed));
        (iterations > 1).then(|| (last - first) as f64 / 1e9 / (iterations - 1) as f64)
    }
}

impl<P> Observer<P> for Watch<'_> {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let [first, last] = &self.clocks[event.run];
        if event.iteration == 1 {
            first.store(now, Ordering::Relaxed);
        }
        last.store(now, Ordering::Relaxed);
        ControlFlow::Continue(())
    }

    fn on_end(&self, _: usize) {
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.bar.inc(1);
    }
}
