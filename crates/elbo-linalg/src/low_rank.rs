//! Covariances of the form `diag(ψ) + W Wᵀ`, solved in the small dimension.

use crate::spd::{cholesky_in_place, log_det_from_cholesky, rank_one_update_lower};
use crate::triangular::{add_scaled, dot, forward_substitute, solve_lower_transposed_in_place};

/// A factored `d × d` covariance `Σ = diag(ψ) + W Wᵀ` with `W` of shape `d × q`, `q < d`.
///
/// It is kept as `ψ`, `W` and the Cholesky factor of the `q × q` matrix `M = I + Wᵀ diag(ψ)⁻¹ W`,
/// never as a `d × d` matrix: a solve costs `4dq` flops where a dense one costs `2d²`.
/// As the model `x = W z + e`, `z ~ N(0, I)`, `e ~ N(0, diag(ψ))`, `M` is the posterior precision
/// of `z`.
///
/// # Source
///
/// Woodbury's identity and Sylvester's determinant theorem: Golub & Van Loan (2013), *Matrix
/// Computations*, 4th ed., §2.1.4. Quadratic form as a sum of two squares: completing the square.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankPlusDiagonal {
    loadings: Vec<f64>,
    variances: Vec<f64>,
    factor: Vec<f64>,
    q: usize,
}

impl LowRankPlusDiagonal {
    /// Factors `diag(variances) + W Wᵀ`.
    ///
    /// `loadings` is `W`, `d × q`, row-major; `variances` is `ψ`, of length `d`; both in units of the
    /// data (squared for `ψ`). Cost: `d q² + q³ / 3` flops; allocates copies and a `q × q` matrix.
    ///
    /// ```
    /// use elbo_linalg::LowRankPlusDiagonal;
    ///
    /// let sigma = LowRankPlusDiagonal::new(&[1.0, 1.0], &[1.0, 2.0], 1)?; // [2 1; 1 3]
    /// assert!((sigma.log_det() - 5.0_f64.ln()).abs() < 1e-15);
    /// assert!((sigma.quadratic_form(&[1.0, 0.0], &mut [0.0]) - 0.6).abs() < 1e-15);
    /// # Ok::<(), elbo_linalg::LowRankError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LowRankError::Variance`] if a variance is not positive and finite,
    /// [`LowRankError::Loading`] if a loading is NaN or so large that `W Wᵀ` overflows beside `ψ`.
    ///
    /// # Panics
    ///
    /// If `loadings` is not `variances.len() × q`.
    pub fn new(loadings: &[f64], variances: &[f64], q: usize) -> Result<Self, LowRankError> {
        let d = variances.len();
        assert!(loadings.len() == d * q, "W is {d} × {q}, got {} numbers", loadings.len());
        let mut factor = vec![0.0; q * q];
        for (feature, &variance) in variances.iter().enumerate() {
            if !(variance > 0.0 && variance.is_finite()) {
                return Err(LowRankError::Variance { feature, variance });
            }
            rank_one_update_lower(&mut factor, q, variance.recip(), &loadings[feature * q..][..q]);
        }
        for j in 0..q {
            factor[j * q + j] += 1.0;
        }
        cholesky_in_place(&mut factor, q).map_err(|error| LowRankError::Loading {
            factor: error.column,
            precision: error.diagonal,
        })?;
        Ok(Self { loadings: loadings.to_vec(), variances: variances.to_vec(), factor, q })
    }

    /// Order `d` of the covariance.
    pub fn order(&self) -> usize {
        self.variances.len()
    }

    /// Rank `q` of the low-rank part.
    pub fn rank(&self) -> usize {
        self.q
    }

    /// `W`, `d × q`, row-major.
    pub fn loadings(&self) -> &[f64] {
        &self.loadings
    }

    /// `ψ`, of length `d`.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// `ln det Σ = Σᵢ ln ψᵢ + ln det M`. Cost: `d + q` logarithms.
    pub fn log_det(&self) -> f64 {
        self.variances.iter().map(|variance| variance.ln()).sum::<f64>()
            + log_det_from_cholesky(&self.factor, self.q)
    }

    /// `xᵀ Σ⁻¹ x`, without cancellation: with `ẑ = M⁻¹ Wᵀ diag(ψ)⁻¹ x` it is
    /// `Σᵢ (xᵢ − (W ẑ)ᵢ)² / ψᵢ + ‖ẑ‖²`.
    ///
    /// `scratch`, of length `q`, holds `ẑ`, the posterior mean of `z` given `x`, on exit.
    /// Cost: `4dq + 2q²` flops, no allocation.
    ///
    /// # Panics
    ///
    /// If `x` is not of length `d` or `scratch` not of length `q`.
    pub fn quadratic_form(&self, x: &[f64], scratch: &mut [f64]) -> f64 {
        self.project(x, scratch);
        let mut sum = dot(scratch, scratch);
        for (i, (x, variance)) in x.iter().zip(&self.variances).enumerate() {
            let residual = x - dot(self.loading(i), scratch);
            sum += residual * residual / variance;
        }
        sum
    }

    /// `x ← Σ⁻¹ x = diag(ψ)⁻¹ (x − W ẑ)`; `scratch`, of length `q`, holds `ẑ` on exit.
    ///
    /// Cost: `4dq + 2q²` flops, no allocation.
    ///
    /// # Panics
    ///
    /// If `x` is not of length `d` or `scratch` not of length `q`.
    pub fn solve_in_place(&self, x: &mut [f64], scratch: &mut [f64]) {
        self.project(x, scratch);
        for (i, (x, variance)) in x.iter_mut().zip(&self.variances).enumerate() {
            *x = (*x - dot(self.loading(i), scratch)) / variance;
        }
    }

    /// `ẑ = M⁻¹ Wᵀ diag(ψ)⁻¹ x`.
    fn project(&self, x: &[f64], z: &mut [f64]) {
        let (d, q) = (self.order(), self.q);
        assert!(x.len() == d, "Σ is {d} × {d}, x has length {}", x.len());
        assert!(z.len() == q, "scratch has length q = {q}, got {}", z.len());
        z.fill(0.0);
        for (i, (x, variance)) in x.iter().zip(&self.variances).enumerate() {
            add_scaled(z, x / variance, self.loading(i));
        }
        forward_substitute(&self.factor, q, z);
        solve_lower_transposed_in_place(&self.factor, q, z);
    }

    fn loading(&self, feature: usize) -> &[f64] {
        &self.loadings[feature * self.q..][..self.q]
    }
}

/// Why `diag(ψ) + W Wᵀ` cannot be factored.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LowRankError {
    /// A variance is zero, negative, infinite or NaN.
    #[error(
        "the variance of feature {feature} is {variance:e}; it must be positive: set a floor or a prior"
    )]
    Variance {
        /// Index of the feature.
        feature: usize,
        /// Its variance.
        variance: f64,
    },
    /// A column of `W` holds NaN or overflows `1 + Σᵢ Wᵢⱼ² / ψᵢ`.
    #[error(
        "the loadings of factor {factor} give the precision {precision:e}; rescale the features"
    )]
    Loading {
        /// Index of the column of `W`.
        factor: usize,
        /// `1 + Σᵢ Wᵢⱼ² / ψᵢ`.
        precision: f64,
    },
}
