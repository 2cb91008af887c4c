//! What goes between the thread that owns the engine and the one that owns the terminal.

use super::update::Update;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Updates that may wait to be drawn. More, and whoever tells them waits, so that a terminal that stands still costs no memory.
pub(super) const WAITING: usize = 4096;

/// What the user typed in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// There will be no more.
    End,
}

/// The end at which the engine's side holds the dashboard.
#[derive(Clone)]
pub struct Handle {
    updates: SyncSender<Update>,
    typed: Arc<Mutex<Receiver<String>>>,
    control: Arc<Control>,
}

/// What the user wants.
pub(super) struct Control {
    /// Wants no more of the text that is being made.
    pub(super) cancelled: AtomicBool,
    /// Wants nothing any more.
    pub(super) leaving: AtomicBool,
    /// Wants tokens to be profiled.
    pub(super) profiling: AtomicBool,
}

impl Handle {
    /// With the ends that belong to the thread that draws.
    pub(super) fn new() -> (Self, Receiver<Update>, Sender<String>) {
        let ((updates, told), (lines, typed)) = (sync_channel(WAITING), channel());
        let control = Control {
            cancelled: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            profiling: AtomicBool::new(true),
        };
        let typed = Arc::new(Mutex::new(typed));
        (Self { updates, typed, control: Arc::new(control) }, told, lines)
    }

    /// What the user wants, to be set.
    pub(super) fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Tells what happened. When the dashboard is gone nobody needs to know.
    pub fn tell(&self, update: Update) {
        #[cfg(debug_assertions)]
        super::planted::in_work(&update);
        let _ = self.updates.send(update);
    }

    /// Tells what happened, unless that would mean to wait.
    pub fn offer(&self, update: Update) {
        let _ = self.updates.try_send(update);
    }

    /// A new text begins: what stopped the one before is forgotten.
    pub fn begin(&self) {
        self.control.cancelled.store(false, Ordering::SeqCst);
    }

    /// Whether the user wants no more of the text that is being made.
    pub fn cancelled(&self) -> bool {
        self.control.cancelled.load(Ordering::SeqCst) || self.control.leaving.load(Ordering::SeqCst)
    }

    /// Whether the user wants tokens to be profiled.
    pub fn profiling(&self) -> bool {
        self.control.profiling.load(Ordering::SeqCst)
    }

    /// Asks for a line and waits for it.
    pub fn next_line(&self) -> Typed {
        self.tell(Update::Prompt);
        let typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        typed.recv().map_or(Typed::End, Typed::Line)
    }
}
