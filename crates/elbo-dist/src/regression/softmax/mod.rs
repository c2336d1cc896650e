//! Softmax regression: categories given covariates.

mod stats;

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, DataError, EstimateError, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, Rows, take_front,
};
use elbo_linalg::exp_in_place;
use rand::{Rng, RngExt};

pub use stats::SoftmaxRegressionStats;

use super::plane::{Columns, Plane};
use crate::ParameterError;

/// Softmax (multinomial logit) regression: `P(y = c ∣ x) ∝ exp η_c`, `η_c = b_c + β_c·x`, of `K` classes of which the last
/// has `η = 0`.
///
/// An observation is a row of `p` covariates with its class code. With two classes it is a
/// [`LogisticRegression`](crate::LogisticRegression) for class 0. Functions are kept as `v + β·(x − c)` about a center
/// ([`centered`](Self::centered)), which estimates leave where it is: it should lie among the data, where they are far from
/// zero.
///
/// # Estimates
///
/// The statistics hold gradient and curvature at the current coefficients, so an EM step is a step of Newton's, shortened
/// to `ln(1 + R)/R` of its length, where no two linear predictors of a row move apart by more than `R`. The log-likelihood
/// never falls, as third derivatives along a line are cumulants of a variable of range `R`, at most `R` times the second
/// ones. The step of Böhning's quadratic lower bound is taken instead where it promises more, or where Newton's matrix is
/// singular, as both happen far from the maximum. Convergence is quadratic. [`fit_single`](elbo_core::fit_single) iterates;
/// in a mixture one step per EM step is enough.
///
/// Constant or collinear covariates are [`EstimateError::Singular`] with their column. A likelihood without a maximum is
/// [`EstimateError::Boundary`] once it shows: at once where a class has no observation, and as soon as one set of
/// coefficients gives every row its own class. Where only some classes can be separated, gains vanish before anything
/// shows, and the fit stops at large coefficients.
///
/// Covariates must be finite: what is missing is refused. Cost per row and component, with `m = (K − 1)(p + 1)`
/// coefficients: `m` multiplications and `K` exponentials for a score, `½m²` for the statistics; `m³/6` per step.
///
/// ```
/// use elbo_core::{Rows, fit_single};
/// use elbo_dist::SoftmaxRegression;
///
/// let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
/// let y: &[u32] = &[0, 1, 0, 1, 2, 1, 0, 2, 2];
/// let start = SoftmaxRegression::uniform(3, 1);
/// let fit = fit_single(start, (Rows::new(&x, 9, 1), y)).unwrap();
/// // Fitted probabilities add up to the classes' counts.
/// let expected: f64 = x.iter().map(|x| fit.params.predict(&[*x])[2]).sum();
/// assert!((expected - 3.0).abs() < 1e-6);
/// ```
///
/// # Source
///
/// Böhning (1992), Ann. Inst. Stat. Math. 44(1); the length of steps: Sun & Tran-Dinh (2019), Math. Program. 178.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct SoftmaxRegression {
    /// One output for each class but the last.
    plane: Plane,
}

impl SoftmaxRegression {
    /// `η = intercepts + coefficients · x`: `K − 1` intercepts, and as many rows of `p` coefficients, one row after the other.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if there is no intercept or no coefficient, their numbers do not fit, or one is not finite.
    pub fn new(intercepts: Vec<f64>, coefficients: Vec<f64>) -> Result<Self, ParameterError> {
        let p = coefficients.len() / intercepts.len().max(1);
        Self::centered(vec![0.0; p], intercepts, coefficients)
    }

