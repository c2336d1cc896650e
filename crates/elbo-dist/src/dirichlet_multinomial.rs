//! The Dirichlet-multinomial distribution.

mod bound;
mod ladder;

use elbo_core::{
    BLOCK, Batch, DataError, EstimateError, Family, FlatParameters, Matrix, MatrixMut, Range,
    Repairs, Rows, Statistics, add_scaled,
};
use rand::Rng;

use crate::{
    Dirichlet, ParameterError,
    block::check_shape,
    linear::{add_base, gather, weighted_sum},
    multinomial::{check_counts, ln_factorial_of, log_coefficient, sample_counts},
    special::ln_gamma_ratio,
};
use bound::LogSum;
use ladder::Ladder;

/// Counts whose probabilities vary from row to row: a [`Multinomial`](crate::Multinomial) with probabilities from a
/// [`Dirichlet`]. With `A = Σα` and `n = Σx`,
/// `ln p(x) = ln n! − Σ ln xⱼ! − [ln Γ(A + n) − ln Γ(A)] + Σ [ln Γ(αⱼ + xⱼ) − ln Γ(αⱼ)]`.
///
/// Observations are as for the multinomial: rows of `m` whole numbers as `f64`; the number of trials of a row is its
/// sum and is given, not modeled. NaN is refused. Probabilities are `α/A` on average, and counts vary
/// `(A + n)/(A + 1)` times as much as a multinomial's. Also known as the Pólya distribution, for `m = 2` the
/// beta-binomial.
///
/// # Estimation
///
/// The family has no finite sufficient statistics. Its statistics are moments of the log-likelihood's derivative at the
/// current `α₀`: [`maximize`](Family::maximize) is one step, and [`fit_single`](elbo_core::fit_single) repeats it. The
/// log-likelihood is a sum of `ln(αⱼ + r)` less one of `ln(A + r)`. From three moments of each, rules of quadrature bound
/// them from both sides everywhere, and agree with them at `α₀` to second order. The step maximizes the bound that
/// results, which lies below the likelihood and touches it at `α₀`. So no step lowers the likelihood, and near a maximum
/// the steps are those of Newton's method up to higher order: the error is squared each time. Some five to ten steps do
/// from most starts, some forty where the parts of `α` are off by factors of hundreds. (Minka's fixed point, whose bound
/// agrees to first order only, takes hundreds where `A` is large.)
///
/// Rows that vary no more than a multinomial's push `α` to infinity: [`EstimateError::Boundary`]. A category that was
/// never counted pushes its `αⱼ` to zero, the same error. Rows of one trial say nothing about `A`.
///
/// ```
/// use elbo_core::{Rows, fit_single};
/// use elbo_dist::DirichletMultinomial;
///
/// let start = DirichletMultinomial::new(vec![1.0, 1.0])?;
/// let data = [9.0, 1.0, 2.0, 8.0, 7.0, 3.0, 5.0, 5.0, 10.0, 0.0];
/// let fit = fit_single(start, Rows::new(&data, 5, 2)).unwrap();
/// let alpha = fit.params.concentration();
/// assert!(alpha[0] > alpha[1] && alpha[0] < 10.0);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Mosimann (1962), Biometrika 49. Fixed point and Newton's method: Minka (2000), *Estimating a Dirichlet
/// distribution*, section 3. The second-order bound is derived in the code.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct DirichletMultinomial {
    prior: Dirichlet,
}

impl DirichletMultinomial {
    /// One `αⱼ` for each category.
    ///
    /// # Errors
    ///
    /// As [`Dirichlet::new`].
    pub fn new(concentration: Vec<f64>) -> Result<Self, ParameterError> {
        Ok(Self { prior: Dirichlet::new(concentration)? })
    }

    /// The distribution of the probabilities of a row.
    pub fn prior(&self) -> &Dirichlet {
        &self.prior
    }

    /// `α`, one for each category.
    pub fn concentration(&self) -> &[f64] {
        self.prior.concentration()
    }

    /// `A = Σα`.
    pub fn total_concentration(&self) -> f64 {
        self.prior.total_concentration()
    }

