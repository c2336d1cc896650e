//! Scores and weighted moments of all `k` components of a Gaussian model, one block of rows at a time.
//!
//! The E-step of a mixture or hidden Markov model calls, for each block of up to [`BLOCK`] rows,
//! [`score_all`], then something that turns scores into weights, then [`observe_all`]; and at the end
//! of each chunk [`finish`]. Everything a block needs stays in cache, and nothing is allocated.
//!
//! Three layouts serve the shapes:
//!
//! | shape | scores | moments |
//! |---|---|---|
//! | full, `d ≤ 8` | lanes are rows, unrolled in `d`, all in registers | the same; sums stay lane-wise until [`finish`] |
//! | full, larger | triangular product in tiles of 4 outputs × a few vectors of rows | `√w (x − μ)` of the rows of positive weight queue up per component; a full queue is one symmetric update, lanes are columns |
//! | diagonal | two components share each load of a row | lanes are columns, sums in registers over the rows of positive weight |
//!
//! The first two read rows from a transposed copy of the block, made by [`score_all`].
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "fixed-size arrays of registers are indexed together, and unrolled"
)]

use core::f64::consts::FRAC_1_SQRT_2;

use elbo_linalg::{Kernel, Level, MAX_LANES, MAX_TILE, Rows, Simd};

mod block;
mod diagonal;
mod large;
mod relevant;
mod small;

use block::{Live, list_live, transpose, whole_vectors};
use diagonal::{observe_diagonal, score_diagonal};
use large::{enqueue, flush, score_large};
use relevant::{Relevance, score_by_bounds};
use small::{add_lane_sums, observe_small, score_small};

/// The largest number of rows per call; what is kept per block then fits into the caches.
pub(crate) const BLOCK: usize = 256;

/// Full covariances up to this dimension are unrolled.
const SMALL: usize = 8;

/// The largest number of lane-wise sums of a small component: `1 + d + d (d + 1) / 2` at `d = 8`.
const MAX_SUMS: usize = 45;

/// Rows of a tile of the triangular product.
const TILE_ROWS: usize = 4;

/// Which whitening matrices a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Lower triangular.
    Full,
    /// Diagonal.
    Diagonal,
}

/// What an E-step needs of `k` Gaussian components in `d` dimensions.
///
/// The score of a row is `constantⱼ − ½ ‖Uⱼ (x − μⱼ)‖²`, whatever estimator chose the numbers: for
/// `ln πⱼ + ln N(x ∣ μⱼ, Σⱼ)` it is `Uⱼ = Lⱼ⁻¹` with `Σⱼ = Lⱼ Lⱼᵀ`.
#[derive(Clone, Debug)]
pub(crate) struct PackedGaussians {
    shape: Shape,
    k: usize,
    d: usize,
    /// Distance between components in `means`: `d` rounded up to whole vectors, zeros behind.
    padded: usize,
    constants: Vec<f64>,
    means: Vec<f64>,
    /// `√½ Uⱼ`, so that scores need no halving; `whitening_len` numbers per component.
    ///
    /// Full and small: rows of the lower triangle, one after the other. Full and large: for each 4
    /// rows the columns up to the diagonal, 4 numbers per column. Diagonal: for each column `c` the
    /// pair `√½ u_c, −√½ u_c μ_c`.
    whitening: Vec<f64>,
    whitening_len: usize,
}

impl PackedGaussians {
    /// Room for `k` components in `d` dimensions; every score is `NaN` until [`set`](Self::set).
    ///
    /// # Panics
    ///
    /// If `k` or `d` is 0.
    pub(crate) fn new(shape: Shape, k: usize, d: usize) -> Self {
        assert!(k > 0 && d > 0, "a model needs components and dimensions, got k = {k}, d = {d}");
        let padded = d.next_multiple_of(MAX_LANES);
        let whitening_len = match shape {
            Shape::Diagonal => 2 * d,
            Shape::Full if d <= SMALL => d * (d + 1) / 2,
            Shape::Full => tiles_len(d),
        };
        Self {
            shape,
            k,
            d,
            padded,
            constants: vec![f64::NAN; k],
            means: vec![0.0; k * padded],
            whitening: vec![0.0; k * whitening_len],
            whitening_len,
        }
    }

