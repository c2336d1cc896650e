//! Pairs, fixed lags, draws, best paths, forecasts, labels and missing steps against the sum over all paths.

use elbo_hmm::{
    Categorical, DataError, Hmm, HmmError, HmmModel, Poisson, Sequences, Settings, Start,
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::support::{
    all_paths, assert_close, categorical_hmm, e_step, law, log_emissions, log_sum, poisson_hmm,
};

fn codes() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..3, 1..=5)
}

/// Every path with its log joint probability.
fn paths<F: elbo_core::Family>(hmm: &Hmm<F>, log_emission: &[Vec<f64>]) -> Vec<(Vec<usize>, f64)> {
    let log_joint = |path: &[usize]| {
        hmm.initial()[path[0]].ln()
            + path.windows(2).map(|s| hmm.transition(s[0])[s[1]].ln()).sum::<f64>()
            + path.iter().zip(log_emission).map(|(j, row)| row[*j]).sum::<f64>()
    };
    all_paths(hmm.k(), log_emission.len())
        .map(|path| {
            let l = log_joint(&path);
            (path, l)
        })
        .collect()
}

/// The share of the paths that `select` chooses.
fn share(paths: &[(Vec<usize>, f64)], select: impl Fn(&[usize]) -> bool) -> f64 {
    let total = log_sum(paths.iter().map(|(_, l)| *l));
    let chosen: Vec<f64> = paths.iter().filter(|(path, _)| select(path)).map(|(_, l)| *l).collect();
    (log_sum(chosen.into_iter()) - total).exp()
}

