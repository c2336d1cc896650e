//! A Gaussian in which some columns are integrated out, or given the others.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

/// The quadratic form `‖U z‖²` of columns that are split in two: those `out`, to be integrated over, and those `kept`.
///
/// With an orthogonal `Q` that makes the columns `out` of `U` triangular,
///
/// ```text
/// ‖U z‖² = ‖R z_out + A z_kept‖² + ‖B z_kept‖²,
/// ```
///
/// so that `∫ exp(−½ ‖U z‖²) dz_out = (2π)^{m/2} / |R| · exp(−½ ‖B z_kept‖²)`, and under that density `z_out` has the
/// mean `−R⁻¹ A z_kept` and the covariance `R⁻¹ R⁻ᵀ`. Nothing is squared on the way, so that ill-conditioned
/// covariances lose no more digits than in `U`, and nothing can fail: the columns of a nonsingular `U` are independent.
///
/// # Source
///
/// Householder triangularization: Golub & Van Loan (2013), *Matrix Computations*, 4th ed., section 5.2.
#[derive(Clone, Debug)]
pub(super) struct Elimination {
    d: usize,
    /// Columns that are out, in front of those kept.
    order: Vec<usize>,
    out: usize,
    /// `[R A; 0 B]`, `d × d`, row-major; then `R⁻¹ A` in place of `A`.
    work: Vec<f64>,
    /// One row of products; then nothing.
    products: Vec<f64>,
    /// `R⁻¹ R⁻ᵀ`, `m × m`, row-major.
    covariance: Vec<f64>,
}

impl Elimination {
    /// Room for `d` columns, all kept.
    pub(super) fn new(d: usize) -> Self {
        Self {
            d,
            order: (0..d).collect(),
            out: 0,
            work: vec![0.0; d * d],
            products: vec![0.0; d],
            covariance: vec![0.0; d * d],
        }
    }

    /// Says which columns are out.
    pub(super) fn split(&mut self, is_out: impl Fn(usize) -> bool) {
        self.out = (0..self.d).filter(|c| is_out(*c)).count();
        let columns = (0..self.d).filter(|c| is_out(*c)).chain((0..self.d).filter(|c| !is_out(*c)));
        for (place, c) in self.order.iter_mut().zip(columns) {
            *place = c;
        }
    }

    /// The columns that are out, ascending.
    pub(super) fn out(&self) -> &[usize] {
        &self.order[..self.out]
    }

    /// The columns that are kept, ascending.
    pub(super) fn kept(&self) -> &[usize] {
        &self.order[self.out..]
    }

    /// Factors for `U`, `d × d`, row-major, of which the lower triangle is read. Cost: at most `1.4 d³` flops, `4 d²`
    /// per column out if they are few.
    #[inline(always)]
    pub(super) fn factor(&mut self, u: &[f64]) {
        let d = self.d;
        for (i, (row, u)) in self.work.chunks_exact_mut(d).zip(u.chunks_exact(d)).enumerate() {
            for (to, &c) in row.iter_mut().zip(&self.order) {
                *to = if c <= i { u[c] } else { 0.0 };
            }
        }
        for c in 0..self.out {
            self.reflect(c);
        }
    }

    /// Makes column `c` zero below the diagonal, by a reflection of the rows from `c` on.
    #[inline(always)]
    fn reflect(&mut self, c: usize) {
        let d = self.d;
        let rows = &mut self.work[c * d..];
        let square: f64 = rows.iter().skip(c).step_by(d).map(|x| x * x).sum();
        let (head, norm) = (rows[c], square.sqrt());
        let diagonal = if head > 0.0 { -norm } else { norm };
        rows[c] = head - diagonal; // the vector v, without cancellation
        let scale = 1.0 / (norm * (norm + head.abs())); // 2 / ‖v‖²
        let products = &mut self.products[..d - c - 1];
        products.fill(0.0);
        for row in rows.chunks_exact(d) {
            let v = row[c];
            if v != 0.0 {
                products.iter_mut().zip(&row[c + 1..]).for_each(|(p, x)| *p += v * x);
            }
        }
        for row in rows.chunks_exact_mut(d) {
            let v = row[c] * scale;
            row[c] = 0.0;
            if v != 0.0 {
                row[c + 1..].iter_mut().zip(&*products).for_each(|(x, p)| *x -= v * p);
            }
        }
        rows[c] = diagonal;
    }

    /// Solves for what [`regression_row`](Self::regression_row) and [`covariance_row`](Self::covariance_row) show; once
    /// after each [`factor`](Self::factor). Cost: `m² d` flops for `m` columns out.
    #[inline(always)]
    pub(super) fn solve(&mut self) {
        let (d, m) = (self.d, self.out);
        // R⁻¹ [I A], from the last row upwards; the identity's part goes to `covariance`
        self.covariance[..m * m].fill(0.0);
        for i in (0..m).rev() {
            let (upper, below) = self.work.split_at_mut((i + 1) * d);
            let row = &mut upper[i * d..];
            let (inverse, inverse_below) = self.covariance[i * m..m * m].split_at_mut(m);
            inverse[i] = 1.0;
            for (l, (other, other_inverse)) in
                (i + 1..m).zip(below.chunks_exact(d).zip(inverse_below.chunks_exact(m)))
            {
                let r = row[l];
                row[m..].iter_mut().zip(&other[m..]).for_each(|(x, y)| *x -= r * y);
                inverse.iter_mut().zip(other_inverse).for_each(|(x, y)| *x -= r * y);
            }
            let diagonal = row[i].recip();
            for x in row[m..].iter_mut().chain(inverse) {
                *x *= diagonal;
            }
        }
        // V Vᵀ in place of the upper triangular V: row i needs rows ≥ i only
        for i in 0..m {
            let (row, below) = self.covariance[i * m..m * m].split_at_mut(m);
            for (j, other) in (i + 1..m).zip(below.chunks_exact(m)) {
                self.products[j] = row[j..].iter().zip(&other[j..]).map(|(x, y)| x * y).sum();
            }
            row[i] = row[i..].iter().map(|x| x * x).sum();
            row[i + 1..].copy_from_slice(&self.products[i + 1..m]);
        }
        mirror_upper(&mut self.covariance[..m * m], m);
    }

    /// Row `i` of `R⁻¹ A`: minus what the column of that place expects of the kept ones.
    #[inline(always)]
    pub(super) fn regression_row(&self, i: usize) -> &[f64] {
        &self.work[i * self.d..][self.out..self.d]
    }

    /// Row `i` of `R⁻¹ R⁻ᵀ`.
    #[inline(always)]
    pub(super) fn covariance_row(&self, i: usize) -> &[f64] {
        &self.covariance[i * self.out..][..self.out]
    }
}

/// Copies the strict upper triangle onto the lower one.
fn mirror_upper(a: &mut [f64], d: usize) {
    for i in 0..d {
        for j in 0..i {
            a[i * d + j] = a[j * d + i];
        }
    }
}
