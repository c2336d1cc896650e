//! The univariate Gaussian.

use std::f64::consts::TAU;

use elbo_core::{
    Blocks, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, Statistics, add_scaled, take_front,
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::{
    ParameterError,
    block::{check_finite_or_missing, check_shape},
    error::{finite, positive},
    special::{standard_normal_cdf, standard_normal_quantile},
    univariate::univariate,
};

/// The univariate Gaussian `N(μ, σ²)`, `ln p(x) = −½ [ln 2πσ² + (x − μ)²/σ²]`.
///
/// With `x` in unit `u`, `mean` is in `u` and `variance` in `u²`. Maximum likelihood divides by `n`, not by `n − 1`.
/// NaN in data is a missing value: it scores 0 and is not observed.
///
/// ```
/// use elbo_core::Family;
/// use elbo_dist::Gaussian;
///
/// let mut gaussian = Gaussian::new(1e8, 1.0)?; // moments are taken about its mean
/// let mut stats = gaussian.new_stats();
/// gaussian.observe(&mut stats, &[1e8 + 1.0, 1e8 + 3.0], &[1.0, 1.0]);
/// gaussian.clone().maximize(&stats, &mut gaussian).unwrap();
/// assert_eq!(gaussian.mean(), 1e8 + 2.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Bishop (2006), section 2.3.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Gaussian {
    mean: f64,
    variance: f64,
}

impl Gaussian {
    /// `N(mean, variance)`.
    ///
    /// # Errors
    ///
    /// If `mean` is not finite, or `variance` not positive and finite.
    pub fn new(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        Ok(Self { mean: finite("mean", mean)?, variance: positive("variance", variance)? })
    }

    /// `μ`, in the unit of the data.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// `σ²`, in the squared unit of the data.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// `σ`, in the unit of the data.
    pub fn std_dev(&self) -> f64 {
        self.variance.sqrt()
    }

    /// `ln p(x)`, in nats.
    pub fn log_density(&self, x: f64) -> f64 {
        Packed::point(self).score(x)
    }

    /// `P(X ≤ x)`.
    pub fn cdf(&self, x: f64) -> f64 {
        standard_normal_cdf((x - self.mean) / self.std_dev())
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        self.mean + self.std_dev() * standard_normal_quantile(p)
    }

    /// `½ ln 2πeσ²`, in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * (1.0 + TAU.ln() + self.variance.ln())
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    pub(crate) fn prepared(&self) -> impl Distribution<f64> + use<> {
        let (mean, std_dev) = (self.mean, self.std_dev());
        StandardNormal.map(move |z: f64| mean + std_dev * z)
    }
}

univariate!(Gaussian, f64, log_density);

impl FlatParameters for Gaussian {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.mean, self.variance.ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { mean: at[0], variance: at[1].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("mean", self.mean, Range::Real);
        see("variance", self.variance, Range::Positive);
    }
}

impl ExpectedLogLikelihood for Gaussian {
    fn score_into(&self, stats: &GaussianStats, _: &[f64], out: &mut [f64]) {
        let [weight, first, second] = stats.about(self.mean);
        out.copy_from_slice(&[first / self.variance, 0.5 * (second / self.variance - weight)]);
    }

    /// A missing value is no observation at all.
    fn is_complete(&self, _: &[f64]) -> bool {
        true
    }
}

/// Weighted sufficient statistics of a [`Gaussian`]: `Σw`, `Σw(x − c)` and `Σw(x − c)²` about an origin `c`.
///
/// The origin is the component's current mean, so that data far from zero do not cancel as they would in raw power
/// sums, while observing stays a plain sum. Merging across origins recentres by the binomial formula; statistics of
/// nothing take over the other's origin. With `x` in unit `u`, the sums are in observations, `u` and `u²`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GaussianStats {
    origin: f64,
    sums: [f64; 3],
}

impl GaussianStats {
    /// No data, moments about `origin`.
    pub fn new(origin: f64) -> Self {
        Self { origin, sums: [0.0; 3] }
    }

