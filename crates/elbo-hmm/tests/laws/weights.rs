//! A weight of two is seen twice, a weight of zero is not seen; what follows: held-out sequences.
#![allow(clippy::float_cmp, reason = "whole weights of whole steps have exact sums")]

use elbo_core::{Batch, Criterion, Folds, Inference, Statistics, cross_validate};
use elbo_hmm::{
    DataError, FitError, Fitted, Hmm, HmmModel, Poisson, Scored, Sequences, Settings, Start,
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::support::{assert_close, e_step, poisson_hmm};

/// Sequences of up to 4 steps, as steps and lengths.
fn sequences() -> impl Strategy<Value = (Vec<u64>, Vec<usize>)> {
    prop::collection::vec(prop::collection::vec(0_u64..40, 0..5), 1..6)
        .prop_map(|all| (all.concat(), all.iter().map(Vec::len).collect()))
}

/// Sequence `i` repeated `times[i]` times.
fn repeated(x: &[u64], offsets: &[usize], times: &[usize]) -> (Vec<u64>, Vec<usize>) {
    let (mut steps, mut lengths) = (Vec::new(), Vec::new());
    for (i, times) in times.iter().enumerate() {
        for _ in 0..*times {
            steps.extend_from_slice(&x[offsets[i]..offsets[i + 1]]);
            lengths.push(offsets[i + 1] - offsets[i]);
        }
    }
    (steps, Sequences::<&[u64]>::offsets_of(lengths))
}

fn flat<S: Statistics>(stats: &S) -> Vec<f64> {
    let mut flat = Vec::new();
    stats.write_to(&mut flat);
    flat
}

proptest! {
    #[test]
    fn a_weight_says_how_often_a_sequence_is_seen(
        hmm in poisson_hmm(),
        (x, lengths) in sequences(),
        times in prop::collection::vec(0_usize..4, 6),
        hard in any::<bool>(),
    ) {
        let offsets = Sequences::<&[u64]>::offsets_of(lengths);
        let times = &times[..offsets.len() - 1];
        prop_assume!(times.iter().any(|t| *t > 0));
        let weights: Vec<f64> = times.iter().map(|t| *t as f64).collect();
        let data = Sequences::new(&x[..], &offsets).weighted(&weights).unwrap();
        let (steps, borders) = repeated(&x, &offsets, times);
        let again = Sequences::new(&steps[..], &borders);
        prop_assert_eq!(data.observations(), again.observations());
        let model = HmmModel::ml();
        let params = model.start(hmm.clone(), 1.0).unwrap();
        let how = || if hard { Inference::Hard } else { Inference::Soft };
        let (weighted, stats) = e_step(&model, &params, data, how()).unwrap();
        let (plain, other) = e_step(&model, &params, again, how()).unwrap();
        assert_close(weighted, plain, plain);
        for (a, b) in flat(&stats).into_iter().zip(flat(&other)) {
            assert_close(a, b, b);
        }
        if !hard {
            assert_close(hmm.log_likelihood(data).unwrap(), plain, plain);
            let (sum, steps) = hmm.score(data).unwrap();
            assert_close(sum, plain, plain);
            prop_assert_eq!(steps, again.observations());
        }
    }

    #[test]
    fn a_sequence_of_weight_zero_changes_no_bit(hmm in poisson_hmm(), (x, lengths) in sequences()) {
        // Before and after each sequence stands one that no state can explain: it has a weight of zero.
        let (mut steps, mut borders, mut weights) = (Vec::new(), vec![0], Vec::new());
        let mut push = |own: &[u64], weight: f64| {
            steps.extend_from_slice(own);
            borders.push(steps.len());
            weights.push(weight);
        };
        let offsets = Sequences::<&[u64]>::offsets_of(lengths);
        push(&[1_000_000], 0.0);
        for own in offsets.windows(2) {
            push(&x[own[0]..own[1]], 1.0);
            push(&[1_000_000, 3], 0.0);
        }
        let model = HmmModel::ml();
        let params = model.start(hmm.clone(), 1.0).unwrap();
        let plain = Sequences::new(&x[..], &offsets);
        let all = Sequences::new(&steps[..], &borders).weighted(&weights).unwrap();
        let (a, a_stats) = e_step(&model, &params, all, Inference::Soft).unwrap();
        let (b, b_stats) = e_step(&model, &params, plain, Inference::Soft).unwrap();
        prop_assert_eq!(a.to_bits(), b.to_bits());
        let bits = |stats| flat(stats).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&a_stats), bits(&b_stats));
        prop_assert_eq!(hmm.log_likelihood(all), hmm.log_likelihood(plain));
        // Slices take their weights along.
        let slice = all.slice(1..2);
        prop_assert_eq!(slice.weights(), Some(&[1.0][..]));
        prop_assert_eq!(slice.observations(), (offsets[1] - offsets[0]) as f64);
    }
}

#[test]
fn weights_that_are_none_are_told() {
    let (x, offsets) = ([1_u64, 2, 3], [0, 1, 3]);
    let data = Sequences::new(&x[..], &offsets);
    let error = |weights: &[f64]| data.weighted(weights).unwrap_err();
    assert_eq!(error(&[1.0]), DataError::Weights { units: 2, weights: 1 });
    assert_eq!(error(&[1.0, -1.0]), DataError::Weight { row: 1, weight: -1.0 });
    assert_eq!(error(&[0.0, 0.0]), DataError::Weight { row: 0, weight: 0.0 });
    assert_eq!(data.weighted(&[0.0, 2.0]).unwrap().unweighted().observations(), 3.0);
}

