//! The laws of this crate; one test binary.
#![allow(clippy::float_cmp, reason = "what is read is compared to the bit")]

mod files;
mod fits;
mod memory;
#[cfg(feature = "parquet")]
mod parquet;

use std::path::PathBuf;

use tempfile::TempDir;

/// A folder that goes away with this value.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of these bytes.
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A file of these numbers and nothing else.
    fn raw(&self, numbers: &[f64]) -> PathBuf {
        self.file("rows.f64", &bytes_of(numbers))
    }
}

fn bytes_of(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// `n` rows of `d` columns around two centers, 0 and 5, a little different in every row and column.
fn two_groups(n: usize, d: usize) -> Vec<f64> {
    let noise = |i: u64| (0..4).map(|j| mix(i, j) as f64 / u64::MAX as f64).sum::<f64>() - 2.0;
    let center = |row: u64| if mix(row, 9).is_multiple_of(3) { 5.0 } else { 0.0 };
    (0..(n * d) as u64).map(|i| center(i / d as u64) + noise(i)).collect()
}

use elbo_core::mix;
