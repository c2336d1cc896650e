//! Shared data generators of the benches.
