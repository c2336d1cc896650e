//! The Student t distribution.

mod dof;
mod stats;

use std::f64::consts::PI;

use elbo_core::{
    BLOCK, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    take_front,
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

pub use stats::StudentTStats;

use crate::{
    ParameterError,
    block::{check_finite_or_missing, check_shape},
    error::{finite, positive},
    gamma,
    quadrature::{half_line, interval},
    special::{beta_regularized_of, ln_gamma_ratio, standard_normal_quantile},
    univariate::univariate,
};

/// The Student t distribution with a location and a scale: with `z² = (x − μ)²/(νσ²)`,
/// `ln p(x) = ln Γ((ν + 1)/2) − ln Γ(ν/2) − ½ ln πνσ² − ½(ν + 1) ln(1 + z²)`.
///
/// A Gaussian whose outliers are expected: the fewer degrees of freedom `ν`, the heavier the tails. With `x` in unit `u`,
/// `location` and `scale` are in `u`; the scale is not the standard deviation. NaN in data is a missing value: it scores
/// 0 and is not observed. Rows farther than `10¹⁵⁰ √ν σ` from the location score as if they were that far.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::StudentT;
///
/// let data = [-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 100.0];
/// let fit = fit_single(StudentT::with_fixed_dof(0.0, 1.0, 3.0)?, &data[..]).unwrap();
/// assert!((fit.params.location() - 0.7248).abs() < 1e-4); // the mean is 14.9
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Estimation
///
/// There are no finite sufficient statistics. [`StudentTStats`] are taken at the current parameters, and
/// [`maximize`](Family::maximize) climbs a lower bound of the likelihood that touches it there; no step lowers it.
/// In `m = (ν + 1)/2` and `s = νσ²` the log-likelihood of `n` rows is
/// `n [ln Γ(m) − ln Γ(m − ½) − ½ ln πs + m ln s] − m Σ ln(s + (x − μ)²)`, and as the mean of logarithms is at most the
/// logarithm of the mean, the last sum is at most `Σ ln rᵢ + n ln (Σ (s + (xᵢ − μ)²)/rᵢ / n)` with `rᵢ` its terms at the
/// current parameters, where both agree. The bound has its maximum where `μ` and `σ²` are mean and variance
/// under weights `1/rᵢ`, which is the parameter-expanded EM step (Liu, Rubin & Wu 1998; Kent, Tyler & Vardi 1994), and
/// `ψ(m) − ψ(m − ½) − ln(1 + 1/ν)` is [`StudentTStats::spread`], which is solved exactly. Unlike in EM, whose bound
/// holds location and scale apart from `ν`, the likelihood's own dependence on `ν` is kept: EM nears the optimum by a factor of about
/// `1 − O(1/ν²)` per step in `ν`, this by `1 − O(1/ν)`. ECME (Liu & Rubin 1995), which maximizes the likelihood
/// itself over `ν`, would need a pass over the rows inside of the M-step.
///
/// Data without heavy tails want `ν = ∞`, where the likelihood is all but flat: a fit then ends wherever nothing is left
/// to gain. Estimates are confined to `ν ≤` [`MAX_DOF`](Self::MAX_DOF), beyond which the density is a Gaussian's to
/// `10⁻⁸`; [`is_gaussian`](Self::is_gaussian) tells that an estimate got there. Data of which a large part shares one
/// value make the likelihood unbounded: that is [`EstimateError::Singular`].
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1995), *Continuous Univariate Distributions*, volume 2, chapter 28.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct StudentT {
    location: f64,
    scale: f64,
    dof: f64,
    dof_is_fixed: bool,
}

impl StudentT {
    /// The most degrees of freedom that are estimated.
    pub const MAX_DOF: f64 = 1e8;

