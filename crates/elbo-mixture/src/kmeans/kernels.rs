//! Rows meet centers: scores in register tiles of 4 centers × a few vectors of rows, and sums about the centers.
//!
//! A panel of rows is transposed into cache once, lanes being rows. For each group of four centers the scores of the
//! panel stay in registers over all columns, and a [`Sink`] takes them from there: `n × k` scores never exist.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::{Kernel, Lanes, MAX_LANES, MAX_TILE, MAX_WIDTH, Number, Simd};

use super::packed::{GROUP, HEADER, Packed};

/// Rows of the largest panel.
pub(super) const MAX_PANEL: usize = MAX_WIDTH * MAX_TILE;

/// Rows that lie one after the other; row `i` is `values[i · stride..][..d]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a, T> {
    pub(super) values: &'a [T],
    pub(super) stride: usize,
    pub(super) n: usize,
    pub(super) d: usize,
}

impl<'a, T> Block<'a, T> {
    /// Row `i`.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &'a [T] {
        &self.values[i * self.stride..][..self.d]
    }
}

/// The nearest center of every row.
///
/// `labels[i]` becomes the first of the centers that score highest. Cost: `n·k·d` multiply-adds.
pub(super) struct Nearest<'a, T> {
    pub(super) rows: Block<'a, T>,
    pub(super) packed: &'a Packed<T>,
    /// At least `MAX_PANEL · d` numbers.
    pub(super) panel: &'a mut [T],
    /// `n` numbers.
    pub(super) labels: &'a mut [u32],
}

/// The nearest center of some rows, and how far the second is.
pub(super) struct NearestTwo<'a, T> {
    pub(super) rows: Block<'a, T>,
    /// Which rows.
    pub(super) list: &'a [u32],
    pub(super) packed: &'a Packed<T>,
    /// At least `MAX_PANEL · d` numbers.
    pub(super) panel: &'a mut [T],
    /// One for each of the list.
    pub(super) labels: &'a mut [u32],
    /// Squared distance to the second nearest center in the frame, one for each of the list.
    pub(super) second: &'a mut [f64],
}

/// All squared distances, in the frame, between rows and centers that are packed by differences.
pub(super) struct Distances<'a, T> {
    pub(super) rows: Block<'a, T>,
    pub(super) packed: &'a Packed<T>,
    /// At least `MAX_PANEL · d` numbers.
    pub(super) panel: &'a mut [T],
    /// `k` rows of `stride` numbers, `n` of which are written.
    pub(super) out: &'a mut [f64],
    pub(super) stride: usize,
}

/// What takes the scores of a panel.
trait Sink<T, V, const C: usize> {
    /// A panel begins: `n` rows from `first` on count, with these squared lengths.
    fn begin(&mut self, first: usize, n: usize, squares: &[V; C]);
    /// Scores of four centers with their header.
    fn group(&mut self, header: &[T], scores: &[[V; C]; GROUP]);
    /// The same panel ends.
    fn end(&mut self, first: usize, n: usize);
    /// Are squares of the rows needed?
    const SQUARES: bool;
}

/// Runs a kernel body with the tile of the instruction set and the way of scoring.
macro_rules! panels {
    ($T:ty, $S:ty, $self:ident, $list:expr, $sink:ident) => {
        match (<$S>::TILE, $self.packed.by_differences) {
            (4, false) => panels::<$T, <$T>::Vector<$S>, _, 4, false>(
                $self.rows,
                $list,
                $self.packed,
                $self.panel,
                $sink!(4),
            ),
            (4, true) => panels::<$T, <$T>::Vector<$S>, _, 4, true>(
                $self.rows,
                $list,
                $self.packed,
                $self.panel,
                $sink!(4),
            ),
            (_, false) => panels::<$T, <$T>::Vector<$S>, _, 2, false>(
                $self.rows,
                $list,
                $self.packed,
                $self.panel,
                $sink!(2),
            ),
            (_, true) => panels::<$T, <$T>::Vector<$S>, _, 2, true>(
                $self.rows,
                $list,
                $self.packed,
                $self.panel,
                $sink!(2),
            ),
        }
    };
}

impl<T: Number> Kernel for Nearest<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let labels = self.labels;
        macro_rules! sink {
            ($tile:literal) => {
                BestSink::<T, T::Vector<S>, $tile> {
                    best: [T::Vector::<S>::splat(T::nearest(f64::NEG_INFINITY)); $tile],
                    index: [T::Vector::<S>::splat(T::default()); $tile],
                    labels,
                    numbers: [T::default(); MAX_WIDTH],
                }
            };
        }
        panels!(T, S, self, All(self.rows.n), sink);
    }
}

