//! The von Mises distribution of angles.

use std::f64::consts::{PI, TAU};

use elbo_core::{
    BLOCK, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Statistics, add_scaled, take_front,
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::{
    ParameterError,
    block::{check_finite_or_missing, check_shape},
    error::{finite, not_negative},
    quadrature::interval,
    quantile,
    special::{ln_bessel_i_scaled, mean_resultant_complement, mean_resultant_length, sin_cos_into},
    univariate::univariate,
    von_mises_fisher::{Resultant, VonMisesFisherStats},
};

/// The von Mises distribution of an angle, `ln p(x) = κ cos(x − μ) − ln 2πI₀(κ)`: the Gaussian of the circle.
///
/// Angles are in radians; any real number is one, as whole turns do not count. The concentration `κ ≥ 0` is a pure number, for
/// large `κ` about the inverse of the variance; at `κ = 0` all angles are alike. What a function takes or gives as a number on
/// a line, such as [`cdf`](Self::cdf), [`quantile`](Self::quantile) and [`sample`](Self::sample), lies within half a turn of `μ`.
/// NaN in data is a missing value: it scores 0 and is not observed.
///
/// Of angles of one and the same value the concentration is infinite: [`EstimateError::Boundary`]. Of angles whose sines and
/// cosines cancel it is zero, and the mean stays where it was.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::VonMises;
///
/// let hours = [23.0, 1.0, 0.5, 22.5, 2.0];
/// let angles: Vec<f64> = hours.iter().map(|h| h / 24.0 * std::f64::consts::TAU).collect();
/// let fit = fit_single(VonMises::new(0.0, 1.0)?, &angles[..]).unwrap();
/// assert!(fit.params.mean().abs() < 0.1); // about midnight
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Mardia & Jupp (2000), *Directional Statistics*, sections 3.5.4 and 5.3.1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct VonMises {
    mean: f64,
    concentration: f64,
}

impl VonMises {
    /// Mean direction `μ`, in radians, and concentration `κ`.
    ///
    /// # Errors
    ///
    /// If `mean` is not finite, or `concentration` negative or not finite.
    pub fn new(mean: f64, concentration: f64) -> Result<Self, ParameterError> {
        Ok(Self {
            mean: finite("mean", mean)?,
            concentration: not_negative("concentration", concentration)?,
        })
    }

    /// The mean direction `μ`, in radians, as it was given; estimates lie in `[−π, π]`.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// `κ`.
    pub fn concentration(&self) -> f64 {
        self.concentration
    }

    /// `E[cos(X − μ)] = I₁(κ)/I₀(κ)`, from 0 for no concentration to 1.
    pub fn mean_resultant_length(&self) -> f64 {
        mean_resultant_length(2, self.concentration)
    }

    /// `1 − E[cos(X − μ)]`, from 0 to 1.
    pub fn circular_variance(&self) -> f64 {
        mean_resultant_complement(2, self.concentration)
    }

    /// `ln p(x)`, in nats; the same a whole turn later.
    pub fn log_density(&self, x: f64) -> f64 {
        let half_sine = (0.5 * (x - self.mean)).sin();
        let score = self.constant() - 2.0 * self.concentration * (half_sine * half_sine);
        if x.is_nan() { 0.0 } else { score }
    }

    /// The probability of the angles from `μ − π` up to `x`, which is first brought to within half a turn of `μ`.
    ///
    /// By quadrature, either tail within some `10⁻¹⁴` of itself. Cost: about 300 exponentials.
    pub fn cdf(&self, x: f64) -> f64 {
        let angle = self.angle_from_mean(x);
        if angle <= 0.0 { self.tail(-angle) } else { 1.0 - self.tail(angle) }
    }

    /// The `x` in `[μ − π, μ + π]` with `P(X ≤ x) = p`. Cost: some ten evaluations of [`cdf`](Self::cdf).
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        let side = if p < 0.5 { 1.0 } else { -1.0 };
        let density = |angle: f64| {
            let half_sine = (0.5 * angle).sin();
            (self.constant() - 2.0 * self.concentration * (half_sine * half_sine)).exp()
        };
        let start = -0.5 * self.concentration.max(1.0).sqrt().recip();
        let below = |angle: f64| self.tail(-angle);
        let found = quantile::continuous(p.min(1.0 - p), (-PI, 0.0), (start, 0.1), below, density);
        self.mean + side * found
    }

    /// `E[(X − μ)²]` of angles within half a turn of `μ`, in squared radians, by quadrature; see
    /// [`circular_variance`](Self::circular_variance) for one that does not depend on where the circle is cut.
    pub fn variance(&self) -> f64 {
        2.0 * self.integral(0.0, |angle| angle * angle)
    }

    /// `−E[ln p(X)]`, in nats.
    pub fn entropy(&self) -> f64 {
        self.concentration * self.circular_variance() - self.constant()
    }

    /// `KL(self ‖ other)`, in nats; never negative.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let half_sine = (0.5 * (self.mean - other.mean)).sin();
        let apart = 2.0 * half_sine * half_sine;
        let distance = self.circular_variance() + self.mean_resultant_length() * apart;
        let cross = other.constant() - other.concentration * distance;
        (-self.entropy() - cross).max(0.0) // what is negative is rounding
    }

    /// One draw, within half a turn of `μ`.
    ///
    /// Rejection from all angles alike below `κ = 1`, above it from the Gaussian that bounds the density by
    /// `|sin(x/2)| ≥ |x|/π`: at least 46 of 100 trials are taken, whatever the concentration.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> Sampler {
        let kappa = self.concentration;
        let std_dev = (kappa >= 1.0).then(|| 0.5 * PI / kappa.sqrt());
        Sampler { mean: self.mean, minus_two_kappa: -2.0 * kappa, std_dev }
    }

    /// Overwrites both parameters, which the caller knows to be an angle and a concentration.
    pub(crate) fn set(&mut self, mean: f64, concentration: f64) {
        *self = Self { mean, concentration };
    }

    /// `ln p(μ)`.
    fn constant(&self) -> f64 {
        -TAU.ln() - ln_bessel_i_scaled(0.0, self.concentration)
    }

    /// `x − μ`, less whole turns, in `[−π, π]`.
    fn angle_from_mean(&self, x: f64) -> f64 {
        let angle = x - self.mean;
        if angle.abs() <= PI { angle } else { angle - TAU * (angle / TAU).round() }
    }

    /// `P(X − μ > angle)`, for angles from 0 to `π`.
    fn tail(&self, angle: f64) -> f64 {
        self.integral(angle, |_| 1.0)
    }

    /// `∫ g(t) p(μ + t) dt` from `angle ≥ 0` to `π`, or to where the density has fallen by `e⁻⁶⁰`.
    fn integral(&self, angle: f64, g: impl Fn(f64) -> f64) -> f64 {
        let constant = self.constant();
        let fall = |by: f64| 2.0 * self.concentration * (angle + 0.5 * by).sin() * (0.5 * by).sin();
        let mut length = (PI - angle).max(0.0);
        while fall(0.5 * length) > 60.0 {
            length *= 0.5;
        }
        interval(length, |from_angle, _| {
            let t = angle + from_angle;
            let half_sine = (0.5 * t).sin();
            g(t) * (constant - 2.0 * self.concentration * (half_sine * half_sine)).exp()
        })
    }
}

