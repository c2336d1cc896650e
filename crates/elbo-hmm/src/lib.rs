//! Hidden Markov models whose emission is any distribution, by maximum likelihood, MAP or variational Bayes.
//!
//! A chain of hidden states `z₁, z₂, …` moves by a transition matrix; each state emits an observation from a
//! distribution of its own. Two levels of seismic activity, from counts of earthquakes a year:
//!
//! ```
//! use elbo_hmm::{HmmModel, Poisson, Sequences, Settings, Start};
//!
//! let counts = [13_u64, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14];
//! let data = Sequences::one(&counts[..]);
//! let start = Start::Random { k: 2, runs: 5, template: Poisson::new(1.0)? };
//! let fitted = HmmModel::ml().fit(data, &start, &Settings::default(), &())?;
//! assert!(fitted.report.stopped.is_converged());
//!
//! let mut rates: Vec<f64> = fitted.hmm.emission().iter().map(Poisson::rate).collect();
//! rates.sort_by(f64::total_cmp);
//! assert!(rates[0] < 15.0 && rates[1] > 20.0);
//! let decoded = fitted.hmm.viterbi(data)?;
//! assert_eq!(decoded.states[0], decoded.states[3]);
//! assert_ne!(decoded.states[0], decoded.states[10]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same model under MAP or variational Bayes is [`HmmModel::map`] or [`HmmModel::vb`] with priors; many sequences
//! are [`Sequences::new`]; a model with known parameters is an [`Hmm`], which filters, smooths, decodes and samples.
//!
//! # Should I use this crate?
//!
//! For series whose law switches between a few regimes, and for labeling steps in sequence: yes. Where the order of
//! observations says nothing, a mixture has fewer parameters (`elbo-mixture`). Where the hidden state is a continuous
//! quantity, or stays for a time that is far from geometric, other models are needed.
//!
//! # Exactness
//!
//! Messages are scaled, and emission densities taken relative to the largest of their step, so that sequences may be of
//! any length. No path is lost in silence: where the scaled recursion cannot prove that what underflows is harmless,
//! the block of 256 steps is done again with logarithms. A step that nothing can explain is
//! [`EStepError::ImpossibleStep`], naming sequence and step.
//!
//! # Notation
//!
//! `π` initial law, `A` transition matrix, `b` emission densities; `α`, `β` forward and backward messages;
//! `γₜⱼ = p(zₜ = j ∣ x)`, `ξₜᵢⱼ = p(zₜ = i, zₜ₊₁ = j ∣ x)`; `k` states, `T` steps, `n` steps of all sequences. All
//! logarithms are natural.
//!
//! # Sources
//!
//! Baum, Petrie, Soules & Weiss (1970), Ann. Math. Statist. 41(1); Rabiner (1989), Proc. IEEE 77(2); variational Bayes:
//! Beal (2003), *Variational algorithms for approximate Bayesian inference*, chapter 3; sampling of paths: Scott
//! (2002), JASA 97(457).
//!
//! # Crate features
//!
//! - **rayon** (on): sequences and restarts run on the current rayon thread pool; results do not depend on it.
//! - **serde** (off): `Serialize` and `Deserialize` for [`Hmm`], through its checked constructor.

mod chain;
mod fit;
mod hmm;
mod kernels;
mod messages;
mod model;
mod questions;
mod sequences;
mod stationary;
mod uncertainty;

pub use elbo_core::{
    Batch, CancelToken, DataError, EStepError, EstimateError, Event, FitError, LatentModel,
    MaximumAPosteriori, MaximumLikelihood, Observer, Priors, Report, Rows, Scored, Settings,
    Stopped, Tolerance, Uncertainty, UncertaintyError, Variant, VariationalBayes,
};
pub use elbo_dist::{
    Categorical, CovarianceStructure, Dirichlet, Gamma, Gaussian, MultivariateGaussian,
    NormalInverseGamma, NormalInverseWishart, ParameterError, Poisson,
};
pub use fit::{Fitted, Start};
pub use hmm::{Decoded, Hmm, HmmError};
pub use messages::HmmScratch;
pub use model::{HmmModel, HmmParams, HmmStats, sticky_rows};
pub use sequences::{Sequences, SequencesSource};
