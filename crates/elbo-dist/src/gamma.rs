//! The gamma distribution.

mod kernels;
mod stats;

use elbo_core::{
    BLOCK, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, take_front,
};
use elbo_linalg::ln_into;
use rand::Rng;
use rand_distr::Distribution;

pub use kernels::GammaPacked;
pub(crate) use kernels::{Component, observe_all, score_all};
pub use stats::GammaStats;

use crate::{
    ParameterError,
    block::check_shape,
    deviance::deviance_at,
    error::positive,
    quantile,
    special::{digamma, gamma_log_peak, gamma_p, inverse_gamma_p, ln_minus_digamma},
    support::check_positive,
    univariate::univariate,
};

/// The gamma distribution `Ga(a, b)` of shape `a` and rate `b`: `ln p(x) = a ln b − ln Γ(a) + (a − 1) ln x − bx`, `x > 0`.
///
/// As a family it describes positive amounts: with `x` in unit `u`, the rate is in `1/u`, the mean `a/b` in `u`. Scores and
/// statistics are arranged about the mean, so that they keep their digits at shapes of 10⁸ and more. NaN in data is a
/// missing value: it scores 0 and is not observed; what is not positive and finite is refused. Maximum likelihood is exact,
/// in one step; where all observations are equal it has no maximum. Cost: a logarithm per row, some twenty multiplications
/// per row and component.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::Gamma;
///
/// let fit = fit_single(Gamma::from_moments(3.0, 3.0)?, &[1.0, 2.0, 6.0][..]).unwrap();
/// assert!((fit.params.mean() - 3.0).abs() < 1e-14);
/// assert!((fit.params.shape() - 2.0004).abs() < 1e-4);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// As a distribution over a rate `λ` it is the conjugate prior of a [`Poisson`](crate::Poisson) and, with data added, its
/// posterior. Read it as `b` observations already made, in which `a` events were counted. It is that of an
/// [`Exponential`](crate::Exponential), too: `a` observations already made that add up to `b`. Mode and density are in `λ`.
///
/// ```
/// use elbo_core::ConjugatePrior;
/// use elbo_dist::{Gamma, Poisson};
///
/// let prior = Gamma::new(2.0, 1.0)?;
/// let mut poisson = Poisson::new(1.0)?;
/// prior.mode_into(&mut poisson).unwrap();
/// assert_eq!(poisson.rate(), 1.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1994), *Continuous Univariate Distributions*, volume 1, chapter 17; as a prior Gelman et
/// al. (2013), *Bayesian Data Analysis*, section 2.6.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Gamma {
    pub(crate) shape: f64,
    pub(crate) rate: f64,
}

impl Gamma {
    /// `Ga(shape, rate)`, with mean `shape / rate`.
    ///
    /// # Errors
    ///
    /// If one of them is not positive and finite.
    pub fn new(shape: f64, rate: f64) -> Result<Self, ParameterError> {
        Ok(Self { shape: positive("shape", shape)?, rate: positive("rate", rate)? })
    }

    /// The distribution with this mean and variance.
    ///
    /// # Errors
    ///
    /// If one of them, or a parameter that they ask for, is not positive and finite.
    pub fn from_moments(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        let per_variance = positive("mean", mean)? / positive("variance", variance)?;
        Self::new(mean * per_variance, per_variance)
    }

    /// `a`; as a prior in events.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// `b`, in events per unit of the data; as a prior in observations.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// `E[λ] = a/b`.
    pub fn expected_rate(&self) -> f64 {
        self.shape / self.rate
    }

    /// `E[ln λ] = ψ(a) − ln b`.
    pub fn expected_log_rate(&self) -> f64 {
        digamma(self.shape) - self.rate.ln()
    }

    /// `Var[λ] = a/b²`.
    pub fn variance_of_rate(&self) -> f64 {
        self.shape / self.rate / self.rate
    }

    /// `E[X] = a/b`.
    pub fn mean(&self) -> f64 {
        self.shape / self.rate
    }

    /// `Var[X] = a/b²`.
    pub fn variance(&self) -> f64 {
        self.shape / self.rate / self.rate
    }

    /// `ln p(x)`, in nats; −∞ outside the support.
    pub fn log_density(&self, x: f64) -> f64 {
        let score = self.component().score_of_log(x);
        if score.is_finite() && !x.is_nan() { score - x.ln() } else { score }
    }

    /// `P(X ≤ x) = P(a, bx)`.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { gamma_p(self.shape, self.rate * x) }
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        quantile::check(p);
        inverse_gamma_p(self.shape, p) / self.rate
    }

    /// `a − ln b + ln Γ(a) + (1 − a) ψ(a)`, in nats.
    pub fn entropy(&self) -> f64 {
        let spread = ln_minus_digamma(self.shape);
        self.mean().ln() + (self.shape - 1.0) * spread - gamma_log_peak(self.shape)
    }

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        kl_gamma((self.shape, self.rate), (other.shape, other.rate))
    }

    /// One draw. Of shapes below some 0.01 many draws underflow to 0.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> impl Distribution<f64> + use<> {
        let rate = self.rate;
        standard(self.shape).map(move |x| x / rate)
    }

    fn component(&self) -> Component {
        Component::new(self.shape, self.mean())
    }
}

