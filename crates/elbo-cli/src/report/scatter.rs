//! The data with the components: a histogram, a scatter plot, or one for each pair of columns.

use super::{
    Figure,
    color::{self, Mix},
    dots::{Dots, diameter},
    svg::{Axis, Frame, Svg, line, minus, px, short},
};
use crate::{
    number::count,
    summary::{Component, Drawn, Kind, MixtureSummary},
};

/// Columns of a matrix of plots.
const MOST_COLUMNS: usize = 5;

/// A Gaussian holds this share of its mass within the inner and the outer ellipse.
const LEVELS: [f64; 2] = [0.5, 0.95];

/// The picture that suits the number of columns.
pub(super) fn figure(summary: &MixtureSummary, drawn: &Drawn) -> Figure {
    let view = View::new(summary, drawn);
    let columns = main_columns(summary, MOST_COLUMNS);
    let (svg, what) = match columns[..] {
        [column] => {
            (view.single_histogram(column), "Bars: the data. Lines: each component, and their sum.")
        }
        [x, y] => (view.single_scatter(x, y), ELLIPSES),
        _ => (view.pairs(&columns), PAIRS),
    };
    let mut caption = vec![what.to_string()];
    let d = summary.columns.len();
    if columns.len() < d {
        caption.push(format!(
            "Shown are the {MOST_COLUMNS} of {d} columns whose means differ most between components, relative to the spread within them."
        ));
    }
    if drawn.responsibilities.len() / view.k < summary.n {
        caption.push(format!(
            "{} of {} rows are drawn, spread evenly over the file.",
            count(drawn.values.len() / d),
            count(summary.n)
        ));
    }
    if view.values.iter().any(|value| value.is_nan()) {
        caption.push("A row is left out where a value is missing.".into());
    }
    Figure { svg, caption: caption.join(" ") }
}

const ELLIPSES: &str = "Each dot is a row, in the color of its component, mixed where the model is \
    unsure. Ellipses hold 50 % and 95 % of a component.";

const PAIRS: &str = "Below the diagonal each dot is a row, in the color of its component, mixed where \
    the model is unsure; above it, ellipses hold 50 % and 95 % of a component; on it, bars show the \
    data and lines the components.";

/// The columns, at most `most`, with the largest share of their variance between components,
/// in their own order.
pub(super) fn main_columns(summary: &MixtureSummary, most: usize) -> Vec<usize> {
    let share = |column: usize| {
        let average = |of: &dyn Fn(&Component) -> f64| -> f64 {
            summary.components.iter().map(|component| component.weight * of(component)).sum()
        };
        let center = average(&|component| component.mean[column]);
        let between = average(&|component| (component.mean[column] - center).powi(2));
        let within = average(&|component| component.std_dev(column).powi(2));
        between / (between + within)
    };
    let mut columns: Vec<_> = (0..summary.columns.len()).collect();
    columns.sort_by(|&a, &b| share(b).total_cmp(&share(a)));
    columns.truncate(most);
    columns.sort_unstable();
    columns
}

/// Data and components, ready to be drawn.
pub(super) struct View<'a> {
    summary: &'a MixtureSummary,
    values: &'a [f64],
    mixes: Vec<Mix>,
    k: usize,
    axes: Vec<Axis>,
}

impl<'a> View<'a> {
    pub(super) fn new(summary: &'a MixtureSummary, drawn: &'a Drawn) -> Self {
        let (k, d) = (summary.components.len(), summary.columns.len());
        assert_eq!(
            drawn.values.len() / d,
            drawn.responsibilities.len() / k,
            "rows of values and responsibilities"
        );
        let axis = |column: usize| {
            let values = drawn.values.iter().skip(column).step_by(d).copied();
            let axis = Axis::around(values, 0.03).unwrap_or(Axis::new(0.0, 1.0));
            summary.components.iter().fold(axis, |axis, component| {
                let (mean, reach) = (component.mean[column], 2.5 * component.std_dev(column));
                axis.stretched(mean - reach, mean + reach, 0.08)
            })
        };
        Self {
            summary,
            values: &drawn.values,
            mixes: drawn.responsibilities.chunks_exact(k).map(Mix::of).collect(),
            k,
            axes: (0..d).map(axis).collect(),
        }
    }

    /// Rows drawn.
    pub(super) fn rows(&self) -> usize {
        self.mixes.len()
    }

