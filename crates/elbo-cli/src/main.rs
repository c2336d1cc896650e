//! The `elbo` command: fits latent-variable models to a table of numbers and explains them.

mod args;
mod chain;
mod commands;
mod error;
mod explain;
#[cfg(test)]
mod fixture;
mod interrupt;
mod model;
mod number;
mod output;
mod progress;
mod report;
mod search;
mod summary;
mod table;
mod text;
mod warnings;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use error::Error;

fn main() -> ExitCode {
    let outcome = match args::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(error) => return refuse(&error),
    };
    match outcome {
        Ok(code) => code.into(),
        // The reader of a pipe has seen enough: `elbo sample … | head`.
        Err(Error::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            commands::tell(&error.to_string());
            error.exit_code().into()
        }
    }
}

/// Prints help, or what is wrong with the arguments: one line, then how they are written.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr()
        || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        let printed = error.print();
        return if printed.is_ok() && !error.use_stderr() {
            ExitCode::SUCCESS
        } else {
            error::EXIT_CODE.into()
        };
    }
    let text = error.to_string();
    let (hints, what): (Vec<_>, Vec<_>) = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .partition(|paragraph| {
            paragraph.starts_with("Usage:") || paragraph.starts_with("For more")
        });
    let what = what.join("; ");
    commands::tell(what.strip_prefix("error: ").unwrap_or(&what));
    let _ = writeln!(io::stderr(), "{}", hints.join("\n"));
    error::EXIT_CODE.into()
}
