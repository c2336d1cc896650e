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

    fn padded_mean(&self, j: usize) -> &[f64] {
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

/// Rows per group of the transposed block.
#[inline(always)]
fn group<S: Simd>(packed: &PackedGaussians) -> usize {
    if packed.is_small() { S::LANES } else { S::TILE * S::LANES }
}

/// Columns per group of the transposed block; those beyond `d` are zero.
#[inline(always)]
fn columns(packed: &PackedGaussians) -> usize {
    if packed.is_small() { packed.d } else { packed.d.next_multiple_of(TILE_ROWS) }
}

/// Fills `[group][column][row in group]`; the last row is repeated to the end of its group.
#[inline(always)]
fn transpose<S: Simd>(packed: &PackedGaussians, rows: Rows<'_>, transposed: &mut [f64]) {
    let (group, columns, d) = (group::<S>(packed), columns(packed), packed.d);
    let whole = if rows.column_stride == 1 { d / S::LANES * S::LANES } else { 0 };
    for (g, block) in
        transposed.chunks_exact_mut(group * columns).take(rows.n.div_ceil(group)).enumerate()
    {
        for first in (0..group).step_by(S::LANES) {
            let mut starts = [0; MAX_LANES];
            for (a, start) in starts.iter_mut().enumerate() {
                *start = (g * group + first + a).min(rows.n - 1) * rows.row_stride;
            }
            for c in (0..whole).step_by(S::LANES) {
                let mut square = [S::splat(0.0); MAX_LANES];
                for a in 0..S::LANES {
                    square[a] = S::load(&rows.data[starts[a] + c..]);
                }
                S::transpose(&mut square);
                for a in 0..S::LANES {
                    square[a].store(&mut block[(c + a) * group + first..]);
                }
            }
            for c in whole..d {
                let lanes = &mut block[c * group + first..][..S::LANES];
                for (lane, start) in lanes.iter_mut().zip(starts) {
                    *lane = rows.data[start + c * rows.column_stride];
                }
            }
            for c in d..columns {
                S::splat(0.0).store(&mut block[c * group + first..]);
            }
        }
    }
}

/// The rows as they are if they consist of whole vectors, else copies padded with zeros; and their stride.
#[inline(always)]
fn whole_vectors<'a>(rows: Rows<'a>, padded: usize, copies: &'a mut [f64]) -> (&'a [f64], usize) {
    if rows.column_stride == 1 && rows.d == padded {
        return (rows.data, rows.row_stride);
    }
    for (i, copy) in copies.chunks_exact_mut(padded).take(rows.n).enumerate() {
        let row = &rows.data[i * rows.row_stride..];
        if rows.column_stride == 1 {
            copy[..rows.d].copy_from_slice(&row[..rows.d]);
        } else {
            for (c, number) in copy[..rows.d].iter_mut().enumerate() {
                *number = row[c * rows.column_stride];
            }
        }
    }
    (copies, padded)
}

/// Scores for `d = D ≤ 8`, one vector of rows at a time.
#[inline(always)]
fn score_small<S: Simd, const D: usize>(
    packed: &PackedGaussians,
    x: &[f64],
    n: usize,
    out: &mut [f64],
    stride: usize,
) {
    for (j, out) in out.chunks_mut(stride).take(packed.k).enumerate() {
        let (constant, mean) = (S::splat(packed.constants[j]), &packed.padded_mean(j)[..D]);
        let u = &packed.whitening(j)[..D * (D + 1) / 2];
        for (x, out) in x.chunks_exact(D * S::LANES).zip(out[..n].chunks_mut(S::LANES)) {
            let mut z = [constant; D];
            for c in 0..D {
                z[c] = S::load(&x[c * S::LANES..]) - S::splat(mean[c]);
            }
            let mut norm = S::splat(0.0);
            for a in 0..D {
                let row = a * (a + 1) / 2;
                let mut y = S::splat(u[row]) * z[0];
                for c in 1..=a {
                    y = S::splat(u[row + c]).mul_add(z[c], y);
                }
                norm = y.mul_add(y, norm);
            }
            (constant - norm).store_head(out);
        }
    }
}

