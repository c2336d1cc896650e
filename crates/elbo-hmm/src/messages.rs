//! Forward and backward over one sequence, block by block: scaled where that is exact, with logarithms where it is not.

use std::ops::Range;

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, EStepError, Family, Inference, Matrix, MatrixMut, RowError,
};
use elbo_linalg::{Level, MAX_LANES, log_sum_exp};

use crate::{
    chain::{Chain, LOG_EMISSION_FLOOR, TINY, Tile, Tiles, tiles_for},
    kernels::{Backward, Densities, Forward, MaxPlus, Pairs, Scaled, ToColumns, ToRows},
    sequences::Known,
};

/// What one E-step needs to know of the model.
#[derive(Debug)]
pub(crate) struct View<'m, F: Family> {
    pub(crate) packed: &'m F::Packed,
    pub(crate) chain: &'m Chain,
    /// The inverse temperature of emission scores; the chain is already raised to it.
    pub(crate) beta: f64,
    /// What is known of the steps of the sequence.
    pub(crate) known: Known<'m>,
    /// The most bytes of forward messages that are kept at a time.
    pub(crate) memory: usize,
}

/// Why a step of a sequence has no message. Steps count from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StepError {
    Impossible(usize),
    NotFinite(usize),
}

impl StepError {
    /// The same error, its step counted from `start` steps earlier.
    fn offset(self, start: usize) -> Self {
        match self {
            Self::Impossible(step) => Self::Impossible(step + start),
            Self::NotFinite(step) => Self::NotFinite(step + start),
        }
    }

    /// The error of a step in sequence `sequence`.
    pub(crate) fn of_sequence(self, sequence: usize) -> EStepError {
        match self {
            Self::Impossible(step) => EStepError::ImpossibleStep { sequence, step },
            Self::NotFinite(step) => EStepError::NotFiniteStep { sequence, step },
        }
    }
}

