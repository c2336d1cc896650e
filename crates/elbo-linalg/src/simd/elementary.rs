//! `exp` and `ln` on vectors, without branches and without tables.

use core::f64::consts::{LOG2_E, SQRT_2};

use super::Simd;

/// The leading 33 bits of `ln 2`, so that `n · LN_2_HIGH` is exact for every exponent `n`.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
/// `ln 2 − LN_2_HIGH`.
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// `eˣ = 2ⁿ · eʳ` with `|r| ≤ ½ ln 2` and `eʳ` by its Taylor polynomial of degree 13.
///
/// The remainder `r¹⁴/14!` is below 4.2e-18. Beyond ±750 the result is 0 or `∞`, so `x` is moved
/// there first and the exponent stays small; `max` and `min` let NaN through.
#[inline(always)]
pub(super) fn exp<S: Simd>(x: S) -> S {
    let x = S::splat(750.0).min(S::splat(-750.0).max(x));
    let n = (x * S::splat(LOG2_E)).round();
    let r = n.mul_add(S::splat(-LN_2_HIGH), x);
    let r = n.mul_add(S::splat(-LN_2_LOW), r);
    // Estrin's scheme: eight coefficient pairs at once instead of a chain of twelve.
    let r2 = r * r;
    let r4 = r2 * r2;
    let p23 = r.mul_add(S::splat(1.0 / 6.0), S::splat(1.0 / 2.0));
    let p45 = r.mul_add(S::splat(1.0 / 120.0), S::splat(1.0 / 24.0));
    let p67 = r.mul_add(S::splat(1.0 / 5_040.0), S::splat(1.0 / 720.0));
    let p89 = r.mul_add(S::splat(1.0 / 362_880.0), S::splat(1.0 / 40_320.0));
    let p1011 = r.mul_add(S::splat(1.0 / 39_916_800.0), S::splat(1.0 / 3_628_800.0));
    let p1213 = r.mul_add(S::splat(1.0 / 6_227_020_800.0), S::splat(1.0 / 479_001_600.0));
    let low = p45.mul_add(r2, p23);
    let middle = p89.mul_add(r2, p67);
    let high = p1213.mul_add(r2, p1011);
    let polynomial = high.mul_add(r4, middle).mul_add(r4, low);
    let fraction = polynomial.mul_add(r2, r) + S::splat(1.0);
    fraction.scale_by_power_of_two(n)
}

/// `ln x = e ln 2 + ln(1 + f)` with `√½ ≤ 1 + f < √2` and `ln(1 + f) = 2 artanh s`, `s = f / (2 + f)`.
///
/// The series `2 (s + s³/3 + s⁵/5 + …)` stops after `s²¹/21`; the rest is below 3e-19 of the result,
/// as `s² ≤ 0.0295`. Its first term is put together as `f − f²/2 + s f²/2`, of which only the last,
/// smallest part carries a rounding error of `s`: the arrangement of Ng in the `log` of FDLIBM.
#[inline(always)]
pub(super) fn ln<S: Simd>(x: S) -> S {
    let (zero, one, infinity) = (S::splat(0.0), S::splat(1.0), S::splat(f64::INFINITY));
    let subnormal = x.lt(S::splat(f64::MIN_POSITIVE));
    let normal = S::select(subnormal, x * S::splat(TWO_POW_54), x);
    let (e, m) = normal.exponent_and_mantissa();
    let e = S::select(subnormal, e - S::splat(54.0), e);
    let upper = m.ge(S::splat(SQRT_2));
    let m = S::select(upper, m * S::splat(0.5), m);
    let e = S::select(upper, e + one, e);

    let f = m - one;
    let s = f / (f + S::splat(2.0));
    let z = s * s;
    let z2 = z * z;
    let z4 = z2 * z2;
    let p12 = z.mul_add(S::splat(2.0 / 5.0), S::splat(2.0 / 3.0));
    let p34 = z.mul_add(S::splat(2.0 / 9.0), S::splat(2.0 / 7.0));
    let p56 = z.mul_add(S::splat(2.0 / 13.0), S::splat(2.0 / 11.0));
    let p78 = z.mul_add(S::splat(2.0 / 17.0), S::splat(2.0 / 15.0));
    let p910 = z.mul_add(S::splat(2.0 / 21.0), S::splat(2.0 / 19.0));
    let low = p34.mul_add(z2, p12);
    let middle = p78.mul_add(z2, p56);
    let tail = p910.mul_add(z4, middle).mul_add(z4, low) * z;
    let half_square = f * f * S::splat(0.5);
    let small = s.mul_add(half_square + tail, e * S::splat(LN_2_LOW));
    let result = e.mul_add(S::splat(LN_2_HIGH), f - (half_square - small));

    let result = S::select(x.lt(infinity), result, x);
    let at_most_zero = S::select(x.ge(zero), S::splat(f64::NEG_INFINITY), S::splat(f64::NAN));
    S::select(zero.lt(x), result, at_most_zero)
}

/// Turns every subnormal number into a normal one.
const TWO_POW_54: f64 = 18_014_398_509_481_984.0;
