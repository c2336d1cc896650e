//! Exact k-means of numbers: on a line the best clusters are intervals, and dynamic programming finds them.

use elbo_core::{DataError, FitError, Weighted};

use super::centers::Centers;

/// The best of all partitions of numbers into `k` clusters.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExactKMeans {
    /// The centers, ascending.
    pub centers: Centers,
    /// `Σᵢ wᵢ (xᵢ − c)²`: no partition has less, up to rounding.
    pub inertia: f64,
    /// Total weight of the numbers of each center.
    pub sizes: Vec<f64>,
}

/// Exact k-means of weighted numbers.
///
/// Cost: sorting, `O(k m log m)` for `m` distinct numbers, and `4 k m` bytes. Sums carry twice the digits of `f64`, so that
/// offsets and far clusters cost none.
///
/// Source: Wang & Song (2011), R Journal 3(2), for the recursion; the divide and conquer over its monotone minima is
/// Grønlund et al. (2017), arXiv:1701.07204.
///
/// # Errors
///
/// [`DataError`] if there are no numbers, one is NaN or infinite, or there are fewer distinct ones than clusters.
///
/// # Panics
///
/// If `k = 0`.
///
/// ```
/// use elbo_mixture::exact_kmeans;
///
/// let numbers = [1.0, 2.0, 9.0, 10.0, 11.0];
/// let exact = exact_kmeans((&numbers[..]).into(), 2)?;
/// assert_eq!(exact.centers.values(), [1.5, 10.0]);
/// assert_eq!(exact.inertia, 2.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn exact_kmeans(data: Weighted<'_, &[f64]>, k: usize) -> Result<ExactKMeans, FitError> {
    assert!(k > 0, "k-means needs a center");
    let sums = Sums::of(data)?;
    let m = sums.values.len();
    if m < k {
        return Err(DataError::TooFewDistinct { distinct: m, needed: k }.into());
    }
    let borders = sums.borders(k);
    let mut exact = ExactKMeans {
        centers: Centers::new(vec![0.0], 1).map_err(|_| DataError::Empty)?,
        inertia: 0.0,
        sizes: Vec::with_capacity(k),
    };
    let mut centers = Vec::with_capacity(k);
    for pair in borders.windows(2) {
        let (weight, first, _) = sums.between(pair[0], pair[1]);
        centers.push(sums.origin + first.0 / weight);
        exact.sizes.push(weight);
        exact.inertia += sums.cost(pair[0], pair[1]);
    }
    exact.centers = Centers::new(centers, 1).map_err(|_| DataError::Empty)?;
    Ok(exact)
}

/// A number in two parts, the second of which is lost in the rounding of the first.
#[derive(Clone, Copy, Debug)]
struct Double(f64, f64);

impl Double {
    /// `a + b`, exactly.
    fn sum(a: f64, b: f64) -> Self {
        let sum = a + b;
        let part = sum - a;
        Self(sum, (a - (sum - part)) + (b - part))
    }

    /// `a · b`, exactly.
    fn product(a: f64, b: f64) -> Self {
        let product = a * b;
        Self(product, a.mul_add(b, -product))
    }

    fn plus(self, other: Self) -> Self {
        let high = Self::sum(self.0, other.0);
        let low = Self::sum(self.1, other.1);
        let high = Self::sum(high.0, high.1 + low.0);
        Self::sum(high.0, high.1 + low.1)
    }

    fn minus(self, other: Self) -> Self {
        self.plus(Self(-other.0, -other.1))
    }

    fn times(self, other: Self) -> Self {
        let high = Self::product(self.0, other.0);
        Self::sum(high.0, high.1 + (self.0 * other.1 + self.1 * other.0))
    }

    fn over(self, divisor: f64) -> Self {
        let first = self.0 / divisor;
        let rest = self.minus(Self::product(first, divisor));
        Self::sum(first, rest.0 / divisor)
    }
}

/// Distinct numbers, ascending, and sums of all up to each.
struct Sums {
    origin: f64,
    values: Vec<f64>,
    weights: Vec<f64>,
    firsts: Vec<Double>,
    seconds: Vec<Double>,
}

