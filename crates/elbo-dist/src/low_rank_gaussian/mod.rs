//! The multivariate Gaussian with a low-rank-plus-diagonal covariance: one factor analyzer.

mod maximize;
mod missing;

use std::f64::consts::TAU;

use elbo_core::{
    BLOCK_STRIDE, Batch, DataError, Draw, EstimateError, ExpectedLogLikelihood, Family,
    FlatParameters, Matrix, MatrixMut, OwnedRows, Range, Repairs, Rows, Statistics, take_front,
};
use elbo_linalg::LowRankPlusDiagonal;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use self::missing::Missing;
use crate::multivariate_gaussian::kernels::{self, Moments, PackedGaussians, Scratch, Shape};
use crate::multivariate_gaussian::{
    check_vector,
    packed::{finish_moments, kernel_rows},
};
use crate::{
    CovarianceStructure, MultivariateGaussian, MultivariateGaussianStats, ParameterError,
    block::check_shape,
};

/// The multivariate Gaussian `N(μ, W Wᵀ + diag(ψ))` with `d × q` loadings `W`, `q < d`: factor analysis.
///
/// It is the distribution of `x = μ + W z + e` with `q` factors `z ∼ N(0, I)` and errors `e ∼ N(0, diag(ψ))`, and has
/// `2d + dq − q(q − 1)/2` parameters where a full covariance has `d + d(d + 1)/2`. A density costs `4dq` flops, a factor
/// is never longer than `q`. Loadings are known up to a rotation `W Q` only; an estimate has those with `Wᵀ diag(ψ)⁻¹ W`
/// diagonal and falling, each column's largest number in units of `√ψ` positive.
///
/// With `x` in unit `u`, the mean and the loadings are in `u`, the uniquenesses `ψ` in `u²`.
///
/// NaN in data is a missing number: a row is scored by the marginal density of what it has, and completed by its conditional
/// moments under the current parameters, which is exact EM if numbers are missing at random. A row without any number says
/// nothing. Cost of an incomplete row: `dq²` flops for a pattern other than that of the row before.
///
/// ```
/// use elbo_core::{Draw, fit_single};
/// use elbo_dist::LowRankGaussian;
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
///
/// let truth = LowRankGaussian::new(vec![0.0; 4], &[1.0, 2.0, -1.0, 0.5], vec![0.5, 1.0, 0.2, 1.0])?;
/// let drawn = truth.draw(5000, &mut ChaCha8Rng::seed_from_u64(1));
/// let fit = fit_single(LowRankGaussian::standard(vec![0.0; 4], 1), drawn.rows()).unwrap();
/// let sign = fit.params.loadings()[0].signum();
/// assert!((sign * fit.params.loadings()[1] - 2.0).abs() < 0.1);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Estimation
///
/// Statistics are the full moments of a [`MultivariateGaussian`], from which the M-step climbs to the maximum by
/// conditional maximization: the best loadings for given uniquenesses are the leading eigenvectors of the covariance in
/// their units, the best uniqueness given everything else is the root of a linear equation. Both are exact, so that the
/// likelihood never falls; EM's own steps are far shorter. Newton's method in the uniquenesses takes over where its steps
/// lead uphill in likelihood. It starts at the current uniquenesses, or at those of principal axes where they are better.
///
/// A uniqueness that goes to zero, a Heywood case, is [`EstimateError::Boundary`]: the factors reproduce a column
/// exactly, as they do when there are too many.
///
/// # Source
///
/// Lawley & Maxwell (1971), *Factor Analysis as a Statistical Method*; Newton's method: Jöreskog (1967), Psychometrika
/// 32(4), in the logarithms of Clarke (1970); conditional maximization: Zhao, Yu & Jiang
/// (2008), *ML estimation for factor analysis: EM or non-EM?*, Stat. Comput. 18.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct LowRankGaussian {
    mean: Vec<f64>,
    /// `d × q`, row-major.
    loadings: Vec<f64>,
    uniquenesses: Vec<f64>,
    covariance: LowRankPlusDiagonal,
}