    /// Sets component `j`; allocates nothing.
    ///
    /// `mean` has `d` numbers. `whitening` is `U` as a row-major `d × d` matrix of which the lower
    /// triangle is read ([`Shape::Full`]), or its diagonal, `d` numbers ([`Shape::Diagonal`]).
    ///
    /// # Panics
    ///
    /// If `j ≥ k` or a length is wrong.
    pub(crate) fn set(&mut self, j: usize, constant: f64, mean: &[f64], whitening: &[f64]) {
        let d = self.d;
        assert!(j < self.k, "component {j} of {}", self.k);
        assert_eq!(mean.len(), d, "a mean of {} numbers for d = {d}", mean.len());
        let expected = if self.shape == Shape::Full { d * d } else { d };
        assert_eq!(whitening.len(), expected, "whitening of {:?} in d = {d}", self.shape);
        self.constants[j] = constant;
        self.means[j * self.padded..][..d].copy_from_slice(mean);
        let packed = &mut self.whitening[j * self.whitening_len..][..self.whitening_len];
        match self.shape {
            Shape::Diagonal => {
                for ((pair, u), mean) in packed.chunks_exact_mut(2).zip(whitening).zip(mean) {
                    let u = u * FRAC_1_SQRT_2;
                    pair.copy_from_slice(&[u, -u * mean]);
                }
            }
            Shape::Full if d <= SMALL => {
                let lower = whitening.chunks_exact(d).enumerate().flat_map(|(a, row)| &row[..=a]);
                for (number, u) in packed.iter_mut().zip(lower) {
                    *number = u * FRAC_1_SQRT_2;
                }
            }
            Shape::Full => {
                let mut columns = packed.chunks_exact_mut(TILE_ROWS);
                for first in (0..d).step_by(TILE_ROWS) {
                    for (c, column) in columns.by_ref().take(first + TILE_ROWS).enumerate() {
                        for (a, number) in (first..).zip(column) {
                            let inside = c <= a && a < d;
                            *number =
                                if inside { whitening[a * d + c] * FRAC_1_SQRT_2 } else { 0.0 };
                        }
                    }
                }
            }
        }
    }

    /// Sets the mean of component `j` alone: for moments, where scores are made elsewhere.
    ///
    /// # Panics
    ///
    /// If `j ≥ k` or `mean` has not `d` numbers.
    pub(crate) fn set_mean(&mut self, j: usize, mean: &[f64]) {
        self.means[j * self.padded..][..self.d].copy_from_slice(mean);
    }

    /// Number of components.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// Number of dimensions.
    pub(crate) fn d(&self) -> usize {
        self.d
    }

    /// What a row at the mean of component `j` scores.
    pub(crate) fn constant(&self, j: usize) -> f64 {
        self.constants[j]
    }

    /// Mean of component `j`, the origin of its moments.
    pub(crate) fn mean(&self, j: usize) -> &[f64] {
        &self.means[j * self.padded..][..self.d]
    }

    /// The same with zeros behind.
    pub(crate) fn padded_mean(&self, j: usize) -> &[f64] {
        &self.means[j * self.padded..][..self.padded]
    }

    fn whitening(&self, j: usize) -> &[f64] {
        &self.whitening[j * self.whitening_len..][..self.whitening_len]
    }

    fn is_small(&self) -> bool {
        self.shape == Shape::Full && self.d <= SMALL
    }
}

/// Numbers in the 4-row tiles of a lower triangle of order `d`.
fn tiles_len(d: usize) -> usize {
    let tiles = d.div_ceil(TILE_ROWS);
    2 * TILE_ROWS * tiles * (tiles + 1)
}

/// Weighted moments of each component about its packed mean.
///
/// Complete only after [`finish`].
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    shape: Shape,
    k: usize,
    d: usize,
    padded: usize,
    weights: Vec<f64>,
    /// `k × padded`.
    firsts: Vec<f64>,
    /// Full: `k` matrices `padded × padded`, of which the lower triangles of the first `d` rows count.
    /// Diagonal: `k × padded`.
    seconds: Vec<f64>,
}

impl Moments {
    /// Zero moments for the components of `packed`.
    pub(crate) fn new(packed: &PackedGaussians) -> Self {
        let &PackedGaussians { shape, k, d, padded, .. } = packed;
        let second_len = if shape == Shape::Full { padded * padded } else { padded };
        Self {
            shape,
            k,
            d,
            padded,
            weights: vec![0.0; k],
            firsts: vec![0.0; k * padded],
            seconds: vec![0.0; k * second_len],
        }
    }

