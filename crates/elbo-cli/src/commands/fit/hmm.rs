//! `elbo fit hmm`: from the arguments to a chosen chain.

use std::{fs, path::Path, time::Instant};

use elbo::{
    core::{
        self, CancelToken, ConjugatePrior, Criterion, DataError, EstimateError, Family, FitError,
        Report, Runs, Scored, Scores, Settings, Tolerance,
    },
    dist::{
        Categorical, CovarianceStructure, Dirichlet, Gamma, MultivariateGaussian,
        NormalInverseWishart, Poisson,
    },
    hmm::{Fitted, Hmm, HmmModel, Sequences, Start},
};
use indicatif::ProgressBar;

use super::chain::FoundChain;
use crate::{
    args::{EstimatorKind, HmmArgs},
    chain::{self, Chain, Emission, Series},
    commands::{pool, prepare, tell},
    error::{Error, StartProblem},
    interrupt, progress,
    search::Watch,
    table,
};

/// A fitted candidate.
#[derive(Debug)]
pub(super) struct ChainFit {
    /// The best chain, its states from the lowest mean to the highest unless a start was given.
    pub(super) chain: Chain,
    /// The run that found it.
    pub(super) report: Report,
    /// How every run ended.
    pub(super) runs: Runs,
    /// What criteria need to know of it.
    pub(super) scores: Scores,
    /// Seconds on the wall clock for one iteration of the best run, if it made two.
    pub(super) seconds_per_iteration: Option<f64>,
}

impl Scored for ChainFit {
    fn scores(&self) -> Scores {
        self.scores
    }
}

pub(super) type Selection = core::Selection<usize, ChainFit, FitError>;

pub(super) fn run(args: &HmmArgs) -> Result<u8, Error> {
    check(args)?;
    let outputs = [&args.output.model, &args.output.report];
    outputs.into_iter().flatten().try_for_each(|path| prepare(path))?;
    let quiet = args.output.terminal.quiet;

    let begun = Instant::now();
    let table = table::read(&args.data.path, &args.data.selection(quiet))?;
    if !quiet {
        table.notes.iter().for_each(|note| tell(&format!("{}: {note}", table.source)));
    }
    let series = Series::of(&table, args.emission).map_err(|message| table.error(message))?;
    let read_seconds = begun.elapsed().as_secs_f64();

    let cancel = interrupt::token()?;
    let start = match &args.fit.start {
        Some(path) => Some(start(path, args, table.d())?),
        None => None,
    };
    let pool = pool(args.fit.threads)?;
    let begun = Instant::now();
    let search = Search { args, series: &series, start, cancel: &cancel, begun };
    let selection = pool.install(|| search.run()).map_err(Error::Arguments)?;
    let fit_seconds = begun.elapsed().as_secs_f64();

    let interrupted = cancel.is_cancelled();
    let Some(chosen) = selection.best_place() else {
        return Err(match selection.candidates.first().map(|candidate| &candidate.fit) {
            Some(Err(error)) if !interrupted => {
                table.error(chain::explain_fit(error, &series, &table))
            }
            _ => Error::Interrupted,
        });
    };
    let found = FoundChain {
        args,
        table: &table,
        series: &series,
        selection: &selection,
        chosen,
        seconds: [read_seconds, fit_seconds],
        threads: pool.current_num_threads(),
    };
    pool.install(|| found.tell())?;
    Ok(if interrupted { interrupt::EXIT_CODE } else { 0 })
}

/// Refuses what this version cannot do.
fn check(args: &HmmArgs) -> Result<(), Error> {
    let refuse = |message: &str| Err(Error::Arguments(message.into()));
    args.fit.starts(0).map_err(Error::Arguments)?;
    if args.data.weights.is_some() {
        return refuse(
            "--weights does not go with hmm: rows of a sequence have no weights of their own",
        );
    }
    if args.fit.start.is_some() && !args.states.is_single() {
        return refuse("--start is one model: give its number of states, not a range");
    }
    if args.stationary && args.fit.estimator == EstimatorKind::Vb {
        return refuse("--stationary goes with --estimator ml or map; vb has no stationary start");
    }
    Ok(())
}

