//! The Dirichlet distribution.

mod estimate;

use elbo_core::{
    BLOCK, Batch, DataError, Draw, EstimateError, Family, FlatParameters, Matrix, MatrixMut,
    OwnedRows, Range, Repairs, Rows, Statistics, take_front,
};
use rand::{Rng, RngExt};
use rand_distr::Distribution;

use crate::{
    Categorical, ParameterError,
    block::check_shape,
    gamma,
    linear::{Linear, check_entries, check_width, gather, weighted_sum},
    special::{digamma, ln_gamma, ln_gamma_ratio, x_ln_y},
};

pub(crate) use estimate::most_likely;

/// The Dirichlet distribution over probabilities, `ln p(p) = ln Γ(Σα) − Σ ln Γ(αₓ) + Σ (αₓ − 1) ln pₓ`.
///
/// As a family its observations are rows of `m` shares that sum to one: compositions, proportions. They are read as
/// proportions, that is divided by their sum, which must be within 10⁻⁹ of one. A share of zero is refused, since the
/// density there is zero or infinite, and so is NaN. Sufficient statistics are the mean logarithms; maximum likelihood
/// is found by Newton's method from any start (Minka 2000).
///
/// It is the conjugate prior of a [`Categorical`] and of a [`Multinomial`](crate::Multinomial) and, with counts added,
/// their posterior. Under MAP read it as `αₓ − 1` observations of each category already made: `α = 1` is flat and
/// gives the maximum-likelihood answer, `α = 2` is Laplace's rule. Under variational Bayes read it as `αₓ` of them.
/// Mode and density are in the probabilities.
///
/// A symmetric `α` far below 1 expects few categories to have nearly all the probability. For the weights of a
/// mixture, `α ≤ 1/k` under variational Bayes empties the components that the data do not need, and as `k` grows with
/// `kα` fixed it becomes a Dirichlet process: [`StickBreaking`](crate::StickBreaking) without an order. Under MAP such
/// a prior is of no use: its density is infinite wherever a probability is zero, so there is no mode as long as a
/// category has been seen less than `1 − α` times ([`NoMode`](elbo_core::EstimateError::NoMode)).
///
/// ```
/// use elbo_core::{ConjugatePrior, Family, Rows};
/// use elbo_dist::{Categorical, Dirichlet};
///
/// let mut point = Categorical::uniform(2);
/// Dirichlet::new(vec![4.0, 2.0])?.mode_into(&mut point).unwrap();
/// assert_eq!(point.probabilities(), [0.75, 0.25]);
///
/// let start = Dirichlet::symmetric(2, 1.0)?;
/// let mut stats = start.new_stats();
/// start.observe(&mut stats, Rows::new(&[0.2, 0.8, 0.4, 0.6], 2, 2), &[1.0, 1.0]);
/// let mut fitted = start.clone();
/// start.maximize(&stats, &mut fitted).unwrap();
/// assert!((fitted.mean()[0] - 0.3).abs() < 0.01);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Bishop (2006), section 2.2.1 and appendix B; Minka (2000), *Estimating a Dirichlet distribution*.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Parameters")
)]
pub struct Dirichlet {
    pub(crate) concentration: Vec<f64>,
}

impl Dirichlet {
    /// One `αₓ` for each category.
    ///
    /// # Errors
    ///
    /// If there are none, or one is not positive and finite.
    pub fn new(concentration: Vec<f64>) -> Result<Self, ParameterError> {
        const PARAMETER: &str = "concentration";
        if concentration.is_empty() {
            return Err(ParameterError::Length { parameter: PARAMETER, expected: 1, found: 0 });
        }
        match concentration.iter().position(|a| !(*a > 0.0 && a.is_finite())) {
            None => Ok(Self { concentration }),
            Some(index) => Err(ParameterError::Entry {
                parameter: PARAMETER,
                index,
                value: concentration[index],
            }),
        }
    }

    /// The same `α` for each of `categories`.
    ///
    /// # Errors
    ///
    /// If `categories` is zero, or `alpha` is not positive and finite.
    pub fn symmetric(categories: usize, alpha: f64) -> Result<Self, ParameterError> {
        Self::new(vec![alpha; categories])
    }

    /// `α`, one for each category.
    pub fn concentration(&self) -> &[f64] {
        &self.concentration
    }

