//! Ctrl-C: the first asks for an orderly end, the second ends at once.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Exit code of an interrupted command, as shells report it.
pub(crate) const EXIT_CODE: u8 = 130;

/// A flag that the first Ctrl-C (or termination signal) raises; a second one ends the process.
///
/// # Errors
///
/// When the system refuses a handler.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let raised = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&raised);
    ctrlc::set_handler(move || {
        if handler.swap(true, Ordering::SeqCst) {
            process::exit(EXIT_CODE.into());
        }
    })?;
    Ok(raised)
}
