//! Laws of `exp`, `ln` and the normalizations built on them.

use elbo_linalg::{
    SoftmaxError, exp_in_place, exp_into, ln_in_place, ln_into, log_sum_exp, softmax_columns,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Log densities with the bad corners of an E-step: impossible components, ties, far tails.
fn log_density() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -50.0..50.0_f64,
        2 => -1e6..-1e3_f64,
        1 => Just(0.0),
        1 => Just(f64::NEG_INFINITY),
    ]
}

/// `k × n` log densities in which the first component is possible everywhere.
fn block() -> impl Strategy<Value = (usize, usize, Vec<f64>)> {
    (1..7_usize, 1..40_usize).prop_flat_map(|(k, n)| {
        (Just(k), Just(n), vec(log_density(), k * n)).prop_map(|(k, n, mut block)| {
            for cell in &mut block[..n] {
                *cell = cell.max(-1e6);
            }
            (k, n, block)
        })
    })
}

/// Responsibilities, normalizers and their sum.
fn normalized(k: usize, n: usize, block: &[f64]) -> (Vec<f64>, Vec<f64>, f64) {
    let (mut shares, mut normalizers) = (block.to_vec(), vec![0.0; n]);
    let total =
        softmax_columns(&mut shares, n, &vec![0.0; k], &vec![0.0; k], &mut normalizers).unwrap();
    (shares, normalizers, total)
}

proptest! {
    #[test]
    fn exp_undoes_ln(x in vec(1e-300..1e300_f64, 0..30)) {
        let mut y = vec![0.0; x.len()];
        ln_into(&x, &mut y);
        // An error of 2 ulp in ln x is a relative error of 2 ε |ln x| in x; that of exp comes on top.
        let bounds: Vec<f64> = y.iter().map(|ln| 2.0 * f64::EPSILON * (ln.abs() + 1.0)).collect();
        exp_in_place(&mut y);
        for ((x, y), bound) in x.iter().zip(&y).zip(bounds) {
            prop_assert!((x - y).abs() <= bound * x, "{x} came back as {y}");
        }
    }

    #[test]
    fn exp_and_ln_are_monotone(x in vec(-700.0..700.0_f64, 1..30), step in 1e-12..1.0_f64) {
        let mut low = vec![0.0; x.len()];
        exp_into(&x, &mut low);
        // Steps larger than the error of either side.
        let mut high: Vec<f64> = x.iter().map(|x| x + step.max(1e-15 * x.abs())).collect();
        exp_in_place(&mut high);
        for (low, high) in low.iter().zip(&high) {
            prop_assert!(low <= high);
        }
        ln_in_place(&mut low);
        ln_in_place(&mut high);
        for (low, high) in low.iter().zip(&high) {
            prop_assert!(*low <= high + 4.0 * f64::EPSILON * high.abs());
        }
    }

    #[test]
    fn log_sum_exp_lies_between_its_maximum_and_that_plus_ln_n(x in vec(log_density(), 1..60)) {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum = log_sum_exp(&x);
        let ln_n = (x.len() as f64).ln();
        let slack = 2.0 * f64::EPSILON * (1.0 + ln_n + largest.abs());
        prop_assert!(sum >= largest);
        prop_assert!(sum <= largest + ln_n + slack || largest == f64::NEG_INFINITY);
    }

    #[test]
    fn normalizers_are_the_log_sum_exp_of_columns((k, n, block) in block()) {
        let (_, normalizers, total) = normalized(k, n, &block);
        let mut size = 0.0;
        for (i, normalizer) in normalizers.iter().enumerate() {
            let column: Vec<f64> = (0..k).map(|j| block[j * n + i]).collect();
            let expected = log_sum_exp(&column);
            // k exponentials of 2 ulp and their sum, a logarithm, the shift.
            let bound = f64::EPSILON * (8.0 + k as f64 + expected.abs());
            prop_assert!((normalizer - expected).abs() <= bound);
            size += normalizer.abs();
        }
        prop_assert!((total - normalizers.iter().sum::<f64>()).abs() <= f64::EPSILON * n as f64 * size);
    }

    #[test]
    fn responsibilities_of_a_column_sum_to_one((k, n, block) in block()) {
        let (shares, ..) = normalized(k, n, &block);
        for i in 0..n {
            let sum: f64 = (0..k).map(|j| shares[j * n + i]).sum();
            prop_assert!((sum - 1.0).abs() <= f64::EPSILON * (k as f64 + 2.0), "column {i}: {sum}");
        }
    }

    #[test]
    fn permuting_components_permutes_responsibilities((k, n, block) in block()) {
        let (shares, normalizers, _) = normalized(k, n, &block);
        let reversed: Vec<f64> = block.chunks(n).rev().flatten().copied().collect();
        let (other, others, _) = normalized(k, n, &reversed);
        for (i, (a, b)) in normalizers.iter().zip(&others).enumerate() {
            prop_assert!((a - b).abs() <= f64::EPSILON * (8.0 + k as f64 + a.abs()));
            for j in 0..k {
                let (a, b) = (shares[j * n + i], other[(k - 1 - j) * n + i]);
                prop_assert!((a - b).abs() <= f64::EPSILON * (k as f64 + 4.0) * a);
            }
        }
    }

    #[test]
    fn a_threshold_drops_exactly_what_is_below_it(
        (k, n, block) in block(),
        threshold in prop_oneof![0.0..0.5_f64, Just(2_f64.powi(-53)), Just(2.0)],
    ) {
        let (all, normalizers, total) = normalized(k, n, &block);
        let (mut kept, mut same) = (block.clone(), vec![0.0; n]);
        let log_likelihood =
            softmax_columns(&mut kept, n, &vec![0.0; k], &vec![threshold; k], &mut same).unwrap();
        let expected: Vec<f64> = all.iter().map(|r| if *r < threshold { 0.0 } else { *r }).collect();
        prop_assert_eq!(kept, expected);
        prop_assert_eq!((same, log_likelihood.to_bits()), (normalizers, total.to_bits()));
    }

    #[test]
    fn the_first_impossible_column_is_named((k, n, block) in block(), at in any::<prop::sample::Index>()) {
        let mut block = block;
        let column = at.index(n);
        for i in [column, n - 1] {
            for j in 0..k {
                block[j * n + i] = f64::NEG_INFINITY;
            }
        }
        let result = softmax_columns(&mut block, n, &vec![0.0; k], &vec![0.0; k], &mut vec![0.0; n]);
        prop_assert_eq!(result, Err(SoftmaxError::Impossible { column }));
    }
}
