//! `predict`, `score`, `sample` and `inspect` for hidden Markov models.

use std::io::{self, Write};

use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Serialize;

use super::{pool, prepare, print, quoted, write_file};
use crate::{
    args::{Inspect, ModelAndData, Predict, Sample, Score},
    chain::{self, SavedChain, Series},
    error::Error,
    number::{count, exact, fixed},
    output::write_json,
    table::{self, Table},
    text::{self, Paint},
};

/// The data for a chain.
fn read(input: &ModelAndData, saved: &SavedChain) -> Result<(Table, Series), Error> {
    let selection = input.selection(&saved.columns, None);
    let table = table::read(&input.data, &selection)?;
    if !selection.quiet {
        table.notes.iter().for_each(|note| super::tell(&format!("{}: {note}", table.source)));
    }
    let series = Series::of(&table, saved.emission).map_err(|message| table.error(message))?;
    saved.chain.check(&series, &table).map_err(|message| table.error(message))?;
    Ok((table, series))
}

/// What `predict --json` prints.
#[derive(Serialize)]
struct Predicted<'a> {
    n: usize,
    k: usize,
    sequences: usize,
    columns: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [String]>,
    /// The state of each row on the most probable path of its sequence, from 1.
    path: Vec<usize>,
    /// `ln p(rows, path)`, in nats, of all sequences.
    log_probability: f64,
    /// The most probable state of each row on its own, from 1.
    labels: Vec<usize>,
    /// `n × k`: given all rows of the sequence.
    probabilities: Vec<&'a [f64]>,
    /// `sequences × steps × k`: the law of the state after the end, with `--ahead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Vec<Vec<&'a [f64]>>>,
}

/// Says in which state each row is.
pub(super) fn predict(args: &Predict, saved: &SavedChain) -> Result<(), Error> {
    args.out.as_deref().map_or(Ok(()), prepare)?;
    let (table, series) = read(&args.input, saved)?;
    let chain = &saved.chain;
    let k = chain.k();
    let ask = || {
        let forecast = chain.forecast(&series, args.ahead.unwrap_or(0))?;
        Ok((chain.viterbi(&series)?, chain.posterior(&series)?, forecast))
    };
    let ((path, log_probability), posterior, forecast) = pool(args.input.threads)?
        .install(ask)
        .map_err(|error| table.error(chain::explain(&error, &series, &table)))?;
    let rows: Vec<&[f64]> = posterior.chunks_exact(k).collect();
    let largest =
        |row: &&[f64]| 1 + (1..k).fold(0, |best, j| if row[j] > row[best] { j } else { best });
    let ahead = args.ahead.filter(|steps| *steps > 0);
    let output = Predicted {
        n: table.n(),
        k,
        sequences: series.len(),
        columns: &saved.columns,
        ids: table.ids.as_deref(),
        path: path.into_iter().map(|state| state + 1).collect(),
        log_probability,
        labels: rows.iter().map(largest).collect(),
        probabilities: rows,
        forecast: ahead.map(|steps| {
            let sequences = forecast.chunks_exact(steps * k);
            sequences.map(|sequence| sequence.chunks_exact(k).collect()).collect()
        }),
    };
    let write = |out: &mut dyn Write| {
        if args.input.terminal.json {
            write_json(out, &output)
        } else {
            csv(out, args.input.id.as_deref().zip(output.ids), &output)
        }
    };
    match &args.out {
        Some(path) => write_file(path, write),
        None => print(write),
    }
}