    /// Location `μ`, scale `σ` and degrees of freedom `ν`, all of which are estimated.
    ///
    /// # Errors
    ///
    /// If `location` is not finite, or one of the others not positive and finite.
    pub fn new(location: f64, scale: f64, dof: f64) -> Result<Self, ParameterError> {
        Ok(Self {
            location: finite("location", location)?,
            scale: positive("scale", scale)?,
            dof: positive("degrees of freedom", dof)?,
            dof_is_fixed: false,
        })
    }

    /// The same with degrees of freedom that estimation leaves alone.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_fixed_dof(location: f64, scale: f64, dof: f64) -> Result<Self, ParameterError> {
        Ok(Self { dof_is_fixed: true, ..Self::new(location, scale, dof)? })
    }

    /// `μ`, the median, in the unit of the data.
    pub fn location(&self) -> f64 {
        self.location
    }

    /// `σ`, in the unit of the data.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `ν`.
    pub fn dof(&self) -> f64 {
        self.dof
    }

    /// Does estimation leave the degrees of freedom alone?
    pub fn dof_is_fixed(&self) -> bool {
        self.dof_is_fixed
    }

    /// Are there so many degrees of freedom ([`MAX_DOF`](Self::MAX_DOF)) that this is a Gaussian in all but name?
    pub fn is_gaussian(&self) -> bool {
        self.dof >= Self::MAX_DOF
    }

    /// `ln p(x)`, in nats.
    pub fn log_density(&self, x: f64) -> f64 {
        Packed::point(self).score(x)
    }

    /// `P(X ≤ x)`, within some `10⁻¹⁴` of itself below the location; the upper tail is that of the mirrored point.
    ///
    /// Cost: a continued fraction of at most some `√ν` steps.
    pub fn cdf(&self, x: f64) -> f64 {
        let t = (x - self.location) / self.scale;
        if t <= 0.0 { upper_tail(-t, self.dof) } else { 1.0 - upper_tail(t, self.dof) }
    }

    /// The `x` with `P(X ≤ x) = p`; infinite where it exceeds the largest `f64`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        let side = if p < 0.5 { -1.0 } else { 1.0 };
        self.location + side * self.scale * upper_quantile(p.min(1.0 - p), self.dof)
    }

    /// `μ`; NaN for `ν ≤ 1`, where there is none.
    pub fn mean(&self) -> f64 {
        if self.dof > 1.0 { self.location } else { f64::NAN }
    }

    /// `νσ²/(ν − 2)`; infinite for `1 < ν ≤ 2`, NaN below.
    pub fn variance(&self) -> f64 {
        if self.dof > 2.0 {
            self.scale * self.scale * (self.dof / (self.dof - 2.0))
        } else if self.dof > 1.0 {
            f64::INFINITY
        } else {
            f64::NAN
        }
    }

    /// `½(ν + 1)[ψ((ν + 1)/2) − ψ(ν/2)] − ln p(μ)`, in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * (self.dof + 1.0) * expected_log(self.dof) - Packed::point(self).constant
    }

    /// `KL(self ‖ other)`, in nats, by quadrature within some `10⁻¹³` of the entropies; never negative.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let of = Packed::point(other);
        let shift = (other.location - self.location).abs() / self.scale;
        let unit = other.unit() / self.scale;
        let cross = of.constant - of.half * expected_log_about(self.dof, shift, unit);
        (-self.entropy() - cross).max(0.0) // what is negative is rounding
    }

    /// One draw: a Gaussian with a precision drawn from a gamma distribution. Draws beyond the largest `f64` are taken
    /// again.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> Sampler {
        let half = 0.5 * self.dof;
        Sampler { location: self.location, scale: self.scale, half, gamma: gamma::standard(half) }
    }

    /// `√ν σ`.
    fn unit(&self) -> f64 {
        self.dof.sqrt() * self.scale
    }
}

univariate!(StudentT, f64, log_density);

/// A Gaussian variable of which the precision, relative to `scale⁻²`, is a gamma variable.
struct Sampler {
    location: f64,
    scale: f64,
    half: f64,
    gamma: rand_distr::Gamma<f64>,
}

