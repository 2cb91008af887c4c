//! What is shown while a model is fetched: a bar on a terminal, lines elsewhere, all of it on standard error.

use ffai::weights::hub::{self, Progress};
use ffai::weights::{self, Wanted};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

/// The model that the user named, fetched if it has to be.
pub(crate) fn locate(model: &str, memory: Option<u64>, quiet: bool) -> Result<PathBuf, weights::Error> {
    let mut fetching = Fetching::new(quiet);
    let memory = memory.unwrap_or_else(hub::memory);
    let found = weights::locate_or_fetch(model, Wanted { memory, watcher: &mut |progress| fetching.show(progress) });
    fetching.end();
    found
}

/// A name that a stranger may have chosen, as it may stand in a terminal.
pub(crate) fn printable(name: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(escape).collect()
}

/// Shows progress.
pub(crate) struct Fetching {
    bar: ProgressBar,
    quiet: bool,
    files: (usize, usize),
}

impl Fetching {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { bar: ProgressBar::hidden(), quiet, files: (0, 0) }
    }

    pub(crate) fn show(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Start { files, bytes } => {
                self.files = (0, files);
                if self.quiet {
                    return;
                }
                let plural = if files == 1 { "" } else { "s" };
                self.line(&format!("{files} file{plural}, {}", HumanBytes(bytes)));
                if io::stderr().is_terminal() {
                    self.bar = ProgressBar::new(bytes);
                    let style = "{bar:32} {bytes}/{total_bytes} ({bytes_per_sec}, {eta}) {wide_msg}";
                    self.bar.set_style(
                        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
                    );
                }
            }
            Progress::File { name, bytes } => {
                self.files.0 += 1;
                let (number, of) = self.files;
                let name = printable(name);
                if self.bar.is_hidden() {
                    self.line(&format!("{number}/{of} {name} ({})", HumanBytes(bytes)));
                } else {
                    self.bar.set_message(format!("{number}/{of} {name}"));
                }
            }
            Progress::Bytes(here) => self.bar.set_position(here),
            Progress::Note(text) => self.bar.suspend(|| self.line(text)),
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            // Fetching does not depend on whether somebody reads this.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}
