//! Principal axes that several covariances have in common.

use super::settling::Settling;

/// What the common axes `D` minimize, with `vⱼᵢ = (Dᵀ Sⱼ D)ᵢᵢ` and weights `pⱼ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    /// `Σⱼ pⱼ Σᵢ ln vⱼᵢ`: each component keeps its volume.
    OwnVolumes,
    /// `d ln Σⱼ pⱼ (Πᵢ vⱼᵢ)^{1/d}`: one volume for all.
    OneVolume,
}

/// Turns orthogonal axes towards a local minimum of a [`Criterion`], never away from it.
///
/// Plane by plane the two axes are turned to the minimum of a majorant: with the variances along the other axes and
/// the shapes held fixed, the criterion is a quadratic form in the cosine and sine of the angle, whose minimum is an
/// eigenvector of a `2 × 2` matrix. The first sweep also tries a grid of angles, since a symmetric start may be a
/// saddle, where the majorant does not move.
///
/// Sources: Flury & Gautschi (1986), SIAM J. Sci. Stat. Comput. 7(1), for own volumes; Celeux & Govaert (1995) for one.
/// In a plane, the majorant is that of *Estimating common principal components in high dimensions* (2014), Adv. Data
/// Anal. Classif. 8(2), with an exact minimum.
#[derive(Clone)]
pub(super) struct CommonAxes {
    criterion: Criterion,
    d: usize,
    /// Row `i` is axis `i`.
    pub(super) axes: Vec<f64>,
    /// `Dᵀ Sⱼ D`, one after the other.
    turned: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl CommonAxes {
    /// Axes along the columns, for positive definite `d × d` matrices in both triangles.
    pub(super) fn new<'a>(
        criterion: Criterion,
        d: usize,
        matrices: impl Iterator<Item = (f64, &'a [f64])>,
    ) -> Self {
        let (weights, turned) = matrices.map(|(p, s)| (p, s.to_vec())).unzip();
        let mut axes = vec![0.0; d * d];
        axes.iter_mut().step_by(d + 1).for_each(|x| *x = 1.0);
        Self { criterion, d, axes, turned, weights }
    }

    /// Starts from other axes.
    pub(super) fn start_at(&mut self, axes: &[f64]) {
        let d = self.d;
        let mut half = vec![0.0; d * d];
        for s in &mut self.turned {
            for (half, s) in half.chunks_exact_mut(d).zip(s.chunks_exact(d)) {
                for (x, axis) in half.iter_mut().zip(axes.chunks_exact(d)) {
                    *x = s.iter().zip(axis).map(|(s, a)| s * a).sum();
                }
            }
            for i in 0..d {
                for j in 0..=i {
                    let x = (0..d).map(|a| axes[i * d + a] * half[a * d + j]).sum();
                    s[i * d + j] = x;
                    s[j * d + i] = x;
                }
            }
        }
        self.axes.copy_from_slice(axes);
    }

    /// Sweeps over all planes until neither the criterion nor the angles get smaller, or so many `sweeps` are done.
    pub(super) fn minimize(&mut self, sweeps: usize) {
        let mut settling = Settling::new();
        let mut change = 0.0; // since the start: a small number that keeps more digits than the criterion
        for sweep in 0..sweeps {
            let mut largest = 0.0_f64;
            for p in 1..self.d {
                for q in 0..p {
                    if sweep == 0 {
                        let angle = self.best_of_grid(p, q);
                        change += self.change(p, q, angle);
                        self.turn(p, q, angle);
                    }
                    let angle = self.best_angle(p, q);
                    change += self.change(p, q, angle);
                    self.turn(p, q, angle);
                    largest = largest.max(angle.abs());
                }
            }
            if settling.is_done(change, largest) {
                return;
            }
        }
    }

    /// `vⱼᵢ`.
    pub(super) fn variances(&self, j: usize) -> impl Iterator<Item = f64> + '_ {
        self.turned[j].iter().step_by(self.d + 1).copied()
    }

    /// The criterion at the present axes.
    pub(super) fn value(&self) -> f64 {
        let log_dets = (0..self.turned.len()).map(|j| self.variances(j).map(f64::ln).sum::<f64>());
        self.combine(log_dets)
    }

    /// The criterion from `Σᵢ ln vⱼᵢ`.
    fn combine(&self, log_dets: impl Iterator<Item = f64>) -> f64 {
        let d = self.d as f64;
        match self.criterion {
            Criterion::OwnVolumes => self.weights.iter().zip(log_dets).map(|(p, l)| p * l).sum(),
            Criterion::OneVolume => {
                // shifted by the largest, for volumes beyond the range of numbers
                let log_dets: Vec<f64> = log_dets.collect();
                let max = log_dets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = self
                    .weights
                    .iter()
                    .zip(&log_dets)
                    .map(|(p, l)| p * ((l - max) / d).exp())
                    .sum();
                max + d * sum.ln()
            }
        }
    }