impl Distribution<f64> for Sampler {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        loop {
            let z: f64 = rng.sample(StandardNormal);
            let stretch = (self.half / self.gamma.sample(rng)).sqrt();
            let x = self.location + self.scale * (z * stretch);
            if x.is_finite() {
                return x;
            }
        }
    }
}

impl FlatParameters for StudentT {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.location, self.scale.ln()]);
        if !self.dof_is_fixed {
            out.push(self.dof.ln());
        }
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        let dof = if self.dof_is_fixed { self.dof } else { take_front(from, 1)[0].exp() };
        Self { location: at[0], scale: at[1].exp(), dof, ..*self }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("location", self.location, Range::Real);
        see("scale", self.scale, Range::Positive);
        see("degrees of freedom", self.dof, Range::Positive);
    }
}

/// `k` Student t distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct StudentTPacked {
    components: Vec<Packed>,
}

/// One component: `constant − half · ln(1 + z²)`, `z = (x − center)/unit`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    center: f64,
    unit: f64,
    constant: f64,
    half: f64,
}

impl Packed {
    fn point(of: &StudentT) -> Self {
        let constant = ln_gamma_ratio(0.5 * of.dof, 0.5) - 0.5 * (PI * of.dof).ln() - of.scale.ln();
        Self { center: of.location, unit: of.unit(), constant, half: 0.5 * (of.dof + 1.0) }
    }

    fn z(&self, x: f64) -> f64 {
        ((x - self.center) / self.unit).clamp(-FAR, FAR)
    }

    fn score(&self, x: f64) -> f64 {
        let z = self.z(x);
        if x.is_nan() { 0.0 } else { self.constant - self.half * (z * z).ln_1p() }
    }
}

/// Squares of numbers beyond this overflow.
const FAR: f64 = 1e150;

/// Logarithms of a block.
#[derive(Clone, Debug)]
pub struct StudentTScratch {
    logs: [f64; BLOCK],
}

impl StudentTScratch {
    /// `ln(1 + z²)` of every row; rows that `counts` refuses are taken to lie in the center.
    ///
    /// `ln(1 + t)` is the logarithm of the rounded sum plus what the rounding left out.
    fn logs(&mut self, at: &Packed, data: &[f64], counts: impl Fn(usize) -> bool) -> &[f64] {
        let logs = &mut self.logs[..data.len()];
        let square = |i: usize, x: f64| if counts(i) { at.z(x) * at.z(x) } else { 0.0 };
        for (i, (log, x)) in logs.iter_mut().zip(data).enumerate() {
            *log = 1.0 + square(i, *x);
        }
        elbo_linalg::ln_in_place(logs);
        for (i, (log, x)) in logs.iter_mut().zip(data).enumerate() {
            let t = square(i, *x);
            let sum = 1.0 + t;
            *log += (t - (sum - 1.0)) / sum;
        }
        logs
    }
}

