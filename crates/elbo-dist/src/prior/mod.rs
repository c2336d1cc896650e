//! Conjugate priors, which with data added are posteriors.

mod dirichlet;
mod gamma;
mod normal_inverse_gamma;
mod normal_inverse_wishart;
mod von_mises_fisher;

pub use normal_inverse_gamma::NormalInverseGamma;
pub use normal_inverse_wishart::NormalInverseWishart;
pub use von_mises_fisher::VonMisesFisherPrior;
