//! One run of EM from one start.

use std::{ops::ControlFlow, time::Instant};

use super::{
    Event, Fit, Observer, Report, Settings, Stopped, Tolerance, Variant,
    reduce::{EStep, How},
};
use crate::{Batch, DataError, EStepError, EstimateError, LatentModel, Repairs};

/// Why there is no fit at all. Whatever happens after the first E-step is told by the [`Report`] instead.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The start cannot explain the data.
    #[error("at the start: {0}")]
    EStep(#[from] EStepError),
    /// No start could be made.
    #[error("no start: {0}")]
    Start(#[from] EstimateError),
    /// The run was not begun because the fit was cancelled or out of time.
    #[error("not run: the fit was stopped before")]
    NotRun,
}

/// Raises the objective of `model` on `data` from `start` until `settings` say stop.
///
/// # Errors
///
/// [`FitError`] if the data are unusable or have no finite density at the start.
pub fn fit<M: LatentModel>(
    model: &M,
    data: M::Data<'_>,
    start: M::Params,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Fit<M::Params, M::Stats>, FitError> {
    let deadline = settings.time_budget.map(|budget| Instant::now() + budget);
    fit_run(model, data, start, settings, observer, 0, deadline)
}

/// The same as one of many runs, with the deadline they share.
pub(super) fn fit_run<M: LatentModel>(
    model: &M,
    data: M::Data<'_>,
    start: M::Params,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
    run: usize,
    deadline: Option<Instant>,
) -> Result<Fit<M::Params, M::Stats>, FitError> {
    settings.variant.validate();
    if data.is_empty() {
        return Err(DataError::Empty.into());
    }
    model.check(&start, data)?;

    let e_step = EStep::<M>::new(data, settings.pieces);
    let evaluate = |params: &M::Params, iteration: usize, stats: &mut M::Stats| {
        let how = how(settings.variant, iteration);
        let data_term =
            e_step.run_how(model, params, data, how, settings.cancel.as_ref(), stats)?;
        Ok::<_, EStepError>(Objective { data_term, penalty: model.penalty(params) })
    };

    let (mut params, mut next_params) = (start.clone(), start);
    let mut stats = model.new_stats(&params);
    let mut next_stats = stats.clone();
    let mut objective = evaluate(&params, 0, &mut stats)?;
    let mut progress = Progress::new(data.observations(), settings.tolerance, objective.total());
    let mut repairs = Repairs::default();
    let mut e_steps = 1;

    let stopped = loop {
        let iteration = progress.iterations();
        if !objective.total().is_finite() {
            break Stopped::NotFinite;
        }
        if iteration >= settings.max_iterations {
            break Stopped::MaxIterations;
        }
        if settings.cancel.as_ref().is_some_and(super::CancelToken::is_cancelled) {
            break Stopped::Cancelled;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break Stopped::TimeBudget;
        }
        match model.m_step(&params, &stats, &mut next_params) {
            Ok(repaired) => repairs.merge(repaired),
            Err(error) => break Stopped::MStep(error),
        }
        let next = match evaluate(&next_params, iteration + 1, &mut next_stats) {
            Ok(next) => next,
            Err(EStepError::Cancelled) => break Stopped::Cancelled,
            Err(error) => break Stopped::EStep(error),
        };
        e_steps += 1;
        // While the temperature moves, two objectives are of different functions: no test, no guard.
        let same_function = settings.variant.beta(iteration) >= 1.0;
        let verdict = progress.advance(next, same_function);
        if let Verdict::Reject(why) = verdict {
            break why;
        }
        std::mem::swap(&mut params, &mut next_params);
        std::mem::swap(&mut stats, &mut next_stats);
        objective = next;
        let event = Event {
            run,
            iteration: iteration + 1,
            e_steps,
            objective: objective.total(),
            gap: progress.gap,
            params: &params,
        };
        if observer.on_iteration(&event) == ControlFlow::Break(()) {
            break Stopped::Observer;
        }
        if let Verdict::Done(why) = verdict {
            break why;
        }
    };
    observer.on_end(run);
    let report = Report {
        objective: objective.total(),
        data_term: objective.data_term,
        penalty: objective.penalty,
        iterations: progress.iterations(),
        trace: progress.trace,
        e_steps,
        stopped,
        gap: progress.gap,
        largest_fall: progress.largest_fall,
        repairs,
        free_parameters: model.free_parameters(&params),
        observations: data.observations(),
        spurious: model.is_spurious(&params, &stats),
    };
    Ok(Fit { params, stats, report })
}

fn how(variant: Variant, iteration: usize) -> How {
    match variant {
        Variant::Soft => How::Soft,
        Variant::Hard => How::Hard,
        Variant::Annealed { .. } => {
            let beta = variant.beta(iteration);
            if beta < 1.0 { How::Tempered(beta) } else { How::Soft }
        }
    }
}

#[derive(Clone, Copy)]
struct Objective {
    data_term: f64,
    penalty: f64,
}

impl Objective {
    fn total(self) -> f64 {
        self.data_term + self.penalty
    }
}

/// What to make of a step.
enum Verdict {
    Continue,
    /// Take the step, then stop.
    Done(Stopped),
    /// Stop without the step.
    Reject(Stopped),
}

/// The objective so far and what it says about the future.
struct Progress {
    trace: Vec<f64>,
    observations: f64,
    tolerance: Tolerance,
    gap: Option<f64>,
    largest_fall: f64,
    last_gain: f64,
    within: usize,
}

impl Progress {
    fn new(observations: f64, tolerance: Tolerance, start: f64) -> Self {
        let mut trace = Vec::with_capacity(64);
        trace.push(start);
        Self {
            trace,
            observations,
            tolerance,
            gap: None,
            largest_fall: 0.0,
            last_gain: f64::NAN,
            within: 0,
        }
    }

    fn iterations(&self) -> usize {
        self.trace.len() - 1
    }

    fn advance(&mut self, next: Objective, same_function: bool) -> Verdict {
        let total = next.total();
        if !total.is_finite() {
            return Verdict::Reject(Stopped::NotFinite);
        }
        let last = self.trace[self.trace.len() - 1];
        if !same_function {
            (self.last_gain, self.gap) = (f64::NAN, None);
            self.trace.push(total);
            return Verdict::Continue;
        }
        let gain = total - last;
        // The sum over n rows of terms of size |ℓ| carries some n·ε·|ℓ| of rounding; 10⁻¹² leaves room for the chain
        // of operations behind each term.
        let size = next.data_term.abs() + next.penalty.abs() + self.observations;
        self.largest_fall = self.largest_fall.max(-gain);
        if -gain > 1e-12 * size {
            return Verdict::Reject(Stopped::ObjectiveFell { amount: -gain });
        }
        self.trace.push(total);
        let ratio = gain / self.last_gain;
        self.gap = (0.0..1.0).contains(&ratio).then(|| gain * ratio / (1.0 - ratio));
        self.last_gain = gain;
        if self.tolerance.is_zero() {
            return Verdict::Continue;
        }
        if gain < 0.0 {
            return Verdict::Done(Stopped::Rounding);
        }
        let (reached, why) = match self.tolerance {
            Tolerance::Gap(tolerance) => {
                (self.gap.is_some_and(|gap| gap < tolerance * self.observations), Stopped::Gap)
            }
            Tolerance::Change(tolerance) => (gain < tolerance * self.observations, Stopped::Change),
            Tolerance::RelativeChange(tolerance) => {
                (gain < tolerance * total.abs(), Stopped::RelativeChange)
            }
        };
        let rounding = gain <= 4.0 * f64::EPSILON * size;
        self.within = if reached || rounding { self.within + 1 } else { 0 };
        let needed = if matches!(self.tolerance, Tolerance::Gap(_)) || rounding { 2 } else { 1 };
        if self.within < needed {
            return Verdict::Continue;
        }
        Verdict::Done(if reached { why } else { Stopped::Rounding })
    }
}
