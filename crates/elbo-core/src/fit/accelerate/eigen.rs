//! Eigenvalues of matrices that are hardly larger than a hand.

/// Largest order.
pub(super) const MAX: usize = 5;

/// A square matrix of order `n ≤ MAX` in the corner of an array.
pub(super) type Small = [[f64; MAX]; MAX];

/// Diagonalizes the symmetric `a` of order `n` by Jacobi's rotations: its eigenvalues end on the diagonal, and the columns of
/// the result are its orthonormal eigenvectors.
pub(super) fn diagonalize(a: &mut Small, n: usize) -> Small {
    const SWEEPS: usize = 30; // five or six are enough
    let mut vectors = Small::default();
    for (i, row) in vectors.iter_mut().enumerate().take(n) {
        row[i] = 1.0;
    }
    for _ in 0..SWEEPS {
        let off: f64 = pairs(n).map(|(p, q)| a[p][q] * a[p][q]).sum();
        let on: f64 = (0..n).map(|i| a[i][i] * a[i][i]).sum();
        if off <= f64::EPSILON * f64::EPSILON * on {
            break;
        }
        for (p, q) in pairs(n) {
            rotate(a, &mut vectors, n, p, q);
        }
    }
    vectors
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |p| (p + 1..n).map(move |q| (p, q)))
}

/// Makes `a[p][q]` zero.
fn rotate(a: &mut Small, vectors: &mut Small, n: usize, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / t.hypot(1.0);
    let s = t * c;
    for row in a.iter_mut().take(n) {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    let (upper, lower) = a.split_at_mut(q); // p < q
    for (x, y) in upper[p].iter_mut().zip(&mut lower[0]).take(n) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
    for row in vectors.iter_mut().take(n) {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        for n in 1..=MAX {
            // Any symmetric matrix, one of its entries zero.
            let entry = |i: usize, j: usize| match i.max(j) {
                largest if largest >= n || i + j == 1 => 0.0,
                largest => ((3 * largest + 7 * i.min(j)) as f64).sin(),
            };
            let a: Small = std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)));
            let mut values = a;
            let vectors = diagonalize(&mut values, n);
            for i in 0..n {
                for j in 0..n {
                    let along = |k: usize| vectors[i][k] * values[k][k] * vectors[j][k];
                    let rebuilt: f64 = (0..n).map(along).sum();
                    let unit: f64 = (0..n).map(|k| vectors[k][i] * vectors[k][j]).sum();
                    assert!((rebuilt - a[i][j]).abs() < 1e-14, "{n}: {rebuilt} {}", a[i][j]);
                    assert!((unit - f64::from(u8::from(i == j))).abs() < 1e-14);
                }
            }
        }
    }
}
