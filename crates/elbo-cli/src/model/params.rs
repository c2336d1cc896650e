//! Parameters between files and the library, checked on the way in.

use elbo::{
    dist::{CovarianceStructure, MultivariateGaussian, ParameterError, Poisson},
    mixture::{Mixture, MixtureError},
};

use crate::output::{GaussianParams, Params, PoissonParams};

/// Larger counts are not exact in a file of `f64`: 2⁵³.
pub(crate) const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

/// Why numbers in a file are no parameters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ParamsError {
    /// Lists of different lengths.
    #[error("it has {found} {what} where {expected} are needed")]
    Length {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A component that no distribution has.
    #[error("component {component}: {cause}")]
    Component {
        /// Its number, from 1.
        component: usize,
        /// What is wrong with it.
        cause: ParameterError,
    },
    /// A Poisson rate at which counts would not be exact.
    #[error("component {component}: the rate {rate:e} is more than 2^53, beyond exact counts")]
    Rate {
        /// Its number, from 1.
        component: usize,
        /// The rate.
        rate: f64,
    },
    /// States that emit something else.
    #[error("its emission is not of the kind {expected}")]
    Emission {
        /// The kind that it should be.
        expected: &'static str,
    },
    /// Parts that make no chain.
    #[error("{0}")]
    Chain(elbo::hmm::HmmError),
    /// Weights and components that make no mixture.
    #[error("{0}")]
    Mixture(MixtureError),
}

/// The parameters of a Gaussian mixture, in full.
pub(super) fn of_gaussian(mixture: &Mixture<MultivariateGaussian>) -> Params {
    let components = mixture.components();
    Params::Gaussian(GaussianParams {
        weights: mixture.weights().to_vec(),
        means: components.iter().map(|gaussian| gaussian.mean().to_vec()).collect(),
        covariances: components
            .iter()
            .map(|gaussian| gaussian.covariance().chunks(gaussian.d()).map(<[_]>::to_vec).collect())
            .collect(),
    })
}

/// The parameters of a Poisson mixture.
pub(super) fn of_poisson(mixture: &Mixture<Poisson>) -> Params {
    Params::Poisson(PoissonParams {
        weights: mixture.weights().to_vec(),
        rates: mixture.components().iter().map(Poisson::rate).collect(),
    })
}

/// The Gaussian mixture of these parameters, in `d` columns.
///
/// # Errors
///
/// [`ParamsError`]: for one, covariances that are not of the structure.
pub(crate) fn gaussian_from(
    params: GaussianParams,
    structure: CovarianceStructure,
    d: usize,
) -> Result<Mixture<MultivariateGaussian>, ParamsError> {
    let k = params.weights.len();
    check("means", params.means.len(), k)?;
    check("covariances", params.covariances.len(), k)?;
    let pairs = params.means.into_iter().zip(params.covariances).enumerate();
    let components = pairs.map(|(at, (mean, covariance))| {
        check("numbers in a mean", mean.len(), d)?;
        check("rows in a covariance", covariance.len(), d)?;
        for row in &covariance {
            check("numbers in a row of a covariance", row.len(), d)?;
        }
        MultivariateGaussian::new(structure, mean, &covariance.concat())
            .map_err(|cause| ParamsError::Component { component: at + 1, cause })
    });
    let components = components.collect::<Result<_, _>>()?;
    Mixture::new(params.weights, components).map_err(ParamsError::Mixture)
}

/// The Poisson mixture of these parameters.
///
/// # Errors
///
/// [`ParamsError`].
pub(crate) fn poisson_from(params: PoissonParams) -> Result<Mixture<Poisson>, ParamsError> {
    check("rates", params.rates.len(), params.weights.len())?;
    let components = params.rates.into_iter().enumerate().map(|(at, rate)| {
        if rate > LARGEST_COUNT {
            return Err(ParamsError::Rate { component: at + 1, rate });
        }
        Poisson::new(rate).map_err(|cause| ParamsError::Component { component: at + 1, cause })
    });
    let components = components.collect::<Result<_, _>>()?;
    Mixture::new(params.weights, components).map_err(ParamsError::Mixture)
}

fn check(what: &'static str, found: usize, expected: usize) -> Result<(), ParamsError> {
    if found == expected { Ok(()) } else { Err(ParamsError::Length { what, found, expected }) }
}
