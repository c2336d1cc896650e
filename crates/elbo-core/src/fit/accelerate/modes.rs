//! Newton's step in the span of a few directions, mode by mode.

use super::eigen::{Small, diagonalize};

pub(super) use super::eigen::MAX;

/// Directions whose part outside the others is below this, squared, are left out.
const DEPENDENT: f64 = 1e-6;
/// Modes that converge faster than this are left to the next plain step, which does nearly the same.
const FAST: f64 = 0.5;

/// How residuals change along some directions: the products that Newton's step is made of.
pub(super) struct Products {
    /// Number of directions.
    n: usize,
    /// `−⟨Δrᵢ, Δηⱼ⟩` at `[j][i]`: observed information.
    pub(super) observed: Small,
    /// `⟨Δxᵢ, Δηⱼ⟩` at `[j][i]`: complete-data information.
    pub(super) complete: Small,
    /// `⟨r, Δηⱼ⟩`: the gradient.
    pub(super) gradient: [f64; MAX],
}

/// A step in the span.
#[derive(Debug)]
pub(super) struct Solution {
    /// Coefficients of the directions.
    pub(super) gamma: [f64; MAX],
    /// Was a mode held back by the bound?
    pub(super) is_bounded: bool,
    /// Is some mode slow?
    pub(super) is_worth_it: bool,
    /// What the step gains by the quadratic model.
    pub(super) gap: f64,
}

/// Directions along which both kinds of information are diagonal.
struct Modes {
    count: usize,
    /// One in each column.
    directions: Small,
    /// Fractions of the information that were observed, on the diagonal.
    fractions: Small,
}

impl Products {
    /// All zero.
    pub(super) fn new(n: usize) -> Self {
        let (observed, complete) = (Small::default(), Small::default());
        Self { n, observed, complete, gradient: [0.0; MAX] }
    }

    /// The zero of the gradient in the span, every mode extrapolated at most `bound` times; `None` if no direction can be
    /// used.
    pub(super) fn solve(&self, bound: f64) -> Option<Solution> {
        let modes = self.modes()?;
        let mut solution =
            Solution { gamma: [0.0; MAX], is_bounded: false, is_worth_it: false, gap: 0.0 };
        for k in 0..modes.count {
            let along = |i: usize| modes.directions[i][k];
            let slope: f64 = (0..self.n).map(|i| along(i) * self.gradient[i]).sum();
            let fraction = modes.fractions[k][k];
            solution.is_bounded |= fraction * bound < 1.0;
            solution.is_worth_it |= fraction < FAST;
            let factor = 1.0 / fraction.max(1.0 / bound);
            solution.gap += 0.5 * factor * slope * slope;
            for i in 0..self.n {
                solution.gamma[i] -= along(i) * factor * slope;
            }
        }
        Some(solution)
    }

    /// Solves the generalized eigenproblem of the two kinds of information.
    fn modes(&self) -> Option<Modes> {
        let n = self.n;
        let scale = self.scale();
        let mut complete = scaled(&self.complete, &scale);
        let observed = scaled(&self.observed, &scale);
        let finite = |a: &Small| a.iter().flatten().all(|x| x.is_finite());
        if !(finite(&complete) && finite(&observed)) {
            return None;
        }
        let vectors = diagonalize(&mut complete, n);
        // Columns of `basis` are orthonormal in the metric of the complete data.
        let (mut basis, mut count) = (Small::default(), 0);
        for k in (0..n).filter(|k| complete[*k][*k] > DEPENDENT) {
            for i in 0..n {
                basis[i][count] = vectors[i][k] / complete[k][k].sqrt();
            }
            count += 1;
        }
        let mut fractions = product(&transposed(&basis), &product(&observed, &basis));
        let rotation = diagonalize(&mut fractions, count);
        let mut directions = product(&basis, &rotation);
        for (row, scale) in directions.iter_mut().zip(scale) {
            for x in row {
                *x *= scale;
            }
        }
        (count > 0).then_some(Modes { count, directions, fractions })
    }

