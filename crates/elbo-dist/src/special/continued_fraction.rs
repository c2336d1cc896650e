//! Continued fractions.

/// `b₀ + a₁/(b₁ + a₂/(b₂ + …))`, forward by the method of Steed: each step adds a correction that is
/// smaller than the one before; `step(k) = (aₖ, bₖ)`, asked for in order.
pub(super) fn continued_fraction(first: f64, mut step: impl FnMut(f64) -> (f64, f64)) -> f64 {
    let (numerator, denominator) = step(1.0);
    let mut inverse = denominator.recip();
    let mut correction = numerator * inverse;
    let mut value = first + correction;
    let mut k = 1.0;
    while correction.abs() > 0.25 * f64::EPSILON * value.abs() && k < 1e7 {
        k += 1.0;
        let (numerator, denominator) = step(k);
        let next = (denominator + numerator * inverse).recip();
        correction *= -numerator * inverse * next;
        inverse = next;
        value += correction;
    }
    value
}
