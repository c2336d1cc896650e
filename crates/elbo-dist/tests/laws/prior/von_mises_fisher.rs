//! The prior of von Mises–Fisher distributions obeys the laws of conjugate priors; its oracle is quadrature over both parameters.

use elbo_core::{ConjugatePrior, Evidence, Family};
use elbo_dist::{VonMises, VonMisesFisher, VonMisesFisherPrior};
use elbo_laws::{Of, WeightedSample, univariate::integrate};
use proptest::{collection::vec, prelude::*};

use crate::von_mises_fisher::{direction, sample};

fn prior(d: usize) -> impl Strategy<Value = VonMisesFisherPrior> {
    (direction(d), 0.0..0.95_f64, -1.5..3.0_f64).prop_map(|(at, share, log_count)| {
        let count = log_count.exp();
        VonMisesFisherPrior::new(at, share * count, count).unwrap()
    })
}

fn point(d: usize) -> impl Strategy<Value = VonMisesFisher> {
    (direction(d), -2.0..3.0_f64)
        .prop_map(|(at, log_kappa)| VonMisesFisher::new(at, log_kappa.exp()).unwrap())
}

mod of_directions {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn learning_twice_is_learning_at_once(prior in prior(3), a in sample(3), b in sample(3), points in vec(point(3), 3)) {
            let (a, b) = (a.stats(&points[0]), b.stats(&points[1]));
            elbo_laws::prior::learning_twice_is_learning_at_once(&prior, &a, &b, &points);
        }

        #[test]
        fn divergence_is_never_negative(q in prior(3), p in prior(3), point in point(3)) {
            elbo_laws::prior::divergence_is_never_negative(&q, &p, &point);
        }

        #[test]
        fn the_bound_at_the_posterior_is_the_evidence(prior in prior(3), sample in sample(3), points in vec(point(3), 3)) {
            elbo_laws::prior::the_bound_at_the_posterior_is_the_evidence(&prior, &sample, &points);
        }

        #[test]
        fn evidence_is_likelihood_times_prior_over_posterior(
            prior in prior(3), sample in sample(3), points in vec(point(3), 3)
        ) {
            elbo_laws::prior::evidence_is_likelihood_times_prior_over_posterior(
                &prior, &sample, &points, |data| vec![0.0; elbo_core::Batch::len(&elbo_laws::Sample::batch(data))],
            );
        }

        #[test]
        fn evidence_of_both_is_evidence_in_turn(
            prior in prior(3), a in sample(3), b in sample(3), shape in point(3)
        ) {
            let (a, b) = (a.stats(&shape), b.stats(&shape));
            elbo_laws::prior::evidence_of_both_is_evidence_in_turn(&prior, &a, &b, &shape, 1e3);
        }

        #[test]
        fn predictions_integrate_to_one(prior in prior(3)) {
            // Bands of equal height about m₀ have equal areas.
            let m = prior.direction().to_vec();
            let side = if m[0].abs() < 0.9 { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
            let along: f64 = m.iter().zip(side).map(|(m, s)| m * s).sum();
            let mut right: Vec<f64> = m.iter().zip(side).map(|(m, s)| s - along * m).collect();
            let norm = right.iter().map(|x| x * x).sum::<f64>().sqrt();
            for x in &mut right {
                *x /= norm;
            }
            let any = VonMisesFisher::new(m.clone(), 1.0).unwrap();
            let density = |cosine: f64| {
                let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
                let x: Vec<f64> = m.iter().zip(&right).map(|(m, r)| cosine * m + sine * r).collect();
                let mut out = [f64::NAN];
                prior.log_predictive_into(&any, elbo_core::Rows::new(&x, 1, 3), &mut out);
                out[0].exp() * std::f64::consts::TAU
            };
            prop_assume!(prior.count() < 2.0); // gentle enough for the rule below
            let total = integrate(density, -1.0, 1.0);
            prop_assert!((total - 1.0).abs() < 1e-6, "{}", total);
        }
    }
}

mod of_angles {
    use super::*;

    fn angles() -> impl Strategy<Value = WeightedSample<Of<VonMises, f64>>> {
        vec((-6.0..6.0_f64, 0.1..2.0_f64), 1..20).prop_map(|rows| {
            let (data, weights) = rows.into_iter().unzip();
            WeightedSample::new(Of::new(data), weights)
        })
    }

