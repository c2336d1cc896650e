//! Every instruction set against two plain loops.
//!
//! Bounds count roundings: a sum of `m` products computed in two different orders differs by at most
//! `(m + a few) ε` times the sum of the absolute values, `ε = 2⁻⁵²` (half of it for each side).

use super::*;

const DIMENSIONS: [usize; 11] = [1, 2, 3, 5, 8, 9, 16, 31, 32, 33, 100];
/// One vector more than a block, so that the components do not share cache sets.
const BLOCK_STRIDE: usize = BLOCK + MAX_LANES;
const EPSILON: f64 = f64::EPSILON;
/// Marks numbers that no kernel may touch.
const STRAY: f64 = 7e77;

/// How a table lies in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    RowMajor,
    Gaps,
    ColumnMajor,
}
const LAYOUTS: [Layout; 3] = [Layout::RowMajor, Layout::Gaps, Layout::ColumnMajor];

/// A model, a table of `n` rows and weights, all row-major and unpacked.
struct Case {
    shape: Shape,
    k: usize,
    d: usize,
    n: usize,
    x: Vec<f64>,
    weights: Vec<f64>,
    constants: Vec<f64>,
    means: Vec<f64>,
    /// `k × d × d`, lower triangles, the rest poisoned.
    whitening: Vec<f64>,
}

impl Case {
    fn new(shape: Shape, k: usize, d: usize, n: usize, offset: f64) -> Self {
        let mut numbers = numbers();
        let mut next = move || numbers.next().unwrap();
        let scale = 1.0 / (d as f64).sqrt();
        let mut whitening = vec![f64::NAN; k * d * d];
        for j in 0..k {
            for a in 0..d {
                for c in 0..=a {
                    let u = if c == a { 1.0 + 0.5 * next() } else { scale * next() };
                    whitening[(j * d + a) * d + c] = u;
                }
            }
        }
        Self {
            shape,
            k,
            d,
            n,
            x: (0..n * d).map(|_| offset + 3.0 * next()).collect(),
            // A third of the weights is zero, the others spread over many powers of ten.
            weights: (0..k * n)
                .map(|i| if i % 3 == 1 { 0.0 } else { (30.0 * next() - 20.0).exp() })
                .collect(),
            constants: (0..k).map(|_| 10.0 * next()).collect(),
            means: (0..k * d).map(|_| offset + 2.0 * next()).collect(),
            whitening,
        }
    }

    fn packed(&self) -> PackedGaussians {
        let d = self.d;
        let mut packed = PackedGaussians::new(self.shape, self.k, d);
        for j in 0..self.k {
            let mean = &self.means[j * d..(j + 1) * d];
            let whitening = &self.whitening[j * d * d..(j + 1) * d * d];
            let diagonal: Vec<f64> = (0..d).map(|a| whitening[a * d + a]).collect();
            match self.shape {
                Shape::Full => packed.set(j, self.constants[j], mean, whitening),
                Shape::Diagonal => packed.set(j, self.constants[j], mean, &diagonal),
            }
        }
        packed
    }

    fn table(&self, layout: Layout) -> Table {
        let (n, d) = (self.n, self.d);
        let (row_stride, column_stride) = match layout {
            Layout::RowMajor => (d, 1),
            Layout::Gaps => (d + 5, 1),
            Layout::ColumnMajor => (1, n + 2),
        };
        let mut data = vec![f64::NAN; (n - 1) * row_stride + (d - 1) * column_stride + 1];
        for i in 0..n {
            for c in 0..d {
                data[i * row_stride + c * column_stride] = self.x[i * d + c];
            }
        }
        Table { data, d, row_stride, column_stride }
    }

    /// `xᵢ − μⱼ` in column `c`, and `U_ac` (zero outside the shape).
    fn z(&self, j: usize, i: usize, c: usize) -> f64 {
        self.x[i * self.d + c] - self.means[j * self.d + c]
    }

    fn u(&self, j: usize, a: usize, c: usize) -> f64 {
        let inside = a == c || self.shape == Shape::Full;
        if inside { self.whitening[(j * self.d + a) * self.d + c] } else { 0.0 }
    }

