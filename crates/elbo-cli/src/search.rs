//! Fits every candidate: each number of components with each structure, from many starts, within
//! the time there is.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use elbo::{
    core::{
        CancelToken, Event, Family, FitError, Observer, Report, Runs, Settings, Weighted,
        map_in_order,
    },
    dist::{CovarianceStructure, Dirichlet, Gamma, Poisson},
    mixture::{Estimation, Fitted, GaussianMixture, Mixture, MixtureModel, Rows, Start},
};
use indicatif::ProgressBar;

use crate::{
    model::{Model, counts},
    progress,
    summary::Score,
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
    /// The start instead, for a single candidate.
    pub(crate) start: Option<Model>,
    /// All but the time budget, which is for the whole search.
    pub(crate) settings: Settings,
    /// Time for all candidates together.
    pub(crate) time_budget: Option<Duration>,
    /// Ends the search.
    pub(crate) cancel: CancelToken,
    /// No progress bar.
    pub(crate) quiet: bool,
}

/// A number of components with a structure, and what came of it.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// Number of components.
    pub(crate) k: usize,
    /// Structure of the covariances.
    pub(crate) structure: Option<CovarianceStructure>,
    /// The fit, or why there is none.
    pub(crate) fit: Result<Fit, FitError>,
}

/// A fitted candidate: what the library says of it, for any kind of component.
#[derive(Debug)]
pub(crate) struct Fit {
    /// The best mixture, its components from the heaviest to the lightest unless a start was given.
    pub(crate) model: Model,
    /// The run that found it.
    pub(crate) report: Report,
    /// How every run ended.
    pub(crate) runs: Runs,
    /// Of all rows, in nats.
    pub(crate) log_likelihood: f64,
    /// Akaike's criterion.
    pub(crate) aic: f64,
    /// The Bayesian criterion.
    pub(crate) bic: f64,
    /// The integrated completed likelihood.
    pub(crate) icl: f64,
    /// Components that look like artifacts.
    pub(crate) spurious: Vec<usize>,
    /// Seconds on the wall clock for one iteration of the best run, if it made two.
    pub(crate) seconds_per_iteration: Option<f64>,
}

impl Fit {
    /// Whether it neither broke down nor is an artifact.
    pub(crate) fn is_sound(&self) -> bool {
        !self.report.stopped.is_failure() && self.spurious.is_empty()
    }

    /// Its value by `score`.
    pub(crate) fn score(&self, score: Score) -> f64 {
        match score {
            Score::Bic => self.bic,
            Score::Icl => self.icl,
            Score::Aic => self.aic,
        }
    }
}

/// The candidate to choose: the smallest score among sound fits, then among the others; the first
/// of those that differ by rounding only. `None` if nothing could be fitted.
pub(crate) fn best(candidates: &[Candidate], score: Score) -> Option<usize> {
    let fits = || {
        let fit = |(at, candidate): (usize, &Candidate)| {
            candidate.fit.as_ref().ok().map(|fit| (at, !fit.is_sound(), fit.score(score)))
        };
        candidates.iter().enumerate().filter_map(fit)
    };
    let (_, rank, least) = fits().min_by(|a, b| a.1.cmp(&b.1).then(a.2.total_cmp(&b.2)))?;
    // Structures that coincide, as all of one class do for a single component, differ by rounding.
    let rounding = 1e-10 * least.abs();
    fits().find(|fit| fit.1 == rank && fit.2 <= least + rounding).map(|fit| fit.0)
}

