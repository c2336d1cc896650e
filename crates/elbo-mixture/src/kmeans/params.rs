//! Centers under estimation.

use std::sync::Arc;

use elbo_core::Repairs;
use elbo_linalg::{Level, Number};

use super::{
    bounds::{Bounds, Moves, OUTWARD},
    kernels::{Block, MAX_PANEL, NearestTwo},
    packed::{Frame, Packed, padded},
    stats::KMeansStats,
};

/// Whether an E-step compares every row with every center.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// It does.
    Plain,
    /// Only where bounds leave a doubt.
    Bounds,
}

/// Centers of k-means under estimation, with their packed form.
#[derive(Clone, Debug)]
pub struct KMeansParams<T = f64> {
    pub(super) padded: usize,
    /// `k × padded`, zeros behind each.
    pub(super) centers: Vec<f64>,
    pub(super) packed: Packed<T>,
    /// Are centers kept on the unit sphere?
    pub(super) spherical: bool,
    /// Are the rows that cost most looked for? Where there are centers without rows.
    pub(super) seek: bool,
    pub(super) plan: Plan,
    pub(super) bounds: Option<Arc<Bounds>>,
    /// Which centers these are, and from which ones they have moved.
    pub(super) version: u64,
    pub(super) parent: u64,
    pub(super) moves: Moves,
    /// Steps until bounds are tried again, and how many there were the last time.
    wait: usize,
    patience: usize,
    /// Rows in the data.
    rows: usize,
    apart: Apart,
}

/// Scales to length 1; false where there is no direction.
pub(super) fn normalize(x: &mut [f64]) -> bool {
    let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest == 0.0 {
        return false;
    }
    let length = x.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt() * largest;
    for x in x.iter_mut() {
        *x /= length;
    }
    true
}

/// What measuring distances between centers needs.
#[derive(Clone, Debug)]
struct Apart {
    packed: Packed<f64>,
    panel: Vec<f64>,
    list: Vec<u32>,
    labels: Vec<u32>,
    squares: Vec<f64>,
}

impl<T: Number> KMeansParams<T> {
    /// These centers (`k × d`) for `rows` rows, about the middle of the data; with `bounds`, what rows are found to be is
    /// remembered there.
    pub(super) fn new(
        centers: &[f64],
        frame: Frame<T>,
        rows: usize,
        bounds: Option<Arc<Bounds>>,
    ) -> Self {
        let d = frame.origin.len();
        let (k, padded) = (centers.len() / d, padded(d));
        let scale = Frame {
            origin: frame.origin.iter().map(|x| (*x).into()).collect(),
            scale: frame.scale.into(),
        };
        let mut params = Self {
            padded,
            centers: vec![0.0; k * padded],
            packed: Packed::new(k, frame),
            spherical: false,
            seek: true,
            plan: Plan::Plain,
            version: bounds.as_ref().map_or(0, |bounds| bounds.next_version()),
            bounds,
            parent: 0,
            moves: Moves::new(k),
            wait: 1,
            patience: 1,
            rows,
            apart: Apart {
                packed: Packed::new(k, scale),
                panel: vec![0.0; MAX_PANEL * d],
                list: (0..u32::try_from(k).unwrap_or(u32::MAX)).collect(),
                labels: vec![0; k],
                squares: vec![0.0; k],
            },
        };
        for (to, center) in params.centers.chunks_exact_mut(padded).zip(centers.chunks_exact(d)) {
            to[..d].copy_from_slice(center);
        }
        params.repack();
        params
    }

    /// Number of centers.
    pub fn k(&self) -> usize {
        self.packed.k
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.packed.d
    }

    /// Center `j`.
    ///
    /// # Panics
    ///
    /// If there is no such center.
    pub fn center(&self, j: usize) -> &[f64] {
        &self.centers[j * self.padded..][..self.d()]
    }

    /// All centers, `k × d`.
    pub fn centers(&self) -> Vec<f64> {
        (0..self.k()).flat_map(|j| self.center(j)).copied().collect()
    }

