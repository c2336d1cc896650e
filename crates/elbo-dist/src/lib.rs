//! Probability distributions with weighted sufficient statistics, conjugate priors and special functions.
//!
//! Each distribution is a [`Family`]: it scores and absorbs weighted batches, so that the same
//! type is a mixture component, an HMM emission or a factor of something larger. Each prior is a
//! [`ConjugatePrior`] and, with data added, the posterior.
//!
//! One call estimates a distribution from weighted data:
//!
//! ```
//! use elbo_dist::{StudentT, Weighted, fit_single};
//!
//! let x = [0.3, -1.2, 0.8, 0.1, 25.0, -0.4, 0.6, -0.9];
//! let w = [1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0];
//! let fit = fit_single(StudentT::new(0.0, 1.0, 4.0)?, Weighted::new(&x[..], &w)?)?;
//! assert!(fit.params.location().abs() < 0.5); // one outlier does not move it
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Step by step, a Gaussian without and with a prior:
//!
//! ```
//! use elbo_dist::{ConjugatePrior, Family, Gaussian, NormalInverseGamma};
//!
//! let mut gaussian = Gaussian::new(0.0, 1.0)?;
//! let mut stats = gaussian.new_stats();
//! gaussian.observe(&mut stats, &[1.0, 2.0, 6.0], &[1.0, 1.0, 0.5]);
//! gaussian.clone().maximize(&stats, &mut gaussian).unwrap();
//! assert_eq!(gaussian.mean(), 2.4);
//!
//! let prior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0)?;
//! let mut posterior = prior;
//! ConjugatePrior::<Gaussian>::posterior(&prior, &stats, &mut posterior).unwrap();
//! posterior.mode_into(&mut gaussian).unwrap();
//! assert!((gaussian.mean() - 6.0 / 3.5).abs() < 1e-15);
//! # Ok::<(), elbo_dist::ParameterError>(())
//! ```
//!
//! # Families
//!
//! | family | observations | prior |
//! |---|---|---|
//! | [`Bernoulli`] | `&[bool]` | [`Beta`] |
//! | [`Binomial`] | `&[u64]` successes | [`Beta`] |
//! | [`BetaBinomial`] | `&[u64]` successes | |
//! | [`Geometric`] | `&[u64]` failures | [`Beta`] |
//! | [`Poisson`] | `&[u64]` counts | [`Gamma`] |
//! | [`NegativeBinomial`] | `&[u64]` counts | |
//! | [`ZeroInflated`] of one of these | `&[u64]` counts | |
//! | [`Categorical`] | `&[u32]` codes | [`Dirichlet`], [`StickBreaking`] |
//! | [`Multinomial`] | [`Rows`] of counts | [`Dirichlet`] |
//! | [`DirichletMultinomial`] | [`Rows`] of counts | |
//! | [`Gaussian`] | `&[f64]` | [`NormalInverseGamma`], [`NormalGamma`] |
//! | [`StudentT`], [`Laplace`], [`Uniform`] | `&[f64]` | |
//! | [`VonMises`] | `&[f64]` angles | [`VonMisesFisherPrior`] |
//! | [`Exponential`] | `&[f64]` from 0 on | [`Gamma`] |
//! | [`LogNormal`] | `&[f64]` above 0 | [`NormalInverseGamma`] of `ln x` |
//! | [`Gamma`], [`InverseGamma`], [`Weibull`] | `&[f64]` above 0 | |
//! | [`Beta`] | `&[f64]` between 0 and 1 | |
//! | [`Dirichlet`] | [`Rows`] of shares | |
//! | [`MultivariateGaussian`] | [`Rows`] | [`NormalInverseWishart`] |
//! | [`LowRankGaussian`], [`MultivariateStudentT`] | [`Rows`] | |
//! | [`UniformBox`], noise | [`Rows`] | itself: nothing is estimated |
//! | [`VonMisesFisher`] | [`Rows`] of norm 1 | [`VonMisesFisherPrior`] |
//! | [`Wishart`], [`InverseWishart`] | [`Rows`] of matrices | |
//! | [`LinearGaussian`] | pairs of [`Rows`]: covariates, responses | [`MatrixNormalInverseWishart`] |
//! | [`LogisticRegression`] | [`Rows`] and `&[bool]` | [`Ridge`], an estimator |
//! | [`PoissonRegression`] | [`Rows`] and `&[u64]` counts | [`Ridge`], an estimator |
//! | [`SoftmaxRegression`] | [`Rows`] and `&[u32]` codes | |
//! | [`Independent`], one of the above for each column | [`Rows`] of mixed type | [`IndependentPrior`] |
//!
//! # Priors
//!
//! A prior and the posterior are one type: data add to it. Each has its mode (MAP), expectations, a KL divergence and
//! draws (variational Bayes); as [`Evidence`] it knows what the data are worth and what comes next,
//! and as [`EmpiricalBayes`] it is learned from the posteriors of components that share it.
//!
//! | prior | of | mode and density in | predicts | pseudo-counts |
//! |---|---|---|---|---|
//! | [`Dirichlet`] | [`Categorical`], [`Multinomial`] | `p` | `αₓ/Σα`, Dirichlet-multinomial | `αₓ` of category `x` |
//! | [`StickBreaking`] | [`Categorical`] | sticks `v` | `E[pₓ]` | `aⱼ` of category `j`, `bⱼ` of later ones |
//! | [`Beta`] | [`Bernoulli`], [`Binomial`], [`Geometric`] | `p` | `a/(a + b)`, beta-binomial, beta-geometric | `a` successes, `b` failures |
//! | [`Gamma`] | [`Poisson`] | `λ` | negative binomial | `a` events in `b` observations |
//! | [`Gamma`] | [`Exponential`] | `λ` | Lomax | `a` observations that add up to `b` |
//! | [`NormalInverseGamma`] | [`Gaussian`], [`LogNormal`] | `μ, σ²` | Student's t, `2a` degrees of freedom, or its exponential | `κ` of the mean, `2a` of the variance `b/a` |
//! | [`NormalGamma`] | [`Gaussian`] | `μ, 1/σ²` | the same | the same |
//! | [`NormalInverseWishart`] | [`MultivariateGaussian`] | `μ, Σ` | multivariate t; one per column if diagonal | `κ` of the mean, `ν` of the scale `Ψ/ν` |
//! | [`MatrixNormalInverseWishart`] | [`LinearGaussian`] | `B, Σ` | multivariate t | `K` of the coefficients, `ν` of the scale `Ψ/ν` |
//! | [`VonMisesFisherPrior`] | [`VonMisesFisher`], [`VonMises`] | `μ, κ` | by quadrature | `c` unit vectors that add up to `β₀m₀` |
//!
//! Pseudo-counts are those of expectations. A mode counts `αₓ − 1` where they are `αₓ`, and there is none where less than
//! nothing would be counted: that is [`EstimateError::NoMode`], never a clamp. Which
//! coordinates a mode is taken in is part of a prior: the same distribution has other modes in others.
//!
//! A type that is the prior of several families ([`Gamma`], [`Beta`], [`Dirichlet`], [`NormalInverseGamma`]) needs to be told which one is meant:
//! `ConjugatePrior::<Poisson>::posterior(&prior, …)`.
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
//! - **rayon** (off): [`fit_single`] sums over the data on the current rayon pool; the same bits on any number of threads.
//! - **serde** (off): `Serialize` and `Deserialize`; parameters and priors come in through their checked constructors.

