//! The metrics log that `METRICS_LOG_ENABLED` asks for.

use super::ending::Ending;
#[cfg(feature = "dashboard")]
use ffai::dashboard::{Handle, Update};
use ffai::generate::{Event, Metrics};
use ffai::measure::{MemoryTree, MetricsLog, MetricsSettings};
use std::io::Write as _;
use std::path::Path;

/// Rows of the runs, and the files they go to.
pub(crate) struct Logged {
    metrics: Metrics,
    log: MetricsLog,
    /// Where warnings go, if not to standard error.
    #[cfg(feature = "dashboard")]
    dashboard: Option<Handle>,
}

impl Logged {
    /// Opens the files in the working directory, where the environment asks for them. Call it before a model is loaded.
    pub(crate) fn open() -> Result<Option<Self>, Ending> {
        let Some(settings) = MetricsSettings::from_variables(|name| std::env::var(name).ok()) else { return Ok(None) };
        let log = MetricsLog::create(Path::new("."), settings).map_err(|error| {
            let hint = "METRICS_LOG_ENABLED writes to the working directory: run elsewhere, or leave it unset";
            Ending::failed(error, Some(hint.to_owned()))
        })?;
        Ok(Some(Self {
            metrics: Metrics::new(MemoryTree::resident_bytes().unwrap_or(0)),
            log,
            #[cfg(feature = "dashboard")]
            dashboard: None,
        }))
    }

    /// Warns in a dashboard from here on.
    #[cfg(feature = "dashboard")]
    pub(crate) fn on(self, handle: &Handle) -> Self {
        Self { dashboard: Some(handle.clone()), ..self }
    }

    /// Takes an event in, and writes lines where it is time.
    pub(crate) fn hear(&mut self, event: &Event<'_>) {
        self.metrics.hear(event);
        if self.log.is_due() {
            self.write();
        }
    }

    /// Writes the last lines.
    pub(crate) fn write(&mut self) {
        for told in self.log.write(&self.metrics.latency_rows(), &self.metrics.memory_rows()) {
            #[cfg(feature = "dashboard")]
            if let Some(dashboard) = &self.dashboard {
                dashboard.tell(Update::Log(format!("warning: {told}")));
                continue;
            }
            // The run does not depend on whether somebody reads this.
            let _ = writeln!(std::io::stderr(), "warning: {told}");
        }
    }
}
