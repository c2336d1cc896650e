//! `elbo predict`.

use std::io::{self, Write};

use serde::Serialize;

use super::{chain, pool, prepare, print, quoted, read, write_file};
use elbo::core::Rows;

use crate::{
    args::Predict,
    chain::SavedChain,
    error::Error,
    explain,
    model::{Saved, SavedCenters, SavedModel},
    number::exact,
    output::write_json,
    summary::Kind,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    n: usize,
    k: usize,
    columns: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [String]>,
    /// The most probable component of each row, from 1.
    labels: Vec<usize>,
    /// `n × k`
    probabilities: Vec<&'a [f64]>,
    /// One minus the largest probability of each row.
    uncertainty: Vec<f64>,
}

/// Says to which component each row belongs.
pub(super) fn run(args: &Predict) -> Result<(), Error> {
    if let Some(saved) = SavedChain::read(&args.input.model)? {
        return chain::predict(args, &saved);
    }
    args.out.as_deref().map_or(Ok(()), prepare)?;
    match SavedModel::read(&args.input.model)? {
        SavedModel::Mixture(saved) => components(args, &saved),
        SavedModel::Centers(saved) => clusters(args, &saved),
    }
}

/// What `--json` prints of centers.
#[derive(Serialize)]
struct Clusters<'a> {
    n: usize,
    k: usize,
    columns: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [String]>,
    /// The nearest center of each row, from 1.
    labels: Vec<usize>,
    /// How far it is.
    distances: Vec<f64>,
}

/// Says which center is nearest to each row, and how near.
fn clusters(args: &Predict, saved: &SavedCenters) -> Result<(), Error> {
    let selection = args.input.selection(&saved.columns, None);
    let table = read(&args.input.data, &selection, Kind::Gaussian)?;
    let rows = Rows::new(&table.values, table.n(), table.d());
    let nearest = pool(args.input.threads)?.install(|| saved.centers.nearest(rows));
    let nearest = nearest.map_err(|error| table.error(explain::data(&error, &table)))?;
    let (labels, distances) =
        nearest.into_iter().map(|(label, square)| (label + 1, square.sqrt())).unzip();
    let output = Clusters {
        n: table.n(),
        k: saved.centers.k(),
        columns: &saved.columns,
        ids: table.ids.as_deref(),
        labels,
        distances,
    };
    let write = |out: &mut dyn Write| {
        if args.input.terminal.json {
            return write_json(out, &output);
        }
        let id = args.input.id.as_deref().zip(output.ids);
        let head = id.map_or(String::new(), |(name, _)| quoted(name) + ",");
        writeln!(out, "{head}label,distance")?;
        for row in 0..output.n {
            let head = id.map_or(String::new(), |(_, ids)| quoted(&ids[row]) + ",");
            let distance = exact(output.distances[row]);
            writeln!(out, "{head}{},{distance}", output.labels[row])?;
        }
        Ok(())
    };
    match &args.out {
        Some(path) => write_file(path, write),
        None => print(write),
    }
}

/// Says to which component each row belongs, and how surely.
fn components(args: &Predict, saved: &Saved) -> Result<(), Error> {
    let selection = args.input.selection(&saved.columns, None);
    let table = read(&args.input.data, &selection, saved.model.kind())?;
    let probabilities = pool(args.input.threads)?
        .install(|| saved.model.responsibilities(&table.values))
        .map_err(|error| table.error(explain::e_step(&error, &table)))?;
    let k = saved.model.k();
    let rows: Vec<_> = probabilities.chunks_exact(k).collect();
    let (labels, uncertainty): (Vec<_>, Vec<_>) = rows.iter().map(|row| largest(row)).unzip();
    let output = Output {
        n: table.n(),
        k,
        columns: &saved.columns,
        ids: table.ids.as_deref(),
        labels,
        probabilities: rows,
        uncertainty,
    };
    let write = |out: &mut dyn Write| {
        if args.input.terminal.json {
            write_json(out, &output)
        } else {
            let id = args.input.id.as_deref().zip(output.ids);
            csv(out, id, &output)
        }
    };
    match &args.out {
        Some(path) => write_file(path, write),
        None => print(write),
    }
}

/// The first component of the largest probability, from 1, and what is left for the others.
fn largest(row: &[f64]) -> (usize, f64) {
    let best = (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
    let others = row.iter().enumerate().filter(|(at, _)| *at != best).map(|(_, p)| p);
    (best + 1, others.sum())
}

fn csv(out: &mut dyn Write, id: Option<(&str, &[String])>, output: &Output<'_>) -> io::Result<()> {
    let mut header: Vec<_> = id.iter().map(|(name, _)| quoted(name)).collect();
    header.push("label".into());
    header.extend((1..=output.k).map(|component| format!("probability_{component}")));
    header.push("uncertainty".into());
    writeln!(out, "{}", header.join(","))?;
    for row in 0..output.n {
        if let Some((_, ids)) = id {
            write!(out, "{},", quoted(&ids[row]))?;
        }
        write!(out, "{}", output.labels[row])?;
        for &probability in output.probabilities[row] {
            write!(out, ",{}", exact(probability))?;
        }
        writeln!(out, ",{}", exact(output.uncertainty[row]))?;
    }
    Ok(())
}
