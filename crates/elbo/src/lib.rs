//! Expectation-Maximization toolkit: one facade over the `elbo` crates.
//!
//! # Which crate do I want?
//!
//! | to | take | feature here |
//! |---|---|---|
//! | find groups in rows, estimate a density | [`mixture`] (`elbo-mixture`) | `mixture` |
//! | segment or decode sequences | [`hmm`] (`elbo-hmm`) | `hmm` |
//! | find factors behind correlated columns, reduce dimensions | [`factor`] (`elbo-factor`) | `factor` |
//! | find topics in documents | [`topics`] (`elbo-topics`) | `topics` |
//! | estimate one distribution from weighted data, update a conjugate prior | [`dist`] (`elbo-dist`) | always |
//! | fit data in files larger than memory | [`io`] (`elbo-io`) | `io` |
//! | write a latent-variable model of your own | [`core`] (`elbo-core`) | always |
//! | vectorized `exp`, log-sum-exp, Cholesky on slices | [`linalg`] (`elbo-linalg`) | always |
//!
//! Each of them can be used alone; this crate only re-exports them.
//!
//! ```
//! use elbo::mixture::{GaussianMixture, Rows};
//!
//! let data = [1.0, 1.2, 0.9, 1.1, 5.0, 5.3, 4.8, 5.1];
//! let fitted = GaussianMixture::new(2).fit(Rows::new(&data, 8, 1).into())?;
//! assert_eq!(fitted.mixture.k(), 2);
//! # Ok::<(), elbo::core::FitError>(())
//! ```
//!
//! # Crate features
//!
//! - **mixture**, **hmm**, **factor**, **topics** (on): the model families.
//! - **rayon** (on): threads; the same bits on any number of them.
//! - **io** (off): files larger than memory as data; **parquet** (off): Parquet files, too.
//! - **serde** (off): `Serialize` and `Deserialize` for everything fitted.
//! - **postcard** (off): parameters as compact bytes, for E-steps that are shared by processes.

pub use elbo_core as core;
pub use elbo_dist as dist;
#[cfg(feature = "factor")]
pub use elbo_factor as factor;
#[cfg(feature = "hmm")]
pub use elbo_hmm as hmm;
#[cfg(feature = "io")]
pub use elbo_io as io;
pub use elbo_linalg as linalg;
#[cfg(feature = "mixture")]
pub use elbo_mixture as mixture;
#[cfg(feature = "topics")]
pub use elbo_topics as topics;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
