//! The binomial distribution.

use std::f64::consts::TAU;

use elbo_core::{
    BLOCK, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, Statistics, add_scaled, take_front,
};
use rand::Rng;
use rand_distr::Distribution;

use crate::{
    ParameterError,
    bernoulli::{LnOdds, binary_kl, log_odds, logistic, score_of_log_odds},
    block::check_shape,
    counts::{LogPowers, to_f64, weighted_sums},
    draws,
    error::probability,
    poisson::count_near,
    quantile,
    special::{beta_regularized_of, deviance, standard_normal_quantile, stirling_correction},
    spread::Spread,
    univariate::univariate,
};

/// Successes in a fixed number `n` of trials: `ln p(x) = ln (n choose x) + x ln p + (n − x) ln(1 − p)` with mean `np`.
///
/// Observations are whole numbers from 0 to `n`, `u64`. The number of trials is given, not estimated, and is the same for
/// all observations and all components. Probabilities of 0 and 1 are allowed: they are the maximum-likelihood estimates
/// of data without any success, or any failure.
///
/// ```
/// use elbo_dist::Binomial;
///
/// let heads = Binomial::new(10, 0.5)?;
/// assert!((heads.log_probability(5).exp() - 252.0 / 1024.0).abs() < 1e-15);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kemp & Kotz (2005), *Univariate Discrete Distributions*, chapter 3.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Binomial {
    trials: u64,
    probability: f64,
}

impl Binomial {
    /// The distribution of the successes in `trials` trials.
    ///
    /// # Errors
    ///
    /// If `trials` is zero, or `probability` is not in `[0, 1]`.
    pub fn new(trials: u64, probability: f64) -> Result<Self, ParameterError> {
        if trials == 0 {
            return Err(ParameterError::NotPositive { parameter: "trials", value: 0.0 });
        }
        Ok(Self { trials, probability: self::probability("probability", probability)? })
    }

    /// `n`, the number of trials of an observation.
    pub fn trials(&self) -> u64 {
        self.trials
    }

    /// `p`, the probability of success.
    pub fn probability(&self) -> f64 {
        self.probability
    }

    /// `ln p(successes)`, in nats, to the last digits at any size; `−∞` beyond the number of trials.
    ///
    /// Source: Loader (2000), *Fast and accurate computation of binomial probabilities*.
    pub fn log_probability(&self, successes: u64) -> f64 {
        if successes > self.trials {
            return f64::NEG_INFINITY;
        }
        let failures = (self.trials - successes) as f64;
        ln_binomial(successes as f64, failures, self.trials as f64, self.probability)
    }

    /// `P(X ≤ successes)`, an incomplete beta function.
    pub fn cdf(&self, successes: u64) -> f64 {
        if successes >= self.trials {
            return 1.0;
        }
        let (p, q) = (self.probability, 1.0 - self.probability);
        if p <= 0.0 || p >= 1.0 {
            return q;
        }
        beta_regularized_of((self.trials - successes) as f64, successes as f64 + 1.0, q, p)
    }

    /// The smallest count with `P(X ≤ count) ≥ p`. Cost: some 5 to 100 distribution functions, however many trials.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u64 {
        let z = standard_normal_quantile(p).clamp(-40.0, 40.0);
        let near = self.mean() + z * self.variance().sqrt();
        quantile::discrete(p, count_near(near).min(self.trials), |x| self.cdf(x)).min(self.trials)
    }

    /// `np`.
    pub fn mean(&self) -> f64 {
        self.trials as f64 * self.probability
    }

    /// `np (1 − p)`.
    pub fn variance(&self) -> f64 {
        self.mean() * (1.0 - self.probability)
    }

    /// `−E[ln p(X)]`, in nats. Cost: a sum over at most some thousand counts, however many trials.
    pub fn entropy(&self) -> f64 {
        let (n, p) = (self.trials as f64, self.probability);
        let spread =
            Spread { mean: self.mean(), std_dev: self.variance().sqrt(), last: n, is_cut: false };
        let log_probability = |x: f64| ln_binomial(x, n - x, n, p);
        spread.expectation(log_probability, |_, log_probability| -log_probability)
    }

    /// `KL(self ‖ other)`, in nats: that of one trial times the number of trials; infinite if the other excludes what this
    /// one does not.
    ///
    /// # Panics
    ///
    /// If the other has another number of trials.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.trials, other.trials, "another number of trials");
        self.trials as f64 * binary_kl(self.probability, other.probability)
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> rand_distr::Binomial {
        rand_distr::Binomial::new(self.trials, self.probability).expect("a probability")
    }

    /// Overwrites the probability, which the caller knows to be one.
    pub(crate) fn set(&mut self, probability: f64) {
        self.probability = probability;
    }
}

