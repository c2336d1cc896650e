//! Learning from data: the prior as observations among others.

use elbo_core::EstimateError;
use elbo_linalg::{solve_lower_in_place, solve_lower_transposed_in_place};

use super::MatrixNormalInverseWishart;
use crate::{LinearGaussianStats, regression::plane::Plane};

impl MatrixNormalInverseWishart {
    /// Adds data to us as if we were observations ourselves, with residuals about the function of the statistics.
    pub(super) fn absorb(
        &self,
        stats: &LinearGaussianStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        let weight = stats.total_weight();
        let (p, origin) = (self.covariates(), stats.origin());
        let gap = Gap::new(self, stats);
        for a in 0..p {
            for b in 0..=a {
                posterior.precision.values[a * p + b] = self.precision.values[a * p + b]
                    + weight * stats.uu(a, b, gap.centered)
                    + gap.between * gap.center[a] * gap.center[b];
            }
        }
        posterior.precision.factor(0.0).map_err(|flat| EstimateError::Singular {
            component: 0,
            column: flat.column,
            variance: flat.variance,
        })?;
        let mut factor = posterior.precision.values.clone();
        elbo_linalg::cholesky_in_place(&mut factor, p)
            .map_err(|_| EstimateError::Infeasible { component: 0, what: "linear regression" })?;
        posterior.plane.center.clone_from(&self.plane.center);
        elbo_core::add_scaled(&mut posterior.plane.center, gap.share, &gap.center);
        let mut half = vec![0.0; p * self.outputs()];
        for (o, half) in half.chunks_exact_mut(p).enumerate() {
            for (a, cross) in half.iter_mut().enumerate() {
                *cross = (0..p).map(|e| gap.tilt(o, e) * self.precision.get(e, a)).sum::<f64>()
                    + weight * stats.ru(o, a, gap.centered)
                    + gap.between * gap.value[o] * gap.center[a];
            }
            solve_lower_in_place(&factor, p, half);
            let mut change = half.to_vec();
            solve_lower_transposed_in_place(&factor, p, &mut change);
            for (a, change) in change.iter().enumerate() {
                posterior.plane.slopes[o * p + a] = origin.slopes[o * p + a] + change;
            }
            posterior.plane.value[o] = if gap.centered {
                origin.at(o, &posterior.plane.center) + gap.residual[o] + gap.share * gap.value[o]
            } else {
                0.0
            };
        }
        self.add_scatter(stats, &gap, &half, posterior)
    }

    /// `Ψ` after data: ours, what residuals add, and what our slopes miss, less what the new slopes explain.
    fn add_scatter(
        &self,
        stats: &LinearGaussianStats,
        gap: &Gap<'_>,
        half: &[f64],
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        let (p, q) = (self.covariates(), self.outputs());
        let diagonal = self.scale.is_diagonal();
        for o in 0..q {
            for e in if diagonal { o } else { 0 }..=o {
                let missed: f64 = (0..p)
                    .map(|a| {
                        let row = (0..p).map(|b| self.precision.get(a, b) * gap.tilt(e, b));
                        gap.tilt(o, a) * row.sum::<f64>()
                    })
                    .sum();
                let explained: f64 =
                    half[o * p..][..p].iter().zip(&half[e * p..]).map(|(a, b)| a * b).sum();
                let place = if diagonal { o } else { o * q + e };
                posterior.scale.values[place] = self.scale.values[place]
                    + stats.total_weight() * stats.rr(o, e, gap.centered)
                    + gap.between * gap.value[o] * gap.value[e]
                    + (missed - explained);
            }
        }
        posterior.scale.factor(0.0).map_err(|flat| EstimateError::Singular {
            component: 0,
            column: p + flat.column,
            variance: flat.variance,
        })
    }
}

/// How far data are from a prior.
struct Gap<'a> {
    prior: &'a Plane,
    origin: &'a Plane,
    /// With an intercept, moments are about means.
    centered: bool,
    /// The data's share of the total count of the value.
    share: f64,
    /// `κw/(κ + w)`.
    between: f64,
    /// Mean covariates of the data, about the prior's center.
    center: Vec<f64>,
    /// The prior's value, as a residual about the origin.
    residual: Vec<f64>,
    /// Mean residual of the data, less that.
    value: Vec<f64>,
}

impl<'a> Gap<'a> {
    fn new(prior: &'a MatrixNormalInverseWishart, stats: &'a LinearGaussianStats) -> Self {
        let (weight, origin) = (stats.total_weight(), stats.origin());
        let plane = &prior.plane;
        let (p, q) = (plane.covariates(), plane.outputs());
        let Some(count) = prior.value_pseudo_count else {
            let (center, residual, value) = (vec![0.0; p], vec![0.0; q], vec![0.0; q]);
            let (centered, share, between) = (false, 0.0, 0.0);
            return Self {
                prior: plane,
                origin,
                centered,
                share,
                between,
                center,
                residual,
                value,
            };
        };
        let share = weight / (count + weight);
        let center =
            (0..p).map(|a| (origin.center[a] - plane.center[a]) + stats.mean_u(a, true)).collect();
        let residual: Vec<f64> =
            (0..q).map(|o| plane.value[o] - origin.at(o, &plane.center)).collect();
        let value = (0..q).map(|o| stats.mean_r(o, true) - residual[o]).collect();
        let between = count * share;
        Self { prior: plane, origin, centered: true, share, between, center, residual, value }
    }

    /// How much steeper the prior's slope is than that of the origin.
    fn tilt(&self, o: usize, a: usize) -> f64 {
        self.prior.row(o)[a] - self.origin.row(o)[a]
    }
}
