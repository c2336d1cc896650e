//! Distributions of counts with more zeros.

use elbo_core::{
    BLOCK, DataError, Draw, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range,
    Repairs, Statistics, take_front,
};
use rand::{Rng, RngExt, distr::Distribution};

use crate::{
    BetaBinomial, Binomial, Geometric, NegativeBinomial, ParameterError, Poisson, Univariate,
    bernoulli::{log_odds, logistic},
    block::check_shape,
    error::probability,
    quantile,
    special::{deviance, log_add_exp, x_ln_y},
};

/// A family of counts, `u64`: [`Poisson`](crate::Poisson), [`NegativeBinomial`](crate::NegativeBinomial),
/// [`Binomial`](crate::Binomial), [`BetaBinomial`](crate::BetaBinomial), [`Geometric`](crate::Geometric).
pub trait Counts: Univariate<Value = u64> + for<'a> Family<Batch<'a> = &'a [u64]> {}

impl<F: Univariate<Value = u64> + for<'a> Family<Batch<'a> = &'a [u64]>> Counts for F {}

/// Counts of which a share `ζ` is zero for a reason of its own: `p(x) = ζ 1[x = 0] + (1 − ζ) f(x)`.
///
/// Whether a zero is such a structural zero, or one that `f` counted, is a latent variable. [`Family::maximize`] is one
/// EM step from statistics in which it is filled in: the likelihood never falls, and converges as fast as zeros tell the
/// two apart. [`fit_single`](elbo_core::fit_single) iterates and accelerates. A share of exactly zero stays zero.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::{Poisson, ZeroInflated};
///
/// let counts: &[u64] = &[0, 0, 0, 0, 0, 0, 3, 2, 4, 1];
/// let start = ZeroInflated::new(0.5, Poisson::new(1.0)?)?;
/// let fit = fit_single(start, counts).unwrap();
/// // Where the share of zeros is free, that of zeros is matched, and the mean.
/// let (zeta, rate) = (fit.params.structural(), fit.params.counts().rate());
/// assert!((zeta + (1.0 - zeta) * (-rate).exp() - 0.6).abs() < 1e-6);
/// assert!(((1.0 - zeta) * rate - 1.0).abs() < 1e-6);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Lambert (1992), Technometrics 34(1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters<F>", bound(deserialize = "F: serde::Deserialize<'de>"))
)]
pub struct ZeroInflated<F> {
    structural: f64,
    counts: F,
}

impl<F> ZeroInflated<F> {
    /// `counts`, replaced by zero with probability `structural`.
    ///
    /// # Errors
    ///
    /// If `structural` is not in `[0, 1]`.
    pub fn new(structural: f64, counts: F) -> Result<Self, ParameterError> {
        Ok(Self { structural: probability("structural share", structural)?, counts })
    }

    /// `ζ`, the share of structural zeros.
    pub fn structural(&self) -> f64 {
        self.structural
    }

    /// `f`, the distribution of the other counts.
    pub fn counts(&self) -> &F {
        &self.counts
    }
}

impl<F: Counts> ZeroInflated<F> {
    /// `ln p(count)`, in nats.
    pub fn log_probability(&self, count: u64) -> f64 {
        let zero = Zero::of(self);
        if count == 0 { zero.score } else { zero.ln_rest + self.counts.log_density(count) }
    }

    /// `P(X ≤ count) = ζ + (1 − ζ) F(count)`.
    pub fn cdf(&self, count: u64) -> f64 {
        self.structural + (1.0 - self.structural) * self.counts.cdf(count)
    }

