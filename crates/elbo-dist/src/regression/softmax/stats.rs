//! Statistics and steps of softmax regressions.

use elbo_core::{BLOCK, EstimateError, Statistics, add_scaled};
use elbo_linalg::{cholesky_relative, solve_lower_in_place, solve_lower_transposed_in_place};

use super::SoftmaxRegressionScratch;
use crate::regression::{
    irls::{RESOLUTION, damping, packed},
    plane::{Plane, dot},
};

/// Weighted statistics of a [`SoftmaxRegression`](crate::SoftmaxRegression): the log-likelihood's gradient and curvature at an
/// origin, the coefficients at which they were taken; the classes' weights; and `Σw z zᵀ` of the covariates `z = (1, x − c)`,
/// of which the bound is made.
///
/// Statistics from several origins about one center add up as quadratic functions do: expressed about another origin, the
/// gradient changes by the curvature times the shift. The reach `maxᵢ |xᵢ − c|` of each covariate and the least margin by
/// which a row has its own class do not add up; see [`RegressionStats`](crate::RegressionStats).
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxRegressionStats {
    origin: Plane,
    /// Of each class, in observations.
    classes: Vec<f64>,
    /// Class by class, the intercept first.
    gradient: Vec<f64>,
    /// Packed lower triangle.
    curvature: Vec<f64>,
    /// Packed lower triangle.
    design: Vec<f64>,
    reach: Vec<f64>,
    margin: f64,
}

const WHAT: &str = "softmax regression";

impl SoftmaxRegressionStats {
    pub(super) fn new(origin: Plane) -> Self {
        let (width, q) = (origin.covariates() + 1, origin.outputs());
        let m = q * width;
        Self {
            classes: vec![0.0; q + 1],
            gradient: vec![0.0; m],
            curvature: vec![0.0; m * (m + 1) / 2],
            design: vec![0.0; width * (width + 1) / 2],
            reach: vec![0.0; width - 1],
            margin: f64::INFINITY,
            origin,
        }
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.classes.iter().sum()
    }

    /// `Σw` of each class, in observations.
    pub fn class_weights(&self) -> &[f64] {
        &self.classes
    }

    /// Forgets everything and takes `origin`.
    pub(super) fn reset(&mut self, origin: &Plane) {
        self.origin.clone_from(origin);
        self.set_zero();
    }

    /// Covariates, and one for the intercept.
    fn width(&self) -> usize {
        self.origin.covariates() + 1
    }

    /// What is seen of `weight` observations that agree with the origin, with uncorrelated covariates of variance one.
    pub(super) fn fill_expected(&mut self, weight: f64, probabilities: &[f64]) {
        let (width, q) = (self.width(), self.origin.outputs());
        (self.margin, self.reach) = (f64::NEG_INFINITY, vec![1.0; width - 1]);
        self.classes.iter_mut().zip(probabilities).for_each(|(class, p)| *class = weight * p);
        for i in 0..width {
            self.design[packed(i, i)] = weight;
            for (c, d) in (0..q).flat_map(|c| (0..=c).map(move |d| (c, d))) {
                let own = if c == d { probabilities[c] } else { 0.0 };
                let place = packed(c * width + i, d * width + i);
                self.curvature[place] = weight * (own - probabilities[c] * probabilities[d]);
            }
        }
    }

    /// Adds the classes' weights of a block, and its least margin, from linear predictors.
    pub(super) fn count(&mut self, y: &[u32], weights: &[f64], scratch: &SoftmaxRegressionScratch) {
        let classes = self.classes.len();
        for (i, (class, w)) in y.iter().zip(weights).enumerate() {
            if *w == 0.0 {
                continue;
            }
            let class = *class as usize;
            self.classes[class] += w;
            let own = scratch.eta(class, y.len())[i];
            let others = (0..classes).filter(|c| *c != class);
            let highest = others.map(|c| scratch.eta(c, y.len())[i]).fold(f64::MIN, f64::max);
            self.margin = self.margin.min(own - highest);
        }
    }

