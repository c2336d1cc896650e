//! Standard errors and intervals from replicates of a statistic.

use rand::rngs::ChaCha8Rng;

use super::{Replicates, Replication, Resampling, normal, replicate};
use crate::{Folds, map_in_order};

/// A statistic of the data and of replicates of the data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bootstrap<E> {
    /// The statistic of the data, `m` numbers.
    pub original: Vec<f64>,
    /// The statistic of each replicate that has one, all of whose numbers are finite.
    pub replicates: Replicates<Vec<f64>, E>,
    /// Replicates that were set aside since a number is not finite.
    pub not_finite: usize,
}

/// An interval of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Why there is no interval.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IntervalError {
    /// An end lies beyond the replicates.
    #[error(
        "{replicates} replicates do not reach the quantile {quantile}; ask for more replicates or a lower level"
    )]
    TooFew {
        /// Replicates there are.
        replicates: usize,
        /// The quantile that they do not reach.
        quantile: f64,
    },
    /// The statistic of the data lies outside all its replicates.
    #[error(
        "number {number} of the statistic lies outside all its replicates; the bootstrap does not fit this statistic"
    )]
    Outside {
        /// Which number of the statistic, from 0.
        number: usize,
    },
}

/// Draws the data again from themselves: a statistic of a fit, its standard errors and intervals.
///
/// `statistic(weights)` fits to the `n` units with these weights and gives `m` numbers. Where it fits a model whose
/// components have no order of their own, it should begin at the parameters fitted to the data, so that component `j` of a
/// replicate is component `j`; starts at random would mix them up.
///
/// `own` are the weights of the units, if they have any; see [`Resampling::weights`].
///
/// Cost: `replicates + 1` fits, side by side.
///
/// # Errors
///
/// If there is no statistic of the data themselves. Failures of replicates are counted and kept.
///
/// # Panics
///
/// If there is no unit, or the statistic has another length for some replicate.
///
/// ```
/// use elbo_core::{Replication, Resampling, bootstrap};
///
/// let x: Vec<f64> = (0..50).map(f64::from).collect();
/// let mean = |weights: &[f64]| {
///     let sum: f64 = x.iter().zip(weights).map(|(x, w)| x * w).sum();
///     Ok::<_, ()>(vec![sum / weights.iter().sum::<f64>()])
/// };
/// let result = bootstrap(&Replication::new(400, 1), Resampling::Multinomial, 50, None, mean).unwrap();
/// let standard_error = result.standard_errors()[0];
/// assert!((standard_error - 14.43 / 50_f64.sqrt()).abs() < 0.2);
/// ```
pub fn bootstrap<E: Send>(
    how: &Replication,
    resampling: Resampling,
    n: usize,
    own: Option<&[f64]>,
    statistic: impl Fn(&[f64]) -> Result<Vec<f64>, E> + Sync,
) -> Result<Bootstrap<E>, E> {
    let ones = vec![1.0; if own.is_none() { n } else { 0 }];
    let original = statistic(own.unwrap_or(&ones))?;
    let again = |rng: &mut ChaCha8Rng| statistic(&resampling.weights(n, own, rng));
    Ok(parametric_bootstrap(how, original, again))
}

/// The same with data from anywhere: `statistic(rng)` simulates data, from a fitted model as a rule, fits to them and gives
/// the `m` numbers that `original` are of the data themselves.
///
/// # Panics
///
/// If the statistic has another length for some replicate.
pub fn parametric_bootstrap<E: Send>(
    how: &Replication,
    original: Vec<f64>,
    statistic: impl Fn(&mut ChaCha8Rng) -> Result<Vec<f64>, E> + Sync,
) -> Bootstrap<E> {
    let mut replicates = replicate(how, statistic);
    let all = replicates.values.len();
    for value in &replicates.values {
        assert_eq!(value.len(), original.len(), "a statistic has one length");
    }
    replicates.values.retain(|value| value.iter().all(|x| x.is_finite()));
    let not_finite = all - replicates.values.len();
    Bootstrap { original, replicates, not_finite }
}

/// The statistic with each fold left out in turn; with one unit in a fold, the jackknife. What
/// [`Bootstrap::bca`] asks for.
///
/// # Errors
///
/// That of the first fold that has no statistic.
pub fn jackknife<E: Send>(
    folds: &Folds,
    own: Option<&[f64]>,
    statistic: impl Fn(&[f64]) -> Result<Vec<f64>, E> + Sync,
) -> Result<Vec<Vec<f64>>, E> {
    map_in_order(folds.k(), |fold| statistic(&folds.weights(fold, own).0)).into_iter().collect()
}

impl<E> Bootstrap<E> {
    /// Standard deviations of the replicates, `m` numbers.
    pub fn standard_errors(&self) -> Vec<f64> {
        let b = self.replicates.values.len() as f64;
        self.each(|_, values| {
            let mean = values.iter().sum::<f64>() / b;
            (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (b - 1.0)).sqrt()
        })
    }

