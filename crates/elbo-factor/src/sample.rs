//! What factor models without missing values see of data: their number, mean and covariance.

use std::ops::Range;

use elbo_core::{Batch, DataError, Rows, Weighted, map_in_order};
use elbo_linalg::{add_cross_product_lower, mirror_lower};

/// Rows that are centered and multiplied at a time.
const BLOCK: usize = 512;

/// Number, mean and covariance of observations: all that a Gaussian model with complete data sees of them.
///
/// A sample is made from rows, read once at `n d²` flops, or from a covariance or correlation matrix of which only `n` is
/// known besides. Models take it as their single unit of data.
///
/// ```
/// use elbo_factor::{Rows, Sample};
///
/// let sample = Sample::of_rows(Rows::new(&[1.0, 2.0, 3.0, 6.0], 2, 2).into())?;
/// assert_eq!((sample.mean(), sample.covariance()), (&[2.0, 4.0][..], &[1.0, 2.0, 2.0, 4.0][..]));
/// let same = Sample::of_covariance(&[1.0, 2.0, 2.0, 4.0], 2, 2.0)?;
/// assert_eq!(same.n(), 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    n: f64,
    mean: Vec<f64>,
    covariance: Vec<f64>,
}

impl Sample {
    /// Reads rows, with or without weights.
    ///
    /// Moments are taken about the mean of the first rows and moved to the mean of all, so that data far from zero cost no
    /// digits and rows are read once. Needs a block of 512 rows and, for each of the pieces that run side by side (one for
    /// every `4d` rows, at most 16), a `d × d` matrix beside the data. The same bits come out on any number of threads.
    ///
    /// # Errors
    ///
    /// [`DataError::Empty`] without rows, [`DataError::NotFinite`] for the first value that is NaN or infinite.
    pub fn of_rows(data: Weighted<'_, Rows<'_>>) -> Result<Self, DataError> {
        let rows = data.units();
        let (n, d) = (rows.len(), rows.d());
        if n == 0 {
            return Err(DataError::Empty);
        }
        let origin = rough_mean(rows);
        if origin.iter().any(|x| !x.is_finite()) {
            rows.check_finite()?;
        }
        let pieces = (n / (4 * d)).clamp(1, 16);
        let border = |piece: usize| n * piece / pieces;
        let mut parts = map_in_order(pieces, |piece| {
            Sums::of(data.slice(border(piece)..border(piece + 1)), &origin)
        })
        .into_iter();
        let mut sums = parts.next().expect("at least one piece");
        parts.for_each(|part| sums.merge(&part));
        if !sums.is_finite() {
            rows.check_finite()?;
        }
        Ok(sums.finish(&origin))
    }

    /// The sample of rows with means in place of missing values, where to start from, and the weight of each column's values.
    /// Not finite where a value is infinite.
    ///
    /// # Errors
    ///
    /// A column that is never observed is a constant one at NaN.
    pub(crate) fn with_means(data: Weighted<'_, Rows<'_>>) -> Result<(Self, Vec<f64>), DataError> {
        let rows = data.units();
        let (n, d) = (rows.len(), rows.d());
        let (mut origin, mut found) = (vec![0.0; d], vec![0.0; d]);
        let mut row = vec![0.0; d];
        for i in 0..n {
            copy_row(rows, i, &mut row);
            let weight = data.weights().map_or(1.0, |weights| weights[i]);
            for (j, x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan() && weight > 0.0) {
                found[j] += weight;
                origin[j] += (x - origin[j]) * (weight / found[j]);
            }
        }
        if let Some(column) = found.iter().position(|weight| *weight == 0.0) {
            return Err(DataError::ConstantColumn { column, value: f64::NAN });
        }
        let mut sums = Sums::empty(d);
        let mut block = vec![0.0; BLOCK.min(n) * d];
        for start in (0..n).step_by(BLOCK) {
            let part = data.slice(start..n.min(start + BLOCK));
            let block = &mut block[..part.len() * d];
            for (i, row) in block.chunks_exact_mut(d).enumerate() {
                copy_row(part.units(), i, row);
                row.iter_mut().zip(&origin).filter(|(x, _)| x.is_nan()).for_each(|(x, m)| *x = *m);
            }
            let filled = block.to_vec();
            let rows = Rows::new(&filled, part.len(), d);
            sums.add_rows(rows, part.weights(), &origin, block);
        }
        Ok((sums.finish(&origin), found))
    }

