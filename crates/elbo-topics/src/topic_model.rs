//! Topics once they are found: words, documents, and what to show of them.

use elbo_core::{Batch, EStepError};
use elbo_linalg::{Level, ln_in_place};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::{
    Documents, LdaParams,
    kernels::{ShareStep, weighted_log},
    map_em::normalize,
};

/// Topics as distributions over words, with the pseudo-counts of their shares in documents.
///
/// Everything here is deterministic: the same document always has the same topics.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Plain", into = "Plain"))]
pub struct TopicModel {
    alpha: Vec<f64>,
    words: usize,
    stride: usize,
    /// `p(word ∣ topic)`, words in rows, 0 in the padding.
    table: Vec<f64>,
}

/// Why distributions are no topics. Topics and words count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicModelError {
    /// The table is empty, or not one probability for each word and topic.
    #[error("{found} probabilities are not those of whole words in {topics} topics; give `p(word ∣ topic)`, topics of a word side by side")]
    Shape {
        /// Probabilities given.
        found: usize,
        /// Topics, by the pseudo-counts.
        topics: usize,
    },
    /// A pseudo-count of a topic that is negative or not finite.
    #[error("topic {topic} has pseudo-count {value}; finite numbers from 0 are needed")]
    Alpha {
        /// The topic.
        topic: usize,
        /// Its pseudo-count.
        value: f64,
    },
    /// A probability that is negative or not finite.
    #[error("word {word} has probability {value} in topic {topic}; a finite number from 0 is needed")]
    Probability {
        /// The word.
        word: usize,
        /// The topic.
        topic: usize,
        /// The probability.
        value: f64,
    },
    /// A topic whose probabilities do not sum to one.
    #[error("topic {topic} sums to {sum}, not to 1; divide it by its sum")]
    Sum {
        /// The topic.
        topic: usize,
        /// Its sum.
        sum: f64,
    },
}

/// Checked when it is read.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    alpha: Vec<f64>,
    probabilities: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Plain> for TopicModel {
    type Error = TopicModelError;

    fn try_from(plain: Plain) -> Result<Self, TopicModelError> {
        Self::new(plain.alpha, &plain.probabilities)
    }
}

#[cfg(feature = "serde")]
impl From<TopicModel> for Plain {
    fn from(model: TopicModel) -> Self {
        let probabilities = (0..model.words).flat_map(|word| model.word(word).to_vec()).collect();
        Self { alpha: model.alpha, probabilities }
    }
}

impl TopicModel {
    /// Topics with these probabilities, `probabilities[word · k + topic]`, and these pseudo-counts of shares in documents.
    ///
    /// # Errors
    ///
    /// [`TopicModelError`].
    pub fn new(alpha: Vec<f64>, probabilities: &[f64]) -> Result<Self, TopicModelError> {
        let k = alpha.len();
        if k == 0 || probabilities.is_empty() || !probabilities.len().is_multiple_of(k) {
            return Err(TopicModelError::Shape { found: probabilities.len(), topics: k });
        }
        if let Some(topic) = alpha.iter().position(|a| !(a.is_finite() && *a >= 0.0)) {
            return Err(TopicModelError::Alpha { topic, value: alpha[topic] });
        }
        let (words, stride) = (probabilities.len() / k, crate::prior::stride(k));
        let mut table = vec![0.0; words * stride];
        let mut sums = vec![0.0; k];
        for (word, (row, from)) in
            table.chunks_exact_mut(stride).zip(probabilities.chunks_exact(k)).enumerate()
        {
            if let Some(topic) = from.iter().position(|p| !(p.is_finite() && *p >= 0.0)) {
                return Err(TopicModelError::Probability { word, topic, value: from[topic] });
            }
            sums.iter_mut().zip(from).for_each(|(sum, p)| *sum += p);
            row[..k].copy_from_slice(from);
        }
        // The sum of as many rounded probabilities.
        let close = |sum: &f64| (sum - 1.0).abs() <= 1e-9;
        match sums.iter().position(|sum| !close(sum)) {
            Some(topic) => Err(TopicModelError::Sum { topic, sum: sums[topic] }),
            None => Ok(Self { alpha, words, stride, table }),
        }
    }

