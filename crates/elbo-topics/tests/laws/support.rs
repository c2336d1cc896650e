//! Small corpora, and helpers shared by the tests.

use elbo_core::{EStep, Statistics};
use elbo_topics::{Algorithm, Corpus, LatentModel, LdaModel, LdaParams, LdaPrior, LdaStats};
use proptest::prelude::*;

/// The reference results for topics, if there are any.
pub(crate) fn reference() -> Option<serde_json::Value> {
    let Some(folder) = std::env::var_os("ELBO_REFERENCE") else {
        eprintln!("ELBO_REFERENCE is not set: reference results are not compared");
        return None;
    };
    let path = std::path::Path::new(&folder).join("topics/topics_reference.json");
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

pub(crate) fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(crate) fn rows(value: &serde_json::Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// Rows of counts as a corpus.
pub(crate) fn corpus(counts: &[Vec<f64>]) -> Corpus {
    let document = |row: &Vec<f64>| {
        let pairs = row.iter().copied().zip(0_u32..).filter(|(count, _)| *count > 0.0);
        pairs.map(|(count, word)| (word, count)).collect::<Vec<_>>()
    };
    Corpus::from_documents(counts[0].len(), counts.iter().map(document)).unwrap()
}

/// One to five documents of up to four tokens of three words, some of them empty.
pub(crate) fn tiny() -> impl Strategy<Value = Corpus> {
    let document =
        prop::collection::vec(prop_oneof![2 => Just(0.0), 2 => Just(1.0), 1 => Just(2.0)], 3);
    prop::collection::vec(document, 1..4)
        .prop_filter("a token", |rows| rows.iter().flatten().sum::<f64>() > 0.0)
        .prop_map(|rows| corpus(&rows))
}

/// `n` documents of about `length` tokens over `words` words, from as many blocks of words as there are topics.
pub(crate) fn blocks(n: usize, words: usize, topics: usize, length: usize) -> Corpus {
    let mut state = 1_u64;
    let mut below = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    let documents: Vec<Vec<u32>> = (0..n)
        .map(|_| {
            let main = below(topics);
            let token = |_| {
                let topic = if below(10) < 8 { main } else { below(topics) };
                let place = below(words / topics);
                u32::try_from(topic * (words / topics) + place).unwrap()
            };
            (0..length).map(token).collect()
        })
        .collect();
    Corpus::from_tokens(words, documents.iter().map(Vec::as_slice)).unwrap()
}

/// Topics that differ, the same for every test.
pub(crate) fn start<A: Algorithm>(
    model: &LdaModel<A>,
    prior: &LdaPrior,
    words: usize,
) -> LdaParams {
    let counts: Vec<f64> =
        (0..words * prior.k()).map(|i| 1.0 + 0.7 * ((i * i) as f64 + 0.5).sin()).collect();
    model.start_at(prior.clone(), &counts).unwrap()
}

/// One E-step over everything at once, which remembers nothing.
pub(crate) fn e_step<A: Algorithm>(
    model: &LdaModel<A>,
    params: &LdaParams,
    corpus: &Corpus,
) -> (f64, LdaStats) {
    let mut stats = model.new_stats(params);
    let data = corpus.documents();
    let data_term =
        EStep::<LdaModel<A>>::new(data, 1).run(model, params, data, &mut stats).unwrap();
    (data_term, stats)
}

pub(crate) fn sum(stats: &LdaStats) -> f64 {
    let mut sum = 0.0;
    stats.visit(&mut |part| sum += part.iter().sum::<f64>());
    sum
}

#[track_caller]
pub(crate) fn assert_close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} and {b} differ by {:e}", a - b);
}
