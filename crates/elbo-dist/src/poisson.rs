//! The Poisson distribution.

use std::sync::LazyLock;

use elbo_core::{BLOCK, DataError, EstimateError, Family, Matrix, MatrixMut, Repairs, Statistics};
use rand::Rng;
use rand_distr::Distribution;

use crate::{
    ParameterError,
    block::check_shape,
    error::not_negative,
    special::{gamma_q, ln_factorial},
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

    /// `ln p(count)`, in nats.
    pub fn log_probability(&self, count: u64) -> f64 {
        Packed::point(*self).score(count as f64, tabled_ln_factorial(count))
    }

    /// `P(X ≤ count) = Q(count + 1, λ)`.
    pub fn cdf(&self, count: u64) -> f64 {
        gamma_q(count as f64 + 1.0, self.rate)
    }

    /// One draw.
    ///
    /// # Panics
    ///
    /// If the rate exceeds 10¹⁹, where draws no longer fit a `u64`.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u64 {
        if self.rate == 0.0 {
            return 0;
        }
        assert!(self.rate <= 1e19, "cannot draw a u64 at rate {:e}", self.rate);
        let poisson = rand_distr::Poisson::new(self.rate).expect("0 < rate ≤ 10¹⁹");
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "draws are whole, not negative, and within 10¹⁹ + 50 · √10¹⁹"
        )]
        let count = poisson.sample(rng) as u64;
        count
    }

    /// Overwrites the rate, which the caller knows to be finite and not negative.
    pub(crate) fn set(&mut self, rate: f64) {
        self.rate = rate;
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

    fn score(&self, x: f64, ln_factorial: f64) -> f64 {
        // 0 · ln 0 is 0 here: the first factor of `λ⁰ e^{−λ}` is 1 at every rate.
        let log_power = if x == 0.0 { 0.0 } else { x * self.log_rate };
        log_power - self.rate - ln_factorial
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
            *value = tabled_ln_factorial(*x);
        }
        for (j, component) in packed.components.iter().enumerate() {
            let rows = counts.iter().zip(&*ln_factorials);
            for (out, (x, ln_factorial)) in out.row_mut(j).iter_mut().zip(rows) {
                *out = component.score(*x, *ln_factorial);
            }
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
            let sums = weighted_sums(counts, weights.row(j));
            elbo_core::add_scaled(&mut stats.sums, 1.0, &sums);
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

    fn free_parameters(&self, k: usize) -> usize {
        k
    }
}

/// `ln x!`, from a table below 256.
pub(crate) fn tabled_ln_factorial(x: u64) -> f64 {
    static TABLE: LazyLock<[f64; 256]> =
        LazyLock::new(|| std::array::from_fn(|x| ln_factorial(x as u64)));
    usize::try_from(x).ok().and_then(|x| TABLE.get(x).copied()).unwrap_or_else(|| ln_factorial(x))
}

fn to_f64<'s>(data: &[u64], scratch: &'s mut [f64; BLOCK]) -> &'s [f64] {
    let counts = &mut scratch[..data.len()];
    for (count, x) in counts.iter_mut().zip(data) {
        *count = *x as f64;
    }
    counts
}

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// `Σw` and `Σwx`.
fn weighted_sums(counts: &[f64], weights: &[f64]) -> [f64; 2] {
    let mut sums = [[0.0; LANES]; 2];
    let (rows, weight_rows) = (counts.chunks_exact(LANES), weights.chunks_exact(LANES));
    for (lane, (x, w)) in rows.remainder().iter().zip(weight_rows.remainder()).enumerate() {
        sums[0][lane] += w;
        sums[1][lane] += w * x;
    }
    for (x, w) in rows.zip(weight_rows) {
        for lane in 0..LANES {
            sums[0][lane] += w[lane];
            sums[1][lane] += w[lane] * x[lane];
        }
    }
    sums.map(|lanes| lanes.iter().sum())
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
