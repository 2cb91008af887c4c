//! Chat templates against Python's jinja2: every template of `tests/golden/chat/` over every conversation, byte for byte.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "support/model.rs"]
mod model;

use ffai::text::{
    Bos, ChatInput, ChatTemplate, EncodeOptions, Error, Message, Special, SpecialTokens, Tokenizer, Vocabulary,
};
use ffai::weights::gguf::Gguf;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Input {
    tools: Map<String, Value>,
    conversations: Map<String, Value>,
}

#[derive(Deserialize)]
struct Conversation {
    messages: Vec<Message>,
    tools: Option<String>,
    documents: Option<Vec<Value>>,
    add_generation_prompt: Option<bool>,
    thinking: Option<bool>,
    #[serde(default)]
    extra: Map<String, Value>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The time that conversations.json names.
fn clock() -> jiff::Zoned {
    jiff::civil::date(2026, 7, 4).at(9, 5, 3, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap()
}

fn tokens() -> SpecialTokens {
    let token = |text: &str| Some(text.to_owned());
    SpecialTokens { bos: token("<s>"), eos: token("</s>"), unknown: token("<unk>"), padding: token("<pad>") }
}

/// Every template's name, the template, and what jinja2 made of each conversation.
fn templates() -> Vec<(String, ChatTemplate, Value)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jinja"));
    paths.sort();
    let load = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let template = ChatTemplate::new(&read(path), tokens()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Value = serde_json::from_str(&read(&path.with_extension("json"))).unwrap();
        (name, template.with_clock(clock), expected["results"].clone())
    };
    paths.iter().map(load).collect()
}

#[test]
fn templates_give_what_jinja2_gives() {
    let input: Input = serde_json::from_str(&read(&folder().join("conversations.json"))).unwrap();
    let templates = templates();
    assert!(templates.len() >= 15 && input.conversations.len() >= 20);
    let mut differences = Vec::new();
    for (name, template, expected) in &templates {
        for (title, conversation) in &input.conversations {
            let conversation: Conversation = serde_json::from_value(conversation.clone()).unwrap();
            let tools = conversation.tools.map(|tools| input.tools[&tools].as_array().unwrap().clone());
            let rendered = template.render(&ChatInput {
                messages: &conversation.messages,
                tools: tools.as_deref(),
                documents: conversation.documents.as_deref(),
                add_generation_prompt: conversation.add_generation_prompt.unwrap_or(true),
                thinking: conversation.thinking,
                extra: conversation.extra,
            });
            let expected = &expected[title];
            let same = match &rendered {
                Ok(text) => expected["text"] == **text,
                Err(Error::TemplateRefused { message }) => expected["raised"] == **message,
                // Python words its own errors its own way.
                Err(Error::TemplateRun { .. }) => expected["failed"].is_string(),
                Err(_) => false,
            };
            if !same {
                differences.push(format!("{name}, {title}:\nexpected {expected}\nfound    {rendered:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
}

#[test]
fn features_are_what_the_models_are_known_for() {
    let known = [
        ("smollm2", (true, false, false)),
        ("phi-3.5-mini-instruct", (true, false, false)),
        ("qwen2.5-7b-instruct", (true, true, false)),
        ("qwen3-0.6b", (true, true, true)),
        ("glm-4.6", (true, true, true)),
        ("mistral-nemo-instruct-2407", (true, true, false)),
        ("gpt-oss-120b", (true, true, false)),
        ("deepseek-v3.1", (true, false, true)),
        ("in-the-manner-of-llama-3", (true, true, false)),
        ("in-the-manner-of-gemma", (true, false, false)),
    ];
    let templates = templates();
    for (name, expected) in known {
        let (_, template, _) = templates.iter().find(|template| template.0 == name).unwrap();
        let found = template.features();
        assert_eq!((found.system, found.tools, found.thinking), expected, "{name}");
    }
}

/// The template of the small model, from its own file.
#[test]
fn a_gguf_brings_its_template_along() {
    let Some(path) = model::real("smollm2") else { return };
    let gguf = Gguf::open(&path).unwrap();
    let tokenizer = Tokenizer::new(Vocabulary::from_gguf(gguf.metadata()).unwrap()).unwrap();
    assert_eq!(tokenizer.chat_template(), Some(read(&folder().join("smollm2.jinja")).as_str()));
    let template = ChatTemplate::of(&tokenizer).unwrap().unwrap();
    let prompt = template.render(&ChatInput::new(&[Message::new("system", "s"), Message::new("user", "u")])).unwrap();
    let ids = tokenizer.encode(&prompt, EncodeOptions { special: Special::Parse, bos: Bos::Never }).unwrap();
    // <|im_start|> is 1 and <|im_end|> is 2, as transformers' tokenizer numbers them.
    assert_eq!((ids.iter().filter(|&&id| id == 1).count(), ids.iter().filter(|&&id| id == 2).count()), (3, 2));
}
