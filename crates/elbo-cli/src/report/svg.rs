//! The few things every picture is made of: an SVG with title and description, axes, frames.

use std::fmt::{Arguments, Write};

use crate::number::{self, Style};

/// A picture under construction.
#[derive(Debug)]
pub(super) struct Svg {
    id: &'static str,
    size: (f64, f64),
    title: String,
    description: String,
    body: String,
}

impl Svg {
    /// An empty picture; title and description are what a screen reader says.
    pub(super) fn new(id: &'static str, size: (f64, f64), title: &str, description: &str) -> Self {
        Self { id, size, title: title.into(), description: description.into(), body: String::new() }
    }

    /// Adds elements as they are; text in them must be escaped.
    pub(super) fn add(&mut self, elements: Arguments<'_>) {
        self.body.write_fmt(elements).expect("writing to a string does not fail");
        self.body.push('\n');
    }

    /// Adds a line of text with its baseline at `(x, y)`.
    pub(super) fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        self.add(format_args!(
            "<text x=\"{}\" y=\"{}\" class=\"{class}\">{}</text>",
            px(x),
            px(y),
            escape(text)
        ));
    }

    /// The whole element.
    pub(super) fn finish(self) -> String {
        let Self { id, size: (width, height), title, description, body } = self;
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\n\
             <title id=\"{id}-t\">{}</title>\n<desc id=\"{id}-d\">{}</desc>\n{body}</svg>\n",
            px(width),
            px(height),
            escape(&title),
            escape(&description)
        )
    }
}

/// `text` for use inside an element or an attribute in quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate to a tenth of a unit.
///
/// # Panics
///
/// If it is not finite: a picture must be cut to its axes before it is drawn.
pub(super) fn px(x: f64) -> String {
    assert!(x.is_finite(), "coordinate {x} is not finite");
    let text = number::fixed(x, 1);
    text.strip_suffix(".0").map_or(text.clone(), Into::into)
}

/// `text`, cut to `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A number with a true minus sign.
pub(super) fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// A stretch of numbers along one side of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// From `low` to `high`; a point gets some room about it.
    ///
    /// # Panics
    ///
    /// If an end is not finite or they are in the wrong order.
    pub(super) fn new(low: f64, high: f64) -> Self {
        assert!(low <= high && (high - low).is_finite(), "axis from {low} to {high}");
        let room = if low < high { 0.0 } else { low.abs().max(1.0) * 0.5 };
        Self { low: low - room, high: high + room, logarithmic: false }
    }

    /// Logarithmic from `low > 0` to `high`.
    pub(super) fn logarithmic(low: f64, high: f64) -> Self {
        assert!(
            0.0 < low && low < high && high.is_finite(),
            "logarithmic axis from {low} to {high}"
        );
        Self { low, high, logarithmic: true }
    }

    /// Around all finite `values`, with a share `margin` of room on both sides; `None` without any.
    pub(super) fn around(values: impl Iterator<Item = f64>, margin: f64) -> Option<Self> {
        let (low, high) = values
            .filter(|x| x.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        (low <= high && (high - low).is_finite()).then(|| {
            let room = (high - low) * margin;
            Self::new(low - room, high + room)
        })
    }

    /// This axis, longer where `low` or `high` asks for it, by at most `most` of its length.
    pub(super) fn stretched(self, low: f64, high: f64, most: f64) -> Self {
        let room = (self.high - self.low) * most;
        Self {
            low: self.low.min(low.max(self.low - room)),
            high: self.high.max(high.min(self.high + room)),
            ..self
        }
    }

    pub(super) fn low(self) -> f64 {
        self.low
    }

    pub(super) fn high(self) -> f64 {
        self.high
    }

    pub(super) fn contains(self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }

    /// Where `x` is: 0 at the low end, 1 at the high end. Far outside is cut at −10 and 10.
    pub(super) fn share(self, x: f64) -> f64 {
        let share = if self.logarithmic {
            (x / self.low).ln() / (self.high / self.low).ln()
        } else {
            (x - self.low) / (self.high - self.low)
        };
        share.clamp(-10.0, 10.0)
    }

    /// About `most` round numbers on this axis with their labels.
    pub(super) fn ticks(self, most: usize) -> Vec<(f64, String)> {
        let ticks: Vec<f64> = if self.logarithmic {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let factors: &[f64] =
                if decades.clone().count() > most / 2 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            decades
                .flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)))
                .filter(|&tick| self.contains(tick))
                .collect()
        } else {
            let step = round_step((self.high - self.low) / most.max(1) as f64);
            let first = (self.low / step).ceil();
            (0..=most * 3)
                .map(|i| (first + i as f64) * step)
                .take_while(|&tick| tick <= self.high)
                .collect()
        };
        let gaps: Vec<f64> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let style = Style::of(&ticks, &gaps, 1);
        ticks.into_iter().map(|tick| (tick, minus(&style.write(tick)))).collect()
    }
}