    /// The value of row `row` in column `column`.
    pub(super) fn value(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.axes.len() + column]
    }

    /// The axis of column `column`.
    pub(super) fn axis(&self, column: usize) -> Axis {
        self.axes[column]
    }

    /// The name of column `column`.
    pub(super) fn name(&self, column: usize) -> &str {
        &self.summary.columns[column]
    }

    fn single_scatter(&self, x: usize, y: usize) -> String {
        let mut svg = Svg::new(
            "data",
            (720.0, 520.0),
            &format!("{} against {}", self.name(y), self.name(x)),
            &self.description(&[x, y]),
        );
        let frame = Frame {
            left: 62.0,
            top: 30.0,
            width: 640.0,
            height: 440.0,
            x: self.axes[x],
            y: self.axes[y],
        };
        frame.x_ticks(&mut svg, 8, true);
        frame.y_ticks(&mut svg, 7, true);
        frame.names(&mut svg, self.name(x), self.name(y));
        frame.open(&mut svg);
        self.dots(&mut svg, &frame, x, y);
        self.ellipses(&mut svg, &frame, x, y);
        Frame::close(&mut svg);
        svg.finish()
    }

    fn single_histogram(&self, column: usize) -> String {
        let mut svg = Svg::new(
            "data",
            (720.0, 440.0),
            &format!("Distribution of {}", self.name(column)),
            &self.description(&[column]),
        );
        let (left, top, width, height) = (62.0, 30.0, 640.0, 360.0);
        let Some(histogram) = Histogram::new(self, column) else { return svg.finish() };
        let frame = Frame { left, top, width, height, x: self.axes[column], y: histogram.axis() };
        frame.x_ticks(&mut svg, 8, true);
        frame.y_ticks(&mut svg, 5, true);
        frame.names(&mut svg, self.name(column), "density");
        frame.open(&mut svg);
        histogram.draw(&mut svg, &frame, true);
        let mut rug = Dots::default();
        for row in 0..self.rows() {
            let x = self.value(row, column);
            if x.is_finite() {
                rug.add(self.mixes[row], 4.0, frame.at_x(x), height - 5.0);
            }
        }
        rug.draw(&mut svg);
        Frame::close(&mut svg);
        svg.finish()
    }

    fn pairs(&self, columns: &[usize]) -> String {
        const CELL: f64 = 150.0;
        const GAP: f64 = 8.0;
        let (left, top) = (56.0, 4.0);
        let side = CELL * columns.len() as f64;
        let names: Vec<_> = columns.iter().map(|&column| self.name(column)).collect();
        let mut svg = Svg::new(
            "data",
            (left + side + 2.0, top + side + 26.0),
            &format!("All pairs of {}", names.join(", ")),
            &self.description(columns),
        );
        for (i, &y) in columns.iter().enumerate() {
            for (j, &x) in columns.iter().enumerate() {
                let mut frame = Frame {
                    left: left + CELL * j as f64,
                    top: top + CELL * i as f64,
                    width: CELL - GAP,
                    height: CELL - GAP,
                    x: self.axes[x],
                    y: self.axes[y],
                };
                if i == j {
                    let Some(histogram) = Histogram::new(self, x) else { continue };
                    frame.y_ticks(&mut svg, 4, j == 0);
                    frame.x_ticks(&mut svg, 4, i + 1 == columns.len());
                    frame.y = histogram.axis().stretched(0.0, f64::INFINITY, 0.25); // room for the name
                    frame.open(&mut svg);
                    histogram.draw(&mut svg, &frame, false);
                    svg.text((7.0, 17.0), "name halo", &short(self.name(x), 18));
                } else {
                    frame.x_ticks(&mut svg, 4, i + 1 == columns.len());
                    frame.y_ticks(&mut svg, 4, j == 0);
                    frame.open(&mut svg);
                    if i > j {
                        self.dots(&mut svg, &frame, x, y);
                    } else {
                        self.ellipses(&mut svg, &frame, x, y);
                    }
                }
                Frame::close(&mut svg);
                frame.outline(&mut svg);
            }
        }
        svg.finish()
    }

    /// The rows, in the colors of their components.
    fn dots(&self, svg: &mut Svg, frame: &Frame, x: usize, y: usize) {
        let size = diameter(self.rows()) * if frame.width < 300.0 { 0.7 } else { 1.0 };
        let mut dots = Dots::default();
        for row in 0..self.rows() {
            let (x, y) = (self.value(row, x), self.value(row, y));
            if x.is_finite() && y.is_finite() {
                dots.add(self.mixes[row], size, frame.at_x(x), frame.at_y(y));
            }
        }
        dots.draw(svg);
    }

    /// The components, numbered at their means.
    fn ellipses(&self, svg: &mut Svg, frame: &Frame, x: usize, y: usize) {
        let scale = (
            frame.width / (frame.x.high() - frame.x.low()),
            frame.height / (frame.y.high() - frame.y.low()),
        );
        for (at, component) in self.summary.components.iter().enumerate() {
            let d = component.mean.len();
            let (a, b, c) = (
                component.covariance[x * d + x] * scale.0 * scale.0,
                -component.covariance[x * d + y] * scale.0 * scale.1, // downwards
                component.covariance[y * d + y] * scale.1 * scale.1,
            );
            let Some((major, minor, degrees)) = principal_axes(a, b, c) else { continue };
            let (cx, cy) = (frame.at_x(component.mean[x]), frame.at_y(component.mean[y]));
            for level in LEVELS {
                let reach = (-2.0 * (1.0 - level).ln()).sqrt(); // of the χ² distribution with two degrees of freedom
                svg.add(format_args!(
                    "<ellipse class=\"k{}\" cx=\"{cx}\" cy=\"{cy}\" rx=\"{}\" ry=\"{}\" transform=\"rotate({degrees} {cx} {cy})\"><title>component {}, {:.0} %</title></ellipse>",
                    color::index(at), px(reach * major), px(reach * minor), at + 1, level * 100.0,
                    cx = px(cx), cy = px(cy), degrees = px(degrees),
                ));
            }
            if frame.x.contains(component.mean[x]) && frame.y.contains(component.mean[y]) {
                svg.text((cx, cy + 5.0), "number middle", &(at + 1).to_string());
            }
        }
    }

    fn description(&self, columns: &[usize]) -> String {
        let components = self.summary.components.iter().enumerate().map(|(at, component)| {
            let means = columns.iter().map(|&column| {
                format!(
                    "{} {}",
                    self.name(column),
                    crate::number::significant(component.mean[column], 4)
                )
            });
            format!("component {} at {}", at + 1, means.collect::<Vec<_>>().join(", "))
        });
        format!("{} rows; {}.", count(self.rows()), components.collect::<Vec<_>>().join("; "))
    }
}

