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
//! | [`LogNormal`] | `&[f64]` above 0 | |
//! | [`Gamma`], [`InverseGamma`], [`Weibull`] | `&[f64]` above 0 | |
//! | [`Exponential`] | `&[f64]` from 0 on | [`Gamma`] |
//! | [`Beta`] | `&[f64]` between 0 and 1 | |
//! | [`MultivariateGaussian`] | [`Rows`](elbo_core::Rows) | [`NormalInverseWishart`] |
//! | [`Categorical`] | `&[u32]` codes | [`Dirichlet`] |
//! | [`Bernoulli`] | `&[bool]` | [`Beta`] |
//! | [`Binomial`] | `&[u64]` successes | [`Beta`] |
//! | [`Geometric`] | `&[u64]` failures | [`Beta`] |
//! | [`Poisson`] | `&[u64]` counts | [`Gamma`] |
//!
//! # Priors
//!
//! A prior and the posterior are one type: data add to it. Each has its mode (MAP), expectations, a KL divergence and draws
//! (variational Bayes); as [`Evidence`](elbo_core::Evidence) it knows what the data are worth and what comes next, and as
//! [`EmpiricalBayes`](elbo_core::EmpiricalBayes) it is learned from the posteriors of components that share it.
//!
//! | prior | of | mode and density in | predicts | pseudo-counts |
//! |---|---|---|---|---|
//! | [`Dirichlet`] | [`Categorical`] | `p` | `αₓ/Σα` | `αₓ` of category `x` |
//! | [`StickBreaking`] | [`Categorical`] | sticks `v` | `E[pₓ]` | `aⱼ` of category `j`, `bⱼ` of later ones |
//! | [`Beta`] | [`Bernoulli`], [`Binomial`], [`Geometric`] | `p` | `a/(a + b)`, beta-binomial, beta-geometric | `a` successes, `b` failures |
//! | [`Gamma`] | [`Poisson`] | `λ` | negative binomial | `a` events in `b` observations |
//! | [`Gamma`] | [`Exponential`] | `λ` | Lomax | `a` observations that add up to `b` |
//! | [`NormalInverseGamma`] | [`Gaussian`] | `μ, σ²` | Student's t, `2a` degrees of freedom | `κ` of the mean, `2a` of the variance `b/a` |
//! | [`NormalGamma`] | [`Gaussian`] | `μ, 1/σ²` | the same | the same |
//! | [`NormalInverseWishart`] | [`MultivariateGaussian`] | `μ, Σ` | multivariate t; one per column if diagonal | `κ` of the mean, `ν` of the scale `Ψ/ν` |
//!
//! Pseudo-counts are those of expectations. A mode counts `αₓ − 1` where they are `αₓ`, and there is none where less than
//! nothing would be counted: that is [`EstimateError::NoMode`](elbo_core::EstimateError::NoMode), never a clamp. Which
//! coordinates a mode is taken in is part of a prior: the same distribution has other modes in others.
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
mod binomial;
mod block;
mod categorical;
mod deviance;
mod dirichlet;
mod error;
mod exponential;
mod gamma;
mod gaussian;
mod geometric;
mod inverse_gamma;
mod log_normal;
mod multivariate_gaussian;
mod poisson;
mod prior;
mod quantile;
pub mod special;
mod spread;
mod support;
mod univariate;
mod weibull;

pub use bernoulli::{Bernoulli, BernoulliPacked, BernoulliStats};
pub use beta::{Beta, BetaPacked, BetaScratch, BetaStats};
pub use binomial::{Binomial, BinomialPacked, BinomialScratch, BinomialStats};
pub use categorical::{Categorical, CategoricalPacked, CategoricalScratch, CategoricalStats};
pub use dirichlet::Dirichlet;
pub use error::ParameterError;
pub use exponential::{Exponential, ExponentialPacked, ExponentialStats};
pub use gamma::{Gamma, GammaPacked, GammaScratch, GammaStats};
pub use gaussian::{Gaussian, GaussianPacked, GaussianStats};
pub use geometric::{Geometric, GeometricPacked, GeometricScratch, GeometricStats};
pub use inverse_gamma::{InverseGamma, InverseGammaScratch};
pub use log_normal::{LogNormal, LogNormalScratch};
pub use multivariate_gaussian::{
    CovarianceStructure, MultivariateGaussian, MultivariateGaussianPacked,
    MultivariateGaussianScratch, MultivariateGaussianStats, ParseStructureError, Sharing,
};
pub use poisson::{Poisson, PoissonPacked, PoissonScratch, PoissonStats};
pub use prior::{NormalGamma, NormalInverseGamma, NormalInverseWishart, StickBreaking};
pub use univariate::{Number, Univariate};
pub use weibull::{Weibull, WeibullPacked, WeibullScratch, WeibullStats};
