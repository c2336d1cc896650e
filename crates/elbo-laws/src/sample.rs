//! Data that a test owns.

use std::{fmt, marker::PhantomData};

use elbo_core::Family;

/// Owned observations of a family, which laws borrow, repeat and reorder.
pub trait Sample: Clone + fmt::Debug {
    /// The family that these are observations of.
    type Family: Family;

    /// All of them.
    fn batch(&self) -> <Self::Family as Family>::Batch<'_>;

    /// These rows, in this order; a row may be picked more than once.
    #[must_use]
    fn pick(&self, rows: &[usize]) -> Self;
}

/// A [`Sample`] for families whose batch is a slice.
pub struct Of<F, X> {
    rows: Vec<X>,
    family: PhantomData<fn() -> F>,
}

impl<F, X> Of<F, X> {
    /// Owns these observations.
    pub fn new(rows: Vec<X>) -> Self {
        Self { rows, family: PhantomData }
    }

    /// The observations.
    pub fn rows(&self) -> &[X] {
        &self.rows
    }
}

impl<F, X: Clone> Clone for Of<F, X> {
    fn clone(&self) -> Self {
        Self::new(self.rows.clone())
    }
}

impl<F, X: fmt::Debug> fmt::Debug for Of<F, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.fmt(f)
    }
}

impl<F, X> Sample for Of<F, X>
where
    X: Copy + fmt::Debug + Sync + 'static,
    F: for<'a> Family<Batch<'a> = &'a [X]>,
{
    type Family = F;

    fn batch(&self) -> &[X] {
        &self.rows
    }

    fn pick(&self, rows: &[usize]) -> Self {
        Self::new(rows.iter().map(|i| self.rows[*i]).collect())
    }
}

/// Observations with one weight each.
#[derive(Clone, Debug)]
pub struct WeightedSample<S> {
    /// The observations.
    pub data: S,
    /// Their weights.
    pub weights: Vec<f64>,
}

impl<S: Sample> WeightedSample<S> {
    /// Pairs observations and weights.
    ///
    /// # Panics
    ///
    /// If there is not one weight for each.
    pub fn new(data: S, weights: Vec<f64>) -> Self {
        let n = elbo_core::Batch::len(&data.batch());
        assert_eq!(n, weights.len(), "one weight per observation");
        Self { data, weights }
    }

    /// Number of observations.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// `Σw`.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// These rows with their weights.
    #[must_use]
    pub fn pick(&self, rows: &[usize]) -> Self {
        Self {
            data: self.data.pick(rows),
            weights: rows.iter().map(|i| self.weights[*i]).collect(),
        }
    }

    /// Statistics of all of it, as `family` takes them.
    pub fn stats(&self, family: &S::Family) -> <S::Family as Family>::Stats {
        let mut stats = family.new_stats();
        family.observe(&mut stats, self.data.batch(), &self.weights);
        stats
    }

    /// `ln p(xᵢ)` of every row.
    pub fn log_densities(&self, family: &S::Family) -> Vec<f64> {
        let mut scores = vec![f64::NAN; self.len()];
        family.log_density_into(self.data.batch(), &mut scores);
        scores
    }

    /// `Σ wᵢ ln p(xᵢ)` and `Σ wᵢ |ln p(xᵢ)|`; rows of weight zero count for nothing, however impossible.
    pub fn log_likelihood(&self, family: &S::Family) -> (f64, f64) {
        weighted_sum(&self.log_densities(family), &self.weights)
    }
}

/// `Σwx` and `Σw|x|` over what has weight.
pub(crate) fn weighted_sum(values: &[f64], weights: &[f64]) -> (f64, f64) {
    values
        .iter()
        .zip(weights)
        .filter(|(_, w)| **w != 0.0)
        .fold((0.0, 0.0), |(sum, size), (x, w)| (sum + w * x, size + w * x.abs()))
}
