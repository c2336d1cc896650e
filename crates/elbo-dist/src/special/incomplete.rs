//! Regularized incomplete gamma and beta functions.

use std::f64::consts::PI;

use super::elementary::log1p_minus;
use super::gamma::{ln_gamma_ratio, stirling_correction};
use super::normal::erfc;

/// `P(a, x) = 1/Γ(a) ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt`: the distribution function of a gamma variable of shape `a`.
///
/// For `a > 0`, `x ≥ 0`; NaN elsewhere. Accuracy as for [`gamma_q`].
pub fn gamma_p(a: f64, x: f64) -> f64 {
    match region(a, x) {
        Region::Outside => f64::NAN,
        Region::Edge { p } => p,
        Region::Uniform => uniform(a, x, Tail::Lower),
        Region::Series | Region::SmallBoth => prefactor(a, x) * series(a, x),
        Region::Fraction => 1.0 - prefactor(a, x) * a * fraction(a, x),
    }
}

/// `Q(a, x) = 1 − P(a, x)`, computed so that the upper tail keeps its digits.
///
/// For `a > 0`, `x ≥ 0`; NaN elsewhere. The relative error is within `ε (10 + 2 |ln Q|)`.
/// Cost: about 100 multiplications at most; no loop grows with `a` or `x`.
///
/// Source: NIST DLMF 8.11.4 (series), 8.9.2 (continued fraction), Temme (1979), SIAM J. Math. Anal.
/// 10(4) and Gil, Segura & Temme (2012), SIAM J. Sci. Comput. 34(6) (uniform expansion about
/// `x = a` for `a ≥ 20`).
pub fn gamma_q(a: f64, x: f64) -> f64 {
    match region(a, x) {
        Region::Outside => f64::NAN,
        Region::Edge { p } => 1.0 - p,
        Region::Uniform => uniform(a, x, Tail::Upper),
        Region::Series => 1.0 - prefactor(a, x) * series(a, x),
        Region::SmallBoth => small_q(a, x),
        Region::Fraction => prefactor(a, x) * a * fraction(a, x),
    }
}

/// `I_x(a, b)`, the regularized incomplete beta function: the distribution function of a beta
/// variable.
///
/// For `a > 0`, `b > 0` and `0 ≤ x ≤ 1`; NaN elsewhere. The relative error is within
/// `ε (20 + 2 |ln I|)` up to the mean `a / (a + b)`, above it the absolute error is. With `a` or `b`
/// below one it can be five times that.
/// Cost: a continued fraction of order `√max(a, b)` steps near the mean, fewer elsewhere.
///
/// Source: NIST DLMF 8.17.22, its even part (Didonato & Morris 1992, ACM Trans. Math. Softw. 18(3)),
/// by the method of Barnett, Feng, Steed & Goldfarb (1974), Comput. Phys. Commun. 8(5); prefactor for
/// large `a` and `b` in deviance form.
pub fn beta_regularized(a: f64, b: f64, x: f64) -> f64 {
    beta_regularized_of(a, b, x, 1.0 - x)
}

/// The same where `y = 1 − x` is known to more digits than `x` shows.
pub(crate) fn beta_regularized_of(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && a < f64::INFINITY && b < f64::INFINITY && (0.0..=1.0).contains(&x)) {
        f64::NAN
    } else if x <= 0.0 || y <= 0.0 {
        f64::from(y <= 0.0)
    } else if is_below_mean(a, b, x, y) {
        beta_lower(a, b, x, y)
    } else {
        1.0 - beta_lower(b, a, y, x)
    }
}

/// Is `x ≤ (a + 1)/(a + b + 2)`? Judged by the smaller one of `x` and `y = 1 − x`, which has more digits.
fn is_below_mean(a: f64, b: f64, x: f64, y: f64) -> bool {
    let total = a + b + 2.0;
    if x < y { x <= (a + 1.0) / total } else { y >= (b + 1.0) / total }
}

enum Region {
    Outside,
    Edge {
        p: f64,
    },
    /// `a ≥ 20` and `x` within a factor of about two of `a`.
    Uniform,
    /// `x < a`: the power series of `P`.
    Series,
    /// `a, x < 1`: the power series of `P`, or of `Q`, which may be tiny.
    SmallBoth,
    /// `x ≥ a`, `x ≥ 1`: the continued fraction of `Q`.
    Fraction,
}

