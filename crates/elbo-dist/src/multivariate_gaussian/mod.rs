//! The multivariate Gaussian in all covariance structures.

mod axes;
mod blocks;
mod completion;
mod elimination;
mod flat;
pub(crate) mod kernels;
mod maximize;
mod missing;
mod orientation;
pub(crate) mod packed;
mod relations;
mod score;
mod settling;
mod sharing;
pub(crate) mod spd;
mod stats;
mod structure;

use std::f64::consts::TAU;

use elbo_core::{DataError, EstimateError, Family, Matrix, MatrixMut, Repairs, Rows};
use elbo_linalg::extreme_eigenvalues;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::ParameterError;
pub use packed::{MultivariateGaussianPacked, MultivariateGaussianScratch};
use packed::{check_shape, kernel_rows};
pub(crate) use settling::Settling;
use spd::Spd;
pub use stats::MultivariateGaussianStats;
pub use structure::{CovarianceStructure, ParseStructureError, Sharing};

/// The multivariate Gaussian `N(μ, Σ)`, `ln p(x) = −½ [d ln 2π + ln |Σ| + (x − μ)ᵀ Σ⁻¹ (x − μ)]`.
///
/// One type serves all fourteen [covariance structures](CovarianceStructure): the structure tells which `Σ` are
/// possible, what several components share when they are estimated together, and whether `d` or `d²` numbers are kept.
/// Densities go through the whitening `U = L⁻¹`, `Σ = L Lᵀ`, never through a determinant or an inverse that could leave
/// the range of numbers.
///
/// # Missing values
///
/// NaN in a row of data is a missing number. What was observed of the row is scored, by its marginal density
/// `ln N(x_o ∣ μ_o, Σ_oo)`; and the row is observed as completed by `E[x_m ∣ x_o]`, with `w Var[x_m ∣ x_o]` added to the
/// second moments, both under the current parameters: exact EM, if the numbers are missing at random, for every
/// structure. It never lowers the likelihood, and it converges the slower the more is missing. A row without any number
/// scores 0 and is not observed, as it says nothing.
///
/// A posterior (see [`NormalInverseWishart`](crate::NormalInverseWishart)) scores such a row by
/// `ln ∫ exp(E[ln p(x ∣ θ)]) dx_m`, what the evidence lower bound has of a row whose missing part is one more latent
/// variable; for a point it is the marginal density.
///
/// For `m` missing columns a row costs `2 m d` multiplications more per component, and rows of one block that miss the same
/// share another `m² d`. Rows that miss nothing cost what they always do.
///
/// With `x` in unit `u`, the mean is in `u` and the covariance in `u²`; maximum likelihood divides by `n`, not `n − 1`.
///
/// ```
/// use elbo_core::{Family, Rows};
/// use elbo_dist::{CovarianceStructure, MultivariateGaussian};
///
/// let start = MultivariateGaussian::standard(CovarianceStructure::VVV, vec![0.0; 2]);
/// let data = [1.0, 2.0, 3.0, 3.0, 5.0, 1.0, 7.0, 2.0];
/// let mut stats = start.new_stats();
/// start.observe(&mut stats, Rows::new(&data, 4, 2), &[1.0; 4]);
///
/// let mut gaussian = start.clone();
/// start.maximize(&stats, &mut gaussian).unwrap();
/// assert_eq!(gaussian.mean(), [4.0, 2.0]);
/// assert_eq!(gaussian.covariance(), [5.0, -0.5, -0.5, 0.5]);
/// ```
///
/// # Source
///
/// Bishop (2006), section 2.3; structures: Celeux & Govaert (1995); missing values: Little & Rubin (2019), *Statistical
/// Analysis with Missing Data*, 3rd ed., section 11.2.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct MultivariateGaussian {
    structure: CovarianceStructure,
    mean: Vec<f64>,
    covariance: Spd,
}

impl MultivariateGaussian {
    /// `N(mean, covariance)`; `covariance` is `d × d`, row-major.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if `mean` is empty, `covariance` has not `d²` numbers, a number is not finite, or the
    /// covariance is not symmetric (to `1e-10` of the standard deviations' product; its lower triangle then counts),
    /// not positive definite, or not one of the structure: diagonal, or with one variance for all columns.
    pub fn new(
        structure: CovarianceStructure,
        mean: Vec<f64>,
        covariance: &[f64],
    ) -> Result<Self, ParameterError> {
        let d = check_vector("mean", &mean)?;
        let covariance = parse_spd("covariance", structure, d, covariance)?;
        Ok(Self { structure, mean, covariance })
    }