    /// The score, and how far a kernel may be from it.
    fn score(&self, j: usize, i: usize) -> (f64, f64) {
        let (mut norm, mut size, mut moved) = (0.0, 0.0, 0.0);
        for a in 0..self.d {
            let (mut y, mut terms) = (0.0, 0.0);
            let first = if self.shape == Shape::Full { 0 } else { a };
            for c in first..=a {
                let term = self.u(j, a, c) * self.z(j, i, c);
                y += term;
                terms += term.abs();
            }
            norm += y * y;
            size += terms * terms;
            if self.shape == Shape::Diagonal {
                // A mean that moves by ε |μ| moves y by ε |u μ| and y² by twice that times |y|.
                moved += y.abs() * (self.u(j, a, a) * self.means[j * self.d + a]).abs();
            }
        }
        let constant = self.constants[j];
        // Each y: d products, two roundings of U, one of z; the norm: d squares; the difference.
        let bound = EPSILON * ((self.d as f64 + 8.0) * size + moved + constant.abs());
        (constant - 0.5 * norm, bound)
    }

    /// A weighted sum of products over rows, and how far a kernel may be from it.
    fn moment(&self, j: usize, term: impl Fn(usize) -> f64) -> (f64, f64) {
        let (mut sum, mut size) = (0.0, 0.0);
        for i in 0..self.n {
            let term = self.weights[j * self.n + i] * term(i);
            sum += term;
            size += term.abs();
        }
        // Up to 8 roundings in a product of roots and differences.
        (sum, EPSILON * (self.n as f64 + 8.0) * size)
    }

    /// Checks finished moments.
    fn assert_moments(&self, moments: &Moments, context: &str) {
        let check = |what: &str, found: f64, (expected, bound): (f64, f64)| {
            let difference = (found - expected).abs();
            assert!(difference <= bound, "{context}: {what} is {found}, not {expected}");
        };
        for j in 0..self.k {
            check("weight", moments.weight(j), self.moment(j, |_| 1.0));
            for a in 0..self.d {
                check("first", moments.first(j)[a], self.moment(j, |i| self.z(j, i, a)));
                match self.shape {
                    Shape::Full => {
                        let row = moments.second_row(j, a);
                        for c in 0..=a {
                            let expected = self.moment(j, |i| self.z(j, i, a) * self.z(j, i, c));
                            check("second", row[c], expected);
                        }
                    }
                    Shape::Diagonal => {
                        let expected = self.moment(j, |i| self.z(j, i, a).powi(2));
                        check("second", moments.second_diagonal(j)[a], expected);
                    }
                }
            }
        }
    }

    /// Runs the kernels over blocks of at most `block` rows and checks everything.
    fn check(&self, level: Level, layout: Layout, block: usize, stride: usize) {
        let context = format!(
            "{level} {layout:?} {:?} k = {}, d = {}, n = {}",
            self.shape, self.k, self.d, self.n
        );
        let (packed, table) = (self.packed(), self.table(layout));
        let mut scratch = Scratch::with_level(&packed, level);
        let mut moments = Moments::new(&packed);
        for first in (0..self.n).step_by(block) {
            let n = block.min(self.n - first);
            let rows = table.rows(first, n);
            let mut scores = vec![STRAY; self.k * stride];
            score_all(&packed, rows, &mut scores, stride, &mut scratch);
            let mut weights = vec![STRAY; self.k * stride];
            for j in 0..self.k {
                for i in 0..n {
                    let (expected, bound) = self.score(j, first + i);
                    let found = scores[j * stride + i];
                    assert!(
                        (found - expected).abs() <= bound,
                        "{context}: score {found} of row {} under {j} is not {expected}",
                        first + i
                    );
                }
                let between = &scores[j * stride + n..(j + 1) * stride];
                assert!(between.iter().all(|s| s.to_bits() == STRAY.to_bits()), "{context}");
                weights[j * stride..][..n]
                    .copy_from_slice(&self.weights[j * self.n + first..][..n]);
            }
            observe_all(&packed, rows, &weights, stride, &mut moments, &mut scratch);
        }
        finish(&packed, &mut moments, &mut scratch);
        self.assert_moments(&moments, &context);
    }
}

