//! The Weibull distribution.

mod kernels;
mod stats;

use std::f64::consts::PI;

use elbo_core::{
    BLOCK, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    take_front,
};
use elbo_linalg::ln_into;
use rand::Rng;
use rand_distr::{Distribution, Exp1};

pub use kernels::WeibullPacked;
pub use stats::WeibullStats;

use self::{kernels::Component, stats::EULER};
use crate::{
    ParameterError,
    block::check_shape,
    error::positive,
    special::{ln_gamma, ln_gamma_ratio},
    support::check_positive,
    univariate::univariate,
};

/// The Weibull distribution of shape `k` and scale `λ`, of lifetimes whose hazard is a power of time:
/// `ln p(x) = ln k − ln x + z − e^z` with `z = k ln(x/λ)`, `x > 0`.
///
/// With `x` in unit `u`, the scale is in `u`; at `k = 1` it is the exponential distribution. NaN in data is a missing value:
/// it scores 0 and is not observed; what is not positive and finite is refused. Where all observations are equal the
/// likelihood has no maximum. Cost: a logarithm per row, an exponential and some thirty multiplications per row and
/// component.
///
/// # Estimation
///
/// There are no sufficient statistics of fixed size. Those kept are sums about the current shape and scale, six numbers
/// that yield an upper bound on `Σw x^k` for every `k` up to twice the current shape (see [`WeibullStats`]). The M-step
/// maximizes the lower bound on the likelihood that follows. The bound touches the likelihood at the current parameters
/// with equal value, slope and curvature: a step never lowers the likelihood, for any data, weights and start, and it
/// converges like Newton's method, quadratically. From [`from_moments`](Self::from_moments) two or three steps are usual.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::Weibull;
///
/// let fit = fit_single(Weibull::from_moments(3.0, 4.0)?, &[1.0, 2.0, 6.0][..]).unwrap().params;
/// assert!((fit.shape() - 1.457).abs() < 1e-3);
/// assert!((fit.scale() - 3.335).abs() < 1e-3);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1994), *Continuous Univariate Distributions*, volume 1, chapter 21.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Weibull {
    shape: f64,
    scale: f64,
}

impl Weibull {
    /// The distribution of this shape and scale.
    ///
    /// # Errors
    ///
    /// If one of them is not positive and finite.
    pub fn new(shape: f64, scale: f64) -> Result<Self, ParameterError> {
        Ok(Self { shape: positive("shape", shape)?, scale: positive("scale", scale)? })
    }

    /// The distribution with this mean and variance.
    ///
    /// # Errors
    ///
    /// If one of them, or a parameter that they ask for, is not positive and finite.
    pub fn from_moments(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        let mean = positive("mean", mean)?;
        let ratio = positive("variance", variance)? / mean / mean;
        let inverse_shape = inverse_shape_of(ratio.ln_1p());
        Self::new(inverse_shape.recip(), mean / ln_gamma(1.0 + inverse_shape).exp())
    }

    /// `k`.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// `λ`, in the unit of the data: 63 % of the mass is below it.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `λ Γ(1 + 1/k)`.
    pub fn mean(&self) -> f64 {
        self.scale * ln_gamma(1.0 + self.shape.recip()).exp()
    }

    /// `λ² [Γ(1 + 2/k) − Γ(1 + 1/k)²]`.
    pub fn variance(&self) -> f64 {
        self.mean().powi(2) * log_ratio(self.shape.recip()).exp_m1()
    }

    /// `ln p(x)`, in nats; −∞ outside the support.
    pub fn log_density(&self, x: f64) -> f64 {
        Component::new(self.shape, self.scale).score(x)
    }

    /// `P(X ≤ x) = 1 − exp(−(x/λ)^k)`.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { -(-(x / self.scale).powf(self.shape)).exp_m1() }
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        self.scale * (-(-p).ln_1p()).powf(self.shape.recip())
    }

    /// `γ (1 − 1/k) + ln λ/k + 1`, in nats, with Euler's constant `γ`.
    pub fn entropy(&self) -> f64 {
        EULER * (1.0 - self.shape.recip()) + self.scale.ln() - self.shape.ln() + 1.0
    }

    /// `KL(self ‖ other)`, in nats: with `r` the ratio of `other`'s shape to this one's and `η = r k ln λ/λ₀ + ln Γ(1 + r)`,
    /// `(e^η − 1 − η) + (ln Γ(r) + γ (r − 1))`, two terms that are not negative.
    ///
    /// # Source
    ///
    /// Bauckhage (2013), arXiv:1310.3713, rearranged.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let ratio = other.shape / self.shape;
        let eta = other.shape * (self.scale / other.scale).ln() + ln_gamma(1.0 + ratio);
        (eta.exp_m1() - eta) + (ln_gamma(ratio) + EULER * (ratio - 1.0))
    }

    /// One draw. Of shapes below some 0.05 some draws underflow to 0.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> impl Distribution<f64> + use<> {
        let (scale, power) = (self.scale, self.shape.recip());
        Exp1.map(move |standard: f64| scale * standard.powf(power))
    }
}