    /// Back to zero.
    pub(crate) fn clear(&mut self) {
        self.weights.fill(0.0);
        self.firsts.fill(0.0);
        self.seconds.fill(0.0);
    }

    /// `Σᵢ wᵢⱼ`.
    pub(crate) fn weight(&self, j: usize) -> f64 {
        self.weights[j]
    }

    /// `Σᵢ wᵢⱼ (xᵢ − μⱼ)`, `d` numbers.
    pub(crate) fn first(&self, j: usize) -> &[f64] {
        &self.firsts[j * self.padded..][..self.d]
    }

    /// Row `a` of the lower triangle of `Σᵢ wᵢⱼ (xᵢ − μⱼ)(xᵢ − μⱼ)ᵀ`, `a + 1` numbers.
    ///
    /// # Panics
    ///
    /// If the shape is diagonal, or `a ≥ d`.
    pub(crate) fn second_row(&self, j: usize, a: usize) -> &[f64] {
        assert!(self.shape == Shape::Full && a < self.d, "row {a} of {:?}", self.shape);
        &self.seconds[(j * self.padded + a) * self.padded..][..=a]
    }

    /// `Σᵢ wᵢⱼ (xᵢ − μⱼ)²` for each of the `d` columns.
    ///
    /// # Panics
    ///
    /// If the shape is full.
    pub(crate) fn second_diagonal(&self, j: usize) -> &[f64] {
        assert!(self.shape == Shape::Diagonal, "the diagonal of a full shape");
        &self.seconds[j * self.padded..][..self.d]
    }

    /// Distance between the rows of a matrix of second moments.
    pub(crate) fn padded(&self) -> usize {
        self.padded
    }

    /// Weight, first moments and second moments of component `j`, padded, to be added to.
    pub(crate) fn sums_mut(&mut self, j: usize) -> (&mut f64, &mut [f64], &mut [f64]) {
        let padded = self.padded;
        let len = if self.shape == Shape::Full { padded * padded } else { padded };
        (
            &mut self.weights[j],
            &mut self.firsts[j * padded..][..padded],
            &mut self.seconds[j * len..][..len],
        )
    }

    fn assert_for(&self, packed: &PackedGaussians) {
        assert!(
            (self.shape, self.k, self.d) == (packed.shape, packed.k, packed.d),
            "moments of {:?} k = {}, d = {} for {:?} k = {}, d = {}",
            self.shape,
            self.k,
            self.d,
            packed.shape,
            packed.k,
            packed.d
        );
    }
}

/// Working memory of one thread, for models of one shape, `k` and `d`.
///
/// Between [`observe_all`] and [`finish`] it holds moments that are not yet in the accumulator.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    level: Level,
    shape: Shape,
    k: usize,
    d: usize,
    /// The block whose rows are in `transposed`.
    block: Option<BlockId>,
    /// `[group][column][row in group]`; groups are one vector (small) or one tile (others) of rows.
    transposed: Vec<f64>,
    /// `BLOCK × padded`: rows that cannot be read in place.
    rows: Vec<f64>,
    /// One group of rows minus a mean.
    centered: Vec<f64>,
    /// Rows of positive weight.
    live: Vec<u32>,
    /// Small: lane-wise weight, first and second moments, [`MAX_LANES`] numbers each.
    lane_sums: Vec<f64>,
    queues: Queues,
    relevance: Relevance,
}

/// `√w (x − μ)` of rows that wait for a symmetric update, per component.
#[derive(Clone, Debug)]
struct Queues {
    capacity: usize,
    lengths: Vec<usize>,
    /// `k × capacity × padded`.
    rows: Vec<f64>,
    /// `√w`, `k × capacity`.
    roots: Vec<f64>,
}

/// Where a block of rows lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId {
    address: usize,
    n: usize,
    strides: [usize; 2],
}

impl BlockId {
    pub(crate) fn of(rows: Rows<'_>) -> Self {
        Self {
            address: rows.data.as_ptr().addr(),
            n: rows.n,
            strides: [rows.row_stride, rows.column_stride],
        }
    }
}

