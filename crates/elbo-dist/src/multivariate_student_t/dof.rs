//! The equation of the degrees of freedom.

use crate::special::digamma;

/// `H(ν) = ψ((ν + d)/2) − ψ(ν/2) − ln(1 + d/ν)`, which falls from `∞` to 0.
///
/// Large `ν`: the asymptotic series of `ψ` (NIST DLMF 5.11.2), in which the logarithms cancel exactly and the other
/// terms are differenced one by one.
pub(super) fn gap_of(dof: f64, d: f64) -> f64 {
    const LARGE: f64 = 60.0;
    let (x, y) = (0.5 * dof, 0.5 * (dof + d));
    if dof < LARGE {
        return digamma(y) - digamma(x) - (d / dof).ln_1p();
    }
    // with a = 1/x² and b = 1/y²: ½(1/x − 1/y) + (a − b)/12 − (a² − b²)/120 + (a³ − b³)/252 − (a⁴ − b⁴)/240
    let (a, b) = ((x * x).recip(), (y * y).recip());
    let first = 0.5 * (0.5 * d) / (x * y); // y − x = d/2
    let difference = 0.5 * d * (x + y) * a * b;
    let cube = a * a + a * b + b * b;
    first
        + difference
            * (1.0 / 12.0 - (a + b) / 120.0 + cube / 252.0 - (a + b) * (a * a + b * b) / 240.0)
}

/// The `ν` between `10⁻³` and the limit with `H(ν) = gap`, or the nearer end: by halving in logarithms, down to
/// neighboring numbers.
pub(super) fn dof_of(gap: f64, d: f64, limit: f64) -> f64 {
    let (mut low, mut high) = (LEAST.ln(), limit.ln());
    if gap <= gap_of(limit, d) {
        return limit;
    }
    if gap >= gap_of(LEAST, d) {
        return LEAST;
    }
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if gap_of(middle.exp(), d) > gap { low = middle } else { high = middle }
    }
    (0.5 * (low + high)).exp()
}

/// The least degrees of freedom that are estimated.
pub(super) const LEAST: f64 = 1e-3;
