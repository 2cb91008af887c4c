//! Thinking, split from the answer while text streams.
//!
//! A reasoning model writes its thoughts and its answer into one stream, with marks between them. A [`ThinkingStyle`] says
//! which marks a model uses; a [`ThinkingSplit`] cuts the stream at them.

mod counts;
mod harmony;
mod style;
mod tags;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcripts;

pub use counts::ThinkingCounts;
pub use style::{TagPair, ThinkingStyle};

use counts::Sink;
use harmony::Harmony;
use tags::Tags;

/// A piece of a stream, or a border in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Thinking begins.
    Open,
    /// Text of the thinking.
    Thinking(String),
    /// Thinking has ended. Comes at the end of the stream too where it was left open.
    Close,
    /// Text of the answer.
    Answer(String),
    /// Marks, headers, and the newlines right behind marks: of the stream, but of neither text.
    Markup(String),
}

impl Segment {
    /// What the stream says here; empty for a border.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Thinking(text) | Self::Answer(text) | Self::Markup(text) => text,
            Self::Open | Self::Close => "",
        }
    }

    /// Adds `next` to `segments`; texts of one kind that follow each other become one.
    pub fn join(segments: &mut Vec<Self>, next: Self) {
        if !Self::extend(segments, &next) {
            segments.push(next);
        }
    }

    /// Adds `next` to the text of the last of `segments`, where that is of its kind: whether it was.
    pub fn extend(segments: &mut [Self], next: &Self) -> bool {
        match (segments.last_mut(), next) {
            (Some(Self::Thinking(text)), Self::Thinking(more))
            | (Some(Self::Answer(text)), Self::Answer(more))
            | (Some(Self::Markup(text)), Self::Markup(more)) => {
                text.push_str(more);
                true
            }
            _ => false,
        }
    }
}

/// Splits one stream into thinking and answer.
///
/// - Nothing is lost and nothing changes places: the texts of all [`Segment`]s, put together, are the stream.
/// - However the stream is cut into pushes, the segments are the same, up to where their texts are cut.
/// - Text is held back only while it may still become a mark or a header of one line, so in bounded memory. Time is linear in the
///   text.
/// - Every token counts to one of the two sides, so thinking and answer add up to what was generated. Marks count to the thinking
///   that they enclose, the header of a Harmony message counts to its message. A token that holds text of both sides counts to the
///   one that has more of its bytes, halves to the later.
/// - Tags nest. A closing tag where nothing is open is taken out and reported ([`ThinkingCounts::orphans`]); the text in front of
///   it went out as answer and stays answer. A tag right behind a quotation mark is text, so that a model can speak of tags.
///
/// ```
/// use ffai::text::{Segment, ThinkingSplit, ThinkingStyle};
///
/// let style = ThinkingStyle::detect("qwen3", &|token| ["<think>", "</think>"].contains(&token), None);
/// let mut split = ThinkingSplit::new(&style, "<|im_start|>assistant\n");
/// let mut segments = Vec::new();
/// for token in ["<think>", "\n", "One and one", ".", "\n", "</think>", "\n\n", "Two."] {
///     segments.extend(split.token(token));
/// }
/// segments.extend(split.finish());
/// assert_eq!(segments.iter().map(Segment::text).collect::<String>(), "<think>\nOne and one.\n</think>\n\nTwo.");
/// assert_eq!(segments.last(), Some(&Segment::Answer("Two.".to_owned())));
/// assert_eq!((split.counts().thinking_tokens, split.counts().answer_tokens), (6, 2));
/// ```
#[derive(Clone, Debug)]
pub struct ThinkingSplit {
    reader: Reader,
    /// What may be the beginning of a mark.
    held: String,
    sink: Sink,
}

/// What reads a stream between its marks.
#[derive(Clone, Debug)]
enum Reader {
    /// All of it is answer.
    Plain,
    Tags(Tags),
    Harmony(Harmony),
}

impl ThinkingSplit {
    /// For what a model of this style says after `prompt`: the last turn of the prompt, control tokens written out.
    ///
    /// The prompt is read as the stream is, so thinking that it opens and leaves open goes on, and [`ThinkingSplit::begin`] says so
    /// before there is a token.
    #[must_use]
    pub fn new(style: &ThinkingStyle, prompt: &str) -> Self {
        let reader = match style {
            ThinkingStyle::None => Reader::Plain,
            ThinkingStyle::Tags(pairs) => Reader::Tags(Tags::new(pairs.clone())),
            ThinkingStyle::Harmony => Reader::Harmony(Harmony::new()),
        };
        let mut split = Self { reader, held: String::new(), sink: Sink::default() };
        split.text(prompt);
        // A mark is in the prompt or in the stream: what only began to be one in the prompt is text of the prompt.
        let held = std::mem::take(&mut split.held);
        split.pass(&held);
        match &mut split.reader {
            Reader::Plain => {}
            Reader::Tags(tags) => tags.begin_stream(),
            Reader::Harmony(harmony) => harmony.begin_stream(),
        }
        split.sink = Sink::default();
        if split.is_thinking() {
            split.sink.open();
        }
        split
    }

