//! A latent-variable model of your own in under 60 lines: counts with too many zeros.
//!
//! With probability `p` a count is a structural zero, else it is Poisson with rate `λ`; the latent variable says which.
#![allow(clippy::print_stdout, reason = "an example prints")]

use elbo::core::{
    EStepError, EstimateError, Folds, Inference, LatentModel, Repairs, Replication, Resampling,
    Settings, Variant, bootstrap, cross_validate, fit, fit_restarts, repetitions,
};

struct ZeroInflatedPoisson;

impl LatentModel for ZeroInflatedPoisson {
    type Data<'a> = &'a [f64];
    type Params = [f64; 2]; // p, λ
    type Stats = [f64; 3]; // structural zeros, other observations, sum over those
    type Scratch = ();

    fn new_stats(&self, _: &[f64; 2]) -> [f64; 3] {
        [0.0; 3]
    }
    fn new_scratch(&self, _: &[f64; 2]) {}
    fn e_step(
        &self,
        &[p, rate]: &[f64; 2],
        counts: &[f64],
        how: &mut Inference<'_>,
        stats: &mut [f64; 3],
        (): &mut (),
    ) -> Result<f64, EStepError> {
        let mut log_likelihood = 0.0;
        for (row, x) in counts.iter().enumerate() {
            let structural = if *x == 0.0 { p.ln() } else { f64::NEG_INFINITY };
            let poisson =
                (1.0 - p).ln() + x * rate.ln() - rate - elbo::dist::special::ln_gamma(x + 1.0);
            let mut z = [structural, poisson];
            log_likelihood += how.assign(&mut z).map_err(|_| EStepError::Impossible { row })?;
            stats[0] += z[0];
            stats[1] += z[1];
            stats[2] += z[1] * x;
        }
        Ok(log_likelihood)
    }
    fn m_step(
        &self,
        _: &[f64; 2],
        s: &[f64; 3],
        next: &mut [f64; 2],
    ) -> Result<Repairs, EstimateError> {
        let infeasible = EstimateError::Infeasible { component: 0, what: "zero-inflated Poisson" };
        *next = if s.iter().all(|x| *x > 0.0) {
            [s[0] / (s[0] + s[1]), s[2] / s[1]]
        } else {
            return Err(infeasible);
        };
        Ok(Repairs::default())
    }
    fn free_parameters(&self, _: &[f64; 2]) -> usize {
        2
    }
}
// The model ends here; every driver below is generic.
fn main() -> Result<(), elbo::core::FitError> {
    let counts: Vec<f64> =
        (0..1000).map(|i| if i % 10 < 4 { 0.0 } else { f64::from(i * 7 % 5) }).collect();
    for variant in [Variant::Soft, Variant::Hard, Variant::Annealed { start: 0.2, rate: 1.2 }] {
        let settings = Settings { variant, ..Settings::default() };
        let fit = fit(&ZeroInflatedPoisson, &counts[..], [0.5, 3.0], &settings, &())?;
        println!(
            "{variant:?}: p, λ = {:.4?} after {} iterations",
            fit.params, fit.report.iterations
        );
    }
    let start = |run| Ok([0.1 + 0.08 * run as f64, 1.0 + run as f64]);
    let best =
        fit_restarts(&ZeroInflatedPoisson, &counts[..], 10, start, &Settings::default(), &())?;
    println!(
        "{} of 10 restarts reached {:.6}",
        best.runs.reached_best(),
        best.best.report.objective
    );
    // Whole weights are repetitions, so that a model without weights can be resampled and held out as well.
    let repeat = |weights: &[f64]| -> Vec<f64> {
        repetitions(weights).into_iter().map(|i| counts[i]).collect()
    };
    let at_the_fit =
        |data: &[f64]| fit(&ZeroInflatedPoisson, data, best.best.params, &Settings::default(), &());
    let how = (Replication::new(200, 1), Resampling::Multinomial);
    let replicates = bootstrap(&how.0, how.1, counts.len(), None, |weights| {
        Ok::<_, elbo::core::FitError>(at_the_fit(&repeat(weights))?.params.to_vec())
    })?;
    println!("standard errors of p, λ: {:.4?}", replicates.standard_errors());
    let held_out = cross_validate(
        vec!["zero-inflated"],
        &Folds::new(counts.len(), 5, 1)?,
        None,
        |_, weights| at_the_fit(&weights.map_or(counts.clone(), repeat)),
        |_, fitted, weights| {
            let (held_out, settings) =
                (repeat(weights), Settings { max_iterations: 0, ..Settings::default() });
            let scored = fit(&ZeroInflatedPoisson, &held_out[..], fitted.params, &settings, &())?;
            Ok((scored.report.data_term, held_out.len() as f64))
        },
    );
    if let Some(evidence) = held_out.candidates[0].evidence() {
        println!("held out: {:.4} ± {:.4} nats a count", evidence.mean(), evidence.standard_error);
    }
    Ok(())
}
