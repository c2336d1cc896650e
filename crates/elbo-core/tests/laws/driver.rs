//! What one run of EM promises, whatever the model.

use std::{ops::ControlFlow, time::Duration};

use elbo_core::{
    Acceleration, CancelToken, DataError, EStep, EStepError, EstimateError, Event, Fit, FitError,
    LatentModel, Settings, Stopped, Tolerance, Variant, Weighted, fit,
};
use elbo_laws::{
    assert_close,
    model::{assert_same_fit, cutting_is_irrelevant, the_objective_never_falls},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    coins::{Coins, Fault, packets},
    on_threads,
};

type CoinsFit = Fit<Vec<f64>, (Vec<f64>, Vec<f64>)>;

fn exactly(iterations: usize) -> Settings {
    Settings {
        tolerance: Tolerance::Change(0.0),
        max_iterations: iterations,
        ..Settings::default()
    }
}

fn run(data: &[f64], start: &[f64], settings: &Settings) -> CoinsFit {
    fit(&Coins::new(10.0), data, start.to_vec(), settings, &()).unwrap()
}

fn start() -> impl Strategy<Value = Vec<f64>> {
    vec(0.05..0.95_f64, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_soft_objective_never_falls(start in start(), n in 20..400_usize) {
        the_objective_never_falls(&Coins::new(10.0), &packets(n)[..], start, Variant::Soft, 30);
    }

    #[test]
    fn the_hard_objective_never_falls(low in 0.05..0.3_f64, high in 0.6..0.95_f64, n in 20..400_usize) {
        the_objective_never_falls(&Coins::new(10.0), &packets(n)[..], vec![low, high], Variant::Hard, 10);
    }

    #[test]
    fn steps_that_overshoot_are_halved(low in 0.05..0.4_f64, high in 0.5..0.95_f64, n in 50..400_usize) {
        let (data, start) = (packets(n), vec![low, high]);
        let overshooting = Coins { tosses: 10.0, fault: Fault::Overshoots };
        let settings = Settings { max_iterations: 2000, ..Settings::default() };
        let halved = fit(&overshooting, &data[..], start.clone(), &settings, &()).unwrap();
        let report = &halved.report;
        prop_assert!(report.stopped.is_converged(), "{:?}", report.stopped);
        // What the driver calls rounding: 10⁻¹² of the size of the terms added, and of their number.
        prop_assert!(report.trace.windows(2).all(|w| w[1] >= w[0] - 1e-12 * (w[0].abs() + n as f64)));
        prop_assert!(report.e_steps > report.iterations + 1, "no step was ever too long");
        let plain = run(&data, &start, &settings);
        let gap = (plain.report.objective - report.objective).abs();
        prop_assert!(gap <= 1e-6 * n as f64, "{gap}");
    }

    #[test]
    fn pieces_change_rounding_alone(coins in start(), n in 1..9000_usize) {
        cutting_is_irrelevant(&Coins::new(10.0), &packets(n)[..], &coins);
    }

    #[test]
    fn annealing_from_one_is_soft(start in start(), n in 20..400_usize) {
        let annealed =
            Settings { variant: Variant::Annealed { start: 1.0, rate: 1.5 }, ..exactly(20) };
        let data = packets(n);
        assert_same_fit(&run(&data, &start, &annealed), &run(&data, &start, &exactly(20)));
    }

    #[test]
    fn tolerance_zero_does_every_iteration(start in start(), iterations in 0..60_usize) {
        for tolerance in [Tolerance::Change(0.0), Tolerance::Gap(0.0), Tolerance::RelativeChange(0.0)] {
            let settings = Settings { tolerance, ..exactly(iterations) };
            let report = run(&packets(50), &start, &settings).report;
            prop_assert_eq!(&report.stopped, &Stopped::MaxIterations);
            prop_assert_eq!(report.iterations, iterations);
            prop_assert_eq!(report.e_steps, iterations + 1);
            prop_assert_eq!(report.trace.len(), iterations + 1);
        }
    }

    #[test]
    fn the_statistics_belong_to_the_parameters(start in start(), n in 1..3000_usize) {
        let data = packets(n);
        let end = run(&data, &start, &exactly(5));
        let (model, mut stats) = (Coins::new(10.0), end.stats.clone());
        let e_step = EStep::new(&data[..], Settings::default().pieces);
        let data_term = e_step.run(&model, &end.params, &data, &mut stats).unwrap();
        prop_assert_eq!(data_term, end.report.data_term);
        prop_assert_eq!(stats, end.stats);
    }

    #[test]
    fn the_row_of_an_error_is_counted_over_all_data(n in 1..9000_usize, at in any::<prop::sample::Index>()) {
        let mut data = packets(n);
        let row = at.index(n);
        data[row] = f64::NAN;
        let result = fit(&Coins::new(10.0), &data[..], vec![0.3, 0.6], &exactly(1), &());
        prop_assert_eq!(result.err(), Some(FitError::EStep(EStepError::NotFinite { row })));
    }
}

#[test]
fn two_coins_of_the_textbook() {
    // Do & Batzoglou (2008), Nature Biotechnology 26(8), figure 1b: one iteration gives 0.71 and 0.58, ten 0.80 and 0.52.
    let heads = [5.0, 9.0, 8.0, 4.0, 7.0];
    for (iterations, expected) in [(1, [0.71, 0.58]), (10, [0.80, 0.52])] {
        let coins = run(&heads, &[0.6, 0.5], &exactly(iterations)).params;
        assert!(coins.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.005), "{coins:?}");
    }
}