    /// The topics of a fit.
    pub fn from_params(params: &LdaParams) -> Self {
        let mut table = params.counts.clone();
        for row in table.chunks_exact_mut(params.stride) {
            row.iter_mut().zip(&params.totals).for_each(|(x, total)| *x /= total);
        }
        let alpha = params.prior().alpha().to_vec();
        Self { alpha, words: params.words(), stride: params.stride, table }
    }

    /// The same topics with other pseudo-counts of their shares in documents.
    ///
    /// # Errors
    ///
    /// [`TopicModelError`] if there is not one for each topic, or one is negative or not finite.
    pub fn with_alpha(self, alpha: Vec<f64>) -> Result<Self, TopicModelError> {
        if alpha.len() != self.k() {
            return Err(TopicModelError::Shape { found: self.words * self.k(), topics: alpha.len() });
        }
        if let Some(topic) = alpha.iter().position(|a| !(a.is_finite() && *a >= 0.0)) {
            return Err(TopicModelError::Alpha { topic, value: alpha[topic] });
        }
        Ok(Self { alpha, ..self })
    }

    /// Number of topics.
    pub fn k(&self) -> usize {
        self.alpha.len()
    }

    /// Number of words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Pseudo-counts of topics in documents.
    pub fn alpha(&self) -> &[f64] {
        &self.alpha
    }

