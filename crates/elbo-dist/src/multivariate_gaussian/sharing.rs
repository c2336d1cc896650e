//! Coordinates of covariances that share their volume, their shape or both.

use elbo_core::{add_scaled, take_front};

use super::{CovarianceStructure, MultivariateGaussian, Sharing};

/// How the coordinates of several covariances are written as one list.
///
/// Each component has coordinates of its own, some of which are logarithms of lengths along its axes or on the diagonal of
/// `L`; the mean of these is half the logarithm of its volume.
pub(super) struct Layout {
    /// Of the component's own coordinates.
    own_len: usize,
    /// Which of them are logarithms; the last one is.
    is_log: Vec<bool>,
    shared: Shared,
    /// Whether axes are coordinates, too: of each component, or common ones.
    pub(super) axes: Sharing,
}

#[derive(Clone, Copy, PartialEq)]
enum Shared {
    Nothing,
    All,
    /// All but the volume.
    Shape,
    /// The volume alone.
    Volume,
}

impl Layout {
    pub(super) fn of(components: &[MultivariateGaussian]) -> Self {
        use CovarianceStructure as S;
        let first = &components[0];
        let (structure, d) = (first.structure, first.d());
        let axes = match structure {
            _ if d == 1 => Sharing::Identity,
            S::EEV | S::VEV => Sharing::Variable,
            S::EVE | S::VVE => Sharing::Equal,
            _ => Sharing::Identity,
        };
        let has_shape = d > 1 && !structure.is_spherical();
        let shared = match (structure.volume(), structure.shape()) {
            (Sharing::Equal, Sharing::Variable) if has_shape => Shared::Volume,
            (Sharing::Equal, _) => Shared::All,
            (_, Sharing::Equal) if has_shape => Shared::Shape,
            _ => Shared::Nothing,
        };
        let own_len = if axes == Sharing::Identity { first.own_len() } else { d };
        let is_triangle = own_len > d;
        let logs = (0..own_len.min(d)).map(|i| if is_triangle { i * (i + 3) / 2 } else { i });
        let mut is_log = vec![false; own_len];
        logs.for_each(|at| is_log[at] = true);
        Self { own_len, is_log, shared, axes }
    }

    /// Is this anything else than one component after the other?
    pub(super) fn is_joint(&self) -> bool {
        self.shared != Shared::Nothing || self.axes != Sharing::Identity
    }

    fn logs(&self) -> impl Iterator<Item = usize> {
        (0..self.own_len).filter(|at| self.is_log[*at])
    }

    /// Half the logarithm of the volume.
    fn volume(&self, own: &[f64]) -> f64 {
        self.logs().map(|at| own[at]).sum::<f64>() / self.logs().count() as f64
    }

    /// Appends the coordinates of covariances with these own ones.
    pub(super) fn write(&self, own: &[Vec<f64>], out: &mut Vec<f64>) {
        let volume = self.volume(&own[0]);
        match self.shared {
            Shared::Nothing => out.extend(own.iter().flatten()),
            Shared::All => out.extend(&own[0]),
            Shared::Shape => {
                out.extend(&own[0]);
                out.extend(own[1..].iter().map(|other| self.volume(other) - volume));
            }
            Shared::Volume => {
                out.push(volume);
                for own in own {
                    let volume = self.volume(own);
                    let without = own.iter().zip(&self.is_log);
                    let without = without.map(|(x, is_log)| if *is_log { x - volume } else { *x });
                    out.extend(without.take(self.own_len - 1));
                }
            }
        }
    }

    /// The own coordinates of `k` components, taken off the front of `from`.
    pub(super) fn read(&self, k: usize, from: &mut &[f64]) -> Vec<Vec<f64>> {
        let n = self.own_len;
        match self.shared {
            Shared::Nothing => (0..k).map(|_| take_front(from, n).to_vec()).collect(),
            Shared::All => vec![take_front(from, n).to_vec(); k],
            Shared::Shape => {
                let first = take_front(from, n);
                let ratios = [0.0].into_iter().chain(take_front(from, k - 1).iter().copied());
                let scaled = |ratio: f64| {
                    let cells = first.iter().zip(&self.is_log);
                    cells
                        .map(|(x, is_log)| if *is_log { x + ratio } else { x * ratio.exp() })
                        .collect()
                };
                ratios.map(scaled).collect()
            }
            Shared::Volume => {
                let volume = take_front(from, 1)[0];
                let own = |_| {
                    let mut own = take_front(from, n - 1).to_vec();
                    own.push(0.0);
                    own[n - 1] = -self.logs().map(|at| own[at]).sum::<f64>();
                    self.logs().for_each(|at| own[at] += volume);
                    own
                };
                (0..k).map(own).collect()
            }
        }
    }

    /// Adds the derivative `score` in the own coordinates `own` of component `j` to that in the joint ones.
    pub(super) fn add_score(
        &self,
        j: usize,
        first: &[f64],
        own: &[f64],
        score: &[f64],
        out: &mut [f64],
    ) {
        let n = self.own_len;
        match self.shared {
            Shared::Nothing => add_scaled(&mut out[j * n..][..n], 1.0, score),
            Shared::All => add_scaled(out, 1.0, score),
            Shared::Shape => {
                let ratio = (self.volume(own) - self.volume(first)).exp();
                for (at, score) in score.iter().enumerate() {
                    out[at] += if self.is_log[at] { *score } else { ratio * score };
                    if j > 0 {
                        out[n - 1 + j] += if self.is_log[at] { *score } else { own[at] * score };
                    }
                }
            }
            Shared::Volume => {
                out[0] += self.logs().map(|at| score[at]).sum::<f64>();
                let rest = &mut out[1 + j * (n - 1)..][..n - 1];
                add_scaled(rest, 1.0, &score[..n - 1]);
                self.logs().filter(|at| *at < n - 1).for_each(|at| rest[at] -= score[n - 1]);
            }
        }
    }
}
