//! A block of rows as the kernels read it: transposed, or as whole vectors.

use elbo_linalg::{MAX_LANES, Rows, Simd};

use super::{PackedGaussians, TILE_ROWS};

/// Rows per group of the transposed block.
#[inline(always)]
pub(super) fn group<S: Simd>(packed: &PackedGaussians) -> usize {
    if packed.is_small() { S::LANES } else { S::TILE * S::LANES }
}

/// Columns per group of the transposed block; those beyond `d` are zero.
#[inline(always)]
pub(super) fn columns(packed: &PackedGaussians) -> usize {
    if packed.is_small() { packed.d } else { packed.d.next_multiple_of(TILE_ROWS) }
}

/// Fills `[group][column][row in group]`; the last row is repeated to the end of its group.
#[inline(always)]
pub(super) fn transpose<S: Simd>(packed: &PackedGaussians, rows: Rows<'_>, transposed: &mut [f64]) {
    let (group, columns) = (group::<S>(packed), columns(packed));
    let groups = transposed.chunks_exact_mut(group * columns).take(rows.n.div_ceil(group));
    for (g, block) in groups.enumerate() {
        for first in (0..group).step_by(S::LANES) {
            let mut starts = [0; MAX_LANES];
            for (a, start) in starts.iter_mut().enumerate() {
                *start = (g * group + first + a).min(rows.n - 1) * rows.row_stride;
            }
            transpose_vector::<S>(rows, starts, columns, group, &mut block[first..]);
        }
    }
}

/// Writes one vector of rows, of which the data begin at `starts`, as lanes: column `c` at `to[c · width]`; columns
/// beyond `d` are zero.
#[inline(always)]
pub(super) fn transpose_vector<S: Simd>(
    rows: Rows<'_>,
    starts: [usize; MAX_LANES],
    columns: usize,
    width: usize,
    to: &mut [f64],
) {
    let whole = if rows.column_stride == 1 { rows.d / S::LANES * S::LANES } else { 0 };
    for c in (0..whole).step_by(S::LANES) {
        let mut square = [S::splat(0.0); MAX_LANES];
        for a in 0..S::LANES {
            square[a] = S::load(&rows.data[starts[a] + c..]);
        }
        S::transpose(&mut square);
        for a in 0..S::LANES {
            square[a].store(&mut to[(c + a) * width..]);
        }
    }
    for c in whole..rows.d {
        let lanes = &mut to[c * width..][..S::LANES];
        for (lane, start) in lanes.iter_mut().zip(starts) {
            *lane = rows.data[start + c * rows.column_stride];
        }
    }
    for c in rows.d..columns {
        S::splat(0.0).store(&mut to[c * width..]);
    }
}

/// The rows as they are if they consist of whole vectors, else copies padded with zeros; and their stride.
#[inline(always)]
pub(super) fn whole_vectors<'a>(
    rows: Rows<'a>,
    padded: usize,
    copies: &'a mut [f64],
) -> (&'a [f64], usize) {
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

/// The rows of a block that a component owns a share of.
#[derive(Clone, Copy)]
pub(super) struct Live<'a> {
    pub(super) rows: &'a [u32],
    pub(super) weights: &'a [f64],
    pub(super) x: &'a [f64],
    pub(super) stride: usize,
}

/// Lists the rows of positive weight; returns the total weight and their number.
#[inline(always)]
pub(super) fn list_live<S: Simd>(weights: &[f64], live: &mut [u32]) -> (f64, usize) {
    let (mut total, mut count) = (S::splat(0.0), 0);
    for (lanes, row) in weights.chunks(S::LANES).zip((0..).step_by(S::LANES)) {
        let w = S::load_or(lanes, 0.0);
        total += w;
        let bits = S::mask_bits(S::splat(0.0).lt(w));
        count += S::list_set_bits(bits, row, &mut live[count..]);
    }
    (total.sum(), count)
}
