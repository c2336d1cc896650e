//! A run that goes on from a checkpoint is the run that was never interrupted.

use std::{ops::ControlFlow, sync::Mutex};

use elbo_core::{
    Acceleration, Checkpoint, EarlyStopping, Event, FitError, ParametersSettled, Settings, Stopped,
    Tolerance, Trajectory, Variant, fit, resume,
};
use elbo_laws::model::assert_same_fit;
#[cfg(feature = "serde")]
use proptest::prelude::*;

use crate::{
    coins::{Coins, packets},
    on_threads,
};

const VARIANTS: [Variant; 8] = [
    Variant::Soft,
    Variant::Hard,
    Variant::Annealed { start: 0.3, rate: 1.2 },
    Variant::Sampled { draws: 1, burn_in: 5, averaged: 25, decay: 0.0 },
    Variant::Sampled { draws: 2, burn_in: 5, averaged: 25, decay: 0.7 },
    Variant::Incremental,
    Variant::Online { batch: 300, epochs: 12, decay: 0.6, delay: 1.0 },
    Variant::Online { batch: 5000, epochs: 12, decay: 0.0, delay: 0.0 },
];

type CoinsFit = elbo_core::Fit<Vec<f64>, (Vec<f64>, Vec<f64>)>;

/// The fit, and a checkpoint after each iteration.
fn watched(
    data: &[f64],
    start: &[f64],
    settings: &Settings,
) -> (CoinsFit, Vec<Checkpoint<Vec<f64>>>) {
    let checkpoints = Mutex::new(Vec::new());
    let observer = |event: &Event<'_, Vec<f64>>| {
        checkpoints.lock().unwrap().push(event.checkpoint());
        ControlFlow::Continue(())
    };
    let whole = fit(&Coins::new(10.0), data, start.to_vec(), settings, &observer).unwrap();
    (whole, checkpoints.into_inner().unwrap())
}

#[test]
fn every_variant_and_every_acceleration_goes_on_to_the_bit() {
    let (data, start) = (packets(3000), [0.3, 0.45, 0.6]);
    let accelerations = [
        Acceleration::None,
        Acceleration::Squarem,
        Acceleration::Anderson,
        Acceleration::QuasiNewton,
    ];
    for variant in VARIANTS {
        for acceleration in accelerations {
            if variant != Variant::Soft && acceleration != Acceleration::QuasiNewton {
                continue; // only soft EM is accelerated
            }
            let tolerance = Tolerance::Gap(1e-9);
            let settings =
                Settings { variant, acceleration, tolerance, seed: 7, ..Settings::default() };
            let (whole, checkpoints) = watched(&data, &start, &settings);
            assert_eq!(checkpoints.len(), whole.report.iterations, "{variant:?}");
            let some = checkpoints.len() / 7 + 1;
            let last = checkpoints.len() - 1;
            for (at, checkpoint) in checkpoints.into_iter().enumerate() {
                if at % some != 0 && at != last && at > 3 {
                    continue;
                }
                let go_on = || {
                    let coins = Coins::new(10.0);
                    resume(&coins, &data[..], checkpoint.clone(), &settings, &()).unwrap()
                };
                for threads in [1, 3] {
                    let resumed = on_threads(threads, go_on);
                    assert_same_fit(&resumed, &whole);
                    assert_eq!(resumed.report.e_steps, whole.report.e_steps, "{variant:?} {at}");
                    assert_eq!(resumed.report.stopped, whole.report.stopped);
                    assert_eq!(resumed.report.repairs, whole.report.repairs);
                }
            }
        }
    }
}

#[test]
fn a_run_that_was_cut_short_goes_on_to_where_it_would_have_gone() {
    let (data, start) = (packets(2000), [0.3, 0.6]);
    let settings = Settings::default();
    let (whole, _) = watched(&data, &start, &settings);
    let short = Settings { max_iterations: 4, ..settings.clone() };
    let (cut, checkpoints) = watched(&data, &start, &short);
    assert_eq!(cut.report.stopped, Stopped::MaxIterations);
    let last = checkpoints.into_iter().last().unwrap();
    let resumed = resume(&Coins::new(10.0), &data[..], last, &settings, &()).unwrap();
    assert_same_fit(&resumed, &whole);
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let (data, start) = (packets(2000), [0.3, 0.6]);
    let settings = Settings::default();
    let (_, checkpoints) = watched(&data, &start, &settings);
    let checkpoint = &checkpoints[2];
    let go_on = |data: &[f64], settings: &Settings| {
        resume(&Coins::new(10.0), data, checkpoint.clone(), settings, &()).map(|fit| fit.params)
    };
    let refused = Err(FitError::Checkpoint);
    for other in [
        Settings { seed: 1, ..settings.clone() },
        Settings { pieces: 7, ..settings.clone() },
        Settings { variant: Variant::Hard, ..settings.clone() },
        Settings { acceleration: Acceleration::None, ..settings.clone() },
        Settings { tolerance: Tolerance::Gap(1e-3), ..settings.clone() },
    ] {
        assert_eq!(go_on(&data, &other), refused);
    }
    assert_eq!(go_on(&data[1..], &settings), refused);
    let longer = Settings { max_iterations: 20_000, ..settings };
    assert!(go_on(&data, &longer).is_ok(), "limits may differ");
}

