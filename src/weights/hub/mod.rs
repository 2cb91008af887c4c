//! Models of the Hugging Face hub: what their names mean, what of them is on this disk, and how the rest is fetched.
//!
//! Everything but fetching works without the network and without the feature `hub`.
//!
//! - [`Name`] is what a user writes, [`Settings`] where the hub and its cache are, [`choose()`] which files make the model.
//! - [`cached`] finds a model in the cache, [`pull`] fetches what is missing, [`list`] shows what there is to choose from.
//! - [`offers`] is what else the hub has of a model that came from it.
//! - [`installed`] lists the models on this disk, those of other programs among them.

pub(super) mod cache;
mod choose;
mod error;
mod installed;
mod machine;
mod name;
mod offers;
mod ollama;
mod settings;

#[cfg(feature = "hub")]
mod answer;
#[cfg(feature = "hub")]
mod blob;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod hash;
#[cfg(feature = "hub")]
mod listing;
#[cfg(feature = "hub")]
mod lock;
#[cfg(feature = "hub")]
mod pull;
#[cfg(not(feature = "hub"))]
#[path = "no_pull.rs"]
mod pull;

pub use cache::cached;
pub use choose::{Choice, File, Kind, Variant, choose, quantization, variants};
pub use error::Error;
pub use installed::{Installed, Places, Source, State, installed};
pub use machine::{free, memory};
pub use name::{Name, Pick};
pub use offers::{Offer, offers};
pub use pull::{list, pull};
pub use settings::{Patience, Settings, Token};

use std::path::PathBuf;

/// What happens while a model is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// This is what has to be fetched.
    Start {
        /// Files.
        files: usize,
        /// Their bytes, those included that arrived earlier.
        bytes: u64,
    },
    /// The next file.
    File {
        /// Its name.
        name: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// Bytes of all files that have arrived so far.
    Bytes(u64),
    /// Something that people who wait want to know.
    Note(&'a str),
}

/// Who is told of it.
pub type Watcher<'a> = dyn FnMut(Progress<'_>) + 'a;

/// A model that was fetched.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// What to open: a GGUF file, or a folder.
    pub path: PathBuf,
    /// The commit it is of.
    pub commit: String,
    /// Bytes that came over the network just now.
    pub fetched: u64,
}

/// What a repository has to offer.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The commit that the revision is.
    pub commit: String,
    /// Every file.
    pub files: Vec<File>,
}
