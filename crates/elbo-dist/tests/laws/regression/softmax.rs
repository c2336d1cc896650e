//! Softmax regressions obey the laws of their traits; their oracles are numerical derivatives, the equations of the optimum,
//! and logistic regression where there are two classes.

use elbo_core::{DataError, EstimateError, Family, FlatParameters, Rows, Statistics, fit_single};
use elbo_dist::{LogisticRegression, SoftmaxRegression};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use crate::rng;

const CLASSES: u32 = 3;
const P: usize = 2;
/// Coefficients of each class.
const WIDTH: usize = P + 1;
const CENTER: [f64; P] = [0.5, -1.0];

#[derive(Clone, Debug)]
struct Data {
    x: Vec<f64>,
    y: Vec<u32>,
}

impl Sample for Data {
    type Family = SoftmaxRegression;

    fn batch(&self) -> (Rows<'_>, &[u32]) {
        (Rows::new(&self.x, self.y.len(), P), &self.y)
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let x = rows.iter().flat_map(|i| &self.x[i * P..][..P]).copied().collect();
        Self { x, y: rows.iter().map(|i| self.y[*i]).collect() }
    }
}

impl Data {
    fn rows(&self) -> impl Iterator<Item = (&[f64], u32)> {
        self.x.chunks_exact(P).zip(self.y.iter().copied())
    }
}

fn regression() -> impl Strategy<Value = SoftmaxRegression> {
    (vec(-3.0..3.0_f64, 2), vec(-1.5..1.5_f64, 2 * P)).prop_map(|(values, slopes)| {
        SoftmaxRegression::centered(CENTER.to_vec(), values, slopes).unwrap()
    })
}

fn rows(
    size: impl Strategy<Value = usize>,
    zeros: u32,
) -> impl Strategy<Value = WeightedSample<Data>> {
    size.prop_flat_map(move |n| {
        let weight = prop_oneof![4 => 0.1..2.0, zeros => Just(0.0)];
        let cells = (vec(-2.0..2.0_f64, n * P), vec(0..CLASSES, n), vec(weight, n));
        (cells, 0.1..2.0).prop_map(|((x, y, mut weights), first)| {
            weights[0] = first;
            WeightedSample::new(Data { x, y }, weights)
        })
    })
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    rows(prop_oneof![9 => 1..40_usize, 1 => 260..300_usize], 1)
}

