//! One hierarchy of partitions, a start for every number of components.

use std::fmt;

use elbo_core::{Batch, DataError, Rows, Weighted, mix};
use elbo_linalg::{cholesky_relative, solve_lower_in_place, weighted_mean_and_scatter};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Rows that are agglomerated at most; of more, as many are drawn.
const MOST_ROWS: usize = 1000;

/// Clusters of so many rows and one for each column, on average, are large enough to have a shape of their own.
const ROWS_WITH_SHAPE: usize = 2;

/// The number of clusters whose width the smallest ones are smoothed to.
const NARROWEST: f64 = 8.0;

/// A tree of clusters, built from single rows by joining, again and again, the two whose union costs the least likelihood.
///
/// One hierarchy starts mixtures of every number of components and every covariance structure: see
/// [`GaussianMixture::hierarchical`](crate::GaussianMixture::hierarchical). It involves no random numbers up to 1000 rows; of
/// more, 1000 are drawn.
///
/// In coordinates in which all rows have unit covariance, clusters are spheres of one size (Ward 1963) until they hold some
/// rows each, then ellipsoids of their own (Fraley 1998): cluster `A` of weight `w` and scatter `W` counts `w·ln det((W + λI)/w)`,
/// where `λ = 8^(−2/d)` smooths the small ones.
///
/// Cost: `O(m²·d)` for `m` rows joined into spheres, and `O((m/(d + 2))²·d³)` for the rest; memory `O(m·d²)`.
///
/// ```
/// use elbo_mixture::{Hierarchy, Rows};
///
/// let data = [0.0, 5.0, 0.1, 5.2, 9.0, 0.2];
/// let hierarchy = Hierarchy::of(Rows::new(&data, 6, 1).into())?;
/// assert_eq!(hierarchy.labels(3), [0, 1, 0, 1, 2, 0]);
/// # Ok::<(), elbo_mixture::DataError>(())
/// ```
#[derive(Clone)]
pub struct Hierarchy {
    /// The rows that were agglomerated, in order.
    rows: Vec<usize>,
    /// What was joined to what, in order, by the first row of each.
    joins: Vec<(usize, usize)>,
}

impl fmt::Debug for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hierarchy").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Hierarchy {
    /// Agglomerates rows of positive weight.
    ///
    /// # Errors
    ///
    /// [`DataError`] for NaN and infinite values, or where no row has weight.
    pub fn of(data: Weighted<'_, Rows<'_>>) -> Result<Self, DataError> {
        let units = data.units();
        units.check_finite()?;
        let rows = chosen(data);
        if rows.is_empty() {
            return Err(DataError::Empty);
        }
        let (points, weights) = white(data, &rows)?;
        let mut forest = Forest::new(&points, &weights, units.d());
        let spheres = rows.len() / (units.d() + ROWS_WITH_SHAPE);
        forest.join_until(spheres.max(1), Forest::spheres);
        forest.join_until(1, Forest::ellipsoids);
        Ok(Self { rows, joins: forest.joins })
    }

    /// The rows that were agglomerated, in order: all that have weight, unless there are more than 1000.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The cluster of each of [`rows`](Self::rows) among `k`, numbered in the order of their first rows; fewer clusters where
    /// there are fewer rows.
    ///
    /// # Panics
    ///
    /// If `k = 0`.
    pub fn labels(&self, k: usize) -> Vec<usize> {
        assert!(k > 0, "a partition has a part");
        let n = self.rows.len();
        let mut parent: Vec<usize> = (0..n).collect();
        for (kept, gone) in &self.joins[..n.saturating_sub(k)] {
            parent[*gone] = *kept; // a cluster goes by its first row, so that parents come first
        }
        let (mut labels, mut next) = (vec![0; n], 0);
        for i in 0..n {
            labels[i] = if parent[i] == i {
                next += 1;
                next - 1
            } else {
                labels[parent[i]]
            };
        }
        labels
    }
}