univariate!(VonMises, f64, log_density);

/// Rejection from angles that are all alike, or from a Gaussian.
struct Sampler {
    mean: f64,
    minus_two_kappa: f64,
    /// Of the Gaussian.
    std_dev: Option<f64>,
}

impl Distribution<f64> for Sampler {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        loop {
            let (angle, bound) = if let Some(std_dev) = self.std_dev {
                let z: f64 = rng.sample(StandardNormal);
                (std_dev * z, -0.5 * z * z)
            } else {
                (PI * (2.0 * rng.random::<f64>() - 1.0), 0.0)
            };
            let half_sine = (0.5 * angle).sin();
            let log_ratio = self.minus_two_kappa * half_sine * half_sine - bound;
            if angle.abs() <= PI && rng.random::<f64>() < log_ratio.exp() {
                return self.mean + angle;
            }
        }
    }
}

/// The coordinates are those of the natural parameter, `(κ cos μ, κ sin μ)`, which covers the plane; at its origin, where
/// there is no direction, that of `self` is kept.
impl FlatParameters for VonMises {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        let (sin, cos) = self.mean.sin_cos();
        out.extend([self.concentration * cos, self.concentration * sin]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        let concentration = at[0].hypot(at[1]);
        let mean = if concentration > 0.0 { at[1].atan2(at[0]) } else { self.mean };
        Self { mean, concentration }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("mean", self.mean, Range::Real);
        see("concentration", self.concentration, Range::Positive);
    }
}

