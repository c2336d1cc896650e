//! `elbo fit mixture`: from the arguments to a chosen model.

use std::{fs, path::Path, time::Instant};

use elbo::{
    core::{CancelToken, Criterion, Folds, Settings, Tolerance},
    dist::CovarianceStructure,
};

use super::found::Found;
use crate::{
    args::{Covariances, EstimatorKind, MixtureArgs},
    commands::{pool, prepare, read, tell},
    error::{Error, StartProblem},
    explain, interrupt,
    model::{Model, gaussian_from, poisson_from},
    search::{Candidate, Search, Selection},
    summary::Kind,
    table::Table,
    warnings,
};

/// The structures that have a conjugate prior, which MAP and VB need.
const WITH_PRIOR: [CovarianceStructure; 6] = {
    use CovarianceStructure::{EEE, EEI, EII, VII, VVI, VVV};
    [EII, VII, EEI, VVI, EEE, VVV]
};

pub(super) fn run(args: &MixtureArgs) -> Result<u8, Error> {
    check(args)?;
    let outputs = [&args.output.model, &args.output.report];
    outputs.into_iter().flatten().try_for_each(|path| prepare(path))?;
    let quiet = args.output.terminal.quiet;

    let begun = Instant::now();
    let table = read(&args.data.path, &args.data.selection(quiet), args.component)?;
    let read_seconds = begun.elapsed().as_secs_f64();

    let (structures, note) = structures(args, table.d())?;
    note.iter().filter(|_| !quiet).for_each(|note| tell(note));
    let cancel = interrupt::token()?;
    let search = plan(args, &table, structures, &cancel)?;
    let pool = pool(args.fit.threads)?;
    let begun = Instant::now();
    let mut selection = pool.install(|| search.run());
    let fit_seconds = begun.elapsed().as_secs_f64();

    let interrupted = cancel.is_cancelled();
    let by = fall_back(&mut selection);
    let Some(chosen) = selection.best_place() else {
        return Err(no_fit(&selection.candidates, &table, interrupted));
    };
    let mut warnings = warnings::about(&search, &selection, chosen);
    warnings.extend(by);
    warnings.extend(note);
    let found = Found {
        args,
        table: &table,
        selection: &selection,
        chosen,
        warnings,
        read_seconds,
        fit_seconds,
        threads: pool.current_num_threads(),
    };
    pool.install(|| found.tell())?;
    Ok(if interrupted { interrupt::EXIT_CODE } else { 0 })
}

/// Refuses what this version cannot do.
fn check(args: &MixtureArgs) -> Result<(), Error> {
    let refuse = |message: &str| Err(Error::Arguments(message.into()));
    args.fit.starts().map_err(Error::Arguments)?;
    if args.component == Kind::Poisson && args.covariance.is_some() {
        return refuse("--covariance goes with --component gaussian; Poisson components have none");
    }
    if args.component == Kind::Poisson && args.fit.is_hierarchical() {
        return refuse(
            "--starts hierarchical goes with --component gaussian; give a number of starts",
        );
    }
    if args.fit.start.is_some() && !args.components.is_single() {
        return refuse("--start is one model: give its number of components, not a range");
    }
    if args.folds.is_some() && args.criterion.criterion() != Criterion::HeldOut {
        return refuse("--folds goes with --criterion cv; without it no rows are held out");
    }
    Ok(())
}

/// Rows that are held out in turn, where they choose.
fn folds(args: &MixtureArgs, n: usize) -> Result<Option<Folds>, Error> {
    if args.criterion.criterion() != Criterion::HeldOut {
        return Ok(None);
    }
    let k = args.folds.unwrap_or(10);
    Folds::new(n, k, args.fit.seed).map(Some).map_err(|_| {
        Error::Arguments(format!("{n} rows are too few for {k} folds; ask for fewer --folds"))
    })
}

