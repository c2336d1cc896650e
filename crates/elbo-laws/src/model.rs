//! Latent-variable models: EM never lowers its objective, and only the data decide the result.

use elbo_core::{Batch, EStep, Fit, LatentModel, Settings, Tolerance, Variant, fit};

use crate::{
    assert_close,
    statistics::{assert_same, assert_same_bits},
};

/// The objective never falls by more than rounding, and `iterations` at tolerance zero are exactly that many unless
/// the run breaks down, which counts as a failure here.
///
/// # Panics
///
/// If it falls, like all laws.
pub fn the_objective_never_falls<M: LatentModel>(
    model: &M,
    data: M::Data<'_>,
    start: M::Params,
    variant: Variant,
    iterations: usize,
) {
    let settings = Settings {
        variant,
        tolerance: Tolerance::Change(0.0),
        max_iterations: iterations,
        ..Settings::default()
    };
    let end = fit(model, data, start, &settings, &()).expect("the start explains the data");
    let report = end.report;
    assert!(!report.stopped.is_failure(), "the run broke down: {:?}", report.stopped);
    assert_eq!(report.iterations, iterations, "tolerance 0 does all iterations");
    assert_eq!(report.trace.len(), iterations + 1, "the trace holds the start and every iteration");
    let size = report.data_term.abs() + report.penalty.abs() + data.observations();
    for (i, pair) in report.trace.windows(2).enumerate() {
        let fall = pair[0] - pair[1];
        assert!(fall <= 1e-12 * size, "the objective falls by {fall:e} in iteration {}", i + 1);
    }
}

/// Cutting the data into another number of pieces changes rounding alone.
///
/// # Panics
///
/// If it changes more.
pub fn cutting_is_irrelevant<M: LatentModel>(model: &M, data: M::Data<'_>, params: &M::Params) {
    let run = |pieces: usize| {
        let mut stats = model.new_stats(params);
        let data_term = EStep::<M>::new(data, pieces)
            .run(model, params, data, &mut stats)
            .expect("the parameters explain the data");
        (data_term, stats)
    };
    let (whole, stats) = run(1);
    for pieces in [2, 3, 7, 32] {
        let (cut, cut_stats) = run(pieces);
        assert_close(cut, whole, whole.abs() + data.observations());
        assert_same(&stats, &cut_stats, &[&stats, &cut_stats]);
    }
}

/// Two fits that must not differ in a single bit: on another number of threads, resumed, or run again.
///
/// # Panics
///
/// If they do.
#[track_caller]
pub fn assert_same_fit<P, S: elbo_core::Statistics>(a: &Fit<P, S>, b: &Fit<P, S>) {
    let bits = |trace: &[f64]| trace.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&a.report.trace), bits(&b.report.trace), "the traces differ");
    assert_eq!(a.report.stopped, b.report.stopped, "the runs stopped differently");
    assert_same_bits(&a.stats, &b.stats);
}
