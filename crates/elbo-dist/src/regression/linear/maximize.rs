//! Weighted least squares from moments.

use elbo_core::{EstimateError, Repairs};
use elbo_linalg::{cholesky_relative, solve_lower_in_place, solve_lower_transposed_in_place};

use super::{LinearGaussian, stats::LinearGaussianStats, stats::RESOLUTION};

/// A response whose residual is below this share of its own standard deviation is determined by the covariates:
/// rounding of the residual is of that size.
const EXACT: f64 = 64.0 * f64::EPSILON;

/// Overwrites `next` by the regression with the largest likelihood.
///
/// With `S` the second moments about the means (about the origin, without an intercept), slopes change by
/// `S_ru S_uu⁻¹`, and `S_rr − S_ru S_uu⁻¹ S_ur` is the covariance of what is left.
pub(super) fn maximize(
    stats: &LinearGaussianStats,
    has_intercept: bool,
    next: &mut LinearGaussian,
) -> Result<Repairs, EstimateError> {
    stats.check_feasible()?;
    if stats.total_weight() == 0.0 {
        return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
    }
    let (p, q) = (stats.covariates(), stats.outputs());
    let factor = factor_covariates(stats, has_intercept)?;
    let origin = stats.origin();
    next.has_intercept = has_intercept;
    next.plane.clone_from(origin);
    // Row o of `half` is L⁻¹ S_u,r(o), with S_uu = L Lᵀ.
    let mut half = vec![0.0; p * q];
    for (o, half) in half.chunks_exact_mut(p).enumerate() {
        (0..p).for_each(|a| half[a] = stats.ru(o, a, has_intercept));
        solve_lower_in_place(&factor, p, half);
        let mut change = half.to_vec();
        solve_lower_transposed_in_place(&factor, p, &mut change);
        elbo_core::add_scaled(&mut next.plane.slopes[o * p..][..p], 1.0, &change);
        if has_intercept {
            let tilt: f64 = (0..p).map(|a| origin.row(o)[a] * stats.mean_u(a, true)).sum();
            next.plane.value[o] += tilt + stats.mean_r(o, true);
        }
    }
    if has_intercept {
        (0..p).for_each(|a| next.plane.center[a] += stats.mean_u(a, true));
    }
    covariance_into(stats, &half, next)?;
    Ok(Repairs::default())
}

/// `L` with `S_uu = L Lᵀ`.
fn factor_covariates(
    stats: &LinearGaussianStats,
    centered: bool,
) -> Result<Vec<f64>, EstimateError> {
    let p = stats.covariates();
    let mut factor = vec![0.0; p * p];
    for a in 0..p {
        (0..=a).for_each(|b| factor[a * p + b] = stats.uu(a, b, centered));
        let variance = factor[a * p + a];
        if variance <= stats.noise_u(a) {
            return Err(EstimateError::Singular { component: 0, column: a, variance });
        }
    }
    cholesky_relative(&mut factor, p, RESOLUTION).map_err(|flat| {
        if flat.pivot < -RESOLUTION * flat.diagonal {
            EstimateError::Infeasible { component: 0, what: "linear regression" }
        } else {
            EstimateError::Singular { component: 0, column: flat.column, variance: flat.pivot }
        }
    })?;
    Ok(factor)
}

/// The covariance of the residuals about the slopes of `next`.
fn covariance_into(
    stats: &LinearGaussianStats,
    half: &[f64],
    next: &mut LinearGaussian,
) -> Result<(), EstimateError> {
    let (p, q) = (stats.covariates(), stats.outputs());
    let centered = next.has_intercept;
    let dot = |o: usize, second: usize| -> f64 {
        half[o * p..][..p].iter().zip(&half[second * p..]).map(|(a, b)| a * b).sum()
    };
    let singular = |o, variance| EstimateError::Singular { component: 0, column: p + o, variance };
    let diagonal = next.covariance.is_diagonal();
    for o in 0..q {
        for second in if diagonal { o } else { 0 }..=o {
            let place = if diagonal { o } else { o * q + second };
            next.covariance.values[place] = stats.rr(o, second, centered) - dot(o, second);
        }
        let variance = next.covariance.values[if diagonal { o } else { o * q + o }];
        let noise = stats.noise_r(o);
        if variance < -noise {
            return Err(EstimateError::Infeasible { component: 0, what: "linear regression" });
        }
        let slope = next.plane.row(o);
        let explained: f64 = (0..p)
            .map(|a| slope[a] * (0..p).map(|b| slope[b] * stats.uu(a, b, centered)).sum::<f64>())
            .sum();
        if variance <= noise || variance <= EXACT * EXACT * explained {
            return Err(singular(o, variance));
        }
    }
    next.covariance.factor(RESOLUTION).map_err(|flat| {
        if flat.variance < -RESOLUTION * stats.rr(flat.column, flat.column, centered) {
            EstimateError::Infeasible { component: 0, what: "linear regression" }
        } else {
            singular(flat.column, flat.variance)
        }
    })
}
