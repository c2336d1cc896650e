//! EM on rows: missing values integrated out, complete rows as the sample says.

use elbo_core::{Tolerance, Weighted};
use elbo_dist::{CovarianceStructure, MultivariateGaussian};
use elbo_factor::{
    FactorAnalysis, FactorEm, LowRankGaussian, Noise, ProbabilisticPca, Rows, Sample, Settings,
    log_likelihood,
};
use rand::RngExt;

use crate::analysis::simulated;
use crate::rng;

fn tight() -> Settings {
    Settings { tolerance: Tolerance::Gap(1e-13), ..Settings::default() }
}

/// Rows with one value in five missing.
fn holes(d: usize, q: usize, n: usize, seed: u64) -> Vec<f64> {
    let drawn = simulated(d, q, n, seed);
    let mut rng = rng(seed + 1);
    drawn.data().iter().map(|x| if rng.random_bool(0.2) { f64::NAN } else { *x }).collect()
}

/// The density of what a row has, from the block of the full covariance.
fn marginal(of: &LowRankGaussian, row: &[f64]) -> f64 {
    let (d, sigma) = (of.d(), of.covariance());
    let seen: Vec<usize> = (0..d).filter(|j| !row[*j].is_nan()).collect();
    if seen.is_empty() {
        return 0.0;
    }
    let pairs = seen.iter().flat_map(|i| seen.iter().map(move |j| i * d + j));
    let block: Vec<f64> = pairs.map(|place| sigma[place]).collect();
    let mean = seen.iter().map(|j| of.mean()[*j]).collect();
    let gaussian = MultivariateGaussian::new(CovarianceStructure::VVV, mean, &block).unwrap();
    gaussian.log_density(&seen.iter().map(|j| row[*j]).collect::<Vec<_>>())
}

fn total(of: &LowRankGaussian, data: &[f64], weights: &[f64]) -> f64 {
    data.chunks_exact(of.d()).zip(weights).map(|(row, w)| w * marginal(of, row)).sum()
}

#[test]
fn the_objective_is_the_marginal_likelihood() {
    let data = holes(6, 2, 203, 21); // not a multiple of any number of lanes
    let weights: Vec<f64> = (0..203).map(|i| [1.0, 0.5, 0.0, 2.0][i % 4]).collect();
    for noise in [Noise::Common, Noise::Own] {
        let rows = Weighted::new(Rows::new(&data, 203, 6), &weights).unwrap();
        let fit = FactorEm::new(2, noise).settings(tight()).fit(rows).unwrap();
        assert!(fit.report.stopped.is_converged(), "{:?}", fit.report.stopped);
        let truth = total(&fit.analyzer, &data, &weights);
        assert!((fit.report.objective - truth).abs() < 1e-9, "{} {truth}", fit.report.objective);
    }
}

#[test]
fn the_gradient_is_zero_at_the_maximum() {
    let data = holes(6, 2, 203, 23);
    let ones = vec![1.0; 203];
    let fit = FactorEm::new(2, Noise::Own).settings(tight());
    let of = fit.fit(Rows::new(&data, 203, 6).into()).unwrap().analyzer;
    let at = |what: usize, step: f64| {
        let (mut mean, mut own) = (of.mean().to_vec(), of.uniquenesses().to_vec());
        let mut loadings = of.loadings().to_vec();
        match what {
            0..6 => mean[what] += step,
            6..12 => own[what - 6] += step,
            _ => loadings[what - 12] += step,
        }
        total(&LowRankGaussian::new(mean, &loadings, own).unwrap(), &data, &ones)
    };
    for what in 0..24 {
        let slope = (at(what, 1e-4) - at(what, -1e-4)) / 2e-4;
        // a gap of 203 · 1e-13 nats at curvatures of some 1000: √(2 · 2e-11 · 1000) = 2e-4
        assert!(slope.abs() < 1e-3, "parameter {what}: {slope}");
    }
}

#[test]
fn complete_rows_lead_where_the_sample_leads() {
    let drawn = simulated(7, 2, 300, 25);
    let rows = drawn.rows();
    let sample = Sample::of_rows(rows.into()).unwrap();
    let pca = ProbabilisticPca::of_sample(&sample, 2).unwrap();
    let em = FactorEm::new(2, Noise::Common).settings(tight()).fit(rows.into()).unwrap();
    let closed = log_likelihood(pca.as_analyzer(), &sample);
    assert!((em.report.objective - closed).abs() < 1e-9, "{} {closed}", em.report.objective);
    assert!((em.to_pca().unwrap().noise_variance() - pca.noise_variance()).abs() < 1e-6);
    let newton = FactorAnalysis::new(2).fit(&sample).unwrap();
    let em = FactorEm::new(2, Noise::Own).settings(tight()).fit(rows.into()).unwrap();
    assert!((em.report.objective - newton.log_likelihood()).abs() < 1e-8);
    assert_eq!(em.report.free_parameters, newton.report.free_parameters);
}

#[test]
fn rows_without_values_and_shifted_columns_change_nothing() {
    let data = holes(6, 2, 200, 27);
    let fit = |data: &[f64]| {
        let rows = Rows::new(data, data.len() / 6, 6);
        FactorEm::new(2, Noise::Own).settings(tight()).fit(rows.into()).unwrap()
    };
    let plain = fit(&data);
    let mut more = data.clone();
    more.extend([f64::NAN; 18]);
    let more = fit(&more);
    assert!(more.report.stopped.is_converged(), "{:?}", more.report.stopped);
    assert!((more.report.objective - plain.report.objective).abs() < 1e-8);
    assert_eq!((&more.heywood, &plain.heywood), (&vec![4], &vec![4]));
    let far: Vec<f64> = data.iter().map(|x| x + 1e6).collect();
    // values themselves are rounded by 1e-10 there
    assert!((fit(&far).report.objective - plain.report.objective).abs() < 1e-5);
}

#[test]
fn pieces_and_storage_order_do_not_matter() {
    let data = holes(6, 2, 3000, 29);
    let turned: Vec<f64> = (0..18_000).map(|p| data[p % 3000 * 6 + p / 3000]).collect();
    let fit = |rows: Rows<'_>, pieces| {
        let settings = Settings { pieces, ..tight() };
        FactorEm::new(2, Noise::Common)
            .settings(settings)
            .fit(rows.into())
            .unwrap()
            .report
            .objective
    };
    let one = fit(Rows::new(&data, 3000, 6), 1);
    assert!((one - fit(Rows::column_major(&turned, 3000, 6), 3)).abs() < 1e-8);
}
