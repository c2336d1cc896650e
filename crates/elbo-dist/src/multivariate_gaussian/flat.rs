//! Coordinates of a single component, and draws.

use elbo_core::{Draw, FlatParameters, OwnedRows, Range, Rows, take_front};
use rand::Rng;

use super::{CovarianceStructure, MultivariateGaussian, Sharing, Spd};

/// The mean, then the lower triangle of `L`, row by row, with logarithms on its diagonal: `d + d(d + 1)/2` coordinates.
/// Diagonal structures have only the logarithms, spherical ones only one.
///
/// Components that share something are written together: all means, then
///
/// | structure | coordinates of the covariances |
/// |---|---|
/// | `EII`, `EEI`, `EEE` | those of the one covariance |
/// | `VEI`, `VEE` | those of the first, and the log ratio of each other volume to its volume |
/// | `EVI`, `EVV` | half the common log volume `ln λ / 2`, then each component's own with logarithms less that, but for the last logarithm |
///
/// Structures that share axes, or a shape along axes of their own (`EVE`, `VVE`, `EEV`, `VEV`), have no such form: their
/// components write all of their own, which are more coordinates than free parameters.
impl FlatParameters for MultivariateGaussian {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend(&self.mean);
        out.extend(self.own_coordinates());
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let mean = take_front(from, self.d());
        self.with_own_coordinates(mean, take_front(from, self.own_len()))
    }

    fn write_all_unconstrained(components: &[Self], out: &mut Vec<f64>) {
        let first = &components[0];
        let shared = first.shared();
        if shared == Shared::Nothing {
            return components.iter().for_each(|component| component.write_unconstrained(out));
        }
        components.iter().for_each(|component| out.extend(&component.mean));
        let volume = first.log_scale();
        match shared {
            Shared::Nothing => {}
            Shared::All => out.extend(first.own_coordinates()),
            Shared::Shape => {
                out.extend(first.own_coordinates());
                out.extend(components[1..].iter().map(|other| other.log_scale() - volume));
            }
            Shared::Volume => {
                out.push(volume);
                for component in components {
                    let mut own = component.own_coordinates();
                    component.logs().for_each(|at| own[at] -= component.log_scale());
                    own.pop();
                    out.extend(own);
                }
            }
        }
    }

    fn with_all_unconstrained(components: &[Self], from: &mut &[f64]) -> Vec<Self> {
        let first = &components[0];
        let (d, own_len) = (first.d(), first.own_len());
        let shared = first.shared();
        if shared == Shared::Nothing {
            return components.iter().map(|component| component.with_unconstrained(from)).collect();
        }
        let means = take_front(from, d * components.len()).chunks_exact(d);
        let common = match shared {
            Shared::Volume => take_front(from, 1),
            _ => take_front(from, own_len),
        };
        let own = |j: usize, from: &mut &[f64]| {
            let mut own = common.to_vec();
            match shared {
                Shared::Shape if j > 0 => first.rescale(&mut own, take_front(from, 1)[0]),
                Shared::Volume => {
                    own = take_front(from, own_len - 1).to_vec();
                    own.push(0.0);
                    own[own_len - 1] = -first.logs().map(|at| own[at]).sum::<f64>();
                    first.logs().for_each(|at| own[at] += common[0]);
                }
                _ => {}
            }
            own
        };
        let rebuilt = components.iter().zip(means).enumerate();
        rebuilt.map(|(j, (c, mean))| c.with_own_coordinates(mean, &own(j, from))).collect()
    }

    /// `mean[j]`; then `variance`, `variance[j]`, or `covariance[i,j]` for `j ≤ i`, by structure.
    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (j, mean) in self.mean.iter().enumerate() {
            see(&format!("mean[{j}]"), *mean, Range::Real);
        }
        for i in 0..self.d() {
            if self.structure.is_spherical() {
                if i == 0 {
                    see("variance", self.covariance.get(0, 0), Range::Positive);
                }
            } else if self.structure.is_diagonal() {
                see(&format!("variance[{i}]"), self.covariance.get(i, i), Range::Positive);
            } else {
                for j in 0..=i {
                    let range = if i == j { Range::Positive } else { Range::Real };
                    see(&format!("covariance[{i},{j}]"), self.covariance.get(i, j), range);
                }
            }
        }
    }
}

