//! What is observed of a row, seen through `U`, and what that says about the rest.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::Simd;

/// One component and one pattern of missing columns: orthonormal directions that the missing columns of `U` span.
///
/// With `z` centered and zero where it is missing, and `U_m = Q R` the missing columns of `U`,
///
/// ```text
/// min over z_m of ‖U z‖² = ‖y − Q Qᵀ y‖²,   y = U z,   at z_m = −R⁻¹ Qᵀ y,
/// ```
///
/// which is the quadratic form of the marginal, whose determinant has `|R|` less; given the observed, `z_m` has that point
/// as its mean and the covariance `R⁻¹ R⁻ᵀ`. Directions are made, and taken out of `y`, one after the other (modified
/// Gram–Schmidt), so that nothing is squared: what is lost is the condition number of `U_m`, as with reflections.
///
/// Lanes are rows of `U`. Cost: `m² d` multiplications for `m` missing columns, then `d²/2 + 2 m d` per row.
///
/// # Source
///
/// Björck (1967), BIT 7(1), for least squares by modified Gram–Schmidt.
#[derive(Clone, Debug)]
pub(super) struct Completion {
    d: usize,
    padded: usize,
    /// `U` by columns, `d × padded`.
    columns: Vec<f64>,
    /// The missing columns, ascending.
    out: Vec<usize>,
    /// The others.
    kept: Vec<usize>,
    /// `Q` by columns, `m × padded`.
    directions: Vec<f64>,
    /// Upper triangle of `R`, `m × m` at most `d` apart.
    r: Vec<f64>,
    /// `Qᵀ y`, then `−z_m`.
    along: Vec<f64>,
    /// `R⁻¹`, the same layout as `r`.
    inverse: Vec<f64>,
    /// `y` of one row, padded.
    whitened: Vec<f64>,
    /// `z` of one row, padded with zeros.
    pub(super) centered: Vec<f64>,
}

impl Completion {
    /// Room for `d` columns, each of `padded` numbers.
    pub(super) fn new(d: usize, padded: usize) -> Self {
        Self {
            d,
            padded,
            columns: vec![0.0; d * padded],
            out: Vec::with_capacity(d),
            kept: Vec::with_capacity(d),
            directions: vec![0.0; d * padded],
            r: vec![0.0; d * d],
            along: vec![0.0; d],
            inverse: vec![0.0; d * d],
            whitened: vec![0.0; padded],
            centered: vec![0.0; padded],
        }
    }

    /// Takes the component with this `U`, `d × d`, row-major, of which the lower triangle is read.
    pub(super) fn set_component(&mut self, u: &[f64]) {
        for (i, row) in u.chunks_exact(self.d).enumerate() {
            for (c, u) in row[..=i].iter().enumerate() {
                self.columns[c * self.padded + i] = *u;
            }
        }
    }

    /// Takes the pattern of what is missing, and makes directions of its columns.
    #[inline(always)]
    pub(super) fn set_pattern<S: Simd>(&mut self, is_out: impl Fn(usize) -> bool) {
        let (d, padded) = (self.d, self.padded);
        self.out.clear();
        self.kept.clear();
        for c in 0..d {
            if is_out(c) {
                self.out.push(c);
            } else {
                self.kept.push(c);
            }
        }
        for (a, c) in self.out.iter().enumerate() {
            let (before, rest) = self.directions.split_at_mut(a * padded);
            let direction = &mut rest[..padded];
            direction.copy_from_slice(&self.columns[c * padded..][..padded]);
            for (b, other) in before.chunks_exact(padded).enumerate() {
                let r = dot::<S>(other, direction);
                self.r[b * d + a] = r;
                add::<S>(direction, -r, other);
            }
            let norm = dot::<S>(direction, direction).sqrt();
            self.r[a * d + a] = norm;
            scale::<S>(direction, 1.0 / norm);
        }
    }

    /// The missing columns, ascending.
    pub(super) fn out(&self) -> &[usize] {
        &self.out
    }

    /// `ln |R|`.
    pub(super) fn log_det(&self) -> f64 {
        (0..self.out.len()).map(|a| self.r[a * self.d + a].ln()).sum()
    }

    /// The quadratic form of what a row has; `mean` has `d` numbers, `x` tells the row's.
    #[inline(always)]
    pub(super) fn distance<S: Simd>(&mut self, x: impl Fn(usize) -> f64, mean: &[f64]) -> f64 {
        self.whitened.fill(0.0);
        for &c in &self.kept {
            let z = x(c) - mean[c];
            self.centered[c] = z;
            // the column is zero above its diagonal
            let from = c / S::LANES * S::LANES;
            add::<S>(&mut self.whitened[from..], z, &self.columns[c * self.padded..][from..self.padded]);
        }
        for (direction, along) in self.directions.chunks_exact(self.padded).zip(&mut self.along).take(self.out.len()) {
            *along = dot::<S>(direction, &self.whitened);
            add::<S>(&mut self.whitened, -*along, direction);
        }
        dot::<S>(&self.whitened, &self.whitened)
    }

    /// After [`distance`](Self::distance): puts the conditional means into `centered`.
    #[inline(always)]
    pub(super) fn complete(&mut self) {
        let (d, m) = (self.d, self.out.len());
        for a in (0..m).rev() {
            let (head, known) = self.along[..m].split_at_mut(a + 1);
            let r = &self.r[a * d..][..m];
            let sum: f64 = known.iter().zip(&r[a + 1..]).map(|(x, r)| x * r).sum();
            head[a] = (head[a] - sum) / r[a];
            self.centered[self.out[a]] = -head[a];
        }
    }

    /// Adds `weight` times the conditional covariance to the lower triangle of a matrix of rows `stride` apart.
    #[inline(always)]
    pub(super) fn add_covariance(&mut self, weight: f64, matrix: &mut [f64], stride: usize) {
        let (d, m) = (self.d, self.out.len());
        // R⁻¹, column by column from the diagonal up
        for c in 0..m {
            self.inverse[c * d + c] = self.r[c * d + c].recip();
            for a in (0..c).rev() {
                let sum: f64 = (a + 1..=c).map(|b| self.r[a * d + b] * self.inverse[b * d + c]).sum();
                self.inverse[a * d + c] = -sum / self.r[a * d + a];
            }
        }
        for (i, a) in self.out.iter().enumerate() {
            for (j, b) in self.out[..=i].iter().enumerate() {
                let rows = self.inverse[i * d + i..][..m - i].iter().zip(&self.inverse[j * d + i..]);
                matrix[a * stride + b] += weight * rows.map(|(x, y)| x * y).sum::<f64>();
            }
        }
    }
}

/// `aᵀ b` of whole vectors.
#[inline(always)]
fn dot<S: Simd>(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = S::splat(0.0);
    for (a, b) in a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES)) {
        sum = S::load(a).mul_add(S::load(b), sum);
    }
    sum.sum()
}

/// `to += factor · other`, whole vectors.
#[inline(always)]
pub(super) fn add<S: Simd>(to: &mut [f64], factor: f64, other: &[f64]) {
    let factor = S::splat(factor);
    for (to, other) in to.chunks_exact_mut(S::LANES).zip(other.chunks_exact(S::LANES)) {
        factor.mul_add(S::load(other), S::load(to)).store(to);
    }
}

#[inline(always)]
fn scale<S: Simd>(x: &mut [f64], factor: f64) {
    for x in x.chunks_exact_mut(S::LANES) {
        (S::load(x) * S::splat(factor)).store(x);
    }
}
