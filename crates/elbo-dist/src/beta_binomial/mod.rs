//! The beta-binomial distribution.

mod maximize;

use elbo_core::{
    DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Statistics, add_scaled, take_front,
};
use rand::{Rng, distr::Distribution};

use crate::{
    Beta, Binomial, ParameterError,
    binomial::check_trials,
    block::check_shape,
    draws,
    error::positive,
    negative_binomial::ln_negative_binomial,
    poisson::count_near,
    quantile,
    special::standard_normal_quantile,
    spread::Spread,
    tally::{self, Place, TABLE},
    univariate::univariate,
};

/// Successes in `n` trials that vary more than those of a [`Binomial`]: its probability is itself drawn from a beta
/// distribution `Be(a, b)`. Mean `n a/(a + b)`; variance that of the binomial times `(a + b + n)/(a + b + 1)`.
///
/// `ln p(x) = ln (n choose x) + ln B(a + x, b + n − x) − ln B(a, b)`. Observations are whole numbers from 0 to `n`, `u64`.
/// The number of trials is given, not estimated, and is the same for all observations and all components. Towards
/// `a + b = ∞` it is the binomial.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::BetaBinomial;
///
/// let successes: &[u64] = &[0, 1, 9, 4, 10, 2, 0, 7];
/// let fit = fit_single(BetaBinomial::new(10, 1.0, 1.0)?, successes).unwrap();
/// assert!(fit.params.a() < 1.0 && fit.params.b() < 1.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Estimation
///
/// Maximum likelihood takes `a` and `b` from one pass over the data, from whatever start: their likelihood depends on the
/// data by `Σw ln Γ(a + x)` and `Σw ln Γ(b + n − x)`, which the [statistics](BetaBinomialStats) keep for all `a` and `b` at
/// once. A maximum exists if the data vary more than a binomial's and are not all 0 or `n`; otherwise the error is an
/// [`EstimateError::Boundary`].
///
/// # Source
///
/// Johnson, Kemp & Kotz (2005), *Univariate Discrete Distributions*, section 6.2.2; unimodality: Levin & Reeds (1977),
/// Ann. Statist. 5(1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct BetaBinomial {
    trials: u64,
    a: f64,
    b: f64,
}

impl BetaBinomial {
    /// The distribution of the successes in `trials` trials.
    ///
    /// # Errors
    ///
    /// If `trials` is zero, or `a` or `b` is not positive and finite.
    pub fn new(trials: u64, a: f64, b: f64) -> Result<Self, ParameterError> {
        if trials == 0 {
            return Err(ParameterError::NotPositive { parameter: "trials", value: 0.0 });
        }
        Ok(Self { trials, a: positive("a", a)?, b: positive("b", b)? })
    }

    /// `n`, the number of trials of an observation.
    pub fn trials(&self) -> u64 {
        self.trials
    }

    /// `a`, in trials.
    pub fn a(&self) -> f64 {
        self.a
    }

    /// `b`, in trials.
    pub fn b(&self) -> f64 {
        self.b
    }

    /// `ln p(successes)`, in nats; `−∞` beyond the number of trials.
    pub fn log_probability(&self, successes: u64) -> f64 {
        if successes > self.trials {
            return f64::NEG_INFINITY;
        }
        self.ln_p(successes as f64, (self.trials - successes) as f64)
    }

    /// `P(X ≤ successes)`, a sum: within some `10⁻¹³`, absolutely. Cost: up to some ten thousand probabilities.
    pub fn cdf(&self, successes: u64) -> f64 {
        if successes >= self.trials {
            return 1.0;
        }
        let count = |sum: &mut f64, weight: f64| *sum += weight;
        let mut sum = 0.0;
        if successes <= self.trials / 2 {
            self.for_each_success(successes as f64, |_, weight, _| count(&mut sum, weight));
            sum.min(1.0)
        } else {
            let beyond = (self.trials - successes - 1) as f64;
            self.mirrored().for_each_success(beyond, |_, weight, _| count(&mut sum, weight));
            (1.0 - sum).max(0.0)
        }
    }

