//! Loadings under variational Bayes, with a precision for each factor that switches off those that are not needed.

use std::f64::consts::TAU;

use elbo_core::EstimateError;
use elbo_dist::Gamma;
use elbo_linalg::{cholesky_relative, log_det_from_cholesky, spd_inverse_from_cholesky};

use super::{FactorRows, Noise, kernel::triangle};

/// Shape of the priors of precisions: a thousandth of an observation.
const VAGUE: f64 = 1e-3;

/// Variance of the prior of intercepts, in variances of the column.
const WIDE: f64 = 1e6;

/// The posterior of everything that is estimated, `q(W, μ) q(τ) q(α)`, and the priors of the last two.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Posterior {
    /// Of loadings and intercept of each column, `d × (q + 1)²`.
    covariances: Vec<f64>,
    /// `Σⱼ ln |Cⱼ|`.
    log_dets: f64,
    /// Precision of the loadings of each factor.
    relevance: Vec<Gamma>,
    /// Precision of what the factors leave: of all columns, or each.
    noise: Vec<Gamma>,
    relevance_prior: Gamma,
    noise_priors: Vec<Gamma>,
    /// Prior precisions of intercepts.
    flat: Vec<f64>,
}

fn gamma(shape: f64, rate: f64) -> Result<Gamma, EstimateError> {
    let what = "precisions of a factor model";
    Gamma::new(shape, rate).map_err(|_| EstimateError::Infeasible { component: 0, what })
}

impl Posterior {
    /// The posterior that a point stands for after columns of these variances and weights.
    pub(super) fn at(
        point: &FactorRows,
        noise: Noise,
        variances: &[f64],
        weights: &[f64],
    ) -> Result<Self, EstimateError> {
        let (d, q) = (variances.len(), point.packed.q);
        let mean = variances.iter().sum::<f64>() / d as f64;
        let relevance_prior = gamma(VAGUE, VAGUE * mean)?;
        let (priors, noise): (Result<Vec<_>, _>, Result<Vec<_>, _>) = match noise {
            Noise::Common => {
                let shape = VAGUE + 0.5 * weights.iter().sum::<f64>();
                let own = gamma(shape, shape * point.uniquenesses[0]);
                (Ok(vec![gamma(VAGUE, VAGUE * mean)?]), Ok(vec![own?]))
            }
            Noise::Own => {
                let own = |j: usize| {
                    let shape = VAGUE + 0.5 * weights[j];
                    gamma(shape, shape * point.uniquenesses[j])
                };
                let prior = |j: usize| gamma(VAGUE, VAGUE * variances[j]);
                ((0..d).map(prior).collect(), (0..d).map(own).collect())
            }
        };
        let (width, mut covariances) = (q + 1, vec![0.0; d * (q + 1) * (q + 1)]);
        let mut log_dets = 0.0;
        for (j, covariance) in covariances.chunks_exact_mut(width * width).enumerate() {
            let variance = point.uniquenesses[j] / weights[j];
            covariance.iter_mut().step_by(width + 1).for_each(|c| *c = variance);
            log_dets += width as f64 * variance.ln();
        }
        let relevance = (0..q)
            .map(|a| {
                let loadings = point.coefficients.iter().skip(a).step_by(width);
                let squares: f64 = loadings.map(|w| w * w).sum();
                let shape = VAGUE + 0.5 * d as f64;
                gamma(shape, VAGUE * mean + 0.5 * squares)
            })
            .collect::<Result<_, _>>()?;
        let flat = variances.iter().map(|v| (WIDE * v).recip()).collect();
        let noise_priors = priors?;
        let noise = noise?;
        Ok(Self { covariances, log_dets, relevance, noise, relevance_prior, noise_priors, flat })
    }

    /// Precision of column `j`.
    fn noise(&self, j: usize) -> &Gamma {
        &self.noise[j.min(self.noise.len() - 1)]
    }

    /// `1 / E[τ]` of column `j`.
    pub(super) fn uniqueness(&self, j: usize) -> f64 {
        self.noise(j).expected_rate().recip()
    }

    /// `E[w̃ⱼₐ²]` less `E[w̃ⱼₐ]²`.
    pub(super) fn variance(&self, j: usize, a: usize, q: usize) -> f64 {
        self.covariances[(j * (q + 1) + a) * (q + 1) + a]
    }

    /// Writes column `j`, of mean `w̃`, for the kernel.
    pub(super) fn pack(
        &self,
        j: usize,
        mean: &[f64],
        (quadratic, linear, precision): (&mut [f64], &mut [f64], &mut f64),
    ) {
        let width = mean.len();
        let tau = self.noise(j).expected_rate();
        let covariance = &self.covariances[j * width * width..][..width * width];
        let mut e = 0;
        for a in 0..width {
            for b in 0..=a {
                quadratic[e] = tau * (mean[a] * mean[b] + covariance[a * width + b]);
                e += 1;
            }
        }
        quadratic[e - 1] += TAU.ln() - self.noise(j).expected_log_rate();
        linear.iter_mut().zip(mean).for_each(|(b, w)| *b = tau * w);
        *precision = tau;
    }