/// Scores for large full covariances: tiles of 4 outputs × [`Simd::TILE`] vectors of rows.
#[inline(always)]
fn score_large<S: Simd>(
    packed: &PackedGaussians,
    x: &[f64],
    n: usize,
    out: &mut [f64],
    stride: usize,
    centered: &mut [f64],
) {
    let (group, columns, zero) = (S::TILE * S::LANES, columns(packed), S::splat(0.0));
    let z = &mut centered[..group * columns];
    for (j, out) in out.chunks_mut(stride).take(packed.k).enumerate() {
        let (constant, mean) = (S::splat(packed.constants[j]), packed.padded_mean(j));
        for (x, out) in x.chunks_exact(group * columns).zip(out[..n].chunks_mut(group)) {
            for ((z, x), mean) in z.chunks_exact_mut(group).zip(x.chunks_exact(group)).zip(mean) {
                let mean = S::splat(*mean);
                for v in 0..S::TILE {
                    let at = v * S::LANES;
                    (S::load(&x[at..]) - mean).store(&mut z[at..]);
                }
            }
            let mut norm = [zero; MAX_TILE];
            let mut tiles = packed.whitening(j);
            for last in (TILE_ROWS..=columns).step_by(TILE_ROWS) {
                let (tile, rest) = tiles.split_at(TILE_ROWS * last);
                tiles = rest;
                let mut y = [[zero; MAX_TILE]; TILE_ROWS];
                for (u, z) in tile.chunks_exact(TILE_ROWS).zip(z.chunks_exact(group)) {
                    let mut lanes = [zero; MAX_TILE];
                    for v in 0..S::TILE {
                        lanes[v] = S::load(&z[v * S::LANES..]);
                    }
                    for a in 0..TILE_ROWS {
                        let u = S::splat(u[a]);
                        for v in 0..S::TILE {
                            y[a][v] = u.mul_add(lanes[v], y[a][v]);
                        }
                    }
                }
                for a in 0..TILE_ROWS {
                    for v in 0..S::TILE {
                        norm[v] = y[a][v].mul_add(y[a][v], norm[v]);
                    }
                }
            }
            for (out, norm) in out.chunks_mut(S::LANES).zip(norm) {
                (constant - norm).store_head(out);
            }
        }
    }
}

/// Scores for diagonal covariances, two components at a time.
#[inline(always)]
fn score_diagonal<S: Simd>(
    packed: &PackedGaussians,
    x: &[f64],
    n: usize,
    out: &mut [f64],
    stride: usize,
) {
    for (pair, out) in out.chunks_mut(2 * stride).take(packed.k.div_ceil(2)).enumerate() {
        if 2 * pair + 1 < packed.k {
            score_diagonal_of::<S, 2>(packed, 2 * pair, x, n, out, stride);
        } else {
            score_diagonal_of::<S, 1>(packed, 2 * pair, x, n, out, stride);
        }
    }
}

/// Scores of `P` components from `first` on.
///
/// `u x − fl(u μ)` takes one operation instead of two; it moves `μ` by a unit in its last place at most.
#[inline(always)]
fn score_diagonal_of<S: Simd, const P: usize>(
    packed: &PackedGaussians,
    first: usize,
    x: &[f64],
    n: usize,
    out: &mut [f64],
    stride: usize,
) {
    let (group, columns) = (S::TILE * S::LANES, columns(packed));
    let one = packed.whitening(first);
    let other = packed.whitening(first + P - 1);
    for (g, x) in x.chunks_exact(group * columns).take(n.div_ceil(group)).enumerate() {
        let mut norm = [[S::splat(0.0); MAX_TILE]; P];
        let affine = one.chunks_exact(2).zip(other.chunks_exact(2));
        for (x, (one, other)) in x.chunks_exact(group).zip(affine) {
            for v in 0..S::TILE {
                let x = S::load(&x[v * S::LANES..]);
                for p in 0..P {
                    let affine = if p == 0 { one } else { other };
                    let y = x.mul_add(S::splat(affine[0]), S::splat(affine[1]));
                    norm[p][v] = y.mul_add(y, norm[p][v]);
                }
            }
        }
        for p in 0..P {
            let constant = S::splat(packed.constants[first + p]);
            let out = &mut out[p * stride..][..n];
            let lanes = out[g * group..].chunks_mut(S::LANES).take(S::TILE);
            for (out, norm) in lanes.zip(norm[p]) {
                (constant - norm).store_head(out);
            }
        }
    }
}

