//! Variants whose steps are not those of batch EM: drawn latent variables, pieces in turn, batches as they come.
//!
//! All of them are algebra on statistics; none knows the model.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    Stopped, Variant,
    checkpoint::{Reader, Words},
    reduce::{EStep, How, mix},
};
use crate::{
    Batch, ChunkSource, EStepError, EstimateError, LatentModel, Repairs, Shown, Statistics,
};

/// What a variant keeps from one iteration to the next, besides the current point.
pub(super) enum Schedule<M: LatentModel> {
    Sampled(Sampled<M::Stats>),
    Incremental(Incremental<M::Stats>),
    Online(Online<M>),
}

/// An iteration of a schedule: the data term as far as it is known, or why the run ends.
type Step = Result<f64, Stopped>;

/// Draws of an M-step that has no estimate before the run gives up.
const MAX_REDRAWS: usize = 20;

impl<M: LatentModel> Schedule<M> {
    /// The schedule of a variant, if it has one; `shape` gives the room.
    pub(super) fn new(
        variant: Variant,
        data: &impl ChunkSource,
        pieces: usize,
        seed: u64,
        shape: &M::Stats,
    ) -> Option<Self> {
        match variant {
            Variant::Soft | Variant::Hard | Variant::Annealed { .. } => None,
            Variant::Sampled { draws, burn_in, averaged, decay } => Some(Self::Sampled(Sampled {
                draws,
                burn_in,
                last: burn_in + averaged,
                decay,
                seed,
                drawn: shape.clone(),
                running: shape.clone(),
                average: Average::new(shape),
            })),
            Variant::Incremental => Some(Self::Incremental(Incremental {
                pieces: Vec::new(),
                fresh: shape.clone(),
                sum: shape.clone(),
            })),
            Variant::Online { batch, epochs, decay, delay } => {
                let batches = data.len().div_ceil(batch);
                Some(Self::Online(Online {
                    batch,
                    epochs,
                    decay,
                    delay,
                    seed,
                    steps: 0,
                    half: batches * epochs / 2,
                    e_step: EStep::over(data.len().min(batch), data.grain(), pieces).forgetful(),
                    order: (0..batches).collect(),
                    fresh: shape.clone(),
                    running: shape.clone(),
                    average: Average::new(shape),
                }))
            }
        }
    }

    /// Iterations after which the run ends by itself.
    pub(super) fn last_iteration(&self) -> Option<usize> {
        match self {
            Self::Sampled(sampled) => Some(sampled.last),
            Self::Incremental(_) => None,
            Self::Online(online) => Some(online.epochs),
        }
    }

    /// E-steps over all data that an iteration costs.
    pub(super) fn e_steps(&self) -> usize {
        match self {
            Self::Sampled(sampled) => sampled.draws,
            Self::Incremental(_) | Self::Online(_) => 1,
        }
    }

    /// The statistics that the result comes from, where they are not those of the last step.
    pub(super) fn average(&self) -> Option<&M::Stats> {
        match self {
            Self::Sampled(sampled) if sampled.decay == 0.0 => sampled.average.get(),
            Self::Online(online) if online.decay > 0.0 => online.average.get(),
            _ => None,
        }
    }

    /// One iteration: moves `params`, with `spare` as the room for the next ones.
    pub(super) fn step<D>(&mut self, task: &Task<'_, M, D>, at: &mut At<'_, M>) -> Step
    where
        D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        match self {
            Self::Sampled(sampled) => sampled.step(task, at),
            Self::Incremental(incremental) => incremental.step(task, at),
            Self::Online(online) => online.step(task, at),
        }
    }
}

impl<M: LatentModel> Schedule<M> {
    pub(super) fn save(&self, words: &mut Words) {
        match self {
            Self::Sampled(sampled) => {
                words.put_stats(&sampled.running);
                sampled.average.save(words);
            }
            Self::Incremental(incremental) => {
                words.put(incremental.pieces.len());
                incremental.pieces.iter().for_each(|piece| words.put_stats(piece));
                words.put_stats(&incremental.sum);
            }
            Self::Online(online) => {
                words.put(online.steps);
                online.order.iter().for_each(|batch| words.put(*batch));
                words.put_stats(&online.running);
                online.average.save(words);
            }
        }
    }

