//! A mixture of points: densities, responsibilities, labels, draws.

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, DataError, EStepError, Family, FitError, Label, MatrixMut, Weighted,
};
use elbo_dist::{Categorical, ParameterError};
use elbo_linalg::{SoftmaxError, softmax_columns};
use rand::Rng;

/// A finite mixture with given weights and components: `p(x) = Σⱼ πⱼ p(x ∣ θⱼ)`.
///
/// ```
/// use elbo_mixture::{Gaussian, Mixture};
///
/// let mixture = Mixture::new(vec![0.25, 0.75], vec![Gaussian::new(0.0, 1.0)?, Gaussian::new(4.0, 1.0)?])?;
/// let mut log_density = [0.0; 2];
/// mixture.log_density_into(&[0.0, 4.0], &mut log_density)?;
/// assert!(log_density[0] < log_density[1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture<F> {
    weights: Categorical,
    components: Vec<F>,
}

/// Why numbers are no mixture, or data cannot be scored by one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MixtureError {
    /// Not one weight per component.
    #[error("{weights} weights for {components} components; give one each, and at least one")]
    Components {
        /// Weights given.
        weights: usize,
        /// Components given.
        components: usize,
    },
    /// The weights are no probabilities.
    #[error("weights: {0}")]
    Weights(#[from] ParameterError),
    /// A component of a marginal or conditional mixture is none.
    #[error("component {component}: {source}")]
    Component {
        /// The component.
        component: usize,
        /// What is wrong with it.
        source: ParameterError,
    },
    /// The data do not fit the mixture.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row has no finite density.
    #[error(transparent)]
    EStep(#[from] EStepError),
}

impl MixtureError {
    /// Why a mixture that exists cannot score data.
    pub(crate) fn of_scoring(self) -> FitError {
        match self {
            Self::Data(error) => FitError::Data(error),
            Self::EStep(error) => FitError::EStep(error),
            Self::Components { .. } | Self::Weights(_) | Self::Component { .. } => {
                unreachable!("the mixture exists")
            }
        }
    }
}

/// What a block of responsibilities tells about its rows.
pub(crate) struct Block<'a> {
    /// First row of the block in the data.
    pub(crate) start: usize,
    /// Rows in it.
    pub(crate) n: usize,
    /// `γ[j·BLOCK_STRIDE + i]`.
    pub(crate) responsibilities: &'a [f64],
    /// `ln p(xᵢ)`.
    log_densities: &'a [f64],
}

impl<F: Family> Mixture<F> {
    /// A mixture with these weights, kept as they are, and components.
    ///
    /// # Errors
    ///
    /// [`MixtureError::Components`] unless there is one weight per component and at least one;
    /// [`MixtureError::Weights`] unless the weights are probabilities that sum to one within 10⁻⁹.
    pub fn new(weights: Vec<f64>, components: Vec<F>) -> Result<Self, MixtureError> {
        if weights.len() != components.len() || components.is_empty() {
            return Err(MixtureError::Components {
                weights: weights.len(),
                components: components.len(),
            });
        }
        Ok(Self { weights: Categorical::new(weights)?, components })
    }

    pub(crate) fn from_parts(weights: Categorical, components: Vec<F>) -> Self {
        Self { weights, components }
    }

    pub(crate) fn parts(&self) -> (&Categorical, &[F]) {
        (&self.weights, &self.components)
    }

    pub(crate) fn parts_mut(&mut self) -> (&mut Categorical, &mut [F]) {
        (&mut self.weights, &mut self.components)
    }

    pub(crate) fn into_parts(self) -> (Categorical, Vec<F>) {
        (self.weights, self.components)
    }

    /// Number of components.
    pub fn k(&self) -> usize {
        self.components.len()
    }

    /// `πⱼ`, summing to one.
    pub fn weights(&self) -> &[f64] {
        self.weights.probabilities()
    }

    /// The components.
    pub fn components(&self) -> &[F] {
        &self.components
    }

    /// The same mixture, its components in descending order of weight; equals keep their order.
    #[must_use]
    pub fn sorted_by_weight(&self) -> Self {
        let mut order: Vec<usize> = (0..self.k()).collect();
        order.sort_by(|a, b| self.weights()[*b].total_cmp(&self.weights()[*a]));
        self.in_order(&order)
    }

    fn in_order(&self, order: &[usize]) -> Self {
        let shares: Vec<f64> = order.iter().map(|j| self.weights()[*j]).collect();
        Self {
            weights: Categorical::from_weights(&shares).expect("the weights of a mixture"),
            components: order.iter().map(|j| self.components[*j].clone()).collect(),
        }
    }

    /// Number of free parameters: `k − 1` weights and those of the components, shared ones counted once.
    pub fn free_parameters(&self) -> usize {
        self.k() - 1 + F::free_parameters_all(&self.components)
    }

