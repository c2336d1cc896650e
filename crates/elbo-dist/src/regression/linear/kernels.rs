//! Scores and moments of a block of rows. Plain loops over [`LANES`] rows side by side, compiled for the instruction
//! set at hand.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::{Kernel, Simd};

use super::stats::{Sums, packed};
use crate::regression::plane::{Columns, LANES, Plane, dot, total};

/// One component: rows are scored by `constant − ½ (‖U r‖² + ‖V u‖²)`, where `u = x − c` and `r` is the residual.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) plane: Plane,
    pub(super) constant: f64,
    /// `U`, lower triangular, row-major, or its diagonal.
    pub(super) whitening: Vec<f64>,
    /// `V`, lower triangular, row-major: the uncertainty of the slopes under a posterior; empty for points.
    pub(super) spread: Vec<f64>,
}

/// Writes the scores of the rows of `x` and `y` to `out`.
pub(super) struct Score<'a> {
    pub(super) packed: &'a Packed,
    pub(super) x: &'a Columns,
    pub(super) y: &'a Columns,
    /// Room for `LANES` residuals of each output.
    pub(super) residuals: &'a mut [[f64; LANES]],
    pub(super) out: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Self { packed, x, y, residuals, out } = self;
        for (chunk, out) in out.chunks_mut(LANES).enumerate() {
            let start = chunk * LANES;
            residuals_into(&packed.plane, x, y, start, residuals);
            let mut square = [0.0; LANES];
            add_whitened_square(&packed.whitening, residuals, &mut square);
            add_spread_square(packed, x, start, &mut square);
            for (out, square) in out.iter_mut().zip(&square) {
                *out = packed.constant - 0.5 * square;
            }
        }
    }
}

/// `r = y − v − B (x − c)` of the rows from `start`.
#[inline(always)]
fn residuals_into(plane: &Plane, x: &Columns, y: &Columns, start: usize, out: &mut [[f64; LANES]]) {
    for (o, r) in out.iter_mut().enumerate() {
        for (r, y) in r.iter_mut().zip(y.lanes(o, start)) {
            *r = y - plane.value[o];
        }
        for (a, (b, c)) in plane.row(o).iter().zip(&plane.center).enumerate() {
            for (r, x) in r.iter_mut().zip(x.lanes(a, start)) {
                *r -= b * (x - c);
            }
        }
    }
}

/// `+ ‖U r‖²`.
#[inline(always)]
fn add_whitened_square(u: &[f64], residuals: &[[f64; LANES]], square: &mut [f64; LANES]) {
    let q = residuals.len();
    for o in 0..q {
        let mut z = [0.0; LANES];
        if u.len() == q {
            add_lanes(&mut z, u[o], &residuals[o]);
        } else {
            for (u, r) in u[o * q..=o * q + o].iter().zip(residuals) {
                add_lanes(&mut z, *u, r);
            }
        }
        for (square, z) in square.iter_mut().zip(&z) {
            *square += z * z;
        }
    }
}

/// `+ ‖V (x − c)‖²`.
#[inline(always)]
fn add_spread_square(packed: &Packed, x: &Columns, start: usize, square: &mut [f64; LANES]) {
    if packed.spread.is_empty() {
        return;
    }
    let center = &packed.plane.center;
    let p = center.len();
    for a in 0..p {
        let mut z = [0.0; LANES];
        for (b, v) in packed.spread[a * p..=a * p + a].iter().enumerate() {
            for (z, x) in z.iter_mut().zip(x.lanes(b, start)) {
                *z += v * (x - center[b]);
            }
        }
        for (square, z) in square.iter_mut().zip(&z) {
            *square += z * z;
        }
    }
}

#[inline(always)]
fn add_lanes(to: &mut [f64; LANES], factor: f64, from: &[f64]) {
    for (to, x) in to.iter_mut().zip(from) {
        *to += factor * x;
    }
}

/// Adds the moments of `n` rows about `plane`.
pub(super) struct Observe<'a> {
    pub(super) plane: &'a Plane,
    pub(super) x: &'a Columns,
    pub(super) y: &'a Columns,
    /// One for each row, zero where the response is missing.
    pub(super) weights: &'a [f64],
    /// Room for `p + q` columns: covariates and residuals.
    pub(super) z: &'a mut Columns,
    /// The same, times the weights.
    pub(super) wz: &'a mut Columns,
    pub(super) weight: &'a mut f64,
    pub(super) sums: &'a mut Sums,
}

impl Kernel for Observe<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self) {
        self.center();
        let n = self.weights.len();
        let (p, q) = (self.plane.covariates(), self.plane.outputs());
        let Self { weights, z, wz, weight, sums, .. } = self;
        *weight += total(weights);
        for a in 0..p {
            let u = wz.column(a, n);
            sums.u[a] += total(u);
            for b in 0..=a {
                sums.uu[packed(a, b)] += dot(u, z.column(b, n));
            }
        }
        let diagonal = sums.rr.len() == q;
        for o in 0..q {
            let r = wz.column(p + o, n);
            sums.r[o] += total(r);
            for a in 0..p {
                sums.ru[o * p + a] += dot(r, z.column(a, n));
            }
            if diagonal {
                sums.rr[o] += dot(r, z.column(p + o, n));
                continue;
            }
            for second in 0..=o {
                sums.rr[packed(o, second)] += dot(r, z.column(p + second, n));
            }
        }
    }
}

impl Observe<'_> {
    /// Fills `z` and `wz`. Rows of weight zero are zero in both, whatever they hold.
    #[inline(always)]
    fn center(&mut self) {
        let n = self.weights.len();
        let (p, q) = (self.plane.covariates(), self.plane.outputs());
        for a in 0..p {
            let c = self.plane.center[a];
            let rows = self.x.column(a, n).iter().zip(self.weights);
            for (u, (x, w)) in self.z.column_mut(a, n).iter_mut().zip(rows) {
                *u = if *w == 0.0 { 0.0 } else { x - c };
            }
        }
        for o in 0..q {
            let (u, r) = self.z.split_mut(p, p + o, n);
            let v = self.plane.value[o];
            let rows = self.y.column(o, n).iter().zip(self.weights);
            for (r, (y, w)) in r.iter_mut().zip(rows) {
                *r = if *w == 0.0 { 0.0 } else { y - v };
            }
            for (a, b) in self.plane.row(o).iter().enumerate() {
                for (r, u) in r.iter_mut().zip(u.column(a, n)) {
                    *r -= b * u;
                }
            }
        }
        for j in 0..p + q {
            let rows = self.z.column(j, n).iter().zip(self.weights);
            for (wz, (z, w)) in self.wz.column_mut(j, n).iter_mut().zip(rows) {
                *wz = w * z;
            }
        }
    }
}
