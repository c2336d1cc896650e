//! Divergences, entropies, marginals, conditionals, coordinates and draws agree with the density.

use elbo_core::{Batch, ConjugatePrior, Draw, Family, FlatParameters, Rows, Statistics};
use elbo_dist::CovarianceStructure::{EVE, VII, VVI, VVV};
use elbo_dist::{MultivariateGaussian, NormalInverseWishart, ParameterError};
use elbo_laws::parameters::{
    coordinates_give_the_distribution_back, every_point_is_a_distribution,
};
use elbo_laws::{WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};

use super::{Table, fitted, gaussian, two_passes};
use crate::rng;

/// `E[f(x)]` of a quadratic `f`, exactly: the average over the points `μ ± √d lᵢ`, `lᵢ` the columns of `L`.
fn mean_of_quadratic(gaussian: &MultivariateGaussian, f: impl Fn(&[f64]) -> f64) -> f64 {
    let d = gaussian.d();
    let mut l = gaussian.covariance();
    elbo_linalg::cholesky_in_place(&mut l, d).unwrap();
    let at = |i: usize, sign: f64| {
        let x = (0..d).map(|a| gaussian.mean()[a] + sign * (d as f64).sqrt() * l[a * d + i]);
        f(&x.collect::<Vec<f64>>())
    };
    (0..d).map(|i| at(i, 1.0) + at(i, -1.0)).sum::<f64>() / (2 * d) as f64
}

/// Any of three structures in three columns.
fn any_gaussian() -> impl Strategy<Value = MultivariateGaussian> {
    prop_oneof![gaussian(VVV, 3, 10.0), gaussian(VVI, 3, 10.0), gaussian(VII, 3, 10.0)]
}

