//! What all distributions of a single number offer, for code that is generic over them.

use elbo_core::Family;
use rand::Rng;

/// A single observation: `f64`, a count `u64`, a category `u32`, a `bool`.
///
/// Tables hold `f64`; this is how their cells become observations, and back.
pub trait Number: Copy + PartialOrd + Send + Sync + std::fmt::Debug + 'static {
    /// What a cell must hold, for error messages: "a whole number that is not negative".
    const NEEDED: &'static str;

    /// The observation that `x` stands for, if it stands for one. NaN, which stands for a missing one, only is an `f64`.
    fn from_f64(x: f64) -> Option<Self>;

    /// The number that stands for it; counts above 2⁵³ are rounded to the nearest.
    fn to_f64(self) -> f64;
}

impl Number for f64 {
    const NEEDED: &'static str = "a finite number";

    fn from_f64(x: f64) -> Option<Self> {
        (!x.is_infinite()).then_some(x)
    }

    fn to_f64(self) -> f64 {
        self
    }
}

impl Number for u64 {
    const NEEDED: &'static str = "a whole number from 0 on";

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within range, as checked"
    )]
    fn from_f64(x: f64) -> Option<Self> {
        let inside = (0.0..18_446_744_073_709_551_616.0).contains(&x);
        (inside && x.fract() == 0.0).then_some(x as Self)
    }

    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl Number for u32 {
    const NEEDED: &'static str = "a category code: a whole number from 0 on";

    fn from_f64(x: f64) -> Option<Self> {
        u64::from_f64(x).and_then(|x| Self::try_from(x).ok())
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Number for bool {
    const NEEDED: &'static str = "0 or 1";

    fn from_f64(x: f64) -> Option<Self> {
        u64::from_f64(x).filter(|x| *x <= 1).map(|x| x == 1)
    }

    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
}

/// A distribution of a single number. Every function is also a method of the type itself; this trait is for code that
/// does not know which.
pub trait Univariate: Family {
    /// A single observation: `f64`, a count `u64`, a category `u32`, a `bool`.
    type Value: Number;

    /// `ln p(x)`, in nats: of a density, or of a probability where `x` is a count.
    fn log_density(&self, x: Self::Value) -> f64;

    /// `P(X ≤ x)`.
    fn cdf(&self, x: Self::Value) -> f64;

    /// The smallest `x` with `P(X ≤ x) ≥ p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    fn quantile(&self, p: f64) -> Self::Value;

    /// `E[X]`; infinite where it diverges, NaN where there is none.
    fn mean(&self) -> f64;

    /// `Var[X]`; infinite where it diverges, NaN where there is none.
    fn variance(&self) -> f64;

    /// `−E[ln p(X)]`, in nats.
    fn entropy(&self) -> f64;

    /// One draw.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Self::Value;
}

/// Implements [`Univariate`] and [`Draw`](elbo_core::Draw) by the type's own methods of the same names;
/// `$log_density` names the one that gives `ln p(x)`.
macro_rules! univariate {
    ($family:ty, $value:ty, $log_density:ident) => {
        impl $crate::Univariate for $family {
            type Value = $value;

            fn log_density(&self, x: $value) -> f64 {
                <$family>::$log_density(self, x)
            }

            fn cdf(&self, x: $value) -> f64 {
                <$family>::cdf(self, x)
            }

            fn quantile(&self, p: f64) -> $value {
                <$family>::quantile(self, p)
            }

            fn mean(&self) -> f64 {
                <$family>::mean(self)
            }

            fn variance(&self) -> f64 {
                <$family>::variance(self)
            }

            fn entropy(&self) -> f64 {
                <$family>::entropy(self)
            }

            fn sample<R: rand::Rng + ?Sized>(&self, rng: &mut R) -> $value {
                <$family>::sample(self, rng)
            }
        }

        impl elbo_core::Draw for $family {
            type Drawn = Vec<$value>;

            fn no_draws(&self) -> Vec<$value> {
                Vec::new()
            }

            fn draw_onto<R: rand::Rng + ?Sized>(
                &self,
                n: usize,
                rng: &mut R,
                drawn: &mut Vec<$value>,
            ) {
                drawn.extend((0..n).map(|_| <$family>::sample(self, rng)));
            }

            fn batch_of(drawn: &Vec<$value>) -> &[$value] {
                drawn
            }
        }
    };
}
pub(crate) use univariate;

/// `ln x`, or the least number where `x = 0`: a coefficient of counts that are zero there must not be infinite.
pub(crate) fn ln_or_least(x: f64) -> f64 {
    x.max(f64::MIN_POSITIVE).ln()
}
