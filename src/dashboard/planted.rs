//! Panics where a test wants them, to see what is left of the terminal. Not in release builds.

use super::state::State;
use super::update::Update;

/// `draw`: the thread that draws panics as soon as there is text. `work`: the other one, as it sends some.
const VARIABLE: &str = "FFAI_DASHBOARD_PANIC";

fn planted(place: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| value == place)
}

pub(super) fn in_draw(state: &State) {
    assert!(state.text.is_empty() || !planted("draw"), "planted while drawing");
}

pub(super) fn in_work(update: &Update) {
    assert!(!matches!(update, Update::Token(_)) || !planted("work"), "planted while working");
}