    /// Mean of the replicates less the statistic of the data, `m` numbers: how far the estimator is off.
    pub fn biases(&self) -> Vec<f64> {
        let b = self.replicates.values.len() as f64;
        self.each(|j, values| values.iter().sum::<f64>() / b - self.original[j])
    }

    /// Percentile intervals: quantiles of the replicates. Follow any monotone map of the statistic, but take its bias
    /// twice. Quantile `p` of `B` replicates is at place `p (B + 1)`, between neighbors on a straight line.
    ///
    /// # Errors
    ///
    /// [`IntervalError::TooFew`]: level 0.95 needs 39 replicates, and deserves a thousand.
    ///
    /// # Panics
    ///
    /// Unless `0 < level < 1`.
    pub fn percentile(&self, level: f64) -> Result<Vec<Interval>, IntervalError> {
        let tail = tail(level);
        self.each(|_, values| between(values, tail, 1.0 - tail)).into_iter().collect()
    }

    /// Basic intervals, `2θ̂ −` the quantiles: right where the distribution of `θ̂ − θ` hardly depends on `θ`.
    /// Source: Davison & Hinkley (1997).
    ///
    /// # Errors
    ///
    /// As [`percentile`](Self::percentile).
    ///
    /// # Panics
    ///
    /// Unless `0 < level < 1`.
    pub fn basic(&self, level: f64) -> Result<Vec<Interval>, IntervalError> {
        let percentile = self.percentile(level)?;
        let turned = |(interval, center): (Interval, &f64)| Interval {
            low: 2.0 * center - interval.high,
            high: 2.0 * center - interval.low,
        };
        Ok(percentile.into_iter().zip(&self.original).map(turned).collect())
    }

    /// Bias-corrected and accelerated intervals: quantiles at levels moved by the median bias of the replicates and by the
    /// skewness of the statistic, which `jackknife` tells (see [`jackknife`]). More accurate by an order in `n` than the
    /// others; follow any monotone map. Source: Efron (1987).
    ///
    /// # Errors
    ///
    /// [`IntervalError::TooFew`] if a moved level lies beyond the replicates; [`IntervalError::Outside`] if the statistic
    /// of the data does.
    ///
    /// # Panics
    ///
    /// Unless `0 < level < 1`, or if the jackknife is of another statistic.
    pub fn bca(&self, level: f64, jackknife: &[Vec<f64>]) -> Result<Vec<Interval>, IntervalError> {
        let tail = tail(level);
        let all = self.each(|j, values| {
            let acceleration = acceleration(jackknife, j);
            let below = values.partition_point(|x| *x < self.original[j]);
            let up_to = values.partition_point(|x| *x <= self.original[j]);
            let share = (below + up_to) as f64 / (2 * values.len()) as f64;
            if !(share > 0.0 && share < 1.0) {
                return Err(IntervalError::Outside { number: j });
            }
            let shift = normal::quantile(share);
            let moved = |p: f64| {
                let z = shift + normal::quantile(p);
                normal::cdf(shift + z / (1.0 - acceleration * z))
            };
            between(values, moved(tail), moved(1.0 - tail))
        });
        all.into_iter().collect()
    }

    /// `f(j, sorted replicates of number j)` for every number of the statistic.
    fn each<T>(&self, f: impl Fn(usize, &[f64]) -> T) -> Vec<T> {
        let numbers = 0..self.original.len();
        numbers
            .map(|j| {
                let mut values: Vec<f64> =
                    self.replicates.values.iter().map(|value| value[j]).collect();
                values.sort_by(f64::total_cmp);
                f(j, &values)
            })
            .collect()
    }
}

fn tail(level: f64) -> f64 {
    assert!(level > 0.0 && level < 1.0, "a level lies between 0 and 1, {level} does not");
    0.5 * (1.0 - level)
}

fn between(sorted: &[f64], low: f64, high: f64) -> Result<Interval, IntervalError> {
    Ok(Interval { low: at(sorted, low)?, high: at(sorted, high)? })
}

/// Quantile `p` of sorted numbers.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place between two of the numbers"
)]
fn at(sorted: &[f64], p: f64) -> Result<f64, IntervalError> {
    let n = sorted.len();
    let place = p * (n as f64 + 1.0);
    // Rounding of `p (n + 1)` must not push an end that is just reached over the edge.
    let slack = 1e-9;
    if n == 0 || place.is_nan() || place < 1.0 - slack || place > n as f64 + slack {
        return Err(IntervalError::TooFew { replicates: n, quantile: p });
    }
    let place = place.clamp(1.0, n as f64) - 1.0;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Ok(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
}

/// `Σ dᵢ³ / (6 (Σ dᵢ²)^(3/2))` of `dᵢ = θ̄ − θ₍ᵢ₎`; zero where the statistic does not vary.
fn acceleration(jackknife: &[Vec<f64>], j: usize) -> f64 {
    let mean = jackknife.iter().map(|value| value[j]).sum::<f64>() / jackknife.len() as f64;
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in jackknife {
        let d = mean - value[j];
        squares += d * d;
        cubes += d * d * d;
    }
    if squares > 0.0 { cubes / (6.0 * f64::powf(squares, 1.5)) } else { 0.0 }
}
