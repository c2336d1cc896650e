//! A hidden Markov model as the command knows it: one of the library's chains, applied to sequences of rows of a table.

mod file;
mod params;

use clap::ValueEnum;
use elbo::{
    core::{Batch, EStepError, FitError, Rows},
    dist::{Categorical, CovarianceStructure, Draw, MultivariateGaussian, Poisson},
    hmm::{Hmm, HmmError, Sequences},
};
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{model::LARGEST_COUNT, table::Table};
pub(crate) use file::{ChainFacts, SavedChain};
pub(crate) use params::ChainParams;

/// The most categories that are taken for categories and not for a slip.
const MOST_CATEGORIES: f64 = 1e6;

/// What a state emits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Emission {
    /// Continuous columns, correlated within a state
    #[default]
    Gaussian,
    /// Continuous columns, independent within a state
    Diagonal,
    /// Counts 0, 1, 2, …; one column
    Poisson,
    /// Category codes 0, 1, 2, …; one column
    Categorical,
}

impl Emission {
    /// Its name on the command line and in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Diagonal => "diagonal",
            Self::Poisson => "poisson",
            Self::Categorical => "categorical",
        }
    }

    /// The structure of its covariances, if it has any.
    pub(crate) fn structure(self) -> Option<CovarianceStructure> {
        match self {
            Self::Gaussian => Some(CovarianceStructure::VVV),
            Self::Diagonal => Some(CovarianceStructure::VVI),
            Self::Poisson | Self::Categorical => None,
        }
    }
}

/// The rows of a table as sequences, in the form in which an emission takes them.
#[derive(Debug)]
pub(crate) struct Series {
    /// `n × d`, one row after the other; `NaN` is missing.
    values: Vec<f64>,
    d: usize,
    counts: Vec<u64>,
    codes: Vec<u32>,
    /// Which whole numbers are missing.
    missing: Vec<bool>,
    /// Where sequences begin and end.
    pub(crate) offsets: Vec<usize>,
}

impl Series {
    /// The rows of `table`: one sequence, or one for each label of its `id` column.
    ///
    /// # Errors
    ///
    /// One line: a label that comes back later, or numbers that the emission does not have.
    pub(crate) fn of(table: &Table, emission: Emission) -> Result<Self, String> {
        let (n, d) = (table.n(), table.d());
        let offsets = offsets(table)?;
        let mut series = Self {
            values: table.values.clone(),
            d,
            counts: Vec::new(),
            codes: Vec::new(),
            missing: Vec::new(),
            offsets,
        };
        if emission.structure().is_some() {
            return Ok(series);
        }
        if d != 1 {
            return Err(format!(
                "has {d} columns of numbers, but --emission {} models one column; choose it with --columns",
                emission.name()
            ));
        }
        let most = if emission == Emission::Poisson { LARGEST_COUNT } else { MOST_CATEGORIES };
        let is_fine = |x: f64| x.is_nan() || ((0.0..=most).contains(&x) && x.fract() == 0.0);
        if let Some(row) = table.values.iter().position(|x| !is_fine(*x)) {
            return Err(format!(
                "{}, column \"{}\": {} is not one of the whole numbers from 0 that --emission {} needs",
                table.place(row),
                table.columns[0],
                table.values[row],
                emission.name()
            ));
        }
        series.missing = table.values.iter().map(|x| x.is_nan()).collect();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole numbers within bounds; a missing one becomes 0, which nobody looks at"
        )]
        for x in &table.values {
            match emission {
                Emission::Poisson => series.counts.push(*x as u64),
                _ => series.codes.push(*x as u32),
            }
        }
        debug_assert_eq!(series.offsets.last(), Some(&n));
        Ok(series)
    }

    /// Number of steps.
    pub(crate) fn n(&self) -> usize {
        self.values.len() / self.d
    }

    /// Number of sequences.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// One more than the largest category.
    pub(crate) fn categories(&self) -> usize {
        self.codes.iter().max().map_or(1, |code| *code as usize + 1)
    }

    /// `n × d`; `NaN` is missing.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// For Gaussian emissions.
    pub(crate) fn rows(&self) -> Sequences<'_, Rows<'_>> {
        Sequences::new(Rows::new(&self.values, self.n(), self.d), &self.offsets)
    }

    /// For Poisson emissions.
    pub(crate) fn counts(&self) -> Sequences<'_, &[u64]> {
        self.marked(Sequences::new(&self.counts[..], &self.offsets))
    }

    /// For categorical emissions.
    pub(crate) fn codes(&self) -> Sequences<'_, &[u32]> {
        self.marked(Sequences::new(&self.codes[..], &self.offsets))
    }

    fn marked<'a, B: Batch>(&'a self, data: Sequences<'a, B>) -> Sequences<'a, B> {
        if self.missing.contains(&true) { data.missing(&self.missing) } else { data }
    }

    /// Refuses codes that a model of `categories` categories does not have.
    fn check_codes(&self, categories: usize, table: &Table) -> Result<(), String> {
        match self.codes.iter().position(|code| *code as usize >= categories) {
            None => Ok(()),
            Some(row) => Err(format!(
                "{}: the model has the categories 0 to {}, not {}",
                table.place(row),
                categories - 1,
                self.codes[row]
            )),
        }
    }
}

