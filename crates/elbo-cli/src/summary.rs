//! A fitted mixture as plain numbers: what the terminal and the report show.

use clap::ValueEnum;
use elbo::{
    core::{Criterion, Standing, ranking},
    dist::CovarianceStructure,
};
use serde::{Deserialize, Serialize};

use crate::output::HeldOutOutput;

/// A fitted mixture and how it was found.
#[derive(Clone, Debug)]
pub(crate) struct MixtureSummary {
    /// What a person calls the data.
    pub(crate) source: String,
    /// Rows.
    pub(crate) n: usize,
    /// Missing cells.
    pub(crate) missing: usize,
    /// Names of the columns; their number is `d`.
    pub(crate) columns: Vec<String>,
    /// Distribution of a component.
    pub(crate) kind: Kind,
    /// Structure of the chosen model's covariances, such as `VVV (full) covariance`; empty if there is none.
    pub(crate) structure: String,
    /// The components, heaviest first or as the library orders them.
    pub(crate) components: Vec<Component>,
    /// What was maximized, such as `log-likelihood`.
    pub(crate) objective: &'static str,
    /// What chose among candidates.
    pub(crate) criterion: Criterion,
    /// All candidates, the chosen one among them.
    pub(crate) candidates: Vec<Candidate>,
    /// The starts of the chosen candidate.
    pub(crate) starts: Vec<Start>,
    /// What a careful reader should know, one sentence each.
    pub(crate) warnings: Vec<String>,
    /// Circumstances, as label and value: estimator, seed, seconds, command line, …
    pub(crate) run: Vec<(String, String)>,
}

impl MixtureSummary {
    /// The candidate that was chosen.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn chosen(&self) -> &Candidate {
        self.candidates.iter().find(|candidate| candidate.chosen).expect("one candidate is chosen")
    }

    /// The candidates, the best first, in the library's order; those without a fit are last.
    pub(crate) fn ranked(&self) -> Vec<&Candidate> {
        let value = |candidate: &Candidate| match &candidate.outcome {
            Ok(scores) => (scores.standing, scores.value(self.criterion)),
            Err(_) => (Standing::Failed, None),
        };
        let values: Vec<_> = self.candidates.iter().map(value).collect();
        ranking(&values).into_iter().map(|place| &self.candidates[place]).collect()
    }

    /// What held-out rows say of the chosen candidate, if they were asked.
    pub(crate) fn held_out(&self) -> Option<HeldOutOutput> {
        self.chosen().outcome.as_ref().ok()?.held_out
    }

    /// The criteria that tables show: the usual three, and the one that chose.
    pub(crate) fn criteria(&self) -> Vec<Criterion> {
        let mut all = vec![Criterion::Bic, Criterion::Aic, Criterion::Icl];
        all.extend((!all.contains(&self.criterion)).then_some(self.criterion));
        all
    }

    /// The best candidate for each number of components.
    pub(crate) fn best_of_each(&self) -> Vec<&Candidate> {
        let mut best: Vec<&Candidate> = Vec::new();
        for candidate in self.ranked() {
            if best.iter().all(|other| other.components != candidate.components) {
                best.push(candidate);
            }
        }
        best.sort_by_key(|candidate| candidate.components);
        best
    }

    /// Whether candidates differ in structure.
    pub(crate) fn has_structures(&self) -> bool {
        self.kind == Kind::Gaussian
    }

    /// Whether there are several components and all have the same covariance, to the bit.
    pub(crate) fn shares_covariance(&self) -> bool {
        let bits = |component: &Component| {
            component.covariance.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        self.components.len() > 1
            && self.components.windows(2).all(|pair| bits(&pair[0]) == bits(&pair[1]))
    }

    /// How many starts of the chosen candidate reached its best optimum.
    pub(crate) fn reached(&self) -> usize {
        self.starts.iter().filter(|start| start.reached_best).count()
    }
}

/// Fitted centers as plain numbers: what the terminal and the report show.
#[derive(Clone, Debug)]
pub(crate) struct ClusterSummary {
    /// The same as a mixture of round Gaussians with one variance, for pictures: weights are shares of the rows.
    pub(crate) mixture: MixtureSummary,
    /// Rows of each cluster, or their total weight.
    pub(crate) sizes: Vec<f64>,
    /// Root mean squared distance of the rows of each cluster to its center.
    pub(crate) spreads: Vec<f64>,
    /// Sum of squared distances.
    pub(crate) inertia: f64,
    /// Share of the squared distances to the mean of all rows that centers explain; not known of a model alone.
    pub(crate) explained: Option<f64>,
    /// How the best start ended, in a word or two; empty if that is not known.
    pub(crate) ending: String,
    /// Starts that reached the best optimum, and all.
    pub(crate) reached: (usize, usize),
}

/// Distribution of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Continuous numbers
    #[default]
    Gaussian,
    /// Counts 0, 1, 2, …; one column
    Poisson,
}

/// What the covariances in `d` columns have in common, in words; nothing where there are none.
pub(crate) fn describe(structure: Option<CovarianceStructure>, d: usize) -> String {
    let Some(structure) = structure else { return String::new() };
    let common = match structure {
        _ if d == 1 && structure.is_tied() => return format!("equal variances ({structure})"),
        _ if d == 1 => return format!("unequal variances ({structure})"),
        CovarianceStructure::VVV => " (full)",
        CovarianceStructure::EEE => " (tied)",
        CovarianceStructure::VVI => " (diagonal)",
        CovarianceStructure::VII => " (spherical)",
        _ => "",
    };
    format!("{structure}{common} covariance")
}

