//! Small dense symmetric matrices, row by row: what a few hundred parameters need.

/// Eigenvalues, ascending, and eigenvectors of a symmetric matrix.
pub(super) struct Eigen {
    pub(super) values: Vec<f64>,
    /// Row `j` is the unit eigenvector of `values[j]`.
    pub(super) vectors: Vec<f64>,
}

/// Sweeps after which Jacobi's method has long converged; it does so quadratically.
const SWEEPS: usize = 50;

/// The lower triangular `L` with `L Lᵀ = a`, or `None` if `a` is not positive definite. Cost: `p³/3` flops.
pub(super) fn cholesky(a: &[f64], p: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; p * p];
    for i in 0..p {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|m| l[i * p + m] * l[j * p + m]).sum();
            let rest = a[i * p + j] - dot;
            if i == j {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                l[i * p + i] = rest.sqrt();
            } else {
                l[i * p + j] = rest / l[j * p + j];
            }
        }
    }
    Some(l)
}

/// `L⁻¹` of a lower triangular `L`. Cost: `p³/3` flops.
pub(super) fn invert_lower(l: &[f64], p: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; p * p];
    for j in 0..p {
        inverse[j * p + j] = 1.0 / l[j * p + j];
        for i in j + 1..p {
            let dot: f64 = (j..i).map(|m| l[i * p + m] * inverse[m * p + j]).sum();
            inverse[i * p + j] = -dot / l[i * p + i];
        }
    }
    inverse
}

/// `a b` of `p × p` matrices.
pub(super) fn product(a: &[f64], b: &[f64], p: usize) -> Vec<f64> {
    let mut out = vec![0.0; p * p];
    for (row, out) in a.chunks_exact(p.max(1)).zip(out.chunks_exact_mut(p.max(1))) {
        for (factor, b) in row.iter().zip(b.chunks_exact(p)) {
            crate::add_scaled(out, *factor, b);
        }
    }
    out
}

/// `aᵀ`.
pub(super) fn transpose(a: &[f64], p: usize) -> Vec<f64> {
    (0..p * p).map(|at| a[at % p * p + at / p]).collect()
}

/// Replaces `a` by `(a + aᵀ)/2`; returns the largest `|aᵢⱼ − aⱼᵢ| / √(|aᵢᵢ aⱼⱼ|)`, or against `weights` in place of the
/// diagonal where they are given.
pub(super) fn symmetrize(a: &mut [f64], p: usize, weights: &[f64]) -> f64 {
    let mut worst: f64 = 0.0;
    for i in 0..p {
        for j in 0..i {
            let (below, above) = (a[i * p + j], a[j * p + i]);
            worst = worst.max((below - above).abs() / (weights[i] * weights[j]).abs().sqrt());
            a[i * p + j] = 0.5 * (below + above);
            a[j * p + i] = a[i * p + j];
        }
    }
    worst
}

/// Jacobi's method. Cost: some ten sweeps of `4p³` flops.
///
/// Source: Golub & Van Loan (2013), *Matrix Computations*, 4th ed., section 8.5.
pub(super) fn eigen(a: &[f64], p: usize) -> Eigen {
    let mut a = a.to_vec();
    let mut vectors = vec![0.0; p * p];
    (0..p).for_each(|i| vectors[i * p + i] = 1.0);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for i in 1..p {
            for j in 0..i {
                rotated |= rotate(&mut a, &mut vectors, p, i, j);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: Vec<usize> = (0..p).collect();
    order.sort_by(|i, j| a[i * p + i].total_cmp(&a[j * p + j]));
    Eigen {
        values: order.iter().map(|i| a[i * p + i]).collect(),
        vectors: order.iter().flat_map(|i| vectors[i * p..][..p].to_vec()).collect(),
    }
}

/// Makes element `(i, j)` zero by a rotation of rows and columns; false if it is zero to rounding.
fn rotate(a: &mut [f64], vectors: &mut [f64], p: usize, i: usize, j: usize) -> bool {
    let off = a[i * p + j];
    let (x, y) = (a[i * p + i], a[j * p + j]);
    if off.abs() <= 0.5 * f64::EPSILON * (x.abs() + y.abs()) || !off.is_finite() {
        return false;
    }
    let tau = (y - x) / (2.0 * off);
    let tan = tau.signum() / (tau.abs() + tau.hypot(1.0));
    let cos = 1.0 / tan.hypot(1.0);
    let sin = tan * cos;
    let turn = |m: &mut [f64], first: usize, second: usize| {
        let (u, v) = (m[first], m[second]);
        m[first] = cos * u - sin * v;
        m[second] = sin * u + cos * v;
    };
    for m in 0..p {
        turn(a, m * p + i, m * p + j);
    }
    for m in 0..p {
        turn(a, i * p + m, j * p + m);
        turn(vectors, i * p + m, j * p + m);
    }
    (a[i * p + j], a[j * p + i]) = (0.0, 0.0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symmetric matrix of awkward scales.
    fn matrix(p: usize, shift: f64) -> Vec<f64> {
        let entry = |i: usize, j: usize| {
            let (low, high) = (i.min(j) as f64, i.max(j) as f64);
            (1.3 * low + 0.7 * high * high).sin() + if i == j { shift } else { 0.0 }
        };
        (0..p * p).map(|at| entry(at / p, at % p)).collect()
    }

    #[test]
    fn eigenvectors_and_values_give_the_matrix_back() {
        for p in [1, 2, 5, 9] {
            let a = matrix(p, 0.0);
            let Eigen { values, vectors } = eigen(&a, p);
            assert!(values.is_sorted());
            for (i, j) in (0..p * p).map(|at| (at / p, at % p)) {
                let term = |m: usize| values[m] * vectors[m * p + i] * vectors[m * p + j];
                let back: f64 = (0..p).map(term).sum();
                assert!((back - a[i * p + j]).abs() < 1e-13 * p as f64);
            }
        }
    }

    #[test]
    fn the_inverse_of_the_factor_inverts_the_matrix() {
        let p = 6;
        let a = matrix(p, 4.0);
        let u = invert_lower(&cholesky(&a, p).unwrap(), p);
        let inverse = product(&transpose(&u, p), &u, p);
        for (at, x) in product(&a, &inverse, p).into_iter().enumerate() {
            let wanted = if at / p == at % p { 1.0 } else { 0.0 };
            assert!((x - wanted).abs() < 1e-13 * p as f64);
        }
        assert!(cholesky(&matrix(p, 0.0), p).is_none());
    }
}
