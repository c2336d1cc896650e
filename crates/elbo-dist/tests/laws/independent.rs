//! Products of columns obey the laws of families; their oracle is each column on its own.

use elbo_core::{
    ConjugatePrior, DataError, EstimateError, Family, FitError, FlatParameters, Rows, Weighted,
    fit_single,
};
use elbo_dist::{
    Categorical, Column, Dirichlet, Gamma, Gaussian, Independent, IndependentPrior,
    NormalInverseGamma, Poisson,
};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

const D: usize = 3;

/// A measurement, a count and a category; each may be missing.
#[derive(Clone, Debug)]
struct Table(Vec<f64>);

impl Sample for Table {
    type Family = Independent;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.0, self.0.len() / D, D)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        Self(rows.iter().flat_map(|i| self.0[i * D..][..D].to_vec()).collect())
    }
}

fn product() -> impl Strategy<Value = Independent> {
    (-3.0..3.0_f64, 0.2..5.0_f64, 0.1..20.0_f64, vec(0.1..1.0_f64, 3)).prop_map(
        |(mean, variance, rate, weights)| {
            Independent::new(vec![
                Gaussian::new(mean, variance).unwrap().into(),
                Poisson::new(rate).unwrap().into(),
                Categorical::from_weights(&weights).unwrap().into(),
            ])
            .unwrap()
        },
    )
}

fn cell(value: impl Strategy<Value = f64> + Clone) -> impl Strategy<Value = f64> + Clone {
    prop_oneof![9 => value, 1 => Just(f64::NAN)]
}

/// At times more than one block; the first two rows are complete.
fn sample() -> impl Strategy<Value = WeightedSample<Table>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let row = (
        cell(-5.0..5.0_f64),
        cell((0..30_u8).prop_map(f64::from)),
        cell((0..3_u8).prop_map(f64::from)),
        weight,
    );
    let size = prop_oneof![9 => 2..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec(row.clone(), n), 0.1..2.0).prop_map(|(rows, weight)| {
            let mut weights: Vec<f64> = rows.iter().map(|row| row.3).collect();
            let mut cells: Vec<f64> =
                rows.iter().flat_map(|(x, count, code, _)| [*x, *count, *code]).collect();
            cells[..2 * D].copy_from_slice(&[0.5, 3.0, 1.0, -1.5, 4.0, 2.0]);
            (weights[0], weights[1]) = (weight, weight);
            WeightedSample::new(Table(cells), weights)
        })
    })
}

