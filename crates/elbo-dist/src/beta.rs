//! The beta distribution.

mod kernels;
mod stats;

use elbo_core::{
    BLOCK, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    take_front,
};
use elbo_linalg::{ln_in_place, ln_into};
use rand::{Rng, distr::Distribution};

pub use kernels::BetaPacked;
pub use stats::BetaStats;

use self::{
    kernels::{Component, Rows, Share, peak},
    stats::expected_divergence,
};
use crate::{
    ParameterError,
    block::check_shape,
    error::positive,
    gamma, quantile,
    special::{beta_regularized, digamma, inverse_beta_regularized, ln_minus_digamma},
    support::check_open_unit,
    univariate::univariate,
};

/// The beta distribution over a proportion or a probability, `x ~ Be(a, b)`:
/// `ln p(x) = ln Γ(a + b) − ln Γ(a) − ln Γ(b) + (a − 1) ln x + (b − 1) ln(1 − x)`, `0 < x < 1`.
///
/// Scores and statistics are arranged about the mean `a/(a + b)`, so that they keep their digits at concentrations `a + b`
/// of 10⁸ and more. NaN in data is a missing value: it scores 0 and is not observed; what is not strictly between 0 and 1
/// is refused. Maximum likelihood is exact, in one step; where all observations are equal it has no maximum. Cost: two
/// logarithms per row, some forty multiplications per row and component.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::Beta;
///
/// let fit = fit_single(Beta::new(1.0, 1.0)?, &[0.2, 0.3, 0.7, 0.8][..]).unwrap().params;
/// assert!((fit.a() - fit.b()).abs() < 1e-12);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// As a distribution over a probability it is the conjugate prior of [`Bernoulli`](crate::Bernoulli),
/// [`Binomial`](crate::Binomial) and [`Geometric`](crate::Geometric) and, with data added, their posterior. Read it as `a`
/// successes and `b` failures already seen under variational Bayes, as `a − 1` and `b − 1` of them under MAP: `a = b = 1`
/// is flat. Mode and density are in the probability.
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1995), *Continuous Univariate Distributions*, volume 2, chapter 25.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Beta {
    pub(crate) a: f64,
    pub(crate) b: f64,
}

impl Beta {
    /// `Be(a, b)`, with mean `a / (a + b)`.
    ///
    /// # Errors
    ///
    /// If one of them is not positive and finite.
    pub fn new(a: f64, b: f64) -> Result<Self, ParameterError> {
        Ok(Self { a: positive("a", a)?, b: positive("b", b)? })
    }

    /// The distribution with this mean and variance, which is below `mean (1 − mean)`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn from_moments(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        let of_b = positive("distance of the mean from 1", 1.0 - positive("mean", mean)?)?;
        let most = mean * of_b;
        let concentration = (most - positive("variance", variance)?) / variance;
        positive("concentration of these moments", concentration)?;
        Self::new(mean * concentration, of_b * concentration)
    }

    /// `a`.
    pub fn a(&self) -> f64 {
        self.a
    }

    /// `b`.
    pub fn b(&self) -> f64 {
        self.b
    }

    /// `E[x] = a/(a + b)`.
    pub fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// `ab / ((a + b)² (a + b + 1))`.
    pub fn variance(&self) -> f64 {
        let Share { of_a, of_b } = self.share();
        of_a * of_b / (self.a + self.b + 1.0)
    }

    /// `ln p(x)`, in nats; −∞ outside the support.
    pub fn log_density(&self, x: f64) -> f64 {
        self.component().score(x)
    }

    /// `P(X ≤ x) = I_x(a, b)`.
    pub fn cdf(&self, x: f64) -> f64 {
        beta_regularized(self.a, self.b, x.clamp(0.0, 1.0))
    }

    /// The `x` with `P(X ≤ x) = p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> f64 {
        quantile::check(p);
        inverse_beta_regularized(self.a, self.b, p)
    }

    /// `ln B(a, b) − (a − 1) ψ(a) − (b − 1) ψ(b) + (a + b − 2) ψ(a + b)`, in nats.
    pub fn entropy(&self) -> f64 {
        let (a, b, n) = (self.a, self.b, self.a + self.b);
        let Share { of_a, of_b } = self.share();
        let [ga, gb, gn] = [a, b, n].map(ln_minus_digamma);
        (a - 1.0) * ga + (b - 1.0) * gb - (n - 2.0) * gn + of_a.ln() + of_b.ln() - peak(a, b)
    }

    /// `KL(self ‖ other)`, in nats.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        let (n, n0) = (self.a + self.b, other.a + other.b);
        let (mean, mean0) = (self.share(), other.share());
        let logit = ln_minus_digamma(self.b) - ln_minus_digamma(self.a);
        let (u, _) = mean0.relative(mean);
        peak(self.a, self.b) - peak(other.a, other.b)
            + (n0 - n) * expected_divergence(self.a, self.b)
            + n0 * mean0.divergence(mean)
            + other.a * u * logit
    }

    /// `(E[ln x], E[ln(1 − x)])`, in nats.
    pub fn expected_logs(&self) -> (f64, f64) {
        let of_total = digamma(self.a + self.b);
        (digamma(self.a) - of_total, digamma(self.b) - of_total)
    }

    /// One draw. Where `a` or `b` is well below 1, some draws round to 0 or 1.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        self.prepared().sample(rng)
    }

    pub(crate) fn prepared(&self) -> impl Distribution<f64> + use<> {
        Sampler { a: gamma::standard(self.a), b: gamma::standard(self.b) }
    }

    fn share(&self) -> Share {
        Share::new(self.a, self.b)
    }

    fn component(&self) -> Component {
        Component::new(self.a, self.b)
    }
}

