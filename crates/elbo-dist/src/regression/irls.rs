//! Statistics and steps of regressions with a canonical link: Newton's method, damped so that it never falls.

use std::borrow::Cow;

use elbo_core::{EstimateError, Statistics, add_scaled};
use elbo_linalg::{
    Kernel, Simd, cholesky_relative, solve_lower_in_place, solve_lower_transposed_in_place,
};

use super::{
    plane::{Columns, Plane, dot},
    ridge::Ridge,
};

/// Less than this share of a curvature left by the columns before it is rounding: `2¹⁰` units in the last place.
pub(super) const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// A quadratic function of the change of the coefficients: `gᵀδ − ½ δᵀCδ`.
#[derive(Clone, Debug, PartialEq)]
struct Quadratic {
    gradient: Vec<f64>,
    /// Packed lower triangle.
    curvature: Vec<f64>,
}

impl Quadratic {
    fn zero(m: usize) -> Self {
        Self { gradient: vec![0.0; m], curvature: vec![0.0; m * (m + 1) / 2] }
    }

    fn curvature(&self, i: usize, j: usize) -> f64 {
        self.curvature[packed(i, j)]
    }
}

/// Place of `(i, j)` in a packed lower triangle.
pub(super) fn packed(i: usize, j: usize) -> usize {
    let (i, j) = if i >= j { (i, j) } else { (j, i) };
    i * (i + 1) / 2 + j
}

/// Weighted statistics of a regression with a canonical link: the log-likelihood's gradient and curvature at an origin,
/// the coefficients at which they were taken.
///
/// Kept are `Σw`, `Σwy`, and two quadratic functions of the coefficients: the second-order expansion, and for links
/// that have one, the quadratic that touches the log-likelihood at the origin and stays below it. Statistics from
/// several origins add up as these functions do: expressed about another origin, the gradient changes by the curvature
/// times the shift.
///
/// Two things are kept besides that do not add up, but are the largest and smallest of what was seen: the reach
/// `maxᵢ |xᵢ − c|` of each covariate, which tells how far a step may go, and the least margin `minᵢ (2yᵢ − 1) ηᵢ` by
/// which a classification is right, which tells when there is nothing to maximize. A flat view does not hold them; read
/// back from one into new statistics, the step is Newton's without damping.
#[derive(Clone, Debug, PartialEq)]
pub struct RegressionStats {
    origin: Plane,
    has_intercept: bool,
    reach: Vec<f64>,
    margin: f64,
    weight: f64,
    response: f64,
    newton: Quadratic,
    bound: Option<Quadratic>,
}

