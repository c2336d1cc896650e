//! The categorical distribution.

use elbo_core::{
    DataError, EstimateError, ExpectedLogLikelihood, Family, FlatParameters, Matrix, MatrixMut,
    Range, Repairs, Statistics, take_front,
};
use rand::{Rng, RngExt, distr::Distribution};

use crate::{
    ParameterError,
    block::check_shape,
    draws::Alias,
    special::{deviance, x_ln_y},
    univariate::univariate,
};

/// A distribution over the categories `0..m`: `p(x) = pₓ`, `Σ pₓ = 1`.
///
/// Observations are category codes. A probability of zero is allowed and stays zero: its category then scores `−∞`,
/// and maximum likelihood gives it to categories that were not seen. A [`Dirichlet`](crate::Dirichlet) prior is the
/// cure where that is unwanted.
///
/// The same type is an emission, the weights of a mixture and a row of a transition matrix.
///
/// ```
/// use elbo_dist::Categorical;
///
/// let die = Categorical::uniform(6);
/// assert!((die.entropy() - 6_f64.ln()).abs() < 1e-15);
/// assert!(Categorical::new(vec![0.5, 0.6]).is_err());
/// ```
///
/// # Source
///
/// Bishop (2006), section 2.2.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Categorical {
    probabilities: Vec<f64>,
}

impl Categorical {
    /// The distribution with these probabilities, kept as they are.
    ///
    /// # Errors
    ///
    /// If there are none, one is negative or not finite, or their sum is not within 10⁻⁹ of one: see
    /// [`from_weights`](Self::from_weights).
    pub fn new(probabilities: Vec<f64>) -> Result<Self, ParameterError> {
        let sum = checked_sum(&probabilities, "probabilities")?;
        if (sum - 1.0).abs() > 1e-9 {
            return Err(ParameterError::Sum { parameter: "probabilities", sum });
        }
        Ok(Self { probabilities })
    }

    /// Probabilities in proportion to `weights`.
    ///
    /// # Errors
    ///
    /// If there are none, one is negative or not finite, or their sum is zero or infinite.
    pub fn from_weights(weights: &[f64]) -> Result<Self, ParameterError> {
        let sum = checked_sum(weights, "weights")?;
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(ParameterError::Sum { parameter: "weights", sum });
        }
        Ok(Self { probabilities: weights.iter().map(|w| w / sum).collect() })
    }

    /// Probability `1/categories` each.
    ///
    /// # Panics
    ///
    /// If `categories` is zero.
    pub fn uniform(categories: usize) -> Self {
        assert!(categories > 0, "at least one category is needed");
        Self { probabilities: vec![1.0 / categories as f64; categories] }
    }

    /// Number of categories, `m`.
    pub fn categories(&self) -> usize {
        self.probabilities.len()
    }

    /// `p₀, …, pₘ₋₁`.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// `ln pₓ`, in nats; `−∞` where the probability is zero.
    ///
    /// # Panics
    ///
    /// If there is no such category.
    pub fn log_probability(&self, category: u32) -> f64 {
        self.probabilities[category as usize].ln()
    }

    /// `P(X ≤ category)`, codes taken as numbers; 1 from the last possible category on. Cost: `m` additions.
    pub fn cdf(&self, category: u32) -> f64 {
        let beyond = (category as usize).saturating_add(1).min(self.categories());
        let (below, above) = self.probabilities.split_at(beyond);
        if above.iter().all(|p| *p == 0.0) { 1.0 } else { below.iter().sum::<f64>().min(1.0) }
    }

    /// The smallest category with `P(X ≤ category) ≥ p`. Cost: `m` additions.
    ///
    /// # Panics
    ///
    /// If `p` is not in `[0, 1]`.
    pub fn quantile(&self, p: f64) -> u32 {
        assert!((0.0..=1.0).contains(&p), "{p} is no probability");
        let mut sum = 0.0;
        let mut last = 0;
        for (category, probability) in (0..).zip(&self.probabilities) {
            sum += probability;
            if sum >= p {
                return category;
            }
            if *probability > 0.0 {
                last = category;
            }
        }
        last // what rounding leaves of p belongs to the last possible category
    }

    /// `Σ x pₓ`: the mean of the codes, where they mean anything as numbers.
    pub fn mean(&self) -> f64 {
        self.codes().map(|(x, p)| x * p).sum()
    }

    /// `Σ (x − mean)² pₓ`, of the codes.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        self.codes().map(|(x, p)| (x - mean) * (x - mean) * p).sum()
    }

    /// `KL(self ‖ other) = Σ p ln(p/p′)`, in nats; infinite if the other excludes a category that this one does not.
    ///
    /// # Panics
    ///
    /// If the other has another number of categories.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.categories(), other.categories(), "another number of categories");
        let pairs = self.probabilities.iter().zip(&other.probabilities);
        pairs.map(|(p, q)| deviance(*p, *q)).sum() // Σ (p − q) = 0 is in these terms, none of them negative
    }

    /// Codes as numbers, with their probabilities.
    fn codes(&self) -> impl Iterator<Item = (f64, f64)> {
        (0_u32..).map(f64::from).zip(self.probabilities.iter().copied())
    }

    /// `−Σ p ln p`, in nats.
    pub fn entropy(&self) -> f64 {
        -self.probabilities.iter().map(|p| x_ln_y(*p, *p)).sum::<f64>()
    }

    /// One draw; never a category of probability zero. Cost: `m` subtractions.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> u32 {
        let mut u: f64 = rng.random();
        let mut last = 0;
        for (category, p) in (0..).zip(&self.probabilities) {
            if *p > 0.0 {
                last = category;
                u -= p;
                if u < 0.0 {
                    break;
                }
            }
        }
        last // what rounding leaves of u falls to the last possible category
    }

    fn sampler_for(&self, n: usize) -> Sampler<'_> {
        if n > 2 * self.categories() {
            Sampler::Table(Alias::new(&self.probabilities))
        } else {
            Sampler::Direct(self)
        }
    }

    /// Overwrites the probabilities by `weights / sum`, where `sum > 0` is their sum.
    pub(crate) fn set(&mut self, weights: impl ExactSizeIterator<Item = f64>, sum: f64) {
        assert_eq!(weights.len(), self.categories(), "another number of categories");
        for (p, weight) in self.probabilities.iter_mut().zip(weights) {
            *p = weight / sum;
        }
    }
}

