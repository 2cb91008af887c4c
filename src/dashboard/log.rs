//! Logs go into their pane, so that nothing is printed over the dashboard.

use super::handle::Handle;
use super::update::Update;
use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Hands logs to a dashboard, as lines `[ffai:<subsystem>] message`.
pub struct LogLayer {
    handle: Handle,
}

impl LogLayer {
    /// For all that a filter in front of it lets pass.
    pub fn new(handle: &Handle) -> Self {
        Self { handle: handle.clone() }
    }
}

/// `ffai::<subsystem>`, or a module in it.
fn subsystem(target: &str) -> Option<&str> {
    target.strip_prefix("ffai::")?.split("::").next()
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let target = event.metadata().target();
        let from = subsystem(target).map_or_else(|| target.to_owned(), |subsystem| format!("ffai:{subsystem}"));
        // A log must not hold up what it tells about: where the channel is full the line is lost.
        self.handle.offer(Update::Log(format!("[{from}] {}{}", line.message, line.fields)));
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn lines_say_where_they_come_from() {
        let (handle, updates, _) = Handle::new();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(LogLayer::new(&handle)), || {
            tracing::debug!(target: "ffai::load", bytes = 5, "a {}", "weight");
            tracing::error!(target: "wgpu_core", name = "x", "broken");
        });
        let lines: Vec<String> = updates.try_iter().map(|update| format!("{update:?}")).collect();
        let expected = ["[ffai:load] a weight bytes=5", "[wgpu_core] broken name=\\\"x\\\""];
        assert_eq!(lines, expected.map(|line| format!("Log(\"{line}\")")));
    }
}
