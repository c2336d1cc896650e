//! Laws of this crate.