impl Scratch {
    /// Working memory for models like `packed`, on the CPU's best instruction set.
    pub(crate) fn new(packed: &PackedGaussians) -> Self {
        Self::with_level(packed, Level::detect())
    }

    fn with_level(packed: &PackedGaussians, level: Level) -> Self {
        let &PackedGaussians { shape, k, d, padded, .. } = packed;
        let small = packed.is_small();
        let when = |needed: bool, len: usize| vec![0.0; if needed { len } else { 0 }];
        let queued = shape == Shape::Full && !small;
        // A queue is to stay in the second cache, and long enough to pay for its update.
        let capacity = (4096 / padded).clamp(32, 128);
        Self {
            level,
            shape,
            k,
            d,
            block: None,
            transposed: vec![0.0; BLOCK * d.next_multiple_of(TILE_ROWS)],
            rows: when(!small, BLOCK * padded),
            centered: when(queued, MAX_TILE * MAX_LANES * d.next_multiple_of(TILE_ROWS)),
            live: vec![0; BLOCK + MAX_LANES],
            lane_sums: when(small, k * MAX_SUMS * MAX_LANES),
            queues: Queues {
                capacity,
                lengths: vec![0; k],
                rows: when(queued, k * capacity * padded),
                roots: when(queued, k * capacity),
            },
            relevance: Relevance::new(),
        }
    }

    fn assert_for(&self, packed: &PackedGaussians, rows: Rows<'_>) {
        assert!(
            (self.shape, self.k, self.d) == (packed.shape, packed.k, packed.d),
            "scratch of {:?} k = {}, d = {} for {:?} k = {}, d = {}",
            self.shape,
            self.k,
            self.d,
            packed.shape,
            packed.k,
            packed.d
        );
        assert_eq!(rows.d, packed.d, "rows of {} columns for d = {}", rows.d, packed.d);
        assert!(rows.n <= BLOCK, "a block of {} rows is longer than {BLOCK}", rows.n);
    }
}

/// Writes the scores of a block of rows under every component.
///
/// | argument | shape | layout | on entry | on exit |
/// |---|---|---|---|---|
/// | `rows` | `n × d`, `n ≤` [`BLOCK`] | any strides; contiguous columns are fast | finite numbers | |
/// | `out` | `k × n` | one component per row, rows `stride` apart | anything | `constantⱼ − ½ ‖Uⱼ (xᵢ − μⱼ)‖²` |
///
/// Numbers of `out` between the rows are left alone. A stride that is a power of two is slow, as all
/// components then share a few cache sets: `BLOCK + 8` is good. A row with NaN or `±∞` gets scores of NaN
/// or `−∞` and disturbs no other row.
/// A diagonal score is that of a mean moved by at most one unit in its last place.
/// Cost: `k n d (d + 3)` flops full, `4 k n d` diagonal; no allocation.
///
/// # Panics
///
/// If shapes disagree, `n` > [`BLOCK`], `stride < n`, or `out` is too short.
pub(crate) fn score_all(
    packed: &PackedGaussians,
    rows: Rows<'_>,
    out: &mut [f64],
    stride: usize,
    scratch: &mut Scratch,
) {
    scratch.assert_for(packed, rows);
    assert_block(out.len(), packed.k, rows.n, stride);
    scratch.block = Some(BlockId::of(rows));
    if rows.n > 0 {
        scratch.level.dispatch(ScoreAll { packed, rows, out, stride, scratch });
    }
}

/// [`score_all`], for shares of components whose weights are known: a score that cannot matter may be `−∞`.
///
/// With `p(x)` the density of the mixture, that is so where `p(x ∣ θⱼ) < 2⁻⁶⁰ p(x)`; then the share of component `j` in
/// the row is below `2⁻⁶⁰ πⱼ`. All scores given up, taken together, change `ln p(x)` by less than `2⁻⁶⁰`. Others have the bits
/// of [`score_all`]. `log_weights` are `ln πⱼ` up to a common constant, or their expectations.
///
/// Cost: where one component dominates, a third to a half of [`score_all`]; else as much, and somewhat more in one block
/// of each 32. Only full covariances from `d = 16` on differ from [`score_all`].
///
/// # Panics
///
/// As [`score_all`], and unless there is one weight per component.
pub(crate) fn score_relevant(
    packed: &PackedGaussians,
    rows: Rows<'_>,
    log_weights: &[f64],
    out: &mut [f64],
    stride: usize,
    scratch: &mut Scratch,
) {
    assert_eq!(log_weights.len(), packed.k, "one weight for each component");
    if rows.n == 0 || !scratch.relevance.is_due(packed) {
        return score_all(packed, rows, out, stride, scratch);
    }
    scratch.assert_for(packed, rows);
    assert_block(out.len(), packed.k, rows.n, stride);
    scratch.block = Some(BlockId::of(rows));
    scratch.level.dispatch(ScoreRelevant { packed, rows, log_weights, out, stride, scratch });
}

