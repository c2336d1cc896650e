//! Weighted mean and scatter against exact integer arithmetic.

use elbo_linalg::{MomentsError, Rows, weighted_mean_and_scatter};
use proptest::{collection::vec, prelude::*};

/// Integer rows about a common offset, with integer weights, some of them zero.
fn table() -> impl Strategy<Value = (usize, Vec<i64>, Vec<i64>)> {
    let offset = prop::sample::select(&[0_i64, 1000, 100_000_000]);
    (1..5_usize, 1..30_usize, offset)
        .prop_flat_map(|(d, n, at)| (Just(d), vec(at - 100..at + 100, n * d), vec(0..4_i64, n)))
}

fn floats(values: &[i64]) -> Vec<f64> {
    values.iter().map(|&value| value as f64).collect()
}

proptest! {
    /// `w · scatter = w Σ wᵢxᵢxᵢᵀ − (Σ wᵢxᵢ)(Σ wᵢxᵢ)ᵀ`, exact in 128-bit integers. The two-pass formula
    /// rounds each term, at most `200²`, by a few `ε`, and the mean by `ε` of its own size.
    #[test]
    fn two_passes_agree_with_exact_arithmetic((d, data, weights) in table()) {
        let total: i128 = weights.iter().map(|&w| i128::from(w)).sum();
        let got = weighted_mean_and_scatter(Rows::row_major(&floats(&data), d), &floats(&weights));
        if total == 0 {
            prop_assert_eq!(got, Err(MomentsError::NoWeight { rows: weights.len() }));
            return Ok(());
        }
        let got = got.unwrap();
        let sum = |f: &dyn Fn(&[i64]) -> i128| -> i128 {
            data.chunks_exact(d).zip(&weights).map(|(row, &w)| i128::from(w) * f(row)).sum()
        };
        prop_assert_eq!(got.total_weight, total as f64);
        for i in 0..d {
            let first = sum(&|row| i128::from(row[i]));
            let mean = first as f64 / total as f64;
            prop_assert!((got.mean[i] - mean).abs() <= 2.0 * f64::EPSILON * mean.abs().max(100.0));
            for j in 0..d {
                let second = sum(&|row| i128::from(row[i]) * i128::from(row[j]));
                let other = sum(&|row| i128::from(row[j]));
                let scatter = (total * second - first * other) as f64 / total as f64;
                let bound = 8.0 * total as f64 * f64::EPSILON * 200.0 * (200.0 + mean.abs());
                prop_assert!((got.scatter[i * d + j] - scatter).abs() <= bound.min(1e-2));
            }
        }
    }

    #[test]
    fn strides_do_not_matter((d, data, weights) in table()) {
        let (n, data, weights) = (weights.len(), floats(&data), floats(&weights));
        let mut padded = vec![f64::NAN; n * (d + 3)];
        let mut columns = vec![0.0; n * d];
        for (i, row) in data.chunks_exact(d).enumerate() {
            for (j, value) in row.iter().enumerate() {
                padded[i * (d + 3) + j] = *value;
                columns[j * n + i] = *value;
            }
        }
        let want = weighted_mean_and_scatter(Rows::row_major(&data, d), &weights);
        let padded = Rows { data: &padded, n, d, row_stride: d + 3, column_stride: 1 };
        let columns = Rows { data: &columns, n, d, row_stride: 1, column_stride: n };
        prop_assert_eq!(&weighted_mean_and_scatter(padded, &weights), &want);
        prop_assert_eq!(&weighted_mean_and_scatter(columns, &weights), &want);
    }
}

#[test]
fn bad_tables_are_typed_errors() {
    let rows = Rows::row_major(&[1.0, f64::NAN, 3.0, 4.0], 2);
    let error = weighted_mean_and_scatter(rows, &[1.0, 1.0]).unwrap_err();
    assert!(matches!(error, MomentsError::Value { row: 0, column: 1, value } if value.is_nan()));
    assert!(
        weighted_mean_and_scatter(rows, &[0.0, 1.0]).is_ok(),
        "a row without weight is not read"
    );
    let error = weighted_mean_and_scatter(rows, &[0.0, -1.0]).unwrap_err();
    assert_eq!(error, MomentsError::Weight { row: 1, weight: -1.0 });
}
