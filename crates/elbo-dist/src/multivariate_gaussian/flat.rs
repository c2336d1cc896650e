//! Coordinates of a single component, and draws.

use elbo_core::{Draw, FlatParameters, OwnedRows, Range, Rows, take_front};
use rand::Rng;

use super::orientation::{axes_of, read_axes, write_axes};
use super::sharing::Layout;
use super::{MultivariateGaussian, Sharing, Spd};

/// The mean, then the lower triangle of `L`, row by row, with logarithms on its diagonal: `d + d(d + 1)/2` coordinates.
/// Diagonal structures have only the logarithms, spherical ones only one.
///
/// Components that share something are written together: all means, then what their covariances share and what they do not.
/// A volume is half its logarithm, `ln λ / 2`; ratios of volumes are logarithms of them; what a volume is taken out of lacks
/// its last logarithm, as they sum to zero then.
///
/// | structure | coordinates of the covariances |
/// |---|---|
/// | `EII`, `EEI`, `EEE` | those of the one covariance |
/// | `VEI`, `VEE` | those of the first, and the ratio of each other volume to its volume |
/// | `EVI`, `EVV` | the volume, and each component's own without it |
/// | `EEV`, `VEV`, `EVE`, `VVE` | the logarithms along the axes, `EEI`, `VEI`, `EVI` or `VVI`; each component's axes, or the common ones |
///
/// Axes are known up to their order and signs. Coordinates are the lower triangle of the skew `K = (I − D)(I + D)⁻¹`, where
/// the rows of `D` are the axes in the order of the variances along them (of a mean of all covariances, where axes are
/// common), with signs for which `I + D` is far from singular. They are no smooth functions where variances along two axes meet.
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
        let layout = Layout::of(components);
        if !layout.is_joint() {
            for component in components {
                component.write_unconstrained(out);
            }
            return;
        }
        out.extend(components.iter().flat_map(|component| &component.mean));
        if layout.axes == Sharing::Identity {
            let own: Vec<Vec<f64>> = components.iter().map(Self::own_coordinates).collect();
            layout.write(&own, out);
        } else {
            let (logs, axes) = axes_of(components, layout.axes);
            layout.write(&logs, out);
            for axes in axes {
                write_axes(&axes, components[0].d(), out);
            }
        }
    }

    fn with_all_unconstrained(components: &[Self], from: &mut &[f64]) -> Vec<Self> {
        let (layout, d, k) = (Layout::of(components), components[0].d(), components.len());
        if !layout.is_joint() {
            return components.iter().map(|component| component.with_unconstrained(from)).collect();
        }
        let means = take_front(from, d * k).chunks_exact(d);
        let own = layout.read(k, from);
        let rebuilt = components.iter().zip(means).zip(&own);
        match layout.axes {
            Sharing::Identity => {
                rebuilt.map(|((c, mean), own)| c.with_own_coordinates(mean, own)).collect()
            }
            Sharing::Equal => {
                let axes = read_axes(d, from);
                rebuilt.map(|((c, mean), logs)| c.with_axes(mean, logs, &axes)).collect()
            }
            Sharing::Variable => rebuilt
                .map(|((c, mean), logs)| c.with_axes(mean, logs, &read_axes(d, from)))
                .collect(),
        }
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

impl MultivariateGaussian {
    /// The coordinates of the covariance alone.
    pub(super) fn own_coordinates(&self) -> Vec<f64> {
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

    /// `Σᵢ exp(2 logᵢ) aᵢ aᵢᵀ` for the axes `aᵢ`, rows.
    fn with_axes(&self, mean: &[f64], logs: &[f64], axes: &[f64]) -> Self {
        let d = self.d();
        let mut values = vec![0.0; d * d];
        for (log, axis) in logs.iter().zip(axes.chunks_exact(d)) {
            elbo_linalg::rank_one_update_lower(&mut values, d, (2.0 * log).exp(), axis);
        }
        let covariance = Spd::new(values, d).expect("variances along axes are positive");
        Self { structure: self.structure, mean: mean.to_vec(), covariance }
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
