//! Cholesky and what follows from it. Uniqueness of the factor makes `L Lᵀ = Σ` its own oracle.

use elbo_linalg::{
    add_outer, cholesky_in_place, cholesky_relative, cholesky_with_jitter, log_det_from_cholesky,
    mahalanobis_squared, rank_one_update_lower, solve_lower_in_place,
    solve_lower_transposed_in_place, spd_inverse_from_cholesky,
};
use proptest::prelude::*;

use crate::matrices::{Numbers, order, product, spd, transposed};

fn factor(a: &[f64], d: usize) -> Vec<f64> {
    let mut l = a.to_vec();
    cholesky_in_place(&mut l, d).unwrap();
    l
}

/// Cholesky's backward error: `|L Lᵀ − Σ|ᵢⱼ ≤ (d + 1) u / (1 − (d + 1) u) √(Σᵢᵢ Σⱼⱼ)` (Higham 2002,
/// thm 10.3), with `u = ε / 2`; doubled for the blocked order of summation and this product.
#[track_caller]
fn assert_factors(l: &[f64], a: &[f64], d: usize) {
    let back = product(l, &transposed(l, d), d);
    for i in 0..d {
        for j in 0..d {
            let bound = (d + 2) as f64 * f64::EPSILON * (a[i * d + i] * a[j * d + j]).sqrt();
            let (got, want) = (back[i * d + j], a[i * d + j]);
            assert!(
                (got - want).abs() <= bound,
                "({i}, {j}): {got:e} != {want:e} within {bound:e}"
            );
            assert!(j <= i || l[i * d + j] == 0.0, "the upper triangle is zero");
        }
    }
}

proptest! {
    #[test]
    fn the_factor_times_its_transpose_is_the_matrix(seed: u64, d in order()) {
        let a = spd(seed, d);
        assert_factors(&factor(&a, d), &a, d);
    }

    #[test]
    fn only_the_lower_triangle_is_read(seed: u64, d in order()) {
        let a = spd(seed, d);
        let mut lower = a.clone();
        for i in 0..d {
            lower[i * d + i + 1..(i + 1) * d].fill(f64::NAN);
        }
        prop_assert_eq!(factor(&lower, d), factor(&a, d));
    }

    /// Powers of two multiply without rounding, so units of any size change no bit of the rest.
    #[test]
    fn changing_units_by_powers_of_two_scales_the_rows_of_the_factor_exactly(seed: u64, d in order()) {
        let a = spd(seed, d);
        let mut numbers = Numbers::new(!seed);
        let unit: Vec<f64> = (0..d).map(|_| numbers.power_of_two()).collect();
        let scaled: Vec<f64> = (0..d * d).map(|at| a[at] * unit[at / d] * unit[at % d]).collect();
        let l = factor(&a, d);
        let expected: Vec<f64> = (0..d * d).map(|at| l[at] * unit[at / d]).collect();
        prop_assert_eq!(factor(&scaled, d), expected);
    }

    /// The factor moves `ln det` by `d² ε κ` at most, with `κ < 10` here; the sum of `d` logarithms never
    /// exceeds `d (ln 10 + |ln c|)` and is rounded `d` times.
    #[test]
    fn log_det_of_a_multiple_adds_d_logs(seed: u64, d in order(), log_scale in -200.0..200.0_f64) {
        let a = spd(seed, d);
        let scaled: Vec<f64> = a.iter().map(|x| x * log_scale.exp()).collect();
        let got = log_det_from_cholesky(&factor(&scaled, d), d);
        let want = log_det_from_cholesky(&factor(&a, d), d) + d as f64 * log_scale.exp().ln();
        let bound = (d * d) as f64 * f64::EPSILON * (13.0 + log_scale.abs());
        prop_assert!((got - want).abs() <= bound, "{got} != {want} within {bound:e}");
    }

    /// `κ < 10` and entries of the inverse are below one, so `d ε κ` bounds the residual.
    #[test]
    fn the_inverse_times_the_matrix_is_the_identity(seed: u64, d in order()) {
        let a = spd(seed, d);
        let mut inverse = vec![f64::NAN; d * d];
        spd_inverse_from_cholesky(&factor(&a, d), d, &mut inverse);
        prop_assert_eq!(&inverse, &transposed(&inverse, d));
        for (at, value) in product(&inverse, &a, d).iter().enumerate() {
            let identity = f64::from(at / d == at % d);
            prop_assert!((value - identity).abs() <= 10.0 * (d + 1) as f64 * f64::EPSILON, "{value}");
        }
    }

    /// The two routes to `δᵀ Σ⁻¹ δ` differ by their rounding, `d ε κ` of the value each.
    #[test]
    fn mahalanobis_agrees_with_a_solve(seed: u64, d in order()) {
        let l = factor(&spd(seed, d), d);
        let difference = Numbers::new(!seed).take(d);
        let mut x = difference.clone();
        solve_lower_in_place(&l, d, &mut x);
        solve_lower_transposed_in_place(&l, d, &mut x);
        let want: f64 = x.iter().zip(&difference).map(|(a, b)| a * b).sum();
        let got = mahalanobis_squared(&l, d, &difference, &mut vec![0.0; d]);
        prop_assert!((got - want).abs() <= 20.0 * (d + 1) as f64 * f64::EPSILON * want);
    }

    /// A column that is a sum of two others, in integers, so that the Gram matrix is exact.
    #[test]
    fn a_dependent_column_is_rejected_by_name(seed: u64, d in 3..80_usize, at in any::<prop::sample::Index>()) {
        let last = 2 + at.index(d - 2);
        let n = d + 5;
        let mut rows: Vec<f64> = Numbers::new(seed).take(n * d).iter().map(|x| (x * 50.0).round()).collect();
        let mut gram = vec![0.0; d * d];
        for row in rows.chunks_exact_mut(d) {
            row[last] = row[0] + row[1];
            rank_one_update_lower(&mut gram, d, 1.0, row);
        }
        let error = cholesky_relative(&mut gram.clone(), d, 1e-11).unwrap_err();
        prop_assert_eq!(error.column, last);
        prop_assert_eq!(error.diagonal.round(), gram[last * d + last]);
        prop_assert!(error.pivot.abs() <= 1e-11 * error.diagonal);
        // adding the jitter it reports makes it a proper matrix, and nothing else was changed
        let mut l = gram.clone();
        let jitter = cholesky_with_jitter(&mut l, d, &mut vec![0.0; d]).unwrap();
        for i in 0..d {
            gram[i * d + i] *= 1.0 + jitter.amount;
            for j in 0..i {
                gram[j * d + i] = gram[i * d + j];
            }
        }
        assert_factors(&l, &gram, d);
    }

    #[test]
    fn not_a_number_anywhere_is_an_error(seed: u64, d in order(), at in any::<prop::sample::Index>(),
        bad in prop::sample::select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])) {
        let mut a = spd(seed, d);
        let (i, j) = { let at = at.index(d * d); ((at / d).max(at % d), (at / d).min(at % d)) };
        a[i * d + j] = bad;
        prop_assert!(cholesky_in_place(&mut a.clone(), d).is_err());
        prop_assert!(cholesky_with_jitter(&mut a, d, &mut vec![0.0; d]).is_err());
    }

    #[test]
    fn rank_one_updates_agree_with_the_outer_product(seed: u64, d in order(), weight in -2.0..2.0_f64) {
        let x = Numbers::new(seed).take(d);
        let (mut lower, mut full) = (spd(!seed, d), spd(!seed, d));
        let upper = lower.clone();
        rank_one_update_lower(&mut lower, d, weight, &x);
        add_outer(&mut full, weight, &x, &x);
        for i in 0..d {
            for j in 0..d {
                prop_assert_eq!(lower[i * d + j], if j <= i { full[i * d + j] } else { upper[i * d + j] });
                prop_assert_eq!(full[i * d + j], upper[i * d + j] + weight * x[i] * x[j]);
            }
        }
    }
}

