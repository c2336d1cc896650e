//! A plot as SVG: transparent, in middle tones that can be read on white and on black.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of ticks and powers of ten are small"
)]

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 700.0;
const BOTTOM: f64 = 346.0;
/// Height of a row of the legend.
const ROW: f64 = 20.0;
/// Width of a letter, on average.
const LETTER: f64 = 7.4;

/// In the order in which series should take them.
pub(crate) const COLORS: [&str; 5] = ["#7a7f87", "#dd7a1f", "#3f8fd2", "#2f9e6e", "#a86bd0"];

/// What is drawn, in the units of its axes.
pub(crate) struct Plot {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) scale: Scale,
}

pub(crate) enum Scale {
    Linear,
    Logarithmic,
    /// Places with names.
    Named(Vec<(f64, String)>),
}

pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) color: &'static str,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mark {
    Line,
    Dashed,
    LineAndDots,
    /// Bars of this width.
    Bars(f64),
}

impl Series {
    /// A series without points yet.
    pub(crate) fn new(name: &str, color: &'static str, mark: Mark) -> Self {
        Self { name: name.into(), color, mark, points: Vec::new() }
    }
}

impl Axis {
    pub(crate) fn linear(label: &'static str, from: f64, to: f64) -> Self {
        Self { label, from, to, scale: Scale::Linear }
    }

    pub(crate) fn logarithmic(label: &'static str, from: f64, to: f64) -> Self {
        Self { label, from, to, scale: Scale::Logarithmic }
    }

    /// Where a value lies between the ends, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Logarithmic => (value / self.from).ln() / (self.to / self.from).ln(),
            _ => (value - self.from) / (self.to - self.from),
        }
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match &self.scale {
            Scale::Named(ticks) => ticks.clone(),
            Scale::Linear => {
                let (rough, mut step) = ((self.to - self.from) / 6.0, 1e-9);
                for factor in [2.0, 2.5, 2.0].into_iter().cycle() {
                    if step >= rough {
                        break;
                    }
                    step *= factor;
                }
                let first = (self.from / step - 1e-9).ceil() as i64;
                let last = (self.to / step + 1e-9).floor() as i64;
                let digits = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
                (first..=last)
                    .map(|i| (i as f64 * step, format!("{:.digits$}", i as f64 * step)))
                    .collect()
            }
            Scale::Logarithmic => {
                let (low, high) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
                let factors: &[f64] = if high - low <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let is_wide = high - low > 4;
                let stride = 1 + (high - low) as usize / 8;
                (low..=high)
                    .step_by(stride)
                    .flat_map(|power| factors.iter().map(move |x| x * 10_f64.powi(power)))
                    .filter(|x| (-1e-9..=1.0 + 1e-9).contains(&self.place(*x)))
                    .map(|x| (x, number(x, is_wide)))
                    .collect()
            }
        }
    }
}

/// A number of few digits, or a power of ten.
fn number(x: f64, is_wide: bool) -> String {
    if (if is_wide { 1.0 } else { 0.001 }..1e5).contains(&x) {
        return format!("{}", (x * 1e6).round() / 1e6);
    }
    let digits = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];
    let power = x.log10().round() as i32;
    let raised = power.unsigned_abs().to_string();
    let raised = raised.bytes().map(|digit| digits[usize::from(digit - b'0')]);
    format!("10{}{}", if power < 0 { "⁻" } else { "" }, raised.collect::<String>())
}

impl Plot {
    /// The plot as a file of its own.
    pub(crate) fn to_svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"#808488\">\n"
        );
        let top = self.legend(&mut svg);
        self.axes(&mut svg, top);
        for series in &self.series {
            self.draw(&mut svg, series, top);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Writes the legend in as many rows as it needs; returns where the plot begins.
    fn legend(&self, svg: &mut String) -> f64 {
        let (mut x, mut y) = (LEFT, 14.0);
        for series in &self.series {
            let width = 52.0 + LETTER * series.name.chars().count() as f64;
            if x + width > RIGHT + 20.0 {
                (x, y) = (LEFT, y + ROW);
            }
            let _ = match series.mark {
                Mark::Bars(_) => writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"12\" height=\"10\" fill=\"{}\"/>",
                    x + 10.0,
                    y - 6.0,
                    series.color
                ),
                mark => writeln!(
                    svg,
                    "<path d=\"M{x:.1} {y:.1}h24\" stroke=\"{}\" stroke-width=\"2.5\"{}/>",
                    series.color,
                    dashes(mark)
                ),
            };
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 30.0,
                y + 4.5,
                series.name
            );
            x += width;
        }
        y + 16.0
    }

    fn axes(&self, svg: &mut String, top: f64) {
        for (value, name) in self.x.ticks() {
            let x = self.at_x(value);
            if !matches!(self.x.scale, Scale::Named(_)) {
                rule(svg, (x, top), (x, BOTTOM));
            }
            let y = BOTTOM + 18.0;
            let _ =
                writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{name}</text>");
        }
        for (value, name) in self.y.ticks() {
            let y = self.at_y(value, top);
            rule(svg, (LEFT, y), (RIGHT, y));
            let (x, y) = (LEFT - 8.0, y + 4.5);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>");
        }
        let (x, y) = (f64::midpoint(LEFT, RIGHT), f64::midpoint(top, BOTTOM));
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 8.0,
            self.x.label,
            self.y.label
        );
    }

    fn draw(&self, svg: &mut String, series: &Series, top: f64) {
        let at = |(x, y): (f64, f64)| (self.at_x(x), self.at_y(y, top).clamp(top, BOTTOM));
        let color = series.color;
        if let Mark::Bars(width) = series.mark {
            for (x, y) in &series.points {
                let (left, high) = at((x - width / 2.0, *y));
                let (width, height) = (self.at_x(x + width / 2.0) - left, BOTTOM - high);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{left:.1}\" y=\"{high:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>"
                );
            }
            return;
        }
        let mut path = String::new();
        for (x, y) in series.points.iter().map(|point| at(*point)) {
            let pen = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{pen}{x:.1} {y:.1}");
        }
        let dashes = dashes(series.mark);
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-linejoin=\"round\"{dashes}/>"
        );
        if series.mark == Mark::LineAndDots {
            for (x, y) in series.points.iter().map(|point| at(*point)) {
                let _ =
                    writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>");
            }
        }
    }

    fn at_x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (RIGHT - LEFT)
    }

    fn at_y(&self, value: f64, top: f64) -> f64 {
        BOTTOM - self.y.place(value) * (BOTTOM - top)
    }
}

fn dashes(mark: Mark) -> &'static str {
    if mark == Mark::Dashed { " stroke-dasharray=\"6 4\"" } else { "" }
}

/// A thin line of the grid.
fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#808488\" stroke-opacity=\"0.25\"/>",
        from.0, from.1, to.0, to.1
    );
}
