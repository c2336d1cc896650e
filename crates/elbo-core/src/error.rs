//! What can be wrong with data, with an E-step and with an M-step; and what was repaired.

use crate::{Label, SourceError};

/// Why data cannot be used at all. Rows, columns and sequences count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is no observation.
    #[error("there are no observations; give at least one")]
    Empty,
    /// Fewer observations than the model needs.
    #[error(
        "{n} observations are too few: {needed} are needed; ask for fewer components or add data"
    )]
    TooFew {
        /// Observations given.
        n: usize,
        /// Observations needed.
        needed: usize,
    },
    /// The data have another width than the model.
    #[error("the data have {found} columns, the model has {expected}; select the model's columns")]
    Dimension {
        /// Columns of the model.
        expected: usize,
        /// Columns of the data.
        found: usize,
    },
    /// A value is NaN or infinite where the model needs a number.
    #[error("row {row}, column {column} is {value}; remove or impute it")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A value outside the support of the distribution.
    #[error(
        "row {row}, column {column} is {value}; {needed} is needed: remove the row, or take another distribution"
    )]
    Support {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f64,
        /// What the distribution is about: "a number above 0".
        needed: &'static str,
    },
    /// A row of shares that do not sum to one.
    #[error("row {row} sums to {sum}, not to 1; divide it by its sum")]
    Sum {
        /// Row, from 0.
        row: usize,
        /// Its sum.
        sum: f64,
    },
    /// A row that must be a direction has another norm than 1.
    #[error("row {row} has norm {norm}, not 1; divide every row by its norm")]
    Norm {
        /// Row, from 0.
        row: usize,
        /// Its norm.
        norm: f64,
    },
    /// Two views of the same units that are not equally long.
    #[error(
        "{left} rows of {of} do not pair with {right} rows of {with}; give one of each per unit"
    )]
    Unpaired {
        /// What one view holds: "covariates".
        of: &'static str,
        /// Its length.
        left: usize,
        /// What the other view holds: "responses".
        with: &'static str,
        /// Its length.
        right: usize,
    },
    /// A category code outside the model's range.
    #[error("row {row} holds category {value}, the model knows 0 to {}", categories - 1)]
    Category {
        /// Row, from 0.
        row: usize,
        /// The code found.
        value: u32,
        /// Number of categories.
        categories: usize,
    },
    /// A step that is labeled with a state that the model does not have.
    #[error("step {row} is labeled with state {state}, the model has the states 0 to {}", states - 1)]
    UnknownState {
        /// Step, from 0.
        row: usize,
        /// The label found.
        state: usize,
        /// Number of states.
        states: usize,
    },
    /// A column that never varies, where the model needs a variance.
    #[error("column {column} is constant at {value}; leave it out, or add a prior")]
    ConstantColumn {
        /// Column, from 0.
        column: usize,
        /// Its only value.
        value: f64,
    },
    /// Fewer distinct rows than components.
    #[error(
        "only {distinct} distinct observations for {needed} components; ask for fewer components"
    )]
    TooFewDistinct {
        /// Distinct rows.
        distinct: usize,
        /// Components asked for.
        needed: usize,
    },
    /// Not one weight per unit.
    #[error("{weights} weights for {units} observations; give one each")]
    Weights {
        /// Units of data.
        units: usize,
        /// Weights given.
        weights: usize,
    },
    /// A weight that is no weight.
    #[error(
        "weight {weight} of observation {row} is not usable; weights are finite, ≥ 0 and not all zero"
    )]
    Weight {
        /// Observation, from 0.
        row: usize,
        /// The weight found.
        weight: f64,
    },
    /// A label that allows none of the model's components.
    #[error(
        "the label of observation {row}, {label:?}, allows none of the components 0 to {}; ask for more components or correct the label", components - 1
    )]
    Label {
        /// Observation, from 0.
        row: usize,
        /// Its label.
        label: Label,
        /// Components of the model.
        components: usize,
    },
    /// They cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl DataError {
    /// The same error where it stands in a larger table: `row` and `column` turn its own place into that.
    #[must_use]
    pub fn placed(self, row: impl Fn(usize) -> usize, column: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::NotFinite { row: r, column: c, value } => {
                Self::NotFinite { row: row(r), column: column(c), value }
            }
            Self::Support { row: r, column: c, value, needed } => {
                Self::Support { row: row(r), column: column(c), value, needed }
            }
            Self::Category { row: r, value, categories } => {
                Self::Category { row: row(r), value, categories }
            }
            Self::UnknownState { row: r, state, states } => {
                Self::UnknownState { row: row(r), state, states }
            }
            Self::Sum { row: r, sum } => Self::Sum { row: row(r), sum },
            Self::Norm { row: r, norm } => Self::Norm { row: row(r), norm },
            Self::Weight { row: r, weight } => Self::Weight { row: row(r), weight },
            Self::Label { row: r, label, components } => {
                Self::Label { row: row(r), label, components }
            }
            other => other,
        }
    }
}