/// The rows to agglomerate.
fn chosen(data: Weighted<'_, Rows<'_>>) -> Vec<usize> {
    let counts = |i: &usize| data.weights().is_none_or(|weights| weights[*i] > 0.0);
    let mut rows: Vec<usize> = (0..data.len()).filter(counts).collect();
    if rows.len() > MOST_ROWS {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(0, rows.len() as u64));
        for place in 0..MOST_ROWS {
            let other = rng.random_range(place..rows.len());
            rows.swap(place, other);
        }
        rows.truncate(MOST_ROWS);
        rows.sort_unstable();
    }
    rows
}

/// These rows in coordinates of unit covariance, and their weights. Columns that depend on others are scaled by themselves.
fn white(data: Weighted<'_, Rows<'_>>, rows: &[usize]) -> Result<(Vec<f64>, Vec<f64>), DataError> {
    let d = data.units().d();
    let weights: Vec<f64> =
        rows.iter().map(|row| data.weights().map_or(1.0, |weights| weights[*row])).collect();
    let mut points = vec![0.0; rows.len() * d];
    for (row, point) in rows.iter().zip(points.chunks_exact_mut(d)) {
        data.units().copy_row(*row, point);
    }
    let view = elbo_linalg::Rows::row_major(&points, d);
    let moments = weighted_mean_and_scatter(view, &weights).map_err(|_| DataError::Empty)?;
    let mut factor: Vec<f64> = moments.scatter.iter().map(|s| s / moments.total_weight).collect();
    let scales: Vec<f64> = (0..d).map(|j| factor[j * d + j].sqrt()).collect();
    let depends = cholesky_relative(&mut factor, d, 1e-10).is_err();
    for point in points.chunks_exact_mut(d) {
        point.iter_mut().zip(&moments.mean).for_each(|(x, mean)| *x -= mean);
        if depends {
            let scaled =
                |(x, scale): (&mut f64, &f64)| *x = if *scale > 0.0 { *x / scale } else { 0.0 };
            point.iter_mut().zip(&scales).for_each(scaled);
        } else {
            solve_lower_in_place(&factor, d, point);
        }
    }
    Ok((points, weights))
}

/// Clusters that are left, each with the cheapest join.
struct Forest {
    d: usize,
    /// Row by row; those of clusters that are gone are not looked at.
    weights: Vec<f64>,
    means: Vec<f64>,
    /// Lower triangles, row by row.
    scatters: Vec<f64>,
    /// What each cluster by itself counts, where clusters have shapes.
    costs: Vec<f64>,
    /// The clusters that are left, by their first rows, in order.
    left: Vec<usize>,
    nearest: Vec<(f64, usize)>,
    joins: Vec<(usize, usize)>,
    scratch: Vec<f64>,
}

impl Forest {
    fn new(points: &[f64], weights: &[f64], d: usize) -> Self {
        let (n, triangle) = (weights.len(), d * (d + 1) / 2);
        Self {
            d,
            weights: weights.to_vec(),
            means: points.to_vec(),
            scatters: vec![0.0; n * triangle],
            costs: vec![0.0; n],
            left: (0..n).collect(),
            nearest: vec![(f64::INFINITY, 0); n],
            joins: Vec::with_capacity(n),
            scratch: vec![0.0; triangle],
        }
    }

    /// Joins the cheapest pair until so many clusters are left.
    fn join_until(&mut self, k: usize, price: fn(&mut Self, usize, usize) -> f64) {
        for i in self.left.clone() {
            let triangle = self.scratch.len();
            self.scratch.copy_from_slice(&self.scatters[i * triangle..][..triangle]);
            self.costs[i] = self.cost_of_scratch(self.weights[i]);
        }
        for i in self.left.clone() {
            self.find_nearest(i, price);
        }
        while self.left.len() > k {
            let cheapest =
                |a: &&usize, b: &&usize| self.nearest[**a].0.total_cmp(&self.nearest[**b].0);
            let Some(&one) = self.left.iter().min_by(cheapest) else { break };
            let other = self.nearest[one].1;
            let (kept, gone) = (one.min(other), one.max(other));
            self.join(kept, gone);
            self.left.retain(|i| *i != gone);
            self.nearest[kept] = (f64::INFINITY, kept);
            for place in 0..self.left.len() {
                let i = self.left[place];
                if i == kept {
                    continue;
                }
                let price_of_join = price(self, kept, i);
                if price_of_join < self.nearest[kept].0 {
                    self.nearest[kept] = (price_of_join, i);
                }
                let (before, partner) = self.nearest[i];
                if price_of_join < before {
                    self.nearest[i] = (price_of_join, kept);
                } else if partner == kept || partner == gone {
                    self.find_nearest(i, price);
                }
            }
        }
    }