    /// Number of categories, `m`.
    pub fn categories(&self) -> usize {
        self.prior.categories()
    }

    /// `ln p(x)` of one row of counts, in nats.
    ///
    /// # Panics
    ///
    /// If there is not one count for each category.
    pub fn log_probability(&self, counts: &[f64]) -> f64 {
        log_coefficient(counts) + self.prior.log_probability_of_sequence(counts)
    }

    /// `E[x] = n α/A`.
    pub fn mean(&self, trials: f64) -> Vec<f64> {
        self.prior.expected_probabilities().map(|p| trials * p).collect()
    }

    /// `Cov[x] = n (A + n) Cov[p]`, `m × m`, row-major.
    pub fn covariance(&self, trials: f64) -> Vec<f64> {
        let factor = trials * (self.total_concentration() + trials);
        self.prior.covariance().into_iter().map(|c| factor * c).collect()
    }

    /// `−E[ln p(x)]` of so many trials, in nats, by summing over the counts of one category at a time, which are
    /// beta-binomial. Cost: `n m` exponentials and three times as many log-gamma ratios.
    pub fn entropy(&self, trials: u64) -> f64 {
        let n = trials as f64;
        let total = self.total_concentration();
        let of_counts: f64 = (0..self.categories())
            .map(|j| {
                let a = self.concentration()[j];
                self.expect(j, trials, |x| ln_factorial_of(x) - ln_gamma_ratio(a, x))
            })
            .sum();
        of_counts - ln_factorial_of(n) + ln_gamma_ratio(total, n)
    }

    /// `KL(self ‖ other)` between rows of so many trials, in nats. Cost: as [`entropy`](Self::entropy).
    ///
    /// # Panics
    ///
    /// If the numbers of categories differ.
    pub fn kl_divergence(&self, other: &Self, trials: u64) -> f64 {
        assert_eq!(self.categories(), other.categories(), "another number of categories");
        let n = trials as f64;
        let of_counts: f64 = (0..self.categories())
            .map(|j| {
                let (a, b) = (self.concentration()[j], other.concentration()[j]);
                self.expect(j, trials, |x| ln_gamma_ratio(a, x) - ln_gamma_ratio(b, x))
            })
            .sum();
        of_counts + ln_gamma_ratio(other.total_concentration(), n)
            - ln_gamma_ratio(self.total_concentration(), n)
    }

    /// One draw of `trials` trials: a row of counts. As for [`Multinomial::sample`](crate::Multinomial::sample), the number of
    /// trials is given for each row.
    pub fn sample(&self, trials: u64, rng: &mut (impl Rng + ?Sized)) -> Vec<f64> {
        sample_counts(self.prior.sample(rng).probabilities(), trials, rng)
    }

    /// `E[f(xⱼ)]` over the counts of a category among so many trials.
    fn expect(&self, j: usize, trials: u64, f: impl Fn(f64) -> f64) -> f64 {
        let n = trials as f64;
        let (a, others) =
            self.concentration().iter().enumerate().fold((0.0, 0.0), |(own, others), (i, a)| {
                if i == j { (*a, others) } else { (own, others + a) }
            });
        if others == 0.0 {
            return f(n);
        }
        let beta_binomial = Self { prior: Dirichlet { concentration: vec![a, others] } };
        (0..=trials)
            .map(|x| x as f64)
            .map(|x| beta_binomial.log_probability(&[x, n - x]).exp() * f(x))
            .sum()
    }
}

/// Coordinates are `ln αⱼ`.
impl FlatParameters for DirichletMultinomial {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        self.prior.write_unconstrained(out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        Self { prior: self.prior.with_unconstrained(from) }
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        self.prior.for_each_parameter(see);
    }
}

/// Weighted statistics of a [`DirichletMultinomial`] at the `α₀` of the distribution that observed.
///
/// They carry `Σwα₀`, so that they tell by themselves where the slopes were taken; merged over different `α₀`, as in
/// online EM, they count as taken at the average. Counts are in trials.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DirichletMultinomialStats {
    /// `Σw`.
    weight: f64,
    /// `Σw Σ_{r<n} rᵏ/(A₀ + r)²`, `k = 0, 1, 2`, and `Σw n(n − 1)`.
    of_total: [f64; 4],
    /// For each category `Σwα₀`, `Σw Σ_{r<x} rᵏ/(α₀ + r)²`, `k = 0, 1, 2`, `Σwx`, `Σwx(x − 1)`.
    of_categories: [Vec<f64>; 6],
}

