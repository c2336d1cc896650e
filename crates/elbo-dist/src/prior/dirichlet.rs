//! The Dirichlet distribution as the prior of category probabilities.

use elbo_core::{ConjugatePrior, EstimateError};

use crate::{
    Categorical, Dirichlet,
    categorical::{CategoricalPacked, CategoricalStats},
    special::{digamma, ln_gamma, ln_gamma_ratio, x_ln_y},
};

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
