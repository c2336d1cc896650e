//! The Poisson distribution.

use std::{f64::consts::TAU, sync::LazyLock};

use elbo_core::{
    BLOCK, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, Statistics, add_scaled, take_front,
};
use rand::Rng;
use rand_distr::Distribution;

use crate::{
    ParameterError,
    block::check_shape,
    counts::{LogPowers, to_f64, weighted_sums},
    draws,
    error::not_negative,
    quantile,
    special::{deviance, gamma_q, ln_factorial, standard_normal_quantile, stirling_correction},
    spread::Spread,
    univariate::univariate,
};

/// Counts of independent events: `ln p(x) = x ln λ − λ − ln x!` with mean and variance `λ`, the rate.
///
/// Observations are whole numbers, `u64`; above 2⁵³ they are rounded to the nearest `f64`. A rate of zero is allowed
/// and means that nothing but zero is ever counted: it is the maximum-likelihood rate of data that are all zero.
///
/// ```
/// use elbo_dist::Poisson;
///
/// let poisson = Poisson::new(2.0)?;
/// assert!((poisson.log_probability(0) + 2.0).abs() < 1e-15);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kemp & Kotz (2005), *Univariate Discrete Distributions*, chapter 4.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Poisson {
    rate: f64,
}

impl Poisson {
    /// The distribution with mean `rate`.
    ///
    /// # Errors
    ///
    /// If `rate` is negative or not finite.
    pub fn new(rate: f64) -> Result<Self, ParameterError> {
        Ok(Self { rate: not_negative("rate", rate)? })
    }

    /// `λ`: the mean and the variance, in events.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// `ln p(count)`, in nats, to the last digits at any rate; scores of batches are sums whose terms are of size `x ln λ`.
    ///
    /// Source: Loader (2000), *Fast and accurate computation of binomial probabilities*.
    pub fn log_probability(&self, count: u64) -> f64 {
        ln_poisson(count as f64, self.rate)
    }

    /// `P(X ≤ count) = Q(count + 1, λ)`.
    pub fn cdf(&self, count: u64) -> f64 {
        gamma_q(count as f64 + 1.0, self.rate)
    }

    /// The smallest count with `P(X ≤ count) ≥ p`; `u64::MAX` where no `u64` reaches. Cost: some 5 to 100 distribution
    /// functions, whatever the rate.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u64 {
        // Cornish & Fisher's first two terms: within a count or so in the bulk.
        let z = standard_normal_quantile(p).clamp(-40.0, 40.0);
        let near = self.rate + z * self.rate.sqrt() + (z * z - 1.0) / 6.0;
        quantile::discrete(p, count_near(near), |count| self.cdf(count))
    }

    /// `λ`, in events.
    pub fn mean(&self) -> f64 {
        self.rate
    }

    /// `λ`, in squared events.
    pub fn variance(&self) -> f64 {
        self.rate
    }

    /// `−E[ln p(X)]`, in nats. Cost: a sum over at most some thousand counts, whatever the rate.
    pub fn entropy(&self) -> f64 {
        let (rate, std_dev) = (self.rate, self.rate.sqrt());
        let spread = Spread { mean: rate, std_dev, last: f64::INFINITY, is_cut: false };
        spread.expectation(|x| ln_poisson(x, rate), |_, log_probability| -log_probability)
    }

    /// `KL(self ‖ other) = λ ln(λ/λ′) − λ + λ′`, in nats; infinite if only the other's rate is zero.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        deviance(self.rate, other.rate)
    }

    /// One draw.
    ///
    /// # Panics
    ///
    /// If the rate exceeds 10¹⁹, where draws no longer fit a `u64`.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u64 {
        self.prepared().sample(rng)
    }

    fn prepared(self) -> Sampler {
        assert!(self.rate <= 1e19, "cannot draw a u64 at rate {:e}", self.rate);
        let positive = (self.rate > 0.0).then_some(self.rate);
        Sampler(positive.map(|rate| rand_distr::Poisson::new(rate).expect("0 < rate ≤ 10¹⁹")))
    }

    /// Overwrites the rate, which the caller knows to be finite and not negative.
    pub(crate) fn set(&mut self, rate: f64) {
        self.rate = rate;
    }
}

univariate!(Poisson, u64, log_probability, |this, n| {
    draws::unimodal(this, n, 0.0, || this.prepared())
});

/// `None` at a rate of zero.
struct Sampler(Option<rand_distr::Poisson<f64>>);

impl Distribution<u64> for Sampler {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "draws are whole, not negative, and within 10¹⁹ + 50 · √10¹⁹"
    )]
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        self.0.map_or(0, |poisson| poisson.sample(rng) as u64)
    }
}

impl FlatParameters for Poisson {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.push(self.rate.ln());
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { rate: take_front(from, 1)[0].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("rate", self.rate, Range::Positive);
    }
}

impl ExpectedLogLikelihood for Poisson {
    fn score_into(&self, stats: &PoissonStats, _: &[f64], out: &mut [f64]) {
        let [weight, events] = stats.sums;
        out[0] = events - weight * self.rate;
    }

    fn is_complete(&self, _: &[u64]) -> bool {
        true
    }
}

