//! What the families on the positive half-line are tested with.

use elbo_core::{DataError, Family};
use elbo_dist::Univariate;
use elbo_laws::{Of, WeightedSample};
use proptest::{collection::vec, prelude::*};

/// Rows that weigh nothing may be anything.
pub(crate) const EXTREME: [f64; 7] =
    [f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.0, -1.0, f64::INFINITY, f64::NAN];

/// Rows within a factor of some e² of a common unit, some of weight zero, never all; at times more than one block.
pub(crate) fn sample<F>() -> impl Strategy<Value = WeightedSample<Of<F, f64>>>
where
    F: for<'a> Family<Batch<'a> = &'a [f64]>,
{
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    (-7.0..7.0_f64, size).prop_flat_map(move |(at, n)| {
        (vec((at - 2.0..at + 2.0, weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<f64>, Vec<f64>) =
                rows.into_iter().map(|(log, w)| (log.exp(), w)).unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

/// At least ten rows of positive weight, so that there is an estimate.
pub(crate) fn estimable<F>() -> impl Strategy<Value = WeightedSample<Of<F, f64>>>
where
    F: for<'a> Family<Batch<'a> = &'a [f64]>,
{
    let spread = prop_oneof![Just(2.0), Just(0.1)];
    (-7.0..7.0_f64, spread, vec((-1.0..1.0_f64, 0.1..2.0), 10..40)).prop_map(|(at, spread, rows)| {
        let (data, weights) = rows.into_iter().map(|(x, w)| ((at + spread * x).exp(), w)).unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

/// From 10⁻⁶ to 1 to every side, in two coordinates.
pub(crate) fn steps() -> impl Iterator<Item = (f64, f64)> {
    [1e-6, 1e-3, 0.1, 1.0].into_iter().flat_map(|step| {
        [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (-1.0, -1.0)]
            .map(|(a, b)| (a * step, b * step))
    })
}

/// A missing row scores 0 and changes no statistics.
pub(crate) fn missing_values_are_skipped<F>(family: &F, sample: &WeightedSample<Of<F, f64>>, at: usize)
where
    F: for<'a> Family<Batch<'a> = &'a [f64]>,
{
    let at = at.min(sample.len());
    let mut holey = (sample.data.rows().to_vec(), sample.weights.clone());
    holey.0.insert(at, f64::NAN);
    holey.1.insert(at, 1.5);
    let holey = WeightedSample::new(Of::new(holey.0), holey.1);
    let (with, without) = (holey.stats(family), sample.stats(family));
    elbo_laws::statistics::assert_same(&with, &without, &[&with, &without]);
    assert_eq!(holey.log_densities(family)[at], 0.0);
}

/// `KL(q ‖ p) = ∫₀¹ ln q(x)/p(x) du` at the quantiles `x` of `u`, by the double-exponential rule.
pub(crate) fn divergence_agrees_with_quadrature<F: Univariate<Value = f64>>(claimed: f64, q: &F, p: &F) {
    let gap = |u: f64| q.log_density(q.quantile(u)) - p.log_density(q.quantile(u));
    let expected = elbo_laws::univariate::integrate(gap, 0.0, 1.0);
    let size = elbo_laws::univariate::integrate(|u| gap(u).abs(), 0.0, 1.0);
    assert!(claimed >= 0.0, "a divergence of {claimed}");
    // The rule's own error, and quantiles beyond 1 − ε that it cannot see.
    assert!((claimed - expected).abs() <= 1e-7 * (size + 1e-3), "{claimed}, the quadrature gives {expected}");
}

/// Infinities and what is not positive are refused by their row; NaN is missing.
pub(crate) fn data_are_checked<F>(family: &F)
where
    F: for<'a> Family<Batch<'a> = &'a [f64]>,
{
    assert_eq!(family.check(&[0.5, f64::NAN]), Ok(()));
    let infinite = family.check(&[0.5, f64::INFINITY]);
    assert_eq!(infinite, Err(DataError::NotFinite { row: 1, column: 0, value: f64::INFINITY }));
    let negative = family.check(&[0.5, 0.25, -1.0]);
    assert!(
        matches!(negative, Err(DataError::Support { row: 2, column: 0, value: -1.0, .. })),
        "{negative:?}"
    );
    let mut scores = [0.0; 3];
    family.log_density_into(&[-1.0, f64::INFINITY, f64::NAN], &mut scores);
    assert_eq!(scores, [f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0]);
}
