//! Parameters of chains between files and the library, checked on the way in.

use elbo::{
    core::Family,
    dist::{Categorical, MultivariateGaussian, ParameterError, Poisson},
    hmm::{Hmm, HmmError},
};
use serde::{Deserialize, Serialize};

use super::{Chain, Emission};
use crate::model::ParamsError;

/// The parameters of a chain; also the shape of `--start` files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainParams {
    /// `[K]`
    pub(crate) initial: Vec<f64>,
    /// `[K][K]`, row by row: from, to.
    pub(crate) transition: Vec<Vec<f64>>,
    /// What the states emit.
    pub(crate) emission: EmissionParams,
}

/// What the states emit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum EmissionParams {
    /// Columns of numbers: `[K][D]` and `[K][D][D]`.
    Gaussian { means: Vec<Vec<f64>>, covariances: Vec<Vec<Vec<f64>>> },
    /// Counts: `[K]`.
    Poisson { rates: Vec<f64> },
    /// Categories: `[K][M]`.
    Categorical { probabilities: Vec<Vec<f64>> },
}

impl ChainParams {
    /// The parameters of `chain`, in full.
    pub(crate) fn of(chain: &Chain) -> Self {
        let emission = match chain {
            Chain::Gaussian(hmm) => EmissionParams::Gaussian {
                means: hmm.emission().iter().map(|state| state.mean().to_vec()).collect(),
                covariances: hmm
                    .emission()
                    .iter()
                    .map(|state| state.covariance().chunks(state.d()).map(<[_]>::to_vec).collect())
                    .collect(),
            },
            Chain::Poisson(hmm) => EmissionParams::Poisson {
                rates: hmm.emission().iter().map(Poisson::rate).collect(),
            },
            Chain::Categorical(hmm) => EmissionParams::Categorical {
                probabilities: hmm
                    .emission()
                    .iter()
                    .map(|state| state.probabilities().to_vec())
                    .collect(),
            },
        };
        Self {
            initial: chain.initial().to_vec(),
            transition: (0..chain.k()).map(|i| chain.transition(i).to_vec()).collect(),
            emission,
        }
    }

    /// The chain of these parameters, in `d` columns.
    ///
    /// # Errors
    ///
    /// [`ParamsError`]: for one, emissions of another kind.
    pub(crate) fn chain(self, emission: Emission, d: usize) -> Result<Chain, ParamsError> {
        let Self { initial, transition, emission: states } = self;
        let parts = (initial, transition);
        match (emission.structure(), emission, states) {
            (Some(structure), _, EmissionParams::Gaussian { means, covariances }) => {
                check("covariances", covariances.len(), means.len())?;
                let states = each(means.into_iter().zip(covariances), |(mean, covariance)| {
                    check("numbers in a mean", mean.len(), d)?;
                    check("rows in a covariance", covariance.len(), d)?;
                    for row in &covariance {
                        check("numbers in a row of a covariance", row.len(), d)?;
                    }
                    Ok(MultivariateGaussian::new(structure, mean, &covariance.concat()))
                })?;
                Ok(Chain::Gaussian(assemble(parts, states)?))
            }
            (_, Emission::Poisson, EmissionParams::Poisson { rates }) => {
                let states = each(rates.into_iter(), |rate| Ok(Poisson::new(rate)))?;
                Ok(Chain::Poisson(assemble(parts, states)?))
            }
            (_, Emission::Categorical, EmissionParams::Categorical { probabilities }) => {
                let m = probabilities.first().map_or(0, Vec::len);
                let states = each(probabilities.into_iter(), |row| {
                    check("probabilities of a state", row.len(), m)?;
                    Ok(Categorical::new(row))
                })?;
                Ok(Chain::Categorical(assemble(parts, states)?))
            }
            _ => Err(ParamsError::Emission { expected: emission.name() }),
        }
    }
}

/// States one by one; what is wrong with one names it.
fn each<T, F>(
    states: impl Iterator<Item = T>,
    make: impl Fn(T) -> Result<Result<F, ParameterError>, ParamsError>,
) -> Result<Vec<F>, ParamsError> {
    let numbered = states.enumerate();
    numbered
        .map(|(at, state)| {
            make(state)?.map_err(|cause| ParamsError::Component { component: at + 1, cause })
        })
        .collect()
}

fn assemble<F: Family>(
    (initial, transition): (Vec<f64>, Vec<Vec<f64>>),
    states: Vec<F>,
) -> Result<Hmm<F>, ParamsError> {
    Hmm::new(&initial, &transition, states).map_err(|error: HmmError| ParamsError::Chain(error))
}

fn check(what: &'static str, found: usize, expected: usize) -> Result<(), ParamsError> {
    if found == expected { Ok(()) } else { Err(ParamsError::Length { what, found, expected }) }
}
