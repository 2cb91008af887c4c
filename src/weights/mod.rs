//! Checkpoints on disk: readers, and the formats their weights are stored in.

mod error;
pub mod format;
pub mod gguf;
mod load;
mod locate;

pub use error::Error;
pub use load::Loader;
pub use locate::{default_model, locate};
