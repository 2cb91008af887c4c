//! `ffai chat` in a real terminal, which tmux plays: what is typed, Ctrl-C in the middle of a reply, and what is left at the end.

use crate::{real_model, scratch, text};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal of its own, closed when dropped.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// A shell in a window of tmux; `None` where there is no tmux, which fails under CI and is said elsewhere.
    fn open(folder: &Path) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "tmux is missing; tools/test.sh installs it");
            println!("SKIPPED: tmux is missing; tools/test.sh installs it");
            return None;
        }
        let terminal = Self { socket: folder.join("tmux") };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40", "env", "PS1=ready$ ", "sh"]);
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").arg("-S").arg(&self.socket).args(arguments).output().unwrap();
        assert!(output.status.success(), "tmux {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Types text, as it is.
    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
    }

    /// Presses keys by tmux's names.
    fn presses(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// All that is to be read.
    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-500"])
    }

    /// Waits until the screen is as `wanted`; gives it.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "waited for {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for a prompt without anything behind it, below what `after` names.
    fn prompt_after(&self, after: &str) -> String {
        self.until(&format!("the prompt after {after:?}"), |screen| {
            screen.rfind(after).is_some_and(|at| screen[at..].trim_end().ends_with("\n>"))
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
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
    terminal.prompt_after("Ctrl-D quits");

    // A reply that would go on for long is stopped; the session lives on.
    terminal.types("Write a very long story about the sea and a sailor.");
    terminal.presses(&["Enter"]);
    terminal.until("some of the reply", |screen| {
        screen.split("a sailor.\n").nth(1).is_some_and(|reply| reply.split_whitespace().count() > 5)
    });
    terminal.presses(&["C-c"]);
    terminal.prompt_after("(stopped)");

    // Keys edit the line.
    terminal.types("What is the capital of Italyy");
    terminal.presses(&["BSpace", "BSpace", "BSpace", "BSpace", "BSpace", "BSpace"]);
    terminal.types("France?");
    terminal.presses(&["Enter"]);
    let screen = terminal.prompt_after("capital of France?");
    assert!(screen.rsplit("capital of France?").next().unwrap().contains("Paris"), "{screen}");
    terminal.types("/stats");
    terminal.presses(&["Enter"]);
    let screen = terminal.prompt_after("[STATS]");
    assert!(screen.contains("cached prompt:"), "{screen}");

    // Ctrl-C at the prompt gives the line up; a mistake is told; the history has what was typed.
    terminal.types("given up");
    terminal.presses(&["C-c"]);
    terminal.prompt_after("given up");
    terminal.types("/halp");
    terminal.presses(&["Enter"]);
    terminal.prompt_after("unknown command /halp");
    terminal.presses(&["Up", "Up", "Up"]);
    terminal.until("the line before", |screen| screen.trim_end().ends_with("> What is the capital of France?"));
    terminal.presses(&["C-u"]);
    terminal.types(&format!("/save {}", saved.display()));
    terminal.presses(&["Enter"]);
    terminal.prompt_after("saved to");
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
    terminal.prompt_after("Ctrl-D quits");
    terminal.presses(&["Up", "Up"]);
    terminal
        .until("the line from before", |screen| screen.trim_end().ends_with(&format!("> /save {}", saved.display())));
    terminal.presses(&["C-u"]);
    terminal.types(&format!("/load {}", saved.display()));
    terminal.presses(&["Enter"]);
    terminal.prompt_after("loaded 4 messages");
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
