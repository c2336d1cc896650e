//! k-means: hard EM of round Gaussians with one variance and equal weights, with kernels of its own.

mod bounds;
mod builder;
mod centers;
mod kernels;
mod line;
mod model;
mod packed;
mod params;
mod start;
mod stats;
#[cfg(test)]
mod tests;

pub use builder::{Comparisons, KMeans};
pub use centers::{Centers, CentersError, FittedKMeans};
pub use line::{ExactKMeans, exact_kmeans};
pub use params::KMeansParams;
pub use start::Spread;
