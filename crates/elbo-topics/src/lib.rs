//! Topic models: latent Dirichlet allocation by MAP-EM, CVB0 and variational Bayes.
//!
//! A topic is a distribution over words, a document a mixture of topics. Two topics of a few lines:
//!
//! ```
//! use elbo_topics::{Topics, read_lines};
//!
//! let text = "cat dog cat fish\ndog cat dog\nfish cat dog\nship sea port\nsea ship port sea\nport ship sea\n".repeat(10);
//! let (corpus, vocabulary) = read_lines(text.as_bytes())?;
//! let fitted = Topics::new(2).fit(corpus.documents())?;
//!
//! let names = |topic| -> Vec<&str> {
//!     fitted.model.top_words(topic, 3).into_iter().map(|word| vocabulary.name(word)).collect()
//! };
//! let sea = if names(0).contains(&"sea") { 0 } else { 1 };
//! assert!(["sea", "ship", "port"].iter().all(|word| names(sea).contains(word)));
//! let shares = fitted.model.shares(corpus.documents(), 1e-6)?; // topics of documents, old or new
//! assert!(shares[1 - sea] > 0.9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Should I use this crate?
//!
//! For what many documents are about, and to find documents of the same kind: yes. For a few clusters of documents, each about one
//! thing, a mixture of multinomials has fewer parameters (`elbo-mixture`). For meaning beyond counts of words take embeddings.
//!
//! # Which algorithm?
//!
//! [`Cvb0`] finds the best topics of those here and is the default of [`Topics`]; [`MapEm`] needs less memory and time;
//! [`Variational`] bounds the evidence. Pseudo-counts mean something else to each, and so have defaults of their own.
//!
//! # Notation
//!
//! `k` topics; `θ` shares of topics in a document, `φ` of words in a topic; `α`, `η` their pseudo-counts; `n_dw` how often word
//! `w` is counted in document `d`, a *pair* where it is; `γ` responsibilities. All logarithms are natural.
//!
//! # Crate features
//!
//! - **rayon** (on): documents and restarts run on the current rayon thread pool; results do not depend on it.
//! - **serde** (off): `Serialize` and `Deserialize` for [`TopicModel`], through its checked constructor.
//! - **text** (off): [`Tokenizer`], from text to a corpus.

mod aligned;
mod coherence;
mod collapsed;
mod corpus;
mod cvb0;
mod explorer;
mod fit;
mod formats;
mod kernels;
mod learned;
mod map_em;
mod model;
mod params;
mod prior;
#[cfg(feature = "text")]
mod text;
mod topic_model;
mod variational;
mod vocabulary;

pub use coherence::{CoherenceMeasure, Cooccurrences};
pub use corpus::{Corpus, CorpusError, Documents};
pub use cvb0::{Cvb0, Cvb0Scratch};
pub use elbo_core::{
    Batch, DataError, EStepError, EarlyStopping, EstimateError, FitError, LatentModel, Observer,
    Report, Settings, Stopped, Tolerance, Variant,
};
pub use fit::{FittedTopics, Method, Topics, TopicsError};
pub use formats::{read_lda_c, read_lines, read_matrix_market, read_uci, read_vocabulary};
pub use map_em::{MapEm, MapScratch};
pub use model::{Algorithm, LdaModel, LdaStats};
pub use params::LdaParams;
pub use prior::{LdaPrior, PriorError};
#[cfg(feature = "text")]
pub use text::Tokenizer;
pub use topic_model::{TopicModel, TopicModelError};
pub use variational::{Variational, VariationalScratch};
pub use vocabulary::Vocabulary;
