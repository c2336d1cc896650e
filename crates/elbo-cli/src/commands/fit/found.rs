//! What a search found, told in all the ways asked for: model file, report, text, JSON.

use std::env;

use elbo::{
    core::{End, FitError, Runs, Standing},
    dist::CovarianceStructure,
};

use crate::{
    args::MixtureArgs,
    commands::{print, write_file},
    error::Error,
    explain,
    model::{FitFacts, Saved},
    number::{count, significant},
    output::{CandidateOutput, FitOutput, ScoresOutput, Seconds, StartOutput, write_json},
    report,
    search::{Candidate, Fit, Selection},
    summary::{self, Drawn, MOST_DRAWN, MixtureSummary, Scores, describe, drawn_rows},
    table::Table,
    text::{self, Paint},
};

/// What was found, to be told.
pub(super) struct Found<'a> {
    /// What was asked for.
    pub(super) args: &'a MixtureArgs,
    /// The data.
    pub(super) table: &'a Table,
    /// All candidates.
    pub(super) selection: &'a Selection,
    /// The one that was chosen.
    pub(super) chosen: usize,
    /// What to distrust.
    pub(super) warnings: Vec<String>,
    /// Seconds it took to read the data.
    pub(super) read_seconds: f64,
    /// Seconds it took to fit all candidates.
    pub(super) fit_seconds: f64,
    /// Threads that did it.
    pub(super) threads: usize,
}

