//! What a template may use up before it is stopped.
//!
//! Steps alone do not bound a template: forty concatenations of a text with itself are a terabyte. So everything that reads or
//! makes text or lists pays for it in bytes first, and all the bytes that a template ever made fit into its budget.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes that any template may read and write.
const BYTES: u64 = 64 << 20;
/// More of them, per byte of the conversation: templates look at each message several times.
const BYTES_PER_INPUT: u64 = 256;
/// Steps that any template may take.
const STEPS: u64 = 2_000_000;
/// More of them, per byte of the conversation.
const STEPS_PER_INPUT: u64 = 50;
/// The most steps at all: some seconds.
const MOST_STEPS: u64 = 50_000_000;
/// How deeply lists and maps may stand in each other.
pub(super) const DEPTH: usize = 128;
/// What an element of a list or an entry of a map costs beside its content.
pub(super) const ELEMENT: u64 = 32;

/// What is left to one run of a template, and what the template itself had to say.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicU64,
    exceeded: AtomicBool,
    raised: Mutex<Option<String>>,
}

impl Budget {
    /// For a conversation of `input` bytes.
    pub(super) fn new(input: u64) -> Self {
        let bytes = AtomicU64::new(BYTES.saturating_add(input.saturating_mul(BYTES_PER_INPUT)));
        Self { bytes, exceeded: AtomicBool::new(false), raised: Mutex::new(None) }
    }

    /// Steps that go with it.
    pub(super) fn steps(input: u64) -> u64 {
        STEPS.saturating_add(input.saturating_mul(STEPS_PER_INPUT)).min(MOST_STEPS)
    }

    /// Pays for `bytes`.
    pub(super) fn spend(&self, bytes: u64) -> Result<(), Error> {
        // One template runs on one thread: nobody else spends between these two.
        let left = self.bytes.load(Ordering::Relaxed);
        match left.checked_sub(bytes) {
            Some(left) => {
                self.bytes.store(left, Ordering::Relaxed);
                Ok(())
            }
            None => Err(self.stop("the text that it makes")),
        }
    }

    /// Ends the run: `what` has grown beyond all bounds.
    pub(super) fn stop(&self, what: &'static str) -> Error {
        self.exceeded.store(true, Ordering::Relaxed);
        Error::new(ErrorKind::InvalidOperation, what)
    }

    /// Whether the run was ended by [`Budget::stop`].
    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Ends the run with words of the template's own.
    pub(super) fn raise(&self, message: String) -> Error {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        Error::new(ErrorKind::InvalidOperation, "raise_exception")
    }

    /// Those words.
    pub(super) fn raised(&self) -> Option<String> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Pays for looking at a value from outside: a text by its length, a list or map by its number of elements.
    pub(super) fn touch(&self, value: &Value) -> Result<(), Error> {
        match (value.as_str(), value.kind(), value.len()) {
            (Some(text), ..) => self.spend(text.len() as u64),
            (None, ValueKind::Seq | ValueKind::Iterable, Some(count)) => self.spend(count as u64 * ELEMENT),
            (None, ValueKind::Iterable, None) => {
                for element in value.try_iter()?.checked() {
                    element?;
                    self.spend(ELEMENT)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Pays for looking at all of a value.
    pub(super) fn weigh(&self, value: &Value) -> Result<(), Error> {
        self.weigh_at(value, 0)
    }

    fn weigh_at(&self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(self.stop("the depth of its lists"));
        }
        if let Some(text) = value.as_str() {
            return self.spend(ELEMENT + text.len() as u64);
        }
        self.spend(ELEMENT)?;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for element in value.try_iter()?.checked() {
                    self.weigh_at(&element?, depth + 1)?;
                }
                Ok(())
            }
            ValueKind::Map => {
                let Some(pairs) = value.as_object().and_then(|object| object.try_iter_pairs()) else { return Ok(()) };
                for (key, value) in pairs {
                    self.weigh_at(&key, depth + 1)?;
                    self.weigh_at(&value, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
