//! Pseudo-counts of topics in documents and of words in topics.

use elbo_linalg::MAX_LANES;

/// Pseudo-counts: `α`, one for each topic, of the shares of topics in a document, and `η`, one for each word and topic, of the
/// shares of words in a topic.
///
/// What they mean depends on the algorithm: [`MapEm`](crate::MapEm) adds them to the counts of a mode, so that its priors are
/// `Dirichlet(1 + α)` and `Dirichlet(1 + η)`; all others use `Dirichlet(α)` and `Dirichlet(η)`. Good values differ as well:
/// see [`Topics`](crate::Topics).
#[derive(Clone, Debug, PartialEq)]
pub struct LdaPrior {
    topics: Vec<f64>,
    words: WordPrior,
}

#[derive(Clone, Debug, PartialEq)]
enum WordPrior {
    Symmetric(f64),
    /// Words in rows, topics contiguous, rows padded with zeros.
    Each(Vec<f64>),
}

/// Why pseudo-counts cannot be used. Topics and words count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PriorError {
    /// There is no topic.
    #[error("there are no topics; give a pseudo-count for each, at least one")]
    NoTopic,
    /// A pseudo-count of a topic.
    #[error("topic {topic} has pseudo-count {value}; finite numbers from 0 are needed")]
    Topic {
        /// The topic.
        topic: usize,
        /// Its pseudo-count.
        value: f64,
    },
    /// A pseudo-count of a word.
    #[error(
        "word {word} has pseudo-count {value} in topic {topic}; finite numbers from 0 are needed"
    )]
    Word {
        /// The word.
        word: usize,
        /// The topic.
        topic: usize,
        /// The pseudo-count.
        value: f64,
    },
    /// Not one pseudo-count for each word and topic.
    #[error(
        "{found} pseudo-counts for {words} words in {topics} topics; give one each, topics of a word side by side"
    )]
    Shape {
        /// How many there are.
        found: usize,
        /// Words.
        words: usize,
        /// Topics.
        topics: usize,
    },
}

impl LdaPrior {
    /// The same `α` for all of `k` topics and the same `η` for all words in them.
    ///
    /// # Errors
    ///
    /// [`PriorError`] if one is negative or not finite, or `k = 0`.
    pub fn symmetric(k: usize, alpha: f64, eta: f64) -> Result<Self, PriorError> {
        Self::new(vec![alpha; k], eta)
    }

    /// An `α` for each topic, and the same `η` for all words in all of them.
    ///
    /// # Errors
    ///
    /// As [`symmetric`](Self::symmetric).
    pub fn new(alpha: Vec<f64>, eta: f64) -> Result<Self, PriorError> {
        if alpha.is_empty() {
            return Err(PriorError::NoTopic);
        }
        if let Some(topic) = alpha.iter().position(|a| !is_pseudo_count(*a)) {
            return Err(PriorError::Topic { topic, value: alpha[topic] });
        }
        if !is_pseudo_count(eta) {
            return Err(PriorError::Word { word: 0, topic: 0, value: eta });
        }
        Ok(Self { topics: alpha, words: WordPrior::Symmetric(eta) })
    }

    /// An `η` for each word and topic, `eta[word · k + topic]`: what is known of topics, for instance.
    ///
    /// # Errors
    ///
    /// [`PriorError`] if one is negative or not finite, or there is not one for each.
    pub fn with_words(self, words: usize, eta: &[f64]) -> Result<Self, PriorError> {
        let (k, stride) = (self.k(), stride(self.k()));
        if eta.len() != words * k {
            return Err(PriorError::Shape { found: eta.len(), words, topics: k });
        }
        if let Some(at) = eta.iter().position(|x| !is_pseudo_count(*x)) {
            return Err(PriorError::Word { word: at / k, topic: at % k, value: eta[at] });
        }
        let mut padded = vec![0.0; words * stride];
        for (row, from) in padded.chunks_exact_mut(stride).zip(eta.chunks_exact(k)) {
            row[..k].copy_from_slice(from);
        }
        Ok(Self { words: WordPrior::Each(padded), ..self })
    }

