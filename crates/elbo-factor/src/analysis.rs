//! Factor analysis of a sample: maximum likelihood and MAP in the logarithms of the uniquenesses.

use elbo_core::{
    DataError, EStepError, EstimateError, Inference, LatentModel, Repairs, Statistics, add_scaled,
};
use elbo_linalg::{
    View, cholesky_relative, leading_eigen, multiply_into, rank_one_update_lower,
    solve_lower_in_place, solve_lower_transposed_in_place, symmetric_eigen,
};

use crate::{Sample, Whole};

/// Columns up to which second derivatives are exact.
const EXACT: usize = 40;

/// The longest step in the logarithm of a uniqueness.
const LONGEST: f64 = 2.0;

/// Inverse-gamma prior of the share of each column's variance that is its own, `ψⱼ / sⱼⱼ`.
///
/// Its density `∝ ψ^−(a+1) exp(−b/ψ)` is zero at zero, which keeps uniquenesses off the boundary. The mode is taken in `ψ`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UniquenessPrior {
    /// `a > 0`.
    pub shape: f64,
    /// `b > 0`, a share of a variance.
    pub scale: f64,
}

/// Factor analysis with `q` factors as a latent-variable model of one [`Sample`].
///
/// Parameters are the uniquenesses; the best loadings for them are eigenvectors, which the E-step finds. Its statistics are
/// these eigenvectors and eigenvalues, of which gradient and curvature are made: they belong to the parameters they were
/// taken at, and there is a single unit of data, so that nothing is ever merged. The M-step is a step of Newton's method or
/// of Fisher scoring, which the driver halves where it would lower the objective.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorModel {
    pub(crate) q: usize,
    pub(crate) floor: f64,
    pub(crate) prior: Option<UniquenessPrior>,
}

/// Uniquenesses under estimation.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorParams {
    /// `ln(ψⱼ / sⱼⱼ)`.
    pub(crate) log_shares: Vec<f64>,
    /// Rows that span about the space of the factors.
    pub(crate) guess: Vec<f64>,
}

impl FactorParams {
    /// Shares of variances as a start.
    pub(crate) fn new(shares: &[f64], floor: f64) -> Self {
        let log_shares = shares.iter().map(|share| share.max(floor).ln()).collect();
        Self { log_shares, guess: Vec::new() }
    }

    /// `ψⱼ / sⱼⱼ`, the share of each column's variance that the factors leave.
    pub fn shares(&self) -> Vec<f64> {
        self.log_shares.iter().map(|u| u.exp()).collect()
    }
}

/// Eigenvalues and eigenvectors of the correlations in units of `√ψ`.
#[derive(Clone, Debug, PartialEq)]
pub struct FactorStats {
    n: f64,
    /// Largest first: all of up to 40 columns, else `q`.
    values: Vec<f64>,
    /// In rows.
    vectors: Vec<f64>,
}

impl Statistics for FactorStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.n));
        see(&self.values);
        see(&self.vectors);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.n));
        see(&mut self.values);
        see(&mut self.vectors);
    }
}

impl FactorStats {
    /// How many of `q` factors have any loading.
    fn kept(&self, q: usize) -> usize {
        self.values.iter().take(q).take_while(|value| **value > 1.0).count()
    }

    fn vector(&self, a: usize) -> &[f64] {
        let d = self.vectors.len() / self.values.len();
        &self.vectors[a * d..][..d]
    }

    /// Loadings of columns in units of their standard deviations, `d × q`.
    pub(crate) fn loadings(&self, params: &FactorParams, q: usize) -> Vec<f64> {
        let d = params.log_shares.len();
        let mut loadings = vec![0.0; d * q];
        for a in 0..self.kept(q) {
            let length = (self.values[a] - 1.0).sqrt();
            for (i, v) in self.vector(a).iter().enumerate() {
                loadings[i * q + a] = (0.5 * params.log_shares[i]).exp() * v * length;
            }
        }
        loadings
    }
}

/// The correlations in units of `√ψ`.
#[derive(Clone, Debug)]
pub struct FactorScratch {
    scaled: Vec<f64>,
}

impl LatentModel for FactorModel {
    type Data<'a> = Whole<'a>;
    type Params = FactorParams;
    type Stats = FactorStats;
    type Scratch = FactorScratch;

    fn check(&self, params: &FactorParams, data: Whole<'_>) -> Result<(), DataError> {
        let Some(sample) = data.sample() else { return Err(DataError::Empty) };
        let expected = params.log_shares.len();
        if sample.d() != expected {
            return Err(DataError::Dimension { expected, found: sample.d() });
        }
        sample.check_variances()
    }

    fn new_stats(&self, params: &FactorParams) -> FactorStats {
        let d = params.log_shares.len();
        let p = if d <= EXACT { d } else { self.q };
        FactorStats { n: 0.0, values: vec![0.0; p], vectors: vec![0.0; p * d] }
    }

    fn new_scratch(&self, params: &FactorParams) -> FactorScratch {
        FactorScratch { scaled: vec![0.0; params.log_shares.len().pow(2)] }
    }

