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
//! | [`Bernoulli`] | `&[bool]` | |
//! | [`Binomial`] | `&[u64]` successes | |
//! | [`BetaBinomial`] | `&[u64]` successes | |
//! | [`Geometric`] | `&[u64]` failures | |
//! | [`NegativeBinomial`] | `&[u64]` counts | |
//! | [`ZeroInflated`] of one of these | `&[u64]` counts | |
//! | [`Poisson`] | `&[u64]` counts | [`Gamma`] |
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

mod bernoulli;
mod beta;
mod beta_binomial;
mod binomial;
mod block;
mod categorical;
mod dirichlet;
mod error;
mod gamma;
mod gaussian;
mod geometric;
mod multivariate_gaussian;
mod negative_binomial;
mod poisson;
mod prior;
mod quantile;
pub mod special;
mod spread;
mod tally;
mod univariate;
mod zero_inflated;

pub use bernoulli::{Bernoulli, BernoulliPacked, BernoulliStats};
pub use beta::Beta;
pub use beta_binomial::{BetaBinomial, BetaBinomialPacked, BetaBinomialScratch, BetaBinomialStats};
pub use binomial::{Binomial, BinomialPacked, BinomialScratch, BinomialStats};
pub use categorical::{Categorical, CategoricalPacked, CategoricalScratch, CategoricalStats};
pub use dirichlet::Dirichlet;
pub use error::ParameterError;
pub use gamma::Gamma;
pub use gaussian::{Gaussian, GaussianPacked, GaussianStats};
pub use geometric::{Geometric, GeometricPacked, GeometricScratch, GeometricStats};
pub use multivariate_gaussian::{
    CovarianceStructure, MultivariateGaussian, MultivariateGaussianPacked,
    MultivariateGaussianScratch, MultivariateGaussianStats, ParseStructureError, Sharing,
};
pub use negative_binomial::{
    NegativeBinomial, NegativeBinomialPacked, NegativeBinomialScratch, NegativeBinomialStats,
};
pub use poisson::{Poisson, PoissonPacked, PoissonScratch, PoissonStats};
pub use prior::{NormalInverseGamma, NormalInverseWishart};
pub use univariate::{Number, Univariate};
pub use zero_inflated::{
    Counts, ZeroInflated, ZeroInflatedPacked, ZeroInflatedScratch, ZeroInflatedStats,
};
