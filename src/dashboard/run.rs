//! The two threads of a dashboard.

use super::draw::draw;
use super::handle::{Control, Handle, WAITING};
use super::keys::Action;
use super::screen::Screen;
use super::state::State;
use super::update::Update;
use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(34);
/// How long the work may take to stop when the user leaves.
const PATIENCE: Duration = Duration::from_secs(5);
/// What runs a model may need as much stack as the main thread has.
const STACK: usize = 16 << 20;

/// What is to happen when the work is done.
#[derive(Clone, Debug)]
pub enum After<T> {
    /// The dashboard stays until the user leaves it.
    Stay(T),
    /// It goes.
    Leave(T),
}

/// Why a dashboard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The user left it.
    Quit,
    /// The user or the system interrupted it.
    Interrupted,
    /// The work was done.
    Worked,
}

/// What is left of a dashboard.
pub struct Left<T> {
    /// Why it ended.
    pub how: How,
    /// What was drawn last.
    pub state: State,
    /// What came of the work; `None` where it did not stop in time.
    pub work: Option<T>,
}

/// Takes the terminal, has `work` done in a thread of its own and shows what it tells, until the user leaves or the work ends.
///
/// # Errors
/// The terminal cannot be taken, read or drawn on.
///
/// # Panics
/// When `work` does, with its payload; the terminal is given back before the message is printed.
pub fn run<T: Send + 'static>(
    state: State,
    work: impl FnOnce(&Handle) -> After<T> + Send + 'static,
) -> io::Result<Left<T>> {
    let signals = Signals::watch()?;
    let mut screen = Screen::take()?;
    let (handle, updates, lines) = Handle::new();
    let control = handle.control();
    control.profiling.store(state.profiling(), Ordering::SeqCst);
    let worker = thread::Builder::new().name("ffai-work".to_owned()).stack_size(STACK);
    let worker = worker.spawn(move || work(&handle))?;
    let mut dashboard = Dashboard { state, updates, lines, control, worker: Some(worker), work: None };
    let how = dashboard.show(&mut screen, &signals);
    let given_back = screen.give_back();
    dashboard.stop();
    drop(screen);
    given_back?;
    Ok(Left { how: how?, state: dashboard.state, work: dashboard.work })
}

/// Signals that would end the program with the terminal as it is.
struct Signals {
    came: Arc<AtomicBool>,
    ids: Vec<signal_hook::SigId>,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        let mut signals = Self { came: Arc::new(AtomicBool::new(false)), ids: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signals.ids.push(signal_hook::flag::register(signal, signals.came.clone())?);
        }
        Ok(signals)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for &id in &self.ids {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// The side of the terminal.
struct Dashboard<T> {
    state: State,
    updates: Receiver<Update>,
    lines: Sender<String>,
    control: Arc<Control>,
    /// Until it has ended.
    worker: Option<JoinHandle<After<T>>>,
    work: Option<T>,
}

impl<T> Dashboard<T> {
    /// Draws until there is a reason to stop.
    fn show(&mut self, screen: &mut Screen, signals: &Signals) -> io::Result<How> {
        let (mut due, mut changed) = (Instant::now(), true);
        loop {
            if screen.is_wanted() || signals.came.load(Ordering::SeqCst) {
                return Ok(How::Interrupted);
            }
            // Waits for keys; updates are looked for as often as there may be something to draw.
            let wait = due.saturating_duration_since(Instant::now());
            if event::poll(wait)? {
                changed = true;
                if let Event::Key(key) = event::read()?
                    && let Some(action) = self.state.key(key)
                    && let Some(how) = self.act(action)?
                {
                    return Ok(how);
                }
            }
            if Instant::now() < due {
                continue;
            }
            changed |= self.take_updates();
            if self.worker.as_ref().is_some_and(JoinHandle::is_finished) {
                self.take_updates();
                changed = true;
                if self.worked(screen)? {
                    return Ok(How::Worked);
                }
            }
            if std::mem::take(&mut changed) {
                #[cfg(debug_assertions)]
                super::planted::in_draw(&self.state);
                screen.terminal.draw(|frame| draw(frame, &self.state))?;
            }
            due = Instant::now() + FRAME;
        }
    }

    /// Takes in what waits, though not without end while it is being told.
    fn take_updates(&mut self) -> bool {
        let mut changed = false;
        for update in self.updates.try_iter().take(WAITING) {
            self.state.apply(update);
            changed = true;
        }
        changed
    }

    /// Does what a key asks for; tells whether it ends the dashboard.
    fn act(&mut self, action: Action) -> io::Result<Option<How>> {
        match action {
            Action::Quit => return Ok(Some(How::Quit)),
            Action::Interrupt => return Ok(Some(How::Interrupted)),
            Action::Cancel => self.control.cancelled.store(true, Ordering::SeqCst),
            Action::ToggleProfiling(on) => self.control.profiling.store(on, Ordering::SeqCst),
            Action::Copy(text) => execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))?,
            // Whoever waited for it may be gone.
            Action::Submit(line) => drop(self.lines.send(line)),
        }
        Ok(None)
    }

    /// The work has ended; tells whether the dashboard does.
    fn worked(&mut self, screen: &Screen) -> io::Result<bool> {
        let Some(worker) = self.worker.take() else { return Ok(false) };
        match worker.join() {
            Ok(After::Stay(work)) => {
                self.work = Some(work);
                self.state.running = false;
                Ok(false)
            }
            Ok(After::Leave(work)) => {
                self.work = Some(work);
                Ok(true)
            }
            Err(payload) => {
                screen.give_back()?;
                panic::resume_unwind(payload)
            }
        }
    }

    /// Has the work stop, and waits for that as long as is reasonable.
    fn stop(&mut self) {
        self.control.leaving.store(true, Ordering::SeqCst);
        // Whoever waits for a line learns that there will be none.
        self.lines = channel().0;
        let begun = Instant::now();
        let Some(worker) = self.worker.take() else { return };
        while !worker.is_finished() {
            self.take_updates();
            if begun.elapsed() > PATIENCE {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.take_updates();
        match worker.join() {
            Ok(After::Stay(work) | After::Leave(work)) => self.work = Some(work),
            Err(payload) => panic::resume_unwind(payload),
        }
    }
}
