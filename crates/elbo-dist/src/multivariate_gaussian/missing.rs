//! Rows with missing numbers: scores of what was observed, and moments completed by what it says about the rest.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "rows of a block and its columns are counted in 32 bits"
)]

use core::cmp::Ordering;
use std::f64::consts::TAU;

use elbo_core::BLOCK_STRIDE;
use elbo_linalg::{Kernel, Level, MAX_LANES, Rows, Simd};

use super::completion::{Completion, ROWS, add};
use super::kernels::{self, BLOCK, BlockId, Moments, Scratch};
use super::packed::MultivariateGaussianPacked;

/// Bits in a word of a pattern.
const BITS: usize = u64::BITS as usize;

/// The rows of a block that miss something, and working memory for them.
///
/// Rows are grouped by the pattern of what they miss, so that what a pattern needs is made once per block and component.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    level: Level,
    d: usize,
    /// The block that was looked at.
    block: Option<BlockId>,
    /// Which rows miss nothing, in order.
    complete: Vec<u32>,
    /// Which rows miss something but not everything, by pattern.
    partial: Vec<u32>,
    /// Which rows miss everything.
    empty: Vec<u32>,
    /// One bit per column for each row of the block: is it missing?
    patterns: Vec<u64>,
    /// The same with the row's number, where both fit into a number: faster to sort.
    keys: Vec<u64>,
    groups: Groups,
    /// Places of `partial` that are worked on.
    places: Vec<u32>,
    completion: Completion,
    /// What one column adds, of a diagonal covariance.
    by_column: Vec<f64>,
    /// The complete rows and their weights, for the kernels that take nothing else.
    rows: Vec<f64>,
    weights: Vec<f64>,
}

/// Rows that miss something, next to those that miss the same.
#[derive(Clone, Debug, Default)]
struct Groups {
    padded: usize,
    /// The group of each row of `partial`.
    of: Vec<u32>,
    /// Where in `missing` the columns of each group begin, and the end of all.
    columns: Vec<usize>,
    missing: Vec<u32>,
    /// 1 where a row has a value, padded.
    masks: Vec<f64>,
    /// The rows of `partial`, padded, zero where they miss something.
    rows: Vec<f64>,
}

impl Groups {
    fn new(padded: usize) -> Self {
        Self {
            padded,
            of: Vec::with_capacity(BLOCK),
            columns: Vec::with_capacity(BLOCK + 1),
            missing: Vec::with_capacity(BLOCK * padded),
            masks: vec![0.0; BLOCK * padded],
            rows: vec![0.0; BLOCK * padded],
        }
    }

    /// The columns that the rows of a group miss, ascending.
    fn missing(&self, group: u32) -> &[u32] {
        let group = group as usize;
        &self.missing[self.columns[group]..self.columns[group + 1]]
    }

    /// Whitens the rows at up to [`ROWS`] places of `partial`, at least one.
    #[inline(always)]
    fn whiten<S: Simd>(&self, places: &[u32], mean: &[f64], completion: &mut Completion) {
        let start = |r: usize| places[r.min(places.len() - 1)] as usize * self.padded;
        let x = core::array::from_fn(|r| &self.rows[start(r)..][..self.padded]);
        let masks = core::array::from_fn(|r| &self.masks[start(r)..][..self.padded]);
        completion.whiten::<S>(x, masks, mean);
    }
}

impl Missing {
    /// Working memory for blocks under `k` components in `d` dimensions.
    pub(super) fn new(k: usize, d: usize, is_diagonal: bool) -> Self {
        let padded = d.next_multiple_of(MAX_LANES);
        Self {
            level: Level::detect(),
            d,
            block: None,
            complete: Vec::with_capacity(BLOCK),
            partial: Vec::with_capacity(BLOCK),
            empty: Vec::with_capacity(BLOCK),
            patterns: vec![0; BLOCK * d.div_ceil(BITS)],
            keys: Vec::with_capacity(BLOCK),
            places: Vec::with_capacity(BLOCK),
            groups: if is_diagonal { Groups::default() } else { Groups::new(padded) },
            completion: if is_diagonal {
                Completion::new(0, 0)
            } else {
                Completion::new(d, padded)
            },
            by_column: vec![0.0; d],
            rows: vec![0.0; BLOCK * d],
            weights: vec![0.0; k * BLOCK_STRIDE],
        }
    }

