//! Why a data file cannot be used: one line each, with the place and the cure.

use std::{fmt, io};

use super::Place;

/// A file that cannot be used as data.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub(crate) struct TableError {
    /// What a person calls the file.
    pub(crate) file: String,
    /// What is wrong with it.
    pub(crate) problem: Problem,
}

/// What is wrong with a data file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    /// It cannot be opened.
    #[error("cannot be opened ({0}); check the path, or use - for standard input")]
    Open(io::Error),
    /// Reading stopped midway.
    #[error("cannot be read to its end ({0})")]
    Read(io::Error),
    /// Nothing in it.
    #[error("is empty; expected rows of numbers")]
    Empty,
    /// Column names and nothing else.
    #[error("has column names but no rows; if its first row is data, use --no-header")]
    NoRows,
    /// Rows of different lengths.
    #[error("{place} has {}, the first row has {expected}; complete the row, or quote cells that contain '{delimiter}'", cells(*.found))]
    Ragged {
        /// Where.
        place: Place,
        /// Cells in this row.
        found: usize,
        /// Cells in the first row.
        expected: usize,
        /// What separates cells.
        delimiter: char,
    },
    /// A word where there should be a number.
    #[error("{place}, column \"{column}\": \"{}\" is not a number; {}", Short(.cell), text_cure(.cell))]
    Text {
        /// Where.
        place: Place,
        /// Name of the column.
        column: String,
        /// The cell.
        cell: String,
    },
    /// An infinite number.
    #[error("{place}, column \"{column}\": {} is not finite; correct it, or leave the cell empty if it is missing", Short(.cell))]
    Infinite {
        /// Where.
        place: Place,
        /// Name of the column.
        column: String,
        /// The cell.
        cell: String,
    },
    /// A weight that is not a number ≥ 0.
    #[error("{place}, column \"{column}\": the weight \"{}\" is not a finite number of at least 0", Short(.cell))]
    Weight {
        /// Where.
        place: Place,
        /// Name of the column.
        column: String,
        /// The cell.
        cell: String,
    },
    /// All weights are zero.
    #[error("all weights in column \"{column}\" are 0; at least one row must count")]
    NoWeight {
        /// Name of the column.
        column: String,
    },
    /// Bytes that are not text.
    #[error("{place} is not UTF-8 text; save the file as UTF-8, and unpack it if it is compressed")]
    NotUtf8 {
        /// Where.
        place: Place,
    },
    /// No column of numbers.
    #[error("no column holds numbers (columns: {}); separate cells by comma, tab or semicolon, and write decimals with a point", list(.columns))]
    NoNumbers {
        /// All columns.
        columns: Vec<String>,
    },
    /// No column is left for the model.
    #[error("no column is left to model beside those of --weights and --id")]
    NothingToModel,
    /// A column that was asked for holds no number.
    #[error("column \"{column}\", which {option} asks for, holds no number (first cell: \"{}\"); choose another", Short(.cell))]
    ChosenWithoutNumbers {
        /// Name of the column.
        column: String,
        /// What asks for it.
        option: &'static str,
        /// Its first cell that is not missing, or nothing.
        cell: String,
    },
    /// A file without column names that does not have the columns of a model.
    #[error("has {found} columns without names, the model has {} ({}); add a row of names, or give exactly these columns in this order", .columns.len(), list(.columns))]
    Width {
        /// Columns that could be modeled.
        found: usize,
        /// Those of the model.
        columns: Vec<String>,
    },
    /// No column of that name.
    #[error("has no column \"{column}\", which {option} asks for; it has {}", list(.known))]
    UnknownColumn {
        /// The name asked for.
        column: String,
        /// What asks for it.
        option: &'static str,
        /// The names there are.
        known: Vec<String>,
    },
    /// A column asked for twice.
    #[error(
        "column \"{column}\" is chosen twice among --columns, --weights and --id; name it once"
    )]
    ChosenTwice {
        /// The name.
        column: String,
    },
    /// Two columns of one name.
    #[error("columns {first} and {second} are both called \"{column}\"; rename one of them")]
    DuplicateName {
        /// The name.
        column: String,
        /// Number of the first such column, from 1.
        first: usize,
        /// Number of the second.
        second: usize,
    },
    /// A damaged `.npy`.
    #[error("is not a readable .npy array ({0}); save it again with numpy.save")]
    Npy(io::Error),
    /// An array of something else than numbers.
    #[error(
        "holds an array of type {found}; save it as numbers, for example with array.astype(\"float64\")"
    )]
    NpyType {
        /// NumPy's name of the type.
        found: String,
    },
    /// An array of another rank.
    #[error("holds an array of shape {shape:?}; expected rows × columns, or one column")]
    NpyShape {
        /// Its shape.
        shape: Vec<u64>,
    },
    /// An array that no machine could hold: its header is damaged.
    #[error(
        "claims to be an array of shape ({shape}), which is too large; its header is damaged, save it again with numpy.save"
    )]
    NpySize {
        /// Its shape, as the file says it.
        shape: String,
    },
}

/// A cell as it is shown in a message: control characters escaped, long ones cut.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 40;
        let cut = self.0.char_indices().nth(MOST).map_or(self.0.len(), |(at, _)| at);
        let dots = if cut < self.0.len() { "…" } else { "" };
        write!(out, "{}{dots}", self.0[..cut].escape_debug())
    }
}

/// Names in quotes, at most a dozen.
pub(super) fn list(names: &[String]) -> String {
    const MOST: usize = 12;
    let shown: Vec<_> =
        names.iter().take(MOST).map(|name| format!("\"{}\"", Short(name))).collect();
    let more = names.len().saturating_sub(MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

fn cells(count: usize) -> String {
    if count == 1 { "1 cell".into() } else { format!("{count} cells") }
}

/// What to do about a cell of text in a column of numbers.
fn text_cure(cell: &str) -> &'static str {
    if cell.replace(',', ".").parse::<f64>().is_ok() {
        "write numbers with a decimal point"
    } else {
        "correct it, leave it empty if it is missing, or choose other columns with --columns"
    }
}
