//! Where to start: components put at well-spread rows.

use elbo_core::{
    Batch, CancelToken, DataError, EStepError, EstimateError, Estimator, Family, Fit, FitError,
    Proposal, Settings, Tolerance, Variant, Weighted, fit, mix,
};
use elbo_dist::Categorical;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{
    Mixture, MixtureModel, MixtureParams, MixtureStats,
    known::{KnownRows, arrange},
    moves::Neighborhood,
};

/// Makes starts: `k` components at rows of the data.
///
/// Runs take turns among four kinds, which find different optima: rows picked by k-means++ (in the metric of the
/// one-component fit) or at random; EM begun there with components as wide as all the data, or after one step of
/// classification EM, which gives each the shape of the rows nearest to it.
///
/// A component of which rows are known starts at one of them. Where there are enough for all components, the first run
/// starts from what they tell alone.
///
/// Source: Arthur & Vassilvitskii (2007), with the greedy choice among `2 + log₂ k` candidates.
#[derive(Debug)]
pub(crate) struct Starts<'m, 'd, F: Family, E, W> {
    model: &'m MixtureModel<F, E, W>,
    data: Weighted<'d, F::Batch<'d>>,
    /// All the data as one component.
    one: F,
    known: KnownRows,
    /// Number of components that are put at rows.
    k: usize,
    /// Components that come after them and start as they are.
    others: &'m [F],
    seed: u64,
    cancel: Option<CancelToken>,
}

/// Sets the random numbers of moves apart from those of starts.
const OF_MOVES: u64 = 0x6D6F_7665_735F_6F66;

/// How rows are picked.
#[derive(Clone, Copy)]
enum Pick {
    /// With probability proportional to weight × how much worse a row fits the components chosen so far than the best
    /// row does; the best of several draws is kept.
    Spread,
    /// With probability proportional to weight.
    Random,
}

