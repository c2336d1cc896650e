//! Distributions of one number: density, distribution function, quantiles, moments and draws belong together.
//!
//! The functions take closures, so that they serve any type that has such methods.

/// The functions of one distribution on the real line.
#[allow(missing_debug_implementations, reason = "closures show nothing")]
pub struct Continuous<'a> {
    /// `ln p(x)`.
    pub log_density: &'a dyn Fn(f64) -> f64,
    /// `P(X ≤ x)`.
    pub cdf: &'a dyn Fn(f64) -> f64,
    /// Its inverse.
    pub quantile: &'a dyn Fn(f64) -> f64,
}

/// The functions of one distribution on `0, 1, 2, …`.
#[allow(missing_debug_implementations, reason = "closures show nothing")]
pub struct Discrete<'a> {
    /// `ln p(x)`.
    pub log_probability: &'a dyn Fn(u64) -> f64,
    /// `P(X ≤ x)`.
    pub cdf: &'a dyn Fn(u64) -> f64,
    /// The smallest `x` that reaches a probability.
    pub quantile: &'a dyn Fn(f64) -> u64,
}

/// Between any two quantiles the density integrates to the difference of their probabilities.
///
/// # Panics
///
/// If not, within `1e-9`, the integral's own error, and what rounding leaves of nodes far from zero: they are off by up
/// to an ulp of theirs, relative to the length of the interval.
pub fn density_integrates_to_the_cdf(of: &Continuous<'_>, probabilities: [f64; 2]) {
    let [p, q] = probabilities;
    let (a, b) = ((of.quantile)(p.min(q)), (of.quantile)(p.max(q)));
    let integral = integrate(|x| (of.log_density)(x).exp(), a, b);
    let difference = (of.cdf)(b) - (of.cdf)(a);
    let nodes = if b > a { crate::TOLERANCE * a.abs().max(b.abs()) / (b - a) } else { 0.0 };
    let tolerance = 1e-9 + nodes * difference;
    assert!(
        (integral - difference).abs() <= tolerance,
        "{integral} ≠ {difference} over [{a}, {b}]"
    );
}

/// The quantile of a probability has that probability below it.
///
/// # Panics
///
/// If not, up to the rounding of `x`, which moves a probability by `p(x)·ε|x|`, and of the distribution function.
pub fn quantile_inverts_the_cdf(of: &Continuous<'_>, p: f64) {
    let x = (of.quantile)(p);
    let rounding = crate::TOLERANCE * (p + (of.log_density)(x).exp() * x.abs());
    let back = (of.cdf)(x);
    assert!((back - p).abs() <= rounding, "P(X ≤ {x}) = {back}, not {p}");
}

/// `E[g(X)]` agrees with its quadrature over the quantiles, `∫₀¹ g(Q(u)) du`.
///
/// # Panics
///
/// If not, within `1e-7` of the size of the terms: tails lighter than those of `u^(-1/2)` are needed for that.
pub fn expectation_agrees_with_quadrature(
    of: &Continuous<'_>,
    claimed: f64,
    g: &dyn Fn(f64) -> f64,
) {
    let mean = integrate(|u| g((of.quantile)(u)), 0.0, 1.0);
    let size = integrate(|u| g((of.quantile)(u)).abs(), 0.0, 1.0);
    assert!((mean - claimed).abs() <= 1e-7 * size, "claimed {claimed}, quadrature gives {mean}");
}

/// Probabilities of counts add up to the distribution function, whose quantiles are the smallest counts that reach.
///
/// # Panics
///
/// If not.
pub fn probabilities_add_up(of: &Discrete<'_>, p: f64) {
    let top = (of.quantile)(p);
    let mut sum = 0.0;
    for x in 0..=top {
        sum += (of.log_probability)(x).exp();
        let cdf = (of.cdf)(x);
        assert!((sum - cdf).abs() <= 1e-11, "probabilities up to {x} sum to {sum}, not {cdf}");
    }
    assert!((of.cdf)(top) >= p * (1.0 - 1e-13), "the quantile {top} does not reach {p}");
    assert!(top == 0 || (of.cdf)(top - 1) < p, "{top} is not the smallest count to reach {p}");
}

