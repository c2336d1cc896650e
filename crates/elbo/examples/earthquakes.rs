//! How many levels of seismic activity are there? Poisson chains of one to four states, from counts of earthquakes a year.
//!
//! ```text
//! cargo run --release -p elbo --example earthquakes
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use elbo::{
    core::{Criterion, FitError, Settings, select},
    dist::Poisson,
    hmm::{HmmModel, Sequences, Start},
};

/// Magnitude 7 and more in the world, 1900-2006 (U.S. Geological Survey).
const EARTHQUAKES: [u64; 107] = [
    13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14, 8, 11, 14, 23,
    18, 17, 19, 20, 22, 19, 13, 26, 13, 14, 22, 24, 21, 22, 26, 21, 23, 24, 27, 41, 31, 27, 35, 26,
    28, 36, 39, 21, 17, 22, 17, 19, 15, 34, 10, 15, 22, 18, 15, 20, 15, 22, 19, 16, 30, 27, 29, 23,
    20, 16, 21, 21, 25, 16, 18, 15, 18, 14, 10, 15, 8, 15, 6, 11, 8, 7, 18, 16, 13, 12, 13, 20, 15,
    16, 12, 18, 15, 16, 13, 15, 16, 11, 11,
];

fn main() -> Result<(), Box<dyn Error>> {
    let data = Sequences::one(&EARTHQUAKES[..]);
    let model = HmmModel::ml().stationary();
    let selection = select(vec![1, 2, 3, 4], Criterion::Bic, |k| -> Result<_, FitError> {
        let template = Poisson::new(1.0).expect("1 is a rate");
        model.fit(data, &Start::Random { k: *k, runs: 20, template }, &Settings::default(), &())
    });
    for candidate in &selection.candidates {
        if let Ok(fitted) = &candidate.fit {
            let (k, bic) = (candidate.label, fitted.bic());
            println!("{k} states: log-likelihood {:.4}, BIC {bic:.2}", fitted.log_likelihood);
        }
    }

    let best = selection.best().ok_or("no number of states can be fitted")?;
    let hmm = &best.fit.as_ref().map_err(ToString::to_string)?.hmm;
    let durations = hmm.mean_durations();
    for (j, emission) in hmm.emission().iter().enumerate() {
        println!("state {j}: {:.1} a year, for {:.0} years", emission.rate(), durations[j]);
    }
    let path = hmm.viterbi(data)?.states;
    let changes: Vec<usize> =
        (1..107).filter(|t| path[*t] != path[t - 1]).map(|t| 1900 + t).collect();
    println!("the level changes in {changes:?}");
    let law = hmm.forecast(data, 5)?;
    println!("in 2011 the chain is in state 0 with probability {:.2}", law[4 * hmm.k()]);
    Ok(())
}
