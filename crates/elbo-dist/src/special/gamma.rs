//! The logarithm of the gamma function, its derivatives and their multivariate forms.

use std::f64::consts::PI;

use super::elementary::log1p_minus;

/// `ln |Γ(x)|`. Within 2.3 ulp for `x > 0`, also beside its zeros 1 and 2 (libm).
///
/// `+∞` at zero and the negative integers.
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// `ln n!`. Within 2.3 ulp.
pub fn ln_factorial(n: u64) -> f64 {
    ln_gamma(n as f64 + 1.0)
}

/// `ln Γ(x + δ) − ln Γ(x)` for `x > 0` and `x + δ > 0`; NaN elsewhere.
///
/// The difference of two `ln Γ` loses every digit for `x` large or `δ` small; this does not. The
/// error is within `24 ε |δ| max(1/x, 1/(x + δ), |ln x|, 1)` (a third of that measured): a few ulp except beside the zero of
/// the result (at `x ≈ 1.46 − δ/2` for small `δ`). For `x < 10 < δ` it is that of [`ln_gamma`].
///
/// Cost: three logarithms.
///
/// Source: Stirling's series, NIST DLMF 5.11.1, differenced term by term.
pub fn ln_gamma_ratio(x: f64, delta: f64) -> f64 {
    let low = x.min(x + delta);
    if low.is_nan() || low <= 0.0 {
        return f64::NAN;
    }
    if delta == 0.0 {
        return 0.0;
    }
    if low >= LARGE {
        return stirling_difference(x, delta);
    }
    if delta.abs() > 10.0 {
        return ln_gamma(x + delta) - ln_gamma(x);
    }
    // Γ(x+δ)/Γ(x) = Γ(x+n+δ)/Γ(x+n) / ∏ (1 + δ/(x+k)); the product is kept minus one
    let mut beyond_one = 0.0;
    let mut ln_product = 0.0;
    let mut shift = 0.0;
    while low + shift < LARGE {
        let factor = delta / (x + shift);
        if factor < -0.5 {
            ln_product += ((x + delta + shift) / (x + shift)).ln();
        } else {
            beyond_one += factor + beyond_one * factor;
        }
        shift += 1.0;
    }
    ln_product += f64::ln_1p(beyond_one);
    stirling_difference(x + shift, delta) - ln_product
}