/// The structures to try, and a note if some were left out.
fn structures(
    args: &MixtureArgs,
    d: usize,
) -> Result<(Vec<Option<CovarianceStructure>>, Option<String>), Error> {
    if args.component == Kind::Poisson {
        return Ok((vec![None], None));
    }
    let all = args.structures(d);
    if args.fit.start.is_some() && all.len() > 1 {
        let message = "--start is one model: choose one --covariance".into();
        return Err(Error::Arguments(message));
    }
    if args.fit.estimator == EstimatorKind::Ml {
        return Ok((all.into_iter().map(Some).collect(), None));
    }
    let estimator = args.fit.estimator.name();
    let possible: Vec<_> = all.iter().copied().filter(|s| WITH_PRIOR.contains(s)).collect();
    if possible.len() == all.len() {
        return Ok((all.into_iter().map(Some).collect(), None));
    }
    let names = |list: &[CovarianceStructure]| {
        list.iter().map(|structure| structure.name()).collect::<Vec<_>>().join(", ")
    };
    if args.covariance.as_ref().is_some_and(|asked| *asked != Covariances::All) {
        return Err(Error::Arguments(format!(
            "--estimator {estimator} needs a conjugate prior, which only {} have; choose --covariance among them",
            names(&WITH_PRIOR)
        )));
    }
    let note = format!(
        "--estimator {estimator} tried {} of the {} structures, those with a conjugate prior: {}",
        possible.len(),
        all.len(),
        names(&possible)
    );
    Ok((possible.into_iter().map(Some).collect(), Some(note)))
}

fn plan<'t>(
    args: &MixtureArgs,
    table: &'t Table,
    structures: Vec<Option<CovarianceStructure>>,
    cancel: &CancelToken,
) -> Result<Search<'t>, Error> {
    let components: Vec<_> = args.components.iter().collect();
    let start = match &args.fit.start {
        Some(path) => Some(start(path, components[0], structures[0], table.d())?),
        None => None,
    };
    Ok(Search {
        table,
        components,
        structures,
        estimation: args.fit.estimator.estimation(),
        starts: args.fit.starts().map_err(Error::Arguments)?,
        hierarchical: args.fit.is_hierarchical(),
        start,
        settings: Settings {
            acceleration: args.fit.accelerate.setting(),
            tolerance: Tolerance::Gap(args.fit.tolerance()),
            max_iterations: args.fit.max_iter,
            seed: args.fit.seed,
            ..Settings::default()
        },
        time_budget: args.fit.time_budget.map(|budget| budget.0),
        cancel: cancel.clone(),
        criterion: args.criterion.criterion(),
        folds: folds(args, table.n())?,
        quiet: args.output.terminal.quiet,
    })
}

/// The mixture in a `--start` file.
fn start(
    path: &Path,
    k: usize,
    structure: Option<CovarianceStructure>,
    d: usize,
) -> Result<Model, Error> {
    let failed = |problem| Error::Start { path: path.into(), problem };
    let text =
        fs::read(path).map_err(|cause| Error::File { path: path.into(), action: "read", cause })?;
    let model = if let Some(structure) = structure {
        let params = serde_json::from_slice(&text).map_err(|e| failed(e.into()))?;
        Model::Gaussian(gaussian_from(params, structure, d).map_err(|e| failed(e.into()))?)
    } else {
        let params = serde_json::from_slice(&text).map_err(|e| failed(e.into()))?;
        Model::Poisson(poisson_from(params).map_err(|e| failed(e.into()))?)
    };
    if model.k() == k {
        Ok(model)
    } else {
        Err(failed(StartProblem::Components { found: model.k(), expected: k }))
    }
}

/// Where no candidate has a held-out likelihood, since there was no time or no fold can be fitted, BIC chooses; says so.
fn fall_back(selection: &mut Selection) -> Option<String> {
    if selection.criterion != Criterion::HeldOut || selection.best_place().is_some() {
        return None;
    }
    selection.rank_by(Criterion::Bic);
    Some("no candidate has a held-out likelihood, so that BIC chose".into())
}

/// Why there is nothing to choose: what is wrong with the first candidate.
fn no_fit(candidates: &[Candidate], table: &Table, interrupted: bool) -> Error {
    match candidates.first().map(|candidate| &candidate.fit) {
        Some(Err(error)) if !interrupted => table.error(explain::fit(error, table)),
        _ => Error::Interrupted,
    }
}
