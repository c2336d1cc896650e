//! Stick-breaking distributions over probabilities: the truncated Dirichlet process and its relatives.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};
use rand::Rng;

use crate::{
    Beta, Categorical, ParameterError,
    categorical::{CategoricalPacked, CategoricalStats},
};

/// Probabilities made by breaking a stick: of what is left, a share `vⱼ ~ Be(aⱼ, bⱼ)` becomes `pⱼ = vⱼ Π_{l<j} (1 − v_l)`,
/// and the last category takes the rest.
///
/// With `Be(1, α)` throughout, [`dirichlet_process`](Self::dirichlet_process), these are the weights of a Dirichlet
/// process, truncated at `k` categories: `α` is, roughly, the number of categories that come new as the number of
/// observations grows by a factor `e`. Unlike a symmetric [`Dirichlet`](crate::Dirichlet), the distribution knows an
/// order: earlier categories are expected to be larger, so that it is best to order components by weight. Any other
/// `aⱼ`, `bⱼ` make a generalized Dirichlet distribution; `aⱼ = αⱼ`, `bⱼ = Σ_{l>j} α_l` make a Dirichlet one.
///
/// It is the conjugate prior of a [`Categorical`], so of weights of a mixture, and, with counts added, its posterior:
/// `aⱼ` gains the observations of category `j`, `bⱼ` those of later ones. Read `aⱼ`, `bⱼ` as so many observations
/// already made under variational Bayes, as one more each than that under MAP.
///
/// Mode and density are in the sticks `v`, not in `p`: in the sticks a Dirichlet process with `α ≥ 1` has a mode
/// whatever the data, and with `α = 1` it is the maximum-likelihood estimate. In `p` the density has a factor
/// `Π (1 − vⱼ)^{−(k − 2 − j)}` more, `j` from 0, and, but for large `α`, is infinite at the boundary.
///
/// ```
/// use elbo_dist::StickBreaking;
///
/// let process = StickBreaking::dirichlet_process(4, 1.0)?;
/// let expected: Vec<f64> = process.expected_probabilities().collect();
/// assert_eq!(expected, [0.5, 0.25, 0.125, 0.125]);
/// # Ok::<(), elbo_dist::ParameterError>(())
/// ```
///
/// # Source
///
/// Ishwaran & James (2001), *Gibbs sampling methods for stick-breaking priors*, J. Amer. Statist. Assoc. 96(453);
/// Blei & Jordan (2006), *Variational inference for Dirichlet process mixtures*, Bayesian Anal. 1(1); Connor &
/// Mosimann (1969), J. Amer. Statist. Assoc. 64(325), for the generalized Dirichlet distribution.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct StickBreaking {
    /// One for each category but the last.
    sticks: Vec<Beta>,
}

impl StickBreaking {
    /// These distributions of the shares `v`, one for each category but the last. With none, there is one category.
    pub fn new(sticks: Vec<Beta>) -> Self {
        Self { sticks }
    }

    /// `Be(1, α)` for each of `categories − 1` sticks: the Dirichlet process truncated at so many categories.
    ///
    /// # Errors
    ///
    /// If `categories` is zero, or `alpha` is not positive and finite.
    pub fn dirichlet_process(categories: usize, alpha: f64) -> Result<Self, ParameterError> {
        if categories == 0 {
            let parameter = "categories";
            return Err(ParameterError::Length { parameter, expected: 1, found: 0 });
        }
        Ok(Self { sticks: vec![Beta::new(1.0, alpha)?; categories - 1] })
    }

    /// The distributions of the shares `v`.
    pub fn sticks(&self) -> &[Beta] {
        &self.sticks
    }

    /// Number of categories, one more than there are sticks.
    pub fn categories(&self) -> usize {
        self.sticks.len() + 1
    }

    /// `α` if this is a Dirichlet process: `Be(1, α)` for each stick. None for a single category, which any `α` makes.
    pub fn concentration(&self) -> Option<f64> {
        let first = self.sticks.first()?;
        let process = Beta::new(1.0, first.b()).ok()?;
        self.sticks.iter().all(|stick| *stick == process).then_some(first.b())
    }

