//! Data and small helpers shared by the tests.

use std::path::PathBuf;

use elbo_mixture::{CovarianceStructure, GaussianMixture, Rows, Settings, Tolerance};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// A table read from a CSV whose non-numeric columns are left out.
pub(crate) struct Table {
    pub(crate) values: Vec<f64>,
    pub(crate) n: usize,
    pub(crate) d: usize,
}

impl Table {
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.n, self.d)
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { values: self.values.iter().map(|x| f(*x)).collect(), ..*self }
    }
}

/// A data set that ships with the repository: faithful, iris or galaxies.
pub(crate) fn shipped(name: &str) -> Table {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data");
    read(&folder.join(format!("{name}.csv")))
}

/// The folder of reference results, if there is one.
pub(crate) fn reference() -> Option<PathBuf> {
    let folder = std::env::var_os("ELBO_REFERENCE").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("ELBO_REFERENCE is not set: reference results are not compared");
    }
    folder
}

pub(crate) fn read(path: &std::path::Path) -> Table {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut lines = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let numbers = |line: &str| {
        line.split(',').filter_map(|cell| cell.parse::<f64>().ok()).collect::<Vec<_>>()
    };
    let first = numbers(lines.next().unwrap());
    let d = first.len();
    let mut values = first;
    lines.for_each(|line| values.extend(numbers(line)));
    Table { n: values.len() / d, d, values }
}

/// A builder that goes to the very bottom of what double precision resolves.
pub(crate) fn tight(k: usize, structure: CovarianceStructure) -> GaussianMixture {
    let settings = Settings {
        tolerance: Tolerance::Gap(1e-14),
        max_iterations: 20_000,
        ..Settings::default()
    };
    GaussianMixture::new(k).structure(structure).settings(settings)
}

/// `n` rows around `k` centers that are a few standard deviations apart, with correlated columns.
pub(crate) fn clusters(n: usize, d: usize, k: usize, seed: u64) -> Table {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || {
        let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    let centers: Vec<f64> = (0..k * d).map(|_| 3.0 * normal()).collect();
    let mut values = Vec::with_capacity(n * d);
    for i in 0..n {
        let shared = normal();
        values.extend((0..d).map(|j| {
            centers[i % k * d + j] + 0.5 * shared + (1.0 + j as f64 / d as f64) * normal()
        }));
    }
    Table { values, n, d }
}
