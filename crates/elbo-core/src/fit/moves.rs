//! Moves away from the best end of several runs, to where EM by itself does not get.

use std::cmp::Ordering;

use super::{
    End, Fit, FitError, Report, Settings, Variant, map_in_order,
    restart::{Contest, order, outrun, tournament},
};
use crate::{ChunkSource, LatentModel};

/// Where the runs of a search begin: see [`fit_search`](crate::fit_search).
pub trait Starts<M: LatentModel>: Sync {
    /// The start of this run. It must depend on the number alone, so that runs are independent of each other and of their
    /// order.
    ///
    /// # Errors
    ///
    /// Why there is none; the other runs go on.
    fn start(&self, run: usize) -> Result<M::Params, FitError>;

    /// Starts near the best end so far, which EM does not find from there: components merged, split or put elsewhere. At most
    /// `most`; other ones in each round of each search, which is told by the run that was its best. None, unless overridden.
    fn moves(
        &self,
        from: &Fit<M::Params, M::Stats>,
        run: usize,
        round: usize,
        most: usize,
    ) -> Vec<Proposal<M::Params>> {
        let _ = (from, run, round, most);
        Vec::new()
    }
}

/// A start made from an end.
#[derive(Clone, Debug)]
pub struct Proposal<P> {
    /// What is different.
    pub change: Change,
    /// The start.
    pub params: P,
}

/// What a move does to components (states, topics).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Change {
    /// Two are merged into one, and another one is split in two. Source: Ueda et al. (2000).
    MergeAndSplit {
        /// Those that become one.
        merged: [usize; 2],
        /// The one that becomes two.
        split: usize,
    },
    /// One is given up, its data go to the others, and another one is split in two.
    DropAndSplit {
        /// The one given up.
        dropped: usize,
        /// The one that becomes two.
        split: usize,
    },
    /// Something else.
    Other,
}

/// How many moves are tried after the runs of a search, where it proposes any.
///
/// Every so many runs in a row are a search of their own. In each round a number of moves from its best end are run for a few
/// iterations, and the best of these to the end. One that ends higher is gone on from. The search is over after some rounds in a
/// row that gain nothing. Fewer runs than a search takes are left without moves.
///
/// Moves are for variants that raise the objective step by step, [`Variant::Soft`] and [`Variant::Hard`], and for fits that test
/// convergence; others go without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves {
    /// Runs of a search; with [`Settings::short_runs`], all that go on are one.
    pub starts: usize,
    /// Rounds without gain that end the search; 0 for no moves at all.
    pub rounds: usize,
    /// Moves of a round.
    pub tried: usize,
    /// Iterations of each.
    pub iterations: usize,
    /// How many of a round are run to the end.
    pub keep: usize,
}

impl Default for Moves {
    fn default() -> Self {
        Self { starts: 10, rounds: 4, tried: 12, iterations: 5, keep: 3 }
    }
}

impl Moves {
    /// No moves: runs alone.
    pub fn none() -> Self {
        Self { rounds: 0, ..Self::default() }
    }
}

/// A move that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The run from whose end the search set out.
    pub run: usize,
    /// In which round, from 0.
    pub round: usize,
    /// What it changed.
    pub change: Change,
    /// The objective of the end it set out from.
    pub from: f64,
    /// How it ended, or why it did not begin.
    pub outcome: Result<Report, FitError>,
    /// Whether the search went on from its end, a better one than that before.
    pub taken: bool,
}

/// The number of the run that ended best, and its end.
type Winner<M> = Option<(usize, Fit<<M as LatentModel>::Params, <M as LatentModel>::Stats>)>;

impl<M, D, S> Contest<'_, M, D, S>
where
    M: LatentModel,
    D: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
    S: Starts<M>,
{
    /// Moves from the end of this run until rounds gain nothing; `best` becomes the best end of all.
    pub(super) fn moves(
        &self,
        run: usize,
        best: &mut Fit<M::Params, M::Stats>,
        settings: &Settings,
    ) -> Vec<Tried> {
        let moves = settings.moves;
        let mut all = Vec::new();
        let (mut round, mut in_vain) = (0, 0);
        let climbs = matches!(settings.variant, Variant::Soft | Variant::Hard)
            && !settings.tolerance.is_zero();
        while climbs && in_vain < moves.rounds && !self.is_stopped(settings) {
            let proposals = self.starts.moves(best, run, round, moves.tried);
            if proposals.is_empty() {
                break;
            }
            let (ends, winner) = self.round(&proposals, settings);
            let from = best.report.objective;
            in_vain += 1;
            let mut taken = None;
            if let Some((number, fit)) = winner
                && order(&fit.report, &best.report) == Ordering::Less
            {
                let same = settings.tolerance.same() * fit.report.observations;
                let is_sounder = fit.report.standing() < best.report.standing();
                if is_sounder || fit.report.objective > from + same {
                    in_vain = 0;
                }
                (taken, *best) = (Some(number), fit);
            }
            all.extend(ends.into_iter().zip(&proposals).map(|(end, proposal)| Tried {
                run,
                round,
                change: proposal.change,
                from,
                outcome: end.outcome,
                taken: taken == Some(end.run),
            }));
            round += 1;
        }
        all
    }

    /// Short runs from all proposals; the best of them go on to the end.
    fn round(
        &self,
        proposals: &[Proposal<M::Params>],
        settings: &Settings,
    ) -> (Vec<End>, Winner<M>) {
        let max_iterations = settings.moves.iterations.min(settings.max_iterations);
        let short = Settings { max_iterations, ..settings.clone() };
        let fits = map_in_order(proposals.len(), |i| {
            self.run_from(i, || Ok(proposals[i].params.clone()), &short, &())
        });
        let end_of = |(i, fit): (usize, &Result<Fit<_, _>, FitError>)| End {
            run: i,
            outcome: fit.as_ref().map(|fit| fit.report.clone()).map_err(FitError::clone),
        };
        let mut ends: Vec<End> = fits.iter().enumerate().map(end_of).collect();
        let mut others = outrun(&mut ends, settings.moves.keep);
        let go_on = |run: usize| {
            let short = fits[run].as_ref().map_err(FitError::clone)?;
            let max_iterations = settings.max_iterations - short.report.iterations;
            let settings = Settings { max_iterations, ..settings.clone() };
            let mut fit = self.run_from(run, || Ok(short.params.clone()), &settings, &())?;
            fit.report.follow(&short.report);
            Ok(fit)
        };
        let winner = tournament(&go_on, &mut ends);
        ends.append(&mut others);
        ends.sort_by_key(|end| end.run);
        (ends, winner)
    }
}
