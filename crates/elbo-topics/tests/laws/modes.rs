//! MAP-EM: the objective by its definition, ascent, and a zero gradient where it ends.

use elbo_core::{Settings, Tolerance, Variant, fit};
use elbo_dist::special::ln_gamma;
use elbo_laws::model::{cutting_is_irrelevant, the_objective_never_falls};
use elbo_topics::{Corpus, LatentModel, LdaModel, LdaPrior, MapEm, TopicModel};
use proptest::prelude::*;

use crate::support::{assert_close, blocks, corpus, e_step, start, sum, tiny};

/// `ln Dirichlet(x ∣ 1 + a)`.
fn log_dirichlet(x: &[f64], a: &[f64]) -> f64 {
    let total: f64 = a.iter().map(|a| 1.0 + a).sum();
    ln_gamma(total) + x.iter().zip(a).map(|(x, a)| a * x.ln() - ln_gamma(1.0 + a)).sum::<f64>()
}

/// The log-posterior of topics `phi[topic][word]` and shares, from its definition.
fn log_posterior(corpus: &Corpus, phi: &[Vec<f64>], shares: &[f64], prior: &LdaPrior) -> f64 {
    let k = prior.k();
    let mut sum = 0.0;
    for ((words, counts), theta) in corpus.documents().iter().zip(shares.chunks(k)) {
        sum += log_dirichlet(theta, prior.alpha());
        for (word, count) in words.iter().zip(counts) {
            let p: f64 = theta.iter().zip(phi).map(|(t, phi)| t * phi[*word as usize]).sum();
            sum += f64::from(*count) * p.ln();
        }
    }
    for (topic, phi) in phi.iter().enumerate() {
        let eta: Vec<f64> = (0..phi.len()).map(|word| prior.word(word, topic)).collect();
        sum += log_dirichlet(phi, &eta);
    }
    sum
}

fn topics(params: &elbo_topics::LdaParams) -> Vec<Vec<f64>> {
    let topic = |k| (0..params.words()).map(|word| params.probability(word, k)).collect();
    (0..params.k()).map(topic).collect()
}

#[test]
fn the_objective_is_the_log_posterior_at_uniform_shares() {
    let corpus = corpus(&[vec![2.0, 1.0, 0.0, 3.0], vec![0.0, 4.0, 1.0, 0.0]]);
    let eta: Vec<f64> = (0..12).map(|i| 0.1 * f64::from(i)).collect();
    let prior = LdaPrior::new(vec![0.5, 0.0, 1.5], 0.0).unwrap().with_words(4, &eta).unwrap();
    let model = LdaModel::new(MapEm { first_steps: 0 });
    let params = start(&model, &prior, 4);
    let (data_term, stats) = e_step(&model, &params, &corpus);
    let expected = log_posterior(&corpus, &topics(&params), &[1.0 / 3.0; 6], &prior);
    assert_close(data_term + model.penalty(&params), expected, 1e-12 * expected.abs());
    assert_close(sum(&stats), corpus.tokens(), 1e-13 * corpus.tokens());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_objective_never_falls_from_anywhere(
        corpus in tiny(), alpha in prop_oneof![Just(0.0), 0.01_f64..2.0], eta in prop_oneof![Just(0.0), 0.01_f64..2.0],
    ) {
        let model = LdaModel::new(MapEm { first_steps: 2 });
        let prior = LdaPrior::symmetric(2, alpha, eta).unwrap();
        let start = start(&model, &prior, 3);
        the_objective_never_falls(&model, corpus.documents(), start, Variant::Soft, 30);
    }
}

/// At the end no direction on the simplex of any topic raises the objective, shares being the best for the topics: their
/// maximum is unique and found by other means.
#[test]
fn the_gradient_is_zero_where_a_run_ends() {
    let corpus = blocks(30, 6, 2, 12);
    let prior = LdaPrior::new(vec![0.8, 0.3], 0.4).unwrap();
    let model = LdaModel::new(MapEm::default());
    let settings = Settings {
        tolerance: Tolerance::Gap(1e-15),
        max_iterations: 20_000,
        ..Settings::default()
    };
    let begin = start(&model, &prior, 6);
    let end = fit(&model, corpus.documents(), begin, &settings, &()).unwrap();
    assert!(end.report.stopped.is_converged(), "{:?}", end.report.stopped);
    let profile = |phi: &[Vec<f64>]| {
        let flat: Vec<f64> = (0..6).flat_map(|word| phi.iter().map(move |phi| phi[word])).collect();
        let model = TopicModel::new(prior.alpha().to_vec(), &flat).unwrap();
        let shares = model.shares(corpus.documents(), 1e-13).unwrap();
        log_posterior(&corpus, phi, &shares, &prior)
    };
    let phi = topics(&end.params);
    let size = end.report.data_term.abs() + end.report.penalty.abs();
    // The run ends within 360 · 1e-15 nats, the shares within (1e-13)².
    assert_close(profile(&phi), end.report.objective, 1e-11 * size);
    let step = 1e-5;
    for topic in 0..2 {
        for word in 1..6 {
            let moved = |by: f64| {
                let mut phi = phi.clone();
                phi[topic][word] += by;
                phi[topic][0] -= by;
                profile(&phi)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            // Curvatures are tokens over squared probabilities, some 1e5: rounding of 1e-13 · size over the step, and what
            // √(gap · curvature) leaves of the slope.
            assert!(slope.abs() < 1e-3, "topic {topic}, word {word}: {slope}");
        }
    }
}

#[test]
fn without_pseudo_counts_it_is_plsa_with_one_topic_the_unigram() {
    let corpus = blocks(20, 6, 2, 12);
    let prior = LdaPrior::symmetric(1, 0.0, 0.0).unwrap();
    let model = LdaModel::new(MapEm::default());
    let begin = start(&model, &prior, 6);
    let end = fit(&model, corpus.documents(), begin, &Settings::default(), &()).unwrap();
    let counts = corpus.word_counts();
    for (word, count) in counts.iter().enumerate() {
        assert_close(end.params.probability(word, 0), count / corpus.tokens(), 1e-14);
    }
}

#[test]
fn cutting_changes_rounding_alone() {
    let corpus = blocks(300, 12, 3, 9);
    let model = LdaModel::new(MapEm::default());
    let prior = LdaPrior::symmetric(3, 0.5, 0.1).unwrap();
    cutting_is_irrelevant(&model, corpus.documents(), &start(&model, &prior, 12));
}

#[test]
fn a_word_that_no_topic_has_is_an_error_naming_the_document() {
    let corpus = corpus(&[vec![1.0, 1.0, 0.0], vec![1.0, 0.0, 2.0]]);
    let model = LdaModel::new(MapEm::default());
    let prior = LdaPrior::symmetric(2, 0.1, 0.0).unwrap();
    let begin = model.start_at(prior, &[1.0, 2.0, 3.0, 1.0, 0.0, 0.0]).unwrap();
    let error = fit(&model, corpus.documents(), begin, &Settings::default(), &()).unwrap_err();
    assert!(error.to_string().contains("observation 1 "), "{error}");
}
