//! Kernels and statistics against plain loops.

use elbo_core::Statistics;
use elbo_laws as laws;
use elbo_linalg::{Level, Number};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    kernels::{Accumulate, Block, Distances, MAX_PANEL, Nearest, NearestTwo},
    packed::{Frame, GROUP, Packed, padded},
    stats::KMeansStats,
};

/// Rows and centers of small whole numbers, with which all arithmetic is exact and ties are many.
struct Case<T> {
    values: Vec<T>,
    centers: Vec<f64>,
    n: usize,
    d: usize,
    k: usize,
    stride: usize,
}

impl<T: Number> Case<T> {
    fn new(n: usize, d: usize, k: usize, gap: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut whole = move || f64::from(rng.random_range(-4_i32..=4));
        let stride = d + gap;
        let values = (0..n * stride - gap).map(|_| T::nearest(whole())).collect();
        Self { values, centers: (0..k * d).map(|_| whole()).collect(), n, d, k, stride }
    }

    fn rows(&self) -> Block<'_, T> {
        Block { values: &self.values, stride: self.stride, n: self.n, d: self.d }
    }

    fn square(&self, i: usize, j: usize) -> f64 {
        let center = &self.centers[j * self.d..][..self.d];
        let row = self.rows().row(i).iter();
        row.zip(center).map(|(x, c)| (Into::<f64>::into(*x) - c).powi(2)).sum()
    }

    /// The first nearest center and the second smallest distance.
    fn nearest(&self, i: usize) -> (u32, f64) {
        let squares: Vec<f64> = (0..self.k).map(|j| self.square(i, j)).collect();
        let mut best = 0;
        for j in 1..self.k {
            if squares[j] < squares[best] {
                best = j;
            }
        }
        let others = squares.iter().enumerate().filter(|(j, _)| *j != best);
        let second = others.map(|(_, square)| *square).fold(f64::INFINITY, f64::min);
        (u32::try_from(best).unwrap(), second)
    }

    fn packed(&self, by_differences: bool) -> Packed<T> {
        let origin: Vec<f64> = (0..self.d).map(|j| (j % 3) as f64).collect();
        let mut packed = Packed::new(self.k, Frame::new(&origin, 4.0));
        packed.set(&self.centers, self.d);
        if by_differences {
            packed.set_by_differences();
        }
        packed
    }
}

fn check<T: Number>(level: Level, case: &Case<T>, by_differences: bool) {
    let packed = case.packed(by_differences);
    let squared_scale = Into::<f64>::into(packed.frame.scale).powi(2);
    assert!((squared_scale - 0.25).abs() < 1e-15);
    let mut panel = vec![T::default(); MAX_PANEL * case.d];
    let mut labels = vec![u32::MAX; case.n];
    level.dispatch(Nearest {
        rows: case.rows(),
        packed: &packed,
        panel: &mut panel,
        labels: &mut labels,
    });
    for (i, label) in labels.iter().enumerate() {
        assert_eq!(*label, case.nearest(i).0, "{level}, row {i}");
    }
    let list: Vec<u32> = (0..u32::try_from(case.n).unwrap()).rev().step_by(3).collect();
    let (mut found, mut second) = (vec![u32::MAX; list.len()], vec![f64::NAN; list.len()]);
    level.dispatch(NearestTwo {
        rows: case.rows(),
        list: &list,
        packed: &packed,
        panel: &mut panel,
        labels: &mut found,
        second: &mut second,
    });
    for ((i, label), second) in list.iter().zip(&found).zip(&second) {
        let (expected, square) = case.nearest(*i as usize);
        assert_eq!(*label, expected, "{level}, row {i}");
        assert_eq!(second.to_bits(), (square * squared_scale).to_bits(), "{level}, row {i}");
    }
    if by_differences {
        let stride = case.n + 3;
        let mut out = vec![f64::NAN; case.k.next_multiple_of(GROUP) * stride];
        level.dispatch(Distances {
            rows: case.rows(),
            packed: &packed,
            panel: &mut panel,
            out: &mut out,
            stride,
        });
        for i in 0..case.n {
            for j in 0..case.k {
                let expected = case.square(i, j) * squared_scale;
                assert!((out[j * stride + i] - expected).abs() == 0.0, "{level}, {i}, {j}");
            }
        }
    }
}

