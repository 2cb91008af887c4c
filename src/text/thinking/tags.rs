//! Thinking between an opening and a closing tag.
//!
//! Tags nest: a tag inside thinking is text of it, and thinking ends when as many were closed as were opened. Only the pair that
//! was opened counts inside; others are text. Two opening tags open nothing:
//!
//! - one right behind a quotation mark or a backtick. Asked about `<think>`, a model writes of it in quotes, and nothing would
//!   ever close that. (A closing tag inside thinking counts even so: a thought may end with a quotation.)
//! - one with which a model repeats the tag that its prompt ended with.

use super::counts::{Side, Sink};
use super::style::TagPair;

/// What may stand in front of a tag that is spoken of.
const QUOTES: &[char] = &['`', '"', '\'', '“', '‘', '«', '„'];

#[derive(Clone, Debug)]
pub(super) struct Tags {
    pairs: Vec<TagPair>,
    /// Opening and closing tag of each pair.
    marks: Vec<&'static str>,
    inside: Option<Inside>,
    /// Right behind a tag: newlines belong to it.
    behind_tag: bool,
    latest: Option<char>,
}

/// Where in thinking the stream stands.
#[derive(Clone, Copy, Debug)]
struct Inside {
    pair: usize,
    depth: u64,
    /// How much of the pair's label was seen; `None` when it is past.
    label: Option<Seen>,
    /// The prompt opened it, and nothing was said since.
    repeatable: bool,
}

/// Bytes of a label.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Those that the prompt held, and so are none of the stream's.
    in_prompt: usize,
    in_all: usize,
}

impl Tags {
    pub(super) fn new(pairs: Vec<TagPair>) -> Self {
        let marks = pairs.iter().flat_map(|pair| [pair.open, pair.close]).collect();
        Self { pairs, marks, inside: None, behind_tag: false, latest: None }
    }

    pub(super) fn is_thinking(&self) -> bool {
        self.inside.is_some()
    }

    pub(super) fn begin_stream(&mut self) {
        if let Some(inside) = &mut self.inside {
            inside.repeatable = self.behind_tag;
            if let Some(seen) = &mut inside.label {
                seen.in_prompt = seen.in_all;
            }
        }
    }

    pub(super) fn marks(&self) -> &[&'static str] {
        match self.inside {
            Some(Inside { pair, .. }) => &self.marks[2 * pair..2 * pair + 2],
            None => &self.marks,
        }
    }

    pub(super) fn text(&mut self, text: &str, sink: &mut Sink) {
        self.latest = text.chars().next_back();
        let text = self.without_label(text, sink);
        let rest = if self.behind_tag { text.trim_start_matches(['\n', '\r']) } else { text };
        let side = if self.inside.is_some() { Side::Thinking } else { Side::Answer };
        sink.markup(&text[..text.len() - rest.len()], side);
        if rest.is_empty() {
            return;
        }
        self.behind_tag = false;
        match &mut self.inside {
            Some(inside) => {
                inside.repeatable = false;
                sink.thinking(rest);
            }
            None => sink.answer(rest),
        }
    }

    /// Takes the label that follows an opening tag off `text`, and gives it out when it is complete or turns out to be none.
    fn without_label<'a>(&mut self, text: &'a str, sink: &mut Sink) -> &'a str {
        let Some(inside) = &mut self.inside else { return text };
        let Some(seen) = inside.label else { return text };
        let label = self.pairs[inside.pair].label;
        let more = label.bytes().skip(seen.in_all).zip(text.bytes()).take_while(|(a, b)| a == b).count();
        if seen.in_all + more == label.len() {
            inside.label = None;
            sink.markup(&label[seen.in_prompt..], Side::Thinking);
        } else if more == text.len() {
            inside.label = Some(Seen { in_all: seen.in_all + more, ..seen });
        } else {
            self.end_label(sink);
            return text;
        }
        &text[more..]
    }

    /// No more of a label comes. One that lacks no more than its newline is one.
    fn end_label(&mut self, sink: &mut Sink) {
        let Some(inside) = &mut self.inside else { return };
        let Some(seen) = inside.label.take() else { return };
        let label = self.pairs[inside.pair].label;
        let text = &label[seen.in_prompt..seen.in_all];
        if label[seen.in_all..].trim_end().is_empty() {
            sink.markup(text, Side::Thinking);
        } else if seen.in_all > 0 {
            self.behind_tag = false;
            inside.repeatable = false;
            sink.thinking(text);
        }
    }

    pub(super) fn mark(&mut self, mark: &'static str, sink: &mut Sink) {
        self.end_label(sink);
        let quoted = self.latest.is_some_and(|latest| QUOTES.contains(&latest));
        self.latest = mark.chars().next_back();
        let found = self.pairs.iter().enumerate().find(|(_, pair)| pair.open == mark || pair.close == mark);
        let Some((pair, &TagPair { open, label, .. })) = found else { return };
        let opens = mark == open;
        match &mut self.inside {
            None if quoted => {
                self.behind_tag = false;
                sink.answer(mark);
            }
            None if opens => {
                sink.open();
                sink.markup(mark, Side::Thinking);
                let label = (!label.is_empty()).then(Seen::default);
                self.inside = Some(Inside { pair, depth: 1, label, repeatable: false });
                self.behind_tag = true;
            }
            None => {
                sink.orphan();
                sink.markup(mark, Side::Answer);
                self.behind_tag = true;
            }
            Some(inside) if opens && inside.repeatable => {
                inside.repeatable = false;
                inside.label = (!label.is_empty()).then(Seen::default);
                sink.markup(mark, Side::Thinking);
            }
            Some(inside) if !opens && inside.depth == 1 => {
                sink.markup(mark, Side::Thinking);
                sink.close();
                self.inside = None;
                self.behind_tag = true;
            }
            Some(inside) => {
                match (opens, quoted) {
                    (true, true) => {}
                    (true, false) => inside.depth += 1,
                    (false, _) => inside.depth -= 1,
                }
                inside.repeatable = false;
                self.behind_tag = false;
                sink.thinking(mark);
            }
        }
    }

    pub(super) fn finish(&mut self, sink: &mut Sink) {
        self.end_label(sink);
    }
}
