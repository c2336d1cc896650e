//! Topics of documents: fit, look, compare with words held out, and find the topics of a new document.
//!
//! The documents are made here, from three topics of ten words each, so that one can see whether they are found.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use elbo::{
    dist::{Categorical, Dirichlet},
    topics::{CoherenceMeasure, Cooccurrences, Corpus, MapEm, Method, Topics, Vocabulary},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

const WORDS: &str = "ship sea port sail harbor storm crew anchor deck tide \
                     bread oven flour salt butter yeast crust dough sugar cake \
                     court judge law trial jury verdict lawyer appeal crime witness";

/// The tokens of a document whose topics have these shares; a tenth of them is any word at all.
fn document(shares: &Categorical, tokens: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let token = |_| {
        let u: f64 = rng.random();
        let topic = shares.quantile(u);
        let place = rng.random_range(0..10);
        if rng.random::<f64>() < 0.1 { rng.random_range(0..30) } else { 10 * topic + place }
    };
    (0..tokens).map(token).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let vocabulary = Vocabulary::from_names(WORDS.split_whitespace())?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let shares = Dirichlet::symmetric(3, 0.3)?;
    let texts: Vec<Vec<u32>> = (0..500)
        .map(|_| {
            let shares = shares.sample(&mut rng);
            document(&shares, 60, &mut rng)
        })
        .collect();
    let (seen, held_out) = texts.split_at(400);
    let corpus =
        |texts: &[Vec<u32>]| Corpus::from_tokens(vocabulary.len(), texts.iter().map(Vec::as_slice));
    let train = corpus(seen)?;
    let half = |from: usize| {
        corpus(&held_out.iter().map(|text| text[from..from + 30].to_vec()).collect::<Vec<_>>())
    };
    let (observed, target) = (half(0)?, half(30)?);

    for (name, topics) in [
        ("CVB0", Topics::new(3)),
        ("MAP-EM", Topics::new(3).method(Method::MapEm(MapEm::default()))),
    ] {
        let fitted = topics.runs(5).fit(train.documents())?;
        let perplexity =
            fitted.model.completion_perplexity(observed.documents(), target.documents())?;
        println!("{name}: perplexity {perplexity:.2} after {} passes", fitted.report.iterations);
    }

    let fitted = Topics::new(3).runs(5).fit(train.documents())?;
    for topic in 0..3 {
        let words = fitted.model.top_words(topic, 6);
        let mut counts = Cooccurrences::windows(&words, 10);
        for text in seen {
            counts.observe(text);
        }
        let names: Vec<&str> = words.iter().map(|word| vocabulary.name(*word)).collect();
        let coherence = counts.coherence(&words, CoherenceMeasure::Npmi);
        println!("topic {topic} (coherence {coherence:.2}): {}", names.join(" "));
    }

    let new = "the judge on the ship heard a witness at sea";
    let tokens: Vec<u32> = new.split(' ').filter_map(|word| vocabulary.number(word)).collect();
    let shares = fitted.model.shares(corpus(&[tokens])?.documents(), 1e-6)?;
    println!("{new:?} has shares {shares:.2?}");
    Ok(())
}
