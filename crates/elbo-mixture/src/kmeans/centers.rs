//! Fitted centers, and how they were found.

use elbo_core::{BLOCK, Batch, DataError, Report, Rows, Runs, map_in_order};
use elbo_linalg::Number;

use super::{
    model::{KMeansScratch, PlacedRows},
    packed::Frame,
    params::KMeansParams,
};

/// Rows that one task labels.
const PIECE: usize = 32 * BLOCK;

/// `k` centers in `d` columns: what k-means finds.
///
/// ```
/// use elbo_mixture::{Centers, Rows};
///
/// let centers = Centers::new(vec![0.0, 0.0, 10.0, 10.0], 2)?;
/// assert_eq!(centers.predict(Rows::new(&[1.0, 2.0, 9.0, 7.0], 2, 2))?, [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Vec<Vec<f64>>", into = "Vec<Vec<f64>>")
)]
pub struct Centers {
    values: Vec<f64>,
    d: usize,
}

/// Why numbers are no centers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CentersError {
    /// There is none, or no column.
    #[error("there are no centers; give at least one, with at least one column")]
    Empty,
    /// They have not all the same number of columns.
    #[error("center {center} has {found} columns, the first has {expected}; give all the same")]
    Ragged {
        /// Which center.
        center: usize,
        /// Its columns.
        found: usize,
        /// Columns of the first.
        expected: usize,
    },
    /// A coordinate is NaN or infinite.
    #[error("center {center} is {value} in column {column}; give a number")]
    NotFinite {
        /// Which center.
        center: usize,
        /// Which column.
        column: usize,
        /// The value.
        value: f64,
    },
}

impl Centers {
    /// Centers of `d` columns, one after the other.
    ///
    /// # Errors
    ///
    /// [`CentersError`] if there are none, a last one is incomplete, or a number is not finite.
    pub fn new(values: Vec<f64>, d: usize) -> Result<Self, CentersError> {
        if d == 0 || values.is_empty() {
            return Err(CentersError::Empty);
        }
        let found = values.len() % d;
        if found > 0 {
            return Err(CentersError::Ragged { center: values.len() / d, found, expected: d });
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let (center, column, value) = (at / d, at % d, values[at]);
            return Err(CentersError::NotFinite { center, column, value });
        }
        Ok(Self { values, d })
    }

    /// Number of centers.
    pub fn k(&self) -> usize {
        self.values.len() / self.d
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.d
    }

    /// Center `j`.
    ///
    /// # Panics
    ///
    /// If there is no such center.
    pub fn center(&self, j: usize) -> &[f64] {
        &self.values[j * self.d..][..self.d]
    }

    /// All centers, `k × d`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same centers in another order: first the one that `order` names first.
    ///
    /// # Panics
    ///
    /// If `order` names a center that is not there.
    #[must_use]
    pub fn reordered(&self, order: &[usize]) -> Self {
        Self { values: order.iter().flat_map(|j| self.center(*j)).copied().collect(), d: self.d }
    }

    /// The nearest center of every row, the first of equals. Cost: `n·k·d` multiply-adds, on the current pool.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the rows have another width, or hold NaN or infinite values.
    pub fn predict<T: Number>(&self, rows: Rows<'_, T>) -> Result<Vec<usize>, DataError> {
        self.check(rows)?;
        let params = self.params::<T>(rows.len());
        let pieces = map_in_order(rows.len().div_ceil(PIECE), |piece| {
            let mut scratch = KMeansScratch::new(0, self.d, 0);
            let last = rows.len().min((piece + 1) * PIECE);
            let mut labels = Vec::with_capacity(PIECE);
            for first in (piece * PIECE..last).step_by(BLOCK) {
                let block = rows.slice(first..last.min(first + BLOCK));
                labels.extend(scratch.nearest(&params, block).iter().map(|label| *label as usize));
            }
            labels
        });
        Ok(pieces.concat())
    }

