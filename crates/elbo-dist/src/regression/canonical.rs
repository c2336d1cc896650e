//! Regressions with a canonical link: logistic and Poisson.

use std::{fmt, marker::PhantomData};

use elbo_core::{
    Batch, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Rows, take_front,
};
use elbo_linalg::Level;

use super::irls::{Derivatives, Limits, Observe, RegressionStats};
use super::{
    plane::{Columns, Plane},
    ridge::Ridge,
};
use crate::ParameterError;

/// A kind of response whose log-likelihood is `y η − A(η)` plus what no parameter touches. Sealed: [`Logistic`] and
/// [`LogLinear`].
///
/// [`Logistic`]: crate::Logistic
/// [`LogLinear`]: crate::LogLinear
pub trait CanonicalLink:
    sealed::Link + Copy + fmt::Debug + Default + PartialEq + Send + Sync + 'static
{
}

pub(super) mod sealed {
    use super::Limits;

    /// What a block of rows needs of a link. `y` are responses as numbers.
    pub trait Link {
        /// Is there a quadratic lower bound that touches the log-likelihood everywhere?
        const HAS_BOUND: bool;

        /// One response.
        type Response: Copy + std::fmt::Debug + Send + Sync + 'static;

        /// The response as a number.
        fn number(response: Self::Response) -> f64;

        /// What does not depend on parameters: `−ln y!` of a count.
        fn base(response: Self::Response) -> f64;

        /// `A′(η)` and `A″(η)`.
        fn moments(eta: f64) -> (f64, f64);

        /// Overwrites linear predictors by log-likelihoods without their base.
        fn scores(eta: &mut [f64], y: &[f64], room: &mut [f64]);

        /// `y − A′(η)`, `A″(η)` and the curvature of the bound.
        fn derivatives(
            eta: &[f64],
            y: &[f64],
            slope: &mut [f64],
            curvature: &mut [f64],
            bound: &mut [f64],
        );

        /// By how much the sign of `η` is that of the response; `−∞` where that has no meaning.
        fn margin(eta: f64, y: f64) -> f64;

        /// Where the likelihood has no maximum.
        fn limits() -> Limits;
    }
}

/// A regression with a canonical link: `η = b + β·x`, plus an offset where there is one. See
/// [`LogisticRegression`](crate::LogisticRegression) and [`PoissonRegression`](crate::PoissonRegression).
///
/// An observation is a row of covariates with its response. The function is kept as `v + β·(x − c)` about a center `c`
/// among the data. With an [offset](Self::with_offset), the last column of the covariates is added to `η` as it is.
///
/// # Estimates
///
/// The statistics hold gradient and curvature at the current coefficients, so an EM step is one step of iteratively
/// reweighted least squares: Newton's, shortened to `ln(1 + R)/R` of its length, where no linear predictor changes by
/// more than `R`. The log-likelihood never falls, since third derivatives of these log-likelihoods are bounded by second
/// ones; and convergence is quadratic, since `R` goes to zero with the step. For logistic responses the step of the
/// quadratic lower bound of Jaakkola and Jordan (the EM step of Pólya-Gamma augmentation) is taken instead where that
/// promises more, as it does far from the maximum; for counts, one factor for all rates.
/// [`fit_single`](elbo_core::fit_single) iterates; in a mixture one step per EM step is enough.
///
/// Constant or collinear covariates are [`EstimateError::Singular`] with their column. So is a start so far off that all
/// curvature comes from a few rows: linear predictors should not be wrong by 30 more at some rows than at others.
///
/// A likelihood without a maximum is [`EstimateError::Boundary`] once it shows: at once where no response differs from zero, and as soon as one
/// set of coefficients separates the two classes of a logistic regression. Where only some coefficients run off (a
/// covariate that is different from zero only where counts are zero), gains vanish before anything shows, and the fit
/// stops at large coefficients.
///
/// Cost per row and component: `p` multiplications and an exponential for a score, `p²` for the statistics.
///
/// # Source
///
/// Nelder & Wedderburn (1972), J. R. Stat. Soc. A 135(3); the length of steps: Sun & Tran-Dinh (2019),
/// Math. Program. 178; the bound: Jaakkola & Jordan (2000), Stat. Comput. 10(1).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(bound = "L: CanonicalLink", into = "Parameters", try_from = "Parameters")
)]
pub struct CanonicalRegression<L> {
    plane: Plane,
    has_intercept: bool,
    has_offset: bool,
    link: PhantomData<fn() -> L>,
}

