//! Special functions against values of 50 digits: a small table kept here, and a large grid where the
//! environment variable `ELBO_REFERENCE` names the folder that holds it.

#![allow(clippy::float_cmp, reason = "special values are exact")]

mod golden;
mod inverse;
mod table;

use elbo_dist::special::{
    beta_regularized, digamma, erf, erfc, gamma_p, gamma_q, inverse_digamma, ln_bessel_i,
    ln_factorial, ln_gamma, ln_gamma_ratio, ln_multivariate_gamma, log_add_exp, log1m_exp,
    multivariate_digamma, standard_normal_cdf, standard_normal_quantile, trigamma, x_ln_y,
};
use proptest::prelude::*;

/// The distance from `|x|` to the next double.
fn ulp(x: f64) -> f64 {
    x.abs().next_up() - x.abs()
}

/// Every value of the table within `bound(arguments, value)`, the most that was documented.
#[track_caller]
fn assert_golden<const N: usize>(
    table: &[([f64; N], f64)],
    function: impl Fn([f64; N]) -> f64,
    bound: impl Fn([f64; N], f64) -> f64,
) {
    for &(arguments, want) in table {
        let got = function(arguments);
        let allowed = bound(arguments, want) + 0.5 * ulp(want); // the table itself is rounded
        assert!(
            got == want || (got - want).abs() <= allowed,
            "{arguments:?}: {got:e} != {want:e}, {:.2} times the bound",
            (got - want).abs() / allowed
        );
    }
}

fn ulps<const N: usize>(count: f64) -> impl Fn([f64; N], f64) -> f64 {
    move |_, value| count * ulp(value)
}

/// Runs `function` on the points of the reference grid under `name`.
#[track_caller]
fn assert_grid<const N: usize>(
    name: &str,
    function: impl Fn([f64; N]) -> f64,
    bound: impl Fn([f64; N], f64) -> f64,
) {
    let Ok(folder) = std::env::var("ELBO_REFERENCE") else {
        eprintln!("skipped: ELBO_REFERENCE is not set, so there is no grid for {name}");
        return;
    };
    let grid = std::fs::read_to_string(format!("{folder}/special/grid.tsv")).unwrap();
    let mut points = 0;
    let mut worst = (0.0, [0.0; N], 0.0);
    for line in grid.lines() {
        let mut fields = line.split('\t');
        if fields.next() != Some(name) {
            continue;
        }
        let numbers = |field: &str| field.split(' ').map(hexadecimal).collect::<Vec<_>>();
        let arguments: [f64; N] = numbers(fields.next().unwrap()).try_into().unwrap();
        let high = hexadecimal(fields.next().unwrap());
        let low = hexadecimal(fields.next().unwrap());
        let got = function(arguments);
        let ratio = ((got - high) - low).abs() / bound(arguments, high);
        if ratio.is_nan() || ratio > worst.0 {
            worst = (ratio, arguments, got);
        }
        points += 1;
    }
    eprintln!("{name}: {points} points, worst {:.3} of the bound at {:?}", worst.0, worst.1);
    assert!(points > 100, "the grid has {points} points of {name}");
    assert!(worst.0 <= 1.0, "{name}{:?} = {:e} is {} of the bound", worst.1, worst.2, worst.0);
}

/// Reads the form `-0x1.921fb54442d18p+1`.
fn hexadecimal(text: &str) -> f64 {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (mantissa, exponent) = digits.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let bits = u64::from_str_radix(&format!("{integer}{fraction}"), 16).unwrap();
    let places = 4 * i32::try_from(fraction.len()).unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let half = exponent / 2; // in two steps: 2^exponent may be subnormal
    sign * (bits as f64 * 2.0_f64.powi(-places))
        * 2.0_f64.powi(half)
        * 2.0_f64.powi(exponent - half)
}

#[test]
fn ln_gamma_is_within_2_3_ulp() {
    assert_golden(&golden::LN_GAMMA, |[x]| ln_gamma(x), ulps(2.3));
    assert_grid("lgamma", |[x]| ln_gamma(x), ulps(2.3));
}

