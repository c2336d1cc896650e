//! What data are worth under a von Mises–Fisher prior, and what comes next.

use elbo_core::{Batch, EstimateError, Evidence, Family, Rows};

use super::VonMisesFisherPrior;
use crate::{
    VonMises, VonMisesFisher, von_mises::VonMisesStats, von_mises_fisher::VonMisesFisherStats,
};

impl VonMisesFisherPrior {
    /// The posterior's normalizer over ours: `p(x ∣ μ, κ)` is `C(κ) exp(κμᵀx)`, with no other factor.
    fn log_evidence_of(&self, stats: &VonMisesFisherStats) -> Result<f64, EstimateError> {
        let mut posterior = self.clone();
        self.update(stats, &mut posterior)?;
        if posterior == *self {
            return Ok(0.0);
        }
        Ok(posterior.moments().log_normalizer - self.moments().log_normalizer)
    }
}

/// Every observation's evidence on its own. A direction that the prior cannot take in (not of norm 1) gives NaN.
fn log_predictive_into<F: Family>(
    prior: &impl Evidence<F>,
    point: &F,
    data: F::Batch<'_>,
    out: &mut [f64],
) {
    assert_eq!(out.len(), data.len(), "one log density per observation");
    let mut stats = point.new_stats();
    for (i, out) in out.iter_mut().enumerate() {
        elbo_core::Statistics::set_zero(&mut stats);
        point.observe(&mut stats, data.slice(i..i + 1), &[1.0]);
        *out = prior.log_evidence(&stats).unwrap_or(f64::NAN);
    }
}

/// By the quadrature that normalizes the prior. Cost: that of two normalizers, some 200 evaluations of Bessel functions.
impl Evidence<VonMisesFisher> for VonMisesFisherPrior {
    fn log_evidence(&self, stats: &VonMisesFisherStats) -> Result<f64, EstimateError> {
        self.log_evidence_of(stats)
    }

    /// Of no named distribution: `ln Z(c + 1, |βm₀ + x|) − ln Z(c, β)`, two normalizers for each row; 0 for one that is
    /// missing.
    fn log_predictive_into(&self, point: &VonMisesFisher, data: Rows<'_>, out: &mut [f64]) {
        log_predictive_into(self, point, data, out);
    }
}

/// As for directions of two dimensions.
impl Evidence<VonMises> for VonMisesFisherPrior {
    fn log_evidence(&self, stats: &VonMisesStats) -> Result<f64, EstimateError> {
        self.log_evidence_of(&stats.as_directions())
    }

    fn log_predictive_into(&self, point: &VonMises, data: &[f64], out: &mut [f64]) {
        log_predictive_into(self, point, data, out);
    }
}
