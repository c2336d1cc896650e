//! The gamma distribution.

use rand::Rng;
use rand_distr::Distribution;

use crate::{
    ParameterError,
    error::positive,
    special::{digamma, ln_gamma_ratio},
};

/// The gamma distribution over a rate, `λ ~ Ga(a, b)` with shape `a` and rate `b`:
/// `ln p(λ) = a ln b − ln Γ(a) + (a − 1) ln λ − bλ`.
///
/// It is the conjugate prior of a [`Poisson`] and, with data added, its posterior. Read it as `b` observations
/// already made, in which `a` events were counted. Mode and density are in `λ`.
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
/// Gelman et al. (2013), *Bayesian Data Analysis*, section 2.6.
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

    /// `a`, in events.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// `b`, in observations.
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

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        kl_gamma((self.shape, self.rate), (other.shape, other.rate))
    }

    /// One draw of `λ`.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        standard_gamma(self.shape, rng) / self.rate
    }
}

/// `KL(Ga(a, b) ‖ Ga(a₀, b₀))` of shapes and rates; the same for inverse gammas of shapes and scales.
pub(crate) fn kl_gamma((a, b): (f64, f64), (a0, b0): (f64, f64)) -> f64 {
    (a - a0) * digamma(a) - ln_gamma_ratio(a0, a - a0) + a0 * (b / b0).ln() + a * (b0 - b) / b
}

/// A draw from `Ga(shape, 1)`.
pub(crate) fn standard_gamma(shape: f64, rng: &mut (impl Rng + ?Sized)) -> f64 {
    rand_distr::Gamma::new(shape, 1.0).expect("the shape is positive and finite").sample(rng)
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
