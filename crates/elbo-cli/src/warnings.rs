//! What a careful reader of a fit should know, one sentence each.

use elbo::{
    core::{Criterion, Repairs, Standing},
    linalg::extreme_eigenvalues,
    mixture::{Estimation, FittedKMeans},
};

use crate::{
    explain,
    model::Model,
    number::{fixed, significant},
    search::{Candidate, Fit, Search, Selection},
    summary::{Component, Kind},
    table::Table,
};

/// Below this smallest eigenvalue of its correlations a component is nearly flat.
const NEARLY_SINGULAR: f64 = 1e-8;

/// Scores closer than this do not tell two models apart: "not worth more than a bare mention"
/// (Kass & Raftery 1995, JASA 90(430), section 3.2).
const TELLING: f64 = 2.0;

/// The warnings about the chosen candidate and the choice itself.
pub(crate) fn about(search: &Search<'_>, selection: &Selection, chosen: usize) -> Vec<String> {
    let Ok(fit) = &selection.candidates[chosen].fit else { return Vec::new() };
    let mut warnings = Vec::new();
    if !fit.report.stopped.is_converged() {
        let (stopped, iterations) = (&fit.report.stopped, fit.report.iterations);
        warnings.push(format!(
            "the best start {}",
            explain::stopped(stopped, iterations, search.table)
        ));
    }
    warnings.extend(restarts(fit));
    components(search, fit, &mut warnings);
    warnings.extend(repairs(fit.report.repairs));
    choice(search, selection, chosen, &mut warnings);
    warnings
}

/// The warnings about fitted centers.
pub(crate) fn about_clusters(fitted: &FittedKMeans, table: &Table) -> Vec<String> {
    let report = &fitted.report;
    let mut warnings = Vec::new();
    if !report.stopped.is_converged() {
        let stopped = explain::stopped(&report.stopped, report.iterations, table);
        warnings.push(format!("the best start {stopped}"));
    }
    let (starts, reached) = (fitted.runs.ends.len(), fitted.runs.reached_best());
    if starts > 1 && (reached == 1 || 5 * reached < starts) {
        warnings.push(format!(
            "the starts disagree: only {reached} of {starts} reached the least inertia; more --starts may find less"
        ));
    }
    for j in fitted.empty() {
        warnings.push(format!(
            "boundary: cluster {} is empty: there are not enough distinct rows; ask for fewer --clusters",
            j + 1
        ));
    }
    warnings.extend(repairs(report.repairs));
    let moved = report.repairs.moved_components;
    if moved > 0 {
        warnings.push(format!(
            "on the way, centers that had lost their rows were moved to the rows that cost most {moved} times"
        ));
    }
    warnings
}

/// Whether the starts agree.
fn restarts(fit: &Fit) -> Vec<String> {
    let mut warnings = Vec::new();
    let (starts, reached) = (fit.runs.ends.len(), fit.runs.reached_best());
    if fit.runs.optima.is_empty() {
        warnings.push(format!(
            "none of {starts} starts ended at a sound optimum; use --estimator map, fewer components or a simpler --covariance"
        ));
    } else if reached == 0 {
        warnings.push(format!(
            "none of {starts} starts reached the best optimum, which was found by moving components; more --starts may find a better one"
        ));
    } else if starts > 1 && (reached == 1 || 5 * reached < starts) {
        let next = fit.runs.optima.get(1).map_or(String::new(), |second| {
            let lower = significant(fit.report.objective - second.objective, 2);
            format!("; the next best optimum is {lower} nats lower")
        });
        warnings.push(format!(
            "the starts disagree: only {reached} of {starts} reached the best optimum{next}; more --starts may find a better one"
        ));
    }
    if let Some(objective) = fit.runs.best_set_aside() {
        warnings.push(format!(
            "a higher but spurious optimum (objective {}) was set aside: there a component fits a few rows almost exactly",
            fixed(objective, 3)
        ));
    }
    warnings
}

/// Whether every component is one.
fn components(search: &Search<'_>, fit: &Fit, warnings: &mut Vec<String>) {
    let rows = fit.report.observations;
    for (at, component) in fit.model.components().iter().enumerate() {
        let number = at + 1;
        let held = component.weight * rows;
        if fit.spurious.contains(&at) {
            warnings.push(format!(
                "component {number} is nearly singular: it fits {} rows almost exactly and may be an artifact; use --estimator map, fewer components or a simpler --covariance",
                significant(held, 2)
            ));
        } else if fit.model.kind() == Kind::Gaussian && is_nearly_flat(component) {
            warnings.push(format!(
                "component {number} is nearly singular: its columns depend on one another almost exactly; leave one out, or use a diagonal structure"
            ));
        }
        if held < 1.0 {
            let normal = if search.estimation == Estimation::VariationalBayes {
                ", which variational Bayes does with those that the data do not need"
            } else {
                "; ask for fewer components"
            };
            warnings.push(format!(
                "boundary: component {number} is empty (weight {}){normal}",
                significant(component.weight, 2)
            ));
        }
    }
    if let Model::Poisson(mixture) = &fit.model {
        for (at, poisson) in mixture.components().iter().enumerate() {
            if poisson.rate() == 0.0 {
                warnings.push(format!(
                    "boundary: component {} has rate 0: it stands for zeros alone",
                    at + 1
                ));
            }
        }
    }
}

/// Whether some combination of columns hardly varies, in units of the columns themselves.
fn is_nearly_flat(component: &Component) -> bool {
    let d = component.mean.len();
    let correlations: Vec<_> = (0..d * d).map(|at| component.correlation(at / d, at % d)).collect();
    extreme_eigenvalues(&correlations, d).map_or(true, |(least, _)| least < NEARLY_SINGULAR)
}

