//! Variants of EM: each is EM where it should be, ends near the optimum, and depends on the seed alone.

use elbo_core::{
    Acceleration, EStep, Fit, LatentModel, Settings, Stopped, Tolerance, Variant, fit,
};
use elbo_laws::model::assert_same_fit;
use proptest::{collection::vec, prelude::*};

use crate::{
    coins::{Coins, Fault, packets},
    on_threads,
};

type CoinsFit = Fit<Vec<f64>, (Vec<f64>, Vec<f64>)>;

fn run(data: &[f64], start: &[f64], settings: &Settings) -> CoinsFit {
    fit(&Coins::new(10.0), data, start.to_vec(), settings, &()).unwrap()
}

fn exactly(iterations: usize, variant: Variant) -> Settings {
    Settings {
        variant,
        tolerance: Tolerance::Change(0.0),
        max_iterations: iterations,
        ..Settings::default()
    }
}

fn optimum(data: &[f64], start: &[f64]) -> f64 {
    run(data, start, &Settings::default()).report.objective
}

const STOCHASTIC: Variant = Variant::Sampled { draws: 1, burn_in: 30, averaged: 170, decay: 0.0 };
const MONTE_CARLO: Variant = Variant::Sampled { draws: 10, burn_in: 20, averaged: 30, decay: 0.0 };
const APPROXIMATING: Variant =
    Variant::Sampled { draws: 1, burn_in: 30, averaged: 170, decay: 1.0 };
const ONLINE: Variant = Variant::Online { batch: 100, epochs: 5, decay: 0.6, delay: 1.0 };

/// A start whose third coin fits noise: EM is slow.
const SLOW: [f64; 3] = [0.3, 0.5, 0.6];

fn start() -> impl Strategy<Value = Vec<f64>> {
    vec(0.05..0.95_f64, 1..4)
}

/// The parameters of two fits agree to the bit.
#[track_caller]
fn assert_same_params(a: &CoinsFit, b: &CoinsFit) {
    assert_eq!(a.params, b.params);
    assert_eq!(a.report.objective.to_bits(), b.report.objective.to_bits());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn incremental_with_one_piece_is_batch(start in start(), n in 20..400_usize, t in 1..20_usize) {
        let data = packets(n);
        let one = |variant| Settings { pieces: 1, ..exactly(t, variant) };
        assert_same_params(
            &run(&data, &start, &one(Variant::Incremental)),
            &run(&data, &start, &one(Variant::Soft)),
        );
    }

    #[test]
    fn online_with_whole_steps_and_one_batch_is_batch(
        start in start(), n in 20..400_usize, t in 1..20_usize
    ) {
        let data = packets(n);
        let online = Variant::Online { batch: n, epochs: t, decay: 0.0, delay: 0.0 };
        let (a, b) = (
            run(&data, &start, &exactly(100, online)),
            run(&data, &start, &exactly(t, Variant::Soft)),
        );
        prop_assert_eq!(&a.report.stopped, &Stopped::Finished);
        assert_same_params(&a, &b);
    }

    #[test]
    fn incremental_ends_where_batch_does(low in 0.1..0.4_f64, high in 0.5..0.9_f64, n in 3000..6000_usize) {
        let (data, start) = (packets(n), [low, high]);
        let settings = Settings {
            variant: Variant::Incremental,
            tolerance: Tolerance::Change(1e-12),
            ..Settings::default()
        };
        let ours = run(&data, &start, &settings);
        prop_assert!(ours.report.stopped.is_converged(), "{:?}", ours.report.stopped);
        let gap = optimum(&data, &start) - ours.report.objective;
        prop_assert!(gap.abs() <= 1e-8 * n as f64, "{gap}");
    }
}

/// Averages of draws end within statistical error of the optimum: with `n` packets and `T` averaged draws a parameter is off
/// by some `σ/√(nT)`, and the objective by less than one nat.
#[test]
fn sampled_variants_end_near_the_optimum() {
    let (data, start) = (packets(2000), [0.3, 0.6]);
    let best = optimum(&data, &start);
    for variant in [STOCHASTIC, MONTE_CARLO, APPROXIMATING] {
        let end = run(&data, &start, &exactly(1000, variant));
        assert_eq!(end.report.stopped, Stopped::Finished);
        let gap = best - end.report.objective;
        assert!((-1e-6..1.0).contains(&gap), "{variant:?}: {gap} nats short");
    }
}