struct Table {
    data: Vec<f64>,
    d: usize,
    row_stride: usize,
    column_stride: usize,
}

impl Table {
    fn rows(&self, first: usize, n: usize) -> Rows<'_> {
        let data = &self.data[first * self.row_stride..];
        let &Self { d, row_stride, column_stride, .. } = self;
        Rows { data, n, d, row_stride, column_stride }
    }
}

/// Numbers spread evenly over `[-1, 1)`, always the same.
fn numbers() -> impl Iterator<Item = f64> {
    (1_u64..).map(|i| {
        let bits = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11;
        bits as f64 / (1_u64 << 52) as f64 - 1.0
    })
}

const SHAPES: [Shape; 2] = [Shape::Full, Shape::Diagonal];

#[test]
fn agree_with_plain_loops_in_all_sizes() {
    for level in Level::available() {
        for shape in SHAPES {
            for d in DIMENSIONS {
                for k in [1, 2, 3, 7] {
                    let every = d < 16 || k == 3;
                    for n in if every { vec![1, 7, 255, 256, 257] } else { vec![7] } {
                        let case = Case::new(shape, k, d, n, 0.0);
                        case.check(level, Layout::RowMajor, BLOCK, BLOCK_STRIDE);
                    }
                }
            }
        }
    }
}

#[test]
fn agree_with_plain_loops_in_all_layouts_and_far_from_the_origin() {
    for level in Level::available() {
        for shape in SHAPES {
            for d in [1, 3, 8, 9, 32, 33] {
                for layout in LAYOUTS {
                    let case = Case::new(shape, 3, d, 71, 1e8);
                    case.check(level, layout, 32, 33);
                    case.check(level, layout, 31, 31);
                }
            }
        }
    }
}

#[test]
fn thousands_of_dimensions_work() {
    for level in Level::available() {
        for shape in SHAPES {
            Case::new(shape, 1, 2003, 3, 1.0).check(level, Layout::RowMajor, BLOCK, BLOCK_STRIDE);
        }
    }
}

/// More live rows than a queue holds, several times.
#[test]
fn long_queues_are_emptied_on_the_way() {
    for level in Level::available() {
        Case::new(Shape::Full, 2, 9, 1500, 0.0).check(level, Layout::Gaps, BLOCK, BLOCK_STRIDE);
    }
}

#[test]
fn observing_needs_no_scores_before() {
    for level in Level::available() {
        for shape in SHAPES {
            for d in [2, 8, 12] {
                let case = Case::new(shape, 2, d, 50, 0.0);
                let (packed, table) = (case.packed(), case.table(Layout::RowMajor));
                let mut scratch = Scratch::with_level(&packed, level);
                let mut moments = Moments::new(&packed);
                let mut scores = vec![0.0; 2 * 50];
                // Another part of the table was scored last.
                score_all(&packed, table.rows(10, 20), &mut scores, 50, &mut scratch);
                observe_all(
                    &packed,
                    table.rows(0, 50),
                    &case.weights,
                    50,
                    &mut moments,
                    &mut scratch,
                );
                finish(&packed, &mut moments, &mut scratch);
                case.assert_moments(&moments, "unscored");
            }
        }
    }
}

#[test]
fn finishing_twice_changes_nothing() {
    for level in Level::available() {
        for (shape, d) in [(Shape::Full, 3), (Shape::Full, 11), (Shape::Diagonal, 4)] {
            let case = Case::new(shape, 2, d, 20, 0.0);
            let (packed, table) = (case.packed(), case.table(Layout::RowMajor));
            let mut scratch = Scratch::with_level(&packed, level);
            let mut moments = Moments::new(&packed);
            observe_all(&packed, table.rows(0, 20), &case.weights, 20, &mut moments, &mut scratch);
            for _ in 0..2 {
                finish(&packed, &mut moments, &mut scratch);
                case.assert_moments(&moments, "finished");
            }
        }
    }
}

