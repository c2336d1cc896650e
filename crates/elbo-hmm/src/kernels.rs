//! Recursions over a block of steps: slices in, slices out.
//!
//! A message is a row of tiles, one number per state, zero beyond the last state.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "the vectors of a tile are counted, as several arrays of them go side by side"
)]

use elbo_linalg::{Kernel, MAX_LANES, Simd};

use crate::chain::{Tile, Tiled};

/// The most vectors in a tile.
const VECTORS: usize = MAX_LANES / 2;
/// Normalizers multiplied before one logarithm is taken.
const PER_LOGARITHM: usize = 16;
/// Below this the product of normalizers is logged at once: another factor above `TINY` keeps it a normal number.
const SMALL_PRODUCT: f64 = 1e-200;

/// What a scaled recursion over a block tells about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaled {
    /// Sum of the logarithms of the normalizers, in nats; 0 from the backward recursion.
    pub(crate) log_scale: f64,
    /// The least positive message entry.
    pub(crate) least: f64,
    /// The least sum of a message.
    pub(crate) least_sum: f64,
}

/// `α₀ = start ∘ b₀` and `αₜ = (αₜ₋₁A ∘ bₜ) / Σαₜ₋₁`: messages whose sums are the normalizers.
///
/// The normalizer of a step is applied one step late, off the critical path; its value is the same.
/// Cost per step: `k²` multiply-adds, one division, one logarithm in 16 steps.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    /// `A`.
    pub(crate) transition: &'a Tiled,
    /// Law of the first state given what came before the block.
    pub(crate) start: &'a [Tile],
    /// `b`, `n` rows.
    pub(crate) emission: &'a [Tile],
    /// `α`, `n` rows, overwritten.
    pub(crate) alpha: &'a mut [Tile],
}

impl Kernel for Forward<'_> {
    type Output = Scaled;

    #[inline(always)]
    fn run<S: Simd>(self) -> Scaled {
        let tiles = self.start.len();
        let (mut inverse, mut scale, mut log_scale) = (1.0, 1.0_f64, 0.0);
        let (mut least, mut least_sum) = (S::splat(f64::INFINITY), f64::INFINITY);
        for (t, emission) in self.emission.chunks_exact(tiles).enumerate() {
            let (done, rest) = self.alpha.split_at_mut(t * tiles);
            let previous = done[t.saturating_sub(1) * tiles..].as_flattened();
            let factor = S::splat(inverse);
            let mut sum = S::splat(0.0);
            for (tile, (alpha, b)) in rest[..tiles].iter_mut().zip(emission).enumerate() {
                let prior: [S; VECTORS] = if t == 0 {
                    load(&self.start[tile])
                } else {
                    product(previous, self.transition.column(tile))
                };
                for v in 0..MAX_LANES / S::LANES {
                    let lanes = v * S::LANES;
                    let x = prior[v] * (S::load(&b[lanes..]) * factor);
                    x.store(&mut alpha[lanes..]);
                    sum += x;
                    least = least_positive(x, least);
                }
            }
            let sum = sum.sum();
            least_sum = least_sum.min(sum);
            inverse = 1.0 / sum;
            scale *= sum;
            if t % PER_LOGARITHM == PER_LOGARITHM - 1 || scale < SMALL_PRODUCT {
                log_scale += scale.ln();
                scale = 1.0;
            }
        }
        Scaled { log_scale: log_scale + scale.ln(), least: lowest(least), least_sum }
    }
}

/// `rawₜ = uₜ₊₁Aᵀ`, `γₜ = αₜ ∘ rawₜ / wₜ`, `uₜ = bₜ ∘ rawₜ / Σuₜ₊₁`: the backward messages, fused with the posterior.
///
/// Also writes `qₜ = αₜ / wₜ`, so that `ξₜ[i, j] = qₜ[i] A[i, j] uₜ₊₁[j]` is an outer product.
/// Cost per step: `k²` multiply-adds, two divisions.
#[derive(Debug)]
pub(crate) struct Backward<'a> {
    /// `Aᵀ`.
    pub(crate) transition: &'a Tiled,
    /// Is the last step of the block the last one of its sequence?
    pub(crate) ends: bool,
    /// `α`, `n` rows.
    pub(crate) alpha: &'a [Tile],
    /// `b` on entry, `γ` on exit, `n` rows.
    pub(crate) emission: &'a mut [Tile],
    /// `q`, `n` rows, overwritten; zero at the end of the sequence.
    pub(crate) weighted: &'a mut [Tile],
    /// `u`, `n + 1` rows; the last one is given unless the sequence `ends`, the others are overwritten.
    pub(crate) successors: &'a mut [Tile],
    /// Tiles in a row.
    pub(crate) tiles: usize,
}

