//! Full covariances of a few dimensions: lanes are rows, everything stays in registers.

use elbo_linalg::{MAX_LANES, Simd};

use super::{MAX_SUMS, Moments, PackedGaussians, SMALL};

/// Scores for `d = D ≤ 8`, one vector of rows at a time.
#[inline(always)]
pub(super) fn score_small<S: Simd, const D: usize>(
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

/// Adds a block to rows `A..B` of the lane-wise moments for `d = D ≤ 8`; `A = 0` also to the weight.
#[inline(always)]
pub(super) fn observe_small<S: Simd, const D: usize, const A: usize, const B: usize>(
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
pub(super) fn add_lane_sums<S: Simd>(sums: &mut [f64], j: usize, moments: &mut Moments) {
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
