//! Multiple-choice questions, a JSON object per line.

use crate::failure::Failure;
use crate::json_lines::JsonLines;
use serde::Deserialize;
use std::path::Path;

/// Questions that are held at once, which bounds the memory that a file can take.
const MOST: usize = 1_000_000;
const EXPECTED: &str = r#"{"context" or "question": TEXT, "choices": [TEXT, …], "answer": INDEX or LETTER}"#;

/// A question whose answer is known.
#[derive(Debug)]
pub(super) struct Question {
    /// The line that it stands in, from 1.
    pub(super) line: usize,
    pub(super) context: String,
    /// At least two, none empty.
    pub(super) choices: Vec<String>,
    /// An index into `choices`.
    pub(super) answer: usize,
}

#[derive(Deserialize)]
struct Given {
    #[serde(alias = "question")]
    context: String,
    choices: Vec<String>,
    answer: Answer,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Index(u64),
    Letter(String),
}

/// At most `limit` questions of a file. All are read before a model is loaded, so that a mistake in the last one costs no run.
pub(super) fn read(file: &Path, limit: usize) -> Result<Vec<Question>, Failure> {
    let mut lines = JsonLines::open(Some(file))?;
    let mut questions = Vec::new();
    while questions.len() < limit {
        let Some((line, given)) = lines.next::<Given>(EXPECTED)? else { break };
        if questions.len() == MOST {
            return Err(lines
                .wrong(line, &format!("expected at most {MOST} questions, found more"))
                .with_hint("cut the file into parts, or give --limit".to_owned()));
        }
        questions.push(question(line, given).map_err(|what| lines.wrong(line, &what))?);
    }
    if questions.is_empty() {
        return Err(Failure::failed(format!("{}: expected questions, found none", file.display())));
    }
    Ok(questions)
}

fn question(line: usize, given: Given) -> Result<Question, String> {
    let Given { context, choices, answer } = given;
    if choices.len() < 2 {
        return Err(format!("expected at least two choices, found {}", choices.len()));
    }
    if let Some(index) = choices.iter().position(String::is_empty) {
        return Err(format!("expected choices with a text, found none in choice {index}"));
    }
    let index = match &answer {
        Answer::Index(index) => usize::try_from(*index).ok(),
        Answer::Letter(letter) => match letter.as_bytes() {
            [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
            [letter @ b'a'..=b'z'] => Some(usize::from(letter - b'a')),
            _ => return Err(format!("expected an answer such as 0 or A, found `{letter}`")),
        },
    };
    match index.filter(|index| *index < choices.len()) {
        Some(answer) => Ok(Question { line, context, choices, answer }),
        None => {
            let found = match answer {
                Answer::Index(index) => index.to_string(),
                Answer::Letter(letter) => letter,
            };
            Err(format!("expected an answer among {} choices, found `{found}`", choices.len()))
        }
    }
}
