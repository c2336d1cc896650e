//! `u − 1 − ln u`, the unit deviance of a scale: what gamma and beta densities are made of.
//!
//! It is 0 at `u = 1` and positive elsewhere. Densities written by it add positive terms only, so that they keep their
//! digits where power and exponential would cancel: at shapes of 10⁸ and more.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::Simd;

use crate::special::log1p_minus;

/// `v − ln(1 + v)`, within a few units in the last place.
pub(crate) fn deviance(v: f64) -> f64 {
    -log1p_minus(v)
}

/// `v − ln(1 + v)` per lane, given `ln(1 + v)`, which is used where `|v| ≥ ¼` and does not matter elsewhere.
///
/// With `s = v / (2 + v)`, `ln(1 + v) = 2 artanh s` and `v − 2s = s v`; `s² ≤ 1/49`, so ten terms reach 2⁻⁵³.
#[inline(always)]
pub(crate) fn deviances<S: Simd>(v: S, log: S) -> S {
    let s = v / (S::splat(2.0) + v);
    let square = s * s;
    let mut series = S::splat(ARTANH[ARTANH.len() - 1]);
    for coefficient in ARTANH.iter().rev().skip(1) {
        series = series.mul_add(square, S::splat(*coefficient));
    }
    let near = s * (v - S::splat(2.0) * square * series);
    let size = v.max(S::splat(0.0) - v);
    S::select(size.lt(S::splat(0.25)), near, v - log)
}

/// `ln(1 + v)` per lane, from its deviance where `|v| < ¼`, and otherwise as it is given.
#[inline(always)]
pub(crate) fn logs<S: Simd>(v: S, deviance: S, log: S) -> S {
    let size = v.max(S::splat(0.0) - v);
    S::select(size.lt(S::splat(0.25)), v - deviance, log)
}

/// `1 / (2k + 3)`.
const ARTANH: [f64; 10] = [
    1.0 / 3.0,
    1.0 / 5.0,
    1.0 / 7.0,
    1.0 / 9.0,
    1.0 / 11.0,
    1.0 / 13.0,
    1.0 / 15.0,
    1.0 / 17.0,
    1.0 / 19.0,
    1.0 / 21.0,
];
