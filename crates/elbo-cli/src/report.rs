//! One self-contained page about a fitted model: pictures, numbers, circumstances.
//!
//! The page loads nothing from elsewhere; its pictures are SVG written by the modules below it.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths and numbers of bars in a picture are finite, small and not negative"
)]
#![allow(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a page is written once, as the text that it is"
)]

mod chain;
mod clusters;
mod color;
mod dots;
mod scatter;
mod selection;
mod svg;
mod tables;
mod trace;
mod uncertainty;

use crate::{
    number::{count, fixed},
    summary::{Drawn, Kind, MixtureSummary},
};
pub(crate) use chain::{ChainPage, page as chain};
pub(crate) use clusters::kmeans;
use svg::{escape, minus};

/// The style sheet, but for the colors of components.
const STYLE: &str = include_str!("report/style.css");

/// A picture and the text below it.
#[derive(Debug)]
struct Figure {
    svg: String,
    caption: String,
}

impl Figure {
    fn html(&self) -> String {
        format!("<figure>{}<figcaption>{}</figcaption></figure>\n", self.svg, escape(&self.caption))
    }
}

/// The page about a fitted mixture.
///
/// `drawn` holds the rows that pictures show, all or a sample.
///
/// # Panics
///
/// If the shapes in `drawn` do not fit `summary`, or no candidate is chosen.
pub(crate) fn mixture(summary: &MixtureSummary, drawn: &Drawn) -> String {
    let mut main = header(summary);
    main += &warnings(&summary.warnings);
    main += &section("Data and components", &scatter::figure(summary, drawn).html());
    let parameters = tables::parameters(summary) + &tables::correlations(summary);
    main += &section("Parameters", &parameters);
    let picture = selection::figure(summary).map_or(String::new(), |figure| figure.html());
    let title = if summary.candidates.len() > 1 { "Choice of the model" } else { "Fit" };
    main += &section(title, &(picture + &tables::candidates(summary)));
    if let Some(figure) = trace::figure(summary) {
        main += &section("Convergence", &figure.html());
    }
    if let Some([sorted, places]) = uncertainty::figures(summary, drawn) {
        let pair = format!("<div class=\"pair\">{}{}</div>\n", sorted.html(), places.html());
        main += &section("Uncertainty", &pair);
    }
    main += &section("Run", &tables::run(&summary.run));
    page(&format!("{}: {}", summary.source, model_name(summary)), &main)
}

/// The model in a few words.
fn model_name(summary: &MixtureSummary) -> String {
    let k = summary.components.len();
    let plural = if k == 1 { "component" } else { "components" };
    match summary.kind {
        Kind::Gaussian => format!("{k} Gaussian {plural}, {}", summary.structure),
        Kind::Poisson => format!("{k} Poisson {plural}"),
    }
}

fn header(summary: &MixtureSummary) -> String {
    let chosen = summary.chosen();
    let mut tiles = vec![
        ("rows".to_string(), count(summary.n)),
        ("columns".into(), summary.columns.len().to_string()),
        ("components".into(), summary.components.len().to_string()),
    ];
    if let Ok(scores) = &chosen.outcome {
        tiles.push(("log-likelihood".into(), minus(&fixed(scores.log_likelihood, 2))));
        if let Some(value) = scores.value(summary.criterion) {
            tiles.push((summary.criterion.name().into(), minus(&fixed(value, 2))));
        }
        let converged = if scores.converged { "yes" } else { "no" };
        tiles.push(("converged".into(), converged.into()));
        tiles.push((
            "starts at the best value".into(),
            format!("{} of {}", scores.reached, scores.starts),
        ));
    }
    if summary.missing > 0 {
        tiles.push(("missing cells".into(), count(summary.missing)));
    }
    header_of(&summary.source, &model_name(summary), &tiles)
}

fn header_of(source: &str, title: &str, tiles: &[(String, String)]) -> String {
    let tiles: String = tiles
        .iter()
        .map(|(label, value)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(label), escape(value))
        })
        .collect();
    format!(
        "<header>\n<p class=\"source\">{}</p>\n<h1>{}</h1>\n<dl class=\"tiles\">\n{tiles}</dl>\n</header>\n",
        escape(source),
        escape(title)
    )
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let items: String =
        warnings.iter().map(|warning| format!("<li>{}</li>\n", escape(warning))).collect();
    format!(
        "<section class=\"warnings\" aria-label=\"Warnings\">\n<h2>Warnings</h2>\n<ul>\n{items}</ul>\n</section>\n"
    )
}

fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{content}</section>\n", escape(title))
}

fn page(title: &str, main: &str) -> String {
    let (light, dark) = (color::declarations(false), color::declarations(true));
    let classes = color::classes();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n\
         :root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n{classes}\n{STYLE}</style>\n\
         </head>\n<body>\n<main>\n{main}</main>\n<footer>elbo {}</footer>\n</body>\n</html>\n",
        escape(title),
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests;