    /// The Gaussian with the identity as covariance, which every structure allows.
    ///
    /// # Panics
    ///
    /// If `mean` is empty or not finite.
    pub fn standard(structure: CovarianceStructure, mean: Vec<f64>) -> Self {
        let d = mean.len();
        let identity: Vec<f64> =
            (0..d * d).map(|p| if p / d == p % d { 1.0 } else { 0.0 }).collect();
        Self::new(structure, mean, &identity).expect("the identity is positive definite")
    }

    /// Number of columns.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// `μ`, in the unit of the data.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Which covariances this one is among.
    pub fn structure(&self) -> CovarianceStructure {
        self.structure
    }

    /// `Σ`, `d × d`, row-major, in the squared unit of the data.
    pub fn covariance(&self) -> Vec<f64> {
        self.covariance.to_dense()
    }

    /// The diagonal of `Σ`.
    pub fn variances(&self) -> Vec<f64> {
        (0..self.d()).map(|j| self.covariance.get(j, j)).collect()
    }

    /// `Σᵢⱼ / √(Σᵢᵢ Σⱼⱼ)`, `d × d`, row-major, with ones on the diagonal.
    pub fn correlation(&self) -> Vec<f64> {
        let d = self.d();
        let std_dev: Vec<f64> = self.variances().into_iter().map(f64::sqrt).collect();
        let entry = |i: usize, j: usize| {
            if i == j { 1.0 } else { self.covariance.get(i, j) / std_dev[i] / std_dev[j] }
        };
        (0..d * d).map(|p| entry(p / d, p % d)).collect()
    }

    /// `ln |Σ|`.
    pub fn log_det(&self) -> f64 {
        self.covariance.log_det()
    }

    /// `ln p(x)` at one point, in nats. Cost: `d²` flops.
    ///
    /// # Panics
    ///
    /// If `x` has not `d` numbers.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        self.constant() - 0.5 * self.mahalanobis_squared(x)
    }

    /// `(x − μ)ᵀ Σ⁻¹ (x − μ)`.
    ///
    /// # Panics
    ///
    /// If `x` has not `d` numbers.
    pub fn mahalanobis_squared(&self, x: &[f64]) -> f64 {
        assert_eq!(x.len(), self.d(), "a point has one number per column");
        self.covariance.distance_squared(x, &self.mean)
    }

    /// `½ ln |2πeΣ|`, in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * (self.d() as f64 * (1.0 + TAU.ln()) + self.log_det())
    }

    /// One draw, `d` numbers.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        let mut x = vec![0.0; self.d()];
        self.sample_into(rng, &mut x);
        x
    }

    /// One draw, written over `x`. Cost: `d²` flops.
    ///
    /// # Panics
    ///
    /// If `x` has not `d` numbers.
    pub fn sample_into(&self, rng: &mut (impl Rng + ?Sized), x: &mut [f64]) {
        assert_eq!(x.len(), self.d(), "a draw has one number per column");
        x.fill_with(|| rng.sample(StandardNormal));
        self.covariance.color_in_place(x);
        x.iter_mut().zip(&self.mean).for_each(|(x, mean)| *x += mean);
    }

    /// `−½ (d ln 2π + ln |Σ|)`.
    fn constant(&self) -> f64 {
        -0.5 * (self.d() as f64 * TAU.ln() + self.log_det())
    }

    /// `ln |Σ|^{1/d}`.
    fn log_volume(&self) -> f64 {
        self.log_det() / self.d() as f64
    }

    /// `N(mean, factor · scale)`, whatever it was before; `scale` in the layout of the structure.
    pub(crate) fn set_scaled(&mut self, mean: &[f64], factor: f64, scale: &Spd) {
        self.mean.copy_from_slice(mean);
        self.covariance.values.copy_from_slice(&scale.values);
        self.covariance.values.iter_mut().for_each(|v| *v *= factor);
        self.covariance
            .factor(0.0)
            .expect("a multiple of a positive definite matrix is positive definite");
    }

    pub(crate) fn spd(&self) -> &Spd {
        &self.covariance
    }
}

impl Family for MultivariateGaussian {
    type Batch<'a> = Rows<'a>;
    type Stats = MultivariateGaussianStats;
    type Packed = MultivariateGaussianPacked;
    type Scratch = MultivariateGaussianScratch;

