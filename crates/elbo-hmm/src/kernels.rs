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
    /// Is the least positive entry asked for? It is infinite otherwise.
    pub(crate) watch: bool,
}

impl Kernel for Forward<'_> {
    type Output = Scaled;

    #[inline(always)]
    fn run<S: Simd>(self) -> Scaled {
        if self.watch { self.recursion::<S, true>() } else { self.recursion::<S, false>() }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn recursion<S: Simd, const WATCH: bool>(self) -> Scaled {
        let tiles = self.start.len();
        let mut state = Running::<S>::new();
        let (mut scale, mut log_scale) = (1.0_f64, 0.0);
        for (t, emission) in self.emission.chunks_exact(tiles).enumerate() {
            let (done, rest) = self.alpha.split_at_mut(t * tiles);
            let alpha = &mut rest[..tiles];
            state.begin();
            if t == 0 {
                for (tile, start) in self.start.iter().enumerate() {
                    state.weigh::<1, WATCH>(&[load(start)], tile, emission, alpha);
                }
            } else {
                let previous = done[(t - 1) * tiles..].as_flattened();
                let running = Weigh::<S, WATCH> { state: &mut state, emission, alpha };
                products(previous, self.transition, tiles, running);
            }
            let sum = state.end();
            scale *= sum;
            if t % PER_LOGARITHM == PER_LOGARITHM - 1 || scale < SMALL_PRODUCT {
                log_scale += scale.ln();
                scale = 1.0;
            }
        }
        state.told(log_scale + scale.ln())
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
    /// Is the least positive entry asked for? It is infinite otherwise.
    pub(crate) watch: bool,
}

impl Kernel for Backward<'_> {
    type Output = Scaled;

    #[inline(always)]
    fn run<S: Simd>(self) -> Scaled {
        if self.watch { self.recursion::<S, true>() } else { self.recursion::<S, false>() }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn recursion<S: Simd, const WATCH: bool>(self) -> Scaled {
        let tiles = self.tiles;
        let n = self.alpha.len() / tiles;
        let mut state = Running::<S>::new();
        for t in (0..n).rev() {
            let at_end = self.ends && t + 1 == n;
            let (rest, next) = self.successors.split_at_mut((t + 1) * tiles);
            let next = next[..tiles].as_flattened();
            let row = t * tiles..(t + 1) * tiles;
            let (alpha, emission) = (&self.alpha[row.clone()], &mut self.emission[row.clone()]);
            let (successor, weighted) = (&mut rest[row.clone()], &mut self.weighted[row]);
            state.begin();
            if at_end {
                for tile in 0..tiles {
                    let ones = [[S::splat(1.0); VECTORS]];
                    state.join::<1, WATCH>(&ones, tile, alpha, emission, successor);
                }
            } else {
                let running = Join::<S, WATCH> { state: &mut state, alpha, emission, successor };
                products(next, self.transition, tiles, running);
            }
            state.end();
            let weight = 1.0 / state.mass.sum();
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
        state.told(0.0)
    }
}

/// What a scaled recursion carries from step to step: the normalizer that the next one applies, and sums of this one.
struct Running<S> {
    factor: S,
    sum: S,
    mass: S,
    least: S,
    least_sum: f64,
}

impl<S: Simd> Running<S> {
    #[inline(always)]
    fn new() -> Self {
        let zero = S::splat(0.0);
        let least = S::splat(f64::INFINITY);
        Self { factor: S::splat(1.0), sum: zero, mass: zero, least, least_sum: f64::INFINITY }
    }

    #[inline(always)]
    fn begin(&mut self) {
        self.sum = S::splat(0.0);
        self.mass = S::splat(0.0);
    }

    /// The sum of the step, whose inverse the next one applies.
    #[inline(always)]
    fn end(&mut self) -> f64 {
        let sum = self.sum.sum();
        self.least_sum = self.least_sum.min(sum);
        self.factor = S::splat(1.0 / sum);
        sum
    }

    #[inline(always)]
    fn told(self, log_scale: f64) -> Scaled {
        Scaled { log_scale, least: lowest(self.least), least_sum: self.least_sum }
    }

    /// Forward messages of `G` tiles from what they are before the observation.
    #[inline(always)]
    fn weigh<const G: usize, const WATCH: bool>(
        &mut self,
        prior: &[[S; VECTORS]; G],
        first: usize,
        emission: &[Tile],
        alpha: &mut [Tile],
    ) {
        for g in 0..G {
            for v in 0..MAX_LANES / S::LANES {
                let lanes = v * S::LANES;
                let b = S::load(&emission[first + g][lanes..]);
                let x = prior[g][v] * (b * self.factor);
                x.store(&mut alpha[first + g][lanes..]);
                self.sum += x;
                if WATCH {
                    self.least = least_positive(x, self.least);
                }
            }
        }
    }

    /// Backward messages of `G` tiles, and joint weights of states in the place of their densities.
    #[inline(always)]
    fn join<const G: usize, const WATCH: bool>(
        &mut self,
        raw: &[[S; VECTORS]; G],
        first: usize,
        alpha: &[Tile],
        emission: &mut [Tile],
        successor: &mut [Tile],
    ) {
        for g in 0..G {
            let tile = first + g;
            for v in 0..MAX_LANES / S::LANES {
                let lanes = v * S::LANES;
                let u = raw[g][v] * (S::load(&emission[tile][lanes..]) * self.factor);
                u.store(&mut successor[tile][lanes..]);
                self.sum += u;
                if WATCH {
                    self.least = least_positive(u, self.least);
                }
                let joint = S::load(&alpha[tile][lanes..]) * raw[g][v];
                joint.store(&mut emission[tile][lanes..]);
                self.mass += joint;
            }
        }
    }
}

/// `sums[i, j] += Σₜ q[t, i] u[t, j]` over a block; rectangles of sums stay in registers.
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
    fn run<S: Simd>(mut self) {
        if S::LANES < MAX_LANES {
            // Sixteen registers or fewer that are long: one vector of four rows.
            for row in (0..self.sums.len() / self.tiles).step_by(4) {
                for tile in 0..self.tiles {
                    for lanes in (0..MAX_LANES).step_by(S::LANES) {
                        self.rectangle::<S, 4, 1>(row, tile, lanes);
                    }
                }
            }
            return;
        }
        for row in (0..self.sums.len() / self.tiles).step_by(8) {
            let mut tile = 0;
            while tile < self.tiles {
                tile += match self.tiles - tile {
                    1 => self.rectangle::<S, 8, 1>(row, tile, 0),
                    2 | 4 => self.rectangle::<S, 8, 2>(row, tile, 0),
                    _ => self.rectangle::<S, 8, 3>(row, tile, 0),
                };
            }
        }
    }
}

impl Pairs<'_> {
    /// `R` rows from `row` of one vector of each of `C` tiles; returns `C`.
    #[inline(always)]
    fn rectangle<S: Simd, const R: usize, const C: usize>(
        &mut self,
        row: usize,
        tile: usize,
        lanes: usize,
    ) -> usize {
        let tiles = self.tiles;
        let mut sums = [[S::splat(0.0); C]; R];
        for (q, u) in self.weighted.chunks_exact(tiles).zip(self.successors.chunks_exact(tiles)) {
            let q = &q.as_flattened()[row..row + R];
            let mut vectors = [S::splat(0.0); C];
            for c in 0..C {
                vectors[c] = S::load(&u[tile + c][lanes..]);
            }
            for r in 0..R {
                let q = S::splat(q[r]);
                for c in 0..C {
                    sums[r][c] = q.mul_add(vectors[c], sums[r][c]);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                let cells = &mut self.sums[(row + r) * tiles + tile + c][lanes..];
                (S::load(cells) + sums[r][c]).store(cells);
            }
        }
        C
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
            let best = &mut rest[..tiles];
            if t == 0 {
                for (tile, start) in self.start.iter().enumerate() {
                    add_scores::<S, 1>(&[load(start)], tile, scores, best);
                }
                continue;
            }
            let previous = done[(t - 1) * tiles..].as_flattened();
            let mut tile = 0;
            while tile < tiles {
                let columns = |g: usize| self.transition.column(tile + g);
                tile += match tiles - tile {
                    1 => {
                        let x = maxima::<S, 1>(previous, [columns(0)]);
                        add_scores(&x, tile, scores, best)
                    }
                    2 => {
                        let x = maxima::<S, 2>(previous, [columns(0), columns(1)]);
                        add_scores(&x, tile, scores, best)
                    }
                    3 | 5 => {
                        let x = maxima::<S, 3>(previous, [columns(0), columns(1), columns(2)]);
                        add_scores(&x, tile, scores, best)
                    }
                    _ => {
                        let four = [columns(0), columns(1), columns(2), columns(3)];
                        add_scores(&maxima::<S, 4>(previous, four), tile, scores, best)
                    }
                };
            }
        }
    }
}

