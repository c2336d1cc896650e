//! Distributions made ready to be drawn from many times.

use rand::{Rng, distr::Distribution};

use crate::Univariate;

/// Draws from finitely many values by one random word, one product and one look at a table.
///
/// Value `i` of `m` gets the words from `i·2⁶⁴/m` on; of its share the first part is its own, the rest an alias's.
///
/// # Source
///
/// Walker (1977), ACM Trans. Math. Softw. 3(3); the table as Vose (1991), IEEE Trans. Softw. Eng. 17(9), builds it.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Words of the share below this one are the value's own, of 2⁶⁴.
    own: u64,
    alias: u32,
}

const ALL: f64 = 18_446_744_073_709_551_616.0; // 2⁶⁴

impl Alias {
    /// Values in proportion to weights, which are finite, not negative and not all zero; fewer than 2³² of them. A value of
    /// weight zero is never drawn. Cost: three passes.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "values are below 2³², and the cast of shares saturates, as it should"
    )]
    pub(crate) fn new(weights: &[f64]) -> Self {
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        let mut left: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..weights.len() as u32).partition(|i| left[*i as usize] < 1.0);
        let mut cells: Vec<Cell> =
            (0..weights.len() as u32).map(|alias| Cell { own: u64::MAX, alias }).collect();
        let mut last = large.last().copied().unwrap_or(0);
        while let (Some(i), Some(j)) = (small.last().copied(), large.last().copied()) {
            small.pop();
            last = j;
            cells[i as usize] = Cell { own: (left[i as usize] * ALL) as u64, alias: j };
            left[j as usize] -= 1.0 - left[i as usize];
            if left[j as usize] < 1.0 {
                large.pop();
                small.push(j);
            }
        }
        // What is still here has a full share, up to rounding, unless rounding left over what must never be drawn.
        for i in small {
            if weights[i as usize] == 0.0 {
                cells[i as usize] = Cell { own: 0, alias: last };
            }
        }
        Self { cells }
    }
}

impl Distribution<u32> for Alias {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the upper half is below the table's length"
    )]
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u32 {
        let place = u128::from(rng.next_u64()) * self.cells.len() as u128;
        let (value, within) = ((place >> 64) as u32, place as u64);
        let cell = self.cells[value as usize];
        std::hint::select_unpredictable(within < cell.own, value, cell.alias)
    }
}

/// Draws of counts: from a table, or otherwise.
#[derive(Clone, Debug)]
pub(crate) enum CountSampler<D> {
    Table { first: u64, alias: Alias },
    Direct(D),
}

impl<D: Distribution<u64>> Distribution<u64> for CountSampler<D> {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> u64 {
        match self {
            Self::Table { first, alias } => first + u64::from(alias.sample(rng)),
            Self::Direct(direct) => direct.sample(rng),
        }
    }
}

/// Draws that pay for an entry of a table: one costs a log probability.
const DRAWS_PER_ENTRY: usize = 8;

/// Entries of the largest table: it stays in the cache.
const MOST_ENTRIES: usize = 1 << 15;

/// What a table leaves out of either tail: less than a random number of 53 bits could tell.
const TAIL: f64 = 1e-18;

/// Ready for `n` draws: from a table of the probabilities, where they pay for it, else from `direct`.
///
/// Ratios `p(x + 1)/p(x)` of neighbors must either fall with `x`, or stay below `ratio`; then what is left out is known.
pub(crate) fn unimodal<F: Univariate<Value = u64>, D: Distribution<u64>>(
    family: &F,
    n: usize,
    ratio: f64,
    direct: impl FnOnce() -> D,
) -> CountSampler<D> {
    let most = MOST_ENTRIES.min(n / DRAWS_PER_ENTRY);
    match body(family, most, ratio) {
        Some((first, weights)) => CountSampler::Table { first, alias: Alias::new(&weights) },
        None => CountSampler::Direct(direct()),
    }
}

/// The same for any distribution on `0..=last`.
pub(crate) fn bounded<F: Univariate<Value = u64>, D: Distribution<u64>>(
    family: &F,
    n: usize,
    last: u64,
    direct: impl FnOnce() -> D,
) -> CountSampler<D> {
    let most = MOST_ENTRIES.min(n / DRAWS_PER_ENTRY) as u64;
    if last < most {
        let weights: Vec<f64> = (0..=last).map(|x| family.log_density(x).exp()).collect();
        CountSampler::Table { first: 0, alias: Alias::new(&weights) }
    } else {
        CountSampler::Direct(direct())
    }
}