/// Digamma `ψ(x) = d/dx ln Γ(x)`.
///
/// Within 4 ulp for `x > 0` (3.5 measured), also beside its zero 1.4616…; for `x < 0` by reflection, within `4 ε` of
/// the larger term of `ψ(1 − x) − π cot πx`. `−∞` at zero, NaN at the negative integers.
///
/// Source: NIST DLMF 5.11.2 (`x ≥ 10`), 5.5.2 (recurrence), 5.5.4 (reflection); between 1 and 3 a
/// rational function interpolating `ψ(x) / (x − x₀)` at Chebyshev nodes, relative error `3e-19`.
pub fn digamma(x: f64) -> f64 {
    if x >= LARGE {
        let inverse = x.recip();
        return x.ln()
            - 0.5 * inverse
            - horner(&DIGAMMA_SERIES, inverse * inverse) * inverse * inverse;
    }
    if x >= 1.0 {
        let mut low = x;
        let mut sum = 0.0;
        while low > 3.0 {
            low -= 1.0; // exact
            sum += low.recip();
        }
        return sum + digamma_one_to_three(low);
    }
    if x > 0.0 {
        return digamma_one_to_three(1.0 + x) - x.recip();
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    let fraction = x - x.round(); // exact; NaN for −∞
    if fraction.abs() > 0.0 { digamma(1.0 - x) - PI * cot_pi(fraction) } else { f64::NAN }
}

/// Trigamma `ψ′(x) = d²/dx² ln Γ(x)`.
///
/// Within 4 ulp for `x > 0` (2.6 measured); for `x < 0` by reflection. `+∞` at zero, NaN at the negative integers.
///
/// Source: NIST DLMF 5.15.8 (`x ≥ 10`), 5.15.5 (recurrence), 5.15.6 (reflection).
pub fn trigamma(x: f64) -> f64 {
    if x < 0.0 {
        let fraction = x - x.round();
        let sine = (PI * fraction).sin();
        return if fraction == 0.0 { f64::NAN } else { (PI / sine).powi(2) - trigamma(1.0 - x) };
    }
    let mut terms = [0.0; 10];
    let mut used = 0;
    let mut high = x;
    while high < LARGE {
        terms[used] = (high * high).recip();
        used += 1;
        high += 1.0;
    }
    let inverse = high.recip();
    let square = inverse * inverse;
    let tail = inverse + square * (0.5 + horner(&TRIGAMMA_SERIES, square) * inverse);
    terms[..used].iter().rev().fold(tail, |sum, term| sum + term) // smallest first
}

/// The positive `x` with `ψ(x) = y`.
///
/// As accurate as `y` determines it: the residual `ψ(x) − y` is within 4 ulp of `y` or the step of
/// one ulp in `x`. `+∞` for `y > 709.78`, zero for `y = −∞`.
///
/// Source: Newton's method from the start of Minka (2000), *Estimating a Dirichlet distribution*,
/// appendix C.
pub fn inverse_digamma(y: f64) -> f64 {
    if y.is_nan() {
        return y;
    }
    let mut x = if y >= -2.22 { y.exp() + 0.5 } else { -(y - DIGAMMA_ONE).recip() };
    if !(1e-17..=1e17).contains(&x) {
        // ψ(x) = ln x to the last bit, or −1/x
        return if y > 0.0 { y.exp() } else { -y.recip() };
    }
    for _ in 0..10 {
        let step = (digamma(x) - y) / trigamma(x);
        x -= step;
        if step.abs() <= f64::EPSILON * x {
            break;
        }
    }
    x
}

/// `ln Γₚ(a) = p(p−1)/4 ln π + Σⱼ ln Γ(a − j/2)`, `j = 0 … p − 1`: the normalizer of the Wishart.
///
/// NaN unless `a > (p − 1) / 2`. Absolute error within `p` times that of [`ln_gamma`].
///
/// Source: Muirhead (1982), *Aspects of Multivariate Statistical Theory*, thm 2.1.12.
pub fn ln_multivariate_gamma(p: usize, a: f64) -> f64 {
    let p = p as f64;
    if a.is_nan() || a <= 0.5 * (p - 1.0) {
        return f64::NAN;
    }
    0.25 * p * (p - 1.0) * PI.ln() + half_steps(p, a).map(ln_gamma).sum::<f64>()
}

/// `ψₚ(a) = d/da ln Γₚ(a) = Σⱼ ψ(a − j/2)`, `j = 0 … p − 1`.
///
/// NaN unless `a > (p − 1) / 2`. Absolute error within `p` times that of [`digamma`].
pub fn multivariate_digamma(p: usize, a: f64) -> f64 {
    let p = p as f64;
    if a.is_nan() || a <= 0.5 * (p - 1.0) {
        return f64::NAN;
    }
    half_steps(p, a).map(digamma).sum()
}

/// `ln Γ(x) − (x − ½) ln x + x − ½ ln 2π` for `x ≥ 1`, within about `5 ε` absolute.
pub(crate) fn stirling_correction(x: f64) -> f64 {
    let mut steps = 0.0;
    let mut high = x;
    while high < LARGE {
        steps += (high + 0.5) * high.recip().ln_1p() - 1.0;
        high += 1.0;
    }
    let inverse = high.recip();
    horner(&STIRLING_SERIES, inverse * inverse) * inverse + steps
}

/// `ln x − ψ(x)` for `x > 0`: positive, from `1/x` at zero to `1/(2x)` at infinity, within a few ulp everywhere.
///
/// Source: NIST DLMF 5.11.2 (`x ≥ 10`), 5.5.2 (recurrence); all terms are positive.
pub(crate) fn ln_minus_digamma(x: f64) -> f64 {
    let (mut high, mut steps) = (x, 0.0);
    while high < LARGE {
        steps -= log1p_minus(high.recip());
        high += 1.0;
    }
    let inverse = high.recip();
    steps + inverse * (0.5 + horner(&DIGAMMA_SERIES, inverse * inverse) * inverse)
}

/// `ψ′(x) − 1/x` for `x > 0`: positive, from `1/x²` at zero to `1/(2x²)` at infinity, within a few ulp everywhere.
///
/// Source: NIST DLMF 5.15.8 (`x ≥ 10`), 5.15.5 (recurrence); all terms are positive.
pub(crate) fn trigamma_excess(x: f64) -> f64 {
    let (mut high, mut steps) = (x, 0.0);
    while high < LARGE {
        steps += (high * high * (high + 1.0)).recip();
        high += 1.0;
    }
    let inverse = high.recip();
    steps + inverse * inverse * (0.5 + horner(&TRIGAMMA_SERIES, inverse * inverse) * inverse)
}

/// `x ln x − x − ln Γ(x)` for `x > 0`: the log density of `ln y` at its peak, `y ~ Ga(x, 1)`; about `½ ln x/2π`.
///
/// Concave, with derivative [`ln_minus_digamma`]. Absolute error within about `5 ε` for `x ≥ 1`, relative below.
pub(crate) fn gamma_log_peak(x: f64) -> f64 {
    if x < 1.0 {
        return x * x.ln() - x - ln_gamma(x);
    }
    0.5 * (x / (2.0 * PI)).ln() - stirling_correction(x)
}

/// From here on eight terms of the asymptotic series reach `2⁻⁵³`.
const LARGE: f64 = 10.0;

/// `B₂ₖ / (2k (2k − 1))`.
const STIRLING_SERIES: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
    -3617.0 / 122_400.0,
];
/// `B₂ₖ / 2k`.
const DIGAMMA_SERIES: [f64; 8] = [
    1.0 / 12.0,
    -1.0 / 120.0,
    1.0 / 252.0,
    -1.0 / 240.0,
    1.0 / 132.0,
    -691.0 / 32_760.0,
    1.0 / 12.0,
    -3617.0 / 8160.0,
];
/// `B₂ₖ`.
const TRIGAMMA_SERIES: [f64; 9] = [
    1.0 / 6.0,
    -1.0 / 30.0,
    1.0 / 42.0,
    -1.0 / 30.0,
    5.0 / 66.0,
    -691.0 / 2730.0,
    7.0 / 6.0,
    -3617.0 / 510.0,
    43_867.0 / 798.0,
];
/// `ψ(1) = −γ`.
const DIGAMMA_ONE: f64 = -0.577_215_664_901_532_9;
/// The zero of `ψ`, as a sum of two numbers.
const DIGAMMA_ZERO: (f64, f64) = (1.461_632_144_968_362_2, 9.549_995_429_965_697e-17);

