//! Starts that know the components of some rows.

use elbo_core::{Batch, Estimator, Family, Label, Weighted};
use elbo_dist::Categorical;
use rand::{RngExt, rngs::ChaCha8Rng};

use crate::{Mixture, MixtureModel};

/// The rows of known component that count, by component.
#[derive(Clone, Debug)]
pub(crate) struct KnownRows {
    by_component: Vec<Vec<usize>>,
}

impl KnownRows {
    /// Those of `k` components.
    pub(crate) fn new<B: Batch>(data: Weighted<'_, B>, k: usize) -> Self {
        let mut by_component = vec![Vec::new(); k];
        let counts = |row: usize| data.weights().is_none_or(|weights| weights[row] > 0.0);
        for (row, label) in data.labels().into_iter().flatten().enumerate() {
            if let Some(rows) = label.known().and_then(|j| by_component.get_mut(j))
                && counts(row)
            {
                rows.push(row);
            }
        }
        Self { by_component }
    }

    /// Writes the components of these rows over `labels`; returns how many rows each component has.
    pub(crate) fn mark(&self, labels: &mut [usize]) -> Vec<usize> {
        for (j, rows) in self.by_component.iter().enumerate() {
            for row in rows {
                labels[*row] = j;
            }
        }
        self.by_component.iter().map(Vec::len).collect()
    }

    /// For each component one of its rows, if it has any.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<Option<usize>> {
        let one =
            |rows: &Vec<usize>| (!rows.is_empty()).then(|| rows[rng.random_range(0..rows.len())]);
        self.by_component.iter().map(one).collect()
    }

    /// Is a row of every component known?
    fn is_complete(&self) -> bool {
        self.by_component.iter().all(|rows| !rows.is_empty())
    }
}

/// Gives every component a row: those that are known keep theirs, each of `others` goes to the first free component that its
/// label allows, or else to the first free one.
pub(crate) fn arrange(
    known: &[Option<usize>],
    others: &[usize],
    labels: Option<&[Label]>,
) -> Vec<usize> {
    let mut places = known.to_vec();
    for row in others {
        let allowed = |j: &usize| labels.is_none_or(|labels| labels[*row].allows(*j));
        let free = |places: &[Option<usize>]| {
            let free = |j: &usize| places[*j].is_none();
            let mut all = (0..places.len()).filter(free);
            all.clone().find(allowed).or_else(|| all.next())
        };
        if let Some(j) = free(&places) {
            places[j] = Some(*row);
        }
    }
    places.into_iter().flatten().collect()
}

impl<F: Family, E: Estimator<F>, W: Estimator<Categorical>> MixtureModel<F, E, W> {
    /// The M-step from the rows of known component alone; `None` unless every component has enough of them.
    pub(crate) fn tell_from_known_rows<'d>(
        &self,
        template: &F,
        data: Weighted<'d, F::Batch<'d>>,
        known: &KnownRows,
    ) -> Option<Mixture<F>> {
        let labels = data.labels().filter(|_| known.is_complete())?;
        let none = usize::MAX;
        let labels: Vec<usize> = labels.iter().map(|l| l.known().unwrap_or(none)).collect();
        self.components_from_labels(template, data, &labels, known.by_component.len()).ok()
    }
}
