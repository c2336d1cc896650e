//! Sums of beta variables, and the parameters they ask for.

use elbo_core::{EstimateError, Statistics, add_scaled};

use super::kernels::{Share, peak};
use crate::special::{ln_minus_digamma, trigamma, trigamma_excess};

/// Weighted sufficient statistics of a [`Beta`](crate::Beta): `Σw`, `Σw(logit x − logit c)` and `Σw KL(c ‖ x)` about an origin
/// `c`, with `KL(c ‖ x) = c ln c/x + (1 − c) ln (1 − c)/(1 − x)`.
///
/// They are `Σw`, `Σw ln x` and `Σw ln(1 − x)` in other coordinates. The origin is the component's current mean, so that
/// concentrated observations do not cancel: every divergence is a sum of positive terms. Moving the origin is exact algebra;
/// statistics of nothing take over the other's origin. The sums are in observations and in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BetaStats {
    pub(super) origin: Share,
    pub(super) sums: [f64; 3],
}

impl BetaStats {
    /// No data, about this origin.
    pub(super) fn new(origin: Share) -> Self {
        Self { origin, sums: [0.0; 3] }
    }

    /// Of `weight` ideal observations.
    pub(super) fn expected(a: f64, b: f64, weight: f64) -> Self {
        let origin = Share::new(a, b);
        let logit = ln_minus_digamma(b) - ln_minus_digamma(a);
        Self { origin, sums: [weight, weight * logit, weight * expected_divergence(a, b)] }
    }

    /// The point `c` about which the sums are taken.
    pub fn origin(&self) -> f64 {
        self.origin.of_a
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// The smallest mean divergence `mean KL(m ‖ x)` that any `m` has, about `1/(2(a + b))`; NaN without data.
    pub fn spread(&self) -> f64 {
        let means = Means::of(self);
        means.about(means.center()).1
    }

    /// Is at least half of the sum about the origin spread, so that no digits cancel?
    pub(super) fn is_centered(&self) -> bool {
        2.0 * self.spread() >= self.sums[2] / self.sums[0]
    }

    /// The same sums about another origin.
    fn about(&self, origin: Share) -> [f64; 3] {
        if self.origin == origin {
            return self.sums;
        }
        let [weight, logit, divergence] = self.sums;
        let (u, _) = origin.relative(self.origin);
        let shift = origin.logit(self.origin);
        let moved = divergence + weight * origin.divergence(self.origin) + u * origin.of_a * logit;
        [weight, logit + weight * shift, moved]
    }

    /// `(a, b)` of maximum likelihood.
    ///
    /// # Errors
    ///
    /// [`EstimateError::Infeasible`], [`EstimateError::NoWeight`], [`EstimateError::Boundary`] where all observations are equal
    /// up to rounding.
    pub(super) fn estimate(&self) -> Result<(f64, f64), EstimateError> {
        let [weight, logit, divergence] = self.sums;
        let infeasible = EstimateError::Infeasible { component: 0, what: "beta distribution" };
        if !(self.sums.iter().all(|sum| sum.is_finite()) && weight >= 0.0 && divergence >= 0.0) {
            return Err(infeasible);
        }
        if weight == 0.0 {
            let nothing = logit == 0.0 && divergence == 0.0;
            return Err(if nothing {
                EstimateError::NoWeight { component: 0, weight }
            } else {
                infeasible
            });
        }
        let (spread, of_origin) = (self.spread(), divergence / weight);
        if !(spread >= -RESOLUTION * of_origin && spread.is_finite()) {
            return Err(infeasible);
        }
        // Numbers closer than some ulps have divergences of the square of these.
        if spread <= RESOLUTION * of_origin.max(RESOLUTION) {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "concentration a + b",
                limit: "infinity",
                cure: "all its observations are equal: use fewer components or leave them out",
            });
        }
        Means::of(self).solve()
    }
}

/// What is below this share of the sums is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

impl Statistics for BetaStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // three sizes, three parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.origin.of_a));
        see(std::slice::from_ref(&self.origin.of_b));
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.origin.of_a));
        see(std::slice::from_mut(&mut self.origin.of_b));
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

/// `E[KL(m ‖ X)]`, `m = a/(a + b)`.
pub(super) fn expected_divergence(a: f64, b: f64) -> f64 {
    let mean = Share::new(a, b);
    mean.of_a * ln_minus_digamma(a) + mean.of_b * ln_minus_digamma(b) - ln_minus_digamma(a + b)
}

