//! Restarts are independent of one another, of their order and of the number of threads.

use elbo_core::{
    CancelToken, EStepError, EstimateError, FitError, Restarts, Settings, ShortRuns, Stopped,
    Tolerance, fit_restarts,
};
use elbo_laws::model::assert_same_fit;

use crate::{
    coins::{Coins, Fault, packets},
    on_threads,
};

type CoinsRestarts = Restarts<Vec<f64>, (Vec<f64>, Vec<f64>)>;

const STARTS: [[f64; 2]; 5] = [[0.3, 0.6], [0.9, 0.1], [0.45, 0.55], [0.5, 0.5], [0.05, 0.2]];

fn restarts(starts: &[[f64; 2]], settings: &Settings) -> Result<CoinsRestarts, FitError> {
    let start = |run: usize| Ok(starts[run].to_vec());
    fit_restarts(&Coins::new(10.0), &packets(3000)[..], starts.len(), start, settings, &())
}

fn short() -> Settings {
    Settings { tolerance: Tolerance::Change(0.0), max_iterations: 15, ..Settings::default() }
}

#[test]
fn threads_change_no_bit() {
    let one = on_threads(1, || restarts(&STARTS, &short()).unwrap());
    for threads in [2, 3, 7] {
        let many = on_threads(threads, || restarts(&STARTS, &short()).unwrap());
        assert_eq!(one.runs.best, many.runs.best);
        assert_same_fit(&one.best, &many.best);
        for (a, b) in one.runs.ends.iter().zip(&many.runs.ends) {
            assert_eq!(a.outcome.as_ref().unwrap().trace, b.outcome.as_ref().unwrap().trace);
        }
        assert_eq!(one.runs.optima, many.runs.optima);
    }
}

#[test]
fn the_order_of_starts_only_reorders_the_ends() {
    let mut reversed = STARTS;
    reversed.reverse();
    let (forward, backward) =
        (restarts(&STARTS, &short()).unwrap(), restarts(&reversed, &short()).unwrap());
    for (a, b) in forward.runs.ends.iter().zip(backward.runs.ends.iter().rev()) {
        assert_eq!(a.run, STARTS.len() - 1 - b.run);
        assert_eq!(a.outcome.as_ref().unwrap().trace, b.outcome.as_ref().unwrap().trace);
    }
    assert_eq!(forward.best.report.objective, backward.best.report.objective);
    assert_eq!(forward.runs.optima, backward.runs.optima);
}

#[test]
fn a_run_is_what_it_would_be_alone() {
    let all = restarts(&STARTS, &short()).unwrap();
    for (end, start) in all.runs.ends.iter().zip(STARTS) {
        let alone = restarts(&[start], &short()).unwrap();
        assert_eq!(end.outcome.as_ref().unwrap().trace, alone.best.report.trace);
    }
}

#[test]
fn the_best_run_has_the_highest_objective() {
    let all = restarts(&STARTS, &Settings::default()).unwrap();
    let objective = |run: usize| all.runs.ends[run].outcome.as_ref().unwrap().objective;
    assert!((0..STARTS.len()).all(|run| objective(run) <= all.best.report.objective));
    assert_eq!(objective(all.runs.best), all.best.report.objective);
    // [0.5, 0.5] is a saddle point that EM does not leave; the other four find the same optimum.
    assert_eq!((all.runs.reached_best(), all.runs.optima.len()), (4, 2));
}

#[test]
fn a_failing_start_does_not_lose_the_others() {
    let failed = FitError::Start(EstimateError::NoWeight { component: 0, weight: 0.0 });
    let start = |run: usize| match run {
        0 => Err(failed.clone()),
        1 => Ok(vec![0.0, 0.0]), // cannot explain a single head
        _ => Ok(STARTS[run].to_vec()),
    };
    let data = packets(300);
    let all = fit_restarts(&Coins::new(10.0), &data[..], 5, start, &short(), &()).unwrap();
    assert_eq!(all.runs.ends.len(), 5);
    assert_eq!(all.runs.ends[0].outcome.as_ref().unwrap_err(), &failed);
    let row = data.iter().position(|x| *x > 0.0).unwrap();
    let impossible = FitError::EStep(EStepError::Impossible { row });
    assert_eq!(all.runs.ends[1].outcome.as_ref().unwrap_err(), &impossible);
    assert!(all.runs.ends[2..].iter().all(|end| end.outcome.is_ok()));
    assert!(all.runs.best >= 2);
}

