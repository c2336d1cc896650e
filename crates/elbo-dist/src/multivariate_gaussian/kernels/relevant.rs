//! Scores of large full covariances, as far as they matter: a bound before the rest is computed.
//!
//! The first half of the outputs of the triangular product costs a quarter of it and bounds the score from above. For each row,
//! the component with the highest bound is scored in full; every component whose bound lies far enough below that score is
//! given up, and the rows that are left are gathered, component by component, for the other half.

#![allow(clippy::cast_possible_truncation, reason = "lanes are counted")]

use core::f64::consts::LN_2;

use elbo_linalg::{MAX_LANES, MAX_TILE, Rows, Simd};

use super::block::{columns, transpose, transpose_vector};
use super::large::{add_norms, norms_of_block};
use super::{BLOCK, PackedGaussians, Scratch, Shape, TILE_ROWS};

/// A component is given up where `p(x ∣ θⱼ) < 2⁻⁶⁰ πᵦ p(x ∣ θᵦ)` for some component `b`.
const CUT: f64 = 60.0 * LN_2;

/// Below this dimension, gathering rows costs more than it saves.
const FEWEST_COLUMNS: usize = 16;

/// So many blocks are scored in full after one in which most scores mattered.
const PAUSE: u32 = 31;

/// What is known of the rows of a block, and whether looking for bounds has paid.
#[derive(Clone, Debug)]
pub(super) struct Relevance {
    /// The component with the highest bound, as a number.
    best: Vec<f64>,
    /// Bounds below this are given up.
    floors: Vec<f64>,
    /// Blocks to be scored in full before the next try.
    pause: u32,
}

impl Relevance {
    pub(super) fn new() -> Self {
        Self { best: vec![0.0; BLOCK], floors: vec![0.0; BLOCK], pause: 0 }
    }

    /// Forgets what paid: a chunk's scores are to depend on nothing before it.
    pub(super) fn reset(&mut self) {
        self.pause = 0;
    }

    /// Is the next block to be scored by bounds?
    pub(super) fn is_due(&mut self, packed: &PackedGaussians) -> bool {
        let applies = packed.shape == Shape::Full && packed.d >= FEWEST_COLUMNS && packed.k > 2;
        let paused = self.pause > 0;
        self.pause = self.pause.saturating_sub(1);
        applies && !paused
    }
}

/// One block under one model.
struct Bounded<'a> {
    packed: &'a PackedGaussians,
    rows: Rows<'a>,
    /// The number of outputs in the bound.
    outputs: usize,
    centered: &'a mut [f64],
}

/// Scores a block; see [`score_relevant`](super::score_relevant).
#[inline(always)]
pub(super) fn score_by_bounds<S: Simd>(
    packed: &PackedGaussians,
    rows: Rows<'_>,
    log_weights: &[f64],
    out: &mut [f64],
    stride: usize,
    scratch: &mut Scratch,
) {
    let Scratch { transposed, centered, live, relevance, .. } = scratch;
    let outputs = (columns(packed) / 2).next_multiple_of(TILE_ROWS);
    let n = rows.n;
    transpose::<S>(packed, rows, transposed);
    norms_of_block::<S>(packed, transposed, n, outputs, out, stride, centered);
    pick_best::<S>(packed, log_weights, out, stride, n, &mut relevance.best);
    let mut block = Bounded { packed, rows, outputs, centered };
    for (j, out) in out.chunks_mut(stride).take(packed.k).enumerate() {
        let count = list_best::<S>(&relevance.best[..n], j, live);
        block.complete::<S>(j, &live[..count], &mut out[..n]);
        for i in &live[..count] {
            relevance.floors[*i as usize] = out[*i as usize] + log_weights[j] - CUT;
        }
    }
    let mut relevant = 0;
    for (j, out) in out.chunks_mut(stride).take(packed.k).enumerate() {
        let count = give_up::<S>(packed.constants[j], j, relevance, &mut out[..n], live);
        block.complete::<S>(j, &live[..count], &mut out[..n]);
        relevant += count;
    }
    if 2 * relevant > (packed.k - 1) * n {
        relevance.pause = PAUSE;
    }
}

/// The component with the highest bound of the joint density, for each row; NaN is passed over.
#[inline(always)]
fn pick_best<S: Simd>(
    packed: &PackedGaussians,
    log_weights: &[f64],
    norms: &[f64],
    stride: usize,
    n: usize,
    best: &mut [f64],
) {
    for first in (0..n).step_by(S::LANES) {
        let (mut highest, mut at) = (S::splat(f64::NEG_INFINITY), S::splat(0.0));
        for (j, norms) in norms.chunks(stride).take(packed.k).enumerate() {
            let bound =
                S::splat(packed.constants[j] + log_weights[j]) - S::load_or(&norms[first..n], 0.0);
            let higher = highest.lt(bound);
            highest = S::select(higher, bound, highest);
            at = S::select(higher, S::splat(j as f64), at);
        }
        at.store(&mut best[first..]);
    }
}

