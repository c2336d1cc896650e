//! Clusters of several components: which ones to take together.

use elbo_core::{BLOCK_STRIDE, Batch, Family, Weighted};
use elbo_dist::special::x_ln_y;

use crate::{Mixture, MixtureError};

/// One merger of two groups of components.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Merger {
    /// The two groups, each named by its smallest component; the first keeps its name.
    pub groups: [usize; 2],
    /// Entropy `−Σᵢ wᵢ Σ_g γᵢ_g ln γᵢ_g` of the labels that is left after it, in nats.
    pub entropy: f64,
    /// Total weight of the rows in the merged group.
    pub weight: f64,
}

/// Components merged step by step into clusters, always the two whose union leaves the least entropy of labels.
///
/// A mixture chosen by BIC describes a density well; where a group of rows is not Gaussian it takes several components.
/// Mergers turn the mixture into clusters without changing the density: the responsibility of a cluster is the sum of those
/// of its components.
///
/// # Source
///
/// Baudry, Raftery, Celeux, Lo & Gottardo (2010), *Combining mixture components for clustering*, J. Comput. Graph. Stat.
/// 19(2).
#[derive(Clone, Debug, PartialEq)]
pub struct Merging {
    k: usize,
    entropy: f64,
    mergers: Vec<Merger>,
}

impl<F: Family> Mixture<F> {
    /// Merges components down to one cluster, by what their labels leave open about these rows.
    ///
    /// Memory: the `n × k` responsibilities. Cost: one E-step, and `n k³/6` logarithms for all mergers together at most.
    ///
    /// ```
    /// use elbo_mixture::{Gaussian, Mixture};
    ///
    /// // Two components describe one skewed group.
    /// let parts = [(0.0, 1.0), (1.0, 2.0), (20.0, 1.0)];
    /// let components = parts.iter().map(|(m, v)| Gaussian::new(*m, *v)).collect::<Result<Vec<_>, _>>()?;
    /// let mixture = Mixture::new(vec![0.4, 0.3, 0.3], components)?;
    /// let data = [-0.5, 0.2, 0.7, 1.5, 2.5, 19.0, 20.5, 21.0];
    ///
    /// let merging = mixture.merging(&data[..])?;
    /// assert_eq!(merging.groups(2), [0, 0, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the data do not fit the mixture, or a row has no finite density.
    pub fn merging<'a>(
        &self,
        data: impl Into<Weighted<'a, F::Batch<'a>>>,
    ) -> Result<Merging, MixtureError>
    where
        F::Batch<'a>: 'a,
    {
        let data = data.into();
        let (n, k) = (data.len(), self.k());
        let mut shares = vec![vec![0.0; n]; k];
        self.for_each_block(data, |block| {
            for (j, shares) in shares.iter_mut().enumerate() {
                let of_block = &block.responsibilities[j * BLOCK_STRIDE..][..block.n];
                shares[block.start..][..block.n].copy_from_slice(of_block);
            }
        })?;
        Ok(Merging::of(shares, data.weights()))
    }
}

