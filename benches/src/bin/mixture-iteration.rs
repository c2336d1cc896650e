//! Seconds per EM iteration of a Gaussian mixture on given data from a given start, for comparisons with other programs.
//!
//! ```text
//! mixture-iteration FOLDER CASE full|diag N D K THREADS LOW HIGH
//! ```
//!
//! reads `CASE.X.f64` (`N × D`), `CASE.means.f64` (`K × D`) and `CASE.var.f64` (`D`), little-endian doubles, row by row; all
//! covariances start at `diag(var)`. Prints one JSON line: the slope between LOW and HIGH iterations, so that reading and
//! setting up cancel (minimum of three), and the mean log-likelihood after HIGH iterations.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::error::Error;

use elbo::mixture::{
    CovarianceStructure, GaussianMixture, Mixture, MultivariateGaussian, Rows, Settings, Tolerance,
};
use elbo_benches::time;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, case, shape, numbers @ ..] = &arguments[..] else {
        return Err("usage: FOLDER CASE full|diag N D K THREADS LOW HIGH".into());
    };
    let numbers = numbers.iter().map(|x| x.parse()).collect::<Result<Vec<usize>, _>>()?;
    let &[n, d, k, threads, low, high] = &numbers[..] else {
        return Err("six numbers are needed: N D K THREADS LOW HIGH".into());
    };
    let doubles = |what: &str| -> Result<Vec<f64>, Box<dyn Error>> {
        let bytes = std::fs::read(format!("{folder}/{case}.{what}.f64"))?;
        let mut values = Vec::with_capacity(bytes.len() / 8);
        for chunk in bytes.chunks_exact(8) {
            values.push(f64::from_le_bytes(chunk.try_into()?));
        }
        Ok(values)
    };
    let (data, means, variances) = (doubles("X")?, doubles("means")?, doubles("var")?);
    let structure =
        if shape == "diag" { CovarianceStructure::VVI } else { CovarianceStructure::VVV };
    let covariance: Vec<f64> =
        (0..d * d).map(|i| if i / d == i % d { variances[i / d] } else { 0.0 }).collect();
    let components = means
        .chunks_exact(d)
        .map(|mean| MultivariateGaussian::new(structure, mean.to_vec(), &covariance))
        .collect::<Result<Vec<_>, _>>()?;
    let start = Mixture::new(vec![1.0 / k as f64; k], components)?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;

    let rows = Rows::new(&data, n, d);
    let run = |iterations: usize| {
        let settings = Settings {
            tolerance: Tolerance::Gap(0.0),
            max_iterations: iterations,
            ..Settings::default()
        };
        time(|| {
            GaussianMixture::new(k)
                .structure(structure)
                .start_at(start.clone())
                .settings(settings)
                .fit(rows.into())
        })
    };
    let (mut cpu, mut wall, mut objective) = ([f64::INFINITY; 2], [f64::INFINITY; 2], f64::NAN);
    for _ in 0..3 {
        for (which, iterations) in [low, high].into_iter().enumerate() {
            let (seconds, fitted) = run(iterations);
            cpu[which] = cpu[which].min(seconds.cpu);
            wall[which] = wall[which].min(seconds.wall);
            objective = fitted?.log_likelihood / n as f64;
        }
    }
    let per_iteration = |seconds: [f64; 2]| (seconds[1] - seconds[0]) / (high - low) as f64;
    println!(
        r#"{{"program": "elbo", "case": "{case}", "threads": {threads}, "cpu": {:.6}, "wall": {:.6}, "mean_log_likelihood": {objective:.12}}}"#,
        per_iteration(cpu),
        per_iteration(wall)
    );
    Ok(())
}
