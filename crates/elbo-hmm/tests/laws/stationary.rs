//! Chains that start in their stationary law.

use elbo_core::{CompleteDataModel, FlatModel, Inference, LatentModel};
use elbo_dist::Dirichlet;
use elbo_hmm::{
    Gamma, Hmm, HmmModel, HmmParams, MaximumLikelihood, Poisson, Sequences, Settings, Start,
    Tolerance,
};
use proptest::prelude::*;

use crate::{
    golden::EARTHQUAKES,
    support::{assert_close, e_step, law},
};

fn fit(k: usize, runs: usize) -> elbo_hmm::Fitted<Poisson> {
    let start = Start::Random { k, runs, template: Poisson::new(1.0).unwrap() };
    let data = Sequences::one(&EARTHQUAKES[..]);
    HmmModel::ml().stationary().fit(data, &start, &Settings::default(), &()).unwrap()
}

/// Zucchini & MacDonald (2009), *Hidden Markov Models for Time Series*, chapter 3 and table 6.1 for the same series, to more
/// digits by direct maximization (BFGS from 24 starts).
#[test]
fn earthquakes_end_at_the_optima_of_direct_maximization() {
    let optima = [391.918_928_165_5, 342.318_266_788_1, 329.460_276_264_6, 327.831_585_339_4];
    for (k, minus_log_likelihood) in (1..).zip(optima) {
        let fitted = fit(k, 20);
        // Both stop within 1e-7 nats of the optimum.
        let difference = fitted.log_likelihood + minus_log_likelihood;
        assert!(difference.abs() < 1e-6, "K = {k}: {}", fitted.log_likelihood);
        assert!(fitted.report.stopped.is_converged());
        assert_eq!(fitted.report.free_parameters, k * k);
        let law = fitted.hmm.stationary().unwrap();
        for (p, q) in law.iter().zip(fitted.hmm.initial()) {
            assert_close(*p, *q, 1.0);
        }
    }
}

fn chain() -> impl Strategy<Value = Hmm<Poisson>> {
    (
        prop::collection::vec(prop::collection::vec(0.05_f64..1.0, 3), 3),
        prop::collection::vec(0.5_f64..20.0, 3),
    )
        .prop_map(|(rows, rates)| {
            let rows: Vec<Vec<f64>> = rows
                .into_iter()
                .map(|row| {
                    let sum: f64 = row.iter().sum();
                    row.iter().map(|p| p / sum).collect()
                })
                .collect();
            let emission = rates.into_iter().map(|rate| Poisson::new(rate).unwrap()).collect();
            Hmm::new(&[1.0, 0.0, 0.0], &rows, emission).unwrap()
        })
}