#[test]
fn at_convergence_the_gradient_vanishes() {
    let (model, data) = (Coins::new(10.0), packets(500));
    let end = run(
        &data,
        &[0.4, 0.5],
        &Settings { tolerance: Tolerance::Gap(1e-13), ..Settings::default() },
    );
    assert!(end.report.stopped.is_converged(), "{:?}", end.report.stopped);
    let log_likelihood = |coins: &[f64]| -> f64 {
        let density =
            |x: f64| coins.iter().map(|p| 0.5 * model.log_density(x, *p).exp()).sum::<f64>().ln();
        data.iter().map(|x| density(*x)).sum()
    };
    assert_close(log_likelihood(&end.params), end.report.objective, end.report.objective);
    // Central differences of width h are wrong by h²ℓ‴ with ℓ‴ ~ n·10²; the curvature n·10²/2 turns what is left of the
    // gap, g per observation, into a slope of √(2g·n·n·50).
    let h = 1e-5;
    for j in 0..2 {
        let at = |step: f64| {
            let mut coins = end.params.clone();
            coins[j] += step;
            log_likelihood(&coins)
        };
        let slope = (at(h) - at(-h)) / (2.0 * h);
        assert!(slope.abs() < 1e-2, "slope {slope} along coin {j}");
    }
}

#[test]
fn threads_change_no_bit() {
    let (data, start) = (packets(9000), [0.45, 0.55, 0.9]);
    let fit = || run(&data, &start, &exactly(20));
    let one = on_threads(1, fit);
    for threads in [2, 3, 7] {
        assert_same_fit(&one, &on_threads(threads, fit));
    }
}

#[test]
fn cancelling_keeps_the_best_so_far() {
    let (data, token) = (packets(50), CancelToken::new());
    let settings = Settings { cancel: Some(token.clone()), ..exactly(100) };
    let observer = |event: &Event<'_, Vec<f64>>| {
        if event.iteration == 3 {
            token.cancel();
        }
        ControlFlow::Continue(())
    };
    let cancelled =
        fit(&Coins::new(10.0), &data[..], vec![0.4, 0.5], &settings, &observer).unwrap();
    assert_eq!(cancelled.report.stopped, Stopped::Cancelled);
    assert!(!cancelled.report.stopped.is_converged() && !cancelled.report.stopped.is_failure());
    let three = run(&data, &[0.4, 0.5], &exactly(3));
    assert_eq!((cancelled.params, cancelled.report.trace), (three.params, three.report.trace));
}

#[test]
fn an_observer_may_stop_and_keeps_the_best_so_far() {
    let data = packets(50);
    let observer = |event: &Event<'_, Vec<f64>>| {
        if event.iteration == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let settings = exactly(100);
    let stopped = fit(&Coins::new(10.0), &data[..], vec![0.4, 0.5], &settings, &observer).unwrap();
    assert_eq!(stopped.report.stopped, Stopped::Observer);
    assert_eq!(stopped.params, run(&data, &[0.4, 0.5], &exactly(4)).params);
}

#[test]
fn a_spent_time_budget_keeps_the_start() {
    let settings = Settings { time_budget: Some(Duration::ZERO), ..exactly(100) };
    let end = run(&packets(50), &[0.4, 0.5], &settings);
    assert_eq!((end.report.stopped, end.report.iterations), (Stopped::TimeBudget, 0));
    assert_eq!(end.params, [0.4, 0.5]);
    assert!(end.report.objective.is_finite());
}

