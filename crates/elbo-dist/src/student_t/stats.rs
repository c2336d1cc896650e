//! Tangent statistics of the Student t.

use elbo_core::{EstimateError, Statistics, add_scaled};

/// Weighted statistics of a [`StudentT`](crate::StudentT), taken at a current location `μ₀`, scale `σ₀` and degrees of
/// freedom `ν₀`.
///
/// With `s₀ = ν₀σ₀²`, `q = s₀/(s₀ + (x − μ₀)²)` and, about an origin `c` in units of `τ`, `z = (x − c)/τ`, the sums are
/// `Σw`, `Σwq`, `Σw(1 − q)`, `Σw ln(s₀/(qτ²))`, `Σwqz` and `Σwqz²`: observations and pure numbers. They are taken with
/// `c = μ₀` and `τ² = s₀`; in another unit `q` is in units of `s₀/τ²`. That `q` and its complement are both summed keeps
/// the digits of either, however light or heavy the tails. Rows taken at other parameters may be added: merging moves origin and unit exactly, and sums of
/// tangents are tangents of sums.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StudentTStats {
    center: f64,
    unit: f64,
    sums: [f64; 6],
}

/// Where the sums stand.
const WEIGHT: usize = 0;
const SHARE: usize = 1;
const COMPLEMENT: usize = 2;
const LOG: usize = 3;
const FIRST: usize = 4;

impl StudentTStats {
    /// No data, sums about `center` in units of `unit`.
    pub(super) fn new(center: f64, unit: f64) -> Self {
        Self { center, unit, sums: [0.0; 6] }
    }

    pub(super) fn with_sums(center: f64, unit: f64, sums: [f64; 6]) -> Self {
        Self { center, unit, sums }
    }

    /// Adds sums taken about `origin`, in its unit.
    pub(super) fn add_at(&mut self, origin: (f64, f64), sums: &[f64; 6]) {
        let sums = Self::with_sums(origin.0, origin.1, *sums).about(self.origin());
        add_scaled(&mut self.sums, 1.0, &sums);
    }

    fn origin(&self) -> (f64, f64) {
        (self.center, self.unit)
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[WEIGHT]
    }

    /// `Σwqx / Σwq`, the next location; NaN without data.
    pub fn location(&self) -> f64 {
        self.center + self.unit * (self.sums[FIRST] / self.sums[SHARE])
    }

    /// `Σwq(x − location)² / Σwq`, the square of the next scale; NaN without data.
    pub fn squared_scale(&self) -> f64 {
        self.unit * (self.scatter() / self.sums[SHARE]) * self.unit
    }

    /// `ln (Σwq/Σw) − Σw ln q / Σw ≥ 0`: how far the `q` are from all alike, which the degrees of freedom explain.
    pub fn spread(&self) -> f64 {
        let weight = self.total_weight();
        let light = self.sums[COMPLEMENT] / weight;
        let log_mean =
            if light.abs() < 0.5 { (-light).ln_1p() } else { (self.sums[SHARE] / weight).ln() };
        self.sums[LOG] / weight + log_mean
    }

    fn is_empty(&self) -> bool {
        self.sums.iter().all(|s| *s == 0.0)
    }

    /// `Σwq(x − location)²` in squared units.
    fn scatter(&self) -> f64 {
        let [_, share, .., first, second] = self.sums;
        second - first * (first / share)
    }

    /// Are these statistics of data that determine a location and a scale?
    pub(super) fn check(&self) -> Result<(), EstimateError> {
        let infeasible = Err(EstimateError::Infeasible { component: 0, what: "Student t" });
        let origin_is_finite = self.center.is_finite() && self.unit.is_finite();
        if !(origin_is_finite && self.sums.iter().all(|s| s.is_finite())) {
            return infeasible;
        }
        if self.is_empty() {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        let [weight, share, _, log, _, second] = self.sums;
        if !(weight > 0.0 && share > 0.0 && second >= 0.0) {
            return infeasible;
        }
        let scatter = self.scatter();
        let rounding = RESOLUTION * (1.0 + (log / weight).abs());
        if scatter < -RESOLUTION * second || self.spread() < -rounding {
            return infeasible;
        }
        let variance = self.squared_scale();
        if !(scatter > RESOLUTION * second && variance > 0.0 && variance.is_finite()) {
            return Err(EstimateError::Singular { component: 0, column: 0, variance });
        }
        Ok(())
    }

    /// The same sums about another center and in another unit.
    fn about(&self, (center, unit): (f64, f64)) -> [f64; 6] {
        let (shift, ratio) = ((self.center - center) / self.unit, unit / self.unit);
        if shift == 0.0 && ratio - 1.0 == 0.0 {
            return self.sums;
        }
        let [weight, share, complement, log, first, second] = self.sums;
        [
            weight,
            ratio * ratio * share,
            complement + (1.0 - ratio) * (1.0 + ratio) * share,
            log - 2.0 * ratio.ln() * weight,
            ratio * (first + shift * share),
            second + shift * (2.0 * first + shift * share),
        ]
    }
}

impl Statistics for StudentTStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum)));
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.center));
        see(std::slice::from_ref(&self.unit));
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.center));
        see(std::slice::from_mut(&mut self.unit));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        if self.is_empty() {
            (self.center, self.unit) = other.origin();
        }
        let others = other.about(self.origin());
        add_scaled(&mut self.sums, factor, &others);
    }

    fn align(&mut self, like: &Self) {
        *self = Self::with_sums(like.center, like.unit, self.about(like.origin()));
    }
}

/// What is below this share of `Σwqz²` in a scatter is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;
