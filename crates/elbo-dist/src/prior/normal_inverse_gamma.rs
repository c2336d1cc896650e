//! The normal-inverse-gamma distribution: prior of a Gaussian's mean and variance.

use std::f64::consts::TAU;

use elbo_core::{ConjugatePrior, EstimateError};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{
    Gaussian, ParameterError,
    error::{finite, positive},
    gamma::{kl_gamma, standard_gamma},
    gaussian::{GaussianPacked, GaussianStats},
    special::{digamma, ln_gamma},
};

/// The normal-inverse-gamma distribution over mean and variance: `σ² ~ InvGamma(a, b)`, `μ ∣ σ² ~ N(m, σ²/κ)`.
///
/// It is the conjugate prior of a [`Gaussian`] and, with data added, its posterior. Read it as `κ` observations with
/// mean `m`, and `2a` observations whose mean square about their mean is `b/a`. With data in unit `u`, `m` is in `u`,
/// `b` in `u²`, and `κ`, `a` are counts. Mode and density are in `(μ, σ²)`:
/// `ln p(μ, σ²) = a ln b − ln Γ(a) + ½ ln(κ/2π) − (a + 3/2) ln σ² − [b + ½κ(μ − m)²]/σ²`.
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

    fn point(&self, variance: f64) -> Gaussian {
        Gaussian::new(self.mean, variance)
            .expect("parameters of a posterior are positive and finite")
    }
}

impl ConjugatePrior<Gaussian> for NormalInverseGamma {
    fn posterior(&self, stats: &GaussianStats, posterior: &mut Self) -> Result<(), EstimateError> {
        if !stats.is_feasible() {
            return Err(EstimateError::Infeasible { component: 0, what: "Gaussian" });
        }
        *posterior = *self;
        let weight = stats.total_weight();
        if weight == 0.0 {
            return Ok(());
        }
        let total = self.mean_pseudo_count + weight;
        let shift = stats.mean() - self.mean;
        // What is negative in a feasible scatter is rounding.
        let within = stats.scatter().max(0.0);
        let between = shift * shift * (self.mean_pseudo_count * (weight / total));
        posterior.mean += shift * (weight / total);
        posterior.mean_pseudo_count = total;
        posterior.shape += 0.5 * weight;
        posterior.scale += 0.5 * (within + between);
        if posterior.mean.is_finite() && posterior.scale.is_finite() {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "Gaussian" })
        }
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
        let (count, prior_count) = (self.mean_pseudo_count, prior.mean_pseudo_count);
        let shift = self.mean - prior.mean;
        let of_mean = prior_count * self.expected_precision() * shift * shift
            + (prior_count - count) / count
            + (count / prior_count).ln();
        0.5 * of_mean + kl_gamma((self.shape, self.scale), (prior.shape, prior.scale))
    }

    fn pack(&self, j: usize, packed: &mut GaussianPacked) {
        let constant =
            0.5 * (self.expected_log_precision() - TAU.ln() - 1.0 / self.mean_pseudo_count);
        packed.set(j, self.mean, self.expected_precision().sqrt(), constant);
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
