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
    if (x - 1.0).abs() == 0.0 && (0.0..=2.0).contains(&delta) {
        return ln_gamma_of_one_plus(delta);
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

/// `ln B(a, b) = ln Γ(a) + ln Γ(b) − ln Γ(a + b)` for `a > 0` and `b > 0`; NaN elsewhere.
///
/// Within 4 ulp plus an absolute `2 ε`, which counts only where `B(a, b)` is near one.
///
/// Source: Stirling's series, its main terms joined (Didonato & Morris 1992, ACM Trans. Math. Softw. 18(3)), if both
/// arguments are at least 10.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low.is_nan() || high.is_nan() || low <= 0.0 {
        return f64::NAN;
    }
    if low >= LARGE {
        let total = low + high;
        let corrections =
            stirling_correction(low) + (stirling_correction(high) - stirling_correction(total));
        let powers = (low - 0.5) * (high / low).ln_1p() + high * (low / high).ln_1p();
        return corrections + 0.5 * (2.0 * PI / high).ln() - powers;
    }
    if high >= LARGE {
        return ln_gamma(low) - low * high.ln() - ln_gamma_ratio_beyond_power(high, low);
    }
    ln_gamma(low) - ln_gamma_ratio(high, low)
}

/// `ln (n choose k)`; `−∞` for `k > n`. Within 3 ulp for `n` below `2⁵³`.
///
/// Source: Stirling's series; for `min(k, n − k) ≤ 15` the product itself.
pub fn ln_binomial_coefficient(n: u64, k: u64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    let low = k.min(n - k);
    if low <= 15 {
        let product = (0..low).map(|j| (n - j) as f64).product::<f64>();
        let factorial = (1..=low).map(|j| j as f64).product::<f64>(); // exact
        return (product / factorial).ln();
    }
    let (total, low, high) = (n as f64, low as f64, (n - low) as f64);
    let powers = low * (high / low).ln_1p() + high * (low / high).ln_1p();
    let corrections =
        stirling_correction(total) - stirling_correction(low) - stirling_correction(high);
    powers - 0.5 * (2.0 * PI * low * (high / total)).ln() + corrections
}