impl<'m, 'd, F: Family, E: Estimator<F>, W: Estimator<Categorical>> Starts<'m, 'd, F, E, W> {
    /// Prepares starts of `k` components shaped like `template`.
    pub(crate) fn new(
        model: &'m MixtureModel<F, E, W>,
        template: &F,
        data: Weighted<'d, F::Batch<'d>>,
        (k, others): (usize, &'m [F]),
        settings: &Settings,
    ) -> Result<Self, FitError> {
        template.check(data.units())?;
        F::check_all(others, data.units())?;
        data.check_labels(k + others.len())?;
        let one = model.one_component(template, data)?;
        let (known, seed) = (KnownRows::new(data, k), settings.seed);
        let cancel = settings.cancel.clone();
        Ok(Self { model, data, one, known, k, others, seed, cancel })
    }

    /// The start of a run.
    fn make(&self, run: usize) -> Result<MixtureParams<F, E, W>, FitError> {
        if run == 0
            && let Some(told) = self.model.tell_from_known_rows(&self.one, self.data, &self.known)
        {
            let told = self.beside_others(told.into_parts());
            return Ok(self.model.start(told, self.data.observations())?);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(mix(self.seed, run as u64));
        let pick = if run % 4 < 2 { Pick::Spread } else { Pick::Random };
        let mut components = Vec::with_capacity(self.k);
        for row in self.rows(pick, &mut rng)? {
            components.push(self.one.moved_to(self.data.units(), row)?);
        }
        let uniform = self.beside_others((Categorical::uniform(self.k), components));
        let params = self.model.start(uniform, self.data.observations())?;
        if run.is_multiple_of(2) {
            return Ok(params);
        }
        let settings = Settings {
            variant: Variant::Hard,
            max_iterations: 1,
            tolerance: Tolerance::Gap(0.0),
            ..Settings::default()
        };
        // A step that fails (an empty or singular part) leaves the parameters where they were.
        Ok(fit(self.model, self.data, params, &settings, &())?.params)
    }

    /// These weights and components beside the others, each of which starts with a `k`-th of the weight of all these.
    fn beside_others(&self, (weights, mut components): (Categorical, Vec<F>)) -> Mixture<F> {
        if self.others.is_empty() {
            return Mixture::from_parts(weights, components);
        }
        components.extend_from_slice(self.others);
        let mut shares = weights.probabilities().to_vec();
        shares.resize(components.len(), 1.0 / self.k as f64);
        let weights = Categorical::from_weights(&shares).expect("positive shares");
        Mixture::from_parts(weights, components)
    }

    /// A row for each component. They differ from each other, as far as scores can tell, unless they are known: components
    /// that start equal stay equal.
    ///
    /// Each pass over the data looks at the cancel token first.
    fn rows(&self, pick: Pick, rng: &mut ChaCha8Rng) -> Result<Vec<usize>, FitError> {
        let (units, n) = (self.data.units(), self.data.len());
        let weight = |i: usize| self.data.weights().map_or(1.0, |w| w[i]);
        // What a row of weight zero scores, even if it is impossible, must not be seen.
        let seen: Vec<usize> = (0..n).filter(|i| weight(*i) > 0.0).collect();
        let highest =
            |scores: &[f64]| seen.iter().map(|i| scores[*i]).fold(f64::NEG_INFINITY, f64::max);
        let known = self.known.draw(rng);
        let mut rows: Vec<usize> = known.iter().copied().flatten().collect();
        let given = rows.len();
        if rows.is_empty() {
            rows.push(draw(rng, n, weight).ok_or(DataError::Empty)?);
        }
        // Best score of each row under the components chosen so far, and the best of those.
        let mut best = vec![f64::NEG_INFINITY; n];
        let mut scores = vec![0.0; n];
        for row in &rows {
            self.one.moved_to(units, *row)?.log_density_into(units, &mut scores);
            best.iter_mut().zip(&scores).for_each(|(best, score)| *best = best.max(*score));
        }
        let mut peak = highest(&best);
        let candidates = match pick {
            Pick::Spread => 2 + self.k.ilog2() as usize,
            Pick::Random => 1,
        };
        while rows.len() < self.k {
            let mut winner: Option<(f64, usize, Vec<f64>)> = None;
            for _ in 0..candidates {
                if self.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
                    return Err(EStepError::Cancelled.into());
                }
                let mass = |i: usize| match pick {
                    _ if weight(i) == 0.0 => 0.0,
                    Pick::Spread => weight(i) * (peak - best[i]),
                    Pick::Random => weight(i) * f64::from(u8::from(best[i] < peak)),
                };
                let Some(row) = draw(rng, n, mass) else {
                    return Err(
                        DataError::TooFewDistinct { distinct: rows.len(), needed: self.k }.into()
                    );
                };
                let mut scores = vec![0.0; n];
                self.one.moved_to(units, row)?.log_density_into(units, &mut scores);
                scores.iter_mut().zip(&best).for_each(|(s, b)| *s = s.max(*b));
                let fit = seen.iter().map(|i| weight(*i) * scores[*i]).sum();
                if winner.as_ref().is_none_or(|(other, ..)| fit > *other) {
                    winner = Some((fit, row, scores));
                }
            }
            if let Some((_, row, scores)) = winner {
                rows.push(row);
                best = scores;
                peak = peak.max(highest(&best));
            }
        }
        Ok(arrange(&known, &rows[given..], self.data.labels()))
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> elbo_core::Starts<MixtureModel<F, E, W>>
    for Starts<'_, '_, F, E, W>
{
    fn start(&self, run: usize) -> Result<MixtureParams<F, E, W>, FitError> {
        self.make(run)
    }

    fn moves(
        &self,
        from: &Fit<MixtureParams<F, E, W>, MixtureStats<F>>,
        run: usize,
        round: usize,
        most: usize,
    ) -> Vec<Proposal<MixtureParams<F, E, W>>> {
        let seed = mix(mix(self.seed ^ OF_MOVES, run as u64), round as u64);
        Neighborhood::new(self.model, self.data, from, self.k)
            .map_or(Vec::new(), |near| near.moves(seed, most))
    }
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> MixtureModel<F, E, W> {
    /// All the data as one component, estimated as the model's components are.
    fn one_component<'d>(
        &self,
        template: &F,
        data: Weighted<'d, F::Batch<'d>>,
    ) -> Result<F, FitError> {
        let (_, mut components) =
            self.components_from_labels(template, data, &vec![0; data.len()], 1)?.into_parts();
        Ok(components.swap_remove(0))
    }

    /// The M-step from given labels `0..k`: each component is estimated from its rows alone.
    ///
    /// Cost: `2k` passes over the data.
    ///
    /// # Errors
    ///
    /// If a label has no rows of positive weight, or its rows determine no component.
    pub(crate) fn components_from_labels<'d>(
        &self,
        template: &F,
        data: Weighted<'d, F::Batch<'d>>,
        labels: &[usize],
        k: usize,
    ) -> Result<Mixture<F>, FitError> {
        let (units, all) = (data.units(), data.weights());
        let members: Vec<Vec<f64>> = (0..k)
            .map(|j| {
                let weight =
                    |i: usize| if labels[i] == j { all.map_or(1.0, |w| w[i]) } else { 0.0 };
                (0..labels.len()).map(weight).collect()
            })
            .collect();
        let mut points = Vec::with_capacity(k);
        for (component, weights) in members.iter().enumerate() {
            let row = weights.iter().position(|w| *w > 0.0);
            let row = row.ok_or(EstimateError::NoWeight { component, weight: 0.0 })?;
            points.push(template.moved_to(units, row)?);
        }
        // Moments are taken about the points: the first pass moves them to their rows, the second is exact there.
        for _ in 0..2 {
            let stats: Vec<F::Stats> = points
                .iter()
                .zip(&members)
                .map(|(point, weights)| {
                    let mut stats = point.new_stats();
                    point.observe(&mut stats, units, weights);
                    stats
                })
                .collect();
            let current = self.components.start(points, data.observations() / k as f64)?;
            let mut next = current.clone();
            self.components.estimate(&current, &stats, &mut next)?;
            points = E::points(&next).to_vec();
        }
        let totals: Vec<f64> = members.iter().map(|weights| weights.iter().sum()).collect();
        let weights = Categorical::from_weights(&totals).map_err(|_| DataError::Empty)?;
        Ok(Mixture::from_parts(weights, points))
    }
}

/// An index with probability proportional to its mass; `None` if there is no mass.
pub(crate) fn draw(rng: &mut ChaCha8Rng, n: usize, mass: impl Fn(usize) -> f64) -> Option<usize> {
    let total: f64 = (0..n).map(&mass).sum();
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    let mut left = rng.random::<f64>() * total;
    let mut last = None;
    for i in 0..n {
        let mass = mass(i);
        if mass > 0.0 {
            last = Some(i);
            left -= mass;
            if left < 0.0 {
                break;
            }
        }
    }
    last
}
