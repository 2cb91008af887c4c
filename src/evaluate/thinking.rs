//! Which tokens of a text are thinking, and which are the answer.

use crate::text::{Controls, Detokenizer, Start, ThinkingSplit, ThinkingStyle, Tokenizer};

/// What a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Thinking.
    Thinking,
    /// What is said.
    Answer,
    /// A mark between the two.
    Mark,
}

/// What each of `ids` belongs to, which follow `prompt`. A mark that takes several tokens is known by its last one; those before it count
/// as the text they stand in.
pub fn parts(tokenizer: &Tokenizer, style: &ThinkingStyle, prompt: &[u32], ids: &[u32]) -> Vec<Part> {
    let mut split = ThinkingSplit::new(style, &style.last_turn(tokenizer, prompt));
    let mut detokenizer = Detokenizer::new(Start::Continuation, Controls::Omit);
    let mut thinking = split.is_thinking();
    let mut text = String::new();
    let part = |&id: &u32| {
        let controls = if style.is_mark_token(tokenizer, id) { Controls::Show } else { detokenizer.controls() };
        text.clear();
        detokenizer.push_as(tokenizer, id, controls, &mut text);
        split.tell_token(&text, &mut |_| {});
        let before = std::mem::replace(&mut thinking, split.is_thinking());
        match (before, thinking) {
            (true, true) => Part::Thinking,
            (false, false) => Part::Answer,
            (true, false) | (false, true) => Part::Mark,
        }
    };
    ids.iter().map(part).collect()
}