    /// Number of categories.
    pub fn categories(&self) -> usize {
        self.concentration.len()
    }

    /// `Σα`.
    pub fn total_concentration(&self) -> f64 {
        self.concentration.iter().sum()
    }

    /// `E[pₓ] = αₓ / Σα`.
    pub fn expected_probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let total = self.total_concentration();
        self.concentration.iter().map(move |a| a / total)
    }

    /// `E[ln pₓ] = ψ(αₓ) − ψ(Σα)`, in nats. Cost: `m + 1` digammas.
    pub fn expected_log_probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let of_total = digamma(self.total_concentration());
        self.concentration.iter().map(move |a| digamma(*a) - of_total)
    }

    /// `E[p]`.
    pub fn mean(&self) -> Vec<f64> {
        self.expected_probabilities().collect()
    }

    /// `Var[pₓ] = μₓ (1 − μₓ) / (Σα + 1)`, `μ = E[p]`.
    pub fn variance(&self) -> Vec<f64> {
        let denominator = 1.0 + self.total_concentration();
        self.expected_probabilities().map(|p| p * (1.0 - p) / denominator).collect()
    }

    /// `Cov[p] = (diag μ − μ μᵀ) / (Σα + 1)`, `m × m`, row-major.
    pub fn covariance(&self) -> Vec<f64> {
        let (mean, denominator) = (self.mean(), 1.0 + self.total_concentration());
        let m = mean.len();
        let entry = |i: usize, j: usize| {
            mean[i] * if i == j { 1.0 - mean[i] } else { -mean[j] } / denominator
        };
        (0..m * m).map(|place| entry(place / m, place % m)).collect()
    }

    /// `ln p(p)` at shares that sum to one, in nats.
    ///
    /// Where a share is zero: `−∞` if any such `αₓ > 1`, else `+∞` if any such `αₓ < 1`.
    ///
    /// # Panics
    ///
    /// If there is not one share for each category.
    pub fn log_density(&self, shares: &[f64]) -> f64 {
        assert_eq!(self.categories(), shares.len(), "another number of categories");
        let total = self.total_concentration();
        let excess = total - self.categories() as f64;
        let mut sum = ln_gamma(total) - x_ln_y(excess, shares.iter().sum());
        for (a, p) in self.concentration.iter().zip(shares) {
            if *p == 0.0 && *a > 1.0 {
                return f64::NEG_INFINITY;
            }
            sum += x_ln_y(a - 1.0, *p) - ln_gamma(*a);
        }
        sum
    }

    /// `−E[ln p(p)] = Σ ln Γ(αₓ) − ln Γ(A) − Σ (αₓ − 1)(ψ(αₓ) − ψ(A))`, `A = Σα`, in nats; negative where it is
    /// concentrated.
    pub fn entropy(&self) -> f64 {
        let pairs = self.concentration.iter().zip(self.expected_log_probabilities());
        let terms: f64 = pairs.map(|(a, log)| (a - 1.0) * log - ln_gamma(*a)).sum();
        -terms - ln_gamma(self.total_concentration())
    }

    /// `KL(self ‖ other)`, in nats. Log-gamma ratios keep the digits of distributions that are near each other.
    ///
    /// # Panics
    ///
    /// If the numbers of categories differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.categories(), other.categories(), "another number of categories");
        let (total, other_total) = (self.total_concentration(), other.total_concentration());
        let of_total = digamma(total);
        let pairs = self.concentration.iter().zip(&other.concentration);
        let terms =
            pairs.map(|(a, b)| (a - b) * (digamma(*a) - of_total) - ln_gamma_ratio(*b, a - b));
        terms.sum::<f64>() + ln_gamma_ratio(other_total, total - other_total)
    }

    /// One draw of probabilities.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Categorical {
        let mut shares = vec![0.0; self.categories()];
        self.prepared().sample_into(rng, &mut shares);
        let mut point = Categorical::uniform(self.categories());
        point.set(shares.iter().copied(), shares.iter().sum());
        point
    }

    fn prepared(&self) -> Sampler {
        let lowest = self.concentration.iter().copied().fold(f64::INFINITY, f64::min);
        if lowest >= LEAST_DIRECT {
            return Sampler::Direct(
                self.concentration.iter().map(|a| gamma::standard(*a)).collect(),
            );
        }
        let factor = |a: &f64| match *a {
            a if a < 1.0 => (gamma::standard(a + 1.0), a.recip()),
            a => (gamma::standard(a), 0.0),
        };
        Sampler::Logarithmic(self.concentration.iter().map(factor).collect())
    }
}

