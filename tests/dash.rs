//! `ffai dash` and `ffai chat --dash` in a real terminal, which tmux plays: what is to be seen, what keys do, and that the terminal
//! is whole afterwards, however the dashboard ends.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "support/terminal.rs"]
mod console;
#[path = "support/model.rs"]
mod model;

use console::Terminal;
use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const FFAI: &str = env!("CARGO_BIN_EXE_ffai");
/// A tiny random model, so that these tests take no time.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/llama/llama2.gguf");

/// A shell of 80 columns and 24 rows, in a folder of its own.
struct Shell {
    terminal: Terminal,
    folder: PathBuf,
    /// Lines that it printed for us, each with a number of its own: older ones stay to be read.
    marks: Cell<u32>,
}

impl Shell {
    fn open(name: &str) -> Option<Self> {
        // Short, because the path of a socket may not be long.
        let folder = std::env::temp_dir().join(format!("ffai-dash-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let terminal = Terminal::open(&folder)?;
        let shell = Self { terminal, folder, marks: Cell::new(0) };
        shell.resize(80, 24);
        shell.terminal.until("the shell", |screen| screen.contains("ready$"));
        shell.enter(&format!("cd {}; stty -g > before", shell.folder.display()));
        Some(shell)
    }

    fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.terminal.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// Begins a program at a fresh prompt, so that the next one to be seen is that behind its end.
    fn begin(&self, line: &str) {
        self.prints("settled");
        self.enter(line);
    }

    /// Has the shell print a word with a number, and what `$?` is; gives that.
    fn prints(&self, word: &str) -> String {
        self.marks.set(self.marks.get() + 1);
        let mark = format!("{word}-{} ", self.marks.get());
        self.enter(&format!("echo {mark}$?"));
        let printed = |screen: &str| {
            // What is typed too early stands in front of the prompt, and the line may follow that.
            let line = screen.trim_end().strip_suffix("ready$")?.trim_end().lines().last()?;
            let (_, status) = line.rsplit_once(&mark)?;
            status.chars().all(|c| c.is_ascii_digit()).then(|| status.to_owned())
        };
        printed(&self.terminal.until(&mark, |screen| printed(screen).is_some())).unwrap()
    }

    fn enter(&self, line: &str) {
        self.terminal.types(line);
        self.terminal.presses(&["Enter"]);
    }

    /// Begins a dashboard around the tiny model; `more` stands in front of it.
    fn dash(&self, more: &str, options: &str) {
        let home = self.folder.display();
        self.begin(&format!(
            "env HF_HUB_OFFLINE=1 XDG_CACHE_HOME={home} HOME={home} {more} {FFAI} dash -m {TINY} --backend cpu --ignore-eos --temperature 0 \
             -p 'Once upon a time' --profile-every 4 {options}"
        ));
    }

    /// Waits for the shell, and holds the terminal to how it was.
    fn is_whole(&self, status: i32) -> String {
        // What is typed before would be taken for keys of the dashboard.
        self.terminal.until("the shell", |screen| screen.trim_end().ends_with("ready$"));
        let found = self.prints("status");
        let screen = self.terminal.screen();
        assert_eq!(found, status.to_string(), "{screen}");
        assert_eq!(self.terminal.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
        self.enter("stty -g > after; cmp before after");
        assert_eq!(self.prints("same"), "0");
        screen
    }

    fn sees(&self, what: &str) -> String {
        self.terminal.until(what, |screen| screen.contains(what))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_text_is_seen_with_what_it_costs() {
    let Some(shell) = Shell::open("text") else { return };
    shell.dash("", "--max-tokens 40");
    let screen = shell.sees("length: 40 tokens");
    assert!(screen.contains("│Once upon a") && screen.contains("tok/s, average"), "{screen}");
    assert!(screen.contains("▾ Forward Step") && screen.contains("▾ Device"), "{screen}");
    for (key, seen) in
        [("2", "one token in 4 is profiled"), ("3", "kv room"), ("4", "total ms↓"), ("5", "[ffai:generate] ")]
    {
        shell.terminal.presses(&[key]);
        shell.sees(seen);
    }
    shell.terminal.presses(&["2", "f", "f"]);
    shell.sees("▾ Block 0");
    shell.terminal.presses(&["p"]);
    shell.sees("no token is profiled");
    shell.terminal.presses(&["1"]);

    // It fits whatever room there is.
    shell.resize(120, 40);
    shell.sees("llama2.gguf — length: 40 tokens");
    shell.resize(20, 5);
    shell.terminal.until("a small screen", |screen| screen.trim_end().ends_with("q quit  Tab view"));
    shell.resize(80, 24);
    shell.sees("│Once upon a");

    shell.terminal.presses(&["q"]);
    let screen = shell.is_whole(0);
    assert!(screen.contains("Once upon a time") && screen.contains("generated: 40 tokens"), "{screen}");
}

#[test]
fn control_c_and_signals_end_it_and_leave_the_terminal_whole() {
    let Some(shell) = Shell::open("stop") else { return };
    shell.dash("", "--max-tokens 100000");
    shell.sees("│Once upon a");
    shell.terminal.presses(&["C-c"]);
    shell.is_whole(130);
    for signal in ["TERM", "HUP", "INT"] {
        shell.dash("sh -c 'echo $$ > pid; exec \"$@\"' sh", "--max-tokens 100000");
        shell.sees("│Once upon a");
        let id = std::fs::read_to_string(shell.folder.join("pid")).unwrap();
        assert!(Command::new("kill").args([&format!("-{signal}"), id.trim()]).status().unwrap().success());
        shell.is_whole(130);
    }
}

#[test]
fn a_mistake_of_ours_is_told_on_a_whole_terminal() {
    let Some(shell) = Shell::open("panic") else { return };
    for (place, message) in [("draw", "planted while drawing"), ("work", "planted while working")] {
        shell.dash(&format!("FFAI_DASHBOARD_PANIC={place}"), "--max-tokens 100000");
        let screen = shell.sees(message);
        assert!(screen.contains("error: ffai made a mistake") && !screen.contains("throughput"), "{screen}");
        let screen = shell.is_whole(1);
        assert_eq!(screen.matches(message).count(), 1, "{screen}");
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_an_error_on_a_whole_terminal() {
    let Some(shell) = Shell::open("load") else { return };
    std::fs::write(shell.folder.join("bad.gguf"), b"GGUF").unwrap();
    shell.begin(&format!("{FFAI} dash ./bad.gguf hello"));
    shell.sees("error: ");
    let screen = shell.is_whole(1);
    assert!(screen.contains("bad.gguf"), "{screen}");
}

#[test]
fn where_there_is_no_terminal_the_model_is_not_looked_for() {
    for arguments in [&["dash", "no/such-model", "hello"] as &[&str], &["chat", "--dash", "no/such-model"]] {
        let output = Command::new(FFAI).args(arguments).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("the dashboard needs a terminal, and standard output is none"), "{message}");
        assert!(message.contains("hint: ") && !message.contains("such-model") && output.stdout.is_empty(), "{message}");
    }
    let output = Command::new(FFAI).args(["dash", "m", "hello", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_conversation_in_a_dashboard() {
    let Some(model) = model::real("smollm2") else { return };
    let Some(shell) = Shell::open("chat") else { return };
    let home = shell.folder.display();
    shell.begin(&format!(
        "env XDG_CACHE_HOME={home} HOME={home} {FFAI} chat --dash {} --temperature 0 --ctx 2048 --profile-every 4",
        model.display()
    ));
    shell.sees("your turn");
    shell.enter("Write a very long story about the sea and a sailor.");
    shell.sees("│> Write a very long story");
    shell.terminal.until("some of the reply", |screen| screen.contains("tok/s, average"));
    shell.terminal.presses(&["C-c"]);
    shell.sees("(stopped)");
    shell.sees("your turn");
    shell.enter("What is the capital of France?");
    shell.sees("│> What is the capital of France?");
    shell.terminal.until("the answer", |screen| {
        screen.rsplit("capital of France?").next().is_some_and(|reply| reply.contains("Paris"))
            && screen.contains("your turn")
    });
    shell.enter("/halp");
    shell.sees("error: unknown command /halp");
    shell.enter("/quit");
    shell.is_whole(0);
}