    /// Looks for missing numbers in a block of which the scores under one component are known: a row with NaN has NaN
    /// for its score. Costs next to nothing where there is none.
    pub(super) fn find_by_scores(&mut self, rows: Rows<'_>, scores: &[f64]) {
        self.block = Some(BlockId::of(rows));
        self.clear();
        if scores.iter().fold(false, |any, score| any | score.is_nan()) {
            self.list(rows);
        }
    }

    /// Does the block miss anything? It is looked through unless it is the one that was scored last.
    pub(super) fn find(&mut self, rows: Rows<'_>) -> bool {
        if self.block.take() != Some(BlockId::of(rows)) {
            self.clear();
            if has_nan(rows) {
                self.list(rows);
            }
        }
        self.is_any()
    }

    pub(super) fn is_any(&self) -> bool {
        !(self.partial.is_empty() && self.empty.is_empty())
    }

    fn clear(&mut self) {
        self.complete.clear();
        self.partial.clear();
        self.empty.clear();
    }

    /// Sorts the rows into complete, partial and empty ones.
    fn list(&mut self, rows: Rows<'_>) {
        let words = self.d.div_ceil(BITS);
        for (row, pattern) in (0_u32..).zip(self.patterns.chunks_exact_mut(words)).take(rows.n) {
            let i = row as usize;
            pattern.fill(0);
            let mut missing = 0;
            for c in 0..self.d {
                if at(rows, i, c).is_nan() {
                    pattern[c / BITS] |= 1 << (c % BITS);
                    missing += 1;
                }
            }
            let list = match missing {
                0 => &mut self.complete,
                m if m == self.d => &mut self.empty,
                _ => &mut self.partial,
            };
            list.push(row);
        }
        self.sort();
        if self.groups.padded > 0 {
            self.group(rows);
        }
    }

    /// Copies the sorted rows, and finds out where patterns begin.
    fn group(&mut self, rows: Rows<'_>) {
        let (words, padded) = (self.d.div_ceil(BITS), self.groups.padded);
        let Self { groups, partial, patterns, d, .. } = self;
        groups.of.clear();
        groups.columns.clear();
        groups.missing.clear();
        let mut before = None;
        for (place, i) in partial.iter().enumerate() {
            let same = |other: u32| compare(patterns, words, other, *i) == Ordering::Equal;
            let is_new = !before.is_some_and(same);
            if is_new {
                groups.columns.push(groups.missing.len());
            }
            groups.of.push(groups.columns.len() as u32 - 1);
            for c in 0..*d {
                let x = at(rows, *i as usize, c);
                let (value, mask) = if x.is_nan() { (0.0, 0.0) } else { (x, 1.0) };
                groups.rows[place * padded + c] = value;
                groups.masks[place * padded + c] = mask;
                if is_new && x.is_nan() {
                    groups.missing.push(c as u32);
                }
            }
            before = Some(*i);
        }
        groups.columns.push(groups.missing.len());
    }
    /// Brings rows of one pattern together, in order.
    fn sort(&mut self) {
        let (patterns, words) = (&self.patterns, self.d.div_ceil(BITS));
        if self.d + 8 > BITS {
            return self
                .partial
                .sort_unstable_by(|a, b| compare(patterns, words, *a, *b).then_with(|| a.cmp(b)));
        }
        self.keys.clear();
        self.keys.extend(self.partial.iter().map(|i| patterns[*i as usize] << 8 | u64::from(*i)));
        self.keys.sort_unstable();
        for (row, key) in self.partial.iter_mut().zip(&self.keys) {
            *row = (*key & 0xff) as u32;
        }
    }
}

/// Writes the scores of the rows that miss something over those in `out`.
pub(super) fn score_all(
    packed: &MultivariateGaussianPacked,
    rows: Rows<'_>,
    out: &mut [f64],
    stride: usize,
    missing: &mut Missing,
) {
    missing.level.dispatch(Score { packed, rows, out, stride, missing });
}

