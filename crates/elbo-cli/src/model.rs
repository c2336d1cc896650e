//! A model as the command knows it: one of the library's mixtures, applied to rows of a table.

mod centers;
mod file;
mod params;

use elbo::{
    core::{EStepError, Rows},
    dist::{CovarianceStructure, MultivariateGaussian, Poisson},
    mixture::{Mixture, MixtureError},
};
use rand::Rng;
use rayon::prelude::*;

use crate::{
    output::Params,
    summary::{Component, Kind},
};
pub(crate) use centers::{CentersFacts, CentersParams, SavedCenters, SavedModel};
pub(crate) use file::{FORMAT, FitFacts, ModelProblem, Saved, VERSION};
pub(crate) use params::{LARGEST_COUNT, ParamsError, gaussian_from, poisson_from};

/// Rows that one thread scores at a time: whole blocks of the library.
const CHUNK: usize = 1 << 14;

/// A fitted mixture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Model {
    /// Continuous numbers.
    Gaussian(Mixture<MultivariateGaussian>),
    /// Counts in one column.
    Poisson(Mixture<Poisson>),
}

impl Model {
    /// Number of components.
    pub(crate) fn k(&self) -> usize {
        self.weights().len()
    }

    /// Number of columns.
    pub(crate) fn d(&self) -> usize {
        match self {
            Self::Gaussian(mixture) => mixture.components()[0].d(),
            Self::Poisson(_) => 1,
        }
    }

    /// Shares of the components.
    pub(crate) fn weights(&self) -> &[f64] {
        match self {
            Self::Gaussian(mixture) => mixture.weights(),
            Self::Poisson(mixture) => mixture.weights(),
        }
    }

