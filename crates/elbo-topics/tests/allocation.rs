//! Passes allocate nothing, whatever the algorithm.

use elbo_core::fit;
use elbo_laws::CountingAllocator;
use elbo_topics::{
    Algorithm, Corpus, Cvb0, LdaModel, LdaPrior, MapEm, Settings, Tolerance, Variational,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn allocations<A: Algorithm>(
    algorithm: A,
    corpus: &Corpus,
    prior: &LdaPrior,
    passes: usize,
) -> usize {
    let model = LdaModel::new(algorithm);
    let start = model.random_start(prior.clone(), &corpus.word_counts(), 1).unwrap();
    let settings = Settings {
        tolerance: Tolerance::Change(0.0),
        max_iterations: passes,
        ..Settings::default()
    };
    CountingAllocator::allocations_of(|| {
        let fit = fit(&model, corpus.documents(), start, &settings, &()).unwrap();
        assert_eq!(fit.report.iterations, passes, "{:?}", fit.report.stopped);
    })
}

#[test]
fn passes_allocate_nothing() {
    let documents =
        (0..300_u32).map(|d| (0..8).map(move |i| ((d * 7 + i * i) % 20, f64::from(1 + i % 3))));
    let corpus = Corpus::from_documents(20, documents).unwrap();
    let prior = LdaPrior::symmetric(3, 0.2, 0.1).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let check = |name: &str, few: usize, many: usize| {
            assert!(few > 0, "the counter counts nothing");
            assert_eq!(few, many, "{name}");
        };
        let of = |passes| allocations(MapEm::default(), &corpus, &prior, passes);
        check("MAP-EM", of(3), of(13));
        let of = |passes| allocations(Cvb0::default(), &corpus, &prior, passes);
        check("CVB0", of(3), of(13));
        let of = |passes| allocations(Variational::default(), &corpus, &prior, passes);
        check("variational", of(3), of(13));
    });
}
