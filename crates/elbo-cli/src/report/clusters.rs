//! The page about fitted centers.

use super::{header_of, minus, page, scatter, section, tables, trace, warnings};
use crate::{
    number::{count, fixed, significant, weight},
    summary::{ClusterSummary, Drawn},
};

/// The page about fitted centers; `drawn` holds the rows that pictures show.
///
/// # Panics
///
/// If the shapes in `drawn` do not fit `summary`.
pub(crate) fn kmeans(summary: &ClusterSummary, drawn: &Drawn) -> String {
    let mixture = &summary.mixture;
    let title = format!("{} clusters by k-means", summary.sizes.len());
    let mut main = header_of(&mixture.source, &title, &tiles(summary));
    main += &warnings(&mixture.warnings);
    main += &section("Data and clusters", &scatter::figure(mixture, drawn).html());
    main += &section("Centers", &centers(summary));
    if let Some(figure) = trace::figure(mixture) {
        main += &section("Convergence", &figure.html());
    }
    main += &section("Run", &tables::run(&mixture.run));
    page(&format!("{}: {title}", mixture.source), &main)
}

fn tiles(summary: &ClusterSummary) -> Vec<(String, String)> {
    let (reached, starts) = summary.reached;
    let mut tiles = vec![
        ("rows".to_string(), count(summary.mixture.n)),
        ("columns".into(), summary.mixture.columns.len().to_string()),
        ("clusters".into(), summary.sizes.len().to_string()),
        ("inertia".into(), significant(summary.inertia, 6)),
        ("starts at the best value".into(), format!("{reached} of {starts}")),
    ];
    if let Some(explained) = summary.explained {
        tiles.push(("variance explained".into(), format!("{} %", fixed(100.0 * explained, 1))));
    }
    tiles
}

/// Sizes, spreads and coordinates, a row for each center.
fn centers(summary: &ClusterSummary) -> String {
    let mut header = vec!["cluster".to_string(), "rows".into(), "share".into(), "spread".into()];
    header.extend(summary.mixture.columns.iter().cloned());
    let mut rows = String::new();
    for (j, component) in summary.mixture.components.iter().enumerate() {
        let mut cells = vec![
            tables::badge(j),
            weight(summary.sizes[j]),
            fixed(component.weight, 3),
            significant(summary.spreads[j], 3),
        ];
        cells.extend(component.mean.iter().map(|x| minus(&significant(*x, 5))));
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        rows += &format!("<tr>{cells}</tr>\n");
    }
    let caption = "Rows of each cluster, their share, their root mean squared distance to the center, and the center";
    tables::table(caption, &header, &rows)
}
