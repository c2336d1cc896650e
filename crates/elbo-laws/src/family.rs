//! Families score and absorb weighted batches.

use elbo_core::{BLOCK, BLOCK_STRIDE, Batch, Family, Matrix, MatrixMut};

use crate::{
    Sample, WeightedSample, assert_close,
    statistics::{assert_same, assert_same_bits},
};

/// Weight 2 counts as seeing every row twice.
///
/// # Panics
///
/// If not, like all laws.
pub fn weight_two_is_seeing_twice<S: Sample>(family: &S::Family, sample: &WeightedSample<S>) {
    let twice: Vec<usize> = (0..sample.len()).flat_map(|i| [i, i]).collect();
    let mut doubled = sample.clone();
    doubled.weights.iter_mut().for_each(|w| *w *= 2.0);
    let (doubled, repeated) = (doubled.stats(family), sample.pick(&twice).stats(family));
    assert_same(&doubled, &repeated, &[&doubled, &repeated]);
}

/// Rows of weight zero change nothing, however extreme: not one bit in a block of their own.
///
/// # Panics
///
/// If not.
pub fn weight_zero_changes_nothing<S: Sample>(
    family: &S::Family,
    sample: &WeightedSample<S>,
    extreme: &S,
) {
    let before = sample.stats(family);
    let mut after = before.clone();
    let zeros = vec![0.0; extreme.batch().len()];
    family.observe(&mut after, extreme.batch(), &zeros);
    assert_same_bits(&before, &after);
}

/// The order of rows is irrelevant.
///
/// # Panics
///
/// If it is not.
pub fn order_is_irrelevant<S: Sample>(
    family: &S::Family,
    sample: &WeightedSample<S>,
    rotation: usize,
) {
    let n = sample.len();
    let order: Vec<usize> = (0..n).rev().map(|i| (i + rotation) % n).collect();
    let (straight, shuffled) = (sample.stats(family), sample.pick(&order).stats(family));
    assert_same(&straight, &shuffled, &[&straight, &shuffled]);
}

/// Observing parts and merging them is observing the whole.
///
/// # Panics
///
/// If it is not.
pub fn merging_parts_is_observing_the_whole<S: Sample>(
    family: &S::Family,
    sample: &WeightedSample<S>,
    cut: usize,
) {
    let n = sample.len();
    let (left, right): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| *i < cut.min(n));
    let (left, right) = (sample.pick(&left).stats(family), sample.pick(&right).stats(family));
    let whole = sample.stats(family);
    let mut merged = left.clone();
    elbo_core::Statistics::merge(&mut merged, &right);
    assert_same(&whole, &merged, &[&left, &right, &whole]);
}

/// Parts observed by two distributions, each about its own origin, merge to what one of them observes of the whole.
///
/// For families whose statistics depend on the parameters through an origin alone. The algebra of statistics cannot tell
/// a merge that forgets to move the origin from one that does.
///
/// # Panics
///
/// If not.
pub fn origins_are_irrelevant<S: Sample>(
    one: &S::Family,
    other: &S::Family,
    sample: &WeightedSample<S>,
    cut: usize,
) {
    let n = sample.len();
    let (left, right): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| *i < cut.clamp(1, n));
    let (left, right) = (sample.pick(&left).stats(one), sample.pick(&right).stats(other));
    let (whole, elsewhere) = (sample.stats(one), sample.stats(other));
    let mut merged = left.clone();
    elbo_core::Statistics::merge(&mut merged, &right);
    assert_same(&whole, &merged, &[&left, &right, &whole, &elsewhere]);
}

