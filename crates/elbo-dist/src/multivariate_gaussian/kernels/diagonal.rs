//! Diagonal covariances.

use elbo_linalg::{MAX_TILE, Simd};

use super::block::{Live, columns};
use super::{Moments, PackedGaussians};

/// Scores for diagonal covariances, two components at a time.
#[inline(always)]
pub(super) fn score_diagonal<S: Simd>(
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
pub(super) fn score_diagonal_of<S: Simd, const P: usize>(
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

/// Adds the live rows to the diagonal moments of component `j`, up to four vectors of columns at once.
#[inline(always)]
pub(super) fn observe_diagonal<S: Simd>(
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
pub(super) fn observe_columns<S: Simd, const W: usize>(
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
