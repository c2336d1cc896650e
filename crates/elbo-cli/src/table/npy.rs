//! NumPy's `.npy` arrays.

use std::io::{self, Read};

use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};

use super::{
    Place, Problem, Selection, Table,
    delimited::numbered,
    layout::{Cell, Layout},
};

/// The first bytes of every `.npy` file.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The magic bytes, the version and the length of the header, in the longest form.
const PREAMBLE: usize = 12;

/// More bytes than the header of an array of numbers can need.
const HEADER: usize = 4096;

/// Reads a two-dimensional array of rows, or a one-dimensional one as a single column.
///
/// Columns are called `x1`, `x2`, …. Integers beyond 2⁵³ are rounded to the nearest `f64`. `sample`
/// holds the first bytes of what `reader` gives.
pub(super) fn read(
    sample: &[u8],
    reader: impl Read,
    selection: &Selection,
) -> Result<Table, Problem> {
    check_size(sample)?;
    let file = NpyFile::new(reader).map_err(Problem::Npy)?;
    let size = |extent: u64| usize::try_from(extent).map_err(|_| shape_problem(&file));
    let (n, d) = match *file.shape() {
        [n] => (size(n)?, 1),
        [n, d] => (size(n)?, size(d)?),
        _ => return Err(shape_problem(&file)),
    };
    if n == 0 || d == 0 {
        return Err(Problem::Empty);
    }
    let order = file.order();
    let values = numbers(file)?;
    let mut layout = Layout::new(numbered(d), false, selection)?;
    layout.reserve(n);
    for row in 0..n {
        let at = |column: usize| match order {
            Order::C => row * d + column,
            Order::Fortran => column * n + row,
        };
        let cells = (0..d).map(|column| values[at(column)]);
        layout.push(Place::Row(row as u64 + 1), cells, number, |_| &[])?;
    }
    layout.finish()
}

/// Refuses a header whose extents multiply to more bytes than a machine can address: `npyz` would
/// compute with an overflown size. A header that is damaged otherwise is left to `npyz`.
fn check_size(sample: &[u8]) -> Result<(), Problem> {
    const LARGEST_ELEMENT: u64 = 8;
    let header = sample.get(PREAMBLE..sample.len().min(HEADER)).unwrap_or_default();
    let header =
        String::from_utf8_lossy(header.split(|&byte| byte == b'\n').next().unwrap_or_default());
    let Some((_, rest)) = header.split_once("'shape'") else { return Ok(()) };
    let shape = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let Some((shape, _)) = shape else { return Ok(()) };
    let extents = shape.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let bytes = extents
        .map(|extent| extent.trim_end_matches('L').parse::<u64>())
        .try_fold(LARGEST_ELEMENT, |bytes, extent| bytes.checked_mul(extent.ok()?.max(1)));
    match bytes {
        Some(bytes) if i64::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Problem::NpySize { shape: shape.chars().take(60).collect() }),
    }
}

fn number(value: f64) -> Cell<'static> {
    if value.is_nan() { Cell::Missing } else { Cell::Number(value) }
}

/// All elements in the order of the file.
fn numbers<R: Read>(file: NpyFile<R>) -> Result<Vec<f64>, Problem> {
    let DType::Plain(kind) = file.dtype() else {
        return Err(Problem::NpyType { found: file.dtype().descr() });
    };
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 8) => convert(file, |value: f64| value),
        (TypeChar::Float, 4) => convert(file, |value: f32| value.into()),
        (TypeChar::Int, 8) => convert(file, |value: i64| value as f64),
        (TypeChar::Int, 4) => convert(file, |value: i32| value.into()),
        (TypeChar::Int, 2) => convert(file, |value: i16| value.into()),
        (TypeChar::Int, 1) => convert(file, |value: i8| value.into()),
        (TypeChar::Uint, 8) => convert(file, |value: u64| value as f64),
        (TypeChar::Uint, 4) => convert(file, |value: u32| value.into()),
        (TypeChar::Uint, 2) => convert(file, |value: u16| value.into()),
        (TypeChar::Uint, 1) => convert(file, |value: u8| value.into()),
        _ => Err(Problem::NpyType { found: kind.to_string() }),
    }
}

fn convert<R: Read, T: Deserialize>(
    file: NpyFile<R>,
    into: impl Fn(T) -> f64,
) -> Result<Vec<f64>, Problem> {
    let found = file.dtype().descr();
    let elements = file.data::<T>().map_err(|_| Problem::NpyType { found })?;
    elements.map(|element| element.map(&into)).collect::<io::Result<_>>().map_err(Problem::Npy)
}

fn shape_problem<R: Read>(file: &NpyFile<R>) -> Problem {
    Problem::NpyShape { shape: file.shape().to_vec() }
}