/// The kernels for all components together agree with those for one, for scores and for statistics; and a scratch that
/// has seen one chunk serves the next, bit for bit.
///
/// # Panics
///
/// If they do not, or there is no component or no row.
pub fn all_at_once_is_one_at_a_time<S: Sample>(
    components: &[S::Family],
    sample: &WeightedSample<S>,
) {
    let mut packed = S::Family::new_packed_all(components);
    for (j, component) in components.iter().enumerate() {
        component.pack(j, &mut packed);
    }
    // Component j weighs row i by its own weight, and some rows not at all.
    let weight = |j: usize, i: usize| sample.weights[i] * ((i + 3 * j) % 5) as f64 / 4.0;
    let mut scratch = S::Family::new_scratch(&packed);
    let mut stats: Vec<_> = components.iter().map(Family::new_stats).collect();
    let scores = one_chunk::<S>(&packed, sample, weight, &mut stats, &mut scratch);
    let mut again = stats.clone();
    one_chunk::<S>(&packed, sample, weight, &mut again, &mut scratch);
    for (j, component) in components.iter().enumerate() {
        let alone = WeightedSample {
            data: sample.data.clone(),
            weights: (0..sample.len()).map(|i| weight(j, i)).collect(),
        };
        for (a, b) in scores[j].iter().zip(alone.log_densities(component)) {
            assert_close(*a, b, 1.0 + b.abs());
        }
        let alone = alone.stats(component);
        assert_same(&alone, &stats[j], &[&alone, &stats[j]]);
        assert_same_bits(&stats[j], &again[j]);
    }
}

/// The most likely distribution for the expected statistics of a distribution is itself.
///
/// # Panics
///
/// If it is not, judged by the scores of `data`; `terms` is the size of the terms that add up to a score, which may
/// cancel.
pub fn expected_statistics_give_the_distribution_back<S: Sample>(
    family: &S::Family,
    start: &S::Family,
    weight: f64,
    data: &S,
    terms: f64,
) {
    let mut back = start.clone();
    start
        .maximize(&family.expected_stats(weight), &mut back)
        .expect("expected statistics belong to a distribution");
    let n = data.batch().len();
    let (mut a, mut b) = (vec![f64::NAN; n], vec![f64::NAN; n]);
    family.log_density_into(data.batch(), &mut a);
    back.log_density_into(data.batch(), &mut b);
    a.iter().zip(&b).for_each(|(a, b)| assert_close(*a, *b, terms + a.abs()));
}

/// No neighbor is more likely than the maximum-likelihood estimate.
///
/// # Panics
///
/// If one is, or there is no estimate.
pub fn no_neighbor_is_more_likely<S: Sample>(
    start: &S::Family,
    sample: &WeightedSample<S>,
    neighbors: impl Fn(&S::Family) -> Vec<S::Family>,
) {
    let best = estimate(start, sample);
    let (highest, size) = sample.log_likelihood(&best);
    for neighbor in neighbors(&best) {
        let (other, _) = sample.log_likelihood(&neighbor);
        let rounding = crate::TOLERANCE * (size + sample.total_weight());
        assert!(other <= highest + rounding, "a neighbor is more likely: {other} > {highest}");
    }
}

/// The gradient of the mean log-likelihood vanishes at the maximum-likelihood estimate.
///
/// `at(&best, step)` is the distribution that lies `step` away from `best` in coordinates of which a unit is about one
/// standard deviation (of the distribution, not of the estimate), so that derivatives are of size 1: then central
/// differences of width `h` are wrong by `O(h²)` plus rounding over `h`.
///
/// # Panics
///
/// If it does not, or there is no estimate.
pub fn the_gradient_vanishes_at_the_maximum<S: Sample>(
    start: &S::Family,
    sample: &WeightedSample<S>,
    dimensions: usize,
    at: impl Fn(&S::Family, &[f64]) -> S::Family,
) {
    const H: f64 = 1e-4;
    let best = estimate(start, sample);
    let weight = sample.total_weight();
    let size = sample.log_likelihood(&best).1 / weight;
    for i in 0..dimensions {
        let mut step = vec![0.0; dimensions];
        step[i] = H;
        let ahead = sample.log_likelihood(&at(&best, &step)).0;
        step[i] = -H;
        let behind = sample.log_likelihood(&at(&best, &step)).0;
        let slope = (ahead - behind) / (2.0 * H * weight);
        let tolerance = 16.0 * H * H + crate::TOLERANCE * (1.0 + size) / H;
        assert!(slope.abs() <= tolerance, "slope {slope:e} along coordinate {i} at the maximum");
    }
}

