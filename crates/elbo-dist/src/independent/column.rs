//! One column of a table: which family it has, and how that family reads cells of `f64`.

use elbo_core::{
    BLOCK, BLOCK_STRIDE, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut,
    Repairs, Statistics,
};
use rand::Rng;

use crate::{
    Bernoulli, Beta, BetaBinomial, Binomial, Categorical, Exponential, Gamma, Gaussian, Geometric,
    InverseGamma, Laplace, LogNormal, NegativeBinomial, Number, Poisson, StudentT, Uniform,
    Univariate, VonMises, Weibull, ZeroInflated,
};

/// A univariate family whose batch is a slice of its values: what a column of a table can hold.
pub(crate) trait OfCells:
    Univariate + for<'a> Family<Batch<'a> = &'a [<Self as Univariate>::Value]>
{
}

impl<F> OfCells for F where F: Univariate + for<'a> Family<Batch<'a> = &'a [F::Value]> {}

/// `k` components of one column, and what their statistics look like empty.
#[derive(Clone, Debug)]
pub(crate) struct Packed<F: Family> {
    k: usize,
    inner: F::Packed,
    empty: F::Stats,
}

/// The cells of a block as the family reads them, and what was observed since the last
/// [`Family::finish`](elbo_core::Family::finish).
#[derive(Debug)]
pub(crate) struct Scratch<F: Univariate> {
    values: Vec<F::Value>,
    stats: Vec<F::Stats>,
    is_fresh: bool,
    inner: F::Scratch,
}

/// Reads cells; a missing one becomes a placeholder that the caller masks, unless the family knows missing values itself.
fn read<F: OfCells>(cells: &[f64], values: &mut Vec<F::Value>) {
    let placeholder = F::Value::from_f64(0.0).expect("zero stands for an observation of any kind");
    values.clear();
    values.extend(cells.iter().map(|x| F::Value::from_f64(*x).unwrap_or(placeholder)));
}

impl<F: OfCells> Packed<F> {
    fn new(family: &F, k: usize) -> Self {
        Self { k, inner: family.new_packed(k), empty: family.new_stats() }
    }

    pub(super) fn inner_mut(&mut self) -> &mut F::Packed {
        &mut self.inner
    }

    fn new_scratch(&self) -> Scratch<F> {
        Scratch {
            values: Vec::with_capacity(BLOCK),
            stats: vec![self.empty.clone(); self.k],
            is_fresh: true,
            inner: F::new_scratch(&self.inner),
        }
    }

    /// Adds the scores of a block to `out`; `buffer` holds `k · BLOCK_STRIDE` numbers.
    fn add_scores(
        &self,
        cells: &[f64],
        out: &mut MatrixMut<'_>,
        buffer: &mut [f64],
        scratch: &mut Scratch<F>,
    ) {
        read::<F>(cells, &mut scratch.values);
        let scores = MatrixMut::new(buffer, self.k, cells.len(), BLOCK_STRIDE);
        F::score_all(&self.inner, &scratch.values, scores, &mut scratch.inner);
        for j in 0..self.k {
            let scores = buffer[j * BLOCK_STRIDE..].iter().zip(cells);
            for (out, (score, x)) in out.row_mut(j).iter_mut().zip(scores) {
                *out += if x.is_nan() { 0.0 } else { *score };
            }
        }
    }

    fn observe(
        &self,
        cells: &[f64],
        weights: Matrix<'_>,
        buffer: &mut [f64],
        scratch: &mut Scratch<F>,
    ) {
        if std::mem::take(&mut scratch.is_fresh) {
            F::reset_all(&self.inner, &mut scratch.stats);
        }
        read::<F>(cells, &mut scratch.values);
        for j in 0..self.k {
            let rows = weights.row(j).iter().zip(cells);
            for (to, (weight, x)) in buffer[j * BLOCK_STRIDE..].iter_mut().zip(rows) {
                *to = if x.is_nan() { 0.0 } else { *weight };
            }
        }
        let weights = Matrix::new(buffer, self.k, cells.len(), BLOCK_STRIDE);
        let Scratch { values, stats, inner, .. } = scratch;
        F::observe_all(&self.inner, stats, values, weights, inner);
    }

    /// Hands what was observed to `merge`, component after component.
    fn finish(&self, scratch: &mut Scratch<F>, merge: impl FnMut(&F::Stats)) {
        if std::mem::replace(&mut scratch.is_fresh, true) {
            return;
        }
        F::finish(&self.inner, &mut scratch.stats, &mut scratch.inner);
        scratch.stats.iter().for_each(merge);
    }
}

