//! Text to tokens.

use elbo_topics::{CorpusError, Tokenizer};

#[test]
fn words_are_those_of_unicode_in_lower_case() {
    let words = Tokenizer::default().words("Ça va? L'été — 3 can't-stop ΣΊΣΥΦΟΣ x 中文");
    assert_eq!(words, ["ça", "va", "l'été", "can't", "stop", "σίσυφος"]);
}

#[test]
fn documents_decide_what_is_a_word() {
    let texts = ["a1 b1 b1 c1", "a1 b1", "a1 c1 d1", "a1"];
    let tokens = |t: Tokenizer| {
        let (tokens, vocabulary) = t.tokens(texts).unwrap();
        (tokens, vocabulary.names().to_vec())
    };
    let (all, names) = tokens(Tokenizer::default());
    assert_eq!(names, ["a1", "b1", "c1", "d1"]);
    assert_eq!(all[0], [0, 1, 1, 2]);
    let (_, names) = tokens(Tokenizer::default().min_documents(2).max_share(0.5));
    assert_eq!(names, ["b1", "c1"]);
    let (_, names) = tokens(Tokenizer::default().without(["A1", "b1"]));
    assert_eq!(names, ["c1", "d1"]);
    let none = Tokenizer::default().min_documents(9).tokens(texts).unwrap_err();
    assert_eq!(none, CorpusError::Size { size: 0 });
}
