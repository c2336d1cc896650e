//! Standard errors of mixtures: coordinates, complete-data scores, and what labels hide.

use elbo_core::{
    Batch, CompleteDataModel, ExpectedLogLikelihood, Family, FlatModel, FlatParameters,
    LatentModel, LouisModel, Matrix, PointEstimator, Range, Uncertainty, UncertaintyError,
    Weighted, add_scaled,
    uncertainty::{oakes, score_free, with_free, write_free},
};
use elbo_dist::Categorical;

use crate::{Fitted, MixtureError, MixtureModel, MixtureParams, MixtureStats};

/// The log ratios of the weights, then the coordinates of the components, what they share once; nothing of what is frozen.
///
/// Parameters are called `weight j` and `component j …`; those that components share are shown for each of them.
impl<F: Family + FlatParameters, E: PointEstimator<F>, W: PointEstimator<Categorical>> FlatModel
    for MixtureModel<F, E, W>
{
    fn write_unconstrained(&self, params: &Self::Params, out: &mut Vec<f64>) {
        let (weights, components) = params.points();
        let (of_components, of_weights) = self.estimators();
        write_free(of_weights, weights, out);
        write_free(of_components, components, out);
    }

    fn with_unconstrained(&self, params: &Self::Params, mut from: &[f64]) -> Self::Params {
        let (weights, components) = params.points();
        let (of_components, of_weights) = self.estimators();
        let weights = with_free(of_weights, weights, &mut from);
        let components = with_free(of_components, components, &mut from);
        assert!(from.is_empty(), "{} coordinates too many", from.len());
        params.at(weights, components)
    }

    fn for_each_parameter(&self, params: &Self::Params, see: &mut dyn FnMut(&str, f64, Range)) {
        let (weights, components) = params.points();
        for (j, weight) in weights[0].probabilities().iter().enumerate() {
            see(&format!("weight {j}"), *weight, Range::Probability);
        }
        for (j, component) in components.iter().enumerate() {
            component.for_each_parameter(&mut |name, value, range| {
                see(&format!("component {j} {name}"), value, range);
            });
        }
    }
}

impl<F: ExpectedLogLikelihood, E: PointEstimator<F>, W: PointEstimator<Categorical>>
    CompleteDataModel for MixtureModel<F, E, W>
{
    fn expected_log_likelihood(&self, params: &Self::Params, (counts, stats): &Self::Stats) -> f64 {
        let (weights, components) = params.points();
        let of_components = components.iter().zip(stats);
        weights[0].expected_log_likelihood(&counts[0])
            + of_components.map(|(c, stats)| c.expected_log_likelihood(stats)).sum::<f64>()
    }

    fn score_into(
        &self,
        params: &Self::Params,
        (counts, stats): &Self::Stats,
        steps: &[f64],
        out: &mut [f64],
    ) {
        let (weights, components) = params.points();
        let (of_components, of_weights) = self.estimators();
        let mut steps = steps;
        let out = score_free(of_weights, weights, counts, &mut steps, out);
        score_free(of_components, components, stats, &mut steps, out);
    }
}

/// The variance of the score of a row, with its label, over the posterior of the label. Cost: `k` scores and `k p²`
/// multiplications per row.
impl<F: ExpectedLogLikelihood, E: PointEstimator<F>, W: PointEstimator<Categorical>> LouisModel
    for MixtureModel<F, E, W>
{
    fn add_missing_information(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        steps: &[f64],
        out: &mut [f64],
    ) -> Result<(), UncertaintyError> {
        let k = params.k();
        if !params.points().1[0].is_complete(data.units()) {
            return Err(UncertaintyError::Incomplete);
        }
        let responsibilities =
            params.to_mixture().responsibilities(data).map_err(|error| match error {
                MixtureError::EStep(error) => UncertaintyError::EStep(error),
                MixtureError::Data(error) => UncertaintyError::Data(error),
                _ => unreachable!("the mixture exists"),
            })?;
        let mut rows = RowScores::new(self, params, steps);
        for (i, shares) in responsibilities.chunks_exact(k).enumerate() {
            let weight = data.weights().map_or(1.0, |weights| weights[i]);
            if weight > 0.0 {
                rows.observe(self, params, data.units().slice(i..i + 1));
                rows.add_variance(shares, weight, out);
            }
        }
        Ok(())
    }
}

/// The complete-data scores of one row, under each label.
struct RowScores<'a, F: Family> {
    steps: &'a [f64],
    stats: MixtureStats<F>,
    scratch: F::Scratch,
    /// `k × p`.
    scores: Vec<f64>,
    mean: Vec<f64>,
}

