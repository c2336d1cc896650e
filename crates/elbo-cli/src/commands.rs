//! One module per command.

mod chain;
mod fit;
mod inspect;
mod predict;
mod sample;
mod score;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::{
    args::{Cli, Command},
    error::Error,
    model::LARGEST_COUNT,
    summary::Kind,
    table::{self, Columns, Selection, Table},
};

/// Does what was asked for; returns the exit code.
///
/// # Errors
///
/// [`Error`], one line.
pub(crate) fn run(cli: Cli) -> Result<u8, Error> {
    match cli.command {
        Command::Fit(args) => fit::run(args.family),
        Command::Predict(args) => predict::run(&args).map(|()| 0),
        Command::Score(args) => score::run(&args).map(|()| 0),
        Command::Sample(args) => sample::run(&args).map(|()| 0),
        Command::Inspect(args) => inspect::run(&args).map(|()| 0),
    }
}

/// The data for components of `kind`, with notes about the file told to standard error.
fn read(path: &Path, selection: &Selection, kind: Kind) -> Result<Table, Error> {
    let table = table::read(path, selection)?;
    if !selection.quiet {
        table.notes.iter().for_each(|note| tell(&format!("{}: {note}", table.source)));
    }
    let free = !matches!(selection.columns, Columns::OfModel(_));
    check(&table, kind, free).map_err(|message| table.error(message))?;
    Ok(table)
}

/// Refuses missing values and, for counts, anything but one column of whole numbers. Whether the
/// columns are `free` to be chosen makes a cure.
fn check(table: &Table, kind: Kind, free: bool) -> Result<(), String> {
    let place = |at: usize| {
        format!("{}, column \"{}\"", table.place(at / table.d()), table.columns[at % table.d()])
    };
    if let Some(at) = table.values.iter().position(|value| value.is_nan()) {
        let more = match table.missing() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let cure = if free {
            "fill the cell, remove the row, or choose other columns with --columns"
        } else {
            "fill the cell or remove the row"
        };
        return Err(format!(
            "{} is missing{more}; complete rows are needed in this version: {cure}",
            place(at)
        ));
    }
    if kind == Kind::Gaussian {
        return Ok(());
    }
    if table.d() != 1 {
        return Err(format!(
            "has {} columns of numbers, but --component poisson models one column of counts; choose it with --columns",
            table.d()
        ));
    }
    let is_count = |value: f64| (0.0..=LARGEST_COUNT).contains(&value) && value.fract() == 0.0;
    match table.values.iter().position(|&value| !is_count(value)) {
        Some(at) => Err(format!(
            "{}: {} is not a count; Poisson components need whole numbers from 0 to 2^53",
            place(at),
            table.values[at]
        )),
        None => Ok(()),
    }
}

/// A note for a person, on standard error; nobody may be listening.
pub(crate) fn tell(note: &str) {
    let _ = writeln!(io::stderr(), "elbo: {note}");
}

/// A pool of `threads` threads, or one for each core.
fn pool(threads: Option<usize>) -> Result<rayon::ThreadPool, Error> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build()?)
}

/// Makes sure that a file can be written to `path`, before any work is lost: its folder is made
/// where there is none.
fn prepare(path: &Path) -> Result<(), Error> {
    let failed = |cause| Error::File { path: path.into(), action: "written", cause };
    if path.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            fs::create_dir_all(folder).map_err(failed)
        }
        _ => Ok(()),
    }
}

/// Writes a file.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    let write_all = || {
        let mut file = BufWriter::new(File::create(path)?);
        write(&mut file)?;
        file.flush()
    };
    write_all().map_err(|cause| Error::File { path: path.into(), action: "written", cause })
}

/// Writes to standard output.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    Ok(out.flush()?)
}

/// One cell of CSV, quoted where it has to be.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) || cell.trim() != cell {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.into()
    }
}
