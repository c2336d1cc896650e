//! Files seen as memory.

use std::{fs::File, io};

use memmap2::Mmap;

/// A file whose bytes the operating system brings into memory when they are looked at, and drops when it needs room.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: nothing here writes through the map, and whatever bytes are found are valid numbers. That nobody else
        // shortens the file meanwhile is asked of the caller of `RowsFile::mapped`.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as little-endian numbers, where they already are numbers of this machine and well placed in memory.
    pub(crate) fn numbers(&self, start: usize, end: usize) -> Option<&[f64]> {
        if cfg!(target_endian = "big") {
            return None;
        }
        // SAFETY: every pattern of bits is an f64.
        let (before, numbers, after) = unsafe { self.0.get(start..end)?.align_to::<f64>() };
        (before.is_empty() && after.is_empty()).then_some(numbers)
    }
}