/// Why an E-step has no answer: under the current parameters some unit has no finite density. Units count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EStepError {
    /// The density of a unit is zero under every component: nothing can explain it.
    #[error(
        "observation {row} has density zero under every component; widen a component or remove the observation"
    )]
    Impossible {
        /// Unit, from 0.
        row: usize,
    },
    /// The density of a unit is NaN or infinite.
    #[error(
        "observation {row} has a log density that is not finite; check its scale and the start"
    )]
    NotFinite {
        /// Unit, from 0.
        row: usize,
    },
    /// A step of a sequence cannot be reached or emitted by any state.
    #[error(
        "step {step} of sequence {sequence} has probability zero in every state; allow the transition or widen an emission"
    )]
    ImpossibleStep {
        /// Sequence, from 0.
        sequence: usize,
        /// Step in it, from 0.
        step: usize,
    },
    /// The cancel token was set during the E-step.
    #[error("cancelled")]
    Cancelled,
    /// The emission density at a step of a sequence is NaN or infinite.
    #[error(
        "step {step} of sequence {sequence} has a log density that is not finite; check its scale and the start"
    )]
    NotFiniteStep {
        /// Sequence, from 0.
        sequence: usize,
        /// Step in it, from 0.
        step: usize,
    },
    /// Units could not be read.
    #[error(transparent)]
    Source(SourceError),
}

impl EStepError {
    /// The same error with its unit counted from `start` units earlier: chunks count from their own first unit.
    #[must_use]
    pub fn offset(self, start: usize) -> Self {
        match self {
            Self::Cancelled | Self::Source(_) => self,
            Self::Impossible { row } => Self::Impossible { row: row + start },
            Self::NotFinite { row } => Self::NotFinite { row: row + start },
            Self::ImpossibleStep { sequence, step } => {
                Self::ImpossibleStep { sequence: sequence + start, step }
            }
            Self::NotFiniteStep { sequence, step } => {
                Self::NotFiniteStep { sequence: sequence + start, step }
            }
        }
    }
}