    /// The smallest count with `P(X ≤ count) ≥ p`.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u64 {
        let rest = ((p - self.structural) / (1.0 - self.structural)).clamp(0.0, 1.0);
        let start = if rest.is_nan() { 0 } else { self.counts.quantile(rest) };
        quantile::discrete(p, start, |count| self.cdf(count))
    }

    /// `(1 − ζ) E_f[X]`.
    pub fn mean(&self) -> f64 {
        (1.0 - self.structural) * self.counts.mean()
    }

    /// `(1 − ζ) (Var_f[X] + ζ E_f[X]²)`.
    pub fn variance(&self) -> f64 {
        let mean = self.counts.mean();
        (1.0 - self.structural) * (self.counts.variance() + self.structural * mean * mean)
    }

    /// `−E[ln p(X)]`, in nats, from the entropy of `f`.
    pub fn entropy(&self) -> f64 {
        let rest = 1.0 - self.structural;
        let ln_zero = self.counts.log_density(0);
        let (zero, of_f) = (ln_zero.exp(), x_ln_y(ln_zero.exp(), ln_zero.exp()));
        let all = self.structural + rest * zero;
        rest * (self.counts.entropy() + of_f) - x_ln_y(rest * (1.0 - zero), rest) - x_ln_y(all, all)
    }

    /// `KL(self ‖ other)` from that of the counts, in nats; infinite if the other excludes counts that this one does not.
    ///
    /// The divergence of being zero, and that of the counts that are not: `KL(f ‖ f′)` is made of the same two.
    fn divergence(&self, other: &Self, of_counts: f64) -> f64 {
        let (f, g) = (NotZero::of(&self.counts), NotZero::of(&other.counts));
        let beyond = if of_counts < f64::INFINITY {
            (of_counts - f.divergence(g)).max(0.0) // less is rounding
        } else if f.rest == 0.0 || other.counts.log_density(1) > f64::NEG_INFINITY {
            0.0 // what the other counts exclude is zero, or nothing here: they have ones only
        } else {
            f64::INFINITY
        };
        let of_zeros = f.inflated(self.structural).divergence(g.inflated(other.structural));
        of_zeros + (1.0 - self.structural) * beyond
    }

    /// One draw.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        if rng.random::<f64>() < self.structural { 0 } else { self.counts.sample(rng) }
    }
}

macro_rules! divergences {
    ($($counts:ty),+) => {
        $(impl ZeroInflated<$counts> {
            /// `KL(self ‖ other)`, in nats; infinite if the other excludes counts that this one does not. Cost: that of
            /// the counts.
            ///
            /// # Panics
            ///
            /// If the counts are of different numbers of trials.
            pub fn kl_divergence(&self, other: &Self) -> f64 {
                if self.structural >= 1.0 {
                    return -Zero::of(other).score; // zeros only, whatever the counts
                }
                self.divergence(other, self.counts.kl_divergence(&other.counts))
            }
        })+
    };
}

divergences!(Poisson, NegativeBinomial, Binomial, BetaBinomial, Geometric);

/// The probabilities of zero and of all else, either with its digits.
#[derive(Clone, Copy)]
struct NotZero {
    zero: f64,
    rest: f64,
}

impl NotZero {
    fn of<F: Counts>(counts: &F) -> Self {
        let ln_zero = counts.log_density(0);
        Self { zero: ln_zero.exp(), rest: -ln_zero.exp_m1() }
    }

    fn inflated(self, structural: f64) -> Self {
        let others = 1.0 - structural;
        Self { zero: structural + others * self.zero, rest: others * self.rest }
    }

    fn divergence(self, other: Self) -> f64 {
        deviance(self.zero, other.zero) + deviance(self.rest, other.rest)
    }
}

impl<F: Counts> Univariate for ZeroInflated<F> {
    type Value = u64;

    fn log_density(&self, x: u64) -> f64 {
        self.log_probability(x)
    }

    fn cdf(&self, x: u64) -> f64 {
        Self::cdf(self, x)
    }

    fn quantile(&self, p: f64) -> u64 {
        Self::quantile(self, p)
    }

    fn mean(&self) -> f64 {
        Self::mean(self)
    }

    fn variance(&self) -> f64 {
        Self::variance(self)
    }

    fn entropy(&self) -> f64 {
        Self::entropy(self)
    }

    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        Self::sample(self, rng)
    }

    fn sampler(&self, n: usize) -> impl Distribution<u64> {
        Sampler { structural: self.structural, counts: self.counts.sampler(n) }
    }
}

