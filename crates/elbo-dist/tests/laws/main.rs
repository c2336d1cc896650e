//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod categorical;
mod gaussian;
mod laplace;
mod multivariate_gaussian;
mod poisson;
mod prior;
mod special;
mod student_t;
mod uniform;
mod von_mises;
mod von_mises_fisher;

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// The generator of a seeded test.
fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
