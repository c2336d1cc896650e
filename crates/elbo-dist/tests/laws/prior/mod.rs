//! Conjugate priors.

mod dirichlet;
mod gamma;
mod normal_inverse_gamma;
mod normal_inverse_wishart;
mod von_mises_fisher;
