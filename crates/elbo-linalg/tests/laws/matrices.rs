//! Random matrices and the plainest possible product, for the other modules.

use proptest::prelude::*;

/// Orders 1 to 40, and a few on the blocked path.
pub(crate) fn order() -> impl Strategy<Value = usize> {
    prop_oneof![30 => 1..=40_usize, 1 => Just(65), 1 => Just(150)]
}

/// Numbers in `(−1, 1)` from a seed (Steele, Lea & Flood 2014: splitmix64), far faster to shrink
/// than a vector of `d²` drawn numbers.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2.0_f64.powi(-52) - 1.0
    }

    /// `2ᵉ` with `|e| ≤ 498`, so that products of two stay in range.
    pub(crate) fn power_of_two(&mut self) -> f64 {
        2.0_f64.powi(i32::try_from(self.bits() % 997).unwrap() - 498)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn take(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// `I + G Gᵀ / d` with entries of `G` in `(−1, 1)`: exactly symmetric. The largest eigenvalue stays
/// near `1 + 4/3` for large `d`, and never exceeds `1 + trace(G Gᵀ) / d ≤ 1 + d`.
pub(crate) fn spd(seed: u64, d: usize) -> Vec<f64> {
    let g = Numbers::new(seed).take(d * d);
    let mut a = product(&g, &transposed(&g, d), d);
    for (at, value) in a.iter_mut().enumerate() {
        *value = *value / d as f64 + f64::from(at / d == at % d);
    }
    a
}

/// A lower triangle with diagonal in `[1, 2)` and entries below it in `(−2, 2) / d`.
pub(crate) fn lower(seed: u64, d: usize) -> Vec<f64> {
    let mut numbers = Numbers::new(seed);
    let mut l = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..i {
            l[i * d + j] = 2.0 * numbers.next() / d as f64;
        }
        l[i * d + i] = 1.0 + numbers.next().abs();
    }
    l
}

/// `a · b` for `d × d` matrices.
pub(crate) fn product(a: &[f64], b: &[f64], d: usize) -> Vec<f64> {
    let mut c = vec![0.0; d * d];
    for i in 0..d {
        for k in 0..d {
            for j in 0..d {
                c[i * d + j] += a[i * d + k] * b[k * d + j];
            }
        }
    }
    c
}

pub(crate) fn transposed(a: &[f64], d: usize) -> Vec<f64> {
    (0..d * d).map(|at| a[(at % d) * d + at / d]).collect()
}