    /// The smallest count with `P(X ≤ count) ≥ p`. Cost: some 5 to 100 distribution functions.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u64 {
        let z = standard_normal_quantile(p).clamp(-40.0, 40.0);
        let near = self.mean() + z * self.variance().sqrt();
        quantile::discrete(p, count_near(near).min(self.trials), |x| self.cdf(x)).min(self.trials)
    }

    /// `n a/(a + b)`.
    pub fn mean(&self) -> f64 {
        self.trials as f64 * (self.a / (self.a + self.b))
    }

    /// `n a b (a + b + n) / ((a + b)² (a + b + 1))`.
    pub fn variance(&self) -> f64 {
        let total = self.a + self.b;
        let inflation = (total + self.trials as f64) / (total + 1.0);
        self.mean() * (self.b / total) * inflation
    }

    /// `−E[ln p(X)]`, in nats. Cost: a sum over at most some ten thousand counts.
    pub fn entropy(&self) -> f64 {
        self.expectation(|_, _, log_probability| -log_probability)
    }

    /// `KL(self ‖ other) = E[ln p(X) − ln p′(X)]`, in nats. Cost: twice that of [`entropy`](Self::entropy).
    ///
    /// # Panics
    ///
    /// If the other has another number of trials.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.trials, other.trials, "another number of trials");
        let gap = |x, y, log_probability| log_probability - other.ln_p(x, y);
        self.expectation(gap).max(0.0) // rounding may leave −ε
    }

    /// One draw.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> impl Distribution<u64> + use<> {
        let beta = Beta::new(self.a, self.b).expect("a and b are positive and finite");
        Sampler { trials: self.trials, beta: beta.prepared() }
    }

    /// The distribution of the failures.
    fn mirrored(&self) -> Self {
        Self { a: self.b, b: self.a, ..*self }
    }

    /// `ln p(x)`, `x + y = n`, at a count, or between counts: given their sum, two negative binomial counts of sizes `a` and
    /// `b` and one probability are beta-binomial.
    fn ln_p(&self, x: f64, y: f64) -> f64 {
        let (n, total) = (self.trials as f64, self.a + self.b);
        let part = |x: f64, r: f64| ln_negative_binomial(x, r, n * (r / total));
        part(x, self.a) + part(y, self.b) - part(n, total)
    }

    /// `E[g(X, n − X, ln p(X))]`: from both ends to the middle, as both may be singular.
    fn expectation(&self, g: impl Fn(f64, f64, f64) -> f64) -> f64 {
        let n = self.trials as f64;
        let half = (self.trials / 2) as f64;
        let mut sum = 0.0;
        self.for_each_success(half, |x, weight, ln_p| sum += weight * g(x, n - x, ln_p));
        if n - 1.0 - half >= 0.0 {
            let rest = n - 1.0 - half;
            let mirrored = self.mirrored();
            mirrored.for_each_success(rest, |y, weight, ln_p| sum += weight * g(n - y, y, ln_p));
        }
        sum
    }

    /// Nodes for sums over the counts up to `last`.
    fn for_each_success(&self, last: f64, see: impl FnMut(f64, f64, f64)) {
        let n = self.trials as f64;
        // With a < 1 probabilities fall from the end on; otherwise they rise to about the mean.
        let mean = if self.a < 1.0 { 0.0 } else { self.mean().min(last) };
        let spread = Spread { mean, std_dev: self.variance().sqrt(), last, is_cut: last < n };
        spread.for_each_node(|x| self.ln_p(x, n - x), see);
    }
}

univariate!(BetaBinomial, u64, log_probability, |this, n| {
    draws::bounded(this, n, this.trials, || this.prepared())
});

/// A binomial count of which the probability is a beta variable.
struct Sampler<D> {
    trials: u64,
    beta: D,
}

impl<D: Distribution<f64>> Distribution<u64> for Sampler<D> {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        let share = self.beta.sample(rng);
        Binomial::new(self.trials, share).map_or(0, |binomial| binomial.sample(rng))
    }
}

/// The coordinates are `ln a` and `ln b`.
impl FlatParameters for BetaBinomial {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.a.ln(), self.b.ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { a: at[0].exp(), b: at[1].exp(), ..*self }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("a", self.a, Range::Positive);
        see("b", self.b, Range::Positive);
    }
}

/// Weighted sufficient statistics of a [`BetaBinomial`]: a tally of the successes and one of the failures, in observations.
///
/// As those of a [`NegativeBinomial`](crate::NegativeBinomial) they determine, to rounding, the likelihood of all
/// parameters, and depend on none.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BetaBinomialStats {
    tallies: [Vec<f64>; 2],
}

impl BetaBinomialStats {
    fn new(trials: u64) -> Self {
        let len = length(trials);
        Self { tallies: [vec![0.0; len], vec![0.0; len]] }
    }

    /// `Σw`, in observations. Cost: some 300 additions.
    pub fn total_weight(&self) -> f64 {
        tally::total_weight(&self.tallies[0])
    }

    fn add(&mut self, x: f64, y: f64, weight: f64) {
        for (tally, x) in self.tallies.iter_mut().zip([x, y]) {
            Place::of(x).for_each(|index, factor| tally[index] += weight * factor);
        }
    }
}

/// Numbers in a tally of counts up to `trials`.
fn length(trials: u64) -> usize {
    Place::of(trials as f64).end().max(TABLE)
}

impl Statistics for BetaBinomialStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.tallies.iter().for_each(|tally| see(tally));
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.tallies.iter_mut().for_each(|tally| see(tally));
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        for (to, from) in self.tallies.iter_mut().zip(&other.tallies) {
            add_scaled(to, factor, from);
        }
    }
}

/// `k` distributions, and the log probabilities of counts below 256 as one table: the `k` values of a count lie side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct BetaBinomialPacked {
    trials: u64,
    components: Vec<BetaBinomial>,
    table: Vec<f64>,
}

/// The weights of all counts of a block that have a place of their own, summed before they are tallied.
#[derive(Clone, Debug)]
pub struct BetaBinomialScratch {
    /// Weights of the successes below 256, the components side by side.
    table: Vec<f64>,
}

