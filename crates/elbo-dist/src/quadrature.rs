//! Integrals without a formula, by the double-exponential rules.

use std::f64::consts::FRAC_PI_2;

/// `h Σ f(ih)`: the trapezoidal rule over the whole line, outwards from zero until terms vanish.
///
/// For an `f` that is smooth and falls off at least exponentially the error falls exponentially in `1/h`.
pub(crate) fn trapezoid(h: f64, f: impl Fn(f64) -> f64) -> f64 {
    let mut sum = f(0.0);
    for side in [h, -h] {
        let (mut i, mut vanishing) = (1.0, 0);
        while vanishing < 8 && i < 1e5 {
            let term = f(i * side);
            vanishing = if term.abs() <= 1e-18 * sum.abs() { vanishing + 1 } else { 0 };
            sum += term;
            i += 1.0;
        }
    }
    sum * h
}

/// `∫₀^∞ f(x) dx` with `x = eʸ`; `f` is given `y` and returns `f(x) · x`, so that nothing overflows.
///
/// Singular ends and features of any scale next to zero are borne.
///
/// Source: Takahasi & Mori (1974), Publ. RIMS 9(3).
pub(crate) fn half_line(f: impl Fn(f64) -> f64) -> f64 {
    trapezoid(STEP, |t| {
        let weight = FRAC_PI_2 * t.cosh();
        if weight < 1e10 { f(FRAC_PI_2 * t.sinh()) * weight } else { 0.0 }
    })
}

/// `∫ₐᵇ f`; `f` is given the distances from both ends.
///
/// Source: as for [`half_line`].
pub(crate) fn interval(length: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
    if length == 0.0 {
        return 0.0;
    }
    length
        * trapezoid(STEP, |t| {
            let s = std::f64::consts::PI * t.sinh();
            // 1/(1 + e^{±s}) are the shares of the interval on either side.
            let (left, right) = ((1.0 + (-s).exp()).recip(), (1.0 + s.exp()).recip());
            let weight = std::f64::consts::PI * t.cosh() * left * right;
            if weight > 0.0 { f(length * left, length * right) * weight } else { 0.0 }
        })
}

const STEP: f64 = 1.0 / 32.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrals_with_a_formula_come_out() {
        let gamma = half_line(|y| (3.5 * y - y.exp()).exp()); // Γ(3.5)
        assert!((gamma / 3.323_350_970_447_842_6 - 1.0).abs() < 1e-13, "{gamma}");
        let singular = interval(2.0, |x, _| x.ln());
        assert!((singular - (2.0 * 2.0_f64.ln() - 2.0)).abs() < 1e-13, "{singular}");
        let normal = trapezoid(0.25, |x| (-0.5 * x * x).exp());
        assert!((normal - std::f64::consts::TAU.sqrt()).abs() < 1e-13, "{normal}");
    }
}
