//! Conjugate priors, which with data added are posteriors.

mod dirichlet;
mod gamma;
mod normal_inverse_gamma;
mod normal_inverse_wishart;

pub use normal_inverse_gamma::NormalInverseGamma;
pub use normal_inverse_wishart::NormalInverseWishart;
