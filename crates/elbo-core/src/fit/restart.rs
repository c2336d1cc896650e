//! Many starts, one honest comparison.

use std::{cmp::Ordering, time::Instant};

use super::{
    Fit, FitError, Observer, Report, Settings, ShortRuns, Stopped, Tolerance, driver::fit_run,
    map_in_order, reduce::join,
};
use crate::{CancelToken, ChunkSource, LatentModel, Shown, Standing};

/// How one of several runs ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Which run, from 0.
    pub run: usize,
    /// Its report, or why there is none.
    pub outcome: Result<Report, FitError>,
}

/// A distinct end point of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// The highest objective among its runs.
    pub objective: f64,
    /// How many runs ended there.
    pub runs: usize,
}

/// The best of several runs, and how all of them ended.
#[derive(Clone, Debug)]
pub struct Restarts<P, S> {
    /// The best run: neither failed nor spurious if there is one such, then the highest objective, then the first.
    pub best: Fit<P, S>,
    /// How all of them ended.
    pub runs: Runs,
}

/// How several runs ended, and which one was the best.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Runs {
    /// Which run was the best.
    pub best: usize,
    /// The end of every run, in order.
    pub ends: Vec<End>,
    /// Distinct end points of sound runs, best first. Two ends are the same if their objectives agree within
    /// 10⁻⁷ nats per observation (or 100 times the tolerance, if that is more).
    pub optima: Vec<Optimum>,
}

impl Runs {
    /// How many runs ended at the best optimum.
    pub fn reached_best(&self) -> usize {
        self.optima.first().map_or(0, |optimum| optimum.runs)
    }

    /// The highest objective of a run that was set aside as spurious or failed, if it exceeds the best one.
    pub fn best_set_aside(&self) -> Option<f64> {
        let reports =
            || self.ends.iter().filter_map(|end| Some((end.run, end.outcome.as_ref().ok()?)));
        let (_, best) = reports().find(|(run, _)| *run == self.best)?;
        reports()
            .filter(|(_, report)| {
                report.standing() > Standing::Sound && report.objective > best.objective
            })
            .map(|(_, report)| report.objective)
            .max_by(f64::total_cmp)
    }
}