    fn e_step(
        &self,
        params: &FactorParams,
        data: Whole<'_>,
        how: &mut Inference<'_>,
        stats: &mut FactorStats,
        scratch: &mut FactorScratch,
    ) -> Result<f64, EStepError> {
        let _ = how; // factors are Gaussian: they are integrated out
        let Some(sample) = data.sample() else { return Ok(0.0) };
        scale_correlations(sample, params, &mut scratch.scaled);
        let d = sample.d();
        let p = stats.values.len();
        let eigen = if p == d {
            symmetric_eigen(&scratch.scaled, d).map(|all| {
                let vectors = all.vectors.chunks_exact(d).rev().flatten().copied().collect();
                (all.values.iter().rev().copied().collect(), vectors)
            })
        } else {
            leading_eigen(&scratch.scaled, d, p, &params.guess).map(|it| (it.values, it.vectors))
        };
        (stats.values, stats.vectors) = eigen.map_err(|_| EStepError::NotFinite { row: 0 })?;
        stats.n = sample.n();
        let spread: f64 = (0..d).map(|j| sample.variance(j).ln()).sum();
        let f = self.discrepancy(params, stats);
        Ok(-0.5 * sample.n() * (d as f64 * std::f64::consts::TAU.ln() + spread + f))
    }

    fn m_step(
        &self,
        params: &FactorParams,
        stats: &FactorStats,
        next: &mut FactorParams,
    ) -> Result<Repairs, EstimateError> {
        let gradient = self.gradient(params, stats);
        let lowest = self.floor.ln();
        let is_held = |i: usize| params.log_shares[i] <= lowest && gradient[i] > 0.0;
        let held: Vec<bool> = (0..gradient.len()).map(is_held).collect();
        let mut step = gradient;
        step.iter_mut().zip(&held).filter(|(_, held)| **held).for_each(|(s, _)| *s = 0.0);
        self.solve(params, stats, &held, &mut step);
        let largest = step.iter().fold(0.0_f64, |largest, s| largest.max(s.abs()));
        if !largest.is_finite() {
            return Err(EstimateError::Infeasible { component: 0, what: "factor analysis" });
        }
        let share = (LONGEST / largest).min(1.0);
        for ((new, old), s) in next.log_shares.iter_mut().zip(&params.log_shares).zip(&step) {
            *new = (old - share * s).max(lowest);
        }
        next.guess.clear();
        next.guess.extend(&stats.vectors[..self.q * step.len()]);
        Ok(Repairs::default())
    }

    fn retreat(&self, params: &FactorParams, next: &mut FactorParams) -> bool {
        for (new, old) in next.log_shares.iter_mut().zip(&params.log_shares) {
            *new = old + 0.5 * (*new - old);
        }
        true
    }

    /// `Σⱼ ln p(ψⱼ / sⱼⱼ)` up to a constant.
    fn penalty(&self, params: &FactorParams) -> f64 {
        let Some(UniquenessPrior { shape, scale }) = self.prior else { return 0.0 };
        params.log_shares.iter().map(|u| -(shape + 1.0) * u - scale * (-u).exp()).sum()
    }

    fn free_parameters(&self, params: &FactorParams) -> usize {
        let (d, q) = (params.log_shares.len(), self.q);
        2 * d + d * q - q * (q - 1) / 2
    }
}

/// `Ψ^−½ R Ψ^−½`.
fn scale_correlations(sample: &Sample, params: &FactorParams, out: &mut [f64]) {
    let d = sample.d();
    let scale: Vec<f64> = (params.log_shares.iter().enumerate())
        .map(|(j, u)| (-0.5 * u).exp() / sample.variance(j).sqrt())
        .collect();
    let rows = out.chunks_exact_mut(d).zip(sample.covariance().chunks_exact(d));
    for ((out, row), own) in rows.zip(&scale) {
        for ((out, s), other) in out.iter_mut().zip(row).zip(&scale) {
            *out = s * own * other;
        }
    }
}

impl FactorModel {
    /// `f = ln |Σ| + tr Σ⁻¹R` of columns in units of their standard deviations, at the best loadings.
    fn discrepancy(&self, params: &FactorParams, stats: &FactorStats) -> f64 {
        let own: f64 = params.log_shares.iter().map(|u| u + (-u).exp()).sum();
        let kept = &stats.values[..stats.kept(self.q)];
        own + kept.iter().map(|theta| theta.ln() + 1.0 - theta).sum::<f64>()
    }

    /// `∂(f − 2/n ln p)/∂u`.
    fn gradient(&self, params: &FactorParams, stats: &FactorStats) -> Vec<f64> {
        let mut gradient: Vec<f64> = params.log_shares.iter().map(|u| 1.0 - (-u).exp()).collect();
        for a in 0..stats.kept(self.q) {
            let weight = stats.values[a] - 1.0;
            let squares = stats.vector(a).iter().map(|v| weight * v * v);
            gradient.iter_mut().zip(squares).for_each(|(g, s)| *g += s);
        }
        if let Some(UniquenessPrior { shape, scale }) = self.prior {
            for (g, u) in gradient.iter_mut().zip(&params.log_shares) {
                *g += 2.0 / stats.n * (shape + 1.0 - scale * (-u).exp());
            }
        }
        gradient
    }