univariate!(Categorical, u32, log_probability, |this, n| this.sampler_for(n));

/// By a table, or one after the other.
enum Sampler<'a> {
    Table(Alias),
    Direct(&'a Categorical),
}

impl Distribution<u32> for Sampler<'_> {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u32 {
        match self {
            Self::Table(table) => table.sample(rng),
            Self::Direct(categorical) => categorical.sample(rng),
        }
    }
}

/// The coordinates are the additive log ratios `ln(pₓ / pᵣ)` to the last category `r` that is possible, in order, `r` itself
/// left out. Those of impossible categories are `−∞`; which one is the last possible is part of the shape.
impl FlatParameters for Categorical {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        write_log_ratios(&self.probabilities, out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { probabilities: with_log_ratios(&self.probabilities, from) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (category, p) in self.probabilities.iter().enumerate() {
            see(&format!("probability {category}"), *p, Range::Probability);
        }
    }
}

impl ExpectedLogLikelihood for Categorical {
    fn score_into(&self, stats: &CategoricalStats, _: &[f64], out: &mut [f64]) {
        score_of_log_ratios(&self.probabilities, &stats.counts, out);
    }

    fn is_complete(&self, _: &[u32]) -> bool {
        true
    }
}

/// The last category that is possible.
fn reference(probabilities: &[f64]) -> usize {
    probabilities.iter().rposition(|p| *p > 0.0).expect("probabilities sum to one")
}

/// `ln(pₓ / pᵣ)` of all categories but the reference.
pub(crate) fn write_log_ratios(probabilities: &[f64], out: &mut Vec<f64>) {
    let reference = reference(probabilities);
    let log = probabilities[reference].ln();
    let others = probabilities.iter().enumerate().filter(|(x, _)| *x != reference);
    out.extend(others.map(|(_, p)| p.ln() - log));
}

/// The probabilities with these log ratios, where `shape` tells the reference. Those whose ratio is `+∞` share everything.
pub(crate) fn with_log_ratios(shape: &[f64], from: &mut &[f64]) -> Vec<f64> {
    let ratios = take_front(from, shape.len() - 1);
    let max = ratios.iter().copied().fold(0.0, f64::max);
    let weight = |ratio: f64| if ratio >= max { 1.0 } else { (ratio - max).exp() };
    let mut weights: Vec<f64> = ratios.iter().copied().map(weight).collect();
    weights.insert(reference(shape), weight(0.0));
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// The derivatives of `Σ cₓ ln pₓ` with respect to the log ratios, `cₓ − pₓ Σc`.
pub(crate) fn score_of_log_ratios(probabilities: &[f64], counts: &[f64], out: &mut [f64]) {
    let (reference, total) = (reference(probabilities), counts.iter().sum::<f64>());
    let cells = probabilities.iter().zip(counts).enumerate().filter(|(x, _)| *x != reference);
    for (out, (_, (p, count))) in out.iter_mut().zip(cells) {
        *out = count - p * total;
    }
}

/// Weighted sufficient statistics of a [`Categorical`]: the weight of each category, in observations.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CategoricalStats {
    counts: Vec<f64>,
}

impl CategoricalStats {
    /// Nothing observed.
    pub fn new(categories: usize) -> Self {
        Self { counts: vec![0.0; categories] }
    }

