//! Distributions: how they score and absorb weighted batches.

use crate::{Batch, DataError, EstimateError, Matrix, MatrixMut, Repairs, Statistics};

/// Rows in a block: small enough that its scores for all components stay in cache.
pub const BLOCK: usize = 256;

/// Distance between two components' scores of one block. Not a power of two: `k` columns would share a few cache sets.
pub const BLOCK_STRIDE: usize = BLOCK + 8;

/// A distribution with weighted sufficient statistics. The same type is a mixture component and an HMM emission.
///
/// # One kernel for every estimator
///
/// Whether a component is a point (maximum likelihood, MAP) or a posterior (variational Bayes), a row is scored by
/// the same expression with other numbers in it. These numbers, for all `k` components at once, are the
/// [`Packed`](Self::Packed) form; [`score_all`](Self::score_all) and [`observe_all`](Self::observe_all) see nothing
/// else and so never know which of the three they serve. A point packs itself by [`pack`](Self::pack), a posterior by
/// [`ConjugatePrior::pack`](crate::ConjugatePrior::pack).
///
/// # The life of a chunk
///
/// Per chunk of data: [`reset_all`](Self::reset_all) on empty statistics, then for every block of at most [`BLOCK`]
/// rows `score_all`, the caller's responsibilities, `observe_all` with the same block; at last
/// [`finish`](Self::finish). A family may keep what it learns about a block between the two calls, and unfinished sums
/// until the end, in its [`Scratch`](Self::Scratch).
///
/// # Components that share parameters
///
/// All estimation is of `k` components together: a family whose components share a parameter (a tied covariance)
/// overrides [`maximize_all`](Self::maximize_all); others implement [`maximize`](Self::maximize) for one.
pub trait Family: Clone + Send + Sync {
    /// Borrowed observations.
    type Batch<'a>: Batch;
    /// Weighted sufficient statistics of one component.
    type Stats: Statistics;
    /// All `k` components as the kernels want them.
    type Packed: Clone + Send + Sync;
    /// What one worker needs to score and observe; made once, never per iteration.
    type Scratch: Send;

    /// Does [`observe_all`](Self::observe_all) rely on what [`score_all`](Self::score_all) left in the scratch about the same
    /// block? A model that keeps scores need not score again where it does not. True, unless a family says otherwise.
    const OBSERVES_WHAT_IT_SCORED: bool = true;

    /// Can these data be scored at all?
    ///
    /// # Errors
    ///
    /// The first value that cannot, by row and column.
    fn check(&self, data: Self::Batch<'_>) -> Result<(), DataError>;

    /// Can components that go together score these data? The first is asked for all, unless components differ in kind.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    fn check_all(points: &[Self], data: Self::Batch<'_>) -> Result<(), DataError> {
        points.first().map_or(Ok(()), |first| first.check(data))
    }

    /// Statistics of this component's shape with nothing observed.
    fn new_stats(&self) -> Self::Stats;

    /// Room for `k` components of this one's shape.
    fn new_packed(&self, k: usize) -> Self::Packed;

    /// Room for these components: of the first one's shape, unless components differ in kind.
    ///
    /// # Panics
    ///
    /// If there is none.
    fn new_packed_all(points: &[Self]) -> Self::Packed {
        points[0].new_packed(points.len())
    }

    /// Scratch for blocks of at most [`BLOCK`] rows.
    fn new_scratch(packed: &Self::Packed) -> Self::Scratch;

    /// Writes this distribution as component `j`.
    fn pack(&self, j: usize, packed: &mut Self::Packed);

    /// `out[j, i]` = score of row `i` under component `j`, in nats, for a block of at most [`BLOCK`] rows.
    fn score_all(
        packed: &Self::Packed,
        data: Self::Batch<'_>,
        out: MatrixMut<'_>,
        scratch: &mut Self::Scratch,
    );

    /// For a family that reads densities from a table: `rows[i·stride + j]` = density of row `i` under component `j`, not its
    /// logarithm, for a block as in [`score_all`](Self::score_all). What lies between the rows may be overwritten by zeros.
    ///
    /// False, `rows` being unspecified, where a density would underflow, and for every family that computes its scores, which is
    /// the rule.
    fn density_rows(
        packed: &Self::Packed,
        data: Self::Batch<'_>,
        rows: &mut [f64],
        stride: usize,
    ) -> bool {
        let _ = (packed, data, rows, stride);
        false
    }

