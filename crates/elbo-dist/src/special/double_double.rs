//! Unevaluated sums of two doubles: some 100 bits for exponents, whose absolute error is the relative error of a result.

use std::ops::{Add, Mul, Neg, Sub};

use super::gamma::horner;

/// `high + low`, with `|low|` at most half an ulp of `high`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Double {
    pub(super) const fn new(high: f64, low: f64) -> Self {
        Self { high, low }
    }

    /// `a + b` exactly (Knuth).
    pub(super) fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self { high, low: (a - (high - part)) + (b - part) }
    }

    /// `a b` exactly.
    pub(super) fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }

    /// `a + b` exactly for `|a| ≥ |b|` (Dekker).
    fn ordered_sum(a: f64, b: f64) -> Self {
        let high = a + b;
        Self { high, low: b - (high - a) }
    }

    /// `self / other`, relative error about `2⁻¹⁰²`.
    pub(super) fn over(self, other: Self) -> Self {
        let first = self.high / other.high;
        let rest = self - other * Self::new(first, 0.0);
        Self::ordered_sum(first, rest.high / other.high)
    }

    pub(super) fn over_number(self, other: f64) -> Self {
        self.over(Self::new(other, 0.0))
    }

    /// `e` to this power.
    pub(super) fn exp(self) -> f64 {
        let power = self.high.exp();
        if power.is_finite() { power + power * self.low } else { power }
    }

    /// `ln`, with relative error below `2⁻⁶⁵`, also beside one; for positive normal numbers.
    pub(super) fn ln(self) -> Self {
        let (scale, exponent) = libm::frexp(self.high); // ½ ≤ scale < 1
        let exponent = if scale < FRAC_1_SQRT_2 { exponent - 1 } else { exponent };
        // in two steps, as 2^−exponent may be out of range
        let half = exponent / 2;
        let scaled = |x: f64| libm::ldexp(libm::ldexp(x, -half), half - exponent);
        let (high, low) = (scaled(self.high), scaled(self.low));
        let minus_one = Self::sum(high, -1.0) + Self::new(low, 0.0);
        let plus_one = Self::sum(high, 1.0) + Self::new(low, 0.0);
        let s = minus_one.over(plus_one);
        let z = s * s;
        let series = Self::new(1.0, 0.0) + z * artanh_series(z);
        let fraction = s * series * 2.0;
        if exponent == 0 { fraction } else { LN_2 * f64::from(exponent) + fraction }
    }

    /// `u − ln(1 + u)`, which is near `u²/2`, with relative error below `2⁻⁶²`; `self` is `u > −1` and
    /// `one_plus` gives `1 + u`, which may be known better than by adding.
    ///
    /// With `s = u / (2 + u)`, `ln(1 + u) = 2 artanh s` and `u − 2s = s u`.
    pub(super) fn minus_ln_1p(self, one_plus: impl FnOnce() -> Self) -> Self {
        if self.high.abs() > 0.5 {
            return self - one_plus().ln();
        }
        let s = self.over(self + Self::new(2.0, 0.0));
        let z = s * s;
        s * (self - z * artanh_series(z) * 2.0)
    }
}

/// `(artanh s / s − 1) / s² = 1/3 + z/5 + z²/7 + …`, `z = s² ≤ 1/9`.
fn artanh_series(z: Double) -> Double {
    let tail = horner(&ODD_RECIPROCALS, z.high);
    ONE_THIRD + z * (ONE_FIFTH + z * tail)
}

const FRAC_1_SQRT_2: f64 = std::f64::consts::FRAC_1_SQRT_2;
/// `ln 2`.
pub(super) const LN_2: Double = Double::new(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
/// `1/7, 1/9, …`
const ODD_RECIPROCALS: [f64; 14] = {
    let mut reciprocals = [0.0; 14];
    let mut k = 0;
    while k < 14 {
        reciprocals[k] = 1.0 / (2 * k + 7) as f64;
        k += 1;
    }
    reciprocals
};
const ONE_THIRD: Double = Double::new(1.0 / 3.0, 1.850_371_707_708_594e-17);
const ONE_FIFTH: Double = Double::new(0.2, -1.110_223_024_625_156_5e-17);

impl Add for Double {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let sum = Self::sum(self.high, other.high);
        Self::ordered_sum(sum.high, sum.low + (self.low + other.low))
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        Self::new(-self.high, -self.low)
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = Self::product(self.high, other.high);
        Self::ordered_sum(
            product.high,
            product.low + (self.high * other.low + self.low * other.high),
        )
    }
}

impl Mul<f64> for Double {
    type Output = Self;
    fn mul(self, other: f64) -> Self {
        self * Self::new(other, 0.0)
    }
}
