//! The negative binomial distribution.

mod maximize;

use elbo_core::{
    BLOCK, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range, Repairs,
    Statistics, add_scaled, take_front,
};
use rand::{Rng, distr::Distribution};

use crate::{
    ParameterError, Poisson,
    binomial::ln_choose_at_mean,
    block::check_shape,
    counts::{to_f64, weighted_sums},
    draws,
    error::{not_negative, positive},
    gamma,
    poisson::count_near,
    quantile,
    special::{beta_regularized_of, deviance, standard_normal_quantile},
    spread::Spread,
    tally::{self, Place, TABLE},
    univariate::univariate,
};

/// Counts that vary more than those of a [`Poisson`]: mean `μ`, variance `μ + μ²/r`, `r` the size.
///
/// `ln p(x) = ln Γ(r + x) − ln Γ(r) − ln x! + r ln[r/(r + μ)] + x ln[μ/(r + μ)]`: a Poisson whose rate is itself drawn from
/// a gamma distribution of mean `μ` and shape `r`, which need not be whole. Towards `r = ∞` it is the Poisson.
///
/// Observations are whole numbers, `u64`; above 2⁵³ they are rounded to the nearest `f64`.
///
/// ```
/// use elbo_core::fit_single;
/// use elbo_dist::NegativeBinomial;
///
/// let counts: &[u64] = &[0, 0, 1, 2, 7, 0, 3, 1, 12, 0];
/// let fit = fit_single(NegativeBinomial::new(1.0, 1.0)?, counts).unwrap();
/// assert!((fit.params.mean() - 2.6).abs() < 1e-15);
/// assert!(fit.params.variance() > 2.6);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Estimation
///
/// Maximum likelihood takes both parameters from one pass over the data, exactly: the mean is the sample mean, whatever
/// `r`, and the likelihood of `r` depends on the data by `Σw ψ(r + x)`, which the [statistics](NegativeBinomialStats) keep
/// for all `r` at once. A maximum exists, and then only one, if the data's variance (divided by `n`) exceeds their mean;
/// otherwise the likelihood rises towards `r = ∞`, a Poisson, which is an [`EstimateError::Boundary`]. Sizes beyond some
/// `10¹³` cannot be told from that.
///
/// # Source
///
/// Johnson, Kemp & Kotz (2005), *Univariate Discrete Distributions*, chapter 5; uniqueness: Levin & Reeds (1977), Ann.
/// Statist. 5(1).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct NegativeBinomial {
    size: f64,
    mean: f64,
}

impl NegativeBinomial {
    /// The distribution of this size and mean.
    ///
    /// # Errors
    ///
    /// If `size` is not positive and finite, or `mean` is negative or not finite.
    pub fn new(size: f64, mean: f64) -> Result<Self, ParameterError> {
        Ok(Self { size: positive("size", size)?, mean: not_negative("mean", mean)? })
    }

    /// `r`, the shape of the gamma distribution of rates; without unit.
    pub fn size(&self) -> f64 {
        self.size
    }

    /// `μ`, in events.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// `r/(r + μ)`, the probability of success where the distribution counts failures before the `r`-th one.
    pub fn probability(&self) -> f64 {
        self.size / (self.size + self.mean)
    }

    /// `μ + μ²/r`, in squared events.
    pub fn variance(&self) -> f64 {
        self.mean + self.mean * (self.mean / self.size)
    }

    /// `ln p(count)`, in nats, to the last digits at any size and mean.
    ///
    /// Source: Loader (2000), *Fast and accurate computation of binomial probabilities*.
    pub fn log_probability(&self, count: u64) -> f64 {
        self.ln_p(count as f64)
    }

    /// `P(X ≤ count)`, an incomplete beta function.
    pub fn cdf(&self, count: u64) -> f64 {
        if self.mean == 0.0 {
            return 1.0;
        }
        let total = self.size + self.mean;
        let (p, q) = (self.size / total, self.mean / total);
        beta_regularized_of(self.size, count as f64 + 1.0, p, q)
    }