/// Mean logit and mean divergence about an origin.
#[derive(Clone, Copy)]
struct Means {
    origin: Share,
    logit: f64,
    divergence: f64,
}

impl Means {
    fn of(stats: &BetaStats) -> Self {
        let [weight, logit, divergence] = stats.sums;
        Self { origin: stats.origin, logit: logit / weight, divergence: divergence / weight }
    }

    /// The point whose logit is the mean logit.
    fn center(&self) -> Share {
        let Share { of_a, of_b } = self.origin;
        // e^±(logit / 2), so that neither side overflows before the other vanishes; no share of a number is nearer to 0 or 1
        // than e^−1360, though expected logarithms may ask for it.
        let root = (0.5 * self.logit).clamp(-340.0, 340.0).exp();
        Share::new(of_a * root, of_b / root)
    }

    /// Both about another origin.
    fn about(&self, origin: Share) -> (f64, f64) {
        let (u, _) = origin.relative(self.origin);
        let logit = self.logit + origin.logit(self.origin);
        (logit, self.divergence + origin.divergence(self.origin) + u * origin.of_a * self.logit)
    }

    /// The mean log-likelihood but for `−mean(ln x + ln(1 − x))`; concave in `(a, b)`.
    fn log_likelihood(&self, a: f64, b: f64) -> f64 {
        peak(a, b) - (a + b) * self.about(Share::new(a, b)).1
    }

    /// The Newton step, relative to `a` and `b`. With `ψ(x) = ln x − g(x)` the logarithms drop out of the gradient, and with
    /// `ψ′(x) = 1/x + e(x)` the terms that would cancel drop out of the determinant.
    fn newton(&self, a: f64, b: f64) -> [f64; 2] {
        let (n, mean) = (a + b, Share::new(a, b));
        let (logit, divergence) = self.about(mean);
        let common = -divergence - ln_minus_digamma(n);
        let of_a = mean.of_b * logit + common + ln_minus_digamma(a);
        let of_b = -mean.of_a * logit + common + ln_minus_digamma(b);
        let [ea, eb, en] = [a, b, n].map(trigamma_excess);
        let determinant =
            ea / b + eb / a + ea * eb - en * (a.recip() + b.recip() + ea + eb) - (ea + eb) / n;
        let [ta, tb, tn] = [a, b, n].map(trigamma);
        let step_a = ((tb - tn) * of_a + tn * of_b) / determinant;
        let step_b = ((ta - tn) * of_b + tn * of_a) / determinant;
        [step_a / a, step_b / b]
    }

    /// Newton's method on a concave function, never going down: it cannot fail to converge, and does so quadratically. Steps
    /// are taken in `1/a` and `1/b`, in which the equations are nearly linear near 0 and near infinity. The start knows the
    /// statistics only; some five steps are usual.
    fn solve(&self) -> Result<(f64, f64), EstimateError> {
        const STEPS: usize = 100;
        let center = self.center();
        let divergence = self.about(center).1;
        // About the concentration of a bell, or E[ln x] ≈ −1/a where most of the mass is at 0.
        let start = |share: f64| (0.75 * share / divergence).max((divergence - share.ln()).recip());
        let (mut a, mut b) = (start(center.of_a), start(center.of_b));
        let (mut height, mut before) = (self.log_likelihood(a, b), f64::INFINITY);
        for _ in 0..STEPS {
            let step = self.newton(a, b);
            let most = step[0].abs().max(step[1].abs());
            let mut length = 1.0_f64.min(0.999 / step[0].max(step[1]).max(f64::MIN_POSITIVE));
            let next = loop {
                let next = (a / (1.0 - length * step[0]), b / (1.0 - length * step[1]));
                let reached = self.log_likelihood(next.0, next.1);
                let rounding = 64.0 * f64::EPSILON * (1.0 + height.abs());
                // Below 10⁻³ a step is surely inside the region of quadratic convergence.
                if reached.is_nan() || reached >= height - rounding || length * most < 1e-3 {
                    height = reached;
                    break next;
                }
                length *= 0.5;
            };
            (a, b) = next;
            if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite()) {
                break;
            }
            // The error left is the square of the step; a small step that no longer shrinks is rounding.
            if most <= 1e-11 || (most <= 1e-6 && most > 0.5 * before) {
                return Ok((a, b));
            }
            before = most;
        }
        Err(EstimateError::NotSettled { what: "beta distribution", iterations: STEPS })
    }
}
