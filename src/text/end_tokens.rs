//! Which tokens end generation.

use super::vocabulary::{Kind, Vocabulary};

/// Texts of tokens that end a turn or a text, for files that do not name them all by id. This is
/// llama.cpp's list (`llama-vocab.cpp`, "tokens that cause end-of-generation"): chat ends first,
/// then those that end a fill-in-the-middle answer.
const END_TEXTS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

pub(super) fn is_end_text(text: &str) -> bool {
    END_TEXTS.contains(&text)
}

/// Ids that end generation, ascending: those the checkpoint names, and control tokens whose text
/// is a well-known end. Only control tokens: `</s>` as a normal token is strike-through in HTML.
pub(super) fn end_ids(vocabulary: &Vocabulary, kinds: &[Kind]) -> Vec<u32> {
    let by_text = vocabulary
        .tokens
        .iter()
        .zip(kinds)
        .enumerate()
        .filter(|(_, (text, kind))| **kind == Kind::Control && is_end_text(text))
        .map(|(id, _)| id as u32);
    let named = [vocabulary.eos, vocabulary.eot, vocabulary.eom];
    let mut ids: Vec<u32> = by_text.chain(named.into_iter().flatten()).collect();
    ids.sort_unstable();
    ids.dedup();

    let text = |id: u32| vocabulary.tokens[id as usize].as_str();
    let has = |wanted: &str| ids.iter().any(|&id| text(id) == wanted);
    // In the harmony format `<|end|>` ends one message of several, not the answer.
    let harmony = has("<|return|>") && (has("<|call|>") || has("<|calls|>"));
    let solar = (has("<|call|>") || has("<|calls|>")) && has("<|flush|>");
    // Gemma 4 keeps an unrelated `</s>`.
    let gemma4 = has("<|tool_response>");
    ids.retain(|&id| match text(id) {
        "<|end|>" => !(harmony || solar),
        "</s>" => !gemma4,
        _ => true,
    });
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(tokens: &[&str], kinds: &[Kind], eos: Option<u32>) -> Vec<u32> {
        let tokens = tokens.iter().map(|text| (*text).to_string()).collect();
        end_ids(&Vocabulary { tokens, eos, ..Vocabulary::default() }, kinds)
    }

    #[test]
    fn named_and_well_known_ends_are_united() {
        let tokens = ["a", "<|im_end|>", "<|endoftext|>", "stop"];
        let kinds = [Kind::Normal, Kind::Control, Kind::Control, Kind::Control];
        assert_eq!(ends(&tokens, &kinds, Some(3)), [1, 2, 3]);
    }

    #[test]
    fn an_end_text_that_is_a_normal_token_does_not_end() {
        assert_eq!(ends(&["</s>"], &[Kind::Normal], None), [0_u32; 0]);
    }

    #[test]
    fn harmony_messages_do_not_end_the_answer() {
        let tokens = ["<|end|>", "<|return|>", "<|call|>"];
        assert_eq!(ends(&tokens, &[Kind::Control; 3], None), [1, 2]);
        assert_eq!(ends(&tokens[..2], &[Kind::Control; 2], None), [0, 1]);
    }
}
