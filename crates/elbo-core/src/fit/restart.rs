//! Many starts, one honest comparison.

use std::{cmp::Ordering, time::Instant};

use super::{
    Fit, FitError, Observer, Report, Settings, ShortRuns, Starts, Stopped, Tolerance, Tried,
    driver::fit_run, map_in_order, reduce::join,
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
    /// How many moves ended there.
    pub moves: usize,
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
    /// The run that the best fit comes from: its end, or what moves led to from there.
    pub best: usize,
    /// The end of every run, in order.
    pub ends: Vec<End>,
    /// What was tried from the best end of every search, in order. Of those from run `best`, the last that was taken led to the
    /// result.
    pub moves: Vec<Tried>,
    /// Distinct end points of sound runs and moves, best first. Two ends are the same if their objectives agree within
    /// 10⁻⁷ nats per observation (or 100 times the tolerance, if that is more).
    pub optima: Vec<Optimum>,
}

impl Runs {
    /// How many runs ended at the best optimum; 0 where only moves found it.
    pub fn reached_best(&self) -> usize {
        self.optima.first().map_or(0, |optimum| optimum.runs)
    }

    /// E-steps of all runs and moves together.
    pub fn e_steps(&self) -> usize {
        let runs = self.ends.iter().map(|end| &end.outcome);
        let moves = self.moves.iter().map(|tried| &tried.outcome);
        runs.chain(moves).filter_map(|outcome| outcome.as_ref().ok()).map(|end| end.e_steps).sum()
    }

    /// The highest objective of a run or move that was set aside as spurious or failed, if it exceeds the best one.
    pub fn best_set_aside(&self) -> Option<f64> {
        let led_on = |tried: &&Tried| tried.taken && tried.run == self.best;
        let taken = self.moves.iter().rfind(led_on).map(|tried| &tried.outcome);
        let run = || self.ends.iter().find(|end| end.run == self.best).map(|end| &end.outcome);
        let best = taken.or_else(run)?.as_ref().ok()?.objective;
        let moves = self.moves.iter().map(|tried| &tried.outcome);
        let reports = self.ends.iter().map(|end| &end.outcome).chain(moves).flatten();
        reports
            .filter(|report| report.standing() > Standing::Sound && report.objective > best)
            .map(|report| report.objective)
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
    fit_search(model, source, runs, &Independent(start), settings, observer)
}

/// [`fit_restarts_source`] from starts that may also propose moves away from an end: see [`Starts`] and [`Moves`](super::Moves).
///
/// Moves are not observed, but for the report: [`Runs::moves`] tells what each changed and how it ended. The result is never
/// worse than without them, and more runs never make it worse: the runs and moves of a smaller number are among those of a
/// larger one.
///
/// # Errors
///
/// As [`fit_restarts`].
///
/// # Panics
///
/// If `runs = 0`.
pub fn fit_search<M, D>(
    model: &M,
    source: &D,
    runs: usize,
    starts: &impl Starts<M>,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Restarts<M::Params, M::Stats>, FitError>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
{
    assert!(runs > 0, "at least one run is needed");
    let deadline = settings.time_budget.map(|budget| Instant::now() + budget);
    let contest = Contest { model, source, starts, deadline };
    let (chosen, mut ends) = match settings.short_runs {
        Some(short) if short.keep < runs => contest.short_runs(runs, short, settings),
        _ => ((0..runs).collect(), Vec::new()),
    };
    // Runs that were chosen by short ones are one search, whatever their number.
    let size = if ends.is_empty() { settings.moves.starts.max(1) } else { chosen.len() };
    let (mut moves, mut best) = (Vec::new(), None::<(usize, Fit<M::Params, M::Stats>)>);
    let searches = chosen.chunks(size).collect::<Vec<_>>();
    for search in map_in_order(searches.len(), |search| {
        contest.search(searches[search], searches[search].len() == size, settings, observer)
    }) {
        ends.extend(search.ends);
        moves.extend(search.moves);
        best = better(best, search.best);
    }
    ends.sort_by_key(|end| end.run);
    let Some((best_run, best)) = best else {
        let first = ends.swap_remove(0).outcome;
        return Err(first.err().unwrap_or(FitError::NotRun));
    };
    let optima = distinct(&ends, &moves, settings.tolerance);
    Ok(Restarts { best, runs: Runs { best: best_run, ends, moves, optima } })
}

/// What came of some runs and of moves from the best of them.
struct Search<P, S> {
    best: Option<(usize, Fit<P, S>)>,
    ends: Vec<End>,
    moves: Vec<Tried>,
}

/// Starts that know of no moves.
struct Independent<F>(F);

impl<M: LatentModel, F: Fn(usize) -> Result<M::Params, FitError> + Sync> Starts<M>
    for Independent<F>
{
    fn start(&self, run: usize) -> Result<M::Params, FitError> {
        self.0(run)
    }
}

/// What all runs share.
pub(super) struct Contest<'a, M, D, S> {
    pub(super) model: &'a M,
    pub(super) source: &'a D,
    pub(super) starts: &'a S,
    pub(super) deadline: Option<Instant>,
}

impl<M, D, S> Contest<'_, M, D, S>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    S: Starts<M>,
{
    /// Was the fit cancelled, or is it out of time?
    pub(super) fn is_stopped(&self, settings: &Settings) -> bool {
        settings.cancel.as_ref().is_some_and(CancelToken::is_cancelled)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Runs from the start of this number, unless the fit was stopped; the first is begun in any case.
    fn run(
        &self,
        run: usize,
        settings: &Settings,
        observer: &impl Observer<M::Params>,
    ) -> Result<Fit<M::Params, M::Stats>, FitError> {
        self.run_from(run, || self.starts.start(run), settings, observer)
    }

    /// The same from another start.
    pub(super) fn run_from(
        &self,
        run: usize,
        start: impl FnOnce() -> Result<M::Params, FitError>,
        settings: &Settings,
        observer: &impl Observer<M::Params>,
    ) -> Result<Fit<M::Params, M::Stats>, FitError> {
        if run > 0 && self.is_stopped(settings) {
            return Err(FitError::NotRun);
        }
        fit_run(self.model, self.source, start()?, settings, observer, run, self.deadline)
    }

    /// All of these runs, and moves from the best end.
    fn search(
        &self,
        runs: &[usize],
        moves: bool,
        settings: &Settings,
        observer: &impl Observer<M::Params>,
    ) -> Search<M::Params, M::Stats> {
        let not_run = |run: &usize| End { run: *run, outcome: Err(FitError::NotRun) };
        let mut ends: Vec<End> = runs.iter().map(not_run).collect();
        let mut best = tournament(&|run| self.run(run, settings, observer), &mut ends);
        let moves = match &mut best {
            Some((run, fit)) if moves => self.moves(*run, fit, settings),
            _ => Vec::new(),
        };
        Search { best, ends, moves }
    }

    /// Short runs from all starts: those that go on, and the ends of all others.
    fn short_runs(
        &self,
        runs: usize,
        short: ShortRuns,
        settings: &Settings,
    ) -> (Vec<usize>, Vec<End>) {
        let max_iterations = short.iterations.min(settings.max_iterations);
        let settings = Settings { max_iterations, ..settings.clone() };
        let mut ends = map_in_order(runs, |run| {
            let outcome = self.run(run, &settings, &()).map(|fit| fit.report);
            End { run, outcome }
        });
        let others = outrun(&mut ends, short.keep);
        (ends.iter().map(|end| end.run).collect(), others)
    }
}

/// Leaves the best of short runs in `ends`; all others are returned, as outrun unless they failed.
pub(super) fn outrun(ends: &mut Vec<End>, keep: usize) -> Vec<End> {
    ends.sort_by(|a, b| match (&a.outcome, &b.outcome) {
        (Ok(a), Ok(b)) => order(a, b),
        (a, b) => a.is_err().cmp(&b.is_err()),
    });
    let mut others = ends.split_off(keep.max(1).min(ends.len()));
    for report in others.iter_mut().filter_map(|end| end.outcome.as_mut().ok()) {
        if !report.stopped.is_failure() {
            report.stopped = Stopped::Outrun;
        }
    }
    others
}

/// Runs all of `ends` and keeps the best fit only.
pub(super) fn tournament<P: Send, S: Send>(
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
    better(left, right)
}

/// The better of two fits, the first of equals.
fn better<P, S>(
    one: Option<(usize, Fit<P, S>)>,
    other: Option<(usize, Fit<P, S>)>,
) -> Option<(usize, Fit<P, S>)> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let is_better = order(&other.1.report, &one.1.report) == Ordering::Less;
            Some(if is_better { other } else { one })
        }
        (one, other) => one.or(other),
    }
}

