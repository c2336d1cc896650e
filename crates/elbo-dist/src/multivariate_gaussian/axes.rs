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
/// Sources: Flury & Gautschi (1986), SIAM J. Sci. Stat. Comput. 7(1), for own volumes; Celeux & Govaert (1995) for one;
/// the majorant is that of Browne & McNicholas (2014), Adv. Data Anal. Classif. 8(2), restricted to a plane.
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

    /// Sweeps over all planes until neither the criterion nor the angles get smaller; `false` if `sweeps` were not
    /// enough.
    pub(super) fn minimize(&mut self, sweeps: usize) -> bool {
        let mut settling = Settling::new();
        for sweep in 0..sweeps {
            let mut largest = 0.0_f64;
            for p in 1..self.d {
                for q in 0..p {
                    if sweep == 0 {
                        let angle = self.best_of_grid(p, q);
                        self.turn(p, q, angle);
                    }
                    let angle = self.majorant_angle(p, q);
                    self.turn(p, q, angle);
                    largest = largest.max(angle.abs());
                }
            }
            if settling.is_done(self.value(), largest) {
                return true;
            }
        }
        false
    }

    /// `vⱼᵢ`.
    pub(super) fn variances(&self, j: usize) -> impl Iterator<Item = f64> + '_ {
        self.turned[j].iter().step_by(self.d + 1).copied()
    }

    fn value(&self) -> f64 {
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
        let (mut a, mut b, mut correction) = (0.0, 0.0, 0.0);
        let (mut slope, mut square) = (0.0, 0.0);
        for (j, weight) in self.relative_weights().enumerate() {
            let [pp, pq, qq] = self.plane(j, p, q);
            a += 0.5 * weight * (pp - qq) * (1.0 / pp - 1.0 / qq);
            b += weight * pq * (1.0 / pp - 1.0 / qq);
            correction += weight * ((pq / pp).powi(2) + (pq / qq).powi(2));
            slope += weight * pq * (1.0 / pp - 1.0 / qq);
            square += weight * (pq * (1.0 / pp - 1.0 / qq)).powi(2);
        }
        let majorant = 0.5 * (-b).atan2(-a);
        let spread = match self.criterion {
            Criterion::OwnVolumes => 0.0,
            Criterion::OneVolume => (square - slope * slope) / self.d as f64,
        };
        let newton = 0.5 * b / (2.0 * a + 0.5 * correction * 2.0 - spread);
        let _ = newton;
        majorant
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

#[cfg(test)]
mod tests_tmp {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;

    #[test]
    fn local_optima_tmp() {
        let mut rng = rand::rngs::ChaCha8Rng::seed_from_u64(7);
        for (d, k) in [(2, 2), (3, 2), (3, 3), (4, 3), (4, 5), (8, 4)] {
            let (mut worse_columns, mut worse_pooled, mut gap, mut sweeps) = (0, 0, 0.0f64, 0);
            for _ in 0..60 {
                let ms: Vec<Vec<f64>> = (0..k)
                    .map(|_| {
                        let b: Vec<f64> = (0..d * d).map(|_| rng.sample(StandardNormal)).collect();
                        let scale: Vec<f64> = (0..d)
                            .map(|_| f64::exp(rng.sample::<f64, _>(StandardNormal)))
                            .collect();
                        (0..d * d)
                            .map(|p| {
                                (0..d)
                                    .map(|c| b[(p / d) * d + c] * b[(p % d) * d + c] * scale[c])
                                    .sum::<f64>()
                                    + if p / d == p % d { 0.05 } else { 0.0 }
                            })
                            .collect()
                    })
                    .collect();
                let run = |axes: Option<&[f64]>| {
                    let mut c = CommonAxes::new(
                        Criterion::OwnVolumes,
                        d,
                        ms.iter().map(|m| (1.0 / k as f64, &m[..])),
                    );
                    if let Some(a) = axes {
                        c.start_at(a);
                    }
                    assert!(c.minimize(10000));
                    c.value()
                };
                let columns = run(None);
                let mut pool = vec![0.0; d * d];
                for m in &ms {
                    elbo_core::add_scaled(&mut pool, 1.0, m);
                }
                let pooled = run(Some(&elbo_linalg::symmetric_eigen(&pool, d).unwrap().vectors));
                let best = (0..20)
                    .map(|_| {
                        let b: Vec<f64> = (0..d * d).map(|_| rng.sample(StandardNormal)).collect();
                        let s: Vec<f64> =
                            (0..d * d).map(|p| b[p] + b[(p % d) * d + p / d]).collect();
                        run(Some(&elbo_linalg::symmetric_eigen(&s, d).unwrap().vectors))
                    })
                    .fold(columns.min(pooled), f64::min);
                if columns > best + 1e-9 {
                    worse_columns += 1;
                    gap = gap.max(columns - best);
                }
                if pooled > best + 1e-9 {
                    worse_pooled += 1;
                }
                sweeps += 1;
            }
            println!(
                "d {d} k {k}: columns worse {worse_columns}, pooled worse {worse_pooled} of {sweeps}, gap {gap}"
            );
        }
    }
}
