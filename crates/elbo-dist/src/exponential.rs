//! The exponential distribution.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_core::{
    DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix, MatrixMut,
    Range, Repairs, Statistics, add_scaled, take_front,
};
use elbo_linalg::{Kernel, Level, Simd};
use rand::Rng;
use rand_distr::{Distribution, Exp1};

use crate::{
    ParameterError, block::check_shape, deviance::deviance_at, error::positive,
    support::check_not_negative, univariate::univariate,
};

/// Waiting times without memory: `ln p(x) = ln λ − λx` for `x ≥ 0`, with rate `λ` and mean `1/λ`.
///
/// With `x` in unit `u`, the rate is in `1/u`. NaN in data is a missing value: it scores 0 and is not observed; what is
/// negative or infinite is refused.
///
/// ```
/// use elbo_core::Family;
/// use elbo_dist::Exponential;
///
/// let start = Exponential::from_mean(1.0)?;
/// let mut stats = start.new_stats();
/// start.observe(&mut stats, &[1.0, 2.0, 6.0], &[1.0, 1.0, 0.5]);
/// let mut fitted = start;
/// start.maximize(&stats, &mut fitted).unwrap();
/// assert_eq!(fitted.rate(), 2.5 / 6.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1994), *Continuous Univariate Distributions*, volume 1, chapter 19.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Exponential {
    rate: f64,
}

impl Exponential {
    /// The distribution with mean `1 / rate`.
    ///
    /// # Errors
    ///
    /// If `rate` is not positive and finite.
    pub fn new(rate: f64) -> Result<Self, ParameterError> {
        Ok(Self { rate: positive("rate", rate)? })
    }

    /// The distribution with this mean, in the unit of the data.
    ///
    /// # Errors
    ///
    /// If `mean`, or its reciprocal, is not positive and finite.
    pub fn from_mean(mean: f64) -> Result<Self, ParameterError> {
        Self::new(positive("mean", mean)?.recip())
    }

    /// `λ`, in events per unit of the data.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// `1/λ`.
    pub fn mean(&self) -> f64 {
        self.rate.recip()
    }

    /// `1/λ²`.
    pub fn variance(&self) -> f64 {
        self.rate.recip() / self.rate
    }

    /// `ln p(x)`, in nats.
    pub fn log_density(&self, x: f64) -> f64 {
        Packed::point(*self).score(x)
    }

    /// `P(X ≤ x)`.
    pub fn cdf(&self, x: f64) -> f64 {
        if x <= 0.0 { 0.0 } else { -(-self.rate * x).exp_m1() }
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        -(-p).ln_1p() / self.rate
    }

    /// `1 − ln λ`, in nats.
    pub fn entropy(&self) -> f64 {
        1.0 - self.rate.ln()
    }

    /// `KL(self ‖ other) = r − 1 − ln r` with `r` the ratio of `other`'s rate to this one's, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        deviance_at((other.rate - self.rate) / self.rate, other.rate / self.rate)
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    fn prepared(self) -> impl Distribution<f64> + use<> {
        let mean = self.mean();
        Exp1.map(move |standard: f64| mean * standard)
    }

    /// Overwrites the rate, which the caller knows to be positive and finite.
    pub(crate) fn set(&mut self, rate: f64) {
        self.rate = rate;
    }
}

univariate!(Exponential, f64, log_density);

impl FlatParameters for Exponential {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.push(self.rate.ln());
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { rate: take_front(from, 1)[0].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("rate", self.rate, Range::Positive);
    }
}

impl ExpectedLogLikelihood for Exponential {
    fn score_into(&self, stats: &ExponentialStats, _: &[f64], out: &mut [f64]) {
        let [weight, total] = stats.sums;
        out[0] = weight - self.rate * total;
    }

    /// A missing value is no observation at all.
    fn is_complete(&self, _: &[f64]) -> bool {
        true
    }
}

/// Weighted sufficient statistics of an [`Exponential`]: `Σw`, in observations, and `Σwx`, in the unit of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExponentialStats {
    sums: [f64; 2],
}

impl ExponentialStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0]
    }

    /// `Σwx`, in the unit of the data.
    pub fn total(&self) -> f64 {
        self.sums[1]
    }

    /// Could these be the sums of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        let [weight, total] = self.sums;
        let possible = weight >= 0.0 && total >= 0.0 && (weight > 0.0 || total == 0.0);
        if possible && weight.is_finite() && total.is_finite() {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "exponential distribution" })
        }
    }
}

impl Statistics for ExponentialStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.sums.iter().for_each(|sum| see(std::slice::from_ref(sum))); // two units, two parts
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.sums.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        add_scaled(&mut self.sums, factor, &other.sums);
    }
}

