//! An estimator for each family.

use super::{Either, EitherPacked, join, placed, split, stats};
use crate::{EstimateError, Estimator, Family, PointEstimator, Repairs};

/// Estimates components of the first family by one estimator, those of the second by another: priors for the one,
/// maximum likelihood for the other.
///
/// The objective adds the penalties of both. It counts as having a prior where both have one.
#[derive(Clone, Debug, PartialEq)]
pub struct Sides<E, G> {
    left: E,
    right: G,
}

impl<E, G> Sides<E, G> {
    /// These estimators of the first and of the second family.
    pub fn new(left: E, right: G) -> Self {
        Self { left, right }
    }
}

/// Fitted components of two families.
#[derive(Debug)]
pub struct SidesFits<A: Family, B: Family, E: Estimator<A>, G: Estimator<B>> {
    /// None where there is no such component.
    left: Option<E::Fits>,
    right: Option<G::Fits>,
    points: Vec<Either<A, B>>,
}

impl<A: Family, B: Family, E: Estimator<A>, G: Estimator<B>> Clone for SidesFits<A, B, E, G> {
    fn clone(&self) -> Self {
        Self { left: self.left.clone(), right: self.right.clone(), points: self.points.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.left.clone_from(&source.left);
        self.right.clone_from(&source.right);
        self.points.clone_from(&source.points);
    }
}

impl<A: Family, B: Family, E: Estimator<A>, G: Estimator<B>> SidesFits<A, B, E, G> {
    /// The fitted components of the first family, if there are any.
    pub fn left(&self) -> Option<&E::Fits> {
        self.left.as_ref()
    }

    /// Those of the second.
    pub fn right(&self) -> Option<&G::Fits> {
        self.right.as_ref()
    }

    fn refresh(&mut self) {
        let lefts = self.left.as_ref().map_or(&[][..], |fits| E::points(fits));
        let rights = self.right.as_ref().map_or(&[][..], |fits| G::points(fits));
        join(&mut self.points, lefts, rights);
    }

