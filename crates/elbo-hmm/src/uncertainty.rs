//! Standard errors of hidden Markov models: coordinates and complete-data scores.

use elbo_core::{
    Batch, CompleteDataModel, ExpectedLogLikelihood, Family, FlatModel, FlatParameters,
    PointEstimator, Range, Uncertainty, UncertaintyError,
    uncertainty::{oakes, score_free, with_free, write_free},
};
use elbo_dist::Categorical;

use crate::{Fitted, HmmModel, Sequences, stationary::add_start_counts};

/// The log ratios of the initial law, unless it is the stationary one, and of each transition row, then the coordinates of the
/// emissions, what they share once; nothing of what is frozen.
///
/// Parameters are called `initial[j]`, `transition[i,j]` and `state j …`.
impl<F: Family + FlatParameters, E: PointEstimator<F>, W: PointEstimator<Categorical>> FlatModel
    for HmmModel<F, E, W>
{
    fn write_unconstrained(&self, params: &Self::Params, out: &mut Vec<f64>) {
        let (initial, transition, emission) = params.points();
        let (of_initial, of_transition, of_emission) = self.estimators();
        if !params.is_stationary() {
            write_free(of_initial, initial, out);
        }
        write_free(of_transition, transition, out);
        write_free(of_emission, emission, out);
    }

    fn with_unconstrained(&self, params: &Self::Params, mut from: &[f64]) -> Self::Params {
        let (initial, transition, emission) = params.points();
        let (of_initial, of_transition, of_emission) = self.estimators();
        let initial = if params.is_stationary() {
            initial.to_vec()
        } else {
            with_free(of_initial, initial, &mut from)
        };
        let transition = with_free(of_transition, transition, &mut from);
        let emission = with_free(of_emission, emission, &mut from);
        assert!(from.is_empty(), "{} coordinates too many", from.len());
        params.at(initial, transition, emission)
    }

    fn for_each_parameter(&self, params: &Self::Params, see: &mut dyn FnMut(&str, f64, Range)) {
        let (initial, transition, emission) = params.points();
        let own = if params.is_stationary() { &[] } else { initial[0].probabilities() };
        for (j, p) in own.iter().enumerate() {
            see(&format!("initial[{j}]"), *p, Range::Probability);
        }
        for (i, row) in transition.iter().enumerate() {
            for (j, p) in row.probabilities().iter().enumerate() {
                see(&format!("transition[{i},{j}]"), *p, Range::Probability);
            }
        }
        for (j, emission) in emission.iter().enumerate() {
            emission.for_each_parameter(&mut |name, value, range| {
                see(&format!("state {j} {name}"), value, range);
            });
        }
    }
}

impl<F: ExpectedLogLikelihood, E: PointEstimator<F>, W: PointEstimator<Categorical>>
    CompleteDataModel for HmmModel<F, E, W>
{
    fn expected_log_likelihood(&self, params: &Self::Params, stats: &Self::Stats) -> f64 {
        fn sum<F: ExpectedLogLikelihood>(points: &[F], stats: &[F::Stats]) -> f64 {
            points.iter().zip(stats).map(|(point, s)| point.expected_log_likelihood(s)).sum()
        }
        let (initial, transition, emission) = params.points();
        sum(initial, &stats.0) + sum(transition, &stats.1) + sum(emission, &stats.2)
    }

    fn score_into(
        &self,
        params: &Self::Params,
        stats: &Self::Stats,
        steps: &[f64],
        out: &mut [f64],
    ) {
        let (initial, transition, emission) = params.points();
        let (of_initial, of_transition, of_emission) = self.estimators();
        let mut steps = steps;
        let out = if params.is_stationary() {
            let mut counts = stats.1.clone();
            add_start_counts(transition, stats.0[0].counts(), &mut counts);
            score_free(of_transition, transition, &counts, &mut steps, out)
        } else {
            let out = score_free(of_initial, initial, &stats.0, &mut steps, out);
            score_free(of_transition, transition, &stats.1, &mut steps, out)
        };
        score_free(of_emission, emission, &stats.2, &mut steps, out);
    }
}

impl<F: ExpectedLogLikelihood, E: PointEstimator<F>, W: PointEstimator<Categorical>>
    HmmModel<F, E, W>
{
    /// Standard errors of what this model was fitted to these data, by Oakes' identity.
    ///
    /// Under maximum likelihood they come from the likelihood, under MAP from likelihood × prior. Transitions and initial
    /// probabilities of zero are held and listed: the initial law of a single sequence always ends there. For other routes,
    /// and emissions that have only coordinates, see [`elbo_core::uncertainty`]; posteriors of variational Bayes tell their
    /// spread themselves. Cost: `2p` E-steps for `p` parameters.
    ///
    /// ```
    /// use elbo_hmm::{HmmModel, Poisson, Sequences, Settings, Start};
    ///
    /// let counts = [13_u64, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14];
    /// let (model, data) = (HmmModel::ml(), Sequences::one(&counts[..]));
    /// let start = Start::Random { k: 2, runs: 5, template: Poisson::new(1.0)? };
    /// let fitted = model.fit(data, &start, &Settings::default(), &())?;
    ///
    /// let errors = model.standard_errors(&fitted, data)?;
    /// assert!(errors.held.contains(&"initial[0]".to_owned()));
    /// for parameter in &errors.parameters {
    ///     match parameter.interval(0.95) {
    ///         Some([low, high]) => println!("{}: {low:.2} to {high:.2}", parameter.name),
    ///         None => println!("{} is held at {}", parameter.name, parameter.value),
    ///     }
    /// }
    /// assert!(errors.parameter("state 0 rate").unwrap().std_error.unwrap() > 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UncertaintyError`]: a maximum that the data do not identify, a state that is never visited, a point that is no
    /// maximum.
    pub fn standard_errors<'a>(
        &self,
        fitted: &Fitted<F>,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Uncertainty, UncertaintyError>
    where
        F::Batch<'a>: 'a,
    {
        let data = data.into();
        let params = self.start(fitted.hmm.clone(), data.observations())?;
        oakes(self, data, &params)
    }
}