/// What M-steps had to change.
fn repairs(repairs: Repairs) -> Option<String> {
    let kept = repairs.kept_components;
    (kept > 0).then(|| {
        format!(
            "on the way, components that had lost their rows kept their parameters {kept} times"
        )
    })
}

/// Whether the choice among candidates can be trusted.
fn choice(search: &Search<'_>, selection: &Selection, chosen: usize, warnings: &mut Vec<String>) {
    let candidates = &selection.candidates;
    let k = candidates[chosen].label.k;
    if let [first, .., last] = search.components[..] {
        if k == last {
            warnings.push(format!(
                "boundary: {k} components are the most that were tried; a wider range may hold a better model"
            ));
        } else if k == first && first > 1 {
            warnings.push(format!(
                "boundary: {k} components are the fewest that were tried; a wider range may hold a better model"
            ));
        }
    }
    match selection.criterion {
        Criterion::HeldOut => held_out(selection, chosen, warnings),
        _ => close_call(selection, chosen, warnings),
    }
    not_held_out(search, selection, warnings);
    let failed: Vec<_> = candidates.iter().filter(|candidate| candidate.fit.is_err()).collect();
    if let [first, ..] = failed[..] {
        let names = named(search, &failed);
        let reason = first
            .fit
            .as_ref()
            .err()
            .map_or(String::new(), |error| explain::fit(error, search.table));
        warnings.push(format!(
            "{} of {} candidates could not be fitted ({}); the first because: {reason}",
            failed.len(),
            candidates.len(),
            names
        ));
    }
    let cut = |candidate: &&Candidate| {
        candidate.fit.as_ref().is_ok_and(|fit| !fit.report.stopped.is_converged())
    };
    let cut = candidates
        .iter()
        .enumerate()
        .filter(|(at, candidate)| *at != chosen && cut(candidate))
        .count();
    if cut > 0 {
        let (were, their) = if cut == 1 { ("was", "its") } else { ("were", "their") };
        warnings.push(format!(
            "{cut} of the other candidates {were} not fitted to convergence, so {their} criteria are not final"
        ));
    }
}

/// Whether another candidate has nearly the same value.
fn close_call(selection: &Selection, chosen: usize, warnings: &mut Vec<String>) {
    let k = selection.candidates[chosen].label.k;
    let own = selection.value(chosen).unwrap_or(f64::NAN);
    let rivals = selection.candidates.iter().enumerate().filter_map(|(at, candidate)| {
        let value = selection.value(at)?;
        let coincides = candidate.label.k == 1 && k == 1;
        let counts = at != chosen && candidate.standing() == Standing::Sound && !coincides;
        counts.then_some((value - own, candidate))
    });
    if let Some((margin, rival)) = rivals.min_by(|a, b| a.0.total_cmp(&b.0))
        && (0.0..TELLING).contains(&margin)
    {
        warnings.push(format!(
            "close call: {} is only {} behind by {}; the data hardly tell the two apart",
            name(rival),
            fixed(margin, 2),
            selection.criterion.name()
        ));
    }
}

/// Whether held-out rows tell the candidates apart.
fn held_out(selection: &Selection, chosen: usize, warnings: &mut Vec<String>) {
    let candidates = &selection.candidates;
    if let Some(simpler) = selection.simplest_as_good().filter(|at| *at != chosen) {
        let df = |at: usize| candidates[at].scores().map_or(0, |scores| scores.free_parameters);
        let best = candidates[chosen].evidence().zip(candidates[simpler].evidence());
        if let Some((distance, error)) = best.map(|(best, other)| best.behind(other))
            && df(simpler) < df(chosen)
        {
            warnings.push(format!(
                "close call: {} with {} parameters in place of {} is {} behind by CV, with a standard error of {}",
                name(&candidates[simpler]),
                df(simpler),
                df(chosen),
                fixed(distance, 2),
                fixed(error, 2)
            ));
        }
    }
    if let Some(evidence) = candidates[chosen].evidence().filter(|held_out| held_out.unsound > 0) {
        warnings.push(format!(
            "in {} of {} folds the fit was spurious or broke off, so its CV is not to be trusted; use --estimator map",
            evidence.unsound,
            evidence.folds()
        ));
    }
}

/// Whether held-out rows speak of all candidates.
fn not_held_out(search: &Search<'_>, selection: &Selection, warnings: &mut Vec<String>) {
    let candidates = &selection.candidates;
    let errors: Vec<_> = candidates
        .iter()
        .filter(|candidate| candidate.fit.is_ok())
        .filter_map(|candidate| Some((candidate, candidate.held_out.as_ref()?.as_ref().err()?)))
        .collect();
    if let [(first, error), ..] = errors[..] {
        warnings.push(format!(
            "{} of {} candidates have no CV; {} because: {}",
            errors.len(),
            candidates.len(),
            name(first),
            explain::fold(error, search.table)
        ));
    }
}

/// The candidates in a few words: those of one number of components together if none is missing.
fn named(search: &Search<'_>, candidates: &[&Candidate]) -> String {
    const MOST: usize = 8;
    let mut names: Vec<String> = Vec::new();
    for of_k in candidates.chunk_by(|a, b| a.label.k == b.label.k) {
        if of_k.len() == search.structures.len() {
            names.push(format!("{} components", of_k[0].label.k));
        } else {
            names.extend(of_k.iter().map(|candidate| name(candidate)));
        }
    }
    if names.len() > MOST + 1 {
        let more = names.split_off(MOST).len();
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

fn name(candidate: &Candidate) -> String {
    match candidate.label.structure {
        Some(structure) => format!("{} × {structure}", candidate.label.k),
        None => format!("{} components", candidate.label.k),
    }
}
