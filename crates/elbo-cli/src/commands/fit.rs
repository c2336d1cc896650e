//! `elbo fit`.

use crate::{
    args::{DataArgs, Family},
    error::Error,
    table::{self, Table},
};

pub(crate) fn run(family: Family) -> Result<u8, Error> {
    match family {
        Family::Unknown(words) => {
            Err(Error::UnknownFamily { family: words.into_iter().next().unwrap_or_default() })
        }
        Family::Mixture(args) => {
            args.fit.starts().map_err(Error::Arguments)?;
            read(&args.data, None, args.output.terminal.quiet)?;
            Err(Error::Arguments("fitting is not connected yet".into()))
        }
        Family::Kmeans(args) => {
            read(&args.data, None, args.output.terminal.quiet)?;
            Err(Error::Arguments("fitting is not connected yet".into()))
        }
        Family::Hmm(args) => {
            read(&args.data, args.id.as_deref(), args.output.terminal.quiet)?;
            Err(Error::Arguments("fitting is not connected yet".into()))
        }
    }
}

/// The data, with its notes told to standard error.
fn read(data: &DataArgs, id: Option<&str>, quiet: bool) -> Result<Table, Error> {
    let table = table::read(&data.path, &data.selection(id, quiet))?;
    if !quiet {
        for note in &table.notes {
            eprintln!("elbo: {}: {note}", table.source);
        }
    }
    Ok(table)
}
