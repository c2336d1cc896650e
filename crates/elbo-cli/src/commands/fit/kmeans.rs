//! `elbo fit kmeans`: from the arguments to fitted centers, told in all the ways asked for.

use std::{fs, path::Path, time::Instant};

use elbo::{
    core::{CancelToken, FitError, Rows, Settings, Tolerance, Weighted},
    mixture::{Centers, FittedKMeans, KMeans},
};
use serde::Serialize;

use super::found::{command, start_output, starts};
use crate::{
    args::{Acceleration, EstimatorKind, KmeansArgs},
    commands::{pool, prepare, print, read, write_file},
    error::{Error, StartProblem},
    explain, interrupt,
    model::{CentersFacts, CentersParams, SavedCenters},
    number::{count, significant},
    output::{Seconds, StartOutput, write_json},
    progress, report,
    search::Watch,
    summary::{ClusterSummary, Component, Drawn, Kind, MOST_DRAWN, MixtureSummary, drawn_rows},
    table::Table,
    text::{self, Paint},
    warnings,
};

/// What the objective is, for axes of pictures.
const OBJECTIVE: &str = "−inertia / 2 variances";

/// What `--json` prints.
#[derive(Serialize)]
struct Output<'a> {
    family: &'static str,
    estimator: &'static str,
    n: usize,
    d: usize,
    columns: &'a [String],
    inertia: f64,
    objective: f64,
    penalty: f64,
    df: usize,
    converged: bool,
    stopped: &'static str,
    iterations: usize,
    e_steps: usize,
    gap: Option<f64>,
    trace: &'a [f64],
    starts: Vec<StartOutput>,
    warnings: &'a [String],
    seconds: Seconds,
    /// Rows of each cluster, or their total weight.
    sizes: &'a [f64],
    /// The share of each cluster in the inertia.
    scatters: &'a [f64],
    /// The cluster of each row, from 1, with `--labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<usize>>,
    params: CentersParams,
}

pub(super) fn run(args: &KmeansArgs) -> Result<u8, Error> {
    check(args)?;
    let outputs = [&args.output.model, &args.output.report];
    outputs.into_iter().flatten().try_for_each(|path| prepare(path))?;
    let begun = Instant::now();
    let quiet = args.output.terminal.quiet;
    let table = read(&args.data.path, &args.data.selection(quiet), Kind::Gaussian)?;
    let read_seconds = begun.elapsed().as_secs_f64();
    let cancel = interrupt::token()?;
    let pool = pool(args.fit.threads)?;
    let begun = Instant::now();
    let (fitted, per_iteration) = pool.install(|| fit(args, &table, &cancel))?;
    let fit_seconds = begun.elapsed().as_secs_f64();
    let found = Found {
        args,
        warnings: warnings::about_clusters(&fitted, &table),
        seconds: Seconds {
            read: read_seconds,
            fit: fit_seconds,
            per_iteration: per_iteration.unwrap_or(fit_seconds),
        },
        table: &table,
        threads: pool.current_num_threads(),
        fitted,
    };
    pool.install(|| found.tell())?;
    Ok(if cancel.is_cancelled() { interrupt::EXIT_CODE } else { 0 })
}

/// Refuses what k-means does not have.
fn check(args: &KmeansArgs) -> Result<(), Error> {
    args.fit.starts().map_err(Error::Arguments)?;
    if args.fit.is_hierarchical() {
        return Err(Error::Arguments(
            "--starts hierarchical is for mixtures; give a number of starts".into(),
        ));
    }
    if args.fit.estimator != EstimatorKind::Ml {
        return Err(Error::Arguments(
            "k-means has no prior, so that --estimator is ml; elbo fit mixture --covariance EII has one".into(),
        ));
    }
    if !matches!(args.fit.accelerate, Acceleration::Auto | Acceleration::None) {
        return Err(Error::Arguments(
            "k-means ends after finitely many steps, which --accelerate cannot make fewer; leave it out".into(),
        ));
    }
    Ok(())
}

