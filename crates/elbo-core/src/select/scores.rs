//! What a fit is judged by, and the order that follows.

use crate::{Fit, Report, criteria};

/// Whether a fit can be taken at its word. The order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Standing {
    /// Neither of the others.
    Sound,
    /// The end looks like an artifact of an unbounded likelihood.
    Spurious,
    /// The run broke down.
    Failed,
}

impl Report {
    /// Whether this fit can be taken at its word.
    pub fn standing(&self) -> Standing {
        if self.stopped.is_failure() {
            Standing::Failed
        } else if self.spurious {
            Standing::Spurious
        } else {
            Standing::Sound
        }
    }
}

/// What criteria need to know of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// `ℓ`, of all data, in nats, without any prior.
    pub log_likelihood: f64,
    /// Free parameters `p`.
    pub free_parameters: usize,
    /// Observations `n`, or their total weight.
    pub observations: f64,
    /// `Σᵢ ln maxⱼ γᵢⱼ ≤ 0`, in nats, where there are labels to be certain of.
    pub log_certainty: Option<f64>,
    /// Whether the fit can be taken at its word.
    pub standing: Standing,
}

impl Scores {
    /// Akaike's criterion.
    pub fn aic(&self) -> f64 {
        criteria::aic(self.log_likelihood, self.free_parameters)
    }

    /// Akaike's criterion corrected for few observations.
    pub fn aicc(&self) -> f64 {
        criteria::aicc(self.log_likelihood, self.free_parameters, self.observations)
    }

    /// The Bayesian criterion.
    pub fn bic(&self) -> f64 {
        criteria::bic(self.log_likelihood, self.free_parameters, self.observations)
    }

    /// The integrated completed likelihood, where there are labels.
    pub fn icl(&self) -> Option<f64> {
        self.log_certainty.map(|certainty| criteria::icl(self.bic(), certainty))
    }
}

/// A fit that can be compared with others.
pub trait Scored {
    /// What criteria need to know of it.
    fn scores(&self) -> Scores;
}

/// The data term stands for the log-likelihood, which it is for points; under variational Bayes it is a bound, for which
/// information criteria are not made.
impl<P, S> Scored for Fit<P, S> {
    fn scores(&self) -> Scores {
        Scores {
            log_likelihood: self.report.data_term,
            free_parameters: self.report.free_parameters,
            observations: self.report.observations,
            log_certainty: None,
            standing: self.report.standing(),
        }
    }
}

/// What chooses among candidates; smaller is better for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Criterion {
    /// [`criteria::bic`]: consistent, where a true model is among the candidates.
    #[default]
    Bic,
    /// [`criteria::icl`]: BIC that also wants components that separate.
    Icl,
    /// [`criteria::aic`]: the best prediction; tends to too many components.
    Aic,
    /// [`criteria::aicc`]: the same for few observations.
    Aicc,
    /// `−2 ×` held-out log-likelihood, from [`cross_validate`](crate::cross_validate): prediction without a formula.
    #[cfg_attr(feature = "serde", serde(rename = "cv"))]
    HeldOut,
}

impl Criterion {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bic => "BIC",
            Self::Icl => "ICL",
            Self::Aic => "AIC",
            Self::Aicc => "AICc",
            Self::HeldOut => "CV",
        }
    }
}

/// Values within this fraction of the least of their group differ by rounding only: structures that coincide, as all of
/// one class do for a single component, are fitted by different arithmetic.
const ROUNDING: f64 = 1e-10;

/// The order of preference, best first: sound fits before spurious ones before failed ones, then the smaller value; of
/// values that differ by rounding only (within 10⁻¹⁰ of the smallest), the first. What has no value, or one that is NaN,
/// is last, in the order given.
///
/// ```
/// use elbo_core::{Standing::{Sound, Spurious}, ranking};
///
/// let values = [(Sound, Some(7.0)), (Spurious, Some(1.0)), (Sound, None), (Sound, Some(3.0))];
/// assert_eq!(ranking(&values), [3, 0, 1, 2]);
/// ```
pub fn ranking(values: &[(Standing, Option<f64>)]) -> Vec<usize> {
    let value = |i: usize| values[i].1.filter(|value| !value.is_nan());
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| match (value(a), value(b)) {
        (Some(x), Some(y)) => values[a].0.cmp(&values[b].0).then(x.total_cmp(&y)),
        (x, y) => y.is_some().cmp(&x.is_some()),
    });
    let mut start = 0;
    while start < order.len() {
        let first = order[start];
        let Some(least) = value(first) else { break };
        let most = least + ROUNDING * least.abs();
        let same = |&&i: &&usize| {
            values[i].0 == values[first].0 && value(i).is_some_and(|value| value <= most)
        };
        let end = start + order[start..].iter().take_while(same).count();
        order[start..end].sort_unstable();
        start = end;
    }
    order
}
