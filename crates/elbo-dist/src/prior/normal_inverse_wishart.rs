//! The normal-inverse-Wishart prior of a multivariate Gaussian, and its diagonal and spherical relatives.

mod evidence;

use std::f64::consts::{LN_2, TAU};

use elbo_core::{ConjugatePrior, EstimateError, Priors};

use crate::error::positive;
use crate::multivariate_gaussian::{check_vector, parse_spd, spd::Spd};
use crate::special::{ln_multivariate_gamma, multivariate_digamma};
use crate::{
    CovarianceStructure, InverseWishart, MultivariateGaussian, MultivariateGaussianPacked,
    MultivariateGaussianStats, ParameterError,
};

/// Prior and posterior of a [`MultivariateGaussian`]: `μ ∣ Σ ∼ N(m, Σ/κ)` and a `Σ` whose distribution follows the
/// structure.
///
/// | structure | `Σ` | adds to `ν` per observation | mode of `(μ, Σ)` |
/// |---|---|---|---|
/// | `VVV`, `EEE` | inverse Wishart `(Ψ, ν)` | 1 | `Ψ/(ν + d + 1 + K)` |
/// | `VVI`, `EEI` | each variance inverse gamma `(ν/2, Ψᵢᵢ/2)` | 1 | `Ψ/(ν + 2 + K)` |
/// | `VII`, `EII` | one variance, inverse gamma `(ν/2, Ψ₁₁/2)` | `d` | `Ψ/(ν + 2 + K d)` |
///
/// `m` is the prior mean, in the unit `u` of the data; `κ` says how many observations it is worth. `ν`, the degrees of
/// freedom, says how many the scale `Ψ`, in `u²`, is worth. `E[Σ⁻¹] = ν Ψ⁻¹` in all three. `K = 1`, but where all
/// components share one `Σ` (`EEE`, `EEI`, `EII`), it is their number: `Σ` then has one distribution for all, which
/// learns from all of them and is counted once. Other structures have no conjugate prior.
///
/// Modes and densities are taken in `(μ, Σ)`. What stands for a posterior ([`ConjugatePrior::mean_into`]) is
/// `(m, Ψ/ν)`, the mean of `μ` and the inverse of the mean precision, which always exists.
///
/// ```
/// use elbo_core::{ConjugatePrior, Family, Rows};
/// use elbo_dist::{CovarianceStructure::VVV, MultivariateGaussian, NormalInverseWishart};
///
/// let prior = NormalInverseWishart::new(VVV, vec![0.0], 1.0, 3.0, &[2.0])?;
/// let mut gaussian = MultivariateGaussian::standard(VVV, vec![0.0]);
/// let mut stats = gaussian.new_stats();
/// gaussian.observe(&mut stats, Rows::new(&[1.0, 3.0], 2, 1), &[1.0, 1.0]);
///
/// let mut posterior = prior.clone();
/// prior.posterior(&stats, &mut posterior).unwrap();
/// posterior.mode_into(&mut gaussian).unwrap();
/// assert!((gaussian.mean()[0] - 4.0 / 3.0).abs() < 1e-15);
/// assert!((gaussian.covariance()[0] - (2.0 + 2.0 + 8.0 / 3.0) / 8.0).abs() < 1e-15);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Bishop (2006), sections 2.3.6 and 10.2; Gelman et al. (2013), *Bayesian Data Analysis*, section 3.6.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct NormalInverseWishart {
    structure: CovarianceStructure,
    mean: Vec<f64>,
    mean_pseudo_count: f64,
    degrees_of_freedom: f64,
    scale: Spd,
}

impl NormalInverseWishart {
    /// The prior with mean `m`, worth `mean_pseudo_count` observations, and `scale` `Ψ`, `d × d`, row-major, worth
    /// `degrees_of_freedom` ones.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if a number is not finite, the mean weight not positive, the degrees of freedom not above
    /// `d − 1` (full) or 0, or the scale not a covariance of the structure.
    pub fn new(
        structure: CovarianceStructure,
        mean: Vec<f64>,
        mean_pseudo_count: f64,
        degrees_of_freedom: f64,
        scale: &[f64],
    ) -> Result<Self, ParameterError> {
        let d = check_vector("prior mean", &mean)?;
        let scale = parse_spd("prior scale", structure, d, scale)?;
        let mean_pseudo_count = positive("pseudo-count of the prior mean", mean_pseudo_count)?;
        let new = Self { structure, mean, mean_pseudo_count, degrees_of_freedom, scale };
        let least = (new.order() - 1) as f64;
        if !(degrees_of_freedom > least && degrees_of_freedom.is_finite()) {
            let (parameter, value) = ("prior degrees of freedom", degrees_of_freedom);
            return Err(ParameterError::Entry { parameter, index: 0, value });
        }
        Ok(new)
    }

