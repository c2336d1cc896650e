//! Laws of hidden Markov models.

mod extremes;
mod golden;
mod learning;
mod paths;
#[cfg(feature = "serde")]
mod persistence;
mod sequences;
mod variational;
mod weights;

mod support;