#[test]
fn if_every_start_fails_the_first_reason_is_given() {
    let start =
        |run: usize| Err(FitError::Start(EstimateError::NoWeight { component: run, weight: 0.0 }));
    let result = fit_restarts(&Coins::new(10.0), &packets(9)[..], 3, start, &short(), &());
    let first = FitError::Start(EstimateError::NoWeight { component: 0, weight: 0.0 });
    assert_eq!(result.err(), Some(first));
}

#[test]
fn spurious_ends_rank_behind_all_others() {
    let model = Coins { fault: Fault::CallsDescendingSpurious, ..Coins::new(10.0) };
    let data = packets(300);
    for starts in [[[0.7, 0.2], [0.2, 0.7]], [[0.2, 0.7], [0.7, 0.2]]] {
        let start = |run: usize| Ok(starts[run].to_vec());
        let all = fit_restarts(&model, &data[..], 2, start, &short(), &()).unwrap();
        assert!(all.best.params[0] < all.best.params[1]);
        assert!(!all.best.report.spurious);
        assert_eq!(all.runs.optima.len(), 1);
    }
}

#[test]
fn a_cancelled_fit_still_returns_its_first_run() {
    let token = CancelToken::new();
    token.cancel();
    let result = restarts(&STARTS, &Settings { cancel: Some(token), ..short() });
    // Cancelled before the first E-step is over, there is nothing to return but the reason.
    assert_eq!(result.err(), Some(FitError::EStep(EStepError::Cancelled)));

    let spent = Settings { time_budget: Some(std::time::Duration::ZERO), ..short() };
    let all = restarts(&STARTS, &spent).unwrap();
    assert_eq!(all.best.report.stopped, Stopped::TimeBudget);
    assert!(all.runs.ends[1..].iter().all(|end| matches!(end.outcome, Err(FitError::NotRun))));
}

#[test]
fn short_runs_choose_which_starts_go_on() {
    let all = restarts(&STARTS, &Settings::default()).unwrap();
    for iterations in [0, 1, 4] {
        let settings =
            Settings { short_runs: Some(ShortRuns { iterations, keep: 2 }), ..Settings::default() };
        let some = restarts(&STARTS, &settings).unwrap();
        let reports: Vec<_> =
            some.runs.ends.iter().map(|end| end.outcome.as_ref().unwrap()).collect();
        let (outrun, long): (Vec<_>, Vec<_>) =
            (0..STARTS.len()).partition(|run| reports[*run].stopped == Stopped::Outrun);
        assert_eq!((outrun.len(), long.len()), (3, 2));
        // What a short run reaches is where the full run is after as many steps of EM: before any leap.
        let full = |run: usize| all.runs.ends[run].outcome.as_ref().unwrap();
        let reached = |run: usize| full(run).trace[iterations.min(1)];
        if iterations < 2 {
            let worst = long.iter().map(|run| reached(*run)).fold(f64::MAX, f64::min);
            assert!(outrun.iter().all(|run| reached(*run) <= worst));
        }
        for run in &outrun {
            assert!(reports[*run].iterations <= iterations);
        }
        for run in &long {
            assert_eq!(reports[*run].trace, full(*run).trace, "a run that goes on is itself");
        }
        assert!(long.contains(&some.runs.best));
        assert_eq!(some.runs.optima.iter().map(|optimum| optimum.runs).sum::<usize>(), 2);
        let many = on_threads(3, || restarts(&STARTS, &settings).unwrap());
        assert_same_fit(&some.best, &many.best);
    }
}

#[test]
fn short_runs_that_all_go_on_are_not_made() {
    let settings =
        Settings { short_runs: Some(ShortRuns { iterations: 3, keep: 5 }), ..Settings::default() };
    let (all, plain) =
        (restarts(&STARTS, &settings).unwrap(), restarts(&STARTS, &Settings::default()).unwrap());
    assert_same_fit(&all.best, &plain.best);
}
