//! E-steps in shards: the same bits as in memory, and every kind of disagreement told.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use elbo_core::{
    DataError, Distributed, EStepError, FitError, Inference, LatentModel, PartialEStep, Settings,
    Shards, Shown, SourceError, Stopped, Tolerance, Variant, WireError, WorkerError, fit,
    write_statistics,
};
use elbo_laws::model::assert_same_fit;
use proptest::{collection::vec, prelude::*};

use crate::{
    coins::{Coins, packets},
    on_threads,
};

#[allow(clippy::ptr_arg, reason = "these are the parameters of the model")]
fn encode(coins: &Vec<f64>) -> Result<Vec<u8>, WireError> {
    if coins.iter().any(|p| p.is_nan()) {
        return Err(WireError::Params("no probabilities".into()));
    }
    Ok(coins.iter().flat_map(|p| p.to_le_bytes()).collect())
}

fn decode(bytes: &[u8]) -> Result<Vec<f64>, WireError> {
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || words.is_empty() {
        return Err(WireError::Params("no coins".into()));
    }
    Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
}

/// A worker with these packets.
fn answer(packets: &[f64], request: &[u8]) -> Result<Vec<u8>, SourceError> {
    let model = Coins::new(10.0);
    let mut part = PartialEStep::new(&model, request, decode).map_err(SourceError::new)?;
    part.observe(packets).map_err(SourceError::new)?;
    Ok(part.to_bytes())
}

/// A request as a worker gets it.
fn request_for(coins: &[f64]) -> Vec<u8> {
    let seen = Mutex::new(Vec::new());
    let engine = |_: usize, request: &[u8]| {
        *seen.lock().unwrap() = request.to_vec();
        Err(SourceError::new("enough"))
    };
    let model = Distributed::new(Coins::new(10.0), encode, engine);
    let (params, mut stats) = (coins.to_vec(), model.new_stats(&coins.to_vec()));
    let mut scratch = model.new_scratch(&params);
    let shards = Shards::new(&[1.0]);
    model.e_step(&params, shards, &mut Inference::Soft, &mut stats, &mut scratch).unwrap_err();
    seen.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn shards_that_are_the_pieces_give_the_bits_of_memory(
        variant in prop_oneof![
            Just(Variant::Soft),
            Just(Variant::Hard),
            Just(Variant::Annealed { start: 0.4, rate: 1.3 }),
            Just(Variant::Incremental),
        ],
        blocks in 1..5_usize,
        shards in 1..6_usize,
        threads in 1..4_usize,
    ) {
        // equal pieces, all of whole blocks
        let each = 1024 * blocks;
        let (data, counts) = (packets(each * shards), vec![each as f64; shards]);
        let engine = |shard: usize, request: &[u8]| answer(&data[shard * each..][..each], request);
        let settings = Settings { variant, pieces: shards, max_iterations: 20, ..Settings::default() };
        let start = || vec![0.3, 0.5, 0.6];
        let memory = fit(&Coins::new(10.0), &data[..], start(), &settings, &()).unwrap();
        let model = Distributed::new(Coins::new(10.0), encode, engine);
        let shards = Shards::new(&counts);
        let spread = on_threads(threads, || fit(&model, shards, start(), &settings, &())).unwrap();
        assert_same_fit(&memory, &spread);
        prop_assert_eq!(memory.params, spread.params);
        prop_assert_eq!(memory.report.observations, spread.report.observations);
    }

    #[test]
    fn parts_add_up_in_any_order(data in vec(0..=10_u8, 1..40), cut in 0..40_usize) {
        let data: Vec<f64> = data.into_iter().map(f64::from).collect();
        let (left, right) = data.split_at(cut.min(data.len()));
        let (model, request) = (Coins::new(10.0), request_for(&[0.2, 0.7]));
        let part = |data: &[f64]| {
            let mut part = PartialEStep::new(&model, &request, decode).unwrap();
            part.observe(data).unwrap();
            part
        };
        let (mut one, mut other) = (part(left), part(right));
        let (bytes, whole) = (one.to_bytes(), part(&data).to_bytes());
        one.merge(&other.to_bytes()).unwrap();
        other.merge(&bytes).unwrap();
        prop_assert_eq!(one.to_bytes(), other.to_bytes(), "addition commutes to the bit");
        for (sum, whole) in numbers(&one.to_bytes()).zip(numbers(&whole)) {
            // at most 40 terms of size 10
            prop_assert!((sum - whole).abs() <= 400.0 * 40.0 * f64::EPSILON, "{sum} is not {whole}");
        }
    }

    #[test]
    fn any_bytes_are_a_request_or_refused(bytes in vec(0..=255_u8, 0..60), begin in 0..40_usize) {
        let model = Coins::new(10.0);
        let mut honest = request_for(&[0.2, 0.7]);
        honest.truncate(begin);
        honest.extend(bytes);
        let _ = PartialEStep::new(&model, &honest, decode);
    }
}