    /// Squared distance of every row to its nearest center, with the label of that: `(label, ‖x − c‖²)`.
    ///
    /// # Errors
    ///
    /// As [`predict`](Self::predict).
    pub fn nearest<T: Number>(&self, rows: Rows<'_, T>) -> Result<Vec<(usize, f64)>, DataError> {
        let labels = self.predict(rows)?;
        let squares = labels.into_iter().enumerate().map(|(i, label)| {
            let difference = |(j, c): (usize, &f64)| Into::<f64>::into(rows.get(i, j)) - c;
            let terms = self.center(label).iter().enumerate().map(difference);
            (label, terms.map(|x| x * x).sum())
        });
        Ok(squares.collect())
    }

    fn check<T: Number>(&self, rows: Rows<'_, T>) -> Result<(), DataError> {
        if rows.d() != self.d {
            return Err(DataError::Dimension { expected: self.d, found: rows.d() });
        }
        rows.check_finite()
    }

    /// Packed about their own middle.
    fn params<T: Number>(&self, rows: usize) -> KMeansParams<T> {
        let (k, d) = (self.k() as f64, self.d);
        let middle: Vec<f64> =
            (0..d).map(|j| self.values.iter().skip(j).step_by(d).map(|x| x / k).sum()).collect();
        let variance = self
            .values
            .iter()
            .enumerate()
            .map(|(i, x)| (x - middle[i % d]) * (x - middle[i % d]))
            .sum::<f64>()
            / (k * d as f64);
        KMeansParams::new(&self.values, Frame::new(&middle, variance), rows, None)
    }
}

impl TryFrom<Vec<Vec<f64>>> for Centers {
    type Error = CentersError;

    fn try_from(centers: Vec<Vec<f64>>) -> Result<Self, CentersError> {
        let expected = centers.first().ok_or(CentersError::Empty)?.len();
        if let Some(center) = centers.iter().position(|center| center.len() != expected) {
            let found = centers[center].len();
            return Err(CentersError::Ragged { center, found, expected });
        }
        Self::new(centers.concat(), expected)
    }
}

impl From<Centers> for Vec<Vec<f64>> {
    fn from(centers: Centers) -> Self {
        centers.values.chunks_exact(centers.d).map(<[f64]>::to_vec).collect()
    }
}

/// Fitted centers and how they were found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FittedKMeans {
    /// The centers of the run with the least inertia.
    pub centers: Centers,
    /// `Σᵢ wᵢ ‖xᵢ − c‖²` to the nearest centers, in the squared unit of the data.
    pub inertia: f64,
    /// Total weight of the rows of each center. Zero where a center has none: see [`empty`](Self::empty).
    pub sizes: Vec<f64>,
    /// The share of each center in the inertia.
    pub scatters: Vec<f64>,
    /// The report of the run; its objective is `−inertia / 2v`, with `v` the variance of the data per column.
    pub report: Report,
    /// How every run ended.
    pub runs: Runs,
}

impl FittedKMeans {
    /// Puts the centers in the order of their sizes, the largest first; equals stay in their order.
    pub fn sort_by_size(&mut self) {
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.sort_by(|a, b| self.sizes[*b].total_cmp(&self.sizes[*a]));
        self.centers = self.centers.reordered(&order);
        self.sizes = order.iter().map(|j| self.sizes[*j]).collect();
        self.scatters = order.iter().map(|j| self.scatters[*j]).collect();
    }

    /// Centers that no row is nearest to. There are some only where rows run out of distinct values, or where a run ended
    /// before one could be moved.
    pub fn empty(&self) -> Vec<usize> {
        (0..self.sizes.len()).filter(|j| self.sizes[*j] <= 0.0).collect()
    }
}

/// Rows from the first on.
pub(super) fn placed<'a, T: Number>(
    rows: elbo_core::Weighted<'a, Rows<'a, T>>,
) -> PlacedRows<'a, T> {
    PlacedRows { rows, first: 0 }
}