/// Two levels of activity, in sequences of different lengths.
fn simulated() -> (Vec<u64>, Vec<usize>) {
    let rates = vec![Poisson::new(3.0).unwrap(), Poisson::new(12.0).unwrap()];
    let hmm = Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.2, 0.8]], rates).unwrap();
    let lengths = [20, 35, 0, 25, 30, 15, 40, 10, 25];
    let steps = hmm.simulate(lengths, &mut ChaCha8Rng::seed_from_u64(5));
    (steps, Sequences::<&[u64]>::offsets_of(lengths))
}

fn fitted(data: Sequences<'_, &[u64]>, k: usize) -> Result<Fitted<Poisson>, FitError> {
    let start = Start::Random { k, runs: 4, template: Poisson::new(1.0).unwrap() };
    HmmModel::ml().fit(data, &start, &Settings::default(), &())
}

/// Every run begins at the same steps, so that it ends at the same optimum.
#[test]
fn a_fit_does_not_see_sequences_of_weight_zero() {
    let (x, offsets) = simulated();
    let weights = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0];
    let times: Vec<usize> = weights.iter().map(|w| usize::from(*w > 0.0)).collect();
    let (present, borders) = repeated(&x, &offsets, &times);
    let all = fitted(Sequences::new(&x[..], &offsets).weighted(&weights).unwrap(), 2).unwrap();
    let alone = fitted(Sequences::new(&present[..], &borders), 2).unwrap();
    for (a, b) in all.runs.ends.iter().zip(&alone.runs.ends) {
        let (a, b) = (a.outcome.as_ref().unwrap(), b.outcome.as_ref().unwrap());
        // The start is the same to the rounding of sums.
        assert_close(a.trace[0], b.trace[0], 100.0 * b.trace[0]);
        assert!((a.objective - b.objective).abs() < 1e-7 * b.observations);
        assert_eq!((a.observations, a.free_parameters), (b.observations, 5));
    }
    let few =
        Sequences::new(&x[..], &offsets).weighted(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let error = fitted(few.unwrap(), 2).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::TooFew { n: 0, needed: 2 }));
}

#[test]
fn cross_validation_is_a_loop_over_split_sequences() {
    let (x, offsets) = simulated();
    let data = Sequences::new(&x[..], &offsets);
    let folds = Folds::new(9, 3, 1).unwrap();
    let selection = cross_validate(
        vec![1, 2, 3],
        &folds,
        None,
        |k, weights| match weights {
            None => fitted(data, *k),
            Some(weights) => fitted(data.weighted(weights)?, *k),
        },
        |_, fitted, weights| fitted.hmm.score(data.weighted(weights)?),
    );
    for candidate in &selection.candidates {
        let mut sum = 0.0;
        for fold in 0..3 {
            let part = |inside: bool| {
                let times: Vec<usize> =
                    folds.labels().iter().map(|of| usize::from((*of == fold) == inside)).collect();
                repeated(&x, &offsets, &times)
            };
            let ((training, borders), (out, out_borders)) = (part(false), part(true));
            let fit = fitted(Sequences::new(&training[..], &borders), candidate.label).unwrap();
            sum += fit.hmm.log_likelihood(Sequences::new(&out[..], &out_borders)).unwrap();
        }
        let held_out = candidate.evidence().unwrap();
        // Fits end within some 10⁻⁸ nats of their optima, where held-out likelihood has a slope.
        assert!((held_out.log_likelihood - sum).abs() < 1e-2, "{} {sum}", held_out.log_likelihood);
        assert_eq!((held_out.observations, held_out.folds), (200.0, 3));
    }
    assert_eq!((selection.criterion, selection.best().unwrap().label), (Criterion::HeldOut, 2));
    let scores = selection.best().unwrap().fit.as_ref().unwrap().scores();
    assert_eq!((scores.observations, scores.icl()), (200.0, None));
}

#[test]
fn simulated_sequences_have_the_law_of_the_model() {
    let rates = vec![Poisson::new(1.0).unwrap(), Poisson::new(50.0).unwrap()];
    let hmm = Hmm::new(&[0.25, 0.75], &[[0.5, 0.5], [0.125, 0.875]], rates).unwrap();
    let steps = hmm.simulate(vec![2; 4000], &mut ChaCha8Rng::seed_from_u64(2));
    assert_eq!(steps.len(), 8000);
    let is_high = |x: u64| x > 20;
    let share = |of: &dyn Fn(&[u64]) -> bool| {
        steps.chunks(2).filter(|pair| of(pair)).count() as f64 / 4000.0
    };
    // Four standard deviations of a share of 4000.
    for (found, expected) in [
        (share(&|pair| is_high(pair[0])), 0.75),
        (share(&|pair| is_high(pair[1])), 0.25 * 0.5 + 0.75 * 0.875),
        (share(&|pair| is_high(pair[0]) && !is_high(pair[1])), 0.75 * 0.125),
    ] {
        let tolerance = 4.0 * (expected * (1.0 - expected) / 4000.0_f64).sqrt();
        assert!((found - expected).abs() < tolerance, "{found} is not {expected}");
    }
}
