//! Why numbers are not the parameters of a distribution.

/// Why a distribution, or a prior, cannot have these parameters.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// A parameter is NaN or infinite.
    #[error("the {parameter} is {value}; it must be a finite number")]
    NotFinite {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
    },
    /// A parameter that must be positive is not.
    #[error("the {parameter} is {value}; it must be positive and finite")]
    NotPositive {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
    },
    /// A parameter that cannot be negative is, or is not finite.
    #[error("the {parameter} is {value}; it must be finite and not negative")]
    Negative {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
    },
    /// A probability that is none.
    #[error("the {parameter} is {value}; it must lie between 0 and 1")]
    NotProbability {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
    },
    /// One number among several is outside its range.
    #[error("number {index} of the {parameter} is {value}, which is out of range")]
    Entry {
        /// Which parameter.
        parameter: &'static str,
        /// Place, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// Probabilities that do not sum to one.
    #[error("the {parameter} sum to {sum}, not to 1; normalize them first")]
    Sum {
        /// Which parameter.
        parameter: &'static str,
        /// Their sum.
        sum: f64,
    },
    /// A list of another length than the distribution needs.
    #[error("the {parameter} holds {found} numbers where {expected} are needed")]
    Length {
        /// Which parameter.
        parameter: &'static str,
        /// Numbers needed.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A symmetric matrix that must be positive definite is not.
    #[error(
        "the {parameter} is not positive definite: given the columns before it, column {column} has variance {variance:e}"
    )]
    NotPositiveDefinite {
        /// Which parameter.
        parameter: &'static str,
        /// The column at which the factorization fails.
        column: usize,
        /// What is left of its variance.
        variance: f64,
    },
}

/// `value` if it is finite.
pub(crate) fn finite(parameter: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value.is_finite() { Ok(value) } else { Err(ParameterError::NotFinite { parameter, value }) }
}

/// `value` if it is positive and finite.
pub(crate) fn positive(parameter: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(ParameterError::NotPositive { parameter, value })
    }
}

/// `value` if it is finite and not negative.
pub(crate) fn not_negative(parameter: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value >= 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(ParameterError::Negative { parameter, value })
    }
}

/// `value` if it lies between 0 and 1.
pub(crate) fn probability(parameter: &'static str, value: f64) -> Result<f64, ParameterError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(ParameterError::NotProbability { parameter, value })
    }
}
