//! The multinomial distribution obeys the laws of its traits; its oracle is the sum over all rows of counts.

use elbo_core::{
    Batch, Conjugate, ConjugatePrior, DataError, EstimateError, Estimator, Evidence, Family,
    MaximumAPosteriori, Rows, Statistics,
};
use elbo_dist::{Categorical, Dirichlet, DirichletMultinomial, Multinomial};
use elbo_laws::{Sample, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::Discrete;

use crate::rng;
use crate::rows::{RowsOf, all_counts, expect, weighted};

type Data = RowsOf<Multinomial>;

/// `n ln n` and the logarithms of factorials that cancel it, for rows of up to some 10⁴ trials.
const TERMS: f64 = 1e5;

fn multinomial() -> impl Strategy<Value = Multinomial> {
    let weight = prop_oneof![3 => 0.01..1.0, 1 => Just(0.0)];
    vec(weight, 4).prop_filter_map("some category must be possible", |weights| {
        Multinomial::from_weights(&weights).ok()
    })
}

fn interior() -> impl Strategy<Value = Multinomial> {
    vec(0.01..1.0, 4).prop_map(|weights| Multinomial::from_weights(&weights).unwrap())
}

/// Counts below and above the table of factorials.
fn row() -> impl Strategy<Value = Vec<f64>> + Clone {
    let count = prop_oneof![3 => 0..5_u32, 2 => 0..100_u32, 1 => 200..3000_u32];
    vec(count.prop_map(f64::from), 4)
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    weighted(row())
}

fn counted() -> impl Strategy<Value = WeightedSample<Data>> {
    sample().prop_filter("a trial is needed", |s| s.stats(&Multinomial::uniform(4)).trials() > 0.0)
}

mod statistics {
    use super::*;

    elbo_laws::statistics_laws!((multinomial(), sample()).prop_map(|(p, s)| s.stats(&p)));
}

mod family {
    use super::*;

    elbo_laws::family_laws!(
        multinomial(),
        sample(),
        Just(Data::new(&[vec![f64::MAX, 0.0, 1e300, 1.0], vec![0.0; 4]])),
        TERMS
    );
}

mod prior {
    use super::*;

    fn prior() -> impl Strategy<Value = Dirichlet> {
        vec((-3.0..3.0_f64).prop_map(f64::exp), 4).prop_map(|a| Dirichlet::new(a).unwrap())
    }

    fn small() -> impl Strategy<Value = WeightedSample<Data>> {
        weighted(vec((0..20_u32).prop_map(f64::from), 4))
    }

    elbo_laws::prior_laws!(prior(), small(), interior());

    proptest! {
        #[test]
        fn no_neighbor_beats_the_mode(
            alpha in vec(1.01..20.0, 4), sample in small(), others in vec(interior(), 5)
        ) {
            let prior = Dirichlet::new(alpha).unwrap();
            let neighbors = |mode: &Multinomial| toward(mode, &others);
            elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &others[0], &sample, neighbors);
        }

        /// `p(a) p(b ∣ a)` is the evidence of both; a posterior predicts as a Dirichlet-multinomial scores.
        #[test]
        fn the_evidence_is_a_chain_of_predictions(prior in prior(), sample in small()) {
            let point = Multinomial::uniform(4);
            let sample = WeightedSample::new(sample.data.clone(), vec![1.0; sample.len()]);
            let (mut posterior, mut chain, mut size) = (prior.clone(), 0.0, 0.0);
            for row in 0..sample.len() {
                let one = sample.pick(&[row]);
                let mut predicted = [0.0];
                posterior.log_predictive_into(&point, one.data.batch(), &mut predicted);
                let compound = DirichletMultinomial::new(posterior.concentration().to_vec()).unwrap();
                let counts: Vec<f64> = one.data.rows().next().unwrap().to_vec();
                assert_close(predicted[0], compound.log_probability(&counts), 1e3);
                let coefficient = point.log_probability(&counts)
                    + counts.iter().sum::<f64>() * 4.0_f64.ln(); // ln n! − Σ ln x!
                chain += predicted[0] - coefficient;
                size += predicted[0].abs() + coefficient.abs() + 1e3;
                let before = posterior.clone();
                let stats = one.stats(&point);
                ConjugatePrior::<Multinomial>::posterior(&before, &stats, &mut posterior).unwrap();
            }
            assert_close(Evidence::<Multinomial>::log_evidence(&prior, &sample.stats(&point)).unwrap(), chain, size);
        }
    }

    #[test]
    fn expectations_are_averages_over_draws() {
        let q = Dirichlet::new(vec![0.8, 3.0, 5.0]).unwrap();
        let p = Dirichlet::new(vec![1.5, 2.0, 0.7]).unwrap();
        let mut rng = rng(2);
        let draws: Vec<_> = (0..4000)
            .map(|_| Multinomial::from_weights(q.sample(&mut rng).probabilities()).unwrap())
            .collect();
        let data = Data::new(&[vec![1.0, 0.0, 2.0], vec![0.0, 5.0, 5.0]]);
        elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
    }

    #[test]
    fn a_map_estimate_adds_the_prior_counts() {
        let estimator = MaximumAPosteriori::new(Dirichlet::symmetric(2, 2.0).unwrap());
        let start: Conjugate<Multinomial, Dirichlet> =
            estimator.start(vec![Multinomial::uniform(2)], 1.0).unwrap();
        let sample = WeightedSample::new(Data::new(&[vec![3.0, 0.0]]), vec![1.0]);
        let mut next = start.clone();
        estimator.estimate(&start, &[sample.stats(&start.points()[0])], &mut next).unwrap();
        assert_eq!(next.points()[0].probabilities(), [0.8, 0.2]);
    }
}

