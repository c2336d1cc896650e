//! The numbers of the report, as tables.

use elbo::core::Criterion;

use super::{
    color,
    svg::{escape, minus},
};
use crate::{
    number::{Style, fixed, significant},
    summary::{Candidate, Component, Kind, MixtureSummary},
};

/// Wider correlation matrices are left to the model file.
const MOST_COLUMNS: usize = 20;

/// The candidates, the chosen one marked: a few best ones, the rest at a click.
pub(super) fn candidates(summary: &MixtureSummary) -> String {
    const MOST: usize = 24;
    const BEST: usize = 10;
    let all: Vec<_> = summary.candidates.iter().collect();
    if all.len() <= MOST {
        return of_candidates("Candidates", summary, &all);
    }
    let title = format!("The best {BEST} by {}", summary.criterion.name());
    let best = of_candidates(&title, summary, &summary.ranked()[..BEST]);
    let each = of_candidates(
        "The best structure for each number of components",
        summary,
        &summary.best_of_each(),
    );
    let all = of_candidates("All candidates", summary, &all);
    let count = summary.candidates.len();
    format!("{best}{each}<details><summary>All {count} candidates</summary>\n{all}</details>\n")
}

fn of_candidates(title: &str, summary: &MixtureSummary, candidates: &[&Candidate]) -> String {
    let mut header = vec!["K"];
    header.extend(summary.has_structures().then_some("structure"));
    let criteria = summary.criteria();
    header.extend(["log-likelihood", "parameters"]);
    header.extend(criteria.iter().map(|criterion| criterion.name()));
    header.extend(["best reached", "converged"]);
    let mut rows = String::new();
    for candidate in candidates {
        let mut cells = vec![candidate.components.to_string()];
        cells.extend(summary.has_structures().then(|| escape(&candidate.structure)));
        let known = cells.len();
        if let Ok(scores) = &candidate.outcome {
            cells.extend([number(&fixed(scores.log_likelihood, 3)), scores.df.to_string()]);
            let value =
                |c: &Criterion| scores.value(*c).map_or("–".into(), |x| number(&fixed(x, 2)));
            cells.extend(criteria.iter().map(value));
            cells.push(format!("{}/{}", scores.reached, scores.starts));
            cells.push(scores.ending());
        }
        let mut row: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        if let Err(reason) = &candidate.outcome {
            row += &format!(
                "<td class=\"reason\" colspan=\"{}\">not fitted: {}</td>",
                header.len() - known,
                escape(reason)
            );
        }
        let class = if candidate.chosen { " class=\"chosen\" aria-current=\"true\"" } else { "" };
        rows += &format!("<tr{class}>{row}</tr>\n");
    }
    table(title, &header, &rows)
}

/// Weights, means and standard deviations, a row for each component.
pub(super) fn parameters(summary: &MixtureSummary) -> String {
    let gaussian = summary.kind == Kind::Gaussian;
    let mut header = vec!["component".to_string(), "weight".into()];
    header.extend(summary.columns.iter().cloned());
    let styles: Vec<Style> = (0..summary.columns.len())
        .map(|column| {
            let sds: Vec<_> = summary.components.iter().map(|c| c.std_dev(column)).collect();
            let means: Vec<_> = summary.components.iter().map(|c| c.mean[column]).collect();
            Style::of(&[&means[..], &sds].concat(), &sds, 3)
        })
        .collect();
    let mut rows = String::new();
    for (at, component) in summary.components.iter().enumerate() {
        rows += &format!(
            "<tr><th scope=\"row\">{}</th><td>{}<span class=\"bar\"><i class=\"k{}\" style=\"width:{:.1}%\"></i></span></td>",
            badge(at),
            fixed(component.weight, 4),
            color::index(at),
            100.0 * component.weight
        );
        for (column, style) in styles.iter().enumerate() {
            let mean = number(&style.write(component.mean[column]));
            rows += &if gaussian {
                let sd = number(&style.write(component.std_dev(column)));
                format!("<td>{mean} <span class=\"sd\">± {sd}</span></td>")
            } else {
                format!("<td>{mean}</td>")
            };
        }
        rows += "</tr>\n";
    }
    let caption =
        if gaussian { "Weights, means ± standard deviations" } else { "Weights and rates" };
    table(caption, &header, &rows)
}

/// For each component its correlations as a heat map, standard deviations on the diagonal.
pub(super) fn correlations(summary: &MixtureSummary) -> String {
    let d = summary.columns.len();
    if d < 2 || summary.kind == Kind::Poisson {
        return String::new();
    }
    if d > MOST_COLUMNS {
        return format!(
            "<p class=\"note\">The {d} × {d} covariance matrices are in the model file (--model).</p>"
        );
    }
    let mut out = String::from("<div class=\"matrices\">\n");
    if summary.shares_covariance() {
        out += &matrix("all components", &summary.components[0], &summary.columns);
    } else {
        for (at, component) in summary.components.iter().enumerate() {
            out += &matrix(
                &format!("{} component {}", badge(at), at + 1),
                component,
                &summary.columns,
            );
        }
    }
    out + "</div>\n<p class=\"note\">Correlations within each component; on the diagonal, standard deviations.</p>\n"
}

fn matrix(caption: &str, component: &Component, columns: &[String]) -> String {
    let mut header = vec![String::new()];
    header.extend(columns.iter().cloned());
    let mut rows = String::new();
    for (i, name) in columns.iter().enumerate() {
        rows += &format!("<tr><th scope=\"row\" title=\"{0}\">{0}</th>", escape(name));
        for j in 0..columns.len() {
            rows += &if i == j {
                format!(
                    "<td class=\"diagonal\">{}</td>",
                    number(&significant(component.std_dev(i), 3))
                )
            } else {
                let r = component.correlation(i, j);
                let (tone, share) = if r < 0.0 { ("cold", -r) } else { ("warm", r) };
                let share = if share.is_finite() { (60.0 * share).round().min(60.0) } else { 0.0 };
                format!(
                    "<td style=\"background:color-mix(in srgb,var(--{tone}) {share:.0}%,transparent)\">{}</td>",
                    number(&fixed(r, 2))
                )
            };
        }
        rows += "</tr>\n";
    }
    table_with(caption, &header, &rows, "matrix")
}

/// Circumstances, as label and value.
pub(super) fn run(facts: &[(String, String)]) -> String {
    let rows: String = facts
        .iter()
        .map(|(label, value)| {
            format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(label), escape(value))
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"facts\"><caption class=\"hidden\">Circumstances of the fit</caption><tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// The number of a component on its color.
pub(super) fn badge(at: usize) -> String {
    format!("<span class=\"badge k{}\">{}</span>", color::index(at), at + 1)
}

/// A table of numbers with a caption.
pub(super) fn table(caption: &str, header: &[impl AsRef<str>], rows: &str) -> String {
    table_with(&escape(caption), header, rows, "numbers")
}

fn table_with(caption: &str, header: &[impl AsRef<str>], rows: &str, class: &str) -> String {
    let header: String = header
        .iter()
        .map(AsRef::as_ref)
        .map(|name: &str| {
            if name.is_empty() {
                "<td></td>".to_string()
            } else {
                format!("<th scope=\"col\" title=\"{0}\">{0}</th>", escape(name))
            }
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"{class}\"><caption>{caption}</caption>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn number(text: &str) -> String {
    minus(text)
}
