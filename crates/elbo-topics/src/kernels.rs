//! Loops over the words of a document, vectors over topics.
#![allow(
    clippy::inline_always,
    reason = "kernels must be inlined into the entry point of their instruction set"
)]

use elbo_linalg::{Kernel, Simd};

/// One step towards the shares of topics in a document, and its expected tokens.
///
/// | argument | shape | on entry | on exit |
/// |---|---|---|---|
/// | `words`, `counts` | `m` | the document | |
/// | `table` | words × stride | what a word weighs in each topic, `b_wk` | |
/// | `scaled` | stride | `t_k`, shares over totals, 0 in the padding | |
/// | `gamma` | stride | anything | added: `Σ_w n_w t_k b_wk / q_w` |
/// | `mixture` | `m` | anything | `q_w = Σ_k t_k b_wk` |
/// | `stats` | words × stride, or empty | anything | added: `n_w t_k b_wk / q_w` |
///
/// Cost: about 5 vector operations a pair and vector of topics, and a division a pair. A word that no topic explains has
/// `q_w = 0` and makes the sums NaN; the caller sees it by its logarithm.
pub(crate) struct ShareStep<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) counts: &'a [f32],
    pub(crate) table: &'a [f64],
    pub(crate) scaled: &'a [f64],
    pub(crate) gamma: &'a mut [f64],
    pub(crate) mixture: &'a mut [f64],
    pub(crate) stats: &'a mut [f64],
}

impl Kernel for ShareStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        match self.scaled.len() / S::LANES {
            1 => self.few::<S, 1>(),
            2 => self.few::<S, 2>(),
            3 => self.few::<S, 3>(),
            4 => self.few::<S, 4>(),
            6 => self.few::<S, 6>(),
            _ => self.many::<S>(),
        }
    }
}

impl ShareStep<'_> {
    /// Rows of `N` vectors, which stay in registers.
    #[inline(always)]
    fn few<S: Simd, const N: usize>(self) {
        let stride = N * S::LANES;
        let mut scaled = [S::splat(0.0); N];
        let mut gamma = [S::splat(0.0); N];
        for j in 0..N {
            scaled[j] = S::load(&self.scaled[j * S::LANES..]);
            gamma[j] = S::load(&self.gamma[j * S::LANES..]);
        }
        let counts_tokens = !self.stats.is_empty();
        for ((word, count), mixture) in self.words.iter().zip(self.counts).zip(self.mixture) {
            let at = *word as usize * stride;
            let row = &self.table[at..at + stride];
            let mut parts = [S::splat(0.0); N];
            let mut sum = S::splat(0.0);
            for j in 0..N {
                parts[j] = scaled[j] * S::load(&row[j * S::LANES..]);
                sum += parts[j];
            }
            *mixture = sum.sum();
            let share = S::splat(f64::from(*count) / *mixture);
            for j in 0..N {
                gamma[j] = share.mul_add(parts[j], gamma[j]);
            }
            if counts_tokens {
                let stats = &mut self.stats[at..at + stride];
                for j in 0..N {
                    let to = &mut stats[j * S::LANES..];
                    share.mul_add(parts[j], S::load(to)).store(to);
                }
            }
        }
        for j in 0..N {
            gamma[j].store(&mut self.gamma[j * S::LANES..]);
        }
    }

    #[inline(always)]
    fn many<S: Simd>(self) {
        let stride = self.scaled.len();
        let scaled = &self.scaled[..stride];
        let gamma = &mut self.gamma[..stride];
        for ((word, count), mixture) in self.words.iter().zip(self.counts).zip(self.mixture) {
            let at = *word as usize * stride;
            let row = &self.table[at..at + stride];
            let mut sums = [S::splat(0.0); 2];
            for (at, (row, scaled)) in
                row.chunks_exact(S::LANES).zip(scaled.chunks_exact(S::LANES)).enumerate()
            {
                sums[at % 2] = S::load(row).mul_add(S::load(scaled), sums[at % 2]);
            }
            *mixture = (sums[0] + sums[1]).sum();
            let share = S::splat(f64::from(*count) / *mixture);
            if self.stats.is_empty() {
                for ((row, scaled), gamma) in row
                    .chunks_exact(S::LANES)
                    .zip(scaled.chunks_exact(S::LANES))
                    .zip(gamma.chunks_exact_mut(S::LANES))
                {
                    let part = S::load(row) * S::load(scaled);
                    share.mul_add(part, S::load(gamma)).store(gamma);
                }
                continue;
            }
            let stats = &mut self.stats[at..at + stride];
            for (((row, scaled), gamma), stats) in row
                .chunks_exact(S::LANES)
                .zip(scaled.chunks_exact(S::LANES))
                .zip(gamma.chunks_exact_mut(S::LANES))
                .zip(stats.chunks_exact_mut(S::LANES))
            {
                let part = S::load(row) * S::load(scaled);
                share.mul_add(part, S::load(gamma)).store(gamma);
                share.mul_add(part, S::load(stats)).store(stats);
            }
        }
    }
}

/// `Σ_w n_w ℓ_w`.
pub(crate) fn weighted_log(counts: &[f32], logs: &[f64]) -> f64 {
    counts.iter().zip(logs).map(|(count, log)| f64::from(*count) * log).sum()
}
