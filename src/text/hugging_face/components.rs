//! What `tokenizer.json` does to text before and after the model, checked before the library sees it.
//!
//! The library panics on some values that a file may hold, and takes unbounded memory for others. So components are
//! admitted by name, and what they may cost is added up beforehand.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

use super::files::{invalid, quoted};
use crate::text::Error;
use crate::text::token_bytes::SPACE;

const NORMALIZERS: &[&str] =
    &["Sequence", "Replace", "Prepend", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents"];
const PRE_TOKENIZERS: &[&str] =
    &["Sequence", "Split", "ByteLevel", "Metaspace", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit"];

/// What all components of a file may cost together. Known files stay below a tenth of each.
struct Allowance {
    components: usize,
    /// Bytes of regular expressions.
    expressions: usize,
    /// Times that an expression repeats a part of itself a counted number of times: they multiply its size when it is
    /// compiled.
    repetitions: usize,
    /// Bytes that one byte of text can grow to.
    growth: usize,
}

const ALLOWANCE: Allowance = Allowance { components: 64, expressions: 16 << 10, repetitions: 100, growth: 256 };

/// What happens to text before it is split.
pub(super) fn normalizer(json: &Value, file: &Path) -> Result<Option<NormalizerWrapper>, Error> {
    let check = Check { part: "normalizer", known: NORMALIZERS, nested: "normalizers", file };
    check.all(json)?;
    build(json, "normalizer", file)
}

/// How text is split into the words that the model works on.
pub(super) fn pre_tokenizer(json: &Value, file: &Path) -> Result<Option<PreTokenizerWrapper>, Error> {
    let check = Check { part: "pre_tokenizer", known: PRE_TOKENIZERS, nested: "pretokenizers", file };
    check.all(json)?;
    build(json, "pre_tokenizer", file)
}

fn build<T: DeserializeOwned>(json: &Value, part: &str, file: &Path) -> Result<Option<T>, Error> {
    if json.is_null() {
        return Ok(None);
    }
    let built = serde_json::from_value(json.clone());
    built
        .map(Some)
        .map_err(|error| invalid(file, part, "what the tokenizers library takes", quoted(&error.to_string())))
}

/// The components of one kind, nested or alone.
struct Check<'a> {
    part: &'static str,
    known: &'static [&'static str],
    /// The key of the list in a `Sequence`.
    nested: &'static str,
    file: &'a Path,
}

impl Check<'_> {
    fn all(&self, json: &Value) -> Result<(), Error> {
        let mut left = ALLOWANCE;
        if json.is_null() { Ok(()) } else { self.one(json, &mut left) }
    }

    fn one(&self, json: &Value, left: &mut Allowance) -> Result<(), Error> {
        let kind = json.get("type").and_then(Value::as_str).unwrap_or_default();
        if !self.known.contains(&kind) {
            return Err(invalid(self.file, self.part, &format!("one of {}", self.known.join(", ")), quoted(kind)));
        }
        spend(&mut left.components, 1).ok_or_else(|| self.too_much("components"))?;
        if let (true, Some(list)) = (kind == "Sequence", json.get(self.nested).and_then(Value::as_array)) {
            return list.iter().try_for_each(|json| self.one(json, left));
        }
        let pattern = json.get("pattern");
        let (string, regex) = (pattern.and_then(|p| p.get("String")), pattern.and_then(|p| p.get("Regex")));
        for text in [string, regex].into_iter().flatten().filter_map(Value::as_str) {
            if text.is_empty() {
                return Err(invalid(self.file, &format!("pattern of a {kind}"), "at least one character", "none"));
            }
            spend(&mut left.expressions, text.len()).ok_or_else(|| self.too_much("bytes of patterns"))?;
        }
        if let Some(regex) = regex.and_then(Value::as_str) {
            spend(&mut left.repetitions, repetitions(regex)).ok_or_else(|| self.too_much("counted repetitions"))?;
        }
        if kind == "Prepend" && json.get("prepend").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(invalid(self.file, "prepend of a Prepend", "at least one character", "none"));
        }
        let added = ["content", "prepend"].iter().filter_map(|key| json.get(key)).filter_map(Value::as_str);
        if let Some(content) = added.map(str::len).max() {
            // A regular expression may match as little as one byte.
            let replaced = string.and_then(Value::as_str).map_or(1, str::len);
            left.growth /= content.div_ceil(replaced).max(1);
            spend(&mut left.growth, 0).ok_or_else(|| self.too_much("growth of the text"))?;
        }
        Ok(())
    }

    fn too_much(&self, what: &str) -> Error {
        invalid(self.file, self.part, &format!("less {what}"), "more than any known tokenizer has")
    }
}