fn prior() -> impl Strategy<Value = IndependentPrior> {
    (-2.0..2.0_f64, 0.5..3.0_f64, 1.5..4.0_f64, vec(1.5..4.0_f64, 3)).prop_map(
        |(mean, count, shape, concentration)| {
            IndependentPrior::new(vec![
                NormalInverseGamma::new(mean, count, shape, 2.0).unwrap().into(),
                Gamma::new(shape, count).unwrap().into(),
                Dirichlet::new(concentration).unwrap().into(),
            ])
            .unwrap()
        },
    )
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((product(), sample()).prop_map(|(f, s)| s.stats(&f)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        product(),
        sample(),
        Just(Table(vec![f64::MAX, 1e15, 2.0, f64::NAN, f64::NAN, f64::NAN])),
        200.0
    );
}

mod priors {
    use super::*;

    elbo_laws::prior_laws!(prior(), sample(), product());
}

/// The cells of one column that are there, with the weights of their rows.
fn column(sample: &WeightedSample<Table>, place: usize) -> (Vec<f64>, Vec<f64>) {
    let cells = sample.data.0.iter().skip(place).step_by(D).zip(&sample.weights);
    cells.filter(|(x, _)| !x.is_nan()).map(|(x, w)| (*x, *w)).unzip()
}

proptest! {
    #[test]
    fn coordinates_give_the_product_back(product in product(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&product, &sample.data, 200.0);
    }

    #[test]
    fn estimates_are_those_of_the_columns(start in product(), sample in sample()) {
        let mut fitted = start.clone();
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        let weighted_mean = |place: usize| {
            let (cells, weights) = column(&sample, place);
            let sum: f64 = cells.iter().zip(&weights).map(|(x, w)| x * w).sum();
            sum / weights.iter().sum::<f64>()
        };
        for place in 0..2 {
            assert_close(fitted.columns()[place].mean(), weighted_mean(place), 30.0);
        }
        let Column::Categorical(categorical) = &fitted.columns()[2] else { panic!("no codes") };
        let (cells, weights) = column(&sample, 2);
        let of_two: f64 = cells.iter().zip(&weights).filter(|(x, _)| **x == 2.0).map(|(_, w)| w).sum();
        assert_close(categorical.probabilities()[2], of_two / weights.iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn rows_score_what_their_cells_score(product in product(), sample in sample()) {
        let [Column::Gaussian(gaussian), Column::Poisson(poisson), Column::Categorical(codes)] =
            product.columns() else { panic!("other columns") };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and whole")]
        let by_hand = |row: &[f64]| {
            let count = |x: f64| x as u64;
            let mut sum = 0.0;
            sum += if row[0].is_nan() { 0.0 } else { gaussian.log_density(row[0]) };
            sum += if row[1].is_nan() { 0.0 } else { poisson.log_probability(count(row[1])) };
            sum + if row[2].is_nan() { 0.0 } else { codes.log_probability(count(row[2]) as u32) }
        };
        let expected = sample.data.0.chunks_exact(D).map(by_hand);
        for (a, b) in sample.log_densities(&product).iter().zip(expected) {
            assert_close(*a, b, 200.0);
        }
    }
}

#[test]
fn draws_follow_their_columns() {
    let product = Independent::new(vec![
        Gaussian::new(1.0, 4.0).unwrap().into(),
        Poisson::new(3.0).unwrap().into(),
        Categorical::new(vec![0.2, 0.3, 0.5]).unwrap().into(),
    ])
    .unwrap();
    let drawn = elbo_core::Draw::draw(&product, 2000, &mut rng(5));
    let rows = <Independent as elbo_core::Draw>::batch_of(&drawn);
    let cells = (0..2000).flat_map(|i| (0..D).map(move |j| rows.get(i, j))).collect();
    elbo_laws::family::fitting_draws_recovers_the_distribution(&product, &Table(cells));
}

#[test]
fn a_cell_that_is_no_observation_is_named() {
    let product = Independent::new(vec![
        Gaussian::new(0.0, 1.0).unwrap().into(),
        Poisson::new(1.0).unwrap().into(),
    ])
    .unwrap();
    let refuse = |cells: &[f64]| product.check(Rows::new(cells, cells.len() / 2, 2)).unwrap_err();
    let error = refuse(&[0.0, 1.0, f64::NAN, f64::NAN, 0.0, 2.5]);
    assert!(matches!(error, DataError::Support { row: 2, column: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("row 2, column 1 is 2.5"), "{error}");
    let error = refuse(&[0.0, 1.0, f64::INFINITY, 2.0]);
    assert!(
        matches!(
            error,
            DataError::Support { row: 1, column: 0, .. }
                | DataError::NotFinite { row: 1, column: 0, .. }
        ),
        "{error:?}"
    );
    let codes = Independent::new(vec![Categorical::uniform(2).into()]).unwrap();
    // A missing cell before it does not shift the row that is named.
    let error = codes.check(Rows::new(&[0.0, f64::NAN, 2.0], 3, 1)).unwrap_err();
    assert!(matches!(error, DataError::Category { row: 2, value: 2, .. }), "{error:?}");
    let error = product.check(Rows::new(&[0.0], 1, 1)).unwrap_err();
    assert!(matches!(error, DataError::Dimension { expected: 2, found: 1 }));
}

#[test]
fn a_column_without_variance_is_named() {
    let start = Independent::new(vec![
        Poisson::new(1.0).unwrap().into(),
        Gaussian::new(0.0, 1.0).unwrap().into(),
    ])
    .unwrap();
    let rows = [1.0, 7.0, 2.0, 7.0, 3.0, 7.0];
    let weights = [1.0; 3];
    let data = Weighted::new(Rows::new(&rows, 3, 2), &weights).unwrap();
    let error = fit_single(start, data).unwrap_err();
    let singular = EstimateError::Singular { component: 0, column: 1, variance: 0.0 };
    assert_eq!(error, FitError::NoMaximum(singular));
}

#[test]
fn a_prior_of_another_family_is_refused() {
    let point = Independent::new(vec![Poisson::new(1.0).unwrap().into()]).unwrap();
    let prior = IndependentPrior::new(vec![Dirichlet::symmetric(2, 1.0).unwrap().into()]).unwrap();
    assert!(matches!(prior.check(&point), Err(EstimateError::Unsupported { .. })));
    let longer = IndependentPrior::new(vec![
        Gamma::new(1.0, 1.0).unwrap().into(),
        Gamma::new(1.0, 1.0).unwrap().into(),
    ])
    .unwrap();
    assert!(matches!(longer.check(&point), Err(EstimateError::Unsupported { .. })));
}

#[test]
fn a_product_of_nothing_is_refused() {
    assert!(Independent::new(Vec::new()).is_err());
    assert!(IndependentPrior::new(Vec::new()).is_err());
}

#[test]
fn parameters_are_named_by_column() {
    let product = Independent::new(vec![
        Gaussian::new(0.0, 1.0).unwrap().into(),
        Poisson::new(2.0).unwrap().into(),
    ])
    .unwrap();
    let mut names = Vec::new();
    product.for_each_parameter(&mut |name, _, _| names.push(name.to_string()));
    assert_eq!(names, ["column 0 mean", "column 0 variance", "column 1 rate"]);
}

#[cfg(feature = "serde")]
#[test]
fn products_survive_files() {
    let product = Independent::new(vec![
        Gaussian::new(0.1, 1.0).unwrap().into(),
        Poisson::new(2.0).unwrap().into(),
    ])
    .unwrap();
    let text = serde_json::to_string(&product).unwrap();
    assert!(text.contains(r#""family":"poisson""#), "{text}");
    assert_eq!(serde_json::from_str::<Independent>(&text).unwrap(), product);
    let bad = r#"{"columns": [{"family": "poisson", "rate": -1.0}]}"#;
    assert!(serde_json::from_str::<Independent>(bad).is_err());
    assert!(serde_json::from_str::<Independent>(r#"{"columns": []}"#).is_err());
}
