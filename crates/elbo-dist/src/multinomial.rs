//! The multinomial distribution.

use elbo_core::{
    BLOCK, Batch, DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix,
    MatrixMut, Range, Repairs, Rows, Statistics,
};
use rand::Rng;
use rand_distr::Distribution;

use crate::{
    Categorical, ParameterError,
    block::check_shape,
    categorical::{score_of_log_ratios, with_log_ratios, write_log_ratios},
    linear::{Linear, add_base, check_entries, check_width, gather, weighted_sum},
    poisson::tabled_ln_factorial,
    special::{ln_factorial, ln_gamma, x_ln_y},
};

/// How often each of `m` categories comes up in `n` independent trials:
/// `ln p(x) = ln n! − Σ ln xⱼ! + Σ xⱼ ln pⱼ`, `n = Σx`.
///
/// An observation is a row of `m` counts: whole numbers from 0 on, as `f64`. Its number of trials is its sum; it is
/// given, not modeled, and may differ from row to row. A probability of zero is allowed: rows that count such a
/// category score `−∞`, others are untouched. A hole in a row would leave the number of trials open, so that NaN is
/// refused. Where rows vary more than trials that are independent can, take a
/// [`DirichletMultinomial`](crate::DirichletMultinomial).
///
/// The evidence of the conjugate [`Dirichlet`](crate::Dirichlet) leaves out the multinomial coefficients.
///
/// ```
/// use elbo_core::{Family, Rows};
/// use elbo_dist::Multinomial;
///
/// let fair = Multinomial::uniform(3);
/// let mut stats = fair.new_stats();
/// fair.observe(&mut stats, Rows::new(&[2.0, 1.0, 0.0, 1.0, 0.0, 0.0], 2, 3), &[1.0, 1.0]);
/// let mut fitted = fair.clone();
/// fair.maximize(&stats, &mut fitted).unwrap();
/// assert_eq!(fitted.probabilities(), [0.75, 0.25, 0.0]);
/// ```
///
/// # Source
///
/// Johnson, Kotz & Balakrishnan (1997), *Discrete Multivariate Distributions*, chapter 35.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Parameters", try_from = "Parameters")
)]
pub struct Multinomial {
    trial: Categorical,
}

impl Multinomial {
    /// The distribution with these probabilities, kept as they are.
    ///
    /// # Errors
    ///
    /// As [`Categorical::new`].
    pub fn new(probabilities: Vec<f64>) -> Result<Self, ParameterError> {
        Ok(Self { trial: Categorical::new(probabilities)? })
    }

    /// Probabilities in proportion to `weights`.
    ///
    /// # Errors
    ///
    /// As [`Categorical::from_weights`].
    pub fn from_weights(weights: &[f64]) -> Result<Self, ParameterError> {
        Ok(Self { trial: Categorical::from_weights(weights)? })
    }

    /// Probability `1/categories` each.
    ///
    /// # Panics
    ///
    /// If `categories` is zero.
    pub fn uniform(categories: usize) -> Self {
        Self { trial: Categorical::uniform(categories) }
    }

    /// Number of categories, `m`.
    pub fn categories(&self) -> usize {
        self.trial.categories()
    }

    /// `p₀, …, pₘ₋₁`.
    pub fn probabilities(&self) -> &[f64] {
        self.trial.probabilities()
    }

    /// The distribution of a single trial.
    pub fn trial(&self) -> &Categorical {
        &self.trial
    }

    /// `ln p(x)` of one row of counts, in nats.
    ///
    /// # Panics
    ///
    /// If there is not one count for each category.
    pub fn log_probability(&self, counts: &[f64]) -> f64 {
        assert_eq!(counts.len(), self.categories(), "one count for each category");
        let powers = counts.iter().zip(self.probabilities()).map(|(x, p)| x_ln_y(*x, *p));
        log_coefficient(counts) + powers.sum::<f64>()
    }

    /// `E[x] = n p`.
    pub fn mean(&self, trials: f64) -> Vec<f64> {
        self.probabilities().iter().map(|p| trials * p).collect()
    }

    /// `Cov[x] = n (diag p − p pᵀ)`, `m × m`, row-major.
    pub fn covariance(&self, trials: f64) -> Vec<f64> {
        let p = self.probabilities();
        let entry = |(i, j): (usize, usize)| {
            trials * if i == j { p[i] * (1.0 - p[i]) } else { -p[i] * p[j] }
        };
        (0..p.len() * p.len()).map(|place| entry((place / p.len(), place % p.len()))).collect()
    }

