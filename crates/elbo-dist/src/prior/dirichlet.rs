//! The Dirichlet distribution: prior of category probabilities.

use elbo_core::{ConjugatePrior, EstimateError};
use rand::Rng;

use super::gamma::standard_gamma;
use crate::{
    Categorical, ParameterError,
    categorical::{CategoricalPacked, CategoricalStats},
    special::{digamma, ln_gamma, ln_gamma_ratio, x_ln_y},
};

/// The Dirichlet distribution over probabilities, `ln p(p) = ln Γ(Σα) − Σ ln Γ(αₓ) + Σ (αₓ − 1) ln pₓ`.
///
/// It is the conjugate prior of a [`Categorical`] and, with counts added, its posterior. Under MAP read it as
/// `αₓ − 1` observations of each category already made: `α = 1` is flat and gives the maximum-likelihood answer,
/// `α = 2` is Laplace's rule. Under variational Bayes read it as `αₓ` of them. Mode and density are in the
/// probabilities.
///
/// ```
/// use elbo_core::ConjugatePrior;
/// use elbo_dist::{Categorical, Dirichlet};
///
/// let mut point = Categorical::uniform(2);
/// Dirichlet::new(vec![4.0, 2.0])?.mode_into(&mut point).unwrap();
/// assert_eq!(point.probabilities(), [0.75, 0.25]);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Bishop (2006), section 2.2.1 and appendix B.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Dirichlet {
    concentration: Vec<f64>,
}

impl Dirichlet {
    /// One `αₓ` for each category.
    ///
    /// # Errors
    ///
    /// If there are none, or one is not positive and finite.
    pub fn new(concentration: Vec<f64>) -> Result<Self, ParameterError> {
        const PARAMETER: &str = "concentration";
        if concentration.is_empty() {
            return Err(ParameterError::Length { parameter: PARAMETER, expected: 1, found: 0 });
        }
        match concentration.iter().position(|a| !(*a > 0.0 && a.is_finite())) {
            None => Ok(Self { concentration }),
            Some(index) => Err(ParameterError::Entry {
                parameter: PARAMETER,
                index,
                value: concentration[index],
            }),
        }
    }

    /// The same `α` for each of `categories`.
    ///
    /// # Errors
    ///
    /// If `categories` is zero, or `alpha` is not positive and finite.
    pub fn symmetric(categories: usize, alpha: f64) -> Result<Self, ParameterError> {
        Self::new(vec![alpha; categories])
    }

    /// `α`, one for each category.
    pub fn concentration(&self) -> &[f64] {
        &self.concentration
    }

    /// Number of categories.
    pub fn categories(&self) -> usize {
        self.concentration.len()
    }

    /// `Σα`.
    pub fn total_concentration(&self) -> f64 {
        self.concentration.iter().sum()
    }

    /// `E[pₓ] = αₓ / Σα`.
    pub fn expected_probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let total = self.total_concentration();
        self.concentration.iter().map(move |a| a / total)
    }

    /// `E[ln pₓ] = ψ(αₓ) − ψ(Σα)`, in nats. Cost: `m + 1` digammas.
    pub fn expected_log_probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let of_total = digamma(self.total_concentration());
        self.concentration.iter().map(move |a| digamma(*a) - of_total)
    }

    /// One draw of probabilities.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Categorical {
        loop {
            let draws: Vec<f64> =
                self.concentration.iter().map(|a| standard_gamma(*a, rng)).collect();
            // With every α far below 1 all draws may underflow to zero: draw again.
            if let Ok(point) = Categorical::from_weights(&draws) {
                return point;
            }
        }
    }
}

impl ConjugatePrior<Categorical> for Dirichlet {
    fn posterior(
        &self,
        stats: &CategoricalStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check()?;
        assert_eq!(self.categories(), stats.counts().len(), "another number of categories");
        posterior.concentration.clone_from(&self.concentration);
        elbo_core::add_scaled(&mut posterior.concentration, 1.0, stats.counts());
        Ok(())
    }

    /// `(αₓ − 1) / Σ(α − 1)`. A category with `αₓ = 1` gets probability zero, where the density is largest and
    /// finite; with `αₓ < 1` it is infinite there, and with all `α = 1` the same everywhere: no mode.
    fn mode_into(&self, point: &mut Categorical) -> Result<(), EstimateError> {
        let no_mode =
            |value| EstimateError::NoMode { component: 0, parameter: "probability", value };
        let smallest = self.concentration.iter().copied().fold(f64::INFINITY, f64::min);
        let excess: f64 = self.concentration.iter().map(|a| a - 1.0).sum();
        if smallest < 1.0 || excess == 0.0 {
            return Err(no_mode(smallest));
        }
        point.set(self.concentration.iter().map(|a| a - 1.0), excess);
        Ok(())
    }

    /// `E[pₓ] = αₓ / Σα`.
    fn mean_into(&self, point: &mut Categorical) {
        point.set(self.concentration.iter().copied(), self.total_concentration());
    }

    /// Where a probability is zero: `−∞` if any such `αₓ > 1`, else `+∞` if any such `αₓ < 1`.
    fn log_prior(&self, point: &Categorical) -> f64 {
        assert_eq!(self.categories(), point.categories(), "another number of categories");
        let mut sum = ln_gamma(self.total_concentration());
        for (a, p) in self.concentration.iter().zip(point.probabilities()) {
            if *p == 0.0 && *a > 1.0 {
                return f64::NEG_INFINITY;
            }
            sum += x_ln_y(a - 1.0, *p) - ln_gamma(*a);
        }
        sum
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        assert_eq!(self.categories(), prior.categories(), "another number of categories");
        let (total, prior_total) = (self.total_concentration(), prior.total_concentration());
        let of_total = digamma(total);
        let pairs = self.concentration.iter().zip(&prior.concentration);
        let terms =
            pairs.map(|(a, a0)| (a - a0) * (digamma(*a) - of_total) - ln_gamma_ratio(*a0, a - a0));
        terms.sum::<f64>() + ln_gamma_ratio(prior_total, total - prior_total)
    }

    fn pack(&self, j: usize, packed: &mut CategoricalPacked) {
        packed.set(j, self.expected_log_probabilities());
    }

    fn check(&self, point: &Categorical) -> Result<(), EstimateError> {
        if self.categories() == point.categories() {
            Ok(())
        } else {
            Err(EstimateError::Unsupported {
                what: "a Dirichlet prior of another length",
                structure: "these categories",
            })
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    concentration: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Dirichlet {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.concentration)
    }
}