impl LowRankGaussian {
    /// `N(mean, W Wᵀ + diag(uniquenesses))`; `loadings` is `W`, `d × q`, row-major.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if a number is not finite, the lists do not fit (`1 ≤ q < d`), or a uniqueness is not positive.
    pub fn new(
        mean: Vec<f64>,
        loadings: &[f64],
        uniquenesses: Vec<f64>,
    ) -> Result<Self, ParameterError> {
        let d = check_vector("mean", &mean)?;
        let q = check_vector("loadings", loadings)? / d;
        if uniquenesses.len() != d {
            let (parameter, found) = ("uniquenesses", uniquenesses.len());
            return Err(ParameterError::Length { parameter, expected: d, found });
        }
        if q == 0 || q >= d || loadings.len() != d * q {
            let expected = d * q.clamp(1, (d - 1).max(1));
            let (parameter, found) = ("loadings", loadings.len());
            return Err(ParameterError::Length { parameter, expected, found });
        }
        if let Some(index) = uniquenesses.iter().position(|v| !(*v > 0.0 && v.is_finite())) {
            let value = uniquenesses[index];
            return Err(ParameterError::Entry { parameter: "uniquenesses", index, value });
        }
        let covariance = LowRankPlusDiagonal::new(loadings, &uniquenesses, q).map_err(|_| {
            ParameterError::NotFinite { parameter: "communality", value: f64::INFINITY }
        })?;
        Ok(Self { mean, loadings: loadings.to_vec(), uniquenesses, covariance })
    }

    /// The start of an estimate with `q` factors: uniquenesses of 1 and no loadings yet.
    ///
    /// # Panics
    ///
    /// If `mean` is not finite, or not `1 ≤ q < d`.
    pub fn standard(mean: Vec<f64>, q: usize) -> Self {
        let d = mean.len();
        assert!(q >= 1 && q < d, "{q} factors of {d} columns");
        Self::new(mean, &vec![0.0; d * q], vec![1.0; d]).expect("the identity is a covariance")
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// Number of factors.
    pub fn q(&self) -> usize {
        self.covariance.rank()
    }

    /// `μ`, in the unit of the data.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// `W`, `d × q`, row-major, in the unit of the data.
    pub fn loadings(&self) -> &[f64] {
        &self.loadings
    }

    /// `ψ`, the variance of each column that the factors leave, in the squared unit of the data.
    pub fn uniquenesses(&self) -> &[f64] {
        &self.uniquenesses
    }

    /// `Σ = W Wᵀ + diag(ψ)`, `d × d`, row-major.
    pub fn covariance(&self) -> Vec<f64> {
        let (d, q) = (self.d(), self.q());
        let row = |i: usize| &self.loadings[i * q..][..q];
        let entry = |i: usize, j: usize| {
            let common: f64 = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
            if i == j { common + self.uniquenesses[i] } else { common }
        };
        (0..d * d).map(|p| entry(p / d, p % d)).collect()
    }

    /// The same distribution with a full covariance, which offers marginals and conditionals, too.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if the covariance is singular to working precision.
    pub fn to_gaussian(&self) -> Result<MultivariateGaussian, ParameterError> {
        MultivariateGaussian::new(CovarianceStructure::VVV, self.mean.clone(), &self.covariance())
    }

    /// `ln p(x)` at one point, in nats. Cost: `4dq` flops.
    ///
    /// # Panics
    ///
    /// If `x` has not `d` numbers.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        self.constant() - 0.5 * self.distance_and_factors(x).0
    }

    /// `E[z ∣ x]`, `q` numbers: the factor scores of a point. Cost: `4dq` flops.
    ///
    /// # Panics
    ///
    /// If `x` has not `d` numbers.
    pub fn factors(&self, x: &[f64]) -> Vec<f64> {
        self.distance_and_factors(x).1
    }