    pub(super) fn load(&mut self, words: &mut Reader<'_>) -> Option<()> {
        match self {
            Self::Sampled(sampled) => {
                words.take_stats(&mut sampled.running)?;
                sampled.average.load(words)
            }
            Self::Incremental(incremental) => {
                for _ in 0..words.take()? {
                    let mut piece = incremental.fresh.clone();
                    words.take_stats(&mut piece)?;
                    incremental.pieces.push(piece);
                }
                words.take_stats(&mut incremental.sum)
            }
            Self::Online(online) => {
                online.steps = words.take()?;
                let last = online.order.len() - 1;
                for batch in &mut online.order {
                    *batch = words.take_up_to(last)?;
                }
                words.take_stats(&mut online.running)?;
                online.average.load(words)
            }
        }
    }
}

/// What does not change during a run.
pub(super) struct Task<'a, M: LatentModel, D> {
    pub(super) model: &'a M,
    pub(super) data: &'a D,
    pub(super) e_step: &'a EStep<M>,
    pub(super) cancel: Option<&'a super::CancelToken>,
    /// Iterations done before this one.
    pub(super) iteration: usize,
}

/// Where a run is.
pub(super) struct At<'a, M: LatentModel> {
    pub(super) params: &'a mut M::Params,
    pub(super) spare: &'a mut M::Params,
    pub(super) repairs: &'a mut Repairs,
}

impl<M: LatentModel> At<'_, M> {
    /// Moves the parameters to the estimate of these statistics.
    fn maximize(&mut self, model: &M, stats: &M::Stats) -> Result<(), EstimateError> {
        let repaired = model.m_step(self.params, stats, self.spare)?;
        self.repairs.merge(repaired);
        std::mem::swap(self.params, self.spare);
        Ok(())
    }
}

fn stopped(error: EStepError) -> Stopped {
    match error {
        EStepError::Cancelled => Stopped::Cancelled,
        error => Stopped::EStep(error),
    }
}

/// Stochastic, Monte-Carlo and stochastic approximation EM.
pub(super) struct Sampled<S> {
    draws: usize,
    burn_in: usize,
    last: usize,
    decay: f64,
    seed: u64,
    drawn: S,
    running: S,
    average: Average<S>,
}

impl<S: Statistics> Sampled<S> {
    fn step<M, D>(&mut self, task: &Task<'_, M, D>, at: &mut At<'_, M>) -> Step
    where
        M: LatentModel<Stats = S>,
        D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        let after = (task.iteration + 1).saturating_sub(self.burn_in);
        let rate = if after == 0 { 1.0 } else { (after as f64).powf(-self.decay) };
        for redraw in 0..=MAX_REDRAWS {
            let seed = mix(mix(self.seed, task.iteration as u64), redraw as u64);
            let mut data_term = 0.0;
            self.running.scale(1.0 - rate);
            for draw in 0..self.draws {
                let how = How::Sampled(mix(seed, draw as u64));
                data_term = task
                    .e_step
                    .run_how(task.model, at.params, task.data, how, task.cancel, &mut self.drawn)
                    .map_err(stopped)?;
                if rate >= 1.0 && draw == 0 {
                    self.running.set_zero();
                    self.running.align(&self.drawn);
                }
                self.running.axpy(rate / self.draws as f64, &self.drawn);
            }
            match at.maximize(task.model, &self.running) {
                Ok(()) => {
                    if after > 0 && self.decay == 0.0 {
                        self.average.add(&self.running);
                    }
                    return Ok(data_term);
                }
                Err(error) if redraw == MAX_REDRAWS || rate < 1.0 => {
                    return Err(Stopped::MStep(error));
                }
                Err(_) => at.repairs.redrawn += 1,
            }
        }
        unreachable!("the last redraw returns")
    }
}

/// Neal and Hinton's incremental EM.
pub(super) struct Incremental<S> {
    pieces: Vec<S>,
    fresh: S,
    sum: S,
}

