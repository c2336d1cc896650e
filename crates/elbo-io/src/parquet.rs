//! Columns of Parquet files as rows.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use elbo_core::{ChunkSource, Rows, SourceError};
use parquet::{
    basic::Type,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::{ParquetError, Result},
    file::{
        reader::{ChunkReader, FileReader, Length},
        serialized_reader::SerializedFileReader,
    },
};

use crate::{FileError, reader::Reader};

/// Columns of numbers in a Parquet file, shown as rows: `f64`, `f32`, and integers of 32 and 64 bits (rounded beyond 2⁵³). A
/// missing value is NaN.
///
/// Cost of a range of rows: the pages that hold them are read and decoded again each time, and the pages before them in their
/// row groups are skipped, not decoded. Decoding costs several times what reading an NPY file costs; where a fit takes many
/// iterations, convert the file once.
///
/// The file must not change during a fit.
pub struct ParquetFile {
    path: PathBuf,
    reader: SerializedFileReader<Shared>,
    /// First row of each row group, and the number of rows.
    starts: Vec<usize>,
    /// Which of the file's columns are shown.
    columns: Vec<usize>,
    /// Bytes that decoding a column needs beyond its numbers.
    pages: usize,
    buffers: Mutex<Vec<Vec<f64>>>,
}

impl fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParquetFile({}, {} × {})", self.path.display(), self.len(), self.d())
    }
}

/// Values decoded at a time.
const STRIP: usize = 8192;
/// The size of a page where writers are not asked for another.
const PAGE: usize = 1 << 20;

impl ParquetFile {
    /// All columns of a file of numbers.
    ///
    /// # Errors
    ///
    /// [`FileError`] if it cannot be opened, is no Parquet file, or a column holds anything but a number in each row.
    pub fn open(path: impl AsRef<Path>) -> std::result::Result<Self, FileError> {
        Self::open_with(path.as_ref(), None)
    }

    /// The columns of these names, in this order.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`FileError::Name`] if there is no such column.
    ///
    /// # Panics
    ///
    /// If none is named.
    pub fn open_columns(
        path: impl AsRef<Path>,
        names: &[&str],
    ) -> std::result::Result<Self, FileError> {
        assert!(!names.is_empty(), "rows need at least one column");
        Self::open_with(path.as_ref(), Some(names))
    }

    fn open_with(path: &Path, names: Option<&[&str]>) -> std::result::Result<Self, FileError> {
        let io = |error| FileError::Io { path: path.into(), error };
        let damaged =
            |why: &dyn fmt::Display| FileError::Parquet { path: path.into(), why: why.to_string() };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let reader = SerializedFileReader::new(Shared { reader: Arc::new(Reader::new(file)), len });
        let reader = reader.map_err(|why| damaged(&why))?;
        let metadata = reader.metadata();
        let mut starts = vec![0_usize];
        for group in metadata.row_groups() {
            let rows = usize::try_from(group.num_rows()).ok();
            let end = rows.and_then(|rows| starts[starts.len() - 1].checked_add(rows));
            // Every column of every row can be counted in bytes.
            let end = end.filter(|end| end.checked_mul(8 * group.num_columns()).is_some());
            starts.push(end.ok_or_else(|| damaged(&"has a row group of impossible length"))?);
        }
        let columns = select(path, &reader, names)?;
        let sizes = metadata.row_groups().iter().flat_map(|group| {
            columns.iter().map(|column| group.column(*column).uncompressed_size())
        });
        let largest = sizes.max().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        // A page as it is stored, the same decoded, and a dictionary.
        let pages = 3 * largest.min(PAGE) + 16 * STRIP;
        let (path, buffers) = (path.into(), Mutex::default());
        Ok(Self { path, reader, starts, columns, pages, buffers })
    }

    /// Columns shown.
    pub fn d(&self) -> usize {
        self.columns.len()
    }

