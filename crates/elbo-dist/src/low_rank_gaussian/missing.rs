//! Rows with missing numbers: what was observed is scored by its marginal density, the rest completed by it.

use std::f64::consts::TAU;

use elbo_core::{BLOCK, BLOCK_STRIDE, Batch, Rows};
use elbo_linalg::{
    LowRankPlusDiagonal, cholesky_in_place, log_det_from_cholesky, rank_one_update_lower,
    solve_lower_in_place, solve_lower_transposed_in_place,
};

use crate::multivariate_gaussian::kernels::Moments;

/// What one worker needs for rows with missing numbers. The factors of a pattern are found once for rows that follow each
/// other.
///
/// A column that is missing is one of infinite uniqueness: with `O` the columns observed, `M = I + Σ_O wᵢ wᵢᵀ/ψᵢ` is the
/// precision of the factors given the row, `ẑ = M⁻¹ Σ_O wᵢ xᵢ/ψᵢ` their mean, `|Σ_O| = |M| Π_O ψᵢ`. Missing columns then
/// have the mean `wᵢ · ẑ` and the covariances `wᵢᵀ M⁻¹ wⱼ`, and their own `ψᵢ`.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    /// The rows of a block that miss something.
    rows: Vec<u32>,
    /// Which columns the factor below is of; empty if of none.
    observed: Vec<bool>,
    /// Cholesky factor of `M`.
    factor: Vec<f64>,
    /// `|O| ln 2π + ln |Σ_O|`.
    constant: f64,
    /// `ẑ`.
    factors: Vec<f64>,
    /// `L⁻¹ wᵢ` of missing columns, `d × q`, where `M = L Lᵀ`.
    spread: Vec<f64>,
    /// A block without the rows that miss something, and its weights.
    data: Vec<f64>,
    weights: Vec<f64>,
}

impl Missing {
    /// Working memory for blocks under `k` components, `d × q` loadings.
    pub(super) fn new(k: usize, d: usize, q: usize) -> Self {
        Self {
            rows: Vec::with_capacity(BLOCK),
            observed: Vec::with_capacity(d),
            factor: vec![0.0; q * q],
            constant: 0.0,
            factors: vec![0.0; q],
            spread: vec![0.0; d * q],
            data: vec![0.0; BLOCK * d],
            weights: vec![0.0; k * BLOCK_STRIDE],
        }
    }

    /// Forgets the factors: those to come are of another component.
    pub(super) fn start(&mut self) {
        self.observed.clear();
    }

