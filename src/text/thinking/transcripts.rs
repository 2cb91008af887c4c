//! Streams as models write them, token by token, with what they are to become: worked out by hand from the formats.

use super::*;

struct Transcript {
    name: &'static str,
    style: ThinkingStyle,
    prompt: &'static str,
    tokens: &'static [&'static str],
    expected: Vec<Segment>,
    /// Tokens of thinking and answer.
    counts: (usize, usize),
}

const O: Segment = Segment::Open;
const C: Segment = Segment::Close;

fn t(text: &str) -> Segment {
    Segment::Thinking(text.to_owned())
}

fn a(text: &str) -> Segment {
    Segment::Answer(text.to_owned())
}

fn m(text: &str) -> Segment {
    Segment::Markup(text.to_owned())
}

/// The pairs of tags whose tokens a vocabulary has.
fn tags(tokens: &[&str]) -> ThinkingStyle {
    ThinkingStyle::detect("", &|text| tokens.contains(&text), None)
}

fn think() -> ThinkingStyle {
    tags(&["<think>", "</think>"])
}

/// Runs transcripts token by token: segments, counts, and that what the prompt opened is told first.
fn check(transcripts: Vec<Transcript>) {
    for Transcript { name, style, prompt, tokens, expected, counts } in transcripts {
        let mut split = ThinkingSplit::new(&style, prompt);
        let begun = split.is_thinking();
        let mut segments = split.begin();
        assert_eq!(segments, if begun { vec![O] } else { vec![] }, "{name}");
        for token in tokens {
            split.token(token).into_iter().for_each(|segment| Segment::join(&mut segments, segment));
        }
        split.finish().into_iter().for_each(|segment| Segment::join(&mut segments, segment));
        assert_eq!(segments, expected, "{name}");
        let found = split.counts();
        assert_eq!((found.thinking_tokens, found.answer_tokens), counts, "{name}");
        assert_eq!(found.opened, expected.iter().filter(|segment| **segment == O).count(), "{name}");
    }
}

#[test]
fn tags_are_taken_out_wherever_tokens_cut_them() {
    check(vec![
        Transcript {
            name: "Qwen3 thinks",
            style: think(),
            prompt: "assistant\n",
            tokens: &["<think>", "\n", "Okay", ",", " two", ".\n", "</think>", "\n\n", "It", " is", " 2", "."],
            expected: vec![O, m("<think>\n"), t("Okay, two.\n"), m("</think>"), C, m("\n\n"), a("It is 2.")],
            counts: (7, 5),
        },
        Transcript {
            name: "a tag in pieces, in a vocabulary without one",
            style: think(),
            prompt: "",
            tokens: &["<", "th", "ink", ">\n", "Hm", ".", "</", "think", ">\n", "Yes"],
            expected: vec![O, m("<think>\n"), t("Hm."), m("</think>"), C, m("\n"), a("Yes")],
            // Half of the last piece of the tag is a newline of the answer's: halves count to the later side.
            counts: (8, 2),
        },
        Transcript {
            name: "tags and text of both sides in one token",
            style: think(),
            prompt: "",
            tokens: &["<think>why", "</think>ok", "</think"],
            expected: vec![O, m("<think>"), t("why"), m("</think>"), C, a("ok</think")],
            counts: (2, 1),
        },
        Transcript {
            name: "thinks twice",
            style: think(),
            prompt: "",
            tokens: &["<think>", "a", "</think>", "b", "<think>", "c", "</think>", "d"],
            expected: vec![
                O,
                m("<think>"),
                t("a"),
                m("</think>"),
                C,
                a("b"),
                O,
                m("<think>"),
                t("c"),
                m("</think>"),
                C,
                a("d"),
            ],
            counts: (6, 2),
        },
        Transcript {
            name: "other writing systems around tags",
            style: think(),
            prompt: "",
            tokens: &["<think>", "嗯", "，🤔", "</think>", "好<", "🦀>", "é"],
            expected: vec![O, m("<think>"), t("嗯，🤔"), m("</think>"), C, a("好<🦀>é")],
            counts: (4, 3),
        },
        Transcript {
            name: "what only looks like a tag",
            style: think(),
            prompt: "",
            tokens: &["if a <", " b", " <th", "> <thin", "king> < think> <Think> </th"],
            expected: vec![a("if a < b <th> <thinking> < think> <Think> </th")],
            counts: (0, 5),
        },
        Transcript {
            name: "only newlines behind a tag belong to it",
            style: think(),
            prompt: "",
            tokens: &["<think>", "\r\n\n", "\n", " \nx\n\n", "</think>", " ", "\n\ny"],
            expected: vec![O, m("<think>\r\n\n\n"), t(" \nx\n\n"), m("</think>"), C, a(" \n\ny")],
            counts: (5, 2),
        },
    ]);
}