    const OBSERVES_WHAT_IT_SCORED: bool = false; // it looks again where it has to

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        if data.d() != self.d() {
            return Err(DataError::Dimension { expected: self.d(), found: data.d() });
        }
        data.check_finite_or_missing()
    }

    fn new_stats(&self) -> MultivariateGaussianStats {
        MultivariateGaussianStats::new(self.mean.clone(), self.covariance.is_diagonal())
    }

    fn new_packed(&self, k: usize) -> MultivariateGaussianPacked {
        MultivariateGaussianPacked::new(k, self.d(), self.covariance.is_diagonal())
    }

    fn new_scratch(packed: &MultivariateGaussianPacked) -> MultivariateGaussianScratch {
        MultivariateGaussianScratch::new(packed)
    }

    fn pack(&self, j: usize, packed: &mut MultivariateGaussianPacked) {
        packed.set(j, self.constant(), &self.mean, 1.0, self.covariance.whitening());
    }

    fn score_all(
        packed: &MultivariateGaussianPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut MultivariateGaussianScratch,
    ) {
        check_shape(packed, data, out.rows(), out.columns());
        let (out, stride) = out.raw_mut();
        scratch.score_all(packed, kernel_rows(data), out, stride);
    }

    /// Full covariances from `d = 16` on are bounded by half of their outputs, a quarter of the work.
    fn score_relevant(
        packed: &MultivariateGaussianPacked,
        data: Rows<'_>,
        log_weights: &[f64],
        mut out: MatrixMut<'_>,
        scratch: &mut MultivariateGaussianScratch,
    ) {
        check_shape(packed, data, out.rows(), out.columns());
        let (out, stride) = out.raw_mut();
        scratch.score_relevant(packed, kernel_rows(data), log_weights, out, stride);
    }

    fn reset_all(packed: &MultivariateGaussianPacked, stats: &mut [MultivariateGaussianStats]) {
        for (j, stats) in stats.iter_mut().enumerate() {
            stats.reset(packed.kernel.mean(j));
        }
    }

    fn observe_all(
        packed: &MultivariateGaussianPacked,
        _: &mut [MultivariateGaussianStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut MultivariateGaussianScratch,
    ) {
        check_shape(packed, data, weights.rows(), weights.columns());
        let (weights, stride) = weights.raw();
        scratch.observe_all(packed, kernel_rows(data), weights, stride);
    }

    fn finish(
        packed: &MultivariateGaussianPacked,
        stats: &mut [MultivariateGaussianStats],
        scratch: &mut MultivariateGaussianScratch,
    ) {
        scratch.finish(packed, stats);
    }

    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        let mut moved = self.clone();
        for (c, mean) in moved.mean.iter_mut().enumerate() {
            let x = data.get(row, c);
            if !x.is_nan() {
                *mean = x;
            }
        }
        Ok(moved)
    }

    fn maximize(
        &self,
        stats: &MultivariateGaussianStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        use std::slice::{from_mut, from_ref};
        Self::maximize_all(from_ref(self), from_ref(stats), from_mut(next))
    }

    /// Maximum likelihood under the structure of the first component.
    ///
    /// Closed forms, but for `VEI` and `VEV` (a common shape), `VEE` (a common matrix), `EVE` and `VVE` (common axes):
    /// these iterate until nothing but rounding is left. Common axes may be at a local optimum, though never at a worse
    /// one than those of `current`, so that an EM step does not lower the likelihood; elsewhere there is one optimum.
    ///
    /// A covariance is singular where less than `1e-14 d` of a column's variance is left by the columns before it,
    /// which depends on no unit; a shared one is said to be component 0's.
    fn maximize_all(
        current: &[Self],
        stats: &[MultivariateGaussianStats],
        next: &mut [Self],
    ) -> Result<Repairs, EstimateError> {
        maximize::maximize_all(current, stats, next)
    }

    fn expected_stats(&self, weight: f64) -> MultivariateGaussianStats {
        let mut stats = self.new_stats();
        let diagonal = self.covariance.is_diagonal();
        let (total, _, second) = stats.sums_mut();
        *total = weight;
        let mut place = second.iter_mut();
        for i in 0..self.d() {
            for j in if diagonal { i } else { 0 }..=i {
                *place.next().expect("one place per pair") = weight * self.covariance.get(i, j);
            }
        }
        stats
    }

    fn write_natural(&self, like: &MultivariateGaussianStats, out: &mut Vec<f64>) -> bool {
        self.covariance.write_natural(&self.mean, like.origin(), out);
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * self.d() + self.structure.covariance_parameters(k, self.d())
    }

    /// The smallest `vᵀΣv / vᵀSv` over all directions `v` (columns, for diagonal structures), `S` the covariance of
    /// all data: 1 over the largest eigenvalue of `U S Uᵀ`, exact to rounding however small. 1 where `S` is zero.
    fn relative_spread(&self, all: &MultivariateGaussianStats) -> f64 {
        let d = self.d();
        let u = self.covariance.whitening();
        let largest = if self.covariance.is_diagonal() {
            (0..d).map(|j| u[j] * u[j] * all.central(j, j)).fold(0.0, f64::max)
        } else {
            let whitened = whiten(u, &all.covariance(), d);
            extreme_eigenvalues(&whitened, d).map_or(f64::INFINITY, |(_, largest)| largest)
        };
        if largest > 0.0 { 1.0 / largest } else { 1.0 }
    }
}

