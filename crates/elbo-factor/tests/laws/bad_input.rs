//! Bad data are typed errors that name the place.

use elbo_factor::{
    DataError, EstimateError, FactorAnalysis, FactorEm, FitError, Noise, ProbabilisticPca, Rows,
    Sample, SampleError,
};

#[test]
fn bad_rows_are_named() {
    let mut data: Vec<f64> = (0..1200).map(|i| f64::from(i * 7 % 11)).collect();
    let of = |data: &[f64]| Sample::of_rows(Rows::new(data, data.len() / 3, 3).into());
    assert_eq!(of(&[]), Err(DataError::Empty));
    for (row, column) in [(2, 1), (399, 2)] {
        let before = std::mem::replace(&mut data[row * 3 + column], f64::INFINITY);
        assert_eq!(of(&data), Err(DataError::NotFinite { row, column, value: f64::INFINITY }));
        data[row * 3 + column] = before;
    }
    assert!(of(&data).is_ok());
}

#[test]
fn a_constant_column_is_named() {
    let data: Vec<f64> =
        (0..90).map(|i| if i % 3 == 1 { 0.1 } else { f64::from(i * i % 17) }).collect();
    let sample = Sample::of_rows(Rows::new(&data, 30, 3).into()).unwrap();
    let error = FactorAnalysis::new(1).fit(&sample).unwrap_err();
    assert!(
        matches!(error, FitError::Data(DataError::ConstantColumn { column: 1, .. })),
        "{error}"
    );
    assert!(ProbabilisticPca::of_sample(&sample, 1).is_ok()); // principal components do not mind
}

#[test]
fn matrices_that_are_no_covariance_are_refused() {
    let of = |entries: [f64; 4]| Sample::of_covariance(&entries, 2, 10.0);
    for (entries, place) in [
        ([1.0, 0.2, 0.3, 1.0], (1, 0)),
        ([1.0, f64::NAN, f64::NAN, 1.0], (1, 0)),
        ([-1.0, 0.0, 0.0, 1.0], (0, 0)),
        ([1.0, 2.0, 2.0, 1.0], (1, 0)),
    ] {
        match of(entries) {
            Err(SampleError::Entry { row, column, .. }) => assert_eq!((row, column), place),
            other => panic!("{entries:?}: {other:?}"),
        }
    }
    let n = 0.0;
    assert_eq!(Sample::of_covariance(&[1.0], 1, n), Err(SampleError::Observations { n }));
}

#[test]
fn too_many_factors_are_refused() {
    let sample = Sample::of_covariance(&[1.0, 0.2, 0.2, 1.0], 2, 10.0).unwrap();
    let error = FactorAnalysis::new(2).fit(&sample).unwrap_err();
    assert!(matches!(error, FitError::Start(EstimateError::Unsupported { .. })), "{error}");
    let error = ProbabilisticPca::of_sample(&sample, 2).unwrap_err();
    assert!(matches!(error, EstimateError::Unsupported { .. }), "{error}");
}

#[test]
fn few_rows_have_factors_but_no_test() {
    // six rows of eight columns: the covariance is singular
    let data: Vec<f64> = (0..48).map(|i| f64::from((i * i * 7 + i) % 19)).collect();
    let sample = Sample::of_rows(Rows::new(&data, 6, 8).into()).unwrap();
    let fit = FactorAnalysis::new(2).fit(&sample).unwrap();
    assert!(fit.log_likelihood().is_finite() && fit.goodness_of_fit(&sample).is_none());
}

#[test]
fn bad_values_among_missing_ones_are_named() {
    let mut data: Vec<f64> = (0..120).map(|i| f64::from(i * i % 23)).collect();
    data[7] = f64::NAN;
    let fit = |data: &[f64]| FactorEm::new(1, Noise::Own).fit(Rows::new(data, 30, 4).into());
    assert!(fit(&data).is_ok());
    data[9] = f64::NEG_INFINITY;
    let error = fit(&data).unwrap_err();
    assert!(
        matches!(error, FitError::Data(DataError::NotFinite { row: 2, column: 1, .. })),
        "{error}"
    );
    data[9] = 1.0;
    data.iter_mut().skip(3).step_by(4).for_each(|x| *x = f64::NAN);
    let error = fit(&data).unwrap_err();
    assert!(
        matches!(error, FitError::Data(DataError::ConstantColumn { column: 3, .. })),
        "{error}"
    );
}
