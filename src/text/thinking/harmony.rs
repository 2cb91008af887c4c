//! The Harmony format of gpt-oss: a stream of messages, each with a header that names its channel.
//!
//! `<|start|>assistant<|channel|>analysis<|message|>…<|end|>`; prompts end with `<|start|>assistant`, so a stream begins in the
//! middle of a header. `analysis` is thinking. `final` is the answer, and so is `commentary`: it carries what is said to the user
//! before tools are called, and the calls themselves, whose header (a [`Segment::Markup`](super::Segment::Markup)) names their
//! recipient. Source: OpenAI, "Harmony response format" (`docs/format.md` of openai/harmony).
//!
//! A header is one line of at most [`MOST_HEADER`] bytes. What does not become one is answer, so that a model that ignores the
//! format is read all the same.

use super::counts::{Side, Sink};

const START: &str = "<|start|>";
const CHANNEL: &str = "<|channel|>";
const CONSTRAIN: &str = "<|constrain|>";
const MESSAGE: &str = "<|message|>";

/// Every mark of the format. `<|return|>` and `<|call|>` end a message too; as a rule they end the generation.
pub(super) const MARKS: &[&str] = &[START, CHANNEL, CONSTRAIN, MESSAGE, "<|end|>", "<|return|>", "<|call|>"];

/// Bytes of a header. The longest of one with a tool are its marks and the tool's name, which may have 64.
const MOST_HEADER: usize = 256;

#[derive(Clone, Debug)]
pub(super) enum Harmony {
    /// Not in a message.
    Between,
    Header(Header),
    Message(Side),
}

/// A header that is not complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    /// Marks, and the words behind them, as far as they are of the stream.
    parts: Vec<Part>,
    /// The words behind the channel mark.
    channel: String,
    in_channel: bool,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Part {
    Mark(&'static str),
    Words(String),
}

impl Harmony {
    pub(super) fn new() -> Self {
        Self::Between
    }

    pub(super) fn is_thinking(&self) -> bool {
        matches!(self, Self::Message(Side::Thinking))
    }

    pub(super) fn begin_stream(&mut self) {
        if let Self::Header(header) = self {
            header.parts.clear();
        }
    }

    pub(super) fn text(&mut self, text: &str, sink: &mut Sink) {
        match self {
            Self::Between | Self::Message(Side::Answer) => sink.answer(text),
            Self::Message(Side::Thinking) => sink.thinking(text),
            Self::Header(header) => {
                header.words(text);
                if header.bytes > MOST_HEADER || text.contains('\n') {
                    self.give_up(sink);
                }
            }
        }
    }

    pub(super) fn mark(&mut self, mark: &'static str, sink: &mut Sink) {
        match (mark, &mut *self) {
            (CHANNEL | CONSTRAIN, Self::Header(header)) => {
                header.mark(mark);
                if header.bytes > MOST_HEADER {
                    self.give_up(sink);
                }
            }
            (MESSAGE, Self::Header(header)) => {
                header.mark(mark);
                let side = header.side();
                if side == Side::Thinking {
                    sink.open();
                }
                header.markup(side, sink);
                *self = Self::Message(side);
            }
            (START | CHANNEL, _) => {
                self.end(sink);
                let mut header = Header::default();
                header.mark(mark);
                *self = Self::Header(header);
            }
            (MESSAGE | CONSTRAIN, state) => {
                sink.orphan();
                sink.markup(mark, state.side());
            }
            (_, state) => {
                if let Self::Between = state {
                    sink.orphan();
                }
                self.give_up(sink);
                sink.markup(mark, self.side());
                self.end(sink);
            }
        }
    }

    pub(super) fn finish(&mut self, sink: &mut Sink) {
        match self {
            // A header that the end of the stream cut off is still one, but words alone were never a header's.
            Self::Header(header) if header.parts.iter().any(|part| matches!(part, Part::Mark(_))) => {
                header.markup(Side::Answer, sink);
                *self = Self::Between;
            }
            _ => self.give_up(sink),
        }
    }

    /// The side that a mark without a header counts to.
    fn side(&self) -> Side {
        match self {
            Self::Message(side) => *side,
            Self::Between | Self::Header(_) => Side::Answer,
        }
    }

    /// What was taken for a header is none: its words are answer.
    fn give_up(&mut self, sink: &mut Sink) {
        let Self::Header(header) = self else { return };
        for part in header.parts.drain(..) {
            match part {
                Part::Mark(mark) => sink.markup(mark, Side::Answer),
                Part::Words(words) => sink.answer(&words),
            }
        }
        *self = Self::Between;
    }

    /// Ends what was going on.
    fn end(&mut self, sink: &mut Sink) {
        self.give_up(sink);
        if self.is_thinking() {
            sink.close();
        }
        *self = Self::Between;
    }
}

impl Header {
    fn mark(&mut self, mark: &'static str) {
        self.bytes += mark.len();
        self.parts.push(Part::Mark(mark));
        self.in_channel = mark == CHANNEL;
        if self.in_channel {
            self.channel.clear();
        }
    }

    fn words(&mut self, text: &str) {
        self.bytes += text.len();
        if self.in_channel {
            self.channel.push_str(text);
        }
        match self.parts.last_mut() {
            Some(Part::Words(words)) => words.push_str(text),
            _ => self.parts.push(Part::Words(text.to_owned())),
        }
    }

    fn side(&self) -> Side {
        match self.channel.split_whitespace().next() {
            Some("analysis") => Side::Thinking,
            _ => Side::Answer,
        }
    }

    fn markup(&mut self, side: Side, sink: &mut Sink) {
        for part in self.parts.drain(..) {
            match part {
                Part::Mark(mark) => sink.markup(mark, side),
                Part::Words(words) => sink.markup(&words, side),
            }
        }
    }
}
