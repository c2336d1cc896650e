//! Data behind a source: the same bits as in memory, within a budget, and errors that are told.

use std::{
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use elbo_core::{
    BudgetError, ChunkSource, DataError, EStepError, FitError, Settings, SourceError, Stopped,
    Tolerance, Variant, fit, fit_restarts, fit_restarts_source, fit_source, pieces_within,
};
use elbo_laws::model::assert_same_fit;
use proptest::prelude::*;

use crate::{
    coins::{Coins, packets},
    on_threads,
};

/// Packets that are copied into a buffer each time they are shown, and counted while they are.
struct Copied {
    packets: Vec<f64>,
    held: AtomicUsize,
    peak: AtomicUsize,
    /// Ranges that can still be shown.
    patience: AtomicUsize,
    buffers: Mutex<Vec<Vec<f64>>>,
}

const NEVER: usize = usize::MAX / 2;

impl Copied {
    fn new(n: usize) -> Self {
        Self {
            packets: packets(n),
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            patience: AtomicUsize::new(NEVER),
            buffers: Mutex::default(),
        }
    }

    fn failing_after(n: usize, ranges: usize) -> Self {
        Self { patience: AtomicUsize::new(ranges), ..Self::new(n) }
    }
}

impl ChunkSource for Copied {
    type Chunk<'a> = &'a [f64];

    fn len(&self) -> usize {
        self.packets.len()
    }

    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(&'a [f64]) -> R,
    ) -> Result<R, SourceError> {
        let left = self
            .patience
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| SourceError::new(format!("units {units:?} are gone")))?;
        let mut buffer = self.buffers.lock().unwrap().pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(&self.packets[units]);
        let held = self.held.fetch_add(8 * buffer.len(), Ordering::SeqCst) + 8 * buffer.len();
        self.peak.fetch_max(held, Ordering::SeqCst);
        let seen = see(&buffer);
        self.held.fetch_sub(8 * buffer.len(), Ordering::SeqCst);
        self.buffers.lock().unwrap().push(buffer);
        Ok(seen)
    }

    fn bytes(&self, units: Range<usize>) -> usize {
        8 * units.len()
    }
}

