//! A hidden Markov model of points: likelihood, posteriors, paths, draws.

use elbo_core::{Batch, DataError, Draw, EStepError, Family, FitError};
use elbo_dist::{Categorical, ParameterError};
use rand::Rng;

use crate::{
    HmmScratch, Sequences,
    chain::Chain,
    messages::{Posterior, StepError, View},
    stationary::stationary_law,
};

/// A hidden Markov model with given parameters: `p(z₁) = π`, `p(zₜ ∣ zₜ₋₁) = A`, `p(xₜ ∣ zₜ = j) = p(x ∣ θⱼ)`.
///
/// All questions take one sequence (a plain batch) or many ([`Sequences`]); answers per step are in the order of
/// the packed steps.
///
/// ```
/// use elbo_hmm::{Categorical, Hmm};
///
/// // A fair die, and one that shows a six every other time.
/// let dice = vec![Categorical::uniform(6), Categorical::new(vec![0.1, 0.1, 0.1, 0.1, 0.1, 0.5])?];
/// let casino = Hmm::new(&[0.5, 0.5], &[&[0.95, 0.05], &[0.1, 0.9]], dice)?;
/// let rolls = [0, 3, 5, 5, 5, 2, 5, 5];
/// assert_eq!(casino.viterbi(&rolls[..])?.states, [1; 8]);
/// let stationary = casino.stationary().unwrap();
/// assert!((stationary[0] - 2.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Hmm<F> {
    initial: Categorical,
    transition: Vec<Categorical>,
    emission: Vec<F>,
}

/// Why numbers are no hidden Markov model, or data cannot be explained by one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HmmError {
    /// The parts have different numbers of states.
    #[error(
        "{initial} initial probabilities and {transition} transition rows for {emission} emissions; give one each, and at least one"
    )]
    States {
        /// Initial probabilities given.
        initial: usize,
        /// Transition rows given.
        transition: usize,
        /// Emissions given.
        emission: usize,
    },
    /// A transition row has another length than there are states.
    #[error("transition row {row} has {found} probabilities for {expected} states")]
    Row {
        /// Which row, from 0.
        row: usize,
        /// Number of states.
        expected: usize,
        /// Probabilities in the row.
        found: usize,
    },
    /// The initial law or a transition row is no distribution.
    #[error("initial law or transition row: {0}")]
    Probabilities(#[from] ParameterError),
    /// The data do not fit the emissions.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A step cannot be explained.
    #[error(transparent)]
    EStep(#[from] EStepError),
}

impl HmmError {
    /// Why a model that exists cannot score data.
    pub(crate) fn of_scoring(self) -> FitError {
        match self {
            Self::Data(error) => FitError::Data(error),
            Self::EStep(error) => FitError::EStep(error),
            Self::States { .. } | Self::Row { .. } | Self::Probabilities(_) => {
                unreachable!("the model exists")
            }
        }
    }
}

/// The most probable paths of states.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The state of each step, the sequences one after the other.
    pub states: Vec<usize>,
    /// `Σ max_z ln p(x, z)` over sequences as often as each counts, in nats.
    pub log_probability: f64,
}

impl<F: Family> Hmm<F> {
    /// A model with this initial law, these transition rows and emissions.
    ///
    /// # Errors
    ///
    /// [`HmmError::States`] and [`HmmError::Row`] unless all parts have the same number of states, at least one;
    /// [`HmmError::Probabilities`] unless the initial law and each row are non-negative and sum to one.
    pub fn new(
        initial: &[f64],
        transition: &[impl AsRef<[f64]>],
        emission: Vec<F>,
    ) -> Result<Self, HmmError> {
        let k = emission.len();
        if k == 0 || initial.len() != k || transition.len() != k {
            let (initial, transition) = (initial.len(), transition.len());
            return Err(HmmError::States { initial, transition, emission: k });
        }
        let mut rows = Vec::with_capacity(k);
        for (row, probabilities) in transition.iter().map(AsRef::as_ref).enumerate() {
            if probabilities.len() != k {
                return Err(HmmError::Row { row, expected: k, found: probabilities.len() });
            }
            rows.push(Categorical::new(probabilities.to_vec())?);
        }
        Ok(Self { initial: Categorical::new(initial.to_vec())?, transition: rows, emission })
    }

    pub(crate) fn from_parts(
        initial: Categorical,
        transition: Vec<Categorical>,
        emission: Vec<F>,
    ) -> Self {
        Self { initial, transition, emission }
    }

    pub(crate) fn into_parts(self) -> (Categorical, Vec<Categorical>, Vec<F>) {
        (self.initial, self.transition, self.emission)
    }

    /// Number of states.
    pub fn k(&self) -> usize {
        self.emission.len()
    }

    /// `π`, the law of the first state.
    pub fn initial(&self) -> &[f64] {
        self.initial.probabilities()
    }

    /// `A[i, ·]`, the law of the state after `i`.
    ///
    /// # Panics
    ///
    /// If there is no such state.
    pub fn transition(&self, i: usize) -> &[f64] {
        self.transition[i].probabilities()
    }

    /// What each state emits.
    pub fn emission(&self) -> &[F] {
        &self.emission
    }

