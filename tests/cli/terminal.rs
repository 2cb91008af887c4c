//! `ffai chat` in a real terminal, which tmux plays: what is typed, Ctrl-C in the middle of a reply, and what is left at the end.

use crate::console::Terminal;
use crate::{real_model, scratch};

/// Waits for a prompt without anything behind it, below what `after` names.
fn prompt_after(terminal: &Terminal, after: &str) -> String {
    terminal.until(&format!("the prompt after {after:?}"), |screen| {
        screen.rfind(after).is_some_and(|at| screen[at..].trim_end().ends_with("\n>"))
    })
}

#[test]
fn a_conversation_at_a_terminal() {
    let Some(model) = real_model() else { return };
    // Short, because the path of a socket may not be long.
    let folder = std::env::temp_dir().join(format!("ffai-terminal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let Some(terminal) = Terminal::open(&folder) else { return };
    let saved = scratch("terminal").join("conversation.json");
    let chat = |more: &str| {
        format!(
            "env XDG_CACHE_HOME={0} HOME={0} {1} chat {model} --temperature 0 --ctx 2048 {more}",
            folder.display(),
            env!("CARGO_BIN_EXE_ffai")
        )
    };
    terminal.until("the shell", |screen| screen.contains("ready$"));
    terminal.types(&format!("cd {}; stty -g > before; clear", folder.display()));
    terminal.presses(&["Enter"]);
    terminal.types(&chat(""));
    terminal.presses(&["Enter"]);
    prompt_after(&terminal, "Ctrl-D quits");

    // A reply that would go on for long is stopped; the session lives on.
    terminal.types("Write a very long story about the sea and a sailor.");
    terminal.presses(&["Enter"]);
    terminal.until("some of the reply", |screen| {
        screen.split("a sailor.\n").nth(1).is_some_and(|reply| reply.split_whitespace().count() > 5)
    });
    terminal.presses(&["C-c"]);
    prompt_after(&terminal, "(stopped)");

    // Keys edit the line.
    terminal.types("What is the capital of Italyy");
    terminal.presses(&["BSpace", "BSpace", "BSpace", "BSpace", "BSpace", "BSpace"]);
    terminal.types("France?");
    terminal.presses(&["Enter"]);
    let screen = prompt_after(&terminal, "capital of France?");
    assert!(screen.rsplit("capital of France?").next().unwrap().contains("Paris"), "{screen}");
    terminal.types("/stats");
    terminal.presses(&["Enter"]);
    let screen = prompt_after(&terminal, "[STATS]");
    assert!(screen.contains("cached prompt:"), "{screen}");

    // Ctrl-C at the prompt gives the line up; a mistake is told; the history has what was typed.
    terminal.types("given up");
    terminal.presses(&["C-c"]);
    prompt_after(&terminal, "given up");
    terminal.types("/halp");
    terminal.presses(&["Enter"]);
    prompt_after(&terminal, "unknown command /halp");
    terminal.presses(&["Up", "Up", "Up"]);
    terminal.until("the line before", |screen| screen.trim_end().ends_with("> What is the capital of France?"));
    terminal.presses(&["C-u"]);
    terminal.types(&format!("/save {}", saved.display()));
    terminal.presses(&["Enter"]);
    prompt_after(&terminal, "saved to");
    terminal.types("/quit");
    terminal.presses(&["Enter"]);
    terminal.until("the shell", |screen| screen.trim_end().ends_with("ready$"));
    let conversation: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&saved).unwrap()).unwrap();
    let messages = conversation["messages"].as_array().unwrap();
    assert_eq!(
        messages.iter().map(|message| message["role"].as_str().unwrap()).collect::<Vec<_>>(),
        ["user", "assistant", "user", "assistant"]
    );
    assert!(!messages[1]["content"].as_str().unwrap().is_empty());

    // Another run has the history, goes on where that one ended, and leaves with Ctrl-D.
    terminal.types("clear");
    terminal.presses(&["Enter"]);
    terminal.types(&chat("--hide-thinking"));
    terminal.presses(&["Enter"]);
    prompt_after(&terminal, "Ctrl-D quits");
    terminal.presses(&["Up", "Up"]);
    terminal
        .until("the line from before", |screen| screen.trim_end().ends_with(&format!("> /save {}", saved.display())));
    terminal.presses(&["C-u"]);
    terminal.types(&format!("/load {}", saved.display()));
    terminal.presses(&["Enter"]);
    prompt_after(&terminal, "loaded 4 messages");
    terminal.presses(&["C-d"]);
    terminal.until("the shell", |screen| screen.trim_end().ends_with("ready$"));

    // The terminal is as it was.
    terminal.types("stty -g > after; cmp before after && echo the same");
    terminal.presses(&["Enter"]);
    terminal.until("the settings", |screen| screen.contains("\nthe same\n"));
    drop(terminal);
    let history = std::fs::read_to_string(folder.join("ffai/chat_history")).unwrap();
    assert!(history.contains("What is the capital of France?"), "{history}");
    std::fs::remove_dir_all(folder).unwrap();
}
