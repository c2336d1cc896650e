//! Linear regression with Gaussian errors.

mod flat;
mod kernels;
mod maximize;
#[cfg(feature = "serde")]
mod parameters;
mod stats;

use std::f64::consts::TAU;

use elbo_core::{BLOCK, Batch, DataError, EstimateError, Family, Matrix, MatrixMut, Repairs, Rows};
use elbo_linalg::{Level, extreme_eigenvalues};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::plane::{Columns, LANES, Plane};
use crate::{
    CovarianceStructure, ParameterError,
    multivariate_gaussian::{parse_spd, spd::Spd},
};
use kernels::{Observe, Packed, Score};
pub use stats::LinearGaussianStats;

/// Linear regression with Gaussian errors: `y ∣ x ∼ N(b + B x, Σ)` with `p` covariates and `q` responses.
///
/// An observation is a pair of rows, covariates and responses; the density is that of the responses given the
/// covariates, `ln p(y ∣ x) = −½ [q ln 2π + ln |Σ| + rᵀ Σ⁻¹ r]` with the residual `r = y − b − B x`. A mixture of these
/// is a mixture of regressions, as emissions they make switching regressions.
///
/// `B` is in units of the responses per unit of the covariate, `b` in those of the responses, and `Σ` in their squares.
/// Maximum likelihood divides by `n`. The function is kept as `v + B (x − c)` about a center `c` among the data, the
/// mean of the covariates once it is estimated, so that neither estimates nor scores suffer from data far from zero.
///
/// # Data
///
/// Infinite numbers, and NaN among the covariates, are refused; columns in errors count through covariates and
/// responses, the first response being column `p`. A row whose responses are all NaN has not been observed: it scores
/// 0 and changes nothing. Some of them missing is an error.
///
/// # Estimates
///
/// Least squares by a Cholesky factor of the covariates' second moments about their mean. [`EstimateError::Singular`]
/// names the covariate that is constant or follows from those before it, or, counted after the covariates, the response
/// that they determine. Statistics hold residuals about the current function: a second EM step on the same weights is
/// a step of iterative refinement.
///
/// Cost per row and component: `q(p + q)` multiplications for a score, `(p + q)²` for the statistics.
///
/// ```
/// use elbo_core::{Family, Rows};
/// use elbo_dist::LinearGaussian;
///
/// let start = LinearGaussian::standard(1, 1);
/// let (x, y) = ([0.0, 1.0, 2.0, 3.0], [1.0, 4.0, 4.0, 7.0]);
/// let mut stats = start.new_stats();
/// start.observe(&mut stats, (Rows::new(&x, 4, 1), Rows::new(&y, 4, 1)), &[1.0; 4]);
///
/// let mut line = start.clone();
/// start.maximize(&stats, &mut line).unwrap();
/// assert!((line.coefficients()[0] - 1.8).abs() < 1e-14);
/// assert!((line.intercept()[0] - 1.3).abs() < 1e-14);
/// assert!((line.covariance()[0] - 0.45).abs() < 1e-14);
/// assert!((line.predict(&[4.0])[0] - 8.5).abs() < 1e-14);
/// ```
///
/// # Source
///
/// Anderson (2003), *An Introduction to Multivariate Statistical Analysis*, section 8.2; mixtures of them: Quandt &
/// Ramsey (1978), J. Amer. Stat. Assoc. 73.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "parameters::Parameters", try_from = "parameters::Parameters")
)]
pub struct LinearGaussian {
    plane: Plane,
    has_intercept: bool,
    covariance: Spd,
}

impl LinearGaussian {
    /// `N(b + B x, Σ)`; `coefficients` is `B`, `q × p`, row-major, `covariance` is `Σ`, `q × q`, or its `q` diagonal
    /// numbers: then errors are independent, and only their variances are estimated.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if the lengths do not fit, a number is not finite, or the covariance is not symmetric and
    /// positive definite.
    pub fn new(
        intercept: Vec<f64>,
        coefficients: Vec<f64>,
        covariance: &[f64],
    ) -> Result<Self, ParameterError> {
        let p = coefficients.len() / intercept.len().max(1);
        Self::centered(vec![0.0; p], intercept, coefficients, covariance)
    }

