//! Long chains, densities far apart, structural zeros: right answers or typed errors, never silence.

use elbo_core::Inference;
use elbo_hmm::{
    Categorical, CovarianceStructure, EStepError, Gaussian, Hmm, HmmError, HmmModel,
    MultivariateGaussian, Rows, Sequences,
};
use proptest::prelude::*;

use crate::support::{assert_close, e_step, enumerate, in_logs, log_emissions};

/// Compares likelihood and posterior with the recursions in logarithms.
fn assert_agrees_with_logs(hmm: &Hmm<Gaussian>, x: &[f64]) {
    let (log_likelihood, posterior) = in_logs(hmm, &log_emissions(hmm, x, x.len()));
    let found = hmm.log_likelihood(x).unwrap();
    assert!(
        (found - log_likelihood).abs() <= 1e-12 * log_likelihood.abs(),
        "{found} is not {log_likelihood}"
    );
    for (row, expected) in hmm.smooth(x).unwrap().chunks(hmm.k()).zip(&posterior) {
        for (p, expected) in row.iter().zip(expected) {
            // A log posterior is a difference of sums whose terms reach the largest log density.
            assert!((p - expected.exp()).abs() <= 1e-9, "{p} is not {}", expected.exp());
        }
    }
    let model = HmmModel::ml();
    let params = model.start(hmm.clone(), 1.0).unwrap();
    let (_, stats) = e_step(&model, &params, Sequences::one(x), Inference::Soft).unwrap();
    let transitions: f64 = stats.1.iter().map(elbo_dist::CategoricalStats::total_weight).sum();
    assert!((transitions - (x.len() - 1) as f64).abs() <= 1e-9 * x.len() as f64);
}

fn gaussians<const K: usize>(means: [f64; K], variance: f64) -> Vec<Gaussian> {
    means.map(|mean| Gaussian::new(mean, variance).unwrap()).to_vec()
}

/// Numbers that look random, in `[0, 1)`.
fn noise(i: usize) -> f64 {
    let bits = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((bits ^ (bits >> 32)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn densities_far_apart_are_exact() {
    // Log densities of a step differ by up to 1e5 and more.
    let x: Vec<f64> =
        (0..600).map(|t| if t / 37 % 2 == 0 { 0.0 } else { 450.0 } + noise(t)).collect();
    let connected = Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.2, 0.8]], gaussians([0.0, 450.0], 1.0));
    assert_agrees_with_logs(&connected.unwrap(), &x);
    let far = Hmm::new(&[1.0, 0.0], &[[0.9, 0.1], [0.2, 0.8]], gaussians([450.0, 0.0], 1.0));
    assert_agrees_with_logs(&far.unwrap(), &x);
}

#[test]
fn two_chains_that_never_meet_are_weighed_over_all_steps() {
    // The data favor the first chain, then by far the second one, then the first: any scaled recursion loses the
    // second one on the way forward and on the way back, although it wins in the end.
    for middle in [300, 1000] {
        let x: Vec<f64> =
            (0..1800).map(|t| if (400..400 + middle).contains(&t) { 2.5 } else { -2.5 }).collect();
        let hmm =
            Hmm::new(&[0.5, 0.5], &[[1.0, 0.0], [0.0, 1.0]], gaussians([-2.0, 2.0], 1.0)).unwrap();
        let posterior = hmm.smooth(&x[..]).unwrap();
        let winner = f64::from(u8::from(x.iter().sum::<f64>() > 0.0));
        assert!((posterior[1] - winner).abs() < 1e-12, "{}", posterior[1]);
        assert_agrees_with_logs(&hmm, &x);
    }
    let balanced: Vec<f64> =
        (0..2000).map(|t| if (500..1500).contains(&t) { 2.5 } else { -2.5 }).collect();
    let hmm =
        Hmm::new(&[0.5, 0.5], &[[1.0, 0.0], [0.0, 1.0]], gaussians([-2.0, 2.0], 1.0)).unwrap();
    let posterior = hmm.smooth(&balanced[..]).unwrap();
    assert!((posterior[0] - 0.5).abs() < 1e-9, "{}", posterior[0]);
}

#[test]
fn states_out_of_reach_do_not_drown_the_others() {
    // The second state explains all the data and can never be entered: backward messages are all but its own.
    let hmm =
        Hmm::new(&[1.0, 0.0], &[[1.0, 0.0], [0.0, 1.0]], gaussians([0.0, 10.0], 1.0)).unwrap();
    let x: Vec<f64> = (0..600).map(|t| 9.5 + noise(t)).collect();
    assert_agrees_with_logs(&hmm, &x);
    let posterior = hmm.smooth(&x[..]).unwrap();
    assert!(posterior.chunks(2).all(|row| row == [1.0, 0.0]));
}

