//! Where segments are collected, and tokens counted to their sides.

use super::Segment;
use std::collections::VecDeque;

/// What a stream held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThinkingCounts {
    /// Tokens of the thinking, its marks included.
    pub thinking_tokens: usize,
    /// All other tokens.
    pub answer_tokens: usize,
    /// How often thinking began, in the prompt or in the stream.
    pub opened: usize,
    /// Marks that fit nothing: a closing tag where nothing is open, the end of a message that has not begun.
    ///
    /// Text in front of such a mark has gone out as answer by then, and stays answer.
    pub orphans: usize,
    /// Whether the stream ended within thinking.
    pub unclosed: bool,
}

/// One of the two sides of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    Thinking,
    #[default]
    Answer,
}

/// A token of which some text has not gone out yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    bytes: usize,
    thinking: usize,
    answer: usize,
}

/// Takes what a reader gives out.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink {
    segments: Vec<Segment>,
    /// Strings of segments that were told, to be filled again.
    spare: Vec<String>,
    counts: ThinkingCounts,
    /// In the order of the stream. Each holds at least a byte that is held back, so there are only so many.
    pending: VecDeque<Pending>,
    /// The side of the latest byte.
    side: Side,
    open: bool,
}

impl Sink {
    pub(super) fn open(&mut self) {
        self.counts.opened += 1;
        self.open = true;
        self.side = Side::Thinking;
        self.segments.push(Segment::Open);
    }

    pub(super) fn close(&mut self) {
        self.open = false;
        self.side = Side::Answer;
        self.segments.push(Segment::Close);
    }

    pub(super) fn thinking(&mut self, text: &str) {
        self.give(text, Side::Thinking, Segment::Thinking);
    }

    pub(super) fn answer(&mut self, text: &str) {
        self.give(text, Side::Answer, Segment::Answer);
    }

    /// Text that counts to `side` and is not shown.
    pub(super) fn markup(&mut self, text: &str, side: Side) {
        self.give(text, side, Segment::Markup);
    }

    pub(super) fn orphan(&mut self) {
        self.counts.orphans += 1;
    }

    fn give(&mut self, text: &str, side: Side, kind: fn(String) -> Segment) {
        if !text.is_empty() {
            let mut owned = self.spare.pop().unwrap_or_default();
            owned.push_str(text);
            let next = kind(owned);
            if !Segment::extend(&mut self.segments, &next) {
                self.segments.push(next);
            } else {
                self.keep(next);
            }
            self.charge(text.len(), side);
        }
    }

    /// A token of so many bytes comes. One without text, which may be half a character, counts to the side on which the stream
    /// stands.
    pub(super) fn token(&mut self, bytes: usize) {
        match bytes {
            0 => self.count(self.side),
            _ => self.pending.push_back(Pending { bytes, thinking: 0, answer: 0 }),
        }
    }

    /// Bytes go out, in the order in which their tokens came.
    fn charge(&mut self, mut bytes: usize, side: Side) {
        self.side = side;
        while bytes > 0 {
            let Some(token) = self.pending.front_mut() else { return };
            let taken = bytes.min(token.bytes - token.thinking - token.answer);
            bytes -= taken;
            match side {
                Side::Thinking => token.thinking += taken,
                Side::Answer => token.answer += taken,
            }
            let token = *token;
            if token.thinking + token.answer == token.bytes {
                self.pending.pop_front();
                self.count(match token.thinking.cmp(&token.answer) {
                    std::cmp::Ordering::Less => Side::Answer,
                    std::cmp::Ordering::Equal => side,
                    std::cmp::Ordering::Greater => Side::Thinking,
                });
            }
        }
    }

    fn count(&mut self, side: Side) {
        match side {
            Side::Thinking => self.counts.thinking_tokens += 1,
            Side::Answer => self.counts.answer_tokens += 1,
        }
    }

    /// Ends the stream. By now every byte has gone out.
    pub(super) fn finish(&mut self) {
        debug_assert!(self.pending.is_empty(), "text of a token was never given out");
        if self.open {
            self.counts.unclosed = true;
            self.close();
        }
    }

    /// Keeps a segment's string for another.
    fn keep(&mut self, segment: Segment) {
        if let Segment::Thinking(mut text) | Segment::Answer(mut text) | Segment::Markup(mut text) = segment {
            text.clear();
            self.spare.push(text);
        }
    }

    /// Tells of each segment, and forgets it.
    pub(super) fn tell(&mut self, told: &mut dyn FnMut(&Segment)) {
        let mut segments = std::mem::take(&mut self.segments);
        for segment in segments.drain(..) {
            told(&segment);
            self.keep(segment);
        }
        self.segments = segments;
    }

    pub(super) fn take(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.segments)
    }

    pub(super) fn counts(&self) -> ThinkingCounts {
        self.counts
    }
}
