//! Complete-data scores: derivatives of the log-likelihood, families that share parameters included.

use elbo_core::{ExpectedLogLikelihood, Family, Rows};
use elbo_dist::{
    Bernoulli, Binomial, Categorical, CovarianceStructure, Exponential, Gamma, Gaussian, Geometric,
    LogNormal, LowRankGaussian, Multinomial, MultivariateGaussian, Poisson,
};
use elbo_laws::{Of, WeightedSample, parameters::scores_are_derivatives_of_the_log_likelihood};

use crate::rows::RowsOf;

fn weights(n: usize) -> Vec<f64> {
    (0..n).map(|i| f64::from(u8::try_from(i % 4).unwrap()) / 2.0).collect()
}

/// Two components that all see `data`.
fn check<F, X>(components: &[F; 2], data: Vec<X>)
where
    X: Copy + std::fmt::Debug + Sync + 'static,
    F: ExpectedLogLikelihood + for<'a> Family<Batch<'a> = &'a [X]>,
{
    let weights = weights(data.len());
    let sample = WeightedSample::new(Of::<F, X>::new(data), weights);
    scores_are_derivatives_of_the_log_likelihood(components, &sample);
}

/// Numbers between 0.2 and 4, no two alike.
fn positive() -> Vec<f64> {
    (0..30).map(|i| 0.2 + 3.8 * (0.5 + 0.5 * f64::from(i * i).sin())).collect()
}

#[test]
fn scores_of_univariate_families_are_derivatives() {
    let counts: Vec<u64> = (0..30).map(|i| i * i % 7).collect();
    check(&[Gaussian::new(0.5, 2.0).unwrap(), Gaussian::new(3.0, 0.5).unwrap()], positive());
    check(&[LogNormal::new(0.5, 2.0).unwrap(), LogNormal::new(0.0, 0.5).unwrap()], positive());
    check(&[Exponential::new(0.5).unwrap(), Exponential::new(2.0).unwrap()], positive());
    check(&[Gamma::new(0.5, 0.3).unwrap(), Gamma::new(4.0, 2.0).unwrap()], positive());
    check(&[Poisson::new(0.5).unwrap(), Poisson::new(4.0).unwrap()], counts.clone());
    check(&[Geometric::new(0.3).unwrap(), Geometric::new(0.6).unwrap()], counts.clone());
    check(&[Binomial::new(9, 0.3).unwrap(), Binomial::new(9, 0.6).unwrap()], counts);
    let outcomes: Vec<bool> = (0..30).map(|i| i * i % 7 < 3).collect();
    check(&[Bernoulli::new(0.3).unwrap(), Bernoulli::new(0.6).unwrap()], outcomes);
    let codes: Vec<u32> = (0..30).map(|i| i * i % 3).collect();
    let laws = [vec![0.2, 0.3, 0.5], vec![0.7, 0.2, 0.1]];
    check(&laws.map(|p| Categorical::new(p).unwrap()), codes);
}

/// Rows that are not degenerate in `d ≤ 3` columns.
fn table<F>(d: usize, seed: f64) -> WeightedSample<RowsOf<F>>
where
    F: for<'a> Family<Batch<'a> = Rows<'a>>,
{
    let rows = (0..25).map(|i| {
        let t = seed + f64::from(i * i);
        (0..d).map(|c| (t * (1.0 + 0.37 * c as f64)).sin() + 0.5 * t.cos()).collect::<Vec<f64>>()
    });
    WeightedSample::new(RowsOf::new(&rows.collect::<Vec<_>>()), weights(25))
}

#[test]
fn scores_of_gaussians_are_derivatives_in_every_structure() {
    for d in 1..=3 {
        for structure in CovarianceStructure::ALL {
            let start = vec![MultivariateGaussian::standard(structure, vec![0.0; d]); 3];
            let stats =
                [0.3, 1.1, 2.7].map(|seed| table::<MultivariateGaussian>(d, seed).stats(&start[0]));
            let mut components = start.clone();
            MultivariateGaussian::maximize_all(&start, &stats, &mut components).unwrap();
            scores_are_derivatives_of_the_log_likelihood(&components, &table(d, 0.9));
        }
    }
}

#[test]
fn scores_of_rows_are_derivatives() {
    let factor =
        |w: [f64; 3]| LowRankGaussian::new(vec![0.1, -0.2, 0.3], &w, vec![0.5, 0.8, 0.3]).unwrap();
    let components = [factor([0.7, 0.5, -0.4]), factor([0.3, -0.6, 0.2])];
    scores_are_derivatives_of_the_log_likelihood::<RowsOf<_>>(&components, &table(3, 0.3));

    let counts = (0..25).map(|i| vec![f64::from(i % 4), f64::from(i * i % 3), f64::from(i % 2)]);
    let rows = RowsOf::<Multinomial>::new(&counts.collect::<Vec<_>>());
    let laws = [vec![0.2, 0.3, 0.5], vec![0.7, 0.2, 0.1]].map(|p| Multinomial::new(p).unwrap());
    scores_are_derivatives_of_the_log_likelihood(&laws, &WeightedSample::new(rows, weights(25)));
}