/// `G` tiles of `maxᵢ (xᵢ + M[i, ·])`; two maxima per vector hide their latency.
#[inline(always)]
fn maxima<S: Simd, const G: usize>(x: &[f64], columns: [&[Tile]; G]) -> [[S; VECTORS]; G] {
    let mut even = [[S::splat(f64::NEG_INFINITY); VECTORS]; G];
    let mut odd = even;
    let rows = columns[0].len();
    let columns = columns.map(|column| &column[..rows]);
    for (pair, x) in x.chunks_exact(2).take(rows / 2).enumerate() {
        let (x0, x1) = (S::splat(x[0]), S::splat(x[1]));
        for g in 0..G {
            for v in 0..MAX_LANES / S::LANES {
                let lanes = v * S::LANES;
                even[g][v] = (x0 + S::load(&columns[g][2 * pair][lanes..])).max(even[g][v]);
                odd[g][v] = (x1 + S::load(&columns[g][2 * pair + 1][lanes..])).max(odd[g][v]);
            }
        }
    }
    for g in 0..G {
        for v in 0..MAX_LANES / S::LANES {
            even[g][v] = odd[g][v].max(even[g][v]);
        }
    }
    even
}

/// Adds the scores of `G` tiles and stores them; returns `G`.
#[inline(always)]
fn add_scores<S: Simd, const G: usize>(
    prior: &[[S; VECTORS]; G],
    first: usize,
    scores: &[Tile],
    best: &mut [Tile],
) -> usize {
    for g in 0..G {
        for v in 0..MAX_LANES / S::LANES {
            let lanes = v * S::LANES;
            let x = prior[g][v] + S::load(&scores[first + g][lanes..]);
            x.store(&mut best[first + g][lanes..]);
        }
    }
    G
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

/// Takes a row vector a few tiles at a time.
///
/// No closure does: it would not be compiled for the instruction set of the kernel that it is in.
trait Absorb<S> {
    fn absorb<const G: usize>(&mut self, first: usize, x: &[[S; VECTORS]; G]);
}

/// A step forward, under way.
struct Weigh<'a, S, const WATCH: bool> {
    state: &'a mut Running<S>,
    emission: &'a [Tile],
    alpha: &'a mut [Tile],
}