impl Search<'_> {
    /// Fits all candidates, the structures within each number of components, on the current pool.
    ///
    /// Every candidate has the same seed, so that fitting it alone gives the same result.
    pub(crate) fn run(&self) -> Vec<Candidate> {
        let begun = Instant::now();
        let deadline = self.time_budget.map(|budget| begun + budget);
        let (per_k, all) = (self.structures.len(), self.components.len() * self.structures.len());
        let bar = if self.quiet {
            progress::hidden()
        } else {
            progress::fits((all * self.starts) as u64)
        };
        let candidates = map_in_order(all, |at| {
            let (k, structure) = (self.components[at / per_k], self.structures[at % per_k]);
            let fit = self.candidate(k, structure, at == 0, deadline, &bar);
            Candidate { k, structure, fit }
        });
        bar.finish_and_clear();
        candidates
    }

    /// Fits one candidate. The `first` is begun in any case, so that there is a result.
    fn candidate(
        &self,
        k: usize,
        structure: Option<CovarianceStructure>,
        first: bool,
        deadline: Option<Instant>,
        bar: &ProgressBar,
    ) -> Result<Fit, FitError> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let watch = Watch::new(bar, self.starts);
        if !first && (self.cancel.is_cancelled() || left == Some(Duration::ZERO)) {
            watch.finish();
            return Err(FitError::NotRun);
        }
        bar.set_message(match structure {
            Some(structure) => format!("{k} × {structure}"),
            None => format!("{k} components"),
        });
        let settings = Settings {
            time_budget: left,
            cancel: Some(self.cancel.clone()),
            ..self.settings.clone()
        };
        let fit = match structure {
            Some(structure) => self.gaussian(k, structure, settings, &watch),
            None => self.poisson(k, &settings, &watch),
        };
        watch.finish();
        let mut fit = fit?;
        fit.seconds_per_iteration =
            watch.seconds_per_iteration(fit.runs.best, fit.report.iterations);
        Ok(fit)
    }

    fn gaussian(
        &self,
        k: usize,
        structure: CovarianceStructure,
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
        if let Some(Model::Gaussian(start)) = &self.start {
            builder = builder.start_at(start.clone());
        }
        let fitted = match &self.table.weights {
            Some(weights) => builder.fit_observed(Weighted::new(rows, weights)?, watch),
            None => builder.fit_observed(rows.into(), watch),
        };
        fitted.map(|fitted| self.fit_of(fitted, Model::Gaussian))
    }

    fn poisson(&self, k: usize, settings: &Settings, watch: &Watch<'_>) -> Result<Fit, FitError> {
        let counts = counts(&self.table.values);
        let data = match &self.table.weights {
            Some(weights) => Weighted::new(&counts[..], weights)?,
            None => Weighted::uniform(&counts[..]),
        };
        let start = match &self.start {
            Some(Model::Poisson(start)) => Start::At(start.clone()),
            _ => Start::Spread {
                k,
                runs: self.starts,
                template: Poisson::new(1.0).expect("1 is a rate"),
            },
        };
        let prior = || rate_prior(&self.table.values);
        let weights =
            |alpha| Dirichlet::symmetric(k, alpha).expect("k and the concentration are positive");
        let fitted = match self.estimation {
            Estimation::MaximumLikelihood => MixtureModel::ml().fit(data, &start, settings, watch),
            Estimation::MaximumAPosteriori => {
                MixtureModel::map(prior(), weights(1.0)).fit(data, &start, settings, watch)
            }
            Estimation::VariationalBayes => MixtureModel::vb(prior(), weights(1.0 / k as f64))
                .fit(data, &start, settings, watch),
        };
        fitted.map(|fitted| self.fit_of(fitted, Model::Poisson))
    }

    /// The same fit for any kind of component.
    fn fit_of<F: Family>(&self, fitted: Fitted<F>, model: impl Fn(Mixture<F>) -> Model) -> Fit {
        let (aic, bic, icl) = (fitted.aic(), fitted.bic(), fitted.icl());
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
            log_likelihood: fitted.log_likelihood,
            aic,
            bic,
            icl,
            seconds_per_iteration: None,
        }
    }
}

/// A weak prior on the scale of the counts: exponential with their mean, as if one row had been
/// seen already. Where all are zero, with mean one.
fn rate_prior(values: &[f64]) -> Gamma {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Gamma::new(1.0, if mean > 0.0 { 1.0 / mean } else { 1.0 })
        .expect("the mean of counts is finite")
}

/// Moves the bar at the end of every run, and looks at the clock at every iteration.
struct Watch<'a> {
    bar: &'a ProgressBar,
    begun: Instant,
    ended: AtomicUsize,
    /// Nanoseconds from `begun` to the first and to the last iteration of each run.
    clocks: Vec<[AtomicU64; 2]>,
}

impl<'a> Watch<'a> {
    fn new(bar: &'a ProgressBar, runs: usize) -> Self {
        let clocks = (0..runs).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect();
        Self { bar, begun: Instant::now(), ended: AtomicUsize::new(0), clocks }
    }

    /// Moves the bar over the runs that never began.
    fn finish(&self) {
        self.bar.inc((self.clocks.len() - self.ended.load(Ordering::Relaxed)) as u64);
    }

    fn seconds_per_iteration(&self, run: usize, iterations: usize) -> Option<f64> {
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