#[cfg(feature = "serde")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Words that were cut off or changed are refused or taken for numbers; they never panic.
    #[test]
    fn damaged_checkpoints_are_refused(cut in 0..60_usize, at in any::<prop::sample::Index>(), word: u64) {
        let (data, start) = (packets(500), [0.3, 0.6]);
        let settings = Settings { max_iterations: 8, ..Settings::default() };
        let (_, checkpoints) = watched(&data, &start, &settings);
        let whole = serde_json::to_value(&checkpoints[3]).unwrap();
        let resumed = |value: serde_json::Value| {
            let checkpoint: Checkpoint<Vec<f64>> = serde_json::from_value(value).unwrap();
            resume(&Coins::new(10.0), &data[..], checkpoint, &settings, &())
        };
        prop_assert!(resumed(whole.clone()).is_ok());
        let mut shorter = whole.clone();
        let words = shorter["state"].as_array_mut().unwrap();
        words.truncate(words.len().saturating_sub(cut + 1));
        prop_assert_eq!(resumed(shorter).map(|fit| fit.params), Err(FitError::Checkpoint));
        let mut changed = whole;
        let words = changed["state"].as_array_mut().unwrap();
        let place = at.index(words.len());
        words[place] = word.into();
        let _ = resumed(changed);
    }
}

#[test]
fn a_trajectory_records_every_iteration() {
    let (data, start) = (packets(500), [0.3, 0.6]);
    let trajectory = Trajectory::new(|coins: &Vec<f64>| coins.clone());
    let end = fit(&Coins::new(10.0), &data[..], start.to_vec(), &Settings::default(), &trajectory)
        .unwrap();
    let path = trajectory.path(0);
    assert_eq!(path.len(), end.report.iterations);
    assert_eq!(path.last().unwrap().values, end.params);
    for (point, objective) in path.iter().zip(&end.report.trace[1..]) {
        assert_eq!(point.objective, *objective);
    }
    assert!(trajectory.path(1).is_empty());
}

#[test]
fn early_stopping_keeps_the_parameters_that_scored_best() {
    let (data, start) = (packets(500), [0.3, 0.6]);
    // A score that is best at the parameters of the third iteration.
    let (_, checkpoints) = watched(&data, &start, &Settings::default());
    let wanted = checkpoints[2].params.clone();
    let target = wanted.clone();
    let early = EarlyStopping::new(2, move |coins: &Vec<f64>| {
        -coins.iter().zip(&target).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    });
    let end =
        fit(&Coins::new(10.0), &data[..], start.to_vec(), &Settings::default(), &early).unwrap();
    assert_eq!((end.report.iterations, &end.report.stopped), (5, &Stopped::HeldOut));
    assert_eq!(early.into_best(), Some((-0.0, wanted)));
}

#[test]
fn parameters_that_no_longer_move_end_a_run() {
    let (data, start) = (packets(500), [0.3, 0.6]);
    let settings = Settings { acceleration: Acceleration::None, ..Settings::default() };
    let settled = ParametersSettled::new(1e-3, |coins: &Vec<f64>| coins.clone());
    let end = fit(&Coins::new(10.0), &data[..], start.to_vec(), &settings, &settled).unwrap();
    assert_eq!(end.report.stopped, Stopped::Parameters);
    assert!(end.report.stopped.is_converged());
    let (whole, checkpoints) = watched(&data, &start, &settings);
    let moved = |at: usize| {
        let pair = checkpoints[at].params.iter().zip(&checkpoints[at - 1].params);
        pair.map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f64::max)
    };
    let last = end.report.iterations - 1;
    assert!(moved(last) < 1e-3 && moved(last - 1) < 1e-3 && moved(last - 2) >= 1e-3);
    assert!(end.report.iterations < whole.report.iterations, "lack of progress is not convergence");
    // Two at once: the first that breaks gives the reason.
    let both = (ParametersSettled::new(1e-3, |coins: &Vec<f64>| coins.clone()), ());
    let again = fit(&Coins::new(10.0), &data[..], start.to_vec(), &settings, &both).unwrap();
    assert_same_fit(&again, &end);
    assert_eq!(again.report.stopped, Stopped::Parameters);
}
