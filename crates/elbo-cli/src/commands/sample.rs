//! `elbo sample`.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Serialize;

use super::{chain, print, quoted};
use crate::{
    args::Sample, chain::SavedChain, error::Error, model::Saved, number::exact, output::write_json,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Output {
    n: usize,
    seed: u64,
    columns: Vec<String>,
    /// `n × d`
    rows: Vec<Vec<f64>>,
    /// The component of each row, from 1, with `--labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<usize>>,
}

/// Draws new rows from a model.
pub(super) fn run(args: &Sample) -> Result<(), Error> {
    if let Some(saved) = SavedChain::read(&args.model)? {
        return chain::sample(args, &saved);
    }
    let saved = Saved::read(&args.model)?;
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let draws = (0..args.n).map(|_| saved.model.sample(&mut rng));
    if args.terminal.json {
        let (labels, rows): (Vec<_>, Vec<_>) =
            draws.map(|(component, row)| (component + 1, row)).unzip();
        let (n, seed, labels) = (args.n, args.seed, args.labels.then_some(labels));
        return print(|out| {
            write_json(out, &Output { n, seed, columns: saved.columns.clone(), rows, labels })
        });
    }
    print(|out| {
        let mut header: Vec<_> = saved.columns.iter().map(|name| quoted(name)).collect();
        header.extend(args.labels.then(|| "label".into()));
        writeln!(out, "{}", header.join(","))?;
        for (component, row) in draws {
            let mut cells: Vec<_> = row.into_iter().map(exact).collect();
            cells.extend(args.labels.then(|| (component + 1).to_string()));
            writeln!(out, "{}", cells.join(","))?;
        }
        Ok(())
    })
}
