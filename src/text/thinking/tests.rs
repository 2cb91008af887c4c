//! Laws of the split, over random streams and all ways to cut them.

use super::*;
use crate::text::random::Random;

fn styles() -> Vec<ThinkingStyle> {
    let detect = |tokens: &[&str]| ThinkingStyle::detect("", &|text| tokens.contains(&text), None);
    vec![
        ThinkingStyle::None,
        detect(&["<think>", "</think>"]),
        detect(&["<think>", "</think>", "<|think|>", "<|/think|>", "<thinking>", "</thinking>", "[THINK]", "[/THINK]"]),
        ThinkingStyle::gemma_channels(),
        ThinkingStyle::Harmony,
    ]
}

/// What streams are made of: marks, beginnings of marks, labels, headers, and text.
const PIECES: &[&str] = &[
    "<think>",
    "</think>",
    "<|think|>",
    "<|/think|>",
    "<thinking>",
    "</thinking>",
    "[THINK]",
    "[/THINK]",
    "<|channel>",
    "<channel|>",
    "thought\n",
    "thou",
    "<|start|>",
    "<|channel|>",
    "<|message|>",
    "<|end|>",
    "<|constrain|>",
    "assistant",
    "analysis",
    "final",
    "commentary to=functions.f ",
    "<",
    "</thi",
    "<|",
    "[",
    "`",
    "\"",
    "\n",
    "\r\n",
    " ",
    "a",
    "word ",
    "é",
    "日本",
    "🦀",
];

fn stream(random: &mut Random, pieces: usize) -> String {
    (0..random.below(pieces + 1)).map(|_| *random.pick(PIECES)).collect()
}

/// `text` in random pieces, empty ones among them.
fn cut<'a>(random: &mut Random, text: &'a str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let most = 1 + random.below(12);
        let at =
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).nth(random.below(most)).unwrap_or(rest.len());
        pieces.push(&rest[..at]);
        rest = &rest[at..];
    }
    pieces
}

fn joined(segments: impl IntoIterator<Item = Segment>) -> Vec<Segment> {
    let mut all = Vec::new();
    segments.into_iter().for_each(|segment| Segment::join(&mut all, segment));
    all
}

fn run(style: &ThinkingStyle, prompt: &str, tokens: &[&str]) -> (Vec<Segment>, ThinkingCounts) {
    let mut split = ThinkingSplit::new(style, prompt);
    let mut segments = split.begin();
    for token in tokens {
        segments.extend(split.token(token));
    }
    segments.extend(split.finish());
    (joined(segments), split.counts())
}

#[test]
fn segments_are_the_stream_however_it_is_cut() {
    let mut random = Random(11);
    for round in 0..20_000 {
        let style = &styles()[round % 5];
        let (prompt, text) = (stream(&mut random, 4), stream(&mut random, 16));
        let (whole, _) = run(style, &prompt, &[&text]);
        assert_eq!(whole.iter().map(Segment::text).collect::<String>(), text, "{style:?} {prompt:?}");
        let tokens = cut(&mut random, &text);
        let (cut, counts) = run(style, &prompt, &tokens);
        assert_eq!(cut, whole, "{style:?} {prompt:?} {tokens:?}");
        assert_eq!(counts.thinking_tokens + counts.answer_tokens, tokens.len(), "{style:?} {prompt:?} {tokens:?}");
    }
}

#[test]
fn thinking_is_told_by_its_borders() {
    let mut random = Random(12);
    for round in 0..20_000 {
        let style = &styles()[round % 5];
        let (prompt, text) = (stream(&mut random, 4), stream(&mut random, 16));
        let (segments, counts) = run(style, &prompt, &cut(&mut random, &text));
        let mut inside = false;
        for segment in &segments {
            match segment {
                Segment::Open | Segment::Close => {
                    assert_eq!(inside, *segment == Segment::Close, "{style:?} {prompt:?} {text:?}");
                    inside = !inside;
                }
                Segment::Thinking(_) => assert!(inside, "{style:?} {prompt:?} {text:?}"),
                Segment::Answer(_) => assert!(!inside, "{style:?} {prompt:?} {text:?}"),
                Segment::Markup(_) => {}
            }
        }
        assert!(!inside, "{style:?} {prompt:?} {text:?}");
        let opened = segments.iter().filter(|segment| **segment == Segment::Open).count();
        assert_eq!(opened, counts.opened);
    }
}

