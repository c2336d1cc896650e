//! Laws and oracles of mixtures.
//!
//! Golden values name the program, its version and the command; data that may not be shipped are read from the folder in
//! `ELBO_REFERENCE`, and a test that finds none says so.

mod acceleration;
mod bad_input;
mod checkpoints;
mod conditional;
mod descent;
mod evidence;
mod family;
mod freeze;
mod golden;
mod hierarchy;
mod hold;
mod invariance;
mod kinds;
mod kmeans;
mod labels;
mod merging;
mod one_step;
mod processes;
mod regressions;
mod restarts;
mod robust;
mod selection;
mod support;
mod uncertainty;

/// The generator of a seeded test.
fn rng(seed: u64) -> rand::rngs::ChaCha8Rng {
    rand::SeedableRng::seed_from_u64(seed)
}