    /// A weak prior on the scale of the data, from their pooled `mean` and `covariance` (`d × d`, row-major), for `k`
    /// components: `m` the mean, `κ = 0.01`, `ν = d + 2` and `Ψ` the covariance divided by `k^{2/d}`, as if the
    /// components shared the volume of the data evenly.
    ///
    /// Diagonal structures keep each column's variance, spherical ones the average variance. A change of unit of the
    /// data, column by column where the structure allows it, changes the prior with them.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] as for [`new`](Self::new): for one, a constant column has no scale.
    ///
    /// # Panics
    ///
    /// If `k = 0`.
    ///
    /// # Source
    ///
    /// Fraley & Raftery (2007), *Bayesian regularization for normal mixture estimation and model-based clustering*,
    /// J. Classif. 24(2), who take the average variance for diagonal structures, too.
    pub fn default_for(
        structure: CovarianceStructure,
        k: usize,
        mean: Vec<f64>,
        covariance: &[f64],
    ) -> Result<Self, ParameterError> {
        assert!(k > 0, "a mixture has components");
        let d = check_vector("pooled mean", &mean)?;
        if covariance.len() != d * d {
            let (parameter, found) = ("pooled covariance", covariance.len());
            return Err(ParameterError::Length { parameter, expected: d * d, found });
        }
        let mut scale = covariance.to_vec();
        if structure.is_spherical() {
            let average = covariance.iter().step_by(d + 1).sum::<f64>() / d as f64;
            scale.iter_mut().step_by(d + 1).for_each(|v| *v = average);
        }
        let division = (k as f64).powf(2.0 / d as f64);
        for (place, value) in scale.iter_mut().enumerate() {
            let off_diagonal = place / d != place % d;
            *value = if off_diagonal && structure.is_diagonal() { 0.0 } else { *value / division };
        }
        Self::new(structure, mean, 0.01, d as f64 + 2.0, &scale)
    }

    /// `m = E[μ]`, in the unit of the data.
    pub fn expected_mean(&self) -> &[f64] {
        &self.mean
    }

    /// `κ`, in observations.
    pub fn mean_pseudo_count(&self) -> f64 {
        self.mean_pseudo_count
    }