/// The chain in a `--start` file.
fn start(path: &Path, args: &HmmArgs, d: usize) -> Result<Chain, Error> {
    let failed = |problem| Error::Start { path: path.into(), problem };
    let text =
        fs::read(path).map_err(|cause| Error::File { path: path.into(), action: "read", cause })?;
    let params: chain::ChainParams =
        serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    let chain = params.chain(args.emission, d).map_err(|error| failed(error.into()))?;
    let expected = args.states.iter().next().unwrap_or_default();
    if chain.k() == expected {
        Ok(chain)
    } else {
        Err(failed(StartProblem::States { found: chain.k(), expected }))
    }
}

/// What to fit and how.
struct Search<'a> {
    args: &'a HmmArgs,
    series: &'a Series,
    start: Option<Chain>,
    cancel: &'a CancelToken,
    begun: Instant,
}

impl Search<'_> {
    /// Fits every number of states, on the current pool, and ranks them by BIC.
    fn run(&self) -> Result<Selection, String> {
        let states: Vec<usize> = self.args.states.iter().collect();
        let starts = self.args.fit.starts(self.series.n())?;
        let bar = if self.args.output.terminal.quiet {
            progress::hidden()
        } else {
            progress::fits((states.len() * starts) as u64)
        };
        let first = states[0];
        let selection =
            core::select(states, Criterion::Bic, |k| self.candidate(*k, starts, *k == first, &bar));
        bar.finish_and_clear();
        Ok(selection)
    }

    fn candidate(
        &self,
        k: usize,
        starts: usize,
        must: bool,
        bar: &ProgressBar,
    ) -> Result<ChainFit, FitError> {
        let budget = self.args.fit.time_budget.map(|budget| budget.0);
        let left = budget.map(|budget| budget.saturating_sub(self.begun.elapsed()));
        let watch = Watch::new(bar, starts);
        if !must && (self.cancel.is_cancelled() || left.is_some_and(|left| left.is_zero())) {
            watch.finish();
            return Err(FitError::NotRun);
        }
        bar.set_message(format!("{k} states"));
        let fit = &self.args.fit;
        let settings = Settings {
            acceleration: fit.accelerate.setting(),
            tolerance: Tolerance::Gap(fit.tolerance()),
            max_iterations: fit.max_iter,
            seed: fit.seed,
            time_budget: left,
            cancel: Some(self.cancel.clone()),
            ..Settings::default()
        };
        let how = How { k, starts, settings, watch: &watch };
        let outcome = self.emission(&how);
        watch.finish();
        let mut outcome = outcome?;
        outcome.seconds_per_iteration =
            watch.seconds_per_iteration(outcome.runs.best, outcome.report.iterations);
        Ok(outcome)
    }

    fn emission(&self, how: &How<'_, '_>) -> Result<ChainFit, FitError> {
        let (series, k) = (self.series, how.k);
        match self.args.emission {
            Emission::Gaussian | Emission::Diagonal => {
                let structure = self.args.emission.structure().unwrap_or(CovarianceStructure::VVV);
                let d = series.values().len() / series.n();
                let identity: Vec<f64> =
                    (0..d * d).map(|at| f64::from(u8::from(at / d == at % d))).collect();
                let template = MultivariateGaussian::new(structure, vec![0.0; d], &identity)
                    .expect("the identity is a covariance");
                let at = match &self.start {
                    Some(Chain::Gaussian(hmm)) => Some(hmm.clone()),
                    _ => None,
                };
                let prior = || gaussian_prior(series.values(), d, structure, k);
                self.fit(how, series.rows(), template, at, prior, Chain::Gaussian)
            }
            Emission::Poisson => {
                let template = Poisson::new(1.0).expect("1 is a rate");
                let at = match &self.start {
                    Some(Chain::Poisson(hmm)) => Some(hmm.clone()),
                    _ => None,
                };
                let prior = || Ok(rate_prior(series.values()));
                self.fit(how, series.counts(), template, at, prior, Chain::Poisson)
            }
            Emission::Categorical => {
                let mut m = series.categories();
                let at = match &self.start {
                    Some(Chain::Categorical(hmm)) => Some(hmm.clone()),
                    _ => None,
                };
                if let Some(hmm) = &at {
                    m = m.max(hmm.emission()[0].categories());
                }
                // One observation in all, spread over the categories.
                let prior = || Ok(symmetric(m, self.pseudo_count(m)));
                let template = Categorical::uniform(m);
                self.fit(how, series.codes(), template, at, prior, Chain::Categorical)
            }
        }
    }

    /// The concentration of a symmetric Dirichlet that counts for one observation: under MAP beyond the flat one.
    fn pseudo_count(&self, m: usize) -> f64 {
        let one = 1.0 / m as f64;
        if self.args.fit.estimator == EstimatorKind::Map { 1.0 + one } else { one }
    }

    fn fit<'a, F: Family, P: ConjugatePrior<F>>(
        &self,
        how: &How<'_, '_>,
        data: Sequences<'a, F::Batch<'a>>,
        template: F,
        at: Option<Hmm<F>>,
        prior: impl FnOnce() -> Result<P, FitError>,
        chain: impl FnOnce(Hmm<F>) -> Chain,
    ) -> Result<ChainFit, FitError> {
        let (k, settings, watch) = (how.k, &how.settings, how.watch);
        let start = match at {
            Some(hmm) => Start::At(hmm),
            None => Start::Random { k, runs: how.starts, template },
        };
        let rows = || symmetric(k, 1.0);
        let fitted = match (self.args.fit.estimator, self.args.stationary) {
            (EstimatorKind::Ml, false) => HmmModel::ml().fit(data, &start, settings, watch),
            (EstimatorKind::Ml, true) => {
                HmmModel::ml().stationary().fit(data, &start, settings, watch)
            }
            (EstimatorKind::Map, false) => {
                HmmModel::map(prior()?, rows(), rows()).fit(data, &start, settings, watch)
            }
            (EstimatorKind::Map, true) => {
                let model = HmmModel::map(prior()?, rows(), rows()).stationary();
                model.fit(data, &start, settings, watch)
            }
            (EstimatorKind::Vb, _) => {
                HmmModel::vb(prior()?, rows(), rows()).fit(data, &start, settings, watch)
            }
        }?;
        Ok(self.fit_of(fitted, chain))
    }

    fn fit_of<F: Family>(
        &self,
        fitted: Fitted<F>,
        chain: impl FnOnce(Hmm<F>) -> Chain,
    ) -> ChainFit {
        let scores = fitted.scores();
        let chain = chain(fitted.hmm);
        let chain = if self.start.is_some() { chain } else { chain.ordered() };
        let (report, runs) = (fitted.report, fitted.runs);
        ChainFit { chain, report, runs, scores, seconds_per_iteration: None }
    }
}