/// Runs EM from `runs` starts, side by side where the `rayon` feature is on, and compares the ends.
///
/// `start(r)` makes the start of run `r`; it must depend on `r` alone, so that runs are independent and the result
/// does not depend on their order. A run that fails does not lose the others: its end is in the report. With
/// [`Settings::short_runs`], short runs from all starts choose those that are run to the end; only these are observed.
///
/// # Errors
///
/// The error of the first run, if no run got as far as one E-step.
///
/// # Panics
///
/// If `runs = 0`.
pub fn fit_restarts<M: LatentModel>(
    model: &M,
    data: M::Data<'_>,
    runs: usize,
    start: impl Fn(usize) -> Result<M::Params, FitError> + Sync,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Restarts<M::Params, M::Stats>, FitError> {
    fit_restarts_source(model, &Shown::<M>(data), runs, start, settings, observer)
}

/// [`fit_restarts`] on data that may be larger than memory, as [`fit_source`](crate::fit_source) is to [`fit`](crate::fit).
///
/// # Errors
///
/// As [`fit_restarts`].
///
/// # Panics
///
/// If `runs = 0`.
pub fn fit_restarts_source<M, D>(
    model: &M,
    source: &D,
    runs: usize,
    start: impl Fn(usize) -> Result<M::Params, FitError> + Sync,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Restarts<M::Params, M::Stats>, FitError>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
{
    assert!(runs > 0, "at least one run is needed");
    let deadline = settings.time_budget.map(|budget| Instant::now() + budget);
    let contest = Contest { model, source, start, deadline };
    let (mut ends, mut others) = match settings.short_runs {
        Some(short) if short.keep < runs => contest.short_runs(runs, short, settings),
        _ => {
            let not_run = |run| End { run, outcome: Err(FitError::NotRun) };
            ((0..runs).map(not_run).collect(), Vec::new())
        }
    };
    let best = tournament(&|run| contest.run(run, settings, observer), &mut ends);
    ends.append(&mut others);
    ends.sort_by_key(|end| end.run);
    let Some((best_run, best)) = best else {
        let first = ends.swap_remove(0).outcome;
        return Err(first.err().unwrap_or(FitError::NotRun));
    };
    let optima = distinct(&ends, settings.tolerance);
    Ok(Restarts { best, runs: Runs { best: best_run, ends, optima } })
}

/// What all runs share.
struct Contest<'a, M, D, F> {
    model: &'a M,
    source: &'a D,
    start: F,
    deadline: Option<Instant>,
}

impl<M, D, F> Contest<'_, M, D, F>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    F: Fn(usize) -> Result<M::Params, FitError> + Sync,
{
    /// Runs from the start of this number, unless the fit was stopped; the first is begun in any case.
    fn run(
        &self,
        run: usize,
        settings: &Settings,
        observer: &impl Observer<M::Params>,
    ) -> Result<Fit<M::Params, M::Stats>, FitError> {
        let stopped = settings.cancel.as_ref().is_some_and(CancelToken::is_cancelled)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if run > 0 && stopped {
            return Err(FitError::NotRun);
        }
        fit_run(self.model, self.source, (self.start)(run)?, settings, observer, run, self.deadline)
    }

    /// Short runs from all starts: the ends of those that go on, yet to be run, and of all others.
    fn short_runs(
        &self,
        runs: usize,
        short: ShortRuns,
        settings: &Settings,
    ) -> (Vec<End>, Vec<End>) {
        let max_iterations = short.iterations.min(settings.max_iterations);
        let settings = Settings { max_iterations, ..settings.clone() };
        let mut ends = map_in_order(runs, |run| {
            let outcome = self.run(run, &settings, &()).map(|fit| fit.report);
            End { run, outcome }
        });
        ends.sort_by(|a, b| match (&a.outcome, &b.outcome) {
            (Ok(a), Ok(b)) => order(a, b),
            (a, b) => a.is_err().cmp(&b.is_err()),
        });
        let mut others = ends.split_off(short.keep.max(1));
        for end in &mut ends {
            if end.outcome.is_ok() {
                end.outcome = Err(FitError::NotRun);
            }
        }
        for report in others.iter_mut().filter_map(|end| end.outcome.as_mut().ok()) {
            if !report.stopped.is_failure() {
                report.stopped = Stopped::Outrun;
            }
        }
        (ends, others)
    }
}

/// Runs all of `ends` and keeps the best fit only.
fn tournament<P: Send, S: Send>(
    one: &(impl Fn(usize) -> Result<Fit<P, S>, FitError> + Sync),
    ends: &mut [End],
) -> Option<(usize, Fit<P, S>)> {
    if let [end] = ends {
        return match one(end.run) {
            Ok(fit) => {
                end.outcome = Ok(fit.report.clone());
                Some((end.run, fit))
            }
            Err(error) => {
                end.outcome = Err(error);
                None
            }
        };
    }
    let (left, right) = ends.split_at_mut(ends.len() / 2);
    let (left, right) = join(|| tournament(one, left), || tournament(one, right));
    match (left, right) {
        (Some(left), Some(right)) => {
            Some(if order(&right.1.report, &left.1.report) == Ordering::Less {
                right
            } else {
                left
            })
        }
        (left, right) => left.or(right),
    }
}

/// The better one first: sound before spurious before failed, then the higher objective.
fn order(a: &Report, b: &Report) -> Ordering {
    let objectives = || match (a.objective.is_nan(), b.objective.is_nan()) {
        (false, false) => b.objective.total_cmp(&a.objective),
        (a, b) => a.cmp(&b),
    };
    a.standing().cmp(&b.standing()).then_with(objectives)
}

fn distinct(ends: &[End], tolerance: Tolerance) -> Vec<Optimum> {
    let mut sound: Vec<&Report> = ends
        .iter()
        .filter_map(|end| end.outcome.as_ref().ok())
        .filter(|report| report.standing() == Standing::Sound && report.stopped != Stopped::Outrun)
        .collect();
    sound.sort_by(|a, b| b.objective.total_cmp(&a.objective));
    let per_observation = match tolerance {
        Tolerance::Gap(x) | Tolerance::Change(x) => (100.0 * x).max(1e-7),
        Tolerance::RelativeChange(_) => 1e-7,
    };
    let mut optima: Vec<Optimum> = Vec::new();
    for report in sound {
        match optima.last_mut() {
            Some(last)
                if last.objective - report.objective <= per_observation * report.observations =>
            {
                last.runs += 1;
            }
            _ => optima.push(Optimum { objective: report.objective, runs: 1 }),
        }
    }
    optima
}
