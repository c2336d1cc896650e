//! Newton's method in the span of the last steps, EM in all other directions.

use super::{
    super::checkpoint::{Reader, Words},
    copy,
    modes::{MAX, Products, Solution},
};
use crate::{LatentModel, Statistics};

/// The factor by which the bound of the extrapolation changes, and where it begins.
const GROWTH: f64 = 4.0;
/// The least bound: a mode that is extrapolated by less gains little over a plain step.
const LEAST: f64 = 2.0;
/// Attempts to save a proposal that no distribution has.
const ATTEMPTS: usize = 3;

/// What is solved for in the span of the last steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fit) enum Condition {
    /// The gradient of the objective vanishes along the span.
    Gradient,
    /// What a step still moves is as short as can be: Anderson's method.
    Residual,
}

/// Extrapolation from the last few steps at once.
///
/// Write `G` for an E-step after an M-step. A step `k` sees statistics `xₖ` and leads to `gₖ = G(xₖ)`; the optimum is where
/// the residual `rₖ = gₖ − xₖ` vanishes. Differences of steps show how residuals change: `Δrᵢ = (J − 1) Δxᵢ` if `J` is the
/// derivative of `G`. The proposal is `gₖ − Σγᵢ Δgᵢ`, the EM step from `xₖ − Σγᵢ Δxᵢ`, as far as `G` is linear.
///
/// **Gradient.** With `ηₖ` the coefficients of the statistics in the complete-data log-likelihood
/// ([`LatentModel::write_natural`]), `rₖ` is the gradient of the objective with respect to `ηₖ`. The `γ` for which the
/// gradient vanishes along the steps solves `Σᵢ ⟨Δrᵢ, Δηⱼ⟩ γᵢ = ⟨rₖ, Δηⱼ⟩`, and `−⟨Δrᵢ, Δηⱼ⟩` is the observed information
/// in the span, `⟨Δxᵢ, Δηⱼ⟩` the complete-data information. Their generalized eigenvalues `ν` are the fractions of
/// information that were observed: a mode converges like `(1 − ν)ᵗ` under EM and is extrapolated by `1/ν`. In that metric `J`
/// is symmetric, which makes few steps go far: this is the method of conjugate gradients with EM as preconditioner, and
/// Newton's in the span. Where coefficients are not finite for once, `η = Dx` stands in, `D`
/// diagonal with every coordinate in units of its recent steps.
///
/// **Residual.** `γ` minimizes `‖rₖ − Σγᵢ Δrᵢ‖` in those units; `√ν` takes the place of `ν`.
///
/// `1/ν` is bounded: the bound grows when a bounded leap succeeds and shrinks when a leap fails. Where the objective is not
/// concave along a mode (`ν < 0`), the bound itself is taken, so that plateaus are crossed in leaps of growing length. If
/// the M-step does not accept a proposal, coordinates that have always been positive are kept so, then the leap is halved.
///
/// Cost: `2m² + m` products of vectors as long as the statistics, for `m = 5` steps, and the memory of 22 such vectors.
///
/// Sources: Jamshidian & Jennrich (1997) for the gradient and quasi-Newton steps with EM; Anderson (1965), Walker & Ni (2011)
/// for the residual; Varadhan & Roland (2008) for a bound that adapts.
#[derive(Debug)]
pub(in crate::fit) struct Span<S> {
    condition: Condition,
    /// The coordinates in which all statistics of the steps are expressed.
    origin: S,
    /// Room to change coordinates, and the proposal.
    work: S,
    /// The last step, if there is one, and room for the next.
    last: Step,
    next: Step,
    has_last: bool,
    /// Differences of consecutive steps, the oldest first; only the first `len` count.
    changes: Vec<Change>,
    len: usize,
    /// Does the model tell its coefficients?
    is_natural: bool,
    /// Weights of the coordinates, where it does not.
    units: Vec<f64>,
    /// Which coordinates were positive in every step.
    positive: Vec<bool>,
    proposal: Vec<f64>,
    attempts: usize,
    bound: f64,
    solution: Option<Solution>,
}

/// An M-step and the E-step after it: `x`, `g` and `η`.
#[derive(Debug)]
struct Step {
    from: Vec<f64>,
    to: Vec<f64>,
    natural: Vec<f64>,
}

/// From one step to the next: `Δx`, `Δr` and `Δη`.
#[derive(Debug)]
struct Change {
    moved: Vec<f64>,
    turned: Vec<f64>,
    dual: Vec<f64>,
}

