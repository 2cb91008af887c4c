//! `ffai chat` over a pipe: a line is a turn, and standard output carries the replies alone.

use crate::thinking::thinker;
use crate::{TINY, command, fails, ffai, real_model, scratch, text};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Output, Stdio};

/// Sends `lines` to a conversation with SmolLM2, which answers greedily and briefly.
fn chat(model: &str, arguments: &[&str], lines: &str) -> Output {
    let all = [&["chat", model, "--temperature", "0", "--max-tokens", "12"], arguments].concat();
    let mut child = command(&all).stdin(Stdio::piped()).spawn().unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    child.wait_with_output().unwrap()
}

fn succeeds(output: &Output) -> (String, String) {
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// A number of the `[STATS]` blocks, in order.
fn numbers(stderr: &str, label: &str) -> Vec<usize> {
    let lines = stderr.lines().filter_map(|line| line.trim_start().strip_prefix(label));
    lines.map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn each_line_is_a_turn_and_only_what_is_new_runs() {
    let Some(model) = real_model() else { return };
    let lines =
        "What is the capital of France?\n/stats\n\nAnd what is the capital of Italy?\n/stats\n/quit\nnever said\n";
    let (stdout, stderr) = succeeds(&chat(&model, &["--ctx", "512"], lines));
    let replies: Vec<&str> = stdout.lines().collect();
    assert_eq!(replies.len(), 2, "{stdout}");
    assert!(replies[0].contains("Paris") && replies[1].contains("Rome"), "{stdout}");
    let (prompts, generated) = (numbers(&stderr, "prompt:"), numbers(&stderr, "generated:"));
    // The prompt's tokens as transformers counts them; the second prompt begins with all that the session holds.
    assert_eq!(prompts[0], 37, "{stderr}");
    assert_eq!(numbers(&stderr, "cached prompt:"), [prompts[0] + generated[0]], "{stderr}");
    assert!(prompts[1] > prompts[0] + generated[0]);
    // The same words in one go are the same reply.
    let alone = succeeds(&chat(&model, &["--quiet"], "What is the capital of France?\n"));
    assert_eq!((alone.0.as_str(), alone.1.as_str()), (format!("{}\n", replies[0]).as_str(), ""));
}

#[test]
fn commands_change_the_conversation() {
    let Some(model) = real_model() else { return };
    let lines = "/system\n/system You always answer: quokka.\n/system\nHello!\n/clear\n/stats\n/system -\n/system\n/model\n/help\n";
    let (stdout, stderr) = succeeds(&chat(&model, &["--max-tokens", "2"], lines));
    assert_eq!(stdout.lines().count(), 1);
    for part in [
        "there is no system text\n",
        "\nYou always answer: quokka.\n",
        "(stopped after 2 tokens: --max-tokens)\n",
        "the conversation is forgotten\n",
        "[STATS]\n",
        "the system text is removed\nthere is no system text\n",
        &format!("\n{model}\n"),
        "  /save FILE     writes the conversation to a file\n",
    ] {
        assert!(stderr.contains(part), "expected {part:?} in {stderr}");
    }
}

#[test]
fn a_conversation_is_saved_and_goes_on() {
    let Some(model) = real_model() else { return };
    let path = scratch("chat").join("conversation.json");
    let file = path.display();
    let first = "My name is Quentin.\n";
    let second = "What is my name?\n";
    let (whole, _) = succeeds(&chat(&model, &["--system", "You are brief."], &format!("{first}{second}")));
    let (begun, _) = succeeds(&chat(&model, &["--system", "You are brief."], &format!("{first}/save {file}\n")));
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let reply = begun.trim_end();
    assert_eq!(
        saved,
        json!({"model": model, "system": "You are brief.", "messages": [
            {"role": "user", "content": "My name is Quentin."}, {"role": "assistant", "content": reply}]})
    );
    let (ended, stderr) = succeeds(&chat(&model, &[], &format!("/load {file}\n{second}")));
    assert_eq!(format!("{begun}{ended}"), whole);
    assert!(stderr.contains(&format!("loaded 2 messages from {file}\n")), "{stderr}");
}

#[test]
fn what_cannot_be_done_ends_a_pipe_with_the_reason() {
    let Some(model) = real_model() else { return };
    let folder = scratch("chat-bad");
    let bad = folder.join("bad.json");
    std::fs::write(&bad, "{\"messages\": [{\"content\": \"x\"}]}").unwrap();
    let long = "word ".repeat(200);
    let load = format!("/load {}\n", bad.display());
    let cases: [(&str, &[&str]); 6] = [
        (
            "/halp\n",
            &[
                "unknown command /halp: expected one of /help, /clear, /system, /stats, /model, /save, /load, /quit",
                "hint: ",
            ],
        ),
        (&load, &["bad.json: expected the JSON object that /save writes", "role", "hint: "]),
        ("/load no/such/file\n", &["cannot load no/such/file"]),
        ("/save no/such/folder/file\n", &["cannot save to no/such/folder/file"]),
        ("/model no/such/model.gguf\n", &["no model at no/such/model.gguf"]),
        (&long, &["tokens, but the context holds 128", "hint: /clear begins anew"]),
    ];
    for (lines, parts) in cases {
        fails(&chat(&model, &["--ctx", "128"], lines), 1, parts);
    }
    let output = chat(&model, &["--ctx", "128"], "caf\u{e9}\n");
    assert!(output.status.success());
    fails(&chat(&model, &["--system", ""], ""), 2, &["--system"]);
}

#[test]
fn another_model_takes_over_in_the_middle() {
    let Some(model) = real_model() else { return };
    let folder = scratch("chat-model");
    let copy = folder.join("other.gguf");
    // A link costs nothing, where both lie on the same disk.
    std::fs::hard_link(&model, &copy).or_else(|_| std::fs::copy(&model, &copy).map(|_| ())).unwrap();
    let lines = format!("My name is Quentin.\n/model {}\n/model\nWhat is my name?\n/stats\n", copy.display());
    let (stdout, stderr) = succeeds(&chat(&model, &[], &lines));
    assert!(stdout.lines().count() >= 2);
    assert!(stderr.contains(&format!("\n{}\n", copy.display())), "{stderr}");
    // Nothing of the other model's cache is of use, but the conversation is the same.
    assert!(numbers(&stderr, "cached prompt:").is_empty());
    assert!(numbers(&stderr, "prompt:")[0] > 50, "{stderr}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_model_without_a_template_says_what_to_do() {
    let output = ffai(&["chat", TINY, "--backend", "cpu"]);
    fails(&output, 1, &["has no chat template", "hint: continue raw text with `ffai generate`"]);
    assert!(ffai(&["chat", "--help"]).status.success());
    fails(&ffai(&["chat", "no/such/model.gguf"]), 1, &["no model at no/such/model.gguf"]);
    fails(&ffai(&["chat", "-m", "a", "b"]), 2, &["--model"]);
}

/// The template lies beside the file; it opens a thought where thinking is switched on.
#[test]
fn thinking_is_switched_hidden_and_kept_apart() {
    let model = thinker("chat-thinking");
    let template =
        "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\\n' }}{% endfor %}{{ '<think>' if enable_thinking }}";
    std::fs::write(model.with_file_name("chat_template.jinja"), template).unwrap();
    let saved = model.with_file_name("saved.json");
    let lines = format!("hello\n/save {}\n", saved.display());
    let run = |more: &[&str]| {
        let output = chat(model.to_str().unwrap(), &[&["--backend", "cpu"], more].concat(), &lines);
        let (stdout, stderr) = succeeds(&output);
        let file: Value = serde_json::from_str(&std::fs::read_to_string(&saved).unwrap()).unwrap();
        (stdout, stderr, file["messages"][1].clone())
    };
    let (off, _, message) = run(&["--thinking", "off"]);
    assert_eq!(message, json!({"role": "assistant", "content": off.strip_suffix('\n').unwrap()}));
    let (on, stderr, message) = run(&["--thinking", "on"]);
    let thought = message["reasoning_content"].as_str().unwrap();
    assert!(!thought.is_empty() && on.contains(thought), "{on:?} {message}");
    assert_eq!(message["content"], "");
    assert!(!stderr.contains("note:"), "{stderr}");
    let (hidden, _, same) = run(&["--thinking", "on", "--hide-thinking"]);
    assert_eq!((hidden.as_str(), same), ("\n", message));
    std::fs::write(model.with_file_name("chat_template.jinja"), "{{ messages[0].content }}").unwrap();
    let (_, stderr, _) = run(&["--thinking", "on"]);
    assert!(stderr.contains("note: this model's template has no switch for thinking"), "{stderr}");
}

#[test]
fn a_template_that_objects_is_quoted() {
    let model = thinker("chat-objection");
    let template =
        "{% for m in messages if m.role == 'system' %}{{ raise_exception('No system, please.') }}{% endfor %}x";
    let write = |template: &str| std::fs::write(model.with_file_name("chat_template.jinja"), template).unwrap();
    let run = |more: &[&str]| chat(model.to_str().unwrap(), &[&["--backend", "cpu"], more].concat(), "hello\n");
    write(template);
    fails(&run(&["--system", "s"]), 1, &["the chat template refuses this conversation: No system, please.", "hint: "]);
    succeeds(&run(&[]));
    write("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}");
    fails(&run(&[]), 1, &["the chat template was stopped: the steps that it takes went beyond all bounds", "hint: "]);
    write("{% if %}");
    fails(&run(&[]), 1, &["chat template, line 1: syntax error", "hint: "]);
}