    fn find_nearest(&mut self, i: usize, price: fn(&mut Self, usize, usize) -> f64) {
        let mut nearest = (f64::INFINITY, i);
        for place in 0..self.left.len() {
            let j = self.left[place];
            if j != i {
                let price = price(self, i, j);
                if price < nearest.0 {
                    nearest = (price, j);
                }
            }
        }
        self.nearest[i] = nearest;
    }

    fn mean(&self, i: usize) -> &[f64] {
        &self.means[i * self.d..][..self.d]
    }

    /// By how much a join raises the sum of squares.
    fn spheres(&mut self, i: usize, j: usize) -> f64 {
        let (one, other) = (self.weights[i], self.weights[j]);
        let squares = self.mean(i).iter().zip(self.mean(j)).map(|(a, b)| (a - b) * (a - b));
        one * other / (one + other) * squares.sum::<f64>()
    }

    /// By how much a join raises the sum of `w·ln det((W + λI)/w)`.
    fn ellipsoids(&mut self, i: usize, j: usize) -> f64 {
        self.add_into_scratch(i, j);
        self.cost_of_scratch(self.weights[i] + self.weights[j]) - self.costs[i] - self.costs[j]
    }

    /// The scatter of a union.
    fn add_into_scratch(&mut self, i: usize, j: usize) {
        let (d, triangle) = (self.d, self.scratch.len());
        let (one, other) = (self.weights[i], self.weights[j]);
        let share = one * other / (one + other);
        let (a, b) = (&self.means[i * d..][..d], &self.means[j * d..][..d]);
        let mut place = 0;
        for row in 0..d {
            for column in 0..=row {
                self.scratch[place] = self.scatters[i * triangle + place]
                    + self.scatters[j * triangle + place]
                    + share * (a[row] - b[row]) * (a[column] - b[column]);
                place += 1;
            }
        }
    }

    /// `w·ln det((W + λI)/w)` of the scatter in scratch, which is overwritten by its factor.
    fn cost_of_scratch(&mut self, weight: f64) -> f64 {
        let (d, smooth) = (self.d, NARROWEST.powf(-2.0 / self.d as f64));
        let a = &mut self.scratch;
        let mut log_det = -(d as f64) * weight.ln();
        for row in 0..d {
            let first = row * (row + 1) / 2;
            for column in 0..=row {
                let other = column * (column + 1) / 2;
                let done: f64 = (0..column).map(|l| a[first + l] * a[other + l]).sum();
                let rest = a[first + column] - done;
                if column < row {
                    a[first + column] = rest / a[other + column];
                } else {
                    let pivot = (rest + smooth).max(smooth);
                    log_det += pivot.ln();
                    a[first + column] = pivot.sqrt();
                }
            }
        }
        weight * log_det
    }

    fn join(&mut self, kept: usize, gone: usize) {
        let (d, triangle) = (self.d, self.scratch.len());
        self.add_into_scratch(kept, gone);
        self.scatters[kept * triangle..][..triangle].copy_from_slice(&self.scratch);
        let share = self.weights[gone] / (self.weights[kept] + self.weights[gone]);
        for j in 0..d {
            let step = self.means[gone * d + j] - self.means[kept * d + j];
            self.means[kept * d + j] += share * step;
        }
        self.weights[kept] += self.weights[gone];
        self.costs[kept] = self.cost_of_scratch(self.weights[kept]);
        self.joins.push((kept, gone));
    }
}
