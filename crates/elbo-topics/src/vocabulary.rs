//! Names of words.

use std::collections::HashMap;

use crate::CorpusError;

/// The names of the words of a corpus, numbered from 0 in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    /// No word yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Words in this order.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Duplicate`] if a name comes twice, [`CorpusError::Size`] if there are more than 2³² − 1.
    pub fn from_names(
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, CorpusError> {
        let mut vocabulary = Self::new();
        for name in names {
            let (name, second) = (name.into(), vocabulary.len());
            if let Some(first) = vocabulary.number(&name) {
                return Err(CorpusError::Duplicate { name, first: first as usize, second });
            }
            vocabulary.learn(&name)?;
        }
        Ok(vocabulary)
    }

    /// The number of a word, which is new if the word is.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Size`] if there are 2³² − 1 words already.
    pub fn learn(&mut self, name: &str) -> Result<u32, CorpusError> {
        if let Some(number) = self.number(name) {
            return Ok(number);
        }
        let size = self.len();
        let number = u32::try_from(size)
            .ok()
            .filter(|n| *n < u32::MAX)
            .ok_or(CorpusError::Size { size: size + 1 })?;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    /// The number of a word, if it is known.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name of a word.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    pub fn name(&self, word: u32) -> &str {
        &self.names[word as usize]
    }

    /// All names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Is there no word?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The words with these numbers, in this order, as [`Corpus::filter_words`](crate::Corpus::filter_words) keeps them.
    ///
    /// # Panics
    ///
    /// If one has no name, or comes twice.
    #[must_use]
    pub fn select(&self, words: &[u32]) -> Self {
        Self::from_names(words.iter().map(|word| self.name(*word))).expect("words are distinct")
    }
}