/// `E[g(X)]` agrees with the sum over all counts but those beyond the quantile of `1 − 10⁻¹⁵`.
///
/// # Panics
///
/// If not, within `1e-10` of the size of the terms.
pub fn expectation_agrees_with_the_sum(of: &Discrete<'_>, claimed: f64, g: &dyn Fn(u64) -> f64) {
    let (mut sum, mut size) = (0.0, 0.0);
    let top = (of.quantile)(1.0 - 1e-15);
    for x in 0..=top.saturating_mul(2) + 50 {
        let p = (of.log_probability)(x).exp();
        if p > 0.0 {
            sum += p * g(x);
            size += p * g(x).abs();
        }
    }
    assert!((sum - claimed).abs() <= 1e-10 * (1.0 + size), "claimed {claimed}, the sum is {sum}");
}

/// The empirical distribution of draws stays near the distribution function: by the Dvoretzky–Kiefer–Wolfowitz
/// inequality the bound is exceeded once in 10⁶.
///
/// `cdf` gives `P(X ≤ x)`, `cdf_below` gives `P(X < x)`: the same for densities.
///
/// # Panics
///
/// If not.
///
/// # Source
///
/// Massart (1990), Ann. Probab. 18(3).
pub fn draws_follow_the_cdf<X: Copy + PartialOrd>(
    mut draws: Vec<X>,
    cdf: impl Fn(X) -> f64,
    cdf_below: impl Fn(X) -> f64,
) {
    draws.sort_by(|a, b| a.partial_cmp(b).expect("draws are numbers"));
    let n = draws.len() as f64;
    let bound = ((2e6_f64).ln() / (2.0 * n)).sqrt();
    for (i, x) in draws.iter().enumerate() {
        let (least, most) = (i as f64 / n, (i as f64 + 1.0) / n);
        // Ties: P(X ≤ x) is at least the share up to here, P(X < x) at most the share before.
        assert!(cdf(*x) >= most - bound, "too many draws are small");
        assert!(cdf_below(*x) <= least + bound, "too few draws are small");
    }
}

/// `∫ₐᵇ f`: the double-exponential rule, which bears singular ends. Ends must be finite.
///
/// # Source
///
/// Takahasi & Mori (1974), Publ. RIMS 9(3).
pub fn integrate(f: impl Fn(f64) -> f64, a: f64, b: f64) -> f64 {
    const STEP: f64 = 1.0 / 64.0;
    let half = 0.5 * (b - a);
    let mut sum = 0.0;
    for i in -384..=384_i32 {
        let t = STEP * f64::from(i);
        let s = std::f64::consts::FRAC_PI_2 * t.sinh();
        let weight = std::f64::consts::FRAC_PI_2 * t.cosh() / s.cosh().powi(2);
        // Distance from the nearer end, without cancellation: 1 − tanh s = 2/(1 + e^{2s}).
        let from_end = 2.0 * half / (1.0 + (2.0 * s.abs()).exp());
        let x = if s < 0.0 { a + from_end } else { b - from_end };
        if x > a && x < b {
            let value = f(x) * weight;
            if value.is_finite() {
                sum += value;
            }
        }
    }
    sum * half * STEP
}

/// `∫ f` over the whole line, of a function that varies on the scale `scale` about `center`, with tails as heavy as
/// those of `1/|x|^1.01`: the double-exponential rule.
///
/// # Source
///
/// Takahasi & Mori (1974), Publ. RIMS 9(3).
pub fn integrate_line(f: impl Fn(f64) -> f64, center: f64, scale: f64) -> f64 {
    const STEP: f64 = 1.0 / 64.0;
    let mut sum = 0.0;
    for i in -384..=384_i32 {
        let t = STEP * f64::from(i);
        let s = std::f64::consts::FRAC_PI_2 * t.sinh();
        let weight = std::f64::consts::FRAC_PI_2 * t.cosh() * s.cosh();
        let value = f(center + scale * s.sinh()) * weight;
        if value.is_finite() {
            sum += value;
        }
    }
    sum * scale * STEP
}

