//! The geometric distribution.

use elbo_core::{
    BLOCK, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, Statistics, add_scaled, take_front,
};
use rand::{
    Rng,
    distr::{Distribution, StandardUniform},
};

use crate::{
    ParameterError,
    bernoulli::{LnOdds, binary_entropy, binary_kl, log_odds, logistic, score_of_log_odds},
    block::check_shape,
    counts::{LogPowers, to_f64, weighted_sums},
    draws,
    error::probability,
    univariate::univariate,
};

/// Failures before the first success, `0, 1, 2, …`: `ln p(x) = ln p + x ln(1 − p)` with mean `(1 − p)/p`.
///
/// Observations are whole numbers, `u64`; above 2⁵³ they are rounded to the nearest `f64`. A probability of 1 is allowed
/// and means that the first trial succeeds: it is the maximum-likelihood estimate of data that are all zero. Where trials
/// are counted instead of failures, subtract one.
///
/// ```
/// use elbo_dist::Geometric;
///
/// let die = Geometric::new(1.0 / 6.0)?;
/// assert!((die.mean() - 5.0).abs() < 1e-14);
/// assert_eq!(die.quantile(0.5), 3); // 1 − (5/6)⁴ = 0.518
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kemp & Kotz (2005), *Univariate Discrete Distributions*, section 5.2.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Geometric {
    probability: f64,
}

impl Geometric {
    /// The distribution of trials that succeed with this probability.
    ///
    /// # Errors
    ///
    /// If `probability` is not in `(0, 1]`: without a success there is no first one.
    pub fn new(probability: f64) -> Result<Self, ParameterError> {
        let probability = self::probability("probability", probability)?;
        if probability == 0.0 {
            return Err(ParameterError::NotPositive { parameter: "probability", value: 0.0 });
        }
        Ok(Self { probability })
    }

    /// `p`, the probability of success.
    pub fn probability(&self) -> f64 {
        self.probability
    }

    /// `ln p(failures)`, in nats.
    pub fn log_probability(&self, failures: u64) -> f64 {
        score(LnOdds::of(self.probability), failures as f64)
    }

    /// `P(X ≤ failures) = 1 − (1 − p)^(failures + 1)`.
    pub fn cdf(&self, failures: u64) -> f64 {
        -((failures as f64 + 1.0) * (-self.probability).ln_1p()).exp_m1()
    }

    /// The smallest count with `P(X ≤ count) ≥ p`; `u64::MAX` where no `u64` reaches.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u64 {
        let near = (-p).ln_1p() / (-self.probability).ln_1p() - 1.0;
        crate::quantile::discrete(p, crate::poisson::count_near(near), |x| self.cdf(x))
    }

    /// `(1 − p)/p`.
    pub fn mean(&self) -> f64 {
        (1.0 - self.probability) / self.probability
    }

    /// `(1 − p)/p²`.
    pub fn variance(&self) -> f64 {
        self.mean() / self.probability
    }

    /// `[−p ln p − (1 − p) ln(1 − p)] / p`, in nats.
    pub fn entropy(&self) -> f64 {
        binary_entropy(self.probability) / self.probability
    }

    /// `KL(self ‖ other)`, in nats: that of one trial times the expected number of trials; infinite if only the other
    /// always succeeds.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        binary_kl(self.probability, other.probability) / self.probability
    }

    /// One draw; counts beyond a `u64` are drawn as `u64::MAX`.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u64 {
        self.prepared().sample(rng)
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "such casts saturate, as they should"
    )]
    fn prepared(self) -> impl Distribution<u64> + use<> {
        let ln_failure = (-self.probability).ln_1p();
        StandardUniform.map(move |u: f64| ((1.0 - u).ln() / ln_failure) as u64) // 1 − u is in (0, 1]
    }

    /// Overwrites the probability, which the caller knows to be in `(0, 1]`.
    pub(crate) fn set(&mut self, probability: f64) {
        self.probability = probability;
    }
}

univariate!(Geometric, u64, log_probability, |this, n| {
    draws::unimodal(this, n, 1.0 - this.probability, || this.prepared())
});

/// The coordinate is the log odds, `ln p − ln(1 − p)`.
impl FlatParameters for Geometric {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.push(log_odds(self.probability));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { probability: logistic(take_front(from, 1)[0]).max(f64::MIN_POSITIVE) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("probability", self.probability, Range::Probability);
    }
}

