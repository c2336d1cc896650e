//! Missing values are integrated out, by formulas that know nothing of the kernels.

use elbo_core::{DataError, FitError};
use elbo_mixture::{
    CovarianceStructure, Estimation, Fitted, GaussianMixture, Mixture, MultivariateGaussian, Rows,
    Settings, Tolerance, Weighted,
};
use rand::RngExt;

use crate::support::{Table, clusters, tight};

const ESTIMATIONS: [Estimation; 3] =
    [Estimation::MaximumLikelihood, Estimation::MaximumAPosteriori, Estimation::VariationalBayes];

/// The same table with a share of its values missing at random, and its second row altogether.
fn holes(mut table: Table, share: f64, seed: u64) -> Table {
    let mut rng = crate::rng(seed);
    for x in &mut table.values {
        if rng.random::<f64>() < share {
            *x = f64::NAN;
        }
    }
    table.values[table.d..2 * table.d].fill(f64::NAN);
    table
}

fn fit(table: &Table, k: usize) -> Fitted<MultivariateGaussian> {
    GaussianMixture::new(k).starts(4).seed(3).fit(table.rows().into()).unwrap()
}

/// `N(x ∣ μ, Σ)` of the observed values alone: a matrix of their own, by elimination; nothing of the library's algebra.
fn marginal_density(component: &MultivariateGaussian, row: &[f64]) -> f64 {
    let d = row.len();
    let seen: Vec<usize> = (0..d).filter(|c| !row[*c].is_nan()).collect();
    let covariance = component.covariance();
    let m = seen.len();
    let mut a: Vec<Vec<f64>> = seen
        .iter()
        .map(|i| {
            let mut line: Vec<f64> = seen.iter().map(|j| covariance[i * d + j]).collect();
            line.push(row[*i] - component.mean()[*i]);
            line
        })
        .collect();
    let z: Vec<f64> = a.iter().map(|line| line[m]).collect();
    let mut determinant = 1.0;
    for p in 0..m {
        let (pivot_row, pivot) = (a[p].clone(), a[p][p]);
        determinant *= pivot;
        for (i, line) in a.iter_mut().enumerate() {
            let factor = if i == p { 1.0 - 1.0 / pivot } else { line[p] / pivot };
            line.iter_mut().zip(&pivot_row).for_each(|(x, y)| *x -= factor * y);
        }
    }
    let distance: f64 = z.iter().zip(&a).map(|(z, line)| z * line[m]).sum();
    (-0.5 * distance).exp() / (determinant * std::f64::consts::TAU.powf(m as f64)).sqrt()
}

fn log_likelihood(mixture: &Mixture<MultivariateGaussian>, table: &Table) -> f64 {
    let density = |row: &[f64]| -> f64 {
        let parts = mixture.weights().iter().zip(mixture.components());
        parts.map(|(w, c)| w * marginal_density(c, row)).sum()
    };
    table.values.chunks_exact(table.d).map(|row| density(row).ln()).sum()
}

#[test]
fn the_likelihood_is_that_of_what_was_observed() {
    for (d, share) in [(2, 0.3), (4, 0.2), (9, 0.1)] {
        let table = holes(clusters(300, d, 2, 21), share, 1);
        let fitted = fit(&table, 2);
        let expected = log_likelihood(&fitted.mixture, &table);
        // 300 logarithms of densities good to a few hundred roundings
        let error = (fitted.log_likelihood - expected).abs();
        assert!(error < 1e-10 * expected.abs(), "{d}: {} not {expected}", fitted.log_likelihood);
        let empty = &fitted.mixture.responsibilities(table.rows()).unwrap()[2..4];
        for (share, weight) in empty.iter().zip(fitted.mixture.weights()) {
            assert!((share - weight).abs() < 1e-14, "a row without values knows nothing");
        }
    }
}

