//! The Dirichlet distribution as the prior of probabilities: of categories, and of trials counted together.

use elbo_core::{Batch, ConjugatePrior, EmpiricalBayes, EstimateError, Evidence, Rows};

use super::learning::dirichlet_with_logs;
use crate::{
    Categorical, Dirichlet, Multinomial,
    categorical::{CategoricalPacked, CategoricalStats},
    multinomial::{MultinomialPacked, MultinomialStats, log_coefficient},
    special::ln_gamma_ratio,
};

impl Dirichlet {
    /// The posterior after so many observations of each category.
    fn absorb(&self, counts: &[f64], posterior: &mut Self) {
        assert_eq!(self.categories(), counts.len(), "another number of categories");
        posterior.concentration.clone_from(&self.concentration);
        elbo_core::add_scaled(&mut posterior.concentration, 1.0, counts);
    }

    /// `Σ(α − 1)`, the normalizer of the mode; an error where there is none.
    fn mode_normalizer(&self) -> Result<f64, EstimateError> {
        let no_mode =
            |value| EstimateError::NoMode { component: 0, parameter: "probability", value };
        let smallest = self.concentration.iter().copied().fold(f64::INFINITY, f64::min);
        let excess: f64 = self.concentration.iter().map(|a| a - 1.0).sum();
        if smallest < 1.0 || excess == 0.0 {
            return Err(no_mode(smallest));
        }
        Ok(excess)
    }

    fn check_categories(&self, categories: usize) -> Result<(), EstimateError> {
        if self.categories() == categories {
            Ok(())
        } else {
            Err(EstimateError::Unsupported {
                what: "a Dirichlet prior of another length",
                structure: "these categories",
            })
        }
    }

    /// `ln B(α + c) − ln B(α)`: the log probability of one sequence of trials with these counts, whatever the order.
    pub(crate) fn log_probability_of_sequence(&self, counts: &[f64]) -> f64 {
        assert_eq!(self.categories(), counts.len(), "another number of categories");
        let pairs = self.concentration.iter().zip(counts);
        let terms: f64 = pairs.map(|(a, c)| ln_gamma_ratio(*a, *c)).sum();
        terms - ln_gamma_ratio(self.total_concentration(), counts.iter().sum())
    }
}

impl ConjugatePrior<Categorical> for Dirichlet {
    fn posterior(
        &self,
        stats: &CategoricalStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check()?;
        self.absorb(stats.counts(), posterior);
        Ok(())
    }

    /// `(αₓ − 1) / Σ(α − 1)`. A category with `αₓ = 1` gets probability zero, where the density is largest and
    /// finite; with `αₓ < 1` it is infinite there, and with all `α = 1` the same everywhere: no mode.
    fn mode_into(&self, point: &mut Categorical) -> Result<(), EstimateError> {
        let normalizer = self.mode_normalizer()?;
        point.set(self.concentration.iter().map(|a| a - 1.0), normalizer);
        Ok(())
    }

    /// `E[pₓ] = αₓ / Σα`.
    fn mean_into(&self, point: &mut Categorical) {
        point.set(self.concentration.iter().copied(), self.total_concentration());
    }

    /// [`Dirichlet::log_density`], finite or not at a probability of zero.
    fn log_prior(&self, point: &Categorical) -> f64 {
        self.log_density(point.probabilities())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        Self::kl_divergence(self, prior)
    }

    fn pack(&self, j: usize, packed: &mut CategoricalPacked) {
        packed.set(j, self.expected_log_probabilities());
    }

    fn check(&self, point: &Categorical) -> Result<(), EstimateError> {
        self.check_categories(point.categories())
    }
}

/// The same prior of the same probabilities; a row adds as many observations as it has trials.
impl ConjugatePrior<Multinomial> for Dirichlet {
    fn posterior(
        &self,
        stats: &MultinomialStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check()?;
        self.absorb(stats.counts(), posterior);
        Ok(())
    }

    /// As for a [`Categorical`].
    fn mode_into(&self, point: &mut Multinomial) -> Result<(), EstimateError> {
        let normalizer = self.mode_normalizer()?;
        point.set(self.concentration.iter().map(|a| a - 1.0), normalizer);
        Ok(())
    }

    /// `E[pₓ] = αₓ / Σα`.
    fn mean_into(&self, point: &mut Multinomial) {
        point.set(self.concentration.iter().copied(), self.total_concentration());
    }

    /// As for a [`Categorical`].
    fn log_prior(&self, point: &Multinomial) -> f64 {
        self.log_density(point.probabilities())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        Self::kl_divergence(self, prior)
    }

    fn pack(&self, j: usize, packed: &mut MultinomialPacked) {
        packed.set(j, self.expected_log_probabilities());
    }

    fn check(&self, point: &Multinomial) -> Result<(), EstimateError> {
        self.check_categories(point.categories())
    }
}

/// The multinomial coefficients of the rows are left out of the evidence, and are part of the predictions, which are
/// those of a [`DirichletMultinomial`](crate::DirichletMultinomial).
impl Evidence<Multinomial> for Dirichlet {
    fn log_evidence(&self, stats: &MultinomialStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_probability_of_sequence(stats.counts()))
    }

    fn log_predictive_into(&self, point: &Multinomial, data: Rows<'_>, out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log density per observation");
        let mut counts = vec![0.0; point.categories()];
        for (row, out) in out.iter_mut().enumerate() {
            data.copy_row(row, &mut counts);
            *out = log_coefficient(&counts) + self.log_probability_of_sequence(&counts);
        }
    }
}

impl Evidence<Categorical> for Dirichlet {
    fn log_evidence(&self, stats: &CategoricalStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_probability_of_sequence(stats.counts()))
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
