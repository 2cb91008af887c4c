//! Why a tool stopped.

use std::io::{self, Write};

/// A message, what to do next, and the exit status: 1 the run failed, 2 the command line was wrong, 0 nobody reads on. Without a
/// message, standard output has said it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// The command line was wrong.
    pub(crate) fn usage(message: String) -> Self {
        Self { status: 2, message, hint: None }
    }

    /// The run failed.
    pub(crate) fn failed(message: String) -> Self {
        Self { status: 1, message, hint: None }
    }

    /// The tool ran, printed what it found, and that is a failure to whoever asked.
    pub(crate) fn found(status: u8) -> Self {
        Self { status, message: String::new(), hint: None }
    }

    /// The same with what to do next.
    pub(crate) fn with_hint(self, hint: String) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// Standard output could not be written. A closed pipe, as `| head` leaves it, is no failure.
    pub(crate) fn write(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { status: 0, message: String::new(), hint: None },
            _ => Self::failed(format!("cannot write to standard output: {error}")),
        }
    }

    pub(crate) fn explain(&self, to: &mut dyn Write) -> io::Result<()> {
        if self.message.is_empty() {
            return Ok(());
        }
        writeln!(to, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => writeln!(to, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ffai::Error> for Failure {
    fn from(error: ffai::Error) -> Self {
        let status = match error {
            ffai::Error::Option { .. } => 2,
            _ => 1,
        };
        Self { status, message: error.to_string(), hint: error.hint() }
    }
}

impl From<ffai::weights::Error> for Failure {
    fn from(error: ffai::weights::Error) -> Self {
        ffai::Error::from(error).into()
    }
}

impl From<ffai::text::Error> for Failure {
    fn from(error: ffai::text::Error) -> Self {
        ffai::Error::from(error).into()
    }
}
