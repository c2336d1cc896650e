//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod bernoulli;
mod beta;
mod beta_binomial;
mod binomial;
mod categorical;
mod dirichlet;
mod dirichlet_multinomial;
mod exponential;
mod gamma;
mod gaussian;
mod geometric;
mod independent;
mod inverse_gamma;
mod laplace;
mod log_normal;
mod low_rank_gaussian;
mod multinomial;
mod multivariate_gaussian;
mod multivariate_student_t;
mod negative_binomial;
mod poisson;
mod positive;
mod prior;
mod regression;
mod rows;
mod scores;
mod special;
mod student_t;
mod uniform;
mod von_mises;
mod von_mises_fisher;
mod weibull;
mod wishart;
mod zero_inflated;

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// The generator of a seeded test.
fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
