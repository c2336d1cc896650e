//! A fit holds no more than its budget: measured from outside, as the most memory that a process of its own ever had.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "a process tells another what it found")]

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    process::Command,
};

use elbo_core::{
    Rows, Settings, Tolerance, Weighted, WeightedSource, fit, fit_source, pieces_within,
};
use elbo_io::RowsFile;
use elbo_mixture::MixtureModel;

use crate::{Folder, bytes_of, fits::start, two_groups};

const D: usize = 4;
const WORKERS: usize = 2;

/// What a process is told by the environment: how it shall hold the data, the file, and the budget in bytes.
const TOLD: &str = "ELBO_IO_MEMORY_TEST";

/// Kilobytes of a line of `/proc/self/status`.
fn kilobytes(what: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A fit in this process; prints the bytes by which its memory grew, then every bit of the result.
#[test]
#[ignore = "a process that other tests start"]
fn fit_as_told() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let mut told = told.split('|');
    let (how, path, budget) =
        (told.next().unwrap(), told.next().unwrap(), told.next().unwrap().parse().unwrap());
    let iterations = told.next().unwrap().parse().unwrap();
    let file = RowsFile::open_raw(path, D).unwrap();
    let source =
        WeightedSource::uniform(if how == "mapped" { file.mapped().unwrap() } else { file });
    let n = elbo_core::ChunkSource::len(&source);
    let read = WeightedSource::uniform(RowsFile::open_raw(path, D).unwrap());
    let pieces = pieces_within(&read, budget, WORKERS, 1).unwrap();
    let settings = Settings {
        pieces,
        max_iterations: iterations,
        tolerance: Tolerance::Gap(0.0),
        ..Settings::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().unwrap();
    let model = MixtureModel::ml();
    let from = || model.start(start(D), n as f64).unwrap();
    // Code, threads and scratch are there before memory is measured.
    let few = two_groups(3000, D);
    let path_of_few = format!("{path}.few");
    fs::write(&path_of_few, bytes_of(&few)).unwrap();
    let read_few = WeightedSource::uniform(RowsFile::open_raw(&path_of_few, D).unwrap());
    pool.install(|| {
        fit(&model, Rows::new(&few, 3000, D).into(), from(), &settings, &()).unwrap();
        fit_source(&model, &read_few, from(), &settings, &()).unwrap();
    });
    let _ = fs::write("/proc/self/clear_refs", "5"); // forgets the peak so far, where that is allowed
    let before = kilobytes("VmRSS");
    let found = if how == "memory" {
        let data: Vec<f64> =
            fs::read(path).unwrap().as_chunks().0.iter().map(|x| f64::from_le_bytes(*x)).collect();
        let data = Weighted::uniform(Rows::new(&data, n, D));
        pool.install(|| fit(&model, data, from(), &settings, &()))
    } else {
        pool.install(|| fit_source(&model, &source, from(), &settings, &()))
    };
    let grown = kilobytes("VmHWM").saturating_sub(before);
    let found = found.unwrap();
    let mut bits = String::new();
    let mixture = found.params.to_mixture();
    let means = mixture.components().iter().flat_map(|c| c.mean().to_vec());
    for x in found.report.trace.iter().chain(mixture.weights()).copied().chain(means) {
        write!(bits, "{:016x}", x.to_bits()).unwrap();
    }
    println!("\nGREW {} BITS {bits}", 1024 * grown);
}

/// Bytes by which a process grew that fitted so, and what it found.
fn grown(how: &str, path: &Path, budget: usize, iterations: usize) -> (usize, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "memory::fit_as_told", "--nocapture"])
        .env(TOLD, format!("{how}|{}|{budget}|{iterations}", path.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find(|line| line.starts_with("GREW ")).expect(&said);
    let words: Vec<&str> = line.split(' ').collect();
    (words[1].parse().unwrap(), words[3].into())
}

/// Statistics on the way up the tree, one more scratch, and the kernel's counters, which learn of a thread's pages in batches
/// of some 100 kB. One buffer more than there are workers would be seen: it has 1 MiB.
const CONSTANT: usize = 3 << 19;

#[test]
fn a_file_four_times_the_budget_is_fitted_within_it_with_the_bits_of_memory() {
    let budget = 2 << 20;
    let n = 4 * budget / (8 * D);
    let folder = Folder::new();
    let path = folder.raw(&two_groups(n, D));
    let (read, bits) = grown("read", &path, budget, 3);
    assert!(read <= budget + CONSTANT, "grew by {read} bytes, {budget} are allowed");
    let (memory, bits_of_memory) = grown("memory", &path, budget, 3);
    assert!(
        memory > 4 * budget,
        "memory is measured wrongly: {memory} bytes for {} of data",
        4 * budget
    );
    assert_eq!(bits, bits_of_memory);
    let (_, bits_of_mapped) = grown("mapped", &path, budget, 3);
    assert_eq!(bits, bits_of_mapped);
}

/// 400 MB of rows, 100 MB of budget: for a release build.
#[test]
#[ignore = "writes 400 MB"]
fn large_files_are_fitted_within_the_budget() {
    let (budget, n) = (100_000_000, 12_500_000);
    let folder = Folder::new();
    let path = folder.path("large.f64");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let some = bytes_of(&two_groups(12_500, D));
    (0..n / 12_500).for_each(|_| file.write_all(&some).unwrap());
    file.into_inner().unwrap();
    let mut found = Vec::new();
    for how in ["read", "mapped", "memory"] {
        let before = std::time::Instant::now();
        let (bytes, bits) = grown(how, &path, budget, 10);
        let seconds = before.elapsed().as_secs_f64();
        eprintln!("{how}: grew by {:.1} MB, {seconds:.1} s", bytes as f64 / 1e6);
        found.push((bytes, bits));
    }
    assert!(found[0].0 <= budget + CONSTANT);
    assert!(found.iter().all(|(_, bits)| *bits == found[0].1));
}
