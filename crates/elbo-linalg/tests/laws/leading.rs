//! Leading eigenvectors against the decomposition of the whole matrix.

use elbo_linalg::{EigenError, leading_eigen, symmetric_eigen};

/// A covariance of order `d` whose eigenvalues fall by `ratio`, in a basis without a pattern.
fn matrix(d: usize, ratio: f64) -> Vec<f64> {
    let mut state = 7_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    // products of reflections
    let mut a: Vec<f64> = vec![0.0; d * d];
    let mut power = 1.0;
    for i in 0..d {
        a[i * (d + 1)] = power + 1e-3;
        power *= ratio;
    }
    for _ in 0..4 {
        let v: Vec<f64> = (0..d).map(|_| noise()).collect();
        let square: f64 = v.iter().map(|x| x * x).sum();
        for _ in 0..2 {
            for row in a.chunks_exact_mut(d) {
                let along: f64 = row.iter().zip(&v).map(|(x, v)| x * v).sum::<f64>() * 2.0 / square;
                row.iter_mut().zip(&v).for_each(|(x, v)| *x -= along * v);
            }
            a = (0..d * d).map(|p| a[p % d * d + p / d]).collect();
        }
    }
    (0..d * d).map(|p| 0.5 * (a[p] + a[p % d * d + p / d])).collect()
}

#[test]
fn they_are_those_of_the_whole_matrix() {
    // 20: all eigenvectors; 100: Krylov spaces, with and without a gap below the eighth eigenvalue
    for (d, q, ratio) in [(20, 3, 0.7), (100, 8, 0.6), (100, 8, 0.97), (100, 3, 0.999)] {
        let a = matrix(d, ratio);
        let all = symmetric_eigen(&a, d).unwrap();
        let cold = leading_eigen(&a, d, q, &[]).unwrap();
        let warm = leading_eigen(&a, d, q, &cold.vectors).unwrap();
        for found in [cold, warm] {
            for k in 0..q {
                let error = (found.values[k] - all.values[d - 1 - k]).abs();
                assert!(error < 1e-13, "{d}, {ratio}: {error:e}");
                let v = &found.vectors[k * d..][..d];
                let truth = &all.vectors[(d - 1 - k) * d..][..d];
                let gap = (all.values[d - 1 - k] - all.values[d - 2 - k]).abs();
                for (v, t) in v.iter().zip(truth) {
                    // residuals of 1e-10 over the gap
                    assert!((v - t).abs() < 2e-10 / gap + 1e-12, "{d}, {ratio}, {k}");
                }
            }
        }
    }
}

#[test]
fn equal_eigenvalues_are_found_as_often_as_they_are() {
    let a: Vec<f64> = (0..6400)
        .map(|p| if p % 81 == 0 { [5.0, 1.0][usize::from(p / 81 >= 3)] } else { 0.0 })
        .collect();
    let found = leading_eigen(&a, 80, 4, &[]).unwrap();
    for (value, expected) in found.values.iter().zip([5.0, 5.0, 5.0, 1.0]) {
        assert!((value - expected).abs() < 1e-13, "{:?}", found.values);
    }
}

#[test]
fn a_number_that_is_none_is_named() {
    let mut a = vec![0.0; 6400];
    a[81 + 160] = f64::NAN;
    match leading_eigen(&a, 80, 2, &[]) {
        Err(EigenError::NotFinite { row, column, .. }) => assert_eq!((row, column), (3, 1)),
        other => panic!("{other:?}"),
    }
}
