//! Rows of numbers in a file.

use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use elbo_core::{ChunkSource, OwnedRows, Rows, SourceError, mix};

use crate::{
    FileError,
    mapped::Mapped,
    npy::{Header, HeaderError},
    reader::Reader,
};

/// `n × d` rows of `f64` or `f32` in a file, row after row: a NumPy array or raw numbers, little-endian.
///
/// Each piece that a driver asks for is read into a buffer of the worker that asks, so that what is held is known beforehand
/// ([`pieces_within`](elbo_core::pieces_within)) and a file that fails is an error and nothing worse. After
/// [`mapped`](Self::mapped) nothing is read, and the operating system decides what to hold.
///
/// The file is read again in every iteration. It must not change during a fit; if it gets shorter, that is an error.
///
/// Cost of a row: one copy from the operating system's cache, if it is there.
#[derive(Debug)]
pub struct RowsFile {
    path: PathBuf,
    bytes: Bytes,
    layout: Layout,
    /// Columns of the file that are shown, if not all in order.
    columns: Option<Vec<usize>>,
    buffers: Mutex<Vec<Buffer>>,
}

/// Where numbers stand in a file.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Bytes before the first row.
    start: u64,
    rows: usize,
    /// Columns of the file.
    columns: usize,
    is_single: bool,
}

#[derive(Debug)]
enum Bytes {
    Read(Reader),
    Mapped(Mapped),
}

/// What one worker reads into.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    numbers: Vec<f64>,
}

/// Bytes read at a time.
const STRIP: usize = 1 << 16;

impl RowsFile {
    /// A NumPy array of `f64` or `f32` in C order; an array of one dimension is one column.
    ///
    /// # Errors
    ///
    /// [`FileError`] if it cannot be opened, is no such array, or is shorter than its header says.
    pub fn open_npy(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref().to_path_buf();
        let io = |error| FileError::Io { path: path.clone(), error };
        let mut file = File::open(&path).map_err(io)?;
        let header = Header::read(&mut file).map_err(|error| match error {
            HeaderError::Io(error) => io(error),
            HeaderError::Damaged(why) => FileError::Header { path: path.clone(), why },
        })?;
        let is_single = match header.descr.as_str() {
            "<f8" => false,
            "<f4" => true,
            _ => return Err(FileError::Type { path, found: header.descr }),
        };
        let extent = |extent: u64| usize::try_from(extent).ok();
        let (rows, columns) = match *header.shape {
            [n] => (extent(n), Some(1)),
            [n, d] => (extent(n), extent(d)),
            _ => (None, None),
        };
        let (Some(rows), Some(columns @ 1..)) = (rows, columns) else {
            return Err(FileError::Shape { path, shape: header.shape });
        };
        if header.is_fortran && rows > 1 && columns > 1 {
            return Err(FileError::FortranOrder { path });
        }
        let layout = Layout { start: header.len, rows, columns, is_single };
        let found = file.metadata().map_err(io)?.len();
        match layout.end() {
            Some(expected) if found < expected => Err(FileError::Length { path, expected, found }),
            Some(_) => Ok(Self::new(path, file, layout)),
            None => Err(FileError::Shape { path, shape: header.shape }),
        }
    }

    /// Nothing but `f64`, little-endian, `columns` in each row.
    ///
    /// # Errors
    ///
    /// [`FileError`] if it cannot be opened, or is not a whole number of rows long.
    ///
    /// # Panics
    ///
    /// If `columns = 0`.
    pub fn open_raw(path: impl AsRef<Path>, columns: usize) -> Result<Self, FileError> {
        assert!(columns > 0, "rows need at least one column");
        let path = path.as_ref().to_path_buf();
        let io = |error| FileError::Io { path: path.clone(), error };
        let file = File::open(&path).map_err(io)?;
        let found = file.metadata().map_err(io)?.len();
        let row = 8 * columns as u64;
        let whole = usize::try_from(found / row).ok().filter(|_| found.is_multiple_of(row));
        let Some(rows) = whole else {
            return Err(FileError::Length { path, expected: found / row * row, found });
        };
        let layout = Layout { start: 0, rows, columns, is_single: false };
        Ok(Self::new(path, file, layout))
    }

    fn new(path: PathBuf, file: File, layout: Layout) -> Self {
        let bytes = Bytes::Read(Reader::new(file));
        Self { path, bytes, layout, columns: None, buffers: Mutex::default() }
    }