impl RegressionStats {
    pub(super) fn new(origin: Plane, has_intercept: bool, has_bound: bool) -> Self {
        let m = origin.covariates() + usize::from(has_intercept);
        Self {
            reach: vec![0.0; origin.covariates()],
            margin: f64::INFINITY,
            weight: 0.0,
            response: 0.0,
            newton: Quadratic::zero(m),
            bound: has_bound.then(|| Quadratic::zero(m)),
            origin,
            has_intercept,
        }
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// `Σwy`: the successes, the events.
    pub fn total_response(&self) -> f64 {
        self.response
    }

    /// Forgets everything and takes `origin`.
    pub(super) fn reset(&mut self, origin: &Plane) {
        self.origin.clone_from(origin);
        self.set_zero();
    }

    /// What is seen of `weight` observations that agree with the origin, with uncorrelated covariates of variance one.
    pub(super) fn fill_expected(&mut self, weight: f64, response: f64, curvature: f64) {
        (self.weight, self.response) = (weight, weight * response);
        (self.margin, self.reach) = (f64::NEG_INFINITY, vec![1.0; self.reach.len()]);
        for quadratic in std::iter::once(&mut self.newton).chain(&mut self.bound) {
            for i in 0..quadratic.gradient.len() {
                quadratic.curvature[packed(i, i)] = weight * curvature;
            }
        }
    }

    pub(super) fn origin(&self) -> &Plane {
        &self.origin
    }

    /// Number of coefficients, the intercept included.
    fn m(&self) -> usize {
        self.newton.gradient.len()
    }

    fn lead(&self) -> usize {
        usize::from(self.has_intercept)
    }

    fn is_zero(&self) -> bool {
        let mut zero = true;
        self.visit(&mut |part| zero &= part.iter().all(|x| *x == 0.0));
        zero
    }

    /// Fails where these are no statistics of data, or of data whose likelihood has no maximum.
    fn check(&self, limits: &Limits, ridge: Option<&Ridge>) -> Result<(), EstimateError> {
        let mut finite = true;
        self.visit(&mut |part| finite &= part.iter().all(|x| x.is_finite()));
        if !finite || self.weight < 0.0 || self.response < 0.0 {
            return Err(EstimateError::Infeasible { component: 0, what: limits.what });
        }
        if self.weight == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        let separated = self.margin > 0.0 && self.margin < f64::INFINITY;
        // A prior keeps coefficients from running off, not the intercept.
        let held = ridge.is_some() && !(self.has_intercept && self.is_one_sided(limits));
        let no_event = self.has_intercept && self.response == 0.0;
        if no_event || (separated && !held) { Err(limits.boundary()) } else { Ok(()) }
    }

    /// Are all responses zero, or all as large as can be?
    fn is_one_sided(&self, limits: &Limits) -> bool {
        let rest = self.weight - self.response;
        self.response == 0.0 || (!limits.is_log && rest <= RESOLUTION * self.weight)
    }

    /// Moves `plane` to where the log-likelihood, plus the logarithm of a prior if there is one, is certainly not lower, and
    /// as high as can be promised. The prior is quadratic: it is in the expansion and in the bound as it is, and adds to
    /// curvatures but not to their changes, so that what holds for the length of steps still does.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and where covariates are collinear.
    pub(super) fn step(
        &self,
        limits: &Limits,
        ridge: Option<&Ridge>,
        plane: &mut Plane,
    ) -> Result<(), EstimateError> {
        self.check(limits, ridge)?;
        let expansion = self.with(ridge, &self.newton);
        let newton = self.solve(&expansion, limits)?;
        let reach: f64 = newton[..self.lead()].iter().map(|d| d.abs()).sum::<f64>()
            + newton[self.lead()..]
                .iter()
                .zip(&self.reach)
                .map(|(d, r)| (d * r).abs())
                .sum::<f64>();
        let decrement: f64 = newton.iter().zip(&expansion.gradient).map(|(d, g)| d * g).sum();
        let (factor, promised) = damping(reach);
        let mut change = newton;
        for d in &mut change {
            *d *= factor;
        }
        let mut best = promised * decrement;
        if let Some(bound) = &self.bound {
            let bound = self.with(ridge, bound);
            let other = self.solve(&bound, limits)?;
            let gain: f64 = other.iter().zip(&bound.gradient).map(|(d, g)| 0.5 * d * g).sum();
            if gain > best {
                (change, best) = (other, gain);
            }
        }
        if limits.is_log && self.has_intercept {
            // One factor for all rates is best where it makes their sum that of the counts; at the origin itself, the
            // curvature of the intercept is this sum.
            let (counted, expected) = (self.response, self.newton.curvature(0, 0));
            let log_factor = ((counted - expected) / expected).ln_1p();
            if counted * ((-log_factor).exp_m1() + log_factor) > best {
                change.fill(0.0);
                change[0] = log_factor;
            }
        }
        self.apply(&change, plane);
        if plane.value.iter().chain(&plane.slopes).chain(&plane.center).all(|x| x.is_finite()) {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: limits.what })
        }
    }

    /// The quadratic function with that of a prior added.
    fn with<'q>(&self, ridge: Option<&Ridge>, quadratic: &'q Quadratic) -> Cow<'q, Quadratic> {
        let mut sum = Cow::Borrowed(quadratic);
        for (a, (mean, precision)) in ridge.iter().flat_map(|ridge| ridge.terms()).enumerate() {
            let (i, sum) = (a + self.lead(), sum.to_mut());
            sum.gradient[i] -= precision * (self.origin.slopes[a] - mean);
            sum.curvature[packed(i, i)] += precision;
        }
        sum
    }

    /// `C⁻¹ g`.
    fn solve(&self, quadratic: &Quadratic, limits: &Limits) -> Result<Vec<f64>, EstimateError> {
        let (m, lead) = (self.m(), self.lead());
        let mut factor = vec![0.0; m * m];
        for i in 0..m {
            (0..=i).for_each(|j| factor[i * m + j] = quadratic.curvature(i, j));
        }
        cholesky_relative(&mut factor, m, RESOLUTION).map_err(|flat| {
            if flat.pivot < -RESOLUTION * flat.diagonal.abs() {
                EstimateError::Infeasible { component: 0, what: limits.what }
            } else if flat.column < lead {
                limits.boundary() // no observation bends the likelihood any longer
            } else {
                let (column, variance) = (flat.column - lead, flat.pivot / self.weight);
                EstimateError::Singular { component: 0, column, variance }
            }
        })?;
        let mut solution = quadratic.gradient.clone();
        solve_lower_in_place(&factor, m, &mut solution);
        solve_lower_transposed_in_place(&factor, m, &mut solution);
        Ok(solution)
    }

    /// The origin changed by `change`, anchored at the mean of the covariates in terms of curvature.
    fn apply(&self, change: &[f64], plane: &mut Plane) {
        plane.clone_from(&self.origin);
        add_scaled(&mut plane.slopes, 1.0, &change[self.lead()..]);
        if self.has_intercept {
            plane.value[0] += change[0];
            let total = self.newton.curvature(0, 0);
            for a in 0..plane.center.len() {
                let shift = self.newton.curvature(a + 1, 0) / total;
                plane.center[a] += shift;
                plane.value[0] += plane.slopes[a] * shift;
            }
        }
    }
}

