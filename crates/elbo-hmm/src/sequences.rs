//! Many sequences in one packed batch.

use std::ops::Range;

use elbo_core::{Batch, ChunkSource, DataError, Rows, SourceError, Weighted};

/// Independent sequences, stored one after the other in one batch of steps.
///
/// Borrowed throughout, so a slice of sequences shares both the steps and the borders. A sequence may have length 0: it
/// says nothing about the model and contributes nothing.
///
/// Sequences may have weights ([`weighted`](Self::weighted)): one of weight 2 counts as if it had been seen twice, one of
/// weight 0 as if it were not there.
///
/// Steps may be missing as a whole ([`missing`](Self::missing)), whatever the emission, and the states of some steps may be
/// known ([`labeled`](Self::labeled)): a chain that learns from both kinds is semi-supervised.
///
/// ```
/// use elbo_hmm::{Batch, Sequences};
///
/// let steps = [4_u64, 2, 3, 9, 8];
/// let offsets = Sequences::<&[u64]>::offsets_of([3, 0, 2]);
/// let data = Sequences::new(&steps[..], &offsets);
/// assert_eq!((data.len(), data.observations()), (3, 5.0));
/// assert_eq!(data.sequence(2), &[9, 8]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a, B> {
    steps: B,
    borders: Borders<'a>,
    weights: Option<&'a [f64]>,
    known: Known<'a>,
}

/// What is known of the steps besides their observations; empty where nothing is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    /// The state of each step, where it is known.
    pub(crate) states: Option<&'a [Option<usize>]>,
    /// Is the observation missing?
    pub(crate) missing: Option<&'a [bool]>,
}

impl Known<'_> {
    /// What is known of these steps.
    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        Self {
            states: self.states.map(|states| &states[range.clone()]),
            missing: self.missing.map(|missing| &missing[range]),
        }
    }

    /// The state of step `t`, if it is known.
    pub(crate) fn state(&self, t: usize) -> Option<usize> {
        self.states.and_then(|states| states[t])
    }

    /// Is the observation of step `t` missing?
    pub(crate) fn is_missing(&self, t: usize) -> bool {
        self.missing.is_some_and(|missing| missing[t])
    }

    /// Is there nothing to know?
    pub(crate) fn is_nothing(&self) -> bool {
        self.states.is_none() && self.missing.is_none()
    }
}

/// Where sequences begin and end in the packed batch.
#[derive(Clone, Copy, Debug)]
enum Borders<'a> {
    /// All steps are one sequence.
    One,
    /// Sequence `i` is steps `offsets[i] − base..offsets[i + 1] − base`.
    Many { offsets: &'a [usize], base: usize },
}

impl<'a, B: Batch> Sequences<'a, B> {
    /// Sequence `i` is steps `offsets[i]..offsets[i + 1]`; `offsets` starts with 0 and ends with the number of steps.
    ///
    /// # Panics
    ///
    /// If `offsets` is empty, falls somewhere, does not start with 0 or does not end with `steps.len()`.
    pub fn new(steps: B, offsets: &'a [usize]) -> Self {
        check_offsets(offsets, steps.len());
        Self::bare(steps, Borders::Many { offsets, base: 0 })
    }

    /// All steps as one sequence.
    pub fn one(steps: B) -> Self {
        Self::bare(steps, Borders::One)
    }

    fn bare(steps: B, borders: Borders<'a>) -> Self {
        Self { steps, borders, weights: None, known: Known::default() }
    }

