//! Options that record what the engine tells of itself: a timeline in a file, and profilers of the system.

use super::ending::Ending;
use clap::Args;
use ffai::gpu;
use ffai::observe::{self, Level, SinkId, TraceFile};
use std::path::PathBuf;
use std::sync::Arc;

/// Who records a run.
#[derive(Args, Debug, Default)]
pub(crate) struct TracerArguments {
    /// Write a timeline that Perfetto and chrome://tracing open (see docs/timeline.md)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) trace: Option<PathBuf>,
    /// Wait for the Tracy profiler, on this machine alone; the port is TRACY_PORT, else 8086 or the next free one
    #[arg(long, help_heading = "Output")]
    pub(crate) tracy: bool,
}

/// Who records this run, until it is finished or dropped.
#[derive(Debug, Default)]
pub(crate) struct Tracers {
    attached: Vec<SinkId>,
    file: Option<Arc<TraceFile>>,
}

/// Attaches who was asked for, and sets how much is told: `level`, and spans at least where somebody records them. From
/// [`Level::Spans`] on Tracy and, on macOS, signposts are there too, as far as they were built. To be called before a model is loaded:
/// that is the first to be recorded, and long where the file cannot be written.
///
/// # Errors
/// The file cannot be written, or this program was built without what was asked for.
pub(crate) fn attach(arguments: &TracerArguments, level: Level) -> Result<Tracers, Ending> {
    let mut tracers = Tracers::default();
    let spans = level >= Level::Spans || arguments.trace.is_some() || arguments.tracy;
    if let Some(path) = &arguments.trace {
        expect_built(cfg!(feature = "observe"), "--trace", "observe")?;
        let file = Arc::new(TraceFile::create(path)?);
        tracers.attached.push(observe::attach(file.clone()));
        tracers.file = Some(file);
    }
    if arguments.tracy || level >= Level::Spans {
        let tracy = observe::tracy::start();
        expect_built(tracy.is_some() || !arguments.tracy, "--tracy", "tracy")?;
        tracers.attached.extend(tracy.map(observe::attach));
    }
    if spans {
        tracers.attached.extend(gpu::signposts().map(observe::attach));
    }
    observe::set_level(if spans { level.max(Level::Spans) } else { level });
    Ok(tracers)
}

/// An option whose part of the program was left out would record nothing.
fn expect_built(built: bool, option: &str, feature: &str) -> Result<(), Ending> {
    if built {
        return Ok(());
    }
    let message = format!("{option} needs the feature `{feature}`, without which this ffai was built");
    Err(Ending::usage(message, Some(format!("build it with `cargo build --release --features {feature}`"))))
}

impl Tracers {
    /// Ends the recording.
    ///
    /// # Errors
    /// A write to the file failed, now or before.
    pub(crate) fn finish(mut self) -> Result<(), Ending> {
        self.close()
    }

    fn close(&mut self) -> Result<(), Ending> {
        for id in self.attached.drain(..) {
            observe::detach(id);
        }
        observe::tracy::settle();
        Ok(self.file.take().map_or(Ok(()), |file| file.finish())?)
    }
}

impl Drop for Tracers {
    fn drop(&mut self) {
        // Of a run that has failed, and says so: what it did until then is worth reading.
        let _ = self.close();
    }
}

impl From<observe::TraceFileError> for Ending {
    fn from(error: observe::TraceFileError) -> Self {
        Self::failed(error.to_string(), Some("give --trace a file that can be written".to_owned()))
    }
}

#[cfg(test)]
#[cfg(feature = "observe")]
mod tests {
    use super::*;
    use std::{env, fs, process};

    fn traced(path: PathBuf) -> TracerArguments {
        TracerArguments { trace: Some(path), tracy: false }
    }

    /// One test, because levels are the whole process's.
    #[test]
    fn who_was_asked_for_records_until_the_end() {
        let path = env::temp_dir().join(format!("ffai-tracers-{}.json", process::id()));
        attach(&TracerArguments::default(), Level::Phases).unwrap().finish().unwrap();
        assert_eq!(observe::level(), Level::Phases);

        let read = || fs::read_to_string(&path).unwrap();
        for failed in [false, true] {
            let tracers = attach(&traced(path.clone()), Level::Off).unwrap();
            assert_eq!(observe::level(), Level::Spans);
            drop(observe::span("recorded"));
            if failed {
                drop(tracers)
            } else {
                tracers.finish().unwrap()
            }
            drop(observe::span("late"));
            let text = read();
            assert!(text.contains("recorded") && !text.contains("late") && text.ends_with("]\n"), "{text}");
        }
        let asked = TracerArguments { trace: None, tracy: true };
        assert_eq!(attach(&asked, Level::Phases).is_ok(), cfg!(feature = "tracy"));
        assert_eq!(observe::level(), Level::Spans);
        attach(&traced(path.clone()), Level::Ops).unwrap().finish().unwrap();
        assert_eq!(observe::level(), Level::Ops);
        fs::remove_file(&path).unwrap();

        let ending = attach(&traced(env::temp_dir()), Level::Off).unwrap_err();
        assert!(
            matches!(&ending, Ending::Failed { status: 1, message, hint: Some(_) }
            if message.contains(&env::temp_dir().display().to_string())),
            "{ending:?}"
        );
        observe::set_level(Level::Off);
    }

    #[test]
    fn what_was_left_out_is_not_passed_over() {
        let ending = expect_built(false, "--tracy", "tracy").unwrap_err();
        assert!(matches!(ending, Ending::Failed { status: 2, message, hint: Some(hint) }
            if message.contains("--tracy") && hint.contains("--features tracy")));
    }
}
