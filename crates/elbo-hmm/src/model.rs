//! The hidden Markov model as a latent-variable model: one E-step and one M-step for every emission and estimator.

use std::{fmt, marker::PhantomData};

use elbo_core::{
    Batch, ConjugatePrior, DataError, EStepError, EstimateError, Estimator, Family, Inference,
    LatentModel, MaximumAPosteriori, MaximumLikelihood, PointEstimator, Priors, Repairs,
    Statistics, VariationalBayes, add_scaled, spurious_components, write_natural_all,
};
use elbo_dist::{Categorical, CategoricalPacked, CategoricalStats, Dirichlet, ParameterError};

use crate::{
    Hmm, HmmScratch, Sequences,
    chain::Chain,
    messages::{Posterior, StepError, View},
    stationary::{estimate_rows, stationary_start},
};

/// A hidden Markov model with emissions of any [`Family`] `F`, estimated by `E`; initial law and transition rows are
/// [`Categorical`], estimated by `W`.
///
/// Maximum likelihood, MAP and variational Bayes are choices of `E` and `W`; nothing else differs.
///
/// | inference | latent path | data term of a sequence |
/// |---|---|---|
/// | soft | posterior of states and pairs | `ln Σ_z p(x, z)` |
/// | hard | the most probable path (Viterbi training) | `max_z ln p(x, z)` |
/// | tempered `β` | posterior `∝ p(x, z)^β` | `(1/β) ln Σ_z p(x, z)^β` |
/// | sampled | a path drawn from the posterior | `ln Σ_z p(x, z)` |
///
/// A state, transition row or initial law that no data reach has no maximum-likelihood estimate: it keeps its former
/// parameters, which is counted in [`Repairs::kept_components`]. A transition of probability zero stays at zero under
/// maximum likelihood.
pub struct HmmModel<F, E, W> {
    emission: E,
    initial: W,
    transition: W,
    stationary: bool,
    memory: usize,
    family: PhantomData<fn() -> F>,
}

/// Forward messages of a sequence that take more bytes than this are made twice.
const MEMORY: usize = 1 << 28;

/// Initial law, transition rows and emissions under estimation, with their packed forms.
#[derive(Clone, Debug)]
pub struct HmmParams<F: Family, E: Estimator<F>, W: Estimator<Categorical>> {
    initial: W::Fits,
    transition: W::Fits,
    emission: E::Fits,
    /// The stationary law of the transition rows, where chains start in it; `initial` is then not looked at.
    law: Option<Categorical>,
    packed: F::Packed,
    packed_initial: CategoricalPacked,
    packed_transition: CategoricalPacked,
    chain: Chain,
}

/// Statistics of a hidden Markov model: those of the initial law (one entry), of each transition row and of each
/// emission.
pub type HmmStats<F> = (Vec<CategoricalStats>, Vec<CategoricalStats>, Vec<<F as Family>::Stats>);

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> HmmModel<F, E, W> {
    /// A model with these estimators: of emissions, of the initial law and of transition rows.
    pub fn new(emission: E, initial: W, transition: W) -> Self {
        Self {
            emission,
            initial,
            transition,
            stationary: false,
            memory: MEMORY,
            family: PhantomData,
        }
    }

    /// The same model whose E-steps keep at most this many bytes of forward messages per thread; 256 MiB unless told otherwise.
    ///
    /// A sequence of `T` steps has `8 k T` bytes of them, `k` rounded up to a multiple of 8. Where that is more, `8 k √(256 T)` are
    /// kept and the others made again on the way back, which takes about half as long again and gives the same bits. Draws of paths
    /// ([`Inference::Sampled`]) and the questions of [`Hmm`] keep all of them.
    #[must_use]
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Parameters to start from: those of `hmm`. A posterior starts as if it had seen `steps` ideal steps of this very
    /// model, the states equally often.
    ///
    /// # Errors
    ///
    /// If a prior cannot serve such emissions or this number of states; if a chain that is to start in its stationary law
    /// has several.
    pub fn start(&self, hmm: Hmm<F>, steps: f64) -> Result<HmmParams<F, E, W>, EstimateError> {
        let k = hmm.k();
        let per_state = steps / k as f64;
        let (initial, transition, emission) = hmm.into_parts();
        let law = self.stationary.then(|| stationary_start(&transition)).transpose()?;
        Ok(HmmParams::pack(
            self.initial.start(vec![initial], 1.0)?,
            self.transition.start(transition, per_state)?,
            self.emission.start(emission, per_state)?,
            law,
        ))
    }

    /// The estimators of the initial law, of transition rows and of emissions.
    pub(crate) fn estimators(&self) -> (&W, &W, &E) {
        (&self.initial, &self.transition, &self.emission)
    }

    /// The estimator of emissions.
    pub(crate) fn emission(&self) -> &E {
        &self.emission
    }
}

