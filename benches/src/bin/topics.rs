//! Topics: seconds to a held-out perplexity.
//!
//! ```text
//! cargo run --release -p elbo-benches --bin topics -- FOLDER K cvb0|map|vb [PASSES] [ALPHA] [ETA] [SEED] [TOPICS.f32]
//! ```
//!
//! FOLDER holds `train.ldac`, `held_obs.ldac` and `held_tgt.ldac` (LDA-C), and `vocab.txt`. Prints a line of JSON for marked
//! passes: CPU seconds of this process since the corpus was read (the first pass of online EM included, evaluation not), the
//! objective and the perplexity of document completion at the `α` of the fit. Run it with `RAYON_NUM_THREADS=1` to compare with
//! programs of one thread. With a file name the last topics are written as single precision, words in rows.
#![allow(clippy::print_stdout, reason = "a command-line tool prints")]

use std::{
    error::Error,
    fs::File,
    io::{BufReader, BufWriter, Write},
    ops::ControlFlow,
    path::Path,
    sync::Mutex,
};

use cpu_time::ProcessTime;
use elbo::{
    core::Event,
    topics::{
        Corpus, Cvb0, LdaParams, MapEm, Method, Settings, Tolerance, TopicModel, Topics,
        Variational, read_lda_c, read_vocabulary,
    },
};

const MARKS: [usize; 14] = [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, k, method, rest @ ..] = arguments.as_slice() else {
        return Err("FOLDER K cvb0|map|vb [PASSES] [ALPHA] [ETA] [SEED] [TOPICS.f32]".into());
    };
    let folder = Path::new(folder);
    let words = read_vocabulary(open(&folder.join("vocab.txt"))?)?.len();
    let read = |name: &str| -> Result<Corpus, Box<dyn Error>> {
        Ok(read_lda_c(open(&folder.join(name))?, Some(words))?)
    };
    let (train, observed, target) =
        (read("train.ldac")?, read("held_obs.ldac")?, read("held_tgt.ldac")?);

    let method = match method.as_str() {
        "cvb0" => Method::Cvb0(Cvb0::default()),
        "map" => Method::MapEm(MapEm::default()),
        "vb" => Method::Variational(Variational::default()),
        other => return Err(format!("{other} is none of cvb0, map, vb").into()),
    };
    let number = |place: usize| rest.get(place).map(|text| text.parse::<f64>()).transpose();
    let passes = rest.first().map_or(Ok(100), |text| text.parse())?;
    let seed = rest.get(3).map_or(Ok(0), |text| text.parse())?;
    let settings = Settings {
        tolerance: Tolerance::Change(0.0),
        max_iterations: passes,
        seed,
        ..Settings::default()
    };
    let mut topics = Topics::new(k.parse()?).method(method).settings(settings);
    if let Some(alpha) = number(1)? {
        topics = topics.alpha(alpha);
    }
    if let Some(eta) = number(2)? {
        topics = topics.eta(eta);
    }

    let evaluation = Mutex::new(0.0);
    let begin = ProcessTime::now();
    let seconds = || begin.elapsed().as_secs_f64();
    let watch = |event: &Event<'_, LdaParams>| {
        if MARKS.contains(&event.iteration) || event.iteration == passes {
            let now = seconds();
            let mut evaluated =
                evaluation.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let perplexity = TopicModel::from_params(event.params)
                .completion_perplexity(observed.documents(), target.documents())
                .unwrap_or(f64::NAN);
            println!(
                "{{\"passes\": {}, \"seconds\": {:.4}, \"objective\": {:.3}, \"perplexity\": {perplexity:.2}}}",
                event.iteration,
                now - *evaluated,
                event.objective,
            );
            *evaluated += seconds() - now;
        }
        ControlFlow::Continue(())
    };
    let fitted = topics.fit_observed(train.documents(), &watch)?;
    if let Some(path) = rest.get(4) {
        let mut file = BufWriter::new(File::create(path)?);
        for word in 0..words {
            for p in fitted.model.word(word) {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "the format is single precision"
                )]
                file.write_all(&(*p as f32).to_le_bytes())?;
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<BufReader<File>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufReader::new(file))
}
