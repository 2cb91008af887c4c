//! A dashboard in the terminal: the text as it comes, and what it costs.
//!
//! Two threads share the work. One owns the engine and tells what happens through a [`Handle`], as [`Update`]s in a channel. The
//! other owns the terminal: it puts updates and keys into a [`State`] and draws that, at most thirty times a second. Neither waits
//! for the other, and what is drawn depends on the state alone:
//!
//! ```
//! use ffai::dashboard::{Look, Mode, State, Update, draw};
//! use ratatui::{Terminal, backend::TestBackend};
//!
//! let mut state = State::new("model.gguf", Mode::Generate, Look { colours: false });
//! state.apply(Update::Text("Once upon a time".to_owned()));
//! let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
//! terminal.draw(|frame| draw(frame, &state)).unwrap();
//! ```

mod cells;
mod draw;
mod feed;
mod handle;
mod input;
mod keys;
mod log;
mod look;
mod op_table;
#[cfg(debug_assertions)]
mod planted;
mod ring;
mod run;
mod screen;
mod scrollback;
mod state;
mod tree;
mod update;
mod wrap;

pub use draw::draw;
pub use feed::Feed;
pub use handle::{Handle, Typed};
pub use keys::Action;
pub use log::LogLayer;
pub use look::Look;
pub use op_table::Sort;
pub use run::{After, How, Left, run};
pub use state::{Mode, State, View};
pub use update::{Finished, Token, Update};