impl<T: Number> Kernel for NearestTwo<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let (labels, second) = (self.labels, self.second);
        let by_differences = self.packed.by_differences;
        macro_rules! sink {
            ($tile:literal) => {
                TwoSink::<T, T::Vector<S>, $tile> {
                    best: [T::Vector::<S>::splat(T::nearest(f64::NEG_INFINITY)); $tile],
                    second: [T::Vector::<S>::splat(T::nearest(f64::NEG_INFINITY)); $tile],
                    index: [T::Vector::<S>::splat(T::default()); $tile],
                    squares: [T::Vector::<S>::splat(T::default()); $tile],
                    by_differences,
                    labels,
                    distances: second,
                    numbers: [T::default(); MAX_WIDTH],
                }
            };
        }
        panels!(T, S, self, Listed(self.list), sink);
    }
}

impl<T: Number> Kernel for Distances<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        assert!(self.packed.by_differences, "distances are sums of differences");
        let (out, stride, k) = (self.out, self.stride, self.packed.k);
        macro_rules! sink {
            ($tile:literal) => {
                TableSink::<T> {
                    out,
                    stride,
                    k,
                    center: 0,
                    first: 0,
                    n: 0,
                    numbers: [T::default(); MAX_WIDTH],
                }
            };
        }
        panels!(T, S, self, All(self.rows.n), sink);
    }
}

/// Which rows a kernel sees.
trait Which: Copy {
    fn len(self) -> usize;
    fn at(self, i: usize) -> usize;
}

#[derive(Clone, Copy)]
struct All(usize);

impl Which for All {
    #[inline(always)]
    fn len(self) -> usize {
        self.0
    }

    #[inline(always)]
    fn at(self, i: usize) -> usize {
        i
    }
}

#[derive(Clone, Copy)]
struct Listed<'a>(&'a [u32]);

impl Which for Listed<'_> {
    #[inline(always)]
    fn len(self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn at(self, i: usize) -> usize {
        self.0[i] as usize
    }
}

/// Shows the scores of all rows and centers to `sink`, panel by panel, group by group.
#[inline(always)]
fn panels<T, V, K, const C: usize, const DIFFERENCES: bool>(
    rows: Block<'_, T>,
    which: impl Which,
    packed: &Packed<T>,
    panel: &mut [T],
    mut sink: K,
) where
    T: Number,
    V: Lanes<T>,
    K: Sink<T, V, C>,
{
    let d = packed.d;
    let panel = &mut panel[..d * C * V::WIDTH];
    for first in (0..which.len()).step_by(C * V::WIDTH) {
        fill::<T, V, C>(rows, which, first, packed, panel);
        let mut squares = [V::splat(T::default()); C];
        if K::SQUARES {
            for column in panel.chunks_exact(C * V::WIDTH) {
                for (square, x) in squares.iter_mut().zip(column.chunks_exact(V::WIDTH)) {
                    let x = V::load(x);
                    *square = x.mul_add(x, *square);
                }
            }
        }
        let n = (which.len() - first).min(C * V::WIDTH);
        sink.begin(first, n, &squares);
        for group in packed.groups.chunks_exact(HEADER + GROUP * d) {
            let (header, centers) = group.split_at(HEADER);
            let scores = tile::<T, V, C, DIFFERENCES>(panel, header, centers);
            sink.group(header, &scores);
        }
        sink.end(first, n);
    }
}

/// Scores of one panel under four centers, all in registers.
#[inline(always)]
fn tile<T: Number, V: Lanes<T>, const C: usize, const DIFFERENCES: bool>(
    panel: &[T],
    header: &[T],
    centers: &[T],
) -> [[V; C]; GROUP] {
    let mut scores = [[V::splat(T::default()); C]; GROUP];
    let zero = V::splat(T::default());
    for (scores, begin) in scores.iter_mut().zip(header) {
        let begin = V::splat(*begin);
        *scores = [if DIFFERENCES { zero.minus(begin) } else { begin }; C];
    }
    for (column, center) in panel.chunks_exact(C * V::WIDTH).zip(centers.chunks_exact(GROUP)) {
        let mut x = [V::splat(T::default()); C];
        for (x, from) in x.iter_mut().zip(column.chunks_exact(V::WIDTH)) {
            *x = V::load(from);
        }
        for (scores, center) in scores.iter_mut().zip(center) {
            let center = V::splat(*center);
            for (score, x) in scores.iter_mut().zip(x) {
                *score = if DIFFERENCES {
                    let difference = x.minus(center);
                    difference.mul_add(difference, *score)
                } else {
                    x.mul_add(center, *score)
                };
            }
        }
    }
    if DIFFERENCES {
        scores.as_flattened_mut().iter_mut().for_each(|score| *score = zero.minus(*score));
    }
    scores
}