/// One component.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    /// Share of the rows.
    pub(crate) weight: f64,
    /// `d` numbers; of counts, the rate.
    pub(crate) mean: Vec<f64>,
    /// `d × d`, one row after the other; of counts, the rate.
    pub(crate) covariance: Vec<f64>,
}

impl Component {
    /// Standard deviation of column `column`.
    pub(crate) fn std_dev(&self, column: usize) -> f64 {
        self.covariance[column * (self.mean.len() + 1)].sqrt()
    }

    /// Correlation of columns `a` and `b`.
    pub(crate) fn correlation(&self, a: usize, b: usize) -> f64 {
        if a == b {
            return 1.0;
        }
        self.covariance[a * self.mean.len() + b] / (self.std_dev(a) * self.std_dev(b))
    }
}

/// A number of components with a structure, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Number of components.
    pub(crate) components: usize,
    /// Covariance structure, such as `VVV`; empty if there is none.
    pub(crate) structure: String,
    /// Whether this one was chosen.
    pub(crate) chosen: bool,
    /// Its numbers, or why there are none.
    pub(crate) outcome: Result<Scores, String>,
}

/// The numbers by which candidates are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores {
    /// Of all rows, in nats.
    pub(crate) log_likelihood: f64,
    /// Free parameters.
    pub(crate) df: usize,
    /// −2 log L + df ln n.
    pub(crate) bic: f64,
    /// −2 log L + 2 df.
    pub(crate) aic: f64,
    /// AIC corrected for few rows.
    pub(crate) aicc: f64,
    /// BIC − 2 Σ ln of the largest responsibility of each row.
    pub(crate) icl: f64,
    /// What rows say that were held out, where that was asked for.
    pub(crate) held_out: Option<HeldOutOutput>,
    /// Whether the best start converged.
    pub(crate) converged: bool,
    /// Why it stopped.
    pub(crate) stopped: &'static str,
    /// Whether it can be taken at its word.
    pub(crate) standing: Standing,
    /// Starts that reached the best optimum.
    pub(crate) reached: usize,
    /// Starts in all.
    pub(crate) starts: usize,
}

impl Scores {
    /// Its value by a criterion, if it has one.
    pub(crate) fn value(&self, criterion: Criterion) -> Option<f64> {
        match criterion {
            Criterion::Bic => Some(self.bic),
            Criterion::Icl => Some(self.icl),
            Criterion::Aic => Some(self.aic),
            Criterion::Aicc => Some(self.aicc),
            Criterion::HeldOut => self.held_out.map(|held_out| held_out.cv),
            _ => None,
        }
    }

    /// How the best start ended, in a word or two.
    pub(crate) fn ending(&self) -> String {
        let converged = if self.converged {
            "yes".into()
        } else {
            format!("no ({})", self.stopped.replace('_', " "))
        };
        if self.standing == Standing::Spurious { converged + ", spurious" } else { converged }
    }
}

/// One start of the chosen candidate.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Objective after each iteration.
    pub(crate) trace: Vec<f64>,
    /// Whether it ended at the best optimum of all starts.
    pub(crate) reached_best: bool,
    /// Whether it is the one that was kept.
    pub(crate) kept: bool,
    /// Why it stopped.
    pub(crate) stopped: &'static str,
}

impl Start {
    /// The last objective; `NaN` before the first iteration.
    pub(crate) fn objective(&self) -> f64 {
        self.trace.last().copied().unwrap_or(f64::NAN)
    }
}

/// The rows that pictures show, with their responsibilities: all of them, or an even sample.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// `m × d`, one row after the other; `NaN` is missing.
    pub(crate) values: Vec<f64>,
    /// `m × k`, each row sums to one.
    pub(crate) responsibilities: Vec<f64>,
}

/// Most rows drawn in a picture.
pub(crate) const MOST_DRAWN: usize = 5000;

/// The rows of `n` to draw: all up to `most`, else one from each of `most` equal stretches.
///
/// The place within a stretch is a hash of its number, so that the choice is the same every time
/// and does not beat with a rhythm in the data.
pub(crate) fn drawn_rows(n: usize, most: usize) -> Vec<usize> {
    if n <= most {
        return (0..n).collect();
    }
    let start = |stretch: usize| {
        let (whole, rest) = (n / most, n % most);
        stretch * whole + stretch * rest / most
    };
    (0..most)
        .map(|stretch| start(stretch) + hash(stretch) % (start(stretch + 1) - start(stretch)))
        .collect()
}

/// The finalizer of `SplitMix64` (Steele, Lea & Flood 2014): neighbors go far apart.
fn hash(x: usize) -> usize {
    let x = (x as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) & 0xffff_ffff) as usize // 32 bits, on every machine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_rows_are_distinct_rising_and_within_range() {
        for (n, most) in [(0, 5), (5, 5), (6, 5), (1_000_003, 5000), (9_999, 5000)] {
            let rows = drawn_rows(n, most);
            assert_eq!(rows.len(), n.min(most));
            assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(rows.last().is_none_or(|&last| last < n));
        }
    }

    #[test]
    fn drawn_rows_do_not_beat_with_a_period() {
        let rows = drawn_rows(40_000, 5000);
        let on_phase = rows.iter().filter(|&&row| row % 8 == 0).count();
        assert!((500..750).contains(&on_phase), "{on_phase} of 5000 at one phase of eight");
    }
}