impl Kernel for Backward<'_> {
    type Output = Scaled;

    #[inline(always)]
    fn run<S: Simd>(self) -> Scaled {
        let tiles = self.tiles;
        let n = self.alpha.len() / tiles;
        let one = S::splat(1.0);
        let (mut least, mut least_sum) = (S::splat(f64::INFINITY), f64::INFINITY);
        let mut inverse = 1.0;
        for t in (0..n).rev() {
            let at_end = self.ends && t + 1 == n;
            let (rest, next) = self.successors.split_at_mut((t + 1) * tiles);
            let next = next[..tiles].as_flattened();
            let row = t * tiles..(t + 1) * tiles;
            let (alpha, emission) = (&self.alpha[row.clone()], &mut self.emission[row.clone()]);
            let (successor, weighted) = (&mut rest[row.clone()], &mut self.weighted[row]);
            let factor = S::splat(inverse);
            let (mut sum, mut mass) = (S::splat(0.0), S::splat(0.0));
            for tile in 0..tiles {
                let raw: [S; VECTORS] = if at_end {
                    [one; VECTORS]
                } else {
                    product(next, self.transition.column(tile))
                };
                for v in 0..MAX_LANES / S::LANES {
                    let lanes = v * S::LANES;
                    let u = raw[v] * (S::load(&emission[tile][lanes..]) * factor);
                    u.store(&mut successor[tile][lanes..]);
                    sum += u;
                    least = least_positive(u, least);
                    let joint = S::load(&alpha[tile][lanes..]) * raw[v];
                    joint.store(&mut emission[tile][lanes..]);
                    mass += joint;
                }
            }
            let sum = sum.sum();
            least_sum = least_sum.min(sum);
            inverse = 1.0 / sum;
            let weight = 1.0 / mass.sum();
            let (share, pair) = (S::splat(weight), S::splat(if at_end { 0.0 } else { weight }));
            for tile in 0..tiles {
                for lanes in (0..MAX_LANES).step_by(S::LANES) {
                    let gamma = S::load(&emission[tile][lanes..]) * share;
                    gamma.store(&mut emission[tile][lanes..]);
                    let q = S::load(&alpha[tile][lanes..]) * pair;
                    q.store(&mut weighted[tile][lanes..]);
                }
            }
        }
        Scaled { log_scale: 0.0, least: lowest(least), least_sum }
    }
}

/// `sums[i, j] += Σₜ q[t, i] u[t, j]` over a block; four rows of sums at a time stay in registers.
#[derive(Debug)]
pub(crate) struct Pairs<'a> {
    /// `q`, `n` rows.
    pub(crate) weighted: &'a [Tile],
    /// `u` of the step after each, `n` rows.
    pub(crate) successors: &'a [Tile],
    /// One row per state and more, to a multiple of 4.
    pub(crate) sums: &'a mut [Tile],
    /// Tiles in a row.
    pub(crate) tiles: usize,
}

impl Kernel for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        const ROWS: usize = 4;
        let tiles = self.tiles;
        for (group, pairs) in self.sums.chunks_exact_mut(ROWS * tiles).enumerate() {
            let first = group * ROWS;
            for tile in 0..tiles {
                for lanes in (0..MAX_LANES).step_by(S::LANES) {
                    let mut sums = [S::splat(0.0); ROWS];
                    for (q, u) in
                        self.weighted.chunks_exact(tiles).zip(self.successors.chunks_exact(tiles))
                    {
                        let q = &q.as_flattened()[first..first + ROWS];
                        let u = S::load(&u[tile][lanes..]);
                        for (sum, q) in sums.iter_mut().zip(q) {
                            *sum = S::splat(*q).mul_add(u, *sum);
                        }
                    }
                    for (row, sum) in sums.into_iter().enumerate() {
                        let cells = &mut pairs[row * tiles + tile][lanes..];
                        (S::load(cells) + sum).store(cells);
                    }
                }
            }
        }
    }
}