/// A zero, or a count.
struct Sampler<D> {
    structural: f64,
    counts: D,
}

impl<D: Distribution<u64>> Distribution<u64> for Sampler<D> {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        if rng.random::<f64>() < self.structural { 0 } else { self.counts.sample(rng) }
    }
}

impl<F: Counts> Draw for ZeroInflated<F> {
    type Drawn = Vec<u64>;

    fn no_draws(&self) -> Vec<u64> {
        Vec::new()
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut Vec<u64>) {
        let sampler = self.sampler(n);
        drawn.extend((0..n).map(|_| sampler.sample(rng)));
    }

    fn batch_of(drawn: &Vec<u64>) -> &[u64] {
        drawn
    }
}

/// The first coordinate is the log odds of `ζ`, those of `f` follow.
impl<F: FlatParameters> FlatParameters for ZeroInflated<F> {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.push(log_odds(self.structural));
        self.counts.write_unconstrained(out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let structural = logistic(take_front(from, 1)[0]);
        Self { structural, counts: self.counts.with_unconstrained(from) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("structural share", self.structural, Range::Probability);
        self.counts.for_each_parameter(see);
    }
}

/// Weighted expected statistics of a [`ZeroInflated`]: the weights of structural zeros and of all other counts, in
/// observations, and the statistics of the latter.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ZeroInflatedStats<S> {
    weights: [f64; 2],
    counts: S,
}

impl<S> ZeroInflatedStats<S> {
    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.weights[0] + self.weights[1]
    }

    /// The expected weight of structural zeros, in observations.
    pub fn structural(&self) -> f64 {
        self.weights[0]
    }

    /// The statistics of all other counts.
    pub fn counts(&self) -> &S {
        &self.counts
    }
}

impl<S: Statistics> Statistics for ZeroInflatedStats<S> {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.weights);
        self.counts.visit(see);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.weights);
        self.counts.visit_mut(see);
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        self.counts.visit_origin(see);
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        self.counts.visit_origin_mut(see);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        elbo_core::add_scaled(&mut self.weights, factor, &other.weights);
        self.counts.axpy(factor, &other.counts);
    }

    fn align(&mut self, like: &Self) {
        self.counts.align(&like.counts);
    }
}

/// What a zero is worth under one component.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Zero {
    /// `ln(1 − ζ)`.
    ln_rest: f64,
    /// `ln p(0)`.
    score: f64,
    /// The probability that a zero is structural.
    structural: f64,
}

impl Zero {
    fn of<F: Counts>(family: &ZeroInflated<F>) -> Self {
        let ln_rest = (-family.structural).ln_1p();
        let ln_structural = family.structural.ln();
        let score = log_add_exp(ln_structural, ln_rest + family.counts.log_density(0));
        let structural = if family.structural == 0.0 { 0.0 } else { (ln_structural - score).exp() };
        Self { ln_rest, score, structural }
    }
}

/// `k` components: what a zero is worth, and the packed form of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroInflatedPacked<P, S> {
    zeros: Vec<Zero>,
    counts: P,
    empty: S,
}

/// The scratch of the counts, their statistics since the last [`Family::finish`], and weights without structural zeros.
#[derive(Clone, Debug)]
pub struct ZeroInflatedScratch<C, S> {
    counts: C,
    stats: Vec<S>,
    weights: Vec<f64>,
}

impl<F: Counts> Family for ZeroInflated<F> {
    type Batch<'a> = &'a [u64];
    type Stats = ZeroInflatedStats<F::Stats>;
    type Packed = ZeroInflatedPacked<F::Packed, F::Stats>;
    type Scratch = ZeroInflatedScratch<F::Scratch, F::Stats>;

    fn check(&self, data: &[u64]) -> Result<(), DataError> {
        self.counts.check(data)
    }

    fn new_stats(&self) -> Self::Stats {
        ZeroInflatedStats { weights: [0.0; 2], counts: self.counts.new_stats() }
    }

    fn new_packed(&self, k: usize) -> Self::Packed {
        ZeroInflatedPacked {
            zeros: vec![Zero::default(); k],
            counts: self.counts.new_packed(k),
            empty: self.counts.new_stats(),
        }
    }

