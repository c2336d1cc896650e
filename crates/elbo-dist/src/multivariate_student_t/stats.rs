//! Tangents of the likelihood at the current parameters.

use elbo_core::{EstimateError, Statistics};

use crate::MultivariateGaussianStats;

/// What a [`MultivariateStudentT`](crate::MultivariateStudentT) knows of rows seen at its current parameters: with
/// `rᵢ = 1 + (xᵢ − μ)ᵀ Σ⁻¹ (xᵢ − μ)/ν`, the sums `Σw`, `Σw ln rᵢ`, and the moments of rows of weight `wᵢ/rᵢ`.
///
/// `ν/(ν + d) · 1/rᵢ` is the inverse of the scale that a row was probably drawn at. These are no sufficient statistics:
/// they belong to the parameters at which they were taken.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MultivariateStudentTStats {
    pub(super) weight: f64,
    pub(super) log: f64,
    pub(super) moments: MultivariateGaussianStats,
}

impl MultivariateStudentTStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// The moments of rows of weight `w/r`.
    pub fn moments(&self) -> &MultivariateGaussianStats {
        &self.moments
    }

    /// `Σw ln r/Σw + ln(Σ(w/r)/Σw)`, never negative but for rounding: how much the rows' `r` differ. NaN without data.
    pub fn spread(&self) -> f64 {
        self.log / self.weight + (self.moments.total_weight() / self.weight).ln()
    }

    /// Fails unless these could be of some data.
    pub(super) fn check(&self) -> Result<(), EstimateError> {
        let infeasible = Err(EstimateError::Infeasible { component: 0, what: "Student t" });
        if !(self.weight.is_finite() && self.log.is_finite()) {
            return infeasible;
        }
        self.moments.check_feasible()?;
        if self.weight == 0.0 && self.moments.total_weight() == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        let rounding = 1024.0 * f64::EPSILON * (1.0 + (self.log / self.weight).abs());
        let is_sane = self.weight > 0.0 && self.moments.total_weight() > 0.0;
        if is_sane && self.spread() >= -rounding { Ok(()) } else { infeasible }
    }
}

impl Statistics for MultivariateStudentTStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(std::slice::from_ref(&self.log));
        self.moments.visit(see);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(std::slice::from_mut(&mut self.log));
        self.moments.visit_mut(see);
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.moments.visit_origin(see);
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.moments.visit_origin_mut(see);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        self.weight += factor * other.weight;
        self.log += factor * other.log;
        self.moments.axpy(factor, &other.moments);
    }

    fn align(&mut self, like: &Self) {
        self.moments.align(&like.moments);
    }
}
