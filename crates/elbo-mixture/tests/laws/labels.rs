//! Known and forbidden components of rows, against sums over what they allow.

use std::ops::Range;

use elbo_core::{
    ChunkSource, DataError, FitError, Inference, LatentModel, MaximumLikelihood, Rows, SourceError,
    WeightedSource,
};
use elbo_mixture::{
    CovarianceStructure, Estimation, Fitted, Gaussian, GaussianMixture, Label, Mixture,
    MixtureModel, MixtureParams, MultivariateGaussian, Settings, Start, Tolerance, Weighted,
};
use proptest::prelude::*;

use crate::{
    rng,
    support::{Table, clusters},
};

/// One component for each bit; fewer bits than components forbid some.
fn label() -> impl Strategy<Value = Label> {
    prop_oneof![
        Just(Label::Unknown),
        (0_usize..3).prop_map(Label::Known),
        (1_u64..8).prop_map(Label::AnyOf)
    ]
}

fn three() -> Mixture<Gaussian> {
    let components =
        [(-1.0, 1.0), (0.5, 0.3), (4.0, 2.0)].map(|(m, v)| Gaussian::new(m, v).unwrap());
    Mixture::new(vec![0.2, 0.5, 0.3], components.to_vec()).unwrap()
}

/// `πⱼ p(x ∣ θⱼ)` of what the label allows.
fn joint(mixture: &Mixture<Gaussian>, x: f64, label: Label) -> Vec<f64> {
    let of = |(j, g): (usize, &Gaussian)| {
        if label.allows(j) { mixture.weights()[j] * g.log_density(x).exp() } else { 0.0 }
    };
    mixture.components().iter().enumerate().map(of).collect()
}

type Plain = MixtureModel<Gaussian, MaximumLikelihood, MaximumLikelihood>;
type Params = MixtureParams<Gaussian, MaximumLikelihood, MaximumLikelihood>;

