//! The gamma distribution as the prior of rates.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};

use super::learning::{learned_gamma, ln_growth};
use crate::{
    Exponential, ExponentialPacked, ExponentialStats, Gamma, Poisson,
    poisson::{PoissonPacked, PoissonStats},
    special::{ln_factorial, ln_gamma, ln_gamma_ratio, x_ln_y},
};

/// What families whose likelihood is `λ^events e^{−λ·exposure}` share.
impl Gamma {
    /// The posterior after `events` during `exposure`.
    fn after(&self, events: f64, exposure: f64) -> Self {
        Self { shape: self.shape + events, rate: self.rate + exposure }
    }

    /// `ln ∫ p(λ) λ^events e^{−λ·exposure} dλ`.
    fn log_evidence_of(&self, events: f64, exposure: f64) -> f64 {
        ln_gamma_ratio(self.shape, events)
            - self.shape * ln_growth(self.rate, exposure)
            - events * (self.rate + exposure).ln()
    }

    /// `(a − 1)/b`, at `a = 1` the boundary 0, where the density is largest and finite.
    fn mode_of_rate(&self) -> Result<f64, EstimateError> {
        if self.shape < 1.0 {
            let (parameter, value) = ("rate", self.shape);
            return Err(EstimateError::NoMode { component: 0, parameter, value });
        }
        Ok((self.shape - 1.0) / self.rate)
    }

    /// `ln p(λ)`.
    fn log_density_of_rate(&self, rate: f64) -> f64 {
        let log_normalizer = ln_gamma(self.shape) - self.shape * self.rate.ln();
        x_ln_y(self.shape - 1.0, rate) - self.rate * rate - log_normalizer
    }
}

impl ConjugatePrior<Poisson> for Gamma {
    fn posterior(&self, stats: &PoissonStats, posterior: &mut Self) -> Result<(), EstimateError> {
        stats.check()?;
        *posterior = self.after(stats.events(), stats.total_weight());
        Ok(())
    }

    /// `(a − 1)/b`, at `a = 1` the boundary 0 where the density is largest and finite.
    fn mode_into(&self, point: &mut Poisson) -> Result<(), EstimateError> {
        point.set(self.mode_of_rate()?);
        Ok(())
    }

    /// `E[λ] = a/b`.
    fn mean_into(&self, point: &mut Poisson) {
        point.set(self.expected_rate());
    }

    fn log_prior(&self, point: &Poisson) -> f64 {
        self.log_density_of_rate(point.rate())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut PoissonPacked) {
        packed.set(j, self.expected_log_rate(), self.expected_rate());
    }
}

impl Evidence<Poisson> for Gamma {
    /// Without `−Σ wᵢ ln xᵢ!`, which the statistics do not hold.
    fn log_evidence(&self, stats: &PoissonStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_evidence_of(stats.events(), stats.total_weight()))
    }

    /// Negative binomial: `a` failures, each of probability `b/(b + 1)`.
    fn log_predictive_into(&self, _: &Poisson, data: &[u64], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log probability per observation");
        for (out, x) in out.iter_mut().zip(data) {
            *out = self.log_evidence_of(*x as f64, 1.0) - ln_factorial(*x);
        }
    }
}

impl ConjugatePrior<Exponential> for Gamma {
    fn posterior(
        &self,
        stats: &ExponentialStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check()?;
        *posterior = self.after(stats.total_weight(), stats.total());
        Ok(())
    }

    /// `(a − 1)/b`; none for `a ≤ 1`, where the density is largest at the rate 0, which no exponential distribution has.
    fn mode_into(&self, point: &mut Exponential) -> Result<(), EstimateError> {
        let rate = self.mode_of_rate()?;
        if rate == 0.0 {
            let (parameter, value) = ("rate", self.shape);
            return Err(EstimateError::NoMode { component: 0, parameter, value });
        }
        point.set(rate);
        Ok(())
    }

    /// `E[λ] = a/b`.
    fn mean_into(&self, point: &mut Exponential) {
        point.set(self.expected_rate());
    }

    fn log_prior(&self, point: &Exponential) -> f64 {
        self.log_density_of_rate(point.rate())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut ExponentialPacked) {
        packed.set(j, self.expected_log_rate(), self.expected_rate());
    }
}

impl Evidence<Exponential> for Gamma {
    fn log_evidence(&self, stats: &ExponentialStats) -> Result<f64, EstimateError> {
        stats.check()?;
        Ok(self.log_evidence_of(stats.total_weight(), stats.total()))
    }

    /// Lomax, a Pareto distribution from 0 on: `a bᵃ/(b + x)^{a + 1}`; 0 for what is missing, `−∞` below 0.
    fn log_predictive_into(&self, _: &Exponential, data: &[f64], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log density per observation");
        for (out, x) in out.iter_mut().zip(data) {
            *out = match x {
                x if x.is_nan() => 0.0,
                x if *x < 0.0 => f64::NEG_INFINITY,
                x => self.log_evidence_of(1.0, *x),
            };
        }
    }
}

impl EmpiricalBayes for Gamma {
    /// Shape and rate by Newton's method in `1/a`. Cost: some five digammas.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        let (shape, rate) = learned_gamma(posteriors.iter().map(|q| (q.shape, q.expected_rate())))?;
        Ok(Self { shape, rate })
    }
}