impl Found<'_> {
    /// Writes all that was asked for: files first, since a reader of standard output may leave.
    pub(super) fn tell(&self) -> Result<(), Error> {
        let args = &self.args.output;
        if let Some(path) = &args.model {
            write_file(path, |out| self.saved().write(out))?;
        }
        let needs_summary = args.report.is_some() || !args.terminal.json;
        let summary = needs_summary.then(|| self.summary());
        if let (Some(path), Some(summary)) = (&args.report, &summary) {
            let page = report::mixture(summary, &self.drawn()?);
            write_file(path, |out| out.write_all(page.as_bytes()))?;
        }
        match summary {
            Some(summary) if !args.terminal.json => {
                let paint = Paint::for_stdout();
                print(|mut out| text::mixture(&mut out, paint, &summary, self.args.table))
            }
            _ => print(|out| write_json(out, &self.output())),
        }
    }

    fn candidate(&self) -> &Candidate {
        &self.selection.candidates[self.chosen]
    }

    fn fit(&self) -> &Fit {
        self.candidate().fit.as_ref().expect("the chosen candidate was fitted")
    }

    fn saved(&self) -> Saved {
        let (fit, scores) = (self.fit(), scores(self.candidate(), self.fit()));
        Saved {
            model: fit.model.clone(),
            columns: self.table.columns.clone(),
            estimator: self.args.fit.estimator,
            fit: Some(FitFacts {
                source: self.table.source.clone(),
                n: self.table.n(),
                log_likelihood: scores.log_likelihood,
                objective: fit.report.objective,
                df: scores.df,
                bic: scores.bic,
                aic: scores.aic,
                icl: scores.icl,
                converged: fit.report.stopped.is_converged(),
                stopped: fit.report.stopped.as_str().into(),
                iterations: fit.report.iterations,
                starts: fit.runs.ends.len(),
                reached: fit.runs.reached_best(),
                seed: self.args.fit.seed,
                warnings: self.warnings.clone(),
            }),
        }
    }

    fn output(&self) -> FitOutput {
        let (fit, report) = (self.fit(), &self.fit().report);
        let scores = scores(self.candidate(), fit);
        let per_iteration = fit.seconds_per_iteration.unwrap_or(self.fit_seconds);
        FitOutput {
            family: "mixture",
            component: self.args.component,
            estimator: self.args.fit.estimator,
            n: self.table.n(),
            d: self.table.d(),
            columns: self.table.columns.clone(),
            log_likelihood: scores.log_likelihood,
            objective: report.objective,
            penalty: report.penalty,
            df: scores.df,
            aic: scores.aic,
            bic: scores.bic,
            aicc: scores.aicc,
            icl: scores.icl,
            held_out: scores.held_out,
            converged: report.stopped.is_converged(),
            stopped: report.stopped.as_str(),
            iterations: report.iterations,
            e_steps: report.e_steps,
            gap: report.gap,
            trace: report.trace.clone(),
            starts: fit.runs.ends.iter().map(start_output).collect(),
            warnings: self.warnings.clone(),
            seconds: Seconds { read: self.read_seconds, fit: self.fit_seconds, per_iteration },
            params: fit.model.params(),
            covariance: fit.model.structure().map(CovarianceStructure::name),
            criterion: self.selection.criterion,
            table: self
                .selection
                .candidates
                .iter()
                .enumerate()
                .map(|(at, c)| self.row(at, c))
                .collect(),
        }
    }

    /// A candidate as a row of `table` in JSON.
    fn row(&self, at: usize, candidate: &Candidate) -> CandidateOutput {
        CandidateOutput {
            components: candidate.label.k,
            covariance: candidate.label.structure.map(CovarianceStructure::name),
            chosen: at == self.chosen,
            scores: candidate.fit.as_ref().ok().map(|fit| {
                let scores = scores(candidate, fit);
                ScoresOutput {
                    log_likelihood: scores.log_likelihood,
                    df: scores.df,
                    bic: scores.bic,
                    aic: scores.aic,
                    aicc: scores.aicc,
                    icl: scores.icl,
                    held_out: scores.held_out,
                    converged: scores.converged,
                    stopped: scores.stopped,
                    spurious: scores.standing == Standing::Spurious,
                    reached: scores.reached,
                    starts: scores.starts,
                }
            }),
            error: candidate.fit.as_ref().err().map(|error| explain::fit(error, self.table)),
            cv_error: candidate
                .held_out
                .as_ref()
                .and_then(|held_out| Some(explain::fold(held_out.as_ref().err()?, self.table))),
        }
    }

    fn summary(&self) -> MixtureSummary {
        let fit = self.fit();
        let candidates = self.selection.candidates.iter().enumerate();
        MixtureSummary {
            source: self.table.source.clone(),
            n: self.table.n(),
            missing: self.table.missing(),
            columns: self.table.columns.clone(),
            kind: self.args.component,
            structure: describe(fit.model.structure(), self.table.d()),
            components: fit.model.components(),
            objective: self.args.fit.estimator.objective(),
            criterion: self.selection.criterion,
            candidates: candidates
                .map(|(at, candidate)| summary::Candidate {
                    components: candidate.label.k,
                    structure: candidate
                        .label
                        .structure
                        .map_or("", CovarianceStructure::name)
                        .into(),
                    chosen: at == self.chosen,
                    outcome: match &candidate.fit {
                        Ok(fit) => Ok(scores(candidate, fit)),
                        Err(error) => Err(explain::fit(error, self.table)),
                    },
                })
                .collect(),
            starts: starts(&fit.runs),
            warnings: self.warnings.clone(),
            run: self.circumstances(),
        }
    }

    /// What somebody needs to know to do the same again.
    fn circumstances(&self) -> Vec<(String, String)> {
        let (args, report) = (self.args, &self.fit().report);
        let start = match &args.fit.start {
            Some(path) => path.display().to_string(),
            None if args.fit.is_hierarchical() => {
                "one per candidate, from a hierarchy of the rows".into()
            }
            None => format!("{} per candidate, seed {}", self.fit().runs.ends.len(), args.fit.seed),
        };
        let mut facts = vec![
            ("command", command()),
            (
                "estimator",
                format!(
                    "{}: highest {}",
                    args.fit.estimator.name(),
                    args.fit.estimator.objective()
                ),
            ),
            ("starts", start),
            (
                "best start",
                format!(
                    "{} iterations, {}",
                    count(report.iterations),
                    report.stopped.as_str().replace('_', " ")
                ),
            ),
            (args.fit.estimator.objective(), format!("{}", report.objective)),
            (
                "stops",
                format!(
                    "when {:e} nats per row are left to gain, or after {} iterations",
                    args.fit.tolerance(),
                    count(args.fit.max_iter)
                ),
            ),
            (
                "seconds",
                format!(
                    "{} reading, {} fitting on {} thread{}",
                    significant(self.read_seconds, 2),
                    significant(self.fit_seconds, 3),
                    self.threads,
                    if self.threads == 1 { "" } else { "s" }
                ),
            ),
            ("version", format!("elbo {}", env!("CARGO_PKG_VERSION"))),
        ];
        if let (Some(column), Some(weights)) = (&args.data.weights, &self.table.weights) {
            let total = significant(weights.iter().sum(), 6);
            facts.insert(1, ("row weights", format!("column {column}, {total} in all")));
        }
        facts.into_iter().map(|(label, value)| (label.into(), value)).collect()
    }

    /// The rows that pictures show.
    fn drawn(&self) -> Result<Drawn, Error> {
        let d = self.table.d();
        let rows = drawn_rows(self.table.n(), MOST_DRAWN);
        let values: Vec<_> =
            rows.iter().flat_map(|row| &self.table.values[row * d..][..d]).copied().collect();
        let responsibilities = self.fit().model.responsibilities(&values);
        let responsibilities = responsibilities
            .map_err(|error| self.table.error(explain::e_step(&error, self.table)))?;
        Ok(Drawn { values, responsibilities })
    }
}

