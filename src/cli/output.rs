//! Printing. A reader of our output that went away (`olvid-rules catalog | head`) is no failure of ours.

use std::io::{Write as _, stderr, stdout};

use super::Done;

/// Prints what was asked for.
pub(super) fn answer(text: &str) {
    let mut out = stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Prints what went wrong, and ends with a code.
pub(super) fn failure(code: u8, text: &str) -> Done {
    tell(&failed(text));
    Err(code)
}

/// What went wrong, as it is printed.
pub(super) fn failed(text: &str) -> String {
    format!("olvid-rules: {text}\n")
}

/// Prints to standard error.
pub(super) fn tell(text: &str) {
    drop(stderr().lock().write_all(text.as_bytes()));
}