/// How far to go along Newton's direction, and what gain that promises, as shares of the step and of its decrement
/// `gᵀC⁻¹g`, where linear predictors change by at most `reach`.
///
/// Along a line, third derivatives of a logistic or Poisson log-likelihood are at most `reach` times the second ones,
/// so that curvatures grow by no more than `e^{t·reach}`; the lower bound that follows is largest at
/// `t = ln(1 + reach)/reach`.
///
/// Source: Sun & Tran-Dinh (2019), *Generalized self-concordant functions*, Math. Program. 178.
pub(super) fn damping(reach: f64) -> (f64, f64) {
    if reach < 1e-4 {
        return (1.0 - 0.5 * reach, 0.5 - reach / 6.0);
    }
    let log = reach.ln_1p();
    (log / reach, ((1.0 + reach) * log - reach) / (reach * reach))
}

/// Where the likelihood of a kind of regression has no maximum.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub(super) what: &'static str,
    /// Means are exponentials of linear predictors, so that they are curvatures, too.
    pub(super) is_log: bool,
    pub(super) limit: &'static str,
    pub(super) cure: &'static str,
}

impl Limits {
    fn boundary(&self) -> EstimateError {
        EstimateError::Boundary {
            component: 0,
            parameter: "linear predictor",
            limit: self.limit,
            cure: self.cure,
        }
    }
}

/// A quadratic function seen from another origin. With `s = c − c′`, covariates are `u′ = u + s`, and `δ` is the change
/// of coefficients, at the new center, from the old origin to the new one.
struct Seen<'a> {
    quadratic: &'a Quadratic,
    old: &'a Plane,
    new: &'a Plane,
    lead: usize,
}

impl Seen<'_> {
    fn s(&self, i: usize) -> f64 {
        if i < self.lead {
            0.0
        } else {
            self.old.center[i - self.lead] - self.new.center[i - self.lead]
        }
    }

    fn delta(&self, i: usize) -> f64 {
        if i >= self.lead {
            return self.new.slopes[i - self.lead] - self.old.slopes[i - self.lead];
        }
        let tilt = self.old.slopes.iter().enumerate().map(|(a, b)| b * self.s(a + self.lead));
        self.new.value[0] - self.old.value[0] + tilt.sum::<f64>()
    }

    fn curvature(&self, i: usize, j: usize) -> f64 {
        let (q, s_i, s_j) = (self.quadratic, self.s(i), self.s(j));
        if self.lead == 0 {
            return q.curvature(i, j);
        }
        q.curvature(i, j)
            + s_i * q.curvature(0, j)
            + s_j * (q.curvature(i, 0) + s_i * q.curvature(0, 0))
    }

    fn gradient(&self, i: usize) -> f64 {
        let turned = self.quadratic.gradient[i] + self.s(i) * self.quadratic.gradient[0];
        let m = self.quadratic.gradient.len();
        turned - (0..m).map(|j| self.curvature(i, j) * self.delta(j)).sum::<f64>()
    }
}

