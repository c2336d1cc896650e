//! Components of different families over the same data.

mod estimator;
mod parameters;
mod stats;

pub use estimator::{Sides, SidesFits};
pub use stats::EitherStats;

use std::fmt;

use crate::{BLOCK_STRIDE, Batch, DataError, EstimateError, Family, Matrix, MatrixMut, Repairs};

/// A distribution of one family or of another one over the same data: what lets components of a mixture, or emissions of
/// a chain, differ in kind.
///
/// Nested, it serves any number of families. Scores and estimates are those of the families, each of which sees its own
/// components together, so that what they share is estimated and counted once. Under maximum likelihood nothing else is
/// needed; [`Sides`] gives each family an estimator of its own.
///
/// Cost: that of the families, and a copy of `k` scores and `k` weights per row.
///
/// ```
/// use elbo_core::{Either, Family};
/// # use elbo_core::*;
/// # /// Known to be 1.
/// # #[derive(Clone)] struct One;
/// # impl Family for One {
/// #     type Batch<'a> = &'a [f64]; type Stats = [f64; 1]; type Packed = usize; type Scratch = ();
/// #     fn check(&self, _: &[f64]) -> Result<(), DataError> { Ok(()) }
/// #     fn new_stats(&self) -> [f64; 1] { [0.0] }
/// #     fn new_packed(&self, k: usize) -> usize { k }
/// #     fn new_scratch(_: &usize) {}
/// #     fn pack(&self, _: usize, _: &mut usize) {}
/// #     fn score_all(_: &usize, x: &[f64], mut out: MatrixMut<'_>, (): &mut ()) {
/// #         for j in 0..out.rows() { out.row_mut(j).iter_mut().zip(x).for_each(|(o, x)| *o = if *x == 1.0 { 0.0 } else { f64::NEG_INFINITY }); }
/// #     }
/// #     fn observe_all(_: &usize, _: &mut [[f64; 1]], _: &[f64], _: Matrix<'_>, (): &mut ()) {}
/// #     fn maximize(&self, _: &[f64; 1], _: &mut Self) -> Result<Repairs, EstimateError> { Ok(Repairs::default()) }
/// #     fn expected_stats(&self, w: f64) -> [f64; 1] { [w] }
/// #     fn free_parameters(&self, _: usize) -> usize { 0 }
/// # }
/// let components: [Either<One, One>; 2] = [Either::Left(One), Either::Right(One)];
/// let mut score = [0.0];
/// components[1].log_density_into(&[1.0], &mut score);
/// assert_eq!(score, [0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Either<A, B> {
    /// Of the first family.
    Left(A),
    /// Of the second.
    Right(B),
}

impl<A, B> Either<A, B> {
    /// The distribution, if it is of the first family.
    pub fn left(&self) -> Option<&A> {
        match self {
            Self::Left(a) => Some(a),
            Self::Right(_) => None,
        }
    }

    /// The distribution, if it is of the second family.
    pub fn right(&self) -> Option<&B> {
        match self {
            Self::Left(_) => None,
            Self::Right(b) => Some(b),
        }
    }
}

/// Those of the first family and those of the second, each in order.
fn split<A: Clone, B: Clone>(points: &[Either<A, B>]) -> (Vec<A>, Vec<B>) {
    (
        points.iter().filter_map(Either::left).cloned().collect(),
        points.iter().filter_map(Either::right).cloned().collect(),
    )
}

/// Puts the components of both families back where `points` has such.
fn join<A: Clone, B: Clone>(points: &mut [Either<A, B>], lefts: &[A], rights: &[B]) {
    let (mut lefts, mut rights) = (lefts.iter(), rights.iter());
    for point in points {
        match point {
            Either::Left(a) => a.clone_from(lefts.next().expect("as many as before")),
            Either::Right(b) => b.clone_from(rights.next().expect("as many as before")),
        }
    }
}

/// An error about component `c` of one family, told of its place among all.
fn placed<A, B>(error: EstimateError, points: &[Either<A, B>], is_left: bool) -> EstimateError {
    let Some(c) = error.component() else { return error };
    let of_side = |(_, point): &(usize, &Either<A, B>)| point.left().is_some() == is_left;
    match points.iter().enumerate().filter(of_side).nth(c) {
        Some((j, _)) => error.at(j),
        None => error,
    }
}

/// Which component of its family a component is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Left(usize),
    Right(usize),
}

