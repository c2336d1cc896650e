//! Weighted joint moments of covariates and residuals.

use elbo_core::{EstimateError, Statistics, add_scaled};

use crate::regression::plane::Plane;

/// What is below this share of a second moment is rounding: `2¹⁰` units in the last place, since each sum carries up to
/// some thousand roundings.
pub(super) const RESOLUTION: f64 = 1024.0 * f64::EPSILON;

/// Weighted sufficient statistics of a [`LinearGaussian`](crate::LinearGaussian): moments of the covariates
/// `u = x − c` and of the residuals `r = y − v − B u` about an origin, the function `x ↦ v + B (x − c)`.
///
/// The origin is the component's current regression function, `c` its center. So neither data far from zero nor
/// responses that are almost determined by the covariates cancel, as both would in power sums of `x` and `y`, while
/// observing stays a plain sum. Merging across origins is exact algebra: residuals about one plane are an affine
/// function of covariates and of residuals about another one. Statistics of nothing take over the other's origin.
///
/// Sums are `Σw`, `Σwu`, `Σwr`, `Σwuuᵀ` (packed lower triangle, row `a` from `a(a + 1)/2`), `Σwruᵀ` (`q × p`,
/// row-major) and `Σwrrᵀ` (packed, or its diagonal), in the units of their factors.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearGaussianStats {
    origin: Plane,
    weight: f64,
    sums: Sums,
}

/// First and second moments of covariates `u` and residuals `r`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sums {
    pub(super) u: Vec<f64>,
    pub(super) r: Vec<f64>,
    pub(super) uu: Vec<f64>,
    pub(super) ru: Vec<f64>,
    pub(super) rr: Vec<f64>,
}

/// Place of `(a, b)` in a packed lower triangle.
pub(super) fn packed(a: usize, b: usize) -> usize {
    let (a, b) = if a >= b { (a, b) } else { (b, a) };
    a * (a + 1) / 2 + b
}

impl LinearGaussianStats {
    /// No data, moments about `origin`; squares of single residuals only, if `diagonal`.
    pub(super) fn new(origin: Plane, diagonal: bool) -> Self {
        let (p, q) = (origin.covariates(), origin.outputs());
        let sums = Sums {
            u: vec![0.0; p],
            r: vec![0.0; q],
            uu: vec![0.0; p * (p + 1) / 2],
            ru: vec![0.0; p * q],
            rr: vec![0.0; if diagonal { q } else { q * (q + 1) / 2 }],
        };
        Self { origin, weight: 0.0, sums }
    }

    /// Number of covariates, `p`.
    pub fn covariates(&self) -> usize {
        self.origin.covariates()
    }

    /// Number of responses, `q`.
    pub fn outputs(&self) -> usize {
        self.origin.outputs()
    }

    /// `Σw`, in observations.
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// Weighted mean of the covariates; NaN without data.
    pub fn covariate_mean(&self) -> Vec<f64> {
        self.origin.center.iter().zip(&self.sums.u).map(|(c, s)| c + s / self.weight).collect()
    }

    /// Weighted mean of the responses; NaN without data.
    pub fn response_mean(&self) -> Vec<f64> {
        let at_mean = |o: usize| -> f64 {
            let slope = self.origin.row(o).iter().zip(&self.sums.u);
            slope.map(|(b, u)| b * (u / self.weight)).sum()
        };
        (0..self.outputs())
            .map(|o| self.origin.value[o] + at_mean(o) + self.sums.r[o] / self.weight)
            .collect()
    }

    /// The function about which residuals are taken.
    pub(crate) fn origin(&self) -> &Plane {
        &self.origin
    }

    /// Are only the squares of single residuals kept?
    pub(crate) fn is_diagonal(&self) -> bool {
        self.sums.rr.len() == self.outputs()
    }

    /// Place of residuals `o ≥ p` in `rr`.
    pub(super) fn residual_place(&self, o: usize, p: usize) -> usize {
        if self.is_diagonal() { o } else { packed(o, p) }
    }

    /// Forgets everything and takes `origin`.
    pub(super) fn reset(&mut self, origin: &Plane) {
        self.origin.clone_from(origin);
        self.set_zero();
    }

    /// Origin, weight and moments, for kernels that add to the latter.
    pub(super) fn parts_mut(&mut self) -> (&Plane, &mut f64, &mut Sums) {
        (&self.origin, &mut self.weight, &mut self.sums)
    }

    /// Covariance of the responses `o` and `second`, whatever the covariates; NaN without data. Where only variances of
    /// residuals are kept, nothing is known off the diagonal.
    pub(super) fn response_covariance(&self, o: usize, second: usize) -> f64 {
        let slopes = self.origin.row(second);
        let of_residual: f64 =
            slopes.iter().enumerate().map(|(a, b)| b * self.ru(o, a, true)).sum();
        let of_plane = |(a, slope): (usize, &f64)| {
            let tilted: f64 = slopes.iter().enumerate().map(|(b, s)| s * self.uu(a, b, true)).sum();
            slope * (self.ru(second, a, true) + tilted)
        };
        self.rr(o, second, true)
            + of_residual
            + self.origin.row(o).iter().enumerate().map(of_plane).sum::<f64>()
    }

