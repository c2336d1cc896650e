//! Starts from small groups of random rows: for components that one row says too little about, such as regressions.

use elbo_core::{Batch, Estimator, Family, FitError, Weighted, mix};
use elbo_dist::Categorical;
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use crate::{Mixture, MixtureModel, known::KnownRows};

/// Makes starts: every component is estimated from a few random rows of its own, and those that are known to be its.
///
/// Groups are small, so that they differ: random halves of the data are all alike. A group has two rows more than a
/// component has parameters at first; one that has no estimate (collinear rows, separated classes) is drawn anew, half as
/// large again, up to a partition of all rows.
///
/// Source: elemental sets: Hawkins, Bradu & Kass (1984), Technometrics 26(3), for one regression; here one for each.
#[derive(Debug)]
pub(crate) struct Groups<'m, 'd, F: Family, E, W> {
    model: &'m MixtureModel<F, E, W>,
    template: &'m F,
    data: Weighted<'d, F::Batch<'d>>,
    known: KnownRows,
    k: usize,
    seed: u64,
}

impl<'m, 'd, F: Family, E: Estimator<F>, W: Estimator<Categorical>> Groups<'m, 'd, F, E, W> {
    /// Prepares starts of `k` components shaped like `template`.
    pub(crate) fn new(
        model: &'m MixtureModel<F, E, W>,
        template: &'m F,
        data: Weighted<'d, F::Batch<'d>>,
        k: usize,
        seed: u64,
    ) -> Result<Self, FitError> {
        template.check(data.units())?;
        data.check_labels(k)?;
        Ok(Self { model, template, data, known: KnownRows::new(data, k), k, seed })
    }

    /// The mixture that a run starts from.
    pub(crate) fn make(&self, run: usize) -> Result<Mixture<F>, FitError> {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(self.seed, run as u64));
        let weight = |row: usize| self.data.weights().map_or(1.0, |weights| weights[row]);
        let mut rows: Vec<usize> = (0..self.data.len()).filter(|row| weight(*row) > 0.0).collect();
        let mut size = self.template.free_parameters(1) + 2;
        loop {
            rows.shuffle(&mut rng);
            let labels = self.deal(&rows, size);
            let made = self.model.components_from_labels(self.template, self.data, &labels, self.k);
            match made {
                Ok(mixture) => return Ok(self.evenly(mixture)),
                Err(error) if size * self.k >= rows.len() => return Err(error),
                Err(_) => size += size.div_ceil(2),
            }
        }
    }

    /// The component of each row, known or by turns until each has `size`; no component for all others.
    fn deal(&self, rows: &[usize], size: usize) -> Vec<usize> {
        let mut labels = vec![usize::MAX; self.data.len()];
        let mut sizes = self.known.mark(&mut labels);
        let mut next = 0;
        for row in rows.iter().filter(|row| self.is_free(**row)) {
            let turns = (0..self.k).map(|turn| (next + turn) % self.k);
            let open = |j: &usize| sizes[*j] < size && self.allows(*row, *j);
            if let Some(j) = turns.into_iter().find(open) {
                labels[*row] = j;
                sizes[j] += 1;
                next = j + 1;
            }
        }
        labels
    }

    fn is_free(&self, row: usize) -> bool {
        self.data.labels().is_none_or(|labels| labels[row].known().is_none())
    }

    fn allows(&self, row: usize, j: usize) -> bool {
        self.data.labels().is_none_or(|labels| labels[row].allows(j))
    }

    /// The sizes of groups say nothing about weights.
    fn evenly(&self, mixture: Mixture<F>) -> Mixture<F> {
        Mixture::from_parts(Categorical::uniform(self.k), mixture.into_parts().1)
    }
}
