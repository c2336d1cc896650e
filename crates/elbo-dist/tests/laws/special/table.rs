//! The table of reference values that `reference.py` writes: every function within its documented error.
//!
//! The environment variable `ELBO_SPECIAL_TABLE` names a larger table from the same script to be used instead.

use elbo_dist::special::{
    bessel_ratio, beta_regularized, digamma, digamma_into, erf, erf_inv, erfc, erfc_inv, gamma_p,
    gamma_q, inverse_beta_regularized, inverse_gamma_p, inverse_gamma_q,
    inverse_mean_resultant_length, ln_bessel_i, ln_beta, ln_binomial_coefficient, ln_gamma,
    ln_gamma_into, ln_gamma_ratio, ln_standard_normal_cdf, log1m_exp, log1p_exp, logistic,
    mean_resultant_length_derivative, standard_normal_cdf, standard_normal_quantile,
    standard_normal_quantile_ln, trigamma,
};

use super::{dimension, hexadecimal, ulp};

/// Each value of `name` within `bound(arguments, value)`.
#[track_caller]
fn assert_table<const N: usize>(
    name: &str,
    function: impl Fn([f64; N]) -> f64,
    bound: impl Fn([f64; N], f64) -> f64,
) {
    let table = std::env::var_os("ELBO_SPECIAL_TABLE").map_or_else(
        || include_str!("reference.tsv").to_owned(),
        |path| std::fs::read_to_string(path).unwrap(),
    );
    let (mut here, mut points, mut worst) = (false, 0, 0.0_f64);
    for line in table.lines() {
        if let Some(heading) = line.strip_prefix('@') {
            here = heading == name;
            continue;
        }
        if !here {
            continue;
        }
        let numbers: Vec<f64> = line.split(' ').map(hexadecimal).collect();
        let (arguments, value) = numbers.split_at(N);
        let arguments: [f64; N] = arguments.try_into().unwrap();
        let &[high, low] = value else { panic!("{line} has no two parts of a value") };
        let got = function(arguments);
        let error = ((got - high) - low).abs();
        let allowed = bound(arguments, high);
        assert!(
            error <= allowed,
            "{name}{arguments:?} = {got:e}, not {high:e}: {:.2} ulp, {:.2} of what is allowed",
            error / ulp(high),
            error / allowed
        );
        worst = worst.max(error / ulp(high));
        points += 1;
    }
    eprintln!("{name}: {points} points, worst {worst:.2} ulp");
    assert!(points >= 60, "the table has {points} points of {name}");
}

fn ulps<const N: usize>(count: f64) -> impl Fn([f64; N], f64) -> f64 {
    move |_, value| count * ulp(value)
}

#[test]
fn gamma_functions_are_within_4_ulp() {
    assert_table("ln_gamma", |[x]| ln_gamma(x), ulps(2.3));
    assert_table("digamma", |[x]| digamma(x), ulps(4.0));
    assert_table("trigamma", |[x]| trigamma(x), ulps(4.0));
}

#[test]
fn gamma_functions_over_slices_are_within_4_ulp() {
    let over_slice = |function: fn(&[f64], &mut [f64]), x: f64| {
        let mut y = [0.0; 3];
        function(&[x; 3], &mut y);
        assert_eq!(y[0].to_bits(), y[2].to_bits());
        y[0]
    };
    assert_table("ln_gamma", |[x]| over_slice(ln_gamma_into, x), ulps(4.0));
    assert_table("digamma", |[x]| over_slice(digamma_into, x), ulps(4.0));
}

#[test]
fn combinations_of_gamma_functions_cancel_only_beside_their_zeros() {
    assert_table(
        "ln_beta",
        |[a, b]| ln_beta(a, b),
        |_, value| 4.0 * ulp(value) + 2.0 * f64::EPSILON,
    );
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let coefficient = |[n, k]: [f64; 2]| ln_binomial_coefficient(n as u64, k as u64);
    assert_table("ln_binomial_coefficient", coefficient, ulps(3.0));
    assert_table(
        "ln_gamma_ratio",
        |[x, delta]| ln_gamma_ratio(x, delta),
        |[x, delta], value| {
            if x < 10.0 && delta > 10.0 {
                return 2.3 * (ulp(ln_gamma(x)) + ulp(ln_gamma(x + delta))) + ulp(value);
            }
            let slope = x.recip().max((x + delta).recip()).max(x.ln().abs()).max(1.0);
            24.0 * f64::EPSILON * delta.abs() * slope
        },
    );
}

