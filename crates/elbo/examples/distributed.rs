//! Expectation-Maximization in three processes: parameters go out as bytes, statistics come back as bytes.
//!
//! A Gaussian mixture and a hidden Markov model are fitted to data of which each process has a third. The pipe between the
//! processes stands for whatever an engine offers (an aggregate function, a reduction, a queue): all that it has to carry are
//! bytes. The result is that of one process, to the bit.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{
    error::Error,
    io::{self, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use elbo::{
    core::{
        Distributed, LatentModel, MaximumLikelihood, PartialEStep, Rows, Settings, Shards,
        SourceError, Weighted, WireError, decode_params, encode_params, fit,
    },
    dist::{CovarianceStructure, Gaussian, MultivariateGaussian},
    hmm::{Hmm, HmmModel, HmmParams, Sequences},
    mixture::{Mixture, MixtureModel, MixtureParams},
};

const PROCESSES: usize = 3;
/// Rows of the mixture in each process.
const ROWS: usize = 2048;
/// Sequences in each process, and their length.
const SEQUENCES: usize = 32;
const STEPS: usize = 64;

type Groups = MixtureModel<MultivariateGaussian, MaximumLikelihood, MaximumLikelihood>;
type GroupsParams = MixtureParams<MultivariateGaussian, MaximumLikelihood, MaximumLikelihood>;
type Regimes = HmmModel<Gaussian, MaximumLikelihood, MaximumLikelihood>;
type RegimesParams = HmmParams<Gaussian, MaximumLikelihood, MaximumLikelihood>;

// How parameters travel: as the models that they are, which are checked when they are read.

fn encode_groups(params: &GroupsParams) -> Result<Vec<u8>, WireError> {
    encode_params("groups", &params.to_mixture())
}

fn decode_groups(bytes: &[u8]) -> Result<GroupsParams, WireError> {
    let mixture: Mixture<MultivariateGaussian> = decode_params("groups", bytes)?;
    Groups::ml().start(mixture, 0.0).map_err(|why| WireError::Params(why.to_string()))
}

fn encode_regimes(params: &RegimesParams) -> Result<Vec<u8>, WireError> {
    encode_params("regimes", &params.to_hmm())
}

fn decode_regimes(bytes: &[u8]) -> Result<RegimesParams, WireError> {
    let hmm: Hmm<Gaussian> = decode_params("regimes", bytes)?;
    Regimes::ml().start(hmm, 0.0).map_err(|why| WireError::Params(why.to_string()))
}

/// A worker: answers requests on its standard input until there are no more. A request that cannot be answered is answered by
/// why.
fn work(model: &str, shard: usize) -> Result<(), Box<dyn Error>> {
    let (rows, steps) = (rows_of(shard), steps_of(shard));
    let offsets = offsets(SEQUENCES);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(request) = receive(&mut input)? {
        let answer = if model == "groups" {
            let data = Weighted::uniform(Rows::new(&rows, ROWS, 2));
            answer(&Groups::ml(), &request, decode_groups, data)
        } else {
            answer(&Regimes::ml(), &request, decode_regimes, Sequences::new(&steps[..], &offsets))
        };
        match answer {
            Ok(bytes) => send(&mut output, 0, &bytes)?,
            Err(why) => send(&mut output, 1, why.to_string().as_bytes())?,
        }
    }
    Ok(())
}

/// All that is to be done where the data are.
fn answer<M: LatentModel>(
    model: &M,
    request: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<M::Params, WireError>,
    data: M::Data<'_>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut part = PartialEStep::new(model, request, decode)?;
    part.observe(data)?;
    Ok(part.to_bytes())
}

/// A process with a shard, and the pipes to it.
struct Worker {
    child: Child,
    pipes: Mutex<Option<(ChildStdin, ChildStdout)>>,
}

impl Worker {
    fn start(model: &str, shard: usize) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["worker", model, &shard.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        Ok(Self { child, pipes: Mutex::new(pipes) })
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<u8>, SourceError> {
        let mut pipes = self.pipes.lock().map_err(SourceError::new)?;
        let Some((input, output)) = pipes.as_mut() else {
            return Err(SourceError::new("the worker was ended"));
        };
        send(input, 0, request).map_err(SourceError::new)?;
        match receive_answer(output).map_err(SourceError::new)? {
            Some((0, bytes)) => Ok(bytes),
            Some((_, why)) => Err(SourceError::new(String::from_utf8_lossy(&why))),
            None => Err(SourceError::new("the worker is gone")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Ok(mut pipes) = self.pipes.lock() {
            drop(pipes.take()); // the end of its input ends the worker
        }
        let _ = self.child.wait();
    }
}

/// A message: its kind, its length, its bytes.
fn send(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

fn receive_answer(from: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let (mut kind, mut len) = ([0], [0; 8]);
    if from.read(&mut kind)? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut len)?;
    let mut bytes = Vec::new();
    let len = u64::from_le_bytes(len);
    from.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len { Ok(Some((kind[0], bytes))) } else { Ok(None) }
}

fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    Ok(receive_answer(from)?.map(|(_, bytes)| bytes))
}

/// Fits a model in memory and in processes, and compares the two.
fn compare<M: LatentModel + Clone>(
    name: &str,
    model: &M,
    data: M::Data<'_>,
    start: &M::Params,
    encode: impl Fn(&M::Params) -> Result<Vec<u8>, WireError> + Send + Sync,
    observations: f64,
) -> Result<M::Params, Box<dyn Error>> {
    let settings = Settings { pieces: PROCESSES, ..Settings::default() };
    let one = fit(model, data, start.clone(), &settings, &())?;

    let workers =
        (0..PROCESSES).map(|shard| Worker::start(name, shard)).collect::<Result<Vec<_>, _>>()?;
    let model =
        Distributed::new(model.clone(), encode, |shard, request| workers[shard].ask(request));
    let shards = [observations; PROCESSES];
    let many = fit(&model, Shards::new(&shards), start.clone(), &settings, &())?;

    assert!(many.report.stopped.is_converged(), "{name}: {:?}", many.report.stopped);
    let bits = |trace: &[f64]| trace.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&many.report.trace), bits(&one.report.trace), "{name}: another path");
    println!(
        "{name}: log-likelihood {:.6} after {} E-steps in {PROCESSES} processes, the same bits as in one",
        many.report.objective, many.report.e_steps
    );
    Ok(many.params)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, worker, model, shard] = &arguments[..]
        && worker == "worker"
    {
        return work(model, shard.parse()?);
    }

    let rows: Vec<f64> = (0..PROCESSES).flat_map(rows_of).collect();
    let at = |x: f64| {
        MultivariateGaussian::new(CovarianceStructure::VVV, vec![x, -x], &[2.0, 0.0, 0.0, 2.0])
    };
    let start = Mixture::new(vec![0.5, 0.5], vec![at(0.0)?, at(3.0)?])?;
    let start = Groups::ml().start(start, 0.0)?;
    let data = Weighted::uniform(Rows::new(&rows, PROCESSES * ROWS, 2));
    let found = compare("groups", &Groups::ml(), data, &start, encode_groups, ROWS as f64)?;
    assert!((found.to_mixture().weights()[0] - 0.25).abs() < 0.05);

    let steps: Vec<f64> = (0..PROCESSES).flat_map(steps_of).collect();
    let emissions = vec![Gaussian::new(-1.0, 2.0)?, Gaussian::new(1.0, 2.0)?];
    let start = Hmm::new(&[0.5, 0.5], &[[0.8, 0.2], [0.2, 0.8]], emissions)?;
    let start = Regimes::ml().start(start, 0.0)?;
    let offsets = offsets(PROCESSES * SEQUENCES);
    let data = Sequences::new(&steps[..], &offsets);
    let observations = (SEQUENCES * STEPS) as f64;
    compare("regimes", &Regimes::ml(), data, &start, encode_regimes, observations)?;
    Ok(())
}

// What each process has. Real workers read a part of a table.

fn offsets(sequences: usize) -> Vec<usize> {
    (0..=sequences).map(|i| i * STEPS).collect()
}

fn uniform(place: usize, what: u64) -> f64 {
    elbo::core::mix(what, place as u64) as f64 / u64::MAX as f64
}

/// About normal: the sum of twelve.
fn noise(place: usize) -> f64 {
    (0..12).map(|what| uniform(place, what)).sum::<f64>() - 6.0
}

fn rows_of(shard: usize) -> Vec<f64> {
    let row = |i: usize| {
        let center = if uniform(i, 99) < 0.25 { 0.0 } else { 4.0 };
        [center + noise(2 * i), -center + noise(2 * i + 1)]
    };
    (shard * ROWS..(shard + 1) * ROWS).flat_map(row).collect()
}

fn steps_of(shard: usize) -> Vec<f64> {
    let first = shard * SEQUENCES * STEPS;
    let level = |step: usize| if uniform(step / 16, 77) < 0.5 { -1.5 } else { 1.5 };
    (first..first + SEQUENCES * STEPS).map(|step| level(step) + noise(step)).collect()
}