impl Sums {
    fn of(data: Weighted<'_, &[f64]>) -> Result<Self, DataError> {
        let values = data.units();
        if let Some(row) = values.iter().position(|x| !x.is_finite()) {
            return Err(DataError::NotFinite { row, column: 0, value: values[row] });
        }
        let weight = |i: usize| data.weights().map_or(1.0, |weights| weights[i]);
        let mut order: Vec<usize> = (0..values.len()).filter(|i| weight(*i) > 0.0).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let middle = *order.get(order.len() / 2).ok_or(DataError::Empty)?;
        let zero = Double(0.0, 0.0);
        let mut sums = Self {
            origin: values[middle],
            values: Vec::new(),
            weights: vec![0.0],
            firsts: vec![zero],
            seconds: vec![zero],
        };
        let (mut total, mut first, mut second) = (zero, zero, zero);
        for i in order {
            let x = Double::sum(values[i], -sums.origin);
            let part = x.times(Double(weight(i), 0.0));
            total = total.plus(Double(weight(i), 0.0));
            first = first.plus(part);
            second = second.plus(part.times(x));
            #[allow(clippy::float_cmp, reason = "equal numbers stay together")]
            if sums.values.last() == Some(&values[i]) {
                sums.weights.pop();
                sums.firsts.pop();
                sums.seconds.pop();
            } else {
                sums.values.push(values[i]);
            }
            sums.weights.push(total.0);
            sums.firsts.push(first);
            sums.seconds.push(second);
        }
        Ok(sums)
    }

    /// Weight, first and second moment of the distinct numbers `from..to`.
    fn between(&self, from: usize, to: usize) -> (f64, Double, Double) {
        (
            self.weights[to] - self.weights[from],
            self.firsts[to].minus(self.firsts[from]),
            self.seconds[to].minus(self.seconds[from]),
        )
    }

    /// What it costs to make them one cluster.
    fn cost(&self, from: usize, to: usize) -> f64 {
        if to - from < 2 {
            return 0.0;
        }
        let (weight, first, second) = self.between(from, to);
        second.minus(first.times(first).over(weight)).0.max(0.0)
    }

    /// Where the `k` best intervals begin and end.
    fn borders(&self, k: usize) -> Vec<usize> {
        let m = self.values.len();
        let mut best: Vec<f64> = (0..=m).map(|to| self.cost(0, to)).collect();
        let mut next = vec![0.0; m + 1];
        let mut last_begins: Vec<Vec<u32>> = Vec::with_capacity(k);
        for clusters in 2..=k {
            let mut begins = vec![0_u32; m + 1];
            let layer = Layer { sums: self, before: &best };
            // The last layer is needed for all numbers alone.
            let ends = if clusters == k { m..m + 1 } else { clusters..m + 1 };
            layer.solve(ends, clusters - 1..m, &mut next, &mut begins);
            last_begins.push(begins);
            std::mem::swap(&mut best, &mut next);
        }
        let mut borders = vec![m];
        for begins in last_begins.iter().rev() {
            borders.push(begins[borders[borders.len() - 1]] as usize);
        }
        borders.push(0);
        borders.reverse();
        borders
    }
}

/// One more cluster: `next[to] = min over from of before[from] + cost(from, to)`, of which the best `from` grows with `to`.
struct Layer<'a> {
    sums: &'a Sums,
    before: &'a [f64],
}

impl Layer<'_> {
    fn solve(
        &self,
        ends: std::ops::Range<usize>,
        begins: std::ops::Range<usize>,
        next: &mut [f64],
        best_begins: &mut [u32],
    ) {
        if ends.is_empty() {
            return;
        }
        let to = ends.start.midpoint(ends.end - 1);
        let (mut best, mut place) = (f64::INFINITY, begins.start);
        for from in begins.start..begins.end.min(to) {
            let cost = self.before[from] + self.sums.cost(from, to);
            if cost < best {
                (best, place) = (cost, from);
            }
        }
        next[to] = best;
        best_begins[to] = u32::try_from(place).unwrap_or(u32::MAX);
        self.solve(ends.start..to, begins.start..place + 1, next, best_begins);
        self.solve(to + 1..ends.end, place..begins.end, next, best_begins);
    }
}