#[test]
fn functions_of_the_normal_distribution_are_within_4_ulp() {
    assert_table("erf", |[x]| erf(x), ulps(0.8));
    assert_table("erfc", |[x]| erfc(x), ulps(2.0));
    assert_table("standard_normal_cdf", |[x]| standard_normal_cdf(x), ulps(3.0));
    assert_table("ln_standard_normal_cdf", |[x]| ln_standard_normal_cdf(x), ulps(3.0));
    assert_table("standard_normal_quantile", |[p]| standard_normal_quantile(p), ulps(4.0));
    assert_table("standard_normal_quantile_ln", |[p]| standard_normal_quantile_ln(p), ulps(4.0));
    assert_table("erf_inv", |[y]| erf_inv(y), ulps(4.0));
    assert_table("erfc_inv", |[q]| erfc_inv(q), ulps(4.0));
}

#[test]
fn incomplete_functions_are_within_20_ulp_up_to_a_million() {
    assert_table("gamma_p", |[a, x]| gamma_p(a, x), ulps(20.0));
    assert_table("gamma_q", |[a, x]| gamma_q(a, x), ulps(20.0));
    assert_table("beta_regularized", |[a, b, x]| beta_regularized(a, b, x), ulps(20.0));
}

/// What 20 ulp of the smaller tail amount to in the quantile, and its own rounding.
fn quantile_error(p: f64, x: f64, ln_density: f64) -> f64 {
    20.0 * ulp(p.min(1.0 - p)) / ln_density.exp() + 4.0 * ulp(x)
}

#[test]
fn inverses_of_incomplete_functions_are_as_accurate_as_their_arguments() {
    let gamma_error =
        |[a, p]: [f64; 2], x: f64| quantile_error(p, x, (a - 1.0) * x.ln() - x - ln_gamma(a));
    assert_table("inverse_gamma_p", |[a, p]| inverse_gamma_p(a, p), gamma_error);
    assert_table("inverse_gamma_q", |[a, q]| inverse_gamma_q(a, q), gamma_error);
    assert_table(
        "inverse_beta_regularized",
        |[a, b, p]| inverse_beta_regularized(a, b, p),
        |[a, b, p], x| {
            let ln_density = (a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta(a, b);
            quantile_error(p, x, ln_density)
        },
    );
}

#[test]
fn ratios_of_bessel_functions_are_within_4_ulp() {
    assert_table("bessel_ratio", |[nu, x]| bessel_ratio(nu, x), ulps(4.0));
    assert_table(
        "mean_resultant_length_derivative",
        |[d, kappa]| mean_resultant_length_derivative(dimension(d), kappa),
        |[_, kappa], value| if kappa < 64.0 { 100.0 } else { 4.0 } * ulp(value),
    );
    assert_table(
        "inverse_mean_resultant_length",
        |[d, r]| inverse_mean_resultant_length(dimension(d), r),
        |[d, r], kappa| {
            let slope = mean_resultant_length_derivative(dimension(d), kappa);
            let determined = if kappa < 64.0 { r } else { r.min(1.0 - r) };
            4.0 * (ulp(determined) / slope + ulp(kappa))
        },
    );
    // where w − ν arsinh(ν/x) cancels, its rounding counts
    let size = |[nu, x]: [f64; 2], value: f64| 4.0 * ulp(value) + f64::EPSILON * nu.hypot(x);
    assert_table("ln_bessel_i", |[nu, x]| ln_bessel_i(nu, x), size);
}

#[test]
fn logarithms_of_odds_are_within_2_ulp() {
    assert_table("log1p_exp", |[x]| log1p_exp(x), ulps(2.0));
    assert_table("logistic", |[x]| logistic(x), ulps(2.0));
    assert_table("log1m_exp", |[x]| log1m_exp(x), ulps(2.0));
}
