//! What the side of the engine tells the side of the terminal.

use crate::measure::{LatencyRow, MemoryRow, OpRow};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Update {
    /// What is being done: one line.
    Status(String),
    /// A request is about to run: there is something to stop.
    Begun,
    /// Text, to be shown behind what there is.
    Text(String),
    /// Text that steps back behind other text: what a model thinks.
    Thought(String),
    /// A token was generated.
    Token(Token),
    /// The same numbers at another time, as far as they are known.
    Kept(Token),
    /// Times of the latest token that was profiled, in place of earlier ones.
    Latency(Vec<LatencyRow>),
    /// Memory as it is now, in place of what it was.
    Memory(Vec<MemoryRow>),
    /// Ops of all tokens that were profiled, in place of earlier ones.
    Ops(Vec<OpRow>),
    /// A line for the log.
    Log(String),
    /// Whoever chats is asked for a line.
    Prompt,
    /// A text is complete.
    Finished(Finished),
}

/// What is known as a token arrives. What nobody told is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Token {
    /// Over the latest tokens; absent before there are two.
    pub tokens_per_second: Option<f64>,
    /// Bytes of live keys and values.
    pub kv_used_bytes: Option<u64>,
    /// Bytes of the room for them.
    pub kv_allocated_bytes: Option<u64>,
    /// Bytes in use on the device.
    pub device_bytes: Option<u64>,
}

/// How a text ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finished {
    /// Why: `eos`, `stop`, `length`, `cancelled`.
    pub reason: String,
    /// Tokens of it.
    pub tokens: usize,
    /// Seconds for all of them but the prompt's.
    pub seconds: f64,
}