proptest! {
    #[test]
    fn the_divergence_is_the_mean_log_ratio(a in any_gaussian(), b in any_gaussian()) {
        let expected = mean_of_quadratic(&a, |x| a.log_density(x) - b.log_density(x));
        let size = mean_of_quadratic(&a, |x| a.log_density(x).abs() + b.log_density(x).abs());
        let divergence = a.kl_divergence(&b);
        // variances from 0.1 to 5 and correlations: condition numbers of some hundred
        assert_close(divergence, expected, 1e3 * (1.0 + size));
        prop_assert!(divergence >= 0.0);
        prop_assert!(a.kl_divergence(&a) <= 1e-28, "a Gaussian is not far from itself");
    }

    #[test]
    fn the_entropy_is_the_mean_information(gaussian in any_gaussian()) {
        let expected = mean_of_quadratic(&gaussian, |x| -gaussian.log_density(x));
        assert_close(gaussian.entropy(), expected, 1e3);
    }

    #[test]
    fn the_joint_density_is_marginal_times_conditional(
        gaussian in prop_oneof![gaussian(VVV, 5, 10.0), gaussian(VVI, 5, 10.0), gaussian(VII, 5, 10.0)],
        seed in any::<u64>(), given in 1..31_usize,
    ) {
        let x = gaussian.sample(&mut rng(seed));
        let columns: Vec<usize> = (0..5).rev().filter(|c| given >> c & 1 == 1).collect();
        let left: Vec<usize> = (0..5).filter(|c| given >> c & 1 == 0).collect();
        let at = |columns: &[usize]| columns.iter().map(|c| x[*c]).collect::<Vec<f64>>();
        let marginal = gaussian.marginal(&columns).unwrap();
        for (i, a) in columns.iter().enumerate() {
            prop_assert_eq!(marginal.mean()[i], gaussian.mean()[*a]);
            for (j, b) in columns.iter().enumerate() {
                let entry = gaussian.covariance()[a * 5 + b];
                prop_assert_eq!(marginal.covariance()[i * columns.len() + j], entry);
            }
        }
        let sum = if left.is_empty() {
            marginal.log_density(&at(&columns))
        } else {
            let conditional = gaussian.conditional(&columns, &at(&columns)).unwrap();
            marginal.log_density(&at(&columns)) + conditional.log_density(&at(&left))
        };
        assert_close(gaussian.log_density(&x), sum, 1e5);
    }

    #[test]
    fn coordinates_are_as_many_as_free_parameters(gaussian in any_gaussian(), at in -10.0..10.0_f64) {
        let data = Table { data: (0..30).map(|i| at + f64::from(i % 7)).collect(), d: 3 };
        let size = data.data.chunks(3).map(|x| gaussian.log_density(x).abs()).fold(0.0, f64::max);
        coordinates_give_the_distribution_back(&gaussian, &data, 1e3 * (1.0 + size));
    }

    #[test]
    fn all_coordinates_are_allowed(flat in vec(-3.0..3.0_f64, 9)) {
        let shape = |structure| MultivariateGaussian::standard(structure, vec![0.0; 3]);
        every_point_is_a_distribution(&shape(VVV), &flat);
        every_point_is_a_distribution(&shape(EVE), &flat);
        every_point_is_a_distribution(&shape(VVI), &flat[..6]);
        every_point_is_a_distribution(&shape(VII), &flat[..4]);
        let single = MultivariateGaussian::standard(VVV, vec![0.0]);
        every_point_is_a_distribution(&single, &flat[..2]);
    }

    #[test]
    fn chunks_far_apart_merge_to_the_two_pass_moments(
        sets in vec(vec(-1.0..1.0_f64, 24), 3), structure in prop_oneof![Just(VVV), Just(VVI)]
    ) {
        // 10⁸ standard deviations from zero, and twice as far from one another
        let offsets = [1e8, -1e8, 1e8 + 3.0];
        let mut merged = MultivariateGaussian::standard(structure, vec![0.0; 2]).new_stats();
        let mut all = Vec::new();
        for (set, offset) in sets.iter().zip(offsets) {
            let data: Vec<f64> = set.iter().map(|x| x + offset).collect();
            let near = MultivariateGaussian::standard(structure, vec![offset; 2]);
            let sample = WeightedSample::new(Table { data: data.clone(), d: 2 }, vec![1.0; 12]);
            merged.merge(&sample.stats(&near));
            all.extend(data);
        }
        let (mean, covariance) = two_passes(&WeightedSample::new(Table { data: all, d: 2 }, vec![1.0; 36]));
        for i in 0..2 {
            assert_close(merged.mean()[i], mean[i], 1e8);
            for j in if structure == VVV { 0..2 } else { i..i + 1 } {
                assert_close(merged.covariance()[i * 2 + j], covariance[i * 2 + j], 1e16);
            }
        }
    }

    #[test]
    fn chunks_far_from_zero_merge_without_loss(sets in vec(vec(-2048..2048_i32, 24), 3)) {
        // numbers of few bits, so that adding 10⁸ rounds none
        let merge = |offset: f64| {
            let mut merged = MultivariateGaussian::standard(VVV, vec![0.0; 2]).new_stats();
            for (set, at) in sets.iter().zip([0.0, 1.0, -2.0]) {
                let near = MultivariateGaussian::standard(VVV, vec![offset + at; 2]);
                let data = set.iter().map(|x| offset + f64::from(*x) / 1024.0).collect();
                let sample = WeightedSample::new(Table { data, d: 2 }, vec![1.0; 12]);
                merged.merge(&sample.stats(&near));
            }
            merged
        };
        prop_assert_eq!(merge(0.0).covariance(), merge(1e8).covariance());
    }
}

