//! Factors behind the four measures of 150 irises: how many, what they are, and what they say of missing values.
#![allow(clippy::print_stdout, reason = "an example prints")]

use elbo::factor::{
    FactorAnalysis, FactorEm, Noise, ProbabilisticPca, Rotation, Rows, Sample, Scorer,
    log_evidences, log_likelihood, rotate, standardized_loadings,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = irises()?;
    let rows = Rows::new(&data, data.len() / 4, 4);
    let sample = Sample::of_rows(rows.into())?;

    println!("principal components: evidence by Minka's formula");
    for (q, evidence) in log_evidences(&sample)?.iter().enumerate() {
        println!("  {q}: {evidence:.2}");
    }
    let pca = ProbabilisticPca::of_sample(&sample, 2)?;
    let (noise, objective) = (pca.noise_variance(), log_likelihood(pca.as_analyzer(), &sample));
    println!("with 2, noise variance {noise:.4}, log-likelihood {objective:.4}");

    let fit = FactorAnalysis::new(1).starts(5).fit(&sample)?;
    println!("one factor: BIC {:.2}, {}", fit.bic(), fit.report.stopped.as_str());
    println!("columns that it reproduces exactly (Heywood cases): {:?}", fit.heywood);
    if let Some(test) = fit.goodness_of_fit(&sample) {
        println!("is it enough? χ² = {:.1}, p = {:.1e}", test.statistic, test.p_value);
    }

    let loadings = standardized_loadings(pca.as_analyzer());
    let rotated = rotate(&loadings, 2, Rotation::Varimax { kaiser: true })?;
    println!("two components after varimax:");
    for (name, row) in NAMES.iter().zip(rotated.loadings.chunks_exact(2)) {
        println!("  {name:12} {:6.3} {:6.3}", row[0], row[1]);
    }

    // every seventh number is lost
    let mut holes = data.clone();
    holes.iter_mut().step_by(7).for_each(|x| *x = f64::NAN);
    let rows = Rows::new(&holes, holes.len() / 4, 4);
    let fit = FactorEm::new(2, Noise::Common).fit(rows.into())?;
    let completed = Scorer::new(&fit.analyzer).completed(rows)?;
    let lost = || data.iter().zip(&completed).step_by(7);
    let error: f64 = lost().map(|(x, guess)| (x - guess).powi(2)).sum();
    let rms = (error / lost().count() as f64).sqrt();
    println!("what was lost is guessed within {rms:.3} cm after {} steps", fit.report.iterations);
    Ok(())
}

const NAMES: [&str; 4] = ["sepal length", "sepal width", "petal length", "petal width"];

fn irises() -> Result<Vec<f64>, std::io::Error> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/iris.csv");
    let text = std::fs::read_to_string(path)?;
    let numbers =
        |line: &str| -> Vec<f64> { line.split(',').filter_map(|cell| cell.parse().ok()).collect() };
    Ok(text.lines().skip(1).flat_map(numbers).collect())
}
