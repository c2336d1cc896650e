//! Poisson regression.

use elbo_linalg::exp_in_place;
use rand::Rng;

use super::canonical::{CanonicalLink, CanonicalRegression, sealed::Link};
use super::irls::Limits;
use crate::{Poisson, poisson::tabled_ln_factorial};

/// Responses that are counts, with the logarithm of their rate `η`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLinear;

/// Poisson regression: counts with the rate `e^η`, `η = b + β·x`, plus the logarithm of an exposure where there is one
/// (see [`with_offset`](Self::with_offset)).
///
/// Coefficients are changes of the logarithm of the rate per unit of the covariate. For data, estimates and cost see
/// [`CanonicalRegression`]. Rates above 10³⁰⁸ overflow: such a start cannot explain any data.
///
/// ```
/// use elbo_core::{Rows, fit_single};
/// use elbo_dist::PoissonRegression;
///
/// let rows = [0.0, 10_f64.ln(), 1.0, 20_f64.ln()]; // a group and the logarithm of hours
/// let start = PoissonRegression::new(0.0, vec![0.0])?.with_offset();
/// let fit = fit_single(start, (Rows::new(&rows, 2, 2), &[30, 10][..])).unwrap();
/// // 3 per hour in the first group, 0.5 in the second.
/// assert!((fit.params.intercept() - 3_f64.ln()).abs() < 1e-6);
/// assert!((fit.params.coefficients()[0] + 6_f64.ln()).abs() < 1e-6);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
pub type PoissonRegression = CanonicalRegression<LogLinear>;

impl PoissonRegression {
    /// `ln P(y ∣ x)`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns).
    pub fn log_probability(&self, x: &[f64], y: u64) -> f64 {
        Self::log_probability_at(self.linear_predictor(x), y)
    }

    /// One draw of the count at `x`.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns), or the rate exceeds 10¹⁹, where draws no
    /// longer fit a `u64`.
    pub fn sample_given(&self, x: &[f64], rng: &mut (impl Rng + ?Sized)) -> u64 {
        let rate = self.predict(x);
        Poisson::new(rate).unwrap_or_else(|_| panic!("cannot draw at rate {rate:e}")).sample(rng)
    }

    /// `KL(P(y ∣ x) ‖ other(y ∣ x))` at `x`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns) of both.
    pub fn kl_divergence_given(&self, x: &[f64], other: &Self) -> f64 {
        let (rate, change) =
            (self.predict(x), other.linear_predictor(x) - self.linear_predictor(x));
        rate * (change.exp_m1() - change)
    }
}

impl CanonicalLink for LogLinear {}

impl Link for LogLinear {
    const HAS_BOUND: bool = false;

    type Response = u64;

    fn number(response: u64) -> f64 {
        response as f64
    }

    fn base(response: u64) -> f64 {
        -tabled_ln_factorial(response)
    }

    fn moments(eta: f64) -> (f64, f64) {
        (eta.exp(), eta.exp())
    }

    fn scores(eta: &mut [f64], y: &[f64], room: &mut [f64]) {
        room.copy_from_slice(eta);
        exp_in_place(room);
        for ((eta, y), rate) in eta.iter_mut().zip(y).zip(&*room) {
            *eta = y * *eta - rate;
        }
    }

    fn derivatives(
        eta: &[f64],
        y: &[f64],
        slope: &mut [f64],
        curvature: &mut [f64],
        _: &mut [f64],
    ) {
        curvature.copy_from_slice(eta);
        exp_in_place(curvature);
        for ((slope, y), rate) in slope.iter_mut().zip(y).zip(&*curvature) {
            *slope = y - rate;
        }
    }

    fn margin(_: f64, _: f64) -> f64 {
        f64::NEG_INFINITY
    }

    fn limits() -> Limits {
        Limits {
            what: "Poisson regression",
            is_log: true,
            limit: "−∞, where nothing is counted",
            cure: "use fewer components, or add data with events",
        }
    }
}
