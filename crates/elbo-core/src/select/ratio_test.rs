//! Does a larger model fit better than chance explains?

use std::ops::RangeInclusive;

use rand::rngs::ChaCha8Rng;

use super::Scored;
use crate::{Replicates, Replication, mix, replicate};

/// A likelihood-ratio test whose null distribution is simulated.
///
/// Between a mixture of `k` and one of `k + 1` components the usual `χ²` does not hold: a parameter is on its boundary and
/// others vanish. Simulation from the fitted null model takes its place. Source: McLachlan (1987).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RatioTest<E> {
    /// `2 (ℓ₁ − ℓ₀)` of the data.
    pub statistic: f64,
    /// The same of data simulated under the null.
    pub replicates: Replicates<f64, E>,
}

impl<E> RatioTest<E> {
    /// `(1 + #{replicates ≥ statistic}) / (1 + B)` over the `B` replicates that have a value: never zero, and a test at
    /// level `α` is exact where `α (B + 1)` is whole and the null has no unknown parameter. Failed replicates are left out
    /// of both counts; look at their number.
    pub fn p_value(&self) -> f64 {
        let values = &self.replicates.values;
        let reached = values.iter().filter(|value| **value >= self.statistic).count();
        (1 + reached) as f64 / (1 + values.len()) as f64
    }

    /// Replicates in which the larger model fits worse than the smaller, by more than 10⁻⁶: its best start did not find
    /// the maximum. Too few starts under the null make p-values too small.
    pub fn inverted(&self) -> usize {
        self.replicates.values.iter().filter(|value| **value < -1e-6).count()
    }
}

/// Tests `null` against `alternative`, two fits of the same data of which the second model contains the first.
///
/// `simulate(null, rng)` draws data of the same shape; `fit_null` and `fit_alternative` fit to them exactly as the data
/// themselves were fitted, starts included: a lazier search under simulation would bias the test.
///
/// Cost: two fits for each replicate, replicates side by side.
pub fn ratio_test<A, B, D, E>(
    null: &A,
    alternative: &B,
    how: &Replication,
    simulate: impl Fn(&A, &mut ChaCha8Rng) -> D + Sync,
    fit_null: impl Fn(&D) -> Result<A, E> + Sync,
    fit_alternative: impl Fn(&D) -> Result<B, E> + Sync,
) -> RatioTest<E>
where
    A: Scored + Sync,
    B: Scored,
    E: Send,
{
    let replicates = replicate(how, |rng| {
        let data = simulate(null, rng);
        Ok(statistic(&fit_null(&data)?, &fit_alternative(&data)?))
    });
    RatioTest { statistic: statistic(null, alternative), replicates }
}

fn statistic(null: &impl Scored, alternative: &impl Scored) -> f64 {
    2.0 * (alternative.scores().log_likelihood - null.scores().log_likelihood)
}

/// A model grown until tests no longer tell it from the next larger one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Growth<T, E> {
    /// The size chosen: the first that was not rejected, or the largest that was allowed or could be fitted.
    pub k: usize,
    /// The fit of that size.
    pub fit: T,
    /// The tests done, of `first`, `first + 1`, … against the next size.
    pub tests: Vec<RatioTest<E>>,
    /// Why the next size could not be fitted, if that is what ended it.
    pub ended: Option<E>,
    /// Whether it was cancelled: the last test is then of fewer replicates.
    pub cancelled: bool,
}

/// Tests `K` against `K + 1` for `K = first, first + 1, …` and goes on as long as the p-value is at most `level`.
///
/// Every single test has this level, so that the size is too large with about this probability; it may stop early where
/// two more components help and one more does not. The test of size `K` has the seed `mix(how.seed, K)`.
///
/// # Errors
///
/// If the smallest model cannot be fitted.
///
/// # Panics
///
/// If `sizes` is empty.
pub fn grow<T: Scored + Sync, D: Sync, E: Send>(
    data: &D,
    sizes: RangeInclusive<usize>,
    level: f64,
    how: &Replication,
    simulate: impl Fn(&T, &mut ChaCha8Rng) -> D + Sync,
    fit: impl Fn(&D, usize) -> Result<T, E> + Sync,
) -> Result<Growth<T, E>, E> {
    assert!(!sizes.is_empty(), "at least one size is needed");
    let (mut k, last) = (*sizes.start(), *sizes.end());
    let mut best = fit(data, k)?;
    let (mut tests, mut ended, mut cancelled) = (Vec::new(), None, false);
    while k < last && !cancelled {
        let next = match fit(data, k + 1) {
            Ok(next) => next,
            Err(error) => {
                ended = Some(error);
                break;
            }
        };
        let how = Replication { seed: mix(how.seed, k as u64), ..how.clone() };
        let test =
            ratio_test(&best, &next, &how, &simulate, |data| fit(data, k), |data| fit(data, k + 1));
        cancelled = test.replicates.not_run > 0;
        let rejected = test.p_value() <= level;
        tests.push(test);
        if !rejected || cancelled {
            break;
        }
        (k, best) = (k + 1, next);
    }
    Ok(Growth { k, fit: best, tests, ended, cancelled })
}
