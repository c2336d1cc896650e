//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod bernoulli;
mod binomial;
mod beta;
mod categorical;
mod exponential;
mod gamma;
mod gaussian;
mod geometric;
mod inverse_gamma;
mod log_normal;
mod multivariate_gaussian;
mod poisson;
mod positive;
mod prior;
mod special;
mod weibull;

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// The generator of a seeded test.
fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