impl<S: Simd, const WATCH: bool> Absorb<S> for Weigh<'_, S, WATCH> {
    #[inline(always)]
    fn absorb<const G: usize>(&mut self, first: usize, x: &[[S; VECTORS]; G]) {
        self.state.weigh::<G, WATCH>(x, first, self.emission, self.alpha);
    }
}

/// A step back, under way.
struct Join<'a, S, const WATCH: bool> {
    state: &'a mut Running<S>,
    alpha: &'a [Tile],
    emission: &'a mut [Tile],
    successor: &'a mut [Tile],
}

impl<S: Simd, const WATCH: bool> Absorb<S> for Join<'_, S, WATCH> {
    #[inline(always)]
    fn absorb<const G: usize>(&mut self, first: usize, x: &[[S; VECTORS]; G]) {
        self.state.join::<G, WATCH>(x, first, self.alpha, self.emission, self.successor);
    }
}

/// Shows the row vector `x · M` a few tiles at a time: each number of `x` is then loaded once for all of them.
#[inline(always)]
fn products<S: Simd>(x: &[f64], matrix: &Tiled, tiles: usize, mut to: impl Absorb<S>) {
    let mut tile = 0;
    while tile < tiles {
        let first = matrix.column(tile);
        match tiles - tile {
            1 => {
                to.absorb(tile, &product(x, [first]));
                tile += 1;
            }
            2 => {
                to.absorb(tile, &product(x, [first, matrix.column(tile + 1)]));
                tile += 2;
            }
            3 | 5 => {
                let three = [first, matrix.column(tile + 1), matrix.column(tile + 2)];
                to.absorb(tile, &product(x, three));
                tile += 3;
            }
            _ => {
                let [second, third] = [matrix.column(tile + 1), matrix.column(tile + 2)];
                to.absorb(tile, &product(x, [first, second, third, matrix.column(tile + 3)]));
                tile += 4;
            }
        }
    }
}

/// `G` tiles of the row vector `x · M`; two sums per vector hide the latency of additions.
#[inline(always)]
fn product<S: Simd, const G: usize>(x: &[f64], columns: [&[Tile]; G]) -> [[S; VECTORS]; G] {
    let mut even = [[S::splat(0.0); VECTORS]; G];
    let mut odd = even;
    let rows = columns[0].len();
    let columns = columns.map(|column| &column[..rows]);
    for (pair, x) in x.chunks_exact(2).take(rows / 2).enumerate() {
        let (x0, x1) = (S::splat(x[0]), S::splat(x[1]));
        for g in 0..G {
            for v in 0..MAX_LANES / S::LANES {
                let lanes = v * S::LANES;
                even[g][v] = x0.mul_add(S::load(&columns[g][2 * pair][lanes..]), even[g][v]);
                odd[g][v] = x1.mul_add(S::load(&columns[g][2 * pair + 1][lanes..]), odd[g][v]);
            }
        }
    }
    for g in 0..G {
        for v in 0..MAX_LANES / S::LANES {
            even[g][v] += odd[g][v];
        }
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
