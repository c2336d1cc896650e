//! The normal-gamma distribution: prior of a Gaussian's mean and precision.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};
use rand::Rng;

use super::NormalInverseGamma;
use crate::{
    Gaussian, ParameterError,
    gaussian::{GaussianPacked, GaussianStats},
};

/// The normal-gamma distribution over mean and precision `λ = 1/σ²`: `λ ~ Ga(a, b)`, `μ ∣ λ ~ N(m, 1/(κλ))`.
///
/// It is the conjugate prior of a [`Gaussian`] and, with data added, its posterior. Parameters, units and pseudo-counts
/// are those of a [`NormalInverseGamma`], of which it is the image under `λ = 1/σ²`. Probabilities therefore agree, and
/// with them posteriors, expectations, divergences, evidence and predictions; densities and modes do not, for a density
/// depends on the coordinates:
///
/// | | [`NormalInverseGamma`] | `NormalGamma` |
/// |---|---|---|
/// | density and mode in | `(μ, σ²)` | `(μ, λ)` |
/// | mode | `m`, `σ² = b/(a + 3/2)` | `m`, `1/λ = b/(a − ½)`; none for `a ≤ ½` |
/// | what stands for a posterior | `m`, `σ² = b/a` | the same |
/// | a MAP estimate counts | 3 observations more | 1 observation less |
///
/// The last line compares to `σ² = b/a` with `a` in half observations. With the improper prior `κ = 0`, `a = ½`,
/// `b = 0` the mode after data would be the maximum-likelihood estimate.
///
/// `ln p(μ, λ) = a ln b − ln Γ(a) + ½ ln(κ/2π) + (a − ½) ln λ − λ [b + ½κ(μ − m)²]`.
///
/// ```
/// use elbo_core::ConjugatePrior;
/// use elbo_dist::{Gaussian, NormalGamma};
///
/// let prior = NormalGamma::new(0.0, 1.0, 2.0, 3.0)?;
/// let mut point = Gaussian::new(5.0, 1.0)?;
/// prior.mode_into(&mut point).unwrap();
/// assert_eq!((point.mean(), point.variance()), (0.0, 2.0));
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Murphy (2007), *Conjugate Bayesian analysis of the Gaussian distribution*, section 3; Bishop (2006), section 2.3.6.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct NormalGamma {
    /// The same probabilities in other coordinates.
    inverse: NormalInverseGamma,
}

impl NormalGamma {
    /// `m`, `κ`, `a`, `b` in this order.
    ///
    /// # Errors
    ///
    /// If `mean` is not finite, or one of the others is not positive and finite.
    pub fn new(
        mean: f64,
        mean_pseudo_count: f64,
        shape: f64,
        rate: f64,
    ) -> Result<Self, ParameterError> {
        let inverse = NormalInverseGamma::new(mean, mean_pseudo_count, shape, rate)?;
        Ok(Self { inverse })
    }

    /// `m = E[μ]`, in the unit of the data.
    pub fn expected_mean(&self) -> f64 {
        self.inverse.expected_mean()
    }

    /// `κ`, in observations.
    pub fn mean_pseudo_count(&self) -> f64 {
        self.inverse.mean_pseudo_count()
    }

    /// `a`, in half observations.
    pub fn shape(&self) -> f64 {
        self.inverse.shape()
    }

    /// `b`, in the squared unit of the data.
    pub fn rate(&self) -> f64 {
        self.inverse.scale()
    }

    /// `E[λ] = a/b`.
    pub fn expected_precision(&self) -> f64 {
        self.inverse.expected_precision()
    }

    /// `E[ln λ] = ψ(a) − ln b`.
    pub fn expected_log_precision(&self) -> f64 {
        self.inverse.expected_log_precision()
    }

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        self.inverse.kl_divergence(&other.inverse)
    }

    /// One draw of mean and variance.
    ///
    /// # Errors
    ///
    /// If the variance drawn is too large or too small for an `f64`, as happens where `a` is far below 1.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Result<Gaussian, ParameterError> {
        self.inverse.sample(rng)
    }
}

impl From<NormalInverseGamma> for NormalGamma {
    /// The same probabilities in mean and precision.
    fn from(inverse: NormalInverseGamma) -> Self {
        Self { inverse }
    }
}

impl From<NormalGamma> for NormalInverseGamma {
    /// The same probabilities in mean and variance.
    fn from(prior: NormalGamma) -> Self {
        prior.inverse
    }
}

impl ConjugatePrior<Gaussian> for NormalGamma {
    fn posterior(&self, stats: &GaussianStats, posterior: &mut Self) -> Result<(), EstimateError> {
        posterior.inverse = self.inverse.after(stats)?;
        Ok(())
    }

    /// `μ = m`, `λ = (a − ½)/b`: the joint mode in `(μ, λ)`. None for `a ≤ ½`, where the density is largest at `λ = 0`.
    fn mode_into(&self, point: &mut Gaussian) -> Result<(), EstimateError> {
        let (shape, rate) = (self.shape(), self.rate());
        let variance = rate / (shape - 0.5);
        if !(variance > 0.0 && variance.is_finite()) {
            let (parameter, value) = ("precision", shape);
            return Err(EstimateError::NoMode { component: 0, parameter, value });
        }
        *point = self.inverse.point(variance);
        Ok(())
    }

    /// `μ = m`, `λ = a/b`: the Gaussian whose natural parameters are the expected ones.
    fn mean_into(&self, point: &mut Gaussian) {
        self.inverse.mean_into(point);
    }

    /// In `(μ, λ)`: the density in `(μ, σ²)` times `|dσ²/dλ| = σ⁴`.
    fn log_prior(&self, point: &Gaussian) -> f64 {
        self.inverse.log_prior(point) + 2.0 * point.variance().ln()
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut GaussianPacked) {
        self.inverse.pack_expectation(j, packed);
    }
}

impl Evidence<Gaussian> for NormalGamma {
    fn log_evidence(&self, stats: &GaussianStats) -> Result<f64, EstimateError> {
        self.inverse.log_evidence_of(stats)
    }

    /// Student's t with `2a` degrees of freedom about `m`, squared scale `b(κ + 1)/(aκ)`; 0 for what is missing.
    fn log_predictive_into(&self, _: &Gaussian, data: &[f64], out: &mut [f64]) {
        self.inverse.log_predictions(data, out);
    }
}

impl EmpiricalBayes for NormalGamma {
    /// As for the [`NormalInverseGamma`]: the best prior does not depend on coordinates.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        let inverse = NormalInverseGamma::learned(posteriors.iter().map(|q| q.inverse))?;
        Ok(Self { inverse })
    }
}