    fn angle() -> impl Strategy<Value = VonMises> {
        (-3.0..3.0_f64, -2.0..3.0_f64)
            .prop_map(|(mean, log_kappa)| VonMises::new(mean, log_kappa.exp()).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn learning_twice_is_learning_at_once(prior in prior(2), a in angles(), b in angles(), points in vec(angle(), 3)) {
            let (a, b) = (a.stats(&points[0]), b.stats(&points[1]));
            elbo_laws::prior::learning_twice_is_learning_at_once(&prior, &a, &b, &points);
        }

        #[test]
        fn the_bound_at_the_posterior_is_the_evidence(prior in prior(2), sample in angles(), points in vec(angle(), 3)) {
            elbo_laws::prior::the_bound_at_the_posterior_is_the_evidence(&prior, &sample, &points);
        }

        #[test]
        fn evidence_is_likelihood_times_prior_over_posterior(
            prior in prior(2), sample in angles(), points in vec(angle(), 3)
        ) {
            elbo_laws::prior::evidence_is_likelihood_times_prior_over_posterior(
                &prior, &sample, &points, |data| vec![0.0; data.rows().len()],
            );
        }

        #[test]
        fn a_prediction_is_the_evidence_of_one_observation(
            prior in prior(2), sample in angles(), point in angle()
        ) {
            elbo_laws::prior::a_prediction_is_the_evidence_of_one_observation(
                &prior, &point, &sample.data, |data| vec![0.0; data.rows().len()], 1e3,
            );
        }

        #[test]
        fn it_is_the_prior_of_two_dimensions(prior in prior(2), sample in angles(), point in angle()) {
            let rows: Vec<f64> = sample.data.rows().iter().flat_map(|x| [x.cos(), x.sin()]).collect();
            let rows = crate::von_mises_fisher::Directions { d: 2, values: rows };
            let other = VonMisesFisher::new(vec![point.mean().cos(), point.mean().sin()], point.concentration()).unwrap();
            let (mut a, mut b) = (prior.clone(), prior.clone());
            ConjugatePrior::<VonMises>::posterior(&prior, &sample.stats(&point), &mut a).unwrap();
            let rows = WeightedSample::new(rows, sample.weights.clone());
            ConjugatePrior::<VonMisesFisher>::posterior(&prior, &rows.stats(&other), &mut b).unwrap();
            prop_assert!((a.count() - b.count()).abs() <= 1e-12 * a.count());
            prop_assert!((a.resultant() - b.resultant()).abs() <= 1e-11 * a.count());
            let (p, q) = (a.log_prior(&point), a.log_prior(&other));
            prop_assert!((p - q).abs() <= 1e-11 * (1.0 + p.abs() + a.count() * point.concentration()));
            let (mut mode, mut other_mode) = (point, other);
            a.mode_into(&mut mode).unwrap();
            a.mode_into(&mut other_mode).unwrap();
            prop_assert!((mode.mean().cos() - other_mode.direction()[0]).abs() < 1e-12);
            prop_assert_eq!(mode.concentration(), other_mode.concentration());
        }
    }
}

/// `ln C₃(κ) = ln (κ/4π sinh κ)`.
fn log_c(kappa: f64) -> f64 {
    (kappa / ((-2.0 * kappa).exp_m1().abs() * std::f64::consts::TAU)).ln() - kappa
}

/// `E[f(κ, m₀ᵀμ)]` in three dimensions, where the area between two cosines is `2π` times their difference.
fn expectation(prior: &VonMisesFisherPrior, f: impl Fn(f64, f64) -> f64) -> f64 {
    let plain =
        |kappa: f64, cosine: f64| prior.count() * log_c(kappa) + prior.resultant() * kappa * cosine;
    let at = |kappa: f64| VonMisesFisher::new(prior.direction().to_vec(), kappa).unwrap();
    let normalizer = prior.log_prior(&at(1.0)) - plain(1.0, 1.0);
    assert!((prior.log_prior(&at(5.0)) - plain(5.0, 1.0) - normalizer).abs() < 1e-12);
    let term = |kappa: f64, cosine: f64| {
        std::f64::consts::TAU * (plain(kappa, cosine) + normalizer).exp() * f(kappa, cosine)
    };
    // Simpson's rule in the cosine and the trapezoidal rule in ln κ.
    let inner = |kappa: f64| -> f64 {
        let n = 64_i32;
        let node = |i: i32| {
            let weight = if i == 0 || i == n {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * term(kappa, -1.0 + 2.0 * f64::from(i) / f64::from(n))
        };
        (0..=n).map(node).sum::<f64>() * 2.0 / (3.0 * f64::from(n))
    };
    (-160..=40).map(|i| (0.1 * f64::from(i)).exp()).map(|kappa| 0.1 * kappa * inner(kappa)).sum()
}

#[test]
fn expectations_agree_with_quadrature() {
    let prior = |m: [f64; 3], resultant, count| {
        VonMisesFisherPrior::new(m.to_vec(), resultant, count).unwrap()
    };
    let (q, p) = (prior([1.0, 0.5, -1.0], 2.5, 4.0), prior([0.0, 1.0, 1.0], 0.3, 1.5));
    // Simpson's rule with 64 intervals is good to some 10⁻⁶ for exponents of up to some 20.
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{a} {b}");
    close(expectation(&q, |_, _| 1.0), 1.0);
    close(expectation(&q, |kappa, _| kappa), q.expected_concentration());
    let mut mean = VonMisesFisher::new(vec![1.0, 0.0, 0.0], 1.0).unwrap();
    q.mean_into(&mut mean);
    close(expectation(&q, |kappa, cosine| kappa * cosine), mean.concentration());
    let mut score = [0.0];
    q.expected_log_density_into(&mean, elbo_core::Rows::new(q.direction(), 1, 3), &mut score);
    close(expectation(&q, |kappa, cosine| log_c(kappa) + kappa * cosine), score[0]);
    // By Gibbs' inequality and linearity: the divergence from a prior about the same direction needs no other angle.
    let p_along = VonMisesFisherPrior::new(q.direction().to_vec(), 0.3, 1.5).unwrap();
    let gap = |kappa: f64, cosine: f64| 2.5 * log_c(kappa) + 2.2 * kappa * cosine;
    let at = VonMisesFisher::new(q.direction().to_vec(), 1.0).unwrap();
    let constant = q.log_prior(&at) - p_along.log_prior(&at) - gap(1.0, 1.0);
    close(expectation(&q, gap) + constant, q.kl_divergence(&p_along));
    let apart: f64 = q.direction().iter().zip(p.direction()).map(|(a, b)| a * b).sum();
    let turned = q.kl_divergence(&p) - q.kl_divergence(&p_along);
    close(turned, 0.3 * mean.concentration() * (1.0 - apart));
}

#[test]
fn large_and_concentrated_posteriors_keep_their_digits() {
    // For large κ the prior of κ is a gamma distribution of shape (c − 1)(d − 1)/2 + 1 and rate c − β.
    let count = 1e6;
    let prior = VonMisesFisherPrior::new(vec![0.0, 1.0], count - 1e-4, count).unwrap();
    let expected = (0.5 * (count - 1.0) + 1.0) / (prior.count() - prior.resultant());
    assert!(
        (prior.expected_concentration() / expected - 1.0).abs() < 1e-6,
        "{:e}",
        prior.expected_concentration()
    );
    let integral = integrate(|x| x, 0.0, 1.0); // the rule is at hand
    assert!((integral - 0.5).abs() < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))] // quadratures in every density