/// The best fit of all starts, its clusters from the largest to the smallest unless a start was given.
fn fit(
    args: &KmeansArgs,
    table: &Table,
    cancel: &CancelToken,
) -> Result<(FittedKMeans, Option<f64>), Error> {
    let starts = args.fit.starts().map_err(Error::Arguments)?;
    let settings = Settings {
        tolerance: Tolerance::Gap(args.fit.tol.unwrap_or(1e-15)),
        max_iterations: args.fit.max_iter,
        time_budget: args.fit.time_budget.map(|budget| budget.0),
        cancel: Some(cancel.clone()),
        seed: args.fit.seed,
        ..Settings::default()
    };
    let mut builder = KMeans::new(args.clusters).starts(starts).settings(settings);
    if let Some(path) = &args.fit.start {
        builder = builder.start_at(start(path, args.clusters, table.d())?);
    }
    let quiet = args.output.terminal.quiet;
    let bar = if quiet { progress::hidden() } else { progress::fits(starts as u64) };
    bar.set_message(format!("{} clusters", args.clusters));
    let watch = Watch::new(&bar, starts);
    let rows = Rows::new(&table.values, table.n(), table.d());
    let data = Weighted::of(rows, table.weights.as_deref()).map_err(FitError::from);
    let fitted = data.and_then(|data| builder.fit_observed(data, &watch));
    watch.finish();
    bar.finish_and_clear();
    let mut fitted = fitted.map_err(|error| match error {
        _ if cancel.is_cancelled() => Error::Interrupted,
        error => table.error(explain::fit(&error, table)),
    })?;
    if args.fit.start.is_none() {
        fitted.sort_by_size();
    }
    let seconds = watch.seconds_per_iteration(fitted.runs.best, fitted.report.iterations);
    Ok((fitted, seconds))
}

/// The centers in a `--start` file.
fn start(path: &Path, k: usize, d: usize) -> Result<Centers, Error> {
    let failed = |problem| Error::Start { path: path.into(), problem };
    let text =
        fs::read(path).map_err(|cause| Error::File { path: path.into(), action: "read", cause })?;
    let params: CentersParams = serde_json::from_slice(&text).map_err(|e| failed(e.into()))?;
    let centers = params.centers;
    if centers.k() != k {
        return Err(failed(StartProblem::Components { found: centers.k(), expected: k }));
    }
    if centers.d() != d {
        return Err(failed(StartProblem::Columns { found: centers.d(), expected: d }));
    }
    Ok(centers)
}

/// What was found, to be told.
struct Found<'a> {
    args: &'a KmeansArgs,
    table: &'a Table,
    fitted: FittedKMeans,
    warnings: Vec<String>,
    seconds: Seconds,
    threads: usize,
}

impl Found<'_> {
    /// Writes all that was asked for: files first, since a reader of standard output may leave.
    fn tell(&self) -> Result<(), Error> {
        let args = &self.args.output;
        if let Some(path) = &args.model {
            write_file(path, |out| self.saved().write(out))?;
        }
        if let Some(path) = &args.report {
            let page = report::kmeans(&self.summary(), &self.drawn()?);
            write_file(path, |out| out.write_all(page.as_bytes()))?;
        }
        if args.terminal.json {
            let output = self.output()?;
            return print(|out| write_json(out, &output));
        }
        print(|mut out| text::clusters(&mut out, Paint::for_stdout(), &self.summary()))
    }

    fn saved(&self) -> SavedCenters {
        let (fitted, report) = (&self.fitted, &self.fitted.report);
        SavedCenters {
            centers: fitted.centers.clone(),
            columns: self.table.columns.clone(),
            fit: Some(CentersFacts {
                source: self.table.source.clone(),
                n: self.table.n(),
                inertia: fitted.inertia,
                sizes: fitted.sizes.clone(),
                scatters: fitted.scatters.clone(),
                converged: report.stopped.is_converged(),
                stopped: report.stopped.as_str().into(),
                iterations: report.iterations,
                starts: fitted.runs.ends.len(),
                reached: fitted.runs.reached_best(),
                seed: self.args.fit.seed,
                warnings: self.warnings.clone(),
            }),
        }
    }

    fn output(&self) -> Result<Output<'_>, Error> {
        let (fitted, report) = (&self.fitted, &self.fitted.report);
        let labels = match self.args.labels {
            true => Some(self.labels(&self.table.values)?.iter().map(|label| label + 1).collect()),
            false => None,
        };
        Ok(Output {
            family: "kmeans",
            estimator: "ml",
            n: self.table.n(),
            d: self.table.d(),
            columns: &self.table.columns,
            inertia: fitted.inertia,
            objective: report.objective,
            penalty: report.penalty,
            df: report.free_parameters,
            converged: report.stopped.is_converged(),
            stopped: report.stopped.as_str(),
            iterations: report.iterations,
            e_steps: report.e_steps,
            gap: report.gap,
            trace: &report.trace,
            starts: fitted.runs.ends.iter().map(start_output).collect(),
            warnings: &self.warnings,
            seconds: self.seconds,
            sizes: &fitted.sizes,
            scatters: &fitted.scatters,
            labels,
            params: CentersParams {
                centers: fitted.centers.clone(),
                inertia: Some(fitted.inertia),
            },
        })
    }

    fn summary(&self) -> ClusterSummary {
        let (fitted, report) = (&self.fitted, &self.fitted.report);
        let converged = if report.stopped.is_converged() { "converged" } else { "not converged" };
        let mut summary = summary(&self.saved(), self.args.output.report.is_some());
        // The objective at one center: minus half the observations times columns.
        let half = -0.5 * report.observations * self.table.d() as f64;
        summary.explained = Some((1.0 - report.objective / half).clamp(0.0, 1.0));
        summary.ending = format!(
            "{converged} ({}) after {} iterations",
            report.stopped.as_str().replace('_', " "),
            count(report.iterations)
        );
        summary.mixture.starts = starts(&fitted.runs);
        summary.mixture.run = self.circumstances();
        summary
    }

    /// What somebody needs to know to do the same again.
    fn circumstances(&self) -> Vec<(String, String)> {
        let (args, report) = (self.args, &self.fitted.report);
        let start = match &args.fit.start {
            Some(path) => path.display().to_string(),
            None => format!("{}, seed {}", self.fitted.runs.ends.len(), args.fit.seed),
        };
        let stopped = report.stopped.as_str().replace('_', " ");
        let facts = [
            ("command", command()),
            ("starts", start),
            ("best start", format!("{} iterations, {stopped}", count(report.iterations))),
            ("inertia", format!("{}", self.fitted.inertia)),
            (
                "seconds",
                format!(
                    "{} reading, {} fitting on {} thread{}",
                    significant(self.seconds.read, 2),
                    significant(self.seconds.fit, 3),
                    self.threads,
                    if self.threads == 1 { "" } else { "s" }
                ),
            ),
            ("version", format!("elbo {}", env!("CARGO_PKG_VERSION"))),
        ];
        facts.into_iter().map(|(label, value)| (label.into(), value)).collect()
    }

    fn labels(&self, values: &[f64]) -> Result<Vec<usize>, Error> {
        let d = self.table.d();
        let labels = self.fitted.centers.predict(Rows::new(values, values.len() / d, d));
        labels.map_err(|error| self.table.error(explain::data(&error, self.table)))
    }

    /// The rows that pictures show.
    fn drawn(&self) -> Result<Drawn, Error> {
        let (d, k) = (self.table.d(), self.fitted.centers.k());
        let rows = drawn_rows(self.table.n(), MOST_DRAWN);
        let values: Vec<_> =
            rows.iter().flat_map(|row| &self.table.values[row * d..][..d]).copied().collect();
        let mut responsibilities = vec![0.0; rows.len() * k];
        for (row, label) in self.labels(&values)?.into_iter().enumerate() {
            responsibilities[row * k + label] = 1.0;
        }
        Ok(Drawn { values, responsibilities })
    }
}