univariate!(Weibull, f64, log_density);

impl FlatParameters for Weibull {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.shape.ln(), self.scale.ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { shape: at[0].exp(), scale: at[1].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("shape", self.shape, Range::Positive);
        see("scale", self.scale, Range::Positive);
    }
}

/// The logarithms of a block, found once for all components.
#[derive(Clone, Debug)]
pub struct WeibullScratch {
    logs: [f64; BLOCK],
}

impl Family for Weibull {
    type Batch<'a> = &'a [f64];
    type Stats = WeibullStats;
    type Packed = WeibullPacked;
    type Scratch = WeibullScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_positive(data)
    }

    fn new_stats(&self) -> WeibullStats {
        WeibullStats::new(self.shape, self.scale)
    }

    fn new_packed(&self, k: usize) -> WeibullPacked {
        WeibullPacked { components: vec![Component::new(1.0, 1.0); k] }
    }

    fn new_scratch(_: &WeibullPacked) -> WeibullScratch {
        WeibullScratch { logs: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut WeibullPacked) {
        packed.components[j] = Component::new(self.shape, self.scale);
    }

    fn score_all(
        packed: &WeibullPacked,
        data: &[f64],
        out: MatrixMut<'_>,
        scratch: &mut WeibullScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        let logs = &mut scratch.logs[..data.len()];
        ln_into(data, logs);
        kernels::score_all(packed, data, logs, out);
    }

    fn reset_all(packed: &WeibullPacked, stats: &mut [WeibullStats]) {
        for (stats, component) in stats.iter_mut().zip(&packed.components) {
            *stats = WeibullStats::new(component.shape, component.scale);
        }
    }

    fn observe_all(
        _: &WeibullPacked,
        stats: &mut [WeibullStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut WeibullScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let logs = &mut scratch.logs[..data.len()];
        ln_into(data, logs);
        kernels::observe_all(stats, data, logs, weights);
    }

    /// One step from the parameters at which the statistics were taken: it never lowers the likelihood.
    fn maximize(&self, stats: &WeibullStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let (shape, scale) = stats.step()?;
        *next = Self { shape, scale };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> WeibullStats {
        WeibullStats::expected(self.shape, self.scale, weight)
    }

    /// The same shape, with the observation for its scale.
    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let scale = if data[row].is_nan() { self.scale } else { data[row] };
        let infeasible = EstimateError::Infeasible { component: 0, what: "Weibull distribution" };
        Self::new(self.shape, scale).map_err(|_| infeasible)
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    /// Of spreads on the logarithmic scale, `1/k`, squared.
    fn relative_spread(&self, all: &WeibullStats) -> f64 {
        all.step().map_or(1.0, |(shape, _)| (shape / self.shape).powi(2))
    }
}

/// `ln Γ(1 + 2u) − 2 ln Γ(1 + u)`: the logarithm of one plus the squared coefficient of variation, of inverse shape `u`.
fn log_ratio(u: f64) -> f64 {
    ln_gamma_ratio(1.0 + u, u) - ln_gamma_ratio(1.0, u)
}

/// The `u` with `log_ratio(u) = target > 0`: the function rises from `π²u²/6` at zero to `2u ln 2`.
fn inverse_shape_of(target: f64) -> f64 {
    let small = (6.0 * target).sqrt() / PI;
    if small < 1e-6 {
        return small; // and u³ below 10⁻⁶ of u²
    }
    let (mut low, mut high) = (0.1 * small, 10.0 * small + 2.0 * target);
    for _ in 0..100 {
        let middle = low.midpoint(high);
        if log_ratio(middle) < target {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.midpoint(high)
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    shape: f64,
    scale: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Weibull {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.shape, p.scale)
    }
}