/// Posteriors of a block of steps.
#[derive(Debug)]
pub(crate) enum Posterior<'a> {
    /// One row per step, `stride` apart, zero beyond the last state.
    Rows { cells: &'a [f64], stride: usize },
    /// One row per state.
    Columns(Matrix<'a>),
}

/// What one worker needs for E-steps of a hidden Markov model: the forward messages of the longest sequence so far,
/// `k` numbers per step, and a few blocks. Pairs of states are never stored per step.
#[derive(Debug)]
pub struct HmmScratch<S> {
    pub(crate) family: S,
    k: usize,
    tiles: usize,
    /// Scores of a block less the shift of their step; state `j` in row `j`, `BLOCK_STRIDE` apart.
    scores: Vec<f64>,
    /// The largest score of each step.
    shifts: Vec<f64>,
    /// Emission densities, later posteriors, of a block in the layout of the scores.
    columns: Vec<f64>,
    /// Emission densities, later posteriors, one row of tiles per step: of a block, or of the whole sequence where it
    /// [`keeps`](Self::keeps) them.
    rows: Tiles,
    /// Are the densities of all blocks in `rows`?
    keeps: bool,
    /// The first step of the block in `scores` and `shifts`.
    scored: Option<usize>,
    /// Forward messages of the sequence, in blocks of logarithms or of scaled numbers; best log probabilities.
    alpha: Tiles,
    /// The step of the first message in `alpha`.
    base: usize,
    /// Blocks whose messages are kept together: all, or about the square root of that.
    segment: usize,
    /// The logarithms of the message that enters each segment.
    checkpoints: Vec<f64>,
    in_logs: Vec<bool>,
    weighted: Tiles,
    successors: Tiles,
    /// Logarithms of the message that enters a block.
    message: Vec<f64>,
    /// The backward message, while forward ones are made again.
    saved: Vec<f64>,
    terms: Vec<f64>,
    row: Vec<f64>,
    start: Tiles,
    /// `Σₜ q[i] u[j]`: expected transitions but for the factor `A[i, j]`.
    pairs: Tiles,
    /// Expected first states.
    initial: Vec<f64>,
    /// Expected transitions that are not in `pairs`.
    transitions: Vec<f64>,
    path: Vec<usize>,
    /// Room for the chain at the temperature of an E-step.
    pub(crate) tempered: Option<Chain>,
}

impl<S> HmmScratch<S> {
    pub(crate) fn new(k: usize, family: S) -> Self {
        let tiles = tiles_for(k);
        let block = || Tiles::new(BLOCK * tiles, 0.0);
        Self {
            family,
            k,
            tiles,
            scores: vec![0.0; k * BLOCK_STRIDE],
            shifts: vec![0.0; BLOCK],
            columns: vec![0.0; k * BLOCK_STRIDE],
            rows: block(),
            keeps: false,
            scored: None,
            alpha: Tiles::new(0, 0.0),
            base: 0,
            segment: 1,
            checkpoints: Vec::new(),
            in_logs: Vec::new(),
            weighted: block(),
            successors: Tiles::new((BLOCK + 1) * tiles, 0.0),
            message: vec![0.0; k],
            saved: vec![0.0; k],
            terms: vec![0.0; k],
            row: vec![0.0; k],
            start: Tiles::new(tiles, 0.0),
            pairs: Tiles::new(tiles * MAX_LANES * tiles, 0.0),
            initial: vec![0.0; k],
            transitions: vec![0.0; k * k],
            path: Vec::new(),
            tempered: None,
        }
    }

    /// The chain raised to `beta`, in room that the caller gives back.
    pub(crate) fn take_tempered(&mut self, chain: &Chain, beta: f64) -> Chain {
        let mut tempered = self.tempered.take().unwrap_or_else(|| Chain::new(self.k));
        tempered.set(chain.log_initial(), chain.log_columns(), beta);
        tempered
    }

    /// Adds `weight` times what was counted since the last call: first states to `initial`, transitions from `i` to
    /// `transition(i)`.
    pub(crate) fn take_counts<'c>(
        &mut self,
        chain: &Chain,
        weight: f64,
        initial: &mut [f64],
        transition: impl IntoIterator<Item = &'c mut [f64]>,
    ) {
        elbo_core::add_scaled(initial, weight, &self.initial);
        for (i, counts) in transition.into_iter().enumerate() {
            let pairs = self.pairs[i * self.tiles..][..self.tiles].as_flattened();
            let direct = &self.transitions[i * self.k..][..self.k];
            for (j, count) in counts.iter_mut().enumerate() {
                *count += weight * direct[j];
                if pairs[j] != 0.0 {
                    *count += weight * pairs[j] * chain.log_row(i)[j].exp();
                }
            }
        }
        self.initial.fill(0.0);
        self.transitions.fill(0.0);
        self.pairs.fill(Tile::default());
    }

    /// Forward messages of a sequence; returns `ln p(x₁, …, x_T)`.
    ///
    /// Where they take more memory than the view grants, only those that enter segments are kept, and [`backward`](Self::backward)
    /// makes the others again, one segment at a time, to the same bits: `k√T` numbers.
    ///
    /// Cost: `T` scores, `k` exponentials and `k²` multiply-adds per step where scaling is exact.
    pub(crate) fn forward<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
    ) -> Result<f64, StepError> {
        let n = data.len();
        let count = blocks(n).len();
        let all = n * self.tiles * size_of::<Tile>();
        self.segment = if all <= view.memory { count } else { count.isqrt().max(1) };
        self.reserve(n.min(self.segment * BLOCK));
        self.in_logs.clear();
        self.in_logs.resize(count, false);
        self.checkpoints.clear();
        self.keeps = false;
        let mut log_likelihood = 0.0;
        for number in 0..count {
            if number % self.segment == 0 {
                self.checkpoints.extend_from_slice(&self.message);
            }
            log_likelihood += self.forward_block(view, data, number)?;
        }
        Ok(log_likelihood)
    }

    /// The forward messages of block `number` from the one in `message`; returns `ln p(block ∣ before)`.
    fn forward_block<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        number: usize,
    ) -> Result<f64, StepError> {
        let block = block_of(number, data.len());
        let offset = |e: StepError| e.offset(block.start);
        self.base = number / self.segment * self.segment * BLOCK;
        let mut log_likelihood = 0.0;
        let from_table = self.densities_from_table(view, data, &block);
        if !from_table {
            if number == 0 && self.in_logs.len() <= self.segment {
                self.keeps = !F::OBSERVES_WHAT_IT_SCORED && self.make_room_for_rows(data.len());
            }
            self.score(view, data, &block).map_err(offset)?;
            log_likelihood += self.shifts[..block.len()].iter().sum::<f64>();
        }
        let scaled = self.forward_scaled(view.chain, &block);
        self.in_logs[number] = scaled.is_none();
        log_likelihood += if let Some(log_scale) = scaled {
            log_scale
        } else {
            if from_table {
                self.score_only(view, data, &block).map_err(offset)?;
                log_likelihood += self.shifts[..block.len()].iter().sum::<f64>();
            }
            self.forward_in_logs(view.chain, &block).map_err(offset)?
        };
        Ok(log_likelihood)
    }

    /// Makes the forward messages of the segment that ends with block `number` again; the backward message stays.
    fn forward_again<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        number: usize,
    ) -> Result<(), StepError> {
        let segment = number / self.segment;
        std::mem::swap(&mut self.message, &mut self.saved);
        self.message.copy_from_slice(&self.checkpoints[segment * self.k..][..self.k]);
        for number in segment * self.segment..=number {
            self.forward_block(view, data, number)?;
        }
        std::mem::swap(&mut self.message, &mut self.saved);
        Ok(())
    }

    /// Backward messages after [`forward`](Self::forward): counts first states and transitions, and shows for each
    /// block, the last one first, its steps and their posteriors `γ`; side by side first, where that is how they are, and one row
    /// per state if `see` says false to it. With a `weight` these are weights of
    /// observations: posteriors times `weight`, zero where the observation is missing. What is counted is weighted by
    /// [`take_counts`](Self::take_counts).
    pub(crate) fn backward<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        weight: Option<f64>,
        mut see: impl FnMut(Range<usize>, Posterior<'_>, &mut S) -> bool,
    ) -> Result<(), StepError> {
        let n = data.len();
        for (number, block) in blocks(n).enumerate().rev() {
            let ends = block.end == n;
            let offset = |e: StepError| e.offset(block.start);
            if !ends && (number + 1) % self.segment == 0 {
                self.forward_again(view, data, number)?;
            }
            let is_scaled = !self.in_logs[number] && {
                // The densities of the last block are still here.
                let are_here = ends || self.keeps || self.densities_from_table(view, data, &block);
                if !are_here {
                    self.score(view, data, &block).map_err(offset)?;
                }
                self.backward_scaled(view.chain, &block, ends)
            };
            if is_scaled {
                let rows = self.row_range(&block);
                let first = &self.rows[rows.start..].as_flattened()[..self.k];
                if block.start == 0 {
                    elbo_core::add_scaled(&mut self.initial, 1.0, first);
                }
                let is_plain = weight.is_some_and(|weight| weight.to_bits() == 1.0_f64.to_bits());
                if is_plain && view.known.missing.is_none() {
                    let posterior = Posterior::Rows {
                        cells: self.rows[rows].as_flattened(),
                        stride: self.tiles * MAX_LANES,
                    };
                    if see(block.clone(), posterior, &mut self.family) {
                        continue;
                    }
                }
                if F::OBSERVES_WHAT_IT_SCORED && self.scored != Some(block.start) {
                    self.score_only(view, data, &block).map_err(offset)?;
                }
                self.rows_to_columns(&block);
            } else {
                if self.scored != Some(block.start) {
                    self.score_only(view, data, &block).map_err(offset)?;
                }
                self.backward_in_logs(view.chain, &block, ends, self.in_logs[number]);
                if block.start == 0 {
                    for (j, count) in self.initial.iter_mut().enumerate() {
                        *count += self.columns[j * BLOCK_STRIDE];
                    }
                }
            }
            if let Some(weight) = weight {
                if (weight - 1.0).abs() > 0.0 {
                    self.columns.iter_mut().for_each(|x| *x *= weight);
                }
                self.clear_missing(view.known.slice(block.clone()), block.len());
            }
            let posterior = Matrix::new(&self.columns, self.k, block.len(), BLOCK_STRIDE);
            see(block, Posterior::Columns(posterior), &mut self.family);
        }
        Ok(())
    }

    /// After [`forward`](Self::forward): shows for each step, in order, `p(zₜ = j ∣ x₁, …, xₜ)`.
    pub(crate) fn filtered(&mut self, n: usize, mut see: impl FnMut(&[f64])) {
        for (number, block) in blocks(n).enumerate() {
            for t in block {
                let alpha = &self.alpha[t * self.tiles..][..self.tiles].as_flattened()[..self.k];
                self.row.copy_from_slice(alpha);
                if self.in_logs[number] {
                    normalize_logs(&mut self.row);
                } else {
                    let sum: f64 = alpha.iter().sum();
                    self.row.iter_mut().for_each(|x| *x /= sum);
                }
                see(&self.row);
            }
        }
    }

    /// After [`forward`](Self::forward): the law of state `t` given the next one and the steps up to `t`,
    /// `B[j, i] = p(zₜ = i ∣ zₜ₊₁ = j, x₁, …, xₜ)`, `k × k`; rows of states that cannot come next are zero.
    ///
    /// Cost: `2k²` exponentials.
    pub(crate) fn reversed(&mut self, chain: &Chain, t: usize, law: &mut [f64]) {
        let k = self.k;
        let alpha = &self.alpha[t * self.tiles..][..self.tiles].as_flattened()[..k];
        let in_logs = self.in_logs[t / BLOCK];
        for (x, alpha) in self.row.iter_mut().zip(alpha) {
            *x = if in_logs { *alpha } else { alpha.ln() };
        }
        for (j, law) in law.chunks_exact_mut(k).enumerate() {
            let mass = log_sum_of_sums(&self.row, chain.log_column(j), &mut self.terms);
            for (to, term) in law.iter_mut().zip(&self.terms) {
                *to = if mass == f64::NEG_INFINITY { 0.0 } else { (term - mass).exp() };
            }
        }
    }

    /// Shows the log densities of each step in turn, as the recursions see them: those of missing observations are zero,
    /// those of states that a label excludes `−∞`.
    pub(crate) fn for_each_score<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        mut see: impl FnMut(usize, &[f64]),
    ) -> Result<(), StepError> {
        for block in blocks(data.len()) {
            self.score_only(view, data, &block).map_err(|e| e.offset(block.start))?;
            for (i, t) in block.enumerate() {
                for (j, x) in self.row.iter_mut().enumerate() {
                    *x = self.scores[j * BLOCK_STRIDE + i] + self.shifts[i];
                }
                see(t, &self.row);
            }
        }
        Ok(())
    }

    /// The most probable path of states; returns its log joint probability with the sequence. Of equals the lower
    /// state is taken, from the end backwards.
    ///
    /// Predecessors are not stored: those on the path are found again from the best log probabilities.
    pub(crate) fn viterbi<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
    ) -> Result<f64, StepError> {
        let (n, tiles) = (data.len(), self.tiles);
        self.reserve(n);
        (self.keeps, self.base) = (false, 0);
        self.path.resize(n, 0);
        let mut log_probability = 0.0;
        for block in blocks(n) {
            self.score_only(view, data, &block).map_err(|e| e.offset(block.start))?;
            log_probability += self.shifts[..block.len()].iter().sum::<f64>();
            Level::detect().dispatch(ToRows {
                columns: &self.scores,
                stride: BLOCK_STRIDE,
                n: block.len(),
                padding: f64::NEG_INFINITY,
                rows: &mut self.rows,
                tiles,
            });
            for j in 0..self.k {
                self.start.as_flattened_mut()[j] = if block.start == 0 {
                    view.chain.log_initial()[j]
                } else {
                    best_sum(&self.message, view.chain.log_column(j)).0
                };
            }
            let best = &mut self.alpha[block.start * tiles..block.end * tiles];
            Level::detect().dispatch(MaxPlus {
                transition: view.chain.log_forward(),
                start: &self.start,
                scores: &self.rows[..block.len() * tiles],
                best,
            });
            let last = &best[(block.len() - 1) * tiles..].as_flattened()[..self.k];
            let largest = last.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if largest == f64::NEG_INFINITY {
                let mut rows = best.chunks_exact(tiles).map(|row| &row.as_flattened()[..self.k]);
                let step = rows.position(|row| row.iter().all(|x| *x == f64::NEG_INFINITY));
                return Err(StepError::Impossible(block.start + step.unwrap_or_default()));
            }
            // Kept small, so that long sequences lose no digits.
            log_probability += largest;
            for (to, x) in self.message.iter_mut().zip(last) {
                *to = x - largest;
            }
        }
        let row = |t: usize| &self.alpha[t * tiles..][..tiles].as_flattened()[..self.k];
        self.path[n - 1] = first_largest(row(n - 1));
        for t in (1..n).rev() {
            self.path[t - 1] = best_sum(row(t - 1), view.chain.log_column(self.path[t])).1;
        }
        Ok(log_probability)
    }

    /// After [`forward`](Self::forward): draws a path from its posterior. Cost: `2k` logarithms per step.
    pub(crate) fn sample(
        &mut self,
        chain: &Chain,
        n: usize,
        how: &mut Inference<'_>,
    ) -> Result<(), StepError> {
        self.path.resize(n, 0);
        let mut next = None;
        for t in (0..n).rev() {
            let alpha = &self.alpha[t * self.tiles..][..self.tiles].as_flattened()[..self.k];
            let in_logs = self.in_logs[t / BLOCK];
            for (i, (x, alpha)) in self.row.iter_mut().zip(alpha).enumerate() {
                let log_alpha = if in_logs { *alpha } else { alpha.ln() };
                *x = log_alpha + next.map_or(0.0, |j: usize| chain.log_row(i)[j]);
            }
            how.assign(&mut self.row).map_err(|error| match error {
                RowError::Impossible => StepError::Impossible(t),
                RowError::NotFinite => StepError::NotFinite(t),
            })?;
            let state = first_largest(&self.row);
            self.path[t] = state;
            next = Some(state);
        }
        Ok(())
    }

    /// The path of the last [`viterbi`](Self::viterbi) or [`sample`](Self::sample).
    pub(crate) fn path(&self) -> &[usize] {
        &self.path
    }

    /// Counts the path and shows its blocks as [`backward`](Self::backward) does, with `weight` for the state of
    /// each step.
    pub(crate) fn count_path<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        weight: f64,
        mut see: impl FnMut(Range<usize>, Posterior<'_>, &mut S) -> bool,
    ) -> Result<(), StepError> {
        self.initial[self.path[0]] += 1.0;
        for step in self.path.windows(2) {
            self.transitions[step[0] * self.k + step[1]] += 1.0;
        }
        for block in blocks(data.len()) {
            if F::OBSERVES_WHAT_IT_SCORED {
                self.score_only(view, data, &block).map_err(|e| e.offset(block.start))?;
            }
            self.columns.fill(0.0);
            for (i, state) in self.path[block.clone()].iter().enumerate() {
                self.columns[*state * BLOCK_STRIDE + i] = weight;
            }
            self.clear_missing(view.known.slice(block.clone()), block.len());
            let weights = Matrix::new(&self.columns, self.k, block.len(), BLOCK_STRIDE);
            see(block, Posterior::Columns(weights), &mut self.family);
        }
        Ok(())
    }

    /// Makes room for the messages of a sequence.
    fn reserve(&mut self, n: usize) {
        if self.alpha.len() < n * self.tiles {
            self.alpha = Tiles::new(n * self.tiles, 0.0);
        }
        self.scored = None;
    }

    /// Room for the densities of all steps, unless that is too much for them to be worth it.
    fn make_room_for_rows(&mut self, n: usize) -> bool {
        const MOST: usize = 1 << 23; // numbers, 64 MiB
        let tiles = n.next_multiple_of(MAX_LANES) * self.tiles;
        if n <= BLOCK || tiles > MOST / MAX_LANES {
            return false;
        }
        if self.rows.len() < tiles {
            self.rows = Tiles::new(tiles, 0.0);
        }
        true
    }

    /// Where the densities of a block are.
    fn row_range(&self, block: &Range<usize>) -> Range<usize> {
        let first = if self.keeps { block.start * self.tiles } else { 0 };
        first..first + block.len() * self.tiles
    }

    /// Fills `rows` for a block whose family has a table of densities; false where it has none, or more than the
    /// observations is known. No shift is needed then.
    fn densities_from_table<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        block: &Range<usize>,
    ) -> bool {
        let stride = self.tiles * MAX_LANES;
        let rows = self.row_range(block);
        view.beta >= 1.0
            && view.known.is_nothing()
            && F::density_rows(
                view.packed,
                data.slice(block.clone()),
                self.rows[rows].as_flattened_mut(),
                stride,
            )
    }

    fn rows_to_columns(&mut self, block: &Range<usize>) {
        let rows = self.row_range(block);
        Level::detect().dispatch(ToColumns {
            rows: &self.rows[rows.start..],
            tiles: self.tiles,
            n: block.len(),
            columns: &mut self.columns,
            stride: BLOCK_STRIDE,
        });
    }

    /// Fills `shifts`, `scores` (less the shifts) and `rows` (their exponentials) for a block.
    fn score<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        block: &Range<usize>,
    ) -> Result<(), StepError> {
        self.score_only(view, data, block)?;
        let rows = self.row_range(block);
        Level::detect().dispatch(ToRows {
            columns: &self.columns,
            stride: BLOCK_STRIDE,
            n: block.len(),
            padding: 0.0,
            rows: &mut self.rows[rows.start..],
            tiles: self.tiles,
        });
        Ok(())
    }

    /// Fills `shifts`, `scores` (less the shifts) and `columns` (their exponentials) for a block.
    fn score_only<F: Family<Scratch = S>>(
        &mut self,
        view: &View<'_, F>,
        data: F::Batch<'_>,
        block: &Range<usize>,
    ) -> Result<(), StepError> {
        let n = block.len();
        self.scored = None;
        let scores = MatrixMut::new(&mut self.scores, self.k, n, BLOCK_STRIDE);
        F::score_all(view.packed, data.slice(block.clone()), scores, &mut self.family);
        if !view.known.is_nothing() {
            self.apply_known(view.known.slice(block.clone()), n);
        }
        if view.beta < 1.0 {
            self.scores.iter_mut().for_each(|x| *x *= view.beta);
        }
        let proper = Level::detect().dispatch(Densities {
            scores: &mut self.scores,
            columns: &mut self.columns,
            n,
            stride: BLOCK_STRIDE,
            shifts: &mut self.shifts,
            floor: LOG_EMISSION_FLOOR,
        });
        self.scored = proper.then_some(block.start);
        if proper { Ok(()) } else { Err(self.improper_step(n)) }
    }

    /// Missing observations have density one in every state; states other than a known one have density zero.
    fn apply_known(&mut self, known: Known<'_>, n: usize) {
        for i in 0..n {
            let state = known.state(i);
            for (j, scores) in self.scores.chunks_mut(BLOCK_STRIDE).enumerate() {
                if known.is_missing(i) {
                    scores[i] = 0.0;
                }
                if state.is_some_and(|state| state != j) {
                    scores[i] = f64::NEG_INFINITY;
                }
            }
        }
    }

    /// Missing observations of a block have no weight.
    fn clear_missing(&mut self, known: Known<'_>, n: usize) {
        for i in (0..n).filter(|i| known.is_missing(*i)) {
            self.columns.chunks_mut(BLOCK_STRIDE).for_each(|column| column[i] = 0.0);
        }
    }

    /// The first step of the block in `scores` without a finite density.
    #[cold]
    fn improper_step(&self, n: usize) -> StepError {
        for i in 0..n {
            let scores = || self.scores.chunks(BLOCK_STRIDE).map(|scores| scores[i]);
            if scores().any(|x| x.is_nan() || x == f64::INFINITY) {
                return StepError::NotFinite(i);
            }
            if scores().all(|x| x == f64::NEG_INFINITY) {
                return StepError::Impossible(i);
            }
        }
        unreachable!("every step of the block has a finite density")
    }

    /// The scaled recursion over a block. Returns `ln p(block ∣ before)` and leaves the logarithms of the last message,
    /// normalized; or `None`, changing nothing but the messages of the block, if something small may be lost.
    fn forward_scaled(&mut self, chain: &Chain, block: &Range<usize>) -> Option<f64> {
        let tiles = self.tiles;
        if block.start == 0 {
            self.start.copy_from_slice(chain.initial());
        } else {
            to_scaled(&self.message, chain, self.start.as_flattened_mut()).then_some(())?;
            self.row.copy_from_slice(&self.start.as_flattened()[..self.k]);
            let next = self.start.as_flattened_mut();
            next.fill(0.0);
            for (tile, next) in next.chunks_exact_mut(MAX_LANES).enumerate() {
                for (x, cells) in self.row.iter().zip(chain.forward().column(tile)) {
                    elbo_core::add_scaled(next, *x, cells);
                }
            }
        }
        let rows = self.row_range(block);
        let at = (block.start - self.base) * tiles..(block.end - self.base) * tiles;
        let alpha = &mut self.alpha[at];
        let scaled = Level::detect().dispatch(Forward {
            transition: chain.forward(),
            start: &self.start,
            emission: &self.rows[rows],
            alpha: &mut *alpha,
            watch: !chain.is_connected(),
        });
        if !is_exact(scaled, chain) {
            return None;
        }
        let last = &alpha[(block.len() - 1) * tiles..].as_flattened()[..self.k];
        let sum: f64 = last.iter().sum();
        for (to, x) in self.message.iter_mut().zip(last) {
            *to = (x / sum).ln();
        }
        Some(scaled.log_scale)
    }

    /// The same with logarithms. Cost per step: `k²` exponentials.
    fn forward_in_logs(&mut self, chain: &Chain, block: &Range<usize>) -> Result<f64, StepError> {
        for (i, t) in block.clone().enumerate() {
            let mut possible = false;
            for j in 0..self.k {
                let prior = if t == 0 {
                    chain.log_initial()[j]
                } else {
                    log_sum_of_sums(&self.message, chain.log_column(j), &mut self.terms)
                };
                self.row[j] = prior + self.scores[j * BLOCK_STRIDE + i];
                possible |= self.row[j] > f64::NEG_INFINITY;
            }
            if !possible {
                return Err(StepError::Impossible(i));
            }
            self.message.copy_from_slice(&self.row);
            self.alpha[(t - self.base) * self.tiles..][..self.tiles].as_flattened_mut()[..self.k]
                .copy_from_slice(&self.row);
        }
        let log_scale = log_sum_exp(&self.message);
        self.message.iter_mut().for_each(|x| *x -= log_scale);
        Ok(log_scale)
    }

    /// The scaled recursion over a block, from the logarithms in `message` to those of its first step; posteriors to
    /// `rows`, transitions to `pairs`. Returns `false`, having counted nothing, if something small may be lost.
    fn backward_scaled(&mut self, chain: &Chain, block: &Range<usize>, ends: bool) -> bool {
        let (tiles, n) = (self.tiles, block.len());
        let (_, entering) = self.successors.split_at_mut(n * tiles);
        let entering = entering[..tiles].as_flattened_mut();
        entering.fill(0.0);
        if !ends && !to_scaled(&self.message, chain, entering) {
            return false;
        }
        let rows = self.row_range(block);
        let scaled = Level::detect().dispatch(Backward {
            transition: chain.backward(),
            ends,
            alpha: &self.alpha[(block.start - self.base) * tiles..(block.end - self.base) * tiles],
            emission: &mut self.rows[rows],
            weighted: &mut self.weighted[..n * tiles],
            successors: &mut self.successors[..(n + 1) * tiles],
            tiles,
            watch: !chain.is_connected(),
        });
        if !is_exact(scaled, chain) {
            return false;
        }
        Level::detect().dispatch(Pairs {
            weighted: &self.weighted[..n * tiles],
            successors: &self.successors[tiles..(n + 1) * tiles],
            sums: &mut self.pairs,
            tiles,
        });
        let first = &self.successors.as_flattened()[..self.k];
        let sum: f64 = first.iter().sum();
        for (to, x) in self.message.iter_mut().zip(first) {
            *to = (x / sum).ln();
        }
        true
    }

    /// The same with logarithms, transitions to `transitions`; `in_logs` says what the forward messages are.
    /// Cost per step: `2k²` exponentials.
    fn backward_in_logs(&mut self, chain: &Chain, block: &Range<usize>, ends: bool, in_logs: bool) {
        let k = self.k;
        for (i, t) in block.clone().enumerate().rev() {
            let alpha = &mut self.alpha[(t - self.base) * self.tiles..][..self.tiles]
                .as_flattened_mut()[..k];
            if !in_logs {
                for x in &mut *alpha {
                    *x = x.ln();
                }
            }
            let last = ends && i + 1 == block.len();
            for j in 0..k {
                self.row[j] = if last {
                    0.0
                } else {
                    log_sum_of_sums(&self.message, chain.log_row(j), &mut self.terms)
                };
            }
            for ((term, alpha), backward) in self.terms.iter_mut().zip(&*alpha).zip(&self.row) {
                *term = alpha + backward;
            }
            let mass = log_sum_exp(&self.terms);
            for j in 0..k {
                self.columns[j * BLOCK_STRIDE + i] = (self.terms[j] - mass).exp();
            }
            if !last {
                for (from, counts) in self.transitions.chunks_exact_mut(k).enumerate() {
                    let weight = alpha[from] - mass;
                    if weight == f64::NEG_INFINITY {
                        continue;
                    }
                    let steps = chain.log_row(from).iter().zip(&self.message);
                    for (count, (transition, message)) in counts.iter_mut().zip(steps) {
                        *count += (weight + (transition + message)).exp();
                    }
                }
            }
            let mut largest = f64::NEG_INFINITY;
            for j in 0..k {
                self.message[j] = self.row[j] + self.scores[j * BLOCK_STRIDE + i];
                largest = largest.max(self.message[j]);
            }
            self.message.iter_mut().for_each(|x| *x -= largest);
        }
    }
}

