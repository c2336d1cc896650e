//! The E-step on rows with missing values, several rows side by side in the lanes of vectors.

#![allow(
    clippy::inline_always,
    reason = "a function that is not inlined into the dispatched entry point is compiled without its target features"
)]

use std::f64::consts::TAU;

use elbo_core::{Batch, Rows, Weighted};
use elbo_linalg::{Kernel, MAX_LANES, Simd};

/// Numbers of the triangle of `E[z̃ z̃ᵀ]`, where `z̃ = (z, 1)`.
pub(crate) fn triangle(q: usize) -> usize {
    (q + 1) * (q + 2) / 2
}

/// Columns as the kernel wants them: for each, how a row's log density depends on the factors,
/// `−½ [E ln 2π/τ + E[τ] y² − 2 y b · z̃ + z̃ᵀ A z̃]` with `b = E[τ w̃]`, `A = E[τ w̃ w̃ᵀ]` of loadings and intercept `w̃ = (w, μ)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packed {
    pub(crate) d: usize,
    pub(crate) q: usize,
    /// `y = x − origin`.
    pub(crate) origin: Vec<f64>,
    /// `A`, lower triangle by rows, with `E ln 2π/τ` added to its last element; `d` of them.
    pub(crate) quadratic: Vec<f64>,
    /// `b`, `d` of `q + 1`.
    pub(crate) linear: Vec<f64>,
    /// `E[τ]`.
    pub(crate) precision: Vec<f64>,
}

impl Packed {
    pub(crate) fn new(origin: Vec<f64>, q: usize) -> Self {
        let d = origin.len();
        let (quadratic, linear) = (vec![0.0; d * triangle(q)], vec![0.0; d * (q + 1)]);
        Self { d, q, origin, quadratic, linear, precision: vec![0.0; d] }
    }

    /// Quadratic, linear part and precision of column `j`.
    pub(crate) fn column_mut(&mut self, j: usize) -> (&mut [f64], &mut [f64], &mut f64) {
        let (q, t) = (self.q, triangle(self.q));
        let linear = &mut self.linear[j * (q + 1)..][..=q];
        (&mut self.quadratic[j * t..][..t], linear, &mut self.precision[j])
    }

    /// Writes column `j` at loadings and intercept `w̃` and uniqueness `ψ`.
    pub(crate) fn set_point(&mut self, j: usize, coefficients: &[f64], uniqueness: f64) {
        let q = self.q;
        let (quadratic, linear, precision) = self.column_mut(j);
        let mut e = 0;
        for a in 0..=q {
            for b in 0..=a {
                quadratic[e] = coefficients[a] * coefficients[b] / uniqueness;
                e += 1;
            }
        }
        quadratic[e - 1] += TAU.ln() + uniqueness.ln();
        linear.iter_mut().zip(coefficients).for_each(|(b, w)| *b = w / uniqueness);
        *precision = uniqueness.recip();
    }
}

/// What one worker needs; every number stands for the lanes of a vector.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    raw: Vec<f64>,
    /// 1 where a value is there.
    there: Vec<f64>,
    /// `x − origin`, 0 where it is missing.
    values: Vec<f64>,
    /// `Σ_O A`, then its factor, then its inverse.
    matrix: Vec<f64>,
    /// `Σ_O y b`.
    right: Vec<f64>,
    /// `E[z̃ z̃ᵀ]`.
    second: Vec<f64>,
    /// Sums of all rows, `d` times triangle, `q + 1` products with `y`, and `y²`.
    sums: Vec<f64>,
}

impl Scratch {
    pub(crate) fn new(d: usize, q: usize) -> Self {
        let lanes = |n: usize| vec![0.0; n * MAX_LANES];
        let t = triangle(q);
        Self {
            raw: lanes(d),
            there: lanes(d),
            values: lanes(d),
            matrix: lanes(t),
            right: lanes(q + 1),
            second: lanes(t),
            sums: lanes(d * (t + q + 2)),
        }
    }
}

/// Sums of the statistics over rows; see [`EStep::run`].
pub(crate) struct EStep<'a> {
    pub(crate) packed: &'a Packed,
    pub(crate) data: Weighted<'a, Rows<'a>>,
    pub(crate) scratch: &'a mut Scratch,
    /// `d` times `triangle + q + 2` numbers, added to.
    pub(crate) sums: &'a mut [f64],
}

