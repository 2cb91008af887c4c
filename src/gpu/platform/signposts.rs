//! What the engine tells, as signposts for Instruments, where the system has them.

use super::system::{self, Interval};
use crate::observe::{OpenSpans, Sink};
use std::cell::RefCell;
use std::sync::Arc;

/// Stretches of time that have signposts. Their names are part of the program, where the system wants them to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Activity {
    /// A model is opened and its weights are brought onto a device.
    ModelLoad,
    /// Kernels are compiled before the first request.
    Prewarm,
    /// A prompt runs.
    Prefill,
    /// A token is generated.
    DecodeStep,
}

impl Activity {
    /// The one that spans of a name are.
    fn named(name: &str) -> Option<Self> {
        match name {
            "model_load" => Some(Self::ModelLoad),
            "prewarm" => Some(Self::Prewarm),
            "prefill" => Some(Self::Prefill),
            "decode_step" => Some(Self::DecodeStep),
            _ => None,
        }
    }
}

thread_local! {
    /// Spans of this thread; those whose names have no signpost are kept for their order alone.
    static OPEN: RefCell<OpenSpans<Option<Interval>>> = const { RefCell::new(OpenSpans::new()) };
}

struct Signposts;

impl Sink for Signposts {
    fn begin(&self, name: &'static str) {
        let interval = Activity::named(name).map(Interval::begin);
        // A span that begins while its thread ends has no signpost.
        let _ = OPEN.try_with(|open| open.borrow_mut().begin(name, interval));
    }

    fn end(&self, name: &'static str) {
        let _ = OPEN.try_with(|open| open.borrow_mut().end(name, |_, _interval| {}));
    }

    fn event(&self, name: &'static str) {
        if name == "ttft" {
            system::mark_first_token();
        }
    }
}

/// A sink that marks intervals `model_load`, `prewarm`, `prefill` and `decode_step` and the event `ttft` with signposts, under the
/// subsystem `ai.ffai`. They cost a load each while no tool records them. `None` on systems without signposts.
pub fn signposts() -> Option<Arc<dyn Sink>> {
    cfg!(target_os = "macos").then(|| Arc::new(Signposts) as Arc<dyn Sink>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_phases_have_signposts_and_end_where_they_end() {
        let named = ["model_load", "prewarm", "prefill", "decode_step"].map(Activity::named);
        assert!(named.iter().all(Option::is_some));
        assert_eq!(Activity::named("sampling"), None);
        Signposts.end("model_load");
        for name in ["model_load", "of no signpost", "prefill"] {
            Signposts.begin(name);
        }
        Signposts.event("ttft");
        Signposts.end("model_load");
        OPEN.with_borrow_mut(|open| open.end_all(|name, _| panic!("{name} is still open")));
        assert_eq!(signposts().is_some(), cfg!(target_os = "macos"));
    }
}