univariate!(Binomial, u64, log_probability, |this, n| {
    draws::unimodal(this, n, 0.0, || this.prepared())
});

/// The coordinate is the log odds, `ln p − ln(1 − p)`.
impl FlatParameters for Binomial {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.push(log_odds(self.probability));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { probability: logistic(take_front(from, 1)[0]), ..*self }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("probability", self.probability, Range::Probability);
    }
}

impl ExpectedLogLikelihood for Binomial {
    fn score_into(&self, stats: &BinomialStats, _: &[f64], out: &mut [f64]) {
        out[0] = score_of_log_odds(self.probability, stats.successes(), stats.failures());
    }

    fn is_complete(&self, _: &[u64]) -> bool {
        true
    }
}

/// Weighted sufficient statistics of a [`Binomial`]: `Σw`, in observations, `Σwx` and `Σw(n − x)`, in trials.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BinomialStats {
    sums: [f64; 3],
}

impl BinomialStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// `Σwx`, in trials.
    pub fn successes(&self) -> f64 {
        self.sums[1]
    }

    /// `Σw(n − x)`, in trials.
    pub fn failures(&self) -> f64 {
        self.sums[2]
    }

    /// Could these be the sums of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        let [weight, successes, failures] = self.sums;
        let some = self.sums.iter().all(|sum| *sum >= 0.0 && sum.is_finite());
        if some && (weight > 0.0) == (successes + failures > 0.0) {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "binomial distribution" })
        }
    }
}

impl Statistics for BinomialStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.sums[..1]); // two units, two parts
        see(&self.sums[1..]);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        let (weight, trials) = self.sums.split_at_mut(1);
        see(weight);
        see(trials);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        add_scaled(&mut self.sums, factor, &other.sums);
    }
}

/// `ln p` and `ln(1 − p)` of `k` components, or their expectations, and the number of trials that they share.
#[derive(Clone, Debug, PartialEq)]
pub struct BinomialPacked {
    trials: u64,
    components: Vec<LnOdds>,
    /// `ln (n choose x)` from 0 to the number of trials, where these are few; otherwise empty.
    ln_choose: Vec<f64>,
}

/// Up to so many trials coefficients come from a table.
const TABLE: u64 = 1024;

impl BinomialPacked {
    /// Rows are scored by `ln (n choose x) + x · ln_p + (n − x) · ln_q`.
    pub(crate) fn set(&mut self, j: usize, ln_p: f64, ln_q: f64) {
        self.components[j] = LnOdds { ln_p, ln_q };
    }

    /// `ln (n choose x)` of a block; `−∞` beyond the number of trials.
    fn read_ln_choose(&self, data: &[u64], to: &mut [f64]) {
        let at = |x: u64| {
            let tabled = usize::try_from(x).ok().and_then(|x| self.ln_choose.get(x));
            tabled.copied().unwrap_or_else(|| self.ln_choose_of(x))
        };
        to.iter_mut().zip(data).for_each(|(to, x)| *to = at(*x));
    }

    #[cold]
    fn ln_choose_of(&self, x: u64) -> f64 {
        let failures = self.trials.checked_sub(x);
        failures.map_or(f64::NEG_INFINITY, |failures| ln_choose(x as f64, failures as f64))
    }
}

/// The successes and failures of a block as `f64` and its log binomial coefficients, found once for all components.
#[derive(Clone, Debug)]
pub struct BinomialScratch {
    successes: [f64; BLOCK],
    failures: [f64; BLOCK],
    ln_choose: [f64; BLOCK],
}

impl BinomialScratch {
    fn read(&mut self, trials: u64, data: &[u64]) {
        let successes = to_f64(data, &mut self.successes);
        let failures = self.failures.iter_mut();
        if trials <= 1 << f64::MANTISSA_DIGITS {
            let trials = trials as f64; // and so are differences, exactly
            failures.zip(successes).for_each(|(y, x)| *y = (trials - x).max(0.0));
        } else {
            failures.zip(data).for_each(|(y, x)| *y = trials.saturating_sub(*x) as f64);
        }
    }
}

impl Family for Binomial {
    type Batch<'a> = &'a [u64];
    type Stats = BinomialStats;
    type Packed = BinomialPacked;
    type Scratch = BinomialScratch;

    fn check(&self, data: &[u64]) -> Result<(), DataError> {
        check_trials(self.trials, data)
    }

    fn new_stats(&self) -> BinomialStats {
        BinomialStats::default()
    }