    /// `N(v + B (x − c), Σ)`: the mean response is `value` where the covariates are `center`. Otherwise like
    /// [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn centered(
        center: Vec<f64>,
        value: Vec<f64>,
        coefficients: Vec<f64>,
        covariance: &[f64],
    ) -> Result<Self, ParameterError> {
        let covariance = parse_covariance(value.len(), covariance)?;
        Ok(Self {
            plane: Plane::new(center, value, coefficients)?,
            has_intercept: true,
            covariance,
        })
    }

    /// `N(B x, Σ)`, with `outputs` responses. Estimates have no intercept, either.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_intercept(
        outputs: usize,
        coefficients: Vec<f64>,
        covariance: &[f64],
    ) -> Result<Self, ParameterError> {
        let p = coefficients.len() / outputs.max(1);
        let plane = Plane::new(vec![0.0; p], vec![0.0; outputs], coefficients)?;
        let covariance = parse_covariance(outputs, covariance)?;
        Ok(Self { plane, has_intercept: false, covariance })
    }

    /// Coefficients zero, errors of variance one with a full covariance: somewhere to start from.
    ///
    /// # Panics
    ///
    /// If there is no covariate or no response.
    pub fn standard(covariates: usize, outputs: usize) -> Self {
        let identity: Vec<f64> = (0..outputs * outputs)
            .map(|place| if place / outputs == place % outputs { 1.0 } else { 0.0 })
            .collect();
        Self::new(vec![0.0; outputs], vec![0.0; covariates * outputs], &identity)
            .expect("one covariate and one response at least")
    }

    /// Number of covariates, `p`.
    pub fn covariates(&self) -> usize {
        self.plane.covariates()
    }

    /// Number of responses, `q`.
    pub fn outputs(&self) -> usize {
        self.plane.outputs()
    }

    /// `b`, the mean response where all covariates are zero; far outside of the data it may cancel.
    pub fn intercept(&self) -> Vec<f64> {
        self.plane.intercept()
    }

    /// Is the intercept a parameter, and not zero by definition?
    pub fn has_intercept(&self) -> bool {
        self.has_intercept
    }

    /// `B`, `q × p`, row-major.
    pub fn coefficients(&self) -> &[f64] {
        &self.plane.slopes
    }

    /// `c`: where the function is anchored.
    pub fn center(&self) -> &[f64] {
        &self.plane.center
    }

    /// `v`, the mean response at the [`center`](Self::center).
    pub fn value_at_center(&self) -> &[f64] {
        &self.plane.value
    }

    /// `Σ`, `q × q`, row-major.
    pub fn covariance(&self) -> Vec<f64> {
        self.covariance.to_dense()
    }

    /// Are errors of different responses independent by definition? With one response there is no difference.
    pub fn is_diagonal(&self) -> bool {
        self.covariance.is_diagonal()
    }

    /// The mean response `b + B x`.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers.
    pub fn predict(&self, x: &[f64]) -> Vec<f64> {
        self.plane.evaluate(x)
    }

    /// `ln p(y ∣ x)`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers, or `y` not `q`.
    pub fn log_density(&self, x: &[f64], y: &[f64]) -> f64 {
        assert_eq!(y.len(), self.outputs(), "an observation has one number per response");
        let mean = self.predict(x);
        self.constant() - 0.5 * self.covariance.distance_squared(y, &mean)
    }

    /// `½ ln |2πeΣ|`, in nats: the same at all covariates.
    pub fn entropy(&self) -> f64 {
        0.5 * self.outputs() as f64 - self.constant()
    }

    /// `KL(p(y ∣ x) ‖ other(y ∣ x))` at the covariates `x`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers, or `other` not `q` responses.
    pub fn kl_divergence_given(&self, x: &[f64], other: &Self) -> f64 {
        let q = self.outputs();
        assert_eq!(q, other.outputs(), "another number of responses");
        let ours = if self.is_diagonal() && !other.is_diagonal() {
            &self.covariance.to_dense()
        } else {
            &self.covariance.values
        };
        let trace = if other.is_diagonal() {
            (0..q).map(|o| self.covariance.get(o, o) / other.covariance.get(o, o)).sum()
        } else {
            other.covariance.trace_of_solved(ours)
        };
        let distance = other.covariance.distance_squared(&self.predict(x), &other.predict(x));
        let log_dets = other.covariance.log_det() - self.covariance.log_det();
        0.5 * (trace - q as f64 + log_dets + distance)
    }

    /// One draw of the responses at the covariates `x`.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers.
    pub fn sample_given(&self, x: &[f64], rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let mut y: Vec<f64> = (0..self.outputs()).map(|_| rng.sample(StandardNormal)).collect();
        self.covariance.color_in_place(&mut y);
        y.iter_mut().zip(self.predict(x)).for_each(|(y, mean)| *y += mean);
        y
    }

    /// `−½ (q ln 2π + ln |Σ|)`.
    fn constant(&self) -> f64 {
        -0.5 * (self.outputs() as f64 * TAU.ln() + self.covariance.log_det())
    }

    pub(crate) fn plane(&self) -> &Plane {
        &self.plane
    }

    pub(crate) fn spd(&self) -> &Spd {
        &self.covariance
    }

    /// This function with errors of covariance `factor · scale`, both of our own shape.
    pub(crate) fn set_scaled(&mut self, plane: &Plane, factor: f64, scale: &Spd) {
        self.plane.clone_from(plane);
        self.covariance.clone_from(scale);
        self.covariance.values.iter_mut().for_each(|v| *v *= factor);
        self.covariance
            .factor(0.0)
            .expect("a multiple of a positive definite matrix is positive definite");
    }
}

