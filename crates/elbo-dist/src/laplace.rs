//! The Laplace distribution.

use std::f64::consts::LN_2;

use elbo_core::{
    DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Statistics, add_scaled, take_front,
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1};

use crate::{
    ParameterError,
    block::{check_finite_or_missing, check_shape},
    error::{finite, positive},
    univariate::univariate,
};

/// The Laplace distribution, `ln p(x) = −ln 2b − |x − μ|/b`.
///
/// With `x` in unit `u`, the median `μ` and the scale `b`, the mean distance from it, are in `u`. NaN in data is a missing
/// value: it scores 0 and is not observed.
///
/// ```
/// use elbo_dist::Laplace;
///
/// let laplace = Laplace::estimate(&[0.0, 1.0, 9.0], &[1.0; 3]).unwrap();
/// assert_eq!((laplace.median(), laplace.scale()), (1.0, 3.0));
/// ```
///
/// # Estimation
///
/// The exact answer for one sample is the weighted median, [`estimate`](Self::estimate). It has no sufficient statistics
/// of fixed length, so as a component the Laplace is a Gaussian of exponentially distributed variance (Phillips 2002):
/// [`LaplaceStats`] weigh every row by `1/δ`, `δ = |x − μ₀|` at the current median `μ₀`. As
/// `|x − μ| ≤ ½[(x − μ)²/δ + δ]`, with equality at `μ₀`, no step of [`maximize`](Family::maximize) lowers the likelihood.
/// Rows at `μ₀` itself, where that weight is infinite, enter with their distance `|μ − μ₀|` as it is: the step is zero
/// exactly if the rows there outweigh the pull of the others, and `μ₀` then is the weighted median.
///
/// Towards a median among many observations the distance falls by a factor of about `1 − 1/ln n` per step; next to an
/// observation that is the median by about `|g|/w`, with `w` its weight and `g < w` the pull of all others. Between the two
/// middle ones of an even number the likelihood is flat, and any point is a fixed point.
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1995), *Continuous Univariate Distributions*, volume 2, chapter 24. Phillips (2002),
/// *Least absolute deviations estimation via the EM algorithm*, Stat. Comput. 12(3).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Laplace {
    median: f64,
    scale: f64,
}

impl Laplace {
    /// Median `μ` and scale `b`.
    ///
    /// # Errors
    ///
    /// If `median` is not finite, or `scale` not positive and finite.
    pub fn new(median: f64, scale: f64) -> Result<Self, ParameterError> {
        Ok(Self { median: finite("median", median)?, scale: positive("scale", scale)? })
    }

