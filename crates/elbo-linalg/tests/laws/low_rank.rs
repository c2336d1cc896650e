//! `diag(ψ) + W Wᵀ` against the dense matrix.

use elbo_linalg::{
    LowRankError, LowRankPlusDiagonal, cholesky_in_place, log_det_from_cholesky,
    mahalanobis_squared, solve_lower_in_place, solve_lower_transposed_in_place,
};
use proptest::prelude::*;

use crate::matrices::Numbers;

/// `W` in `(−1, 1)`, `ψ` in `(0.5, 1.5)`: the condition number is below `(1.5 + d q) / 0.5`.
fn parts(seed: u64, d: usize, q: usize) -> (Vec<f64>, Vec<f64>) {
    let mut numbers = Numbers::new(seed);
    let loadings = numbers.take(d * q);
    (loadings, numbers.take(d).iter().map(|x| 1.0 + x / 2.0).collect())
}

fn dense_factor(loadings: &[f64], variances: &[f64], q: usize) -> Vec<f64> {
    let d = variances.len();
    let mut sigma = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..d {
            sigma[i * d + j] = (0..q).map(|k| loadings[i * q + k] * loadings[j * q + k]).sum();
        }
        sigma[i * d + i] += variances[i];
    }
    cholesky_in_place(&mut sigma, d).unwrap();
    sigma
}

proptest! {
    #[test]
    fn the_small_dimension_agrees_with_the_large_one(seed: u64, d in 1..30_usize, q in 0..6_usize) {
        let (loadings, variances) = parts(seed, d, q);
        let x = Numbers::new(!seed).take(d);
        let l = dense_factor(&loadings, &variances, q);
        let sigma = LowRankPlusDiagonal::new(&loadings, &variances, q).unwrap();
        let condition = (1.5 + (d * q) as f64) / 0.5;
        let rounding = (d + q + 2) as f64 * f64::EPSILON * condition;

        let want = log_det_from_cholesky(&l, d);
        prop_assert!((sigma.log_det() - want).abs() <= rounding * d as f64);

        let want = mahalanobis_squared(&l, d, &x, &mut vec![0.0; d]);
        let mut z = vec![0.0; q];
        prop_assert!((sigma.quadratic_form(&x, &mut z) - want).abs() <= rounding * want);

        let (mut got, mut want) = (x.clone(), x);
        sigma.solve_in_place(&mut got, &mut z);
        solve_lower_in_place(&l, d, &mut want);
        solve_lower_transposed_in_place(&l, d, &mut want);
        let norm = want.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (got, want) in got.iter().zip(&want) {
            prop_assert!((got - want).abs() <= rounding * norm, "{got} != {want}");
        }
    }
}

/// `x = W z` is cheap to explain: with `ψ → 0` the form tends to `‖z‖²`, which the textbook difference
/// `xᵀψ⁻¹x − xᵀψ⁻¹W M⁻¹ Wᵀψ⁻¹x` of two numbers near `1e20` loses entirely.
#[test]
fn the_quadratic_form_survives_tiny_variances() {
    let loadings = [1.0, 2.0, 3.0];
    let sigma = LowRankPlusDiagonal::new(&loadings, &[1e-20; 3], 1).unwrap();
    let got = sigma.quadratic_form(&loadings, &mut [0.0]);
    // ẑ is right to 4 ε, so the residuals are below (1, 2, 3) · 4 ε
    let bound = 14.0 * (4.0 * f64::EPSILON).powi(2) / 1e-20;
    assert!((got - 1.0).abs() <= bound, "{got} within {bound:e}");
}

#[test]
fn bad_parts_are_typed_errors() {
    let error = LowRankPlusDiagonal::new(&[1.0, 1.0], &[1.0, 0.0], 1).unwrap_err();
    assert_eq!(error, LowRankError::Variance { feature: 1, variance: 0.0 });
    let error = LowRankPlusDiagonal::new(&[1.0, f64::NAN], &[1.0], 2).unwrap_err();
    assert!(matches!(error, LowRankError::Loading { factor: 1, .. }), "{error}");
}
