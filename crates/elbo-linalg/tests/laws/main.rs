//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod eigen;
mod leading;
mod low_rank;
mod matrices;
mod moments;
mod spd;
mod triangular;
mod vector;