    /// `out[i] = ln p(xᵢ)`, in nats.
    ///
    /// # Errors
    ///
    /// If the data do not fit the mixture, or a row has no finite density.
    ///
    /// # Panics
    ///
    /// If `out` is not as long as the data.
    pub fn log_density_into(
        &self,
        data: F::Batch<'_>,
        out: &mut [f64],
    ) -> Result<(), MixtureError> {
        assert_eq!(out.len(), data.len(), "one log density per row");
        self.for_each_block(data.into(), |block| {
            out[block.start..][..block.n].copy_from_slice(block.log_densities);
        })
    }

    /// `ℓ = Σᵢ wᵢ ln p(xᵢ)`, in nats, of plain or weighted rows, jointly with their labels where there are any. A row of
    /// weight zero counts for nothing, even where it is impossible.
    ///
    /// # Errors
    ///
    /// As [`log_density_into`](Self::log_density_into).
    pub fn log_likelihood<'a>(
        &self,
        data: impl Into<Weighted<'a, F::Batch<'a>>>,
    ) -> Result<f64, MixtureError> {
        let data = data.into();
        let mut sum = 0.0;
        self.for_each_block(data, |block| {
            sum += match data.weights() {
                None => block.log_densities.iter().sum::<f64>(),
                Some(weights) => {
                    let weights = &weights[block.start..][..block.n];
                    block.log_densities.iter().zip(weights).map(|(l, w)| l * w).sum()
                }
            };
        })?;
        Ok(sum)
    }

    /// [`log_likelihood`](Self::log_likelihood) and total weight of rows: what
    /// [`cross_validate`](elbo_core::cross_validate) asks of a fit.
    ///
    /// # Errors
    ///
    /// If the data do not fit the mixture, or a row that counts has no finite density under it.
    pub fn score<'a>(
        &self,
        data: impl Into<Weighted<'a, F::Batch<'a>>>,
    ) -> Result<(f64, f64), FitError> {
        let data = data.into();
        let log_likelihood = self.log_likelihood(data).map_err(MixtureError::of_scoring)?;
        Ok((log_likelihood, data.observations()))
    }

    /// `γᵢⱼ = p(zᵢ = j ∣ xᵢ)` as `n × k`, row by row; given their labels, where rows have any. Weights do not matter.
    ///
    /// # Errors
    ///
    /// As [`log_density_into`](Self::log_density_into).
    pub fn responsibilities<'a>(
        &self,
        data: impl Into<Weighted<'a, F::Batch<'a>>>,
    ) -> Result<Vec<f64>, MixtureError> {
        let (data, k) = (data.into().with_weights(None)?, self.k());
        let mut all = vec![0.0; data.len() * k];
        self.for_each_block(data, |block| {
            for (i, row) in all[block.start * k..][..block.n * k].chunks_exact_mut(k).enumerate() {
                for (j, x) in row.iter_mut().enumerate() {
                    *x = block.responsibilities[j * BLOCK_STRIDE + i];
                }
            }
        })?;
        Ok(all)
    }

    /// The most probable component of each row, the first of equals; among those that its label allows, where it has one.
    ///
    /// # Errors
    ///
    /// As [`log_density_into`](Self::log_density_into).
    pub fn labels<'a>(
        &self,
        data: impl Into<Weighted<'a, F::Batch<'a>>>,
    ) -> Result<Vec<usize>, MixtureError> {
        let data = data.into().with_weights(None)?;
        let mut labels = vec![0; data.len()];
        self.for_each_block(data, |block| {
            for (i, label) in labels[block.start..][..block.n].iter_mut().enumerate() {
                let share = |j: usize| block.responsibilities[j * BLOCK_STRIDE + i];
                *label =
                    (1..self.k()).fold(0, |best, j| if share(j) > share(best) { j } else { best });
            }
        })?;
        Ok(labels)
    }

    /// `out[i] = 1 − maxⱼ γᵢⱼ`: the probability that the label of row `i` is wrong, if the mixture is right.
    ///
    /// # Errors
    ///
    /// As [`log_density_into`](Self::log_density_into).
    ///
    /// # Panics
    ///
    /// If `out` is not as long as the data.
    pub fn uncertainty_into<'a>(
        &self,
        data: impl Into<Weighted<'a, F::Batch<'a>>>,
        out: &mut [f64],
    ) -> Result<(), MixtureError>
    where
        F::Batch<'a>: 'a,
    {
        let (data, k) = (data.into(), self.k());
        assert_eq!(out.len(), data.len(), "one uncertainty per row");
        self.for_each_block(data, |block| {
            for (i, out) in out[block.start..][..block.n].iter_mut().enumerate() {
                let share = |j: usize| block.responsibilities[j * BLOCK_STRIDE + i];
                let label = (1..k).fold(0, |best, j| if share(j) > share(best) { j } else { best });
                // The sum of the others: one less the largest would round small probabilities away.
                *out = (0..k).filter(|j| *j != label).map(share).sum();
            }
        })
    }

    /// Adds `Σᵢ wᵢ ln p(xᵢ)` and `Σᵢ wᵢ ln maxⱼ γᵢⱼ`: fit and certainty, what information criteria are made of.
    pub(crate) fn add_fit_and_certainty(
        &self,
        data: Weighted<'_, F::Batch<'_>>,
        (fit, certainty): &mut (f64, f64),
    ) -> Result<(), MixtureError> {
        self.for_each_block(data, |block| {
            for i in 0..block.n {
                let weight = data.weights().map_or(1.0, |w| w[block.start + i]);
                let share = |j: usize| block.responsibilities[j * BLOCK_STRIDE + i];
                *fit += weight * block.log_densities[i];
                *certainty += weight * (0..self.k()).map(share).fold(0.0, f64::max).ln();
            }
        })
    }

    /// Draws the component of a new observation; draw the observation itself from that component.
    pub fn sample_component(&self, rng: &mut (impl Rng + ?Sized)) -> usize {
        self.weights.sample(rng) as usize
    }

    pub(crate) fn for_each_block(
        &self,
        data: Weighted<'_, F::Batch<'_>>,
        mut see: impl FnMut(Block<'_>),
    ) -> Result<(), MixtureError> {
        let k = self.k();
        F::check_all(&self.components, data.units())?;
        data.check_labels(k)?;
        let mut packed = F::new_packed_all(&self.components);
        for (j, component) in self.components.iter().enumerate() {
            component.pack(j, &mut packed);
        }
        let mut scratch = F::new_scratch(&packed);
        let (mut block, mut log_densities) = (vec![0.0; k * BLOCK_STRIDE], vec![0.0; BLOCK]);
        let log_weights: Vec<f64> = self.weights().iter().map(|w| w.ln()).collect();
        let keep_all = vec![0.0; k];
        for start in (0..data.len()).step_by(BLOCK) {
            let rows = data.slice(start..data.len().min(start + BLOCK));
            let n = rows.len();
            F::score_all(
                &packed,
                rows.units(),
                MatrixMut::new(&mut block, k, n, BLOCK_STRIDE),
                &mut scratch,
            );
            if let Some(labels) = rows.labels() {
                forbid(&mut block, labels);
            }
            if let Some(weights) = rows.weights() {
                ignore_weightless(&mut block, weights);
            }
            posterior(&mut block, &log_weights, &keep_all, &mut log_densities[..n])
                .map_err(|e| e.offset(start))?;
            see(Block { start, n, responsibilities: &block, log_densities: &log_densities[..n] });
        }
        Ok(())
    }
}

