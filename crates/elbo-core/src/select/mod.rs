//! Which model: criteria, held-out likelihood, likelihood-ratio tests, predictive scores.

mod folds;
mod predictive;
mod ratio_test;
mod scores;
mod table;

pub use folds::{FoldError, Folds, HeldOut};
pub use predictive::{PredictiveScore, predictive_score};
pub use ratio_test::{Growth, RatioTest, grow, ratio_test};
pub use scores::{Criterion, Scored, Scores, Standing, ranking};
pub use table::{Candidate, Selection, cross_validate, select};