/// A model alone, as the terminal shows it; pictures also need covariances.
pub(in crate::commands) fn summary(saved: &SavedCenters, pictures: bool) -> ClusterSummary {
    let (k, d) = (saved.centers.k(), saved.centers.d());
    let facts = saved.fit.as_ref();
    let sizes = facts.map_or(vec![0.0; k], |fit| fit.sizes.clone());
    let scatters = facts.map_or(vec![0.0; k], |fit| fit.scatters.clone());
    let total: f64 = sizes.iter().sum();
    let inertia = facts.map_or(0.0, |fit| fit.inertia);
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let variance = share(inertia, total * d as f64);
    let cells = if pictures { d * d } else { 0 };
    let covariance: Vec<f64> =
        (0..cells).map(|at| if at / d == at % d { variance } else { 0.0 }).collect();
    let components = sizes.iter().enumerate().map(|(j, size)| Component {
        weight: share(*size, total),
        mean: saved.centers.center(j).to_vec(),
        covariance: covariance.clone(),
    });
    let spreads = scatters.iter().zip(&sizes).map(|(scatter, size)| share(*scatter, *size).sqrt());
    ClusterSummary {
        mixture: MixtureSummary {
            source: facts.map_or(String::new(), |fit| fit.source.clone()),
            n: facts.map_or(0, |fit| fit.n),
            missing: 0,
            columns: saved.columns.clone(),
            kind: Kind::Gaussian,
            structure: String::new(),
            components: components.collect(),
            objective: OBJECTIVE,
            criterion: elbo::core::Criterion::Bic,
            candidates: Vec::new(),
            starts: Vec::new(),
            warnings: facts.map_or(Vec::new(), |fit| fit.warnings.clone()),
            run: Vec::new(),
        },
        spreads: spreads.collect(),
        sizes,
        inertia,
        explained: None,
        ending: facts.map_or(String::new(), |fit| {
            let converged = if fit.converged { "converged" } else { "not converged" };
            let stopped = fit.stopped.replace('_', " ");
            format!("{converged} ({stopped}) after {} iterations", count(fit.iterations))
        }),
        reached: facts.map_or((0, 0), |fit| (fit.reached, fit.starts)),
    }
}