/// Design points with all classes each: there is a maximum.
fn estimable() -> impl Strategy<Value = WeightedSample<Data>> {
    (rows(6..14_usize, 0), vec(0.1..2.0_f64, 14 * 3)).prop_map(|(sample, weights)| {
        let mut all = Data { x: Vec::new(), y: Vec::new() };
        for (x, _) in sample.data.rows() {
            for class in 0..CLASSES {
                all.x.extend_from_slice(x);
                all.y.push(class);
            }
        }
        let n = all.y.len();
        WeightedSample::new(all, weights[..n].to_vec())
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((regression(), sample()).prop_map(|(r, s)| s.stats(&r)));
}

mod family {
    use super::*;

    fn extreme() -> Just<Data> {
        let wild = [f64::MAX, f64::NAN, f64::INFINITY, f64::MIN, 0.0, 1e9];
        Just(Data { x: wild.to_vec(), y: vec![0, 2, 1] })
    }

    // Linear predictors of size 10 are sums of terms of size 10.
    elbo_laws::family_laws!(regression(), sample(), extreme(), 1e3);
}

/// `Σw (1[y = c] − p_c) z`, class by class, and the sum of the terms' sizes.
fn gradient(at: &SoftmaxRegression, sample: &WeightedSample<Data>) -> (Vec<f64>, f64) {
    let mut sums = vec![0.0; 2 * WIDTH];
    let mut size = 0.0;
    for ((x, class), w) in sample.data.rows().zip(&sample.weights) {
        let p = at.predict(x);
        for c in 0..2 {
            let residual = w * (f64::from(u8::from(class as usize == c)) - p[c]);
            for (i, z) in [1.0, x[0] - CENTER[0], x[1] - CENTER[1]].into_iter().enumerate() {
                sums[c * WIDTH + i] += residual * z;
                size += (residual * z).abs();
            }
        }
    }
    (sums, size)
}

fn converged(start: &SoftmaxRegression, sample: &WeightedSample<Data>) -> SoftmaxRegression {
    let mut here = start.clone();
    for _ in 0..80 {
        let stats = sample.stats(&here);
        here.clone().maximize(&stats, &mut here).unwrap();
    }
    here
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn coordinates_give_the_distribution_back(regression in regression(), sample in sample()) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&regression, &sample.data, 1.0);
    }

    #[test]
    fn every_point_is_a_distribution(flat in vec(-50.0..50.0_f64, 6)) {
        let shape = SoftmaxRegression::uniform(3, 2);
        elbo_laws::parameters::every_point_is_a_distribution(&shape, &flat);
    }

    #[test]
    fn scores_are_log_probabilities_that_add_up(regression in regression(), x in vec(-9.0..9.0_f64, P)) {
        let (eta, mut scores) = (regression.log_probabilities(&x), [0.0; 3]);
        let all = [x.clone(), x.clone(), x.clone()].concat();
        regression.log_density_into((Rows::new(&all, 3, P), &[0, 1, 2]), &mut scores);
        for (class, score) in scores.iter().enumerate() {
            assert_close(*score, eta[class], 1e3);
        }
        let slopes = regression.coefficients().chunks_exact(P);
        let terms: Vec<f64> = slopes
            .zip(regression.intercepts())
            .map(|(b, intercept)| (intercept + b[0] * x[0] + b[1] * x[1]).exp())
            .collect();
        let total = 1.0 + terms.iter().sum::<f64>();
        prop_assert!((scores[1].exp() - terms[1] / total).abs() < 1e-13);
        prop_assert!((scores[2].exp() - 1.0 / total).abs() < 1e-13);
        prop_assert!((regression.predict(&x).iter().sum::<f64>() - 1.0).abs() < 1e-14);
    }

    /// Behind the classes' weights a flat view has the gradient and the curvature.
    #[test]
    fn statistics_are_derivatives(start in regression(), sample in sample(), shift in vec(-1.0..1.0_f64, 6)) {
        const H: f64 = 1e-4;
        let mut flat = Vec::new();
        sample.stats(&start).write_to(&mut flat);
        let (expected, size) = gradient(&start, &sample);
        for (a, b) in flat[3..9].iter().zip(&expected) {
            assert_close(*a, *b, 10.0 * (1.0 + size));
        }
        let mut at = Vec::new();
        start.write_unconstrained(&mut at);
        at.iter_mut().zip(&shift).for_each(|(at, s)| *at += H * s);
        let near = start.with_unconstrained(&mut &at[..]);
        let (there, mut moved) = (sample.stats(&near), sample.stats(&start));
        moved.align(&there);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        there.write_to(&mut a);
        moved.write_to(&mut b);
        // Third derivatives are no more than some curvatures.
        let size = a.iter().fold(1.0_f64, |max, x| max.max(x.abs()));
        for i in 3..9 {
            prop_assert!((a[i] - b[i]).abs() <= 100.0 * H * H * size, "{:?} {:?}", a, b);
        }
    }

    #[test]
    fn steps_never_lower_the_log_likelihood(
        start in regression(), sample in rows(5..40_usize, 1), wild in 1.0..12.0_f64
    ) {
        let mut flat = Vec::new();
        start.write_unconstrained(&mut flat);
        for b in &mut flat {
            *b *= wild;
        }
        let mut here = start.with_unconstrained(&mut &flat[..]);
        let (mut before, _) = sample.log_likelihood(&here);
        for step in 0..25 {
            let stats = sample.stats(&here);
            // Classes without an observation, and few rows, have no maximum.
            if let Err(error) = here.clone().maximize(&stats, &mut here) {
                let known =
                    matches!(error, EstimateError::Boundary { .. } | EstimateError::Singular { .. });
                prop_assert!(known, "{:?}", error);
                break;
            }
            let (after, size) = sample.log_likelihood(&here);
            let rounding = elbo_laws::TOLERANCE * (size + 1e3 * sample.total_weight());
            prop_assert!(after >= before - rounding, "step {}: {} → {}", step, before, after);
            before = after;
        }
    }

    #[test]
    fn the_gradient_is_zero_in_the_end(start in regression(), sample in estimable()) {
        let fit = converged(&start, &sample);
        let (gradient, size) = gradient(&fit, &sample);
        for g in gradient {
            assert_close(g, 0.0, 100.0 * size);
        }
    }

    #[test]
    fn two_classes_are_a_logistic_regression(
        intercept in -2.0..2.0_f64, slopes in vec(-1.0..1.0_f64, P), sample in estimable()
    ) {
        let softmax = SoftmaxRegression::new(vec![intercept], slopes.clone()).unwrap();
        let logistic = LogisticRegression::new(intercept, slopes).unwrap();
        let classes: Vec<u32> = sample.data.y.iter().map(|class| u32::from(*class > 0)).collect();
        let successes: Vec<bool> = classes.iter().map(|class| *class == 0).collect();
        let n = classes.len();
        let x = Rows::new(&sample.data.x, n, P);
        let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
        softmax.log_density_into((x, &classes), &mut a);
        logistic.log_density_into((x, &successes), &mut b);
        for (a, b) in a.iter().zip(&b) {
            assert_close(*a, *b, 1e2);
        }
        let weighted = |score: &[f64]| score.iter().zip(&sample.weights).map(|(s, w)| s * w).sum::<f64>();
        let (mut here, mut there) = (softmax, logistic);
        for _ in 0..40 {
            let mut stats = here.new_stats();
            here.observe(&mut stats, (x, &classes), &sample.weights);
            here.clone().maximize(&stats, &mut here).unwrap();
            let mut stats = there.new_stats();
            there.observe(&mut stats, (x, &successes), &sample.weights);
            there.clone().maximize(&stats, &mut there).unwrap();
        }
        here.log_density_into((x, &classes), &mut a);
        there.log_density_into((x, &successes), &mut b);
        assert_close(weighted(&a), weighted(&b), 1e3 * n as f64);
        for (a, b) in here.coefficients().iter().zip(there.coefficients()) {
            prop_assert!((a - b).abs() < 1e-7, "{} is not {}", a, b);
        }
    }

    #[test]
    fn divergences_are_sums_over_classes(a in regression(), b in regression(), x in vec(-3.0..3.0_f64, P)) {
        let (p, q) = (a.predict(&x), b.predict(&x));
        let sum: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        prop_assert!((a.kl_divergence_given(&x, &b) - sum).abs() < 1e-12 * (1.0 + sum));
        prop_assert_eq!(a.kl_divergence_given(&x, &a), 0.0);
    }
}

