//! Moves lead on from ends, never back, and every one is accounted for.

use elbo_core::{
    Change, EStepError, EstimateError, Fit, FitError, LatentModel, Moves, Proposal, Restarts,
    Settings, ShortRuns, Shown, Starts, Stopped, Tolerance, Variant, fit, fit_search,
};
use elbo_laws::model::assert_same_fit;

use crate::{
    coins::{Coins, Fault, packets},
    on_threads,
};

type CoinsFit = Fit<Vec<f64>, (Vec<f64>, Vec<f64>)>;
type CoinsRestarts = Restarts<Vec<f64>, (Vec<f64>, Vec<f64>)>;

/// Every run begins at this saddle point, which EM does not leave.
const SADDLE: [f64; 2] = [0.5, 0.5];

/// Starts at the saddle, and moves to the same places in every round.
struct Saddle {
    starts: Vec<[f64; 2]>,
    places: Vec<[f64; 2]>,
}

impl Starts<Coins> for Saddle {
    fn start(&self, run: usize) -> Result<Vec<f64>, FitError> {
        Ok(self.starts[run].to_vec())
    }

    fn moves(&self, _: &CoinsFit, _: usize, _: usize, most: usize) -> Vec<Proposal<Vec<f64>>> {
        let propose = |place: &[f64; 2]| Proposal { change: Change::Other, params: place.to_vec() };
        self.places.iter().take(most).map(propose).collect()
    }
}

fn search(
    model: &Coins,
    starts: &[[f64; 2]],
    places: &[[f64; 2]],
    settings: &Settings,
) -> Result<CoinsRestarts, FitError> {
    let data = packets(300);
    let saddle = Saddle { starts: starts.to_vec(), places: places.to_vec() };
    fit_search(model, &Shown::<Coins>(&data), starts.len(), &saddle, settings, &())
}

fn settings(moves: Moves) -> Settings {
    Settings { moves, ..Settings::default() }
}

const ONE: Moves = Moves { starts: 1, rounds: 2, tried: 3, iterations: 2, keep: 2 };

#[test]
fn a_move_that_climbs_is_taken_and_told() {
    let places = [[0.5, 0.501], [0.9, 0.2], [0.5, 0.5]];
    let alone = search(&Coins::new(10.0), &[SADDLE], &places, &settings(Moves::none())).unwrap();
    assert!(alone.runs.moves.is_empty());
    let all = search(&Coins::new(10.0), &[SADDLE], &places, &settings(ONE)).unwrap();
    assert!(all.best.report.objective > alone.best.report.objective + 1.0);
    // One round climbs, the two after it do not.
    assert_eq!(all.runs.moves.len(), 9);
    let taken: Vec<_> = all.runs.moves.iter().filter(|tried| tried.taken).collect();
    let start = alone.best.report.objective.to_bits();
    assert_eq!((taken[0].round, taken[0].from.to_bits()), (0, start));
    let last = taken[taken.len() - 1].outcome.as_ref().unwrap();
    assert_eq!(last.objective.to_bits(), all.best.report.objective.to_bits());
    assert_eq!(last.trace, all.best.report.trace);
    assert!(last.trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9), "one way up");
    assert_eq!(last.trace.len(), last.iterations + 1);
    // The run ended at the saddle, moves alone met the optimum.
    assert_eq!((all.runs.best, all.runs.reached_best()), (0, 0));
    assert_eq!(all.runs.optima[0].objective.to_bits(), last.objective.to_bits());
    assert!(all.runs.optima[0].moves > 0);
    assert_eq!(all.runs.optima.iter().map(|optimum| optimum.runs).sum::<usize>(), 1);
    let outrun = |report: &&elbo_core::Report| report.stopped == Stopped::Outrun;
    let reports = all.runs.moves.iter().map(|tried| tried.outcome.as_ref().unwrap());
    assert_eq!(reports.clone().filter(outrun).count(), 3, "one of three a round does not go on");
    let e_steps = reports.map(|report| report.e_steps).sum::<usize>();
    let run = all.runs.ends[0].outcome.as_ref().unwrap().e_steps;
    assert_eq!(all.runs.e_steps(), run + e_steps);
}