proptest! {
    #[test]
    fn pairs_agree_with_the_sum_over_all_paths(hmm in categorical_hmm(), x in codes()) {
        let all = paths(&hmm, &log_emissions(&hmm, &x[..], x.len()));
        let (k, pairs) = (hmm.k(), hmm.smooth_pairs(&x[..]).unwrap());
        prop_assert_eq!(pairs.len(), (x.len() - 1) * k * k);
        for (place, p) in pairs.iter().enumerate() {
            let (t, i, j) = (place / (k * k), place / k % k, place % k);
            assert_close(*p, share(&all, |path| path[t] == i && path[t + 1] == j), 1.0);
        }
    }

    #[test]
    fn a_fixed_lag_is_the_posterior_of_a_beginning(
        hmm in poisson_hmm(), x in prop::collection::vec(0_u64..40, 1..=9), lag in 0_usize..10,
    ) {
        let (n, k) = (x.len(), hmm.k());
        let lagged = hmm.smooth_lagged(&x[..], lag).unwrap();
        for t in 0..n {
            let beginning = hmm.smooth(&x[..n.min(t + lag + 1)]).unwrap();
            for j in 0..k {
                assert_close(lagged[t * k + j], beginning[t * k + j], 1.0);
            }
        }
    }

    #[test]
    fn the_best_paths_are_the_best_of_all_paths(
        hmm in categorical_hmm(), x in codes(), count in 0_usize..12,
    ) {
        let mut all = paths(&hmm, &log_emissions(&hmm, &x[..], x.len()));
        all.retain(|(_, l)| *l > f64::NEG_INFINITY);
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best = hmm.best_paths(&x[..], count).unwrap();
        prop_assert_eq!(best.len(), count.min(all.len()));
        for (found, (_, expected)) in best.iter().zip(&all) {
            assert_close(found.log_probability, *expected, *expected);
            let own = all.iter().find(|(path, _)| *path == found.states).unwrap().1;
            assert_close(found.log_probability, own, own);
        }
        let mut distinct: Vec<_> = best.iter().map(|path| &path.states).collect();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), best.len());
        if let Some(first) = best.first() {
            let viterbi = hmm.viterbi(&x[..]).unwrap().log_probability;
            assert_close(first.log_probability, viterbi, viterbi);
        }
    }

    /// A forecast is what missing steps at the end say.
    #[test]
    fn forecasts_agree_with_missing_steps(hmm in categorical_hmm(), mut x in codes(), steps in 1_usize..5) {
        let (n, k) = (x.len(), hmm.k());
        let forecast = hmm.forecast(&x[..], steps).unwrap();
        x.extend(std::iter::repeat_n(0, steps));
        let missing: Vec<bool> = (0..n + steps).map(|t| t >= n).collect();
        let posterior = hmm.smooth(Sequences::one(&x[..]).missing(&missing)).unwrap();
        for (a, b) in forecast.iter().zip(&posterior[n * k..]) {
            assert_close(*a, *b, 1.0);
        }
        let mut out = [0.0; 3];
        hmm.mixture_log_density_into(&forecast[..k], &[0, 1, 2], &mut out).unwrap();
        assert_close(log_sum(out.into_iter()), 0.0, 1.0);
        for (code, log_density) in (0_u32..).zip(out) {
            let mixed: f64 = (0..k)
                .map(|j| forecast[j] * hmm.emission()[j].log_probability(code).exp())
                .sum();
            assert_close(log_density, mixed.ln(), 1.0);
        }
    }

    /// Labels and missing steps are what is left of all paths.
    #[test]
    fn known_states_and_missing_steps_agree_with_the_sum_over_the_paths_left(
        hmm in categorical_hmm(), x in codes(),
        known in prop::collection::vec((prop::option::weighted(0.3, 0_usize..3), any::<bool>()), 5),
    ) {
        let (n, k) = (x.len(), hmm.k());
        let states: Vec<_> = known[..n].iter().map(|(state, _)| state.filter(|j| *j < k)).collect();
        let missing: Vec<bool> = known[..n].iter().map(|(_, missing)| *missing).collect();
        let mut log_emission = log_emissions(&hmm, &x[..], n);
        for t in 0..n {
            for (j, b) in log_emission[t].iter_mut().enumerate() {
                if missing[t] { *b = 0.0; }
                if states[t].is_some_and(|state| state != j) { *b = f64::NEG_INFINITY; }
            }
        }
        let all = paths(&hmm, &log_emission);
        let total = log_sum(all.iter().map(|(_, l)| *l));
        let data = Sequences::one(&x[..]).labeled(&states).missing(&missing);
        if total == f64::NEG_INFINITY {
            prop_assert!(matches!(hmm.log_likelihood(data), Err(HmmError::EStep(_))));
            return Ok(());
        }
        assert_close(hmm.log_likelihood(data).unwrap(), total, total);
        let posterior = hmm.smooth(data).unwrap();
        for (place, p) in posterior.iter().enumerate() {
            assert_close(*p, share(&all, |path| path[place / k] == place % k), 1.0);
        }
        let best = hmm.viterbi(data).unwrap();
        let most = all.iter().map(|(_, l)| *l).fold(f64::NEG_INFINITY, f64::max);
        assert_close(best.log_probability, most, most);
        // Missing observations are not counted, transitions through them are.
        let model = HmmModel::ml();
        let params = model.start(hmm.clone(), 1.0).unwrap();
        let (_, stats) = e_step(&model, &params, data, elbo_core::Inference::Soft).unwrap();
        for (j, stats) in stats.2.iter().enumerate() {
            for (code, count) in stats.counts().iter().enumerate() {
                let expected: f64 = (0..n)
                    .filter(|t| !missing[*t] && x[*t] as usize == code)
                    .map(|t| share(&all, |path| path[t] == j))
                    .sum();
                assert_close(*count, expected, n as f64);
            }
        }
        let moves: f64 = stats.1.iter().map(elbo_dist::CategoricalStats::total_weight).sum();
        assert_close(moves, (n - 1) as f64, n as f64);
    }

    #[test]
    fn every_sequence_is_asked_on_its_own(
        hmm in poisson_hmm(), a in prop::collection::vec(0_u64..40, 1..5), b in prop::collection::vec(0_u64..40, 1..5),
    ) {
        let both = [&a[..], &b[..]].concat();
        let offsets = Sequences::<&[u64]>::offsets_of([a.len(), 0, b.len()]);
        let data = Sequences::new(&both[..], &offsets);
        let joined = |f: &dyn Fn(Sequences<'_, &[u64]>) -> Vec<f64>| {
            (f(data), [f((&a[..]).into()), f((&b[..]).into())].concat())
        };
        for (many, single) in [
            joined(&|x| hmm.smooth_lagged(x, 2).unwrap()),
            joined(&|x| hmm.smooth_pairs(x).unwrap()),
        ] {
            prop_assert_eq!(many, single);
        }
        let each = hmm.log_likelihoods(data).unwrap();
        prop_assert_eq!(each[1], 0.0);
        let sum = hmm.log_likelihood(data).unwrap();
        assert_close(each.iter().sum(), sum, sum);
        prop_assert_eq!(hmm.decode(data).unwrap().len(), both.len());
        let k = hmm.k();
        let forecast = hmm.forecast(data, 1).unwrap();
        prop_assert_eq!(&forecast[k..2 * k], hmm.initial()); // a sequence that has not begun
    }
}