    /// `ν`.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.degrees_of_freedom
    }

    /// `Ψ`, `d × d`, row-major, in the squared unit of the data.
    pub fn scale(&self) -> Vec<f64> {
        self.scale.to_dense()
    }

    /// The structure of the covariances it is about.
    pub fn structure(&self) -> CovarianceStructure {
        self.structure
    }

    /// The distribution of `Σ`, where it is an inverse Wishart: for the structures `VVV` and `EEE`.
    pub fn covariance_prior(&self) -> Option<InverseWishart> {
        let full = !self.structure.is_diagonal();
        full.then(|| {
            InverseWishart::from_parts(self.degrees_of_freedom, self.scale.clone(), self.d())
        })
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// `KL(self ‖ other)`, in nats, of the mean and a covariance of its own. Cost: `d³` flops.
    ///
    /// # Panics
    ///
    /// If the dimensions differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        self.kl_of_mean(other) + self.kl_of_covariance(other)
    }

    /// Order of the matrices that are inverse Wishart: `d`, or 1 where variances are on their own.
    fn order(&self) -> usize {
        if self.structure.is_diagonal() { 1 } else { self.d() }
    }

    /// How many of them there are, independent of one another.
    fn copies(&self) -> f64 {
        let many = self.structure.is_diagonal() && !self.structure.is_spherical();
        if many { self.d() as f64 } else { 1.0 }
    }

    /// How often each stands in `Σ`.
    fn repeats(&self) -> f64 {
        if self.structure.is_spherical() { self.d() as f64 } else { 1.0 }
    }

    /// Moves `point` to the mode where `sharing` components have this covariance.
    fn mode_shared(&self, sharing: usize, point: &mut MultivariateGaussian) {
        let own = self.degrees_of_freedom + self.order() as f64 + 1.0;
        let factor = 1.0 / (own + sharing as f64 * self.repeats());
        point.set_scaled(&self.mean, factor, &self.scale);
    }

    /// Moves `posterior`'s mean to that after data, and its scale to what the data add to ours, not factored yet.
    fn absorb(
        &self,
        stats: &MultivariateGaussianStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check_feasible()?;
        let weight = stats.total_weight();
        posterior.mean_pseudo_count = self.mean_pseudo_count + weight;
        posterior.degrees_of_freedom = self.degrees_of_freedom + weight * self.repeats();
        posterior.mean.copy_from_slice(&self.mean);
        posterior.scale.values.fill(0.0);
        if weight == 0.0 {
            return Ok(());
        }
        let d = self.d();
        let share = weight / posterior.mean_pseudo_count;
        let shift = |j: usize| (stats.origin()[j] - self.mean[j]) + stats.first()[j] / weight;
        for (j, mean) in posterior.mean.iter_mut().enumerate() {
            *mean += share * shift(j);
        }
        // Σw(x − x̄)(x − x̄)ᵀ + κw/(κ + w) (x̄ − m)(x̄ − m)ᵀ
        let scatter = |i, j| {
            weight * stats.central(i, j) + self.mean_pseudo_count * share * shift(i) * shift(j)
        };
        if self.scale.is_diagonal() {
            let values = &mut posterior.scale.values;
            values.iter_mut().enumerate().for_each(|(j, value)| *value = scatter(j, j).max(0.0));
            if self.structure.is_spherical() {
                let sum: f64 = values.iter().sum();
                values.fill(sum);
            }
        } else {
            for (i, row) in posterior.scale.values.chunks_exact_mut(d).enumerate() {
                row[..=i].iter_mut().enumerate().for_each(|(j, value)| *value = scatter(i, j));
            }
        }
        Ok(())
    }

    /// Adds our scale to what [`absorb`](Self::absorb) left, and factors it.
    fn complete(&self, posterior: &mut Self) -> Result<(), EstimateError> {
        elbo_core::add_scaled(&mut posterior.scale.values, 1.0, &self.scale.values);
        posterior.scale.factor(0.0).map_err(|flat| EstimateError::Singular {
            component: 0,
            column: flat.column,
            variance: flat.variance,
        })
    }

    /// `ln p(μ ∣ Σ)`.
    fn log_density_of_mean(&self, point: &MultivariateGaussian) -> f64 {
        let d = self.d() as f64;
        let distance = point.mahalanobis_squared(&self.mean);
        0.5 * (d * (self.mean_pseudo_count / TAU).ln()
            - point.log_det()
            - self.mean_pseudo_count * distance)
    }

    /// `ln p(Σ)`.
    fn log_density_of_covariance(&self, point: &MultivariateGaussian) -> f64 {
        let (order, copies, repeats) = (self.order(), self.copies(), self.repeats());
        let half = 0.5 * self.degrees_of_freedom;
        let trace = point.spd().trace_of_solved(&self.scale.values) / repeats;
        half * self.scale.log_det() / repeats
            - copies * (half * order as f64 * LN_2 + ln_multivariate_gamma(order, half))
            - (half + 0.5 * (order as f64 + 1.0)) * point.log_det() / repeats
            - 0.5 * trace
    }

    /// `E KL(N(m, Σ/κ) ‖ N(m₀, Σ/κ₀))` over our own `Σ`.
    fn kl_of_mean(&self, prior: &Self) -> f64 {
        let ratio = prior.mean_pseudo_count / self.mean_pseudo_count;
        let distance = self.scale.distance_squared(&self.mean, &prior.mean);
        0.5 * (self.d() as f64 * (ratio - 1.0 - ratio.ln())
            + prior.mean_pseudo_count * self.degrees_of_freedom * distance)
    }

    /// `KL` between the distributions of `Σ`.
    fn kl_of_covariance(&self, prior: &Self) -> f64 {
        let (order, copies, repeats) = (self.order(), self.copies(), self.repeats());
        let (half, prior_half) = (0.5 * self.degrees_of_freedom, 0.5 * prior.degrees_of_freedom);
        let log_dets = (self.scale.log_det() - prior.scale.log_det()) / repeats;
        let trace = self.scale.trace_of_solved(&prior.scale.values) / repeats;
        prior_half * log_dets
            + copies
                * ((half - prior_half) * multivariate_digamma(order, half)
                    - ln_multivariate_gamma(order, half)
                    + ln_multivariate_gamma(order, prior_half))
            + half * (trace - copies * order as f64)
    }

    /// `E ln |Σ|`.
    fn expected_log_det(&self) -> f64 {
        let order = self.order();
        let half = 0.5 * self.degrees_of_freedom;
        self.scale.log_det()
            - self.repeats()
                * self.copies()
                * (order as f64 * LN_2 + multivariate_digamma(order, half))
    }
}

impl ConjugatePrior<MultivariateGaussian> for NormalInverseWishart {
    fn posterior(
        &self,
        stats: &MultivariateGaussianStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        self.absorb(stats, posterior)?;
        self.complete(posterior)
    }

    fn mode_into(&self, point: &mut MultivariateGaussian) -> Result<(), EstimateError> {
        self.mode_shared(1, point);
        Ok(())
    }

    fn mean_into(&self, point: &mut MultivariateGaussian) {
        point.set_scaled(&self.mean, 1.0 / self.degrees_of_freedom, &self.scale);
    }