impl Family for StudentT {
    type Batch<'a> = &'a [f64];
    type Stats = StudentTStats;
    type Packed = StudentTPacked;
    type Scratch = StudentTScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_finite_or_missing(data)
    }

    fn new_stats(&self) -> StudentTStats {
        StudentTStats::new(self.location, self.unit())
    }

    fn new_packed(&self, k: usize) -> StudentTPacked {
        StudentTPacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &StudentTPacked) -> StudentTScratch {
        StudentTScratch { logs: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut StudentTPacked) {
        packed.components[j] = Packed::point(self);
    }

    fn score_all(
        packed: &StudentTPacked,
        data: &[f64],
        mut out: MatrixMut<'_>,
        scratch: &mut StudentTScratch,
    ) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        for (j, at) in packed.components.iter().enumerate() {
            let logs = scratch.logs(at, data, |_| true);
            for (out, (x, log)) in out.row_mut(j).iter_mut().zip(data.iter().zip(logs)) {
                *out = if x.is_nan() { 0.0 } else { at.constant - at.half * log };
            }
        }
    }

    fn reset_all(packed: &StudentTPacked, stats: &mut [StudentTStats]) {
        for (stats, at) in stats.iter_mut().zip(&packed.components) {
            *stats = StudentTStats::new(at.center, at.unit);
        }
    }

    /// The rows are weighed at the packed parameters, wherever the statistics have their origin.
    fn observe_all(
        packed: &StudentTPacked,
        stats: &mut [StudentTStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut StudentTScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, (stats, at)) in stats.iter_mut().zip(&packed.components).enumerate() {
            let weights = weights.row(j);
            let counts = |i: usize| weights[i] != 0.0 && !data[i].is_nan();
            let logs = scratch.logs(at, data, counts);
            stats.add_at((at.center, at.unit), &tangent_sums(at, data, weights, logs));
        }
    }

    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let location = if data[row].is_nan() { self.location } else { data[row] };
        Ok(Self { location, ..*self })
    }

    fn maximize(&self, stats: &StudentTStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let dof = if self.dof_is_fixed {
            self.dof
        } else {
            dof::dof_of(stats.spread(), Self::MAX_DOF.max(self.dof))
        };
        let scale = stats.squared_scale().sqrt();
        *next = Self { location: stats.location(), scale, dof, ..*self };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> StudentTStats {
        let (share, complement) = (self.dof / (self.dof + 1.0), 1.0 / (self.dof + 1.0));
        let sums = [1.0, share, complement, expected_log(self.dof), 0.0, complement];
        StudentTStats::with_sums(self.location, self.unit(), sums.map(|sum| weight * sum))
    }

    fn free_parameters(&self, k: usize) -> usize {
        if self.dof_is_fixed { 2 * k } else { 3 * k }
    }

    fn relative_spread(&self, all: &StudentTStats) -> f64 {
        let whole = all.squared_scale();
        if whole > 0.0 { self.scale * self.scale / whole } else { 1.0 }
    }
}

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// The sums of [`StudentTStats`] over a block; what is missing or of weight zero counts for nothing.
fn tangent_sums(at: &Packed, data: &[f64], weights: &[f64], logs: &[f64]) -> [f64; 6] {
    let mut sums = [[0.0; LANES]; 6];
    let mut add = |lane: usize, x: f64, w: f64, log: f64| {
        let w = if x.is_nan() { 0.0 } else { w };
        let z = if w == 0.0 { 0.0 } else { at.z(x) };
        let square = z * z;
        let share = w / (1.0 + square);
        sums[0][lane] += w;
        sums[1][lane] += share;
        sums[2][lane] += share * square;
        sums[3][lane] += w * log;
        sums[4][lane] += share * z;
    };
    let (rows, weight_rows) = (data.chunks_exact(LANES), weights.chunks_exact(LANES));
    let log_rows = logs.chunks_exact(LANES);
    let rest = rows.remainder().iter().zip(weight_rows.remainder()).zip(log_rows.remainder());
    for (lane, ((x, w), log)) in rest.enumerate() {
        add(lane, *x, *w, *log);
    }
    for ((x, w), log) in rows.zip(weight_rows).zip(log_rows) {
        for lane in 0..LANES {
            add(lane, x[lane], w[lane], log[lane]);
        }
    }
    sums[5] = sums[2]; // 1 − q = qz² about the tangent's own origin
    sums.map(|lanes| lanes.iter().sum())
}

/// `E[ln(1 + T²/ν)] = ψ((ν + 1)/2) − ψ(ν/2)`.
fn expected_log(dof: f64) -> f64 {
    dof::gap_of(dof) + dof.recip().ln_1p()
}