    /// The point `c` about which moments are taken.
    pub fn origin(&self) -> f64 {
        self.origin
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// Weighted mean; NaN without data.
    pub fn mean(&self) -> f64 {
        self.origin + self.sums[1] / self.sums[0]
    }

    /// Weighted mean minus `point`, not rounded to the place of the mean; NaN without data.
    pub(crate) fn mean_from(&self, point: f64) -> f64 {
        (self.origin - point) + self.sums[1] / self.sums[0]
    }

    /// `Σw(x − mean)²`; NaN without data. Rounding may leave a negative number of size `ε Σw(x − c)²`.
    pub fn scatter(&self) -> f64 {
        self.sums[2] - self.sums[1] * (self.sums[1] / self.sums[0])
    }

    /// `Σw(x − mean)² / Σw`, the maximum-likelihood variance; NaN without data.
    pub fn variance(&self) -> f64 {
        self.scatter() / self.sums[0]
    }

    /// Is the scatter more than what rounding leaves of `Σw(x − c)²`? Each sum carries up to some thousand roundings.
    fn is_scattered(&self) -> bool {
        self.scatter() > RESOLUTION * self.sums[2]
    }

    /// Could these be the statistics of some weighted data, up to rounding?
    pub(crate) fn is_feasible(&self) -> bool {
        let [weight, first, second] = self.sums;
        if !(self.origin.is_finite() && self.sums.iter().all(|s| s.is_finite())) {
            return false;
        }
        if weight == 0.0 {
            return first == 0.0 && second == 0.0;
        }
        weight > 0.0 && second >= 0.0 && self.scatter() >= -RESOLUTION * second
    }

    /// The same sums about another point.
    fn about(&self, origin: f64) -> [f64; 3] {
        let shift = self.origin - origin;
        let [weight, first, second] = self.sums;
        if shift == 0.0 {
            return self.sums;
        }
        [weight, first + shift * weight, second + shift * (2.0 * first + shift * weight)]
    }
}

impl Statistics for GaussianStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // three units, three parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.origin));
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.origin));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        if self.sums.iter().all(|s| *s == 0.0) {
            self.origin = other.origin;
        }
        add_scaled(&mut self.sums, factor, &other.about(self.origin));
    }

    fn align(&mut self, like: &Self) {
        *self = Self { origin: like.origin, sums: self.about(like.origin) };
    }
}

/// The blocks of parameters of a Gaussian, for [`Hold`](elbo_core::Hold).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GaussianBlock {
    /// The mean.
    Mean,
    /// The variance, or covariance.
    Covariance,
}

impl Blocks for Gaussian {
    type Block = GaussianBlock;

    fn hold(&self, block: GaussianBlock, stats: &mut GaussianStats) {
        let [weight, first, second] = stats.about(self.mean);
        let sums = match block {
            GaussianBlock::Mean => [weight, 0.0, second],
            // The variance of one that is this wide: Σw(x − μ)² = wσ² about the new mean.
            GaussianBlock::Covariance => {
                let between = if weight > 0.0 { first * (first / weight) } else { 0.0 };
                [weight, first, weight * self.variance + between]
            }
        };
        *stats = GaussianStats { origin: self.mean, sums };
    }

    fn keep(&self, block: GaussianBlock, next: &mut Self) {
        match block {
            GaussianBlock::Mean => next.mean = self.mean,
            GaussianBlock::Covariance => next.variance = self.variance,
        }
    }

    fn block_parameters(&self, _: GaussianBlock, k: usize) -> usize {
        k
    }
}

/// `k` Gaussians, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianPacked {
    components: Vec<Packed>,
}

impl GaussianPacked {
    /// Rows are scored by `constant − ½ (inverse_scale · (x − center))²`.
    pub(crate) fn set(&mut self, j: usize, center: f64, inverse_scale: f64, constant: f64) {
        self.components[j] = Packed { center, inverse_scale, constant };
    }
}

/// One component: `constant − ½ (inverse_scale · (x − center))²`. Scaling before squaring keeps extreme units from
/// overflowing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    center: f64,
    inverse_scale: f64,
    constant: f64,
}

impl Packed {
    fn point(gaussian: &Gaussian) -> Self {
        Self {
            center: gaussian.mean,
            inverse_scale: 1.0 / gaussian.std_dev(),
            constant: -0.5 * (TAU.ln() + gaussian.variance.ln()),
        }
    }

    fn score(&self, x: f64) -> f64 {
        let z = self.inverse_scale * (x - self.center);
        let score = self.constant - 0.5 * z * z;
        if x.is_nan() { 0.0 } else { score } // what is missing says nothing
    }
}

