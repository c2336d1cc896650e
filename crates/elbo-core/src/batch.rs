//! Data as the core sees it: something with a length that can be cut into ranges.

use std::ops::Range;

use crate::{DataError, Label};

/// A borrowed set of independent data units that can be cut without a copy: rows, sequences, documents.
pub trait Batch: Copy + Send + Sync {
    /// Number of units.
    fn len(&self) -> usize;

    /// The units `range`, sharing the same memory.
    #[must_use]
    fn slice(&self, range: Range<usize>) -> Self;

    /// Is there no unit at all?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Total weight of the units in observations: what "per observation" divides by. A sequence counts its steps,
    /// weighted data their weights.
    fn observations(&self) -> f64 {
        self.len() as f64
    }

    /// The least number of units that is worth a task of its own; 1024 for rows, less for heavier units.
    fn grain(&self) -> usize {
        1024
    }
}

impl<T: Sync> Batch for &[T] {
    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    fn slice(&self, range: Range<usize>) -> Self {
        &self[range]
    }
}

/// Dense rows, `n × d`, borrowed with any non-negative strides, so that row-major, column-major and sub-matrix
/// views all come in without a copy. Numbers are stored as `f64` unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T = f64> {
    data: &'a [T],
    n: usize,
    d: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Copy> Rows<'a, T> {
    /// Rows stored one after the other: `data[i·d + j]` is column `j` of row `i`.
    ///
    /// # Panics
    ///
    /// If `data.len() ≠ n·d` or `d = 0`.
    pub fn new(data: &'a [T], n: usize, d: usize) -> Self {
        assert!(d > 0 && data.len() == n * d, "{} values are not {n} × {d}", data.len());
        Self { data, n, d, row_stride: d, column_stride: 1 }
    }

    /// Columns stored one after the other: `data[j·n + i]` is column `j` of row `i`.
    ///
    /// # Panics
    ///
    /// If `data.len() ≠ n·d` or `d = 0`.
    pub fn column_major(data: &'a [T], n: usize, d: usize) -> Self {
        assert!(d > 0 && data.len() == n * d, "{} values are not {n} × {d}", data.len());
        Self { data, n, d, row_stride: 1, column_stride: n.max(1) }
    }

    /// The general view: column `j` of row `i` is `data[i·row_stride + j·column_stride]`.
    ///
    /// # Panics
    ///
    /// If `d = 0`, or a row or column would reach beyond `data`.
    pub fn with_strides(
        data: &'a [T],
        n: usize,
        d: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Self {
        assert!(d > 0, "rows need at least one column");
        let last = n.saturating_sub(1) * row_stride + (d - 1) * column_stride;
        assert!(
            n == 0 || last < data.len(),
            "{n} × {d} rows with strides {row_stride}, {column_stride} need {} values, not {}",
            last + 1,
            data.len()
        );
        Self { data, n, d, row_stride, column_stride }
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Column `j` of row `i`.
    ///
    /// # Panics
    ///
    /// If `i` or `j` is out of range.
    pub fn get(&self, i: usize, j: usize) -> T {
        assert!(i < self.n && j < self.d, "({i}, {j}) is outside {} × {}", self.n, self.d);
        self.data[i * self.row_stride + j * self.column_stride]
    }

    /// Copies row `i` to `out`.
    ///
    /// # Panics
    ///
    /// If `out` is not `d` long.
    pub fn copy_row(&self, i: usize, out: &mut [T]) {
        assert_eq!(out.len(), self.d, "a row has {} values", self.d);
        for (j, x) in out.iter_mut().enumerate() {
            *x = self.get(i, j);
        }
    }

    /// The raw view: storage, row stride, column stride.
    pub fn raw(&self) -> (&'a [T], usize, usize) {
        (self.data, self.row_stride, self.column_stride)
    }

    /// Does every value fit? Fast where rows lie one after the other.
    ///
    /// ```
    /// let rows = elbo_core::Rows::new(&[1.0, 2.0, 3.0, f64::NAN], 2, 2);
    /// assert!(!rows.all(f64::is_finite) && rows.all(|x| !x.is_infinite()));
    /// ```
    pub fn all(&self, fits: impl Fn(f64) -> bool) -> bool
    where
        T: Into<f64>,
    {
        if self.column_stride == 1 && self.row_stride == self.d {
            // whole chunks without a branch, so that the loop runs on vectors of numbers
            let numbers = &self.data[..self.n * self.d];
            return numbers
                .chunks(1024)
                .all(|chunk| chunk.iter().fold(true, |all, x| all & fits((*x).into())));
        }
        let at = |row: usize, column: usize| row * self.row_stride + column * self.column_stride;
        (0..self.n).all(|i| (0..self.d).all(|j| fits(self.data[at(i, j)].into())))
    }

    /// The first value that is NaN or infinite, as an error that names its row and column.
    ///
    /// # Errors
    ///
    /// [`DataError::NotFinite`].
    pub fn check_finite(&self) -> Result<(), DataError>
    where
        T: Into<f64>,
    {
        self.check(f64::is_finite)
    }

    /// The first value that is infinite, as an error that names its row and column; NaN stands for a missing one.
    ///
    /// # Errors
    ///
    /// [`DataError::NotFinite`].
    pub fn check_finite_or_missing(&self) -> Result<(), DataError>
    where
        T: Into<f64>,
    {
        self.check(|x| !x.is_infinite())
    }

    fn check(&self, fits: impl Fn(f64) -> bool) -> Result<(), DataError>
    where
        T: Into<f64>,
    {
        if self.all(&fits) {
            return Ok(());
        }
        for row in 0..self.n {
            for column in 0..self.d {
                let value: f64 =
                    self.data[row * self.row_stride + column * self.column_stride].into();
                if !fits(value) {
                    return Err(DataError::NotFinite { row, column, value });
                }
            }
        }
        Ok(())
    }
}

impl<T: Copy + Send + Sync> Batch for Rows<'_, T> {
    fn len(&self) -> usize {
        self.n
    }

    fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.n,
            "{range:?} is outside {} rows",
            self.n
        );
        let data = if range.is_empty() { &[] } else { &self.data[range.start * self.row_stride..] };
        Self { data, n: range.len(), ..*self }
    }
}

