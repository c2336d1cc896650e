//! One run of EM from one start.

use std::{ops::ControlFlow, time::Instant};

use super::{
    Acceleration, CancelToken, Event, Fit, Observer, Report, Settings, Stopped, Tolerance, Variant,
    accelerate::Accelerator,
    reduce::{EStep, How, mix},
    schedule::{At, Schedule, Task},
};
use crate::{
    ChunkSource, DataError, EStepError, EstimateError, LatentModel, Repairs, Shown, SourceError,
    source::check,
};

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
    /// The likelihood of a distribution by itself has no maximum for these data.
    #[error("no maximum: {0}")]
    NoMaximum(#[source] EstimateError),
    /// The run was not begun because the fit was cancelled or out of time.
    #[error("not run: the fit was stopped before")]
    NotRun,
}

impl From<SourceError> for FitError {
    fn from(error: SourceError) -> Self {
        Self::Data(error.into())
    }
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
    fit_source(model, &Shown::<M>(data), start, settings, observer)
}

/// [`fit`] on data that may be larger than memory.
///
/// Not more than one piece per worker is held ([`pieces_within`](crate::pieces_within) says how many make that fit a budget;
/// online EM holds its batches). On the same numbers and settings this gives the bits of [`fit`]. A source that fails ends the
/// run with the best parameters so far.
///
/// # Errors
///
/// As [`fit`]; [`EStepError::Source`] if the data cannot be read at the start.
pub fn fit_source<M, D>(
    model: &M,
    source: &D,
    start: M::Params,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Fit<M::Params, M::Stats>, FitError>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
{
    let deadline = settings.time_budget.map(|budget| Instant::now() + budget);
    fit_run(model, source, start, settings, observer, 0, deadline)
}

/// The same as one of many runs, with the deadline they share.
pub(super) fn fit_run<M, D>(
    model: &M,
    data: &D,
    start: M::Params,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
    run: usize,
    deadline: Option<Instant>,
) -> Result<Fit<M::Params, M::Stats>, FitError>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
{
    settings.variant.validate();
    if data.is_empty() {
        return Err(DataError::Empty.into());
    }
    check(model, &start, data, settings.pieces)?;
    let mut run = Run::new(model, data, start, settings, observer, run)?;
    let stopped = loop {
        if let Some(stopped) = run.stop_now(deadline) {
            break stopped;
        }
        if let ControlFlow::Break(stopped) = run.step() {
            break stopped;
        }
    };
    let stopped = run.settle(stopped);
    observer.on_end(run.index);
    Ok(run.finish(stopped))
}

/// A run in progress.
struct Run<'a, M: LatentModel, D, O> {
    model: &'a M,
    data: &'a D,
    settings: &'a Settings,
    observer: &'a O,
    index: usize,
    e_step: EStep<M>,
    /// The best point so far; the next one is made in `spare`.
    here: Point<M>,
    spare: Point<M>,
    accelerator: Option<Accelerator<M::Stats>>,
    schedule: Option<Schedule<M>>,
    progress: Progress,
    repairs: Repairs,
    e_steps: usize,
}

/// Parameters with the statistics and the objective at exactly these parameters.
struct Point<M: LatentModel> {
    params: M::Params,
    stats: M::Stats,
    objective: Objective,
}