    /// What makes directions of length one; zero for those up to the last that has no length, which misled.
    fn scale(&self) -> [f64; MAX] {
        let length = |i: usize| self.complete[i][i];
        let first = (0..self.n).rfind(|i| length(*i).is_nan() || length(*i) <= 0.0);
        let first = first.map_or(0, |bad| bad + 1);
        let mut scale = [0.0; MAX];
        for (i, scale) in scale.iter_mut().enumerate().take(self.n).skip(first) {
            *scale = length(i).sqrt().recip();
        }
        scale
    }
}

/// The symmetric part, in directions scaled so.
fn scaled(a: &Small, scale: &[f64; MAX]) -> Small {
    let element = |i: usize, j: usize| match scale[i] * scale[j] {
        0.0 => 0.0, // whatever it was
        factor => 0.5 * (a[i][j] + a[j][i]) * factor,
    };
    std::array::from_fn(|i| std::array::from_fn(|j| element(i, j)))
}

fn product(a: &Small, b: &Small) -> Small {
    let element = |i: usize, j: usize| (0..MAX).map(|k| a[i][k] * b[k][j]).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| element(i, j)))
}

fn transposed(a: &Small) -> Small {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quadratic `−½ zᵀ A z` with complete information `C`, seen along directions `D` from `z`.
    fn seen_along(
        n: usize,
        observed: &Small,
        complete: &Small,
        d: &Small,
        z: &[f64; MAX],
    ) -> Products {
        let along = |a: &Small| product(&transposed(d), &product(a, d));
        let mut products = Products::new(n);
        products.observed = along(observed);
        products.complete = along(complete);
        let slope = |i: usize| -(0..MAX).map(|k| observed[i][k] * z[k]).sum::<f64>();
        products.gradient = std::array::from_fn(|j| (0..MAX).map(|i| d[i][j] * slope(i)).sum());
        products
    }

    #[test]
    fn enough_directions_end_at_the_optimum() {
        let diagonal = |values: [f64; MAX]| -> Small {
            std::array::from_fn(|i| std::array::from_fn(|j| if i == j { values[i] } else { 0.0 }))
        };
        let complete = diagonal([1.0, 4.0, 2.0, 9.0, 1.0]);
        let observed = diagonal([0.5, 0.4, 0.02, 0.009, 0.3]);
        let d: Small = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                ((i * i + 3 * j + 1) as f64).sin() + f64::from(u8::from(i == j))
            })
        });
        let z = [1.0, -2.0, 0.5, 0.1, 3.0];
        let products = seen_along(MAX, &observed, &complete, &d, &z);
        let solution = products.solve(1e6).unwrap();
        assert!(!solution.is_bounded && solution.is_worth_it);
        for i in 0..MAX {
            // The step is −Σγ d.
            let at = z[i] - (0..MAX).map(|j| solution.gamma[j] * d[i][j]).sum::<f64>();
            assert!(at.abs() < 1e-8, "coordinate {i} is off by {at}");
        }
        let left: f64 = (0..MAX).map(|i| 0.5 * observed[i][i] * z[i] * z[i]).sum();
        assert!((solution.gap - left).abs() < 1e-8 * left, "{} {left}", solution.gap);
        // A bound of 10 holds back the modes of fractions 0.01 and 0.001.
        assert!(products.solve(10.0).unwrap().is_bounded);
    }

    #[test]
    fn what_misleads_is_left_out() {
        let mut products = Products::new(2);
        products.complete = [[0.0; MAX]; MAX];
        assert!(products.solve(4.0).is_none(), "no direction has a length");
        (products.complete[1][1], products.observed[1][1]) = (1.0, 0.25);
        products.gradient = [f64::NAN, 1.0, 0.0, 0.0, 0.0];
        products.observed[0][0] = f64::NAN;
        products.gradient[0] = 0.0;
        let solution = products.solve(8.0).unwrap();
        assert_eq!((solution.gamma[0], solution.gamma[1]), (0.0, -4.0));
    }
}
