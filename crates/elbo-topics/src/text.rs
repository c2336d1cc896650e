//! From text to a corpus: Unicode words, stop words, and words of too few or too many documents.

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::{Corpus, CorpusError, Vocabulary};

/// How text becomes words.
///
/// ```
/// use elbo_topics::Tokenizer;
///
/// let texts = ["The cat and the dog.", "A dog, a fish; no cat!", "Fish swim."];
/// let (corpus, vocabulary) = Tokenizer::default().stop_words("en").min_documents(2).corpus(texts)?;
/// assert_eq!(vocabulary.names(), ["cat", "dog", "fish"]);
/// assert_eq!(corpus.tokens(), 6.0);
/// # Ok::<(), elbo_topics::CorpusError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    stop_words: HashSet<String>,
    min_length: usize,
    min_documents: usize,
    max_share: f64,
}

impl Default for Tokenizer {
    /// Words of two letters and more, in lower case, whatever their documents.
    fn default() -> Self {
        Self { stop_words: HashSet::new(), min_length: 2, min_documents: 1, max_share: 1.0 }
    }
}

impl Tokenizer {
    /// Leaves out the stop words of a language, given by its code of ISO 639-1: "en".
    ///
    /// # Panics
    ///
    /// If the crate `stop-words` has none for it.
    #[must_use]
    pub fn stop_words(self, language: &str) -> Self {
        self.without(stop_words::get(language))
    }

    /// Leaves out these words, too.
    #[must_use]
    pub fn without(mut self, words: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.stop_words.extend(words.into_iter().map(|word| word.as_ref().to_lowercase()));
        self
    }

    /// Leaves out words of fewer letters.
    #[must_use]
    pub fn min_length(self, letters: usize) -> Self {
        Self { min_length: letters, ..self }
    }

    /// Leaves out words of fewer documents.
    #[must_use]
    pub fn min_documents(self, documents: usize) -> Self {
        Self { min_documents: documents, ..self }
    }

    /// Leaves out words that more than this share of documents have.
    #[must_use]
    pub fn max_share(self, share: f64) -> Self {
        Self { max_share: share, ..self }
    }

    /// The words of a text: segments of [Unicode text segmentation](https://www.unicode.org/reports/tr29/) with a letter or digit,
    /// in lower case, that are neither too short nor stop words.
    pub fn words(&self, text: &str) -> Vec<String> {
        text.unicode_words()
            .map(str::to_lowercase)
            .filter(|word| {
                word.chars().count() >= self.min_length && !self.stop_words.contains(word)
            })
            .collect()
    }

    /// The words of each text as numbers, in their order, and the vocabulary, sorted by name.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Size`] if no word is left.
    pub fn tokens<T: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<(Vec<Vec<u32>>, Vocabulary), CorpusError> {
        let texts: Vec<Vec<String>> =
            texts.into_iter().map(|text| self.words(text.as_ref())).collect();
        let mut documents: HashMap<&str, usize> = HashMap::new();
        for words in &texts {
            let distinct: HashSet<&str> = words.iter().map(String::as_str).collect();
            for word in distinct {
                *documents.entry(word).or_default() += 1;
            }
        }
        let most = self.max_share * texts.len() as f64;
        let fits = |count: usize| count >= self.min_documents && count as f64 <= most;
        let mut names: Vec<&str> =
            documents.iter().filter(|(_, count)| fits(**count)).map(|(word, _)| *word).collect();
        names.sort_unstable();
        if names.is_empty() {
            return Err(CorpusError::Size { size: 0 });
        }
        let vocabulary = Vocabulary::from_names(names)?;
        let number = |words: &Vec<String>| {
            words.iter().filter_map(|word| vocabulary.number(word)).collect::<Vec<u32>>()
        };
        let tokens = texts.iter().map(number).collect();
        Ok((tokens, vocabulary))
    }

    /// The counts of the same, and their vocabulary.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens).
    pub fn corpus<T: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<(Corpus, Vocabulary), CorpusError> {
        let (tokens, vocabulary) = self.tokens(texts)?;
        let corpus = Corpus::from_tokens(vocabulary.len(), tokens.iter().map(Vec::as_slice))?;
        Ok((corpus, vocabulary))
    }
}