/// Why an M-step has no solution. Components count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum EstimateError {
    /// No data reached a component.
    #[error(
        "component {component} has total weight {weight}; start elsewhere, use fewer components or add a prior"
    )]
    NoWeight {
        /// The component.
        component: usize,
        /// Its total weight, in observations.
        weight: f64,
    },
    /// A covariance is singular: the likelihood is unbounded here.
    #[error(
        "the covariance of component {component} is singular in column {column} (remaining variance {variance:e}); add a prior, use fewer components or a simpler structure"
    )]
    Singular {
        /// The component.
        component: usize,
        /// The column whose variance vanishes given the columns before it.
        column: usize,
        /// What is left of its variance, in the column's squared unit.
        variance: f64,
    },
    /// The statistics belong to no distribution of the family (an extrapolation can leave the moment cone).
    #[error("the statistics of component {component} are not those of any {what}")]
    Infeasible {
        /// The component.
        component: usize,
        /// What was to be estimated.
        what: &'static str,
    },
    /// The posterior has no interior mode.
    #[error(
        "the posterior of {parameter} of component {component} has no interior mode (value {value}); raise the prior's pseudo-counts or use variational Bayes"
    )]
    NoMode {
        /// The component.
        component: usize,
        /// Which parameter.
        parameter: &'static str,
        /// The offending posterior value.
        value: f64,
    },
    /// The likelihood has no maximum: it rises without end as a parameter approaches the boundary of its range.
    #[error(
        "the likelihood of component {component} keeps rising as its {parameter} goes to {limit}; {cure}"
    )]
    Boundary {
        /// The component.
        component: usize,
        /// Which parameter.
        parameter: &'static str,
        /// Where it is going.
        limit: &'static str,
        /// What to do instead.
        cure: &'static str,
    },
    /// A combination that has no estimator.
    #[error("{what} is not available for {structure}; choose another structure or estimator")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// For which structure.
        structure: &'static str,
    },
    /// No prior suits a set of posteriors best: the larger its pseudo-counts, the better.
    #[error(
        "no prior suits these posteriors best: they agree, so that its {parameter} goes to infinity; keep the prior as it is"
    )]
    NoPrior {
        /// Which hyper-parameter.
        parameter: &'static str,
    },
    /// An iterative M-step did not reach its own tolerance.
    #[error("the M-step of {what} did not settle within {iterations} inner iterations")]
    NotSettled {
        /// What was to be estimated.
        what: &'static str,
        /// Inner iterations done.
        iterations: usize,
    },
}

impl EstimateError {
    /// The component that it is about, if it is about one.
    pub fn component(&self) -> Option<usize> {
        match self {
            Self::NoWeight { component, .. }
            | Self::Singular { component, .. }
            | Self::Infeasible { component, .. }
            | Self::NoMode { component, .. }
            | Self::Boundary { component, .. } => Some(*component),
            Self::Unsupported { .. } | Self::NoPrior { .. } | Self::NotSettled { .. } => None,
        }
    }

    /// The same error, told of component `index`: a family that estimates one component calls it 0.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        match &mut self {
            Self::NoWeight { component, .. }
            | Self::Singular { component, .. }
            | Self::Infeasible { component, .. }
            | Self::NoMode { component, .. }
            | Self::Boundary { component, .. } => *component = index,
            Self::Unsupported { .. } | Self::NoPrior { .. } | Self::NotSettled { .. } => {}
        }
        self
    }
}

/// What M-steps had to repair, counted: nothing is clamped in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Repairs {
    /// Components without data that kept their former parameters.
    pub kept_components: usize,
    /// Components without data that were moved to where the fit was worst.
    pub moved_components: usize,
    /// Draws of latent variables whose statistics had no estimate and that were made again.
    pub redrawn: usize,
    /// Batches of online or pieces of incremental EM after which there was no estimate and parameters stayed.
    pub skipped_batches: usize,
}

impl Repairs {
    /// Adds the counts of another step.
    pub fn merge(&mut self, other: Self) {
        self.kept_components += other.kept_components;
        self.moved_components += other.moved_components;
        self.redrawn += other.redrawn;
        self.skipped_batches += other.skipped_batches;
    }

    pub(crate) fn counts(&self) -> [usize; 4] {
        [self.kept_components, self.redrawn, self.skipped_batches, self.moved_components]
    }

    pub(crate) fn counts_mut(&mut self) -> [&mut usize; 4] {
        [
            &mut self.kept_components,
            &mut self.redrawn,
            &mut self.skipped_batches,
            &mut self.moved_components,
        ]
    }

    /// Was nothing repaired?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
