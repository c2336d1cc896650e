//! How sure the model is of each row: `1 − maxⱼ γᵢⱼ`.

use super::{
    Figure,
    color::Mix,
    dots::Dots,
    scatter::{View, main_columns},
    svg::{Axis, Frame, Svg, line, px},
};
use crate::summary::{Drawn, MixtureSummary};

/// A row this uncertain could about as well belong elsewhere.
const HIGH: f64 = 0.3;

/// The rows sorted by their uncertainty, and where the uncertain ones lie; `None` with one component.
pub(super) fn figures(summary: &MixtureSummary, drawn: &Drawn) -> Option<[Figure; 2]> {
    let k = summary.components.len();
    if k < 2 {
        return None;
    }
    let largest = |row: &[f64]| row.iter().copied().fold(0.0, f64::max);
    let uncertainty: Vec<f64> = drawn
        .responsibilities
        .chunks_exact(k)
        .map(|row| (1.0 - largest(row)).clamp(0.0, 1.0))
        .collect();
    Some([sorted(&uncertainty), places(summary, drawn, &uncertainty)])
}

fn sorted(uncertainty: &[f64]) -> Figure {
    let mut sorted = uncertainty.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let share_above = |limit: f64| 100.0 * sorted.iter().filter(|&&u| u > limit).count() as f64 / n;
    let sure = 100.0 - share_above(0.05);
    let text = format!(
        "{sure:.1} % of the rows belong to their component with at least 95 % probability; {:.1} % are uncertain by more than {:.0} %.",
        share_above(HIGH),
        100.0 * HIGH
    );
    let mut svg = Svg::new("uncertainty", (440.0, 340.0), "Uncertainty of the rows, sorted", &text);
    let top = sorted.last().copied().unwrap_or(0.0).max(0.05) * 1.05;
    let frame = Frame {
        left: 52.0,
        top: 30.0,
        width: 372.0,
        height: 260.0,
        x: Axis::new(0.0, 100.0),
        y: Axis::new(0.0, top),
    };
    frame.x_ticks(&mut svg, 5, true);
    frame.y_ticks(&mut svg, 5, true);
    frame.names(&mut svg, "share of rows, %", "1 − largest responsibility");
    frame.open(&mut svg);
    let stride = sorted.len().div_ceil(400).max(1);
    let last = sorted.len().saturating_sub(1);
    let places = (0..sorted.len())
        .filter(|&at| at % stride == 0 || at == last)
        .map(|at| (frame.at_x(100.0 * (at as f64 + 1.0) / n), frame.at_y(sorted[at])));
    let path = line(places);
    let floor = px(frame.height);
    svg.add(format_args!(
        "<path class=\"area\" d=\"{path}V{floor}H0z\"/><path class=\"curve k0\" d=\"{path}\"/>"
    ));
    Frame::close(&mut svg);
    Figure { svg: svg.finish(), caption: text }
}

fn places(summary: &MixtureSummary, drawn: &Drawn, uncertainty: &[f64]) -> Figure {
    let view = View::new(summary, drawn);
    let k = summary.components.len();
    let columns = main_columns(summary, 2);
    let (x, other) = (columns[0], columns.get(1).copied());
    let y_name = other.map_or("1 − largest responsibility", |column| view.name(column));
    let mut svg = Svg::new(
        "uncertain",
        (440.0, 340.0),
        &format!("Uncertain rows: {y_name} against {}", view.name(x)),
        "Rows as dots in the color of their component; the larger, the less certain.",
    );
    let y_axis = other.map_or(Axis::new(0.0, 1.0), |column| view.axis(column));
    let frame =
        Frame { left: 52.0, top: 30.0, width: 372.0, height: 260.0, x: view.axis(x), y: y_axis };
    frame.x_ticks(&mut svg, 5, true);
    frame.y_ticks(&mut svg, 5, true);
    frame.names(&mut svg, view.name(x), y_name);
    frame.open(&mut svg);
    let mut dots = Dots::default();
    for (row, gamma) in drawn.responsibilities.chunks_exact(k).enumerate() {
        let y = other.map_or(uncertainty[row], |column| view.value(row, column));
        if view.value(row, x).is_finite() && y.is_finite() {
            let (at_x, at_y) = (frame.at_x(view.value(row, x)), frame.at_y(y));
            let color = Mix::hard(gamma);
            dots.add(color, size(uncertainty[row]), at_x, at_y);
        }
    }
    dots.draw(&mut svg);
    Frame::close(&mut svg);
    let caption =
        "The larger the dot, the less certain its component: tiny below 5 %, largest above 40 %.";
    Figure { svg: svg.finish(), caption: caption.into() }
}

/// Diameter of the dot of a row.
fn size(uncertainty: f64) -> f64 {
    match uncertainty {
        u if u < 0.05 => 2.0,
        u if u < 0.15 => 4.5,
        u if u < 0.25 => 6.5,
        u if u < 0.4 => 8.5,
        _ => 10.5,
    }
}
