//! Coordinates of axes: rotations as skew matrices.

use elbo_linalg::symmetric_eigen;

use super::{MultivariateGaussian, Sharing};

/// Half the logarithms of the variances along the axes of each component, and the axes, rows of `d × d` matrices: one for each
/// component, or a common one.
pub(super) fn axes_of(
    components: &[MultivariateGaussian],
    sharing: Sharing,
) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let d = components[0].d();
    let eigenvectors = |matrix: &[f64]| {
        let eigen = symmetric_eigen(matrix, d).expect("covariances are finite");
        eigen.vectors.chunks_exact(d).rev().flatten().copied().collect::<Vec<f64>>()
    };
    let axes: Vec<Vec<f64>> = if sharing == Sharing::Equal {
        // Weights of their own, so that variances which differ in some component differ in the mean.
        let mut mean = vec![0.0; d * d];
        for (weight, component) in (1..).zip(components) {
            let factor = f64::from(weight) / component.log_volume().exp();
            elbo_core::add_scaled(&mut mean, factor, &component.covariance.to_dense());
        }
        vec![eigenvectors(&mean)]
    } else {
        components.iter().map(|c| eigenvectors(&c.covariance.to_dense())).collect()
    };
    let along = |(j, component): (usize, &MultivariateGaussian)| {
        let rows = axes[j.min(axes.len() - 1)].chunks_exact(d);
        rows.map(|axis| -0.5 * component.inverse_variance_along(axis).ln()).collect()
    };
    (components.iter().enumerate().map(along).collect(), axes)
}

impl MultivariateGaussian {
    /// `aᵀ Σ⁻¹ a`: one over the variance along an axis `a`, with all its digits.
    fn inverse_variance_along(&self, axis: &[f64]) -> f64 {
        self.covariance.distance_squared(axis, &vec![0.0; axis.len()])
    }
}

/// Appends the lower triangle of `K = (I − SD)(I + SD)⁻¹`, for the signs `S` with which elimination of `I + SD` has no pivot
/// below 1. Rows that change their sign give the same coordinates.
///
/// Source: that there are such signs, Liebeck & Osborne (1991), Amer. Math. Monthly 98(10).
pub(super) fn write_axes(axes: &[f64], d: usize, out: &mut Vec<f64>) {
    let mut left = axes.to_vec();
    let mut signed = axes.to_vec();
    for i in 0..d {
        let sign = if left[i * d + i] < 0.0 { -1.0 } else { 1.0 };
        let pivot = left[i * d + i] + sign;
        for a in i + 1..d {
            let factor = left[a * d + i] / pivot;
            for b in i + 1..d {
                left[a * d + b] -= factor * left[i * d + b];
            }
        }
        signed[i * d..][..d].iter_mut().for_each(|x| *x *= sign);
    }
    let k = cayley(&signed, d);
    for i in 0..d {
        out.extend(&k[i * d..i * d + i]);
    }
}

/// The axes with these coordinates, taken off the front of `from`.
pub(super) fn read_axes(d: usize, from: &mut &[f64]) -> Vec<f64> {
    let mut k = vec![0.0; d * d];
    for i in 0..d {
        for (j, x) in elbo_core::take_front(from, i).iter().enumerate() {
            k[i * d + j] = *x;
            k[j * d + i] = -x;
        }
    }
    cayley(&k, d)
}

/// `(I − A)(I + A)⁻¹`, its own inverse: of skew matrices rotations, and the other way round. Elimination without exchanges,
/// which is safe where `I + A` has a positive definite symmetric part.
fn cayley(a: &[f64], d: usize) -> Vec<f64> {
    // (I + A)ᵀ Xᵀ = (I − A)ᵀ
    let one = |at: usize| if at / d == at % d { 1.0 } else { 0.0 };
    let transposed = |at: usize| a[at % d * d + at / d];
    let mut left: Vec<f64> = (0..d * d).map(|at| one(at) + transposed(at)).collect();
    let mut right: Vec<f64> = (0..d * d).map(|at| one(at) - transposed(at)).collect();
    for i in 0..d {
        for a in (0..d).filter(|a| *a != i) {
            let factor = left[a * d + i] / left[i * d + i];
            for b in 0..d {
                left[a * d + b] -= factor * left[i * d + b];
                right[a * d + b] -= factor * right[i * d + b];
            }
        }
    }
    (0..d * d).map(|at| right[at % d * d + at / d] / left[at % d * (d + 1)]).collect()
}
