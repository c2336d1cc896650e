//! What a search for a chain found, told in all the ways asked for.

use std::io::{self, Write};

use elbo::core::{Criterion, Standing};
use serde::Serialize;

use super::{
    found::{command, start_output},
    hmm::{ChainFit, Selection},
};
use crate::{
    args::{EstimatorKind, HmmArgs},
    chain::{self, ChainFacts, ChainParams, Emission, SavedChain, Series},
    commands::{print, write_file},
    error::Error,
    explain,
    number::{count, fixed, significant},
    output::{Seconds, StartOutput, write_json},
    report::{self, ChainPage},
    table::Table,
    text::{self, Grid, Paint},
};

/// What was found, to be told.
pub(super) struct FoundChain<'a> {
    /// What was asked for.
    pub(super) args: &'a HmmArgs,
    /// The data.
    pub(super) table: &'a Table,
    /// The same as sequences.
    pub(super) series: &'a Series,
    /// All candidates.
    pub(super) selection: &'a Selection,
    /// The one that was chosen.
    pub(super) chosen: usize,
    /// Seconds it took to read the data and to fit all candidates.
    pub(super) seconds: [f64; 2],
    /// Threads that did it.
    pub(super) threads: usize,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Output {
    family: &'static str,
    emission: Emission,
    stationary: bool,
    estimator: EstimatorKind,
    n: usize,
    d: usize,
    sequences: usize,
    columns: Vec<String>,
    log_likelihood: f64,
    objective: f64,
    penalty: f64,
    df: usize,
    aic: f64,
    bic: f64,
    aicc: f64,
    /// −2 × the log joint probability of the rows and the most probable path + df ln n.
    icl: f64,
    converged: bool,
    stopped: &'static str,
    iterations: usize,
    e_steps: usize,
    gap: Option<f64>,
    trace: Vec<f64>,
    starts: Vec<StartOutput>,
    warnings: Vec<String>,
    seconds: Seconds,
    params: ChainParams,
    criterion: Criterion,
    table: Vec<Row>,
}

/// A number of states, and what came of it.
#[derive(Serialize)]
struct Row {
    states: usize,
    chosen: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    scores: Option<RowScores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct RowScores {
    log_likelihood: f64,
    df: usize,
    bic: f64,
    aic: f64,
    converged: bool,
    stopped: &'static str,
    spurious: bool,
    reached: usize,
    starts: usize,
}

/// What the best path and the posterior say of the data.
struct Decoded {
    states: Vec<usize>,
    log_probability: f64,
    posterior: Vec<f64>,
}

impl FoundChain<'_> {
    /// Writes all that was asked for: files first, since a reader of standard output may leave.
    pub(super) fn tell(&self) -> Result<(), Error> {
        let args = &self.args.output;
        let decoded = self.decoded()?;
        if let Some(path) = &args.model {
            write_file(path, |out| self.saved(&decoded).write(out))?;
        }
        if let Some(path) = &args.report {
            let page = report::chain(&self.page(&decoded));
            write_file(path, |out| out.write_all(page.as_bytes()))?;
        }
        if args.terminal.json {
            print(|out| write_json(out, &self.output(&decoded)))
        } else {
            print(|mut out| self.text(&mut out, Paint::for_stdout(), &decoded))
        }
    }

    fn fit(&self) -> &ChainFit {
        let candidate = &self.selection.candidates[self.chosen];
        candidate.fit.as_ref().expect("the chosen candidate was fitted")
    }

    fn decoded(&self) -> Result<Decoded, Error> {
        let chain = &self.fit().chain;
        let decode = || {
            let (states, log_probability) = chain.viterbi(self.series)?;
            Ok(Decoded { states, log_probability, posterior: chain.posterior(self.series)? })
        };
        decode().map_err(|error| self.table.error(chain::explain(&error, self.series, self.table)))
    }

    /// Biernacki's criterion of mixtures for chains (Celeux & Durand 2008, Comput. Statist. 23): the states decided.
    fn icl(&self, decoded: &Decoded) -> f64 {
        let scores = self.fit().scores;
        -2.0 * decoded.log_probability + scores.free_parameters as f64 * scores.observations.ln()
    }

