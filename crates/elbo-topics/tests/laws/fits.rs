//! Whole fits: recovery, threads, bad input.

use elbo_core::{Settings, fit};
use elbo_laws::model::assert_same_fit;
use elbo_topics::{
    Corpus, Cvb0, LdaModel, LdaPrior, MapEm, Method, PriorError, TopicModel, Topics, TopicsError,
    Variational,
};

use crate::support::{blocks, start};

fn methods() -> [Method; 3] {
    [
        Method::Cvb0(Cvb0::default()),
        Method::MapEm(MapEm::default()),
        Method::Variational(Variational::default()),
    ]
}

#[test]
fn every_method_finds_blocks_of_words() {
    let corpus = blocks(200, 40, 4, 30);
    for method in methods() {
        let fitted = Topics::new(4).method(method).runs(8).fit(corpus.documents()).unwrap();
        let mut found: Vec<u32> = (0..4)
            .map(|topic| {
                let words = fitted.model.top_words(topic, 10);
                let block = words[0] / 10;
                assert!(words.iter().all(|word| word / 10 == block), "{method:?}: {words:?}");
                block
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3], "{method:?}");
        assert!((fitted.model.diversity(10) - 1.0).abs() < 1e-15);
    }
}

#[test]
fn threads_change_no_bit() {
    let corpus = blocks(400, 12, 3, 30);
    let prior = LdaPrior::symmetric(3, 0.3, 0.1).unwrap();
    let settings = Settings { max_iterations: 5, ..Settings::default() };
    let on = |threads: usize, run: &(dyn Fn() + Sync)| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
    };
    macro_rules! same {
        ($algorithm:expr) => {{
            let model = LdaModel::new($algorithm);
            let begin = start(&model, &prior, 12);
            let run = || fit(&model, corpus.documents(), begin.clone(), &settings, &()).unwrap();
            let here = run();
            for threads in [1, 2, 4] {
                on(threads, &|| assert_same_fit(&here, &run()));
            }
        }};
    }
    same!(Cvb0::default());
    same!(MapEm::default());
    same!(Variational::default());
}

#[test]
fn the_same_seed_is_the_same_fit() {
    let corpus = blocks(120, 20, 2, 15);
    let fitted = |seed| {
        let settings = Settings { seed, max_iterations: 5, ..Settings::default() };
        Topics::new(2).settings(settings).fit(corpus.documents()).unwrap().params
    };
    assert_eq!(fitted(3), fitted(3));
    assert_ne!(fitted(3), fitted(4));
}

#[test]
fn seeds_name_topics() {
    let corpus = blocks(200, 40, 4, 30);
    let prior = LdaPrior::symmetric(4, 0.1, 0.05)
        .unwrap()
        .seeded(40, &[(2, 0), (2, 1), (0, 10), (0, 11), (3, 20), (3, 21), (1, 30), (1, 31)], 20.0)
        .unwrap();
    for method in methods() {
        let fitted =
            Topics::new(4).method(method).prior(prior.clone()).fit(corpus.documents()).unwrap();
        for (topic, block) in [(2, 0), (0, 1), (3, 2), (1, 3)] {
            let words = fitted.model.top_words(topic, 10);
            assert!(words.iter().all(|word| word / 10 == block), "{method:?}, {topic}: {words:?}");
        }
    }
}

#[test]
fn bad_input_is_named() {
    let empty = Corpus::from_documents(3, [Vec::new(), Vec::new()]).unwrap();
    assert!(matches!(Topics::new(2).fit(empty.documents()), Err(TopicsError::Fit(_))));
    let corpus = blocks(20, 12, 3, 9);
    let error = Topics::new(2).alpha(-1.0).fit(corpus.documents()).unwrap_err();
    assert_eq!(error, PriorError::Topic { topic: 0, value: -1.0 }.into());
    let error = Topics::new(2).eta(f64::NAN).fit(corpus.documents()).unwrap_err();
    assert!(matches!(error, TopicsError::Prior(PriorError::Word { .. })));
    let error = Topics::new(2).eta(0.0).fit(corpus.documents()).unwrap_err();
    assert!(error.to_string().contains("pseudo-counts of zero"), "{error}");
    let other = LdaPrior::symmetric(2, 0.1, 0.1).unwrap().with_words(7, &[0.1; 14]).unwrap();
    assert!(Topics::new(2).prior(other).fit(corpus.documents()).is_err());
    assert_eq!(LdaPrior::new(Vec::new(), 0.1), Err(PriorError::NoTopic));
    assert!(TopicModel::new(vec![0.1; 2], &[0.5, 0.5, 0.4, 0.5]).is_err());
}

/// One token, one word, more topics than documents.
#[test]
fn the_smallest_corpora_are_fitted() {
    for corpus in [
        Corpus::from_documents(1, [vec![(0, 1.0)]]).unwrap(),
        Corpus::from_documents(3, [vec![(1, 0.25)], vec![]]).unwrap(),
    ] {
        for method in methods() {
            let fitted = Topics::new(3).method(method).fit(corpus.documents()).unwrap();
            assert!(fitted.report.objective.is_finite(), "{method:?}");
            assert!(fitted.model.topic(0).iter().all(|p| p.is_finite()));
        }
    }
}

/// Documents whose shares are known to vary as a Dirichlet says.
#[test]
fn alpha_is_learned_from_draws() {
    use elbo_dist::Dirichlet;
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
    let truth = [0.6, 0.2];
    let (phi, k, words) = ([0.45, 0.05, 0.45, 0.05, 0.05, 0.45, 0.05, 0.45], 2, 4);
    let shares = Dirichlet::new(truth.to_vec()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut documents = Vec::new();
    for _ in 0..600 {
        let theta = shares.sample(&mut rng);
        let token = |_| {
            let topic = usize::from(rng.random::<f64>() > theta.probabilities()[0]);
            let mut u = rng.random::<f64>();
            let word = (0..words).find(|word| {
                u -= phi[word * k + topic];
                u < 0.0
            });
            u32::try_from(word.unwrap_or(words - 1)).unwrap()
        };
        documents.push((0..80).map(token).collect::<Vec<u32>>());
    }
    let corpus = Corpus::from_tokens(words, documents.iter().map(Vec::as_slice)).unwrap();
    let model = TopicModel::new(vec![1.0, 1.0], &phi).unwrap();
    let mut alpha = model.learned_alpha(corpus.documents(), 1).unwrap();
    for round in 0..10 {
        let model = model.clone().with_alpha(alpha).unwrap();
        alpha = model.learned_alpha(corpus.documents(), round).unwrap();
    }
    // Standard errors of 600 documents are some 6 %, the draws' own noise less: four of them.
    for (learned, truth) in alpha.iter().zip(truth) {
        assert!((learned / truth).ln().abs() < 0.25, "{alpha:?}");
    }
}