impl DirichletMultinomialStats {
    /// Nothing observed.
    pub fn new(categories: usize) -> Self {
        let of_categories = std::array::from_fn(|_| vec![0.0; categories]);
        Self { weight: 0.0, of_total: [0.0; 4], of_categories }
    }

    /// `Σw`, in rows.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σwxⱼ` of each category, in trials.
    pub fn counts(&self) -> &[f64] {
        &self.of_categories[4]
    }

    /// Could these, as far as signs tell, be the sums of some weighted data?
    fn check(&self) -> Result<(), EstimateError> {
        let mut possible = true;
        let mut any = false;
        self.visit(&mut |part| {
            possible &= part.iter().all(|x| *x >= 0.0 && x.is_finite());
            any |= part.iter().any(|x| *x != 0.0);
        });
        if possible && (self.weight > 0.0 || !any) { Ok(()) } else { Err(INFEASIBLE) }
    }

    /// `α₀`, if there are data that have an estimate.
    fn origin(&self) -> Result<Vec<f64>, EstimateError> {
        if self.weight == 0.0 || self.counts().iter().all(|x| *x == 0.0) {
            return Err(EstimateError::NoWeight { component: 0, weight: self.weight });
        }
        if self.of_total[3] == 0.0 {
            return Err(EstimateError::Unsupported {
                what: "a concentration",
                structure: "rows of at most one trial",
            });
        }
        let infinite = Err(EstimateError::Boundary {
            component: 0,
            parameter: "total concentration",
            limit: "infinity",
            cure: "its rows vary no more than those of a Multinomial: take that",
        });
        if self.of_total[0] == 0.0 {
            return infinite; // so far out that slopes vanish
        }
        if self.of_categories[1].contains(&0.0) {
            return Err(EstimateError::Boundary {
                component: 0,
                parameter: "concentration of a category that was never counted",
                limit: "zero",
                cure: "leave the category out, or take a Multinomial",
            });
        }
        let origin: Vec<f64> = self.of_categories[0].iter().map(|a| a / self.weight).collect();
        if self.is_at_the_multinomial(&origin) { infinite } else { Ok(origin) }
    }

    /// The sums of logarithms of each category and of the total at `α₀`; none if there are no such sums.
    fn sums(&self, origin: &[f64]) -> Option<(Vec<LogSum>, LogSum)> {
        let [m0, m1, m2, _] = self.of_total;
        let total = LogSum::new(origin.iter().sum(), [m0, m1, m2])?;
        let moments = |j: usize| [1, 2, 3].map(|part: usize| self.of_categories[part][j]);
        let categories: Option<Vec<LogSum>> =
            origin.iter().enumerate().map(|(j, a)| LogSum::new(*a, moments(j))).collect();
        Some((categories?, total))
    }

    /// How much more than a multinomial's the squared counts are: `Σⱼ Σwxⱼ(xⱼ − 1)/pⱼ − Σwn(n − 1)`. By Stirling the
    /// log-likelihood at `α = A p` is that of the multinomial plus this over `2A` for large `A`.
    fn excess(&self, probabilities: impl Iterator<Item = f64>) -> f64 {
        let pairs = self.of_categories[5].iter().zip(probabilities);
        pairs.map(|(pairs, p)| pairs / p).sum::<f64>() - self.of_total[3]
    }

    /// Does the likelihood rise towards infinite concentration? Only asked where that is near: from `A₀` on along the
    /// ray of constant `α/A`, and along that of the most likely multinomial.
    fn is_at_the_multinomial(&self, origin: &[f64]) -> bool {
        let total: f64 = origin.iter().sum();
        let trials: f64 = self.counts().iter().sum();
        let near = total >= 100.0 * (1.0 + self.of_total[3] / trials);
        near && origin.len() > 1
            && self.excess(origin.iter().map(|a| a / total)) <= 0.0
            && self.excess(self.counts().iter().map(|x| x / trials)) <= 0.0
    }
}

