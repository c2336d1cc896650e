//! Times factor models on a file of little-endian `f64` rows, for `compare/factor.py`: `factor MODEL FILE D Q`.
//!
//! `MODEL` is `fa`, `ppca` or `ica`. Prints the least CPU seconds of some repetitions, and what was reached.

use elbo::factor::{FactorAnalysis, ProbabilisticPca, Rows, Sample, log_likelihood};
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
