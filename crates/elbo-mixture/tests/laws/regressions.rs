//! Mixtures of regressions, against other programs, plain sums and what the data were made from.

use std::{fmt::Debug, path::Path, str::FromStr};

use elbo_core::{Batch, DataError, Family, FitError};
use elbo_dist::{LinearGaussian, LogisticRegression, PoissonRegression};
use elbo_mixture::{
    Fitted, Label, Mixture, MixtureModel, Rows, Settings, Start, Tolerance, Weighted,
};
use rand::RngExt;
use serde_json::Value;

use crate::{rng, support::reference};

fn column<T: FromStr<Err: Debug>>(path: &Path, name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').map(|n| n.trim_matches('"')).collect();
    let place = names.iter().position(|n| *n == name).unwrap();
    lines.map(|line| line.split(',').nth(place).unwrap().parse().unwrap()).collect()
}

fn golden(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("mixture/ref_mixtools_flexmix.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn fit<'d, F: Family>(template: F, k: usize, data: Weighted<'d, F::Batch<'d>>) -> Fitted<F> {
    let settings = Settings { tolerance: Tolerance::Gap(1e-13), ..Settings::default() };
    let start = Start::Groups { k, runs: 20, template };
    MixtureModel::ml().fit(data, &start, &settings, &()).unwrap()
}

/// mixtools 2.0.0 `regmixEM(Equivalence, NO)`.
#[test]
fn lines_agree_with_mixtools() {
    let Some(folder) = reference() else { return };
    let table = folder.join("mixture/NOdata.csv");
    let (x, y) = (column::<f64>(&table, "NO"), column::<f64>(&table, "Equivalence"));
    let golden = &golden(&folder)["regmixEM_NOdata"];
    let (beta, sigma) = (&golden["beta"], numbers(&golden["sigma"]));
    let beta: Vec<Vec<f64>> = beta.as_array().unwrap().iter().map(numbers).collect();
    let data = (Rows::new(&x, x.len(), 1), Rows::new(&y, y.len(), 1));
    let theirs = (0..2).map(|j| {
        LinearGaussian::new(vec![beta[0][j]], vec![beta[1][j]], &[sigma[j].powi(2)]).unwrap()
    });
    let lambda = numbers(&golden["lambda"]);
    let theirs = Mixture::new(vec![lambda[0], 1.0 - lambda[0]], theirs.collect()).unwrap();
    let log_likelihood = golden["loglik"].as_f64().unwrap();
    assert!((theirs.log_likelihood(data).unwrap() - log_likelihood).abs() < 1e-6);

    // Theirs stops within 1e-8 of its own changes; the optimum is no lower.
    let fitted = fit(LinearGaussian::standard(1, 1), 2, data.into());
    assert!((fitted.log_likelihood - log_likelihood).abs() < 1e-6, "{}", fitted.log_likelihood);
    assert!(fitted.log_likelihood > log_likelihood - 1e-9);
    let order =
        if fitted.mixture.components()[0].coefficients()[0] > 0.0 { [0, 1] } else { [1, 0] };
    for (j, place) in order.into_iter().enumerate() {
        let line = &fitted.mixture.components()[place];
        // The likelihood is within 1e-6 of flat over a thousandth of a standard error.
        assert!((line.intercept()[0] - beta[0][j]).abs() < 1e-4);
        assert!((line.coefficients()[0] - beta[1][j]).abs() < 1e-4);
        assert!((line.covariance()[0].sqrt() - sigma[j]).abs() < 1e-4);
        assert!((fitted.mixture.weights()[place] - lambda[j]).abs() < 1e-3);
    }
}

/// flexmix 2.3-18, `yn ~ x + I(x^2)`, whose standard deviations divide by `n − 3` in place of `n`: its likelihood is ours at
/// its parameters, and ours ends above.
#[test]
fn parabolas_agree_with_flexmix() {
    let Some(folder) = reference() else { return };
    let table = folder.join("mixture/NPreg.csv");
    let (x, y) = (column::<f64>(&table, "x"), column::<f64>(&table, "yn"));
    let golden = &golden(&folder)["flexmix_NPreg_gaussian"];
    let params: Vec<Vec<f64>> = golden["params"].as_array().unwrap().iter().map(numbers).collect();
    let powers: Vec<f64> = x.iter().flat_map(|x| [*x, x * x]).collect();
    let data = (Rows::new(&powers, x.len(), 2), Rows::new(&y, y.len(), 1));
    let theirs = (0..2).map(|j| {
        let slopes = vec![params[1][j], params[2][j]];
        LinearGaussian::new(vec![params[0][j]], slopes, &[params[3][j].powi(2)]).unwrap()
    });
    let prior = numbers(&golden["prior"]);
    let theirs = Mixture::new(vec![prior[0], 1.0 - prior[0]], theirs.collect()).unwrap();
    let log_likelihood = golden["logLik"].as_f64().unwrap();
    assert!((theirs.log_likelihood(data).unwrap() - log_likelihood).abs() < 1e-4);

    let fitted = fit(LinearGaussian::standard(2, 1), 2, data.into());
    let gain = fitted.log_likelihood - theirs.log_likelihood(data).unwrap();
    // Two variances off by 3 %, each worth n/4 · 0.03² to second order.
    assert!(gain > 0.0 && gain < 0.1, "{gain}");
    assert!(fitted.runs.reached_best() >= 10, "{:?}", fitted.runs.optima);
}

/// flexmix 2.3-18, `yp ~ x`, family Poisson: maximum likelihood in both.
#[test]
fn poisson_curves_agree_with_flexmix() {
    let Some(folder) = reference() else { return };
    let table = folder.join("mixture/NPreg.csv");
    let (x, y) = (column::<f64>(&table, "x"), column::<u64>(&table, "yp"));
    let golden = &golden(&folder)["flexmix_NPreg_poisson"];
    let log_likelihood = golden["logLik"].as_f64().unwrap();
    let data = (Rows::new(&x, x.len(), 1), &y[..]);
    let fitted = fit(PoissonRegression::new(0.0, vec![0.0]).unwrap(), 2, data.into());
    let error = (fitted.log_likelihood - log_likelihood).abs();
    assert!(error < 1e-6 * log_likelihood.abs(), "{}", fitted.log_likelihood);
    let params: Vec<Vec<f64>> = golden["params"].as_array().unwrap().iter().map(numbers).collect();
    let order =
        if fitted.mixture.components()[0].coefficients()[0] > 0.0 { [0, 1] } else { [1, 0] };
    for (j, place) in order.into_iter().enumerate() {
        let curve = &fitted.mixture.components()[place];
        // flexmix stops at changes of 1e-6 per iteration, some standard errors / 100 away.
        assert!((curve.intercept() - params[0][j]).abs() < 5e-3);
        assert!((curve.coefficients()[0] - params[1][j]).abs() < 2e-3);
    }
}

/// Two logistic curves against each other, each row an average of many trials by its weight.
#[test]
fn logistic_curves_are_recovered_and_the_gradient_is_zero() {
    let mut generator = rng(5);
    // A unit answers once; what tells groups apart is that each covariate value is seen in three columns.
    let n = 4000;
    let mut x = Vec::new();
    let mut y = Vec::new();
    for i in 0..n {
        let side = i % 2 == 0;
        let value = 6.0 * generator.random::<f64>() - 3.0;
        let eta: f64 = if side { 4.0 * value } else { -1.0 - 4.0 * value };
        x.push(value);
        y.push(generator.random::<f64>() < 1.0 / (1.0 + (-eta).exp()));
    }
    let data = (Rows::new(&x, n, 1), &y[..]);
    // Every other row is known, without which one answer per row identifies nothing.
    let labels: Vec<Label> =
        (0..n).map(|i| if i % 4 < 2 { Label::Known(i % 2) } else { Label::Unknown }).collect();
    let labeled = Weighted::uniform(data).with_labels(&labels).unwrap();
    let template = LogisticRegression::new(0.0, vec![0.0]).unwrap();
    let fitted = fit(template, 2, labeled);
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
    let curves = fitted.mixture.components();
    // Three standard errors of about 0.2.
    assert!((curves[0].coefficients()[0] - 4.0).abs() < 0.6);
    assert!((curves[1].coefficients()[0] + 4.0).abs() < 0.6);
    assert!((curves[1].intercept() + 1.0).abs() < 0.4);

    let likelihood = |j: usize, shift: [f64; 2]| -> f64 {
        let eta = |j2: usize, x: f64| {
            let by = if j2 == j { shift } else { [0.0; 2] };
            curves[j2].intercept() + by[0] + (curves[j2].coefficients()[0] + by[1]) * x
        };
        let row = |i: usize| {
            let p = |j2: usize| {
                let p = 1.0 / (1.0 + (-eta(j2, x[i])).exp());
                fitted.mixture.weights()[j2] * if y[i] { p } else { 1.0 - p }
            };
            (0..2).filter(|j2| labels[i].allows(*j2)).map(p).sum::<f64>().ln()
        };
        (0..n).map(row).sum()
    };
    for j in 0..2 {
        for direction in [[1e-4, 0.0], [0.0, 1e-4]] {
            let back = direction.map(|h: f64| -h);
            let slope = (likelihood(j, direction) - likelihood(j, back)) / 2e-4;
            // A gap of 1e-13 n nats at a curvature of some hundreds.
            assert!(slope.abs() < 1e-3, "{j} {direction:?}: {slope}");
        }
    }
}

/// One step from given lines by weighted normal equations.
#[test]
fn one_step_is_weighted_least_squares() {
    let (n, mut generator) = (60, rng(3));
    let x: Vec<f64> = (0..n).map(|_| 4.0 * generator.random::<f64>()).collect();
    let y: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, x)| if i % 3 == 0 { 1.0 + x } else { 5.0 - 0.5 * x } + generator.random::<f64>())
        .collect();
    let weights: Vec<f64> = (0..n).map(|i| f64::from(u8::try_from(i % 4).unwrap())).collect();
    let data = (Rows::new(&x, n, 1), Rows::new(&y, n, 1));
    let lines = [(1.0, 1.2, 0.5), (5.0, -0.4, 0.3)];
    let component =
        |(b, a, v): (f64, f64, f64)| LinearGaussian::new(vec![b], vec![a], &[v]).unwrap();
    let start = Mixture::new(vec![0.4, 0.6], lines.map(component).to_vec()).unwrap();
    let settings =
        Settings { max_iterations: 1, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
    let weighted = Weighted::new(data, &weights).unwrap();
    let model: MixtureModel<LinearGaussian, _, _> = MixtureModel::ml();
    let stepped = model.fit(weighted, &Start::At(start), &settings, &()).unwrap().mixture;
    let joint = |j: usize, i: usize| {
        let (b, a, v) = lines[j];
        [0.4, 0.6][j] * (-0.5 * (y[i] - b - a * x[i]).powi(2) / v).exp() / v.sqrt()
    };
    for j in 0..2 {
        let share = |i: usize| weights[i] * joint(j, i) / (joint(0, i) + joint(1, i));
        let sum = |f: &dyn Fn(usize) -> f64| (0..n).map(|i| share(i) * f(i)).sum::<f64>();
        let (w, mx, my) = (sum(&|_| 1.0), sum(&|i| x[i]), sum(&|i| y[i]));
        let (mx, my) = (mx / w, my / w);
        let slope = sum(&|i| (x[i] - mx) * (y[i] - my)) / sum(&|i| (x[i] - mx).powi(2));
        let variance = sum(&|i| (y[i] - my - slope * (x[i] - mx)).powi(2)) / w;
        let ours = &stepped.components()[j];
        assert!((ours.coefficients()[0] - slope).abs() < 1e-12);
        assert!((ours.predict(&[mx])[0] - my).abs() < 1e-12);
        assert!((ours.covariance()[0] - variance).abs() < 1e-12);
    }
}