    /// The smallest count with `P(X ≤ count) ≥ p`; `u64::MAX` where no `u64` reaches.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u64 {
        let z = standard_normal_quantile(p).clamp(-40.0, 40.0);
        let near = self.mean + z * self.variance().sqrt();
        quantile::discrete(p, count_near(near), |count| self.cdf(count))
    }

    /// `−E[ln p(X)]`, in nats. Cost: a sum over at most some ten thousand counts.
    pub fn entropy(&self) -> f64 {
        self.spread().expectation(|x| self.ln_p(x), |_, log_probability| -log_probability)
    }

    /// `KL(self ‖ other) = E[ln p(X) − ln p′(X)]`, in nats; infinite if only the other's mean is zero. Cost: twice that of
    /// [`entropy`](Self::entropy).
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        if other.mean == 0.0 && self.mean > 0.0 {
            return f64::INFINITY;
        }
        let gap = |x, log_probability| log_probability - other.ln_p(x);
        self.spread().expectation(|x| self.ln_p(x), gap).max(0.0) // rounding may leave −ε
    }

    /// One draw; counts beyond 10¹⁹ are drawn as `u64::MAX`.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u64 {
        self.prepared().sample(rng)
    }

    fn prepared(&self) -> Sampler {
        Sampler { gamma: gamma::standard(self.size), scale: self.mean / self.size }
    }

    fn spread(&self) -> Spread {
        Spread {
            mean: self.mean,
            std_dev: self.variance().sqrt(),
            last: f64::INFINITY,
            is_cut: false,
        }
    }

    fn ln_p(&self, x: f64) -> f64 {
        ln_negative_binomial(x, self.size, self.mean)
    }
}

univariate!(NegativeBinomial, u64, log_probability, |this, n| {
    draws::unimodal(this, n, this.mean / (this.mean + this.size), || this.prepared())
});

/// A Poisson count of which the rate is a gamma variable.
struct Sampler {
    gamma: rand_distr::Gamma<f64>,
    scale: f64,
}

impl Distribution<u64> for Sampler {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        let rate = self.gamma.sample(rng) * self.scale;
        match Poisson::new(rate) {
            Ok(poisson) if rate <= 1e19 => poisson.sample(rng),
            _ => u64::MAX,
        }
    }
}

/// The coordinates are `ln r` and `ln μ`.
impl FlatParameters for NegativeBinomial {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend([self.size.ln(), self.mean.ln()]);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let at = take_front(from, 2);
        Self { size: at[0].exp(), mean: at[1].exp() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        see("size", self.size, Range::Positive);
        see("mean", self.mean, Range::Positive);
    }
}

/// Weighted sufficient statistics of a [`NegativeBinomial`]: `Σwx`, in events, and a tally of the counts, in observations.
///
/// The family has no sufficient statistics of fixed length, but these serve to rounding: the weights of the counts below
/// 256, one by one, and beyond, for cells of a factor of 16, the first 24 Chebyshev moments of `ln x` within the cell, which
/// determine sums of `ψ(r + x)` within some `10⁻¹⁵`, whatever `r`. They depend on no parameter, so that they add up across
/// iterations as well. Extrapolation may leave weights that are slightly negative; what must not be negative is the total
/// weight, `Σwx` and what the variance exceeds the mean by.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NegativeBinomialStats {
    events: f64,
    tally: Vec<f64>,
}

impl Default for NegativeBinomialStats {
    fn default() -> Self {
        Self { events: 0.0, tally: vec![0.0; tally::LEN] }
    }
}

impl NegativeBinomialStats {
    /// `Σw`, in observations. Cost: some 300 additions.
    pub fn total_weight(&self) -> f64 {
        tally::total_weight(&self.tally)
    }

    /// `Σwx`, in events.
    pub fn events(&self) -> f64 {
        self.events
    }
}

impl Statistics for NegativeBinomialStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.events));
        see(&self.tally);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.events));
        see(&mut self.tally);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        self.events += factor * other.events;
        add_scaled(&mut self.tally, factor, &other.tally);
    }
}

/// `k` distributions, and the log probabilities of counts below 256 as one table: the `k` values of a count lie side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct NegativeBinomialPacked {
    components: Vec<NegativeBinomial>,
    table: Vec<f64>,
}

/// The tally of the rows observed since the last [`Family::finish`], the numbers of all components side by side.
#[derive(Clone, Debug)]
pub struct NegativeBinomialScratch {
    counts: [f64; BLOCK],
    tally: Vec<f64>,
    /// Numbers in use, of each component.
    used: usize,
}

impl Family for NegativeBinomial {
    type Batch<'a> = &'a [u64];
    type Stats = NegativeBinomialStats;
    type Packed = NegativeBinomialPacked;
    type Scratch = NegativeBinomialScratch;

    fn check(&self, _: &[u64]) -> Result<(), DataError> {
        Ok(()) // every u64 is a count
    }

    fn new_stats(&self) -> NegativeBinomialStats {
        NegativeBinomialStats::default()
    }

    fn new_packed(&self, k: usize) -> NegativeBinomialPacked {
        NegativeBinomialPacked { components: vec![*self; k], table: vec![0.0; k * TABLE] }
    }