/// The better one first: sound before spurious before failed, then the higher objective.
pub(super) fn order(a: &Report, b: &Report) -> Ordering {
    let objectives = || match (a.objective.is_nan(), b.objective.is_nan()) {
        (false, false) => b.objective.total_cmp(&a.objective),
        (a, b) => a.cmp(&b),
    };
    a.standing().cmp(&b.standing()).then_with(objectives)
}

fn distinct(ends: &[End], moves: &[Tried], tolerance: Tolerance) -> Vec<Optimum> {
    let runs = ends.iter().filter_map(|end| Some((end.outcome.as_ref().ok()?, false)));
    let moves = moves.iter().filter_map(|tried| Some((tried.outcome.as_ref().ok()?, true)));
    let mut sound: Vec<(&Report, bool)> = runs
        .chain(moves)
        .filter(|(end, _)| end.standing() == Standing::Sound && end.stopped != Stopped::Outrun)
        .collect();
    sound.sort_by(|(a, _), (b, _)| b.objective.total_cmp(&a.objective));
    let mut optima: Vec<Optimum> = Vec::new();
    for (Report { objective, observations, .. }, is_move) in sound {
        let same = tolerance.same() * observations;
        let (runs, moves) = (usize::from(!is_move), usize::from(is_move));
        match optima.last_mut() {
            Some(last) if last.objective - objective <= same => {
                last.runs += runs;
                last.moves += moves;
            }
            _ => optima.push(Optimum { objective: *objective, runs, moves }),
        }
    }
    optima
}
