//! Weighted moments of rows about an origin.

use elbo_core::{EstimateError, Statistics, add_scaled};

/// What is below this share of `Σw(x − c)²/Σw` in a variance is rounding: `2¹⁰` units in the last place, since each sum
/// carries up to some thousand roundings.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// Weighted sufficient statistics of a [`MultivariateGaussian`](crate::MultivariateGaussian): `Σw`, `Σw(x − c)` and the
/// lower triangle (or, for diagonal structures, the diagonal) of `Σw(x − c)(x − c)ᵀ` about an origin `c`.
///
/// The origin is the component's current mean, so that data far from zero do not cancel as they would in raw power
/// sums, while observing stays a plain sum. Merging across origins recentres by the binomial formula; statistics of
/// nothing take over the other's origin.
///
/// Taking the mean's share out of the second moments costs `log₁₀(‖x̄ − c‖²/σ²)` digits: nothing once the origin is
/// within a standard deviation of the mean, all of them at some `10⁶` standard deviations, where the variance counts
/// as zero. A start should therefore take its first statistics about points among its own rows.
///
/// With `x` in unit `u`, the sums are in observations, `u` and `u²`. Row `i` of the packed triangle starts at
/// `i(i + 1)/2`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parts")
)]
pub struct MultivariateGaussianStats {
    origin: Vec<f64>,
    weight: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl MultivariateGaussianStats {
    /// No data, moments about `origin`; second moments of single columns only, if `diagonal`.
    pub fn new(origin: Vec<f64>, diagonal: bool) -> Self {
        let d = origin.len();
        let second = if diagonal { d } else { d * (d + 1) / 2 };
        Self { origin, weight: 0.0, first: vec![0.0; d], second: vec![0.0; second] }
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.origin.len()
    }

    /// The point `c` about which moments are taken.
    pub fn origin(&self) -> &[f64] {
        &self.origin
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σw(x − c)`.
    pub fn first(&self) -> &[f64] {
        &self.first
    }

    /// `Σw(x − c)(x − c)ᵀ`, packed.
    pub fn second(&self) -> &[f64] {
        &self.second
    }

    /// Weighted mean; NaN without data.
    pub fn mean(&self) -> Vec<f64> {
        self.origin.iter().zip(&self.first).map(|(c, s)| c + s / self.weight).collect()
    }

    /// Maximum-likelihood covariance, `d × d`, row-major, zero off the diagonal where only that was kept; NaN without
    /// data.
    pub fn covariance(&self) -> Vec<f64> {
        let d = self.d();
        let mut covariance = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..=i {
                let value = if i == j || !self.is_diagonal() { self.central(i, j) } else { 0.0 };
                covariance[i * d + j] = value;
                covariance[j * d + i] = value;
            }
        }
        covariance
    }

    /// Are only the squares of single columns kept?
    pub(crate) fn is_diagonal(&self) -> bool {
        self.second.len() == self.d()
    }

    /// Weight, first and second moments, for kernels that add to them.
    pub(crate) fn sums_mut(&mut self) -> (&mut f64, &mut [f64], &mut [f64]) {
        (&mut self.weight, &mut self.first, &mut self.second)
    }

    /// Forgets everything and takes `origin`.
    pub(crate) fn reset(&mut self, origin: &[f64]) {
        self.origin.copy_from_slice(origin);
        self.set_zero();
    }

    /// Fails unless these could be the statistics of some weighted data, up to rounding.
    pub(crate) fn check_feasible(&self) -> Result<(), EstimateError> {
        let mut finite = self.weight.is_finite();
        for part in [&self.origin, &self.first, &self.second] {
            finite &= part.iter().all(|x| x.is_finite());
        }
        let sane = finite
            && if self.weight == 0.0 {
                self.first.iter().chain(&self.second).all(|x| *x == 0.0)
            } else {
                let no_less_than_rounding =
                    |j| self.central(j, j) >= -RESOLUTION * self.square(j) / self.weight;
                self.weight > 0.0
                    && (0..self.d()).all(|j| self.square(j) >= 0.0 && no_less_than_rounding(j))
            };
        if sane {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "multivariate Gaussian" })
        }
    }

    /// Writes the mean, and the lower triangle or the diagonal of the covariance. Variances that are nothing but
    /// rounding are written as zero, which no estimator takes for a variance.
    pub(crate) fn moments_into(
        &self,
        mean: &mut [f64],
        covariance: &mut [f64],
    ) -> Result<(), EstimateError> {
        self.check_feasible()?;
        if self.weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        let d = self.d();
        for (mean, (c, s)) in mean.iter_mut().zip(self.origin.iter().zip(&self.first)) {
            *mean = c + s / self.weight;
        }
        for i in 0..d {
            let variance = self.central(i, i);
            let noise = RESOLUTION * self.square(i) / self.weight;
            let variance = if variance > noise { variance } else { 0.0 };
            if self.is_diagonal() {
                covariance[i] = variance;
            } else {
                let row = &mut covariance[i * d..=i * d + i];
                row.iter_mut().enumerate().for_each(|(j, value)| *value = self.central(i, j));
                row[i] = variance;
            }
        }
        Ok(())
    }

    /// `Σw(x − x̄)ᵢ(x − x̄)ⱼ / Σw`, for `j ≤ i`.
    pub(crate) fn central(&self, i: usize, j: usize) -> f64 {
        self.second[self.place(i, j)] / self.weight
            - (self.first[i] / self.weight) * (self.first[j] / self.weight)
    }

    /// `Σw(x − c)ⱼ²`.
    fn square(&self, j: usize) -> f64 {
        self.second[self.place(j, j)]
    }

    /// Where the moment of columns `j ≤ i` is kept.
    fn place(&self, i: usize, j: usize) -> usize {
        if self.is_diagonal() { i } else { i * (i + 1) / 2 + j }
    }

    fn is_zero(&self) -> bool {
        let mut zero = true;
        self.visit(&mut |part| zero &= part.iter().all(|x| *x == 0.0));
        zero
    }

    /// Adds `factor` times the moments of `other` about our own origin.
    fn add_recentred(&mut self, factor: f64, other: &Self) {
        for i in 0..self.d() {
            let shift_i = other.origin[i] - self.origin[i];
            let start = if self.is_diagonal() { i } else { 0 };
            for j in start..=i {
                let shift_j = other.origin[j] - self.origin[j];
                let place = self.place(i, j);
                self.second[place] += factor
                    * (other.second[place]
                        + shift_i * other.first[j]
                        + shift_j * other.first[i]
                        + other.weight * shift_i * shift_j);
            }
        }
        for j in 0..self.d() {
            let shift = other.origin[j] - self.origin[j];
            self.first[j] += factor * (other.first[j] + other.weight * shift);
        }
        self.weight += factor * other.weight;
    }
}

impl Statistics for MultivariateGaussianStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(&self.first);
        see(&self.second);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(&mut self.first);
        see(&mut self.second);
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.origin);
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.origin);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        assert_eq!(
            (self.d(), self.second.len()),
            (other.d(), other.second.len()),
            "statistics of different shapes"
        );
        if self.origin != other.origin && self.is_zero() {
            self.origin.copy_from_slice(&other.origin);
        }
        if self.origin == other.origin {
            self.weight += factor * other.weight;
            add_scaled(&mut self.first, factor, &other.first);
            add_scaled(&mut self.second, factor, &other.second);
        } else {
            self.add_recentred(factor, other);
        }
    }

    fn align(&mut self, like: &Self) {
        if self.origin == like.origin {
            return;
        }
        for i in 0..self.d() {
            let shift_i = self.origin[i] - like.origin[i];
            let start = if self.is_diagonal() { i } else { 0 };
            for j in start..=i {
                let shift_j = self.origin[j] - like.origin[j];
                let place = self.place(i, j);
                self.second[place] += shift_i * self.first[j]
                    + shift_j * self.first[i]
                    + self.weight * shift_i * shift_j;
            }
        }
        for (j, (origin, new)) in self.origin.iter_mut().zip(&like.origin).enumerate() {
            self.first[j] += self.weight * (*origin - new);
            *origin = *new;
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    origin: Vec<f64>,
    weight: f64,
    first: Vec<f64>,
    second: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parts> for MultivariateGaussianStats {
    type Error = crate::ParameterError;

    /// The shapes must agree; whether some data have these moments is for estimators to say.
    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let Parts { origin, weight, first, second } = parts;
        let d = super::check_vector("origin of moments", &origin)?;
        let wrong = |parameter, expected, found| {
            Err(crate::ParameterError::Length { parameter, expected, found })
        };
        if first.len() != d {
            return wrong("first moments", d, first.len());
        }
        if second.len() != d && second.len() != d * (d + 1) / 2 {
            return wrong("second moments", d * (d + 1) / 2, second.len());
        }
        Ok(Self { origin, weight, first, second })
    }
}
