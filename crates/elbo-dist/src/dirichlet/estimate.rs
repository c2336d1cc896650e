//! The most likely Dirichlet distribution, from mean logarithms.

use elbo_core::EstimateError;

use crate::special::{digamma, inverse_digamma, ln_gamma_ratio, trigamma};

/// How far rounding may push the sum of the geometric means: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// Overwrites `next` by the `α` that maximizes `ln Γ(A) − Σ ln Γ(αⱼ) + Σ αⱼ gⱼ`, `A = Σα`, for mean logarithms `g`.
///
/// Newton's method: the Hessian is diagonal plus rank one. A step that shrinks an `αⱼ` is taken in `1/αⱼ`, so that it
/// stays positive; a step that would lower the objective, which is concave, is halved. It starts at the better of
/// `current` and a guess that is exact for large `α`, so that no start is too bad.
///
/// Cost: `m` digammas, trigammas and log-gamma ratios per step, some five to ten steps.
///
/// # Errors
///
/// No Dirichlet distribution has these means of logarithms, or only the limit of infinite concentration.
///
/// # Source
///
/// Minka (2000), *Estimating a Dirichlet distribution*, section 1.
pub(crate) fn most_likely(
    mean_logs: &[f64],
    current: &[f64],
    next: &mut Vec<f64>,
) -> Result<(), EstimateError> {
    const STEPS: usize = 200;
    next.clear();
    next.extend(guess(mean_logs)?);
    if gain(mean_logs, next, current).0 > 0.0 {
        next.copy_from_slice(current);
    }
    let mut direction = vec![0.0; next.len()];
    let mut trial = next.clone();
    let mut before = f64::INFINITY;
    for _ in 0..STEPS {
        newton_direction(mean_logs, next, &mut direction);
        let Some((gained, noise)) = ascend(mean_logs, next, &mut direction, &mut trial) else {
            return Ok(()); // no step along a direction of ascent is better: only rounding is left
        };
        let pairs = trial.iter().zip(&*next);
        let moved = pairs.map(|(new, old)| (new / old - 1.0).abs()).fold(0.0, f64::max);
        std::mem::swap(next, &mut trial);
        if moved <= 4.0 * f64::EPSILON || (moved >= 0.5 * before && gained <= noise) {
            return Ok(());
        }
        before = moved;
    }
    Err(EstimateError::NotSettled { what: "a Dirichlet distribution", iterations: STEPS })
}

/// Where Newton's method starts: by Stirling, `Σ exp(gⱼ) ≈ 1 − (m − 1)/2A`, and then `ψ(αⱼ) = ψ(A) + gⱼ`.
fn guess(mean_logs: &[f64]) -> Result<impl Iterator<Item = f64> + '_, EstimateError> {
    let shortfall = -elbo_linalg::log_sum_exp(mean_logs);
    if shortfall.is_nan() || shortfall < -RESOLUTION {
        return Err(EstimateError::Infeasible { component: 0, what: "Dirichlet distribution" });
    }
    if shortfall <= RESOLUTION {
        return Err(EstimateError::Boundary {
            component: 0,
            parameter: "total concentration",
            limit: "infinity",
            cure: "all its rows are the same: use fewer components, or fix the concentration",
        });
    }
    let total = 0.5 * (mean_logs.len() - 1) as f64 / shortfall;
    let of_total = digamma(total);
    Ok(mean_logs.iter().map(move |g| inverse_digamma(of_total + g)))
}

/// What the objective gains on the way from one `α` to another, and how much of that may be rounding. Log-gamma ratios
/// keep the digits that two objectives would cancel.
fn gain(mean_logs: &[f64], from: &[f64], to: &[f64]) -> (f64, f64) {
    let total: f64 = from.iter().sum();
    let steps = || from.iter().zip(to).map(|(from, to)| to - from);
    let first = ln_gamma_ratio(total, steps().sum());
    let (mut gain, mut size) = (first, first.abs());
    for ((step, from), g) in steps().zip(from).zip(mean_logs) {
        let (log_gammas, linear) = (ln_gamma_ratio(*from, step), step * g);
        gain += linear - log_gammas;
        size += linear.abs() + log_gammas.abs();
    }
    (gain, 64.0 * f64::EPSILON * size)
}

/// `(diag ψ′(α) − ψ′(A) 1 1ᵀ)⁻¹ ∇` by the formula of Sherman and Morrison.
fn newton_direction(mean_logs: &[f64], alpha: &[f64], direction: &mut [f64]) {
    let total: f64 = alpha.iter().sum();
    let (of_total, curvature) = (digamma(total), trigamma(total));
    let (mut flexibility, mut shift) = (0.0, 0.0);
    for ((d, a), g) in direction.iter_mut().zip(alpha).zip(mean_logs) {
        let trigamma = trigamma(*a);
        *d = (of_total - digamma(*a) + g) / trigamma;
        shift += *d;
        flexibility += trigamma.recip();
    }
    // positive, since the objective is concave; where rounding leaves nothing of it, the diagonal alone still ascends
    let rest = 1.0 - curvature * flexibility;
    let common = if rest > 0.0 { curvature * shift / rest } else { 0.0 };
    direction.iter_mut().zip(alpha).for_each(|(d, a)| *d += common / trigamma(*a));
}

/// Writes the longest of the steps `direction`, `direction/2`, … that does not lower the objective into `trial`; what
/// it gains, and how much of it may be rounding.
fn ascend(
    mean_logs: &[f64],
    alpha: &[f64],
    direction: &mut [f64],
    trial: &mut [f64],
) -> Option<(f64, f64)> {
    const HALVINGS: usize = 60;
    for _ in 0..HALVINGS {
        for ((trial, a), d) in trial.iter_mut().zip(alpha).zip(&*direction) {
            *trial = if *d >= 0.0 { a + d } else { a / (1.0 - d / a) };
        }
        let (gained, noise) = gain(mean_logs, alpha, trial);
        if gained >= -noise && trial.iter().all(|a| *a > 0.0 && a.is_finite()) {
            return Some((gained, noise));
        }
        for d in &mut *direction {
            *d *= 0.5;
        }
    }
    None
}
