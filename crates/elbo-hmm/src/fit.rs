//! From a start strategy to a fitted, comparable hidden Markov model.

use elbo_core::{
    Batch, DataError, Estimator, Family, FitError, Observer, Report, Runs, Scored, Scores,
    Settings, Statistics, fit_restarts, mix,
};
use elbo_dist::Categorical;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{Hmm, HmmError, HmmModel, HmmParams, Sequences};

/// A fitted hidden Markov model and how it was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fitted<F> {
    /// The best model; under variational Bayes the points that stand for the posteriors.
    pub hmm: Hmm<F>,
    /// The report of the run that found it.
    pub report: Report,
    /// How every run ended.
    pub runs: Runs,
    /// `ℓ = ln p(x)` of all sequences at `hmm`, in nats, without any prior.
    pub log_likelihood: f64,
}

/// Where the runs of a fit begin.
#[derive(Clone, Debug)]
pub enum Start<F> {
    /// `runs` random starts with `k` states whose emissions are shaped like `template`.
    ///
    /// Even runs cut the data into equal stretches and deal them out to the states, twice as many stretches in each
    /// such run, up to single steps; odd runs put each state at a random step. Transition rows lean towards staying: for as
    /// long as a stretch, or for a random time of 40 steps at most, one in three for less than 5. Visits that begin long find
    /// the best optimum of regimes several times as often as short ones.
    Random {
        /// Number of states.
        k: usize,
        /// Number of runs.
        runs: usize,
        /// Gives the shape (dimension, structure, number of categories); its values do not matter.
        template: F,
    },
    /// One run from this model. What is zero in its transition matrix stays zero under maximum likelihood.
    At(Hmm<F>),
}

impl<F> Scored for Fitted<F> {
    /// Observations are steps.
    fn scores(&self) -> Scores {
        Scores {
            log_likelihood: self.log_likelihood,
            free_parameters: self.report.free_parameters,
            observations: self.report.observations,
            log_certainty: None,
            standing: self.report.standing(),
        }
    }
}

impl<F: Family> Fitted<F> {
    /// Akaike's criterion; smaller is better.
    pub fn aic(&self) -> f64 {
        self.scores().aic()
    }

    /// The Bayesian criterion, with the number of steps for the number of observations; smaller is better.
    pub fn bic(&self) -> f64 {
        self.scores().bic()
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> HmmModel<F, E, W> {
    /// Fits the model from every start and keeps the best sound end.
    ///
    /// Runs go side by side on the current rayon pool where the `rayon` feature is on; the same seed gives the same
    /// bits on any number of threads.
    ///
    /// # Errors
    ///
    /// If the data cannot be used, there are fewer steps than states, or no start has a finite density. Not converging
    /// is no error: see [`Fitted::report`].
    ///
    /// # Panics
    ///
    /// If zero states or zero runs are asked for.
    pub fn fit<'a>(
        &self,
        data: Sequences<'a, F::Batch<'a>>,
        start: &Start<F>,
        settings: &Settings,
        observer: &impl Observer<HmmParams<F, E, W>>,
    ) -> Result<Fitted<F>, FitError> {
        if data.steps().is_empty() {
            return Err(DataError::Empty.into());
        }
        if let Start::Random { k, .. } = start {
            data.check_labels(*k)?;
        }
        let restarts = match start {
            Start::At(hmm) => {
                let start = |_| Ok(self.start(hmm.clone(), data.observations())?);
                fit_restarts(self, data, 1, start, settings, observer)?
            }
            Start::Random { k, runs, template } => {
                assert!(*k > 0, "a hidden Markov model needs a state");
                let starts = Starts::new(self, template, data, *k, settings.seed)?;
                fit_restarts(self, data, *runs, |run| starts.make(run), settings, observer)?
            }
        };
        let hmm = restarts.best.params.to_hmm();
        let log_likelihood = hmm.log_likelihood(data).map_err(HmmError::of_scoring)?;
        Ok(Fitted { hmm, report: restarts.best.report, runs: restarts.runs, log_likelihood })
    }
}

/// How long a visit to a state may be taken to last at a start, in steps.
const MOST_STAYING: f64 = 40.0;

/// Makes random starts.
struct Starts<'m, 'd, F: Family, E, W> {
    model: &'m HmmModel<F, E, W>,
    data: Sequences<'d, F::Batch<'d>>,
    /// How often each step counts, and which of them count at all.
    weights: Vec<f64>,
    seen: Vec<usize>,
    /// The state of each step, where it is known.
    states: Vec<Option<usize>>,
    /// All the data as one state.
    one: F,
    k: usize,
    seed: u64,
}

impl<'m, 'd, F: Family, E: Estimator<F>, W: Estimator<Categorical>> Starts<'m, 'd, F, E, W> {
    fn new(
        model: &'m HmmModel<F, E, W>,
        template: &F,
        data: Sequences<'d, F::Batch<'d>>,
        k: usize,
        seed: u64,
    ) -> Result<Self, FitError> {
        let steps = data.steps();
        template.check(steps)?;
        let mut weights = vec![1.0; steps.len()];
        for i in 0..data.len() {
            weights[data.positions(i)].fill(data.weight(i));
        }
        let mut states = vec![None; steps.len()];
        for i in 0..data.len() {
            let known = data.known(i);
            for (t, step) in data.positions(i).enumerate() {
                states[step] = known.state(t);
                if known.is_missing(t) {
                    weights[step] = 0.0;
                }
            }
        }
        let seen: Vec<usize> = (0..weights.len()).filter(|step| weights[*step] > 0.0).collect();
        if seen.len() < k {
            return Err(DataError::TooFew { n: seen.len(), needed: k }.into());
        }
        let mut stats = template.new_stats();
        template.observe(&mut stats, steps, &weights);
        let fits = model.emission().start(vec![template.clone()], data.observations())?;
        let mut next = fits.clone();
        model.emission().estimate(&fits, &[stats], &mut next)?;
        let one = E::points(&next)[0].clone();
        Ok(Self { model, data, weights, seen, states, one, k, seed })
    }

