//! Laws of inverse functions, beyond the tables.

use elbo_dist::special::{
    bessel_ratio, beta_regularized, erf, erf_inv, erfc, erfc_inv, gamma_p, gamma_q,
    inverse_beta_regularized, inverse_gamma_p, inverse_gamma_q, inverse_mean_resultant_length,
    ln_beta, ln_binomial_coefficient, ln_gamma, ln_standard_normal_cdf, log1m_exp, log1p_exp,
    logistic, mean_resultant_length, mean_resultant_length_derivative, standard_normal_quantile_ln,
};
use proptest::prelude::*;

use super::ulp;

/// Whether a distribution function comes back to `p` at `x`: within 40 ulp, and what half an ulp of `x` changes.
#[track_caller]
fn assert_back(got: f64, p: f64, ln_slope: f64, x: f64) {
    let bound = 40.0 * ulp(p) + 4.0 * ulp(x) * ln_slope.exp();
    assert!((got - p).abs() <= bound, "{got:e} is not {p:e} at {x:e}, allowed {bound:e}");
}

proptest! {
    #[test]
    fn quantiles_of_the_gamma_distribution_have_their_probability(
        ln_a in -5.0..13.0_f64,
        ln_p in prop_oneof![-600.0..-0.7_f64, -6.0..-0.7],
    ) {
        let (a, p) = (ln_a.exp(), ln_p.exp());
        let slope = |x: f64| (a - 1.0) * x.ln() - x - ln_gamma(a);
        let low = inverse_gamma_p(a, p);
        if low > 1e-280 {
            assert_back(gamma_p(a, low), p, slope(low), low);
        } else {
            // the leading term of the series, whose logarithm is exact enough
            prop_assert!((a * low.ln() - ln_gamma(a + 1.0) - ln_p).abs() < 1e-12 * -ln_p || low < 1e-300);
        }
        let high = inverse_gamma_q(a, p);
        if high > 1e-280 {
            assert_back(gamma_q(a, high), p, slope(high), high);
        }
        prop_assert!(low <= high);
    }

    #[test]
    fn quantiles_of_the_beta_distribution_have_their_probability(
        ln_a in -3.0..10.0_f64,
        ln_b in -3.0..10.0_f64,
        ln_p in prop_oneof![-500.0..-0.7_f64, -6.0..-0.7],
    ) {
        let (a, b, p) = (ln_a.exp(), ln_b.exp(), ln_p.exp());
        let slope = |x: f64| (a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta(a, b);
        let x = inverse_beta_regularized(a, b, p);
        if x > 1e-280 && x < 1.0 {
            assert_back(beta_regularized(a, b, x), p, slope(x), x);
        }
        // the mirrored tail, where 1 − p says as much as p
        let p = p.max(1e-3);
        let p = 1.0 - (1.0 - p);
        let x = inverse_beta_regularized(b, a, 1.0 - p);
        if x > 1e-280 && x < 1.0 {
            let (mirrored, slope) = (inverse_beta_regularized(a, b, p), slope(1.0 - x));
            let bound = 8.0 * ulp(1.0) + 80.0 * ulp(p) / slope.exp();
            prop_assert!((mirrored - (1.0 - x)).abs() <= bound);
        }
    }

    #[test]
    fn concentrations_have_their_mean_resultant_length(
        d in prop_oneof![2..6_usize, 2..10_000_usize],
        r in prop_oneof![
            (-27.0..0.0_f64).prop_map(f64::exp),
            (-27.0..0.0_f64).prop_map(|x| 1.0 - x.exp()),
            0.01..0.99_f64,
        ],
    ) {
        let kappa = inverse_mean_resultant_length(d, r);
        let slope = mean_resultant_length_derivative(d, kappa);
        let bound = 8.0 * ulp(r) + 4.0 * slope * ulp(kappa);
        prop_assert!((mean_resultant_length(d, kappa) - r).abs() <= bound, "{kappa}");
    }

    /// `r(ν) (2(ν+1)/x + r(ν+1)) = 1`, and the derivative by the textbook formula where that does not cancel.
    #[test]
    fn ratios_of_bessel_functions_obey_their_recurrence(nu in 0.0..300.0_f64, ln_x in -5.0..9.0_f64) {
        let x = ln_x.exp();
        let (r, next) = (bessel_ratio(nu, x), bessel_ratio(nu + 1.0, x));
        prop_assert!((r * (2.0 * (nu + 1.0) / x + next) - 1.0).abs() <= 16.0 * f64::EPSILON);
        prop_assert!(0.0 < r && r < 1.0 && next < r);
    }

    #[test]
    fn the_derivative_of_mean_resultant_lengths_agrees_with_the_formula(d in 2..500_usize, ln_kappa in -3.0..6.0_f64) {
        let kappa = ln_kappa.exp();
        let a = mean_resultant_length(d, kappa);
        let formula = 1.0 - a * a - (d - 1) as f64 * a / kappa;
        let size = 1.0 + (d - 1) as f64 * a / kappa;
        prop_assert!((mean_resultant_length_derivative(d, kappa) - formula).abs() <= 8.0 * f64::EPSILON * size);
    }

    #[test]
    fn inverses_of_the_error_function_undo_it(x in -3.0..3.0_f64) {
        let slope = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
        prop_assert!((erf_inv(erf(x)) - x).abs() <= 2.0 * ulp(erf(x)) / slope + 6.0 * ulp(x));
        prop_assert!((erfc_inv(erfc(x)) - x).abs() <= 3.0 * ulp(erfc(x)) / slope + 6.0 * ulp(x));
        prop_assert_eq!(erf_inv(-0.3 * x), -erf_inv(0.3 * x));
    }

    /// The slope of `ln Φ` is `φ/Φ`, which is near `−x` far below zero.
    #[test]
    fn the_normal_quantile_of_a_logarithm_undoes_it(x in prop_oneof![-1e6..-30.0_f64, -40.0..8.0_f64]) {
        let ln_p = ln_standard_normal_cdf(x);
        let slope = (-0.5 * x * x - ln_p).exp() / std::f64::consts::TAU.sqrt();
        let bound = 6.0 * ulp(ln_p) / slope + 8.0 * ulp(x);
        prop_assert!((standard_normal_quantile_ln(ln_p) - x).abs() <= bound);
    }

    #[test]
    fn logistic_and_softplus_are_complementary(x in -700.0..700.0_f64) {
        prop_assert!((logistic(x) + logistic(-x) - 1.0).abs() <= 2.0 * f64::EPSILON);
        prop_assert!((log1p_exp(x) - log1p_exp(-x) - x).abs() <= 2.0 * ulp(x));
        prop_assert!((log1m_exp(-log1p_exp(x)) - (x - log1p_exp(x))).abs() <= 8.0 * ulp(x).max(f64::EPSILON));
    }

    /// Pascal's rule, as a sum of two terms relative to the third.
    #[test]
    fn binomial_coefficients_add_up(n in 1..2_000_u64, share in 0.0..1.0_f64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let k = 1 + (share * (n - 1) as f64) as u64;
        let whole = ln_binomial_coefficient(n + 1, k);
        let sum = (ln_binomial_coefficient(n, k) - whole).exp() + (ln_binomial_coefficient(n, k - 1) - whole).exp();
        prop_assert!((sum - 1.0).abs() <= 8.0 * f64::EPSILON * whole.max(1.0));
        prop_assert_eq!(ln_binomial_coefficient(n, k), ln_binomial_coefficient(n, n - k));
    }
}

#[test]
fn ends_of_domains_have_their_values() {
    let inf = f64::INFINITY;
    assert_eq!((inverse_gamma_p(2.0, 0.0), inverse_gamma_p(2.0, 1.0)), (0.0, inf));
    assert_eq!((inverse_gamma_q(2.0, 0.0), inverse_gamma_q(2.0, 1.0)), (inf, 0.0));
    assert_eq!(
        (inverse_beta_regularized(2.0, 3.0, 0.0), inverse_beta_regularized(2.0, 3.0, 1.0)),
        (0.0, 1.0)
    );
    assert_eq!((mean_resultant_length(3, 0.0), inverse_mean_resultant_length(3, 0.0)), (0.0, 0.0));
    assert_eq!((mean_resultant_length(3, inf), inverse_mean_resultant_length(3, 1.0)), (1.0, inf));
    assert_eq!((erf_inv(1.0), erf_inv(-1.0), erfc_inv(0.0), erfc_inv(2.0)), (inf, -inf, inf, -inf));
    assert_eq!((ln_standard_normal_cdf(-inf), ln_standard_normal_cdf(inf)), (-inf, 0.0));
    assert_eq!((standard_normal_quantile_ln(-inf), standard_normal_quantile_ln(0.0)), (-inf, inf));
    assert_eq!(
        (logistic(inf), logistic(-inf), log1p_exp(-inf), log1p_exp(inf)),
        (1.0, 0.0, 0.0, inf)
    );
    assert_eq!((ln_binomial_coefficient(5, 6), ln_binomial_coefficient(0, 0)), (-inf, 0.0));
    assert_eq!(ln_binomial_coefficient(u64::MAX, 1), (u64::MAX as f64).ln());
}

#[test]
fn outside_of_their_domain_inverses_are_nan() {
    let nan = f64::NAN;
    let values = [
        inverse_gamma_p(-1.0, 0.5),
        inverse_gamma_p(1.0, 1.5),
        inverse_gamma_p(1.0, -0.5),
        inverse_gamma_q(nan, 0.5),
        inverse_gamma_q(1.0, nan),
        inverse_gamma_q(1.0, 1.5),
        inverse_beta_regularized(0.0, 1.0, 0.5),
        inverse_beta_regularized(1.0, 1.0, -0.5),
        inverse_beta_regularized(1.0, nan, 0.5),
        inverse_mean_resultant_length(0, 0.5),
        inverse_mean_resultant_length(3, 1.5),
        inverse_mean_resultant_length(3, nan),
        mean_resultant_length(3, -1.0),
        mean_resultant_length_derivative(3, nan),
        bessel_ratio(-1.0, 1.0),
        standard_normal_quantile_ln(0.5),
        erf_inv(1.5),
        erfc_inv(-0.5),
        ln_beta(-1.0, 2.0),
        ln_beta(1.0, nan),
        logistic(nan),
        log1p_exp(nan),
        ln_standard_normal_cdf(nan),
    ];
    for (at, value) in values.iter().enumerate() {
        assert!(value.is_nan(), "{at}: {value}");
    }
}
