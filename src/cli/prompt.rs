//! Where the prompt comes from.

use super::ending::Ending;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

/// The prompt: what was given, else what a file or standard input holds.
pub(crate) fn read(given: Option<String>, file: Option<&Path>) -> Result<String, Ending> {
    let prompt = match (given, file) {
        (Some(prompt), _) => prompt,
        (None, Some(file)) if file.as_os_str() != "-" => {
            let bytes = std::fs::read(file)
                .map_err(|source| Ending::from(ffai::Error::File { path: file.to_owned(), source }))?;
            text(bytes, &file.display().to_string())?
        }
        (None, None) if std::io::stdin().is_terminal() => {
            return Err(Ending::usage("there is no prompt".to_owned(), ffai::Error::EmptyPrompt.hint()));
        }
        (None, _) => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Ending::failed(format!("cannot read standard input: {error}"), None))?;
            text(bytes, "standard input")?
        }
    };
    if prompt.is_empty() { Err(ffai::Error::EmptyPrompt.into()) } else { Ok(prompt) }
}

/// The last newline belongs to the file, not to the text: editors and `echo` put it there.
fn text(bytes: Vec<u8>, from: &str) -> Result<String, Ending> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Ending::failed(format!("{from}: expected UTF-8 text, found another byte at {at}"), None)
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_newline_is_not_part_of_the_prompt() {
        assert_eq!(text(b"a\n\n".to_vec(), "x").unwrap(), "a\n");
        assert_eq!(text(b"a\r\n".to_vec(), "x").unwrap(), "a");
        assert_eq!(text(b" a ".to_vec(), "x").unwrap(), " a ");
    }

    #[test]
    fn other_encodings_are_refused_with_the_place() {
        let Err(Ending::Failed { message, .. }) = text(b"caf\xe9".to_vec(), "notes.txt") else { panic!() };
        assert_eq!(message, "notes.txt: expected UTF-8 text, found another byte at 3");
    }
}