/// Weighted sufficient statistics of a [`Poisson`]: `Σw`, in observations, and `Σwx`, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PoissonStats {
    sums: [f64; 2],
}

impl PoissonStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// `Σwx`, in events.
    pub fn events(&self) -> f64 {
        self.sums[1]
    }

    /// Could these be the sums of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        let [weight, events] = self.sums;
        let possible = weight >= 0.0 && events >= 0.0 && (weight > 0.0 || events == 0.0);
        if possible && weight.is_finite() && events.is_finite() {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "Poisson distribution" })
        }
    }
}

impl Statistics for PoissonStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // two units, two parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        elbo_core::add_scaled(&mut self.sums, factor, &other.sums);
    }
}

/// `k` rates, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct PoissonPacked {
    components: Vec<Packed>,
}

impl PoissonPacked {
    /// Rows are scored by `x · log_rate − rate − ln x!`.
    pub(crate) fn set(&mut self, j: usize, log_rate: f64, rate: f64) {
        self.components[j] = Packed { log_rate, rate };
    }
}

/// One component: `x · log_rate − rate − ln x!`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    log_rate: f64,
    rate: f64,
}

impl Packed {
    fn point(poisson: Poisson) -> Self {
        Self { log_rate: poisson.rate.ln(), rate: poisson.rate }
    }
}

/// The counts of a block as `f64` and their log factorials, found once for all components.
#[derive(Clone, Debug)]
pub struct PoissonScratch {
    counts: [f64; BLOCK],
    ln_factorials: [f64; BLOCK],
}

impl Family for Poisson {
    type Batch<'a> = &'a [u64];
    type Stats = PoissonStats;
    type Packed = PoissonPacked;
    type Scratch = PoissonScratch;

    const OBSERVES_WHAT_IT_SCORED: bool = false;

    fn check(&self, _: &[u64]) -> Result<(), DataError> {
        Ok(()) // every u64 is a count
    }

    fn new_stats(&self) -> PoissonStats {
        PoissonStats::default()
    }

    fn new_packed(&self, k: usize) -> PoissonPacked {
        PoissonPacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &PoissonPacked) -> PoissonScratch {
        PoissonScratch { counts: [0.0; BLOCK], ln_factorials: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut PoissonPacked) {
        packed.components[j] = Packed::point(*self);
    }

    fn score_all(
        packed: &PoissonPacked,
        data: &[u64],
        mut out: MatrixMut<'_>,
        scratch: &mut PoissonScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        let counts = to_f64(data, &mut scratch.counts);
        let ln_factorials = &mut scratch.ln_factorials[..data.len()];
        for (value, x) in ln_factorials.iter_mut().zip(data) {
            *value = -tabled_ln_factorial(*x);
        }
        for (j, Packed { log_rate, rate }) in packed.components.iter().enumerate() {
            // 0 · ln 0 is 0 here: the first factor of `λ⁰ e^{−λ}` is 1 at every rate.
            let (columns, logs, constant) = ([counts], [*log_rate], -rate);
            let base = Some(&*ln_factorials);
            LogPowers { columns, logs, constant, base, out: out.row_mut(j) }.write();
        }
    }

    fn observe_all(
        _: &PoissonPacked,
        stats: &mut [PoissonStats],
        data: &[u64],
        weights: Matrix<'_>,
        scratch: &mut PoissonScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let counts = to_f64(data, &mut scratch.counts);
        for (j, stats) in stats.iter_mut().enumerate() {
            let (weight, [events]) = weighted_sums([counts], weights.row(j));
            add_scaled(&mut stats.sums, 1.0, &[weight, events]);
        }
    }

    fn maximize(&self, stats: &PoissonStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let [weight, events] = stats.sums;
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let rate = events / weight;
        if !rate.is_finite() {
            return Err(EstimateError::NoWeight { component: 0, weight }); // a weight so small that it overflows
        }
        next.set(rate);
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> PoissonStats {
        PoissonStats { sums: [weight, weight * self.rate] }
    }

    fn write_natural(&self, _: &PoissonStats, out: &mut Vec<f64>) -> bool {
        out.extend([-self.rate, crate::univariate::ln_or_least(self.rate)]);
        true
    }

    fn is_maximized_at_once(&self, _: &PoissonStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k
    }
}

/// `ln p(x)` at a count, or between counts: `−[x ln(x/λ) − x + λ] − ½ ln 2πx − …`, where nothing cancels.
pub(crate) fn ln_poisson(x: f64, rate: f64) -> f64 {
    if x == 0.0 {
        return -rate;
    }
    -deviance(x, rate) - 0.5 * (TAU * x).ln() - stirling_correction(x)
}

/// The count next to `x`: 0 below it, `u64::MAX` beyond it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "such casts saturate, as they should"
)]
pub(crate) fn count_near(x: f64) -> u64 {
    x.round() as u64
}

/// `ln x!`, from a table below 256.
pub(crate) fn tabled_ln_factorial(x: u64) -> f64 {
    static TABLE: LazyLock<[f64; 256]> =
        LazyLock::new(|| std::array::from_fn(|x| ln_factorial(x as u64)));
    usize::try_from(x).ok().and_then(|x| TABLE.get(x).copied()).unwrap_or_else(|| ln_factorial(x))
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    rate: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Poisson {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.rate)
    }
}
