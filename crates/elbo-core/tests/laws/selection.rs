//! Selection is arithmetic on fits: tables, folds, tests and scores against loops and closed forms.

use std::convert::Infallible;

use elbo_core::{
    CancelToken, Candidate, Criterion, DataError, FoldError, Folds, Replication, Scored, Scores,
    Selection, Standing, criteria, cross_validate, grow, map_in_order, predictive_score, ranking,
    ratio_test, select,
};
use elbo_laws::assert_close;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::on_threads;

/// A Gaussian of known variance 1, or anything else that a table can hold.
#[derive(Clone, Debug, PartialEq)]
struct Fitted {
    mean: f64,
    scores: Scores,
}

impl Scored for Fitted {
    fn scores(&self) -> Scores {
        self.scores
    }
}

fn fitted(log_likelihood: f64, free_parameters: usize) -> Fitted {
    let scores = Scores {
        log_likelihood,
        free_parameters,
        observations: 100.0,
        log_certainty: None,
        standing: Standing::Sound,
    };
    Fitted { mean: 0.0, scores }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn log_density(x: f64, mean: f64) -> f64 {
    -0.5 * (x - mean).powi(2) - 0.5 * std::f64::consts::TAU.ln()
}

/// The likelihood of data under a mean that is shrunk by `label` observations at zero.
fn shrunk(x: &[f64], weights: Option<&[f64]>, label: f64) -> Fitted {
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let total: f64 = (0..x.len()).map(weight).sum();
    let mean = (0..x.len()).map(|i| weight(i) * x[i]).sum::<f64>() / (total + label);
    Fitted { mean, ..fitted((0..x.len()).map(|i| weight(i) * log_density(x[i], mean)).sum(), 1) }
}

fn score(x: &[f64], fit: &Fitted, weights: &[f64]) -> (f64, f64) {
    let terms = x.iter().zip(weights).map(|(x, w)| w * log_density(*x, fit.mean));
    (terms.sum(), weights.iter().sum())
}

#[test]
fn criteria_are_their_formulas() {
    let scores = Scores {
        log_likelihood: -100.0,
        free_parameters: 3,
        observations: 20.0,
        log_certainty: Some(-4.0),
        standing: Standing::Sound,
    };
    assert_eq!((scores.aic(), scores.aicc()), (206.0, 207.5)); // 206 + 2·3·4/16
    assert_close(scores.bic(), 200.0 + 3.0 * 20_f64.ln(), 200.0);
    assert_eq!(scores.icl(), Some(scores.bic() + 8.0));
    assert_eq!(criteria::aicc(-100.0, 3, 4.0), f64::INFINITY);
    assert!((criteria::aicc(-100.0, 3, 1e12) - 206.0).abs() < 1e-9);
    assert_eq!(Scores { log_certainty: None, ..scores }.icl(), None);
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![Just(Standing::Sound), Just(Standing::Spurious), Just(Standing::Failed)]
}

proptest! {
    /// By repeated search for the best of those left.
    #[test]
    fn ranking_takes_the_best_of_those_left(
        values in prop::collection::vec(
            (standing(), prop::option::of(prop_oneof![(-3..3).prop_map(f64::from), Just(f64::NAN)])),
            0..12,
        ),
    ) {
        let mut left: Vec<usize> = (0..values.len()).collect();
        let mut expected = Vec::new();
        while !left.is_empty() {
            let key = |i: usize| match values[i] {
                (standing, Some(x)) if !x.is_nan() => (0, standing as usize, x),
                _ => (1, 0, 0.0),
            };
            let mut best = 0;
            for at in 1..left.len() {
                if key(left[at]) < key(left[best]) {
                    best = at;
                }
            }
            expected.push(left.remove(best));
        }
        prop_assert_eq!(ranking(&values), expected);
    }

    #[test]
    fn folds_are_a_partition_into_equal_parts(n in 2_usize..50, k in 2_usize..6, seed in 0_u64..9) {
        if n < k {
            prop_assert_eq!(Folds::new(n, k, seed), Err(DataError::TooFew { n, needed: k }));
            return Ok(());
        }
        let folds = Folds::new(n, k, seed).unwrap();
        let own: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let mut held_out = vec![0.0; n];
        for fold in 0..k {
            let (training, out) = folds.weights(fold, Some(&own));
            let size = folds.labels().iter().filter(|f| **f == fold).count();
            prop_assert!(size == n / k || size == n / k + 1);
            for i in 0..n {
                prop_assert_eq!(training[i] + out[i], own[i]);
                prop_assert!(training[i] == 0.0 || out[i] == 0.0);
                held_out[i] += out[i];
            }
        }
        prop_assert_eq!(held_out, own);
    }
}

#[test]
fn values_that_differ_by_rounding_keep_their_order() {
    let values =
        [2.0, 1.0 + 3e-11, 1.0, 1.0 - 3e-11, 1.0 + 1e-9].map(|x| (Standing::Sound, Some(x)));
    assert_eq!(ranking(&values), [1, 2, 3, 4, 0]);
}

#[test]
fn a_table_keeps_failures_and_sets_spurious_fits_aside() {
    let spurious = |mut fit: Fitted| {
        fit.scores.standing = Standing::Spurious;
        fit
    };
    let fit = |label: &usize| match label {
        0 => Err("no"),
        1 => Ok(spurious(fitted(1e6, 2))),
        2 => Ok(fitted(-50.0, 9)),
        _ => Ok(fitted(-51.0, 2)),
    };
    let mut selection = select(vec![0, 1, 2, 3], Criterion::Bic, fit);
    assert_eq!(selection.ranked, [3, 2, 1, 0]);
    assert_eq!(selection.candidates[0].fit, Err("no"));
    // Δ = 2 (ℓ₃ − ℓ₂) + (9 − 2) ln 100 between the sound ones; the others have no share.
    let delta = -2.0 + 7.0 * 100_f64.ln();
    let share = 1.0 / (1.0 + (-0.5 * delta).exp());
    let weights = selection.weights();
    assert_close(weights[3], share, 1.0);
    assert_close(weights[2], 1.0 - share, 1.0);
    assert_eq!((weights[0], weights[1]), (0.0, 0.0));
    // No labels, no held-out rows: nothing to choose by.
    selection.rank_by(Criterion::Icl);
    assert!(selection.best().is_none());
    assert_eq!(selection.weights(), [0.0; 4]);
    let none: Selection<usize, Fitted, &str> = select(Vec::new(), Criterion::Bic, |_| Err("no"));
    assert!(none.best_place().is_none());
}

#[test]
fn held_out_likelihood_is_that_of_a_loop_over_split_data() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let x: Vec<f64> = (0..30).map(|_| 1.0 + normal(&mut rng)).collect();
    let folds = Folds::new(30, 5, 9).unwrap();
    let labels = vec![0.0, 3.0, 300.0];
    let selection = cross_validate(
        labels.clone(),
        &folds,
        None,
        |label, weights| Ok::<_, Infallible>(shrunk(&x, weights, *label)),
        |_, fit, weights| Ok(score(&x, fit, weights)),
    );
    for (label, candidate) in labels.iter().zip(&selection.candidates) {
        let mut each = Vec::new();
        for fold in 0..5 {
            let part = |inside: bool| -> Vec<f64> {
                let of = |i: &usize| (folds.labels()[*i] == fold) == inside;
                (0..30).filter(of).map(|i| x[i]).collect()
            };
            let fit = shrunk(&part(false), None, *label);
            each.push(part(true).iter().map(|x| log_density(*x, fit.mean)).sum::<f64>());
        }
        let held_out = candidate.evidence().unwrap();
        let sum: f64 = each.iter().sum();
        assert_close(held_out.log_likelihood, sum, sum);
        assert_close(held_out.mean(), sum / 30.0, sum);
        assert_close(held_out.deviance(), -2.0 * sum, sum);
        // Folds of equal size: the standard error of the mean of five means.
        let variance = each.iter().map(|l| (l / 6.0 - sum / 30.0).powi(2)).sum::<f64>() / 4.0;
        assert_close(held_out.standard_error, (variance / 5.0).sqrt(), sum);
        assert_eq!((held_out.observations, held_out.folds, held_out.unsound), (30.0, 5, 0));
        // The fit itself is the one to all data.
        assert_eq!(candidate.fit, Ok(shrunk(&x, None, *label)));
    }
    assert_eq!(selection.criterion, Criterion::HeldOut);
    assert_eq!(selection.ranked[2], 2, "shrunk to nothing predicts worst");
}