/// Weighted sufficient statistics of a [`VonMises`]: `Σw`, `Σw sin(x − c)` and `Σw[1 − cos(x − c)]` about an origin `c`.
///
/// The origin is the component's current mean, so that concentrated angles keep their digits. Merging across origins turns
/// the sums exactly. All are in observations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct VonMisesStats {
    origin: f64,
    sums: [f64; 3],
}

impl VonMisesStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// The direction of the sum of all unit vectors, in radians from `−π` to `π`; that of the origin where they cancel.
    pub fn mean(&self) -> f64 {
        let [weight, sine, rest] = self.sums;
        let mean = self.origin + sine.atan2(weight - rest);
        if mean.abs() <= PI { mean } else { mean - TAU * (mean / TAU).round() }
    }

    /// `|Σw(cos x, sin x)| / Σw`; NaN without data.
    pub fn mean_resultant_length(&self) -> f64 {
        self.resultant().length
    }

    pub(crate) fn resultant(&self) -> Resultant {
        let [weight, sine, rest] = self.sums;
        Resultant::new(weight, (weight - rest).hypot(sine), rest, rest.hypot(sine))
    }

    /// The same sums as those of unit vectors of two dimensions.
    pub(crate) fn as_directions(&self) -> VonMisesFisherStats {
        let [weight, sine, rest] = self.sums;
        let (sin, cos) = self.origin.sin_cos();
        let shift = vec![-rest * cos - sine * sin, -rest * sin + sine * cos];
        VonMisesFisherStats::with_sums(vec![cos, sin], weight, rest, shift)
    }

    fn about(&self, origin: f64) -> [f64; 3] {
        let turn = self.origin - origin;
        if turn == 0.0 {
            return self.sums;
        }
        let [weight, sine, rest] = self.sums;
        let (sin, cos) = turn.sin_cos();
        let half_sine = (0.5 * turn).sin();
        let away = 2.0 * half_sine * half_sine;
        [weight, sine * cos + (weight - rest) * sin, weight * away + rest * cos + sine * sin]
    }
}

impl Statistics for VonMisesStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.sums); // all are in observations
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.sums);
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

/// `k` von Mises distributions, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct VonMisesPacked {
    components: Vec<Packed>,
}

impl VonMisesPacked {
    pub(crate) fn set(&mut self, j: usize, mean: f64, constant: f64, concentration: f64) {
        let (sin, cos) = mean.sin_cos();
        self.components[j] = Packed { mean, cos, sin, concentration, constant };
    }
}

/// One component: `constant − ½ concentration · |e^{ix} − e^{i·mean}|²`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    mean: f64,
    cos: f64,
    sin: f64,
    concentration: f64,
    constant: f64,
}

/// Cosines and sines of a block, found once for all components.
#[derive(Clone, Debug)]
pub struct VonMisesScratch {
    cos: [f64; BLOCK],
    sin: [f64; BLOCK],
}

impl VonMisesScratch {
    fn fill(&mut self, data: &[f64]) -> (&[f64], &[f64]) {
        let (cos, sin) = (&mut self.cos[..data.len()], &mut self.sin[..data.len()]);
        sin_cos_into(data, sin, cos);
        (cos, sin)
    }
}