impl<'a, F: ExpectedLogLikelihood> RowScores<'a, F> {
    fn new<E: PointEstimator<F>, W: PointEstimator<Categorical>>(
        model: &MixtureModel<F, E, W>,
        params: &MixtureParams<F, E, W>,
        steps: &'a [f64],
    ) -> Self {
        let (k, p) = (params.k(), steps.len());
        Self {
            steps,
            stats: model.new_stats(params),
            scratch: F::new_scratch(params.packed()),
            scores: vec![0.0; k * p],
            mean: vec![0.0; p],
        }
    }

    fn observe<E: PointEstimator<F>, W: PointEstimator<Categorical>>(
        &mut self,
        model: &MixtureModel<F, E, W>,
        params: &MixtureParams<F, E, W>,
        row: F::Batch<'_>,
    ) {
        let (k, p) = (params.k(), self.steps.len());
        let mut label = vec![0.0; k];
        for j in 0..k {
            label.fill(0.0);
            label[j] = 1.0;
            model.reset(params, &mut self.stats);
            let (counts, stats) = &mut self.stats;
            counts[0].counts_mut().copy_from_slice(&label);
            let shares = Matrix::new(&label, k, 1, 1);
            F::observe_all(params.packed(), stats, row, shares, &mut self.scratch);
            F::finish(params.packed(), stats, &mut self.scratch);
            let scores = &mut self.scores[j * p..][..p];
            model.score_into(params, &self.stats, self.steps, scores);
        }
    }

    /// Adds `weight · Σⱼ γⱼ (sⱼ − s̄)(sⱼ − s̄)ᵀ`.
    fn add_variance(&mut self, shares: &[f64], weight: f64, out: &mut [f64]) {
        let p = self.mean.len();
        if p == 0 {
            return;
        }
        self.mean.fill(0.0);
        for (share, score) in shares.iter().zip(self.scores.chunks_exact(p)) {
            add_scaled(&mut self.mean, *share, score);
        }
        for (share, score) in shares.iter().zip(self.scores.chunks_exact_mut(p)) {
            add_scaled(score, -1.0, &self.mean);
            for (slope, out) in score.iter().zip(out.chunks_exact_mut(p)) {
                if *share > 0.0 {
                    add_scaled(out, weight * share * slope, score);
                }
            }
        }
    }
}

impl<F: ExpectedLogLikelihood, E: PointEstimator<F>, W: PointEstimator<Categorical>>
    MixtureModel<F, E, W>
{
    /// Standard errors of a mixture that this model was fitted to these data, by Oakes' identity.
    ///
    /// Under maximum likelihood they come from the likelihood, under MAP from likelihood × prior. For other routes, and
    /// families that have only coordinates, see [`elbo_core::uncertainty`]; posteriors of variational Bayes tell
    /// their spread themselves. Cost: `2p` E-steps for `p` parameters.
    ///
    /// ```
    /// use elbo_mixture::{Gaussian, Mixture, MixtureModel, Settings, Start, Weighted};
    ///
    /// let data = [1.0, 1.4, 0.7, 1.1, 0.2, 1.6, 6.5, 7.1, 6.1, 7.7, 6.9, 7.4];
    /// let model = MixtureModel::ml();
    /// let start = Start::Spread { k: 2, runs: 5, template: Gaussian::new(0.0, 1.0)? };
    /// let fitted = model.fit(Weighted::from(&data[..]), &start, &Settings::default(), &())?;
    ///
    /// let errors = model.standard_errors(&fitted, &data[..])?;
    /// for parameter in &errors.parameters {
    ///     let [low, high] = parameter.interval(0.95).unwrap();
    ///     println!("{}: {:.2} ({low:.2} to {high:.2})", parameter.name, parameter.value);
    /// }
    /// let mean = errors.parameter("component 0 mean").unwrap().std_error.unwrap();
    /// let variance = fitted.mixture.components()[0].variance();
    /// assert!((mean - (variance / 6.0).sqrt()).abs() < 1e-3); // six numbers that surely belong to it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UncertaintyError`]: a maximum that the data do not identify, or a point that is none.
    pub fn standard_errors<'d>(
        &self,
        fitted: &Fitted<F>,
        data: impl Into<Weighted<'d, F::Batch<'d>>>,
    ) -> Result<Uncertainty, UncertaintyError>
    where
        F::Batch<'d>: 'd,
    {
        let data = data.into();
        let params = self.start(fitted.mixture.clone(), data.observations())?;
        oakes(self, data, &params)
    }
}