/// From this concentration on gamma variables are no smaller than `2^{−53 · 16}` times one of a shape above 1: not zero.
const LEAST_DIRECT: f64 = 1.0 / 16.0;

/// Draws of rows, none of whose shares is zero: what is below the smallest normal number is rounded up to it, as happens
/// where some `α` is below 0.1.
enum Sampler {
    /// Shares of gamma variables.
    Direct(Vec<rand_distr::Gamma<f64>>),
    /// For each category a gamma variable and the `p` of a factor `U^p`.
    ///
    /// Source: Marsaglia & Tsang (2000), ACM Trans. Math. Softw. 26(3), section 8, for `α < 1`: a gamma variable with shape
    /// `α + 1` times `U^{1/α}`, here in logarithms.
    Logarithmic(Vec<(rand_distr::Gamma<f64>, f64)>),
}

impl Sampler {
    fn sample_into(&self, rng: &mut (impl Rng + ?Sized), shares: &mut [f64]) {
        match self {
            Self::Direct(gammas) => {
                let mut sum = 0.0;
                for (x, gamma) in shares.iter_mut().zip(gammas) {
                    *x = gamma.sample(rng);
                    sum += *x;
                }
                let scale = sum.recip();
                for x in shares {
                    *x = (*x * scale).max(f64::MIN_POSITIVE);
                }
            }
            Self::Logarithmic(factors) => {
                for (x, (gamma, power)) in shares.iter_mut().zip(factors) {
                    *x = gamma.sample(rng).ln();
                    if *power > 0.0 {
                        *x += (1.0 - rng.random::<f64>()).ln() * power; // of a number in (0, 1]
                    }
                }
                let log_sum = elbo_linalg::log_sum_exp(shares);
                for x in shares {
                    *x = (*x - log_sum).exp().max(f64::MIN_POSITIVE);
                }
            }
        }
    }
}

impl Draw for Dirichlet {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        OwnedRows::new(self.categories())
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        let sampler = self.prepared();
        for row in drawn.grow(n).chunks_exact_mut(self.categories()) {
            sampler.sample_into(rng, row);
        }
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}

/// Coordinates are `ln αₓ`.
impl FlatParameters for Dirichlet {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend(self.concentration.iter().map(|a| a.ln()));
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let logs = take_front(from, self.categories());
        Self { concentration: logs.iter().map(|log| log.exp()).collect() }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (j, a) in self.concentration.iter().enumerate() {
            see(&format!("concentration[{j}]"), *a, Range::Positive);
        }
    }
}

/// Weighted sufficient statistics of a [`Dirichlet`]: `Σw`, in rows, and `Σw ln pₓ`, in nats.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DirichletStats {
    weight: f64,
    log_sums: Vec<f64>,
}

impl DirichletStats {
    /// Nothing observed.
    pub fn new(categories: usize) -> Self {
        Self { weight: 0.0, log_sums: vec![0.0; categories] }
    }

    /// `Σw`, in rows.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σw ln pₓ` of each category, in nats.
    pub fn log_sums(&self) -> &[f64] {
        &self.log_sums
    }
}

impl Statistics for DirichletStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(&self.log_sums);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(&mut self.log_sums);
    }
}

/// `k` Dirichlet distributions as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct DirichletPacked(Linear);

/// A column of a block, and the log sums of its rows.
#[derive(Clone, Debug)]
pub struct DirichletScratch {
    column: [f64; BLOCK],
    log_sums: [f64; BLOCK],
}