/// `k` components of two families as their kernels want them.
#[derive(Clone)]
pub struct EitherPacked<A: Family, B: Family> {
    left: Option<Side<A>>,
    right: Option<Side<B>>,
    places: Vec<Place>,
}

/// The components of one family.
struct Side<F: Family> {
    all: F::Packed,
    /// Each by itself: where statistics take their origins from.
    each: Vec<F::Packed>,
    empty: F::Stats,
}

impl<F: Family> Clone for Side<F> {
    fn clone(&self) -> Self {
        Self { all: self.all.clone(), each: self.each.clone(), empty: self.empty.clone() }
    }
}

impl<F: Family> Side<F> {
    fn new(points: &[F]) -> Option<Self> {
        let first = points.first()?;
        Some(Self {
            all: F::new_packed_all(points),
            each: points.iter().map(|point| point.new_packed(1)).collect(),
            empty: first.new_stats(),
        })
    }

    fn pack(&mut self, c: usize, point: &F) {
        point.pack(c, &mut self.all);
        point.pack(0, &mut self.each[c]);
    }

    fn reset(&self, c: usize, stats: &mut F::Stats) {
        F::reset_all(&self.each[c], std::slice::from_mut(stats));
    }
}

impl<A: Family, B: Family> fmt::Debug for EitherPacked<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EitherPacked").field("places", &self.places).finish_non_exhaustive()
    }
}

impl<A: Family, B: Family> EitherPacked<A, B> {
    fn new(lefts: &[A], rights: &[B], places: Vec<Place>) -> Self {
        Self { left: Side::new(lefts), right: Side::new(rights), places }
    }
}

/// What one worker needs: the scratch of both families, and room for their rows of scores and weights.
pub struct EitherScratch<A: Family, B: Family> {
    left: Option<SideScratch<A>>,
    right: Option<SideScratch<B>>,
}

struct SideScratch<F: Family> {
    block: Vec<f64>,
    /// Statistics of the components side by side, moved in and out; placeholders otherwise.
    stats: Vec<F::Stats>,
    family: F::Scratch,
}

impl<A: Family, B: Family> fmt::Debug for EitherScratch<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EitherScratch").finish_non_exhaustive()
    }
}

impl<F: Family> SideScratch<F> {
    fn new(side: &Side<F>) -> Self {
        let k = side.each.len();
        Self {
            block: vec![0.0; k * BLOCK_STRIDE],
            stats: vec![side.empty.clone(); k],
            family: F::new_scratch(&side.all),
        }
    }

    fn score(&mut self, side: &Side<F>, data: F::Batch<'_>) {
        let out = MatrixMut::new(&mut self.block, side.each.len(), data.len(), BLOCK_STRIDE);
        F::score_all(&side.all, data, out, &mut self.family);
    }

    fn observe(&mut self, side: &Side<F>, data: F::Batch<'_>) {
        let weights = Matrix::new(&self.block, side.each.len(), data.len(), BLOCK_STRIDE);
        F::observe_all(&side.all, &mut self.stats, data, weights, &mut self.family);
    }

    fn finish(&mut self, side: &Side<F>) {
        F::finish(&side.all, &mut self.stats, &mut self.family);
    }
}

impl<A: Family, B: Family> EitherScratch<A, B> {
    /// The row of a component.
    fn row(&mut self, place: Place, n: usize) -> &mut [f64] {
        let (block, c) = match place {
            Place::Left(c) => (self.left.as_mut().map(|side| &mut side.block), c),
            Place::Right(c) => (self.right.as_mut().map(|side| &mut side.block), c),
        };
        &mut block.expect("a family with components has scratch")[c * BLOCK_STRIDE..][..n]
    }

    /// Moves the statistics of all components in, or out again.
    fn exchange(&mut self, places: &[Place], stats: &mut [EitherStats<A::Stats, B::Stats>]) {
        assert_eq!(places.len(), stats.len(), "one component, one set of statistics");
        for (place, stats) in places.iter().zip(stats) {
            match (place, stats, &mut self.left, &mut self.right) {
                (Place::Left(c), EitherStats::Left(stats), Some(side), _) => {
                    std::mem::swap(stats, &mut side.stats[*c]);
                }
                (Place::Right(c), EitherStats::Right(stats), _, Some(side)) => {
                    std::mem::swap(stats, &mut side.stats[*c]);
                }
                _ => panic!("statistics of another family than their component"),
            }
        }
    }
}

