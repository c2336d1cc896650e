//! The beta distribution.

use rand::Rng;

use crate::{
    ParameterError,
    error::positive,
    gamma::standard_gamma,
    special::{digamma, ln_gamma_ratio},
};

/// The beta distribution over a probability, `p ~ Be(a, b)`:
/// `ln p(p) = ln Γ(a + b) − ln Γ(a) − ln Γ(b) + (a − 1) ln p + (b − 1) ln(1 − p)`.
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1995), *Continuous Univariate Distributions*, volume 2, chapter 25.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Beta {
    pub(crate) a: f64,
    pub(crate) b: f64,
}

impl Beta {
    /// `Be(a, b)`, with mean `a / (a + b)`.
    ///
    /// # Errors
    ///
    /// If one of them is not positive and finite.
    pub fn new(a: f64, b: f64) -> Result<Self, ParameterError> {
        Ok(Self { a: positive("a", a)?, b: positive("b", b)? })
    }

    /// `a`.
    pub fn a(&self) -> f64 {
        self.a
    }

    /// `b`.
    pub fn b(&self) -> f64 {
        self.b
    }

    /// `E[p] = a/(a + b)`.
    pub fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// `(E[ln p], E[ln(1 − p)])`, in nats.
    pub fn expected_logs(&self) -> (f64, f64) {
        let of_total = digamma(self.a + self.b);
        (digamma(self.a) - of_total, digamma(self.b) - of_total)
    }

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let (added_a, added_b) = (self.a - other.a, self.b - other.b);
        let (ln_p, ln_rest) = self.expected_logs();
        added_a * ln_p + added_b * ln_rest
            - ln_gamma_ratio(other.a, added_a)
            - ln_gamma_ratio(other.b, added_b)
            + ln_gamma_ratio(other.a + other.b, added_a + added_b)
    }

    /// One draw of `p`.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        loop {
            let (x, y) = (standard_gamma(self.a, rng), standard_gamma(self.b, rng));
            // With a and b far below 1 both may underflow to zero: draw again.
            if x + y > 0.0 {
                return x / (x + y);
            }
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    a: f64,
    b: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Beta {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.a, p.b)
    }
}
