//! Laws of hidden Markov models.

mod extremes;
mod golden;
mod learning;
mod paths;
#[cfg(feature = "serde")]
mod persistence;
mod precision;
mod questions;
mod sequences;
mod stationary;
mod variational;
mod weights;

mod support;
mod uncertainty;