    /// `−E[ln p(x)]` of so many trials, in nats: `n H(p) − ln n! + Σ E[ln xⱼ!]`, where each `xⱼ` is binomial. Cost:
    /// `n m` exponentials.
    pub fn entropy(&self, trials: u64) -> f64 {
        let n = trials as f64;
        let of_factorials = |p: &f64| -> f64 {
            let probability = |x: u64| {
                let rest = (trials - x) as f64;
                let choices =
                    ln_factorial(trials) - tabled_ln_factorial(x) - ln_factorial(trials - x);
                (choices + x_ln_y(x as f64, *p) + x_ln_y(rest, 1.0 - p)).exp()
            };
            (2..=trials).map(|x| probability(x) * tabled_ln_factorial(x)).sum()
        };
        let expected: f64 = self.probabilities().iter().map(of_factorials).sum();
        n * self.trial.entropy() - ln_factorial(trials) + expected
    }

    /// `KL(self ‖ other) = Σ p ln(p/q)` for a single trial, in nats; for `n` trials it is `n` times that. `+∞` where
    /// `other` rules out what is possible here.
    ///
    /// # Panics
    ///
    /// If the numbers of categories differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.categories(), other.categories(), "another number of categories");
        let pairs = self.probabilities().iter().zip(other.probabilities());
        pairs.map(|(p, q)| if *p == 0.0 { 0.0 } else { p * (p / q).ln() }).sum()
    }

    /// One draw of `trials` trials: a row of counts. Cost: `m` binomial draws.
    ///
    /// The family knows no number of trials, so that it is not [`Draw`](elbo_core::Draw); data like given ones are drawn row by
    /// row, each with its total.
    pub fn sample(&self, trials: u64, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        sample_counts(self.probabilities(), trials, rng)
    }

    /// Overwrites the probabilities by `weights / sum`, where `sum > 0` is their sum.
    pub(crate) fn set(&mut self, weights: impl ExactSizeIterator<Item = f64>, sum: f64) {
        self.trial.set(weights, sum);
    }
}

/// Counts drawn by one binomial after the other, each of the trials that are left.
pub(crate) fn sample_counts(
    probabilities: &[f64],
    trials: u64,
    rng: &mut (impl Rng + ?Sized),
) -> Vec<f64> {
    let mut left = trials;
    let mut rest: f64 = probabilities.iter().sum();
    let last = probabilities.iter().rposition(|p| *p > 0.0).expect("probabilities sum to one");
    let mut counts = vec![0.0; probabilities.len()];
    for (j, (count, p)) in counts.iter_mut().zip(probabilities).enumerate() {
        let share = if j == last { 1.0 } else { (p / rest).min(1.0) };
        let binomial = rand_distr::Binomial::new(left, share).expect("a share is a probability");
        let drawn = if *p > 0.0 { binomial.sample(rng) } else { 0 };
        *count = drawn as f64;
        left -= drawn;
        rest = (rest - p).max(f64::MIN_POSITIVE);
    }
    counts
}

/// Coordinates are those of a [`Categorical`](crate::Categorical).
impl FlatParameters for Multinomial {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        write_log_ratios(self.probabilities(), out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let probabilities = with_log_ratios(self.probabilities(), from);
        let mut new = self.clone();
        new.set(probabilities.iter().copied(), 1.0);
        new
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (j, p) in self.probabilities().iter().enumerate() {
            see(&format!("probability[{j}]"), *p, Range::Probability);
        }
    }
}

impl ExpectedLogLikelihood for Multinomial {
    fn score_into(&self, stats: &MultinomialStats, _: &[f64], out: &mut [f64]) {
        score_of_log_ratios(self.probabilities(), &stats.counts, out);
    }

    fn is_complete(&self, _: Rows<'_>) -> bool {
        true
    }
}

/// Weighted sufficient statistics of a [`Multinomial`]: `Σw`, in rows, and `Σwxⱼ`, in trials.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MultinomialStats {
    weight: f64,
    counts: Vec<f64>,
}

impl MultinomialStats {
    /// Nothing observed.
    pub fn new(categories: usize) -> Self {
        Self { weight: 0.0, counts: vec![0.0; categories] }
    }

    /// `Σw`, in rows.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σwxⱼ` of each category, in trials.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// `Σwn`, in trials.
    pub fn trials(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Could these be the sums of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        let possible = |x: &f64| *x >= 0.0 && x.is_finite();
        let empty = self.weight == 0.0 && self.counts.iter().any(|c| *c != 0.0);
        if possible(&self.weight) && self.counts.iter().all(possible) && !empty {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "multinomial distribution" })
        }
    }
}

impl Statistics for MultinomialStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(&self.counts);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(&mut self.counts);
    }
}

/// `k` multinomials, or posteriors over them, as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct MultinomialPacked(Linear);

impl MultinomialPacked {
    /// Rows are scored by `ln n! − Σ ln xⱼ! + Σ xⱼ log_probabilitiesⱼ`.
    pub(crate) fn set(&mut self, j: usize, log_probabilities: impl ExactSizeIterator<Item = f64>) {
        self.0.set(j, 0.0, log_probabilities);
    }
}