impl<F: Family, E: Estimator<F>, W: PointEstimator<Categorical>> HmmModel<F, E, W> {
    /// The same model of chains that have gone on forever: the first state has the stationary law of the transition matrix,
    /// which takes `k − 1` parameters away and lets every first observation tell of the transitions.
    ///
    /// The M-step of the transitions has no closed form then; it climbs to its maximum in a few rounds of `k³` operations,
    /// with `k²` numbers allocated. A prior of the initial law counts for nothing.
    ///
    /// ```
    /// use elbo_hmm::{HmmModel, Poisson, Sequences, Settings, Start};
    ///
    /// let counts = [13_u64, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14];
    /// let start = Start::Random { k: 2, runs: 5, template: Poisson::new(1.0)? };
    /// let model = HmmModel::ml().stationary();
    /// let fitted = model.fit(Sequences::one(&counts[..]), &start, &Settings::default(), &())?;
    /// assert_eq!(fitted.report.free_parameters, 4);
    /// let law = fitted.hmm.stationary().unwrap();
    /// assert!((fitted.hmm.initial()[0] - law[0]).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stationary(self) -> Self {
        Self { stationary: true, ..self }
    }
}

impl<F: Family> HmmModel<F, MaximumLikelihood, MaximumLikelihood> {
    /// Maximum likelihood: Baum-Welch. The likelihood is unbounded where an emission may collapse onto a point: such
    /// ends are reported as spurious.
    pub fn ml() -> Self {
        Self::new(MaximumLikelihood, MaximumLikelihood, MaximumLikelihood)
    }
}

impl<F: Family, P: ConjugatePrior<F>>
    HmmModel<F, MaximumAPosteriori<P>, MaximumAPosteriori<Dirichlet>>
{
    /// Maximum a posteriori, with one prior for all emissions, one for the initial law and one for all transition rows.
    pub fn map(emission: P, initial: Dirichlet, transition: Dirichlet) -> Self {
        Self::new(
            MaximumAPosteriori::new(emission),
            MaximumAPosteriori::new(initial),
            MaximumAPosteriori::new(transition),
        )
    }
}

impl<F: Family, P: ConjugatePrior<F>>
    HmmModel<F, VariationalBayes<P>, VariationalBayes<Dirichlet>>
{
    /// Variational Bayes: posteriors over emissions, initial law and transition rows.
    pub fn vb(emission: P, initial: Dirichlet, transition: Dirichlet) -> Self {
        Self::new(
            VariationalBayes::new(emission),
            VariationalBayes::new(initial),
            VariationalBayes::new(transition),
        )
    }
}