impl<L: CanonicalLink> CanonicalRegression<L> {
    /// `η = intercept + coefficients · x`.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if there is no coefficient, or a number is not finite.
    pub fn new(intercept: f64, coefficients: Vec<f64>) -> Result<Self, ParameterError> {
        Self::centered(vec![0.0; coefficients.len()], intercept, coefficients)
    }

    /// `η = value + coefficients · (x − center)`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and for lengths that differ.
    pub fn centered(
        center: Vec<f64>,
        value: f64,
        coefficients: Vec<f64>,
    ) -> Result<Self, ParameterError> {
        let plane = Plane::new(center, vec![value], coefficients)?;
        Ok(Self { plane, has_intercept: true, has_offset: false, link: PhantomData })
    }

    /// `η = coefficients · x`. Estimates have no intercept, either.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_intercept(coefficients: Vec<f64>) -> Result<Self, ParameterError> {
        Ok(Self { has_intercept: false, ..Self::new(0.0, coefficients)? })
    }

    /// Takes the last column of the covariates, behind those that have a coefficient, for an offset: a known part of
    /// `η`. For rates per exposure it is the logarithm of the exposure.
    #[must_use]
    pub fn with_offset(self) -> Self {
        Self { has_offset: true, ..self }
    }

    /// Number of covariates that have a coefficient, `p`.
    pub fn covariates(&self) -> usize {
        self.plane.covariates()
    }

    /// Number of columns of the covariates: `p`, and one more with an offset.
    pub fn columns(&self) -> usize {
        self.covariates() + usize::from(self.has_offset)
    }

    /// Is the intercept a parameter, and not zero by definition?
    pub fn has_intercept(&self) -> bool {
        self.has_intercept
    }

    /// Is the last column an offset?
    pub fn has_offset(&self) -> bool {
        self.has_offset
    }

    /// `b`: the linear predictor where all covariates are zero.
    pub fn intercept(&self) -> f64 {
        self.plane.at(0, &vec![0.0; self.covariates()])
    }

    /// `β`, `p` numbers.
    pub fn coefficients(&self) -> &[f64] {
        &self.plane.slopes
    }

    /// `c`: where the function is anchored.
    pub fn center(&self) -> &[f64] {
        &self.plane.center
    }

    /// The linear predictor at the [`center`](Self::center).
    pub fn value_at_center(&self) -> f64 {
        self.plane.value[0]
    }

    /// `η`, the offset included.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns).
    pub fn linear_predictor(&self, x: &[f64]) -> f64 {
        assert_eq!(x.len(), self.columns(), "a point has one number per column");
        let (x, offset) = x.split_at(self.covariates());
        self.plane.at(0, x) + offset.iter().sum::<f64>()
    }

    /// The mean response at `x`: a probability, a rate.
    ///
    /// # Panics
    ///
    /// If `x` has not as many numbers as there are [`columns`](Self::columns).
    pub fn predict(&self, x: &[f64]) -> f64 {
        L::moments(self.linear_predictor(x)).0
    }

    /// One step of Newton's, with a prior or without.
    pub(super) fn step(
        stats: &RegressionStats,
        ridge: Option<&Ridge>,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.step(&L::limits(), ridge, &mut next.plane)?;
        Ok(Repairs::default())
    }

    /// `ln p(y ∣ x)` of a linear predictor.
    pub(super) fn log_probability_at(eta: f64, response: L::Response) -> f64 {
        let mut score = [eta];
        L::scores(&mut score, &[L::number(response)], &mut [0.0]);
        score[0] + L::base(response)
    }
}