fn check_sums<T: Number>(level: Level, case: &Case<T>, weights: Option<&[f64]>) {
    let wide = padded(case.d);
    let mut centers = vec![0.0; case.k * wide];
    for (to, center) in centers.chunks_exact_mut(wide).zip(case.centers.chunks_exact(case.d)) {
        to[..case.d].copy_from_slice(center);
    }
    let labels: Vec<u32> = (0..case.n).map(|i| case.nearest(i).0).collect();
    let (mut sums, mut totals) = (vec![1.0; case.k * wide], vec![0.0; case.k]);
    let mut spreads = vec![0.0; case.k * elbo_linalg::MAX_LANES];
    let mut distances = vec![f64::NAN; case.n];
    level.dispatch(Accumulate {
        rows: case.rows(),
        labels: &labels,
        weights,
        centers: &centers,
        padded: wide,
        sums: &mut sums,
        spreads: &mut spreads,
        totals: &mut totals,
        distances: &mut distances,
    });
    let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
    for j in 0..case.k {
        let members = || (0..case.n).filter(|i| labels[*i] as usize == j);
        let total: f64 = members().map(weight).sum();
        assert!((totals[j] - total).abs() == 0.0);
        let spread: f64 = spreads.chunks(elbo_linalg::MAX_LANES).nth(j).unwrap().iter().sum();
        let expected: f64 = members().map(|i| weight(i) * case.square(i, j)).sum();
        assert!((spread - expected).abs() == 0.0, "{spread} is not {expected}");
        for c in 0..case.d {
            let difference =
                |i: usize| Into::<f64>::into(case.rows().row(i)[c]) - case.centers[j * case.d + c];
            let expected: f64 = 1.0 + members().map(|i| weight(i) * difference(i)).sum::<f64>();
            assert!((sums[j * wide + c] - expected).abs() == 0.0);
        }
    }
    for (i, distance) in distances.iter().enumerate() {
        assert!((distance - case.square(i, labels[i] as usize)).abs() == 0.0);
    }
}

fn all<T: Number>() {
    for level in Level::available() {
        for (seed, (n, d, k)) in
            [(1, 1, 1), (7, 2, 3), (65, 3, 4), (130, 8, 5), (100, 16, 9), (33, 17, 8), (40, 37, 21)]
                .into_iter()
                .enumerate()
        {
            for gap in [0, 2] {
                let case = Case::<T>::new(n, d, k, gap, seed as u64);
                check(level, &case, false);
                check(level, &case, true);
                check_sums(level, &case, None);
                let weights: Vec<f64> = (0..n).map(|i| (i % 4) as f64 * 0.5).collect();
                check_sums(level, &case, Some(&weights));
            }
        }
    }
}

#[test]
fn kernels_agree_with_plain_loops_in_double_precision() {
    all::<f64>();
}

#[test]
fn kernels_agree_with_plain_loops_in_single_precision() {
    all::<f32>();
}

/// Statistics of some rows about some centers.
fn stats(seed: u64) -> KMeansStats {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut stats = KMeansStats::new(3, 2);
    stats.origins.iter_mut().for_each(|x| *x = rng.random::<f64>() - 0.5);
    stats.visit_mut(&mut |part| part.iter_mut().for_each(|x| *x = 10.0 * rng.random::<f64>()));
    stats
}

#[test]
fn statistics_are_a_vector_space() {
    let (a, b, c) = (stats(1), stats(2), stats(3));
    laws::statistics::merge_is_commutative(&a, &b);
    laws::statistics::merge_is_associative(&a, &b, &c);
    laws::statistics::zero_is_the_identity_of_merge(&a);
    laws::statistics::scaling_composes(&a, 0.5, 3.0);
    laws::statistics::axpy_is_linear(&a, &b, -0.7);
    laws::statistics::lerp_is_a_weighted_mean(&a, &b, 0.3);
    laws::statistics::the_flat_view_keeps_every_bit(&a);
    laws::statistics::aligning_there_and_back_changes_nothing(&a, &b);
    laws::statistics::bytes_keep_every_bit(&a, &b);
}

#[test]
fn aligned_statistics_are_those_about_the_other_origin() {
    let rows = [[1.0, 2.0], [4.0, -1.0], [0.5, 0.5]];
    let about = |origin: [f64; 2]| {
        let mut stats = KMeansStats::new(1, 2);
        stats.origins.copy_from_slice(&origin);
        for row in rows {
            stats.weights[0] += 1.0;
            for c in 0..2 {
                stats.firsts[c] += row[c] - origin[c];
                stats.scatters[0] += (row[c] - origin[c]).powi(2);
            }
        }
        stats
    };
    let mut moved = about([3.0, -2.0]);
    moved.align(&about([0.0, 0.0]));
    laws::statistics::assert_same(&moved, &about([0.0, 0.0]), &[&moved]);
}