    #[test]
    fn the_mode_is_highest(prior in prior(4), other in point(4), sample in sample(4)) {
        let mut posterior = prior.clone();
        ConjugatePrior::<VonMisesFisher>::posterior(&prior, &sample.stats(&other), &mut posterior).unwrap();
        let mut mode = other.clone();
        posterior.mode_into(&mut mode).unwrap();
        let objective = |point: &VonMisesFisher| prior.log_prior(point) + sample.log_likelihood(point).0;
        let (top, size) = (objective(&mode), 1.0 + sample.log_likelihood(&mode).1);
        for by in [1e-4, 1e-2, 1.0] {
            for sign in [-1.0, 1.0] {
                let kappa = mode.concentration() * f64::exp(sign * by);
                let near = VonMisesFisher::new(mode.direction().to_vec(), kappa).unwrap();
                prop_assert!(objective(&near) <= top + 1e-11 * size * (1.0 + kappa));
            }
            let turned = mode.direction().iter().zip(other.direction()).map(|(m, x)| m + by * x).collect();
            let near = VonMisesFisher::new(turned, mode.concentration()).unwrap();
            prop_assert!(objective(&near) <= top + 1e-11 * size * (1.0 + mode.concentration()));
        }
    }
}

#[test]
fn no_data_leave_the_prior_and_parameters_are_checked() {
    let prior = VonMisesFisherPrior::new(vec![0.0, 3.0, 4.0], 1.0, 2.5).unwrap();
    let point = VonMisesFisher::new(vec![1.0, 0.0, 0.0], 1.0).unwrap();
    let mut posterior = prior.clone();
    ConjugatePrior::<VonMisesFisher>::posterior(&prior, &point.new_stats(), &mut posterior)
        .unwrap();
    assert!(posterior.kl_divergence(&prior).abs() < 1e-12);
    let new = |resultant, count| VonMisesFisherPrior::new(vec![0.0, 1.0], resultant, count);
    for (resultant, count) in
        [(-1.0, 1.0), (1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)]
    {
        assert!(new(resultant, count).is_err(), "{resultant} {count}");
    }
    assert!(VonMisesFisherPrior::new(vec![0.0, 0.0], 0.5, 1.0).is_err());
    assert!(prior.check(&point).is_ok());
    assert!(prior.check(&VonMises::new(0.0, 1.0).unwrap()).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let prior = VonMisesFisherPrior::new(vec![0.6, 0.8], 1.0, 1.25).unwrap();
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<VonMisesFisherPrior>(&text).unwrap(), prior);
    let error =
        serde_json::from_str::<VonMisesFisherPrior>(&text.replace("0.25", "0.0")).unwrap_err();
    assert!(error.to_string().contains("resultant is 0"), "{error}");
}
