//! The normal-inverse-gamma prior obeys the laws of conjugate priors, and agrees with statrs' densities.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence, Family, Statistics};
use elbo_dist::{Gaussian, NormalInverseGamma};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{collection::vec, prelude::*};
use statrs::distribution::{Continuous, InverseGamma, Normal};

use super::FACTORS;
use crate::{gaussian::neighbors, rng};

pub(crate) type Data = Of<Gaussian, f64>;

pub(crate) fn prior() -> impl Strategy<Value = NormalInverseGamma> {
    let positive = || (-3.0..3.0_f64).prop_map(f64::exp);
    (-10.0..10.0, positive(), positive(), positive()).prop_map(|(m, count, shape, scale)| {
        NormalInverseGamma::new(m, count, shape, scale).unwrap()
    })
}

pub(crate) fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((-10.0..10.0, weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

pub(crate) fn point() -> impl Strategy<Value = Gaussian> {
    (-10.0..10.0, -2.0..4.0_f64).prop_map(|(m, v)| Gaussian::new(m, v.exp()).unwrap())
}

pub(crate) fn log_base(data: &Data) -> Vec<f64> {
    vec![0.0; data.rows().len()]
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the law's signature")]
pub(crate) fn other_priors(p: &NormalInverseGamma) -> Vec<NormalInverseGamma> {
    let (m, count, a, b) = (p.expected_mean(), p.mean_pseudo_count(), p.shape(), p.scale());
    let spread = (b / a / count).sqrt();
    let moved = FACTORS.map(|f| {
        [
            (m + (f - 1.0) * spread, count, a, b),
            (m, f * count, a, b),
            (m, count, f * a, b),
            (m, count, a, f * b),
            (m, count, f * a, f * b),
        ]
    });
    let new = |(m, count, a, b): &(f64, f64, f64, f64)| {
        NormalInverseGamma::new(*m, *count, *a, *b).unwrap()
    };
    moved.as_flattened().iter().map(new).collect()
}

/// Logarithms of scales, some 10, times half of the weight; and `n ln n`.
pub(crate) const TERMS: f64 = 1e4;

elbo_laws::prior_laws!(prior(), sample(), point());
elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);
elbo_laws::learning_laws!(prior(), sample(), point(), other_priors, TERMS);

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(prior in prior(), start in point(), sample in sample()) {
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &start, &sample, neighbors);
    }

    #[test]
    fn the_density_agrees_with_statrs(prior in prior(), point in point()) {
        let variance = InverseGamma::new(prior.shape(), prior.scale()).unwrap();
        let spread = (point.variance() / prior.mean_pseudo_count()).sqrt();
        let mean = Normal::new(prior.expected_mean(), spread).unwrap();
        let expected = variance.ln_pdf(point.variance()) + mean.ln_pdf(point.mean());
        assert_close(prior.log_prior(&point), expected, 1e3 + expected.abs());
    }

    #[test]
    fn no_data_leave_the_prior(prior in prior(), point in point()) {
        let mut posterior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0).unwrap();
        ConjugatePrior::<Gaussian>::posterior(&prior, &point.new_stats(), &mut posterior).unwrap();
        prop_assert_eq!(posterior, prior);
    }

    #[test]
    fn pseudo_counts_are_what_they_say(prior in prior(), start in point(), sample in sample()) {
        let mut posterior = prior;
        ConjugatePrior::<Gaussian>::posterior(&prior, &sample.stats(&start), &mut posterior).unwrap();
        let n = sample.total_weight();
        assert_close(posterior.mean_pseudo_count(), prior.mean_pseudo_count() + n, 1e2);
        assert_close(2.0 * posterior.shape(), 2.0 * prior.shape() + n, 1e2);
        let rows = sample.data.rows().iter().zip(&sample.weights);
        let sum = rows.map(|(x, w)| w * x).sum::<f64>() + prior.mean_pseudo_count() * prior.expected_mean();
        assert_close(posterior.expected_mean(), sum / posterior.mean_pseudo_count(), 10.0);
    }
}