    /// `η = values + coefficients · (x − center)`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn centered(
        center: Vec<f64>,
        values: Vec<f64>,
        coefficients: Vec<f64>,
    ) -> Result<Self, ParameterError> {
        Ok(Self { plane: Plane::new(center, values, coefficients)? })
    }

    /// All classes alike: a start that has seen nothing.
    ///
    /// # Panics
    ///
    /// If there are less than two classes, or no covariates.
    pub fn uniform(classes: usize, covariates: usize) -> Self {
        assert!(classes > 1 && covariates > 0, "{classes} classes, {covariates} covariates");
        let q = classes - 1;
        let plane = Plane {
            center: vec![0.0; covariates],
            value: vec![0.0; q],
            slopes: vec![0.0; q * covariates],
        };
        Self { plane }
    }

    /// `K`.
    pub fn classes(&self) -> usize {
        self.plane.outputs() + 1
    }

    /// `p`.
    pub fn covariates(&self) -> usize {
        self.plane.covariates()
    }

    /// `b`, of all classes but the last: linear predictors where all covariates are zero.
    pub fn intercepts(&self) -> Vec<f64> {
        self.plane.intercept()
    }

    /// `β`, row by row, of all classes but the last.
    pub fn coefficients(&self) -> &[f64] {
        &self.plane.slopes
    }

    /// `c`: where the functions are anchored.
    pub fn center(&self) -> &[f64] {
        &self.plane.center
    }

    /// `P(y = c ∣ x)` of all `K` classes.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers.
    pub fn predict(&self, x: &[f64]) -> Vec<f64> {
        let mut logs = self.log_probabilities(x);
        for log in &mut logs {
            *log = log.exp();
        }
        logs
    }

    /// `ln P(y = c ∣ x)` of all `K` classes, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers.
    pub fn log_probabilities(&self, x: &[f64]) -> Vec<f64> {
        let mut eta = self.plane.evaluate(x);
        eta.push(0.0);
        let normalizer = elbo_linalg::log_sum_exp(&eta);
        for eta in &mut eta {
            *eta -= normalizer;
        }
        eta
    }

    /// One draw of the class at `x`.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers.
    pub fn sample_given(&self, x: &[f64], rng: &mut (impl Rng + ?Sized)) -> u32 {
        let mut u: f64 = rng.random();
        let mut last = 0;
        for (class, p) in (0..).zip(self.predict(x)) {
            if p > 0.0 {
                last = class;
                u -= p;
                if u < 0.0 {
                    break;
                }
            }
        }
        last
    }

    /// `KL(P(y ∣ x) ‖ other(y ∣ x))` at `x`, in nats.
    ///
    /// # Panics
    ///
    /// If `x` has not `p` numbers, or the other has another number of classes.
    pub fn kl_divergence_given(&self, x: &[f64], other: &Self) -> f64 {
        assert_eq!(self.classes(), other.classes(), "another number of classes");
        let (own, other) = (self.log_probabilities(x), other.log_probabilities(x));
        own.iter().zip(other).map(|(own, other)| own.exp() * (own - other)).sum::<f64>().max(0.0)
    }
}

/// `k` softmax regressions as the kernels want them.
#[derive(Clone, Debug)]
pub struct SoftmaxRegressionPacked {
    planes: Vec<Plane>,
}

/// What one worker needs to score and observe rows.
#[derive(Clone, Debug)]
pub struct SoftmaxRegressionScratch {
    x: Columns,
    /// A column of ones and the centered covariates, zero where a weight is.
    z: Columns,
    /// Linear predictors, then probabilities, one column for each class; the last linear predictor is zero.
    eta: Vec<f64>,
    normalizers: [f64; BLOCK],
    room: [f64; BLOCK],
}

impl SoftmaxRegressionScratch {
    fn eta(&self, class: usize, n: usize) -> &[f64] {
        &self.eta[class * BLOCK_STRIDE..][..n]
    }

    /// Linear predictors of all classes, and their largest per row in the normalizers.
    fn predict(&mut self, plane: &Plane, n: usize) {
        let q = plane.outputs();
        let highest = &mut self.normalizers[..n];
        highest.fill(0.0);
        for c in 0..q {
            let eta = &mut self.eta[c * BLOCK_STRIDE..][..n];
            eta.fill(plane.value[c]);
            for (a, (b, center)) in plane.row(c).iter().zip(&plane.center).enumerate() {
                for (eta, x) in eta.iter_mut().zip(self.x.column(a, n)) {
                    *eta += b * (x - center);
                }
            }
            highest.iter_mut().zip(&*eta).for_each(|(high, eta)| *high = high.max(*eta));
        }
        self.eta[q * BLOCK_STRIDE..][..n].fill(0.0);
    }

    /// Linear predictors become probabilities; normalizers become `ln Σ exp η`.
    fn normalize(&mut self, classes: usize, n: usize) {
        let sums = &mut self.room[..n];
        sums.fill(0.0);
        for c in 0..classes {
            let eta = &mut self.eta[c * BLOCK_STRIDE..][..n];
            eta.iter_mut().zip(&self.normalizers).for_each(|(eta, high)| *eta -= high);
            exp_in_place(eta);
            sums.iter_mut().zip(&*eta).for_each(|(sum, p)| *sum += p);
        }
        for c in 0..classes {
            let p = &mut self.eta[c * BLOCK_STRIDE..][..n];
            p.iter_mut().zip(&*sums).for_each(|(p, sum)| *p /= sum);
        }
        self.normalizers.iter_mut().zip(&*sums).for_each(|(high, sum)| *high += sum.ln());
    }
}

impl Family for SoftmaxRegression {
    type Batch<'a> = (Rows<'a>, &'a [u32]);
    type Stats = SoftmaxRegressionStats;
    type Packed = SoftmaxRegressionPacked;
    type Scratch = SoftmaxRegressionScratch;

