//! Laws of hidden Markov models.

mod extremes;
mod golden;
mod learning;
mod paths;
mod sequences;
mod variational;

mod support;
