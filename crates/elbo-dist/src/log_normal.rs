//! The log-normal distribution.

use elbo_core::{
    BLOCK, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs,
};
use elbo_linalg::ln_into;
use rand::{Rng, distr::Distribution};

use crate::{
    Gaussian, GaussianPacked, GaussianStats, ParameterError, deviance::deviance_at,
    error::positive, support::check_positive, univariate::univariate,
};

/// The log-normal distribution, of which `ln X ~ N(μ, σ²)`: `ln p(x) = −ln x − ½ [ln 2πσ² + (ln x − μ)²/σ²]`, `x > 0`.
///
/// `μ` and `σ²` are those of `ln x`, so that a change of unit shifts `μ`. Everything is the [`Gaussian`]'s, at `ln x`: its
/// statistics, its kernels, its estimates. NaN in data is a missing value: it scores 0 and is not observed; what is not
/// positive and finite is refused. Cost: a logarithm per row beside the Gaussian's own.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::LogNormal;
///
/// let fit = fit_single(LogNormal::new(0.0, 1.0)?, &[1.0, 10.0, 100.0][..]).unwrap().params;
/// assert!((fit.median() - 10.0).abs() < 1e-12);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1994), *Continuous Univariate Distributions*, volume 1, chapter 14.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters", into = "Parameters")
)]
pub struct LogNormal {
    log: Gaussian,
}

impl LogNormal {
    /// The distribution with this mean and variance of `ln x`.
    ///
    /// # Errors
    ///
    /// If `log_mean` is not finite, or `log_variance` not positive and finite.
    pub fn new(log_mean: f64, log_variance: f64) -> Result<Self, ParameterError> {
        // By its own names: a variance of logarithms is no variance.
        let log_mean = crate::error::finite("log mean", log_mean)?;
        Ok(Self { log: Gaussian::new(log_mean, positive("log variance", log_variance)?)? })
    }

    /// The distribution with this mean and variance of `x` itself.
    ///
    /// # Errors
    ///
    /// If one of them, or the variance of `ln x`, is not positive and finite.
    pub fn from_moments(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        let mean = positive("mean", mean)?;
        let log_variance = (positive("variance", variance)? / mean / mean).ln_1p();
        Self::new(mean.ln() - 0.5 * log_variance, log_variance)
    }

    /// `μ = E[ln X]`.
    pub fn log_mean(&self) -> f64 {
        self.log.mean()
    }

    /// `σ² = Var[ln X]`.
    pub fn log_variance(&self) -> f64 {
        self.log.variance()
    }

    /// The distribution of `ln x`.
    pub(crate) fn log(&self) -> &Gaussian {
        &self.log
    }

    pub(crate) fn log_mut(&mut self) -> &mut Gaussian {
        &mut self.log
    }

    /// `e^μ`, in the unit of the data.
    pub fn median(&self) -> f64 {
        self.log.mean().exp()
    }

    /// `E[X] = exp(μ + σ²/2)`.
    pub fn mean(&self) -> f64 {
        (self.log.mean() + 0.5 * self.log.variance()).exp()
    }

    /// `Var[X] = (exp σ² − 1) E[X]²`.
    pub fn variance(&self) -> f64 {
        self.log.variance().exp_m1() * self.mean().powi(2)
    }

    /// `ln p(x)`, in nats; −∞ outside the support.
    pub fn log_density(&self, x: f64) -> f64 {
        score(x, self.log.log_density(x.ln()), x.ln())
    }

    /// `P(X ≤ x)`.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { self.log.cdf(x.ln()) }
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        self.log.quantile(p).exp()
    }

    /// `μ + ½ ln 2πeσ²`, in nats.
    pub fn entropy(&self) -> f64 {
        self.log.mean() + self.log.entropy()
    }

    /// `KL(self ‖ other)`, that of the two Gaussians of `ln x`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let shift = (self.log.mean() - other.log.mean()) / other.log.std_dev();
        let ratio = (self.log.variance() - other.log.variance()) / other.log.variance();
        0.5 * (shift * shift + deviance_at(ratio, self.log.variance() / other.log.variance()))
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> impl Distribution<f64> + use<> {
        self.log.prepared().map(f64::exp)
    }
}

