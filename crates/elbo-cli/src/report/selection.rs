//! The criterion of every candidate, one line per covariance structure.

use elbo::core::Criterion;

use super::{
    Figure,
    svg::{Axis, Frame, Svg, escape, line, minus, px},
};
use crate::{
    number::fixed,
    summary::{Candidate, MixtureSummary},
};

/// Marks, drawn about the origin with a radius of some five units.
const MARKS: [&str; 5] = [
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "M-4.5 -4.5h9v9h-9z",
    "M0 -6L5.5 4h-11z",
    "M0 -6.5L6 0L0 6.5L-6 0z",
    "M0 6L5.5 -4h-11z",
];

/// The criterion against K; `None` if fewer than two candidates could be fitted.
pub(super) fn figure(summary: &MixtureSummary) -> Option<Figure> {
    let criterion = summary.criterion;
    let points = |candidate: &Candidate| {
        value(candidate, criterion).map(|y| (candidate.components as f64, y))
    };
    let all: Vec<_> = summary.candidates.iter().filter_map(points).collect();
    if all.len() < 2 {
        return None;
    }
    let limit = limit(all.iter().map(|point| point.1).collect());
    let mut structures: Vec<&str> = Vec::new();
    for candidate in &summary.candidates {
        if !structures.contains(&candidate.structure.as_str()) {
            structures.push(&candidate.structure);
        }
    }
    let chosen = summary.chosen();
    let mut svg = Svg::new(
        "selection",
        (720.0, 400.0),
        &format!("{} by number of components and covariance structure", criterion.name()),
        &format!("{} candidates; chosen: {}.", all.len(), name(chosen)),
    );
    let lines = legend(&mut svg, &structures);
    let top = 36.0 + 20.0 * lines as f64;
    let frame = Frame {
        left: 84.0,
        top,
        width: 618.0,
        height: 350.0 - top,
        x: Axis::around(all.iter().map(|point| point.0), 0.05)?,
        y: Axis::around(all.iter().map(|point| point.1).filter(|&y| y <= limit), 0.07)?,
    };
    frame.y_ticks(&mut svg, 6, true);
    for k in all.iter().map(|point| point.0 as usize).collect::<std::collections::BTreeSet<_>>() {
        svg.text(
            (frame.left + frame.at_x(k as f64), frame.top + frame.height + 17.0),
            "tick middle",
            &k.to_string(),
        );
    }
    frame.names(
        &mut svg,
        "number of components",
        &format!("{} (smaller is better)", criterion.name()),
    );
    frame.open(&mut svg);
    for (at, structure) in structures.iter().enumerate() {
        let of_structure =
            || summary.candidates.iter().filter(|candidate| candidate.structure == **structure);
        let places = |candidate| points(candidate).map(|(x, y)| (frame.at_x(x), frame.at_y(y)));
        let class = at % 8;
        svg.add(format_args!(
            "<path class=\"curve k{class}\" d=\"{}\"/>",
            line(of_structure().filter_map(places))
        ));
        for candidate in of_structure() {
            let Some((x, y)) = places(candidate) else { continue };
            mark(&mut svg, at, (x, y), &title(candidate, criterion));
        }
    }
    if let Some((x, y)) = points(chosen) {
        let (x, y) = (frame.at_x(x), frame.at_y(y));
        svg.add(format_args!(
            "<circle class=\"chosen\" cx=\"{}\" cy=\"{}\" r=\"10\"/>",
            px(x),
            px(y)
        ));
    }
    Frame::close(&mut svg);
    let failed = summary.candidates.len() - all.len();
    let mut caption = format!("The chosen model, ringed, has {}.", name(chosen));
    let above = all.iter().filter(|point| point.1 > limit).count();
    if above > 0 {
        caption += &format!(" {above} of {} lie above the picture.", all.len());
    }
    if failed > 0 {
        caption += &format!(
            " {failed} of {} could not be fitted; the table below says why.",
            summary.candidates.len()
        );
    }
    Some(Figure { svg: svg.finish(), caption })
}

/// The largest value that the picture shows: where a few candidates are far worse than the others,
/// they would leave no room for those that matter.
fn limit(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[0] + 2.5 * (values[values.len() / 2] - values[0])
}

/// The candidate in words.
fn name(candidate: &Candidate) -> String {
    let plural = if candidate.components == 1 { "" } else { "s" };
    let covariance = match &candidate.structure[..] {
        "" => String::new(),
        structure => format!(" with {structure} covariance"),
    };
    format!("{} component{plural}{covariance}", candidate.components)
}

fn value(candidate: &Candidate, criterion: Criterion) -> Option<f64> {
    candidate.outcome.as_ref().ok()?.value(criterion).filter(|y| y.is_finite())
}

fn title(candidate: &Candidate, criterion: Criterion) -> String {
    let value = value(candidate, criterion).map_or(String::new(), |y| minus(&fixed(y, 2)));
    format!("K = {}, {}: {} {value}", candidate.components, candidate.structure, criterion.name())
}

fn mark(svg: &mut Svg, at: usize, (x, y): (f64, f64), title: &str) {
    svg.add(format_args!(
        "<path class=\"mark k{}\" transform=\"translate({} {})\" d=\"{}\"><title>{}</title></path>",
        at % 8,
        px(x),
        px(y),
        MARKS[at % MARKS.len()],
        escape(title)
    ));
}

/// Names of the structures beside their marks, from left to right; gives the number of lines. A
/// single one needs no name.
fn legend(svg: &mut Svg, structures: &[&str]) -> usize {
    const LEFT: f64 = 92.0;
    const RIGHT: f64 = 702.0;
    if structures.len() < 2 {
        return 0;
    }
    let (mut x, mut line) = (LEFT, 0);
    for (at, structure) in structures.iter().enumerate() {
        let width = 38.0 + 7.5 * structure.chars().count() as f64;
        if x + width > RIGHT {
            (x, line) = (LEFT, line + 1);
        }
        let y = 16.0 + 20.0 * line as f64;
        mark(svg, at, (x, y), structure);
        svg.text((x + 11.0, y + 4.5), "tick", structure);
        x += width;
    }
    line + 1
}
