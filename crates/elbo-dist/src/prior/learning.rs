//! Solvers for the hyper-parameters of priors that are learned from posteriors.

use elbo_core::EstimateError;

use crate::{
    dirichlet::most_likely,
    multivariate_gaussian::spd::Spd,
    special::{ln_minus_digamma, log1p_minus, trigamma_excess},
};

/// `ln((from + by)/from)` for `from > 0`, `by ≥ 0`, exact where little is added.
pub(super) fn ln_growth(from: f64, by: f64) -> f64 {
    let relative = by / from;
    if relative.is_finite() { relative.ln_1p() } else { by.ln() - from.ln() }
}

/// Shape and rate of the gamma distribution whose `E[λ]` and `E[ln λ]` are the averages over gamma distributions with
/// these shapes and means: it maximizes `Σⱼ E_qⱼ[ln p(λ)]`. Relative error some ulp, however large the shapes.
///
/// # Panics
///
/// If there are none.
pub(super) fn learned_gamma(
    posteriors: impl Iterator<Item = (f64, f64)> + Clone,
) -> Result<(f64, f64), EstimateError> {
    let n = posteriors.clone().count() as f64;
    assert!(n > 0.0, "at least one posterior is needed");
    let mean = posteriors.clone().map(|(_, mean)| mean / n).sum::<f64>();
    // ln λ̄ − (1/n) Σ E ln λ: what each leaves open, and how much they differ. δ is exact for means that nearly agree.
    let spread = posteriors.map(|(shape, own)| {
        let relative = (own - mean) / mean;
        ln_minus_digamma(shape) - (log1p_minus(relative) + relative)
    });
    let shape = shape_with_spread(1, spread.sum::<f64>() / n);
    let no_prior = || EstimateError::NoPrior { parameter: "shape" };
    let shape = shape.ok_or_else(no_prior)?;
    let rate = shape / mean;
    if rate > 0.0 && rate.is_finite() { Ok((shape, rate)) } else { Err(no_prior()) }
}

/// The `x > (p − 1)/2` with `p ln x − ψₚ(x) = spread`: by how much `ln |E[Λ]|` exceeds `E ln |Λ|` for a Wishart matrix `Λ`
/// of order `p` with `2x` degrees of freedom. None unless the spread is positive and a finite `x` has it.
///
/// Source: Minka (2002), *Estimating a gamma distribution*, solves `p = 1` in `1/x`, too.
pub(crate) fn shape_with_spread(order: usize, spread: f64) -> Option<f64> {
    if !(spread > 0.0 && spread.is_finite()) {
        return None;
    }
    let p = order as f64;
    let least = 0.5 * (p - 1.0);
    // In u = 1/(x − (p−1)/2) the spread is almost a line: its slope is p(p+1)/4 at zero, and 1 far away.
    let at_zero = 0.25 * p * (p + 1.0);
    let u = increasing_root(spread / at_zero, |u| {
        let x = least + u.recip();
        let terms = (0..order).map(|i| 0.5 * i as f64);
        let (mut value, mut slope) = (0.0, 0.0);
        for below in terms {
            value += ln_minus_digamma(x - below) - (-below / x).ln_1p();
            slope += trigamma_excess(x - below) + below / (x * (x - below));
        }
        (value - spread, slope / (u * u))
    })?;
    let x = least + u.recip();
    (x.is_finite() && x > least).then_some(x)
}

/// What an inverse-Wishart distribution looks like: matrices of this order, each standing for `repeats` of that many columns,
/// and `copies` of them.
#[derive(Clone, Copy)]
pub(super) struct InverseWishartShape {
    pub(super) order: usize,
    pub(super) repeats: f64,
    pub(super) copies: f64,
}

/// `Λ̄ = (1/n) Σ E[Λ]`, `E[Λ] = ν Ψ⁻¹`, of posteriors with these `ν` and `Ψ`.
pub(super) fn average_precision<'a>(
    posteriors: impl Iterator<Item = (f64, &'a Spd)> + Clone,
) -> Spd {
    let n = posteriors.clone().count() as f64;
    let (_, first) = posteriors.clone().next().expect("there is a posterior");
    let mut sum = vec![0.0; first.values.len()];
    for (degrees_of_freedom, scale) in posteriors {
        elbo_core::add_scaled(&mut sum, degrees_of_freedom / n, &scale.inverse());
    }
    Spd::new(sum, first.d()).expect("a mean of positive definite matrices is one")
}