    fn log_prior(&self, point: &MultivariateGaussian) -> f64 {
        self.log_density_of_mean(point) + self.log_density_of_covariance(point)
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut MultivariateGaussianPacked) {
        let d = self.d() as f64;
        let constant = -0.5 * (d * TAU.ln() + self.expected_log_det() + d / self.mean_pseudo_count);
        let factor = self.degrees_of_freedom.sqrt();
        packed.set(j, constant, &self.mean, factor, self.scale.whitening());
    }

    fn check(&self, point: &MultivariateGaussian) -> Result<(), EstimateError> {
        use CovarianceStructure::{EEE, EEI, EII, VII, VVI, VVV};
        let unsupported =
            |what| Err(EstimateError::Unsupported { what, structure: point.structure().name() });
        if !matches!(point.structure(), EII | VII | EEI | VVI | EEE | VVV) {
            unsupported("a conjugate prior")
        } else if point.structure() != self.structure {
            unsupported("a prior for another covariance structure")
        } else if point.d() != self.d() {
            unsupported("a prior of another dimension")
        } else {
            Ok(())
        }
    }

    fn posterior_all(
        priors: &Priors<Self>,
        stats: &[MultivariateGaussianStats],
        posteriors: &mut [Self],
    ) -> Result<(), EstimateError> {
        let first = priors.get(0);
        let tied = first.structure.is_tied();
        let mut degrees_of_freedom = first.degrees_of_freedom;
        for (j, (stats, posterior)) in stats.iter().zip(&mut *posteriors).enumerate() {
            let prior = priors.get(j);
            prior.absorb(stats, posterior).map_err(|e| e.at(j))?;
            if !tied {
                prior.complete(posterior).map_err(|e| e.at(j))?;
            } else if prior.degrees_of_freedom.to_bits() != first.degrees_of_freedom.to_bits()
                || prior.scale != first.scale
            {
                let what = "a prior scale of its own for each component";
                return Err(EstimateError::Unsupported { what, structure: prior.structure.name() });
            }
            degrees_of_freedom += stats.total_weight() * prior.repeats();
        }
        if tied && let Some((head, rest)) = posteriors.split_first_mut() {
            for other in &*rest {
                elbo_core::add_scaled(&mut head.scale.values, 1.0, &other.scale.values);
            }
            first.complete(head)?;
            head.degrees_of_freedom = degrees_of_freedom;
            for other in rest {
                other.scale.clone_from(&head.scale);
                other.degrees_of_freedom = degrees_of_freedom;
            }
        }
        Ok(())
    }

    fn mode_all(
        posteriors: &[Self],
        points: &mut [MultivariateGaussian],
    ) -> Result<(), EstimateError> {
        for (posterior, point) in posteriors.iter().zip(points) {
            let sharing = if posterior.structure.is_tied() { posteriors.len() } else { 1 };
            posterior.mode_shared(sharing, point);
        }
        Ok(())
    }

    fn log_prior_all(priors: &Priors<Self>, points: &[MultivariateGaussian]) -> f64 {
        let covariances = if priors.get(0).structure.is_tied() { 1 } else { points.len() };
        let of_mean =
            |(j, point): (usize, &MultivariateGaussian)| priors.get(j).log_density_of_mean(point);
        let of_covariance = |(j, point): (usize, &MultivariateGaussian)| {
            priors.get(j).log_density_of_covariance(point)
        };
        points.iter().enumerate().map(of_mean).sum::<f64>()
            + points.iter().take(covariances).enumerate().map(of_covariance).sum::<f64>()
    }

    fn kl_all(posteriors: &[Self], priors: &Priors<Self>) -> f64 {
        let covariances = if priors.get(0).structure.is_tied() { 1 } else { posteriors.len() };
        let of_mean = |(j, posterior): (usize, &Self)| posterior.kl_of_mean(priors.get(j));
        let of_covariance =
            |(j, posterior): (usize, &Self)| posterior.kl_of_covariance(priors.get(j));
        posteriors.iter().enumerate().map(of_mean).sum::<f64>()
            + posteriors.iter().take(covariances).enumerate().map(of_covariance).sum::<f64>()
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    structure: CovarianceStructure,
    mean: Vec<f64>,
    mean_pseudo_count: f64,
    degrees_of_freedom: f64,
    scale: Vec<Vec<f64>>,
}

#[cfg(feature = "serde")]
impl From<NormalInverseWishart> for Parameters {
    fn from(prior: NormalInverseWishart) -> Self {
        Self {
            structure: prior.structure,
            scale: prior.scale().chunks_exact(prior.d()).map(<[f64]>::to_vec).collect(),
            mean: prior.mean,
            mean_pseudo_count: prior.mean_pseudo_count,
            degrees_of_freedom: prior.degrees_of_freedom,
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for NormalInverseWishart {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        let (kappa, nu) = (p.mean_pseudo_count, p.degrees_of_freedom);
        Self::new(p.structure, p.mean, kappa, nu, &p.scale.concat())
    }
}
