//! The E-step over all data: fixed pieces, a fixed merge tree, any number of threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::{
    Batch, CancelToken, ChunkSource, EStepError, Inference, LatentModel, Shown, Statistics,
    source::Cut,
};

/// A reusable E-step over a whole data set.
///
/// The data are cut into pieces whose number and borders depend on the data and on `pieces` alone. Each piece is
/// summed by one worker; pieces are merged in a fixed binary tree. So the same parameters give the same bits on any
/// number of threads. Statistics and scratch are pooled: after the first E-step nothing is allocated.
///
/// At most `⌈log₂ pieces⌉ + 1` statistics exist per worker, however large the data.
#[derive(Debug)]
pub struct EStep<M: LatentModel> {
    stats: Mutex<Vec<M::Stats>>,
    scratch: Mutex<Vec<M::Scratch>>,
    /// Where the model remembers: the scratch of each piece.
    kept: Vec<Mutex<Option<M::Scratch>>>,
    cut: Cut,
}

/// How an E-step fills in latent variables, in a form that pieces can share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    Soft,
    Hard,
    Tempered(f64),
    /// By draws from the generator of this seed, one for each piece.
    Sampled(u64),
}

/// One E-step: what every piece of it shares.
struct Task<'a, M: LatentModel, S> {
    model: &'a M,
    params: &'a M::Params,
    data: &'a S,
    how: How,
    cancel: Option<&'a CancelToken>,
}

impl<M: LatentModel> EStep<M> {
    /// For `data.len()` units in at most `pieces` pieces.
    ///
    /// # Panics
    ///
    /// If `pieces = 0`.
    pub fn new(data: M::Data<'_>, pieces: usize) -> Self {
        Self::over(data.len(), data.grain(), pieces)
    }

    /// For `units` units that are worth a task from `grain` units on, in at most `pieces` pieces.
    pub(crate) fn over(units: usize, grain: usize, pieces: usize) -> Self {
        let cut = Cut::new(units, grain, pieces);
        let kept = if M::REMEMBERS { cut.pieces } else { 0 };
        let kept = (0..kept).map(|_| Mutex::default()).collect();
        Self { stats: Mutex::default(), scratch: Mutex::default(), kept, cut }
    }

    /// The same for units that are others at each run: nothing is remembered of them.
    pub(super) fn forgetful(mut self) -> Self {
        self.kept.clear();
        self
    }

    /// Overwrites `stats` by the expected statistics of all data; returns the data term.
    ///
    /// # Errors
    ///
    /// The first failing unit of the first failing piece, counted over all data.
    pub fn run(
        &self,
        model: &M,
        params: &M::Params,
        data: M::Data<'_>,
        stats: &mut M::Stats,
    ) -> Result<f64, EStepError> {
        self.run_how(model, params, &Shown::<M>(data), How::Soft, None, stats)
    }