/// Fitted to draws from itself, a distribution is recovered: by Wilks' theorem `2[ℓ(θ̂) − ℓ(θ)]` is about `χ²` with
/// as many degrees of freedom as there are free parameters, and exceeds the bound here once in 10⁶.
///
/// # Panics
///
/// If it is not.
///
/// # Source
///
/// The bound on `χ²`: Laurent & Massart (2000), Ann. Statist. 28(5), lemma 1.
pub fn fitting_draws_recovers_the_distribution<S: Sample>(truth: &S::Family, draws: &S) {
    let sample = WeightedSample::new(draws.clone(), vec![1.0; draws.batch().len()]);
    let fitted = estimate(truth, &sample);
    let (at_truth, size) = sample.log_likelihood(truth);
    let gain = 2.0 * (sample.log_likelihood(&fitted).0 - at_truth);
    let (p, l) = (truth.free_parameters(1) as f64, 1e6_f64.ln());
    let bound = p + 2.0 * (p * l).sqrt() + 2.0 * l;
    assert!(gain >= -crate::TOLERANCE * size, "the fit is less likely than the truth by {gain}");
    assert!(gain <= bound, "the fit gains {gain} > {bound}: these are no draws from the truth");
}

/// Natural parameters, where a family tells them, are the coefficients of the statistics in the log-likelihood: between two
/// distributions it differs by `⟨η − η′, s⟩`, whatever the coordinates; by no more than that from where the statistics were
/// taken, if the family has latent variables of its own.
///
/// # Panics
///
/// If not.
pub fn natural_parameters_tell_the_likelihood<S: Sample>(
    one: &S::Family,
    other: &S::Family,
    sample: &WeightedSample<S>,
) {
    let stats = sample.stats(one);
    let (mut natural, mut others, mut flat) = (Vec::new(), Vec::new(), Vec::new());
    if !one.write_natural(&stats, &mut natural) {
        return;
    }
    assert!(other.write_natural(&stats, &mut others), "told or not told, always");
    elbo_core::Statistics::write_to(&stats, &mut flat);
    assert_eq!((natural.len(), others.len()), (flat.len(), flat.len()), "one per statistic");
    let scores = |family: &S::Family| {
        let mut out = vec![0.0; sample.len()];
        family.log_density_into(sample.data.batch(), &mut out);
        let weighted = |(w, x): (&f64, f64)| if *w > 0.0 { w * x } else { 0.0 };
        sample.weights.iter().zip(out).map(weighted).collect::<Vec<f64>>()
    };
    let (ours, theirs) = (scores(one), scores(other));
    let difference: f64 = ours.iter().zip(&theirs).map(|(a, b)| a - b).sum();
    if !difference.is_finite() {
        return; // a probability of zero has no finite coefficient
    }
    let terms = || natural.iter().zip(&others).zip(&flat);
    let told: f64 = terms().map(|((a, b), s)| (a - b) * s).sum();
    // Rounding of each side is a share of what it adds up.
    let size: f64 = terms().map(|((a, b), s)| (a.abs() + b.abs()) * s.abs()).sum::<f64>()
        + ours.iter().chain(&theirs).map(|x| x.abs()).sum::<f64>();
    if one.is_maximized_at_once(&stats) {
        assert_close(told, difference, size);
    } else {
        // With latent variables the bound touches the likelihood here, and lies below it elsewhere.
        assert!(difference <= told + 1e-11 * size, "{difference} exceeds {told}");
    }
}

