//! Text for a terminal: aligned tables, and color only where it is welcome.

mod clusters;

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use elbo::core::Criterion;
use unicode_width::UnicodeWidthStr;

use crate::{
    args::TableRows,
    chain::Chain,
    number::{Style, count, fixed, significant},
    summary::{Candidate, Component, Kind, MixtureSummary},
};

pub(crate) use clusters::clusters;

/// Longer tables of candidates are cut unless all rows are asked for.
const MOST_CANDIDATES: usize = 24;

/// The best candidates that a cut table keeps.
const BEST: usize = 10;

/// Wider matrices are left to the report and the model file.
const MOST_COLUMNS: usize = 12;

/// Writes a fitted mixture: the table of candidates, the chosen model, warnings.
///
/// # Errors
///
/// What `out` reports.
pub(crate) fn mixture(
    out: &mut impl Write,
    paint: Paint,
    summary: &MixtureSummary,
    rows: TableRows,
) -> io::Result<()> {
    let missing = match summary.missing {
        0 => String::new(),
        cells => format!(", {} missing cells", count(cells)),
    };
    let d = summary.columns.len();
    writeln!(
        out,
        "{}: {} row{}, {} column{} ({}){missing}\n",
        printable(&summary.source),
        count(summary.n),
        if summary.n == 1 { "" } else { "s" },
        count(d),
        if d == 1 { "" } else { "s" },
        printable(&summary.columns.join(", "))
    )?;
    candidates(out, paint, summary, rows)?;
    parameters(out, paint, summary)?;
    warnings(out, paint, &summary.warnings)
}

/// Writes the states of a chain and its transitions; `shares` of the steps, where they are known.
///
/// # Errors
///
/// What `out` reports.
pub(crate) fn chain(
    out: &mut impl Write,
    paint: Paint,
    chain: &Chain,
    columns: &[String],
    shares: Option<&[f64]>,
) -> io::Result<()> {
    let shown = &columns[..columns.len().min(MOST_COLUMNS)];
    let mut header: Vec<String> = vec!["state".into()];
    header.extend(shares.map(|_| "share".into()));
    header.extend(["initial".into(), "duration".into()]);
    header.extend(shown.iter().flat_map(|name| [name.clone(), "±".into()]));
    let mut grid = Grid::new(&header, &[]);
    for (j, duration) in chain.mean_durations().into_iter().enumerate() {
        let mut row = vec![(j + 1).to_string()];
        row.extend(shares.map(|shares| fixed(shares[j], 3)));
        row.extend([fixed(chain.initial()[j], 3), significant(duration, 3)]);
        row.extend(
            (0..shown.len()).flat_map(|c| {
                [significant(chain.mean(j, c), 5), significant(chain.std_dev(j, c), 3)]
            }),
        );
        grid.push(&row, false);
    }
    grid.write(out, paint)?;
    writeln!(out)?;
    let mut header = vec!["from \\ to".to_string()];
    header.extend((1..=chain.k()).map(|j| j.to_string()));
    let mut grid = Grid::new(&header, &[]);
    for i in 0..chain.k() {
        let mut row = vec![(i + 1).to_string()];
        row.extend(chain.transition(i).iter().map(|p| fixed(*p, 4)));
        grid.push(&row, false);
    }
    grid.write(out, paint)?;
    writeln!(out)
}

/// Writes warnings, one to a line.
///
/// # Errors
///
/// What `out` reports.
pub(crate) fn warnings(out: &mut impl Write, paint: Paint, warnings: &[String]) -> io::Result<()> {
    for warning in warnings {
        writeln!(out, "{} {}", paint.yellow("warning:"), printable(warning))?;
    }
    Ok(())
}

/// The table of candidates; the chosen one has an asterisk. A long one is cut to the best
/// candidates and the best of each number of components.
fn candidates(
    out: &mut impl Write,
    paint: Paint,
    summary: &MixtureSummary,
    rows: TableRows,
) -> io::Result<()> {
    let all = summary.candidates.len();
    let ranked = summary.ranked();
    let mut header = vec!["", "K"];
    header.extend(summary.has_structures().then_some("structure"));
    let criteria = summary.criteria();
    header.extend(["log-lik", "params"]);
    header.extend(criteria.iter().map(|criterion| criterion.name()));
    header.extend(["best reached", "converged"]);
    let mut words = vec![header.len() - 1];
    words.extend(summary.has_structures().then_some(2));
    let mut grid = Grid::new(&header, &words);
    let cut = rows == TableRows::Short && all > MOST_CANDIDATES;
    if cut {
        let criterion = summary.criterion.name();
        grid.title(&format!("the best {BEST} by {criterion}"));
        for candidate in &ranked[..BEST] {
            grid.push_candidate(candidate, &criteria);
        }
        grid.title("the best structure for each number of components");
        for candidate in summary.best_of_each() {
            grid.push_candidate(candidate, &criteria);
        }
    } else {
        for candidate in &summary.candidates {
            grid.push_candidate(candidate, &criteria);
        }
    }
    grid.write(out, paint)?;
    if all > 1 {
        let mut note = format!("* chosen: smallest {} of {}", summary.criterion.name(), all);
        if let Some(held_out) = summary.held_out() {
            let error = fixed(held_out.cv_standard_error, 2);
            note += "; CV is -2 x the log-likelihood of rows held out";
            note.extend([" in ", &held_out.folds.to_string(), " folds, standard error ", &error]);
        }
        if cut {
            note += "; --table all prints all of them";
        }
        writeln!(out, "{}", paint.dim(&note))?;
    }
    writeln!(out)
}