#[test]
fn the_prompt_decides_where_a_stream_begins() {
    check(vec![
        Transcript {
            name: "DeepSeek-R1: the prompt opens",
            style: think(),
            prompt: "<think>\n",
            tokens: &["First", " this", ".\n", "</think>", "\n\n", "Then", " that"],
            expected: vec![O, t("First this.\n"), m("</think>"), C, m("\n\n"), a("Then that")],
            counts: (4, 3),
        },
        Transcript {
            name: "the prompt opens and the model repeats it",
            style: think(),
            prompt: "<think>\n",
            tokens: &["<think>", "\n", "Once", ".", "</think>", "Done"],
            expected: vec![O, m("<think>\n"), t("Once."), m("</think>"), C, a("Done")],
            counts: (5, 1),
        },
        Transcript {
            name: "the prompt opens, and a tag after a word nests",
            style: think(),
            prompt: "<think>",
            tokens: &["Hm ", "<think>", "x", "</think>", "y", "</think>", "z"],
            expected: vec![O, t("Hm <think>x</think>y"), m("</think>"), C, a("z")],
            counts: (6, 1),
        },
        Transcript {
            name: "Qwen3 is not to think: the prompt opens and closes",
            style: think(),
            prompt: "assistant\n<think>\n\n</think>\n\n",
            tokens: &["At", " once"],
            expected: vec![a("At once")],
            counts: (0, 2),
        },
        Transcript {
            name: "a thought begun in the prompt goes on, and a tag in it nests",
            style: think(),
            prompt: "<think>\nSo far",
            tokens: &["<think>", "x", "</think>", "y", "</think>", "z"],
            expected: vec![O, t("<think>x</think>y"), m("</think>"), C, a("z")],
            counts: (5, 1),
        },
        Transcript {
            name: "the beginning of a tag at the end of the prompt is the prompt's",
            style: think(),
            prompt: "see <thi",
            tokens: &["nk>", "x"],
            expected: vec![a("nk>x")],
            counts: (0, 2),
        },
    ]);
}

#[test]
fn tags_that_do_not_match_lose_no_text() {
    check(vec![
        Transcript {
            name: "never closed",
            style: think(),
            prompt: "",
            tokens: &["<think>", "\n", "and", " on", " </thi"],
            expected: vec![O, m("<think>\n"), t("and on </thi"), C],
            counts: (5, 0),
        },
        Transcript {
            name: "nothing but an open tag",
            style: think(),
            prompt: "",
            tokens: &["<think>", "\n"],
            expected: vec![O, m("<think>\n"), C],
            counts: (2, 0),
        },
        Transcript {
            name: "nested",
            style: think(),
            prompt: "",
            tokens: &["<think>", "out", "<think>", "in", "</think>", "out", "</think>", "answer"],
            expected: vec![O, m("<think>"), t("out<think>in</think>out"), m("</think>"), C, a("answer")],
            counts: (7, 1),
        },
        Transcript {
            name: "orphaned",
            style: think(),
            prompt: "",
            tokens: &["maybe", "</think>", "\n\n", "yes"],
            expected: vec![a("maybe"), m("</think>\n\n"), a("yes")],
            counts: (0, 4),
        },
        Transcript {
            name: "a tag that is spoken of, in thinking and in the answer",
            style: think(),
            prompt: "",
            tokens: &["<think>", "What", " is", " `", "<think>", "`?", "</think>", "A", " \"", "<think>", "\" tag"],
            expected: vec![O, m("<think>"), t("What is `<think>`?"), m("</think>"), C, a("A \"<think>\" tag")],
            counts: (7, 4),
        },
        Transcript {
            name: "a thought that ends with a quotation",
            style: think(),
            prompt: "",
            tokens: &["<think>", "she said \"no\"", "</think>", "No"],
            expected: vec![O, m("<think>"), t("she said \"no\""), m("</think>"), C, a("No")],
            counts: (3, 1),
        },
    ]);
}