/// `k` regressions as the kernels want them.
#[derive(Clone, Debug)]
pub struct RegressionPacked {
    planes: Vec<Plane>,
    has_intercept: bool,
    has_offset: bool,
}

/// What one worker needs to score and observe rows.
#[derive(Clone, Debug)]
pub struct RegressionScratch {
    x: Columns,
    z: Columns,
    wz: Columns,
    /// Columns: responses, their base, linear predictors, and room for four more.
    rows: Columns,
    level: Level,
}

/// Columns of [`RegressionScratch::rows`].
const Y: usize = 0;
const BASE: usize = 1;
const ETA: usize = 2;
const ROOM: usize = 3;

impl RegressionScratch {
    fn load<L: sealed::Link>(
        &mut self,
        x: Rows<'_>,
        y: impl ExactSizeIterator<Item = L::Response>,
    ) {
        self.x.load(x);
        let n = y.len();
        for (i, response) in y.enumerate() {
            self.rows.column_mut(Y, n)[i] = L::number(response);
            self.rows.column_mut(BASE, n)[i] = L::base(response);
        }
    }

    /// `η` of every row, into the column for it.
    fn predict(&mut self, plane: &Plane, has_offset: bool, n: usize) {
        let eta = self.rows.column_mut(ETA, n);
        eta.fill(plane.value[0]);
        for (a, (b, c)) in plane.slopes.iter().zip(&plane.center).enumerate() {
            for (eta, x) in eta.iter_mut().zip(self.x.column(a, n)) {
                *eta += b * (x - c);
            }
        }
        if has_offset {
            let offset = self.x.column(plane.covariates(), n);
            eta.iter_mut().zip(offset).for_each(|(eta, o)| *eta += o);
        }
    }
}

impl<L: CanonicalLink> Family for CanonicalRegression<L> {
    type Batch<'a> = (Rows<'a>, &'a [L::Response]);
    type Stats = RegressionStats;
    type Packed = RegressionPacked;
    type Scratch = RegressionScratch;

