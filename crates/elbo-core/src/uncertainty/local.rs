//! The neighborhood of a fit: its coordinates, how far each may move, and what changes there.

use super::{FlatModel, UncertaintyError};
use crate::{Batch, DataError, EStep, Range, map_in_order};

/// Pieces of an E-step, as in [`Settings::default`](crate::Settings).
const PIECES: usize = 32;
/// The change in nats by which a step is measured: a tenth of a standard error, if rounding allows.
const TARGET: f64 = 0.005;
/// Roundings of the objective that the change must be worth.
const ROUNDINGS: f64 = 1e6 * f64::EPSILON;
/// A parameter that the data hold less than this of an observation about may as well be on the boundary.
const NEXT_TO_NOTHING: f64 = 0.01;

/// Parameters, data and coordinates in units of one standard error of complete data.
pub(super) struct Local<'a, 'd, M: FlatModel> {
    pub(super) model: &'a M,
    pub(super) params: &'a M::Params,
    pub(super) data: M::Data<'d>,
    pub(super) e_step: EStep<M>,
    flat: Vec<f64>,
    /// About one standard error of each coordinate; 0 where it is held.
    pub(super) steps: Vec<f64>,
    /// The coordinates that are not held.
    pub(super) free: Vec<usize>,
    /// Parameters that are held.
    pub(super) held: Vec<String>,
    pub(super) names: Vec<Named>,
    /// `∂ parameter / ∂ coordinate`, per step, one row of all free coordinates for each parameter.
    pub(super) jacobian: Vec<f64>,
}

/// A parameter as reported.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) range: Range,
}

impl Named {
    /// How far it is from the boundary of its range, if it has one.
    pub(super) fn room(&self) -> f64 {
        match self.range {
            Range::Real => f64::INFINITY,
            Range::Positive => self.value,
            Range::Probability => self.value.min(1.0 - self.value),
        }
    }
}

