//! Special functions over slices, on vectors of the CPU's instruction set.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::{Kernel, Level, MAX_LANES, Simd};

use super::gamma::{
    DIGAMMA_FAR_P, DIGAMMA_FAR_Q, DIGAMMA_P, DIGAMMA_Q, DIGAMMA_ZERO, LN_GAMMA_P, LN_GAMMA_Q,
    STIRLING_FROM_SIX, digamma, ln_gamma,
};

/// Replaces every number by `ln |Γ(x)|`, like [`ln_gamma`] up to the last bits.
///
/// NaN stays NaN. About 100 vector instructions and three divisions per vector of numbers, fewer where a vector lies on one
/// side of 6; no allocation. Negative numbers are left to the scalar function.
///
/// Source: Stirling's series from 6 on; below, the recurrence into `[1, 3)` and a rational function there that keeps the
/// zeros 1 and 2.
pub fn ln_gamma_in_place(x: &mut [f64]) {
    Level::detect().dispatch(InPlace(x, LnGamma));
}

/// Writes `ln |Γ(x)|` of every number into `out`; otherwise like [`ln_gamma_in_place`].
///
/// # Panics
///
/// If the lengths differ.
pub fn ln_gamma_into(x: &[f64], out: &mut [f64]) {
    copy(x, out);
    ln_gamma_in_place(out);
}

/// Replaces every number by `ψ(x)`, like [`digamma`] up to the last bits.
///
/// NaN stays NaN. About 90 vector instructions and four divisions per vector of numbers, fewer where a vector lies on one
/// side of 3; no allocation. Negative numbers are left to the scalar function.
///
/// Source: the formulas of [`digamma`].
pub fn digamma_in_place(x: &mut [f64]) {
    Level::detect().dispatch(InPlace(x, Digamma));
}

/// Writes `ψ(x)` of every number into `out`; otherwise like [`digamma_in_place`].
///
/// # Panics
///
/// If the lengths differ.
pub fn digamma_into(x: &[f64], out: &mut [f64]) {
    copy(x, out);
    digamma_in_place(out);
}

fn copy(x: &[f64], out: &mut [f64]) {
    assert_eq!(x.len(), out.len(), "x has {} numbers, out {}", x.len(), out.len());
    out.copy_from_slice(x);
}

/// A function of one number, on vectors for `x ≥ 0` and on numbers anywhere.
trait Function: Copy {
    fn vector<S: Simd>(x: S) -> S;
    fn number(x: f64) -> f64;
}

struct InPlace<'a, F>(&'a mut [f64], F);

impl<F: Function> Kernel for InPlace<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut chunks = self.0.chunks_exact_mut(S::LANES);
        for lanes in &mut chunks {
            step::<S, F>(lanes);
        }
        step::<S, F>(chunks.into_remainder());
    }
}

#[inline(always)]
fn step<S: Simd, F: Function>(lanes: &mut [f64]) {
    let x = S::load_or(lanes, 1.0);
    F::vector(x).store_head(lanes);
    let negative = S::mask_bits(x.lt(S::splat(0.0)));
    if negative != 0 {
        patch::<F>(negative, spill(x), lanes);
    }
}

#[inline(always)]
fn spill<S: Simd>(x: S) -> [f64; MAX_LANES] {
    let mut numbers = [0.0; MAX_LANES];
    x.store(&mut numbers);
    numbers
}

#[cold]
fn patch<F: Function>(bits: u32, x: [f64; MAX_LANES], lanes: &mut [f64]) {
    for (i, (lane, x)) in lanes.iter_mut().zip(x).enumerate() {
        if bits >> i & 1 == 1 {
            *lane = F::number(x);
        }
    }
}

#[derive(Clone, Copy)]
struct LnGamma;

impl Function for LnGamma {
    #[inline(always)]
    fn vector<S: Simd>(x: S) -> S {
        let one = S::splat(1.0);
        let (near, below_one) = (x.lt(S::splat(6.0)), x.lt(one));
        let any_near = S::mask_bits(near) != 0;
        // x = u + 1 or u + 2 … u + 4, with the product of what lies between; x = u below one
        let (mut y, mut product) = (x, one);
        if any_near {
            for _ in 0..3 {
                let above = y.ge(S::splat(3.0));
                let down = y - one;
                product = S::select(above, product * down, product);
                y = S::select(above, down, y);
            }
        }
        let ln = S::select(near, S::select(below_one, x, product), x).ln();
        let far = if S::mask_bits(near).count_ones() as usize == S::LANES {
            ln
        } else {
            let inverse = one / x;
            let series = polynomial(&STIRLING_FROM_SIX, inverse * inverse);
            let rest = series.mul_add(inverse, S::splat(HALF_LN_TAU_MINUS_HALF));
            (x - S::splat(0.5)).mul_add(ln - one, rest)
        };
        if !any_near {
            return far;
        }
        let u = S::select(below_one, x, y - one);
        let ratio = polynomial(&LN_GAMMA_P, u) / polynomial(&LN_GAMMA_Q, u);
        let between = u * (u - one) * ratio;
        S::select(near, S::select(below_one, between - ln, between + ln), far)
    }

