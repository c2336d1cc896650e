//! Parameters as points of a flat space.

use elbo_core::{
    Batch, ExpectedLogLikelihood, Family, FlatParameters, Range, gradient_by_differences,
};

use crate::{Sample, WeightedSample, assert_close};

/// Coordinates written and read back give the same distribution, judged by the scores of `data`; there are as many as
/// free parameters. `terms` is the size of the terms that add up to a score.
///
/// # Panics
///
/// If not.
pub fn coordinates_give_the_distribution_back<S: Sample>(family: &S::Family, data: &S, terms: f64)
where
    S::Family: FlatParameters,
{
    let mut flat = Vec::new();
    family.write_unconstrained(&mut flat);
    assert_eq!(flat.len(), family.free_parameters(1), "one coordinate per free parameter");
    assert_eq!(flat.len(), family.unconstrained_len(), "the length is the number written");
    flat.push(42.0); // somebody else's
    let mut rest = &flat[..];
    let back = family.with_unconstrained(&mut rest);
    assert_eq!(rest, [42.0], "only a distribution's own coordinates are taken");
    let n = elbo_core::Batch::len(&data.batch());
    let (mut a, mut b) = (vec![f64::NAN; n], vec![f64::NAN; n]);
    family.log_density_into(data.batch(), &mut a);
    back.log_density_into(data.batch(), &mut b);
    a.iter().zip(&b).for_each(|(a, b)| assert_close(*a, *b, terms + a.abs()));
}

/// Every point of `ℝᵖ` is a distribution: finite coordinates come back as themselves.
///
/// # Panics
///
/// If they do not, within `1e-9`: exponentials and logarithms lose some digits of large coordinates.
pub fn every_point_is_a_distribution<F: Family + FlatParameters>(shape: &F, flat: &[f64]) {
    let there = shape.with_unconstrained(&mut &flat[..]);
    let mut back = Vec::new();
    there.write_unconstrained(&mut back);
    assert_eq!(flat.len(), back.len(), "the shape stays");
    for (a, b) in flat.iter().zip(&back) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs()), "{flat:?} came back as {back:?}");
    }
    there.for_each_parameter(&mut |name, value, range| {
        let is_within = match range {
            Range::Real => value.is_finite(),
            Range::Positive => value > 0.0 && value.is_finite(),
            Range::Probability => (0.0..=1.0).contains(&value),
        };
        assert!(is_within, "{name} is {value}");
    });
}

/// The expected log-likelihood of components that all see the same data differs from point to point as the
/// log-likelihood of these data does, and its score is the derivative of both; coordinates, taken of all components together,
/// are as many as free parameters and give the components back. For families whose statistics are sufficient.
///
/// Coordinates must be of order one. Differences are of fourth order with steps of `10⁻³` and lose three digits.
///
/// # Panics
///
/// If not.
pub fn scores_are_derivatives_of_the_log_likelihood<S: Sample>(
    components: &[S::Family],
    sample: &WeightedSample<S>,
) where
    S::Family: ExpectedLogLikelihood,
{
    let mut flat = Vec::new();
    S::Family::write_all_unconstrained(components, &mut flat);
    assert_eq!(
        flat.len(),
        S::Family::free_parameters_all(components),
        "one coordinate per free parameter, shared ones once"
    );
    let at = |flat: &[f64]| {
        let mut rest = flat;
        let all = S::Family::with_all_unconstrained(components, &mut rest);
        assert!(rest.is_empty(), "all coordinates are taken");
        all
    };
    let log_likelihood = |components: &[S::Family]| -> f64 {
        let mut log_density = vec![f64::NAN; sample.data.batch().len()];
        let of = |component: &S::Family| -> f64 {
            component.log_density_into(sample.data.batch(), &mut log_density);
            log_density.iter().zip(&sample.weights).map(|(l, w)| l * w).sum()
        };
        components.iter().map(of).sum()
    };
    let stats: Vec<_> = components.iter().map(|component| sample.stats(component)).collect();
    let expected = |components: &[S::Family]| -> f64 {
        components.iter().zip(&stats).map(|(c, stats)| c.expected_log_likelihood(stats)).sum()
    };
    let (here, size) = (log_likelihood(components), log_likelihood(components).abs() + 1.0);
    assert_close(log_likelihood(&at(&flat)), here, size);
    let mut again = Vec::new();
    S::Family::write_all_unconstrained(&at(&flat), &mut again);
    let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + a.abs());
    assert!(flat.iter().zip(&again).all(same), "{flat:?} came back as {again:?}");
    let moved: Vec<f64> =
        flat.iter().enumerate().map(|(i, x)| x + 0.1 * (i as f64).cos()).collect();
    let there = at(&moved);
    let size = size + log_likelihood(&there).abs() + expected(&there).abs();
    let gain = log_likelihood(&there) - here;
    assert_close(expected(&there) - expected(components), gain, 10.0 * size);

    let steps = vec![0.01; flat.len()];
    for (flat, components) in [(flat, components), (moved, &there[..])] {
        let mut numerical = vec![f64::NAN; flat.len()];
        gradient_by_differences(&flat, &steps, &mut numerical, |flat| log_likelihood(&at(flat)));
        let mut score = vec![f64::NAN; flat.len()];
        S::Family::score_all_into(components, &stats, &steps, &mut score);
        for (a, b) in score.iter().zip(&numerical) {
            assert!((a - b).abs() <= 1e-9 * size, "score {score:?}, by differences {numerical:?}");
        }
    }
}