    /// Adds gradient, curvature and design of a block, from probabilities.
    pub(super) fn observe(
        &mut self,
        y: &[u32],
        weights: &[f64],
        scratch: &mut SoftmaxRegressionScratch,
    ) {
        let (n, width, q) = (y.len(), self.width(), self.origin.outputs());
        let (mut factor, mut wz) = ([0.0; BLOCK], [0.0; BLOCK]);
        let z = &scratch.z;
        let row_weight =
            |i: usize, value: f64| if weights[i] == 0.0 { 0.0 } else { weights[i] * value };
        let mut add = |to: &mut [f64], factor: &[f64], (rows, columns): (usize, usize)| {
            for i in 0..width {
                let column = z.column(i, n).iter().zip(factor);
                wz.iter_mut().zip(column).for_each(|(wz, (z, f))| *wz = z * f);
                let last = if rows == columns { i } else { width - 1 };
                for j in 0..=last {
                    to[packed(rows + i, columns + j)] += dot(&wz[..n], z.column(j, n));
                }
            }
        };
        add(&mut self.design, weights, (0, 0));
        for c in 0..q {
            let p = scratch.eta(c, n);
            for i in 0..n {
                let own = f64::from(u8::from(y[i] as usize == c));
                factor[i] = row_weight(i, own - p[i]);
            }
            for i in 0..width {
                self.gradient[c * width + i] += dot(&factor[..n], z.column(i, n));
            }
            for d in 0..=c {
                let other = scratch.eta(d, n);
                for i in 0..n {
                    let own = if c == d { 1.0 } else { 0.0 };
                    factor[i] = row_weight(i, p[i] * (own - other[i]));
                }
                add(&mut self.curvature, &factor[..n], (c * width, d * width));
            }
        }
        for (a, reach) in self.reach.iter_mut().enumerate() {
            *reach = z.column(a + 1, n).iter().fold(*reach, |max, u| max.max(u.abs()));
        }
    }

    fn check(&self) -> Result<(), EstimateError> {
        let mut finite = true;
        self.visit(&mut |part| finite &= part.iter().all(|x| x.is_finite()));
        if !finite || self.classes.iter().any(|weight| *weight < 0.0) {
            return Err(EstimateError::Infeasible { component: 0, what: WHAT });
        }
        if self.total_weight() == 0.0 {
            return Err(EstimateError::NoWeight { component: 0, weight: 0.0 });
        }
        let boundary = |limit| EstimateError::Boundary {
            component: 0,
            parameter: "linear predictor",
            limit,
            cure: "leave out classes that are not observed, or covariates that tell classes apart without error",
        };
        if self.classes.contains(&0.0) {
            return Err(boundary("minus infinity, as a class has no observation"));
        }
        if self.margin > 0.0 && self.margin < f64::INFINITY {
            return Err(boundary("infinity, as the classes are separated"));
        }
        Ok(())
    }

    /// Moves `plane` to where the log-likelihood is certainly not lower, and as high as can be promised.
    ///
    /// # Errors
    ///
    /// Statistics of no data, or of data whose likelihood has no maximum; collinear covariates.
    pub(super) fn step(&self, plane: &mut Plane) -> Result<(), EstimateError> {
        self.check()?;
        let mut change = self.bound_step()?;
        let mut best = 0.5 * change.iter().zip(&self.gradient).map(|(d, g)| d * g).sum::<f64>();
        if let Ok(newton) = solved(&self.curvature, &self.gradient) {
            let decrement: f64 = newton.iter().zip(&self.gradient).map(|(d, g)| d * g).sum();
            let (factor, promised) = damping(self.reach_of(&newton));
            if promised * decrement >= best {
                best = promised * decrement;
                change = newton;
                for d in &mut change {
                    *d *= factor;
                }
            }
        }
        plane.clone_from(&self.origin);
        let width = self.width();
        for (c, change) in change.chunks_exact(width).enumerate() {
            plane.value[c] += change[0];
            add_scaled(&mut plane.slopes[c * (width - 1)..][..width - 1], 1.0, &change[1..]);
        }
        if best.is_finite() && plane.value.iter().chain(&plane.slopes).all(|x| x.is_finite()) {
            Ok(())
        } else {
            Err(EstimateError::Infeasible { component: 0, what: WHAT })
        }
    }