    fn number(x: f64) -> f64 {
        ln_gamma(x)
    }
}

/// `½ ln 2π − ½`.
const HALF_LN_TAU_MINUS_HALF: f64 = 0.418_938_533_204_672_7;

#[derive(Clone, Copy)]
struct Digamma;

impl Function for Digamma {
    #[inline(always)]
    fn vector<S: Simd>(x: S) -> S {
        let one = S::splat(1.0);
        let (near, below_one) = (x.lt(S::splat(3.0)), x.lt(one));
        let inverse = one / x;
        let all_near = S::mask_bits(near).count_ones() as usize == S::LANES;
        let far = if all_near {
            inverse
        } else {
            let square = inverse * inverse;
            let series = polynomial(&DIGAMMA_FAR_P, square) / polynomial(&DIGAMMA_FAR_Q, square);
            x.ln() - inverse.mul_add(S::splat(0.5), square * series)
        };
        if S::mask_bits(near) == 0 {
            return far;
        }
        let u = S::select(below_one, x, x - one);
        let from_zero = u - S::splat(DIGAMMA_ZERO.0) - S::splat(DIGAMMA_ZERO.1);
        let value = from_zero * (polynomial(&DIGAMMA_P, u) / polynomial(&DIGAMMA_Q, u));
        S::select(near, S::select(below_one, value - inverse, value), far)
    }

    fn number(x: f64) -> f64 {
        digamma(x)
    }
}

/// `Σ cₖ xᵏ` in two interleaved chains.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(coefficients: &[f64; N], x: S) -> S {
    let square = x * x;
    let (mut even, mut odd) = (S::splat(0.0), S::splat(0.0));
    let mut k = N;
    while k > 0 {
        k -= 1;
        if k.is_multiple_of(2) {
            even = even.mul_add(square, S::splat(coefficients[k]));
        } else {
            odd = odd.mul_add(square, S::splat(coefficients[k]));
        }
    }
    odd.mul_add(x, even)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both functions at every level against the scalar ones: 4 ulp each, so 8 between them at most.
    fn agree<F: Function>(x: &[f64], function: F) {
        for level in Level::available() {
            let mut y = x.to_vec();
            level.dispatch(InPlace(&mut y, function));
            for (&x, &y) in x.iter().zip(&y) {
                let want = F::number(x);
                let near = (y - want).abs() <= 8.0 * (want.abs().next_up() - want.abs());
                let same = y.to_bits() == want.to_bits() || y.is_nan() && want.is_nan();
                assert!(near || same, "{level}: {x:e} gives {y:e}, not {want:e}");
            }
        }
    }

    #[test]
    fn slices_agree_with_numbers() {
        let mut x: Vec<f64> = (0..40_000).map(|i| (f64::from(i) * 7e-4 - 14.0).exp()).collect();
        x.extend((0..2_000).map(|i| 1.0 + f64::from(i - 1_000) * 1e-9));
        x.extend((0..2_000).map(|i| 2.0 + f64::from(i - 1_000) * 1e-9));
        x.extend((0..2_000).map(|i| DIGAMMA_ZERO.0 + 1.0 + f64::from(i - 1_000) * 1e-13));
        x.extend((0..300).map(|i| f64::from(i) * 0.25 - 20.1));
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        x.extend([0.0, inf, nan, 1e-310, 5e-324, 1e300, 2.5e305, 1.7e308, -3.0, -inf, 3.0, 6.0]);
        agree(&x, LnGamma);
        agree(&x, Digamma);
    }

    #[test]
    fn slices_of_every_length_are_covered() {
        for length in 0..40 {
            let x: Vec<f64> = (0..length).map(|i| 0.3 + 0.7 * f64::from(i)).collect();
            agree(&x, LnGamma);
            agree(&x, Digamma);
        }
    }

    #[test]
    #[should_panic(expected = "x has 2 numbers, out 1")]
    fn lengths_must_agree() {
        digamma_into(&[1.0, 2.0], &mut [0.0]);
    }
}