    fn saved(&self, decoded: &Decoded) -> SavedChain {
        let (fit, scores) = (self.fit(), self.fit().scores);
        SavedChain {
            chain: fit.chain.clone(),
            emission: self.args.emission,
            stationary: self.args.stationary,
            columns: self.table.columns.clone(),
            estimator: self.args.fit.estimator,
            fit: Some(ChainFacts {
                source: self.table.source.clone(),
                n: self.table.n(),
                sequences: self.series.len(),
                log_likelihood: scores.log_likelihood,
                objective: fit.report.objective,
                df: scores.free_parameters,
                bic: scores.bic(),
                aic: scores.aic(),
                icl: self.icl(decoded),
                converged: fit.report.stopped.is_converged(),
                stopped: fit.report.stopped.as_str().into(),
                iterations: fit.report.iterations,
                starts: fit.runs.ends.len(),
                reached: fit.runs.reached_best(),
                seed: self.args.fit.seed,
                warnings: self.warnings(),
            }),
        }
    }

    fn output(&self, decoded: &Decoded) -> Output {
        let (fit, report, scores) = (self.fit(), &self.fit().report, self.fit().scores);
        let [read, seconds] = self.seconds;
        Output {
            family: "hmm",
            emission: self.args.emission,
            stationary: self.args.stationary,
            estimator: self.args.fit.estimator,
            n: self.table.n(),
            d: self.table.d(),
            sequences: self.series.len(),
            columns: self.table.columns.clone(),
            log_likelihood: scores.log_likelihood,
            objective: report.objective,
            penalty: report.penalty,
            df: scores.free_parameters,
            aic: scores.aic(),
            bic: scores.bic(),
            aicc: scores.aicc(),
            icl: self.icl(decoded),
            converged: report.stopped.is_converged(),
            stopped: report.stopped.as_str(),
            iterations: report.iterations,
            e_steps: report.e_steps,
            gap: report.gap,
            trace: report.trace.clone(),
            starts: fit.runs.ends.iter().map(start_output).collect(),
            warnings: self.warnings(),
            seconds: Seconds {
                read,
                fit: seconds,
                per_iteration: fit.seconds_per_iteration.unwrap_or(seconds),
            },
            params: ChainParams::of(&fit.chain),
            criterion: self.selection.criterion,
            table: self.rows(),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let candidates = self.selection.candidates.iter().enumerate();
        candidates
            .map(|(at, candidate)| Row {
                states: candidate.label,
                chosen: at == self.chosen,
                scores: candidate.fit.as_ref().ok().map(|fit| RowScores {
                    log_likelihood: fit.scores.log_likelihood,
                    df: fit.scores.free_parameters,
                    bic: fit.scores.bic(),
                    aic: fit.scores.aic(),
                    converged: fit.report.stopped.is_converged(),
                    stopped: fit.report.stopped.as_str(),
                    spurious: fit.scores.standing == Standing::Spurious,
                    reached: fit.runs.reached_best(),
                    starts: fit.runs.ends.len(),
                }),
                error: candidate
                    .fit
                    .as_ref()
                    .err()
                    .map(|error| chain::explain_fit(error, self.series, self.table)),
            })
            .collect()
    }

    /// What a careful reader should know, one sentence each.
    fn warnings(&self) -> Vec<String> {
        let fit = self.fit();
        let mut warnings = Vec::new();
        if !fit.report.stopped.is_converged() {
            let stopped = explain::stopped(&fit.report.stopped, fit.report.iterations, self.table);
            warnings.push(format!("the best start {stopped}"));
        }
        let (starts, reached) = (fit.runs.ends.len(), fit.runs.reached_best());
        if reached == 0 {
            warnings.push(format!(
                "none of {starts} starts ended at a sound optimum: a state fits a few rows almost exactly; use --estimator map or fewer states"
            ));
        } else if starts > 1 && (reached == 1 || 5 * reached < starts) {
            warnings.push(format!(
                "the starts disagree: only {reached} of {starts} reached the best optimum; more --starts may find a better one"
            ));
        }
        if let Some(objective) = fit.runs.best_set_aside() {
            warnings.push(format!(
                "a higher but spurious optimum (objective {}) was set aside: there a state fits a few rows almost exactly",
                fixed(objective, 3)
            ));
        }
        if fit.report.repairs.kept_components > 0 {
            warnings.push(format!(
                "on the way, states that had lost their rows kept their parameters {} times",
                fit.report.repairs.kept_components
            ));
        }
        let states: Vec<usize> = self.args.states.iter().collect();
        if states.len() > 1 && states.last() == Some(&fit.chain.k()) {
            warnings.push(format!(
                "boundary: {} states are the most that were tried; a wider range may hold a better model",
                fit.chain.k()
            ));
        }
        warnings
    }

    fn page<'a>(&'a self, decoded: &'a Decoded) -> ChainPage<'a> {
        let scores = self.fit().scores;
        ChainPage {
            source: &self.table.source,
            columns: &self.table.columns,
            emission: self.args.emission,
            chain: &self.fit().chain,
            values: self.series.values(),
            offsets: &self.series.offsets,
            states: &decoded.states,
            shares: shares(&decoded.posterior, self.fit().chain.k()),
            tiles: vec![
                ("rows", count(self.table.n())),
                ("sequences", count(self.series.len())),
                ("states", self.fit().chain.k().to_string()),
                ("log-likelihood", fixed(scores.log_likelihood, 2)),
                ("BIC", fixed(scores.bic(), 2)),
                ("starts at the best value", {
                    let runs = &self.fit().runs;
                    format!("{} of {}", runs.reached_best(), runs.ends.len())
                }),
            ],
            candidates: self.candidates(),
            warnings: self.warnings(),
            run: self.circumstances(),
        }
    }

    /// The table of candidates, cell by cell, below its header.
    fn candidates(&self) -> Vec<[String; 7]> {
        let row = |row: Row| {
            let mark = if row.chosen { "*" } else { "" };
            let states = row.states.to_string();
            match row.scores {
                Some(scores) => [
                    mark.into(),
                    states,
                    fixed(scores.log_likelihood, 3),
                    scores.df.to_string(),
                    fixed(scores.bic, 2),
                    fixed(scores.aic, 2),
                    format!("{}/{}", scores.reached, scores.starts),
                ],
                None => {
                    let none = || "-".to_string();
                    [mark.into(), states, none(), none(), none(), none(), none()]
                }
            }
        };
        self.rows().into_iter().map(row).collect()
    }

    fn circumstances(&self) -> Vec<(String, String)> {
        let (estimator, report) = (self.args.fit.estimator, &self.fit().report);
        let [read, fit] = self.seconds;
        let facts = [
            ("command", command()),
            ("estimator", format!("{}: highest {}", estimator.name(), estimator.objective())),
            (
                "best start",
                format!(
                    "{} iterations, {}",
                    count(report.iterations),
                    report.stopped.as_str().replace('_', " ")
                ),
            ),
            ("seed", self.args.fit.seed.to_string()),
            (
                "seconds",
                format!(
                    "{} reading, {} fitting on {} thread{}",
                    significant(read, 2),
                    significant(fit, 3),
                    self.threads,
                    if self.threads == 1 { "" } else { "s" }
                ),
            ),
            ("version", format!("elbo {}", env!("CARGO_PKG_VERSION"))),
        ];
        facts.into_iter().map(|(label, value)| (label.into(), value)).collect()
    }

    fn text(&self, out: &mut impl Write, paint: Paint, decoded: &Decoded) -> io::Result<()> {
        let (n, sequences) = (self.table.n(), self.series.len());
        writeln!(
            out,
            "{}: {} row{} in {} sequence{}, {}\n",
            self.table.source,
            count(n),
            if n == 1 { "" } else { "s" },
            count(sequences),
            if sequences == 1 { "" } else { "s" },
            self.table.columns.join(", ")
        )?;
        let header = ["", "states", "log-likelihood", "df", "BIC", "AIC", "starts"];
        let mut grid = Grid::new(&header, &[]);
        for row in self.candidates() {
            let chosen = row[0] == "*";
            grid.push(&row, chosen);
        }
        grid.write(out, paint)?;
        writeln!(out)?;
        let shares = shares(&decoded.posterior, self.fit().chain.k());
        text::chain(out, paint, &self.fit().chain, &self.table.columns, Some(&shares))?;
        text::warnings(out, paint, &self.warnings())
    }
}

/// The share of the steps that each state has.
fn shares(posterior: &[f64], k: usize) -> Vec<f64> {
    let mut shares = vec![0.0; k];
    for row in posterior.chunks_exact(k) {
        elbo::core::add_scaled(&mut shares, 1.0, row);
    }
    let sum: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}
