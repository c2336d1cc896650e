//! The inverse gamma distribution.

use elbo_core::{
    BLOCK, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    take_front,
};
use elbo_linalg::ln_into;
use rand::{Rng, distr::Distribution};

use crate::{
    ParameterError,
    block::check_shape,
    error::positive,
    gamma::{
        self, Component, GammaPacked, GammaStats, kl_gamma, observe_all, relative_spread, score_all,
    },
    quantile,
    special::{gamma_log_peak, gamma_q, inverse_gamma_q, ln_minus_digamma},
    support::check_positive,
    univariate::univariate,
};

/// The inverse gamma distribution of shape `a` and scale `β`, of which `1/X ~ Ga(a, β)`:
/// `ln p(x) = a ln β − ln Γ(a) − (a + 1) ln x − β/x`, `x > 0`.
///
/// Its upper tail is heavy, `x^(−a−1)`. With `x` in unit `u`, the scale is in `u`. Scores and statistics are those of a
/// [`Gamma`](crate::Gamma) at `1/x`, which keeps its digits at any shape. NaN in data is a missing value: it scores 0 and is
/// not observed; what is not positive and finite is refused. Maximum likelihood is exact, in one step; where all
/// observations are equal it has no maximum. Cost: a logarithm and a division per row, some twenty multiplications per row
/// and component.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::{Gamma, InverseGamma};
///
/// let xs = [1.0, 0.5, 0.25];
/// let fit = fit_single(InverseGamma::new(1.0, 1.0)?, &xs[..]).unwrap().params;
/// let of_inverses = fit_single(Gamma::new(1.0, 1.0)?, &[1.0, 2.0, 4.0][..]).unwrap().params;
/// assert!((fit.shape() - of_inverses.shape()).abs() < 1e-12);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Gelman et al. (2013), *Bayesian Data Analysis*, appendix A.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct InverseGamma {
    shape: f64,
    scale: f64,
}

impl InverseGamma {
    /// `IG(shape, scale)`.
    ///
    /// # Errors
    ///
    /// If one of them is not positive and finite.
    pub fn new(shape: f64, scale: f64) -> Result<Self, ParameterError> {
        Ok(Self { shape: positive("shape", shape)?, scale: positive("scale", scale)? })
    }

    /// The distribution with this mean and variance; its shape is above 2.
    ///
    /// # Errors
    ///
    /// If one of them, or a parameter that they ask for, is not positive and finite.
    pub fn from_moments(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        let mean = positive("mean", mean)?;
        let beyond_two = mean * (mean / positive("variance", variance)?);
        Self::new(beyond_two + 2.0, mean * (beyond_two + 1.0))
    }

    /// `a`.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// `β`, in the unit of the data.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `β / (a − 1)`; infinite for `a ≤ 1`.
    pub fn mean(&self) -> f64 {
        if self.shape > 1.0 { self.scale / (self.shape - 1.0) } else { f64::INFINITY }
    }

    /// `β² / ((a − 1)² (a − 2))`; infinite for `a ≤ 2`.
    pub fn variance(&self) -> f64 {
        if self.shape > 2.0 { self.mean().powi(2) / (self.shape - 2.0) } else { f64::INFINITY }
    }

    /// `ln p(x)`, in nats; −∞ outside the support.
    pub fn log_density(&self, x: f64) -> f64 {
        let score = self.component().score_of_log(x.recip());
        if score.is_finite() && !x.is_nan() { score - x.ln() } else { score }
    }

