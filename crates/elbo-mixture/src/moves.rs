//! Where to go on from an end that EM does not leave: components merged, given up and split.

use std::ops::Range;

use elbo_core::{
    Batch, Change, EstimateError, Estimator, Family, Fit, LatentModel, Proposal, Statistics,
    Weighted,
};
use elbo_dist::Categorical;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{Mixture, MixtureModel, MixtureParams, MixtureStats, start::draw};

/// Rows that are looked at: all of them, or so many pieces in even distances.
const PIECES: usize = 64;
/// Rows of a piece.
const PIECE: usize = 256;

/// How much an overlap of zero still counts, so that no merge is impossible.
const NO_OVERLAP: f64 = 1e-3;

/// An end of EM and the rows that its components share.
///
/// Two components become one by an M-step from the sum of their statistics; one that is given up leaves its rows to the
/// others; in its place another one is split: both halves keep its shape, and are put at two of its rows that are far from
/// each other. All of this asks of a family what starts ask of it.
///
/// Sources: Ueda, Nakano, Ghahramani & Hinton (2000), whose measure of overlap decides which merges are tried first; Zhao,
/// Hautamäki, Kärkkäinen & Fränti (2012) for components put elsewhere at random.
pub(crate) struct Neighborhood<'m, 'd, 'e, F: Family, E: Estimator<F>, W: Estimator<Categorical>> {
    model: &'m MixtureModel<F, E, W>,
    data: Weighted<'d, F::Batch<'d>>,
    end: &'e Fit<MixtureParams<F, E, W>, MixtureStats<F>>,
    /// Components that may move: the first ones.
    k: usize,
    /// The rows looked at.
    pieces: Vec<Range<usize>>,
    /// Responsibility × weight of each of these rows, for each component.
    shares: Vec<Vec<f64>>,
}