#[test]
fn a_unit_of_weight_two_is_held_out_as_two_units_are() {
    let x = [0.3, 1.0, 2.5, -0.4, 1.7];
    let own = [1.0, 2.0, 1.0, 0.0, 3.0];
    let repeated = [0.3, 1.0, 1.0, 2.5, 1.7, 1.7, 1.7];
    let run = |x: &[f64], own: Option<&[f64]>, labels: Vec<usize>| {
        let fit =
            |label: &f64, weights: Option<&[f64]>| Ok::<_, Infallible>(shrunk(x, weights, *label));
        let folds = Folds::from_labels(labels);
        cross_validate(vec![1.0], &folds, own, fit, |_, fit, w| Ok(score(x, fit, w))).candidates[0]
            .evidence()
            .unwrap()
    };
    // The third fold of the weighted data has no weight at all, and is left out.
    let weighted = run(&x, Some(&own), vec![0, 1, 1, 2, 0]);
    let plain = run(&repeated, None, vec![0, 1, 1, 1, 0, 0, 0]);
    assert_close(weighted.log_likelihood, plain.log_likelihood, 10.0);
    assert_close(weighted.standard_error, plain.standard_error, 10.0);
    assert_eq!((weighted.observations, weighted.folds), (7.0, 2));
}

#[test]
fn one_standard_error_takes_the_simplest_within_reach() {
    let folds = Folds::from_labels(vec![0, 1, 2, 3]);
    // Held-out log-likelihoods of the four folds; the best has mean −1 and standard error 0.5/√3 ≈ 0.289.
    let held_out = |label: &usize, fold: usize| match label {
        0 => -1.3,
        1 => -1.25,
        2 => -1.0 + [0.5, -0.5, 0.5, -0.5][fold],
        _ => -1.1,
    };
    let selection = cross_validate(
        vec![0, 1, 2, 3],
        &folds,
        None,
        |label, _| Ok::<_, Infallible>(fitted(0.0, [1, 2, 4, 3][*label])),
        |label, _, weights| {
            let fold = weights.iter().position(|w| *w > 0.0).unwrap();
            Ok((held_out(label, fold), 1.0))
        },
    );
    assert_eq!(selection.best_place(), Some(2));
    assert_eq!(selection.one_standard_error(), Some(1));
}

