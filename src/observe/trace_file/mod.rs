//! A timeline in a file: the JSON of the Trace Event format, which Perfetto and `chrome://tracing` open.
//!
//! Format: "Trace Event Format", Google, in its array form, whose end may be missing: a run that is killed leaves a file that opens.

mod stream;
#[cfg(test)]
mod tests;

use super::{DeviceRun, Sink};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use stream::Stream;

/// The timeline could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a trace to {}: {source}", path.display())]
pub struct TraceFileError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// A sink that writes all it is told to a file. Each thread that tells something has a lane, and so has the device; plots are counters.
///
/// ```
/// use ffai::observe::{self, Level, TraceFile};
/// use std::sync::Arc;
///
/// # let folder = std::env::temp_dir();
/// let file = Arc::new(TraceFile::create(folder.join("ffai-example-trace.json"))?);
/// let attached = observe::attach(file.clone());
/// observe::set_level(Level::Spans);
/// drop(observe::span("work"));
/// observe::detach(attached);
/// file.finish()?;
/// # std::fs::remove_file(folder.join("ffai-example-trace.json")).ok();
/// # Ok::<(), ffai::observe::TraceFileError>(())
/// ```
#[derive(Debug)]
pub struct TraceFile {
    path: PathBuf,
    stream: Mutex<Stream<File>>,
}

impl TraceFile {
    /// Makes the file, or empties it, and writes its beginning. Times in it count from here.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, TraceFileError> {
        fn begin(path: &Path) -> io::Result<Stream<File>> {
            Stream::begin(File::create(path)?, Instant::now())
        }
        let path = path.into();
        match begin(&path) {
            Ok(stream) => Ok(Self { path, stream: Mutex::new(stream) }),
            Err(source) => Err(TraceFileError { path, source }),
        }
    }

    /// Ends what is still open and writes the end of the file. What is told from here on is left out.
    ///
    /// # Errors
    /// The first write that failed, here or before: told once. Nothing was written after it.
    pub fn finish(&self) -> Result<(), TraceFileError> {
        self.stream().finish(Instant::now()).map_err(|source| TraceFileError { path: self.path.clone(), source })
    }

    fn stream(&self) -> MutexGuard<'_, Stream<File>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time is read while nobody else writes, so that it grows from line to line.
    fn tell(&self, what: impl FnOnce(&mut Stream<File>, Instant)) {
        let mut stream = self.stream();
        what(&mut stream, Instant::now());
    }
}

impl Sink for TraceFile {
    fn begin(&self, name: &'static str) {
        self.tell(|stream, now| stream.begin_span(name, now));
    }

    fn end(&self, name: &'static str) {
        self.tell(|stream, now| stream.end_span(name, now));
    }

    fn event(&self, name: &'static str) {
        self.tell(|stream, now| stream.instant(name, "t", now));
    }

    fn plot(&self, name: &'static str, value: f64) {
        self.tell(|stream, now| stream.counter(name, value, now));
    }

    fn frame(&self) {
        self.tell(|stream, now| stream.instant("token", "p", now));
    }

    fn device(&self, run: &DeviceRun<'_>) {
        self.tell(|stream, now| stream.device(run, now));
    }
}
