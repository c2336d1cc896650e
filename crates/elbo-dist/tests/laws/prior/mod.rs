//! Conjugate priors.

mod beta;
mod dirichlet;
mod exponential;
mod gamma;
mod log_normal;
mod normal_gamma;
mod normal_inverse_gamma;
mod normal_inverse_wishart;
mod stick_breaking;
mod von_mises_fisher;

/// What a hyper-parameter is multiplied by to get a neighbor: near enough to show where a sum of divergences is flat,
/// and far.
pub(crate) const FACTORS: [f64; 6] = [1.0 - 1e-5, 1.0 + 1e-5, 0.999, 1.001, 0.7, 1.4];