impl<'a, M, D, O> Run<'a, M, D, O>
where
    M: LatentModel,
    D: for<'d> ChunkSource<Chunk<'d> = M::Data<'d>>,
    O: Observer<M::Params>,
{
    /// Evaluates the start.
    fn new(
        model: &'a M,
        data: &'a D,
        start: M::Params,
        settings: &'a Settings,
        observer: &'a O,
        index: usize,
    ) -> Result<Self, EStepError> {
        let (stats, zero) = (model.new_stats(&start), Objective { data_term: 0.0, penalty: 0.0 });
        let is_plain = settings.variant != Variant::Soft || settings.tolerance.is_zero();
        let acceleration = if is_plain { Acceleration::None } else { settings.acceleration };
        let spare = Point { params: start.clone(), stats: stats.clone(), objective: zero };
        let seed = mix(settings.seed, index as u64);
        let schedule = Schedule::new(settings.variant, data, settings.pieces, seed, &stats);
        let mut new = Self {
            model,
            data,
            settings,
            observer,
            index,
            e_step: EStep::over(data.len(), data.grain(), settings.pieces),
            accelerator: Accelerator::new(acceleration, &stats),
            schedule,
            here: Point { params: start, stats, objective: zero },
            spare,
            progress: Progress::new(data.observations(), settings.tolerance),
            repairs: Repairs::default(),
            e_steps: 0,
        };
        new.evaluate_spare(0)?;
        new.take_spare();
        new.progress.trace.push(new.here.objective.total());
        Ok(new)
    }

    fn stop_now(&self, deadline: Option<Instant>) -> Option<Stopped> {
        if !self.here.objective.total().is_finite() {
            Some(Stopped::NotFinite)
        } else if self.progress.iterations() >= self.settings.max_iterations {
            Some(Stopped::MaxIterations)
        } else if self.settings.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
            Some(Stopped::Cancelled)
        } else if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(Stopped::TimeBudget)
        } else {
            None
        }
    }

    /// One iteration of whatever variant this is.
    fn step(&mut self) -> ControlFlow<Stopped> {
        match self.schedule.take() {
            None => self.em_step(),
            Some(mut schedule) => {
                let flow = self.scheduled_step(&mut schedule);
                self.schedule = Some(schedule);
                flow
            }
        }
    }

    /// One iteration of a schedule; the objective is that of its own pass, so that it is told one M-step late.
    fn scheduled_step(&mut self, schedule: &mut Schedule<M>) -> ControlFlow<Stopped> {
        let iteration = self.progress.iterations();
        let task = Task {
            model: self.model,
            data: self.data,
            e_step: &self.e_step,
            cancel: self.settings.cancel.as_ref(),
            iteration,
        };
        let mut at = At {
            params: &mut self.here.params,
            spare: &mut self.spare.params,
            repairs: &mut self.repairs,
        };
        let penalty = self.model.penalty(at.params);
        let data_term = match schedule.step(&task, &mut at) {
            Ok(data_term) => data_term,
            Err(why) => return ControlFlow::Break(why),
        };
        self.e_steps += schedule.e_steps();
        self.here.objective = Objective { data_term, penalty };
        let verdict = self.progress.note(self.here.objective, schedule.last_iteration());
        self.tell_observer()?;
        match verdict {
            Verdict::Continue => ControlFlow::Continue(()),
            Verdict::Done(why) | Verdict::Reject(why) => ControlFlow::Break(why),
        }
    }

    /// Ends a schedule: parameters come from averaged statistics where it averages, and the objective and the statistics
    /// become exactly those of the parameters returned.
    fn settle(&mut self, stopped: Stopped) -> Stopped {
        let Some(schedule) = self.schedule.take() else { return stopped };
        if let Some(average) = schedule.average() {
            match self.model.m_step(&self.here.params, average, &mut self.spare.params) {
                Ok(repaired) => {
                    self.repairs.merge(repaired);
                    std::mem::swap(&mut self.here.params, &mut self.spare.params);
                }
                Err(error) => return Stopped::MStep(error),
            }
        }
        let Point { params, stats, objective } = &mut self.here;
        self.e_steps += 1;
        match self.e_step.run_how(self.model, params, self.data, How::Soft, None, stats) {
            Ok(data_term) => {
                *objective = Objective { data_term, penalty: self.model.penalty(params) };
                stopped
            }
            Err(error) => Stopped::EStep(error),
        }
    }

    /// A leap where one is due and succeeds, else one EM step.
    fn em_step(&mut self) -> ControlFlow<Stopped> {
        if let Some(mut accelerator) = self.accelerator.take() {
            let leap = self.leap(&mut accelerator);
            self.accelerator = Some(accelerator);
            if let Some(flow) = leap {
                return flow;
            }
        }
        self.plain_step()
    }

    fn plain_step(&mut self) -> ControlFlow<Stopped> {
        let iteration = self.progress.iterations();
        let ends = !self.settings.tolerance.is_zero()
            && self.settings.variant.beta(iteration) >= 1.0
            && self.model.ends_here(&self.here.params, &self.here.stats);
        match self.model.m_step(&self.here.params, &self.here.stats, &mut self.spare.params) {
            Ok(repaired) => self.repairs.merge(repaired),
            Err(error) => return ControlFlow::Break(Stopped::MStep(error)),
        }
        let (verdict, retreats) = self.judge_spare(iteration);
        if let Verdict::Reject(why) = verdict {
            return ControlFlow::Break(why);
        }
        self.take_spare();
        let mut verdict = verdict;
        if let Some(accelerator) = &mut self.accelerator {
            if retreats == 0 {
                let (params, from, here) = (&self.here.params, &self.spare.stats, &self.here.stats);
                accelerator.stepped(self.model, params, from, here, self.progress.last_gain);
                verdict = self.progress.confirm(verdict, accelerator.gap());
            } else {
                accelerator.forget(); // the parameters are not those of the statistics
            }
        }
        self.tell_observer()?;
        if let Verdict::Done(why) = verdict {
            return ControlFlow::Break(why);
        }
        if ends {
            self.progress.gap = Some(0.0);
            return ControlFlow::Break(Stopped::Gap);
        }
        ControlFlow::Continue(())
    }

    /// Evaluates the step to `spare`; where the model allows it, one that lowers the objective is halved until it does not.
    fn judge_spare(&mut self, iteration: usize) -> (Verdict, usize) {
        // While the temperature moves, two objectives are of different functions: no test, no guard.
        let moves = self.settings.variant.beta(iteration) < 1.0;
        let kind = if moves { Kind::OtherFunction } else { Kind::Step };
        let fallen = self.progress.largest_fall;
        let mut retreats = 0;
        loop {
            let verdict = match self.evaluate_spare(iteration + 1) {
                Ok(()) => self.progress.advance(self.spare.objective, kind),
                Err(EStepError::Cancelled) => {
                    return (Verdict::Reject(Stopped::Cancelled), retreats);
                }
                Err(error) => Verdict::Reject(Stopped::EStep(error)),
            };
            let rejected = matches!(verdict, Verdict::Reject(_)) && retreats < MAX_RETREATS;
            if !(rejected && self.model.retreat(&self.here.params, &mut self.spare.params)) {
                return (verdict, retreats);
            }
            self.progress.largest_fall = fallen; // that step is not taken
            retreats += 1;
        }
    }

    /// Tries extrapolated statistics. A leap that fails in any way is not taken, and costs an E-step at most; `None` where
    /// none was taken.
    fn leap(&mut self, accelerator: &mut Accelerator<M::Stats>) -> Option<ControlFlow<Stopped>> {
        if !accelerator.propose(&self.here.stats) {
            return None;
        }
        let repaired = loop {
            let proposal = accelerator.proposal();
            match self.model.m_step(&self.here.params, proposal, &mut self.spare.params) {
                Ok(repaired) => break Some(repaired),
                Err(_) if accelerator.propose_less() => {}
                Err(_) => break None,
            }
        };
        let taken = match repaired.map(|_| self.evaluate_spare(self.progress.iterations() + 1)) {
            Some(Ok(())) => self.spare.objective.total() >= self.here.objective.total(),
            Some(Err(EStepError::Cancelled)) => {
                return Some(ControlFlow::Break(Stopped::Cancelled));
            }
            Some(Err(_)) | None => false,
        };
        if !taken {
            accelerator.failed(self.model, &self.here.params, &self.here.stats);
            return None;
        }
        self.repairs.merge(repaired.unwrap_or_default());
        self.take_spare();
        accelerator.taken(self.model, &self.here.params, &self.here.stats);
        let verdict = self.progress.advance(self.here.objective, Kind::Leap);
        let verdict = self.progress.confirm(verdict, accelerator.gap());
        if let ControlFlow::Break(why) = self.tell_observer() {
            return Some(ControlFlow::Break(why));
        }
        Some(match verdict {
            Verdict::Continue => ControlFlow::Continue(()),
            Verdict::Done(why) | Verdict::Reject(why) => ControlFlow::Break(why),
        })
    }

    /// E-step and penalty at `spare.params`.
    fn evaluate_spare(&mut self, iteration: usize) -> Result<(), EStepError> {
        let Point { params, stats, objective } = &mut self.spare;
        let how = how(self.settings.variant, iteration);
        let cancel = self.settings.cancel.as_ref();
        self.e_steps += 1;
        let data_term = self.e_step.run_how(self.model, params, self.data, how, cancel, stats)?;
        *objective = Objective { data_term, penalty: self.model.penalty(params) };
        Ok(())
    }

    fn take_spare(&mut self) {
        std::mem::swap(&mut self.here, &mut self.spare);
    }

    fn tell_observer(&self) -> ControlFlow<Stopped> {
        let event = Event {
            run: self.index,
            iteration: self.progress.iterations(),
            e_steps: self.e_steps,
            objective: self.here.objective.total(),
            gap: self.progress.gap,
            params: &self.here.params,
        };
        match self.observer.on_iteration(&event) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(Stopped::Observer),
        }
    }

    fn finish(self, stopped: Stopped) -> Fit<M::Params, M::Stats> {
        let Point { params, stats, objective } = self.here;
        let report = Report {
            objective: objective.total(),
            data_term: objective.data_term,
            penalty: objective.penalty,
            iterations: self.progress.iterations(),
            trace: self.progress.trace,
            e_steps: self.e_steps,
            stopped,
            gap: self.progress.gap,
            largest_fall: self.progress.largest_fall,
            repairs: self.repairs,
            free_parameters: self.model.free_parameters(&params),
            observations: self.data.observations(),
            spurious: self.model.is_spurious(&params, &stats),
        };
        Fit { params, stats, report }
    }
}

