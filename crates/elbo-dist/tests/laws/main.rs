//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod bernoulli;
mod beta_binomial;
mod binomial;
mod categorical;
mod gaussian;
mod geometric;
mod multivariate_gaussian;
mod negative_binomial;
mod poisson;
mod prior;
mod special;
mod zero_inflated;

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// The generator of a seeded test.
fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
