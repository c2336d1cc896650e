//! The `elbo` command: fits latent-variable models to a table of numbers and explains them.

mod interrupt;
mod number;
mod progress;
mod table;

fn main() {}
