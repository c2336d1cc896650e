//! What a fit tells about itself.

use crate::{EStepError, EstimateError, Repairs};

/// A fitted model: parameters, the statistics of the last E-step at exactly these parameters, and the report.
#[derive(Clone, Debug)]
pub struct Fit<P, S> {
    /// The parameters with the highest objective seen.
    pub params: P,
    /// Expected statistics at `params`.
    pub stats: S,
    /// What happened on the way.
    pub report: Report,
}

/// How a fit went. Not converging is no error: read [`stopped`](Self::stopped).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// Data term + penalty at the parameters returned, in nats.
    pub objective: f64,
    /// The data term alone: log-likelihood for points, its expectation bound for posteriors.
    pub data_term: f64,
    /// The penalty alone.
    pub penalty: f64,
    /// Objective at the start and after each iteration.
    pub trace: Vec<f64>,
    /// M-steps done.
    pub iterations: usize,
    /// E-steps done.
    pub e_steps: usize,
    /// Why it ended.
    pub stopped: Stopped,
    /// Aitken's estimate of what was left to gain at the end, in nats over all data, where there is one.
    pub gap: Option<f64>,
    /// The largest drop of the objective from one iteration to the next, in nats; rounding gives tiny ones.
    pub largest_fall: f64,
    /// What M-steps repaired.
    pub repairs: Repairs,
    /// Free parameters of the model.
    pub free_parameters: usize,
    /// Observations, or their total weight.
    pub observations: f64,
    /// Whether the end looks like an artifact of an unbounded likelihood.
    pub spurious: bool,
}

impl Report {
    /// Puts the way of an earlier run, which ended where this one began, in front.
    pub(super) fn follow(&mut self, earlier: &Self) {
        let later = std::mem::replace(&mut self.trace, earlier.trace.clone());
        self.trace.extend_from_slice(&later[1..]);
        self.iterations += earlier.iterations;
        self.e_steps += earlier.e_steps;
        self.largest_fall = self.largest_fall.max(earlier.largest_fall);
        self.repairs.merge(earlier.repairs);
    }
}

/// Why a fit ended.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stopped {
    /// Aitken's remaining gap is within tolerance.
    Gap,
    /// The last gain is within tolerance.
    Change,
    /// The last relative gain is within tolerance.
    RelativeChange,
    /// The objective moves by no more than rounding any longer.
    Rounding,
    /// All iterations of a schedule are done that tests no convergence: drawn latent variables, online EM.
    Finished,
    /// The iteration limit was reached.
    MaxIterations,
    /// The time budget is spent.
    TimeBudget,
    /// The cancel token was set.
    Cancelled,
    /// An observer asked to stop.
    Observer,
    /// The score of data held out has not improved for as long as was waited; see
    /// [`EarlyStopping`](crate::EarlyStopping).
    HeldOut,
    /// No parameter moves any longer; see [`ParametersSettled`](crate::ParametersSettled).
    Parameters,
    /// A short run that was not among the best; see [`Settings::short_runs`](crate::Settings::short_runs).
    Outrun,
    /// The objective fell by more than rounding explains: a model whose steps do not maximize.
    ObjectiveFell {
        /// By how much, in nats.
        amount: f64,
    },
    /// The objective was no longer finite.
    NotFinite,
    /// An E-step failed; the parameters are those before the M-step that led there.
    EStep(EStepError),
    /// An M-step failed; the parameters are those before it.
    MStep(EstimateError),
}

impl Stopped {
    /// Did the fit reach a stationary point to its tolerance?
    pub fn is_converged(&self) -> bool {
        matches!(
            self,
            Self::Gap | Self::Change | Self::RelativeChange | Self::Parameters | Self::Rounding
        )
    }

    /// Did the fit break down (rather than end early)?
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::ObjectiveFell { .. } | Self::NotFinite | Self::EStep(_) | Self::MStep(_)
        )
    }

    /// One word for files and tables.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Gap => "aitken",
            Self::Change => "change",
            Self::RelativeChange => "relative_change",
            Self::Rounding => "rounding",
            Self::Finished => "finished",
            Self::MaxIterations => "max_iterations",
            Self::TimeBudget => "time_budget",
            Self::Cancelled => "cancelled",
            Self::Observer => "observer",
            Self::HeldOut => "held_out",
            Self::Parameters => "parameters",
            Self::Outrun => "outrun",
            Self::ObjectiveFell { .. } => "objective_fell",
            Self::NotFinite => "not_finite",
            Self::EStep(_) => "e_step_failed",
            Self::MStep(_) => "m_step_failed",
        }
    }
}
