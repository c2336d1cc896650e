//! Fitted centers on a terminal.

use std::io::{self, Write};

use super::{Grid, MOST_COLUMNS, Paint, printable, warnings};
use crate::{
    number::{Style, count, fixed, significant, weight},
    summary::ClusterSummary,
};

/// Writes fitted centers: sizes, spreads and coordinates, then warnings.
///
/// # Errors
///
/// What `out` reports.
pub(crate) fn clusters(
    out: &mut impl Write,
    paint: Paint,
    summary: &ClusterSummary,
) -> io::Result<()> {
    let (mixture, k) = (&summary.mixture, summary.sizes.len());
    let d = mixture.columns.len();
    if !mixture.source.is_empty() {
        let (source, rows) = (printable(&mixture.source), count(mixture.n));
        let columns = printable(&mixture.columns.join(", "));
        writeln!(out, "{source}: {rows} rows, {d} columns ({columns})\n")?;
    }
    let explained = summary.explained.map_or_else(String::new, |explained| {
        format!(" ({} % of the variance explained)", fixed(100.0 * explained, 1))
    });
    let clusters = if k == 1 { "cluster" } else { "clusters" };
    let inertia = significant(summary.inertia, 8);
    let title = format!("{k} {clusters}, inertia {inertia}{explained}");
    writeln!(out, "{}", paint.bold(&title))?;
    if !summary.ending.is_empty() {
        let (reached, starts) = summary.reached;
        let line = format!("best reached by {reached} of {starts} starts; {}", summary.ending);
        writeln!(out, "{}", paint.dim(&line))?;
    }
    let shown = d.min(MOST_COLUMNS);
    let mut header = vec!["cluster".to_string(), "rows".into(), "share".into(), "spread".into()];
    header.extend(mixture.columns[..shown].iter().cloned());
    let mut grid = Grid::new(&header, &[]);
    let styles: Vec<_> = (0..shown)
        .map(|c| {
            let values: Vec<_> = mixture.components.iter().map(|one| one.mean[c]).collect();
            Style::of(&values, &summary.spreads, 3)
        })
        .collect();
    for (j, component) in mixture.components.iter().enumerate() {
        let mut row = vec![
            (j + 1).to_string(),
            weight(summary.sizes[j]),
            fixed(component.weight, 3),
            significant(summary.spreads[j], 3),
        ];
        row.extend(styles.iter().zip(&component.mean).map(|(style, x)| style.write(*x)));
        grid.push(&row, false);
    }
    grid.write(out, paint)?;
    if shown < d {
        let note = format!("{shown} of {d} columns are shown; --json and --model hold all");
        writeln!(out, "{}", paint.dim(&note))?;
    }
    warnings(out, paint, &mixture.warnings)
}