fn scores(candidate: &Candidate, fit: &Fit) -> Scores {
    let scores = fit.scores;
    Scores {
        log_likelihood: scores.log_likelihood,
        df: scores.free_parameters,
        bic: scores.bic(),
        aic: scores.aic(),
        aicc: scores.aicc(),
        icl: scores.icl().unwrap_or(f64::NAN),
        held_out: candidate.evidence().map(Into::into),
        converged: fit.report.stopped.is_converged(),
        stopped: fit.report.stopped.as_str(),
        standing: scores.standing,
        reached: fit.runs.reached_best(),
        starts: fit.runs.ends.len(),
    }
}

/// The command line, as it was given.
pub(super) fn command() -> String {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let words = words.iter().map(|word| word.to_string_lossy());
    words.fold("elbo".to_string(), |line, word| line + " " + &word)
}

pub(super) fn start_output(end: &End) -> StartOutput {
    match &end.outcome {
        Ok(report) => StartOutput {
            objective: report.objective,
            iterations: report.iterations,
            stopped: report.stopped.as_str(),
        },
        Err(FitError::NotRun) => {
            StartOutput { objective: f64::NAN, iterations: 0, stopped: "not_run" }
        }
        Err(_) => StartOutput { objective: f64::NAN, iterations: 0, stopped: "no_start" },
    }
}

/// The starts as pictures show them.
pub(super) fn starts(runs: &Runs) -> Vec<summary::Start> {
    // The library counts how many sound ends make up the best optimum: they are its highest ones.
    let mut sound: Vec<_> = runs
        .ends
        .iter()
        .filter_map(|end| end.outcome.as_ref().ok().map(|report| (end.run, report)))
        .filter(|(_, report)| !report.spurious && !report.stopped.is_failure())
        .collect();
    sound.sort_by(|a, b| b.1.objective.total_cmp(&a.1.objective));
    let best: Vec<_> =
        sound[..runs.reached_best().min(sound.len())].iter().map(|(run, _)| *run).collect();
    runs.ends
        .iter()
        .map(|end| {
            let stopped = start_output(end).stopped;
            let trace =
                end.outcome.as_ref().map_or(Vec::new(), |report| report.trace[1..].to_vec());
            let (reached_best, kept) = (best.contains(&end.run), end.run == runs.best);
            summary::Start { trace, reached_best, kept, stopped }
        })
        .collect()
}
