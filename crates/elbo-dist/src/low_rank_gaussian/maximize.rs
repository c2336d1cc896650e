//! Maximum likelihood of factor analysis from a covariance.
//!
//! Everything is in units of the columns' standard deviations, so that it is the same in every unit. With `R` the
//! correlation matrix, `ln |Σ| + tr(Σ⁻¹ R)` is minimized over uniquenesses `ψ` and loadings `W`.

use elbo_core::{EstimateError, Repairs, add_scaled};
use elbo_linalg::{
    LowRankPlusDiagonal, cholesky_relative, mirror_lower, solve_lower_in_place,
    solve_lower_transposed_in_place, spd_inverse_from_cholesky, symmetric_eigen,
};

use super::LowRankGaussian;
use crate::MultivariateGaussianStats;
use crate::multivariate_gaussian::Settling;

/// The least share of a column's variance that may be its own.
const HEYWOOD: f64 = 1e-8;

/// Sweeps after which an M-step leaves the rest to the next one.
const SWEEPS: usize = 2000;

/// Overwrites `next` by the maximum-likelihood estimate, or by what is nearer to it than `current`.
pub(super) fn maximize(
    current: &LowRankGaussian,
    stats: &MultivariateGaussianStats,
    next: &mut LowRankGaussian,
) -> Result<Repairs, EstimateError> {
    let (d, q) = (current.d(), current.q());
    let (mut mean, mut covariance) = (vec![0.0; d], vec![0.0; d * d]);
    stats.moments_into(&mut mean, &mut covariance)?;
    let mut std_dev = vec![0.0; d];
    for (column, std_dev) in std_dev.iter_mut().enumerate() {
        let variance = covariance[column * (d + 1)];
        if variance <= 0.0 {
            return Err(EstimateError::Singular { component: 0, column, variance });
        }
        *std_dev = variance.sqrt();
    }
    for i in 0..d {
        for j in 0..=i {
            covariance[i * d + j] /= std_dev[i] * std_dev[j];
        }
    }
    mirror_lower(&mut covariance, d);
    let uniquenesses = current.uniquenesses.iter().zip(&std_dev);
    let now: Vec<f64> = uniquenesses.map(|(v, s)| (v / s / s).max(HEYWOOD)).collect();
    let mut best = Analysis::new(&covariance, q, now)?;
    let other = Analysis::new(&covariance, q, principal_axes(&covariance, d, q))?;
    if other.objective < best.objective {
        best = other;
    }
    best.minimize()?;
    for (i, s) in std_dev.iter().enumerate() {
        best.psi[i] *= s * s;
        best.loadings[i * q..][..q].iter_mut().for_each(|w| *w *= s);
    }
    let infeasible = |_| EstimateError::Infeasible { component: 0, what: "factor analyzer" };
    let factored = LowRankPlusDiagonal::new(&best.loadings, &best.psi, q).map_err(infeasible)?;
    *next = LowRankGaussian {
        mean,
        loadings: best.loadings,
        uniquenesses: best.psi,
        covariance: factored,
    };
    Ok(Repairs::default())
}

/// `(1 − q/2d) / (R⁻¹)ᵢᵢ`, a lower bound of uniquenesses made smaller for the number of factors; one half where `R` is
/// singular.
///
/// Source: Jöreskog (1967), Psychometrika 32(4).
fn principal_axes(r: &[f64], d: usize, q: usize) -> Vec<f64> {
    let mut factor = r.to_vec();
    if cholesky_relative(&mut factor, d, 1e-8).is_err() {
        return vec![0.5; d];
    }
    let mut inverse = vec![0.0; d * d];
    spd_inverse_from_cholesky(&factor, d, &mut inverse);
    let share = 1.0 - 0.5 * q as f64 / d as f64;
    inverse.iter().step_by(d + 1).map(|own| (share / own).max(HEYWOOD)).collect()
}