    /// `P(X ≤ x) = Q(a, β/x)`.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { gamma_q(self.shape, self.scale / x) }
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        quantile::check(p);
        self.scale / inverse_gamma_q(self.shape, p)
    }

    /// `a + ln β + ln Γ(a) − (1 + a) ψ(a)`, in nats.
    pub fn entropy(&self) -> f64 {
        let spread = ln_minus_digamma(self.shape);
        (self.shape + 1.0) * spread - self.reciprocal_mean().ln() - gamma_log_peak(self.shape)
    }

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        kl_gamma((self.shape, self.scale), (other.shape, other.scale))
    }

    /// One draw. Of shapes below some 0.01 many draws overflow to ∞.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> impl Distribution<f64> + use<> {
        let scale = self.scale;
        gamma::standard(self.shape).map(move |x| scale / x)
    }

    /// `E[1/X] = a/β`.
    fn reciprocal_mean(&self) -> f64 {
        self.shape / self.scale
    }

    fn component(&self) -> Component {
        Component::new(self.shape, self.reciprocal_mean())
    }
}

univariate!(InverseGamma, f64, log_density);

/// Coordinates are `ln a` and `ln β/a`, which are orthogonal.
impl FlatParameters for InverseGamma {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.shape.ln(), -self.reciprocal_mean().ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { shape: at[0].exp(), scale: at[0].exp() * at[1].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("shape", self.shape, Range::Positive);
        see("scale", self.scale, Range::Positive);
    }
}

/// The reciprocals of a block and their logarithms, found once for all components.
#[derive(Clone, Debug)]
pub struct InverseGammaScratch {
    logs: [f64; BLOCK],
    reciprocals: [f64; BLOCK],
    logs_of_reciprocals: [f64; BLOCK],
}

impl InverseGammaScratch {
    /// `1/x`, `ln 1/x` and `ln x`.
    fn fill(&mut self, data: &[f64]) -> [&[f64]; 3] {
        let n = data.len();
        ln_into(data, &mut self.logs[..n]);
        for (i, x) in data.iter().enumerate() {
            self.reciprocals[i] = x.recip();
            self.logs_of_reciprocals[i] = -self.logs[i];
        }
        [&self.reciprocals[..n], &self.logs_of_reciprocals[..n], &self.logs[..n]]
    }
}

impl Family for InverseGamma {
    type Batch<'a> = &'a [f64];
    type Stats = GammaStats;
    type Packed = GammaPacked;
    type Scratch = InverseGammaScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_positive(data)
    }

    fn new_stats(&self) -> GammaStats {
        GammaStats::new(self.reciprocal_mean())
    }

    fn new_packed(&self, k: usize) -> GammaPacked {
        GammaPacked::new(k)
    }

    fn new_scratch(_: &GammaPacked) -> InverseGammaScratch {
        InverseGammaScratch {
            logs: [0.0; BLOCK],
            reciprocals: [0.0; BLOCK],
            logs_of_reciprocals: [0.0; BLOCK],
        }
    }

    fn pack(&self, j: usize, packed: &mut GammaPacked) {
        packed.components[j] = self.component();
    }

    fn score_all(
        packed: &GammaPacked,
        data: &[f64],
        out: MatrixMut<'_>,
        scratch: &mut InverseGammaScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        score_all(packed, scratch.fill(data), out);
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
        scratch: &mut InverseGammaScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let [reciprocals, logs, _] = scratch.fill(data);
        observe_all(stats, [reciprocals, logs], weights);
    }

    fn maximize(&self, stats: &GammaStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        const WHAT: &str = "inverse gamma distribution";
        let (shape, reciprocal_mean) = stats.estimate(WHAT)?;
        *next = Self::new(shape, shape / reciprocal_mean)
            .map_err(|_| EstimateError::Infeasible { component: 0, what: WHAT })?;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> GammaStats {
        GammaStats::expected(self.shape, self.reciprocal_mean(), weight)
    }

    /// The same shape, with `1/E[1/X]` at the observation.
    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let scale = if data[row].is_nan() { self.scale } else { self.shape * data[row] };
        let infeasible =
            EstimateError::Infeasible { component: 0, what: "inverse gamma distribution" };
        Self::new(self.shape, scale).map_err(|_| infeasible)
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

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    shape: f64,
    scale: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for InverseGamma {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.shape, p.scale)
    }
}