/// Böhning's bound saves a start at which all rows are as good as certain, where Newton's matrix vanishes.
#[test]
fn a_far_start_finds_the_way() {
    let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let y: &[u32] = &[0, 1, 0, 1, 2, 1, 0, 2, 2];
    let data = (Rows::new(&x, 9, 1), y);
    let near = fit_single(SoftmaxRegression::uniform(3, 1), data).unwrap();
    let far = SoftmaxRegression::new(vec![40.0, -300.0], vec![-20.0, 90.0]).unwrap();
    let far = fit_single(far, data).unwrap();
    for (a, b) in near.params.coefficients().iter().zip(far.params.coefficients()) {
        assert!((a - b).abs() < 1e-4, "{a} is not {b}");
    }
}

#[test]
fn draws_have_the_predicted_frequencies() {
    let regression = SoftmaxRegression::new(vec![0.5, -1.0], vec![1.0, 0.3]).unwrap();
    let (p, mut rng, n) = (regression.predict(&[0.7]), rng(4), 20_000);
    let mut counts = [0.0; 3];
    (0..n).for_each(|_| counts[regression.sample_given(&[0.7], &mut rng) as usize] += 1.0);
    for (count, p) in counts.iter().zip(p) {
        let std_dev = (f64::from(n) * p * (1.0 - p)).sqrt();
        assert!((count - f64::from(n) * p).abs() < 5.0 * std_dev, "{counts:?}");
    }
}