    fn new_scratch(packed: &NegativeBinomialPacked) -> NegativeBinomialScratch {
        let tally = vec![0.0; packed.components.len() * tally::LEN];
        NegativeBinomialScratch { counts: [0.0; BLOCK], tally, used: 0 }
    }

    /// Cost: 256 log probabilities.
    fn pack(&self, j: usize, packed: &mut NegativeBinomialPacked) {
        packed.components[j] = *self;
        let k = packed.components.len();
        for (x, cells) in packed.table.chunks_exact_mut(k).enumerate() {
            cells[j] = self.ln_p(x as f64);
        }
    }

    /// Cost: one look-up for a count below 256, otherwise some 100 ns.
    fn score_all(
        packed: &NegativeBinomialPacked,
        data: &[u64],
        mut out: MatrixMut<'_>,
        _: &mut NegativeBinomialScratch,
    ) {
        let k = packed.components.len();
        check_shape(k, data.len(), out.rows(), out.columns());
        let (out, stride) = out.raw_mut();
        for (i, x) in data.iter().enumerate() {
            if *x < TABLE as u64 {
                #[allow(clippy::cast_possible_truncation, reason = "below 256")]
                let cells = &packed.table[*x as usize * k..][..k];
                cells.iter().enumerate().for_each(|(j, value)| out[j * stride + i] = *value);
            } else {
                let components = packed.components.iter().enumerate();
                components.for_each(|(j, c)| out[j * stride + i] = c.ln_p(*x as f64));
            }
        }
    }

    /// Cost: one addition for a count below 256, otherwise 24.
    fn observe_all(
        _: &NegativeBinomialPacked,
        stats: &mut [NegativeBinomialStats],
        data: &[u64],
        weights: Matrix<'_>,
        scratch: &mut NegativeBinomialScratch,
    ) {
        let k = stats.len();
        check_shape(k, data.len(), weights.rows(), weights.columns());
        let counts = to_f64(data, &mut scratch.counts);
        for (j, stats) in stats.iter_mut().enumerate() {
            let (_, [events]) = weighted_sums([counts], weights.row(j));
            stats.events += events;
        }
        let (weights, stride) = weights.raw();
        for (i, x) in counts.iter().enumerate() {
            let place = Place::of(*x);
            scratch.used = scratch.used.max(place.end());
            place.for_each(|index, factor| {
                let sums = &mut scratch.tally[index * k..][..k];
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum += factor * weights[j * stride + i];
                }
            });
        }
    }

    fn finish(
        packed: &NegativeBinomialPacked,
        stats: &mut [NegativeBinomialStats],
        scratch: &mut NegativeBinomialScratch,
    ) {
        let k = packed.components.len();
        let used = &mut scratch.tally[..scratch.used * k];
        for (index, sums) in used.chunks_exact(k).enumerate() {
            stats.iter_mut().zip(sums).for_each(|(stats, sum)| stats.tally[index] += sum);
        }
        used.fill(0.0);
        scratch.used = 0;
    }

    /// Halfway to the observation in mean, of the same size.
    fn moved_to(&self, data: &[u64], row: usize) -> Result<Self, EstimateError> {
        Ok(Self { mean: self.mean.midpoint(data[row] as f64), ..*self })
    }

    fn maximize(
        &self,
        stats: &NegativeBinomialStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        let (size, mean) = maximize::size_and_mean(stats.events, &stats.tally)?;
        *next = Self { size, mean };
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> NegativeBinomialStats {
        let tally = vec![0.0; tally::LEN];
        let mut stats = NegativeBinomialStats { events: weight * self.mean, tally };
        self.spread().for_each_node(
            |x| self.ln_p(x),
            |x, p, _| {
                Place::of(x).for_each(|index, factor| stats.tally[index] += weight * p * factor);
            },
        );
        stats
    }

    fn free_parameters(&self, k: usize) -> usize {
        2 * k
    }
}

/// `ln p(x)` of size `r` at a count, or between counts.
pub(crate) fn ln_negative_binomial(x: f64, r: f64, mean: f64) -> f64 {
    if x == 0.0 {
        return -r * (mean / r).ln_1p();
    }
    // r/(r + x) times the binomial probability of r successes among r + x trials
    let (n, total) = (r + x, r + mean);
    let misfit = deviance(r, n * (r / total)) + deviance(x, n * (mean / total));
    ln_choose_at_mean(r, x, n) - misfit - (x / r).ln_1p()
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    size: f64,
    mean: f64,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for NegativeBinomial {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.size, p.mean)
    }
}