/// The smallest of 1, 2, 5 × 10ⁱ that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&s| s >= step * 0.999)
        .unwrap_or(10.0 * power)
}

/// A rectangle of a picture with an axis along two of its sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Frame {
    /// Horizontal place of `x` within the frame.
    pub(super) fn at_x(&self, x: f64) -> f64 {
        self.x.share(x) * self.width
    }

    /// Vertical place of `y` within the frame, downwards.
    pub(super) fn at_y(&self, y: f64) -> f64 {
        (1.0 - self.y.share(y)) * self.height
    }

    /// Opens an element whose coordinates are those of the frame and that is cut at its edges.
    pub(super) fn open(&self, svg: &mut Svg) {
        svg.add(format_args!(
            "<svg x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">",
            px(self.left),
            px(self.top),
            px(self.width),
            px(self.height)
        ));
    }

    /// Closes what [`Frame::open`] opened.
    pub(super) fn close(svg: &mut Svg) {
        svg.add(format_args!("</svg>"));
    }

    /// Grid lines and labels along the lower side, where `labels` says so.
    pub(super) fn x_ticks(&self, svg: &mut Svg, most: usize, labels: bool) {
        for (tick, label) in self.x.ticks(most) {
            let x = self.left + self.at_x(tick);
            let bottom = self.top + self.height;
            svg.add(format_args!(
                "<path class=\"grid\" d=\"M{} {}V{}\"/>",
                px(x),
                px(self.top),
                px(bottom)
            ));
            if labels && inside(self.width, x - self.left) {
                svg.text((x, bottom + 17.0), "tick middle", &label);
            }
        }
    }

    /// Grid lines and labels along the left side, where `labels` says so.
    pub(super) fn y_ticks(&self, svg: &mut Svg, most: usize, labels: bool) {
        for (tick, label) in self.y.ticks(most) {
            let y = self.top + self.at_y(tick);
            svg.add(format_args!(
                "<path class=\"grid\" d=\"M{} {}H{}\"/>",
                px(self.left),
                px(y),
                px(self.left + self.width)
            ));
            if labels && inside(self.height, y - self.top) {
                svg.text((self.left - 7.0, y + 4.0), "tick end", &label);
            }
        }
    }

    /// A thin line around it.
    pub(super) fn outline(&self, svg: &mut Svg) {
        svg.add(format_args!(
            "<rect class=\"outline\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            px(self.left),
            px(self.top),
            px(self.width),
            px(self.height)
        ));
    }

    /// Names of the axes: below, and above the left end.
    pub(super) fn names(&self, svg: &mut Svg, x: &str, y: &str) {
        svg.text(
            (self.left + self.width / 2.0, self.top + self.height + 36.0),
            "name middle",
            &short(x, 60),
        );
        svg.text((self.left, self.top - 9.0), "name", &short(y, 40));
    }
}

/// Whether a label at `place` on a side of this length leaves neighboring frames alone.
fn inside(length: f64, place: f64) -> bool {
    length > 200.0 || (0.08..=0.92).contains(&(place / length))
}

/// A line through `points`, in frame coordinates.
pub(super) fn line(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.enumerate() {
        path.push(if at == 0 { 'M' } else { 'L' });
        path += &format!("{} {}", px(x), px(y));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<b a=\"1\">&'\u{1b}"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;\u{fffd}");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([1.0, -0.04, 12.345].map(px), ["1", "0", "12.3"]);
    }

    #[test]
    fn ticks_are_round_and_within() {
        let labels = |axis: Axis, most| {
            axis.ticks(most).into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(Axis::new(1.3, 5.2), 5), ["2", "3", "4", "5"]);
        assert_eq!(labels(Axis::new(-0.12, 0.31), 5), ["−0.1", "0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(
            labels(Axis::logarithmic(1.0, 300.0), 12),
            ["1", "2", "5", "10", "20", "50", "100", "200"]
        );
        for (low, high) in [(0.0, 0.0), (1e8, 1e8 + 1.0), (-1e-9, 1e-9), (-1e300, 1e300)] {
            let axis = Axis::new(low, high);
            let ticks = axis.ticks(6);
            assert!(ticks.len() >= 2, "{low} {high}: {ticks:?}");
            assert!(ticks.iter().all(|(tick, _)| axis.contains(*tick)), "{ticks:?}");
        }
    }
}
