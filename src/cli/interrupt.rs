//! Ctrl-C: the first ends the text, the second the program.

use std::sync::atomic::{AtomicU8, Ordering};

static STATE: AtomicU8 = AtomicU8::new(IDLE);
/// Nothing has to be finished: Ctrl-C ends the program.
const IDLE: u8 = 0;
/// Text is made: Ctrl-C ends it, and statistics follow.
const GENERATING: u8 = 1;
const ASKED: u8 = 2;

/// Watches for Ctrl-C from here on. Where that cannot be, the system's way stays: the program ends at once.
pub(crate) fn watch() {
    let _ = ctrlc::set_handler(|| {
        if STATE.compare_exchange(GENERATING, ASKED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            std::process::exit(130);
        }
    });
}

/// Text is about to be made.
pub(crate) fn hold() {
    STATE.store(GENERATING, Ordering::SeqCst);
}

/// No more text is made: Ctrl-C ends the program again.
pub(crate) fn release() {
    STATE.store(IDLE, Ordering::SeqCst);
}

/// Whether Ctrl-C was pressed while text was made.
pub(crate) fn asked() -> bool {
    STATE.load(Ordering::SeqCst) == ASKED
}