impl Kernel for EStep<'_> {
    /// The log density of all rows, in nats, or the first of a few rows among which one has none.
    type Output = Result<f64, usize>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Result<f64, usize> {
        let Self { packed, data, scratch, sums } = self;
        scratch.sums.fill(0.0);
        let mut total = S::splat(0.0);
        for start in (0..data.len()).step_by(S::LANES) {
            let rows = start..data.len().min(start + S::LANES);
            let mut weights = [0.0; MAX_LANES];
            for (lane, weight) in weights.iter_mut().enumerate().take(rows.len()) {
                *weight = data.weights().map_or(1.0, |weights| weights[start + lane]);
            }
            let weights = S::load(&weights);
            gather(data.units(), rows.start, rows.len(), &mut scratch.raw, S::LANES);
            split::<S>(packed, scratch);
            let score = posterior::<S>(packed, scratch);
            total = weights.mul_add(score, total);
            if !total.sum().is_finite() {
                return Err(start);
            }
            observe::<S>(packed, scratch, weights);
        }
        for (sum, lanes) in sums.iter_mut().zip(scratch.sums.chunks_exact(MAX_LANES)) {
            *sum += S::load(lanes).sum();
        }
        Ok(total.sum())
    }
}

/// Copies rows to lanes; lanes without a row are missing.
#[inline(always)]
fn gather(rows: Rows<'_>, start: usize, n: usize, raw: &mut [f64], lanes: usize) {
    let (data, row_stride, column_stride) = rows.raw();
    for lane in 0..lanes {
        if lane >= n {
            raw.iter_mut().skip(lane).step_by(MAX_LANES).for_each(|x| *x = f64::NAN);
            continue;
        }
        let row = &data[(start + lane) * row_stride..];
        for (j, out) in raw.iter_mut().skip(lane).step_by(MAX_LANES).enumerate() {
            *out = row[j * column_stride];
        }
    }
}

/// Values and whether they are there.
#[inline(always)]
fn split<S: Simd>(packed: &Packed, scratch: &mut Scratch) {
    let (zero, one) = (S::splat(0.0), S::splat(1.0));
    for j in 0..packed.d {
        let x = S::load(&scratch.raw[j * MAX_LANES..]);
        let y = x - S::splat(packed.origin[j]);
        S::select(x.ge(S::splat(f64::NEG_INFINITY)), one, zero)
            .store(&mut scratch.there[j * MAX_LANES..]);
        S::select(x.ge(S::splat(f64::NEG_INFINITY)), y, zero)
            .store(&mut scratch.values[j * MAX_LANES..]);
    }
}

