//! Data seen again: replicates, weights drawn anew, bootstrap and jackknife.

mod bootstrap;
mod normal;
mod replicate;
mod weights;

pub use bootstrap::{
    Bootstrap, Interval, IntervalError, bootstrap, jackknife, parametric_bootstrap,
};
pub use replicate::{Replicates, Replication, replicate};
pub use weights::{Resampling, repetitions};
