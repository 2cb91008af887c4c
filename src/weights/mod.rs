//! Checkpoints on disk: readers, and the formats their weights are stored in.

mod error;
mod file;
pub mod format;
pub mod gguf;
mod load;
mod locate;
mod names;
pub mod safetensors;

pub use error::Error;
pub use load::Loader;
pub use locate::{default_model, locate};
