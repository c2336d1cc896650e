//! The beta distribution as the prior of probabilities.

use elbo_core::{EmpiricalBayes, EstimateError};

use super::learning::dirichlet_with_logs;
use crate::{
    Beta,
    special::{ln_gamma, ln_gamma_ratio, x_ln_y},
};

/// What families whose likelihood is `p^successes (1 − p)^failures` share.
impl Beta {
    /// The posterior after so many successes and failures.
    pub(super) fn after(&self, successes: f64, failures: f64) -> Self {
        Self { a: self.a + successes, b: self.b + failures }
    }

    /// `ln ∫ p(p) p^successes (1 − p)^failures dp`.
    pub(super) fn log_evidence_of(&self, successes: f64, failures: f64) -> f64 {
        ln_gamma_ratio(self.a, successes) + ln_gamma_ratio(self.b, failures)
            - ln_gamma_ratio(self.a + self.b, successes + failures)
    }

    /// `(a − 1)/(a + b − 2)`; none if one is below 1 or both are 1.
    pub(super) fn mode_of_probability(&self) -> Result<f64, EstimateError> {
        let (above_a, above_b) = (self.a - 1.0, self.b - 1.0);
        if above_a < 0.0 || above_b < 0.0 || above_a + above_b == 0.0 {
            let (parameter, value) = ("probability", self.a.min(self.b));
            return Err(EstimateError::NoMode { component: 0, parameter, value });
        }
        Ok(above_a / (above_a + above_b))
    }

    /// `ln p(p)`, given `1 − p`, too. At 0 and 1 the limit.
    pub(super) fn log_density_of(&self, p: f64, rest: f64) -> f64 {
        ln_gamma_ratio(self.a, self.b) - ln_gamma(self.b)
            + x_ln_y(self.a - 1.0, p)
            + x_ln_y(self.b - 1.0, rest)
    }

    /// The best of all such priors for these posteriors.
    pub(super) fn learned(
        posteriors: impl ExactSizeIterator<Item = Self>,
    ) -> Result<Self, EstimateError> {
        let n = posteriors.len() as f64;
        assert!(n > 0.0, "at least one posterior is needed");
        let (mut ln_p, mut ln_rest) = (0.0, 0.0);
        for (own, rest) in posteriors.map(|q| q.expected_logs()) {
            ln_p += own / n;
            ln_rest += rest / n;
        }
        let concentration = dirichlet_with_logs(&[ln_p, ln_rest])?;
        Ok(Self { a: concentration[0], b: concentration[1] })
    }
}

impl EmpiricalBayes for Beta {
    /// As a [`Dirichlet`](crate::Dirichlet) of two categories.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        Self::learned(posteriors.iter().copied())
    }
}
