//! What a caller may choose about a fit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::Moves;

/// Settings of a fit. `Settings::default()` is soft EM, accelerated, until at most 10⁻¹⁰ nats per observation remain to be
/// gained.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How latent variables are filled in.
    pub variant: Variant,
    /// Whether steps are extrapolated.
    pub acceleration: Acceleration,
    /// When progress counts as finished.
    pub tolerance: Tolerance,
    /// The most M-steps to take.
    pub max_iterations: usize,
    /// Stop at the end of the iteration in which this much time has passed. Results then depend on the clock.
    pub time_budget: Option<Duration>,
    /// Stop as soon as this token is cancelled, keeping the best parameters so far.
    pub cancel: Option<CancelToken>,
    /// Most pieces into which the data are cut for the E-step. Sums are formed per piece and merged in a fixed tree,
    /// so results depend on this number but never on the number of threads.
    pub pieces: usize,
    /// Short runs from every start, of which only the best go on; of [`fit_restarts`](crate::fit_restarts) only.
    pub short_runs: Option<ShortRuns>,
    /// Moves from the best end of several runs; of [`fit_search`](crate::fit_search) only.
    pub moves: Moves,
    /// Seed of everything random in the fit.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            variant: Variant::Soft,
            acceleration: Acceleration::default(),
            tolerance: Tolerance::default(),
            max_iterations: 10_000,
            time_budget: None,
            cancel: None,
            pieces: 32,
            short_runs: None,
            moves: Moves::default(),
            seed: 0,
        }
    }
}

/// Many short runs before few long ones: where a run is after a few steps says something of where it will end.
///
/// With some iterations this is emEM (Biernacki, Celeux & Govaert 2003), with none the starts themselves are compared, which
/// is `RndEM` (Maitra 2009). It pays where long runs are long; accelerated ones mostly are not: the book's chapter on
/// restarts measures it. Runs that do not go on end with [`Stopped::Outrun`](crate::Stopped::Outrun).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortRuns {
    /// Iterations of a short run. Those that go on begin at their start again, so that the long runs are what they would
    /// be without short ones.
    pub iterations: usize,
    /// How many go on.
    pub keep: usize,
}

/// How latent variables are filled in, iteration by iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Variant {
    /// Expectation-Maximization.
    #[default]
    Soft,
    /// Classification EM: the most probable value counts fully.
    Hard,
    /// Deterministic annealing: starts at inverse temperature `start` in `(0, 1]`, multiplied by `rate > 1` after each
    /// iteration until it reaches 1; convergence is not tested before.
    Annealed {
        /// First inverse temperature.
        start: f64,
        /// Growth per iteration.
        rate: f64,
    },
    /// Latent variables are drawn from their posterior: stochastic EM, Monte-Carlo EM and SAEM.
    ///
    /// | variant | `draws` | `decay` |
    /// |---|---|---|
    /// | stochastic EM (Celeux & Diebolt 1985) | 1 | 0 |
    /// | Monte-Carlo EM (Wei & Tanner 1990) | many | 0 |
    /// | stochastic approximation EM (Delyon, Lavielle & Moulines 1999) | 1 or a few | 0.6 to 1 |
    ///
    /// The run does `burn_in + averaged` iterations and ends with [`Stopped::Finished`](crate::Stopped::Finished): noise
    /// makes every test of convergence a guess. With `decay = 0` each M-step sees its own draws alone, and the result
    /// comes from the statistics averaged after the burn-in; with `decay > 0` statistics move towards each new draw by
    /// steps of `t^−decay` after the burn-in. The trace holds exact objectives, each at the parameters before the
    /// step, which are not monotone. A draw that alone has no estimate (an empty component) is made again, and counted as
    /// [`Repairs::redrawn`](crate::Repairs::redrawn).
    Sampled {
        /// Draws per iteration.
        draws: usize,
        /// Iterations that forget what was before.
        burn_in: usize,
        /// Iterations after them, which are averaged.
        averaged: usize,
        /// 0, or the exponent of the step size in `(½, 1]`.
        decay: f64,
    },
    /// Incremental EM (Neal & Hinton 1998): an M-step after every piece of the data, whose old statistics are taken out
    /// of the sum and whose new ones are put in. An iteration is one pass over all pieces.
    ///
    /// Needs memory for the statistics of all pieces. The trace adds the data terms of the pieces, each at the
    /// parameters it met; what is reported at the end is exact. With one piece this is EM.
    Incremental,
    /// Online (stepwise) EM (Cappé & Moulines 2009): after every batch of `batch` units the statistics move towards those
    /// of the batch, scaled up to all data, by a step of `(t + delay)^−decay`, followed by an M-step. Under variational
    /// Bayes this is stochastic variational inference (Hoffman et al. 2013).
    ///
    /// An iteration is an epoch, which visits all batches in an order of its own; the run does `epochs` of them and ends
    /// with [`Stopped::Finished`](crate::Stopped::Finished). The statistics of the second half of all steps are averaged
    /// (Polyak & Juditsky 1992), and the result comes from the average. The trace adds the data terms of the batches,
    /// each at the parameters it met. A batch after which there is no estimate leaves the parameters as they are, and is
    /// counted as [`Repairs::skipped_batches`](crate::Repairs::skipped_batches).
    Online {
        /// Units per batch.
        batch: usize,
        /// Passes over the data.
        epochs: usize,
        /// Exponent of the step size, in `(½, 1]`; 0 makes every step a whole one.
        decay: f64,
        /// Slows the first steps down.
        delay: f64,
    },
}

