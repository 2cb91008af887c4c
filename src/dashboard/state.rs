//! What is known, and how the user wants to see it.

use super::input::Input;
use super::look::Look;
use super::op_table::Ops;
use super::ring::Ring;
use super::scrollback::{Kind, Scrollback};
use super::tree::Tree;
use super::update::{Finished, Token, Update};
use crate::measure::{LatencyRow, MemoryRow};

/// Memory that text may take; what came first is forgotten beyond it.
const TEXT_BYTES: usize = 16 << 20;
/// Memory that logs may take.
const LOG_BYTES: usize = 1 << 20;
/// The longest line of a log.
const LOG_LINE: usize = 4096;

/// What the dashboard stands around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One text.
    Generate,
    /// A conversation: lines can be typed.
    Chat,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The text beside the most important numbers.
    Overview,
    /// Times of blocks and phases.
    Latency,
    /// Memory, by what it is for.
    Memory,
    /// Ops of the device.
    Ops,
    /// What is logged.
    Logs,
}

impl View {
    /// In the order of their keys.
    pub(super) const ALL: [Self; 5] = [Self::Overview, Self::Latency, Self::Memory, Self::Ops, Self::Logs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Ops => "ops",
            Self::Logs => "logs",
        }
    }
}

/// All that is drawn. It takes a bounded amount of memory, however long a run is.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) look: Look,
    pub(super) title: String,
    pub(super) view: View,
    pub(super) status: String,
    /// What a key did that is not seen elsewhere; until the next key.
    pub(super) notice: Option<String>,
    pub(super) text: Scrollback,
    pub(super) logs: Scrollback,
    pub(super) rates: Ring,
    pub(super) cache: Ring,
    pub(super) tokens: u64,
    pub(super) latest: Token,
    pub(super) latency: Tree<LatencyRow>,
    pub(super) memory: Tree<MemoryRow>,
    pub(super) ops: Ops,
    /// Whether tokens are profiled, and one in how many.
    pub(super) profiling: bool,
    pub(super) every: u32,
    /// Whether text is being made.
    pub(super) running: bool,
    /// Whether it was asked to stop.
    pub(super) stopping: bool,
    /// What is typed; only in a chat.
    pub(super) input: Option<Input>,
    /// Whether keys go to the input.
    pub(super) typing: bool,
    /// Whether a line is waited for.
    pub(super) asked: bool,
}

impl State {
    /// Nothing is known yet of the model called `title`.
    pub fn new(title: &str, mode: Mode, look: Look) -> Self {
        let chat = mode == Mode::Chat;
        Self {
            look,
            title: title.to_owned(),
            view: View::Overview,
            status: "starting".to_owned(),
            notice: None,
            text: Scrollback::new(TEXT_BYTES),
            logs: Scrollback::new(LOG_BYTES),
            rates: Ring::default(),
            cache: Ring::default(),
            tokens: 0,
            latest: Token::default(),
            latency: Tree::default(),
            memory: Tree::default(),
            ops: Ops::default(),
            profiling: true,
            every: 16,
            running: false,
            stopping: false,
            input: chat.then(Input::default),
            typing: chat,
            asked: false,
        }
    }

    /// Says how many tokens there are for one that is profiled.
    pub fn set_profiled_every(&mut self, tokens: u32) {
        self.every = tokens;
    }

    /// Takes in what happened.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Status(status) => self.status = status,
            Update::Begun => (self.running, self.stopping) = (true, false),
            Update::Text(text) => self.text.push(Kind::Text, &text),
            Update::Thought(text) => self.text.push(Kind::Thought, &text),
            Update::Token(token) => {
                self.tokens += 1;
                self.numbers(token);
            }
            Update::Kept(numbers) => self.numbers(numbers),
            Update::Latency(rows) => self.latency.set(nested(rows)),
            Update::Memory(rows) => self.memory.set(rows),
            Update::Ops(rows) => self.ops.set(rows),
            Update::Log(line) => {
                let cut = line.char_indices().nth(LOG_LINE).map_or(line.len(), |(at, _)| at);
                self.logs.push_line(Kind::Text, &line[..cut]);
            }
            Update::Prompt => {
                (self.asked, self.running) = (true, false);
                self.status = "your turn".to_owned();
            }
            Update::Finished(finished) => self.finished(&finished),
        }
    }

    fn numbers(&mut self, token: Token) {
        if let Some(rate) = token.tokens_per_second {
            self.rates.push(rate);
        }
        if let Some(used) = token.kv_used_bytes {
            self.cache.push(used as f64);
        }
        // What is not told now may have been told before.
        let before = self.latest;
        self.latest = Token {
            tokens_per_second: token.tokens_per_second.or(before.tokens_per_second),
            kv_used_bytes: token.kv_used_bytes.or(before.kv_used_bytes),
            kv_allocated_bytes: token.kv_allocated_bytes.or(before.kv_allocated_bytes),
            device_bytes: token.device_bytes.or(before.device_bytes),
        };
    }

    fn finished(&mut self, finished: &Finished) {
        let Finished { reason, tokens, seconds } = finished;
        let plural = if *tokens == 1 { "" } else { "s" };
        self.status = format!("{reason}: {tokens} token{plural} in {seconds:.2}s");
        self.running = false;
    }

    /// What is looked at at present.
    pub fn view(&self) -> View {
        self.view
    }

    /// Whether the user wants tokens to be profiled.
    pub fn profiling(&self) -> bool {
        self.profiling
    }

    /// The text so far, as it came.
    pub fn text(&self) -> String {
        self.text.text()
    }

    /// Bytes that text and logs take.
    pub fn memory_bytes(&self) -> usize {
        self.text.memory() + self.logs.memory()
    }
}

/// Kernel variants and blocks are parts of the forward step. In the order of logs the variants stand between the two, as deep as
/// the step; as a tree they lie in it.
fn nested(mut rows: Vec<LatencyRow>) -> Vec<LatencyRow> {
    let step = rows.iter().position(|row| row.label == "Forward Step");
    if let Some((from, count)) =
        step.and_then(|at| Some((at + 1, rows[at + 1..].iter().position(|row| row.level > 0)?)))
    {
        for variant in &mut rows[from..from + count] {
            variant.level = 1;
        }
    }
    rows
}
