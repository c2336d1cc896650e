//! Quantiles from distribution functions, for families without a formula.

/// The smallest representable `x` in `support` with `cdf(x) ≥ p`, up to the rounding of `cdf`: Newton steps by the density
/// inside a bracket that shrinks at every step.
///
/// `start` is any point inside the support, `scale` the size of a typical step. Cost: some 10 evaluations, at most some
/// 120.
///
/// # Panics
///
/// If `p` is not in `[0, 1]`.
pub(crate) fn continuous(
    p: f64,
    support: (f64, f64),
    (start, scale): (f64, f64),
    cdf: impl Fn(f64) -> f64,
    density: impl Fn(f64) -> f64,
) -> f64 {
    check(p);
    if p <= 0.0 || p >= 1.0 {
        return if p <= 0.0 { support.0 } else { support.1 };
    }
    let (mut below, mut above) = bracket(p, support, start, scale, &cdf);
    let mut x = if below < start && start < above { start } else { middle(below, above) };
    loop {
        let error = cdf(x) - p;
        if error < 0.0 {
            below = x;
        } else {
            above = x;
        }
        let newton = x - error / density(x);
        let next = if below < newton && newton < above { newton } else { middle(below, above) };
        // The bracket is closed, or what is left to gain is below rounding.
        if next <= below || next >= above || next.to_bits() == x.to_bits() {
            return above.min(next.max(x));
        }
        if (next - x).abs() <= f64::EPSILON * x.abs() {
            return next;
        }
        x = next;
    }
}

/// The smallest count with `cdf(count) ≥ p`, found by doubling from `start` and bisection.
///
/// Returns `u64::MAX` for `p` so near to 1 that no count reaches it in floating point.
///
/// # Panics
///
/// If `p` is not in `[0, 1]`.
pub(crate) fn discrete(p: f64, start: u64, cdf: impl Fn(u64) -> f64) -> u64 {
    check(p);
    if p == 0.0 || cdf(0) >= p {
        return 0;
    }
    let (mut below, mut step) = (0, 1_u64);
    let mut above = start.max(1);
    if cdf(above) >= p {
        // Doubling steps down from the start.
        while let Some(lower) = above.checked_sub(step).filter(|lower| *lower > 0) {
            if cdf(lower) < p {
                below = lower;
                break;
            }
            above = lower;
            step *= 2;
        }
    } else {
        loop {
            below = above;
            above = above.saturating_add(step);
            if cdf(above) >= p {
                break;
            }
            if above == u64::MAX {
                return u64::MAX;
            }
            step = step.saturating_mul(2);
        }
    }
    while above - below > 1 {
        let middle = below.midpoint(above);
        if cdf(middle) >= p { above = middle } else { below = middle }
    }
    above
}

/// Refuses what is no probability.
///
/// # Panics
///
/// If `p` is not in `[0, 1]`.
pub(crate) fn check(p: f64) {
    assert!((0.0..=1.0).contains(&p), "{p} is no probability");
}

/// Ends with `cdf(below) ≤ p ≤ cdf(above)`: the support where it is finite, otherwise doubling steps from the start.
fn bracket(
    p: f64,
    (lower, upper): (f64, f64),
    start: f64,
    scale: f64,
    cdf: &impl Fn(f64) -> f64,
) -> (f64, f64) {
    let (mut below, mut above) = (lower, upper);
    if lower == f64::NEG_INFINITY {
        let mut step = scale;
        below = start;
        while cdf(below) >= p && below > f64::MIN {
            below = (start - step).max(f64::MIN);
            step *= 2.0;
        }
    }
    if upper == f64::INFINITY {
        let mut step = scale;
        above = start;
        while cdf(above) < p && above < f64::MAX {
            above = (start + step).min(f64::MAX);
            step *= 2.0;
        }
    }
    (below, above)
}

/// A point between: geometric where both ends have one sign and lie decades apart, so that tiny quantiles are found, too.
fn middle(below: f64, above: f64) -> f64 {
    let (low, high) = (below.abs().min(above.abs()), below.abs().max(above.abs()));
    if below * above >= 0.0 && high > 4.0 * low && high > f64::MIN_POSITIVE {
        let size = low.max(f64::MIN_POSITIVE).sqrt() * high.sqrt();
        return if above > 0.0 { size } else { -size };
    }
    below.midpoint(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuous_quantiles_invert_the_distribution_function() {
        // Exponential, logistic, and a power with density 0 or ∞ at its end.
        for p in [1e-300, 1e-9, 0.3, 0.5, 0.999, 1.0 - 1e-12] {
            let x =
                continuous(p, (0.0, f64::INFINITY), (1.0, 1.0), |x| -(-x).exp_m1(), |x| (-x).exp());
            assert!((x / -(-p).ln_1p() - 1.0).abs() < 1e-13 / (1.0 - p), "{p}: {x}");
            for power in [0.05_f64, 20.0] {
                let x = continuous(
                    p,
                    (0.0, 1.0),
                    (0.5, 0.1),
                    |x| x.powf(power),
                    |x| power * x.powf(power - 1.0),
                );
                let expected = p.powf(1.0 / power);
                // What would be subnormal is left within rounding of the smallest normal number.
                assert!(
                    (x - expected).abs() <= 1e-12 * expected + 2.0 * f64::MIN_POSITIVE,
                    "{p} {power}: {x} {expected}"
                );
            }
        }
        for p in [1e-200_f64, 0.25, 0.75] {
            let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
            let (line, unit) = ((f64::NEG_INFINITY, f64::INFINITY), (3.0, 1.0));
            let x = continuous(p, line, unit, logistic, |x| logistic(x) * (1.0 - logistic(x)));
            assert!((x - (p / (1.0 - p)).ln()).abs() < 1e-12 * (1.0 + x.abs()), "{p}: {x}");
        }
    }

    #[test]
    fn the_ends_are_those_of_the_support() {
        let uniform = |p| continuous(p, (2.0, 3.0), (2.5, 0.1), |x| x - 2.0, |_| 1.0);
        assert!((uniform(0.0) - 2.0).abs() < 1e-300 && (uniform(1.0) - 3.0).abs() < 1e-300);
    }

    #[test]
    fn discrete_quantiles_are_the_smallest_counts_that_reach() {
        // Geometric: P(X ≤ x) = 1 − 2^−(x+1).
        let cdf = |x: u64| 1.0 - 0.5_f64.powi(i32::try_from(x).unwrap_or(i32::MAX - 1) + 1);
        for start in [0, 1, 7, 1000] {
            for x in 0..50_u64 {
                assert_eq!(discrete(cdf(x), start, cdf), x);
                assert_eq!(discrete(cdf(x).next_up(), start, cdf), x + 1);
            }
            assert_eq!(discrete(0.0, start, cdf), 0);
        }
        assert_eq!(discrete(1.0, 3, |_| 0.5), u64::MAX);
    }

    #[test]
    #[should_panic(expected = "no probability")]
    fn what_is_no_probability_is_refused() {
        discrete(1.5, 0, |_| 1.0);
    }
}
