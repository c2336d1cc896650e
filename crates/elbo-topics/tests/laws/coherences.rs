//! Coherences of gensim 4.4.0.

use elbo_topics::{CoherenceMeasure, Cooccurrences, Vocabulary};

use crate::support::{assert_close, numbers, reference};

#[test]
fn coherences_are_those_of_gensim() {
    let Some(reference) = reference() else { return };
    let reference = &reference["G_coherence_gensim"];
    let mut vocabulary = Vocabulary::new();
    let mut words = |list: &serde_json::Value| -> Vec<Vec<u32>> {
        let line = |line: &serde_json::Value| {
            let names =
                line.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        let lines: Vec<Vec<String>> = list.as_array().unwrap().iter().map(line).collect();
        lines
            .iter()
            .map(|names| names.iter().map(|name| vocabulary.learn(name).unwrap()).collect())
            .collect()
    };
    let (texts, topics) = (words(&reference["texts"]), words(&reference["topics"]));
    let interesting = topics.concat();
    for (name, measure, mut counts) in [
        ("u_mass", CoherenceMeasure::UMass, Cooccurrences::documents(&interesting)),
        ("c_uci", CoherenceMeasure::Uci, Cooccurrences::windows(&interesting, 10)),
        ("c_npmi", CoherenceMeasure::Npmi, Cooccurrences::windows(&interesting, 10)),
        ("c_v", CoherenceMeasure::Cv, Cooccurrences::windows(&interesting, 110)),
    ] {
        // Texts counted apart and merged are texts counted together.
        let mut others = counts.clone();
        for (i, text) in texts.iter().enumerate() {
            if i % 2 == 0 { counts.observe(text) } else { others.observe(text) }
        }
        counts.merge(&others);
        for (topic, expected) in topics.iter().zip(numbers(&reference["gensim"][name])) {
            assert_close(counts.coherence(topic, measure), expected, 1e-10);
        }
    }
}

/// Windows by looking at each of them.
#[test]
fn windows_slide_as_if_each_were_looked_at() {
    let text: Vec<u32> = (0..60).map(|i| (i * i + i / 7) % 9).collect();
    let interesting = [0, 1, 3, 7];
    for size in [1, 2, 5, 59, 60, 61] {
        let mut counts = Cooccurrences::windows(&interesting, size);
        counts.observe(&text);
        let windows: Vec<&[u32]> =
            if size < text.len() { text.windows(size).collect() } else { vec![&text] };
        let share = |words: &[u32]| {
            let has = |window: &&&[u32]| words.iter().all(|word| window.contains(word));
            windows.iter().filter(has).count() as f64 / windows.len() as f64
        };
        for topic in [[0, 1], [1, 3], [7, 0]] {
            let (a, b) = (share(&topic[..1]), share(&topic[1..]));
            let expected = if a * b > 0.0 { ((share(&topic) + 1e-12) / (a * b)).ln() } else { 0.0 };
            assert_close(counts.coherence(&topic, CoherenceMeasure::Uci), expected, 1e-12);
        }
    }
}

#[test]
fn words_that_never_occur_say_nothing() {
    let mut counts = Cooccurrences::documents(&[0, 1, 5]);
    counts.observe(&[0, 1, 2]);
    counts.observe(&[0]);
    let coherence = counts.coherence(&[5, 0], CoherenceMeasure::UMass);
    assert!(coherence.is_finite());
    assert_close(counts.coherence(&[0, 5], CoherenceMeasure::Npmi), 0.0, 0.0);
}
