//! Eigenvalues: `A V = V Λ`, orthonormal vectors, and pencils whose spectrum is known.

use elbo_linalg::{
    EigenError, extreme_eigenvalues, smallest_generalized_eigenvalue, symmetric_eigen,
};
use proptest::prelude::*;

use crate::matrices::{Numbers, lower, order, product, spd, transposed};

/// Symmetric, indefinite, times a factor.
fn symmetric(seed: u64, d: usize, scale: f64) -> Vec<f64> {
    let g = Numbers::new(seed).take(d * d);
    g.iter().zip(transposed(&g, d)).map(|(a, b)| scale * (a + b)).collect()
}

proptest! {
    /// The residual of a backward stable solver is `p(d) ε ‖A‖`, and the Frobenius norm bounds `‖A‖`.
    #[test]
    fn the_matrix_maps_each_vector_to_its_multiple(
        seed: u64,
        d in order(),
        scale in prop::sample::select(&[1.0, 1e-300, 1e-160, 1e160, 1e300]),
    ) {
        let a = symmetric(seed, d, scale);
        let eigen = symmetric_eigen(&a, d).unwrap();
        let norm = scale * a.iter().map(|x| (x / scale).powi(2)).sum::<f64>().sqrt();
        let bound = 4.0 * (d + 2) as f64 * f64::EPSILON;
        prop_assert!(eigen.values.is_sorted());
        for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(d)) {
            for (row, element) in a.chunks_exact(d).zip(vector) {
                let image: f64 = row.iter().zip(vector).map(|(a, v)| a * v).sum();
                prop_assert!((image - value * element).abs() <= bound * norm, "{image} {value} {element}");
            }
            let largest = vector.iter().map(|x| x.abs()).fold(0.0, f64::max);
            prop_assert!(vector.contains(&largest), "the sign is fixed");
        }
        let gram = product(&eigen.vectors, &transposed(&eigen.vectors, d), d);
        for (at, value) in gram.iter().enumerate() {
            prop_assert!((value - f64::from(at / d == at % d)).abs() <= bound);
        }
        let (smallest, largest) = extreme_eigenvalues(&a, d).unwrap();
        prop_assert!((smallest - eigen.values[0]).abs() <= bound * norm);
        prop_assert!((largest - eigen.values[d - 1]).abs() <= bound * norm);
    }

    #[test]
    fn only_the_lower_triangle_is_read(seed: u64, d in 1..20_usize) {
        let (a, b) = (symmetric(seed, d, 1.0), spd(seed, d));
        let spoil = |a: &[f64]| {
            let mut a = a.to_vec();
            (0..d).for_each(|i| a[i * d + i + 1..(i + 1) * d].fill(f64::NAN));
            a
        };
        prop_assert_eq!(symmetric_eigen(&spoil(&a), d).unwrap(), symmetric_eigen(&a, d).unwrap());
        prop_assert_eq!(
            smallest_generalized_eigenvalue(&spoil(&a), &spoil(&b), d).unwrap(),
            smallest_generalized_eigenvalue(&a, &b, d).unwrap()
        );
    }

    /// `A = M diag(a) Mᵀ` and `B = M diag(b) Mᵀ` have the eigenvalues `a / b`, whatever `M`. Rounding of
    /// `A` and `B` moves them by `d ε κ(M)² max(a) / min(b)`; `κ(M)² < 50` for these triangles.
    #[test]
    fn the_smallest_generalized_eigenvalue_ignores_a_common_change_of_basis(seed: u64, d in order()) {
        let m = lower(seed, d);
        let mut numbers = Numbers::new(!seed);
        let a: Vec<f64> = numbers.take(d);
        let b: Vec<f64> = numbers.take(d).iter().map(|x| 1.5 + x).collect();
        let congruent = |diagonal: &[f64]| {
            let scaled: Vec<f64> = (0..d * d).map(|at| m[at] * diagonal[at % d]).collect();
            product(&scaled, &transposed(&m, d), d)
        };
        let got = smallest_generalized_eigenvalue(&congruent(&a), &congruent(&b), d).unwrap();
        let want = a.iter().zip(&b).map(|(a, b)| a / b).fold(f64::INFINITY, f64::min);
        prop_assert!((got - want).abs() <= 50.0 * (d + 1) as f64 * f64::EPSILON * 2.0, "{got} != {want}");
    }
}

#[test]
fn bad_matrices_are_typed_errors() {
    let error = symmetric_eigen(&[1.0, 0.0, f64::INFINITY, 1.0], 2).unwrap_err();
    assert_eq!(error, EigenError::NotFinite { row: 1, column: 0, value: f64::INFINITY });
    let error = smallest_generalized_eigenvalue(&[1.0], &[0.0], 1).unwrap_err();
    assert!(
        matches!(error, EigenError::NotPositiveDefinite(inner) if inner.column == 0),
        "{error}"
    );
}

#[test]
fn orders_zero_and_one_and_the_zero_matrix_are_fine() {
    assert!(symmetric_eigen(&[], 0).unwrap().values.is_empty());
    let one = symmetric_eigen(&[-3.0], 1).unwrap();
    assert_eq!((one.values, one.vectors), (vec![-3.0], vec![1.0]));
    assert_eq!(extreme_eigenvalues(&[0.0; 9], 3).unwrap(), (0.0, 0.0));
}
