//! Independent columns of different families: mixed-type rows.

mod column;
mod prior;

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, DataError, Draw, EstimateError, Family, FlatParameters, Matrix,
    MatrixMut, OwnedRows, Repairs, Rows,
};
use rand::Rng;

pub use column::{Column, ColumnStats};
use column::{ColumnScratch, PackedColumn};
pub use prior::{ColumnPrior, IndependentPrior};

use crate::ParameterError;

/// A product of univariate distributions, one for each column of a table: `p(x) = Π_c p_c(x_c)`.
///
/// Each column has its own family: counts beside categories beside measurements. Cells are `f64`: a count is a whole
/// number, a category its code, a truth value 0 or 1. NaN is a missing cell in any column: it scores 0 and is not
/// observed, so that rows with gaps count with what they have.
///
/// As a mixture component this is the model of latent class and latent profile analysis: columns are independent given
/// the class.
///
/// ```
/// use elbo_core::{Family, Rows, fit_single};
/// use elbo_dist::{Categorical, Gaussian, Independent, Poisson};
///
/// let start = Independent::new(vec![
///     Gaussian::new(0.0, 1.0)?.into(),
///     Poisson::new(1.0)?.into(),
///     Categorical::uniform(3).into(),
/// ])?;
/// let table = [1.5, 2.0, 0.0, 2.5, f64::NAN, 2.0, 3.5, 4.0, 0.0];
/// let fit = fit_single(start, Rows::new(&table, 3, 3)).unwrap();
/// let mean: Vec<f64> = fit.params.columns().iter().map(|column| column.mean()).collect();
/// assert_eq!(mean[..2], [2.5, 3.0]);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// Cost of a block of `n` rows: that of its columns, and one copy of the block.
///
/// # Source
///
/// Lazarsfeld & Henry (1968), *Latent Structure Analysis*.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Independent {
    columns: Vec<Column>,
}

impl Independent {
    /// The product of these distributions, the first for the first column.
    ///
    /// # Errors
    ///
    /// [`ParameterError::Length`] if there is none.
    pub fn new(columns: Vec<Column>) -> Result<Self, ParameterError> {
        if columns.is_empty() {
            return Err(ParameterError::Length { parameter: "columns", expected: 1, found: 0 });
        }
        Ok(Self { columns })
    }

    /// The distribution of each column.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.columns.len()
    }

    /// One draw, written over `out`.
    ///
    /// # Panics
    ///
    /// If `out` has not one place for each column.
    pub fn sample_into<R: Rng + ?Sized>(&self, rng: &mut R, out: &mut [f64]) {
        assert_eq!(out.len(), self.d(), "a row has {} values", self.d());
        for (cell, column) in out.iter_mut().zip(&self.columns) {
            *cell = column.sample(rng);
        }
    }

    /// Every column on its own, pairing `self` with the same column of `next`.
    fn each_column(
        &self,
        stats: &[ColumnStats],
        next: &mut Self,
        step: impl Fn(&Column, &ColumnStats, &mut Column) -> Result<Repairs, EstimateError>,
    ) -> Result<Repairs, EstimateError> {
        let mut repairs = Repairs::default();
        let columns = self.columns.iter().zip(stats).zip(&mut next.columns);
        for (place, ((column, stats), next)) in columns.enumerate() {
            let done = step(column, stats, next).map_err(|error| in_column(error, place))?;
            repairs.merge(done);
        }
        Ok(repairs)
    }
}

/// The packed columns of `k` products.
#[derive(Clone, Debug)]
pub struct IndependentPacked {
    k: usize,
    columns: Vec<PackedColumn>,
}

impl IndependentPacked {
    fn column_mut(&mut self, column: usize) -> &mut PackedColumn {
        &mut self.columns[column]
    }
}

/// One worker's room: a column of a block, the scores or weights of one column, and what each family needs.
#[derive(Debug)]
pub struct IndependentScratch {
    cells: Vec<f64>,
    buffer: Vec<f64>,
    columns: Vec<ColumnScratch>,
}