    /// The exact maximum-likelihood estimate: the weighted median, and the weighted mean distance from it.
    ///
    /// Where half the weight lies on either side, the median is the middle of the two observations in question. Missing
    /// values and weights of zero do not count. Cost: `O(n)`, by repeated selection in a copy of the data.
    ///
    /// # Errors
    ///
    /// [`EstimateError::NoWeight`] without an observation, [`EstimateError::Singular`] if all are equal,
    /// [`EstimateError::Infeasible`] if a value is infinite or a weight negative or not finite.
    ///
    /// # Panics
    ///
    /// If there is not one weight per value.
    pub fn estimate(data: &[f64], weights: &[f64]) -> Result<Self, EstimateError> {
        assert_eq!(data.len(), weights.len(), "one weight per value");
        let given = data.iter().zip(weights).filter(|(x, w)| !x.is_nan() && **w != 0.0);
        let mut rows: Vec<(f64, f64)> = given.map(|(x, w)| (*x, *w)).collect();
        if rows.iter().any(|(x, w)| !(x.is_finite() && *w > 0.0 && w.is_finite())) {
            return Err(EstimateError::Infeasible { component: 0, what: "Laplace distribution" });
        }
        if rows.is_empty() {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        let median = weighted_median(&mut rows);
        let total: f64 = rows.iter().map(|(_, w)| w).sum();
        let scale = rows.iter().map(|(x, w)| w / total * (x - median).abs()).sum::<f64>();
        if scale > 0.0 {
            Ok(Self { median, scale })
        } else {
            Err(EstimateError::Singular { component: 0, column: 0, variance: 0.0 })
        }
    }

    /// `μ`, in the unit of the data.
    pub fn median(&self) -> f64 {
        self.median
    }

    /// `b = E|x − μ|`, in the unit of the data.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `ln p(x)`, in nats.
    pub fn log_density(&self, x: f64) -> f64 {
        Packed::point(self).score(x)
    }

    /// `P(X ≤ x)`.
    pub fn cdf(&self, x: f64) -> f64 {
        let z = (x - self.median) / self.scale;
        if z < 0.0 { 0.5 * z.exp() } else { 1.0 - 0.5 * (-z).exp() }
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        let side = if p < 0.5 { 1.0 } else { -1.0 };
        // 2p and 1 − p are exact; adding logarithms instead would lose the digits beside one half.
        self.median + side * self.scale * (2.0 * p.min(1.0 - p)).ln()
    }

    /// `μ`.
    pub fn mean(&self) -> f64 {
        self.median
    }

    /// `2b²`.
    pub fn variance(&self) -> f64 {
        2.0 * self.scale * self.scale
    }

    /// `1 + ln 2b`, in nats.
    pub fn entropy(&self) -> f64 {
        1.0 + LN_2 + self.scale.ln()
    }

    /// `KL(self ‖ other) = ln(b′/b) + [|μ − μ′| + b e^(−|μ − μ′|/b)]/b′ − 1`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let z = (self.median - other.median).abs() / self.scale;
        let ratio = self.scale / other.scale;
        // z + e⁻ᶻ − 1 and r − 1 − ln r, each without cancellation to speak of; both are never negative.
        let of_scale = (ratio - 1.0) - (ratio - 1.0).ln_1p();
        ratio * (z + (-z).exp_m1()) + of_scale
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> Sampler {
        Sampler { median: self.median, scale: self.scale }
    }
}

univariate!(Laplace, f64, log_density);

/// A distance and a side.
struct Sampler {
    median: f64,
    scale: f64,
}

impl Distribution<f64> for Sampler {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let distance: f64 = rng.sample(Exp1);
        let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
        self.median + sign * self.scale * distance
    }
}

impl FlatParameters for Laplace {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.median, self.scale.ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { median: at[0], scale: at[1].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("median", self.median, Range::Real);
        see("scale", self.scale, Range::Positive);
    }
}

/// Rows nearer to the median than this many scales are at the median: moving them there changes no density by more than
/// rounding.
const FLOOR: f64 = 1e-13;

/// The weighted median of rows `(x, w)`, in an order that changes.
///
/// Selection splits the rows that are left in two halves; the half that holds the median goes on.
fn weighted_median(rows: &mut [(f64, f64)]) -> f64 {
    let half = 0.5 * rows.iter().map(|(_, w)| w).sum::<f64>();
    let (mut from, mut to, mut before) = (0, rows.len(), 0.0);
    loop {
        let middle = from + (to - from) / 2;
        rows[from..to].select_nth_unstable_by(middle - from, |a, b| a.0.total_cmp(&b.0));
        let left: f64 = rows[from..middle].iter().map(|(_, w)| w).sum();
        let (value, weight) = rows[middle];
        let below = before + left;
        if below > half && middle > from {
            to = middle;
        } else if below + weight < half && middle + 1 < to {
            (from, before) = (middle + 1, below + weight);
        } else {
            return between(rows, middle, value, [below, below + weight].map(|w| w - half));
        }
    }
}

/// The median where row `middle` holds it: halfway to its neighbor if exactly half the weight is on one of its sides.
fn between(rows: &[(f64, f64)], middle: usize, value: f64, [below, above]: [f64; 2]) -> f64 {
    let neighbor = if above == 0.0 {
        rows[middle + 1..].iter().map(|(x, _)| *x).reduce(f64::min)
    } else if below == 0.0 {
        rows[..middle].iter().map(|(x, _)| *x).reduce(f64::max)
    } else {
        None
    };
    neighbor.map_or(value, |other| value.midpoint(other))
}

