//! What an iteration of k-means sums.

use elbo_core::{Statistics, add_scaled};

/// Sums of a k-means iteration: for each center the weight, the first moments and the squared distances of its rows, about
/// an origin that travels with them (the center of the E-step). Merging across origins is exact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KMeansStats {
    d: usize,
    /// `Σ w`, `k` numbers.
    pub(super) weights: Vec<f64>,
    /// `Σ w (x − o)`, `k × d`.
    pub(super) firsts: Vec<f64>,
    /// `Σ w ‖x − o‖²`, `k` numbers.
    pub(super) scatters: Vec<f64>,
    /// `o`, `k × d`.
    pub(super) origins: Vec<f64>,
    /// For each center the row that costs most and its cost, `k × (d + 1)`; nothing where the cost is 0.
    pub(super) farthest: Vec<f64>,
}

impl KMeansStats {
    /// Nothing seen, about origins at zero.
    pub(super) fn new(k: usize, d: usize) -> Self {
        Self {
            d,
            weights: vec![0.0; k],
            firsts: vec![0.0; k * d],
            scatters: vec![0.0; k],
            origins: vec![0.0; k * d],
            farthest: vec![0.0; k * (d + 1)],
        }
    }

    pub(super) fn origin(&self, j: usize) -> &[f64] {
        &self.origins[j * self.d..][..self.d]
    }

    /// Cost and place of the row of center `j` that costs most.
    pub(super) fn farthest(&self, j: usize) -> (f64, &[f64]) {
        let entry = &self.farthest[j * (self.d + 1)..][..=self.d];
        (entry[0], &entry[1..])
    }

    /// Takes note of a row of center `j`, if it costs more than those before.
    pub(super) fn note_cost(&mut self, j: usize, cost: f64, row: impl Iterator<Item = f64>) {
        let entry = &mut self.farthest[j * (self.d + 1)..][..=self.d];
        if cost > entry[0] {
            entry[0] = cost;
            entry[1..].iter_mut().zip(row).for_each(|(to, x)| *to = x);
        }
    }
}

/// `(Σ w(x − o), Σ w‖x − o‖²)` moves from the origin `from` to `to`.
fn recenter(weight: f64, from: &[f64], to: &[f64], first: &mut [f64], scatter: &mut f64) {
    for ((first, from), to) in first.iter_mut().zip(from).zip(to) {
        let shift = from - to;
        *scatter += shift * (2.0 * *first + weight * shift);
        *first += weight * shift;
    }
}

impl Statistics for KMeansStats {
    fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.weights);
        see(&self.firsts);
        see(&self.scatters);
    }

    fn visit_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.weights);
        see(&mut self.firsts);
        see(&mut self.scatters);
    }

    fn visit_origin<'a>(&'a self, see: &mut dyn FnMut(&'a [f64])) {
        see(&self.origins);
        see(&self.farthest);
    }

    fn visit_origin_mut(&mut self, see: &mut dyn FnMut(&mut [f64])) {
        see(&mut self.origins);
        see(&mut self.farthest);
    }

    fn set_zero(&mut self) {
        self.visit_mut(&mut |part| part.fill(0.0));
        self.farthest.fill(0.0);
    }

    fn axpy(&mut self, factor: f64, other: &Self) {
        add_scaled(&mut self.weights, factor, &other.weights);
        if self.origins == other.origins {
            add_scaled(&mut self.firsts, factor, &other.firsts);
            add_scaled(&mut self.scatters, factor, &other.scatters);
        } else {
            let mut first = vec![0.0; self.d];
            for j in 0..self.weights.len() {
                let at = j * self.d..(j + 1) * self.d;
                first.copy_from_slice(&other.firsts[at.clone()]);
                let mut scatter = other.scatters[j];
                recenter(
                    other.weights[j],
                    other.origin(j),
                    self.origin(j),
                    &mut first,
                    &mut scatter,
                );
                add_scaled(&mut self.firsts[at], factor, &first);
                self.scatters[j] += factor * scatter;
            }
        }
        if factor > 0.0 {
            for j in 0..self.weights.len() {
                let (cost, row) = other.farthest(j);
                self.note_cost(j, cost, row.iter().copied());
            }
        }
    }

    fn align(&mut self, like: &Self) {
        for j in 0..self.weights.len() {
            let at = j * self.d..(j + 1) * self.d;
            let (from, to) = (&self.origins[at.clone()], &like.origins[at.clone()]);
            recenter(self.weights[j], from, to, &mut self.firsts[at], &mut self.scatters[j]);
        }
        self.origins.copy_from_slice(&like.origins);
    }
}
