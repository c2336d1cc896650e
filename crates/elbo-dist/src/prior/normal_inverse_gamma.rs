//! The normal-inverse-gamma distribution: prior of a Gaussian's mean and variance.

use std::f64::consts::{PI, TAU};

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::learning::{learned_gamma, ln_growth};
use crate::{
    Gaussian, ParameterError,
    error::{finite, positive},
    gamma::{kl_gamma, standard_gamma},
    gaussian::{GaussianPacked, GaussianStats},
    special::{digamma, ln_gamma, ln_gamma_ratio},
};

/// The normal-inverse-gamma distribution over mean and variance: `σ² ~ InvGamma(a, b)`, `μ ∣ σ² ~ N(m, σ²/κ)`.
///
/// It is the conjugate prior of a [`Gaussian`] and, with data added, its posterior. Read it as `κ` observations with
/// mean `m`, and `2a` observations whose mean square about their mean is `b/a`. With data in unit `u`, `m` is in `u`,
/// `b` in `u²`, and `κ`, `a` are counts. Mode and density are in `(μ, σ²)`:
/// `ln p(μ, σ²) = a ln b − ln Γ(a) + ½ ln(κ/2π) − (a + 3/2) ln σ² − [b + ½κ(μ − m)²]/σ²`.
///
/// The same distribution in mean and precision is a [`NormalGamma`](super::NormalGamma): it has the same posteriors,
/// expectations, evidence and predictions, but another mode, `σ² = b/(a − ½)` where this one has `b/(a + 3/2)`.
///
/// ```
/// use elbo_core::ConjugatePrior;
/// use elbo_dist::{Gaussian, NormalInverseGamma};
///
/// let prior = NormalInverseGamma::new(0.0, 1.0, 2.0, 7.0)?;
/// let mut point = Gaussian::new(5.0, 1.0)?;
/// prior.mode_into(&mut point).unwrap();
/// assert_eq!((point.mean(), point.variance()), (0.0, 2.0));
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Murphy (2007), *Conjugate Bayesian analysis of the Gaussian distribution*, section 6.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct NormalInverseGamma {
    mean: f64,
    mean_pseudo_count: f64,
    shape: f64,
    scale: f64,
}

impl NormalInverseGamma {
    /// `m`, `κ`, `a`, `b` in this order.
    ///
    /// # Errors
    ///
    /// If `mean` is not finite, or one of the others is not positive and finite.
    pub fn new(
        mean: f64,
        mean_pseudo_count: f64,
        shape: f64,
        scale: f64,
    ) -> Result<Self, ParameterError> {
        Ok(Self {
            mean: finite("mean", mean)?,
            mean_pseudo_count: positive("pseudo-count of the mean", mean_pseudo_count)?,
            shape: positive("shape", shape)?,
            scale: positive("scale", scale)?,
        })
    }

    /// `m = E[μ]`, in the unit of the data.
    pub fn expected_mean(&self) -> f64 {
        self.mean
    }

    /// `κ`, in observations.
    pub fn mean_pseudo_count(&self) -> f64 {
        self.mean_pseudo_count
    }

    /// `a`, in half observations.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// `b`, in the squared unit of the data.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `E[1/σ²] = a/b`.
    pub fn expected_precision(&self) -> f64 {
        self.shape / self.scale
    }

    /// `E[ln 1/σ²] = ψ(a) − ln b`.
    pub fn expected_log_precision(&self) -> f64 {
        digamma(self.shape) - self.scale.ln()
    }

    /// `E[σ²] = b/(a − 1)`; none for `a ≤ 1`.
    pub fn expected_variance(&self) -> Option<f64> {
        (self.shape > 1.0).then(|| self.scale / (self.shape - 1.0))
    }