    /// `p(word ∣ topic)` of one word, for each topic.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    pub fn word(&self, word: usize) -> &[f64] {
        &self.table[word * self.stride..][..self.k()]
    }

    /// `p(word ∣ topic)` of one topic, for each word.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub fn topic(&self, topic: usize) -> Vec<f64> {
        assert!(topic < self.k(), "there are {} topics, none is number {topic}", self.k());
        self.table.iter().skip(topic).step_by(self.stride).copied().collect()
    }

    /// The `n` most probable words of a topic, most probable first, of equals the one of lower number.
    ///
    /// # Panics
    ///
    /// If there is no such topic.
    pub fn top_words(&self, topic: usize, n: usize) -> Vec<u32> {
        largest(&self.topic(topic), n)
    }

    /// The `n` most relevant words of a topic: the largest `λ ln p(w ∣ topic) + (1 − λ) ln (p(w ∣ topic)/p(w))`, where `p(w)`
    /// comes from `word_counts`. `λ = 1` ranks by probability, 0 by what is special to the topic; 0.6 was found best by readers.
    ///
    /// Words that were never counted are left out. Source: Sievert & Shirley (2014).
    ///
    /// # Panics
    ///
    /// If there is no such topic, not one count for each word, or `λ` is outside 0 to 1.
    pub fn relevant_words(
        &self,
        topic: usize,
        lambda: f64,
        word_counts: &[f64],
        n: usize,
    ) -> Vec<u32> {
        assert_eq!(word_counts.len(), self.words, "one count for each word");
        assert!((0.0..=1.0).contains(&lambda), "λ = {lambda} is outside 0 to 1");
        let total: f64 = word_counts.iter().sum();
        let relevance: Vec<f64> = self
            .topic(topic)
            .iter()
            .zip(word_counts)
            .map(|(p, count)| {
                if *count > 0.0 { p.ln() - (1.0 - lambda) * (count / total).ln() } else { f64::NEG_INFINITY }
            })
            .collect();
        let mut words = largest(&relevance, n);
        words.retain(|word| word_counts[*word as usize] > 0.0);
        words
    }

    /// Share of distinct words among the `n` most probable of all topics: 1 if no two topics share one.
    pub fn diversity(&self, n: usize) -> f64 {
        let mut words: Vec<u32> =
            (0..self.k()).flat_map(|topic| self.top_words(topic, n)).collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        words.len() as f64 / all.max(1) as f64
    }

    /// Shares of topics in each document, `k` a document: the maximum of
    /// `Σ_w n_w ln Σ_k θ_k φ_kw + Σ_k α_k ln θ_k`, which is concave, so that there is one.
    ///
    /// Steps are those of [`MapEm`](crate::MapEm), until the shares of a document move by less than `tolerance` in sum. An empty
    /// document has the shares `α/Σα`.
    ///
    /// # Errors
    ///
    /// [`EStepError::Impossible`] for a document with a word that no topic has.
    ///
    /// # Panics
    ///
    /// If the documents have another vocabulary.
    pub fn shares(&self, documents: Documents<'_>, tolerance: f64) -> Result<Vec<f64>, EStepError> {
        assert_eq!(documents.words(), self.words, "the documents have another vocabulary");
        let (k, longest) = (self.k(), documents.longest());
        let mut shares = vec![0.0; documents.len() * k];
        let mut room = Room::new(self.stride, longest);
        for (d, (document, shares)) in documents.iter().zip(shares.chunks_exact_mut(k)).enumerate() {
            if !room.infer(self, document, tolerance) {
                return Err(EStepError::Impossible { row: d });
            }
            shares.copy_from_slice(&room.theta[..k]);
        }
        Ok(shares)
    }

    /// `Σ_w n_w ln Σ_k θ_k φ_kw` of each document, in nats, given its shares.
    ///
    /// # Panics
    ///
    /// If there are not `k` shares for each document, or the documents have another vocabulary.
    pub fn log_likelihoods(&self, documents: Documents<'_>, shares: &[f64]) -> Vec<f64> {
        assert_eq!(documents.words(), self.words, "the documents have another vocabulary");
        let k = self.k();
        assert_eq!(shares.len(), documents.len() * k, "{k} shares for each document");
        let of = |((words, counts), theta): ((&[u32], &[f32]), &[f64])| {
            let terms = words.iter().zip(counts).map(|(word, count)| {
                let mixture: f64 = self.word(*word as usize).iter().zip(theta).map(|(p, t)| p * t).sum();
                f64::from(*count) * mixture.ln()
            });
            terms.sum()
        };
        documents.iter().zip(shares.chunks_exact(k)).map(of).collect()
    }

    /// Perplexity of document completion: shares are inferred from `observed`, and `exp` of minus the mean log-probability of a
    /// token is taken over `target`, document by document the other half.
    ///
    /// As shares are a unique maximum, this depends on the topics and on `α` alone. Smaller is better; the vocabulary's size is
    /// what knowing nothing gives.
    ///
    /// # Errors
    ///
    /// As [`shares`](Self::shares).
    ///
    /// # Panics
    ///
    /// If the halves are not of as many documents, or have another vocabulary.
    pub fn completion_perplexity(
        &self,
        observed: Documents<'_>,
        target: Documents<'_>,
    ) -> Result<f64, EStepError> {
        assert_eq!(observed.len(), target.len(), "both halves of every document are needed");
        let shares = self.shares(observed, 1e-7)?;
        let sum: f64 = self.log_likelihoods(target, &shares).iter().sum();
        Ok((-sum / target.observations()).exp())
    }

    /// An estimate of `ln p(tokens ∣ φ, α)` of a whole document, shares integrated out, by particles that read it from left to
    /// right. The estimate of the probability is a product of averages over particles; its logarithm approaches the truth from
    /// below as there are more. Cost: `particles · m² k/2` for `m` tokens.
    ///
    /// Source: Wallach, Murray, Salakhutdinov & Mimno (2009), algorithm of the left-to-right evaluator.
    ///
    /// # Panics
    ///
    /// If there is no particle, or a word is not in the vocabulary.
    pub fn left_to_right(&self, tokens: &[u32], particles: usize, seed: u64) -> f64 {
        assert!(particles > 0, "at least one particle is needed");
        let k = self.k();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut averages = vec![0.0; tokens.len()];
        let total: f64 = self.alpha.iter().sum();
        let mut weights = vec![0.0; k];
        for _ in 0..particles {
            let mut counts = self.alpha.clone();
            let mut topics = vec![0_usize; tokens.len()];
            let mut draw = |word: u32, counts: &[f64]| {
                let mut sum = 0.0;
                for ((weight, count), p) in weights.iter_mut().zip(counts).zip(self.word(word as usize)) {
                    sum += count * p;
                    *weight = sum;
                }
                let u = rng.random::<f64>() * sum;
                (weights.partition_point(|w| *w <= u).min(k - 1), sum)
            };
            for (m, word) in tokens.iter().enumerate() {
                for earlier in 0..m {
                    counts[topics[earlier]] -= 1.0;
                    let (topic, _) = draw(tokens[earlier], &counts);
                    topics[earlier] = topic;
                    counts[topic] += 1.0;
                }
                let (topic, sum) = draw(*word, &counts);
                averages[m] += sum / (total + m as f64) / particles as f64;
                topics[m] = topic;
                counts[topic] += 1.0;
            }
        }
        averages.iter().map(|p| p.ln()).sum()
    }
}