fn region(a: f64, x: f64) -> Region {
    if !(a > 0.0 && a < f64::INFINITY && x >= 0.0) {
        Region::Outside
    } else if x == 0.0 || x == f64::INFINITY {
        Region::Edge { p: f64::from(x > 0.0) }
    } else if a >= MANY && (0.45 * a..2.0 * a).contains(&x) {
        Region::Uniform
    } else if x < 1.0 && a <= 1.0 {
        Region::SmallBoth
    } else if x < a {
        Region::Series
    } else {
        Region::Fraction
    }
}

/// From this shape on the expansion in `1/a` reaches double precision.
const MANY: f64 = 20.0;

/// `xᵃ e⁻ˣ / Γ(a + 1)`.
fn prefactor(a: f64, x: f64) -> f64 {
    if a >= MANY {
        let deviance = a * half_eta_squared(a, x);
        return (-deviance - stirling_correction(a)).exp() / (2.0 * PI * a).sqrt();
    }
    let gamma = if a < 1.0 { libm::tgamma(1.0 + a) } else { a * libm::tgamma(a) };
    let half = (-0.5 * x).exp(); // twice, so that large powers meet it before it underflows
    x.powf(a) * half / gamma * half
}

/// `½η² = μ − ln(1 + μ)`, `μ = (x − a) / a`.
fn half_eta_squared(a: f64, x: f64) -> f64 {
    let mu = (x - a) / a;
    if mu < -0.5 { mu - (x / a).ln() } else { -log1p_minus(mu) }
}

/// `Σ xᵏ / ((a+1) … (a+k))`.
fn series(a: f64, x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, a);
    while term > sum * f64::EPSILON * 0.25 {
        k += 1.0;
        term *= x / k;
        sum += term;
    }
    sum
}

/// `Q` for `a ≤ 1`, `x < 1`: `1 − xᵃ/Γ(a+1) · (1 + a Σ (−x)ᵏ / ((a+k) k!))`, `k ≥ 1`, with the first
/// difference taken by `expm1`.
fn small_q(a: f64, x: f64) -> f64 {
    let ln_power = a * x.ln() - ln_gamma_ratio(1.0, a);
    let (mut sum, mut power, mut k) = (0.0, 1.0_f64, 0.0);
    while power.abs() > f64::EPSILON * 0.1 * x {
        k += 1.0;
        power *= -x / k;
        sum += power / (a + k);
    }
    -ln_power.exp_m1() - ln_power.exp() * a * sum
}

/// `Γ(a, x) eˣ x⁻ᵃ`, a continued fraction.
fn fraction(a: f64, x: f64) -> f64 {
    continued_fraction(x + 1.0 - a, |k| (-k * (k - a), x + 2.0 * k + 1.0 - a)).recip()
}

#[derive(Clone, Copy, PartialEq)]
enum Tail {
    Lower,
    Upper,
}

/// `½ erfc(±η √(a/2)) ± R`, `R = e^(−aη²/2) / √(2πa) · a / (a + β₁) · Σ βₙ ηⁿ`, where
/// `βₙ₋₁ = (n+1)/a · βₙ₊₁ + dₙ` downwards.
fn uniform(a: f64, x: f64, tail: Tail) -> f64 {
    let half_square = half_eta_squared(a, x);
    let eta = (2.0 * half_square).sqrt().copysign(x - a);
    let (mut sum, mut beta_above, mut beta) = (0.0, 0.0, 0.0);
    for n in (1..TEMME.len()).rev() {
        // (β, β_above) = (βₙ, βₙ₊₁) → (βₙ₋₁, βₙ)
        (beta, beta_above) = ((n as f64 + 1.0) / a * beta_above + TEMME[n], beta);
        sum = sum * eta + beta;
    }
    let remainder = (-a * half_square).exp() / (2.0 * PI * a).sqrt() * (a / (a + beta_above)) * sum;
    let z = (a * half_square).sqrt().copysign(eta);
    if tail == Tail::Upper { 0.5 * erfc(z) + remainder } else { 0.5 * erfc(-z) - remainder }
}

