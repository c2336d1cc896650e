//! Roots of distribution functions whose logarithm is concave.

/// Which side of a distribution is solved for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Tail {
    Lower,
    Upper,
}

/// A tail of a distribution of `t = ln r`, and the density there.
pub(super) struct Point {
    /// The probability of the tail.
    pub(super) tail: f64,
    /// The density of `t`.
    pub(super) density: f64,
    /// `d ln density / dt`.
    pub(super) bend: f64,
}

/// The `r > 0` where the tail has probability `p`.
///
/// Halley's method for `ln tail = ln p` in `t = ln r`, where `ln tail` is concave: Newton's method alone would come from
/// one side from its second step on, from any start. A bracket catches what underflow and rounding do to this.
pub(super) fn solve(side: Tail, p: f64, start: f64, at: impl Fn(f64) -> Point) -> f64 {
    let sign = if side == Tail::Lower { 1.0 } else { -1.0 };
    let (mut below, mut above) = (f64::from_bits(1), f64::MAX);
    let mut r = start.clamp(f64::MIN_POSITIVE, 1e300);
    for _ in 0..100 {
        let Point { tail, density, bend } = at(r);
        let excess =
            if (tail - p).abs() < 0.5 * p { ((tail - p) / p).ln_1p() } else { (tail / p).ln() };
        if sign * excess < 0.0 {
            below = r;
        } else {
            above = r;
        }
        let slope = density / tail;
        let newton = -sign * excess / slope;
        let curvature = (0.5 * excess * (sign * bend / slope - 1.0)).clamp(-0.5, 0.5);
        let next = r * (newton / (1.0 - curvature)).exp();
        if excess.abs() < 1e-6 && next.is_finite() {
            return next; // what is left is of order 1e-18
        }
        r = if below < next && next < above { next } else { below.sqrt() * above.sqrt() };
        if above <= below.next_up() {
            break;
        }
    }
    r
}
