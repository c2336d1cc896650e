//! The Bernoulli distribution.

use elbo_core::{
    DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix, MatrixMut,
    Range, Repairs, Statistics, add_scaled, take_front,
};
use rand::{
    Rng,
    distr::{Distribution, StandardUniform},
};

use crate::{
    ParameterError,
    block::check_shape,
    error::probability,
    special::{deviance, x_ln_y},
    univariate::univariate,
};

/// One trial: `P(true) = p`, `P(false) = 1 − p`.
///
/// Observations are `bool`s. Probabilities of 0 and 1 are allowed and exclude one of the two outcomes: they are the
/// maximum-likelihood estimates of data that are all alike.
///
/// ```
/// use elbo_core::Family;
/// use elbo_dist::Bernoulli;
///
/// let mut coin = Bernoulli::new(0.5)?;
/// let mut stats = coin.new_stats();
/// coin.observe(&mut stats, &[true, false, true, true], &[1.0; 4]);
/// coin.clone().maximize(&stats, &mut coin).unwrap();
/// assert_eq!(coin.probability(), 0.75);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Bishop (2006), section 2.1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Bernoulli {
    probability: f64,
}

impl Bernoulli {
    /// The distribution with `P(true) = probability`.
    ///
    /// # Errors
    ///
    /// If `probability` is not in `[0, 1]`.
    pub fn new(probability: f64) -> Result<Self, ParameterError> {
        Ok(Self { probability: self::probability("probability", probability)? })
    }

    /// `p = P(true)`.
    pub fn probability(&self) -> f64 {
        self.probability
    }

    /// `ln p` or `ln(1 − p)`, in nats.
    pub fn log_probability(&self, outcome: bool) -> f64 {
        LnOdds::of(self.probability).score(outcome)
    }

    /// `P(X ≤ outcome)`, where `false < true`.
    pub fn cdf(&self, outcome: bool) -> f64 {
        if outcome { 1.0 } else { 1.0 - self.probability }
    }

    /// The smaller outcome with `P(X ≤ outcome) ≥ p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> bool {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        p > self.cdf(false)
    }

    /// `p`.
    pub fn mean(&self) -> f64 {
        self.probability
    }

    /// `p (1 − p)`.
    pub fn variance(&self) -> f64 {
        self.probability * (1.0 - self.probability)
    }

    /// `−p ln p − (1 − p) ln(1 − p)`, in nats.
    pub fn entropy(&self) -> f64 {
        binary_entropy(self.probability)
    }

    /// `KL(self ‖ other)`, in nats; infinite if the other excludes an outcome that this one does not.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        binary_kl(self.probability, other.probability)
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> bool {
        self.prepared().sample(rng)
    }

    fn prepared(self) -> impl Distribution<bool> + use<> {
        let probability = self.probability;
        StandardUniform.map(move |u: f64| u < probability)
    }

    /// Overwrites the probability, which the caller knows to be one.
    pub(crate) fn set(&mut self, probability: f64) {
        self.probability = probability;
    }
}

univariate!(Bernoulli, bool, log_probability);

/// The coordinate is the log odds, `ln p − ln(1 − p)`.
impl FlatParameters for Bernoulli {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.push(log_odds(self.probability));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { probability: logistic(take_front(from, 1)[0]) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("probability", self.probability, Range::Probability);
    }
}

impl ExpectedLogLikelihood for Bernoulli {
    fn score_into(&self, stats: &BernoulliStats, _: &[f64], out: &mut [f64]) {
        out[0] = score_of_log_odds(self.probability, stats.successes(), stats.failures());
    }

    fn is_complete(&self, _: &[bool]) -> bool {
        true
    }
}

/// Weighted sufficient statistics of a [`Bernoulli`]: the weights of `true` and of `false`, in observations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BernoulliStats {
    sums: [f64; 2],
}

impl BernoulliStats {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.sums[0] + self.sums[1]
    }

    /// The weight of `true`, in observations.
    pub fn successes(&self) -> f64 {
        self.sums[0]
    }

    /// The weight of `false`, in observations.
    pub fn failures(&self) -> f64 {
        self.sums[1]
    }

    /// Could these be the sums of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        if self.sums.iter().all(|w| *w >= 0.0 && w.is_finite()) {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "Bernoulli distribution" })
        }
    }
}

impl Statistics for BernoulliStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.sums);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.sums);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        add_scaled(&mut self.sums, factor, &other.sums);
    }
}

/// `ln p` and `ln(1 − p)`, or their expectations under a posterior, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LnOdds {
    pub(crate) ln_p: f64,
    pub(crate) ln_q: f64,
}