fn csv(
    out: &mut dyn Write,
    id: Option<(&str, &[String])>,
    output: &Predicted<'_>,
) -> io::Result<()> {
    let mut header: Vec<_> = id.iter().map(|(name, _)| quoted(name)).collect();
    header.extend(["path".into(), "label".into()]);
    header.extend((1..=output.k).map(|state| format!("probability_{state}")));
    writeln!(out, "{}", header.join(","))?;
    for row in 0..output.n {
        if let Some((_, ids)) = id {
            write!(out, "{},", quoted(&ids[row]))?;
        }
        write!(out, "{},{}", output.path[row], output.labels[row])?;
        for &probability in output.probabilities[row] {
            write!(out, ",{}", exact(probability))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What `score --json` prints.
#[derive(Serialize)]
struct Scored<'a> {
    n: usize,
    sequences: usize,
    columns: &'a [String],
    /// Of all sequences, in nats.
    log_likelihood: f64,
    /// The same per row.
    mean_log_likelihood: f64,
    /// The name of each sequence, with `--rows` and `--id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<&'a str>>,
    /// The log-likelihood of each sequence, with `--rows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<&'a [f64]>,
}

/// Says how well a chain describes data; with `--rows` for each sequence.
pub(super) fn score(args: &Score, saved: &SavedChain) -> Result<(), Error> {
    if args.weights.is_some() {
        let message = "--weights does not go with a hidden Markov model; leave it out";
        return Err(Error::Arguments(message.into()));
    }
    let (table, series) = read(&args.input, saved)?;
    let each = pool(args.input.threads)?
        .install(|| saved.chain.log_likelihoods(&series))
        .map_err(|error| table.error(chain::explain(&error, &series, &table)))?;
    let total: f64 = each.iter().sum();
    let names = table.ids.as_ref().map(|ids| {
        series.offsets[..series.len()].iter().map(|first| ids[*first].as_str()).collect::<Vec<_>>()
    });
    let output = Scored {
        n: table.n(),
        sequences: series.len(),
        columns: &saved.columns,
        log_likelihood: total,
        mean_log_likelihood: total / table.n() as f64,
        ids: names.filter(|_| args.rows),
        rows: args.rows.then_some(&each),
    };
    print(|out| {
        if args.input.terminal.json {
            return write_json(out, &output);
        }
        if !args.rows {
            writeln!(out, "rows                 {}", count(output.n))?;
            writeln!(out, "sequences            {}", count(output.sequences))?;
            writeln!(out, "log-likelihood       {}", fixed(output.log_likelihood, 6))?;
            return writeln!(out, "mean log-likelihood  {}", fixed(output.mean_log_likelihood, 6));
        }
        let name = args.input.id.as_deref().map_or(String::new(), |id| quoted(id) + ",");
        writeln!(out, "{name}log_likelihood")?;
        for (i, value) in each.iter().enumerate() {
            let name = output.ids.as_ref().map_or(String::new(), |ids| quoted(ids[i]) + ",");
            writeln!(out, "{name}{}", exact(*value))?;
        }
        Ok(())
    })
}

/// What `sample --json` prints.
#[derive(Serialize)]
struct Drawn<'a> {
    n: usize,
    seed: u64,
    columns: &'a [String],
    rows: Vec<Vec<f64>>,
    /// The state of each row, from 1, with `--labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<usize>>,
}

/// Draws one sequence from a chain.
pub(super) fn sample(args: &Sample, saved: &SavedChain) -> Result<(), Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let (states, rows) = saved.chain.sample(args.n, &mut rng);
    let labels = args.labels.then(|| states.into_iter().map(|state| state + 1).collect::<Vec<_>>());
    let drawn = Drawn { n: args.n, seed: args.seed, columns: &saved.columns, rows, labels };
    print(|out| {
        if args.terminal.json {
            return write_json(out, &drawn);
        }
        let mut header: Vec<_> = saved.columns.iter().map(|name| quoted(name)).collect();
        header.extend(drawn.labels.as_ref().map(|_| "label".into()));
        writeln!(out, "{}", header.join(","))?;
        for (i, row) in drawn.rows.iter().enumerate() {
            let mut cells: Vec<_> = row.iter().copied().map(exact).collect();
            cells.extend(drawn.labels.as_ref().map(|labels| labels[i].to_string()));
            writeln!(out, "{}", cells.join(","))?;
        }
        Ok(())
    })
}

/// Shows a fitted chain.
pub(super) fn inspect(args: &Inspect, saved: &SavedChain) -> Result<(), Error> {
    if args.terminal.json {
        return print(|out| saved.write(out));
    }
    let paint = Paint::for_stdout();
    print(|mut out| {
        writeln!(
            out,
            "{}: a hidden Markov model of highest {}, {} states with {} emissions{}",
            args.model.display(),
            saved.estimator.objective(),
            saved.chain.k(),
            saved.emission.name(),
            if saved.stationary { ", stationary" } else { "" }
        )?;
        if let Some(fit) = &saved.fit {
            writeln!(
                out,
                "data: {}, {} rows in {} sequences; log-likelihood {}, BIC {}, AIC {}, ICL {}",
                fit.source,
                count(fit.n),
                count(fit.sequences),
                fixed(fit.log_likelihood, 3),
                fixed(fit.bic, 2),
                fixed(fit.aic, 2),
                fixed(fit.icl, 2)
            )?;
            writeln!(
                out,
                "{} ({}) after {} iterations; {} of {} starts reached the best optimum; seed {}",
                if fit.converged { "converged" } else { "not converged" },
                fit.stopped.replace('_', " "),
                fit.iterations,
                fit.reached,
                fit.starts,
                fit.seed
            )?;
        }
        writeln!(out)?;
        text::chain(&mut out, paint, &saved.chain, &saved.columns, None)?;
        let warnings = saved.fit.as_ref().map_or(&[][..], |fit| &fit.warnings);
        text::warnings(&mut out, paint, warnings)
    })
}
