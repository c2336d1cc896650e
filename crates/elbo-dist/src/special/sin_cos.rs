//! Sines and cosines over slices, on vectors of the CPU's instruction set.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::{Kernel, Level, Simd};

/// Writes `sin x` and `cos x` of every number, each with an absolute error below `2⁻⁵²` and, up to 10⁶, with all but the last
/// bits of small values. NaN stays NaN, infinities become NaN.
///
/// Cost: about 45 vector instructions per vector of numbers; vectors that hold a number beyond ±10⁶ are left to the standard
/// library. No allocation.
///
/// Source: the argument is reduced by the nearest multiple of `½π` in three parts, after Cody & Waite (1980), *Software Manual
/// for the Elementary Functions*; Taylor polynomials do the rest.
///
/// # Panics
///
/// If the lengths differ.
pub(crate) fn sin_cos_into(x: &[f64], sin: &mut [f64], cos: &mut [f64]) {
    assert!(x.len() == sin.len() && x.len() == cos.len(), "one sine and cosine per number");
    Level::detect().dispatch(SinCos { x, sin, cos });
}

struct SinCos<'a> {
    x: &'a [f64],
    sin: &'a mut [f64],
    cos: &'a mut [f64],
}

/// Up to here a multiple of `½π` has 20 bits at most, and its product with each part of `½π` is exact.
const LARGEST: f64 = 1e6;

impl Kernel for SinCos<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let rows = self.x.chunks(S::LANES);
        let outs = self.sin.chunks_mut(S::LANES).zip(self.cos.chunks_mut(S::LANES));
        for (x, (sin, cos)) in rows.zip(outs) {
            let lanes = S::load_or(x, 0.0);
            let beyond = S::mask_bits(lanes.ge(S::splat(LARGEST)))
                | S::mask_bits(lanes.lt(S::splat(-LARGEST)));
            if beyond == 0 {
                let (of_sin, of_cos) = sin_cos(lanes);
                of_sin.store_head(sin);
                of_cos.store_head(cos);
            } else {
                by_number(x, sin, cos);
            }
        }
    }
}

#[cold]
fn by_number(x: &[f64], sin: &mut [f64], cos: &mut [f64]) {
    for (x, (sin, cos)) in x.iter().zip(sin.iter_mut().zip(cos)) {
        (*sin, *cos) = x.sin_cos();
    }
}

/// The leading 33 bits of `½π`, the next 33, and the rest.
const HALF_PI: [f64; 3] = [
    f64::from_bits(0x3FF9_21FB_5440_0000),
    f64::from_bits(0x3DD0_B461_1A60_0000),
    f64::from_bits(0x3BA3_198A_2E03_7073),
];

/// `±1/(2k + 1)!` from `k = 8` down to 1.
const SIN: [f64; 8] = [
    1.0 / 355_687_428_096_000.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 39_916_800.0,
    1.0 / 362_880.0,
    -1.0 / 5_040.0,
    1.0 / 120.0,
    -1.0 / 6.0,
];

/// `±1/(2k)!` from `k = 8` down to 2.
const COS: [f64; 7] = [
    1.0 / 20_922_789_888_000.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 479_001_600.0,
    -1.0 / 3_628_800.0,
    1.0 / 40_320.0,
    -1.0 / 720.0,
    1.0 / 24.0,
];

#[inline(always)]
fn sin_cos<S: Simd>(x: S) -> (S, S) {
    let (one, half) = (S::splat(1.0), S::splat(0.5));
    let n = (x * S::splat(std::f64::consts::FRAC_2_PI)).round();
    let mut r = x;
    for part in HALF_PI {
        r = n.mul_add(S::splat(-part), r);
    }
    let square = r * r;
    let sin = horner(&SIN, square).mul_add(square * r, r);
    let half_square = square * half;
    let head = one - half_square; // what is cut off here is added again
    let cut = (one - head) - half_square;
    let cos = head + horner(&COS, square).mul_add(square * square, cut);

    // The quarter turn, from −2 to 2: odd ones swap the two, the sign of the quadrant remains.
    let quarter = n - (n * S::splat(0.25)).round() * S::splat(4.0);
    let turned = quarter * quarter;
    let (whole, opposite) = (turned.lt(half), turned.ge(S::splat(2.0)));
    let (plus, minus) = (one, S::splat(-1.0));
    let sin_sign = S::select(opposite, minus, S::select(quarter.lt(S::splat(-0.5)), minus, plus));
    let cos_sign = S::select(opposite, minus, S::select(quarter.ge(half), minus, plus));
    let swapped_sin = S::select(whole, sin, S::select(opposite, sin, cos));
    let swapped_cos = S::select(whole, cos, S::select(opposite, cos, sin));
    (sin_sign * swapped_sin, cos_sign * swapped_cos)
}

/// `Σ cₖ xᵏ`, the highest power first.
#[inline(always)]
fn horner<S: Simd, const N: usize>(coefficients: &[f64; N], x: S) -> S {
    let mut sum = S::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, S::splat(*coefficient));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_agree_with_numbers() {
        let mut x: Vec<f64> = (-40_000..40_000).map(|i| f64::from(i) * 1.7e-3).collect();
        x.extend((-4_000..4_000).map(|i| f64::from(i) * std::f64::consts::FRAC_PI_4));
        x.extend((-999..999).map(|i| f64::from(i) * 1_000.37));
        x.extend([1e6, -1e6, 1e9, -1e22, 1e300, 0.0, -0.0, 1e-310, 1e-9, f64::NAN]);
        for level in Level::available() {
            let (mut sin, mut cos) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            level.dispatch(SinCos { x: &x, sin: &mut sin, cos: &mut cos });
            for (x, got) in x.iter().zip(sin.iter().zip(&cos)) {
                let want = x.sin_cos();
                for (got, want) in [(got.0, want.0), (got.1, want.1)] {
                    // two ulp of the value, and the part of ½π that is missing times the number of quarters
                    let near =
                        (got - want).abs() <= 2.0 * f64::EPSILON * want.abs() + 1e-27 * x.abs();
                    assert!(
                        near || want.is_nan() && got.is_nan(),
                        "{level}: {x:e} {got:e} {want:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn infinities_have_no_angle() {
        let (mut sin, mut cos) = ([0.0; 3], [0.0; 3]);
        sin_cos_into(&[f64::INFINITY, f64::NEG_INFINITY, 0.5], &mut sin, &mut cos);
        assert!(sin[0].is_nan() && cos[1].is_nan() && (sin[2] - 0.5_f64.sin()).abs() < 1e-15);
    }
}