    /// `E[pⱼ] = E[vⱼ] Π_{l<j} E[1 − v_l]`.
    pub fn expected_probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let mut left = 1.0;
        (0..self.categories()).map(move |j| {
            let Some(stick) = self.sticks.get(j) else { return left };
            let taken = left * stick.mean();
            left *= stick.b() / (stick.a() + stick.b());
            taken
        })
    }

    /// `E[ln pⱼ] = E[ln vⱼ] + Σ_{l<j} E[ln(1 − v_l)]`, in nats. Cost: `3k` digammas.
    pub fn expected_log_probabilities(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        let mut left = 0.0;
        (0..self.categories()).map(move |j| {
            let Some(stick) = self.sticks.get(j) else { return left };
            let (taken, kept) = stick.expected_logs();
            let value = left + taken;
            left += kept;
            value
        })
    }

    /// `KL(self ‖ other)`, in nats: the sum over sticks.
    ///
    /// # Panics
    ///
    /// If they are about different numbers of categories.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(self.categories(), other.categories(), "another number of categories");
        self.sticks.iter().zip(&other.sticks).map(|(q, p)| q.kl_divergence(p)).sum()
    }

    /// One draw of probabilities.
    pub fn sample(&self, rng: &mut (impl Rng + ?Sized)) -> Categorical {
        let mut left = 1.0;
        let mut probabilities: Vec<f64> = Vec::with_capacity(self.categories());
        for stick in &self.sticks {
            let share = stick.sample(rng);
            probabilities.push(left * share);
            left *= 1.0 - share;
        }
        probabilities.push(left);
        let sum = probabilities.iter().sum(); // one, but for rounding
        let mut point = Categorical::uniform(self.categories());
        point.set(probabilities.into_iter(), sum);
        point
    }

    /// Each stick with the weight of its category and that of all later ones.
    fn breaks<'a>(&'a self, counts: &'a [f64]) -> impl Iterator<Item = (&'a Beta, f64, f64)> + 'a {
        assert_eq!(self.categories(), counts.len(), "another number of categories");
        // From the last, so that a later weight is a sum, not a difference.
        let mut later = 0.0;
        let pairs = self.sticks.iter().zip(counts).rev();
        let mut next = counts[counts.len() - 1];
        pairs.map(move |(stick, count)| {
            later += next;
            next = *count;
            (stick, *count, later)
        })
    }

    /// The Dirichlet process that suits these posteriors best.
    fn learned_process(posteriors: &[Self]) -> Result<Self, EstimateError> {
        let sticks = posteriors.iter().flat_map(|q| &q.sticks);
        let sum: f64 = sticks.clone().map(|stick| stick.expected_logs().1).sum();
        let alpha = -(sticks.count() as f64) / sum;
        Self::dirichlet_process(posteriors[0].categories(), alpha)
            .map_err(|_| EstimateError::NoPrior { parameter: "concentration" })
    }
}

impl ConjugatePrior<Categorical> for StickBreaking {
    fn posterior(
        &self,
        stats: &CategoricalStats,
        posterior: &mut Self,
    ) -> Result<(), EstimateError> {
        stats.check()?;
        let breaks = self.breaks(stats.counts());
        for (target, (stick, count, later)) in posterior.sticks.iter_mut().rev().zip(breaks) {
            *target = stick.after(count, later);
        }
        Ok(())
    }

