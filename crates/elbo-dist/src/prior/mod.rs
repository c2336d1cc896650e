//! Conjugate priors, which with data added are posteriors.

mod beta;
mod dirichlet;
mod gamma;
pub(crate) mod learning;
mod log_normal;
mod matrix_normal_inverse_wishart;
mod normal_gamma;
mod normal_inverse_gamma;
mod normal_inverse_wishart;
mod stick_breaking;
mod von_mises_fisher;

pub use matrix_normal_inverse_wishart::MatrixNormalInverseWishart;
pub use normal_gamma::NormalGamma;
pub use normal_inverse_gamma::NormalInverseGamma;
pub use normal_inverse_wishart::NormalInverseWishart;
pub use stick_breaking::StickBreaking;
pub use von_mises_fisher::VonMisesFisherPrior;
