//! Conjugate priors, and the three ways to turn statistics into components: ML, MAP, VB.

use crate::{EstimateError, Family, Repairs, family::score_single};

/// A conjugate prior of `F` and, with data added, its posterior: one type for both.
///
/// Implement the functions about one component; those about all components together (`…_all`) follow, and only a
/// family whose components share a parameter overrides them.
pub trait ConjugatePrior<F: Family>: Clone + Send + Sync {
    /// The posterior after data with these statistics, written over `posterior`.
    ///
    /// # Errors
    ///
    /// Statistics outside the moment cone are rejected.
    fn posterior(&self, stats: &F::Stats, posterior: &mut Self) -> Result<(), EstimateError>;

    /// Moves `point` to the mode. The parametrization in which the mode is taken is documented by the prior.
    ///
    /// # Errors
    ///
    /// [`EstimateError::NoMode`] where there is no interior mode.
    fn mode_into(&self, point: &mut F) -> Result<(), EstimateError>;

    /// Moves `point` to the distribution that best stands for this posterior, which always exists: its mean
    /// parameters.
    fn mean_into(&self, point: &mut F);

    /// `ln p(θ)` at a point, in nats, in the parametrization in which the mode is taken.
    fn log_prior(&self, point: &F) -> f64;

    /// `KL(self ‖ prior) = E_self[ln self(θ) − ln prior(θ)] ≥ 0`, in nats.
    fn kl_divergence(&self, prior: &Self) -> f64;

    /// Writes component `j` such that rows are scored by `E[ln p(x ∣ θ)]` under this posterior.
    fn pack(&self, j: usize, packed: &mut F::Packed);

    /// Can this prior serve components like `point` at all (dimension, structure)?
    ///
    /// # Errors
    ///
    /// [`EstimateError::Unsupported`].
    fn check(&self, point: &F) -> Result<(), EstimateError> {
        let _ = point;
        Ok(())
    }

    /// Posteriors of all components.
    ///
    /// # Errors
    ///
    /// As [`posterior`](Self::posterior), naming the component.
    fn posterior_all(
        priors: &Priors<Self>,
        stats: &[F::Stats],
        posteriors: &mut [Self],
    ) -> Result<(), EstimateError> {
        for (j, (stats, posterior)) in stats.iter().zip(posteriors).enumerate() {
            priors.get(j).posterior(stats, posterior).map_err(|e| e.at(j))?;
        }
        Ok(())
    }

    /// Modes of all components.
    ///
    /// # Errors
    ///
    /// As [`mode_into`](Self::mode_into), naming the component.
    fn mode_all(posteriors: &[Self], points: &mut [F]) -> Result<(), EstimateError> {
        for (j, (posterior, point)) in posteriors.iter().zip(points).enumerate() {
            posterior.mode_into(point).map_err(|e| e.at(j))?;
        }
        Ok(())
    }

    /// `ln p(θ)` of all components, a shared parameter counted once.
    fn log_prior_all(priors: &Priors<Self>, points: &[F]) -> f64 {
        points.iter().enumerate().map(|(j, point)| priors.get(j).log_prior(point)).sum()
    }

    /// `KL(posterior ‖ prior)` of all components, a shared parameter counted once.
    fn kl_all(posteriors: &[Self], priors: &Priors<Self>) -> f64 {
        posteriors
            .iter()
            .enumerate()
            .map(|(j, posterior)| posterior.kl_divergence(priors.get(j)))
            .sum()
    }

    /// `out[i] = E[ln p(xᵢ ∣ θ)]` under this posterior, in nats; `point` gives the shape.
    ///
    /// # Panics
    ///
    /// If `out` is not as long as the data.
    fn expected_log_density_into(&self, point: &F, data: F::Batch<'_>, out: &mut [f64]) {
        let mut packed = point.new_packed(1);
        self.pack(0, &mut packed);
        score_single::<F>(&packed, data, out);
    }
}

/// A prior whose integral against the likelihood is known: evidence and predictions.
pub trait Evidence<F: Family>: ConjugatePrior<F> {
    /// `ln ∫ p(θ) Πᵢ p(xᵢ ∣ θ)^wᵢ dθ` of data with these statistics, in nats.
    ///
    /// Where a density has a factor `h(x)` that no parameter touches and no statistic holds (`1/x!` of a Poisson), its
    /// part `Σ wᵢ ln h(xᵢ)` is left out, and the family says so: it is the same for all priors and all parameters.
    ///
    /// # Errors
    ///
    /// As [`ConjugatePrior::posterior`].
    fn log_evidence(&self, stats: &F::Stats) -> Result<f64, EstimateError>;