univariate!(Beta, f64, log_density);

/// The share of one of two gamma variables.
struct Sampler {
    a: rand_distr::Gamma<f64>,
    b: rand_distr::Gamma<f64>,
}

impl Distribution<f64> for Sampler {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        loop {
            let (x, y) = (self.a.sample(rng), self.b.sample(rng));
            // With a and b far below 1 both may underflow to zero: draw again.
            if x + y > 0.0 {
                return x / (x + y);
            }
        }
    }
}

/// Coordinates are `ln a/b` and `ln(a + b)`: mean and concentration, where `a` and `b` are nearly collinear.
impl FlatParameters for Beta {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.a.ln() - self.b.ln(), (self.a + self.b).ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        let concentration = at[1].exp();
        Self { a: concentration / (1.0 + (-at[0]).exp()), b: concentration / (1.0 + at[0].exp()) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("a", self.a, Range::Positive);
        see("b", self.b, Range::Positive);
    }
}

/// The complements of a block and the logarithms of both, found once for all components.
#[derive(Clone, Debug)]
pub struct BetaScratch {
    y: [f64; BLOCK],
    log_x: [f64; BLOCK],
    log_y: [f64; BLOCK],
}

impl BetaScratch {
    fn fill<'s>(&'s mut self, x: &'s [f64]) -> Rows<'s> {
        let n = x.len();
        let (y, log_y) = (&mut self.y[..n], &mut self.log_y[..n]);
        ln_into(x, &mut self.log_x[..n]);
        for ((y, log_y), x) in y.iter_mut().zip(&mut *log_y).zip(x) {
            *y = 1.0 - x;
            *log_y = *y;
        }
        ln_in_place(log_y);
        // ln(1 − x) = ln y + ln(1 + δ), where y = 1 − x − δy is what rounding left: δ matters for small x.
        for ((log_y, y), x) in log_y.iter_mut().zip(&*y).zip(x) {
            *log_y += ((1.0 - y) - x) / y;
        }
        Rows { x, y, log_x: &self.log_x[..n], log_y }
    }
}

impl Family for Beta {
    type Batch<'a> = &'a [f64];
    type Stats = BetaStats;
    type Packed = BetaPacked;
    type Scratch = BetaScratch;

    fn check(&self, data: &[f64]) -> Result<(), DataError> {
        check_open_unit(data)
    }

    fn new_stats(&self) -> BetaStats {
        BetaStats::new(self.share())
    }

    fn new_packed(&self, k: usize) -> BetaPacked {
        BetaPacked::new(k)
    }

    fn new_scratch(_: &BetaPacked) -> BetaScratch {
        BetaScratch { y: [0.0; BLOCK], log_x: [0.0; BLOCK], log_y: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut BetaPacked) {
        packed.components[j] = self.component();
    }

    fn score_all(packed: &BetaPacked, data: &[f64], out: MatrixMut<'_>, scratch: &mut BetaScratch) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        kernels::score_all(packed, scratch.fill(data), out);
    }

    fn reset_all(packed: &BetaPacked, stats: &mut [BetaStats]) {
        for (stats, component) in stats.iter_mut().zip(&packed.components) {
            *stats = BetaStats::new(component.mean);
        }
    }

    fn observe_all(
        _: &BetaPacked,
        stats: &mut [BetaStats],
        data: &[f64],
        weights: Matrix<'_>,
        scratch: &mut BetaScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        kernels::observe_all(stats, scratch.fill(data), weights);
    }

    fn maximize(&self, stats: &BetaStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let (a, b) = stats.estimate()?;
        *next = Self { a, b };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> BetaStats {
        BetaStats::expected(self.a, self.b, weight)
    }

    /// The same concentration `a + b`, with the observation for its mean.
    fn moved_to(&self, data: &[f64], row: usize) -> Result<Self, EstimateError> {
        let (x, n) = (data[row], self.a + self.b);
        if x.is_nan() {
            return Ok(*self);
        }
        let infeasible = EstimateError::Infeasible { component: 0, what: "beta distribution" };
        Self::new(n * x, n * (1.0 - x)).map_err(|_| infeasible)
    }

    /// Where the center lies near the origin.
    fn is_maximized_at_once(&self, stats: &BetaStats) -> bool {
        stats.is_centered()
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }

    /// Of divergences from the mean.
    fn relative_spread(&self, all: &BetaStats) -> f64 {
        let whole = all.spread();
        if whole > 0.0 { expected_divergence(self.a, self.b) / whole } else { 1.0 }
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    a: f64,
    b: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Beta {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.a, p.b)
    }
}