type Params = HmmParams<Poisson, MaximumLikelihood, MaximumLikelihood>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn likelihood_never_falls(hmm in chain(), x in prop::collection::vec(0_u64..30, 2..40), ends in prop::collection::vec(1_usize..4, 0..6)) {
        let model = HmmModel::ml().stationary();
        let mut offsets = vec![0];
        for end in ends {
            offsets.push((offsets.last().unwrap() + end).min(x.len()));
        }
        offsets.push(x.len());
        let data = Sequences::new(&x[..], &offsets);
        let mut params = model.start(hmm, 1.0).unwrap();
        let mut next = params.clone();
        let mut last = f64::NEG_INFINITY;
        for _ in 0..8 {
            let (log_likelihood, stats) = e_step(&model, &params, data, Inference::Soft).unwrap();
            prop_assert!(log_likelihood >= last - 1e-12 * log_likelihood.abs(), "{} {}", log_likelihood, last);
            last = log_likelihood;
            model.m_step(&params, &stats, &mut next).unwrap();
            std::mem::swap(&mut params, &mut next);
        }
        let fitted = params.to_hmm();
        let law = fitted.stationary().unwrap();
        for (p, q) in law.iter().zip(fitted.initial()) {
            assert_close(*p, *q, 1.0);
        }
    }

    /// Fisher's identity: the score of the complete data is the gradient of the log-likelihood.
    #[test]
    fn scores_agree_with_differences(hmm in chain(), x in prop::collection::vec(0_u64..30, 2..30)) {
        let model = HmmModel::ml().stationary();
        let offsets = [0, 1, x.len()];
        let data = Sequences::new(&x[..], &offsets);
        let params: Params = model.start(hmm, 1.0).unwrap();
        let (_, stats) = e_step(&model, &params, data, Inference::Soft).unwrap();
        let mut at = Vec::new();
        model.write_unconstrained(&params, &mut at);
        prop_assert_eq!(at.len(), 9);
        let mut score = vec![0.0; 9];
        model.score_into(&params, &stats, &vec![1e-4; 9], &mut score);
        for c in 0..9 {
            let value = |step: f64| {
                let mut moved = at.clone();
                moved[c] += step;
                model.with_unconstrained(&params, &moved).to_hmm().log_likelihood(data).unwrap()
            };
            let h = 1e-4;
            let difference = (8.0 * (value(h) - value(-h)) - (value(2.0 * h) - value(-2.0 * h))) / (12.0 * h);
            // Rounding: ε |ℓ| / h, |ℓ| below 1000; the formula: h⁴ times a fifth derivative below 10⁵.
            prop_assert!((difference - score[c]).abs() < 1e-8, "{}: {} {}", c, difference, score[c]);
        }
    }
}

/// Zeros of a topology stay, and the prior is climbed as well.
#[test]
fn priors_and_zeros_go_with_the_stationary_law() {
    let rates = [12.0, 20.0, 30.0].map(|rate| Poisson::new(rate).unwrap()).to_vec();
    let rows = [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 0.2, 0.8]];
    let hmm = Hmm::new(&[1.0, 0.0, 0.0], &rows, rates).unwrap();
    let data = Sequences::one(&EARTHQUAKES[..]);
    let settings = Settings { tolerance: Tolerance::Gap(1e-12), ..Settings::default() };
    let ml =
        HmmModel::ml().stationary().fit(data, &Start::At(hmm.clone()), &settings, &()).unwrap();
    assert_eq!((ml.hmm.transition(0)[2], ml.hmm.transition(2)[0]), (0.0, 0.0));
    let trace = &ml.report.trace;
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-10), "{trace:?}");

    let flat = |alpha: f64| Dirichlet::symmetric(3, alpha).unwrap();
    let model = HmmModel::map(Gamma::new(2.0, 0.1).unwrap(), flat(5.0), flat(1.5)).stationary();
    // A zero has no density under this prior, so that the start must have none.
    let rows = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]];
    let inside = Hmm::new(&[1.0, 0.0, 0.0], &rows, hmm.emission().to_vec()).unwrap();
    let map = model.fit(data, &Start::At(inside), &settings, &()).unwrap();
    let trace = &map.report.trace;
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0] - 1e-10), "{trace:?}");
    assert!(map.report.stopped.is_converged(), "{:?} {:?}", map.report.stopped, trace);
    assert!(map.report.penalty.is_finite());
}

#[test]
fn two_closed_classes_have_no_stationary_start() {
    let rates = [1.0, 5.0].map(|rate| Poisson::new(rate).unwrap()).to_vec();
    let hmm = Hmm::new(&[0.5, 0.5], &[[1.0, 0.0], [0.0, 1.0]], rates).unwrap();
    let error = HmmModel::ml().stationary().start(hmm, 10.0).unwrap_err().to_string();
    assert!(error.contains("stationary start"), "{error}");
}

proptest! {
    #[test]
    fn the_law_is_left_unchanged(rows in prop::collection::vec(law(4), 4)) {
        let hmm = Hmm::new(&[1.0, 0.0, 0.0, 0.0], &rows, vec![Poisson::new(1.0).unwrap(); 4]).unwrap();
        if let Some(law) = hmm.stationary() {
            for (p, q) in law.iter().zip(hmm.predict(&law, 1)) {
                assert_close(*p, q, 1.0);
            }
        }
    }
}