/// The first of at most `most` neighboring counts that have all but twice [`TAIL`] of the probability, and theirs.
fn body<F: Univariate<Value = u64>>(
    family: &F,
    most: usize,
    ratio: f64,
) -> Option<(u64, Vec<f64>)> {
    let width = 16.0 * family.variance().sqrt();
    if width.is_nan() || width >= most as f64 {
        return None;
    }
    let start = family.quantile(0.5);
    let p = |x: u64| family.log_density(x).exp();
    let mut weights = walk(p(start), (0..start).rev().map(p), 0.0, most)?;
    let first = start - weights.len() as u64;
    weights.reverse();
    weights.push(p(start));
    let room = most.checked_sub(weights.len())?;
    weights.append(&mut walk(p(start), (start + 1..u64::MAX).map(p), ratio, room)?);
    Some((first, weights))
}

/// Probabilities that follow one of `last` until the rest, a geometric series at most, is negligible; `None` where these are
/// more than `most`.
fn walk(
    mut last: f64,
    probabilities: impl Iterator<Item = f64>,
    ratio: f64,
    most: usize,
) -> Option<Vec<f64>> {
    let mut walked = Vec::new();
    for p in probabilities {
        let falls = (p / last).max(ratio);
        if p == 0.0 || (falls < 1.0 && p / (1.0 - falls) < TAIL) {
            break;
        }
        if walked.len() == most {
            return None;
        }
        walked.push(p);
        last = p;
    }
    Some(walked)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, distr::Distribution, rngs::ChaCha8Rng};

    use super::{Alias, body};
    use crate::{Binomial, Geometric, NegativeBinomial, Poisson, Univariate};

    /// The probability that the table gives each value, to the last bit of its words.
    fn probabilities(table: &Alias) -> Vec<f64> {
        let m = table.cells.len() as f64;
        let mut p = vec![0.0; table.cells.len()];
        for (cell, i) in table.cells.iter().zip(0..) {
            let own = if cell.alias == i { 1.0 } else { cell.own as f64 / super::ALL };
            p[i as usize] += own / m;
            p[cell.alias as usize] += (1.0 - own) / m;
        }
        p
    }

    #[test]
    fn tables_keep_probabilities_to_rounding() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for m in [1_usize, 2, 3, 7, 64, 1000] {
            let weights: Vec<f64> = (0..m)
                .map(|i| if i % 5 == 3 { 0.0 } else { f64::from(rng.next_u32() >> 9) })
                .collect();
            let sum: f64 = weights.iter().sum();
            for (p, weight) in probabilities(&Alias::new(&weights)).iter().zip(&weights) {
                // Each of up to m subtractions rounds numbers up to m once, each sum of m terms m times.
                assert!(
                    (p - weight / sum).abs() <= m as f64 * f64::EPSILON,
                    "{p} of {weight}/{sum}"
                );
                assert!(*weight > 0.0 || *p == 0.0);
            }
        }
    }

    #[test]
    fn what_cannot_be_is_never_drawn() {
        let table = Alias::new(&[0.0, 0.1, 0.0, 0.2, 0.7, 0.0]);
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let draws = (0..10_000).map(|_| table.sample(&mut rng));
        assert!(draws.into_iter().all(|x| [1, 3, 4].contains(&x)));
    }

    /// What a table leaves out is summed term by term, far beyond it.
    #[test]
    fn tables_have_all_probability_but_the_negligible() {
        fn check<F: Univariate<Value = u64>>(family: &F, ratio: f64) {
            let (first, weights) = body(family, 1 << 20, ratio).expect("room enough");
            let p = |x: u64| family.log_density(x).exp();
            let beyond = first + weights.len() as u64;
            let above: f64 = (beyond..beyond + 100_000).map(p).sum();
            let below: f64 = (0..first).map(p).sum();
            assert!(above < super::TAIL && below < super::TAIL, "{above:e} above, {below:e} below");
        }
        for rate in [0.001, 0.7, 12.5, 300.0, 7e4] {
            check(&Poisson::new(rate).unwrap(), 0.0);
        }
        for (trials, p) in [(1, 0.5), (40, 0.3), (1000, 0.999), (1_000_000, 0.01)] {
            check(&Binomial::new(trials, p).unwrap(), 0.0);
        }
        for (size, mean) in [(0.05, 3.0), (1.0, 10.0), (2.5, 6.0), (300.0, 40.0)] {
            check(&NegativeBinomial::new(size, mean).unwrap(), mean / (mean + size));
        }
        check(&Geometric::new(0.02).unwrap(), 0.98);
    }

    #[test]
    fn wide_distributions_have_no_table() {
        assert!(body(&Poisson::new(1e9).unwrap(), 1 << 15, 0.0).is_none());
    }
}
