//! Initial law and transition matrix as the kernels want them.

use std::ops::{Deref, DerefMut};

use elbo_linalg::MAX_LANES;

/// A stretch of numbers that is a whole number of vectors for every instruction set.
pub(crate) type Tile = [f64; MAX_LANES];

/// Tiles side by side, the first at the beginning of a cache line: a vector that lies across two lines is loaded at half the
/// speed.
#[derive(Debug)]
pub(crate) struct Tiles {
    cells: Vec<f64>,
    first: usize,
    len: usize,
}

impl Tiles {
    /// Bytes in a cache line.
    const LINE: usize = 64;

    /// `len` tiles full of `value`.
    pub(crate) fn new(len: usize, value: f64) -> Self {
        let cells = vec![value; (len + 1) * MAX_LANES];
        let first = cells.as_ptr().align_offset(Self::LINE);
        Self { cells, first: if first < MAX_LANES { first } else { 0 }, len }
    }
}

impl Clone for Tiles {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len, 0.0);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Tiles {
    type Target = [Tile];

    #[inline]
    fn deref(&self) -> &[Tile] {
        &self.cells[self.first..].as_chunks().0[..self.len]
    }
}

impl DerefMut for Tiles {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Tile] {
        &mut self.cells[self.first..].as_chunks_mut().0[..self.len]
    }
}

/// Tiles that hold `k` numbers.
pub(crate) fn tiles_for(k: usize) -> usize {
    k.div_ceil(MAX_LANES)
}

/// Scaled messages below this cannot be told from what their neighbors lose: see [`Chain::is_connected`].
pub(crate) const TINY: f64 = 1e-60;
/// Positive probabilities are raised to this in the scaled recursion.
const TRANSITION_FLOOR: f64 = 1e-90;
/// Positive emission densities, relative to the largest of their step, are raised to this in the scaled recursion.
pub(crate) const LOG_EMISSION_FLOOR: f64 = -161.0; // e⁻¹⁶¹ ≈ 1e-70
/// The least entry of a transition matrix in which nothing that underflows can matter later.
const CONNECTED: f64 = 1e-40;

/// Initial law `π` and transition matrix `A`, as logarithms and as floored probabilities in tiles.
///
/// # Underflow
///
/// The scaled recursion must not lose a path in silence. Positive numbers are floored so that products of a message
/// (at least [`TINY`]), a transition and an emission stay positive numbers; a message below `TINY` tells that a
/// floor, or underflow, may have been met, and the block of steps is done again with logarithms. Where no message is
/// that small the floors change sums by less than `10⁻³⁰` of themselves. A matrix without small entries needs no such
/// test: each state is reached again from the likely ones at every step, and what is lost is below `10⁻³⁰` of that.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    k: usize,
    log_initial: Vec<f64>,
    /// `ln A`, row by row.
    log_rows: Vec<f64>,
    /// `ln Aᵀ`, row by row.
    log_columns: Vec<f64>,
    initial: Tiles,
    forward: Tiled,
    backward: Tiled,
    log_forward: Tiled,
    connected: bool,
}

/// A `k × k` matrix cut into columns of tiles: rows `0..k` of one tile of columns lie side by side.
#[derive(Clone, Debug)]
pub(crate) struct Tiled {
    /// `k`, made even: products run on pairs of rows.
    rows: usize,
    cells: Tiles,
}

impl Tiled {
    fn new(k: usize, padding: f64) -> Self {
        let rows = k.next_multiple_of(2);
        Self { rows, cells: Tiles::new(tiles_for(k) * rows, padding) }
    }

    fn set(&mut self, i: usize, j: usize, value: f64) {
        self.cells[j / MAX_LANES * self.rows + i][j % MAX_LANES] = value;
    }

    /// All rows of one tile of columns.
    #[inline]
    pub(crate) fn column(&self, tile: usize) -> &[Tile] {
        &self.cells[tile * self.rows..][..self.rows]
    }
}

impl Chain {
    /// Room for a chain of `k` states.
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            log_initial: vec![f64::NEG_INFINITY; k],
            log_rows: vec![f64::NEG_INFINITY; k * k],
            log_columns: vec![f64::NEG_INFINITY; k * k],
            initial: Tiles::new(tiles_for(k), 0.0),
            forward: Tiled::new(k, 0.0),
            backward: Tiled::new(k, 0.0),
            log_forward: Tiled::new(k, f64::NEG_INFINITY),
            connected: false,
        }
    }

    /// Overwrites the chain: `ln π` and `ln Aᵀ` row by row, each raised to `beta`.
    pub(crate) fn set(&mut self, log_initial: &[f64], log_columns: &[f64], beta: f64) {
        let k = self.k;
        self.connected = true;
        for (j, source) in log_initial.iter().enumerate() {
            let value = beta * source;
            self.log_initial[j] = value;
            self.initial[j / MAX_LANES][j % MAX_LANES] = floored(value);
        }
        for j in 0..k {
            for i in 0..k {
                let value = beta * log_columns[j * k + i];
                self.log_columns[j * k + i] = value;
                self.log_rows[i * k + j] = value;
                let probability = floored(value);
                self.connected &= probability >= CONNECTED;
                self.forward.set(i, j, probability);
                self.backward.set(j, i, probability);
                self.log_forward.set(i, j, value);
            }
        }
    }

    /// Number of states.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// `ln π`.
    pub(crate) fn log_initial(&self) -> &[f64] {
        &self.log_initial
    }

    /// `ln Aᵀ`, row by row.
    pub(crate) fn log_columns(&self) -> &[f64] {
        &self.log_columns
    }

    /// `ln A[i, ·]`: from state `i`.
    pub(crate) fn log_row(&self, i: usize) -> &[f64] {
        &self.log_rows[i * self.k..][..self.k]
    }

    /// `ln A[·, j]`: to state `j`.
    pub(crate) fn log_column(&self, j: usize) -> &[f64] {
        &self.log_columns[j * self.k..][..self.k]
    }

    /// `π`, floored.
    pub(crate) fn initial(&self) -> &[Tile] {
        &self.initial
    }

    /// `A`, floored: `αA` is a step forward.
    pub(crate) fn forward(&self) -> &Tiled {
        &self.forward
    }

    /// `Aᵀ`, floored: `βAᵀ` is a step back.
    pub(crate) fn backward(&self) -> &Tiled {
        &self.backward
    }

    /// `ln A`, for steps of the most probable path.
    pub(crate) fn log_forward(&self) -> &Tiled {
        &self.log_forward
    }

    /// Has every transition a probability that keeps underflow harmless?
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }
}

/// `eˣ`, raised to the floor unless it is exactly zero.
fn floored(log_probability: f64) -> f64 {
    if log_probability == f64::NEG_INFINITY {
        0.0
    } else {
        log_probability.exp().max(TRANSITION_FLOOR)
    }
}