    /// The weight of each category, in observations.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// The same for change: models that count something else than rows (transitions, components) add here.
    pub fn counts_mut(&mut self) -> &mut [f64] {
        &mut self.counts
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// Could these be the counts of some weighted data?
    pub(crate) fn check(&self) -> Result<(), EstimateError> {
        if self.counts.iter().all(|c| *c >= 0.0 && c.is_finite()) {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: "categorical distribution" })
        }
    }
}

impl Statistics for CategoricalStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.counts);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.counts);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        elbo_core::add_scaled(&mut self.counts, factor, &other.counts);
    }
}

/// The log probabilities of `k` distributions, or their expectations, as one table: the `k` values of a category lie
/// side by side, so that scoring an observation reads one stretch of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct CategoricalPacked {
    k: usize,
    table: Vec<f64>,
    /// `e^table`, the components of a category side by side, each row filled up with zeros to [`width`](Self::width).
    densities: Vec<f64>,
    /// Per component: is no density too small for the table?
    fits: Vec<bool>,
}

/// Densities in a table are at least this, or zero: 10⁻⁴⁰ leaves products with messages of chains far from underflow.
const LEAST_LOG_DENSITY: f64 = -92.0;

impl CategoricalPacked {
    /// The log probabilities of a category under each of the `k` components, in nats.
    ///
    /// # Panics
    ///
    /// If there is no such category.
    pub fn log_probabilities(&self, category: usize) -> &[f64] {
        &self.table[category * self.k..][..self.k]
    }

    /// The whole table, `m × k`, the components of a category side by side. With one component it is its vector of
    /// log probabilities.
    pub fn table(&self) -> &[f64] {
        &self.table
    }

    /// Number of components, `k`.
    pub fn components(&self) -> usize {
        self.k
    }

    /// Number of categories, `m`.
    pub fn categories(&self) -> usize {
        self.table.len() / self.k
    }

    /// Numbers in a row of densities: whole vectors on every instruction set.
    fn width(&self) -> usize {
        width(self.k)
    }

    /// Overwrites component `j`.
    pub(crate) fn set(&mut self, j: usize, log_probabilities: impl ExactSizeIterator<Item = f64>) {
        let (categories, found) = (self.categories(), log_probabilities.len());
        assert_eq!(categories, found, "another number of categories");
        let width = self.width();
        self.fits[j] = true;
        let rows = self.table.chunks_exact_mut(self.k).zip(self.densities.chunks_exact_mut(width));
        for ((cells, densities), value) in rows.zip(log_probabilities) {
            cells[j] = value;
            densities[j] = value.exp();
            self.fits[j] &= value >= LEAST_LOG_DENSITY || value == f64::NEG_INFINITY;
        }
    }
}

fn width(k: usize) -> usize {
    k.next_multiple_of(elbo_linalg::MAX_LANES)
}

/// Counts of the rows observed since the last [`Family::finish`], laid out like the densities of the packed form.
#[derive(Clone, Debug)]
pub struct CategoricalScratch {
    counts: Vec<f64>,
}

impl Family for Categorical {
    type Batch<'a> = &'a [u32];
    type Stats = CategoricalStats;
    type Packed = CategoricalPacked;
    type Scratch = CategoricalScratch;

    const OBSERVES_WHAT_IT_SCORED: bool = false;

    fn check(&self, data: &[u32]) -> Result<(), DataError> {
        let categories = self.categories();
        match data.iter().position(|x| *x as usize >= categories) {
            None => Ok(()),
            Some(row) => Err(DataError::Category { row, value: data[row], categories }),
        }
    }

    fn new_stats(&self) -> CategoricalStats {
        CategoricalStats::new(self.categories())
    }

    fn new_packed(&self, k: usize) -> CategoricalPacked {
        assert!(k > 0, "at least one component is needed");
        let m = self.categories();
        CategoricalPacked {
            k,
            table: vec![0.0; k * m],
            densities: vec![0.0; width(k) * m],
            fits: vec![false; k],
        }
    }