    /// Mean of covariate `a` about the origin, or 0 where moments are taken about the origin itself.
    pub(crate) fn mean_u(&self, a: usize, centered: bool) -> f64 {
        if centered { self.sums.u[a] / self.weight } else { 0.0 }
    }

    /// Mean of residual `o`, in the same way.
    pub(crate) fn mean_r(&self, o: usize, centered: bool) -> f64 {
        if centered { self.sums.r[o] / self.weight } else { 0.0 }
    }

    /// `Σw(u − ū)ₐ(u − ū)ᵦ / Σw`; without `centered`, about the origin.
    pub(crate) fn uu(&self, a: usize, b: usize, centered: bool) -> f64 {
        self.sums.uu[packed(a, b)] / self.weight
            - self.mean_u(a, centered) * self.mean_u(b, centered)
    }

    /// `Σw(r − r̄)ₒ(u − ū)ₐ / Σw`.
    pub(crate) fn ru(&self, o: usize, a: usize, centered: bool) -> f64 {
        self.sums.ru[o * self.covariates() + a] / self.weight
            - self.mean_r(o, centered) * self.mean_u(a, centered)
    }

    /// `Σw(r − r̄)ₒ(r − r̄)ₚ / Σw`; off the diagonal only where it is kept.
    pub(crate) fn rr(&self, o: usize, p: usize, centered: bool) -> f64 {
        self.sums.rr[self.residual_place(o, p)] / self.weight
            - self.mean_r(o, centered) * self.mean_r(p, centered)
    }

    /// What is rounding in the variance of covariate `a`.
    pub(crate) fn noise_u(&self, a: usize) -> f64 {
        RESOLUTION * self.sums.uu[packed(a, a)] / self.weight
    }

    /// What is rounding in the variance of residual `o`.
    pub(crate) fn noise_r(&self, o: usize) -> f64 {
        RESOLUTION * self.sums.rr[self.residual_place(o, o)] / self.weight
    }

    /// Fails unless these could be the statistics of some weighted data, up to rounding, as far as single columns tell.
    pub(crate) fn check_feasible(&self) -> Result<(), EstimateError> {
        let infeasible = EstimateError::Infeasible { component: 0, what: "linear regression" };
        let (mut finite, mut zero) = (self.weight.is_finite(), true);
        self.visit(&mut |part| {
            finite &= part.iter().all(|x| x.is_finite());
            zero &= part.iter().all(|x| *x == 0.0);
        });
        if !finite || self.weight < 0.0 || (self.weight == 0.0 && !zero) {
            return Err(infeasible);
        }
        let covariate = |a| self.uu(a, a, true) >= -self.noise_u(a) && self.noise_u(a) >= 0.0;
        let residual = |o| self.rr(o, o, true) >= -self.noise_r(o) && self.noise_r(o) >= 0.0;
        let sane = self.weight == 0.0
            || ((0..self.covariates()).all(covariate) && (0..self.outputs()).all(residual));
        if sane { Ok(()) } else { Err(infeasible) }
    }

    fn is_zero(&self) -> bool {
        let mut zero = true;
        self.visit(&mut |part| zero &= part.iter().all(|x| *x == 0.0));
        zero
    }

    fn assert_shape(&self, other: &Self) {
        assert_eq!(
            (self.covariates(), self.outputs(), self.sums.rr.len()),
            (other.covariates(), other.outputs(), other.sums.rr.len()),
            "statistics of different shapes"
        );
    }
}

/// Moments seen from another origin, number by number.
///
/// With `s = c − c′`, `D = B − B′` and `t = v − v′ − B′ s`, covariates are `u′ = u + s`, and residuals
/// `r′ = (r + D u) + t`.
struct Seen<'a> {
    stats: &'a LinearGaussianStats,
    from: &'a Plane,
}

