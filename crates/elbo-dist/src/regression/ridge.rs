//! Gaussian priors of the coefficients of regressions with a canonical link.

use std::f64::consts::TAU;

use elbo_core::{EstimateError, Estimator, Family, Repairs};

use super::canonical::{CanonicalLink, CanonicalRegression, RegressionPacked};
use crate::{
    ParameterError, RegressionStats,
    error::{finite, positive},
};

/// Maximum a posteriori estimation of [`LogisticRegression`](crate::LogisticRegression) and
/// [`PoissonRegression`](crate::PoissonRegression), of one or of components of a mixture, under independent Gaussian
/// priors of the coefficients: `βₐ ∼ N(mₐ, 1/λₐ)`.
///
/// It takes the place of [`MaximumLikelihood`](elbo_core::MaximumLikelihood). Penalty and mode are in `β`, about which the
/// prior says the same wherever covariates are centered; the intercept has a flat prior, the constant zero. With
/// `m = 0` this is ridge regression: `λ` is in the inverse square of the unit of `β`, and the penalty `½λβ²` in nats.
///
/// The prior is not conjugate, so there is no posterior of the same kind, no [`VariationalBayes`](elbo_core::VariationalBayes)
/// and no evidence. The penalty is quadratic, so every step is still Newton's, damped, and never lowers the objective.
/// There is a maximum where there are successes and failures, or events, however the classes are separated.
///
/// ```
/// use elbo_core::{Rows, Settings, SingleModel, Weighted, fit};
/// use elbo_dist::{LogisticRegression, Ridge};
///
/// // Separated by any threshold between 2 and 3: without a prior the slope would run off.
/// let (x, y) = ([1.0, 2.0, 3.0, 4.0], [false, false, true, true]);
/// let data = Weighted::uniform((Rows::new(&x, 4, 1), &y[..]));
/// let model = SingleModel::new(Ridge::new(1, 0.5)?);
/// let start = model.start(LogisticRegression::new(0.0, vec![0.0])?, 4.0).unwrap();
/// let fit = fit(&model, data, start, &Settings::default(), &()).unwrap();
/// let (b, residuals) = (fit.params.point(), [0, 1, 2, 3].map(|i| f64::from(y[i]) - fit.params.point().predict(&[x[i]])));
/// let slope: f64 = residuals.iter().zip(x).map(|(r, x)| r * x).sum();
/// assert!((slope - 0.5 * b.coefficients()[0]).abs() < 1e-6);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// le Cessie & van Houwelingen (1992), Appl. Statist. 41(1).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Ridge {
    means: Vec<f64>,
    precisions: Vec<f64>,
}

impl Ridge {
    /// Mean zero and one precision for `p` coefficients.
    ///
    /// # Errors
    ///
    /// If `p = 0`, or the precision is not positive and finite.
    pub fn new(p: usize, precision: f64) -> Result<Self, ParameterError> {
        Self::about(vec![0.0; p], vec![precision; p])
    }

    /// A mean and a precision for each coefficient.
    ///
    /// # Errors
    ///
    /// If there is none, lengths differ, a mean is not finite, or a precision is not positive and finite.
    pub fn about(means: Vec<f64>, precisions: Vec<f64>) -> Result<Self, ParameterError> {
        let (expected, found) = (means.len().max(1), precisions.len());
        if found != expected {
            return Err(ParameterError::Length { parameter: "precisions", expected, found });
        }
        means.iter().try_for_each(|mean| finite("mean", *mean).map(drop))?;
        precisions.iter().try_for_each(|precision| positive("precision", *precision).map(drop))?;
        Ok(Self { means, precisions })
    }

    /// `m`, one for each coefficient.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// `λ`, one for each coefficient.
    pub fn precisions(&self) -> &[f64] {
        &self.precisions
    }

    /// `Σ ½ ln(λ/2π) − ½ λ (β − m)²`, in nats.
    ///
    /// # Panics
    ///
    /// If there is not one coefficient for each mean.
    pub fn log_prior(&self, coefficients: &[f64]) -> f64 {
        assert_eq!(self.means.len(), coefficients.len(), "one mean per coefficient");
        let terms = self.terms().zip(coefficients).map(|((mean, precision), b)| {
            0.5 * ((precision / TAU).ln() - precision * (b - mean) * (b - mean))
        });
        terms.sum()
    }

    /// Means with their precisions.
    pub(super) fn terms(&self) -> impl Iterator<Item = (f64, f64)> {
        self.means.iter().copied().zip(self.precisions.iter().copied())
    }
}

impl<L: CanonicalLink> Estimator<CanonicalRegression<L>> for Ridge {
    type Fits = Vec<CanonicalRegression<L>>;

    const HAS_PRIOR: bool = true;

    fn start(&self, points: Self::Fits, _: f64) -> Result<Self::Fits, EstimateError> {
        if points.iter().all(|point| point.covariates() == self.means.len()) {
            return Ok(points);
        }
        Err(EstimateError::Unsupported {
            what: "a ridge prior of another number of coefficients",
            structure: "these covariates",
        })
    }

    fn points(fits: &Self::Fits) -> &[CanonicalRegression<L>] {
        fits
    }

    fn pack(fits: &Self::Fits, packed: &mut RegressionPacked) {
        fits.iter().enumerate().for_each(|(j, point)| point.pack(j, packed));
    }

    fn estimate(
        &self,
        _: &Self::Fits,
        stats: &[RegressionStats],
        next: &mut Self::Fits,
    ) -> Result<Repairs, EstimateError> {
        let mut repairs = Repairs::default();
        for (j, (stats, next)) in stats.iter().zip(next).enumerate() {
            let done = CanonicalRegression::step(stats, Some(self), next);
            repairs.merge(done.map_err(|error| error.at(j))?);
        }
        Ok(repairs)
    }

    fn penalty(&self, fits: &Self::Fits) -> f64 {
        fits.iter().map(|point| self.log_prior(point.coefficients())).sum()
    }

    fn keep(current: &Self::Fits, j: usize, next: &mut Self::Fits) {
        next[j].clone_from(&current[j]);
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    means: Vec<f64>,
    precisions: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Ridge {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::about(p.means, p.precisions)
    }
}
