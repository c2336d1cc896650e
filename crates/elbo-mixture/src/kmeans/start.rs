//! Where to start: rows far from each other.

use std::sync::{Mutex, PoisonError};

use elbo_core::{BLOCK, Batch, DataError, FitError, Rows, Weighted, map_in_order, mix};
use elbo_linalg::{Level, Number};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    builder::KMeans,
    centers::Centers,
    kernels::{Distances, MAX_PANEL},
    model::contiguous,
    packed::{Frame, GROUP, Packed},
};

/// Rows that one task measures.
const PIECE: usize = 16 * BLOCK;

/// Rounds of k-means‖; each asks for `k` rows on average.
const ROUNDS: u64 = 5;

/// How rows to start from are picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Spread {
    /// `PlusPlus` up to 2¹⁷ rows, `Parallel` beyond.
    #[default]
    Auto,
    /// Greedy k-means++: one row after the other, with probability proportional to weight × squared distance to the nearest
    /// one picked before; of `2 + ln k` draws the one that leaves the least is kept. `k` passes over the data.
    ///
    /// Source: Arthur & Vassilvitskii (2007), ACM-SIAM Symposium on Discrete Algorithms.
    PlusPlus,
    /// k-means‖: five passes pick some `5k` rows, each weighs as many as it is nearest to, and greedy k-means++ picks among
    /// them.
    ///
    /// Source: Bahmani et al. (2012), VLDB Endowment 5(7).
    Parallel,
    /// Bisecting k-means: the cluster that costs most is cut in two by 2-means, until there are enough. With no iteration
    /// after that ([`Settings::max_iterations`](elbo_core::Settings::max_iterations) 0) these are the centers fitted.
    Bisecting,
}

/// Starts of each cut in two.
const BISECTING_STARTS: usize = 3;

/// Rows of a cluster with what was fitted to them.
struct Part {
    rows: Vec<usize>,
    centers: Vec<f64>,
    cost: f64,
}

/// Picks rows of one data set.
pub(super) struct Seeds<'a, T> {
    pub(super) data: Weighted<'a, Rows<'a, T>>,
    pub(super) frame: &'a Frame<T>,
}

/// Squared distance of every row to the nearest row picked, and which one that is.
struct Nearby {
    squares: Vec<f64>,
    owners: Vec<u32>,
}

/// The same for all pieces, and their masses `Σ w d²`.
struct Potential {
    pieces: Vec<Mutex<Nearby>>,
    masses: Vec<f64>,
}