/// Adds the weighted rows of a block to the moments of every component.
///
/// | argument | shape | layout | on entry | on exit |
/// |---|---|---|---|---|
/// | `rows` | `n × d`, `n ≤` [`BLOCK`] | any strides; contiguous columns are fast | finite numbers | |
/// | `weights` | `k × n` | one component per row, rows `stride` apart | finite numbers ≥ 0 | |
/// | `moments`, `scratch` | | | sums so far | together, sums with this block |
///
/// A weight of 0 adds nothing; vectors of zeros (small `d`) or single zeros (otherwise) are skipped.
/// What [`score_all`] made of the rows is used if it was called last with the same rows: between the two
/// calls their numbers must not change, so a buffer that was refilled is scored again before it is observed.
/// Cost per row of positive weight: `d (d + 5)` flops full, `4 d` diagonal; no allocation.
///
/// # Panics
///
/// If shapes disagree, `n` > [`BLOCK`], `stride < n`, or `weights` is too short.
pub(crate) fn observe_all(
    packed: &PackedGaussians,
    rows: Rows<'_>,
    weights: &[f64],
    stride: usize,
    moments: &mut Moments,
    scratch: &mut Scratch,
) {
    scratch.assert_for(packed, rows);
    moments.assert_for(packed);
    assert_block(weights.len(), packed.k, rows.n, stride);
    let is_transposed = scratch.block.take() == Some(BlockId::of(rows));
    if rows.n > 0 {
        let kernel = ObserveAll { packed, rows, is_transposed, weights, stride, moments, scratch };
        kernel.scratch.level.dispatch(kernel);
    }
}

/// Completes `moments` with what `scratch` still holds.
///
/// To be called at the end of each chunk: before `moments` are read, before `packed` changes and
/// before `scratch` serves other moments. Cost: up to one queue per component, about that of a few
/// hundred rows.
///
/// # Panics
///
/// If shapes disagree.
pub(crate) fn finish(packed: &PackedGaussians, moments: &mut Moments, scratch: &mut Scratch) {
    let none = Rows { data: &[], n: 0, d: packed.d, row_stride: 0, column_stride: 0 };
    scratch.assert_for(packed, none);
    scratch.relevance.reset();
    moments.assert_for(packed);
    scratch.level.dispatch(Finish { packed, moments, scratch });
}

fn assert_block(len: usize, k: usize, n: usize, stride: usize) {
    assert!(
        stride >= n && len >= (k - 1) * stride + n,
        "{len} numbers are no {k} × {n} block with stride {stride}"
    );
}

struct ScoreAll<'a> {
    packed: &'a PackedGaussians,
    rows: Rows<'a>,
    out: &'a mut [f64],
    stride: usize,
    scratch: &'a mut Scratch,
}

impl Kernel for ScoreAll<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { packed, rows, out, stride, scratch } = self;
        transpose::<S>(packed, rows, &mut scratch.transposed);
        let (x, n) = (scratch.transposed.as_slice(), rows.n);
        match (packed.shape, packed.d) {
            (Shape::Diagonal, _) => score_diagonal::<S>(packed, x, n, out, stride),
            (Shape::Full, 1) => score_small::<S, 1>(packed, x, n, out, stride),
            (Shape::Full, 2) => score_small::<S, 2>(packed, x, n, out, stride),
            (Shape::Full, 3) => score_small::<S, 3>(packed, x, n, out, stride),
            (Shape::Full, 4) => score_small::<S, 4>(packed, x, n, out, stride),
            (Shape::Full, 5) => score_small::<S, 5>(packed, x, n, out, stride),
            (Shape::Full, 6) => score_small::<S, 6>(packed, x, n, out, stride),
            (Shape::Full, 7) => score_small::<S, 7>(packed, x, n, out, stride),
            (Shape::Full, 8) => score_small::<S, 8>(packed, x, n, out, stride),
            (Shape::Full, _) => {
                score_large::<S>(packed, x, n, out, stride, &mut scratch.centered);
            }
        }
    }
}

