//! The same question asked of many random data sets.

use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::{CancelToken, map_in_order, mix};

/// How many replicates, from which seed.
#[derive(Clone, Debug)]
pub struct Replication {
    /// Number of replicates.
    pub replicates: usize,
    /// Seed of all of them; replicate `b` has a generator of its own, so that its draws depend on `seed` and `b` alone.
    pub seed: u64,
    /// Replicates that are not begun when this is cancelled are not run.
    pub cancel: Option<CancelToken>,
}

impl Replication {
    /// So many replicates from this seed.
    pub fn new(replicates: usize, seed: u64) -> Self {
        Self { replicates, seed, cancel: None }
    }
}

/// What came of the replicates.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Replicates<T, E> {
    /// Those that have an answer, in order.
    pub values: Vec<T>,
    /// Those that failed, by number, and why.
    pub failures: Vec<(usize, E)>,
    /// Those that were not begun since it was cancelled.
    pub not_run: usize,
}

/// Runs `f` once for each replicate, side by side where the `rayon` feature is on, each with its own generator.
///
/// A replicate that fails does not lose the others. The same seed gives the same bits on any number of threads.
pub fn replicate<T: Send, E: Send>(
    how: &Replication,
    f: impl Fn(&mut ChaCha8Rng) -> Result<T, E> + Sync,
) -> Replicates<T, E> {
    let outcomes = map_in_order(how.replicates, |b| {
        let cancelled = how.cancel.as_ref().is_some_and(CancelToken::is_cancelled);
        (!cancelled).then(|| f(&mut ChaCha8Rng::seed_from_u64(mix(how.seed, b as u64))))
    });
    let mut all = Replicates { values: Vec::new(), failures: Vec::new(), not_run: 0 };
    for (b, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Some(Ok(value)) => all.values.push(value),
            Some(Err(error)) => all.failures.push((b, error)),
            None => all.not_run += 1,
        }
    }
    all
}