/// Half-axes and angle of the unit ellipse of the covariance `[[a, b], [b, c]]`, if it has one.
fn principal_axes(a: f64, b: f64, c: f64) -> Option<(f64, f64, f64)> {
    const MOST: f64 = 1e6; // of a picture some hundred units wide
    let (center, radius) = (f64::midpoint(a, c), (0.5 * (a - c)).hypot(b));
    let (major, minor) = ((center + radius).sqrt(), (center - radius).max(0.0).sqrt());
    let degrees = 0.5 * (2.0 * b).atan2(a - c).to_degrees();
    (major.is_finite() && degrees.is_finite()).then(|| (major.min(MOST), minor.min(MOST), degrees))
}

/// Bars of one column with the components' densities.
struct Histogram<'a> {
    view: &'a View<'a>,
    column: usize,
    start: f64,
    width: f64,
    /// Density of each bar: their areas add up to one.
    bars: Vec<f64>,
}

impl<'a> Histogram<'a> {
    /// Bars as wide as Freedman & Diaconis (1981) ask for; `None` if all values are missing.
    fn new(view: &'a View<'a>, column: usize) -> Option<Self> {
        let mut values: Vec<f64> =
            (0..view.rows()).map(|row| view.value(row, column)).filter(|x| x.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let quartile = |share: f64| values[(share * (values.len() - 1) as f64) as usize];
        let counts = view.summary.kind == Kind::Poisson;
        let advised = 2.0 * (quartile(0.75) - quartile(0.25)) / (values.len() as f64).cbrt();
        let width =
            advised.clamp((high - low) / 60.0, f64::max((high - low) / 5.0, f64::MIN_POSITIVE));
        let (start, width) = match counts {
            true if high - low <= 60.0 => (low - 0.5, 1.0),
            true => (low - 0.5, width.round().max(1.0)),
            false if high > low => (low, width),
            false => (low - 0.5, 1.0),
        };
        let number = ((high - start) / width).floor() as usize + 1;
        let mut bars = vec![0.0; number];
        let share = 1.0 / (values.len() as f64 * width);
        for value in values {
            bars[(((value - start) / width) as usize).min(number - 1)] += share;
        }
        Some(Self { view, column, start, width, bars })
    }

    /// Places at which densities are drawn.
    fn places(&self) -> Vec<f64> {
        let axis = self.view.axes[self.column];
        let (low, high) = (axis.low(), axis.high());
        if self.view.summary.kind == Kind::Poisson {
            let step = ((high - low) / 400.0).ceil().max(1.0);
            let first = low.max(0.0).ceil();
            return (0..=400)
                .map(|i| first + step * f64::from(i))
                .take_while(|&x| x <= high)
                .collect();
        }
        let mut places: Vec<f64> =
            (0..=200).map(|i| low + (high - low) * f64::from(i) / 200.0).collect();
        for component in &self.view.summary.components {
            let (mean, sd) = (component.mean[self.column], component.std_dev(self.column));
            places.extend(
                (-12..=12).map(|i| mean + 0.25 * f64::from(i) * sd).filter(|&x| axis.contains(x)),
            );
        }
        places.sort_by(f64::total_cmp);
        places
    }

    fn density(&self, component: &Component, x: f64) -> f64 {
        let mean = component.mean[self.column];
        component.weight
            * match self.view.summary.kind {
                Kind::Gaussian => {
                    let sd = component.std_dev(self.column);
                    (-0.5 * ((x - mean) / sd).powi(2)).exp() / (sd * std::f64::consts::TAU.sqrt())
                }
                Kind::Poisson => (x * mean.ln() - mean - ln_factorial(x)).exp(),
            }
    }

    fn total(&self, x: f64) -> f64 {
        self.view.summary.components.iter().map(|component| self.density(component, x)).sum()
    }

    /// From zero to a little above the bars; a needle of a component may go out at the top.
    fn axis(&self) -> Axis {
        let bars = self.bars.iter().copied().fold(0.0, f64::max);
        let curve = self
            .places()
            .into_iter()
            .map(|x| self.total(x))
            .filter(|y| y.is_finite())
            .fold(0.0, f64::max);
        Axis::new(0.0, 1.06 * bars.max(curve.min(2.0 * bars)))
    }

    fn draw(&self, svg: &mut Svg, frame: &Frame, titles: bool) {
        let floor = frame.height;
        let mut path = String::new();
        for (at, bar) in self.bars.iter().enumerate() {
            let (x0, x1) =
                (self.start + self.width * at as f64, self.start + self.width * (at + 1) as f64);
            let (x0, x1, y) = (frame.at_x(x0), frame.at_x(x1), frame.at_y(*bar));
            path += &format!("M{} {}V{}H{}V{}z", px(x0), px(floor), px(y), px(x1), px(floor));
        }
        svg.add(format_args!(
            "<path class=\"{}\" d=\"{path}\"/>",
            if titles { "bars" } else { "bars thin" }
        ));
        let places = self.places();
        let curve = |density: &dyn Fn(f64) -> f64| {
            line(places.iter().map(|&x| (frame.at_x(x), frame.at_y(density(x).min(1e300)))))
        };
        for (at, component) in self.view.summary.components.iter().enumerate() {
            let path = curve(&|x| self.density(component, x));
            let title = format!(
                "component {}, mean {}",
                at + 1,
                minus(&crate::number::significant(component.mean[self.column], 4))
            );
            svg.add(format_args!(
                "<path class=\"curve k{}\" d=\"{path}\"><title>{title}</title></path>",
                color::index(at)
            ));
        }
        if titles && self.view.k > 1 {
            let path = curve(&|x| self.total(x));
            svg.add(format_args!(
                "<path class=\"total\" d=\"{path}\"><title>all components</title></path>"
            ));
        }
        if titles {
            for (at, component) in self.view.summary.components.iter().enumerate() {
                let mean = component.mean[self.column];
                if frame.x.contains(mean) {
                    let place =
                        if self.view.summary.kind == Kind::Poisson { mean.round() } else { mean };
                    let y = frame.at_y(self.density(component, place).min(1e300));
                    svg.text(
                        (frame.at_x(mean), y.clamp(16.0, floor - 14.0) - 5.0),
                        "number middle",
                        &(at + 1).to_string(),
                    );
                }
            }
        }
    }
}

/// `ln x!` for whole `x ≥ 0`, well enough for a picture: Stirling's series, exact sums below it.
fn ln_factorial(x: f64) -> f64 {
    if x < 16.0 {
        (2..=x as u32).map(|i| f64::from(i).ln()).sum()
    } else {
        x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x)
            - 1.0 / (360.0 * x.powi(3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_axes_are_those_of_the_covariance() {
        let (major, minor, degrees) = principal_axes(4.0, 0.0, 1.0).unwrap();
        assert!(
            (major - 2.0).abs() < 1e-12 && (minor - 1.0).abs() < 1e-12 && degrees.abs() < 1e-12
        );
        let (major, minor, degrees) = principal_axes(1.0, 0.5, 1.0).unwrap();
        assert!((major.powi(2) - 1.5).abs() < 1e-12 && (minor.powi(2) - 0.5).abs() < 1e-12);
        assert!((degrees - 45.0).abs() < 1e-12);
        assert!(principal_axes(f64::NAN, 0.0, 1.0).is_none());
    }

    #[test]
    fn factorials_meet_where_the_formula_changes() {
        let sum: f64 = (2..=20).map(|i| f64::from(i).ln()).sum();
        assert!((ln_factorial(20.0) - sum).abs() < 1e-9);
        assert!(ln_factorial(0.0).abs() < 1e-12);
    }
}
