//! Bad data are typed errors or the documented work of a prior, never a panic and never silence.

use elbo_core::{DataError, EStepError, EstimateError, FitError};
use elbo_mixture::{
    CovarianceStructure, Estimation, GaussianMixture, Mixture, MixtureError, MultivariateGaussian,
    Rows, Stopped, Weighted,
};

fn ml(k: usize, rows: Rows<'_>) -> Result<elbo_mixture::Fitted<MultivariateGaussian>, FitError> {
    GaussianMixture::new(k).starts(5).fit(rows.into())
}

#[test]
fn no_rows() {
    assert_eq!(ml(1, Rows::new(&[], 0, 2)).unwrap_err(), FitError::Data(DataError::Empty));
}

#[test]
fn one_row() {
    let error = ml(1, Rows::new(&[1.0, 2.0], 1, 2)).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::ConstantColumn { column: 0, value: 1.0 }));
}

#[test]
fn fewer_rows_than_components() {
    let error = ml(3, Rows::new(&[1.0, 2.0], 2, 1)).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::TooFew { n: 2, needed: 3 }));
}

#[test]
fn fewer_distinct_rows_than_components() {
    let error = ml(3, Rows::new(&[1.0, 2.0, 1.0, 2.0], 4, 1)).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::TooFewDistinct { distinct: 2, needed: 3 }));
}

#[test]
fn an_infinite_value_is_named_by_row_and_column() {
    for bad in [f64::INFINITY, f64::NEG_INFINITY] {
        let error = ml(1, Rows::new(&[1.0, 2.0, 3.0, bad, 5.0, 6.0], 3, 2)).unwrap_err();
        assert!(
            matches!(error, FitError::Data(DataError::NotFinite { row: 1, column: 1, .. })),
            "{error}"
        );
        assert!(error.to_string().contains("row 1, column 1"), "{error}");
    }
}

#[test]
fn a_constant_column_is_named() {
    let rows = [1.0, 7.0, 2.0, 7.0, 4.0, 7.0];
    let error = ml(1, Rows::new(&rows, 3, 2)).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::ConstantColumn { column: 1, value: 7.0 }));
}

#[test]
fn more_columns_than_rows_needs_a_prior_or_a_simpler_structure() {
    let table = crate::support::clusters(5, 8, 1, 3);
    let error = ml(1, table.rows()).unwrap_err();
    assert!(
        matches!(error, FitError::Start(EstimateError::Singular { component: 0, .. })),
        "{error}"
    );
    for (structure, estimation) in [
        (CovarianceStructure::VVI, Estimation::MaximumLikelihood),
        (CovarianceStructure::VVV, Estimation::MaximumAPosteriori),
        (CovarianceStructure::VVV, Estimation::VariationalBayes),
    ] {
        let fitted = GaussianMixture::new(1)
            .structure(structure)
            .estimation(estimation)
            .fit(table.rows().into())
            .unwrap();
        assert!(fitted.log_likelihood.is_finite(), "{structure} {estimation:?}");
    }
}

#[test]
fn a_component_on_duplicate_points_is_reported_and_a_prior_cures_it() {
    let mut values: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 60) / 10.0).collect();
    values.extend([100.0; 30]);
    let rows = Rows::new(&values, 90, 1);
    let fitted = ml(2, rows).unwrap();
    let singular =
        |stopped: &Stopped| matches!(stopped, Stopped::MStep(EstimateError::Singular { .. }));
    assert!(singular(&fitted.report.stopped), "{:?}", fitted.report.stopped);
    let cured = GaussianMixture::new(2)
        .estimation(Estimation::MaximumAPosteriori)
        .fit(rows.into())
        .unwrap();
    assert!(cured.report.stopped.is_converged(), "{:?}", cured.report.stopped);
    assert!(cured.report.repairs.is_empty());
}

#[test]
fn bad_weights_are_named() {
    let rows = Rows::new(&[1.0, 2.0, 3.0], 3, 1);
    assert_eq!(
        Weighted::new(rows, &[1.0]).unwrap_err(),
        DataError::Weights { units: 3, weights: 1 }
    );
    assert_eq!(
        Weighted::new(rows, &[1.0, -1.0, 1.0]).unwrap_err(),
        DataError::Weight { row: 1, weight: -1.0 }
    );
    assert!(Weighted::new(rows, &[0.0; 3]).is_err());
}

#[test]
fn scoring_rows_of_another_width_or_impossible_rows_is_told() {
    let component = MultivariateGaussian::new(CovarianceStructure::VVV, vec![0.0], &[1.0]).unwrap();
    let mixture = Mixture::new(vec![1.0], vec![component]).unwrap();
    let wide = mixture.log_likelihood(Rows::new(&[1.0, 2.0], 1, 2)).unwrap_err();
    assert_eq!(wide, MixtureError::Data(DataError::Dimension { expected: 1, found: 2 }));
    let far = mixture.log_likelihood(Rows::new(&[0.0, 1e200], 2, 1)).unwrap_err();
    assert_eq!(far, MixtureError::EStep(EStepError::Impossible { row: 1 }));
    assert!(Mixture::new(vec![0.4, 0.4], mixture.components().to_vec()).is_err());
}

#[test]
fn a_structure_without_a_conjugate_prior_says_so() {
    let table = crate::support::clusters(50, 2, 2, 3);
    let error = GaussianMixture::new(2)
        .structure(CovarianceStructure::VEV)
        .estimation(Estimation::MaximumAPosteriori)
        .fit(table.rows().into())
        .unwrap_err();
    assert!(matches!(error, FitError::Start(EstimateError::Unsupported { .. })), "{error}");
}
