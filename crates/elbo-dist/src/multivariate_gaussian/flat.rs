//! Coordinates of a single component, and draws.

use elbo_core::{Draw, FlatParameters, OwnedRows, Range, Rows, take_front};
use rand::Rng;

use super::{MultivariateGaussian, Spd};

/// The mean, then the lower triangle of `L`, row by row, with logarithms on its diagonal: `d + d(d + 1)/2` coordinates.
/// Diagonal structures have only the logarithms, spherical ones only one. What several components would share does not
/// count here.
impl FlatParameters for MultivariateGaussian {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        out.extend(&self.mean);
        let d = self.d();
        let l = self.covariance.scale_factor();
        if self.structure.is_spherical() {
            out.push(l[0].ln());
        } else if self.covariance.is_diagonal() {
            out.extend(l.iter().map(|l| l.ln()));
        } else {
            for (i, row) in l.chunks_exact(d).enumerate() {
                out.extend(&row[..i]);
                out.push(row[i].ln());
            }
        }
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let d = self.d();
        let mean = take_front(from, d).to_vec();
        let l = if self.structure.is_spherical() {
            vec![take_front(from, 1)[0].exp(); d]
        } else if self.covariance.is_diagonal() {
            take_front(from, d).iter().map(|l| l.exp()).collect()
        } else {
            let mut l = vec![0.0; d * d];
            for (i, row) in l.chunks_exact_mut(d).enumerate() {
                row[..=i].copy_from_slice(take_front(from, i + 1));
                row[i] = row[i].exp();
            }
            l
        };
        Self { structure: self.structure, mean, covariance: Spd::from_scale_factor(l, d) }
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
