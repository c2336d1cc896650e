//! Progress on standard error, for people only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that shows nothing.
pub(crate) fn hidden() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
}

/// A bar for reading `total` bytes.
pub(crate) fn bytes(total: u64) -> ProgressBar {
    bar(total, "reading {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")
}

/// A bar for `total` fits; its message says which one is running.
pub(crate) fn fits(total: u64) -> ProgressBar {
    bar(total, "{msg:32} {wide_bar} {pos}/{len} {elapsed}")
}

fn bar(total: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    let bar = ProgressBar::new(total).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
