//! The conjugate prior of a von Mises–Fisher distribution, and of a von Mises.

mod evidence;

use elbo_core::{ConjugatePrior, EstimateError};

use crate::{
    ParameterError, VonMises, VonMisesFisher,
    error::{not_negative, positive},
    special::{inverse_mean_resultant_length_of_pair, mean_resultant_complement},
    von_mises::{VonMisesPacked, VonMisesStats},
    von_mises_fisher::{
        VonMisesFisherPacked, VonMisesFisherStats, half_square, log_normalizer, unit,
    },
};

/// The conjugate prior of direction and concentration, `p(μ, κ) ∝ C_d(κ)^c exp(β κ m₀ᵀμ)` with `0 ≤ β < c`.
///
/// Read it as `c` directions already seen, whose sum is `β m₀`: `β/c` is their mean resultant length. Given `κ`, `μ` is
/// von Mises–Fisher about `m₀` with concentration `βκ`, so that only `κ` is left to integrate, which is done by quadrature to
/// rounding. The density is with respect to the area of the sphere times `dκ`, and the mode is taken in `(μ, κ)`. In two dimensions it
/// is the prior of a [`VonMises`], too.
///
/// Cost of a posterior: as an M-step; of packing, of a divergence or of a normalizer: some 100 evaluations of
/// Bessel functions.
///
/// ```
/// use elbo_core::ConjugatePrior;
/// use elbo_dist::{VonMisesFisher, VonMisesFisherPrior};
///
/// let prior = VonMisesFisherPrior::new(vec![0.0, 0.0, 1.0], 1.0, 2.0)?;
/// let mut point = VonMisesFisher::new(vec![1.0, 0.0, 0.0], 1.0)?;
/// ConjugatePrior::<VonMisesFisher>::mode_into(&prior, &mut point).unwrap();
/// assert!((point.mean_resultant_length() - 0.5).abs() < 1e-15);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Nunez-Antonio & Gutiérrez-Peña (2005), J. Appl. Stat. 32(10); Taghia, Ma & Leijon (2014), IEEE Trans. Pattern Anal.
/// Mach. Intell. 36(9).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct VonMisesFisherPrior {
    direction: Vec<f64>,
    resultant: f64,
    /// `c − β`, which is small where directions agree, so that it is kept in place of `c`.
    excess: f64,
}

impl VonMisesFisherPrior {
    /// `m₀`, which is divided by its norm, `β` and `c`.
    ///
    /// # Errors
    ///
    /// If `direction` is none (as for [`VonMisesFisher::new`]), `resultant` is negative or not finite, or `count` is not
    /// finite and above it.
    pub fn new(direction: Vec<f64>, resultant: f64, count: f64) -> Result<Self, ParameterError> {
        Self::from_excess(direction, resultant, count - resultant)
    }

    fn from_excess(
        direction: Vec<f64>,
        resultant: f64,
        excess: f64,
    ) -> Result<Self, ParameterError> {
        Ok(Self {
            direction: unit("direction", direction)?,
            resultant: not_negative("resultant", resultant)?,
            excess: positive("count less the resultant", excess)?,
        })
    }

    /// `m₀`, a unit vector.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// `β`, in observations.
    pub fn resultant(&self) -> f64 {
        self.resultant
    }

    /// `c`, in observations.
    pub fn count(&self) -> f64 {
        self.resultant + self.excess
    }

    /// `d`.
    pub fn d(&self) -> usize {
        self.direction.len()
    }

    /// `E[κ]`.
    pub fn expected_concentration(&self) -> f64 {
        self.moments().concentration
    }

    /// The `κ` of the mode, where `A_d(κ) = β/c`.
    fn mode(&self) -> f64 {
        let count = self.count();
        inverse_mean_resultant_length_of_pair(self.d(), self.resultant / count, self.excess / count)
    }

    /// `κ · d/dκ` of `c ln C(κ) − ln C(βκ)`, plus one: the slope of the integrand's logarithm in `ln κ`.
    fn slope(&self, kappa: f64) -> f64 {
        let rest = |kappa: f64| mean_resultant_complement(self.d(), kappa);
        let gained = self.count() * rest(kappa) - self.resultant * rest(self.resultant * kappa);
        1.0 + kappa * (gained - self.excess)
    }

