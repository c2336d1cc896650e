//! Hessians by central differences.

use crate::map_in_order;

/// Size of the steps, in units of about a standard error each: what is left out is of order `STEP⁴/n`, rounding counts
/// `1/STEP²` times.
const STEP: f64 = 0.1;

/// A function's value, gradient and Hessian.
pub(super) struct Expansion {
    pub(super) gradient: Vec<f64>,
    /// `r × r`.
    pub(super) hessian: Vec<f64>,
}

/// Expands `f` about zero, side by side. `f` gets one or two moves, each a coordinate below `r` and by how much.
///
/// Cost: `2r² + 2r + 1` values. Fourth order: five points on each axis, and for each pair of axes the diagonal at two
/// lengths, extrapolated.
pub(super) fn expand(r: usize, f: impl Fn(&[(usize, f64)]) -> f64 + Sync) -> Expansion {
    let here = f(&[]);
    let lengths = [STEP, -STEP, 2.0 * STEP, -2.0 * STEP];
    // Differences to the value here, so that large values lose nothing more.
    let axes = map_in_order(r, |i| lengths.map(|h| f(&[(i, h)]) - here));
    let mut hessian = vec![0.0; r * r];
    let gradient = axes.iter().map(|[a, b, c, d]| (8.0 * (a - b) - (c - d)) / (12.0 * STEP));
    for (i, [a, b, c, d]) in axes.iter().enumerate() {
        hessian[i * r + i] = (16.0 * (a + b) - (c + d)) / (12.0 * STEP * STEP);
    }
    let pairs: Vec<(usize, usize)> = (0..r).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
    let mixed = map_in_order(pairs.len(), |at| {
        let (i, j) = pairs[at];
        let [near, mirrored, far, far_mirrored] = lengths.map(|h| f(&[(i, h), (j, h)]) - here);
        let on_axes = |at: usize| axes[i][at] + axes[j][at];
        let short = (near + mirrored - on_axes(0) - on_axes(1)) / (2.0 * STEP * STEP);
        let long = (far + far_mirrored - on_axes(2) - on_axes(3)) / (8.0 * STEP * STEP);
        (4.0 * short - long) / 3.0
    });
    for ((i, j), value) in pairs.iter().zip(mixed) {
        hessian[i * r + j] = value;
        hessian[j * r + i] = value;
    }
    Expansion { gradient: gradient.collect(), hessian }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_is_expanded_exactly() {
        // 1 + 2x − y + 3x² + xy − 2y² + x²y, moved along axes and diagonals
        let f = |moves: &[(usize, f64)]| {
            let at = |k| moves.iter().filter(|(i, _)| *i == k).map(|(_, h)| h).sum::<f64>();
            let (x, y) = (at(0), at(1));
            1.0 + 2.0 * x - y + 3.0 * x * x + x * y - 2.0 * y * y + x * x * y
        };
        let Expansion { gradient, hessian } = expand(2, f);
        for (found, wanted) in gradient.iter().chain(&hessian).zip([2.0, -1.0, 6.0, 1.0, 1.0, -4.0])
        {
            assert!((found - wanted).abs() < 1e-12, "{found} for {wanted}");
        }
    }
}