#[test]
fn draws_scatter_and_averages_settle() {
    let (data, start) = (packets(2000), [0.3, 0.6]);
    let trace = run(&data, &start, &exactly(1000, STOCHASTIC)).report.trace;
    let falls = trace.windows(2).filter(|w| w[1] < w[0]).count();
    assert!(falls > 50, "a chain that only climbs is not drawn: {falls} falls");
    let settled = run(&data, &start, &exactly(1000, APPROXIMATING)).report.trace;
    let spread = |tail: &[f64]| {
        let (low, high) =
            tail.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
        high - low
    };
    assert!(spread(&settled[180..]) < 0.2 * spread(&trace[180..]));
}

#[test]
fn online_ends_near_the_optimum_in_a_few_epochs() {
    let (data, start) = (packets(20_000), SLOW);
    let best = optimum(&data, &start);
    let end = run(&data, &start, &exactly(1000, ONLINE));
    assert_eq!((end.report.iterations, &end.report.stopped), (5, &Stopped::Finished));
    let gap = best - end.report.objective;
    assert!((-1e-6..2.0).contains(&gap), "{gap} nats short");
    let batch = run(&data, &start, &exactly(5, Variant::Soft)).report.objective;
    assert!(best - batch > 5.0 * gap, "five passes of batch EM are {} short", best - batch);
}

#[test]
fn incremental_needs_fewer_passes() {
    let (data, start) = (packets(20_000), SLOW);
    let passes = |variant| {
        let tolerance = Tolerance::Change(1e-9);
        let settings = Settings {
            variant,
            tolerance,
            acceleration: Acceleration::None,
            ..Settings::default()
        };
        run(&data, &start, &settings).report.iterations
    };
    let (incremental, batch) = (passes(Variant::Incremental), passes(Variant::Soft));
    assert!(10 * incremental < 9 * batch, "{incremental} passes against {batch}");
}

#[test]
fn results_depend_on_the_seed_and_not_on_threads() {
    let (data, start) = (packets(9000), [0.3, 0.6]);
    for variant in [STOCHASTIC, APPROXIMATING, Variant::Incremental, ONLINE] {
        let at = |threads: usize, seed: u64| {
            let settings = Settings { seed, ..exactly(40, variant) };
            on_threads(threads, || run(&data, &start, &settings))
        };
        let first = at(1, 7);
        for threads in [2, 3, 7] {
            assert_same_fit(&first, &at(threads, 7));
        }
        let moved = at(1, 8).params != first.params;
        assert_eq!(moved, variant != Variant::Incremental, "{variant:?}");
    }
}

#[test]
fn what_is_reported_belongs_to_the_parameters_returned() {
    let (data, start) = (packets(5000), vec![0.3, 0.6]);
    for variant in [STOCHASTIC, APPROXIMATING, MONTE_CARLO, Variant::Incremental, ONLINE] {
        let settings = exactly(30, variant);
        let end = run(&data, &start, &settings);
        let model = Coins::new(10.0);
        let mut stats = model.new_stats(&end.params);
        let data_term = EStep::<Coins>::new(&data[..], settings.pieces)
            .run(&model, &end.params, &data[..], &mut stats)
            .unwrap();
        assert_eq!(data_term.to_bits(), end.report.objective.to_bits(), "{variant:?}");
        assert_eq!(stats, end.stats);
    }
}

#[test]
fn draws_without_an_estimate_are_made_again_and_counted() {
    // Two packets and three coins: every draw leaves a coin without data.
    let variant = Variant::Sampled { draws: 1, burn_in: 1, averaged: 5, decay: 0.0 };
    let end = run(&[3.0, 8.0], &[0.3, 0.5, 0.8], &exactly(100, variant));
    assert!(matches!(end.report.stopped, Stopped::MStep(_)), "{:?}", end.report.stopped);
    assert_eq!(end.report.repairs.redrawn, 20);
    // Eight packets: now and then.
    let data = packets(8);
    let variant = Variant::Sampled { draws: 1, burn_in: 50, averaged: 100, decay: 0.0 };
    let end = run(&data, &[0.3, 0.5, 0.8], &exactly(1000, variant));
    assert_eq!(end.report.stopped, Stopped::Finished);
    assert!(end.report.repairs.redrawn > 0);
}

#[test]
fn batches_without_an_estimate_are_skipped_and_counted() {
    let refusing = Coins { tosses: 10.0, fault: Fault::Refuses };
    let data = packets(500);
    let end = fit(&refusing, &data[..], vec![0.3, 0.6], &exactly(100, ONLINE), &()).unwrap();
    // Nothing is ever estimated, so the average has no estimate, either.
    assert!(matches!(end.report.stopped, Stopped::MStep(_)), "{:?}", end.report.stopped);
    assert_eq!(end.report.repairs.skipped_batches, 25);
    assert_eq!(end.params, [0.3, 0.6]);
}
