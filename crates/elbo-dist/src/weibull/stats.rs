//! Sums of Weibull variables about current parameters, and the step that they allow.

use std::f64::consts::PI;

use elbo_core::{EstimateError, Statistics, add_scaled};

/// Weighted statistics of a [`Weibull`](crate::Weibull) about a shape `k₀` and a scale `λ₀`: `Σw`, `Σwz`, `Σw e^z`,
/// `Σw z e^z`, `Σw z² e^z` and `Σw e^2z`, `z = k₀ ln(x/λ₀)`.
///
/// All are in observations. Statistics taken at the same parameters add up exactly. Those taken at different ones are added
/// number by number, each in the coordinates of its own parameters, which is an approximation that gets exact as parameters
/// settle; statistics of nothing take over the other's parameters.
///
/// # The bound
///
/// The likelihood at shape `k₀ (1 + s)` and its best scale depends on the data through `M(s) = E[e^(s y)]`, `y = z − E[z]`,
/// with expectations under weights `w e^z`. Third-order remainders `R(x) = e^x − 1 − x − x²/2 = x³ ρ(x)` have a positive
/// and increasing `ρ`, so that `R(s y) ≤ |s|³ R(±y)` for `0 ≤ ±s ≤ 1` and either sign of `y`. Hence
/// `M(s) ≤ 1 + ½ s² E[y²] + |s|³ E[R(±y)]`, where `E[e^y]` comes from `Σw e^2z` and `E[e^−y]` from `Σw`. At `s = 0` and
/// `s = ±1` the bound is exact, at 0 with two derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WeibullStats {
    shape: f64,
    scale: f64,
    pub(super) sums: [f64; 6],
}

impl WeibullStats {
    /// No data, about these parameters.
    pub(super) fn new(shape: f64, scale: f64) -> Self {
        Self { shape, scale, sums: [0.0; 6] }
    }

    /// Of `weight` ideal observations: `e^z` is exponential, so that these are moments of `ln E` and `E`.
    pub(super) fn expected(shape: f64, scale: f64, weight: f64) -> Self {
        let first = 1.0 - EULER; // ψ(2)
        let second = PI * PI / 6.0 - 1.0 + first * first; // ψ′(2) + ψ(2)²
        let sums = [1.0, -EULER, 1.0, first, second, 2.0].map(|sum| weight * sum);
        Self { shape, scale, sums }
    }

    /// The shape `k₀` and the scale `λ₀` at which these were taken.
    pub fn origin(&self) -> (f64, f64) {
        (self.shape, self.scale)
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// Shape and scale after a step that does not lower the likelihood.
    ///
    /// # Errors
    ///
    /// [`EstimateError::Infeasible`], [`EstimateError::NoWeight`], [`EstimateError::Boundary`] where all observations are equal
    /// up to rounding.
    pub(super) fn step(&self) -> Result<(f64, f64), EstimateError> {
        let infeasible = EstimateError::Infeasible { component: 0, what: "Weibull distribution" };
        let [weight, _, power, _, squares, twice] = self.sums;
        if weight == 0.0 && self.sums.iter().all(|sum| *sum == 0.0) {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        // Powers of twice the shape may overflow where the others do not.
        let finite = self.sums[..5].iter().all(|sum| sum.is_finite());
        if !(finite && weight > 0.0 && power > 0.0 && squares >= 0.0 && twice > 0.0) {
            return Err(infeasible);
        }
        let bound = Bound::of(&self.sums);
        let size = squares / power;
        let (resolved, least) = (RESOLUTION * size, (RESOLUTION * self.shape).powi(2));
        let gap = bound.tilt_mean - bound.mean; // positive by Jensen's inequality
        let gap_resolved = RESOLUTION * (bound.tilt_mean.abs() + bound.mean.abs());
        if !(bound.variance >= -resolved && gap >= -gap_resolved) {
            return Err(infeasible);
        }
        if bound.variance <= resolved.max(least) && gap <= gap_resolved.max(least) {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "shape",
                limit: "infinity",
                cure: "all its observations are equal: use fewer components or leave them out",
            });
        }
        let s = bound.best();
        let shape = self.shape * (1.0 + s);
        let log_power = (power / weight).ln() + s * bound.tilt_mean + bound.moment(s).0.ln();
        let scale = self.scale * (log_power * (self.shape / shape) / self.shape).exp();
        if shape > 0.0 && shape.is_finite() && scale > 0.0 && scale.is_finite() {
            Ok((shape, scale))
        } else {
            Err(infeasible)
        }
    }
}

