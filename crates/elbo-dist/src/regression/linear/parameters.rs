//! Regressions in files.

use super::LinearGaussian;
use crate::ParameterError;

/// What a file holds: numbers that the constructors check.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    center: Vec<f64>,
    value_at_center: Vec<f64>,
    coefficients: Vec<Vec<f64>>,
    covariance: Vec<f64>,
    has_intercept: bool,
}

impl From<LinearGaussian> for Parameters {
    fn from(line: LinearGaussian) -> Self {
        let coefficients = line.coefficients().chunks_exact(line.covariates());
        Self {
            coefficients: coefficients.map(<[f64]>::to_vec).collect(),
            covariance: line.covariance.values,
            has_intercept: line.has_intercept,
            center: line.plane.center,
            value_at_center: line.plane.value,
        }
    }
}

impl TryFrom<Parameters> for LinearGaussian {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        let slopes = p.coefficients.concat();
        if p.has_intercept {
            return Self::centered(p.center, p.value_at_center, slopes, &p.covariance);
        }
        Self::without_intercept(p.value_at_center.len(), slopes, &p.covariance)
    }
}