#[test]
fn a_fold_that_fails_is_named_and_loses_nobody_else() {
    let folds = Folds::from_labels(vec![0, 1, 2]);
    let selection = cross_validate(
        vec!["sound", "fit fails", "score fails"],
        &folds,
        None,
        |label, weights| match weights {
            Some(w) if *label == "fit fails" && w[1] == 0.0 => Err("no fit"),
            _ => Ok(fitted(0.0, 1)),
        },
        |label, _, w| {
            if *label == "score fails" && w[0] == 0.0 { Err("no score") } else { Ok((0.0, 1.0)) }
        },
    );
    let error = |at: usize| {
        let candidate: &Candidate<_, _, _> = &selection.candidates[at];
        assert!(candidate.fit.is_ok());
        candidate.held_out.clone().unwrap().unwrap_err()
    };
    assert_eq!(error(1), FoldError { fold: 1, source: "no fit" });
    assert_eq!(error(2), FoldError { fold: 1, source: "no score" });
    assert_eq!(selection.ranked, [0, 1, 2]);
    assert_eq!(selection.best_place(), Some(0));
}

/// Means of columns of which the first `k` are free and the others zero: nested models with an exact test.
#[derive(Clone, Debug, PartialEq)]
struct Columns {
    means: Vec<f64>,
    log_likelihood: f64,
}

impl Scored for Columns {
    fn scores(&self) -> Scores {
        fitted(self.log_likelihood, self.means.len()).scores
    }
}

const D: usize = 4;

fn columns(data: &[[f64; D]], k: usize) -> Columns {
    let mean = |j: usize| data.iter().map(|row| row[j]).sum::<f64>() / data.len() as f64;
    let means: Vec<f64> = (0..k).map(mean).collect();
    let term = |row: &[f64; D], j: usize| log_density(row[j], means.get(j).copied().unwrap_or(0.0));
    let log_likelihood = data.iter().map(|row| (0..D).map(|j| term(row, j)).sum::<f64>()).sum();
    Columns { means, log_likelihood }
}