impl<S: Statistics> Incremental<S> {
    fn step<M, D>(&mut self, task: &Task<'_, M, D>, at: &mut At<'_, M>) -> Step
    where
        M: LatentModel<Stats = S>,
        D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        let is_first = self.pieces.is_empty();
        let mut data_term = 0.0;
        for piece in 0..task.e_step.pieces() {
            data_term += task
                .e_step
                .run_piece(task.model, at.params, task.data, piece, task.cancel, &mut self.fresh)
                .map_err(stopped)?;
            if is_first {
                // The first pass is an E-step at the start: no piece is known before all are.
                self.pieces.push(self.fresh.clone());
                continue;
            }
            self.sum.axpy(-1.0, &self.pieces[piece]);
            self.sum.merge(&self.fresh);
            std::mem::swap(&mut self.pieces[piece], &mut self.fresh);
            self.maximize(task, at)?;
        }
        // Summed anew, so that what is taken out and put in leaves no trace of rounding.
        self.sum.set_zero();
        self.sum.align(&self.pieces[0]);
        self.pieces.iter().for_each(|piece| self.sum.merge(piece));
        if is_first {
            self.maximize(task, at)?;
        }
        Ok(data_term)
    }

    fn maximize<M: LatentModel<Stats = S>, D>(
        &self,
        task: &Task<'_, M, D>,
        at: &mut At<'_, M>,
    ) -> Result<(), Stopped> {
        at.maximize(task.model, &self.sum).map_err(Stopped::MStep)
    }
}

/// Online EM over batches of one data set.
pub(super) struct Online<M: LatentModel> {
    batch: usize,
    epochs: usize,
    decay: f64,
    delay: f64,
    seed: u64,
    steps: usize,
    /// Steps after which averaging begins.
    half: usize,
    e_step: EStep<M>,
    order: Vec<usize>,
    fresh: M::Stats,
    running: M::Stats,
    average: Average<M::Stats>,
}

impl<M: LatentModel> Online<M> {
    fn step<D>(&mut self, task: &Task<'_, M, D>, at: &mut At<'_, M>) -> Step
    where
        D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(self.seed, task.iteration as u64));
        for last in (1..self.order.len()).rev() {
            self.order.swap(last, rng.random_range(0..=last)); // Fisher and Yates
        }
        let all = task.data.observations();
        let mut data_term = 0.0;
        for place in 0..self.order.len() {
            let start = self.order[place] * self.batch;
            let units = start..task.data.len().min(start + self.batch);
            let (e_step, fresh) = (&self.e_step, &mut self.fresh);
            let shown = task.data.with(units, |batch| {
                let (data, how) = (Shown::<M>(batch), How::Soft);
                e_step
                    .run_how(task.model, at.params, &data, how, task.cancel, fresh)
                    .map(|data_term| (data_term, batch.observations()))
            });
            let (gained, observations) = shown
                .map_err(EStepError::Source)
                .and_then(|sum| sum.map_err(|error| error.offset(start)))
                .map_err(stopped)?;
            data_term += gained;
            let share = observations / all;
            if share == 0.0 {
                continue; // a batch of weight zero says nothing
            }
            let whole = self.steps == 0 || self.decay == 0.0;
            let step = (self.steps as f64 + 1.0 + self.delay).powf(-self.decay);
            let rate = if whole { 1.0 } else { step };
            self.fresh.scale(1.0 / share);
            if rate >= 1.0 {
                self.running.set_zero();
                self.running.align(&self.fresh);
            }
            self.running.lerp(rate, &self.fresh);
            self.steps += 1;
            if at.maximize(task.model, &self.running).is_err() {
                at.repairs.skipped_batches += 1;
            }
            if self.steps > self.half {
                self.average.add(&self.running);
            }
        }
        Ok(data_term)
    }
}

/// The mean of the statistics added so far.
pub(super) struct Average<S> {
    mean: S,
    count: usize,
}

impl<S: Statistics> Average<S> {
    fn new(shape: &S) -> Self {
        Self { mean: shape.clone(), count: 0 }
    }

    fn add(&mut self, stats: &S) {
        self.count += 1;
        if self.count == 1 {
            self.mean.set_zero();
            self.mean.align(stats);
        }
        self.mean.lerp(1.0 / self.count as f64, stats);
    }

    fn save(&self, words: &mut Words) {
        words.put(self.count);
        words.put_stats(&self.mean);
    }

    fn load(&mut self, words: &mut Reader<'_>) -> Option<()> {
        self.count = words.take()?;
        words.take_stats(&mut self.mean)
    }

    fn get(&self) -> Option<&S> {
        (self.count > 0).then_some(&self.mean)
    }
}