    fn new_packed(&self, k: usize) -> BinomialPacked {
        let last = if self.trials <= TABLE { self.trials + 1 } else { 0 };
        let ln_choose = (0..last).map(|x| ln_choose(x as f64, (self.trials - x) as f64)).collect();
        BinomialPacked { trials: self.trials, components: vec![LnOdds::default(); k], ln_choose }
    }

    fn new_scratch(_: &BinomialPacked) -> BinomialScratch {
        BinomialScratch { successes: [0.0; BLOCK], failures: [0.0; BLOCK], ln_choose: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut BinomialPacked) {
        assert_eq!(self.trials, packed.trials, "components of another number of trials");
        packed.components[j] = LnOdds::of(self.probability);
    }

    fn score_all(
        packed: &BinomialPacked,
        data: &[u64],
        mut out: MatrixMut<'_>,
        scratch: &mut BinomialScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        scratch.read(packed.trials, data);
        let BinomialScratch { successes, failures, ln_choose } = scratch;
        let (successes, failures) = (&successes[..data.len()], &failures[..data.len()]);
        let ln_choose = &mut ln_choose[..data.len()];
        packed.read_ln_choose(data, ln_choose);
        for (j, LnOdds { ln_p, ln_q }) in packed.components.iter().enumerate() {
            let (columns, logs, base) = ([successes, failures], [*ln_p, *ln_q], Some(&*ln_choose));
            LogPowers { columns, logs, constant: 0.0, base, out: out.row_mut(j) }.write();
        }
    }

    fn observe_all(
        packed: &BinomialPacked,
        stats: &mut [BinomialStats],
        data: &[u64],
        weights: Matrix<'_>,
        scratch: &mut BinomialScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        scratch.read(packed.trials, data);
        let BinomialScratch { successes, failures, .. } = scratch;
        let (successes, failures) = (&successes[..data.len()], &failures[..data.len()]);
        for (j, stats) in stats.iter_mut().enumerate() {
            let (weight, [successes, failures]) =
                weighted_sums([successes, failures], weights.row(j));
            add_scaled(&mut stats.sums, 1.0, &[weight, successes, failures]);
        }
    }

    fn maximize(&self, stats: &BinomialStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let weight = stats.total_weight();
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let probability = stats.successes() / (stats.successes() + stats.failures());
        *next = Self { probability, ..*self };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> BinomialStats {
        let trials = weight * self.trials as f64;
        let (p, q) = (self.probability, 1.0 - self.probability);
        BinomialStats { sums: [weight, trials * p, trials * q] }
    }

    fn write_natural(&self, _: &BinomialStats, out: &mut Vec<f64>) -> bool {
        out.extend([
            0.0,
            crate::univariate::ln_or_least(self.probability),
            crate::univariate::ln_or_least(1.0 - self.probability),
        ]);
        true
    }

    fn is_maximized_at_once(&self, _: &BinomialStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k
    }
}

/// Refuses more successes than trials.
pub(crate) fn check_trials(trials: u64, data: &[u64]) -> Result<(), DataError> {
    match data.iter().position(|x| *x > trials) {
        None => Ok(()),
        Some(row) => Err(DataError::Support {
            row,
            column: 0,
            value: data[row] as f64,
            needed: "no more successes than trials",
        }),
    }
}

/// `ln p(x)` at `x = successes` of `n`, whole or between whole numbers, where `x + y = n`.
pub(crate) fn ln_binomial(x: f64, y: f64, n: f64, p: f64) -> f64 {
    if x == 0.0 {
        return if y == 0.0 { 0.0 } else { y * (-p).ln_1p() };
    }
    if y == 0.0 {
        return x * p.ln();
    }
    ln_choose_at_mean(x, y, n) - deviance(x, n * p) - deviance(y, n * (1.0 - p))
}

/// `ln (n choose x) + x ln(x/n) + y ln(y/n)`, `n = x + y`: the log probability of the most likely count, Stirling's
/// powers taken out.
pub(crate) fn ln_choose_at_mean(x: f64, y: f64, n: f64) -> f64 {
    let corrections = stirling_correction(n) - stirling_correction(x) - stirling_correction(y);
    corrections - 0.5 * (TAU * x * (y / n)).ln()
}

/// `ln (x + y choose x)`: within some `ε · n`.
pub(crate) fn ln_choose(x: f64, y: f64) -> f64 {
    if x == 0.0 || y == 0.0 {
        return 0.0;
    }
    let n = x + y;
    let entropy = x * (y / x).ln_1p() + y * (x / y).ln_1p();
    ln_choose_at_mean(x, y, n) + entropy
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    trials: u64,
    probability: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Binomial {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.trials, p.probability)
    }
}
