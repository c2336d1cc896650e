//! Three kinds of iris, nine of the 150 flowers named by a botanist, and a few told only by what they are not.
#![allow(clippy::print_stdout, reason = "an example prints")]

use elbo::mixture::{GaussianMixture, Label, Rows};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = include_str!("../../../data/iris.csv");
    let mut values = Vec::new();
    for line in text.lines().skip(1) {
        values.extend(line.split(',').filter_map(|cell| cell.parse::<f64>().ok()));
    }
    let n = values.len() / 4;
    let rows = Rows::new(&values, n, 4);
    let kind = |i: usize| i / 50; // what the rest of the file would say

    let label = |i: usize| match i % 50 {
        0..3 => Label::Known(kind(i)),
        3..6 if kind(i) > 0 => Label::any_but(&[0]), // surely no setosa
        _ => Label::Unknown,
    };
    let right = |labels: &[usize]| (0..n).filter(|i| labels[*i] == kind(*i)).count();

    let told = GaussianMixture::new(3).labels((0..n).map(label)).fit(rows.into())?;
    let found = told.mixture.labels(rows)?;
    println!(
        "with labels: {} of {n} right, and components have the botanist's names",
        right(&found)
    );

    let untold = GaussianMixture::new(3).fit(rows.into())?;
    println!(
        "log-likelihood {:.2} with labels, {:.2} without",
        told.log_likelihood, untold.log_likelihood
    );

    // What no component may explain is an error that names the row.
    let wrong = GaussianMixture::new(3).labels((0..n).map(|i| (i == 7).then_some(3)));
    println!("{}", wrong.fit(rows.into()).unwrap_err());
    assert!(right(&found) > 140);
    Ok(())
}