/// `η / (λ − 1) = Σ dₙ ηⁿ` with `½η² = λ − 1 − ln λ`; computed from the reverted series with 60 digits.
/// The nearest singularity is at `|η| = 2√π`.
const TEMME: [f64; 33] = [
    1.0,
    -0.333_333_333_333_333_3,
    0.083_333_333_333_333_33,
    -0.014_814_814_814_814_815,
    0.001_157_407_407_407_407_3,
    0.000_352_733_686_067_019_4,
    -0.000_178_755_144_032_921_8,
    3.919_263_178_522_438e-5,
    -2.185_448_510_679_992e-6,
    -1.854_062_210_715_16e-6,
    8.296_711_340_953_087e-7,
    -1.766_595_273_682_607_8e-7,
    6.707_853_543_401_498e-9,
    1.026_180_978_424_030_9e-8,
    -4.382_036_018_453_353e-9,
    9.147_699_582_236_79e-10,
    -2.551_419_399_494_624_8e-11,
    -5.830_772_132_550_426e-11,
    2.436_194_802_066_741_5e-11,
    -5.027_669_280_114_175_4e-12,
    1.100_439_203_195_613_5e-13,
    3.371_763_262_400_985e-13,
    -1.392_388_722_418_162e-13,
    2.853_489_380_704_744_5e-14,
    -5.139_111_834_242_572e-16,
    -1.975_228_829_434_944_2e-15,
    8.099_521_156_704_561e-16,
    -1.652_253_121_639_816_2e-16,
    2.530_543_009_747_888_3e-18,
    1.168_693_973_855_957_6e-17,
    -4.770_037_049_820_485e-18,
    9.699_126_059_056_237e-19,
    -1.293_256_553_803_817_5e-20,
];

/// `I_x(a, b)` for `x` up to about the mean; `y = 1 − x`. The even part of the continued fraction:
/// up to the mean and for `k < b` all its terms are positive, while the full one cancels.
fn beta_lower(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let below_mean = if x < y { x.mul_add(-(a + b), a) } else { y.mul_add(a + b, -b) };
    let first = a * (below_mean + 1.0) / (a + 1.0);
    let fraction = continued_fraction(first, |k| {
        let center = a + 2.0 * k;
        let bend = k * (b - k) * x / (center - 1.0);
        let numerator = (a + k - 1.0) * (a + b + k - 1.0) * x / (center - 1.0) * bend;
        let denominator = k + bend + (a + k) * (below_mean + 1.0 + k * (1.0 + y)) / (center + 1.0);
        (numerator, denominator)
    });
    a * beta_prefactor(a, b, x, y) / fraction
}

/// `xᵃ yᵇ / (a B(a, b))`.
fn beta_prefactor(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if a.min(b) >= 1.0 {
        let total = a + b;
        let rounding = a.min(b) - (total - a.max(b)); // a + b = total + rounding exactly
        // (a + b) (x − mean)
        let excess = if x < y {
            x.mul_add(total, -a) + x * rounding
        } else {
            -(y.mul_add(total, -b) + y * rounding)
        };
        let ln_power = a * ln_1p_minus_far(excess / a, x * (total / a))
            + b * ln_1p_minus_far(-excess / b, y * (total / b));
        let corrections =
            stirling_correction(total) - stirling_correction(a) - stirling_correction(b);
        return (b / (2.0 * PI * a * total)).sqrt() * (ln_power + corrections).exp();
    }
    // Γ(a+b) / (Γ(a+1) Γ(b)), its two close arguments taken together
    let ln_beta_times_a = if a <= b {
        ln_gamma_ratio(1.0, a) - ln_gamma_ratio(b, a)
    } else {
        a.ln() + ln_gamma_ratio(1.0, b) - b.ln() - ln_gamma_ratio(a, b)
    };
    let ln_y = if x < 0.5 { (-x).ln_1p() } else { y.ln() };
    (a * x.ln() + b * ln_y - ln_beta_times_a).exp()
}

/// `ln(1 + u) − u`, given `1 + u` as well, which is accurate where `u` is near `−1`.
fn ln_1p_minus_far(u: f64, one_plus_u: f64) -> f64 {
    if u < -0.5 { one_plus_u.ln() - u } else { log1p_minus(u) }
}

/// `b₀ + a₁/(b₁ + a₂/(b₂ + …))`, forward by the method of Steed: each step adds a correction that is
/// smaller than the one before; `step(k) = (aₖ, bₖ)`.
fn continued_fraction(first: f64, step: impl Fn(f64) -> (f64, f64)) -> f64 {
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