    fn make(&self, run: usize) -> Result<HmmParams<F, E, W>, FitError> {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(self.seed, run as u64));
        let k = self.k;
        let (emission, staying) = if run.is_multiple_of(2) {
            self.on_stretches(run / 2, &mut rng)?
        } else {
            let u: f64 = rng.random();
            (self.at_random_steps(&mut rng)?, MOST_STAYING * u * u)
        };
        let stay = staying * (k - 1) as f64;
        let row = |i: usize, rng: &mut ChaCha8Rng| {
            let weights: Vec<f64> = (0..k)
                .map(|j| rng.random_range(0.5..1.5) + if i == j { stay } else { 0.0 })
                .collect();
            Categorical::from_weights(&weights).expect("the weights are positive")
        };
        let transition = (0..k).map(|i| row(i, &mut rng)).collect();
        let hmm = Hmm::from_parts(Categorical::uniform(k), transition, emission);
        Ok(self.model.start(hmm, self.data.observations())?)
    }

    /// Stretches of equal length are dealt out in rounds, every state once in each round. Returns how much longer than one
    /// step they are, too.
    fn on_stretches(
        &self,
        doublings: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Vec<F>, f64), FitError> {
        let (n, k) = (self.seen.len(), self.k);
        let most = (n / k).ilog2() as usize; // there are at least k steps
        let rounds = 1 << (doublings % (most + 1));
        let mut state_of = vec![0; n];
        let mut order: Vec<usize> = (0..k).collect();
        for round in 0..rounds {
            shuffle(&mut order, rng);
            for (place, j) in order.iter().enumerate() {
                let stretch = round * k + place;
                state_of[stretch * n / (rounds * k)..(stretch + 1) * n / (rounds * k)].fill(*j);
            }
        }
        for (state, step) in state_of.iter_mut().zip(&self.seen) {
            *state = self.states[*step].unwrap_or(*state);
        }
        let mut weights = vec![0.0; self.weights.len()];
        let mut stats: Vec<F::Stats> = Vec::with_capacity(k);
        for j in 0..k {
            for (step, state) in self.seen.iter().zip(&state_of) {
                weights[*step] = if *state == j { self.weights[*step] } else { 0.0 };
            }
            // One observation in ten is of all the data: no state starts on a point, or with an impossible observation.
            let mut own = self.one.expected_stats(0.1 * weights.iter().sum::<f64>());
            let mut seen = self.one.new_stats();
            self.one.observe(&mut seen, self.data.steps(), &weights);
            own.merge(&seen);
            stats.push(own);
        }
        let weight = self.data.observations() / k as f64;
        let fits = self.model.emission().start(vec![self.one.clone(); k], weight)?;
        let mut next = fits.clone();
        self.model.emission().estimate(&fits, &stats, &mut next)?;
        let length = n as f64 / (rounds * k) as f64;
        Ok((E::points(&next).to_vec(), (length - 1.0).min(MOST_STAYING)))
    }

    fn at_random_steps(&self, rng: &mut ChaCha8Rng) -> Result<Vec<F>, FitError> {
        let (steps, seen) = (self.data.steps(), &self.seen);
        let at = |j| {
            // A state that is known somewhere begins there.
            let labeled: Vec<usize> =
                seen.iter().copied().filter(|step| self.states[*step] == Some(j)).collect();
            let steps_of = if labeled.is_empty() { seen } else { &labeled };
            self.one.moved_to(steps, steps_of[rng.random_range(0..steps_of.len())])
        };
        Ok((0..self.k).map(at).collect::<Result<_, _>>()?)
    }
}

/// Fisher-Yates.
fn shuffle(order: &mut [usize], rng: &mut ChaCha8Rng) {
    for i in (1..order.len()).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
}
