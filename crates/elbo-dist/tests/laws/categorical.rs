//! The categorical distribution obeys the laws of its traits; its oracle is counting.

use elbo_core::{DataError, EstimateError, Family, Statistics};
use elbo_dist::{Categorical, CategoricalStats};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{array::uniform4, collection::vec, prelude::*};

use crate::rng;

type Data = Of<Categorical, u32>;

/// Four categories, some of them impossible.
fn categorical() -> impl Strategy<Value = Categorical> {
    let weight = prop_oneof![3 => 0.01..1.0, 1 => Just(0.0)];
    uniform4(weight).prop_filter_map("some category must be possible", |weights| {
        Categorical::from_weights(&weights).ok()
    })
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    let size = prop_oneof![9 => 1..40_usize, 1 => 260..300_usize];
    size.prop_flat_map(move |n| {
        (vec((0..4_u32, weight.clone()), n), 0.1..2.0).prop_map(|(rows, first)| {
            let (data, mut weights): (Vec<u32>, Vec<f64>) = rows.into_iter().unzip();
            weights[0] = first;
            WeightedSample::new(Of::new(data), weights)
        })
    })
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((categorical(), sample()).prop_map(|(c, s)| s.stats(&c)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(categorical(), sample(), Just(Data::new(vec![0, 3, 3])));
}

proptest! {
    #[test]
    fn no_neighbor_is_more_likely(
        start in categorical(), sample in sample(), others in vec(categorical(), 5)
    ) {
        let neighbors = |best: &Categorical| toward(best, &others);
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_gradient_vanishes_at_the_maximum(start in categorical(), sample in sample()) {
        let at = |best: &Categorical, step: &[f64]| {
            let mut weights = best.probabilities().to_vec();
            weights.iter_mut().zip(step).for_each(|(w, s)| *w *= s.exp());
            Categorical::from_weights(&weights).unwrap()
        };
        elbo_laws::family::the_gradient_vanishes_at_the_maximum(&start, &sample, 4, at);
    }

    #[test]
    fn many_draws_at_once_follow_the_cdf(truth in categorical(), seed in any::<u64>()) {
        let draws = elbo_core::Draw::draw(&truth, 2000, &mut rng(seed));
        let below = |x: u32| x.checked_sub(1).map_or(0.0, |x| truth.cdf(x));
        elbo_laws::univariate::draws_follow_the_cdf(draws, |x| truth.cdf(x), below);
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in categorical(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws = (0..1000).map(|_| truth.sample(&mut rng)).collect();
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(draws));
    }

    #[test]
    fn estimates_are_relative_frequencies(start in categorical(), sample in sample()) {
        let mut fitted = start.clone();
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        for category in 0..4 {
            let rows = sample.data.rows().iter().zip(&sample.weights);
            let weight: f64 = rows.filter(|(x, _)| **x == category).map(|(_, w)| w).sum();
            let share = weight / sample.total_weight();
            assert_close(fitted.probabilities()[category as usize], share, 1.0);
        }
    }

    #[test]
    fn entropy_is_minus_the_expected_log_probability(categorical in categorical()) {
        let possible = (0..4_u32).zip(categorical.probabilities()).filter(|(_, p)| **p > 0.0);
        let expected: f64 = possible.map(|(x, p)| -p * categorical.log_probability(x)).sum();
        assert_close(categorical.entropy(), expected, 4.0);
    }

    #[test]
    fn coordinates_give_the_distribution_back(weights in uniform4(0.01..1.0_f64), sample in sample()) {
        let categorical = Categorical::from_weights(&weights).unwrap();
        elbo_laws::parameters::coordinates_give_the_distribution_back(&categorical, &sample.data, 1e2);
    }

    #[test]
    fn every_point_is_a_distribution(flat in prop::array::uniform3(-300.0..300.0_f64)) {
        elbo_laws::parameters::every_point_is_a_distribution(&Categorical::uniform(4), &flat);
    }

    #[test]
    fn codes_have_a_distribution(a in categorical(), b in categorical(), u in 0.0..=1.0_f64) {
        let sum = |f: &dyn Fn(u32) -> f64| {
            (0..4).zip(a.probabilities()).filter(|(_, p)| **p > 0.0).map(|(x, p)| p * f(x)).sum::<f64>()
        };
        let mean = sum(&f64::from);
        assert_close(a.mean(), mean, 3.0);
        assert_close(a.variance(), sum(&|x| (f64::from(x) - mean).powi(2)), 9.0);
        for x in 0..5 {
            assert_close(a.cdf(x), sum(&|y| f64::from(u8::from(y <= x))), 1.0);
        }
        prop_assert_eq!(a.cdf(3), 1.0);
        let x = a.quantile(u);
        prop_assert!(a.cdf(x) >= u && (x == 0 || a.cdf(x - 1) < u), "{} is no quantile of {}", x, u);
        let kl = sum(&|x| a.log_probability(x) - b.log_probability(x));
        assert_close(a.kl_divergence(&b), kl, 1e2);
        prop_assert!(a.kl_divergence(&b) >= 0.0);
        prop_assert_eq!(a.kl_divergence(&a), 0.0);
    }

    #[test]
    fn the_table_keeps_the_components_of_a_category_together(
        components in vec(categorical(), 1..5)
    ) {
        let k = components.len();
        let mut packed = components[0].new_packed(k);
        for (j, component) in components.iter().enumerate() {
            component.pack(j, &mut packed);
        }
        prop_assert_eq!((packed.components(), packed.categories()), (k, 4));
        for category in 0..4_u32 {
            let expected: Vec<f64> = components.iter().map(|c| c.log_probability(category)).collect();
            prop_assert_eq!(packed.log_probabilities(category as usize), &expected[..]);
            prop_assert_eq!(&packed.table()[category as usize * k..][..k], &expected[..]);
        }
    }
}

#[test]
fn impossible_categories_stay_impossible() {
    let coin = Categorical::new(vec![0.0, 1.0]).unwrap();
    assert_eq!(coin.log_probability(0), f64::NEG_INFINITY);
    assert_eq!(coin.entropy(), 0.0);
    let mut rng = rng(0);
    assert!((0..1000).all(|_| coin.sample(&mut rng) == 1));
    let mut fitted = coin.clone();
    coin.maximize(&coin.expected_stats(3.0), &mut fitted).unwrap();
    assert_eq!(fitted.probabilities(), [0.0, 1.0]);
}

#[test]
fn the_boundary_has_infinite_coordinates() {
    for (p, coordinates) in [
        // to the last category that is possible
        (vec![0.5, 0.0, 0.5, 0.0], vec![0.0, f64::NEG_INFINITY, f64::NEG_INFINITY]),
        (vec![0.0, 0.25, 0.0, 0.75], vec![f64::NEG_INFINITY, -3_f64.ln(), f64::NEG_INFINITY]),
    ] {
        let boundary = Categorical::new(p.clone()).unwrap();
        let mut flat = Vec::new();
        elbo_core::FlatParameters::write_unconstrained(&boundary, &mut flat);
        for (a, b) in flat.iter().zip(&coordinates) {
            assert!(a == b || (a - b).abs() < 1e-15, "{flat:?}");
        }
        let back = elbo_core::FlatParameters::with_unconstrained(&boundary, &mut &flat[..]);
        for (a, b) in back.probabilities().iter().zip(&p) {
            assert!((a - b).abs() < 1e-15, "{back:?}");
        }
    }
}

#[test]
fn counts_without_a_distribution_are_rejected() {
    let coin = Categorical::uniform(2);
    let estimate = |stats: &CategoricalStats| coin.maximize(stats, &mut coin.clone());
    assert!(matches!(estimate(&coin.new_stats()), Err(EstimateError::NoWeight { .. })));
    for bad in [[-1.0, 3.0], [f64::NAN, 1.0], [f64::INFINITY, 1.0]] {
        let mut stats = coin.new_stats();
        stats.read_from(&bad);
        assert!(matches!(estimate(&stats), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn parameters_and_data_are_checked() {
    for bad in [vec![], vec![0.5, 0.6], vec![-0.5, 1.5], vec![f64::NAN, 1.0]] {
        assert!(Categorical::new(bad).is_err());
    }
    assert!(Categorical::from_weights(&[0.0, 0.0]).is_err());
    assert_eq!(Categorical::from_weights(&[1.0, 3.0]).unwrap().probabilities(), [0.25, 0.75]);
    let error = Categorical::uniform(3).check(&[0, 2, 3]).unwrap_err();
    assert_eq!(error, DataError::Category { row: 2, value: 3, categories: 3 });
}

/// Distributions on the way from `best` to each of `others`.
pub(crate) fn toward(best: &Categorical, others: &[Categorical]) -> Vec<Categorical> {
    let mut neighbors = Vec::new();
    for other in others {
        for share in [1e-6, 1e-3, 0.1, 1.0] {
            let pairs = best.probabilities().iter().zip(other.probabilities());
            let mix: Vec<f64> = pairs.map(|(a, b)| (1.0 - share) * a + share * b).collect();
            neighbors.push(Categorical::from_weights(&mix).unwrap());
        }
    }
    neighbors
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let third = Categorical::uniform(3);
    let text = serde_json::to_string(&third).unwrap();
    assert_eq!(serde_json::from_str::<Categorical>(&text).unwrap(), third);
    let error =
        serde_json::from_str::<Categorical>(r#"{"probabilities": [0.5, 0.6]}"#).unwrap_err();
    assert!(error.to_string().contains("sum to 1.1"), "{error}");
}