    /// The same sequences, of which some states are known: `Some(j)` where a step is in state `j` for sure.
    ///
    /// Fits, posteriors and paths are then those given these states. With every state known, a fit counts.
    ///
    /// ```
    /// use elbo_hmm::{Hmm, Poisson, Sequences};
    ///
    /// let rates = vec![Poisson::new(2.0)?, Poisson::new(3.0)?];
    /// let hmm = Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.1, 0.9]], rates)?;
    /// let (counts, states) = ([2_u64, 3, 2], [None, Some(1), None]);
    /// let decoded = hmm.viterbi(Sequences::one(&counts[..]).labeled(&states))?;
    /// assert_eq!(decoded.states, [1, 1, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If there is not one label for each step of the batch that these sequences were made of.
    #[must_use]
    pub fn labeled(self, states: &'a [Option<usize>]) -> Self {
        assert_eq!(states.len(), self.steps.len(), "one label per step is needed");
        Self { known: Known { states: Some(states), ..self.known }, ..self }
    }

    /// The same sequences, of which some steps were not observed: time goes on, and what stands in the batch there is not
    /// looked at, as long as the emission accepts it.
    ///
    /// Emissions that know missing numbers (NaN) need no such mark.
    ///
    /// # Panics
    ///
    /// If there is not one mark for each step of the batch that these sequences were made of.
    #[must_use]
    pub fn missing(self, missing: &'a [bool]) -> Self {
        assert_eq!(missing.len(), self.steps.len(), "one mark per step is needed");
        Self { known: Known { missing: Some(missing), ..self.known }, ..self }
    }

    /// What is known of the steps of sequence `i`.
    pub(crate) fn known(&self, i: usize) -> Known<'a> {
        if self.known.is_nothing() { self.known } else { self.known.slice(self.range(i)) }
    }

    /// The first label that is no state of a model with `k` states.
    pub(crate) fn check_labels(&self, k: usize) -> Result<(), DataError> {
        for i in 0..self.len() {
            let (known, positions) = (self.known(i), self.positions(i));
            for (step, state) in known.states.into_iter().flatten().enumerate() {
                if let Some(state) = state.filter(|state| *state >= k) {
                    let row = positions.start + step;
                    return Err(DataError::UnknownState { row, state, states: k });
                }
            }
        }
        Ok(())
    }

    /// The same sequences, sequence `i` counted `weights[i]` times; fractions are welcome. Weights that there were before
    /// are replaced.
    ///
    /// # Errors
    ///
    /// [`DataError::Weights`] if there is not one weight per sequence, [`DataError::Weight`] if one is negative or not
    /// finite, or none is positive.
    pub fn weighted(self, weights: &'a [f64]) -> Result<Self, DataError> {
        let checked = Weighted::new(self.unweighted(), weights)?;
        Ok(Self { weights: checked.weights(), ..self })
    }

    /// The same sequences, each counted once.
    #[must_use]
    pub fn unweighted(self) -> Self {
        Self { weights: None, ..self }
    }

    /// The weight of each sequence, or `None` where every one counts once.
    pub fn weights(&self) -> Option<&'a [f64]> {
        self.weights
    }

    /// How often sequence `i` counts.
    ///
    /// # Panics
    ///
    /// If there is no such sequence.
    pub fn weight(&self, i: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[i])
    }

    /// The offsets of sequences with these lengths.
    pub fn offsets_of(lengths: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut offsets = vec![0];
        for length in lengths {
            offsets.push(offsets[offsets.len() - 1] + length);
        }
        offsets
    }

    /// The steps of sequence `i`.
    ///
    /// # Panics
    ///
    /// If there is no such sequence.
    pub fn sequence(&self, i: usize) -> B {
        self.steps.slice(self.range(i))
    }

    /// All steps, one sequence after the other.
    pub fn steps(&self) -> B {
        match self.borders {
            Borders::One => self.steps,
            Borders::Many { offsets, base } => {
                self.steps.slice(offsets[0] - base..offsets[offsets.len() - 1] - base)
            }
        }
    }

    /// The steps of sequence `i`, counted within [`steps`](Self::steps).
    ///
    /// # Panics
    ///
    /// If there is no such sequence.
    pub fn positions(&self, i: usize) -> Range<usize> {
        let range = self.range(i);
        let first = match self.borders {
            Borders::One => 0,
            Borders::Many { offsets, base } => offsets[0] - base,
        };
        range.start - first..range.end - first
    }

    fn range(&self, i: usize) -> Range<usize> {
        assert!(i < self.len(), "there are {} sequences, none is number {i}", self.len());
        match self.borders {
            Borders::One => 0..self.steps.len(),
            Borders::Many { offsets, base } => offsets[i] - base..offsets[i + 1] - base,
        }
    }
}