/// `δ₀ = start + s₀` and `δₜ[j] = maxᵢ (δₜ₋₁[i] + ln A[i, j]) + sₜ[j]`: the best path to each state.
///
/// Cost per step: `k²` additions and maxima.
#[derive(Debug)]
pub(crate) struct MaxPlus<'a> {
    /// `ln A`.
    pub(crate) transition: &'a Tiled,
    /// Best log probability of each first state given what came before the block.
    pub(crate) start: &'a [Tile],
    /// `s`, log densities, `n` rows.
    pub(crate) scores: &'a [Tile],
    /// `δ`, `n` rows, overwritten.
    pub(crate) best: &'a mut [Tile],
}

impl Kernel for MaxPlus<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let tiles = self.start.len();
        for (t, scores) in self.scores.chunks_exact(tiles).enumerate() {
            let (done, rest) = self.best.split_at_mut(t * tiles);
            let previous = done[t.saturating_sub(1) * tiles..].as_flattened();
            for (tile, (best, score)) in rest[..tiles].iter_mut().zip(scores).enumerate() {
                let mut prior: [S; VECTORS] = load(&self.start[tile]);
                if t > 0 {
                    prior = [S::splat(f64::NEG_INFINITY); VECTORS];
                    for (x, row) in previous.iter().zip(self.transition.column(tile)) {
                        for v in 0..MAX_LANES / S::LANES {
                            let path = S::splat(*x) + S::load(&row[v * S::LANES..]);
                            prior[v] = path.max(prior[v]);
                        }
                    }
                }
                for v in 0..MAX_LANES / S::LANES {
                    let lanes = v * S::LANES;
                    (prior[v] + S::load(&score[lanes..])).store(&mut best[lanes..]);
                }
            }
        }
    }
}

/// Takes the largest score of each step as its shift: `scores ← scores − shift`, `columns = e^scores`, positive
/// densities raised to `e^floor`. Returns `false`, with scores as they were, if some step has no finite largest score
/// or one that is NaN.
///
/// Columns beyond `n` up to a whole vector are overwritten as well.
#[derive(Debug)]
pub(crate) struct Densities<'a> {
    /// One row per state, `stride` apart.
    pub(crate) scores: &'a mut [f64],
    /// The same layout, overwritten.
    pub(crate) columns: &'a mut [f64],
    /// Steps, at most `stride` when rounded up to whole vectors.
    pub(crate) n: usize,
    pub(crate) stride: usize,
    /// One per step, to a whole number of vectors, overwritten.
    pub(crate) shifts: &'a mut [f64],
    pub(crate) floor: f64,
}

impl Kernel for Densities<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self) -> bool {
        let lowest = S::splat(f64::NEG_INFINITY);
        let mut proper = true;
        for first in (0..self.n).step_by(S::LANES) {
            let mut largest = lowest;
            let mut ordered = u32::MAX;
            for row in self.scores.chunks_exact(self.stride) {
                let x = S::load(&row[first..]);
                largest = x.max(largest); // skips NaN
                ordered &= S::mask_bits(x.lt(S::splat(f64::INFINITY))); // false for NaN
            }
            let possible = S::mask_bits(lowest.lt(largest));
            let steps = (1_u32 << (self.n - first).min(S::LANES)) - 1;
            proper &= possible & ordered & steps == steps;
            largest.store(&mut self.shifts[first..]);
        }
        if !proper {
            return false;
        }
        let floor = S::splat(self.floor);
        for (row, column) in self
            .scores
            .chunks_exact_mut(self.stride)
            .zip(self.columns.chunks_exact_mut(self.stride))
        {
            for first in (0..self.n).step_by(S::LANES) {
                let x = S::load(&row[first..]) - S::load(&self.shifts[first..]);
                x.store(&mut row[first..]);
                let raised = S::select(lowest.lt(x), x.max(floor), lowest);
                raised.exp().store(&mut column[first..]);
            }
        }
        true
    }
}