#[test]
fn a_falling_objective_is_reported_and_not_taken() {
    let data = packets(50);
    let model = Coins { fault: Fault::Forgets, ..Coins::new(10.0) };
    let end = fit(&model, &data[..], vec![0.2, 0.7], &Settings::default(), &()).unwrap();
    let Stopped::ObjectiveFell { amount } = end.report.stopped else {
        panic!("{:?}", end.report.stopped)
    };
    assert!(amount > 1.0 && end.report.stopped.is_failure());
    assert_eq!(end.report.largest_fall, amount);
    assert_eq!((end.params, end.report.iterations), (vec![0.2, 0.7], 0));
}

#[test]
fn a_failing_m_step_keeps_the_parameters_before_it() {
    let data = packets(50);
    let model = Coins { fault: Fault::Refuses, ..Coins::new(10.0) };
    let end = fit(&model, &data[..], vec![0.2, 0.7], &Settings::default(), &()).unwrap();
    assert!(matches!(end.report.stopped, Stopped::MStep(EstimateError::NoWeight { .. })));
    assert_eq!(end.params, [0.2, 0.7]);
}

#[test]
fn every_tolerance_converges_to_the_same_place() {
    let data = packets(500);
    let best = run(&data, &[0.3, 0.6], &Settings::default());
    assert_eq!(best.report.stopped, Stopped::Gap);
    for (tolerance, stopped) in [
        (Tolerance::Change(1e-12), Stopped::Change),
        (Tolerance::RelativeChange(1e-12), Stopped::RelativeChange),
    ] {
        let end = run(&data, &[0.3, 0.6], &Settings { tolerance, ..Settings::default() });
        assert!(end.report.stopped == stopped || end.report.stopped == Stopped::Rounding);
        assert!((end.report.objective - best.report.objective).abs() < 1e-8 * 500.0);
    }
}

#[test]
fn annealing_ends_where_soft_em_does_when_there_is_one_optimum() {
    let data = packets(500);
    let variant = Variant::Annealed { start: 0.2, rate: 1.3 };
    let end = run(&data, &[0.3, 0.6], &Settings { variant, ..Settings::default() });
    assert!(end.report.stopped.is_converged(), "{:?}", end.report.stopped);
    let soft = run(&data, &[0.3, 0.6], &Settings::default());
    assert!((end.report.objective - soft.report.objective).abs() < 1e-8 * 500.0);
}

#[test]
fn no_data_are_an_error() {
    let result = fit(&Coins::new(10.0), &[][..], vec![0.3], &Settings::default(), &());
    assert_eq!(result.err(), Some(FitError::Data(DataError::Empty)));
}

#[test]
fn an_impossible_packet_is_an_error_at_the_start() {
    let result = fit(&Coins::new(10.0), &[0.0, 3.0][..], vec![0.0, 0.0], &Settings::default(), &());
    assert_eq!(result.err(), Some(FitError::EStep(EStepError::Impossible { row: 1 })));
}

#[test]
fn weights_are_checked() {
    let data: &[f64] = &[1.0, 2.0];
    assert!(Weighted::new(data, &[0.5, 0.0]).is_ok());
    let wrong = |weights: &[f64]| Weighted::new(data, weights).err();
    assert_eq!(wrong(&[1.0]), Some(DataError::Weights { units: 2, weights: 1 }));
    assert_eq!(wrong(&[1.0, -1.0]), Some(DataError::Weight { row: 1, weight: -1.0 }));
    assert!(wrong(&[f64::NAN, 1.0]).is_some() && wrong(&[0.0, 0.0]).is_some());
}

#[test]
fn free_parameters_and_observations_are_reported() {
    let end = run(&packets(50), &[0.3, 0.6], &exactly(1));
    assert_eq!((end.report.free_parameters, end.report.observations), (2, 50.0));
    assert_eq!(Coins::new(10.0).penalty(&end.params), end.report.penalty);
}

/// Coins tell no natural parameters: without the metric Newton's method is no match for squared extrapolation.
#[test]
fn a_model_without_natural_parameters_is_accelerated_by_squarem() {
    let data = packets(500);
    let end =
        |acceleration| run(&data, &[0.4, 0.5], &Settings { acceleration, ..Settings::default() });
    assert_same_fit(&end(Acceleration::QuasiNewton), &end(Acceleration::Squarem));
}