/// `k` regressions, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug)]
pub struct LinearGaussianPacked {
    components: Vec<Packed>,
}

impl LinearGaussianPacked {
    /// Rows are scored by `constant − ½ (‖factor · U r‖² + ‖V (x − c)‖²)`, `V` written by `spread`.
    pub(crate) fn set(
        &mut self,
        j: usize,
        plane: &Plane,
        constant: f64,
        (factor, whitening): (f64, &[f64]),
        spread: impl Iterator<Item = f64>,
    ) {
        let packed = &mut self.components[j];
        packed.plane.clone_from(plane);
        packed.constant = constant;
        packed.whitening.clear();
        packed.whitening.extend(whitening.iter().map(|u| factor * u));
        packed.spread.clear();
        packed.spread.extend(spread);
    }
}

/// What one worker needs to score and observe rows.
#[derive(Clone, Debug)]
pub struct LinearGaussianScratch {
    x: Columns,
    y: Columns,
    z: Columns,
    wz: Columns,
    weights: [f64; BLOCK],
    residuals: Vec<[f64; LANES]>,
    level: Level,
}

impl LinearGaussianScratch {
    /// Takes over a block; true if a response is missing.
    fn load(&mut self, (x, y): (Rows<'_>, Rows<'_>)) -> bool {
        self.x.load(x);
        self.y.load(y);
        self.y.column(0, y.len()).iter().any(|y| y.is_nan())
    }
}

impl Family for LinearGaussian {
    type Batch<'a> = (Rows<'a>, Rows<'a>);
    type Stats = LinearGaussianStats;
    type Packed = LinearGaussianPacked;
    type Scratch = LinearGaussianScratch;

    fn check(&self, (x, y): (Rows<'_>, Rows<'_>)) -> Result<(), DataError> {
        super::check_covariates(x, self.covariates(), y.len())?;
        if y.d() != self.outputs() {
            return Err(DataError::Dimension { expected: self.outputs(), found: y.d() });
        }
        for row in 0..y.len() {
            if (0..y.d()).all(|o| y.get(row, o).is_nan()) {
                continue;
            }
            if let Some(o) = (0..y.d()).find(|o| !y.get(row, *o).is_finite()) {
                let (column, value) = (x.d() + o, y.get(row, o));
                return Err(DataError::NotFinite { row, column, value });
            }
        }
        Ok(())
    }

    fn new_stats(&self) -> LinearGaussianStats {
        LinearGaussianStats::new(self.plane.clone(), self.is_diagonal())
    }

    fn new_packed(&self, k: usize) -> LinearGaussianPacked {
        let packed = Packed {
            plane: self.plane.clone(),
            constant: 0.0,
            whitening: self.covariance.whitening().to_vec(),
            spread: Vec::new(),
        };
        LinearGaussianPacked { components: vec![packed; k] }
    }

    fn new_scratch(packed: &LinearGaussianPacked) -> LinearGaussianScratch {
        let (p, q) = packed
            .components
            .first()
            .map_or((1, 1), |first| (first.plane.covariates(), first.plane.outputs()));
        LinearGaussianScratch {
            x: Columns::new(p),
            y: Columns::new(q),
            z: Columns::new(p + q),
            wz: Columns::new(p + q),
            weights: [0.0; BLOCK],
            residuals: vec![[0.0; LANES]; q],
            level: Level::detect(),
        }
    }

    fn pack(&self, j: usize, packed: &mut LinearGaussianPacked) {
        let whitening = (1.0, self.covariance.whitening());
        packed.set(j, &self.plane, self.constant(), whitening, std::iter::empty());
    }

    fn score_all(
        packed: &LinearGaussianPacked,
        (x, y): (Rows<'_>, Rows<'_>),
        mut out: MatrixMut<'_>,
        scratch: &mut LinearGaussianScratch,
    ) {
        super::check_block(packed.components.len(), (x.len(), y.len()), out.rows(), out.columns());
        let holes = scratch.load((x, y));
        let LinearGaussianScratch { x, y, residuals, level, .. } = scratch;
        for (j, packed) in packed.components.iter().enumerate() {
            let out = out.row_mut(j);
            level.dispatch(Score { packed, x, y, residuals, out });
            if holes {
                let n = out.len();
                let rows = out.iter_mut().zip(y.column(0, n));
                rows.filter(|(_, y)| y.is_nan()).for_each(|(out, _)| *out = 0.0);
            }
        }
    }

