//! Stick-breaking priors obey the laws of conjugate priors; the Dirichlet and the beta distribution are their oracles.

use elbo_core::{ConjugatePrior, EmpiricalBayes, EstimateError, Evidence};
use elbo_dist::{Beta, Categorical, CategoricalStats, Dirichlet, StickBreaking};
use elbo_laws::{Of, WeightedSample, assert_close};
use proptest::{
    array::{uniform3, uniform4},
    collection::vec,
    prelude::*,
};
use statrs::distribution::Continuous;

use super::FACTORS;
use crate::{categorical::toward, rng};

type Data = Of<Categorical, u32>;

const K: usize = 4;

fn positive() -> impl Strategy<Value = f64> {
    prop_oneof![3 => (-3.0..3.0_f64).prop_map(f64::exp), 1 => Just(1.0)]
}

fn general() -> impl Strategy<Value = StickBreaking> {
    uniform3((positive(), positive()))
        .prop_map(|sticks| sticks_of(&sticks))
        .prop_filter("a process stays one", |prior| prior.concentration().is_none())
}

fn process() -> impl Strategy<Value = StickBreaking> {
    positive().prop_map(|alpha| StickBreaking::dirichlet_process(K, alpha).unwrap())
}

fn sticks_of(parameters: &[(f64, f64)]) -> StickBreaking {
    StickBreaking::new(parameters.iter().map(|(a, b)| Beta::new(*a, *b).unwrap()).collect())
}

fn sample() -> impl Strategy<Value = WeightedSample<Data>> {
    let weight = prop_oneof![4 => 0.1..2.0, 1 => Just(0.0)];
    vec((0..4_u32, weight), 0..30).prop_map(|rows| {
        let (data, weights) = rows.into_iter().unzip();
        WeightedSample::new(Of::new(data), weights)
    })
}

fn point() -> impl Strategy<Value = Categorical> {
    uniform4(0.01..1.0).prop_map(|weights| Categorical::from_weights(&weights).unwrap())
}

fn log_base(data: &Data) -> Vec<f64> {
    vec![0.0; data.rows().len()]
}

/// The Dirichlet distribution in other clothes.
fn as_sticks(dirichlet: &Dirichlet) -> StickBreaking {
    let alpha = dirichlet.concentration();
    let rest = |j: usize| alpha[j + 1..].iter().sum::<f64>();
    sticks_of(&(0..alpha.len() - 1).map(|j| (alpha[j], rest(j))).collect::<Vec<_>>())
}

const TERMS: f64 = 1e3;

mod general_sticks {
    use super::*;

    fn other_priors(p: &StickBreaking) -> Vec<StickBreaking> {
        let parameters: Vec<_> = p.sticks().iter().map(|stick| (stick.a(), stick.b())).collect();
        let mut others = Vec::new();
        for f in FACTORS {
            for j in 0..K - 1 {
                for (of_a, of_b) in [(f, 1.0), (1.0, f), (f, f)] {
                    let mut moved = parameters.clone();
                    moved[j] = (of_a * moved[j].0, of_b * moved[j].1);
                    others.push(sticks_of(&moved));
                }
            }
        }
        others
    }

    elbo_laws::prior_laws!(general(), sample(), point());
    elbo_laws::evidence_laws!(general(), sample(), point(), log_base, TERMS);
    elbo_laws::learning_laws!(general(), sample(), point(), other_priors, TERMS);

    proptest! {
        #[test]
        fn a_posterior_is_its_own_best_prior(prior in general(), q in general(), point in point()) {
            elbo_laws::prior::one_posterior_is_its_own_best_prior(&prior, &q, &point);
        }
    }
}

mod dirichlet_process {
    use super::*;

    elbo_laws::evidence_laws!(process(), sample(), point(), log_base, TERMS);

    proptest! {
        /// Posteriors of a process are general, the prior learned from them is a process again.
        #[test]
        fn no_other_concentration_suits_the_posteriors_better(
            prior in process(), posteriors in vec(general(), 1..5), point in point()
        ) {
            let others = |p: &StickBreaking| {
                let alpha = p.concentration().expect("a process stays one");
                FACTORS.map(|f| StickBreaking::dirichlet_process(K, f * alpha).unwrap()).to_vec()
            };
            elbo_laws::prior::no_neighbor_suits_the_posteriors_better(&prior, &posteriors, &point, others);
        }

        #[test]
        fn learning_never_lowers_the_evidence(prior in process(), samples in vec(sample(), 1..5), point in point()) {
            let stats: Vec<_> = samples.iter().map(|sample| sample.stats(&point)).collect();
            elbo_laws::prior::learning_never_lowers_the_evidence(&prior, &stats, &point, TERMS);
        }
    }
}

