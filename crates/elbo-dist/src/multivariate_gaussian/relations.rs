//! Divergence, marginals and conditionals.

use super::elimination::Elimination;
use super::{MultivariateGaussian, Spd};
use crate::ParameterError;

impl MultivariateGaussian {
    /// `KL(self ‖ other) = ½ [tr(Σ₂⁻¹ Σ₁) − d − ln |Σ₂⁻¹ Σ₁| + (μ₁ − μ₂)ᵀ Σ₂⁻¹ (μ₁ − μ₂)]`, in nats; the structures
    /// may differ.
    ///
    /// With `T = L₂⁻¹ L₁` it is a sum of terms that are not negative, `Σᵢ (tᵢᵢ² − 1 − ln tᵢᵢ²)`, `Σᵢⱼ tᵢⱼ²` off the
    /// diagonal and the distance, so that it keeps its digits however near the two are. Cost: `d³` flops.
    ///
    /// # Panics
    ///
    /// If the dimensions differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let d = self.d();
        assert_eq!(d, other.d(), "Gaussians of different dimensions");
        let excess = |t: f64| {
            let gain = (t - 1.0) * (t + 1.0);
            gain - gain.ln_1p()
        };
        let l = self.covariance.scale_factor();
        let u = other.covariance.whitening();
        let mut sum = other.mahalanobis_squared(&self.mean);
        if self.covariance.is_diagonal() && other.covariance.is_diagonal() {
            sum += l.iter().zip(u).map(|(l, u)| excess(l * u)).sum::<f64>();
            return 0.5 * sum.max(0.0);
        }
        let scale = |i: usize, j: usize| match (self.covariance.is_diagonal(), i == j) {
            (true, true) => l[i],
            (true, false) => 0.0,
            (false, _) => l[i * d + j],
        };
        for i in 0..d {
            for j in 0..=i {
                let terms = (j..=i).map(|a| other.covariance.whitening_at(i, a) * scale(a, j));
                let t: f64 = terms.sum();
                sum += if i == j { excess(t) } else { t * t };
            }
        }
        0.5 * sum.max(0.0)
    }

    /// The distribution of some columns, in the order given, under the same structure.
    ///
    /// # Errors
    ///
    /// [`ParameterError::NotPositiveDefinite`] if in this order rounding leaves no variance to a column: the covariance
    /// was singular to working precision.
    ///
    /// # Panics
    ///
    /// If there is no column, one is out of range or given twice.
    pub fn marginal(&self, columns: &[usize]) -> Result<Self, ParameterError> {
        self.assert_distinct(columns);
        assert!(!columns.is_empty(), "a distribution has at least one column");
        let mean = columns.iter().map(|c| self.mean[*c]).collect();
        let entry = |i: usize, j: usize| self.covariance.get(columns[i], columns[j]);
        self.related(mean, entry)
    }

    /// The distribution of the other columns, ascending, given that the columns `given` have these `values`:
    /// `N(μ_m + Σ_mo Σ_oo⁻¹ (x_o − μ_o), Σ_mm − Σ_mo Σ_oo⁻¹ Σ_om)`, under the same structure. Cost: up to `3 d³` flops.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if a value is not finite, or rounding leaves no variance to a column.
    ///
    /// # Panics
    ///
    /// If there is not one value per column given, a column is out of range or given twice, or none is left.
    ///
    /// ```
    /// use elbo_dist::{CovarianceStructure::VVV, MultivariateGaussian};
    ///
    /// let joint = MultivariateGaussian::new(VVV, vec![1.0, 2.0], &[4.0, 2.0, 2.0, 2.0])?;
    /// let second = joint.conditional(&[0], &[3.0])?;
    /// assert_eq!(second.mean(), [3.0]);
    /// assert!((second.covariance()[0] - 1.0).abs() < 1e-15);
    /// # Ok::<(), elbo_dist::ParameterError>(())
    /// ```
    ///
    /// # Source
    ///
    /// Bishop (2006), section 2.3.1.
    pub fn conditional(&self, given: &[usize], values: &[f64]) -> Result<Self, ParameterError> {
        self.assert_distinct(given);
        assert_eq!(given.len(), values.len(), "one value per column given");
        assert!(given.len() < self.d(), "no column is left");
        if let Some(&value) = values.iter().find(|x| !x.is_finite()) {
            return Err(ParameterError::NotFinite { parameter: "given value", value });
        }
        let is_out = |c: usize| !given.contains(&c);
        if self.covariance.is_diagonal() {
            let left: Vec<usize> = (0..self.d()).filter(|c| is_out(*c)).collect();
            return self.marginal(&left);
        }
        let mut elimination = Elimination::new(self.d());
        elimination.split(is_out);
        elimination.factor(self.covariance.whitening());
        elimination.solve();
        let value_of =
            |c: &usize| given.iter().position(|g| g == c).map_or(f64::NAN, |p| values[p]);
        let z: Vec<f64> = elimination.kept().iter().map(|c| value_of(c) - self.mean[*c]).collect();
        let mean = elimination.out().iter().enumerate().map(|(i, c)| {
            let row = elimination.regression_row(i);
            self.mean[*c] - row.iter().zip(&z).map(|(k, z)| k * z).sum::<f64>()
        });
        self.related(mean.collect(), |i, j| elimination.covariance_row(i)[j])
    }

    /// `Σ_mo Σ_oo⁻¹`: the slopes of the other columns, ascending, in the columns `given`, `(d − p) × p`, row by row. With
    /// them the mean of [`conditional`](Self::conditional) is `μ_m + Σ_mo Σ_oo⁻¹ (x_o − μ_o)`. Cost: up to `3 d³` flops.
    ///
    /// # Panics
    ///
    /// If a column is out of range or given twice.
    pub fn regression_coefficients(&self, given: &[usize]) -> Vec<f64> {
        self.assert_distinct(given);
        let (p, d) = (given.len(), self.d());
        let is_out = |c: usize| !given.contains(&c);
        let mut slopes = vec![0.0; (d - p) * p];
        if p == 0 || p == d || self.covariance.is_diagonal() {
            return slopes;
        }
        let mut elimination = Elimination::new(d);
        elimination.split(is_out);
        elimination.factor(self.covariance.whitening());
        elimination.solve();
        let places: Vec<usize> = elimination
            .kept()
            .iter()
            .map(|c| given.iter().position(|g| g == c).expect("what is kept is given"))
            .collect();
        for (i, row) in slopes.chunks_exact_mut(p).enumerate() {
            for (place, k) in places.iter().zip(elimination.regression_row(i)) {
                row[*place] = -k;
            }
        }
        slopes
    }

    /// A Gaussian of the same structure with this mean, and this covariance's entries.
    fn related(
        &self,
        mean: Vec<f64>,
        entry: impl Fn(usize, usize) -> f64,
    ) -> Result<Self, ParameterError> {
        let d = mean.len();
        let values = if self.structure.is_diagonal() {
            (0..d).map(|i| entry(i, i)).collect()
        } else {
            (0..d * d).map(|p| entry(p / d, p % d)).collect()
        };
        let covariance =
            Spd::new(values, d).map_err(|flat| ParameterError::NotPositiveDefinite {
                parameter: "covariance",
                column: flat.column,
                variance: flat.variance,
            })?;
        Ok(Self { structure: self.structure, mean, covariance })
    }

    #[track_caller]
    fn assert_distinct(&self, columns: &[usize]) {
        for (place, c) in columns.iter().enumerate() {
            assert!(*c < self.d(), "column {c} of {}", self.d());
            assert!(!columns[..place].contains(c), "column {c} is given twice");
        }
    }
}