fn e_step(params: &Params, data: Weighted<'_, &[f64]>, how: &mut Inference<'_>) -> (f64, Vec<f64>) {
    let model = Plain::ml();
    let (mut stats, mut scratch) = (model.new_stats(params), model.new_scratch(params));
    model.reset(params, &mut stats);
    let term = model.e_step(params, data, how, &mut stats, &mut scratch).unwrap();
    (term, stats.0[0].counts().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Rows far from what they may belong to, weights of zero, and every kind of label.
    #[test]
    fn scores_are_those_of_a_sum_over_what_labels_allow(
        rows in prop::collection::vec((-6.0_f64..9.0, label(), 0_u32..3), 1..600),
    ) {
        let x: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let labels: Vec<Label> = rows.iter().map(|r| r.1).collect();
        let mut weights: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
        weights[0] = 1.5;
        let mixture = three();
        let data = Weighted::new(&x[..], &weights).unwrap().with_labels(&labels).unwrap();

        let joints: Vec<Vec<f64>> = rows.iter().map(|r| joint(&mixture, r.0, r.1)).collect();
        let terms = joints.iter().zip(&weights).map(|(j, w)| w * j.iter().sum::<f64>().ln());
        // Exponents of up to 200 carry as many roundings.
        let (expected, size) = terms.fold((0.0, 0.0), |(s, a): (f64, f64), t| (s + t, a + t.abs()));
        let bound = 300.0 * f64::EPSILON * (1.0 + size + x.len() as f64);
        prop_assert!((mixture.log_likelihood(data).unwrap() - expected).abs() <= bound);

        let params = Plain::ml().start(mixture.clone(), 1.0).unwrap();
        let (term, counts) = e_step(&params, data, &mut Inference::Soft);
        prop_assert!((term - expected).abs() <= bound);
        let shares = mixture.responsibilities(data).unwrap();
        for j in 0..3 {
            let mut count = 0.0;
            for (i, joint) in joints.iter().enumerate() {
                let share = joint[j] / joint.iter().sum::<f64>();
                prop_assert!((shares[3 * i + j] - share).abs() <= 500.0 * f64::EPSILON);
                prop_assert!(labels[i].allows(j) || shares[3 * i + j] == 0.0);
                count += weights[i] * share;
            }
            prop_assert!((counts[j] - count).abs() <= bound);
        }
        let found = mixture.labels(data).unwrap();
        prop_assert!(found.iter().zip(&labels).all(|(j, label)| label.allows(*j)));
    }

    #[test]
    fn every_way_to_infer_keeps_to_the_labels(
        x in prop::collection::vec(-6.0_f64..9.0, 300),
        known in prop::collection::vec(0_usize..3, 300),
        seed in any::<u64>(),
    ) {
        let labels: Vec<Label> = known.iter().map(|j| Label::Known(*j)).collect();
        let data = Weighted::uniform(&x[..]).with_labels(&labels).unwrap();
        let params = Plain::ml().start(three(), 1.0).unwrap();
        let complete: f64 =
            x.iter().zip(&known).map(|(x, j)| joint(&three(), *x, Label::Known(*j))[*j].ln()).sum();
        let wanted: Vec<f64> =
            (0..3).map(|j| known.iter().filter(|l| **l == j).count() as f64).collect();
        let mut generator = rng(seed);
        for mut how in [Inference::Soft, Inference::Hard, Inference::Tempered(0.3), Inference::Sampled(&mut generator)] {
            let (term, counts) = e_step(&params, data, &mut how);
            prop_assert_eq!(&counts, &wanted);
            prop_assert!((term - complete).abs() <= 1e-12 * complete.abs());
        }
    }
}

/// Share, mean and covariance.
type Group = (f64, [f64; 2], [f64; 4]);

/// The shares, means and covariances of labeled rows by two passes over them, and the pooled covariance.
fn discriminant(table: &Table, label: impl Fn(usize) -> usize) -> (Vec<Group>, [f64; 4]) {
    let all = table.n as f64;
    let mut pooled = [0.0; 4];
    let groups = (0..3)
        .map(|j| {
            let rows: Vec<&[f64]> = (0..table.n)
                .filter(|i| label(*i) == j)
                .map(|i| &table.values[2 * i..2 * i + 2])
                .collect();
            let n = rows.len() as f64;
            let mean = [0, 1].map(|c| rows.iter().map(|x| x[c]).sum::<f64>() / n);
            let mut covariance = [0.0; 4];
            for (place, value) in covariance.iter_mut().enumerate() {
                let (c, e) = (place / 2, place % 2);
                let sum: f64 = rows.iter().map(|x| (x[c] - mean[c]) * (x[e] - mean[e])).sum();
                *value = sum / n;
                pooled[place] += sum / all;
            }
            (n / all, mean, covariance)
        })
        .collect();
    (groups, pooled)
}

/// Where every row is known there is nothing to iterate: the first step is quadratic discriminant analysis, or linear where
/// components share their covariance, from wherever it starts.
#[test]
fn known_labels_are_a_discriminant_fit_in_one_step() {
    let (table, start) = (clusters(90, 2, 3, 8), clusters(3, 2, 1, 4));
    let label = |i: usize| 7 * i % 5 % 3; // 36, 36 and 18 rows
    let (groups, pooled) = discriminant(&table, label);
    for structure in [CovarianceStructure::VVV, CovarianceStructure::EEE] {
        let component = |j: usize| {
            MultivariateGaussian::standard(structure, start.values[2 * j..2 * j + 2].to_vec())
        };
        let mixture = Mixture::new(vec![0.5, 0.25, 0.25], (0..3).map(component).collect()).unwrap();
        let settings =
            Settings { max_iterations: 1, tolerance: Tolerance::Gap(0.0), ..Settings::default() };
        let builder = GaussianMixture::new(3).labels((0..90).map(|i| Some(label(i))));
        let stepped = builder.clone().start_at(mixture).settings(settings);
        // The same without a start: the first run knows all components from their rows.
        let found = builder.structure(structure).starts(3);
        for fitted in [stepped, found].map(|b| b.fit(table.rows().into()).unwrap()) {
            for (j, (weight, mean, covariance)) in groups.iter().enumerate() {
                let ours = &fitted.mixture.components()[j];
                let expected =
                    if structure == CovarianceStructure::EEE { &pooled } else { covariance };
                // Sums of 90 terms of size 10.
                assert!((fitted.mixture.weights()[j] - weight).abs() < 1e-14);
                assert!((0..2).all(|c| (ours.mean()[c] - mean[c]).abs() < 1e-13 * 10.0));
                assert!((0..4).all(|p| (ours.covariance()[p] - expected[p]).abs() < 1e-12 * 10.0));
            }
            assert!(fitted.log_certainty.abs() < f64::MIN_POSITIVE);
        }
    }
}

/// A source of rows in memory, as a file would be.
struct Shelf<'a>(&'a Table);

impl ChunkSource for Shelf<'_> {
    type Chunk<'a> = Rows<'a>;

    fn len(&self) -> usize {
        self.0.n
    }

    fn with<R>(
        &self,
        units: Range<usize>,
        see: impl for<'a> FnOnce(Rows<'a>) -> R,
    ) -> Result<R, SourceError> {
        let values = &self.0.values[units.start * self.0.d..units.end * self.0.d];
        Ok(see(Rows::new(values, units.len(), self.0.d)))
    }
}