impl<S: Statistics> Span<S> {
    pub(super) fn new(condition: Condition, shape: &S) -> Self {
        let room = || vec![0.0; shape.dim()];
        let step = || Step { from: room(), to: room(), natural: room() };
        let change = || Change { moved: room(), turned: room(), dual: room() };
        Self {
            condition,
            origin: shape.clone(),
            work: shape.clone(),
            last: step(),
            next: step(),
            has_last: false,
            changes: (0..MAX).map(|_| change()).collect(),
            len: 0,
            is_natural: false,
            units: vec![1.0; shape.dim()],
            positive: vec![true; shape.dim()],
            proposal: room(),
            attempts: 0,
            bound: GROWTH,
            solution: None,
        }
    }

    /// Takes note of a plain step.
    pub(super) fn stepped<M: LatentModel<Stats = S>>(
        &mut self,
        model: &M,
        params: &M::Params,
        from: &S,
        here: &S,
    ) {
        if !self.has_last {
            copy(here, &mut self.origin);
        }
        copy(from, &mut self.work);
        self.work.align(&self.origin);
        self.work.write_to(&mut self.next.from);
        self.arrive(model, params, here);
    }

    /// Takes note that the proposal was a step.
    pub(super) fn taken<M: LatentModel<Stats = S>>(
        &mut self,
        model: &M,
        params: &M::Params,
        here: &S,
    ) {
        self.next.from.copy_from_slice(&self.proposal);
        if self.solution.as_ref().is_some_and(|solution| solution.is_bounded) {
            self.bound *= GROWTH;
        }
        self.arrive(model, params, here);
    }

    /// Forgets all but the last step: what came before it misled.
    pub(super) fn failed<M: LatentModel<Stats = S>>(
        &mut self,
        model: &M,
        params: &M::Params,
        here: &S,
    ) {
        self.bound = (self.bound / GROWTH).max(LEAST);
        // The run may have moved far since the coordinates were chosen.
        self.work.set_zero();
        self.work.align(&self.origin);
        self.work.read_from(&self.last.from);
        copy(here, &mut self.origin);
        self.work.align(&self.origin);
        self.work.write_to(&mut self.next.from);
        self.has_last = false;
        self.arrive(model, params, here);
    }

    /// Completes the next step by where it led, and makes it the last one.
    fn arrive<M: LatentModel<Stats = S>>(&mut self, model: &M, params: &M::Params, here: &S) {
        copy(here, &mut self.work);
        self.work.align(&self.origin);
        let Self { last, next, changes, positive, .. } = self;
        self.work.write_to(&mut next.to);
        next.natural.clear();
        let offered = self.condition == Condition::Gradient
            && model.write_natural(params, &self.origin, &mut next.natural)
            && next.natural.iter().all(|x| x.is_finite());
        if !offered {
            next.natural.clone_from(&next.from);
        }
        if !self.has_last {
            positive.fill(true);
        }
        let signs = next.from.iter().zip(&next.to);
        positive.iter_mut().zip(signs).for_each(|(p, (x, g))| *p &= *x > 0.0 && *g > 0.0);
        if !self.has_last || offered != self.is_natural {
            self.len = 0;
        } else {
            if self.len == MAX {
                changes.rotate_left(1);
                self.len -= 1;
            }
            changes[self.len].set(last, next);
            self.len += 1;
        }
        self.is_natural = offered;
        self.has_last = true;
        std::mem::swap(last, next);
        self.look_ahead();
    }

    /// Solves for the extrapolation from the steps so far.
    fn look_ahead(&mut self) {
        self.solution = None;
        if self.len == 0 {
            return;
        }
        if !self.is_natural {
            self.take_units();
        }
        // Anderson's products are squares of the fractions of information.
        let bound = match self.condition {
            Condition::Gradient => self.bound,
            Condition::Residual => self.bound * self.bound,
        };
        self.solution = self.products().solve(bound);
    }

    /// Makes a proposal from the steps so far; false if two are not yet known or nothing can be learned from them.
    pub(super) fn propose(&mut self) -> bool {
        self.attempts = 0;
        let Some(solution) = self.solution.as_ref().filter(|solution| solution.is_worth_it) else {
            return false;
        };
        self.proposal.copy_from_slice(&self.last.to);
        for (gamma, change) in solution.gamma.iter().zip(&self.changes[..self.len]) {
            let ends = change.moved.iter().zip(&change.turned);
            for (x, (moved, turned)) in self.proposal.iter_mut().zip(ends) {
                *x -= gamma * (moved + turned);
            }
        }
        self.express()
    }