#[test]
fn whichever_tag_opens_is_closed_by_its_own() {
    let all = ["<think>", "</think>", "<|think|>", "<|/think|>", "<thinking>", "</thinking>"];
    check(vec![
        Transcript {
            name: "<|think|>",
            style: tags(&all),
            prompt: "",
            tokens: &["<|think|>", "a</think>b<thinking>", "<|/think|>", "c"],
            expected: vec![O, m("<|think|>"), t("a</think>b<thinking>"), m("<|/think|>"), C, a("c")],
            counts: (3, 1),
        },
        Transcript {
            name: "<thinking>",
            style: tags(&all),
            prompt: "",
            tokens: &["<think", "ing>", "a", "</think>", "</thinking>", "c"],
            expected: vec![O, m("<thinking>"), t("a</think>"), m("</thinking>"), C, a("c")],
            counts: (5, 1),
        },
        Transcript {
            name: "[THINK]",
            style: tags(&["[THINK]", "[/THINK]"]),
            prompt: "",
            tokens: &["[THINK]", "a[0]", "[/THINK]", "b[1]"],
            expected: vec![O, m("[THINK]"), t("a[0]"), m("[/THINK]"), C, a("b[1]")],
            counts: (3, 1),
        },
    ]);
}

#[test]
fn gemma_channels_are_split() {
    let gemma = ThinkingStyle::gemma_channels;
    check(vec![
        Transcript {
            name: "thinks",
            style: gemma(),
            prompt: "model\n",
            tokens: &["<|channel>", "thought", "\n", "Water", "?", "<channel|>", "H2O"],
            expected: vec![O, m("<|channel>thought\n"), t("Water?"), m("<channel|>"), C, a("H2O")],
            counts: (6, 1),
        },
        Transcript {
            name: "an empty thought, without its newline",
            style: gemma(),
            prompt: "model\n",
            tokens: &["<|channel>", "thought", "<channel|>", "H2O"],
            expected: vec![O, m("<|channel>thought<channel|>"), C, a("H2O")],
            counts: (3, 1),
        },
        Transcript {
            name: "is not to think",
            style: gemma(),
            prompt: "model\n<|channel>thought\n<channel|>",
            tokens: &["H2O"],
            expected: vec![a("H2O")],
            counts: (0, 1),
        },
        Transcript {
            name: "goes on after a tool: the prompt opens",
            style: gemma(),
            prompt: "<|channel>thought\n",
            tokens: &["Now", " I know.", "<channel|>", "15 °C"],
            expected: vec![O, t("Now I know."), m("<channel|>"), C, a("15 °C")],
            counts: (3, 1),
        },
        Transcript {
            name: "the prompt ends within the label",
            style: gemma(),
            prompt: "<|channel>",
            tokens: &["tho", "ught\n", "x"],
            expected: vec![O, m("thought\n"), t("x"), C],
            counts: (3, 0),
        },
        Transcript {
            name: "no label after all",
            style: gemma(),
            prompt: "",
            tokens: &["<|channel>", "thou", "sands", "<channel|>", "!"],
            expected: vec![O, m("<|channel>"), t("thousands"), m("<channel|>"), C, a("!")],
            counts: (4, 1),
        },
        Transcript {
            name: "the mark that turns thinking on is no tag",
            style: gemma(),
            prompt: "<|think|>",
            tokens: &["<|think|>", "x"],
            expected: vec![a("<|think|>x")],
            counts: (0, 2),
        },
    ]);
}

