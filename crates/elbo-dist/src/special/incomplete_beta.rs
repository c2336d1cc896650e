//! The regularized incomplete beta function and its inverse.

use std::f64::consts::PI;

use super::continued_fraction::continued_fraction;
use super::double_double::Double;
use super::gamma::{ln_beta, ln_gamma_ratio, stirling_correction};
use super::inverse::{Point, Tail, solve};
use super::normal::standard_normal_quantile;

/// `I_x(a, b)`, the regularized incomplete beta function: the distribution function of a beta
/// variable.
///
/// For `a > 0`, `b > 0` and `0 ≤ x ≤ 1`; NaN elsewhere. The upper tail `1 − I_x(a, b)` is `I_{1−x}(b, a)`.
/// Cost: a continued fraction of order `√max(a, b)` steps near the mean, fewer elsewhere.
///
/// Source: NIST DLMF 8.17.22, its even part (Didonato & Morris 1992, ACM Trans. Math. Softw. 18(3)),
/// by the method of Barnett, Feng, Steed & Goldfarb (1974), Comput. Phys. Commun. 8(5); prefactor for
/// large `a` and `b` in deviance form, with extra digits; the power series of the complement for `b < 1`.
pub fn beta_regularized(a: f64, b: f64, x: f64) -> f64 {
    if !(positive(a) && positive(b) && (0.0..=1.0).contains(&x)) {
        f64::NAN
    } else if x <= 0.0 || x >= 1.0 {
        x
    } else {
        lower(a, b, Split::at(x))
    }
}

/// [`beta_regularized`] of an `x` whose complement `y = 1 − x` is known with all its digits, too.
pub(crate) fn beta_regularized_of_pair(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || y <= 0.0 {
        f64::from(x > 0.0)
    } else {
        lower(a, b, if x < y { Split::at(x) } else { Split::at(y).mirrored() })
    }
}

/// The `x` with `I_x(a, b) = p`: the quantile of a beta variable.
///
/// For `a > 0`, `b > 0` and `0 ≤ p ≤ 1`; NaN elsewhere. As accurate as `p` determines it, tiny `p` included: the
/// relative error of `x` or of `1 − x`, whichever is smaller, is that of the smaller tail divided by its elasticity, plus
/// 3 ulp. Zero where the result underflows. Cost: three to eight evaluations of [`beta_regularized`].
///
/// Source: Halley's method on the logarithm of the smaller tail, which is concave in `ln x/(1−x)`; start by
/// Abramowitz & Stegun (1964) 26.5.22 or the leading term of the power series.
pub fn inverse_beta_regularized(a: f64, b: f64, p: f64) -> f64 {
    if !(positive(a) && positive(b) && (0.0..=1.0).contains(&p)) {
        return f64::NAN;
    }
    if p <= 0.0 || p >= 1.0 {
        return p;
    }
    let (side, tail) = if p > 0.5 { (Tail::Upper, 1.0 - p) } else { (Tail::Lower, p) };
    let start = match start(a, b, p) {
        Start::Below(x) => return x,
        Start::Odds(odds) => odds,
    };
    let odds = solve(side, tail, start, |odds| {
        let at = Split::of_odds(odds);
        Point {
            tail: if side == Tail::Lower { lower(a, b, at) } else { lower(b, a, at.mirrored()) },
            density: a * prefactor(a, b, at),
            bend: a * at.y.high - b * at.x.high,
        }
    });
    Split::of_odds(odds).x.high
}

fn positive(x: f64) -> bool {
    x > 0.0 && x < f64::INFINITY
}

/// `x` and `y = 1 − x`.
#[derive(Clone, Copy)]
struct Split {
    x: Double,
    y: Double,
}

impl Split {
    fn at(x: f64) -> Self {
        Self { x: Double::new(x, 0.0), y: Double::sum(1.0, -x) }
    }

    fn of_odds(odds: f64) -> Self {
        if odds <= 1.0 {
            Self::at(odds / (1.0 + odds))
        } else {
            Self::at((1.0 + odds).recip()).mirrored()
        }
    }

    fn mirrored(self) -> Self {
        Self { x: self.y, y: self.x }
    }
}

enum Start {
    /// So small that the leading term is the result.
    Below(f64),
    Odds(f64),
}

fn start(a: f64, b: f64, p: f64) -> Start {
    // I < xᵃ / (a B) for b ≥ 1, and about that for small x
    let ln_scale = ln_beta(a, b);
    let ln_low = (p.ln() + a.ln() + ln_scale) / a;
    let ln_high = ((-p).ln_1p() + b.ln() + ln_scale) / b;
    if ln_low < -660.0 {
        return Start::Below(ln_low.exp());
    }
    if a >= 1.0 && b >= 1.0 {
        let z = -standard_normal_quantile(p);
        let (u, v) = ((2.0 * a - 1.0).recip(), (2.0 * b - 1.0).recip());
        let h = 2.0 / (u + v);
        let lambda = (z * z - 3.0) / 6.0;
        let w =
            z * (h + lambda).max(0.0).sqrt() / h - (v - u) * (lambda + 5.0 / 6.0 - 2.0 / (3.0 * h));
        let odds = a / b * (-2.0 * w).exp();
        if h + lambda > 0.0 && odds > 1e-300 && odds < 1e300 {
            return Start::Odds(odds);
        }
    }
    let (ln_mean, ln_rest) = ((a / (a + b)).ln(), (b / (a + b)).ln());
    Start::Odds(if ln_low < ln_mean {
        ln_low.exp() / -ln_low.exp_m1()
    } else if ln_high < ln_rest {
        -ln_high.exp_m1() / ln_high.exp().max(1e-300)
    } else {
        a / b
    })
}

