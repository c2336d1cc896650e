//! Seconds per Baum-Welch iteration, and per most probable path, of a hidden Markov model on given data from a given start, for
//! comparisons with other programs.
//!
//! ```text
//! hmm-iteration FOLDER THREADS LOW HIGH
//! ```
//!
//! reads `meta.json` (`kind`, `K`, `T` and `M` or `D`), `X.bin` (`u32` symbols or `f64`, row by row), `lengths.bin` (`i64`) and
//! `init/{pi,A,B}.f64` or `init/{pi,A,mu,cov}.f64`, all little-endian. Prints one JSON line: the slope between LOW and HIGH
//! iterations, so that reading and setting up cancel (minimum of three, processor and wall seconds), the seconds of one Viterbi
//! pass, its log probability, and the log-likelihood at the start and after HIGH iterations.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::{error::Error, fs};

use elbo::{
    core::{Acceleration, Family, FlatParameters, Rows, Settings, Tolerance},
    dist::{Categorical, CovarianceStructure, MultivariateGaussian},
    hmm::{Hmm, HmmModel, Sequences, Start},
};
use elbo_benches::{Seconds, time};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, numbers @ ..] = &arguments[..] else {
        return Err("usage: FOLDER THREADS LOW HIGH".into());
    };
    let numbers = numbers.iter().map(|x| x.parse()).collect::<Result<Vec<usize>, _>>()?;
    let &[threads, low, high] = &numbers[..] else {
        return Err("three numbers are needed: THREADS LOW HIGH".into());
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let case = Case::read(folder, threads, low, high)?;
    if case.kind == "categorical" {
        let symbols: Vec<u32> = cells(&fs::read(format!("{folder}/X.bin"))?, u32::from_le_bytes);
        let b = doubles(&format!("{folder}/init/B.f64"))?;
        let m = b.len() / case.k;
        let emission =
            b.chunks_exact(m).map(Categorical::from_weights).collect::<Result<Vec<_>, _>>()?;
        return case.run(emission, &symbols[..]);
    }
    let means = doubles(&format!("{folder}/init/mu.f64"))?;
    let covariances = doubles(&format!("{folder}/init/cov.f64"))?;
    let d = means.len() / case.k;
    let is_diagonal = case.kind == "gaussian_diag";
    let mut emission = Vec::with_capacity(case.k);
    for (mean, covariance) in
        means.chunks_exact(d).zip(covariances.chunks_exact(covariances.len() / case.k))
    {
        let (structure, covariance) = if is_diagonal {
            let full = (0..d * d).map(|i| if i / d == i % d { covariance[i / d] } else { 0.0 });
            (CovarianceStructure::VVI, full.collect())
        } else {
            (CovarianceStructure::VVV, covariance.to_vec())
        };
        emission.push(MultivariateGaussian::new(structure, mean.to_vec(), &covariance)?);
    }
    let x = doubles(&format!("{folder}/X.bin"))?;
    case.run(emission, Rows::new(&x, x.len() / d, d))
}

/// A case but for its emissions and steps.
struct Case {
    kind: String,
    k: usize,
    initial: Vec<f64>,
    transition: Vec<Vec<f64>>,
    offsets: Vec<usize>,
    threads: usize,
    low: usize,
    high: usize,
}

impl Case {
    fn read(folder: &str, threads: usize, low: usize, high: usize) -> Outcome<Self> {
        let meta = fs::read_to_string(format!("{folder}/meta.json"))?;
        let kind = ["categorical", "gaussian_diag", "gaussian_full"]
            .into_iter()
            .find(|kind| meta.contains(kind))
            .ok_or("meta.json names no kind that is known")?;
        let initial = doubles(&format!("{folder}/init/pi.f64"))?;
        let k = initial.len();
        let transition = doubles(&format!("{folder}/init/A.f64"))?;
        let lengths: Vec<i64> =
            cells(&fs::read(format!("{folder}/lengths.bin"))?, i64::from_le_bytes);
        let lengths = lengths.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            kind: kind.into(),
            k,
            initial,
            transition: transition.chunks_exact(k).map(<[f64]>::to_vec).collect(),
            offsets: Sequences::<&[u32]>::offsets_of(lengths),
            threads,
            low,
            high,
        })
    }

    fn run<'a, F>(&'a self, emission: Vec<F>, steps: F::Batch<'a>) -> Outcome<()>
    where
        F: Family + FlatParameters + 'a,
    {
        let start = Hmm::new(&self.initial, &self.transition, emission)?;
        let data = Sequences::new(steps, &self.offsets);
        let fit = |iterations: usize| {
            let settings = Settings {
                tolerance: Tolerance::Gap(0.0),
                max_iterations: iterations,
                acceleration: Acceleration::None,
                ..Settings::default()
            };
            time(|| HmmModel::ml().fit(data, &Start::At(start.clone()), &settings, &()))
        };
        let mut iteration = Seconds { cpu: f64::INFINITY, wall: f64::INFINITY };
        let mut viterbi = iteration;
        let (mut ends, mut log_probability) = ([0.0; 2], 0.0);
        for _ in 0..3 {
            let (short, fitted) = fit(self.low);
            fitted?;
            let (long, fitted) = fit(self.high);
            let trace = fitted?.report.trace;
            ends = [trace[0], trace[trace.len() - 1]];
            let iterations = (self.high - self.low) as f64;
            iteration.cpu = iteration.cpu.min((long.cpu - short.cpu) / iterations);
            iteration.wall = iteration.wall.min((long.wall - short.wall) / iterations);
            let (seconds, decoded) = time(|| start.viterbi(data));
            log_probability = decoded?.log_probability;
            viterbi.cpu = viterbi.cpu.min(seconds.cpu);
            viterbi.wall = viterbi.wall.min(seconds.wall);
        }
        println!(
            "{{\"peer\": \"elbo\", \"threads\": {}, \"em_s_per_iter\": {:.6}, \"em_wall\": {:.6}, \"viterbi_s\": {:.6}, \
             \"viterbi_wall\": {:.6}, \"viterbi_logp\": {log_probability:?}, \"loglik\": {ends:?}}}",
            self.threads, iteration.cpu, iteration.wall, viterbi.cpu, viterbi.wall
        );
        Ok(())
    }
}

fn doubles(path: &str) -> Outcome<Vec<f64>> {
    Ok(cells(&fs::read(path)?, f64::from_le_bytes))
}

/// The numbers of `N` bytes each.
fn cells<const N: usize, T>(bytes: &[u8], number: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|cell| number(cell.try_into().expect("N bytes"))).collect()
}
