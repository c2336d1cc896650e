//! Which components look like artifacts of an unbounded likelihood.

use crate::{Estimator, Family};

/// Below this ratio of variances in some direction, a component is all but flat there.
const FLAT: f64 = 1e-6;
/// Below this ratio, a component that also rests on too few observations is suspicious.
const NARROW: f64 = 1e-2;

/// Components that look like artifacts of an unbounded likelihood rather than structure in the data.
///
/// A component is one if it is nearly flat in some direction compared with all the data (variance ratio below 10⁻⁶), or
/// narrow (below 10⁻²), narrower than another by half and resting on fewer observations than twice its number of
/// parameters. Components that share their spread cannot collapse alone, and none collapses under a prior.
///
/// `weights[j]` is the expected number of observations of component `j`. Cost: one merge of all statistics.
pub fn spurious_components<F: Family, E: Estimator<F>>(
    points: &[F],
    stats: &[F::Stats],
    weights: &[f64],
) -> Vec<usize> {
    if points.len() < 2 || E::HAS_PRIOR {
        return Vec::new();
    }
    let spreads = F::relative_spreads(points, stats);
    let widest = spreads.iter().copied().fold(0.0, f64::max);
    let suspicious = |j: &usize| {
        let few = weights[*j] < 2.0 * points[*j].free_parameters(1) as f64;
        let narrow = spreads[*j] < NARROW && spreads[*j] < 0.5 * widest;
        spreads[*j] < FLAT || (few && narrow)
    };
    (0..points.len()).filter(suspicious).collect()
}
