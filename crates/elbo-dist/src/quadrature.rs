//! Integrals without a formula, by the double-exponential rules.

use std::f64::consts::FRAC_PI_2;

/// `h Σ f(ih)` for `|ih| ≤ limit`: the trapezoidal rule, outwards from zero until terms vanish.
///
/// For an `f` that is smooth and falls off at least exponentially the error falls exponentially in `1/h`.
fn trapezoid(h: f64, limit: f64, f: impl Fn(f64) -> f64) -> f64 {
    let mut sum = f(0.0);
    for side in [h, -h] {
        let (mut i, mut vanishing) = (1.0, 0);
        while vanishing < 8 && i * h <= limit {
            let term = f(i * side);
            // Where nothing has been met yet, it lies farther out.
            let vanished = sum != 0.0 && term.abs() <= 1e-18 * sum.abs();
            vanishing = if vanished { vanishing + 1 } else { 0 };
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
    trapezoid(STEP, 23.0, |t| f(FRAC_PI_2 * t.sinh()) * FRAC_PI_2 * t.cosh())
}

/// `∫ₐᵇ f`; `f` is given the distances from both ends.
///
/// Source: as for [`half_line`].
pub(crate) fn interval(length: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
    if length == 0.0 {
        return 0.0;
    }
    length
        * trapezoid(STEP, 6.0, |t| {
            let s = std::f64::consts::PI * t.sinh();
            // 1/(1 + e^{±s}) are the shares of the interval on either side.
            let (left, right) = ((1.0 + (-s).exp()).recip(), (1.0 + s.exp()).recip());
            let weight = std::f64::consts::PI * t.cosh() * left * right;
            f(length * left, length * right) * weight
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
        let narrow = interval(1.0, |x, _| 1e4 * (-1e4 * x).exp());
        assert!((narrow - 1.0).abs() < 1e-13, "{narrow}");
        let normal = trapezoid(0.25, 1e3, |x| (-0.5 * x * x).exp());
        assert!((normal - std::f64::consts::TAU.sqrt()).abs() < 1e-13, "{normal}");
    }
}
