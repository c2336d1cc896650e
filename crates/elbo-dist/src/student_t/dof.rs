//! The equation of the degrees of freedom.

use crate::special::{digamma, trigamma};

/// `H(ν) = ψ((ν + 1)/2) − ψ(ν/2) − ln(1 + 1/ν)`, which falls from `∞` to 0: the mean of `−ln q` plus the log of the mean
/// of `q` for `q ∼ Be(ν/2, ½)`.
///
/// Within some `10⁻¹²` of itself. Large `ν`: the asymptotic series of `ψ` (NIST DLMF 5.11.2) expanded in `1/ν`, where
/// the terms of order `1/ν` cancel.
pub(super) fn gap_of(dof: f64) -> f64 {
    if dof < LARGE {
        return digamma(0.5 * (dof + 1.0)) - digamma(0.5 * dof) - dof.recip().ln_1p();
    }
    let inverse = dof.recip();
    SERIES.iter().rev().fold(0.0, |sum, c| sum * inverse + c) * inverse * inverse
}

/// `dH / d ln ν`, a negative number.
fn slope_of(dof: f64) -> f64 {
    if dof < LARGE {
        let trigammas = trigamma(0.5 * (dof + 1.0)) - trigamma(0.5 * dof);
        return 0.5 * dof * trigammas + (dof + 1.0).recip();
    }
    -2.0 * gap_of(dof) // to the first order: the exact exponent is −2 + O(1/ν)
}

/// The `ν ≤ limit` with `H(ν) = gap`, or the limit: Newton's method in logarithms, in which `H` is all but straight.
pub(super) fn dof_of(gap: f64, limit: f64) -> f64 {
    if gap <= gap_of(limit) {
        return limit;
    }
    let mut dof = gap.sqrt().recip().max(2.0 / gap).min(limit);
    for _ in 0..50 {
        let value = gap_of(dof);
        let step = (gap / value).ln() * value / slope_of(dof);
        dof *= step.exp();
        if step.abs() < 1e-14 {
            break;
        }
    }
    dof.min(limit)
}

/// From here on the series reaches `10⁻¹⁴`.
const LARGE: f64 = 20.0;

/// Coefficients of `ν⁻², ν⁻³, …, ν⁻¹⁸`.
const SERIES: [f64; 17] = [
    1.0,
    -1.0 / 3.0,
    0.0,
    -1.0 / 5.0,
    2.0 / 3.0,
    -1.0 / 7.0,
    -2.0,
    -1.0 / 9.0,
    78.0 / 5.0,
    -1.0 / 11.0,
    -518.0 / 3.0,
    -1.0 / 13.0,
    19_114.0 / 7.0,
    -1.0 / 15.0,
    -58_098.0,
    -1.0 / 17.0,
    14_410_310.0 / 9.0,
];