    fn new_scratch(packed: &Self::Packed) -> Self::Scratch {
        let k = packed.zeros.len();
        let mut stats = vec![packed.empty.clone(); k];
        F::reset_all(&packed.counts, &mut stats);
        let counts = F::new_scratch(&packed.counts);
        ZeroInflatedScratch { counts, stats, weights: vec![0.0; k * BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut Self::Packed) {
        packed.zeros[j] = Zero::of(self);
        self.counts.pack(j, &mut packed.counts);
    }

    fn score_all(
        packed: &Self::Packed,
        data: &[u64],
        mut out: MatrixMut<'_>,
        scratch: &mut Self::Scratch,
    ) {
        check_shape(packed.zeros.len(), data.len(), out.rows(), out.columns());
        F::score_all(&packed.counts, data, out.reborrow(), &mut scratch.counts);
        for (j, zero) in packed.zeros.iter().enumerate() {
            for (out, x) in out.row_mut(j).iter_mut().zip(data) {
                *out = if *x == 0 { zero.score } else { *out + zero.ln_rest };
            }
        }
    }

    fn observe_all(
        packed: &Self::Packed,
        stats: &mut [Self::Stats],
        data: &[u64],
        weights: Matrix<'_>,
        scratch: &mut Self::Scratch,
    ) {
        let (k, n) = (stats.len(), data.len());
        check_shape(k, n, weights.rows(), weights.columns());
        let rest = &mut scratch.weights[..k * n];
        for (j, (stats, zero)) in stats.iter_mut().zip(&packed.zeros).enumerate() {
            let [mut structural, mut other] = [0.0; 2];
            for ((rest, w), x) in rest[j * n..][..n].iter_mut().zip(weights.row(j)).zip(data) {
                let share = if *x == 0 { zero.structural } else { 0.0 };
                structural += w * share;
                *rest = w * (1.0 - share);
                other += *rest;
            }
            elbo_core::add_scaled(&mut stats.weights, 1.0, &[structural, other]);
        }
        let rest = Matrix::new(rest, k, n, n);
        F::observe_all(&packed.counts, &mut scratch.stats, data, rest, &mut scratch.counts);
    }

    fn finish(packed: &Self::Packed, stats: &mut [Self::Stats], scratch: &mut Self::Scratch) {
        F::finish(&packed.counts, &mut scratch.stats, &mut scratch.counts);
        for (stats, observed) in stats.iter_mut().zip(&scratch.stats) {
            stats.counts.merge(observed);
        }
        F::reset_all(&packed.counts, &mut scratch.stats);
    }

    /// The counts are moved, the share of structural zeros stays.
    fn moved_to(&self, data: &[u64], row: usize) -> Result<Self, EstimateError> {
        Ok(Self { structural: self.structural, counts: self.counts.moved_to(data, row)? })
    }

    fn maximize(&self, stats: &Self::Stats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let [structural, other] = stats.weights;
        if !(structural >= 0.0 && other >= 0.0 && (structural + other).is_finite()) {
            return Err(EstimateError::Infeasible {
                component: 0,
                what: "zero-inflated distribution",
            });
        }
        if other == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight: other });
        }
        next.structural = structural / (structural + other);
        self.counts.maximize(&stats.counts, &mut next.counts)
    }

    fn expected_stats(&self, weight: f64) -> Self::Stats {
        let other = weight * (1.0 - self.structural);
        let counts = self.counts.expected_stats(other);
        ZeroInflatedStats { weights: [weight * self.structural, other], counts }
    }

    fn free_parameters(&self, k: usize) -> usize {
        k + self.counts.free_parameters(k)
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters<F> {
    structural: f64,
    counts: F,
}

#[cfg(feature = "serde")]
impl<F> TryFrom<Parameters<F>> for ZeroInflated<F> {
    type Error = ParameterError;

    fn try_from(p: Parameters<F>) -> Result<Self, ParameterError> {
        Self::new(p.structural, p.counts)
    }
}
