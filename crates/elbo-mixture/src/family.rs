//! A mixture as a distribution: component of another mixture, emission of a chain, factor of a product.

use elbo_core::{
    BLOCK, BLOCK_STRIDE, Batch, DataError, Draw, EstimateError, ExpectedLogLikelihood, Family,
    FlatParameters, Matrix, MatrixMut, Range, Repairs, Statistics,
};
use elbo_dist::CategoricalStats;
use rand::Rng;

use crate::{Mixture, mixture::posterior};

/// `k` mixtures of `m` components each, packed as the `k·m` components they are made of.
#[derive(Clone, Debug)]
pub struct MixturePacked<F: Family> {
    k: usize,
    m: usize,
    /// `ln π` of component `c` of mixture `j` at `j·m + c`.
    log_weights: Vec<f64>,
    components: F::Packed,
    /// Nothing observed of any component.
    empty: Vec<F::Stats>,
}

/// Responsibilities of a block, and what was observed since the last [`Family::finish`].
#[derive(Debug)]
pub struct MixtureFamilyScratch<F: Family> {
    /// Scores, then responsibilities, of all components: `k·m` rows.
    block: Vec<f64>,
    log_densities: Vec<f64>,
    /// Rows that no component of a mixture can score, with what they score instead.
    unusual: Vec<(usize, f64)>,
    keep_all: Vec<f64>,
    counts: Vec<f64>,
    stats: Vec<F::Stats>,
    is_fresh: bool,
    family: F::Scratch,
}

/// A mixture is a family: it scores rows by `ln Σ_c π_c p(x ∣ θ_c)` and absorbs them by the statistics of its components,
/// each row shared among them by its responsibilities under the packed parameters.
///
/// The statistics belong to the parameters that they were taken at, so that `maximize` is one EM step inside the step of
/// the model around it: the likelihood never falls, and the two levels converge together. Weights of rows and components
/// of `k` mixtures are scored by one call of the kernel for `k·m` components.
///
/// Cost of a block: scores twice (once to score, once to observe), and `k·m` exponentials per row each time.
impl<F: Family> Family for Mixture<F> {
    type Batch<'a> = F::Batch<'a>;
    type Stats = (CategoricalStats, Vec<F::Stats>);
    type Packed = MixturePacked<F>;
    type Scratch = MixtureFamilyScratch<F>;

    fn check(&self, data: F::Batch<'_>) -> Result<(), DataError> {
        F::check_all(self.components(), data)
    }

    fn new_stats(&self) -> Self::Stats {
        let components = self.components().iter().map(Family::new_stats).collect();
        (CategoricalStats::new(self.k()), components)
    }

    fn new_packed(&self, k: usize) -> MixturePacked<F> {
        Self::new_packed_all(&vec![self.clone(); k])
    }

    fn new_packed_all(points: &[Self]) -> MixturePacked<F> {
        let (k, m) = (points.len(), points[0].k());
        let components: Vec<F> = points.iter().flat_map(Self::components).cloned().collect();
        MixturePacked {
            k,
            m,
            log_weights: vec![0.0; k * m],
            components: F::new_packed_all(&components),
            empty: components.iter().map(Family::new_stats).collect(),
        }
    }

    fn new_scratch(packed: &MixturePacked<F>) -> MixtureFamilyScratch<F> {
        let all = packed.k * packed.m;
        MixtureFamilyScratch {
            block: vec![0.0; all * BLOCK_STRIDE],
            log_densities: vec![0.0; BLOCK],
            unusual: Vec::with_capacity(BLOCK),
            keep_all: vec![0.0; packed.m],
            counts: vec![0.0; all],
            stats: packed.empty.clone(),
            is_fresh: true,
            family: F::new_scratch(&packed.components),
        }
    }

    fn pack(&self, j: usize, packed: &mut MixturePacked<F>) {
        assert_eq!(self.k(), packed.m, "mixtures of another number of components");
        for (c, component) in self.components().iter().enumerate() {
            component.pack(j * packed.m + c, &mut packed.components);
        }
        let log_weights = &mut packed.log_weights[j * packed.m..][..packed.m];
        log_weights.iter_mut().zip(self.weights()).for_each(|(to, weight)| *to = weight.ln());
    }

