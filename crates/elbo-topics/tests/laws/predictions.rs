//! Held-out documents: the unique completion, exact likelihoods.

use elbo_topics::{Corpus, TopicModel};

use crate::support::{assert_close, corpus, numbers, reference, rows};

fn model(reference: &serde_json::Value) -> TopicModel {
    let phi = rows(&reference["phi"]);
    let flat: Vec<f64> =
        (0..phi[0].len()).flat_map(|word| phi.iter().map(move |phi| phi[word])).collect();
    TopicModel::new(numbers(&reference["alpha"]), &flat).unwrap()
}

/// An independent program, whose shares Nelder and Mead's method confirms.
#[test]
fn completion_agrees_with_the_reference() {
    let Some(reference) = reference() else { return };
    let reference = &reference["D_heldout"];
    let (model, completion) = (model(reference), &reference["completion"]);
    let half = |name: &str| corpus(&[numbers(&completion[name])]);
    let (observed, target) = (half("obs"), half("tgt"));
    let shares = model.shares(observed.documents(), 1e-12).unwrap();
    for (share, expected) in shares.iter().zip(numbers(&completion["theta"])) {
        assert_close(*share, expected, 1e-9);
    }
    let perplexity = model.completion_perplexity(observed.documents(), target.documents()).unwrap();
    // Shares to 1e-7 in sum, first order in the perplexity.
    assert_close(perplexity, completion["perplexity"].as_f64().unwrap(), 1e-5);
}

/// The exact likelihood of a document, by sums over all topics of all tokens.
#[test]
fn reading_from_left_to_right_estimates_the_likelihood() {
    let Some(reference) = reference() else { return };
    let reference = &reference["D_heldout"];
    let model = model(reference);
    let tokens = [0, 1, 3, 3, 4, 0];
    assert_eq!(numbers(&reference["doc"]), tokens.map(f64::from));
    let exact = reference["exact_log_p_doc"].as_f64().unwrap();
    let estimates: Vec<f64> = (0..20).map(|seed| model.left_to_right(&tokens, 400, seed)).collect();
    let mean = estimates.iter().sum::<f64>() / 20.0;
    let variance = estimates.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 19.0;
    // Four standard errors, and the bias of a logarithm, half the variance.
    let error = 4.0 * (variance / 20.0).sqrt() + variance / 2.0;
    assert!(error < 0.05, "the estimates scatter by {error}");
    assert_close(mean, exact, error);
}

/// One topic, or one token: nothing is left to chance.
#[test]
fn without_choice_the_likelihood_is_exact() {
    let model = TopicModel::new(vec![0.7], &[0.5, 0.2, 0.3]).unwrap();
    let expected = 0.5_f64.ln() + 2.0 * 0.3_f64.ln();
    assert_close(model.left_to_right(&[0, 2, 2], 1, 0), expected, 1e-14);
    let model = TopicModel::new(vec![1.0, 3.0], &[0.5, 0.1, 0.5, 0.9]).unwrap();
    assert_close(model.left_to_right(&[0], 1, 0), (0.25_f64 * 0.5 + 0.75 * 0.1).ln(), 1e-14);
}

#[test]
fn an_empty_document_has_the_shares_of_the_prior() {
    let model = TopicModel::new(vec![1.0, 3.0], &[0.5, 0.1, 0.5, 0.9]).unwrap();
    let empty = Corpus::from_documents(2, [Vec::new()]).unwrap();
    assert_eq!(model.shares(empty.documents(), 1e-9).unwrap(), [0.25, 0.75]);
}

#[test]
fn shares_maximize_their_objective() {
    let model =
        TopicModel::new(vec![0.4, 0.2, 0.3], &[0.5, 0.1, 0.2, 0.3, 0.1, 0.4, 0.2, 0.8, 0.4])
            .unwrap();
    let corpus = corpus(&[vec![3.0, 1.0, 5.0], vec![0.0, 7.0, 1.0]]);
    let shares = model.shares(corpus.documents(), 1e-13).unwrap();
    let objective = |shares: &[f64]| {
        let prior = |theta: &[f64]| -> f64 {
            theta.iter().zip(model.alpha()).map(|(t, a)| a * t.ln()).sum()
        };
        model.log_likelihoods(corpus.documents(), shares).iter().sum::<f64>()
            + shares.chunks(3).map(prior).sum::<f64>()
    };
    let best = objective(&shares);
    for d in 0..2 {
        for (up, down) in [(0, 1), (1, 2), (2, 0), (1, 0)] {
            let mut moved = shares.clone();
            let by = 1e-4 * moved[d * 3 + down];
            moved[d * 3 + up] += by;
            moved[d * 3 + down] -= by;
            assert!(objective(&moved) <= best, "document {d}, {up} from {down}");
        }
    }
}

