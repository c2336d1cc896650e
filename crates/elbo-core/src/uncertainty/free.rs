//! The coordinates of what is estimated: frozen components have none.

use std::borrow::Cow;

use crate::{Estimator, ExpectedLogLikelihood, Family, FlatParameters};

/// The components that an estimator does not leave as they are.
fn free<'a, F: Family, E: Estimator<F>, T: Clone>(estimator: &E, all: &'a [T]) -> Cow<'a, [T]> {
    if (0..all.len()).any(|j| estimator.is_frozen(j)) {
        let kept = all.iter().enumerate().filter(|(j, _)| !estimator.is_frozen(*j));
        Cow::Owned(kept.map(|(_, item)| item.clone()).collect())
    } else {
        Cow::Borrowed(all)
    }
}

/// Appends the coordinates of the components that are not [frozen](Estimator::is_frozen), what they share once.
pub fn write_free<F: Family + FlatParameters, E: Estimator<F>>(
    estimator: &E,
    points: &[F],
    out: &mut Vec<f64>,
) {
    let points = free::<F, E, F>(estimator, points);
    if !points.is_empty() {
        F::write_all_unconstrained(&points, out);
    }
}

/// The components of which those that are not frozen have these coordinates, taken off the front of `from`.
///
/// # Panics
///
/// If `from` holds fewer numbers than [`write_free`] writes.
pub fn with_free<F: Family + FlatParameters, E: Estimator<F>>(
    estimator: &E,
    points: &[F],
    from: &mut &[f64],
) -> Vec<F> {
    let shapes = free::<F, E, F>(estimator, points);
    let moved =
        if shapes.is_empty() { Vec::new() } else { F::with_all_unconstrained(&shapes, from) };
    let mut moved = moved.into_iter();
    let place = |(j, point): (usize, &F)| {
        if estimator.is_frozen(j) { point.clone() } else { moved.next().expect("one for each") }
    };
    points.iter().enumerate().map(place).collect()
}

/// Overwrites the front of `out` by the gradient of `Q(·; s)` in the coordinates of the components that are not frozen, and
/// returns the rest of it; takes these coordinates off the front of `steps`. See [`ExpectedLogLikelihood::score_all_into`].
///
/// # Panics
///
/// If `steps` or `out` hold fewer numbers than [`write_free`] writes.
pub fn score_free<'o, F: ExpectedLogLikelihood, E: Estimator<F>>(
    estimator: &E,
    points: &[F],
    stats: &[F::Stats],
    steps: &mut &[f64],
    out: &'o mut [f64],
) -> &'o mut [f64] {
    let points = free::<F, E, F>(estimator, points);
    let stats = free::<F, E, F::Stats>(estimator, stats);
    if points.is_empty() {
        return out;
    }
    let mut flat = Vec::new();
    F::write_all_unconstrained(&points, &mut flat);
    let (own_steps, other_steps) = steps.split_at(flat.len());
    let (own, others) = out.split_at_mut(flat.len());
    F::score_all_into(&points, &stats, own_steps, own);
    *steps = other_steps;
    others
}