    /// `out[i] = ln ∫ p(θ) p(xᵢ ∣ θ) dθ`, in nats: what this prior, or posterior, predicts of each observation on its
    /// own. `point` gives the shape.
    ///
    /// # Panics
    ///
    /// If `out` is not as long as the data.
    fn log_predictive_into(&self, point: &F, data: F::Batch<'_>, out: &mut [f64]);
}

/// A prior that can be learned from the posteriors of components that share it (type-II maximum likelihood).
pub trait EmpiricalBayes: Sized {
    /// The prior that maximizes `Σⱼ E_qⱼ[ln p(θⱼ)]`, and so minimizes `Σⱼ KL(qⱼ ‖ p)`, over its hyper-parameters:
    /// between M-steps it never lowers the evidence lower bound. `self` tells what of the prior is fixed, if anything
    /// is.
    ///
    /// One posterior is its own best prior. Repeated between M-steps, pseudo-counts therefore grow without end where
    /// there is one component only, or where components differ by no more than their data leave open.
    ///
    /// # Errors
    ///
    /// [`EstimateError::NoPrior`] where pseudo-counts have grown until nothing of what the posteriors leave open can be
    /// told from rounding.
    ///
    /// # Panics
    ///
    /// If there is no posterior.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError>;
}

/// One prior for every component, or one each.
#[derive(Clone, Debug, PartialEq)]
pub struct Priors<P>(Vec<P>);

impl<P> Priors<P> {
    /// The same prior for every component.
    pub fn shared(prior: P) -> Self {
        Self(vec![prior])
    }

    /// A prior for each component in turn.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn each(priors: Vec<P>) -> Self {
        assert!(!priors.is_empty(), "at least one prior is needed");
        Self(priors)
    }

    /// The prior of component `j`.
    ///
    /// # Panics
    ///
    /// If there is one prior for each component, but none for `j`.
    pub fn get(&self, j: usize) -> &P {
        if self.0.len() == 1 { &self.0[0] } else { &self.0[j] }
    }
}

/// What a fitted component is, how it scores, how it is re-estimated and what it costs.
///
/// | estimator | a fitted component is | it scores data by | penalty |
/// |---|---|---|---|
/// | [`MaximumLikelihood`] | a point | `ln p(x∣θ)` | 0 |
/// | [`MaximumAPosteriori`] | a point | `ln p(x∣θ)` | `ln p(θ)` |
/// | [`VariationalBayes`] | a posterior over the component | `E_q[ln p(x∣θ)]` | `−KL(q‖p)` |
pub trait Estimator<F: Family>: Clone + Send + Sync {
    /// All `k` fitted components.
    type Fits: Clone + Send + Sync;

    /// Does a prior bound the objective where a component collapses onto a point? Without one, a high objective may be
    /// an artifact.
    const HAS_PRIOR: bool;

    /// Fitted components that start at these points; a posterior starts as if it had seen `weight` ideal
    /// observations of each.
    ///
    /// # Errors
    ///
    /// If the prior cannot serve such components.
    fn start(&self, points: Vec<F>, weight: f64) -> Result<Self::Fits, EstimateError>;

    /// One point for each component: itself, or what stands for its posterior.
    fn points(fits: &Self::Fits) -> &[F];

    /// Packs all components for the kernels.
    fn pack(fits: &Self::Fits, packed: &mut F::Packed);

    /// The M-step: overwrites `next` by the maximizer of data term + penalty for these statistics.
    ///
    /// # Errors
    ///
    /// If there is no such maximizer; `next` is then unspecified.
    fn estimate(
        &self,
        current: &Self::Fits,
        stats: &[F::Stats],
        next: &mut Self::Fits,
    ) -> Result<Repairs, EstimateError>;

    /// What the objective adds to the data term, in nats.
    fn penalty(&self, fits: &Self::Fits) -> f64;

    /// Component `j` of `next` becomes that of `current` again: it is not to be changed.
    fn keep(current: &Self::Fits, j: usize, next: &mut Self::Fits);