#[test]
fn left_to_right_chains_are_exact() {
    let rows = [[0.99, 0.01, 0.0], [0.0, 0.98, 0.02], [0.0, 0.0, 1.0]];
    let hmm = Hmm::new(&[1.0, 0.0, 0.0], &rows, gaussians([0.0, 4.0, 0.0], 0.5)).unwrap();
    let x: Vec<f64> = (0..700)
        .map(|t| if (300..500).contains(&t) { 4.0 } else { 0.0 } + noise(t) - 0.5)
        .collect();
    assert_agrees_with_logs(&hmm, &x);
}

#[test]
fn transitions_that_are_almost_impossible_are_exact() {
    let rows = [[1.0, 1e-200], [1e-300, 1.0]];
    let hmm = Hmm::new(&[1.0, 1e-250], &rows, gaussians([-3.0, 3.0], 1.0)).unwrap();
    let x: Vec<f64> = (0..500).map(|t| if t < 250 { -3.0 } else { 3.0 } + noise(t)).collect();
    assert_agrees_with_logs(&hmm, &x);
    let posterior = hmm.smooth(&x[..]).unwrap();
    assert!(posterior[0] > 0.99 && posterior[999] > 0.99);
}

#[test]
fn deterministic_cycles_are_exact() {
    let k = 4;
    let rows: Vec<Vec<f64>> =
        (0..k).map(|i| (0..k).map(|j| f64::from(u8::from(j == (i + 1) % k))).collect()).collect();
    let emission = (0..k)
        .map(|j| {
            let table = (0..k).map(|x| if x == j { 0.7 } else { 0.1 }).collect();
            Categorical::new(table).unwrap()
        })
        .collect();
    let hmm = Hmm::new(&[0.25; 4], &rows, emission).unwrap();
    let x: Vec<u32> = (0..10_000).map(|t| (t % 4 + u32::from(t % 7 == 0)) % 4).collect();
    // Only four paths are possible: their probabilities are products.
    let log_joint = |first: usize| {
        0.25_f64.ln()
            + x.iter()
                .enumerate()
                .map(
                    |(t, x)| {
                        if (first + t) % 4 == *x as usize { 0.7_f64.ln() } else { 0.1_f64.ln() }
                    },
                )
                .sum::<f64>()
    };
    let expected = crate::support::log_sum((0..4).map(log_joint));
    assert_close(hmm.log_likelihood(&x[..]).unwrap(), expected, expected);
    let best = (0..4).map(log_joint).fold(f64::NEG_INFINITY, f64::max);
    assert_close(hmm.viterbi(&x[..]).unwrap().log_probability, best, best);
}

#[test]
fn a_million_steps_agree_with_logarithms() {
    let rows = [[0.95, 0.03, 0.02], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]];
    let hmm = Hmm::new(&[0.2, 0.3, 0.5], &rows, gaussians([-1.0, 0.5, 3.0], 1.5)).unwrap();
    let x: Vec<f64> = (0..1_000_000).map(|t| 8.0 * noise(t) - 4.0).collect();
    let (log_likelihood, _) = in_logs(&hmm, &log_emissions(&hmm, &x, x.len()));
    let found = hmm.log_likelihood(&x[..]).unwrap();
    let relative = (found - log_likelihood).abs() / log_likelihood.abs();
    assert!(relative <= 1e-12, "{found} is not {log_likelihood}: {relative:e}");
}

#[test]
fn impossible_steps_are_named() {
    let sure = |x: usize| {
        let mut table = vec![0.0; 3];
        table[x] = 1.0;
        Categorical::new(table).unwrap()
    };
    let hmm = Hmm::new(&[1.0, 0.0], &[[0.5, 0.5], [0.0, 1.0]], vec![sure(0), sure(1)]).unwrap();
    let step = |sequence, step| HmmError::EStep(EStepError::ImpossibleStep { sequence, step });
    // Nothing emits a 2.
    let mut x = vec![0_u32; 700];
    x[600] = 2;
    assert_eq!(hmm.log_likelihood(&x[..]), Err(step(0, 600)));
    assert_eq!(hmm.viterbi(&x[..]), Err(step(0, 600)));
    // A 0 after a 1 would need a transition of probability zero.
    let (x, offsets) = ([0_u32, 1, 1, 0, 0, 1, 0], [0, 3, 3, 7]);
    let data = Sequences::new(&x[..], &offsets);
    assert_eq!(hmm.smooth(data), Err(step(2, 3)));
    assert_eq!(hmm.viterbi(data), Err(step(2, 3)));
    let model = HmmModel::ml();
    let params = model.start(hmm, 1.0).unwrap();
    for how in [Inference::Soft, Inference::Hard, Inference::Tempered(0.5)] {
        let error = e_step(&model, &params, data, how).unwrap_err();
        assert_eq!(error, EStepError::ImpossibleStep { sequence: 2, step: 3 });
    }
}

