//! Topics for the interactive viewer `LDAvis`.

use std::fmt::Write;

use elbo_core::{Batch, EStepError};
use elbo_linalg::symmetric_eigen;

use crate::{Documents, TopicModel, Vocabulary};

/// Words shown beside a topic, the viewer's own number.
const SHOWN: usize = 30;

/// Values of `λ` that the viewer's slider stops at, less one.
const LAMBDA_STEPS: usize = 100;

impl TopicModel {
    /// What `LDAvis` (Sievert & Shirley 2014) shows, in the JSON that `pyLDAvis` writes and its page reads: the topics by
    /// size, placed in the plane by their Jensen–Shannon divergences, and their most relevant words for every `λ`.
    ///
    /// Sizes are tokens of the documents given. Cost: the [shares](Self::shares) of all documents, and `100 k` partial sorts of
    /// the vocabulary.
    ///
    /// # Errors
    ///
    /// As [`shares`](Self::shares).
    ///
    /// # Panics
    ///
    /// If documents or vocabulary are not of the model's size.
    pub fn to_ldavis_json(
        &self,
        documents: Documents<'_>,
        vocabulary: &Vocabulary,
    ) -> Result<String, EStepError> {
        assert_eq!(vocabulary.len(), self.words(), "one name for each word");
        let view = View::new(self, self.tokens_of_topics(documents)?);
        Ok(view.json(vocabulary))
    }

    /// Expected tokens of each topic in these documents, by their [shares](Self::shares).
    ///
    /// # Errors
    ///
    /// As [`shares`](Self::shares).
    pub fn tokens_of_topics(&self, documents: Documents<'_>) -> Result<Vec<f64>, EStepError> {
        let k = self.k();
        let shares = self.shares(documents, 1e-6)?;
        let mut tokens = vec![0.0; k];
        for (theta, d) in shares.chunks_exact(k).zip(0..) {
            let length = documents.slice(d..d + 1).observations();
            tokens.iter_mut().zip(theta).for_each(|(sum, share)| *sum += length * share);
        }
        Ok(tokens)
    }
}

/// Topics by size, largest first, and their words.
struct View<'m> {
    model: &'m TopicModel,
    order: Vec<usize>,
    /// Tokens of each topic, in the model's order.
    tokens: Vec<f64>,
    /// Expected tokens of each word.
    totals: Vec<f64>,
}

/// A line of the table of words.
struct Line {
    word: u32,
    tokens: f64,
    /// 0 for the default view, else the place of the topic from 1.
    category: usize,
    log_probability: f64,
    log_lift: f64,
}

impl<'m> View<'m> {
    fn new(model: &'m TopicModel, tokens: Vec<f64>) -> Self {
        let mut order: Vec<usize> = (0..model.k()).collect();
        order.sort_by(|a, b| tokens[*b].total_cmp(&tokens[*a]).then(a.cmp(b)));
        let total = |word: usize| model.word(word).iter().zip(&tokens).map(|(p, n)| p * n).sum();
        let totals = (0..model.words()).map(total).collect();
        Self { model, order, tokens, totals }
    }

    /// What tells topics apart most, weighted by its frequency.
    fn saliency(&self) -> Vec<f64> {
        let all: f64 = self.tokens.iter().sum();
        let of = |word: usize| {
            let total = self.totals[word];
            let terms = self.model.word(word).iter().zip(&self.tokens).map(|(p, tokens)| {
                let share = p * tokens / total;
                if share > 0.0 { share * (share * all / tokens).ln() } else { 0.0 }
            });
            if total > 0.0 { total * terms.sum::<f64>() } else { 0.0 }
        };
        (0..self.model.words()).map(of).collect()
    }

    fn lines(&self) -> Vec<Line> {
        let all: f64 = self.totals.iter().sum();
        let salient = crate::topic_model::largest(&self.saliency(), SHOWN);
        let rank = |place: usize| (SHOWN - place) as f64;
        let mut lines: Vec<Line> = salient
            .iter()
            .enumerate()
            .map(|(place, word)| Line {
                word: *word,
                tokens: self.totals[*word as usize],
                category: 0,
                log_probability: rank(place),
                log_lift: rank(place),
            })
            .collect();
        for (place, topic) in self.order.iter().enumerate() {
            let mut words: Vec<u32> = (0..=LAMBDA_STEPS)
                .flat_map(|step| {
                    let lambda = step as f64 / LAMBDA_STEPS as f64;
                    self.model.relevant_words(*topic, lambda, &self.totals, SHOWN)
                })
                .collect();
            words.sort_unstable();
            words.dedup();
            lines.extend(words.into_iter().map(|word| {
                let p = self.model.word(word as usize)[*topic];
                Line {
                    word,
                    tokens: p * self.tokens[*topic],
                    category: place + 1,
                    log_probability: p.ln(),
                    log_lift: (p * all / self.totals[word as usize]).ln(),
                }
            }));
        }
        lines.retain(|line| line.log_probability.is_finite());
        lines
    }