impl Variant {
    /// Inverse temperature of an iteration: 1 unless annealing.
    pub(crate) fn beta(self, iteration: usize) -> f64 {
        match self {
            Self::Soft
            | Self::Hard
            | Self::Sampled { .. }
            | Self::Incremental
            | Self::Online { .. } => 1.0,
            Self::Annealed { start, rate } => {
                let power = i32::try_from(iteration).unwrap_or(i32::MAX);
                (start * rate.powi(power)).min(1.0)
            }
        }
    }

    pub(crate) fn validate(self) {
        let exponent = |decay: f64| decay == 0.0 || (decay > 0.5 && decay <= 1.0);
        match self {
            Self::Soft | Self::Hard | Self::Incremental => {}
            Self::Annealed { start, rate } => assert!(
                start > 0.0 && start <= 1.0 && rate > 1.0,
                "annealing needs 0 < start ≤ 1 < rate, not {start}, {rate}"
            ),
            Self::Sampled { draws, averaged, decay, .. } => assert!(
                draws > 0 && averaged > 0 && exponent(decay),
                "sampling needs draws, averaged iterations and a decay of 0 or in (½, 1], not {draws}, {averaged}, {decay}"
            ),
            Self::Online { batch, epochs, decay, delay } => assert!(
                batch > 0 && epochs > 0 && exponent(decay) && delay >= 0.0,
                "online EM needs units, epochs, a decay of 0 or in (½, 1] and a delay, not {batch}, {epochs}, {decay}, {delay}"
            ),
        }
    }
}

/// Whether steps are extrapolated, and how.
///
/// Every method works in the space of statistics and so needs no code of the model. Leaps are taken only if the M-step
/// accepts what is extrapolated and the objective does not fall. Acceleration is for soft EM only, and off where the
/// tolerance is 0, so that exactly `max_iterations` steps of EM are done there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acceleration {
    /// Plain EM.
    None,
    /// After every two steps a leap along the path of the statistics. Source: Varadhan & Roland (2008).
    Squarem,
    /// After every step a leap to where the last five steps say that the residual is smallest. Sources: Anderson (1965),
    /// Walker & Ni (2011).
    Anderson,
    /// After every step a leap by Newton's method in the span of the last five steps, in the metric of the model, where it
    /// tells its natural parameters ([`LatentModel::write_natural`](crate::LatentModel::write_natural)); `Squarem` where it
    /// does not. The default: it needs the fewest E-steps of all, near the optimum and far from it. Source: Jamshidian &
    /// Jennrich (1997), restricted to a span.
    #[default]
    QuasiNewton,
}

/// When progress counts as finished. All rules divide by the number of observations, so that they mean the same on
/// any amount of data. A tolerance of 0 never stops: exactly `max_iterations` are done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Aitken's estimate of what is left to gain, `δ·r/(1 − r)` for a last gain `δ` and ratio of gains `r`, is below
    /// this many nats per observation twice in a row. The default: a small change alone says that progress is slow,
    /// not that it is done. Source: Böhning et al. (1994).
    Gap(f64),
    /// The last gain is below this many nats per observation.
    Change(f64),
    /// The last gain is below this fraction of the objective's size.
    RelativeChange(f64),
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Gap(1e-10)
    }
}

impl Tolerance {
    /// Within how many nats per observation two ends are the same: 10⁻⁷, or 100 times the tolerance, if that is more.
    pub(super) fn same(self) -> f64 {
        match self {
            Self::Gap(x) | Self::Change(x) => (100.0 * x).max(1e-7),
            Self::RelativeChange(_) => 1e-7,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        let (Self::Gap(x) | Self::Change(x) | Self::RelativeChange(x)) = self;
        x == 0.0
    }
}

/// A switch that ends fits from another thread, for instance from a Ctrl-C handler. Clones share the switch.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every fit that holds a clone of this token.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Was it cancelled?
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