impl<B: Batch> From<B> for Sequences<'_, B> {
    fn from(steps: B) -> Self {
        Self::one(steps)
    }
}

impl<B: Batch> Batch for Sequences<'_, B> {
    /// Number of sequences.
    fn len(&self) -> usize {
        match self.borders {
            Borders::One => 1,
            Borders::Many { offsets, .. } => offsets.len() - 1,
        }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        let borders = match self.borders {
            Borders::One if range == (0..1) => Borders::One,
            Borders::One => {
                assert!(range.is_empty() && range.end <= 1, "{range:?} is outside one sequence");
                Borders::Many { offsets: &[0], base: 0 }
            }
            Borders::Many { offsets, base } => {
                Borders::Many { offsets: &offsets[range.start..=range.end], base }
            }
        };
        let weights = self.weights.map(|weights| &weights[range]);
        Self { steps: self.steps, borders, weights, known: self.known }
    }

    /// Number of steps, each as often as its sequence counts.
    fn observations(&self) -> f64 {
        if self.weights.is_none() {
            return self.steps().observations();
        }
        (0..self.len()).map(|i| self.weight(i) * self.sequence(i).observations()).sum()
    }

    /// About a thousand steps make a task.
    fn grain(&self) -> usize {
        grain(self.steps().len(), self.len())
    }
}

/// How many of `sequences` sequences with `steps` steps in all are worth a task.
fn grain(steps: usize, sequences: usize) -> usize {
    let mean_length = steps / sequences.max(1);
    (1024 / mean_length.max(1)).max(1)
}

/// Sequences whose steps are rows shown by a source, such as a file; only their borders are kept in memory.
#[derive(Clone, Debug)]
pub struct SequencesSource<S> {
    steps: S,
    offsets: Vec<usize>,
}

impl<S: for<'a> ChunkSource<Chunk<'a> = Rows<'a>>> SequencesSource<S> {
    /// Sequence `i` is steps `offsets[i]..offsets[i + 1]`, as in [`Sequences::new`].
    ///
    /// # Panics
    ///
    /// If `offsets` is empty, falls somewhere, does not start with 0 or does not end with the number of steps.
    pub fn new(steps: S, offsets: Vec<usize>) -> Self {
        check_offsets(&offsets, steps.len());
        Self { steps, offsets }
    }
}

impl<S: for<'a> ChunkSource<Chunk<'a> = Rows<'a>>> ChunkSource for SequencesSource<S> {
    type Chunk<'a> = Sequences<'a, Rows<'a>>;

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(Self::Chunk<'a>) -> R,
    ) -> Result<R, SourceError> {
        let offsets = &self.offsets[units.start..=units.end];
        let base = offsets[0];
        self.steps.with(base..offsets[offsets.len() - 1], |steps| {
            see(Sequences::bare(steps, Borders::Many { offsets, base }))
        })
    }

    fn observations(&self) -> f64 {
        self.steps.observations()
    }

    fn grain(&self) -> usize {
        grain(self.steps.len(), self.len())
    }

    fn bytes(&self, units: Range<usize>) -> usize {
        self.steps.bytes(self.offsets[units.start]..self.offsets[units.end])
    }
}

fn check_offsets(offsets: &[usize], steps: usize) {
    let ends = (offsets.first().copied(), offsets.last().copied());
    assert_eq!(ends, (Some(0), Some(steps)), "offsets must run from 0 to the number of steps");
    assert!(offsets.is_sorted(), "offsets must not fall");
}