impl Family for Dirichlet {
    type Batch<'a> = Rows<'a>;
    type Stats = DirichletStats;
    type Packed = DirichletPacked;
    type Scratch = DirichletScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        check_width(data, self.categories())?;
        check_entries(
            data,
            "a share above 0, where the density is neither 0 nor infinite,",
            |x| x > 0.0,
        )?;
        for row in 0..data.len() {
            let sum: f64 = (0..data.d()).map(|column| data.get(row, column)).sum();
            if (sum - 1.0).abs() > 1e-9 {
                return Err(DataError::Sum { row, sum });
            }
        }
        Ok(())
    }

    fn new_stats(&self) -> DirichletStats {
        DirichletStats::new(self.categories())
    }

    fn new_packed(&self, k: usize) -> DirichletPacked {
        DirichletPacked(Linear::new(k, self.categories() + 1))
    }

    fn new_scratch(_: &DirichletPacked) -> DirichletScratch {
        DirichletScratch { column: [0.0; BLOCK], log_sums: [0.0; BLOCK] }
    }

    fn pack(&self, j: usize, packed: &mut DirichletPacked) {
        let total = self.total_concentration();
        let log_gammas: f64 = self.concentration.iter().map(|a| ln_gamma(*a)).sum();
        let of_sum = self.categories() as f64 - total;
        let coefficients = self.concentration.iter().map(|a| a - 1.0).chain([of_sum]);
        packed.0.set(j, ln_gamma(total) - log_gammas, coefficients);
    }

    fn score_all(
        packed: &DirichletPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut DirichletScratch,
    ) {
        check_shape(packed.0.k(), data.len(), out.rows(), out.columns());
        packed.0.start(&mut out);
        for_each_logarithm(data, scratch, |place, logs| packed.0.add(place, logs, &mut out));
    }

    fn observe_all(
        _: &DirichletPacked,
        stats: &mut [DirichletStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut DirichletScratch,
    ) {
        check_shape(stats.len(), data.len(), weights.rows(), weights.columns());
        for_each_logarithm(data, scratch, |place, logs| {
            for (j, stats) in stats.iter_mut().enumerate() {
                let sum = weighted_sum(logs, weights.row(j));
                if let Some(log_sum) = stats.log_sums.get_mut(place) {
                    *log_sum += sum;
                } else {
                    stats.log_sums.iter_mut().for_each(|log_sum| *log_sum -= sum);
                }
            }
        });
        for (j, stats) in stats.iter_mut().enumerate() {
            stats.weight += weights.row(j).iter().sum::<f64>();
        }
    }

    /// Newton's method, whose start `self` hardly matters. Where all rows are the same the likelihood has no maximum:
    /// [`EstimateError::Boundary`].
    fn maximize(&self, stats: &DirichletStats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let weight = stats.weight;
        let possible = stats.log_sums.iter().all(|sum| *sum <= 0.0 && sum.is_finite());
        let empty = weight == 0.0 && stats.log_sums.iter().any(|sum| *sum != 0.0);
        if !(weight >= 0.0 && weight.is_finite() && possible) || empty {
            return Err(EstimateError::Infeasible { component: 0, what: "Dirichlet distribution" });
        }
        if weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight });
        }
        let mean_logs: Vec<f64> = stats.log_sums.iter().map(|sum| sum / weight).collect();
        most_likely(&mean_logs, &self.concentration, &mut next.concentration)?;
        Ok(Repairs::default())
    }

    fn expected_stats(&self, weight: f64) -> DirichletStats {
        DirichletStats {
            weight,
            log_sums: self.expected_log_probabilities().map(|log| weight * log).collect(),
        }
    }

    fn is_maximized_at_once(&self, _: &DirichletStats) -> bool {
        true
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * self.categories()
    }
}

/// The logarithms of a block, column after column, and at last those of the rows' sums.
fn for_each_logarithm(
    data: Rows<'_>,
    scratch: &mut DirichletScratch,
    mut see: impl FnMut(usize, &[f64]),
) {
    let sums = &mut scratch.log_sums[..data.len()];
    sums.fill(0.0);
    for place in 0..data.d() {
        let column = gather(data, place, &mut scratch.column);
        elbo_core::add_scaled(sums, 1.0, column);
        elbo_linalg::ln_in_place(column);
        see(place, column);
    }
    elbo_linalg::ln_in_place(sums);
    see(data.d(), sums);
}

#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Parameters {
    pub(crate) concentration: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Parameters> for Dirichlet {
    type Error = ParameterError;

    fn try_from(p: Parameters) -> Result<Self, ParameterError> {
        Self::new(p.concentration)
    }
}