/// Turns one row per state into one row of tiles per step; states beyond the last one get `padding`.
///
/// Steps beyond `n` up to a whole vector are overwritten as well.
#[derive(Debug)]
pub(crate) struct ToRows<'a> {
    /// One row per state, `stride` apart.
    pub(crate) columns: &'a [f64],
    pub(crate) stride: usize,
    pub(crate) n: usize,
    pub(crate) padding: f64,
    pub(crate) rows: &'a mut [Tile],
    /// Tiles in a row.
    pub(crate) tiles: usize,
}

impl Kernel for ToRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut states = self.columns.chunks_exact(self.stride);
        for tile in 0..self.tiles {
            for lanes in (0..MAX_LANES).step_by(S::LANES) {
                let mut group: [&[f64]; MAX_LANES] = [&[]; MAX_LANES];
                for state in &mut group[..S::LANES] {
                    *state = states.next().unwrap_or(&[]);
                }
                for first in (0..self.n).step_by(S::LANES) {
                    let mut block = [S::splat(self.padding); MAX_LANES];
                    for v in 0..S::LANES {
                        if !group[v].is_empty() {
                            block[v] = S::load(&group[v][first..]);
                        }
                    }
                    S::transpose(&mut block);
                    for v in 0..S::LANES {
                        let row = &mut self.rows[(first + v) * self.tiles + tile];
                        block[v].store(&mut row[lanes..]);
                    }
                }
            }
        }
    }
}

/// Turns one row of tiles per step into one row per state.
///
/// Steps beyond `n` up to a whole vector are overwritten as well.
#[derive(Debug)]
pub(crate) struct ToColumns<'a> {
    pub(crate) rows: &'a [Tile],
    /// Tiles in a row.
    pub(crate) tiles: usize,
    pub(crate) n: usize,
    /// One row per state, `stride` apart.
    pub(crate) columns: &'a mut [f64],
    pub(crate) stride: usize,
}

impl Kernel for ToColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        for (group, columns) in self.columns.chunks_mut(S::LANES * self.stride).enumerate() {
            let (tile, lanes) = (group * S::LANES / MAX_LANES, group * S::LANES % MAX_LANES);
            for first in (0..self.n).step_by(S::LANES) {
                let mut block = [S::splat(0.0); MAX_LANES];
                for v in 0..S::LANES {
                    block[v] = S::load(&self.rows[(first + v) * self.tiles + tile][lanes..]);
                }
                S::transpose(&mut block);
                for (state, x) in columns.chunks_exact_mut(self.stride).zip(block) {
                    x.store(&mut state[first..]);
                }
            }
        }
    }
}

/// One tile of the row vector `x · M`; two sums per vector hide the latency of additions.
#[inline(always)]
fn product<S: Simd>(x: &[f64], column: &[Tile]) -> [S; VECTORS] {
    let mut even = [S::splat(0.0); VECTORS];
    let mut odd = even;
    for (x, rows) in x.chunks_exact(2).zip(column.chunks_exact(2)) {
        let (x0, x1) = (S::splat(x[0]), S::splat(x[1]));
        for v in 0..MAX_LANES / S::LANES {
            let lanes = v * S::LANES;
            even[v] = x0.mul_add(S::load(&rows[0][lanes..]), even[v]);
            odd[v] = x1.mul_add(S::load(&rows[1][lanes..]), odd[v]);
        }
    }
    for v in 0..MAX_LANES / S::LANES {
        even[v] += odd[v];
    }
    even
}

#[inline(always)]
fn load<S: Simd>(tile: &Tile) -> [S; VECTORS] {
    let mut vectors = [S::splat(0.0); VECTORS];
    for v in 0..MAX_LANES / S::LANES {
        vectors[v] = S::load(&tile[v * S::LANES..]);
    }
    vectors
}

/// The smaller of `least` and those entries of `x` that are positive.
#[inline(always)]
fn least_positive<S: Simd>(x: S, least: S) -> S {
    S::select(S::splat(0.0).lt(x), x, S::splat(f64::INFINITY)).min(least)
}

#[inline(always)]
fn lowest<S: Simd>(x: S) -> f64 {
    let mut lanes = [f64::INFINITY; MAX_LANES];
    x.store(&mut lanes);
    lanes.into_iter().fold(f64::INFINITY, f64::min)
}
