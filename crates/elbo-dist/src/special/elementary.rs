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

/// `ln(1 + eˣ)`, the softplus function: the log of the odds plus one, given the log of the odds.
///
/// `x` itself for large `x`; zero at `−∞`. Within 1.5 ulp.
pub fn log1p_exp(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// `1 / (1 + e⁻ˣ)`, the logistic function: the probability, given the log of the odds.
///
/// Keeps its digits in the lower tail; the upper one is `logistic(−x)`. Within 2 ulp. Its logarithm is
/// `−log1p_exp(−x)`.
pub fn logistic(x: f64) -> f64 {
    let smaller = (-x.abs()).exp();
    if x >= 0.0 { (1.0 + smaller).recip() } else { smaller / (1.0 + smaller) }
}