    /// The best `q(W, μ)`, then `q(τ)`, then `q(α)`, each given the others; writes the means of the first.
    pub(super) fn update(
        &mut self,
        stats: &[f64],
        coefficients: &mut [f64],
    ) -> Result<(), EstimateError> {
        let (d, q) = (self.flat.len(), self.relevance.len());
        let (width, t) = (q + 1, triangle(q));
        let mut left: Vec<(f64, f64)> = Vec::with_capacity(d);
        self.log_dets = 0.0;
        for j in 0..d {
            let stats = &stats[j * (t + q + 2)..][..t + q + 2];
            let (normal, products) = (unpacked(stats, width), &stats[t..=t + q]);
            let tau = self.noise(j).expected_rate();
            let mut precision: Vec<f64> = normal.iter().map(|x| tau * x).collect();
            for (a, relevance) in self.relevance.iter().enumerate() {
                precision[a * (width + 1)] += relevance.expected_rate();
            }
            precision[q * (width + 1)] += self.flat[j];
            let singular = |_| EstimateError::Singular { component: 0, column: j, variance: 0.0 };
            cholesky_relative(&mut precision, width, 0.0).map_err(singular)?;
            self.log_dets -= log_det_from_cholesky(&precision, width);
            let covariance = &mut self.covariances[j * width * width..][..width * width];
            spd_inverse_from_cholesky(&precision, width, covariance);
            let mean = &mut coefficients[j * width..][..width];
            for (mean, row) in mean.iter_mut().zip(covariance.chunks_exact(width)) {
                *mean = tau * row.iter().zip(products).map(|(c, x)| c * x).sum::<f64>();
            }
            left.push((
                stats[t - 1],
                residual(&normal, stats[t + q + 1], products, mean, covariance),
            ));
        }
        self.update_noise(&left)?;
        for a in 0..q {
            let squares: f64 =
                (0..d).map(|j| coefficients[j * width + a].powi(2) + self.variance(j, a, q)).sum();
            let (shape, rate) = (self.relevance_prior.shape(), self.relevance_prior.rate());
            self.relevance[a] = gamma(shape + 0.5 * d as f64, rate + 0.5 * squares)?;
        }
        Ok(())
    }

    /// From each column's weight and expected squares left.
    fn update_noise(&mut self, left: &[(f64, f64)]) -> Result<(), EstimateError> {
        let common = left.iter().fold((0.0, 0.0), |(n, r), own| (n + own.0, r + own.1));
        let is_common = self.noise.len() == 1;
        for (j, noise) in self.noise.iter_mut().enumerate() {
            let (n, squares) = if is_common { common } else { left[j] };
            let prior = &self.noise_priors[j];
            *noise = gamma(prior.shape() + 0.5 * n, prior.rate() + 0.5 * squares)?;
        }
        Ok(())
    }

    /// `−KL(q(W, μ) q(τ) q(α) ‖ p)`, in nats.
    pub(super) fn penalty(&self, coefficients: &[f64]) -> f64 {
        let (d, q) = (self.flat.len(), self.relevance.len());
        let mut sum = d as f64 * (q + 1) as f64 + self.log_dets;
        for (j, mean) in coefficients.chunks_exact(q + 1).enumerate() {
            let square = |a: usize| mean[a] * mean[a] + self.variance(j, a, q);
            sum += self.flat[j].ln() - self.flat[j] * square(q);
            for (a, relevance) in self.relevance.iter().enumerate() {
                sum += relevance.expected_log_rate() - relevance.expected_rate() * square(a);
            }
        }
        let noise = self.noise.iter().zip(&self.noise_priors);
        let kl: f64 = noise.map(|(own, prior)| own.kl_divergence(prior)).sum::<f64>()
            + self
                .relevance
                .iter()
                .map(|own| own.kl_divergence(&self.relevance_prior))
                .sum::<f64>();
        0.5 * sum - kl
    }
}

/// `Σw E[(y − w̃ᵀz̃)²]` under the posterior of `w̃`.
fn residual(
    normal: &[f64],
    squares: f64,
    products: &[f64],
    mean: &[f64],
    covariance: &[f64],
) -> f64 {
    let width = mean.len();
    let mut sum = squares;
    for a in 0..width {
        sum -= 2.0 * mean[a] * products[a];
        for b in 0..width {
            let place = a * width + b;
            sum += normal[place] * (mean[a] * mean[b] + covariance[place]);
        }
    }
    sum.max(0.0) // what is negative is rounding
}

/// A triangle as a full symmetric matrix.
fn unpacked(triangle: &[f64], width: usize) -> Vec<f64> {
    let place = |a: usize, b: usize| a.max(b) * (a.max(b) + 1) / 2 + a.min(b);
    (0..width * width).map(|p| triangle[place(p / width, p % width)]).collect()
}
