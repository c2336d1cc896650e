//! Regressions obey the laws of their traits, and agree with least squares and with other programs.

mod canonical;
mod linear;
mod linear_prior;
mod ridge;
mod softmax;

use std::fmt;

use elbo_core::{Family, Rows};
use elbo_dist::LinearGaussian;
use elbo_laws::{Sample, WeightedSample};

/// Covariates and responses, row after row.
#[derive(Clone)]
pub(crate) struct Pairs {
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    p: usize,
    q: usize,
}

impl Pairs {
    pub(crate) fn new(x: Vec<f64>, p: usize, y: Vec<f64>, q: usize) -> Self {
        assert_eq!(x.len() / p, y.len() / q, "pairs");
        Self { x, y, p, q }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        self.x.chunks_exact(self.p).zip(self.y.chunks_exact(self.q))
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

impl Sample for Pairs {
    type Family = LinearGaussian;

    fn batch(&self) -> (Rows<'_>, Rows<'_>) {
        let n = self.x.len() / self.p;
        (Rows::new(&self.x, n, self.p), Rows::new(&self.y, n, self.q))
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let pick = |from: &[f64], d: usize| {
            rows.iter().flat_map(|i| &from[i * d..][..d]).copied().collect()
        };
        Self::new(pick(&self.x, self.p), self.p, pick(&self.y, self.q), self.q)
    }
}

/// The estimate after three steps: statistics about a far start round, those about the estimate itself do not.
pub(crate) fn fitted<S: Sample>(start: &S::Family, sample: &WeightedSample<S>) -> S::Family {
    let mut here = start.clone();
    for _ in 0..3 {
        let stats = sample.stats(&here);
        here.clone().maximize(&stats, &mut here).expect("these data have an estimate");
    }
    here
}
