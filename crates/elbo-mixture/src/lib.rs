//! Finite mixtures of any distribution, by maximum likelihood, MAP or variational EM.
//!
//! ```
//! use elbo_mixture::{CovarianceStructure, GaussianMixture, Rows};
//!
//! // Two groups in the plane, row after row.
//! let data = [1.0, 2.0, 1.2, 1.9, 0.8, 2.3, 1.1, 2.2, 7.0, 5.0, 7.3, 5.1, 6.8, 4.7, 7.1, 5.2];
//! let rows = Rows::new(&data, 8, 2);
//! let fitted = GaussianMixture::new(2).structure(CovarianceStructure::EEI).fit(rows.into())?;
//!
//! let labels = fitted.mixture.labels(rows)?;
//! assert_ne!(labels[0], labels[7]);
//! println!("BIC {:.2} after {} iterations", fitted.bic(), fitted.report.iterations);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`GaussianMixture`] is the builder for Gaussian components; [`MixtureModel`] is the mixture of *any*
//! [`Family`](elbo_core::Family), estimated by any [`Estimator`](elbo_core::Estimator): one implementation for all.
//!
//! # Should I use this crate?
//!
//! To find groups in rows that have no order, or to describe a density: yes. If rows follow each other in time, take
//! `elbo-hmm`. If you only need centers and hard labels on very large data, [`KMeans`] is cheaper.
//!
//! # Notation
//!
//! `n` rows, `d` columns, `k` components; `πⱼ` weights, `θⱼ` components, `γᵢⱼ = p(zᵢ = j ∣ xᵢ)` responsibilities, `ℓ`
//! log-likelihood in nats.
//!
//! # Crate features
//!
//! - **rayon** (on): E-steps and restarts run on the current rayon pool, with the same bits on any number of threads.
//! - **serde** (off): `Serialize` and `Deserialize` for mixtures.

mod conditional;
mod family;
mod fitted;
mod gaussian;
mod groups;
mod hierarchy;
mod kmeans;
mod known;
mod merging;
mod mixture;
mod model;
mod moves;
mod noise;
mod predictive;
mod start;
mod uncertainty;

pub use elbo_core::{
    Acceleration, CancelToken, Criterion, DataError, Either, EstimateError, Event, FitError, Folds,
    Label, Observer, Report, Rows, Scored, Settings, Stopped, Tolerance, Uncertainty,
    UncertaintyError, Variant, Weighted,
};
pub use elbo_dist::{
    Categorical, CovarianceStructure, Dirichlet, Gaussian, MultivariateGaussian,
    NormalInverseWishart, Poisson, StickBreaking, UniformBox,
};
pub use family::{MixtureFamilyScratch, MixturePacked};
pub use fitted::{Fitted, MixtureRestarts, Start};
pub use gaussian::{
    Estimation, GaussianMixture, GaussianObserver, GaussianSelection, MapParams, MlParams,
    VbParams, WeightPrior,
};
pub use hierarchy::Hierarchy;
pub use kmeans::{
    Centers, CentersError, Comparisons, ExactKMeans, FittedKMeans, KMeans, KMeansParams, Spread,
    exact_kmeans,
};
pub use merging::{Merger, Merging};
pub use mixture::{Mixture, MixtureError};
pub use model::{MixtureModel, MixtureParams, MixtureScratch, MixtureStats};
pub use noise::{GaussianOrNoise, NoisyGaussianMixture};