proptest! {
    #[test]
    fn coordinates_give_the_distribution_back(p in interior(), sample in sample(), flat in vec(-50.0..50.0_f64, 3)) {
        elbo_laws::parameters::coordinates_give_the_distribution_back(&p, &sample.data, TERMS);
        elbo_laws::parameters::every_point_is_a_distribution(&p, &flat);
    }

    #[test]
    fn no_neighbor_is_more_likely(start in multinomial(), sample in counted(), others in vec(multinomial(), 5)) {
        let neighbors = |best: &Multinomial| toward(best, &others);
        elbo_laws::family::no_neighbor_is_more_likely(&start, &sample, neighbors);
    }

    #[test]
    fn the_estimate_is_the_share_of_trials(start in multinomial(), sample in counted()) {
        let mut fitted = start.clone();
        start.maximize(&sample.stats(&start), &mut fitted).unwrap();
        let rows = || sample.data.rows().zip(&sample.weights);
        let trials: f64 = rows().map(|(x, w)| w * x.iter().sum::<f64>()).sum();
        for j in 0..4 {
            let share = rows().map(|(x, w)| w * x[j]).sum::<f64>() / trials;
            assert_close(fitted.probabilities()[j], share, 1.0);
        }
    }

    #[test]
    fn two_categories_are_a_binomial(p in 0.0..1.0_f64, x in 0..200_u32, rest in 0..200_u32) {
        let other = statrs::distribution::Binomial::new(p, u64::from(x + rest)).unwrap();
        let ours = Multinomial::new(vec![p, 1.0 - p]).unwrap();
        let score = ours.log_probability(&[f64::from(x), f64::from(rest)]);
        let expected = other.ln_pmf(u64::from(x));
        prop_assert!((score - expected).abs() <= 1e-10 * (1.0 + expected.abs()));
    }

    #[test]
    fn scores_are_log_probabilities(p in multinomial(), sample in sample()) {
        for (score, row) in sample.log_densities(&p).into_iter().zip(sample.data.rows()) {
            assert_close(score, p.log_probability(row), TERMS);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn moments_agree_with_the_sum_over_all_rows(p in multinomial(), q in interior(), n in 0..9_u32) {
        let rows = all_counts(4, n);
        let trials = f64::from(n);
        let mean_of = |g: &dyn Fn(&[f64]) -> f64| expect(&rows, |x| p.log_probability(x), g);
        let check = |claimed: f64, g: &dyn Fn(&[f64]) -> f64| {
            let (sum, size) = mean_of(g);
            assert_close(claimed, sum, 100.0 * (1.0 + size)); // exponentials of logarithms of size 10
        };
        check(1.0, &|_| 1.0);
        let (mean, covariance) = (p.mean(trials), p.covariance(trials));
        for i in 0..4 {
            check(mean[i], &|x| x[i]);
            for j in 0..4 {
                check(covariance[4 * i + j], &|x| (x[i] - mean[i]) * (x[j] - mean[j]));
            }
        }
        check(p.entropy(u64::from(n)), &|x| -p.log_probability(x));
        check(trials * p.kl_divergence(&q), &|x| p.log_probability(x) - q.log_probability(x));
    }

    #[test]
    fn fitting_draws_recovers_the_distribution(truth in multinomial(), seed in any::<u64>()) {
        let mut rng = rng(seed);
        let draws: Vec<_> = (0..200_u64).map(|i| truth.sample(i % 20 + 1, &mut rng)).collect();
        for (i, row) in (0_u32..).zip(&draws) {
            prop_assert_eq!(row.iter().sum::<f64>(), f64::from(i % 20 + 1));
        }
        elbo_laws::family::fitting_draws_recovers_the_distribution(&truth, &Data::new(&draws));
    }
}

#[test]
fn impossible_categories_stay_impossible() {
    let coin = Multinomial::new(vec![0.0, 1.0]).unwrap();
    assert_eq!(coin.log_probability(&[0.0, 7.0]), 0.0);
    assert_eq!(coin.log_probability(&[1.0, 7.0]), f64::NEG_INFINITY);
    let mut scores = [0.0; 2];
    coin.log_density_into(Rows::new(&[0.0, 7.0, 1.0, 7.0], 2, 2), &mut scores);
    assert_eq!(scores, [0.0, f64::NEG_INFINITY]);
    assert_eq!(coin.sample(9, &mut rng(1)), [0.0, 9.0]);
    let other = Multinomial::uniform(2);
    assert_eq!((other.kl_divergence(&coin), coin.kl_divergence(&coin)), (f64::INFINITY, 0.0));
    assert_eq!(coin.kl_divergence(&other), 2.0_f64.ln());
}

#[test]
fn column_major_rows_score_alike() {
    let p = Multinomial::new(vec![0.2, 0.3, 0.5]).unwrap();
    let (by_row, by_column) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
    p.log_density_into(Rows::new(&by_row, 2, 3), &mut a);
    p.log_density_into(Rows::column_major(&by_column, 2, 3), &mut b);
    assert_eq!(a, b);
    assert!(Rows::<f64>::new(&[], 0, 3).is_empty());
    p.log_density_into(Rows::new(&[], 0, 3), &mut []);
}

#[test]
fn one_trial_is_a_categorical() {
    let p = Multinomial::new(vec![0.2, 0.3, 0.5]).unwrap();
    let trial: &Categorical = p.trial();
    assert_eq!(p.log_probability(&[0.0, 1.0, 0.0]), trial.log_probability(1));
    assert_eq!(p.entropy(1), trial.entropy());
    assert_eq!(p.entropy(0), 0.0);
}

#[test]
fn counts_without_a_distribution_are_rejected() {
    let coin = Multinomial::uniform(2);
    let estimate = |flat: [f64; 3]| {
        let mut stats = coin.new_stats();
        stats.read_from(&flat);
        coin.maximize(&stats, &mut coin.clone())
    };
    for bare in [[0.0; 3], [2.0, 0.0, 0.0]] {
        assert!(matches!(estimate(bare), Err(EstimateError::NoWeight { .. })), "{bare:?}");
    }
    for bad in [[1.0, -1.0, 3.0], [-1.0, 1.0, 1.0], [1.0, f64::NAN, 1.0], [0.0, 1.0, 1.0]] {
        assert!(matches!(estimate(bad), Err(EstimateError::Infeasible { .. })), "{bad:?}");
    }
}

#[test]
fn parameters_and_data_are_checked() {
    assert!(Multinomial::new(vec![0.5, 0.6]).is_err());
    let coin = Multinomial::uniform(2);
    let check = |row: &[f64]| coin.check(Rows::new(row, 1, row.len())).unwrap_err();
    assert_eq!(check(&[1.0; 3]), DataError::Dimension { expected: 2, found: 3 });
    assert!(matches!(check(&[1.0, f64::NAN]), DataError::NotFinite { row: 0, column: 1, .. }));
    for bad in [-1.0, 0.5] {
        assert!(matches!(check(&[1.0, bad]), DataError::Support { row: 0, column: 1, .. }));
    }
    coin.check(Rows::new(&[0.0, 3.0], 1, 2)).unwrap();
}

/// Distributions on the way from `best` to each of `others`.
fn toward(best: &Multinomial, others: &[Multinomial]) -> Vec<Multinomial> {
    let others: Vec<Categorical> = others.iter().map(|other| other.trial().clone()).collect();
    let neighbors = crate::categorical::toward(best.trial(), &others);
    neighbors.iter().map(|n| Multinomial::new(n.probabilities().to_vec()).unwrap()).collect()
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let third = Multinomial::uniform(3);
    let text = serde_json::to_string(&third).unwrap();
    assert_eq!(serde_json::from_str::<Multinomial>(&text).unwrap(), third);
    let error =
        serde_json::from_str::<Multinomial>(r#"{"probabilities": [0.5, 0.6]}"#).unwrap_err();
    assert!(error.to_string().contains("sum to 1.1"), "{error}");
}