/// Half of the rows known, some ruled out of one component, the rest unknown.
fn partial(n: usize, k: usize) -> Vec<Label> {
    let label = |i: usize| match i % 4 {
        0 => Label::Known(i % k),
        1 => Label::any_but(&[(i + 1) % k]),
        _ => Label::Unknown,
    };
    (0..n).map(label).collect()
}

fn fit(table: &Table, labels: &[Label], estimation: Estimation) -> Fitted<MultivariateGaussian> {
    let builder = GaussianMixture::new(3).estimation(estimation).starts(4);
    builder.labels(labels.iter().copied()).fit(table.rows().into()).unwrap()
}

#[test]
fn the_objective_never_falls_and_labels_only_cost_likelihood() {
    let table = clusters(120, 2, 3, 21);
    let labels = partial(120, 3);
    for estimation in [
        Estimation::MaximumLikelihood,
        Estimation::MaximumAPosteriori,
        Estimation::VariationalBayes,
    ] {
        let fitted = fit(&table, &labels, estimation);
        let trace = &fitted.report.trace;
        let size = fitted.log_likelihood.abs() + 120.0;
        assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12 * size), "{estimation:?}");
        let marginal = fitted.mixture.log_likelihood(table.rows()).unwrap();
        assert!(fitted.log_likelihood < marginal);
    }
}

/// Central differences of the likelihood of all that is known, in the means and the log ratios of weights.
#[test]
fn the_gradient_is_zero_at_the_end() {
    let x: Vec<f64> = clusters(80, 1, 3, 5).values;
    let labels = partial(80, 3);
    let data = Weighted::uniform(&x[..]).with_labels(&labels).unwrap();
    let settings = Settings { tolerance: Tolerance::Gap(1e-13), ..Settings::default() };
    let start = Start::Spread { k: 3, runs: 4, template: Gaussian::new(0.0, 1.0).unwrap() };
    let fitted = Plain::ml().fit(data, &start, &settings, &()).unwrap();
    assert!(fitted.report.stopped.is_converged());
    let likelihood = |shift: f64, j: usize, of_weight: bool| {
        let m = &fitted.mixture;
        let mut weights = m.weights().to_vec();
        let mut components = m.components().to_vec();
        if of_weight {
            weights[j] *= shift.exp();
            let sum: f64 = weights.iter().sum();
            for w in &mut weights {
                *w /= sum;
            }
        } else {
            let g = components[j];
            components[j] = Gaussian::new(g.mean() + shift, g.variance()).unwrap();
        }
        let moved = Mixture::new(weights, components).unwrap();
        x.iter()
            .zip(&labels)
            .map(|(x, l)| joint(&moved, *x, *l).iter().sum::<f64>().ln())
            .sum::<f64>()
    };
    for j in 0..3 {
        for of_weight in [false, true] {
            let h = 1e-4;
            let slope = (likelihood(h, j, of_weight) - likelihood(-h, j, of_weight)) / (2.0 * h);
            // Third derivatives of at most a few hundred, and 1e-13 of a gap per row.
            assert!(slope.abs() < 2e-5, "{j} {of_weight}: {slope}");
        }
    }
}

#[test]
fn nothing_known_changes_no_bit() {
    let table = clusters(100, 2, 3, 3);
    let (plain, labeled) = (
        GaussianMixture::new(3).starts(5).fit(table.rows().into()).unwrap(),
        GaussianMixture::new(3).starts(5).labels(vec![None; 100]).fit(table.rows().into()).unwrap(),
    );
    assert_eq!(plain.mixture, labeled.mixture);
    assert_eq!(plain.report.trace, labeled.report.trace);
}

/// Three groups 12 standard deviations apart.
fn apart() -> Table {
    let mut table = clusters(300, 2, 1, 30);
    table.values.iter_mut().enumerate().for_each(|(place, x)| *x += 20.0 * (place / 2 % 3) as f64);
    table
}

/// A few rows of each component, named against the order that any start would find.
#[test]
fn a_few_known_rows_name_the_components() {
    let table = apart();
    let name = |i: usize| [2, 0, 1][i % 3];
    for known in [3, 6, 9] {
        let labels = (0..300).map(|i| (i < known).then(|| name(i)));
        let fitted =
            GaussianMixture::new(3).starts(8).labels(labels).fit(table.rows().into()).unwrap();
        let found = fitted.mixture.labels(table.rows()).unwrap();
        let right = (0..300).filter(|i| found[*i] == name(*i)).count();
        assert_eq!(right, 300, "{known} known");
    }
}

