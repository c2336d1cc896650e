//! Maximum likelihood for each covariance structure.
//!
//! With `Sⱼ` the covariance of component `j` alone, `nⱼ` its weight and `pⱼ = nⱼ/Σn`, the M-step minimizes
//! `Σⱼ pⱼ [ln |Σⱼ| + tr(Sⱼ Σⱼ⁻¹)]` under the constraints of the structure.
//!
//! Where axes are known (the columns, the eigenvectors of `Sⱼ`, or common axes), the structure concerns the variances
//! along them only, and [`share_variances`] serves all of them; `EEE`, `VEE` and `EVV` need no axes.
//!
//! Source: Celeux & Govaert (1995), section 4.

use elbo_core::{EstimateError, Repairs};
use elbo_linalg::symmetric_eigen;

use super::axes::{CommonAxes, Criterion};
use super::settling::Settling;
use super::spd::Flat;
use super::structure::{CovarianceStructure, Sharing};
use super::{MultivariateGaussian, MultivariateGaussianStats};

/// A column with less than this share of its variance left, times `d`, follows from the columns before it: what is
/// left is rounding.
const SINGULAR: f64 = 1e-14;

/// Inner iterations after which an M-step gives up. Each is cheap, and convergence is linear with a good rate unless
/// there is no maximum.
const INNER_ITERATIONS: usize = 10_000;

/// Overwrites `next` by the maximum-likelihood components; common axes are no worse than those of `current`.
pub(super) fn maximize_all(
    current: &[MultivariateGaussian],
    stats: &[MultivariateGaussianStats],
    next: &mut [MultivariateGaussian],
) -> Result<Repairs, EstimateError> {
    use CovarianceStructure as S;
    let structure = current[0].structure;
    let mut total = 0.0;
    for (j, (stats, next)) in stats.iter().zip(&mut *next).enumerate() {
        next.structure = structure;
        stats.moments_into(&mut next.mean, &mut next.covariance.values).map_err(|e| e.at(j))?;
        total += stats.total_weight();
    }
    let share = |j: usize| stats[j].total_weight() / total;
    match structure {
        S::EII | S::VII | S::EEI | S::VEI | S::EVI | S::VVI => {
            share_variances(structure, &share, next)?;
            factor_each(next)?;
        }
        S::EEE => pool(&share, next)?,
        S::VEE => proportional(&share, next)?,
        S::EVE | S::VVE => common_axes(structure, &share, current, next)?,
        S::EEV | S::VEV => own_axes(structure, &share, next)?,
        S::EVV => {
            factor_each(next)?;
            let log_volumes: Vec<f64> = next.iter().map(MultivariateGaussian::log_volume).collect();
            equalize_volumes(&share, &log_volumes, next);
            factor_each(next)?;
        }
        S::VVV => factor_each(next)?,
    }
    Ok(Repairs::default())
}

/// The variances along fixed axes, the first `d` numbers of each covariance: from each component's own to those of the
/// structure.
fn share_variances(
    structure: CovarianceStructure,
    share: &dyn Fn(usize) -> f64,
    next: &mut [MultivariateGaussian],
) -> Result<(), EstimateError> {
    if structure.is_spherical() {
        for own in next.iter_mut().map(variances) {
            let mean = own.iter().sum::<f64>() / own.len() as f64;
            own.fill(mean);
        }
    }
    match (structure.volume(), structure.shape()) {
        (Sharing::Equal, Sharing::Equal | Sharing::Identity) => average(share, next, variances),
        (Sharing::Equal, Sharing::Variable) => {
            let mut log_volumes = Vec::with_capacity(next.len());
            for (j, own) in next.iter_mut().map(variances).enumerate() {
                if let Some(column) = own.iter().position(|v| *v <= 0.0) {
                    return Err(singular(j, Flat { column, variance: own[column] }));
                }
                log_volumes.push(own.iter().map(|v| v.ln()).sum::<f64>() / own.len() as f64);
            }
            equalize_volumes(share, &log_volumes, next);
        }
        (_, Sharing::Equal) => common_shape(share, next)?,
        _ => {}
    }
    Ok(())
}

/// Every covariance becomes the average `Σⱼ pⱼ Sⱼ`, in the numbers that `part` shows.
fn average(
    share: &dyn Fn(usize) -> f64,
    next: &mut [MultivariateGaussian],
    part: impl Fn(&mut MultivariateGaussian) -> &mut [f64],
) {
    let (head, rest) = next.split_at_mut(1);
    let pooled = part(&mut head[0]);
    for value in &mut *pooled {
        *value *= share(0);
    }
    for (j, other) in (1..).zip(&mut *rest) {
        elbo_core::add_scaled(pooled, share(j), part(other));
    }
    for other in rest {
        part(other).copy_from_slice(pooled);
    }
}