/// What is below this share of the sums is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// Euler's constant `γ = −ψ(1)`.
pub(super) const EULER: f64 = 0.577_215_664_901_532_9;

impl Statistics for WeibullStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // six sizes, six parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.shape));
        see(std::slice::from_ref(&self.scale));
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.shape));
        see(std::slice::from_mut(&mut self.scale));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        if self.sums.iter().all(|s| *s == 0.0) {
            (self.shape, self.scale) = (other.shape, other.scale);
        }
        add_scaled(&mut self.sums, factor, &other.sums);
    }

    fn align(&mut self, like: &Self) {
        (self.shape, self.scale) = (like.shape, like.scale);
    }
}

/// The lower bound on the mean log-likelihood at shape `k₀ (1 + s)`, `−1 < s ≤ 1`, and its best scale.
struct Bound {
    /// `E[z]` under the weights.
    mean: f64,
    /// `E[z]` under the weights times `e^z`.
    tilt_mean: f64,
    /// `E[y²]`.
    variance: f64,
    /// `E[R(y)]` and `E[R(−y)]`; the first may be infinite.
    remainders: [f64; 2],
}

impl Bound {
    fn of(&[weight, first, power, tilted, squares, twice]: &[f64; 6]) -> Self {
        let tilt_mean = tilted / power;
        let variance = squares / power - tilt_mean * tilt_mean;
        let below_third = 1.0 + 0.5 * variance;
        let remainders = [
            (twice / power) * (-tilt_mean).exp() - below_third,
            (weight / power) * tilt_mean.exp() - below_third,
        ];
        Self { mean: first / weight, tilt_mean, variance, remainders }
    }

    /// The bound on `M(s)`, and its derivative.
    fn moment(&self, s: f64) -> (f64, f64) {
        let (size, remainder) = (s.abs(), self.remainders[usize::from(s < 0.0)]);
        // 0 times an infinite remainder is 0 here
        let cubic = if size == 0.0 { 0.0 } else { size * remainder };
        let value = 1.0 + s * s * (0.5 * self.variance + cubic);
        (value, s * (self.variance + 3.0 * cubic))
    }

    /// What `s` adds to the bound.
    fn gain(&self, s: f64) -> f64 {
        s.ln_1p() + s * (self.mean - self.tilt_mean) - self.moment(s).0.ln()
    }

    /// A point to which the bound rises from 0: where it has its first maximum, up to rounding.
    fn best(&self) -> f64 {
        let slope = |s: f64| {
            let (value, derivative) = self.moment(s);
            (1.0 + s).recip() + (self.mean - self.tilt_mean) - derivative / value
        };
        let sign = if slope(0.0) >= 0.0 { 1.0 } else { -1.0 };
        // To the left the slope ends at +∞; to the right the end may be the best point.
        if sign > 0.0 && slope(1.0) >= 0.0 && self.gain(1.0) >= 0.0 {
            return 1.0;
        }
        let (mut near, mut far) = (0.0, sign);
        for _ in 0..80 {
            let middle = 0.5 * (near + far);
            if sign * slope(middle) > 0.0 {
                near = middle;
            } else {
                far = middle; // or NaN, where the bound is infinite
            }
        }
        // A later maximum may lie lower; below 10⁻⁵ there is only one, and gains are rounding.
        while near.abs() > 1e-5 && self.gain(near) < 0.0 {
            near *= 0.5;
        }
        near
    }
}