#[test]
fn data_are_checked() {
    let regression = SoftmaxRegression::uniform(3, 2);
    let check = |x: &[f64], y: &[u32]| regression.check((Rows::new(x, x.len() / 2, 2), y));
    assert_eq!(check(&[1.0; 4], &[0, 2]), Ok(()));
    let beyond = DataError::Category { row: 1, value: 3, categories: 3 };
    assert_eq!(check(&[1.0; 4], &[0, 3]), Err(beyond));
    assert!(matches!(check(&[1.0; 4], &[0]), Err(DataError::Unpaired { .. })));
    let missing = check(&[1.0, 1.0, f64::NAN, 1.0], &[0, 1]);
    assert!(matches!(missing, Err(DataError::NotFinite { row: 1, column: 0, .. })), "{missing:?}");
    assert!(SoftmaxRegression::new(vec![], vec![1.0]).is_err());
    assert!(SoftmaxRegression::new(vec![0.0, 1.0], vec![1.0; 3]).is_err());
    assert!(SoftmaxRegression::new(vec![f64::NAN], vec![1.0]).is_err());
}

#[test]
fn estimates_without_an_answer_are_errors() {
    let start = SoftmaxRegression::uniform(3, 2);
    let estimate = |x: &[f64], y: &[u32]| {
        let sample = WeightedSample::new(Data { x: x.to_vec(), y: y.to_vec() }, vec![1.0; y.len()]);
        start.maximize(&sample.stats(&start), &mut start.clone())
    };
    let x = [0.3, 1.0, -0.4, 0.7, 1.2, -0.2, 0.9, 0.1, -1.0, 0.5, 0.2, 0.2];
    let y = [0, 1, 2, 0, 1, 2];
    estimate(&x, &y).unwrap();
    let unseen = estimate(&x, &[0, 1, 1, 0, 0, 1]);
    assert!(matches!(unseen, Err(EstimateError::Boundary { .. })), "{unseen:?}");
    let collinear: Vec<f64> = x.iter().step_by(2).flat_map(|x| [*x, 2.0 - x]).collect();
    let result = estimate(&collinear, &y);
    assert!(matches!(result, Err(EstimateError::Singular { column: 1, .. })), "{result:?}");
    let constant: Vec<f64> = x.iter().step_by(2).flat_map(|x| [0.3, *x]).collect();
    let result = estimate(&constant, &y);
    assert!(matches!(result, Err(EstimateError::Singular { column: 0, .. })), "{result:?}");
    let empty = start.maximize(&start.new_stats(), &mut start.clone());
    assert!(matches!(empty, Err(EstimateError::NoWeight { .. })), "{empty:?}");
    // Three classes in three thirds of the line.
    let line = [-3.0, -2.0, 0.0, 0.5, 3.0, 4.0];
    let result = fit_single(
        SoftmaxRegression::uniform(3, 1),
        (Rows::new(&line, 6, 1), &[0, 0, 1, 1, 2, 2][..]),
    );
    assert!(result.is_err(), "{result:?}");
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let regression =
        SoftmaxRegression::centered(vec![0.5], vec![1.0, 2.5], vec![3.0, 4.0]).unwrap();
    let text = serde_json::to_string(&regression).unwrap();
    assert_eq!(serde_json::from_str::<SoftmaxRegression>(&text).unwrap(), regression);
    assert!(serde_json::from_str::<SoftmaxRegression>(&text.replace(",2.5", "")).is_err());
}
