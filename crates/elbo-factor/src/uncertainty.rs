//! Standard errors of factor analysis from a sample.

use elbo_core::{
    DataError, EStepError, EstimateError, FlatModel, FlatParameters, Inference, LatentModel, Range,
    Repairs, Uncertainty, UncertaintyError, uncertainty::hessian,
};
use elbo_dist::LowRankGaussian;

use crate::{FactorFit, Sample, Whole, log_likelihood};

impl FactorFit {
    /// Standard errors and intervals of means, loadings and uniquenesses, from the Hessian of the log-likelihood of the
    /// sample that was fitted.
    ///
    /// Loadings are those rotated so that the first `q` rows are lower triangular, since others are not determined;
    /// parameters are called `mean[i]`, `loading[i,a]` and `uniqueness[i]`. In a Heywood case there are none.
    /// Cost: `2p² + 2p` likelihoods of `4 d² q` flops for `p` parameters: some seconds for a few hundred.
    ///
    /// # Errors
    ///
    /// [`UncertaintyError`].
    pub fn uncertainty(&self, sample: &Sample) -> Result<Uncertainty, UncertaintyError> {
        hessian(&OfSample, Whole::new(sample), &self.analyzer)
    }
}

/// The likelihood of a factor analyzer on a sample, and its coordinates.
struct OfSample;

impl LatentModel for OfSample {
    type Data<'a> = Whole<'a>;
    type Params = LowRankGaussian;
    type Stats = [f64; 1];
    type Scratch = ();

    fn check(&self, params: &LowRankGaussian, data: Whole<'_>) -> Result<(), DataError> {
        let Some(sample) = data.sample() else { return Err(DataError::Empty) };
        let (expected, found) = (params.d(), sample.d());
        if found == expected { Ok(()) } else { Err(DataError::Dimension { expected, found }) }
    }

    fn new_stats(&self, _: &LowRankGaussian) -> [f64; 1] {
        [0.0]
    }

    fn new_scratch(&self, _: &LowRankGaussian) {}

    fn e_step(
        &self,
        params: &LowRankGaussian,
        data: Whole<'_>,
        _: &mut Inference<'_>,
        stats: &mut [f64; 1],
        (): &mut (),
    ) -> Result<f64, EStepError> {
        let Some(sample) = data.sample() else { return Ok(0.0) };
        stats[0] += sample.n();
        Ok(log_likelihood(params, sample))
    }

    /// There is none: this model only evaluates.
    fn m_step(
        &self,
        _: &LowRankGaussian,
        _: &[f64; 1],
        _: &mut LowRankGaussian,
    ) -> Result<Repairs, EstimateError> {
        let (what, structure) = ("an M-step", "a likelihood that is only evaluated");
        Err(EstimateError::Unsupported { what, structure })
    }

    fn free_parameters(&self, params: &LowRankGaussian) -> usize {
        params.unconstrained_len()
    }
}

impl FlatModel for OfSample {
    fn write_unconstrained(&self, params: &LowRankGaussian, out: &mut Vec<f64>) {
        params.write_unconstrained(out);
    }

    fn with_unconstrained(&self, params: &LowRankGaussian, mut from: &[f64]) -> LowRankGaussian {
        params.with_unconstrained(&mut from)
    }

    fn for_each_parameter(&self, params: &LowRankGaussian, see: &mut dyn FnMut(&str, f64, Range)) {
        params.for_each_parameter(see);
    }
}