const INFEASIBLE: EstimateError =
    EstimateError::Infeasible { component: 0, what: "Dirichlet-multinomial distribution" };

impl Statistics for DirichletMultinomialStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        self.of_total.iter().for_each(|sum| see(std::slice::from_ref(sum)));
        self.of_categories.iter().for_each(|sums| see(sums));
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        self.of_total.iter_mut().for_each(|sum| see(std::slice::from_mut(sum)));
        self.of_categories.iter_mut().for_each(|sums| see(sums));
    }
}

/// `k` Dirichlet-multinomials as the kernels want them.
#[derive(Clone, Debug, PartialEq)]
pub struct DirichletMultinomialPacked {
    totals: Vec<f64>,
    /// `α`, category after category, `k` numbers each.
    concentrations: Vec<f64>,
}

/// A column of a block, the trials and log coefficients of its rows, a table.
#[derive(Clone, Debug)]
pub struct DirichletMultinomialScratch {
    column: [f64; BLOCK],
    trials: [f64; BLOCK],
    coefficients: [f64; BLOCK],
    ladder: Ladder,
}

impl Family for DirichletMultinomial {
    type Batch<'a> = Rows<'a>;
    type Stats = DirichletMultinomialStats;
    type Packed = DirichletMultinomialPacked;
    type Scratch = DirichletMultinomialScratch;

    fn check(&self, data: Rows<'_>) -> Result<(), DataError> {
        check_counts(data, self.categories())
    }

    fn new_stats(&self) -> DirichletMultinomialStats {
        DirichletMultinomialStats::new(self.categories())
    }

    fn new_packed(&self, k: usize) -> DirichletMultinomialPacked {
        assert!(k > 0, "at least one component is needed");
        let concentrations = vec![1.0; k * self.categories()];
        DirichletMultinomialPacked { totals: vec![self.categories() as f64; k], concentrations }
    }

    fn new_scratch(_: &DirichletMultinomialPacked) -> DirichletMultinomialScratch {
        DirichletMultinomialScratch {
            column: [0.0; BLOCK],
            trials: [0.0; BLOCK],
            coefficients: [0.0; BLOCK],
            ladder: Ladder::new(),
        }
    }

    fn pack(&self, j: usize, packed: &mut DirichletMultinomialPacked) {
        let k = packed.totals.len();
        assert_eq!(packed.concentrations.len(), k * self.categories(), "another shape");
        packed.totals[j] = self.total_concentration();
        let cells = packed.concentrations.chunks_exact_mut(k);
        cells.zip(self.concentration()).for_each(|(cells, a)| cells[j] = *a);
    }

    fn score_all(
        packed: &DirichletMultinomialPacked,
        data: Rows<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut DirichletMultinomialScratch,
    ) {
        let (k, n) = (packed.totals.len(), data.len());
        check_shape(k, n, out.rows(), out.columns());
        let (trials, coefficients) = (&mut scratch.trials[..n], &mut scratch.coefficients[..n]);
        trials.fill(0.0);
        coefficients.fill(0.0);
        (0..k).for_each(|j| out.row_mut(j).fill(0.0));
        for (category, concentrations) in packed.concentrations.chunks_exact(k).enumerate() {
            let counts = gather(data, category, &mut scratch.column);
            for (j, a) in concentrations.iter().enumerate() {
                scratch.ladder.add_logs(1.0, *a, counts, out.row_mut(j));
            }
            add_scaled(trials, 1.0, counts);
            let rows = coefficients.iter_mut().zip(&*counts);
            rows.for_each(|(coefficient, x)| *coefficient -= ln_factorial_of(*x));
        }
        for (j, total) in packed.totals.iter().enumerate() {
            scratch.ladder.add_logs(-1.0, *total, trials, out.row_mut(j));
        }
        let rows = coefficients.iter_mut().zip(&*trials);
        rows.for_each(|(coefficient, n)| *coefficient += ln_factorial_of(*n));
        add_base(coefficients, &mut out);
    }