/// `I_x(a, b)` for any `x`.
fn lower(a: f64, b: f64, at: Split) -> f64 {
    if at.x.high <= (a + 1.0) / (a + b + 2.0) {
        prefactor(a, b, at) * a / fraction(a, b, at)
    } else if b < 1.0 {
        complement_of_series(a, b, at)
    } else {
        1.0 - prefactor(b, a, at.mirrored()) * b / fraction(b, a, at.mirrored())
    }
}

/// `1 − I_y(b, a)` for `b < 1` and `y` up to about the mean: `1 − yᵇ / (b B) · (1 + b Σ (1−a)ₖ yᵏ / ((b+k) k!))`, `k ≥ 1`,
/// with the first difference taken by `expm1`, as for the incomplete gamma function.
fn complement_of_series(a: f64, b: f64, at: Split) -> f64 {
    let y = at.y.high;
    let ln_power = b * y.ln() - ln_gamma_ratio(1.0, b) + ln_gamma_ratio(a, b);
    let (mut sum, mut power, mut k) = (0.0_f64, 1.0_f64, 0.0);
    while power.abs() > f64::EPSILON * 0.1 * sum.abs() && k < 1000.0 || k < 2.0 {
        k += 1.0;
        power *= (k - a) * y / k;
        sum += power / (b + k);
    }
    -ln_power.exp_m1() - ln_power.exp() * b * sum
}

/// `xᵃ yᵇ / (B(a, b) I_x(a, b))` for `x` up to about the mean. The even part of the continued fraction: up to the mean
/// and for `k < b` all its terms are positive, while the full one cancels.
fn fraction(a: f64, b: f64, at: Split) -> f64 {
    let (x, y) = (at.x.high, at.y.high);
    // From the one of x and y that is exact.
    let below_mean = if at.x.low == 0.0 { x.mul_add(-(a + b), a) } else { y.mul_add(a + b, -b) };
    let first = a * (below_mean + 1.0) / (a + 1.0);
    continued_fraction(first, |k| {
        let center = a + 2.0 * k;
        let bend = k * (b - k) * x / (center - 1.0);
        let numerator = (a + k - 1.0) * (a + b + k - 1.0) * x / (center - 1.0) * bend;
        let denominator = k + bend + (a + k) * (below_mean + 1.0 + k * (1.0 + y)) / (center + 1.0);
        (numerator, denominator)
    })
}

/// `xᵃ yᵇ / (a B(a, b))`.
fn prefactor(a: f64, b: f64, at: Split) -> f64 {
    let (small, large) = (a.min(b), a.max(b));
    if small >= 1.0 {
        return deviance_prefactor(a, b, at);
    }
    let (near_small, near_large) = if a <= b { (at.x, at.y) } else { (at.y, at.x) };
    let power = if large < LARGE {
        let near = |p: f64, x: Double| x.high.powf(p) * (1.0 + p * x.low / x.high);
        near(small, near_small) * near(large, near_large) * libm::tgamma(small + large)
            / (libm::tgamma(large) * libm::tgamma(1.0 + small))
    } else {
        // Γ(l + s) / Γ(l) = lˢ e^δ, by Stirling's series
        let delta = (large + small - 0.5) * (small / large).ln_1p() - small
            + (stirling_correction(large + small) - stirling_correction(large));
        (near_small.high * large).powf(small) * (near_large.ln() * large).exp() * delta.exp()
            / libm::tgamma(1.0 + small)
    };
    power * (small / a)
}

const LARGE: f64 = 10.0;

/// The same for `a, b ≥ 1`: Stirling's formula, and the powers as `e` to minus a deviance.
fn deviance_prefactor(a: f64, b: f64, at: Split) -> f64 {
    let total = Double::sum(a, b);
    // (a + b) (x − mean), from the smaller one of x and y
    let excess = if at.x.low == 0.0 {
        at.x * total - Double::new(a, 0.0)
    } else {
        Double::new(b, 0.0) - at.y * total
    };
    let deviance = excess.over_number(a).minus_ln_1p((at.x * total).over_number(a)) * a
        + (-excess).over_number(b).minus_ln_1p((at.y * total).over_number(b)) * b;
    let corrections =
        stirling_correction(total.high) - stirling_correction(a) - stirling_correction(b);
    (b / (2.0 * PI * a * total.high)).sqrt() * (-deviance).exp() * corrections.exp()
}
