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