    /// Seeds topics with words: `boost` more pseudo-counts for each of these pairs of a topic and a word.
    ///
    /// A seed word pulls its topic towards itself and, with it, the words it is used with. A boost of some hundredth of the
    /// tokens of the word guides, one of the size of its tokens all but decides.
    ///
    /// # Errors
    ///
    /// [`PriorError`] if a topic or word does not exist or `boost` is negative or not finite.
    pub fn seeded(
        self,
        words: usize,
        seeds: &[(usize, u32)],
        boost: f64,
    ) -> Result<Self, PriorError> {
        let k = self.k();
        let mut eta: Vec<f64> = (0..words)
            .flat_map(|word| (0..k).map(move |topic| (word, topic)))
            .map(|(word, topic)| self.word(word, topic))
            .collect();
        for &(topic, word) in seeds {
            let word = word as usize;
            if topic >= k || word >= words {
                return Err(PriorError::Word { word, topic, value: f64::NAN });
            }
            eta[word * k + topic] += boost;
        }
        self.with_words(words, &eta)
    }

    /// Number of topics.
    pub fn k(&self) -> usize {
        self.topics.len()
    }

    /// `α`, one for each topic.
    pub fn alpha(&self) -> &[f64] {
        &self.topics
    }

    /// `η` of a word in a topic.
    ///
    /// # Panics
    ///
    /// If there are pseudo-counts for each word, but not for this one.
    pub fn word(&self, word: usize, topic: usize) -> f64 {
        match &self.words {
            WordPrior::Symmetric(eta) => *eta,
            WordPrior::Each(eta) => eta[word * stride(self.k()) + topic],
        }
    }

    /// The same words with other pseudo-counts of topics.
    ///
    /// # Errors
    ///
    /// [`PriorError`] if there is not one for each topic, or one is negative or not finite.
    pub fn with_alpha(self, alpha: Vec<f64>) -> Result<Self, PriorError> {
        if alpha.len() != self.k() {
            return Err(PriorError::Shape { found: alpha.len(), words: 1, topics: self.k() });
        }
        Ok(Self { words: self.words, ..Self::new(alpha, 0.0)? })
    }

    /// `η` of every word if it is the same.
    pub(crate) fn same_eta(&self) -> Option<f64> {
        match &self.words {
            WordPrior::Symmetric(eta) => Some(*eta),
            WordPrior::Each(_) => None,
        }
    }

    /// Number of words that pseudo-counts are given for, if they are given word by word.
    pub(crate) fn words(&self) -> Option<usize> {
        match &self.words {
            WordPrior::Symmetric(_) => None,
            WordPrior::Each(eta) => Some(eta.len() / stride(self.k())),
        }
    }

    /// `counts += η`, words in rows of `stride` topics; padding stays 0.
    pub(crate) fn add_words(&self, counts: &mut [f64]) {
        let (k, stride) = (self.k(), stride(self.k()));
        match &self.words {
            WordPrior::Symmetric(eta) => {
                for row in counts.chunks_exact_mut(stride) {
                    row[..k].iter_mut().for_each(|x| *x += eta);
                }
            }
            WordPrior::Each(eta) => counts.iter_mut().zip(eta).for_each(|(x, eta)| *x += eta),
        }
    }

    /// Are all pseudo-counts positive?
    pub(crate) fn is_positive(&self) -> bool {
        let k = self.k();
        self.topics.iter().all(|a| *a > 0.0)
            && match &self.words {
                WordPrior::Symmetric(eta) => *eta > 0.0,
                WordPrior::Each(eta) => {
                    eta.chunks_exact(stride(k)).all(|row| row[..k].iter().all(|x| *x > 0.0))
                }
            }
    }
}

fn is_pseudo_count(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

/// Numbers that a row of `k` topics takes, so that vectors of any instruction set divide it.
pub(crate) fn stride(k: usize) -> usize {
    k.next_multiple_of(MAX_LANES)
}
