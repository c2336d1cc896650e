//! Responsibilities are distributions, whatever way the latent variable is filled in.

use elbo_core::{Inference, RowError};
use elbo_laws::assert_close;
use proptest::{collection::vec, prelude::*};

fn row() -> impl Strategy<Value = Vec<f64>> {
    vec(prop_oneof![9 => -700.0..700.0, 1 => Just(f64::NEG_INFINITY)], 1..9)
        .prop_filter("some value must be possible", |row: &Vec<f64>| {
            row.iter().any(|x| x.is_finite())
        })
}

fn assign(how: &mut Inference<'_>, row: &[f64]) -> (Vec<f64>, f64) {
    let mut row = row.to_vec();
    let data_term = how.assign(&mut row).unwrap();
    (row, data_term)
}

proptest! {
    #[test]
    fn responsibilities_are_a_distribution(row in row(), beta in 0.01..=1.0_f64) {
        for how in [&mut Inference::Soft, &mut Inference::Hard, &mut Inference::Tempered(beta)] {
            let (gamma, _) = assign(how, &row);
            prop_assert!(gamma.iter().all(|g| (0.0..=1.0).contains(g)));
            assert_close(gamma.iter().sum(), 1.0, 1.0);
        }
    }

    #[test]
    fn soft_is_bayes_theorem(row in vec(-30.0..0.0_f64, 1..9)) {
        let evidence: f64 = row.iter().map(|l| l.exp()).sum();
        let (gamma, data_term) = assign(&mut Inference::Soft, &row);
        assert_close(data_term, evidence.ln(), 30.0);
        for (gamma, l) in gamma.iter().zip(&row) {
            assert_close(*gamma, l.exp() / evidence, 1.0);
        }
    }

    #[test]
    fn a_common_factor_moves_only_the_data_term(row in row(), shift in -1e3..1e3) {
        let moved: Vec<f64> = row.iter().map(|l| l + shift).collect();
        let ((a, before), (b, after)) =
            (assign(&mut Inference::Soft, &row), assign(&mut Inference::Soft, &moved));
        a.iter().zip(&b).for_each(|(a, b)| assert_close(*a, *b, 10.0));
        assert_close(after, before + shift, 2e3);
    }

    #[test]
    fn at_temperature_one_tempered_is_soft(row in row()) {
        let (soft, tempered) =
            (assign(&mut Inference::Soft, &row), assign(&mut Inference::Tempered(1.0), &row));
        prop_assert_eq!(soft, tempered);
    }

    #[test]
    fn the_hard_data_term_never_exceeds_the_soft_one(row in row()) {
        let (hard, soft) = (assign(&mut Inference::Hard, &row).1, assign(&mut Inference::Soft, &row).1);
        prop_assert!(hard <= soft && soft <= hard + (row.len() as f64).ln() + 1e-12 * hard.abs());
    }
}

#[test]
fn hard_takes_the_first_of_equals() {
    assert_eq!(assign(&mut Inference::Hard, &[-2.0, -1.0, -1.0]), (vec![0.0, 1.0, 0.0], -1.0));
}

#[test]
fn rows_without_responsibilities_are_refused() {
    let impossible = [f64::NEG_INFINITY; 2];
    for how in [&mut Inference::Soft, &mut Inference::Hard, &mut Inference::Tempered(0.5)] {
        assert_eq!(how.assign(&mut impossible.clone()), Err(RowError::Impossible));
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(how.assign(&mut [0.0, bad]), Err(RowError::NotFinite));
            assert_eq!(how.assign(&mut [bad, 0.0]), Err(RowError::NotFinite));
            assert_eq!(how.assign(&mut [bad, f64::NEG_INFINITY]), Err(RowError::NotFinite));
        }
    }
}
