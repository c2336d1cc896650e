//! The built command from outside: what a person or a script sees.

mod arguments;
mod chains;
mod data;
mod fit;
#[cfg(target_os = "linux")] // signals, and who awaits them
mod interrupt;
mod kmeans;
mod models;
mod support;
