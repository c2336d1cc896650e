//! The continuous uniform distribution.

use elbo_core::{
    DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
};
use elbo_linalg::{Kernel, Level, Simd};
use rand::{
    Rng,
    distr::{Distribution, StandardUniform},
};

use crate::{
    ParameterError,
    block::{check_finite_or_missing, check_shape},
    error::{finite, positive},
    univariate::univariate,
};

/// The uniform distribution on `[low, high]`, `ln p(x) = −ln(high − low)` there and `−∞` elsewhere.
///
/// As a component it is background noise over a range that is known: nothing of it is estimated, as the likelihood would
/// have it shrink onto the data it is given. For one sample, [`estimate`](Self::estimate) is the maximum-likelihood
/// answer. Both ends are in the unit of the data. Data outside of the range are allowed, as other components may explain
/// them. NaN is a missing value: it scores 0 and is not observed.
///
/// ```
/// use elbo_dist::Uniform;
///
/// let uniform = Uniform::estimate(&[3.0, 1.0, 2.0]).unwrap();
/// assert_eq!((uniform.low(), uniform.high()), (1.0, 3.0));
/// assert_eq!(uniform.log_density(4.0), f64::NEG_INFINITY);
/// ```
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1995), *Continuous Univariate Distributions*, volume 2, chapter 26. Uniform noise in a
/// mixture: Fraley & Raftery (1998), Comput. J. 41(8).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Uniform {
    low: f64,
    high: f64,
}

impl Uniform {
    /// The distribution on `[low, high]`.
    ///
    /// # Errors
    ///
    /// If an end is not finite, or `high − low` not positive and finite.
    pub fn new(low: f64, high: f64) -> Result<Self, ParameterError> {
        finite("low end", low)?;
        finite("high end", high)?;
        positive("width", high - low)?;
        Ok(Self { low, high })
    }

    /// The maximum-likelihood estimate: the least and the greatest of the data, NaN aside.
    ///
    /// # Errors
    ///
    /// [`EstimateError::NoWeight`] without an observation, [`EstimateError::Singular`] if all are equal,
    /// [`EstimateError::Infeasible`] if the width is not finite.
    pub fn estimate(data: &[f64]) -> Result<Self, EstimateError> {
        let given = data.iter().filter(|x| !x.is_nan());
        let (low, high) = given
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        if low > high {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        if low >= high {
            return Err(EstimateError::Singular { component: 0, column: 0, variance: 0.0 });
        }
        let infeasible = EstimateError::Infeasible { component: 0, what: "uniform distribution" };
        Self::new(low, high).map_err(|_| infeasible)
    }

    /// The least value, in the unit of the data.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The greatest value, in the unit of the data.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// `high − low`.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// `ln p(x)`, in nats.
    pub fn log_density(&self, x: f64) -> f64 {
        Packed::point(self).score(x)
    }

    /// `P(X ≤ x)`.
    pub fn cdf(&self, x: f64) -> f64 {
        ((x - self.low) / self.width()).clamp(0.0, 1.0)
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        // From the nearer end, so that both ends are met exactly.
        if p < 0.5 { self.low + p * self.width() } else { self.high - (1.0 - p) * self.width() }
    }

    /// `½(low + high)`.
    pub fn mean(&self) -> f64 {
        self.low.midpoint(self.high)
    }

    /// `(high − low)²/12`.
    pub fn variance(&self) -> f64 {
        self.width() * (self.width() / 12.0)
    }

    /// `ln(high − low)`, in nats.
    pub fn entropy(&self) -> f64 {
        self.width().ln()
    }

    /// `KL(self ‖ other)`, in nats: the log of the ratio of widths, or `∞` where `other` does not hold all of `self`.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        if other.low <= self.low && self.high <= other.high {
            (other.width() / self.width()).ln()
        } else {
            f64::INFINITY
        }
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> impl Distribution<f64> + use<> {
        let (low, width) = (self.low, self.width());
        StandardUniform.map(move |share: f64| low + share * width)
    }
}