    /// The same as [`observe_all`](Self::observe_all) with the weights of a row side by side, `weights[i·stride + j]`; numbers
    /// between the rows are zero. False, nothing being done, where a family does not offer it, which is the rule.
    fn observe_rows(
        packed: &Self::Packed,
        data: Self::Batch<'_>,
        weights: &[f64],
        stride: usize,
        scratch: &mut Self::Scratch,
    ) -> bool {
        let _ = (packed, data, weights, stride, scratch);
        false
    }

    /// [`score_all`](Self::score_all) for shares of a mixture with these weights, `ln πⱼ` or their expectations: a score may be
    /// `−∞` where `p(x ∣ θⱼ) < 2⁻⁶⁰ p(x)`, which no share and no sum over components can tell from what it is.
    ///
    /// For families that can bound a score for less than its price; the same as `score_all` unless overridden.
    fn score_relevant(
        packed: &Self::Packed,
        data: Self::Batch<'_>,
        log_weights: &[f64],
        out: MatrixMut<'_>,
        scratch: &mut Self::Scratch,
    ) {
        let _ = log_weights;
        Self::score_all(packed, data, out, scratch);
    }

    /// Empties the statistics and moves their origins, if they have any, to the packed components.
    fn reset_all(packed: &Self::Packed, stats: &mut [Self::Stats]) {
        let _ = packed;
        stats.iter_mut().for_each(Statistics::set_zero);
    }

    /// `stats[j] += Σᵢ weights[j, i] · t(xᵢ)`; what is not added yet is kept in the scratch until [`finish`](Self::finish).
    /// A weight of exactly zero changes nothing, whatever the row.
    fn observe_all(
        packed: &Self::Packed,
        stats: &mut [Self::Stats],
        data: Self::Batch<'_>,
        weights: Matrix<'_>,
        scratch: &mut Self::Scratch,
    );

    /// Ends a chunk: everything observed since the last call is in the statistics afterwards.
    fn finish(packed: &Self::Packed, stats: &mut [Self::Stats], scratch: &mut Self::Scratch) {
        let _ = (packed, stats, scratch);
    }

    /// Weighted maximum likelihood: overwrites `next`. `self` is where an iterative solver starts.
    ///
    /// # Errors
    ///
    /// Statistics outside the moment cone are rejected, never mended: extrapolation relies on it.
    fn maximize(&self, stats: &Self::Stats, next: &mut Self) -> Result<Repairs, EstimateError>;

    /// Maximum likelihood of all components together; one by one unless they share parameters.
    ///
    /// # Errors
    ///
    /// As [`maximize`](Self::maximize), naming the component.
    fn maximize_all(
        current: &[Self],
        stats: &[Self::Stats],
        next: &mut [Self],
    ) -> Result<Repairs, EstimateError> {
        let mut repairs = Repairs::default();
        for (j, (stats, next)) in stats.iter().zip(next).enumerate() {
            repairs.merge(current[j].maximize(stats, next).map_err(|e| e.at(j))?);
        }
        Ok(repairs)
    }

    /// Is what [`maximize`](Self::maximize) makes of `stats` the maximum of the likelihood itself, to rounding? Then a fit of
    /// this distribution alone ends with one step.
    ///
    /// True for an exponential family whose statistics lose no digits by where they were taken; false unless overridden.
    fn is_maximized_at_once(&self, stats: &Self::Stats) -> bool {
        let _ = stats;
        false
    }

    /// Moves `next`, the outcome of a `maximize` that turned out to lower the objective, halfway back to `self`; false
    /// where the M-step cannot overshoot, which is the rule.
    ///
    /// For families whose M-step is a Newton step and not the maximum of a lower bound: the way back must end in an
    /// ascent direction.
    fn retreat(&self, next: &mut Self) -> bool {
        let _ = next;
        false
    }

    /// The statistics of `weight` ideal observations, `weight · E[t(x)]`: `maximize` on them gives this distribution
    /// back. Starts of variational fits are made of it.
    fn expected_stats(&self, weight: f64) -> Self::Stats;