#[test]
fn a_fit_is_a_maximum_of_that_likelihood() {
    let table = holes(clusters(200, 2, 2, 22), 0.2, 2);
    let fitted = tight(2, CovarianceStructure::VVV).starts(4).fit(table.rows().into()).unwrap();
    let at = |change: &dyn Fn(&mut Vec<f64>, &mut Vec<f64>)| {
        let mut components = fitted.mixture.components().to_vec();
        let (mut mean, mut covariance) =
            (components[0].mean().to_vec(), components[0].covariance());
        change(&mut mean, &mut covariance);
        let structure = CovarianceStructure::VVV;
        components[0] = MultivariateGaussian::new(structure, mean, &covariance).unwrap();
        let mixture = Mixture::new(fitted.mixture.weights().to_vec(), components).unwrap();
        log_likelihood(&mixture, &table)
    };
    let step = 1e-4;
    for c in 0..2 {
        let slope = (at(&|m, _| m[c] += step) - at(&|m, _| m[c] -= step)) / (2.0 * step);
        // central differences: third derivatives of some hundred, times step²
        assert!(slope.abs() < 1e-4, "mean {c}: {slope}");
        let slope = (at(&|_, s| s[3 * c] += step) - at(&|_, s| s[3 * c] -= step)) / (2.0 * step);
        assert!(slope.abs() < 1e-4, "variance {c}: {slope}");
    }
    let both = |s: &mut Vec<f64>, by: f64| s[1..3].iter_mut().for_each(|x| *x += by);
    let slope = (at(&|_, s| both(s, step)) - at(&|_, s| both(s, -step))) / (2.0 * step);
    assert!(slope.abs() < 1e-4, "covariance: {slope}");
}

#[test]
fn the_objective_never_falls_whatever_is_missing() {
    let table = holes(clusters(250, 3, 3, 23), 0.25, 3);
    let settings =
        Settings { tolerance: Tolerance::Gap(0.0), max_iterations: 60, ..Settings::default() };
    for estimation in ESTIMATIONS {
        for structure in
            [CovarianceStructure::VVV, CovarianceStructure::EEE, CovarianceStructure::VVI]
        {
            let fitted = GaussianMixture::new(3)
                .structure(structure)
                .estimation(estimation)
                .starts(1)
                .settings(settings.clone())
                .fit(table.rows().into())
                .unwrap();
            let trace = &fitted.report.trace;
            assert_eq!(trace.len(), 61, "{structure} {estimation:?}: {:?}", fitted.report.stopped);
            for pair in trace.windows(2) {
                assert!(pair[1] >= pair[0] - 1e-10 * pair[0].abs(), "{structure} {estimation:?}");
            }
        }
    }
}

#[test]
fn a_row_without_values_changes_no_component() {
    let table = clusters(200, 3, 2, 24);
    let mut values = table.values.clone();
    values.extend([f64::NAN; 6]);
    let more = Table { values, n: 202, d: 3 };
    let start = fit(&table, 2).mixture;
    let builder = tight(2, CovarianceStructure::VVV).start_at(start);
    let (with, without) =
        (builder.fit(more.rows().into()).unwrap(), builder.fit(table.rows().into()).unwrap());
    assert!((with.log_likelihood - without.log_likelihood).abs() < 1e-9);
    for (a, b) in with.mixture.components().iter().zip(without.mixture.components()) {
        for (x, y) in a.covariance().iter().zip(b.covariance()) {
            // both ends are within rounding of a maximum; flat directions magnify that by some thousand
            assert!((x - y).abs() < 1e-5 * y.abs().max(1.0), "{x} {y}");
        }
    }
}

