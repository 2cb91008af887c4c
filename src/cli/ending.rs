//! How a run ends other than well.

use ffai::graph::ExecuteError;
use std::io::{self, Write};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It failed: exit status, what happened, what to do next.
    Failed { status: u8, message: String, hint: Option<String> },
    /// The user interrupted it.
    Interrupted,
    /// Nobody reads what it prints any more, which is how `| head` ends a program: no failure.
    Closed,
}

impl Ending {
    /// The command line was wrong.
    pub(crate) fn usage(message: String, hint: Option<String>) -> Self {
        Self::Failed { status: 2, message, hint }
    }

    /// The run failed.
    pub(crate) fn failed(message: String, hint: Option<String>) -> Self {
        Self::Failed { status: 1, message, hint }
    }

    /// A write to standard output failed.
    pub(crate) fn write(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::failed(format!("cannot write to standard output: {error}"), None),
        }
    }

    /// What the shell gets.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Failed { status, .. } => *status,
            Self::Interrupted => 130,
            Self::Closed => 0,
        }
    }

    /// Tells the user.
    pub(crate) fn explain(&self, to: &mut dyn Write) {
        if let Self::Failed { message, hint, .. } = self {
            // There is nobody left to tell when this fails.
            let _ = writeln!(to, "error: {message}");
            if let Some(hint) = hint {
                let _ = writeln!(to, "hint: {hint}");
            }
        }
    }
}

impl From<ffai::doctor::Error> for Ending {
    fn from(error: ffai::doctor::Error) -> Self {
        Self::failed(error.to_string(), error.hint())
    }
}

impl From<ffai::Error> for Ending {
    fn from(error: ffai::Error) -> Self {
        let status = match error {
            ffai::Error::Option { .. } | ffai::Error::Device(ExecuteError::Variant(_)) => 2,
            _ => 1,
        };
        Self::Failed { status, message: error.to_string(), hint: error.hint() }
    }
}

impl From<ffai::weights::Error> for Ending {
    fn from(error: ffai::weights::Error) -> Self {
        ffai::Error::from(error).into()
    }
}

impl From<ffai::text::Error> for Ending {
    fn from(error: ffai::text::Error) -> Self {
        ffai::Error::from(error).into()
    }
}
