//! A grid of candidates, fitted side by side and ranked.

use super::{Criterion, FoldError, Folds, HeldOut, Scored, Scores, Standing, ranking};
use crate::map_in_order;

/// One entry of a selection table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Candidate<L, T, E> {
    /// What was fitted: a number of components, a structure, a family.
    pub label: L,
    /// The fit to all data, or why there is none.
    pub fit: Result<T, E>,
    /// What held-out data say of it, where that was asked for.
    pub held_out: Option<Result<HeldOut, FoldError<E>>>,
}

impl<L, T: Scored, E> Candidate<L, T, E> {
    /// What criteria know of it; `None` without a fit.
    pub fn scores(&self) -> Option<Scores> {
        self.fit.as_ref().ok().map(Scored::scores)
    }

    /// Its value; `None` without a fit, or where the criterion does not apply to it.
    pub fn value(&self, criterion: Criterion) -> Option<f64> {
        let scores = self.scores()?;
        match criterion {
            Criterion::Aic => Some(scores.aic()),
            Criterion::Aicc => Some(scores.aicc()),
            Criterion::Bic => Some(scores.bic()),
            Criterion::Icl => scores.icl(),
            Criterion::HeldOut => self.evidence().map(|held_out| held_out.deviance()),
        }
    }

    /// What held-out data say of it, if they say anything.
    pub fn evidence(&self) -> Option<HeldOut> {
        self.held_out.as_ref()?.as_ref().ok().copied()
    }

    /// Whether its fit can be taken at its word; a candidate without one has failed.
    pub fn standing(&self) -> Standing {
        self.scores().map_or(Standing::Failed, |scores| scores.standing)
    }
}

/// Candidates in the order of the grid, and their ranking.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Selection<L, T, E> {
    /// All candidates, those without a fit among them.
    pub candidates: Vec<Candidate<L, T, E>>,
    /// What ranks them.
    pub criterion: Criterion,
    /// Their places in `candidates`, best first, by the rules of [`ranking`].
    pub ranked: Vec<usize>,
}

impl<L, T: Scored, E> Selection<L, T, E> {
    /// Ranks candidates.
    pub fn new(candidates: Vec<Candidate<L, T, E>>, criterion: Criterion) -> Self {
        let mut selection = Self { candidates, criterion, ranked: Vec::new() };
        selection.rank_by(criterion);
        selection
    }

    /// Ranks the same candidates by another criterion; fits are kept.
    pub fn rank_by(&mut self, criterion: Criterion) {
        let values: Vec<_> =
            self.candidates.iter().map(|c| (c.standing(), c.value(criterion))).collect();
        self.criterion = criterion;
        self.ranked = ranking(&values);
    }

    /// Place of the best candidate; `None` if none has a value.
    pub fn best_place(&self) -> Option<usize> {
        let first = *self.ranked.first()?;
        self.value(first).filter(|value| !value.is_nan()).map(|_| first)
    }

    /// The best candidate; `None` if none has a value.
    pub fn best(&self) -> Option<&Candidate<L, T, E>> {
        self.best_place().map(|place| &self.candidates[place])
    }

    /// Its value of the criterion; `None` where it has none.
    ///
    /// # Panics
    ///
    /// If there is no such candidate.
    pub fn value(&self, place: usize) -> Option<f64> {
        self.candidates[place].value(self.criterion)
    }

    /// The share of the evidence that each candidate has, `∝ exp(−Δ/2)` with `Δ` its distance from the best value: Akaike
    /// weights, or under BIC approximate posterior probabilities of equally likely models. Zero for what is not as sound
    /// as the best. Source: Burnham & Anderson (2002).
    pub fn weights(&self) -> Vec<f64> {
        let Some(best) = self.best_place() else { return vec![0.0; self.candidates.len()] };
        let standing = self.candidates[best].standing();
        let least = self.value(best).unwrap_or(f64::NAN);
        let share = |c: &Candidate<L, T, E>| match c.value(self.criterion) {
            Some(value) if c.standing() == standing => (-0.5 * (value - least)).exp(),
            _ => 0.0,
        };
        let shares: Vec<f64> = self.candidates.iter().map(share).collect();
        let total: f64 = shares.iter().sum();
        shares.into_iter().map(|share| share / total).collect()
    }

    /// Place of the candidate with the fewest free parameters whose mean held-out log-likelihood is within one standard
    /// error of the best one (of that best one), the first of equals: the best that the data can tell from simpler ones.
    /// `None` without held-out likelihoods. Source: Breiman, Friedman, Olshen & Stone (1984).
    pub fn one_standard_error(&self) -> Option<usize> {
        let entries: Vec<_> = self
            .candidates
            .iter()
            .enumerate()
            .filter_map(|(place, c)| Some((place, c.scores()?, c.evidence()?)))
            .collect();
        let values: Vec<_> = entries
            .iter()
            .map(|(_, s, held_out)| (s.standing, Some(held_out.deviance())))
            .collect();
        let (_, best_scores, best) = entries[*ranking(&values).first()?];
        let enough = best.mean() - best.standard_error;
        entries
            .iter()
            .filter(|(_, s, h)| s.standing == best_scores.standing && h.mean() >= enough)
            .min_by_key(|(_, scores, _)| scores.free_parameters)
            .map(|(place, ..)| *place)
    }
}

