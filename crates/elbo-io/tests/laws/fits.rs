//! Models fitted to files are those fitted in memory, to the bit.

use std::ops::ControlFlow;

use elbo_core::{
    DataError, EStepError, Event, Fit, FitError, MaximumLikelihood, Rows, Settings, Statistics,
    Stopped, Tolerance, Variant, Weighted, WeightedSource, fit, fit_source,
};
use elbo_dist::{CovarianceStructure, MultivariateGaussian};
use elbo_hmm::{Hmm, HmmModel, Sequences, SequencesSource};
use elbo_io::RowsFile;
use elbo_laws::model::assert_same_fit;
use elbo_mixture::{Mixture, MixtureModel, MixtureParams, Start};
use proptest::prelude::*;

use crate::{Folder, two_groups};

pub(crate) fn gaussians(d: usize) -> Vec<MultivariateGaussian> {
    let mut covariance = vec![0.0; d * d];
    covariance.iter_mut().step_by(d + 1).for_each(|variance| *variance = 2.0);
    let at = |mean: f64| {
        MultivariateGaussian::new(CovarianceStructure::VVV, vec![mean; d], &covariance).unwrap()
    };
    vec![at(1.0), at(4.0)]
}

pub(crate) fn start(d: usize) -> Mixture<MultivariateGaussian> {
    Mixture::new(vec![0.5, 0.5], gaussians(d)).unwrap()
}

fn settings(variant: Variant, pieces: usize) -> Settings {
    Settings { variant, pieces, max_iterations: 6, ..Settings::default() }
}

fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// All that a fit found, in a form in which every bit counts.
fn mixture_of<P, S: Statistics>(fit: &Fit<P, S>, parts: impl Fn(&P) -> Vec<f64>) -> Vec<u64> {
    parts(&fit.params).into_iter().map(f64::to_bits).collect()
}

