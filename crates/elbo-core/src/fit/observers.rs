//! Observers that most fits can use: paths for plots, early stopping on data held out, parameters that have settled.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Event, Observer, Stopped};

/// Two observers at once, the first before the second; `Break` of either ends the run.
impl<P, A: Observer<P>, B: Observer<P>> Observer<P> for (A, B) {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let (first, second) = (self.0.on_iteration(event), self.1.on_iteration(event));
        if first.is_break() { first } else { second }
    }

    fn reason(&self, run: usize) -> Stopped {
        match self.0.reason(run) {
            Stopped::Observer => self.1.reason(run),
            reason => reason,
        }
    }

    fn on_end(&self, run: usize) {
        self.0.on_end(run);
        self.1.on_end(run);
    }
}

/// A point of a run's path.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPoint {
    /// M-steps done.
    pub iteration: usize,
    /// E-steps done.
    pub e_steps: usize,
    /// Objective, in nats.
    pub objective: f64,
    /// Whatever numbers were asked for.
    pub values: Vec<f64>,
}

/// Records the path of parameters, run by run, for plots.
///
/// ```
/// use elbo_core::Trajectory;
///
/// let trajectory = Trajectory::new(|coins: &[f64; 2]| coins.to_vec());
/// // … let the fit observe it: fit(&model, data, start, &settings, &trajectory)
/// assert!(trajectory.path(0).is_empty());
/// ```
#[derive(Debug)]
pub struct Trajectory<F> {
    values: F,
    paths: Mutex<BTreeMap<usize, Vec<PathPoint>>>,
}

impl<F> Trajectory<F> {
    /// Records what `values` makes of the parameters after each iteration.
    pub fn new<P>(values: F) -> Self
    where
        F: Fn(&P) -> Vec<f64> + Sync,
    {
        Self { values, paths: Mutex::default() }
    }

    /// The path of a run so far; empty if there is none.
    pub fn path(&self, run: usize) -> Vec<PathPoint> {
        lock(&self.paths).get(&run).cloned().unwrap_or_default()
    }
}

impl<P, F: Fn(&P) -> Vec<f64> + Sync> Observer<P> for Trajectory<F> {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let point = PathPoint {
            iteration: event.iteration,
            e_steps: event.e_steps,
            objective: event.objective,
            values: (self.values)(event.params),
        };
        lock(&self.paths).entry(event.run).or_default().push(point);
        ControlFlow::Continue(())
    }
}

/// Ends a run when a score of other data has not improved for some iterations, and keeps the parameters that scored best:
/// [`Stopped::HeldOut`].
///
/// The result of the fit has the last parameters; [`into_best`](Self::into_best) gives those to use.
#[derive(Debug)]
pub struct EarlyStopping<P, F> {
    score: F,
    patience: usize,
    runs: Mutex<BTreeMap<usize, Best<P>>>,
}

#[derive(Debug)]
struct Best<P> {
    score: f64,
    params: P,
    /// Iterations since.
    since: usize,
}

impl<P, F: Fn(&P) -> f64 + Sync> EarlyStopping<P, F> {
    /// Scores the parameters after each iteration, and ends the run after `patience` iterations in a row without a better
    /// score. NaN counts as no better.
    ///
    /// # Panics
    ///
    /// If `patience = 0`.
    pub fn new(patience: usize, score: F) -> Self {
        assert!(patience > 0, "some patience is needed");
        Self { score, patience, runs: Mutex::default() }
    }

    /// The best score over all runs, and the parameters that have it; of equals the first run.
    pub fn into_best(self) -> Option<(f64, P)> {
        let runs = self.runs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let pick = |best: Option<Best<P>>, next: Best<P>| match best {
            Some(best) if best.score >= next.score => Some(best),
            _ => Some(next),
        };
        runs.into_values().fold(None, pick).map(|best| (best.score, best.params))
    }
}

impl<P: Clone + Send, F: Fn(&P) -> f64 + Sync> Observer<P> for EarlyStopping<P, F> {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let score = (self.score)(event.params);
        let mut runs = lock(&self.runs);
        let Some(best) = runs.get_mut(&event.run) else {
            let score = if score.is_nan() { f64::NEG_INFINITY } else { score };
            runs.insert(event.run, Best { score, params: event.params.clone(), since: 0 });
            return ControlFlow::Continue(());
        };
        if score > best.score {
            (best.score, best.since) = (score, 0);
            best.params.clone_from(event.params);
        } else {
            best.since += 1;
        }
        if best.since < self.patience { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn reason(&self, run: usize) -> Stopped {
        let out_of_patience =
            lock(&self.runs).get(&run).is_some_and(|best| best.since >= self.patience);
        if out_of_patience { Stopped::HeldOut } else { Stopped::Observer }
    }
}

/// Ends a run when no parameter has moved by more than a tolerance in two iterations in a row: [`Stopped::Parameters`].
///
/// A small step is lack of progress, not convergence: at rate 0.99 a hundred such steps are to come. The default rule,
/// [`Tolerance::Gap`](crate::Tolerance::Gap), knows; this one is for comparisons with programs that stop so.
#[derive(Debug)]
pub struct ParametersSettled<F> {
    tolerance: f64,
    values: F,
    runs: Mutex<BTreeMap<usize, Still>>,
}

#[derive(Debug, Default)]
struct Still {
    last: Vec<f64>,
    within: usize,
}

impl<F> ParametersSettled<F> {
    /// Compares what `values` makes of the parameters from iteration to iteration: all must have moved by less than
    /// `tolerance · (1 + |value|)`.
    pub fn new<P>(tolerance: f64, values: F) -> Self
    where
        F: Fn(&P) -> Vec<f64> + Sync,
    {
        Self { tolerance, values, runs: Mutex::default() }
    }
}

impl<P, F: Fn(&P) -> Vec<f64> + Sync> Observer<P> for ParametersSettled<F> {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let values = (self.values)(event.params);
        let mut runs = lock(&self.runs);
        let still = runs.entry(event.run).or_default();
        let near =
            |(new, old): (&f64, &f64)| (new - old).abs() < self.tolerance * (1.0 + new.abs());
        let all_near = values.len() == still.last.len() && values.iter().zip(&still.last).all(near);
        still.within = if all_near { still.within + 1 } else { 0 };
        still.last = values;
        if still.within < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn reason(&self, run: usize) -> Stopped {
        let settled = lock(&self.runs).get(&run).is_some_and(|still| still.within >= 2);
        if settled { Stopped::Parameters } else { Stopped::Observer }
    }
}

/// Emits an event of the `tracing` crate after each iteration, at level DEBUG, and one at the end of each run.
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Traced;

#[cfg(feature = "tracing")]
impl<P> Observer<P> for Traced {
    fn on_iteration(&self, event: &Event<'_, P>) -> ControlFlow<()> {
        let Event { run, iteration, e_steps, objective, gap, .. } = *event;
        tracing::debug!(target: "elbo", run, iteration, e_steps, objective, gap, "iteration");
        ControlFlow::Continue(())
    }

    fn on_end(&self, run: usize) {
        tracing::debug!(target: "elbo", run, "end of run");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
