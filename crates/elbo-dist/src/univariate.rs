//! What all distributions of a single number offer, for code that is generic over them.

use elbo_core::Family;
use rand::Rng;

/// A distribution of a single number. Every function is also a method of the type itself; this trait is for code that
/// does not know which.
pub trait Univariate: Family {
    /// A single observation: `f64`, a count `u64`, a category `u32`, a `bool`.
    type Value: Copy + PartialOrd + std::fmt::Debug;

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