#[test]
fn densities_that_overflow_are_named() {
    let hmm = Hmm::new(&[1.0], &[[1.0]], gaussians([0.0], 1.0)).unwrap();
    let mut x = vec![0.0; 300];
    x[299] = 1e200; // its square is infinite: the density is zero
    let error = HmmError::EStep(EStepError::ImpossibleStep { sequence: 0, step: 299 });
    assert_eq!(hmm.log_likelihood(&x[..]), Err(error));
    x[10] = f64::INFINITY;
    assert!(matches!(hmm.log_likelihood(&x[..]), Err(HmmError::Data(_))));
}

#[test]
fn a_missing_step_says_nothing_and_time_goes_on() {
    let (initial, transition) = ([0.3, 0.7], [[0.9, 0.1], [0.4, 0.6]]);
    let hmm = Hmm::new(&initial, &transition, gaussians([0.0, 3.0], 1.0)).unwrap();
    let x = [0.5, f64::NAN, 2.0];
    let density = |j: usize, x: f64| hmm.emission()[j].log_density(x).exp();
    let mut sum = 0.0;
    for (i, start) in initial.iter().enumerate() {
        for (j, to_missing) in transition[i].iter().enumerate() {
            for (k, to_last) in transition[j].iter().enumerate() {
                sum += start * to_missing * to_last * density(i, x[0]) * density(k, x[2]);
            }
        }
    }
    assert!((hmm.log_likelihood(&x[..]).unwrap() - sum.ln()).abs() < 1e-14);
    let state = hmm.smooth(&x[..]).unwrap();
    assert!(state.iter().all(|p| *p > 0.0));
}

#[test]
fn long_sequences_feed_every_row_to_its_block() {
    // Families may keep what they learn about a block between scoring and observing it.
    let n = 900;
    let data: Vec<f64> =
        (0..2 * n).map(|i| 3.0 * noise(i) + if i / 400 % 2 == 0 { 0.0 } else { 4.0 }).collect();
    let rows = Rows::new(&data, n, 2);
    let at = |mean: f64| {
        let structure = CovarianceStructure::VVV;
        MultivariateGaussian::new(structure, vec![mean, mean], &[1.0, 0.2, 0.2, 2.0]).unwrap()
    };
    let hmm = Hmm::new(&[0.5, 0.5], &[[0.9, 0.1], [0.2, 0.8]], vec![at(0.0), at(5.0)]).unwrap();
    let posterior = hmm.smooth(rows).unwrap();
    let model = HmmModel::ml();
    let params = model.start(hmm.clone(), 1.0).unwrap();
    let (_, stats) = e_step(&model, &params, Sequences::one(rows), Inference::Soft).unwrap();
    for (j, stats) in stats.2.iter().enumerate() {
        let weights: Vec<f64> = posterior.chunks(2).map(|row| row[j]).collect();
        let weight: f64 = weights.iter().sum();
        for column in 0..2 {
            let sum: f64 = weights.iter().zip(data.chunks(2)).map(|(w, x)| w * x[column]).sum();
            let mean = stats.mean()[column];
            assert!((mean - sum / weight).abs() <= 1e-12 * 8.0, "{mean} {}", sum / weight);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn extreme_chains_agree_with_the_sum_over_all_paths(
        x in prop::collection::vec(prop::sample::select(vec![-400.0, -20.0, 0.0, 15.0, 500.0]), 1..6),
        small in prop::sample::select(vec![0.0, 1e-300, 1e-95, 1e-50, 1e-10, 0.3]),
        other in prop::sample::select(vec![0.0, 1e-200, 1e-39, 0.5]),
    ) {
        let rows = [[1.0 - small, small, 0.0], [0.0, 1.0 - other, other], [small, 0.5, 0.5 - small]];
        let hmm = Hmm::new(&[1.0 - small, small, 0.0], &rows, gaussians([-20.0, 0.0, 15.0], 1.0)).unwrap();
        let log_emission = log_emissions(&hmm, &x[..], x.len());
        let truth = enumerate(&hmm, &log_emission, 1.0);
        let (log_likelihood, posterior) = in_logs(&hmm, &log_emission);
        assert_close(log_likelihood, truth.log_likelihood, log_likelihood);
        let found = hmm.log_likelihood(&x[..]).unwrap();
        assert_close(found, log_likelihood, log_likelihood);
        for (row, expected) in hmm.smooth(&x[..]).unwrap().chunks(3).zip(&posterior) {
            for (p, expected) in row.iter().zip(expected) {
                prop_assert!((p - expected.exp()).abs() <= 1e-9, "{} {}", p, expected.exp());
            }
        }
    }
}
