//! Counts of words by document, stored sparsely.

use std::ops::Range;

use elbo_core::Batch;

/// Documents as counts of words: for every document the distinct words it has, in increasing order, and how often.
///
/// Words are numbers from 0; [`Vocabulary`](crate::Vocabulary) gives them names. Counts are real and positive, since weighted counts are common;
/// whole ones are exact up to 2²⁴. A document may be empty: it says nothing about topics.
///
/// ```
/// use elbo_topics::Corpus;
///
/// let corpus = Corpus::from_documents(3, [vec![(0, 2.0), (2, 1.0)], vec![(1, 4.0)]])?;
/// assert_eq!((corpus.len(), corpus.words(), corpus.tokens()), (2, 3, 7.0));
/// assert_eq!(corpus.documents().document(0), (&[0, 2][..], &[2.0, 1.0][..]));
/// # Ok::<(), elbo_topics::CorpusError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    offsets: Vec<usize>,
    words: Vec<u32>,
    counts: Vec<f32>,
    vocabulary_size: usize,
}

/// Why there is no corpus. Documents, words and lines of files count from 0, as words of the vocabulary do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// A word outside the vocabulary.
    #[error(
        "document {document} has word {word}, the vocabulary has {size} words; give all words a name, or the size"
    )]
    Word {
        /// The document.
        document: usize,
        /// The word found.
        word: u32,
        /// Words of the vocabulary.
        size: usize,
    },
    /// A count that is no count.
    #[error(
        "word {word} of document {document} is counted {count} times; counts are finite and above 0: leave absent words out"
    )]
    Count {
        /// The document.
        document: usize,
        /// The word.
        word: u32,
        /// The count found.
        count: f64,
    },
    /// A vocabulary without words, or of more than 2³² − 1.
    #[error("a vocabulary of {size} words cannot be used; it has 1 to 4294967295")]
    Size {
        /// Words asked for.
        size: usize,
    },
    /// A word that is named twice.
    #[error(
        "the vocabulary names {name:?} twice, as words {first} and {second}; make the names distinct"
    )]
    Duplicate {
        /// The name.
        name: String,
        /// Where it stands first.
        first: usize,
        /// Where it stands again.
        second: usize,
    },
    /// A file that is not what it should be.
    #[error("line {}: {what}", line + 1)]
    Line {
        /// The line, from 0.
        line: usize,
        /// What is wrong, and what is expected.
        what: String,
    },
    /// A file that cannot be read.
    #[error("line {}: cannot be read: {why}", line + 1)]
    Read {
        /// The line, from 0.
        line: usize,
        /// What the system says.
        why: String,
    },
}

impl Corpus {
    /// No document yet, of words `0..vocabulary_size`.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Size`].
    pub fn new(vocabulary_size: usize) -> Result<Self, CorpusError> {
        if vocabulary_size == 0 || u32::try_from(vocabulary_size).is_err() {
            return Err(CorpusError::Size { size: vocabulary_size });
        }
        Ok(Self { offsets: vec![0], words: Vec::new(), counts: Vec::new(), vocabulary_size })
    }

    /// Documents as pairs of a word and its count.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), naming the document.
    pub fn from_documents<D>(
        vocabulary_size: usize,
        documents: impl IntoIterator<Item = D>,
    ) -> Result<Self, CorpusError>
    where
        D: IntoIterator<Item = (u32, f64)>,
    {
        let mut corpus = Self::new(vocabulary_size)?;
        for document in documents {
            corpus.push(document)?;
        }
        Ok(corpus)
    }