/// Dense rows that own themselves, one after the other: what families of rows draw.
///
/// ```
/// use elbo_core::{Batch, OwnedRows};
///
/// let mut drawn = OwnedRows::new(2);
/// drawn.push(&[1.0, 2.0]);
/// assert_eq!((drawn.rows().len(), drawn.rows().get(0, 1)), (1, 2.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedRows {
    data: Vec<f64>,
    d: usize,
}

impl OwnedRows {
    /// No row yet, of `d` columns.
    ///
    /// # Panics
    ///
    /// If `d = 0`.
    pub fn new(d: usize) -> Self {
        assert!(d > 0, "rows need at least one column");
        Self { data: Vec::new(), d }
    }

    /// Appends a row.
    ///
    /// # Panics
    ///
    /// If it has not `d` values.
    pub fn push(&mut self, row: &[f64]) {
        assert_eq!(row.len(), self.d, "a row has {} values", self.d);
        self.data.extend_from_slice(row);
    }

    /// Appends `n` rows of zeros and shows their values, row by row, to be written over.
    pub fn grow(&mut self, n: usize) -> &mut [f64] {
        let old = self.data.len();
        if self.data.capacity() == 0 {
            self.data = vec![0.0; n * self.d]; // pages that are zero already need not be written twice
        }
        self.data.resize(old + n * self.d, 0.0);
        &mut self.data[old..]
    }

    /// The rows as batches are.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(&self.data, self.data.len() / self.d, self.d)
    }

    /// All values, row by row.
    pub fn data(&self) -> &[f64] {
        &self.data
    }
}

/// Units with optional non-negative weights, a unit of weight 2 counting as if it had been seen twice, and with what is
/// known of their components, if anything is.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'w, B> {
    units: B,
    weights: Option<&'w [f64]>,
    labels: Option<&'w [Label]>,
}

impl<'w, B: Batch> Weighted<'w, B> {
    /// Every unit counts once.
    pub fn uniform(units: B) -> Self {
        Self { units, weights: None, labels: None }
    }

    /// Unit `i` counts `weights[i]` times; fractions are welcome.
    ///
    /// # Errors
    ///
    /// [`DataError::Weights`] if there is not one weight per unit, [`DataError::Weight`] if one is negative or
    /// not finite, or none is positive.
    pub fn new(units: B, weights: &'w [f64]) -> Result<Self, DataError> {
        Self::uniform(units).with_weights(Some(weights))
    }

    /// The same with weights that there may be.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn of(units: B, weights: Option<&'w [f64]>) -> Result<Self, DataError> {
        Self::uniform(units).with_weights(weights)
    }

    /// The same units and labels with these weights, or with each unit counting once.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_weights(self, weights: Option<&'w [f64]>) -> Result<Self, DataError> {
        if let Some(weights) = weights {
            check_weights(weights, self.units.len())?;
        }
        Ok(Self { weights, ..self })
    }

    /// The same units and weights; unit `i` comes from a component that `labels[i]` allows. Whether a model has such
    /// components is asked when it meets the data.
    ///
    /// # Errors
    ///
    /// [`DataError::Unpaired`] if there is not one label per unit.
    pub fn with_labels(self, labels: &'w [Label]) -> Result<Self, DataError> {
        check_labels(labels, self.units.len())?;
        Ok(Self { labels: Some(labels), ..self })
    }

    /// Part of what was checked as a whole; its weights may all be zero.
    pub(crate) fn checked(
        units: B,
        weights: Option<&'w [f64]>,
        labels: Option<&'w [Label]>,
    ) -> Self {
        Self { units, weights, labels }
    }

    /// The units.
    pub fn units(&self) -> B {
        self.units
    }

    /// The weights, or `None` where every unit counts once.
    pub fn weights(&self) -> Option<&'w [f64]> {
        self.weights
    }

    /// The labels, or `None` where nothing is known of any unit.
    pub fn labels(&self) -> Option<&'w [Label]> {
        self.labels
    }

    /// Has every unit that counts a possible component among `k`? For [`LatentModel::check`](crate::LatentModel::check).
    ///
    /// # Errors
    ///
    /// [`DataError::Label`], naming the first that has not.
    pub fn check_labels(&self, k: usize) -> Result<(), DataError> {
        let counts = |row: usize| self.weights.is_none_or(|weights| weights[row] > 0.0);
        let bad = |(row, label): &(usize, &Label)| !label.allows_any(k) && counts(*row);
        match self.labels.into_iter().flatten().enumerate().find(bad) {
            None => Ok(()),
            Some((row, label)) => Err(DataError::Label { row, label: *label, components: k }),
        }
    }
}