/// What covariances have in common that has coordinates.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shared {
    /// Nothing, or axes, which have none.
    Nothing,
    /// Everything.
    All,
    /// All but the volume.
    Shape,
    /// The volume alone.
    Volume,
}

impl MultivariateGaussian {
    /// What the structure shares in this dimension.
    pub(super) fn shared(&self) -> Shared {
        use CovarianceStructure as S;
        match self.structure {
            S::EII | S::EEI | S::EEE => Shared::All,
            _ if self.d() == 1 && self.structure.volume() == Sharing::Equal => Shared::All,
            _ if self.d() == 1 => Shared::Nothing,
            S::VEI | S::VEE => Shared::Shape,
            S::EVI | S::EVV => Shared::Volume,
            S::VII | S::VVI | S::VVV | S::EVE | S::VVE | S::EEV | S::VEV => Shared::Nothing,
        }
    }

    /// The coordinates of the covariance alone.
    fn own_coordinates(&self) -> Vec<f64> {
        let d = self.d();
        let l = self.covariance.scale_factor();
        if self.structure.is_spherical() {
            vec![l[0].ln()]
        } else if self.covariance.is_diagonal() {
            l.iter().map(|l| l.ln()).collect()
        } else {
            let row = |i: usize| l[i * d..i * d + i].iter().copied().chain([l[i * (d + 1)].ln()]);
            (0..d).flat_map(row).collect()
        }
    }

    fn with_own_coordinates(&self, mean: &[f64], own: &[f64]) -> Self {
        let d = self.d();
        let l = if self.structure.is_spherical() {
            vec![own[0].exp(); d]
        } else if self.covariance.is_diagonal() {
            own.iter().map(|l| l.exp()).collect()
        } else {
            let mut l = vec![0.0; d * d];
            for (i, row) in l.chunks_exact_mut(d).enumerate() {
                row[..=i].copy_from_slice(&own[i * (i + 1) / 2..][..=i]);
                row[i] = row[i].exp();
            }
            l
        };
        let (structure, mean) = (self.structure, mean.to_vec());
        Self { structure, mean, covariance: Spd::from_scale_factor(l, d) }
    }

    pub(super) fn own_len(&self) -> usize {
        let d = self.d();
        if self.structure.is_spherical() {
            1
        } else if self.covariance.is_diagonal() {
            d
        } else {
            d * (d + 1) / 2
        }
    }

    /// Which of the own coordinates are logarithms.
    pub(super) fn logs(&self) -> impl Iterator<Item = usize> + use<> {
        let is_dense = self.own_len() > self.d();
        let many = if is_dense { self.d() } else { self.own_len() };
        (0..many).map(move |i| if is_dense { i * (i + 3) / 2 } else { i })
    }

    /// `ln λ / 2`, the mean logarithm on the diagonal of `L`.
    fn log_scale(&self) -> f64 {
        0.5 * self.log_volume()
    }

    /// Multiplies `L` by `exp(by)`, in coordinates.
    fn rescale(&self, own: &mut [f64], by: f64) {
        let logs: Vec<usize> = self.logs().collect();
        for (at, x) in own.iter_mut().enumerate() {
            if logs.contains(&at) {
                *x += by;
            } else {
                *x *= by.exp();
            }
        }
    }
}

impl Draw for MultivariateGaussian {
    type Drawn = OwnedRows;

    fn no_draws(&self) -> OwnedRows {
        OwnedRows::new(self.d())
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut OwnedRows) {
        for row in drawn.grow(n).chunks_exact_mut(self.d()) {
            self.sample_into(rng, row);
        }
    }

    fn batch_of(drawn: &OwnedRows) -> Rows<'_> {
        drawn.rows()
    }
}