fn numbers(mixture: &Mixture<MultivariateGaussian>) -> Vec<f64> {
    let mut all = mixture.weights().to_vec();
    for gaussian in mixture.components() {
        all.extend(gaussian.mean());
        all.extend(gaussian.covariance());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_mixture_of_rows_in_a_file_is_that_of_rows_in_memory(
        variant in prop_oneof![
            Just(Variant::Soft),
            Just(Variant::Incremental),
            Just(Variant::Sampled { draws: 1, burn_in: 2, averaged: 2, decay: 0.7 }),
            Just(Variant::Online { batch: 1500, epochs: 2, decay: 0.6, delay: 1.0 }),
        ],
        n in 2000..6000_usize,
        d in 1..4_usize,
        pieces in 1..9_usize,
        threads in 1..4_usize,
        is_mapped: bool,
        is_weighted: bool,
    ) {
        let data = two_groups(n, d);
        let folder = Folder::new();
        let mut file = RowsFile::open_raw(folder.raw(&data), d).unwrap();
        if is_mapped {
            file = file.mapped().unwrap();
        }
        let weights: Vec<f64> = (0..n).map(|i| (i % 3) as f64 / 2.0).collect();
        let rows = Rows::new(&data, n, d);
        let (memory, source) = if is_weighted {
            let weighted = WeightedSource::new(file, weights.clone()).unwrap();
            (Weighted::new(rows, &weights).unwrap(), weighted)
        } else {
            (Weighted::uniform(rows), WeightedSource::uniform(file))
        };
        let (model, settings) = (MixtureModel::ml(), settings(variant, pieces));
        let start = || model.start(start(d), n as f64).unwrap();
        let memory = fit(&model, memory, start(), &settings, &()).unwrap();
        let read = on_threads(threads, || fit_source(&model, &source, start(), &settings, &()));
        let read = read.unwrap();
        assert_same_fit(&memory, &read);
        let parts = |params: &_| numbers(&MixtureParams::to_mixture(params));
        prop_assert_eq!(mixture_of(&memory, parts), mixture_of(&read, parts));
        prop_assert_eq!(memory.report.observations, read.report.observations);
    }

    #[test]
    fn a_chain_of_steps_in_a_file_is_that_of_steps_in_memory(
        lengths in prop::collection::vec(0..900_usize, 1..12),
        pieces in 1..9_usize,
    ) {
        let offsets = Sequences::<Rows<'_>>::offsets_of(lengths);
        let n = offsets[offsets.len() - 1];
        prop_assume!(n > 0);
        let data = two_groups(n, 2);
        let folder = Folder::new();
        let file = RowsFile::open_raw(folder.raw(&data), 2).unwrap();
        let (model, settings) = (HmmModel::ml(), settings(Variant::Soft, pieces));
        let hmm = Hmm::new(&[0.5, 0.5], &[[0.8, 0.2], [0.3, 0.7]], gaussians(2)).unwrap();
        let start = || model.start(hmm.clone(), n as f64).unwrap();
        let memory = Sequences::new(Rows::new(&data, n, 2), &offsets);
        let memory = fit(&model, memory, start(), &settings, &()).unwrap();
        let source = SequencesSource::new(file, offsets.clone());
        let read = on_threads(2, || fit_source(&model, &source, start(), &settings, &())).unwrap();
        assert_same_fit(&memory, &read);
        let (one, other) = (memory.params.to_hmm(), read.params.to_hmm());
        prop_assert_eq!(one, other);
    }
}

#[test]
fn the_mixture_of_a_source_is_scored_as_that_of_memory() {
    let (n, d) = (5000, 2);
    let data = two_groups(n, d);
    let folder = Folder::new();
    let source = WeightedSource::uniform(RowsFile::open_raw(folder.raw(&data), d).unwrap());
    let (model, settings) = (MixtureModel::ml(), Settings { pieces: 3, ..Settings::default() });
    let at = Start::At(start(d));
    let memory = model.fit(Rows::new(&data, n, d).into(), &at, &settings, &()).unwrap();
    let read = model.fit_source(&source, &[start(d)], &settings, &()).unwrap();
    assert_eq!(numbers(&memory.mixture), numbers(&read.mixture));
    assert_eq!(
        (memory.log_likelihood, memory.log_certainty),
        (read.log_likelihood, read.log_certainty)
    );
    assert_eq!(memory.bic(), read.bic());
    // and from a start made of a sample, the same optimum
    let sample = source.rows().sample(500, 7).unwrap();
    let good = model.fit(sample.rows().into(), &at, &settings, &()).unwrap().mixture;
    let refined = model.fit_source(&source, &[start(d), good], &settings, &()).unwrap();
    // two runs that each stop within 10⁻¹⁰ nats per observation of the same optimum
    assert!((refined.log_likelihood - memory.log_likelihood).abs() < 2.0 * 1e-10 * n as f64);
    assert_eq!(refined.runs.reached_best(), 2);
}

#[test]
fn a_row_that_the_model_cannot_use_is_told_by_its_place_in_the_file() {
    let (n, d) = (7000, 3);
    let mut data = two_groups(n, d);
    data[d * 6543 + 1] = f64::INFINITY;
    let folder = Folder::new();
    let source = WeightedSource::uniform(RowsFile::open_raw(folder.raw(&data), d).unwrap());
    let model = MixtureModel::ml();
    let from = model.start(start(d), n as f64).unwrap();
    let error = fit_source(&model, &source, from, &settings(Variant::Soft, 5), &()).unwrap_err();
    let (row, column, value) = (6543, 1, f64::INFINITY);
    assert_eq!(error, FitError::Data(DataError::NotFinite { row, column, value }));
    let other = model.start(start(2), n as f64).unwrap();
    let error = fit_source(&model, &source, other, &settings(Variant::Soft, 5), &()).unwrap_err();
    assert_eq!(error, FitError::Data(DataError::Dimension { expected: 2, found: 3 }));
}

#[test]
fn a_file_that_gets_shorter_ends_the_run_with_the_best_parameters_so_far() {
    let (n, d) = (5000, 2);
    let data = two_groups(n, d);
    let folder = Folder::new();
    let path = folder.raw(&data);
    let source = WeightedSource::uniform(RowsFile::open_raw(&path, d).unwrap());
    let model = MixtureModel::ml();
    let settings = Settings { tolerance: Tolerance::Gap(0.0), ..settings(Variant::Soft, 4) };
    let from = || model.start(start(d), n as f64).unwrap();
    let cut_off = |event: &Event<
        '_,
        MixtureParams<MultivariateGaussian, MaximumLikelihood, MaximumLikelihood>,
    >| {
        if event.iteration == 2 {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(1000).unwrap();
        }
        ControlFlow::Continue(())
    };
    let ended = fit_source(&model, &source, from(), &settings, &cut_off).unwrap();
    let Stopped::EStep(EStepError::Source(error)) = &ended.report.stopped else {
        panic!("{:?}", ended.report.stopped)
    };
    assert!(error.to_string().contains("rows.f64: rows 0 to 1280 cannot be read"), "{error}");
    let two = Settings { max_iterations: 2, ..settings };
    let memory = fit(&model, Rows::new(&data, n, d).into(), from(), &two, &()).unwrap();
    assert_eq!(ended.report.trace, memory.report.trace);
    assert_eq!(numbers(&ended.params.to_mixture()), numbers(&memory.params.to_mixture()));
}
