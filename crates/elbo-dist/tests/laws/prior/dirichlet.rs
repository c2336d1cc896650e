//! The Dirichlet prior obeys the laws of conjugate priors, and agrees with statrs' density.

use elbo_core::{ConjugatePrior, EstimateError, Family};
use elbo_dist::{Categorical, Dirichlet};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{array::uniform3, collection::vec, prelude::*};
use statrs::distribution::Continuous;

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

elbo_laws::prior_laws!(prior(), sample(), point());

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