impl Family for VonMises {
    type Batch<'a> = &'a [f64];
    type Stats = VonMisesStats;
    type Packed = VonMisesPacked;
    type Scratch = VonMisesScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_finite_or_missing(data)
    }

    fn new_stats(&self) -> VonMisesStats {
        VonMisesStats { origin: self.mean, sums: [0.0; 3] }
    }

    fn new_packed(&self, k: usize) -> VonMisesPacked {
        VonMisesPacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &VonMisesPacked) -> VonMisesScratch {
        VonMisesScratch { cos: [0.0; BLOCK], sin: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut VonMisesPacked) {
        packed.set(j, self.mean, self.constant(), self.concentration);
    }

    fn score_all(
        packed: &VonMisesPacked,
        data: &[f64],
        mut out: MatrixMut<'_>,
        scratch: &mut VonMisesScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        let (cos, sin) = scratch.fill(data);
        for (j, at) in packed.components.iter().enumerate() {
            let half = 0.5 * at.concentration;
            for ((out, x), (cos, sin)) in
                out.row_mut(j).iter_mut().zip(data).zip(cos.iter().zip(sin))
            {
                let (c, s) = (cos - at.cos, sin - at.sin);
                let score = at.constant - half * (c * c + s * s);
                *out = if x.is_nan() { 0.0 } else { score };
            }
        }
    }

    fn reset_all(packed: &VonMisesPacked, stats: &mut [VonMisesStats]) {
        for (stats, at) in stats.iter_mut().zip(&packed.components) {
            *stats = VonMisesStats { origin: at.mean, sums: [0.0; 3] };
        }
    }

    fn observe_all(
        _: &VonMisesPacked,
        stats: &mut [VonMisesStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut VonMisesScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let (cos, sin) = scratch.fill(data);
        for (j, stats) in stats.iter_mut().enumerate() {
            let sums = weighted_sums(stats.origin, cos, sin, weights.row(j));
            add_scaled(&mut stats.sums, 1.0, &sums);
        }
    }

    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let mean = if data[row].is_nan() { self.mean } else { data[row] };
        Ok(Self { mean, ..*self })
    }

    fn maximize(&self, stats: &VonMisesStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let resultant = stats.resultant();
        let concentration = resultant.concentration(2, "von Mises distribution")?;
        let mean = if resultant.length > 0.0 { stats.mean() } else { self.mean };
        *next = Self { mean, concentration };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> VonMisesStats {
        VonMisesStats { origin: self.mean, sums: [weight, 0.0, weight * self.circular_variance()] }
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    /// The ratio of circular variances.
    fn relative_spread(&self, all: &VonMisesStats) -> f64 {
        let whole = all.resultant().complement;
        if whole > 0.0 { self.circular_variance() / whole } else { 1.0 }
    }
}

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// The sums of [`VonMisesStats`] over a block. With the unit vectors `u` of a row and `o` of the origin, `1 − cos` is half
/// the square of `u − o` and the sine is the product of `o`, turned by a right angle, with `u − o`: nothing cancels that the
/// rounding of `u` had not lost. What is missing or of weight zero counts for nothing.
fn weighted_sums(origin: f64, cos: &[f64], sin: &[f64], weights: &[f64]) -> [f64; 3] {
    let (origin_sin, origin_cos) = origin.sin_cos();
    let mut sums = [[0.0; LANES]; 3];
    let mut add = |lane: usize, cos: f64, sin: f64, w: f64| {
        let w = if cos.is_nan() { 0.0 } else { w };
        let c = if w == 0.0 { 0.0 } else { cos - origin_cos };
        let s = if w == 0.0 { 0.0 } else { sin - origin_sin };
        sums[0][lane] += w;
        sums[1][lane] += w * (origin_cos * s - origin_sin * c);
        sums[2][lane] += w * (0.5 * (c * c + s * s));
    };
    let rows = cos.chunks_exact(LANES).zip(sin.chunks_exact(LANES));
    for ((c, s), w) in rows.zip(weights.chunks_exact(LANES)) {
        for lane in 0..LANES {
            add(lane, c[lane], s[lane], w[lane]);
        }
    }
    for i in cos.len() - cos.len() % LANES..cos.len() {
        add(i % LANES, cos[i], sin[i], weights[i]);
    }
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    mean: f64,
    concentration: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for VonMises {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.mean, p.concentration)
    }
}
