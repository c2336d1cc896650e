//! The Dirichlet distribution as the prior of category probabilities.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};

use super::learning::dirichlet_with_logs;
use crate::{
    Categorical, Dirichlet,
    categorical::{CategoricalPacked, CategoricalStats},
    special::{ln_gamma, ln_gamma_ratio, x_ln_y},
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
        self.kl_divergence(prior)
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

impl Evidence<Categorical> for Dirichlet {
    fn log_evidence(&self, stats: &CategoricalStats) -> Result<f64, EstimateError> {
        stats.check()?;
        assert_eq!(self.categories(), stats.counts().len(), "another number of categories");
        let pairs = self.concentration.iter().zip(stats.counts());
        let seen: f64 = pairs.map(|(a, count)| ln_gamma_ratio(*a, *count)).sum();
        Ok(seen - ln_gamma_ratio(self.total_concentration(), stats.total_weight()))
    }

    /// `ln(αₓ/Σα)`.
    fn log_predictive_into(&self, _: &Categorical, data: &[u32], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log probability per observation");
        let total = self.total_concentration();
        for (out, x) in out.iter_mut().zip(data) {
            *out = (self.concentration[*x as usize] / total).ln();
        }
    }
}

impl EmpiricalBayes for Dirichlet {
    /// All concentrations; of a single category, whose probability is 1 under any prior, ours. Cost: some ten rounds of
    /// one inverse digamma for each category.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        assert!(!posteriors.is_empty(), "at least one posterior is needed");
        if self.categories() == 1 {
            return Ok(self.clone());
        }
        let mut logs = vec![0.0; self.categories()];
        for posterior in posteriors {
            assert_eq!(self.categories(), posterior.categories(), "another number of categories");
            let expected = posterior.expected_log_probabilities();
            logs.iter_mut().zip(expected).for_each(|(sum, log)| *sum += log);
        }
        let n = posteriors.len() as f64;
        for log in &mut logs {
            *log /= n;
        }
        Ok(Self { concentration: dirichlet_with_logs(&logs)? })
    }
}
