//! Traits and drivers for Expectation-Maximization.
//!
//! # The one idea
//!
//! Expected sufficient statistics form a vector space. A model says how to fill them in (the E-step); an estimator says
//! how to turn them into parameters (the M-step). Everything else is algebra on statistics and is written once, here.
//!
//! A new latent-variable model implements [`LatentModel`] and nothing else:
//!
//! ```
//! use elbo_core::{EStepError, EstimateError, Inference, LatentModel, Repairs, Settings, fit};
//!
//! /// Packets of five tosses, each made with one of two coins that are picked equally often.
//! struct TwoCoins;
//!
//! impl LatentModel for TwoCoins {
//!     type Data<'a> = &'a [f64]; // heads among five tosses
//!     type Params = [f64; 2]; // each coin's probability of heads
//!     type Stats = ([f64; 2], [f64; 2]); // each coin's expected packets and heads
//!     type Scratch = ();
//!
//!     fn new_stats(&self, _: &[f64; 2]) -> Self::Stats {
//!         ([0.0; 2], [0.0; 2])
//!     }
//!
//!     fn new_scratch(&self, _: &[f64; 2]) {}
//!
//!     fn e_step(
//!         &self,
//!         heads: &[f64; 2],
//!         packets: &[f64],
//!         how: &mut Inference<'_>,
//!         stats: &mut Self::Stats,
//!         (): &mut (),
//!     ) -> Result<f64, EStepError> {
//!         let mut data_term = 0.0;
//!         for (row, x) in packets.iter().enumerate() {
//!             let mut joint = heads.map(|p| 0.5_f64.ln() + x * p.ln() + (5.0 - x) * (1.0 - p).ln());
//!             data_term += how.assign(&mut joint).map_err(|_| EStepError::Impossible { row })?;
//!             for j in 0..2 {
//!                 stats.0[j] += joint[j];
//!                 stats.1[j] += joint[j] * x;
//!             }
//!         }
//!         Ok(data_term)
//!     }
//!
//!     fn m_step(
//!         &self,
//!         _: &[f64; 2],
//!         (packets, heads): &Self::Stats,
//!         next: &mut [f64; 2],
//!     ) -> Result<Repairs, EstimateError> {
//!         for j in 0..2 {
//!             next[j] = heads[j] / (5.0 * packets[j]);
//!         }
//!         Ok(Repairs::default())
//!     }
//!
//!     fn free_parameters(&self, _: &[f64; 2]) -> usize {
//!         2
//!     }
//! }
//!
//! let packets = [4.0, 5.0, 1.0, 0.0, 4.0, 1.0, 5.0, 1.0];
//! let fit = fit(&TwoCoins, &packets[..], [0.6, 0.5], &Settings::default(), &()).unwrap();
//! assert!(fit.report.stopped.is_converged());
//! assert!(fit.params[0] > 0.85 && fit.params[1] < 0.2);
//! ```
//!
//! # Should I use this crate?
//!
//! To write a model of your own, or to drive one: yes. To fit a mixture or a hidden Markov model, take
//! `elbo-mixture` or `elbo-hmm`, which re-export what they need of it.
//!
//! # Notation
//!
//! `n` observations, `d` features, `k` components; `γᵢⱼ` responsibilities; `ℓ` log-likelihood, in nats throughout;
//! `θ` parameters; `q` a posterior over them.
//!
//! # Crate features
//!
//! - **rayon** (on): E-steps and restarts run on the current rayon thread pool. The same bits come out with it or
//!   without, on any number of threads.
//! - **serde** (off): `Serialize` and `Deserialize` for reports.
//! - **tracing** (off): an observer that emits events of the `tracing` crate.
//! - **postcard** (off): parameters as compact bytes, for E-steps that are shared by processes.

mod batch;
pub mod criteria;
mod distributed;
mod draw;
mod either;
mod error;
mod estimator;
mod expected;
mod family;
mod fit;
mod freeze;
mod hold;
mod inference;
mod label;
mod model;
mod parameters;
mod resample;
mod select;
mod single;
mod source;
mod spurious;
mod statistics;
pub mod uncertainty;
mod wire;

pub use batch::{Batch, Matrix, MatrixMut, OwnedRows, Rows, Weighted};
pub use distributed::{Distributed, DistributedScratch, PartialEStep, Shards, WorkerError};
pub use draw::Draw;
pub use either::{Either, EitherPacked, EitherScratch, EitherStats, Sides, SidesFits};
pub use error::{DataError, EStepError, EstimateError, Repairs};
pub use estimator::{
    Conjugate, ConjugatePrior, EmpiricalBayes, Estimator, Evidence, MaximumAPosteriori,
    MaximumLikelihood, PointEstimator, Priors, VariationalBayes,
};
pub use expected::{ExpectedLogLikelihood, gradient_by_differences};
pub use family::{BLOCK, BLOCK_STRIDE, Family, write_natural_all};
#[cfg(feature = "tracing")]
pub use fit::Traced;
pub use fit::{
    Acceleration, CancelToken, Change, Checkpoint, EStep, EarlyStopping, End, Event, Fit, FitError,
    Moves, Observer, Optimum, ParametersSettled, PathPoint, Proposal, Report, Restarts, Runs,
    Settings, ShortRuns, Starts, Stopped, Tolerance, Trajectory, Tried, Variant, fit, fit_restarts,
    fit_restarts_source, fit_search, fit_source, map_in_order, mix, resume, resume_source,
};
pub use freeze::Freeze;
pub use hold::{Blocks, Hold};
pub use inference::{Inference, RowError};
pub use label::Label;
pub use model::LatentModel;
pub use parameters::{FlatParameters, Range, take_front};
pub use resample::{
    Bootstrap, Interval, IntervalError, Replicates, Replication, Resampling, bootstrap, jackknife,
    parametric_bootstrap, repetitions, replicate,
};
pub use select::{
    Candidate, Criterion, FoldError, Folds, Growth, HeldOut, PredictiveScore, RatioTest, Scored,
    Scores, Selection, Standing, cross_validate, grow, predictive_score, ranking, ratio_test,
    select,
};
pub use single::{SingleModel, SingleParams, SingleScratch, fit_single};
pub use source::{
    BudgetError, ChunkSource, Shown, SourceError, WeightedSource, for_each_piece, pieces_within,
};
pub use spurious::spurious_components;
pub use statistics::{Statistics, add_scaled};
pub use uncertainty::{CompleteDataModel, FlatModel, LouisModel, Uncertainty, UncertaintyError};
pub use wire::{WireError, read_statistics, write_statistics};
#[cfg(feature = "postcard")]
pub use wire::{decode_params, encode_params};
