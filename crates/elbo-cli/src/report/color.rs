//! Colors of components: distinct for color-blind readers, on light and on dark paper.

use std::fmt::Write;

/// Light and dark variants, after the palette of Okabe & Ito (2008).
const PALETTE: [(&str, &str); 8] = [
    ("#0072b2", "#4ba6e0"), // blue
    ("#d55e00", "#ff8b3d"), // vermilion
    ("#009e73", "#2cc79b"), // green
    ("#b8578f", "#e39bc4"), // purple
    ("#d39200", "#f0b941"), // orange
    ("#3aa0dc", "#8fd0fa"), // sky
    ("#7a6a00", "#e8dd5a"), // olive
    ("#5b5b66", "#b9bcc6"), // gray
];

/// Steps between two components' colors.
const STEPS: u8 = 6;

/// Declarations of `--c0`, `--c1`, … for a style sheet.
pub(super) fn declarations(dark: bool) -> String {
    let mut out = String::new();
    for (at, (light, night)) in PALETTE.iter().enumerate() {
        let _ = write!(out, "--c{at}:{};", if dark { night } else { light });
    }
    out
}

/// Classes `k0`, `k1`, … that set `--k` to a color.
pub(super) fn classes() -> String {
    (0..PALETTE.len()).map(|at| format!(".k{at}{{--k:var(--c{at})}}")).collect()
}

/// Number of the color of component `component`; they repeat after eight.
pub(super) fn index(component: usize) -> usize {
    component % PALETTE.len()
}

/// A color between those of the two most likely components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mix {
    first: usize,
    second: usize,
    /// How much of `second`, in steps; at most half.
    steps: u8,
}

impl Mix {
    /// The color of a row with these responsibilities.
    pub(super) fn of(responsibilities: &[f64]) -> Self {
        let first = largest(responsibilities, None);
        if responsibilities.len() < 2 {
            return Self { first, second: first, steps: 0 };
        }
        let second = largest(responsibilities, Some(first));
        let (a, b) = (responsibilities[first], responsibilities[second]);
        let steps = (b / (a + b) * f64::from(STEPS)).round() as u8;
        Self { first, second: if steps == 0 { first } else { second }, steps }
    }

    /// The color of the most likely component alone.
    pub(super) fn hard(responsibilities: &[f64]) -> Self {
        let first = largest(responsibilities, None);
        Self { first, second: first, steps: 0 }
    }

    /// Attributes that paint a stroke with it: a plain color for old browsers, the mix for others.
    pub(super) fn stroke(self) -> String {
        let Self { first, second, steps } = self;
        let (first, second) = (index(first), index(second));
        if first == second {
            return format!("style=\"stroke:var(--c{first})\"");
        }
        let share = 100 * u32::from(STEPS - steps) / u32::from(STEPS);
        format!(
            "stroke=\"{}\" style=\"stroke:color-mix(in oklab,var(--c{first}) {share}%,var(--c{second}))\"",
            PALETTE[first].0
        )
    }
}

/// The place of the largest number other than that at `except`.
fn largest(numbers: &[f64], except: Option<usize>) -> usize {
    (0..numbers.len())
        .filter(|&at| Some(at) != except)
        .max_by(|&a, &b| numbers[a].total_cmp(&numbers[b]).then(b.cmp(&a)))
        .expect("there is a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_rows_have_their_components_color_and_others_a_mix() {
        assert_eq!(Mix::of(&[0.0, 1.0, 0.0]), Mix { first: 1, second: 1, steps: 0 });
        assert_eq!(Mix::of(&[0.5, 0.5]), Mix { first: 0, second: 1, steps: 3 });
        assert_eq!(Mix::of(&[0.3, 0.1, 0.6]), Mix { first: 2, second: 0, steps: 2 });
        assert_eq!(Mix::of(&[1.0]), Mix { first: 0, second: 0, steps: 0 });
        assert!(Mix::of(&[0.3, 0.1, 0.6]).stroke().contains("var(--c2) 66%,var(--c0)"));
    }
}
