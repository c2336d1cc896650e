//! What posteriors predict of the next observation.

use elbo_core::{Batch, Evidence, Family, VariationalBayes};
use elbo_dist::Categorical;
use elbo_linalg::log_sum_exp;

use crate::MixtureParams;

impl<F: Family, P: Evidence<F>, Q: Evidence<Categorical>>
    MixtureParams<F, VariationalBayes<P>, VariationalBayes<Q>>
{
    /// `out[i] = ln Σⱼ E[πⱼ] ∫ p(xᵢ ∣ θ) q(θⱼ) dθ`, in nats: what the posteriors predict of each row on its own. A mixture of
    /// Gaussians predicts by a mixture of Student t distributions.
    ///
    /// Unlike the density at the mixture of points, it knows what the data leave open: its tails are heavier. Cost: `k`
    /// densities per row, and `k n` numbers in memory.
    ///
    /// # Panics
    ///
    /// If `out` is not as long as the data.
    ///
    /// # Source
    ///
    /// Bishop (2006), *Pattern Recognition and Machine Learning*, section 10.2.3.
    pub fn log_predictive_into(&self, data: F::Batch<'_>, out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log density per row");
        let (weights, components) = (self.weights(), self.components());
        let codes: Vec<u32> = (0..).take(self.k()).collect();
        let mut log_weights = vec![0.0; self.k()];
        weights.posteriors()[0].log_predictive_into(&weights.points()[0], &codes, &mut log_weights);
        let scores: Vec<Vec<f64>> = components
            .posteriors()
            .iter()
            .zip(components.points())
            .map(|(posterior, point)| {
                let mut scores = vec![0.0; out.len()];
                posterior.log_predictive_into(point, data, &mut scores);
                scores
            })
            .collect();
        let mut row = vec![0.0; self.k()];
        for (i, out) in out.iter_mut().enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x = log_weights[j] + scores[j][i];
            }
            *out = log_sum_exp(&row);
        }
    }
}