/// Where the sequences of a table begin and end: a sequence is a stretch of rows with the same label.
fn offsets(table: &Table) -> Result<Vec<usize>, String> {
    let mut offsets = vec![0];
    if let Some(ids) = &table.ids {
        let mut seen = std::collections::HashSet::new();
        for (row, id) in ids.iter().enumerate() {
            if row > 0 && ids[row - 1] == *id {
                continue;
            }
            if !seen.insert(id) {
                return Err(format!(
                    "{}: sequence \"{id}\" goes on after another one has begun; sort the rows by --id",
                    table.place(row)
                ));
            }
            if row > 0 {
                offsets.push(row);
            }
        }
    }
    offsets.push(table.n());
    Ok(offsets)
}

/// A hidden Markov model with emissions of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Chain {
    /// Of columns of numbers.
    Gaussian(Hmm<MultivariateGaussian>),
    /// Of counts.
    Poisson(Hmm<Poisson>),
    /// Of category codes.
    Categorical(Hmm<Categorical>),
}

/// The same for every kind of emission.
macro_rules! each {
    ($chain:expr, $hmm:ident => $body:expr) => {
        match $chain {
            Chain::Gaussian($hmm) => $body,
            Chain::Poisson($hmm) => $body,
            Chain::Categorical($hmm) => $body,
        }
    };
    ($chain:expr, $series:expr, $hmm:ident, $data:ident => $body:expr) => {
        match $chain {
            Chain::Gaussian($hmm) => {
                let $data = $series.rows();
                $body
            }
            Chain::Poisson($hmm) => {
                let $data = $series.counts();
                $body
            }
            Chain::Categorical($hmm) => {
                let $data = $series.codes();
                $body
            }
        }
    };
}

impl Chain {
    /// Number of states.
    pub(crate) fn k(&self) -> usize {
        each!(self, hmm => hmm.k())
    }

    /// Law of the first state.
    pub(crate) fn initial(&self) -> &[f64] {
        each!(self, hmm => hmm.initial())
    }

    /// Law of the state after `i`.
    pub(crate) fn transition(&self, i: usize) -> &[f64] {
        each!(self, hmm => hmm.transition(i))
    }

    /// Average length of a visit to each state, in steps.
    pub(crate) fn mean_durations(&self) -> Vec<f64> {
        each!(self, hmm => hmm.mean_durations())
    }

    /// The most probable path and its log joint probability.
    ///
    /// # Errors
    ///
    /// If a step cannot be explained.
    pub(crate) fn viterbi(&self, series: &Series) -> Result<(Vec<usize>, f64), HmmError> {
        let decoded = each!(self, series, hmm, data => hmm.viterbi(data))?;
        Ok((decoded.states, decoded.log_probability))
    }

    /// `n × k`: the probability of each state at each step, given all of its sequence.
    ///
    /// # Errors
    ///
    /// If a step cannot be explained.
    pub(crate) fn posterior(&self, series: &Series) -> Result<Vec<f64>, HmmError> {
        each!(self, series, hmm, data => hmm.smooth(data))
    }

    /// The log-likelihood of each sequence, in nats.
    ///
    /// # Errors
    ///
    /// If a step cannot be explained.
    pub(crate) fn log_likelihoods(&self, series: &Series) -> Result<Vec<f64>, HmmError> {
        each!(self, series, hmm, data => hmm.log_likelihoods(data))
    }

    /// The law of the state 1, …, `steps` steps after the end of each sequence.
    ///
    /// # Errors
    ///
    /// If a step cannot be explained.
    pub(crate) fn forecast(&self, series: &Series, steps: usize) -> Result<Vec<f64>, HmmError> {
        each!(self, series, hmm, data => hmm.forecast(data, steps))
    }

    /// Refuses rows that the model cannot take.
    ///
    /// # Errors
    ///
    /// One line.
    pub(crate) fn check(&self, series: &Series, table: &Table) -> Result<(), String> {
        match self {
            Self::Categorical(hmm) => series.check_codes(hmm.emission()[0].categories(), table),
            _ => Ok(()),
        }
    }