/// `ν` and `Ψ` of the inverse-Wishart prior that posteriors with these `ν` and `Ψ` suit best, whose average expected precision
/// is known: `Ψ/ν` is its inverse, and `ν` comes from `E ln |Λ|`.
pub(super) fn learned_inverse_wishart<'a>(
    posteriors: impl Iterator<Item = (f64, &'a Spd)>,
    precision: &Spd,
    shape: InverseWishartShape,
) -> Result<(f64, Spd), EstimateError> {
    let no_prior = || EstimateError::NoPrior { parameter: "degrees of freedom" };
    let InverseWishartShape { order, repeats, copies } = shape;
    // ln |Λ̄| − (1/n) Σ E ln |Λ|: what each leaves open, and how much they differ; a negative difference is rounding.
    let (mut open, mut log_det, mut n) = (0.0, 0.0, 0.0);
    for (degrees_of_freedom, scale) in posteriors {
        let half = 0.5 * degrees_of_freedom;
        let below = (0..order).map(|i| 0.5 * i as f64);
        open += below.map(|i| ln_minus_digamma(half - i) - (-i / half).ln_1p()).sum::<f64>();
        log_det += precision.d() as f64 * degrees_of_freedom.ln() - scale.log_det();
        n += 1.0;
    }
    let differ = if n > 1.0 { (precision.log_det() - log_det / n).max(0.0) } else { 0.0 };
    let spread = open / n + differ / (repeats * copies);
    let degrees = 2.0 * shape_with_spread(order, spread).ok_or_else(no_prior)?;
    let values = precision.inverse().iter().map(|value| value * degrees).collect();
    let scale = Spd::new(values, precision.d()).map_err(|_| no_prior())?;
    let above = degrees > (order - 1) as f64;
    if above && degrees.is_finite() { Ok((degrees, scale)) } else { Err(no_prior()) }
}

/// Concentrations of the Dirichlet distribution with `E[ln pₓ] = logs[x]`: the most likely one for them.
pub(super) fn dirichlet_with_logs(logs: &[f64]) -> Result<Vec<f64>, EstimateError> {
    let mut concentration = Vec::with_capacity(logs.len());
    most_likely(logs, &vec![1.0; logs.len()], &mut concentration)
        .map_err(|_| EstimateError::NoPrior { parameter: "total concentration" })?;
    Ok(concentration)
}

/// The zero of an increasing function of a positive number, given with its slope: Newton's method, kept between
/// the points known to lie below and above the zero.
fn increasing_root(start: f64, f: impl Fn(f64) -> (f64, f64)) -> Option<f64> {
    let (mut below, mut above) = (0.0, f64::INFINITY);
    let mut x = start;
    for _ in 0..100 {
        let (value, slope) = f(x);
        if !(value.is_finite() && x > 0.0 && x.is_finite()) {
            return None;
        }
        if value < 0.0 {
            below = x;
        } else {
            above = x;
        }
        let newton = x - value / slope;
        let next = if newton >= below && newton <= above && newton > 0.0 {
            newton
        } else if above.is_infinite() {
            4.0 * x
        } else if below == 0.0 {
            0.25 * x
        } else {
            (below * above).sqrt()
        };
        let step = (next - x).abs();
        x = next;
        if step <= 1e-11 * x {
            break; // the next step of Newton's would be lost in rounding
        }
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_found_from_its_spread() {
        for order in 1..6 {
            for exponent in -12..=18 {
                let above = 10_f64.powi(exponent);
                let x = 0.5 * (order as f64 - 1.0) + above;
                let spread = (0..order)
                    .map(|i| 0.5 * i as f64)
                    .map(|i| ln_minus_digamma(x - i) - (-i / x).ln_1p());
                let found = shape_with_spread(order, spread.sum()).unwrap();
                // x keeps 1/above ulps of what exceeds (p−1)/2.
                let tolerance = 1e-12 * x;
                assert!((found - x).abs() <= tolerance, "order {order}: {found} is not {x}");
            }
        }
        assert_eq!(
            [0.0, -1.0, f64::NAN, f64::INFINITY].map(|s| shape_with_spread(1, s)),
            [None; 4]
        );
    }
}
