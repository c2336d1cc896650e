//! Modified Bessel functions of the first kind, on a log scale.

use std::f64::consts::PI;

use super::gamma::{ln_gamma, stirling_correction};

/// `ln I_ν(x)` for `ν ≥ 0` and `x ≥ 0`; NaN elsewhere. Normalizer of the von Mises–Fisher
/// distribution, where `I_ν` itself overflows.
///
/// Within 4 ulp plus an absolute `ε √(ν² + x²)`, which counts only where the result is near zero. `ln I_0(0) = 0`; `−∞` for
/// `x = 0 < ν`.
///
/// Cost: below `√(ν² + x²) = 64` a power series of at most about 100 terms, above it one polynomial
/// in two variables.
///
/// Source: NIST DLMF 10.25.2 (series), 10.41.3 (expansion for large order, written in
/// `1 / √(ν² + x²)`, so that it also holds for small order and large `x`).
pub fn ln_bessel_i(nu: f64, x: f64) -> f64 {
    if !(nu >= 0.0 && x >= 0.0) {
        return f64::NAN;
    }
    if x == 0.0 {
        return if nu == 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    let w = nu.hypot(x);
    if w < 64.0 { power_series(nu, x) } else { uniform_expansion(nu, x, w) }
}

/// `ln [I_ν(x) e⁻ˣ]` less the logarithm of the leading term `(x/2)^ν / Γ(ν + 1)` of `I_ν(x)`, for `ν ≥ 0` and `x ≥ 0`: zero at
/// `x = 0`, and no rounding of the size of `x` where that is large.
pub(crate) fn ln_bessel_i_scaled(nu: f64, x: f64) -> f64 {
    let w = nu.hypot(x);
    if w < 64.0 {
        return power_sum(nu, x).ln_1p() - x;
    }
    let leading = if x == 0.0 { 0.0 } else { nu * (0.5 * x).ln() - ln_gamma(nu + 1.0) };
    if x == 0.0 { 0.0 } else { nu * (nu / (w + x)) - expansion_beyond(nu, x, w) - leading }
}

/// `(x/2)^ν / Γ(ν+1) · Σ (x²/4)ᵏ / (k! (ν+1)ₖ)`; every term is positive.
fn power_series(nu: f64, x: f64) -> f64 {
    let beyond_one = power_sum(nu, x).ln_1p();
    if nu >= 10.0 {
        // Stirling's formula, its large terms joined
        let power = nu * ((0.5 * x / nu).ln() + 1.0) - 0.5 * (2.0 * PI * nu).ln();
        return power - stirling_correction(nu) + beyond_one;
    }
    nu * (0.5 * x).ln() - ln_gamma(nu + 1.0) + beyond_one
}

/// The sum of the terms from `k = 1` on.
fn power_sum(nu: f64, x: f64) -> f64 {
    let square = 0.25 * x * x;
    let mut term = 1.0;
    let mut beyond_one = 0.0;
    let mut k = 0.0;
    while term > f64::EPSILON * 0.25 * beyond_one && k < 1000.0 {
        k += 1.0;
        term *= square / (k * (nu + k));
        beyond_one += term;
    }
    beyond_one
}

/// `w − ν arsinh(ν/x) − ½ ln 2πw + ln Σ uₖ(ν/w) / νᵏ`, where `uₖ(p) / νᵏ = qₖ(p²) / wᵏ`.
fn uniform_expansion(nu: f64, x: f64, w: f64) -> f64 {
    w - expansion_beyond(nu, x, w)
}

/// What the expansion takes off `w`.
fn expansion_beyond(nu: f64, x: f64, w: f64) -> f64 {
    let p2 = (nu / w) * (nu / w);
    let sum = DEBYE.iter().enumerate().rev().fold(0.0, |sum, (k, q)| {
        sum / w + q[..=k].iter().rev().fold(0.0, |value, coefficient| value * p2 + coefficient)
    });
    nu * (nu / x).asinh() + 0.5 * (2.0 * PI * w).ln() - sum.ln()
}

/// Terms `0 … 10`: the eleventh is below `8e-18` at `w = 64`.
pub(super) const DEBYE_TERMS: usize = 11;

/// `uₖ(p) = pᵏ Σⱼ DEBYE[k][j] p²ʲ`.
pub(super) const DEBYE: [[f64; DEBYE_TERMS]; DEBYE_TERMS] = debye_polynomials();

/// `uₖ₊₁(p) = ½ p² (1 − p²) uₖ′(p) + ⅛ ∫₀ᵖ (1 − 5t²) uₖ(t) dt` (NIST DLMF 10.41.9).
const fn debye_polynomials() -> [[f64; DEBYE_TERMS]; DEBYE_TERMS] {
    let mut u = [[0.0; DEBYE_TERMS]; DEBYE_TERMS];
    u[0][0] = 1.0;
    let mut k = 0;
    while k + 1 < DEBYE_TERMS {
        let mut j = 0;
        while j <= k {
            let power = (k + 2 * j) as f64;
            u[k + 1][j] += u[k][j] * (0.5 * power + 0.125 / (power + 1.0));
            u[k + 1][j + 1] -= u[k][j] * (0.5 * power + 0.625 / (power + 3.0));
            j += 1;
        }
        k += 1;
    }
    u
}