/// `E[ln(1 + (T − shift)²/unit²)]` of a standard t.
fn expected_log_about(dof: f64, shift: f64, unit: f64) -> f64 {
    let standard = Packed::point(&StudentT { location: 0.0, scale: 1.0, dof, dof_is_fixed: true });
    // ln(1 + ((offset + eʸ)/unit)²), also where eʸ overflows.
    let log = |offset: f64, y: f64, unit: f64| {
        let z = (offset + y.exp()) / unit;
        if z.abs() < FAR { (z * z).ln_1p() } else { 2.0 * (y - unit.ln()) }
    };
    let log_density =
        |offset: f64, y: f64| standard.constant - standard.half * log(offset, y, standard.unit);
    let below = half_line(|y| (log_density(0.0, y) + y).exp() * log(shift, y, unit));
    let above = half_line(|y| (log_density(shift, y) + y).exp() * log(0.0, y, unit));
    let between = interval(shift, |from_zero, to_shift| {
        let z = to_shift / unit;
        standard.score(from_zero).exp() * (z * z).ln_1p()
    });
    below + between + above
}

/// `P(T > t)` of a standard t, `t ≥ 0`.
fn upper_tail(t: f64, dof: f64) -> f64 {
    let (z, half) = (t / dof.sqrt(), 0.5 * dof);
    if z > 1e8 {
        // The leading term; the next is smaller by z².
        return 0.5 * z.powf(-dof) * (-ln_gamma_ratio(half + 0.5, 0.5)).exp() / PI.sqrt();
    }
    let square = z * z;
    0.5 * beta_regularized_of(half, 0.5, 1.0 / (1.0 + square), square / (1.0 + square))
}

/// `P(0 < T < t)` of a standard t.
fn central(t: f64, dof: f64) -> f64 {
    let square = t / dof * t;
    if square < 1e16 {
        let (share, complement) = (1.0 / (1.0 + square), square / (1.0 + square));
        0.5 * beta_regularized_of(0.5, 0.5 * dof, complement, share)
    } else {
        0.5 - upper_tail(t, dof)
    }
}

/// The `t ≥ 0` with `P(T > t) = p ≤ ½`.
///
/// Newton's method on the logarithm of the smaller of `p` and `½ − p` as a function of `ln t`, which is concave: after
/// the first step it converges from one side.
fn upper_quantile(p: f64, dof: f64) -> f64 {
    if p == 0.0 || p >= 0.5 {
        return if p == 0.0 { f64::INFINITY } else { 0.0 };
    }
    let standard = Packed::point(&StudentT { location: 0.0, scale: 1.0, dof, dof_is_fixed: true });
    let in_tail = p < 0.25;
    let (target, sign) = if in_tail { (p, -1.0) } else { (0.5 - p, 1.0) };
    let mut t =
        if in_tail { -standard_normal_quantile(p) } else { target * (-standard.constant).exp() };
    let (mut below, mut last) = (0.0, f64::INFINITY);
    for _ in 0..100 {
        let value = if in_tail { upper_tail(t, dof) } else { central(t, dof) };
        if value == 0.0 {
            t = t.midpoint(below); // beyond underflow
            continue;
        }
        // t p(t) / P(T > t) tends to ν, to the last bit where squares would overflow.
        let far = t > 1e8 * standard.unit;
        let slope = sign * if far { dof } else { t * standard.score(t).exp() / value };
        let step = (target / value).ln() / slope;
        if step > 0.0 {
            below = t;
        }
        t *= step.exp();
        if !(step.abs() > 1e-16 && step.abs() < last) || t == f64::INFINITY {
            break;
        }
        last = if step.abs() < 0.1 { step.abs() } else { last };
    }
    t
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    location: f64,
    scale: f64,
    dof: f64,
    dof_is_fixed: bool,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for StudentT {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Ok(Self { dof_is_fixed: p.dof_is_fixed, ..Self::new(p.location, p.scale, p.dof)? })
    }
}
