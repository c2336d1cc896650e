//! `elbo fit`.

mod chain;
mod found;
mod hmm;
mod kmeans;
mod mixture;

pub(super) use kmeans::summary as clusters;

use crate::{args::Family, error::Error};

/// Fits a model of `family`; returns the exit code.
pub(super) fn run(family: Family) -> Result<u8, Error> {
    match family {
        Family::Unknown(words) => {
            Err(Error::UnknownFamily { family: words.into_iter().next().unwrap_or_default() })
        }
        Family::Mixture(args) => mixture::run(&args),
        Family::Hmm(args) => hmm::run(&args),
        Family::Kmeans(args) => kmeans::run(&args),
    }
}
