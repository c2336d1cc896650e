//! E-steps that leaps save: plain against accelerated EM from the same 60 starts, on the data that ship with the repository.
//!
//! ```text
//! cargo run --release -p elbo-benches --bin acceleration
//! ```
//!
//! prints a Markdown table: how many pairs of runs end at the same optimum (within 10⁻³ nats), the median, least and
//! largest ratio of their E-steps, and how far short of the optimum both stop.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::{error::Error, path::Path};

use elbo::mixture::{
    Acceleration, CovarianceStructure, Fitted, GaussianMixture, MultivariateGaussian, Report, Rows,
    Settings, Tolerance,
};

const RUNS: usize = 60;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "| data | components | structure | same optimum | ratio of E-steps: median (least, largest) | short of it: plain, accelerated |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, scale, components) in
        [("faithful", 1.0, 2..=5), ("galaxies", 1e-3, 3..=6), ("iris", 1.0, 3..=4)]
    {
        let (values, d) = read(name, scale)?;
        let rows = Rows::new(&values, values.len() / d, d);
        for k in components {
            for structure in
                [CovarianceStructure::VVV, CovarianceStructure::VVI, CovarianceStructure::EEE]
            {
                if d > 1 || structure == CovarianceStructure::VVV {
                    compare(name, rows, k, structure)?;
                }
            }
        }
    }
    Ok(())
}

fn compare(
    name: &str,
    rows: Rows<'_>,
    k: usize,
    structure: CovarianceStructure,
) -> Result<(), Box<dyn Error>> {
    let fit = |acceleration, gap| -> Result<Fitted<MultivariateGaussian>, Box<dyn Error>> {
        let settings = Settings {
            acceleration,
            seed: 3,
            tolerance: Tolerance::Gap(gap),
            ..Settings::default()
        };
        Ok(GaussianMixture::new(k)
            .structure(structure)
            .starts(RUNS)
            .settings(settings)
            .fit(rows.into())?)
    };
    let plain = fit(Acceleration::None, 1e-10)?;
    let leaping = fit(Acceleration::Squarem, 1e-10)?;
    let bottom = fit(Acceleration::None, 1e-14)?;
    let (mut ratios, mut short) = (Vec::new(), [0.0_f64; 2]);
    for ((plain, leaping), bottom) in
        plain.runs.ends.iter().zip(&leaping.runs.ends).zip(&bottom.runs.ends)
    {
        let (Some(plain), Some(leaping), Some(bottom)) =
            (sound(plain), sound(leaping), sound(bottom))
        else {
            continue;
        };
        if (leaping.objective - bottom.objective).abs() < 1e-3
            && (plain.objective - bottom.objective).abs() < 1e-3
        {
            ratios.push(plain.e_steps as f64 / leaping.e_steps as f64);
            short = [
                short[0].max(bottom.objective - plain.objective),
                short[1].max(bottom.objective - leaping.objective),
            ];
        }
    }
    ratios.sort_by(f64::total_cmp);
    if let [least, .., largest] = ratios[..] {
        let (same, median) = (ratios.len(), ratios[ratios.len() / 2]);
        println!(
            "| {name} | {k} | {structure} | {same} of {RUNS} | {median:.1} ({least:.2}, {largest:.1}) | {:.0e}, {:.0e} |",
            short[0], short[1]
        );
    }
    Ok(())
}

fn sound(end: &elbo::core::End) -> Option<&Report> {
    end.outcome.as_ref().ok().filter(|report| report.stopped.is_converged())
}

/// The numeric columns of a shipped table, row by row, and how many they are.
fn read(name: &str, scale: f64) -> Result<(Vec<f64>, usize), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(format!("{name}.csv"));
    let text = std::fs::read_to_string(path)?;
    let (mut values, mut d) = (Vec::new(), 0);
    for line in text.lines().skip(1) {
        let before = values.len();
        values
            .extend(line.split(',').filter_map(|cell| cell.parse::<f64>().ok()).map(|x| x * scale));
        d = values.len() - before;
    }
    Ok((values, d))
}
