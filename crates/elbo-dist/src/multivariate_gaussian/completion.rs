//! What is observed of a row, seen through `U`, and what that says about the rest.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]
#![allow(clippy::needless_range_loop, reason = "arrays of registers are indexed together")]

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
    /// `Q` by columns, `m × padded`.
    directions: Vec<f64>,
    /// Upper triangle of `R`, `m × m` at most `d` apart.
    r: Vec<f64>,
    /// `Qᵀ y`, then `−z_m`.
    along: Vec<f64>,
    /// `R⁻¹`, the same layout as `r`.
    inverse: Vec<f64>,
    /// `z` of [`ROWS`] rows, each padded with zeros.
    centered: Vec<f64>,
    /// `y` of [`ROWS`] rows, each padded.
    whitened: Vec<f64>,
}

/// Rows that are whitened side by side.
pub(super) const ROWS: usize = 4;

impl Completion {
    /// Room for `d` columns, each of `padded` numbers.
    pub(super) fn new(d: usize, padded: usize) -> Self {
        Self {
            d,
            padded,
            columns: vec![0.0; d * padded],
            out: Vec::with_capacity(d),
            directions: vec![0.0; d * padded],
            r: vec![0.0; d * d],
            along: vec![0.0; d],
            inverse: vec![0.0; d * d],
            centered: vec![0.0; ROWS * padded],
            whitened: vec![0.0; ROWS * padded],
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

    /// Takes the columns that are missing, ascending, and makes directions of them.
    #[inline(always)]
    pub(super) fn set_pattern<S: Simd>(&mut self, out: &[u32]) {
        let (d, padded) = (self.d, self.padded);
        self.out.clear();
        self.out.extend(out.iter().map(|c| *c as usize));
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

    /// `ln |R|`.
    pub(super) fn log_det(&self) -> f64 {
        (0..self.out.len()).map(|a| self.r[a * self.d + a].ln()).sum()
    }

    /// Whitens rows: `x` holds each padded, with anything finite where it misses something, `masks` are 1 where it does not.
    #[inline(always)]
    pub(super) fn whiten<S: Simd>(
        &mut self,
        x: [&[f64]; ROWS],
        masks: [&[f64]; ROWS],
        mean: &[f64],
    ) {
        let (d, padded) = (self.d, self.padded);
        for (z, (x, mask)) in self.centered.chunks_exact_mut(padded).zip(x.iter().zip(masks)) {
            let known = x.chunks_exact(S::LANES).zip(mean.chunks_exact(S::LANES));
            let known = known.zip(mask.chunks_exact(S::LANES));
            for (z, ((x, mean), mask)) in z.chunks_exact_mut(S::LANES).zip(known) {
                ((S::load(x) - S::load(mean)) * S::load(mask)).store(z);
            }
        }
        let rows: [&[f64]; ROWS] = core::array::from_fn(|r| &self.centered[r * padded..][..d]);
        for at in (0..padded).step_by(S::LANES) {
            let mut y = [S::splat(0.0); ROWS];
            // columns are zero above their diagonal
            for c in 0..d.min(at + S::LANES) {
                let column = S::load(&self.columns[c * padded + at..]);
                for r in 0..ROWS {
                    y[r] = S::splat(rows[r][c]).mul_add(column, y[r]);
                }
            }
            for (y, whitened) in y.into_iter().zip(self.whitened.chunks_exact_mut(padded)) {
                y.store(&mut whitened[at..]);
            }
        }
    }

    /// The quadratic form of what whitened row `row` has.
    #[inline(always)]
    pub(super) fn distance<S: Simd>(&mut self, row: usize) -> f64 {
        self.project::<S>(row);
        let whitened = &self.whitened[row * self.padded..][..self.padded];
        dot::<S>(whitened, whitened)
    }

    /// Takes the directions out of whitened row `row`.
    #[inline(always)]
    fn project<S: Simd>(&mut self, row: usize) {
        let whitened = &mut self.whitened[row * self.padded..][..self.padded];
        let directions = self.directions.chunks_exact(self.padded).take(self.out.len());
        for (direction, along) in directions.zip(&mut self.along) {
            *along = dot::<S>(direction, whitened);
            add::<S>(whitened, -*along, direction);
        }
    }

    /// Whitened row `row`, centered, padded with zeros, with conditional means where something is missing.
    #[inline(always)]
    pub(super) fn complete<S: Simd>(&mut self, row: usize) -> &[f64] {
        self.project::<S>(row);
        let (d, m) = (self.d, self.out.len());
        let centered = &mut self.centered[row * self.padded..][..self.padded];
        for a in (0..m).rev() {
            let (head, known) = self.along[..m].split_at_mut(a + 1);
            let r = &self.r[a * d..][..m];
            let sum: f64 = known.iter().zip(&r[a + 1..]).map(|(x, r)| x * r).sum();
            head[a] = (head[a] - sum) / r[a];
            centered[self.out[a]] = -head[a];
        }
        centered
    }

    /// Adds `weight` times the conditional covariance to the lower triangle of a matrix of rows `stride` apart; nothing, if the
    /// weight is 0.
    #[inline(always)]
    pub(super) fn add_covariance(&mut self, weight: f64, matrix: &mut [f64], stride: usize) {
        if weight == 0.0 {
            return;
        }
        let (d, m) = (self.d, self.out.len());
        // R⁻¹, column by column from the diagonal up
        for c in 0..m {
            self.inverse[c * d + c] = self.r[c * d + c].recip();
            for a in (0..c).rev() {
                let sum: f64 =
                    (a + 1..=c).map(|b| self.r[a * d + b] * self.inverse[b * d + c]).sum();
                self.inverse[a * d + c] = -sum / self.r[a * d + a];
            }
        }
        for (i, a) in self.out.iter().enumerate() {
            for (j, b) in self.out[..=i].iter().enumerate() {
                let rows =
                    self.inverse[i * d + i..][..m - i].iter().zip(&self.inverse[j * d + i..]);
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