/// Adds a block to rows `A..B` of the lane-wise moments for `d = D ≤ 8`; `A = 0` also to the weight.
#[inline(always)]
fn observe_small<S: Simd, const D: usize, const A: usize, const B: usize>(
    packed: &PackedGaussians,
    x: &[f64],
    n: usize,
    weights: &[f64],
    stride: usize,
    lane_sums: &mut [f64],
) {
    let zero = S::splat(0.0);
    let first_entry = A * (A + 1) / 2;
    let components = weights.chunks(stride).zip(lane_sums.chunks_exact_mut(MAX_SUMS * MAX_LANES));
    for (j, (weights, sums)) in components.take(packed.k).enumerate() {
        let mean = &packed.padded_mean(j)[..D];
        let (weight_sum, moments) = sums.split_at_mut(MAX_LANES);
        let (firsts, seconds) = moments.split_at_mut(D * MAX_LANES);
        let firsts = &mut firsts[A * MAX_LANES..B * MAX_LANES];
        let seconds = &mut seconds[first_entry * MAX_LANES..B * (B + 1) / 2 * MAX_LANES];

        let mut weight = S::load(weight_sum);
        let mut first = [zero; SMALL];
        for a in A..B {
            first[a - A] = S::load(&firsts[(a - A) * MAX_LANES..]);
        }
        let mut second = [zero; 21];
        for e in 0..B * (B + 1) / 2 - first_entry {
            second[e] = S::load(&seconds[e * MAX_LANES..]);
        }
        for (x, w) in x.chunks_exact(D * S::LANES).zip(weights[..n].chunks(S::LANES)) {
            let w = S::load_or(w, 0.0);
            if S::mask_bits(zero.lt(w)) == 0 {
                continue;
            }
            let mut z = [zero; D];
            for c in 0..B {
                z[c] = S::load(&x[c * S::LANES..]) - S::splat(mean[c]);
            }
            if A == 0 {
                weight += w;
            }
            for a in A..B {
                let wz = w * z[a];
                first[a - A] += wz;
                for c in 0..=a {
                    let e = a * (a + 1) / 2 + c - first_entry;
                    second[e] = wz.mul_add(z[c], second[e]);
                }
            }
        }
        if A == 0 {
            weight.store(weight_sum);
        }
        for a in A..B {
            first[a - A].store(&mut firsts[(a - A) * MAX_LANES..]);
        }
        for e in 0..B * (B + 1) / 2 - first_entry {
            second[e].store(&mut seconds[e * MAX_LANES..]);
        }
    }
}

/// Moves the lane-wise sums of component `j` to its moments.
#[inline(always)]
fn add_lane_sums<S: Simd>(sums: &mut [f64], j: usize, moments: &mut Moments) {
    let (d, padded) = (moments.d, moments.padded);
    let mut lanes = sums.chunks_exact(MAX_LANES);
    let mut next = || lanes.next().map_or(0.0, |lanes| S::load(lanes).sum());
    moments.weights[j] += next();
    for first in &mut moments.firsts[j * padded..][..d] {
        *first += next();
    }
    for a in 0..d {
        for second in &mut moments.seconds[(j * padded + a) * padded..][..=a] {
            *second += next();
        }
    }
    sums.fill(0.0);
}

/// The rows of a block that a component owns a share of.
#[derive(Clone, Copy)]
struct Live<'a> {
    rows: &'a [u32],
    weights: &'a [f64],
    x: &'a [f64],
    stride: usize,
}

/// Lists the rows of positive weight; returns the total weight and their number.
#[inline(always)]
fn list_live<S: Simd>(weights: &[f64], live: &mut [u32]) -> (f64, usize) {
    let (mut total, mut count) = (S::splat(0.0), 0);
    for (lanes, row) in weights.chunks(S::LANES).zip((0..).step_by(S::LANES)) {
        let w = S::load_or(lanes, 0.0);
        total += w;
        let bits = S::mask_bits(S::splat(0.0).lt(w));
        count += S::list_set_bits(bits, row, &mut live[count..]);
    }
    (total.sum(), count)
}

/// Puts `√w (x − μ)` of the live rows into the queue of component `j`.
#[inline(always)]
fn enqueue<S: Simd>(
    packed: &PackedGaussians,
    j: usize,
    live: Live<'_>,
    moments: &mut Moments,
    queues: &mut Queues,
) {
    let (padded, capacity) = (packed.padded, queues.capacity);
    let mean = packed.padded_mean(j);
    for &i in live.rows {
        let i = i as usize;
        let root = live.weights[i].sqrt();
        let slot = j * capacity + queues.lengths[j];
        let queued = &mut queues.rows[slot * padded..][..padded];
        let x = &live.x[i * live.stride..][..padded];
        let vectors = x.chunks_exact(S::LANES).zip(mean.chunks_exact(S::LANES));
        for (queued, (x, mean)) in queued.chunks_exact_mut(S::LANES).zip(vectors) {
            ((S::load(x) - S::load(mean)) * S::splat(root)).store(queued);
        }
        queues.roots[slot] = root;
        queues.lengths[j] += 1;
        if queues.lengths[j] == capacity {
            flush::<S>(padded, j, moments, queues);
        }
    }
}

