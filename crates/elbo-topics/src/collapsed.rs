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
/// | `least` | | a lower bound of `totals` less one token | |
/// | `block` | `(BLOCK + 1) × stride` | anything | anything |
/// | `mixture` | `m` | anything | `Σ_k` of the weights, before normalization |
///
/// What is added anywhere is what is stored, rounded to single precision, so that counts stay the sums of the
/// responsibilities. The words of a block do not see one another's change.
///
/// Where no topic has fewer than [`MANY`] pseudo-counts, the denominators of a block come from one division:
/// `1/(n − γ) = (1 + u)(1 + u²)/n + O(u⁴)` for `u = γ/n`, which is less than 10⁻⁸ off, below the rounding of what is stored.
/// Cost: about 16 vector operations a pair and vector of topics, and a division a vector and block; else a division a pair.
pub(crate) struct Sweep<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) counts: &'a [f32],
    pub(crate) responsibilities: &'a mut [f32],
    pub(crate) in_document: &'a mut [f64],
    pub(crate) table: &'a mut [f64],
    pub(crate) totals: &'a mut [f64],
    pub(crate) least: f64,
    pub(crate) block: &'a mut [f64],
    pub(crate) mixture: &'a mut [f64],
}

impl Kernel for Sweep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        if self.least >= MANY { self.rows::<S, true>() } else { self.rows::<S, false>() }
    }
}

impl Sweep<'_> {
    #[inline(always)]
    fn rows<S: Simd, const FAST: bool>(self) {
        match self.in_document.len() / S::LANES {
            1 => self.few::<S, 1, FAST>(),
            2 => self.few::<S, 2, FAST>(),
            3 => self.few::<S, 3, FAST>(),
            4 => self.few::<S, 4, FAST>(),
            6 => self.few::<S, 6, FAST>(),
            _ => self.many::<S, FAST>(),
        }
    }

    /// Rows of `N` vectors, which stay in registers.
    #[inline(always)]
    fn few<S: Simd, const N: usize, const FAST: bool>(self) {
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
            let denominators = totals.map(|total| if FAST { S::splat(1.0) / total } else { total });
            for j in 0..words.len() {
                let row = &self.table[words[j] as usize * stride..][..stride];
                let gamma = &gammas[j * stride..][..stride];
                let mut sum = S::splat(0.0);
                for v in 0..N {
                    let at = v * S::LANES..(v + 1) * S::LANES;
                    let (gamma, row) = (S::load_single(&gamma[at.clone()]), S::load(&row[at]));
                    weights[j][v] = weight::<S, FAST>(gamma, document[v], row, denominators[v]);
                    sum += weights[j][v];
                }
                mixtures[j] = sum.sum();
            }
            for j in 0..words.len() {
                let from = words[j] as usize * stride;
                let row = &mut self.table[from..from + stride];
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
                    let row = &mut row[at];
                    (S::load(row) + change).store(row);
                }
            }
        }
        for v in 0..N {
            document[v].store(&mut self.in_document[v * S::LANES..]);
            totals[v].store(&mut self.totals[v * S::LANES..]);
        }
    }

    #[inline(always)]
    fn many<S: Simd, const FAST: bool>(self) {
        let stride = self.in_document.len();
        let (document, totals) = (&mut self.in_document[..stride], &mut self.totals[..stride]);
        let (block, denominators) = self.block[..(BLOCK + 1) * stride].split_at_mut(BLOCK * stride);
        for (((words, counts), gammas), mixtures) in self
            .words
            .chunks(BLOCK)
            .zip(self.counts.chunks(BLOCK))
            .zip(self.responsibilities.chunks_mut(BLOCK * stride))
            .zip(self.mixture.chunks_mut(BLOCK))
        {
            for (to, total) in
                denominators.chunks_exact_mut(S::LANES).zip(totals.chunks_exact(S::LANES))
            {
                let total = S::load(total);
                if FAST { (S::splat(1.0) / total).store(to) } else { total.store(to) }
            }
            for j in 0..words.len() {
                let row = &self.table[words[j] as usize * stride..][..stride];
                let gamma = &gammas[j * stride..][..stride];
                let weights = &mut block[j * stride..][..stride];
                let mut sum = S::splat(0.0);
                for ((((gamma, document), row), denominator), to) in gamma
                    .chunks_exact(S::LANES)
                    .zip(document.chunks_exact(S::LANES))
                    .zip(row.chunks_exact(S::LANES))
                    .zip(denominators.chunks_exact(S::LANES))
                    .zip(weights.chunks_exact_mut(S::LANES))
                {
                    let (document, row) = (S::load(document), S::load(row));
                    let gamma = S::load_single(gamma);
                    let weight = weight::<S, FAST>(gamma, document, row, S::load(denominator));
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
                for ((((weight, gamma), document), totals), row) in weights
                    .chunks_exact(S::LANES)
                    .zip(gammas[j * stride..][..stride].chunks_exact_mut(S::LANES))
                    .zip(document.chunks_exact_mut(S::LANES))
                    .zip(totals.chunks_exact_mut(S::LANES))
                    .zip(self.table[at..at + stride].chunks_exact_mut(S::LANES))
                {
                    let old = S::load_single(gamma);
                    (S::load(weight) * inverse).store_single(gamma);
                    let new = S::load_single(gamma);
                    let change = count * (new - old);
                    (S::load(document) + change).store(document);
                    (S::load(totals) + change).store(totals);
                    (S::load(row) + change).store(row);
                }
            }
        }
    }
}

/// Pseudo-counts of a topic from which on `u⁴ < 10⁻⁸`.
pub(crate) const MANY: f64 = 100.0;

/// `(n_dk + α_k − γ_k)(n_wk + η_wk − γ_k)/(n_k + Σ η − γ_k)`; the denominator is `n_k + Σ η`, or where that is large its inverse.
///
/// A difference that should be `α` or `η` may come out below zero by rounding; it counts as zero then.
#[inline(always)]
fn weight<S: Simd, const FAST: bool>(gamma: S, document: S, row: S, denominator: S) -> S {
    let zero = S::splat(0.0);
    let both = (document - gamma).max(zero) * (row - gamma).max(zero);
    if FAST {
        let u = gamma * denominator;
        let first = u.mul_add(denominator, denominator);
        both * (u * u).mul_add(first, first)
    } else {
        both / (denominator - gamma)
    }
}
