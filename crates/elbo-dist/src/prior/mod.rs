//! Conjugate priors, which with data added are posteriors.

mod dirichlet;
mod gamma;
mod normal_inverse_gamma;
mod normal_inverse_wishart;

pub use dirichlet::Dirichlet;
pub use gamma::Gamma;
pub use normal_inverse_gamma::NormalInverseGamma;
pub use normal_inverse_wishart::NormalInverseWishart;