mod bernoulli;
mod beta;
mod beta_binomial;
mod binomial;
mod block;
mod categorical;
mod counts;
mod deviance;
mod dirichlet;
mod dirichlet_multinomial;
mod draws;
mod error;
mod exponential;
mod gamma;
mod gaussian;
mod geometric;
mod independent;
mod inverse_gamma;
mod inverse_wishart;
mod laplace;
mod linear;
mod log_normal;
mod low_rank_gaussian;
mod multinomial;
mod multivariate_gaussian;
mod multivariate_student_t;
mod negative_binomial;
mod poisson;
mod prior;
mod quadrature;
mod quantile;
mod regression;
pub mod special;
mod spread;
mod student_t;
mod support;
mod tally;
mod uniform;
mod uniform_box;
mod univariate;
mod von_mises;
mod von_mises_fisher;
mod weibull;
mod wishart;
mod zero_inflated;

pub use elbo_core::{
    ConjugatePrior, DataError, Draw, EmpiricalBayes, EstimateError, Evidence, Family, Fit,
    FitError, FlatParameters, OwnedRows, Rows, Statistics, Weighted, fit_single,
};

pub use bernoulli::{Bernoulli, BernoulliPacked, BernoulliStats};
pub use beta::{Beta, BetaPacked, BetaScratch, BetaStats};
pub use beta_binomial::{BetaBinomial, BetaBinomialPacked, BetaBinomialScratch, BetaBinomialStats};
pub use binomial::{Binomial, BinomialPacked, BinomialScratch, BinomialStats};
pub use categorical::{Categorical, CategoricalPacked, CategoricalScratch, CategoricalStats};
pub use dirichlet::{Dirichlet, DirichletPacked, DirichletScratch, DirichletStats};
pub use dirichlet_multinomial::{
    DirichletMultinomial, DirichletMultinomialPacked, DirichletMultinomialScratch,
    DirichletMultinomialStats,
};
pub use error::ParameterError;
pub use exponential::{Exponential, ExponentialPacked, ExponentialStats};
pub use gamma::{Gamma, GammaPacked, GammaScratch, GammaStats};
pub use gaussian::{Gaussian, GaussianBlock, GaussianPacked, GaussianStats};
pub use geometric::{Geometric, GeometricPacked, GeometricScratch, GeometricStats};
pub use independent::{
    Column, ColumnPrior, ColumnStats, Independent, IndependentPacked, IndependentPrior,
    IndependentScratch,
};
pub use inverse_gamma::{InverseGamma, InverseGammaScratch};
pub use inverse_wishart::InverseWishart;
pub use laplace::{Laplace, LaplacePacked, LaplaceStats};
pub use log_normal::{LogNormal, LogNormalScratch};
pub use low_rank_gaussian::{LowRankGaussian, LowRankGaussianPacked, LowRankGaussianScratch};
pub use multinomial::{Multinomial, MultinomialPacked, MultinomialScratch, MultinomialStats};
pub use multivariate_gaussian::{
    CovarianceStructure, MultivariateGaussian, MultivariateGaussianPacked,
    MultivariateGaussianScratch, MultivariateGaussianStats, ParseStructureError, Sharing,
};
pub use multivariate_student_t::{
    MultivariateStudentT, MultivariateStudentTPacked, MultivariateStudentTScratch,
    MultivariateStudentTStats,
};
pub use negative_binomial::{
    NegativeBinomial, NegativeBinomialPacked, NegativeBinomialScratch, NegativeBinomialStats,
};
pub use poisson::{Poisson, PoissonPacked, PoissonScratch, PoissonStats};
pub use prior::{
    MatrixNormalInverseWishart, NormalGamma, NormalInverseGamma, NormalInverseWishart,
    StickBreaking, VonMisesFisherPrior,
};
pub use regression::{
    CanonicalLink, CanonicalRegression, LinearGaussian, LinearGaussianPacked,
    LinearGaussianScratch, LinearGaussianStats, LogLinear, Logistic, LogisticRegression,
    PoissonRegression, RegressionPacked, RegressionScratch, RegressionStats, Ridge,
    SoftmaxRegression, SoftmaxRegressionPacked, SoftmaxRegressionScratch, SoftmaxRegressionStats,
};
pub use student_t::{StudentT, StudentTPacked, StudentTScratch, StudentTStats};
pub use uniform::{Uniform, UniformPacked};
pub use uniform_box::{UniformBox, UniformBoxPacked};
pub use univariate::{Number, Univariate};
pub use von_mises::{VonMises, VonMisesPacked, VonMisesScratch, VonMisesStats};
pub use von_mises_fisher::{
    Directions, VonMisesFisher, VonMisesFisherPacked, VonMisesFisherScratch, VonMisesFisherStats,
};
pub use weibull::{Weibull, WeibullPacked, WeibullScratch, WeibullStats};
pub use wishart::{Wishart, WishartPacked, WishartScratch, WishartStats};
pub use zero_inflated::{
    Counts, ZeroInflated, ZeroInflatedPacked, ZeroInflatedScratch, ZeroInflatedStats,
};