    fn reset_all(packed: &LinearGaussianPacked, stats: &mut [LinearGaussianStats]) {
        for (stats, packed) in stats.iter_mut().zip(&packed.components) {
            stats.reset(&packed.plane);
        }
    }

    fn observe_all(
        _: &LinearGaussianPacked,
        stats: &mut [LinearGaussianStats],
        (x, y): (Rows<'_>, Rows<'_>),
        weights: Matrix<'_>,
        scratch: &mut LinearGaussianScratch,
    ) {
        let n = x.len();
        super::check_block(stats.len(), (n, y.len()), weights.rows(), weights.columns());
        let holes = scratch.load((x, y));
        let LinearGaussianScratch { x, y, z, wz, weights: own, level, .. } = scratch;
        for (j, stats) in stats.iter_mut().enumerate() {
            own[..n].copy_from_slice(weights.row(j));
            if holes {
                let rows = own.iter_mut().zip(y.column(0, n));
                rows.filter(|(_, y)| y.is_nan()).for_each(|(w, _)| *w = 0.0);
            }
            let (plane, weight, sums) = stats.parts_mut();
            level.dispatch(Observe { plane, x, y, weights: &own[..n], z, wz, weight, sums });
        }
    }

    /// The plane moves in parallel so that it passes through the row, its center there; without an intercept, or where
    /// the response is missing, it stays.
    fn moved_to(&self, (x, y): (Rows<'_>, Rows<'_>), row: usize) -> Result<Self, EstimateError> {
        let mut moved = self.clone();
        if self.has_intercept && !y.get(row, 0).is_nan() {
            x.copy_row(row, &mut moved.plane.center);
            y.copy_row(row, &mut moved.plane.value);
        }
        Ok(moved)
    }

    fn maximize(
        &self,
        stats: &LinearGaussianStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        maximize::maximize(stats, self.has_intercept, next)
    }

    /// Statistics of covariates that are uncorrelated about the center, with variance one.
    fn expected_stats(&self, weight: f64) -> LinearGaussianStats {
        let mut stats = self.new_stats();
        let diagonal = self.is_diagonal();
        let (_, total, sums) = stats.parts_mut();
        *total = weight;
        (0..self.covariates()).for_each(|a| sums.uu[stats::packed(a, a)] = weight);
        let mut place = sums.rr.iter_mut();
        for o in 0..self.outputs() {
            for second in if diagonal { o } else { 0 }..=o {
                *place.next().expect("one place per pair") =
                    weight * self.covariance.get(o, second);
            }
        }
        stats
    }

    fn free_parameters(&self, k: usize) -> usize {
        let (p, q) = (self.covariates(), self.outputs());
        let of_covariance = if self.is_diagonal() { q } else { q * (q + 1) / 2 };
        k * (q * (p + usize::from(self.has_intercept)) + of_covariance)
    }

    /// The smallest `vᵀΣv / vᵀSv` over all directions `v` (single responses, for diagonal covariances), `S` the
    /// covariance of all responses about their mean. 1 where `S` is zero.
    fn relative_spread(&self, all: &LinearGaussianStats) -> f64 {
        let q = self.outputs();
        let u = self.covariance.whitening();
        let marginal = |o, second| all.response_covariance(o, second);
        let largest = if self.is_diagonal() {
            (0..q).map(|o| u[o] * u[o] * marginal(o, o)).fold(0.0, f64::max)
        } else {
            let element = |i: usize, j: usize| -> f64 {
                (0..=i)
                    .map(|a| {
                        let row: f64 = (0..=j).map(|b| u[j * q + b] * marginal(a, b)).sum();
                        u[i * q + a] * row
                    })
                    .sum()
            };
            let whitened: Vec<f64> =
                (0..q * q).map(|place| element(place / q, place % q)).collect();
            extreme_eigenvalues(&whitened, q).map_or(f64::INFINITY, |(_, largest)| largest)
        };
        if largest > 0.0 { 1.0 / largest } else { 1.0 }
    }
}

/// A `q × q` positive definite matrix, or the diagonal of one.
pub(crate) fn parse_covariance(q: usize, numbers: &[f64]) -> Result<Spd, ParameterError> {
    let parameter = "covariance";
    if q == 0 || numbers.len() != q {
        return parse_spd(parameter, CovarianceStructure::VVV, q.max(1), numbers);
    }
    Spd::new(numbers.to_vec(), q).map_err(|flat| ParameterError::NotPositiveDefinite {
        parameter,
        column: flat.column,
        variance: flat.variance,
    })
}
