//! Sums of directions.

use elbo_core::{EstimateError, Statistics, add_scaled};

use super::{dot, half_square};
use crate::special::inverse_mean_resultant_length_of_pair;

/// How long a mean vector is, and how far from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resultant {
    weight: f64,
    /// `|Σwx| / Σw`.
    pub(crate) length: f64,
    /// One less that.
    pub(crate) complement: f64,
    /// What rounding leaves of the complement.
    rounding: f64,
}

impl Resultant {
    /// From `Σw`, `|Σwx|`, `Σw½|x − c|²` and `|Σw(x − c)|`, for unit vectors about a unit origin:
    /// `w² − |Σwx|² = 2w Σw½|x − c|² − |Σw(x − c)|²`.
    pub(crate) fn new(weight: f64, sum: f64, rest: f64, shift: f64) -> Self {
        let size = weight * (weight + sum);
        let complement = (2.0 * weight * rest - shift * shift) / size;
        let rounding =
            RESOLUTION * (2.0 * weight * rest / size).abs() + 16.0 * f64::EPSILON.powi(2);
        Self { weight, length: sum / weight, complement, rounding }
    }

    fn is_feasible(&self) -> bool {
        let finite = self.length.is_finite() && self.complement.is_finite();
        let short = self.complement >= -self.rounding && self.length <= 1.0 + RESOLUTION;
        self.weight > 0.0 && finite && short
    }

    /// `κ` with this mean resultant length in `d` dimensions.
    pub(crate) fn concentration(&self, d: usize, what: &'static str) -> Result<f64, EstimateError> {
        if self.weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        if !self.is_feasible() {
            return Err(EstimateError::Infeasible { component: 0, what });
        }
        if self.complement <= self.rounding {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "concentration",
                limit: "∞",
                cure: "all its directions are the same: add a prior or use fewer components",
            });
        }
        Ok(inverse_mean_resultant_length_of_pair(d, self.length.min(1.0), self.complement))
    }
}

/// Weighted sufficient statistics of a [`VonMisesFisher`](crate::VonMisesFisher): `Σw`, `Σw(x − c)` and `Σw½|x − c|²` about a unit vector `c`.
///
/// The origin is the component's current direction, so that concentrated rows keep their digits; the last sum is
/// `Σw(1 − cᵀx)`. Merging across origins recenters exactly. All are in observations.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VonMisesFisherStats {
    pub(super) origin: Vec<f64>,
    pub(super) weight: f64,
    pub(super) rest: f64,
    pub(super) shift: Vec<f64>,
}

impl VonMisesFisherStats {
    pub(super) fn new(origin: &[f64]) -> Self {
        Self { origin: origin.to_vec(), weight: 0.0, rest: 0.0, shift: vec![0.0; origin.len()] }
    }

    pub(crate) fn with_sums(origin: Vec<f64>, weight: f64, rest: f64, shift: Vec<f64>) -> Self {
        Self { origin, weight, rest, shift }
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σwx`.
    pub fn sum(&self) -> Vec<f64> {
        self.sums().collect()
    }

    pub(crate) fn sums(&self) -> impl Iterator<Item = f64> {
        self.origin.iter().zip(&self.shift).map(|(c, s)| self.weight * c + s)
    }

    /// `Σw` and `(Σw)² − |Σwx|²`, if these could be the sums of some directions.
    pub(crate) fn weight_and_apart(&self) -> Option<(f64, f64)> {
        if self.is_empty() {
            return Some((0.0, 0.0));
        }
        let resultant = self.resultant();
        let size = self.weight * self.weight * (1.0 + resultant.length);
        resultant.is_feasible().then(|| (self.weight, resultant.complement.max(0.0) * size))
    }

    /// `|Σwx| / Σw`; NaN without data.
    pub fn mean_resultant_length(&self) -> f64 {
        self.resultant().length
    }

    pub(super) fn resultant(&self) -> Resultant {
        let length = self.sums().map(|x| x * x).sum::<f64>().sqrt();
        Resultant::new(self.weight, length, self.rest, dot(&self.shift, &self.shift).sqrt())
    }

    fn is_empty(&self) -> bool {
        self.weight == 0.0 && self.rest == 0.0 && self.shift.iter().all(|x| *x == 0.0)
    }

    /// `Σw½|x − origin|²`.
    pub(crate) fn rest_about(&self, origin: &[f64]) -> f64 {
        let moved = self.origin.iter().zip(origin).map(|(c, o)| c - o);
        let across: f64 = moved.zip(&self.shift).map(|(by, s)| by * s).sum();
        self.rest + across + self.weight * half_square(&self.origin, origin)
    }
}

impl Statistics for VonMisesFisherStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(std::slice::from_ref(&self.rest));
        see(&self.shift);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(std::slice::from_mut(&mut self.rest));
        see(&mut self.shift);
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.origin);
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.origin);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        if self.is_empty() {
            self.origin.copy_from_slice(&other.origin);
        }
        self.rest += factor * other.rest_about(&self.origin);
        self.weight += factor * other.weight;
        add_scaled(&mut self.shift, factor, &other.shift);
        for (shift, (from, to)) in self.shift.iter_mut().zip(other.origin.iter().zip(&self.origin))
        {
            *shift += factor * other.weight * (from - to);
        }
    }

    fn align(&mut self, like: &Self) {
        self.rest = self.rest_about(&like.origin);
        for (shift, (from, to)) in self.shift.iter_mut().zip(self.origin.iter().zip(&like.origin)) {
            *shift += self.weight * (from - to);
        }
        self.origin.copy_from_slice(&like.origin);
    }
}

/// What is below this share of the terms added is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;
