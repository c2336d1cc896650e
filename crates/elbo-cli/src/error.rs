//! What stops a command: one line each, and the exit code.

use std::{io, path::PathBuf};

use crate::table::TableError;

/// Exit code for wrong input or arguments.
pub(crate) const EXIT_CODE: u8 = 2;

/// Families that [`crate::args::Family`] knows, in the words of the command line.
const FAMILIES: &str = "mixture, kmeans, hmm";

/// Families that other versions of the contract name.
const LATER: [&str; 5] = ["ppca", "factor", "ica", "topics", "impute"];

/// Why a command cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The data cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// No such family.
    #[error("{}", unknown_family(.family))]
    UnknownFamily {
        /// The word in its place.
        family: String,
    },
    /// Arguments that do not go together.
    #[error("{0}")]
    Arguments(String),
    /// A file that cannot be read or written.
    #[error("{}: cannot be {action} ({cause})", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// A file that is not the JSON it should be.
    #[error("{}: is not {expected} ({cause})", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Where and why it is not.
        cause: serde_json::Error,
    },
    /// Ctrl-C cannot be caught.
    #[error("cannot prepare for Ctrl-C ({0})")]
    Interrupt(#[from] ctrlc::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output ({0})")]
    Output(#[from] io::Error),
}

fn unknown_family(family: &str) -> String {
    if LATER.contains(&family) {
        return format!("the family {family} is not in this version; it has {FAMILIES}");
    }
    format!(
        "there is no family \"{}\"; choose among {FAMILIES}, for example: elbo fit mixture DATA --components 1..6",
        family.escape_debug()
    )
}
