//! The expected complete-data log-likelihood of a family, a function of its statistics.

use crate::{Family, FlatParameters, Statistics};

/// A family whose expected complete-data log-likelihood is known from its statistics: what Oakes' identity, SEM and
/// Louis' formula differentiate.
///
/// For an exponential family it is `Q(θ′; s) = ⟨η(θ′), s⟩ − w A(θ′)`, the log-likelihood itself as a function of
/// sufficient statistics, which is what natural parameters tell: then there is nothing to write. A family with latent variables or bounds of its own has one, too, if statistics `s(θ)` taken at
/// `θ` make a function that touches the log-likelihood: `∂Q(θ′; s(θ))/∂θ′ = ∂ℓ(θ)/∂θ` at `θ′ = θ`.
/// Terms that no parameter touches may be left out.
pub trait ExpectedLogLikelihood: Family + FlatParameters {
    /// `Q(θ′; s)` where `θ′` is this distribution, in nats. Unless overridden, the product of the statistics with the
    /// [natural parameters](Family::write_natural), where a statistic of zero counts for nothing.
    ///
    /// # Panics
    ///
    /// If it is not overridden by a family that tells no natural parameters.
    fn expected_log_likelihood(&self, stats: &Self::Stats) -> f64 {
        let mut natural = Vec::new();
        let is_told = self.write_natural(stats, &mut natural);
        assert!(
            is_told,
            "a family without natural parameters has to know its expected log-likelihood"
        );
        let (mut rest, mut sum) = (&natural[..], 0.0);
        stats.visit(&mut |part| {
            let (here, after) = rest.split_at(part.len());
            let terms = part.iter().zip(here).filter(|(s, _)| **s != 0.0);
            sum += terms.map(|(s, eta)| s * eta).sum::<f64>();
            rest = after;
        });
        sum
    }

    /// Overwrites `out` by `∂Q(θ′; s)/∂φ′` in the unconstrained coordinates `φ` of `θ`, at this distribution.
    ///
    /// `steps` are about a standard error of each coordinate, for families that take differences; those that know the
    /// derivative ignore them. Unless overridden: four values of `Q` for each coordinate.
    fn score_into(&self, stats: &Self::Stats, steps: &[f64], out: &mut [f64]) {
        let mut flat = Vec::with_capacity(out.len());
        self.write_unconstrained(&mut flat);
        gradient_by_differences(&flat, steps, out, |flat| {
            self.with_unconstrained(&mut &flat[..]).expected_log_likelihood(stats)
        });
    }

    /// The same for components that are estimated together, in the coordinates of
    /// [`write_all_unconstrained`](FlatParameters::write_all_unconstrained): one after the other, unless they share
    /// parameters.
    fn score_all_into(components: &[Self], stats: &[Self::Stats], steps: &[f64], out: &mut [f64]) {
        let mut start = 0;
        for (component, stats) in components.iter().zip(stats) {
            let range = start..start + component.unconstrained_len();
            component.score_into(stats, &steps[range.clone()], &mut out[range.clone()]);
            start = range.end;
        }
        debug_assert_eq!(
            start,
            out.len(),
            "components that share parameters have a score of their own"
        );
    }

    /// Are the statistics of these data functions of the data alone, so that nothing is hidden but what a model around
    /// this family hides? False where values are missing, and for families with latent variables of their own.
    fn is_complete(&self, data: Self::Batch<'_>) -> bool;
}

/// Fourth-order central differences of a function with about unit second derivatives per squared step.
///
/// A tenth of a step is the least that leaves rounding behind and the most that keeps higher derivatives out.
/// A step of zero, or a coordinate at infinity, gives zero: such a coordinate is held.
///
/// # Panics
///
/// If the lengths differ.
pub fn gradient_by_differences(
    at: &[f64],
    steps: &[f64],
    out: &mut [f64],
    mut f: impl FnMut(&[f64]) -> f64,
) {
    assert!(at.len() == steps.len() && at.len() == out.len(), "one step for each coordinate");
    let mut flat = at.to_vec();
    for (k, out) in out.iter_mut().enumerate() {
        let h = 0.1 * steps[k];
        if h == 0.0 || !at[k].is_finite() {
            *out = 0.0;
            continue;
        }
        let mut value = |shift: f64| {
            flat[k] = at[k] + shift;
            f(&flat)
        };
        let near = value(h) - value(-h);
        let far = value(2.0 * h) - value(-2.0 * h);
        flat[k] = at[k];
        *out = (8.0 * near - far) / (12.0 * h);
    }
}