#[test]
fn a_bad_row_spoils_its_own_scores_only() {
    for level in Level::available() {
        for shape in SHAPES {
            for d in [2, 12] {
                for bad in [f64::NAN, f64::INFINITY] {
                    let case = Case::new(shape, 2, d, 40, 0.0);
                    let (packed, mut table) = (case.packed(), case.table(Layout::RowMajor));
                    table.data[17 * d + 1] = bad;
                    let mut scores = vec![0.0; 80];
                    let mut scratch = Scratch::with_level(&packed, level);
                    score_all(&packed, table.rows(0, 40), &mut scores, 40, &mut scratch);
                    for (i, score) in scores.iter().enumerate() {
                        assert_eq!(score.is_finite(), i % 40 != 17, "{level} {shape:?} {d} {i}");
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "longer than 256")]
fn long_blocks_are_refused() {
    let case = Case::new(Shape::Full, 1, 1, 257, 0.0);
    let (packed, table) = (case.packed(), case.table(Layout::RowMajor));
    let mut scratch = Scratch::new(&packed);
    score_all(&packed, table.rows(0, 257), &mut [0.0; 257], 257, &mut scratch);
}

/// Rows near one mean each, the means `distance` apart in every column.
fn clusters(k: usize, d: usize, n: usize, distance: f64) -> Case {
    let mut case = Case::new(Shape::Full, k, d, n, 0.0);
    case.means.iter_mut().for_each(|mean| *mean *= distance);
    for i in 0..n {
        for c in 0..d {
            case.x[i * d + c] += case.means[i % k * d + c];
        }
    }
    case
}

/// Every score has the bits of [`score_all`], or is `−∞` and below `2⁻⁶⁰` of the mixture's density; returns how many are `−∞`.
fn count_given_up(case: &Case, log_weights: &[f64], level: Level, layout: Layout) -> usize {
    let (k, n) = (case.k, case.n);
    let (packed, table) = (case.packed(), case.table(layout));
    let mut scratch = Scratch::with_level(&packed, level);
    let (mut all, mut relevant) = (vec![STRAY; k * BLOCK_STRIDE], vec![STRAY; k * BLOCK_STRIDE]);
    score_all(&packed, table.rows(0, n), &mut all, BLOCK_STRIDE, &mut scratch);
    let rows = table.rows(0, n);
    score_relevant(&packed, rows, log_weights, &mut relevant, BLOCK_STRIDE, &mut scratch);
    let mut given_up = 0;
    for i in 0..BLOCK_STRIDE {
        let at = |j: usize| j * BLOCK_STRIDE + i;
        let joint: Vec<f64> = (0..k).map(|j| all[at(j)] + log_weights[j]).collect();
        let log_density = elbo_linalg::log_sum_exp(&joint);
        for j in 0..k {
            if relevant[at(j)].to_bits() != all[at(j)].to_bits() {
                assert!(i < n && relevant[at(j)] == f64::NEG_INFINITY, "{level} {i} {j}");
                // rounding of a bound is that of the score, and far below one nat here
                assert!(all[at(j)] < log_density - 41.5, "{level} {i} {j}: {}", all[at(j)]);
                given_up += 1;
            }
        }
    }
    given_up
}

#[test]
fn relevant_scores_are_all_scores_or_provably_small() {
    for level in Level::available() {
        for layout in LAYOUTS {
            for (d, n) in [(16, 256), (17, 1), (31, 100), (33, 37), (100, 255)] {
                let k = 5;
                let log_weights = [0.1_f64, 0.3, 0.5, 1e-300, 0.1].map(f64::ln);
                let apart = clusters(k, d, n, 20.0);
                let given_up = count_given_up(&apart, &log_weights, level, layout);
                assert_eq!(given_up, (k - 1) * n, "{level} {layout:?} {d} {n}");
                let some = count_given_up(&clusters(k, d, n, 2.0), &log_weights, level, layout);
                assert!(n == 1 || some < given_up, "{level} {layout:?} {d} {n}: {some}");
                for distance in [3.0, 4.0, 6.0, 8.0] {
                    // scores on both sides of the cut
                    let near = clusters(k, d, n, distance);
                    count_given_up(&near, &log_weights, level, layout);
                }
                let none = clusters(k, d, n, 0.0);
                assert!(count_given_up(&none, &log_weights, level, layout) < given_up);
            }
        }
    }
}

#[test]
fn a_weight_that_is_nothing_gives_up_nothing() {
    for level in Level::available() {
        // Only the component of weight 0 is near: what it says about the others proves nothing.
        let mut case = clusters(3, 20, 40, 20.0);
        for i in 0..case.n {
            case.x.copy_within(0..case.d, i * case.d);
        }
        let weights = [f64::NEG_INFINITY, 0.5_f64.ln(), 0.5_f64.ln()];
        let given_up = count_given_up(&case, &weights, level, Layout::RowMajor);
        assert!(given_up <= 2 * case.n, "{level}: {given_up}");
        let nothing = [f64::NEG_INFINITY; 3];
        assert_eq!(count_given_up(&case, &nothing, level, Layout::RowMajor), 0, "{level}");
    }
}

#[test]
fn a_bad_row_has_no_relevant_score() {
    for level in Level::available() {
        for column in [1, 30] {
            let (case, d) = (clusters(4, 32, 40, 20.0), 32);
            let (packed, mut table) = (case.packed(), case.table(Layout::RowMajor));
            table.data[17 * d + column] = f64::NAN;
            let mut scores = vec![0.0; 160];
            let mut scratch = Scratch::with_level(&packed, level);
            let weights = [0.25_f64.ln(); 4];
            score_relevant(&packed, table.rows(0, 40), &weights, &mut scores, 40, &mut scratch);
            for (i, score) in scores.iter().enumerate() {
                assert_eq!(score.is_nan(), i % 40 == 17, "{level} {column} {i}");
            }
        }
    }
}

#[test]
fn scores_in_full_follow_where_all_matter_until_the_chunk_ends() {
    let (mixed, apart) = (clusters(4, 16, 64, 0.0), clusters(4, 16, 64, 20.0));
    let (mut packed, weights) = (mixed.packed(), [0.25_f64.ln(); 4]);
    let mut scratch = Scratch::new(&packed);
    let given_up = |packed: &PackedGaussians, case: &Case, scratch: &mut Scratch| {
        let (table, mut scores) = (case.table(Layout::RowMajor), vec![0.0; 4 * 64]);
        score_relevant(packed, table.rows(0, 64), &weights, &mut scores, 64, scratch);
        scores.iter().filter(|score| score.is_infinite()).count()
    };
    assert_eq!(given_up(&packed, &mixed, &mut scratch), 0);
    packed = apart.packed();
    assert_eq!(given_up(&packed, &apart, &mut scratch), 0);
    finish(&packed, &mut Moments::new(&packed), &mut scratch);
    assert_eq!(given_up(&packed, &apart, &mut scratch), 3 * 64);
}

#[test]
fn what_is_given_up_lies_below_two_to_the_minus_sixty() {
    // One row at the first mean; all that tells the components apart is in the bound.
    let (k, d) = (3, 16);
    let identity: Vec<f64> =
        (0..d * d).map(|at| if at / d == at % d { 1.0 } else { 0.0 }).collect();
    let log_weights = [0.5_f64, 0.25, 0.25].map(f64::ln);
    let cut = 60.0 * 2_f64.ln() - log_weights[0];
    for level in Level::available() {
        for (gap, is_kept) in [(cut - 0.01, true), (cut + 0.01, false)] {
            let mut packed = PackedGaussians::new(Shape::Full, k, d);
            for (j, distance) in [0.0, (2.0 * gap).sqrt(), 1e3].into_iter().enumerate() {
                let mut mean = vec![0.0; d];
                mean[0] = distance;
                packed.set(j, 0.0, &mean, &identity);
            }
            let x = vec![0.0; d];
            let rows = Rows { data: &x, n: 1, d, row_stride: d, column_stride: 1 };
            let (mut scores, mut scratch) = ([0.0; 3], Scratch::with_level(&packed, level));
            score_relevant(&packed, rows, &log_weights, &mut scores, 1, &mut scratch);
            assert_eq!(scores[1].is_finite(), is_kept, "{level} {gap}: {scores:?}");
            assert_eq!((scores[0], scores[2]), (0.0, f64::NEG_INFINITY), "{level}");
        }
    }
}
