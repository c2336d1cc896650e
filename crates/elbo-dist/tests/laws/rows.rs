//! Rows that a test owns, and enumerations of counts.

use std::{fmt, marker::PhantomData};

use elbo_core::{Family, Rows};
use elbo_laws::{Sample, WeightedSample};
use proptest::{collection::vec, prelude::*};

/// Observations of a family of vectors.
pub(crate) struct RowsOf<F> {
    data: Vec<f64>,
    d: usize,
    family: PhantomData<fn() -> F>,
}

impl<F> RowsOf<F> {
    pub(crate) fn new(rows: &[Vec<f64>]) -> Self {
        Self { data: rows.concat(), d: rows[0].len(), family: PhantomData }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.data.chunks_exact(self.d)
    }
}

impl<F> Clone for RowsOf<F> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), ..*self }
    }
}

impl<F> fmt::Debug for RowsOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

impl<F: for<'a> Family<Batch<'a> = Rows<'a>>> Sample for RowsOf<F> {
    type Family = F;

    fn batch(&self) -> Rows<'_> {
        Rows::new(&self.data, self.data.len() / self.d, self.d)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let row = |i: &usize| &self.data[i * self.d..][..self.d];
        Self { data: rows.iter().flat_map(row).copied().collect(), ..*self }
    }
}

/// Rows with weights, some of them zero, but not that of the first row; at times more than one block.
pub(crate) fn weighted<F: fmt::Debug + for<'a> Family<Batch<'a> = Rows<'a>> + 'static>(
    row: impl Strategy<Value = Vec<f64>> + Clone,
) -> impl Strategy<Value = WeightedSample<RowsOf<F>>> {
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    size.prop_flat_map(move |n| {
        (vec((row.clone(), weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (rows, mut weights): (Vec<Vec<f64>>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(RowsOf::new(&rows), weights)
        })
    })
}

/// All rows of `m` counts that add up to `n`.
pub(crate) fn all_counts(m: usize, n: u32) -> Vec<Vec<f64>> {
    if m == 1 {
        return vec![vec![f64::from(n)]];
    }
    let head = |x: u32| {
        all_counts(m - 1, n - x).into_iter().map(move |mut rest| {
            rest.insert(0, f64::from(x));
            rest
        })
    };
    (0..=n).flat_map(head).collect()
}

/// The sum of `p(x) g(x)` over all rows of counts, and the sum of the sizes of its terms.
pub(crate) fn expect(
    rows: &[Vec<f64>],
    log_probability: impl Fn(&[f64]) -> f64,
    g: impl Fn(&[f64]) -> f64,
) -> (f64, f64) {
    rows.iter().fold((0.0, 0.0), |(sum, size), row| {
        let p = log_probability(row).exp();
        if p == 0.0 {
            return (sum, size);
        }
        let term = p * g(row);
        (sum + term, size + term.abs())
    })
}