/// Halvings of a step before it counts as a fall: what is left of it is some 10⁻¹⁵.
const MAX_RETREATS: usize = 50;

fn how(variant: Variant, iteration: usize) -> How {
    match variant {
        Variant::Soft | Variant::Sampled { .. } | Variant::Incremental | Variant::Online { .. } => {
            How::Soft
        }
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
    last_kind: Kind,
    within: usize,
}

/// How the run got to its next point.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// By an EM step.
    Step,
    /// By an extrapolation.
    Leap,
    /// While the temperature moves: objectives are those of different functions.
    OtherFunction,
}

impl Progress {
    fn new(observations: f64, tolerance: Tolerance) -> Self {
        Self {
            trace: Vec::with_capacity(64),
            observations,
            tolerance,
            gap: None,
            largest_fall: 0.0,
            last_gain: f64::NAN,
            last_kind: Kind::OtherFunction,
            within: 0,
        }
    }

    fn iterations(&self) -> usize {
        self.trace.len() - 1
    }

    fn advance(&mut self, next: Objective, kind: Kind) -> Verdict {
        let total = next.total();
        if !total.is_finite() {
            return Verdict::Reject(Stopped::NotFinite);
        }
        let gain = total - self.trace[self.trace.len() - 1];
        if kind == Kind::OtherFunction {
            (self.last_gain, self.gap, self.last_kind) = (f64::NAN, None, kind);
            self.trace.push(total);
            return Verdict::Continue;
        }
        // The sum over n rows of terms of size |ℓ| carries some n·ε·|ℓ| of rounding; 10⁻¹² leaves room for the chain
        // of operations behind each term.
        let size = next.data_term.abs() + next.penalty.abs() + self.observations;
        self.largest_fall = self.largest_fall.max(-gain);
        if -gain > 1e-12 * size {
            return Verdict::Reject(Stopped::ObjectiveFell { amount: -gain });
        }
        self.trace.push(total);
        // Gains of one kind after another are those of one path; between kinds nothing is known.
        let is_path = kind == std::mem::replace(&mut self.last_kind, kind);
        let ratio = if is_path { gain / self.last_gain } else { f64::NAN };
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
        if reached || rounding {
            self.within += 1;
        } else if is_path {
            self.within = 0;
        }
        let needed = if matches!(self.tolerance, Tolerance::Gap(_)) || rounding { 2 } else { 1 };
        if self.within < needed {
            return Verdict::Continue;
        }
        Verdict::Done(if reached { why } else { Stopped::Rounding })
    }

