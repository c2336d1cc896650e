//! Full covariances of many dimensions: tiles of a triangular product, queues of rows for symmetric updates.

use elbo_linalg::{MAX_LANES, MAX_TILE, Simd};

use super::block::{Live, columns};
use super::{Moments, PackedGaussians, Queues, TILE_ROWS, tiles_len};

/// Scores for large full covariances: tiles of 4 outputs × [`Simd::TILE`] vectors of rows.
#[inline(always)]
pub(super) fn score_large<S: Simd>(
    packed: &PackedGaussians,
    x: &[f64],
    n: usize,
    out: &mut [f64],
    stride: usize,
    centered: &mut [f64],
) {
    norms_of_block::<S>(packed, x, n, columns(packed), out, stride, centered);
    for (j, out) in out.chunks_mut(stride).take(packed.k).enumerate() {
        let constant = S::splat(packed.constants[j]);
        for out in out[..n].chunks_mut(S::LANES) {
            (constant - S::load_or(out, 0.0)).store_head(out);
        }
    }
}

/// Writes `½ ‖U (x − μ)‖²` over the first `outputs` numbers of `U (x − μ)`, a multiple of [`TILE_ROWS`].
#[inline(always)]
pub(super) fn norms_of_block<S: Simd>(
    packed: &PackedGaussians,
    x: &[f64],
    n: usize,
    outputs: usize,
    out: &mut [f64],
    stride: usize,
    centered: &mut [f64],
) {
    let (group, columns) = (S::TILE * S::LANES, columns(packed));
    let z = &mut centered[..group * outputs];
    for (j, out) in out.chunks_mut(stride).take(packed.k).enumerate() {
        let mean = packed.padded_mean(j);
        for (x, out) in x.chunks_exact(group * columns).zip(out[..n].chunks_mut(group)) {
            for ((z, x), mean) in z.chunks_exact_mut(group).zip(x.chunks_exact(group)).zip(mean) {
                let mean = S::splat(*mean);
                for v in 0..S::TILE {
                    let at = v * S::LANES;
                    (S::load(&x[at..]) - mean).store(&mut z[at..]);
                }
            }
            let mut norm = [S::splat(0.0); MAX_TILE];
            if S::TILE == MAX_TILE {
                add_norms::<S, MAX_TILE>(z, packed.whitening(j), 0, outputs, &mut norm);
            } else {
                add_norms::<S, 2>(z, packed.whitening(j), 0, outputs, &mut norm);
            }
            for (out, norm) in out.chunks_mut(S::LANES).zip(norm) {
                norm.store_head(out);
            }
        }
    }
}

/// Adds the squares of outputs `from..to` of a triangular product to `norm`, for `V` vectors of centered rows.
///
/// `z` is `[column][row]`, and `whitening` the tiles of the whole triangle.
#[inline(always)]
pub(super) fn add_norms<S: Simd, const V: usize>(
    z: &[f64],
    whitening: &[f64],
    from: usize,
    to: usize,
    norm: &mut [S; MAX_TILE],
) {
    let (group, zero) = (V * S::LANES, S::splat(0.0));
    let mut tiles = &whitening[tiles_len(from)..];
    for last in (from + TILE_ROWS..=to).step_by(TILE_ROWS) {
        let (tile, rest) = tiles.split_at(TILE_ROWS * last);
        tiles = rest;
        let mut y = [[zero; V]; TILE_ROWS];
        for (u, z) in tile.chunks_exact(TILE_ROWS).zip(z.chunks_exact(group)) {
            let mut lanes = [zero; V];
            for v in 0..V {
                lanes[v] = S::load(&z[v * S::LANES..]);
            }
            for a in 0..TILE_ROWS {
                let u = S::splat(u[a]);
                for v in 0..V {
                    y[a][v] = u.mul_add(lanes[v], y[a][v]);
                }
            }
        }
        for a in 0..TILE_ROWS {
            for v in 0..V {
                norm[v] = y[a][v].mul_add(y[a][v], norm[v]);
            }
        }
    }
}

/// Puts `√w (x − μ)` of the live rows into the queue of component `j`.
#[inline(always)]
pub(super) fn enqueue<S: Simd>(
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
pub(super) fn flush<S: Simd>(padded: usize, j: usize, moments: &mut Moments, queues: &mut Queues) {
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
pub(super) fn symmetric_update<S: Simd, const W: usize>(
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
