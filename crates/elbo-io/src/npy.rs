//! The header of NumPy's file format, versions 1 to 3.
//!
//! # Source
//!
//! NumPy enhancement proposal 1, and the documentation of `numpy.lib.format`.

use std::io::{self, Read};

/// What a header says.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    /// NumPy's name of the type of the numbers.
    pub(crate) descr: String,
    pub(crate) is_fortran: bool,
    pub(crate) shape: Vec<u64>,
    /// Bytes before the numbers.
    pub(crate) len: u64,
}

/// Why there is no header.
#[derive(Debug)]
pub(crate) enum HeaderError {
    Io(io::Error),
    Damaged(&'static str),
}

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// More than any table of numbers needs.
const LONGEST: usize = 1 << 16;

impl Header {
    /// Takes a header off the front of `reader`, not one byte more.
    pub(crate) fn read(reader: &mut impl Read) -> Result<Self, HeaderError> {
        let mut start = [0; 8];
        fill(reader, &mut start, "is no NPY file")?;
        if start[..6] != MAGIC {
            return Err(HeaderError::Damaged("is no NPY file"));
        }
        let (size, wide) = match start[6] {
            1 => (2, false),
            2 | 3 => (4, true),
            _ => return Err(HeaderError::Damaged("has an unknown version of the NPY format")),
        };
        let mut length = [0; 4];
        fill(reader, &mut length[..size], "has an NPY header that was cut off")?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(HeaderError::Damaged("has an NPY header that is too long"));
        }
        let mut text = vec![0; length];
        fill(reader, &mut text, "has an NPY header that was cut off")?;
        let text = String::from_utf8(text).map_err(|_| damaged())?;
        let (descr, is_fortran, shape) = parse(&text).ok_or_else(damaged)?;
        let len = (8 + if wide { 4 } else { 2 } + length) as u64;
        Ok(Self { descr, is_fortran, shape, len })
    }
}

fn damaged() -> HeaderError {
    HeaderError::Damaged("has an NPY header that makes no sense")
}

fn fill(reader: &mut impl Read, to: &mut [u8], short: &'static str) -> Result<(), HeaderError> {
    reader.read_exact(to).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => HeaderError::Damaged(short),
        _ => HeaderError::Io(error),
    })
}

/// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }`, in any order of the keys.
fn parse(text: &str) -> Option<(String, bool, Vec<u64>)> {
    let descr = value(text, "descr")?;
    let descr = match descr.strip_prefix(['\'', '"']) {
        Some(rest) => rest.split(['\'', '"']).next()?,
        None => descr.split('}').next()?, // a structured type: told as it stands
    };
    let is_fortran = value(text, "fortran_order")?.starts_with("True");
    if !is_fortran && !value(text, "fortran_order")?.starts_with("False") {
        return None;
    }
    let (extents, _) = value(text, "shape")?.strip_prefix('(')?.split_once(')')?;
    let extents = extents.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let shape = extents.map(|extent| extent.trim_end_matches('L').parse().ok());
    Some((descr.trim().into(), is_fortran, shape.collect::<Option<_>>()?))
}

/// What follows a key.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let place = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
    let rest = text[place + key.len() + 2..].trim_start();
    Some(rest.strip_prefix(':')?.trim_start())
}