/// A column of a block, and the log coefficients of its rows.
#[derive(Clone, Debug)]
pub struct MultinomialScratch {
    column: [f64; BLOCK],
    trials: [f64; BLOCK],
    coefficients: [f64; BLOCK],
}

impl Family for Multinomial {
    type Batch<'a> = Rows<'a>;
    type Stats = MultinomialStats;
    type Packed = MultinomialPacked;
    type Scratch = MultinomialScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        check_counts(data, self.categories())
    }

    fn new_stats(&self) -> MultinomialStats {
        MultinomialStats::new(self.categories())
    }

    fn new_packed(&self, k: usize) -> MultinomialPacked {
        MultinomialPacked(Linear::new(k, self.categories()))
    }

    fn new_scratch(_: &MultinomialPacked) -> MultinomialScratch {
        MultinomialScratch {
            column: [0.0; BLOCK],
            trials: [0.0; BLOCK],
            coefficients: [0.0; BLOCK],
        }
    }

    fn pack(&self, j: usize, packed: &mut MultinomialPacked) {
        packed.set(j, self.probabilities().iter().map(|p| p.ln()));
    }

    fn score_all(
        packed: &MultinomialPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut MultinomialScratch,
    ) {
        let n = data.len();
        check_shape(packed.0.k(), n, out.rows(), out.columns());
        packed.0.start(&mut out);
        let (trials, coefficients) = (&mut scratch.trials[..n], &mut scratch.coefficients[..n]);
        trials.fill(0.0);
        coefficients.fill(0.0);
        for category in 0..data.d() {
            let counts = gather(data, category, &mut scratch.column);
            packed.0.add(category, counts, &mut out);
            let rows = trials.iter_mut().zip(&mut *coefficients);
            for ((trials, coefficient), x) in rows.zip(&*counts) {
                *trials += x;
                *coefficient -= ln_factorial_of(*x);
            }
        }
        for (coefficient, n) in coefficients.iter_mut().zip(&*trials) {
            *coefficient += ln_factorial_of(*n);
        }
        add_base(coefficients, &mut out);
    }

    fn observe_all(
        _: &MultinomialPacked,
        stats: &mut [MultinomialStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut MultinomialScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for category in 0..data.d() {
            let counts = gather(data, category, &mut scratch.column);
            for (j, stats) in stats.iter_mut().enumerate() {
                stats.counts[category] += weighted_sum(counts, weights.row(j));
            }
        }
        for (j, stats) in stats.iter_mut().enumerate() {
            stats.weight += weights.row(j).iter().sum::<f64>();
        }
    }

    /// Relative frequencies of the categories. Without a single trial there are none:
    /// [`EstimateError::NoWeight`].
    fn maximize(
        &self,
        stats: &MultinomialStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let trials = stats.trials();
        if trials == 0.0 || !trials.is_finite() {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        next.set(stats.counts.iter().copied(), trials);
        Ok(Repairs::default())
    }

    /// Of rows of one trial each, since the number of trials is not modeled.
    fn expected_stats(&self, weight: f64) -> MultinomialStats {
        MultinomialStats { weight, counts: self.mean(weight) }
    }

    fn write_natural(&self, _: &MultinomialStats, out: &mut Vec<f64>) -> bool {
        out.push(0.0);
        out.extend(self.trial.probabilities().iter().map(|p| crate::univariate::ln_or_least(*p)));
        true
    }

    fn is_maximized_at_once(&self, _: &MultinomialStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * (self.categories() - 1)
    }
}

/// Refuses rows that are no counts of `m` categories.
pub(crate) fn check_counts(data: Rows<'_>, m: usize) -> Result<(), DataError> {
    check_width(data, m)?;
    check_entries(data, "a whole number from 0 on", |x| x >= 0.0 && x.fract() == 0.0)
}

/// `ln x!` of a count that is kept as `f64`.
pub(crate) fn ln_factorial_of(x: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number below 256"
    )]
    if x < 256.0 { tabled_ln_factorial(x as u64) } else { ln_gamma(x + 1.0) }
}

/// `ln n! − Σ ln xⱼ!`.
pub(crate) fn log_coefficient(counts: &[f64]) -> f64 {
    let of_counts: f64 = counts.iter().map(|x| ln_factorial_of(*x)).sum();
    ln_factorial_of(counts.iter().sum()) - of_counts
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    probabilities: Vec<f64>,
}

#[cfg(feature = "serde")]
impl From<Multinomial> for Parameters {
    fn from(multinomial: Multinomial) -> Self {
        Self { probabilities: multinomial.probabilities().to_vec() }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Multinomial {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.probabilities)
    }
}