    /// The log density of what is observed of a centered row, in nats; 0 if that is nothing.
    pub(super) fn score(&mut self, centered: &[f64], of: &LowRankPlusDiagonal) -> f64 {
        if !self.prepare(centered, of) {
            return 0.0;
        }
        self.project(centered, of);
        let q = of.rank();
        let mut distance: f64 = self.factors.iter().map(|z| z * z).sum();
        for (i, x) in centered.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let residual = x - product(&of.loadings()[i * q..][..q], &self.factors);
            distance += residual * residual / of.variances()[i];
        }
        -0.5 * (self.constant + distance)
    }

    /// Adds a centered row that misses something, completed, to the moments of component `j`. `centered` is overwritten.
    pub(super) fn observe(
        &mut self,
        centered: &mut [f64],
        weight: f64,
        of: &LowRankPlusDiagonal,
        (moments, j): (&mut Moments, usize),
    ) {
        if !self.prepare(centered, of) {
            return;
        }
        self.project(centered, of);
        let (q, padded) = (of.rank(), moments.padded());
        for (i, x) in centered.iter_mut().enumerate().filter(|(_, x)| x.is_nan()) {
            *x = product(&of.loadings()[i * q..][..q], &self.factors);
        }
        let (total, firsts, seconds) = moments.sums_mut(j);
        *total += weight;
        for (a, x) in centered.iter().enumerate() {
            firsts[a] += weight * x;
            let row = &mut seconds[a * padded..][..=a];
            row.iter_mut().zip(&*centered).for_each(|(sum, y)| *sum += weight * x * y);
            if self.observed[a] {
                continue;
            }
            row[a] += weight * of.variances()[a];
            let own = &self.spread[a * q..][..q];
            for (b, sum) in row.iter_mut().enumerate().filter(|(b, _)| !self.observed[*b]) {
                *sum += weight * product(own, &self.spread[b * q..][..q]);
            }
        }
    }

    /// Finds the factors of the row's pattern, unless they are at hand. Is anything observed at all?
    fn prepare(&mut self, row: &[f64], of: &LowRankPlusDiagonal) -> bool {
        let same = |observed: &[bool]| observed.iter().zip(row).all(|(o, x)| *o != x.is_nan());
        if self.observed.len() != row.len() || !same(&self.observed) {
            self.observed.clear();
            self.observed.extend(row.iter().map(|x| !x.is_nan()));
            self.find_factor(of);
        }
        self.observed.contains(&true)
    }

    fn find_factor(&mut self, of: &LowRankPlusDiagonal) {
        let q = of.rank();
        self.factor.fill(0.0);
        (0..q).for_each(|a| self.factor[a * q + a] = 1.0);
        self.constant = 0.0;
        for (i, variance) in of.variances().iter().enumerate().filter(|(i, _)| self.observed[*i]) {
            let loading = &of.loadings()[i * q..][..q];
            rank_one_update_lower(&mut self.factor, q, variance.recip(), loading);
            self.constant += TAU.ln() + variance.ln();
        }
        // With all columns M could be factored, and it is no smaller than one.
        let factored = cholesky_in_place(&mut self.factor, q);
        debug_assert!(factored.is_ok(), "{factored:?}");
        self.constant += log_det_from_cholesky(&self.factor, q);
        for (i, spread) in
            self.spread.chunks_exact_mut(q).enumerate().filter(|(i, _)| !self.observed[*i])
        {
            spread.copy_from_slice(&of.loadings()[i * q..][..q]);
            solve_lower_in_place(&self.factor, q, spread);
        }
    }

    /// `ẑ`.
    fn project(&mut self, row: &[f64], of: &LowRankPlusDiagonal) {
        let q = of.rank();
        self.factors.fill(0.0);
        for (i, x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let share = x / of.variances()[i];
            elbo_core::add_scaled(&mut self.factors, share, &of.loadings()[i * q..][..q]);
        }
        solve_lower_in_place(&self.factor, q, &mut self.factors);
        solve_lower_transposed_in_place(&self.factor, q, &mut self.factors);
    }

    /// Lists the rows of a block that miss something. Are there any?
    pub(super) fn find(&mut self, data: Rows<'_>) -> bool {
        self.rows.clear();
        let misses = |i: usize| (0..data.d()).any(|c| data.get(i, c).is_nan());
        self.rows.extend((0_u32..).take(data.len()).filter(|i| misses(*i as usize)));
        !self.rows.is_empty()
    }

    /// The rows that [`find`](Self::find) found.
    pub(super) fn found(&self) -> usize {
        self.rows.len()
    }

    /// One of them.
    pub(super) fn row(&self, place: usize) -> usize {
        self.rows[place] as usize
    }

    /// The block with zeros for the rows that miss something, and no weight on them.
    pub(super) fn complete(
        &mut self,
        data: Rows<'_>,
        (weights, stride): (&[f64], usize),
    ) -> (elbo_linalg::Rows<'_>, &[f64]) {
        let (n, d) = (data.len(), data.d());
        for (i, row) in self.data.chunks_exact_mut(d).take(n).enumerate() {
            data.copy_row(i, row);
        }
        for (to, from) in self.weights.chunks_exact_mut(BLOCK_STRIDE).zip(weights.chunks(stride)) {
            to[..n].copy_from_slice(&from[..n]);
            self.rows.iter().for_each(|i| to[*i as usize] = 0.0);
        }
        self.rows.iter().for_each(|i| self.data[*i as usize * d..][..d].fill(0.0));
        let data = &self.data[..n * d];
        (elbo_linalg::Rows { data, n, d, row_stride: d, column_stride: 1 }, &self.weights)
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