impl LnOdds {
    pub(crate) fn of(probability: f64) -> Self {
        Self { ln_p: probability.ln(), ln_q: (-probability).ln_1p() }
    }

    fn score(self, outcome: bool) -> f64 {
        if outcome { self.ln_p } else { self.ln_q }
    }
}

/// The derivative of `s ln p + f ln(1 − p)` of `s` successes and `f` failures with respect to the log odds.
pub(crate) fn score_of_log_odds(probability: f64, successes: f64, failures: f64) -> f64 {
    successes * (1.0 - probability) - failures * probability
}

/// `ln p` and `ln(1 − p)` of `k` components, or their expectations.
#[derive(Clone, Debug, PartialEq)]
pub struct BernoulliPacked {
    components: Vec<LnOdds>,
}

impl BernoulliPacked {
    /// Rows are scored by `ln_p` if true, by `ln_q` if false.
    pub(crate) fn set(&mut self, j: usize, ln_p: f64, ln_q: f64) {
        self.components[j] = LnOdds { ln_p, ln_q };
    }
}

impl Family for Bernoulli {
    type Batch<'a> = &'a [bool];
    type Stats = BernoulliStats;
    type Packed = BernoulliPacked;
    type Scratch = ();

    fn check(&self, _: &[bool]) -> Result<(), DataError> {
        Ok(()) // there are no other outcomes
    }

    fn new_stats(&self) -> BernoulliStats {
        BernoulliStats::default()
    }

    fn new_packed(&self, k: usize) -> BernoulliPacked {
        BernoulliPacked { components: vec![LnOdds::default(); k] }
    }

    fn new_scratch(_: &BernoulliPacked) {}

    fn pack(&self, j: usize, packed: &mut BernoulliPacked) {
        packed.components[j] = LnOdds::of(self.probability);
    }

    fn score_all(packed: &BernoulliPacked, data: &[bool], mut out: MatrixMut<'_>, (): &mut ()) {
        check_shape(packed.components.len(), data.len(), out.rows(), out.columns());
        for (j, component) in packed.components.iter().enumerate() {
            for (out, x) in out.row_mut(j).iter_mut().zip(data) {
                *out = component.score(*x);
            }
        }
    }

    fn observe_all(
        _: &BernoulliPacked,
        stats: &mut [BernoulliStats],
        data: &[bool],
        weights: Matrix<'_>,
        (): &mut (),
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for (j, stats) in stats.iter_mut().enumerate() {
            add_scaled(&mut stats.sums, 1.0, &weighted_outcomes(data, weights.row(j)));
        }
    }

    fn maximize(&self, stats: &BernoulliStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let weight = stats.total_weight();
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        next.probability = stats.successes() / weight;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> BernoulliStats {
        BernoulliStats { sums: [weight * self.probability, weight * (1.0 - self.probability)] }
    }

    fn write_natural(&self, _: &BernoulliStats, out: &mut Vec<f64>) -> bool {
        out.extend([
            crate::univariate::ln_or_least(self.probability),
            crate::univariate::ln_or_least(1.0 - self.probability),
        ]);
        true
    }

    fn is_maximized_at_once(&self, _: &BernoulliStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k
    }
}

/// Independent partial sums, so that the loop runs on vectors of numbers.
const LANES: usize = 8;

/// The weights of `true` and of `false`.
fn weighted_outcomes(data: &[bool], weights: &[f64]) -> [f64; 2] {
    let mut sums = [[0.0; LANES]; 2];
    let mut add = |lane: usize, x: bool, w: f64| {
        sums[0][lane] += if x { w } else { 0.0 };
        sums[1][lane] += if x { 0.0 } else { w };
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

/// `−p ln p − (1 − p) ln(1 − p)`, in nats.
pub(crate) fn binary_entropy(p: f64) -> f64 {
    let of_failure = if p >= 1.0 { 0.0 } else { (1.0 - p) * (-p).ln_1p() };
    -x_ln_y(p, p) - of_failure
}

/// `p ln(p/p′) + (1 − p) ln((1 − p)/(1 − p′))`, in nats: two terms neither of which is negative.
pub(crate) fn binary_kl(p: f64, other: f64) -> f64 {
    deviance(p, other) + deviance(1.0 - p, 1.0 - other)
}

/// `ln p − ln(1 − p)`.
pub(crate) fn log_odds(p: f64) -> f64 {
    p.ln() - (-p).ln_1p()
}

/// The probability with these log odds.
pub(crate) fn logistic(log_odds: f64) -> f64 {
    if log_odds > 0.0 {
        1.0 / (1.0 + (-log_odds).exp())
    } else {
        let odds = log_odds.exp();
        odds / (1.0 + odds)
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    probability: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Bernoulli {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.probability)
    }
}
