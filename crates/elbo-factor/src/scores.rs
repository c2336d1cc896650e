//! What a fitted factor model says of rows: scores, reconstructions, values for what is missing.

use elbo_core::{Batch, DataError, Family, Rows};
use elbo_dist::LowRankGaussian;
use elbo_linalg::{
    cholesky_in_place, rank_one_update_lower, solve_lower_in_place,
    solve_lower_transposed_in_place, spd_inverse_from_cholesky,
};

/// The posterior of the factors of rows under a factor analyzer. Values may be missing (NaN).
///
/// ```
/// use elbo_factor::{LowRankGaussian, Rows, Scorer};
///
/// let of = LowRankGaussian::new(vec![0.0; 3], &[1.0, 1.0, 1.0], vec![1.0; 3])?;
/// let mut scorer = Scorer::new(&of);
/// let data = [1.0, f64::NAN, 2.0];
/// let scores = scorer.scores(Rows::new(&data, 1, 3))?;
/// assert!((scores[0] - 1.0).abs() < 1e-15); // (1 + 2) / (1 + 2)
/// let completed = scorer.completed(Rows::new(&data, 1, 3))?;
/// assert!((completed[1] - 1.0).abs() < 1e-15 && completed[2] == 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scorer<'a> {
    of: &'a LowRankGaussian,
    /// Which columns the factor is of.
    seen: Vec<bool>,
    /// Cholesky factor of the precision of the factors given those columns.
    factor: Vec<f64>,
}

impl<'a> Scorer<'a> {
    /// Of this factor analyzer; of a probabilistic PCA, [`as_analyzer`](crate::ProbabilisticPca::as_analyzer).
    pub fn new(of: &'a LowRankGaussian) -> Self {
        let mut new = Self { of, seen: Vec::new(), factor: vec![0.0; of.q() * of.q()] };
        new.prepare(of.mean());
        new
    }

    /// `E[z ∣ x]` of each row, `n × q`, row-major: the scores (by regression, in the terms of factor analysis).
    /// Cost: `2dq` flops per row, and `dq²` where other columns are missing than in the row before.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the width is another, or a value is infinite.
    pub fn scores(&mut self, rows: Rows<'_>) -> Result<Vec<f64>, DataError> {
        let q = self.of.q();
        let mut out = vec![0.0; rows.len() * q];
        self.each(rows, |i, _, z| out[i * q..][..q].copy_from_slice(z))?;
        Ok(out)
    }

    /// `Cov[z ∣ x] = M⁻¹` given columns of which there are values (not NaN) in `row`, `q × q`: the same for all such rows.
    ///
    /// # Panics
    ///
    /// If `row` has not `d` numbers.
    pub fn score_covariance(&mut self, row: &[f64]) -> Vec<f64> {
        let q = self.of.q();
        self.prepare(row);
        let mut inverse = vec![0.0; q * q];
        spd_inverse_from_cholesky(&self.factor, q, &mut inverse);
        inverse
    }

    /// `μ + W E[z ∣ x]` of each row, `n × d`: what the factors say of it.
    ///
    /// # Errors
    ///
    /// As [`scores`](Self::scores).
    pub fn reconstructed(&mut self, rows: Rows<'_>) -> Result<Vec<f64>, DataError> {
        let (of, d) = (self.of, self.of.d());
        let mut out = vec![0.0; rows.len() * d];
        self.each(rows, |i, _, z| reconstruct(of, z, &mut out[i * d..][..d]))?;
        Ok(out)
    }

    /// The rows with the mean given what is there, `E[x_M ∣ x_O]`, in place of what is missing.
    ///
    /// # Errors
    ///
    /// As [`scores`](Self::scores).
    pub fn completed(&mut self, rows: Rows<'_>) -> Result<Vec<f64>, DataError> {
        let (of, d) = (self.of, self.of.d());
        let mut out = vec![0.0; rows.len() * d];
        self.each(rows, |i, x, z| {
            let out = &mut out[i * d..][..d];
            reconstruct(of, z, out);
            out.iter_mut().zip(x).filter(|(_, x)| !x.is_nan()).for_each(|(out, x)| *out = *x);
        })?;
        Ok(out)
    }

    fn each(
        &mut self,
        rows: Rows<'_>,
        mut see: impl FnMut(usize, &[f64], &[f64]),
    ) -> Result<(), DataError> {
        self.of.check(rows)?;
        let (mut x, mut z) = (vec![0.0; self.of.d()], vec![0.0; self.of.q()]);
        for i in 0..rows.len() {
            rows.copy_row(i, &mut x);
            self.prepare(&x);
            self.project(&x, &mut z);
            see(i, &x, &z);
        }
        Ok(())
    }

    /// Factors `M = I + Σ_O wⱼ wⱼᵀ/ψⱼ` for the columns of a row, unless that is at hand.
    fn prepare(&mut self, row: &[f64]) {
        let (d, q) = (self.of.d(), self.of.q());
        assert_eq!(row.len(), d, "a row has {d} numbers");
        if self.seen.len() == d && self.seen.iter().zip(row).all(|(seen, x)| *seen != x.is_nan()) {
            return;
        }
        self.seen.clear();
        self.seen.extend(row.iter().map(|x| !x.is_nan()));
        self.factor.fill(0.0);
        (0..q).for_each(|a| self.factor[a * (q + 1)] = 1.0);
        for (j, own) in self.of.uniquenesses().iter().enumerate().filter(|(j, _)| self.seen[*j]) {
            let w = &self.of.loadings()[j * q..][..q];
            rank_one_update_lower(&mut self.factor, q, own.recip(), w);
        }
        cholesky_in_place(&mut self.factor, q).expect("a precision of one and more");
    }

    fn project(&self, x: &[f64], z: &mut [f64]) {
        let q = self.of.q();
        z.fill(0.0);
        for (j, x) in x.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let share = (x - self.of.mean()[j]) / self.of.uniquenesses()[j];
            elbo_core::add_scaled(z, share, &self.of.loadings()[j * q..][..q]);
        }
        solve_lower_in_place(&self.factor, q, z);
        solve_lower_transposed_in_place(&self.factor, q, z);
    }
}

fn reconstruct(of: &LowRankGaussian, z: &[f64], out: &mut [f64]) {
    for ((out, mean), w) in out.iter_mut().zip(of.mean()).zip(of.loadings().chunks_exact(z.len())) {
        *out = mean + w.iter().zip(z).map(|(w, z)| w * z).sum::<f64>();
    }
}

/// Loadings of columns in units of their standard deviations, `d × q`: what is rotated, and correlations with the factors.
pub fn standardized_loadings(of: &LowRankGaussian) -> Vec<f64> {
    let mut loadings = of.loadings().to_vec();
    for (row, own) in loadings.chunks_exact_mut(of.q()).zip(of.uniquenesses()) {
        let variance = own + row.iter().map(|w| w * w).sum::<f64>();
        for w in row {
            *w /= variance.sqrt();
        }
    }
    loadings
}
