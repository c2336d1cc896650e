//! Small random models, the truth by enumeration, and a plain recursion with logarithms.

use elbo_core::{Estimator, Family, Inference, LatentModel};
use elbo_hmm::{Categorical, EStepError, Hmm, HmmModel, HmmParams, HmmStats, Poisson, Sequences};
use proptest::prelude::*;

/// A law on `k` states: weights of which some, but never all, are zero.
pub(crate) fn law(k: usize) -> impl Strategy<Value = Vec<f64>> {
    let weight = prop_oneof![3 => 0.05..1.0, 1 => Just(0.0)];
    (prop::collection::vec(weight, k), 0..k).prop_map(|(mut weights, sure)| {
        weights[sure] += 0.5;
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| w / sum).collect()
    })
}

/// A Poisson chain of one to three states.
pub(crate) fn poisson_hmm() -> impl Strategy<Value = Hmm<Poisson>> {
    (1_usize..=3).prop_flat_map(|k| {
        let rates = prop::collection::vec(0.1_f64..30.0, k);
        (law(k), prop::collection::vec(law(k), k), rates).prop_map(|(initial, rows, rates)| {
            let emission = rates.into_iter().map(|rate| Poisson::new(rate).unwrap()).collect();
            Hmm::new(&initial, &rows, emission).unwrap()
        })
    })
}

/// A chain of one to three states over three categories, all of them possible in every state.
pub(crate) fn categorical_hmm() -> impl Strategy<Value = Hmm<Categorical>> {
    (1_usize..=3).prop_flat_map(|k| {
        let emission = prop::collection::vec(prop::collection::vec(0.05_f64..1.0, 3), k);
        (law(k), prop::collection::vec(law(k), k), emission).prop_map(|(initial, rows, tables)| {
            let emission = tables.iter().map(|w| Categorical::from_weights(w).unwrap()).collect();
            Hmm::new(&initial, &rows, emission).unwrap()
        })
    })
}

/// `ln p(xₜ ∣ zₜ = j)`, one row per step.
pub(crate) fn log_emissions<F: Family>(
    hmm: &Hmm<F>,
    data: F::Batch<'_>,
    n: usize,
) -> Vec<Vec<f64>> {
    let mut by_state = vec![vec![0.0; n]; hmm.k()];
    for (emission, out) in hmm.emission().iter().zip(&mut by_state) {
        emission.log_density_into(data, out);
    }
    (0..n).map(|t| by_state.iter().map(|column| column[t]).collect()).collect()
}

/// What all paths together say.
pub(crate) struct Truth {
    pub(crate) log_likelihood: f64,
    pub(crate) posterior: Vec<Vec<f64>>,
    pub(crate) transitions: Vec<Vec<f64>>,
    pub(crate) best_log_probability: f64,
}

/// All `kᵀ` paths, each raised to `beta`.
pub(crate) fn enumerate<F: Family>(hmm: &Hmm<F>, log_emission: &[Vec<f64>], beta: f64) -> Truth {
    let (k, n) = (hmm.k(), log_emission.len());
    let mut truth = Truth {
        log_likelihood: 0.0,
        posterior: vec![vec![0.0; k]; n],
        transitions: vec![vec![0.0; k]; k],
        best_log_probability: f64::NEG_INFINITY,
    };
    let log_joint = |path: &[usize]| {
        hmm.initial()[path[0]].ln()
            + path.windows(2).map(|s| hmm.transition(s[0])[s[1]].ln()).sum::<f64>()
            + path.iter().zip(log_emission).map(|(j, row)| row[*j]).sum::<f64>()
    };
    for path in all_paths(k, n) {
        let log_joint = log_joint(&path);
        if log_joint > truth.best_log_probability {
            truth.best_log_probability = log_joint;
        }
    }
    let mut total = 0.0;
    for path in all_paths(k, n) {
        let weight = (beta * (log_joint(&path) - truth.best_log_probability)).exp();
        total += weight;
        path.iter().zip(&mut truth.posterior).for_each(|(j, row)| row[*j] += weight);
        path.windows(2).for_each(|s| truth.transitions[s[0]][s[1]] += weight);
    }
    for row in truth.posterior.iter_mut().chain(&mut truth.transitions) {
        for x in row {
            *x /= total;
        }
    }
    truth.log_likelihood = truth.best_log_probability + total.ln() / beta;
    truth
}

pub(crate) fn all_paths(k: usize, n: usize) -> impl Iterator<Item = Vec<usize>> {
    let power = move |t: usize| k.pow(u32::try_from(t).unwrap());
    (0..power(n)).map(move |code| (0..n).map(|t| code / power(t) % k).collect())
}

/// `ln p(x)` and, per step, `ln p(zₜ = j ∣ x)` by the textbook recursions with logarithms.
pub(crate) fn in_logs<F: Family>(hmm: &Hmm<F>, log_emission: &[Vec<f64>]) -> (f64, Vec<Vec<f64>>) {
    let k = hmm.k();
    let log_a: Vec<Vec<f64>> =
        (0..k).map(|i| hmm.transition(i).iter().map(|p| p.ln()).collect()).collect();
    let mut forward: Vec<Vec<f64>> = Vec::new();
    let mut shifts = 0.0;
    for (t, b) in log_emission.iter().enumerate() {
        let row: Vec<f64> = (0..k)
            .map(|j| {
                let prior = if t == 0 {
                    hmm.initial()[j].ln()
                } else {
                    log_sum((0..k).map(|i| forward[t - 1][i] + log_a[i][j]))
                };
                prior + b[j]
            })
            .collect();
        // Kept near zero, so that the oracle itself loses no digits over a million steps.
        let shift = log_sum(row.iter().copied());
        shifts += shift;
        forward.push(row.iter().map(|x| x - shift).collect());
    }
    let mut posterior = forward.clone();
    let mut backward = vec![0.0; k];
    for t in (0..log_emission.len()).rev() {
        let joint: Vec<f64> = (0..k).map(|j| forward[t][j] + backward[j]).collect();
        let normalizer = log_sum(joint.iter().copied());
        posterior[t] = joint.iter().map(|x| x - normalizer).collect();
        let next: Vec<f64> = (0..k)
            .map(|i| log_sum((0..k).map(|j| log_a[i][j] + log_emission[t][j] + backward[j])))
            .collect();
        let shift = next.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        backward = next.iter().map(|x| x - shift).collect();
    }
    (shifts, posterior)
}

pub(crate) fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// One E-step over all sequences as one chunk.
pub(crate) fn e_step<'a, F: Family, E: Estimator<F>, W: Estimator<Categorical>>(
    model: &HmmModel<F, E, W>,
    params: &HmmParams<F, E, W>,
    data: Sequences<'a, F::Batch<'a>>,
    mut how: Inference<'_>,
) -> Result<(f64, HmmStats<F>), EStepError> {
    let mut stats = model.new_stats(params);
    let mut scratch = model.new_scratch(params);
    model.reset(params, &mut stats);
    let data_term = model.e_step(params, data, &mut how, &mut stats, &mut scratch)?;
    Ok((data_term, stats))
}

/// Two routes to one number: each step adds a few roundings of terms of size `size`.
#[track_caller]
pub(crate) fn assert_close(a: f64, b: f64, size: f64) {
    let bound = 1e-12 * (1.0 + size.abs());
    assert!((a - b).abs() <= bound, "{a} and {b} differ by {:e}, more than {bound:e}", a - b);
}