#[allow(clippy::unnecessary_wraps, clippy::ptr_arg, reason = "what `grow` asks for")]
fn fit_columns(data: &Vec<[f64; D]>, k: usize) -> Result<Columns, &'static str> {
    Ok(columns(data, k))
}

fn simulate(n: usize, means: &[f64], rng: &mut ChaCha8Rng) -> Vec<[f64; D]> {
    let row = |_| {
        let mut row = [0.0; D];
        (0..D).for_each(|j| row[j] = means.get(j).copied().unwrap_or(0.0) + normal(rng));
        row
    };
    (0..n).map(row).collect()
}

fn one_more(
    data: &Vec<[f64; D]>,
    k: usize,
    how: &Replication,
) -> elbo_core::RatioTest<&'static str> {
    ratio_test(
        &columns(data, k),
        &columns(data, k + 1),
        how,
        |null, rng| simulate(data.len(), &null.means, rng),
        |data| Ok(columns(data, k)),
        |data| Ok(columns(data, k + 1)),
    )
}

/// Twice the tail of the standard normal beyond `√statistic`, by Simpson's rule: the exact p-value of one free mean.
fn exact_p(statistic: f64) -> f64 {
    let (z, steps) = (statistic.sqrt(), 2000);
    let h = (10.0 - z) / f64::from(steps);
    let f = |i: i32| (-0.5 * (z + h * f64::from(i)).powi(2)).exp() / std::f64::consts::TAU.sqrt();
    let inner = |i: i32| f(i) * if i % 2 == 1 { 4.0 } else { 2.0 };
    2.0 * h / 3.0 * (f(0) + f(steps) + (1..steps).map(inner).sum::<f64>())
}

#[test]
fn simulated_p_values_are_the_exact_ones() {
    for (seed, mean) in [(1, 0.0), (2, 0.2), (3, 0.3), (4, 0.45)] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let data = simulate(40, &[1.0, mean], &mut rng);
        let test = one_more(&data, 1, &Replication::new(1999, seed));
        let mean = data.iter().map(|row| row[1]).sum::<f64>() / 40.0;
        assert_close(test.statistic, 40.0 * mean * mean, 40.0 * 4.0);
        let p = exact_p(test.statistic);
        // Four standard deviations of a share of 1999 draws.
        let tolerance = 4.0 * (p * (1.0 - p) / 1999.0).sqrt() + 1.0 / 2000.0;
        assert!((test.p_value() - p).abs() < tolerance, "{} is not {p}", test.p_value());
        assert_eq!((test.inverted(), test.replicates.failures.len()), (0, 0));
    }
}

#[test]
fn p_values_are_uniform_under_the_null() {
    // With B = 19 a p-value is one of 1/20, …, 20/20, all equally likely. In five bins of 400 each, χ² with four degrees of
    // freedom exceeds 23.5 with probability 10⁻⁴.
    let p_values = map_in_order(2000, |seed| {
        let data = simulate(12, &[], &mut ChaCha8Rng::seed_from_u64(seed as u64));
        one_more(&data, 0, &Replication::new(19, seed as u64 + 7_000_000)).p_value()
    });
    let mut bins = [0.0; 5];
    for p in p_values {
        let bin = (1..5).filter(|bin| p > 0.2 * f64::from(*bin) + 1e-9).count();
        bins[bin] += 1.0;
    }
    let chi_squared: f64 = bins.iter().map(|count| (count - 400.0_f64).powi(2) / 400.0).sum();
    assert!(chi_squared < 23.5, "{bins:?}");
}

#[test]
fn a_model_grows_as_long_as_it_gains() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let data = simulate(50, &[2.0, -2.0], &mut rng);
    let how = Replication::new(99, 1);
    let run = |last: usize| {
        let simulate = |fit: &Columns, rng: &mut ChaCha8Rng| simulate(50, &fit.means, rng);
        grow(&data, 0..=last, 0.05, &how, simulate, fit_columns).unwrap()
    };
    let growth = run(D);
    assert_eq!((growth.k, growth.fit.means.len(), growth.tests.len()), (2, 2, 3));
    assert_eq!(growth.tests[0].p_value(), 0.01);
    assert!(growth.tests[2].p_value() > 0.05);
    assert!(growth.ended.is_none() && !growth.cancelled);
    // It ends at the largest size that was allowed.
    let short = run(1);
    assert_eq!((short.k, short.tests.len()), (1, 1));
    assert_eq!(short.tests[0].replicates, growth.tests[0].replicates);
}