impl<T: Number> Seeds<'_, T> {
    /// `k` centers, `k × d`, at rows that differ.
    pub(super) fn pick(&self, k: usize, spread: Spread, seed: u64) -> Result<Vec<f64>, DataError> {
        let parallel = match spread {
            Spread::Auto => self.data.len() > 1 << 17,
            Spread::PlusPlus => false,
            Spread::Parallel => true,
            Spread::Bisecting => return self.bisect(k, seed),
        };
        if parallel && let Some(centers) = self.in_parallel(k, seed)? {
            return Ok(centers);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = self.one_by_one(k, &mut rng)?;
        Ok(self.values(&rows).into_iter().map(Into::into).collect())
    }

    /// Cuts the cluster that costs most, until there are `k`.
    fn bisect(&self, k: usize, seed: u64) -> Result<Vec<f64>, DataError> {
        let d = self.data.units().d();
        let all: Vec<usize> = (0..self.data.len()).filter(|i| self.weight(*i) > 0.0).collect();
        let mut parts = vec![self.part(all, 1, seed)?];
        while parts.len() < k {
            let mut worst = 0;
            for (j, part) in parts.iter().enumerate() {
                if part.cost > parts[worst].cost {
                    worst = j;
                }
            }
            let distinct = parts.len();
            let too_few = DataError::TooFewDistinct { distinct, needed: k };
            if parts[worst].cost <= 0.0 {
                return Err(too_few);
            }
            let rows = std::mem::take(&mut parts[worst].rows);
            let seed = mix(seed, distinct as u64);
            let cut = self.part(rows.clone(), 2, seed).map_err(|_| too_few)?;
            let values = self.values(&rows);
            let labels = Centers::new(cut.centers, d)
                .map_err(|_| DataError::Empty)?
                .predict(Rows::new(&values, rows.len(), d))?;
            let side = |side: usize| {
                let pairs = rows.iter().zip(&labels).filter(|(_, label)| **label == side);
                pairs.map(|(row, _)| *row).collect::<Vec<_>>()
            };
            parts[worst] = self.part(side(0), 1, seed)?;
            parts.push(self.part(side(1), 1, seed)?);
        }
        Ok(parts.into_iter().flat_map(|part| part.centers).collect())
    }

    /// Some rows, fitted by one center or by two.
    fn part(&self, rows: Vec<usize>, k: usize, seed: u64) -> Result<Part, DataError> {
        let (values, d) = (self.values(&rows), self.data.units().d());
        let weights: Vec<f64> = rows.iter().map(|i| self.weight(*i)).collect();
        let data = Weighted::new(Rows::new(&values, rows.len(), d), &weights)?;
        let starts = if k == 1 { 1 } else { BISECTING_STARTS };
        let builder = KMeans::new(k).starts(starts).seed(seed).spread(Spread::PlusPlus);
        let fitted = builder.fit(data).map_err(|error| match error {
            FitError::Data(error) => error,
            _ => DataError::Empty,
        })?;
        Ok(Part { rows, centers: fitted.centers.values().to_vec(), cost: fitted.inertia })
    }

    fn weight(&self, i: usize) -> f64 {
        self.data.weights().map_or(1.0, |weights| weights[i])
    }

    /// The values of rows, one after the other.
    fn values(&self, rows: &[usize]) -> Vec<T> {
        let units = self.data.units();
        rows.iter().flat_map(|i| (0..units.d()).map(move |j| units.get(*i, j))).collect()
    }

    /// Greedy k-means++.
    fn one_by_one(&self, k: usize, rng: &mut ChaCha8Rng) -> Result<Vec<usize>, DataError> {
        let mut potential = self.start();
        let first = self.draw(&potential, rng).ok_or(DataError::Empty)?;
        let mut rows = vec![first];
        self.add(&mut potential, &rows, 0);
        let trials = 2 + k.max(1).ilog2() as usize * 7 / 10;
        while rows.len() < k {
            let drawn: Option<Vec<usize>> =
                (0..trials).map(|_| self.draw(&potential, rng)).collect();
            let Some(drawn) = drawn else {
                return Err(DataError::TooFewDistinct { distinct: rows.len(), needed: k });
            };
            let left = self.left(&potential, &drawn);
            let mut best = 0;
            for (i, left_by) in left.iter().enumerate() {
                if *left_by < left[best] {
                    best = i;
                }
            }
            rows.push(drawn[best]);
            self.add(&mut potential, &drawn[best..=best], rows.len() - 1);
        }
        Ok(rows)
    }

    /// k-means‖; `None` where it met fewer than `k` rows.
    fn in_parallel(&self, k: usize, seed: u64) -> Result<Option<Vec<f64>>, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut potential = self.start();
        let mut rows = vec![self.draw(&potential, &mut rng).ok_or(DataError::Empty)?];
        self.add(&mut potential, &rows, 0);
        for round in 1..=ROUNDS {
            let total: f64 = potential.masses.iter().sum();
            let rate = k as f64 / total;
            let drawn: Vec<usize> = map_in_order(potential.pieces.len(), |piece| {
                let mut rng = ChaCha8Rng::seed_from_u64(mix(mix(seed, round), piece as u64));
                let nearby = lock(&potential.pieces[piece]);
                let drawn = (piece * PIECE..).zip(&nearby.squares).filter(|(i, square)| {
                    let chance = rate * self.weight(*i) * **square;
                    rng.random::<f64>() < chance
                });
                drawn.map(|(i, _)| i).collect::<Vec<_>>()
            })
            .concat();
            let before = rows.len();
            rows.extend(&drawn);
            self.add(&mut potential, &drawn, before);
        }
        if rows.len() < k {
            return Ok(None);
        }
        let mut weights = vec![0.0; rows.len()];
        for (piece, nearby) in potential.pieces.iter().enumerate() {
            for (i, owner) in (piece * PIECE..).zip(&lock(nearby).owners) {
                weights[*owner as usize] += self.weight(i);
            }
        }
        let values = self.values(&rows);
        let candidates = Rows::new(&values, rows.len(), self.data.units().d());
        let seeds = Seeds { data: Weighted::new(candidates, &weights)?, frame: self.frame };
        match seeds.one_by_one(k, &mut rng) {
            Ok(picked) => Ok(Some(seeds.values(&picked).into_iter().map(Into::into).collect())),
            Err(_) => Ok(None),
        }
    }

    /// Nothing picked yet: every row costs its weight.
    fn start(&self) -> Potential {
        let n = self.data.len();
        let pieces: Vec<_> = (0..n.div_ceil(PIECE))
            .map(|piece| {
                let n = (n - piece * PIECE).min(PIECE);
                Mutex::new(Nearby { squares: vec![f64::INFINITY; n], owners: vec![0; n] })
            })
            .collect();
        let masses = (0..n)
            .step_by(PIECE)
            .map(|first| (first..n.min(first + PIECE)).map(|i| self.weight(i)).sum());
        Potential { masses: masses.collect(), pieces }
    }

    /// A row with probability proportional to its mass.
    fn draw(&self, potential: &Potential, rng: &mut ChaCha8Rng) -> Option<usize> {
        let total: f64 = potential.masses.iter().sum();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let mut left = rng.random::<f64>() * total;
        let mut piece = None;
        for (i, mass) in potential.masses.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            piece = Some(i);
            if left < *mass {
                break;
            }
            left -= mass;
        }
        let piece = piece?;
        let nearby = lock(&potential.pieces[piece]);
        let mut last = None;
        for (i, square) in (piece * PIECE..).zip(&nearby.squares) {
            let square = if square.is_finite() { *square } else { 1.0 };
            let mass = self.weight(i) * square;
            if mass > 0.0 {
                last = Some(i);
                left -= mass;
                if left < 0.0 {
                    break;
                }
            }
        }
        last
    }

    /// Notes rows that were picked; the first is number `number`.
    fn add(&self, potential: &mut Potential, picked: &[usize], number: usize) {
        let packed = self.pack(picked);
        let pieces = &potential.pieces;
        potential.masses = map_in_order(pieces.len(), |piece| {
            let mut nearby = lock(&pieces[piece]);
            let nearby = &mut *nearby;
            let mut mass = 0.0;
            self.measure(piece, &packed, |first, n, table| {
                for (j, squares) in table.chunks_exact(BLOCK).enumerate() {
                    let owner = u32::try_from(number + j).unwrap_or(u32::MAX);
                    for (i, square) in (first - piece * PIECE..).zip(&squares[..n]) {
                        if *square < nearby.squares[i] {
                            nearby.squares[i] = *square;
                            nearby.owners[i] = owner;
                        }
                    }
                }
                for i in first..first + n {
                    mass += self.weight(i) * nearby.squares[i - piece * PIECE];
                }
            });
            mass
        });
    }

    /// What each of these rows would leave, were it picked next.
    fn left(&self, potential: &Potential, drawn: &[usize]) -> Vec<f64> {
        let packed = self.pack(drawn);
        let by_piece = map_in_order(potential.pieces.len(), |piece| {
            let nearby = lock(&potential.pieces[piece]);
            let mut left = vec![0.0; drawn.len()];
            self.measure(piece, &packed, |first, n, table| {
                let known = &nearby.squares[first - piece * PIECE..][..n];
                for (left, squares) in left.iter_mut().zip(table.chunks_exact(BLOCK)) {
                    *left += match self.data.weights() {
                        None => known.iter().zip(squares).map(|(a, b)| a.min(*b)).sum::<f64>(),
                        Some(weights) => {
                            let pairs = known.iter().zip(squares).zip(&weights[first..]);
                            pairs.map(|((a, b), weight)| weight * a.min(*b)).sum()
                        }
                    };
                }
            });
            left
        });
        let mut left = vec![0.0; drawn.len()];
        for part in by_piece {
            left.iter_mut().zip(part).for_each(|(to, x)| *to += x);
        }
        left
    }

    /// Rows as centers.
    fn pack(&self, rows: &[usize]) -> Packed<T> {
        let values: Vec<f64> = self.values(rows).into_iter().map(Into::into).collect();
        let mut packed = Packed::new(rows.len(), self.frame.clone());
        packed.set(&values, self.data.units().d());
        packed.set_by_differences();
        packed
    }

    /// Shows `see` the squared distances of each block of a piece: its first row, its length and a table with one row of
    /// [`BLOCK`] numbers for each center.
    fn measure(&self, piece: usize, packed: &Packed<T>, mut see: impl FnMut(usize, usize, &[f64])) {
        let (n, level) = (self.data.len(), Level::detect());
        let mut panel = vec![T::default(); MAX_PANEL * packed.d];
        let mut table = vec![0.0; packed.k.next_multiple_of(GROUP) * BLOCK];
        let mut copy = Vec::new();
        for first in (piece * PIECE..n.min((piece + 1) * PIECE)).step_by(BLOCK) {
            let rows = self.data.units().slice(first..n.min(first + BLOCK));
            let rows = contiguous(rows, &mut copy);
            let (out, panel) = (&mut table[..], &mut panel[..]);
            level.dispatch(Distances { rows, packed, panel, out, stride: BLOCK });
            see(first, rows.n, &table[..packed.k * BLOCK]);
        }
    }
}

fn lock(nearby: &Mutex<Nearby>) -> std::sync::MutexGuard<'_, Nearby> {
    nearby.lock().unwrap_or_else(PoisonError::into_inner)
}
