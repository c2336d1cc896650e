//! The Dirichlet prior obeys the laws of conjugate priors, and agrees with statrs' density.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence, Family};
use elbo_dist::{Categorical, Dirichlet};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{array::uniform3, collection::vec, prelude::*};
use statrs::distribution::Continuous;

use super::FACTORS;
use crate::{categorical::toward, rng};

type Data = Of<Categorical, u32>;

fn prior() -> impl Strategy<Value = Dirichlet> {
    let alpha = prop_oneof![3 => (-3.0..3.0_f64).prop_map(f64::exp), 1 => Just(1.0)];
    uniform3(alpha).prop_map(|alpha| Dirichlet::new(alpha.to_vec()).unwrap())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((0..3_u32, weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

fn point() -> impl Strategy<Value = Categorical> {
    uniform3(0.01..1.0).prop_map(|weights| Categorical::from_weights(&weights).unwrap())
}

pub(crate) fn log_base(data: &Data) -> Vec<f64> {
    vec![0.0; data.rows().len()]
}

fn other_priors(p: &Dirichlet) -> Vec<Dirichlet> {
    let moved = |f: f64, which: &[usize]| {
        let mut alpha = p.concentration().to_vec();
        for x in which {
            alpha[*x] *= f;
        }
        Dirichlet::new(alpha).unwrap()
    };
    let groups: [&[usize]; 5] = [&[0], &[1], &[2], &[0, 1], &[0, 1, 2]];
    FACTORS.iter().flat_map(|f| groups.map(|which| moved(*f, which))).collect()
}

/// `n ln n` of the largest sample.
const TERMS: f64 = 1e3;

elbo_laws::prior_laws!(prior(), sample(), point());
elbo_laws::evidence_laws!(prior(), sample(), point(), log_base, TERMS);
elbo_laws::learning_laws!(prior(), sample(), point(), other_priors, TERMS);

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(
        alpha in uniform3(1.01..20.0), sample in sample(), others in vec(point(), 5)
    ) {
        let prior = Dirichlet::new(alpha.to_vec()).unwrap();
        let neighbors = |mode: &Categorical| toward(mode, &others);
        elbo_laws::prior::no_neighbor_beats_the_mode(&prior, &others[0], &sample, neighbors);
    }

    #[test]
    fn a_flat_prior_gives_the_most_likely_distribution(start in point(), sample in sample()) {
        prop_assume!(sample.total_weight() > 0.0);
        let stats = sample.stats(&start);
        let (mut most_likely, mut mode) = (start.clone(), start.clone());
        start.maximize(&stats, &mut most_likely).unwrap();
        let flat = Dirichlet::symmetric(3, 1.0).unwrap();
        let mut posterior = flat.clone();
        ConjugatePrior::<Categorical>::posterior(&flat, &stats, &mut posterior).unwrap();
        posterior.mode_into(&mut mode).unwrap();
        let pairs = mode.probabilities().iter().zip(most_likely.probabilities());
        pairs.for_each(|(a, b)| assert_close(*a, *b, 1.0 + 1.0 / sample.total_weight()));
        prop_assert_eq!(flat.log_prior(&mode), 2.0_f64.ln()); // Γ(3) = 2
    }

    #[test]
    fn with_two_categories_it_is_the_beta_distribution(
        (a, b) in (0.05..20.0_f64, 0.05..20.0_f64), p in 0.01..0.99_f64
    ) {
        let point = Categorical::new(vec![p, 1.0 - p]).unwrap();
        let expected = statrs::distribution::Beta::new(a, b).unwrap().ln_pdf(p);
        let dirichlet = Dirichlet::new(vec![a, b]).unwrap();
        assert_close(dirichlet.log_prior(&point), expected, 1e3);
    }

    #[test]
    fn merging_categories_adds_their_concentrations(alpha in uniform3(0.5..5.0_f64), p in 0.1..0.9_f64) {
        // Integrates the density over how the rest 1 − p is split; the substitution x = (1 − p)·sin²t tames the ends.
        const STEPS: u32 = 4000;
        let dirichlet = Dirichlet::new(alpha.to_vec()).unwrap();
        let step = std::f64::consts::FRAC_PI_2 / f64::from(STEPS);
        let integral: f64 = (0..STEPS)
            .map(|i| {
                let (sin, cos) = ((f64::from(i) + 0.5) * step).sin_cos();
                let split = vec![p, (1.0 - p) * sin * sin, (1.0 - p) * cos * cos];
                let point = Categorical::from_weights(&split).unwrap();
                dirichlet.log_prior(&point).exp() * 2.0 * (1.0 - p) * sin * cos * step
            })
            .sum();
        let merged = Dirichlet::new(vec![alpha[0], alpha[1] + alpha[2]]).unwrap();
        let density = merged.log_prior(&Categorical::new(vec![p, 1.0 - p]).unwrap()).exp();
        // The integrand is at least bounded in t: the midpoint rule is good to O(step).
        prop_assert!((integral - density).abs() < 2e-3 * density, "{integral} {density}");
    }

    #[test]
    fn expected_probabilities_are_a_distribution(prior in prior()) {
        let mut point = Categorical::uniform(3);
        prior.mean_into(&mut point);
        assert_close(point.probabilities().iter().sum(), 1.0, 1.0);
        let expected: Vec<f64> = prior.expected_probabilities().collect();
        prop_assert_eq!(point.probabilities(), &expected[..]);
    }
}

proptest! {
    #[test]
    fn a_posterior_is_its_own_best_prior(prior in prior(), q in prior(), point in point()) {
        elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
    }

    #[test]
    fn predictions_add_up_to_one(prior in prior(), point in point()) {
        let mut predicted = [f64::NAN; 3];
        prior.log_predictive_into(&point, &[0, 1, 2], &mut predicted);
        assert_close(predicted.iter().map(|l| l.exp()).sum(), 1.0, 1.0);
    }
}

/// Pólya's urn by whole numbers: `α = (1, 2)`, counts `(2, 1)`: `(1/3)(2/4)(2/5) = 1/15`.
#[test]
fn the_evidence_is_that_of_an_urn() {
    let urn = Dirichlet::new(vec![1.0, 2.0]).unwrap();
    let mut stats = elbo_dist::CategoricalStats::new(2);
    stats.counts_mut().copy_from_slice(&[2.0, 1.0]);
    assert_close(Evidence::<Categorical>::log_evidence(&urn, &stats).unwrap(), -15.0_f64.ln(), 1.0);
}

/// Concentrations from 10⁻³ to 10⁸, and with a thousand categories.
#[test]
fn extreme_concentrations_are_learned() {
    let flat = Dirichlet::symmetric(3, 1.0).unwrap();
    for alpha in [[1e-3, 2e-3, 5e-3], [1e-3, 1.0, 1e3], [1e8, 2e8, 3e8], [1e-3, 1e8, 1.0]] {
        let q = Dirichlet::new(alpha.to_vec()).unwrap();
        let learned = flat.learned_from(std::slice::from_ref(&q)).unwrap();
        for (a, b) in learned.concentration().iter().zip(alpha) {
            // Digammas of size 20 have a few ulp; the sum S is known to what 1/S keeps of that.
            let tolerance = 1e-12 + 100.0 * f64::EPSILON * q.total_concentration();
            assert!((a / b - 1.0).abs() < tolerance, "{alpha:?} {learned:?}");
        }
    }
    let wide = Dirichlet::symmetric(1000, 0.01).unwrap();
    let learned = wide.learned_from(std::slice::from_ref(&wide)).unwrap();
    assert!(learned.concentration().iter().all(|a| (a / 0.01 - 1.0).abs() < 1e-11));
    let endless = Dirichlet::symmetric(3, 1e17).unwrap();
    let result = flat.learned_from(&[endless]);
    assert!(matches!(result, Err(EstimateError::NoPrior { .. })), "{result:?}");
    let single = Dirichlet::symmetric(1, 2.0).unwrap();
    assert_eq!(single.learned_from(&[Dirichlet::symmetric(1, 5.0).unwrap()]).unwrap(), single);
}

#[test]
fn expectations_are_averages_over_draws() {
    let q = Dirichlet::new(vec![0.8, 3.0, 5.0]).unwrap();
    let p = Dirichlet::new(vec![1.5, 2.0, 0.7]).unwrap();
    let mut rng = rng(2);
    let draws: Vec<_> = (0..4000).map(|_| q.sample(&mut rng)).collect();
    elbo_laws::prior::expectations_are_averages_over_draws(
        &q,
        &p,
        &draws,
        &Data::new(vec![0, 1, 2]),
    );
}

#[test]
fn below_one_there_is_no_mode() {
    let mut point = Categorical::uniform(2);
    let mode = |alpha: [f64; 2], point: &mut Categorical| {
        Dirichlet::new(alpha.to_vec()).unwrap().mode_into(point)
    };
    for alpha in [[0.5, 3.0], [0.5, 0.5], [1.0, 1.0]] {
        let result = mode(alpha, &mut point);
        assert!(matches!(result, Err(EstimateError::NoMode { .. })), "{alpha:?}: {result:?}");
    }
    mode([1.0, 3.0], &mut point).unwrap();
    assert_eq!(point.probabilities(), [0.0, 1.0]);
}

#[test]
fn the_density_at_the_boundary_is_its_limit() {
    let corner = Categorical::new(vec![0.0, 1.0]).unwrap();
    let density = |a: f64| Dirichlet::new(vec![a, 1.0]).unwrap().log_prior(&corner);
    assert_eq!([density(0.5), density(1.0), density(2.0)], [f64::INFINITY, 0.0, f64::NEG_INFINITY]);
}

#[test]
fn parameters_and_shapes_are_checked() {
    for bad in [vec![], vec![0.0, 1.0], vec![-1.0], vec![f64::INFINITY], vec![f64::NAN]] {
        assert!(Dirichlet::new(bad).is_err());
    }
    let prior = Dirichlet::symmetric(3, 1.0).unwrap();
    assert!(ConjugatePrior::check(&prior, &Categorical::uniform(3)).is_ok());
    assert!(matches!(
        ConjugatePrior::check(&prior, &Categorical::uniform(2)),
        Err(EstimateError::Unsupported { .. })
    ));
}
