//! The expected log-likelihood and its derivative.

use elbo_core::{ExpectedLogLikelihood, FlatParameters, Rows, Statistics, gradient_by_differences};

use super::sharing::Layout;
use super::{MultivariateGaussian, MultivariateGaussianStats, Sharing, whiten};

/// With `w` the weight and `S = Σw(x − μ)(x − μ)ᵀ`, it is `−½ [w (d ln 2π + ln |Σ|) + tr(Σ⁻¹ S)]`, its derivative
/// `Σ⁻¹ Σw(x − μ)` in the mean and the lower triangle of `Uᵀ(U S Uᵀ − wI)` in `L`.
impl ExpectedLogLikelihood for MultivariateGaussian {
    fn score_into(&self, stats: &MultivariateGaussianStats, _: &[f64], out: &mut [f64]) {
        let (mean, own) = out.split_at_mut(self.d());
        self.own_score_into(stats, mean, own);
    }

    /// By differences, where axes are coordinates.
    fn score_all_into(
        components: &[Self],
        stats: &[MultivariateGaussianStats],
        steps: &[f64],
        out: &mut [f64],
    ) {
        let (layout, d) = (Layout::of(components), components[0].d());
        if !layout.is_joint() {
            let pairs = components.iter().zip(stats);
            return pairs
                .zip(out.chunks_exact_mut(d + components[0].own_len()))
                .for_each(|((component, stats), out)| component.score_into(stats, &[], out));
        }
        if layout.axes != Sharing::Identity {
            let mut flat = Vec::with_capacity(out.len());
            Self::write_all_unconstrained(components, &mut flat);
            return gradient_by_differences(&flat, steps, out, |flat| {
                let moved = Self::with_all_unconstrained(components, &mut &flat[..]);
                let terms = moved.iter().zip(stats);
                terms.map(|(component, stats)| component.expected_log_likelihood(stats)).sum()
            });
        }
        let (means, covariances) = out.split_at_mut(d * components.len());
        covariances.fill(0.0);
        let first = components[0].own_coordinates();
        let mut score = vec![0.0; first.len()];
        for (j, mean) in means.chunks_exact_mut(d).enumerate() {
            components[j].own_score_into(&stats[j], mean, &mut score);
            layout.add_score(j, &first, &components[j].own_coordinates(), &score, covariances);
        }
    }

    /// Is no value missing?
    fn is_complete(&self, data: Rows<'_>) -> bool {
        data.all(|x| !x.is_nan())
    }
}

impl MultivariateGaussian {
    fn about_the_mean(&self, stats: &MultivariateGaussianStats) -> MultivariateGaussianStats {
        let mut about = stats.clone();
        about.align(&self.new_stats_about_the_mean());
        about
    }

    fn new_stats_about_the_mean(&self) -> MultivariateGaussianStats {
        MultivariateGaussianStats::new(self.mean.clone(), self.covariance.is_diagonal())
    }

    /// Second moments in the layout of the covariance.
    fn scatter(&self, stats: &MultivariateGaussianStats) -> Vec<f64> {
        let d = self.d();
        if self.covariance.is_diagonal() {
            return stats.second().to_vec();
        }
        let entry = |i: usize, j: usize| stats.second()[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)];
        (0..d * d).map(|at| entry(at / d, at % d)).collect()
    }

    /// The derivatives in the mean and in the coordinates of the covariance alone.
    fn own_score_into(&self, stats: &MultivariateGaussianStats, mean: &mut [f64], own: &mut [f64]) {
        let d = self.d();
        let stats = self.about_the_mean(stats);
        mean.copy_from_slice(stats.first());
        self.covariance.solve_in_place(mean);
        let (weight, scatter) = (stats.total_weight(), self.scatter(&stats));
        let u = self.covariance.whitening();
        if self.covariance.is_diagonal() {
            let along = |i: usize| u[i] * u[i] * scatter[i] - weight;
            if own.len() == 1 {
                own[0] = (0..d).map(along).sum();
            } else {
                (0..d).for_each(|i| own[i] = along(i));
            }
            return;
        }
        let mut excess = whiten(u, &scatter, d);
        (0..d).for_each(|i| excess[i * (d + 1)] -= weight);
        let mut place = own.iter_mut();
        for i in 0..d {
            for j in 0..=i {
                let slope: f64 = (i..d).map(|m| u[m * d + i] * excess[m * d + j]).sum();
                // d L / d ln L on the diagonal
                let factor = if i == j { 1.0 / u[i * (d + 1)] } else { 1.0 };
                *place.next().expect("one place for each of the lower triangle") = factor * slope;
            }
        }
    }
}