#[test]
fn digamma_is_within_4_ulp() {
    assert_golden(
        &golden::DIGAMMA,
        |[x]| digamma(x),
        |[x], value| {
            let reflected = if x < 0.0 { digamma(1.0 - x).abs() + value.abs() } else { 0.0 };
            4.0 * ulp(value.abs().max(reflected))
        },
    );
    assert_grid("digamma", |[x]| digamma(x), ulps(4.0));
}

#[test]
fn trigamma_is_within_4_ulp() {
    assert_golden(&golden::TRIGAMMA, |[x]| trigamma(x), ulps(4.0));
    assert_grid("trigamma", |[x]| trigamma(x), ulps(4.0));
}

#[test]
fn ln_gamma_ratio_keeps_its_digits() {
    assert_golden(
        &golden::LN_GAMMA_RATIO,
        |[x, delta]| ln_gamma_ratio(x, delta),
        |[x, delta], _| {
            let slope = x.recip().max((x + delta).recip()).max(x.ln().abs()).max(1.0);
            24.0 * f64::EPSILON * delta.abs() * slope
        },
    );
}

#[test]
fn inverse_digamma_is_within_4_ulp_of_what_its_argument_determines() {
    assert_golden(
        &golden::INVERSE_DIGAMMA,
        |[y]| inverse_digamma(y),
        |[y], x| ulp(x) + 4.0 * ulp(y) / trigamma(x),
    );
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn dimension(p: f64) -> usize {
    p as usize
}

#[test]
fn ln_multivariate_gamma_adds_p_errors() {
    let terms = |[p, a]: [f64; 2]| (0..dimension(p)).map(move |j| a - 0.5 * j as f64);
    let pi_term = |p: f64| 0.25 * p * (p - 1.0) * std::f64::consts::PI.ln();
    assert_golden(
        &golden::LN_MULTIVARIATE_GAMMA,
        |[p, a]| ln_multivariate_gamma(dimension(p), a),
        |[p, a], value| {
            let size: f64 = terms([p, a]).map(|x| ln_gamma(x).abs()).sum::<f64>() + pi_term(p);
            f64::EPSILON * (3.0 * size + value.abs())
        },
    );
    assert_golden(
        &golden::MULTIVARIATE_DIGAMMA,
        |[p, a]| multivariate_digamma(dimension(p), a),
        |[p, a], value| {
            let size: f64 = terms([p, a]).map(|x| digamma(x).abs()).sum();
            f64::EPSILON * (5.0 * size + value.abs())
        },
    );
}

#[test]
fn erf_is_within_0_7_and_erfc_within_2_ulp() {
    assert_golden(&golden::ERF, |[x]| erf(x), ulps(0.7));
    assert_grid("erf", |[x]| erf(x), ulps(0.7));
    assert_golden(&golden::ERFC, |[x]| erfc(x), ulps(2.0));
    assert_grid("erfc", |[x]| erfc(x), ulps(2.0));
}

#[test]
fn the_normal_distribution_function_is_within_3_ulp() {
    assert_golden(&golden::STANDARD_NORMAL_CDF, |[x]| standard_normal_cdf(x), ulps(3.0));
}

#[test]
fn the_normal_quantile_is_within_4_ulp() {
    assert_golden(&golden::STANDARD_NORMAL_QUANTILE, |[p]| standard_normal_quantile(p), ulps(4.0));
}

#[test]
fn incomplete_gamma_keeps_relative_accuracy_in_its_tails() {
    let bound = ulps(20.0);
    assert_golden(&golden::GAMMA_P, |[a, x]| gamma_p(a, x), &bound);
    assert_golden(&golden::GAMMA_Q, |[a, x]| gamma_q(a, x), &bound);
    assert_grid("gammap", |[a, x]| gamma_p(a, x), &bound);
    assert_grid("gammaq", |[a, x]| gamma_q(a, x), &bound);
}

#[test]
fn incomplete_beta_keeps_relative_accuracy() {
    let bound = ulps(20.0);
    assert_golden(&golden::BETA_REGULARIZED, |[a, b, x]| beta_regularized(a, b, x), &bound);
    assert_grid("betareg", |[a, b, x]| beta_regularized(a, b, x), &bound);
}

#[test]
fn bessel_functions_keep_their_relative_accuracy_as_logarithms() {
    let absolute = |nu: f64, x: f64| {
        f64::EPSILON * (1.0 + (nu * x.ln()).abs() + ln_gamma(nu + 1.0).abs() + x) * 3.0
    };
    assert_golden(&golden::LN_BESSEL_I, |[nu, x]| ln_bessel_i(nu, x), |[nu, x], _| absolute(nu, x));
    assert_grid(
        "besseli_half",
        |[nu, x]| ln_bessel_i(nu, x).exp(),
        |[nu, x], value| (absolute(nu, x) + f64::EPSILON) * value + ulp(0.0), // some underflow
    );
}

#[test]
fn logarithms_of_sums_and_complements_do_not_cancel() {
    assert_golden(&golden::LOG1M_EXP, |[x]| log1m_exp(x), ulps(2.0));
    assert_eq!(log1m_exp(0.0), f64::NEG_INFINITY);
    assert_eq!(log_add_exp(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
    assert_eq!(log_add_exp(f64::INFINITY, f64::INFINITY), f64::INFINITY);
    assert_eq!(log_add_exp(-1e3, f64::NEG_INFINITY), -1e3);
    assert_eq!(log_add_exp(1e3, 1e3), 1e3 + std::f64::consts::LN_2);
    assert!(log_add_exp(f64::NAN, 1.0).is_nan() && log_add_exp(1.0, f64::NAN).is_nan());
    assert_eq!((x_ln_y(0.0, 0.0), x_ln_y(2.0, 0.0)), (0.0, f64::NEG_INFINITY));
    assert!(x_ln_y(0.0, f64::NAN).is_nan());
}

#[test]
fn outside_of_their_domain_functions_are_nan() {
    let poles = [digamma(-2.0), trigamma(-2.0), digamma(f64::NEG_INFINITY), digamma(f64::NAN)];
    let gammas =
        [gamma_p(0.0, 1.0), gamma_q(1.0, -1.0), gamma_q(f64::NAN, 1.0), gamma_p(1.0, f64::NAN)];
    let betas = [beta_regularized(0.0, 1.0, 0.5), beta_regularized(1.0, 1.0, 1.5)];
    let others = [
        ln_gamma_ratio(1.0, -1.0),
        ln_multivariate_gamma(3, 1.0),
        multivariate_digamma(3, 1.0),
        ln_bessel_i(-1.0, 1.0),
        standard_normal_quantile(1.5),
        standard_normal_quantile(f64::NAN),
        inverse_digamma(f64::NAN),
    ];
    for (at, value) in poles.iter().chain(&gammas).chain(&betas).chain(&others).enumerate() {
        assert!(value.is_nan(), "{at}: {value}");
    }
    assert_eq!((digamma(0.0), trigamma(0.0)), (f64::NEG_INFINITY, f64::INFINITY));
    assert_eq!((digamma(f64::INFINITY), trigamma(f64::INFINITY)), (f64::INFINITY, 0.0));
    assert_eq!((inverse_digamma(f64::NEG_INFINITY), inverse_digamma(1e3)), (0.0, f64::INFINITY));
    assert_eq!((gamma_p(2.0, f64::INFINITY), gamma_q(2.0, 0.0)), (1.0, 1.0));
    assert_eq!((beta_regularized(2.0, 3.0, 0.0), beta_regularized(2.0, 3.0, 1.0)), (0.0, 1.0));
    assert_eq!((ln_bessel_i(0.0, 0.0), ln_bessel_i(1.0, 0.0)), (0.0, f64::NEG_INFINITY));
    assert_eq!(standard_normal_quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(standard_normal_quantile(1.0), f64::INFINITY);
}

proptest! {
    /// `ψ(x + 1) = ψ(x) + 1/x`, each side within 4 ulp of the largest term.
    #[test]
    fn digamma_and_trigamma_step_by_reciprocals(x in prop_oneof![1e-3..20.0_f64, -20.0..-1e-3]) {
        prop_assume!((x - x.round()).abs() > 1e-3);
        let size = digamma(x).abs() + x.recip().abs() + digamma(x + 1.0).abs();
        // near a pole, rounding of x + 1 counts as well
        let slope = trigamma(x + 1.0).abs() + trigamma(x).abs();
        let bound = 4.0 * f64::EPSILON * size + f64::EPSILON * (x.abs() + 1.0) * slope;
        prop_assert!((digamma(x + 1.0) - digamma(x) - x.recip()).abs() <= bound);
        let size = slope + x.powi(-2);
        let bound = 8.0 * f64::EPSILON * size * (1.0 + x.abs() * slope.sqrt());
        prop_assert!((trigamma(x + 1.0) - trigamma(x) + x.powi(-2)).abs() <= bound);
    }

    #[test]
    fn ln_factorial_adds_the_logarithm_of_the_next_factor(n in 0..1_000_000_u64) {
        let size = ln_factorial(n + 1).abs().max(1.0);
        let step = ln_factorial(n + 1) - ln_factorial(n);
        prop_assert!((step - ((n + 1) as f64).ln()).abs() <= 5.0 * f64::EPSILON * size);
    }

    #[test]
    fn digamma_undoes_its_inverse(y in prop_oneof![-100.0..30.0_f64, -1e6..-100.0]) {
        let x = inverse_digamma(y);
        let bound = 8.0 * ulp(y) + trigamma(x) * ulp(x);
        prop_assert!((digamma(x) - y).abs() <= bound, "{x} {bound:e}");
    }

    #[test]
    fn the_tails_of_the_gamma_distribution_add_to_one(ln_a in -6.0..14.0_f64, ln_ratio in -3.0..3.0_f64) {
        let a = ln_a.exp();
        let x = a * ln_ratio.exp();
        prop_assert!((gamma_p(a, x) + gamma_q(a, x) - 1.0).abs() <= 16.0 * f64::EPSILON);
    }

    #[test]
    fn beta_is_symmetric(a in 0.05..300.0_f64, b in 0.05..300.0_f64, eighths in 1..1024_u32) {
        let x = f64::from(eighths) / 1024.0; // so that 1 − x is exact
        let sum = beta_regularized(a, b, x) + beta_regularized(b, a, 1.0 - x);
        prop_assert!((sum - 1.0).abs() <= 16.0 * f64::EPSILON, "{sum}");
    }

    /// An independent implementation, good to about `1e-10` (its `erf` and `P` are no better).
    #[test]
    fn functions_agree_with_statrs_where_statrs_is_good(a in 0.1..80.0_f64, x in 0.01..100.0_f64) {
        use statrs::function::{beta, gamma};
        prop_assert!((gamma_p(a, x) - gamma::gamma_lr(a, x)).abs() < 1e-10);
        prop_assert!((gamma_q(a, x) - gamma::gamma_ur(a, x)).abs() < 1e-10);
        let u = x / 101.0;
        prop_assert!((beta_regularized(a, 3.0, u) - beta::beta_reg(a, 3.0, u)).abs() < 1e-10);
        prop_assert!((ln_gamma(a) - gamma::ln_gamma(a)).abs() < 1e-10 * ln_gamma(a).abs().max(1.0));
    }

    #[test]
    fn the_normal_quantile_undoes_the_distribution_function(x in -37.0..5.0_f64) {
        let p = standard_normal_cdf(x);
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let bound = 4.0 * ulp(p) / density + 6.0 * ulp(x);
        prop_assert!((standard_normal_quantile(p) - x).abs() <= bound);
    }
}
