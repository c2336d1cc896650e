//! What stops a command: one line each, and the exit code.

use std::{io, path::PathBuf};

use crate::{
    interrupt,
    model::{ModelProblem, ParamsError},
    table::TableError,
};

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
    /// The data cannot be used.
    #[error("{file}: {message}")]
    Data {
        /// What a person calls the file.
        file: String,
        /// What is wrong with it, where, and the cure.
        message: String,
    },
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
    /// A start file that holds no start.
    #[error("{}: is not a start for these data and options: {problem}", .path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: StartProblem,
    },
    /// A model file that holds no model.
    #[error("{}: {problem}", .path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ModelProblem,
    },
    /// Threads cannot be started.
    #[error("cannot start the threads ({0}); use fewer --threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Ctrl-C came before there was anything to keep.
    #[error("interrupted before there was a model to keep")]
    Interrupted,
    /// Ctrl-C cannot be caught.
    #[error("cannot prepare for Ctrl-C ({0})")]
    Interrupt(#[from] ctrlc::Error),
    /// Standard output cannot be written.
    #[error("cannot write to standard output ({0})")]
    Output(#[from] io::Error),
}

/// What is wrong with a start file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartProblem {
    /// Not JSON of the right shape.
    #[error("{0}; write it in the shape of \"params\" of --json")]
    Json(#[from] serde_json::Error),
    /// Numbers that make no model.
    #[error("{0}")]
    Params(#[from] ParamsError),
    /// A chain of another size.
    #[error("it has {found} states, --states asks for {expected}")]
    States {
        /// States in the file.
        found: usize,
        /// States asked for.
        expected: usize,
    },
    /// Centers of another width.
    #[error("its centers have {found} columns, the data {expected}")]
    Columns {
        /// Columns in the file.
        found: usize,
        /// Columns of the data.
        expected: usize,
    },
    /// A model of another size.
    #[error("it has {found} components, {expected} are asked for")]
    Components {
        /// Components in the file.
        found: usize,
        /// Components asked for.
        expected: usize,
    },
}

impl Error {
    /// The exit code of a command that it ends.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => interrupt::EXIT_CODE,
            _ => EXIT_CODE,
        }
    }
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