    /// The same model, its state `j` the former state `order[j]`.
    ///
    /// # Panics
    ///
    /// If `order` is no permutation of `0..k`.
    #[must_use]
    pub fn permuted(&self, order: &[usize]) -> Self {
        let mut seen = order.to_vec();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..self.k()), "{order:?} is no permutation of the states");
        let shuffled = |law: &Categorical| {
            let weights: Vec<f64> = order.iter().map(|j| law.probabilities()[*j]).collect();
            Categorical::new(weights).expect("a permutation keeps a distribution one")
        };
        Self {
            initial: shuffled(&self.initial),
            transition: order.iter().map(|i| shuffled(&self.transition[*i])).collect(),
            emission: order.iter().map(|j| self.emission[*j].clone()).collect(),
        }
    }

    /// Number of free parameters: `k² − 1` of the chain and those of the emissions, shared ones counted once.
    pub fn free_parameters(&self) -> usize {
        let k = self.k();
        k * k - 1 + F::free_parameters_all(&self.emission)
    }

    /// `ℓ = ln p(x)`, summed over sequences as often as each counts, in nats. Cost: `k²` multiply-adds per step.
    ///
    /// # Errors
    ///
    /// [`HmmError::Data`] if the data do not fit the emissions; [`HmmError::EStep`] if a step is impossible under the
    /// model or has no finite density.
    pub fn log_likelihood<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<f64, HmmError> {
        let (data, mut sum) = (data.into(), 0.0);
        self.for_each_sequence(data, |i, view, sequence, scratch| {
            if data.weight(i) > 0.0 {
                sum += data.weight(i) * scratch.forward(view, sequence)?;
            }
            Ok(())
        })?;
        Ok(sum)
    }

    /// [`log_likelihood`](Self::log_likelihood) and number of steps, each as often as its sequence counts: what
    /// [`cross_validate`](elbo_core::cross_validate) asks of a fit.
    ///
    /// # Errors
    ///
    /// If the data do not fit the emissions, or a step that counts is impossible or has no finite density.
    pub fn score<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<(f64, f64), FitError> {
        let data = data.into();
        let log_likelihood = self.log_likelihood(data).map_err(HmmError::of_scoring)?;
        Ok((log_likelihood, data.observations()))
    }

    /// `p(zₜ = j ∣ x₁, …, xₜ)`, `n × k`, row by row: what is known of a state when its step is seen.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn filter<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Vec<f64>, HmmError> {
        let data = data.into();
        let mut all = Vec::with_capacity(data.steps().len() * self.k());
        self.for_each_sequence(data, |_, view, sequence, scratch| {
            scratch.forward(view, sequence)?;
            scratch.filtered(sequence.len(), |row| all.extend_from_slice(row));
            Ok(())
        })?;
        Ok(all)
    }

    /// `γₜⱼ = p(zₜ = j ∣ x₁, …, x_T)`, `n × k`, row by row: what is known of a state in hindsight.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn smooth<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Vec<f64>, HmmError> {
        let (data, k) = (data.into(), self.k());
        let mut all = vec![0.0; data.steps().len() * k];
        let mut rest = &mut all[..];
        self.for_each_sequence(data, |_, view, sequence, scratch| {
            let (rows, later) = std::mem::take(&mut rest).split_at_mut(sequence.len() * k);
            rest = later;
            scratch.forward(view, sequence)?;
            scratch.backward(view, sequence, None, |block, posterior, _| {
                let Posterior::Columns(posterior) = posterior else { return false };
                for j in 0..k {
                    let cells = rows[block.start * k + j..].iter_mut().step_by(k);
                    for (to, from) in cells.zip(posterior.row(j)) {
                        *to = *from;
                    }
                }
                true
            })
        })?;
        Ok(all)
    }

    /// The most probable path of each sequence. Cost: `k²` additions per step, `4k` bytes per step.
    ///
    /// # Errors
    ///
    /// As [`log_likelihood`](Self::log_likelihood).
    pub fn viterbi<'a>(
        &self,
        data: impl Into<Sequences<'a, F::Batch<'a>>>,
    ) -> Result<Decoded, HmmError> {
        let mut decoded = Decoded { states: Vec::new(), log_probability: 0.0 };
        let data = data.into();
        self.for_each_sequence(data, |i, view, sequence, scratch| {
            decoded.log_probability += data.weight(i) * scratch.viterbi(view, sequence)?;
            let path = &scratch.path()[..sequence.len()];
            decoded.states.extend_from_slice(path);
            Ok(())
        })?;
        Ok(decoded)
    }

    /// The law of the state `steps` later, given that of the state now: after [`filter`](Self::filter), a forecast.
    ///
    /// # Panics
    ///
    /// If `now` has not `k` numbers.
    pub fn predict(&self, now: &[f64], steps: usize) -> Vec<f64> {
        assert_eq!(now.len(), self.k(), "a law has one number per state");
        let mut law = now.to_vec();
        for _ in 0..steps {
            let mut next = vec![0.0; self.k()];
            for (p, row) in law.iter().zip(&self.transition) {
                elbo_core::add_scaled(&mut next, *p, row.probabilities());
            }
            law = next;
        }
        law
    }

    /// The law `π = πA`, or `None` if there is more than one (two sets of states that are never left).
    ///
    /// Small probabilities keep all their digits; `k³` operations.
    pub fn stationary(&self) -> Option<Vec<f64>> {
        stationary_law(&self.transition)
    }

    /// Draws a path of `steps` states and, by `emit`, an observation for each.
    ///
    /// ```
    /// use elbo_hmm::{Hmm, Poisson};
    /// use rand::{SeedableRng, rngs::ChaCha8Rng};
    ///
    /// let rates = vec![Poisson::new(2.0)?, Poisson::new(20.0)?];
    /// let hmm = Hmm::new(&[1.0, 0.0], &[[0.9, 0.1], [0.1, 0.9]], rates)?;
    /// let mut rng = ChaCha8Rng::seed_from_u64(1);
    /// let (states, counts) = hmm.sample(100, &mut rng, |poisson, rng| poisson.sample(rng));
    /// assert_eq!((states[0], states.len(), counts.len()), (0, 100, 100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sample<R: Rng + ?Sized, X>(
        &self,
        steps: usize,
        rng: &mut R,
        mut emit: impl FnMut(&F, &mut R) -> X,
    ) -> (Vec<usize>, Vec<X>) {
        let mut law = &self.initial;
        let draw = |_| {
            let state = law.sample(rng) as usize;
            law = &self.transition[state];
            (state, emit(&self.emission[state], rng))
        };
        (0..steps).map(draw).unzip()
    }

    /// Draws sequences of these lengths, one after the other, in the form in which the emissions take them: the parametric
    /// bootstrap of a chain.
    ///
    /// ```
    /// use elbo_hmm::{Hmm, Poisson, Sequences};
    /// use rand::{SeedableRng, rngs::ChaCha8Rng};
    ///
    /// let rates = vec![Poisson::new(2.0)?, Poisson::new(20.0)?];
    /// let hmm = Hmm::new(&[1.0, 0.0], &[[0.9, 0.1], [0.1, 0.9]], rates)?;
    /// let (mut rng, lengths) = (ChaCha8Rng::seed_from_u64(1), [30, 0, 50]);
    /// let counts = hmm.simulate(lengths, &mut rng);
    /// let offsets = Sequences::<&[u64]>::offsets_of(lengths);
    /// assert!(hmm.log_likelihood(Sequences::new(&counts[..], &offsets)).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn simulate<R: Rng + ?Sized>(
        &self,
        lengths: impl IntoIterator<Item = usize>,
        rng: &mut R,
    ) -> F::Drawn
    where
        F: Draw,
    {
        let mut drawn = self.emission[0].no_draws();
        for steps in lengths {
            self.sample(steps, rng, |emission, rng| emission.draw_onto(1, rng, &mut drawn));
        }
        drawn
    }

    pub(crate) fn for_each_sequence<'a>(
        &self,
        data: Sequences<'a, F::Batch<'a>>,
        mut see: impl FnMut(
            usize,
            &View<'_, F>,
            F::Batch<'a>,
            &mut HmmScratch<F::Scratch>,
        ) -> Result<(), StepError>,
    ) -> Result<(), HmmError> {
        let k = self.k();
        data.check_labels(k)?;
        F::check_all(&self.emission, data.steps())?;
        let mut packed = F::new_packed_all(&self.emission);
        for (j, emission) in self.emission.iter().enumerate() {
            emission.pack(j, &mut packed);
        }
        let mut rows = self.initial.new_packed(k);
        for (i, row) in self.transition.iter().enumerate() {
            row.pack(i, &mut rows);
        }
        let log_initial: Vec<f64> = self.initial().iter().map(|p| p.ln()).collect();
        let mut chain = Chain::new(k);
        chain.set(&log_initial, rows.table(), 1.0);
        let mut scratch = HmmScratch::new(k, F::new_scratch(&packed));
        for i in 0..data.len() {
            let sequence = data.sequence(i);
            if !sequence.is_empty() {
                let (known, memory) = (data.known(i), usize::MAX);
                let view = View::<F> { packed: &packed, chain: &chain, beta: 1.0, known, memory };
                see(i, &view, sequence, &mut scratch).map_err(|error| error.of_sequence(i))?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
mod wire {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{Family, Hmm};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire<I, T, E> {
        initial: I,
        transition: T,
        emission: E,
    }

    impl<F: Serialize + Family> Serialize for Hmm<F> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let transition: Vec<&[f64]> = (0..self.k()).map(|i| self.transition(i)).collect();
            Wire { initial: self.initial(), transition, emission: &self.emission }
                .serialize(serializer)
        }
    }

    impl<'de, F: Deserialize<'de> + Family> Deserialize<'de> for Hmm<F> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            type Parts<F> = Wire<Vec<f64>, Vec<Vec<f64>>, Vec<F>>;
            let Wire { initial, transition, emission } = Parts::<F>::deserialize(deserializer)?;
            Self::new(&initial, &transition, emission).map_err(D::Error::custom)
        }
    }
}