    /// `ln κ` where the integrand is largest, by bisection, and the width of its peak.
    fn peak(&self) -> (f64, f64) {
        let half = 0.5 * (self.d() - 1) as f64;
        let guess = (((self.count() - 1.0) * half).max(0.0) + 1.0) / self.excess;
        let (mut low, mut high) = (guess.ln() - 1.0, guess.ln() + 1.0);
        while self.slope(low.exp()) < 0.0 && low > -700.0 {
            low -= 2.0;
        }
        while self.slope(high.exp()) > 0.0 && high < 700.0 {
            high += 2.0;
        }
        for _ in 0..40 {
            let middle = low.midpoint(high);
            if self.slope(middle.exp()) > 0.0 { low = middle } else { high = middle }
        }
        let bend = (self.slope((low - 0.01).exp()) - self.slope((low + 0.01).exp())) / 0.02;
        (low, bend.max(1e-12).sqrt().recip())
    }

    /// The trapezoidal rule in `ln κ`, outwards from the peak in quarters of its width.
    fn moments(&self) -> Moments {
        let (center, width) = self.peak();
        let step = 0.25 * width.min(1.0);
        let log_weight = |at: &At, log_kappa: f64| {
            self.count() * at.log_density - at.conditional - self.excess * at.kappa + log_kappa
        };
        let highest = log_weight(&self.at(center), center);
        let mut sums = [0.0; 4];
        for side in [step, -step] {
            let mut i = if side > 0.0 { 0.0 } else { 1.0 };
            loop {
                let log_kappa = center + i * side;
                let at = self.at(log_kappa);
                let weight = (log_weight(&at, log_kappa) - highest).exp();
                for (sum, x) in sums.iter_mut().zip([1.0, at.log_density, at.kappa, at.spread]) {
                    *sum += weight * x;
                }
                i += 1.0;
                if (weight < 1e-19 * sums[0] && i > 40.0) || i > 1e4 {
                    break;
                }
            }
        }
        let [total, log_density, concentration, spread] = sums;
        Moments {
            log_normalizer: highest + (total * step).ln(),
            log_density: log_density / total,
            concentration: concentration / total,
            spread: spread / total,
        }
    }

    fn at(&self, log_kappa: f64) -> At {
        let (d, kappa) = (self.d(), log_kappa.exp());
        let along = self.resultant * kappa;
        At {
            kappa,
            log_density: log_normalizer(d, kappa),
            conditional: log_normalizer(d, along),
            spread: kappa * mean_resultant_complement(d, along),
        }
    }

    /// The posterior after data of this weight, sum and `Σw(1 − m₀ᵀx)`.
    fn update(
        &self,
        stats: &VonMisesFisherStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        let infeasible =
            EstimateError::Infeasible { component: 0, what: "von Mises–Fisher distribution" };
        let Some((weight, apart)) = stats.weight_and_apart() else { return Err(infeasible) };
        let rest = stats.rest_about(&self.direction).max(0.0);
        let mut square = 0.0;
        for ((to, m), x) in posterior.direction.iter_mut().zip(&self.direction).zip(stats.sums()) {
            *to = self.resultant * m + x;
            square += *to * *to;
        }
        let resultant = square.sqrt();
        if resultant > 0.0 {
            for m in &mut posterior.direction {
                *m /= resultant;
            }
        } else {
            posterior.direction.copy_from_slice(&self.direction);
        }
        // (c + w)² − |βm₀ + Σwx|², a sum of what is never negative.
        let gap = self.excess * (self.count() + self.resultant)
            + 2.0 * (self.excess * weight + self.resultant * rest)
            + apart;
        posterior.resultant = resultant;
        posterior.excess = gap / (self.count() + weight + resultant);
        if posterior.excess > 0.0 && posterior.excess.is_finite() {
            Ok(())
        } else {
            Err(infeasible)
        }
    }

    fn log_density_of(&self, direction: &[f64], kappa: f64) -> f64 {
        let apart = self.resultant * kappa * half_square(&self.direction, direction);
        self.count() * log_normalizer(self.d(), kappa)
            - self.excess * kappa
            - apart
            - self.moments().log_normalizer
    }

