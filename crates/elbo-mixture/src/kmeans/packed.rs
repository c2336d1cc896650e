//! Centers in the form in which they meet rows: shifted, scaled, four side by side.

use elbo_linalg::{MAX_LANES, Number};

/// Centers that a tile of the kernels takes at once.
pub(super) const GROUP: usize = 4;

/// Numbers in front of the coordinates of a group: what scores begin with, and the indices.
pub(super) const HEADER: usize = 2 * GROUP;

/// Where scores are computed: `(x − origin) · scale`, about the middle of the data and of size 1.
///
/// Distances are differences of scores; about a far origin, or far from size 1 in single precision, they would lose
/// their digits. The scale is a power of two, so that it rounds nothing.
#[derive(Clone, Debug)]
pub(super) struct Frame<T> {
    pub(super) origin: Vec<T>,
    pub(super) scale: T,
}

impl<T: Number> Frame<T> {
    /// About a point, for rows with this variance per column.
    pub(super) fn new(middle: &[f64], variance: f64) -> Self {
        let exponent = if variance > 0.0 { -0.5 * variance.log2() } else { 0.0 };
        // Powers of two that are numbers in this precision, as are their inverses.
        let most = if T::EPSILON > f64::EPSILON { 120.0 } else { 1000.0 };
        let scale = exponent.round().clamp(-most, most).exp2();
        Self { origin: middle.iter().map(|x| T::nearest(*x)).collect(), scale: T::nearest(scale) }
    }

    /// A length in the unit of the data, as it is in the frame.
    pub(super) fn length(&self, length: f64) -> f64 {
        length * self.scale.into()
    }
}

/// `k` centers, packed for the kernels.
///
/// The score of a row is `x·c − ½‖c‖²`, which is largest for the nearest center; where centers are so close to each other
/// that rounding of scores could tell them apart wrongly, it is `−‖x − c‖²`, summed from differences, at half the speed.
#[derive(Clone, Debug)]
pub(super) struct Packed<T> {
    pub(super) k: usize,
    pub(super) d: usize,
    pub(super) frame: Frame<T>,
    /// Scores are sums of squared differences.
    pub(super) by_differences: bool,
    /// For each group what its scores begin with, indices, and coordinates column by column.
    pub(super) groups: Vec<T>,
    /// Length of the longest center.
    pub(super) longest: f64,
    /// Lengths of the centers.
    pub(super) lengths: Vec<f64>,
}

impl<T: Number> Packed<T> {
    /// Room for `k` centers.
    pub(super) fn new(k: usize, frame: Frame<T>) -> Self {
        let d = frame.origin.len();
        let groups = vec![T::default(); k.div_ceil(GROUP) * (HEADER + GROUP * d)];
        let lengths = vec![0.0; k];
        Self { k, d, frame, by_differences: false, groups, longest: 0.0, lengths }
    }

    /// Overwrites all centers; center `j` is `centers[j · stride..][..d]`. Scores are those of inner products until
    /// [`set_by_differences`](Self::set_by_differences).
    pub(super) fn set(&mut self, centers: &[f64], stride: usize) {
        let (d, k) = (self.d, self.k);
        let scale: f64 = self.frame.scale.into();
        self.by_differences = false;
        for (g, group) in self.groups.chunks_exact_mut(HEADER + GROUP * d).enumerate() {
            for r in 0..GROUP {
                let j = g * GROUP + r;
                group[GROUP + r] = T::nearest(j as f64);
                if j >= k {
                    group[r] = T::nearest(f64::NEG_INFINITY);
                    continue;
                }
                let center = &centers[j * stride..][..d];
                let mut square = 0.0;
                for (c, (x, origin)) in center.iter().zip(&self.frame.origin).enumerate() {
                    let x = T::nearest((x - Into::<f64>::into(*origin)) * scale);
                    group[HEADER + c * GROUP + r] = x;
                    square += x.into() * x.into();
                }
                group[r] = T::nearest(-0.5 * square);
                self.lengths[j] = square.sqrt();
            }
        }
        self.longest = self.lengths.iter().copied().fold(0.0, f64::max);
    }

    /// Turns scores into sums of squared differences.
    pub(super) fn set_by_differences(&mut self) {
        self.by_differences = true;
        for (g, group) in self.groups.chunks_exact_mut(HEADER + GROUP * self.d).enumerate() {
            for (r, begin) in group[..GROUP].iter_mut().enumerate() {
                if g * GROUP + r < self.k {
                    *begin = T::default();
                }
            }
        }
    }

    /// How far squared distances from scores may be from the truth where nothing is longer than `longest`.
    ///
    /// An inner product of `d` terms, each at most `longest²`, carries `d` roundings of half an ε; shift and scale of
    /// rows and centers add two each, the two squares one per term. Twice that, for two scores that are compared.
    pub(super) fn margin(&self, longest: f64) -> f64 {
        4.0 * (self.d as f64 + 8.0) * T::EPSILON * longest * longest
    }

    /// Would rounding of scores matter between centers whose least squared distance is `separation`?
    ///
    /// Errors of a score, which add like a random walk over the columns, should stay below `8 √ε` of it: 10⁻⁷ in double
    /// precision, 0.3 % in single, where they decide about rows next to a border alone.
    pub(super) fn needs_differences(&self, separation: f64) -> bool {
        let longest = self.longest.max(1.0);
        (self.d as f64 + 8.0).sqrt() * T::EPSILON.sqrt() * longest * longest > 8.0 * separation
    }
}

/// Distance between centers and sums of them in memory: whole vectors of any instruction set.
pub(super) fn padded(d: usize) -> usize {
    d.next_multiple_of(MAX_LANES)
}
