//! Why there are no standard errors.

use crate::{DataError, EStepError, EstimateError};

/// Why a fit has no standard errors. Parameters are named as
/// [`FlatModel::for_each_parameter`](crate::FlatModel::for_each_parameter) names them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UncertaintyError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The parameters cannot explain the data.
    #[error("at the parameters: {0}")]
    EStep(#[from] EStepError),
    /// No parameters could be made, or an M-step next to the maximum failed.
    #[error(transparent)]
    Estimate(#[from] EstimateError),
    /// The coordinates are not those of the free parameters.
    #[error(
        "{written} coordinates for {free} free parameters: every family must write the coordinates of all its components together, what they share once"
    )]
    Coordinates {
        /// Coordinates that the model writes.
        written: usize,
        /// Free parameters that it counts.
        free: usize,
    },
    /// The objective, or the expected log-likelihood, is not finite at the parameters.
    #[error(
        "the objective is {value} at the parameters; check the fit, and 0 · ln 0 in a model of your own"
    )]
    NotFinite {
        /// What it is.
        value: f64,
    },
    /// Derivatives are not finite.
    #[error("a derivative with respect to {parameter} is not finite; check the fit")]
    NoDerivative {
        /// The parameter.
        parameter: String,
    },
    /// The data say nothing about a parameter, or about a combination of parameters.
    #[error(
        "the data do not identify {parameter}: curvature {curvature:.1e} of its complete-data value; use fewer components, or add a prior"
    )]
    NotIdentified {
        /// The parameter that moves most in the flat direction.
        parameter: String,
        /// Observed information along it, relative to that of complete data (1 where nothing is missing).
        curvature: f64,
    },
    /// The objective rises from the parameters: a saddle point, or a minimum in some direction.
    #[error(
        "the parameters are no maximum: the objective rises when {parameter} moves (relative curvature {curvature:.1e}); fit from other starts"
    )]
    NotMaximum {
        /// The parameter that moves most in the direction of the rise.
        parameter: String,
        /// Observed information along it, relative to that of complete data.
        curvature: f64,
    },
    /// The gradient is not zero: the fit stopped too early, or had another objective.
    #[error(
        "the parameters are {distance:.2} standard errors away from where the objective is largest, mostly in {parameter}; fit to a tighter tolerance, with the same data, prior and weights"
    )]
    NotStationary {
        /// Length of the Newton step, in standard errors.
        distance: f64,
        /// The parameter that it moves most.
        parameter: String,
    },
    /// Louis' formula needs data in which nothing but the labels is hidden.
    #[error(
        "values are missing in the data, whose share in the missing information has no closed form here; use Oakes' identity"
    )]
    Incomplete,
}

impl UncertaintyError {
    /// The same error with its unit counted from `start` units earlier.
    pub(super) fn offset(self, start: usize) -> Self {
        match self {
            Self::EStep(error) => Self::EStep(error.offset(start)),
            other => other,
        }
    }
}