/// The blocks of `n` steps, in order.
fn blocks(n: usize) -> impl ExactSizeIterator<Item = Range<usize>> + DoubleEndedIterator {
    (0..n.div_ceil(BLOCK)).map(move |number| block_of(number, n))
}

/// Block `number` of `n` steps.
fn block_of(number: usize, n: usize) -> Range<usize> {
    number * BLOCK..n.min((number + 1) * BLOCK)
}

/// Did the scaled recursion lose nothing that matters?
fn is_exact(scaled: Scaled, chain: &Chain) -> bool {
    scaled.least_sum >= TINY && (chain.is_connected() || scaled.least >= TINY)
}

/// Exponentials of a message, its sum one; `false` if some are too small for the scaled recursion of this chain.
fn to_scaled(message: &[f64], chain: &Chain, scaled: &mut [f64]) -> bool {
    let normalizer = log_sum_exp(message);
    let mut exact = true;
    for (to, x) in scaled.iter_mut().zip(message) {
        *to = (x - normalizer).exp();
        exact &= *to >= TINY || *x == f64::NEG_INFINITY;
    }
    exact || chain.is_connected()
}

/// `ln Σᵢ exp(xᵢ + yᵢ)`.
fn log_sum_of_sums(x: &[f64], y: &[f64], terms: &mut [f64]) -> f64 {
    for ((term, x), y) in terms.iter_mut().zip(x).zip(y) {
        *term = x + y;
    }
    log_sum_exp(terms)
}

/// Logarithms become probabilities that sum to one.
fn normalize_logs(row: &mut [f64]) {
    let normalizer = log_sum_exp(row);
    for x in row {
        *x = (*x - normalizer).exp();
    }
}

/// The largest `xᵢ + yᵢ` and the first `i` that has it.
fn best_sum(x: &[f64], y: &[f64]) -> (f64, usize) {
    let (mut best, mut argument) = (f64::NEG_INFINITY, 0);
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        if x + y > best {
            (best, argument) = (x + y, i);
        }
    }
    (best, argument)
}

fn first_largest(x: &[f64]) -> usize {
    (1..x.len()).fold(0, |best, j| if x[j] > x[best] { j } else { best })
}
