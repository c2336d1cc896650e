//! The `elbo` command: fits latent-variable models to a table of numbers and explains them.

mod args;
#[cfg(test)]
mod fixture;
mod interrupt;
mod number;
mod output;
mod progress;
mod report;
mod summary;
mod table;
mod text;

use clap::Parser;

fn main() { dbg!(args::Cli::parse()); }
