//! Variational Bayes: the bound of an independent program, and the evidence by enumeration.

use elbo_core::{EStep, Settings, Tolerance, fit};
use elbo_dist::special::ln_gamma;
use elbo_laws::model::cutting_is_irrelevant;
use elbo_topics::{Corpus, LatentModel, LdaModel, LdaPrior, Variational};
use proptest::prelude::*;

use crate::support::{assert_close, blocks, corpus, numbers, reference, rows, start, tiny};

fn exact() -> LdaModel<Variational> {
    LdaModel::new(Variational { tolerance: 1e-13, steps: 100_000 })
}

fn settings(iterations: usize) -> Settings {
    Settings {
        tolerance: Tolerance::Change(0.0),
        max_iterations: iterations,
        ..Settings::default()
    }
}

/// An independent program in numpy, with which scikit-learn and gensim agree to 1e-13.
#[test]
fn the_bound_follows_the_reference_pass_by_pass() {
    let Some(reference) = reference() else { return };
    let reference = &reference["A_tiny_batch_vb"];
    let corpus = corpus(&rows(&reference["X"]));
    let (k, v) = (2, corpus.words());
    let (alpha, eta) = (reference["alpha"].as_f64().unwrap(), reference["eta"].as_f64().unwrap());
    let prior = LdaPrior::symmetric(k, alpha, eta).unwrap();
    let lambda = |word: usize, topic: usize| 1.0 + 0.5 * ((1 + topic * v + word) as f64).sin();
    let counts: Vec<f64> = (0..v * k).map(|i| lambda(i / k, i % k) - eta).collect();
    let model = exact();
    let start = model.start_at(prior, &counts).unwrap();
    let end = fit(&model, corpus.documents(), start, &settings(30), &()).unwrap();
    let bounds = rows(&reference["bounds_afterE_afterM"]);
    for (pass, bound) in end.report.trace.iter().zip(&bounds) {
        assert_close(*pass, bound[0], 1e-9);
    }
    // The M-step raises the bound, the E-step after it does so again.
    for (pair, bound) in end.report.trace.windows(2).zip(&bounds) {
        assert!(pair[0] <= bound[1] + 1e-9 && bound[1] <= pair[1] + 1e-9);
    }
    assert_close(end.report.objective, reference["final_bound"].as_f64().unwrap(), 1e-9);
    for (topic, lambda) in rows(&reference["lambda_final"]).iter().enumerate() {
        for (word, lambda) in lambda.iter().enumerate() {
            assert_close(end.params.counts(word)[topic], *lambda, 1e-9);
        }
    }
}

/// `ln p(x ∣ α, η)` by the sum over all topics of all tokens.
fn log_evidence(corpus: &Corpus, k: usize, alpha: f64, eta: f64) -> f64 {
    let mut tokens = Vec::new();
    for (d, (words, counts)) in corpus.documents().iter().enumerate() {
        for (word, count) in words.iter().zip(counts) {
            let times = if *count > 1.5 { 2 } else { 1 };
            tokens.extend(std::iter::repeat_n((d, *word as usize), times));
        }
    }
    let group = |counts: &[f64], a: f64| {
        let (n, total) = (counts.iter().sum::<f64>(), a * counts.len() as f64);
        counts.iter().map(|c| ln_gamma(a + c) - ln_gamma(a)).sum::<f64>() + ln_gamma(total)
            - ln_gamma(total + n)
    };
    let ways = k.pow(u32::try_from(tokens.len()).unwrap());
    let terms: Vec<f64> = (0..ways)
        .map(|mut code| {
            let mut documents = vec![vec![0.0; k]; corpus.len()];
            let mut topics = vec![vec![0.0; corpus.words()]; k];
            for (d, word) in &tokens {
                documents[*d][code % k] += 1.0;
                topics[code % k][*word] += 1.0;
                code /= k;
            }
            documents.iter().map(|counts| group(counts, alpha)).sum::<f64>()
                + topics.iter().map(|counts| group(counts, eta)).sum::<f64>()
        })
        .collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()
}

