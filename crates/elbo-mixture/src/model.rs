//! The mixture as a latent-variable model: one E-step and one M-step for every family and every estimator.

use std::marker::PhantomData;

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, ConjugatePrior, DataError, EStepError, EstimateError, Estimator,
    Family, Inference, LatentModel, Matrix, MatrixMut, MaximumAPosteriori, MaximumLikelihood,
    PointEstimator, Repairs, RowError, Statistics, VariationalBayes, Weighted, add_scaled,
    spurious_components, write_natural_all,
};
use elbo_dist::{Categorical, CategoricalPacked};
use elbo_linalg::add_row_sums;

use crate::{
    Mixture,
    mixture::{forbid, ignore_weightless, posterior},
};

/// A finite mixture `p(x) = Σⱼ πⱼ p(x ∣ θⱼ)` of any [`Family`] `F`, its components estimated by `E` and its weights by `W`.
///
/// Maximum likelihood, MAP and variational Bayes are choices of `E` and `W`; nothing else differs.
#[derive(Clone, Debug)]
pub struct MixtureModel<F, E, W> {
    pub(crate) components: E,
    weights: W,
    family: PhantomData<fn() -> F>,
}

/// Weights and components of a mixture under estimation, with their packed forms.
#[derive(Clone, Debug)]
pub struct MixtureParams<F: Family, E: Estimator<F>, W: Estimator<Categorical>> {
    weights: W::Fits,
    components: E::Fits,
    packed: F::Packed,
    packed_weights: CategoricalPacked,
    /// `ln πⱼ`, or its expectation under a posterior.
    log_weights: Vec<f64>,
    /// Responsibilities below this are set to zero: together they are lost in the rounding of a component's weight.
    thresholds: Vec<f64>,
}

/// Statistics of a mixture: those of the weights (one entry) and of each component.
pub type MixtureStats<F> = (Vec<<Categorical as Family>::Stats>, Vec<<F as Family>::Stats>);

