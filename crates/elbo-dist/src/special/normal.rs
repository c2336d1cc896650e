//! The error function and the standard normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

use super::double_double::LN_2;
use super::gamma::horner;

/// `erf(x) = 2/√π ∫₀ˣ exp(−t²) dt`. Within 0.7 ulp (libm).
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// `erfc(x) = 1 − erf(x)`, without cancellation for large `x`. Within 2 ulp (libm).
pub fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// `Φ(x)`, the standard normal distribution function.
///
/// Within 3 ulp (2.4 measured), down to where it becomes subnormal at `x ≈ −37.5`. The upper tail `1 − Φ(x)` is
/// `Φ(−x)`.
///
/// `Φ(x) = ½ erfc(−x/√2)`; in the tail the rounding of `x/√2` alone would cost `x²` ulp and is
/// corrected to first order.
pub fn standard_normal_cdf(x: f64) -> f64 {
    let z = -x * FRAC_1_SQRT_2;
    if !(0.5..=30.0).contains(&z) {
        return 0.5 * erfc(z);
    }
    let rounding = (-x).mul_add(FRAC_1_SQRT_2, -z) - x * FRAC_1_SQRT_2_LOW;
    0.5 * erfc(z) - rounding * (-z * z).exp() / PI.sqrt()
}

/// The `x` with `Φ(x) = p`; `±∞` at zero and one, NaN outside of `[0, 1]`.
///
/// Within 4 ulp, subnormal `p` and `p` beside one half included. Cost: one rational function; for `p` outside of `[0.2, 0.8]` a
/// logarithm and a square root.
///
/// Source: rational functions of `(p − ½)²` and `√−ln p`, the arguments of Wichura (1988), Appl. Statist. 37(3), which
/// interpolate values of 45 digits at Chebyshev nodes.
pub fn standard_normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let from_center = p - 0.5;
    if from_center.abs() <= 0.3 {
        center(from_center)
    } else if p < 0.5 {
        lower_tail(p.ln())
    } else {
        -lower_tail((1.0 - p).ln()) // exact
    }
}

/// `x` from `Φ(x) − ½`, at most 0.3 in size.
fn center(d: f64) -> f64 {
    let s = 0.09 - d * d;
    d * (horner(&CENTER_P, s) / horner(&CENTER_Q, s))
}

/// `x` from `ln Φ(x)`, at most `ln 0.2`.
fn lower_tail(ln_p: f64) -> f64 {
    let r = (-ln_p).sqrt();
    if r < 4.0 {
        -horner(&NEAR_P, r - 1.25) / horner(&NEAR_Q, r - 1.25)
    } else if r < 10.0 {
        horner(&MIDDLE_P, r - 4.0) / horner(&MIDDLE_Q, r - 4.0) - SQRT_2 * r
    } else if r < 27.5 {
        horner(&FAR_P, r - 10.0) / horner(&FAR_Q, r - 10.0) - SQRT_2 * r
    } else if r < f64::INFINITY {
        let mut x = -SQRT_2 * r;
        for _ in 0..3 {
            x -= (ln_standard_normal_cdf(x) - ln_p) * mills_ratio(-x);
        }
        x
    } else {
        -r
    }
}

/// `ln Φ(x)`, accurate in both tails: `−Φ(−x)` where that is small, `−x²/2 − ln(−x √2π)` far below zero.
///
/// Within 3 ulp. `−∞` at `−∞`, and below `−1.9e154`, where it overflows.
pub fn ln_standard_normal_cdf(x: f64) -> f64 {
    if x > -0.5 {
        (-standard_normal_cdf(-x)).ln_1p()
    } else if x > -35.0 {
        standard_normal_cdf(x).ln()
    } else {
        mills_ratio(-x).ln() - 0.5 * (2.0 * PI).ln() - 0.5 * x * x
    }
}

/// The `x` with `ln Φ(x) = ln_p`, for `ln_p ≤ 0`; NaN elsewhere. The inverse of [`ln_standard_normal_cdf`], within
/// 4 ulp.
pub fn standard_normal_quantile_ln(ln_p: f64) -> f64 {
    if ln_p.is_nan() || ln_p > 0.0 {
        return f64::NAN;
    }
    if ln_p < LN_ONE_FIFTH {
        return lower_tail(ln_p);
    }
    // p − ½ = ½ (e^(ln p + ln 2) − 1), the sum of two logarithms exact where it is small
    let from_center = 0.5 * ((ln_p + LN_2.high) + LN_2.low).exp_m1();
    if from_center <= 0.3 { center(from_center) } else { -lower_tail((-ln_p.exp_m1()).ln()) }
}