impl<'a, 'd, M: FlatModel> Local<'a, 'd, M> {
    pub(super) fn new(
        model: &'a M,
        data: M::Data<'d>,
        params: &'a M::Params,
    ) -> Result<Self, UncertaintyError> {
        if data.is_empty() {
            return Err(DataError::Empty.into());
        }
        model.check(params, data)?;
        let mut flat = Vec::new();
        model.write_unconstrained(params, &mut flat);
        let (written, free) = (flat.len(), model.free_parameters(params));
        if written != free {
            return Err(UncertaintyError::Coordinates { written, free });
        }
        // Read back, parameters that are known up to a sign or a rotation are those of the coordinates.
        let canonical = model.with_unconstrained(params, &flat);
        let mut names = Vec::new();
        model.for_each_parameter(&canonical, &mut |name, value, range| {
            names.push(Named { name: name.to_owned(), value, range });
        });
        let (steps, e_step) = (vec![0.0; written], EStep::new(data, PIECES));
        let (free, held, jacobian) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { model, params, data, e_step, flat, steps, free, held, names, jacobian })
    }

    /// Parameters with some coordinates moved, each by so many of its steps.
    pub(super) fn moved(&self, moves: &[(usize, f64)]) -> M::Params {
        let mut flat = self.flat.clone();
        for (k, by) in moves {
            flat[*k] += by * self.steps[*k];
        }
        self.model.with_unconstrained(self.params, &flat)
    }

    /// Data term + penalty; NaN where the data are impossible.
    pub(super) fn objective(&self, params: &M::Params) -> f64 {
        match self.statistics(params) {
            Ok((data_term, _)) => data_term + self.model.penalty(params),
            Err(_) => f64::NAN,
        }
    }

    /// An E-step over all data: data term and statistics.
    pub(super) fn statistics(
        &self,
        params: &M::Params,
    ) -> Result<(f64, M::Stats), UncertaintyError> {
        let mut stats = self.model.new_stats(params);
        let data_term = self.e_step.run(self.model, params, self.data, &mut stats)?;
        Ok((data_term, stats))
    }

    /// The free coordinates.
    pub(super) fn coordinates(&self) -> Vec<f64> {
        self.free.iter().map(|k| self.flat[*k]).collect()
    }

    /// Finds the steps of `f`, a function with a maximum here, and what has to be held; fills in the jacobian.
    pub(super) fn find_steps(
        &mut self,
        f: impl Fn(&Self, &M::Params) -> f64 + Sync,
    ) -> Result<(), UncertaintyError> {
        let here = f(self, self.params);
        if !here.is_finite() {
            return Err(UncertaintyError::NotFinite { value: here });
        }
        let this = &*self;
        let found = map_in_order(this.flat.len(), |k| {
            let at = this.flat[k];
            let value = |shift: f64| {
                let mut flat = this.flat.clone();
                flat[k] = at + shift;
                f(this, &this.model.with_unconstrained(this.params, &flat))
            };
            if at.is_finite() { step(here, at, value) } else { Step::Infinite }
        });
        for (k, step) in found.iter().enumerate() {
            self.steps[k] = match step {
                Step::Found(step) => *step,
                Step::Flat => 1.0,
                Step::Infinite => 0.0,
            };
        }
        self.free = (0..self.flat.len()).filter(|k| self.steps[*k] > 0.0).collect();
        let jacobian = self.differentiate();
        self.hold_what_is_on_the_boundary(&jacobian, &found);
        if let Some(k) = self.free.iter().find(|k| found[**k] == Step::Flat) {
            return Err(self.flat_coordinate(*k));
        }
        self.jacobian = self.differentiate();
        Ok(())
    }

    /// A coordinate along which nothing changes, told by the parameter that it moves.
    fn flat_coordinate(&self, k: usize) -> UncertaintyError {
        let mut flat = self.flat.clone();
        flat[k] += 1.0 + flat[k].abs();
        let mut at = 0;
        let mut moved: (f64, &str) = (-1.0, "a parameter");
        let there = self.model.with_unconstrained(self.params, &flat);
        self.model.for_each_parameter(&there, &mut |_, value, _| {
            let by = (value - self.names[at].value).abs();
            if by > moved.0 {
                moved = (by, &self.names[at].name);
            }
            at += 1;
        });
        UncertaintyError::NotIdentified { parameter: moved.1.to_owned(), curvature: 0.0 }
    }

    /// Takes coordinates at infinity, or next to it, out of the free ones.
    ///
    /// Next to it are coordinates in which a parameter with a boundary moves in proportion (a logarithm, or log odds) and
    /// on which the data hold next to nothing: steps there would be many factors of e.
    fn hold_what_is_on_the_boundary(&mut self, jacobian: &[f64], found: &[Step]) {
        let r = self.free.len();
        let mut kept = Vec::with_capacity(r);
        for (column, k) in self.free.iter().enumerate() {
            let step = self.steps[*k];
            let in_proportion = self.names.iter().enumerate().find(|(row, named)| {
                let slope = jacobian[row * r + column].abs() / step;
                named.room() < f64::INFINITY && slope >= 0.1 * named.room()
            });
            match in_proportion {
                Some((_, named)) if step.powi(-2) < NEXT_TO_NOTHING || found[*k] == Step::Flat => {
                    self.held.push(named.name.clone());
                    self.steps[*k] = 0.0;
                }
                _ => kept.push(*k),
            }
        }
        self.free = kept;
        for named in &self.names {
            if named.room() <= 0.0 && !self.held.contains(&named.name) {
                self.held.push(named.name.clone());
            }
        }
    }

    /// Fourth-order central differences of the reported parameters.
    fn differentiate(&self) -> Vec<f64> {
        const STEP: f64 = 0.01;
        let r = self.free.len();
        let mut jacobian = vec![0.0; self.names.len() * r];
        for (column, k) in self.free.iter().enumerate() {
            for (by, factor) in [(1.0, 8.0), (-1.0, -8.0), (2.0, -1.0), (-2.0, 1.0)] {
                let there = self.moved(&[(*k, by * STEP)]);
                let mut row = 0;
                self.model.for_each_parameter(&there, &mut |_, value, _| {
                    let change = value - self.names[row].value;
                    jacobian[row * r + column] += factor * change / (12.0 * STEP);
                    row += 1;
                });
            }
        }
        jacobian
    }

    /// The parameter that a direction of the free coordinates (per step) moves most, for its own spread.
    pub(super) fn moved_most(&self, direction: &[f64]) -> String {
        let r = self.free.len();
        let share = |row: &[f64]| {
            let own: f64 = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            let along: f64 = row.iter().zip(direction).map(|(a, b)| a * b).sum();
            if own > 0.0 { along.abs() / own } else { 0.0 }
        };
        let mut best = (0.0, "a parameter");
        for (named, row) in self.names.iter().zip(self.jacobian.chunks_exact(r.max(1))) {
            if share(row) > best.0 * (1.0 + 1e-6) {
                best = (share(row), &named.name);
            }
        }
        best.1.to_owned()
    }

    /// The parameter that one free coordinate moves most.
    pub(super) fn name_of(&self, column: usize) -> String {
        let mut direction = vec![0.0; self.free.len()];
        direction[column] = 1.0;
        self.moved_most(&direction)
    }

    /// Every free coordinate a little up and a little down, by `by` steps, side by side.
    pub(super) fn central<T: Send>(
        &self,
        by: f64,
        f: impl Fn(&M::Params) -> Result<T, UncertaintyError> + Sync,
    ) -> Result<Vec<[T; 2]>, UncertaintyError> {
        let pairs = map_in_order(self.free.len(), |column| {
            let k = self.free[column];
            Ok([f(&self.moved(&[(k, by)]))?, f(&self.moved(&[(k, -by)]))?])
        });
        pairs.into_iter().collect()
    }
}

/// How far a coordinate reaches.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// This far for half a nat.
    Found(f64),
    /// Nothing changes as far as the function is finite.
    Flat,
    /// It is at infinity.
    Infinite,
}

/// How far a coordinate at `at` must move for `f`, which is `here` now, to fall by half a nat, judged from a move in
/// both directions that changes it by [`TARGET`], or clearly more than rounding.
fn step(here: f64, at: f64, f: impl Fn(f64) -> f64) -> Step {
    let target = TARGET.max(ROUNDINGS * here.abs());
    let (mut below, mut above) = (0.0_f64, f64::INFINITY);
    let mut h = 0.01_f64.max(1e-3 * at.abs());
    while h < 1e150 && below < 0.999 * above {
        let change = (here - 0.5 * (f(h) + f(-h))).abs();
        if change >= 0.25 * target && change <= 4.0 * target {
            return Step::Found(h / (2.0 * change).sqrt());
        }
        let guess = h * (target / change).sqrt().clamp(1.0 / 64.0, 64.0); // NaN stays NaN
        if change < target {
            below = h;
        } else {
            above = h;
        }
        h = if guess > below && guess < above {
            guess
        } else if above.is_infinite() {
            64.0 * below
        } else if below > 0.0 {
            (below * above).sqrt()
        } else {
            above / 64.0
        };
        if h < 1e-150 {
            break;
        }
    }
    Step::Flat
}