/// Room for the inference of one document after another.
struct Room {
    theta: Vec<f64>,
    gamma: Vec<f64>,
    mixture: Vec<f64>,
    rows: Vec<f64>,
    numbers: Vec<u32>,
}

/// Steps after which the shares of a document count as settled.
const MAX_STEPS: usize = 10_000;

impl Room {
    fn new(stride: usize, longest: usize) -> Self {
        Self {
            theta: vec![0.0; stride],
            gamma: vec![0.0; stride],
            mixture: vec![0.0; longest],
            rows: vec![0.0; longest * stride],
            numbers: (0_u32..).take(longest).collect(),
        }
    }

    /// Leaves the shares in `theta`; false if no topic has one of the words.
    fn infer(
        &mut self,
        model: &TopicModel,
        (words, counts): (&[u32], &[f32]),
        tolerance: f64,
    ) -> bool {
        let (k, stride) = (model.k(), model.stride);
        let rows = &mut self.rows[..words.len() * stride];
        for (row, word) in rows.chunks_exact_mut(stride).zip(words) {
            row.copy_from_slice(&model.table[*word as usize * stride..][..stride]);
        }
        let (numbers, mixture) = (&self.numbers[..words.len()], &mut self.mixture[..words.len()]);
        self.gamma.fill(0.0);
        let each = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / k as f64;
        self.gamma[..k].fill(each);
        normalize(&model.alpha, &mut self.gamma, &mut self.theta);
        let level = Level::detect();
        for _ in 0..MAX_STEPS {
            let (scaled, gamma) = (&self.theta, &mut self.gamma);
            gamma.fill(0.0);
            level.dispatch(ShareStep { words: numbers, counts, table: rows, scaled, gamma, mixture, stats: &mut [] });
            let sum: f64 = gamma[..k].iter().zip(&model.alpha).map(|(g, a)| g + a).sum();
            if sum > 0.0 {
                let new = gamma[..k].iter().zip(&model.alpha).map(|(g, a)| (g + a) / sum);
                let moved: f64 = new.zip(&self.theta).map(|(new, old)| (new - old).abs()).sum();
                normalize(&model.alpha, gamma, &mut self.theta);
                if moved < tolerance {
                    break;
                }
            } else if sum.is_nan() {
                return false;
            } else {
                break;
            }
        }
        ln_in_place(mixture);
        weighted_log(counts, mixture).is_finite()
    }
}

/// The places of the `n` largest values, largest first.
fn largest(values: &[f64], n: usize) -> Vec<u32> {
    let mut places: Vec<u32> = (0_u32..).take(values.len()).collect();
    let n = n.min(places.len());
    let order = |a: &u32, b: &u32| values[*b as usize].total_cmp(&values[*a as usize]).then(a.cmp(b));
    if n > 0 && n < places.len() {
        places.select_nth_unstable_by(n - 1, order);
    }
    places.truncate(n);
    places.sort_unstable_by(order);
    places
}
