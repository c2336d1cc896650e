//! The standard normal distribution, as far as levels of intervals need it.

/// `Φ(x)`, with an absolute error of some 10⁻¹⁵ for `|x| < 7`. Source of the series: Marsaglia (2004).
pub(super) fn cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut i) = (x, 0.0, 1.0);
    while term.abs() > 0.5 * f64::EPSILON * f64::abs(sum) {
        sum += term;
        i += 2.0;
        term *= x * x / i;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// The `x` with `Φ(x) = p`, for `p` in (0, 1), by bisection.
pub(super) fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::{cdf, quantile};

    /// `pnorm` and `qnorm` to 15 digits, as printed in tables.
    #[test]
    fn known_values_are_met() {
        for (x, p) in [(0.0, 0.5), (1.0, 0.841_344_746_068_543), (-3.0, 0.001_349_898_031_630_09)] {
            assert!((cdf(x) - p).abs() < 1e-14, "{x}");
        }
        assert!((quantile(0.975) - 1.959_963_984_540_05).abs() < 1e-12);
        assert!((quantile(1e-6) - -4.753_424_308_822_9).abs() < 1e-8);
    }
}
