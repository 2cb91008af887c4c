//! Files of a JSON object per line, read line by line, with the place of what is wrong in them.

use crate::failure::Failure;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::Path;

/// The longest line that is read.
const LONGEST: u64 = 16 << 20;

/// The lines of a file or of standard input. Empty lines are passed over.
pub(crate) struct JsonLines {
    from: String,
    input: Box<dyn BufRead>,
    line: usize,
}

impl JsonLines {
    /// Opens a file, or standard input where there is none.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let (from, input): (String, Box<dyn BufRead>) = match file {
            Some(path) => {
                let input =
                    std::fs::File::open(path).map_err(|source| ffai::Error::File { path: path.to_owned(), source })?;
                (path.display().to_string(), Box::new(BufReader::new(input)))
            }
            None if std::io::stdin().is_terminal() => {
                return Err(Failure::usage("there are no lines: give --file or standard input".to_owned()));
            }
            None => ("standard input".to_owned(), Box::new(BufReader::new(std::io::stdin()))),
        };
        Ok(Self { from, input, line: 0 })
    }

    /// A failure about a line that was read, by its number.
    pub(crate) fn wrong(&self, line: usize, what: &str) -> Failure {
        Failure::failed(format!("{}: line {line}: {what}", self.from))
    }

    /// The next object with the number of its line, from 1; `None` at the end.
    pub(crate) fn next<T: DeserializeOwned>(&mut self, expected: &str) -> Result<Option<(usize, T)>, Failure> {
        loop {
            self.line += 1;
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(LONGEST + 1).read_until(b'\n', &mut bytes);
            read.map_err(|error| self.wrong(self.line, &format!("cannot be read: {error}")))?;
            if bytes.len() as u64 > LONGEST {
                return Err(self.wrong(self.line, &format!("expected at most {} MiB, found more", LONGEST >> 20)));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            let object = serde_json::from_slice(&bytes)
                .map_err(|error| self.wrong(self.line, &format!("expected {expected}, found: {error}")))?;
            return Ok(Some((self.line, object)));
        }
    }
}