/// `ψ(x) = (x − x₀) p(x − 1) / q(x − 1)`; all coefficients are positive, so nothing cancels.
fn digamma_one_to_three(x: f64) -> f64 {
    const P: [f64; 8] = [
        1.250_380_137_503_405_4,
        2.007_998_352_106_005_4,
        1.174_160_411_603_372_1,
        0.316_499_336_325_507_14,
        0.040_493_508_265_671_44,
        0.002_235_289_521_967_761,
        3.911_765_166_568_312_5e-5,
        4.097_361_930_526_724e-8,
    ];
    const Q: [f64; 8] = [
        1.0,
        2.289_457_123_354_213_6,
        1.902_202_274_882_464_3,
        0.747_049_500_232_858_7,
        0.148_108_329_045_946_73,
        0.014_396_602_345_897_333,
        0.000_600_000_411_210_030_2,
        7.377_847_624_347_886_5e-6,
    ];
    let u = x - 1.0;
    (x - DIGAMMA_ZERO.0 - DIGAMMA_ZERO.1) * (horner(&P, u) / horner(&Q, u))
}

/// `cot πx` for `|x| ≤ ½`; the tangent is taken where its argument is small.
fn cot_pi(x: f64) -> f64 {
    if x.abs() < 0.25 { (PI * x).tan().recip() } else { (PI * (0.5 - x.abs())).tan().copysign(x) }
}

/// `ln Γ(x + δ) − ln Γ(x)` from Stirling's series; both arguments are at least [`LARGE`].
fn stirling_difference(x: f64, delta: f64) -> f64 {
    let end = x + delta;
    let relative = delta / x;
    let ln_ratio = if relative.abs() < 0.5 { relative.ln_1p() } else { (end / x).ln() };
    // the series is s(1/x) = u P(u²); its divided difference comes out of the same Horner scheme
    let (u, v) = (x.recip(), end.recip());
    let (u2, v2) = (u * u, v * v);
    let (mut value, mut slope) = (0.0, 0.0);
    for coefficient in STIRLING_SERIES.iter().rev() {
        slope = slope * v2 + value;
        value = value * u2 + coefficient;
    }
    let series = -delta * u * v * (value + v * (u + v) * slope);
    (x - 0.5) * ln_ratio + delta * (end.ln() - 1.0) + series
}

/// `a − j/2`, `j = 0 … p − 1`.
fn half_steps(p: f64, a: f64) -> impl Iterator<Item = f64> {
    (0..).map(f64::from).take_while(move |j| *j < p).map(move |j| a - 0.5 * j)
}

/// `Σ cₖ xᵏ`.
pub(super) fn horner(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}