#[test]
fn growth_ends_where_nothing_larger_can_be_fitted() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let data = simulate(50, &[2.0, -2.0], &mut rng);
    let fit = |data: &Vec<[f64; D]>, k: usize| {
        if k > 1 { Err("too large") } else { Ok(columns(data, k)) }
    };
    let simulate = |fit: &Columns, rng: &mut ChaCha8Rng| simulate(50, &fit.means, rng);
    let growth = grow(&data, 0..=D, 0.05, &Replication::new(39, 1), simulate, fit).unwrap();
    assert_eq!((growth.k, growth.tests.len(), growth.ended), (1, 1, Some("too large")));
    let none = grow(&data, 2..=D, 0.05, &Replication::new(39, 1), simulate, fit);
    assert_eq!(none.err(), Some("too large"));
}

#[test]
fn failed_replicates_are_counted_and_left_out() {
    let data = simulate(20, &[0.5], &mut ChaCha8Rng::seed_from_u64(3));
    let whole = one_more(&data, 0, &Replication::new(40, 5));
    let test = ratio_test(
        &columns(&data, 0),
        &columns(&data, 1),
        &Replication::new(40, 5),
        |null, rng| simulate(20, &null.means, rng),
        |data| Ok(columns(data, 0)),
        |data| if data[0][0] > 1.0 { Err("unlucky") } else { Ok(columns(data, 1)) },
    );
    let failed: Vec<usize> = test.replicates.failures.iter().map(|failure| failure.0).collect();
    assert!(!failed.is_empty() && failed.len() < 20);
    let left: Vec<f64> = whole
        .replicates
        .values
        .iter()
        .enumerate()
        .filter(|(b, _)| !failed.contains(b))
        .map(|(_, value)| *value)
        .collect();
    assert_eq!(test.replicates.values, left);
    let reached = left.iter().filter(|value| **value >= test.statistic).count();
    assert_eq!(test.p_value(), (1 + reached) as f64 / (1 + left.len()) as f64);
}

#[test]
fn what_is_cancelled_says_so() {
    let cancel = CancelToken::new();
    cancel.cancel();
    let how = Replication { cancel: Some(cancel), ..Replication::new(50, 1) };
    let data = simulate(20, &[2.0], &mut ChaCha8Rng::seed_from_u64(3));
    let test = one_more(&data, 0, &how);
    assert_eq!((test.replicates.not_run, test.p_value()), (50, 1.0));
    let simulate = |fit: &Columns, rng: &mut ChaCha8Rng| simulate(20, &fit.means, rng);
    let growth = grow(&data, 0..=2, 0.05, &how, simulate, fit_columns).unwrap();
    assert!(growth.cancelled && growth.k == 0);
}

#[test]
fn threads_change_no_bit() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let x: Vec<f64> = (0..23).map(|_| normal(&mut rng)).collect();
    let data = simulate(15, &[0.4], &mut rng);
    let folds = Folds::new(23, 4, 2).unwrap();
    let all = || {
        let selection = cross_validate(
            vec![0.0, 1.0, 2.0],
            &folds,
            None,
            |label, weights| Ok::<_, Infallible>(shrunk(&x, weights, *label)),
            |_, fit, weights| Ok(score(&x, fit, weights)),
        );
        let held_out: Vec<_> = selection.candidates.iter().map(Candidate::evidence).collect();
        let test = one_more(&data, 0, &Replication::new(33, 1)).replicates;
        let score = predictive_score(23, None, 150, 1, |rng, out| posterior_draw(&x, rng, out));
        (held_out, selection.ranked, test, score.unwrap())
    };
    let one = on_threads(1, all);
    for threads in [2, 3, 7] {
        assert_eq!(one, on_threads(threads, all));
    }
}