/// Priors of the `k` transition rows of a sticky chain: concentration `concentration` for every transition, and `stay` more
/// for staying, as if `stay` steps had been seen at which the state did not change.
///
/// ```
/// use elbo_hmm::{Dirichlet, Gamma, HmmModel, MaximumAPosteriori, Poisson, sticky_rows};
///
/// let rows = MaximumAPosteriori::with(sticky_rows(2, 1.0, 20.0)?);
/// let initial = MaximumAPosteriori::new(Dirichlet::symmetric(2, 1.0)?);
/// let rates = MaximumAPosteriori::new(Gamma::new(1.0, 0.1)?);
/// let model = HmmModel::<Poisson, _, _>::new(rates, initial, rows);
/// # Ok::<(), elbo_hmm::ParameterError>(())
/// ```
///
/// # Errors
///
/// If a concentration is not positive and finite.
///
/// # Panics
///
/// If `k` is zero.
///
/// # Source
///
/// Fox, Sudderth, Jordan & Willsky (2011), Ann. Appl. Stat. 5(2A), with a finite number of states.
pub fn sticky_rows(
    k: usize,
    concentration: f64,
    stay: f64,
) -> Result<Priors<Dirichlet>, ParameterError> {
    let row = |i: usize| {
        let alpha = |j| concentration + if i == j { stay } else { 0.0 };
        Dirichlet::new((0..k).map(alpha).collect())
    };
    Ok(Priors::each((0..k).map(row).collect::<Result<_, _>>()?))
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> HmmParams<F, E, W> {
    /// Makes the packed forms of fits that go together.
    fn pack(
        initial: W::Fits,
        transition: W::Fits,
        emission: E::Fits,
        law: Option<Categorical>,
    ) -> Self {
        let points = E::points(&emission);
        let (shape, k) = (&W::points(&initial)[0], points.len());
        let (packed, packed_initial) = (F::new_packed_all(points), shape.new_packed(1));
        let (packed_transition, chain) = (shape.new_packed(k), Chain::new(k));
        let mut params = Self {
            initial,
            transition,
            emission,
            law,
            packed,
            packed_initial,
            packed_transition,
            chain,
        };
        params.repack();
        params
    }

    /// Number of states.
    pub fn k(&self) -> usize {
        self.chain.k()
    }

    /// The fitted initial law: one categorical distribution, or its posterior. It means nothing where chains start in the
    /// stationary law.
    pub fn initial(&self) -> &W::Fits {
        &self.initial
    }

    /// The fitted transition rows.
    pub fn transition(&self) -> &W::Fits {
        &self.transition
    }

    /// The fitted emissions.
    pub fn emission(&self) -> &E::Fits {
        &self.emission
    }

    /// The model of points that these parameters are or stand for.
    pub fn to_hmm(&self) -> Hmm<F> {
        let (initial, transition, emission) = self.points();
        Hmm::from_parts(initial[0].clone(), transition.to_vec(), emission.to_vec())
    }

    /// Do chains start in the stationary law?
    pub(crate) fn is_stationary(&self) -> bool {
        self.law.is_some()
    }

    /// The same with other points.
    pub(crate) fn at(
        &self,
        initial: Vec<Categorical>,
        transition: Vec<Categorical>,
        emission: Vec<F>,
    ) -> Self
    where
        E: PointEstimator<F>,
        W: PointEstimator<Categorical>,
    {
        let mut moved = self.clone();
        if moved.is_stationary() {
            moved.law = stationary_start(&transition).ok().or(moved.law);
        } else {
            W::set_points(&mut moved.initial, initial);
        }
        W::set_points(&mut moved.transition, transition);
        E::set_points(&mut moved.emission, emission);
        moved.repack();
        moved
    }

    /// The points that these parameters are or stand for: initial law, transition rows, emissions.
    pub(crate) fn points(&self) -> (&[Categorical], &[Categorical], &[F]) {
        let initial = match &self.law {
            Some(law) => std::slice::from_ref(law),
            None => W::points(&self.initial),
        };
        (initial, W::points(&self.transition), E::points(&self.emission))
    }

    /// Refreshes the packed forms after parameters have changed.
    fn repack(&mut self) {
        E::pack(&self.emission, &mut self.packed);
        match &self.law {
            Some(law) => law.pack(0, &mut self.packed_initial),
            None => W::pack(&self.initial, &mut self.packed_initial),
        }
        W::pack(&self.transition, &mut self.packed_transition);
        self.chain.set(self.packed_initial.table(), self.packed_transition.table(), 1.0);
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> LatentModel for HmmModel<F, E, W> {
    type Data<'a> = Sequences<'a, F::Batch<'a>>;
    type Params = HmmParams<F, E, W>;
    type Stats = HmmStats<F>;
    type Scratch = HmmScratch<F::Scratch>;

    fn check(&self, params: &Self::Params, data: Self::Data<'_>) -> Result<(), DataError> {
        if data.steps().is_empty() {
            return Err(DataError::Empty);
        }
        data.check_labels(params.k())?;
        E::points(&params.emission)[0].check(data.steps())
    }

    fn new_stats(&self, params: &Self::Params) -> Self::Stats {
        (
            W::points(&params.initial).iter().map(Family::new_stats).collect(),
            W::points(&params.transition).iter().map(Family::new_stats).collect(),
            E::points(&params.emission).iter().map(Family::new_stats).collect(),
        )
    }

    fn new_scratch(&self, params: &Self::Params) -> Self::Scratch {
        HmmScratch::new(params.k(), F::new_scratch(&params.packed))
    }

    fn reset(&self, params: &Self::Params, stats: &mut Self::Stats) {
        stats.0.set_zero();
        stats.1.iter_mut().for_each(Statistics::set_zero);
        F::reset_all(&params.packed, &mut stats.2);
    }

    fn e_step(
        &self,
        params: &Self::Params,
        data: Self::Data<'_>,
        how: &mut Inference<'_>,
        (initial, transition, emission): &mut Self::Stats,
        scratch: &mut Self::Scratch,
    ) -> Result<f64, EStepError> {
        let packed = &params.packed;
        let beta = if let Inference::Tempered(beta) = how { *beta } else { 1.0 };
        let tempered = (beta < 1.0).then(|| scratch.take_tempered(&params.chain, beta));
        let chain = tempered.as_ref().unwrap_or(&params.chain);
        let mut data_term = 0.0;
        let mut counts = Counts { initial, transition, weight: 1.0 };
        for i in 0..data.len() {
            let (sequence, weight) = (data.sequence(i), data.weight(i));
            if sequence.is_empty() || weight == 0.0 {
                continue;
            }
            counts.change_weight(weight, chain, scratch);
            let is_drawn = matches!(how, Inference::Sampled(_));
            let memory = if is_drawn { usize::MAX } else { self.memory };
            let view = View::<F> { packed, chain, beta, known: data.known(i), memory };
            let log_density = one_sequence(&view, sequence, weight, how, emission, scratch)
                .map_err(|error| error.of_sequence(i))?;
            data_term += weight * log_density / beta;
        }
        F::finish(packed, emission, &mut scratch.family);
        counts.take(chain, scratch);
        scratch.tempered = tempered;
        Ok(data_term)
    }

    fn m_step(
        &self,
        params: &Self::Params,
        (initial, transition, emission): &Self::Stats,
        next: &mut Self::Params,
    ) -> Result<Repairs, EstimateError> {
        let mut repairs = estimate(&self.emission, &params.emission, emission, &mut next.emission)?;
        let (current, rows) = (&params.transition, &mut next.transition);
        if self.stationary {
            let outcome = estimate_rows(&self.transition, current, &initial[0], transition, rows);
            repairs.merge(outcome?);
            next.law = Some(stationary_start(W::points(&next.transition))?);
        } else {
            repairs.merge(estimate(&self.initial, &params.initial, initial, &mut next.initial)?);
            repairs.merge(estimate(&self.transition, current, transition, rows)?);
        }
        next.repack();
        Ok(repairs)
    }

    fn retreat(&self, params: &Self::Params, next: &mut Self::Params) -> bool {
        let moved = E::retreat(&params.emission, &mut next.emission);
        if moved {
            next.repack();
        }
        moved
    }

    fn write_natural(&self, params: &Self::Params, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        let (initial, transition, emission) = params.points();
        write_natural_all(initial, &like.0, out)
            && write_natural_all(transition, &like.1, out)
            && write_natural_all(emission, &like.2, out)
    }

    fn penalty(&self, params: &Self::Params) -> f64 {
        let initial = if self.stationary { 0.0 } else { self.initial.penalty(&params.initial) };
        initial
            + self.transition.penalty(&params.transition)
            + self.emission.penalty(&params.emission)
    }

    /// `k − 1` for the initial law unless it is the stationary one, `k(k − 1)` for transitions and those of the emissions. Zeros count as well: whether
    /// they were meant or found cannot be told.
    fn free_parameters(&self, params: &Self::Params) -> usize {
        let initial =
            if self.stationary { 0 } else { self.initial.free_parameters(&params.initial) };
        initial
            + self.transition.free_parameters(&params.transition)
            + self.emission.free_parameters(&params.emission)
    }

    fn is_spurious(&self, params: &Self::Params, stats: &Self::Stats) -> bool {
        // Each step is the first of its sequence or the end of one transition.
        let (initial, transition, emission) = stats;
        let mut steps = initial[0].counts().to_vec();
        for row in transition {
            add_scaled(&mut steps, 1.0, row.counts());
        }
        !spurious_components::<F, E>(E::points(&params.emission), emission, &steps).is_empty()
    }
}

/// Where counts of the chain go, and how often those in the scratch count.
struct Counts<'s> {
    initial: &'s mut [CategoricalStats],
    transition: &'s mut [CategoricalStats],
    weight: f64,
}

impl Counts<'_> {
    /// What is in the scratch has the weight so far; what follows has another one.
    fn change_weight<S>(&mut self, weight: f64, chain: &Chain, scratch: &mut HmmScratch<S>) {
        if weight.to_bits() != self.weight.to_bits() {
            self.take(chain, scratch);
            self.weight = weight;
        }
    }

    fn take<S>(&mut self, chain: &Chain, scratch: &mut HmmScratch<S>) {
        let rows = self.transition.iter_mut().map(CategoricalStats::counts_mut);
        scratch.take_counts(chain, self.weight, self.initial[0].counts_mut(), rows);
    }
}

/// Adds the emission statistics of one sequence; counts of the chain stay in the scratch.
fn one_sequence<F: Family>(
    view: &View<'_, F>,
    data: F::Batch<'_>,
    weight: f64,
    how: &mut Inference<'_>,
    stats: &mut [F::Stats],
    scratch: &mut HmmScratch<F::Scratch>,
) -> Result<f64, StepError> {
    let see = |block, posterior: Posterior<'_>, family: &mut F::Scratch| match posterior {
        Posterior::Rows { cells, stride } => {
            F::observe_rows(view.packed, data.slice(block), cells, stride, family)
        }
        Posterior::Columns(weights) => {
            F::observe_all(view.packed, stats, data.slice(block), weights, family);
            true
        }
    };
    match how {
        Inference::Soft | Inference::Tempered(_) => {
            let log_density = scratch.forward(view, data)?;
            scratch.backward(view, data, Some(weight), see)?;
            Ok(log_density)
        }
        Inference::Hard => {
            let log_density = scratch.viterbi(view, data)?;
            scratch.count_path(view, data, weight, see)?;
            Ok(log_density)
        }
        Inference::Sampled(_) => {
            let log_density = scratch.forward(view, data)?;
            scratch.sample(view.chain, data.len(), how)?;
            scratch.count_path(view, data, weight, see)?;
            Ok(log_density)
        }
    }
}

