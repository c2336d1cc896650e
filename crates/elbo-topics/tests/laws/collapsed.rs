//! CVB0 against the formula, token by token.

use elbo_core::{Settings, Tolerance, fit};
use elbo_topics::{Corpus, Cvb0, LdaModel, LdaPrior};

use crate::support::{assert_close, blocks, e_step, start, sum};

/// The counts of words in topics after `passes` passes, by loops that follow the definition: words of a document four at a
/// time, which do not see one another's change.
fn by_definition(
    corpus: &Corpus,
    first: &[Vec<Vec<f64>>],
    prior: &LdaPrior,
    passes: usize,
) -> (Vec<Vec<f64>>, f64) {
    let (k, v) = (prior.k(), corpus.words());
    let mut gamma = first.to_vec();
    let mut in_word = vec![vec![0.0; k]; v];
    let mut score = 0.0;
    for (document, gamma) in corpus.documents().iter().zip(&gamma) {
        for ((word, count), gamma) in document.0.iter().zip(document.1).zip(gamma) {
            (0..k).for_each(|t| in_word[*word as usize][t] += f64::from(*count) * gamma[t]);
        }
    }
    for _ in 0..passes {
        score = 0.0;
        for ((words, counts), gamma) in corpus.documents().iter().zip(&mut gamma) {
            for from in (0..words.len()).step_by(4) {
                let block = from..words.len().min(from + 4);
                let in_document = |t: usize| -> f64 {
                    gamma.iter().zip(counts).map(|(g, n)| f64::from(*n) * g[t]).sum()
                };
                let documents: Vec<f64> = (0..k).map(in_document).collect();
                let totals: Vec<f64> =
                    (0..k).map(|t| in_word.iter().map(|row| row[t]).sum()).collect();
                let tokens: f64 = counts.iter().map(|n| f64::from(*n)).sum();
                let alphas: f64 = prior.alpha().iter().sum();
                for i in block.clone() {
                    let (word, count) = (words[i] as usize, f64::from(counts[i]));
                    let weights: Vec<f64> = (0..k)
                        .map(|t| {
                            let own = gamma[i][t];
                            let etas: f64 = (0..v).map(|w| prior.word(w, t)).sum();
                            (documents[t] - own + prior.alpha()[t])
                                * (in_word[word][t] - own + prior.word(word, t))
                                / (totals[t] - own + etas)
                        })
                        .collect();
                    let sum: f64 = weights.iter().sum();
                    score += count * (sum / (tokens - 1.0 + alphas)).ln();
                    for t in 0..k {
                        let new = weights[t] / sum;
                        in_word[word][t] += count * (new - gamma[i][t]);
                        gamma[i][t] = new;
                    }
                }
            }
        }
    }
    (in_word, score)
}

/// For one, three, and eleven topics, so that rows are of one vector and of several.
#[test]
fn passes_follow_the_definition() {
    // With few pseudo-counts denominators are divided by, with many they come from a series.
    for (k, words, eta) in [
        (1, 8, 0.07),
        (3, 12, 0.07),
        (11, 33, 0.07),
        (70, 70, 0.07),
        (3, 12, 9.0),
        (11, 33, 4.0),
        (70, 70, 2.0),
    ] {
        let corpus = blocks(25, words, if k == 1 { 1 } else { k.min(11) }, 17);
        let alpha = (0..k).map(|t| 0.1 + 0.05 * t as f64).collect();
        let prior = LdaPrior::new(alpha, eta).unwrap();
        let model = LdaModel::new(Cvb0 { first_steps: 0 });
        let begin = start(&model, &prior, words);
        // Without steps, shares are uniform, and responsibilities those of the words alone.
        let first: Vec<Vec<Vec<f64>>> = corpus
            .documents()
            .iter()
            .map(|(words, _)| {
                let of = |word: &u32| {
                    let weights: Vec<f64> =
                        (0..k).map(|t| begin.probability(*word as usize, t)).collect();
                    let sum: f64 = weights.iter().sum();
                    weights.iter().map(|w| w / sum).collect()
                };
                words.iter().map(of).collect()
            })
            .collect();
        let settings = |iterations| Settings {
            tolerance: Tolerance::Change(0.0),
            max_iterations: iterations,
            pieces: 1,
            ..Settings::default()
        };
        for passes in [1, 4] {
            let end =
                fit(&model, corpus.documents(), begin.clone(), &settings(passes), &()).unwrap();
            let (counts, score) = by_definition(&corpus, &first, &prior, passes);
            // Responsibilities are rounded to 2⁻²⁴ at each pass, and a pass passes differences on, doubled at most here.
            let tolerance = 6e-8 * corpus.tokens() * 2_f64.powi(i32::try_from(passes).unwrap());
            for (word, counts) in counts.iter().enumerate() {
                for (topic, count) in counts.iter().enumerate() {
                    assert_close(end.stats.counts(word)[topic], *count, tolerance);
                }
            }
            assert_close(end.report.objective, score, 10.0 * tolerance);
            assert_close(sum(&end.stats), corpus.tokens(), 1e-7 * corpus.tokens());
        }
    }
}

#[test]
fn the_first_pass_counts_every_token() {
    let corpus = blocks(40, 12, 3, 9);
    let model = LdaModel::new(Cvb0::default());
    let prior = LdaPrior::symmetric(3, 0.1, 0.05).unwrap();
    let (_, stats) = e_step(&model, &start(&model, &prior, 12), &corpus);
    assert_close(sum(&stats), corpus.tokens(), 1e-12 * corpus.tokens());
}

#[test]
fn pseudo_counts_of_zero_are_refused() {
    let model = LdaModel::new(Cvb0::default());
    for prior in [LdaPrior::symmetric(2, 0.0, 0.1), LdaPrior::symmetric(2, 0.1, 0.0)] {
        assert!(model.start_at(prior.unwrap(), &[1.0; 6]).is_err());
    }
}
