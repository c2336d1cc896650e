//! The kernel of collapsed inference.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::{Kernel, Simd};

/// Words whose weights are computed before any of them changes a count: what one word waits for, others fill.
pub(crate) const BLOCK: usize = 4;

/// New responsibilities of a document, with the counts that follow.
///
/// | argument | shape | on entry | on exit |
/// |---|---|---|---|
/// | `words`, `counts` | `m` | the document | |
/// | `responsibilities` | `m × stride` | `γ_wk` | the new ones |
/// | `in_document` | stride | `n_dk + α_k` | of the new ones |
/// | `table` | words × stride | `n_wk + η_wk` | of the new ones |
/// | `totals` | stride | `n_k + Σ η`; 1 in the padding | of the new ones |
/// | `block` | `BLOCK × stride` | anything | anything |
/// | `stats` | words × stride | anything | added: `n_dw γ_wk` |
/// | `mixture` | `m` | anything | `Σ_k` of the weights, before normalization |
///
/// What is added anywhere is what is stored, rounded to single precision, so that counts stay the sums of the
/// responsibilities. The words of a block do not see one another's change. Cost: about 12 vector operations and a division a
/// pair and vector of topics.
pub(crate) struct Sweep<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) counts: &'a [f32],
    pub(crate) responsibilities: &'a mut [f32],
    pub(crate) in_document: &'a mut [f64],
    pub(crate) table: &'a mut [f64],
    pub(crate) totals: &'a mut [f64],
    pub(crate) block: &'a mut [f64],
    pub(crate) stats: &'a mut [f64],
    pub(crate) mixture: &'a mut [f64],
}

impl Kernel for Sweep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        match self.in_document.len() / S::LANES {
            1 => self.few::<S, 1>(),
            2 => self.few::<S, 2>(),
            3 => self.few::<S, 3>(),
            4 => self.few::<S, 4>(),
            6 => self.few::<S, 6>(),
            _ => self.many::<S>(),
        }
    }
}

impl Sweep<'_> {
    /// Rows of `N` vectors, which stay in registers.
    #[inline(always)]
    fn few<S: Simd, const N: usize>(self) {
        let stride = N * S::LANES;
        let mut document = [S::splat(0.0); N];
        let mut totals = [S::splat(0.0); N];
        for v in 0..N {
            document[v] = S::load(&self.in_document[v * S::LANES..]);
            totals[v] = S::load(&self.totals[v * S::LANES..]);
        }
        for (((words, counts), gammas), mixtures) in self
            .words
            .chunks(BLOCK)
            .zip(self.counts.chunks(BLOCK))
            .zip(self.responsibilities.chunks_mut(BLOCK * stride))
            .zip(self.mixture.chunks_mut(BLOCK))
        {
            let mut weights = [[S::splat(0.0); N]; BLOCK];
            for j in 0..words.len() {
                let row = &self.table[words[j] as usize * stride..][..stride];
                let gamma = &gammas[j * stride..][..stride];
                let mut sum = S::splat(0.0);
                for v in 0..N {
                    let at = v * S::LANES..(v + 1) * S::LANES;
                    let (gamma, row) = (S::load_single(&gamma[at.clone()]), S::load(&row[at]));
                    weights[j][v] = weight(gamma, document[v], row, totals[v]);
                    sum += weights[j][v];
                }
                mixtures[j] = sum.sum();
            }
            for j in 0..words.len() {
                let from = words[j] as usize * stride;
                let row = &mut self.table[from..from + stride];
                let stats = &mut self.stats[from..from + stride];
                let gamma = &mut gammas[j * stride..][..stride];
                let (inverse, count) =
                    (S::splat(1.0 / mixtures[j]), S::splat(f64::from(counts[j])));
                for v in 0..N {
                    let at = v * S::LANES..(v + 1) * S::LANES;
                    let gamma = &mut gamma[at.clone()];
                    let old = S::load_single(gamma);
                    (weights[j][v] * inverse).store_single(gamma);
                    let new = S::load_single(gamma);
                    let change = count * (new - old);
                    document[v] += change;
                    totals[v] += change;
                    let row = &mut row[at.clone()];
                    (S::load(row) + change).store(row);
                    let stats = &mut stats[at];
                    count.mul_add(new, S::load(stats)).store(stats);
                }
            }
        }
        for v in 0..N {
            document[v].store(&mut self.in_document[v * S::LANES..]);
            totals[v].store(&mut self.totals[v * S::LANES..]);
        }
    }

    #[inline(always)]
    fn many<S: Simd>(self) {
        let stride = self.in_document.len();
        let (document, totals) = (&mut self.in_document[..stride], &mut self.totals[..stride]);
        let block = &mut self.block[..BLOCK * stride];
        for (((words, counts), gammas), mixtures) in self
            .words
            .chunks(BLOCK)
            .zip(self.counts.chunks(BLOCK))
            .zip(self.responsibilities.chunks_mut(BLOCK * stride))
            .zip(self.mixture.chunks_mut(BLOCK))
        {
            for j in 0..words.len() {
                let row = &self.table[words[j] as usize * stride..][..stride];
                let gamma = &gammas[j * stride..][..stride];
                let weights = &mut block[j * stride..][..stride];
                let mut sum = S::splat(0.0);
                for ((((gamma, document), row), totals), to) in gamma
                    .chunks_exact(S::LANES)
                    .zip(document.chunks_exact(S::LANES))
                    .zip(row.chunks_exact(S::LANES))
                    .zip(totals.chunks_exact(S::LANES))
                    .zip(weights.chunks_exact_mut(S::LANES))
                {
                    let (document, row) = (S::load(document), S::load(row));
                    let weight = weight(S::load_single(gamma), document, row, S::load(totals));
                    weight.store(to);
                    sum += weight;
                }
                mixtures[j] = sum.sum();
            }
            for j in 0..words.len() {
                let at = words[j] as usize * stride;
                let (inverse, count) =
                    (S::splat(1.0 / mixtures[j]), S::splat(f64::from(counts[j])));
                let weights = &block[j * stride..][..stride];
                for (((((weight, gamma), document), totals), row), stats) in weights
                    .chunks_exact(S::LANES)
                    .zip(gammas[j * stride..][..stride].chunks_exact_mut(S::LANES))
                    .zip(document.chunks_exact_mut(S::LANES))
                    .zip(totals.chunks_exact_mut(S::LANES))
                    .zip(self.table[at..at + stride].chunks_exact_mut(S::LANES))
                    .zip(self.stats[at..at + stride].chunks_exact_mut(S::LANES))
                {
                    let old = S::load_single(gamma);
                    (S::load(weight) * inverse).store_single(gamma);
                    let new = S::load_single(gamma);
                    let change = count * (new - old);
                    (S::load(document) + change).store(document);
                    (S::load(totals) + change).store(totals);
                    (S::load(row) + change).store(row);
                    count.mul_add(new, S::load(stats)).store(stats);
                }
            }
        }
    }
}

/// `(n_dk + α_k − γ_k)(n_wk + η_wk − γ_k)/(n_k + Σ η − γ_k)`.
///
/// A difference that should be `α` or `η` may come out below zero by rounding; it counts as zero then.
#[inline(always)]
fn weight<S: Simd>(gamma: S, document: S, row: S, total: S) -> S {
    let zero = S::splat(0.0);
    (document - gamma).max(zero) * (row - gamma).max(zero) / (total - gamma)
}