/// `k` rates, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialPacked {
    components: Vec<Packed>,
}

impl ExponentialPacked {
    /// Rows are scored by `log_rate − rate · x`.
    pub(crate) fn set(&mut self, j: usize, log_rate: f64, rate: f64) {
        self.components[j] = Packed { log_rate, rate };
    }
}

/// One component: `log_rate − rate · x`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packed {
    log_rate: f64,
    rate: f64,
}

impl Packed {
    fn point(exponential: Exponential) -> Self {
        Self { log_rate: exponential.rate.ln(), rate: exponential.rate }
    }

    fn score(&self, x: f64) -> f64 {
        let score = if x >= 0.0 { self.log_rate - self.rate * x } else { f64::NEG_INFINITY };
        if x.is_nan() { 0.0 } else { score } // what is missing says nothing
    }
}

impl Family for Exponential {
    type Batch<'a> = &'a [f64];
    type Stats = ExponentialStats;
    type Packed = ExponentialPacked;
    type Scratch = ();

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_not_negative(data)
    }

    fn new_stats(&self) -> ExponentialStats {
        ExponentialStats::default()
    }

    fn new_packed(&self, k: usize) -> ExponentialPacked {
        ExponentialPacked { components: vec![Packed::default(); k] }
    }

    fn new_scratch(_: &ExponentialPacked) {}

    fn pack(&self, j: usize, packed: &mut ExponentialPacked) {
        packed.components[j] = Packed::point(*self);
    }

    fn score_all(packed: &ExponentialPacked, data: &[f64], mut out: MatrixMut<'_>, (): &mut ()) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        for (j, component) in packed.components.iter().enumerate() {
            Level::detect().dispatch(Score { component, data, out: out.row_mut(j) });
        }
    }

    fn observe_all(
        _: &ExponentialPacked,
        stats: &mut [ExponentialStats],
        data: &[f64],
        weights: Matrix<'_>,
        (): &mut (),
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, stats) in stats.iter_mut().enumerate() {
            let sums = Level::detect().dispatch(Observe { data, weights: weights.row(j) });
            add_scaled(&mut stats.sums, 1.0, &sums);
        }
    }

    fn maximize(
        &self,
        stats: &ExponentialStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let [weight, total] = stats.sums;
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let rate = weight / total;
        if !rate.is_finite() {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "rate",
                limit: "infinity",
                cure: "all its observations are 0: use fewer components or leave them out",
            });
        }
        *next = Self { rate };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> ExponentialStats {
        ExponentialStats { sums: [weight, weight / self.rate] }
    }

    fn write_natural(&self, _: &ExponentialStats, out: &mut Vec<f64>) -> bool {
        out.extend([self.rate.ln(), -self.rate]);
        true
    }

    fn is_maximized_at_once(&self, _: &ExponentialStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k
    }
}

struct Score<'a> {
    component: &'a Packed,
    data: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for Score<'_> {
    type Output = ();

    /// As [`Packed::score`], to rounding.
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (log_rate, rate) = (S::splat(self.component.log_rate), S::splat(-self.component.rate));
        let (zero, impossible) = (S::splat(0.0), S::splat(f64::NEG_INFINITY));
        for (i, out) in self.out.chunks_mut(S::LANES).enumerate() {
            let x = S::load_or(&self.data[i * S::LANES..], f64::NAN);
            let score = S::select(x.ge(zero), rate.mul_add(x, log_rate), impossible);
            S::select(x.ge(impossible), score, zero).store_head(out); // what is missing says nothing
        }
    }
}

struct Observe<'a> {
    data: &'a [f64],
    weights: &'a [f64],
}

impl Kernel for Observe<'_> {
    type Output = [f64; 2];

    /// `Σw` and `Σwx` of what is not missing; of a row of weight zero nothing, whatever it holds.
    #[inline(always)]
    fn run<S: Simd>(self) -> [f64; 2] {
        let (zero, infinite) = (S::splat(0.0), S::splat(f64::NEG_INFINITY));
        let mut sums = [zero; 2];
        for (i, weights) in self.weights.chunks(S::LANES).enumerate() {
            let x = S::load_or(&self.data[i * S::LANES..], f64::NAN);
            let w = S::select(x.ge(infinite), S::load_or(weights, 0.0), zero);
            sums[0] += w;
            sums[1] = w.mul_add(S::select(zero.lt(w), x, zero), sums[1]);
        }
        sums.map(S::sum)
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    rate: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Exponential {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.rate)
    }
}
