//! Conjugate priors of the columns of a product.

use elbo_core::{ConjugatePrior, EstimateError};

use super::{Column, ColumnStats, Independent, IndependentPacked, column::PackedColumn, in_column};
use crate::{
    Bernoulli, Beta, Binomial, Categorical, Dirichlet, Exponential, Gamma, Gaussian, Geometric,
    LogNormal, NormalInverseGamma, ParameterError, Poisson,
};

macro_rules! priors {
    (
        { $($(#[$doc:meta])* $prior:ident($type:ty)),+ $(,)? }
        { $($of:ident => $column:ident($family:ty)),+ $(,)? }
    ) => {
        /// The conjugate prior of one column, which with data added is its posterior.
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Serialize, serde::Deserialize),
            serde(tag = "prior", rename_all = "snake_case")
        )]
        #[non_exhaustive]
        pub enum ColumnPrior {
            $($(#[$doc])* $prior($type)),+
        }

        $(
            impl From<$type> for ColumnPrior {
                fn from(prior: $type) -> Self {
                    Self::$prior(prior)
                }
            }
        )+

        impl ColumnPrior {
            fn posterior(
                &self,
                stats: &ColumnStats,
                posterior: &mut Self,
            ) -> Result<(), EstimateError> {
                match (self, stats, posterior) {
                    $((Self::$of(prior), ColumnStats::$column(stats), Self::$of(posterior)) => {
                        ConjugatePrior::<$family>::posterior(prior, stats, posterior)
                    })+
                    _ => Err(UNSUPPORTED),
                }
            }

            fn mode_into(&self, point: &mut Column) -> Result<(), EstimateError> {
                match (self, point) {
                    $((Self::$of(prior), Column::$column(point)) => {
                        ConjugatePrior::<$family>::mode_into(prior, point)
                    })+
                    _ => Err(UNSUPPORTED),
                }
            }

            fn mean_into(&self, point: &mut Column) {
                match (self, point) {
                    $((Self::$of(prior), Column::$column(point)) => {
                        ConjugatePrior::<$family>::mean_into(prior, point);
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            fn log_prior(&self, point: &Column) -> f64 {
                match (self, point) {
                    $((Self::$of(prior), Column::$column(point)) => {
                        ConjugatePrior::<$family>::log_prior(prior, point)
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            fn pack(&self, j: usize, packed: &mut PackedColumn) {
                match (self, packed) {
                    $((Self::$of(prior), PackedColumn::$column(packed)) => {
                        ConjugatePrior::<$family>::pack(prior, j, packed.inner_mut());
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            fn check(&self, point: &Column) -> Result<(), EstimateError> {
                match (self, point) {
                    $((Self::$of(prior), Column::$column(point)) => {
                        ConjugatePrior::<$family>::check(prior, point)
                    })+
                    _ => Err(UNSUPPORTED),
                }
            }

            fn kl_divergence(&self, prior: &Self) -> f64 {
                match (self, prior) {
                    $((Self::$prior(posterior), Self::$prior(prior)) => posterior.kl_divergence(prior),)+
                    _ => panic!("{OTHER}"),
                }
            }
        }
    };
}

priors! {
    {
        /// Of a [`Gaussian`] or [`LogNormal`] column.
        NormalInverseGamma(NormalInverseGamma),
        /// Of a [`Poisson`] or [`Exponential`] column.
        Gamma(Gamma),
        /// Of a [`Bernoulli`], [`Binomial`] or [`Geometric`] column.
        Beta(Beta),
        /// Of a [`Categorical`] column.
        Dirichlet(Dirichlet),
    }
    {
        NormalInverseGamma => Gaussian(Gaussian),
        NormalInverseGamma => LogNormal(LogNormal),
        Gamma => Poisson(Poisson),
        Gamma => Exponential(Exponential),
        Beta => Bernoulli(Bernoulli),
        Beta => Binomial(Binomial),
        Beta => Geometric(Geometric),
        Dirichlet => Categorical(Categorical),
    }
}

const OTHER: &str = "the prior of another family";
const UNSUPPORTED: EstimateError =
    EstimateError::Unsupported { what: "this prior", structure: "a column of this family" };

/// Independent conjugate priors, one for each column of an [`Independent`]; with data added, its posterior.
///
/// Modes, densities and pseudo-counts are those of the columns' priors. A column whose family has no conjugate prior
/// cannot be fitted with one.
///
/// ```
/// use elbo_core::ConjugatePrior;
/// use elbo_dist::{Gamma, Gaussian, Independent, IndependentPrior, NormalInverseGamma, Poisson};
///
/// let prior = IndependentPrior::new(vec![
///     NormalInverseGamma::new(0.0, 1.0, 2.0, 7.0)?.into(),
///     Gamma::new(3.0, 1.0)?.into(),
/// ])?;
/// let mut point =
///     Independent::new(vec![Gaussian::new(5.0, 1.0)?.into(), Poisson::new(9.0)?.into()])?;
/// prior.mode_into(&mut point).unwrap();
/// assert_eq!(point.columns()[1].mean(), 2.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct IndependentPrior {
    columns: Vec<ColumnPrior>,
}

impl IndependentPrior {
    /// These priors, the first for the first column.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Length`] if there is none.
    pub fn new(columns: Vec<ColumnPrior>) -> Result<Self, ParameterError> {
        if columns.is_empty() {
            return Err(ParameterError::Length { parameter: "columns", expected: 1, found: 0 });
        }
        Ok(Self { columns })
    }

    /// The prior of each column.
    pub fn columns(&self) -> &[ColumnPrior] {
        &self.columns
    }
}

impl ConjugatePrior<Independent> for IndependentPrior {
    fn posterior(
        &self,
        stats: &Vec<ColumnStats>,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        let columns = self.columns.iter().zip(stats).zip(&mut posterior.columns);
        for (place, ((prior, stats), posterior)) in columns.enumerate() {
            prior.posterior(stats, posterior).map_err(|error| in_column(error, place))?;
        }
        Ok(())
    }

    fn mode_into(&self, point: &mut Independent) -> Result<(), EstimateError> {
        for (place, (prior, point)) in self.columns.iter().zip(&mut point.columns).enumerate() {
            prior.mode_into(point).map_err(|error| in_column(error, place))?;
        }
        Ok(())
    }

    fn mean_into(&self, point: &mut Independent) {
        for (prior, point) in self.columns.iter().zip(&mut point.columns) {
            prior.mean_into(point);
        }
    }

    fn log_prior(&self, point: &Independent) -> f64 {
        self.columns.iter().zip(&point.columns).map(|(prior, point)| prior.log_prior(point)).sum()
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.columns.iter().zip(&prior.columns).map(|(q, p)| q.kl_divergence(p)).sum()
    }

    fn pack(&self, j: usize, packed: &mut IndependentPacked) {
        for (place, prior) in self.columns.iter().enumerate() {
            prior.pack(j, packed.column_mut(place));
        }
    }

    fn check(&self, point: &Independent) -> Result<(), EstimateError> {
        if self.columns.len() != point.d() {
            return Err(EstimateError::Unsupported {
                what: "a prior with another number of columns",
                structure: "these rows",
            });
        }
        self.columns.iter().zip(&point.columns).try_for_each(|(prior, point)| prior.check(point))
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    columns: Vec<ColumnPrior>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for IndependentPrior {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.columns)
    }
}