    fn observe_all(
        packed: &DirichletMultinomialPacked,
        stats: &mut [DirichletMultinomialStats],
        data: Rows<'_>,
        weights: Matrix<'_>,
        scratch: &mut DirichletMultinomialScratch,
    ) {
        let (k, n) = (packed.totals.len(), data.len());
        check_shape(k, n, weights.rows(), weights.columns());
        let trials = &mut scratch.trials[..n];
        trials.fill(0.0);
        for (category, concentrations) in packed.concentrations.chunks_exact(k).enumerate() {
            let counts = gather(data, category, &mut scratch.column);
            add_scaled(trials, 1.0, counts);
            for (j, (stats, a)) in stats.iter_mut().zip(concentrations).enumerate() {
                let w = weights.row(j);
                let [m0, m1, m2] = scratch.ladder.moments(*a, counts, w);
                let weight = w.iter().sum::<f64>();
                let sums = [a * weight, m0, m1, m2, weighted_sum(counts, w)];
                for (to, sum) in stats.of_categories.iter_mut().zip(sums) {
                    to[category] += sum;
                }
            }
            for x in &mut *counts {
                *x *= *x - 1.0;
            }
            for (j, stats) in stats.iter_mut().enumerate() {
                stats.of_categories[5][category] += weighted_sum(counts, weights.row(j));
            }
        }
        for (j, (stats, total)) in stats.iter_mut().zip(&packed.totals).enumerate() {
            let w = weights.row(j);
            stats.weight += w.iter().sum::<f64>();
            add_scaled(&mut stats.of_total[..3], 1.0, &scratch.ladder.moments(*total, trials, w));
        }
        for n in &mut *trials {
            *n *= *n - 1.0;
        }
        for (j, stats) in stats.iter_mut().enumerate() {
            stats.of_total[3] += weighted_sum(trials, weights.row(j));
        }
    }

    /// One step from the `α₀` of the statistics, which never lowers the likelihood (see
    /// [the type](Self#estimation)); `self` does not matter.
    fn maximize(
        &self,
        stats: &DirichletMultinomialStats,
        next: &mut Self,
    ) -> Result<Repairs, EstimateError> {
        stats.check()?;
        let mut concentration = stats.origin()?;
        let (categories, total) = stats.sums(&concentration).ok_or(INFEASIBLE)?;
        bound::raise(&categories, &total, &mut concentration);
        next.prior = Dirichlet::new(concentration).map_err(|_| INFEASIBLE)?;
        Ok(Repairs::default())
    }

    /// Of rows of two trials each, the least that tell about `A`, since the number of trials is not modeled.
    fn expected_stats(&self, weight: f64) -> DirichletMultinomialStats {
        let total = self.total_concentration();
        let (first, second) = (total.recip(), (total + 1.0).recip());
        let mut stats = self.new_stats();
        stats.weight = weight;
        let of_second = second * second;
        stats.of_total = [first * first + of_second, of_second, of_second, 2.0].map(|x| weight * x);
        for (j, a) in self.concentration().iter().enumerate() {
            let both = a * first * (a + 1.0) * second; // P(x = 2)
            let one = 2.0 * a * first - both; // P(x ≥ 1)
            let (u, v) = (a.recip(), (a + 1.0).recip());
            let of_second = both * v * v;
            let counts = [2.0 * a * first, 2.0 * both];
            let moments = [one * u * u + of_second, of_second, of_second];
            let sums = [*a].into_iter().chain(moments).chain(counts);
            for (to, sum) in stats.of_categories.iter_mut().zip(sums) {
                to[j] = weight * sum;
            }
        }
        stats
    }

    /// The total concentration is kept, and the mean moved halfway to the row's shares.
    fn moved_to(&self, data: Rows<'_>, row: usize) -> Result<Self, EstimateError> {
        let mut shares = vec![0.0; self.categories()];
        data.copy_row(row, &mut shares);
        let (trials, total) = (shares.iter().sum::<f64>(), self.total_concentration());
        let mut moved = self.clone();
        if trials > 0.0 {
            for (a, x) in moved.prior.concentration.iter_mut().zip(&shares) {
                *a = 0.5 * (*a + total * (x / trials));
            }
        }
        Ok(moved)
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * self.categories()
    }
}