    /// Documents as lists of words in the order of the text, which is forgotten.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Word`], [`CorpusError::Size`].
    pub fn from_tokens<'a>(
        vocabulary_size: usize,
        documents: impl IntoIterator<Item = &'a [u32]>,
    ) -> Result<Self, CorpusError> {
        let one = |tokens: &'a [u32]| tokens.iter().map(|word| (*word, 1.0));
        Self::from_documents(vocabulary_size, documents.into_iter().map(one))
    }

    /// Appends a document. Words may come in any order and repeatedly; their counts add up.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Word`] or [`CorpusError::Count`]; the corpus is then as it was.
    pub fn push(
        &mut self,
        document: impl IntoIterator<Item = (u32, f64)>,
    ) -> Result<(), CorpusError> {
        let (number, start) = (self.len(), self.words.len());
        let mut pairs: Vec<(u32, f64)> = document.into_iter().collect();
        for &(word, count) in &pairs {
            if word as usize >= self.vocabulary_size {
                let size = self.vocabulary_size;
                return Err(CorpusError::Word { document: number, word, size });
            }
            if !(count > 0.0 && count <= f64::from(f32::MAX)) {
                return Err(CorpusError::Count { document: number, word, count });
            }
        }
        pairs.sort_by_key(|(word, _)| *word);
        pairs.dedup_by(|(word, count), (kept, sum)| {
            let same = word == kept;
            if same {
                *sum += *count;
            }
            same
        });
        for (word, count) in pairs {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "counts are stored in single precision"
            )]
            let count = count as f32;
            self.words.push(word);
            self.counts.push(count);
            if !(count > 0.0 && count.is_finite()) {
                self.words.truncate(start);
                self.counts.truncate(start);
                return Err(CorpusError::Count { document: number, word, count: f64::from(count) });
            }
        }
        self.offsets.push(self.words.len());
        Ok(())
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Is there no document?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of words of the vocabulary.
    pub fn words(&self) -> usize {
        self.vocabulary_size
    }

    /// Number of tokens: the sum of all counts.
    pub fn tokens(&self) -> f64 {
        self.documents().observations()
    }

    /// All documents, as models take them.
    pub fn documents(&self) -> Documents<'_> {
        Documents {
            offsets: &self.offsets,
            words: &self.words,
            counts: &self.counts,
            vocabulary_size: self.vocabulary_size,
        }
    }

    /// How often each word is counted in all documents.
    pub fn word_counts(&self) -> Vec<f64> {
        let mut totals = vec![0.0; self.vocabulary_size];
        for (word, count) in self.words.iter().zip(&self.counts) {
            totals[*word as usize] += f64::from(*count);
        }
        totals
    }

    /// In how many documents each word occurs.
    pub fn document_frequencies(&self) -> Vec<usize> {
        let mut documents = vec![0; self.vocabulary_size];
        self.words.iter().for_each(|word| documents[*word as usize] += 1);
        documents
    }

    /// The same documents with the words alone for which `keep` holds, numbered anew in their old order; and the old number of
    /// each word kept.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Size`] if no word is kept.
    pub fn filter_words(
        &self,
        mut keep: impl FnMut(u32) -> bool,
    ) -> Result<(Self, Vec<u32>), CorpusError> {
        let mut kept = Vec::new();
        let mut new = vec![None; self.vocabulary_size];
        for (word, new) in (0_u32..).zip(&mut new) {
            if keep(word) {
                *new = u32::try_from(kept.len()).ok();
                kept.push(word);
            }
        }
        let mut filtered = Self::new(kept.len())?;
        for document in self.documents().iter() {
            for (word, count) in document.0.iter().zip(document.1) {
                if let Some(word) = new[*word as usize] {
                    filtered.words.push(word);
                    filtered.counts.push(*count);
                }
            }
            filtered.offsets.push(filtered.words.len());
        }
        Ok((filtered, kept))
    }
}

/// Borrowed documents: what models see. Cheap to copy and to cut.
#[derive(Clone, Copy, Debug)]
pub struct Documents<'a> {
    offsets: &'a [usize],
    words: &'a [u32],
    counts: &'a [f32],
    vocabulary_size: usize,
}

impl<'a> Documents<'a> {
    /// The distinct words of document `d`, increasing, and their counts.
    ///
    /// # Panics
    ///
    /// If there is no such document.
    pub fn document(&self, d: usize) -> (&'a [u32], &'a [f32]) {
        let range = self.offsets[d]..self.offsets[d + 1];
        (&self.words[range.clone()], &self.counts[range])
    }

    /// Every document: its distinct words, increasing, and their counts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a [u32], &'a [f32])> + '_ {
        (0..self.len()).map(|d| self.document(d))
    }

    /// Number of words of the vocabulary.
    pub fn words(&self) -> usize {
        self.vocabulary_size
    }

    /// Number of pairs of a document and a distinct word in it.
    pub fn pairs(&self) -> usize {
        self.offsets[self.offsets.len() - 1] - self.offsets[0]
    }

    /// The most distinct words that a document has.
    pub fn longest(&self) -> usize {
        self.offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)
    }
}

impl Batch for Documents<'_> {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn slice(&self, range: Range<usize>) -> Self {
        Self { offsets: &self.offsets[range.start..=range.end], ..*self }
    }

    /// Number of tokens.
    fn observations(&self) -> f64 {
        let range = self.offsets[0]..self.offsets[self.offsets.len() - 1];
        self.counts[range].iter().map(|count| f64::from(*count)).sum()
    }

    /// Statistics are as large as the vocabulary times the topics whatever the piece: so many documents that their pairs are
    /// sixteen times the vocabulary are worth a task.
    fn grain(&self) -> usize {
        let mean = self.pairs().div_ceil(self.len().max(1)).max(1);
        (PAIRS_PER_WORD * self.vocabulary_size).div_ceil(mean)
    }
}

/// Statistics of a piece are cleared, filled, merged and, by CVB0, copied before: each word of the vocabulary is touched about ten
/// times a piece, in the time of a fifth of a pair each.
const PAIRS_PER_WORD: usize = 16;