fn variants() -> impl Strategy<Value = Variant> {
    prop_oneof![
        Just(Variant::Soft),
        Just(Variant::Hard),
        Just(Variant::Annealed { start: 0.4, rate: 1.3 }),
        Just(Variant::Sampled { draws: 2, burn_in: 3, averaged: 4, decay: 0.7 }),
        Just(Variant::Incremental),
        Just(Variant::Online { batch: 1500, epochs: 3, decay: 0.6, delay: 1.0 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_source_gives_the_bits_of_memory(
        variant in variants(),
        n in 1..9000_usize,
        pieces in 1..40_usize,
        threads in 1..4_usize,
    ) {
        let (model, source) = (Coins::new(10.0), Copied::new(n));
        let settings = Settings { variant, pieces, max_iterations: 12, ..Settings::default() };
        let start = || vec![0.3, 0.6];
        let memory = fit(&model, &source.packets[..], start(), &settings, &());
        let read = on_threads(threads, || fit_source(&model, &source, start(), &settings, &()));
        match (memory, read) {
            (Ok(memory), Ok(read)) => {
                assert_same_fit(&memory, &read);
                prop_assert_eq!(memory.params, read.params);
            }
            (memory, read) => prop_assert_eq!(memory.err(), read.err()),
        }
    }

    #[test]
    fn no_more_than_the_budget_is_held(
        n in 3000..40_000_usize,
        kilobytes in 31..100_usize,
        threads in 1..4_usize,
    ) {
        let (source, budget) = (Copied::new(n), 1024 * kilobytes);
        let pieces = pieces_within(&source, budget, threads, 1).unwrap();
        let settings = Settings { pieces, max_iterations: 3, ..Settings::default() };
        on_threads(threads, || fit_source(&Coins::new(10.0), &source, vec![0.3, 0.6], &settings, &()))
            .unwrap();
        let peak = source.peak.into_inner();
        prop_assert!(peak <= budget, "{peak} bytes were held, {budget} are allowed");
        // and pieces are no finer than need be: a seventeenth fewer would have been too large
        let fewer = (pieces - 1) * 16 / 17;
        let largest = |pieces: usize| 8 * 256 * n.div_ceil(256).div_ceil(pieces);
        prop_assert!(fewer == 0 || largest(fewer) * threads > budget, "{pieces} pieces are too many");
    }
}

#[test]
fn restarts_of_a_source_give_the_bits_of_memory() {
    let (model, source) = (Coins::new(10.0), Copied::new(5000));
    let start = |run: usize| Ok(vec![0.1 + 0.1 * run as f64, 0.5, 0.6]);
    let settings = Settings::default();
    let memory = fit_restarts(&model, &source.packets[..], 5, start, &settings, &()).unwrap();
    let read =
        on_threads(3, || fit_restarts_source(&model, &source, 5, start, &settings, &()).unwrap());
    assert_same_fit(&memory.best, &read.best);
    assert_eq!(memory.runs.best, read.runs.best);
}

#[test]
fn a_budget_below_the_smallest_pieces_is_an_error_that_names_what_is_needed() {
    let source = Copied::new(10_000);
    // Ten pieces of at least 1024 packets: four blocks of 256, so that each holds 8 KiB.
    assert_eq!(
        pieces_within(&source, 10_000, 2, 32),
        Err(BudgetError { budget: 10_000, needed: 2 * 8 * 1024, workers: 2 })
    );
    assert_eq!(pieces_within(&source, 2 * 8 * 1024, 2, 1), Ok(10));
    assert_eq!(pieces_within(&source, 8 * 10_000, 7, 1), Ok(1));
    assert_eq!(pieces_within(&source, usize::MAX, 7, 32), Ok(32));
    assert_eq!(pieces_within(&Copied::new(0), 0, 1, 32), Ok(32));
}

#[test]
fn a_source_that_fails_ends_the_run_with_the_best_parameters_so_far() {
    let (model, n) = (Coins::new(10.0), 4096);
    let start = || vec![0.3, 0.5, 0.6];
    let settings = Settings { pieces: 4, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
    // four ranges for the check, four for the start, four for each of three iterations, two of the fourth
    let source = Copied::failing_after(n, 4 + 4 + 3 * 4 + 2);
    let ended = on_threads(1, || fit_source(&model, &source, start(), &settings, &())).unwrap();
    let gone = SourceError::new("units 2048..3072 are gone");
    assert_eq!(ended.report.stopped, Stopped::EStep(EStepError::Source(gone)));
    assert!(ended.report.stopped.is_failure());
    let three = Settings { max_iterations: 3, ..settings.clone() };
    let whole = fit(&model, &source.packets[..], start(), &three, &()).unwrap();
    assert_eq!((ended.params, ended.report.trace), (whole.params, whole.report.trace));

    let never = Copied::failing_after(n, 0);
    let error = fit_source(&model, &never, start(), &settings, &()).unwrap_err();
    let gone = DataError::Source(SourceError::new("units 0..1024 are gone"));
    assert_eq!(error, FitError::Data(gone));
    for variant in [
        Variant::Incremental,
        Variant::Online { batch: 1000, epochs: 3, decay: 0.6, delay: 1.0 },
        Variant::Sampled { draws: 1, burn_in: 3, averaged: 4, decay: 0.0 },
    ] {
        let source = Copied::failing_after(n, 4 + 4 + 2);
        let settings = Settings { variant, ..settings.clone() };
        let ended = on_threads(1, || fit_source(&model, &source, start(), &settings, &())).unwrap();
        let stopped = ended.report.stopped;
        assert!(
            matches!(stopped, Stopped::EStep(EStepError::Source(_))),
            "{variant:?}: {stopped:?}"
        );
    }
}