/// Weighted statistics of a [`Laplace`], taken at a current median `μ₀`: with `δ = |x − μ₀|` and an origin `c`, `Σw`, `Σw/δ`,
/// `Σw(x − c)/δ`, `Σw(x − c)²/δ` and `Σwδ`, the last four without rows at the median, `δ ≤ 10⁻¹³ b₀`; and the weight `w₀` of
/// those.
///
/// They are taken with `c = μ₀`; merging across origins recenters by the binomial formula, and rows at one's own median
/// become rows at a distance of the other's. With `x` in unit `u`, the sums are in observations, `1/u`, observations, `u`, `u` and
/// observations.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LaplaceStats {
    origin: f64,
    sums: [f64; 6],
}

impl LaplaceStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// The next median: the least point of `½Σw(x − μ)²/δ + w₀|μ − c|`; the origin without data.
    pub fn median(&self) -> f64 {
        self.origin + self.step()
    }

    /// The next scale: `Σw[(x − median)²/δ + δ]/2Σw`, rows at the origin by their distance; NaN without data.
    pub fn mean_distance(&self) -> f64 {
        let [weight, mass, first, second, distance, held] = self.sums;
        let step = self.step();
        let scatter = second + step * (step * mass - 2.0 * first);
        (0.5 * (scatter + distance) + held * step.abs()) / weight
    }

    /// From the origin to the next median: the pull of the other rows less that of the rows here, if it is more than that.
    fn step(&self) -> f64 {
        let [_, mass, first, .., held] = self.sums;
        let pull = (first.abs() - held).max(0.0);
        if pull > 0.0 { pull.copysign(first) / mass } else { 0.0 }
    }

    fn is_empty(&self) -> bool {
        self.sums.iter().all(|s| *s == 0.0)
    }

    fn is_feasible(&self) -> bool {
        let [weight, mass, first, second, distance, held] = self.sums;
        let finite = self.origin.is_finite() && self.sums.iter().all(|s| s.is_finite());
        // By the inequality of Cauchy and Schwarz: Σw/δ · Σwδ ≥ (Σw)², Σw/δ · Σwx²/δ ≥ (Σwx/δ)².
        let others = weight - held;
        finite
            && weight > 0.0
            && [mass, second, distance, held].iter().all(|s| *s >= 0.0)
            && others >= -RESOLUTION * weight
            && mass * distance >= others * (others - RESOLUTION * weight)
            && mass * second - first * first >= -RESOLUTION * mass * second
    }

    fn about(&self, origin: f64) -> [f64; 6] {
        let shift = self.origin - origin;
        if shift == 0.0 {
            return self.sums;
        }
        let [weight, mut mass, first, second, mut distance, held] = self.sums;
        let mut moved = [first + shift * mass, second + shift * (2.0 * first + shift * mass)];
        if held != 0.0 {
            let away = shift.abs();
            mass += held / away;
            moved = [moved[0] + held * shift.signum(), moved[1] + held * away];
            distance += held * away;
        }
        [weight, mass, moved[0], moved[1], distance, 0.0]
    }
}

impl Statistics for LaplaceStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum)));
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
        if self.is_empty() {
            self.origin = other.origin;
        }
        add_scaled(&mut self.sums, factor, &other.about(self.origin));
    }

    fn align(&mut self, like: &Self) {
        *self = Self { origin: like.origin, sums: self.about(like.origin) };
    }
}

/// `k` Laplace distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct LaplacePacked {
    components: Vec<Packed>,
}

/// One component: `constant − |x − center| / scale`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    center: f64,
    scale: f64,
    constant: f64,
}

impl Packed {
    fn point(of: &Laplace) -> Self {
        Self { center: of.median, scale: of.scale, constant: -(LN_2 + of.scale.ln()) }
    }

    fn score(&self, x: f64) -> f64 {
        let score = self.constant - (x - self.center).abs() / self.scale;
        if x.is_nan() { 0.0 } else { score }
    }
}