struct ScoreRelevant<'a> {
    packed: &'a PackedGaussians,
    rows: Rows<'a>,
    log_weights: &'a [f64],
    out: &'a mut [f64],
    stride: usize,
    scratch: &'a mut Scratch,
}

impl Kernel for ScoreRelevant<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { packed, rows, log_weights, out, stride, scratch } = self;
        score_by_bounds::<S>(packed, rows, log_weights, out, stride, scratch);
    }
}

struct ObserveAll<'a> {
    packed: &'a PackedGaussians,
    rows: Rows<'a>,
    is_transposed: bool,
    weights: &'a [f64],
    stride: usize,
    moments: &'a mut Moments,
    scratch: &'a mut Scratch,
}

impl Kernel for ObserveAll<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        if self.packed.is_small() {
            self.small::<S>();
        } else {
            self.by_rows::<S>();
        }
    }
}

impl ObserveAll<'_> {
    /// Up to five rows of the triangle at once: with more, the sums leave the registers.
    #[inline(always)]
    fn small<S: Simd>(self) {
        let Self { packed, rows, is_transposed, weights, stride, scratch, .. } = self;
        if !is_transposed {
            transpose::<S>(packed, rows, &mut scratch.transposed);
        }
        let (x, n, sums) = (scratch.transposed.as_slice(), rows.n, &mut scratch.lane_sums[..]);
        match packed.d {
            1 => observe_small::<S, 1, 0, 1>(packed, x, n, weights, stride, sums),
            2 => observe_small::<S, 2, 0, 2>(packed, x, n, weights, stride, sums),
            3 => observe_small::<S, 3, 0, 3>(packed, x, n, weights, stride, sums),
            4 => observe_small::<S, 4, 0, 4>(packed, x, n, weights, stride, sums),
            5 => observe_small::<S, 5, 0, 5>(packed, x, n, weights, stride, sums),
            6 => {
                observe_small::<S, 6, 0, 5>(packed, x, n, weights, stride, sums);
                observe_small::<S, 6, 5, 6>(packed, x, n, weights, stride, sums);
            }
            7 => {
                observe_small::<S, 7, 0, 5>(packed, x, n, weights, stride, sums);
                observe_small::<S, 7, 5, 7>(packed, x, n, weights, stride, sums);
            }
            _ => {
                observe_small::<S, 8, 0, 5>(packed, x, n, weights, stride, sums);
                observe_small::<S, 8, 5, 8>(packed, x, n, weights, stride, sums);
            }
        }
    }

    #[inline(always)]
    fn by_rows<S: Simd>(self) {
        let Self { packed, rows, weights, stride, moments, scratch, .. } = self;
        let Scratch { rows: copies, live, queues, .. } = scratch;
        let (x, x_stride) = whole_vectors(rows, packed.padded, copies);
        for j in 0..packed.k {
            let weights = &weights[j * stride..][..rows.n];
            let (weight, count) = list_live::<S>(weights, live);
            moments.weights[j] += weight;
            let live = Live { rows: &live[..count], weights, x, stride: x_stride };
            match packed.shape {
                Shape::Full => enqueue::<S>(packed, j, live, moments, queues),
                Shape::Diagonal => observe_diagonal::<S>(packed, j, live, moments),
            }
        }
    }
}

struct Finish<'a> {
    packed: &'a PackedGaussians,
    moments: &'a mut Moments,
    scratch: &'a mut Scratch,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { packed, moments, scratch } = self;
        if packed.is_small() {
            for j in 0..packed.k {
                let sums = &mut scratch.lane_sums[j * MAX_SUMS * MAX_LANES..];
                add_lane_sums::<S>(&mut sums[..MAX_SUMS * MAX_LANES], j, moments);
            }
        } else if packed.shape == Shape::Full {
            for j in 0..packed.k {
                flush::<S>(packed.padded, j, moments, &mut scratch.queues);
            }
        }
    }
}

#[cfg(test)]
mod tests;