/// Puts zeros in place of the scores of rows of weight zero: whatever they are, even impossible, they count for nothing.
pub(crate) fn ignore_weightless(block: &mut [f64], weights: &[f64]) {
    for (i, _) in weights.iter().enumerate().filter(|(_, weight)| **weight == 0.0) {
        block.iter_mut().skip(i).step_by(BLOCK_STRIDE).for_each(|score| *score = 0.0);
    }
}

/// Puts `−∞` in place of the scores of components that a row's label forbids.
pub(crate) fn forbid(block: &mut [f64], labels: &[Label]) {
    for (i, label) in labels.iter().enumerate().filter(|(_, label)| **label != Label::Unknown) {
        let scores = block.iter_mut().skip(i).step_by(BLOCK_STRIDE).enumerate();
        scores.filter(|(j, _)| !label.allows(*j)).for_each(|(_, x)| *x = f64::NEG_INFINITY);
    }
}

/// Scores of a block (`k` rows of `n` scores, `BLOCK_STRIDE` apart) become responsibilities; `log_densities` gets
/// `ln p(xᵢ)` and its sum is returned. Shares below a component's threshold become zero.
pub(crate) fn posterior(
    block: &mut [f64],
    log_weights: &[f64],
    thresholds: &[f64],
    log_densities: &mut [f64],
) -> Result<f64, EStepError> {
    softmax_columns(block, BLOCK_STRIDE, log_weights, thresholds, log_densities).map_err(|error| {
        match error {
            SoftmaxError::Impossible { column } => EStepError::Impossible { row: column },
            SoftmaxError::NotFinite { column, .. } => EStepError::NotFinite { row: column },
        }
    })
}

#[cfg(feature = "serde")]
mod wire {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Family, Mixture};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire<W, C> {
        weights: W,
        components: C,
    }

    impl<F: Serialize + Family> Serialize for Mixture<F> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Wire { weights: self.weights(), components: &self.components }.serialize(serializer)
        }
    }

    impl<'de, F: Deserialize<'de> + Family> Deserialize<'de> for Mixture<F> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Wire { weights, components } = Wire::<Vec<f64>, Vec<F>>::deserialize(deserializer)?;
            Self::new(weights, components).map_err(D::Error::custom)
        }
    }
}