impl Family for BetaBinomial {
    type Batch<'a> = &'a [u64];
    type Stats = BetaBinomialStats;
    type Packed = BetaBinomialPacked;
    type Scratch = BetaBinomialScratch;

    fn check(&self, data: &[u64]) -> Result<(), DataError> {
        check_trials(self.trials, data)
    }

    fn new_stats(&self) -> BetaBinomialStats {
        BetaBinomialStats::new(self.trials)
    }

    fn new_packed(&self, k: usize) -> BetaBinomialPacked {
        let table = vec![0.0; k * TABLE];
        BetaBinomialPacked { trials: self.trials, components: vec![*self; k], table }
    }

    fn new_scratch(packed: &BetaBinomialPacked) -> BetaBinomialScratch {
        BetaBinomialScratch { table: vec![0.0; packed.table.len()] }
    }

    /// Cost: 256 log probabilities.
    fn pack(&self, j: usize, packed: &mut BetaBinomialPacked) {
        assert_eq!(self.trials, packed.trials, "components of another number of trials");
        packed.components[j] = *self;
        let k = packed.components.len();
        for (x, cells) in (0..).zip(packed.table.chunks_exact_mut(k)) {
            cells[j] = self.log_probability(x);
        }
    }

    /// Cost: one look-up for a count below 256, otherwise some 300 ns.
    fn score_all(
        packed: &BetaBinomialPacked,
        data: &[u64],
        mut out: MatrixMut<'_>,
        _: &mut BetaBinomialScratch,
    ) {
        let k = packed.components.len();
        check_shape(k, data.len(), out.rows(), out.columns());
        let (out, stride) = out.raw_mut();
        for (i, x) in data.iter().enumerate() {
            if let Some(start) = table_start(*x, k) {
                let cells = packed.table[start..][..k].iter().enumerate();
                cells.for_each(|(j, value)| out[j * stride + i] = *value);
            } else {
                let components = packed.components.iter().enumerate();
                components.for_each(|(j, c)| out[j * stride + i] = c.log_probability(*x));
            }
        }
    }

    /// Cost: one addition for a count below 256, otherwise up to 48.
    fn observe_all(
        packed: &BetaBinomialPacked,
        stats: &mut [BetaBinomialStats],
        data: &[u64],
        weights: Matrix<'_>,
        scratch: &mut BetaBinomialScratch,
    ) {
        let k = stats.len();
        check_shape(k, data.len(), weights.rows(), weights.columns());
        let (weights, stride) = weights.raw();
        for (i, x) in data.iter().enumerate() {
            if let Some(start) = table_start(*x, k) {
                let sums = scratch.table[start..][..k].iter_mut().enumerate();
                sums.for_each(|(j, sum)| *sum += weights[j * stride + i]);
            } else if let Some(y) = packed.trials.checked_sub(*x) {
                for (j, stats) in stats.iter_mut().enumerate() {
                    stats.add(*x as f64, y as f64, weights[j * stride + i]);
                }
            }
        }
    }

    fn finish(
        packed: &BetaBinomialPacked,
        stats: &mut [BetaBinomialStats],
        scratch: &mut BetaBinomialScratch,
    ) {
        let k = packed.components.len();
        for (x, sums) in (0..=packed.trials).zip(scratch.table.chunks_exact(k)) {
            for (stats, sum) in stats.iter_mut().zip(sums).filter(|(_, sum)| **sum != 0.0) {
                stats.add(x as f64, (packed.trials - x) as f64, *sum);
            }
        }
        scratch.table.fill(0.0);
    }

    /// Halfway to the observation in mean, of the same `a + b`.
    fn moved_to(&self, data: &[u64], row: usize) -> Result<Self, EstimateError> {
        let (total, n) = (self.a + self.b, self.trials as f64);
        let share = |own: f64, x: f64| 0.5 * (own + total * (x / n));
        let x = data[row] as f64;
        Ok(Self { a: share(self.a, x), b: share(self.b, n - x), ..*self })
    }

    fn maximize(
        &self,
        stats: &BetaBinomialStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        let [a, b] = maximize::shapes(self.trials as f64, &stats.tallies)?;
        *next = Self { a, b, ..*self };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> BetaBinomialStats {
        let mut stats = self.new_stats();
        let n = self.trials as f64;
        let half = (self.trials / 2) as f64;
        self.for_each_success(half, |x, p, _| stats.add(x, n - x, weight * p));
        if n - 1.0 - half >= 0.0 {
            let mirrored = self.mirrored();
            mirrored.for_each_success(n - 1.0 - half, |y, p, _| stats.add(n - y, y, weight * p));
        }
        stats
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }
}

/// Where the values of a small count start in a table of `k` components.
fn table_start(x: u64, k: usize) -> Option<usize> {
    usize::try_from(x).ok().filter(|x| *x < TABLE).map(|x| x * k)
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    trials: u64,
    a: f64,
    b: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for BetaBinomial {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.trials, p.a, p.b)
    }
}