    /// The M-step: every center moves to where its rows are on average.
    pub(super) fn step(&self, stats: &KMeansStats, next: &mut Self) -> Repairs {
        let d = self.d();
        let mut empty = 0;
        for j in 0..self.k() {
            let center = &mut next.centers[j * self.padded..][..d];
            let weight = stats.weights[j];
            if weight > 0.0 {
                let (origin, first) = (stats.origin(j), &stats.firsts[j * d..][..d]);
                for ((x, origin), first) in center.iter_mut().zip(origin).zip(first) {
                    *x = origin + first / weight;
                }
                if self.spherical && !normalize(center) {
                    center.copy_from_slice(self.center(j)); // every direction costs the same
                }
            } else {
                center.copy_from_slice(self.center(j));
                empty += 1;
            }
        }
        let moved = if empty > 0 && self.seek { next.move_empty(stats) } else { 0 };
        next.seek = empty > moved;
        next.follow(self);
        let mut repairs = Repairs::default();
        (repairs.kept_components, repairs.moved_components) = (empty - moved, moved);
        repairs
    }

    /// Moves centers without rows to the rows that cost most, at most one of each center; returns how many.
    fn move_empty(&mut self, stats: &KMeansStats) -> usize {
        let mut costly: Vec<usize> = (0..self.k()).filter(|j| stats.farthest(*j).0 > 0.0).collect();
        costly.sort_by(|a, b| stats.farthest(*b).0.total_cmp(&stats.farthest(*a).0));
        let empty = (0..self.k()).filter(|j| stats.weights[*j] <= 0.0);
        let mut moved = 0;
        for (j, from) in empty.zip(costly) {
            let d = self.d();
            self.centers[j * self.padded..][..d].copy_from_slice(stats.farthest(from).1);
            moved += 1;
        }
        moved
    }

    /// Refreshes the packed form, after centers have moved from those of `before`.
    fn follow(&mut self, before: &Self) {
        self.repack();
        for j in 0..self.k() {
            let square: f64 =
                self.center(j).iter().zip(before.center(j)).map(|(a, b)| (a - b) * (a - b)).sum();
            self.moves.own[j] = self.packed.frame.length(square.sqrt());
        }
        self.moves.finish();
        self.parent = before.version;
        self.choose_plan(before);
    }

    /// Bounds where they pay: they are tried after a few steps, kept while they save three comparisons in ten, and else
    /// left alone for a time that doubles.
    fn choose_plan(&mut self, before: &Self) {
        let Some(bounds) = &self.bounds else { return };
        self.version = bounds.next_version();
        let scanned = bounds.take_scanned();
        (self.plan, self.wait, self.patience) = match before.plan {
            Plan::Plain if before.wait > 0 => (Plan::Plain, before.wait - 1, before.patience),
            Plan::Plain => (Plan::Bounds, 1, before.patience),
            Plan::Bounds if before.wait > 0 => (Plan::Bounds, 0, before.patience),
            Plan::Bounds if scanned * 10 > self.rows * 7 => {
                (Plan::Plain, before.patience, (2 * before.patience).min(16))
            }
            Plan::Bounds => (Plan::Bounds, 0, 1),
        };
    }

    /// Refreshes whatever is derived from the centers alone.
    fn repack(&mut self) {
        self.packed.set(&self.centers, self.padded);
        let k = self.k();
        self.moves.apart.fill(0.0);
        if k < 2 {
            return;
        }
        // Where this would cost as much as a good part of the E-step, differences are the safe choice.
        if k > 256 && k > self.rows / 8 {
            self.packed.set_by_differences();
            return;
        }
        let (d, apart) = (self.packed.d, &mut self.apart);
        apart.packed.set(&self.centers, self.padded);
        apart.packed.set_by_differences();
        Level::detect().dispatch(NearestTwo {
            rows: Block { values: &self.centers, stride: self.padded, n: k, d },
            list: &apart.list,
            packed: &apart.packed,
            panel: &mut apart.panel,
            labels: &mut apart.labels,
            second: &mut apart.squares,
        });
        let least = apart.squares.iter().copied().fold(f64::INFINITY, f64::min);
        for (apart, square) in self.moves.apart.iter_mut().zip(&apart.squares) {
            *apart = square.sqrt() * (1.0 - OUTWARD);
        }
        // Centers at the same place stay together and share the rows of the first: no rounding can tell them apart.
        if self.packed.needs_differences(least) {
            self.packed.set_by_differences();
        }
    }
}