/// The cells of a column as observations of `family`, refusing those that are none.
fn check<F: OfCells>(family: &F, cells: impl Iterator<Item = f64>) -> Result<(), DataError> {
    let mut values = Vec::with_capacity(cells.size_hint().0);
    let mut rows = Vec::new(); // of what is not missing
    for (row, x) in cells.enumerate() {
        match F::Value::from_f64(x) {
            Some(value) if !x.is_nan() => {
                values.push(value);
                rows.push(row);
            }
            _ if x.is_nan() => {}
            _ => {
                let needed = F::Value::NEEDED;
                return Err(DataError::Support { row, column: 0, value: x, needed });
            }
        }
    }
    family.check(&values).map_err(|error| error.placed(|row| rows[row], |column| column))
}

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident($family:ty)),+ $(,)?) => {
        /// The distribution of one column of a table.
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Serialize, serde::Deserialize),
            serde(tag = "family", rename_all = "snake_case")
        )]
        #[non_exhaustive]
        pub enum Column {
            $($(#[$doc])* $name($family)),+
        }

        /// Weighted sufficient statistics of a [`Column`].
        #[derive(Clone, Debug, PartialEq)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Serialize, serde::Deserialize),
            serde(tag = "family", rename_all = "snake_case")
        )]
        #[non_exhaustive]
        pub enum ColumnStats {
            $($(#[$doc])* $name(<$family as Family>::Stats)),+
        }

        /// `k` components of a column as its kernels want them.
        #[derive(Clone, Debug)]
        pub(super) enum PackedColumn {
            $($name(Packed<$family>)),+
        }

        /// What one worker needs of a column.
        #[derive(Debug)]
        pub(super) enum ColumnScratch {
            $($name(Scratch<$family>)),+
        }

        $(
            impl From<$family> for Column {
                fn from(family: $family) -> Self {
                    Self::$name(family)
                }
            }
        )+

        impl Column {
            /// `E[X]`, categories as their codes.
            pub fn mean(&self) -> f64 {
                match self {
                    $(Self::$name(family) => Univariate::mean(family)),+
                }
            }

            /// One draw as a cell of a table.
            pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
                match self {
                    $(Self::$name(family) => Univariate::sample(family, rng).to_f64()),+
                }
            }

            /// Refuses cells that are no observations; missing ones are NaN.
            pub(super) fn check(&self, cells: impl Iterator<Item = f64>) -> Result<(), DataError> {
                match self {
                    $(Self::$name(family) => check(family, cells)),+
                }
            }

            pub(super) fn new_stats(&self) -> ColumnStats {
                match self {
                    $(Self::$name(family) => ColumnStats::$name(family.new_stats())),+
                }
            }

            pub(super) fn expected_stats(&self, weight: f64) -> ColumnStats {
                match self {
                    $(Self::$name(family) => ColumnStats::$name(family.expected_stats(weight))),+
                }
            }

            pub(super) fn write_natural(&self, like: &ColumnStats, out: &mut Vec<f64>) -> bool {
                match (self, like) {
                    $((Self::$name(family), ColumnStats::$name(like)) => family.write_natural(like, out),)+
                    _ => panic!("{OTHER}"),
                }
            }

            pub(super) fn new_packed(&self, k: usize) -> PackedColumn {
                match self {
                    $(Self::$name(family) => PackedColumn::$name(Packed::new(family, k))),+
                }
            }

            pub(super) fn pack(&self, j: usize, packed: &mut PackedColumn) {
                match (self, packed) {
                    $((Self::$name(family), PackedColumn::$name(packed)) => {
                        Family::pack(family, j, &mut packed.inner);
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            pub(super) fn maximize(
                &self,
                stats: &ColumnStats,
                next: &mut Self,
            ) -> Result<Repairs, EstimateError> {
                match (self, stats, next) {
                    $((Self::$name(family), ColumnStats::$name(stats), Self::$name(next)) => {
                        family.maximize(stats, next)
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            pub(super) fn retreat(&self, next: &mut Self) -> bool {
                match (self, next) {
                    $((Self::$name(family), Self::$name(next)) => family.retreat(next),)+
                    _ => panic!("{OTHER}"),
                }
            }

            /// Moved to a cell; a missing one moves nothing.
            pub(super) fn moved_to(&self, cell: f64) -> Result<Self, EstimateError> {
                match self {
                    $(Self::$name(family) => {
                        match <$family as Univariate>::Value::from_f64(cell) {
                            Some(value) if !cell.is_nan() => {
                                family.moved_to(&[value], 0).map(Self::$name)
                            }
                            _ => Ok(self.clone()),
                        }
                    })+
                }
            }

            pub(super) fn free_parameters(&self) -> usize {
                match self {
                    $(Self::$name(family) => family.free_parameters(1)),+
                }
            }

            pub(super) fn relative_spread(&self, all: &ColumnStats) -> f64 {
                match (self, all) {
                    $((Self::$name(family), ColumnStats::$name(all)) => family.relative_spread(all),)+
                    _ => panic!("{OTHER}"),
                }
            }

            /// The name of the family, as it stands in files.
            pub fn family(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name)),+
                }
            }
        }

        impl FlatParameters for Column {
            fn write_unconstrained(&self, out: &mut Vec<f64>) {
                match self {
                    $(Self::$name(family) => family.write_unconstrained(out)),+
                }
            }

            fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
                match self {
                    $(Self::$name(family) => Self::$name(family.with_unconstrained(from))),+
                }
            }

            fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64)) {
                match self {
                    $(Self::$name(family) => family.for_each_parameter(see)),+
                }
            }
        }

        impl Statistics for ColumnStats {
            fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
                match self {
                    $(Self::$name(stats) => stats.visit(see)),+
                }
            }

            fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
                match self {
                    $(Self::$name(stats) => stats.visit_mut(see)),+
                }
            }

            fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
                match self {
                    $(Self::$name(stats) => stats.visit_origin(see)),+
                }
            }

            fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
                match self {
                    $(Self::$name(stats) => stats.visit_origin_mut(see)),+
                }
            }

            fn axpy(&mut self, factor: f64, other: &Self) {
                match (self, other) {
                    $((Self::$name(stats), Self::$name(other)) => stats.axpy(factor, other),)+
                    _ => panic!("{OTHER}"),
                }
            }

            fn align(&mut self, like: &Self) {
                match (self, like) {
                    $((Self::$name(stats), Self::$name(like)) => stats.align(like),)+
                    _ => panic!("{OTHER}"),
                }
            }
        }

        impl PackedColumn {
            pub(super) fn new_scratch(&self) -> ColumnScratch {
                match self {
                    $(Self::$name(packed) => ColumnScratch::$name(packed.new_scratch())),+
                }
            }

            pub(super) fn add_scores(
                &self,
                cells: &[f64],
                out: &mut MatrixMut<'_>,
                buffer: &mut [f64],
                scratch: &mut ColumnScratch,
            ) {
                match (self, scratch) {
                    $((Self::$name(packed), ColumnScratch::$name(scratch)) => {
                        packed.add_scores(cells, out, buffer, scratch);
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            pub(super) fn observe(
                &self,
                cells: &[f64],
                weights: Matrix<'_>,
                buffer: &mut [f64],
                scratch: &mut ColumnScratch,
            ) {
                match (self, scratch) {
                    $((Self::$name(packed), ColumnScratch::$name(scratch)) => {
                        packed.observe(cells, weights, buffer, scratch);
                    })+
                    _ => panic!("{OTHER}"),
                }
            }

            /// Hands what was observed to the statistics that `of` gives for each component.
            pub(super) fn finish<'s>(
                &self,
                scratch: &mut ColumnScratch,
                all: impl Iterator<Item = &'s mut ColumnStats>,
            ) {
                match (self, scratch) {
                    $((Self::$name(packed), ColumnScratch::$name(scratch)) => {
                        let mut all = all;
                        packed.finish(scratch, |new| match all.next() {
                            Some(ColumnStats::$name(stats)) => stats.merge(new),
                            _ => panic!("{OTHER}"),
                        });
                    })+
                    _ => panic!("{OTHER}"),
                }
            }
        }
    };
}

columns! {
    /// A number on the real line.
    Gaussian(Gaussian),
    /// A number on the real line, with heavy tails.
    StudentT(StudentT),
    /// A number on the real line, with a peak.
    Laplace(Laplace),
    /// A number in a known range.
    Uniform(Uniform),
    /// An angle, in radians.
    VonMises(VonMises),
    /// A positive number.
    Exponential(Exponential),
    /// A positive number.
    Gamma(Gamma),
    /// A positive number.
    InverseGamma(InverseGamma),
    /// A positive number.
    LogNormal(LogNormal),
    /// A positive number.
    Weibull(Weibull),
    /// A number between 0 and 1.
    Beta(Beta),
    /// A truth value, 0 or 1.
    Bernoulli(Bernoulli),
    /// A number of successes among a known number of trials.
    Binomial(Binomial),
    /// The same, overdispersed.
    BetaBinomial(BetaBinomial),
    /// A number of failures before the first success.
    Geometric(Geometric),
    /// A count.
    Poisson(Poisson),
    /// A count, overdispersed.
    NegativeBinomial(NegativeBinomial),
    /// A count with extra zeros.
    ZeroInflatedPoisson(ZeroInflated<Poisson>),
    /// A category code.
    Categorical(Categorical),
}

/// Components of one table have the same families in the same columns.
const OTHER: &str = "a column of another family";
