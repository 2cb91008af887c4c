//! From tokens to what a client reads: whole characters, no stop string, thinking apart from the answer.

use super::request::{Event, FinishReason};
use crate::Error;
use crate::text::{
    Controls, Detokenizer, Segment, Start, StopMatcher, ThinkingCounts, ThinkingSplit, ThinkingStyle, Tokenizer,
};
use std::ops::ControlFlow;

/// Who hears of events, and may want no more.
pub(super) type Listener<'l> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'l;

/// The tokens of a run and their text so far.
pub(super) struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    style: &'t ThinkingStyle,
    detokenizer: Detokenizer,
    stops: StopMatcher,
    split: ThinkingSplit,
    written: Written,
    /// Room for the text of a token: as it is decoded, and as far as it belongs to no stop string.
    decoded: String,
    certain: String,
}

/// Tokens whose text has its room before the run begins; that of longer ones grows by doubling.
const ROOM: usize = 8192;
/// Bytes of a token's text, generously.
const TOKEN_BYTES: usize = 8;

/// What has been written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) ids: Vec<u32>,
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    /// Absent where the model is not known to think.
    pub(super) counts: Option<ThinkingCounts>,
}

impl<'t> TextStream<'t> {
    /// For what follows `prompt`.
    pub(super) fn new(
        tokenizer: &'t Tokenizer,
        style: &'t ThinkingStyle,
        prompt: &[u32],
        stop: &[String],
        max_tokens: usize,
    ) -> Result<Self, Error> {
        let room = max_tokens.min(ROOM);
        let written = Written {
            ids: Vec::with_capacity(room),
            text: String::with_capacity(room * TOKEN_BYTES),
            segments: Vec::with_capacity(16),
            counts: None,
        };
        Ok(Self {
            tokenizer,
            style,
            detokenizer: Detokenizer::new(Start::Continuation, Controls::Omit),
            stops: StopMatcher::new(stop.iter().cloned())?,
            split: ThinkingSplit::new(style, &style.last_turn(tokenizer, prompt)),
            written,
            decoded: String::with_capacity(256),
            certain: String::with_capacity(256),
        })
    }

    /// Tokens so far.
    pub(super) fn ids(&self) -> &[u32] {
        &self.written.ids
    }

    /// Tells what is known before the prompt has run: that it opened thinking.
    pub(super) fn begin(&mut self, listener: &mut Listener<'_>) -> ControlFlow<()> {
        self.written.give_all(&self.split.begin(), listener)
    }

    /// Adds a token and tells of it: what the listener wants, and whether the text ended with a stop string.
    pub(super) fn token(&mut self, token: u32, listener: &mut Listener<'_>) -> (ControlFlow<()>, bool) {
        self.written.ids.push(token);
        // Marks that are control tokens are written out all the same: they tell thinking from answer.
        let controls =
            if self.style.is_mark_token(self.tokenizer, token) { Controls::Show } else { self.detokenizer.controls() };
        self.decoded.clear();
        self.detokenizer.push_as(self.tokenizer, token, controls, &mut self.decoded);
        self.certain.clear();
        let stopped = self.stops.push_into(&self.decoded, &mut self.certain);
        self.written.text.push_str(&self.certain);
        let mut flow = listener(Event::Token { id: token, text: &self.certain });
        let Self { split, written, certain, .. } = self;
        split.tell_token(certain, &mut |segment| {
            if written.give(segment, listener).is_break() {
                flow = ControlFlow::Break(());
            }
        });
        (flow, stopped.is_some())
    }

    /// Gives out the text that was held back: the reason why the run ended, and all that was written. A stop string may turn out
    /// complete only now.
    pub(super) fn end(self, reason: FinishReason, listener: &mut Listener<'_>) -> (FinishReason, Written) {
        let Self { style, detokenizer, stops, mut split, mut written, .. } = self;
        let (tail, stopped) = match reason {
            FinishReason::Stop => (String::new(), true),
            _ => held_back(detokenizer, stops),
        };
        // The run is over: whether the listener wants more no longer matters.
        if !tail.is_empty() {
            let _ = listener(Event::Tail { text: &tail });
            written.text.push_str(&tail);
        }
        let mut segments = split.text(&tail);
        segments.extend(split.finish());
        let _ = written.give_all(&segments, listener);
        written.counts = (*style != ThinkingStyle::None).then(|| split.counts());
        (if stopped { FinishReason::Stop } else { reason }, written)
    }
}

impl Written {
    /// Tells of a segment, and keeps it: what the listener wants.
    fn give(&mut self, segment: &Segment, listener: &mut Listener<'_>) -> ControlFlow<()> {
        let flow = listener(Event::Segment(segment));
        if !Segment::extend(&mut self.segments, segment) {
            self.segments.push(segment.clone());
            if let Some(Segment::Thinking(text) | Segment::Answer(text)) = self.segments.last_mut() {
                // What follows mostly belongs to it.
                text.reserve(self.text.capacity().min(ROOM) / 2);
            }
        }
        flow
    }

    /// As [`Written::give`], for all of them, whatever the listener says to one.
    fn give_all(&mut self, segments: &[Segment], listener: &mut Listener<'_>) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        for segment in segments {
            if self.give(segment, listener).is_break() {
                flow = ControlFlow::Break(());
            }
        }
        flow
    }
}