/// The M-step of some components; those that no data reach keep their parameters where they cannot do without.
pub(crate) fn estimate<F: Family, E: Estimator<F>>(
    estimator: &E,
    current: &E::Fits,
    stats: &[F::Stats],
    next: &mut E::Fits,
) -> Result<Repairs, EstimateError> {
    let mut filled: Option<Vec<F::Stats>> = None;
    for kept in 0.. {
        match estimator.estimate(current, filled.as_deref().unwrap_or(stats), next) {
            // Statistics that are the component's own expectation give it back.
            Err(EstimateError::NoWeight { component, .. }) if kept < stats.len() => {
                let filled = filled.get_or_insert_with(|| stats.to_vec());
                filled[component] = E::points(current)[component].expected_stats(1.0);
            }
            result => {
                let mut repairs = result?;
                repairs.kept_components += kept;
                return Ok(repairs);
            }
        }
    }
    unreachable!("at most every component is kept")
}

impl<F, E: Clone, W: Clone> Clone for HmmModel<F, E, W> {
    fn clone(&self) -> Self {
        Self {
            emission: self.emission.clone(),
            initial: self.initial.clone(),
            transition: self.transition.clone(),
            stationary: self.stationary,
            memory: self.memory,
            family: PhantomData,
        }
    }
}

