//! A covariance, dense or diagonal, with what densities need of it.

use elbo_linalg::{cholesky_relative, invert_lower_in_place, mirror_lower};

/// A symmetric positive definite `d × d` matrix `Σ = L Lᵀ` and its whitening `U = L⁻¹`, or the diagonals of both.
#[derive(Debug, PartialEq)]
pub(crate) struct Spd {
    /// `d × d`, row-major, both triangles; or the `d` diagonal elements.
    pub(crate) values: Vec<f64>,
    /// `U`, lower triangular, in the layout of `values`.
    whitening: Vec<f64>,
    log_det: f64,
    d: usize,
}

/// A column that, given those before it, has no variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Flat {
    pub(crate) column: usize,
    /// What is left of its variance.
    pub(crate) variance: f64,
}

impl Clone for Spd {
    fn clone(&self) -> Self {
        let (values, whitening) = (self.values.clone(), self.whitening.clone());
        Self { values, whitening, ..*self }
    }

    /// Without allocation where the shapes agree; the derived one would allocate.
    fn clone_from(&mut self, other: &Self) {
        self.values.clone_from(&other.values);
        self.whitening.clone_from(&other.whitening);
        (self.log_det, self.d) = (other.log_det, other.d);
    }
}

impl Spd {
    /// The matrix with these `values`, `d × d` or `d`; of a dense one the lower triangle is read.
    pub(crate) fn new(values: Vec<f64>, d: usize) -> Result<Self, Flat> {
        assert!(
            d > 0 && (values.len() == d || values.len() == d * d),
            "{} numbers are neither the diagonal nor all of a {d} × {d} matrix",
            values.len()
        );
        let mut new = Self { whitening: vec![0.0; values.len()], values, log_det: 0.0, d };
        new.factor(0.0)?;
        Ok(new)
    }

    /// `L Lᵀ` for a lower triangular `L` of positive diagonal, row-major, or its diagonal. Never refused: what rounding
    /// would leave of a nearly singular matrix is not factored again.
    pub(crate) fn from_scale_factor(l: Vec<f64>, d: usize) -> Self {
        let mut new = Self { values: l.clone(), whitening: l, log_det: 0.0, d };
        let step = if new.is_diagonal() { 1 } else { d + 1 };
        new.log_det = new.whitening.iter().step_by(step).map(|l| 2.0 * l.ln()).sum();
        if new.is_diagonal() {
            new.values.iter_mut().for_each(|l| *l *= *l);
            new.whitening.iter_mut().for_each(|l| *l = l.recip());
            return new;
        }
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        for i in 0..d {
            for j in 0..=i {
                let (a, b) = (&new.whitening[i * d..][..=j], &new.whitening[j * d..][..=j]);
                new.values[i * d + j] = dot(a, b);
            }
        }
        new.mirror();
        invert_lower_in_place(&mut new.whitening, d);
        new
    }

    /// `L`, lower triangular and row-major, or its diagonal. Cost: `d³/3` flops.
    pub(crate) fn scale_factor(&self) -> Vec<f64> {
        let mut l = self.whitening.clone();
        if self.is_diagonal() {
            for u in &mut l {
                *u = u.recip();
            }
        } else {
            invert_lower_in_place(&mut l, self.d);
        }
        l
    }

    /// Only the diagonal is stored. In one dimension that is all there is.
    pub(crate) fn is_diagonal(&self) -> bool {
        self.values.len() == self.d
    }

    /// `U`, lower triangular and row-major, or its diagonal.
    pub(crate) fn whitening(&self) -> &[f64] {
        &self.whitening
    }

    /// `ln |Σ|`.
    pub(crate) fn log_det(&self) -> f64 {
        self.log_det
    }

    /// Brings the rest up to date after `values` have changed; a dense matrix is read from its lower triangle.
    ///
    /// A column whose remaining variance is at most `tolerance` times its variance counts as [`Flat`].
    pub(crate) fn factor(&mut self, tolerance: f64) -> Result<(), Flat> {
        let d = self.d;
        if self.is_diagonal() {
            for (column, (u, &variance)) in self.whitening.iter_mut().zip(&self.values).enumerate()
            {
                if !(variance > 0.0 && variance.is_finite()) {
                    return Err(Flat { column, variance });
                }
                *u = 1.0 / variance.sqrt();
            }
            self.log_det = self.values.iter().map(|v| v.ln()).sum();
            return Ok(());
        }
        self.mirror();
        self.whitening.copy_from_slice(&self.values);
        cholesky_relative(&mut self.whitening, d, tolerance)
            .map_err(|e| Flat { column: e.column, variance: e.pivot })?;
        self.log_det = (0..d).map(|i| 2.0 * self.whitening[i * d + i].ln()).sum();
        invert_lower_in_place(&mut self.whitening, d);
        Ok(())
    }

    /// Copies the lower triangle onto the upper one.
    pub(crate) fn mirror(&mut self) {
        if !self.is_diagonal() {
            mirror_lower(&mut self.values, self.d);
        }
    }

    /// `‖U (x − y)‖² = (x − y)ᵀ Σ⁻¹ (x − y)`. Cost: `d²` flops.
    pub(crate) fn distance_squared(&self, x: &[f64], y: &[f64]) -> f64 {
        let mut sum = 0.0;
        for i in 0..self.d {
            let z: f64 = self.row(i).map(|(j, u)| u * (x[j] - y[j])).sum();
            sum += z * z;
        }
        sum
    }

    /// `tr(Σ⁻¹ B) = Σᵢ uᵢᵀ B uᵢ`, `B` symmetric in the layout of this matrix. Cost: `d³` flops.
    pub(crate) fn trace_of_solved(&self, b: &[f64]) -> f64 {
        assert_eq!(b.len(), self.values.len(), "matrices of different layouts");
        let d = self.d;
        if self.is_diagonal() {
            return self.whitening.iter().zip(b).map(|(u, b)| (u * b) * u).sum();
        }
        let mut trace = 0.0;
        for i in 0..d {
            let u = &self.whitening[i * d..=i * d + i];
            for (u_a, row) in u.iter().zip(b.chunks_exact(d)) {
                trace += u_a * u.iter().zip(row).map(|(u_b, b)| u_b * b).sum::<f64>();
            }
        }
        trace
    }

    /// `x ← L z`, by substitution with `U`.
    pub(crate) fn color_in_place(&self, z: &mut [f64]) {
        if self.is_diagonal() {
            z.iter_mut().zip(&self.whitening).for_each(|(z, u)| *z /= u);
        } else {
            elbo_linalg::solve_lower_in_place(&self.whitening, self.d, z);
        }
    }

    /// Element `(i, j)`.
    pub(crate) fn get(&self, i: usize, j: usize) -> f64 {
        match (self.is_diagonal(), i == j) {
            (true, true) => self.values[i],
            (true, false) => 0.0,
            (false, _) => self.values[i * self.d + j],
        }
    }

    /// All of it, `d × d`, row-major.
    pub(crate) fn to_dense(&self) -> Vec<f64> {
        (0..self.d * self.d).map(|p| self.get(p / self.d, p % self.d)).collect()
    }

    /// Columns and elements of row `i` of `U` that may differ from zero.
    fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (start, elements) = if self.is_diagonal() {
            (i, &self.whitening[i..=i])
        } else {
            (0, &self.whitening[i * self.d..=i * self.d + i])
        };
        elements.iter().enumerate().map(move |(j, u)| (start + j, *u))
    }
}
