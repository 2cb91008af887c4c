//! What goes to standard output and what to standard error.
//!
//! A terminal gets text and notes in the order they come. Elsewhere standard output carries the text alone, so that it can
//! be piped on, and notes go to standard error. `println!` is not used: it panics where a pipe is closed.

use super::ending::Ending;
use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
#[cfg(feature = "dashboard")]
use ffai::dashboard::{Handle, Update};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

/// Where notes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notes {
    /// Between the text, as people read them.
    WithText,
    /// Apart from it.
    Apart,
    /// Nowhere.
    Nowhere,
}

/// Text and notes on their ways.
pub(crate) struct Output {
    text: Box<dyn Write>,
    apart: Box<dyn Write>,
    notes: Notes,
    terminal: bool,
    /// How thinking looks; `None` where text has no looks.
    dim: Option<Style>,
    /// Where thinking goes, if not where the text does.
    thoughts: Option<Box<dyn Write>>,
    /// What is told how much is loaded, if not a bar.
    loading: Option<Loading>,
    /// Whether the text's last line is complete.
    line_ended: bool,
}

impl Output {
    /// For a run that generates: `json` and `quiet` as asked for.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let notes = match (quiet, terminal && !json) {
            (true, _) => Notes::Nowhere,
            (false, true) => Notes::WithText,
            (false, false) => Notes::Apart,
        };
        // By the terminal and by NO_COLOR, TERM and their kind.
        let looks = terminal && AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let dim = looks.then(|| Style::new().dimmed());
        Self { dim, ..Self::to(Box::new(io::stdout()), Box::new(io::stderr()), notes, terminal) }
    }

    /// For a command that prints one thing.
    pub(crate) fn plain() -> Self {
        Self::to(Box::new(io::stdout()), Box::new(io::stderr()), Notes::Apart, false)
    }

    fn to(text: Box<dyn Write>, apart: Box<dyn Write>, notes: Notes, terminal: bool) -> Self {
        Self { text, apart, notes, terminal, dim: None, thoughts: None, loading: None, line_ended: true }
    }

    /// Text that was asked for; visible at once.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Ending> {
        if text.is_empty() {
            return Ok(());
        }
        self.line_ended = text.ends_with('\n');
        self.text.write_all(text.as_bytes()).and_then(|()| self.text.flush()).map_err(|error| Ending::write(&error))
    }

    /// Text that steps back behind other text, where it can.
    pub(crate) fn dimmed(&mut self, text: &str) -> Result<(), Ending> {
        if let Some(thoughts) = self.thoughts.as_mut().filter(|_| !text.is_empty()) {
            self.line_ended = text.ends_with('\n');
            return thoughts.write_all(text.as_bytes()).map_err(|error| Ending::write(&error));
        }
        let Some(dim) = self.dim.filter(|_| !text.is_empty()) else { return self.text(text) };
        self.text(&format!("{dim}{text}{dim:#}"))?;
        self.line_ended = text.ends_with('\n');
        Ok(())
    }

    /// Whether [`Output::dimmed`] text looks different from other text.
    pub(crate) fn dims(&self) -> bool {
        self.dim.is_some() || self.thoughts.is_some()
    }

    /// Whether notes stand between the text.
    pub(crate) fn has_notes_with_text(&self) -> bool {
        self.notes == Notes::WithText
    }

    /// Whether the text's last line is complete.
    pub(crate) fn line_ended(&self) -> bool {
        self.line_ended
    }

    /// The prompt in front of the text.
    pub(crate) fn prompt(&mut self, prompt: &str) -> Result<(), Ending> {
        match self.notes {
            Notes::WithText => self.text(prompt),
            Notes::Apart => self.note(prompt),
            Notes::Nowhere => Ok(()),
        }
    }

    /// Completes the text's last line on a terminal; elsewhere the text stays as it was generated.
    pub(crate) fn end_text(&mut self) -> Result<(), Ending> {
        if self.terminal && !self.line_ended { self.text("\n") } else { Ok(()) }
    }

    /// One or several lines about the run.
    pub(crate) fn note(&mut self, lines: &str) -> Result<(), Ending> {
        match self.notes {
            Notes::WithText => self.text(&format!("{lines}\n")),
            Notes::Apart => {
                self.aside(lines);
                Ok(())
            }
            Notes::Nowhere => Ok(()),
        }
    }

    /// One or several lines for standard error, wherever other notes go.
    pub(crate) fn aside(&mut self, lines: &str) {
        if self.notes != Notes::Nowhere {
            // The run does not depend on whether somebody reads these.
            let _ = writeln!(self.apart, "{lines}");
        }
    }

    /// For a dashboard: text and thinking in their pane, and among its logs what stands apart.
    #[cfg(feature = "dashboard")]
    pub(crate) fn on(handle: &Handle, notes: Notes) -> Self {
        let told = |update| Box::new(Told { handle: handle.clone(), update });
        let status = handle.clone();
        Self {
            thoughts: Some(told(Update::Thought)),
            loading: Some(Arc::new(move |text| status.tell(Update::Status(text)))),
            ..Self::to(told(Update::Text), told(Update::Log), notes, true)
        }
    }

    /// Tells how much is loaded: on standard error with a bar, which is invisible where that is no terminal.
    pub(crate) fn progress(&self) -> Progress {
        match &self.loading {
            Some(loading) => Progress { bar: ProgressBar::hidden(), loading: Some(loading.clone()) },
            None => Progress { bar: self.bar(), loading: None },
        }
    }

    fn bar(&self) -> ProgressBar {
        if self.notes == Notes::Nowhere || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} ({bytes_per_sec})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }
}

