//! A casino that now and then takes a loaded die: decoding with a known model, learning one from rolls, and from rolls of which
//! a few are labeled.
//!
//! ```text
//! cargo run --release -p elbo --example casino
//! ```
//!
//! The model is that of Durbin, Eddy, Krogh & Mitchison (1998), *Biological Sequence Analysis*, section 3.2.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use elbo::{
    core::Settings,
    dist::Categorical,
    hmm::{Hmm, HmmModel, Sequences, Start},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn main() -> Result<(), Box<dyn Error>> {
    let loaded = Categorical::new(vec![0.1, 0.1, 0.1, 0.1, 0.1, 0.5])?;
    let casino =
        Hmm::new(&[0.5, 0.5], &[[0.95, 0.05], [0.1, 0.9]], vec![Categorical::uniform(6), loaded])?;
    let mut rng = ChaCha8Rng::seed_from_u64(1998);
    let (truth, rolls) = casino.sample(3000, &mut rng, |die, rng| die.sample(rng));
    let data = Sequences::one(&rolls[..]);
    let right = |states: &[usize]| {
        let hits = states.iter().zip(&truth).filter(|(a, b)| a == b).count();
        hits as f64 / truth.len() as f64
    };
    println!(
        "known model: the best path is right {:.3} of the time",
        right(&casino.viterbi(data)?.states)
    );
    println!("             the best states are right {:.3} of it", right(&casino.decode(data)?));

    let start = Start::Random { k: 2, runs: 20, template: Categorical::uniform(6) };
    let fitted = HmmModel::ml().fit(data, &start, &Settings::default(), &())?;
    println!(
        "learned: log-likelihood {:.2}, of the truth {:.2}",
        fitted.log_likelihood,
        casino.log_likelihood(data)?
    );

    // The croupier told which die it was at every hundredth roll: the states now have an order.
    let labels: Vec<_> = (0..rolls.len()).map(|t| (t % 100 == 0).then_some(truth[t])).collect();
    let fitted = HmmModel::ml().fit(data.labeled(&labels), &start, &Settings::default(), &())?;
    for (j, die) in fitted.hmm.emission().iter().enumerate() {
        let name = ["fair", "loaded"][j];
        println!(
            "{name}: {:.2?}, for {:.0} rolls",
            die.probabilities(),
            fitted.hmm.mean_durations()[j]
        );
    }
    println!(
        "semi-supervised: the best states are right {:.3} of the time",
        right(&fitted.hmm.decode(data)?)
    );
    Ok(())
}