#[test]
fn offsets_and_scales_leave_the_fit() {
    let table = holes(clusters(300, 3, 2, 25), 0.15, 5);
    for estimation in ESTIMATIONS {
        let fit = |table: &Table| {
            GaussianMixture::new(2)
                .estimation(estimation)
                .starts(3)
                .seed(5)
                .fit(table.rows().into())
                .unwrap()
        };
        let here = fit(&table);
        let observed = table.values.iter().filter(|x| !x.is_nan()).count() as f64;
        for (factor, offset) in [(1e6, 0.0), (1e-100, 0.0), (1.0, 1e6)] {
            let there = fit(&table.map(|x| x * factor + offset));
            let expected = here.log_likelihood - observed * factor.ln();
            // Moved data are rounded to 1e-10 of a standard deviation; both ends are within 1e-6 of a maximum per row.
            let error = (there.log_likelihood - expected).abs() / expected.abs();
            assert!(error < 1e-6, "{estimation:?} × {factor} + {offset}: {error}");
        }
    }
}

#[test]
fn weights_are_copies_where_values_are_missing() {
    let table = holes(clusters(150, 2, 2, 26), 0.2, 6);
    let doubled = Table { values: [&table.values[..], &table.values[..]].concat(), n: 300, d: 2 };
    let weights = vec![2.0; 150];
    let settings = Settings { tolerance: Tolerance::Gap(1e-12), ..Settings::default() };
    for estimation in ESTIMATIONS {
        let builder = GaussianMixture::new(2)
            .estimation(estimation)
            .start_at(fit(&table, 2).mixture)
            .settings(settings.clone());
        let copies = builder.fit(doubled.rows().into()).unwrap();
        let weighted = builder.fit(Weighted::new(table.rows(), &weights).unwrap()).unwrap();
        let difference = (copies.report.objective - weighted.report.objective).abs();
        assert!(difference < 1e-8 * copies.report.objective.abs(), "{estimation:?}: {difference}");
    }
}

#[test]
fn means_are_as_certain_as_the_values_observed_are_many() {
    let table = holes(clusters(120, 3, 1, 27), 0.3, 7);
    let builder = tight(1, CovarianceStructure::VVI).starts(1);
    let fitted = builder.fit(table.rows().into()).unwrap();
    let errors = builder.standard_errors(&fitted, table.rows().into()).unwrap();
    for c in 0..3 {
        let seen: Vec<f64> =
            (0..table.n).map(|i| table.values[i * 3 + c]).filter(|x| !x.is_nan()).collect();
        let n = seen.len() as f64;
        let mean = seen.iter().sum::<f64>() / n;
        let variance = seen.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        let found = errors.parameter(&format!("component 0 mean[{c}]")).unwrap().std_error.unwrap();
        // derivatives of the EM map are taken by differences, good to some 1e-8
        assert!((found - (variance / n).sqrt()).abs() < 1e-6 * found, "{c}: {found}");
    }
}

#[test]
fn columns_without_values_and_infinite_values_are_named() {
    let nan = f64::NAN;
    let values = [1.0, nan, 2.0, nan, 4.0, nan];
    let error = GaussianMixture::new(1).fit(Rows::new(&values, 3, 2).into()).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::EmptyColumn { column: 1 }));
    // a row of weight zero does not count
    let values = [1.0, nan, 2.0, nan, 4.0, 3.0];
    let rows = Weighted::new(Rows::new(&values, 3, 2), &[1.0, 1.0, 0.0]).unwrap();
    let error = GaussianMixture::new(1).fit(rows).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::EmptyColumn { column: 1 }));
    let values = [1.0, 7.0, 2.0, nan, 4.0, 7.0];
    let error = GaussianMixture::new(1).fit(Rows::new(&values, 3, 2).into()).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::ConstantColumn { column: 1, value: 7.0 }));
}

#[test]
fn a_prior_serves_where_the_observed_values_determine_no_covariance() {
    // six columns, five rows
    let table = holes(clusters(5, 6, 1, 28), 0.1, 8);
    let builder = GaussianMixture::new(1).starts(1);
    for estimation in [Estimation::MaximumAPosteriori, Estimation::VariationalBayes] {
        let fitted = builder.clone().estimation(estimation).fit(table.rows().into()).unwrap();
        assert!(fitted.log_likelihood.is_finite(), "{estimation:?}");
    }
}