#[test]
fn log_det_of_a_large_small_matrix_does_not_underflow() {
    let d = 200;
    let mut a = vec![0.0; d * d];
    (0..d).for_each(|j| a[j * d + j] = 0.01);
    cholesky_in_place(&mut a, d).unwrap();
    let exact = -921.034_037_197_618_3; // 200 ln 0.01
    assert!((log_det_from_cholesky(&a, d) - exact).abs() <= 200.0 * f64::EPSILON * 921.0);
}

#[test]
fn columns_of_1e150_and_1e_minus_150_factor_together() {
    let mut a = [1e300, 0.5, 0.5, 1e-300];
    cholesky_relative(&mut a, 2, 1e-10).unwrap();
    let want = [1e150, 0.0, 0.5e-150, 0.75_f64.sqrt() * 1e-150];
    for (got, want) in a.iter().zip(want) {
        assert!((got - want).abs() <= 4.0 * f64::EPSILON * want, "{got:e} != {want:e}");
    }
}

#[test]
fn jitter_is_reported_and_zero_when_none_is_needed() {
    let jitter = cholesky_with_jitter(&mut [4.0, 2.0, 2.0, 2.0], 2, &mut [0.0; 2]).unwrap();
    assert_eq!((jitter.amount, jitter.attempts), (0.0, 1));
    let jitter = cholesky_with_jitter(&mut [1.0, 1.0, 1.0, 1.0], 2, &mut [0.0; 2]).unwrap();
    assert_eq!((jitter.amount, jitter.attempts), (20.0 * f64::EPSILON, 2));
    let indefinite = [1.0, 2.0, 2.0, 1.0];
    let error = cholesky_with_jitter(&mut indefinite.clone(), 2, &mut [0.0; 2]).unwrap_err();
    assert_eq!(error.column, 1);
    assert!(
        cholesky_with_jitter(&mut [0.0], 1, &mut [0.0]).is_err(),
        "a constant column stays singular"
    );
}

#[test]
fn the_error_says_where_and_by_how_much() {
    let error = cholesky_in_place(&mut [4.0, 0.0, 4.0, 1.0], 2).unwrap_err();
    assert_eq!((error.column, error.pivot, error.diagonal), (1, -3.0, 1.0));
    assert!(error.to_string().contains("in column 1 the pivot is -3e0"), "{error}");
}

#[test]
fn an_empty_matrix_has_an_empty_factor() {
    cholesky_in_place(&mut [], 0).unwrap();
    assert_eq!(log_det_from_cholesky(&[], 0), 0.0);
}