    /// Draws a path of `n` states and a row for each.
    pub(crate) fn sample(&self, n: usize, rng: &mut ChaCha8Rng) -> (Vec<usize>, Vec<Vec<f64>>) {
        match self {
            Self::Gaussian(hmm) => {
                let d = hmm.emission()[0].d();
                let mut drawn = hmm.emission()[0].no_draws();
                let (states, _) =
                    hmm.sample(n, rng, |state, rng| state.draw_onto(1, rng, &mut drawn));
                let rows = MultivariateGaussian::batch_of(&drawn);
                let row = |i| (0..d).map(|c| rows.get(i, c)).collect();
                (states, (0..n).map(row).collect())
            }
            Self::Poisson(hmm) => {
                let (states, counts) = hmm.sample(n, rng, |state, rng| state.sample(rng));
                (states, counts.into_iter().map(|x| vec![x as f64]).collect())
            }
            Self::Categorical(hmm) => {
                let (states, codes) = hmm.sample(n, rng, |state, rng| state.sample(rng));
                (states, codes.into_iter().map(|x| vec![f64::from(x)]).collect())
            }
        }
    }

    /// What a state emits on average in column `column`.
    pub(crate) fn mean(&self, state: usize, column: usize) -> f64 {
        match self {
            Self::Gaussian(hmm) => hmm.emission()[state].mean()[column],
            Self::Poisson(hmm) => hmm.emission()[state].rate(),
            Self::Categorical(hmm) => hmm.emission()[state].mean(),
        }
    }

    /// Its standard deviation there.
    pub(crate) fn std_dev(&self, state: usize, column: usize) -> f64 {
        match self {
            Self::Gaussian(hmm) => {
                let gaussian = &hmm.emission()[state];
                gaussian.covariance()[column * (gaussian.d() + 1)].sqrt()
            }
            Self::Poisson(hmm) => hmm.emission()[state].rate().sqrt(),
            Self::Categorical(hmm) => hmm.emission()[state].variance().sqrt(),
        }
    }

    /// The density or probability of `x` in a state, of column `column` alone.
    pub(crate) fn density(&self, state: usize, column: usize, x: f64) -> f64 {
        match self {
            Self::Gaussian(_) => {
                let z = (x - self.mean(state, column)) / self.std_dev(state, column);
                (-0.5 * z * z).exp() / (self.std_dev(state, column) * std::f64::consts::TAU.sqrt())
            }
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "pictures ask for whole numbers within the data"
            )]
            Self::Poisson(hmm) => hmm.emission()[state].log_probability(x as u64).exp(),
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "pictures ask for whole numbers within the data"
            )]
            Self::Categorical(hmm) => hmm.emission()[state].log_probability(x as u32).exp(),
        }
    }

    /// The states from the lowest mean of the first column to the highest.
    pub(crate) fn ordered(self) -> Self {
        let mut order: Vec<usize> = (0..self.k()).collect();
        order.sort_by(|a, b| self.mean(*a, 0).total_cmp(&self.mean(*b, 0)));
        match self {
            Self::Gaussian(hmm) => Self::Gaussian(hmm.permuted(&order)),
            Self::Poisson(hmm) => Self::Poisson(hmm.permuted(&order)),
            Self::Categorical(hmm) => Self::Categorical(hmm.permuted(&order)),
        }
    }
}

/// Why a model has no answer for a table, naming the row in its file.
pub(crate) fn explain(error: &HmmError, series: &Series, table: &Table) -> String {
    match error {
        HmmError::EStep(error) => explain_e_step(error, series, table),
        HmmError::Data(error) => crate::explain::data(error, table),
        other => other.to_string(),
    }
}

/// The same of a fit.
pub(crate) fn explain_fit(error: &FitError, series: &Series, table: &Table) -> String {
    match error {
        FitError::EStep(error) => explain_e_step(error, series, table),
        other => crate::explain::fit(other, table),
    }
}

fn explain_e_step(error: &EStepError, series: &Series, table: &Table) -> String {
    let place = |sequence: usize, step: usize| table.place(series.offsets[sequence] + step);
    match error {
        EStepError::ImpossibleStep { sequence, step } => format!(
            "{} has probability zero in every state that can be there; allow the transition, or use a model with wider states",
            place(*sequence, *step)
        ),
        EStepError::NotFiniteStep { sequence, step } => format!(
            "{} has a log density that is not finite; check its size and the start",
            place(*sequence, *step)
        ),
        other => crate::explain::e_step(other, table),
    }
}
