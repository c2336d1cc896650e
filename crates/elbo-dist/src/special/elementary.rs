//! Exponentials and logarithms arranged so that they do not cancel.

use std::f64::consts::LN_2;

/// `ln(1 − eˣ)` for `x ≤ 0`: the log of a complement, given the log of a probability.
///
/// NaN for `x > 0`, `−∞` at zero. Within 2 ulp.
///
/// Source: Mächler (2012), *Accurately computing log(1 − exp(−|a|))*, Rmpfr vignette.
pub fn log1m_exp(x: f64) -> f64 {
    if x > -LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
}

/// `ln(eˣ + eʸ)` without overflow; `−∞` stands for a zero term.
///
/// Symmetric to the bit.
pub fn log_add_exp(x: f64, y: f64) -> f64 {
    let (low, high) = if x < y { (x, y) } else { (y, x) };
    if high.is_infinite() {
        return if low.is_nan() { low } else { high }; // ∞ − ∞ is not zero
    }
    high + (low - high).exp().ln_1p()
}

/// `x ln y`, with `0 ln 0 = 0`, as entropies and multinomial likelihoods need it.
///
/// Zero for `x = 0` whatever the `y`, NaN excepted.
pub fn x_ln_y(x: f64, y: f64) -> f64 {
    if x == 0.0 && !y.is_nan() { 0.0 } else { x * y.ln() }
}

/// `x ln(x/y) − x + y ≥ 0` for `x, y ≥ 0`: half the deviance of a count `x` whose mean is `y`, and what a probability `x`
/// adds to a divergence from `y`. Relative error a few ulp of its condition: nothing cancels near `x = y`.
///
/// Source: Loader (2000), *Fast and accurate computation of binomial probabilities*.
pub(crate) fn deviance(x: f64, y: f64) -> f64 {
    if x == 0.0 {
        return y;
    }
    let u = (y - x) / x;
    if u.abs() > 0.5 { x * (x / y).ln() + (y - x) } else { -x * log1p_minus(u) }
}

/// `ln(1 + x) − x`, which is near `−x²/2`, without cancellation.
///
/// With `s = x / (2 + x)`, `ln(1 + x) = 2 artanh s` and `x − 2s = s x`.
pub(crate) fn log1p_minus(x: f64) -> f64 {
    if x.abs() > 0.5 {
        return x.ln_1p() - x;
    }
    let s = x / (2.0 + x);
    let square = s * s;
    // artanh: Σ s²ᵏ / (2k + 3); s² ≤ 1/9, so 17 terms reach 2⁻⁵³
    let series = (0..17).rev().fold(0.0, |sum, k| sum * square + f64::from(2 * k + 3).recip());
    s * (2.0 * square * series - x)
}
