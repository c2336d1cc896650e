//! What a model shows of itself so that its fit gets standard errors.

use super::{score_free, with_free, write_free};
use crate::{
    ExpectedLogLikelihood, Family, FlatParameters, LatentModel, PointEstimator, Range, SingleModel,
    gradient_by_differences,
};

/// A model whose parameters are a point of `ℝᵖ`: the laws are those of [`FlatParameters`].
///
/// This is all that a Hessian of the objective needs ([`hessian`](super::hessian)); a dozen lines for a model of your own.
pub trait FlatModel: LatentModel {
    /// Appends the `p` unconstrained coordinates, as many as [`free_parameters`](LatentModel::free_parameters). A
    /// parameter on the boundary of its range has an infinite one.
    fn write_unconstrained(&self, params: &Self::Params, out: &mut Vec<f64>);

    /// The parameters with these coordinates, ready for an E-step; `params` gives the shape and all that is not estimated.
    ///
    /// # Panics
    ///
    /// If there are not `p` coordinates.
    fn with_unconstrained(&self, params: &Self::Params, from: &[f64]) -> Self::Params;

    /// Shows the parameters in the units in which they are reported, each with a name of its own and its range.
    fn for_each_parameter(&self, params: &Self::Params, see: &mut dyn FnMut(&str, f64, Range));
}

/// A model whose expected complete-data log-likelihood is a known function `Q(θ′; s)` of its statistics: what its M-step
/// maximizes, without the penalty. One line for most models.
///
/// # Laws
///
/// `∂Q(θ′; s(θ))/∂θ′` at `θ′ = θ`, with the statistics `s(θ)` of the E-step at `θ`, is the gradient of the data term
/// (Fisher's identity, which every lower bound that touches shares).
pub trait CompleteDataModel: FlatModel {
    /// `Q(θ′; s)` at `params`, in nats, up to terms that no parameter touches.
    fn expected_log_likelihood(&self, params: &Self::Params, stats: &Self::Stats) -> f64;

    /// Overwrites `out` by the gradient of `Q(·; s)` in the coordinates, at `params`. `steps` are about one standard
    /// error of each; a step of zero marks a coordinate that is held. Unless overridden, by differences: `4p` values of `Q`.
    fn score_into(
        &self,
        params: &Self::Params,
        stats: &Self::Stats,
        steps: &[f64],
        out: &mut [f64],
    ) {
        let mut flat = Vec::with_capacity(out.len());
        self.write_unconstrained(params, &mut flat);
        gradient_by_differences(&flat, steps, out, |flat| {
            self.expected_log_likelihood(&self.with_unconstrained(params, flat), stats)
        });
    }
}

/// A model that knows how much its latent variables hide of each unit: what Louis' formula needs.
pub trait LouisModel: CompleteDataModel {
    /// Adds `Σᵢ wᵢ Var[∂ ln p(xᵢ, zᵢ ∣ θ)/∂φ ∣ xᵢ]` of a chunk of data to the `p × p` matrix `out`, row by row.
    ///
    /// `steps` are as in [`CompleteDataModel::score_into`].
    ///
    /// # Errors
    ///
    /// [`UncertaintyError::Incomplete`](super::UncertaintyError::Incomplete) where the data hide something else than `z`;
    /// that of the E-step where a unit has no finite density.
    fn add_missing_information(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        steps: &[f64],
        out: &mut [f64],
    ) -> Result<(), super::UncertaintyError>;
}

impl<F: Family + FlatParameters, E: PointEstimator<F>> FlatModel for SingleModel<F, E> {
    fn write_unconstrained(&self, params: &Self::Params, out: &mut Vec<f64>) {
        write_free(self.estimator(), E::points(params.fits()), out);
    }

    fn with_unconstrained(&self, params: &Self::Params, mut from: &[f64]) -> Self::Params {
        let points = with_free(self.estimator(), E::points(params.fits()), &mut from);
        assert!(from.is_empty(), "{} coordinates too many", from.len());
        params.at(points)
    }

    fn for_each_parameter(&self, params: &Self::Params, see: &mut dyn FnMut(&str, f64, Range)) {
        params.point().for_each_parameter(see);
    }
}

impl<F: ExpectedLogLikelihood, E: PointEstimator<F>> CompleteDataModel for SingleModel<F, E> {
    fn expected_log_likelihood(&self, params: &Self::Params, stats: &Self::Stats) -> f64 {
        params.point().expected_log_likelihood(&stats[0])
    }

    fn score_into(
        &self,
        params: &Self::Params,
        stats: &Self::Stats,
        steps: &[f64],
        out: &mut [f64],
    ) {
        let mut steps = steps;
        score_free(self.estimator(), E::points(params.fits()), stats, &mut steps, out);
    }
}

/// Nothing is hidden: the information is that of complete data.
impl<F: ExpectedLogLikelihood, E: PointEstimator<F>> LouisModel for SingleModel<F, E> {
    fn add_missing_information(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        _: &[f64],
        _: &mut [f64],
    ) -> Result<(), super::UncertaintyError> {
        if params.point().is_complete(data.units()) {
            Ok(())
        } else {
            Err(super::UncertaintyError::Incomplete)
        }
    }
}
