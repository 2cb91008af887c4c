//! Checkpoints on disk: readers, and the formats their weights are stored in.

mod error;
pub mod format;
pub mod gguf;
mod load;

pub use error::Error;
pub use load::Loader;