/// No more is held back than the longest mark but a byte, or in Harmony than a header.
#[test]
fn little_is_held_back_and_only_for_a_reason() {
    let mut random = Random(13);
    for round in 0..10_000 {
        let style = &styles()[round % 5];
        let bound = match style {
            ThinkingStyle::None => 0,
            ThinkingStyle::Tags(pairs) => {
                let longest = |pair: &TagPair| pair.open.len().max(pair.close.len()).max(pair.label.len()) - 1;
                // A label and the beginning of a mark behind it may both be open.
                pairs.iter().map(|pair| longest(pair) + pair.label.len()).max().unwrap_or(0)
            }
            ThinkingStyle::Harmony => 256 + 12,
        };
        let text = stream(&mut random, 60);
        let mut split = ThinkingSplit::new(style, "");
        let (mut seen, mut given) = (0, 0);
        for token in cut(&mut random, &text) {
            seen += token.len();
            given += split.token(token).iter().map(|segment| segment.text().len()).sum::<usize>();
            assert!(seen - given <= bound, "{style:?} {text:?}");
            if let ThinkingStyle::Tags(pairs) = style {
                let held = &text[given..seen];
                let reason = |mark: &str| {
                    held.ends_with(|_| true)
                        && (0..held.len()).any(|at| mark.as_bytes().starts_with(&held.as_bytes()[at..]))
                };
                let reasons = pairs.iter().flat_map(|pair| [pair.open, pair.close, pair.label]);
                assert!(held.is_empty() || reasons.into_iter().any(reason), "{held:?} {text:?}");
            }
        }
    }
}

/// The rules of tags over a whole text at once, written down a second time.
fn tags_of_a_whole_text(text: &str) -> Vec<Segment> {
    let (open, close) = ("<think>", "</think>");
    let (mut segments, mut depth, mut at, mut newlines) = (Vec::new(), 0, 0, false);
    let mut give = |segment| Segment::join(&mut segments, segment);
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let quoted = at > 0 && matches!(text.as_bytes()[at - 1], b'`' | b'"');
        let tag = [open, close].into_iter().find(|tag| rest.starts_with(tag));
        let piece = tag.map_or(&rest[..next.len_utf8()], |tag| tag);
        let inside = depth > 0;
        match tag {
            Some(_) if !inside && quoted => give(Segment::Answer(piece.to_owned())),
            Some(tag) if !inside => {
                if tag == open {
                    depth = 1;
                    give(Segment::Open);
                }
                give(Segment::Markup(piece.to_owned()));
            }
            Some(tag) if tag == close && depth == 1 => {
                depth = 0;
                give(Segment::Markup(piece.to_owned()));
                give(Segment::Close);
            }
            None if newlines && matches!(next, '\n' | '\r') => give(Segment::Markup(piece.to_owned())),
            _ => {
                if tag == Some(close) {
                    depth -= 1;
                } else if tag == Some(open) && !quoted {
                    depth += 1;
                }
                give(if inside { Segment::Thinking(piece.to_owned()) } else { Segment::Answer(piece.to_owned()) });
            }
        }
        let border = tag.is_some() && !(inside && depth > 0) && !(!inside && depth == 0 && quoted);
        newlines = border || (newlines && tag.is_none() && matches!(next, '\n' | '\r'));
        at += piece.len();
    }
    if depth > 0 {
        give(Segment::Close);
    }
    segments
}

#[test]
fn streamed_tags_are_those_of_the_whole_text() {
    let style = &styles()[1];
    let pieces = ["<think>", "</think>", "</think>", "<thi", "nk>", "\n", "\r\n", "`", "\"", "a", " é", "<"];
    let mut random = Random(14);
    for _ in 0..20_000 {
        let text: String = (0..random.below(14)).map(|_| *random.pick(&pieces)).collect();
        let tokens = cut(&mut random, &text);
        assert_eq!(run(style, "", &tokens).0, tags_of_a_whole_text(&text), "{tokens:?}");
    }
}

#[test]
fn an_open_tag_at_the_end_of_the_prompt_is_told_before_any_token() {
    let harmony = "<|start|>assistant<|channel|>analysis<|message|>";
    let prompts = [(1, "<think>"), (1, "x<think>\n\n"), (3, "<|channel>thought\n"), (4, harmony)];
    for (style, prompt) in prompts {
        let mut split = ThinkingSplit::new(&styles()[style], prompt);
        assert!(split.is_thinking());
        assert_eq!(split.begin(), [Segment::Open], "{prompt:?}");
        assert_eq!(split.token("x"), [Segment::Thinking("x".to_owned())], "{prompt:?}");
    }
    // Nobody asked: it comes with the first text.
    let mut split = ThinkingSplit::new(&styles()[1], "<think>");
    assert_eq!(split.token("x"), [Segment::Open, Segment::Thinking("x".to_owned())]);
}