/// Fits every label, side by side where the `rayon` feature is on, and ranks the fits.
///
/// `fit` must depend on the label alone, so that the result does not depend on the order or on the number of threads. A
/// label without a fit does not lose the others: its error is in the table.
///
/// ```
/// use elbo_core::{Criterion, Scored, Scores, Standing, select};
///
/// struct Fitted(f64, usize); // log-likelihood and parameters
/// impl Scored for Fitted {
///     fn scores(&self) -> Scores {
///         Scores {
///             log_likelihood: self.0,
///             free_parameters: self.1,
///             observations: 100.0,
///             log_certainty: None,
///             standing: Standing::Sound,
///         }
///     }
/// }
/// let fit = |k: &usize| if *k > 3 { Err("too many") } else { Ok(Fitted(-90.0 / *k as f64, 4 * k)) };
/// let selection = select(vec![1, 2, 3, 4], Criterion::Bic, fit);
/// assert_eq!(selection.best().unwrap().label, 3);
/// assert_eq!(selection.ranked, [2, 1, 0, 3]);
/// ```
pub fn select<L: Send + Sync, T: Scored + Send, E: Send>(
    labels: Vec<L>,
    criterion: Criterion,
    fit: impl Fn(&L) -> Result<T, E> + Sync,
) -> Selection<L, T, E> {
    let fits = map_in_order(labels.len(), |i| fit(&labels[i]));
    let candidates = labels
        .into_iter()
        .zip(fits)
        .map(|(label, fit)| Candidate { label, fit, held_out: None })
        .collect();
    Selection::new(candidates, criterion)
}

/// Fits every label to all data and, for each fold, to the others, and ranks by the likelihood of what was held out.
///
/// `fit(label, weights)` fits to the units with these weights: those of the units themselves (`own`, possibly none), and
/// with zeros for a fold. `score(fit, weights)` gives log-likelihood, in nats, and observations (`Batch::observations`) of
/// the units with these weights. Folds are the same for all labels. A fold none of whose units has weight is left out.
///
/// Cost: `k + 1` fits for each label, all side by side; each sees all rows, those of weight zero included.
///
/// # Panics
///
/// If there is not one weight per unit.
///
/// ```
/// use elbo_core::{Criterion, Fit, FitError, Folds, cross_validate};
/// # use elbo_core::{Scored, Scores, Standing};
/// # struct Mean(f64, f64);
/// # impl Scored for Mean {
/// #     fn scores(&self) -> Scores {
/// #         Scores { log_likelihood: self.1, free_parameters: 1, observations: 6.0, log_certainty: None, standing: Standing::Sound }
/// #     }
/// # }
/// // Gaussians of known scale: which scale predicts best?
/// let x = [1.0, 3.0, 2.0, 0.0, 2.5, 3.5];
/// let log_density = |x: f64, mean: f64, scale: f64| -0.5 * ((x - mean) / scale).powi(2) - scale.ln();
/// let ones = [1.0; 6];
/// let folds = Folds::new(6, 3, 1)?;
/// let selection = cross_validate(
///     vec![0.1, 1.0, 10.0],
///     &folds,
///     None,
///     |_, weights| {
///         let w = weights.unwrap_or(&ones);
///         let sum: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
///         Ok::<_, FitError>(Mean(sum / w.iter().sum::<f64>(), 0.0))
///     },
///     |scale, fit, w| {
///         let terms = x.iter().zip(w).map(|(x, w)| w * log_density(*x, fit.0, *scale));
///         Ok((terms.sum(), w.iter().sum()))
///     },
/// );
/// assert_eq!(selection.best().unwrap().label, 1.0);
/// # Ok::<(), FitError>(())
/// ```
pub fn cross_validate<L: Send + Sync, T: Scored + Send, E: Send>(
    labels: Vec<L>,
    folds: &Folds,
    own: Option<&[f64]>,
    fit: impl Fn(&L, Option<&[f64]>) -> Result<T, E> + Sync,
    score: impl Fn(&L, &T, &[f64]) -> Result<(f64, f64), E> + Sync,
) -> Selection<L, T, E> {
    let parts = folds.k() + 1;
    let outcomes = map_in_order(labels.len() * parts, |i| {
        let (label, part) = (&labels[i / parts], i % parts);
        if part == 0 {
            return Part::Whole(fit(label, own));
        }
        let (training, held_out) = folds.weights(part - 1, own);
        if held_out.iter().all(|w| *w == 0.0) {
            return Part::Nothing;
        }
        let scored = || {
            let fit = fit(label, Some(&training))?;
            let (log_likelihood, observations) = score(label, &fit, &held_out)?;
            Ok((log_likelihood, observations, fit.scores().standing))
        };
        Part::Fold(scored().map_err(|source| FoldError { fold: part - 1, source }))
    });
    let mut outcomes = outcomes.into_iter();
    let candidates = labels
        .into_iter()
        .filter_map(|label| {
            let Some(Part::Whole(fit)) = outcomes.next() else { return None };
            let held_out = gather(outcomes.by_ref().take(parts - 1));
            Some(Candidate { label, fit, held_out: Some(held_out) })
        })
        .collect();
    Selection::new(candidates, Criterion::HeldOut)
}

/// What one task of a cross-validation brings.
enum Part<T, E> {
    Whole(Result<T, E>),
    Fold(Result<(f64, f64, Standing), FoldError<E>>),
    Nothing,
}

/// The folds of one candidate together; the first that failed, if any did.
fn gather<T, E>(parts: impl Iterator<Item = Part<T, E>>) -> Result<HeldOut, FoldError<E>> {
    let (mut folds, mut unsound, mut failed) = (Vec::new(), 0, None);
    for part in parts {
        match part {
            Part::Fold(Ok((log_likelihood, observations, standing))) => {
                folds.push((log_likelihood, observations));
                unsound += usize::from(standing != Standing::Sound);
            }
            Part::Fold(Err(error)) => failed = failed.or(Some(error)),
            Part::Whole(_) | Part::Nothing => {}
        }
    }
    failed.map_or_else(|| Ok(HeldOut::of(&folds, unsound)), Err)
}