impl Statistics for RegressionStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(std::slice::from_ref(&self.weight));
        see(std::slice::from_ref(&self.response));
        for quadratic in std::iter::once(&self.newton).chain(&self.bound) {
            see(&quadratic.gradient);
            see(&quadratic.curvature);
        }
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(std::slice::from_mut(&mut self.weight));
        see(std::slice::from_mut(&mut self.response));
        for quadratic in std::iter::once(&mut self.newton).chain(&mut self.bound) {
            see(&mut quadratic.gradient);
            see(&mut quadratic.curvature);
        }
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.origin.center);
        see(&self.origin.value);
        see(&self.origin.slopes);
        see(&self.reach);
        see(std::slice::from_ref(&self.margin));
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.origin.center);
        see(&mut self.origin.value);
        see(&mut self.origin.slopes);
        see(&mut self.reach);
        see(std::slice::from_mut(&mut self.margin));
    }

    fn set_zero(&mut self) {
        self.visit_mut(&mut |part| part.fill(0.0));
        self.reach.fill(0.0);
        self.margin = f64::INFINITY;
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        assert_eq!(
            (self.m(), self.has_intercept, self.bound.is_some()),
            (other.m(), other.has_intercept, other.bound.is_some()),
            "statistics of different shapes"
        );
        if self.origin != other.origin && self.is_zero() {
            self.origin.clone_from(&other.origin);
        }
        let (old, new, lead) = (&other.origin, &self.origin, self.lead());
        for (a, reach) in self.reach.iter_mut().enumerate() {
            *reach = reach.max(other.reach[a] + (old.center[a] - new.center[a]).abs());
        }
        self.margin = self.margin.min(other.margin);
        self.weight += factor * other.weight;
        self.response += factor * other.response;
        let ours = std::iter::once(&mut self.newton).chain(&mut self.bound);
        for (to, quadratic) in ours.zip(std::iter::once(&other.newton).chain(&other.bound)) {
            if old == new {
                add_scaled(&mut to.gradient, factor, &quadratic.gradient);
                add_scaled(&mut to.curvature, factor, &quadratic.curvature);
                continue;
            }
            let seen = Seen { quadratic, old, new, lead };
            for i in 0..to.gradient.len() {
                to.gradient[i] += factor * seen.gradient(i);
                (0..=i).for_each(|j| to.curvature[packed(i, j)] += factor * seen.curvature(i, j));
            }
        }
    }

    fn align(&mut self, like: &Self) {
        if self.origin == like.origin {
            return;
        }
        let (old, new, lead, m) = (&self.origin, &like.origin, self.lead(), self.m());
        for (a, reach) in self.reach.iter_mut().enumerate() {
            *reach += (old.center[a] - new.center[a]).abs();
        }
        for to in std::iter::once(&mut self.newton).chain(&mut self.bound) {
            // The intercept's entries enter the others, so they come last; gradients need all as they were.
            let mut moved = |change: &dyn Fn(&Seen<'_>) -> f64, place: Place| {
                let value = change(&Seen { quadratic: to, old, new, lead });
                match place {
                    Place::Gradient(i) => to.gradient[i] = value,
                    Place::Curvature(place) => to.curvature[place] = value,
                }
            };
            for i in (0..m).rev() {
                moved(&|seen| seen.gradient(i), Place::Gradient(i));
            }
            for i in (0..m).rev() {
                for j in (0..=i).rev() {
                    moved(&|seen| seen.curvature(i, j), Place::Curvature(packed(i, j)));
                }
            }
        }
        self.origin.clone_from(&like.origin);
    }
}

/// Which number of a [`Quadratic`].
#[derive(Clone, Copy)]
enum Place {
    Gradient(usize),
    Curvature(usize),
}

/// What a block tells of one component: linear predictors and their derivatives, times the weights.
#[derive(Clone, Debug)]
pub(super) struct Derivatives<'a> {
    /// Of the log-likelihood.
    pub(super) slope: &'a [f64],
    /// Minus the second derivative.
    pub(super) curvature: &'a [f64],
    /// The curvature of the bound, for links that have one.
    pub(super) bound: &'a [f64],
}

/// Adds a block: `z` holds the covariates about the center, behind a column of ones for an intercept; rows of weight
/// zero are zero everywhere.
pub(super) struct Observe<'a> {
    pub(super) stats: &'a mut RegressionStats,
    pub(super) derivatives: Derivatives<'a>,
    pub(super) z: &'a Columns,
    pub(super) wz: &'a mut Columns,
}

impl Kernel for Observe<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for the instruction set at hand")]
    fn run<S: Simd>(self) {
        let Self { stats, derivatives, z, wz } = self;
        let n = derivatives.slope.len();
        let lead = stats.lead();
        let parts = [derivatives.curvature, derivatives.bound];
        let quadratics = std::iter::once(&mut stats.newton).chain(&mut stats.bound);
        for (quadratic, curvature) in quadratics.zip(parts) {
            let m = quadratic.gradient.len();
            for i in 0..m {
                quadratic.gradient[i] += dot(derivatives.slope, z.column(i, n));
                let rows = z.column(i, n).iter().zip(curvature);
                for (wz, (z, c)) in wz.column_mut(i, n).iter_mut().zip(rows) {
                    *wz = z * c;
                }
                for j in 0..=i {
                    quadratic.curvature[packed(i, j)] += dot(wz.column(i, n), z.column(j, n));
                }
            }
        }
        for (a, reach) in stats.reach.iter_mut().enumerate() {
            let column = z.column(a + lead, n);
            *reach = column.iter().fold(*reach, |max, u| max.max(u.abs()));
        }
    }
}

impl RegressionStats {
    /// Adds the weights and responses of a block, and its least margin.
    pub(super) fn count(&mut self, weights: &[f64], y: &[f64], margin: f64) {
        self.weight += weights.iter().sum::<f64>();
        self.response += dot(weights, y);
        self.margin = self.margin.min(margin);
    }
}