/// Scales each covariance to the one volume `Σⱼ pⱼ |Sⱼ|^{1/d}`.
fn equalize_volumes(
    share: &dyn Fn(usize) -> f64,
    log_volumes: &[f64],
    next: &mut [MultivariateGaussian],
) {
    let max = log_volumes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let volume: f64 = log_volumes.iter().enumerate().map(|(j, v)| share(j) * (v - max).exp()).sum();
    for (next, own) in next.iter_mut().zip(log_volumes) {
        let factor = volume * (max - own).exp();
        next.covariance.values.iter_mut().for_each(|v| *v *= factor);
    }
}

/// Variances `λⱼ aᵢ` that are closest to the own ones: `a` and `λⱼ` in turn, each the best for the other, until the
/// objective `Σᵢ ln aᵢ / d + Σⱼ pⱼ ln λⱼ` has settled. It is convex in the logarithms: there is one optimum only.
fn common_shape(
    share: &dyn Fn(usize) -> f64,
    next: &mut [MultivariateGaussian],
) -> Result<(), EstimateError> {
    let mut shape = vec![0.0; next[0].d()];
    let d = shape.len() as f64;
    let mut volumes = vec![1.0; next.len()];
    let mut settling = Settling::new();
    for _ in 0..INNER_ITERATIONS {
        shape.fill(0.0);
        for (j, (volume, own)) in volumes.iter().zip(next.iter_mut().map(variances)).enumerate() {
            elbo_core::add_scaled(&mut shape, share(j) / volume, own);
        }
        if let Some(column) = shape.iter().position(|a| *a <= 0.0) {
            return Err(singular(0, Flat { column, variance: shape[column] }));
        }
        let mut step = 0.0_f64;
        let mut objective = shape.iter().map(|a| a.ln()).sum::<f64>() / d;
        for (j, (volume, own)) in volumes.iter_mut().zip(next.iter_mut().map(variances)).enumerate()
        {
            let own_volume = own.iter().zip(&shape).map(|(v, a)| v / a).sum::<f64>() / d;
            step = step.max((own_volume / *volume - 1.0).abs());
            *volume = own_volume;
            if *volume <= 0.0 {
                return Err(singular(j, Flat { column: 0, variance: own[0] }));
            }
            objective += share(j) * volume.ln();
        }
        if settling.is_done(objective, step) {
            for (volume, own) in volumes.iter().zip(next.iter_mut().map(variances)) {
                own.iter_mut().zip(&shape).for_each(|(v, a)| *v = volume * a);
            }
            return Ok(());
        }
    }
    Err(EstimateError::NotSettled {
        what: "a common covariance shape",
        iterations: INNER_ITERATIONS,
    })
}

/// `EEE`.
fn pool(
    share: &dyn Fn(usize) -> f64,
    next: &mut [MultivariateGaussian],
) -> Result<(), EstimateError> {
    average(share, next, |g| &mut g.covariance.values);
    let (head, rest) = next.split_at_mut(1);
    factor(0, &mut head[0])?;
    for other in rest {
        other.covariance.clone_from(&head[0].covariance);
    }
    Ok(())
}

/// `VEE`: `λⱼ C`, as [`common_shape`] with a matrix for the shape.
fn proportional(
    share: &dyn Fn(usize) -> f64,
    next: &mut [MultivariateGaussian],
) -> Result<(), EstimateError> {
    let mut shape = next[0].clone();
    let d = shape.d() as f64;
    let mut volumes = vec![1.0; next.len()];
    let mut settling = Settling::new();
    for own in &mut *next {
        own.covariance.mirror();
    }
    for _ in 0..INNER_ITERATIONS {
        shape.covariance.values.fill(0.0);
        for (j, (volume, own)) in volumes.iter().zip(&*next).enumerate() {
            let weight = share(j) / volume;
            elbo_core::add_scaled(&mut shape.covariance.values, weight, &own.covariance.values);
        }
        factor(0, &mut shape)?;
        let mut step = 0.0_f64;
        let mut objective = shape.covariance.log_det() / d;
        for (j, (volume, own)) in volumes.iter_mut().zip(&*next).enumerate() {
            let own_volume = shape.covariance.trace_of_solved(&own.covariance.values) / d;
            step = step.max((own_volume / *volume - 1.0).abs());
            *volume = own_volume;
            if *volume <= 0.0 {
                return Err(singular(j, Flat { column: 0, variance: own.covariance.get(0, 0) }));
            }
            objective += share(j) * volume.ln();
        }
        if settling.is_done(objective, step) {
            for (volume, next) in volumes.iter().zip(&mut *next) {
                let scaled = shape.covariance.values.iter().map(|c| volume * c);
                next.covariance.values.iter_mut().zip(scaled).for_each(|(to, c)| *to = c);
            }
            return factor_each(next);
        }
    }
    Err(EstimateError::NotSettled {
        what: "proportional covariances",
        iterations: INNER_ITERATIONS,
    })
}