    /// What is known before the first token: [`Segment::Open`] where the prompt left thinking open. Else it comes with the first
    /// text.
    pub fn begin(&mut self) -> Vec<Segment> {
        self.sink.take()
    }

    /// Takes a token, by the text that is certain once it is known (often empty). Counts it.
    pub fn token(&mut self, text: &str) -> Vec<Segment> {
        self.sink.token(text.len());
        self.text(text)
    }

    /// As [`ThinkingSplit::token`], telling of the segments one by one: their memory is used again.
    pub fn tell_token(&mut self, text: &str, told: &mut dyn FnMut(&Segment)) {
        self.sink.token(text.len());
        self.read(text);
        self.sink.tell(told);
    }

    /// Takes text that belongs to no token of its own, such as what a detokenizer or stop matcher gave out at its end.
    pub fn text(&mut self, text: &str) -> Vec<Segment> {
        self.read(text);
        self.sink.take()
    }

    fn read(&mut self, text: &str) {
        let mut whole = std::mem::take(&mut self.held);
        whole.push_str(text);
        let mut rest = whole.as_str();
        loop {
            match find(rest, self.marks()) {
                Found::Mark { at, which } => {
                    let mark = self.marks()[which];
                    self.pass(&rest[..at]);
                    self.mark(mark);
                    rest = &rest[at + mark.len()..];
                }
                Found::Beginning { at } => {
                    self.pass(&rest[..at]);
                    rest = &rest[at..];
                    break;
                }
                Found::Nothing => {
                    self.pass(rest);
                    rest = "";
                    break;
                }
            }
        }
        whole.drain(..whole.len() - rest.len());
        self.held = whole;
    }

    /// Ends the stream: gives out what was held back, and closes thinking that was left open.
    pub fn finish(&mut self) -> Vec<Segment> {
        let held = std::mem::take(&mut self.held);
        self.pass(&held);
        match &mut self.reader {
            Reader::Plain => {}
            Reader::Tags(tags) => tags.finish(&mut self.sink),
            Reader::Harmony(harmony) => harmony.finish(&mut self.sink),
        }
        self.sink.finish();
        self.sink.take()
    }

    /// Whether what comes next is thinking, as far as is known.
    #[must_use]
    pub fn is_thinking(&self) -> bool {
        match &self.reader {
            Reader::Plain => false,
            Reader::Tags(tags) => tags.is_thinking(),
            Reader::Harmony(harmony) => harmony.is_thinking(),
        }
    }

    /// What was counted so far; complete after [`ThinkingSplit::finish`].
    #[must_use]
    pub fn counts(&self) -> ThinkingCounts {
        self.sink.counts()
    }

    /// Marks that mean something where the stream stands.
    fn marks(&self) -> &[&'static str] {
        match &self.reader {
            Reader::Plain => &[],
            Reader::Tags(tags) => tags.marks(),
            Reader::Harmony(_) => harmony::MARKS,
        }
    }

    /// Text without a mark.
    fn pass(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match &mut self.reader {
            Reader::Plain => self.sink.answer(text),
            Reader::Tags(tags) => tags.text(text, &mut self.sink),
            Reader::Harmony(harmony) => harmony.text(text, &mut self.sink),
        }
    }

    fn mark(&mut self, mark: &'static str) {
        match &mut self.reader {
            Reader::Plain => {}
            Reader::Tags(tags) => tags.mark(mark, &mut self.sink),
            Reader::Harmony(harmony) => harmony.mark(mark, &mut self.sink),
        }
    }
}

enum Found {
    Mark { at: usize, which: usize },
    Beginning { at: usize },
    Nothing,
}

/// The leftmost mark in `text`, or a beginning of one at its end. Marks begin with an ASCII character and none is the beginning of
/// another, so there is nothing to choose between.
fn find(text: &str, marks: &[&str]) -> Found {
    for (at, byte) in text.bytes().enumerate() {
        if !marks.iter().any(|mark| mark.as_bytes()[0] == byte) {
            continue;
        }
        let rest = &text[at..];
        if let Some(which) = marks.iter().position(|mark| rest.starts_with(mark)) {
            return Found::Mark { at, which };
        }
        if marks.iter().any(|mark| mark.starts_with(rest)) {
            return Found::Beginning { at };
        }
    }
    Found::Nothing
}
