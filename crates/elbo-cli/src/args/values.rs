//! Values of options: how they are written and what they mean.

use std::{str::FromStr, time::Duration};

use elbo::mixture::CovarianceStructure;

/// Numbers of components to fit, `first ..= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ComponentRange {
    first: usize,
    last: usize,
}

impl ComponentRange {
    /// Every number of components in turn.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = usize> + Clone {
        self.first..self.last + 1
    }

    /// Whether there is nothing to choose.
    pub(crate) fn is_single(self) -> bool {
        self.first == self.last
    }
}

impl FromStr for ComponentRange {
    type Err = ComponentRangeError;

    /// `3`, `1..6` or `1..=6`; people count both ends, so both forms include 6.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| match text.trim().parse() {
            Ok(0) => Err(ComponentRangeError::Zero),
            Ok(number) if number > ComponentRange::MOST => {
                Err(ComponentRangeError::TooMany { number })
            }
            Ok(number) => Ok(number),
            Err(_) => Err(ComponentRangeError::Form),
        };
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => {
                (number(first)?, number(last.strip_prefix('=').unwrap_or(last))?)
            }
            None => (number(text)?, number(text)?),
        };
        if first > last {
            return Err(ComponentRangeError::Backwards { first, last });
        }
        Ok(Self { first, last })
    }
}

impl ComponentRange {
    /// More components than this are a slip of the finger.
    const MOST: usize = 100_000;
}

/// Why a range of components makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ComponentRangeError {
    /// Not `3` and not `1..6`.
    #[error("write a number such as 3, or a range such as 1..6")]
    Form,
    /// No components.
    #[error("there must be at least one component")]
    Zero,
    /// More than anyone can mean.
    #[error("{number} components are more than {}", ComponentRange::MOST)]
    TooMany {
        /// The number.
        number: usize,
    },
    /// `6..1`.
    #[error("the range is empty; write the smaller number first: {last}..{first}")]
    Backwards {
        /// The larger end.
        first: usize,
        /// The smaller end.
        last: usize,
    },
}

/// Covariance structures to fit, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covariances {
    /// All that differ from one another.
    All,
    /// These.
    These(Vec<CovarianceStructure>),
}

impl Covariances {
    /// The structures for `d` columns.
    pub(crate) fn of(&self, d: usize) -> Vec<CovarianceStructure> {
        match self {
            Self::All => CovarianceStructure::distinct(d).to_vec(),
            Self::These(structures) => structures.clone(),
        }
    }
}

impl FromStr for Covariances {
    type Err = CovariancesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        let mut structures = Vec::new();
        for name in text.split(',').map(str::trim) {
            let structure = name.parse().map_err(|_| CovariancesError { name: name.into() })?;
            if !structures.contains(&structure) {
                structures.push(structure);
            }
        }
        Ok(Self::These(structures))
    }
}

/// Not a name of a structure.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{name}\" is no covariance structure; choose among full, tied, diagonal, spherical, all, and {}",
    CovarianceStructure::ALL.map(CovarianceStructure::name).join(" ")
)]
pub(crate) struct CovariancesError {
    /// What was asked for.
    name: String,
}

/// How long fitting may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeBudget(pub(crate) Duration);

impl FromStr for TimeBudget {
    type Err = TimeBudgetError;

    /// `30s`, `5min`, `1h 30min`, or a bare number of seconds.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(seconds) = text.trim().parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| TimeBudgetError);
        }
        humantime::parse_duration(text).map(Self).map_err(|_| TimeBudgetError)
    }
}

/// Not a length of time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a length of time such as 30s, 5min or 1h")]
pub(crate) struct TimeBudgetError;

/// A count that must not be zero.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number of at least 1".into()),
        Ok(number) => Ok(number),
    }
}

/// Where the runs of a candidate begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    /// So many random starts.
    Random(usize),
    /// One start, from a hierarchy that all candidates share.
    Hierarchical,
}

/// A number, or the word.
pub(super) fn starts(text: &str) -> Result<Starts, String> {
    if text == "hierarchical" {
        return Ok(Starts::Hierarchical);
    }
    at_least_one(text).map(Starts::Random)
}

/// A number of folds: one cannot be held out.
pub(super) fn folds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0 | 1) | Err(_) => Err("write a whole number of at least 2".into()),
        Ok(number) => Ok(number),
    }
}

/// A tolerance: finite, at least 0.
pub(super) fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("write a number of at least 0, such as 1e-10".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<Vec<usize>, ComponentRangeError> {
        text.parse::<ComponentRange>().map(|range| range.iter().collect())
    }

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(range("3"), Ok(vec![3]));
        assert_eq!(range("1..4"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(range("1..=4"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(range(" 2 .. 2 "), Ok(vec![2]));
    }

    #[test]
    fn senseless_ranges_are_refused_with_a_cure() {
        use ComponentRangeError::*;
        assert_eq!(range("0"), Err(Zero));
        assert_eq!(range("0..3"), Err(Zero));
        assert_eq!(range("6..1"), Err(Backwards { first: 6, last: 1 }));
        assert_eq!(range("1..999999999"), Err(TooMany { number: 999_999_999 }));
        for text in
            ["", "x", "1..", "..3", "1...3", "-1", "2.5", "1,2", "1..=", "99999999999999999999"]
        {
            assert_eq!(range(text), Err(Form), "{text}");
        }
        assert!(range("6..1").unwrap_err().to_string().ends_with("1..6"));
    }

    #[test]
    fn lists_of_structures_name_each_once() {
        use CovarianceStructure::{EVE, VII, VVV};
        assert_eq!("all".parse(), Ok(Covariances::All));
        assert_eq!("VII, full,spherical,eve".parse(), Ok(Covariances::These(vec![VII, VVV, EVE])));
        assert_eq!(Covariances::All.of(3).len(), 14);
        assert_eq!("round".parse::<Covariances>(), Err(CovariancesError { name: "round".into() }));
        assert!("".parse::<Covariances>().is_err() && "full,".parse::<Covariances>().is_err());
    }

    #[test]
    fn time_budgets_have_units_or_are_seconds() {
        assert_eq!("30s".parse(), Ok(TimeBudget(Duration::from_secs(30))));
        assert_eq!("0.5".parse(), Ok(TimeBudget(Duration::from_millis(500))));
        assert_eq!("1h 30min".parse(), Ok(TimeBudget(Duration::from_secs(5400))));
        for text in ["", "-1", "soon", "nan", "1e99"] {
            assert_eq!(text.parse::<TimeBudget>(), Err(TimeBudgetError), "{text}");
        }
    }

    #[test]
    fn counts_and_tolerances_are_checked() {
        assert_eq!(at_least_one("7"), Ok(7));
        assert!(at_least_one("0").is_err() && at_least_one("-1").is_err());
        assert_eq!(tolerance("0"), Ok(0.0));
        assert!(tolerance("-1").is_err() && tolerance("nan").is_err() && tolerance("inf").is_err());
    }
}
