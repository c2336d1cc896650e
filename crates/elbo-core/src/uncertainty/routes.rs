//! The four ways to the observed information.

use super::{
    CompleteDataModel, FlatModel, LouisModel, Method, Uncertainty, UncertaintyError,
    differences::{Expansion, expand},
    finish::{Found, finish},
    local::Local,
    matrix::{product, symmetrize},
};
use crate::{Batch, Repairs, map_in_order};

/// By how many steps parameters move for the difference of statistics, scores or EM maps: what is left out is of order
/// `STEP²/n`, rounding counts `1/STEP` times.
const STEP: f64 = 1e-3;
/// The same where no data are read, so that the fourth order costs nothing.
const SCORE_STEP: f64 = 0.03;
/// Pieces that Louis' sum is cut into.
const PIECES: usize = 32;

/// Standard errors from the Hessian of the objective itself, by differences: needs nothing of the model but its
/// coordinates, and is right whatever its statistics are.
///
/// Cost: `2p² + 2p` E-steps, and some 10 per coordinate to find the scale of each. Rounding of the objective `ℓ` leaves
/// errors of about `10³ ε|ℓ|` relative to the information, `10⁻⁷` for a million nats.
///
/// # Errors
///
/// [`UncertaintyError`].
pub fn hessian<M: FlatModel>(
    model: &M,
    data: M::Data<'_>,
    params: &M::Params,
) -> Result<Uncertainty, UncertaintyError> {
    let mut local = Local::new(model, data, params)?;
    local.statistics(params)?;
    local.find_steps(Local::objective)?;
    let Expansion { gradient, hessian } = expand(local.free.len(), |moves| {
        let moves: Vec<(usize, f64)> = moves.iter().map(|(i, by)| (local.free[*i], *by)).collect();
        local.objective(&local.moved(&moves))
    });
    let observed = hessian.iter().map(|x| -x).collect();
    finish(&local, Method::Hessian, &Found { observed, complete: None, gradient, asymmetry: 0.0 })
}

/// Standard errors by Oakes' identity: `−∂²Q(θ′; s)/∂θ′² − ∂²Q(θ′; s(θ))/∂θ′∂θ` at `θ′ = θ`, where `Q` is the expected
/// complete-data log-likelihood, plus the penalty, and `s(θ)` the statistics of the E-step.
///
/// The first term is the information of complete data and costs no pass over the data; the second is what the latent
/// variables hide. Cost: `2p` E-steps.
///
/// # Errors
///
/// [`UncertaintyError`].
///
/// # Source
///
/// Oakes (1999), J. R. Statist. Soc. B 61(2).
pub fn oakes<M: CompleteDataModel>(
    model: &M,
    data: M::Data<'_>,
    params: &M::Params,
) -> Result<Uncertainty, UncertaintyError> {
    let complete = Complete::new(model, data, params)?;
    let local = &complete.local;
    let r = local.free.len();
    let scores = local.central(STEP, |there| {
        let (_, stats) = local.statistics(there)?;
        Ok(complete.score(params, &stats))
    })?;
    let mut observed = complete.information.clone();
    for (column, [up, down]) in scores.iter().enumerate() {
        for row in 0..r {
            observed[row * r + column] -= (up[row] - down[row]) / (2.0 * STEP);
        }
    }
    complete.finish(Method::Oakes, observed)
}

/// Standard errors by the supplemented EM algorithm: `I_com (I − DM)` from the derivative `DM` of the EM map, which is the
/// share of the information that is missing.
///
/// Each coordinate in turn is moved off the maximum, up and down, and one EM step is forced from there. The M-step must
/// maximize `Q` + penalty itself: an M-step that only improves it, by one Newton step or one parameter after another, has
/// another derivative, and [`oakes`] is to be used. [`Uncertainty::asymmetry`] tells: the result is symmetric in theory.
/// Cost: `2p` EM steps.
///
/// # Errors
///
/// [`UncertaintyError`].
///
/// # Source
///
/// Meng & Rubin (1991), J. Amer. Statist. Assoc. 86(416).
pub fn sem<M: CompleteDataModel>(
    model: &M,
    data: M::Data<'_>,
    params: &M::Params,
) -> Result<Uncertainty, UncertaintyError> {
    let complete = Complete::new(model, data, params)?;
    let local = &complete.local;
    let r = local.free.len();
    let maps = local.central(STEP, |there| {
        let (_, stats) = local.statistics(there)?;
        let mut next = there.clone();
        let _: Repairs = model.m_step(there, &stats, &mut next)?;
        let mut flat = Vec::with_capacity(local.steps.len());
        model.write_unconstrained(&next, &mut flat);
        Ok(flat)
    })?;
    let mut rest = vec![0.0; r * r];
    for (column, [up, down]) in maps.iter().enumerate() {
        for (row, k) in local.free.iter().enumerate() {
            let slope = (up[*k] - down[*k]) / (2.0 * STEP * local.steps[*k]);
            rest[row * r + column] = if row == column { 1.0 - slope } else { -slope };
        }
    }
    let observed = product(&complete.information, &rest, r);
    complete.finish(Method::Sem, observed)
}