/// What a detokenizer and then a stop matcher still hold, and whether it ends with a stop string.
fn held_back(detokenizer: Detokenizer, mut stops: StopMatcher) -> (String, bool) {
    let mut rest = stops.push(&detokenizer.finish());
    if rest.stopped.is_none() {
        let end = stops.finish();
        rest.text.push_str(&end.text);
        rest.stopped = end.stopped;
    }
    (rest.text, rest.stopped.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Vocabulary;

    /// Tokens that stand for themselves; those in angle brackets are control tokens.
    fn tokenizer(tokens: &[&str]) -> Tokenizer {
        let kind = |token: &&str| if token.starts_with('<') { 3 } else { 1 };
        let vocabulary = Vocabulary {
            model: "gpt2".to_owned(),
            tokens: tokens.iter().map(|token| (*token).to_owned()).collect(),
            kinds: Some(tokens.iter().map(kind).collect()),
            merges: Some(Vec::new()),
            ..Vocabulary::default()
        };
        Tokenizer::new(vocabulary).unwrap()
    }

    const HARMONY: &[&str] = &[
        "<|start|>",
        "<|channel|>",
        "<|message|>",
        "<|end|>",
        "<|other|>",
        "assistant",
        "analysis",
        "final",
        "Hm.",
        "Hi!",
    ];

    /// Runs a scripted stream: events as text, and what was written.
    fn run(
        model: &str,
        names: &[&str],
        prompt: &[u32],
        ids: &[u32],
        stop: &str,
    ) -> (Vec<String>, FinishReason, Written) {
        let tokenizer = tokenizer(names);
        let style = ThinkingStyle::of(model, &tokenizer);
        let stop: Vec<String> = Some(stop.to_owned()).filter(|stop| !stop.is_empty()).into_iter().collect();
        let mut stream = TextStream::new(&tokenizer, &style, prompt, &stop, 64).unwrap();
        let mut events = Vec::new();
        let mut listener = |event: Event<'_>| {
            events.push(match event {
                Event::Token { text, .. } => format!("token {text}"),
                Event::Tail { text } => format!("tail {text}"),
                Event::Segment(segment) => format!("{segment:?}"),
                _ => unreachable!("a stream of text runs no prompt"),
            });
            ControlFlow::Continue(())
        };
        assert!(stream.begin(&mut listener).is_continue());
        let mut reason = FinishReason::Length;
        for &id in ids {
            if stream.token(id, &mut listener).1 {
                reason = FinishReason::Stop;
                break;
            }
        }
        let (reason, written) = stream.end(reason, &mut listener);
        (events, reason, written)
    }

    #[test]
    fn marks_that_are_control_tokens_split_the_stream_and_others_stay_out() {
        let (events, _, written) = run("gpt-oss", HARMONY, &[0, 5], &[1, 6, 2, 8, 4, 3, 0, 5, 1, 7, 2, 9], "");
        let expected = [
            "token <|channel|>",
            "token analysis",
            "token <|message|>",
            "Open",
            "Markup(\"<|channel|>analysis<|message|>\")",
            "token Hm.",
            "Thinking(\"Hm.\")",
            "token ",
            "token <|end|>",
            "Markup(\"<|end|>\")",
            "Close",
            "token <|start|>",
            "token assistant",
            "token <|channel|>",
            "token final",
            "token <|message|>",
            "Markup(\"<|start|>assistant<|channel|>final<|message|>\")",
            "token Hi!",
            "Answer(\"Hi!\")",
        ];
        assert_eq!(events, expected);
        assert_eq!(
            written.text,
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hi!"
        );
        let counts = written.counts.unwrap();
        assert_eq!((counts.thinking_tokens, counts.answer_tokens), (6, 6));
    }

    const TAGS: &[&str] = &["<think>", "</think>", "<|im_start|>", "a", "b", "c", "\u{10a}"];

    #[test]
    fn only_the_last_turn_of_a_prompt_can_open_thinking() {
        for (prompt, opens) in [(&[2_u32, 3, 0, 6][..], true), (&[0, 3, 2, 3], false), (&[2, 0, 1, 6], false)] {
            let (events, ..) = run("qwen3", TAGS, prompt, &[4], "");
            let told = events.first().unwrap();
            assert_eq!(*told, if opens { "Open" } else { "token b" }, "{prompt:?}");
        }
    }

    #[test]
    fn segments_leave_out_what_a_stop_string_cuts_off() {
        let (events, reason, written) = run("qwen3", TAGS, &[3], &[0, 3, 1, 3, 4, 5], "bc");
        assert_eq!(reason, FinishReason::Stop);
        assert_eq!(written.text, "<think>a</think>a");
        assert_eq!(written.segments.iter().map(Segment::text).collect::<String>(), written.text);
        assert_eq!(events.last().unwrap(), "token ", "nothing follows the stop string");
        let counts = written.counts.unwrap();
        assert_eq!(counts.thinking_tokens + counts.answer_tokens, written.ids.len());
    }

    #[test]
    fn text_that_is_held_back_until_the_end_is_split_too() {
        let (events, reason, written) = run("qwen3", TAGS, &[3], &[0, 3, 1, 4], "bc");
        assert_eq!(reason, FinishReason::Length);
        assert_eq!(events[events.len() - 2..], ["tail b", "Answer(\"b\")"]);
        assert_eq!(written.text, "<think>a</think>b");
    }

    #[test]
    fn a_model_without_marks_only_answers_and_has_no_counts() {
        let (events, _, written) = run("llama", &["a", "b"], &[0], &[0, 1], "");
        assert_eq!(events, ["token a", "Answer(\"a\")", "token b", "Answer(\"b\")"]);
        assert_eq!((written.segments, written.counts), (vec![Segment::Answer("ab".to_owned())], None));
    }
}