    /// The maximum of the bound whose curvature is `½ (I − 11ᵀ/K) ⊗ Σw z zᵀ`: `2 (I + 11ᵀ) ⊗ (Σw z zᵀ)⁻¹` times the gradient.
    fn bound_step(&self) -> Result<Vec<f64>, EstimateError> {
        let width = self.width();
        let mut total = vec![0.0; width];
        self.gradient.chunks_exact(width).for_each(|g| add_scaled(&mut total, 1.0, g));
        let mut change = Vec::with_capacity(self.gradient.len());
        for gradient in self.gradient.chunks_exact(width) {
            let both: Vec<f64> = gradient.iter().zip(&total).map(|(g, t)| 2.0 * (g + t)).collect();
            change.extend(solved(&self.design, &both).map_err(|(column, pivot)| {
                let variance = pivot / self.total_weight();
                EstimateError::Singular { component: 0, column: column.saturating_sub(1), variance }
            })?);
        }
        Ok(change)
    }

    /// By how much two linear predictors of a row may move apart.
    fn reach_of(&self, change: &[f64]) -> f64 {
        let width = self.width();
        let range = |i: usize| {
            let of_class = change.iter().skip(i).step_by(width);
            let (low, high) =
                of_class.fold((0.0_f64, 0.0_f64), |(low, high), d| (low.min(*d), high.max(*d)));
            high - low
        };
        range(0) + self.reach.iter().enumerate().map(|(a, r)| r * range(a + 1)).sum::<f64>()
    }

    /// The gradient, as it is at another origin about the same center.
    fn gradient_at(&self, origin: &Plane) -> Vec<f64> {
        assert_eq!(self.origin.center, origin.center, "statistics about different centers");
        let width = self.width();
        let shift: Vec<f64> = (0..self.gradient.len())
            .map(|place| {
                let (c, i) = (place / width, place % width);
                let of = |plane: &Plane| if i == 0 { plane.value[c] } else { plane.row(c)[i - 1] };
                of(origin) - of(&self.origin)
            })
            .collect();
        let moved = |(i, g): (usize, &f64)| {
            let change = shift.iter().enumerate().map(|(j, s)| self.curvature[packed(i, j)] * s);
            g - change.sum::<f64>()
        };
        self.gradient.iter().enumerate().map(moved).collect()
    }

    fn is_zero(&self) -> bool {
        let mut zero = true;
        self.visit(&mut |part| zero &= part.iter().all(|x| *x == 0.0));
        zero
    }
}

/// `C⁻¹ g`, or the column that the ones before it explain, with its pivot.
fn solved(curvature: &[f64], gradient: &[f64]) -> Result<Vec<f64>, (usize, f64)> {
    let m = gradient.len();
    let mut factor = vec![0.0; m * m];
    for i in 0..m {
        (0..=i).for_each(|j| factor[i * m + j] = curvature[packed(i, j)]);
    }
    cholesky_relative(&mut factor, m, RESOLUTION).map_err(|flat| (flat.column, flat.pivot))?;
    let mut solution = gradient.to_vec();
    solve_lower_in_place(&factor, m, &mut solution);
    solve_lower_transposed_in_place(&factor, m, &mut solution);
    Ok(solution)
}

impl Statistics for SoftmaxRegressionStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.classes);
        see(&self.gradient);
        see(&self.curvature);
        see(&self.design);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.classes);
        see(&mut self.gradient);
        see(&mut self.curvature);
        see(&mut self.design);
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
        assert_eq!(self.gradient.len(), other.gradient.len(), "statistics of different shapes");
        if self.origin != other.origin && self.is_zero() {
            self.origin.clone_from(&other.origin);
        }
        self.reach.iter_mut().zip(&other.reach).for_each(|(reach, r)| *reach = reach.max(*r));
        self.margin = self.margin.min(other.margin);
        add_scaled(&mut self.classes, factor, &other.classes);
        if self.origin == other.origin {
            add_scaled(&mut self.gradient, factor, &other.gradient);
        } else {
            add_scaled(&mut self.gradient, factor, &other.gradient_at(&self.origin));
        }
        add_scaled(&mut self.curvature, factor, &other.curvature);
        add_scaled(&mut self.design, factor, &other.design);
    }

    fn align(&mut self, like: &Self) {
        if self.origin != like.origin {
            self.gradient = self.gradient_at(&like.origin);
            self.origin.clone_from(&like.origin);
        }
    }
}