univariate!(LogNormal, f64, log_density);

impl FlatParameters for LogNormal {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        self.log.write_unconstrained(out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { log: self.log.with_unconstrained(from) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("log_mean", self.log_mean(), Range::Real);
        see("log_variance", self.log_variance(), Range::Positive);
    }
}

/// That of the logarithms.
impl ExpectedLogLikelihood for LogNormal {
    fn score_into(&self, stats: &GaussianStats, steps: &[f64], out: &mut [f64]) {
        self.log.score_into(stats, steps, out);
    }

    /// A missing value is no observation at all.
    fn is_complete(&self, _: &[f64]) -> bool {
        true
    }
}

/// The logarithms of a block, found once for all components.
#[derive(Clone, Debug)]
pub struct LogNormalScratch {
    logs: [f64; BLOCK],
}

impl LogNormalScratch {
    fn fill(&mut self, data: &[f64]) -> &[f64] {
        let logs = &mut self.logs[..data.len()];
        ln_into(data, logs);
        logs
    }
}

/// The density of `x` from that of `ln x`.
pub(crate) fn score(x: f64, of_log: f64, log: f64) -> f64 {
    let inside = x > 0.0 && x < f64::INFINITY;
    let score = if inside { of_log - log } else { f64::NEG_INFINITY };
    if x.is_nan() { 0.0 } else { score } // what is missing says nothing
}

impl Family for LogNormal {
    type Batch<'a> = &'a [f64];
    type Stats = GaussianStats;
    type Packed = GaussianPacked;
    type Scratch = LogNormalScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_positive(data)
    }

    fn new_stats(&self) -> GaussianStats {
        self.log.new_stats()
    }

    fn new_packed(&self, k: usize) -> GaussianPacked {
        self.log.new_packed(k)
    }

    fn new_scratch(_: &GaussianPacked) -> LogNormalScratch {
        LogNormalScratch { logs: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut GaussianPacked) {
        self.log.pack(j, packed);
    }

    fn score_all(
        packed: &GaussianPacked,
        data: &[f64],
        mut out: MatrixMut<'_>,
        scratch: &mut LogNormalScratch,
    ) {
        let logs = scratch.fill(data);
        Gaussian::score_all(packed, logs, out.reborrow(), &mut ());
        for j in 0..out.rows() {
            for (out, (x, log)) in out.row_mut(j).iter_mut().zip(data.iter().zip(logs)) {
                *out = score(*x, *out, *log);
            }
        }
    }

    fn reset_all(packed: &GaussianPacked, stats: &mut [GaussianStats]) {
        Gaussian::reset_all(packed, stats);
    }

    fn observe_all(
        packed: &GaussianPacked,
        stats: &mut [GaussianStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut LogNormalScratch,
    ) {
        Gaussian::observe_all(packed, stats, scratch.fill(data), weights, &mut ());
    }

    fn maximize(&self, stats: &GaussianStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        self.log.maximize(stats, &mut next.log)
    }

    fn expected_stats(&self, weight: f64) -> GaussianStats {
        self.log.expected_stats(weight)
    }

    fn write_natural(&self, like: &GaussianStats, out: &mut Vec<f64>) -> bool {
        self.log.write_natural(like, out)
    }

    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        Ok(Self { log: self.log.moved_to(&[data[row].ln()], 0)? })
    }

    fn is_maximized_at_once(&self, stats: &GaussianStats) -> bool {
        self.log.is_maximized_at_once(stats)
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    fn relative_spread(&self, all: &GaussianStats) -> f64 {
        self.log.relative_spread(all)
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Parameters {
    log_mean: f64,
    log_variance: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for LogNormal {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.log_mean, p.log_variance)
    }
}

#[cfg(feature = "serde")]
impl From<LogNormal> for Parameters {
    fn from(distribution: LogNormal) -> Self {
        Self { log_mean: distribution.log_mean(), log_variance: distribution.log_variance() }
    }
}