#[test]
fn drawn_paths_have_the_posterior_frequencies() {
    let hmm = Hmm::new(
        &[0.6, 0.4],
        &[[0.7, 0.3], [0.2, 0.8]],
        vec![Poisson::new(3.0).unwrap(), Poisson::new(5.0).unwrap()],
    )
    .unwrap();
    let x = [4_u64, 2, 7, 4];
    let all = paths(&hmm, &log_emissions(&hmm, &x[..], 4));
    let draws = 20_000;
    let drawn = hmm.sample_paths(&x[..], draws, &mut ChaCha8Rng::seed_from_u64(5)).unwrap();
    for (path, _) in &all {
        let p = share(&all, |other| other == path);
        let found = drawn.iter().filter(|other| *other == path).count() as f64 / draws as f64;
        // Five standard errors: among 16 paths less than once in 10⁵ tries.
        let spread = 5.0 * (p * (1.0 - p) / draws as f64).sqrt();
        assert!((found - p).abs() < spread, "{path:?}: {found} {p}");
    }
}

#[test]
fn a_fit_with_every_state_known_counts() {
    let (x, states) = ([0_u32, 1, 1, 2, 0, 0], [0, 0, 1, 1, 1, 0]);
    let labels = states.map(Some);
    let data = Sequences::one(&x[..]).labeled(&labels);
    let start = Start::Random { k: 2, runs: 2, template: Categorical::uniform(3) };
    let fitted = HmmModel::ml().fit(data, &start, &Settings::default(), &()).unwrap();
    let hmm = fitted.hmm;
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near(hmm.transition(0), &[0.5, 0.5]), "{:?}", hmm.transition(0));
    assert!(near(hmm.transition(1), &[1.0 / 3.0, 2.0 / 3.0]), "{:?}", hmm.transition(1));
    assert!(near(hmm.emission()[0].probabilities(), &[2.0 / 3.0, 1.0 / 3.0, 0.0]));
    assert!(near(hmm.emission()[1].probabilities(), &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]));
    assert!(near(hmm.initial(), &[1.0, 0.0]));
}

#[test]
fn a_label_that_is_no_state_is_named() {
    let (x, labels) = ([1_u64, 2, 3], [None, Some(0), Some(2)]);
    let data = Sequences::one(&x[..]).labeled(&labels);
    let start = Start::Random { k: 2, runs: 1, template: Poisson::new(1.0).unwrap() };
    let error = HmmModel::ml().fit(data, &start, &Settings::default(), &()).unwrap_err();
    let unknown = DataError::UnknownState { row: 2, state: 2, states: 2 };
    assert_eq!(error, elbo_hmm::FitError::Data(unknown));
}

/// A few labels tell the states of a semi-supervised fit apart, so that their order is that of the labels.
#[test]
fn few_labels_order_the_states() {
    let rates = vec![Poisson::new(12.0).unwrap(), Poisson::new(3.0).unwrap()];
    let truth = Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.1, 0.9]], rates).unwrap();
    let (states, x) =
        truth.sample(300, &mut ChaCha8Rng::seed_from_u64(3), |emission, rng| emission.sample(rng));
    let labels: Vec<_> =
        states.iter().enumerate().map(|(t, j)| (t % 60 == 0).then_some(*j)).collect();
    assert!(labels.contains(&Some(0)) && labels.contains(&Some(1)));
    let data = Sequences::one(&x[..]).labeled(&labels);
    let start = Start::Random { k: 2, runs: 4, template: Poisson::new(1.0).unwrap() };
    let fitted = HmmModel::ml().fit(data, &start, &Settings::default(), &()).unwrap();
    let rate = |j: usize| fitted.hmm.emission()[j].rate();
    assert!((rate(0) - 12.0).abs() < 1.5 && (rate(1) - 3.0).abs() < 0.8, "{} {}", rate(0), rate(1));
}

proptest! {
    /// A visit to a state ends with probability `1 − A[j, j]` at each step.
    #[test]
    fn durations_are_geometric(rows in prop::collection::vec(law(3), 3)) {
        let emission = vec![Categorical::uniform(2); 3];
        let hmm = Hmm::new(&[1.0, 0.0, 0.0], &rows, emission).unwrap();
        for (j, mean) in hmm.mean_durations().into_iter().enumerate() {
            let stay = rows[j][j];
            if stay < 0.9 {
                let sum: f64 = (1..600).map(|d| f64::from(d) * stay.powi(d - 1) * (1.0 - stay)).sum();
                assert_close(mean, sum, 600.0);
            }
        }
    }
}
