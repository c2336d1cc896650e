//! Thousands of dots in few bytes: one path for each color and size.

use std::{collections::BTreeMap, fmt::Write};

use super::{color::Mix, svg::Svg};

/// Dots in coordinates of a frame, grouped by how they are painted.
#[derive(Debug, Default)]
pub(super) struct Dots {
    /// Diameter in tenths and color → places in tenths.
    groups: BTreeMap<(u32, Mix), Vec<(i64, i64)>>,
}

impl Dots {
    /// Adds a dot.
    ///
    /// # Panics
    ///
    /// If a coordinate is not finite.
    pub(super) fn add(&mut self, mix: Mix, diameter: f64, x: f64, y: f64) {
        assert!(x.is_finite() && y.is_finite(), "dot at {x}, {y}");
        let tenths = |length: f64| (length * 10.0).round() as i64;
        let key = ((diameter * 10.0).round() as u32, mix);
        self.groups.entry(key).or_default().push((tenths(x), tenths(y)));
    }

    /// Draws them: a dot is a line of length zero with a round end.
    pub(super) fn draw(self, svg: &mut Svg) {
        svg.add(format_args!("<g class=\"dots\" transform=\"scale(.1)\">"));
        for ((diameter, mix), places) in self.groups {
            let mut path = String::with_capacity(places.len() * 10);
            let mut last = (0, 0);
            for (x, y) in places {
                let (dx, dy) = (x - last.0, y - last.1);
                let space = if dy < 0 { "" } else { " " };
                write!(path, "m{dx}{space}{dy}h0").expect("writing to a string does not fail");
                last = (x, y);
            }
            svg.add(format_args!(
                "<path stroke-width=\"{diameter}\" {} d=\"{path}\"/>",
                mix.stroke()
            ));
        }
        svg.add(format_args!("</g>"));
    }
}

/// A diameter at which `count` dots leave one another room.
pub(super) fn diameter(count: usize) -> f64 {
    match count {
        0..=500 => 6.0,
        501..=2000 => 4.5,
        _ => 3.2,
    }
}