/// Tests of a continuous distribution that implements a trait with these methods in scope.
///
/// A strategy of distributions whose second moment is finite. Call it inside a module of its own.
#[macro_export]
macro_rules! continuous_laws {
    ($family:expr, $rng:expr) => {
        $crate::proptest::proptest! {
            #[test]
            fn density_integrates_to_the_cdf(
                family in $family, p in 0.001..0.999_f64, q in 0.001..0.999_f64
            ) {
                let (f, c, q_) = (|x| family.log_density(x), |x| family.cdf(x), |p| family.quantile(p));
                let of = $crate::univariate::Continuous { log_density: &f, cdf: &c, quantile: &q_ };
                $crate::univariate::density_integrates_to_the_cdf(&of, [p, q]);
            }

            #[test]
            fn quantile_inverts_the_cdf(family in $family, p in 1e-6..0.999_999_f64) {
                let (f, c, q_) = (|x| family.log_density(x), |x| family.cdf(x), |p| family.quantile(p));
                let of = $crate::univariate::Continuous { log_density: &f, cdf: &c, quantile: &q_ };
                $crate::univariate::quantile_inverts_the_cdf(&of, p);
            }

            #[test]
            fn draws_follow_the_cdf(family in $family, seed in $crate::proptest::prelude::any::<u64>()) {
                let mut rng = $rng(seed);
                let draws: Vec<f64> = (0..1000).map(|_| family.sample(&mut rng)).collect();
                $crate::univariate::draws_follow_the_cdf(draws, |x| family.cdf(x), |x| family.cdf(x));
            }
        }

        $crate::proptest::proptest! {
            #![proptest_config($crate::proptest::prelude::ProptestConfig::with_cases(32))]

            #[test]
            fn many_draws_at_once_follow_the_cdf(family in $family, seed in $crate::proptest::prelude::any::<u64>()) {
                let draws = ::elbo_core::Draw::draw(&family, 1000, &mut $rng(seed));
                $crate::univariate::draws_follow_the_cdf(draws, |x| family.cdf(x), |x| family.cdf(x));
            }

            #[test]
            fn moments_agree_with_quadrature(family in $family) {
                let (f, c, q_) = (|x| family.log_density(x), |x| family.cdf(x), |p| family.quantile(p));
                let of = $crate::univariate::Continuous { log_density: &f, cdf: &c, quantile: &q_ };
                let mean = family.mean();
                $crate::univariate::expectation_agrees_with_quadrature(&of, mean, &|x| x);
                let square = |x: f64| (x - mean) * (x - mean);
                $crate::univariate::expectation_agrees_with_quadrature(&of, family.variance(), &square);
                let surprise = |x: f64| -family.log_density(x);
                $crate::univariate::expectation_agrees_with_quadrature(&of, family.entropy(), &surprise);
            }
        }
    };
}

/// Tests of a distribution of counts that implements a trait with these methods in scope.
///
/// A strategy of distributions whose mass lies within some 10⁵ counts. Call it inside a module of its own.
#[macro_export]
macro_rules! discrete_laws {
    ($family:expr, $rng:expr) => {
        $crate::proptest::proptest! {
            #![proptest_config($crate::proptest::prelude::ProptestConfig::with_cases(64))]

            #[test]
            fn probabilities_add_up(family in $family, p in 0.0..0.999_999_f64) {
                let (f, c, q_) = (|x| family.log_density(x), |x| family.cdf(x), |p| family.quantile(p));
                let of = $crate::univariate::Discrete { log_probability: &f, cdf: &c, quantile: &q_ };
                $crate::univariate::probabilities_add_up(&of, p);
            }

            #[test]
            fn moments_agree_with_the_sum(family in $family) {
                let (f, c, q_) = (|x| family.log_density(x), |x| family.cdf(x), |p| family.quantile(p));
                let of = $crate::univariate::Discrete { log_probability: &f, cdf: &c, quantile: &q_ };
                let mean = family.mean();
                $crate::univariate::expectation_agrees_with_the_sum(&of, mean, &|x| x as f64);
                let square = |x: u64| (x as f64 - mean) * (x as f64 - mean);
                $crate::univariate::expectation_agrees_with_the_sum(&of, family.variance(), &square);
                let surprise = |x: u64| -family.log_density(x);
                $crate::univariate::expectation_agrees_with_the_sum(&of, family.entropy(), &surprise);
            }

            #[test]
            fn draws_follow_the_cdf(family in $family, seed in $crate::proptest::prelude::any::<u64>()) {
                let mut rng = $rng(seed);
                let draws: Vec<u64> = (0..1000).map(|_| family.sample(&mut rng)).collect();
                let below = |x: u64| x.checked_sub(1).map_or(0.0, |x| family.cdf(x));
                $crate::univariate::draws_follow_the_cdf(draws, |x| family.cdf(x), below);
            }

            #[test]
            fn many_draws_at_once_follow_the_cdf(family in $family, seed in $crate::proptest::prelude::any::<u64>()) {
                let draws = ::elbo_core::Draw::draw(&family, 4000, &mut $rng(seed));
                let below = |x: u64| x.checked_sub(1).map_or(0.0, |x| family.cdf(x));
                $crate::univariate::draws_follow_the_cdf(draws, |x| family.cdf(x), below);
            }
        }
    };
}