    /// Believes a verdict only if what is `left` to gain by another reckoning is within the tolerance, too.
    fn confirm(&mut self, verdict: Verdict, left: Option<f64>) -> Verdict {
        let Tolerance::Gap(tolerance) = self.tolerance else { return verdict };
        let Some(left) = left else { return verdict };
        self.gap = self.gap.map(|gap| gap.max(left));
        let is_far = left >= tolerance * self.observations;
        match verdict {
            Verdict::Done(Stopped::Gap) if is_far => Verdict::Continue,
            verdict => verdict,
        }
    }

    /// Takes note of an iteration of a schedule, whose objective may fall: it ends after `last` iterations, or where there is
    /// no last one, when two changes in a row are within tolerance.
    fn note(&mut self, next: Objective, last: Option<usize>) -> Verdict {
        let total = next.total();
        if !total.is_finite() {
            return Verdict::Reject(Stopped::NotFinite);
        }
        let change = (total - self.trace[self.trace.len() - 1]).abs();
        self.trace.push(total);
        if let Some(last) = last {
            let done = self.iterations() >= last;
            return if done { Verdict::Done(Stopped::Finished) } else { Verdict::Continue };
        }
        let (within, why) = match self.tolerance {
            Tolerance::Gap(x) | Tolerance::Change(x) => {
                (change < x * self.observations, Stopped::Change)
            }
            Tolerance::RelativeChange(x) => (change < x * total.abs(), Stopped::RelativeChange),
        };
        self.within = if within { self.within + 1 } else { 0 };
        if self.within < 2 { Verdict::Continue } else { Verdict::Done(why) }
    }
}