    /// A sample of `n` observations with this maximum-likelihood covariance or correlation matrix (sums divided by `n`),
    /// `d × d`, row-major, and mean zero.
    ///
    /// # Errors
    ///
    /// [`SampleError`] if a number is not finite, the matrix is not symmetric, has a negative variance or correlations
    /// beyond one, or `n` is not a number of observations.
    ///
    /// # Panics
    ///
    /// If `covariance` is not `d × d` or `d` is zero.
    pub fn of_covariance(covariance: &[f64], d: usize, n: f64) -> Result<Self, SampleError> {
        assert!(
            d > 0 && covariance.len() == d * d,
            "{} numbers are not {d} × {d}",
            covariance.len()
        );
        if !(n.is_finite() && n > 0.0) {
            return Err(SampleError::Observations { n });
        }
        for i in 0..d {
            for j in 0..=i {
                let (value, other) = (covariance[i * d + j], covariance[j * d + i]);
                let bound = (covariance[i * d + i] * covariance[j * d + j]).sqrt();
                let place = |what| SampleError::Entry { row: i, column: j, value, what };
                if !value.is_finite() {
                    return Err(place("a finite number"));
                }
                if i == j && value < 0.0 {
                    return Err(place("a variance"));
                }
                if (value - other).abs() > 1e-10 * bound {
                    return Err(place("equal to the entry across the diagonal"));
                }
                if value.abs() > bound * (1.0 + 1e-10) {
                    return Err(place("at most the product of the standard deviations"));
                }
            }
        }
        let mut covariance = covariance.to_vec();
        mirror_lower(&mut covariance, d);
        Ok(Self { n, mean: vec![0.0; d], covariance })
    }

    /// Number of observations, or their total weight.
    pub fn n(&self) -> f64 {
        self.n
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// The mean, in the unit of the data.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance, sums divided by `n`, `d × d`, row-major, in the squared unit.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// Variance of column `j`.
    pub fn variance(&self, j: usize) -> f64 {
        self.covariance[j * (self.d() + 1)]
    }

    /// The sample of the same data with every column centered and in units of its standard deviation.
    ///
    /// # Errors
    ///
    /// [`DataError::ConstantColumn`].
    pub fn standardized(&self) -> Result<Self, DataError> {
        self.check_variances()?;
        let d = self.d();
        let scale: Vec<f64> = (0..d).map(|j| self.variance(j).sqrt().recip()).collect();
        let mut correlation = self.covariance.clone();
        for (i, row) in correlation.chunks_exact_mut(d).enumerate() {
            row.iter_mut().zip(&scale).for_each(|(r, s)| *r *= s * scale[i]);
            row[i] = 1.0;
        }
        Ok(Self { n: self.n, mean: vec![0.0; d], covariance: correlation })
    }

    /// Fails where a column never varies.
    pub(crate) fn check_variances(&self) -> Result<(), DataError> {
        match (0..self.d()).find(|j| self.variance(*j) <= 0.0) {
            None => Ok(()),
            Some(column) => Err(DataError::ConstantColumn { column, value: self.mean[column] }),
        }
    }
}

/// A sample as models take it: one unit, which counts as all its observations.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a>(Option<&'a Sample>);

impl<'a> Whole<'a> {
    /// This sample.
    pub fn new(sample: &'a Sample) -> Self {
        Self(Some(sample))
    }

    pub(crate) fn sample(self) -> Option<&'a Sample> {
        self.0
    }
}

impl Batch for Whole<'_> {
    fn len(&self) -> usize {
        usize::from(self.0.is_some())
    }

    fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.len(), "{range:?} of a single sample");
        Self(self.0.filter(|_| !range.is_empty()))
    }

    fn observations(&self) -> f64 {
        self.0.map_or(0.0, Sample::n)
    }

    fn grain(&self) -> usize {
        1
    }
}

/// Why a matrix is not the covariance of a sample.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// An entry that cannot be.
    #[error("entry ({row}, {column}) of the covariance is {value}, which is not {what}")]
    Entry {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The entry.
        value: f64,
        /// What it should be.
        what: &'static str,
    },
    /// Not a number of observations.
    #[error("a sample of {n} observations; give the number of rows behind the covariance")]
    Observations {
        /// What was given.
        n: f64,
    },
}

