//! The contract of a latent-variable model.

use crate::{Batch, DataError, EStepError, EstimateError, Inference, Repairs, Statistics};

/// A latent-variable model: how to fill in expected statistics, and how to turn them into parameters.
///
/// This is all a new model implements; drivers, stopping rules, restarts, acceleration and reports follow. The
/// objective that EM raises is `Σ chunks data term + penalty`.
pub trait LatentModel: Send + Sync {
    /// Borrowed independent units of data.
    type Data<'a>: Batch;
    /// What is estimated, together with whatever is derived from it for speed.
    type Params: Clone + Send + Sync;
    /// Expected sufficient statistics.
    type Stats: Statistics;
    /// What one worker needs for E-steps; made once. Where the model [remembers](Self::REMEMBERS), that of one piece of the
    /// data.
    type Scratch: Send;

    /// Does the scratch hold what was found about single units at their last E-step: responsibilities that a collapsed
    /// method takes out again (CVB0), bounds that spare a computation (k-means)?
    ///
    /// Then there is one scratch for each piece of the data, and each piece is always given its own; a fresh one, which
    /// remembers nothing, at the first E-step, after an error, on resuming from a checkpoint, and for batches of online EM.
    /// Memory is that of all units, not of a worker. Such a model is not accelerated: its E-step need not be a function of the
    /// parameters alone.
    const REMEMBERS: bool = false;

    /// Does no step lower the objective? That is what makes a method EM, and the rule. Where there is no such number (collapsed
    /// methods), or steps are not carried to their end, falls are no failure: the run ends when two changes in a row are within
    /// tolerance, and nothing is accelerated.
    const ASCENDS: bool = true;

    /// Can these data be used with such parameters? Called for every piece of the data before the first E-step, so that only
    /// what is wrong with units by themselves can be found here. Rows count from the first of the piece.
    ///
    /// # Errors
    ///
    /// The first thing wrong with them.
    fn check(&self, params: &Self::Params, data: Self::Data<'_>) -> Result<(), DataError> {
        let _ = (params, data);
        Ok(())
    }

    /// Statistics of the model's shape with nothing observed.
    fn new_stats(&self, params: &Self::Params) -> Self::Stats;

    /// Scratch of the model's shape.
    fn new_scratch(&self, params: &Self::Params) -> Self::Scratch;

    /// Empties statistics before a chunk of an E-step with these parameters; moves origins, if there are any.
    fn reset(&self, params: &Self::Params, stats: &mut Self::Stats) {
        let _ = params;
        stats.set_zero();
    }

    /// Adds the expected statistics of a chunk and returns its data term, in nats.
    ///
    /// # Errors
    ///
    /// If a unit has no finite density, naming the unit within the chunk.
    fn e_step(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        how: &mut Inference<'_>,
        stats: &mut Self::Stats,
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError>;

    /// Overwrites `next` by the maximizer of data term + penalty for these statistics. `params` is where the
    /// statistics were taken.
    ///
    /// # Errors
    ///
    /// If there is none; `next` is then unspecified.
    fn m_step(
        &self,
        params: &Self::Params,
        stats: &Self::Stats,
        next: &mut Self::Params,
    ) -> Result<Repairs, EstimateError>;

    /// Moves `next`, the outcome of an M-step that turned out to lower the objective, halfway back to `params`; false
    /// where the M-step is the maximum of a lower bound and cannot overshoot, which is the rule.
    ///
    /// This is what makes generalized EM safe, whose M-steps are Newton steps: the driver retreats until the objective
    /// does not fall.
    fn retreat(&self, params: &Self::Params, next: &mut Self::Params) -> bool {
        let _ = (params, next);
        false
    }

    /// Is the M-step from these statistics, taken at `params`, the maximum itself, so that no further one can gain more than
    /// rounding? Then the run ends there. The rule is false.
    fn ends_here(&self, params: &Self::Params, stats: &Self::Stats) -> bool {
        let _ = (params, stats);
        false
    }

    /// Appends the natural parameters: the coefficients `η` with which the numbers of the statistics, in the order of
    /// [`Statistics::visit`] and in the coordinates of `like`, enter the complete-data log-likelihood,
    /// `ln p(x, z ∣ θ) = ⟨η, s⟩ +` what no parameter changes. False if the model does not tell, which is the rule; `out` is then
    /// unspecified.
    ///
    /// They give acceleration the metric of the model, and standard errors the complete-data likelihood. Under a posterior,
    /// those of the point that stands for it will do.
    fn write_natural(&self, params: &Self::Params, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        let _ = (params, like, out);
        false
    }

    /// What the objective adds to the data term, in nats: 0, `ln p(θ)` or `−KL(q‖p)`.
    fn penalty(&self, params: &Self::Params) -> f64 {
        let _ = params;
        0.0
    }

    /// Relative rounding of the data term of one unit: that of the numbers that scores are computed in. Single precision
    /// says so here, so that a fall of the objective by rounding is not taken for a step that does not maximize.
    fn precision(&self) -> f64 {
        f64::EPSILON
    }

    /// Number of free parameters, for information criteria.
    fn free_parameters(&self, params: &Self::Params) -> usize;

    /// Does this solution look like an artifact of an unbounded likelihood rather than structure in the data (a
    /// component on a handful of near-identical points)? Restarts rank such ends behind all others.
    fn is_spurious(&self, params: &Self::Params, stats: &Self::Stats) -> bool {
        let _ = (params, stats);
        false
    }
}