    fn check(&self, (x, y): (Rows<'_>, &[u32])) -> Result<(), DataError> {
        super::check_covariates(x, self.covariates(), y.len())?;
        let categories = self.classes();
        match y.iter().position(|class| *class as usize >= categories) {
            None => Ok(()),
            Some(row) => Err(DataError::Category { row, value: y[row], categories }),
        }
    }

    fn new_stats(&self) -> SoftmaxRegressionStats {
        SoftmaxRegressionStats::new(self.plane.clone())
    }

    fn new_packed(&self, k: usize) -> SoftmaxRegressionPacked {
        SoftmaxRegressionPacked { planes: vec![self.plane.clone(); k] }
    }

    fn new_scratch(packed: &SoftmaxRegressionPacked) -> SoftmaxRegressionScratch {
        let (p, q) = packed.planes.first().map_or((1, 1), |b| (b.covariates(), b.outputs()));
        SoftmaxRegressionScratch {
            x: Columns::new(p),
            z: Columns::new(p + 1),
            eta: vec![0.0; (q + 1) * BLOCK_STRIDE],
            normalizers: [0.0; BLOCK],
            room: [0.0; BLOCK],
        }
    }

    fn pack(&self, j: usize, packed: &mut SoftmaxRegressionPacked) {
        packed.planes[j].clone_from(&self.plane);
    }

    fn score_all(
        packed: &SoftmaxRegressionPacked,
        (x, y): (Rows<'_>, &[u32]),
        mut out: MatrixMut<'_>,
        scratch: &mut SoftmaxRegressionScratch,
    ) {
        let n = y.len();
        super::check_block(packed.planes.len(), (x.len(), n), out.rows(), out.columns());
        scratch.x.load(x);
        for (j, plane) in packed.planes.iter().enumerate() {
            scratch.predict(plane, n);
            let out = out.row_mut(j);
            for (i, (out, class)) in out.iter_mut().zip(y).enumerate() {
                let eta = scratch.eta.get(*class as usize * BLOCK_STRIDE + i);
                *out = eta.map_or(f64::NEG_INFINITY, |eta| *eta); // there is no such class
            }
            scratch.normalize(plane.outputs() + 1, n);
            out.iter_mut().zip(&scratch.normalizers).for_each(|(out, total)| *out -= total);
        }
    }

    fn reset_all(packed: &SoftmaxRegressionPacked, stats: &mut [SoftmaxRegressionStats]) {
        stats.iter_mut().zip(&packed.planes).for_each(|(stats, plane)| stats.reset(plane));
    }

    fn observe_all(
        packed: &SoftmaxRegressionPacked,
        stats: &mut [SoftmaxRegressionStats],
        (x, y): (Rows<'_>, &[u32]),
        weights: Matrix<'_>,
        scratch: &mut SoftmaxRegressionScratch,
    ) {
        let n = y.len();
        super::check_block(stats.len(), (x.len(), n), weights.rows(), weights.columns());
        scratch.x.load(x);
        for ((j, stats), plane) in stats.iter_mut().enumerate().zip(&packed.planes) {
            let weights = weights.row(j);
            scratch.predict(plane, n);
            stats.count(y, weights, scratch);
            scratch.normalize(plane.outputs() + 1, n);
            super::center_columns(&mut scratch.z, &scratch.x, &plane.center, true, weights);
            stats.observe(y, weights, scratch);
        }
    }

    fn maximize(
        &self,
        stats: &SoftmaxRegressionStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.step(&mut next.plane)?;
        Ok(Repairs::default())
    }

    /// Gradient zero, and the curvature of covariates that are uncorrelated about the center with variance one.
    fn expected_stats(&self, weight: f64) -> SoftmaxRegressionStats {
        let mut stats = self.new_stats();
        stats.fill_expected(weight, &self.predict(self.center()));
        stats
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * self.plane.outputs() * (self.covariates() + 1)
    }
}

/// The linear predictors at the center and the coefficients. The center stays where it is; reported intercepts are those at
/// `x = 0`.
impl FlatParameters for SoftmaxRegression {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend_from_slice(&self.plane.value);
        out.extend_from_slice(&self.plane.slopes);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let mut moved = self.clone();
        moved.plane.value.copy_from_slice(take_front(from, self.plane.outputs()));
        moved.plane.slopes.copy_from_slice(take_front(from, self.plane.slopes.len()));
        moved
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (c, intercept) in self.intercepts().iter().enumerate() {
            see(&format!("intercept[{c}]"), *intercept, Range::Real);
        }
        for c in 0..self.plane.outputs() {
            for (a, slope) in self.plane.row(c).iter().enumerate() {
                see(&format!("coefficient[{c}][{a}]"), *slope, Range::Real);
            }
        }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    center: Vec<f64>,
    values_at_center: Vec<f64>,
    coefficients: Vec<f64>,
}

#[cfg(feature = "serde")]
impl From<SoftmaxRegression> for Parameters {
    fn from(regression: SoftmaxRegression) -> Self {
        let Plane { center, value, slopes } = regression.plane;
        Self { center, values_at_center: value, coefficients: slopes }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for SoftmaxRegression {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::centered(p.center, p.values_at_center, p.coefficients)
    }
}