/// Adds a block that misses something to the moments of every component: complete rows by the fast kernels.
pub(super) fn observe_all(
    packed: &MultivariateGaussianPacked,
    rows: Rows<'_>,
    weights: &[f64],
    stride: usize,
    moments: &mut Moments,
    scratch: &mut Scratch,
    missing: &mut Missing,
) {
    let Missing { d, complete, rows: copies, weights: their, .. } = &mut *missing;
    let n = complete.len();
    for (copy, i) in copies.chunks_exact_mut(*d).zip(&*complete) {
        for (c, x) in copy.iter_mut().enumerate() {
            *x = at(rows, *i as usize, c);
        }
    }
    for (their, weights) in their.chunks_exact_mut(BLOCK_STRIDE).zip(weights.chunks(stride)) {
        their.iter_mut().zip(&*complete).for_each(|(to, i)| *to = weights[*i as usize]);
    }
    let whole = Rows { data: &copies[..n * *d], n, d: *d, row_stride: *d, column_stride: 1 };
    kernels::observe_all(&packed.kernel, whole, their, BLOCK_STRIDE, moments, scratch);
    missing.level.dispatch(Observe { packed, rows, weights, stride, moments, missing });
}

struct Score<'a> {
    packed: &'a MultivariateGaussianPacked,
    rows: Rows<'a>,
    out: &'a mut [f64],
    stride: usize,
    missing: &'a mut Missing,
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        for j in 0..self.packed.kernel.k() {
            for i in &self.missing.empty {
                self.out[j * self.stride + *i as usize] = 0.0;
            }
        }
        if self.packed.is_diagonal() {
            self.diagonal();
        } else {
            self.full::<S>();
        }
    }
}

impl Score<'_> {
    #[inline(always)]
    fn diagonal(&mut self) {
        let Self { packed, rows, out, stride, missing } = self;
        for j in 0..packed.kernel.k() {
            let (mean, u) = (packed.kernel.mean(j), packed.whitening(j));
            for (term, u) in missing.by_column.iter_mut().zip(u) {
                *term = 0.5 * TAU.ln() - u.ln();
            }
            for i in &missing.partial {
                let i = *i as usize;
                let mut score = packed.kernel.constant(j);
                for c in 0..missing.d {
                    let x = at(*rows, i, c);
                    let z = u[c] * (x - mean[c]);
                    score += if x.is_nan() { missing.by_column[c] } else { -0.5 * z * z };
                }
                out[j * *stride + i] = score;
            }
        }
    }

    #[inline(always)]
    fn full<S: Simd>(&mut self) {
        let Self { packed, out, stride, missing, .. } = self;
        let Missing { partial, groups, places, completion, .. } = &mut **missing;
        places.clear();
        places.extend(0..partial.len() as u32);
        for j in 0..packed.kernel.k() {
            completion.set_component(packed.whitening(j));
            let (mean, out) = (packed.kernel.padded_mean(j), &mut out[j * *stride..]);
            let (mut group, mut constant) = (u32::MAX, 0.0);
            for places in places.chunks(ROWS) {
                groups.whiten::<S>(places, mean, completion);
                for (row, place) in places.iter().enumerate() {
                    let place = *place as usize;
                    if groups.of[place] != group {
                        group = groups.of[place];
                        let columns = groups.missing(group);
                        completion.set_pattern::<S>(columns);
                        constant = packed.kernel.constant(j) - completion.log_det()
                            + 0.5 * columns.len() as f64 * TAU.ln();
                    }
                    out[partial[place] as usize] = constant - 0.5 * completion.distance::<S>(row);
                }
            }
        }
    }
}

struct Observe<'a> {
    packed: &'a MultivariateGaussianPacked,
    rows: Rows<'a>,
    weights: &'a [f64],
    stride: usize,
    moments: &'a mut Moments,
    missing: &'a mut Missing,
}