proptest! {
    #[test]
    fn a_posterior_is_its_own_best_prior(prior in prior(), q in prior(), point in point()) {
        elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
    }

    #[test]
    fn predictions_are_those_of_students_t(prior in prior(), x in -20.0..20.0_f64) {
        let scale = prior.scale() * (1.0 + 1.0 / prior.mean_pseudo_count()) / prior.shape();
        let other = statrs::distribution::StudentsT::new(prior.expected_mean(), scale.sqrt(), 2.0 * prior.shape());
        let mut predicted = [f64::NAN; 2];
        prior.log_predictive_into(&Gaussian::new(0.0, 1.0).unwrap(), &[x, f64::NAN], &mut predicted);
        let expected = other.unwrap().ln_pdf(x);
        assert_close(predicted[0], expected, 1e3 + expected.abs());
        prop_assert_eq!(predicted[1], 0.0); // a missing observation
    }

    #[test]
    fn evidence_does_not_depend_on_the_place(prior in prior(), sample in sample(), exponent in 1..30) {
        let far = f64::from(1 << exponent);
        // Whole multiples of 2⁻²⁰, which far from zero are still numbers.
        let grid = |x: f64| (x * 1_048_576.0).round() / 1_048_576.0;
        let at = |offset: f64| {
            let moved = NormalInverseGamma::new(
                offset + grid(prior.expected_mean()), prior.mean_pseudo_count(), prior.shape(), prior.scale()
            ).unwrap();
            let rows = sample.data.rows().iter().map(|x| offset + grid(*x)).collect();
            let there = WeightedSample::new(Data::new(rows), sample.weights.clone());
            let stats = there.stats(&Gaussian::new(offset, 1.0).unwrap());
            Evidence::<Gaussian>::log_evidence(&moved, &stats).unwrap()
        };
        assert_close(at(far), at(0.0), TERMS);
    }
}

/// The double integral of prior × likelihood, over the mean and the logarithm of the variance.
#[test]
fn the_evidence_agrees_with_quadrature() {
    let prior = NormalInverseGamma::new(0.5, 1.5, 2.0, 3.0).unwrap();
    let sample = WeightedSample::new(Data::new(vec![-1.0, 0.2, 2.5]), vec![1.0, 0.5, 2.0]);
    let stats = sample.stats(&Gaussian::new(0.0, 1.0).unwrap());
    let claimed = Evidence::<Gaussian>::log_evidence(&prior, &stats).unwrap();
    let integral = elbo_laws::univariate::integrate(
        |log_variance| {
            let variance = log_variance.exp();
            let integrand = |mean: f64| {
                let point = Gaussian::new(mean, variance).unwrap();
                let rows = sample.data.rows().iter().zip(&sample.weights);
                let likelihood: f64 = rows.map(|(x, w)| w * point.log_density(*x)).sum();
                (prior.log_prior(&point) + likelihood - claimed).exp()
            };
            let half = 12.0 * (variance / 5.0).sqrt(); // κ + Σw = 5
            variance * elbo_laws::univariate::integrate(integrand, 1.0 - half, 1.0 + half)
        },
        -8.0,
        25.0,
    );
    assert!((integral - 1.0).abs() < 1e-9, "{integral}");
}

/// mpmath 1.3.0 at 50 digits: `a ln b − a' ln b' + lnΓ(a') − lnΓ(a) + ½ ln(κ/κ') − (n/2) ln 2π` with
/// m = 10⁸ + 1, κ = 1/2, a = 3/2, b = 2, data 10⁸ + {0, 1, 4}, and the predictive density at 10⁸ + 3.
#[test]
fn far_from_zero_nothing_is_lost() {
    let prior = NormalInverseGamma::new(1e8 + 1.0, 0.5, 1.5, 2.0).unwrap();
    let start = Gaussian::new(1e8 + 2.0, 1.0).unwrap();
    let data = [1e8, 1e8 + 1.0, 1e8 + 4.0];
    let mut stats = start.new_stats();
    start.observe(&mut stats, &data, &[1.0; 3]);
    let evidence = Evidence::<Gaussian>::log_evidence(&prior, &stats).unwrap();
    assert!((evidence + 7.458_377_507_251_586).abs() < 1e-13, "{evidence:.17}");
    let mut predicted = [f64::NAN];
    prior.log_predictive_into(&start, &[1e8 + 3.0], &mut predicted);
    assert!((predicted[0] + 2.269_400_175_087_017).abs() < 1e-15, "{:.17}", predicted[0]);
}