    /// The best of eight angles in the plane of axes `p` and `q`; a quarter turn changes nothing but their names.
    fn best_of_grid(&self, p: usize, q: usize) -> f64 {
        let mut best = (0.0, -1e-9); // what is no better than rounding stays where it is
        for step in 1..8 {
            let angle = f64::from(step) * std::f64::consts::FRAC_PI_8 / 2.0;
            let change = self.change(p, q, angle);
            if change < best.1 {
                best = (angle, change);
            }
        }
        best.0
    }

    /// The minimum of the majorant in the plane of axes `p` and `q`, or a Newton step where that goes lower.
    ///
    /// With `φ` twice the angle, the majorant is `a cos φ + b sin φ` and a constant. Its curvature leaves out a
    /// negative term of the criterion's, so that its steps are too short where covariances are far from common axes.
    fn best_angle(&self, p: usize, q: usize) -> f64 {
        let (mut a, mut b, mut square, mut rest) = (0.0, 0.0, 0.0, 0.0);
        for (j, weight) in self.relative_weights().enumerate() {
            let [pp, pq, qq] = self.plane(j, p, q);
            let difference = 1.0 / pp - 1.0 / qq;
            a += weight * 0.5 * (pp - qq) * difference;
            b += weight * pq * difference;
            square += weight * (pq * difference).powi(2);
            rest += weight * ((pq / pp).powi(2) + (pq / qq).powi(2));
        }
        let spread = match self.criterion {
            Criterion::OwnVolumes => 0.0,
            Criterion::OneVolume => (square - b * b) / self.d as f64,
        };
        let majorant = 0.5 * (-b).atan2(-a);
        let curvature = 2.0 * (spread - a - rest); // half the second derivative; b is half the first
        let newton = -b / curvature;
        let is_usable = curvature > 0.0 && newton.abs() < std::f64::consts::FRAC_PI_4;
        if is_usable && self.change(p, q, newton) <= self.change(p, q, majorant) {
            newton
        } else {
            majorant
        }
    }

    /// What a turn by `angle` in the plane of axes `p` and `q` adds to the criterion.
    fn change(&self, p: usize, q: usize, angle: f64) -> f64 {
        let (sin, cos) = angle.sin_cos();
        let changes = (0..self.turned.len()).map(|j| {
            let [pp, pq, qq] = self.plane(j, p, q);
            let along = cos * cos * pp + 2.0 * cos * sin * pq + sin * sin * qq;
            let across = sin * sin * pp - 2.0 * cos * sin * pq + cos * cos * qq;
            (along / pp).ln() + (across / qq).ln()
        });
        let weighted = self.relative_weights().zip(changes);
        match self.criterion {
            Criterion::OwnVolumes => weighted.map(|(w, change)| w * change).sum(),
            Criterion::OneVolume => {
                let d = self.d as f64;
                d * weighted.map(|(w, change)| w * (change / d).exp_m1()).sum::<f64>().ln_1p()
            }
        }
    }

    /// How much each component counts, summing to one: its `pⱼ`, and its volume where volumes are shared.
    fn relative_weights(&self) -> impl Iterator<Item = f64> + '_ {
        let log_volume = |j: usize| match self.criterion {
            Criterion::OwnVolumes => 0.0,
            Criterion::OneVolume => self.variances(j).map(f64::ln).sum::<f64>() / self.d as f64,
        };
        let max = (0..self.turned.len()).map(log_volume).fold(f64::NEG_INFINITY, f64::max);
        let weight = move |j: usize| self.weights[j] * (log_volume(j) - max).exp();
        let total: f64 = (0..self.turned.len()).map(weight).sum();
        (0..self.turned.len()).map(move |j| weight(j) / total)
    }

    /// `vₚ`, the covariance and `v_q` of component `j` in a plane.
    fn plane(&self, j: usize, p: usize, q: usize) -> [f64; 3] {
        let (s, d) = (&self.turned[j], self.d);
        [s[p * d + p], s[p * d + q], s[q * d + q]]
    }

    /// Turns axes `p` and `q` in their plane.
    fn turn(&mut self, p: usize, q: usize, angle: f64) {
        if angle == 0.0 {
            return;
        }
        let (sin, cos) = angle.sin_cos();
        let d = self.d;
        let turn = |numbers: &mut [f64], p: usize, q: usize| {
            let (x, y) = (numbers[p], numbers[q]);
            numbers[p] = cos * x + sin * y;
            numbers[q] = cos * y - sin * x;
        };
        for i in 0..d {
            turn(&mut self.axes, p * d + i, q * d + i);
        }
        for s in &mut self.turned {
            for i in 0..d {
                turn(s, p * d + i, q * d + i);
            }
            for i in 0..d {
                turn(s, i * d + p, i * d + q);
            }
        }
    }
}