/// Groups keep to labels, whatever the run, and refuse what has no estimate.
#[test]
fn groups_keep_to_labels_and_say_what_is_missing() {
    let x: Vec<f64> = (0..40).map(f64::from).collect();
    let y: Vec<f64> = x.iter().map(|x| if *x < 20.0 { 3.0 * x } else { 200.0 - x }).collect();
    let y: Vec<f64> = y.iter().zip(&x).map(|(y, x)| y + (x * 7.7).sin()).collect();
    let data = (Rows::new(&x, 40, 1), Rows::new(&y, 40, 1));
    let labels: Vec<Label> = (0..40).map(|i| Label::Known(usize::from(i < 20))).collect();
    let labeled = Weighted::uniform(data).with_labels(&labels).unwrap();
    let fitted = fit(LinearGaussian::standard(1, 1), 2, labeled);
    assert!((fitted.mixture.components()[1].coefficients()[0] - 3.0).abs() < 0.1);
    assert_eq!(fitted.runs.reached_best(), 20);

    let flat = vec![1.0; 40];
    let data: Weighted<'_, _> = (Rows::new(&flat, 40, 1), Rows::new(&y, 40, 1)).into();
    let start = Start::Groups { k: 2, runs: 2, template: LinearGaussian::standard(1, 1) };
    let error = MixtureModel::ml().fit(data, &start, &Settings::default(), &()).unwrap_err();
    assert!(matches!(error, FitError::Start(elbo_core::EstimateError::Singular { .. })), "{error}");
    let none = data.slice(0..0);
    let error = MixtureModel::ml().fit(none, &start, &Settings::default(), &()).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::Empty));
}
