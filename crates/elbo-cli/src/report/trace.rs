//! How the objective rose, start by start.

use super::{
    Figure,
    svg::{Axis, Frame, Svg, escape, line, minus, px},
};
use crate::{
    number,
    summary::{MixtureSummary, Start},
};

/// Objective against iteration, near the best optimum; `None` if no start has two iterations.
pub(super) fn figure(summary: &MixtureSummary) -> Option<Figure> {
    let starts = &summary.starts;
    let longest =
        starts.iter().map(|start| start.trace.len()).max().filter(|&longest| longest > 1)?;
    let best = best(starts)?;
    let span = span(starts, best);
    let y = Axis::new(best - span, best + 0.06 * span);
    let end = longest as f64;
    let x =
        if longest > 30 { Axis::logarithmic(1.0, end * 1.05) } else { Axis::new(1.0, end + 0.3) };
    let reached = summary.reached();
    let mut svg = Svg::new(
        "trace",
        (720.0, 380.0),
        &format!("{} by iteration", summary.objective),
        &format!(
            "{reached} of {} starts reach the best value, {}, within at most {longest} iterations.",
            starts.len(),
            number::fixed(best, 4)
        ),
    );
    let frame = Frame { left: 84.0, top: 30.0, width: 618.0, height: 300.0, x, y };
    frame.x_ticks(&mut svg, 10, true);
    frame.y_ticks(&mut svg, 6, true);
    frame.names(&mut svg, "iteration", summary.objective);
    frame.open(&mut svg);
    let winner = starts.iter().position(|start| start.kept);
    let others = (0..starts.len()).filter(|&at| Some(at) != winner);
    for at in others.chain(winner) {
        draw(&mut svg, &frame, at, &starts[at], Some(at) == winner);
    }
    Frame::close(&mut svg);
    let below = starts.iter().filter(|start| start.objective() < y.low()).count();
    let mut caption = format!(
        "One line per start, near the best value{}. {reached} of {} starts reach it (blue; the one kept is bold); the others (dashed) end at a lower optimum or were stopped.",
        if longest > 30 { "; iterations on a logarithmic scale" } else { "" },
        starts.len()
    );
    let above = starts.iter().filter(|start| start.objective() > y.high()).count();
    if above > 0 {
        caption += &format!(
            " {above} spurious or failed one{} above it.",
            if above == 1 { " ended" } else { "s ended" }
        );
    }
    if below > 0 {
        caption += &format!(
            " {below} of them end{} below the picture.",
            if below == 1 { "s" } else { "" }
        );
    }
    Some(Figure { svg: svg.finish(), caption })
}

fn draw(svg: &mut Svg, frame: &Frame, at: usize, start: &Start, winner: bool) {
    let class = match (winner, start.reached_best) {
        (true, _) => "trace best kept",
        (_, true) => "trace best",
        _ => "trace other",
    };
    let points = start.trace.iter().enumerate().filter(|(_, y)| y.is_finite());
    let places = points.map(|(iteration, &y)| (frame.at_x(iteration as f64 + 1.0), frame.at_y(y)));
    let places = thinned(places);
    let Some(&(x, y)) = places.last() else { return };
    let title = format!(
        "start {}: {} after {} iterations, {}",
        at + 1,
        minus(&number::fixed(start.objective(), 4)),
        start.trace.len(),
        start.stopped
    );
    svg.add(format_args!(
        "<g class=\"{class}\"><title>{}</title><path d=\"{}\"/><circle cx=\"{}\" cy=\"{}\" r=\"{}\"/></g>",
        escape(&title),
        line(places.into_iter()),
        px(x),
        px(y),
        if winner { "4.5" } else { "3" }
    ));
}

/// The same line without points that fall within a third of a pixel beside the one before; the
/// last one stays.
fn thinned(places: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for place in places {
        if kept.last().is_none_or(|before| place.0 - before.0 > 0.3) {
            kept.push(place);
            last = None;
        } else {
            last = Some(place);
        }
    }
    kept.extend(last);
    kept
}

/// The objective of the start that was kept.
fn best(starts: &[Start]) -> Option<f64> {
    starts.iter().find(|start| start.kept).map(Start::objective).filter(|y| y.is_finite())
}

/// How far below the best value the picture goes: it shows where nine in ten starts end, and the
/// last nine tenths of the iterations of half the starts.
fn span(starts: &[Start], best: f64) -> f64 {
    let quantile = |mut gaps: Vec<f64>, share: f64| {
        gaps.retain(|gap| gap.is_finite());
        gaps.sort_by(f64::total_cmp);
        gaps.get(((gaps.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or(0.0)
    };
    let ends = quantile(starts.iter().map(|start| best - start.objective()).collect(), 0.9);
    let early =
        |start: &Start| start.trace.get(start.trace.len() / 10).map_or(f64::NAN, |y| best - y);
    let rise = quantile(starts.iter().map(early).collect(), 0.5);
    f64::max(1.25 * ends, rise).max(1e-9 * best.abs()).max(1e-12)
}