    /// `½ ln |2πeΣ|`, in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * (self.d() as f64 * (1.0 + TAU.ln()) + self.covariance.log_det())
    }

    /// `KL(self ‖ other) = ½ [tr(Σ₂⁻¹ Σ₁) − d − ln |Σ₂⁻¹ Σ₁| + (μ₁ − μ₂)ᵀ Σ₂⁻¹ (μ₁ − μ₂)]`, in nats; ranks may differ.
    /// Cost: `4dq²` flops. The terms cancel to some `ε d` for distributions that are nearly equal.
    ///
    /// # Panics
    ///
    /// If the dimensions differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let d = self.d();
        assert_eq!(d, other.d(), "Gaussians of different dimensions");
        let mut scratch = vec![0.0; other.q()];
        let mut form = |x: &[f64]| other.covariance.quadratic_form(x, &mut scratch);
        let shift: Vec<f64> = self.mean.iter().zip(&other.mean).map(|(a, b)| a - b).collect();
        let mut sum = form(&shift) - d as f64;
        for a in 0..self.q() {
            let column: Vec<f64> =
                self.loadings.iter().skip(a).step_by(self.q()).copied().collect();
            sum += form(&column);
        }
        let mut unit = vec![0.0; d];
        for (i, variance) in self.uniquenesses.iter().enumerate() {
            unit[i] = variance.sqrt();
            sum += form(&unit);
            unit[i] = 0.0;
        }
        let log_dets = other.covariance.log_det() - self.covariance.log_det();
        (0.5 * (sum + log_dets)).max(0.0) // what is negative is rounding
    }

    /// One draw, `d` numbers.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let mut x = vec![0.0; self.d()];
        self.sample_into(rng, &mut x);
        x
    }

    fn sample_into(&self, rng: &mut (impl Rng + ?Sized), x: &mut [f64]) {
        let z: Vec<f64> = (0..self.q()).map(|_| rng.sample(StandardNormal)).collect();
        for (i, x) in x.iter_mut().enumerate() {
            let e: f64 = rng.sample(StandardNormal);
            let row = &self.loadings[i * self.q()..][..self.q()];
            let common: f64 = row.iter().zip(&z).map(|(w, z)| w * z).sum();
            *x = self.mean[i] + common + self.uniquenesses[i].sqrt() * e;
        }
    }

    fn constant(&self) -> f64 {
        -0.5 * (self.d() as f64 * TAU.ln() + self.covariance.log_det())
    }

    fn distance_and_factors(&self, x: &[f64]) -> (f64, Vec<f64>) {
        assert_eq!(x.len(), self.d(), "a point has one number per column");
        let centered: Vec<f64> = x.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
        let mut factors = vec![0.0; self.q()];
        let distance = self.covariance.quadratic_form(&centered, &mut factors);
        (distance, factors)
    }

    /// Loadings rotated so that those of the first `q` columns are lower triangular with a diagonal that is not negative.
    fn triangular_loadings(&self) -> Vec<f64> {
        let q = self.q();
        let mut w = self.loadings.clone();
        for i in 0..q {
            for j in i + 1..q {
                let (a, b) = (w[i * q + i], w[i * q + j]);
                let norm = a.hypot(b);
                if norm > 0.0 {
                    let (cos, sin) = (a / norm, b / norm);
                    for row in w.chunks_exact_mut(q) {
                        let (x, y) = (row[i], row[j]);
                        row[i] = cos * x + sin * y;
                        row[j] = cos * y - sin * x;
                    }
                }
                w[i * q + j] = 0.0;
            }
            if w[i * q + i] < 0.0 {
                w.iter_mut().skip(i).step_by(q).for_each(|x| *x = -*x);
            }
        }
        w
    }
}

/// As for a [`MultivariateGaussian`] with this covariance. Derivatives are taken by differences.
impl ExpectedLogLikelihood for LowRankGaussian {
    fn expected_log_likelihood(&self, stats: &MultivariateGaussianStats) -> f64 {
        let d = self.d();
        let mut about = stats.clone();
        about.align(&MultivariateGaussianStats::new(self.mean.clone(), false));
        let (mut column, mut scratch) = (vec![0.0; d], vec![0.0; self.q()]);
        let mut trace = 0.0;
        for j in 0..d {
            for (i, x) in column.iter_mut().enumerate() {
                *x = about.second()[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)];
            }
            self.covariance.solve_in_place(&mut column, &mut scratch);
            trace += column[j];
        }
        about.total_weight() * self.constant() - 0.5 * trace
    }

    /// No value is missing, or the data would have been refused.
    fn is_complete(&self, _: Rows<'_>) -> bool {
        true
    }
}