/// Takes `amount` from what is left; `None` once nothing is.
fn spend(left: &mut usize, amount: usize) -> Option<()> {
    *left = left.checked_sub(amount)?;
    (*left > 0).then_some(())
}

/// The sum of all counts of repetition: 5 for `a{2}b{1,3}`.
fn repetitions(expression: &str) -> usize {
    let mut sum = 0_usize;
    let mut rest = expression.chars();
    while let Some(character) = rest.next() {
        match character {
            // An escape, whose argument may stand in braces: `\x{b5}`, `\p{L}`.
            '\\' => {
                let named = rest.next().is_some_and(|escape| escape.is_ascii_alphabetic());
                if named && rest.clone().next() == Some('{') {
                    rest.by_ref().find(|character| *character == '}');
                }
            }
            '{' => {
                let inside = rest.as_str().split('}').next().unwrap_or_default();
                let digits = |count: &str| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
                let counts = inside.split(',').filter(|count| digits(count));
                sum = sum.saturating_add(counts.map(|count| count.parse().unwrap_or(usize::MAX)).max().unwrap_or(0));
            }
            _ => {}
        }
    }
    sum
}

/// How tokens become text again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoding {
    /// Characters of tokens spell bytes, as GPT-2 does; else they are text in which `▁` stands for a space.
    pub(super) byte_level: bool,
    /// `<0x0A>` and its like stand for a byte.
    pub(super) byte_fallback: bool,
    /// The space that a text begins with is dropped.
    pub(super) strips_space: bool,
}

/// Reads the `decoder` of a tokenizer.
pub(super) fn decoding(json: &Value, file: &Path) -> Result<Decoding, Error> {
    let mut decoding = Decoding { byte_level: false, byte_fallback: false, strips_space: false };
    let mut spaces = false;
    for step in steps(json, "decoders") {
        let text = |key| step.get(key).and_then(Value::as_str);
        let number = |key| step.get(key).and_then(Value::as_u64);
        let refused = |expected: &str| invalid(file, "decoder", expected, quoted(&step.to_string()));
        match text("type").unwrap_or_default() {
            "ByteLevel" => decoding.byte_level = true,
            "ByteFallback" => decoding.byte_fallback = true,
            "Fuse" => {}
            "Replace" => {
                let pattern = step.get("pattern").and_then(|pattern| pattern.get("String")).and_then(Value::as_str);
                if (pattern, text("content")) != (Some(SPACE), Some(" ")) {
                    return Err(refused("a Replace of `▁` by a space"));
                }
                spaces = true;
            }
            "Strip" => match (text("content"), number("start"), number("stop")) {
                (Some(" "), Some(start @ (0 | 1)), Some(0)) => decoding.strips_space = start == 1,
                _ => return Err(refused("a Strip of at most one space at the start")),
            },
            "Metaspace" => {
                if text("replacement") != Some(SPACE) {
                    return Err(refused("a Metaspace of `▁`"));
                }
                let never = step.get("add_prefix_space") == Some(&Value::Bool(false));
                decoding.strips_space = !never && text("prepend_scheme") != Some("never");
                spaces = true;
            }
            _ => return Err(refused("steps that are ByteLevel, ByteFallback, Fuse, Metaspace, Replace or Strip")),
        }
    }
    match decoding.byte_level != spaces {
        true => Ok(decoding),
        false => {
            Err(invalid(file, "decoder", "ByteLevel, or one that turns `▁` into spaces", quoted(&json.to_string())))
        }
    }
}

/// The ids that go before and after a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
}