/// Digamma `ψ(x) = d/dx ln Γ(x)`.
///
/// Within 4 ulp for `x > 0` (2.9 measured), also beside its zero 1.4616…; for `x < 0` by reflection, within `4 ε` of the
/// larger term of `ψ(1 − x) − π cot πx`. `−∞` at zero, NaN at the negative integers. Cost: two divisions, and a logarithm from 3 on.
///
/// Source: NIST DLMF 5.11.2 (`x ≥ 3`, its series as a rational function of `1/x²`), 5.5.2 (recurrence), 5.5.4
/// (reflection); between 1 and 3 a rational function for `ψ(x) / (x − x₀)`. Both interpolate at Chebyshev nodes.
pub fn digamma(x: f64) -> f64 {
    if x >= 3.0 {
        return x.ln() - ln_minus_digamma(x);
    }
    if x >= 1.0 {
        return digamma_of_one_plus(x - 1.0); // exact
    }
    if x > 0.0 {
        return digamma_of_one_plus(x) - x.recip();
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

/// `ln Γ(x) − (x − ½) ln x + x − ½ ln 2π` for `x ≥ 1`, within about `3 ε` absolute.
pub(crate) fn stirling_correction(x: f64) -> f64 {
    let mut steps = 0.0;
    let mut high = x;
    while high < 6.0 {
        steps += (high + 0.5) * high.recip().ln_1p() - 1.0;
        high += 1.0;
    }
    let inverse = high.recip();
    horner(&STIRLING_FROM_SIX, inverse * inverse) * inverse + steps
}

/// `ln x − ψ(x)` for `x > 0`: positive, from `1/x` at zero to `1/(2x)` at infinity, within a few ulp everywhere.
///
/// Source: that of [`digamma`] from 3 on, NIST DLMF 5.5.2 (recurrence) below; all terms are positive.
pub(crate) fn ln_minus_digamma(x: f64) -> f64 {
    let (mut high, mut steps) = (x, 0.0);
    while high < 3.0 {
        steps -= log1p_minus(high.recip());
        high += 1.0;
    }
    let inverse = high.recip();
    let square = inverse * inverse;
    let series = horner(&DIGAMMA_FAR_P, square) / horner(&DIGAMMA_FAR_Q, square);
    steps + (0.5 * inverse + square * series)
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
/// `ln Γ(1 + u) = u (u − 1) p(u) / q(u)` for `0 ≤ u ≤ 2`, relative error `4e-18`; all coefficients are positive.
pub(super) const LN_GAMMA_P: [f64; 9] = [
    0.577_215_664_901_532_9,
    1.795_879_018_997_928,
    2.186_533_441_893_705_5,
    1.322_688_368_122_807_7,
    0.417_525_368_104_857_6,
    0.066_206_524_143_729_81,
    0.004_630_212_547_046_027,
    0.000_103_189_367_868_462_41,
    1.546_212_968_016_24e-7,
];
pub(super) const LN_GAMMA_Q: [f64; 9] = [
    1.0,
    3.536_165_962_974_521_5,
    5.021_257_900_661_251,
    3.672_221_755_210_750_3,
    1.477_100_452_295_904_4,
    0.323_976_917_346_057_6,
    0.036_138_844_471_214_01,
    0.001_746_368_100_645_290_4,
    2.470_185_221_909_083_5e-5,
];
/// `ln Γ(x) − (x − ½) ln x + x − ½ ln 2π = s(1/x²) / x` for `x ≥ 6`, relative error `4e-16` of this small term.
pub(super) const STIRLING_FROM_SIX: [f64; 7] = [
    0.083_333_333_333_333_3,
    -0.002_777_777_777_680_764_3,
    0.000_793_650_737_336_984_8,
    -0.000_595_225_741_802_264_3,
    0.000_840_444_785_160_216_9,
    -0.001_844_999_505_256_759_1,
    0.004_298_394_281_325_464,
];
/// `ln x − 1/(2x) − ψ(x) = p(1/x²) / (x² q(1/x²))` for `x ≥ 3`, relative error `9e-16` of this small term.
pub(super) const DIGAMMA_FAR_P: [f64; 6] = [
    0.083_333_333_333_333_26,
    1.043_781_643_944_873_5,
    3.558_518_730_399_508,
    3.557_770_131_952_924_7,
    0.679_735_734_402_812_4,
    -0.017_586_261_764_852_475,
];
pub(super) const DIGAMMA_FAR_Q: [f64; 5] = [
    1.0,
    12.625_379_727_336_778,
    43.917_143_690_445_144,
    46.533_747_325_095_09,
    11.259_275_676_286_821,
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
/// The zero of `ψ` minus one, as a sum of two numbers.
pub(super) const DIGAMMA_ZERO: (f64, f64) =
    (0.461_632_144_968_362_36, -1.552_234_816_285_867_7e-17);
/// `ψ(1 + u) = (u + 1 − x₀) p(u) / q(u)` for `0 ≤ u ≤ 2`, relative error `3e-19`; all coefficients are positive.
pub(super) const DIGAMMA_P: [f64; 8] = [
    1.250_380_137_503_405_4,
    2.007_998_352_106_005_4,
    1.174_160_411_603_372_1,
    0.316_499_336_325_507_14,
    0.040_493_508_265_671_44,
    0.002_235_289_521_967_761,
    3.911_765_166_568_312_5e-5,
    4.097_361_930_526_724e-8,
];
pub(super) const DIGAMMA_Q: [f64; 8] = [
    1.0,
    2.289_457_123_354_213_6,
    1.902_202_274_882_464_3,
    0.747_049_500_232_858_7,
    0.148_108_329_045_946_73,
    0.014_396_602_345_897_333,
    0.000_600_000_411_210_030_2,
    7.377_847_624_347_886_5e-6,
];

/// `ψ(1 + u)` for `0 ≤ u ≤ 2`.
fn digamma_of_one_plus(u: f64) -> f64 {
    (u - DIGAMMA_ZERO.0 - DIGAMMA_ZERO.1) * (horner(&DIGAMMA_P, u) / horner(&DIGAMMA_Q, u))
}

/// `ln Γ(1 + u)` for `0 ≤ u ≤ 2`, which keeps its digits for small `u`.
pub(super) fn ln_gamma_of_one_plus(u: f64) -> f64 {
    u * (u - 1.0) * (horner(&LN_GAMMA_P, u) / horner(&LN_GAMMA_Q, u))
}

/// `Γ(1 + u)` for `u ≥ 0`; for `u` up to some 20, as one product for each step above 2 is taken.
pub(super) fn gamma_of_one_plus(u: f64) -> f64 {
    let (mut product, mut rest) = (1.0, u);
    while rest > 2.0 {
        product *= rest;
        rest -= 1.0; // exact
    }
    product * ln_gamma_of_one_plus(rest).exp()
}

/// `ln Γ(x + δ) − ln Γ(x) − δ ln x` for `x ≥ 10` and `0 ≤ δ ≤ x`, absolute error about `ε δ`: of order `δ²/x`.
pub(super) fn ln_gamma_ratio_beyond_power(x: f64, delta: f64) -> f64 {
    (x + delta - 0.5) * (delta / x).ln_1p() - delta
        + (stirling_correction(x + delta) - stirling_correction(x))
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

/// `Σ cₖ xᵏ`, in two interleaved chains.
pub(super) fn horner(coefficients: &[f64], x: f64) -> f64 {
    let square = x * x;
    let (mut even, mut odd) = (0.0, 0.0);
    let pairs = coefficients.chunks_exact(2);
    if let [last] = pairs.remainder() {
        even = *last;
    }
    for pair in pairs.rev() {
        even = even * square + pair[0];
        odd = odd * square + pair[1];
    }
    even + x * odd
}
