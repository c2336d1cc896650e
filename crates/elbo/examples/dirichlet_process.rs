//! How many groups? A Dirichlet process with room for twelve uses as many as the data need, and predicts.
#![allow(clippy::print_stdout, reason = "an example prints")]

use elbo::{
    dist::{CovarianceStructure, MultivariateGaussian, NormalInverseWishart, StickBreaking},
    mixture::{Estimation, GaussianMixture, MixtureModel, Rows, Settings, Start, WeightPrior},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = include_str!("../../../data/faithful.csv");
    let mut values = Vec::new();
    for line in text.lines().skip(1) {
        let row: Vec<f64> = line.split(',').filter_map(|cell| cell.parse().ok()).collect();
        values.extend([row[0], row[1] / 10.0]); // minutes, and tens of minutes
    }
    let rows = Rows::new(&values, values.len() / 2, 2);

    for alpha in [0.1, 1.0, 10.0] {
        let fitted = GaussianMixture::new(12)
            .estimation(Estimation::VariationalBayes)
            .weights_prior(WeightPrior::DirichletProcess(alpha))
            .starts(4)
            .fit(rows.into())?;
        let used: Vec<String> = fitted
            .mixture
            .weights()
            .iter()
            .filter(|weight| **weight > 0.01)
            .map(|weight| format!("{weight:.2}"))
            .collect();
        println!("α = {alpha}: bound {:.2}, weights {}", fitted.report.objective, used.join(" "));
    }

    // The same by hand, for the posteriors and what they predict.
    let structure = CovarianceStructure::VVV;
    let prior =
        NormalInverseWishart::default_for(structure, 12, vec![3.5, 7.1], &[1.3, 0.0, 0.0, 1.8])?;
    let model = MixtureModel::vb(prior, StickBreaking::dirichlet_process(12, 1.0)?);
    let template = MultivariateGaussian::standard(structure, vec![0.0; 2]);
    let start = Start::Spread { k: 12, runs: 4, template };
    let found = model.fit_restarts(rows.into(), &start, &Settings::default(), &())?;
    let mut log_density = [0.0; 2];
    let next = Rows::new(&[2.0, 5.4, 10.0, 5.4], 2, 2);
    found.best.params.log_predictive_into(next, &mut log_density);
    println!(
        "a short wait for a short eruption: ln p = {:.2}; an eruption of ten minutes: {:.2}",
        log_density[0], log_density[1]
    );
    assert!(log_density[0] > log_density[1]);
    Ok(())
}
