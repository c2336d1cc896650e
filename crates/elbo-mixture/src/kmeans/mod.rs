//! k-means: hard EM of round Gaussians with one variance and equal weights, with kernels of its own.

mod bounds;
mod builder;
mod centers;
mod kernels;
mod model;
mod packed;
mod params;
mod start;
mod stats;

pub use builder::{Comparisons, KMeans};
pub use centers::{Centers, CentersError, FittedKMeans};
pub use params::KMeansParams;
pub use start::Spread;
