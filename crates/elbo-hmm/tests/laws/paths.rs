//! Everything against the sum over all paths.

use elbo_core::{Inference, Statistics};
use elbo_hmm::{Hmm, HmmModel, Sequences};
use proptest::prelude::*;

use crate::support::{
    assert_close, categorical_hmm, e_step, enumerate, log_emissions, poisson_hmm,
};

fn counts() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0_u64..40, 1..=6)
}

fn codes() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..3, 1..=6)
}

/// Log-likelihood, posterior, pairs and best path of one sequence.
macro_rules! assert_all_paths_agree {
    ($hmm:expr, $x:expr) => {{
        let (hmm, x) = (&$hmm, &$x[..]);
        let truth = enumerate(hmm, &log_emissions(hmm, x, x.len()), 1.0);
        let size = truth.log_likelihood;
        assert_close(hmm.log_likelihood(x).unwrap(), truth.log_likelihood, size);
        let posterior = hmm.smooth(x).unwrap();
        for (row, expected) in posterior.chunks(hmm.k()).zip(&truth.posterior) {
            for (p, expected) in row.iter().zip(expected) {
                assert_close(*p, *expected, 1.0);
            }
        }
        let decoded = hmm.viterbi(x).unwrap();
        assert_close(decoded.log_probability, truth.best_log_probability, size);
        assert_eq!(decoded.states.len(), x.len());

        let model = HmmModel::ml();
        let params = model.start(hmm.clone(), 1.0).unwrap();
        let (data_term, stats) =
            e_step(&model, &params, Sequences::one(x), Inference::Soft).unwrap();
        assert_close(data_term, truth.log_likelihood, size);
        for (counts, expected) in stats.1.iter().zip(&truth.transitions) {
            for (count, expected) in counts.counts().iter().zip(expected) {
                assert_close(*count, *expected, x.len() as f64);
            }
        }
        for (count, expected) in stats.0[0].counts().iter().zip(&truth.posterior[0]) {
            assert_close(*count, *expected, 1.0);
        }
        for (j, stats) in stats.2.iter().enumerate() {
            let weights: Vec<f64> = truth.posterior.iter().map(|row| row[j]).collect();
            let mut expected = elbo_core::Family::new_stats(&hmm.emission()[j]);
            elbo_core::Family::observe(&hmm.emission()[j], &mut expected, x, &weights);
            let (mut found, mut wanted) = (Vec::new(), Vec::new());
            stats.write_to(&mut found);
            expected.write_to(&mut wanted);
            for (a, b) in found.iter().zip(&wanted) {
                assert_close(*a, *b, 40.0 * x.len() as f64);
            }
        }
    }};
}

