//! Drivers: from a start to an optimum, with a typed report.

mod accelerate;
mod checkpoint;
mod driver;
mod moves;
mod observe;
mod observers;
mod reduce;
mod report;
mod restart;
mod schedule;
mod settings;

pub use checkpoint::Checkpoint;
pub use driver::{FitError, fit, fit_source, resume, resume_source};
pub use moves::{Change, Moves, Proposal, Starts, Tried};
pub use observe::{Event, Observer};
#[cfg(feature = "tracing")]
pub use observers::Traced;
pub use observers::{EarlyStopping, ParametersSettled, PathPoint, Trajectory};
pub(crate) use reduce::How;
pub use reduce::{EStep, map_in_order, mix};
pub use report::{Fit, Report, Stopped};
pub use restart::{End, Optimum, Restarts, Runs, fit_restarts, fit_restarts_source, fit_search};
pub use settings::{Acceleration, CancelToken, Settings, ShortRuns, Tolerance, Variant};
