//! Maximum likelihood of incomplete tables against results of other programs, where `ELBO_REFERENCE` names their
//! folder.

use std::path::Path;

use elbo_core::{Family, MaximumLikelihood, Rows, Settings, SingleModel, Tolerance, fit_single};
use elbo_dist::{CovarianceStructure::VVV, MultivariateGaussian};
use elbo_laws::WeightedSample;

use super::Table;

/// A table of numbers with `NA` for what is missing; rows without any number are left out.
fn read_table(path: &Path) -> Table {
    let text = std::fs::read_to_string(path).unwrap();
    let number = |cell: &str| if cell == "NA" { f64::NAN } else { cell.parse().unwrap() };
    let rows = text.lines().skip(1).map(|line| line.split(',').map(number).collect());
    let rows: Vec<Vec<f64>> = rows.collect();
    Table { d: rows[0].len(), data: rows.concat() }
}

/// Each column's mean and variance over what is there.
fn start(table: &Table) -> MultivariateGaussian {
    let d = table.d;
    let (mut mean, mut covariance) = (vec![0.0; d], vec![0.0; d * d]);
    for c in 0..d {
        let column = || table.data.iter().skip(c).step_by(d).filter(|x| !x.is_nan());
        let n = column().count() as f64;
        mean[c] = column().sum::<f64>() / n;
        covariance[c * d + c] = column().map(|x| (x - mean[c]).powi(2)).sum::<f64>() / n;
    }
    MultivariateGaussian::new(VVV, mean, &covariance).unwrap()
}

/// Two programs of the folder's own, EM and Newton, agree on these optima to 15 digits; norm, norm2 and Amelia to as
/// many as they give.
#[test]
fn incomplete_tables_have_the_known_maximum() {
    let Some(folder) = std::env::var_os("ELBO_REFERENCE") else {
        eprintln!("note: ELBO_REFERENCE is not set, incomplete tables are not compared");
        return;
    };
    let folder = Path::new(&folder).join("impute");
    // EM steps that make the last digits, from the known rates of convergence 0.32, 0.62 and 0.9925
    for (name, steps) in [("airquality4", 20), ("nhanes", 50), ("boys6", 1500)] {
        let table = read_table(&folder.join(format!("{name}.csv")));
        let text = std::fs::read_to_string(folder.join(format!("ref_mvn/{name}.json"))).unwrap();
        let known: serde_json::Value = serde_json::from_str(&text).unwrap();
        let numbers = |value: &serde_json::Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
        };
        let rows = Rows::new(&table.data, table.data.len() / table.d, table.d);
        let fit = fit_single(start(&table), rows).unwrap();
        let log_likelihood = known["loglik_raw"].as_f64().unwrap();
        assert!(fit.report.stopped.is_converged() && fit.report.largest_fall < 1e-8);
        // the default estimates that 10⁻¹⁰ nats per observation are left; that estimate may be off, by a factor of ten
        let left = log_likelihood - fit.report.objective;
        let n = table.data.len() / table.d;
        assert!(left.abs() < 1e-8 * n as f64, "{name}: {left:e} nats are left");

        let settings = Settings { tolerance: Tolerance::Gap(1e-16), ..Settings::default() };
        let model = SingleModel::new(MaximumLikelihood);
        let near = model.start(fit.params, n as f64).unwrap();
        let fit = elbo_core::fit(&model, rows.into(), near, &settings, &()).unwrap();
        let mut best = fit.params.point().clone();
        let sample = WeightedSample::new(table.clone(), vec![1.0; n]);
        for _ in 0..steps {
            let mut next = best.clone();
            best.maximize(&sample.stats(&best), &mut next).unwrap();
            best = next;
        }
        let (reached, size) = sample.log_likelihood(&best);
        assert!((reached - log_likelihood).abs() < 1e-12 * size, "{name}: {reached}");
        let mean = numbers(&known["mean"]);
        let covariance: Vec<f64> =
            known["cov"].as_array().unwrap().iter().flat_map(numbers).collect();
        let (d, variances) = (best.d(), best.variances());
        for i in 0..d {
            let off = (best.mean()[i] - mean[i]) / variances[i].sqrt();
            assert!(off.abs() < 1e-8, "{name}: mean {i} is off by {off:e} standard deviations");
            for j in 0..d {
                let off = best.covariance()[i * d + j] - covariance[i * d + j];
                let off = off / (variances[i] * variances[j]).sqrt();
                assert!(off.abs() < 1e-8, "{name}: covariance {i}, {j} is off by {off:e}");
            }
        }
    }
}