impl Family for Gaussian {
    type Batch<'a> = &'a [f64];
    type Stats = GaussianStats;
    type Packed = GaussianPacked;
    type Scratch = ();

    const OBSERVES_WHAT_IT_SCORED: bool = false;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_finite_or_missing(data)
    }

    fn new_stats(&self) -> GaussianStats {
        GaussianStats::new(self.mean)
    }

    fn new_packed(&self, k: usize) -> GaussianPacked {
        GaussianPacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &GaussianPacked) {}

    fn pack(&self, j: usize, packed: &mut GaussianPacked) {
        packed.components[j] = Packed::point(self);
    }

    fn score_all(packed: &GaussianPacked, data: &[f64], mut out: MatrixMut<'_>, (): &mut ()) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        for (j, component) in packed.components.iter().enumerate() {
            for (out, x) in out.row_mut(j).iter_mut().zip(data) {
                *out = component.score(*x);
            }
        }
    }

    fn reset_all(packed: &GaussianPacked, stats: &mut [GaussianStats]) {
        for (stats, component) in stats.iter_mut().zip(&packed.components) {
            *stats = GaussianStats::new(component.center);
        }
    }

    fn observe_all(
        _: &GaussianPacked,
        stats: &mut [GaussianStats],
        data: &[f64],
        weights: Matrix<'_>,
        (): &mut (),
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, stats) in stats.iter_mut().enumerate() {
            let sums = weighted_moments(stats.origin, data, weights.row(j));
            add_scaled(&mut stats.sums, 1.0, &sums);
        }
    }

    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let mean = if data[row].is_nan() { self.mean } else { data[row] };
        Ok(Self { mean, ..*self })
    }

    fn maximize(&self, stats: &GaussianStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let weight = stats.total_weight();
        if !stats.is_feasible() {
            return Err(EstimateError::Infeasible { component: 0, what: "Gaussian" });
        }
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let variance = stats.variance();
        if !(stats.is_scattered() && variance > 0.0) {
            return Err(EstimateError::Singular { component: 0, column: 0, variance });
        }
        *next = Self { mean: stats.mean(), variance };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> GaussianStats {
        GaussianStats { origin: self.mean, sums: [weight, 0.0, weight * self.variance] }
    }

    fn write_natural(&self, like: &GaussianStats, out: &mut Vec<f64>) -> bool {
        let (shift, precision) = (self.mean - like.origin, self.variance.recip());
        let constant = -0.5 * (self.variance.ln() + shift * shift * precision);
        out.extend([constant, shift * precision, -0.5 * precision]);
        true
    }

    /// Where the mean lies within a standard deviation of the origin.
    fn is_maximized_at_once(&self, stats: &GaussianStats) -> bool {
        let shift = stats.mean() - stats.origin;
        shift * shift <= stats.variance()
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    fn relative_spread(&self, all: &GaussianStats) -> f64 {
        let whole = all.variance();
        if whole > 0.0 { self.variance / whole } else { 1.0 }
    }
}

/// What is below this share of `Σw(x − c)²` in a scatter is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// `Σw`, `Σw(x − c)`, `Σw(x − c)²` of what is not missing. A row of weight zero counts for nothing, even where its square
/// overflows.
fn weighted_moments(origin: f64, data: &[f64], weights: &[f64]) -> [f64; 3] {
    let mut sums = [[0.0; LANES]; 3];
    let mut add = |lane: usize, x: f64, w: f64| {
        let w = if x.is_nan() { 0.0 } else { w };
        let d = if w == 0.0 { 0.0 } else { x - origin };
        sums[0][lane] += w;
        sums[1][lane] += w * d;
        sums[2][lane] += w * d * d;
    };
    let (rows, weight_rows) = (data.chunks_exact(LANES), weights.chunks_exact(LANES));
    for (lane, (x, w)) in rows.remainder().iter().zip(weight_rows.remainder()).enumerate() {
        add(lane, *x, *w);
    }
    for (x, w) in rows.zip(weight_rows) {
        for lane in 0..LANES {
            add(lane, x[lane], w[lane]);
        }
    }
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    mean: f64,
    variance: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Gaussian {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.mean, p.variance)
    }
}
