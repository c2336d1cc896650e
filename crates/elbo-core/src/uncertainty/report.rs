//! What is known of the uncertainty of a fit.

use std::f64::consts::PI;

use crate::Range;

/// Where the information comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Method {
    /// Differences of the objective: [`hessian`](super::hessian).
    Hessian,
    /// Oakes' identity: [`oakes`](super::oakes).
    Oakes,
    /// Supplemented EM: [`sem`](super::sem).
    Sem,
    /// Louis' formula: [`louis`](super::louis).
    Louis,
}

/// A parameter with its standard error.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ParameterEstimate {
    /// As the model calls it.
    pub name: String,
    /// The estimate, in the unit in which it is reported.
    pub value: f64,
    /// Where it lies, which is the scale of its interval.
    pub range: Range,
    /// Its standard error by the delta method, in the same unit; `None` if it is held at the boundary of its range.
    pub std_error: Option<f64>,
}

impl ParameterEstimate {
    /// The Wald interval of this level: symmetric for [`Range::Real`], for the logarithm of [`Range::Positive`] and for the
    /// log odds of [`Range::Probability`], so that it never leaves the range. `None` if the parameter is held.
    ///
    /// # Panics
    ///
    /// If `level` is not between 0 and 1.
    pub fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let (x, half) = (self.value, normal_half_width(level) * self.std_error?);
        Some(match self.range {
            Range::Real => [x - half, x + half],
            Range::Positive => [-1.0, 1.0].map(|sign| x * (sign * half / x).exp()),
            Range::Probability => [-1.0, 1.0].map(|sign| {
                let odds = x / (1.0 - x) * (sign * half / (x * (1.0 - x))).exp();
                if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
            }),
        })
    }
}

/// Standard errors of a fit, and what they come from.
///
/// The covariance is the inverse of the observed information, that of the objective: of the likelihood under maximum
/// likelihood, of likelihood × prior under MAP, where it is the Laplace approximation of the posterior. Weights of
/// observations count as numbers of observations.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Uncertainty {
    /// How the information was found.
    pub method: Method,
    /// All parameters of the model, in its order.
    pub parameters: Vec<ParameterEstimate>,
    /// Parameters on the boundary of their range, or not to be told from there: held fixed.
    pub held: Vec<String>,
    /// Length of the Newton step that is left to the maximum, in standard errors. Zero at a perfect fit.
    pub distance: f64,
    /// The largest asymmetry of the information before it was made symmetric, relative to that of complete data: an estimate
    /// of the error of differences, and for SEM a test of the M-step. Zero where symmetry is built in.
    pub asymmetry: f64,
    /// The largest fraction of information that is missing, over all directions: the rate at which EM converges.
    /// `None` for [`Method::Hessian`], which knows of no complete data.
    pub missing_fraction: Option<f64>,
    pub(super) coordinates: Vec<f64>,
    pub(super) jacobian: Vec<f64>,
    pub(super) information: Vec<f64>,
    pub(super) covariance: Vec<f64>,
}

impl Uncertainty {
    /// Number of coordinates that are not held.
    pub fn dim(&self) -> usize {
        self.coordinates.len()
    }

    /// The unconstrained coordinates that are not held.
    pub fn coordinates(&self) -> &[f64] {
        &self.coordinates
    }

    /// The observed information of the coordinates, `dim × dim`, row by row.
    pub fn information(&self) -> &[f64] {
        &self.information
    }

    /// The covariance of the coordinates, `dim × dim`, row by row.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// The covariance of the parameters by the delta method, one row and one column for each, in their order; zero for
    /// what is held. Singular where there are more parameters than coordinates.
    pub fn parameter_covariance(&self) -> Vec<f64> {
        let (m, r) = (self.parameters.len(), self.dim());
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        let mut out = vec![0.0; m * m];
        for i in 0..m {
            let slopes = &self.jacobian[i * r..][..r];
            let row: Vec<f64> =
                self.covariance.chunks_exact(r.max(1)).map(|row| dot(row, slopes)).collect();
            for j in 0..m {
                out[i * m + j] = dot(&row, &self.jacobian[j * r..][..r]);
            }
        }
        out
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&ParameterEstimate> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// The `z` with `P(|Z| ≤ z) = level` for a standard normal `Z`: Newton's method on a series that converges everywhere.
///
/// Source: Marsaglia (2004), *Evaluating the normal distribution*, J. Statist. Software 11(4).
fn normal_half_width(level: f64) -> f64 {
    assert!(level > 0.0 && level < 1.0, "a level lies between 0 and 1, {level} does not");
    let density = |z: f64| (2.0 / PI).sqrt() * (-0.5 * z * z).exp();
    let inside = |z: f64| {
        let (mut term, mut sum, mut odd) = (z, z, 1.0);
        while term > 1e-17 * sum {
            odd += 2.0;
            term *= z * z / odd;
            sum += term;
        }
        sum * density(z)
    };
    let mut z: f64 = 0.0;
    for _ in 0..100 {
        // P is concave: steps from the left never overshoot.
        let step = (level - inside(z)) / density(z);
        z += step;
        if step.abs() <= 1e-14 * z {
            break;
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, range: Range) -> ParameterEstimate {
        ParameterEstimate { name: String::new(), value, range, std_error: Some(0.1) }
    }

    #[test]
    fn half_widths_are_those_of_tables() {
        let table = [
            (0.5, 0.674_489_750_196_081_7),
            (0.68, 0.994_457_883_209_753_1),
            (0.95, 1.959_963_984_540_054),
            (0.999_999, 4.891_638_475_699_413),
        ];
        for (level, z) in table {
            assert!((normal_half_width(level) - z).abs() < 1e-9 * z, "{level}");
        }
    }

    #[test]
    fn intervals_respect_ranges_and_agree_where_errors_are_small() {
        for (value, range) in
            [(0.01, Range::Positive), (0.01, Range::Probability), (0.99, Range::Probability)]
        {
            let [low, high] = estimate(value, range).interval(0.95).unwrap();
            assert!(low > 0.0 && low < value && value < high);
            assert!(range == Range::Positive || high < 1.0);
        }
        for range in [Range::Real, Range::Positive, Range::Probability] {
            let small = ParameterEstimate { std_error: Some(1e-6), ..estimate(0.3, range) };
            let [low, high] = small.interval(0.95).unwrap();
            assert!((high - low - 2.0 * 1.959_964e-6).abs() < 1e-11);
        }
    }
}