impl<A, B> Family for Either<A, B>
where
    A: Family,
    B: for<'x> Family<Batch<'x> = A::Batch<'x>>,
{
    type Batch<'a> = A::Batch<'a>;
    type Stats = EitherStats<A::Stats, B::Stats>;
    type Packed = EitherPacked<A, B>;
    type Scratch = EitherScratch<A, B>;

    fn check(&self, data: A::Batch<'_>) -> Result<(), DataError> {
        match self {
            Self::Left(a) => a.check(data),
            Self::Right(b) => b.check(data),
        }
    }

    fn check_all(points: &[Self], data: A::Batch<'_>) -> Result<(), DataError> {
        let left = points.iter().find_map(Self::left);
        let right = points.iter().find_map(Self::right);
        left.map_or(Ok(()), |a| a.check(data))?;
        right.map_or(Ok(()), |b| b.check(data))
    }

    fn new_stats(&self) -> Self::Stats {
        match self {
            Self::Left(a) => EitherStats::Left(a.new_stats()),
            Self::Right(b) => EitherStats::Right(b.new_stats()),
        }
    }

    /// For `k` components of this one's family.
    fn new_packed(&self, k: usize) -> Self::Packed {
        Self::new_packed_all(&vec![self.clone(); k])
    }

    fn new_packed_all(points: &[Self]) -> Self::Packed {
        let (lefts, rights) = split(points);
        let (mut left, mut right) = (0..lefts.len(), 0..rights.len());
        let place = |point: &Self| match point {
            Self::Left(_) => left.next().map(Place::Left),
            Self::Right(_) => right.next().map(Place::Right),
        };
        EitherPacked::new(&lefts, &rights, points.iter().filter_map(place).collect())
    }

    fn new_scratch(packed: &Self::Packed) -> Self::Scratch {
        EitherScratch {
            left: packed.left.as_ref().map(SideScratch::new),
            right: packed.right.as_ref().map(SideScratch::new),
        }
    }

    /// # Panics
    ///
    /// If the packed form was made for a component of the other family here.
    fn pack(&self, j: usize, packed: &mut Self::Packed) {
        match (self, packed.places[j], &mut packed.left, &mut packed.right) {
            (Self::Left(a), Place::Left(c), Some(side), _) => side.pack(c, a),
            (Self::Right(b), Place::Right(c), _, Some(side)) => side.pack(c, b),
            _ => panic!("component {j} was of the other family when room was made for it"),
        }
    }

    fn score_all(
        packed: &Self::Packed,
        data: A::Batch<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut Self::Scratch,
    ) {
        if let (Some(side), Some(scratch)) = (&packed.left, &mut scratch.left) {
            scratch.score(side, data);
        }
        if let (Some(side), Some(scratch)) = (&packed.right, &mut scratch.right) {
            scratch.score(side, data);
        }
        for (j, place) in packed.places.iter().enumerate() {
            out.row_mut(j).copy_from_slice(scratch.row(*place, data.len()));
        }
    }

    fn reset_all(packed: &Self::Packed, stats: &mut [Self::Stats]) {
        for (place, stats) in packed.places.iter().zip(stats) {
            match (place, stats, &packed.left, &packed.right) {
                (Place::Left(c), EitherStats::Left(stats), Some(side), _) => side.reset(*c, stats),
                (Place::Right(c), EitherStats::Right(stats), _, Some(side)) => {
                    side.reset(*c, stats);
                }
                _ => panic!("statistics of another family than their component"),
            }
        }
    }

    fn observe_all(
        packed: &Self::Packed,
        stats: &mut [Self::Stats],
        data: A::Batch<'_>,
        weights: Matrix<'_>,
        scratch: &mut Self::Scratch,
    ) {
        for (j, place) in packed.places.iter().enumerate() {
            scratch.row(*place, data.len()).copy_from_slice(weights.row(j));
        }
        scratch.exchange(&packed.places, stats);
        if let (Some(side), Some(scratch)) = (&packed.left, &mut scratch.left) {
            scratch.observe(side, data);
        }
        if let (Some(side), Some(scratch)) = (&packed.right, &mut scratch.right) {
            scratch.observe(side, data);
        }
        scratch.exchange(&packed.places, stats);
    }

    fn finish(packed: &Self::Packed, stats: &mut [Self::Stats], scratch: &mut Self::Scratch) {
        scratch.exchange(&packed.places, stats);
        if let (Some(side), Some(scratch)) = (&packed.left, &mut scratch.left) {
            scratch.finish(side);
        }
        if let (Some(side), Some(scratch)) = (&packed.right, &mut scratch.right) {
            scratch.finish(side);
        }
        scratch.exchange(&packed.places, stats);
    }

    fn maximize(&self, stats: &Self::Stats, next: &mut Self) -> Result<Repairs, EstimateError> {
        match (self, stats, next) {
            (Self::Left(a), EitherStats::Left(stats), Self::Left(next)) => a.maximize(stats, next),
            (Self::Right(b), EitherStats::Right(stats), Self::Right(next)) => {
                b.maximize(stats, next)
            }
            _ => panic!("statistics of another family than their component"),
        }
    }

    /// Each family estimates its own components together.
    fn maximize_all(
        current: &[Self],
        stats: &[Self::Stats],
        next: &mut [Self],
    ) -> Result<Repairs, EstimateError> {
        let (lefts, rights) = split(current);
        let (left_stats, right_stats) = stats::split(stats);
        let (mut next_lefts, mut next_rights) = split(next);
        let mut repairs = Repairs::default();
        if !lefts.is_empty() {
            let step = A::maximize_all(&lefts, &left_stats, &mut next_lefts);
            repairs.merge(step.map_err(|error| placed(error, current, true))?);
        }
        if !rights.is_empty() {
            let step = B::maximize_all(&rights, &right_stats, &mut next_rights);
            repairs.merge(step.map_err(|error| placed(error, current, false))?);
        }
        join(next, &next_lefts, &next_rights);
        Ok(repairs)
    }

    fn is_maximized_at_once(&self, stats: &Self::Stats) -> bool {
        match (self, stats) {
            (Self::Left(a), EitherStats::Left(stats)) => a.is_maximized_at_once(stats),
            (Self::Right(b), EitherStats::Right(stats)) => b.is_maximized_at_once(stats),
            _ => false,
        }
    }

    fn retreat(&self, next: &mut Self) -> bool {
        match (self, next) {
            (Self::Left(a), Self::Left(next)) => a.retreat(next),
            (Self::Right(b), Self::Right(next)) => b.retreat(next),
            _ => false,
        }
    }

    fn expected_stats(&self, weight: f64) -> Self::Stats {
        match self {
            Self::Left(a) => EitherStats::Left(a.expected_stats(weight)),
            Self::Right(b) => EitherStats::Right(b.expected_stats(weight)),
        }
    }

    fn write_natural(&self, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        match (self, like) {
            (Self::Left(a), EitherStats::Left(like)) => a.write_natural(like, out),
            (Self::Right(b), EitherStats::Right(like)) => b.write_natural(like, out),
            _ => false,
        }
    }

    fn moved_to(&self, data: A::Batch<'_>, row: usize) -> Result<Self, EstimateError> {
        match self {
            Self::Left(a) => a.moved_to(data, row).map(Self::Left),
            Self::Right(b) => b.moved_to(data, row).map(Self::Right),
        }
    }

    fn free_parameters(&self, k: usize) -> usize {
        match self {
            Self::Left(a) => a.free_parameters(k),
            Self::Right(b) => b.free_parameters(k),
        }
    }

    fn free_parameters_all(points: &[Self]) -> usize {
        let (lefts, rights) = split(points);
        A::free_parameters_all(&lefts) + B::free_parameters_all(&rights)
    }

    fn relative_spread(&self, all: &Self::Stats) -> f64 {
        match (self, all) {
            (Self::Left(a), EitherStats::Left(all)) => a.relative_spread(all),
            (Self::Right(b), EitherStats::Right(all)) => b.relative_spread(all),
            _ => 1.0,
        }
    }

    /// Each against what reached the components of its own family.
    fn relative_spreads(points: &[Self], stats: &[Self::Stats]) -> Vec<f64> {
        let (lefts, rights) = split(points);
        let (left_stats, right_stats) = stats::split(stats);
        let mut left = A::relative_spreads(&lefts, &left_stats).into_iter();
        let mut right = B::relative_spreads(&rights, &right_stats).into_iter();
        let spread = |point: &Self| match point {
            Self::Left(_) => left.next(),
            Self::Right(_) => right.next(),
        };
        points.iter().filter_map(spread).collect()
    }
}
