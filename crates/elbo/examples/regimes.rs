//! Calm and turbulent markets: returns whose law switches, with emissions that are mixtures themselves (a GMM-HMM), and what the
//! chain forecasts.
//!
//! ```text
//! cargo run --release -p elbo --example regimes
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use elbo::{
    core::{Settings, Tolerance},
    dist::Gaussian,
    hmm::{Hmm, HmmModel, Sequences, Start},
    mixture::Mixture,
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn main() -> Result<(), Box<dyn Error>> {
    // Daily returns in percent; turbulent days have heavy tails, two Gaussians of which one is wide.
    let calm =
        Mixture::new(vec![1.0, 0.0], vec![Gaussian::new(0.06, 0.3)?, Gaussian::new(0.0, 1.0)?])?;
    let turbulent =
        Mixture::new(vec![0.7, 0.3], vec![Gaussian::new(0.0, 1.5)?, Gaussian::new(-0.5, 9.0)?])?;
    let truth = Hmm::new(&[1.0, 0.0], &[[0.98, 0.02], [0.05, 0.95]], vec![calm, turbulent])?;
    let returns: Vec<f64> = truth.simulate([2000], &mut ChaCha8Rng::seed_from_u64(7));
    let data = Sequences::one(&returns[..]);
    let settings = Settings { tolerance: Tolerance::Gap(1e-8), ..Settings::default() };

    let template = Gaussian::new(0.0, 1.0)?;
    let plain =
        HmmModel::ml().fit(data, &Start::Random { k: 2, runs: 10, template }, &settings, &())?;
    println!("Gaussian states: log-likelihood {:.1}, BIC {:.1}", plain.log_likelihood, plain.bic());

    // A mixture of two Gaussians around each state of the plain chain: any family with statistics can emit.
    let around = |state: &Gaussian| {
        let (mean, variance) = (state.mean(), state.variance());
        let parts =
            vec![Gaussian::new(mean, 0.5 * variance)?, Gaussian::new(mean, 2.0 * variance)?];
        Ok::<_, Box<dyn Error>>(Mixture::new(vec![0.5, 0.5], parts)?)
    };
    let states = plain.hmm.emission().iter().map(around).collect::<Result<Vec<_>, _>>()?;
    let rows = [plain.hmm.transition(0), plain.hmm.transition(1)];
    let start = Hmm::new(plain.hmm.initial(), &rows, states)?;
    let rich = HmmModel::ml().fit(data, &Start::At(start), &settings, &())?;
    println!("mixture states:  log-likelihood {:.1}, BIC {:.1}", rich.log_likelihood, rich.bic());

    let hmm = &rich.hmm;
    for (j, duration) in hmm.mean_durations().into_iter().enumerate() {
        println!("regime {j} lasts {duration:.0} days");
    }
    // The probability of a loss beyond 4 % on each of the next days, from the mixture of all states.
    let law = hmm.forecast(data, 3)?;
    for (day, law) in law.chunks_exact(2).enumerate() {
        let mut log_density = [0.0; 2];
        hmm.mixture_log_density_into(law, &[-4.0, 0.0], &mut log_density)?;
        println!(
            "in {} days: law of the regime {law:.3?}, density at -4 % {:.5}, at 0 {:.3}",
            day + 1,
            log_density[0].exp(),
            log_density[1].exp()
        );
    }
    Ok(())
}