#[test]
fn near_gaussians_keep_the_digits_of_their_divergence() {
    let covariance = [4.0, 1.0, 1.0, 2.0];
    let gaussian = MultivariateGaussian::new(VVV, vec![0.0; 2], &covariance).unwrap();
    let moved = MultivariateGaussian::new(VVV, vec![2e-9, 0.0], &covariance).unwrap();
    // ½ δᵀ Σ⁻¹ δ with (Σ⁻¹)₀₀ = 2/7
    let expected = 0.5 * 4e-18 * 2.0 / 7.0;
    assert_close(gaussian.kl_divergence(&moved), expected, expected);
    let h = 1e-6;
    let wide = covariance.map(|s| s * (1.0 + h) * (1.0 + h));
    let wide = MultivariateGaussian::new(VVV, vec![0.0; 2], &wide).unwrap();
    // ½ d (r − 1 − ln r) at r = (1 + h)⁻² is d h² (1 − 5h/3 + …)
    let expected = 2.0 * h * h * (1.0 - 5.0 / 3.0 * h);
    // each tᵢᵢ is rounded by a few units; its excess is as sensitive as 2h
    assert!((gaussian.kl_divergence(&wide) - expected).abs() < 1e-9 * expected);
}

#[test]
fn conditioning_agrees_with_the_textbook() {
    // one column out of two: μ₁ + Σ₁₀/Σ₀₀ (x₀ − μ₀) and Σ₁₁ − Σ₁₀²/Σ₀₀
    let joint = MultivariateGaussian::new(VVV, vec![1.0, -2.0], &[4.0, 1.5, 1.5, 9.0]).unwrap();
    let second = joint.conditional(&[0], &[3.0]).unwrap();
    assert_close(second.mean()[0], -2.0 + 1.5 / 4.0 * 2.0, 10.0);
    assert_close(second.covariance()[0], 9.0 - 1.5 * 1.5 / 4.0, 10.0);
    let first = joint.conditional(&[1], &[0.0]).unwrap();
    assert_close(first.mean()[0], 1.0 + 1.5 / 9.0 * 2.0, 10.0);
    assert_close(first.covariance()[0], 4.0 - 1.5 * 1.5 / 9.0, 10.0);
    assert_eq!(joint.conditional(&[], &[]).unwrap().mean(), joint.mean());
    assert!(matches!(
        joint.conditional(&[0], &[f64::NAN]),
        Err(ParameterError::NotFinite { parameter: "given value", .. })
    ));
}

#[test]
fn ill_conditioned_columns_are_conditioned_upon() {
    // given the sum of two columns and the first, the second follows up to a variance of 10⁻¹²
    let small = 1e-12;
    let covariance = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0 + small];
    let joint = MultivariateGaussian::new(VVV, vec![0.0; 3], &covariance).unwrap();
    let second = joint.conditional(&[0, 2], &[0.25, 1.0]).unwrap();
    let variance = 1.0 - 1.0 / (1.0 + small); // Σ₁₁ − Σ₁₂ (Σ₂₂ − 1)⁻¹ Σ₂₁ given the first
    // 2 + 10⁻¹² is rounded to 10⁻⁴ of 10⁻¹²
    assert!((second.covariance()[0] - variance).abs() < 1e-3 * variance);
    assert!((second.mean()[0] - 0.75).abs() < 1e-11);
}

#[test]
#[should_panic(expected = "given twice")]
fn a_column_stands_for_itself_once() {
    let _ = MultivariateGaussian::standard(VVV, vec![0.0; 2]).marginal(&[1, 1]);
}

#[test]
fn draws_are_samples() {
    let gaussian = MultivariateGaussian::new(VVV, vec![1.0, 2.0], &[4.0, 1.0, 1.0, 2.0]).unwrap();
    let mut drawn = gaussian.draw(3, &mut rng(7));
    let mut one_by_one = rng(7);
    let expected: Vec<f64> = (0..3).flat_map(|_| gaussian.sample(&mut one_by_one)).collect();
    assert_eq!(drawn.data(), expected);
    gaussian.draw_onto(2, &mut one_by_one, &mut drawn);
    assert_eq!(MultivariateGaussian::batch_of(&drawn).len(), 5);
    assert_eq!(drawn.rows().get(1, 0), expected[2]);
}