    /// One draw of mean and variance.
    ///
    /// # Errors
    ///
    /// If the variance drawn is too large or too small for an `f64`, as happens where `a` is far below 1.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Result<Gaussian, ParameterError> {
        let variance = self.scale / standard_gamma(self.shape, rng);
        let z: f64 = rng.sample(StandardNormal);
        Gaussian::new(self.mean + (variance / self.mean_pseudo_count).sqrt() * z, variance)
    }

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let (count, other_count) = (self.mean_pseudo_count, other.mean_pseudo_count);
        let shift = self.mean - other.mean;
        let of_mean = other_count * self.expected_precision() * shift * shift
            + (other_count - count) / count
            + (count / other_count).ln();
        0.5 * of_mean + kl_gamma((self.shape, self.scale), (other.shape, other.scale))
    }

    /// The Gaussian with our mean and this variance.
    pub(super) fn point(&self, variance: f64) -> Gaussian {
        Gaussian::new(self.mean, variance)
            .expect("parameters of a posterior are positive and finite")
    }

    /// What data add to the scale: half of their scatter, and of that between their mean and ours.
    fn added_scale(&self, stats: &GaussianStats) -> Result<f64, EstimateError> {
        if !stats.is_feasible() {
            return Err(INFEASIBLE);
        }
        let weight = stats.total_weight();
        if weight == 0.0 {
            return Ok(0.0);
        }
        let shift = stats.mean_from(self.mean);
        // What is negative in a feasible scatter is rounding.
        let within = stats.scatter().max(0.0);
        let share = weight / (self.mean_pseudo_count + weight);
        Ok(0.5 * (within + shift * shift * (self.mean_pseudo_count * share)))
    }

    /// The posterior, whatever the coordinates.
    pub(super) fn after(&self, stats: &GaussianStats) -> Result<Self, EstimateError> {
        let added = self.added_scale(stats)?;
        let weight = stats.total_weight();
        let mut posterior = *self;
        if weight == 0.0 {
            return Ok(posterior);
        }
        let total = self.mean_pseudo_count + weight;
        posterior.mean += stats.mean_from(self.mean) * (weight / total);
        posterior.mean_pseudo_count = total;
        posterior.shape += 0.5 * weight;
        posterior.scale += added;
        let finite = posterior.mean.is_finite() && posterior.scale.is_finite();
        if finite { Ok(posterior) } else { Err(INFEASIBLE) }
    }

    /// `ln ∫ p(θ) Π p(xᵢ ∣ θ)^wᵢ dθ`.
    pub(super) fn log_evidence_of(&self, stats: &GaussianStats) -> Result<f64, EstimateError> {
        let added = self.added_scale(stats)?;
        let half = 0.5 * stats.total_weight();
        Ok(ln_gamma_ratio(self.shape, half)
            - self.shape * ln_growth(self.scale, added)
            - half * (TAU.ln() + (self.scale + added).ln())
            - 0.5 * ln_growth(self.mean_pseudo_count, 2.0 * half))
    }

    /// Student's t with `2a` degrees of freedom about `m`, squared scale `b(κ + 1)/(aκ)`.
    pub(super) fn log_predictions(&self, data: &[f64], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log density per observation");
        let spread = (2.0 * self.scale).sqrt() * (1.0 + self.mean_pseudo_count.recip()).sqrt();
        let constant = ln_gamma_ratio(self.shape, 0.5) - 0.5 * PI.ln() - spread.ln();
        for (out, x) in out.iter_mut().zip(data) {
            let z = (x - self.mean) / spread;
            let score = constant - (self.shape + 0.5) * ln_one_plus_square(z);
            *out = if x.is_nan() { 0.0 } else { score }; // what is missing says nothing
        }
    }

    pub(super) fn pack_expectation(&self, j: usize, packed: &mut GaussianPacked) {
        let constant =
            0.5 * (self.expected_log_precision() - TAU.ln() - 1.0 / self.mean_pseudo_count);
        packed.set(j, self.mean, self.expected_precision().sqrt(), constant);
    }

    /// The best of all such priors for posteriors that are given by one.
    pub(super) fn learned(
        posteriors: impl Iterator<Item = Self> + Clone,
    ) -> Result<Self, EstimateError> {
        let precisions = posteriors.clone().map(|q| (q.shape, q.expected_precision()));
        let (shape, scale) = learned_gamma(precisions.clone())?;
        let (n, precision) = precisions.fold((0.0, 0.0), |(n, sum), (_, own)| (n + 1.0, sum + own));
        let origin = posteriors.clone().next().expect("a posterior was found before").mean;
        let shares = posteriors.map(|q| (q, q.expected_precision() / precision));
        let mean = origin + shares.clone().map(|(q, s)| s * (q.mean - origin)).sum::<f64>();
        // 1/κ = (1/n) Σ E[(μ − m)²/σ²]
        let variance = shares.map(|(q, share)| {
            let shift = q.mean - mean;
            q.mean_pseudo_count.recip() / n + share * (precision / n) * shift * shift
        });
        let mean_pseudo_count = variance.sum::<f64>().recip();
        Self::new(mean, mean_pseudo_count, shape, scale)
            .map_err(|_| EstimateError::NoPrior { parameter: "pseudo-count of the mean" })
    }
}

const INFEASIBLE: EstimateError = EstimateError::Infeasible { component: 0, what: "Gaussian" };

/// `ln(1 + z²)`, whose square does not overflow.
pub(super) fn ln_one_plus_square(z: f64) -> f64 {
    if z.abs() < 1e10 { (z * z).ln_1p() } else { 2.0 * z.abs().ln() }
}

impl ConjugatePrior<Gaussian> for NormalInverseGamma {
    fn posterior(&self, stats: &GaussianStats, posterior: &mut Self) -> Result<(), EstimateError> {
        *posterior = self.after(stats)?;
        Ok(())
    }

    /// `μ = m`, `σ² = b/(a + 3/2)`: the joint mode in `(μ, σ²)`, which always exists.
    fn mode_into(&self, point: &mut Gaussian) -> Result<(), EstimateError> {
        *point = self.point(self.scale / (self.shape + 1.5));
        Ok(())
    }

    /// `μ = m`, `σ² = b/a`: the Gaussian whose natural parameters are the expected ones.
    fn mean_into(&self, point: &mut Gaussian) {
        *point = self.point(self.scale / self.shape);
    }

    fn log_prior(&self, point: &Gaussian) -> f64 {
        let z = (point.mean() - self.mean) / point.std_dev();
        self.shape * self.scale.ln() - ln_gamma(self.shape)
            + 0.5 * (self.mean_pseudo_count.ln() - TAU.ln())
            - (self.shape + 1.5) * point.variance().ln()
            - self.scale / point.variance()
            - 0.5 * self.mean_pseudo_count * z * z
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut GaussianPacked) {
        self.pack_expectation(j, packed);
    }
}

impl Evidence<Gaussian> for NormalInverseGamma {
    fn log_evidence(&self, stats: &GaussianStats) -> Result<f64, EstimateError> {
        self.log_evidence_of(stats)
    }

    /// Student's t with `2a` degrees of freedom about `m`, squared scale `b(κ + 1)/(aκ)`; 0 for what is missing.
    fn log_predictive_into(&self, _: &Gaussian, data: &[f64], out: &mut [f64]) {
        self.log_predictions(data, out);
    }
}

impl EmpiricalBayes for NormalInverseGamma {
    /// `m` and `κ` in closed form, `a` and `b` as for a [`Gamma`](crate::Gamma) prior of the precision.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        Self::learned(posteriors.iter().copied())
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    mean: f64,
    mean_pseudo_count: f64,
    shape: f64,
    scale: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for NormalInverseGamma {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.mean, p.mean_pseudo_count, p.shape, p.scale)
    }
}
