//! Numbers for people: significant digits, and one style for a whole column.

/// How all numbers of one column are written, so that their points stand below one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// With this many decimals.
    Fixed(usize),
    /// As `1.234e-7`, with this many decimals.
    Scientific(usize),
}

impl Style {
    /// The style in which the smallest of `scales` keeps `digits` significant digits and all of
    /// `values` stay short. Numbers that are not finite, and zeros, do not count.
    pub(crate) fn of(values: &[f64], scales: &[f64], digits: usize) -> Self {
        let sizes = |numbers: &[f64]| -> Vec<f64> {
            numbers.iter().map(|x| x.abs()).filter(|x| x.is_finite() && *x > 0.0).collect()
        };
        let largest = sizes(values).into_iter().fold(0.0, f64::max);
        let smallest = sizes(scales).into_iter().fold(f64::INFINITY, f64::min).min(largest);
        if largest == 0.0 {
            return Self::Fixed(0);
        }
        let decimals = decimals(exponent(smallest, digits), digits);
        if exponent(largest, digits) > 9 || decimals > 9 {
            Self::Scientific(digits - 1)
        } else {
            Self::Fixed(usize::try_from(decimals).unwrap_or(0))
        }
    }

    /// `x` in this style.
    pub(crate) fn write(self, x: f64) -> String {
        match self {
            _ if !x.is_finite() => not_finite(x),
            Self::Fixed(decimals) => unsigned_zero(format!("{x:.decimals$}")),
            Self::Scientific(decimals) => format!("{x:.decimals$e}"),
        }
    }
}

/// `x` with `digits` significant digits, in full where that is short, else as `1.234e-7`.
pub(crate) fn significant(x: f64, digits: usize) -> String {
    if x == 0.0 {
        return "0".into();
    }
    if !x.is_finite() {
        return not_finite(x);
    }
    let exponent = exponent(x, digits);
    if (-5..9).contains(&exponent) {
        let decimals = usize::try_from(decimals(exponent, digits)).unwrap_or(0);
        format!("{x:.decimals$}")
    } else {
        format!("{x:.*e}", digits - 1)
    }
}

/// `x` with `decimals` decimals, thousands not separated; `-0.000` becomes `0.000`.
pub(crate) fn fixed(x: f64, decimals: usize) -> String {
    Style::Fixed(decimals).write(x)
}

/// `x` in the fewest digits that give exactly `x` again, for files.
pub(crate) fn exact(x: f64) -> String {
    let text = format!("{x:?}");
    text.strip_suffix(".0").map_or(text.clone(), Into::into)
}

/// A total of weights: as a count where all weigh the same, else with six digits.
pub(crate) fn weight(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 { fixed(x, 0) } else { significant(x, 6) }
}

/// `12345` as `12,345`.
pub(crate) fn count(x: usize) -> String {
    let digits = x.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The decimal exponent of `x` once it is rounded to `digits` digits.
fn exponent(x: f64, digits: usize) -> i32 {
    let text = format!("{x:.*e}", digits - 1);
    text.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// Decimals that show `digits` digits of a number with this exponent; negative for large numbers.
fn decimals(exponent: i32, digits: usize) -> i32 {
    i32::try_from(digits).map_or(i32::MAX, |digits| digits - 1 - exponent)
}

fn not_finite(x: f64) -> String {
    if x.is_nan() {
        "n/a".into()
    } else if x > 0.0 {
        "inf".into()
    } else {
        "-inf".into()
    }
}

fn unsigned_zero(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|byte| matches!(byte, b'0' | b'.')) => rest.into(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits_survive_every_size() {
        let cases = [
            (0.0, "0"),
            (1.0, "1.000"),
            (-1_130.263_96, "-1130"),
            (0.012_345_6, "0.01235"),
            (9.999_96, "10.00"),
            (123_456.7, "123457"),
            (1.5e-9, "1.500e-9"),
            (6.02e23, "6.020e23"),
            (f64::NAN, "n/a"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (x, text) in cases {
            assert_eq!(significant(x, 4), text, "{x}");
        }
    }

    #[test]
    fn one_style_serves_a_column() {
        assert_eq!(Style::of(&[2.04, 79.9], &[0.26, 6.0], 3), Style::Fixed(3));
        assert_eq!(Style::of(&[2.04e12, 1.0], &[1.0], 3), Style::Scientific(2));
        assert_eq!(Style::of(&[1e-12], &[], 3), Style::Scientific(2));
        assert_eq!(Style::of(&[0.0, f64::NAN], &[], 3), Style::Fixed(0));
        assert_eq!(Style::Fixed(2).write(-0.001), "0.00");
    }

    #[test]
    fn files_get_numbers_back_to_the_last_bit() {
        for (x, text) in
            [(3.0, "3"), (-0.0, "-0"), (0.1, "0.1"), (1e-300, "1e-300"), (1e21, "1e21")]
        {
            assert_eq!(exact(x), text);
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(x.to_bits()));
        }
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