/// `out[e] = Σⱼ coefficients[j, e] · lanes[j]`, four sums at a time.
#[inline(always)]
fn combine<S: Simd>(coefficients: &[f64], width: usize, lanes: &[f64], out: &mut [f64]) {
    let d = coefficients.len() / width;
    let mut e = 0;
    while e + 4 <= width {
        let mut sums = [S::splat(0.0); 4];
        for j in 0..d {
            let x = S::load(&lanes[j * MAX_LANES..]);
            let c = &coefficients[j * width + e..][..4];
            for (sum, c) in sums.iter_mut().zip(c) {
                *sum = x.mul_add(S::splat(*c), *sum);
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            sum.store(&mut out[(e + i) * MAX_LANES..]);
        }
        e += 4;
    }
    while e < width {
        let mut sum = S::splat(0.0);
        for j in 0..d {
            let x = S::load(&lanes[j * MAX_LANES..]);
            sum = x.mul_add(S::splat(coefficients[j * width + e]), sum);
        }
        sum.store(&mut out[e * MAX_LANES..]);
        e += 1;
    }
}

/// Where element `(a, b)` of a triangle begins.
const fn at(a: usize, b: usize) -> usize {
    (a * (a + 1) / 2 + b) * MAX_LANES
}

/// `E[z̃ z̃ᵀ]` of each row; returns the log densities.
#[inline(always)]
fn posterior<S: Simd>(packed: &Packed, scratch: &mut Scratch) -> S {
    let q = packed.q;
    let Scratch { there, values, matrix, right, second, .. } = scratch;
    combine::<S>(&packed.quadratic, triangle(q), there, matrix);
    combine::<S>(&packed.linear, q + 1, values, right);
    let mut score = S::load(&matrix[at(q, q)..]);
    for j in 0..packed.d {
        let y = S::load(&values[j * MAX_LANES..]);
        score = (y * y).mul_add(S::splat(packed.precision[j]), score);
    }
    score = S::load(&right[q * MAX_LANES..]).mul_add(S::splat(-2.0), score);
    // the pull on the factors, r = Σ y b − A[·, 1], and their precision M = I + Σ A
    for a in 0..q {
        let pull = S::load(&right[a * MAX_LANES..]) - S::load(&matrix[at(q, a)..]);
        pull.store(&mut right[a * MAX_LANES..]);
        (S::load(&matrix[at(a, a)..]) + S::splat(1.0)).store(&mut matrix[at(a, a)..]);
    }
    score += factorize::<S>(q, matrix);
    invert::<S>(q, matrix, second);
    // u = L⁻¹ r
    for a in (0..q).rev() {
        let mut u = S::splat(0.0);
        for b in 0..=a {
            u = S::load(&matrix[at(a, b)..]).mul_add(S::load(&right[b * MAX_LANES..]), u);
        }
        u.store(&mut right[a * MAX_LANES..]);
        score = score - u * u;
    }
    moments::<S>(q, matrix, right, second);
    score * S::splat(-0.5)
}

/// `M = L Lᵀ`, row by row in place, with reciprocals on the diagonal; returns `ln |M|`.
#[inline(always)]
fn factorize<S: Simd>(q: usize, matrix: &mut [f64]) -> S {
    /// Roots whose product cannot overflow: they are below `10³⁸`.
    const ROOTS: usize = 8;
    let (mut log_det, mut product) = (S::splat(0.0), S::splat(1.0));
    for a in 0..q {
        for b in 0..=a {
            let mut sum = S::load(&matrix[at(a, b)..]);
            for c in 0..b {
                sum = sum - S::load(&matrix[at(a, c)..]) * S::load(&matrix[at(b, c)..]);
            }
            if a == b {
                let root = sum.sqrt();
                product = product * root;
                sum = S::splat(1.0) / root;
            } else {
                sum = sum * S::load(&matrix[at(b, b)..]);
            }
            sum.store(&mut matrix[at(a, b)..]);
        }
        if (a + 1).is_multiple_of(ROOTS) || a + 1 == q {
            log_det += product.ln() * S::splat(2.0);
            product = S::splat(1.0);
        }
    }
    log_det
}

/// `L⁻¹` in place of `L`, whose diagonal holds reciprocals already; `room` is overwritten.
#[inline(always)]
fn invert<S: Simd>(q: usize, matrix: &mut [f64], room: &mut [f64]) {
    for a in 0..q {
        let diagonal = S::load(&matrix[at(a, a)..]);
        for b in 0..a {
            let mut sum = S::splat(0.0);
            for c in b..a {
                sum = S::load(&matrix[at(a, c)..]).mul_add(S::load(&matrix[at(c, b)..]), sum);
            }
            (S::splat(0.0) - sum * diagonal).store(&mut room[at(a, b)..]);
        }
        for b in 0..a {
            S::load(&room[at(a, b)..]).store(&mut matrix[at(a, b)..]);
        }
    }
}

/// `E[z] = L⁻ᵀ u` and `E[z zᵀ] = L⁻ᵀ L⁻¹ + E[z] E[z]ᵀ`, as the triangle of `E[z̃ z̃ᵀ]`.
#[inline(always)]
fn moments<S: Simd>(q: usize, inverse: &[f64], u: &[f64], second: &mut [f64]) {
    for a in 0..q {
        let mut z = S::splat(0.0);
        for b in a..q {
            z = S::load(&inverse[at(b, a)..]).mul_add(S::load(&u[b * MAX_LANES..]), z);
        }
        z.store(&mut second[at(q, a)..]);
    }
    S::splat(1.0).store(&mut second[at(q, q)..]);
    for a in 0..q {
        let z = S::load(&second[at(q, a)..]);
        for b in 0..=a {
            let mut sum = z * S::load(&second[at(q, b)..]);
            for c in a..q {
                sum = S::load(&inverse[at(c, a)..]).mul_add(S::load(&inverse[at(c, b)..]), sum);
            }
            sum.store(&mut second[at(a, b)..]);
        }
    }
}

/// Adds the rows to the sums.
#[inline(always)]
fn observe<S: Simd>(packed: &Packed, scratch: &mut Scratch, weights: S) {
    let (q, t) = (packed.q, triangle(packed.q));
    let width = (t + q + 2) * MAX_LANES;
    let factors = &scratch.second[(t - q - 1) * MAX_LANES..];
    for (j, sums) in scratch.sums.chunks_exact_mut(width).enumerate() {
        let there = weights * S::load(&scratch.there[j * MAX_LANES..]);
        let y = S::load(&scratch.values[j * MAX_LANES..]);
        let value = weights * y;
        let (triangle, rest) = sums.split_at_mut(t * MAX_LANES);
        let pairs = triangle.chunks_exact_mut(MAX_LANES).zip(scratch.second.chunks(MAX_LANES));
        for (sum, second) in pairs {
            there.mul_add(S::load(second), S::load(sum)).store(sum);
        }
        let (products, square) = rest.split_at_mut((q + 1) * MAX_LANES);
        let pairs = products.chunks_exact_mut(MAX_LANES).zip(factors.chunks(MAX_LANES));
        for (sum, factor) in pairs {
            value.mul_add(S::load(factor), S::load(sum)).store(sum);
        }
        value.mul_add(y, S::load(square)).store(square);
    }
}
