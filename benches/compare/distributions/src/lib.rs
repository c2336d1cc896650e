//! Nothing: the benches are the content.