type Loading = Arc<dyn Fn(String)>;

/// How much is loaded, as it changes.
pub(crate) struct Progress {
    bar: ProgressBar,
    loading: Option<Loading>,
}

impl Progress {
    /// So many bytes of all of them.
    pub(crate) fn at(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if let Some(loading) = &self.loading {
            loading(format!("loading: {}%", (done * 100).checked_div(total).unwrap_or(0)));
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
        if let Some(loading) = &self.loading {
            loading("preparing kernels".to_owned());
        }
    }
}

/// Writes updates for a dashboard.
#[cfg(feature = "dashboard")]
struct Told {
    handle: Handle,
    update: fn(String) -> Update,
}

#[cfg(feature = "dashboard")]
impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Formatting hands over whole pieces of strings.
        match (self.update)(String::from_utf8_lossy(bytes).into_owned()) {
            // Lines of a log end by themselves.
            Update::Log(line) if line == "\n" => {}
            update => self.handle.tell(update),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output for tests of other modules, and what it has written so far.
    pub(crate) fn written(notes: Notes, dims: bool) -> (Output, impl Fn() -> String) {
        let text = Shared::default();
        let output = Output::to(Box::new(text.clone()), Box::new(io::sink()), notes, true);
        let read = move || String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        (Output { dim: dims.then(|| Style::new().dimmed()), ..output }, read)
    }

    fn run(notes: Notes, terminal: bool) -> (String, String) {
        let (text, apart) = (Shared::default(), Shared::default());
        let mut output = Output::to(Box::new(text.clone()), Box::new(apart.clone()), notes, terminal);
        output.note("---").unwrap();
        output.prompt("Once").unwrap();
        output.text(" upon").unwrap();
        output.text(" a time").unwrap();
        output.end_text().unwrap();
        output.note("---").unwrap();
        let read = |shared: Shared| String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        (read(text), read(apart))
    }

    #[test]
    fn a_terminal_gets_everything_in_order() {
        assert_eq!(run(Notes::WithText, true), ("---\nOnce upon a time\n---\n".to_owned(), String::new()));
    }

    #[test]
    fn a_pipe_gets_the_text_alone() {
        assert_eq!(run(Notes::Apart, false), (" upon a time".to_owned(), "---\nOnce\n---\n".to_owned()));
    }

    #[test]
    fn quiet_leaves_the_text_alone() {
        assert_eq!(run(Notes::Nowhere, false), (" upon a time".to_owned(), String::new()));
        assert_eq!(run(Notes::Nowhere, true), (" upon a time\n".to_owned(), String::new()));
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::to(Box::new(Closed), Box::new(Closed), Notes::Apart, false);
        assert!(output.note("nobody reads this").is_ok());
        assert_eq!(output.text("nor this").unwrap_err().status(), 0);
    }
}
