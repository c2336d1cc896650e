//! k-means as a latent-variable model: hard EM of round Gaussians with one variance and equal weights.

use std::{
    ops::Range,
    sync::{MutexGuard, PoisonError, atomic::Ordering},
};

use elbo_core::{
    BLOCK, Batch, DataError, EStepError, EstimateError, Inference, LatentModel, Repairs, Rows,
    Statistics, Weighted,
};
use elbo_linalg::{Level, MAX_LANES, Number};

use super::{
    bounds::{BlockBounds, above, below},
    kernels::{Accumulate, Block, MAX_PANEL, Nearest, NearestTwo},
    params::{KMeansParams, Plan},
    stats::KMeansStats,
};

/// Hard EM of the EII mixture with equal weights.
///
/// The posterior of a mixture whose variance vanishes is 1 for the nearest center, so that it makes no difference how
/// latent variables are filled in: soft, hard and drawn are the same.
///
/// The data term is `−Σᵢ wᵢ ‖xᵢ − c‖² / 2v`, with `v` the variance of the data per column: a log-likelihood in nats up to
/// what no center changes, which no change of units changes either.
#[derive(Clone, Debug)]
pub(crate) struct KMeansModel<T> {
    /// `v`.
    pub(super) variance: f64,
    pub(super) number: std::marker::PhantomData<T>,
}

/// Weighted rows that know their place in the data, by which a run finds what it remembers of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlacedRows<'a, T> {
    pub(super) rows: Weighted<'a, Rows<'a, T>>,
    pub(super) first: usize,
}

impl<T: Number> Batch for PlacedRows<'_, T> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self { first: self.first + range.start, rows: self.rows.slice(range) }
    }

    fn observations(&self) -> f64 {
        self.rows.observations()
    }
}

/// What one worker needs.
#[derive(Debug)]
pub(crate) struct KMeansScratch<T> {
    pub(super) level: Level,
    panel: Vec<T>,
    /// A block of rows that do not lie one after the other.
    copy: Vec<T>,
    labels: Vec<u32>,
    list: Vec<u32>,
    found: Vec<u32>,
    second: Vec<f64>,
    distances: Vec<f64>,
    sums: Vec<f64>,
    spreads: Vec<f64>,
    totals: Vec<f64>,
}

impl<T: Number> KMeansScratch<T> {
    pub(super) fn new(k: usize, d: usize, padded: usize) -> Self {
        Self {
            level: Level::detect(),
            panel: vec![T::default(); MAX_PANEL * d],
            copy: Vec::new(),
            labels: vec![0; BLOCK],
            list: Vec::with_capacity(BLOCK),
            found: vec![0; BLOCK],
            second: vec![0.0; BLOCK],
            distances: vec![0.0; BLOCK],
            sums: vec![0.0; k * padded],
            spreads: vec![0.0; k * MAX_LANES],
            totals: vec![0.0; k],
        }
    }

    /// Labels of up to [`BLOCK`] rows by the nearest of `params`.
    pub(super) fn nearest(&mut self, params: &KMeansParams<T>, rows: Rows<'_, T>) -> &[u32] {
        let block = contiguous(rows, &mut self.copy);
        let labels = &mut self.labels[..block.n];
        self.level.dispatch(Nearest {
            rows: block,
            packed: &params.packed,
            panel: &mut self.panel,
            labels,
        });
        labels
    }
}

/// Rows one after the other: as they are, or copied.
pub(super) fn contiguous<'a, T: Number>(rows: Rows<'a, T>, copy: &'a mut Vec<T>) -> Block<'a, T> {
    let (n, d) = (rows.len(), rows.d());
    let (values, stride, column_stride) = rows.raw();
    if column_stride == 1 || d == 1 {
        return Block { values, stride, n, d };
    }
    copy.resize(n * d, T::default());
    for (i, row) in copy.chunks_exact_mut(d).enumerate() {
        rows.copy_row(i, row);
    }
    Block { values: copy, stride: d, n, d }
}

impl<T: Number> LatentModel for KMeansModel<T> {
    type Data<'a> = PlacedRows<'a, T>;
    type Params = KMeansParams<T>;
    type Stats = KMeansStats;
    type Scratch = KMeansScratch<T>;

