//! `elbo score`.

use serde::Serialize;

use super::{chain, pool, print, quoted, read};
use crate::{
    args::Score,
    chain::SavedChain,
    error::Error,
    explain,
    model::Saved,
    number::{count, exact, fixed},
    output::write_json,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    n: usize,
    columns: &'a [String],
    /// Of all rows, in nats; rows count by their weights.
    log_likelihood: f64,
    /// The same per row, or per unit of weight.
    mean_log_likelihood: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [String]>,
    /// The log density of each row, with `--rows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<&'a [f64]>,
}

/// Says how well a model describes data.
pub(super) fn run(args: &Score) -> Result<(), Error> {
    if let Some(saved) = SavedChain::read(&args.input.model)? {
        return chain::score(args, &saved);
    }
    let saved = Saved::read(&args.input.model)?;
    let selection = args.input.selection(&saved.columns, args.weights.as_deref());
    let table = read(&args.input.data, &selection, saved.model.kind())?;
    let densities = pool(args.input.threads)?
        .install(|| saved.model.log_densities(&table.values))
        .map_err(|error| table.error(explain::e_step(&error, &table)))?;
    let (total, weight) = match &table.weights {
        Some(weights) => {
            let products = densities.iter().zip(weights).map(|(density, weight)| density * weight);
            (products.sum::<f64>(), weights.iter().sum::<f64>())
        }
        None => (densities.iter().sum(), table.n() as f64),
    };
    let output = Output {
        n: table.n(),
        columns: &saved.columns,
        log_likelihood: total,
        mean_log_likelihood: total / weight,
        ids: table.ids.as_deref().filter(|_| args.rows),
        rows: args.rows.then_some(&densities),
    };
    print(|out| {
        if args.input.terminal.json {
            return write_json(out, &output);
        }
        if !args.rows {
            writeln!(out, "rows                 {}", count(output.n))?;
            writeln!(out, "log-likelihood       {}", fixed(output.log_likelihood, 6))?;
            return writeln!(out, "mean log-likelihood  {}", fixed(output.mean_log_likelihood, 6));
        }
        let id = args.input.id.as_deref().zip(output.ids);
        let head = id.map_or(String::new(), |(name, _)| quoted(name) + ",");
        writeln!(out, "{head}log_density")?;
        for (row, &density) in densities.iter().enumerate() {
            let head = id.map_or(String::new(), |(_, ids)| quoted(&ids[row]) + ",");
            writeln!(out, "{head}{}", exact(density))?;
        }
        Ok(())
    })
}