/// Lists the rows whose best component is `j`.
#[inline(always)]
fn list_best<S: Simd>(best: &[f64], j: usize, list: &mut [u32]) -> usize {
    let (from, to) = (S::splat(j as f64), S::splat((j + 1) as f64));
    let mut count = 0;
    for (lanes, row) in best.chunks(S::LANES).zip((0..).step_by(S::LANES)) {
        let best = S::load_or(lanes, -1.0);
        let bits = S::mask_bits(best.ge(from)) & !S::mask_bits(best.ge(to));
        count += S::list_set_bits(bits, row, &mut list[count..]);
    }
    count
}

/// Norms of rows that `j` is not the best of become `−∞` where their bound is below the floor; the others are listed.
#[inline(always)]
fn give_up<S: Simd>(
    constant: f64,
    j: usize,
    relevance: &Relevance,
    out: &mut [f64],
    list: &mut [u32],
) -> usize {
    let (from, to) = (S::splat(j as f64), S::splat((j + 1) as f64));
    let known = relevance.best.chunks_exact(S::LANES).zip(relevance.floors.chunks_exact(S::LANES));
    let mut count = 0;
    for ((out, row), (best, floor)) in
        out.chunks_mut(S::LANES).zip((0..).step_by(S::LANES)).zip(known)
    {
        let (norm, best) = (S::load_or(out, 0.0), S::load(best));
        let hopeless = (S::splat(constant) - norm).lt(S::load(floor)); // false for NaN
        let given_up = S::select(hopeless, S::splat(f64::NEG_INFINITY), norm);
        let kept = S::select(best.ge(to), given_up, norm); // the best of a row is a score already
        S::select(best.lt(from), given_up, kept).store_head(out);
        let is_best = S::mask_bits(best.ge(from)) & !S::mask_bits(best.ge(to));
        let there = u32::MAX >> (u32::BITS - out.len().min(S::LANES) as u32);
        let bits = there & !is_best & !S::mask_bits(hopeless);
        count += S::list_set_bits(bits, row, &mut list[count..]);
    }
    count
}

impl Bounded<'_> {
    /// Scores from the norms of the first outputs, for the rows listed.
    #[inline(always)]
    fn complete<S: Simd>(&mut self, j: usize, mut list: &[u32], out: &mut [f64]) {
        while !list.is_empty() {
            let vectors = match list.len().div_ceil(S::LANES) {
                1 => 1,
                2 => 2,
                _ => S::TILE,
            };
            let (some, rest) = list.split_at(list.len().min(vectors * S::LANES));
            match vectors {
                1 => self.complete_vectors::<S, 1>(j, some, out),
                2 => self.complete_vectors::<S, 2>(j, some, out),
                _ => self.complete_vectors::<S, MAX_TILE>(j, some, out),
            }
            list = rest;
        }
    }

    /// Up to `V` vectors of rows.
    #[inline(always)]
    fn complete_vectors<S: Simd, const V: usize>(
        &mut self,
        j: usize,
        list: &[u32],
        out: &mut [f64],
    ) {
        let Self { packed, rows, outputs, centered } = self;
        let (width, columns) = (V * S::LANES, columns(packed));
        let member = |at: usize| list[at.min(list.len() - 1)] as usize;
        let z = &mut centered[..width * columns];
        let mut norm = [S::splat(0.0); MAX_TILE];
        for v in 0..V {
            let (mut starts, mut norms) = ([0; MAX_LANES], [0.0; MAX_LANES]);
            for a in 0..S::LANES {
                let i = member(v * S::LANES + a);
                starts[a] = i * rows.row_stride;
                norms[a] = out[i];
            }
            transpose_vector::<S>(*rows, starts, columns, width, &mut z[v * S::LANES..]);
            norm[v] = S::load(&norms);
        }
        for (z, mean) in z.chunks_exact_mut(width).zip(packed.padded_mean(j)) {
            let mean = S::splat(*mean);
            for z in z.chunks_exact_mut(S::LANES) {
                (S::load(z) - mean).store(z);
            }
        }
        add_norms::<S, V>(z, packed.whitening(j), *outputs, columns, &mut norm);
        let constant = S::splat(packed.constants[j]);
        for (norm, list) in norm.into_iter().zip(list.chunks(S::LANES)) {
            let mut scores = [0.0; MAX_LANES];
            (constant - norm).store(&mut scores);
            for (i, score) in list.iter().zip(scores) {
                out[*i as usize] = score;
            }
        }
    }
}