    fn check(&self, (x, y): (Rows<'_>, &[L::Response])) -> Result<(), DataError> {
        super::check_covariates(x, self.columns(), y.len())
    }

    fn new_stats(&self) -> RegressionStats {
        RegressionStats::new(self.plane.clone(), self.has_intercept, L::HAS_BOUND)
    }

    fn new_packed(&self, k: usize) -> RegressionPacked {
        let Self { plane, has_intercept, has_offset, .. } = self.clone();
        RegressionPacked { planes: vec![plane; k], has_intercept, has_offset }
    }

    fn new_scratch(packed: &RegressionPacked) -> RegressionScratch {
        let p = packed.planes.first().map_or(1, Plane::covariates);
        RegressionScratch {
            x: Columns::new(p + 1),
            z: Columns::new(p + 1),
            wz: Columns::new(p + 1),
            rows: Columns::new(ROOM + 4),
            level: Level::detect(),
        }
    }

    fn pack(&self, j: usize, packed: &mut RegressionPacked) {
        packed.planes[j].clone_from(&self.plane);
    }

    fn score_all(
        packed: &RegressionPacked,
        (x, y): (Rows<'_>, &[L::Response]),
        mut out: MatrixMut<'_>,
        scratch: &mut RegressionScratch,
    ) {
        let n = y.len();
        super::check_block(packed.planes.len(), (x.len(), n), out.rows(), out.columns());
        scratch.load::<L>(x, y.iter().copied());
        for (j, plane) in packed.planes.iter().enumerate() {
            scratch.predict(plane, packed.has_offset, n);
            let out = out.row_mut(j);
            out.copy_from_slice(scratch.rows.column(ETA, n));
            let [y, base, room] = scratch.rows.disjoint_mut([Y, BASE, ROOM], n);
            L::scores(out, y, room);
            out.iter_mut().zip(&*base).for_each(|(out, base)| *out += base);
        }
    }

    fn reset_all(packed: &RegressionPacked, stats: &mut [RegressionStats]) {
        for (stats, plane) in stats.iter_mut().zip(&packed.planes) {
            stats.reset(plane);
        }
    }

    fn observe_all(
        packed: &RegressionPacked,
        stats: &mut [RegressionStats],
        (x, y): (Rows<'_>, &[L::Response]),
        weights: Matrix<'_>,
        scratch: &mut RegressionScratch,
    ) {
        let n = y.len();
        super::check_block(stats.len(), (x.len(), n), weights.rows(), weights.columns());
        scratch.load::<L>(x, y.iter().copied());
        for (j, stats) in stats.iter_mut().enumerate() {
            let weights = weights.row(j);
            scratch.predict(stats.origin(), packed.has_offset, n);
            let center = &stats.origin().center;
            let RegressionScratch { x, z, .. } = &mut *scratch;
            super::center_columns(z, x, center, packed.has_intercept, weights);
            let RegressionScratch { z, wz, rows, level, .. } = scratch;
            let [y, eta, slope, curvature, bound] =
                rows.disjoint_mut([Y, ETA, ROOM, ROOM + 1, ROOM + 2], n);
            L::derivatives(eta, y, slope, curvature, bound);
            // With an offset, coefficients that classify by its help need not separate by themselves.
            let mut margin = if packed.has_offset { f64::NEG_INFINITY } else { f64::INFINITY };
            for (i, w) in weights.iter().enumerate() {
                if *w == 0.0 {
                    (slope[i], curvature[i], bound[i]) = (0.0, 0.0, 0.0);
                } else {
                    slope[i] *= w;
                    curvature[i] *= w;
                    bound[i] *= w;
                    margin = margin.min(L::margin(eta[i], y[i]));
                }
            }
            stats.count(weights, y, margin);
            let derivatives = Derivatives { slope, curvature, bound };
            level.dispatch(Observe { stats, derivatives, z, wz });
        }
    }

    fn maximize(&self, stats: &RegressionStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        Self::step(stats, None, next)
    }

    /// Gradient zero, and the curvature of covariates that are uncorrelated about the center with variance one.
    fn expected_stats(&self, weight: f64) -> RegressionStats {
        let (mean, curvature) = L::moments(self.plane.value[0]);
        let mut stats = self.new_stats();
        stats.fill_expected(weight, mean, curvature);
        stats
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * (self.covariates() + usize::from(self.has_intercept))
    }
}

/// The linear predictor at the center (with an intercept) and the coefficients. The center stays where it is; the
/// reported intercept is that at `x = 0`.
impl<L: CanonicalLink> FlatParameters for CanonicalRegression<L> {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        if self.has_intercept {
            out.push(self.plane.value[0]);
        }
        out.extend_from_slice(&self.plane.slopes);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let mut moved = self.clone();
        if self.has_intercept {
            moved.plane.value.copy_from_slice(take_front(from, 1));
        }
        moved.plane.slopes.copy_from_slice(take_front(from, self.covariates()));
        moved
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        if self.has_intercept {
            see("intercept", self.intercept(), Range::Real);
        }
        for (a, slope) in self.plane.slopes.iter().enumerate() {
            see(&format!("coefficient[{a}]"), *slope, Range::Real);
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    center: Vec<f64>,
    value_at_center: f64,
    coefficients: Vec<f64>,
    has_intercept: bool,
    has_offset: bool,
}

#[cfg(feature = "serde")]
impl<L> From<CanonicalRegression<L>> for Parameters {
    fn from(regression: CanonicalRegression<L>) -> Self {
        let Plane { center, value, slopes } = regression.plane;
        Self {
            center,
            value_at_center: value[0],
            coefficients: slopes,
            has_intercept: regression.has_intercept,
            has_offset: regression.has_offset,
        }
    }
}

#[cfg(feature = "serde")]
impl<L: CanonicalLink> TryFrom<Parameters> for CanonicalRegression<L> {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        let new = if p.has_intercept {
            Self::centered(p.center, p.value_at_center, p.coefficients)?
        } else {
            Self::without_intercept(p.coefficients)?
        };
        Ok(Self { has_offset: p.has_offset, ..new })
    }
}