/// Reads the `post_processor` of a tokenizer.
pub(super) fn frame(json: &Value, file: &Path) -> Result<Frame, Error> {
    let mut frame = Frame::default();
    for step in steps(json, "processors") {
        let refused = |expected: &str| invalid(file, "post_processor", expected, quoted(&step.to_string()));
        match step.get("type").and_then(Value::as_str).unwrap_or_default() {
            // Only moves offsets.
            "ByteLevel" => {}
            "TemplateProcessing" => {
                frame = template(step).ok_or_else(|| refused("a template of special tokens around one text"))?;
            }
            _ => return Err(refused("steps that are ByteLevel or TemplateProcessing")),
        }
    }
    Ok(frame)
}

/// The special tokens around `A` in the template for a single text.
fn template(json: &Value) -> Option<Frame> {
    /// Known templates have three tokens at most.
    const MOST: usize = 64;
    let mut frame = Frame::default();
    let mut text = false;
    for piece in json.get("single")?.as_array()? {
        if let Some(token) = piece.get("SpecialToken") {
            let ids = json.get("special_tokens")?.get(token.get("id")?.as_str()?)?.get("ids")?.as_array()?;
            let side = if text { &mut frame.after } else { &mut frame.before };
            for id in ids {
                side.push(u32::try_from(id.as_u64()?).ok()?);
            }
        } else {
            piece.get("Sequence").filter(|_| !text)?;
            text = true;
        }
    }
    (text && frame.before.len() + frame.after.len() <= MOST).then_some(frame)
}

/// The steps of a component: itself, or what a `Sequence` lists under `nested`, at any depth.
fn steps<'a>(json: &'a Value, nested: &str) -> Vec<&'a Value> {
    match (json.get("type").and_then(Value::as_str), json.get(nested).and_then(Value::as_array)) {
        (Some("Sequence"), Some(list)) => list.iter().flat_map(|step| steps(step, nested)).collect(),
        _ if json.is_null() => Vec::new(),
        _ => vec![json],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file() -> &'static Path {
        Path::new("tokenizer.json")
    }

    #[test]
    fn counts_of_repetition_are_told_from_arguments_of_escapes() {
        assert_eq!(repetitions(r"\p{L}{1,3}\x{b5}a{2}\{9}b{7,}"), 3 + 2 + 7);
        assert_eq!(repetitions(r"(?:a{10}){10}"), 20);
        assert_eq!(repetitions("{"), 0);
        assert_eq!(repetitions("a{99999999999999999999999}"), usize::MAX);
    }

    #[test]
    fn decoders_of_known_families_are_understood() {
        let llama2 = json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
        let expected = Decoding { byte_level: false, byte_fallback: true, strips_space: true };
        assert_eq!(decoding(&llama2, file()).unwrap(), expected);
        let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"});
        assert!(!decoding(&metaspace, file()).unwrap().strips_space);
        assert!(decoding(&json!({"type": "ByteLevel"}), file()).unwrap().byte_level);
        for unknown in
            [json!(null), json!({"type": "WordPiece"}), json!({"type": "Fuse"}), json!([]), json!("ByteLevel")]
        {
            assert!(decoding(&unknown, file()).is_err(), "{unknown}");
        }
    }

    #[test]
    fn templates_say_what_goes_around_a_text() {
        let token = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
        let single = json!([token("<s>"), {"Sequence": {"id": "A", "type_id": 0}}, token("</s>")]);
        let ids = json!({"<s>": {"id": "<s>", "ids": [1, 7], "tokens": ["<s>", "x"]}, "</s>": {"ids": [2]}});
        let template = json!({"type": "TemplateProcessing", "single": single, "special_tokens": ids});
        let both = json!({"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]});
        assert_eq!(frame(&both, file()).unwrap(), Frame { before: vec![1, 7], after: vec![2] });
        assert_eq!(frame(&json!(null), file()).unwrap(), Frame::default());
        let unknown = json!({"type": "TemplateProcessing", "single": [token("<s>")], "special_tokens": {}});
        assert!(frame(&unknown, file()).is_err());
    }
}
