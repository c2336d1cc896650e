//! Probability distributions with weighted sufficient statistics, conjugate priors and special functions.
//!
//! Each distribution is a [`Family`](elbo_core::Family): it scores and absorbs weighted batches, so that the same
//! type is a mixture component, an HMM emission or a factor of something larger. Each prior is a
//! [`ConjugatePrior`](elbo_core::ConjugatePrior) and, with data added, the posterior.
//!
//! Estimating a Gaussian from weighted data, without and with a prior:
//!
//! ```
//! use elbo_core::{ConjugatePrior, Family};
//! use elbo_dist::{Gaussian, NormalInverseGamma};
//!
//! let mut gaussian = Gaussian::new(0.0, 1.0)?;
//! let mut stats = gaussian.new_stats();
//! gaussian.observe(&mut stats, &[1.0, 2.0, 6.0], &[1.0, 1.0, 0.5]);
//! gaussian.clone().maximize(&stats, &mut gaussian).unwrap();
//! assert_eq!(gaussian.mean(), 2.4);
//!
//! let prior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0)?;
//! let mut posterior = prior;
//! prior.posterior(&stats, &mut posterior).unwrap();
//! posterior.mode_into(&mut gaussian).unwrap();
//! assert!((gaussian.mean() - 6.0 / 3.5).abs() < 1e-15);
//! # Ok::<(), elbo_dist::ParameterError>(())
//! ```
//!
//! | family | observations | prior |
//! |---|---|---|
//! | [`Gaussian`] | `&[f64]` | [`NormalInverseGamma`] |
//! | [`MultivariateGaussian`] | [`Rows`](elbo_core::Rows) | [`NormalInverseWishart`] |
//! | [`Categorical`] | `&[u32]` codes | [`Dirichlet`] |
//! | [`Poisson`] | `&[u64]` counts | [`Gamma`] |
//! | [`StudentT`] | `&[f64]` | |
//! | [`Laplace`] | `&[f64]` | |
//! | [`Uniform`] | `&[f64]` | |
//! | [`VonMises`] | `&[f64]` angles | [`VonMisesFisherPrior`] |
//! | [`VonMisesFisher`] | [`Rows`](elbo_core::Rows) of norm 1 | [`VonMisesFisherPrior`] |
//!
//! Special functions whose accuracy is measured are in [`special`].
//!
//! # Should I use this crate?
//!
//! To fit a mixture or a hidden Markov model take `elbo-mixture` or `elbo-hmm`, which build on these families. Use
//! this crate to write a model of your own, or where weighted estimation of one distribution is all you need. For a
//! catalog of distributions without estimation there is [statrs](https://docs.rs/statrs).
//!
//! # Notation
//!
//! `μ` mean, `σ²` variance, `λ` rate, `pₓ` probability of category `x`; `α` concentration; `t(x)` sufficient
//! statistics. All logarithms are natural, all densities in nats.
//!
//! # Crate features
//!
//! - **serde** (off): `Serialize` and `Deserialize`; parameters and priors come in through their checked constructors.

mod beta;
mod block;
mod categorical;
mod dirichlet;
mod error;
mod gamma;
mod gaussian;
mod laplace;
mod multivariate_gaussian;
mod poisson;
mod prior;
mod quadrature;
mod quantile;
pub mod special;
mod student_t;
mod uniform;
mod univariate;
mod von_mises;
mod von_mises_fisher;

pub use beta::Beta;
pub use categorical::{Categorical, CategoricalPacked, CategoricalScratch, CategoricalStats};
pub use dirichlet::Dirichlet;
pub use error::ParameterError;
pub use gamma::Gamma;
pub use gaussian::{Gaussian, GaussianPacked, GaussianStats};
pub use laplace::{Laplace, LaplacePacked, LaplaceStats};
pub use multivariate_gaussian::{
    CovarianceStructure, MultivariateGaussian, MultivariateGaussianPacked,
    MultivariateGaussianScratch, MultivariateGaussianStats, ParseStructureError, Sharing,
};
pub use poisson::{Poisson, PoissonPacked, PoissonScratch, PoissonStats};
pub use prior::{NormalInverseGamma, NormalInverseWishart, VonMisesFisherPrior};
pub use student_t::{StudentT, StudentTPacked, StudentTScratch, StudentTStats};
pub use uniform::{Uniform, UniformPacked};
pub use univariate::{Number, Univariate};
pub use von_mises::{VonMises, VonMisesPacked, VonMisesScratch, VonMisesStats};
pub use von_mises_fisher::{
    Directions, VonMisesFisher, VonMisesFisherPacked, VonMisesFisherScratch, VonMisesFisherStats,
};