/// Uniquenesses and the best loadings for them.
struct Analysis<'a> {
    r: &'a [f64],
    q: usize,
    psi: Vec<f64>,
    /// `d × q`, row-major.
    loadings: Vec<f64>,
    objective: f64,
    /// Eigenvalues of `R` in units of `√ψ`, largest first, and eigenvectors in rows.
    values: Vec<f64>,
    vectors: Vec<f64>,
}

impl<'a> Analysis<'a> {
    fn new(r: &'a [f64], q: usize, psi: Vec<f64>) -> Result<Self, EstimateError> {
        let loadings = vec![0.0; psi.len() * q];
        let (objective, values, vectors) = (f64::INFINITY, Vec::new(), Vec::new());
        let mut new = Self { r, q, psi, loadings, objective, values, vectors };
        new.best_loadings()?;
        Ok(new)
    }

    /// Newton's steps where they lead downhill, else uniquenesses and loadings in turn, until nothing but rounding is
    /// left.
    fn minimize(&mut self) -> Result<(), EstimateError> {
        /// Sweeps that a uniqueness may spend at its least value.
        const PATIENCE: usize = 100;
        let mut settling = Settling::new();
        let mut at_boundary = 0;
        for _ in 0..SWEEPS {
            let step = if let Some(step) = self.newton_step()? {
                step
            } else {
                let step = self.improve_uniquenesses();
                self.best_loadings()?;
                step
            };
            let is_inside = self.psi.iter().all(|v| *v > 2.0 * HEYWOOD);
            at_boundary = if is_inside { 0 } else { at_boundary + 1 };
            if settling.is_done(self.objective, step) || at_boundary == PATIENCE {
                break;
            }
        }
        if self.psi.iter().any(|v| *v <= 2.0 * HEYWOOD) {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "uniqueness of a column",
                limit: "0",
                cure: "use fewer factors, or leave out a column that others determine",
            });
        }
        Ok(())
    }

    /// The loadings `√ψ vₐ √(λₐ − 1)` from the leading eigenvectors of `R` in units of `√ψ`, and the objective.
    fn best_loadings(&mut self) -> Result<(), EstimateError> {
        let (d, q) = (self.psi.len(), self.q);
        let root: Vec<f64> = self.psi.iter().map(|v| v.sqrt()).collect();
        let scaled: Vec<f64> = (0..d * d).map(|p| self.r[p] / root[p / d] / root[p % d]).collect();
        let infeasible = |_| EstimateError::Infeasible { component: 0, what: "factor analyzer" };
        let eigen = symmetric_eigen(&scaled, d).map_err(infeasible)?;
        self.values = eigen.values.iter().rev().copied().collect();
        self.vectors = eigen.vectors.chunks_exact(d).rev().flatten().copied().collect();
        self.objective = self.psi.iter().map(|v| v.ln()).sum();
        for (a, (value, vector)) in self.values.iter().zip(self.vectors.chunks_exact(d)).enumerate()
        {
            if a >= q {
                self.objective += value;
                continue;
            }
            let kept = value.max(1.0);
            self.objective += kept.ln() + value / kept;
            for i in 0..d {
                self.loadings[i * q + a] = root[i] * vector[i] * (kept - 1.0).sqrt();
            }
        }
        Ok(())
    }

    /// A step of Newton's method in `ln ψ`, the loadings being the best for each `ψ`; returns its largest part, or
    /// nothing if it would not lead downhill, and is not taken.
    ///
    /// With eigenvalues `θ` and eigenvectors `v` of `R` in units of `√ψ`, those of `m` not kept as factors, those of `n`
    /// kept, the gradient is `Σₘ (1 − θₘ) vₘᵢ²`, as moving `ln ψᵢ` moves `θₘ` by `−θₘ vₘᵢ²`.
    /// The second derivatives are
    /// `Σₘ vₘᵢ vₘⱼ [Σₘ' θₘ vₘ'ᵢ vₘ'ⱼ + Σₙ (1 − θₘ)(θₙ + θₘ)/(θₙ − θₘ) vₙᵢ vₙⱼ]`.
    fn newton_step(&mut self) -> Result<Option<f64>, EstimateError> {
        /// The longest step, in `ln ψ`.
        const LONGEST: f64 = 2.0;
        let d = self.psi.len();
        let (mut step, mut hessian) = self.derivatives();
        if cholesky_relative(&mut hessian, d, 1e-12).is_err() {
            return Ok(None);
        }
        solve_lower_in_place(&hessian, d, &mut step);
        solve_lower_transposed_in_place(&hessian, d, &mut step);
        let largest = step.iter().fold(0.0, |largest: f64, s| largest.max(s.abs()));
        if largest > LONGEST {
            return Ok(None);
        }
        let moved = self.psi.iter().zip(&step).map(|(v, s)| (v * (-s).exp()).max(HEYWOOD));
        let other = Self::new(self.r, self.q, moved.collect())?;
        let rounding = 4.0 * f64::EPSILON * (d as f64 + self.objective.abs());
        if other.objective <= self.objective + rounding {
            *self = other;
            return Ok(Some(largest));
        }
        Ok(None)
    }

    /// First and second derivatives of the objective in `ln ψ`.
    fn derivatives(&self) -> (Vec<f64>, Vec<f64>) {
        let d = self.psi.len();
        let kept = self.values[..self.q].iter().take_while(|value| **value > 1.0).count();
        let vector = |m: usize| &self.vectors[m * d..][..d];
        let outer = |weight: &dyn Fn(usize) -> f64| {
            let mut sum = vec![0.0; d * d];
            for m in kept..d {
                elbo_linalg::rank_one_update_lower(&mut sum, d, weight(m), vector(m));
            }
            sum
        };
        let mut gradient = vec![0.0; d];
        for m in kept..d {
            let weight = 1.0 - self.values[m];
            gradient.iter_mut().zip(vector(m)).for_each(|(g, v)| *g += weight * v * v);
        }
        let mut hessian = outer(&|m| self.values[m]);
        hessian.iter_mut().zip(outer(&|_| 1.0)).for_each(|(h, x)| *h *= x);
        for n in 0..kept {
            let theta = self.values[n];
            let inner = outer(&|m| {
                let other = self.values[m];
                (1.0 - other) * (theta + other) / (theta - other)
            });
            for i in 0..d {
                for j in 0..=i {
                    hessian[i * d + j] += inner[i * d + j] * vector(n)[i] * vector(n)[j];
                }
            }
        }
        (gradient, hessian)
    }

    /// One uniqueness after the other to its best value given everything else; returns the largest relative step.
    ///
    /// With `P = Σ⁻¹` and `T = P R P`, adding `δ` to `ψᵢ` changes the objective by `ln(1 + δp) − δt/(1 + δp)`, `p` and `t`
    /// their diagonal elements: its only minimum is at `δ = (t − p)/p²`.
    fn improve_uniquenesses(&mut self) -> f64 {
        let d = self.psi.len();
        let (mut p, mut t) = self.inverse();
        let mut largest = 0.0_f64;
        for i in 0..d {
            let (p_ii, t_ii) = (p[i * d + i], t[i * d + i]);
            let new = (self.psi[i] + (t_ii - p_ii) / (p_ii * p_ii)).max(HEYWOOD);
            let delta = new - self.psi[i];
            largest = largest.max((delta / new).abs());
            self.psi[i] = new;
            let kappa = delta / (1.0 + delta * p_ii);
            let (p_i, t_i) = (p[i * d..][..d].to_vec(), t[i * d..][..d].to_vec());
            for a in 0..d {
                let row = &mut t[a * d..][..d];
                add_scaled(row, -kappa * p_i[a], &t_i);
                add_scaled(row, kappa * (kappa * t_ii * p_i[a] - t_i[a]), &p_i);
                add_scaled(&mut p[a * d..][..d], -kappa * p_i[a], &p_i);
            }
        }
        largest
    }

    /// `P = Σ⁻¹` and `P R P`.
    fn inverse(&self) -> (Vec<f64>, Vec<f64>) {
        let (d, q) = (self.psi.len(), self.q);
        let sigma = LowRankPlusDiagonal::new(&self.loadings, &self.psi, q)
            .expect("loadings of a correlation matrix in units of uniquenesses above 10⁻⁸");
        let mut scratch = vec![0.0; q];
        let mut p = vec![0.0; d * d];
        for (i, row) in p.chunks_exact_mut(d).enumerate() {
            row[i] = 1.0;
            sigma.solve_in_place(row, &mut scratch);
        }
        let product = |a: &[f64], b: &[f64]| {
            let mut c = vec![0.0; d * d];
            for (c, a) in c.chunks_exact_mut(d).zip(a.chunks_exact(d)) {
                a.iter().zip(b.chunks_exact(d)).for_each(|(a, b)| add_scaled(c, *a, b));
            }
            c
        };
        let t = product(&product(&p, self.r), &p);
        (p, t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: [f64; 16] =
        [1.0, 0.5, -0.3, 0.2, 0.5, 1.0, 0.1, 0.4, -0.3, 0.1, 1.0, 0.25, 0.2, 0.4, 0.25, 1.0];

    /// `ln |Σ| + tr(Σ⁻¹ R)`.
    fn discrepancy(loadings: &[f64], psi: &[f64]) -> f64 {
        let sigma = LowRankPlusDiagonal::new(loadings, psi, 1).unwrap();
        let mut trace = 0.0;
        for i in 0..4 {
            let mut column = R[i * 4..][..4].to_vec();
            sigma.solve_in_place(&mut column, &mut [0.0]);
            trace += column[i];
        }
        sigma.log_det() + trace
    }

    #[test]
    fn derivatives_agree_with_differences() {
        const H: f64 = 1e-4;
        let psi = [0.3, 0.6, 0.9, 0.7];
        let at = |i: usize, h: f64| {
            let mut psi = psi.to_vec();
            psi[i] *= h.exp();
            Analysis::new(&R, 1, psi).unwrap()
        };
        let here = at(0, 0.0);
        assert!((here.objective - discrepancy(&here.loadings, &psi)).abs() < 1e-13);
        let (gradient, hessian) = here.derivatives();
        for i in 0..4 {
            let (ahead, behind) = (at(i, H), at(i, -H));
            // central differences are wrong by H² times a third derivative of size 1
            let slope = (ahead.objective - behind.objective) / (2.0 * H);
            assert!((slope - gradient[i]).abs() < 1e-7, "{slope} {}", gradient[i]);
            let (ahead, behind) = (ahead.derivatives().0, behind.derivatives().0);
            for j in 0..=i {
                let curvature = (ahead[j] - behind[j]) / (2.0 * H);
                let claimed = hessian[i * 4 + j];
                assert!((curvature - claimed).abs() < 1e-7, "{i}, {j}: {curvature} {claimed}");
            }
        }
    }

    #[test]
    fn each_uniqueness_goes_to_its_best_value() {
        let mut analysis = Analysis::new(&R, 1, vec![0.9, 0.2, 0.5, 0.4]).unwrap();
        let before = analysis.objective;
        analysis.improve_uniquenesses();
        let (loadings, psi) = (&analysis.loadings, &analysis.psi);
        let after = discrepancy(loadings, psi);
        assert!(after < before - 1e-3, "{after} is hardly below {before}");
        // the last one was moved with all others where they are now
        for h in [1e-3, -1e-3] {
            let mut near = psi.clone();
            near[3] *= 1.0 + h;
            assert!(discrepancy(loadings, &near) > after);
        }
    }
}