/// What one worker needs for the E-step of a mixture: `k` scores for a block of rows, never `n × k`.
#[derive(Debug)]
pub struct MixtureScratch<S> {
    block: Vec<f64>,
    log_normalizers: Vec<f64>,
    row: Vec<f64>,
    totals: Vec<f64>,
    family: S,
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> MixtureModel<F, E, W> {
    /// A mixture with these estimators of components and weights.
    pub fn new(components: E, weights: W) -> Self {
        Self { components, weights, family: PhantomData }
    }

    /// The estimators of components and of weights.
    pub(crate) fn estimators(&self) -> (&E, &W) {
        (&self.components, &self.weights)
    }

    /// Parameters to start from: these weights and components. A posterior starts as if it had seen `observations`
    /// ideal rows of this very mixture.
    ///
    /// # Errors
    ///
    /// If a prior cannot serve such components.
    ///
    /// # Panics
    ///
    /// If there is no component.
    pub fn start(
        &self,
        mixture: Mixture<F>,
        observations: f64,
    ) -> Result<MixtureParams<F, E, W>, EstimateError> {
        let (weights, components) = mixture.into_parts();
        let k = components.len();
        assert!(k > 0, "a mixture needs a component");
        let components = self.components.start(components, observations / k as f64)?;
        let weights = self.weights.start(vec![weights], observations)?;
        Ok(MixtureParams::pack(weights, components))
    }
}

impl<F: Family> MixtureModel<F, MaximumLikelihood, MaximumLikelihood> {
    /// Maximum likelihood. The likelihood is unbounded where a component may collapse onto a point: such ends are
    /// reported, not hidden.
    pub fn ml() -> Self {
        Self::new(MaximumLikelihood, MaximumLikelihood)
    }
}

impl<F: Family, P: ConjugatePrior<F>, W: ConjugatePrior<Categorical>>
    MixtureModel<F, MaximumAPosteriori<P>, MaximumAPosteriori<W>>
{
    /// Maximum a posteriori: the cure for singular components. The prior of the weights is a
    /// [`Dirichlet`](elbo_dist::Dirichlet) or a [`StickBreaking`](elbo_dist::StickBreaking) one.
    pub fn map(prior: P, weights: W) -> Self {
        Self::new(MaximumAPosteriori::new(prior), MaximumAPosteriori::new(weights))
    }
}

impl<F: Family, P: ConjugatePrior<F>, W: ConjugatePrior<Categorical>>
    MixtureModel<F, VariationalBayes<P>, VariationalBayes<W>>
{
    /// Variational Bayes: posteriors over weights and components; a sparse weight prior empties what the data do not
    /// need.
    pub fn vb(prior: P, weights: W) -> Self {
        Self::new(VariationalBayes::new(prior), VariationalBayes::new(weights))
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> MixtureParams<F, E, W> {
    /// Makes the packed forms of fits that go together.
    fn pack(weights: W::Fits, components: E::Fits) -> Self {
        let (points, k) = (E::points(&components), E::points(&components).len());
        let packed = F::new_packed_all(points);
        let packed_weights = W::points(&weights)[0].new_packed(1);
        let (log_weights, thresholds) = (vec![0.0; k], vec![0.0; k]);
        let mut params =
            Self { weights, components, packed, packed_weights, log_weights, thresholds };
        params.repack();
        params
    }

    /// Number of components.
    pub fn k(&self) -> usize {
        self.log_weights.len()
    }

    /// The fitted components: points, or posteriors with the points that stand for them.
    pub fn components(&self) -> &E::Fits {
        &self.components
    }

    /// The fitted weights, one categorical distribution or its posterior.
    pub fn weights(&self) -> &W::Fits {
        &self.weights
    }

    /// The mixture of points that these parameters are or stand for.
    pub fn to_mixture(&self) -> Mixture<F> {
        Mixture::from_parts(
            W::points(&self.weights)[0].clone(),
            E::points(&self.components).to_vec(),
        )
    }

    /// The same with other points.
    pub(crate) fn at(&self, weights: Vec<Categorical>, components: Vec<F>) -> Self
    where
        E: PointEstimator<F>,
        W: PointEstimator<Categorical>,
    {
        let mut moved = self.clone();
        W::set_points(&mut moved.weights, weights);
        E::set_points(&mut moved.components, components);
        moved.repack();
        moved
    }

    /// The points that these parameters are or stand for: the weights, alone, and the components.
    pub(crate) fn points(&self) -> (&[Categorical], &[F]) {
        (W::points(&self.weights), E::points(&self.components))
    }

    /// The packed components.
    pub(crate) fn packed(&self) -> &F::Packed {
        &self.packed
    }

    /// Refreshes the packed forms after weights or components have changed.
    fn repack(&mut self) {
        E::pack(&self.components, &mut self.packed);
        W::pack(&self.weights, &mut self.packed_weights);
        self.log_weights.copy_from_slice(self.packed_weights.table());
        // All n dropped shares of a component are below n·πⱼ·2⁻⁵³, half an ulp of its weight n·πⱼ.
        for (threshold, log_weight) in self.thresholds.iter_mut().zip(&self.log_weights) {
            *threshold = log_weight.exp() * (0.5 * f64::EPSILON);
        }
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> LatentModel for MixtureModel<F, E, W> {
    type Data<'a> = Weighted<'a, F::Batch<'a>>;
    type Params = MixtureParams<F, E, W>;
    type Stats = MixtureStats<F>;
    type Scratch = MixtureScratch<F::Scratch>;

    fn check(&self, params: &Self::Params, data: Self::Data<'_>) -> Result<(), DataError> {
        data.check_labels(params.k())?;
        F::check_all(E::points(&params.components), data.units())
    }

    fn new_stats(&self, params: &Self::Params) -> Self::Stats {
        (
            W::points(&params.weights).iter().map(Family::new_stats).collect(),
            E::points(&params.components).iter().map(Family::new_stats).collect(),
        )
    }

    fn new_scratch(&self, params: &Self::Params) -> Self::Scratch {
        MixtureScratch {
            block: vec![0.0; params.k() * BLOCK_STRIDE],
            log_normalizers: vec![0.0; BLOCK],
            row: vec![0.0; params.k()],
            totals: vec![0.0; params.k()],
            family: F::new_scratch(&params.packed),
        }
    }

    fn reset(&self, params: &Self::Params, stats: &mut Self::Stats) {
        stats.0.set_zero();
        F::reset_all(&params.packed, &mut stats.1);
    }

    fn e_step(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        how: &mut Inference<'_>,
        stats: &mut Self::Stats,
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError> {
        let k = params.k();
        let mut data_term = 0.0;
        scratch.totals.fill(0.0);
        for start in (0..data.len()).step_by(BLOCK) {
            let block = data.slice(start..data.len().min(start + BLOCK));
            let n = block.len();
            let scores = MatrixMut::new(&mut scratch.block, k, n, BLOCK_STRIDE);
            // What cannot matter beside the best component may, where a label forbids that one.
            if matches!(how, Inference::Soft) && block.labels().is_none() {
                let log_weights = &params.log_weights;
                let family = &mut scratch.family;
                F::score_relevant(&params.packed, block.units(), log_weights, scores, family);
            } else {
                F::score_all(&params.packed, block.units(), scores, &mut scratch.family);
            }
            if let Some(labels) = block.labels() {
                forbid(&mut scratch.block, labels);
            }
            data_term +=
                assign(params, how, block.weights(), n, scratch).map_err(|e| e.offset(start))?;
            add_row_sums(&scratch.block, BLOCK_STRIDE, n, &mut scratch.totals);
            let responsibilities = Matrix::new(&scratch.block, k, n, BLOCK_STRIDE);
            F::observe_all(
                &params.packed,
                &mut stats.1,
                block.units(),
                responsibilities,
                &mut scratch.family,
            );
        }
        F::finish(&params.packed, &mut stats.1, &mut scratch.family);
        add_scaled(stats.0[0].counts_mut(), 1.0, &scratch.totals);
        Ok(data_term)
    }

    fn m_step(
        &self,
        params: &Self::Params,
        stats: &Self::Stats,
        next: &mut Self::Params,
    ) -> Result<Repairs, EstimateError> {
        let mut repairs =
            self.components.estimate(&params.components, &stats.1, &mut next.components)?;
        repairs.merge(self.weights.estimate(&params.weights, &stats.0, &mut next.weights)?);
        next.repack();
        Ok(repairs)
    }

    fn retreat(&self, params: &Self::Params, next: &mut Self::Params) -> bool {
        let moved = E::retreat(&params.components, &mut next.components);
        if moved {
            next.repack();
        }
        moved
    }

    fn write_natural(&self, params: &Self::Params, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        write_natural_all(W::points(&params.weights), &like.0, out)
            && write_natural_all(E::points(&params.components), &like.1, out)
    }

    fn penalty(&self, params: &Self::Params) -> f64 {
        self.components.penalty(&params.components) + self.weights.penalty(&params.weights)
    }

    fn free_parameters(&self, params: &Self::Params) -> usize {
        self.weights.free_parameters(&params.weights)
            + self.components.free_parameters(&params.components)
    }

    fn is_spurious(&self, params: &Self::Params, stats: &Self::Stats) -> bool {
        let (counts, stats) = stats;
        let points = E::points(&params.components);
        !spurious_components::<F, E>(points, stats, counts[0].counts()).is_empty()
    }
}

/// Scores + log weights of the block in `scratch` become weighted responsibilities; returns the data term.
fn assign<F: Family, E: Estimator<F>, W: Estimator<Categorical>>(
    params: &MixtureParams<F, E, W>,
    how: &mut Inference<'_>,
    weights: Option<&[f64]>,
    n: usize,
    scratch: &mut MixtureScratch<F::Scratch>,
) -> Result<f64, EStepError> {
    let MixtureScratch { block, log_normalizers, row, .. } = scratch;
    let log_normalizers = &mut log_normalizers[..n];
    let mut data_term = 0.0;
    if let Some(weights) = weights {
        ignore_weightless(block, weights);
    }
    if matches!(how, Inference::Soft) {
        data_term = posterior(block, &params.log_weights, &params.thresholds, log_normalizers)?;
    } else {
        for (i, log_normalizer) in log_normalizers.iter_mut().enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x = block[j * BLOCK_STRIDE + i] + params.log_weights[j];
            }
            *log_normalizer = how.assign(row).map_err(|error| match error {
                RowError::Impossible => EStepError::Impossible { row: i },
                RowError::NotFinite => EStepError::NotFinite { row: i },
            })?;
            data_term += *log_normalizer;
            for (j, &x) in row.iter().enumerate() {
                block[j * BLOCK_STRIDE + i] = x;
            }
        }
    }
    let Some(weights) = weights else { return Ok(data_term) };
    for responsibilities in block.chunks_mut(BLOCK_STRIDE) {
        responsibilities[..n].iter_mut().zip(weights).for_each(|(r, w)| *r *= w);
    }
    Ok(log_normalizers.iter().zip(weights).map(|(l, w)| l * w).sum())
}

/// Weights and components as their estimators keep them: what a checkpoint needs. Packed forms are made anew.
#[cfg(feature = "serde")]
mod wire {
    use elbo_core::{Estimator, Family};
    use elbo_dist::Categorical;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::MixtureParams;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire<W, C> {
        weights: W,
        components: C,
    }

    impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> Serialize for MixtureParams<F, E, W>
    where
        E::Fits: Serialize,
        W::Fits: Serialize,
    {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Wire { weights: &self.weights, components: &self.components }.serialize(serializer)
        }
    }

    impl<'de, F: Family, E: Estimator<F>, W: Estimator<Categorical>> Deserialize<'de>
        for MixtureParams<F, E, W>
    where
        E::Fits: Deserialize<'de>,
        W::Fits: Deserialize<'de>,
    {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Wire { weights, components } = Wire::<W::Fits, E::Fits>::deserialize(deserializer)?;
            let k = E::points(&components).len();
            match W::points(&weights) {
                [one] if one.categories() == k && k > 0 => Ok(Self::pack(weights, components)),
                _ => Err(D::Error::custom(format!("{k} components need one weight each"))),
            }
        }
    }
}