impl ExpectedLogLikelihood for Geometric {
    fn score_into(&self, stats: &GeometricStats, _: &[f64], out: &mut [f64]) {
        out[0] = score_of_log_odds(self.probability, stats.successes(), stats.failures());
    }

    fn is_complete(&self, _: &[u64]) -> bool {
        true
    }
}

/// Weighted sufficient statistics of a [`Geometric`]: `Σw`, in observations, and `Σwx`, in failures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GeometricStats {
    sums: [f64; 2],
}

impl GeometricStats {
    /// `Σw`, in observations: each ends with one success.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// `Σw` again: successes, in trials.
    pub fn successes(&self) -> f64 {
        self.sums[0]
    }

    /// `Σwx`: failures, in trials.
    pub fn failures(&self) -> f64 {
        self.sums[1]
    }

    /// Could these be the sums of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        let [weight, failures] = self.sums;
        let possible = weight >= 0.0 && failures >= 0.0 && (weight > 0.0 || failures == 0.0);
        if possible && weight.is_finite() && failures.is_finite() {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "geometric distribution" })
        }
    }
}

impl Statistics for GeometricStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // two units, two parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        add_scaled(&mut self.sums, factor, &other.sums);
    }
}

/// `ln p` and `ln(1 − p)` of `k` components, or their expectations.
#[derive(Clone, Debug, PartialEq)]
pub struct GeometricPacked {
    components: Vec<LnOdds>,
}

impl GeometricPacked {
    /// Rows are scored by `ln_p + x · ln_q`.
    pub(crate) fn set(&mut self, j: usize, ln_p: f64, ln_q: f64) {
        self.components[j] = LnOdds { ln_p, ln_q };
    }
}

/// The counts of a block as `f64`, found once for all components.
#[derive(Clone, Debug)]
pub struct GeometricScratch {
    counts: [f64; BLOCK],
}

impl Family for Geometric {
    type Batch<'a> = &'a [u64];
    type Stats = GeometricStats;
    type Packed = GeometricPacked;
    type Scratch = GeometricScratch;

    fn check(&self, _: &[u64]) -> Result<(), DataError> {
        Ok(()) // every u64 is a count
    }

    fn new_stats(&self) -> GeometricStats {
        GeometricStats::default()
    }

    fn new_packed(&self, k: usize) -> GeometricPacked {
        GeometricPacked { components: vec![LnOdds::default(); k] }
    }

    fn new_scratch(_: &GeometricPacked) -> GeometricScratch {
        GeometricScratch { counts: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut GeometricPacked) {
        packed.components[j] = LnOdds::of(self.probability);
    }

    fn score_all(
        packed: &GeometricPacked,
        data: &[u64],
        mut out: MatrixMut<'_>,
        scratch: &mut GeometricScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        let counts = to_f64(data, &mut scratch.counts);
        for (j, LnOdds { ln_p, ln_q }) in packed.components.iter().enumerate() {
            let (columns, logs, constant) = ([counts], [*ln_q], *ln_p);
            LogPowers { columns, logs, constant, base: None, out: out.row_mut(j) }.write();
        }
    }

    fn observe_all(
        _: &GeometricPacked,
        stats: &mut [GeometricStats],
        data: &[u64],
        weights: Matrix<'_>,
        scratch: &mut GeometricScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let counts = to_f64(data, &mut scratch.counts);
        for (j, stats) in stats.iter_mut().enumerate() {
            let (weight, [failures]) = weighted_sums([counts], weights.row(j));
            add_scaled(&mut stats.sums, 1.0, &[weight, failures]);
        }
    }

    fn maximize(&self, stats: &GeometricStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let [weight, failures] = stats.sums;
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let probability = weight / (weight + failures);
        if probability.is_nan() || probability <= 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight }); // a weight so small that it vanishes
        }
        next.probability = probability;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> GeometricStats {
        GeometricStats { sums: [weight, weight * self.mean()] }
    }

    fn write_natural(&self, _: &GeometricStats, out: &mut Vec<f64>) -> bool {
        out.extend([self.probability.ln(), crate::univariate::ln_or_least(1.0 - self.probability)]);
        true
    }

    fn is_maximized_at_once(&self, _: &GeometricStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k
    }
}

fn score(LnOdds { ln_p, ln_q }: LnOdds, x: f64) -> f64 {
    // 0 · ln 0 is 0 here: no failure costs nothing.
    let of_failures = if x == 0.0 { 0.0 } else { x * ln_q };
    ln_p + of_failures
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    probability: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Geometric {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.probability)
    }
}