/// Mean of the first rows, without weights: an origin for moments.
fn rough_mean(rows: Rows<'_>) -> Vec<f64> {
    let (n, mut sum, mut row) = (rows.len().min(256), vec![0.0; rows.d()], vec![0.0; rows.d()]);
    for i in 0..n {
        rows.copy_row(i, &mut row);
        elbo_core::add_scaled(&mut sum, 1.0 / n as f64, &row);
    }
    sum
}

/// Moments about an origin.
struct Sums {
    weight: f64,
    first: Vec<f64>,
    /// `d × d`, lower triangle.
    second: Vec<f64>,
}

impl Sums {
    fn of(data: Weighted<'_, Rows<'_>>, origin: &[f64]) -> Self {
        let (n, d) = (data.len(), origin.len());
        let mut sums = Self::empty(d);
        let mut block = vec![0.0; BLOCK.min(n) * d];
        for start in (0..n).step_by(BLOCK) {
            let part = data.slice(start..n.min(start + BLOCK));
            let block = &mut block[..part.len() * d];
            sums.add_rows(part.units(), part.weights(), origin, block);
        }
        sums
    }

    fn empty(d: usize) -> Self {
        Self { weight: 0.0, first: vec![0.0; d], second: vec![0.0; d * d] }
    }

    /// Adds as many rows as `block` has room for.
    fn add_rows(
        &mut self,
        rows: Rows<'_>,
        weights: Option<&[f64]>,
        origin: &[f64],
        block: &mut [f64],
    ) {
        let d = origin.len();
        for (i, row) in block.chunks_exact_mut(d).enumerate() {
            copy_row(rows, i, row);
            let weight = weights.map_or(1.0, |weights| weights[i]);
            if weight == 0.0 {
                row.fill(0.0);
                continue;
            }
            self.weight += weight;
            for ((x, c), sum) in row.iter_mut().zip(origin).zip(&mut self.first) {
                *x -= c;
                *sum += weight * *x;
            }
            if weights.is_some() {
                let root = weight.sqrt();
                row.iter_mut().for_each(|x| *x *= root);
            }
        }
        add_cross_product_lower(block, d, &mut self.second);
    }

    fn merge(&mut self, other: &Self) {
        self.weight += other.weight;
        elbo_core::add_scaled(&mut self.first, 1.0, &other.first);
        elbo_core::add_scaled(&mut self.second, 1.0, &other.second);
    }

    fn is_finite(&self) -> bool {
        self.first.iter().all(|x| x.is_finite())
    }

    /// The sample about its own mean. What rounding leaves of a constant column's variance is none.
    fn finish(self, origin: &[f64]) -> Sample {
        let Self { weight: n, first, mut second } = self;
        let d = origin.len();
        let shift: Vec<f64> = first.iter().map(|sum| sum / n).collect();
        for i in 0..d {
            let row = &mut second[i * d..][..=i];
            let square = row[i] / n;
            row.iter_mut().zip(&shift).for_each(|(s, m)| *s = *s / n - shift[i] * m);
            // the sums carry some thousand roundings of their terms
            let noise = 1024.0 * f64::EPSILON * square;
            let digits = (4.0 * f64::EPSILON * origin[i]).powi(2);
            if row[i] <= noise.max(digits) {
                row.fill(0.0);
            }
        }
        let flat: Vec<bool> = (0..d).map(|i| second[i * (d + 1)] == 0.0).collect();
        for i in 0..d {
            for j in (0..i).filter(|j| flat[*j]) {
                second[i * d + j] = 0.0;
            }
        }
        mirror_lower(&mut second, d);
        let mean = origin.iter().zip(&shift).map(|(c, m)| c + m).collect();
        Sample { n, mean, covariance: second }
    }
}

fn copy_row(rows: Rows<'_>, i: usize, out: &mut [f64]) {
    let (data, row_stride, column_stride) = rows.raw();
    if column_stride == 1 {
        out.copy_from_slice(&data[i * row_stride..][..out.len()]);
    } else {
        rows.copy_row(i, out);
    }
}