    fn score_all(
        packed: &MixturePacked<F>,
        data: F::Batch<'_>,
        mut out: MatrixMut<'_>,
        scratch: &mut MixtureFamilyScratch<F>,
    ) {
        assign(packed, data, scratch, |j, log_densities, _| {
            out.row_mut(j).copy_from_slice(log_densities);
        });
    }

    fn observe_all(
        packed: &MixturePacked<F>,
        stats: &mut [Self::Stats],
        data: F::Batch<'_>,
        weights: Matrix<'_>,
        scratch: &mut MixtureFamilyScratch<F>,
    ) {
        let (n, m) = (data.len(), packed.m);
        debug_assert_eq!(stats.len(), packed.k);
        if std::mem::take(&mut scratch.is_fresh) {
            scratch.counts.fill(0.0);
            F::reset_all(&packed.components, &mut scratch.stats);
        }
        assign(packed, data, scratch, |j, log_densities, responsibilities| {
            let rows = responsibilities.chunks_mut(BLOCK_STRIDE).take(m);
            for row in rows {
                let cells = row.iter_mut().zip(weights.row(j)).zip(log_densities);
                for ((share, weight), log_density) in cells {
                    // What no component explains is shared by none: its responsibilities mean nothing.
                    *share = if log_density.is_finite() { *share * weight } else { 0.0 };
                }
            }
        });
        let MixtureFamilyScratch { block, counts, stats, family, .. } = scratch;
        let shares = Matrix::new(block, packed.k * m, n, BLOCK_STRIDE);
        for (c, count) in counts.iter_mut().enumerate() {
            *count += shares.row(c).iter().sum::<f64>();
        }
        F::observe_all(&packed.components, stats, data, shares, family);
    }

    fn finish(
        packed: &MixturePacked<F>,
        stats: &mut [Self::Stats],
        scratch: &mut MixtureFamilyScratch<F>,
    ) {
        if std::mem::replace(&mut scratch.is_fresh, true) {
            return;
        }
        F::finish(&packed.components, &mut scratch.stats, &mut scratch.family);
        let news = scratch.stats.chunks(packed.m).zip(scratch.counts.chunks(packed.m));
        for ((counts, components), (new_stats, new_counts)) in stats.iter_mut().zip(news) {
            elbo_core::add_scaled(counts.counts_mut(), 1.0, new_counts);
            components.iter_mut().zip(new_stats).for_each(|(to, from)| to.merge(from));
        }
    }

    fn maximize(&self, stats: &Self::Stats, next: &mut Self) -> Result<Repairs, EstimateError> {
        let (weights, components) = self.parts();
        let (next_weights, next_components) = next.parts_mut();
        let mut repairs = F::maximize_all(components, &stats.1, next_components)?;
        repairs.merge(weights.maximize(&stats.0, next_weights)?);
        Ok(repairs)
    }

    fn retreat(&self, next: &mut Self) -> bool {
        let pairs = self.components().iter().zip(next.parts_mut().1);
        pairs.fold(false, |any, (component, next)| component.retreat(next) || any)
    }

    fn expected_stats(&self, weight: f64) -> Self::Stats {
        let (weights, components) = self.parts();
        let shares = weights.probabilities().iter().zip(components);
        (
            weights.expected_stats(weight),
            shares.map(|(share, component)| component.expected_stats(weight * share)).collect(),
        )
    }

    fn write_natural(&self, like: &Self::Stats, out: &mut Vec<f64>) -> bool {
        let (weights, components) = self.parts();
        weights.write_natural(&like.0, out)
            && components.iter().zip(&like.1).all(|(c, like)| c.write_natural(like, out))
    }

    fn free_parameters(&self, k: usize) -> usize {
        k * Self::free_parameters(self)
    }

    /// That of the tightest component.
    fn relative_spread(&self, all: &Self::Stats) -> f64 {
        F::relative_spreads(self.components(), &all.1).into_iter().fold(1.0, f64::min)
    }
}

impl<F: Draw> Draw for Mixture<F> {
    type Drawn = F::Drawn;

    fn no_draws(&self) -> F::Drawn {
        self.components()[0].no_draws()
    }

