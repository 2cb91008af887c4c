//! The terminal, taken and given back.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::io::{self, Stdout};
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a thread that panics waits for the thread that draws to give the terminal back.
const PATIENCE: Duration = Duration::from_secs(2);

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// A terminal in raw mode on its alternate screen, until this is dropped, and no longer when anything panics.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    held: Arc<Held>,
    earlier: Hook,
}

struct Held {
    /// The thread that draws.
    by: ThreadId,
    taken: Mutex<bool>,
    given_back: Condvar,
    /// Another thread panics, and its message needs the terminal as it was.
    wanted: AtomicBool,
}

impl Held {
    /// Gives the terminal back; the second time there is nothing to do.
    fn give_back(&self) -> io::Result<()> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut *taken) {
            return Ok(());
        }
        // Each, whether or not the other can be: half a terminal is better than none.
        let screen = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let mode = disable_raw_mode();
        self.given_back.notify_all();
        screen.and(mode)
    }

    /// A thread panics: its message must not go to the alternate screen, nor be drawn over.
    fn panicked(&self) {
        if thread::current().id() != self.by {
            self.wanted.store(true, Ordering::SeqCst);
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.given_back.wait_timeout_while(taken, PATIENCE, |taken| *taken));
        }
        // There is nobody to tell when this fails.
        let _ = self.give_back();
    }
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let held = Arc::new(Held {
            by: thread::current().id(),
            taken: Mutex::new(true),
            given_back: Condvar::new(),
            wanted: AtomicBool::new(false),
        });
        let earlier: Hook = Arc::from(panic::take_hook());
        let (on_panic, next) = (held.clone(), earlier.clone());
        panic::set_hook(Box::new(move |info| {
            on_panic.panicked();
            next(info);
        }));
        // From here on dropping it gives back what was taken, however little.
        let mut screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, held, earlier };
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        screen.terminal.clear()?;
        Ok(screen)
    }

    /// Whether another thread panicked and waits for the terminal.
    pub(super) fn is_wanted(&self) -> bool {
        self.held.wanted.load(Ordering::SeqCst)
    }

    /// Gives the terminal back.
    pub(super) fn give_back(&self) -> io::Result<()> {
        self.held.give_back()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.held.give_back();
        // A panicking thread may not change the hook; ours has nothing left to do and passes on.
        if !thread::panicking() {
            let earlier = self.earlier.clone();
            drop(panic::take_hook());
            panic::set_hook(Box::new(move |info| earlier(info)));
        }
    }
}
