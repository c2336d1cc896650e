//! The laws of this crate, one module per law-giver; one test binary.
#![allow(clippy::float_cmp, reason = "laws that hold to the bit are tested to the bit")]

mod coins;
mod driver;
mod inference;
mod restarts;
mod statistics;
mod uncertainty;
mod variants;

/// Runs `f` on a rayon pool of its own.
fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}