/// Copies a panel of rows, transposed, into the frame. Rows beyond the last one repeat it.
#[inline(always)]
fn fill<T: Number, V: Lanes<T>, const C: usize>(
    rows: Block<'_, T>,
    which: impl Which,
    first: usize,
    packed: &Packed<T>,
    panel: &mut [T],
) {
    let (d, width) = (packed.d, V::WIDTH);
    let scale = V::splat(packed.frame.scale);
    let last = which.len() - 1;
    for part in 0..C {
        for left in (0..d).step_by(width) {
            let mut square = [scale; MAX_WIDTH];
            for (lane, row) in square.iter_mut().enumerate().take(width) {
                let i = which.at((first + part * width + lane).min(last));
                *row = load_at::<T, V>(rows.values, i * rows.stride + left);
            }
            V::transpose(&mut square);
            for (column, x) in (left..d.min(left + width)).zip(square) {
                let x = x.minus(V::splat(packed.frame.origin[column])).times(scale);
                x.store(&mut panel[(column * C + part) * width..]);
            }
        }
    }
}

/// A vector from `values[at..]`; what lies beyond the end of all values is zero.
#[inline(always)]
fn load_at<T: Number, V: Lanes<T>>(values: &[T], at: usize) -> V {
    if let Some(whole) = values.get(at..at + V::WIDTH) {
        return V::load(whole);
    }
    let mut head = [T::default(); MAX_WIDTH];
    for (to, from) in head.iter_mut().zip(&values[at..]) {
        *to = *from;
    }
    V::load(&head)
}

/// Keeps the index of the highest score.
struct BestSink<'a, T, V, const C: usize> {
    best: [V; C],
    index: [V; C],
    labels: &'a mut [u32],
    numbers: [T; MAX_WIDTH],
}

impl<T: Number, V: Lanes<T>, const C: usize> Sink<T, V, C> for BestSink<'_, T, V, C> {
    const SQUARES: bool = false;

    #[inline(always)]
    fn begin(&mut self, _: usize, _: usize, _: &[V; C]) {
        self.best = [V::splat(T::nearest(f64::NEG_INFINITY)); C];
        self.index = [V::splat(T::default()); C];
    }

    #[inline(always)]
    fn group(&mut self, header: &[T], scores: &[[V; C]; GROUP]) {
        for (scores, index) in scores.iter().zip(&header[GROUP..]) {
            let index = V::splat(*index);
            for c in 0..C {
                let higher = self.best[c].lt(scores[c]);
                self.index[c] = V::select(higher, index, self.index[c]);
                self.best[c] = V::select(higher, scores[c], self.best[c]);
            }
        }
    }

    #[inline(always)]
    fn end(&mut self, first: usize, n: usize) {
        write_labels(&self.index, &mut self.numbers, &mut self.labels[first..][..n]);
    }
}

/// Keeps the index of the highest score and the second highest score.
struct TwoSink<'a, T, V, const C: usize> {
    best: [V; C],
    second: [V; C],
    index: [V; C],
    squares: [V; C],
    by_differences: bool,
    labels: &'a mut [u32],
    distances: &'a mut [f64],
    numbers: [T; MAX_WIDTH],
}

impl<T: Number, V: Lanes<T>, const C: usize> Sink<T, V, C> for TwoSink<'_, T, V, C> {
    const SQUARES: bool = true;

    #[inline(always)]
    fn begin(&mut self, _: usize, _: usize, squares: &[V; C]) {
        self.best = [V::splat(T::nearest(f64::NEG_INFINITY)); C];
        self.second = self.best;
        self.index = [V::splat(T::default()); C];
        self.squares = *squares;
    }

    #[inline(always)]
    fn group(&mut self, header: &[T], scores: &[[V; C]; GROUP]) {
        for (scores, index) in scores.iter().zip(&header[GROUP..]) {
            let index = V::splat(*index);
            for c in 0..C {
                let higher = self.best[c].lt(scores[c]);
                self.second[c] = self.second[c].max(scores[c].min(self.best[c]));
                self.index[c] = V::select(higher, index, self.index[c]);
                self.best[c] = V::select(higher, scores[c], self.best[c]);
            }
        }
    }

    #[inline(always)]
    fn end(&mut self, first: usize, n: usize) {
        write_labels(&self.index, &mut self.numbers, &mut self.labels[first..][..n]);
        let distances = &mut self.distances[first..][..n];
        for ((second, square), out) in
            self.second.iter().zip(&self.squares).zip(distances.chunks_mut(V::WIDTH))
        {
            // ‖x‖² − 2 (x·c − ½‖c‖²), or the square itself.
            let factor = if self.by_differences { -1.0 } else { -2.0 };
            let square = if self.by_differences { V::splat(T::default()) } else { *square };
            second.mul_add(V::splat(T::nearest(factor)), square).store(&mut self.numbers);
            for (out, x) in out.iter_mut().zip(&self.numbers) {
                *out = (*x).into();
            }
        }
    }
}