/// Standard errors by Louis' formula: the information of complete data minus the variance of the complete-data score given
/// the data, exactly.
///
/// Cost: two passes over the data; no difference of E-steps is taken.
///
/// # Errors
///
/// [`UncertaintyError`]; [`UncertaintyError::Incomplete`] where values are missing.
///
/// # Source
///
/// Louis (1982), J. R. Statist. Soc. B 44(2).
pub fn louis<M: LouisModel>(
    model: &M,
    data: M::Data<'_>,
    params: &M::Params,
) -> Result<Uncertainty, UncertaintyError> {
    let complete = Complete::new(model, data, params)?;
    let local = &complete.local;
    let p = local.steps.len();
    let (n, pieces) = (data.len(), PIECES.min(data.len()));
    let sums = map_in_order(pieces, |piece| {
        let (start, end) = (n * piece / pieces, n * (piece + 1) / pieces);
        let mut missing = vec![0.0; p * p];
        model
            .add_missing_information(params, data.slice(start..end), &local.steps, &mut missing)
            .map_err(|error| error.offset(start))?;
        Ok::<_, UncertaintyError>(missing)
    });
    let mut missing = vec![0.0; p * p];
    for sum in sums {
        crate::add_scaled(&mut missing, 1.0, &sum?);
    }
    let mut observed = complete.information.clone();
    for (at, observed) in observed.iter_mut().enumerate() {
        let r = local.free.len();
        let (i, j) = (local.free[at / r], local.free[at % r]);
        *observed -= missing[i * p + j] * local.steps[i] * local.steps[j];
    }
    complete.finish(Method::Louis, observed)
}

/// What the three routes through complete data share: the steps, and the information of complete data.
struct Complete<'a, 'd, M: CompleteDataModel> {
    local: Local<'a, 'd, M>,
    /// `−∂²(Q + penalty)/∂φ²` per squared steps, of the free coordinates.
    information: Vec<f64>,
    gradient: Vec<f64>,
}

impl<'a, 'd, M: CompleteDataModel> Complete<'a, 'd, M> {
    fn new(
        model: &'a M,
        data: M::Data<'d>,
        params: &'a M::Params,
    ) -> Result<Self, UncertaintyError> {
        let mut local = Local::new(model, data, params)?;
        let (_, stats) = local.statistics(params)?;
        local.find_steps(|_, there| {
            model.expected_log_likelihood(there, &stats) + model.penalty(there)
        })?;
        let mut complete = Self { local, information: Vec::new(), gradient: Vec::new() };
        complete.differentiate(&stats)?;
        Ok(complete)
    }

    fn differentiate(&mut self, stats: &M::Stats) -> Result<(), UncertaintyError> {
        let local = &self.local;
        let r = local.free.len();
        let score = |there: &M::Params| Ok(self.score(there, stats));
        let near = local.central(SCORE_STEP, score)?;
        let far = local.central(2.0 * SCORE_STEP, score)?;
        let mut information = vec![0.0; r * r];
        for (column, ([up, down], [far_up, far_down])) in near.iter().zip(&far).enumerate() {
            for row in 0..r {
                let (near, far) = (up[row] - down[row], far_up[row] - far_down[row]);
                information[row * r + column] = (far - 8.0 * near) / (12.0 * SCORE_STEP);
            }
        }
        let mut gradient = self.score(local.params, stats);
        if let Some(penalty) = self.penalty() {
            crate::add_scaled(&mut information, -1.0, &penalty.hessian);
            crate::add_scaled(&mut gradient, 1.0, &penalty.gradient);
        }
        symmetrize(&mut information, r, &vec![1.0; r]);
        (self.information, self.gradient) = (information, gradient);
        Ok(())
    }

    /// The penalty about the parameters, unless it is exactly zero at them and wherever one coordinate moves.
    fn penalty(&self) -> Option<Expansion> {
        let local = &self.local;
        let r = local.free.len();
        let penalty = |params: &M::Params| local.model.penalty(params);
        let is_zero = |column: usize| penalty(&local.moved(&[(local.free[column], 0.1)])) == 0.0;
        if penalty(local.params) == 0.0 && (0..r).all(is_zero) {
            return None;
        }
        Some(expand(r, |moves| {
            let moves: Vec<_> = moves.iter().map(|(i, by)| (local.free[*i], *by)).collect();
            penalty(&local.moved(&moves))
        }))
    }

    /// The gradient of `Q(·; stats)` at `params` per step of each free coordinate.
    fn score(&self, params: &M::Params, stats: &M::Stats) -> Vec<f64> {
        let local = &self.local;
        let mut score = vec![0.0; local.steps.len()];
        local.model.score_into(params, stats, &local.steps, &mut score);
        local.free.iter().map(|k| score[*k] * local.steps[*k]).collect()
    }

    fn finish(
        self,
        method: Method,
        mut observed: Vec<f64>,
    ) -> Result<Uncertainty, UncertaintyError> {
        let r = self.local.free.len();
        let diagonal: Vec<f64> = (0..r).map(|i| self.information[i * r + i]).collect();
        let asymmetry = symmetrize(&mut observed, r, &diagonal);
        let Self { local, information, gradient } = self;
        finish(
            &local,
            method,
            &Found { observed, complete: Some(information), gradient, asymmetry },
        )
    }
}
