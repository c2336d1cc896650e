//! Where data come from: memory, or whatever can show one range of units after the other.

use std::{fmt, ops::Range, sync::Arc};

use crate::{
    Batch, DataError, Label, LatentModel, Rows, Weighted,
    batch::{check_labels, check_weights},
    family::BLOCK,
};

/// Units of data that can be shown range by range, as often as needed: a slice of memory, a file, a table of a data base.
///
/// Drivers never ask for more than a piece at a time (see [`Settings::pieces`](crate::Settings::pieces)) and one piece per
/// worker, so that a source reads data that do not fit into memory. The borders of pieces depend on
/// [`len`](Self::len), [`grain`](Self::grain) and the settings alone: a source that shows the same numbers as a slice of
/// memory gives the same bits. [`Shown`] is memory as a source; [`fit_source`](crate::fit_source) and
/// [`fit_restarts_source`](crate::fit_restarts_source) take any.
///
/// # Implementing it
///
/// [`with`](Self::with) is called from many threads at once. A source that reads keeps a pool of buffers, one for each
/// call in progress, and does not allocate once the pool is filled. What it shows for a range must never change during a
/// fit: if it does, or cannot be read, the error ends the run with the best parameters so far.
///
/// ```
/// use std::ops::Range;
///
/// use elbo_core::{ChunkSource, SourceError};
///
/// /// The numbers 0, 1, 2, …, made when they are asked for.
/// struct Counting(usize);
///
/// impl ChunkSource for Counting {
///     type Chunk<'a> = &'a [f64];
///
///     fn len(&self) -> usize {
///         self.0
///     }
///
///     fn with<R>(&self, units: Range<usize>, see: impl for<'a> FnOnce(&'a [f64]) -> R) -> Result<R, SourceError> {
///         let numbers: Vec<f64> = units.map(|i| i as f64).collect();
///         Ok(see(&numbers))
///     }
/// }
/// assert_eq!(Counting(10).with(3..5, |numbers| numbers.to_vec()), Ok(vec![3.0, 4.0]));
/// ```
pub trait ChunkSource: Sync {
    /// What a range of units is shown as: the data of a model.
    type Chunk<'a>: Batch;

    /// Number of units.
    fn len(&self) -> usize;

    /// Shows the units `units` to `see`. An empty range is shown as well.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    ///
    /// # Panics
    ///
    /// May panic if the range is outside `0..len`.
    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(Self::Chunk<'a>) -> R,
    ) -> Result<R, SourceError>;

    /// Is there no unit at all?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Total weight of all units in observations, as [`Batch::observations`] of all of them.
    fn observations(&self) -> f64 {
        self.len() as f64
    }

    /// The least number of units that is worth a task of its own, as [`Batch::grain`] of all of them.
    fn grain(&self) -> usize {
        1024
    }

    /// Bytes that are held while `units` are shown, beyond those that are held anyway. 0 for what is in memory already.
    fn bytes(&self, units: Range<usize>) -> usize {
        let _ = units;
        0
    }
}

/// Data in memory as a source of a model's chunks: nothing is read or copied.
#[derive(Clone, Copy)]
pub struct Shown<'d, M: LatentModel>(pub M::Data<'d>);

impl<M: LatentModel> fmt::Debug for Shown<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({} units)", self.0.len())
    }
}

impl<M: LatentModel> ChunkSource for Shown<'_, M> {
    type Chunk<'a> = M::Data<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(M::Data<'a>) -> R,
    ) -> Result<R, SourceError> {
        Ok(see(self.0.slice(units)))
    }

    fn observations(&self) -> f64 {
        self.0.observations()
    }

    fn grain(&self) -> usize {
        self.0.grain()
    }
}

/// The rows of a source with weights, or each counting once, and labels, if there are any, kept in memory: the data of
/// mixtures and single distributions.
#[derive(Clone, Debug)]
pub struct WeightedSource<S> {
    rows: S,
    weights: Option<Vec<f64>>,
    labels: Option<Vec<Label>>,
}

impl<S: for<'a> ChunkSource<Chunk<'a> = Rows<'a>>> WeightedSource<S> {
    /// Every row counts once.
    pub fn uniform(rows: S) -> Self {
        Self { rows, weights: None, labels: None }
    }

    /// Row `i` counts `weights[i]` times.
    ///
    /// # Errors
    ///
    /// As [`Weighted::new`].
    pub fn new(rows: S, weights: Vec<f64>) -> Result<Self, DataError> {
        check_weights(&weights, rows.len())?;
        Ok(Self { weights: Some(weights), ..Self::uniform(rows) })
    }

    /// The same rows and weights; row `i` comes from a component that `labels[i]` allows.
    ///
    /// # Errors
    ///
    /// As [`Weighted::with_labels`].
    pub fn with_labels(self, labels: Vec<Label>) -> Result<Self, DataError> {
        check_labels(&labels, self.rows.len())?;
        Ok(Self { labels: Some(labels), ..self })
    }

    /// The rows.
    pub fn rows(&self) -> &S {
        &self.rows
    }
}

impl<S: for<'a> ChunkSource<Chunk<'a> = Rows<'a>>> ChunkSource for WeightedSource<S> {
    type Chunk<'a> = Weighted<'a, Rows<'a>>;

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(Self::Chunk<'a>) -> R,
    ) -> Result<R, SourceError> {
        let weights = self.weights.as_ref().map(|weights| &weights[units.clone()]);
        let labels = self.labels.as_ref().map(|labels| &labels[units.clone()]);
        self.rows.with(units, |rows| see(Weighted::checked(rows, weights, labels)))
    }

    fn observations(&self) -> f64 {
        self.weights.as_ref().map_or_else(|| self.rows.observations(), |w| w.iter().sum())
    }

    fn grain(&self) -> usize {
        self.rows.grain()
    }

    fn bytes(&self, units: Range<usize>) -> usize {
        self.rows.bytes(units)
    }
}