proptest! {
    #[test]
    fn no_neighbor_beats_the_mode(
        sticks in uniform3((1.0..20.0_f64, 1.001..20.0_f64)), sample in sample(), others in vec(point(), 5)
    ) {
        let neighbors = |mode: &Categorical| toward(mode, &others);
        elbo_laws::prior::no_neighbor_beats_the_mode(&sticks_of(&sticks), &others[0], &sample, neighbors);
    }

    #[test]
    fn the_density_is_that_of_the_sticks(prior in general(), shares in uniform3(0.01..0.99_f64)) {
        let mut left = 1.0;
        let mut p: Vec<f64> = shares.iter().map(|v| { let own = left * v; left *= 1.0 - v; own }).collect();
        p.push(left);
        let point = Categorical::from_weights(&p).unwrap();
        let of_stick = |(stick, v): (&Beta, &f64)| {
            statrs::distribution::Beta::new(stick.a(), stick.b()).unwrap().ln_pdf(*v)
        };
        let expected: f64 = prior.sticks().iter().zip(&shares).map(of_stick).sum();
        // ln(1 − v) loses up to two digits in the sums of what is left.
        assert_close(prior.log_prior(&point), expected, 1e5);
    }

    #[test]
    fn a_dirichlet_distribution_is_made_of_sticks(
        alpha in uniform4(positive()), other in uniform4(positive()), sample in sample(), point in point()
    ) {
        let [dirichlet, other] = [alpha, other].map(|alpha| Dirichlet::new(alpha.to_vec()).unwrap());
        let sticks = as_sticks(&dirichlet);
        let stats = sample.stats(&point);
        assert_close(sticks.log_evidence(&stats).unwrap(), Evidence::<Categorical>::log_evidence(&dirichlet, &stats).unwrap(), TERMS);
        let divergence = dirichlet.kl_divergence(&other);
        assert_close(sticks.kl_divergence(&as_sticks(&other)), divergence, TERMS * (1.0 + divergence));
        let logs = sticks.expected_log_probabilities().zip(dirichlet.expected_log_probabilities());
        logs.for_each(|(a, b)| assert_close(a, b, 100.0 + b.abs()));
        let means = sticks.expected_probabilities().zip(dirichlet.expected_probabilities());
        means.for_each(|(a, b)| assert_close(a, b, 1.0));
        // p_j = v_j · left_j, so that the densities differ by the factor Π left_j.
        let p = point.probabilities();
        let jacobian: f64 = (1..K - 1).map(|j| p[j..].iter().sum::<f64>().ln()).sum();
        assert_close(sticks.log_prior(&point), dirichlet.log_prior(&point) + jacobian, TERMS);
        let (mut a, mut b) = (sticks.clone(), dirichlet.clone());
        sticks.posterior(&stats, &mut a).unwrap();
        ConjugatePrior::<Categorical>::posterior(&dirichlet, &stats, &mut b).unwrap();
        for (got, expected) in a.sticks().iter().zip(as_sticks(&b).sticks()) {
            assert_close(got.a(), expected.a(), 100.0);
            assert_close(got.b(), expected.b(), 100.0);
        }
    }

    #[test]
    fn expected_probabilities_are_a_distribution(prior in general()) {
        let mut point = Categorical::uniform(K);
        prior.mean_into(&mut point);
        assert_close(point.probabilities().iter().sum(), 1.0, 1.0);
        let mut predicted = [f64::NAN; K];
        prior.log_predictive_into(&point, &[0, 1, 2, 3], &mut predicted);
        predicted.iter().zip(point.probabilities()).for_each(|(l, p)| assert_close(l.exp(), *p, 1.0));
    }

    /// `α = 1` in the coordinates of the sticks is flat.
    #[test]
    fn a_process_of_concentration_one_has_the_most_likely_mode(sample in sample()) {
        prop_assume!(sample.total_weight() > 0.0);
        let flat = StickBreaking::dirichlet_process(K, 1.0).unwrap();
        let mut point = Categorical::uniform(K);
        let stats = sample.stats(&point);
        let mut posterior = flat.clone();
        flat.posterior(&stats, &mut posterior).unwrap();
        let open = posterior.sticks().iter().take_while(|stick| stick.a() > 1.0 || stick.b() > 1.0);
        prop_assume!(open.count() == K - 1 || stats.counts()[K - 1] == 0.0);
        posterior.mode_into(&mut point).unwrap();
        for (p, count) in point.probabilities().iter().zip(stats.counts()) {
            assert_close(*p, count / sample.total_weight(), 1.0);
        }
        prop_assert_eq!(flat.log_prior(&point), 0.0);
    }
}

#[test]
fn expectations_are_averages_over_draws() {
    let q = sticks_of(&[(0.8, 3.0), (5.0, 2.0), (1.0, 4.0)]);
    let p = StickBreaking::dirichlet_process(K, 2.0).unwrap();
    let mut rng = rng(5);
    let draws: Vec<_> = (0..4000).map(|_| q.sample(&mut rng)).collect();
    let data = Data::new(vec![0, 1, 2, 3]);
    elbo_laws::prior::expectations_are_averages_over_draws(&q, &p, &draws, &data);
}

