//! One module per command.

mod fit;

use crate::{
    args::{Cli, Command},
    error::Error,
};

/// Does what was asked for; returns the exit code.
///
/// # Errors
///
/// [`Error`], one line.
pub(crate) fn run(cli: Cli) -> Result<u8, Error> {
    match cli.command {
        Command::Fit(args) => fit::run(args.family),
        Command::Predict(_) | Command::Score(_) | Command::Sample(_) | Command::Inspect(_) => {
            Err(Error::Arguments("this command is not connected yet".into()))
        }
    }
}
