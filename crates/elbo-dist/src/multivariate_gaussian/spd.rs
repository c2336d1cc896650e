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

    /// `L Lᵀ` for a lower triangular `L` with a positive diagonal, row-major, or for the diagonal of one.
    ///
    /// The factor is taken as it is, so that nothing is lost where `L Lᵀ` is close to singular.
    pub(crate) fn from_scale_factor(factor: Vec<f64>, d: usize) -> Self {
        let log_det = |stride: usize| factor.iter().step_by(stride).map(|l| 2.0 * l.ln()).sum();
        if factor.len() == d {
            let values = factor.iter().map(|l| l * l).collect();
            let whitening = factor.iter().map(|l| 1.0 / l).collect();
            return Self { values, whitening, log_det: log_det(1), d };
        }
        let rows = |i: usize, j: usize| factor[i * d..][..=j].iter().zip(&factor[j * d..]);
        let element = |i: usize, j: usize| rows(i, j).map(|(a, b)| a * b).sum();
        let values = (0..d * d)
            .map(|place| (place / d, place % d))
            .map(|(i, j)| element(i.max(j), i.min(j)))
            .collect();
        let log_det = log_det(d + 1);
        let mut whitening = factor;
        invert_lower_in_place(&mut whitening, d);
        Self { values, whitening, log_det, d }
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
    /// Number of columns.
    pub(crate) fn d(&self) -> usize {
        self.d
    }

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

    /// `x ← U (x − y)`. Cost: `d²` flops.
    pub(crate) fn whiten_in_place(&self, y: &[f64], x: &mut [f64]) {
        x.iter_mut().zip(y).for_each(|(x, y)| *x -= y);
        for i in (0..self.d).rev() {
            x[i] = self.row(i).map(|(j, u)| u * x[j]).sum(); // later rows are done, earlier elements are as they were
        }
    }

    /// `x ← Σ⁻¹ x = Uᵀ U x`. Cost: `2d²` flops.
    pub(crate) fn solve_in_place(&self, x: &mut [f64]) {
        for i in (0..self.d).rev() {
            x[i] = self.row(i).map(|(j, u)| u * x[j]).sum();
        }
        for j in 0..self.d {
            let below = if self.is_diagonal() { j..=j } else { j..=self.d - 1 };
            x[j] = below.map(|i| self.whitening_at(i, j) * x[i]).sum();
        }
    }

    /// `Σ⁻¹ = Uᵀ U`, in the layout of this matrix. Cost: `d³/3` flops.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let d = self.d;
        if self.is_diagonal() {
            return self.whitening.iter().map(|u| u * u).collect();
        }
        let mut inverse = vec![0.0; d * d];
        for (i, row) in self.whitening.chunks_exact(d).enumerate() {
            for a in 0..=i {
                for b in 0..=i {
                    inverse[a * d + b] += row[a] * row[b];
                }
            }
        }
        inverse
    }

    /// Appends the coefficients of `Σw`, `Σw(x − c)` and the second moments about `c`, lower triangle or diagonal, in the
    /// log density of `N(μ, Σ)`: `−½ (ln|Σ| + δᵀΣ⁻¹δ)`, `Σ⁻¹δ` and those of `−½ Σ⁻¹`, with `δ = μ − c`. Cost: `d³/3` flops.
    pub(crate) fn write_natural(&self, mean: &[f64], origin: &[f64], out: &mut Vec<f64>) {
        let d = self.d;
        let start = out.len();
        out.push(0.0);
        out.extend(mean.iter().zip(origin).map(|(m, c)| m - c));
        let distance: f64 = (0..d)
            .map(|i| self.row(i).map(|(j, u)| u * out[start + 1 + j]).sum::<f64>().powi(2))
            .sum();
        out[start] = -0.5 * (self.log_det + distance);
        self.solve_in_place(&mut out[start + 1..]);
        for i in 0..d {
            for j in if self.is_diagonal() { i } else { 0 }..=i {
                let below = if self.is_diagonal() { i..i + 1 } else { i..d };
                let product = |k| self.whitening_at(k, i) * self.whitening_at(k, j);
                let precision: f64 = below.map(product).sum();
                out.push(if i == j { -0.5 * precision } else { -precision });
            }
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

    /// Element `(i, j)` of `U`.
    pub(crate) fn whitening_at(&self, i: usize, j: usize) -> f64 {
        match (self.is_diagonal(), i == j) {
            (true, true) => self.whitening[i],
            (true, false) => 0.0,
            (false, _) => self.whitening[i * self.d + j],
        }
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
