//! Weighted counts, so condensed that the sum of any smooth function over them is kept.

use std::f64::consts::PI;

/// Counts below are tallied one by one.
pub(crate) const TABLE: usize = 256;

/// Beyond, `[256 · 16ᶜ, 256 · 16ᶜ⁺¹)` is cell `c`, up to 2⁶⁴.
const CELLS: usize = 14;

/// Chebyshev moments kept of each cell.
const ORDER: usize = 24;

/// Numbers in a tally.
///
/// The first [`TABLE`] are the weights of the counts `0 … 255`. The others are, cell by cell, `Σw Tₖ(t)`, `k < 24`, where `t`
/// runs from −1 to 1 as `ln x` runs through the cell. They determine `Σw f(x)` for every polynomial `f` of degree 23 in `ln x`.
/// A function like `ψ(r + x)`, `r > 0`, is analytic in `ln x` in the strip `|Im| < π`, of which the ellipse about a cell
/// with semi-axes that sum to 4.7 is a part: its Chebyshev series falls as `4.7⁻ᵏ`, and 24 terms leave some `10⁻¹⁵`.
///
/// So a sum that would need every single count is had, to rounding, from a vector of fixed length that adds up.
///
/// Source: convergence of Chebyshev series: Trefethen (2013), *Approximation Theory and Approximation Practice*, chapter 8.
pub(crate) const LEN: usize = TABLE + CELLS * ORDER;

/// Where a count is tallied.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A count of its own.
    Table(usize),
    /// The moments of a cell start here; `t` is the place within.
    Cell { start: usize, t: f64 },
}

impl Place {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts below 2⁶⁴, a table index below 256"
    )]
    pub(crate) fn of(x: f64) -> Self {
        if x < TABLE as f64 {
            return Self::Table(x as usize);
        }
        let log2 = x.log2();
        let cell = (((log2 - 8.0) / 4.0) as usize).min(CELLS - 1);
        let t = ((log2 - 10.0 - 4.0 * cell as f64) / 2.0).clamp(-1.0, 1.0);
        Self::Cell { start: TABLE + cell * ORDER, t }
    }

    /// One past the last number that this place touches.
    pub(crate) fn end(self) -> usize {
        match self {
            Self::Table(x) => x + 1,
            Self::Cell { start, .. } => start + ORDER,
        }
    }

    /// Calls `add(index, factor)` for all numbers that `w` at this place adds `w · factor` to.
    pub(crate) fn for_each(self, mut add: impl FnMut(usize, f64)) {
        match self {
            Self::Table(x) => add(x, 1.0),
            Self::Cell { start, t } => {
                let (mut before, mut now) = (t, 1.0); // T₋₁ = T₁
                for index in start..start + ORDER {
                    add(index, now);
                    (before, now) = (now, 2.0 * t * now - before);
                }
            }
        }
    }
}

/// Weighted points, counts below 256 left out, over which sums of smooth functions are those over the tallied counts.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    points: [(f64, f64); CELLS * ORDER],
    len: usize,
}

impl Nodes {
    /// The Chebyshev points of all cells that hold anything.
    pub(crate) fn of(tally: &[f64]) -> Self {
        let mut nodes = Self { points: [(0.0, 0.0); CELLS * ORDER], len: 0 };
        for (cell, moments) in tally[TABLE..].chunks_exact(ORDER).enumerate() {
            if moments.iter().all(|m| *m == 0.0) {
                continue;
            }
            for j in 0..ORDER {
                let t = (PI * (j as f64 + 0.5) / ORDER as f64).cos();
                let (mut before, mut now, mut sum) = (t, 1.0, -0.5 * moments[0]);
                for moment in moments {
                    sum += moment * now;
                    (before, now) = (now, 2.0 * t * now - before);
                }
                let x = (2.0 * t + 10.0 + 4.0 * cell as f64).exp2();
                nodes.points[nodes.len] = (x, 2.0 / ORDER as f64 * sum);
                nodes.len += 1;
            }
        }
        nodes
    }

    /// `(x, w)`, for `Σ w f(x)`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points[..self.len].iter().copied()
    }
}

/// `Σw`.
pub(crate) fn total_weight(tally: &[f64]) -> f64 {
    let (table, cells) = tally.split_at(TABLE);
    table.iter().sum::<f64>() + cells.iter().step_by(ORDER).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::digamma;

    #[test]
    fn sums_of_smooth_functions_are_kept() {
        // Counts at the ends, in the middle and beyond the middle of cells.
        let counts =
            [0.0, 3.0, 255.0, 256.0, 257.0, 1000.0, 4095.0, 4096.0, 65_537.0, 3e6, 1e9, 1.8e19];
        for r in [1e-9, 0.3, 20.0, 1e4, 1e12] {
            for x in counts {
                let mut tally = [0.0; LEN];
                Place::of(x).for_each(|index, factor| tally[index] += 1.5 * factor);
                assert!((total_weight(&tally) - 1.5).abs() < 1e-14);
                let table: f64 = (0..TABLE).map(|y| tally[y] * digamma(r + y as f64)).sum();
                let rest: f64 = Nodes::of(&tally).iter().map(|(y, w)| w * digamma(r + y)).sum();
                let expected = 1.5 * digamma(r + x);
                let size = expected.abs().max(1.0);
                assert!((table + rest - expected).abs() < 4e-14 * size, "{r} {x}");
            }
        }
    }
}