#[test]
fn moves_down_are_not_taken() {
    let settings = settings(ONE);
    let best = search(&Coins::new(10.0), &[[0.3, 0.6]], &[], &settings).unwrap();
    let all = search(&Coins::new(10.0), &[[0.3, 0.6]], &[SADDLE], &settings).unwrap();
    assert_same_fit(&best.best, &all.best);
    assert_eq!(all.runs.moves.len(), ONE.rounds);
    assert!(all.runs.moves.iter().all(|tried| !tried.taken));
}

#[test]
fn a_start_at_the_best_optimum_stays_there() {
    let model = Coins::new(10.0);
    let first = search(&model, &[SADDLE], &[[0.9, 0.2]], &settings(ONE)).unwrap();
    let top = [first.best.params[0], first.best.params[1]];
    let again = search(&model, &[top], &[[0.9, 0.2], SADDLE], &settings(ONE)).unwrap();
    let gain = again.best.report.objective - first.best.report.objective;
    // What the default tolerance may leave of 300 packets.
    assert!((0.0..300.0 * 1e-7).contains(&gain), "{gain}");
}

#[test]
fn more_runs_are_never_worse() {
    // Fewer runs than a search takes stay without moves; the runs and moves of some are among those of more.
    let starts = [SADDLE, [0.4, 0.6], SADDLE, SADDLE, [0.05, 0.2], SADDLE, SADDLE];
    let moves = Moves { starts: 3, ..ONE };
    let mut before = f64::NEG_INFINITY;
    let mut told = 0;
    for runs in 1..=starts.len() {
        let model = Coins::new(10.0);
        let all = search(&model, &starts[..runs], &[[0.9, 0.2]], &settings(moves)).unwrap();
        assert!(all.best.report.objective >= before);
        before = all.best.report.objective;
        assert!(all.runs.moves.len() >= told);
        told = all.runs.moves.len();
        let searches: Vec<_> = all.runs.moves.iter().map(|tried| tried.run).collect();
        assert!(searches.iter().all(|run| *run < runs / 3 * 3), "{searches:?}");
        assert_eq!(runs < 3, searches.is_empty());
    }
}

#[test]
fn threads_change_no_bit_of_moves() {
    let places = [[0.5, 0.501], [0.9, 0.2], [0.1, 0.11]];
    let starts = [SADDLE, [0.05, 0.2], SADDLE, [0.4, 0.6]];
    let moves = Moves { starts: 2, ..ONE };
    let run = || search(&Coins::new(10.0), &starts, &places, &settings(moves)).unwrap();
    let one = on_threads(1, run);
    for threads in [2, 3, 7] {
        let many = on_threads(threads, run);
        assert_same_fit(&one.best, &many.best);
        assert_eq!((one.runs.best, &one.runs.optima), (many.runs.best, &many.runs.optima));
        for (a, b) in one.runs.moves.iter().zip(&many.runs.moves) {
            assert_eq!((a.run, a.round, a.taken), (b.run, b.round, b.taken));
            assert_eq!(a.outcome.as_ref().unwrap().trace, b.outcome.as_ref().unwrap().trace);
        }
    }
}