/// The `x` with `erf(x) = y`; `±∞` at `±1`, NaN beyond. Within 4 ulp.
pub fn erf_inv(y: f64) -> f64 {
    if y.abs() <= 0.6 {
        FRAC_1_SQRT_2 * center(0.5 * y)
    } else {
        FRAC_1_SQRT_2 * -lower_tail((0.5 - 0.5 * y.abs()).ln()).copysign(-y)
    }
}

/// The `x` with `erfc(x) = q`; `∞` at zero, `−∞` at two, NaN beyond. Within 4 ulp.
pub fn erfc_inv(q: f64) -> f64 {
    -FRAC_1_SQRT_2 * standard_normal_quantile(0.5 * q)
}

/// `1/√2 − fl(1/√2)`.
const FRAC_1_SQRT_2_LOW: f64 = -4.833_646_656_726_457e-17;

/// `ln 0.2`.
const LN_ONE_FIFTH: f64 = -1.609_437_912_434_100_3;

/// `(1 − Φ(x)) / φ(x)` for `x > 30`, by Laplace's continued fraction.
fn mills_ratio(x: f64) -> f64 {
    (1..12).rev().map(f64::from).fold(x, |tail, k| x + k / tail).recip()
}

/// `x = d p(0.09 − d²) / q(0.09 − d²)`, `d = Φ(x) − ½`, `|d| ≤ 0.3`; relative error `6e-20`.
const CENTER_P: [f64; 7] = [
    2.805_404_111_909_714,
    45.876_339_334_197_8,
    275.598_777_664_637_5,
    743.462_734_105_577_2,
    877.118_297_909_150_7,
    363.886_022_241_622_24,
    24.247_152_723_793_14,
];
const CENTER_Q: [f64; 7] = [
    1.0,
    17.870_769_246_384_18,
    120.294_127_406_994_9,
    378.190_857_602_733_96,
    556.996_279_574_858_8,
    333.612_055_168_488_4,
    52.596_590_552_586_19,
];
/// `−x = p(r − 1.25) / q(r − 1.25)` up to `r = √−ln p = 4.0`; relative error `1.0e-16`.
const NEAR_P: [f64; 9] = [
    0.807_770_388_851_586,
    3.936_505_180_337_659,
    6.835_985_531_358_898,
    6.014_587_718_278_317,
    3.056_358_244_961_951,
    0.936_932_448_149_464_6,
    0.167_813_006_583_631_19,
    0.015_385_531_387_199_095,
    0.000_513_430_448_879_638_9,
];
const NEAR_Q: [f64; 9] = [
    1.0,
    2.619_867_886_254_754_6,
    2.817_849_466_813_155,
    1.628_118_572_872_660_4,
    0.549_233_855_268_211_7,
    0.106_599_046_586_608_4,
    0.010_429_654_416_106_564,
    0.000_362_995_388_150_850_83,
    5.892_983_133_049_067e-10,
];
/// `√2 r + x = p(r − 4.0) / q(r − 4.0)` up to `r = 10.0`; relative error `4.0e-17` of this small term.
const MIDDLE_P: [f64; 8] = [
    0.479_513_028_954_676_57,
    0.377_520_272_660_522_6,
    0.111_729_842_148_077_9,
    0.015_399_861_293_907_67,
    0.000_997_139_048_841_065_5,
    2.705_194_759_153_610_7e-5,
    2.209_707_282_197_521e-7,
    8.283_895_778_770_724e-11,
];
const MIDDLE_Q: [f64; 8] = [
    1.0,
    0.951_677_926_887_455_7,
    0.358_232_696_967_508_9,
    0.067_575_681_395_583_45,
    0.006_676_875_895_682_927,
    0.000_329_413_819_165_006_74,
    6.979_884_133_285_918e-6,
    4.307_948_340_211_303e-8,
];
/// `√2 r + x = p(r − 10.0) / q(r − 10.0)` up to `r = 27.5`; relative error `9.0e-17` of this small term.
const FAR_P: [f64; 8] = [
    0.253_659_590_727_064_1,
    0.068_135_854_937_735_01,
    0.006_855_367_477_251_718,
    0.000_321_162_392_955_607_07,
    7.091_793_840_124_65e-6,
    6.590_403_436_191_35e-8,
    1.845_220_495_068_404_8e-10,
    2.159_260_409_850_275e-14,
];
const FAR_Q: [f64; 8] = [
    1.0,
    0.341_452_415_232_965_1,
    0.045_927_879_287_366_85,
    0.003_085_471_113_728_877_2,
    0.000_108_363_619_639_925_49,
    1.899_898_614_922_833_4e-6,
    1.432_128_341_768_328_3e-8,
    3.149_072_464_326_423e-11,
];
