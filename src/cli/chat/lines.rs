//! Where lines come from: a terminal, with editing and a history, or a pipe.

use super::super::ending::Ending;
use ffai::weights;
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::PathBuf;

/// The longest line that is taken from a pipe.
const MOST_BYTES: u64 = 64 << 20;
/// Lines that the history keeps.
const HISTORY: usize = 1000;

/// A line, or why there is none.
pub(super) enum Line {
    Text(String),
    /// Ctrl-C: the line that was begun is given up.
    GivenUp,
    End,
}

/// The lines of a user.
pub(super) enum Lines {
    /// A person types them.
    Terminal { editor: Box<DefaultEditor>, history: Option<PathBuf> },
    /// A person types them in a dashboard.
    #[cfg(feature = "dashboard")]
    Dashboard(ffai::dashboard::Handle),
    /// A program or a file sends them; how many there were.
    Pipe(usize),
}

impl Lines {
    /// Edits lines where both ends are a terminal.
    pub(super) fn open(with_history: bool) -> Result<Self, Ending> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Self::Pipe(0));
        }
        let failed = |error| Ending::failed(format!("cannot edit lines on this terminal: {error}"), None);
        let mut editor = DefaultEditor::with_config(Config::default()).map_err(failed)?;
        editor.set_max_history_size(HISTORY).map_err(failed)?;
        let history = with_history.then(history_file).flatten();
        if let Some(path) = &history {
            // There is none before the first line was typed.
            let _ = editor.load_history(path);
        }
        Ok(Self::Terminal { editor: Box::new(editor), history })
    }

    /// Whether a person types.
    pub(super) fn interactive(&self) -> bool {
        !matches!(self, Self::Pipe(_))
    }

    /// Whether that is in a dashboard, and nothing may be printed.
    pub(super) fn on_dashboard(&self) -> bool {
        !matches!(self, Self::Terminal { .. } | Self::Pipe(_))
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Result<Line, Ending> {
        match self {
            #[cfg(feature = "dashboard")]
            Self::Dashboard(handle) => Ok(match handle.next_line() {
                ffai::dashboard::Typed::Line(text) => Line::Text(text),
                ffai::dashboard::Typed::End => Line::End,
            }),
            Self::Pipe(count) => {
                *count += 1;
                piped(*count)
            }
            Self::Terminal { editor, history } => {
                let mut text = match typed(editor, "> ")? {
                    Line::Text(text) => text,
                    other => return Ok(other),
                };
                while text.ends_with('\\') {
                    text.pop();
                    text.push('\n');
                    match typed(editor, "… ")? {
                        Line::Text(more) => text.push_str(&more),
                        other => return Ok(other),
                    }
                }
                remember(editor, history, &text);
                Ok(Line::Text(text))
            }
        }
    }
}

fn typed(editor: &mut DefaultEditor, prompt: &str) -> Result<Line, Ending> {
    match editor.readline(prompt) {
        Ok(text) => Ok(Line::Text(text)),
        Err(ReadlineError::Interrupted) => Ok(Line::GivenUp),
        Err(ReadlineError::Eof) => Ok(Line::End),
        // One that the editor has no use for.
        Err(ReadlineError::Signal(_)) => Ok(Line::GivenUp),
        Err(error) => Err(Ending::failed(format!("cannot read from the terminal: {error}"), None)),
    }
}

/// Adds a line to the history and its file. A file that cannot be written is given up: the conversation matters more.
fn remember(editor: &mut DefaultEditor, history: &mut Option<PathBuf>, text: &str) {
    if text.trim().is_empty() || !editor.add_history_entry(text).unwrap_or(false) {
        return;
    }
    let Some(path) = history else { return };
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    if folder.map_err(ReadlineError::from).and_then(|()| editor.append_history(path)).is_err() {
        *history = None;
    }
}

/// In the folder where the default model lies, too.
fn history_file() -> Option<PathBuf> {
    Some(weights::default_model()?.with_file_name("chat_history"))
}

/// The next line of standard input.
fn piped(number: usize) -> Result<Line, Ending> {
    let refused = |what: String| Ending::failed(format!("standard input, line {number}: {what}"), None);
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_BYTES + 1).read_until(b'\n', &mut bytes);
    let read = read.map_err(|error| refused(format!("cannot be read: {error}")))?;
    if read == 0 {
        return Ok(Line::End);
    }
    if read as u64 > MOST_BYTES {
        return Err(refused(format!("expected at most {MOST_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        refused(format!("expected UTF-8 text, found another byte at {at}"))
    })?;
    Ok(Line::Text(text.trim_end_matches(['\n', '\r']).to_owned()))
}