/// `U S Uᵀ`.
fn whiten(u: &[f64], s: &[f64], d: usize) -> Vec<f64> {
    let product = |a: &[f64], i: usize, b: &[f64], j: usize| -> f64 {
        a[i * d..][..=i].iter().zip(&b[j * d..]).map(|(x, y)| x * y).sum()
    };
    // rows of S are its columns, so the first step gives (U S)ᵀ from rows
    let half: Vec<f64> = (0..d * d).map(|p| product(u, p % d, s, p / d)).collect();
    (0..d * d).map(|p| (0..=p / d).map(|a| u[p / d * d + a] * half[a * d + p % d]).sum()).collect()
}

/// The length of a vector of finite numbers, at least one.
pub(crate) fn check_vector(
    parameter: &'static str,
    numbers: &[f64],
) -> Result<usize, ParameterError> {
    if numbers.is_empty() {
        return Err(ParameterError::Length { parameter, expected: 1, found: 0 });
    }
    match numbers.iter().find(|x| !x.is_finite()) {
        Some(&value) => Err(ParameterError::NotFinite { parameter, value }),
        None => Ok(numbers.len()),
    }
}

/// A `d × d`, row-major, positive definite matrix among those that a structure allows, in its layout.
pub(crate) fn parse_spd(
    parameter: &'static str,
    structure: CovarianceStructure,
    d: usize,
    matrix: &[f64],
) -> Result<Spd, ParameterError> {
    const ASYMMETRY: f64 = 1e-10;
    if matrix.len() != d * d {
        return Err(ParameterError::Length { parameter, expected: d * d, found: matrix.len() });
    }
    check_vector(parameter, matrix)?;
    for i in 0..d {
        for j in 0..i {
            let (lower, upper) = (matrix[i * d + j], matrix[j * d + i]);
            let size = (matrix[i * d + i].abs()).sqrt() * (matrix[j * d + j].abs()).sqrt();
            let expected = if structure.is_diagonal() { 0.0 } else { lower };
            if (upper - expected).abs() > ASYMMETRY * size
                || (structure.is_diagonal() && lower != 0.0)
            {
                return Err(ParameterError::Entry { parameter, index: j * d + i, value: upper });
            }
        }
        if structure.is_spherical() && matrix[i * d + i].to_bits() != matrix[0].to_bits() {
            let (index, value) = (i * d + i, matrix[i * d + i]);
            return Err(ParameterError::Entry { parameter, index, value });
        }
    }
    let values = if structure.is_diagonal() {
        matrix.iter().step_by(d + 1).copied().collect()
    } else {
        matrix.to_vec()
    };
    Spd::new(values, d).map_err(|flat| ParameterError::NotPositiveDefinite {
        parameter,
        column: flat.column,
        variance: flat.variance,
    })
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    structure: CovarianceStructure,
    mean: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

#[cfg(feature = "serde")]
impl From<MultivariateGaussian> for Parameters {
    fn from(gaussian: MultivariateGaussian) -> Self {
        let covariance = gaussian.covariance();
        let rows = covariance.chunks_exact(gaussian.d()).map(<[f64]>::to_vec).collect();
        Self { structure: gaussian.structure, mean: gaussian.mean, covariance: rows }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for MultivariateGaussian {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.structure, p.mean, &p.covariance.concat())
    }
}