    /// Coordinates of topics, in the model's order: classical scaling of their divergences.
    fn places(&self) -> Vec<[f64; 2]> {
        let k = self.model.k();
        let topics: Vec<Vec<f64>> = (0..k).map(|topic| self.model.topic(topic)).collect();
        let mut centered = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..i {
                let divergence = jensen_shannon(&topics[i], &topics[j]);
                centered[i * k + j] = -0.5 * divergence * divergence;
                centered[j * k + i] = centered[i * k + j];
            }
        }
        let means: Vec<f64> =
            centered.chunks_exact(k).map(|row| row.iter().sum::<f64>() / k as f64).collect();
        let mean = means.iter().sum::<f64>() / k as f64;
        for (at, x) in centered.iter_mut().enumerate() {
            *x += mean - means[at / k] - means[at % k];
        }
        let mut places = vec![[0.0; 2]; k];
        if let Ok(eigen) = symmetric_eigen(&centered, k) {
            for (axis, j) in (0..k).rev().take(2).enumerate() {
                let scale = eigen.values[j].max(0.0).sqrt();
                let vector = &eigen.vectors[j * k..][..k];
                places.iter_mut().zip(vector).for_each(|(place, x)| place[axis] = scale * x);
            }
        }
        places
    }

    fn json(&self, vocabulary: &Vocabulary) -> String {
        let (lines, places) = (self.lines(), self.places());
        let all: f64 = self.tokens.iter().sum();
        let by_size = |of: &dyn Fn(usize) -> f64| list(self.order.iter().map(|topic| of(*topic)));
        let k = self.model.k();
        let mut json = String::from("{\"mdsDat\":{");
        let _ = write!(
            json,
            "\"x\":{},\"y\":{},\"topics\":{},\"cluster\":{},\"Freq\":{}}},",
            by_size(&|topic| places[topic][0]),
            by_size(&|topic| places[topic][1]),
            list(1..=k),
            list(std::iter::repeat_n(1, k)),
            by_size(&|topic| 100.0 * self.tokens[topic] / all.max(f64::MIN_POSITIVE)),
        );
        let name = |word: u32| quoted(vocabulary.name(word));
        let category = |line: &Line| match line.category {
            0 => "\"Default\"".to_owned(),
            place => format!("\"Topic{place}\""),
        };
        let _ = write!(
            json,
            "\"tinfo\":{{\"Term\":{},\"Freq\":{},\"Total\":{},\"Category\":{},\"logprob\":{},\"loglift\":{}}},",
            list(lines.iter().map(|line| name(line.word))),
            list(lines.iter().map(|line| line.tokens)),
            list(lines.iter().map(|line| self.totals[line.word as usize])),
            list(lines.iter().map(category)),
            list(lines.iter().map(|line| line.log_probability)),
            list(lines.iter().map(|line| line.log_lift)),
        );
        let mut words: Vec<u32> = lines.iter().map(|line| line.word).collect();
        words.sort_by(|a, b| vocabulary.name(*a).cmp(vocabulary.name(*b)));
        words.dedup();
        let mut cells = Vec::new();
        for word in words {
            for (place, topic) in self.order.iter().enumerate() {
                let tokens = self.model.word(word as usize)[*topic] * self.tokens[*topic];
                if tokens >= 0.5 {
                    cells.push((name(word), place + 1, tokens / self.totals[word as usize]));
                }
            }
        }
        let _ = write!(
            json,
            "\"token.table\":{{\"Term\":{},\"Topic\":{},\"Freq\":{}}},",
            list(cells.iter().map(|cell| &cell.0)),
            list(cells.iter().map(|cell| cell.1)),
            list(cells.iter().map(|cell| cell.2)),
        );
        let _ = write!(
            json,
            "\"R\":{SHOWN},\"lambda.step\":{},\"plot.opts\":{{\"xlab\":\"PC1\",\"ylab\":\"PC2\"}},\"topic.order\":{}}}",
            1.0 / LAMBDA_STEPS as f64,
            list(self.order.iter().map(|topic| topic + 1)),
        );
        json
    }
}

/// Mean divergence of two distributions from their mean, in nats.
fn jensen_shannon(a: &[f64], b: &[f64]) -> f64 {
    let part = |x: f64, mean: f64| if x > 0.0 { x * (x / mean).ln() } else { 0.0 };
    let sum: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| {
            let mean = 0.5 * (a + b);
            0.5 * (part(*a, mean) + part(*b, mean))
        })
        .sum();
    sum.max(0.0)
}

fn list(items: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let mut text = String::from("[");
    for (place, item) in items.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{item}");
    }
    text.push(']');
    text
}

/// A string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if u32::from(c) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
