//! Numbers that begin where a cache line does.

use std::ops::{Deref, DerefMut};

/// A slice that owns itself and begins at a multiple of 64 bytes, so that rows of whole vectors share no line, and no load or
/// store of a vector touches two.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

const LINE: usize = 64;

impl<T: Copy + Default> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self::default();
        }
        let spare = LINE / size_of::<T>();
        let data = vec![T::default(); len + spare];
        // an offset that cannot be told costs speed alone
        let start = data.as_ptr().align_offset(LINE).min(spare);
        Self { data, start, len }
    }

    /// `len` zeros, in the same place where they fit.
    pub(crate) fn reset(&mut self, len: usize) {
        if self.len == len {
            self.fill(T::default());
        } else {
            *self = Self::zeros(len);
        }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut clone = Self::zeros(self.len);
        clone.copy_from_slice(self);
        clone
    }

    fn clone_from(&mut self, source: &Self) {
        if self.len == source.len {
            self.copy_from_slice(source);
        } else {
            *self = source.clone();
        }
    }
}

impl<T: PartialEq> PartialEq for Aligned<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