    /// Something more careful than the last proposal, which had no estimate.
    pub(super) fn propose_less(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return false;
        }
        let cells = self.proposal.iter_mut().zip(&self.last.to).zip(&self.positive);
        for ((x, here), positive) in cells {
            if self.attempts > 1 {
                *x = 0.5 * (*x + here);
            } else if *positive {
                *x = x.max(0.1 * here);
            }
        }
        self.express()
    }

    /// The statistics proposed.
    pub(super) fn proposal(&self) -> &S {
        &self.work
    }

    /// What the quadratic model says is left to gain in the span, in nats, where it is in the model's own metric.
    pub(super) fn gap(&self) -> Option<f64> {
        self.solution.as_ref().filter(|_| self.is_natural).map(|solution| solution.gap)
    }

    pub(super) fn save(&self, words: &mut Words) {
        words.put_stats(&self.origin);
        words.put(usize::from(self.has_last));
        words.put(usize::from(self.is_natural));
        words.put(self.len);
        words.put_f64(self.bound);
        if !self.has_last {
            return;
        }
        for part in [&self.last.from, &self.last.to, &self.last.natural] {
            words.put_slice(part);
        }
        for change in &self.changes[..self.len] {
            for part in [&change.moved, &change.turned, &change.dual] {
                words.put_slice(part);
            }
        }
        self.positive.iter().for_each(|positive| words.put(usize::from(*positive)));
    }

    pub(super) fn load(&mut self, words: &mut Reader<'_>) -> Option<()> {
        words.take_stats(&mut self.origin)?;
        self.has_last = words.take_up_to(1)? == 1;
        self.is_natural = words.take_up_to(1)? == 1;
        self.len = words.take_up_to(MAX)?;
        self.bound = words.take_f64()?;
        if self.has_last {
            let dim = self.proposal.len();
            for part in [&mut self.last.from, &mut self.last.to, &mut self.last.natural] {
                words.take_slice(part).filter(|()| part.len() == dim)?;
            }
            for change in &mut self.changes[..self.len] {
                for part in [&mut change.moved, &mut change.turned, &mut change.dual] {
                    words.take_slice(part).filter(|()| part.len() == dim)?;
                }
            }
            for positive in &mut self.positive {
                *positive = words.take_up_to(1)? == 1;
            }
        }
        self.look_ahead();
        Some(())
    }

    /// The next step begins a new path.
    pub(super) fn forget(&mut self) {
        self.has_last = false;
        self.len = 0;
        self.solution = None;
    }

    /// The proposal as statistics; false if it is not finite.
    fn express(&mut self) -> bool {
        self.work.set_zero();
        self.work.align(&self.origin);
        self.work.read_from(&self.proposal);
        self.proposal.iter().all(|x| x.is_finite())
    }

    /// One over the squares of the recent steps, coordinate by coordinate.
    fn take_units(&mut self) {
        self.units.fill(0.0);
        for change in &self.changes[..self.len] {
            self.units.iter_mut().zip(&change.moved).for_each(|(unit, x)| *unit += x * x);
        }
        for unit in &mut self.units {
            *unit = if *unit > 0.0 { 1.0 / *unit } else { 0.0 };
        }
    }

    fn products(&self) -> Products {
        let changes = &self.changes[..self.len];
        let product = |a: &[f64], b: &[f64]| {
            if self.is_natural { dot(a, b) } else { dot_in_units(a, b, &self.units) }
        };
        let mut products = Products::new(self.len);
        for (j, to) in changes.iter().enumerate() {
            let (dual, sign) = match self.condition {
                Condition::Gradient => (&to.dual, 1.0),
                Condition::Residual => (&to.turned, -1.0),
            };
            for (i, from) in changes.iter().enumerate() {
                products.observed[j][i] = -sign * product(&from.turned, dual);
                products.complete[j][i] = product(&from.moved, &to.dual);
            }
            let residual = product(&self.last.to, dual) - product(&self.last.from, dual);
            products.gradient[j] = sign * residual;
        }
        products
    }
}

impl Change {
    fn set(&mut self, before: &Step, after: &Step) {
        for i in 0..self.moved.len() {
            self.moved[i] = after.from[i] - before.from[i];
            self.turned[i] = after.to[i] - before.to[i] - self.moved[i];
            self.dual[i] = after.natural[i] - before.natural[i];
        }
    }
}

/// Independent partial sums, so that the loops run on vectors of numbers.
const LANES: usize = 8;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    sum(a.len().min(b.len()), |i| a[i] * b[i])
}

fn dot_in_units(a: &[f64], b: &[f64], units: &[f64]) -> f64 {
    sum(a.len().min(b.len()).min(units.len()), |i| a[i] * b[i] * units[i])
}

fn sum(n: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let whole = n - n % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    (whole..n).for_each(|i| sums[i % LANES] += term(i));
    sums.iter().sum()
}
