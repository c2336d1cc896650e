//! Conjugate priors, which with data added are posteriors.

mod dirichlet;
mod gamma;
mod matrix_normal_inverse_wishart;
mod normal_inverse_gamma;
mod normal_inverse_wishart;

pub use matrix_normal_inverse_wishart::MatrixNormalInverseWishart;
pub use normal_inverse_gamma::NormalInverseGamma;
pub use normal_inverse_wishart::NormalInverseWishart;