    /// Which component of its family component `j` is.
    fn place(&self, j: usize) -> usize {
        let is_left = self.points[j].left().is_some();
        self.points[..j].iter().filter(|point| point.left().is_some() == is_left).count()
    }
}

impl<A, B, E, G> Estimator<Either<A, B>> for Sides<E, G>
where
    A: Family,
    B: for<'x> Family<Batch<'x> = A::Batch<'x>>,
    E: Estimator<A>,
    G: Estimator<B>,
{
    type Fits = SidesFits<A, B, E, G>;

    const HAS_PRIOR: bool = E::HAS_PRIOR && G::HAS_PRIOR;

    fn start(&self, points: Vec<Either<A, B>>, weight: f64) -> Result<Self::Fits, EstimateError> {
        let (lefts, rights) = split(&points);
        let told = |error, is_left| placed(error, &points, is_left);
        let left = (!lefts.is_empty()).then(|| self.left.start(lefts, weight));
        let right = (!rights.is_empty()).then(|| self.right.start(rights, weight));
        let left = left.transpose().map_err(|error| told(error, true))?;
        let right = right.transpose().map_err(|error| told(error, false))?;
        Ok(SidesFits { left, right, points })
    }

    fn points(fits: &Self::Fits) -> &[Either<A, B>] {
        &fits.points
    }

    fn pack(fits: &Self::Fits, packed: &mut EitherPacked<A, B>) {
        for (j, point) in fits.points.iter().enumerate() {
            point.pack(j, packed);
        }
        if let (Some(fits), Some(side)) = (&fits.left, &mut packed.left) {
            E::pack(fits, &mut side.all);
        }
        if let (Some(fits), Some(side)) = (&fits.right, &mut packed.right) {
            G::pack(fits, &mut side.all);
        }
    }

    fn estimate(
        &self,
        current: &Self::Fits,
        stats: &[<Either<A, B> as Family>::Stats],
        next: &mut Self::Fits,
    ) -> Result<Repairs, EstimateError> {
        let (lefts, rights) = stats::split(stats);
        let mut repairs = Repairs::default();
        if let (Some(current_left), Some(next)) = (&current.left, &mut next.left) {
            let step = self.left.estimate(current_left, &lefts, next);
            repairs.merge(step.map_err(|error| placed(error, &current.points, true))?);
        }
        if let (Some(current_right), Some(next)) = (&current.right, &mut next.right) {
            let step = self.right.estimate(current_right, &rights, next);
            repairs.merge(step.map_err(|error| placed(error, &current.points, false))?);
        }
        next.refresh();
        Ok(repairs)
    }

    fn penalty(&self, fits: &Self::Fits) -> f64 {
        let left = fits.left.as_ref().map_or(0.0, |fits| self.left.penalty(fits));
        left + fits.right.as_ref().map_or(0.0, |fits| self.right.penalty(fits))
    }

    fn keep(current: &Self::Fits, j: usize, next: &mut Self::Fits) {
        let c = current.place(j);
        match &current.points[j] {
            Either::Left(_) => {
                if let (Some(current), Some(next)) = (&current.left, &mut next.left) {
                    E::keep(current, c, next);
                }
            }
            Either::Right(_) => {
                if let (Some(current), Some(next)) = (&current.right, &mut next.right) {
                    G::keep(current, c, next);
                }
            }
        }
        next.points[j].clone_from(&current.points[j]);
    }

    fn retreat(current: &Self::Fits, next: &mut Self::Fits) -> bool {
        let mut any = false;
        if let (Some(current), Some(next)) = (&current.left, &mut next.left) {
            any |= E::retreat(current, next);
        }
        if let (Some(current), Some(next)) = (&current.right, &mut next.right) {
            any |= G::retreat(current, next);
        }
        next.refresh();
        any
    }

    fn free_parameters(&self, fits: &Self::Fits) -> usize {
        let left = fits.left.as_ref().map_or(0, |fits| self.left.free_parameters(fits));
        left + fits.right.as_ref().map_or(0, |fits| self.right.free_parameters(fits))
    }
}

impl<A, B, E, G> PointEstimator<Either<A, B>> for Sides<E, G>
where
    A: Family,
    B: for<'x> Family<Batch<'x> = A::Batch<'x>>,
    E: PointEstimator<A>,
    G: PointEstimator<B>,
{
    fn set_points(fits: &mut Self::Fits, points: Vec<Either<A, B>>) {
        let (lefts, rights) = split(&points);
        if let Some(left) = &mut fits.left {
            E::set_points(left, lefts);
        }
        if let Some(right) = &mut fits.right {
            G::set_points(right, rights);
        }
        fits.points = points;
    }
}

#[cfg(feature = "serde")]
mod wire {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Either, Estimator, Family, SidesFits};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire<L, R> {
        left: Option<L>,
        right: Option<R>,
        /// Which family each component is of.
        is_left: Vec<bool>,
    }

    impl<A: Family, B: Family, E: Estimator<A>, G: Estimator<B>> Serialize for SidesFits<A, B, E, G>
    where
        E::Fits: Serialize,
        G::Fits: Serialize,
    {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let is_left = self.points.iter().map(|point| point.left().is_some()).collect();
            Wire { left: self.left.as_ref(), right: self.right.as_ref(), is_left }
                .serialize(serializer)
        }
    }

    impl<'de, A: Family, B: Family, E: Estimator<A>, G: Estimator<B>> Deserialize<'de>
        for SidesFits<A, B, E, G>
    where
        E::Fits: Deserialize<'de>,
        G::Fits: Deserialize<'de>,
    {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Wire { left, right, is_left } =
                Wire::<E::Fits, G::Fits>::deserialize(deserializer)?;
            let lefts = left.as_ref().map_or(&[][..], |fits| E::points(fits));
            let rights = right.as_ref().map_or(&[][..], |fits| G::points(fits));
            let count = is_left.iter().filter(|is_left| **is_left).count();
            if (lefts.len(), rights.len()) != (count, is_left.len() - count) {
                let message = "as many components of each family as places for them are needed";
                return Err(D::Error::custom(message));
            }
            let (mut lefts, mut rights) = (lefts.iter().cloned(), rights.iter().cloned());
            let point = |is_left: &bool| {
                if *is_left {
                    lefts.next().map(Either::Left)
                } else {
                    rights.next().map(Either::Right)
                }
            };
            let points = is_left.iter().filter_map(point).collect();
            Ok(Self { left, right, points })
        }
    }
}