/// Writes indices as labels.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "indices are whole numbers below 2²⁴"
)]
#[inline(always)]
fn write_labels<T: Number, V: Lanes<T>>(
    index: &[V],
    numbers: &mut [T; MAX_WIDTH],
    labels: &mut [u32],
) {
    for (index, labels) in index.iter().zip(labels.chunks_mut(V::WIDTH)) {
        index.store(numbers);
        for (label, index) in labels.iter_mut().zip(numbers.iter()) {
            let index: f64 = (*index).into();
            *label = index as u32;
        }
    }
}

/// Writes all distances.
struct TableSink<'a, T> {
    out: &'a mut [f64],
    stride: usize,
    k: usize,
    center: usize,
    first: usize,
    n: usize,
    numbers: [T; MAX_WIDTH],
}

impl<T: Number, V: Lanes<T>, const C: usize> Sink<T, V, C> for TableSink<'_, T> {
    const SQUARES: bool = false;

    #[inline(always)]
    fn begin(&mut self, first: usize, n: usize, _: &[V; C]) {
        (self.center, self.first, self.n) = (0, first, n);
    }

    #[inline(always)]
    fn group(&mut self, _: &[T], scores: &[[V; C]; GROUP]) {
        for scores in scores.iter().take(self.k - self.center) {
            let out = &mut self.out[self.center * self.stride + self.first..][..self.n];
            for (score, out) in scores.iter().zip(out.chunks_mut(V::WIDTH)) {
                score.store(&mut self.numbers);
                for (out, score) in out.iter_mut().zip(&self.numbers) {
                    *out = -Into::<f64>::into(*score);
                }
            }
            self.center += 1;
        }
    }

    #[inline(always)]
    fn end(&mut self, _: usize, _: usize) {}
}

/// Sums of rows about their centers.
///
/// | argument | shape | on exit |
/// |---|---|---|
/// | `sums` | `k × padded` | + `Σ w (x − c)` |
/// | `spreads` | `k × MAX_LANES` | + `Σ w (x − c)²`, lane by lane |
/// | `totals` | `k` | + `Σ w` |
/// | `distances` | `n`, or empty | `‖x − c‖²` |
///
/// Rows are added in their order, so that sums do not depend on how labels were found. Cost: `n·d`.
pub(super) struct Accumulate<'a, T> {
    pub(super) rows: Block<'a, T>,
    pub(super) labels: &'a [u32],
    pub(super) weights: Option<&'a [f64]>,
    /// `k × padded`, zeros behind each.
    pub(super) centers: &'a [f64],
    pub(super) padded: usize,
    pub(super) sums: &'a mut [f64],
    pub(super) spreads: &'a mut [f64],
    pub(super) totals: &'a mut [f64],
    pub(super) distances: &'a mut [f64],
}

impl<T: Number> Kernel for Accumulate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { rows, labels, weights, centers, padded, sums, spreads, totals, distances } =
            self;
        let d = rows.d;
        for (i, label) in labels[..rows.n].iter().enumerate() {
            let j = *label as usize;
            let weight = weights.map_or(1.0, |weights| weights[i]);
            let w = S::splat(weight);
            let row = rows.row(i);
            let center = &centers[j * padded..][..padded];
            let sum = &mut sums[j * padded..][..padded];
            let mut square = S::splat(0.0);
            let mut left = 0;
            while left < d {
                let x = T::widen::<S>(&row[left..]);
                let difference = x - S::load(&center[left..]);
                let to = &mut sum[left..];
                S::mul_add(difference, w, S::load(to)).store(to);
                square = S::mul_add(difference, difference, square);
                left += S::LANES;
            }
            let spread = &mut spreads[j * MAX_LANES..][..MAX_LANES];
            S::mul_add(square, w, S::load(spread)).store(spread);
            totals[j] += weight;
            if let Some(distance) = distances.get_mut(i) {
                *distance = square.sum();
            }
        }
    }
}
