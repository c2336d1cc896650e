//! Laws and oracles of factor models.
//!
//! Golden values name the program, its version and the command; results that may not be shipped are read from the folder in
//! `ELBO_REFERENCE`, and a test that finds none says so.

mod analysis;
mod bad_input;
mod em;
mod family;
mod ica;
mod ppca;
mod rotation;
mod sample;
mod scores;
mod support;

/// The generator of a seeded test.
fn rng(seed: u64) -> rand::rngs::ChaCha8Rng {
    rand::SeedableRng::seed_from_u64(seed)
}