/// One component without a known row, one row that must not go to the first.
#[test]
fn components_without_a_known_row_are_found_among_the_others() {
    let table = apart();
    let labels = (0..300).map(|i| match i {
        0 => Label::Known(2),
        1 => Label::any_but(&[0]),
        _ => Label::Unknown,
    });
    let fitted =
        GaussianMixture::new(3).starts(12).labels(labels).fit(table.rows().into()).unwrap();
    let found = fitted.mixture.labels(table.rows()).unwrap();
    assert_eq!((found[0], found[1]), (2, 1));
}

#[test]
fn labels_follow_their_rows_through_pieces_weights_and_sources() {
    let table = clusters(5000, 2, 3, 12);
    let labels = partial(5000, 3);
    let weights: Vec<f64> = (0..5000).map(|i| f64::from(i % 3)).collect();
    let data = Weighted::new(table.rows(), &weights).unwrap().with_labels(&labels).unwrap();
    let component = |m: f64| MultivariateGaussian::standard(CovarianceStructure::VVV, vec![m, -m]);
    let start =
        Mixture::new(vec![0.25, 0.5, 0.25], vec![component(-3.0), component(0.0), component(3.0)]);
    let (start, model) = (start.unwrap(), MixtureModel::ml());
    let settings = Settings { max_iterations: 6, ..Settings::default() };
    let here = model.fit(data, &Start::At(start.clone()), &settings, &()).unwrap();
    let source = WeightedSource::new(Shelf(&table), weights.clone()).unwrap();
    let source = source.with_labels(labels.clone()).unwrap();
    let there = model.fit_source(&source, std::slice::from_ref(&start), &settings, &()).unwrap();
    assert_eq!(here.mixture, there.mixture);
    assert_eq!(here.log_likelihood.to_bits(), there.log_likelihood.to_bits());

    // Weights are replication.
    let rows: Vec<usize> = (0..5000).flat_map(|i| vec![i; i % 3]).collect();
    let values: Vec<f64> =
        rows.iter().flat_map(|i| table.values[2 * i..2 * i + 2].to_vec()).collect();
    let repeated: Vec<Label> = rows.iter().map(|i| labels[*i]).collect();
    let data = Weighted::uniform(Rows::new(&values, rows.len(), 2)).with_labels(&repeated).unwrap();
    let again = model.fit(data, &Start::At(start), &settings, &()).unwrap();
    let error = (here.log_likelihood - again.log_likelihood).abs();
    assert!(error < 1e-12 * here.log_likelihood.abs(), "{error}");
}

#[test]
fn a_row_that_no_component_may_have_is_named() {
    let table = clusters(4000, 2, 2, 1);
    let mut labels = vec![Label::Unknown; 4000];
    let fit = |labels: &[Label]| {
        GaussianMixture::new(2).starts(1).labels(labels.iter().copied()).fit(table.rows().into())
    };
    for bad in [Label::Known(2), Label::AnyOf(0), Label::AnyOf(0b1100), Label::Known(70)] {
        labels[3456] = bad;
        let error = fit(&labels).unwrap_err();
        let expected = DataError::Label { row: 3456, label: bad, components: 2 };
        assert_eq!(error, FitError::Data(expected.clone()));
        assert!(error.to_string().contains("3456"));

        // Found in the piece that it is in as well, and by a mixture that exists.
        let mixture = GaussianMixture::new(2).starts(1).fit(table.rows().into()).unwrap().mixture;
        let source = WeightedSource::uniform(Shelf(&table)).with_labels(labels.clone()).unwrap();
        let settings = Settings::default();
        let model = MixtureModel::<MultivariateGaussian, _, _>::ml();
        let error = model.fit_source(&source, &[mixture], &settings, &()).unwrap_err();
        assert_eq!(error, FitError::Data(expected));
    }
    let mut weights = vec![1.0; 4000];
    weights[3456] = 0.0;
    let data = Weighted::new(table.rows(), &weights).unwrap().with_labels(&labels).unwrap();
    assert!(GaussianMixture::new(2).starts(1).fit(data).is_ok());
    let error = fit(&labels[1..]).unwrap_err();
    let (of, with) = ("labels", "observations");
    assert_eq!(error, FitError::Data(DataError::Unpaired { of, left: 3999, with, right: 4000 }));
}

/// A set has no bit for a 65th component.
#[test]
fn sets_end_at_sixty_four() {
    assert!(Label::AnyOf(u64::MAX).allows(63) && !Label::AnyOf(u64::MAX).allows(64));
    assert!(Label::any_of(&[63]).known() == Some(63) && Label::any_of(&[1, 63]).known().is_none());
    assert!(Label::Known(100).allows_any(101) && !Label::Known(100).allows_any(100));
    assert!(!Label::any_but(&[0]).allows_any(1) && Label::any_but(&[0]).allows_any(2));
}