/// Tests of the laws of [`Family`] that need no parametrization.
///
/// Strategies: one component, a [`WeightedSample`] of at least one row and positive total weight, and a sample of
/// extreme rows; then, unless it is about 1, the size of the terms that add up to a score. Call it inside a module of
/// its own.
#[macro_export]
macro_rules! family_laws {
    ($component:expr, $sample:expr, $extreme:expr) => {
        $crate::family_laws!($component, $sample, $extreme, 1.0);
    };
    ($component:expr, $sample:expr, $extreme:expr, $terms:expr) => {
        $crate::proptest::proptest! {
            #[test]
            fn weight_two_is_seeing_twice(family in $component, sample in $sample) {
                $crate::family::weight_two_is_seeing_twice(&family, &sample);
            }

            #[test]
            fn weight_zero_changes_nothing(
                family in $component, sample in $sample, extreme in $extreme
            ) {
                $crate::family::weight_zero_changes_nothing(&family, &sample, &extreme);
            }

            #[test]
            fn order_is_irrelevant(
                family in $component, sample in $sample, rotation in 0..100_usize
            ) {
                $crate::family::order_is_irrelevant(&family, &sample, rotation);
            }

            #[test]
            fn merging_parts_is_observing_the_whole(
                family in $component, sample in $sample, cut in 0..100_usize
            ) {
                $crate::family::merging_parts_is_observing_the_whole(&family, &sample, cut);
            }

            #[test]
            fn natural_parameters_tell_the_likelihood(
                family in $component,
                other in $component,
                sample in $sample,
            ) {
                $crate::family::natural_parameters_tell_the_likelihood(&family, &other, &sample);
            }

            #[test]
            fn all_at_once_is_one_at_a_time(
                components in $crate::proptest::collection::vec($component, 1..5), sample in $sample
            ) {
                $crate::family::all_at_once_is_one_at_a_time(&components, &sample);
            }

            #[test]
            fn expected_statistics_give_the_distribution_back(
                family in $component, start in $component, weight in 0.1..100.0_f64, sample in $sample
            ) {
                $crate::family::expected_statistics_give_the_distribution_back(
                    &family, &start, weight, &sample.data, $terms,
                );
            }
        }
    };
}

/// The maximum-likelihood estimate from `start`. Taken twice: statistics about a far start round more than those about
/// the estimate itself.
fn estimate<S: Sample>(start: &S::Family, sample: &WeightedSample<S>) -> S::Family {
    let mut near = start.clone();
    start.maximize(&sample.stats(start), &mut near).expect("these data have an estimate");
    let mut best = near.clone();
    near.maximize(&sample.stats(&near), &mut best).expect("these data have an estimate");
    best
}

/// Overwrites `stats` as the E-step of a chunk does, with `weight(component, row)`; returns the scores.
fn one_chunk<S: Sample>(
    packed: &<S::Family as Family>::Packed,
    sample: &WeightedSample<S>,
    weight: impl Fn(usize, usize) -> f64,
    stats: &mut [<S::Family as Family>::Stats],
    scratch: &mut <S::Family as Family>::Scratch,
) -> Vec<Vec<f64>> {
    let (k, n) = (stats.len(), sample.len());
    let mut scores = vec![vec![f64::NAN; n]; k];
    S::Family::reset_all(packed, stats);
    for start in (0..n).step_by(BLOCK) {
        let rows = start..n.min(start + BLOCK);
        let mut block = vec![f64::NAN; k * BLOCK_STRIDE];
        let data = sample.data.batch().slice(rows.clone());
        let out = MatrixMut::new(&mut block, k, rows.len(), BLOCK_STRIDE);
        S::Family::score_all(packed, data, out, scratch);
        for j in 0..k {
            let row = &mut block[j * BLOCK_STRIDE..][..rows.len()];
            scores[j][rows.clone()].copy_from_slice(row);
            row.iter_mut().zip(rows.clone()).for_each(|(w, i)| *w = weight(j, i));
        }
        let weights = Matrix::new(&block, k, rows.len(), BLOCK_STRIDE);
        S::Family::observe_all(packed, stats, data, weights, scratch);
    }
    S::Family::finish(packed, stats, scratch);
    scores
}