/// `EEV` and `VEV`: along the eigenvectors of each `Sⱼ`, largest variance first.
fn own_axes(
    structure: CovarianceStructure,
    share: &dyn Fn(usize) -> f64,
    next: &mut [MultivariateGaussian],
) -> Result<(), EstimateError> {
    let d = next[0].d();
    let mut axes = Vec::with_capacity(next.len());
    for next in &mut *next {
        let (values, vectors) = eigen(&next.covariance.values, d)?;
        variances(next).copy_from_slice(&values);
        axes.push(vectors);
    }
    share_variances(structure, share, next)?;
    for (next, axes) in next.iter_mut().zip(&axes) {
        compose(next, axes);
    }
    factor_each(next)
}

/// `EVE` and `VVE`: along axes that all components share.
///
/// The criterion has local optima. Axes are sought from those of `current`, so that they never get worse, and from the
/// eigenvectors of each `Sⱼ`, should they be better after a few sweeps. A slow search stops, too: it goes on in the
/// next EM step, which starts where this one ends.
fn common_axes(
    structure: CovarianceStructure,
    share: &dyn Fn(usize) -> f64,
    current: &[MultivariateGaussian],
    next: &mut [MultivariateGaussian],
) -> Result<(), EstimateError> {
    const ALL: usize = 1000;
    const FEW: usize = 8;
    /// A new optimum must be better by more than rounding.
    const BETTER: f64 = 1e-9;
    let d = current[0].d();
    factor_each(next)?; // a flat direction could become an axis, and the likelihood infinite
    let criterion = match structure.volume() {
        Sharing::Equal => Criterion::OneVolume,
        _ => Criterion::OwnVolumes,
    };
    let weighted = |(j, g)| -> (f64, &[f64]) {
        let gaussian: &MultivariateGaussian = g;
        (share(j), &gaussian.covariance.values)
    };
    let mut before =
        CommonAxes::new(Criterion::OwnVolumes, d, current.iter().enumerate().map(weighted));
    before.minimize(ALL);
    let unturned = CommonAxes::new(criterion, d, next.iter().enumerate().map(weighted));
    let from = |axes: &[f64], sweeps| {
        let mut common = unturned.clone();
        common.start_at(axes);
        common.minimize(sweeps);
        common
    };
    let mut best = from(&before.axes, ALL);
    for own in &*next {
        let mut other = from(&eigen(&own.covariance.values, d)?.1, FEW);
        if other.value() < best.value() - BETTER {
            other.minimize(ALL);
            best = other;
        }
    }
    for (j, next) in next.iter_mut().enumerate() {
        variances(next).iter_mut().zip(best.variances(j)).for_each(|(to, v)| *to = v);
    }
    share_variances(structure, share, next)?;
    for next in &mut *next {
        compose(next, &best.axes);
    }
    factor_each(next)
}

/// Eigenvalues, largest first, and eigenvectors in rows. Rounding below zero counts as zero.
fn eigen(matrix: &[f64], d: usize) -> Result<(Vec<f64>, Vec<f64>), EstimateError> {
    let infeasible = |_| EstimateError::Infeasible { component: 0, what: "covariance" };
    let eigen = symmetric_eigen(matrix, d).map_err(infeasible)?;
    let values = eigen.values.iter().rev().map(|v| v.max(0.0)).collect();
    let vectors = eigen.vectors.chunks_exact(d).rev().flatten().copied().collect();
    Ok((values, vectors))
}

/// `Σ = Σᵢ vᵢ aᵢ aᵢᵀ` from the variances, the first `d` numbers, and the axes `aᵢ`, the rows of a matrix.
fn compose(next: &mut MultivariateGaussian, axes: &[f64]) {
    let d = next.d();
    let own = variances(next).to_vec();
    let values = &mut next.covariance.values;
    values.fill(0.0);
    for (variance, axis) in own.iter().zip(axes.chunks_exact(d)) {
        elbo_linalg::rank_one_update_lower(values, d, *variance, axis);
    }
}

fn variances(gaussian: &mut MultivariateGaussian) -> &mut [f64] {
    let d = gaussian.d();
    &mut gaussian.covariance.values[..d]
}

fn factor_each(next: &mut [MultivariateGaussian]) -> Result<(), EstimateError> {
    next.iter_mut().enumerate().try_for_each(|(j, next)| factor(j, next))
}

fn factor(component: usize, next: &mut MultivariateGaussian) -> Result<(), EstimateError> {
    let tolerance = SINGULAR * next.d() as f64;
    next.covariance.factor(tolerance).map_err(|flat| singular(component, flat))
}

fn singular(component: usize, Flat { column, variance }: Flat) -> EstimateError {
    EstimateError::Singular { component, column, variance }
}
