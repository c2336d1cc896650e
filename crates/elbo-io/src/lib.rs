//! Rows in files that are larger than memory, as data of the drivers in `elbo-core`.
//!
//! ```
//! use elbo_core::{Settings, WeightedSource, fit_source, pieces_within};
//! # use elbo_dist::{CovarianceStructure, MultivariateGaussian};
//! # use elbo_mixture::{Mixture, MixtureModel};
//! use elbo_io::RowsFile;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("rows.f64");
//! # let wave = |i: i32| (0.7 * f64::from(i)).sin() + (0.31 * f64::from(i)).cos();
//! # let numbers: Vec<f64> = (0..4000).map(|i| f64::from(i / 2 % 2 * 9) + wave(i)).collect();
//! # std::fs::write(&path, numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
//! let file = RowsFile::open_raw(&path, 2)?;
//! file.check_finite()?;
//! let source = WeightedSource::uniform(file);
//!
//! // two workers may hold 100 kB of rows together
//! let settings = Settings { pieces: pieces_within(&source, 100_000, 2, 32)?, ..Settings::default() };
//! # let at = |x: f64| MultivariateGaussian::new(CovarianceStructure::VVV, vec![x, x], &[1.0, 0.0, 0.0, 1.0]);
//! let start = Mixture::new(vec![0.5, 0.5], vec![at(2.0)?, at(10.0)?])?;
//! let model = MixtureModel::ml();
//! let fit = fit_source(&model, &source, model.start(start, 2000.0)?, &settings, &())?;
//! assert!(fit.report.stopped.is_converged());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Should I use this crate?
//!
//! If the rows do not fit into memory. What does fit is faster in memory, and every other part of the library takes it: starts
//! are made from [`RowsFile::sample`], a part of the rows that does fit.
//!
//! # Notation
//!
//! `n` rows, `d` columns; rows and columns count from 0.
//!
//! # Crate features
//!
//! - **parquet** (off): columns of Parquet files, uncompressed or in Snappy.

mod error;
#[allow(
    unsafe_code,
    reason = "mapping a file, and seeing its bytes as numbers, cannot be checked by the compiler"
)]
mod mapped;
mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod reader;
mod rows_file;

#[cfg(feature = "parquet")]
pub use crate::parquet::ParquetFile;
pub use error::FileError;
pub use rows_file::RowsFile;
