//! The library's errors in the words of a person who has a file with named columns: the library
//! counts rows, columns and components from 0, files and people from 1.

use elbo::core::{DataError, EStepError, EstimateError, FitError, FoldError, Stopped};

use crate::table::Table;

/// Why data cannot be used.
pub(crate) fn data(error: &DataError, table: &Table) -> String {
    match error {
        DataError::TooFew { n, needed } => {
            format!("{n} rows are too few for {needed} components; ask for fewer, or add rows")
        }
        DataError::TooFewDistinct { distinct, needed } => format!(
            "only {distinct} distinct rows for {needed} components; ask for fewer components"
        ),
        DataError::NotFinite { row, column, value } => {
            format!("{} is {value}; correct it or leave the row out", cell(table, *row, *column))
        }
        DataError::ConstantColumn { column, value } => format!(
            "column \"{}\" is {value} in every row; leave it out with --columns",
            table.columns[*column]
        ),
        DataError::EmptyColumn { column } => format!(
            "column \"{}\" is missing in every row; leave it out with --columns",
            table.columns[*column]
        ),
        DataError::Weight { row, weight } => format!(
            "{}: the weight {weight} is not a finite number of at least 0",
            table.place(*row)
        ),
        other => other.to_string(),
    }
}

/// Why an E-step has no answer.
pub(crate) fn e_step(error: &EStepError, table: &Table) -> String {
    match error {
        EStepError::Impossible { row } => format!(
            "{} has density zero under every component; leave the row out, or use a model with wider components",
            table.place(*row)
        ),
        EStepError::NotFinite { row } => format!(
            "{} has a log density that is not finite; check its size and the start",
            table.place(*row)
        ),
        EStepError::Cancelled => "interrupted before its first iteration".into(),
        other => other.to_string(),
    }
}

/// Why an M-step has no solution.
pub(crate) fn estimate(error: &EstimateError, table: &Table) -> String {
    match error {
        EstimateError::NoWeight { component, .. } => format!(
            "component {} lost all its rows; ask for fewer components, or use --estimator map",
            component + 1
        ),
        EstimateError::Singular { component, column, variance } => format!(
            "the covariance of component {} became singular in column \"{}\" (variance left: {variance:.1e}); use --estimator map, fewer components or a simpler --covariance",
            component + 1,
            table.columns[*column]
        ),
        other => other.clone().at_one_based().to_string(),
    }
}

/// Why there is no fit at all.
pub(crate) fn fit(error: &FitError, table: &Table) -> String {
    match error {
        FitError::Data(error) => data(error, table),
        FitError::EStep(error @ EStepError::Cancelled) => e_step(error, table),
        FitError::EStep(error) => format!("at the start, {}", e_step(error, table)),
        FitError::Start(error) => format!("no start: {}", estimate(error, table)),
        FitError::NotRun => "not begun: the fit was stopped before".into(),
        other => other.to_string(),
    }
}

/// Why held-out rows say nothing of a candidate.
pub(crate) fn fold(error: &FoldError<FitError>, table: &Table) -> String {
    let why = match &error.source {
        FitError::EStep(error) => e_step(error, table),
        other => fit(other, table),
    };
    format!("with fold {} held out, {why}", error.fold + 1)
}

/// Why a run stopped before it converged, and what helps.
pub(crate) fn stopped(stopped: &Stopped, iterations: usize, table: &Table) -> String {
    let plural = if iterations == 1 { "" } else { "s" };
    let after = format!("after {iterations} iteration{plural}");
    match stopped {
        Stopped::MaxIterations => {
            format!("stopped {after}, the limit, before it converged; raise --max-iter")
        }
        Stopped::TimeBudget => {
            format!("stopped {after}, out of time, before it converged; raise --time-budget")
        }
        Stopped::Cancelled => format!("was interrupted {after}, before it converged"),
        Stopped::ObjectiveFell { amount } => {
            format!("broke off {after}: the objective fell by {amount:.1e}")
        }
        Stopped::NotFinite => format!("broke off {after}: the objective was no longer finite"),
        Stopped::EStep(error) => format!("broke off {after}: {}", e_step(error, table)),
        Stopped::MStep(error) => format!("broke off {after}: {}", estimate(error, table)),
        other => format!("ended {after}: {}", other.as_str().replace('_', " ")),
    }
}

fn cell(table: &Table, row: usize, column: usize) -> String {
    format!("{}, column \"{}\"", table.place(row), table.columns[column])
}

/// Components counted from 1.
trait OneBased {
    fn at_one_based(self) -> Self;
}

impl OneBased for EstimateError {
    fn at_one_based(self) -> Self {
        match self {
            Self::Infeasible { component, .. } | Self::NoMode { component, .. } => {
                self.at(component + 1)
            }
            other => other,
        }
    }
}
