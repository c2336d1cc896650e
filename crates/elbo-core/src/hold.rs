//! Partial updates within components: blocks of parameters that stay while the others are estimated.

use std::fmt;

use crate::{EstimateError, Estimator, Family, MaximumLikelihood, Repairs};

/// A family whose parameters fall into blocks that maximum likelihood can hold: mean and covariance of a Gaussian.
///
/// # Laws
///
/// After [`hold`](Self::hold), `maximize` gives the other blocks their maximum with the held one where it is, up to rounding,
/// which [`keep`](Self::keep) then takes out. Blocks may be held together.
pub trait Blocks: Family {
    /// A name for each block.
    type Block: Copy + fmt::Debug + PartialEq + Send + Sync + 'static;

    /// Changes statistics that were taken at this distribution into such that hold the block: of data that agree with it.
    fn hold(&self, block: Self::Block, stats: &mut Self::Stats);

    /// Puts the block of this distribution in the place of that of `next`.
    fn keep(&self, block: Self::Block, next: &mut Self);

    /// Number of free parameters in this block of `k` components like this one, shared ones counted once.
    fn block_parameters(&self, block: Self::Block, k: usize) -> usize;
}

/// Maximum likelihood of some blocks of parameters, with the others exactly as they were at the start.
///
/// [`Freeze`](crate::Freeze) leaves whole components as they are; this leaves a part of each of them, such as known means
/// with unknown spreads. The objective never falls, and what is held does not count as free. A component without weight still
/// fails, as under [`MaximumLikelihood`].
///
/// To maximize over blocks in turn (multicycle ECM: Meng & Rubin 1993), fit with the one held, then with the other, from
/// where the first fit ended.
///
/// Cost: that of maximum likelihood, and a copy of the statistics for each M-step.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold<B> {
    held: Vec<B>,
}

impl<B> Hold<B> {
    /// Holds these blocks.
    pub fn new(held: Vec<B>) -> Self {
        Self { held }
    }
}

impl<F: Blocks> Estimator<F> for Hold<F::Block> {
    type Fits = Vec<F>;

    const HAS_PRIOR: bool = false;

    fn start(&self, points: Vec<F>, weight: f64) -> Result<Vec<F>, EstimateError> {
        MaximumLikelihood.start(points, weight)
    }

    fn points(fits: &Vec<F>) -> &[F] {
        fits
    }

    fn pack(fits: &Vec<F>, packed: &mut F::Packed) {
        <MaximumLikelihood as Estimator<F>>::pack(fits, packed);
    }

    fn estimate(
        &self,
        current: &Vec<F>,
        stats: &[F::Stats],
        next: &mut Vec<F>,
    ) -> Result<Repairs, EstimateError> {
        let mut stats = stats.to_vec();
        for (point, stats) in current.iter().zip(&mut stats) {
            self.held.iter().for_each(|block| point.hold(*block, stats));
        }
        let repairs = F::maximize_all(current, &stats, next)?;
        for (point, next) in current.iter().zip(next) {
            self.held.iter().for_each(|block| point.keep(*block, next));
        }
        Ok(repairs)
    }

    fn penalty(&self, _: &Vec<F>) -> f64 {
        0.0
    }

    fn keep(current: &Vec<F>, j: usize, next: &mut Vec<F>) {
        next[j].clone_from(&current[j]);
    }

    fn free_parameters(&self, fits: &Vec<F>) -> usize {
        let (first, k) = (&fits[0], fits.len());
        let held: usize = self.held.iter().map(|block| first.block_parameters(*block, k)).sum();
        first.free_parameters(k) - held
    }
}