/// The mean; the loadings, row by row, rotated so that the first `q` rows are lower triangular with a positive diagonal,
/// of which the logarithms are taken; the logarithms of the uniquenesses.
impl FlatParameters for LowRankGaussian {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend(&self.mean);
        let q = self.q();
        for (i, row) in self.triangular_loadings().chunks_exact(q).enumerate() {
            if i < q {
                out.extend(&row[..i]);
                out.push(row[i].ln());
            } else {
                out.extend(row);
            }
        }
        out.extend(self.uniquenesses.iter().map(|v| v.ln()));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let (d, q) = (self.d(), self.q());
        let mean = take_front(from, d).to_vec();
        let mut loadings = vec![0.0; d * q];
        for (i, row) in loadings.chunks_exact_mut(q).enumerate() {
            if i < q {
                row[..=i].copy_from_slice(take_front(from, i + 1));
                row[i] = row[i].exp();
            } else {
                row.copy_from_slice(take_front(from, q));
            }
        }
        let uniquenesses: Vec<f64> = take_front(from, d).iter().map(|v| v.exp()).collect();
        let covariance = LowRankPlusDiagonal::new(&loadings, &uniquenesses, q)
            .expect("coordinates within the range of exponentials are a covariance");
        Self { mean, loadings, uniquenesses, covariance }
    }

    /// `mean[i]`, `loading[i,a]` as they are and `uniqueness[i]`.
    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        let q = self.q();
        self.mean.iter().enumerate().for_each(|(i, x)| see(&format!("mean[{i}]"), *x, Range::Real));
        for (p, x) in self.loadings.iter().enumerate() {
            see(&format!("loading[{},{}]", p / q, p % q), *x, Range::Real);
        }
        for (i, x) in self.uniquenesses.iter().enumerate() {
            see(&format!("uniqueness[{i}]"), *x, Range::Positive);
        }
    }
}

impl Draw for LowRankGaussian {
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

/// `k` of them as the kernels want them.
#[derive(Clone, Debug)]
pub struct LowRankGaussianPacked {
    /// Of which only the means count, as origins of moments.
    kernel: PackedGaussians,
    constants: Vec<f64>,
    covariances: Vec<LowRankPlusDiagonal>,
}

/// What one worker needs to score and observe rows.
#[derive(Clone, Debug)]
pub struct LowRankGaussianScratch {
    kernel: Scratch,
    moments: Moments,
    centered: Vec<f64>,
    factors: Vec<f64>,
    missing: Missing,
}

impl Family for LowRankGaussian {
    type Batch<'a> = Rows<'a>;
    type Stats = MultivariateGaussianStats;
    type Packed = LowRankGaussianPacked;
    type Scratch = LowRankGaussianScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        if data.d() != self.d() {
            return Err(DataError::Dimension { expected: self.d(), found: data.d() });
        }
        data.check_finite_or_missing()
    }

    fn new_stats(&self) -> MultivariateGaussianStats {
        MultivariateGaussianStats::new(self.mean.clone(), false)
    }

    fn new_packed(&self, k: usize) -> LowRankGaussianPacked {
        LowRankGaussianPacked {
            kernel: PackedGaussians::new(Shape::Full, k, self.d()),
            constants: vec![f64::NAN; k],
            covariances: vec![self.covariance.clone(); k],
        }
    }

    fn new_scratch(packed: &LowRankGaussianPacked) -> LowRankGaussianScratch {
        let (kernel, q) = (&packed.kernel, packed.covariances[0].rank());
        LowRankGaussianScratch {
            kernel: Scratch::new(kernel),
            moments: Moments::new(kernel),
            centered: vec![0.0; kernel.d()],
            factors: vec![0.0; q],
            missing: Missing::new(kernel.k(), kernel.d(), q),
        }
    }

    fn pack(&self, j: usize, packed: &mut LowRankGaussianPacked) {
        packed.kernel.set_mean(j, &self.mean);
        packed.constants[j] = self.constant();
        packed.covariances[j].clone_from(&self.covariance);
    }

