//! The Dirichlet distribution.

use rand::Rng;

use crate::{
    Categorical, ParameterError,
    gamma::standard_gamma,
    special::{digamma, ln_gamma_ratio},
};

/// The Dirichlet distribution over probabilities, `ln p(p) = ln Γ(Σα) − Σ ln Γ(αₓ) + Σ (αₓ − 1) ln pₓ`.
///
/// It is the conjugate prior of a [`Categorical`] and, with counts added, its posterior. Under MAP read it as
/// `αₓ − 1` observations of each category already made: `α = 1` is flat and gives the maximum-likelihood answer,
/// `α = 2` is Laplace's rule. Under variational Bayes read it as `αₓ` of them. Mode and density are in the
/// probabilities.
///
/// A symmetric `α` far below 1 expects few categories to have nearly all the probability. For the weights of a
/// mixture, `α ≤ 1/k` under variational Bayes empties the components that the data do not need, and as `k` grows with
/// `kα` fixed it becomes a Dirichlet process: [`StickBreaking`](crate::StickBreaking) without an order. Under MAP such
/// a prior is of no use: its density is infinite wherever a probability is zero, so there is no mode as long as a
/// category has been seen less than `1 − α` times ([`NoMode`](elbo_core::EstimateError::NoMode)).
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
    pub(crate) concentration: Vec<f64>,
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

    /// `KL(self ‖ other)`, in nats. Cost: some `3m` special functions.
    ///
    /// # Panics
    ///
    /// If they are about different numbers of categories.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.categories(), other.categories(), "another number of categories");
        let (total, other_total) = (self.total_concentration(), other.total_concentration());
        let of_total = digamma(total);
        let pairs = self.concentration.iter().zip(&other.concentration);
        let terms =
            pairs.map(|(a, a0)| (a - a0) * (digamma(*a) - of_total) - ln_gamma_ratio(*a0, a - a0));
        terms.sum::<f64>() + ln_gamma_ratio(other_total, total - other_total)
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

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    pub(crate) concentration: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Dirichlet {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.concentration)
    }
}
