//! One run of EM from one start.

use std::{ops::ControlFlow, time::Instant};

use super::{
    Acceleration, CancelToken, Event, Fit, Observer, Report, Settings, Stopped, Tolerance, Variant,
    accelerate::Accelerator,
    checkpoint::{Checkpoint, Reader, Snapshot, Words},
    reduce::{EStep, How, mix},
    schedule::{At, Schedule, Task},
};
use crate::{
    ChunkSource, DataError, EStepError, EstimateError, LatentModel, Repairs, Shown, SourceError,
    Statistics, source::check,
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
    /// The checkpoint is not one of such a run.
    #[error(
        "the checkpoint was taken of another run; resume with the model, the data and the settings it was taken with"
    )]
    Checkpoint,
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
    let mut run = Run::new(model, data, start, settings, observer, run);
    run.begin()?;
    Ok(run.go_on(deadline))
}

/// Goes on from a checkpoint, as if the run had never been interrupted: the same bits come out, if model, data and settings
/// are those it was taken with. Limits of iterations and of time may differ.
///
/// # Errors
///
/// [`FitError::Checkpoint`] if it is not of such a run; [`FitError`] if the data are unusable.
pub fn resume<M: LatentModel>(
    model: &M,
    data: M::Data<'_>,
    checkpoint: Checkpoint<M::Params>,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Fit<M::Params, M::Stats>, FitError> {
    resume_source(model, &Shown::<M>(data), checkpoint, settings, observer)
}

/// [`resume`] on data that may be larger than memory.
///
/// # Errors
///
/// As [`resume`].
pub fn resume_source<M, D>(
    model: &M,
    source: &D,
    checkpoint: Checkpoint<M::Params>,
    settings: &Settings,
    observer: &impl Observer<M::Params>,
) -> Result<Fit<M::Params, M::Stats>, FitError>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
{
    let deadline = settings.time_budget.map(|budget| Instant::now() + budget);
    let (params, words) = checkpoint.into_parts();
    settings.variant.validate();
    check(model, &params, source, settings.pieces)?;
    let mut reader = Reader(&words);
    let index = reader.take().ok_or(FitError::Checkpoint)?;
    let mut run = Run::new(model, source, params, settings, observer, index);
    let complete = run.load(&mut reader).is_some() && reader.0.is_empty();
    if !complete {
        return Err(FitError::Checkpoint);
    }
    Ok(run.go_on(deadline))
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
    /// What the last iteration concluded, until the run ends for it.
    concluded: Option<Stopped>,
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
    /// A run that has not begun.
    fn new(
        model: &'a M,
        data: &'a D,
        start: M::Params,
        settings: &'a Settings,
        observer: &'a O,
        index: usize,
    ) -> Self {
        let (stats, zero) = (model.new_stats(&start), Objective { data_term: 0.0, penalty: 0.0 });
        let is_plain = M::REMEMBERS
            || !M::ASCENDS
            || settings.variant != Variant::Soft
            || settings.tolerance.is_zero();
        let acceleration = if is_plain { Acceleration::None } else { settings.acceleration };
        let spare = Point { params: start.clone(), stats: stats.clone(), objective: zero };
        let seed = mix(settings.seed, index as u64);
        let schedule = Schedule::new(settings.variant, data, settings.pieces, seed, &stats);
        Self {
            model,
            data,
            settings,
            observer,
            index,
            e_step: EStep::over(data.len(), data.grain(), settings.pieces),
            accelerator: Accelerator::new(acceleration, model, &start, &stats),
            schedule,
            here: Point { params: start, stats, objective: zero },
            spare,
            progress: Progress::new(data.observations(), settings.tolerance, model.precision()),
            repairs: Repairs::default(),
            e_steps: 0,
            concluded: None,
        }
    }

    /// Evaluates the start.
    fn begin(&mut self) -> Result<(), EStepError> {
        self.evaluate_spare(0)?;
        self.take_spare();
        self.progress.trace.push(self.here.objective.total());
        Ok(())
    }

    /// Iterates until something ends the run.
    fn go_on(mut self, deadline: Option<Instant>) -> Fit<M::Params, M::Stats> {
        let stopped = loop {
            if let Some(stopped) = self.concluded.take().or_else(|| self.stop_now(deadline)) {
                break stopped;
            }
            if let ControlFlow::Break(stopped) = self.step() {
                break stopped;
            }
        };
        let stopped = self.settle(stopped);
        self.observer.on_end(self.index);
        self.finish(stopped)
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
                let verdict = self.scheduled_step(&mut schedule);
                self.schedule = Some(schedule);
                match verdict {
                    Ok(verdict) => self.conclude(verdict),
                    Err(why) => ControlFlow::Break(why),
                }
            }
        }
    }

    /// One iteration of a schedule; the objective is that of its own pass, so that it is told one M-step late.
    fn scheduled_step(&mut self, schedule: &mut Schedule<M>) -> Result<Verdict, Stopped> {
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
        let data_term = schedule.step(&task, &mut at)?;
        self.e_steps += schedule.e_steps();
        self.here.objective = Objective { data_term, penalty };
        Ok(self.progress.note(self.here.objective, schedule.last_iteration()))
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
        if self.progress.plain_steps == 0
            && let Some(mut accelerator) = self.accelerator.take()
        {
            let leap = self.leap(&mut accelerator);
            self.accelerator = Some(accelerator);
            match leap {
                Ok(Some(verdict)) => return self.conclude(verdict),
                Ok(None) => {}
                Err(why) => return ControlFlow::Break(why),
            }
        }
        self.plain_step()
    }

    /// Tells the observer of the iteration, and ends the run if that is the verdict.
    fn conclude(&mut self, verdict: Verdict) -> ControlFlow<Stopped> {
        self.concluded = match verdict {
            Verdict::Continue => None,
            Verdict::Done(why) => Some(why),
            Verdict::Reject(why) => return ControlFlow::Break(why),
        };
        self.tell_observer()
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
        if ends && matches!(verdict, Verdict::Continue) {
            self.progress.gap = Some(0.0);
            verdict = Verdict::Done(Stopped::Gap);
        }
        self.conclude(verdict)
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
                Ok(()) if !M::ASCENDS => self.progress.note(self.spare.objective, None),
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
    fn leap(
        &mut self,
        accelerator: &mut Accelerator<M::Stats>,
    ) -> Result<Option<Verdict>, Stopped> {
        if !accelerator.propose(&self.here.stats) {
            return Ok(None);
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
            Some(Err(EStepError::Cancelled)) => return Err(Stopped::Cancelled),
            Some(Err(_)) | None => false,
        };
        if !taken {
            accelerator.failed(self.model, &self.here.params, &self.here.stats);
            return Ok(None);
        }
        self.repairs.merge(repaired.unwrap_or_default());
        self.take_spare();
        accelerator.taken(self.model, &self.here.params, &self.here.stats);
        let verdict = self.progress.advance(self.here.objective, Kind::Leap);
        Ok(Some(self.progress.confirm(verdict, accelerator.gap())))
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
            run_state: self,
        };
        match self.observer.on_iteration(&event) {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) => ControlFlow::Break(self.observer.reason(self.index)),
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

impl<M, D, O> Snapshot for Run<'_, M, D, O>
where
    M: LatentModel,
    D: for<'d> ChunkSource<Chunk<'d> = M::Data<'d>>,
    O: Observer<M::Params>,
{
    fn save(&self, words: &mut Words) {
        words.put(self.index);
        words.put_text(&self.identity());
        words.put(self.e_steps);
        words.put_f64(self.here.objective.data_term);
        words.put_f64(self.here.objective.penalty);
        words.put_stats(&self.here.stats);
        for count in self.repairs.counts() {
            words.put(count);
        }
        words.put_stopped(self.concluded.as_ref());
        self.progress.save(words);
        if let Some(accelerator) = &self.accelerator {
            accelerator.save(words);
        }
        if let Some(schedule) = &self.schedule {
            schedule.save(words);
        }
    }
}

impl<M, D, O> Run<'_, M, D, O>
where
    M: LatentModel,
    D: for<'d> ChunkSource<Chunk<'d> = M::Data<'d>>,
    O: Observer<M::Params>,
{
    /// What a checkpoint must share with the run that goes on from it.
    fn identity(&self) -> String {
        let Settings { variant, acceleration, tolerance, pieces, seed, .. } = self.settings;
        let (units, observations) = (self.data.len(), self.data.observations());
        let numbers = self.here.stats.dim();
        format!(
            "{variant:?} {acceleration:?} {tolerance:?} {pieces} {seed} {units} {observations} {numbers}"
        )
    }

    /// Takes over the state that [`save`](Snapshot::save) wrote, but for the index, which is known.
    fn load(&mut self, words: &mut Reader<'_>) -> Option<()> {
        words.take_text(&self.identity())?;
        self.e_steps = words.take()?;
        self.here.objective =
            Objective { data_term: words.take_f64()?, penalty: words.take_f64()? };
        words.take_stats(&mut self.here.stats)?;
        for count in self.repairs.counts_mut() {
            *count = words.take()?;
        }
        words.take_stopped(&mut self.concluded)?;
        self.progress.load(words)?;
        if let Some(accelerator) = &mut self.accelerator {
            accelerator.load(words)?;
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.load(words)?;
        }
        Some(())
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
    /// Relative rounding of a data term.
    precision: f64,
    gap: Option<f64>,
    largest_fall: f64,
    last_gain: f64,
    last_kind: Kind,
    within: usize,
    /// Plain steps to take before the next leap.
    plain_steps: usize,
}

/// Plain steps that show at which rate a run converges, twice.
const CHECK: usize = 3;

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
    fn new(observations: f64, tolerance: Tolerance, precision: f64) -> Self {
        Self {
            trace: Vec::with_capacity(64),
            observations,
            tolerance,
            precision,
            gap: None,
            largest_fall: 0.0,
            last_gain: f64::NAN,
            last_kind: Kind::OtherFunction,
            within: 0,
            plain_steps: 0,
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
        // The sum over n rows of terms of size |ℓ| carries some n·ε·|ℓ| of rounding; 4500 ε (10⁻¹² in double precision)
        // leaves room for the chain of operations behind each term.
        let size = next.data_term.abs() + next.penalty.abs() + self.observations;
        self.largest_fall = self.largest_fall.max(-gain);
        if -gain > 4500.0 * self.precision * size {
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
        self.plain_steps = self.plain_steps.saturating_sub(1);
        if reached || rounding {
            self.within += 1;
        } else if is_path {
            (self.within, self.plain_steps) = (0, 0);
        }
        let needed = if matches!(self.tolerance, Tolerance::Gap(_)) || rounding { 2 } else { 1 };
        if self.within < needed {
            return Verdict::Continue;
        }
        Verdict::Done(if reached { why } else { Stopped::Rounding })
    }

    /// Believes a verdict only if what is `left` to gain by another reckoning is within the tolerance, too. Where there is
    /// none, gains of leaps say too little: plain steps must agree.
    fn confirm(&mut self, verdict: Verdict, left: Option<f64>) -> Verdict {
        let Tolerance::Gap(tolerance) = self.tolerance else { return verdict };
        if let Some(left) = left {
            self.gap = self.gap.map(|gap| gap.max(left));
        }
        let doubted = match left {
            Some(left) => left >= tolerance * self.observations,
            None => self.last_kind == Kind::Leap,
        };
        match verdict {
            Verdict::Done(Stopped::Gap) if doubted => {
                if left.is_none() {
                    (self.within, self.plain_steps) = (0, CHECK);
                }
                Verdict::Continue
            }
            verdict => verdict,
        }
    }

    fn save(&self, words: &mut Words) {
        words.put_slice(&self.trace);
        words.put(usize::from(self.gap.is_some()));
        for x in [self.gap.unwrap_or(0.0), self.largest_fall, self.last_gain] {
            words.put_f64(x);
        }
        words.put(self.last_kind as usize);
        words.put(self.within);
        words.put(self.plain_steps);
    }

    fn load(&mut self, words: &mut Reader<'_>) -> Option<()> {
        words.take_slice(&mut self.trace)?;
        let has_gap = words.take_up_to(1)? == 1;
        let [gap, largest_fall, last_gain] =
            [words.take_f64()?, words.take_f64()?, words.take_f64()?];
        self.gap = has_gap.then_some(gap);
        (self.largest_fall, self.last_gain) = (largest_fall, last_gain);
        self.last_kind = [Kind::Step, Kind::Leap, Kind::OtherFunction][words.take_up_to(2)?];
        (self.within, self.plain_steps) = (words.take()?, words.take()?);
        (!self.trace.is_empty()).then_some(())
    }

    /// Takes note of an iteration whose objective may fall, of a schedule or a model that does not ascend: it ends after `last`
    /// iterations, or where there is no last one, when two changes in a row are within tolerance.
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