/// `α` is recovered from many draws that are known all but exactly.
#[test]
fn the_concentration_of_a_process_is_learned() {
    let truth = StickBreaking::dirichlet_process(20, 3.0).unwrap();
    let mut rng = rng(6);
    let posteriors: Vec<_> = (0..200)
        .map(|_| {
            let mut stats = CategoricalStats::new(20);
            let draw = truth.sample(&mut rng);
            stats.counts_mut().iter_mut().zip(draw.probabilities()).for_each(|(c, p)| *c = 1e9 * p);
            let mut posterior = truth.clone();
            truth.posterior(&stats, &mut posterior).unwrap();
            posterior
        })
        .collect();
    let start = StickBreaking::dirichlet_process(20, 0.1).unwrap();
    let alpha = start.learned_from(&posteriors).unwrap().concentration().unwrap();
    assert!((alpha - 3.0).abs() < 0.3, "{alpha}"); // 3800 sticks: one standard error is 0.05
}

#[test]
fn where_there_is_no_mode_it_is_said() {
    let mut point = Categorical::uniform(3);
    // b < 1 without later observations, a < 1 without own, and nothing known.
    for sticks in [[(2.0, 0.5), (2.0, 2.0)], [(0.5, 2.0), (2.0, 2.0)], [(2.0, 2.0), (1.0, 1.0)]] {
        let result = sticks_of(&sticks).mode_into(&mut point);
        assert!(matches!(result, Err(EstimateError::NoMode { .. })), "{sticks:?}: {result:?}");
    }
    // Nothing is left for the second stick.
    sticks_of(&[(6.0, 1.0), (1.0, 1.0)]).mode_into(&mut point).unwrap();
    assert_eq!(point.probabilities(), [1.0, 0.0, 0.0]);
}

#[test]
fn the_density_at_the_boundary_is_its_limit() {
    let density = |sticks: &[(f64, f64)], p: &[f64]| {
        sticks_of(sticks).log_prior(&Categorical::new(p.to_vec()).unwrap())
    };
    let corner = [0.0, 1.0];
    assert_eq!(density(&[(0.5, 1.0)], &corner), f64::INFINITY);
    assert_eq!(density(&[(1.0, 1.0)], &corner), 0.0);
    assert_eq!(density(&[(2.0, 1.0)], &corner), f64::NEG_INFINITY);
    // The second stick is not there to be broken: its mode, 1/2 with density 3/2, counts.
    assert_close(density(&[(1.0, 1.0), (2.0, 2.0)], &[1.0, 0.0, 0.0]), 1.5_f64.ln(), 1.0);
    // Impossible outweighs infinite.
    assert_eq!(density(&[(2.0, 1.0), (0.5, 1.0)], &[0.0, 0.0, 1.0]), f64::NEG_INFINITY);
}

#[test]
fn a_single_category_is_certain() {
    let single = StickBreaking::dirichlet_process(1, 2.0).unwrap();
    let point = Categorical::uniform(1);
    assert_eq!((single.categories(), single.log_prior(&point)), (1, 0.0));
    assert_eq!(single.concentration(), None);
    assert_eq!(single.learned_from(std::slice::from_ref(&single)).unwrap(), single);
    assert_eq!(single.sample(&mut rng(1)), point);
    let mut stats = CategoricalStats::new(1);
    stats.counts_mut()[0] = 5.0;
    assert_eq!(single.log_evidence(&stats).unwrap(), 0.0);
}

#[test]
fn learning_fails_where_nothing_can_be_told_from_rounding() {
    let endless = sticks_of(&[(1.0, 1e300)]);
    for prior in [StickBreaking::dirichlet_process(2, 1.0).unwrap(), sticks_of(&[(2.0, 1.0)])] {
        let result = prior.learned_from(std::slice::from_ref(&endless));
        assert!(matches!(result, Err(EstimateError::NoPrior { .. })), "{result:?}");
    }
}

#[test]
fn parameters_and_shapes_are_checked() {
    assert!(StickBreaking::dirichlet_process(0, 1.0).is_err());
    for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        assert!(StickBreaking::dirichlet_process(3, bad).is_err());
    }
    let prior = StickBreaking::dirichlet_process(3, 1.0).unwrap();
    assert!(prior.check(&Categorical::uniform(3)).is_ok());
    let refused = prior.check(&Categorical::uniform(2));
    assert!(matches!(refused, Err(EstimateError::Unsupported { .. })));
    let mut stats = CategoricalStats::new(3);
    stats.counts_mut()[1] = -1.0;
    let refused = prior.posterior(&stats, &mut prior.clone());
    assert!(matches!(refused, Err(EstimateError::Infeasible { .. })));
    assert!(prior.log_evidence(&stats).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn a_file_cannot_build_what_the_constructor_refuses() {
    let prior = sticks_of(&[(0.1, 0.3), (1.0, 2.5)]);
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<StickBreaking>(&text).unwrap(), prior);
    assert!(serde_json::from_str::<StickBreaking>(&text.replace("0.3", "-0.3")).is_err());
}