/// Data term, observations and sums of the bytes of a part.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = f64> {
    bytes[22..].as_chunks::<8>().0.iter().map(|word| f64::from_le_bytes(*word))
}

/// How a run of three shards ends whose engine is broken from some call on.
fn ended(
    calls: usize,
    broken: impl Fn(&[f64], &[u8]) -> Result<Vec<u8>, SourceError> + Send + Sync,
) -> Result<(usize, Stopped), FitError> {
    let (data, counter) = (packets(300), AtomicUsize::new(0));
    let engine = |shard: usize, request: &[u8]| {
        let packets = &data[100 * shard..][..100];
        if counter.fetch_add(1, Ordering::SeqCst) < calls {
            answer(packets, request)
        } else {
            broken(packets, request)
        }
    };
    let model = Distributed::new(Coins::new(10.0), encode, engine);
    let settings = Settings { tolerance: Tolerance::Gap(0.0), ..Settings::default() };
    let counts = [100.0; 3];
    on_threads(1, || fit(&model, Shards::new(&counts), vec![0.3, 0.6], &settings, &()))
        .map(|fit| (fit.report.iterations, fit.report.stopped))
}

fn read_error(message: &str) -> Stopped {
    Stopped::EStep(EStepError::Source(SourceError::new(message)))
}

#[test]
fn an_engine_that_fails_ends_the_run_with_the_best_parameters_so_far() {
    let lost = |_: &[f64], _: &[u8]| Err(SourceError::new("the worker is gone"));
    // three shards are asked to check, then at the start, then twice
    assert_eq!(ended(12, lost), Ok((2, read_error("the worker is gone"))));
    let at_the_start = DataError::Source(SourceError::new("the worker is gone"));
    assert_eq!(ended(2, lost), Err(FitError::Data(at_the_start)));
}

#[test]
fn answers_that_do_not_fit_the_question_are_refused() {
    let answers = Mutex::new(Vec::new());
    let stale = |packets: &[f64], request: &[u8]| {
        let mut answers = answers.lock().unwrap();
        if answers.len() < 3 {
            answers.push(answer(packets, request)?);
            return Ok(answers[answers.len() - 1].clone());
        }
        Ok(answers[0].clone())
    };
    let message = format!("shard 0: {}", WireError::Request);
    assert_eq!(ended(6, stale), Ok((1, read_error(&message))), "the answer of an iteration before");
    let halved = |packets: &[f64], request: &[u8]| answer(&packets[..50], request);
    let message = "shard 0: 50 observations were seen instead of 100";
    assert_eq!(ended(6, halved), Ok((0, read_error(message))));
    let other = |_: &[f64], _: &[u8]| Ok(write_statistics(&vec![0.0; 3]));
    let message = format!("shard 0: {}", WireError::Shape);
    assert_eq!(ended(6, other), Ok((0, read_error(&message))));
}

#[test]
fn parts_of_different_requests_do_not_add_up() {
    let model = Coins::new(10.0);
    let part = |coins: &[f64]| PartialEStep::new(&model, &request_for(coins), decode).unwrap();
    let mut one = part(&[0.2, 0.7]);
    one.observe(&[3.0]).unwrap();
    let before = one.to_bytes();
    assert_eq!(one.merge(&part(&[0.2, 0.8]).to_bytes()), Err(WireError::Request));
    assert_eq!(one.to_bytes(), before);
}

#[test]
fn a_worker_says_what_is_wrong_with_its_data() {
    let model = Coins::new(10.0);
    let mut part = PartialEStep::new(&model, &request_for(&[0.0, 0.0]), decode).unwrap();
    let error = part.observe(&[0.0, 3.0]).unwrap_err();
    assert_eq!(error, WorkerError::EStep(EStepError::Impossible { row: 1 }));
    let source = Shown::<Coins>(&[]);
    assert_eq!(part.observe_source(&source, 3), Ok(()), "a shard may be empty");
}

#[test]
fn drawn_latent_variables_are_refused() {
    let engine = |_: usize, request: &[u8]| answer(&[3.0, 4.0], request);
    let model = Distributed::new(Coins::new(10.0), encode, engine);
    let variant = Variant::Sampled { draws: 1, burn_in: 1, averaged: 1, decay: 0.0 };
    let settings = Settings { variant, ..Settings::default() };
    let end = fit(&model, Shards::new(&[2.0]), vec![0.3, 0.6], &settings, &()).unwrap();
    assert!(matches!(end.report.stopped, Stopped::EStep(EStepError::Source(_))));
}