    /// `KL(self ‖ prior)`, in nats, whichever of the two families they are of.
    ///
    /// # Panics
    ///
    /// If `prior` has another dimension.
    pub fn kl_divergence(&self, prior: &Self) -> f64 {
        assert_eq!(self.d(), prior.d(), "another dimension");
        let (q, p) = (self.moments(), prior.moments());
        let apart = half_square(&self.direction, &prior.direction);
        let along = q.concentration - q.spread;
        (self.count() - prior.count()) * q.log_density
            - (self.excess - prior.excess) * q.concentration
            - (self.resultant - prior.resultant) * q.spread
            + prior.resultant * along * apart
            + (p.log_normalizer - q.log_normalizer)
    }

    /// `(E[ln C_d(κ)] + E[κ m₀ᵀμ], E[κ m₀ᵀμ])`: a row scores the first less the second times `½|x − m₀|²`.
    fn expected_score(&self) -> (f64, f64) {
        let Moments { log_density, concentration, spread, .. } = self.moments();
        (log_density - spread, concentration - spread)
    }

    fn check_dimension(&self, d: usize) -> Result<(), EstimateError> {
        if self.d() == d {
            return Ok(());
        }
        Err(EstimateError::Unsupported {
            what: "a von Mises–Fisher prior of another dimension",
            structure: "these directions",
        })
    }
}

/// The integrand's parts at one `κ`.
struct At {
    kappa: f64,
    /// `ln C(κ) + κ`.
    log_density: f64,
    /// `ln C(βκ) + βκ`.
    conditional: f64,
    /// `κ(1 − A(βκ))`.
    spread: f64,
}

/// Expectations, and the logarithm of `∫ C(κ)^c / C(βκ) dκ`.
struct Moments {
    log_normalizer: f64,
    /// `E[ln C(κ) + κ]`.
    log_density: f64,
    /// `E[κ]`.
    concentration: f64,
    /// `E[κ(1 − m₀ᵀμ)]`.
    spread: f64,
}

impl ConjugatePrior<VonMisesFisher> for VonMisesFisherPrior {
    fn posterior(
        &self,
        stats: &VonMisesFisherStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        self.update(stats, posterior)
    }

    /// `μ = m₀`, `A_d(κ) = β/c`, which always exists; `κ = 0` for `β = 0`.
    fn mode_into(&self, point: &mut VonMisesFisher) -> Result<(), EstimateError> {
        point.set(&self.direction, self.mode());
        Ok(())
    }

    /// `κμ = E[κμ]`: the natural parameter's mean.
    fn mean_into(&self, point: &mut VonMisesFisher) {
        point.set(&self.direction, self.expected_score().1);
    }

    fn log_prior(&self, point: &VonMisesFisher) -> f64 {
        self.log_density_of(point.direction(), point.concentration())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        Self::kl_divergence(self, prior)
    }

    fn pack(&self, j: usize, packed: &mut VonMisesFisherPacked) {
        let (constant, concentration) = self.expected_score();
        packed.set(j, &self.direction, constant, concentration);
    }

    fn check(&self, point: &VonMisesFisher) -> Result<(), EstimateError> {
        self.check_dimension(point.d())
    }
}

impl ConjugatePrior<VonMises> for VonMisesFisherPrior {
    fn posterior(&self, stats: &VonMisesStats, posterior: &mut Self) -> Result<(), EstimateError> {
        self.update(&stats.as_directions(), posterior)
    }

    /// As for directions of two dimensions.
    fn mode_into(&self, point: &mut VonMises) -> Result<(), EstimateError> {
        point.set(self.angle(), self.mode());
        Ok(())
    }

    /// As for directions of two dimensions.
    fn mean_into(&self, point: &mut VonMises) {
        point.set(self.angle(), self.expected_score().1);
    }

    fn log_prior(&self, point: &VonMises) -> f64 {
        let (sin, cos) = point.mean().sin_cos();
        self.log_density_of(&[cos, sin], point.concentration())
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        Self::kl_divergence(self, prior)
    }

    fn pack(&self, j: usize, packed: &mut VonMisesPacked) {
        let (constant, concentration) = self.expected_score();
        packed.set(j, self.angle(), constant, concentration);
    }

    fn check(&self, _: &VonMises) -> Result<(), EstimateError> {
        self.check_dimension(2)
    }
}

impl VonMisesFisherPrior {
    fn angle(&self) -> f64 {
        self.direction[1].atan2(self.direction[0])
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    direction: Vec<f64>,
    resultant: f64,
    excess: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for VonMisesFisherPrior {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::from_excess(p.direction, p.resultant, p.excess)
    }
}
