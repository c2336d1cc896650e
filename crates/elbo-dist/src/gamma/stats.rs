//! Sums of gamma variables, and the shape and mean they ask for.

use elbo_core::{EstimateError, Statistics, add_scaled};

use crate::{
    deviance::{deviance, deviance_at},
    special::{ln_minus_digamma, trigamma_excess},
};

/// Weighted sufficient statistics of a [`Gamma`](crate::Gamma): `Σw`, `Σwu` and `Σw(u − 1 − ln u)` with `u = x/c` about an
/// origin `c`. An [`InverseGamma`](crate::InverseGamma) takes those of `1/x`.
///
/// They are `Σw`, `Σwx` and `Σw ln x` in other coordinates. The origin is the component's current mean: a shape `a` leaves
/// `ln mean(x) − mean(ln x) ≈ 1/(2a)`, the difference of two numbers of size 1, which is summed here term by term instead,
/// each of them positive. Moving the origin is exact algebra; statistics of nothing take over the other's origin. All
/// three sums are in observations; the origin is in the unit of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GammaStats {
    pub(super) origin: f64,
    pub(super) sums: [f64; 3],
}

impl GammaStats {
    /// No data, about `origin`, which is positive.
    pub fn new(origin: f64) -> Self {
        Self { origin, sums: [0.0; 3] }
    }

    /// Of `weight` ideal observations.
    pub(crate) fn expected(shape: f64, mean: f64, weight: f64) -> Self {
        Self { origin: mean, sums: [weight, weight, weight * ln_minus_digamma(shape)] }
    }

    /// The point `c` about which the sums are taken.
    pub fn origin(&self) -> f64 {
        self.origin
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// Weighted mean; NaN without data.
    pub fn mean(&self) -> f64 {
        self.origin * (self.sums[1] / self.sums[0])
    }

    /// `ln mean(x) − mean(ln x) ≥ 0`, about half the squared coefficient of variation; NaN without data. Rounding may leave
    /// a negative number of size `ε Σw(u − 1 − ln u) / Σw`.
    pub fn log_spread(&self) -> f64 {
        let [weight, first, deviances] = self.sums;
        deviances / weight - deviance_at((first - weight) / weight, first / weight)
    }

    /// Is at least half of the sum about the origin spread, so that no digits cancel?
    pub(crate) fn is_centered(&self) -> bool {
        2.0 * self.log_spread() >= self.sums[2] / self.sums[0]
    }

    /// Appends the coefficients of the three sums in the log density of a gamma distribution, with
    /// `ln x = ln c + u − 1 − (u − 1 − ln u)`.
    pub(crate) fn write_natural(&self, shape: f64, rate: f64, out: &mut Vec<f64>) {
        let scaled = rate * self.origin;
        let constant =
            shape * (scaled.ln() - 1.0) + 1.0 - crate::special::ln_gamma(shape) - self.origin.ln();
        out.extend([constant, shape - 1.0 - scaled, 1.0 - shape]);
    }

    /// The same sums about another origin.
    fn about(&self, origin: f64) -> [f64; 3] {
        let [weight, first, deviances] = self.sums;
        if self.origin.to_bits() == origin.to_bits() {
            return self.sums;
        }
        let (ratio, shift) = (self.origin / origin, (self.origin - origin) / origin);
        let moved = if shift.abs() < 0.25 {
            deviances + shift * (first - weight) + weight * deviance(shift)
        } else {
            deviances + shift * first - weight * ratio.ln() // the same; nothing large is subtracted
        };
        [weight, ratio * first, moved]
    }

    /// Shape and mean of maximum likelihood.
    ///
    /// # Errors
    ///
    /// [`EstimateError::Infeasible`], [`EstimateError::NoWeight`], and [`EstimateError::Boundary`] where all observations are
    /// equal up to rounding.
    pub(crate) fn estimate(&self, what: &'static str) -> Result<(f64, f64), EstimateError> {
        let [weight, first, deviances] = self.sums;
        let infeasible = Err(EstimateError::Infeasible { component: 0, what });
        let finite = self.origin > 0.0 && self.origin.is_finite();
        if !(finite && self.sums.iter().all(|sum| sum.is_finite() && *sum >= 0.0)) {
            return infeasible;
        }
        if weight == 0.0 {
            let nothing = first == 0.0 && deviances == 0.0;
            return if nothing {
                Err(EstimateError::NoWeight { component: 0, weight })
            } else {
                infeasible
            };
        }
        let (spread, of_origin) = (self.log_spread(), deviances / weight);
        let mean = self.mean();
        if !(first > 0.0 && mean > 0.0 && mean.is_finite() && spread >= -RESOLUTION * of_origin) {
            return infeasible;
        }
        // Numbers closer than some ulps have spreads of the square of these.
        if spread <= RESOLUTION * of_origin.max(RESOLUTION) {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "shape",
                limit: "infinity",
                cure: "all its observations are equal: use fewer components or leave them out",
            });
        }
        Ok((shape_of(spread), mean))
    }
}

/// What is below this share of the sums is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

impl Statistics for GammaStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // three sizes, three parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.origin));
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.origin));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        if self.sums.iter().all(|s| *s == 0.0) {
            self.origin = other.origin;
        }
        add_scaled(&mut self.sums, factor, &other.about(self.origin));
    }

    fn align(&mut self, like: &Self) {
        *self = Self { origin: like.origin, sums: self.about(like.origin) };
    }
}

/// The shape `a` with `ln a − ψ(a) = spread`, for a spread that is positive, within a few ulp.
///
/// Newton's method on the logarithms of both sides as functions of `ln a`, where the curve is nearly a line of slope −1,
/// from a start that is good to 1.5 %: three or four steps.
///
/// Source: start of Thom (1958), Monthly Weather Review 86(4), as sharpened by Minka (2002), *Estimating a gamma
/// distribution*.
fn shape_of(spread: f64) -> f64 {
    let root = ((spread - 3.0) * (spread - 3.0) + 24.0 * spread).sqrt();
    let mut shape = (3.0 - spread + root) / (12.0 * spread);
    if spread > 1e3 {
        shape = spread.recip(); // where the start above cancels
    }
    for _ in 0..20 {
        let at = ln_minus_digamma(shape);
        let slope = shape * trigamma_excess(shape) / at;
        let step = (((at - spread) / spread).ln_1p() / slope).clamp(-1.0, 1.0);
        shape *= step.exp();
        if step.abs() <= 4.0 * f64::EPSILON {
            break;
        }
    }
    shape
}