    fn check(&self, params: &Self::Params, data: Self::Data<'_>) -> Result<(), DataError> {
        let (expected, found) = (params.d(), data.rows.units().d());
        if expected == found { Ok(()) } else { Err(DataError::Dimension { expected, found }) }
    }

    fn new_stats(&self, params: &Self::Params) -> KMeansStats {
        KMeansStats::new(params.k(), params.d())
    }

    fn new_scratch(&self, params: &Self::Params) -> Self::Scratch {
        KMeansScratch::new(params.k(), params.d(), params.padded)
    }

    fn reset(&self, params: &Self::Params, stats: &mut KMeansStats) {
        stats.set_zero();
        for (j, origin) in stats.origins.chunks_exact_mut(params.d()).enumerate() {
            origin.copy_from_slice(params.center(j));
        }
    }

    fn e_step(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        _: &mut Inference<'_>,
        stats: &mut KMeansStats,
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError> {
        scratch.sums.fill(0.0);
        scratch.spreads.fill(0.0);
        scratch.totals.fill(0.0);
        for start in (0..data.len()).step_by(BLOCK) {
            let block = data.slice(start..data.len().min(start + BLOCK));
            self.block(params, block, stats, scratch);
        }
        let mut inertia = 0.0;
        for j in 0..params.k() {
            let scatter: f64 = scratch.spreads[j * MAX_LANES..][..MAX_LANES].iter().sum();
            inertia += scatter;
            stats.scatters[j] += scatter;
            stats.weights[j] += scratch.totals[j];
            let sum = &scratch.sums[j * params.padded..][..params.d()];
            stats.firsts[j * params.d()..][..params.d()]
                .iter_mut()
                .zip(sum)
                .for_each(|(to, x)| *to += x);
        }
        if inertia.is_finite() {
            Ok(-0.5 * inertia / self.variance)
        } else {
            Err(EStepError::NotFinite { row: longest(data.rows.units()) })
        }
    }

    fn m_step(
        &self,
        params: &Self::Params,
        stats: &KMeansStats,
        next: &mut Self::Params,
    ) -> Result<Repairs, EstimateError> {
        Ok(params.step(stats, next))
    }

    /// The centers would gain no more than rounding: every center is where its rows are on average.
    fn ends_here(&self, _: &Self::Params, stats: &KMeansStats) -> bool {
        let d = stats.firsts.len() / stats.weights.len();
        let gain: f64 = stats
            .firsts
            .chunks_exact(d)
            .zip(&stats.weights)
            .filter(|(_, weight)| **weight > 0.0)
            .map(|(first, weight)| first.iter().map(|x| x * x).sum::<f64>() / weight)
            .sum();
        let has_empty = stats.weights.contains(&0.0);
        !has_empty && gain <= 4.0 * f64::EPSILON * stats.scatters.iter().sum::<f64>()
    }

    fn precision(&self) -> f64 {
        T::EPSILON
    }

    fn free_parameters(&self, params: &Self::Params) -> usize {
        params.k() * params.d()
    }
}

impl<T: Number> KMeansModel<T> {
    /// Labels a block of rows and adds it to the sums.
    fn block(
        &self,
        params: &KMeansParams<T>,
        data: PlacedRows<'_, T>,
        stats: &mut KMeansStats,
        scratch: &mut KMeansScratch<T>,
    ) {
        let n = data.len();
        let mut copy = std::mem::take(&mut scratch.copy);
        let rows = contiguous(data.rows.units(), &mut copy);
        let mut memory = params.memory_of(data.first);
        if let Some(memory) = memory.as_deref_mut() {
            remembered(params, rows, memory, scratch);
        } else {
            scratch.level.dispatch(Nearest {
                rows,
                packed: &params.packed,
                panel: &mut scratch.panel,
                labels: &mut scratch.labels[..n],
            });
        }
        let measured = if memory.is_some() || params.seek { n } else { 0 };
        scratch.level.dispatch(Accumulate {
            rows,
            labels: &scratch.labels[..n],
            weights: data.rows.weights(),
            centers: &params.centers,
            padded: params.padded,
            sums: &mut scratch.sums,
            spreads: &mut scratch.spreads,
            totals: &mut scratch.totals,
            distances: &mut scratch.distances[..measured],
        });
        if let Some(memory) = memory.as_deref_mut() {
            memory.labels[..n].copy_from_slice(&scratch.labels[..n]);
            for (i, square) in scratch.distances[..n].iter().enumerate() {
                memory.upper[i] = above(params.packed.frame.length(square.sqrt()));
            }
            memory.version = params.version;
        }
        if params.seek {
            for (i, square) in scratch.distances[..n].iter().enumerate() {
                let weight = data.rows.weights().map_or(1.0, |weights| weights[i]);
                let row = rows.row(i).iter().map(|x| (*x).into());
                stats.note_cost(scratch.labels[i] as usize, weight * square, row);
            }
        }
        drop(memory);
        scratch.copy = copy;
    }
}

impl<T: Number> KMeansParams<T> {
    /// What is remembered of the block that begins at this row, if these parameters use it.
    fn memory_of(&self, first: usize) -> Option<MutexGuard<'_, BlockBounds>> {
        if self.plan != Plan::Bounds || !first.is_multiple_of(BLOCK) {
            return None;
        }
        let block = self.bounds.as_ref()?.blocks.get(first / BLOCK)?;
        Some(block.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Labels of a block from what is remembered of it, where that is enough, and by all centers where it is not.
fn remembered<T: Number>(
    params: &KMeansParams<T>,
    rows: Block<'_, T>,
    memory: &mut BlockBounds,
    scratch: &mut KMeansScratch<T>,
) {
    scratch.list.clear();
    if memory.version == params.parent && memory.labels.len() == rows.n {
        list_doubtful(params, memory, &mut scratch.list);
        scratch.labels[..rows.n].copy_from_slice(&memory.labels);
    } else {
        memory.resize(rows.n);
        scratch.list.extend(0..u32::try_from(rows.n).unwrap_or(u32::MAX));
    }
    let count = scratch.list.len();
    if count == 0 {
        return;
    }
    if let Some(bounds) = &params.bounds {
        bounds.scanned.fetch_add(count, Ordering::Relaxed);
    }
    scratch.level.dispatch(NearestTwo {
        rows,
        list: &scratch.list,
        packed: &params.packed,
        panel: &mut scratch.panel,
        labels: &mut scratch.found[..count],
        second: &mut scratch.second[..count],
    });
    for ((row, label), second) in scratch.list.iter().zip(&scratch.found).zip(&scratch.second) {
        let i = *row as usize;
        scratch.labels[i] = *label;
        // Nothing in a row is longer than its distance to the center it was compared with and the length of that.
        let longest = params.packed.longest + second.max(0.0).sqrt();
        memory.lower[i] = below((second - params.packed.margin(longest)).max(0.0).sqrt());
    }
}

/// Lists the rows whose bounds cross after centers have moved.
fn list_doubtful<T: Number>(
    params: &KMeansParams<T>,
    memory: &mut BlockBounds,
    list: &mut Vec<u32>,
) {
    let (moves, packed) = (&params.moves, &params.packed);
    for (i, label) in (0_u32..).zip(&memory.labels) {
        let j = *label as usize;
        let row = i as usize;
        let upper = f64::from(memory.upper[row]) + moves.own[j];
        let aged = f64::from(memory.lower[row]) - moves.others[j];
        let lower = aged.max(moves.apart[j] - upper);
        let longest = packed.longest.max(packed.lengths[j] + upper);
        if lower > 0.0 && (lower - upper) * (lower + upper) > packed.margin(longest) {
            memory.lower[row] = below(aged);
        } else {
            list.push(i);
        }
    }
}

/// The row that is farthest from zero: where distances overflow.
fn longest<T: Number>(rows: Rows<'_, T>) -> usize {
    let size = |i: usize| {
        (0..rows.d()).map(|j| Into::<f64>::into(rows.get(i, j)).abs()).fold(0.0, f64::max)
    };
    (0..rows.len()).max_by(|a, b| size(*a).total_cmp(&size(*b))).unwrap_or(0)
}
