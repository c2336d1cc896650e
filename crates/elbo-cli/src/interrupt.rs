//! Ctrl-C: the first asks for an orderly end, the second ends at once.

use std::process;

use elbo::core::CancelToken;

/// Exit code of an interrupted command, as shells report it.
pub(crate) const EXIT_CODE: u8 = 130;

/// A token that the first Ctrl-C (or termination signal) cancels; a second one ends the process.
///
/// # Errors
///
/// When the system refuses a handler.
pub(crate) fn token() -> Result<CancelToken, ctrlc::Error> {
    let token = CancelToken::new();
    let handler = token.clone();
    ctrlc::set_handler(move || {
        if handler.is_cancelled() {
            process::exit(EXIT_CODE.into());
        }
        handler.cancel();
    })?;
    Ok(token)
}