/// Writes the parameters: weights, means ± standard deviations, covariances and correlations.
///
/// # Errors
///
/// What `out` reports.
pub(crate) fn parameters(
    out: &mut impl Write,
    paint: Paint,
    summary: &MixtureSummary,
) -> io::Result<()> {
    let k = summary.components.len();
    let plural = if k == 1 { "component" } else { "components" };
    let title = match summary.kind {
        Kind::Gaussian => format!("{k} Gaussian {plural}, {}", summary.structure),
        Kind::Poisson => format!("{k} Poisson {plural}"),
    };
    writeln!(out, "{}", paint.bold(&title))?;
    let gaussian = summary.kind == Kind::Gaussian;
    let spread = if gaussian { " (mean ± sd)" } else { " (rate)" };
    let mut header = vec!["component".into(), "weight".into()];
    header.extend(summary.columns.iter().map(|column| format!("{column}{spread}")));
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); k];
    for column in 0..summary.columns.len() {
        let means: Vec<_> = summary.components.iter().map(|c| c.mean[column]).collect();
        let sds: Vec<_> = summary.components.iter().map(|c| c.std_dev(column)).collect();
        let style = Style::of(&[&means[..], &sds].concat(), &sds, 3);
        let width =
            |numbers: &[f64]| numbers.iter().map(|x| style.write(*x).len()).max().unwrap_or(0);
        let sd_width = width(&sds);
        for (row, (mean, sd)) in cells.iter_mut().zip(means.iter().zip(&sds)) {
            row.push(match summary.kind {
                Kind::Gaussian => {
                    format!("{} ± {:>sd_width$}", style.write(*mean), style.write(*sd))
                }
                Kind::Poisson => style.write(*mean),
            });
        }
    }
    let mut grid = Grid::new(&header, &[]);
    for (at, (component, cells)) in summary.components.iter().zip(cells).enumerate() {
        let mut row = vec![(at + 1).to_string(), fixed(component.weight, 4)];
        row.extend(cells);
        grid.push(&row, false);
    }
    grid.write(out, paint)?;
    writeln!(out)?;
    if gaussian { covariances(out, paint, summary) } else { Ok(()) }
}

/// The covariances of all components, or the one that they share.
fn covariances(out: &mut impl Write, paint: Paint, summary: &MixtureSummary) -> io::Result<()> {
    let d = summary.columns.len();
    if d > MOST_COLUMNS {
        let note =
            format!("{d} × {d} covariances are not shown; see --model, --json or --report\n");
        return writeln!(out, "{}", paint.dim(&note));
    }
    let shared = summary.shares_covariance();
    let shown = if shared { 1 } else { summary.components.len() };
    for (at, component) in summary.components[..shown].iter().enumerate() {
        let whose = if shared { "all components".into() } else { format!("component {}", at + 1) };
        let what = if d == 1 { "variance" } else { "covariance, correlations below the diagonal" };
        writeln!(out, "{}", paint.bold(&format!("{whose}: {what}")))?;
        covariance(component, &summary.columns).write(out, paint)?;
        writeln!(out)?;
    }
    Ok(())
}

/// The covariance matrix of a component, with correlations below the diagonal.
fn covariance(component: &Component, columns: &[String]) -> Grid {
    let mut header = vec![String::new()];
    header.extend_from_slice(columns);
    let mut grid = Grid::new(&header, &[0]);
    for (i, name) in columns.iter().enumerate() {
        let correlations = (0..i).map(|j| fixed(component.correlation(i, j), 3));
        let covariances =
            (i..columns.len()).map(|j| significant(component.covariance[i * columns.len() + j], 4));
        let row: Vec<_> =
            [name.clone()].into_iter().chain(correlations).chain(covariances).collect();
        grid.push(&row, false);
    }
    grid
}

/// Whether to color.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Color for standard output: only on a terminal that can, and never with `NO_COLOR`.
    pub(crate) fn for_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self { on: io::stdout().is_terminal() && !refused && !dumb }
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

/// A table of text with aligned columns; numbers stand to the right.
#[derive(Debug)]
pub(crate) struct Grid {
    header: Vec<String>,
    /// Columns of words, which stand to the left.
    words: Vec<usize>,
    /// Cells, and how the row stands out. A row may be short: its last cell then runs on.
    rows: Vec<(Vec<String>, Stress)>,
}

