//! Drivers: from a start to an optimum, with a typed report.

mod accelerate;
mod driver;
mod observe;
mod reduce;
mod report;
mod restart;
mod schedule;
mod settings;

pub use driver::{FitError, fit, fit_source};
pub use observe::{Event, Observer};
pub(crate) use reduce::How;
pub use reduce::{EStep, map_in_order, mix};
pub use report::{Fit, Report, Stopped};
pub use restart::{End, Optimum, Restarts, Runs, fit_restarts, fit_restarts_source};
pub use settings::{Acceleration, CancelToken, Settings, ShortRuns, Tolerance, Variant};