impl Kernel for Observe<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        if self.packed.is_diagonal() {
            self.diagonal();
        } else {
            self.full::<S>();
        }
    }
}

impl Observe<'_> {
    fn weight(&self, j: usize, i: u32) -> f64 {
        self.weights[j * self.stride + i as usize]
    }

    #[inline(always)]
    fn diagonal(&mut self) {
        for j in 0..self.packed.kernel.k() {
            let mean = self.packed.kernel.mean(j);
            for (variance, u) in self.missing.by_column.iter_mut().zip(self.packed.whitening(j)) {
                *variance = (u * u).recip();
            }
            for place in 0..self.missing.partial.len() {
                let i = self.missing.partial[place];
                let w = self.weight(j, i);
                if w == 0.0 {
                    continue;
                }
                let (weight, firsts, seconds) = self.moments.sums_mut(j);
                *weight += w;
                for c in 0..self.missing.d {
                    let x = at(self.rows, i as usize, c);
                    if x.is_nan() {
                        seconds[c] += w * self.missing.by_column[c];
                    } else {
                        let z = x - mean[c];
                        firsts[c] += w * z;
                        seconds[c] += w * z * z;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn full<S: Simd>(&mut self) {
        let Self { packed, weights, stride, moments, missing, .. } = self;
        let Missing { partial, groups, places, completion, .. } = &mut **missing;
        let (padded, d) = (moments.padded(), packed.kernel.d());
        for j in 0..packed.kernel.k() {
            let weights = &weights[j * *stride..];
            places.clear();
            let live = partial.iter().zip(0..).filter(|(i, _)| weights[**i as usize] > 0.0);
            places.extend(live.map(|(_, place)| place));
            if places.is_empty() {
                continue;
            }
            completion.set_component(packed.whitening(j));
            let mean = packed.kernel.padded_mean(j);
            let (weight, firsts, seconds) = moments.sums_mut(j);
            let (mut group, mut of_group) = (u32::MAX, 0.0);
            for places in places.chunks(ROWS) {
                groups.whiten::<S>(places, mean, completion);
                for (row, place) in places.iter().enumerate() {
                    let place = *place as usize;
                    if groups.of[place] != group {
                        // weights of the group before, of which there is none at first
                        completion.add_covariance(of_group, seconds, padded);
                        (group, of_group) = (groups.of[place], 0.0);
                        completion.set_pattern::<S>(groups.missing(group));
                    }
                    let w = weights[partial[place] as usize];
                    *weight += w;
                    of_group += w;
                    let z = completion.complete::<S>(row);
                    add_outer::<S>(w, z, d, padded, firsts, seconds);
                }
            }
            completion.add_covariance(of_group, seconds, padded);
        }
    }
}

/// Adds a row to first moments, and to the lower triangle of second moments (and some of the upper one).
#[inline(always)]
fn add_outer<S: Simd>(
    w: f64,
    z: &[f64],
    d: usize,
    padded: usize,
    firsts: &mut [f64],
    seconds: &mut [f64],
) {
    add::<S>(firsts, w, z);
    for (a, row) in seconds.chunks_exact_mut(padded).take(d).enumerate() {
        let whole = (a + 1).next_multiple_of(S::LANES);
        add::<S>(&mut row[..whole], w * z[a], &z[..whole]);
    }
}

/// Lexicographic order of two rows' patterns.
fn compare(patterns: &[u64], words: usize, a: u32, b: u32) -> Ordering {
    let of = |i: u32| &patterns[i as usize * words..][..words];
    of(a).cmp(of(b))
}

fn at(rows: Rows<'_>, i: usize, c: usize) -> f64 {
    rows.data[i * rows.row_stride + c * rows.column_stride]
}

/// Is any number missing?
fn has_nan(rows: Rows<'_>) -> bool {
    let any = |numbers: &[f64]| numbers.iter().fold(false, |any, x| any | x.is_nan());
    if rows.column_stride == 1 && rows.row_stride == rows.d {
        return any(&rows.data[..rows.n * rows.d]);
    }
    (0..rows.n).any(|i| (0..rows.d).any(|c| at(rows, i, c).is_nan()))
}