    fn draw_onto<R: Rng + ?Sized>(&self, n: usize, rng: &mut R, drawn: &mut F::Drawn) {
        let (weights, components) = self.parts();
        for _ in 0..n {
            components[weights.sample(rng) as usize].draw_onto(1, rng, drawn);
        }
    }

    fn batch_of(drawn: &F::Drawn) -> F::Batch<'_> {
        F::batch_of(drawn)
    }
}

/// The log ratios of the weights, then those of the components, what they share once.
impl<F: Family + FlatParameters> FlatParameters for Mixture<F> {
    fn write_unconstrained(&self, out: &mut Vec<f64>) {
        let (weights, components) = self.parts();
        weights.write_unconstrained(out);
        F::write_all_unconstrained(components, out);
    }

    fn with_unconstrained(&self, from: &mut &[f64]) -> Self {
        let (weights, components) = self.parts();
        let weights = weights.with_unconstrained(from);
        let components = F::with_all_unconstrained(components, from);
        Self::from_parts(weights, components)
    }

    fn for_each_parameter(&self, see: &mut dyn FnMut(&str, f64, Range)) {
        for (c, (weight, component)) in self.weights().iter().zip(self.components()).enumerate() {
            see(&format!("weight {c}"), *weight, Range::Probability);
            component.for_each_parameter(&mut |name, value, range| {
                see(&format!("component {c} {name}"), value, range);
            });
        }
    }
}

/// The part of the weights and that of the components, for the shares taken at the packed parameters.
impl<F: ExpectedLogLikelihood> ExpectedLogLikelihood for Mixture<F> {
    fn expected_log_likelihood(&self, (counts, stats): &Self::Stats) -> f64 {
        let (weights, components) = self.parts();
        let of_components = components.iter().zip(stats);
        weights.expected_log_likelihood(counts)
            + of_components.map(|(c, stats)| c.expected_log_likelihood(stats)).sum::<f64>()
    }

    fn score_into(&self, (counts, stats): &Self::Stats, steps: &[f64], out: &mut [f64]) {
        let (weights, components) = self.parts();
        let (head, tail) = out.split_at_mut(weights.unconstrained_len());
        weights.score_into(counts, steps, head);
        F::score_all_into(components, stats, &steps[head.len()..], tail);
    }

    /// The component is hidden.
    fn is_complete(&self, _: F::Batch<'_>) -> bool {
        false
    }
}

/// Scores all components and turns the scores of each mixture `j` into responsibilities; `see` gets `j`, the log densities
/// of the rows and the `m` rows of responsibilities.
fn assign<F: Family>(
    packed: &MixturePacked<F>,
    data: F::Batch<'_>,
    scratch: &mut MixtureFamilyScratch<F>,
    mut see: impl FnMut(usize, &[f64], &mut [f64]),
) {
    let (n, m) = (data.len(), packed.m);
    let MixtureFamilyScratch { block, log_densities, unusual, keep_all, family, .. } = scratch;
    let out = MatrixMut::new(block, packed.k * m, n, BLOCK_STRIDE);
    F::score_all(&packed.components, data, out, family);
    let log_densities = &mut log_densities[..n];
    for (j, block) in block.chunks_mut(m * BLOCK_STRIDE).enumerate() {
        let log_weights = &packed.log_weights[j * m..][..m];
        set_aside(block, log_weights, n, unusual);
        posterior(block, log_weights, keep_all, log_densities)
            .expect("rows without a finite score were set aside");
        for (row, score) in &*unusual {
            log_densities[*row] = *score;
        }
        see(j, log_densities, block);
    }
}

/// Notes the rows that no component with a weight can score, or some component scores as NaN or `+∞`, and puts zeros in
/// their place.
fn set_aside(block: &mut [f64], log_weights: &[f64], n: usize, unusual: &mut Vec<(usize, f64)>) {
    unusual.clear();
    for i in 0..n {
        let scores = block.iter().skip(i).step_by(BLOCK_STRIDE).zip(log_weights);
        let largest = scores.fold(f64::NEG_INFINITY, |max, (score, log_weight)| {
            let joint = score + log_weight;
            if max.is_nan() || joint <= max { max } else { joint }
        });
        if !largest.is_finite() {
            unusual.push((i, largest));
            block.iter_mut().skip(i).step_by(BLOCK_STRIDE).for_each(|x| *x = 0.0);
        }
    }
}