    /// Does component `j` stay as it is, whatever the data? See [`Freeze`](crate::Freeze).
    fn is_frozen(&self, j: usize) -> bool {
        let _ = j;
        false
    }

    /// Moves `next` halfway back to `current`, where the M-step may overshoot; see [`Family::retreat`].
    fn retreat(current: &Self::Fits, next: &mut Self::Fits) -> bool {
        let _ = (current, next);
        false
    }

    /// Number of free parameters of all components, shared ones counted once.
    fn free_parameters(&self, fits: &Self::Fits) -> usize {
        F::free_parameters_all(Self::points(fits))
    }
}

/// An estimator whose fits are points, which can be moved about: maximum likelihood and MAP.
pub trait PointEstimator<F: Family>: Estimator<F> {
    /// Puts these points in the place of the fitted ones. What else the fits hold (the posterior that a mode is of) stays
    /// as it is.
    ///
    /// # Panics
    ///
    /// If there is another number of points.
    fn set_points(fits: &mut Self::Fits, points: Vec<F>);
}

/// Points that maximize the likelihood. Unbounded where a component may collapse onto a point: see the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaximumLikelihood;

/// Points that maximize likelihood × prior.
#[derive(Clone, Debug, PartialEq)]
pub struct MaximumAPosteriori<P> {
    priors: Priors<P>,
}

/// Posteriors that maximize the evidence lower bound under a factorized `q`.
#[derive(Clone, Debug, PartialEq)]
pub struct VariationalBayes<P> {
    priors: Priors<P>,
}

impl<P> MaximumAPosteriori<P> {
    /// The same prior for every component.
    pub fn new(prior: P) -> Self {
        Self::with(Priors::shared(prior))
    }

    /// Shared or individual priors.
    pub fn with(priors: Priors<P>) -> Self {
        Self { priors }
    }
}

impl<P> VariationalBayes<P> {
    /// The same prior for every component.
    pub fn new(prior: P) -> Self {
        Self::with(Priors::shared(prior))
    }

    /// Shared or individual priors.
    pub fn with(priors: Priors<P>) -> Self {
        Self { priors }
    }
}

/// Components fitted with a prior: points and the posteriors they come from.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Pairs<F, P>"))]
pub struct Conjugate<F, P> {
    points: Vec<F>,
    posteriors: Vec<P>,
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs<F, P> {
    points: Vec<F>,
    posteriors: Vec<P>,
}

#[cfg(feature = "serde")]
impl<F, P> TryFrom<Pairs<F, P>> for Conjugate<F, P> {
    type Error = String;

    fn try_from(Pairs { points, posteriors }: Pairs<F, P>) -> Result<Self, String> {
        if points.len() == posteriors.len() {
            return Ok(Self { points, posteriors });
        }
        Err(format!(
            "{} points with {} posteriors; there is one for each",
            points.len(),
            posteriors.len()
        ))
    }
}

impl<F, P> Conjugate<F, P> {
    /// One point for each component.
    pub fn points(&self) -> &[F] {
        &self.points
    }

    /// The posterior of each component.
    pub fn posteriors(&self) -> &[P] {
        &self.posteriors
    }
}

impl<F: Clone, P: Clone> Conjugate<F, P> {
    fn keep(&mut self, from: &Self, j: usize) {
        self.points[j].clone_from(&from.points[j]);
        self.posteriors[j].clone_from(&from.posteriors[j]);
    }
}

impl<F: Family> Estimator<F> for MaximumLikelihood {
    type Fits = Vec<F>;

    const HAS_PRIOR: bool = false;

    fn start(&self, points: Vec<F>, _: f64) -> Result<Vec<F>, EstimateError> {
        Ok(points)
    }

    fn points(fits: &Vec<F>) -> &[F] {
        fits
    }

    fn pack(fits: &Vec<F>, packed: &mut F::Packed) {
        pack_points(fits, packed);
    }

    fn estimate(
        &self,
        current: &Vec<F>,
        stats: &[F::Stats],
        next: &mut Vec<F>,
    ) -> Result<Repairs, EstimateError> {
        F::maximize_all(current, stats, next)
    }

    fn penalty(&self, _: &Vec<F>) -> f64 {
        0.0
    }

