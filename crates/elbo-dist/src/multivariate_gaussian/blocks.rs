//! Means or covariances that are held.

use elbo_core::{Blocks, Family, Statistics};

use super::{MultivariateGaussian, MultivariateGaussianStats};
use crate::GaussianBlock;

impl Blocks for MultivariateGaussian {
    type Block = GaussianBlock;

    fn hold(&self, block: GaussianBlock, stats: &mut MultivariateGaussianStats) {
        let diagonal = self.spd().is_diagonal();
        stats.align(&MultivariateGaussianStats::new(self.mean().to_vec(), diagonal));
        let (weight, first, second) = stats.sums_mut();
        if block == GaussianBlock::Mean {
            first.fill(0.0);
            return;
        }
        let weight = *weight;
        let mut place = second.iter_mut();
        for i in 0..self.d() {
            for j in if diagonal { i } else { 0 }..=i {
                let between = if weight > 0.0 { first[i] * (first[j] / weight) } else { 0.0 };
                let second = place.next().expect("one place per pair");
                *second = weight * self.spd().get(i, j) + between;
            }
        }
    }

    fn keep(&self, block: GaussianBlock, next: &mut Self) {
        match block {
            GaussianBlock::Mean => next.mean.copy_from_slice(&self.mean),
            GaussianBlock::Covariance => next.covariance.clone_from(&self.covariance),
        }
    }

    fn block_parameters(&self, block: GaussianBlock, k: usize) -> usize {
        let of_means = k * self.d();
        match block {
            GaussianBlock::Mean => of_means,
            GaussianBlock::Covariance => self.free_parameters(k) - of_means,
        }
    }
}