/// The evidence and the best bound of twenty starts, from the reference; the evidence by enumeration here as well.
#[test]
fn the_best_bound_of_a_tiny_corpus_is_that_of_the_reference() {
    let Some(reference) = reference() else { return };
    let reference = &reference["C_micro_exact"];
    let documents: Vec<Vec<u32>> = reference["docs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            numbers(d)
                .iter()
                .map(|w| {
                    if *w < 0.5 {
                        0
                    } else if *w < 1.5 {
                        1
                    } else {
                        2
                    }
                })
                .collect()
        })
        .collect();
    let corpus = Corpus::from_tokens(3, documents.iter().map(Vec::as_slice)).unwrap();
    let evidence = reference["log_evidence"].as_f64().unwrap();
    assert_close(log_evidence(&corpus, 2, 0.5, 0.4), evidence, 1e-9);

    let model = exact();
    let prior = LdaPrior::symmetric(2, 0.5, 0.4).unwrap();
    let mut best = f64::NEG_INFINITY;
    for seed in 0..20 {
        let start = model.random_start(prior.clone(), &corpus.word_counts(), seed).unwrap();
        let end = fit(&model, corpus.documents(), start, &settings(300), &()).unwrap();
        best = best.max(end.report.objective);
    }
    assert!(best < evidence);
    assert_close(best, reference["best_elbo_20_restarts"].as_f64().unwrap(), 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_bound_is_never_above_the_evidence(
        corpus in tiny(), alpha in 0.1_f64..2.0, eta in 0.1_f64..2.0, passes in 0_usize..4, seed in 0_u64..9,
    ) {
        let model = exact();
        let prior = LdaPrior::symmetric(2, alpha, eta).unwrap();
        let start = model.random_start(prior, &corpus.word_counts(), seed).unwrap();
        let end = fit(&model, corpus.documents(), start, &settings(passes), &()).unwrap();
        let evidence = log_evidence(&corpus, 2, alpha, eta);
        prop_assert!(end.report.objective <= evidence + 1e-9, "{} > {evidence}", end.report.objective);
    }
}

/// With one topic the posterior factorizes, and the bound is the evidence: `q` leaves nothing out.
#[test]
fn with_one_topic_the_bound_is_the_evidence() {
    let corpus = corpus(&[vec![2.0, 1.0, 0.0], vec![0.0, 1.0, 1.0]]);
    let model = exact();
    let eta = [0.3, 0.7, 1.1];
    let prior = LdaPrior::symmetric(1, 0.4, 0.0).unwrap().with_words(3, &eta).unwrap();
    let start = model.start_at(prior, &[1.0; 3]).unwrap();
    let end = fit(&model, corpus.documents(), start, &settings(2), &()).unwrap();
    let totals = corpus.word_counts();
    let exact: f64 =
        eta.iter().zip(&totals).map(|(a, n)| ln_gamma(a + n) - ln_gamma(*a)).sum::<f64>()
            + ln_gamma(eta.iter().sum())
            - ln_gamma(eta.iter().sum::<f64>() + totals.iter().sum::<f64>());
    assert_close(end.report.objective, exact, 1e-12);
}

#[test]
fn cutting_changes_rounding_alone() {
    let corpus = blocks(300, 12, 3, 9);
    let model = LdaModel::new(Variational::default());
    let prior = LdaPrior::symmetric(3, 0.5, 0.1).unwrap();
    cutting_is_irrelevant(&model, corpus.documents(), &start(&model, &prior, 12));
}

/// Seeds are pseudo-counts that differ between topics: a matrix of equal ones is the symmetric prior.
#[test]
fn a_matrix_of_equal_pseudo_counts_is_a_symmetric_prior() {
    let corpus = blocks(40, 12, 3, 9);
    let model = LdaModel::new(Variational::default());
    let symmetric = LdaPrior::symmetric(3, 0.5, 0.1).unwrap();
    let matrix = symmetric.clone().with_words(12, &[0.1; 36]).unwrap();
    let (a, b) = (start(&model, &symmetric, 12), start(&model, &matrix, 12));
    // Sums of 36 terms of at most 10 nats.
    assert_close(model.penalty(&a), model.penalty(&b), 1e-11);
    let mut stats = model.new_stats(&a);
    let run = EStep::<LdaModel<Variational>>::new(corpus.documents(), 1);
    let first = run.run(&model, &a, corpus.documents(), &mut stats).unwrap();
    assert_close(first, run.run(&model, &b, corpus.documents(), &mut stats).unwrap(), 1e-9);
}