/// Fails unless there is one label for each of `units` units.
pub(crate) fn check_labels(labels: &[Label], units: usize) -> Result<(), DataError> {
    if labels.len() == units {
        return Ok(());
    }
    let (of, with) = ("labels", "observations");
    Err(DataError::Unpaired { of, left: labels.len(), with, right: units })
}

/// Fails unless these are weights of `units` units.
pub(crate) fn check_weights(weights: &[f64], units: usize) -> Result<(), DataError> {
    if weights.len() != units {
        return Err(DataError::Weights { units, weights: weights.len() });
    }
    if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(DataError::Weight { row, weight: weights[row] });
    }
    if !weights.is_empty() && weights.iter().all(|w| *w == 0.0) {
        return Err(DataError::Weight { row: 0, weight: 0.0 });
    }
    Ok(())
}

impl<B: Batch> From<B> for Weighted<'_, B> {
    fn from(units: B) -> Self {
        Self::uniform(units)
    }
}

impl<B: Batch> Batch for Weighted<'_, B> {
    fn len(&self) -> usize {
        self.units.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self {
            units: self.units.slice(range.clone()),
            weights: self.weights.map(|w| &w[range.clone()]),
            labels: self.labels.map(|labels| &labels[range]),
        }
    }

    fn observations(&self) -> f64 {
        self.weights.map_or_else(|| self.units.observations(), |w| w.iter().sum())
    }

    fn grain(&self) -> usize {
        self.units.grain()
    }
}

/// Two views of the same units, side by side: covariates and responses, say.
///
/// The length is that of the first; a model that takes pairs checks that both are equally long.
impl<A: Batch, B: Batch> Batch for (A, B) {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn slice(&self, range: Range<usize>) -> Self {
        (self.0.slice(range.clone()), self.1.slice(range))
    }

    fn observations(&self) -> f64 {
        self.0.observations()
    }

    fn grain(&self) -> usize {
        self.0.grain().min(self.1.grain())
    }
}

/// A read-only block of numbers, `rows × columns`, each row contiguous.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f64],
    rows: usize,
    columns: usize,
    stride: usize,
}

/// The same block for change. In an E-step row `j` belongs to component `j` and column `i` to observation `i`.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f64],
    rows: usize,
    columns: usize,
    stride: usize,
}

fn check_block(len: usize, rows: usize, columns: usize, stride: usize) {
    assert!(
        columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= len),
        "{len} values are no {rows} × {columns} block with stride {stride}"
    );
}

impl<'a> Matrix<'a> {
    /// A view of `rows × columns` whose row `j` starts at `data[j·stride]`.
    ///
    /// # Panics
    ///
    /// If a row would overlap the next one or reach beyond `data`.
    pub fn new(data: &'a [f64], rows: usize, columns: usize, stride: usize) -> Self {
        check_block(data.len(), rows, columns, stride);
        Self { data, rows, columns, stride }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `j`.
    pub fn row(&self, j: usize) -> &'a [f64] {
        &self.data[j * self.stride..][..self.columns]
    }

    /// The storage and its stride.
    pub fn raw(&self) -> (&'a [f64], usize) {
        (self.data, self.stride)
    }
}

impl<'a> MatrixMut<'a> {
    /// A view of `rows × columns` whose row `j` starts at `data[j·stride]`.
    ///
    /// # Panics
    ///
    /// If a row would overlap the next one or reach beyond `data`.
    pub fn new(data: &'a mut [f64], rows: usize, columns: usize, stride: usize) -> Self {
        check_block(data.len(), rows, columns, stride);
        Self { data, rows, columns, stride }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `j`.
    pub fn row_mut(&mut self, j: usize) -> &mut [f64] {
        &mut self.data[j * self.stride..][..self.columns]
    }

    /// The same block, read-only.
    pub fn as_matrix(&self) -> Matrix<'_> {
        Matrix { data: self.data, rows: self.rows, columns: self.columns, stride: self.stride }
    }

    /// A shorter-lived copy of this view.
    pub fn reborrow(&mut self) -> MatrixMut<'_> {
        MatrixMut { data: self.data, rows: self.rows, columns: self.columns, stride: self.stride }
    }

    /// The storage and its stride.
    pub fn raw_mut(&mut self) -> (&mut [f64], usize) {
        (self.data, self.stride)
    }
}
