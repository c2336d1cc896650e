//! Learning from posteriors: type-II maximum likelihood.

use elbo_core::{EmpiricalBayes, EstimateError, add_scaled};

use super::MatrixNormalInverseWishart;
use crate::multivariate_gaussian::spd::Spd;
use crate::prior::learning::{InverseWishartShape, average_precision, learned_inverse_wishart};
use crate::regression::plane::Plane;

impl EmpiricalBayes for MatrixNormalInverseWishart {
    /// The function, its precision and its center in closed form, `Ψ/ν` the inverse of the average expected precision, and
    /// `ν` by Newton's method.
    ///
    /// Coefficients of all responses together have, between columns, the average over posteriors of
    /// `Vⱼ + (Bⱼ − B)ᵀ νⱼΨⱼ⁻¹ (Bⱼ − B)/q` for a variance. Cost: `p³ + q³ + p q (p + q)` flops for each posterior.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        assert!(!posteriors.is_empty(), "at least one posterior is needed");
        assert!(posteriors.iter().all(|q| self.is_alike(q)), "posteriors of another shape");
        let of_covariances = posteriors.iter().map(|q| (q.degrees_of_freedom, &q.scale));
        let average = average_precision(of_covariances.clone());
        let shape =
            InverseWishartShape { order: self.order(), repeats: 1.0, copies: self.copies() };
        let (degrees_of_freedom, scale) = learned_inverse_wishart(of_covariances, &average, shape)?;
        let origin = &posteriors[0].plane;
        let tilts: Vec<Vec<f64>> = posteriors.iter().map(|q| q.tilts_from(origin)).collect();
        let mean = average_tilt(posteriors, &tilts, &average);
        let variance = average_variance(posteriors, &origin.center, &tilts, &mean);
        let (center, value_pseudo_count, precision) = self.split(&origin.center, &variance)?;
        let width = self.width();
        let slopes = (0..self.outputs()).flat_map(|o| {
            let change = &mean[o * width + width - self.covariates()..][..self.covariates()];
            origin.row(o).iter().zip(change).map(|(slope, change)| slope + change)
        });
        let slopes: Vec<f64> = slopes.collect();
        let mut plane =
            Plane { center: origin.center.clone(), value: origin.value.clone(), slopes };
        if value_pseudo_count.is_some() {
            for (o, value) in plane.value.iter_mut().enumerate() {
                *value += mean[o * width];
            }
            plane.value = plane.evaluate(&center);
            plane.center = center;
        }
        Ok(Self { plane, value_pseudo_count, precision, degrees_of_freedom, scale })
    }
}

impl MatrixNormalInverseWishart {
    fn is_alike(&self, other: &Self) -> bool {
        (self.covariates(), self.outputs()) == (other.covariates(), other.outputs())
            && self.value_pseudo_count.is_some() == other.value_pseudo_count.is_some()
            && self.scale.is_diagonal() == other.scale.is_diagonal()
    }

    /// Columns of coefficients: the value, if there is one, and the slopes.
    fn width(&self) -> usize {
        self.covariates() + usize::from(self.value_pseudo_count.is_some())
    }

    /// By how much our function exceeds another at its center, if functions have a value, and in its slopes: `q × width`.
    fn tilts_from(&self, origin: &Plane) -> Vec<f64> {
        let there = self.plane.evaluate(&origin.center);
        let mut tilts = Vec::with_capacity(self.outputs() * self.width());
        for (o, (there, value)) in there.iter().zip(&origin.value).enumerate() {
            if self.value_pseudo_count.is_some() {
                tilts.push(there - value);
            }
            tilts.extend(self.plane.row(o).iter().zip(origin.row(o)).map(|(ours, at)| ours - at));
        }
        tilts
    }