/// Posteriors that agree but for their pseudo-counts: the best prior lies between.
#[test]
fn sharp_posteriors_are_learned_from() {
    let prior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0).unwrap();
    for size in [1e3, 1e6, 1e9, 1e12] {
        let q = NormalInverseGamma::new(1e8, size, size, 2.0 * size).unwrap();
        let learned = prior.learned_from(&[q, q]).unwrap();
        for (a, b) in [
            (learned.mean_pseudo_count(), q.mean_pseudo_count()),
            (learned.shape(), q.shape()),
            (learned.scale(), q.scale()),
        ] {
            assert!((a / b - 1.0).abs() < 1e-12, "{learned:?} {q:?}");
        }
        assert_eq!(learned.expected_mean(), 1e8);
    }
}

#[test]
fn expectations_are_averages_over_draws() {
    let q = NormalInverseGamma::new(1.0, 2.0, 3.0, 4.0).unwrap();
    let p = NormalInverseGamma::new(-0.5, 0.7, 2.0, 5.0).unwrap();
    let mut rng = rng(1);
    let draws: Vec<_> = (0..4000).map(|_| q.sample(&mut rng).unwrap()).collect();
    let data = Data::new(vec![-3.0, 0.0, 1.0, 8.0]);
    elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
}

#[test]
fn mode_and_mean_are_where_they_say() {
    let prior = NormalInverseGamma::new(1.0, 2.0, 2.5, 8.0).unwrap();
    let mut point = Gaussian::new(0.0, 1.0).unwrap();
    prior.mode_into(&mut point).unwrap();
    assert_eq!((point.mean(), point.variance()), (1.0, 2.0));
    prior.mean_into(&mut point);
    assert_eq!((point.mean(), point.variance()), (1.0, 3.2));
    assert_close(1.0 / point.variance(), prior.expected_precision(), 1.0);
}

#[test]
fn a_point_mass_of_data_has_a_mode_under_the_prior() {
    let prior = NormalInverseGamma::new(0.0, 0.01, 1.0, 0.1).unwrap();
    let mut point = Gaussian::new(5.0, 1.0).unwrap();
    let stats = WeightedSample::new(Data::new(vec![5.0; 9]), vec![1.0; 9]).stats(&point);
    let mut posterior = prior;
    ConjugatePrior::<Gaussian>::posterior(&prior, &stats, &mut posterior).unwrap();
    posterior.mode_into(&mut point).unwrap();
    assert!(point.variance() > 0.01, "{point:?}");
}

#[test]
fn statistics_of_no_data_are_rejected() {
    let prior = NormalInverseGamma::new(0.0, 1.0, 1.0, 1.0).unwrap();
    let mut stats = Gaussian::new(0.0, 1.0).unwrap().expected_stats(3.0);
    stats.scale(-1.0);
    let result = ConjugatePrior::<Gaussian>::posterior(&prior, &stats, &mut prior.clone());
    assert!(matches!(result, Err(EstimateError::Infeasible { .. })), "{result:?}");
}

#[test]
fn parameters_are_checked() {
    assert!(NormalInverseGamma::new(f64::NAN, 1.0, 1.0, 1.0).is_err());
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(NormalInverseGamma::new(0.0, bad, 1.0, 1.0).is_err());
        assert!(NormalInverseGamma::new(0.0, 1.0, bad, 1.0).is_err());
        assert!(NormalInverseGamma::new(0.0, 1.0, 1.0, bad).is_err());
    }
}