    /// `vⱼ = (aⱼ − 1)/(aⱼ + bⱼ − 2)`. With `aⱼ` or `bⱼ` equal to 1 it is a boundary where the density is largest and
    /// finite; with one below 1 the density is infinite there, and with `aⱼ = bⱼ = 1` the same everywhere: no mode,
    /// unless nothing is left of the stick.
    fn mode_into(&self, point: &mut Categorical) -> Result<(), EstimateError> {
        let mut weights = vec![0.0; self.categories()];
        let mut left = 1.0;
        for (weight, stick) in weights.iter_mut().zip(&self.sticks) {
            if left > 0.0 {
                let share = stick.mode_of_probability()?;
                *weight = left * share;
                left *= 1.0 - share;
            }
        }
        weights[self.sticks.len()] = left;
        let sum = weights.iter().sum();
        point.set(weights.into_iter(), sum);
        Ok(())
    }

    /// `E[pⱼ]`.
    fn mean_into(&self, point: &mut Categorical) {
        let sum = self.expected_probabilities().sum();
        point.set(self.expected_probabilities(), sum);
    }

    /// The density of the sticks that make these probabilities. Where nothing is left of the stick any share makes them:
    /// the one of highest density counts.
    fn log_prior(&self, point: &Categorical) -> f64 {
        let density = |(stick, own, later): (&Beta, f64, f64)| {
            if own + later > 0.0 {
                stick.log_density_of(own / (own + later), later / (own + later))
            } else {
                match stick.mode_of_probability() {
                    Ok(share) => stick.log_density_of(share, 1.0 - share),
                    Err(_) if stick.a().min(stick.b()) >= 1.0 => 0.0, // uniform
                    Err(_) => f64::INFINITY,
                }
            }
        };
        let terms = self.breaks(point.probabilities()).map(density);
        let (mut sum, mut impossible) = (0.0, false);
        for term in terms {
            impossible |= term == f64::NEG_INFINITY; // outweighs a stick whose density is infinite
            sum += term;
        }
        if impossible { f64::NEG_INFINITY } else { sum }
    }

    fn kl_divergence(&self, prior: &Self) -> f64 {
        self.kl_divergence(prior)
    }

    fn pack(&self, j: usize, packed: &mut CategoricalPacked) {
        packed.set(j, self.expected_log_probabilities());
    }

    fn check(&self, point: &Categorical) -> Result<(), EstimateError> {
        if self.categories() == point.categories() {
            Ok(())
        } else {
            let what = "a stick-breaking prior of another length";
            Err(EstimateError::Unsupported { what, structure: "these categories" })
        }
    }
}

impl Evidence<Categorical> for StickBreaking {
    fn log_evidence(&self, stats: &CategoricalStats) -> Result<f64, EstimateError> {
        stats.check()?;
        let breaks = self.breaks(stats.counts());
        Ok(breaks.map(|(stick, count, later)| stick.log_evidence_of(count, later)).sum())
    }

    /// `ln E[pₓ]`.
    fn log_predictive_into(&self, _: &Categorical, data: &[u32], out: &mut [f64]) {
        assert_eq!(out.len(), data.len(), "one log probability per observation");
        let logs: Vec<f64> = self.expected_probabilities().map(f64::ln).collect();
        out.iter_mut().zip(data).for_each(|(out, x)| *out = logs[*x as usize]);
    }
}

impl EmpiricalBayes for StickBreaking {
    /// A [Dirichlet process](Self::dirichlet_process) stays one: its `α = −n/Σ E[ln(1 − v)]`, over the `n` sticks of all
    /// posteriors. Otherwise `aⱼ` and `bⱼ` of each stick are learned on their own. Of a single category, ours.
    fn learned_from(&self, posteriors: &[Self]) -> Result<Self, EstimateError> {
        assert!(!posteriors.is_empty(), "at least one posterior is needed");
        assert!(
            posteriors.iter().all(|q| q.categories() == self.categories()),
            "posteriors of another number of categories"
        );
        if self.sticks.is_empty() {
            return Ok(self.clone());
        }
        if self.concentration().is_some() {
            return Self::learned_process(posteriors);
        }
        let learned = |j: usize| Beta::learned(posteriors.iter().map(move |q| q.sticks[j]));
        let sticks = (0..self.sticks.len()).map(learned).collect::<Result<_, _>>()?;
        Ok(Self { sticks })
    }
}
