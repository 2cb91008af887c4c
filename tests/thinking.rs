//! Thinking through the whole engine: a tiny random model never thinks, so two pieces of what it says are declared to be its tags.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use ffai::generate::{Backend, Event, FinishReason, Generation, OpenOptions, Request, SamplingOptions, Session};
use ffai::text::{Bos, EncodeOptions, Segment, Special, TagPair, ThinkingStyle};
use std::ops::ControlFlow;
use std::path::Path;

/// What is told, in short, and what comes out.
fn generate(style: Option<ThinkingStyle>, prompt: &str, stop_at: &str) -> (Vec<String>, Generation) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/llama/llama3.gguf");
    let options = OpenOptions { backend: Backend::Cpu, ..OpenOptions::default() };
    let (mut engine, tokenizer) = ffai::generate::open(&path, &options, &mut |_, _| {}).unwrap();
    let prompt = tokenizer.encode(prompt, EncodeOptions { special: Special::Plain, bos: Bos::AsModel }).unwrap();
    let sampling = SamplingOptions { temperature: 1.0, seed: 3, ..SamplingOptions::default() };
    let request = Request { prompt, max_tokens: 40, sampling, stop: Vec::new(), ignore_eos: true };
    let mut session = Session::new(&mut engine, &tokenizer).unwrap();
    assert_eq!(*session.thinking_style(), ThinkingStyle::None);
    if let Some(style) = style {
        session.set_thinking_style(style);
    }
    let mut told = Vec::new();
    let generation = session
        .generate(&request, &mut |event| {
            let name = match event {
                Event::Prefilling { .. } => "prefilling".to_owned(),
                Event::Prefilled { .. } => "prefilled".to_owned(),
                Event::Token { .. } => "token".to_owned(),
                Event::Tail { .. } => "tail".to_owned(),
                Event::Segment(segment) => format!("{segment:?}"),
                Event::Profiled { .. } => "profiled".to_owned(),
            };
            told.push(name);
            if told.last().unwrap() == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    (told, generation)
}

fn tags(open: &str, close: &str) -> ThinkingStyle {
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    ThinkingStyle::Tags(vec![TagPair { open: leak(open), label: "", close: leak(close) }])
}

/// Two printable characters that occur in `text` once each: one in its first half, one later.
fn two_characters(text: &str) -> (String, String) {
    let once = |c: &char| c.is_ascii_alphanumeric() && text.matches(*c).count() == 1;
    let all: Vec<char> = text.chars().filter(once).collect();
    (all.first().unwrap().to_string(), all.last().unwrap().to_string())
}

#[test]
fn the_split_changes_nothing_but_the_segments() {
    let (_, plain) = generate(None, "hello", "");
    assert_eq!(plain.segments, [Segment::Answer(plain.text.clone())]);
    assert_eq!((plain.stats.think_tokens, plain.stats.gen_tokens), (None, None));
    let (open, close) = two_characters(&plain.text);
    let (from, to) = (plain.text.find(&open).unwrap(), plain.text.find(&close).unwrap());
    assert!(from < to);

    let (told, split) = generate(Some(tags(&open, &close)), "hello", "");
    assert_eq!((&split.ids, &split.text), (&plain.ids, &plain.text));
    assert_eq!(split.segments.iter().map(Segment::text).collect::<String>(), plain.text);
    let thinking = plain.text[from + 1..to].trim_start_matches(['\n', '\r']);
    assert_eq!(split.thinking().as_deref(), Some(thinking));
    let answer = plain.text[..from].to_owned() + plain.text[to + 1..].trim_start_matches(['\n', '\r']);
    assert_eq!(split.answer(), answer);
    let (think, answer) = (split.stats.think_tokens.unwrap(), split.stats.gen_tokens.unwrap());
    assert_eq!(think + answer, split.ids.len());
    assert!(think > 1 && answer > 1, "{think} and {answer}");
    let place = |wanted: &str| told.iter().position(|name| name == wanted).unwrap();
    assert!(place("prefilled") < place("Open") && place("Open") < place("Close"));
    assert!(split.stats.to_string().contains(&format!("  think / gen split: {think} / {answer} tokens\n")));
}

#[test]
fn thinking_that_the_prompt_opens_is_told_before_the_prompt_runs() {
    let (told, generation) = generate(Some(tags("[", "]")), "hello [", "");
    assert_eq!(told[..2], ["Open", "prefilled"]);
    assert_eq!(generation.segments.first(), Some(&Segment::Open));
}

#[test]
fn a_client_may_leave_as_soon_as_it_hears_of_thinking() {
    let (told, generation) = generate(Some(tags("[", "]")), "hello [", "Open");
    assert_eq!(generation.finish_reason, FinishReason::Cancelled);
    assert_eq!(told, ["Open", "Close"]);
    assert!(generation.ids.is_empty());
    assert_eq!((generation.stats.think_tokens, generation.stats.gen_tokens), (Some(0), Some(0)));
}