    /// Shows these columns only, in this order; they count in the file.
    ///
    /// # Errors
    ///
    /// [`FileError::Column`] if there is no such column.
    ///
    /// # Panics
    ///
    /// If none is selected.
    pub fn select(mut self, columns: &[usize]) -> Result<Self, FileError> {
        assert!(!columns.is_empty(), "rows need at least one column");
        if let Some(&column) = columns.iter().find(|column| **column >= self.layout.columns) {
            let (path, columns) = (self.path, self.layout.columns);
            return Err(FileError::Column { path, column, columns });
        }
        self.columns = Some(columns.to_vec());
        Ok(self)
    }

    /// Maps the file into memory instead of reading it: rows of `f64`, all columns selected, are then shown where they are,
    /// without a copy.
    ///
    /// What was looked at counts as memory of this process until the operating system needs the room, so that no budget is
    /// kept. A file that another process shortens meanwhile, or a device that fails, ends this process by a signal; read
    /// such files.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`] if the file cannot be mapped.
    pub fn mapped(mut self) -> Result<Self, FileError> {
        if let Bytes::Read(reader) = &self.bytes {
            let mapped = reader.map();
            let mapped =
                mapped.map_err(|error| FileError::Io { path: self.path.clone(), error })?;
            let end = self.layout.end().unwrap_or(u64::MAX);
            if (mapped.bytes().len() as u64) < end {
                let found = mapped.bytes().len() as u64;
                return Err(FileError::Length { path: self.path, expected: end, found });
            }
            self.bytes = Bytes::Mapped(mapped);
        }
        Ok(self)
    }

    /// Columns shown.
    pub fn d(&self) -> usize {
        self.columns.as_ref().map_or(self.layout.columns, Vec::len)
    }

    /// Some rows, spread evenly over the file: one, picked at random, of each of `n` equally long stretches (or all, if there
    /// are no more).
    ///
    /// Starts are best made from as many rows as fit into memory.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if they cannot be read.
    pub fn sample(&self, n: usize, seed: u64) -> Result<OwnedRows, SourceError> {
        let n = n.min(self.len());
        let mut drawn = OwnedRows::new(self.d());
        let border = |stretch: usize| {
            self.len() / n * stretch + self.len() % n * stretch / n // ⌊len·stretch/n⌋
        };
        for stretch in 0..n {
            let (from, to) = (border(stretch), border(stretch + 1));
            let within = mix(seed, stretch as u64) % (to - from) as u64;
            let row = from + usize::try_from(within).unwrap_or_default(); // below a usize
            let to = drawn.grow(1);
            self.with(row..row + 1, |rows| rows.copy_row(0, to))?;
        }
        Ok(drawn)
    }

    /// A column of the file in memory: weights, say.
    ///
    /// # Errors
    ///
    /// [`FileError`] if there is none, or it cannot be read.
    pub fn column(&self, column: usize) -> Result<Vec<f64>, FileError> {
        if column >= self.layout.columns {
            let (path, columns) = (self.path.clone(), self.layout.columns);
            return Err(FileError::Column { path, column, columns });
        }
        let mut numbers = Vec::with_capacity(self.layout.rows);
        self.convert(0..self.layout.rows, Some(&[column]), &mut Vec::new(), &mut numbers)
            .map_err(|error| FileError::Io { path: self.path.clone(), error })?;
        Ok(numbers)
    }

    /// Looks at all rows once.
    ///
    /// Models do that, too, before a fit; here the column is told as it counts in the file.
    ///
    /// # Errors
    ///
    /// [`FileError::NotFinite`] at the first number shown that is NaN or infinite; [`FileError::Io`].
    pub fn check_finite(&self) -> Result<(), FileError> {
        let rows = (STRIP / self.layout.row()).max(1);
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        for start in (0..self.layout.rows).step_by(rows) {
            let end = self.layout.rows.min(start + rows);
            numbers.clear();
            self.convert(start..end, self.columns.as_deref(), &mut bytes, &mut numbers)
                .map_err(|error| FileError::Io { path: self.path.clone(), error })?;
            if let Some(place) = numbers.iter().position(|x| !x.is_finite()) {
                let (path, value, d) = (self.path.clone(), numbers[place], self.d());
                let column = self.columns.as_ref().map_or(place % d, |shown| shown[place % d]);
                return Err(FileError::NotFinite { path, row: start + place / d, column, value });
            }
        }
        Ok(())
    }