    fn keep(current: &Vec<F>, j: usize, next: &mut Vec<F>) {
        next[j].clone_from(&current[j]);
    }

    fn retreat(current: &Vec<F>, next: &mut Vec<F>) -> bool {
        let mut any = false;
        for (current, next) in current.iter().zip(next) {
            any |= current.retreat(next);
        }
        any
    }
}

impl<F: Family> PointEstimator<F> for MaximumLikelihood {
    fn set_points(fits: &mut Vec<F>, points: Vec<F>) {
        assert_eq!(fits.len(), points.len(), "another number of components");
        *fits = points;
    }
}

impl<F: Family, P: ConjugatePrior<F>> PointEstimator<F> for MaximumAPosteriori<P> {
    fn set_points(fits: &mut Conjugate<F, P>, points: Vec<F>) {
        assert_eq!(fits.points.len(), points.len(), "another number of components");
        fits.points = points;
    }
}

impl<F: Family, P: ConjugatePrior<F>> Estimator<F> for MaximumAPosteriori<P> {
    type Fits = Conjugate<F, P>;

    const HAS_PRIOR: bool = true;

    fn start(&self, points: Vec<F>, weight: f64) -> Result<Self::Fits, EstimateError> {
        start_conjugate(&self.priors, points, weight)
    }

    fn points(fits: &Self::Fits) -> &[F] {
        &fits.points
    }

    fn pack(fits: &Self::Fits, packed: &mut F::Packed) {
        pack_points(&fits.points, packed);
    }

    fn estimate(
        &self,
        _: &Self::Fits,
        stats: &[F::Stats],
        next: &mut Self::Fits,
    ) -> Result<Repairs, EstimateError> {
        P::posterior_all(&self.priors, stats, &mut next.posteriors)?;
        P::mode_all(&next.posteriors, &mut next.points)?;
        Ok(Repairs::default())
    }

    fn penalty(&self, fits: &Self::Fits) -> f64 {
        P::log_prior_all(&self.priors, &fits.points)
    }

    fn keep(current: &Self::Fits, j: usize, next: &mut Self::Fits) {
        next.keep(current, j);
    }
}

impl<F: Family, P: ConjugatePrior<F>> Estimator<F> for VariationalBayes<P> {
    type Fits = Conjugate<F, P>;

    const HAS_PRIOR: bool = true;

    fn start(&self, points: Vec<F>, weight: f64) -> Result<Self::Fits, EstimateError> {
        start_conjugate(&self.priors, points, weight)
    }

    fn points(fits: &Self::Fits) -> &[F] {
        &fits.points
    }

    fn pack(fits: &Self::Fits, packed: &mut F::Packed) {
        for (j, posterior) in fits.posteriors.iter().enumerate() {
            posterior.pack(j, packed);
        }
    }

    fn estimate(
        &self,
        _: &Self::Fits,
        stats: &[F::Stats],
        next: &mut Self::Fits,
    ) -> Result<Repairs, EstimateError> {
        P::posterior_all(&self.priors, stats, &mut next.posteriors)?;
        for (posterior, point) in next.posteriors.iter().zip(&mut next.points) {
            posterior.mean_into(point);
        }
        Ok(Repairs::default())
    }

    fn penalty(&self, fits: &Self::Fits) -> f64 {
        -P::kl_all(&fits.posteriors, &self.priors)
    }

    fn keep(current: &Self::Fits, j: usize, next: &mut Self::Fits) {
        next.keep(current, j);
    }
}

fn pack_points<F: Family>(points: &[F], packed: &mut F::Packed) {
    for (j, point) in points.iter().enumerate() {
        point.pack(j, packed);
    }
}

fn start_conjugate<F: Family, P: ConjugatePrior<F>>(
    priors: &Priors<P>,
    points: Vec<F>,
    weight: f64,
) -> Result<Conjugate<F, P>, EstimateError> {
    let mut posteriors: Vec<P> = Vec::with_capacity(points.len());
    for (j, point) in points.iter().enumerate() {
        priors.get(j).check(point)?;
        posteriors.push(priors.get(j).clone());
    }
    let stats: Vec<F::Stats> = points.iter().map(|point| point.expected_stats(weight)).collect();
    P::posterior_all(priors, &stats, &mut posteriors)?;
    Ok(Conjugate { points, posteriors })
}
