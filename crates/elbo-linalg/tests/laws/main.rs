//! Laws of this crate.

mod eigen;
mod low_rank;
mod matrices;
mod moments;
mod spd;
mod triangular;
