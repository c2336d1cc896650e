//! Logistic regression.

use elbo_linalg::{exp_in_place, ln_in_place};
use rand::{Rng, RngExt};

use super::canonical::{CanonicalLink, CanonicalRegression, sealed::Link};
use super::irls::Limits;

/// Responses that are true or false, with log odds `η`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logistic;

/// Logistic regression: `P(y ∣ x) = 1/(1 + e^{−η})` for a response that is true, with log odds `η = b + β·x`.
///
/// Coefficients are changes of log odds per unit of the covariate. For data, estimates and cost see
/// [`CanonicalRegression`].
///
/// ```
/// use elbo_core::{Rows, fit_single};
/// use elbo_dist::LogisticRegression;
///
/// let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
/// let y = [false, false, true, false, true, true];
/// let start = LogisticRegression::new(0.0, vec![0.0])?;
/// let fit = fit_single(start, (Rows::new(&x, 6, 1), &y[..])).unwrap();
/// // The fitted probabilities add up to the successes.
/// let expected: f64 = x.iter().map(|x| fit.params.predict(&[*x])).sum();
/// assert!((expected - 3.0).abs() < 1e-6);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
pub type LogisticRegression = CanonicalRegression<Logistic>;

impl LogisticRegression {
    /// `ln P(y ∣ x)`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns).
    pub fn log_probability(&self, x: &[f64], y: bool) -> f64 {
        Self::log_probability_at(self.linear_predictor(x), y)
    }

    /// One draw of the response at `x`.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns).
    pub fn sample_given(&self, x: &[f64], rng: &mut (impl Rng + ?Sized)) -> bool {
        rng.random_bool(self.predict(x))
    }

    /// `KL(P(y ∣ x) ‖ other(y ∣ x))` at `x`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns) of both.
    pub fn kl_divergence_given(&self, x: &[f64], other: &Self) -> f64 {
        let term = |y: bool| {
            let own = self.log_probability(x, y);
            own.exp() * (own - other.log_probability(x, y))
        };
        (term(true) + term(false)).max(0.0)
    }
}

impl CanonicalLink for Logistic {}

impl Link for Logistic {
    const HAS_BOUND: bool = true;

    type Response = bool;

    fn number(response: bool) -> f64 {
        f64::from(u8::from(response))
    }

    fn base(_: bool) -> f64 {
        0.0
    }

    fn moments(eta: f64) -> (f64, f64) {
        let e = (-eta.abs()).exp();
        let other = e / (1.0 + e);
        (if eta < 0.0 { other } else { 1.0 / (1.0 + e) }, other / (1.0 + e))
    }

    /// `ln σ(s) = min(s, 0) − ln(1 + e^{−|s|})`, `s = ±η`.
    fn scores(eta: &mut [f64], y: &[f64], room: &mut [f64]) {
        for ((eta, y), room) in eta.iter_mut().zip(y).zip(&mut *room) {
            *eta *= 2.0 * y - 1.0;
            *room = -eta.abs();
        }
        exp_in_place(room);
        for e in &mut *room {
            *e += 1.0;
        }
        ln_in_place(room);
        for (eta, log) in eta.iter_mut().zip(&*room) {
            *eta = eta.min(0.0) - log;
        }
    }

    /// The bound has the curvature `tanh(η/2)/(2η)`.
    fn derivatives(
        eta: &[f64],
        y: &[f64],
        slope: &mut [f64],
        curvature: &mut [f64],
        bound: &mut [f64],
    ) {
        slope.iter_mut().zip(eta).for_each(|(e, eta)| *e = -eta.abs());
        exp_in_place(slope);
        let rows = slope.iter_mut().zip(curvature).zip(bound);
        for (((slope, curvature), bound), (eta, y)) in rows.zip(eta.iter().zip(y)) {
            let e = *slope;
            let (likely, unlikely) = (1.0 / (1.0 + e), e / (1.0 + e));
            let sign = 2.0 * y - 1.0;
            *slope = sign * if sign * eta < 0.0 { likely } else { unlikely };
            *curvature = likely * unlikely;
            let square = eta * eta;
            // Near zero the quotient loses digits; the next term of the series is 2·10⁻¹⁶ there.
            *bound = if square < 1e-4 {
                0.25 - square * (1.0 / 48.0 - square / 480.0)
            } else {
                0.5 * (likely - unlikely) / eta.abs()
            };
        }
    }

    fn margin(eta: f64, y: f64) -> f64 {
        (2.0 * y - 1.0) * eta
    }

    fn limits() -> Limits {
        Limits {
            what: "logistic regression",
            is_log: false,
            limit: "±∞, where it separates the responses",
            cure: "remove the covariate that separates them, or add data where it does not",
        }
    }
}