impl Family for Independent {
    type Batch<'a> = Rows<'a>;
    type Stats = Vec<ColumnStats>;
    type Packed = IndependentPacked;
    type Scratch = IndependentScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        if data.d() != self.d() {
            return Err(DataError::Dimension { expected: self.d(), found: data.d() });
        }
        for (place, column) in self.columns.iter().enumerate() {
            let cells = (0..data.len()).map(|row| data.get(row, place));
            column.check(cells).map_err(|error| error.placed(|row| row, |_| place))?;
        }
        Ok(())
    }

    fn new_stats(&self) -> Vec<ColumnStats> {
        self.columns.iter().map(Column::new_stats).collect()
    }

    fn new_packed(&self, k: usize) -> IndependentPacked {
        let columns = self.columns.iter().map(|column| column.new_packed(k)).collect();
        IndependentPacked { k, columns }
    }

    fn new_scratch(packed: &IndependentPacked) -> IndependentScratch {
        IndependentScratch {
            cells: vec![0.0; BLOCK],
            buffer: vec![0.0; packed.k * BLOCK_STRIDE],
            columns: packed.columns.iter().map(PackedColumn::new_scratch).collect(),
        }
    }

    fn pack(&self, j: usize, packed: &mut IndependentPacked) {
        for (column, packed) in self.columns.iter().zip(&mut packed.columns) {
            column.pack(j, packed);
        }
    }

    fn score_all(
        packed: &IndependentPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut IndependentScratch,
    ) {
        for j in 0..packed.k {
            out.row_mut(j).fill(0.0);
        }
        let IndependentScratch { cells, buffer, columns } = scratch;
        for (place, (column, scratch)) in packed.columns.iter().zip(columns).enumerate() {
            let cells = gather(data, place, cells);
            column.add_scores(cells, &mut out, buffer, scratch);
        }
    }

    fn observe_all(
        packed: &IndependentPacked,
        stats: &mut [Vec<ColumnStats>],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut IndependentScratch,
    ) {
        debug_assert_eq!(stats.len(), packed.k);
        let IndependentScratch { cells, buffer, columns } = scratch;
        for (place, (column, scratch)) in packed.columns.iter().zip(columns).enumerate() {
            let cells = gather(data, place, cells);
            column.observe(cells, weights, buffer, scratch);
        }
    }

    fn finish(
        packed: &IndependentPacked,
        stats: &mut [Vec<ColumnStats>],
        scratch: &mut IndependentScratch,
    ) {
        for (place, column) in packed.columns.iter().enumerate() {
            let all = stats.iter_mut().map(|stats| &mut stats[place]);
            column.finish(&mut scratch.columns[place], all);
        }
    }

    fn maximize(
        &self,
        stats: &Vec<ColumnStats>,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        self.each_column(stats, next, Column::maximize)
    }

    fn retreat(&self, next: &mut Self) -> bool {
        let pairs = self.columns.iter().zip(&mut next.columns);
        pairs.fold(false, |any, (column, next)| column.retreat(next) || any)
    }

    fn expected_stats(&self, weight: f64) -> Vec<ColumnStats> {
        self.columns.iter().map(|column| column.expected_stats(weight)).collect()
    }

    fn write_natural(&self, like: &Vec<ColumnStats>, out: &mut Vec<f64>) -> bool {
        self.columns.iter().zip(like).all(|(column, like)| column.write_natural(like, out))
    }

    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        let moved = |(place, column): (usize, &Column)| {
            column.moved_to(data.get(row, place)).map_err(|error| in_column(error, place))
        };
        let columns = self.columns.iter().enumerate().map(moved).collect::<Result<_, _>>()?;
        Ok(Self { columns })
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * self.columns.iter().map(Column::free_parameters).sum::<usize>()
    }

    fn relative_spread(&self, all: &Vec<ColumnStats>) -> f64 {
        let columns = self.columns.iter().zip(all);
        columns.map(|(column, all)| column.relative_spread(all)).fold(1.0, f64::min)
    }
}

impl Draw for Independent {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        OwnedRows::new(self.d())
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        for row in drawn.grow(n).chunks_exact_mut(self.d()) {
            self.sample_into(rng, row);
        }
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}

impl FlatParameters for Independent {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        self.columns.iter().for_each(|column| column.write_unconstrained(out));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self {
            columns: self.columns.iter().map(|column| column.with_unconstrained(from)).collect(),
        }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64)) {
        for (place, column) in self.columns.iter().enumerate() {
            column.for_each_parameter(&mut |name, value| {
                see(&format!("column {place} {name}"), value);
            });
        }
    }
}

/// Copies a column of a block.
fn gather<'s>(data: Rows<'_>, column: usize, cells: &'s mut [f64]) -> &'s [f64] {
    let cells = &mut cells[..data.len()];
    for (row, cell) in cells.iter_mut().enumerate() {
        *cell = data.get(row, column);
    }
    cells
}

/// The same error, telling the column where it can.
fn in_column(error: EstimateError, place: usize) -> EstimateError {
    match error {
        EstimateError::Singular { component, variance, .. } => {
            EstimateError::Singular { component, column: place, variance }
        }
        other => other,
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    columns: Vec<Column>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Independent {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.columns)
    }
}
