//! Two kinds of customers, one table: a mixture of regressions finds who follows which line.
#![allow(clippy::print_stdout, reason = "an example prints")]

use elbo::{
    dist::LinearGaussian,
    mixture::{FitError, Fitted, MixtureModel, Rows, Settings, Start},
};

fn fit(k: usize, x: Rows<'_>, y: Rows<'_>) -> Result<Fitted<LinearGaussian>, FitError> {
    // One row says too little about a line: every component starts from a few random rows.
    let start = Start::Groups { k, runs: 20, template: LinearGaussian::standard(1, 1) };
    MixtureModel::ml().fit((x, y).into(), &start, &Settings::default(), &())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Spending against income: one group saves, the other one spends; nobody says who is who.
    let n = 120;
    let noise = |i: usize| 0.4 * ((i * 73 % 101) as f64 / 50.0 - 1.0);
    let income: Vec<f64> = (0..n).map(|i| 1.0 + (i * 37 % n) as f64 / 12.0).collect();
    let spending: Vec<f64> = income
        .iter()
        .enumerate()
        .map(|(i, x)| if i % 3 == 0 { 3.0 + 0.1 * x } else { 0.5 + 0.9 * x } + noise(i))
        .collect();
    let (x, y) = (Rows::new(&income, n, 1), Rows::new(&spending, n, 1));

    for k in 1..=3 {
        let fitted = fit(k, x, y)?;
        println!("{k} lines: BIC {:.1}, {} starts agree", fitted.bic(), fitted.runs.reached_best());
    }
    let fitted = fit(2, x, y)?;
    for (weight, line) in fitted.mixture.weights().iter().zip(fitted.mixture.components()) {
        let (intercept, slope) = (line.intercept()[0], line.coefficients()[0]);
        println!("{:.0} %: {intercept:.2} + {slope:.2} · income", 100.0 * weight);
    }
    let labels = fitted.mixture.labels((x, y))?;
    let right = (0..n).filter(|i| (labels[*i] == labels[0]) == (i % 3 == 0)).count();
    println!("{right} of {n} rows went to the line they were made from");
    // The lines cross: near there a row may belong to either.
    assert!(right > n * 8 / 10);
    Ok(())
}