    fn score_all(
        packed: &LowRankGaussianPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut LowRankGaussianScratch,
    ) {
        check_shape(packed.kernel.k(), data.len(), out.rows(), out.columns());
        let LowRankGaussianScratch { centered, factors, missing, .. } = scratch;
        for (j, covariance) in packed.covariances.iter().enumerate() {
            let (constant, mean) = (packed.constants[j], packed.kernel.mean(j));
            missing.start();
            for (i, out) in out.row_mut(j).iter_mut().enumerate() {
                data.copy_row(i, centered);
                centered.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
                *out = constant - 0.5 * covariance.quadratic_form(centered, factors);
                if out.is_nan() && centered.iter().any(|x| x.is_nan()) {
                    *out = missing.score(centered, covariance);
                }
            }
        }
    }

    fn reset_all(packed: &LowRankGaussianPacked, stats: &mut [MultivariateGaussianStats]) {
        for (j, stats) in stats.iter_mut().enumerate() {
            stats.reset(packed.kernel.mean(j));
        }
    }

    fn observe_all(
        packed: &LowRankGaussianPacked,
        _: &mut [MultivariateGaussianStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut LowRankGaussianScratch,
    ) {
        check_shape(packed.kernel.k(), data.len(), weights.rows(), weights.columns());
        let (weights, stride) = weights.raw();
        let LowRankGaussianScratch { kernel, moments, centered, missing, .. } = scratch;
        if !missing.find(data) {
            let rows = kernel_rows(data);
            kernels::observe_all(&packed.kernel, rows, weights, stride, moments, kernel);
            return;
        }
        let (rows, others) = missing.complete(data, (weights, stride));
        kernels::observe_all(&packed.kernel, rows, others, BLOCK_STRIDE, moments, kernel);
        for (j, covariance) in packed.covariances.iter().enumerate() {
            missing.start();
            for place in 0..missing.found() {
                let i = missing.row(place);
                let weight = weights[j * stride + i];
                if weight > 0.0 {
                    data.copy_row(i, centered);
                    centered.iter_mut().zip(packed.kernel.mean(j)).for_each(|(x, m)| *x -= m);
                    missing.observe(centered, weight, covariance, (moments, j));
                }
            }
        }
    }

    fn finish(
        packed: &LowRankGaussianPacked,
        stats: &mut [MultivariateGaussianStats],
        scratch: &mut LowRankGaussianScratch,
    ) {
        finish_moments(&packed.kernel, stats, &mut scratch.moments, &mut scratch.kernel);
    }

    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        let mut moved = self.clone();
        for (c, mean) in moved.mean.iter_mut().enumerate() {
            let x = data.get(row, c);
            *mean = if x.is_nan() { *mean } else { x };
        }
        Ok(moved)
    }

    fn maximize(
        &self,
        stats: &MultivariateGaussianStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        maximize::maximize(self, stats, next)
    }

    fn expected_stats(&self, weight: f64) -> MultivariateGaussianStats {
        let mut stats = self.new_stats();
        let (d, covariance) = (self.d(), self.covariance());
        let (total, _, second) = stats.sums_mut();
        *total = weight;
        for i in 0..d {
            for j in 0..=i {
                second[i * (i + 1) / 2 + j] = weight * covariance[i * d + j];
            }
        }
        stats
    }

    fn free_parameters(&self, k: usize) -> usize {
        let (d, q) = (self.d(), self.q());
        k * (2 * d + d * q - q * (q - 1) / 2)
    }

    /// As for a [`MultivariateGaussian`] of this covariance; 0 where it is singular to working precision.
    fn relative_spread(&self, all: &MultivariateGaussianStats) -> f64 {
        self.to_gaussian().map_or(0.0, |gaussian| gaussian.relative_spread(all))
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    mean: Vec<f64>,
    loadings: Vec<Vec<f64>>,
    uniquenesses: Vec<f64>,
}

#[cfg(feature = "serde")]
impl From<LowRankGaussian> for Parameters {
    fn from(of: LowRankGaussian) -> Self {
        let loadings = of.loadings.chunks_exact(of.q()).map(<[f64]>::to_vec).collect();
        Self { mean: of.mean, loadings, uniquenesses: of.uniquenesses }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for LowRankGaussian {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.mean, &p.loadings.concat(), p.uniquenesses)
    }
}