    fn new_scratch(packed: &CategoricalPacked) -> CategoricalScratch {
        CategoricalScratch { counts: vec![0.0; packed.densities.len()] }
    }

    fn pack(&self, j: usize, packed: &mut CategoricalPacked) {
        packed.set(j, self.probabilities.iter().map(|p| p.ln()));
    }

    fn score_all(
        packed: &CategoricalPacked,
        data: &[u32],
        mut out: MatrixMut<'_>,
        _: &mut CategoricalScratch,
    ) {
        check_shape(packed.k, data.len(), out.rows(), out.columns());
        if packed.k == 1 {
            let rows = out.row_mut(0).iter_mut().zip(data);
            rows.for_each(|(out, x)| *out = packed.table[*x as usize]);
            return;
        }
        let (out, stride) = out.raw_mut();
        for (i, x) in data.iter().enumerate() {
            for (j, value) in packed.log_probabilities(*x as usize).iter().enumerate() {
                out[j * stride + i] = *value;
            }
        }
    }

    fn density_rows(
        packed: &CategoricalPacked,
        data: &[u32],
        rows: &mut [f64],
        stride: usize,
    ) -> bool {
        let width = packed.width();
        if !packed.fits.iter().all(|fits| *fits) || stride < width {
            return false;
        }
        for (x, row) in data.iter().zip(rows.chunks_exact_mut(stride)) {
            let densities = &packed.densities[*x as usize * width..][..width];
            // Whole vectors of known length: a copy of unknown length would be a call.
            let (from, _) = densities.as_chunks::<{ elbo_linalg::MAX_LANES }>();
            let (to, _) = row[..width].as_chunks_mut::<{ elbo_linalg::MAX_LANES }>();
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        true
    }

    fn observe_rows(
        packed: &CategoricalPacked,
        data: &[u32],
        weights: &[f64],
        stride: usize,
        scratch: &mut CategoricalScratch,
    ) -> bool {
        let width = packed.width();
        if stride < width {
            return false;
        }
        for (x, weights) in data.iter().zip(weights.chunks_exact(stride)) {
            let counts = &mut scratch.counts[*x as usize * width..][..width];
            let (counts, _) = counts.as_chunks_mut::<{ elbo_linalg::MAX_LANES }>();
            let (weights, _) = weights[..width].as_chunks::<{ elbo_linalg::MAX_LANES }>();
            for (counts, weights) in counts.iter_mut().zip(weights) {
                for (count, weight) in counts.iter_mut().zip(weights) {
                    *count += weight;
                }
            }
        }
        true
    }

    fn observe_all(
        packed: &CategoricalPacked,
        stats: &mut [CategoricalStats],
        data: &[u32],
        weights: Matrix<'_>,
        scratch: &mut CategoricalScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        let (weights, stride) = weights.raw();
        for (i, x) in data.iter().enumerate() {
            let counts = &mut scratch.counts[*x as usize * packed.width()..][..packed.k];
            for (j, count) in counts.iter_mut().enumerate() {
                *count += weights[j * stride + i];
            }
        }
    }

    fn finish(
        packed: &CategoricalPacked,
        stats: &mut [CategoricalStats],
        scratch: &mut CategoricalScratch,
    ) {
        for (category, counts) in scratch.counts.chunks_exact(packed.width()).enumerate() {
            for (stats, count) in stats.iter_mut().zip(counts) {
                stats.counts[category] += count;
            }
        }
        scratch.counts.fill(0.0);
    }

    fn maximize(
        &self,
        stats: &CategoricalStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let weight = stats.total_weight();
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        next.set(stats.counts.iter().copied(), weight);
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> CategoricalStats {
        CategoricalStats { counts: self.probabilities.iter().map(|p| weight * p).collect() }
    }

    fn write_natural(&self, _: &CategoricalStats, out: &mut Vec<f64>) -> bool {
        out.extend(self.probabilities.iter().map(|p| crate::univariate::ln_or_least(*p)));
        true
    }

    fn is_maximized_at_once(&self, _: &CategoricalStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * (self.categories() - 1)
    }
}

fn checked_sum(numbers: &[f64], parameter: &'static str) -> Result<f64, ParameterError> {
    if numbers.is_empty() {
        return Err(ParameterError::Length { parameter, expected: 1, found: 0 });
    }
    match numbers.iter().position(|x| !(*x >= 0.0 && x.is_finite())) {
        None => Ok(numbers.iter().sum()),
        Some(index) => Err(ParameterError::Entry { parameter, index, value: numbers[index] }),
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    probabilities: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Categorical {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.probabilities)
    }
}