#[test]
fn harmony_channels_are_split() {
    let style = || ThinkingStyle::Harmony;
    check(vec![
        Transcript {
            name: "analysis and final",
            style: style(),
            prompt: "<|start|>user<|message|>1+1?<|end|><|start|>assistant",
            tokens: &[
                "<|channel|>",
                "analysis",
                "<|message|>",
                "Simple",
                ".",
                "<|end|>",
                "<|start|>",
                "assistant",
                "<|channel|>",
                "final",
                "<|message|>",
                "2",
                ".",
            ],
            expected: vec![
                O,
                m("<|channel|>analysis<|message|>"),
                t("Simple."),
                m("<|end|>"),
                C,
                m("<|start|>assistant<|channel|>final<|message|>"),
                a("2."),
            ],
            counts: (6, 7),
        },
        Transcript {
            name: "the prompt opens the channel",
            style: style(),
            prompt: "<|start|>assistant<|channel|>analysis<|message|>",
            tokens: &[
                "Hm",
                "<|end|>",
                "<|start|>",
                "assistant",
                "<|channel|>",
                "final",
                "<|message|>",
                "Hi",
                "<|return|>",
            ],
            expected: vec![
                O,
                t("Hm"),
                m("<|end|>"),
                C,
                m("<|start|>assistant<|channel|>final<|message|>"),
                a("Hi"),
                m("<|return|>"),
            ],
            counts: (2, 7),
        },
        Transcript {
            name: "words before a tool is called, and the call",
            style: style(),
            prompt: "<|start|>assistant",
            tokens: &[
                "<|channel|>",
                "analysis",
                "<|message|>",
                "Look it up.",
                "<|end|>",
                "<|start|>",
                "assistant",
                "<|channel|>",
                "commentary",
                "<|message|>",
                "Let me see.",
                "<|end|>",
                "<|start|>",
                "assistant",
                "<|channel|>",
                "commentary",
                " to",
                "=functions",
                ".weather",
                " ",
                "<|constrain|>",
                "json",
                "<|message|>",
                "{\"city\":\"Bern\"}",
                "<|call|>",
            ],
            expected: vec![
                O,
                m("<|channel|>analysis<|message|>"),
                t("Look it up."),
                m("<|end|>"),
                C,
                m("<|start|>assistant<|channel|>commentary<|message|>"),
                a("Let me see."),
                m("<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"),
                a("{\"city\":\"Bern\"}"),
                m("<|call|>"),
            ],
            counts: (5, 20),
        },
        Transcript {
            name: "thinks in two messages, the first without an end",
            style: style(),
            prompt: "<|start|>assistant",
            tokens: &["<|channel|>analysis<|message|>", "a", "<|channel|>analysis to=python code<|message|>", "b"],
            expected: vec![
                O,
                m("<|channel|>analysis<|message|>"),
                t("a"),
                C,
                O,
                m("<|channel|>analysis to=python code<|message|>"),
                t("b"),
                C,
            ],
            counts: (4, 0),
        },
        Transcript {
            name: "a model that ignores the format",
            style: style(),
            prompt: "<|start|>assistant",
            tokens: &["Hello", " you"],
            expected: vec![a("Hello you")],
            counts: (0, 2),
        },
        Transcript {
            name: "no header, of more than one line",
            style: style(),
            prompt: "<|start|>assistant",
            tokens: &["Hello\n", "you", "<|end|>"],
            expected: vec![a("Hello\nyou"), m("<|end|>")],
            counts: (0, 3),
        },
        Transcript {
            name: "a header cut off",
            style: style(),
            prompt: "<|start|>assistant<|channel|>analysis<|message|>",
            tokens: &["a", "<|end|>", "<|start|>", "assistant", "<|chan"],
            expected: vec![O, t("a"), m("<|end|>"), C, m("<|start|>assistant<|chan")],
            counts: (2, 3),
        },
        Transcript {
            name: "no channel, and marks out of place",
            style: style(),
            prompt: "no messages",
            tokens: &["a<think>", "<|end|>", "b", "<|start|>", "assistant", "<|message|>", "c", "<|constrain|>", "d"],
            expected: vec![
                a("a<think>"),
                m("<|end|>"),
                a("b"),
                m("<|start|>assistant<|message|>"),
                a("c"),
                m("<|constrain|>"),
                a("d"),
            ],
            counts: (0, 9),
        },
    ]);
}
