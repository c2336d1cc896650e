//! Lower triangular systems: substitution and inverse.

use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{MatMut, Par};

/// Orders up to this one run on the plain loops here, larger ones are split and the
/// off-diagonal blocks go to faer: even at 64 and 128, 2.6 times faster at 400 (Cholesky).
pub(crate) const BLOCK: usize = 64;

/// Solves `L x = b` for one right-hand side, in place.
///
/// | argument | shape | on entry | on exit |
/// |---|---|---|---|
/// | `l` | `d × d`, row-major | `L` in the lower triangle, the rest is not read | unchanged |
/// | `x` | `d` | `b` | `x = L⁻¹ b` |
///
/// A zero on the diagonal of `L` gives infinities or NaN, as division does.
/// Cost: `d²` flops, no allocation.
///
/// # Panics
///
/// If `l` is not `d × d` or `x` is not of length `d`.
pub fn solve_lower_in_place(l: &[f64], d: usize, x: &mut [f64]) {
    assert_system(l, d, x);
    forward_substitute(l, d, x);
}

/// Solves `Lᵀ x = b` for one right-hand side, in place.
///
/// Shapes as for [`solve_lower_in_place`]; on exit `x = L⁻ᵀ b`, so that the two in a row solve
/// `L Lᵀ x = b`. Cost: `d²` flops, no allocation.
///
/// ```
/// use elbo_linalg::{solve_lower_in_place, solve_lower_transposed_in_place};
///
/// let l = [2.0, 0.0, 1.0, 1.0]; // L Lᵀ = [4 2; 2 2]
/// let mut x = [8.0, 6.0];
/// solve_lower_in_place(&l, 2, &mut x);
/// solve_lower_transposed_in_place(&l, 2, &mut x);
/// assert_eq!(x, [1.0, 2.0]);
/// ```
///
/// # Panics
///
/// If `l` is not `d × d` or `x` is not of length `d`.
pub fn solve_lower_transposed_in_place(l: &[f64], d: usize, x: &mut [f64]) {
    assert_system(l, d, x);
    for i in (0..d).rev() {
        let (rest, last) = x.split_at_mut(i);
        last[0] /= l[i * d + i];
        add_scaled(rest, -last[0], &l[i * d..]);
    }
}

/// Replaces the lower triangle of `L` by `U = L⁻¹`, which is lower triangular, too.
///
/// `l` is `d × d`, row-major; the strict upper triangle is neither read nor written.
/// With `Σ = L Lᵀ`, `U` whitens: `‖U (x − μ)‖²` is the squared Mahalanobis distance.
/// A zero on the diagonal gives infinities or NaN.
///
/// Cost: `d³ / 3` flops, no allocation up to order 64.
///
/// # Panics
///
/// If `l` is not `d × d`.
///
/// # Source
///
/// Golub & Van Loan (2013), *Matrix Computations*, 4th ed., §3.1.
pub fn invert_lower_in_place(l: &mut [f64], d: usize) {
    assert_square(l, d);
    invert_block(l, d, 0, d);
}

/// Inverts the diagonal block of rows and columns `start .. start + order` of the `d × d` `l`.
fn invert_block(l: &mut [f64], d: usize, start: usize, order: usize) {
    if order <= BLOCK {
        return invert_small_block(l, d, start, order);
    }
    let half = order / 2;
    let block = MatMut::from_row_major_slice_mut(l, d, d).submatrix_mut(start, start, order, order);
    let (top, _, mut corner, bottom) = block.split_at_mut(half, half);
    // corner ← −bottom⁻¹ · corner · top⁻¹
    faer::zip!(&mut corner).for_each(|faer::unzip!(value)| *value = -*value);
    solve_lower_triangular_in_place(bottom.as_ref(), corner.as_mut(), Par::Seq);
    solve_upper_triangular_in_place(top.as_ref().transpose(), corner.transpose_mut(), Par::Seq);
    invert_block(l, d, start, half);
    invert_block(l, d, start + half, order - half);
}

/// Row `i` of the inverse is `−(Σⱼ lᵢⱼ uⱼ) / lᵢᵢ`; summing with `j` upwards, `lᵢⱼ` is read just
/// before its place is taken.
fn invert_small_block(l: &mut [f64], d: usize, start: usize, order: usize) {
    for i in 0..order {
        let (above, row) = l[start * d + start..].split_at_mut(i * d);
        let diagonal = row[i].recip();
        for (j, inverse_row) in above.chunks(d).enumerate() {
            let scale = -diagonal * row[j];
            add_scaled(&mut row[..j], scale, inverse_row);
            row[j] = scale * inverse_row[j];
        }
        row[i] = diagonal;
    }
}

/// `x ← L⁻¹ x`, where `L` has the order of `x` and the given stride between rows.
pub(crate) fn forward_substitute(l: &[f64], stride: usize, x: &mut [f64]) {
    for i in 0..x.len() {
        let row = &l[i * stride..=i * stride + i];
        x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
    }
}

/// `Σ xᵢ yᵢ` in four running sums, over the shorter length.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let length = x.len().min(y.len());
    let (x_fours, x_rest) = x[..length].as_chunks::<4>();
    let (y_fours, y_rest) = y[..length].as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (x, y) in x_fours.iter().zip(y_fours) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// `y ← y + scale · x`, over the length of `y`.
pub(crate) fn add_scaled(y: &mut [f64], scale: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += scale * x;
    }
}

#[track_caller]
pub(crate) fn assert_square(a: &[f64], d: usize) {
    assert!(a.len() == d * d, "a d × d matrix has d² numbers: d = {d}, got {}", a.len());
}

#[track_caller]
pub(crate) fn assert_system(l: &[f64], d: usize, x: &[f64]) {
    assert_square(l, d);
    assert!(x.len() == d, "a vector beside a {d} × {d} matrix has length {d}, got {}", x.len());
}
