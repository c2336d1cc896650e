//! Topic models by Expectation-Maximization.

mod collapsed;
mod corpus;
mod cvb0;
mod formats;
mod kernels;
mod map_em;
mod model;
mod params;
mod prior;
mod variational;
mod vocabulary;

pub use corpus::{Corpus, CorpusError, Documents};
pub use cvb0::{Cvb0, Cvb0Scratch};
pub use elbo_core::{
    Batch, DataError, EStepError, EstimateError, FitError, LatentModel, Observer, Report, Settings,
    Stopped, Tolerance, Variant,
};
pub use formats::{read_lda_c, read_lines, read_matrix_market, read_uci, read_vocabulary};
pub use map_em::{MapEm, MapScratch};
pub use model::{Algorithm, LdaModel, LdaStats};
pub use params::LdaParams;
pub use prior::{LdaPrior, PriorError};
pub use variational::{Variational, VariationalScratch};
pub use vocabulary::Vocabulary;