#[test]
fn a_message_of_the_prompt_is_not_the_answers() {
    let prompt = "<|start|>assistant<|channel|>analysis<|message|>a<|end|><|start|>user<|message|>b";
    assert!(!ThinkingSplit::new(&ThinkingStyle::Harmony, prompt).is_thinking());
}

#[test]
fn what_is_no_header_is_not_held_back_any_longer() {
    let mut split = ThinkingSplit::new(&ThinkingStyle::Harmony, "<|start|>assistant");
    assert_eq!(split.token("Dear"), []);
    assert_eq!(split.token(" you,\nI"), [Segment::Answer("Dear you,\nI".to_owned())]);
    assert_eq!(split.token(" am"), [Segment::Answer(" am".to_owned())]);
}

#[test]
fn what_fits_nothing_is_reported() {
    let counts = |style: usize, prompt: &str, tokens: &[&str]| run(&styles()[style], prompt, tokens).1;
    assert_eq!(counts(1, "", &["a</think>b</think>"]).orphans, 2);
    assert_eq!(counts(1, "", &["`</think>`"]).orphans, 0, "spoken of");
    assert_eq!(counts(4, "", &["a<|end|>b<|message|>"]).orphans, 2);
    assert!(counts(1, "", &["<think>", "a"]).unclosed);
    assert!(counts(1, "<think>", &["a"]).unclosed);
    assert!(!counts(1, "", &["<think>", "a", "</think>"]).unclosed);
    assert!(!counts(4, "", &["<|channel|>final<|message|>a"]).unclosed);
}

#[test]
fn a_token_without_text_counts_where_the_stream_stands() {
    let (_, counts) = run(&styles()[1], "<think>", &["", "🤔", "</think>", "", "🦀"]);
    assert_eq!((counts.thinking_tokens, counts.answer_tokens), (3, 2));
}

/// Ten thousand nested tags, and a megabyte that always might become one: no recursion, no second look at what was passed.
#[test]
fn hostile_streams_cost_no_more_than_others() {
    for style in styles() {
        let mut split = ThinkingSplit::new(&style, "");
        let mut bytes = 0;
        for piece in ["<think>", "<", "<|channel|>", "<|start|>", "</thin", "[THINK", "<|channel>thou"] {
            for _ in 0..20_000 {
                bytes += split.token(piece).iter().map(|segment| segment.text().len()).sum::<usize>();
                assert!(split.held.len() < 16);
            }
        }
        bytes += split.finish().iter().map(|segment| segment.text().len()).sum::<usize>();
        assert_eq!(bytes, 20_000 * (7 + 1 + 11 + 9 + 6 + 6 + 14), "{style:?}");
    }
}

#[test]
fn styles_are_told_by_type_vocabulary_and_template() {
    let style = |model: &str, tokens: &[&str], template: Option<&str>| {
        ThinkingStyle::detect(model, &|text| tokens.contains(&text), template)
    };
    let opens = |style: ThinkingStyle| match style {
        ThinkingStyle::Tags(pairs) => pairs.iter().map(|pair| pair.open).collect(),
        _ => vec![],
    };
    assert_eq!(style("llama", &["<s>"], None), ThinkingStyle::None);
    for model in ["gpt-oss", "gpt_oss", "GPT-OSS-20b"] {
        assert_eq!(style(model, &[], None), ThinkingStyle::Harmony);
    }
    assert_eq!(style("", &["<|start|>", "<|channel|>", "<|message|>", "<|end|>"], None), ThinkingStyle::Harmony);
    let gemma = ThinkingStyle::gemma_channels();
    assert_eq!(style("gemma4", &[], None), gemma);
    assert_eq!(style("gemma4_text", &["<|think|>", "<|channel>", "<channel|>"], None), gemma);
    assert_eq!(style("gemma3", &["<start_of_turn>"], None), ThinkingStyle::None);
    assert_eq!(opens(style("qwen3", &["<think>", "</think>"], None)), ["<think>"]);
    assert_eq!(opens(style("llama", &[], Some("{{ content.split('</think>') }}"))), ["<think>"]);
    assert_eq!(opens(style("x", &["<|think|>"], Some("<|think|>"))), [""; 0], "a switch, not a pair");
    assert_eq!(
        opens(style("x", &["<|think|>", "<|/think|>", "<thinking>", "</thinking>"], None)),
        ["<|think|>", "<thinking>"]
    );
}