/// Adds the queue of component `j` to its first and second moments and empties it.
#[inline(always)]
fn flush<S: Simd>(padded: usize, j: usize, moments: &mut Moments, queues: &mut Queues) {
    let length = core::mem::take(&mut queues.lengths[j]);
    if length == 0 {
        return;
    }
    let roots = &queues.roots[j * queues.capacity..][..length];
    let rows = &queues.rows[j * queues.capacity * padded..][..length * padded];
    let firsts = &mut moments.firsts[j * padded..][..padded];
    for c in (0..padded).step_by(S::LANES) {
        let mut sum = S::load(&firsts[c..]);
        for (row, root) in rows.chunks_exact(padded).zip(roots) {
            sum = S::splat(*root).mul_add(S::load(&row[c..]), sum);
        }
        sum.store(&mut firsts[c..]);
    }
    let seconds = &mut moments.seconds[j * padded * padded..][..padded * padded];
    // The lower triangle of LANES × LANES squares, up to three side by side; 4 = 2 + 2.
    for last in 0..padded / S::LANES {
        let mut c = 0;
        while c <= last {
            let (a, at, left) = (last * S::LANES, c * S::LANES, last + 1 - c);
            match left {
                1 => symmetric_update::<S, 1>(rows, padded, a, at, seconds),
                2 | 4 => symmetric_update::<S, 2>(rows, padded, a, at, seconds),
                _ => symmetric_update::<S, 3>(rows, padded, a, at, seconds),
            }
            c += if left == 4 { 2 } else { left.min(3) };
        }
    }
}

/// `LANES` rows from `first_row` on and `W` vectors of columns from `first_column` on of `Σ y yᵀ`.
#[inline(always)]
fn symmetric_update<S: Simd, const W: usize>(
    rows: &[f64],
    padded: usize,
    first_row: usize,
    first_column: usize,
    sums: &mut [f64],
) {
    let mut tile = [[S::splat(0.0); W]; MAX_LANES];
    for row in rows.chunks_exact(padded) {
        let left = &row[first_row..][..S::LANES];
        let right = &row[first_column..][..W * S::LANES];
        let mut lanes = [S::splat(0.0); W];
        for v in 0..W {
            lanes[v] = S::load(&right[v * S::LANES..]);
        }
        for a in 0..S::LANES {
            let y = S::splat(left[a]);
            for v in 0..W {
                tile[a][v] = y.mul_add(lanes[v], tile[a][v]);
            }
        }
    }
    for a in 0..S::LANES {
        let sums = &mut sums[(first_row + a) * padded + first_column..][..W * S::LANES];
        for v in 0..W {
            let sums = &mut sums[v * S::LANES..];
            (S::load(sums) + tile[a][v]).store(sums);
        }
    }
}

/// Adds the live rows to the diagonal moments of component `j`, up to four vectors of columns at once.
#[inline(always)]
fn observe_diagonal<S: Simd>(
    packed: &PackedGaussians,
    j: usize,
    live: Live<'_>,
    moments: &mut Moments,
) {
    let padded = packed.padded;
    let mean = packed.padded_mean(j);
    let firsts = &mut moments.firsts[j * padded..][..padded];
    let seconds = &mut moments.seconds[j * padded..][..padded];
    let mut c = 0;
    while c < padded {
        if c + 4 * S::LANES <= padded {
            observe_columns::<S, 4>(c, live, mean, firsts, seconds);
            c += 4 * S::LANES;
        } else {
            observe_columns::<S, 1>(c, live, mean, firsts, seconds);
            c += S::LANES;
        }
    }
}

/// `W` vectors of columns from `c` on.
#[inline(always)]
fn observe_columns<S: Simd, const W: usize>(
    c: usize,
    live: Live<'_>,
    mean: &[f64],
    firsts: &mut [f64],
    seconds: &mut [f64],
) {
    let zero = S::splat(0.0);
    let (mut mu, mut first, mut second) = ([zero; W], [zero; W], [zero; W]);
    for v in 0..W {
        let at = c + v * S::LANES;
        mu[v] = S::load(&mean[at..]);
        first[v] = S::load(&firsts[at..]);
        second[v] = S::load(&seconds[at..]);
    }
    for &i in live.rows {
        let i = i as usize;
        let w = S::splat(live.weights[i]);
        let x = &live.x[i * live.stride + c..][..W * S::LANES];
        for v in 0..W {
            let z = S::load(&x[v * S::LANES..]) - mu[v];
            let wz = w * z;
            first[v] += wz;
            second[v] = wz.mul_add(z, second[v]);
        }
    }
    for v in 0..W {
        let at = c + v * S::LANES;
        first[v].store(&mut firsts[at..]);
        second[v].store(&mut seconds[at..]);
    }
}

#[cfg(test)]
mod tests;