    /// Appends the natural parameters: the coefficients `η` with which the numbers of statistics, in the order of
    /// [`Statistics::visit`] and in the coordinates of `like`, enter the log-likelihood: `Σw ln p(x) = ⟨η, s⟩ +` what no
    /// parameter changes. False where the statistics have no such form, or it is not told, which is the rule; `out` is then
    /// unspecified.
    ///
    /// See [`LatentModel::write_natural`](crate::LatentModel::write_natural).
    fn write_natural(&self, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        let _ = (like, out);
        false
    }

    /// This distribution moved to observation `row`, its spread kept where it has one: the component that a start puts
    /// there. Unless overridden, halfway between this distribution and the observation, in mean parameters.
    ///
    /// # Errors
    ///
    /// As [`maximize`](Self::maximize).
    ///
    /// # Panics
    ///
    /// If there is no such row.
    fn moved_to(&self, data: Self::Batch<'_>, row: usize) -> Result<Self, EstimateError> {
        let mut stats = self.expected_stats(0.5);
        self.observe(&mut stats, data.slice(row..row + 1), &[0.5]);
        let mut moved = self.clone();
        self.maximize(&stats, &mut moved)?;
        Ok(moved)
    }

    /// Number of free parameters of `k` components like this one, shared ones counted once.
    fn free_parameters(&self, k: usize) -> usize;

    /// Number of free parameters of these components, shared ones counted once. As many like the first one, unless
    /// components differ in kind.
    fn free_parameters_all(points: &[Self]) -> usize {
        points.first().map_or(0, |first| first.free_parameters(points.len()))
    }

    /// Appearance of degeneracy: how near this component is to a point mass, judged against `all` the data's
    /// statistics: the smallest ratio over directions of its variance to theirs, or 1 where that has no meaning.
    fn relative_spread(&self, all: &Self::Stats) -> f64 {
        let _ = all;
        1.0
    }

    /// [`relative_spread`](Self::relative_spread) of each component against all data, given the statistics of each.
    fn relative_spreads(points: &[Self], stats: &[Self::Stats]) -> Vec<f64> {
        let Some((first, others)) = stats.split_first() else { return Vec::new() };
        let mut all = first.clone();
        for other in others {
            all.merge(other);
        }
        points.iter().map(|point| point.relative_spread(&all)).collect()
    }

    /// `out[i] = ln p(xᵢ)`, in nats. Allocates a packed form and a scratch: for one-off calls.
    ///
    /// # Panics
    ///
    /// If `out` is not as long as the data.
    fn log_density_into(&self, data: Self::Batch<'_>, out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log density per observation");
        let mut packed = self.new_packed(1);
        self.pack(0, &mut packed);
        score_single::<Self>(&packed, data, out);
    }

    /// Adds `Σᵢ weights[i] · t(xᵢ)` to the statistics. Allocates a packed form and a scratch: for one-off calls.
    ///
    /// # Panics
    ///
    /// If there is not one weight per observation.
    fn observe(&self, stats: &mut Self::Stats, data: Self::Batch<'_>, weights: &[f64]) {
        assert_eq!(weights.len(), data.len(), "one weight per observation");
        let mut packed = self.new_packed(1);
        self.pack(0, &mut packed);
        let mut scratch = Self::new_scratch(&packed);
        let stats = std::slice::from_mut(stats);
        for start in (0..data.len()).step_by(BLOCK) {
            let end = data.len().min(start + BLOCK);
            let weights = Matrix::new(&weights[start..end], 1, end - start, end - start);
            Self::observe_all(&packed, stats, data.slice(start..end), weights, &mut scratch);
        }
        Self::finish(&packed, stats, &mut scratch);
    }
}

/// Appends the natural parameters of all components, in the coordinates of their statistics `like`; false if one does not
/// tell. See [`Family::write_natural`].
pub fn write_natural_all<F: Family>(points: &[F], like: &[F::Stats], out: &mut Vec<f64>) -> bool {
    points.iter().zip(like).all(|(point, like)| point.write_natural(like, out))
}

/// Scores all rows of `data` under the only component of `packed`, block by block.
pub(crate) fn score_single<F: Family>(packed: &F::Packed, data: F::Batch<'_>, out: &mut [f64]) {
    let mut scratch = F::new_scratch(packed);
    for start in (0..data.len()).step_by(BLOCK) {
        let end = data.len().min(start + BLOCK);
        let out = MatrixMut::new(&mut out[start..end], 1, end - start, end - start);
        F::score_all(packed, data.slice(start..end), out, &mut scratch);
    }
}
