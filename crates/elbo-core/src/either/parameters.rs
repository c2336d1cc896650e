//! Draws, coordinates and complete-data scores of components of two families.

use rand::Rng;

use super::{Either, EitherStats, join, split, stats};
use crate::{Draw, ExpectedLogLikelihood, Family, FlatParameters, Range};

impl<A, B> Draw for Either<A, B>
where
    A: Draw,
    B: Draw<Drawn = A::Drawn> + for<'x> Family<Batch<'x> = A::Batch<'x>>,
{
    type Drawn = A::Drawn;

    fn no_draws(&self) -> A::Drawn {
        match self {
            Self::Left(a) => a.no_draws(),
            Self::Right(b) => b.no_draws(),
        }
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut A::Drawn) {
        match self {
            Self::Left(a) => a.draw_onto(n, rng, drawn),
            Self::Right(b) => b.draw_onto(n, rng, drawn),
        }
    }

    fn batch_of(drawn: &A::Drawn) -> A::Batch<'_> {
        A::batch_of(drawn)
    }
}

/// Components together: those of the first family, then those of the second.
impl<A: FlatParameters + Clone, B: FlatParameters + Clone> FlatParameters for Either<A, B> {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        match self {
            Self::Left(a) => a.write_unconstrained(out),
            Self::Right(b) => b.write_unconstrained(out),
        }
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        match self {
            Self::Left(a) => Self::Left(a.with_unconstrained(from)),
            Self::Right(b) => Self::Right(b.with_unconstrained(from)),
        }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        match self {
            Self::Left(a) => a.for_each_parameter(see),
            Self::Right(b) => b.for_each_parameter(see),
        }
    }

    fn write_all_unconstrained(components: &[Self], out: &mut Vec<f64>) {
        let (lefts, rights) = split(components);
        A::write_all_unconstrained(&lefts, out);
        B::write_all_unconstrained(&rights, out);
    }

    fn with_all_unconstrained(components: &[Self], from: &mut &[f64]) -> Vec<Self> {
        let (lefts, rights) = split(components);
        let lefts = A::with_all_unconstrained(&lefts, from);
        let rights = B::with_all_unconstrained(&rights, from);
        let mut moved = components.to_vec();
        join(&mut moved, &lefts, &rights);
        moved
    }
}

impl<A, B> ExpectedLogLikelihood for Either<A, B>
where
    A: ExpectedLogLikelihood,
    B: ExpectedLogLikelihood + for<'x> Family<Batch<'x> = A::Batch<'x>>,
{
    fn expected_log_likelihood(&self, stats: &Self::Stats) -> f64 {
        match (self, stats) {
            (Self::Left(a), EitherStats::Left(stats)) => a.expected_log_likelihood(stats),
            (Self::Right(b), EitherStats::Right(stats)) => b.expected_log_likelihood(stats),
            _ => panic!("statistics of another family than their component"),
        }
    }

    fn score_into(&self, stats: &Self::Stats, steps: &[f64], out: &mut [f64]) {
        match (self, stats) {
            (Self::Left(a), EitherStats::Left(stats)) => a.score_into(stats, steps, out),
            (Self::Right(b), EitherStats::Right(stats)) => b.score_into(stats, steps, out),
            _ => panic!("statistics of another family than their component"),
        }
    }

    fn score_all_into(components: &[Self], stats: &[Self::Stats], steps: &[f64], out: &mut [f64]) {
        let ((lefts, rights), (left_stats, right_stats)) = (split(components), stats::split(stats));
        let mut flat = Vec::new();
        A::write_all_unconstrained(&lefts, &mut flat);
        let (left_out, right_out) = out.split_at_mut(flat.len());
        let (left_steps, right_steps) = steps.split_at(flat.len());
        A::score_all_into(&lefts, &left_stats, left_steps, left_out);
        B::score_all_into(&rights, &right_stats, right_steps, right_out);
    }

    fn is_complete(&self, data: Self::Batch<'_>) -> bool {
        match self {
            Self::Left(a) => a.is_complete(data),
            Self::Right(b) => b.is_complete(data),
        }
    }
}
