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
    /// Tokens that the prompt was made for; it has as many, or a sentence less.
    pub(super) context: u32,
    pub(super) depth: f64,
    /// What is to be found.
    pub(super) secret: String,
    pub(super) prompt: Vec<u32>,
}

/// Sentences around a needle, and how they become a prompt.
struct Notes<'n> {
    sentences: &'n [String],
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

        // A sentence has more bytes than tokens, so as many bytes as there are to be tokens are enough, and more.
        let mut story = Filler::new(seed);
        let mut sentences: Vec<String> = Vec::new();
        let mut bytes = 0;
        while bytes < context as usize * 8 {
            let sentence = story.next().unwrap_or_default();
            bytes += sentence.len();
            sentences.push(sentence);
        }
        let tokens = |count: usize| {
            let notes = Notes { sentences: &sentences[..count], needle: &needle, question: &question, depth };
            notes.prompt(runner)
        };
        // The most sentences that fit: prompts grow with them.
        let (mut fits, mut over) = (0, sentences.len() + 1);
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
    /// The text: the needle stands behind `depth` of the sentences.
    fn text(&self) -> String {
        let at = (self.sentences.len() as f64 * self.depth).round() as usize;
        let (before, behind) = self.sentences.split_at(at.min(self.sentences.len()));
        let sentences = before.iter().map(String::as_str).chain([self.needle]).chain(behind.iter().map(String::as_str));
        let notes = sentences.collect::<Vec<_>>().join(" ");
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