    /// Adds `factor` times the variance between columns, with the value taken at `center`.
    fn add_variance(&self, factor: f64, center: &[f64], sum: &mut [f64]) {
        let (p, width) = (self.covariates(), self.width());
        let of_slopes = self.precision.inverse();
        let first = width - p;
        for a in 0..p {
            for b in 0..p {
                sum[(first + a) * width + first + b] += factor * of_slopes[a * p + b];
            }
        }
        if first == 1 {
            let mut along: Vec<f64> =
                center.iter().zip(&self.plane.center).map(|(to, from)| to - from).collect();
            self.precision.solve_in_place(&mut along);
            for (a, along) in along.iter().enumerate() {
                sum[1 + a] += factor * along;
                sum[(1 + a) * width] += factor * along;
            }
            sum[0] += factor * self.leverage(center);
        }
    }

    /// Center, pseudo-count of the value there and precision of the slopes that give this variance between columns.
    fn split(
        &self,
        origin: &[f64],
        variance: &[f64],
    ) -> Result<(Vec<f64>, Option<f64>, Spd), EstimateError> {
        let (p, width) = (self.covariates(), self.width());
        let first = width - p;
        let no_prior = |parameter| EstimateError::NoPrior { parameter };
        let of_slopes =
            (0..p * p).map(|at| variance[(first + at / p) * width + first + at % p]).collect();
        let of_slopes = Spd::new(of_slopes, p).map_err(|_| no_prior("precision"))?;
        let precision = Spd::new(of_slopes.inverse(), p).map_err(|_| no_prior("precision"))?;
        if first == 0 {
            return Ok((origin.to_vec(), None, precision));
        }
        let along = &variance[1..width];
        let mut shift = along.to_vec();
        of_slopes.solve_in_place(&mut shift);
        let explained: f64 = shift.iter().zip(along).map(|(a, b)| a * b).sum();
        let count = (variance[0] - explained).recip();
        if !(count > 0.0 && count.is_finite()) {
            return Err(no_prior("pseudo-count of the value"));
        }
        let center = origin.iter().zip(&shift).map(|(origin, shift)| origin - shift).collect();
        Ok((center, Some(count), precision))
    }
}

/// `Λ̄⁻¹ (1/n) Σ νⱼΨⱼ⁻¹ Tⱼ` of the `q × width` matrices `T`.
fn average_tilt(
    posteriors: &[MatrixNormalInverseWishart],
    tilts: &[Vec<f64>],
    average: &Spd,
) -> Vec<f64> {
    let (q, n) = (posteriors[0].outputs(), posteriors.len() as f64);
    let width = posteriors[0].width();
    let mut mean = vec![0.0; q * width];
    let (mut sum, mut column) = (vec![0.0; q], vec![0.0; q]);
    for c in 0..width {
        sum.fill(0.0);
        for (posterior, tilt) in posteriors.iter().zip(tilts) {
            column.iter_mut().enumerate().for_each(|(o, x)| *x = tilt[o * width + c]);
            posterior.scale.solve_in_place(&mut column);
            add_scaled(&mut sum, posterior.degrees_of_freedom / n, &column);
        }
        average.solve_in_place(&mut sum);
        sum.iter().enumerate().for_each(|(o, x)| mean[o * width + c] = *x);
    }
    mean
}

/// `(1/n) Σ [Vⱼ + (Tⱼ − T̄)ᵀ νⱼΨⱼ⁻¹ (Tⱼ − T̄)/q]`.
fn average_variance(
    posteriors: &[MatrixNormalInverseWishart],
    center: &[f64],
    tilts: &[Vec<f64>],
    mean: &[f64],
) -> Vec<f64> {
    let (q, n) = (posteriors[0].outputs(), posteriors.len() as f64);
    let width = posteriors[0].width();
    let mut variance = vec![0.0; width * width];
    for (posterior, tilt) in posteriors.iter().zip(tilts) {
        posterior.add_variance(n.recip(), center, &mut variance);
        let column = |c: usize| -> Vec<f64> {
            (0..q).map(|o| tilt[o * width + c] - mean[o * width + c]).collect()
        };
        let factor = posterior.degrees_of_freedom / (q as f64 * n);
        for a in 0..width {
            let mut solved = column(a);
            posterior.scale.solve_in_place(&mut solved);
            for b in 0..width {
                let product: f64 = column(b).iter().zip(&solved).map(|(x, y)| x * y).sum();
                variance[a * width + b] += factor * product;
            }
        }
    }
    variance
}