impl Family for Laplace {
    type Batch<'a> = &'a [f64];
    type Stats = LaplaceStats;
    type Packed = LaplacePacked;
    type Scratch = ();

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_finite_or_missing(data)
    }

    fn new_stats(&self) -> LaplaceStats {
        LaplaceStats { origin: self.median, sums: [0.0; 6] }
    }

    fn new_packed(&self, k: usize) -> LaplacePacked {
        LaplacePacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &LaplacePacked) {}

    fn pack(&self, j: usize, packed: &mut LaplacePacked) {
        packed.components[j] = Packed::point(self);
    }

    fn score_all(packed: &LaplacePacked, data: &[f64], mut out: MatrixMut<'_>, (): &mut ()) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        for (j, component) in packed.components.iter().enumerate() {
            for (out, x) in out.row_mut(j).iter_mut().zip(data) {
                *out = component.score(*x);
            }
        }
    }

    fn reset_all(packed: &LaplacePacked, stats: &mut [LaplaceStats]) {
        for (stats, component) in stats.iter_mut().zip(&packed.components) {
            *stats = LaplaceStats { origin: component.center, sums: [0.0; 6] };
        }
    }

    /// The rows are weighed at the packed parameters, wherever the statistics have their origin.
    fn observe_all(
        packed: &LaplacePacked,
        stats: &mut [LaplaceStats],
        data: &[f64],
        weights: Matrix<'_>,
        (): &mut (),
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, (stats, at)) in stats.iter_mut().zip(&packed.components).enumerate() {
            let sums = tangent_sums(at, data, weights.row(j));
            let sums = LaplaceStats { origin: at.center, sums }.about(stats.origin);
            add_scaled(&mut stats.sums, 1.0, &sums);
        }
    }

    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let median = if data[row].is_nan() { self.median } else { data[row] };
        Ok(Self { median, ..*self })
    }

    fn maximize(&self, stats: &LaplaceStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        if stats.is_empty() {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        if !stats.is_feasible() {
            return Err(EstimateError::Infeasible { component: 0, what: "Laplace distribution" });
        }
        let (median, scale) = (stats.median(), stats.mean_distance());
        // Nothing but rows at the median, or all but: a point mass.
        if !(scale > FLOOR * self.scale && scale.is_normal()) {
            let variance = scale * scale;
            return Err(EstimateError::Singular { component: 0, column: 0, variance });
        }
        *next = Self { median, scale };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> LaplaceStats {
        let (mass, distance) = (weight * EXPECTED_INVERSE / self.scale, weight * self.scale);
        let sums = [weight, mass, 0.0, distance, distance, weight * FLOOR];
        LaplaceStats { origin: self.median, sums }
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    fn relative_spread(&self, all: &LaplaceStats) -> f64 {
        let ratio = self.scale / all.mean_distance();
        if ratio.is_finite() { ratio * ratio } else { 1.0 }
    }
}

/// `E[b/δ; δ > fb] = E₁(f) = −γ − ln f + O(f)` at `f = 10⁻¹³`.
const EXPECTED_INVERSE: f64 = 29.356_390_544_021_06;

/// What is below this share of the terms added is rounding: `2¹⁰` units in the last place.
const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// The sums of [`LaplaceStats`] over a block; what is missing or of weight zero counts for nothing.
fn tangent_sums(at: &Packed, data: &[f64], weights: &[f64]) -> [f64; 6] {
    let floor = (FLOOR * at.scale).max(f64::MIN_POSITIVE);
    let mut sums = [[0.0; LANES]; 6];
    let mut add = |lane: usize, x: f64, w: f64| {
        let w = if x.is_nan() { 0.0 } else { w };
        let d = if w == 0.0 { 0.0 } else { x - at.center };
        let distance = d.abs();
        let (held, w_away) = if distance > floor { (0.0, w) } else { (w, 0.0) };
        sums[0][lane] += w;
        sums[1][lane] += w_away / distance.max(floor);
        sums[2][lane] += w_away.copysign(d);
        sums[3][lane] += w_away * distance;
        sums[5][lane] += held;
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
    sums[4] = sums[3]; // (x − c)²/δ = δ about the tangent's own origin
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    median: f64,
    scale: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Laplace {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.median, p.scale)
    }
}
