//! Model families: one file each, and the table that lists them.

mod config;
mod llama;

pub use config::ModelConfig;

use crate::Error;
use crate::cache::Cache;
use crate::graph::{Recorder, Tensor};
use crate::layers::Batch;
use crate::weights::Loader;
use crate::weights::gguf::Gguf;

/// A loaded model: weights on a device and the order of its blocks.
pub trait Model {
    /// Hyperparameters.
    fn config(&self) -> &ModelConfig;

    /// Records a forward pass of `batch`: logits `[outputs, vocab]`, or nothing where no output is wanted.
    fn forward(&self, r: &mut Recorder, batch: &Batch, cache: &Cache, outputs: bool) -> Option<Tensor>;

    /// Bytes of weights on the device.
    fn weight_bytes(&self) -> u64;
}

type Load = fn(&mut Loader<'_>) -> Result<Box<dyn Model>, Error>;

macro_rules! families {
    ($($architecture:literal => $module:ident),* $(,)?) => {
        /// `general.architecture` of a GGUF file, and who loads it.
        static FAMILIES: &[(&str, Load)] = &[$(($architecture, $module::load)),*];
    };
}
families! { "llama" => llama }

/// Architectures that this build loads.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

/// Loads the weights of a file by its family.
pub fn load(loader: &mut Loader<'_>) -> Result<Box<dyn Model>, Error> {
    let found = loader.gguf().metadata().str("general.architecture")?.to_owned();
    match FAMILIES.iter().find(|(name, _)| *name == found) {
        Some((_, load)) => load(loader),
        None => Err(unknown(loader.gguf())),
    }
}

fn unknown(gguf: &Gguf) -> Error {
    // The name comes from a stranger's file.
    let found = gguf.metadata().str("general.architecture").unwrap_or_default().chars().take(60).collect::<String>();
    let known = architectures().collect::<Vec<_>>().join(", ");
    Error::Family { found: found.escape_debug().to_string(), file: gguf.path().to_owned(), known }
}