#[test]
fn relevance_ranks_from_probable_to_special() {
    let model = TopicModel::new(vec![0.1; 2], &[0.6, 0.7, 0.3, 0.0, 0.1, 0.3]).unwrap();
    let counts = [90.0, 3.0, 7.0];
    assert_eq!(model.top_words(0, 2), [0, 1]);
    assert_eq!(model.relevant_words(0, 1.0, &counts, 3), [0, 1, 2]);
    assert_eq!(model.relevant_words(0, 0.0, &counts, 3), [1, 2, 0]);
    assert_eq!(model.relevant_words(0, 0.0, &[90.0, 0.0, 7.0], 3), [2, 0]);
    assert_eq!(model.top_words(1, 9), [0, 2, 1]);
}

#[cfg(feature = "serde")]
#[test]
fn topics_come_back_from_json_and_bad_ones_do_not() {
    let model = TopicModel::new(vec![0.1, 0.2], &[0.6, 0.7, 0.4, 0.3]).unwrap();
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<TopicModel>(&text).unwrap(), model);
    assert!(serde_json::from_str::<TopicModel>(&text.replace("0.6", "0.7")).is_err());
}

/// The viewer's tables: sizes are percents, words of a topic are shares of its tokens, and names survive quoting.
#[test]
fn the_json_of_the_viewer_is_consistent() {
    use elbo_topics::Vocabulary;
    let model = TopicModel::new(
        vec![0.1; 3],
        &[0.5, 0.1, 0.0, 0.3, 0.1, 0.1, 0.2, 0.8, 0.1, 0.0, 0.0, 0.8],
    )
    .unwrap();
    let corpus =
        corpus(&[vec![30.0, 20.0, 5.0, 0.0], vec![0.0, 1.0, 9.0, 1.0], vec![1.0, 1.0, 1.0, 90.0]]);
    let vocabulary = Vocabulary::from_names(["a\"b", "back\\slash", "tab\t", "é"]).unwrap();
    let json = model.to_ldavis_json(corpus.documents(), &vocabulary).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let percents = numbers(&json["mdsDat"]["Freq"]);
    assert_close(percents.iter().sum(), 100.0, 1e-10);
    assert!(percents.is_sorted_by(|a, b| a >= b));
    let order = numbers(&json["topic.order"]);
    let tokens = model.tokens_of_topics(corpus.documents()).unwrap();
    assert_close(tokens.iter().sum(), corpus.tokens(), 1e-9);
    let terms: Vec<&str> =
        json["tinfo"]["Term"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert!(vocabulary.names().iter().all(|name| terms.contains(&name.as_str())));
    let (freq, log_probability) =
        (numbers(&json["tinfo"]["Freq"]), numbers(&json["tinfo"]["logprob"]));
    let mut seen = 0;
    for (i, category) in json["tinfo"]["Category"].as_array().unwrap().iter().enumerate() {
        let Some(place) = category.as_str().unwrap().strip_prefix("Topic") else { continue };
        let topic = order[place.parse::<usize>().unwrap() - 1];
        let tokens = tokens
            .iter()
            .zip(1_u32..)
            .find(|(_, t)| (f64::from(*t) - topic).abs() < 0.5)
            .unwrap()
            .0;
        assert_close(freq[i], log_probability[i].exp() * tokens, 1e-9 * tokens);
        seen += 1;
    }
    // Zeros are left out: two words have no place in one topic, one in another.
    assert_eq!(seen, 12 - 3);
    let (x, y) = (numbers(&json["mdsDat"]["x"]), numbers(&json["mdsDat"]["y"]));
    assert_close(x.iter().sum::<f64>() + y.iter().sum::<f64>(), 0.0, 1e-12);
}

#[test]
fn similar_documents_have_similar_shares() {
    let model = TopicModel::new(vec![0.1; 2], &[0.5, 0.1, 0.5, 0.9]).unwrap();
    let shares = [0.9, 0.1, 0.1, 0.9, 0.8, 0.2, 0.9, 0.1];
    let similar = model.similar(&shares, 0, 3);
    assert_eq!(similar.iter().map(|(d, _)| *d).collect::<Vec<_>>(), [3, 2, 1]);
    // Hellinger's distance of two Bernoullis.
    let expected = (1.0 - 2.0 * (0.09_f64).sqrt()).sqrt();
    assert_close(similar[2].1, expected, 1e-15);
    assert_close(similar[0].1, 0.0, 1e-7);
}
