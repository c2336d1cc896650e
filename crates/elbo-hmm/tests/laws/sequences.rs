//! Many sequences, short sequences, no sequences.

use elbo_core::{Batch, Inference, LatentModel, Statistics};
use elbo_hmm::{DataError, FitError, Hmm, HmmModel, Poisson, Sequences, Settings, Start};
use proptest::prelude::*;

use crate::support::{assert_close, e_step, poisson_hmm};

proptest! {
    #[test]
    fn sequences_are_independent(
        hmm in poisson_hmm(),
        lengths in prop::collection::vec(0_usize..5, 1..6),
        x in prop::collection::vec(0_u64..40, 25),
    ) {
        let offsets = Sequences::<&[u64]>::offsets_of(lengths);
        let x = &x[..offsets[offsets.len() - 1]];
        let data = Sequences::new(x, &offsets);
        let each: f64 = (0..data.len()).map(|i| hmm.log_likelihood(data.sequence(i)).unwrap()).sum();
        assert_close(hmm.log_likelihood(data).unwrap(), each, each);
        let posterior = hmm.smooth(data).unwrap();
        let separate: Vec<f64> =
            (0..data.len()).flat_map(|i| hmm.smooth(data.sequence(i)).unwrap()).collect();
        prop_assert_eq!(posterior, separate);
        let model = HmmModel::ml();
        let params = model.start(hmm, 1.0).unwrap();
        let (whole, stats) = e_step(&model, &params, data, Inference::Soft).unwrap();
        let cut = data.len() / 2;
        let (left, left_stats) = e_step(&model, &params, data.slice(0..cut), Inference::Soft).unwrap();
        let (right, right_stats) =
            e_step(&model, &params, data.slice(cut..data.len()), Inference::Soft).unwrap();
        assert_close(whole, left + right, whole);
        for i in 0..params.k() {
            for j in 0..params.k() {
                let count = |stats: &elbo_hmm::HmmStats<Poisson>| stats.1[i].counts()[j];
                assert_close(count(&stats), count(&left_stats) + count(&right_stats), 25.0);
            }
        }
    }

    #[test]
    fn slices_of_slices_are_slices(
        lengths in prop::collection::vec(0_usize..4, 3..6), from in 0_usize..2, by in 0_usize..2,
    ) {
        let offsets = Sequences::<&[u64]>::offsets_of(lengths);
        let x: Vec<u64> = (0..offsets[offsets.len() - 1] as u64).collect();
        let data = Sequences::new(&x[..], &offsets);
        let slice = data.slice(from..data.len()).slice(by..data.len() - from);
        let mut steps = Vec::new();
        for i in 0..slice.len() {
            prop_assert_eq!(slice.sequence(i), data.sequence(from + by + i));
            prop_assert_eq!(&slice.steps()[slice.positions(i)], slice.sequence(i));
            steps.extend_from_slice(slice.sequence(i));
        }
        prop_assert_eq!(slice.steps(), &steps[..]);
        prop_assert!(data.slice(1..1).steps().is_empty());
    }
}

fn two_rates() -> Hmm<Poisson> {
    let rates = vec![Poisson::new(2.0).unwrap(), Poisson::new(9.0).unwrap()];
    Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.2, 0.8]], rates).unwrap()
}

#[test]
fn one_step_and_one_state_are_fitted() {
    let one_state = Hmm::new(&[1.0], &[[1.0]], vec![Poisson::new(1.0).unwrap()]).unwrap();
    for x in [&[4_u64][..], &[4, 2, 3]] {
        let start = Start::At(one_state.clone());
        let fitted =
            HmmModel::ml().fit(Sequences::one(x), &start, &Settings::default(), &()).unwrap();
        let mean = x.iter().sum::<u64>() as f64 / x.len() as f64;
        assert_close(fitted.hmm.emission()[0].rate(), mean, 1.0);
        assert_eq!(fitted.hmm.transition(0), [1.0]);
    }
    // One step in two states: no transition is ever seen, so the rows stay as they were, and that is told.
    let start = Start::At(two_rates());
    let fitted = HmmModel::ml()
        .fit(Sequences::one(&[4_u64][..]), &start, &Settings::default(), &())
        .unwrap();
    assert_eq!(fitted.hmm.transition(1), [0.2, 0.8]);
    assert!(fitted.report.repairs.kept_components >= 2);
    assert!(fitted.report.stopped.is_converged(), "{:?}", fitted.report.stopped);
}

#[test]
fn sequences_of_length_zero_say_nothing() {
    let (x, offsets) = ([4_u64, 1, 7], [0, 0, 3, 3]);
    let (hmm, data) = (two_rates(), Sequences::new(&x[..], &offsets));
    let alone = hmm.log_likelihood(&x[..]).unwrap();
    assert_close(hmm.log_likelihood(data).unwrap(), alone, 0.0);
    assert_eq!(hmm.log_likelihood(data.slice(0..1)), Ok(0.0));
    assert!(hmm.viterbi(data.slice(2..3)).unwrap().states.is_empty());
    let model = HmmModel::ml();
    let params = model.start(hmm.clone(), 1.0).unwrap();
    assert_eq!(model.check(&params, data.slice(0..1)), Err(DataError::Empty));
    let nothing = model.fit(data.slice(0..1), &Start::At(hmm), &Settings::default(), &());
    assert_eq!(nothing.unwrap_err(), FitError::Data(DataError::Empty));
}

#[test]
fn too_few_steps_for_the_states_is_an_error() {
    let start = Start::Random { k: 3, runs: 1, template: Poisson::new(1.0).unwrap() };
    let fit =
        HmmModel::ml().fit(Sequences::one(&[1_u64, 2][..]), &start, &Settings::default(), &());
    assert_eq!(fit.unwrap_err(), FitError::Data(DataError::TooFew { n: 2, needed: 3 }));
}

#[test]
#[should_panic(expected = "offsets must run from 0")]
fn offsets_that_miss_steps_are_a_bug_of_the_caller() {
    let _ = Sequences::new(&[1_u64, 2][..], &[0, 1]);
}

/// Messages that are made twice are the same, also where blocks are done with logarithms.
#[test]
fn little_memory_changes_no_bit() {
    let x: Vec<f64> =
        (0..3000).map(|t| ((t * t) % 17) as f64 + 90.0 * f64::from(t / 700 % 2)).collect();
    let gaussian = |mean: f64| elbo_hmm::Gaussian::new(mean, 1.0).unwrap();
    let rows = [[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [1e-200, 0.3, 0.7]];
    let hmm = Hmm::new(&[0.2, 0.3, 0.5], &rows, vec![gaussian(3.0), gaussian(9.0), gaussian(95.0)]);
    let hmm = hmm.unwrap();
    let offsets = [0, 1, 1300, 1300, 3000];
    let data = Sequences::new(&x[..], &offsets);
    let of = |model: HmmModel<_, _, _>| {
        let params = model.start(hmm.clone(), 1.0).unwrap();
        let (log_likelihood, stats) = e_step(&model, &params, data, Inference::Soft).unwrap();
        let mut flat = vec![log_likelihood];
        stats.write_to(&mut flat);
        flat.into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(of(HmmModel::ml()), of(HmmModel::ml().memory(0)));
}
