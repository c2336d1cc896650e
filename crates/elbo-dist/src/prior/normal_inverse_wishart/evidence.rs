//! Evidence, predictions and learning of normal-inverse-Wishart priors.

use std::f64::consts::PI;

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence, Rows};

use super::NormalInverseWishart;
use crate::multivariate_gaussian::spd::Spd;
use crate::prior::{
    learning::{InverseWishartShape, average_precision, learned_inverse_wishart, ln_growth},
    normal_inverse_gamma::ln_one_plus_square,
};
use crate::special::ln_gamma_ratio;
use crate::{MultivariateGaussian, MultivariateGaussianStats};

impl Evidence<MultivariateGaussian> for NormalInverseWishart {
    /// Where components share their covariance, this is the evidence of one component that has it on its own.
    ///
    /// Cost: `d³` flops.
    fn log_evidence(&self, stats: &MultivariateGaussianStats) -> Result<f64, EstimateError> {
        let mut posterior = self.clone();
        self.posterior(stats, &mut posterior)?;
        let weight = stats.total_weight();
        let half = 0.5 * self.degrees_of_freedom;
        let half_added = 0.5 * weight * self.repeats();
        let of_gammas: f64 = self.half_steps().map(|i| ln_gamma_ratio(half - i, half_added)).sum();
        let log_det = self.scale.log_det() / self.repeats();
        let posterior_log_det = posterior.scale.log_det() / self.repeats();
        Ok(self.copies() * of_gammas
            - half * (posterior_log_det - log_det)
            - half_added * posterior_log_det
            - 0.5
                * self.d() as f64
                * (ln_growth(self.mean_pseudo_count, weight) + weight * PI.ln()))
    }

    /// Student's t about `m`: multivariate with `ν − d + 1` degrees of freedom and scale matrix
    /// `Ψ (κ + 1)/(κ (ν − d + 1))` where the covariance is full; one with `ν` of them for each column, independent of
    /// the others, where it is diagonal; multivariate with `ν` of them where it is spherical.
    ///
    /// Cost: `d²` flops per row.
    fn log_predictive_into(&self, _: &MultivariateGaussian, data: Rows<'_>, out: &mut [f64]) {
        assert_eq!(out.len(), elbo_core::Batch::len(&data), "one log density per observation");
        assert_eq!(data.d(), self.d(), "another number of columns");
        let half = 0.5 * self.degrees_of_freedom;
        let half_added = 0.5 * self.repeats();
        let of_gammas: f64 = self.half_steps().map(|i| ln_gamma_ratio(half - i, half_added)).sum();
        let spread = (1.0 + self.mean_pseudo_count.recip()).sqrt();
        let log_volume =
            0.5 * self.scale.log_det() + self.d() as f64 * (spread.ln() + 0.5 * PI.ln());
        let constant = self.copies() * of_gammas - log_volume;
        let independent = self.copies() > 1.0;
        let mut x = vec![0.0; self.d()];
        for (i, out) in out.iter_mut().enumerate() {
            data.copy_row(i, &mut x);
            self.scale.whiten_in_place(&self.mean, &mut x);
            let terms = if independent {
                x.iter().map(|z| ln_one_plus_square(z / spread)).sum::<f64>()
            } else {
                ln_one_plus_square(x.iter().fold(0.0, |norm, z| f64::hypot(norm, *z)) / spread)
            };
            *out = constant - (half + half_added) * terms;
        }
    }
}

impl EmpiricalBayes for NormalInverseWishart {
    /// `m` and `κ` in closed form, `Ψ/ν` the inverse of the average expected precision, and `ν` by Newton's method.
    ///
    /// Posteriors of a covariance that components share are all the same in it, so that the learned `Ψ` and `ν` are
    /// theirs. Cost: `d³` flops for each posterior.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        assert!(!posteriors.is_empty(), "at least one posterior is needed");
        assert!(
            posteriors.iter().all(|q| q.structure == self.structure && q.d() == self.d()),
            "posteriors of another structure or dimension"
        );
        let of_covariances = posteriors.iter().map(|q| (q.degrees_of_freedom, &q.scale));
        let precision = average_precision(of_covariances.clone());
        let (order, repeats, copies) = (self.order(), self.repeats(), self.copies());
        let shape = InverseWishartShape { order, repeats, copies };
        let (degrees_of_freedom, scale) =
            learned_inverse_wishart(of_covariances, &precision, shape)?;
        let mean = learned_mean(posteriors, &precision);
        let d = self.d() as f64;
        // 1/κ = (1/nd) Σ E[(μ − m)ᵀ Σ⁻¹ (μ − m)]
        let spread = posteriors.iter().map(|q| {
            let distance = q.scale.distance_squared(&q.mean, &mean);
            q.mean_pseudo_count.recip() + q.degrees_of_freedom * distance / d
        });
        let mean_pseudo_count = posteriors.len() as f64 / spread.sum::<f64>();
        if !(mean_pseudo_count > 0.0 && mean_pseudo_count.is_finite()) {
            return Err(EstimateError::NoPrior { parameter: "pseudo-count of the mean" });
        }
        Ok(Self { mean, mean_pseudo_count, degrees_of_freedom, scale, ..self.clone() })
    }
}

impl NormalInverseWishart {
    /// `0, ½, 1, …`: by how much the shapes of the gamma functions of one matrix differ.
    fn half_steps(&self) -> impl Iterator<Item = f64> {
        (0..self.order()).map(|i| 0.5 * i as f64)
    }
}

/// `m = (Σ Λⱼ)⁻¹ Σ Λⱼ mⱼ`, as a correction of the first mean: far from zero nothing is lost.
fn learned_mean(posteriors: &[NormalInverseWishart], precision: &Spd) -> Vec<f64> {
    let n = posteriors.len() as f64;
    let origin = &posteriors[0].mean;
    let mut sum = vec![0.0; origin.len()];
    for q in posteriors {
        let mut shift: Vec<f64> = q.mean.iter().zip(origin).map(|(m, o)| m - o).collect();
        q.scale.solve_in_place(&mut shift);
        elbo_core::add_scaled(&mut sum, q.degrees_of_freedom / n, &shift);
    }
    precision.solve_in_place(&mut sum);
    sum.iter_mut().zip(origin).for_each(|(x, o)| *x += o);
    sum
}