#[test]
fn parameters_have_names() {
    let names = |structure| {
        let mut names = Vec::new();
        let gaussian = MultivariateGaussian::standard(structure, vec![0.0; 2]);
        gaussian.for_each_parameter(&mut |name, value, _| names.push(format!("{name} = {value}")));
        names.join(", ")
    };
    let mean = "mean[0] = 0, mean[1] = 0";
    let full = "covariance[0,0] = 1, covariance[1,0] = 0, covariance[1,1] = 1";
    assert_eq!(names(VVV), format!("{mean}, {full}"));
    assert_eq!(names(VVI), format!("{mean}, variance[0] = 1, variance[1] = 1"));
    assert_eq!(names(VII), format!("{mean}, variance = 1"));
}

#[test]
fn a_posterior_is_the_same_far_from_zero() {
    for (structure, scale) in [(VVV, [2.0, 0.5, 0.5, 1.0]), (VVI, [2.0, 0.0, 0.0, 1.0])] {
        let posterior = |offset: f64| {
            let mean = vec![offset + 0.5, offset - 0.25];
            let prior =
                NormalInverseWishart::new(structure, mean.clone(), 1.0, 4.0, &scale).unwrap();
            let data = [1.0, 2.0, 3.0, 0.5, 5.0, -1.5, 9.0, 7.25].map(|x| x + offset);
            let start = MultivariateGaussian::standard(structure, mean);
            let mut stats = start.new_stats();
            start.observe(&mut stats, Rows::new(&data, 4, 2), &[1.0, 2.0, 0.5, 1.0]);
            let mut posterior = prior.clone();
            prior.posterior(&stats, &mut posterior).unwrap();
            posterior
        };
        let (near, far) = (posterior(0.0), posterior(1e8));
        assert_eq!(near.scale(), far.scale());
        for (a, b) in near.expected_mean().iter().zip(far.expected_mean()) {
            assert!((a + 1e8 - b).abs() <= 2e-8, "{a} is not {b} − 10⁸"); // an ulp of 10⁸
        }
    }
}

#[test]
fn fitted_far_from_zero_from_draws() {
    // an end-to-end check of draws, statistics and estimates at an offset of 10⁸ standard deviations
    let truth = MultivariateGaussian::new(VVV, vec![1e8; 2], &[1.0, 0.5, 0.5, 1.0]).unwrap();
    let drawn = truth.draw(4000, &mut rng(3));
    let sample = WeightedSample::new(Table { data: drawn.data().to_vec(), d: 2 }, vec![1.0; 4000]);
    let fit = fitted(&truth, &sample);
    // correlations of 4000 draws are within five standard errors of 0.5
    assert!((fit.correlation()[1] - 0.5).abs() < 5.0 * 0.75 / 4000.0_f64.sqrt());
    elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &sample.data);
}

#[cfg(feature = "serde")]
#[test]
fn statistics_of_disagreeing_shapes_are_refused() {
    use elbo_dist::MultivariateGaussianStats;
    let start = MultivariateGaussian::standard(VVV, vec![0.1; 2]);
    let mut stats = start.new_stats();
    start.observe(&mut stats, Rows::new(&[0.3, -1.0, 2.2, 0.7], 2, 2), &[0.3, 1.1]);
    let text = serde_json::to_string(&stats).unwrap();
    assert_eq!(serde_json::from_str::<MultivariateGaussianStats>(&text).unwrap(), stats);
    let text =
        r#"{"origin": [0.0, 1.0], "weight": 1.0, "first": [0.0], "second": [1.0, 0.0, 1.0]}"#;
    assert!(serde_json::from_str::<MultivariateGaussianStats>(text).is_err());
    let text = r#"{"origin": [0.0], "weight": 1.0, "first": [0.0], "second": [1.0, 0.0, 1.0]}"#;
    assert!(serde_json::from_str::<MultivariateGaussianStats>(text).is_err());
}
