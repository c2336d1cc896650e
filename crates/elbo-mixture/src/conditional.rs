//! Marginals, conditionals and moments of mixtures of Gaussians: regression by conditioning.

use elbo_core::{BLOCK_STRIDE, Batch, EStepError, Rows, Weighted, add_scaled};
use elbo_dist::{Categorical, MultivariateGaussian};
use elbo_linalg::log_sum_exp;

use crate::{Mixture, MixtureError};

/// A mixture of Gaussians is closed under marginals and conditionals, so that a joint fit of all columns answers every
/// question about some of them given others.
///
/// ```
/// use elbo_mixture::{CovarianceStructure::VVV, Mixture, MultivariateGaussian, Rows};
///
/// // y = x left of zero, y = −x right of it.
/// let left = MultivariateGaussian::new(VVV, vec![-2.0, -2.0], &[1.0, 1.0, 1.0, 1.01])?;
/// let right = MultivariateGaussian::new(VVV, vec![2.0, -2.0], &[1.0, -1.0, -1.0, 1.01])?;
/// let joint = Mixture::new(vec![0.5, 0.5], vec![left, right])?;
///
/// let curve = joint.conditional_means(&[0], Rows::new(&[-3.0, 0.0, 3.0], 3, 1))?;
/// assert!((curve[0] + 3.0).abs() < 1e-4 && (curve[1] + 0.0).abs() < 1e-9 && (curve[2] + 3.0).abs() < 1e-4);
///
/// let at_zero = joint.conditional(&[0], &[0.0])?;
/// assert!((at_zero.weights()[0] - 0.5).abs() < 1e-12 && (at_zero.covariance()[0] - 0.01).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Mixture<MultivariateGaussian> {
    /// Number of columns.
    pub fn d(&self) -> usize {
        self.components()[0].d()
    }

    /// `E[x] = Σⱼ πⱼ μⱼ`, in the unit of the data.
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.d()];
        for (weight, component) in self.weights().iter().zip(self.components()) {
            add_scaled(&mut mean, *weight, component.mean());
        }
        mean
    }

    /// `Var[x] = Σⱼ πⱼ (Σⱼ + (μⱼ − E[x])(μⱼ − E[x])ᵀ)`, `d × d`, row by row.
    pub fn covariance(&self) -> Vec<f64> {
        let (d, mean) = (self.d(), self.mean());
        let mut covariance = vec![0.0; d * d];
        for (weight, component) in self.weights().iter().zip(self.components()) {
            add_scaled(&mut covariance, *weight, &component.covariance());
            let apart: Vec<f64> = component.mean().iter().zip(&mean).map(|(a, b)| a - b).collect();
            for (row, x) in covariance.chunks_exact_mut(d).zip(&apart) {
                add_scaled(row, weight * x, &apart);
            }
        }
        covariance
    }

    /// The mixture of some columns, in the order given.
    ///
    /// # Errors
    ///
    /// [`MixtureError::Component`] if a component is singular in these columns to working precision.
    ///
    /// # Panics
    ///
    /// If there is no column, one is out of range or given twice.
    pub fn marginal(&self, columns: &[usize]) -> Result<Self, MixtureError> {
        self.map(|component| component.marginal(columns)).map(|components| {
            let (weights, _) = self.parts();
            Self::from_parts(weights.clone(), components)
        })
    }

    /// The mixture of the other columns, ascending, given that the columns `given` have these `values`: components are
    /// conditioned, and weights are the responsibilities of the values. Cost: up to `4 k d³` flops.
    ///
    /// # Errors
    ///
    /// [`MixtureError::Component`] if a value is not finite, or a component is singular to working precision;
    /// [`MixtureError::EStep`] if the values are so far from all components that none has a density.
    ///
    /// # Panics
    ///
    /// If there is not one value per column given, a column is out of range or given twice, or none is left.
    pub fn conditional(&self, given: &[usize], values: &[f64]) -> Result<Self, MixtureError> {
        let components = self.map(|component| component.conditional(given, values))?;
        if given.is_empty() {
            return Ok(Self::from_parts(self.parts().0.clone(), components));
        }
        let marginal = self.marginal(given)?;
        let pairs = self.weights().iter().zip(marginal.components());
        let joint: Vec<f64> =
            pairs.map(|(weight, c)| weight.ln() + c.log_density(values)).collect();
        let total = log_sum_exp(&joint);
        if total == f64::NEG_INFINITY {
            return Err(EStepError::Impossible { row: 0 }.into());
        }
        let shares: Vec<f64> = joint.iter().map(|x| (x - total).exp()).collect();
        Ok(Self::from_parts(Categorical::from_weights(&shares)?, components))
    }

    /// `E[x_m ∣ x_o]` for many rows `x_o` of the columns `given`: the regression function, `n × (d − p)`, row by row.
    /// Cost: one E-step over `p` columns, and `2 k p (d − p)` flops per row.
    ///
    /// # Errors
    ///
    /// [`DataError::NotFinite`](elbo_core::DataError::NotFinite) where a value is missing or infinite; otherwise as [`conditional`](Self::conditional).
    ///
    /// # Panics
    ///
    /// If there is not one column of `rows` per column given, a column is out of range or given twice, or none is left or
    /// given.
    pub fn conditional_means(
        &self,
        given: &[usize],
        rows: Rows<'_>,
    ) -> Result<Vec<f64>, MixtureError> {
        assert_eq!(given.len(), rows.d(), "one column of values per column given");
        assert!(given.len() < self.d(), "no column is left");
        rows.check_finite()?;
        let left: Vec<usize> = (0..self.d()).filter(|c| !given.contains(c)).collect();
        let slopes: Vec<Vec<f64>> =
            self.components().iter().map(|c| c.regression_coefficients(given)).collect();
        let (p, q) = (given.len(), left.len());
        let mut means = vec![0.0; rows.len() * q];
        let mut apart = vec![0.0; p];
        self.marginal(given)?.for_each_block(Weighted::uniform(rows), |block| {
            let of_block = means[block.start * q..].chunks_exact_mut(q).take(block.n);
            for (i, out) in of_block.enumerate() {
                for (j, component) in self.components().iter().enumerate() {
                    let share = block.responsibilities[j * BLOCK_STRIDE + i];
                    let mean = component.mean();
                    for (a, apart) in apart.iter_mut().enumerate() {
                        *apart = rows.get(block.start + i, a) - mean[given[a]];
                    }
                    for ((out, column), row) in
                        out.iter_mut().zip(&left).zip(slopes[j].chunks_exact(p))
                    {
                        let change: f64 = row.iter().zip(&apart).map(|(b, x)| b * x).sum();
                        *out += share * (mean[*column] + change);
                    }
                }
            }
        })?;
        Ok(means)
    }

    fn map(
        &self,
        f: impl Fn(&MultivariateGaussian) -> Result<MultivariateGaussian, elbo_dist::ParameterError>,
    ) -> Result<Vec<MultivariateGaussian>, MixtureError> {
        let place = |(component, gaussian)| {
            f(gaussian).map_err(|source| MixtureError::Component { component, source })
        };
        self.components().iter().enumerate().map(place).collect()
    }
}
