//! What can be wrong with a file.

use std::{io, path::PathBuf};

/// Why a file cannot serve as rows. Rows and columns count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// No NPY file, or one whose header is damaged.
    #[error("{}: {why}; write it with numpy.save", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// Numbers of another type.
    #[error(
        "{}: holds numbers of type {found}; convert them with array.astype('<f8')",
        path.display()
    )]
    Type {
        /// The file.
        path: PathBuf,
        /// NumPy's name for the type.
        found: String,
    },
    /// Columns are stored one after the other.
    #[error(
        "{}: is in Fortran order, so that a row is scattered all over the file; write numpy.ascontiguousarray(array)",
        path.display()
    )]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },
    /// Not a table.
    #[error(
        "{}: has shape {shape:?}; one or two dimensions and at least one column are needed",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The extents found.
        shape: Vec<u64>,
    },
    /// The file does not hold what it should.
    #[error("{}: has {found} bytes instead of {expected}; it was cut off, or has other columns", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// A column that does not exist.
    #[error("{}: has {columns} columns, none is number {column}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: usize,
        /// Columns of the file.
        columns: usize,
    },
    /// No Parquet file, a damaged one, or one that needs what this library lacks.
    #[error("{}: {why}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        why: String,
    },
    /// A column of another name than those that there are.
    #[error("{}: has no column {name:?}; there are {}", path.display(), names.join(", "))]
    Name {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names of its columns.
        names: Vec<String>,
    },
    /// A column that holds no numbers, or lists of them.
    #[error(
        "{}: column {name:?} holds {found}, not a number in each row; leave it out",
        path.display()
    )]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        name: String,
        /// What it holds.
        found: String,
    },
    /// A number that is NaN or infinite.
    #[error("{}: row {row}, column {column} is {value}; remove or impute it", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Row.
        row: usize,
        /// Column, counted in the file.
        column: usize,
        /// The number.
        value: f64,
    },
}