    /// Writes rows over `numbers`, row by row.
    fn fill(&self, rows: &Range<usize>, numbers: &mut [f64]) -> Result<()> {
        let d = self.d();
        let first = self.starts.partition_point(|start| *start <= rows.start).saturating_sub(1);
        let mut done = 0;
        for (group, border) in self.starts.windows(2).enumerate().skip(first) {
            let (from, to) = (rows.start.max(border[0]), rows.end.min(border[1]));
            if from >= to {
                continue;
            }
            let out = &mut numbers[done * d..(done + to - from) * d];
            done += to - from;
            let reader = self.reader.get_row_group(group)?;
            for (j, column) in self.columns.iter().enumerate() {
                let cells = out[j..].iter_mut().step_by(d);
                let skip = from - border[0];
                match reader.get_column_reader(*column)? {
                    ColumnReader::DoubleColumnReader(column) => copy(column, skip, cells, |x| x)?,
                    ColumnReader::FloatColumnReader(column) => {
                        copy(column, skip, cells, f64::from)?;
                    }
                    ColumnReader::Int32ColumnReader(column) => {
                        copy(column, skip, cells, f64::from)?;
                    }
                    ColumnReader::Int64ColumnReader(column) => {
                        copy(column, skip, cells, |x| x as f64)?;
                    }
                    _ => return Err(ParquetError::General("a column changed its type".into())),
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<f64>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The columns of these names, or all; each must hold a number in each row.
fn select(
    path: &Path,
    reader: &SerializedFileReader<Shared>,
    names: Option<&[&str]>,
) -> std::result::Result<Vec<usize>, FileError> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let all: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
    let columns: Vec<usize> = match names {
        None => (0..all.len()).collect(),
        Some(names) => {
            let find = |name: &&str| {
                all.iter().position(|other| other == name).ok_or_else(|| FileError::Name {
                    path: path.into(),
                    name: (*name).into(),
                    names: all.clone(),
                })
            };
            names.iter().map(find).collect::<std::result::Result<_, _>>()?
        }
    };
    if columns.is_empty() {
        return Err(FileError::Shape { path: path.into(), shape: Vec::new() });
    }
    for &column in &columns {
        let descr = schema.column(column);
        let is_number =
            matches!(descr.physical_type(), Type::DOUBLE | Type::FLOAT | Type::INT32 | Type::INT64);
        let is_flat = descr.max_rep_level() == 0 && descr.max_def_level() <= 1;
        if !(is_number && is_flat) {
            let found = match (is_flat, descr.logical_type_ref()) {
                (false, _) => "lists or structures".into(),
                (true, None) => format!("{:?}", descr.physical_type()),
                (true, Some(logical)) => format!("{logical:?}"),
            };
            return Err(FileError::ColumnType {
                path: path.into(),
                name: all[column].clone(),
                found,
            });
        }
    }
    Ok(columns)
}

/// Copies as many values as there are cells, after skipping some.
fn copy<'c, T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    mut skip: usize,
    mut cells: impl ExactSizeIterator<Item = &'c mut f64>,
    number: impl Fn(T::T) -> f64,
) -> Result<()> {
    let short = || ParquetError::EOF("a column is shorter than its row group".into());
    while skip > 0 {
        let skipped = reader.skip_records(skip)?;
        if skipped == 0 {
            return Err(short());
        }
        skip -= skipped;
    }
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while cells.len() > 0 {
        values.clear();
        levels.clear();
        let wanted = cells.len().min(STRIP);
        let (records, present, _) =
            reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Err(short());
        }
        let mut values = values.drain(..);
        for (i, cell) in cells.by_ref().take(records).enumerate() {
            let is_present = present == records || levels.get(i) == Some(&1);
            let value = if is_present { values.next().map(&number) } else { Some(f64::NAN) };
            *cell = value.ok_or_else(short)?;
        }
    }
    Ok(())
}

impl ChunkSource for ParquetFile {
    type Chunk<'a> = Rows<'a>;

    fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn with<R>(
        &self,
        rows: Range<usize>,
        see: impl for<'a> FnOnce(Rows<'a>) -> R,
    ) -> std::result::Result<R, SourceError> {
        assert!(
            rows.start <= rows.end && rows.end <= self.len(),
            "{rows:?} is outside {} rows",
            self.len()
        );
        let mut buffer = self.lock().pop().unwrap_or_default();
        let needed = rows.len() * self.d();
        buffer.clear();
        if buffer.capacity() < needed {
            buffer = Vec::new(); // given back first, so that never both are held
            buffer.reserve_exact(needed);
        }
        buffer.resize(needed, f64::NAN);
        self.fill(&rows, &mut buffer).map_err(|error| {
            let (path, Range { start, end }) = (self.path.display(), &rows);
            SourceError::new(format!("{path}: rows {start} to {end} cannot be read: {error}"))
        })?;
        let seen = see(Rows::new(&buffer, rows.len(), self.d()));
        self.lock().push(buffer);
        Ok(seen)
    }

    /// The numbers, and pages of the usual size that are being decoded.
    fn bytes(&self, rows: Range<usize>) -> usize {
        8 * rows.len() * self.d() + self.pages
    }
}

/// A file that many threads read; cursors of one file would be shared among them.
#[derive(Debug)]
struct Shared {
    reader: Arc<Reader>,
    len: u64,
}

/// Reads on from a place.
#[derive(Debug)]
struct Cursor {
    reader: Arc<Reader>,
    place: u64,
    len: u64,
}

impl Read for Cursor {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.place)).unwrap_or(usize::MAX);
        let n = to.len().min(left);
        self.reader.read_at(self.place, &mut to[..n])?;
        self.place += n as u64;
        Ok(n)
    }
}

impl Length for Shared {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Shared {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let cursor = Cursor { reader: self.reader.clone(), place: start, len: self.len };
        Ok(BufReader::new(cursor))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes from {start} on are not there")));
        }
        let mut bytes = vec![0; length];
        self.reader.read_at(start, &mut bytes)?;
        Ok(bytes.into())
    }
}
