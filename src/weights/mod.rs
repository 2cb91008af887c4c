//! Checkpoints on disk: readers, and the formats their weights are stored in.

mod checkpoint;
mod error;
mod file;
pub mod format;
pub mod gguf;
pub mod hub;
mod inventory;
mod load;
mod locate;
mod names;
mod numbered;
mod packed;
pub mod safetensors;
mod settings;
mod siblings;
mod tensor_names;

pub use checkpoint::Checkpoint;
pub(crate) use checkpoint::Stored;
pub use error::Error;
pub use inventory::{Role, Weight};
pub use load::{Loader, ModelTensor};
pub(crate) use load::{device_planes, floats};
pub use locate::{DEFAULT_HUB_MODEL, Wanted, cache_folder, default_model, default_model_here, locate, locate_or_fetch};
pub use settings::Settings;
pub use siblings::{Sibling, siblings};
pub use tensor_names::{TensorNames, Translation};
