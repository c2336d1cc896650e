//! Do the words of a topic occur together?

use std::collections::HashMap;

/// How coherence is measured. All are means over pairs of the words of a topic, with `p` shares of documents or windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoherenceMeasure {
    /// `ln (p(wᵢ, wⱼ) + ε)/p(wⱼ)` for each word and the words before it; for counts of documents. Mimno et al. (2011).
    UMass,
    /// `ln (p(wᵢ, wⱼ) + ε)/(p(wᵢ) p(wⱼ))`; for windows of 10. Newman et al. (2010).
    Uci,
    /// The same divided by `−ln (p(wᵢ, wⱼ) + ε)`; for windows of 10. Aletras & Stevenson (2013).
    Npmi,
    /// Cosines between the vectors of `Npmi` of each word with all words and the sum of these vectors; for windows of 110. Röder,
    /// Both & Hinneburg (2015).
    Cv,
}

/// Counts of words and of pairs of them, in documents or in windows that slide over texts: all that coherence needs, in one pass.
///
/// Only the words of interest are counted. Texts without any of them are left out where windows slide, as in gensim, whose
/// values these are.
///
/// ```
/// use elbo_topics::{CoherenceMeasure, Cooccurrences};
///
/// let topic = [0, 1];
/// let mut counts = Cooccurrences::windows(&topic, 10);
/// for text in [&[0_u32, 1, 2][..], &[0, 1], &[2, 2, 0]] {
///     counts.observe(text);
/// }
/// assert!(counts.coherence(&topic, CoherenceMeasure::Npmi) > 0.0);
/// ```
#[derive(Clone, Debug)]
pub struct Cooccurrences {
    /// Place of each word of interest.
    places: HashMap<u32, usize>,
    window: Option<usize>,
    /// Documents or windows.
    seen: u64,
    /// How many of them each pair of words is in, and on the diagonal each word.
    pairs: Vec<u64>,
    /// How often each word is in the window.
    inside: Vec<u32>,
    present: Vec<usize>,
}

/// What keeps logarithms finite, as in gensim.
const EPSILON: f64 = 1e-12;

impl Cooccurrences {
    /// Counts documents, each word once.
    pub fn documents(words: &[u32]) -> Self {
        Self::new(words, None)
    }

    /// Counts windows of so many tokens; a text that is shorter is one window.
    ///
    /// # Panics
    ///
    /// If a window has no token.
    pub fn windows(words: &[u32], tokens: usize) -> Self {
        assert!(tokens > 0, "a window needs a token");
        Self::new(words, Some(tokens))
    }

    fn new(words: &[u32], window: Option<usize>) -> Self {
        let mut places = HashMap::new();
        for word in words {
            let next = places.len();
            places.entry(*word).or_insert(next);
        }
        let m = places.len();
        Self {
            places,
            window,
            seen: 0,
            pairs: vec![0; m * m],
            inside: vec![0; m],
            present: Vec::with_capacity(m),
        }
    }

    /// Counts one text, its words in their order.
    pub fn observe(&mut self, text: &[u32]) {
        let Some(window) = self.window else {
            text.iter().for_each(|word| self.enter(*word));
            self.count();
            return self.leave_all();
        };
        if !text.iter().any(|word| self.places.contains_key(word)) {
            return;
        }
        let first = window.min(text.len());
        text[..first].iter().for_each(|word| self.enter(*word));
        self.count();
        for (new, old) in text[first..].iter().zip(text) {
            self.enter(*new);
            self.leave(*old);
            self.count();
        }
        self.leave_all();
    }

    /// Adds counts of other texts.
    ///
    /// # Panics
    ///
    /// If they are of other words or windows.
    pub fn merge(&mut self, other: &Self) {
        assert!(
            self.places == other.places && self.window == other.window,
            "counts of other words or windows"
        );
        self.seen += other.seen;
        self.pairs.iter_mut().zip(&other.pairs).for_each(|(to, from)| *to += from);
    }

    /// Coherence of a topic with these top words, most probable first. Words that never occur give terms of 0 with all others.
    ///
    /// # Panics
    ///
    /// If one of them is not counted, or there are fewer than two.
    pub fn coherence(&self, topic: &[u32], measure: CoherenceMeasure) -> f64 {
        assert!(topic.len() > 1, "coherence is of pairs: two words at least");
        let places: Vec<usize> = topic.iter().map(|word| self.places[word]).collect();
        let mean = |terms: Vec<f64>| terms.iter().sum::<f64>() / terms.len() as f64;
        match measure {
            CoherenceMeasure::UMass => {
                let before = |i: usize| places[..i].iter().map(move |j| (i, *j));
                let pairs = (1..places.len()).flat_map(before);
                mean(pairs.map(|(i, j)| self.log_conditional(places[i], j)).collect())
            }
            CoherenceMeasure::Uci => mean(self.both_ways(&places, Self::log_ratio)),
            CoherenceMeasure::Npmi => mean(self.both_ways(&places, Self::normalized)),
            CoherenceMeasure::Cv => mean(self.cosines(&places)),
        }
    }

    fn both_ways(&self, places: &[usize], of: impl Fn(&Self, usize, usize) -> f64) -> Vec<f64> {
        let mut terms = Vec::new();
        for (i, a) in places.iter().enumerate() {
            for (j, b) in places.iter().enumerate() {
                if i != j {
                    terms.push(of(self, *a, *b));
                }
            }
        }
        terms
    }

    /// Share of documents or windows with both words.
    fn share(&self, a: usize, b: usize) -> f64 {
        self.pairs[a * self.inside.len() + b] as f64 / self.seen as f64
    }

    fn log_conditional(&self, a: usize, b: usize) -> f64 {
        if self.share(b, b) > 0.0 {
            ((self.share(a, b) + EPSILON) / self.share(b, b)).ln()
        } else {
            0.0
        }
    }

    fn log_ratio(&self, a: usize, b: usize) -> f64 {
        let independent = self.share(a, a) * self.share(b, b);
        if independent > 0.0 { ((self.share(a, b) + EPSILON) / independent).ln() } else { 0.0 }
    }

    fn normalized(&self, a: usize, b: usize) -> f64 {
        self.log_ratio(a, b) / -(self.share(a, b) + EPSILON).ln()
    }

    fn cosines(&self, places: &[usize]) -> Vec<f64> {
        let vectors: Vec<Vec<f64>> = places
            .iter()
            .map(|a| places.iter().map(|b| self.normalized(*a, *b)).collect())
            .collect();
        let sum: Vec<f64> =
            (0..places.len()).map(|j| vectors.iter().map(|vector| vector[j]).sum()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        vectors.iter().map(|v| dot(v, &sum) / (dot(v, v) * dot(&sum, &sum)).sqrt()).collect()
    }

    fn enter(&mut self, word: u32) {
        if let Some(place) = self.places.get(&word) {
            self.inside[*place] += 1;
            if self.inside[*place] == 1 {
                self.present.push(*place);
            }
        }
    }

    fn leave(&mut self, word: u32) {
        if let Some(place) = self.places.get(&word) {
            self.inside[*place] -= 1;
            if self.inside[*place] == 0 {
                self.present.retain(|other| other != place);
            }
        }
    }

    fn leave_all(&mut self) {
        self.inside.fill(0);
        self.present.clear();
    }

    /// Counts the words that are present.
    fn count(&mut self) {
        self.seen += 1;
        let m = self.inside.len();
        for a in &self.present {
            for b in &self.present {
                self.pairs[a * m + b] += 1;
            }
        }
    }
}
