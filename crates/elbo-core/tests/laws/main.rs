//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod bootstrap;
mod checkpoints;
mod coins;
mod distributed;
mod driver;
mod inference;
mod memory;
mod moves;
mod restarts;
mod selection;
mod sources;
mod statistics;
mod uncertainty;
mod variants;
mod wire;

/// Runs `f` on a rayon pool of its own.
fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}