#[test]
fn a_move_that_fails_does_not_lose_the_others() {
    // No packet shows ten heads, so that nothing is expected of a coin that always does.
    let places = [[0.0, 0.0], [1.0, 0.4], [0.9, 0.2]];
    let data: Vec<f64> = packets(300).into_iter().filter(|x| *x < 10.0).collect();
    let row = data.iter().position(|x| *x > 0.0).unwrap();
    let saddle = Saddle { starts: vec![SADDLE], places: places.to_vec() };
    let source = Shown::<Coins>(&data);
    let all = fit_search(&Coins::new(10.0), &source, 1, &saddle, &settings(ONE), &()).unwrap();
    let outcomes: Vec<_> = all.runs.moves[..3].iter().map(|tried| &tried.outcome).collect();
    let impossible = FitError::EStep(EStepError::Impossible { row });
    assert_eq!(outcomes[0].as_ref().unwrap_err(), &impossible);
    let refused = Stopped::MStep(EstimateError::NoWeight { component: 0, weight: 0.0 });
    assert_eq!(outcomes[1].as_ref().unwrap().stopped, refused);
    assert!(outcomes[2].as_ref().unwrap().stopped.is_converged());
    assert!(all.runs.moves[2].taken);
}

#[test]
fn a_run_whose_m_step_fails_does_not_lose_the_others() {
    let data: Vec<f64> = packets(300).into_iter().filter(|x| *x < 10.0).collect();
    let saddle = Saddle { starts: vec![[1.0, 0.4], [0.3, 0.6]], places: Vec::new() };
    let model = Coins::new(10.0);
    let source = Shown::<Coins>(&data);
    let all = fit_search(&model, &source, 2, &saddle, &Settings::default(), &()).unwrap();
    assert_eq!(all.runs.best, 1);
    let alone = fit(&model, &data[..], vec![0.3, 0.6], &Settings::default(), &()).unwrap();
    assert_same_fit(&all.best, &alone);
    let refused = Stopped::MStep(EstimateError::NoWeight { component: 0, weight: 0.0 });
    assert_eq!(all.runs.ends[0].outcome.as_ref().unwrap().stopped, refused);
}

#[test]
fn spurious_ends_of_moves_never_win() {
    let model = Coins { fault: Fault::CallsDescendingSpurious, ..Coins::new(10.0) };
    assert!(model.is_spurious(&vec![0.9, 0.2], &(Vec::new(), Vec::new())));
    let all = search(&model, &[SADDLE], &[[0.9, 0.2]], &settings(ONE)).unwrap();
    assert!(!all.best.report.spurious && all.runs.moves.iter().all(|tried| !tried.taken));
    let set_aside = all.runs.best_set_aside().unwrap();
    assert!(set_aside > all.best.report.objective + 1.0);
    // From a spurious end, a sound one is a gain even where it is lower.
    let all = search(&model, &[[0.9, 0.2]], &[SADDLE], &settings(ONE)).unwrap();
    assert!(!all.best.report.spurious && all.runs.moves[0].taken);
}

#[test]
fn runs_chosen_by_short_ones_are_one_search() {
    let short = Settings {
        short_runs: Some(ShortRuns { iterations: 1, keep: 2 }),
        ..settings(Moves { starts: 50, ..ONE })
    };
    let starts = [SADDLE, SADDLE, SADDLE];
    let all = search(&Coins::new(10.0), &starts, &[[0.9, 0.2]], &short).unwrap();
    assert!(all.runs.moves[0].taken);
    assert_eq!(all.runs.ends.len(), 3);
}

#[test]
fn only_fits_that_climb_to_convergence_move() {
    let places = [[0.9, 0.2]];
    let base = settings(ONE);
    let drawn = Variant::Sampled { draws: 1, burn_in: 2, averaged: 2, decay: 0.0 };
    for settings in [
        Settings { tolerance: Tolerance::Gap(0.0), max_iterations: 5, ..base.clone() },
        Settings { variant: drawn, ..base.clone() },
    ] {
        let all = search(&Coins::new(10.0), &[[0.4, 0.6]], &places, &settings).unwrap();
        assert!(all.runs.moves.is_empty());
    }
    let hard = Settings { variant: Variant::Hard, ..base };
    assert!(
        !search(&Coins::new(10.0), &[[0.4, 0.6]], &places, &hard).unwrap().runs.moves.is_empty()
    );
}