impl<S: ChunkSource> ChunkSource for &S {
    type Chunk<'a> = S::Chunk<'a>;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(Self::Chunk<'a>) -> R,
    ) -> Result<R, SourceError> {
        (**self).with(units, see)
    }

    fn observations(&self) -> f64 {
        (**self).observations()
    }

    fn grain(&self) -> usize {
        (**self).grain()
    }

    fn bytes(&self, units: Range<usize>) -> usize {
        (**self).bytes(units)
    }
}

/// Why units could not be shown: the message of whatever was to show them, which names the place and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "String", into = "String")
)]
#[error("{0}")]
pub struct SourceError(Arc<str>);

impl SourceError {
    /// With this message.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string().into())
    }
}

impl From<String> for SourceError {
    fn from(message: String) -> Self {
        Self(message.into())
    }
}

impl From<SourceError> for String {
    fn from(error: SourceError) -> Self {
        error.0.as_ref().into()
    }
}

/// How units are cut into pieces: equally long up to one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) pieces: usize,
    align: usize,
}

impl Cut {
    /// At most `pieces` pieces of `units` units, none much shorter than `grain`.
    ///
    /// # Panics
    ///
    /// If `pieces = 0`.
    pub(crate) fn new(units: usize, grain: usize, pieces: usize) -> Self {
        assert!(pieces > 0, "the data need at least one piece");
        let grain = grain.max(1);
        let pieces = pieces.min(units.div_ceil(grain)).max(1);
        // Borders at whole blocks keep every block but the last full.
        let align = if grain >= BLOCK { BLOCK } else { 1 };
        Self { pieces, align }
    }

    /// Which of `units` units, as many as it was made for or fewer, belong to a piece.
    pub(crate) fn piece(&self, units: usize, piece: usize) -> Range<usize> {
        let blocks = units.div_ceil(self.align);
        let border = |piece: usize| (blocks * piece / self.pieces * self.align).min(units);
        border(piece)..border(piece + 1)
    }
}

/// A budget that holds not even the smallest pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{workers} workers need {needed} bytes to hold a piece each, the budget is {budget}; raise it or use fewer threads"
)]
pub struct BudgetError {
    /// Bytes allowed.
    pub budget: usize,
    /// Bytes needed at least.
    pub needed: usize,
    /// Workers that hold a piece each.
    pub workers: usize,
}

/// The number of pieces, at least `least`, for which `workers` of them side by side hold at most `budget` bytes of `source`:
/// what [`Settings::pieces`](crate::Settings::pieces) should be.
///
/// Results depend on the number of pieces, though only by rounding. For the same bits on any machine fix the number of
/// pieces, or call this with a fixed number of workers. Scratch and statistics of the model come on top: for each worker one
/// scratch and `⌈log₂ pieces⌉ + 1` statistics.
///
/// # Errors
///
/// [`BudgetError`] if even the largest number of pieces is not enough.
///
/// # Panics
///
/// If there are no workers.
pub fn pieces_within<S: ChunkSource>(
    source: &S,
    budget: usize,
    workers: usize,
    least: usize,
) -> Result<usize, BudgetError> {
    assert!(workers > 0, "somebody has to work");
    let (units, grain) = (source.len(), source.grain());
    let needed = |pieces: usize| {
        let cut = Cut::new(units, grain, pieces);
        let largest = (0..cut.pieces).map(|piece| source.bytes(cut.piece(units, piece))).max();
        largest.unwrap_or(0).saturating_mul(workers.min(cut.pieces))
    };
    let most = Cut::new(units, grain, usize::MAX).pieces;
    let mut pieces = least.clamp(1, most);
    loop {
        let needed = needed(pieces);
        if needed <= budget {
            return Ok(pieces.max(least));
        }
        if pieces == most {
            return Err(BudgetError { budget, needed, workers });
        }
        // A sixteenth more each time: at most that much finer than need be.
        pieces = (pieces + pieces / 16 + 1).min(most);
    }
}

/// Shows all units in order, cut as drivers cut them, with the place of the first; the first error ends it.
///
/// # Errors
///
/// What `see` says, or that units cannot be read.
///
/// # Panics
///
/// If `pieces = 0`.
pub fn for_each_piece<S: ChunkSource, E: From<SourceError>>(
    source: &S,
    pieces: usize,
    mut see: impl for<'a> FnMut(usize, S::Chunk<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let cut = Cut::new(source.len(), source.grain(), pieces);
    for piece in 0..cut.pieces {
        let units = cut.piece(source.len(), piece);
        let start = units.start;
        source.with(units, |chunk| see(start, chunk))??;
    }
    Ok(())
}

/// Can these data be used with such parameters? Asks [`LatentModel::check`] piece by piece.
pub(crate) fn check<M, S>(
    model: &M,
    params: &M::Params,
    source: &S,
    pieces: usize,
) -> Result<(), DataError>
where
    M: LatentModel,
    S: for<'a> ChunkSource<Chunk<'a> = M::Data<'a>>,
{
    let mut empty = true;
    for_each_piece(source, pieces, |start, data| match model.check(params, data) {
        // Sequences without a step say nothing, unless all are.
        Err(DataError::Empty) => Ok(()),
        outcome => {
            empty = false;
            outcome.map_err(|error| error.placed(|row| row + start, |column| column))
        }
    })?;
    if empty { Err(DataError::Empty) } else { Ok(()) }
}
