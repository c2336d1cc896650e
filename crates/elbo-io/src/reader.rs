//! Reading at a place.

#[cfg(not(unix))]
use std::sync::{Mutex, PoisonError};
use std::{fs::File, io};

use crate::mapped::Mapped;

/// A file that many threads read at places of their own.
#[derive(Debug)]
pub(crate) struct Reader {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: Mutex<File>,
}

#[cfg(unix)]
impl Reader {
    pub(crate) fn new(file: File) -> Self {
        Self { file }
    }

    pub(crate) fn read_at(&self, place: u64, to: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, to, place)
    }

    pub(crate) fn map(&self) -> io::Result<Mapped> {
        Mapped::new(&self.file)
    }
}

#[cfg(not(unix))]
impl Reader {
    pub(crate) fn new(file: File) -> Self {
        Self { file: Mutex::new(file) }
    }

    pub(crate) fn read_at(&self, place: u64, to: &mut [u8]) -> io::Result<()> {
        use io::{Read, Seek, SeekFrom};

        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(to)
    }

    pub(crate) fn map(&self) -> io::Result<Mapped> {
        Mapped::new(&self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
