//! Parameters as points of a flat space.

use elbo_core::{Family, FlatParameters, Range};

use crate::{Sample, assert_close};

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
