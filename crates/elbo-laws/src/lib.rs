//! Laws that every implementor of the `elbo-core` traits obeys, as functions to call and as macros over
//! [proptest](https://docs.rs/proptest) strategies.
//!
//! Laws alone would pass with a wrong sign throughout, so every implementor also needs an oracle of its own: a
//! two-pass formula, a sum over all paths, a value from elsewhere.
//!
//! ```
//! mod pairs {
//!     use proptest::prelude::*;
//!
//!     elbo_laws::statistics_laws!(prop::array::uniform2(-1e3..1e3));
//! }
//! ```
//!
//! # How numbers are compared
//!
//! A tolerance is `ε` times the size of the terms that were added: [`TOLERANCE`] times the largest number of the same
//! part of the statistics. Numbers of different units therefore belong into different parts of
//! [`Statistics::visit`](elbo_core::Statistics::visit).
//!
//! # Should I use this crate?
//!
//! As a dev-dependency, when you implement a core trait. There is nothing in it for fitting models.

mod allocations;
pub mod family;
pub mod model;
pub mod parameters;
pub mod prior;
mod sample;
pub mod statistics;
pub mod univariate;

pub use allocations::CountingAllocator;
pub use proptest;
pub use sample::{Of, Sample, WeightedSample};

/// Allowed error relative to the size of the terms added: `2¹⁰` units in the last place, room for chains of some
/// hundred operations.
pub const TOLERANCE: f64 = 1024.0 * f64::EPSILON;

/// `a ≈ b` relative to `size`, the size of the terms that were added to get them.
///
/// # Panics
///
/// If not.
#[track_caller]
pub fn assert_close(a: f64, b: f64, size: f64) {
    let tolerance = TOLERANCE * size.abs().max(f64::MIN_POSITIVE);
    assert!(
        (a - b).abs() <= tolerance || (a.is_infinite() && a.to_bits() == b.to_bits()),
        "{a:e} ≠ {b:e} within {tolerance:e}"
    );
}