impl Seen<'_> {
    fn s(&self, a: usize) -> f64 {
        self.stats.origin.center[a] - self.from.center[a]
    }

    fn d(&self, o: usize, a: usize) -> f64 {
        let place = o * self.from.covariates() + a;
        self.stats.origin.slopes[place] - self.from.slopes[place]
    }

    fn t(&self, o: usize) -> f64 {
        let tilt: f64 = self.from.row(o).iter().enumerate().map(|(a, b)| b * self.s(a)).sum();
        self.stats.origin.value[o] - self.from.value[o] - tilt
    }

    fn u(&self, a: usize) -> f64 {
        self.stats.sums.u[a] + self.stats.weight * self.s(a)
    }

    /// `Σw(r + D u)`.
    fn tilted(&self, o: usize) -> f64 {
        let sums = &self.stats.sums;
        sums.r[o] + sums.u.iter().enumerate().map(|(a, u)| self.d(o, a) * u).sum::<f64>()
    }

    fn r(&self, o: usize) -> f64 {
        self.tilted(o) + self.stats.weight * self.t(o)
    }

    fn uu(&self, a: usize, b: usize) -> f64 {
        let sums = &self.stats.sums;
        sums.uu[packed(a, b)] + self.s(a) * sums.u[b] + self.u(a) * self.s(b)
    }

    /// `Σw(r + D u)uᵀ`.
    fn tilted_u(&self, o: usize, a: usize) -> f64 {
        let (sums, p) = (&self.stats.sums, self.from.covariates());
        let tilt: f64 = (0..p).map(|e| self.d(o, e) * sums.uu[packed(e, a)]).sum();
        sums.ru[o * p + a] + tilt
    }

    fn ru(&self, o: usize, a: usize) -> f64 {
        self.tilted_u(o, a) + self.t(o) * self.stats.sums.u[a] + self.r(o) * self.s(a)
    }

    fn rr(&self, o: usize, p: usize) -> f64 {
        let (sums, n) = (&self.stats.sums, self.from.covariates());
        let tilt: f64 = (0..n)
            .map(|a| sums.ru[o * n + a] * self.d(p, a) + self.d(o, a) * self.tilted_u(p, a))
            .sum();
        sums.rr[self.stats.residual_place(o, p)]
            + tilt
            + self.t(o) * self.tilted(p)
            + self.r(o) * self.t(p)
    }
}

impl Statistics for LinearGaussianStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        let Sums { u, r, uu, ru, rr } = &self.sums;
        see(std::slice::from_ref(&self.weight));
        for part in [u, r, uu, ru, rr] {
            see(part);
        }
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        let Sums { u, r, uu, ru, rr } = &mut self.sums;
        see(std::slice::from_mut(&mut self.weight));
        for part in [u, r, uu, ru, rr] {
            see(part);
        }
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.origin.center);
        see(&self.origin.value);
        see(&self.origin.slopes);
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.origin.center);
        see(&mut self.origin.value);
        see(&mut self.origin.slopes);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        self.assert_shape(other);
        if self.origin != other.origin && self.is_zero() {
            self.origin.clone_from(&other.origin);
        }
        if self.origin == other.origin {
            self.weight += factor * other.weight;
            let (to, from) = (&mut self.sums, &other.sums);
            add_scaled(&mut to.u, factor, &from.u);
            add_scaled(&mut to.r, factor, &from.r);
            add_scaled(&mut to.uu, factor, &from.uu);
            add_scaled(&mut to.ru, factor, &from.ru);
            add_scaled(&mut to.rr, factor, &from.rr);
            return;
        }
        let diagonal = self.is_diagonal();
        let Self { origin, weight, sums } = self;
        let seen = Seen { stats: other, from: origin };
        let (p, q) = (origin.covariates(), origin.outputs());
        for o in 0..q {
            for second in if diagonal { o } else { 0 }..=o {
                let place = if diagonal { o } else { packed(o, second) };
                sums.rr[place] += factor * seen.rr(o, second);
            }
            (0..p).for_each(|a| sums.ru[o * p + a] += factor * seen.ru(o, a));
            sums.r[o] += factor * seen.r(o);
        }
        for a in 0..p {
            (0..=a).for_each(|b| sums.uu[packed(a, b)] += factor * seen.uu(a, b));
            sums.u[a] += factor * seen.u(a);
        }
        *weight += factor * other.weight;
    }

    fn align(&mut self, like: &Self) {
        self.assert_shape(like);
        if self.origin == like.origin {
            return;
        }
        let (p, q, diagonal) = (self.covariates(), self.outputs(), self.is_diagonal());
        let from = &like.origin;
        // Each kind of moment needs those below it as they were, so the highest come first.
        for o in 0..q {
            for second in if diagonal { o } else { 0 }..=o {
                let seen = Seen { stats: self, from }.rr(o, second);
                let place = self.residual_place(o, second);
                self.sums.rr[place] = seen;
            }
        }
        for o in 0..q {
            (0..p).for_each(|a| self.sums.ru[o * p + a] = Seen { stats: self, from }.ru(o, a));
        }
        (0..q).for_each(|o| self.sums.r[o] = Seen { stats: self, from }.r(o));
        for a in 0..p {
            (0..=a).for_each(|b| self.sums.uu[packed(a, b)] = Seen { stats: self, from }.uu(a, b));
        }
        (0..p).for_each(|a| self.sums.u[a] = Seen { stats: self, from }.u(a));
        self.origin.clone_from(from);
    }
}
