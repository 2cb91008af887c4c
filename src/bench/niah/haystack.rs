//! A long text with one fact in it, and a question for the fact.

use super::METHOD;
use crate::bench::Error;
use crate::bench::filler::Filler;
use crate::bench::runner::BenchRunner;
use crate::graph::Rng;
use crate::text::{Bos, ChatInput, Message};

const COLOURS: [&str; 8] = ["amber", "crimson", "indigo", "olive", "scarlet", "silver", "teal", "violet"];
const THINGS: [&str; 8] = ["anchor", "beacon", "falcon", "harp", "lantern", "meadow", "pebble", "willow"];
const TOWNS: [&str; 8] = ["Varnholm", "Estmere", "Quillby", "Ordavale", "Tresk", "Lindow", "Harrowgate", "Pellin"];

/// A prompt with a needle.
#[derive(Debug)]
pub(super) struct Haystack {
    /// Tokens that the prompt was made for; it has as many, or a word less.
    pub(super) context: u32,
    pub(super) depth: f64,
    /// What is to be found.
    pub(super) secret: String,
    pub(super) prompt: Vec<u32>,
}

/// Words around a needle, and how they become a prompt.
struct Notes<'n> {
    words: &'n [&'n str],
    needle: &'n str,
    question: &'n str,
    depth: f64,
}

impl Haystack {
    /// For a prompt of at most `context` tokens, by the chat template where the model has one.
    ///
    /// # Errors
    /// The needle and its question alone have more tokens.
    pub(super) fn new(runner: &BenchRunner<'_>, context: u32, depth: f64) -> Result<Self, Error> {
        let seed = u64::from(context) << 16 | (depth * 1e4) as u64;
        let mut random = Rng(seed);
        let mut pick = |list: &[&'static str; 8]| list[random.below(8) as usize];
        let (colour, thing, town) = (pick(&COLOURS), pick(&THINGS), pick(&TOWNS));
        let secret = format!("{colour}-{thing}-{}", 1000 + random.below(9000));
        let needle = format!("The secret password of {town} is {secret}.");
        let question = format!("What is the secret password of {town}? Answer with the password alone.");

        // Tokens of prose have four or five bytes: with eight for each there are words left over.
        let mut story = Filler::new(seed);
        let mut text = String::new();
        while text.len() < context as usize * 8 {
            text.extend(story.next());
            text.push(' ');
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let tokens = |count: usize| {
            let notes = Notes { words: &words[..count], needle: &needle, question: &question, depth };
            notes.prompt(runner)
        };
        // The most words that fit: prompts grow with them.
        let (mut fits, mut over) = (0, words.len() + 1);
        let mut prompt = tokens(0)?;
        if prompt.len() > context as usize {
            let expected = format!("at least {} tokens, which needle and question have alone", prompt.len());
            return Err(Error::Option { option: "--ctx", expected, found: context.to_string() });
        }
        while over - fits > 1 {
            let middle = (fits + over) / 2;
            let longer = tokens(middle)?;
            if longer.len() <= context as usize {
                (fits, prompt) = (middle, longer);
            } else {
                over = middle;
            }
        }
        Ok(Self { context, depth, secret, prompt })
    }
}

impl Notes<'_> {
    /// The text: the needle stands behind the last sentence that ends within `depth` of the words.
    fn text(&self) -> String {
        let count = self.words.len();
        let within = ((count as f64 * self.depth).round() as usize).min(count);
        let ends = |&at: &usize| at == 0 || at == count || self.words[at - 1].ends_with('.');
        let (before, behind) = self.words.split_at((0..=within).rev().find(ends).unwrap_or(0));
        let notes = [before, &[self.needle], behind].concat().join(" ");
        format!("Read these notes.\n\n{notes}\n\n{}", self.question)
    }

    fn prompt(&self, runner: &BenchRunner<'_>) -> Result<Vec<u32>, Error> {
        match runner.template(METHOD) {
            Ok(template) => {
                let messages = [Message::new("user", self.text())];
                let text = template.render(&ChatInput::new(&messages)).map_err(crate::Error::from)?;
                runner.encode(&text, Bos::Never)
            }
            Err(_) => runner.encode(&format!("{}\n\nPassword:", self.text()), Bos::AsModel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_stands_between_sentences_at_its_depth() {
        let words = ["One", "two.", "Three", "four.", "Five", "six.", "Se"];
        let text = |depth| Notes { words: &words, needle: "N.", question: "Q?", depth }.text();
        let whole = |notes: &str| format!("Read these notes.\n\n{notes}\n\nQ?");
        assert_eq!(text(0.0), whole("N. One two. Three four. Five six. Se"));
        assert_eq!(text(0.5), whole("One two. Three four. N. Five six. Se"));
        assert_eq!(text(1.0), whole("One two. Three four. Five six. Se N."));
        assert_eq!(Notes { words: &[], needle: "N.", question: "Q?", depth: 0.3 }.text(), whole("N."));
    }
}