impl<F, E: fmt::Debug, W: fmt::Debug> fmt::Debug for HmmModel<F, E, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmmModel")
            .field("emission", &self.emission)
            .field("initial", &self.initial)
            .field("transition", &self.transition)
            .field("stationary", &self.stationary)
            .finish_non_exhaustive()
    }
}

/// Initial law, transition rows and emissions as their estimators keep them: what a checkpoint needs. Packed forms are made
/// anew.
#[cfg(feature = "serde")]
mod wire {
    use elbo_core::{Estimator, Family};
    use elbo_dist::Categorical;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::{HmmParams, stationary_start};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire<W, E> {
        initial: W,
        transition: W,
        emission: E,
        #[serde(default)]
        stationary: bool,
    }

    impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> Serialize for HmmParams<F, E, W>
    where
        E::Fits: Serialize,
        W::Fits: Serialize,
    {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let Self { initial, transition, emission, .. } = self;
            let stationary = self.is_stationary();
            Wire { initial, transition, emission, stationary }.serialize(serializer)
        }
    }

    impl<'de, F: Family, E: Estimator<F>, W: Estimator<Categorical>> Deserialize<'de>
        for HmmParams<F, E, W>
    where
        E::Fits: Deserialize<'de>,
        W::Fits: Deserialize<'de>,
    {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let Wire { initial, transition, emission, stationary } =
                Wire::<W::Fits, E::Fits>::deserialize(deserializer)?;
            let k = E::points(&emission).len();
            let (laws, rows) = (W::points(&initial), W::points(&transition));
            let fits = |law: &Categorical| law.categories() == k;
            if k > 0 && laws.len() == 1 && rows.len() == k && laws.iter().chain(rows).all(fits) {
                let law = stationary.then(|| stationary_start(rows)).transpose();
                let law = law.map_err(D::Error::custom)?;
                return Ok(Self::pack(initial, transition, emission, law));
            }
            Err(D::Error::custom(format!(
                "{k} emissions need a law and {k} transition rows of {k}"
            )))
        }
    }
}