    /// The rows where they are, if that is possible.
    fn view(&self, rows: &Range<usize>) -> Option<Rows<'_>> {
        let Bytes::Mapped(mapped) = &self.bytes else { return None };
        if self.layout.is_single || self.columns.is_some() {
            return None;
        }
        let (start, end) = (self.layout.place(rows.start)?, self.layout.place(rows.end)?);
        let numbers = mapped.numbers(usize::try_from(start).ok()?, usize::try_from(end).ok()?)?;
        Some(Rows::new(numbers, rows.len(), self.layout.columns))
    }

    /// Appends rows to `numbers`, read strip by strip.
    fn convert(
        &self,
        rows: Range<usize>,
        columns: Option<&[usize]>,
        bytes: &mut Vec<u8>,
        numbers: &mut Vec<f64>,
    ) -> io::Result<()> {
        let strip = self.layout.rows_in_a_strip();
        for start in rows.clone().step_by(strip) {
            let (end, row) = (rows.end.min(start + strip), self.layout.row());
            let place = self.layout.place(start).unwrap_or(u64::MAX); // of a row that exists
            let raw = match &self.bytes {
                Bytes::Read(reader) => {
                    bytes.resize((end - start) * row, 0);
                    reader.read_at(place, bytes)?;
                    &bytes[..]
                }
                Bytes::Mapped(mapped) => {
                    let place = usize::try_from(place).unwrap_or(usize::MAX); // it was mapped
                    &mapped.bytes()[place..][..(end - start) * row]
                }
            };
            if self.layout.is_single {
                append(raw, row, columns, numbers, |x: [u8; 4]| f32::from_le_bytes(x).into());
            } else {
                append(raw, row, columns, numbers, f64::from_le_bytes);
            }
        }
        Ok(())
    }
}

/// Appends the numbers of rows of `row` bytes each.
fn append<const SIZE: usize>(
    raw: &[u8],
    row: usize,
    columns: Option<&[usize]>,
    numbers: &mut Vec<f64>,
    number: impl Fn([u8; SIZE]) -> f64 + Copy,
) {
    let Some(columns) = columns else {
        numbers.extend(raw.as_chunks().0.iter().map(|x| number(*x)));
        return;
    };
    for row in raw.chunks_exact(row) {
        let cells = row.as_chunks().0;
        numbers.extend(columns.iter().map(|column| number(cells[*column])));
    }
}

impl Layout {
    /// Bytes of a row.
    fn row(&self) -> usize {
        self.columns * if self.is_single { 4 } else { 8 }
    }

    /// Where a row begins.
    fn place(&self, row: usize) -> Option<u64> {
        (row as u64).checked_mul(self.row() as u64)?.checked_add(self.start)
    }

    /// Where the last row ends, if a file can be that long.
    fn end(&self) -> Option<u64> {
        let bytes = self.columns.checked_mul(8)?;
        self.rows.checked_mul(bytes)?; // what is shown can be counted
        self.place(self.rows)
    }

    fn rows_in_a_strip(&self) -> usize {
        (STRIP / self.row()).max(1)
    }
}

impl ChunkSource for RowsFile {
    type Chunk<'a> = Rows<'a>;

    fn len(&self) -> usize {
        self.layout.rows
    }

    fn with<R>(
        &self,
        rows: Range<usize>,
        see: impl for<'a> FnOnce(Rows<'a>) -> R,
    ) -> Result<R, SourceError> {
        assert!(
            rows.start <= rows.end && rows.end <= self.len(),
            "{rows:?} is outside {} rows",
            self.len()
        );
        if let Some(view) = self.view(&rows) {
            return Ok(see(view));
        }
        let (n, d) = (rows.len(), self.d());
        let mut buffer = self.lock().pop().unwrap_or_default();
        buffer.numbers.clear();
        if buffer.numbers.capacity() < n * d {
            buffer.numbers = Vec::new(); // given back first, so that never both are held
            buffer.numbers.reserve_exact(n * d);
        }
        let Buffer { bytes, numbers } = &mut buffer;
        self.convert(rows.clone(), self.columns.as_deref(), bytes, numbers).map_err(|error| {
            let (path, Range { start, end }) = (self.path.display(), rows);
            SourceError::new(format!("{path}: rows {start} to {end} cannot be read: {error}"))
        })?;
        let seen = see(Rows::new(&buffer.numbers, n, d));
        self.lock().push(buffer);
        Ok(seen)
    }

    fn bytes(&self, rows: Range<usize>) -> usize {
        if self.view(&rows).is_some() {
            return 0;
        }
        let strip = match self.bytes {
            Bytes::Read(_) => rows.len().min(self.layout.rows_in_a_strip()) * self.layout.row(),
            Bytes::Mapped(_) => 0,
        };
        8 * rows.len() * self.d() + strip
    }
}

impl RowsFile {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Buffer>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