impl<'m, 'd, 'e, F: Family, E: Estimator<F>, W: Estimator<Categorical>>
    Neighborhood<'m, 'd, 'e, F, E, W>
{
    /// Of the first `k` components; `None` where a row has no responsibilities.
    pub(crate) fn new(
        model: &'m MixtureModel<F, E, W>,
        data: Weighted<'d, F::Batch<'d>>,
        end: &'e Fit<MixtureParams<F, E, W>, MixtureStats<F>>,
        k: usize,
    ) -> Option<Self> {
        let n = data.len();
        let pieces: Vec<_> = if n <= PIECES * PIECE {
            std::iter::once(0..n).collect()
        } else {
            let begin = |i: usize| i * (n - PIECE) / (PIECES - 1);
            (0..PIECES).map(|i| begin(i)..begin(i) + PIECE).collect()
        };
        let mut near = Self { model, data, end, k, pieces, shares: Vec::new() };
        let (weights, points) = end.params.points();
        for (point, weight) in points.iter().zip(weights[0].probabilities()) {
            let mut scores = near.scores(point);
            for score in &mut scores {
                *score += weight.ln();
            }
            near.shares.push(scores);
        }
        near.normalize().then_some(near)
    }

    /// `ln p` of the rows looked at.
    fn scores(&self, point: &F) -> Vec<f64> {
        let mut scores = Vec::new();
        for piece in &self.pieces {
            let first = scores.len();
            scores.resize(first + piece.len(), 0.0);
            point.log_density_into(self.data.units().slice(piece.clone()), &mut scores[first..]);
        }
        scores
    }

    /// Log joint densities become shares; false if some row that counts has none.
    fn normalize(&mut self) -> bool {
        let rows = self.pieces.iter().cloned().flatten();
        for (i, row) in rows.enumerate() {
            let weight = self.data.weights().map_or(1.0, |w| w[row]);
            let highest = self.shares.iter().map(|s| s[i]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = self.shares.iter().map(|s| (s[i] - highest).exp()).sum();
            if weight > 0.0 && !sum.is_finite() {
                return false;
            }
            for share in &mut self.shares {
                let part = (share[i] - highest).exp() / sum;
                share[i] = if weight > 0.0 { weight * part } else { 0.0 };
            }
        }
        true
    }

    /// At most so many moves, drawn without replacement: as many merges as components given up are to be expected.
    pub(crate) fn moves(&self, seed: u64, most: usize) -> Vec<Proposal<MixtureParams<F, E, W>>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // The first of exponential clocks whose rates are the masses rings at each with probability proportional to it.
        let mut changes: Vec<(f64, Change)> = self
            .changes()
            .into_iter()
            .map(|(mass, change)| (-(1.0 - rng.random::<f64>()).ln() / mass, change))
            .collect();
        changes.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        changes
            .into_iter()
            .filter_map(|(_, change)| {
                let params = self.start(change, &mut rng)?.ok()?;
                Some(Proposal { change, params })
            })
            .take(most)
            .collect()
    }

    /// All changes, and how likely each is to be tried.
    fn changes(&self) -> Vec<(f64, Change)> {
        let k = self.k;
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norms: Vec<f64> = self.shares.iter().map(|s| product(s, s).sqrt()).collect();
        let (mut merges, mut drops) = (Vec::new(), Vec::new());
        for split in 0..k {
            for i in (0..k).filter(|i| *i != split) {
                drops.push((1.0, Change::DropAndSplit { dropped: i, split }));
                for j in (i + 1..k).filter(|j| *j != split) {
                    let overlap = product(&self.shares[i], &self.shares[j]) / (norms[i] * norms[j]);
                    let change = Change::MergeAndSplit { merged: [i, j], split };
                    merges.push((overlap.max(0.0) + NO_OVERLAP, change));
                }
            }
        }
        let mut all = Vec::new();
        for mut changes in [merges, drops] {
            let total: f64 = changes.iter().map(|(mass, _)| mass).sum();
            for (mass, _) in &mut changes {
                *mass /= total;
            }
            all.append(&mut changes);
        }
        all
    }

    /// The parameters after a change; none where the component to be split is a single point.
    fn start(
        &self,
        change: Change,
        rng: &mut ChaCha8Rng,
    ) -> Option<Result<MixtureParams<F, E, W>, EstimateError>> {
        match change {
            Change::MergeAndSplit { merged: [kept, free], split } => {
                let rows = self.two_rows(split, rng)?;
                Some(self.changed(Some(kept), free, split, rows))
            }
            Change::DropAndSplit { dropped, split } => {
                let rows = self.two_rows(split, rng)?;
                Some(self.changed(None, dropped, split, rows))
            }
            _ => None,
        }
    }

    /// `free` is joined to `kept`, if there is one, and its place taken by half of `split`.
    fn changed(
        &self,
        kept: Option<usize>,
        free: usize,
        split: usize,
        [one, other]: [usize; 2],
    ) -> Result<MixtureParams<F, E, W>, EstimateError> {
        let mut stats = self.end.stats.clone();
        let counts = stats.0[0].counts_mut();
        if let Some(kept) = kept {
            counts[kept] += counts[free];
            let joined = stats.1[free].clone();
            stats.1[kept].merge(&joined);
        }
        counts[split] *= 0.5;
        counts[free] = counts[split];
        stats.1[split].scale(0.5);
        stats.1[free] = stats.1[split].clone();
        let mut next = self.end.params.clone();
        self.model.m_step(&self.end.params, &stats, &mut next)?;
        let (weights, mut points) = next.to_mixture().into_parts();
        let units = self.data.units();
        points[free] = points[split].moved_to(units, other)?;
        points[split] = points[split].moved_to(units, one)?;
        self.model.start(Mixture::from_parts(weights, points), self.data.observations())
    }

    /// Two rows of a component, picked as k-means++ would.
    fn two_rows(&self, component: usize, rng: &mut ChaCha8Rng) -> Option<[usize; 2]> {
        let share = &self.shares[component];
        let (_, points) = self.end.params.points();
        let first = self.row(draw(rng, share.len(), |i| share[i])?);
        let scores = self.scores(&points[component].moved_to(self.data.units(), first).ok()?);
        let peak = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mass = |i: usize| if share[i] > 0.0 { share[i] * (peak - scores[i]) } else { 0.0 };
        Some([first, self.row(draw(rng, share.len(), mass)?)])
    }

    /// The number in the data of a row looked at.
    fn row(&self, place: usize) -> usize {
        self.pieces.iter().cloned().flatten().nth(place).expect("a row that was looked at")
    }
}
