//! The gamma distribution as the prior of a Poisson rate.

use elbo_core::{ConjugatePrior, EstimateError};

use crate::{
    Gamma, Poisson,
    gamma::kl_gamma,
    poisson::{PoissonPacked, PoissonStats},
    special::{ln_gamma, x_ln_y},
};

impl ConjugatePrior<Poisson> for Gamma {
    fn posterior(&self, stats: &PoissonStats, posterior: &mut Self) -> Result<(), EstimateError> {
        stats.check()?;
        *posterior =
            Self { shape: self.shape + stats.events(), rate: self.rate + stats.total_weight() };
        Ok(())
    }

    /// `(a − 1)/b`, at `a = 1` the boundary 0 where the density is largest and finite.
    fn mode_into(&self, point: &mut Poisson) -> Result<(), EstimateError> {
        if self.shape < 1.0 {
            return Err(EstimateError::NoMode {
                component: 0,
                parameter: "rate",
                value: self.shape,
            });
        }
        point.set((self.shape - 1.0) / self.rate);
        Ok(())
    }

    /// `E[λ] = a/b`.
    fn mean_into(&self, point: &mut Poisson) {
        point.set(self.expected_rate());
    }

    fn log_prior(&self, point: &Poisson) -> f64 {
        let log_normalizer = ln_gamma(self.shape) - self.shape * self.rate.ln();
        x_ln_y(self.shape - 1.0, point.rate()) - self.rate * point.rate() - log_normalizer
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        kl_gamma((self.shape, self.rate), (prior.shape, prior.rate))
    }

    fn pack(&self, j: usize, packed: &mut PoissonPacked) {
        packed.set(j, self.expected_log_rate(), self.expected_rate());
    }
}