/// A draw of the mean from its posterior `N(x̄, 1/n)` under a flat prior.
#[allow(clippy::unnecessary_wraps, reason = "what `predictive_score` asks for")]
fn posterior_draw(x: &[f64], rng: &mut ChaCha8Rng, out: &mut [f64]) -> Result<(), Infallible> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n + normal(rng) / n.sqrt();
    out.iter_mut().zip(x).for_each(|(out, x)| *out = log_density(*x, mean));
    Ok(())
}

/// With `μ ~ N(m, v)` and `x ∣ μ ~ N(μ, 1)`: `E p(x ∣ μ) = N(x; m, 1 + v)` and, since `(x − μ)²/v` is noncentral `χ²` with
/// `λ = (x − m)²/v`, `Var ln p(x ∣ μ) = v²(2 + 4λ)/4`.
#[test]
fn predictive_scores_are_those_of_a_known_posterior() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let x: Vec<f64> = (0..8).map(|_| 2.0 * normal(&mut rng)).collect();
    let (m, v) = (x.iter().sum::<f64>() / 8.0, 1.0 / 8.0);
    let draws: u16 = 20_000;
    let score = predictive_score(8, None, draws.into(), 3, |rng, out| posterior_draw(&x, rng, out))
        .unwrap();
    let density = |x: f64, variance: f64| {
        (-0.5 * (x - m).powi(2) / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
    };
    let (mut predictive, mut effective) = (0.0, 0.0);
    // Errors of simulation, added as if all units erred alike, at five standard deviations.
    let (mut predictive_error, mut effective_error) = (0.0, 0.0);
    let root = 5.0 / f64::from(draws).sqrt();
    let mut pointwise = Vec::new();
    let mut unstable = 0;
    for x in &x {
        let lambda = (x - m).powi(2) / v;
        let (mean, variance) = (density(*x, 1.0 + v), v * v * (2.0 + 4.0 * lambda) / 4.0);
        predictive += mean.ln();
        effective += variance;
        pointwise.push(mean.ln() - variance);
        unstable += usize::from(variance > 0.4);
        let square = density(*x, 0.5 + v) / (2.0 * std::f64::consts::PI.sqrt());
        predictive_error += root * (square - mean * mean).sqrt() / mean;
        // Fourth central moment of the noncentral χ²: 48 (1 + 4λ) + 12 (1 + 2λ)².
        let fourth =
            v.powi(4) * (48.0 * (1.0 + 4.0 * lambda) + 12.0 * (1.0 + 2.0 * lambda).powi(2)) / 16.0;
        effective_error += root * (fourth - variance * variance).sqrt();
    }
    assert!((score.log_predictive - predictive).abs() < predictive_error);
    assert!((score.effective_parameters - effective).abs() < effective_error);
    assert!(effective_error < 0.1 * effective, "the test can tell");
    assert_close(score.waic(), -2.0 * (score.log_predictive - score.effective_parameters), 100.0);
    let mean = pointwise.iter().sum::<f64>() / 8.0;
    let spread: f64 = pointwise.iter().map(|p| (p - mean).powi(2)).sum();
    let standard_error = (8.0 * spread / 7.0).sqrt();
    assert!((score.standard_error - standard_error).abs() < 0.1 * standard_error);
    assert_eq!((score.unstable, score.draws), (unstable, draws.into()));
}

#[test]
fn predictive_scores_count_units_by_their_weights() {
    let x = [0.4, -1.0, 2.0];
    let twice = [0.4, -1.0, -1.0];
    let draw = |x: [f64; 3]| {
        move |rng: &mut ChaCha8Rng, out: &mut [f64]| {
            let mean = normal(rng);
            out.iter_mut().zip(x).for_each(|(out, x)| *out = log_density(x, mean));
            Ok::<_, Infallible>(())
        }
    };
    let weighted = predictive_score(3, Some(&[1.0, 2.0, 0.0]), 100, 1, draw(x)).unwrap();
    let plain = predictive_score(3, None, 100, 1, draw(twice)).unwrap();
    assert_close(weighted.log_predictive, plain.log_predictive, 10.0);
    assert_close(weighted.effective_parameters, plain.effective_parameters, 10.0);
    assert_close(weighted.standard_error, plain.standard_error, 10.0);
}
