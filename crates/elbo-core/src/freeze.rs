//! Partial updates: components that an estimator leaves as they are.

use crate::{EstimateError, Estimator, Family, PointEstimator, Repairs};

/// Estimates as `E` does, but leaves some components, or all, exactly as they were at the start.
///
/// Weights, transition rows and emissions are components, too: a mixture whose weights are known is
/// `MixtureModel::new(MaximumLikelihood, Freeze::all(MaximumLikelihood))`. What is frozen scores and takes its share of the
/// data as ever, and its parameters do not count as free. The objective never falls: an M-step over fewer parameters is an
/// M-step. A frozen component cannot collapse, and needs no data of its own.
///
/// Cost: that of `E`; where some but not all components are frozen, a copy of the statistics for each M-step.
///
/// ```
/// use elbo_core::{Estimator, Freeze, MaximumLikelihood};
///
/// // The first component is background and known; the others are estimated.
/// let estimator = Freeze::only(MaximumLikelihood, vec![0]);
/// assert!(estimator.is_frozen(0) && !estimator.is_frozen(1));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze<E> {
    estimator: E,
    frozen: Frozen,
}

#[derive(Clone, Debug, PartialEq)]
enum Frozen {
    All,
    Only(Vec<usize>),
}

impl<E> Freeze<E> {
    /// Nothing is frozen: where a type asks for `Freeze` and this part is free.
    pub fn none(estimator: E) -> Self {
        Self::only(estimator, Vec::new())
    }

    /// Everything stays as it is.
    pub fn all(estimator: E) -> Self {
        Self { estimator, frozen: Frozen::All }
    }

    /// These components stay as they are, counted from 0; numbers beyond the last component mean nothing.
    pub fn only(estimator: E, components: Vec<usize>) -> Self {
        Self { estimator, frozen: Frozen::Only(components) }
    }

    /// Does component `j` stay as it is?
    pub fn is_frozen(&self, j: usize) -> bool {
        match &self.frozen {
            Frozen::All => true,
            Frozen::Only(components) => components.contains(&j),
        }
    }
}

impl<F: Family, E: Estimator<F>> Estimator<F> for Freeze<E> {
    type Fits = E::Fits;

    const HAS_PRIOR: bool = E::HAS_PRIOR;

    fn start(&self, points: Vec<F>, weight: f64) -> Result<E::Fits, EstimateError> {
        let alone: usize = points.iter().map(|point| point.free_parameters(1)).sum();
        let is_shared = F::free_parameters_all(&points) < alone;
        let frozen = (0..points.len()).filter(|j| self.is_frozen(*j)).count();
        if is_shared && frozen > 0 && frozen < points.len() {
            return Err(EstimateError::Unsupported {
                what: "freezing some of the components",
                structure: "components that share parameters",
            });
        }
        self.estimator.start(points, weight)
    }

    fn points(fits: &E::Fits) -> &[F] {
        E::points(fits)
    }

    fn pack(fits: &E::Fits, packed: &mut F::Packed) {
        E::pack(fits, packed);
    }

    fn estimate(
        &self,
        current: &E::Fits,
        stats: &[F::Stats],
        next: &mut E::Fits,
    ) -> Result<Repairs, EstimateError> {
        let frozen = || (0..stats.len()).filter(|j| self.is_frozen(*j));
        let repairs = match frozen().count() {
            0 => return self.estimator.estimate(current, stats, next),
            count if count == stats.len() => Repairs::default(),
            _ => {
                // What a frozen component saw must not make the estimate of the others fail.
                let mut stats = stats.to_vec();
                for j in frozen() {
                    stats[j] = E::points(current)[j].expected_stats(1.0);
                }
                self.estimator.estimate(current, &stats, next)?
            }
        };
        frozen().for_each(|j| E::keep(current, j, next));
        Ok(repairs)
    }

    fn penalty(&self, fits: &E::Fits) -> f64 {
        self.estimator.penalty(fits)
    }

    fn keep(current: &E::Fits, j: usize, next: &mut E::Fits) {
        E::keep(current, j, next);
    }

    fn is_frozen(&self, j: usize) -> bool {
        self.is_frozen(j)
    }

    fn retreat(current: &E::Fits, next: &mut E::Fits) -> bool {
        E::retreat(current, next)
    }

    fn free_parameters(&self, fits: &E::Fits) -> usize {
        let points = E::points(fits).iter().enumerate();
        let free = points.filter(|(j, _)| !self.is_frozen(*j)).map(|(_, point)| point.clone());
        F::free_parameters_all(&free.collect::<Vec<F>>())
    }
}

impl<F: Family, E: PointEstimator<F>> PointEstimator<F> for Freeze<E> {
    fn set_points(fits: &mut E::Fits, points: Vec<F>) {
        E::set_points(fits, points);
    }
}
