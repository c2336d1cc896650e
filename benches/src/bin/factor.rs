//! Times factor models on a file of little-endian `f64` rows, for `compare/factor.py`: `factor MODEL FILE D Q`.
//!
//! `MODEL` is `fa`, `ppca`, `ica`, or `missing`: five iterations of EM for a probabilistic PCA of rows with NaN. Prints the least CPU seconds of some repetitions, and what was reached.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use elbo::core::Tolerance;
use elbo::factor::{
    FactorAnalysis, FactorEm, Ica, Noise, ProbabilisticPca, Rows, Sample, Settings, log_likelihood,
};
use elbo_benches::time;

const REPETITIONS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, file, d, q] = &arguments[..] else { panic!("usage: factor MODEL FILE D Q") };
    let bytes = std::fs::read(file).expect("a readable file");
    let values: Vec<f64> = bytes.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x)).collect();
    drop(bytes);
    let (d, q): (usize, usize) = (d.parse().expect("columns"), q.parse().expect("factors"));
    let rows = Rows::new(&values, values.len() / d, d);
    let mut best = f64::INFINITY;
    let mut reached = String::new();
    for _ in 0..REPETITIONS {
        let (seconds, told) = time(|| run(model, rows, q));
        best = best.min(seconds.cpu);
        reached = told;
    }
    println!("{{\"cpu\": {best:.5}, {reached}}}");
}

fn run(model: &str, rows: Rows<'_>, q: usize) -> String {
    match model {
        "ica" => {
            let fit = Ica::new().fit(rows.into()).expect("finite rows");
            let (iterations, objective) = (fit.report.iterations, fit.report.objective);
            let unmixing = format!("{:?}", fit.unmixing);
            return format!(
                "\"iterations\": {iterations}, \"log_likelihood\": {objective:.6}, \"unmixing\": {unmixing}"
            );
        }
        "missing" => {
            let run = |max_iterations| {
                let tolerance = Tolerance::Gap(0.0);
                let settings = Settings { tolerance, max_iterations, ..Settings::default() };
                let em = FactorEm::new(q, Noise::Common).settings(settings);
                time(|| em.fit(rows.into()).expect("a fit"))
            };
            let ((few, _), (many, fit)) = (run(1), run(11));
            let (each, objective) = ((many.cpu - few.cpu) / 10.0, fit.report.objective);
            return format!("\"each\": {each:.5}, \"log_likelihood\": {objective:.6}");
        }
        _ => {}
    }
    let (seconds, sample) = time(|| Sample::of_rows(rows.into()).expect("finite rows"));
    let reading = format!("\"reading\": {:.5}", seconds.cpu);
    match model {
        "fa" => {
            let fit = FactorAnalysis::new(q).fit(&sample).expect("a fit");
            let (iterations, objective) = (fit.report.iterations, fit.report.objective);
            format!("{reading}, \"iterations\": {iterations}, \"log_likelihood\": {objective:.6}")
        }
        "ppca" => {
            let pca = ProbabilisticPca::of_sample(&sample, q).expect("fewer components");
            let objective = log_likelihood(pca.as_analyzer(), &sample);
            format!("{reading}, \"log_likelihood\": {objective:.6}")
        }
        other => panic!("no model {other}"),
    }
}