/// How a row stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stress {
    None,
    /// It is the one that matters.
    Strong,
    /// It is a title of the rows below it.
    Title,
}

impl Grid {
    /// An empty table; columns in `words` stand to the left.
    pub(crate) fn new(header: &[impl AsRef<str>], words: &[usize]) -> Self {
        let header = header.iter().map(|name| printable(name.as_ref())).collect();
        Self { header, words: words.into(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, cells: &[String], strong: bool) {
        let stress = if strong { Stress::Strong } else { Stress::None };
        self.rows.push((cells.iter().map(|cell| printable(cell)).collect(), stress));
    }

    /// A line of its own above the rows that follow.
    fn title(&mut self, title: &str) {
        self.rows.push((vec![printable(title)], Stress::Title));
    }

    fn push_candidate(&mut self, candidate: &Candidate, criteria: &[Criterion]) {
        let mark = if candidate.chosen { "*" } else { "" };
        let mut row = vec![mark.into(), candidate.components.to_string()];
        row.extend((!candidate.structure.is_empty()).then(|| candidate.structure.clone()));
        match &candidate.outcome {
            Ok(scores) => {
                row.extend([fixed(scores.log_likelihood, 3), scores.df.to_string()]);
                let value = |c: &Criterion| scores.value(*c).map_or("-".into(), |x| fixed(x, 2));
                row.extend(criteria.iter().map(value));
                row.extend([format!("{}/{}", scores.reached, scores.starts), scores.ending()]);
            }
            Err(reason) => row.push(format!("not fitted: {reason}")),
        }
        self.push(&row, candidate.chosen);
    }

    /// Writes all rows.
    pub(crate) fn write(&self, out: &mut impl Write, paint: Paint) -> io::Result<()> {
        let mut widths: Vec<_> = self.header.iter().map(|name| name.width()).collect();
        for (cells, _) in &self.rows {
            let full = if cells.len() < widths.len() { cells.len() - 1 } else { cells.len() };
            for (width, cell) in widths.iter_mut().zip(&cells[..full]) {
                *width = (*width).max(cell.width());
            }
        }
        writeln!(out, "{}", paint.dim(&self.line(&self.header, &widths)))?;
        for (cells, stress) in &self.rows {
            let line = self.line(cells, &widths);
            let line = match stress {
                Stress::None => line,
                Stress::Strong => paint.bold(&line),
                Stress::Title => paint.dim(&line),
            };
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let runs_on = at + 1 == cells.len() && cells.len() < widths.len();
            let pad = " ".repeat(widths[at].saturating_sub(cell.width()));
            let left = runs_on || self.words.contains(&at);
            line.push_str(if at == 0 { "" } else { "  " });
            let (before, after) = if left { ("", &pad[..]) } else { (&pad[..], "") };
            line.extend([before, cell, after]);
        }
        line.trim_end().into()
    }
}

/// `text` without control characters, which could move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn text(summary: &MixtureSummary) -> String {
        let mut out = Vec::new();
        mixture(&mut out, Paint { on: false }, summary, TableRows::Short).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_fitted_mixture_reads_like_this() {
        let text = text(&fixture::faithful().0);
        let expected = include_str!("../tests/golden/faithful.txt");
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn columns_align_by_display_width() {
        let mut grid = Grid::new(&["名前", "n"], &[0]);
        grid.push(&["é".into(), "10".into()], false);
        grid.push(&["日本".into(), "7".into()], true);
        grid.push(&["runs on and on".into()], false);
        let mut out = Vec::new();
        grid.write(&mut out, Paint { on: false }).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "名前   n\né     10\n日本   7\nruns on and on\n"
        );
    }

    #[test]
    fn color_goes_around_text_and_control_characters_do_not_get_out() {
        assert_eq!(Paint { on: true }.bold("x"), "\x1b[1mx\x1b[0m");
        assert_eq!(printable("a\x1b[2J"), "a\u{fffd}[2J");
    }

    #[test]
    fn long_tables_keep_their_best_rows_and_the_best_of_each_k() {
        let mut summary = fixture::faithful().0;
        let filler = summary.candidates[0].clone();
        summary.candidates.resize(100, filler);
        let short = text(&summary);
        assert!(short.contains("smallest BIC of 100; --table all prints all of them"), "{short}");
        let rows = |word: &str, text: &str| text.lines().filter(|l| l.contains(word)).count();
        assert_eq!(rows("/20", &short), BEST + 6, "{short}");
        assert!(short.contains("\n*  "));
        let mut all = Vec::new();
        mixture(&mut all, Paint { on: false }, &summary, TableRows::All).unwrap();
        assert_eq!(rows("/20", &String::from_utf8(all).unwrap()), 99, "one could not be fitted");
    }
}