    pub(crate) fn run_how<S>(
        &self,
        model: &M,
        params: &M::Params,
        data: &S,
        how: How,
        cancel: Option<&CancelToken>,
        stats: &mut M::Stats,
    ) -> Result<f64, EStepError>
    where
        S: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        self.reduce(&Task { model, params, data, how, cancel }, 0, self.cut.pieces, stats)
    }

    /// Number of pieces that the data are cut into.
    pub(super) fn pieces(&self) -> usize {
        self.cut.pieces
    }

    /// Overwrites `stats` by the expected statistics of one piece; returns its data term.
    pub(super) fn run_piece<S>(
        &self,
        model: &M,
        params: &M::Params,
        data: &S,
        piece: usize,
        cancel: Option<&CancelToken>,
        stats: &mut M::Stats,
    ) -> Result<f64, EStepError>
    where
        S: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        self.piece(&Task { model, params, data, how: How::Soft, cancel }, piece, stats)
    }

    /// Sums pieces `from..to` into `stats`.
    fn reduce<S>(
        &self,
        task: &Task<'_, M, S>,
        from: usize,
        to: usize,
        stats: &mut M::Stats,
    ) -> Result<f64, EStepError>
    where
        S: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        if to - from == 1 {
            return self.piece(task, from, stats);
        }
        let middle = from.midpoint(to);
        let mut right_stats =
            take(&self.stats).unwrap_or_else(|| task.model.new_stats(task.params));
        let (left, right) = join(
            || self.reduce(task, from, middle, stats),
            || self.reduce(task, middle, to, &mut right_stats),
        );
        if left.is_ok() && right.is_ok() {
            stats.merge(&right_stats);
        }
        give_back(&self.stats, right_stats);
        Ok(left? + right?)
    }

    fn piece<S>(
        &self,
        task: &Task<'_, M, S>,
        piece: usize,
        stats: &mut M::Stats,
    ) -> Result<f64, EStepError>
    where
        S: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    {
        if task.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(EStepError::Cancelled);
        }
        let mut scratch =
            self.take_scratch(piece).unwrap_or_else(|| task.model.new_scratch(task.params));
        let units = self.cut.piece(task.data.len(), piece);
        let start = units.start;
        let mut rng = None;
        let mut how = match task.how {
            How::Soft => Inference::Soft,
            How::Hard => Inference::Hard,
            How::Tempered(beta) => Inference::Tempered(beta),
            How::Sampled(seed) => {
                Inference::Sampled(rng.insert(ChaCha8Rng::seed_from_u64(mix(seed, piece as u64))))
            }
        };
        task.model.reset(task.params, stats);
        let shown = task.data.with(units, |data| {
            task.model.e_step(task.params, data, &mut how, stats, &mut scratch)
        });
        // After an error the scratch may hold half a chunk: it is dropped, not given back.
        let data_term = shown.map_err(EStepError::Source)?.map_err(|error| error.offset(start))?;
        self.give_back_scratch(piece, scratch);
        Ok(data_term)
    }

    /// A scratch for this piece; where the model remembers, the one it had the last time.
    fn take_scratch(&self, piece: usize) -> Option<M::Scratch> {
        match self.kept.get(piece) {
            Some(kept) => lock(kept).take(),
            None if M::REMEMBERS => None,
            None => take(&self.scratch),
        }
    }

    fn give_back_scratch(&self, piece: usize, scratch: M::Scratch) {
        match self.kept.get(piece) {
            Some(kept) => *lock(kept) = Some(scratch),
            None if M::REMEMBERS => {}
            None => give_back(&self.scratch, scratch),
        }
    }
}

fn take<T>(pool: &Mutex<Vec<T>>) -> Option<T> {
    lock(pool).pop()
}

fn give_back<T>(pool: &Mutex<Vec<T>>, item: T) {
    lock(pool).push(item);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs both, side by side where the `rayon` feature is on.
pub(crate) fn join<A: Send, B: Send>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    #[cfg(feature = "rayon")]
    return rayon::join(left, right);
    #[cfg(not(feature = "rayon"))]
    return (left(), right());
}

/// `[f(0), …, f(n − 1)]`, side by side where the `rayon` feature is on.
pub fn map_in_order<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    fn fill<T: Send>(f: &(impl Fn(usize) -> T + Sync), start: usize, out: &mut [Option<T>]) {
        if let [one] = out {
            *one = Some(f(start));
        } else if !out.is_empty() {
            let middle = out.len() / 2;
            let (left, right) = out.split_at_mut(middle);
            join(|| fill(f, start, left), || fill(f, start + middle, right));
        }
    }
    let mut out: Vec<Option<T>> = (0..n).map(|_| None).collect();
    fill(&f, 0, &mut out);
    out.into_iter().flatten().collect()
}

/// A seed from a seed and an index: neighboring pairs give unrelated streams (the finalizer of splitmix64).
pub fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
