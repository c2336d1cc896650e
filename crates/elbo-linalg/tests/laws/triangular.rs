//! Triangular systems.

use elbo_linalg::{invert_lower_in_place, solve_lower_in_place, solve_lower_transposed_in_place};
use proptest::prelude::*;

use crate::matrices::{Numbers, lower, order, product, transposed};

fn times(a: &[f64], x: &[f64]) -> Vec<f64> {
    a.chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum()).collect()
}

/// Substitution is backward stable: `|L x̂ − b| ≤ d ε |L| |x̂|` (Higham 2002, thm 8.5).
#[track_caller]
fn assert_solves(l: &[f64], x: &[f64], b: &[f64]) {
    let absolute = |v: &[f64]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let scale = times(&absolute(l), &absolute(x));
    for ((got, want), scale) in times(l, x).iter().zip(b).zip(scale) {
        let bound = (x.len() + 1) as f64 * f64::EPSILON * scale;
        assert!((got - want).abs() <= bound, "{got} != {want} within {bound:e}");
    }
}

proptest! {
    #[test]
    fn multiplying_undoes_solving(seed: u64, d in order()) {
        let l = lower(seed, d);
        let b = Numbers::new(!seed).take(d);
        let mut x = b.clone();
        solve_lower_in_place(&l, d, &mut x);
        assert_solves(&l, &x, &b);
        let mut x = b.clone();
        solve_lower_transposed_in_place(&l, d, &mut x);
        assert_solves(&transposed(&l, d), &x, &b);
    }

    /// Forward error of a triangular inverse: `|Û − U| ≤ d ε |U| |L| |U|` (Higham 2002, ch. 14).
    #[test]
    fn the_inverse_times_the_triangle_is_the_identity(seed: u64, d in order()) {
        let l = lower(seed, d);
        let mut inverse = l.clone();
        invert_lower_in_place(&mut inverse, d);
        let absolute = |a: &[f64]| a.iter().map(|x| x.abs()).collect::<Vec<_>>();
        let growth = product(&absolute(&inverse), &absolute(&l), d);
        let scale = product(&growth, &growth, d);
        for (at, value) in product(&inverse, &l, d).iter().enumerate() {
            let identity = f64::from(at / d == at % d);
            let bound = (d + 1) as f64 * f64::EPSILON * scale[at];
            prop_assert!((value - identity).abs() <= bound, "{at}: {value} within {bound:e}");
        }
    }

    #[test]
    fn the_upper_triangle_is_neither_read_nor_written(seed: u64, d in order()) {
        let mut plain = lower(seed, d);
        let mut marked = plain.clone();
        for i in 0..d {
            marked[i * d + i + 1..(i + 1) * d].fill(7.0);
        }
        let mut x = Numbers::new(!seed).take(d);
        let mut y = x.clone();
        solve_lower_in_place(&plain, d, &mut x);
        solve_lower_in_place(&marked, d, &mut y);
        prop_assert_eq!(&x, &y);
        solve_lower_transposed_in_place(&plain, d, &mut x);
        solve_lower_transposed_in_place(&marked, d, &mut y);
        prop_assert_eq!(&x, &y);
        invert_lower_in_place(&mut plain, d);
        invert_lower_in_place(&mut marked, d);
        for i in 0..d {
            prop_assert_eq!(&plain[i * d..=i * d + i], &marked[i * d..=i * d + i]);
            prop_assert!(marked[i * d + i + 1..(i + 1) * d].iter().all(|x| *x == 7.0));
        }
    }
}
