//! Probabilistic PCA, factor analysis and what belongs to them.
//!
//! ```
//! use elbo_factor::{FactorAnalysis, Rows, Sample};
//!
//! // five columns with one factor behind them, row after row
//! let data: Vec<f64> = (0..60)
//!     .flat_map(|i| {
//!         let z = f64::from(i * 17 % 60) / 20.0 - 1.5;
//!         (0..5).map(move |j| z + f64::from((i * (7 + 4 * j) + j) % 13) / 13.0)
//!     })
//!     .collect();
//! let sample = Sample::of_rows(Rows::new(&data, 60, 5).into())?;
//! let fit = FactorAnalysis::new(1).fit(&sample)?;
//! assert!(fit.analyzer.loadings().iter().all(|w| (0.7..1.1).contains(w)));
//! println!("BIC {:.2}, p = {:.3}", fit.bic(), fit.goodness_of_fit(&sample).unwrap().p_value);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`FactorAnalysis`] fits a [`LowRankGaussian`] to a [`Sample`]: to rows that are read once, or to a covariance matrix.
//! [`ProbabilisticPca`] is the case of equal uniquenesses, with a closed form.
//! [`FactorEm`] fits both to rows of which values are missing.
//! [`Scorer`] gives factor scores of rows and completes them, [`rotate`] turns loadings to what is easy to read.
//!
//! # Should I use this crate?
//!
//! To describe correlated columns by a few factors, to reduce dimensions with a likelihood, or to score and complete rows of
//! which values are missing: yes. A full covariance is `elbo_dist::MultivariateGaussian`; groups in rows are
//! `elbo-mixture`, whose components may be those of this crate.
//!
//! # Notation
//!
//! `n` rows, `d` columns, `q` factors; `W` loadings, `ψ` uniquenesses, `z` factors, `S` covariance and `R` correlations of a
//! sample.
//!
//! # Crate features
//!
//! - **rayon** (on): pieces of the data and restarts run on the current rayon pool, with the same bits on any number of
//!   threads.
//! - **serde** (off): `Serialize` and `Deserialize` for distributions.

mod analysis;
mod em;
mod fitted;
mod ppca;
mod rotation;
mod sample;
mod scores;
mod uncertainty;

pub use analysis::{FactorModel, FactorParams, FactorScratch, FactorStats, UniquenessPrior};
pub use elbo_core::{
    DataError, EstimateError, FitError, Report, Rows, Runs, Settings, Uncertainty,
    UncertaintyError, Weighted,
};
pub use elbo_dist::LowRankGaussian;
pub use em::{
    FactorEm, FactorEmFit, FactorRows, FactorRowsModel, FactorRowsScratch, FactorRowsStats, Noise,
};
pub use fitted::{FactorAnalysis, FactorFit, GoodnessOfFit, log_likelihood};
pub use ppca::{ProbabilisticPca, log_evidences};
pub use rotation::{Rotated, Rotation, RotationError, rotate};
pub use sample::{Sample, SampleError, Whole};
pub use scores::{Scorer, standardized_loadings};