impl Merging {
    /// From the responsibilities of each component for all rows.
    fn of(mut shares: Vec<Vec<f64>>, weights: Option<&[f64]>) -> Self {
        let k = shares.len();
        let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
        let entropy_of = |shares: &[f64]| -> f64 {
            -shares.iter().enumerate().map(|(i, s)| weight(i) * x_ln_y(*s, *s)).sum::<f64>()
        };
        let entropy_of_union = |a: &[f64], b: &[f64]| -> f64 {
            -a.iter()
                .zip(b)
                .enumerate()
                .map(|(i, (a, b))| weight(i) * x_ln_y(a + b, a + b))
                .sum::<f64>()
        };
        let mut own: Vec<f64> = shares.iter().map(|shares| entropy_of(shares)).collect();
        // gain[a][b] for a < b: entropy that a merger removes.
        let mut gain = vec![vec![0.0; k]; k];
        for a in 0..k {
            for b in a + 1..k {
                gain[a][b] = own[a] + own[b] - entropy_of_union(&shares[a], &shares[b]);
            }
        }
        let mut entropy: f64 = own.iter().sum();
        let start = entropy;
        let mut left: Vec<usize> = (0..k).collect();
        let mut mergers = Vec::with_capacity(k.saturating_sub(1));
        while left.len() > 1 {
            let pairs = left
                .iter()
                .enumerate()
                .flat_map(|(at, a)| left[at + 1..].iter().map(move |b| (*a, *b)));
            let (a, b) = pairs
                .reduce(
                    |best, pair| {
                        if gain[pair.0][pair.1] > gain[best.0][best.1] { pair } else { best }
                    },
                )
                .expect("two groups make a pair");
            let absorbed = std::mem::take(&mut shares[b]);
            shares[a].iter_mut().zip(&absorbed).for_each(|(a, b)| *a += b);
            left.retain(|group| *group != b);
            own[a] = entropy_of(&shares[a]);
            entropy = left.iter().map(|group| own[*group]).sum();
            for &other in left.iter().filter(|other| **other != a) {
                let (low, high) = (a.min(other), a.max(other));
                gain[low][high] =
                    own[a] + own[other] - entropy_of_union(&shares[a], &shares[other]);
            }
            let weight = shares[a].iter().enumerate().map(|(i, s)| weight(i) * s).sum();
            mergers.push(Merger { groups: [a, b], entropy, weight });
        }
        Self { k, entropy: start, mergers }
    }

    /// Entropy of the labels before any merger, in nats.
    pub fn entropy(&self) -> f64 {
        self.entropy
    }

    /// The `k − 1` mergers in order.
    pub fn mergers(&self) -> &[Merger] {
        &self.mergers
    }

    /// The cluster, from 0, of each component when `clusters` are left; clusters are numbered by their first component.
    ///
    /// # Panics
    ///
    /// If there are no clusters or more than components.
    pub fn groups(&self, clusters: usize) -> Vec<usize> {
        assert!((1..=self.k).contains(&clusters), "{clusters} clusters of {} components", self.k);
        let mut names: Vec<usize> = (0..self.k).collect();
        for Merger { groups: [kept, gone], .. } in &self.mergers[..self.k - clusters] {
            names.iter_mut().filter(|name| *name == gone).for_each(|name| *name = *kept);
        }
        let mut firsts = names.clone();
        firsts.sort_unstable();
        firsts.dedup();
        names
            .iter()
            .map(|name| firsts.binary_search(name).expect("every name is some component's"))
            .collect()
    }

    /// The number of clusters at the bend of the curve of entropy against rows merged: of all broken lines of two pieces
    /// through it, where the best one breaks. None with fewer than four components, whose curve has no bend.
    ///
    /// A suggestion, as in the source: look at the curve.
    pub fn suggested_clusters(&self) -> Option<usize> {
        let mut merged = 0.0;
        let mut curve = vec![(0.0, self.entropy)];
        for merger in &self.mergers {
            merged += merger.weight;
            curve.push((merged, merger.entropy));
        }
        if curve.len() < 4 {
            return None;
        }
        // Each piece has at least two points; the break is in both.
        let breaks = 1..curve.len() - 1;
        let cost =
            |at: &usize| squares_about_a_line(&curve[..=*at]) + squares_about_a_line(&curve[*at..]);
        let best = breaks.reduce(|best, at| if cost(&at) < cost(&best) { at } else { best })?;
        Some(self.k - best)
    }
}

/// Residual sum of squares of a least-squares line.
fn squares_about_a_line(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in points {
        xx += (a - x) * (a - x);
        xy += (a - x) * (b - y);
        yy += (b - y) * (b - y);
    }
    if xx > 0.0 { (yy - xy * xy / xx).max(0.0) } else { yy }
}
