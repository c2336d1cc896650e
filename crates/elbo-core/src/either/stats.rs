//! Statistics of a component of one family or another.

use crate::Statistics;

/// Statistics of a component of the one or the other family; which one is part of their shape.
#[derive(Clone, Debug, PartialEq)]
pub enum EitherStats<L, R> {
    /// Of the first family.
    Left(L),
    /// Of the second.
    Right(R),
}

/// Those of the first family and those of the second, each in order.
pub(super) fn split<L: Clone, R: Clone>(stats: &[EitherStats<L, R>]) -> (Vec<L>, Vec<R>) {
    let (mut lefts, mut rights) = (Vec::new(), Vec::new());
    for stats in stats {
        match stats {
            EitherStats::Left(stats) => lefts.push(stats.clone()),
            EitherStats::Right(stats) => rights.push(stats.clone()),
        }
    }
    (lefts, rights)
}

/// # Panics
///
/// Where two are put together that are not of the same family.
impl<L: Statistics, R: Statistics> Statistics for EitherStats<L, R> {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        match self {
            Self::Left(stats) => stats.visit(see),
            Self::Right(stats) => stats.visit(see),
        }
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        match self {
            Self::Left(stats) => stats.visit_mut(see),
            Self::Right(stats) => stats.visit_mut(see),
        }
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        match self {
            Self::Left(stats) => stats.visit_origin(see),
            Self::Right(stats) => stats.visit_origin(see),
        }
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        match self {
            Self::Left(stats) => stats.visit_origin_mut(see),
            Self::Right(stats) => stats.visit_origin_mut(see),
        }
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        match (self, other) {
            (Self::Left(stats), Self::Left(other)) => stats.axpy(factor, other),
            (Self::Right(stats), Self::Right(other)) => stats.axpy(factor, other),
            _ => panic!("statistics of different shapes"),
        }
    }

    fn align(&mut self, like: &Self) {
        match (self, like) {
            (Self::Left(stats), Self::Left(like)) => stats.align(like),
            (Self::Right(stats), Self::Right(like)) => stats.align(like),
            _ => panic!("statistics of different shapes"),
        }
    }

    fn set_zero(&mut self) {
        match self {
            Self::Left(stats) => stats.set_zero(),
            Self::Right(stats) => stats.set_zero(),
        }
    }

    fn scale(&mut self, factor: f64) {
        match self {
            Self::Left(stats) => stats.scale(factor),
            Self::Right(stats) => stats.scale(factor),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Left(stats), Self::Left(other)) => stats.merge(other),
            (Self::Right(stats), Self::Right(other)) => stats.merge(other),
            _ => panic!("statistics of different shapes"),
        }
    }
}
