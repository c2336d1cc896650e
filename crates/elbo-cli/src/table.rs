//! A data file as a matrix of numbers: which columns, how many rows, where each row stands.
//!
//! [`read`] takes comma-, tab- or semicolon-separated text and NumPy's `.npy`, from a file or from
//! standard input. It never guesses in silence: what is left out is a [`Note`], what cannot be read
//! is a [`TableError`] that names the place and the cure.

mod delimited;
mod error;
mod layout;
mod npy;

use std::{
    fmt,
    fs::File,
    io::{self, Cursor, IsTerminal, Read},
    path::Path,
};

use crate::{error::Error, progress};
pub(crate) use error::{Problem, TableError};

/// Text longer than this is worth a progress bar, in bytes.
const BIG_FILE: u64 = 32 << 20;

/// The first bytes of a file: enough to see what it is and how its cells are separated.
const SAMPLE: u64 = 64 << 10;

/// What to take from a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The columns to model.
    pub(crate) columns: Columns,
    /// The column that holds row weights.
    pub(crate) weights: Option<String>,
    /// The column that says to which sequence or unit a row belongs; may be text.
    pub(crate) id: Option<String>,
    /// Whether the first row of text is column names.
    pub(crate) header: Header,
    /// No progress bar.
    pub(crate) quiet: bool,
}

/// The columns to model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All columns of numbers.
    #[default]
    AllNumbers,
    /// These, in this order.
    Named(Vec<String>),
    /// Those of a model: by name, or by place in a file that has no column names.
    OfModel(Vec<String>),
}

/// Whether the first row of text holds column names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Header {
    /// It does if one of its cells is neither a number nor missing.
    #[default]
    Detect,
    /// It does.
    Present,
    /// It is data; columns are then called `x1`, `x2`, ….
    Absent,
}

/// Rows of numbers with names for the columns; `NaN` is missing, no cell is infinite.
#[derive(Debug)]
pub(crate) struct Table {
    /// What a person calls the file.
    pub(crate) source: String,
    /// Names of the columns of `values`.
    pub(crate) columns: Vec<String>,
    /// `n × d`, one row after the other.
    pub(crate) values: Vec<f64>,
    /// Row weights, finite and not negative, not all zero.
    pub(crate) weights: Option<Vec<f64>>,
    /// Row labels.
    pub(crate) ids: Option<Vec<String>>,
    /// What a reader of the results should know about how the file was read.
    pub(crate) notes: Vec<Note>,
    places: Places,
}

impl Table {
    /// Rows.
    pub(crate) fn n(&self) -> usize {
        self.values.len() / self.d()
    }

    /// Columns; never zero.
    pub(crate) fn d(&self) -> usize {
        self.columns.len()
    }

    /// Number of missing cells.
    pub(crate) fn missing(&self) -> usize {
        self.values.iter().filter(|value| value.is_nan()).count()
    }

    /// An error about the data in this file.
    pub(crate) fn error(&self, message: String) -> Error {
        Error::Data { file: self.source.clone(), message }
    }

    /// Where row `row` (from 0) stands in its file.
    pub(crate) fn place(&self, row: usize) -> Place {
        self.places.of(row)
    }
}

/// Where a row stands in its file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The line of text on which the row ends.
    Line(u64),
    /// The row of an array, which has no lines.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(out, "line {line}"),
            Self::Row(row) => write!(out, "row {row}"),
        }
    }
}

/// Something done while reading that changes what the results mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// These columns hold no number at all.
    LeftOut(Vec<String>),
    /// A column without a name is used under a made-up one.
    Unnamed(String),
    /// The first row was taken for names although this cell of it is a number.
    NumberInHeader(String),
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut(columns) => {
                let noun = if columns.len() == 1 { "column" } else { "columns" };
                let names = error::list(columns);
                write!(
                    out,
                    "left out {noun} without any number: {names}; choose columns with --columns"
                )
            }
            Self::Unnamed(name) => write!(
                out,
                "the column without a name is read as \"{name}\"; if it holds row numbers, choose columns with --columns"
            ),
            Self::NumberInHeader(cell) => write!(
                out,
                "the first row is taken for column names although it holds the number \"{cell}\"; if it is data, use --no-header"
            ),
        }
    }
}

/// Lines of rows, kept as the few rows where the distance from row to line changes.
#[derive(Debug, Default)]
struct Places {
    /// `(row, line)`, rising; empty for arrays.
    changes: Vec<(usize, u64)>,
}

impl Places {
    fn push(&mut self, row: usize, line: u64) {
        let expected = self.changes.last().map(|&(at, base)| base + (row - at) as u64);
        if expected != Some(line) {
            self.changes.push((row, line));
        }
    }

    fn of(&self, row: usize) -> Place {
        match self.changes[..self.changes.partition_point(|&(at, _)| at <= row)].last() {
            Some(&(at, base)) => Place::Line(base + (row - at) as u64),
            None => Place::Row(row as u64 + 1),
        }
    }
}

/// Reads `path`, or standard input when it is `-`.
///
/// # Errors
///
/// [`TableError`]: the file, what is wrong with it and where, and what to do about it.
pub(crate) fn read(path: &Path, selection: &Selection) -> Result<Table, TableError> {
    let source = name_of(path);
    let table = open(path).and_then(|(reader, bytes)| {
        let show = !selection.quiet && bytes >= BIG_FILE && io::stderr().is_terminal();
        let bar = if show { progress::bytes(bytes) } else { progress::hidden() };
        let table = read_from(bar.wrap_read(reader), selection);
        bar.finish_and_clear();
        table
    });
    match table {
        Ok(table) => Ok(Table { source, ..table }),
        Err(problem) => Err(TableError { file: source, problem }),
    }
}

/// What a person calls the file at `path`.
fn name_of(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() }
}

/// The file at `path` and its size in bytes, 0 when unknown.
fn open(path: &Path) -> Result<(Box<dyn Read>, u64), Problem> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin().lock()), 0));
    }
    let file = File::open(path).map_err(Problem::Open)?;
    let metadata = file.metadata().map_err(Problem::Open)?;
    if metadata.is_dir() {
        return Err(Problem::Open(io::ErrorKind::IsADirectory.into()));
    }
    Ok((Box::new(file), metadata.len()))
}

/// Reads a table from `reader`, whose first bytes say whether it is an array or text.
fn read_from(mut reader: impl Read, selection: &Selection) -> Result<Table, Problem> {
    let mut sample = Vec::new();
    reader.by_ref().take(SAMPLE).read_to_end(&mut sample).map_err(Problem::Read)?;
    let whole = Cursor::new(&sample).chain(reader);
    if sample.starts_with(npy::MAGIC) {
        npy::read(&sample, whole, selection)
    } else {
        delimited::read(&sample, whole, selection)
    }
}

#[cfg(test)]
mod tests;