univariate!(Gamma, f64, log_density);

/// Coordinates are `ln a` and `ln a/b`: shape and mean are orthogonal, shape and rate nearly collinear.
/// Derivatives are taken by differences.
impl ExpectedLogLikelihood for Gamma {
    /// A missing value is no observation at all.
    fn is_complete(&self, _: &[f64]) -> bool {
        true
    }
}

impl FlatParameters for Gamma {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.shape.ln(), self.mean().ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { shape: at[0].exp(), rate: at[0].exp() / at[1].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("shape", self.shape, Range::Positive);
        see("rate", self.rate, Range::Positive);
    }
}

/// The logarithms of a block, found once for all components.
#[derive(Clone, Debug)]
pub struct GammaScratch {
    logs: [f64; BLOCK],
}

impl Family for Gamma {
    type Batch<'a> = &'a [f64];
    type Stats = GammaStats;
    type Packed = GammaPacked;
    type Scratch = GammaScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_positive(data)
    }

    fn new_stats(&self) -> GammaStats {
        GammaStats::new(self.mean())
    }

    fn new_packed(&self, k: usize) -> GammaPacked {
        GammaPacked::new(k)
    }

    fn new_scratch(_: &GammaPacked) -> GammaScratch {
        GammaScratch { logs: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut GammaPacked) {
        packed.components[j] = self.component();
    }

    fn score_all(
        packed: &GammaPacked,
        data: &[f64],
        out: MatrixMut<'_>,
        scratch: &mut GammaScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        let logs = &mut scratch.logs[..data.len()];
        ln_into(data, logs);
        score_all(packed, [data, logs, logs], out);
    }

    fn reset_all(packed: &GammaPacked, stats: &mut [GammaStats]) {
        for (stats, component) in stats.iter_mut().zip(&packed.components) {
            *stats = GammaStats::new(component.mean);
        }
    }

    fn observe_all(
        _: &GammaPacked,
        stats: &mut [GammaStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut GammaScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let logs = &mut scratch.logs[..data.len()];
        ln_into(data, logs);
        observe_all(stats, [data, logs], weights);
    }

    fn maximize(&self, stats: &GammaStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        const WHAT: &str = "gamma distribution";
        let (shape, mean) = stats.estimate(WHAT)?;
        *next = Self::new(shape, shape / mean)
            .map_err(|_| EstimateError::Infeasible { component: 0, what: WHAT })?;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> GammaStats {
        GammaStats::expected(self.shape, self.mean(), weight)
    }

    fn write_natural(&self, like: &GammaStats, out: &mut Vec<f64>) -> bool {
        like.write_natural(self.shape, self.rate, out);
        true
    }

    /// The same shape, with the observation for its mean.
    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let mean = if data[row].is_nan() { self.mean() } else { data[row] };
        let infeasible = EstimateError::Infeasible { component: 0, what: "gamma distribution" };
        Self::new(self.shape, self.shape / mean).map_err(|_| infeasible)
    }

    /// Where the mean lies near the origin.
    fn is_maximized_at_once(&self, stats: &GammaStats) -> bool {
        stats.is_centered()
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    /// Of spreads on the logarithmic scale.
    fn relative_spread(&self, all: &GammaStats) -> f64 {
        relative_spread(self.shape, all)
    }
}

/// The spread of a shape on the logarithmic scale, relative to that of all data.
pub(crate) fn relative_spread(shape: f64, all: &GammaStats) -> f64 {
    let whole = all.log_spread();
    if whole > 0.0 { ln_minus_digamma(shape) / whole } else { 1.0 }
}

/// `KL(Ga(a, b) ‖ Ga(a₀, b₀))` of shapes and rates; the same for inverse gammas of shapes and scales.
///
/// With means `m = a/b` and `h(a) = a ln a − a − ln Γ(a)`, whose slope is `g(a) = ln a − ψ(a)`:
/// `a₀ (m/m₀ − 1 − ln m/m₀) + h(a) − h(a₀) − (a − a₀) g(a)`, two terms that are not negative.
pub(crate) fn kl_gamma((a, b): (f64, f64), (a0, b0): (f64, f64)) -> f64 {
    let of_mean = a0 * deviance_at((a * b0 - a0 * b) / (a0 * b), (a / a0) * (b0 / b));
    let of_shape = gamma_log_peak(a) - gamma_log_peak(a0) - (a - a0) * ln_minus_digamma(a);
    of_mean + of_shape
}

/// A draw from `Ga(shape, 1)`.
pub(crate) fn standard_gamma(shape: f64, rng: &mut (impl Rng + ?Sized)) -> f64 {
    standard(shape).sample(rng)
}

/// `Ga(shape, 1)`, ready to be drawn from.
pub(crate) fn standard(shape: f64) -> rand_distr::Gamma<f64> {
    rand_distr::Gamma::new(shape, 1.0).expect("the shape is positive and finite")
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    shape: f64,
    rate: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Gamma {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.shape, p.rate)
    }
}