/// How to fit one candidate.
struct How<'w, 'b> {
    k: usize,
    starts: usize,
    settings: Settings,
    watch: &'w Watch<'b>,
}

fn symmetric(k: usize, alpha: f64) -> Dirichlet {
    Dirichlet::symmetric(k, alpha).expect("a positive number for each category")
}

/// A weak prior on the scale of the counts, as for mixtures.
fn rate_prior(values: &[f64]) -> Gamma {
    let seen: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    let mean = seen.iter().sum::<f64>() / seen.len() as f64;
    Gamma::new(1.0, if mean > 0.0 { 1.0 / mean } else { 1.0 })
        .expect("the mean of counts is finite")
}

/// The data-scaled prior of Fraley & Raftery from the complete rows.
fn gaussian_prior(
    values: &[f64],
    d: usize,
    structure: CovarianceStructure,
    k: usize,
) -> Result<NormalInverseWishart, FitError> {
    let rows: Vec<&[f64]> =
        values.chunks_exact(d).filter(|row| row.iter().all(|x| !x.is_nan())).collect();
    if rows.is_empty() {
        return Err(DataError::Empty.into());
    }
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..d).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / n).collect();
    let centered = |row: &[f64], c: usize| row[c] - mean[c];
    let covariance: Vec<f64> = (0..d * d)
        .map(|at| {
            rows.iter().map(|row| centered(row, at / d) * centered(row, at % d)).sum::<f64>() / n
        })
        .collect();
    let prior = |covariance: &[f64]| {
        NormalInverseWishart::default_for(structure, k, mean.clone(), covariance)
    };
    if let Ok(prior) = prior(&covariance) {
        return Ok(prior);
    }
    // Dependent columns, or few rows: a prior on the scale of each column alone.
    let diagonal: Vec<f64> = covariance
        .iter()
        .enumerate()
        .map(|(at, x)| if at / d == at % d { *x } else { 0.0 })
        .collect();
    prior(&diagonal).map_err(|_| {
        let column = (0..d).find(|c| diagonal[c * (d + 1)] == 0.0).unwrap_or_default();
        EstimateError::Singular { component: 0, column, variance: diagonal[column * (d + 1)] }
            .into()
    })
}
