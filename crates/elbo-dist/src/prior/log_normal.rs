//! The normal-inverse-gamma prior of log-normal variables.

use elbo_core::{ConjugatePrior, EstimateError, Evidence};

use super::NormalInverseGamma;
use crate::{Gaussian, GaussianPacked, GaussianStats, LogNormal};

/// The prior of the Gaussian of `ln x`; mode and density are in `(μ, σ²) = (E[ln X], Var[ln X])`.
impl ConjugatePrior<LogNormal> for NormalInverseGamma {
    fn posterior(&self, stats: &GaussianStats, posterior: &mut Self) -> Result<(), EstimateError> {
        *posterior = self.after(stats)?;
        Ok(())
    }

    /// `μ = m`, `σ² = b/(a + 3/2)`: the joint mode in `(μ, σ²)`, which always exists.
    fn mode_into(&self, point: &mut LogNormal) -> Result<(), EstimateError> {
        ConjugatePrior::<Gaussian>::mode_into(self, point.log_mut())
    }

    /// `μ = m`, `σ² = b/a`: the log-normal whose natural parameters are the expected ones.
    fn mean_into(&self, point: &mut LogNormal) {
        ConjugatePrior::<Gaussian>::mean_into(self, point.log_mut());
    }

    fn log_prior(&self, point: &LogNormal) -> f64 {
        self.log_prior(point.log())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut GaussianPacked) {
        self.pack_expectation(j, packed);
    }
}

impl Evidence<LogNormal> for NormalInverseGamma {
    /// That of the logarithms, less `Σw ln x`, which is in the statistics: nothing is left out.
    fn log_evidence(&self, stats: &GaussianStats) -> Result<f64, EstimateError> {
        let of_logs = self.log_evidence_of(stats)?;
        let weight = stats.total_weight();
        Ok(if weight > 0.0 { of_logs - weight * stats.mean() } else { of_logs })
    }

    /// A log-Student t with `2a` degrees of freedom; −∞ for what is not positive, 0 for what is missing.
    fn log_predictive_into(&self, _: &LogNormal, data: &[f64], out: &mut [f64]) {
        let logs: Vec<f64> = data.iter().map(|x| x.ln()).collect();
        self.log_predictions(&logs, out);
        for (out, (x, log)) in out.iter_mut().zip(data.iter().zip(&logs)) {
            *out = crate::log_normal::score(*x, *out, *log);
        }
    }
}