    /// Distribution of a component.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Gaussian(_) => Kind::Gaussian,
            Self::Poisson(_) => Kind::Poisson,
        }
    }

    /// What the covariances have in common, where there are any.
    pub(crate) fn structure(&self) -> Option<CovarianceStructure> {
        match self {
            Self::Gaussian(mixture) => Some(mixture.components()[0].structure()),
            Self::Poisson(_) => None,
        }
    }

    /// Free parameters.
    pub(crate) fn free_parameters(&self) -> usize {
        match self {
            Self::Gaussian(mixture) => mixture.free_parameters(),
            Self::Poisson(mixture) => mixture.free_parameters(),
        }
    }

    /// The components as plain numbers.
    pub(crate) fn components(&self) -> Vec<Component> {
        let weights = self.weights().iter().copied();
        match self {
            Self::Gaussian(mixture) => weights
                .zip(mixture.components())
                .map(|(weight, gaussian)| Component {
                    weight,
                    mean: gaussian.mean().to_vec(),
                    covariance: gaussian.covariance(),
                })
                .collect(),
            Self::Poisson(mixture) => weights
                .zip(mixture.components())
                .map(|(weight, poisson)| Component {
                    weight,
                    mean: vec![poisson.rate()],
                    covariance: vec![poisson.rate()],
                })
                .collect(),
        }
    }

    /// The parameters as files and JSON hold them.
    pub(crate) fn params(&self) -> Params {
        match self {
            Self::Gaussian(mixture) => params::of_gaussian(mixture),
            Self::Poisson(mixture) => params::of_poisson(mixture),
        }
    }

    /// The same model with its components in the order of these numbers.
    pub(crate) fn reordered(&self, order: &[usize]) -> Self {
        fn pick<F: Clone + elbo::core::Family>(
            mixture: &Mixture<F>,
            order: &[usize],
        ) -> Mixture<F> {
            let weights = order.iter().map(|&at| mixture.weights()[at]).collect();
            let components = order.iter().map(|&at| mixture.components()[at].clone()).collect();
            Mixture::new(weights, components).expect("the weights of a mixture in another order")
        }
        match self {
            Self::Gaussian(mixture) => Self::Gaussian(pick(mixture, order)),
            Self::Poisson(mixture) => Self::Poisson(pick(mixture, order)),
        }
    }

    /// `p(component ∣ row)` for `values`, rows of [`d`](Self::d) numbers that are complete and, for
    /// counts, whole: `n × k`. Goes over the threads of the current pool.
    ///
    /// # Errors
    ///
    /// If a row has no finite density.
    pub(crate) fn responsibilities(&self, values: &[f64]) -> Result<Vec<f64>, EStepError> {
        match self {
            Self::Gaussian(mixture) => self.by_chunk(values, |chunk| {
                mixture.responsibilities(Rows::new(chunk, chunk.len() / self.d(), self.d()))
            }),
            Self::Poisson(mixture) => {
                self.by_chunk(values, |chunk| mixture.responsibilities(&counts(chunk)[..]))
            }
        }
    }

    /// `ln p(row)` in nats for the same rows: `n` numbers.
    ///
    /// # Errors
    ///
    /// If a row has no finite density.
    pub(crate) fn log_densities(&self, values: &[f64]) -> Result<Vec<f64>, EStepError> {
        match self {
            Self::Gaussian(mixture) => self.by_chunk(values, |chunk| {
                let rows = Rows::new(chunk, chunk.len() / self.d(), self.d());
                let mut out = vec![0.0; chunk.len() / self.d()];
                mixture.log_density_into(rows, &mut out).map(|()| out)
            }),
            Self::Poisson(mixture) => self.by_chunk(values, |chunk| {
                let mut out = vec![0.0; chunk.len()];
                mixture.log_density_into(&counts(chunk), &mut out).map(|()| out)
            }),
        }
    }

    /// A new row, and the number of its component from 0.
    pub(crate) fn sample(&self, rng: &mut impl Rng) -> (usize, Vec<f64>) {
        match self {
            Self::Gaussian(mixture) => {
                let component = mixture.sample_component(rng);
                (component, mixture.components()[component].sample(rng))
            }
            Self::Poisson(mixture) => {
                let component = mixture.sample_component(rng);
                (component, vec![mixture.components()[component].sample(rng) as f64])
            }
        }
    }

    /// What `apply` says of each chunk of rows, in order.
    fn by_chunk(
        &self,
        values: &[f64],
        apply: impl Fn(&[f64]) -> Result<Vec<f64>, MixtureError> + Sync,
    ) -> Result<Vec<f64>, EStepError> {
        let chunks: Vec<_> = values
            .par_chunks(CHUNK * self.d())
            .enumerate()
            .map(|(at, chunk)| {
                apply(chunk).map_err(|error| match error {
                    MixtureError::EStep(error) => error.offset(at * CHUNK),
                    other => unreachable!("the rows were checked: {other}"),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(chunks.concat())
    }
}

/// Whole numbers from 0 to [`LARGEST_COUNT`] as counts.
pub(crate) fn counts(values: &[f64]) -> Vec<u64> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the values were checked to be whole, not negative and at most 2⁵³"
    )]
    values.iter().map(|&value| value as u64).collect()
}

#[cfg(test)]
mod tests {
    use elbo::dist::Poisson;

    use super::*;

    fn poissons(rates: [f64; 2]) -> Mixture<Poisson> {
        let components = rates.map(|rate| Poisson::new(rate).unwrap()).to_vec();
        Mixture::new(vec![0.25, 0.75], components).unwrap()
    }

    #[test]
    fn chunks_say_what_the_whole_says() {
        let values: Vec<f64> = (0..2 * CHUNK + 77).map(|row| (row * 7919 % 23) as f64).collect();
        let mixture = poissons([2.0, 9.0]);
        let model = Model::Poisson(mixture.clone());
        let whole = mixture.responsibilities(&counts(&values)[..]).unwrap();
        assert_eq!(model.responsibilities(&values), Ok(whole));
        let mut densities = vec![0.0; values.len()];
        mixture.log_density_into(&counts(&values), &mut densities).unwrap();
        assert_eq!(model.log_densities(&values), Ok(densities));
    }

    #[test]
    fn an_impossible_row_is_counted_over_all_chunks() {
        let mut values = vec![0.0; CHUNK + 9];
        values[CHUNK + 5] = 1.0;
        let refused = Model::Poisson(poissons([0.0, 0.0])).log_densities(&values);
        assert_eq!(refused, Err(EStepError::Impossible { row: CHUNK + 5 }));
    }
}