proptest! {
    #[test]
    fn poisson_chains_agree_with_the_sum_over_all_paths(hmm in poisson_hmm(), x in counts()) {
        assert_all_paths_agree!(hmm, x);
    }

    #[test]
    fn categorical_chains_agree_with_the_sum_over_all_paths(hmm in categorical_hmm(), x in codes()) {
        assert_all_paths_agree!(hmm, x);
    }

    #[test]
    fn the_best_path_is_the_best_of_all_paths(hmm in categorical_hmm(), x in codes()) {
        let truth = enumerate(&hmm, &log_emissions(&hmm, &x, x.len()), 1.0);
        let decoded = hmm.viterbi(&x[..]).unwrap();
        // Paths may tie: what is asked is that the path has the probability that is claimed for it.
        let mut own = hmm.initial()[decoded.states[0]].ln();
        own += decoded.states.windows(2).map(|s| hmm.transition(s[0])[s[1]].ln()).sum::<f64>();
        own += decoded.states.iter().zip(&x).map(|(j, x)| hmm.emission()[*j].log_probability(*x)).sum::<f64>();
        assert_close(own, truth.best_log_probability, truth.log_likelihood);
    }

    #[test]
    fn tempered_chains_agree_with_tempered_paths(
        hmm in poisson_hmm(), x in counts(), beta in 0.05_f64..1.0,
    ) {
        let truth = enumerate(&hmm, &log_emissions(&hmm, &x, x.len()), beta);
        let model = HmmModel::ml();
        let params = model.start(hmm, 1.0).unwrap();
        let (data_term, stats) =
            e_step(&model, &params, Sequences::one(&x[..]), Inference::Tempered(beta)).unwrap();
        assert_close(data_term, truth.log_likelihood, truth.log_likelihood / beta);
        for (counts, expected) in stats.1.iter().zip(&truth.transitions) {
            for (count, expected) in counts.counts().iter().zip(expected) {
                assert_close(*count, *expected, x.len() as f64);
            }
        }
    }

    #[test]
    fn filtering_a_sequence_is_smoothing_its_beginnings(hmm in poisson_hmm(), x in counts()) {
        let filtered = hmm.filter(&x[..]).unwrap();
        for t in 0..x.len() {
            let beginning = hmm.smooth(&x[..=t]).unwrap();
            for j in 0..hmm.k() {
                assert_close(filtered[t * hmm.k() + j], beginning[t * hmm.k() + j], 1.0);
            }
        }
    }

    #[test]
    fn permuting_states_permutes_answers(
        hmm in poisson_hmm().prop_filter("three states", |hmm| hmm.k() == 3), x in counts(),
    ) {
        let order = [2, 0, 1];
        let permuted: Hmm<_> = hmm.permuted(&order);
        let (log_likelihood, posterior) = (hmm.log_likelihood(&x[..]).unwrap(), hmm.smooth(&x[..]).unwrap());
        assert_close(permuted.log_likelihood(&x[..]).unwrap(), log_likelihood, log_likelihood);
        let shuffled = permuted.smooth(&x[..]).unwrap();
        for (row, shuffled) in posterior.chunks(3).zip(shuffled.chunks(3)) {
            for (j, from) in order.iter().enumerate() {
                assert_close(shuffled[j], row[*from], 1.0);
            }
        }
        let (best, other) = (hmm.viterbi(&x[..]).unwrap(), permuted.viterbi(&x[..]).unwrap());
        assert_close(best.log_probability, other.log_probability, log_likelihood);
    }
}

#[test]
fn sampled_paths_have_the_posterior_frequencies() {
    use elbo_hmm::Poisson;
    use rand::{SeedableRng, rngs::ChaCha8Rng};

    let hmm = Hmm::new(
        &[0.5, 0.5],
        &[[0.8, 0.2], [0.3, 0.7]],
        vec![Poisson::new(2.0).unwrap(), Poisson::new(5.0).unwrap()],
    )
    .unwrap();
    let x = [2_u64, 4, 3, 5, 1];
    let truth = enumerate(&hmm, &log_emissions(&hmm, &x, 5), 1.0);
    let model = HmmModel::ml();
    let params = model.start(hmm, 1.0).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let draws = 20_000;
    let mut transitions = [[0.0; 2]; 2];
    for _ in 0..draws {
        let (data_term, stats) =
            e_step(&model, &params, Sequences::one(&x[..]), Inference::Sampled(&mut rng)).unwrap();
        assert_close(data_term, truth.log_likelihood, truth.log_likelihood);
        for (sum, counts) in transitions.iter_mut().zip(&stats.1) {
            sum.iter_mut().zip(counts.counts()).for_each(|(sum, count)| *sum += count);
        }
    }
    for (row, expected) in transitions.iter().zip(&truth.transitions) {
        for (sum, expected) in row.iter().zip(expected) {
            // A count of at most 4 has a standard deviation of at most 2: 5 standard errors of the mean.
            let bound = 5.0 * 2.0 / f64::from(draws).sqrt();
            assert!((sum / f64::from(draws) - expected).abs() < bound, "{sum} {expected}");
        }
    }
}