univariate!(Uniform, f64, log_density);

impl FlatParameters for Uniform {
    fn write_unconstrained(&self, _: &mut Vec<f64>) {} // nothing is estimated

    fn with_unconstrained(&self, _: &mut &[f64]) -> Self {
        *self
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("low", self.low, Range::Real);
        see("high", self.high, Range::Real);
    }
}

/// `k` uniform distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct UniformPacked {
    components: Vec<Packed>,
}

/// One component: `inside` between `low` and `high`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    low: f64,
    high: f64,
    inside: f64,
}

impl Packed {
    fn point(of: &Uniform) -> Self {
        Self { low: of.low, high: of.high, inside: -of.width().ln() }
    }

    fn score(&self, x: f64) -> f64 {
        let score = if self.low <= x && x <= self.high { self.inside } else { f64::NEG_INFINITY };
        if x.is_nan() { 0.0 } else { score }
    }
}

struct Score<'a> {
    component: &'a Packed,
    data: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = ();

    #[allow(clippy::inline_always, reason = "inlined into the entry point of an instruction set")]
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (low, high) = (S::splat(self.component.low), S::splat(self.component.high));
        let (inside, outside) = (S::splat(self.component.inside), S::splat(f64::NEG_INFINITY));
        for (out, x) in self.out.chunks_mut(S::LANES).zip(self.data.chunks(S::LANES)) {
            let x = S::load_or(x, f64::NAN);
            let score = S::select(x.ge(low), inside, outside);
            let score = S::select(high.ge(x), score, outside);
            // what is missing says nothing
            S::select(x.ge(outside), score, S::splat(0.0)).store_head(out);
        }
    }
}

impl Family for Uniform {
    type Batch<'a> = &'a [f64];
    /// `Σw`, in observations.
    type Stats = [f64; 1];
    type Packed = UniformPacked;
    type Scratch = ();

    /// What lies outside of the range is no error: its density is zero.
    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_finite_or_missing(data)
    }

    fn new_stats(&self) -> [f64; 1] {
        [0.0]
    }

    fn new_packed(&self, k: usize) -> UniformPacked {
        UniformPacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &UniformPacked) {}

    fn pack(&self, j: usize, packed: &mut UniformPacked) {
        packed.components[j] = Packed::point(self);
    }

    fn score_all(packed: &UniformPacked, data: &[f64], mut out: MatrixMut<'_>, (): &mut ()) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        for (j, component) in packed.components.iter().enumerate() {
            Level::detect().dispatch(Score { component, data, out: out.row_mut(j) });
        }
    }

    fn observe_all(
        _: &UniformPacked,
        stats: &mut [[f64; 1]],
        data: &[f64],
        weights: Matrix<'_>,
        (): &mut (),
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, stats) in stats.iter_mut().enumerate() {
            let rows = data.iter().zip(weights.row(j));
            stats[0] += rows.map(|(x, w)| if x.is_nan() { 0.0 } else { *w }).sum::<f64>();
        }
    }

    /// Stays where it is: its range is not a matter of one observation.
    fn moved_to(&self, _: &[f64], _: usize) -> Result<Self, EstimateError> {
        Ok(*self)
    }

    /// Estimates nothing: `next` is `self`, also where no observation is left.
    fn maximize(&self, stats: &[f64; 1], next: &mut Self) -> Result<Repairs, EstimateError> {
        if !(stats[0] >= 0.0 && stats[0].is_finite()) {
            return Err(EstimateError::Infeasible { component: 0, what: "uniform distribution" });
        }
        *next = *self;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> [f64; 1] {
        [weight]
    }

    fn is_maximized_at_once(&self, _: &[f64; 1]) -> bool {
        true
    }

    fn free_parameters(&self, _: usize) -> usize {
        0
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    low: f64,
    high: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Uniform {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.low, p.high)
    }
}
