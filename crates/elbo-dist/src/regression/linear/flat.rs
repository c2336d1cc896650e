//! Regressions as points of a flat space.

use elbo_core::{FlatParameters, Range, take_front};
use elbo_linalg::invert_lower_in_place;

use super::LinearGaussian;
use crate::multivariate_gaussian::spd::Spd;

/// The values at the center (with an intercept), the slopes row by row, and the rows of the Cholesky factor of `Σ`, each
/// with the logarithm of its diagonal element last; of a diagonal `Σ` the logarithms of the standard deviations.
///
/// The center stays where it is. The reported intercept is that at `x = 0`.
impl FlatParameters for LinearGaussian {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        if self.has_intercept {
            out.extend_from_slice(&self.plane.value);
        }
        out.extend_from_slice(&self.plane.slopes);
        let q = self.outputs();
        if self.is_diagonal() {
            out.extend(self.covariance.whitening().iter().map(|u| -u.ln()));
            return;
        }
        let mut factor = self.covariance.whitening().to_vec();
        invert_lower_in_place(&mut factor, q);
        for o in 0..q {
            out.extend_from_slice(&factor[o * q..][..o]);
            out.push(factor[o * q + o].ln());
        }
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let (p, q) = (self.covariates(), self.outputs());
        let mut plane = self.plane.clone();
        if self.has_intercept {
            plane.value.copy_from_slice(take_front(from, q));
        }
        plane.slopes.copy_from_slice(take_front(from, p * q));
        let covariance = if self.is_diagonal() {
            Spd::from_scale_factor(take_front(from, q).iter().map(|s| s.exp()).collect(), q)
        } else {
            let mut factor = vec![0.0; q * q];
            for o in 0..q {
                factor[o * q..][..=o].copy_from_slice(take_front(from, o + 1));
                factor[o * q + o] = factor[o * q + o].exp();
            }
            Spd::from_scale_factor(factor, q)
        };
        Self { plane, covariance, ..*self }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        let (p, q) = (self.covariates(), self.outputs());
        let place = |name: &str, o: usize| {
            if q == 1 { name.to_owned() } else { format!("{name}[{o}]") }
        };
        if self.has_intercept {
            for (o, b) in self.intercept().into_iter().enumerate() {
                see(&place("intercept", o), b, Range::Real);
            }
        }
        for o in 0..q {
            for (a, slope) in self.plane.row(o).iter().enumerate() {
                let name = if q == 1 {
                    format!("coefficient[{a}]")
                } else {
                    format!("coefficient[{o},{a}]")
                };
                debug_assert!(a < p);
                see(&name, *slope, Range::Real);
            }
        }
        for o in 0..q {
            see(&place("variance", o), self.covariance.get(o, o), Range::Positive);
            for second in if self.is_diagonal() { o } else { 0 }..o {
                let covariance = self.covariance.get(o, second);
                see(&format!("covariance[{o},{second}]"), covariance, Range::Real);
            }
        }
    }
}