    /// `step ← H⁻¹ step`, with ones for the rows and columns of those that are held.
    fn solve(&self, params: &FactorParams, stats: &FactorStats, held: &[bool], step: &mut [f64]) {
        let d = step.len();
        if stats.values.len() == d {
            let mut hessian = self.exact_hessian(stats);
            self.bound(params, stats, held, &mut hessian);
            if cholesky_relative(&mut hessian, d, 1e-12).is_ok() {
                solve_lower_in_place(&hessian, d, step);
                solve_lower_transposed_in_place(&hessian, d, step);
                return;
            }
        }
        let mut information = self.information(stats, d);
        self.bound(params, stats, held, &mut information);
        conjugate_gradients(&information, step);
    }

    /// Adds the prior's curvature and holds what is held.
    fn bound(&self, params: &FactorParams, stats: &FactorStats, held: &[bool], h: &mut [f64]) {
        let d = held.len();
        for i in 0..d {
            if let Some(UniquenessPrior { scale, .. }) = self.prior {
                h[i * (d + 1)] += 2.0 / stats.n * scale * (-params.log_shares[i]).exp();
            }
            if held[i] {
                h[i * d..][..d].fill(0.0);
                h.iter_mut().skip(i).step_by(d).for_each(|x| *x = 0.0);
                h[i * (d + 1)] = 1.0;
            }
        }
    }

    /// `(δᵢⱼ − Σₐ vₐᵢ vₐⱼ)²` over the factors kept, both triangles.
    fn information(&self, stats: &FactorStats, d: usize) -> Vec<f64> {
        let kept = stats.kept(self.q);
        let mut h = vec![0.0; d * d];
        let vectors = View::new(&stats.vectors[..kept * d], kept, d);
        multiply_into(vectors.t(), vectors, &mut h);
        (0..d).for_each(|i| h[i * (d + 1)] -= 1.0);
        h.iter_mut().for_each(|x| *x *= *x);
        h
    }

    /// The second derivatives of `f`, lower triangle: with `m` over eigenvalues not kept and `n` over those kept,
    /// `Σₘ vₘᵢ vₘⱼ [Σₘ' θₘ' vₘ'ᵢ vₘ'ⱼ + Σₙ (1 − θₘ)(θₙ + θₘ)/(θₙ − θₘ) vₙᵢ vₙⱼ]`.
    fn exact_hessian(&self, stats: &FactorStats) -> Vec<f64> {
        let (d, kept) = (stats.values.len(), stats.kept(self.q));
        let outer = |weight: &dyn Fn(f64) -> f64| {
            let mut sum = vec![0.0; d * d];
            for m in kept..d {
                rank_one_update_lower(&mut sum, d, weight(stats.values[m]), stats.vector(m));
            }
            sum
        };
        let mut hessian = outer(&|theta| theta);
        hessian.iter_mut().zip(outer(&|_| 1.0)).for_each(|(h, x)| *h *= x);
        for n in 0..kept {
            let (theta, v) = (stats.values[n], stats.vector(n));
            let inner = outer(&|other| (1.0 - other) * (theta + other) / (theta - other));
            for i in 0..d {
                for j in 0..=i {
                    hessian[i * d + j] += inner[i * d + j] * v[i] * v[j];
                }
            }
        }
        hessian
    }
}

/// Solves `H x = b` in place by conjugate gradients with the diagonal as preconditioner, to a millionth.
///
/// Source: Golub & Van Loan (2013), *Matrix Computations*, 4th ed., §11.5.
fn conjugate_gradients(h: &[f64], x: &mut [f64]) {
    let d = x.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let precondition = |r: &[f64]| -> Vec<f64> {
        r.iter().enumerate().map(|(i, r)| r / h[i * (d + 1)].max(f64::MIN_POSITIVE)).collect()
    };
    let mut residual = x.to_vec();
    x.fill(0.0);
    let mut z = precondition(&residual);
    let mut direction = z.clone();
    let mut rho = dot(&residual, &z);
    let enough = 1e-12 * rho;
    let mut image = vec![0.0; d];
    for _ in 0..d.min(100) {
        if rho <= enough || rho == 0.0 {
            break;
        }
        multiply_into(View::new(h, d, d), View::new(&direction, d, 1), &mut image);
        let alpha = rho / dot(&direction, &image);
        if !alpha.is_finite() {
            break;
        }
        add_scaled(x, alpha, &direction);
        add_scaled(&mut residual, -alpha, &image);
        z = precondition(&residual);
        let new = dot(&residual, &z);
        for (p, z) in direction.iter_mut().zip(&z) {
            *p = z + new / rho * *p;
        }
        rho = new;
    }
}
