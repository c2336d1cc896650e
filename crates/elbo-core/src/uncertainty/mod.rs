//! Standard errors and confidence intervals of fitted models.
//!
//! The covariance of an estimate is about the inverse of the observed information `−∂²ℓ/∂φ²` at the maximum, in unconstrained
//! coordinates `φ` of the parameters. EM never forms it; four ways lead there, each written once for all models:
//!
//! | way | needs of the model | cost | error |
//! |---|---|---|---|
//! | [`hessian`] | coordinates ([`FlatModel`]) | about `2p²` E-steps | differences of `ℓ`: `10⁻⁹` to `10⁻⁶` |
//! | [`oakes`] | and `Q(θ′; s)` ([`CompleteDataModel`]) | `2p` E-steps | first differences: `10⁻⁶` |
//! | [`sem`] | and an M-step that maximizes `Q` | `2p` EM steps | the same |
//! | [`louis`] | and score variances ([`LouisModel`]) | 2 passes | that of `∂²Q/∂θ′²`, `10⁻⁸` |
//!
//! Errors are relative to the information of complete data, for a parameter about which there are some ten observations
//! or more. [`oakes`] is the way to take where a model offers it; [`hessian`] serves every model with coordinates.
//!
//! The result is an [`Uncertainty`]: parameters by name with standard errors (delta method) and intervals that respect their
//! range. Parameters on the boundary (a probability of zero) have no standard error: they are held and listed. What the
//! data do not identify, and points that are no maximum, are errors that name the parameter.
//!
//! Standard errors describe one maximum. They say nothing of other maxima, of the relabeling of components, of
//! whether the model is right; they are unreliable where components overlap so much that the likelihood is far from
//! quadratic, and they mean nothing for a spurious maximum of an unbounded likelihood.

mod differences;
mod error;
mod finish;
mod flat;
mod free;
mod local;
mod matrix;
mod report;
mod routes;

pub use error::UncertaintyError;
pub use flat::{CompleteDataModel, FlatModel, LouisModel};
pub use free::{score_free, with_free, write_free};
pub use report::{Method, ParameterEstimate, Uncertainty};
pub use routes::{hessian, louis, oakes, sem};
